//! The 16 bytes that one age file is encrypted with, and the keys that follow from them. Not here:
//! wrapping them for a recipient (`stanza`).

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit as _};
use hpke::rand_core::CryptoRng;
use sha2::Sha256;
use zeroize::Zeroizing;

pub(crate) const FILE_KEY_BYTES: usize = 16;
pub(crate) const NONCE_BYTES: usize = 16;

const DERIVED_BYTES: usize = 32;

/// A primitive refused input of a fixed, right length: a fault of a library, which no input causes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PrimitiveFailed;

/// The key of one age file; wiped from memory when dropped.
/// Source: C2SP age, "File key", "Header MAC", "Payload".
pub(crate) struct FileKey(Zeroizing<[u8; FILE_KEY_BYTES]>);

impl FileKey {
    pub(crate) fn generate(rng: &mut impl CryptoRng) -> Self {
        let mut bytes = Zeroizing::new([0; FILE_KEY_BYTES]);
        rng.fill_bytes(bytes.as_mut_slice());
        Self(bytes)
    }

    pub(crate) const fn new(bytes: Zeroizing<[u8; FILE_KEY_BYTES]>) -> Self {
        Self(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8; FILE_KEY_BYTES] {
        &self.0
    }

    /// The MAC of the header, ready to be fed with it.
    pub(crate) fn header_mac(&self) -> Result<Hmac<Sha256>, PrimitiveFailed> {
        let key = self.derive(&[], b"header")?;
        Hmac::new_from_slice(key.as_slice()).map_err(|_| PrimitiveFailed)
    }

    /// The key of the payload that begins with `nonce`.
    pub(crate) fn payload_key(
        &self,
        nonce: &[u8; NONCE_BYTES],
    ) -> Result<Zeroizing<[u8; DERIVED_BYTES]>, PrimitiveFailed> {
        self.derive(nonce, b"payload")
    }

    fn derive(&self, salt: &[u8], info: &[u8]) -> Result<Zeroizing<[u8; DERIVED_BYTES]>, PrimitiveFailed> {
        let mut key = Zeroizing::new([0; DERIVED_BYTES]);
        Hkdf::<Sha256>::new(Some(salt), self.0.as_slice())
            .expand(info, key.as_mut_slice())
            .map_err(|_| PrimitiveFailed)?;
        Ok(key)
    }
}
