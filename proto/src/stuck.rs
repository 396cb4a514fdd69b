//! What is awaited in open referrals, since when, by when, why it does not come, what to do next and whom
//! to call. Nothing of a case is in it but its name, its agencies and its urgency. Not here: what ends a
//! clock (`clocks`), who is connected (the gateway), and the texts (`words`).

mod words;

use crate::{
    clocks::{Begun, ClockKind},
    decide,
    evidence::Happening,
    ids::{AgencyId, ReferralKey, TimeMs, Urgency},
    lifecycle::{Act, Status},
    referral::Referral,
    refusal::Refusal,
    state::State,
};

/// Most referrals that are remembered because their escalation stopped; the oldest gives way.
pub const STOPPED_MAX: usize = 10_000;
/// How long one is told of whose sender says nothing: 30 days. Then it is history.
pub const STOPPED_TOLD_MS: u64 = 30 * 24 * 60 * 60 * 1000;

/// How far a referral has come, by what is awaited.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Stage {
    /// The recipient's agent has not fetched it.
    NotFetched,
    /// No person there has seen it.
    NotSeen,
    /// Nobody has answered.
    NotAnswered,
    /// It is accepted, and the identity has not come.
    IdentityDue,
    /// Another agency must be asked.
    Escalation,
    /// She is on her way.
    InTransit,
    /// It is accepted, and the recipient has said nothing since for too long.
    NoWord,
    /// The responsibility for her is offered, and not answered.
    TransferOffered,
}

/// How late something is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Lateness {
    /// Less than half of its time is over.
    InTime,
    /// More than half of its time is over.
    HalfOver,
    /// Its time is over.
    Missed,
}

/// Why it does not come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Cause {
    /// The recipient is suspended.
    RecipientSuspended,
    /// The recipient's agent could not open it: its sender must seal it again.
    CannotOpen,
    /// The recipient's agent is not connected.
    AgentAway,
    /// The recipient's agent is connected, and has not signed for it.
    AgentSlow,
    /// It is there; nobody has opened it.
    NobodyLooked,
    /// Somebody has seen it; nobody has answered.
    NobodyAnswered,
    /// It has a place on a waiting list.
    OnWaitlist,
    /// The agency that refers has not sent the identity, and its agent is connected.
    IdentityNotSent,
    /// The agency that refers has not sent the identity, and its agent is not connected.
    SenderAway,
    /// The gateway asks the next agency when the time is over.
    NextInTurn,
    /// No agency that she named can be asked, for this reason.
    NextBlocked(Refusal),
    /// No agency is left that she named.
    NobodyLeft,
    /// She has departed, and not arrived.
    OnHerWay,
    /// The recipient accepted, and has said nothing for long.
    SilentSinceYes,
    /// The recipient has not answered an offer to take over.
    TransferUnanswered,
    /// Operators hold it back.
    Held,
    /// Operators returned it to the agency that refers, which has said nothing since.
    Returned,
}

/// Which of the two agencies has to act.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Side {
    /// The one that refers.
    Sender,
    /// The one that is asked.
    Recipient,
}

/// Something that is awaited.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Awaited {
    /// In which referral.
    pub referral: ReferralKey,
    /// In which attempt.
    pub attempt: u32,
    /// Who is asked in it.
    pub recipient: Option<AgencyId>,
    /// How urgent it is.
    pub urgency: Urgency,
    /// What is awaited.
    pub stage: Stage,
    /// Since when the referral stands as it does.
    pub since: TimeMs,
    /// By when it is, or was, to come; nothing where no clock is.
    pub due_at: Option<TimeMs>,
    /// Whether its clock was missed, as evidence says.
    pub missed: bool,
    /// Why it does not come, as far as the rules know it.
    pub cause: Cause,
}

/// A referral whose escalation stopped: a person at the agency that refers must look.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stopped {
    /// The attempt that ended.
    pub attempt: u32,
    /// Who was asked in it.
    pub recipient: Option<AgencyId>,
    /// How urgent it is.
    pub urgency: Urgency,
    /// When it stopped.
    pub since: TimeMs,
    /// What kept the first agency left from being asked; nothing when none is left.
    pub why: Option<Refusal>,
}

impl Stopped {
    pub(crate) fn of(what: &Happening, urgency: Urgency, since: TimeMs) -> Self {
        Self {
            attempt: what.attempt,
            recipient: what.recipient.clone(),
            urgency,
            since,
            why: what.refusal.map(|(refusal, _)| refusal),
        }
    }

