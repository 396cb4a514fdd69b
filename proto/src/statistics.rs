//! Figures of a whole year for the public: how many referrals, for what, how soon they were answered, and
//! what became of them. A few fixed tables; nobody can ask for others, and none names agencies. Not here:
//! what is kept out of them (`guard`), and reading the journal (the gateway).
//!
//! A year is told when it is over and each of its referrals has had [`SETTLED_MS`]: each is looked at as it
//! stood so long after it was opened. So a year's figures never change, and there is no earlier edition of
//! them to be subtracted.

mod course;
mod csv;
mod guard;

use std::collections::BTreeMap;

use crate::{
    batch::{Batch, Entry},
    calendar,
    evidence::Event,
    ids::{Kind, ReferralKey, TimeMs},
    vocabulary::{CATEGORIES, SERVICES, Term},
};

use course::Course;
pub use course::{Answer, Outcome};
pub use csv::{BOM, NOTES};
pub use guard::{Figure, K, MONTHS, ROUNDED_TO, Shown};

/// How long after it was opened a referral is looked at: 90 days. No envelope lives longer.
pub const SETTLED_MS: u64 = 90 * 24 * 60 * 60 * 1000;
/// The first year that can be told.
pub const YEAR_MIN: u32 = 2000;
/// The last.
pub const YEAR_MAX: u32 = 9999;

/// The tables. Each counts every referral once.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Topic {
    /// By the category of the case.
    Category,
    /// By the service that is wanted.
    Service,
    /// By how soon the first agency that was asked answered, or that it was silent.
    Answer,
    /// By what became of it.
    Outcome,
}

/// A row's name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Label {
    /// Its stable name.
    pub code: &'static str,
    /// In English.
    pub en: &'static str,
    /// In Arabic.
    pub ar: &'static str,
}

/// Why a year cannot be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotTold {
    /// It is not over, or its last referrals have not had their time.
    #[error("STATISTICS_TOO_EARLY: the year can be told from {} on", calendar::written(*from))]
    TooEarly {
        /// From when on it can be.
        from: TimeMs,
    },
    /// It is no year.
    #[error("STATISTICS_NO_YEAR: a year is a number from {YEAR_MIN} to {YEAR_MAX}")]
    NoYear,
    /// It is no month.
    #[error("STATISTICS_NO_MONTH: a month is a number from 1 to 12")]
    NoMonth,
}

impl NotTold {
    /// The same in Arabic, not yet reviewed by a native speaker of the field.
    #[must_use]
    pub fn text_ar(self) -> String {
        match self {
            Self::TooEarly { from } => format!("لا تُعلن أرقام السنة قبل {}", calendar::written(from)),
            Self::NoYear => format!("السنة رقم من {YEAR_MIN} إلى {YEAR_MAX}"),
            Self::NoMonth => "الشهر رقم من 1 إلى 12".to_owned(),
        }
    }
}

impl Topic {
    /// Every table.
    pub const ALL: &'static [Self] = &[Self::Category, Self::Service, Self::Answer, Self::Outcome];

    /// Its stable name, and its file's.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Category => "category",
            Self::Service => "service",
            Self::Answer => "answer",
            Self::Outcome => "outcome",
        }
    }

    /// Its rows, always the same.
    #[must_use]
    pub fn labels(self) -> Vec<Label> {
        let coarse = |terms: &'static [Term]| {
            let coarse = terms.iter().filter(|term| term.parent.is_none());
            coarse.map(|term| Label { code: term.code, en: term.en, ar: term.ar }).collect()
        };
        match self {
            Self::Category => coarse(CATEGORIES.terms),
            Self::Service => coarse(SERVICES.terms),
            Self::Answer => Answer::ALL.iter().map(|answer| answer.label()).collect(),
            Self::Outcome => Outcome::ALL.iter().map(|outcome| outcome.label()).collect(),
        }
    }
}

/// The referrals of a year, while the journal is read.
#[derive(Clone, Debug)]
pub struct Year {
    year: u32,
    courses: BTreeMap<ReferralKey, Course>,
}

/// A table as it may be shown.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Table {
    /// Which.
    pub topic: Topic,
    /// Of which year.
    pub year: u32,
    /// Its rows.
    pub labels: Vec<Label>,
    /// Its figures.
    pub shown: Shown,
}

