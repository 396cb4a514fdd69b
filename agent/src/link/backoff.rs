//! How long to wait before connecting again: exponentially longer, and each wait drawn at random up to
//! its bound ("full jitter"), so that agents do not all come at once. Not here: the clock.

use std::time::Duration;

/// The first bound.
pub const FIRST: Duration = Duration::from_millis(500);
/// No bound is longer.
pub const LONGEST: Duration = Duration::from_secs(60);

/// Waits.
pub struct Backoff {
    failures: u32,
    random: Box<dyn FnMut() -> u64 + Send>,
}

impl Backoff {
    /// With this source of randomness.
    #[must_use]
    pub fn new(random: impl FnMut() -> u64 + Send + 'static) -> Self {
        Self { failures: 0, random: Box::new(random) }
    }

    /// With the operating system's randomness; where it gives none, every wait is its whole bound.
    #[must_use]
    pub fn of_the_system() -> Self {
        Self::new(|| crate::randomness::bytes().map_or(u64::MAX, u64::from_le_bytes))
    }

    /// The next wait.
    pub fn next_wait(&mut self) -> Duration {
        let bound = FIRST.saturating_mul(1_u32.checked_shl(self.failures).unwrap_or(u32::MAX)).min(LONGEST);
        self.failures = self.failures.saturating_add(1).min(31);
        let bound_ms = u64::try_from(bound.as_millis()).unwrap_or(u64::MAX);
        let share = u128::from((self.random)()) * u128::from(bound_ms) / u128::from(u64::MAX);
        Duration::from_millis(u64::try_from(share).unwrap_or(bound_ms))
    }

    /// The next failure is the first again.
    pub const fn reset(&mut self) {
        self.failures = 0;
    }
}

impl std::fmt::Debug for Backoff {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Backoff").field("failures", &self.failures).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_double_up_to_the_longest_and_begin_again() {
        let mut whole = Backoff::new(|| u64::MAX);
        let waits: Vec<_> = (0..9).map(|_| whole.next_wait().as_millis()).collect();
        assert_eq!(waits, [500, 1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000]);
        for _ in 0..100 {
            assert_eq!(whole.next_wait(), LONGEST);
        }
        whole.reset();
        assert_eq!(whole.next_wait(), FIRST);
    }

    #[test]
    fn each_wait_is_drawn_from_all_of_its_bound() {
        let mut seed = 7_u64;
        let mut drawn = Backoff::new(move || {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            seed
        });
        let waits: Vec<_> = (0..200).map(|_| drawn.next_wait()).collect();
        assert!(waits.iter().all(|wait| *wait <= LONGEST));
        assert!(
            waits.iter().any(|wait| *wait < LONGEST / 10)
                && waits.iter().any(|wait| *wait > LONGEST * 9 / 10)
        );
        assert_eq!(Backoff::new(|| 0).next_wait(), Duration::ZERO);
    }
}
