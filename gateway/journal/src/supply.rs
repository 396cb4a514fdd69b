//! Segments ready ahead of need, made by a thread or on the spot. Not here: how one is made.
//!
//! A failure to make one (a full disk) is no fault of the journal: it only means that none is
//! ready, and it is tried again.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{
    fault::{Fault, Step},
    position::SegmentNo,
    prepare,
    segments::{Opened, Segments},
};

/// How long the thread waits after a failure before it tries again.
const RETRY: Duration = Duration::from_secs(1);
/// How long an append waits for a segment that is being made.
const WAIT: Duration = Duration::from_secs(30);

pub(crate) enum Supply {
    Inline(Inline),
    Background(Background),
}

impl Supply {
    /// The next segment; waits while one is being made.
    pub(crate) fn take(&mut self) -> Result<Opened, Fault> {
        match self {
            Self::Inline(inline) => inline.take(),
            Self::Background(background) => background.take(),
        }
    }

    /// Whether a segment is ready now.
    pub(crate) fn is_ready(&mut self) -> bool {
        match self {
            Self::Inline(inline) => {
                inline.refill();
                !inline.stock.ready.is_empty()
            }
            Self::Background(background) => !background.shared.lock().stock.ready.is_empty(),
        }
    }
}

/// What is ready, what comes next, and how many are wanted.
pub(crate) struct Stock {
    pub(crate) ready: VecDeque<Opened>,
    pub(crate) next: SegmentNo,
    pub(crate) wanted: usize,
}

impl Stock {
    fn is_short(&self) -> bool {
        self.ready.len() < self.wanted
    }

    fn put(&mut self, made: Opened) {
        self.next = made.segment.next();
        self.ready.push_back(made);
    }
}

pub(crate) struct Inline {
    segments: Arc<Segments>,
    stock: Stock,
}

impl Inline {
    pub(crate) fn new(segments: Arc<Segments>, stock: Stock) -> Self {
        let mut inline = Self { segments, stock };
        inline.refill();
        inline
    }

    fn refill(&mut self) {
        while self.stock.is_short() {
            match prepare::make(&self.segments, self.stock.next) {
                Ok(made) => self.stock.put(made),
                Err(fault) => return warn(&fault),
            }
        }
    }

    fn take(&mut self) -> Result<Opened, Fault> {
        let taken = self.stock.ready.pop_front();
        self.refill();
        taken.or_else(|| self.stock.ready.pop_front()).ok_or(Fault::NoRoom)
    }
}

fn warn(fault: &Fault) {
    tracing::warn!(target: "journal", %fault, "no segment prepared");
}

pub(crate) struct Background {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    work: Mutex<Work>,
    changed: Condvar,
}

struct Work {
    stock: Stock,
    /// The last attempt failed.
    failing: bool,
    stop: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Work> {
        self.work.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, work: MutexGuard<'a, Work>, longest: Duration) -> MutexGuard<'a, Work> {
        self.changed.wait_timeout(work, longest).unwrap_or_else(PoisonError::into_inner).0
    }

    /// Waits until there is work; `None` when it is time to stop.
    fn next_work(&self) -> Option<SegmentNo> {
        let mut work = self.lock();
        let failed_at = Instant::now();
        loop {
            if work.stop {
                return None;
            }
            let rest = RETRY.saturating_sub(failed_at.elapsed());
            let resting = work.failing && !rest.is_zero();
            if work.stock.is_short() && !resting {
                return Some(work.stock.next);
            }
            work = self.wait(work, if resting { rest } else { WAIT });
        }
    }

    fn finish(&self, made: Result<Opened, Fault>) {
        let mut work = self.lock();
        work.failing = made.is_err();
        match made {
            Ok(made) => work.stock.put(made),
            Err(fault) => warn(&fault),
        }
        self.changed.notify_all();
    }
}

impl Background {
    pub(crate) fn start(segments: Arc<Segments>, stock: Stock) -> Result<Self, Fault> {
        let work = Work { stock, failing: false, stop: false };
        let shared = Arc::new(Shared { work: Mutex::new(work), changed: Condvar::new() });
        let own = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("journal-prepare".to_owned())
            .spawn(move || {
                while let Some(segment) = own.next_work() {
                    own.finish(prepare::make(&segments, segment));
                }
            })
            .map_err(|error| Fault::io(Step::Spawn, &error))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    fn take(&self) -> Result<Opened, Fault> {
        let started = Instant::now();
        let mut work = self.shared.lock();
        loop {
            if let Some(taken) = work.stock.ready.pop_front() {
                self.shared.changed.notify_all();
                return Ok(taken);
            }
            let rest = WAIT.saturating_sub(started.elapsed());
            if work.failing || rest.is_zero() {
                return Err(Fault::NoRoom);
            }
            work = self.shared.wait(work, rest);
        }
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.shared.lock().stop = true;
        self.shared.changed.notify_all();
        // The directory's lock is given up after this, so nobody prepares the same segment twice.
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::warn!(target: "journal", "the preparing thread had panicked");
        }
    }
}
