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
