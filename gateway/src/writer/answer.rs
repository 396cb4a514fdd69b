//! What the writer answers. Not here: the messages made of it.

use proto::{digest::Digest, lifecycle::Act, receipt::Receipt, refusal::Refusal};

/// An answer. Whatever it promises is durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It was taken, now or before.
    Taken {
        /// One for each evidence record that it caused, the first one first. A repeat of something
        /// taken before has that one's receipts, byte for byte.
        receipts: Vec<Receipt>,
        /// Of a handover receipt: the envelopes that do not wait here.
        not_taken: Vec<(Digest, Refusal)>,
    },
    /// A rule is broken.
    Refused {
        /// Which.
        refusal: Refusal,
        /// The field that it is about.
        field: &'static str,
        /// The acts that would be legal now.
        legal_acts: Vec<Act>,
        /// Of the record of it; none when it was only counted.
        receipt: Option<Box<Receipt>>,
    },
    /// Not decided: the same bytes may be sent again.
    Busy(Busy),
    /// There was nothing to do.
    Nothing,
}

/// Why something was not decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Busy {
    /// No space on the disk for work of this sort.
    Disk,
    /// The batch is full; the next one will take it.
    BatchFull,
    /// The index is being built again, and only it could tell.
    Indexing,
    /// The gateway was put back from a backup, and its witnesses have not spoken yet.
    Restoring,
    /// The gateway takes no new work before a planned stop.
    Draining,
}
