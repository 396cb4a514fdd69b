//! Checkpoints (C2SP `tlog-checkpoint`): a log's size and root, signed by the log. Not here: the
//! signature lines (`note`), and how many witnesses must agree (`policy`).

use std::fmt;

use crate::{Malformed, digest::Digest, key::SigningKey};

use super::{
    Unproven,
    encoding::{base64, lines, parse_decimal, parse_digest},
    merkle::{self, empty_root},
    note::{KeyName, KeyType, SignatureLine, Signed, SignedNote, VerifierKey},
};

/// A log's name, for ever: the first line of its checkpoints, and the name of its key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Origin(KeyName);

impl Origin {
    /// Reads an origin: what may be a [`KeyName`] too.
    ///
    /// # Errors
    /// As [`KeyName::parse`].
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        KeyName::parse(text, "checkpoint.origin").map(Self)
    }

    /// The origin as the name of the log's key.
    #[must_use]
    pub const fn key_name(&self) -> &KeyName {
        &self.0
    }

    /// The origin.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a log says of itself. `Display` is the note text: origin, size and root in base64, each
/// on its own line. Extension lines are refused: nobody could audit them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checkpoint {
    /// The log.
    pub origin: Origin,
    /// Leaves in the tree, at most [`SIZE_MAX`](super::SIZE_MAX).
    pub size: u64,
    /// Root of the tree.
    pub root: Digest,
}

impl Checkpoint {
    /// Reads a note text. It says nothing about who signed; see [`Self::open`].
    ///
    /// # Errors
    /// [`Malformed::Form`] or [`Malformed::Length`] for anything that [`fmt::Display`] would not
    /// write; [`Malformed::Mismatch`] for an empty tree with a root that is not the empty tree's.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let malformed = Malformed::Form { field: "checkpoint" };
        let mut lines = lines(text, "checkpoint")?;
        let (Some(origin), Some(size), Some(root), None) =
            (lines.next(), lines.next(), lines.next(), lines.next())
        else {
            return Err(malformed);
        };
        let checkpoint = Self {
            origin: Origin::parse(origin)?,
            size: parse_decimal(size, "checkpoint.size")?,
            root: parse_digest(root, "checkpoint.root")?,
        };
        if checkpoint.size == 0 && checkpoint.root != empty_root() {
            return Err(Malformed::Mismatch { field: "checkpoint.root" });
        }
        Ok(checkpoint)
    }

    /// Signs with the log's key, whose name is the origin. Deterministic.
    #[must_use]
    pub fn sign(&self, key: &SigningKey) -> SignedNote {
        let line = SignatureLine::ed25519(self.origin.key_name(), key, &self.to_string());
        SignedNote::of_checkpoint(self, line)
    }

    /// Verifies that the log signed the note, and reads the checkpoint. Other lines are ignored.
    ///
    /// # Errors
    /// As [`SignedNote::verify`] and [`Self::parse`]; [`Unproven::Unsigned`] when `log` is not a key
    /// that signs as a log; [`Unproven::OtherLog`] when the origin is not the key's name.
    pub fn open(note: &SignedNote, log: &VerifierKey) -> Result<Self, Unproven> {
        let signed = note.verify([log])?;
        Self::signed_by_its_log(note, &signed)
    }

    /// Reads the checkpoint of a note whose good signatures are given, and finds its log's among
    /// them.
    pub(super) fn signed_by_its_log(note: &SignedNote, signed: &[Signed<'_>]) -> Result<Self, Unproven> {
        let mut logs = signed.iter().filter(|signed| signs_as_log(signed)).peekable();
        if logs.peek().is_none() {
            return Err(Unproven::Unsigned);
        }
        let checkpoint = Self::parse(note.text())?;
        if logs.any(|log| log.key().name() == checkpoint.origin.key_name()) {
            Ok(checkpoint)
        } else {
            Err(Unproven::OtherLog)
        }
    }

    /// Checks that `older`, of the same log, is the beginning of this tree.
    ///
    /// # Errors
    /// [`Unproven::OtherLog`], or as [`merkle::verify_consistency`].
    pub fn extends(&self, older: &Self, proof: &[Digest]) -> Result<(), Unproven> {
        if self.origin != older.origin {
            return Err(Unproven::OtherLog);
        }
        merkle::verify_consistency(older.size, older.root, self.size, self.root, proof)
    }
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let root = base64(self.root.as_bytes());
        writeln!(f, "{}\n{}\n{root}", self.origin, self.size)
    }
}

const fn signs_as_log(signed: &Signed<'_>) -> bool {
    match signed.key().key_type() {
        KeyType::Ed25519 => true,
        KeyType::CosignatureV1 => false,
    }
}
