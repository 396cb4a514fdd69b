//! One signing certificate in its folder: key, certificate, ledger, revocation list. The root and each
//! issuing certificate are one. Not here: what it may certify (`root`, `authority`).

use std::path::{Path, PathBuf};

use rcgen::{CertificateParams, KeyPair, PublicKeyData as _};

use crate::{
    certificate::{CERTIFICATE_BYTES_MAX, Certificate},
    error::{Error, Fault, Refusal},
    folder::{self, Lock, to_u64},
    key::Key,
    ledger::{Holder, Issued, Ledger, Reason},
    permitted::GatewayName,
    request::Request,
    revocation::{self, CRL_BYTES_MAX, CRL_VALIDITY_MAX, RevocationList},
    serial::{Fingerprint, Serial},
    template::Validity,
    unix_time::{BACKDATE, Lifetime, UnixTime},
};

/// How long the certificate of a gateway, an agent or a member of staff lasts, unless told otherwise.
pub const LEAF_LIFETIME: Lifetime = Lifetime::from_days(90);
/// The longest that such a certificate may last.
pub const LEAF_LIFETIME_MAX: Lifetime = Lifetime::from_days(398);
/// How long an issuing certificate lasts, unless told otherwise.
pub const ISSUING_LIFETIME: Lifetime = Lifetime::from_days(3 * 365);
/// How long a root lasts, unless told otherwise.
pub const ROOT_LIFETIME: Lifetime = Lifetime::from_days(20 * 365);
/// Most certificates that one issuing certificate gives out: its ledger and the longest list that it can
/// come to stay small enough to be read whole.
pub const ISSUED_MAX: usize = 100_000;

pub(crate) const KEY_FILE: &str = "key.pem";
pub(crate) const CERTIFICATE_FILE: &str = "certificate.pem";
pub(crate) const LEDGER_FILE: &str = "ledger.jsonl";
pub(crate) const LIST_FILE: &str = "crl.pem";

/// What is to be certified.
pub(crate) struct Order<'a> {
    pub(crate) holder: Holder,
    pub(crate) names: Vec<GatewayName>,
    pub(crate) request: &'a Request,
    pub(crate) lifetime: Lifetime,
}

pub(crate) struct Issuer {
    folder: PathBuf,
    key: Key,
    certificate: Certificate,
    ledger: Ledger,
    list: RevocationList,
}

impl Issuer {
    /// Starts an authority in a folder that has its key already. The folder, or one above it, must be
    /// locked or unknown to others.
    pub(crate) fn create(
        folder: &Path,
        certificate: &Certificate,
        validity: Lifetime,
        now: UnixTime,
    ) -> Result<Self, Error> {
        folder::replace_public(&folder.join(CERTIFICATE_FILE), certificate.to_pem().as_bytes())?;
        let ledger = Ledger::create(&folder.join(LEDGER_FILE), certificate.fingerprint, now)?;
        let key = Key::load(&folder.join(KEY_FILE))?;
        let list = first_list(&key, certificate, validity, now)?;
        let mut issuer = Self { folder: folder.into(), key, certificate: certificate.clone(), ledger, list };
        issuer.keep_list(now)?;
        Ok(issuer)
    }

    pub(crate) fn open(folder: &Path) -> Result<Self, Error> {
        folder::check_folder(folder)?;
        let key = Key::load(&folder.join(KEY_FILE))?;
        let certificate = read_certificate(&folder.join(CERTIFICATE_FILE))?;
        let ledger = Ledger::open(&folder.join(LEDGER_FILE))?;
        let list = read_list(&folder.join(LIST_FILE), &certificate)?;
        if key_digest(&key) != certificate.key_digest {
            return Err(Fault::Damaged { path: folder.join(KEY_FILE) }.into());
        }
        if ledger.certificate() != Some(certificate.fingerprint) {
            return Err(Fault::Damaged { path: folder.join(LEDGER_FILE) }.into());
        }
        Ok(Self { folder: folder.into(), key, certificate, ledger, list })
    }

    /// Reads what other processes have done.
    pub(crate) fn refresh(&mut self) -> Result<(), Error> {
        let before = self.ledger.listed().number;
        self.ledger.refresh()?;
        if self.ledger.listed().number != before || self.list.number != before {
            self.list = read_list(&self.folder.join(LIST_FILE), &self.certificate)?;
        }
        Ok(())
    }

    pub(crate) const fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    pub(crate) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    pub(crate) const fn list(&self) -> &RevocationList {
        &self.list
    }

