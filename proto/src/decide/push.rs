//! Deciding an envelope: every rule in order of precedence. Not here: the lifecycle's table
//! (`lifecycle`) and the agreement's clauses (`agreement`).

use super::{Decision, Load, Stop, acting_agency, escalation, latest_creation, recall};
use crate::{
    agreement::{Clause, Disclosure},
    caller::Caller,
    clocks::{Begun, ClockKind, Standing, standing},
    command::Push,
    delivery::MAILBOX_ITEMS_MAX,
    directory::KeyPurpose,
    evidence::{Event, Happening},
    fact::Effect,
    header::{Header, Part},
    ids::{Addressing, AgencyId, Code, PartClass, ReferralKey},
    known::Lookup,
    lifecycle::{Act, Status, Transition, Who, legal_acts, transition},
    referral::{ATTEMPTS_MAX, Parked, Referral},
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
    let found = find_referral(state, header)?;
    let clause = check_route(state, header, found)?;
    check_keys(state, header)?;
    check_addressing(state, header)?;
    match found {
        Found::Opening => open(state, push, clause),
        Found::Nothing => Err(Refusal::UnknownReferral.into()),
        Found::Referral(referral) => {
            check_chain(header, referral)?;
            if header.act == Act::Submit {
                new_attempt(state, push, clause, referral)
            } else {
                act(state, push, referral)
            }
        }
    }
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
    if header.created_at > latest_creation(state) {
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

/// The referral that an envelope belongs to.
#[derive(Clone, Copy)]
enum Found<'a> {
    /// It opens one.
    Opening,
    /// None, or none that the sender may know of in this way: there is one answer for both.
    Nothing,
    /// This one.
    Referral(&'a Referral),
}

fn find_referral<'a>(state: &'a State, header: &Header) -> Result<Found<'a>, Stop> {
    if header.opens() {
        return Ok(Found::Opening);
    }
    match state.referral(&header.referral) {
        Some(referral) if is_party(referral, header) => Ok(Found::Referral(referral)),
        Some(_) => Ok(Found::Nothing),
        None if state.is_absent(&header.referral) => Ok(Found::Nothing),
        None => Err(Decision::Load(Load::Referral(header.referral.clone())).into()),
    }
}

/// Whether the envelope goes between the agency that opened the referral and the one that it asks in
/// the attempt. Who was asked before does not learn how often others were asked since.
fn is_party(referral: &Referral, header: &Header) -> bool {
    let opened_by = &header.referral.opened_by;
    let opener_sends = header.from == *opened_by;
    let asked = if opener_sends { &header.to } else { &header.from };
    if header.act == Act::Submit {
        return opener_sends || (header.to == *opened_by && referral.recipients.contains(asked));
    }
    let of_attempt = referral.recipient_of(header.attempt) == Some(asked);
    let too_far = opener_sends && header.attempt > referral.attempt() && referral.recipients.contains(asked);
    (opener_sends || header.to == *opened_by) && (of_attempt || too_far)
}

/// A submission needs an agreement in force and a clause that allows it. An act goes on under the
/// agreement of its referral, also when that has ended since: an answer must always be possible.
/// Identity needs the agreement in force whenever it travels.
fn check_route<'a>(
    state: &'a State,
    header: &Header,
    found: Found<'_>,
) -> Result<Option<&'a Clause>, Refusal> {
    let now = state.now();
    let answers = match found {
        Found::Referral(referral) if header.act != Act::Submit => Some(referral),
        Found::Referral(_) | Found::Opening | Found::Nothing => None,
    };
    if answers.is_some_and(|referral| !is_its_agreement(state, header, referral)) {
        return Err(Refusal::NoAgreement);
    }
    if header.act != Act::Submit && !carries_identity(header) {
        // An act repeats its referral's codes: others, which nobody agreed on, could spell a name.
        if let Some(refusal) = answers.and_then(|referral| other_need(header, referral)) {
            return Err(refusal);
        }
        return Ok(None);
    }
    let between = (&header.from, &header.to);
    let agreement = state.directory().agreement_in_force(&header.agreement, between, now)?;
    if state.directory().is_suspended(&header.to, now) {
        return Err(Refusal::RecipientSuspended);
    }
    let other_need = answers.and_then(|referral| other_need(header, referral));
    let other = other_need.or_else(|| never_by_need(state, header));
    let clause = match (agreement.permits(header, now), other) {
        (Ok(clause), None) => clause,
        (Ok(_), Some(refusal)) => return Err(refusal),
        (Err(refusal), other) => return Err(other.map_or(refusal, |other| other.min(refusal))),
    };
    if answers.is_some_and(|referral| is_too_early(header, clause, referral)) {
        return Err(Refusal::IdentityTooEarly);
    }
    Ok(Some(clause))
}

