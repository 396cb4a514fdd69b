//! A private key for TLS, ECDSA P-256: the one kind that every stock TLS stack takes. Not here: keys that
//! sign envelopes or logs.

use std::{fmt, path::Path};

use rcgen::KeyPair;
use rustls_pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _};
use zeroize::Zeroizing;

use crate::{
    error::{Error, Fault, Malformed},
    folder,
    request::Request,
    template, text,
};

/// Longest key file that is read, in bytes; one that is made here has 241.
const KEY_BYTES_MAX: u64 = 4096;

/// A private key. Wiped from memory when dropped, as far as the libraries allow; never shown by
/// `Debug`.
pub struct Key(Zeroizing<KeyPair>);

impl Key {
    /// Makes a new key.
    ///
    /// # Errors
    /// [`Fault::Randomness`].
    pub fn generate() -> Result<Self, Fault> {
        let pair = KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).map_err(|_| Fault::Randomness)?;
        Ok(Self(Zeroizing::new(pair)))
    }

    /// Reads PEM of PKCS #8.
    ///
    /// # Errors
    /// [`Malformed::Key`].
    pub fn from_pem(text: &[u8]) -> Result<Self, Malformed> {
        let key = PrivatePkcs8KeyDer::from_pem_slice(text).map_err(|_| Malformed::Key)?;
        let key = Zeroizing::new(key.secret_pkcs8_der().to_vec());
        let der = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(key.as_slice()));
        let pair = KeyPair::from_der_and_sign_algo(&der, &rcgen::PKCS_ECDSA_P256_SHA256);
        pair.map(Zeroizing::new).map(Self).map_err(|_| Malformed::Key)
    }

    /// The key as PEM of PKCS #8.
    #[must_use]
    pub fn to_pem(&self) -> Zeroizing<String> {
        Zeroizing::new(text::write_pem("PRIVATE KEY", self.0.serialized_der()))
    }

    /// The key as rustls takes it.
    #[must_use]
    pub fn to_pki(&self) -> PrivateKeyDer<'static> {
        PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(self.0.serialized_der().to_vec()))
    }

    /// A certificate signing request of this key. It names nobody: who a certificate is for is the
    /// issuer's word.
    ///
    /// # Errors
    /// [`Fault::Signing`].
    pub fn request(&self) -> Result<Request, Error> {
        let made = template::nobody().serialize_request(self.pair()).map_err(|_| Fault::Signing)?;
        Request::from_der(made.der())
    }

    /// Writes the key to a new file, 0600, whole or not at all.
    ///
    /// # Errors
    /// [`crate::Refusal::Exists`]: a key is never overwritten. [`Fault::Io`].
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        folder::create_private(path, self.to_pem().as_bytes())
    }

    /// Reads a key's file.
    ///
    /// # Errors
    /// [`crate::Refusal::TooOpen`] when others may read it, [`Malformed::Key`], [`Fault::Io`].
    pub fn load(path: &Path) -> Result<Self, Error> {
        let text = Zeroizing::new(folder::read_private(path, KEY_BYTES_MAX)?);
        Ok(Self::from_pem(&text)?)
    }

    pub(crate) fn pair(&self) -> &KeyPair {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Refusal;

    #[test]
    fn keys_go_round_and_are_never_shown() {
        let key = Key::generate().unwrap();
        let again = Key::from_pem(key.to_pem().as_bytes()).unwrap();
        assert_eq!(key.to_pki(), again.to_pki());
        assert_eq!(format!("{key:?}"), "Key(secret)");
        assert_eq!(Key::from_pem(b"").err(), Some(Malformed::Key));
        let other = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap();
        let other = text::write_pem("PRIVATE KEY", other.serialized_der());
        assert_eq!(Key::from_pem(other.as_bytes()).err(), Some(Malformed::Key));
    }

    #[test]
    fn key_files_are_private_and_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("key.pem");
        Key::generate().unwrap().save(&path).unwrap();
        let before = std::fs::read(&path).unwrap();
        assert_eq!(Key::generate().unwrap().save(&path), Err(Refusal::Exists { path: path.clone() }.into()));
        assert_eq!(std::fs::read(&path).unwrap(), before);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
        Key::load(&path).unwrap();
        for mode in [0o640, 0o604, 0o620, 0o601] {
            folder::set_mode(&path, mode);
            let refused = Refusal::TooOpen { path: path.clone(), mode };
            assert_eq!(Key::load(&path).err(), Some(refused.into()));
        }
    }
}
