//! A notice as a mail, over SMTP. Not here: what it says (`notices`), and when (`bell`).

use std::{io, time::Duration};

use lettre::{
    AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor,
    message::{Mailbox, header},
    transport::smtp::{
        self,
        authentication::Credentials,
        client::{Certificate, CertificateStore, Tls, TlsParameters},
    },
};
use tokio::time::timeout;

use super::{
    Notice,
    way::{NotTold, authority},
};
use crate::{
    folder::Folder,
    settings::{self, Security},
};

/// How long sending one mail may take.
pub(super) const MAIL_TIME_MAX: Duration = Duration::from_secs(30);
/// What a mail server answers where user or password are wrong, or wanted.
const NOT_LET_IN: [u16; 3] = [530, 534, 535];

/// Mails of this agency's.
pub struct Mail {
    settings: settings::Mail,
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
    pub(super) const fn new(settings: settings::Mail, folder: Folder) -> Self {
        Self { settings, folder }
    }

    pub(super) async fn carry(&self, notice: &Notice) -> Result<(), NotTold> {
        timeout(MAIL_TIME_MAX, self.send(notice)).await.map_err(|_| NotTold::Late)?
    }

    async fn send(&self, notice: &Notice) -> Result<(), NotTold> {
        let message = message(&self.settings.from, &self.settings.to, notice)?;
        self.server()?.send(message).await.map(|_| ()).map_err(|error| of_smtp(&error))
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
        let Some(login) = &settings.login else {
            return Ok(server.build());
        };
        let password = self.folder.read_private(&login.password_file);
        let password = password.ok().and_then(|bytes| String::from_utf8(bytes).ok());
        let password = password.ok_or(NotTold::File("password_file"))?;
        let password = password.trim_end_matches(['\r', '\n']).to_owned();
        Ok(server.credentials(Credentials::new(login.user.clone(), password)).build())
    }

    fn parameters(&self) -> Result<TlsParameters, NotTold> {
        let builder = TlsParameters::builder(self.settings.host.clone());
        let builder = match authority(&self.folder, self.settings.ca.as_deref())? {
            None => builder.certificate_store(CertificateStore::WebpkiRoots),
            Some(pem) => {
                let certificate = Certificate::from_pem(&pem).map_err(|_| NotTold::File("ca"))?;
                builder.certificate_store(CertificateStore::None).add_root_certificate(certificate)
            }
        };
        builder.build_rustls().map_err(|_| NotTold::Tls)
    }
}

/// The mail: the same words for everybody, in both languages.
fn message(from: &Mailbox, to: &[Mailbox], notice: &Notice) -> Result<Message, NotTold> {
    let message = to.iter().fold(Message::builder().from(from.clone()), |message, to| message.to(to.clone()));
    let message = message.subject(notice.subject()).message_id(None).header(AutoSubmitted);
    let message = message.header(header::ContentType::TEXT_PLAIN).body(notice.text());
    message.map_err(|_| NotTold::Protocol)
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
