//! Alerts: what is wrong with deliveries, agencies and the gateway, by figures alone. One is raised when it
//! has lasted for a while, stands until it is over, and says so by itself. Nothing of a case is in it, not
//! even a case's name. Not here: collecting the figures, and carrying what is told (the gateway).

mod judge;
mod telling;
mod words;

use std::collections::BTreeMap;

use crate::{
    count::Noun,
    ids::{AgencyId, TimeMs},
};

pub use judge::{AgencyFigures, CERTIFICATE_LEFT_MS, CRL_LEFT_MS, Figures, Limits, Presence};
pub use telling::{GATHER_MS, GROWN_EVERY_MS, News, Told};

/// Most alerts that stand at the same time; the gravest stay.
pub const ALERTS_MAX: usize = 1_000;
const MINUTE_MS: u64 = 60 * 1000;

/// What is wrong. The order is how grave it is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Code {
    /// An emergency that no person has seen.
    EmergencyUnseen,
    /// A witness holds a checkpoint that is no part of the log.
    ForkAlarm,
    /// The gateway's clock cannot be believed.
    ClockStepped,
    /// The disk is nearly full.
    DiskFull,
    /// Revocation lists run out: then nobody can connect.
    CrlEnding,
    /// A time limit was missed.
    ClockMissed,
    /// Nobody is asked any more: a person must decide.
    EscalationStopped,
    /// A certificate runs out.
    CertificateEnding,
    /// An agency has not been connected for long.
    AgencySilent,
    /// An agency sends what is dated in the future, and so refused.
    AgencyClock,
    /// A mailbox is full and becomes fuller.
    MailboxGrowing,
    /// Writing to the disk takes long.
    SyncSlow,
    /// The log grows, and no agent cosigns it.
    Unwitnessed,
    /// Much is refused.
    RefusedSpike,
    /// By one way or another people could not be told.
    TellingFails,
    /// The last backup is old.
    BackupOld,
    /// The index has not been complete for a while.
    IndexBehind,
}

/// How soon a person is to look.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Severity {
    /// At once, also at night.
    Critical,
    /// On this working day.
    Warning,
}

impl Code {
    /// Every code, the gravest first.
    pub const ALL: &'static [Self] = &[
        Self::EmergencyUnseen,
        Self::ForkAlarm,
        Self::ClockStepped,
        Self::DiskFull,
        Self::CrlEnding,
        Self::ClockMissed,
        Self::EscalationStopped,
        Self::CertificateEnding,
        Self::AgencySilent,
        Self::AgencyClock,
        Self::MailboxGrowing,
        Self::SyncSlow,
        Self::Unwitnessed,
        Self::RefusedSpike,
        Self::TellingFails,
        Self::BackupOld,
        Self::IndexBehind,
    ];

    /// How soon a person is to look.
    #[must_use]
    pub const fn severity(self) -> Severity {
        match self {
            Self::EmergencyUnseen
            | Self::ForkAlarm
            | Self::ClockStepped
            | Self::DiskFull
            | Self::CrlEnding => Severity::Critical,
            Self::ClockMissed
            | Self::EscalationStopped
            | Self::CertificateEnding
            | Self::AgencySilent
            | Self::AgencyClock
            | Self::MailboxGrowing
            | Self::SyncSlow
            | Self::Unwitnessed
            | Self::RefusedSpike
            | Self::TellingFails
            | Self::BackupOld
            | Self::IndexBehind => Severity::Warning,
        }
    }

    /// Whether operations may leave it out. What is about a person's case, or about the log, may not be.
    #[must_use]
    pub const fn may_be_off(self) -> bool {
        match self {
            Self::EmergencyUnseen
            | Self::ForkAlarm
            | Self::ClockStepped
            | Self::DiskFull
            | Self::CrlEnding
            | Self::ClockMissed
            | Self::EscalationStopped => false,
            Self::CertificateEnding
            | Self::AgencySilent
            | Self::AgencyClock
            | Self::MailboxGrowing
            | Self::SyncSlow
            | Self::Unwitnessed
            | Self::RefusedSpike
            | Self::TellingFails
            | Self::BackupOld
            | Self::IndexBehind => true,
        }
    }

    /// How long it must be so before it is raised: what passes by itself calls nobody.
    #[must_use]
    pub const fn raised_after_ms(self) -> u64 {
        match self {
            Self::SyncSlow => MINUTE_MS,
            Self::TellingFails => 5 * MINUTE_MS,
            Self::IndexBehind => 10 * MINUTE_MS,
            Self::EmergencyUnseen
            | Self::ForkAlarm
            | Self::ClockStepped
            | Self::DiskFull
            | Self::CrlEnding
            | Self::ClockMissed
            | Self::EscalationStopped
            | Self::CertificateEnding
            | Self::AgencySilent
            | Self::AgencyClock
            | Self::MailboxGrowing
            | Self::Unwitnessed
            | Self::RefusedSpike
            | Self::BackupOld => 0,
        }
    }

    /// How long it must be well before it is over: what comes and goes is told once.
    #[must_use]
    pub const fn cleared_after_ms(self) -> u64 {
        match self {
            // A gateway that starts again has to be shown it again.
            Self::ForkAlarm => 60 * MINUTE_MS,
            Self::AgencySilent | Self::SyncSlow | Self::RefusedSpike => 5 * MINUTE_MS,
            Self::ClockStepped | Self::DiskFull | Self::MailboxGrowing | Self::Unwitnessed => MINUTE_MS,
            Self::EmergencyUnseen
            | Self::CrlEnding
            | Self::ClockMissed
            | Self::EscalationStopped
            | Self::CertificateEnding
            | Self::AgencyClock
            | Self::TellingFails
            | Self::BackupOld
            | Self::IndexBehind => 0,
        }
    }

    /// Whether one more of the same is worth a word of its own: each is somebody's case.
    const fn tells_growth(self) -> bool {
        matches!(self, Self::EmergencyUnseen | Self::ClockMissed | Self::EscalationStopped)
    }
}

