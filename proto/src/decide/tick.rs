//! What follows from time alone: counted denials, an outage, a clock in doubt, stops that lapse, mail
//! that expires, clocks that are missed, the day's commitment. Not here: which agency is asked next (`escalation`).

use super::{Decision, Stop, escalation, of_mail, submits};
use crate::{
    caller::Caller,
    clocks::{ClockKind, missed_event},
    command::{DenialCount, Tick},
    delivery::Mail,
    evidence::{Event, Happening},
    fact::Effect,
    heads,
    ids::{AgencyId, Pseudonym, ReferralKey, TimeMs},
    lifecycle::Status,
    referral::Referral,
    refusal::Refusal,
    state::State,
    wire,
};

/// One thing that is due, so that each is applied before the next is decided: the writer ticks until
/// nothing is.
pub(super) fn decide(state: &State, caller: &Caller, tick: &Tick) -> Result<Decision, Stop> {
    if *caller != Caller::Gateway {
        return Err(Refusal::RoleNotAllowed.into());
    }
    if let Some(witnesses) = tick.restored_by {
        return Ok(done(vec![restored(witnesses)]));
    }
    if !tick.denials.is_empty() || tick.resumed_after_ms != 0 {
        let counted = tick.denials.iter().map(|count| counted(state, count));
        let away = Some(tick.resumed_after_ms).filter(|away_ms| *away_ms != 0);
        return Ok(done(counted.chain(away.map(|away_ms| outage(state, away_ms))).collect()));
    }
    if let Some(effect) = doubt(state, tick.clock_ahead_ms) {
        return Ok(done(vec![effect]));
    }
    if state.clock_alarm().is_some() {
        return Ok(Decision::Nothing);
    }
    let effects = lapse(state).or_else(|| expiry_or_clock(state)).or_else(|| heads(state));
    Ok(effects.map_or(Decision::Nothing, done))
}

/// The moment by which a tick finds something to do, if nothing else happens before.
pub(super) fn next_due(state: &State) -> Option<TimeMs> {
    if state.clock_alarm().is_some() {
        return None;
    }
    let lapse = state.directory().next_lapse();
    let expiry = state.mailboxes().next_expiry();
    lapse.into_iter().chain(expiry).chain(state.next_clock()).min()
}

const fn done(effects: Vec<Effect>) -> Decision {
    Decision::Do(effects, Vec::new())
}

/// The gateway goes on from a backup, so many witnesses having been asked.
fn restored(witnesses: u64) -> Effect {
    Happening { count: witnesses, ..Happening::new(Event::Restored) }.into()
}

fn outage(state: &State, away_ms: u64) -> Effect {
    let since = state.now().minus_ms(away_ms);
    Happening { count: away_ms, due_at: since, ..Happening::new(Event::Outage) }.into()
}

/// The clock comes into doubt, or is where it was again.
fn doubt(state: &State, ahead_ms: u64) -> Option<Effect> {
    let event = match (state.clock_alarm(), ahead_ms) {
        (None, 0) | (Some(_), 1..) => return None,
        (None, 1..) => Event::ClockStepped,
        (Some(_), 0) => Event::ClockConfirmed,
    };
    Some(Happening { count: ahead_ms, ..Happening::new(event) }.into())
}

fn lapse(state: &State) -> Option<Vec<Effect>> {
    let subject = state.directory().lapsed(state.now())?;
    let lapse = wire::Lapse { subject: Some(subject.to_wire()) };
    let what = wire::directory_record::What::Lapse(lapse);
    let parties = state.directory().concerned_by(subject);
    let changed = Happening { parties, ..Happening::new(Event::DirectoryChanged) };
    Some(vec![Effect::Directory { effective_at: state.now(), what }, changed.into()])
}

/// What everybody's own chain of records has come to.
fn heads(state: &State) -> Option<Vec<Effect>> {
    let heads = state.heads_due()?;
    let (root, count) = (heads::root(heads), crate::canonical::count(heads.len()));
    Some(vec![Happening { object: Some(root), count, ..Happening::new(Event::HeadsCommitted) }.into()])
}

