//! The gateway's own clock: how far it is believed, when it is in doubt, and what waits after an outage.
//! Not here: reading a clock, and the clocks of referrals (`clocks`).

use crate::{
    evidence::{Event, Record},
    ids::TimeMs,
};

/// How far the machine's clock may run on between two looks at it: an hour. More is a step: a wrong time
/// zone, a wrong year, a machine that was put to sleep.
pub const CLOCK_STEP_MS_MAX: u64 = 60 * 60 * 1000;
/// How long an absence is not worth a word: 5 minutes, in which a process starts again.
pub const OUTAGE_MS_MIN: u64 = 5 * 60 * 1000;
/// The longest absence that a process is believed: ten years. Nobody was away for longer, so the clock
/// of the machine is wrong.
pub const OUTAGE_MS_MAX: u64 = 3650 * 24 * 60 * 60 * 1000;
/// How long what fell due during an outage waits after it: half an hour, for agents to connect again and
/// to bring what they could not bring.
pub const OUTAGE_GRACE_MS: u64 = 30 * 60 * 1000;

/// What is known of the gateway's own clock, by its journal alone.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct GatewayClock {
    pub(crate) doubt: Option<Doubt>,
    pub(crate) confirmed: TimeMs,
    pub(crate) grace: Option<Grace>,
}

/// The machine's clock has jumped, and nobody has said why. Time stands still for the rules, so that what
/// would be missed by a wrong clock is not, until administrators say what time it is, or the clock is
/// back where it was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Doubt {
    /// The last moment that was believed.
    pub since: TimeMs,
    /// How far the clock had jumped when it was seen.
    pub ahead_ms: u64,
}

/// After an outage.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Grace {
    /// What fell due until here ...
    pub(crate) of: TimeMs,
    /// ... waits until here.
    pub(crate) until: TimeMs,
}

/// A look at the machine's clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Moment {
    /// What the rules take it for.
    pub now: TimeMs,
    /// How long nobody had looked, when that is worth a word.
    pub resumed_after_ms: u64,
    /// How far it is beyond what is believed.
    pub clock_ahead_ms: u64,
}

impl GatewayClock {
    /// What a look at the machine's clock says. `last` is the last moment that was believed.
    #[must_use]
    pub fn look(&self, last: TimeMs, wall: TimeMs) -> Moment {
        let believed = last.max(self.confirmed).plus_ms(CLOCK_STEP_MS_MAX);
        // Before the first batch there is nothing that a clock could harm.
        if wall <= believed || last == TimeMs(0) {
            Moment { now: wall.max(last), resumed_after_ms: 0, clock_ahead_ms: 0 }
        } else {
            Moment { now: last, resumed_after_ms: 0, clock_ahead_ms: wall.0.saturating_sub(last.0) }
        }
    }

    /// The first look of a process, which was away before; `alive` is its last sign of life, where there
    /// is one after `last`. It is not believed what the process before it was not.
    #[must_use]
    pub fn first_look(&self, last: TimeMs, alive: TimeMs, wall: TimeMs) -> Moment {
        let jump_ms = wall.0.saturating_sub(last.0);
        if self.doubt.is_some() || last == TimeMs(0) || jump_ms > OUTAGE_MS_MAX {
            return self.look(last, wall);
        }
        let away_ms = wall.0.saturating_sub(last.max(alive).0);
        let resumed_after_ms = if away_ms >= OUTAGE_MS_MIN { away_ms } else { 0 };
        Moment { now: wall.max(last), resumed_after_ms, clock_ahead_ms: 0 }
    }

    /// The doubt, while there is one.
    #[must_use]
    pub const fn doubt(&self) -> Option<&Doubt> {
        self.doubt.as_ref()
    }

    /// Up to when what is due now had to fall due, when something still waits after an outage.
    pub(crate) fn waits(&self, now: TimeMs) -> Option<Grace> {
        self.grace.filter(|grace| now < grace.until)
    }

    pub(crate) fn apply(&mut self, record: &Record) {
        let (what, now) = (&record.what, record.place.time);
        if what.event == Event::Outage {
            self.grace = Some(Grace { of: now, until: now.plus_ms(OUTAGE_GRACE_MS) });
        } else if what.event == Event::ClockStepped {
            self.doubt = Some(Doubt { since: now, ahead_ms: what.count });
        } else if what.event == Event::ClockConfirmed {
            self.doubt = None;
            // Confirmed by people, it was as good as away. Back where it was, it missed nothing.
            if what.due_at != TimeMs(0) {
                let of = what.due_at.max(now);
                self.confirmed = of;
                self.grace = Some(Grace { of, until: of.plus_ms(OUTAGE_GRACE_MS) });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: TimeMs = TimeMs(1_790_000_000_000);

    fn at(ms: u64) -> TimeMs {
        NOW.plus_ms(ms)
    }

    #[test]
    fn a_step_beyond_the_bound_is_not_believed() {
        let clock = GatewayClock::default();
        let rows = [
            (at(0), at(0), 0),
            (at(CLOCK_STEP_MS_MAX), at(CLOCK_STEP_MS_MAX), 0),
            (at(CLOCK_STEP_MS_MAX + 1), NOW, CLOCK_STEP_MS_MAX + 1),
            (NOW.minus_ms(99), NOW, 0),
        ];
        for (wall, now, clock_ahead_ms) in rows {
            assert_eq!(clock.look(NOW, wall), Moment { now, resumed_after_ms: 0, clock_ahead_ms });
        }
        assert_eq!(clock.look(TimeMs(0), NOW).now, NOW, "the first batch of all");
    }

    #[test]
    fn a_process_that_starts_is_believed_how_long_it_was_away() {
        let clock = GatewayClock::default();
        let rows = [
            (OUTAGE_MS_MIN - 1, OUTAGE_MS_MIN - 1, 0, 0),
            (OUTAGE_MS_MIN, OUTAGE_MS_MIN, OUTAGE_MS_MIN, 0),
            (OUTAGE_MS_MAX, OUTAGE_MS_MAX, OUTAGE_MS_MAX, 0),
            (OUTAGE_MS_MAX + 1, 0, 0, OUTAGE_MS_MAX + 1),
        ];
        for (away, now, resumed_after_ms, clock_ahead_ms) in rows {
            let moment = Moment { now: at(now), resumed_after_ms, clock_ahead_ms };
            assert_eq!(clock.first_look(NOW, NOW, at(away)), moment, "{away}");
        }
        // It was quiet, but there; and a sign of life that is still to come is none of absence.
        let quiet = at(2 * OUTAGE_MS_MIN);
        for alive in [quiet.minus_ms(OUTAGE_MS_MIN - 1), quiet, at(9 * OUTAGE_MS_MIN)] {
            assert_eq!(clock.first_look(NOW, alive, quiet).resumed_after_ms, 0);
        }
        // Starting again does not make a clock right.
        let doubt = Some(Doubt { since: NOW, ahead_ms: 2 * CLOCK_STEP_MS_MAX });
        let doubted = GatewayClock { doubt, ..clock };
        assert_eq!(doubted.first_look(NOW, NOW, at(2 * CLOCK_STEP_MS_MAX)).now, NOW);
        let confirmed = GatewayClock { confirmed: at(2 * CLOCK_STEP_MS_MAX), ..doubted };
        assert_eq!(confirmed.look(NOW, at(3 * CLOCK_STEP_MS_MAX)).now, at(3 * CLOCK_STEP_MS_MAX));
        assert_eq!(confirmed.look(NOW, at(3 * CLOCK_STEP_MS_MAX + 1)).now, NOW);
    }
}
