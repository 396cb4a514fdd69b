//! The wall clock. Everything else takes the time as an argument.

use std::time::{SystemTime, UNIX_EPOCH};

use proto::ids::TimeMs;

/// Now, by the machine's clock.
#[must_use]
pub fn now() -> TimeMs {
    of(SystemTime::now())
}

/// A moment of the machine's.
#[must_use]
pub fn of(time: SystemTime) -> TimeMs {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    TimeMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
