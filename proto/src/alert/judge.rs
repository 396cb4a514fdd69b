//! What counts as bad: figures and limits in, conditions out. Between bad and well lies room, so that a
//! figure at its limit does not call people again and again. Not here: how long it must last (`alert`).

use std::collections::BTreeMap;

use super::{AlertKey, Code, Condition, Measure};
use crate::{
    count::Noun,
    ids::{AgencyId, TimeMs, Urgency},
    stuck::{Awaited, Cause, Lateness, Stage},
};

const MINUTE_MS: u64 = 60 * 1000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;
const MIB: u64 = 1024 * 1024;

/// From when on a figure is bad. Operations may set these.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// For how long an emergency may wait for a person's look; a minute where the recipient's agent is not
    /// there, if this is not shorter.
    pub emergency_ms: u64,
    /// For how long an agency may be away.
    pub silent_ms: u64,
    /// How many envelopes may wait in a mailbox that grows.
    pub mailbox: u64,
    /// How long a step of the writer may take, its sync included.
    pub step_ms: u64,
    /// For how long the published log may stay without a new cosignature.
    pub unwitnessed_ms: u64,
    /// How much may be refused in ten minutes.
    pub refused: u64,
    /// How old the last backup may be.
    pub backup_ms: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            emergency_ms: 15 * MINUTE_MS,
            silent_ms: 72 * HOUR_MS,
            mailbox: 100,
            step_ms: 500,
            unwitnessed_ms: HOUR_MS,
            refused: 100,
            backup_ms: 26 * HOUR_MS,
        }
    }
}

/// So long before its end a certificate is told of: it is renewed in the last third of its 90 days.
pub const CERTIFICATE_LEFT_MS: u64 = 14 * DAY_MS;
/// So long before its end a revocation list is: it lasts a week, and is signed again at half of it.
pub const CRL_LEFT_MS: u64 = DAY_MS;
/// So long after the last message that was dated in the future an agency's clock counts as right again.
const CLOCK_OVER_MS: u64 = HOUR_MS;
/// An emergency whose recipient's agent is not there waits no longer than this.
const AGENT_AWAY_MS: u64 = MINUTE_MS;

/// Whether an agency is connected.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    /// It is.
    Here,
    /// It was, until then.
    AwaySince(TimeMs),
    /// Not since the gateway's start. What was before is not known.
    NotSeenSince(TimeMs),
}

/// How an agency is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AgencyFigures {
    /// Which.
    pub agency: AgencyId,
    /// Whether it is connected.
    pub presence: Presence,
    /// Whether it is suspended: then nobody expects it.
    pub suspended: bool,
    /// Envelopes in its mailbox.
    pub waiting: u64,
    /// The same an hour ago, where that is known.
    pub waiting_before: Option<u64>,
    /// When the certificate ends that it connected with last, where that is known.
    pub certificate_until: Option<TimeMs>,
    /// When it sent last what was refused because it was dated in the future.
    pub dated_ahead_at: Option<TimeMs>,
}

/// All that is judged.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Figures<'a> {
    /// When.
    pub now: TimeMs,
    /// What is awaited.
    pub awaited: &'a [Awaited],
    /// Every agency.
    pub agencies: Vec<AgencyFigures>,
    /// When the gateway's certificate ends.
    pub certificate_until: TimeMs,
    /// When the first revocation list ends.
    pub crls_until: TimeMs,
    /// Whether the clock can be believed.
    pub is_clock_right: bool,
    /// Whether the disk has room for ordinary work.
    pub has_room: bool,
    /// Free bytes; 0 when the disk does not say.
    pub free_bytes: u64,
    /// Below so many nothing ordinary is taken.
    pub reserve_bytes: u64,
    /// The slowest step since the last look; nothing when there was none.
    pub slowest_step_ms: Option<u64>,
    /// Since when the published log waits for a cosignature; nothing while all of it has one.
    pub unwitnessed_since: Option<TimeMs>,
    /// Checkpoints that witnesses showed and that are no part of the log.
    pub forks: u64,
    /// What was refused in the last ten minutes.
    pub refused: u64,
    /// Since when people cannot be told by one way or another; nothing while all ways work.
    pub untold_since: Option<TimeMs>,
    /// When the last backup was made; nothing when there was none.
    pub backup_at: Option<TimeMs>,
    /// Whether the index is complete.
    pub is_indexed: bool,
}

