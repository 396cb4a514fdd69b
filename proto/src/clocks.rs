//! The clocks of an attempt of a referral: what begins, pauses and ends each, how long it runs, and
//! which agreements may make it shorter. Not here: what happens when one is missed (`decide`), and the
//! gateway's own clock (`gateway_clock`).
//!
//! | clock | begins with | runs while | ends with |
//! | --- | --- | --- | --- |
//! | delivered | a submission | submitted | the signed handover |
//! | seen | a submission that wants an answer | submitted, delivered | a person at the recipient sees, answers or waitlists it |
//! | answered | a submission that wants an answer; again, unless it is an emergency, with a place on a waiting list | submitted, delivered, seen, waitlisted | an acceptance or a decline; a question is no answer |
//! | escalation | a decline that lets it go on, or silence, while an agency is left that she named | declined, expired | the next agency is asked, by the gateway or by people |
//! | disclosure | an acceptance, while identity is due | accepted and all that follows; it pauses on hold and while a cancellation is asked for | identity goes to the recipient, or her consent is withdrawn |
//! | transit | a departure | in transit, also while a cancellation is asked for | an arrival, or word that she did not come |
//! | progress | an acceptance; again with everything that the recipient says | accepted and all that follows, also on hold and while a cancellation is asked for | the end of the attempt |
//! | held | an operator's hold, until a second one confirms it | submitted | the second one's word, the release, or its lapse: when it is missed, the hold is over |
//! | transfer | an offered transfer of responsibility | accepted and all that follows | an answer to it; when it is missed, the offer is over |
//!
//! Every clock ends with its attempt. In an emergency none pauses and none follows a calendar. A clock
//! that is missed is missed once, and ends.

use thin_vec::ThinVec;

use crate::{
    directory::Directory,
    evidence::Event,
    ids::{Code, TimeMs, Urgency, closed_list},
    lifecycle::{Act, Status},
    referral::Referral,
    wire,
};

closed_list!(
    /// What is awaited.
    ClockKind {
        /// That the recipient's agent has it.
        Delivered = 1,
        /// That a person there has seen it.
        Seen = 2,
        /// An answer.
        Answered = 3,
        /// That people ask another agency, before the gateway asks the next one.
        Escalation = 4,
        /// The identity, after an acceptance.
        Disclosure = 5,
        /// That she arrives.
        Transit = 6,
        /// That the recipient says how it goes on, after an acceptance.
        Progress = 7,
        /// An answer to an offered transfer of responsibility.
        Transfer = 8,
        /// That a second operator confirms that a referral is held back.
        Held = 9,
    }
);

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The network's own limit of a clock, in seconds, around the clock. No agreement can make it longer.
#[must_use]
pub const fn default_seconds(urgency: Urgency, kind: ClockKind) -> u64 {
    use ClockKind::{Answered, Delivered, Disclosure, Escalation, Held, Progress, Seen, Transfer, Transit};
    match (kind, urgency) {
        // An agent that runs fetches within seconds. Longer means that a machine or a line is down, and
        // somebody must telephone, in an emergency while the hour for seeing it is not over.
        (Delivered, Urgency::Emergency) => 15 * MINUTE,
        (Delivered, Urgency::Urgent) => 4 * HOUR,
        // Some machines are switched off at the week-end.
        (Delivered, Urgency::Normal) => 3 * DAY,
        (Seen, Urgency::Emergency) => HOUR,
        (Seen, Urgency::Urgent) => DAY,
        (Seen, Urgency::Normal) => 7 * DAY,
        (Answered, Urgency::Emergency) => DAY,
        (Answered, Urgency::Urgent) => 3 * DAY,
        (Answered, Urgency::Normal) => 14 * DAY,
        // In an emergency the next agency is asked at once. Otherwise the people who know her have time
        // to look for a better way first.
        (Escalation, Urgency::Emergency) => 0,
        (Escalation, Urgency::Urgent) => HOUR,
        (Escalation, Urgency::Normal) => DAY,
        // Who said yes expects a person, and cannot prepare for somebody without a name.
        (Disclosure, Urgency::Emergency) => HOUR,
        (Disclosure, Urgency::Urgent) => DAY,
        (Disclosure, Urgency::Normal) => 3 * DAY,
        // A drive across a country, a flight with its borders. Who is longer on her way may be lost.
        (Transit, Urgency::Emergency) => 6 * HOUR,
        (Transit, Urgency::Urgent) => 12 * HOUR,
        (Transit, Urgency::Normal) => DAY,
        // A yes behind which nothing follows is silence, too. Care goes on for months: one word is enough.
        (Progress, Urgency::Emergency) => 3 * DAY,
        (Progress, Urgency::Urgent) => 14 * DAY,
        (Progress, Urgency::Normal) => 60 * DAY,
        // Until then two agencies may each believe that the other answers for her.
        (Transfer, Urgency::Emergency) => DAY,
        (Transfer, Urgency::Urgent) => 3 * DAY,
        (Transfer, Urgency::Normal) => 14 * DAY,
        // As long as every stop by one person lasts.
        (Held, _) => DAY,
    }
}

