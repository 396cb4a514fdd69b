//! What the TLS of the gateway's door is made of, and made of again when the files change. TLS 1.3,
//! mutual, without resumption: a resumed session would skip the check of a revoked certificate. Not
//! here: accepting connections.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use proto::ids::TimeMs;
use rustls::{
    RootCertStore, ServerConfig,
    crypto::{CryptoProvider, aws_lc_rs},
    server::{NoServerSessionStorage, WebPkiClientVerifier},
    version::TLS13,
};
use rustls_pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer,
    pem::{Error as PemError, PemObject as _},
};
use thiserror::Error;
use x509_parser::prelude::FromDer as _;

use super::certificate::Serial;

/// Longest file of certificates, keys or CRLs, in bytes.
pub const FILE_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Where the files are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The gateway's certificate chain, PEM, leaf first.
    pub chain: PathBuf,
    /// Its key, PEM.
    pub key: PathBuf,
    /// The roots that callers' certificates must lead to, PEM.
    pub roots: PathBuf,
    /// A CRL of each authority of the chain, PEM.
    pub crls: PathBuf,
}

/// What was made of the files.
#[derive(Debug, Clone)]
pub struct Tls {
    /// For the door.
    pub server: Arc<ServerConfig>,
    /// For the console's door: the same, for browsers.
    pub console: Arc<ServerConfig>,
    /// For the door of enrolment: nobody has a certificate there yet. It shows the root too, which an
    /// invitation names by its digest only.
    pub enrolment: Arc<ServerConfig>,
    /// All that the CRLs name.
    pub revoked: BTreeSet<Serial>,
    /// When the first CRL runs out, in Unix seconds: from then on nobody gets in.
    pub crls_until: i64,
    /// When the gateway's own certificate runs out, in Unix seconds.
    pub certificate_until: i64,
}

/// Why the files cannot be used. What was in use before stays in use.
#[derive(Debug, Error)]
pub enum TlsFault {
    /// A file cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// A file is larger than [`FILE_BYTES_MAX`].
    #[error("{} is larger than {FILE_BYTES_MAX} bytes", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
    },
    /// A file does not hold what it should.
    #[error("{} does not hold {wanted} in PEM", path.display())]
    Pem {
        /// Which.
        path: PathBuf,
        /// What was looked for.
        wanted: &'static str,
    },
    /// An empty list of CRLs would mean that nothing is checked.
    #[error("{} holds no CRL; make one with `certs crl`: without one no caller can be checked", path.display())]
    NoCrl {
        /// Which.
        path: PathBuf,
    },
    /// A CRL has run out: nobody's certificate could be checked, and nobody would get in.
    #[error("{} holds a CRL that has run out; sign it again with `certs crl`", path.display())]
    CrlOver {
        /// Which.
        path: PathBuf,
    },
    /// The pieces do not fit each other.
    #[error("the TLS files do not fit each other: {0}")]
    Rustls(String),
}

/// The one crypto provider, with hybrid post-quantum key exchange first.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

impl TlsFiles {
    /// Reads the files and makes the door's TLS of them, for this moment.
    ///
    /// # Errors
    /// [`TlsFault`].
    pub fn load(&self, now: TimeMs) -> Result<Tls, TlsFault> {
        let crls = crls(&self.crls)?;
        let (revoked, crls_until) = revoked(&self.crls, &crls)?;
        if u64::try_from(crls_until).unwrap_or(0) <= now.0 / 1000 {
            return Err(TlsFault::CrlOver { path: self.crls.clone() });
        }
        let mut roots = RootCertStore::empty();
        let root_certificates = certificates(&self.roots)?;
        for root in &root_certificates {
            roots.add(root.clone()).map_err(rustls_fault)?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider())
            .with_crls(crls)
            .enforce_revocation_expiration()
            .build()
            .map_err(rustls_fault)?;
        let bytes = read(&self.key)?;
        let key = PrivateKeyDer::from_pem_slice(&bytes)
            .map_err(|_: PemError| TlsFault::Pem { path: self.key.clone(), wanted: "a private key" })?;
        let chain = certificates(&self.chain)?;
        let certificate_until = chain.first().map_or(0, ends_at);
        let whole_chain = chain.iter().cloned().chain(root_certificates).collect();
        let builder = || {
            let builder = ServerConfig::builder_with_provider(provider());
            builder.with_protocol_versions(&[&TLS13]).map_err(rustls_fault)
        };
        let server = builder()?.with_client_cert_verifier(verifier);
        let server = server.with_single_cert(chain, key.clone_key()).map_err(rustls_fault)?;
        let enrolment = builder()?.with_no_client_auth().with_single_cert(whole_chain, key);
        let enrolment = enrolment.map_err(rustls_fault)?;
        let server = finished(server);
        let console = for_browsers(&server);
        Ok(Tls { server, console, enrolment: finished(enrolment), revoked, crls_until, certificate_until })
    }

