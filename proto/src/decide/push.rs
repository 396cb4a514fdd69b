//! Deciding an envelope: every rule in order of precedence. Not here: the lifecycle's table
//! (`lifecycle`) and the agreement's clauses (`agreement`).

use super::{Decision, Load, Stop, acting_agency};
use crate::{
    agreement::Clause,
    caller::Caller,
    command::Push,
    delivery::MAILBOX_ITEMS_MAX,
    directory::{KeyPurpose, authority::CLOCK_SKEW_MS_MAX},
    evidence::{Event, Happening},
    fact::Effect,
    header::Header,
    ids::{AgencyId, Code, PartClass},
    known::Lookup,
    lifecycle::{Act, Status, Transition, Who, legal_acts, transition},
    referral::{ATTEMPTS_MAX, Referral},
    refusal::Refusal,
    state::State,
};

/// How long an envelope may live: 90 days.
pub const LIFETIME_MS_MAX: u64 = 90 * 24 * 60 * 60 * 1000;
/// How far the time inside an envelope's id may be from its creation: 10 minutes.
pub const ID_TIME_MS_MAX: u64 = 10 * 60 * 1000;
/// Most referrals that are open at once in the whole network.
pub const REFERRALS_OPEN_MAX: usize = 1_000_000;

pub(super) fn decide(state: &State, caller: &Caller, push: &Push) -> Result<Decision, Stop> {
    let header = &push.header;
    if caller.agency() != Some(&header.from) {
        return Err(Refusal::CallerNotSender.into());
    }
    // Known envelopes come before every rule, so that a retry never gets a refusal for what was
    // accepted, whatever has changed meanwhile.
    match state.known(&header.key()) {
        Lookup::Known(known) if known.digest == push.signed.digest() => return Ok(Decision::Done(known.at)),
        Lookup::Known(known) => return Ok(Decision::Compare(known.at)),
        Lookup::AskIndex => return Ok(Decision::Load(Load::Envelope(header.key()))),
        Lookup::Unknown => {}
    }
    check_sender(state, caller, push)?;
    check_times(state, header)?;
    let referral = find_referral(state, header)?;
    let clause = check_route(state, header, referral)?;
    let clause = clause.map(|clause| clause.clause_id.clone());
    check_keys(state, header)?;
    check_addressing(state, header)?;
    let Some(referral) = referral else {
        return open(state, push, clause);
    };
    check_chain(header, referral)?;
    if header.act == Act::Submit {
        check_new_attempt(header, referral)?;
        check_room(state, &header.to)?;
        return Ok(Decision::Do(submission(push, clause), Vec::new()));
    }
    let transition = check_act(header, referral)?;
    check_room(state, &header.to)?;
    Ok(Decision::Do(act(push, referral, transition), Vec::new()))
}

fn check_sender(state: &State, caller: &Caller, push: &Push) -> Result<(), Stop> {
    let from = acting_agency(state, caller)?;
    let signs = |key| state.directory().signing_agency(key, state.now()) == Some(from);
    if push.signed.signers().iter().all(signs) { Ok(()) } else { Err(Refusal::SigningKeyNotInForce.into()) }
}

fn check_times(state: &State, header: &Header) -> Result<(), Refusal> {
    let now = state.now();
    if header.to == header.from {
        return Err(Refusal::ToSelf);
    }
    if header.created_at > now.plus_ms(CLOCK_SKEW_MS_MAX) {
        return Err(Refusal::CreatedInFuture);
    }
    if header.envelope_id.made_at().0.abs_diff(header.created_at.0) > ID_TIME_MS_MAX {
        return Err(Refusal::IdTimeDiffers);
    }
    if header.expires_at <= now {
        return Err(Refusal::Expired);
    }
    if header.expires_at > header.created_at.plus_ms(LIFETIME_MS_MAX) {
        return Err(Refusal::LifetimeTooLong);
    }
    if header.directory_size > state.directory_log().size() {
        return Err(Refusal::DirectoryAhead);
    }
    Ok(())
}

/// The referral that an envelope belongs to; none when it opens one. Who is no party of it learns
/// no more than who made its name up.
fn find_referral<'a>(state: &'a State, header: &Header) -> Result<Option<&'a Referral>, Stop> {
    if header.opens() {
        return Ok(None);
    }
    let Some(referral) = state.referral(&header.referral) else {
        return if state.is_absent(&header.referral) {
            Err(Refusal::UnknownReferral.into())
        } else {
            Err(Decision::Load(Load::Referral(header.referral.clone())).into())
        };
    };
    if is_party(referral, header) { Ok(Some(referral)) } else { Err(Refusal::UnknownReferral.into()) }
}

