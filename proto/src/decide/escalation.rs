//! Which agency is asked next when nobody answers, or one cannot help: only one that she named, for which
//! the sender sealed a summary in advance, and only where an agreement allows it at that moment. Not here:
//! when that is due (`clocks`), and new attempts that people make (`push`).

use super::recall;
use crate::{
    agreement::{Clause, Need},
    clocks::{AgreedClocks, Begun, ClockKind, begins},
    delivery::MAILBOX_ITEMS_MAX,
    digest::Digest,
    directory::KeyPurpose,
    evidence::{Event, Happening},
    fact::Effect,
    header::Header,
    ids::{Addressing, AgencyId, Kind, ReasonClass, ReferralKey, TimeMs, Urgency},
    lifecycle::{Act, Status},
    referral::{ATTEMPTS_MAX, ESCALATIONS_MAX, Referral, SealedAhead, SealedFor},
    refusal::Refusal,
    state::State,
};

/// Who would be asked next.
struct Next<'a> {
    ahead: &'a SealedAhead,
    sealed: &'a SealedFor,
    agreement: Digest,
    clause: &'a Clause,
}

/// Why nobody is asked: the first agency left could not be, for this reason; or none is left.
pub(super) type Nobody = Option<Refusal>;

/// The clocks of a kind of referral that an act begins, by the clause under which it goes.
pub(super) fn begun(
    state: &State,
    agreed: Option<&AgreedClocks>,
    (act, kind, urgency): (Act, Kind, Urgency),
) -> Vec<Begun> {
    let network = AgreedClocks::default();
    let agreed = agreed.unwrap_or(&network);
    let begins = |clock: &&ClockKind| begins(**clock, act, urgency, kind.expects_answer());
    let begun = ClockKind::ALL.iter().filter(begins).map(|clock| Begun {
        kind: *clock,
        due_at: agreed.due(state.directory(), urgency, *clock, state.now()),
    });
    begun.collect()
}

/// The clocks of the clause under which a referral's present attempt goes. An agreement that is gone
/// leaves the network's own.
pub(super) fn agreed_of<'a>(
    state: &'a State,
    key: &ReferralKey,
    referral: &Referral,
) -> Option<&'a AgreedClocks> {
    let held = state.directory().agreement(&referral.agreement, &key.opened_by)?;
    Some(&held.agreement.clause(referral.clause.as_ref()?)?.clocks)
}

/// The clock that runs until the next agency is asked.
///
/// # Errors
/// [`Nobody`], when none can be.
pub(super) fn after(state: &State, key: &ReferralKey, referral: &Referral) -> Result<Begun, Nobody> {
    next(state, key, referral)?;
    let network = AgreedClocks::default();
    let agreed = agreed_of(state, key, referral).unwrap_or(&network);
    let kind = ClockKind::Escalation;
    let due_at = agreed.due(state.directory(), referral.urgency, kind, state.now());
    Ok(Begun { kind, due_at })
}

/// What a decline leads to: the clock that it begins, or word that a person must look. Who named no
/// fallback has the decline itself.
pub(super) fn after_decline(
    state: &State,
    header: &Header,
    referral: &Referral,
) -> (Option<Begun>, Option<Effect>) {
    use ReasonClass::{NoCapacity, NotServed, Other, OutOfArea, PartlyServed, Served, ServiceUnavailable};
    if header.act != Act::Decline || referral.fallbacks.is_empty() || !referral.kind.expects_answer() {
        return (None, None);
    }
    let key = &header.referral;
    let next = match header.reason {
        Some(NoCapacity | ServiceUnavailable | OutOfArea) => after(state, key, referral),
        // Whatever else is behind it may be true of every agency: a danger, a mistake.
        Some(Other | Served | PartlyServed | NotServed) | None => Err(None),
    };
    match next {
        Ok(begun) => (Some(begun), None),
        Err(why) => (None, Some(stopped(key, referral, why))),
    }
}

/// The waiting is over: the next agency is asked, or a person is told why none is.
pub(super) fn due(state: &State, key: &ReferralKey, referral: &Referral, due_at: TimeMs) -> Vec<Effect> {
    match next(state, key, referral) {
        Ok(next) => ask(state, key, referral, &next, due_at),
        Err(why) => vec![stopped(key, referral, why)],
    }
}

/// Escalation stops here: a person at the sender must look. `why` is what kept the first agency left
/// from being asked.
pub(super) fn stopped(key: &ReferralKey, referral: &Referral, why: Nobody) -> Effect {
    Happening {
        clock: ClockKind::Escalation.number().unsigned_abs(),
        refusal: why.map(|refusal| (refusal, refusal.field())),
        // Who was asked is not told how she goes on.
        parties: vec![key.opened_by.clone()],
        ..of_attempt(Event::EscalationStopped, key, referral)
    }
    .into()
}

