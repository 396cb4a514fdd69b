//! Two rustls connections joined in memory, at a time that the test sets. Not here: certificates.

use std::{path::Path, sync::Arc};

use certs::{Credential, Trust, UnixTime};
use rustls::{
    ClientConfig, ClientConnection, Error, RootCertStore, ServerConfig, ServerConnection,
    client::WebPkiServerVerifier,
    crypto::aws_lc_rs,
    pki_types::{
        CertificateDer, CertificateRevocationListDer, PrivateKeyDer, ServerName, pem::PemObject as _,
    },
    server::WebPkiClientVerifier,
    time_provider::TimeProvider,
    version::TLS13,
};

/// A certificate's chain and its key.
pub(crate) struct Bearer {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

impl Bearer {
    pub(crate) fn of(credential: &Credential) -> Self {
        Self { chain: credential.chain(), key: credential.key() }
    }

    pub(crate) fn read(folder: &Path) -> Self {
        let chain = CertificateDer::pem_file_iter(folder.join("certificate.pem")).unwrap();
        Self {
            chain: chain.collect::<Result<_, _>>().unwrap(),
            key: PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap(),
        }
    }

    pub(crate) fn trusting(self, trust: &Trust) -> Side {
        Side { bearer: self, anchor: trust.anchor(), crls: trust.crls() }
    }
}

/// What one side has, and what it trusts.
pub(crate) struct Side {
    pub(crate) bearer: Bearer,
    pub(crate) anchor: CertificateDer<'static>,
    pub(crate) crls: Vec<CertificateRevocationListDer<'static>>,
}

impl Side {
    pub(crate) fn of(credential: &Credential, trust: &Trust) -> Self {
        Bearer::of(credential).trusting(trust)
    }
}

#[derive(Debug)]
struct At(UnixTime);

impl TimeProvider for At {
    fn current_time(&self) -> Option<rustls::pki_types::UnixTime> {
        Some(self.0.to_pki())
    }
}

/// Shakes hands, and says what the side that refuses says.
pub(crate) fn connect(server: &Side, client: &Side, name: &str, now: UnixTime) -> Result<(), Error> {
    let name = ServerName::try_from(name.to_owned()).unwrap();
    let mut client = ClientConnection::new(Arc::new(client_config(client, now)), name).unwrap();
    let mut server = ServerConnection::new(Arc::new(server_config(server, now))).unwrap();
    // Each turn carries a whole flight; a handshake of TLS 1.3 has three.
    for _ in 0..8 {
        let mut bytes = Vec::new();
        while client.wants_write() {
            client.write_tls(&mut bytes).unwrap();
        }
        let mut from_client = bytes.as_slice();
        while !from_client.is_empty() {
            server.read_tls(&mut from_client).unwrap();
            server.process_new_packets()?;
        }
        let mut bytes = Vec::new();
        while server.wants_write() {
            server.write_tls(&mut bytes).unwrap();
        }
        let mut from_server = bytes.as_slice();
        while !from_server.is_empty() {
            client.read_tls(&mut from_server).unwrap();
            client.process_new_packets()?;
        }
    }
    assert!(!client.is_handshaking() && !server.is_handshaking());
    Ok(())
}

fn roots(side: &Side) -> Arc<RootCertStore> {
    let mut roots = RootCertStore::empty();
    roots.add(side.anchor.clone()).unwrap();
    Arc::new(roots)
}

fn crls(side: &Side) -> Vec<CertificateRevocationListDer<'static>> {
    // To rustls an empty list means that nothing is to be checked.
    assert!(!side.crls.is_empty());
    side.crls.clone()
}

fn server_config(side: &Side, now: UnixTime) -> ServerConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(roots(side), Arc::clone(&provider))
        .with_crls(crls(side))
        .enforce_revocation_expiration()
        .build()
        .unwrap();
    ServerConfig::builder_with_details(provider, Arc::new(At(now)))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(side.bearer.chain.clone(), side.bearer.key.clone_key())
        .unwrap()
}

fn client_config(side: &Side, now: UnixTime) -> ClientConfig {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier = WebPkiServerVerifier::builder_with_provider(roots(side), Arc::clone(&provider))
        .with_crls(crls(side))
        .enforce_revocation_expiration()
        .build()
        .unwrap();
    ClientConfig::builder_with_details(provider, Arc::new(At(now)))
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_webpki_verifier(verifier)
        .with_client_auth_cert(side.bearer.chain.clone(), side.bearer.key.clone_key())
        .unwrap()
}
