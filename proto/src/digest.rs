//! SHA-256 digests. Not here: what is hashed; each format says that itself.

use sha2::{Digest as _, Sha256};

use crate::Malformed;

/// A SHA-256 digest: 32 bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Digest(pub [u8; 32]);

impl Digest {
    /// Hashes one run of bytes.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self::of_all(&[bytes])
    }

    /// Hashes several runs of bytes as if they were one, without joining them in memory.
    #[must_use]
    pub fn of_all(runs: &[&[u8]]) -> Self {
        let mut hasher = Sha256::new();
        for run in runs {
            hasher.update(run);
        }
        Self(hasher.finalize().into())
    }

    /// Reads a digest that a message carries.
    ///
    /// # Errors
    /// [`Malformed::Length`] when there are not exactly 32 bytes; `field` is named in it.
    pub fn parse(bytes: &[u8], field: &'static str) -> Result<Self, Malformed> {
        match bytes.try_into() {
            Ok(bytes) => Ok(Self(bytes)),
            Err(_) => Err(Malformed::Length { field }),
        }
    }

    /// Reads a digest as it is shown: 64 hex digits.
    ///
    /// # Errors
    /// [`Malformed::Form`], with the field.
    pub fn from_hex(text: &str, field: &'static str) -> Result<Self, Malformed> {
        let is_hex = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let mut digest = [0; 32];
        for (byte, pair) in digest.iter_mut().zip(text.as_bytes().chunks_exact(2)).filter(|_| is_hex) {
            let pair = std::str::from_utf8(pair).map_err(|_| Malformed::Form { field })?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| Malformed::Form { field })?;
        }
        if is_hex { Ok(Self(digest)) } else { Err(Malformed::Form { field }) }
    }

    /// The bytes of the digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// A copy for a message.
    #[must_use]
    pub fn to_vec(self) -> Vec<u8> {
        self.0.to_vec()
    }
}

/// Hashes bytes as they come.
#[derive(Clone, Default)]
pub struct Hasher(Sha256);

impl Hasher {
    /// Takes the next run of bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was taken.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

impl std::fmt::Debug for Hasher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hasher")
    }
}

impl std::fmt::Debug for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

impl std::fmt::Display for Digest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for byte in self.0 {
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}
