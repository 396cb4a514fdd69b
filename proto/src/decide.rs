//! What follows from a command: pure, in memory, by the rules alone. It refuses or names effects;
//! applying them (`state`) cannot fail. Not here: signatures (`command`), IO of any kind.

mod erasure;
mod escalation;
mod operation;
pub mod push;
mod query;
mod recall;
mod tick;

use crate::{
    calendar::WorkingTime,
    caller::{Caller, StaffRole},
    command::{Command, Denial, DirectoryCommand, Handover, HandoverResult, Received},
    delivery::{Mail, digest_of_parts},
    digest::Digest,
    directory::{
        Change, ChangeBody, DirectoryObject, NewShard,
        authority::{CLOCK_SKEW_MS_MAX, Verdict},
    },
    evidence::{self, Event, Happening},
    fact::Effect,
    header::Header,
    ids::{AgencyId, EnvelopeKey, Locator, ReasonClass, ReferralKey, TimeMs},
    lifecycle::{Act, Status},
    log::{merkle::Frontier, shard::Cut},
    referral::Referral,
    refusal::Refusal,
    state::State,
    wire,
};

/// What follows from a command.
#[derive(Clone, PartialEq)]
pub enum Decision {
    /// These effects, in this order; and of a receipt, what could not be taken.
    Do(Vec<Effect>, Vec<(Digest, Refusal)>),
    /// Nothing: there is nothing to do or to say.
    Nothing,
    /// It was done before: the answer is the one given then.
    Done(Locator),
    /// An envelope of that id was accepted before with other content: the refusal is
    /// [`Refusal::EnvelopeIdTaken`], with the field in which the two headers differ.
    Compare(Locator),
    /// A rule is broken.
    Refuse(Refused),
    /// The index must be asked first; then decide again.
    Load(Load),
}

/// A rule is broken.
#[derive(Clone, PartialEq)]
pub struct Refused {
    /// Which.
    pub refusal: Refusal,
    /// The field that it is about.
    pub field: &'static str,
    /// The acts that would be legal now, when that is the question.
    pub legal_acts: Vec<Act>,
    /// The evidence of it; none when it is only counted.
    pub evidence: Option<Effect>,
}

/// What must be loaded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Load {
    /// Whether this envelope was accepted: [`State::envelope_loaded`].
    Envelope(EnvelopeKey),
    /// This referral: [`State::referral_loaded`].
    Referral(ReferralKey),
}

/// Decides a command at the state's moment.
#[must_use]
pub fn decide(state: &State, caller: &Caller, command: &Command) -> Decision {
    let decided = match command {
        Command::Push(push) => push::decide(state, caller, push),
        Command::Handover(handover) => self::handover(state, caller, handover),
        Command::Directory(command) => directory(state, caller, command),
        Command::Denial(denial) => return self::denial(state, caller, denial),
        Command::Tick(tick) => tick::decide(state, caller, tick),
        Command::Query(asked) => query::decide(state, caller, asked),
        Command::Queries(counts) => query::counted(state, caller, counts),
        Command::Erase(due) => erasure::decide(state, caller, due),
        Command::Operate(operate) => operation::decide(state, caller, operate),
    };
    match decided {
        Ok(decision) => decision,
        Err(stop) => stop.into_decision(state, caller, command),
    }
}

/// Why deciding stopped before effects were found.
enum Stop {
    Refused { refusal: Refusal, field: &'static str, legal_acts: Vec<Act> },
    Decided(Box<Decision>),
}

impl From<Refusal> for Stop {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { refusal, field: refusal.field(), legal_acts: Vec::new() }
    }
}

impl From<Decision> for Stop {
    fn from(decision: Decision) -> Self {
        Self::Decided(Box::new(decision))
    }
}

impl Stop {
    fn into_decision(self, state: &State, caller: &Caller, command: &Command) -> Decision {
        let (refusal, field, legal_acts) = match self {
            Self::Decided(decision) => return *decision,
            Self::Refused { refusal, field, legal_acts } => (refusal, field, legal_acts),
        };
        let digest = command.signed().map(|signed| signed.digest());
        let evidence = refusal_evidence(state, caller, command.header(), (refusal, field), digest);
        Decision::Refuse(Refused { refusal, field, legal_acts, evidence })
    }
}

