//! What became of one referral, as statistics tell it: folded from its records, until it is settled. Not
//! here: the tables, and the lifecycle's rules (`lifecycle`).

use super::{Label, SETTLED_MS, Topic};
use crate::{
    calendar,
    evidence::{Event, Happening},
    header::Header,
    ids::{Code, ReasonClass, TimeMs},
    lifecycle::{Act, Status},
    vocabulary::{CATEGORIES, SERVICES},
};

const HOUR_MS: u64 = 60 * 60 * 1000;
const DAY_MS: u64 = 24 * HOUR_MS;

/// How soon the first agency that was asked answered with a yes or a no.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Answer {
    /// Within 24 hours.
    WithinDay,
    /// Within 72 hours.
    WithinThreeDays,
    /// Within 14 days.
    WithinFortnight,
    /// Later.
    Later,
    /// Not before its time was over.
    Silence,
    /// Neither: it was taken back before, or waits on a list.
    None,
}

/// What became of a referral, whoever was asked last.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Outcome {
    /// Accepted, and not ended.
    GoingOn,
    /// She was served.
    Served,
    /// In part.
    PartlyServed,
    /// She was not.
    NotServed,
    /// The last that was asked said no.
    Declined,
    /// It ended otherwise, or nobody has answered.
    Otherwise,
}

impl Answer {
    /// Every class, in order.
    pub const ALL: &'static [Self] = &[
        Self::WithinDay,
        Self::WithinThreeDays,
        Self::WithinFortnight,
        Self::Later,
        Self::Silence,
        Self::None,
    ];

    const fn after(ms: u64) -> Self {
        if ms <= DAY_MS {
            Self::WithinDay
        } else if ms <= 3 * DAY_MS {
            Self::WithinThreeDays
        } else if ms <= 14 * DAY_MS {
            Self::WithinFortnight
        } else {
            Self::Later
        }
    }

    pub(super) const fn label(self) -> Label {
        let (code, en, ar) = match self {
            Self::WithinDay => ("within_24_hours", "Answered within 24 hours", "رُدّ عليها خلال 24 ساعة"),
            Self::WithinThreeDays => ("within_72_hours", "Answered within 72 hours", "رُدّ عليها خلال 72 ساعة"),
            Self::WithinFortnight => ("within_14_days", "Answered within 14 days", "رُدّ عليها خلال 14 يومًا"),
            Self::Later => ("later", "Answered later", "رُدّ عليها لاحقًا"),
            Self::Silence => ("silence", "Not answered before its time was over", "انقضت مهلتها بلا رد"),
            Self::None => (
                "no_answer_due",
                "Taken back before, or on a waiting list",
                "سُحبت قبل الرد أو أُدرجت في قائمة الانتظار",
            ),
        };
        Label { code, en, ar }
    }
}

impl Outcome {
    /// Every class, in order.
    pub const ALL: &'static [Self] =
        &[Self::GoingOn, Self::Served, Self::PartlyServed, Self::NotServed, Self::Declined, Self::Otherwise];

    pub(super) const fn label(self) -> Label {
        let (code, en, ar) = match self {
            Self::GoingOn => ("going_on", "Accepted, going on", "قُبلت وما زالت جارية"),
            Self::Served => ("served", "Served", "قُدّمت الخدمة"),
            Self::PartlyServed => ("partly_served", "Partly served", "قُدّم جزء من الخدمة"),
            Self::NotServed => ("not_served", "Not served", "لم تُقدَّم الخدمة"),
            Self::Declined => ("declined", "Declined", "اعتُذر عن قبولها"),
            Self::Otherwise => {
                ("otherwise", "Ended otherwise, or without an answer", "انتهت بغير ذلك أو بلا رد")
            }
        };
        Label { code, en, ar }
    }
}

/// A referral, as far as a table tells.
#[derive(Clone, Debug)]
pub(super) struct Course {
    opened_at: TimeMs,
    category: Code,
    service: Code,
    answer: Answer,
    outcome: Outcome,
}

impl Course {
    pub(super) fn begun(header: &Header, opened_at: TimeMs) -> Self {
        Self {
            opened_at,
            category: header.category.clone(),
            service: header.service.clone(),
            answer: Answer::None,
            outcome: Outcome::Otherwise,
        }
    }

    /// Its month, from 0.
    pub(super) fn month(&self) -> usize {
        let (_, month) = calendar::month_of(self.opened_at);
        usize::try_from(month.saturating_sub(1)).unwrap_or(usize::MAX)
    }