/// Police, immigration, embassies and companies are chosen by a person, or not at all.
fn never_by_need(state: &State, header: &Header) -> Option<Refusal> {
    let by_need = header.addressing == Addressing::ByNeed && header.act == Act::Submit;
    (by_need && state.directory().is_by_name_only(&header.to)).then_some(Refusal::OnlyByName)
}

/// Identity goes by the clause of the need that was referred, not by one that an act names.
fn other_need(header: &Header, referral: &Referral) -> Option<Refusal> {
    if header.attempt < referral.attempt() {
        return None;
    }
    let category = (header.category != referral.category).then_some(Refusal::CategoryNotAgreed);
    category.or_else(|| (header.service != referral.service).then_some(Refusal::ServiceNotAgreed))
}

fn carries_identity(header: &Header) -> bool {
    header.parts.iter().any(|part| part.class == PartClass::Identity)
}

/// Whether an act names the agreement of its referral, or a later revision of it. Of an attempt that
/// is over, the referral holds no agreement any more: any that binds the two will do.
fn is_its_agreement(state: &State, header: &Header, referral: &Referral) -> bool {
    let directory = state.directory();
    if header.attempt < referral.attempt() {
        let held = directory.agreement(&header.agreement, &header.from);
        return held.is_some_and(|held| held.agreement.parties.contains(&header.to));
    }
    header.agreement == referral.agreement
        || directory.is_later_revision(&header.agreement, &referral.agreement)
}

fn is_too_early(header: &Header, clause: &Clause, referral: &Referral) -> bool {
    let taken = header.attempt == referral.attempt() && referral.status.is_taken();
    clause.disclosure == Disclosure::OnAcceptance && !taken
}

fn check_keys(state: &State, header: &Header) -> Result<(), Refusal> {
    let now = state.now();
    let in_force = |owner, id| state.directory().key_in_force(owner, id, KeyPurpose::Sealing, now);
    // What goes to one agency stands together, and is sealed to the same keys.
    let mut before: Option<&Part> = None;
    let all = header.parts.iter().all(|part| {
        let same = before.replace(part).is_some_and(|before| is_sealed_alike(before, part));
        let owner = part.recipient.as_ref().unwrap_or(&header.to);
        same || part.key_ids.iter().all(|id| in_force(owner, id))
    });
    if all { Ok(()) } else { Err(Refusal::SealingKeyNotInForce) }
}

fn is_sealed_alike(one: &Part, other: &Part) -> bool {
    one.recipient == other.recipient && one.key_ids == other.key_ids
}

