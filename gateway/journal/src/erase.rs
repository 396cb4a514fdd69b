//! Erasing blobs from sealed segments: a segment is rewritten with the same offsets and put in
//! the old one's place. Not here: what is to be erased, and by whose authority.

use std::{any::Any, fmt, sync::Arc};

use crate::{
    batch::Batch,
    fault::{Damaged, EraseError, Fault, What},
    frame, header,
    position::{BatchNo, Position, SegmentBytes, SegmentNo},
    segments::Segments,
    volume::{DiskFile, temporary},
    walk::{self, WINDOW_BYTES},
    width::{is_zero, to_u64},
};

/// File systems free space in blocks of this size.
const BLOCK_BYTES: u64 = 4096;

/// What a rewrite did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// How many blobs were erased now. None: the file was left as it was.
    pub blobs: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Stretches that are no whole batch: copied as they are, nothing in them was erased.
    pub damaged: Vec<Damaged>,
}

/// A cheap handle; use it from any thread while the writer appends.
#[derive(Clone)]
pub struct Eraser {
    segments: Arc<Segments>,
    // Nobody else may open a journal in which segments are being replaced.
    _lock: Arc<dyn Any + Send + Sync>,
}

impl Eraser {
    pub(crate) fn new(segments: Arc<Segments>, lock: Arc<dyn Any + Send + Sync>) -> Self {
        Self { segments, _lock: lock }
    }

    /// The size of the segments, as the journal was created.
    #[must_use]
    pub fn segment_bytes(&self) -> SegmentBytes {
        self.segments.form.segment_bytes
    }

    /// Erases the blobs of one sealed segment for which `erased_by` gives a number, which is
    /// stored with the blob. Asked for each blob that is still present: batch number, position of
    /// the batch, index of the blob. Positions, lengths and metadata stay as they are. Readers
    /// see the old file or the new one, and after Ok only the new one.
    ///
    /// # Errors
    /// `NotSealed`, `Missing`, or the disk's fault; the segment is then whole, as before or new.
    pub fn rewrite_segment(
        &self,
        segment: SegmentNo,
        erased_by: impl FnMut(BatchNo, Position, usize) -> Option<u64>,
    ) -> Result<Rewritten, EraseError> {
        let segments = &self.segments;
        let _one_at_a_time = segments.erasing();
        if segment >= segments.form.segment_bytes.segment_of(segments.end().position) {
            return Err(EraseError::NotSealed { segment });
        }
        if segments.file(segment)?.is_none() {
            return Err(EraseError::Missing { segment });
        }
        let name = temporary(&segment.file_name());
        let mut rewrite = Rewrite::start(segments, segment, &name, erased_by)?;
        rewrite.copy()?;
        let Rewrite { file, done, .. } = rewrite;
        if done.blobs == 0 {
            segments.volume.disk().remove(&name)?;
            return Ok(done);
        }
        put_in_place(segments, segment, &name, &*file)?;
        Ok(done)
    }
}

impl fmt::Debug for Eraser {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Eraser")
    }
}

fn put_in_place(
    segments: &Segments,
    segment: SegmentNo,
    name: &str,
    file: &dyn DiskFile,
) -> Result<(), Fault> {
    let number = segment.get();
    tracing::trace!(target: "journal", segment = number, "erasure written");
    file.sync()?;
    tracing::trace!(target: "journal", segment = number, "erasure synced");
    segments.replace(name, segment)?;
    tracing::trace!(target: "journal", segment = number, "erasure renamed");
    segments.volume.disk().sync_names()?;
    tracing::trace!(target: "journal", segment = number, "erasure in place");
    Ok(())
}

/// One segment on its way into a new file.
struct Rewrite<'a, F> {
    segments: &'a Segments,
    segment: SegmentNo,
    file: Arc<dyn DiskFile>,
    erased_by: F,
    done: Rewritten,
}

impl<'a, F: FnMut(BatchNo, Position, usize) -> Option<u64>> Rewrite<'a, F> {
    fn start(segments: &'a Segments, segment: SegmentNo, name: &str, erased_by: F) -> Result<Self, Fault> {
        let file = segments.volume.disk().create(name)?;
        file.set_len(segments.form.segment_bytes.get())?;
        file.write_at(0, &header::encode(&segments.form, segment))?;
        let done = Rewritten { blobs: 0, bytes: 0, damaged: Vec::new() };
        Ok(Self { segments, segment, file, erased_by, done })
    }

    fn copy(&mut self) -> Result<(), Fault> {
        let size = self.segments.form.segment_bytes;
        let end = size.position(self.segment.next(), 0);
        let mut at = size.first_frame(self.segment);
        while at < end {
            if let Ok(batch) = walk::frame_at(self.segments, at, end)? {
                at = self.copy_batch(batch)?;
                continue;
            }
            let next = walk::search(self.segments, at, BatchNo::new(0), end)?;
            let until = next.map_or(end, |batch| batch.mark.position);
            self.copy_raw(at, until)?;
            at = until;
        }
        Ok(())
    }

    fn copy_batch(&mut self, mut batch: Batch) -> Result<Position, Fault> {
        let mark = batch.mark;
        let mut changed = false;
        for index in 0..batch.rows.len() {
            let Some(row) = batch.rows.get(index).filter(|row| row.erased_by.is_none()) else {
                continue;
            };
            let bytes = to_u64(row.bytes.len());
            if let Some(by) = (self.erased_by)(mark.batch_no, mark.position, index) {
                frame::erase(&mut batch, index, by);
                self.done.blobs += 1;
                self.done.bytes += bytes;
                changed = true;
            }
        }
        if changed {
            frame::reseal(&self.segments.form, &mut batch);
        }
        let offset = self.segments.form.segment_bytes.offset_of(mark.position);
        self.file.write_at(offset, &batch.frame)?;
        self.punch_holes(&batch, offset);
        Ok(batch.next.position)
    }

    fn punch_holes(&self, batch: &Batch, offset: u64) {
        for row in batch.rows.iter().filter(|row| row.erased_by.is_some()) {
            let from = (offset + to_u64(row.bytes.start)).next_multiple_of(BLOCK_BYTES);
            let until = (offset + to_u64(row.bytes.end)) / BLOCK_BYTES * BLOCK_BYTES;
            if from < until {
                self.file.punch(from, until - from);
            }
        }
    }

    /// Copies what is no batch: the zeros at the end stay holes, anything else is damage.
    fn copy_raw(&mut self, from: Position, until: Position) -> Result<(), Fault> {
        let size = self.segments.form.segment_bytes;
        let mut at = from;
        let mut blank = true;
        while at < until {
            let bytes = WINDOW_BYTES.min(until.get() - at.get());
            let window = self.segments.read(at, bytes)?;
            if !is_zero(&window) {
                self.file.write_at(size.offset_of(at), &window)?;
                blank = false;
            }
            at = at.plus(bytes);
        }
        if !blank {
            self.done.damaged.push(Damaged { position: from, what: What::Record });
        }
        Ok(())
    }
}