/// Refuses for a reason that deciding alone could not find: an envelope that differs from the one
/// accepted under its id, in the field that the comparison named.
#[must_use]
pub fn refuse_taken_id(state: &State, caller: &Caller, command: &Command, field: &'static str) -> Decision {
    let refused = Stop::Refused { refusal: Refusal::EnvelopeIdTaken, field, legal_acts: Vec::new() };
    refused.into_decision(state, caller, command)
}

/// The record of a refusal. It names nothing that the caller did not prove: the sender is the
/// caller, whatever the header claims.
fn refusal_evidence(
    state: &State,
    caller: &Caller,
    header: Option<&Header>,
    refusal: (Refusal, &'static str),
    digest: Option<Digest>,
) -> Option<Effect> {
    if !state.records_denial(caller, refusal.0) {
        return None;
    }
    let agency = caller.agency().filter(|agency| state.directory().agency(agency).is_some());
    Some(
        Happening {
            sender: caller.agency().cloned(),
            actor: caller.pseudonym().cloned(),
            envelope_id: header.map(|header| header.envelope_id),
            envelope: header.and(digest),
            object: if header.is_some() { None } else { digest },
            refusal: Some(refusal),
            parties: agency.into_iter().cloned().collect(),
            ..Happening::new(Event::SubmissionRejection)
        }
        .into(),
    )
}

fn denial(state: &State, caller: &Caller, denial: &Denial) -> Decision {
    let refusal = (denial.refusal, denial.field);
    let evidence = refusal_evidence(state, caller, None, refusal, denial.digest);
    Decision::Refuse(Refused {
        refusal: denial.refusal,
        field: denial.field,
        legal_acts: Vec::new(),
        evidence,
    })
}

/// An agency that may act: in the directory and not suspended.
fn acting_agency<'a>(state: &State, caller: &'a Caller) -> Result<&'a AgencyId, Refusal> {
    let agency = caller.agency().ok_or(Refusal::RoleNotAllowed)?;
    if state.directory().network().is_none() {
        return Err(Refusal::NoNetwork);
    }
    if state.directory().agency(agency).is_none() {
        return Err(Refusal::SenderUnknown);
    }
    if state.directory().is_suspended(agency, state.now()) {
        return Err(Refusal::SenderSuspended);
    }
    Ok(agency)
}

fn handover(state: &State, caller: &Caller, handover: &Handover) -> Result<Decision, Stop> {
    if caller.agency() != Some(&handover.recipient) {
        return Err(Stop::Refused {
            refusal: Refusal::CallerNotSender,
            field: "recipient",
            legal_acts: Vec::new(),
        });
    }
    let agency = acting_agency(state, caller)?;
    let signs = |key| state.directory().signing_agency(key, state.now()) == Some(agency);
    if !handover.signed.signers().iter().all(signs) {
        return Err(Refusal::SigningKeyNotInForce.into());
    }
    let mut effects = Vec::new();
    let mut not_taken = Vec::new();
    // Each envelope has its own answer: one that cannot be taken holds up no other.
    for received in &handover.received {
        let mail = state.mailboxes().of(agency).and_then(|mailbox| mailbox.find(&received.envelope));
        match mail.ok_or(Refusal::NotWaiting).and_then(|mail| check_received(received, mail).map(|()| mail)) {
            Ok(mail) => effects.push(received_effect(state, agency, handover, (received, mail))),
            Err(refusal) => not_taken.push((received.envelope, refusal)),
        }
    }
    let differs = not_taken.iter().any(|(_, refusal)| *refusal == Refusal::DigestsDiffer);
    if effects.is_empty() && differs {
        return Err(Refusal::DigestsDiffer.into());
    }
    if effects.is_empty() {
        // A repeat after a lost answer. There is nothing to record, and nothing to tell apart.
        return Ok(Decision::Refuse(Refused {
            refusal: Refusal::NotWaiting,
            field: Refusal::NotWaiting.field(),
            legal_acts: Vec::new(),
            evidence: None,
        }));
    }
    if differs {
        // After the handovers, so that what was taken keeps the receipt's order.
        let refusal = (Refusal::DigestsDiffer, Refusal::DigestsDiffer.field());
        let digest = Some(handover.signed.digest());
        effects.extend(refusal_evidence(state, caller, None, refusal, digest));
    }
    Ok(Decision::Do(effects, not_taken))
}

