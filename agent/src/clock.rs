//! The machine's clock. Not here: the gateway's, which evidence goes by.

use std::time::{SystemTime, UNIX_EPOCH};

use proto::ids::TimeMs;

/// Now; the beginning of time on a machine whose clock stands before 1970.
#[must_use]
pub fn now() -> TimeMs {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    TimeMs(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
