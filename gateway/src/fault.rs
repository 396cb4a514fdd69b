//! Faults of our own: the disk, damage, a state that must not be. Not here: refusals, which are
//! answers.

use journal::{OpenError, Position, ReadError};
use proto::{Malformed, log::Unproven};
use thiserror::Error;

/// Why the writer must end, or could not start. It answers nothing that is in flight.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// The journal could not be appended to; whether the batch is there is not known.
    #[error("the journal failed: {0}")]
    Journal(#[from] journal::Fault),
    /// The journal could not be read.
    #[error("the journal could not be read: {0}")]
    Read(#[from] ReadError),
    /// The journal could not be opened.
    #[error("the journal could not be opened: {0}")]
    Open(#[from] OpenError),
    /// A record that must be replayed is damaged. Restore a backup, or ask people.
    #[error("the record at position {position} is damaged and must be replayed; restore from a backup")]
    DamagedRecord {
        /// Where it begins.
        position: Position,
    },
    /// A record has its checksum, but not its meaning: a later version wrote it, or a bug did.
    #[error("batch {batch} is not understood ({malformed}); was it written by a later version?")]
    NotUnderstood {
        /// The batch.
        batch: u64,
        /// What is wrong with it.
        malformed: Malformed,
    },
    /// The journal's own checkpoints do not follow from its records.
    #[error("the checkpoint that batch {batch} names is not that of the records before it")]
    OtherTree {
        /// The batch.
        batch: u64,
    },
    /// The journal ends before what was published: acknowledged records are gone.
    #[error("a checkpoint of size {published} was published, but the journal ends at {recovered}")]
    BehindPublished {
        /// What was published.
        published: u64,
        /// What is there.
        recovered: u64,
    },
    /// The directory names other logs than the keys are for.
    #[error("the keys are of other logs than the directory names")]
    OtherNetwork,
    /// A proof that was just made does not hold.
    #[error("a proof does not hold: {0}")]
    Unproven(#[from] Unproven),
    /// What was made is too large for its format.
    #[error("what was made does not fit its format: {0}")]
    Malformed(#[from] Malformed),
    /// Tiles or index could not be written.
    #[error("derived files could not be written: {0:?}")]
    Derived(std::io::ErrorKind),
}
