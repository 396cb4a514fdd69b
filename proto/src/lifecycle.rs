//! The life of a referral as one table: who may do what in which state, and what state follows. Not
//! here: clocks, and what an act means to a mailbox (`delivery`).

mod transfer;

pub use transfer::Responsibility;

use crate::{
    evidence::Event,
    ids::{Kind, ReasonClass, closed_list},
    operation::Operation,
};

closed_list!(
    /// What an envelope does in its referral.
    Act {
        /// Opens the referral, or a new attempt.
        Submit = 1,
        /// A person has seen it.
        See = 2,
        /// Accepts it.
        Accept = 3,
        /// Declines it.
        Decline = 4,
        /// Puts it on a waiting list.
        Waitlist = 5,
        /// Sets an appointment.
        Schedule = 6,
        /// She did not come.
        NoShow = 7,
        /// She is on her way.
        Depart = 8,
        /// She has arrived.
        Arrive = 9,
        /// The service begins.
        Start = 10,
        /// Pauses it.
        Hold = 11,
        /// Ends the pause.
        Resume = 12,
        /// The service was given.
        DeliverService = 13,
        /// Closes it with an outcome.
        Complete = 14,
        /// It could not be done.
        Fail = 15,
        /// Asks for cancellation.
        RequestCancel = 16,
        /// Agrees to it.
        ConfirmCancel = 17,
        /// Does not.
        RefuseCancel = 18,
        /// Takes it back.
        Recall = 19,
        /// States that what was recalled is destroyed.
        ConfirmPurge = 20,
        /// Sends the identity.
        Disclose = 21,
        /// Her consent is withdrawn.
        WithdrawConsent = 22,
        /// The withdrawal was carried out.
        ConfirmWithdrawal = 23,
        /// How she can be reached has changed.
        ChangeContact = 24,
        /// Asks for more.
        RequestInformation = 25,
        /// Answers.
        GiveInformation = 26,
        /// Offers the responsibility for the case.
        OfferTransfer = 27,
        /// Takes it.
        AcceptTransfer = 28,
        /// Does not.
        DeclineTransfer = 29,
        /// Invites another agency to a joint thread.
        Invite = 30,
        /// Leaves it.
        Leave = 31,
        /// It should never have been.
        EnteredInError = 32,
        /// A note in the thread.
        Note = 33,
        /// The same content sealed to a new key.
        Reseal = 34,
    }
);

closed_list!(
    /// Where an attempt of a referral stands.
    Status {
        /// In the recipient's mailbox.
        Submitted = 1,
        /// The recipient's agent has it.
        Delivered = 2,
        /// A person has seen it.
        Seen = 3,
        /// Accepted.
        Accepted = 4,
        /// Declined.
        Declined = 5,
        /// On a waiting list.
        Waitlisted = 6,
        /// An appointment is set.
        Scheduled = 7,
        /// She did not come.
        NoShow = 8,
        /// She is on her way.
        InTransit = 9,
        /// She has arrived.
        Arrived = 10,
        /// The service is being given.
        InProgress = 11,
        /// Paused.
        OnHold = 12,
        /// The service was given.
        ServiceDelivered = 13,
        /// Closed with an outcome.
        Completed = 14,
        /// It could not be done.
        Failed = 15,
        /// The referrer asks to cancel.
        CancelRequested = 16,
        /// Cancelled by both.
        Cancelled = 17,
        /// Taken back.
        Recalled = 18,
        /// Not handed over in its time.
        Expired = 19,
        /// Should never have been.
        EnteredInError = 20,
    }
);

closed_list!(
    /// Who acts.
    Who {
        /// The agency that opened the referral.
        Referrer = 1,
        /// The agency asked in the present attempt.
        Recipient = 2,
    }
);

/// What an act leads to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// The status stays.
    Stay,
    /// A new status.
    Go(Status),
    /// A new status, from which [`Next::Return`] comes back to the present one.
    Pause(Status),
    /// Back to the status before the pause.
    Return,
}

/// One line of the table that matched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Transition {
    /// What follows.
    pub next: Next,
    /// The evidence of it.
    pub event: Event,
}

struct Row {
    act: Act,
    who: &'static [Who],
    from: &'static [Status],
    next: Next,
    event: Event,
}

use Status::{
    Accepted, Arrived, CancelRequested, Cancelled, Completed, Declined, Delivered, EnteredInError, Expired,
    Failed, InProgress, InTransit, NoShow, OnHold, Recalled, Scheduled, Seen, ServiceDelivered, Submitted,
    Waitlisted,
};