/// What happens to the present attempt, for both sides.
pub(super) fn of_attempt(event: Event, key: &ReferralKey, referral: &Referral) -> Happening {
    let recipient = referral.recipient().cloned();
    Happening {
        sender: Some(key.opened_by.clone()),
        referral: Some(key.clone()),
        attempt: referral.attempt(),
        parties: [key.opened_by.clone()].into_iter().chain(recipient.clone()).collect(),
        recipient,
        ..Happening::new(event)
    }
}

fn next<'a>(state: &'a State, key: &ReferralKey, referral: &'a Referral) -> Result<Next<'a>, Nobody> {
    // It may be about any agency: people decide.
    if referral.is_held() {
        return Err(Some(Refusal::ReferralHeld));
    }
    let Some(ahead) = &referral.sealed_ahead else {
        return Err((!referral.fallbacks.is_empty()).then_some(Refusal::FallbackNotAgreed));
    };
    if referral.recipients.len() >= ATTEMPTS_MAX || referral.escalations >= ESCALATIONS_MAX {
        return Err(Some(Refusal::AttemptNumber));
    }
    if state.now() >= ahead.expires_at {
        return Err(Some(Refusal::Expired));
    }
    if state.directory().is_suspended(&key.opened_by, state.now()) {
        return Err(Some(Refusal::SenderSuspended));
    }
    let mut first = None;
    for fallback in referral.fallbacks.iter().filter(|one| !referral.recipients.contains(one)) {
        match may_ask(state, key, referral, (ahead, fallback)) {
            Ok(next) => return Ok(next),
            Err(refusal) => {
                first.get_or_insert(refusal);
            }
        }
    }
    Err(first)
}

fn may_ask<'a>(
    state: &'a State,
    key: &ReferralKey,
    referral: &Referral,
    (ahead, fallback): (&'a SealedAhead, &AgencyId),
) -> Result<Next<'a>, Refusal> {
    let (directory, now) = (state.directory(), state.now());
    let sealed = ahead.of_agency(fallback).ok_or(Refusal::FallbackNotAgreed)?;
    if directory.is_suspended(fallback, now) {
        return Err(Refusal::RecipientSuspended);
    }
    if directory.is_by_name_only(fallback) {
        return Err(Refusal::OnlyByName);
    }
    let need = Need {
        from: &key.opened_by,
        to: fallback,
        kind: referral.kind,
        category: &referral.category,
        service: &referral.service,
        urgency: referral.urgency,
        jurisdiction: &ahead.jurisdiction,
        addressing: Addressing::ByNeed,
    };
    let (agreement, clause) = directory.agreed(need, now)?;
    // To a key that was lost or stolen nothing is released.
    let in_force = |id| directory.key_in_force(fallback, id, KeyPurpose::Sealing, now);
    if !sealed.key_ids.iter().all(in_force) {
        return Err(Refusal::SealingKeyNotInForce);
    }
    if state.mailboxes().waiting(fallback) >= MAILBOX_ITEMS_MAX {
        return Err(Refusal::MailboxFull);
    }
    if directory.is_full(need) {
        return Err(Refusal::RecipientFull);
    }
    Ok(Next { ahead, sealed, agreement, clause })
}

/// The present attempt is taken back before the next begins.
fn ask(
    state: &State,
    key: &ReferralKey,
    referral: &Referral,
    next: &Next<'_>,
    due_at: TimeMs,
) -> Vec<Effect> {
    let recalled = Happening {
        act: Some(Act::Recall),
        status: Some(Status::Recalled),
        ..of_attempt(Event::Recalled, key, referral)
    };
    let attempt = referral.attempt().saturating_add(1);
    let fallback = &next.sealed.agency;
    let begins = |event| Happening {
        recipient: Some(fallback.clone()),
        attempt,
        envelope: Some(next.ahead.envelope),
        act: Some(Act::Submit),
        agreement: Some(next.agreement),
        clause: Some(next.clause.clause_id.clone()),
        part_digests: next.sealed.part_digests.clone(),
        parties: vec![key.opened_by.clone(), fallback.clone()],
        ..of_attempt(event, key, referral)
    };
    let opening = (Act::Submit, referral.kind, referral.urgency);
    let escalated = Happening {
        clock: ClockKind::Escalation.number().unsigned_abs(),
        due_at,
        status: Some(Status::Submitted),
        clocks: begun(state, Some(&next.clause.clocks), opening),
        ..begins(Event::Escalated)
    };
    let mut effects = recall::all_taken_back(state, key, referral);
    effects.extend([recalled.into(), escalated.into(), begins(Event::ContentConsignment).into()]);
    effects
}