    /// Certifies. The certificate is in the ledger before it is returned.
    pub(crate) fn issue(
        &mut self,
        _: &Lock,
        order: &Order<'_>,
        now: UnixTime,
        template: impl FnOnce(&Serial, Validity) -> Result<CertificateParams, Fault>,
    ) -> Result<Certificate, Error> {
        if self.ledger.issued().len() >= ISSUED_MAX {
            return Err(Refusal::Full { limit: ISSUED_MAX }.into());
        }
        if self.ledger.is_compromised(&order.request.key_digest()) {
            return Err(Refusal::CompromisedKey.into());
        }
        let until = now.plus(order.lifetime).min(self.certificate.not_after);
        let params = template(&Serial::random()?, Validity { from: now.minus(BACKDATE), until })?;
        let signer = signer(&self.key, &self.certificate)?;
        let made = params.signed_by(order.request.key(), &signer).map_err(|_| Fault::Signing)?;
        // What was signed is read back: the ledger says what the certificate says.
        let made = Certificate::from_der(made.der()).map_err(|_| Fault::Signing)?;
        self.ledger.record_issued(&Issued {
            serial: made.serial.clone(),
            holder: order.holder.clone(),
            names: order.names.clone(),
            fingerprint: made.fingerprint,
            key_digest: made.key_digest,
            at: now,
            not_before: made.not_before,
            not_after: made.not_after,
            revocation: None,
        })?;
        Ok(made)
    }

    /// Revokes what is not revoked yet. The list is signed by the caller.
    pub(crate) fn revoke(
        &mut self,
        _: &Lock,
        serials: &[Serial],
        reason: Reason,
        now: UnixTime,
    ) -> Result<(), Error> {
        serials.iter().try_for_each(|serial| self.ledger.record_revoked(serial, reason, now))
    }

    /// Whether the list must be signed again: something was revoked after it, or less than half of its
    /// time is left, or it was signed when the clock was ahead.
    pub(crate) fn is_list_due(&self, now: UnixTime) -> bool {
        let listed = self.ledger.listed();
        let is_due = self.list.is_half_gone(now) || !self.list.is_in_force(now);
        listed.is_stale || listed.number != self.list.number || is_due
    }

    /// Signs a new list.
    pub(crate) fn sign_list(&mut self, _: &Lock, validity: Lifetime, now: UnixTime) -> Result<(), Error> {
        let number = self.ledger.listed().number.saturating_add(1);
        // An entry leaves the list when the certificate has expired and a list that was signed after
        // that has named it (RFC 5280, section 3.3).
        let kept = now.minus(validity.max(CRL_VALIDITY_MAX));
        let revoked = self
            .ledger
            .issued()
            .iter()
            .filter(|issued| issued.not_after >= kept)
            .filter_map(|issued| Some((issued, issued.revocation.as_ref()?)));
        let dates = Validity { from: now.minus(BACKDATE), until: now.plus(validity) };
        let der = revocation::sign(&signer(&self.key, &self.certificate)?, number, dates, revoked)?;
        self.list = RevocationList::from_der(&der).map_err(|_| Fault::Signing)?;
        self.keep_list(now)
    }

    /// The number is in the ledger before the list is seen, so that none is used twice.
    fn keep_list(&mut self, now: UnixTime) -> Result<(), Error> {
        self.ledger.record_listed(self.list.number, now)?;
        folder::replace_public(&self.folder.join(LIST_FILE), self.list.to_pem().as_bytes())
    }
}

fn first_list(
    key: &Key,
    certificate: &Certificate,
    validity: Lifetime,
    now: UnixTime,
) -> Result<RevocationList, Error> {
    let dates = Validity { from: now.minus(BACKDATE), until: now.plus(validity) };
    let der = revocation::sign(&signer(key, certificate)?, 1, dates, std::iter::empty())?;
    Ok(RevocationList::from_der(&der).map_err(|_| Fault::Signing)?)
}

fn signer<'a>(key: &'a Key, certificate: &Certificate) -> Result<rcgen::Issuer<'static, &'a KeyPair>, Fault> {
    rcgen::Issuer::from_ca_cert_der(certificate.der(), key.pair()).map_err(|_| Fault::Signing)
}

pub(crate) fn key_digest(key: &Key) -> Fingerprint {
    Fingerprint::of(&key.pair().subject_public_key_info())
}

/// Reads a file with one certificate.
pub(crate) fn read_certificate(path: &Path) -> Result<Certificate, Error> {
    // A chain of a few, in base64.
    let bytes = folder::read(path, to_u64(4 * CERTIFICATE_BYTES_MAX))?;
    let damaged = || Fault::Damaged { path: path.into() };
    Ok(Certificate::read_chain(&bytes).ok().and_then(|chain| chain.into_iter().next()).ok_or_else(damaged)?)
}

/// Reads a file with one list of this issuer.
pub(crate) fn read_list(path: &Path, issuer: &Certificate) -> Result<RevocationList, Error> {
    let bytes = folder::read(path, to_u64(2 * CRL_BYTES_MAX))?;
    let list = RevocationList::read_all(&bytes).ok().and_then(|lists| lists.into_iter().next());
    let damaged = || Fault::Damaged { path: path.into() };
    Ok(list.filter(|list| list.is_signed_by(issuer)).ok_or_else(damaged)?)
}