const REFERRER: &[Who] = &[Who::Referrer];
const RECIPIENT: &[Who] = &[Who::Recipient];
const BOTH: &[Who] = &[Who::Referrer, Who::Recipient];

const UNANSWERED: &[Status] = &[Submitted, Delivered, Seen, Waitlisted];
const TAKEN: &[Status] =
    &[Accepted, Scheduled, NoShow, InTransit, Arrived, InProgress, OnHold, ServiceDelivered];
const OPEN: &[Status] = &[
    Submitted,
    Delivered,
    Seen,
    Waitlisted,
    Accepted,
    Scheduled,
    NoShow,
    InTransit,
    Arrived,
    InProgress,
    OnHold,
    ServiceDelivered,
    CancelRequested,
];
const NOT_RECALLED: &[Status] = &[
    Submitted,
    Delivered,
    Seen,
    Waitlisted,
    Accepted,
    Scheduled,
    NoShow,
    InTransit,
    Arrived,
    InProgress,
    OnHold,
    ServiceDelivered,
    CancelRequested,
    Declined,
    Completed,
    Failed,
    Cancelled,
    Expired,
];

/// Invitations to joint threads ([`Act::Invite`], [`Act::Leave`]) have no row yet: they are refused.
const TABLE: &[Row] = &[
    Row {
        act: Act::See,
        who: RECIPIENT,
        from: &[Submitted, Delivered],
        next: Next::Go(Seen),
        event: Event::Seen,
    },
    Row {
        act: Act::Accept,
        who: RECIPIENT,
        from: UNANSWERED,
        next: Next::Go(Accepted),
        event: Event::ConsignmentAcceptance,
    },
    Row {
        act: Act::Decline,
        who: RECIPIENT,
        from: UNANSWERED,
        next: Next::Go(Declined),
        event: Event::ConsignmentRejection,
    },
    Row {
        act: Act::Waitlist,
        who: RECIPIENT,
        from: &[Submitted, Delivered, Seen],
        next: Next::Go(Waitlisted),
        event: Event::Act,
    },
    Row {
        act: Act::Schedule,
        who: RECIPIENT,
        from: &[Accepted, Scheduled, NoShow],
        next: Next::Go(Scheduled),
        event: Event::Act,
    },
    Row {
        act: Act::NoShow,
        who: RECIPIENT,
        from: &[Scheduled, InTransit],
        next: Next::Go(NoShow),
        event: Event::Act,
    },
    Row {
        act: Act::Depart,
        who: REFERRER,
        from: &[Accepted, Scheduled, NoShow],
        next: Next::Go(InTransit),
        event: Event::Act,
    },
    Row {
        act: Act::Arrive,
        who: RECIPIENT,
        from: &[Accepted, Scheduled, NoShow, InTransit],
        next: Next::Go(Arrived),
        event: Event::Act,
    },
    Row {
        act: Act::Start,
        who: RECIPIENT,
        from: &[Accepted, Scheduled, NoShow, Arrived],
        next: Next::Go(InProgress),
        event: Event::Act,
    },
    Row {
        act: Act::Hold,
        who: RECIPIENT,
        from: &[Accepted, Scheduled, NoShow, Arrived, InProgress],
        next: Next::Pause(OnHold),
        event: Event::Act,
    },
    Row { act: Act::Resume, who: RECIPIENT, from: &[OnHold], next: Next::Return, event: Event::Act },
    Row {
        act: Act::DeliverService,
        who: RECIPIENT,
        from: &[Accepted, Scheduled, Arrived, InProgress],
        next: Next::Go(ServiceDelivered),
        event: Event::Act,
    },
    Row {
        act: Act::Complete,
        who: RECIPIENT,
        from: &[Arrived, InProgress, ServiceDelivered],
        next: Next::Go(Completed),
        event: Event::Act,
    },
    Row { act: Act::Fail, who: RECIPIENT, from: TAKEN, next: Next::Go(Failed), event: Event::Act },
    Row {
        act: Act::RequestCancel,
        who: REFERRER,
        from: TAKEN,
        next: Next::Pause(CancelRequested),
        event: Event::Act,
    },
    Row {
        act: Act::ConfirmCancel,
        who: RECIPIENT,
        from: &[CancelRequested],
        next: Next::Go(Cancelled),
        event: Event::Act,
    },
    Row {
        act: Act::RefuseCancel,
        who: RECIPIENT,
        from: &[CancelRequested],
        next: Next::Return,
        event: Event::Act,
    },
    Row {
        act: Act::Recall,
        who: REFERRER,
        from: NOT_RECALLED,
        next: Next::Go(Recalled),
        event: Event::Recalled,
    },
    Row {
        act: Act::ConfirmPurge,
        who: RECIPIENT,
        from: &[Recalled, EnteredInError],
        next: Next::Stay,
        event: Event::Purged,
    },
    Row { act: Act::Disclose, who: REFERRER, from: TAKEN, next: Next::Stay, event: Event::Act },
    Row {
        act: Act::WithdrawConsent,
        who: REFERRER,
        from: Status::ALL,
        next: Next::Stay,
        event: Event::ConsentWithdrawn,
    },
    Row {
        act: Act::ConfirmWithdrawal,
        who: RECIPIENT,
        from: Status::ALL,
        next: Next::Stay,
        event: Event::WithdrawalConfirmed,
    },
    Row { act: Act::ChangeContact, who: REFERRER, from: OPEN, next: Next::Stay, event: Event::Act },
    Row { act: Act::RequestInformation, who: RECIPIENT, from: OPEN, next: Next::Stay, event: Event::Act },
    Row { act: Act::GiveInformation, who: REFERRER, from: OPEN, next: Next::Stay, event: Event::Act },
    Row { act: Act::OfferTransfer, who: REFERRER, from: TAKEN, next: Next::Stay, event: Event::Act },
    Row { act: Act::AcceptTransfer, who: RECIPIENT, from: TAKEN, next: Next::Stay, event: Event::Act },
    Row { act: Act::DeclineTransfer, who: RECIPIENT, from: TAKEN, next: Next::Stay, event: Event::Act },
    Row {
        act: Act::EnteredInError,
        who: REFERRER,
        from: &[Submitted, Delivered, Seen],
        next: Next::Go(EnteredInError),
        event: Event::Act,
    },
    Row { act: Act::Note, who: BOTH, from: OPEN, next: Next::Stay, event: Event::Act },
    // Nothing of her goes anew to where the attempt has ended; what was answered there still must be read.
    Row { act: Act::Reseal, who: REFERRER, from: OPEN, next: Next::Stay, event: Event::Act },
    Row { act: Act::Reseal, who: RECIPIENT, from: Status::ALL, next: Next::Stay, event: Event::Act },
];