fn check_received(received: &Received, mail: &Mail) -> Result<(), Refusal> {
    match received.result {
        HandoverResult::Received if digest_of_parts(&received.part_digests) == mail.parts => Ok(()),
        HandoverResult::Received => Err(Refusal::DigestsDiffer),
        // Said again, it is nothing new: it waits for its sender already.
        HandoverResult::CannotOpen | HandoverResult::WrongContent if mail.blocked => Err(Refusal::NotWaiting),
        HandoverResult::CannotOpen | HandoverResult::WrongContent => Ok(()),
    }
}

fn received_effect(
    state: &State,
    agency: &AgencyId,
    handover: &Handover,
    (received, mail): (&Received, &Mail),
) -> Effect {
    let event = match received.result {
        HandoverResult::Received => Event::ContentHandover,
        HandoverResult::CannotOpen | HandoverResult::WrongContent => Event::ContentHandoverFailure,
    };
    let referral = state.referral(&mail.referral);
    let present = referral.filter(|referral| referral.attempt() == mail.attempt && submits(mail));
    let status = present.filter(|_| event == Event::ContentHandover).and_then(|referral| {
        let delivered = if referral.kind.expects_answer() { Status::Delivered } else { Status::Completed };
        (referral.status == Status::Submitted).then_some(delivered)
    });
    let failed = event == Event::ContentHandoverFailure;
    Happening {
        part_digests: received.part_digests.clone(),
        object: Some(handover.signed.digest()),
        count: received.result.number().unsigned_abs().into(),
        reason: failed.then_some(ReasonClass::Other),
        status,
        ..of_mail(event, agency, mail)
    }
    .into()
}

/// Whether mail brings what is referred: the submission; or its sender's content anew, which comes first
/// only when the submission could not be opened.
fn submits(mail: &Mail) -> bool {
    mail.act == Act::Submit || (mail.act == Act::Reseal && mail.from == mail.referral.opened_by)
}

/// What happened to mail: both sides' records count it.
fn of_mail(event: Event, recipient: &AgencyId, mail: &Mail) -> Happening {
    Happening {
        sender: Some(mail.from.clone()),
        recipient: Some(recipient.clone()),
        referral: Some(mail.referral.clone()),
        attempt: mail.attempt,
        envelope: Some(mail.envelope),
        act: Some(mail.act),
        parties: vec![mail.from.clone(), recipient.clone()],
        ..Happening::new(event)
    }
}

fn directory(state: &State, caller: &Caller, command: &DirectoryCommand) -> Result<Decision, Stop> {
    let network = state.directory().network().is_some();
    match caller {
        Caller::Staff { role: StaffRole::Administrator, .. } => {}
        Caller::Staff { .. } => return Err(Refusal::RoleNotAllowed.into()),
        // The first entry of all is carried in by the gateway that makes the network.
        Caller::Gateway if network => return Err(Refusal::RoleNotAllowed.into()),
        Caller::Gateway => {}
        Caller::Invited { agency, invitation } => only_by_invitation(command, agency, invitation)?,
        Caller::Agency { .. } => {
            acting_agency(state, caller)?;
        }
    }
    let DirectoryCommand { signed, object } = command;
    let now = state.now();
    let verdict = match object {
        DirectoryObject::Change(change) => {
            let latest = latest_creation(state);
            let verdict = state.directory().judge_change(signed, change, (now, latest)).map_err(of_change)?;
            if matches!(verdict, Verdict::Allowed { .. }) {
                check_use(state, &change.body)?;
            }
            verdict
        }
        DirectoryObject::Agreement(agreement) => state.directory().judge_agreement(signed, agreement, now)?,
        DirectoryObject::Mechanism(mechanism) => state.directory().judge_mechanism(signed, mechanism, now)?,
    };
    let (effective_at, by) = match verdict {
        Verdict::Done(at) => return Ok(Decision::Done(at)),
        Verdict::Allowed { effective_at, by } => (effective_at, by),
    };
    let (what, mut parties) = directory_record(state, command, by);
    parties.retain(|party| state.directory().agency(party).is_some());
    let shard = shard_begun(object);
    let event = if shard.is_some() { Event::ShardBegun } else { Event::DirectoryChanged };
    let changed = Happening {
        object: Some(signed.digest()),
        actor: caller.pseudonym().cloned(),
        sender: caller.agency().cloned(),
        shard,
        parties,
        ..Happening::new(event)
    };
    let confirmed = confirmation(caller, object);
    let effects = [Effect::Directory { effective_at, what }, changed.into()];
    Ok(Decision::Do(effects.into_iter().chain(confirmed).collect(), Vec::new()))
}

