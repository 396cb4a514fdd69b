//! `Journal`, the one seam between a writer and what makes its batches durable. Not here: any
//! implementation.

use crate::{fault::Fault, position::Mark, reader::Reader, room::Room};

/// An ordered, durable log of batches with one writer.
///
/// **Ok** from [`Journal::append`] means that the batch survives `kill -9` and power loss, whole
/// and unchanged, after all batches appended before it. **Err** means that nothing is known: the
/// batch may or may not be there after a restart, whole or not at all. The owner must end; every
/// later call answers the same fault, and nothing is ever retried. The one exception is
/// [`Fault::TooLarge`], which is checked before anything is touched.
///
/// What readers see is a prefix of what was appended, and never more than what is durable.
pub trait Journal {
    /// Appends one batch and makes it durable. Blobs are what may be erased later; metadata stays.
    ///
    /// # Errors
    /// See the trait: the owner must end.
    fn append(&mut self, meta: &[u8], blobs: &[&[u8]]) -> Result<Appended, Fault>;

    /// What the next batch may be. Ask *before* deciding: what was decided must fit.
    fn room(&mut self) -> Room;

    /// The place after the last batch.
    fn end(&self) -> Mark;

    /// A handle for reading, also from other threads.
    fn reader(&self) -> Reader;
}

/// Where a batch was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Its own place and number.
    pub mark: Mark,
    /// The place after it.
    pub next: Mark,
}
