//! The root in its folder, which is kept offline: certifies issuing certificates, revokes them, signs
//! its list. Not here: certificates for anybody else, which a root never signs.

use std::path::{Path, PathBuf};

use crate::{
    certificate::Certificate,
    error::{Error, Fault, Refusal},
    folder::{self, Lock},
    issuer::{ISSUING_LIFETIME, Issuer, KEY_FILE, Order, ROOT_LIFETIME, read_certificate},
    key::Key,
    ledger::{Holder, Issued, Reason},
    name::Network,
    permitted::Permitted,
    request::Request,
    revocation::{ROOT_CRL_VALIDITY, RevocationList},
    serial::Serial,
    template::{self, Validity},
    unix_time::{BACKDATE, Lifetime, UnixTime},
};

const NOTE_FILE: &str = "TAKE-THIS-FOLDER-OFFLINE.txt";
const NOTE: &str = "\
The key in this folder is the network's root. Whoever has it can be anybody in the network.

Move the whole folder to an encrypted medium that is kept in a safe, with a second copy in another
place, and remove it here. It is needed once a year, to sign the root's revocation list, and for a new
issuing certificate. How: see certs/README.md, `The ceremony`, or `certs root --help`.
";

/// The root. `Debug` shows no key.
pub struct Root {
    folder: PathBuf,
    network: Network,
    issuer: Issuer,
}

impl Root {
    /// Makes a root in a new folder.
    pub(crate) fn create(
        folder: &Path,
        network: &Network,
        lifetime: Lifetime,
        now: UnixTime,
    ) -> Result<Self, Error> {
        limit(lifetime, ROOT_LIFETIME)?;
        folder::create_folder(folder)?;
        let key = Key::generate()?;
        key.save(&folder.join(KEY_FILE))?;
        let validity = Validity { from: now.minus(BACKDATE), until: now.plus(lifetime) };
        let params = template::root(network, &Serial::random()?, validity);
        let made = params.self_signed(key.pair()).map_err(|_| Fault::Signing)?;
        let certificate = Certificate::from_der(made.der()).map_err(|_| Fault::Signing)?;
        let issuer = Issuer::create(folder, &certificate, ROOT_CRL_VALIDITY, now)?;
        folder::replace_public(&folder.join(NOTE_FILE), NOTE.as_bytes())?;
        Ok(Self { folder: folder.into(), network: network.clone(), issuer })
    }

    /// Opens a root's folder, wherever it was taken.
    ///
    /// # Errors
    /// [`Refusal::TooOpen`], [`Fault::Damaged`], [`Fault::Io`].
    pub fn open(folder: &Path) -> Result<Self, Error> {
        let issuer = Issuer::open(folder)?;
        let damaged = || Fault::Damaged { path: folder.into() };
        let network = issuer.certificate().network().ok_or_else(damaged)?;
        Ok(Self { folder: folder.into(), network, issuer })
    }

    /// The network.
    #[must_use]
    pub const fn network(&self) -> &Network {
        &self.network
    }

    /// The root's certificate.
    #[must_use]
    pub const fn certificate(&self) -> &Certificate {
        self.issuer.certificate()
    }

    /// The root's revocation list, as last signed.
    #[must_use]
    pub const fn list(&self) -> &RevocationList {
        self.issuer.list()
    }

    /// The issuing certificates, in order.
    #[must_use]
    pub fn issued(&self) -> &[Issued] {
        self.issuer.ledger().issued()
    }

    /// Certifies an issuing certificate for the key of a request, under the next number.
    ///
    /// # Errors
    /// [`Refusal::Lifetime`] over [`ISSUING_LIFETIME`], [`Refusal::Expired`] for the root itself,
    /// [`Refusal::CompromisedKey`], [`Fault`].
    pub fn sign_issuing(
        &mut self,
        request: &Request,
        permitted: &Permitted,
        lifetime: Lifetime,
        now: UnixTime,
    ) -> Result<Certificate, Error> {
        limit(lifetime, ISSUING_LIFETIME)?;
        let lock = self.begin()?;
        let own = self.issuer.certificate();
        if !own.is_in_force(now) {
            return Err(Refusal::Expired { serial: own.serial.clone(), at: own.not_after }.into());
        }
        let number = u32::try_from(self.issued().len()).unwrap_or(u32::MAX).saturating_add(1);
        let order = Order { holder: Holder::Issuing(number), names: Vec::new(), request, lifetime };
        let network = &self.network;
        let made = self.issuer.issue(&lock, &order, now, |serial, validity| {
            Ok(template::issuing(network, number, permitted, serial, validity))
        })?;
        folder::replace_public(&self.issuing_file(number), made.to_pem().as_bytes())?;
        Ok(made)
    }

    /// What the last issuing certificate permits.
    ///
    /// # Errors
    /// [`Refusal::NoIssuing`] when there is none, [`Fault::Damaged`].
    pub fn last_permitted(&self) -> Result<Permitted, Error> {
        let number = u32::try_from(self.issued().len()).unwrap_or(u32::MAX);
        if number == 0 {
            return Err(Refusal::NoIssuing.into());
        }
        let last = read_certificate(&self.issuing_file(number))?;
        let permitted = last.constraints.map(|constraints| constraints.permitted).unwrap_or_default();
        Ok(Permitted::new(&self.network, permitted)?)
    }

    fn issuing_file(&self, number: u32) -> PathBuf {
        self.folder.join(format!("issuing-{number}.pem"))
    }

    /// Revokes an issuing certificate, and with it everything that it issued; signs the list.
    ///
    /// # Errors
    /// [`Refusal::NotIssued`], [`Fault`].
    pub fn revoke_issuing(&mut self, number: u32, reason: Reason, now: UnixTime) -> Result<Issued, Error> {
        let lock = self.begin()?;
        let of_number = |issued: &&Issued| issued.holder == Holder::Issuing(number);
        let found = self.issued().iter().find(of_number).cloned().ok_or(Refusal::NotIssued)?;
        if found.revocation.is_none() {
            self.issuer.revoke(&lock, std::slice::from_ref(&found.serial), reason, now)?;
        }
        self.issuer.sign_list(&lock, ROOT_CRL_VALIDITY, now)?;
        self.issuer.ledger().find(&found.serial).cloned().ok_or_else(|| Refusal::NotIssued.into())
    }

    /// Signs the root's revocation list anew.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn sign_list(&mut self, now: UnixTime) -> Result<&RevocationList, Error> {
        let lock = self.begin()?;
        self.issuer.sign_list(&lock, ROOT_CRL_VALIDITY, now)?;
        Ok(self.issuer.list())
    }

    fn begin(&mut self) -> Result<Lock, Error> {
        let lock = folder::lock(&self.folder)?;
        self.issuer.refresh()?;
        Ok(lock)
    }
}

impl std::fmt::Debug for Root {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Root").field("network", &self.network).finish_non_exhaustive()
    }
}

/// Refuses a lifetime of nothing or over this.
pub(crate) fn limit(lifetime: Lifetime, most: Lifetime) -> Result<(), Refusal> {
    if lifetime.seconds() == 0 || lifetime > most { Err(Refusal::Lifetime { most }) } else { Ok(()) }
}
