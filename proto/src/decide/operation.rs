//! What follows from an operator's act: at once what one person may do, and what takes two when the second
//! says the same. Not here: the acts (`operation`), and in which status each is legal (`lifecycle`).

use super::{Decision, Load, Stop, escalation, recall};
use crate::{
    caller::{Caller, StaffRole},
    clocks::{Begun, ClockKind},
    evidence::{Event, Happening},
    fact::Effect,
    ids::{Pseudonym, ReferralKey},
    lifecycle::{Next, operable},
    operation::{Intervention, NOTIFY_AGAIN_EVERY_MS, Operate, Operation, SECOND_PERSON_MS},
    referral::Referral,
    refusal::Refusal,
    state::State,
};

/// An act of one operator; nobody else may do it.
pub(super) fn decide(state: &State, caller: &Caller, operate: &Operate) -> Result<Decision, Stop> {
    let Caller::Staff { pseudonym, role: StaffRole::Operator, .. } = caller else {
        return Err(Refusal::RoleNotAllowed.into());
    };
    let Some(key) = &operate.referral else {
        return Ok(done(vec![of_gateway(operate, pseudonym)]));
    };
    let referral = referral(state, key)?;
    let next = operable(referral.status, operate.operation).ok_or(Refusal::OperationNotLegal)?;
    let none = Intervention::default();
    let so_far = referral.intervention.as_deref().unwrap_or(&none);
    let act = Act { state, key, referral, operate, pseudonym };
    match operate.operation {
        Operation::NotifyAgain => act.notify_again(so_far),
        Operation::Hold => act.hold(so_far),
        Operation::Release if so_far.held_by.is_empty() => Err(Refusal::OperationNotLegal.into()),
        Operation::Release | Operation::Return => act.by_two(so_far, next),
        // About the gateway itself, and never of a referral.
        Operation::Drain | Operation::Undrain => Err(Refusal::OperationNotLegal.into()),
    }
}

const fn done(effects: Vec<Effect>) -> Decision {
    Decision::Do(effects, Vec::new())
}

fn referral<'a>(state: &'a State, key: &ReferralKey) -> Result<&'a Referral, Stop> {
    match state.referral(key) {
        Some(referral) => Ok(referral),
        None if state.is_absent(key) => Err(Refusal::UnknownReferral.into()),
        None => Err(Decision::Load(Load::Referral(key.clone())).into()),
    }
}

fn of_gateway(operate: &Operate, by: &Pseudonym) -> Effect {
    Happening {
        actor: Some(by.clone()),
        operation: Some(operate.operation),
        operation_reason: Some(operate.reason.clone()),
        count: 1,
        ..Happening::new(Event::Operated)
    }
    .into()
}

/// An act on a referral.
struct Act<'a> {
    state: &'a State,
    key: &'a ReferralKey,
    referral: &'a Referral,
    operate: &'a Operate,
    pseudonym: &'a Pseudonym,
}

impl Act<'_> {
    /// What is held back does not wait for people.
    fn notify_again(&self, so_far: &Intervention) -> Result<Decision, Stop> {
        if !so_far.held_by.is_empty() {
            return Err(Refusal::OperationNotLegal.into());
        }
        let lately =
            so_far.notified_at.is_some_and(|at| self.state.now() < at.plus_ms(NOTIFY_AGAIN_EVERY_MS));
        if lately {
            return Err(Refusal::NotifiedLately.into());
        }
        Ok(done(vec![self.record(1).into()]))
    }

    /// At once by one; the second lets it stand.
    fn hold(&self, so_far: &Intervention) -> Result<Decision, Stop> {
        if so_far.held_by.contains(self.pseudonym) {
            return Err(Refusal::SecondPersonNeeded.into());
        }
        let kind = ClockKind::Held;
        match so_far.held_by.len() {
            0 => {
                let due_at = self.state.now().plus_ms(SECOND_PERSON_MS);
                let clocks = vec![Begun { kind, due_at }];
                Ok(done(vec![Happening { clocks, ..self.record(1) }.into()]))
            }
            1 => Ok(done(vec![Happening { clock: kind.number().unsigned_abs(), ..self.record(2) }.into()])),
            _ => Err(Refusal::OperationNotLegal.into()),
        }
    }

    fn by_two(&self, so_far: &Intervention, next: Next) -> Result<Decision, Stop> {
        match so_far.first(self.operate.operation, self.state.now()) {
            None => Ok(done(vec![self.record(1).into()])),
            Some(first) if first.by == *self.pseudonym => Err(Refusal::SecondPersonNeeded.into()),
            Some(_) => Ok(done(self.second(next))),
        }
    }

    fn second(&self, next: Next) -> Vec<Effect> {
        let after = self.referral.status_after(next);
        let held = ClockKind::Held.number().unsigned_abs();
        let record = Happening {
            clock: if self.operate.operation == Operation::Release { held } else { 0 },
            status: (after != self.referral.status).then_some(after),
            ..self.record(2)
        };
        if !after.is_final() {
            return vec![record.into()];
        }
        // It leaves the mailbox before the attempt ends; then a person at the sender must look.
        let mut effects = recall::all_taken_back(self.state, self.key, self.referral);
        let told = escalation::stopped(self.key, self.referral, Some(Refusal::ReturnedToSender));
        effects.extend([record.into(), told]);
        effects
    }

    /// The recipient is told of what reaches it. Of a hold, and of what is only asked for, the sender alone:
    /// it may be about the recipient.
    fn record(&self, people: u64) -> Happening {
        let of_both = match self.operate.operation {
            Operation::NotifyAgain => true,
            Operation::Return => people > 1,
            Operation::Hold | Operation::Release | Operation::Drain | Operation::Undrain => false,
        };
        let mut what = escalation::of_attempt(Event::Operated, self.key, self.referral);
        if !of_both {
            what.parties = vec![self.key.opened_by.clone()];
        }
        Happening {
            actor: Some(self.pseudonym.clone()),
            operation: Some(self.operate.operation),
            operation_reason: Some(self.operate.reason.clone()),
            count: people,
            ..what
        }
    }
}
