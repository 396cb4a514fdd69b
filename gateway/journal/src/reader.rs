//! Reading what is durable, from any thread, while the writer appends. Not here: anything beyond
//! the last sync.

use std::{fmt, sync::Arc};

use crate::{
    batch::Batch,
    fault::{Damaged, Fault, ReadError, What},
    position::{BatchNo, Mark, Position},
    segments::Segments,
    walk::{self, Found},
};

/// A cheap handle: clone it, send it.
#[derive(Clone)]
pub struct Reader(Arc<Segments>);

impl Reader {
    pub(crate) fn new(segments: Arc<Segments>) -> Self {
        Self(segments)
    }

    /// The end of what is durable; it only grows.
    #[must_use]
    pub fn end(&self) -> Mark {
        self.0.end()
    }

    /// The batch that begins at `position`, as [`Batch::mark`] or `append` gave it.
    ///
    /// # Errors
    /// `Damaged` if the record is, or if none begins there; `BeyondEnd` if it is not durable yet.
    pub fn read(&self, position: Position) -> Result<Batch, ReadError> {
        let end = self.0.end().position;
        if position >= end {
            return Err(ReadError::BeyondEnd { position, end });
        }
        let frame = walk::frame_at(&self.0, position, end)?;
        frame.map_err(|_| ReadError::Damaged(Damaged { position, what: What::Record }))
    }

    /// The batch with this number, wherever it begins.
    ///
    /// # Errors
    /// `Damaged` if the record is; `BeyondEnd` if it is not durable yet.
    pub fn read_number(&self, batch_no: BatchNo) -> Result<Batch, ReadError> {
        let end = self.0.end();
        if batch_no >= end.batch_no {
            return Err(ReadError::BeyondEnd { position: end.position, end: end.position });
        }
        let damaged = |position| ReadError::Damaged(Damaged { position, what: What::Record });
        let position = self.0.locate(batch_no, end.position)?.ok_or_else(|| damaged(end.position))?;
        let batch = self.read(position)?;
        // A segment that was damaged may begin elsewhere than remembered.
        if batch.mark().batch_no == batch_no { Ok(batch) } else { Err(damaged(position)) }
    }

    /// All batches from a place on: [`Mark::START`], a snapshot's mark, or [`Batch::next`].
    ///
    /// Takes a mark, not a position alone: only the number proves that nothing was skipped where
    /// a segment ends.
    #[must_use]
    pub fn iter_from(&self, mark: Mark) -> Batches {
        Batches { segments: Arc::clone(&self.0), cursor: mark, broken: false }
    }
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").field("end", &self.end()).finish()
    }
}

/// Batches in order. `None` at the durable end; asked again after more was appended, it goes on.
/// After a damaged record it goes on behind it; after a fault it is finished.
pub struct Batches {
    segments: Arc<Segments>,
    cursor: Mark,
    broken: bool,
}

impl Batches {
    /// The place from which it goes on.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        self.cursor
    }

    fn step(&mut self, end: Mark) -> Result<Result<Batch, Damaged>, Fault> {
        Ok(match walk::next(&self.segments, self.cursor, end.position)? {
            Found::Batch(batch) => {
                self.cursor = batch.next;
                Ok(batch)
            }
            Found::Damaged { damaged, resumes } => {
                self.cursor = resumes;
                Err(damaged)
            }
            Found::Nothing => {
                let position = self.cursor.position;
                self.cursor = end;
                Err(Damaged { position, what: What::Records { resumes: end } })
            }
        })
    }
}

impl Iterator for Batches {
    type Item = Result<Batch, ReadError>;

    fn next(&mut self) -> Option<Self::Item> {
        let end = self.segments.end();
        if self.broken || self.cursor.position >= end.position {
            return None;
        }
        let step = self.step(end);
        self.broken = step.is_err();
        Some(match step {
            Ok(batch) => batch.map_err(ReadError::Damaged),
            Err(fault) => Err(ReadError::Fault(fault)),
        })
    }
}

impl fmt::Debug for Batches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batches").field("cursor", &self.cursor).finish_non_exhaustive()
    }
}