/// The latest moment at which others may have made what they sign. While our clock is in doubt, theirs
/// may be right.
fn latest_creation(state: &State) -> TimeMs {
    match state.clock_alarm() {
        Some(_) => TimeMs(u64::MAX),
        None => state.now().plus_ms(CLOCK_SKEW_MS_MAX),
    }
}

/// What only the gateway judges: a calendar must be of use by its own table of time zones, which may be
/// newer than others'; a clock is confirmed while it is in doubt, and never set back; and a shard begins
/// exactly where both logs end.
fn check_use(state: &State, body: &ChangeBody) -> Result<(), Refusal> {
    match body {
        ChangeBody::Calendar(calendar) if WorkingTime::of(&calendar.days).is_none() => {
            Err(Refusal::CalendarNotUsable)
        }
        ChangeBody::ConfirmClock { time } => {
            let fits = state.clock_alarm().is_some_and(|doubt| *time >= doubt.since);
            if fits { Ok(()) } else { Err(Refusal::ClockNotInDoubt) }
        }
        ChangeBody::BeginShard(begun) => {
            let is_here = |cut: &Cut, log: &Frontier| (cut.size, cut.root) == (log.size(), log.root());
            let fits = is_here(&begun.evidence, state.evidence().frontier())
                && is_here(&begun.directory, state.directory_log().frontier());
            if fits { Ok(()) } else { Err(Refusal::ShardNotNext) }
        }
        ChangeBody::Calendar(_)
        | ChangeBody::Genesis { .. }
        | ChangeBody::AdmitAgency { .. }
        | ChangeBody::PublishKey { .. }
        | ChangeBody::RevokeKey { .. }
        | ChangeBody::Profile { .. }
        | ChangeBody::Suspend { .. }
        | ChangeBody::Resume { .. }
        | ChangeBody::AddAdministrator(_)
        | ChangeBody::RemoveAdministrator(_)
        | ChangeBody::RestoreOverride { .. }
        | ChangeBody::Invite(_)
        | ChangeBody::RevokeInvitation(_) => Ok(()),
    }
}

/// Both checkpoints of the evidence log, which the first record of its new shard names.
fn shard_begun(object: &DirectoryObject) -> Option<evidence::ShardBegun> {
    let DirectoryObject::Change(Change { body: ChangeBody::BeginShard(begun), .. }) = object else {
        return None;
    };
    let NewShard { number, evidence: Cut { size, root, .. }, .. } = begun.as_ref();
    Some(evidence::ShardBegun {
        number: *number,
        restored: (*size, *root),
        witnessed: begun.evidence.furthest(),
    })
}

/// The gateway's clock goes on from what was confirmed.
fn confirmation(caller: &Caller, object: &DirectoryObject) -> Option<Effect> {
    let DirectoryObject::Change(Change { body: ChangeBody::ConfirmClock { time }, .. }) = object else {
        return None;
    };
    let actor = caller.pseudonym().cloned();
    Some(Happening { actor, due_at: *time, ..Happening::new(Event::ClockConfirmed) }.into())
}

