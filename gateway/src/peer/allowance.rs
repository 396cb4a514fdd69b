//! What a connection may say beside messages. Frames that carry none cost their sender nothing and the
//! gateway its processor: beyond an allowance they are read as slowly as it grows again, and TCP holds the
//! sender back. Not here: what a message is (`service::intake`), and turns between connections (`accept`).

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures::task::AtomicWaker;
use tokio::time::{Sleep, sleep};

use crate::serve::CONNECTION_WINDOW_BYTES;

/// How fast the allowance grows, in bytes a second: 256 KiB, of which calls without content need a part.
pub const IDLE_BYTES_PER_SECOND: u64 = 256 * 1024;
/// The allowance at its fullest: what HTTP/2 lets a connection send ahead, and as much again. Messages are
/// credited when they are taken, so that a connection which sends nothing else never waits.
pub const IDLE_BYTES_BURST: u32 = 2 * CONNECTION_WINDOW_BYTES;
/// Of a message's bytes, this part (an eighth) is allowed for the frames around it.
const FRAMING_PART: usize = 8;

/// A connection's allowance, in bytes; below 0 when more was read than it had.
#[derive(Debug)]
pub struct Allowance {
    bytes: AtomicI64,
    reader: AtomicWaker,
}

impl Default for Allowance {
    fn default() -> Self {
        Self { bytes: AtomicI64::new(IDLE_BYTES_BURST.into()), reader: AtomicWaker::new() }
    }
}

impl Allowance {
    /// So many bytes that were read were a message's.
    pub fn credit(&self, bytes: usize) {
        let bytes = bytes.saturating_add(bytes / FRAMING_PART);
        self.bytes.fetch_add(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::AcqRel);
        self.reader.wake();
    }

    /// Adds what has grown; what is full is full, whatever was credited.
    fn grow(&self, bytes: i64) -> i64 {
        let full = i64::from(IDLE_BYTES_BURST);
        let grown = |before: i64| Some(before.saturating_add(bytes).min(full));
        let before = self.bytes.fetch_update(Ordering::AcqRel, Ordering::Acquire, grown);
        before.unwrap_or(full).saturating_add(bytes).min(full)
    }
}

/// The reading side of a connection.
#[derive(Debug)]
pub(super) struct Throttle {
    allowance: Arc<Allowance>,
    grown_at: Instant,
    waits: Option<Pin<Box<Sleep>>>,
}

impl Throttle {
    pub(super) fn new(allowance: Arc<Allowance>) -> Self {
        Self { allowance, grown_at: Instant::now(), waits: None }
    }

    /// So many bytes were read.
    pub(super) fn took(&self, bytes: usize) {
        self.allowance.bytes.fetch_sub(i64::try_from(bytes).unwrap_or(i64::MAX), Ordering::AcqRel);
    }

    /// Whether nothing may be read now. Then it wakes when something may.
    pub(super) fn is_spent(&mut self, context: &mut Context<'_>) -> bool {
        if self.grow() > 0 {
            self.waits = None;
            return false;
        }
        self.allowance.reader.register(context.waker());
        // It may have been credited in between.
        let left = self.grow();
        if left > 0 {
            return false;
        }
        let missing = left.unsigned_abs().saturating_add(1);
        let wait = Duration::from_millis(missing.saturating_mul(1000) / IDLE_BYTES_PER_SECOND + 1);
        let waits = self.waits.insert(Box::pin(sleep(wait)));
        match waits.as_mut().poll(context) {
            Poll::Ready(()) => context.waker().wake_by_ref(),
            Poll::Pending => {}
        }
        true
    }

    fn grow(&mut self) -> i64 {
        let elapsed = self.grown_at.elapsed();
        let bytes = u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX);
        let bytes = bytes.saturating_mul(IDLE_BYTES_PER_SECOND) / 1_000_000;
        if bytes > 0 {
            self.grown_at += elapsed;
        }
        self.allowance.grow(i64::try_from(bytes).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    const BURST: usize = 2 * 1024 * 1024;

    async fn may_read(throttle: &mut Throttle) {
        poll_fn(|context| if throttle.is_spent(context) { Poll::Pending } else { Poll::Ready(()) }).await;
    }

    fn is_spent(throttle: &mut Throttle) -> bool {
        throttle.is_spent(&mut Context::from_waker(std::task::Waker::noop()))
    }

    #[tokio::test]
    async fn frames_without_messages_are_read_as_slowly_as_the_allowance_grows() {
        let allowance = Arc::new(Allowance::default());
        let mut throttle = Throttle::new(Arc::clone(&allowance));
        assert!(!is_spent(&mut throttle));
        let began = Instant::now();
        throttle.took(BURST);
        // What goes beyond the burst is waited for.
        let beyond = BURST / 32;
        for _ in 0..4 {
            may_read(&mut throttle).await;
            throttle.took(beyond / 4);
        }
        may_read(&mut throttle).await;
        let least = Duration::from_millis(u64::try_from(beyond).unwrap() * 1000 / IDLE_BYTES_PER_SECOND);
        assert!(began.elapsed() >= least, "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn messages_cost_nothing_and_leave_no_more_than_a_full_allowance() {
        let allowance = Arc::new(Allowance::default());
        let mut throttle = Throttle::new(Arc::clone(&allowance));
        // Far more than would grow in the time that this takes.
        for _ in 0..100_000 {
            throttle.took(BURST);
            allowance.credit(BURST);
            assert!(!is_spent(&mut throttle));
        }
        throttle.took(4 * BURST);
        assert!(is_spent(&mut throttle));
        // A credit wakes whoever waits, long before it would have grown.
        let crediting = Arc::clone(&allowance);
        let credit = tokio::spawn(async move { crediting.credit(8 * BURST) });
        tokio::time::timeout(Duration::from_secs(5), may_read(&mut throttle)).await.unwrap();
        credit.await.unwrap();
    }
}
