//! What can go wrong, as flat enums: ours (`Fault`), a record's (`Damaged`), and what opening,
//! reading and erasing answer. Not here: content; no variant carries any.

use std::io;

use thiserror::Error;

use crate::position::{Mark, Position, SegmentNo};

/// Which step of the disk's work failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Listing a directory.
    List,
    /// Locking a directory.
    Lock,
    /// Opening a file.
    Open,
    /// Creating a file.
    Create,
    /// Reading from a file.
    Read,
    /// Writing to a file.
    Write,
    /// Syncing a file's bytes.
    Sync,
    /// Renaming a file.
    Rename,
    /// Removing a file.
    Remove,
    /// Syncing a directory's names.
    SyncDirectory,
    /// Starting the thread that prepares segments.
    Spawn,
}

/// The journal's own failure. After one from `append` the journal is finished: every later call
/// answers the same.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// The operating system refused.
    #[error("disk: {step:?} failed: {kind}")]
    Io {
        /// Which step.
        step: Step,
        /// What the operating system said, without text.
        kind: io::ErrorKind,
    },
    /// A batch, snapshot or anchor above its limit. Checked before anything is touched: the
    /// journal stays usable.
    #[error("{bytes} bytes are above the limit of {limit_bytes}")]
    TooLarge {
        /// What was asked for.
        bytes: u64,
        /// What is allowed.
        limit_bytes: u64,
    },
    /// No zeroed segment was ready and none could be made in time. `room` says so beforehand.
    #[error("no prepared segment")]
    NoRoom,
}

impl Fault {
    pub(crate) fn io(step: Step, error: &io::Error) -> Self {
        Self::Io { step, kind: error.kind() }
    }
}

/// What is damaged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// One or more records; the next good one begins at `resumes`.
    Records {
        /// The place after the damage. The numbers between tell how many batches are lost.
        resumes: Mark,
    },
    /// Not the beginning of a good record.
    Record,
    /// A segment file is not there although later ones are.
    SegmentMissing,
    /// A segment's header; its records may still be good.
    SegmentHead,
    /// A segment file is shorter or longer than it was made; its records may still be good.
    SegmentLength,
}

/// Damage at rest, named by its position. What lies outside of it stays readable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("damaged at position {position}: {what:?}")]
pub struct Damaged {
    /// Where the damage begins.
    pub position: Position,
    /// What it is.
    pub what: What,
}

/// Why a batch could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReadError {
    /// The record is damaged, or no record begins at the position asked for.
    #[error(transparent)]
    Damaged(#[from] Damaged),
    /// Nothing durable is there yet.
    #[error("position {position} is not below the end {end}")]
    BeyondEnd {
        /// What was asked for.
        position: Position,
        /// The end of what is durable.
        end: Position,
    },
    /// The disk failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why a journal could not be created or opened. None of these has changed a segment.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenError {
    /// Another process (or another value in this one) has it open.
    #[error("the journal is open elsewhere")]
    Locked,
    /// No segment in the directory. Is the volume mounted?
    #[error("no journal here")]
    NoJournal,
    /// `create` where a journal is already.
    #[error("a journal is already here")]
    AlreadyExists,
    /// Not one segment header is readable, so the log id is unknown.
    #[error("no segment has a readable header")]
    NoHeader,
    /// A segment of another journal, or of another size, lies in the directory.
    #[error("segment {segment} belongs to another journal")]
    ForeignSegment {
        /// The stranger.
        segment: SegmentNo,
    },
    /// The place to start from (a snapshot's) is not between two records of this journal: the
    /// journal is shorter or another one. Start from an older snapshot, or from none.
    #[error("no record ends at position {}", from.position)]
    FromNotFound {
        /// What was asked for.
        from: Mark,
    },
    /// Records that were durable once are gone.
    #[error("the journal ends at {} although it reached {}", end.position, anchor.position)]
    CutBelowAnchor {
        /// What the anchor says.
        anchor: Mark,
        /// Where the last good record ends.
        end: Mark,
    },
    /// Bytes after the end, farther away than one torn batch can reach. Not erased: look first.
    #[error("segment {segment} has bytes although the journal ends long before")]
    BytesBeyondEnd {
        /// Where they are.
        segment: SegmentNo,
    },
    /// The disk failed.
    #[error(transparent)]
    Fault(#[from] Fault),
}

/// Why a segment was not rewritten.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EraseError {
    /// Batches may still be appended to it.
    #[error("segment {segment} is not sealed")]
    NotSealed {
        /// The segment asked for.
        segment: SegmentNo,
    },
    /// It is not there.
    #[error("segment {segment} is missing")]
    Missing {
        /// The segment asked for.
        segment: SegmentNo,
    },
    /// The disk failed. The segment is whole, either as before or as rewritten.
    #[error(transparent)]
    Fault(#[from] Fault),
}