    /// What is awaited; nothing once it is history.
    #[must_use]
    pub fn awaited(&self, key: &ReferralKey, now: TimeMs) -> Option<Awaited> {
        let awaited = Awaited {
            referral: key.clone(),
            attempt: self.attempt,
            recipient: self.recipient.clone(),
            urgency: self.urgency,
            stage: Stage::Escalation,
            since: self.since,
            due_at: None,
            missed: false,
            cause: match self.why {
                Some(Refusal::ReturnedToSender) => Cause::Returned,
                why => why.map_or(Cause::NobodyLeft, Cause::NextBlocked),
            },
        };
        (now < self.since.plus_ms(STOPPED_TOLD_MS)).then_some(awaited)
    }
}

/// What is awaited in a referral that is in memory; nothing where work goes on. Where escalation stopped,
/// [`Stopped`] says it.
#[must_use]
pub fn awaited(state: &State, key: &ReferralKey, referral: &Referral) -> Option<Awaited> {
    let (stage, clock) = stage(referral)?;
    let running = referral.clocks.running().find(|running| running.kind == clock);
    let late = referral.missed.iter().find(|missed| missed.kind == clock);
    let due = running.or_else(|| late.copied());
    Some(Awaited {
        referral: key.clone(),
        attempt: referral.attempt(),
        recipient: referral.recipient().cloned(),
        urgency: referral.urgency,
        stage,
        since: referral.since,
        due_at: due.map(|Begun { due_at, .. }| due_at),
        missed: running.is_none() && late.is_some(),
        cause: cause(state, key, referral, stage),
    })
}

/// What is awaited, and the clock of it.
fn stage(referral: &Referral) -> Option<(Stage, ClockKind)> {
    use Status::{
        Accepted, Arrived, CancelRequested, Cancelled, Completed, Declined, Delivered, EnteredInError,
        Expired, Failed, InProgress, InTransit, NoShow, OnHold, Recalled, Scheduled, Seen, ServiceDelivered,
        Submitted, Waitlisted,
    };
    let answers = referral.kind.expects_answer();
    match referral.status {
        Submitted => Some((Stage::NotFetched, ClockKind::Delivered)),
        Delivered => answers.then_some((Stage::NotSeen, ClockKind::Seen)),
        Seen | Waitlisted => answers.then_some((Stage::NotAnswered, ClockKind::Answered)),
        Declined | Expired => {
            let runs = referral.clocks.running().any(|one| one.kind == ClockKind::Escalation);
            runs.then_some((Stage::Escalation, ClockKind::Escalation))
        }
        Accepted | Scheduled | NoShow | Arrived | InProgress | OnHold | ServiceDelivered
        | CancelRequested => identity(referral).or_else(|| transfer(referral)).or_else(|| no_word(referral)),
        // Who is lost on her way comes before a paper that is.
        InTransit => Some((Stage::InTransit, ClockKind::Transit)),
        Completed | Failed | Cancelled | Recalled | EnteredInError => None,
    }
}

/// The identity, where it is due. While its clock pauses nobody waits for it.
fn identity(referral: &Referral) -> Option<(Stage, ClockKind)> {
    let clock = ClockKind::Disclosure;
    let awaited = referral.clocks.running().any(|one| one.kind == clock)
        || referral.missed.iter().any(|one| one.kind == clock);
    awaited.then_some((Stage::IdentityDue, clock))
}

fn transfer(referral: &Referral) -> Option<(Stage, ClockKind)> {
    referral.clocks.get(ClockKind::Transfer).map(|_| (Stage::TransferOffered, ClockKind::Transfer))
}

/// While work goes on in its time nothing is awaited.
fn no_word(referral: &Referral) -> Option<(Stage, ClockKind)> {
    let clock = ClockKind::Progress;
    referral.missed.iter().any(|one| one.kind == clock).then_some((Stage::NoWord, clock))
}

