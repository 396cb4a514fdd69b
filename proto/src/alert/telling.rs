//! What is new to somebody who was told before: each alert once, its end once, and a word more where more
//! cases have come. It is worked out from what stands and what was told, so nothing is queued: a way that
//! fails for a day has one message to carry. Not here: the words (`words`), and carrying it (the gateway).

use std::collections::BTreeMap;

use super::{Alert, AlertKey, Measure, Severity};
use crate::ids::TimeMs;

/// For how long after a message what is no emergency is gathered for the next one: a minute.
pub const GATHER_MS: u64 = 60 * 1000;
/// How soon it is told that more of the same have come: 10 minutes.
pub const GROWN_EVERY_MS: u64 = 10 * 60 * 1000;

/// What somebody was told, and when.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Told {
    /// Each alert, with how many there were and when that was said.
    pub alerts: BTreeMap<AlertKey, (u64, TimeMs)>,
    /// When anything was said last.
    pub at: TimeMs,
}

/// What is to be told.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct News {
    /// What stands and was not told.
    pub raised: Vec<Alert>,
    /// What was told, and has become more.
    pub grown: Vec<Alert>,
    /// What was told, and is over.
    pub cleared: Vec<AlertKey>,
}

impl News {
    /// What is new; nothing while it is too early to say it.
    #[must_use]
    pub fn since(told: &Told, standing: &[Alert], now: TimeMs) -> Option<Self> {
        let mut news = Self::default();
        for alert in standing {
            match told.alerts.get(&alert.key) {
                None => news.raised.push(alert.clone()),
                Some((count, at)) => {
                    let more = alert.key.code.tells_growth() && counted(alert) > *count;
                    if more && now >= at.plus_ms(GROWN_EVERY_MS) {
                        news.grown.push(alert.clone());
                    }
                }
            }
        }
        let over = told.alerts.keys().filter(|key| standing.iter().all(|alert| alert.key != **key));
        news.cleared = over.cloned().collect();
        // Who was called at night also hears at once that it is over.
        let keys = news.raised.iter().map(|alert| &alert.key).chain(&news.cleared);
        let is_grave = keys.map(|key| key.code.severity()).min() == Some(Severity::Critical);
        let is_due = is_grave || now >= told.at.plus_ms(GATHER_MS);
        (is_due && !news.is_empty()).then_some(news)
    }

    /// Whether there is nothing.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.raised.is_empty() && self.grown.is_empty() && self.cleared.is_empty()
    }

    /// The gravest of what is raised or has grown; nothing where all is over.
    #[must_use]
    pub fn severity(&self) -> Option<Severity> {
        self.raised.iter().chain(&self.grown).map(|alert| alert.key.code.severity()).min()
    }
}

impl Told {
    /// It was told.
    pub fn take(&mut self, news: &News, now: TimeMs) {
        for alert in news.raised.iter().chain(&news.grown) {
            self.alerts.insert(alert.key.clone(), (counted(alert), now));
        }
        for key in &news.cleared {
            self.alerts.remove(key);
        }
        self.at = now;
    }
}

const fn counted(alert: &Alert) -> u64 {
    match alert.measure {
        Measure::Count(_, count) => count,
        Measure::Plain | Measure::Lasting(_) | Measure::Left(_) | Measure::Mebibytes(_) => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::{super::Code, *};
    use crate::count::Noun;

    fn alert(code: Code, count: u64) -> Alert {
        let measure = Measure::Count(Noun::Referral, count);
        Alert { key: AlertKey { code, agency: None }, raised_at: TimeMs(1), measure }
    }

    /// Codes that are raised, grown and cleared.
    fn said(told: &mut Told, standing: &[Alert], now: u64) -> Option<[Vec<Code>; 3]> {
        let news = News::since(told, standing, TimeMs(now))?;
        told.take(&news, TimeMs(now));
        let codes = |alerts: &[Alert]| alerts.iter().map(|alert| alert.key.code).collect();
        let cleared = news.cleared.iter().map(|key| key.code).collect();
        Some([codes(&news.raised), codes(&news.grown), cleared])
    }

    #[test]
    fn each_is_told_once_and_its_end_once() {
        let (silent, emergency) = (Code::AgencySilent, Code::EmergencyUnseen);
        let mut told = Told::default();
        let hour = 60 * 60 * 1000;
        let none: Vec<Code> = Vec::new();
        let nothing = Vec::<Code>::new;
        assert_eq!(said(&mut told, &[], hour), None);
        assert_eq!(said(&mut told, &[alert(silent, 1)], hour), Some([vec![silent], nothing(), nothing()]));
        assert_eq!(said(&mut told, &[alert(silent, 9)], hour + GROWN_EVERY_MS), None, "no case has come");
        // What is no emergency waits a little for more.
        let at = hour + GROWN_EVERY_MS;
        told.at = TimeMs(at);
        let backup = alert(Code::BackupOld, 0);
        assert_eq!(said(&mut told, &[alert(silent, 1), backup.clone()], at + GATHER_MS - 1), None);
        let both = [alert(emergency, 1), alert(silent, 1), backup];
        let expected = Some([vec![emergency, Code::BackupOld], none, nothing()]);
        assert_eq!(said(&mut told, &both, at + GATHER_MS - 1), expected);
        // Who was called at night hears at once that it is over.
        let over = Some([nothing(), nothing(), vec![emergency]]);
        assert_eq!(said(&mut told, &both[1..], at + GATHER_MS), over);
        assert_eq!(said(&mut told, &[], at + GATHER_MS + 1), None);
        let end = at + 3 * GATHER_MS;
        let over = Some([nothing(), nothing(), vec![silent, Code::BackupOld]]);
        assert_eq!(said(&mut told, &[], end), over);
        assert_eq!(said(&mut told, &[], end + hour), None);
        assert!(told.alerts.is_empty());
    }

    #[test]
    fn more_cases_are_worth_a_word_but_not_at_every_moment() {
        let missed = Code::ClockMissed;
        let mut told = Told::default();
        assert!(said(&mut told, &[alert(missed, 1)], 1_000_000).is_some());
        assert_eq!(said(&mut told, &[alert(missed, 2)], 1_000_000 + GROWN_EVERY_MS - 1), None);
        let at = 1_000_000 + GROWN_EVERY_MS;
        assert_eq!(said(&mut told, &[alert(missed, 3)], at), Some([vec![], vec![missed], vec![]]));
        assert_eq!(said(&mut told, &[alert(missed, 2)], at + GROWN_EVERY_MS), None, "fewer");
        assert_eq!(said(&mut told, &[alert(missed, 3)], at + GROWN_EVERY_MS), None, "as many as were told");
    }
}