/// What a status does to a clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// It runs.
    Runs,
    /// It stands still; what was left is left when it runs again.
    Pauses,
    /// It is over.
    Over,
}

/// What a status does to a clock that has begun: the table of this module.
#[must_use]
pub fn standing(kind: ClockKind, status: Status, urgency: Urgency) -> Standing {
    use Status::{
        CancelRequested, Declined, Delivered, Expired, InTransit, OnHold, Seen, Submitted, Waitlisted,
    };
    let runs = match kind {
        ClockKind::Delivered | ClockKind::Held => status == Submitted,
        ClockKind::Seen => matches!(status, Submitted | Delivered),
        ClockKind::Answered => matches!(status, Submitted | Delivered | Seen | Waitlisted),
        ClockKind::Escalation => matches!(status, Declined | Expired),
        ClockKind::Disclosure | ClockKind::Progress | ClockKind::Transfer => {
            status.is_taken() || status == CancelRequested
        }
        ClockKind::Transit => matches!(status, InTransit | CancelRequested),
    };
    let pauses = kind == ClockKind::Disclosure && matches!(status, OnHold | CancelRequested);
    if !runs {
        Standing::Over
    } else if pauses && urgency != Urgency::Emergency {
        Standing::Pauses
    } else {
        Standing::Runs
    }
}

/// Whether an act in an attempt begins a clock there.
#[must_use]
pub fn begins(kind: ClockKind, act: Act, urgency: Urgency, expects_answer: bool) -> bool {
    match kind {
        ClockKind::Delivered => act == Act::Submit,
        ClockKind::Seen => act == Act::Submit && expects_answer,
        // A place on a waiting list is no answer: who gave it owes one, and the line is looked at again.
        ClockKind::Answered => {
            expects_answer && (act == Act::Submit || (act == Act::Waitlist && urgency != Urgency::Emergency))
        }
        ClockKind::Escalation => act == Act::Decline,
        ClockKind::Disclosure => act == Act::Accept,
        ClockKind::Transit => act == Act::Depart,
        // Whatever the recipient says; what it does to the status shows whether there is anything to wait for.
        ClockKind::Progress => expects_answer && act != Act::Submit,
        ClockKind::Transfer => act == Act::OfferTransfer,
        // With no act of an agency.
        ClockKind::Held => false,
    }
}

/// The evidence that a clock was missed. When that of escalation is due, it is not missed: the next
/// agency is asked, or it is said why none can be.
#[must_use]
pub const fn missed_event(kind: ClockKind) -> Event {
    match kind {
        ClockKind::Answered => Event::AcceptanceRejectionExpiry,
        ClockKind::Delivered
        | ClockKind::Seen
        | ClockKind::Escalation
        | ClockKind::Disclosure
        | ClockKind::Transit
        | ClockKind::Progress
        | ClockKind::Transfer
        | ClockKind::Held => Event::ClockMissed,
    }
}

/// The clocks that a clause agrees on.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct AgreedClocks {
    limits: Vec<(Urgency, ClockKind, u64)>,
    calendar: Option<Code>,
    /// Whether something in it cannot be read, or is said twice. It counts for nothing.
    unclear: bool,
}