impl Figures<'_> {
    /// What is bad, or neither bad nor well.
    #[must_use]
    pub fn conditions(&self, limits: &Limits) -> Vec<Condition> {
        let mut conditions = self.of_cases(limits);
        conditions.extend(self.agencies.iter().flat_map(|agency| self.of_agency(agency, limits)));
        conditions.extend(self.of_gateway(limits));
        conditions.extend(self.of_disk_and_log(limits));
        conditions
    }

    /// One condition for each agency to call, however many cases wait for it.
    fn of_cases(&self, limits: &Limits) -> Vec<Condition> {
        let mut counts: BTreeMap<AlertKey, u64> = BTreeMap::new();
        for one in self.awaited {
            if let Some(code) = self.code_of(one, limits) {
                let key = AlertKey { code, agency: Some(one.whom().clone()) };
                let count = counts.entry(key).or_default();
                *count = count.saturating_add(1);
            }
        }
        let bad =
            |(key, count)| Condition { key, is_bad: true, measure: Measure::Count(Noun::Referral, count) };
        counts.into_iter().map(bad).collect()
    }

    /// The gravest that can be said of it: a case is told of once.
    fn code_of(&self, one: &Awaited, limits: &Limits) -> Option<Code> {
        let is_unseen = matches!(one.stage, Stage::NotFetched | Stage::NotSeen);
        let for_ms = self.now.0.saturating_sub(one.since.0);
        if one.urgency == Urgency::Emergency && is_unseen {
            let stands_still = one.is_stuck(self.now) && one.stage == Stage::NotFetched;
            let limit =
                if stands_still { limits.emergency_ms.min(AGENT_AWAY_MS) } else { limits.emergency_ms };
            if for_ms >= limit || one.lateness(self.now) == Lateness::Missed {
                return Some(Code::EmergencyUnseen);
            }
        }
        if matches!(one.cause, Cause::NobodyLeft | Cause::NextBlocked(_)) {
            return Some(Code::EscalationStopped);
        }
        (one.lateness(self.now) == Lateness::Missed).then_some(Code::ClockMissed)
    }

    fn of_agency(&self, of: &AgencyFigures, limits: &Limits) -> Vec<Condition> {
        let say = |code, is_bad, measure| {
            let key = AlertKey { code, agency: Some(of.agency.clone()) };
            Condition { key, is_bad, measure }
        };
        let mut conditions = Vec::new();
        let (since, is_known) = match of.presence {
            Presence::Here => (self.now, true),
            Presence::AwaySince(since) => (since, true),
            Presence::NotSeenSince(start) => (start, false),
        };
        let away_ms = self.now.0.saturating_sub(since.0);
        let is_silent = away_ms >= limits.silent_ms && of.presence != Presence::Here;
        // What was said of it before a start is not over because of the start.
        if !of.suspended && (is_silent || !is_known) {
            conditions.push(say(Code::AgencySilent, is_silent, Measure::Lasting(away_ms)));
        }
        if of.waiting >= limits.mailbox.div_ceil(2) {
            let grows = of.waiting_before.is_some_and(|before| of.waiting > before);
            let is_bad = of.waiting >= limits.mailbox && grows;
            let measure = Measure::Count(Noun::Envelope, of.waiting);
            conditions.push(say(Code::MailboxGrowing, is_bad, measure));
        }
        match of.certificate_until.map(|until| self.ends(until, CERTIFICATE_LEFT_MS)) {
            None => conditions.push(say(Code::CertificateEnding, false, Measure::Plain)),
            Some(Some(left)) => conditions.push(say(Code::CertificateEnding, true, left)),
            Some(None) => {}
        }
        if of.dated_ahead_at.is_some_and(|at| self.now < at.plus_ms(CLOCK_OVER_MS)) {
            conditions.push(say(Code::AgencyClock, true, Measure::Plain));
        }
        conditions
    }

    fn of_gateway(&self, limits: &Limits) -> Vec<Condition> {
        let mut conditions = Vec::new();
        let mut say = |code, measure: Option<Measure>| {
            conditions.extend(measure.map(|measure| of_us(code, true, measure)));
        };
        say(Code::CertificateEnding, self.ends(self.certificate_until, CERTIFICATE_LEFT_MS));
        say(Code::CrlEnding, self.ends(self.crls_until, CRL_LEFT_MS));
        say(Code::ClockStepped, (!self.is_clock_right).then_some(Measure::Plain));
        say(Code::ForkAlarm, (self.forks > 0).then_some(Measure::Count(Noun::Alarm, self.forks)));
        let untold = |since: TimeMs| Measure::Lasting(self.now.0.saturating_sub(since.0));
        say(Code::TellingFails, self.untold_since.map(untold));
        say(Code::IndexBehind, (!self.is_indexed).then_some(Measure::Plain));
        let age_ms = self.backup_at.map(|at| self.now.0.saturating_sub(at.0));
        say(
            Code::BackupOld,
            match age_ms {
                None => Some(Measure::Plain),
                Some(age_ms) => (age_ms >= limits.backup_ms).then_some(Measure::Lasting(age_ms)),
            },
        );
        conditions
    }

    fn of_disk_and_log(&self, limits: &Limits) -> Vec<Condition> {
        let mut conditions = Vec::new();
        let free = Measure::Mebibytes(self.free_bytes.checked_div(MIB).unwrap_or_default());
        let below =
            |times: u64| self.free_bytes > 0 && self.free_bytes < self.reserve_bytes.saturating_mul(times);
        if !self.has_room || below(3) {
            conditions.push(of_us(Code::DiskFull, !self.has_room || below(2), free));
        }
        match self.slowest_step_ms {
            // Nobody asked for anything: the disk may be as slow as it was.
            None => conditions.push(of_us(Code::SyncSlow, false, Measure::Plain)),
            Some(step_ms) if step_ms >= limits.step_ms.div_ceil(2) => {
                let is_bad = step_ms >= limits.step_ms;
                conditions.push(of_us(Code::SyncSlow, is_bad, Measure::Plain));
            }
            Some(_) => {}
        }
        if let Some(since) = self.unwitnessed_since {
            let for_ms = self.now.0.saturating_sub(since.0);
            let is_bad = for_ms >= limits.unwitnessed_ms;
            conditions.push(of_us(Code::Unwitnessed, is_bad, Measure::Lasting(for_ms)));
        }
        if self.refused >= limits.refused.div_ceil(2) {
            let measure = Measure::Count(Noun::Message, self.refused);
            conditions.push(of_us(Code::RefusedSpike, self.refused >= limits.refused, measure));
        }
        conditions
    }

    /// How long it still lasts, when that is less than it should be.
    fn ends(&self, until: TimeMs, left_ms_min: u64) -> Option<Measure> {
        let left_ms = until.0.saturating_sub(self.now.0);
        (left_ms < left_ms_min).then_some(Measure::Left(left_ms))
    }
}