/// What an act leads to, or nothing when it is not legal.
#[must_use]
pub fn transition(status: Status, act: Act, who: Who) -> Option<Transition> {
    TABLE
        .iter()
        .find(|row| row.act == act && row.who.contains(&who) && row.from.contains(&status))
        .map(|row| Transition { next: row.next, event: row.event })
}

/// The acts that are legal for one side in a status, in the order of their numbers.
pub fn legal_acts(status: Status, who: Who) -> impl Iterator<Item = Act> {
    Act::ALL.iter().copied().filter(move |act| transition(status, *act, who).is_some())
}

/// What an operator's act leads to, or nothing when it is not legal: only what was not handed over can be
/// held back or returned, and people are told again of what nobody has seen.
#[must_use]
pub fn operable(status: Status, operation: Operation) -> Option<Next> {
    match operation {
        Operation::NotifyAgain => matches!(status, Submitted | Delivered).then_some(Next::Stay),
        Operation::Hold | Operation::Release => (status == Submitted).then_some(Next::Stay),
        Operation::Return => (status == Submitted).then_some(Next::Go(Failed)),
        Operation::Drain | Operation::Undrain => None,
    }
}

impl Status {
    /// Whether the attempt has ended.
    #[must_use]
    pub fn is_final(self) -> bool {
        !OPEN.contains(&self)
    }

    /// Whether the recipient has accepted, and the attempt goes on: identity may travel.
    #[must_use]
    pub fn is_taken(self) -> bool {
        TAKEN.contains(&self)
    }

    /// Whether the referrer may ask another agency now.
    #[must_use]
    pub fn allows_new_attempt(self) -> bool {
        matches!(self, Declined | Failed | Cancelled | Recalled | Expired)
    }
}

impl Kind {
    /// Whether a person at the recipient owes an answer. Other kinds end when they are handed over.
    #[must_use]
    pub fn expects_answer(self) -> bool {
        match self {
            Self::Referral | Self::SuspicionReport => true,
            Self::Notice | Self::Document | Self::Message => false,
        }
    }
}

