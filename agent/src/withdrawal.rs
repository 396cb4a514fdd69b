//! A withdrawal of consent follows the case to everybody who has it: along onward referrals, and to those
//! who were asked before. It is passed on at once and without a person. It carries nothing but itself, ends
//! no help that she gets, and takes back what was not fetched; held up until somebody looks, it would let
//! her data be used against her will. What was done about it people confirm, each receiver's own. Not here:
//! what a withdrawal does at the gateway.

use std::{sync::Arc, time::Duration};

use proto::{
    evidence::Event,
    ids::{AgencyId, ReferralKey},
    lifecycle::Act,
};

use crate::{
    case::{Asked, Case, Standing, Step},
    office::Office,
    state::State,
    store::Place,
};

/// How soon what could not be passed on is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(20);

/// A withdrawal that is to be passed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// In which referral of this agency.
    pub referral: ReferralKey,
    /// To whom.
    pub to: Asked,
}

/// How far a withdrawal has got with one who has the case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Passed {
    /// Not written down yet.
    Due,
    /// The gateway refused it: a person must tell them.
    Refused,
    /// On its way, or there.
    On,
    /// Its receiver has confirmed that it was carried out.
    Confirmed,
}

/// The withdrawals in a case, as they were written down here.
fn withdrawals(case: &Case) -> impl Iterator<Item = &Step> {
    let by_opener = |step: &&Step| step.act == Act::WithdrawConsent && step.from == case.referral.opened_by;
    case.steps.iter().filter(by_opener).filter(|step| step.is_ours() || is_here(step))
}

const fn is_here(step: &Step) -> bool {
    matches!(step.standing, Standing::Arrived(_))
}

/// The last withdrawal in a case.
fn last(case: &Case) -> Option<Place> {
    withdrawals(case).map(|step| step.place).max()
}

/// Up to where what this side submitted rests on the consent that was withdrawn. What goes on from a case
/// does so until that is submitted here anew.
fn bound(case: &Case, me: &AgencyId) -> Option<Place> {
    let withdrawn = last(case)?;
    if case.referral.opened_by == *me {
        return Some(withdrawn);
    }
    let anew = case.steps.iter().filter(|step| step.act == Act::Submit && step.place > withdrawn);
    Some(anew.map(|step| step.place).min().unwrap_or(Place::LAST))
}

/// Whether her consent to a case that came here is withdrawn, and it was not submitted again since.
#[must_use]
pub fn is_withdrawn(case: &Case, me: &AgencyId) -> bool {
    let came = case.steps.iter().filter(|step| step.act == Act::Submit && step.to == *me && is_here(step));
    last(case).is_some_and(|withdrawn| came.map(|step| step.place).max() < Some(withdrawn))
}

/// Whether anybody has said in a case that her consent to it is withdrawn.
#[must_use]
pub fn is_withdrawn_here(case: &Case) -> bool {
    last(case).is_some()
}

/// Everybody to whom a case went on from here before her consent was withdrawn, and how far they know.
#[must_use]
pub fn passed(state: &State, former: &ReferralKey) -> Vec<(Due, Passed)> {
    let me = state.me();
    let Some((case, bound)) = state.case(former).and_then(|case| Some((case, bound(case, me)?))) else {
        return Vec::new();
    };
    let of = |case: &Case| {
        let asked = case.asked_before(bound).into_iter();
        let one = |to: Asked| (Due { referral: case.referral.clone(), to: to.clone() }, far(case, me, &to));
        asked.map(one).collect::<Vec<_>>()
    };
    if case.referral.opened_by == *me { of(case) } else { state.onward(former).flat_map(of).collect() }
}

fn far(case: &Case, me: &AgencyId, to: &Asked) -> Passed {
    if case.done(Act::ConfirmWithdrawal, &to.agency, to.attempt).is_some() {
        return Passed::Confirmed;
    }
    if case.done(Act::WithdrawConsent, me, to.attempt).is_some() {
        return Passed::On;
    }
    let tried = |step: &Step| {
        (step.act, &step.from, step.attempt) == (Act::WithdrawConsent, me, to.attempt)
            && matches!(step.standing, Standing::Refused { .. } | Standing::Withdrawn)
    };
    if case.steps.iter().any(tried) { Passed::Refused } else { Passed::Due }
}

/// Whether somebody to whom a case went on has not confirmed that the withdrawal was carried out.
#[must_use]
pub fn is_unconfirmed(state: &State, former: &ReferralKey) -> bool {
    passed(state, former).iter().any(|(_, passed)| *passed != Passed::Confirmed)
}

/// Whether somebody to whom a case went may hold it still: nobody of them stated that it was destroyed, and
/// it was not lost on its way there.
#[must_use]
pub fn holds(case: &Case) -> bool {
    let lost = |asked: &Asked| {
        let of = case.told.iter().filter(|told| told.what.attempt == asked.attempt);
        of.map(|told| told.what.event).any(|event| event == Event::Expired)
    };
    let purged = |asked: &Asked| case.done(Act::ConfirmPurge, &asked.agency, asked.attempt).is_some();
    case.asked_ever().iter().any(|asked| !purged(asked) && !lost(asked))
}

/// Everything that is to be passed on now.
#[must_use]
pub fn due(state: &State) -> Vec<Due> {
    let withdrawn = state.cases().filter(|case| last(case).is_some());
    let all = withdrawn.flat_map(|case| passed(state, &case.referral));
    all.filter(|(_, passed)| *passed == Passed::Due).map(|(due, _)| due).collect()
}

