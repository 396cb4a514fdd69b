//! The transparency log: Merkle tree, tiles, notes, checkpoints, proofs. Not here: what a leaf
//! means (`evidence`, `directory`), and where tiles are kept (the gateway).
//!
//! Every format is a public one, so that a stranger can check the log with tools that are not ours:
//! RFC 6962 and C2SP `tlog-tiles`, `signed-note`, `tlog-checkpoint`, `tlog-cosignature`,
//! `tlog-policy` and `tlog-proof`. Bytes that are not of their format are
//! [`Malformed`]; well-formed bytes that do not prove what they should are
//! [`Unproven`].

pub mod checkpoint;
pub mod cosignature;
mod encoding;
pub mod merkle;
pub mod note;
pub mod policy;
pub mod shard;
pub mod tile;
pub mod tlog_proof;

use thiserror::Error;

use crate::Malformed;

/// The most leaves that a tree may have: 2^63 − 1, so that any tool can keep a size in a signed
/// 64-bit integer.
pub const SIZE_MAX: u64 = i64::MAX.unsigned_abs();

/// Why something is not proven. Nothing may be believed of what was being proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unproven {
    /// The text is signed, but is not of the format that was expected.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The index is not below the tree's size.
    #[error("the index is not inside the tree")]
    OutsideTree,
    /// The newer tree is the smaller one, or the other way round.
    #[error("the newer tree is smaller than the older one")]
    Shrunk,
    /// A proof has more or fewer hashes than its sizes call for.
    #[error("the proof has the wrong number of hashes")]
    ProofLength,
    /// The hashes lead to another root.
    #[error("the hashes do not lead to the root")]
    RootMismatch,
    /// A hash that is needed to compute a root or proof is not to be had.
    #[error("a hash of the tree is not available")]
    HashMissing,
    /// A signature line carries a known key's name and id, but its signature does not verify.
    #[error("a known key's signature does not verify")]
    BadSignature,
    /// A known key has more than one signature line.
    #[error("a known key signed more than once")]
    RepeatedSignature,
    /// No known key signed that must have.
    #[error("no known key signed")]
    Unsigned,
    /// The checkpoint is of another log than the key that signed it, or than the other checkpoint.
    #[error("the checkpoint is of another log")]
    OtherLog,
    /// Too few witnesses cosigned.
    #[error("the quorum of witnesses is not reached")]
    NoQuorum,
}
