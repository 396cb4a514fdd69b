//! What is handed out: a certificate with its chain, with its key when that was made here, and what
//! verifiers need. Not here: making them (`authority`).

use std::{fmt, path::Path};

use rustls_pki_types::{CertificateDer, CertificateRevocationListDer, PrivateKeyDer};

use crate::{
    certificate::{CERTIFICATE_BYTES_MAX, Certificate},
    error::{Error, Refusal},
    folder::{self, to_u64},
    issuer::{CERTIFICATE_FILE, KEY_FILE},
    key::Key,
    revocation::RevocationList,
};

/// The file with the root's certificate, as [`Trust::save`] writes it.
pub(crate) const ROOT_FILE: &str = "root.pem";
/// The file with all revocation lists, as [`Trust::save`] writes it.
pub(crate) const LISTS_FILE: &str = "crls.pem";
/// The folder in which a new key and certificate wait to be put in place, both whole.
const RENEWED_FOLDER: &str = "renewed";
/// The same before it is whole, and after it is in place: nobody needs it.
const UNDECIDED_FOLDER: &str = "renewed.new";

/// A certificate and the issuing certificate that signed it. The root is not in it: whoever verifies
/// has it already.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Chain {
    /// The certificate.
    pub certificate: Certificate,
    /// Who signed it.
    pub issuing: Certificate,
}

impl Chain {
    /// The two, as rustls takes them.
    #[must_use]
    pub fn to_pki(&self) -> Vec<CertificateDer<'static>> {
        vec![self.certificate.der().clone(), self.issuing.der().clone()]
    }

    /// The two, as PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        self.certificate.to_pem() + &self.issuing.to_pem()
    }

    /// Writes the PEM, whole or not at all, over what was there.
    ///
    /// # Errors
    /// [`crate::Fault::Io`].
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        folder::replace_public(path, self.to_pem().as_bytes())
    }
}

/// A certificate, its chain and its key. `Debug` shows no key.
pub struct Credential {
    chain: Chain,
    key: Key,
}

impl Credential {
    /// Of a chain and the key that it is for.
    #[must_use]
    pub const fn new(chain: Chain, key: Key) -> Self {
        Self { chain, key }
    }

    /// The certificate.
    #[must_use]
    pub const fn certificate(&self) -> &Certificate {
        &self.chain.certificate
    }