/// Whichever was due first. Of two at once the clock: what was awaited was not there in time.
fn expiry_or_clock(state: &State) -> Option<Vec<Effect>> {
    let expired = state.mailboxes().expired(state.now());
    let clock = state.clock_due();
    match (expired, clock) {
        (Some((recipient, mail)), Some((due_at, ..))) if mail.expires_at < due_at => {
            Some(expiry(state, recipient, mail))
        }
        (_, Some(clock)) => missed(state, clock),
        (Some((recipient, mail)), None) => Some(expiry(state, recipient, mail)),
        (None, None) => None,
    }
}

/// Nobody fetched it in its time. An attempt that was never answered ends with it; an act that was
/// never fetched does not undo what it did.
fn expiry(state: &State, recipient: &AgencyId, mail: &Mail) -> Vec<Effect> {
    let referral = state.referral(&mail.referral);
    let ended = referral.filter(|referral| {
        submits(mail) && referral.attempt() == mail.attempt && referral.status == Status::Submitted
    });
    let expired = Happening {
        due_at: mail.expires_at,
        status: ended.map(|_| Status::Expired),
        ..of_mail(Event::Expired, recipient, mail)
    };
    // What has expired is not handed on: a person must look.
    let awaited = ended.filter(|referral| referral.kind.expects_answer());
    let told = awaited.map(|referral| escalation::stopped(&mail.referral, referral, Some(Refusal::Expired)));
    [expired.into()].into_iter().chain(told).collect()
}

/// A clock ran out: evidence for both sides, once.
fn missed(state: &State, (due_at, key, kind): (TimeMs, &ReferralKey, ClockKind)) -> Option<Vec<Effect>> {
    let referral = state.referral(key)?;
    let missed = Happening {
        clock: kind.number().unsigned_abs(),
        due_at,
        ..escalation::of_attempt(missed_event(kind), key, referral)
    };
    Some(match kind {
        // Who was asked was not told of the hold.
        ClockKind::Held => vec![Happening { parties: vec![key.opened_by.clone()], ..missed }.into()],
        ClockKind::Delivered
        | ClockKind::Seen
        | ClockKind::Disclosure
        | ClockKind::Transit
        | ClockKind::Progress
        | ClockKind::Transfer => vec![missed.into()],
        ClockKind::Answered => silence(state, key, referral, missed),
        ClockKind::Escalation => escalation::due(state, key, referral, due_at),
    })
}

/// Nobody answered: the attempt is over, so that a late yes and the next agency's cannot both stand.
fn silence(state: &State, key: &ReferralKey, referral: &Referral, missed: Happening) -> Vec<Effect> {
    let next = escalation::after(state, key, referral);
    let clocks = next.as_ref().map_or_else(|_| Vec::new(), |begun| vec![*begun]);
    let expired = Happening { status: Some(Status::Expired), clocks, ..missed };
    let told = next.err().map(|why| escalation::stopped(key, referral, why));
    let taken_back = if referral.is_held() {
        // What was held back to its end is not handed over after it.
        super::recall::all_taken_back(state, key, referral)
    } else {
        super::recall::identities_taken_back(state, key, referral)
    };
    [expired.into()].into_iter().chain(taken_back).chain(told).collect()
}

fn counted(state: &State, count: &DenialCount) -> Effect {
    let agency = AgencyId::parse(&count.caller, "caller").ok();
    let known = agency.clone().filter(|agency| state.directory().agency(agency).is_some());
    Happening {
        sender: agency,
        actor: Pseudonym::parse(&count.caller, "caller").ok(),
        refusal: Some((count.refusal, count.refusal.field())),
        count: count.count,
        due_at: count.window_start,
        parties: known.into_iter().collect(),
        ..Happening::new(Event::DenialsCounted)
    }
    .into()
}