const fn of_us(code: Code, is_bad: bool, measure: Measure) -> Condition {
    Condition { key: AlertKey { code, agency: None }, is_bad, measure }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{EnvelopeId, ReferralKey};

    const NOW: TimeMs = TimeMs(1_790_000_000_000);

    fn agency(text: &str) -> AgencyId {
        AgencyId::parse(text, "agency").unwrap()
    }

    fn calm(awaited: &[Awaited]) -> Figures<'_> {
        Figures {
            now: NOW,
            awaited,
            agencies: Vec::new(),
            certificate_until: NOW.plus_ms(30 * DAY_MS),
            crls_until: NOW.plus_ms(5 * DAY_MS),
            is_clock_right: true,
            has_room: true,
            free_bytes: 10 * 1024 * MIB,
            reserve_bytes: 256 * MIB,
            slowest_step_ms: Some(3),
            unwitnessed_since: None,
            forks: 0,
            refused: 0,
            untold_since: None,
            backup_at: Some(NOW.minus_ms(HOUR_MS)),
            is_indexed: true,
        }
    }

    fn said(figures: &Figures<'_>) -> Vec<(Code, Option<String>, bool)> {
        let conditions = figures.conditions(&Limits::default());
        let of = |one: Condition| (one.key.code, one.key.agency.map(|agency| agency.to_string()), one.is_bad);
        conditions.into_iter().map(of).collect()
    }

    #[test]
    fn nothing_is_said_of_what_is_well() {
        assert!(said(&calm(&[])).is_empty());
    }

    #[test]
    fn each_figure_of_the_gateway_has_its_limit_and_room_before_it() {
        type Set = fn(&mut Figures<'_>);
        let rows: [(Set, Code, bool); 21] = [
            (|f| f.certificate_until = NOW.plus_ms(CERTIFICATE_LEFT_MS - 1), Code::CertificateEnding, true),
            (|f| f.crls_until = NOW.plus_ms(CRL_LEFT_MS - 1), Code::CrlEnding, true),
            (|f| f.crls_until = NOW.minus_ms(1), Code::CrlEnding, true),
            (|f| f.is_clock_right = false, Code::ClockStepped, true),
            (|f| f.has_room = false, Code::DiskFull, true),
            (|f| f.free_bytes = 512 * MIB - 1, Code::DiskFull, true),
            (|f| f.free_bytes = 512 * MIB, Code::DiskFull, false),
            (|f| f.slowest_step_ms = None, Code::SyncSlow, false),
            (|f| f.slowest_step_ms = Some(250), Code::SyncSlow, false),
            (|f| f.slowest_step_ms = Some(500), Code::SyncSlow, true),
            (|f| f.unwitnessed_since = Some(NOW.minus_ms(HOUR_MS)), Code::Unwitnessed, true),
            (|f| f.unwitnessed_since = Some(NOW.minus_ms(HOUR_MS - 1)), Code::Unwitnessed, false),
            (|f| f.forks = 1, Code::ForkAlarm, true),
            (|f| f.refused = 50, Code::RefusedSpike, false),
            (|f| f.refused = 100, Code::RefusedSpike, true),
            (|f| f.untold_since = Some(NOW), Code::TellingFails, true),
            (|f| f.backup_at = None, Code::BackupOld, true),
            (|f| f.backup_at = Some(NOW.minus_ms(26 * HOUR_MS)), Code::BackupOld, true),
            (|f| f.is_indexed = false, Code::IndexBehind, true),
            (|f| f.free_bytes = 768 * MIB - 1, Code::DiskFull, false),
            (|f| f.certificate_until = TimeMs(0), Code::CertificateEnding, true),
        ];
        for (row, (set, code, is_bad)) in rows.into_iter().enumerate() {
            let mut figures = calm(&[]);
            set(&mut figures);
            assert_eq!(said(&figures), [(code, None, is_bad)], "row {row}");
        }
        let well: [Set; 4] = [
            |f| f.free_bytes = 768 * MIB,
            // A disk that does not say how much is free.
            |f| f.free_bytes = 0,
            |f| f.refused = 49,
            |f| f.certificate_until = NOW.plus_ms(CERTIFICATE_LEFT_MS),
        ];
        for (row, set) in well.into_iter().enumerate() {
            let mut figures = calm(&[]);
            set(&mut figures);
            assert!(said(&figures).is_empty(), "row {row}");
        }
    }

    #[test]
    fn agencies_that_are_silent_or_do_not_fetch() {
        let calm_one = AgencyFigures {
            agency: agency("ae.dfwac"),
            presence: Presence::Here,
            suspended: false,
            waiting: 0,
            waiting_before: Some(0),
            certificate_until: Some(NOW.plus_ms(80 * DAY_MS)),
            dated_ahead_at: None,
        };
        type Set = fn(&mut AgencyFigures);
        let away = |a: &mut AgencyFigures| a.presence = Presence::AwaySince(NOW.minus_ms(72 * HOUR_MS));
        let rows: [(Set, Option<(Code, bool)>); 13] = [
            (away, Some((Code::AgencySilent, true))),
            (|a| a.presence = Presence::AwaySince(NOW.minus_ms(72 * HOUR_MS - 1)), None),
            (|a| a.presence = Presence::NotSeenSince(NOW), Some((Code::AgencySilent, false))),
            (|a| a.presence = Presence::NotSeenSince(TimeMs(0)), Some((Code::AgencySilent, true))),
            (|a| a.certificate_until = None, Some((Code::CertificateEnding, false))),
            (|a| (a.presence, a.suspended) = (Presence::AwaySince(TimeMs(0)), true), None),
            (|a| a.waiting = 100, Some((Code::MailboxGrowing, true))),
            (|a| (a.waiting, a.waiting_before) = (100, Some(100)), Some((Code::MailboxGrowing, false))),
            (|a| (a.waiting, a.waiting_before) = (100, None), Some((Code::MailboxGrowing, false))),
            (|a| a.waiting = 49, None),
            (|a| a.certificate_until = Some(NOW.plus_ms(DAY_MS)), Some((Code::CertificateEnding, true))),
            (|a| a.dated_ahead_at = Some(NOW.minus_ms(HOUR_MS - 1)), Some((Code::AgencyClock, true))),
            (|a| a.dated_ahead_at = Some(NOW.minus_ms(HOUR_MS)), None),
        ];
        for (row, (set, expected)) in rows.into_iter().enumerate() {
            let mut one = calm_one.clone();
            set(&mut one);
            let figures = Figures { agencies: vec![one], ..calm(&[]) };
            let expected: Vec<_> =
                expected.into_iter().map(|(code, bad)| (code, Some("ae.dfwac".to_owned()), bad)).collect();
            assert_eq!(said(&figures), expected, "row {row}");
        }
    }

    fn awaited(stage: Stage, cause: Cause, for_ms: u64) -> Awaited {
        let from = agency("jo.mosd");
        Awaited {
            referral: ReferralKey {
                id: EnvelopeId::new(NOW, [for_ms.to_le_bytes()[0]; 10]),
                opened_by: from,
            },
            attempt: 1,
            recipient: Some(agency("ae.dfwac")),
            urgency: Urgency::Emergency,
            stage,
            since: NOW.minus_ms(for_ms),
            due_at: Some(NOW.minus_ms(for_ms).plus_ms(HOUR_MS)),
            missed: false,
            cause,
        }
    }

    #[test]
    fn a_case_is_told_of_once_by_the_gravest_that_can_be_said_and_by_whom_to_call() {
        let (emergency, stopped, missed) =
            (Code::EmergencyUnseen, Code::EscalationStopped, Code::ClockMissed);
        let (to, from) = ("ae.dfwac", "jo.mosd");
        let normal = |one: Awaited| Awaited { urgency: Urgency::Normal, ..one };
        let rows = [
            (awaited(Stage::NotFetched, Cause::AgentAway, MINUTE_MS), Some((emergency, to))),
            (awaited(Stage::NotFetched, Cause::AgentAway, MINUTE_MS - 1), None),
            (awaited(Stage::NotFetched, Cause::RecipientSuspended, MINUTE_MS), Some((emergency, from))),
            (awaited(Stage::NotFetched, Cause::AgentSlow, MINUTE_MS), None),
            (awaited(Stage::NotSeen, Cause::NobodyLooked, 15 * MINUTE_MS), Some((emergency, to))),
            (awaited(Stage::NotSeen, Cause::NobodyLooked, 14 * MINUTE_MS), None),
            (awaited(Stage::NotSeen, Cause::NobodyLooked, 2 * HOUR_MS), Some((emergency, to))),
            (awaited(Stage::NotAnswered, Cause::NobodyAnswered, 30 * MINUTE_MS), None),
            (awaited(Stage::NotAnswered, Cause::NobodyAnswered, HOUR_MS), Some((missed, to))),
            (awaited(Stage::Escalation, Cause::NobodyLeft, 0), Some((stopped, from))),
            (normal(awaited(Stage::NotFetched, Cause::AgentAway, MINUTE_MS)), None),
            (normal(awaited(Stage::NotSeen, Cause::NobodyLooked, HOUR_MS)), Some((missed, to))),
        ];
        for (row, (one, expected)) in rows.into_iter().enumerate() {
            let expected: Vec<_> =
                expected.into_iter().map(|(code, whom)| (code, Some(whom.to_owned()), true)).collect();
            assert_eq!(said(&calm(&[one])), expected, "row {row}");
        }
        let two = [1, 2].map(|hours| awaited(Stage::NotSeen, Cause::NobodyLooked, hours * HOUR_MS));
        let conditions = calm(&two).conditions(&Limits::default());
        assert_eq!(conditions.len(), 1, "one for each agency");
        assert_eq!(conditions[0].measure, Measure::Count(Noun::Referral, 2));
    }
}