    /// The certificate and who signed it, as rustls takes them.
    #[must_use]
    pub fn chain(&self) -> Vec<CertificateDer<'static>> {
        self.chain.to_pki()
    }

    /// The key, as rustls takes it.
    #[must_use]
    pub fn key(&self) -> PrivateKeyDer<'static> {
        self.key.to_pki()
    }

    /// Refuses a folder that has a key already, or that others may enter.
    ///
    /// # Errors
    /// [`Refusal::Exists`], [`Refusal::TooOpen`].
    pub fn check_free(folder: &Path) -> Result<(), Error> {
        let key = folder.join(KEY_FILE);
        if key.exists() {
            return Err(Refusal::Exists { path: key }.into());
        }
        if folder.exists() { folder::check_folder(folder) } else { Ok(()) }
    }

    /// Writes `key.pem` (0600) and `certificate.pem` into a folder, which is made (0700) if it is not
    /// there.
    ///
    /// # Errors
    /// [`Refusal::Exists`]: a key is never overwritten. [`Refusal::TooOpen`],
    /// [`crate::Fault::Io`].
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        folder::open_or_create_folder(path)?;
        self.key.save(&path.join(KEY_FILE))?;
        self.chain.save(&path.join(CERTIFICATE_FILE))
    }

    /// Puts this key and certificate in the place of those in a folder, both or neither, also when the
    /// power fails in between: then [`Self::settle`] ends it. Whoever reads in the very moment may find
    /// two that do not fit, and must keep what it has and read again.
    ///
    /// # Errors
    /// [`Refusal::TooOpen`], [`Fault::Io`](crate::Fault::Io).
    pub fn replace(&self, path: &Path) -> Result<(), Error> {
        folder::check_folder(path)?;
        Self::settle(path)?;
        let made = path.join(UNDECIDED_FOLDER);
        folder::remove_folder(&made)?;
        folder::create_folder(&made)?;
        self.save(&made)?;
        // From here on it will be done.
        folder::rename_to_new(&made, &path.join(RENEWED_FOLDER))?;
        folder::sync_parent(&path.join(RENEWED_FOLDER))?;
        Self::settle(path)
    }

    /// Ends a replacement that was interrupted; otherwise does nothing. To be called before a folder's
    /// key and certificate are read for the first time.
    ///
    /// # Errors
    /// [`Refusal::TooOpen`], [`Fault::Io`](crate::Fault::Io).
    pub fn settle(path: &Path) -> Result<(), Error> {
        let renewed = path.join(RENEWED_FOLDER);
        if !renewed.exists() {
            return Ok(());
        }
        folder::check_folder(&renewed)?;
        let key = Key::load(&renewed.join(KEY_FILE))?;
        let chain = folder::read(&renewed.join(CERTIFICATE_FILE), to_u64(4 * CERTIFICATE_BYTES_MAX))?;
        folder::replace_private(&path.join(KEY_FILE), key.to_pem().as_bytes())?;
        folder::replace_public(&path.join(CERTIFICATE_FILE), &chain)?;
        // Taken away in one step, so that it is never found with one file of two.
        let done = path.join(UNDECIDED_FOLDER);
        folder::remove_folder(&done)?;
        folder::rename_to_new(&renewed, &done)?;
        folder::remove_folder(&done)
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Credential").field("serial", &self.chain.certificate.serial).finish_non_exhaustive()
    }
}

/// What verifiers need, and all that they need: the root's certificate and every revocation list in
/// force. All of it is public.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Trust {
    pub(crate) root: Certificate,
    pub(crate) lists: Vec<RevocationList>,
}

impl Trust {
    /// The root.
    #[must_use]
    pub const fn root(&self) -> &Certificate {
        &self.root
    }

    /// The lists: the root's first, then that of each issuing certificate.
    #[must_use]
    pub fn lists(&self) -> &[RevocationList] {
        &self.lists
    }

    /// The root's certificate, as rustls takes it.
    #[must_use]
    pub fn anchor(&self) -> CertificateDer<'static> {
        self.root.der().clone()
    }

    /// The lists, as rustls takes them. Never empty, since rustls takes an empty list of lists to mean
    /// that nothing is to be checked.
    #[must_use]
    pub fn crls(&self) -> Vec<CertificateRevocationListDer<'static>> {
        self.lists.iter().map(|list| list.der().clone()).collect()
    }

    /// The lists as one PEM bundle.
    #[must_use]
    pub fn crls_pem(&self) -> String {
        self.lists.iter().map(RevocationList::to_pem).collect()
    }

    /// Writes `root.pem` and `crls.pem` into a folder, over what was there, and says whether there was
    /// anything else. So it may be called at every turn of a timer: lists may be new by other hands,
    /// those of a ceremony above all.
    ///
    /// # Errors
    /// [`crate::Fault::Io`].
    pub fn save(&self, path: &Path) -> Result<bool, Error> {
        let root = replace_if_other(&path.join(ROOT_FILE), &self.root.to_pem())?;
        let lists = replace_if_other(&path.join(LISTS_FILE), &self.crls_pem())?;
        Ok(root || lists)
    }
}

fn replace_if_other(path: &Path, content: &str) -> Result<bool, Error> {
    // What cannot be read, or is too long, is other.
    let limit_bytes = to_u64(content.len());
    let is_same = folder::read(path, limit_bytes).is_ok_and(|there| there == content.as_bytes());
    if !is_same {
        folder::replace_public(path, content.as_bytes())?;
    }
    Ok(!is_same)
}
