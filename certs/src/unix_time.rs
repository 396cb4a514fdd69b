//! Moments and spans, in whole seconds, as certificates have them. Not here: a clock.

use std::{
    fmt,
    time::{Duration, SystemTime},
};

use time::OffsetDateTime;

use crate::error::Fault;

/// How far certificates and lists reach back before the moment of their making, so that a machine whose
/// clock is a little behind accepts them at once.
pub const BACKDATE: Lifetime = Lifetime { seconds: 300 };

/// 9999-12-31T23:59:59Z, the last moment that a certificate can name (RFC 5280, section 4.1.2.5).
const LAST: u64 = 253_402_300_799;

const DAY_SECONDS: u64 = 86_400;

/// A moment: Unix time in seconds, UTC, up to the year 9999. Displayed as RFC 3339.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct UnixTime(u64);

impl UnixTime {
    /// Reads seconds.
    ///
    /// # Errors
    /// [`Fault::Clock`] after the year 9999.
    pub const fn from_seconds(seconds: u64) -> Result<Self, Fault> {
        if seconds <= LAST { Ok(Self(seconds)) } else { Err(Fault::Clock) }
    }

    /// Reads the system's time.
    ///
    /// # Errors
    /// [`Fault::Clock`] before 1970 and after the year 9999.
    pub fn of(time: SystemTime) -> Result<Self, Fault> {
        let since = time.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| Fault::Clock)?;
        Self::from_seconds(since.as_secs())
    }

    /// Seconds since 1970.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.0
    }

    /// As rustls takes it.
    #[must_use]
    pub const fn to_pki(self) -> rustls_pki_types::UnixTime {
        rustls_pki_types::UnixTime::since_unix_epoch(Duration::from_secs(self.0))
    }

    /// This moment and so long; the end of the year 9999 at the most.
    #[must_use]
    pub const fn plus(self, lifetime: Lifetime) -> Self {
        let sum = self.0.saturating_add(lifetime.seconds);
        Self(if sum > LAST { LAST } else { sum })
    }

    /// This moment less so long; 1970 at the least.
    #[must_use]
    pub const fn minus(self, lifetime: Lifetime) -> Self {
        Self(self.0.saturating_sub(lifetime.seconds))
    }

    /// How long it is from then till this moment; nothing if then is later.
    #[must_use]
    pub const fn since(self, then: Self) -> Lifetime {
        Lifetime { seconds: self.0.saturating_sub(then.0) }
    }

    pub(crate) fn from_signed(seconds: i64) -> Option<Self> {
        u64::try_from(seconds).ok().and_then(|seconds| Self::from_seconds(seconds).ok())
    }

    pub(crate) fn calendar(self) -> OffsetDateTime {
        // Every value up to the year 9999 has a date; the epoch stands for what cannot be.
        i64::try_from(self.0)
            .ok()
            .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
            .unwrap_or(OffsetDateTime::UNIX_EPOCH)
    }
}

impl fmt::Display for UnixTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let at = self.calendar();
        let (year, month, day) = (at.year(), u8::from(at.month()), at.day());
        let (hour, minute, second) = at.to_hms();
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}Z")
    }
}

/// A span of time, in whole seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Lifetime {
    seconds: u64,
}

impl Lifetime {
    /// So many seconds.
    #[must_use]
    pub const fn from_seconds(seconds: u64) -> Self {
        Self { seconds }
    }

    /// So many days of 24 hours.
    #[must_use]
    pub const fn from_days(days: u64) -> Self {
        Self { seconds: days.saturating_mul(DAY_SECONDS) }
    }

    /// In seconds.
    #[must_use]
    pub const fn seconds(self) -> u64 {
        self.seconds
    }

    /// In days, of which the last may be short: how people say it.
    #[must_use]
    pub const fn days(self) -> u64 {
        self.seconds.div_ceil(DAY_SECONDS)
    }

    pub(crate) const fn half(self) -> Self {
        Self { seconds: self.seconds / 2 }
    }
}

impl fmt::Display for Lifetime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.days() {
            1 => f.write_str("1 day"),
            days => write!(f, "{days} days"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_displayed_as_rfc_3339() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_790_000_000, "2026-09-21T14:13:20Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (LAST, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(UnixTime::from_seconds(seconds).unwrap().to_string(), text);
        }
        assert_eq!(UnixTime::from_seconds(LAST + 1), Err(Fault::Clock));
        assert_eq!(UnixTime::of(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), Err(Fault::Clock));
    }

    #[test]
    fn sums_stop_at_the_ends() {
        let last = UnixTime(LAST);
        assert_eq!(last.plus(Lifetime::from_days(1)), last);
        assert_eq!(UnixTime(5).minus(BACKDATE), UnixTime(0));
        assert_eq!(UnixTime(5).since(UnixTime(9)), Lifetime::from_seconds(0));
        assert_eq!(Lifetime::from_seconds(86_401).days(), 2);
    }
}