    /// What tells that a file was changed: lengths and times of change.
    #[must_use]
    pub fn stamp(&self) -> Vec<Option<(u64, std::time::SystemTime)>> {
        let stamp = |path: &PathBuf| {
            let metadata = fs::metadata(path).ok()?;
            Some((metadata.len(), metadata.modified().ok()?))
        };
        [&self.chain, &self.key, &self.roots, &self.crls].into_iter().map(stamp).collect()
    }
}

fn finished(mut server: ServerConfig) -> Arc<ServerConfig> {
    // A resumed session skips the certificate, and with it the CRL.
    server.send_tls13_tickets = 0;
    server.session_storage = Arc::new(NoServerSessionStorage {});
    server.alpn_protocols = vec![b"h2".to_vec()];
    Arc::new(server)
}

/// The same policy, for HTTP/1.1: a page is a few requests.
fn for_browsers(server: &ServerConfig) -> Arc<ServerConfig> {
    let mut console = server.clone();
    console.alpn_protocols = vec![b"http/1.1".to_vec()];
    Arc::new(console)
}

#[allow(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn rustls_fault(error: impl ToString) -> TlsFault {
    TlsFault::Rustls(error.to_string())
}

fn read(path: &Path) -> Result<Vec<u8>, TlsFault> {
    let file = |error| TlsFault::File { path: path.to_owned(), error };
    if fs::metadata(path).map_err(file)?.len() > FILE_BYTES_MAX {
        return Err(TlsFault::TooLarge { path: path.to_owned() });
    }
    fs::read(path).map_err(file)
}

/// The certificates of a PEM file, at least one.
///
/// # Errors
/// [`TlsFault`].
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsFault> {
    let bytes = read(path)?;
    let found: Result<Vec<_>, PemError> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| TlsFault::Pem { path: path.to_owned(), wanted: "certificates" })
}

/// When a certificate runs out, in Unix seconds; 0 for one that cannot be read, which rustls refuses.
fn ends_at(certificate: &CertificateDer<'_>) -> i64 {
    let read = x509_parser::certificate::X509Certificate::from_der(certificate);
    read.map_or(0, |(_, read)| read.validity().not_after.timestamp())
}

fn crls(path: &Path) -> Result<Vec<CertificateRevocationListDer<'static>>, TlsFault> {
    let bytes = read(path)?;
    let found: Result<Vec<_>, PemError> = CertificateRevocationListDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|_| TlsFault::Pem { path: path.to_owned(), wanted: "CRLs" })?;
    if found.is_empty() {
        return Err(TlsFault::NoCrl { path: path.to_owned() });
    }
    Ok(found)
}

fn revoked(
    path: &Path,
    crls: &[CertificateRevocationListDer<'_>],
) -> Result<(BTreeSet<Serial>, i64), TlsFault> {
    let mut revoked = BTreeSet::new();
    let mut until = i64::MAX;
    for crl in crls {
        let (_, read) = x509_parser::revocation_list::CertificateRevocationList::from_der(crl)
            .map_err(|_| TlsFault::Pem { path: path.to_owned(), wanted: "CRLs" })?;
        let issuer = read.issuer().as_raw();
        revoked.extend(read.iter_revoked_certificates().map(|entry| Serial::new(issuer, entry.raw_serial())));
        until = until.min(read.next_update().map_or(0, |next| next.timestamp()));
    }
    Ok((revoked, until))
}
