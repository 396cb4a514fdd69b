//! When people are told: of what is new, again of what still waits, and once more, later and later, where
//! telling failed. Not here: how they are told (`way`).

use std::time::Duration;

use proto::ids::TimeMs;

use super::Waiting;

/// How often people are told again of an emergency that nobody has seen: 10 minutes.
pub const REMIND_EMERGENCY_MS: u64 = 10 * 60 * 1000;
/// How often of anything else: a day.
pub const REMIND_MS: u64 = 24 * 60 * 60 * 1000;
/// For how long after a mail what comes is gathered for the next one: 10 minutes.
pub const MAIL_GATHER_MS: u64 = 10 * 60 * 1000;
/// For how long where an emergency is new: a minute.
pub const GATHER_EMERGENCY_MS: u64 = 60 * 1000;
/// How long after a failure it is tried again; twice as long after each further one.
pub const RETRY_FIRST_MS: u64 = 1000;
/// The longest time between two tries.
pub const RETRY_MS_MAX: u64 = 5 * 60 * 1000;
/// How often one notice is tried. Then the next reminder is waited for, or something new.
pub const TRIES_MAX: u32 = 12;
/// How often it is looked whether something is due.
pub const LOOK_EVERY: Duration = Duration::from_secs(20);

/// What people were told last by one way, and when.
#[derive(Debug, Default)]
pub struct Bell {
    gather_ms: u64,
    told: Waiting,
    at: TimeMs,
    failures: u32,
    again_at: TimeMs,
}

impl Bell {
    /// One that gathers what comes within some time after it has rung.
    #[must_use]
    pub fn gathering(gather_ms: u64) -> Self {
        Self { gather_ms, ..Self::default() }
    }

    /// Whether people are to be told now.
    pub fn rings(&mut self, waiting: &Waiting, now: TimeMs) -> bool {
        // What was seen meanwhile is news when it comes again.
        self.told.keep_of(waiting);
        if waiting.is_empty() {
            self.failures = 0;
            return false;
        }
        if self.failures > 0 {
            return now >= self.again_at;
        }
        let every = if waiting.has_emergency() { REMIND_EMERGENCY_MS } else { REMIND_MS };
        let after = match waiting.news_since(&self.told) {
            None => every,
            Some(super::News::Emergency) => self.gather_ms.min(GATHER_EMERGENCY_MS),
            Some(super::News::Other) => self.gather_ms,
        };
        now >= self.at.plus_ms(after)
    }

    /// People were told.
    pub fn told(&mut self, waiting: Waiting, now: TimeMs) {
        (self.told, self.at, self.failures) = (waiting, now, 0);
    }

    /// They could not be told. Says how often in a row.
    pub fn failed(&mut self, waiting: Waiting, now: TimeMs) -> u32 {
        let failures = self.failures.saturating_add(1);
        if failures >= TRIES_MAX {
            self.told(waiting, now);
        } else {
            let doubled = RETRY_FIRST_MS.saturating_mul(1 << self.failures.min(31));
            (self.failures, self.again_at) = (failures, now.plus_ms(doubled.min(RETRY_MS_MAX)));
        }
        failures
    }

    /// How long nothing is due, unless something comes.
    #[must_use]
    pub fn rests(&self, now: TimeMs) -> Duration {
        if self.failures == 0 {
            return LOOK_EVERY;
        }
        Duration::from_millis(self.again_at.0.saturating_sub(now.0)).min(LOOK_EVERY)
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tests::waiting, *};

    const START: TimeMs = TimeMs(1_790_000_000_000);
    const MINUTE: u64 = 60 * 1000;
    const HOUR: u64 = 60 * MINUTE;

    fn ring(bell: &mut Bell, waiting: &Waiting, after: u64) -> bool {
        let now = START.plus_ms(after);
        let rings = bell.rings(waiting, now);
        if rings {
            bell.told(waiting.clone(), now);
        }
        rings
    }

