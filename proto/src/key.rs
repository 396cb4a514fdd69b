//! Ed25519 keys as this project uses them: strict. Not here: who owns a key
//! (directory), and which bytes are signed (`dsse`, `log::note`).

use ed25519_dalek::Signer as _;

use crate::{Malformed, digest::Digest};

/// Bytes of an Ed25519 public key.
pub const PUBLIC_KEY_BYTES: usize = 32;
/// Bytes of an Ed25519 signature.
pub const SIGNATURE_BYTES: usize = 64;

/// Names a signing key: the first 16 bytes of the SHA-256 of its 32 bytes, in lower-case hex on the
/// wire. A hint for look-up; the directory refuses a second key with the same id.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyId(pub [u8; 16]);

impl KeyId {
    /// Characters of the wire form.
    pub const TEXT_BYTES: usize = 32;

    /// The id of any public key's bytes, whatever its algorithm.
    #[must_use]
    pub fn of(public_key: &[u8]) -> Self {
        let Digest(digest) = Digest::of(public_key);
        let mut id = [0; 16];
        id.copy_from_slice(digest.split_at(16).0);
        Self(id)
    }

    /// Reads the wire form: 32 lower-case hex digits.
    ///
    /// # Errors
    /// [`Malformed::Form`] for anything else.
    pub fn parse(text: &str, field: &'static str) -> Result<Self, Malformed> {
        let malformed = Malformed::Form { field };
        let digits = text.as_bytes();
        if digits.len() != Self::TEXT_BYTES {
            return Err(malformed);
        }
        let mut id = [0; 16];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            let mut value = 0u8;
            for digit in pair {
                let nibble = match digit {
                    b'0'..=b'9' => digit.wrapping_sub(b'0'),
                    b'a'..=b'f' => digit.wrapping_sub(b'a').wrapping_add(10),
                    _ => return Err(malformed),
                };
                value = value << 4 | nibble;
            }
            *byte = value;
        }
        Ok(Self(id))
    }
}

impl std::fmt::Display for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for KeyId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// An Ed25519 public key that is canonical and not of small order, so that a signature under it
/// means one signer and one message.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PublicKey(ed25519_dalek::VerifyingKey);

impl PublicKey {
    /// Reads the 32 bytes of RFC 8032.
    ///
    /// # Errors
    /// [`Malformed::Form`] when the bytes are no curve point, not its canonical encoding, or a
    /// point of small order (under which one signature fits many messages).
    pub fn parse(bytes: &[u8], field: &'static str) -> Result<Self, Malformed> {
        let malformed = Malformed::Form { field };
        let Ok(bytes) = <&[u8; PUBLIC_KEY_BYTES]>::try_from(bytes) else {
            return Err(Malformed::Length { field });
        };
        let Ok(key) = ed25519_dalek::VerifyingKey::from_bytes(bytes) else {
            return Err(malformed);
        };
        // Decompression keeps the given bytes; compressing the point again gives the canonical ones.
        if key.is_weak() || key.to_edwards().compress().to_bytes() != *bytes {
            return Err(malformed);
        }
        Ok(Self(key))
    }

    /// The 32 bytes of RFC 8032.
    #[must_use]
    pub fn to_bytes(self) -> [u8; PUBLIC_KEY_BYTES] {
        self.0.to_bytes()
    }

    /// The key's id.
    #[must_use]
    pub fn id(self) -> KeyId {
        KeyId::of(self.0.as_bytes())
    }

    /// Strict verification: canonical S, no small-order R, cofactorless equation, one at a time.
    /// Batch verification accepts signatures that this refuses, so a signer could repudiate.
    #[must_use]
    pub fn verifies(self, message: &[u8], signature: &[u8]) -> bool {
        ed25519_dalek::Signature::from_slice(signature)
            .is_ok_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }
}

impl std::fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PublicKey({})", self.id())
    }
}

/// An Ed25519 signing key. Signing is deterministic (RFC 8032), which is what lets a receipt be
/// derived again byte for byte. Wiped when dropped; `Debug` shows the public id only.
#[derive(Clone)]
pub struct SigningKey(ed25519_dalek::SigningKey);

impl SigningKey {
    /// Takes the 32-byte seed of RFC 8032.
    #[must_use]
    pub fn from_seed(seed: &[u8; 32]) -> Self {
        Self(ed25519_dalek::SigningKey::from_bytes(seed))
    }

    /// The public half.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    /// The 32-byte seed. Only an invitation's leaves a machine.
    #[must_use]
    pub(crate) fn seed(&self) -> [u8; 32] {
        self.0.to_bytes()
    }

    /// Signs: 64 bytes.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> [u8; SIGNATURE_BYTES] {
        self.0.sign(message).to_bytes()
    }
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SigningKey({})", self.public().id())
    }
}
