//! A revocation list (CRL): made, read. Not here: which certificates are revoked (`ledger`).

use std::path::Path;

use rcgen::{
    CertificateRevocationListParams, Issuer, KeyIdMethod, KeyPair, RevocationReason, RevokedCertParams,
    SerialNumber,
};
use rustls_pki_types::{CertificateRevocationListDer, pem::SectionKind};
use x509_parser::{
    certificate::X509Certificate, prelude::FromDer as _, revocation_list::CertificateRevocationList,
};

use crate::{
    certificate::{Certificate, moment, name_of},
    error::{Error, Fault, Malformed},
    folder::{self, to_u64},
    ledger::{Issued, Reason, Revocation},
    serial::{Fingerprint, Serial},
    template::Validity,
    text,
    unix_time::{Lifetime, UnixTime},
};

/// How long an issuing certificate's list is in force, unless told otherwise. It is signed again when
/// less than half of that is left.
pub const CRL_VALIDITY: Lifetime = Lifetime::from_days(7);
/// The longest that an issuing certificate's list may be in force: so long may a verifier that was
/// given an old list take a revoked certificate for a good one.
pub const CRL_VALIDITY_MAX: Lifetime = Lifetime::from_days(31);
/// How long the root's list is in force: signing it takes a ceremony.
pub const ROOT_CRL_VALIDITY: Lifetime = Lifetime::from_days(365);
/// Longest list that is read, in bytes; an entry has about 50.
pub const CRL_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A revocation list that was read, not verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RevocationList {
    der: CertificateRevocationListDer<'static>,
    /// The SHA-256 of its DER.
    pub fingerprint: Fingerprint,
    /// Its issuer's subject, for people.
    pub issuer: String,
    /// Its number, which grows.
    pub number: u64,
    /// Its first moment.
    pub this_update: UnixTime,
    /// Its last moment.
    pub next_update: UnixTime,
    /// What it revokes.
    pub serials: Vec<Serial>,
}

impl RevocationList {
    /// Reads DER.
    ///
    /// # Errors
    /// [`Malformed::TooLarge`], [`Malformed::RevocationList`], also without number or next update.
    pub fn from_der(der: &[u8]) -> Result<Self, Malformed> {
        if der.len() > CRL_BYTES_MAX {
            let (bytes, limit_bytes) = (to_u64(der.len()), to_u64(CRL_BYTES_MAX));
            return Err(Malformed::TooLarge { bytes, limit_bytes });
        }
        match CertificateRevocationList::from_der(der) {
            Ok(([], parsed)) => read(der, &parsed).ok_or(Malformed::RevocationList),
            Ok(_) | Err(_) => Err(Malformed::RevocationList),
        }
    }

    /// Reads DER, or PEM of one list or more.
    ///
    /// # Errors
    /// As [`Self::from_der`].
    pub fn read_all(bytes: &[u8]) -> Result<Vec<Self>, Malformed> {
        if text::is_der(bytes) {
            return Ok(vec![Self::from_der(bytes)?]);
        }
        let sections = text::read_pem(bytes, SectionKind::Crl, &Malformed::RevocationList)?;
        sections.iter().map(|der| Self::from_der(der)).collect()
    }

    /// The list's bytes.
    #[must_use]
    pub const fn der(&self) -> &CertificateRevocationListDer<'static> {
        &self.der
    }

    /// The list as PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        text::write_pem("X509 CRL", &self.der)
    }

    /// Writes the PEM, whole or not at all, over what was there.
    ///
    /// # Errors
    /// [`crate::Fault::Io`].
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        folder::replace_public(path, self.to_pem().as_bytes())
    }

    /// Whether this moment is between its updates; at the very moment of the next, rustls refuses it.
    #[must_use]
    pub fn is_in_force(&self, now: UnixTime) -> bool {
        self.this_update <= now && now < self.next_update
    }

    /// Whether less than half of its time is left.
    #[must_use]
    pub fn is_half_gone(&self, now: UnixTime) -> bool {
        self.next_update.since(now) < self.next_update.since(self.this_update).half()
    }

    /// Whether it is signed by this certificate's key.
    pub(crate) fn is_signed_by(&self, issuer: &Certificate) -> bool {
        let parsed = CertificateRevocationList::from_der(&self.der).ok();
        let issuer = X509Certificate::from_der(issuer.der()).ok();
        parsed.zip(issuer).is_some_and(|((_, own), (_, issuer))| {
            own.issuer().as_raw() == issuer.subject().as_raw()
                && own.verify_signature(issuer.public_key()).is_ok()
        })
    }
}

/// Signs a list.
pub(crate) fn sign<'a>(
    issuer: &Issuer<'_, &KeyPair>,
    number: u64,
    validity: Validity,
    revoked: impl Iterator<Item = (&'a Issued, &'a Revocation)>,
) -> Result<Vec<u8>, Fault> {
    let params = CertificateRevocationListParams {
        this_update: validity.from.calendar(),
        next_update: validity.until.calendar(),
        crl_number: SerialNumber::from(number),
        issuing_distribution_point: None,
        revoked_certs: revoked.map(|(issued, revocation)| entry(issued, revocation)).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let list = params.signed_by(issuer).map_err(|_| Fault::Signing)?;
    Ok(list.der().to_vec())
}

fn entry(issued: &Issued, revocation: &Revocation) -> RevokedCertParams {
    RevokedCertParams {
        serial_number: SerialNumber::from_slice(issued.serial.as_bytes()),
        revocation_time: revocation.at.calendar(),
        reason_code: Some(match revocation.reason {
            Reason::Unspecified => RevocationReason::Unspecified,
            Reason::KeyCompromise => RevocationReason::KeyCompromise,
            Reason::AffiliationChanged => RevocationReason::AffiliationChanged,
            Reason::Superseded => RevocationReason::Superseded,
            Reason::CessationOfOperation => RevocationReason::CessationOfOperation,
            Reason::PrivilegeWithdrawn => RevocationReason::PrivilegeWithdrawn,
        }),
        invalidity_date: None,
    }
}

fn read(der: &[u8], parsed: &CertificateRevocationList<'_>) -> Option<RevocationList> {
    let serials: Option<Vec<_>> = parsed
        .iter_revoked_certificates()
        .map(|revoked| Serial::from_bytes(revoked.raw_serial()).ok())
        .collect();
    Some(RevocationList {
        der: CertificateRevocationListDer::from(der.to_vec()),
        fingerprint: Fingerprint::of(der),
        issuer: name_of(parsed.issuer()),
        number: parsed.crl_number().and_then(|number| u64::try_from(number).ok())?,
        this_update: moment(parsed.last_update())?,
        next_update: moment(parsed.next_update()?)?,
        serials: serials?,
    })
}