fn is_party(referral: &Referral, header: &Header) -> bool {
    let opened_by = &header.referral.opened_by;
    if header.from != *opened_by {
        return header.to == *opened_by && referral.recipients.contains(&header.from);
    }
    header.act == Act::Submit || referral.recipients.contains(&header.to)
}

/// A submission needs an agreement in force and a clause that allows it. An act goes on under the
/// agreement of its referral, also when that has ended since: an answer must always be possible.
/// Identity needs the agreement in force whenever it travels.
fn check_route<'a>(
    state: &'a State,
    header: &Header,
    referral: Option<&Referral>,
) -> Result<Option<&'a Clause>, Refusal> {
    let now = state.now();
    if header.act != Act::Submit {
        if referral.is_some_and(|referral| referral.agreement != header.agreement) {
            return Err(Refusal::NoAgreement);
        }
        let identity = header.parts.iter().any(|part| part.class == PartClass::Identity);
        if !identity {
            return Ok(None);
        }
    }
    let between = (&header.from, &header.to);
    let agreement = state.directory().agreement_in_force(&header.agreement, between, now)?;
    if state.directory().is_suspended(&header.to, now) {
        return Err(Refusal::RecipientSuspended);
    }
    agreement.permits(header, now).map(Some)
}

fn check_keys(state: &State, header: &Header) -> Result<(), Refusal> {
    let now = state.now();
    for part in &header.parts {
        // What is sealed for a fallback names it; everything else is for the recipient.
        if part.recipient.as_ref().is_some_and(|fallback| !header.fallbacks.contains(fallback)) {
            return Err(Refusal::FallbackNotAgreed);
        }
        let owner = part.recipient.as_ref().unwrap_or(&header.to);
        let in_force = |id| state.directory().key_in_force(owner, id, KeyPurpose::Sealing, now);
        if !part.key_ids.iter().all(in_force) {
            return Err(Refusal::SealingKeyNotInForce);
        }
    }
    Ok(())
}

fn check_addressing(state: &State, header: &Header) -> Result<(), Refusal> {
    if let Some(digest) = header.mechanism {
        let now = state.now();
        let held = state.directory().mechanism().filter(|held| held.signed.digest() == digest);
        if !held.is_some_and(|held| held.mechanism.leads(header, now)) {
            return Err(Refusal::MechanismChanged);
        }
    }
    let agreed = |fallback| state.directory().may_refer(&header.from, fallback, header, state.now());
    if header.fallbacks.iter().all(agreed) { Ok(()) } else { Err(Refusal::FallbackNotAgreed) }
}

fn check_chain(header: &Header, referral: &Referral) -> Result<(), Refusal> {
    let chain = referral.chains.get(&header.from);
    let last = chain.map_or(0, |chain| chain.sequence);
    if header.sequence > last.saturating_add(1) {
        return Err(Refusal::OutOfSequence);
    }
    let follows = header.sequence > last && header.previous == chain.map(|chain| chain.last);
    if follows { Ok(()) } else { Err(Refusal::PreviousDiffers) }
}

fn check_new_attempt(header: &Header, referral: &Referral) -> Result<(), Refusal> {
    if header.from != header.referral.opened_by {
        return Err(Refusal::ActNotLegal);
    }
    if !referral.status.allows_new_attempt() {
        return Err(Refusal::AttemptOpen);
    }
    let next = referral.attempt().checked_add(1) == Some(header.attempt);
    if !next || referral.recipients.len() >= ATTEMPTS_MAX {
        return Err(Refusal::AttemptNumber);
    }
    if header.reason.is_some() { Err(Refusal::ReasonNotLegal) } else { Ok(()) }
}

fn check_act(header: &Header, referral: &Referral) -> Result<Transition, Stop> {
    let opened_by = &header.referral.opened_by;
    let other = if header.from == *opened_by { &header.to } else { &header.from };
    if header.attempt > referral.attempt() {
        return Err(Refusal::AttemptNumber.into());
    }
    if referral.recipient_of(header.attempt) != Some(other) {
        return Err(Refusal::UnknownReferral.into());
    }
    let who = referral.who(opened_by, &header.from, header.attempt).ok_or(Refusal::UnknownReferral)?;
    if header.attempt < referral.attempt() {
        return ended_attempt(header.act, who).ok_or(Stop::from(Refusal::AttemptEnded));
    }
    let Some(transition) = transition(referral.status, header.act, who) else {
        return Err(Stop::Refused {
            refusal: Refusal::ActNotLegal,
            field: Refusal::ActNotLegal.field(),
            legal_acts: legal_acts(referral.status, who).collect(),
        });
    };
    if header.act.reason_fits(header.reason) { Ok(transition) } else { Err(Refusal::ReasonNotLegal.into()) }
}