    #[test]
    fn people_are_told_of_what_is_new_and_reminded_of_what_waits() {
        let mut bell = Bell::default();
        // After so many milliseconds so much waits: whether the bell rings.
        let rows = [
            (0, waiting(&[], 0, &[]), false),
            (1, waiting(&[1], 0, &[]), true),
            (2, waiting(&[1], 0, &[]), false),
            // One was seen, another came: as many as before, but news.
            (3, waiting(&[2], 0, &[]), true),
            (4, waiting(&[2], 0, &[7]), true),
            (5, waiting(&[], 0, &[7]), false),
            (23 * HOUR, waiting(&[], 0, &[7]), false),
            (24 * HOUR + 4, waiting(&[], 0, &[7]), true),
            (24 * HOUR + 5, waiting(&[3], 1, &[]), true),
            (24 * HOUR + 9 * MINUTE, waiting(&[3], 1, &[]), false),
            (24 * HOUR + 10 * MINUTE + 5, waiting(&[3], 1, &[]), true),
            (25 * HOUR, waiting(&[], 0, &[]), false),
        ];
        for (after, waiting, rings) in rows {
            assert_eq!(ring(&mut bell, &waiting, after), rings, "{after} {waiting:?}");
        }
    }

    #[test]
    fn what_comes_soon_after_a_mail_is_gathered_for_the_next_one() {
        let mut bell = Bell::gathering(MAIL_GATHER_MS);
        let rows = [
            (0, waiting(&[1], 0, &[]), true),
            (1, waiting(&[1, 2], 0, &[]), false),
            (9 * MINUTE, waiting(&[1, 2, 3], 0, &[]), false),
            (10 * MINUTE, waiting(&[1, 2, 3, 4], 0, &[]), true),
            // An emergency does not wait so long, and one a minute is enough.
            (11 * MINUTE - 1, waiting(&[5, 1], 1, &[]), false),
            (11 * MINUTE, waiting(&[5, 1], 1, &[]), true),
            (11 * MINUTE + 1, waiting(&[6, 5, 1], 2, &[]), false),
            (12 * MINUTE, waiting(&[6, 5, 1], 2, &[]), true),
        ];
        for (after, waiting, rings) in rows {
            assert_eq!(ring(&mut bell, &waiting, after), rings, "{after} {waiting:?}");
        }
    }

    #[test]
    fn what_fails_is_tried_later_and_later_and_not_for_ever() {
        let (mut bell, waiting) = (Bell::default(), waiting(&[1], 0, &[]));
        let mut after = 0;
        let mut waits = Vec::new();
        for failures in 1..=TRIES_MAX {
            assert!(bell.rings(&waiting, START.plus_ms(after)), "try {failures}");
            assert_eq!(bell.failed(waiting.clone(), START.plus_ms(after)), failures);
            assert!(!bell.rings(&waiting, START.plus_ms(after)));
            if failures < TRIES_MAX {
                waits.push(bell.again_at.0 - START.0 - after);
                assert_eq!(
                    bell.rests(START.plus_ms(after)),
                    Duration::from_millis(waits[waits.len() - 1]).min(LOOK_EVERY)
                );
                after = bell.again_at.0 - START.0;
            }
        }
        assert_eq!(waits[..3], [RETRY_FIRST_MS, 2 * RETRY_FIRST_MS, 4 * RETRY_FIRST_MS]);
        assert_eq!(waits.iter().max(), Some(&RETRY_MS_MAX));
        assert!(!bell.rings(&waiting, START.plus_ms(after + HOUR)), "no more of it");
        assert!(bell.rings(&waiting, START.plus_ms(after + REMIND_MS)), "until the next reminder");
        // Once it is told, it counts from the beginning.
        let more = super::super::tests::waiting(&[1, 2], 0, &[]);
        assert!(bell.rings(&more, START.plus_ms(after + HOUR)), "or until something new waits");
        bell.told(more.clone(), START.plus_ms(after + HOUR));
        assert!(!bell.rings(&more, START.plus_ms(after + HOUR + 1)));
    }
}