impl Year {
    /// A year that is over and settled.
    ///
    /// # Errors
    /// [`NotTold`].
    pub fn new(year: u32, now: TimeMs) -> Result<Self, NotTold> {
        if !(YEAR_MIN..=YEAR_MAX).contains(&year) {
            return Err(NotTold::NoYear);
        }
        let from = calendar::year_begins(year.saturating_add(1)).plus_ms(SETTLED_MS);
        if now < from { Err(NotTold::TooEarly { from }) } else { Ok(Self { year, courses: BTreeMap::new() }) }
    }

    /// Takes what a batch of the journal says, in their order.
    pub fn take(&mut self, batch: &Batch) {
        batch.entries.iter().for_each(|entry| self.take_entry(entry));
    }

    fn take_entry(&mut self, entry: &Entry) {
        for record in entry.facts.iter().filter_map(|fact| fact.record()) {
            let (what, time) = (&record.what, record.place.time);
            let Some(key) = &what.referral else {
                continue;
            };
            let accepted = what.event == Event::SubmissionAcceptance;
            let header = entry.command.header().filter(|_| accepted);
            let opens = header.filter(|header| header.opens() && header.kind == Kind::Referral);
            if let Some(header) = opens
                && calendar::month_of(time).0 == self.year
            {
                self.courses.insert(key.clone(), Course::begun(header, time));
            } else if let Some(course) = self.courses.get_mut(key) {
                course.take(what, header, time);
            }
        }
    }

    /// How many referrals of the year were found, for whoever makes the tables and for nobody else.
    #[must_use]
    pub fn referrals(&self) -> usize {
        self.courses.len()
    }

    /// A table, with what may not be told kept out of it.
    #[must_use]
    pub fn table(&self, topic: Topic) -> Table {
        let labels = topic.labels();
        let mut rows = vec![[0_u64; MONTHS]; labels.len()];
        for course in self.courses.values() {
            let cell = rows.get_mut(course.row(topic, &labels)).and_then(|row| row.get_mut(course.month()));
            if let Some(count) = cell {
                *count = count.saturating_add(1);
            }
        }
        Table { topic, year: self.year, labels, shown: Shown::of(&rows) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_year_is_told_when_its_last_referrals_have_had_their_time() {
        let from = TimeMs(1_798_761_600_000).plus_ms(SETTLED_MS);
        assert_eq!(calendar::written(TimeMs(1_798_761_600_000)), "2027-01-01");
        assert_eq!(Year::new(2026, from.minus_ms(1)).err(), Some(NotTold::TooEarly { from }));
        assert!(Year::new(2026, from).is_ok());
        assert_eq!(Year::new(1999, from).err(), Some(NotTold::NoYear));
        let said = NotTold::TooEarly { from };
        assert!(said.to_string().contains("2027-04-01") && said.text_ar().contains("2027-04-01"));
    }

    #[test]
    fn months_are_those_of_the_calendar() {
        for (at, month) in [
            (1_767_225_600_000, (2026, 1)),
            (1_767_225_599_999, (2025, 12)),
            (1_798_761_599_999, (2026, 12)),
            (1_772_323_199_999, (2026, 2)),
        ] {
            assert_eq!(calendar::month_of(TimeMs(at)), month);
        }
        assert_eq!(calendar::year_begins(2026), TimeMs(1_767_225_600_000));
        assert_eq!(calendar::year_begins(2000), TimeMs(946_684_800_000));
    }

    #[test]
    fn every_row_has_its_own_name_in_both_languages() {
        for topic in Topic::ALL {
            let labels = topic.labels();
            assert!(labels.len() > 4, "{topic:?}");
            let codes: std::collections::BTreeSet<_> = labels.iter().map(|label| label.code).collect();
            assert_eq!(codes.len(), labels.len(), "{topic:?}");
            for label in labels {
                let is_arabic = label.ar.chars().any(|c| ('\u{620}'..='\u{64a}').contains(&c));
                assert!(is_arabic && !label.en.is_empty(), "{label:?}");
            }
        }
        // What is in none of the rows has one all the same.
        assert!(Topic::Category.labels().iter().any(|label| label.code == "other"));
        assert!(Topic::Service.labels().iter().any(|label| label.code == "other"));
    }
}
