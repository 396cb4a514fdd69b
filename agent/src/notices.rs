//! Notices to people: that something waits, and nothing of what. A program of the agency's carries them, a
//! server of its own gets them, or mails do. Not here: what waits (`case`), and who reads it.

pub mod bell;
mod program;
pub mod way;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, PoisonError},
};

use courier::Message;
use proto::{
    count::{Adjective, Noun, Place},
    ids::{AgencyId, ReferralKey, TimeMs, Urgency},
    lifecycle::{Status, Who},
    operation::Operation,
    spoken::Spoken,
};
use serde_json::json;
use tokio::time::sleep;

use bell::Bell;
use way::{NotTold, Way};

use crate::{case::Case, clock, office::Office, state::State};

/// Most spoken codes that one notice names.
pub const CODES_MAX: usize = 3;

/// What waits for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Referrals that came, and that nobody has said to have seen.
    unseen: BTreeMap<ReferralKey, Urgency>,
    /// Referrals of which the gateway had the last word: a time limit was missed, nobody is asked any more.
    missed: BTreeMap<ReferralKey, Urgency>,
    /// Of those that nobody has seen, where the network's operators had people told once more: the record of it.
    told_again: BTreeMap<ReferralKey, u64>,
}

/// What is new.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// An emergency that nobody has seen.
    Emergency,
    /// Anything else.
    Other,
}

impl Waiting {
    /// What waits by a state.
    #[must_use]
    pub fn of(state: &State) -> Self {
        let mut waiting = Self::default();
        for case in state.cases() {
            let came = case.who(state.me()) == Some(Who::Recipient);
            if came && matches!(case.status(), Status::Submitted | Status::Delivered) {
                waiting.unseen.insert(case.referral.clone(), case.need.urgency);
                waiting.told_again.extend(told_again(case).map(|record| (case.referral.clone(), record)));
            }
            if !came && case.last_word().is_some() {
                waiting.missed.insert(case.referral.clone(), case.need.urgency);
            }
        }
        waiting
    }

    fn is_empty(&self) -> bool {
        self.unseen.is_empty() && self.missed.is_empty()
    }

    fn has_emergency(&self) -> bool {
        self.emergencies().next().is_some()
    }

    fn emergencies(&self) -> impl Iterator<Item = &ReferralKey> {
        self.unseen.iter().filter(|(_, urgency)| **urgency == Urgency::Emergency).map(|(key, _)| key)
    }

    /// Forgets what waits no more.
    fn keep_of(&mut self, waiting: &Self) {
        self.unseen.retain(|key, _| waiting.unseen.contains_key(key));
        self.missed.retain(|key, _| waiting.missed.contains_key(key));
        self.told_again.retain(|key, _| waiting.told_again.contains_key(key));
    }

    fn news_since(&self, told: &Self) -> Option<News> {
        let is_new = |key: &ReferralKey| {
            !told.unseen.contains_key(key) || self.told_again.get(key) != told.told_again.get(key)
        };
        if self.emergencies().any(is_new) {
            return Some(News::Emergency);
        }
        let unseen = self.unseen.keys().any(is_new);
        let missed = self.missed.keys().any(|key| !told.missed.contains_key(key));
        (unseen || missed).then_some(News::Other)
    }
}

/// The last record by which operators had people told once more.
fn told_again(case: &Case) -> Option<u64> {
    let told = case.told.iter().filter(|told| told.what.operation == Some(Operation::NotifyAgain));
    told.map(|told| told.logged.index).max()
}

/// What people are told: how much waits, how urgent it is, and by which codes it is found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Notice {
    /// Whether it only tries the way.
    is_test: bool,
    agency: AgencyId,
    unseen: u64,
    emergencies: u64,
    missed: u64,
    urgency: Option<Urgency>,
    codes: Vec<Spoken>,
}

impl Notice {
    /// Of what waits at an agency.
    #[must_use]
    pub fn of(waiting: &Waiting, agency: &AgencyId) -> Self {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        let all = || waiting.unseen.iter().chain(&waiting.missed);
        // The most urgent first; one referral may both be unseen and have missed a limit.
        let ordered: BTreeSet<_> = all().map(|(key, urgency)| (urgency.number(), Spoken::of(key))).collect();
        Self {
            is_test: false,
            agency: agency.clone(),
            unseen: count(waiting.unseen.len()),
            emergencies: count(waiting.emergencies().count()),
            missed: count(waiting.missed.len()),
            urgency: Urgency::ALL.iter().copied().find(|one| all().any(|(_, urgency)| urgency == one)),
            codes: ordered.into_iter().map(|(_, code)| code).take(CODES_MAX).collect(),
        }
    }

