//! A certificate signing request (PKCS #10): a public key and the proof that its holder has the private
//! one. Not here: the names in it, which are ignored, since who a certificate is for is the issuer's word.

use std::path::Path;

use rcgen::SubjectPublicKeyInfo;
use rustls_pki_types::pem::SectionKind;
use x509_parser::{
    certification_request::X509CertificationRequest,
    oid_registry::{
        OID_PKCS1_RSASSAPSS, OID_PKCS1_SHA256WITHRSA, OID_PKCS1_SHA384WITHRSA, OID_PKCS1_SHA512WITHRSA,
        OID_SIG_ECDSA_WITH_SHA256, OID_SIG_ECDSA_WITH_SHA384, OID_SIG_ED25519,
    },
    prelude::FromDer as _,
    public_key::PublicKey,
};

use crate::{
    error::{Error, Malformed, Refusal},
    folder,
    serial::Fingerprint,
    text,
};

/// Longest request that is read, in bytes. With the largest key that is certified it has about 2 KiB.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024;

const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;

/// A request whose proof of possession was verified, for a key of a kind that is certified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Request {
    der: Vec<u8>,
    key: SubjectPublicKeyInfo,
    key_digest: Fingerprint,
}

impl Request {
    /// Reads PEM or DER.
    ///
    /// # Errors
    /// [`Malformed::TooLarge`], [`Malformed::Request`], [`Refusal::KeyKind`],
    /// [`Refusal::NoProofOfPossession`].
    pub fn read(bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > REQUEST_BYTES_MAX {
            return Err(too_large(bytes.len()).into());
        }
        if text::is_der(bytes) {
            return Self::from_der(bytes);
        }
        match text::read_pem(bytes, SectionKind::Csr, &Malformed::Request)?.as_slice() {
            [der] => Self::from_der(der),
            _ => Err(Malformed::Request.into()),
        }
    }

    /// Reads DER.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        if der.len() > REQUEST_BYTES_MAX {
            return Err(too_large(der.len()).into());
        }
        let (rest, request) = X509CertificationRequest::from_der(der).map_err(|_| Malformed::Request)?;
        if !rest.is_empty() {
            return Err(Malformed::Request.into());
        }
        let info = &request.certification_request_info.subject_pki;
        let key = SubjectPublicKeyInfo::from_der(info.raw).map_err(|_| Refusal::KeyKind)?;
        if !is_certified(&info.parsed().map_err(|_| Refusal::KeyKind)?, &key) || !is_signed_well(&request) {
            return Err(Refusal::KeyKind.into());
        }
        request.verify_signature().map_err(|_| Refusal::NoProofOfPossession)?;
        Ok(Self { der: der.to_vec(), key, key_digest: Fingerprint::of(info.raw) })
    }

    /// The request in DER.
    #[must_use]
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The request in PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        text::write_pem("CERTIFICATE REQUEST", &self.der)
    }

    /// Writes the PEM, whole or not at all, over what was there.
    ///
    /// # Errors
    /// [`crate::Fault::Io`].
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        folder::replace_public(path, self.to_pem().as_bytes())
    }

    /// The SHA-256 of the public key's DER (`SubjectPublicKeyInfo`).
    #[must_use]
    pub const fn key_digest(&self) -> Fingerprint {
        self.key_digest
    }

    pub(crate) const fn key(&self) -> &SubjectPublicKeyInfo {
        &self.key
    }
}

fn too_large(bytes: usize) -> Malformed {
    Malformed::TooLarge { bytes: folder::to_u64(bytes), limit_bytes: folder::to_u64(REQUEST_BYTES_MAX) }
}

/// What rustls verifies and stock TLS stacks make.
fn is_certified(parsed: &PublicKey<'_>, key: &SubjectPublicKeyInfo) -> bool {
    use rcgen::PublicKeyData as _;
    let kind = key.algorithm();
    let curve = kind == &rcgen::PKCS_ECDSA_P256_SHA256
        || kind == &rcgen::PKCS_ECDSA_P384_SHA384
        || kind == &rcgen::PKCS_ED25519;
    match parsed {
        PublicKey::RSA(rsa) => kind == &rcgen::PKCS_RSA_SHA256 && RSA_BITS.contains(&rsa.key_size()),
        PublicKey::EC(_) | PublicKey::Unknown(_) => curve,
        PublicKey::DSA(_) | PublicKey::GostR3410(_) | PublicKey::GostR3410_2012(_) => false,
    }
}

/// No SHA-1.
fn is_signed_well(request: &X509CertificationRequest<'_>) -> bool {
    [
        OID_SIG_ECDSA_WITH_SHA256,
        OID_SIG_ECDSA_WITH_SHA384,
        OID_SIG_ED25519,
        OID_PKCS1_SHA256WITHRSA,
        OID_PKCS1_SHA384WITHRSA,
        OID_PKCS1_SHA512WITHRSA,
        OID_PKCS1_RSASSAPSS,
    ]
    .contains(&request.signature_algorithm.algorithm)
}