    /// Its row in a table. What is none of the rows is in that of all others.
    pub(super) fn row(&self, topic: Topic, labels: &[Label]) -> usize {
        let code = match topic {
            Topic::Category => CATEGORIES.coarse(self.category.as_str()).unwrap_or("other"),
            Topic::Service => SERVICES.coarse(self.service.as_str()).unwrap_or("other"),
            Topic::Answer => self.answer.label().code,
            Topic::Outcome => self.outcome.label().code,
        };
        labels.iter().position(|label| label.code == code).unwrap_or(usize::MAX)
    }

    /// Something happened in it; with the header, where it was an envelope.
    pub(super) fn take(&mut self, what: &Happening, header: Option<&Header>, time: TimeMs) {
        let after_ms = time.0.saturating_sub(self.opened_at.0);
        if after_ms > SETTLED_MS {
            return;
        }
        let is_silence = what.event == Event::AcceptanceRejectionExpiry
            || (what.event == Event::Expired && what.status == Some(Status::Expired));
        if is_silence {
            self.outcome = Outcome::Otherwise;
            self.answered(what.attempt, Answer::Silence);
        } else if what.event == Event::Escalated {
            self.outcome = Outcome::Otherwise;
        }
        if let Some(header) = header {
            self.act(header, after_ms);
        }
    }

    fn act(&mut self, header: &Header, after_ms: u64) {
        if matches!(header.act, Act::Accept | Act::Decline) {
            self.answered(header.attempt, Answer::after(after_ms));
        }
        self.outcome = match header.act {
            Act::Accept => Outcome::GoingOn,
            Act::Decline => Outcome::Declined,
            Act::Complete if header.reason == Some(ReasonClass::Served) => Outcome::Served,
            Act::Complete if header.reason == Some(ReasonClass::PartlyServed) => Outcome::PartlyServed,
            Act::Complete => Outcome::NotServed,
            Act::Submit | Act::Fail | Act::Recall | Act::ConfirmCancel | Act::EnteredInError => {
                Outcome::Otherwise
            }
            Act::See
            | Act::Waitlist
            | Act::Schedule
            | Act::NoShow
            | Act::Depart
            | Act::Arrive
            | Act::Start
            | Act::Hold
            | Act::Resume
            | Act::DeliverService
            | Act::RequestCancel
            | Act::RefuseCancel
            | Act::ConfirmPurge
            | Act::Disclose
            | Act::WithdrawConsent
            | Act::ConfirmWithdrawal
            | Act::ChangeContact
            | Act::RequestInformation
            | Act::GiveInformation
            | Act::OfferTransfer
            | Act::AcceptTransfer
            | Act::DeclineTransfer
            | Act::Invite
            | Act::Leave
            | Act::Note
            | Act::Reseal => self.outcome,
        };
    }

    /// Only the first attempt counts, and in it the first word.
    fn answered(&mut self, attempt: u32, answer: Answer) {
        if attempt == 1 && self.answer == Answer::None {
            self.answer = answer;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_to_an_answer() {
        for (ms, expected) in [
            (0, Answer::WithinDay),
            (DAY_MS, Answer::WithinDay),
            (DAY_MS + 1, Answer::WithinThreeDays),
            (3 * DAY_MS, Answer::WithinThreeDays),
            (14 * DAY_MS, Answer::WithinFortnight),
            (14 * DAY_MS + 1, Answer::Later),
        ] {
            assert_eq!(Answer::after(ms), expected, "{ms}");
        }
    }

    #[test]
    fn silence_counts_once_and_only_of_who_was_asked_first() {
        let code = Code::parse("shelter", "service").unwrap();
        let mut course = Course {
            opened_at: TimeMs(1_000),
            category: code.clone(),
            service: code,
            answer: Answer::None,
            outcome: Outcome::Otherwise,
        };
        let silence = |attempt| Happening { attempt, ..Happening::new(Event::AcceptanceRejectionExpiry) };
        course.take(&silence(2), None, TimeMs(2_000));
        assert_eq!(course.answer, Answer::None);
        course.take(&silence(1), None, TimeMs(1_001 + SETTLED_MS));
        assert_eq!(course.answer, Answer::None, "it is settled");
        course.take(&silence(1), None, TimeMs(1_000 + SETTLED_MS));
        assert_eq!(course.answer, Answer::Silence);
        course.answered(1, Answer::WithinDay);
        assert_eq!(course.answer, Answer::Silence);
        assert_eq!(course.row(Topic::Category, &Topic::Category.labels()), {
            let labels = Topic::Category.labels();
            labels.iter().position(|label| label.code == "other").unwrap()
        });
    }
}
