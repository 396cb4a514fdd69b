//! The journal on segment files: append with one write and one sync. Not here: recovery, reading,
//! preparing segments.

use std::{any::Any, fmt, sync::Arc};

use crate::{
    anchor::AnchorFile,
    closed::{self, Closed},
    erase::Eraser,
    fault::{Fault, OpenError},
    form::Form,
    frame,
    log_id::LogId,
    position::{Mark, SegmentBytes, SegmentNo},
    prepare,
    reader::Reader,
    recover::{self, Recovered, Scan},
    room::Room,
    seam::{Appended, Journal},
    segments::{Opened, Segments},
    snapshot::Snapshots,
    supply::{Background, Inline, Stock, Supply},
    volume::Volume,
};

/// How a journal is run. Nothing of it is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// How many zeroed segments are kept ready ahead of need; 0 counts as 1.
    pub ready_segments: usize,
    /// Below so much free space on the volume only reserved work is taken.
    pub reserve_bytes: u64,
    /// Who prepares segments.
    pub prepare: Prepare,
}

/// Who prepares segments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prepare {
    /// A thread of the journal's own.
    Background,
    /// Whoever calls: deterministic, for simulation.
    Inline,
}

impl Config {
    /// For simulation: no thread, one segment ready, no reserve.
    #[must_use]
    pub const fn inline() -> Self {
        Self { ready_segments: 1, reserve_bytes: 0, prepare: Prepare::Inline }
    }
}

/// Two segments ready, prepared in the background, 256 MiB of the volume reserved.
impl Default for Config {
    fn default() -> Self {
        Self { ready_segments: 2, reserve_bytes: 256 * 1024 * 1024, prepare: Prepare::Background }
    }
}

/// A journal in segment files on a [`Volume`]: a directory, or the twin's memory, with the same
/// code above both.
pub struct FileJournal {
    // Dropped first: its thread must have ended before the directory is unlocked.
    supply: Supply,
    segments: Arc<Segments>,
    anchor: AnchorFile,
    current: Option<Opened>,
    /// The next batch begins a segment, whatever is left of the current one.
    rolls: bool,
    end: Mark,
    reserve_bytes: u64,
    frame: Vec<u8>,
    fault: Option<Fault>,
    lock: Arc<dyn Any + Send + Sync>,
}

impl FileJournal {
    /// Makes a new, empty journal. Apart from [`Closed::lock`], so that an empty directory (a
    /// volume that is not mounted) is never taken for a new journal.
    ///
    /// # Errors
    /// `AlreadyExists`, `Locked`, or a fault of the disk.
    pub fn create(volume: &Volume, log_id: &LogId, segment_bytes: SegmentBytes) -> Result<(), OpenError> {
        let _lock = volume.disk().lock()?.ok_or(OpenError::Locked)?;
        let numbers = closed::segment_numbers(volume)?;
        if !numbers.is_empty() {
            return Err(OpenError::AlreadyExists);
        }
        let form = Form { log_id: log_id.clone(), segment_bytes };
        prepare::make(&Segments::new(volume.clone(), form, numbers), SegmentNo::new(0))?;
        Ok(())
    }

    pub(crate) fn open(closed: Closed, config: Config, scan: Scan) -> Result<(Self, Recovered), OpenError> {
        let Closed { segments, anchor, lock, .. } = closed;
        let end = scan.end;
        let cut = recover::cut_tail(&segments, end)?;
        segments.publish(end);
        let current = current(&segments, end)?;
        let journal = Self {
            supply: supply(&segments, config, end)?,
            segments,
            anchor,
            current,
            rolls: false,
            end,
            reserve_bytes: config.reserve_bytes,
            frame: Vec::new(),
            fault: None,
            lock,
        };
        Ok((journal, scan.recovered(cut)))
    }

    /// The anchor's file, a cheap handle: write to it from another thread.
    #[must_use]
    pub fn anchor(&self) -> AnchorFile {
        self.anchor.clone()
    }

    /// The snapshots' files, a cheap handle: write to it from another thread.
    #[must_use]
    pub fn snapshots(&self) -> Snapshots {
        Snapshots::new(self.segments.volume.clone(), self.segments.form.log_id.clone())
    }

    /// A cheap handle for erasing blobs from sealed segments. The directory stays locked while
    /// there is one.
    #[must_use]
    pub fn eraser(&self) -> Eraser {
        Eraser::new(Arc::clone(&self.segments), Arc::clone(&self.lock))
    }

    /// Lets the next batch begin a new segment, so that the current one is sealed and can be erased from.
    /// Nothing happens while no segment is ready, or nothing has been written since the last one began.
    pub fn roll(&mut self) {
        let begins =
            self.end.position == self.segments.form.segment_bytes.first_frame(self.current_segment());
        self.rolls = self.rolls || (!begins && self.supply.is_ready());
    }