    /// One that tries a way, and says so.
    #[must_use]
    pub const fn test(agency: AgencyId) -> Self {
        Self { is_test: true, agency, unseen: 0, emergencies: 0, missed: 0, urgency: None, codes: Vec::new() }
    }

    /// In English.
    #[must_use]
    pub fn text_en(&self) -> String {
        if self.is_test {
            return "This only tries whether notices arrive. Nothing waits because of it.".to_owned();
        }
        let mut parts = Vec::new();
        if self.unseen > 0 {
            parts.push(Noun::Referral.english_that(self.unseen, Adjective::Waiting));
        }
        if self.emergencies > 0 {
            parts.push(format!("in an emergency: {}", self.emergencies));
        }
        if self.missed > 0 {
            parts.push(format!("a time limit was missed in {}", Noun::Referral.english(self.missed)));
        }
        format!("{}. Open your agent.", parts.join("; "))
    }

    /// In Arabic, not yet reviewed by a native speaker of the field.
    #[must_use]
    pub fn text_ar(&self) -> String {
        if self.is_test {
            return "هذه تجربة لوصول الإشعارات فقط. لا شيء ينتظر بسببها.".to_owned();
        }
        let mut parts = Vec::new();
        if self.unseen > 0 {
            parts.push(Noun::Referral.arabic_that(self.unseen, Adjective::Waiting));
        }
        if self.emergencies > 0 {
            parts.push(format!("الطارئة منها: {}", self.emergencies));
        }
        if self.missed > 0 {
            parts.push(format!("انقضت المهلة في {}", Noun::Referral.arabic(self.missed, Place::Governed)));
        }
        format!("{}. يُرجى فتح برنامج الإحالة.", parts.join("؛ "))
    }

    /// What programs and hooks read: counts, codes and words, no name, no id of a case.
    #[must_use]
    pub fn json(&self) -> String {
        json!({
            "kind": if self.is_test { "test" } else { "waiting" },
            "agency": self.agency.as_str(),
            "urgency": self.urgency.map(|urgency| crate::words::urgency(urgency, crate::words::Language::English)),
            "unseen": self.unseen, "emergencies": self.emergencies, "missed": self.missed,
            "codes": self.codes.iter().map(ToString::to_string).collect::<Vec<_>>(),
            "text_en": self.text_en(), "text_ar": self.text_ar(),
        })
        .to_string()
    }

    /// What a hook or a mail carries.
    #[must_use]
    pub fn message(&self) -> Message {
        Message { subject: self.subject(), text: self.text(), json: self.json() }
    }

    /// A mail's subject.
    #[must_use]
    pub fn subject(&self) -> String {
        let (english, arabic) = if self.is_test {
            ("Referrals: a test", "الإحالات: تجربة")
        } else if self.emergencies > 0 {
            ("Referrals: AN EMERGENCY waits", "الإحالات: حالة طارئة بانتظاركم")
        } else {
            ("Referrals: something waits", "الإحالات: أمر بانتظاركم")
        };
        format!("{english} / {arabic}")
    }

    /// A mail's text.
    #[must_use]
    pub fn text(&self) -> String {
        let codes: Vec<_> = self.codes.iter().map(ToString::to_string).collect();
        let (codes_en, codes_ar) = if codes.is_empty() {
            (String::new(), String::new())
        } else {
            let (listed, first) = (codes.join(", "), codes.first().map_or("", String::as_str));
            (
                format!("Codes for the telephone and for `agent show \"{first}\"`: {listed}\r\n"),
                format!("الرموز للهاتف وللأمر agent show: \u{2068}{listed}\u{2069}\r\n"),
            )
        };
        format!(
            "{}\r\n{codes_en}\r\n{}\r\n{codes_ar}\r\n-- \r\n{}\r\n",
            self.text_en(),
            self.text_ar(),
            self.agency
        )
    }
}

/// How a way stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// When people were told last by it; nothing since the agent began to run.
    pub told_at: Option<TimeMs>,
    /// Since when it fails, and why at the last try; nothing while it works.
    pub failing: Option<(TimeMs, NotTold)>,
}

/// How all ways stand, for whoever asks the agent.
#[derive(Debug, Default)]
pub struct Board(Mutex<BTreeMap<&'static str, Standing>>);

impl Board {
    /// Each way by its name.
    #[must_use]
    pub fn all(&self) -> BTreeMap<&'static str, Standing> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, way: &Way, change: impl FnOnce(&mut Standing)) {
        change(self.0.lock().unwrap_or_else(PoisonError::into_inner).entry(way.name()).or_default());
    }
}

