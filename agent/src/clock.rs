//! The machine's clock, and the rules' clock, which in a sandbox is ahead of it. Not here: the gateway's, which
//! evidence goes by.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use proto::ids::TimeMs;

/// How far the rules' clock is ahead of the machine's: nothing, but in a sandbox.
static AHEAD_MS: AtomicU64 = AtomicU64::new(0);

/// Now, for the rules; the beginning of time on a machine whose clock stands before 1970.
#[must_use]
pub fn now() -> TimeMs {
    machine().plus_ms(AHEAD_MS.load(Ordering::Relaxed))
}

/// Now, by the machine's clock alone: what certificates go by, since TLS does.
#[must_use]
pub fn machine() -> TimeMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimeMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// How far the rules' clock is ahead of the machine's.
#[cfg(unix)]
pub(crate) fn ahead_ms() -> u64 {
    AHEAD_MS.load(Ordering::Relaxed)
}

/// Only a sandbox may.
#[cfg(unix)]
pub(crate) fn run_ahead(ahead_ms: u64) {
    AHEAD_MS.store(ahead_ms, Ordering::Relaxed);
}