fn cause(state: &State, key: &ReferralKey, referral: &Referral, stage: Stage) -> Cause {
    match stage {
        Stage::NotFetched => not_fetched(state, key, referral),
        Stage::NotSeen => Cause::NobodyLooked,
        Stage::NotAnswered if referral.status == Status::Waitlisted => Cause::OnWaitlist,
        Stage::NotAnswered => Cause::NobodyAnswered,
        Stage::IdentityDue => Cause::IdentityNotSent,
        Stage::Escalation => match decide::next_agency(state, key, referral) {
            Ok(()) => Cause::NextInTurn,
            Err(Some(refusal)) => Cause::NextBlocked(refusal),
            Err(None) => Cause::NobodyLeft,
        },
        Stage::InTransit => Cause::OnHerWay,
        Stage::NoWord => Cause::SilentSinceYes,
        Stage::TransferOffered => Cause::TransferUnanswered,
    }
}

fn not_fetched(state: &State, key: &ReferralKey, referral: &Referral) -> Cause {
    let Some(recipient) = referral.recipient() else {
        return Cause::AgentSlow;
    };
    let mailbox = state.mailboxes().of(recipient);
    // The opening is the first that waits.
    let first = mailbox.and_then(|mailbox| mailbox.of_referral(key).next());
    if referral.is_held() {
        Cause::Held
    } else if first.is_some_and(|mail| mail.blocked && mail.act == Act::Submit) {
        Cause::CannotOpen
    } else if state.directory().is_suspended(recipient, state.now()) {
        Cause::RecipientSuspended
    } else {
        Cause::AgentSlow
    }
}

impl Awaited {
    /// The same, with what the gateway knows of connections: whether the agency that has to act is
    /// connected.
    #[must_use]
    pub const fn with_contact(mut self, connected: bool) -> Self {
        self.cause = match (self.cause, connected) {
            (Cause::AgentSlow | Cause::AgentAway, true) => Cause::AgentSlow,
            (Cause::AgentSlow | Cause::AgentAway, false) => Cause::AgentAway,
            (Cause::IdentityNotSent | Cause::SenderAway, true) => Cause::IdentityNotSent,
            (Cause::IdentityNotSent | Cause::SenderAway, false) => Cause::SenderAway,
            (other, _) => other,
        };
        self
    }

    /// How late it is.
    #[must_use]
    pub fn lateness(&self, now: TimeMs) -> Lateness {
        let Some(due_at) = self.due_at else {
            return if self.missed { Lateness::Missed } else { Lateness::InTime };
        };
        let left = due_at.0.saturating_sub(now.0);
        if self.missed || left == 0 {
            Lateness::Missed
        } else if left < now.0.saturating_sub(self.since.0) {
            Lateness::HalfOver
        } else {
            Lateness::InTime
        }
    }

    /// Whether somebody should act now: half of its time is over, or it does not move by itself.
    #[must_use]
    pub fn is_stuck(&self, now: TimeMs) -> bool {
        self.lateness(now) != Lateness::InTime || self.stands_still()
    }

    fn stands_still(&self) -> bool {
        match self.cause {
            Cause::RecipientSuspended
            | Cause::CannotOpen
            | Cause::NextBlocked(_)
            | Cause::NobodyLeft
            | Cause::Held
            | Cause::Returned => true,
            // A machine that is switched off at night is no news, except for an emergency.
            Cause::AgentAway | Cause::SenderAway => self.urgency == Urgency::Emergency,
            Cause::AgentSlow
            | Cause::NobodyLooked
            | Cause::NobodyAnswered
            | Cause::OnWaitlist
            | Cause::IdentityNotSent
            | Cause::NextInTurn
            | Cause::OnHerWay
            | Cause::SilentSinceYes
            | Cause::TransferUnanswered => false,
        }
    }

    /// The agency to call.
    #[must_use]
    pub fn whom(&self) -> &AgencyId {
        match (self.cause.side(), &self.recipient) {
            (Side::Recipient, Some(recipient)) => recipient,
            (Side::Recipient, None) | (Side::Sender, _) => &self.referral.opened_by,
        }
    }
}

impl Cause {
    /// Which agency has to act.
    #[must_use]
    pub const fn side(self) -> Side {
        match self {
            Self::AgentAway
            | Self::AgentSlow
            | Self::NobodyLooked
            | Self::NobodyAnswered
            | Self::OnWaitlist
            | Self::OnHerWay
            | Self::SilentSinceYes
            | Self::TransferUnanswered => Side::Recipient,
            Self::RecipientSuspended
            | Self::CannotOpen
            | Self::IdentityNotSent
            | Self::SenderAway
            | Self::NextInTurn
            | Self::NextBlocked(_)
            | Self::NobodyLeft
            | Self::Held
            | Self::Returned => Side::Sender,
        }
    }
}
