//! What the journal tells of the past: batches by number, and by the leaves that they hold. Not here:
//! the index, which is faster and may be missing.

use journal::{BatchNo, Reader};
use proto::{Malformed, batch::Batch, ids::Locator, outline::Outline};

use crate::fault::Fault;

/// Which of the two logs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Log {
    /// Blinded: one leaf for every evidence record.
    Evidence,
    /// Open: one leaf for every directory record.
    Directory,
}

/// Reads the past.
#[derive(Debug, Clone)]
pub struct History(Reader);

impl History {
    /// Over a journal's reader.
    #[must_use]
    pub const fn new(reader: Reader) -> Self {
        Self(reader)
    }

    /// The journal's reader.
    #[must_use]
    pub const fn reader(&self) -> &Reader {
        &self.0
    }

    /// How many batches are durable.
    #[must_use]
    pub fn batches(&self) -> u64 {
        self.0.end().batch_no.get()
    }

    /// A batch.
    ///
    /// # Errors
    /// [`Fault::Read`] or [`Fault::NotUnderstood`].
    pub fn batch(&self, number: u64) -> Result<Batch, Fault> {
        let read = self.0.read_number(BatchNo::new(number))?;
        parse(&read)
    }

    /// Inline ciphertexts of an entry, in the header's order; none for one that was erased.
    ///
    /// # Errors
    /// As [`Self::batch`].
    pub fn ciphertexts(&self, at: Locator) -> Result<Vec<Option<Vec<u8>>>, Fault> {
        let read = self.0.read_number(BatchNo::new(at.batch))?;
        let batch = parse(&read)?;
        let mut skip = 0_usize;
        let mut take = 0_usize;
        for (place, entry) in (0_u32..).zip(&batch.entries) {
            let blobs = usize::try_from(entry.blobs).unwrap_or(usize::MAX);
            if place < at.entry {
                skip = skip.saturating_add(blobs);
            } else if place == at.entry {
                take = blobs;
            }
        }
        let present = |blob| match blob {
            journal::Blob::Present(bytes) => Some(bytes.to_vec()),
            journal::Blob::Erased { .. } => None,
        };
        Ok(read.blobs().skip(skip).take(take).map(present).collect())
    }

    /// The number of the batch that holds a leaf: a binary search, since every batch says how many
    /// leaves were there before it. The leaf must be durable.
    ///
    /// # Errors
    /// As [`Self::batch`].
    pub fn batch_of_leaf(&self, log: Log, leaf: u64) -> Result<u64, Fault> {
        let (mut low, mut high) = (0, self.batches());
        // Invariant: every batch below `low` begins at or before the leaf.
        while low < high {
            let middle = low + (high - low) / 2;
            if size_before(&self.batch(middle)?, log) <= leaf {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        Ok(low.saturating_sub(1))
    }
}

/// Reads a batch's meta part.
///
/// # Errors
/// [`Fault::NotUnderstood`].
pub fn parse(read: &journal::Batch) -> Result<Batch, Fault> {
    Batch::parse(read.meta()).map_err(|malformed| not_understood(read, malformed))
}

/// Reads what a batch is about.
///
/// # Errors
/// [`Fault::NotUnderstood`].
pub fn outline(read: &journal::Batch) -> Result<Outline, Fault> {
    Outline::parse(read.meta()).map_err(|malformed| not_understood(read, malformed))
}

fn not_understood(read: &journal::Batch, malformed: Malformed) -> Fault {
    Fault::NotUnderstood { batch: read.mark().batch_no.get(), malformed }
}

/// A log's size before a batch.
#[must_use]
pub fn size_before(batch: &Batch, log: Log) -> u64 {
    let checkpoint = match log {
        Log::Evidence => &batch.evidence,
        Log::Directory => &batch.directory,
    };
    checkpoint.as_ref().map_or(0, |checkpoint| checkpoint.size)
}

/// The leaves that a batch adds to a log, in order.
pub fn leaves(batch: &Batch, log: Log) -> impl Iterator<Item = Vec<u8>> {
    let facts = batch.entries.iter().flat_map(|entry| &entry.facts);
    facts.filter_map(move |fact| match (fact, log) {
        (proto::fact::Fact::Evidence(record), Log::Evidence) => Some(record.commitment().leaf().to_vec()),
        (proto::fact::Fact::Directory(fact), Log::Directory) => Some(fact.bytes().to_vec()),
        (proto::fact::Fact::Evidence(_), Log::Directory)
        | (proto::fact::Fact::Directory(_), Log::Evidence) => None,
    })
}