/// Whom an alert is about, and what it says. There is one of each at a time.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct AlertKey {
    /// What is wrong.
    pub code: Code,
    /// With which agency; nothing where it is the gateway itself.
    pub agency: Option<AgencyId>,
}

/// How bad it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Measure {
    /// There is nothing to measure.
    Plain,
    /// So many.
    Count(Noun, u64),
    /// So long.
    Lasting(u64),
    /// So long from now; 0 when it is over.
    Left(u64),
    /// So many MiB.
    Mebibytes(u64),
}

/// How something is at a moment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Condition {
    /// What, and with whom.
    pub key: AlertKey,
    /// Whether it is bad; else it is neither bad nor well, and stays what it was.
    pub is_bad: bool,
    /// How bad.
    pub measure: Measure,
}

/// An alert that stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Alert {
    /// What, and with whom.
    pub key: AlertKey,
    /// When it was raised.
    pub raised_at: TimeMs,
    /// How bad it is now.
    pub measure: Measure,
}

/// What is watched, from the first sign of it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Watched {
    bad_since: TimeMs,
    well_since: Option<TimeMs>,
    raised_at: Option<TimeMs>,
    measure: Measure,
}

/// What changed with a look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    /// It stands from now on.
    Raised(Alert),
    /// It is over.
    Cleared(AlertKey),
}

/// All that is watched.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Alarms(BTreeMap<AlertKey, Watched>);

impl Alarms {
    /// As a process before this one left them: what it raised is not raised again.
    #[must_use]
    pub fn standing(alerts: impl IntoIterator<Item = Alert>) -> Self {
        let watched = |alert: Alert| {
            let Alert { key, raised_at, measure } = alert;
            let raised = Some(raised_at);
            (key, Watched { bad_since: raised_at, well_since: None, raised_at: raised, measure })
        };
        Self(alerts.into_iter().take(ALERTS_MAX).map(watched).collect())
    }

    /// Takes what is so now. What is not named is well.
    pub fn look(&mut self, now: TimeMs, conditions: impl IntoIterator<Item = Condition>) -> Vec<Change> {
        let mut conditions: BTreeMap<_, _> =
            conditions.into_iter().map(|condition| (condition.key.clone(), condition)).collect();
        let mut changes = Vec::new();
        self.0.retain(|key, watched| {
            let change = match conditions.remove(key) {
                None => watched.well(key, now),
                Some(condition) => watched.take(now, condition),
            };
            let ends = matches!(change, Some(Change::Cleared(_))) || watched.is_forgotten();
            changes.extend(change);
            !ends
        });
        for (key, condition) in conditions.into_iter().filter(|(_, condition)| condition.is_bad) {
            // The gravest come first, and stay.
            if self.0.len() >= ALERTS_MAX {
                break;
            }
            let mut watched =
                Watched { bad_since: now, well_since: None, raised_at: None, measure: condition.measure };
            changes.extend(watched.take(now, condition));
            self.0.insert(key, watched);
        }
        changes
    }

    /// Those that stand, the gravest first.
    pub fn raised(&self) -> impl Iterator<Item = Alert> {
        self.0.iter().filter_map(|(key, watched)| {
            let raised_at = watched.raised_at?;
            Some(Alert { key: key.clone(), raised_at, measure: watched.measure })
        })
    }
}

impl Watched {
    /// It is bad, or neither bad nor well.
    fn take(&mut self, now: TimeMs, condition: Condition) -> Option<Change> {
        self.well_since = None;
        self.measure = condition.measure;
        if !condition.is_bad {
            if self.raised_at.is_none() {
                // It is forgotten: what is bad again must last from then on.
                self.well_since = Some(now);
            }
            return None;
        }
        let lasts = now >= self.bad_since.plus_ms(condition.key.code.raised_after_ms());
        if self.raised_at.is_some() || !lasts {
            return None;
        }
        self.raised_at = Some(now);
        Some(Change::Raised(Alert { key: condition.key, raised_at: now, measure: condition.measure }))
    }

