//! A message as a mail, over SMTP. Not here: what it says, and when.

use std::{io, path::Path, time::Duration};

use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Tokio1Executor,
    message::{Mailbox, header},
    transport::smtp::{
        self,
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls, TlsParameters},
    },
};
use tokio::time::timeout;

use crate::{
    NotTold,
    files::Folder,
    settings::{MailSettings, Security},
};

/// How long sending one mail may take.
pub const MAIL_TIME_MAX: Duration = Duration::from_secs(30);
/// What a mail server answers where user or password are wrong, or wanted.
const NOT_LET_IN: [u16; 3] = [530, 534, 535];

/// Mails to the same people.
pub struct Mail {
    settings: MailSettings,
    folder: Folder,
}

/// Says that no person wrote it, so that no machine answers it.
#[derive(Clone)]
struct AutoSubmitted;

impl header::Header for AutoSubmitted {
    fn name() -> header::HeaderName {
        header::HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> header::HeaderValue {
        header::HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

impl Mail {
    /// Of settings in a folder.
    #[must_use]
    pub fn new(settings: MailSettings, folder: &Path) -> Self {
        Self { settings, folder: Folder::new(folder) }
    }

    /// Sends it.
    ///
    /// # Errors
    /// [`NotTold`].
    pub async fn carry(&self, message: &crate::Message) -> Result<(), NotTold> {
        timeout(MAIL_TIME_MAX, self.send(message)).await.map_err(|_| NotTold::Late)?
    }

    async fn send(&self, message: &crate::Message) -> Result<(), NotTold> {
        let mail = mail(&self.settings.from, &self.settings.to, message)?;
        self.server()?.send(mail).await.map(|_| ()).map_err(|error| of_smtp(&error))
    }

    fn server(&self) -> Result<AsyncSmtpTransport<Tokio1Executor>, NotTold> {
        let settings = &self.settings;
        let tls = match settings.security {
            Security::None => Tls::None,
            Security::Starttls => Tls::Required(self.parameters()?),
            Security::Tls => Tls::Wrapper(self.parameters()?),
        };
        let server = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(settings.host.as_str())
            .port(settings.port)
            .tls(tls)
            .timeout(Some(MAIL_TIME_MAX));
        let Some((user, password_file)) = &settings.login else {
            return Ok(server.build());
        };
        let password = self.folder.password(password_file)?;
        Ok(server.credentials(Credentials::new(user.clone(), password)).build())
    }

    fn parameters(&self) -> Result<TlsParameters, NotTold> {
        let builder = TlsParameters::builder(self.settings.host.clone());
        let builder = match self.folder.authority(self.settings.ca.as_deref())? {
            None => builder.certificate_store(CertificateStore::WebpkiRoots),
            Some(pem) => {
                let certificate = Certificate::from_pem(&pem).map_err(|_| NotTold::File("ca"))?;
                builder.certificate_store(CertificateStore::None).add_root_certificate(certificate)
            }
        };
        builder.build_rustls().map_err(|_| NotTold::Tls)
    }
}

/// The mail: the same words for everybody.
fn mail(from: &Mailbox, to: &[Mailbox], message: &crate::Message) -> Result<lettre::Message, NotTold> {
    let mail = to.iter().fold(lettre::Message::builder().from(from.clone()), |mail, to| mail.to(to.clone()));
    let mail = mail.subject(message.subject.as_str()).message_id(None).header(AutoSubmitted);
    let mail = mail.header(header::ContentType::TEXT_PLAIN).body(message.text.clone());
    mail.map_err(|_| NotTold::Protocol)
}

// A mailbox is somebody's.
impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mail")
    }
}

fn of_smtp(error: &smtp::Error) -> NotTold {
    let status = error.status().and_then(|code| code.to_string().parse::<u16>().ok());
    match status {
        Some(status) if NOT_LET_IN.contains(&status) => NotTold::Password,
        Some(status) => NotTold::Answered(status),
        None if error.is_tls() || is_of_tls(error) => NotTold::Tls,
        None if error.is_timeout() => NotTold::Late,
        None if error.is_client() || error.is_response() => NotTold::Protocol,
        None => NotTold::Unreachable(kind(error)),
    }
}

/// What the operating system said, when it did.
fn kind(error: &smtp::Error) -> io::ErrorKind {
    find::<io::Error>(error).map_or(io::ErrorKind::Other, io::Error::kind)
}

/// A handshake that failed comes as an error of reading.
fn is_of_tls(error: &smtp::Error) -> bool {
    find::<rustls::Error>(error).is_some()
        || find::<io::Error>(error)
            .and_then(io::Error::get_ref)
            .is_some_and(<dyn std::error::Error + Send + Sync>::is::<rustls::Error>)
}

fn find<E: std::error::Error + 'static>(error: &smtp::Error) -> Option<&E> {
    let first: Option<&(dyn std::error::Error + 'static)> = std::error::Error::source(error);
    std::iter::successors(first, |error| error.source()).find_map(|error| error.downcast_ref())
}