impl Act {
    /// Whether a reason class may, must or must not stand beside the act.
    #[must_use]
    pub fn reason_fits(self, reason: Option<ReasonClass>) -> bool {
        use ReasonClass::{
            NoCapacity, NotServed, Other, OutOfArea, PartlyServed, Served, ServiceUnavailable,
        };
        let why_not = |reason| match reason {
            NoCapacity | ServiceUnavailable | OutOfArea | Other => true,
            Served | PartlyServed | NotServed => false,
        };
        if matches!(self, Self::Decline | Self::Fail) {
            reason.is_some_and(why_not)
        } else if self == Self::Complete {
            reason.is_some_and(|reason| !why_not(reason))
        } else {
            reason.is_none()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_table_is_as_agreed() {
        let mut listed = String::new();
        for status in Status::ALL {
            for who in Who::ALL {
                for act in Act::ALL {
                    if let Some(transition) = transition(*status, *act, *who) {
                        listed += &format!(
                            "{status:?} {who:?} {act:?} -> {:?} {:?}\n",
                            transition.next, transition.event
                        );
                    }
                }
            }
            for operation in Operation::ALL {
                if let Some(next) = operable(*status, *operation) {
                    listed += &format!("{status:?} Operator {operation:?} -> {next:?} Operated\n");
                }
            }
        }
        let golden = include_str!("../tests/golden/lifecycle.txt");
        for (place, (ours, agreed)) in (1..).zip(listed.lines().zip(golden.lines())) {
            assert_eq!(ours, agreed, "line {place} of tests/golden/lifecycle.txt");
        }
        let (ours, agreed) = (listed.lines().count(), golden.lines().count());
        assert_eq!(
            ours,
            agreed,
            "the table has {ours} rows, tests/golden/lifecycle.txt {agreed}: the first {} are the same",
            ours.min(agreed)
        );
    }

    #[test]
    fn no_two_rows_match_the_same_case() {
        for status in Status::ALL {
            for who in Who::ALL {
                for act in Act::ALL {
                    let matching = TABLE
                        .iter()
                        .filter(|row| row.act == *act && row.who.contains(who) && row.from.contains(status));
                    assert!(matching.count() <= 1, "{status:?} {who:?} {act:?}");
                }
            }
        }
    }

    #[test]
    fn what_has_ended_never_opens_again() {
        for status in Status::ALL.iter().filter(|status| status.is_final()) {
            for who in Who::ALL {
                for act in legal_acts(*status, *who) {
                    let next = transition(*status, act, *who).unwrap().next;
                    assert!(matches!(next, Next::Stay | Next::Go(Recalled)), "{status:?} {act:?}");
                }
            }
        }
    }

    #[test]
    fn every_open_status_has_a_way_to_its_end_for_both_sides() {
        for status in Status::ALL.iter().filter(|status| !status.is_final()) {
            for who in Who::ALL {
                let mut seen = vec![*status];
                let mut ends = false;
                while let Some(from) = seen.iter().copied().find(|s| {
                    legal_acts(*s, *who).any(|act| {
                        matches!(transition(*s, act, *who).unwrap().next,
                        Next::Go(next) if !seen.contains(&next))
                    })
                }) {
                    for act in legal_acts(from, *who) {
                        if let Next::Go(next) = transition(from, act, *who).unwrap().next {
                            ends |= next.is_final();
                            if !seen.contains(&next) {
                                seen.push(next);
                            }
                        }
                    }
                }
                assert!(ends, "{status:?} {who:?} has no way out");
            }
        }
    }

    #[test]
    fn what_an_end_allows() {
        let of = |allows: fn(Status) -> bool| -> Vec<_> {
            Status::ALL.iter().copied().filter(|status| allows(*status)).collect()
        };
        let ended = [Declined, Completed, Failed, Cancelled, Recalled, Expired, EnteredInError];
        assert_eq!(of(Status::is_final), ended);
        // Who was served, or never should have been referred, is not referred again.
        assert_eq!(of(Status::allows_new_attempt), [Declined, Failed, Cancelled, Recalled, Expired]);
        let taken = [Accepted, Scheduled, NoShow, InTransit, Arrived, InProgress, OnHold, ServiceDelivered];
        assert_eq!(of(Status::is_taken), taken);
    }

    #[test]
    fn reasons() {
        assert!(Act::Decline.reason_fits(Some(ReasonClass::NoCapacity)));
        assert!(!Act::Decline.reason_fits(None));
        assert!(!Act::Decline.reason_fits(Some(ReasonClass::Served)));
        assert!(Act::Complete.reason_fits(Some(ReasonClass::PartlyServed)));
        assert!(!Act::Complete.reason_fits(Some(ReasonClass::Other)));
        assert!(Act::Accept.reason_fits(None));
        assert!(!Act::Accept.reason_fits(Some(ReasonClass::Other)));
    }
}