    fn well(&mut self, key: &AlertKey, now: TimeMs) -> Option<Change> {
        let since = *self.well_since.get_or_insert(now);
        let is_over = self.raised_at.is_some() && now >= since.plus_ms(key.code.cleared_after_ms());
        is_over.then(|| Change::Cleared(key.clone()))
    }

    /// It passed before it was raised.
    const fn is_forgotten(&self) -> bool {
        self.raised_at.is_none() && self.well_since.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(code: Code) -> AlertKey {
        AlertKey { code, agency: None }
    }

    fn is(code: Code, is_bad: bool) -> Condition {
        Condition { key: key(code), is_bad, measure: Measure::Plain }
    }

    #[derive(Clone, Copy)]
    enum Sign {
        Bad,
        Between,
        Well,
    }
    use Sign::{Bad, Between, Well};

    /// The minute of a look, and what is seen.
    type Look = (u64, Sign);

    /// What each look says, at its minute: `+` raised, `-` cleared, `.` nothing.
    fn course(code: Code, signs: &[Look]) -> String {
        let mut alarms = Alarms::default();
        let said = signs.iter().map(|(minute, sign)| {
            let conditions = match sign {
                Bad => vec![is(code, true)],
                Between => vec![is(code, false)],
                Well => Vec::new(),
            };
            match alarms.look(TimeMs(0).plus_ms(minute.saturating_mul(MINUTE_MS)), conditions).as_slice() {
                [] => '.',
                [Change::Raised(_)] => '+',
                [Change::Cleared(_)] => '-',
                more => panic!("{more:?}"),
            }
        });
        said.collect()
    }

    #[test]
    fn raised_once_when_it_lasts_and_cleared_once_when_it_stays_well() {
        let table: [(Code, &[Look], &str); 7] = [
            (Code::EmergencyUnseen, &[(0, Bad), (1, Bad), (2, Well), (3, Well)], "+.-."),
            // What passes by itself calls nobody.
            (Code::IndexBehind, &[(0, Bad), (9, Bad), (9, Well), (10, Bad), (20, Bad)], "....+"),
            (Code::IndexBehind, &[(0, Bad), (9, Between), (12, Bad), (19, Bad), (20, Bad)], "....."),
            // What comes and goes is told once.
            (
                Code::AgencySilent,
                &[(0, Bad), (1, Well), (5, Well), (5, Bad), (6, Well), (11, Well)],
                "+....-",
            ),
            // Between is neither: what stands goes on standing, and what does not is not raised.
            (Code::DiskFull, &[(0, Between), (1, Bad), (2, Between), (9, Between)], ".+.."),
            (Code::DiskFull, &[(0, Bad), (1, Well), (2, Between), (3, Well), (4, Well)], "+...-"),
            (Code::ForkAlarm, &[(0, Between), (1, Well)], ".."),
        ];
        for (row, (code, signs, expected)) in table.into_iter().enumerate() {
            assert_eq!(course(code, signs), expected, "row {row}");
        }
    }

    #[test]
    fn what_a_process_before_raised_is_not_raised_again() {
        let mut alarms = Alarms::default();
        assert_eq!(alarms.look(TimeMs(1), [is(Code::BackupOld, true)]).len(), 1);
        let mut next = Alarms::standing(alarms.raised());
        assert!(next.look(TimeMs(2), [is(Code::BackupOld, true)]).is_empty());
        assert_eq!(next.raised().next().map(|alert| alert.raised_at), Some(TimeMs(1)));
        assert_eq!(next.look(TimeMs(3), []), [Change::Cleared(key(Code::BackupOld))]);
    }

    #[test]
    fn there_are_never_more_than_the_limit_and_the_gravest_stay() {
        let of = |code, number: usize| {
            let agency = AgencyId::parse(&format!("a.n{number}"), "agency").unwrap();
            Condition { key: AlertKey { code, agency: Some(agency) }, is_bad: true, measure: Measure::Plain }
        };
        let mut alarms = Alarms::default();
        let many = (0..ALERTS_MAX).map(|number| of(Code::AgencySilent, number));
        let grave = (0..10).map(|number| of(Code::EmergencyUnseen, number));
        assert_eq!(alarms.look(TimeMs(0), many.chain(grave)).len(), ALERTS_MAX);
        assert_eq!(alarms.raised().count(), ALERTS_MAX);
        let emergencies = alarms.raised().take_while(|alert| alert.key.code == Code::EmergencyUnseen);
        assert_eq!(emergencies.count(), 10);
    }
}
