//! The way to the gateway, step by step: name, connection, proxy, TLS, the gateway itself, its clock. Each failure
//! is told apart as far as it can be from here. Not here: what is said of it (`words`).

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use proto::wire;
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{CertificateDer, ServerName, UnixTime},
    version::TLS13,
};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::{Request, transport::Channel};
use x509_parser::prelude::{FromDer as _, X509Certificate};

use super::{Check, Finding};
use crate::{
    certificate,
    credential::Credential,
    daemon::Files,
    gateway::log_client::LogClient,
    link::{connection, proxy::NotThrough, proxy::Proxy},
    network::Network,
};

/// How long each step may take.
pub(super) const STEP_TIME_MAX: Duration = Duration::from_secs(10);
/// By so much clocks may differ unnoticed.
const CLOCK_SKEW_S: u64 = 60;
/// From here on certificates that were just issued are not in force yet.
const CLOCK_SKEW_BAD_S: u64 = 300;

/// Where the gateway is, and what is shown to it.
pub(super) struct Way<'a> {
    pub(super) address: String,
    pub(super) proxy: Option<&'a Proxy>,
    pub(super) network: &'a Network,
    pub(super) credential: Option<&'a Credential>,
    pub(super) step_time_max: Duration,
}

impl<'a> Way<'a> {
    pub(super) fn of(files: &'a Files, credential: Option<&'a Credential>) -> Self {
        Self {
            address: connection::address(&files.network, files.settings.connect.as_deref()),
            proxy: files.settings.proxy.as_ref(),
            network: &files.network,
            credential,
            step_time_max: STEP_TIME_MAX,
        }
    }

    /// Goes as far as it gets; gives the connection when it got there.
    pub(super) async fn look(&self, found: &mut Vec<Finding>) -> Option<Channel> {
        let named = self.name().await;
        let is_named = named.outcome == super::Outcome::Good;
        found.push(named);
        if !is_named {
            return None;
        }
        let stream = self.connect(found).await?;
        let stream = match timeout(self.step_time_max, self.shake(stream, &self.config(true)?)).await {
            Ok(Ok(stream)) => stream,
            Ok(Err(error)) => {
                found.push(self.tls_fault(Some(&error)).await);
                return None;
            }
            Err(_) => {
                found.push(self.tls_fault(None).await);
                return None;
            }
        };
        found.push(Finding::good(Check::Tls, ""));
        let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let uri = leaf.and_then(|leaf| certificate::uri(leaf).ok()).unwrap_or_default();
        if uri != format!("spiffe://{}/gateway", self.network.name) {
            found.push(Finding::bad(Check::Gateway, "NO_GATEWAY", uri));
            return None;
        }
        self.ask(stream, found).await
    }

    /// Of the gateway, or of the proxy, which looks up the gateway's itself.
    async fn name(&self) -> Finding {
        let address = self.proxy.map_or(&self.address, |proxy| &proxy.address);
        let looked = timeout(self.step_time_max, lookup_host(address.as_str())).await;
        let is_found = looked.is_ok_and(|looked| looked.is_ok_and(|mut all| all.next().is_some()));
        if is_found {
            Finding::good(Check::Name, address.as_str())
        } else {
            Finding::bad(Check::Name, "NAME_NOT_FOUND", address.as_str())
        }
    }

    async fn open(&self) -> Result<TcpStream, NotOpen> {
        let opened = async {
            match self.proxy {
                Some(proxy) => proxy.connect(&self.address).await.map_err(NotOpen::Proxy),
                None => TcpStream::connect(&self.address).await.map_err(|error| NotOpen::Tcp(error.kind())),
            }
        };
        timeout(self.step_time_max, opened).await.unwrap_or(Err(NotOpen::Silent))
    }

    async fn connect(&self, found: &mut Vec<Finding>) -> Option<TcpStream> {
        let through = |finding: &mut Vec<Finding>| match self.proxy {
            Some(proxy) => finding.push(Finding::good(Check::Proxy, proxy.address.as_str())),
            None => finding.push(Finding::good(Check::Proxy, "-")),
        };
        match self.open().await {
            Ok(stream) => {
                found.push(Finding::good(Check::Connection, self.address.as_str()));
                through(found);
                Some(stream)
            }
            Err(NotOpen::Tcp(kind)) => {
                let seen = format!("{}: {kind}", self.address);
                let code =
                    if kind == io::ErrorKind::ConnectionRefused { "TCP_REFUSED" } else { "TCP_FAILED" };
                found.push(Finding::bad(Check::Connection, code, seen));
                None
            }
            Err(NotOpen::Silent) => {
                found.push(Finding::bad(Check::Connection, "TCP_SILENT", self.address.as_str()));
                None
            }
            Err(NotOpen::Proxy(fault)) => {
                found.push(Finding::bad(Check::Proxy, fault.code(), fault.to_string()));
                None
            }
        }
    }

    /// As the link has it; a small hello is without the hybrid key exchange.
    fn config(&self, is_large: bool) -> Option<ClientConfig> {
        connection::config(self.network, self.credential, provider(is_large)).ok()
    }

    async fn shake(&self, stream: TcpStream, config: &ClientConfig) -> io::Result<TlsStream<TcpStream>> {
        let name = ServerName::try_from(self.network.host.clone()).map_err(io::Error::other)?;
        TlsConnector::from(Arc::new(config.clone())).connect(name, stream).await
    }

