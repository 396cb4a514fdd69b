//! Receipts: a record with what proves it, at the size of its own batch, so that it is the same
//! whenever it is derived. Not here: deriving one (the gateway).

use crate::{
    Malformed,
    digest::Digest,
    evidence::{Record, SALT_BYTES},
    log::{Unproven, checkpoint::Checkpoint, note::SignedNote, policy::Policy, tlog_proof::TlogProof},
    wire,
};

/// A receipt. As a file it is a C2SP `tlog-proof` whose extra data are `salt || record`, so that
/// tools that are not ours can check it.
#[derive(Clone, PartialEq, Eq)]
pub struct Receipt {
    record: Record,
    proof: TlogProof,
}

impl Receipt {
    /// Puts a receipt together; it is not checked, because its maker has just made it.
    ///
    /// # Errors
    /// [`Malformed`] when the parts pass a limit of the proof's format.
    pub fn new(record: Record, path: Vec<Digest>, checkpoint: SignedNote) -> Result<Self, Malformed> {
        let extra = [record.salt.0.as_slice(), record.bytes()].concat();
        let proof = TlogProof::with_extra(extra, record.place.index, path, checkpoint)?;
        Ok(Self { record, proof })
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
        Ok(Self { record, proof })
    }

    /// The file.
    #[must_use]
    pub fn to_file(&self) -> String {
        self.proof.to_string()
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
            path: self.proof.path().iter().flat_map(|hash| *hash.as_bytes()).collect(),
            checkpoint: self.proof.note().to_string(),
        }
    }

    /// What it says. Nothing of it is proven before [`Self::verify`].
    #[must_use]
    pub const fn record(&self) -> &Record {
        &self.record
    }

    /// Checks it offline: the record is committed to, in the log that the policy trusts, under a
    /// checkpoint that the policy accepts.
    ///
    /// # Errors
    /// [`Unproven`]: why nothing of it may be believed.
    pub fn verify(&self, policy: &Policy) -> Result<Checkpoint, Unproven> {
        if self.record.place.index != self.proof.index() {
            return Err(Unproven::OutsideTree);
        }
        self.proof.verify(&self.record.commitment().leaf(), policy)
    }
}

impl std::fmt::Debug for Receipt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Receipt({:?})", self.record)
    }
}
