//! The journal: segment files in which a batch is one write and one sync, and the recovery that
//! reads them after a crash. Not here: what a batch means, async, time, randomness. The format is
//! in this crate's `README.md`, normatively.
//!
//! ```
//! use journal::{Config, FileJournal, Closed, Journal, LogId, MemoryDisk, SegmentBytes};
//!
//! let disk = MemoryDisk::new();
//! FileJournal::create(&disk.volume(), &LogId::new([7; 16]), SegmentBytes::MIN)?;
//! let closed = Closed::lock(&disk.volume(), &disk.volume())?;
//! let (mut journal, recovered) = closed.recover(Config::inline(), None)?;
//! assert_eq!(recovered.end, journal.end());
//!
//! let appended = journal.append(b"who, when, what", &[b"ciphertext"])?;
//! let batch = journal.reader().read(appended.mark.position)?;
//! assert_eq!(batch.meta(), b"who, when, what");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod anchor;
mod batch;
mod closed;
mod copy;
mod directory;
mod erase;
mod fault;
mod file_journal;
mod form;
mod frame;
mod header;
mod locate;
mod log_id;
mod memory;
mod position;
mod prepare;
mod reader;
mod recover;
mod room;
mod seam;
mod segments;
pub mod snapshot;
mod supply;
mod volume;
mod walk;
mod whole;
mod width;

pub use anchor::{Anchor, AnchorFile, AnchorFound, OWNER_BYTES_MAX};
pub use batch::{Batch, Blob};
pub use closed::Closed;
pub use copy::{Copying, SegmentCopy};
pub use erase::{Eraser, Rewritten};
pub use fault::{Damaged, EraseError, Fault, OpenError, ReadError, Step, What};
pub use file_journal::{Config, FileJournal, Prepare};
pub use frame::{BATCH_BYTES_MAX, batch_bytes};
pub use log_id::LogId;
pub use memory::{AppendFault, Crash, Grain, MemoryDisk};
pub use position::{BatchNo, Mark, Position, SegmentBytes, SegmentNo};
pub use reader::{Batches, Reader};
pub use recover::{Cut, DAMAGE_MAX, Recovered};
pub use room::Room;
pub use seam::{Appended, Journal};
pub use volume::Volume;
pub use whole::{Making, WholeFile};
