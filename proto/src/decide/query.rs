//! Looking at evidence: who may, and the evidence of it. Not here: what is shown (the gateway's
//! `Evidence` service), which waits for this record.

use super::{Decision, Load, Stop};
use crate::{
    caller::{Caller, StaffRole},
    command::{Query, QueryCount, Sight},
    evidence::{Event, Happening},
    fact::Effect,
    ids::{AgencyId, Pseudonym, ReferralKey},
    referral::Referral,
    refusal::Refusal,
    state::{QUERIES_RECORDED, STAFF_QUERIES_MAX, State},
};

/// An agency may look at what it is a party of, auditors and administrators at what is anybody's in
/// their network. Operators see how deliveries stand, which is no evidence.
pub(super) fn decide(state: &State, caller: &Caller, query: &Query) -> Result<Decision, Stop> {
    if query.of == Sight::Deliveries {
        return look(state, caller);
    }
    match caller {
        Caller::Staff { role: StaffRole::Administrator | StaffRole::Auditor, .. } | Caller::Agency { .. } => {
        }
        Caller::Staff { role: StaffRole::Operator, .. } | Caller::Invited { .. } | Caller::Gateway => {
            return Err(Refusal::RoleNotAllowed.into());
        }
    }
    let agency = caller.agency();
    if agency.is_some_and(|agency| state.directory().agency(agency).is_none()) {
        return Err(Refusal::SenderUnknown.into());
    }
    let most = if agency.is_some() { QUERIES_RECORDED } else { STAFF_QUERIES_MAX };
    match (state.records_query(caller, most), agency) {
        (true, _) => {}
        (false, Some(_)) => return Ok(Decision::Nothing),
        (false, None) => return Err(Refusal::QueriesFull.into()),
    }
    let asked = match &query.referral {
        Some(key) => Some((key, referral(state, key)?)),
        None => None,
    };
    let mut parties: Vec<_> = asked.into_iter().flat_map(|(key, referral)| parties(key, referral)).collect();
    if let Some(agency) = agency {
        // The same answer as for what does not exist.
        if asked.is_some() && !parties.contains(agency) {
            return Err(Refusal::SubjectUnknown.into());
        }
        // What one party looks at is not the other's affair; what staff look at is.
        parties = vec![agency.clone()];
    }
    parties.retain(|party| state.directory().agency(party).is_some());
    let queried = Happening {
        sender: agency.cloned(),
        actor: caller.pseudonym().cloned(),
        referral: query.referral.clone(),
        attempt: asked.map_or(0, |(_, referral)| referral.attempt()),
        parties,
        ..Happening::new(Event::Queried)
    };
    Ok(Decision::Do(vec![queried.into()], Vec::new()))
}

/// Operators and administrators see how deliveries stand. The first look of a person in an hour is
/// recorded, the others are counted: it is one page that is open all day.
fn look(state: &State, caller: &Caller) -> Result<Decision, Stop> {
    let Caller::Staff { pseudonym, role: StaffRole::Operator | StaffRole::Administrator, .. } = caller else {
        return Err(Refusal::RoleNotAllowed.into());
    };
    if !state.records_look(pseudonym) {
        return Ok(Decision::Nothing);
    }
    let looked = Happening { actor: Some(pseudonym.clone()), ..Happening::new(Event::Looked) };
    Ok(Decision::Do(vec![looked.into()], Vec::new()))
}

/// The referral, loaded when memory does not hold it: the record continues its chain.
pub(super) fn referral<'a>(state: &'a State, key: &ReferralKey) -> Result<&'a Referral, Stop> {
    match state.referral(key) {
        Some(referral) => Ok(referral),
        None if state.is_absent(key) => Err(Refusal::SubjectUnknown.into()),
        None => Err(Decision::Load(Load::Referral(key.clone())).into()),
    }
}

pub(super) fn parties(key: &ReferralKey, referral: &Referral) -> Vec<AgencyId> {
    let mut parties = vec![key.opened_by.clone()];
    parties.extend(referral.recipients.iter().cloned());
    parties.sort();
    parties.dedup();
    parties
}

/// Queries of agencies, and looks of staff, that were not recorded one by one.
pub(super) fn counted(state: &State, caller: &Caller, counts: &[QueryCount]) -> Result<Decision, Stop> {
    if *caller != Caller::Gateway {
        return Err(Refusal::RoleNotAllowed.into());
    }
    if counts.is_empty() {
        return Ok(Decision::Nothing);
    }
    Ok(Decision::Do(counts.iter().map(|count| of_count(state, count)).collect(), Vec::new()))
}

fn of_count(state: &State, count: &QueryCount) -> Effect {
    // A pseudonym is one label, an agency's id two or more.
    let actor = Pseudonym::parse(&count.caller, "caller").ok();
    let agency = AgencyId::parse(&count.caller, "caller").ok();
    let event = if actor.is_some() { Event::Looked } else { Event::Queried };
    let known = agency.clone().filter(|agency| state.directory().agency(agency).is_some());
    Happening {
        sender: agency,
        actor,
        count: count.count,
        due_at: count.window_start,
        parties: known.into_iter().collect(),
        ..Happening::new(event)
    }
    .into()
}
