//! Work that is not done while somebody waits: on a thread of its own, or by whoever asks how far it
//! is, so that a simulation stays the same run for the same seed. Not here: what the work is.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
};

use super::rows::RowsFault;

/// How many rows are worked on before somebody looks whether it is still wanted.
const ROWS_BETWEEN_LOOKS: usize = 1024;

/// Told to whoever works that nobody wants it any more.
#[derive(Debug, Clone, Default)]
pub(super) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Whether to go on, asked for each row.
    ///
    /// # Errors
    /// [`RowsFault`]: no.
    pub(super) fn check(&self, row: usize) -> Result<(), RowsFault> {
        let stopped = row.is_multiple_of(ROWS_BETWEEN_LOOKS) && self.0.load(Ordering::Relaxed);
        if stopped { Err(RowsFault) } else { Ok(()) }
    }
}

type Job<T, E> = Box<dyn FnOnce(&Stop) -> Result<T, E> + Send>;

/// One place to work at: one piece at a time.
pub(super) struct Bench<T, E> {
    in_background: bool,
    stop: Stop,
    at: At<T, E>,
}

enum At<T, E> {
    Nothing,
    /// For the next who asks.
    Waiting(Job<T, E>),
    Running(JoinHandle<Result<T, E>>),
}

impl<T: Send + 'static, E: From<RowsFault> + Send + 'static> Bench<T, E> {
    pub(super) fn new(in_background: bool) -> Self {
        Self { in_background, stop: Stop::default(), at: At::Nothing }
    }

    pub(super) const fn is_free(&self) -> bool {
        matches!(self.at, At::Nothing)
    }

    /// Begins a piece; the place must be free.
    pub(super) fn begin(&mut self, job: impl FnOnce(&Stop) -> Result<T, E> + Send + 'static) {
        self.at = if self.in_background {
            let stop = self.stop.clone();
            match thread::Builder::new().name("index".to_owned()).spawn(move || job(&stop)) {
                Ok(running) => At::Running(running),
                Err(_) => At::Waiting(Box::new(|_| Err(RowsFault.into()))),
            }
        } else {
            At::Waiting(Box::new(job))
        };
    }

    /// What was done, if it is done.
    pub(super) fn poll(&mut self) -> Option<Result<T, E>> {
        match &self.at {
            At::Running(running) if !running.is_finished() => None,
            At::Nothing | At::Waiting(_) | At::Running(_) => self.wait(),
        }
    }

    /// What was done, when it is done; nothing when there was nothing to do.
    pub(super) fn wait(&mut self) -> Option<Result<T, E>> {
        match std::mem::replace(&mut self.at, At::Nothing) {
            At::Nothing => None,
            At::Waiting(job) => Some(job(&self.stop)),
            // A panic is a fault like others: what was to be made is made again.
            At::Running(running) => Some(running.join().unwrap_or_else(|_| Err(RowsFault.into()))),
        }
    }
}

impl<T, E> Drop for Bench<T, E> {
    fn drop(&mut self) {
        self.stop.0.store(true, Ordering::Relaxed);
        if let At::Running(running) = std::mem::replace(&mut self.at, At::Nothing)
            && running.join().is_err()
        {
            tracing::warn!("a thread of the index had panicked");
        }
    }
}

impl<T, E> fmt::Debug for Bench<T, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bench").field("in_background", &self.in_background).finish_non_exhaustive()
    }
}