impl AgreedClocks {
    /// Reads what a clause says. What cannot be read makes no agreement unreadable that was logged
    /// before; [`Self::is_stricter`] says so, and no new one is taken.
    #[must_use]
    pub fn parse(wire: Option<&wire::Clocks>) -> Self {
        let Some(wire) = wire else {
            return Self::default();
        };
        let mut agreed = Self::default();
        match Code::parse_optional(&wire.calendar, "clauses.clocks.calendar") {
            Ok(calendar) => agreed.calendar = calendar,
            Err(_) => agreed.unclear = true,
        }
        for limit in &wire.limits {
            let urgency = Urgency::parse(limit.urgency, "clauses.clocks.limits.urgency");
            let clock = ClockKind::parse(limit.clock, "clauses.clocks.limits.clock");
            match (urgency, clock) {
                (Ok(urgency), Ok(clock))
                    if clock != ClockKind::Held && agreed.limit(urgency, clock).is_none() =>
                {
                    agreed.limits.push((urgency, clock, limit.seconds));
                }
                _ => agreed.unclear = true,
            }
        }
        agreed
    }

    /// Whether it says everything once, and nothing that is looser than the network's own limits.
    #[must_use]
    pub fn is_stricter(&self) -> bool {
        let stricter = |(urgency, kind, seconds): &(Urgency, ClockKind, u64)| {
            *seconds <= default_seconds(*urgency, *kind)
        };
        !self.unclear && self.limits.iter().all(stricter)
    }

    /// The calendar by which its limits are counted.
    #[must_use]
    pub const fn calendar(&self) -> Option<&Code> {
        self.calendar.as_ref()
    }

    /// Its limits in seconds, in the order in which they stand; 0 is the network's own.
    pub fn limits(&self) -> impl Iterator<Item = (Urgency, ClockKind, u64)> {
        self.limits.iter().copied()
    }

    fn limit(&self, urgency: Urgency, kind: ClockKind) -> Option<u64> {
        let limit = self.limits.iter().find(|(of, clock, _)| *of == urgency && *clock == kind);
        limit.map(|(_, _, seconds)| *seconds)
    }

    /// When a clock that begins now is missed. The agreement's own limit is counted in its calendar's
    /// working time, except in an emergency; the network's limit, around the clock, is never passed.
    #[must_use]
    pub fn due(&self, directory: &Directory, urgency: Urgency, kind: ClockKind, now: TimeMs) -> TimeMs {
        let network = now.plus_ms(ms(default_seconds(urgency, kind)));
        // 0 is the network's own.
        let Some(seconds) = self.limit(urgency, kind).filter(|seconds| *seconds != 0) else {
            return network;
        };
        let calendar = self.calendar.as_ref().filter(|_| urgency != Urgency::Emergency);
        let working = calendar.and_then(|name| directory.working_time(name));
        let agreed =
            working.map_or_else(|| now.plus_ms(ms(seconds)), |working| working.add(now, ms(seconds)));
        agreed.min(network)
    }
}

const fn ms(seconds: u64) -> u64 {
    seconds.saturating_mul(1000)
}

/// A clock that begins.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Begun {
    /// Which.
    pub kind: ClockKind,
    /// The first moment at which it is missed.
    pub due_at: TimeMs,
}

/// A clock that has begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct OpenClock {
    /// Which.
    pub kind: ClockKind,
    /// The first moment at which it is missed; while it pauses, what that was when it began to.
    pub due_at: TimeMs,
    /// Since when it pauses.
    pub paused_at: Option<TimeMs>,
}

/// The clocks of an attempt that are neither kept nor missed.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct OpenClocks {
    /// One of a kind at the most, in the order of the kinds.
    open: ThinVec<OpenClock>,
}

impl OpenClocks {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &OpenClock> {
        self.open.iter()
    }

    /// Those that run, with the moment at which each is missed.
    pub fn running(&self) -> impl Iterator<Item = Begun> {
        let running = self.open.iter().filter(|clock| clock.paused_at.is_none());
        running.map(|clock| Begun { kind: clock.kind, due_at: clock.due_at })
    }

