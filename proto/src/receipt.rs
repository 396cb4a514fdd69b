//! Receipts: a record with what proves it, at the size of its own batch, so that it is the same
//! whenever it is derived. Not here: deriving one (the gateway).

use std::sync::Arc;

use crate::{
    Malformed,
    digest::Digest,
    evidence::{Record, SALT_BYTES},
    log::{
        Unproven,
        checkpoint::Checkpoint,
        merkle::{leaf_hash, verify_inclusion},
        note::SignedNote,
        policy::Policy,
        tlog_proof::{self, TlogProof},
    },
    wire,
};

/// The signed note of a checkpoint, shared by all receipts that it proves.
#[derive(Clone, PartialEq, Eq)]
pub struct Vouched(Arc<(SignedNote, String)>);

impl Vouched {
    /// Takes a note that was read or made; its signatures are not checked.
    ///
    /// # Errors
    /// [`Malformed`] when it is not that of a checkpoint.
    pub fn new(note: SignedNote) -> Result<Self, Malformed> {
        Checkpoint::parse(note.text())?;
        let text = note.to_string();
        Ok(Self(Arc::new((note, text))))
    }

    fn note(&self) -> &SignedNote {
        &self.0.0
    }

    fn text(&self) -> &str {
        &self.0.1
    }
}

impl std::fmt::Debug for Vouched {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.note().fmt(f)
    }
}

/// A receipt. As a file it is a C2SP `tlog-proof` whose extra data are `salt || record`, so that
/// tools that are not ours can check it.
#[derive(Clone, PartialEq, Eq)]
pub struct Receipt {
    record: Arc<Record>,
    path: Vec<Digest>,
    checkpoint: Vouched,
}

impl Receipt {
    /// Puts a receipt together; it is not checked, because its maker has just made it.
    ///
    /// # Errors
    /// [`Malformed`] when the parts pass a limit of the proof's format.
    pub fn new(record: Record, path: Vec<Digest>, checkpoint: SignedNote) -> Result<Self, Malformed> {
        Self::of(Arc::new(record), path, Vouched::new(checkpoint)?)
    }

    /// As [`Self::new`], of what others hold, too.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn of(record: Arc<Record>, path: Vec<Digest>, checkpoint: Vouched) -> Result<Self, Malformed> {
        let extra_bytes = record.bytes().len().saturating_add(SALT_BYTES);
        TlogProof::check_lengths(extra_bytes, record.place.index, path.len())?;
        Ok(Self { record, path, checkpoint })
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`Malformed`]: not of the form.
    pub fn parse_file(text: &str) -> Result<Self, Malformed> {
        let proof = TlogProof::parse(text)?;
        let Some((salt, record)) = proof.extra().split_at_checked(SALT_BYTES) else {
            return Err(Malformed::Length { field: "extra" });
        };
        let record = Record::parse(record.to_vec(), salt)?;
        if record.place.index != proof.index() {
            return Err(Malformed::Mismatch { field: "proof.index" });
        }
        Self::new(record, proof.path().to_vec(), proof.note().clone())
    }

    /// The file.
    #[must_use]
    pub fn to_file(&self) -> String {
        let extra = [self.record.salt.0.as_slice(), self.record.bytes()].concat();
        tlog_proof::text(&extra, self.record.place.index, &self.path, self.checkpoint.text())
    }

    /// Reads the message.
    ///
    /// # Errors
    /// [`Malformed`]: not of the form.
    pub fn parse(wire: wire::Receipt) -> Result<Self, Malformed> {
        let hashes = wire.path.chunks(32).map(|bytes| Digest::parse(bytes, "receipt.path"));
        let path = hashes.collect::<Result<_, _>>()?;
        let checkpoint = SignedNote::parse(&wire.checkpoint)?;
        Self::new(Record::parse(wire.record, &wire.salt)?, path, checkpoint)
    }

    /// The message.
    #[must_use]
    pub fn to_wire(&self) -> wire::Receipt {
        wire::Receipt {
            record: self.record.bytes().to_vec(),
            salt: self.record.salt.0.to_vec(),
            path: self.path.iter().flat_map(Digest::as_bytes).copied().collect(),
            checkpoint: self.checkpoint.text().to_owned(),
        }
    }

    /// What it says. Nothing of it is proven before [`Self::verify`].
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Checks it offline: the record is committed to, in the log that the policy trusts, under a
    /// checkpoint that the policy accepts.
    ///
    /// # Errors
    /// [`Unproven`]: why nothing of it may be believed.
    pub fn verify(&self, policy: &Policy) -> Result<Checkpoint, Unproven> {
        let checkpoint = policy.open(self.checkpoint.note())?;
        let leaf = leaf_hash(&self.record.commitment().leaf());
        verify_inclusion(self.record.place.index, checkpoint.size, leaf, &self.path, checkpoint.root)?;
        Ok(checkpoint)
    }
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Receipt({:?})", self.record)
    }
}