/// Passes withdrawals on as long as the agent runs. What is to be passed on follows from the store alone, so
/// that nothing is forgotten when the agent ends in between.
pub async fn run(office: Arc<Office>) {
    let mut changes = office.store.changes();
    loop {
        let mut failed = false;
        for due in office.store.read(due) {
            let passed = office.withdraw_from(&due.referral, &due.to).await;
            match passed {
                Ok(_) => tracing::info!(referral = %due.referral.id, "a withdrawal of consent is passed on"),
                Err(why) => {
                    tracing::error!(referral = %due.referral.id, %why, "a withdrawal could not be passed on");
                    failed = true;
                }
            }
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = tokio::time::sleep(AGAIN_AFTER), if failed => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use proto::{digest::Digest, header::Header, wire};

    use super::*;
    use crate::{
        case::tests::header,
        records::{self, record},
        state::Tie,
        store::Fold as _,
    };

    const FROM: &str = "ae.dfwac";
    const ME: &str = "ae-rk.aman";
    const NEXT: &str = "jo.mosd";

    fn agency(text: &str) -> AgencyId {
        AgencyId::parse(text, "agency").unwrap()
    }

    /// A store, record by record.
    struct Desk {
        state: State,
        position: u64,
    }

    impl Desk {
        fn new() -> Self {
            Self { state: State::new(agency(ME)), position: 0 }
        }

        fn take(&mut self, record: record::Record) {
            self.position += 1;
            let record = records::Record { at_ms: 0, record: Some(record) };
            self.state.apply(Place::at(self.position), &record);
        }

        fn arrives(&mut self, header: &Header) {
            self.take(record::Record::Arrived(records::Arrived {
                header: header.to_wire().encode_to_vec(),
                digest: Digest::of(header.envelope_id.as_bytes()).to_vec(),
                handover_id: header.envelope_id.as_bytes().to_vec(),
                result: wire::HandoverResult::Received.into(),
                order: self.position,
                ..records::Arrived::default()
            }));
        }

        fn queues(&mut self, header: &Header, tie: &Tie) {
            self.take(record::Record::Queued(records::Queued {
                header: header.to_wire().encode_to_vec(),
                digest: Digest::of(header.envelope_id.as_bytes()).to_vec(),
                tie: tie.to_record(),
                ..records::Queued::default()
            }));
        }

        fn due(&self) -> Vec<(ReferralKey, u32)> {
            due(&self.state).into_iter().map(|due| (due.referral, due.to.attempt)).collect()
        }
    }

    /// An envelope of the case that came here; the first submits it.
    fn came(act: Act, number: u64, attempt: u32) -> Header {
        let previous = (number > 0).then_some(Digest([1; 32]));
        Header { attempt, previous, ..header(FROM, ME, act, number) }
    }

    /// What goes on from here.
    fn goes_on(number: u64) -> Header {
        let header = header(ME, NEXT, Act::Submit, number);
        let referral = ReferralKey { id: header.envelope_id, opened_by: agency(ME) };
        Header { referral, sequence: 1, ..header }
    }

    /// An act in it, by this side or by the next.
    fn then(on: &Header, from: &str, act: Act, number: u64) -> Header {
        let to = if from == ME { NEXT } else { ME };
        let previous = (from == ME).then_some(Digest([1; 32]));
        let sequence = if from == ME { 2 } else { 1 };
        Header { referral: on.referral.clone(), previous, sequence, ..header(from, to, act, number) }
    }

    fn onward() -> Tie {
        Tie { onward_of: Some(came(Act::Submit, 0, 1).referral), split_of: None }
    }

    #[test]
    fn a_withdrawal_is_due_once_and_confirmed_by_its_receiver() {
        let mut desk = Desk::new();
        let (first, on) = (came(Act::Submit, 0, 1), goes_on(10));
        desk.arrives(&first);
        desk.queues(&on, &onward());
        assert_eq!(desk.due(), vec![]);
        desk.arrives(&came(Act::WithdrawConsent, 1, 1));
        assert_eq!(desk.due(), [(on.referral.clone(), 1)]);
        assert!(is_withdrawn(desk.state.case(&first.referral).unwrap(), &agency(ME)));
        desk.queues(&then(&on, ME, Act::WithdrawConsent, 11), &Tie::default());
        assert_eq!(desk.due(), vec![], "once");
        assert!(is_unconfirmed(&desk.state, &first.referral));
        desk.arrives(&then(&on, NEXT, Act::ConfirmWithdrawal, 12));
        assert!(!is_unconfirmed(&desk.state, &first.referral));
        assert!(desk.state.tie(&on.referral).is_some(), "an act without a tie changes none");
    }

    #[test]
    fn what_was_written_down_just_after_a_withdrawal_came_is_withdrawn_too() {
        let mut desk = Desk::new();
        desk.arrives(&came(Act::Submit, 0, 1));
        desk.arrives(&came(Act::WithdrawConsent, 1, 1));
        let on = goes_on(10);
        desk.queues(&on, &onward());
        assert_eq!(desk.due(), [(on.referral, 1)]);
    }

    #[test]
    fn what_rests_on_a_new_consent_is_not() {
        let mut desk = Desk::new();
        let (old, new) = (goes_on(10), goes_on(20));
        desk.arrives(&came(Act::Submit, 0, 1));
        desk.queues(&old, &onward());
        desk.arrives(&came(Act::WithdrawConsent, 1, 1));
        let anew = came(Act::Submit, 2, 2);
        desk.arrives(&anew);
        assert!(!is_withdrawn(desk.state.case(&anew.referral).unwrap(), &agency(ME)));
        desk.queues(&new, &onward());
        assert_eq!(desk.due(), [(old.referral, 1)]);
    }
}
