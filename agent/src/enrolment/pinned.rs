//! The connection to the door of enrolment: TLS 1.3, no certificate of ours yet, and of theirs only one
//! that leads to the root which the invitation names by its digest. Not here: what is said on it.

use std::{
    io,
    sync::{Arc, OnceLock},
};

use proto::{digest::Digest, ids::AgencyId, invitation::Invitation};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, SignatureScheme,
    client::{
        Resumption, WebPkiServerVerifier,
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    },
    crypto::{CryptoProvider, aws_lc_rs, verify_tls13_signature},
    pki_types::{CertificateDer, ServerName, UnixTime},
    version::TLS13,
};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::TlsConnector;
use tonic::transport::Channel;

use super::NotEnrolled;
use crate::{
    certificate,
    link::{
        connection::{self, CONNECT_TIME_MAX},
        proxy::Proxy,
    },
};

/// Makes one connection.
pub(super) struct Pinned {
    address: String,
    proxy: Option<Proxy>,
    name: ServerName<'static>,
    network: AgencyId,
    verifier: Arc<PinnedRoot>,
}

/// Accepts a chain only with one certificate of this digest in it, as its root.
#[derive(Debug)]
struct PinnedRoot {
    pin: Digest,
    provider: Arc<CryptoProvider>,
    /// The root, once a chain showed it.
    shown: OnceLock<CertificateDer<'static>>,
}

impl Pinned {
    pub(super) fn new(invitation: &Invitation, proxy: Option<Proxy>) -> Result<Self, NotEnrolled> {
        let address = invitation.enrolment.clone();
        let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| NotEnrolled::OtherNetwork)?;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let verifier = Arc::new(PinnedRoot { pin: invitation.root, provider, shown: OnceLock::new() });
        Ok(Self { address, proxy, name, network: invitation.network.clone(), verifier })
    }

    /// Connects; gives the channel and the network's root.
    pub(super) async fn connect(self) -> Result<(Channel, CertificateDer<'static>), NotEnrolled> {
        let late = |_| self.unreachable("no answer in time".to_owned());
        timeout(CONNECT_TIME_MAX, self.handshake()).await.map_err(late)?
    }

    async fn handshake(&self) -> Result<(Channel, CertificateDer<'static>), NotEnrolled> {
        let tcp = match &self.proxy {
            Some(proxy) => proxy.connect(&self.address).await?,
            None => {
                let tcp = TcpStream::connect(&self.address).await;
                tcp.map_err(|error| self.unreachable(error.kind().to_string()))?
            }
        };
        let tls = TlsConnector::from(Arc::new(self.config().map_err(|error| self.failed(&error))?));
        let stream = tls.connect(self.name.clone(), tcp).await.map_err(|error| self.failed_io(&error))?;
        let (_, session) = stream.get_ref();
        let leaf = session.peer_certificates().and_then(<[_]>::first);
        let identity = leaf.and_then(|leaf| certificate::uri(leaf).ok());
        let root = self.verifier.shown.get().cloned();
        let root = root.filter(|_| identity == Some(format!("spiffe://{}/gateway", self.network)));
        let root = root.ok_or_else(|| NotEnrolled::OtherRoot(self.address.clone()))?;
        let channel = connection::over(stream).await;
        Ok((channel.map_err(|error| self.unreachable(error.to_string()))?, root))
    }

    fn config(&self) -> Result<ClientConfig, Error> {
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.verifier.provider))
            .with_protocol_versions(&[&TLS13])?;
        let verifier: Arc<dyn ServerCertVerifier> = Arc::<PinnedRoot>::clone(&self.verifier);
        let mut config = builder.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth();
        config.alpn_protocols = vec![b"h2".to_vec()];
        config.resumption = Resumption::disabled();
        Ok(config)
    }

    fn unreachable(&self, why: String) -> NotEnrolled {
        NotEnrolled::Unreachable { address: self.address.clone(), why }
    }

    fn failed(&self, error: &Error) -> NotEnrolled {
        NotEnrolled::Handshake { address: self.address.clone(), why: error.to_string() }
    }

    fn failed_io(&self, error: &io::Error) -> NotEnrolled {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
        let unknown = Error::InvalidCertificate(CertificateError::UnknownIssuer);
        if inner == Some(&unknown) {
            return NotEnrolled::OtherRoot(self.address.clone());
        }
        NotEnrolled::Handshake { address: self.address.clone(), why: error.to_string() }
    }
}

impl ServerCertVerifier for PinnedRoot {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let root = intermediates.iter().find(|certificate| Digest::of(certificate) == self.pin);
        let root = root.ok_or(Error::InvalidCertificate(CertificateError::UnknownIssuer))?;
        let mut roots = RootCertStore::empty();
        roots.add(root.clone().into_owned())?;
        let verifier =
            WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&self.provider));
        let verifier = verifier.build().map_err(|error| Error::General(error.to_string()))?;
        let verified =
            verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)?;
        // Said once: the connection is made once.
        drop(self.shown.set(root.clone().into_owned()));
        Ok(verified)
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
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signature, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
