//! A hook: a server gets the message as an HTTP POST of JSON. Not here: what stands in it.

use std::{io, path::Path, sync::Arc, time::Duration};

use http::{Method, Request, Uri, header, uri::Scheme};
use http_body_util::Full;
use hyper::{body::Bytes, client::conn::http1};
use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, ServerName, pem::PemObject as _},
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::TlsConnector;

use crate::{
    NotTold,
    files::Folder,
    settings::{HookSettings, bare},
};

/// How long one call may take, connecting included.
pub const HOOK_TIME_MAX: Duration = Duration::from_secs(10);

/// A hook.
pub struct Hook {
    settings: HookSettings,
    folder: Folder,
}

impl Hook {
    /// Of settings in a folder.
    #[must_use]
    pub fn new(settings: HookSettings, folder: &Path) -> Self {
        Self { settings, folder: Folder::new(folder) }
    }

    /// Calls it.
    ///
    /// # Errors
    /// [`NotTold`].
    pub async fn carry(&self, json: &str) -> Result<(), NotTold> {
        timeout(HOOK_TIME_MAX, self.call(json)).await.map_err(|_| NotTold::Late)?
    }

    async fn call(&self, json: &str) -> Result<(), NotTold> {
        let url = &self.settings.url;
        let host = bare(url.host().unwrap_or_default());
        let is_tls = url.scheme() == Some(&Scheme::HTTPS);
        let port = url.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        let unreachable = |error: io::Error| NotTold::Unreachable(error.kind());
        if !is_tls {
            let stream = TcpStream::connect((host, port)).await.map_err(unreachable)?;
            return post(stream, url, json).await;
        }
        // Made anew each time: the file may have been renewed.
        let config = Arc::new(client(self.folder.authority(self.settings.ca.as_deref())?)?);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| NotTold::Tls)?;
        let stream = TcpStream::connect((host, port)).await.map_err(unreachable)?;
        let stream = TlsConnector::from(config).connect(name, stream).await.map_err(|_| NotTold::Tls)?;
        post(stream, url, json).await
    }
}

// An address may hold a secret.
impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}

/// TLS for whoever leads to the settings' own authority; else to one of those that browsers trust.
fn client(own: Option<Vec<u8>>) -> Result<ClientConfig, NotTold> {
    let mut roots = RootCertStore::empty();
    if let Some(pem) = own {
        for certificate in CertificateDer::pem_slice_iter(&pem) {
            let certificate = certificate.map_err(|_| NotTold::File("ca"))?;
            roots.add(certificate).map_err(|_| NotTold::File("ca"))?;
        }
        if roots.is_empty() {
            return Err(NotTold::File("ca"));
        }
    } else {
        roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()));
    let builder = builder.with_safe_default_protocol_versions().map_err(|_| NotTold::Tls)?;
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    Ok(config)
}

/// What answers with something else than 2xx has not taken it; nobody is followed elsewhere.
async fn post<S>(stream: S, url: &Uri, json: &str) -> Result<(), NotTold>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let path = url.path_and_query().map_or("/", |path| path.as_str());
    let request = Request::builder()
        .method(Method::POST)
        .uri(path)
        .header(header::HOST, url.authority().map_or("", |authority| authority.as_str()))
        .header(header::CONTENT_TYPE, "application/json; charset=utf-8")
        .header(header::USER_AGENT, "referral-courier")
        .header(header::CONNECTION, "close")
        .body(Full::new(Bytes::from(json.to_owned())))
        .map_err(|_| NotTold::Protocol)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(of_http)?;
    // It ends with the answer: nothing more is asked over it.
    let driving = tokio::spawn(connection);
    let answer = sender.send_request(request).await.map_err(of_http);
    driving.abort();
    let answer = answer?;
    if answer.status().is_success() { Ok(()) } else { Err(NotTold::Answered(answer.status().as_u16())) }
}

fn of_http(error: hyper::Error) -> NotTold {
    if error.is_parse() { NotTold::Protocol } else { NotTold::Unreachable(io::ErrorKind::ConnectionAborted) }
}