    fn current_segment(&self) -> SegmentNo {
        self.segments.form.segment_bytes.segment_of(self.end.position)
    }

    /// The size of the segments, as the journal was created.
    #[must_use]
    pub fn segment_bytes(&self) -> SegmentBytes {
        self.segments.form.segment_bytes
    }

    /// The longest batch, as `batch_bytes` counts it.
    #[must_use]
    pub fn batch_bytes_max(&self) -> u64 {
        self.segments.form.frame_bytes_max()
    }

    /// Zeroed bytes left in the current segment.
    fn left(&self) -> u64 {
        let left = self.segments.form.segment_bytes.left(self.end.position);
        self.current.as_ref().map_or(0, |_| left)
    }

    fn commit(&mut self, meta: &[u8], blobs: &[&[u8]], bytes: u64) -> Result<Appended, Fault> {
        let mut at = self.end;
        if self.rolls || self.left() < bytes {
            let taken = self.supply.take()?;
            self.rolls = false;
            at.position = self.segments.form.segment_bytes.first_frame(taken.segment);
            tracing::trace!(target: "journal", segment = taken.segment.get(), "segment rolled");
            self.current = Some(taken);
        }
        frame::encode(&self.segments.form, at, meta, blobs, &mut self.frame);
        self.write(at)?;
        let position = at.position.plus(bytes);
        let next = Mark { position, batch_no: at.batch_no.next() };
        self.end = next;
        self.segments.publish(next);
        Ok(Appended { mark: at, next })
    }

    /// The commit point.
    fn write(&self, at: Mark) -> Result<(), Fault> {
        let Some(current) = &self.current else {
            return Err(Fault::NoRoom);
        };
        let position = at.position.get();
        let batch_no = at.batch_no.get();
        tracing::trace!(target: "journal", position, batch_no, "write");
        let offset = self.segments.form.segment_bytes.offset_of(at.position);
        current.file.write_at(offset, &self.frame)?;
        tracing::trace!(target: "journal", position, batch_no, "written");
        current.file.sync()?;
        tracing::trace!(target: "journal", position, batch_no, "synced");
        Ok(())
    }
}

impl Journal for FileJournal {
    fn append(&mut self, meta: &[u8], blobs: &[&[u8]]) -> Result<Appended, Fault> {
        if let Some(fault) = &self.fault {
            return Err(fault.clone());
        }
        let bytes = frame::batch_bytes(meta.len(), blobs.iter().map(|blob| blob.len()));
        let limit_bytes = self.batch_bytes_max();
        if bytes > limit_bytes {
            return Err(Fault::TooLarge { bytes, limit_bytes });
        }
        let appended = self.commit(meta, blobs, bytes);
        self.fault = appended.as_ref().err().cloned();
        appended
    }

    fn room(&mut self) -> Room {
        if self.fault.is_some() {
            return Room::Nothing;
        }
        let free_bytes = self.segments.volume.disk().free_bytes();
        let above_reserve = free_bytes.is_ok_and(|bytes| bytes >= self.reserve_bytes);
        let is_ready = self.supply.is_ready();
        Room::of(&self.segments.form, self.left(), is_ready, above_reserve)
    }

    fn end(&self) -> Mark {
        self.end
    }

    fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.segments))
    }
}

impl fmt::Debug for FileJournal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FileJournal").field("end", &self.end).finish_non_exhaustive()
    }
}

/// The segment that the end lies in, if it is there and has not been filled to the last byte.
fn current(segments: &Segments, end: Mark) -> Result<Option<Opened>, Fault> {
    let size = segments.form.segment_bytes;
    if size.left(end.position) == 0 {
        return Ok(None);
    }
    let segment = size.segment_of(end.position);
    Ok(segments.file(segment)?.map(|file| Opened { segment, file }))
}

/// The segments behind the end are ready; the next to make follows the last of them.
fn supply(segments: &Arc<Segments>, config: Config, end: Mark) -> Result<Supply, Fault> {
    let first = segments.form.segment_bytes.roll_target(end.position);
    let mut stock =
        Stock { ready: std::collections::VecDeque::new(), next: first, wanted: config.ready_segments.max(1) };
    for segment in segments.since(first) {
        if let Some(file) = segments.file(segment)? {
            stock.ready.push_back(Opened { segment, file });
            stock.next = segment.next();
        }
    }
    Ok(match config.prepare {
        Prepare::Inline => Supply::Inline(Inline::new(Arc::clone(segments), stock)),
        Prepare::Background => Supply::Background(Background::start(Arc::clone(segments), stock)?),
    })
}
