//! The segment files that exist, opened as they are needed, and the end of what is durable:
//! shared by the writer, its readers and the eraser. Not here: what is in a segment.

use std::{
    collections::{BTreeSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock},
};

use crate::{
    fault::Fault,
    form::Form,
    locate::Located,
    position::{BatchNo, Mark, Position, SegmentNo},
    volume::{DiskFile, Volume},
    width::{to_u64, to_usize},
};

/// How many segment files readers keep open.
const OPEN_SEGMENTS_MAX: usize = 32;

pub(crate) struct Segments {
    pub(crate) volume: Volume,
    pub(crate) form: Form,
    numbers: RwLock<BTreeSet<SegmentNo>>,
    open: Mutex<VecDeque<Opened>>,
    end: Mutex<Mark>,
    /// Held while a segment is rewritten: one at a time.
    erasing: Mutex<()>,
    located: Mutex<Located>,
}

#[derive(Clone)]
pub(crate) struct Opened {
    pub(crate) segment: SegmentNo,
    pub(crate) file: Arc<dyn DiskFile>,
}

/// No invariant of ours can break in the middle of a lock's scope, so a panic elsewhere is no reason to stop.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Segments {
    pub(crate) fn new(volume: Volume, form: Form, numbers: BTreeSet<SegmentNo>) -> Self {
        Self {
            volume,
            form,
            numbers: RwLock::new(numbers),
            open: Mutex::new(VecDeque::new()),
            end: Mutex::new(Mark::START),
            erasing: Mutex::new(()),
            located: Mutex::new(Located::default()),
        }
    }

    /// The end of what is durable.
    pub(crate) fn end(&self) -> Mark {
        *locked(&self.end)
    }

    /// Where the batch of that number begins, if it lies before `end`.
    pub(crate) fn locate(&self, batch_no: BatchNo, end: Position) -> Result<Option<Position>, Fault> {
        locked(&self.located).find(self, batch_no, end)
    }

    /// Shows readers what has been synced; never called before the sync.
    pub(crate) fn publish(&self, end: Mark) {
        *locked(&self.end) = end;
    }

    /// The existing segments from this one on, in order.
    pub(crate) fn since(&self, segment: SegmentNo) -> Vec<SegmentNo> {
        let numbers = self.numbers.read().unwrap_or_else(PoisonError::into_inner);
        numbers.range(segment..).copied().collect()
    }

    /// The first existing segment from this one on.
    pub(crate) fn first_since(&self, segment: SegmentNo) -> Option<SegmentNo> {
        let numbers = self.numbers.read().unwrap_or_else(PoisonError::into_inner);
        numbers.range(segment..).next().copied()
    }

    pub(crate) fn add(&self, segment: SegmentNo) {
        self.numbers.write().unwrap_or_else(PoisonError::into_inner).insert(segment);
    }

    pub(crate) fn file(&self, segment: SegmentNo) -> Result<Option<Arc<dyn DiskFile>>, Fault> {
        let mut open = locked(&self.open);
        if let Some(opened) = open.iter().find(|opened| opened.segment == segment) {
            return Ok(Some(Arc::clone(&opened.file)));
        }
        // Opened under the lock: a handle from before an erasure must not be kept after it.
        let file = self.volume.disk().open(&segment.file_name())?;
        if let Some(file) = &file {
            open.truncate(OPEN_SEGMENTS_MAX - 1);
            open.push_front(Opened { segment, file: Arc::clone(file) });
        }
        Ok(file)
    }

    /// Puts a rewritten file in the place of a segment.
    pub(crate) fn replace(&self, temporary: &str, segment: SegmentNo) -> Result<(), Fault> {
        let mut open = locked(&self.open);
        open.retain(|opened| opened.segment != segment);
        self.volume.disk().rename(temporary, &segment.file_name())
    }

    pub(crate) fn erasing(&self) -> MutexGuard<'_, ()> {
        locked(&self.erasing)
    }

    /// Bytes of one segment from `position` on. What is missing reads as zeros, which no frame is.
    pub(crate) fn read(&self, position: Position, bytes: u64) -> Result<Vec<u8>, Fault> {
        let mut content = vec![0; to_usize(bytes)];
        let segment = self.form.segment_bytes.segment_of(position);
        if let Some(file) = self.file(segment)? {
            let read = file.read_at(self.form.segment_bytes.offset_of(position), &mut content)?;
            debug_assert!(to_u64(read) <= bytes, "a read never gives more than asked for");
        }
        Ok(content)
    }
}