    /// The one that is missed first.
    #[must_use]
    pub fn next(&self) -> Option<Begun> {
        self.running().min_by_key(|clock| (clock.due_at, clock.kind))
    }

    /// The clock of a kind.
    #[must_use]
    pub fn get(&self, kind: ClockKind) -> Option<&OpenClock> {
        self.open.iter().find(|clock| clock.kind == kind)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Takes up a clock, in the place of one of its kind.
    pub(crate) fn put(&mut self, clock: OpenClock) {
        self.end(clock.kind);
        let place = self.open.partition_point(|open| open.kind < clock.kind);
        self.open.reserve_exact(1);
        self.open.insert(place, clock);
    }

    pub(crate) fn begin(&mut self, Begun { kind, due_at }: Begun) {
        self.put(OpenClock { kind, due_at, paused_at: None });
    }

    pub(crate) fn end(&mut self, kind: ClockKind) {
        self.open.retain(|clock| clock.kind != kind);
    }

    pub(crate) fn end_all(&mut self) {
        self.open.clear();
    }

    /// What a status that begins now does to each of them.
    pub(crate) fn follow(&mut self, status: Status, urgency: Urgency, now: TimeMs) {
        self.open.retain_mut(|clock| {
            match standing(clock.kind, status, urgency) {
                Standing::Over => return false,
                Standing::Pauses => {
                    clock.paused_at.get_or_insert(now);
                }
                Standing::Runs => {
                    if let Some(paused_at) = clock.paused_at.take() {
                        clock.due_at = clock.due_at.plus_ms(now.0.saturating_sub(paused_at.0));
                    }
                }
            }
            true
        });
    }
}

/// The clocks of a referral that was opened before there were any, by the network's own limits.
pub(crate) fn begins_afresh(referral: &Referral, now: TimeMs) -> OpenClocks {
    let mut clocks = OpenClocks::default();
    for kind in [ClockKind::Delivered, ClockKind::Seen, ClockKind::Answered] {
        let begun = begins(kind, Act::Submit, referral.urgency, referral.kind.expects_answer());
        if begun && standing(kind, referral.status, referral.urgency) == Standing::Runs {
            let due_at = now.plus_ms(ms(default_seconds(referral.urgency, kind)));
            clocks.begin(Begun { kind, due_at });
        }
    }
    clocks
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: &[ClockKind] = ClockKind::ALL;

    #[test]
    fn kinds_are_the_wire_kinds() {
        assert_eq!(ClockKind::Delivered.number(), i32::from(wire::ClockKind::Delivered));
        assert_eq!(ClockKind::Transfer.number(), i32::from(wire::ClockKind::Transfer));
        assert_eq!(ClockKind::Held.number(), i32::from(wire::ClockKind::Held));
        assert_eq!(KINDS.len(), 9);
    }

    #[test]
    fn the_more_urgent_the_sooner_and_within_an_attempt_in_order() {
        for kind in KINDS.iter().filter(|kind| **kind != ClockKind::Held) {
            let of = |urgency| default_seconds(urgency, *kind);
            let [emergency, urgent, normal] = [Urgency::Emergency, Urgency::Urgent, Urgency::Normal].map(of);
            assert!(emergency < urgent && urgent < normal, "{kind:?}");
        }
        for urgency in Urgency::ALL {
            let of = |kind| default_seconds(*urgency, kind);
            let [delivered, seen, answered] =
                [ClockKind::Delivered, ClockKind::Seen, ClockKind::Answered].map(of);
            assert!(delivered < seen && seen < answered, "{urgency:?}");
        }
        assert_eq!(default_seconds(Urgency::Emergency, ClockKind::Seen), 3600);
        assert_eq!(
            [Urgency::Emergency, Urgency::Urgent, Urgency::Normal]
                .map(|urgency| default_seconds(urgency, ClockKind::Answered)),
            [24 * 3600, 72 * 3600, 14 * 24 * 3600]
        );
    }

    /// Each clock by each status: r runs, p pauses, . is over.
    #[test]
    fn the_whole_table() {
        let mut listed = String::new();
        for status in Status::ALL {
            for urgency in [Urgency::Normal, Urgency::Emergency] {
                let signs = KINDS.iter().map(|kind| match standing(*kind, *status, urgency) {
                    Standing::Runs => 'r',
                    Standing::Pauses => 'p',
                    Standing::Over => '.',
                });
                listed += &format!("{status:?} {urgency:?} {}\n", signs.collect::<String>());
            }
        }
        let mut begun = String::new();
        for act in Act::ALL {
            for (urgency, answer) in
                [(Urgency::Normal, true), (Urgency::Emergency, true), (Urgency::Normal, false)]
            {
                let signs: String = KINDS
                    .iter()
                    .map(|kind| if begins(*kind, *act, urgency, answer) { 'b' } else { '.' })
                    .collect();
                if signs.contains('b') {
                    begun += &format!("{act:?} {urgency:?} answer {answer} {signs}\n");
                }
            }
        }
        assert_eq!(listed + &begun, include_str!("../tests/golden/clocks.txt"));
    }

    #[test]
    fn a_pause_leaves_what_was_left() {
        let mut clocks = OpenClocks::default();
        clocks.begin(Begun { kind: ClockKind::Disclosure, due_at: TimeMs(1000) });
        clocks.follow(Status::OnHold, Urgency::Normal, TimeMs(400));
        assert_eq!(clocks.running().count(), 0);
        clocks.follow(Status::CancelRequested, Urgency::Normal, TimeMs(500));
        clocks.follow(Status::InProgress, Urgency::Normal, TimeMs(9_400));
        assert_eq!(
            clocks.running().collect::<Vec<_>>(),
            [Begun { kind: ClockKind::Disclosure, due_at: TimeMs(10_000) }]
        );
        clocks.follow(Status::OnHold, Urgency::Emergency, TimeMs(9_500));
        assert_eq!(clocks.running().count(), 1, "never in an emergency");
        clocks.follow(Status::Failed, Urgency::Normal, TimeMs(9_600));
        assert!(clocks.is_empty());
    }

    #[test]
    fn one_of_a_kind_in_their_order() {
        let mut clocks = OpenClocks::default();
        for kind in [ClockKind::Answered, ClockKind::Delivered, ClockKind::Seen, ClockKind::Answered] {
            clocks.begin(Begun { kind, due_at: TimeMs(7) });
        }
        let kinds: Vec<_> = clocks.iter().map(|clock| clock.kind).collect();
        assert_eq!(kinds, [ClockKind::Delivered, ClockKind::Seen, ClockKind::Answered]);
        clocks.end(ClockKind::Seen);
        assert!(clocks.get(ClockKind::Seen).is_none() && clocks.get(ClockKind::Answered).is_some());
    }

    #[test]
    fn agreements_may_only_be_stricter() {
        let limit = |urgency: i32, clock: i32, seconds| wire::ClockLimit { urgency, clock, seconds };
        let rows = [
            (vec![], "", true),
            (vec![limit(1, 2, 3600)], "office", true),
            (vec![limit(1, 2, 3601)], "", false),
            (vec![limit(3, 3, 14 * 86_400), limit(2, 3, 86_400)], "", true),
            (vec![limit(3, 3, 14 * 86_400 + 1)], "", false),
            (vec![limit(1, 4, 1)], "", false),
            (vec![limit(1, 4, 0)], "", true),
            (vec![limit(1, 2, 60), limit(1, 2, 60)], "", false),
            (vec![limit(1, 8, 60)], "", true),
            (vec![limit(1, 9, 60)], "", false),
            (vec![limit(4, 2, 60)], "", false),
            (vec![limit(0, 2, 60)], "", false),
            (vec![], "Büro", false),
        ];
        for (limits, calendar, stricter) in rows {
            let wire = wire::Clocks { limits, calendar: calendar.into() };
            assert_eq!(AgreedClocks::parse(Some(&wire)).is_stricter(), stricter, "{calendar}");
        }
        assert!(AgreedClocks::parse(None).is_stricter());
    }
}