/// Whoever is invited brings the one change that uses the invitation, and nothing else.
fn only_by_invitation(
    command: &DirectoryCommand,
    agency: &AgencyId,
    invitation: &Digest,
) -> Result<(), Refusal> {
    let used = match &command.object {
        DirectoryObject::Change(change) => change.body.invited(),
        DirectoryObject::Agreement(_) | DirectoryObject::Mechanism(_) => None,
    };
    let is_it = used
        .is_some_and(|(of, used, _)| of == agency && Digest::of(&used.invitation.to_bytes()) == *invitation);
    if is_it { Ok(()) } else { Err(Refusal::RoleNotAllowed) }
}

/// A change has no expiry: what is too old about it is its creation.
fn of_change(refusal: Refusal) -> Stop {
    let field = if refusal == Refusal::Expired { "created_at_ms" } else { refusal.field() };
    Stop::Refused { refusal, field, legal_acts: Vec::new() }
}

/// The agencies that a change is about, whoever signed it: it belongs into their timelines too.
fn concerned(state: &State, change: &ChangeBody) -> Vec<AgencyId> {
    match change {
        ChangeBody::AdmitAgency { agency, .. }
        | ChangeBody::PublishKey { agency, .. }
        | ChangeBody::RevokeKey { agency, .. }
        | ChangeBody::Profile { agency, .. } => vec![agency.clone()],
        ChangeBody::Suspend { subject } | ChangeBody::Resume { subject } => {
            state.directory().concerned_by(subject)
        }
        ChangeBody::Invite(invite) => vec![invite.agency.clone()],
        ChangeBody::RevokeInvitation(id) => state.directory().agency_invited(id).into_iter().collect(),
        ChangeBody::Genesis { .. }
        | ChangeBody::AddAdministrator(_)
        | ChangeBody::RemoveAdministrator(_)
        | ChangeBody::Calendar(_)
        | ChangeBody::RestoreOverride { .. }
        | ChangeBody::BeginShard(_)
        | ChangeBody::ConfirmClock { .. } => Vec::new(),
    }
}

/// The directory record, and the agencies whom it concerns.
fn directory_record(
    state: &State,
    command: &DirectoryCommand,
    by: Vec<AgencyId>,
) -> (wire::directory_record::What, Vec<AgencyId>) {
    use wire::directory_record::What;
    let object = command.signed.object().clone();
    match &command.object {
        DirectoryObject::Change(change) => {
            let mut parties = by;
            parties.extend(concerned(state, &change.body));
            parties.sort();
            parties.dedup();
            (What::Change(object), parties)
        }
        DirectoryObject::Mechanism(_) => (What::Mechanism(object), by),
        DirectoryObject::Agreement(agreement) => {
            let digest = command.signed.digest();
            let held = by.first().and_then(|party| state.directory().agreement(&digest, party));
            let mut signed_by = by;
            signed_by.extend(held.into_iter().flat_map(|held| held.signed_by.keys().cloned()));
            signed_by.sort();
            signed_by.dedup();
            let entry = wire::AgreementEntry {
                agreement: digest.to_vec(),
                parties: agreement.parties.iter().map(ToString::to_string).collect(),
                in_force: signed_by.len() == agreement.parties.len(),
                signed_by: signed_by.iter().map(ToString::to_string).collect(),
                supersedes: agreement.supersedes.map_or_else(Vec::new, Digest::to_vec),
            };
            (What::Agreement(entry), agreement.parties.clone())
        }
    }
}

/// Whether the gateway could ask a next agency now, and if not, what keeps the first one left from being
/// asked; nothing when none is left.
pub(crate) fn next_agency(
    state: &State,
    key: &ReferralKey,
    referral: &Referral,
) -> Result<(), Option<Refusal>> {
    escalation::after(state, key, referral).map(|_| ())
}

/// The moment by which a tick finds something to do, if nothing else happens before.
#[must_use]
pub fn next_due(state: &State) -> Option<TimeMs> {
    tick::next_due(state)
}