/// What may still be said about an attempt that is over: that consent was withdrawn, and that what
/// came was destroyed. Anything else comes too late.
fn ended_attempt(act: Act, who: Who) -> Option<Transition> {
    let may = matches!(
        (act, who),
        (Act::WithdrawConsent | Act::Recall, Who::Referrer)
            | (Act::ConfirmWithdrawal | Act::ConfirmPurge, Who::Recipient)
    );
    let ended = transition(Status::Recalled, act, who).or_else(|| transition(Status::Declined, act, who));
    ended.filter(|_| may).map(|transition| Transition { next: crate::lifecycle::Next::Stay, ..transition })
}

fn check_room(state: &State, to: &AgencyId) -> Result<(), Refusal> {
    // Each act can release parked parts as well: room for both, or for none.
    let waiting = state.mailboxes().waiting(to).saturating_add(2);
    if waiting > MAILBOX_ITEMS_MAX { Err(Refusal::MailboxFull) } else { Ok(()) }
}

fn open(state: &State, push: &Push, clause: Option<Code>) -> Result<Decision, Stop> {
    if push.header.reason.is_some() {
        return Err(Refusal::ReasonNotLegal.into());
    }
    check_room(state, &push.header.to)?;
    if state.referrals_in_memory() >= REFERRALS_OPEN_MAX {
        return Err(Refusal::ReferralsFull.into());
    }
    Ok(Decision::Do(submission(push, clause), Vec::new()))
}

/// What every record of an envelope says.
fn of_push(event: Event, push: &Push, parties: Vec<AgencyId>) -> Happening {
    let header = &push.header;
    Happening {
        sender: Some(header.from.clone()),
        recipient: Some(header.to.clone()),
        referral: Some(header.referral.clone()),
        attempt: header.attempt,
        envelope_id: Some(header.envelope_id),
        envelope: Some(push.signed.digest()),
        act: Some(header.act),
        reason: header.reason,
        parties,
        ..Happening::new(event)
    }
}

fn accepted(push: &Push, clause: Option<Code>) -> Effect {
    let header = &push.header;
    Happening {
        part_digests: header.parts.iter().map(|part| part.sha256).collect(),
        agreement: Some(header.agreement),
        clause,
        ..of_push(Event::SubmissionAcceptance, push, vec![header.from.clone()])
    }
    .into()
}

fn consigned(push: &Push) -> Happening {
    let header = &push.header;
    of_push(Event::ContentConsignment, push, vec![header.from.clone(), header.to.clone()])
}

fn submission(push: &Push, clause: Option<Code>) -> Vec<Effect> {
    let header = &push.header;
    let routed = header.rule.as_ref().map(|rule| {
        let routed = of_push(Event::Routed, push, vec![header.from.clone()]);
        Effect::from(Happening { rule: Some(rule.clone()), ..routed })
    });
    // The first attempt begins as its referral does; each one after it begins anew.
    let again = (header.attempt > 1).then_some(Status::Submitted);
    let submitted = Happening { status: again, ..consigned(push) };
    [accepted(push, clause)].into_iter().chain(routed).chain([submitted.into()]).collect()
}

fn act(push: &Push, referral: &Referral, transition: Transition) -> Vec<Effect> {
    let header = &push.header;
    let both = vec![header.from.clone(), header.to.clone()];
    let after = referral.status_after(transition.next);
    let acted = Happening {
        status: (after != referral.status).then_some(after),
        ..of_push(transition.event, push, both.clone())
    };
    let accepts = header.act == Act::Accept;
    let released = referral.parked.as_ref().filter(|_| accepts).map(|parked| {
        Effect::from(Happening {
            sender: Some(header.referral.opened_by.clone()),
            recipient: Some(header.from.clone()),
            envelope_id: None,
            envelope: Some(parked.envelope),
            part_digests: parked.part_digests.clone(),
            act: Some(Act::Submit),
            reason: None,
            ..of_push(Event::DisclosureReleased, push, both)
        })
    });
    [accepted(push, None), acted.into(), consigned(push).into()].into_iter().chain(released).collect()
}
