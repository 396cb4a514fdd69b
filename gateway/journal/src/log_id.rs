//! The journal's identity, a secret that every checksum is bound to. Not here: where it comes
//! from; whoever creates a journal draws it at random.

use std::fmt;

/// Sixteen random bytes, drawn once when a journal is created.
///
/// Secret: whoever knows it and may supply content could craft a blob that recovery takes for a
/// frame. `Debug` does not show it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct LogId([u8; Self::BYTES]);

impl LogId {
    /// Length in bytes.
    pub const BYTES: usize = 16;

    /// Takes sixteen bytes from a secure source of randomness.
    #[must_use]
    pub const fn new(bytes: [u8; Self::BYTES]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8; Self::BYTES] {
        &self.0
    }
}

impl fmt::Debug for LogId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LogId(secret)")
    }
}
