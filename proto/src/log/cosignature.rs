//! Cosignatures of witnesses (C2SP `tlog-cosignature`, Ed25519): "as of this time, this is the
//! largest consistent tree that I saw of this log". Not here: whether that is true, which the
//! witness checks before it signs (`merkle::verify_consistency`).

use crate::{
    Malformed,
    key::{PublicKey, SigningKey},
};

use super::{
    checkpoint::Checkpoint,
    note::{KeyName, KeyType, SignatureLine},
};

/// When a witness cosigned, by its own clock: Unix seconds, at most 2^63 − 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct CosignedAt(u64);

impl CosignedAt {
    /// Takes Unix seconds.
    ///
    /// # Errors
    /// [`Malformed::TooLarge`] above 2^63 − 1 (C2SP `tlog-cosignature`, Format).
    pub const fn from_unix_s(unix_s: u64) -> Result<Self, Malformed> {
        if unix_s > UNIX_S_MAX {
            return Err(Malformed::TooLarge { field: "cosignature.time", limit: UNIX_S_MAX });
        }
        Ok(Self(unix_s))
    }

    /// Unix seconds.
    #[must_use]
    pub const fn unix_s(self) -> u64 {
        self.0
    }
}

/// Cosigns a checkpoint: the line to add to its note. Call it only after the checkpoint was
/// verified and shown to be consistent with the largest one cosigned before.
#[must_use]
pub fn cosign(name: &KeyName, key: &SigningKey, at: CosignedAt, checkpoint: &Checkpoint) -> SignatureLine {
    let signature = key.sign(message(at, &checkpoint.to_string()).as_bytes());
    let timestamped = [&at.0.to_be_bytes()[..], &signature].concat();
    SignatureLine::new(name, KeyType::CosignatureV1, key, timestamped)
}

/// Verifies a timestamped signature over a checkpoint's text: eight bytes of time, big-endian, and
/// the Ed25519 signature. `None` when it does not verify.
#[must_use]
pub fn verify(key: PublicKey, checkpoint: &str, timestamped: &[u8]) -> Option<CosignedAt> {
    let (unix_s, signature) = timestamped.split_first_chunk()?;
    let at = CosignedAt::from_unix_s(u64::from_be_bytes(*unix_s)).ok()?;
    key.verifies(message(at, checkpoint).as_bytes(), signature).then_some(at)
}

const UNIX_S_MAX: u64 = i64::MAX.unsigned_abs();

/// What is signed (C2SP `tlog-cosignature`, Ed25519 signed message).
fn message(at: CosignedAt, checkpoint: &str) -> String {
    format!("cosignature/v1\ntime {}\n{checkpoint}", at.0)
}