    /// Why the handshake failed.
    async fn tls_fault(&self, error: Option<&io::Error>) -> Finding {
        let inner = error.and_then(io::Error::get_ref).and_then(|inner| inner.downcast_ref::<Error>());
        let bad = |code, seen: String| Finding::bad(Check::Tls, code, seen);
        match inner {
            Some(Error::InvalidCertificate(why)) => {
                let shown = self.shown().await.unwrap_or_default();
                bad(certificate_code(why), shown)
            }
            // Whether our certificate is taken is said after the handshake only.
            Some(Error::AlertReceived(alert)) => bad("NOT_TLS_1_3", format!("{alert:?}")),
            Some(Error::PeerIncompatible(why)) => bad("NOT_TLS_1_3", format!("{why:?}")),
            Some(Error::InvalidMessage(_) | Error::InappropriateMessage { .. }) => {
                bad("NOT_TLS", self.address.clone())
            }
            Some(other) => bad("TLS_FAILED", other.to_string()),
            // Cut, or silence: whoever drops the large hello lets a small one through.
            None if self.small_works().await => bad("LARGE_HELLO_DROPPED", self.address.clone()),
            None => bad("TLS_SILENT", self.address.clone()),
        }
    }

    async fn small_works(&self) -> bool {
        let Ok(stream) = self.open().await else {
            return false;
        };
        let Some(config) = self.config(false) else {
            return false;
        };
        // Whatever is answered, it got through.
        match timeout(self.step_time_max, self.shake(stream, &config)).await {
            Ok(Ok(_)) => true,
            Ok(Err(error)) => error.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Error>),
            Err(_) => false,
        }
    }

    /// Who signed the certificate that is shown here: the name of what inspects TLS.
    async fn shown(&self) -> Option<String> {
        let stream = self.open().await.ok()?;
        let looker = Arc::new(Looker::default());
        let verifier: Arc<dyn ServerCertVerifier> = Arc::<Looker>::clone(&looker);
        let builder = ClientConfig::builder_with_provider(provider(true)).with_protocol_versions(&[&TLS13]);
        let config = builder.ok()?.dangerous().with_custom_certificate_verifier(verifier);
        let config = config.with_no_client_auth();
        drop(timeout(self.step_time_max, self.shake(stream, &config)).await);
        let leaf = looker.0.lock().unwrap_or_else(PoisonError::into_inner).take()?;
        let (_, read) = X509Certificate::from_der(&leaf).ok()?;
        Some(read.issuer().to_string())
    }

    /// The first answer: whether our certificate is taken is only said now; and by it the clocks are compared.
    async fn ask(&self, stream: TlsStream<TcpStream>, found: &mut Vec<Finding>) -> Option<Channel> {
        let refused = |seen: String| Finding::bad(Check::Gateway, "CERTIFICATE_REFUSED", seen);
        let channel = match connection::over(stream).await {
            Ok(channel) => channel,
            Err(error) => {
                found.push(refused(error.to_string()));
                return None;
            }
        };
        let request = wire::GetCheckpointRequest { log: wire::LogName::Directory.into() };
        let mut request = Request::new(request);
        request.set_timeout(self.step_time_max);
        let (metadata, answered) = match LogClient::new(channel.clone()).get_checkpoint(request).await {
            Ok(answer) => (answer.metadata().clone(), true),
            Err(status) if status.code() == tonic::Code::NotFound => (status.metadata().clone(), true),
            Err(status) => {
                found.push(refused(status.message().to_owned()));
                (status.metadata().clone(), false)
            }
        };
        if answered {
            found.push(Finding::good(Check::Gateway, self.network.host.as_str()));
        }
        let date = metadata.get("date").and_then(|date| date.to_str().ok());
        if let Some(theirs) = date.and_then(|date| httpdate::parse_http_date(date).ok()) {
            found.push(clock(theirs, SystemTime::now()));
        }
        answered.then_some(channel)
    }
}

enum NotOpen {
    Tcp(io::ErrorKind),
    Silent,
    Proxy(NotThrough),
}

fn provider(is_large: bool) -> Arc<CryptoProvider> {
    let all = aws_lc_rs::default_provider();
    let kx_groups = if is_large { all.kx_groups } else { vec![aws_lc_rs::kx_group::X25519] };
    Arc::new(CryptoProvider { kx_groups, ..all })
}

const fn certificate_code(why: &CertificateError) -> &'static str {
    use CertificateError as E;
    if matches!(why, E::Expired | E::ExpiredContext { .. } | E::NotValidYet | E::NotValidYetContext { .. }) {
        "GATEWAY_NOT_IN_TIME"
    } else if matches!(why, E::NotValidForName | E::NotValidForNameContext { .. }) {
        "GATEWAY_OTHER_NAME"
    } else {
        "TLS_INSPECTED"
    }
}

pub(super) fn clock(theirs: SystemTime, ours: SystemTime) -> Finding {
    let behind = theirs.duration_since(ours).map_or(0, |by| by.as_secs());
    let ahead = ours.duration_since(theirs).map_or(0, |by| by.as_secs());
    let (skew, seen) =
        if behind > ahead { (behind, format!("-{behind} s")) } else { (ahead, format!("+{ahead} s")) };
    if skew > CLOCK_SKEW_BAD_S {
        Finding::bad(Check::Clock, "CLOCK_WRONG", seen)
    } else if skew > CLOCK_SKEW_S {
        Finding::warning(Check::Clock, "CLOCK_OFF", seen)
    } else {
        Finding::good(Check::Clock, seen)
    }
}

/// Looks at the certificate that is shown, and takes none.
#[derive(Debug, Default)]
struct Looker(Mutex<Option<CertificateDer<'static>>>);

impl ServerCertVerifier for Looker {
    fn verify_server_cert(
        &self,
        leaf: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(leaf.clone().into_owned());
        Err(Error::InvalidCertificate(CertificateError::UnknownIssuer))
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.3 only".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("nothing is taken".to_owned()))
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        aws_lc_rs::default_provider().signature_verification_algorithms.supported_schemes()
    }
}
