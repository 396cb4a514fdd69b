//! Offline proofs (C2SP `tlog-proof@v1`): an entry's index, its inclusion proof and the checkpoint,
//! in one text that anyone can keep and check. Not here: the entry itself, which travels beside it.

use std::fmt;

use crate::{Malformed, digest::Digest};

use super::{
    SIZE_MAX, Unproven,
    checkpoint::Checkpoint,
    encoding::{base64, parse_base64, parse_decimal, parse_digest, too_large},
    merkle::{leaf_hash, verify_inclusion},
    note::{NOTE_BYTES_MAX, SignedNote},
    policy::Policy,
};

/// The most extra data that is read, in bytes.
pub const EXTRA_BYTES_MAX: usize = 65_536;
/// The longest inclusion proof of any tree, in hashes.
pub const PATH_HASHES_MAX: usize = 63;
/// The largest proof that is read, in bytes.
pub const PROOF_BYTES_MAX: usize = NOTE_BYTES_MAX + EXTRA_BYTES_MAX * 2;

const HEADER: &str = "c2sp.org/tlog-proof@v1\n";

/// A proof. `Display` is its text; what parses renders back byte for byte. Nothing is verified
/// before [`Self::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlogProof {
    extra: Vec<u8>,
    index: u64,
    path: Vec<Digest>,
    note: SignedNote,
}

impl TlogProof {
    /// A proof that the entry at `index` is in the tree of the checkpoint in `note`; `path` is the
    /// inclusion proof, the leaf's sibling first.
    ///
    /// # Errors
    /// [`Malformed::TooLarge`] for an index or path that no tree has; as [`Checkpoint::parse`] when
    /// the note is of something else.
    pub fn new(index: u64, path: Vec<Digest>, note: SignedNote) -> Result<Self, Malformed> {
        Self::with_extra(Vec::new(), index, path, note)
    }

    /// The same with extra data for the application. Nobody signs it: it must not be trusted.
    /// Empty data is as none.
    ///
    /// # Errors
    /// As [`Self::new`]; and [`Malformed::TooLarge`] above [`EXTRA_BYTES_MAX`].
    pub fn with_extra(
        extra: Vec<u8>,
        index: u64,
        path: Vec<Digest>,
        note: SignedNote,
    ) -> Result<Self, Malformed> {
        Self::check_lengths(extra.len(), index, path.len())?;
        Checkpoint::parse(note.text())?;
        Ok(Self { extra, index, path, note })
    }

    /// Refuses what is too large for any proof.
    pub(crate) fn check_lengths(extra_bytes: usize, index: u64, path_hashes: usize) -> Result<(), Malformed> {
        if extra_bytes > EXTRA_BYTES_MAX {
            return Err(too_large("proof.extra", EXTRA_BYTES_MAX));
        }
        if index > SIZE_MAX {
            return Err(Malformed::TooLarge { field: "proof.index", limit: SIZE_MAX });
        }
        if path_hashes > PATH_HASHES_MAX {
            return Err(too_large("proof.path", PATH_HASHES_MAX));
        }
        Ok(())
    }

    /// Reads a proof.
    ///
    /// # Errors
    /// [`Malformed`] for anything that [`fmt::Display`] would not write.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let malformed = Malformed::Form { field: "proof" };
        if text.len() > PROOF_BYTES_MAX {
            return Err(too_large("proof", PROOF_BYTES_MAX));
        }
        let rest = text.strip_prefix(HEADER).ok_or(malformed)?;
        // No line before the checkpoint is empty, so the first empty line ends them.
        let (unended, note) = rest.split_once("\n\n").ok_or(malformed)?;
        let mut lines = unended.split('\n').peekable();
        let extra = match lines.next_if(|line| line.starts_with("extra ")) {
            Some(line) => parse_extra(line)?,
            None => Vec::new(),
        };
        let index = lines.next().and_then(|line| line.strip_prefix("index "));
        let index = parse_decimal(index.ok_or(malformed)?, "proof.index")?;
        let path = lines
            // One more than allowed is enough to see that there are too many.
            .take(PATH_HASHES_MAX.saturating_add(1))
            .map(|line| parse_digest(line, "proof.path"))
            .collect::<Result<_, _>>()?;
        Self::with_extra(extra, index, path, SignedNote::parse(note)?)
    }

    /// The entry's index in the log.
    #[must_use]
    pub const fn index(&self) -> u64 {
        self.index
    }

    /// The inclusion proof, the leaf's sibling first.
    #[must_use]
    pub fn path(&self) -> &[Digest] {
        &self.path
    }

    /// The signed checkpoint.
    #[must_use]
    pub const fn note(&self) -> &SignedNote {
        &self.note
    }

    /// The extra data, empty for none. Nobody signed it: it must not be trusted.
    #[must_use]
    pub fn extra(&self) -> &[u8] {
        &self.extra
    }

    /// Checks that the policy accepts the checkpoint and that the entry is in its tree at this
    /// index. Gives the checkpoint.
    ///
    /// # Errors
    /// As [`Policy::open`] and [`verify_inclusion`].
    pub fn verify(&self, entry: &[u8], policy: &Policy) -> Result<Checkpoint, Unproven> {
        let checkpoint = policy.open(&self.note)?;
        verify_inclusion(self.index, checkpoint.size, leaf_hash(entry), &self.path, checkpoint.root)?;
        Ok(checkpoint)
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&text(&self.extra, self.index, &self.path, &self.note.to_string()))
    }
}

/// The text of a proof, `note` being that of its note.
pub(crate) fn text(extra: &[u8], index: u64, path: &[Digest], note: &str) -> String {
    let extra = if extra.is_empty() { String::new() } else { format!("extra {}\n", base64(extra)) };
    let path: String = path.iter().flat_map(|hash| [base64(hash.as_bytes()), "\n".to_owned()]).collect();
    format!("{HEADER}{extra}index {index}\n{path}\n{note}")
}

/// An extra line without data is refused: no extra data is written as no line.
fn parse_extra(line: &str) -> Result<Vec<u8>, Malformed> {
    let malformed = Malformed::Form { field: "proof.extra" };
    let data = line.strip_prefix("extra ").ok_or(malformed)?;
    let data = parse_base64(data, "proof.extra")?;
    if data.is_empty() {
        return Err(malformed);
    }
    Ok(data)
}
