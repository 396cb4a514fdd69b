//! The wall clock. Everything else takes the time as an argument.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{SystemTime, UNIX_EPOCH},
};

use proto::ids::TimeMs;

/// How far the rules' clock is ahead of the machine's: nothing, but in a sandbox.
static AHEAD_MS: AtomicU64 = AtomicU64::new(0);

/// Now, for the rules: by the machine's clock, or, in a sandbox, ahead of it.
#[must_use]
pub fn now() -> TimeMs {
    of(SystemTime::now())
}

/// A moment of the machine's, for the rules.
#[must_use]
pub fn of(time: SystemTime) -> TimeMs {
    machine_of(time).plus_ms(ahead_ms())
}

/// Now, by the machine's clock alone: what certificates and their lists go by, since TLS does.
#[must_use]
pub fn machine() -> TimeMs {
    machine_of(SystemTime::now())
}

/// How far the rules' clock is ahead of the machine's.
#[must_use]
pub fn ahead_ms() -> u64 {
    AHEAD_MS.load(Ordering::Relaxed)
}

/// Only a sandbox may: see [`crate::sandbox`].
pub(crate) fn run_ahead(ahead_ms: u64) {
    AHEAD_MS.store(ahead_ms, Ordering::Relaxed);
}

fn machine_of(time: SystemTime) -> TimeMs {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    TimeMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