/// Rings by one way as long as the agent runs. What fails is told and tried again; nothing waits for it.
pub async fn run(office: Arc<Office>, way: Way) {
    let mut changes = office.store.changes();
    let mut bell = Bell::gathering(way.gather_ms());
    office.notices.note(&way, |_| {});
    loop {
        let waiting = office.store.read(Waiting::of);
        if bell.rings(&waiting, clock::now()) {
            ring(&office, &way, &mut bell, waiting).await;
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = sleep(bell.rests(clock::now())) => {}
        }
    }
}

async fn ring(office: &Office, way: &Way, bell: &mut Bell, waiting: Waiting) {
    let told = way.carry(&Notice::of(&waiting, &office.me)).await;
    let now = clock::now();
    match told {
        Ok(()) => {
            bell.told(waiting, now);
            office.notices.note(way, |standing| *standing = Standing { told_at: Some(now), failing: None });
            tracing::info!(way = way.name(), "people were told that something waits");
        }
        Err(why) => {
            let failures = bell.failed(waiting, now);
            office.notices.note(way, |standing| {
                let since = standing.failing.map_or(now, |(since, _)| since);
                standing.failing = Some((since, why));
            });
            tracing::error!(way = way.name(), %why, failures, "people could not be told that something waits");
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::ids::EnvelopeId;

    use super::*;

    fn agency() -> AgencyId {
        AgencyId::parse("ae.dfwac", "opened_by").unwrap()
    }

    fn key(number: u64) -> ReferralKey {
        ReferralKey { id: EnvelopeId::new(TimeMs(number), [1; 10]), opened_by: agency() }
    }

    /// Of those that are unseen the first few are emergencies.
    pub(super) fn waiting(unseen: &[u64], emergencies: usize, missed: &[u64]) -> Waiting {
        let urgency = |place: usize| if place < emergencies { Urgency::Emergency } else { Urgency::Normal };
        let unseen = unseen.iter().enumerate().map(|(place, number)| (key(*number), urgency(place)));
        let missed = missed.iter().map(|number| (key(*number), Urgency::Urgent));
        Waiting { unseen: unseen.collect(), missed: missed.collect(), ..Waiting::default() }
    }

    #[test]
    fn what_operators_had_told_once_more_is_news_once() {
        let mut told = waiting(&[1, 2], 1, &[]);
        let now = waiting(&[1, 2], 1, &[]);
        assert_eq!(now.news_since(&told), None);
        let again = Waiting { told_again: [(key(2), 7)].into(), ..now.clone() };
        assert_eq!(again.news_since(&told), Some(News::Other));
        let urgent = Waiting { told_again: [(key(1), 8)].into(), ..now };
        assert_eq!(urgent.news_since(&told), Some(News::Emergency));
        told = again.clone();
        assert_eq!(again.news_since(&told), None, "once");
        assert_eq!(
            Waiting { told_again: [(key(2), 9)].into(), ..again }.news_since(&told),
            Some(News::Other)
        );
    }

    #[test]
    fn a_notice_says_how_many_and_by_which_codes_and_nothing_else() {
        let notice = Notice::of(&waiting(&[2, 1], 1, &[3]), &agency());
        let read: serde_json::Value = serde_json::from_str(&notice.json()).unwrap();
        let codes = [2, 3, 1].map(|number| Spoken::of(&key(number)).to_string());
        let expected = json!({
            "kind": "waiting", "agency": "ae.dfwac", "urgency": "emergency", "unseen": 2, "emergencies": 1,
            "missed": 1, "codes": codes,
            "text_en": "2 waiting referrals; in an emergency: 1; a time limit was missed in 1 referral. Open your agent.",
            "text_ar": "إحالتان منتظرتان؛ الطارئة منها: 1؛ انقضت المهلة في إحالة واحدة. يُرجى فتح برنامج الإحالة.",
        });
        assert_eq!(read, expected);
        let text = notice.text();
        assert!(
            text.contains(&codes[0]) && text.contains(&notice.text_en()) && text.contains(&notice.text_ar())
        );
        for told in [notice.json(), text, notice.subject()] {
            assert!(!told.contains(&key(1).id.to_string()), "{told}");
        }
        assert!(notice.subject().contains("EMERGENCY") && notice.subject().contains("طارئة"));
        let many: Vec<u64> = (1..100).collect();
        assert_eq!(Notice::of(&waiting(&many, 0, &[]), &agency()).codes.len(), CODES_MAX);
    }

    #[test]
    fn a_test_says_that_it_is_one() {
        let notice = Notice::test(agency());
        assert!(notice.json().contains(r#""kind":"test""#) && notice.subject().contains("test"));
        assert!(notice.text().contains("Nothing waits") && notice.text().contains("تجربة"));
    }
}