fn check_addressing(state: &State, header: &Header) -> Result<(), Refusal> {
    if let Some(digest) = header.mechanism {
        let now = state.now();
        let held = state.directory().mechanism().filter(|held| held.signed.digest() == digest);
        if !held.is_some_and(|held| held.mechanism.leads(header, now)) {
            return Err(Refusal::MechanismChanged);
        }
    }
    let agreed = |fallback| state.directory().may_fall_back(header, fallback, state.now());
    let named = header.parts.iter().filter_map(|part| part.recipient.as_ref());
    let all = header.fallbacks.iter().all(agreed) && named.clone().all(|one| header.fallbacks.contains(one));
    if all { Ok(()) } else { Err(Refusal::FallbackNotAgreed) }
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

fn new_attempt(
    state: &State,
    push: &Push,
    clause: Option<&Clause>,
    referral: &Referral,
) -> Result<Decision, Stop> {
    let header = &push.header;
    if header.from != header.referral.opened_by {
        return Err(not_legal(referral, Who::Recipient));
    }
    if !referral.status.is_final() {
        return Err(Refusal::AttemptOpen.into());
    }
    let next = referral.attempt().checked_add(1) == Some(header.attempt);
    if !next || referral.recipients.len() >= ATTEMPTS_MAX {
        return Err(Refusal::AttemptNumber.into());
    }
    if !referral.status.allows_new_attempt() {
        return Err(not_legal(referral, Who::Referrer));
    }
    if header.reason.is_some() {
        return Err(Refusal::ReasonNotLegal.into());
    }
    check_room(state, &header.to)?;
    check_capacity(state, header)?;
    Ok(Decision::Do(submission(state, push, clause), Vec::new()))
}

fn not_legal(referral: &Referral, who: Who) -> Stop {
    let refusal = Refusal::ActNotLegal;
    let legal = legal_acts(referral.status, who);
    let legal = legal.filter(|act| referral.responsibility.after(*act).is_some());
    Stop::Refused { refusal, field: refusal.field(), legal_acts: legal.collect() }
}

/// Who answers when time has run out is told so kindly.
fn too_late(referral: &Referral, who: Who) -> Stop {
    if referral.status == Status::Expired && who == Who::Recipient {
        Refusal::AttemptEnded.into()
    } else {
        not_legal(referral, who)
    }
}

fn check_act(header: &Header, referral: &Referral) -> Result<Transition, Stop> {
    let who = if header.from == header.referral.opened_by { Who::Referrer } else { Who::Recipient };
    if header.attempt > referral.attempt() {
        return Err(Refusal::AttemptNumber.into());
    }
    let transition = if header.attempt < referral.attempt() {
        ended_attempt(header.act, who).ok_or(Refusal::AttemptEnded)?
    } else {
        let answers = referral.responsibility.after(header.act);
        let found = transition(referral.status, header.act, who).filter(|_| answers.is_some());
        found.ok_or_else(|| too_late(referral, who))?
    };
    if header.act.reason_fits(header.reason) { Ok(transition) } else { Err(Refusal::ReasonNotLegal.into()) }
}

/// What may still be said about an attempt that is over: that consent was withdrawn, that what came was
/// destroyed, and anew what could not be opened, behind which others wait. Anything else comes too late.
fn ended_attempt(act: Act, who: Who) -> Option<Transition> {
    let may = matches!(
        (act, who),
        (Act::WithdrawConsent | Act::Recall, Who::Referrer)
            | (Act::ConfirmWithdrawal | Act::ConfirmPurge | Act::Reseal, Who::Recipient)
    );
    let ended = transition(Status::Recalled, act, who).or_else(|| transition(Status::Declined, act, who));
    ended.filter(|_| may).map(|transition| Transition { next: crate::lifecycle::Next::Stay, ..transition })
}

fn check_room(state: &State, agency: &AgencyId) -> Result<(), Refusal> {
    if state.mailboxes().waiting(agency) < MAILBOX_ITEMS_MAX { Ok(()) } else { Err(Refusal::MailboxFull) }
}

/// By name a person has asked, whatever the recipient has published.
fn check_capacity(state: &State, header: &Header) -> Result<(), Refusal> {
    let is_full = header.addressing == Addressing::ByNeed && state.directory().is_full(header.into());
    if is_full { Err(Refusal::RecipientFull) } else { Ok(()) }
}

fn open(state: &State, push: &Push, clause: Option<&Clause>) -> Result<Decision, Stop> {
    if push.header.reason.is_some() {
        return Err(Refusal::ReasonNotLegal.into());
    }
    check_room(state, &push.header.to)?;
    if state.referrals_in_memory() >= REFERRALS_OPEN_MAX {
        return Err(Refusal::ReferralsFull.into());
    }
    check_capacity(state, &push.header)?;
    Ok(Decision::Do(submission(state, push, clause), Vec::new()))
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

fn submission(state: &State, push: &Push, clause: Option<&Clause>) -> Vec<Effect> {
    let header = &push.header;
    let opening = (Act::Submit, header.kind, header.urgency);
    let clocks = escalation::begun(state, clause.map(|clause| &clause.clocks), opening);
    let clause = clause.map(|clause| clause.clause_id.clone());
    let routed = header.rule.as_ref().map(|rule| {
        let routed = of_push(Event::Routed, push, vec![header.from.clone()]);
        Effect::from(Happening { rule: Some(rule.clone()), ..routed })
    });
    // The first attempt begins as its referral does; each one after it begins anew.
    let again = (header.attempt > 1).then_some(Status::Submitted);
    let submitted = Happening { status: again, clocks, ..consigned(push) };
    [accepted(push, clause)].into_iter().chain(routed).chain([submitted.into()]).collect()
}

fn act(state: &State, push: &Push, referral: &Referral) -> Result<Decision, Stop> {
    let header = &push.header;
    let transition = check_act(header, referral)?;
    check_room(state, &header.to)?;
    let after = referral.status_after(transition.next);
    let parked = referral.parked.as_ref().filter(|_| releases(state, header, referral));
    let mut clocks = begun_by(state, header, referral, (after, parked.is_some()));
    let (escalates, stopped) = escalation::after_decline(state, header, referral);
    clocks.extend(escalates);
    let acted = Happening {
        status: (after != referral.status).then_some(after),
        clocks,
        ..of_push(transition.event, push, vec![header.from.clone(), header.to.clone()])
    };
    let mut effects = vec![accepted(push, None), acted.into(), consigned(push).into()];
    if let Some(parked) = parked {
        // It goes into the mailbox of the agency that accepts.
        check_room(state, &header.from)?;
        effects.push(released(push, parked));
    }
    effects.extend(recall::taken_back(state, header, after));
    effects.extend(stopped);
    Ok(Decision::Do(effects, Vec::new()))
}

/// The clocks that an act begins in the present attempt, beside that of escalation. An act in an earlier
/// attempt begins none.
fn begun_by(
    state: &State,
    header: &Header,
    referral: &Referral,
    (after, releases): (Status, bool),
) -> Vec<Begun> {
    if header.attempt != referral.attempt() {
        return Vec::new();
    }
    let agreed = escalation::agreed_of(state, &header.referral, referral);
    let mut begun = escalation::begun(state, agreed, (header.act, referral.kind, referral.urgency));
    let identity_due = referral.identity_allowed && !referral.disclosed && !releases;
    let is_recipient = header.from != header.referral.opened_by;
    begun.retain(|clock| match clock.kind {
        ClockKind::Escalation | ClockKind::Held => false,
        ClockKind::Progress => {
            is_recipient && standing(clock.kind, after, referral.urgency) == Standing::Runs
        }
        ClockKind::Disclosure => identity_due && discloses(state, &header.referral, referral),
        ClockKind::Delivered
        | ClockKind::Seen
        | ClockKind::Answered
        | ClockKind::Transit
        | ClockKind::Transfer => true,
    });
    begun
}

/// Whether the clause of a referral lets identity travel at all.
fn discloses(state: &State, key: &ReferralKey, referral: &Referral) -> bool {
    let held = state.directory().agreement(&referral.agreement, &key.opened_by);
    let clause = held.zip(referral.clause.as_ref()).and_then(|(held, name)| held.agreement.clause(name));
    clause.is_none_or(|clause| clause.disclosure != Disclosure::Never)
}

/// Whether an act releases what is parked: an acceptance, unless the agreement was stopped, has ended
/// without a later revision, or discloses no more. Then it waits for a disclosure by the sender, who is a
/// person.
fn releases(state: &State, header: &Header, referral: &Referral) -> bool {
    let (between, under) = ((&header.to, &header.from), (&referral.agreement, referral.clause.as_ref()));
    header.act == Act::Accept && state.directory().still_discloses(under, between, state.now())
}

fn released(push: &Push, parked: &Parked) -> Effect {
    let header = &push.header;
    Happening {
        sender: Some(header.referral.opened_by.clone()),
        recipient: Some(header.from.clone()),
        envelope_id: None,
        envelope: Some(parked.envelope),
        part_digests: parked.part_digests.clone(),
        act: Some(Act::Submit),
        reason: None,
        ..of_push(Event::DisclosureReleased, push, vec![header.from.clone(), header.to.clone()])
    }
    .into()
}
