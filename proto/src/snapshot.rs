//! The state as bytes on disk, so that a start costs what is open and not what ever was. Not here:
//! when snapshots are made, and the file around the bytes (the gateway, crate `journal`).

mod directory;

use std::{sync::Arc, vec};

use prost::{Message as _, encoding::message};

use crate::{
    Malformed,
    batch::LoggedCheckpoint,
    clocks::{Begun, ClockKind, OpenClock, OpenClocks, begins_afresh},
    delivery::Mail,
    digest::Digest,
    directory::{Directory, Memorandum},
    evidence::{self, Commitment, PartyLink},
    gateway_clock::{Doubt, GatewayClock, Grace},
    heads::CommittedHeads,
    ids::{
        AgencyId, Code, EnvelopeId, Jurisdiction, Kind, Locator, Pseudonym, ReferralKey, Release, TimeMs,
        Urgency,
    },
    key::KeyId,
    known::KnownEnvelopes,
    lifecycle::{Act, Responsibility},
    log::merkle::Frontier,
    operation::{Asked, Intervention, Operation},
    referral::{Chain, Parked, Referral, SealedAhead, SealedFor},
    refusal::Refusal,
    state::{DenialWindow, GrowingLog, Head, State},
    stuck::Stopped,
    wire,
};

/// The snapshot's version that every release reads and writes.
pub const SNAPSHOT_VERSION: u32 = 1;
/// The version while operators are not done with a referral: a release that knows no holds must not start
/// from it, and hand over what is held back.
pub const SNAPSHOT_VERSION_OPERATED: u32 = 2;

/// How long a piece of the bytes is, about.
const PIECE_BYTES: usize = 1024 * 1024;

/// `Snapshot.directory`.
const DIRECTORY_TAG: u32 = 6;
/// `Snapshot.referrals`.
const REFERRALS_TAG: u32 = 8;
/// `Snapshot.mail`.
const MAIL_TAG: u32 = 9;

/// The state between two batches, and what the writer needs beside it.
#[derive(Clone, PartialEq, Debug)]
pub struct Snapshot {
    /// The state.
    pub state: State,
    /// The number of the batch that comes next.
    pub next_batch: u64,
    /// The last evidence checkpoint that was signed.
    pub evidence: Option<LoggedCheckpoint>,
    /// The last directory checkpoint that was signed.
    pub directory: Option<LoggedCheckpoint>,
}

impl Snapshot {
    /// The bytes on disk.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let (evidence, directory) = (self.evidence.as_ref(), self.directory.as_ref());
        Self::encoding_of(&self.state, self.next_batch, evidence, directory).flatten().collect()
    }

    /// The bytes on disk of what somebody else holds, who goes on meanwhile: open work is shared with the state
    /// until it is encoded.
    #[must_use]
    pub fn encoding_of(
        state: &State,
        next_batch: u64,
        evidence: Option<&LoggedCheckpoint>,
        directory: Option<&LoggedCheckpoint>,
    ) -> Encoding {
        let before = wire::Snapshot {
            now_ms: state.now.0,
            next_batch,
            evidence: Some(frontier_to_wire(state.evidence.frontier())),
            directory_log: Some(frontier_to_wire(state.directory_log.frontier())),
            ..wire::Snapshot::default()
        };
        let heads = state.heads.iter().map(|(agency, head)| head_to_wire(agency, head)).collect();
        let behind = wire::Snapshot {
            envelope_id_max: state.known.highest().map_or_else(Vec::new, |id| id.as_bytes().to_vec()),
            denials: state.denials.iter().map(denial_to_wire).collect(),
            last_evidence: evidence.map(LoggedCheckpoint::to_wire),
            last_directory: directory.map(LoggedCheckpoint::to_wire),
            queries: state.queries.iter().map(query_to_wire).collect(),
            clock: clock_to_wire(&state.clock),
            stopped: state.stopped.iter().map(stopped_to_wire).collect(),
            heads_day: state.heads_day,
            committed: state.committed.as_ref().map(committed_to_wire),
            ..wire::Snapshot::default()
        };
        let referrals = state.referrals.iter().map(|(key, referral)| (key.clone(), Arc::clone(referral)));
        let mail = state.mailboxes.all().map(|(mailbox, mail)| (mailbox.clone(), Arc::clone(mail)));
        Encoding {
            before: Some(before),
            agreements: state.directory.agreements.values().cloned().collect::<Vec<_>>().into_iter(),
            heads: Some(wire::Snapshot { heads, ..wire::Snapshot::default() }),
            directory: state.directory.clone(),
            referrals: referrals.collect::<Vec<_>>().into_iter(),
            mail: mail.collect::<Vec<_>>().into_iter(),
            behind: Some(behind),
        }
    }

    /// Reads the bytes on disk.
    ///
    /// # Errors
    /// [`Malformed`], naming the field.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let Ok(wire) = wire::Snapshot::decode(bytes) else {
            return Err(Malformed::Protobuf { message: "Snapshot" });
        };
        if !matches!(wire.version, SNAPSHOT_VERSION | SNAPSHOT_VERSION_OPERATED) {
            return Err(Malformed::Form { field: "version" });
        }
        let mut state = State {
            now: TimeMs(wire.now_ms),
            directory: directory::from_wire(&wire.directory)?,
            known: KnownEnvelopes::from_highest(envelope_id(&wire.envelope_id_max)?),
            evidence: frontier(wire.evidence.as_ref(), "evidence")?,
            directory_log: frontier(wire.directory_log.as_ref(), "directory_log")?,
            clock: clock_from_wire(wire.clock.unwrap_or_default()),
            heads_day: wire.heads_day,
            committed: wire.committed.as_ref().map(committed_from_wire).transpose()?,
            ..State::default()
        };
        for head in &wire.heads {
            let (agency, head) = head_from_wire(head)?;
            state.heads.insert(agency, head);
        }
        for referral in &wire.referrals {
            let knows_clocks = referral.clocks.is_some();
            let (key, mut referral) = referral_from_wire(referral)?;
            if !knows_clocks {
                // An older release wrote this. What is open then begins to be awaited now.
                referral.clocks = begins_afresh(&referral, state.now);
            }
            state.hold(key, referral);
        }
        for mail in &wire.mail {
            state.deliver(&AgencyId::parse(&mail.mailbox, "mail.mailbox")?, mail_from_wire(mail)?);
        }
        for window in &wire.denials {
            let (key, window) = denial_from_wire(window)?;
            state.denials.insert(key, window);
        }
        for window in &wire.queries {
            let recorded = DenialWindow { start: TimeMs(window.window_start_ms), recorded: window.recorded };
            state.queries.insert(window.caller.clone(), recorded);
        }
        for stopped in &wire.stopped {
            let (key, stopped) = stopped_from_wire(stopped)?;
            state.stopped.insert(key, stopped);
        }
        Ok(Self {
            state,
            next_batch: wire.next_batch,
            evidence: wire.last_evidence.as_ref().map(LoggedCheckpoint::parse).transpose()?,
            directory: wire.last_directory.as_ref().map(LoggedCheckpoint::parse).transpose()?,
        })
    }
}

/// The bytes of a snapshot, in pieces that follow each other: open work and agreements can be large, and their
/// bytes are never in memory all at once.
pub struct Encoding {
    before: Option<wire::Snapshot>,
    directory: Directory,
    agreements: vec::IntoIter<Arc<Memorandum>>,
    heads: Option<wire::Snapshot>,
    referrals: vec::IntoIter<(ReferralKey, Arc<Referral>)>,
    mail: vec::IntoIter<(AgencyId, Arc<Mail>)>,
    behind: Option<wire::Snapshot>,
}

impl Encoding {
    /// The lowest version that loses nothing.
    fn version(&self) -> u32 {
        let mut open = self.referrals.as_slice().iter();
        let is_operated = open.any(|(_, referral)| referral.intervention.is_some());
        if is_operated { SNAPSHOT_VERSION_OPERATED } else { SNAPSHOT_VERSION }
    }
}

impl std::fmt::Debug for Encoding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Encoding")
    }
}

impl Iterator for Encoding {
    type Item = Vec<u8>;

    fn next(&mut self) -> Option<Vec<u8>> {
        if let Some(before) = self.before.take() {
            let (version, directory) = (self.version(), directory::before_agreements(&self.directory));
            return Some(wire::Snapshot { version, directory, ..before }.encode_to_vec());
        }
        // The last field of a piece goes beyond its end.
        let mut piece = Vec::with_capacity(PIECE_BYTES.saturating_add(PIECE_BYTES / 16));
        while piece.len() < PIECE_BYTES
            && let Some(held) = self.agreements.next()
        {
            message::encode(DIRECTORY_TAG, &directory::agreement(&held), &mut piece);
        }
        if !piece.is_empty() {
            return Some(piece);
        }
        if let Some(heads) = self.heads.take() {
            let directory = directory::behind_agreements(&self.directory);
            return Some(wire::Snapshot { directory, ..heads }.encode_to_vec());
        }
        while piece.len() < PIECE_BYTES
            && let Some((key, referral)) = self.referrals.next()
        {
            message::encode(REFERRALS_TAG, &referral_to_wire(&key, &referral), &mut piece);
        }
        while piece.len() < PIECE_BYTES
            && let Some((mailbox, mail)) = self.mail.next()
        {
            message::encode(MAIL_TAG, &mail_to_wire(&mailbox, &mail), &mut piece);
        }
        if piece.is_empty() { self.behind.take().map(|behind| behind.encode_to_vec()) } else { Some(piece) }
    }
}

fn frontier_to_wire(frontier: &Frontier) -> wire::FrontierRecord {
    let hashes = frontier.subtrees().iter().flat_map(|hash| *hash.as_bytes()).collect();
    wire::FrontierRecord { size: frontier.size(), hashes }
}

fn frontier(wire: Option<&wire::FrontierRecord>, field: &'static str) -> Result<GrowingLog, Malformed> {
    let wire = wire.ok_or(Malformed::Missing { field })?;
    let hashes = wire.hashes.chunks(32).map(|bytes| Digest::parse(bytes, field));
    let frontier = Frontier::from_parts(wire.size, hashes.collect::<Result<_, _>>()?)?;
    Ok(GrowingLog::from_frontier(frontier))
}

fn envelope_id(bytes: &[u8]) -> Result<Option<EnvelopeId>, Malformed> {
    if bytes.is_empty() { Ok(None) } else { EnvelopeId::parse(bytes, "envelope_id_max").map(Some) }
}

pub(crate) fn referral_to_wire(key: &ReferralKey, referral: &Referral) -> wire::OpenReferral {
    let chain = |(agency, chain): &(AgencyId, Chain)| wire::SenderChain {
        agency: agency.to_string(),
        sequence: chain.sequence,
        last: chain.last.to_vec(),
    };
    wire::OpenReferral {
        opened_by: key.opened_by.to_string(),
        referral_id: key.id.as_bytes().to_vec(),
        recipients: referral.recipients.iter().map(ToString::to_string).collect(),
        urgency: referral.urgency.number().unsigned_abs(),
        status: evidence::status_number(referral.status),
        chains: referral.chains.iter().map(chain).collect(),
        previous: referral.previous.0.to_vec(),
        waiting: referral.waiting,
        agreement: referral.agreement.to_vec(),
        category: referral.category.to_string(),
        service: referral.service.to_string(),
        kind: referral.kind.number().unsigned_abs(),
        resumes_to: referral.resumes_to.map_or(0, evidence::status_number),
        fallbacks: referral.fallbacks.iter().map(ToString::to_string).collect(),
        identity_allowed: referral.identity_allowed,
        parked: referral.parked.as_ref().map(|parked| wire::ParkedParts {
            envelope: parked.envelope.to_vec(),
            batch: parked.at.batch,
            entry: parked.at.entry,
            part_digests: parked.part_digests.iter().map(|digest| digest.to_vec()).collect(),
            expires_at_ms: parked.expires_at.0,
        }),
        clause: referral.clause.as_ref().map_or_else(String::new, ToString::to_string),
        clocks: Some(clocks_to_wire(&referral.clocks)),
        sealed_ahead: referral.sealed_ahead.as_deref().map(sealed_ahead_to_wire),
        escalations: referral.escalations,
        disclosed: referral.disclosed,
        responsibility: responsibility_number(referral.responsibility),
        since_ms: referral.since.0,
        missed: referral.missed.iter().map(missed_to_wire).collect(),
        intervention: referral.intervention.as_deref().map(intervention_to_wire),
    }
}

/// As an older release wrote it, which knew no transfer: nothing stands for the referrer.
fn responsibility_number(responsibility: Responsibility) -> u32 {
    if responsibility == Responsibility::Referrer { 0 } else { responsibility.number().unsigned_abs() }
}

fn responsibility(wire: u32) -> Result<Responsibility, Malformed> {
    if wire == 0 {
        Ok(Responsibility::Referrer)
    } else {
        Responsibility::parse(number(wire), "responsibility")
    }
}

fn clocks_to_wire(clocks: &OpenClocks) -> wire::OpenClocks {
    let open = clocks.iter().map(|clock| wire::OpenClock {
        clock: clock.kind.number().unsigned_abs(),
        due_at_ms: clock.due_at.0,
        paused_at_ms: clock.paused_at.map_or(0, |paused_at| paused_at.0),
    });
    wire::OpenClocks { open: open.collect() }
}

fn clocks_from_wire(wire: &wire::OpenClocks) -> Result<OpenClocks, Malformed> {
    let mut clocks = OpenClocks::default();
    for open in &wire.open {
        clocks.put(OpenClock {
            kind: ClockKind::parse(number(open.clock), "clocks.clock")?,
            due_at: TimeMs(open.due_at_ms),
            paused_at: Some(TimeMs(open.paused_at_ms)).filter(|paused_at| *paused_at != TimeMs(0)),
        });
    }
    Ok(clocks)
}

fn sealed_ahead_to_wire(ahead: &SealedAhead) -> wire::SealedAhead {
    let digests = |list: &[Digest]| list.iter().map(|digest| digest.to_vec()).collect();
    let recipients = ahead.recipients.iter().map(|sealed| wire::SealedFor {
        agency: sealed.agency.to_string(),
        part_digests: digests(&sealed.part_digests),
        key_ids: sealed.key_ids.iter().map(ToString::to_string).collect(),
        parked_digests: digests(&sealed.parked_digests),
    });
    wire::SealedAhead {
        envelope: ahead.envelope.to_vec(),
        batch: ahead.at.batch,
        entry: ahead.at.entry,
        expires_at_ms: ahead.expires_at.0,
        jurisdiction: ahead.jurisdiction.to_string(),
        recipients: recipients.collect(),
    }
}

fn sealed_ahead(wire: &wire::SealedAhead) -> Result<SealedAhead, Malformed> {
    Ok(SealedAhead {
        envelope: Digest::parse(&wire.envelope, "sealed_ahead.envelope")?,
        at: Locator { batch: wire.batch, entry: wire.entry },
        expires_at: TimeMs(wire.expires_at_ms),
        jurisdiction: Jurisdiction::parse(&wire.jurisdiction, "sealed_ahead.jurisdiction")?,
        recipients: wire.recipients.iter().map(sealed_for).collect::<Result<_, _>>()?,
    })
}

fn sealed_for(wire: &wire::SealedFor) -> Result<SealedFor, Malformed> {
    let digests = |list: &[Vec<u8>]| -> Result<Vec<_>, _> {
        list.iter().map(|bytes| Digest::parse(bytes, "sealed_ahead.part_digests")).collect()
    };
    let key_ids = wire.key_ids.iter().map(|text| KeyId::parse(text, "sealed_ahead.key_ids"));
    Ok(SealedFor {
        agency: AgencyId::parse(&wire.agency, "sealed_ahead.agency")?,
        part_digests: digests(&wire.part_digests)?,
        parked_digests: digests(&wire.parked_digests)?,
        key_ids: key_ids.collect::<Result<_, _>>()?,
    })
}

fn clock_to_wire(clock: &GatewayClock) -> Option<wire::GatewayClock> {
    let doubt = clock.doubt.as_ref();
    let grace = clock.grace.as_ref();
    let wire = wire::GatewayClock {
        doubted_since_ms: doubt.map_or(0, |doubt| doubt.since.0),
        ahead_ms: doubt.map_or(0, |doubt| doubt.ahead_ms),
        confirmed_ms: clock.confirmed.0,
        grace_of_ms: grace.map_or(0, |grace| grace.of.0),
        grace_until_ms: grace.map_or(0, |grace| grace.until.0),
    };
    Some(wire).filter(|wire| *wire != wire::GatewayClock::default())
}

fn clock_from_wire(wire: wire::GatewayClock) -> GatewayClock {
    let doubt = Doubt { since: TimeMs(wire.doubted_since_ms), ahead_ms: wire.ahead_ms };
    let grace = Grace { of: TimeMs(wire.grace_of_ms), until: TimeMs(wire.grace_until_ms) };
    GatewayClock {
        doubt: Some(doubt).filter(|doubt| doubt.ahead_ms != 0),
        confirmed: TimeMs(wire.confirmed_ms),
        grace: Some(grace).filter(|grace| grace.until != TimeMs(0)),
    }
}

pub(crate) fn referral_from_wire(wire: &wire::OpenReferral) -> Result<(ReferralKey, Referral), Malformed> {
    let key = ReferralKey {
        id: EnvelopeId::parse(&wire.referral_id, "referral_id")?,
        opened_by: AgencyId::parse(&wire.opened_by, "opened_by")?,
    };
    let chains = wire.chains.iter().map(|chain| {
        let last = Digest::parse(&chain.last, "chains.last")?;
        Ok((AgencyId::parse(&chain.agency, "chains.agency")?, Chain { sequence: chain.sequence, last }))
    });
    let agencies = |list: &[String], field| -> Result<Vec<_>, _> {
        list.iter().map(|text| AgencyId::parse(text, field)).collect()
    };
    let status = evidence::status(wire.status)?.ok_or(Malformed::Missing { field: "status" })?;
    let referral = Referral {
        recipients: agencies(&wire.recipients, "recipients")?.into(),
        status,
        resumes_to: evidence::status(wire.resumes_to)?,
        chains: chains.collect::<Result<_, Malformed>>()?,
        previous: Commitment(Digest::parse(&wire.previous, "previous")?),
        waiting: wire.waiting,
        kind: Kind::parse(number(wire.kind), "kind")?,
        category: Code::parse(&wire.category, "category")?,
        service: Code::parse(&wire.service, "service")?,
        urgency: Urgency::parse(number(wire.urgency), "urgency")?,
        agreement: Digest::parse(&wire.agreement, "agreement")?,
        fallbacks: agencies(&wire.fallbacks, "fallbacks")?.into(),
        identity_allowed: wire.identity_allowed,
        parked: wire.parked.as_ref().map(parked).transpose()?.map(Box::new),
        clause: Code::parse_optional(&wire.clause, "clause")?,
        clocks: wire.clocks.as_ref().map(clocks_from_wire).transpose()?.unwrap_or_default(),
        sealed_ahead: wire.sealed_ahead.as_ref().map(sealed_ahead).transpose()?.map(Box::new),
        escalations: wire.escalations,
        disclosed: wire.disclosed,
        responsibility: responsibility(wire.responsibility)?,
        // An older release did not write it: not later than this is certain.
        since: if wire.since_ms == 0 { key.id.made_at() } else { TimeMs(wire.since_ms) },
        missed: wire.missed.iter().map(missed).collect::<Result<_, _>>()?,
        intervention: wire.intervention.as_ref().map(intervention).transpose()?.map(Box::new),
    };
    Ok((key, referral))
}

fn missed_to_wire(missed: &Begun) -> wire::ClockBegun {
    wire::ClockBegun { clock: missed.kind.number().unsigned_abs(), due_at_ms: missed.due_at.0 }
}

fn missed(wire: &wire::ClockBegun) -> Result<Begun, Malformed> {
    let kind = ClockKind::parse(number(wire.clock), "missed.clock")?;
    Ok(Begun { kind, due_at: TimeMs(wire.due_at_ms) })
}

fn intervention_to_wire(intervention: &Intervention) -> wire::Intervention {
    let asked = intervention.asked.as_ref();
    wire::Intervention {
        held_by: intervention.held_by.iter().map(ToString::to_string).collect(),
        held_since_ms: intervention.held_since.0,
        asked: asked.map_or(0, |asked| asked.operation.number()),
        asked_by: asked.map_or_else(String::new, |asked| asked.by.to_string()),
        asked_at_ms: asked.map_or(0, |asked| asked.at.0),
        notified_at_ms: intervention.notified_at.map_or(0, |at| at.0),
    }
}

fn intervention(wire: &wire::Intervention) -> Result<Intervention, Malformed> {
    let held_by = wire.held_by.iter().map(|text| Pseudonym::parse(text, "intervention.held_by"));
    let asked = (wire.asked != 0).then(|| {
        Ok(Asked {
            operation: Operation::parse(wire.asked, "intervention.asked")?,
            by: Pseudonym::parse(&wire.asked_by, "intervention.asked_by")?,
            at: TimeMs(wire.asked_at_ms),
        })
    });
    Ok(Intervention {
        held_by: held_by.collect::<Result<_, _>>()?,
        held_since: TimeMs(wire.held_since_ms),
        asked: asked.transpose()?,
        notified_at: Some(TimeMs(wire.notified_at_ms)).filter(|at| *at != TimeMs(0)),
    })
}

fn parked(wire: &wire::ParkedParts) -> Result<Parked, Malformed> {
    let part_digests = wire.part_digests.iter().map(|bytes| Digest::parse(bytes, "parked.part_digests"));
    Ok(Parked {
        envelope: Digest::parse(&wire.envelope, "parked.envelope")?,
        at: Locator { batch: wire.batch, entry: wire.entry },
        part_digests: part_digests.collect::<Result<_, _>>()?,
        expires_at: TimeMs(wire.expires_at_ms),
    })
}

/// A number on disk as the wire lists count; what is too large is in no list.
fn number(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn head_to_wire(agency: &AgencyId, head: &Head) -> wire::PartyLink {
    PartyLink { party: agency.clone(), count: head.count, previous: Some(head.last) }.to_wire()
}

fn head_from_wire(wire: &wire::PartyLink) -> Result<(AgencyId, Head), Malformed> {
    let PartyLink { party, count, previous } = PartyLink::parse(wire)?;
    let last = previous.ok_or(Malformed::Missing { field: "heads.previous" })?;
    Ok((party, Head { count, last }))
}

fn committed_to_wire(committed: &CommittedHeads) -> wire::CommittedHeads {
    wire::CommittedHeads {
        batch: committed.at.batch,
        entry: committed.at.entry,
        heads: committed.heads.iter().map(|(agency, head)| head_to_wire(agency, head)).collect(),
    }
}

fn committed_from_wire(wire: &wire::CommittedHeads) -> Result<CommittedHeads, Malformed> {
    let heads = wire.heads.iter().map(head_from_wire).collect::<Result<_, _>>()?;
    Ok(CommittedHeads { at: Locator { batch: wire.batch, entry: wire.entry }, heads })
}

fn stopped_to_wire((key, stopped): (&ReferralKey, &Stopped)) -> wire::StoppedReferral {
    wire::StoppedReferral {
        opened_by: key.opened_by.to_string(),
        referral_id: key.id.as_bytes().to_vec(),
        attempt: stopped.attempt,
        recipient: stopped.recipient.as_ref().map_or_else(String::new, ToString::to_string),
        urgency: stopped.urgency.number().unsigned_abs(),
        since_ms: stopped.since.0,
        refusal: stopped.why.map_or(0, Refusal::number),
    }
}

fn stopped_from_wire(wire: &wire::StoppedReferral) -> Result<(ReferralKey, Stopped), Malformed> {
    let key = ReferralKey {
        id: EnvelopeId::parse(&wire.referral_id, "stopped.referral_id")?,
        opened_by: AgencyId::parse(&wire.opened_by, "stopped.opened_by")?,
    };
    let stopped = Stopped {
        attempt: wire.attempt,
        recipient: AgencyId::parse_optional(&wire.recipient, "stopped.recipient")?,
        urgency: Urgency::parse(number(wire.urgency), "stopped.urgency")?,
        since: TimeMs(wire.since_ms),
        why: Refusal::from_number(wire.refusal),
    };
    Ok((key, stopped))
}

fn mail_to_wire(mailbox: &AgencyId, mail: &Mail) -> wire::Mail {
    wire::Mail {
        mailbox: mailbox.to_string(),
        order: mail.order,
        envelope: mail.envelope.to_vec(),
        from: mail.from.to_string(),
        opened_by: mail.referral.opened_by.to_string(),
        referral_id: mail.referral.id.as_bytes().to_vec(),
        urgency: mail.urgency.number().unsigned_abs(),
        expires_at_ms: mail.expires_at.0,
        batch: mail.at.batch,
        entry: mail.at.entry,
        blocked: mail.blocked,
        attempt: mail.attempt,
        release: mail.release.number().unsigned_abs(),
        parts: mail.parts.to_vec(),
        act: mail.act.number().unsigned_abs(),
    }
}

fn mail_from_wire(wire: &wire::Mail) -> Result<Mail, Malformed> {
    Ok(Mail {
        order: wire.order,
        envelope: Digest::parse(&wire.envelope, "mail.envelope")?,
        from: AgencyId::parse(&wire.from, "mail.from")?,
        referral: ReferralKey {
            id: EnvelopeId::parse(&wire.referral_id, "mail.referral_id")?,
            opened_by: AgencyId::parse(&wire.opened_by, "mail.opened_by")?,
        },
        attempt: wire.attempt,
        act: Act::parse(number(wire.act), "mail.act")?,
        urgency: Urgency::parse(number(wire.urgency), "mail.urgency")?,
        expires_at: TimeMs(wire.expires_at_ms),
        at: Locator { batch: wire.batch, entry: wire.entry },
        release: Release::parse(number(wire.release), "mail.release")?,
        parts: Digest::parse(&wire.parts, "mail.parts")?,
        blocked: wire.blocked,
    })
}

fn query_to_wire((caller, window): (&String, &DenialWindow)) -> wire::QueryWindow {
    wire::QueryWindow { caller: caller.clone(), window_start_ms: window.start.0, recorded: window.recorded }
}

fn denial_to_wire(((caller, refusal), window): (&(String, Refusal), &DenialWindow)) -> wire::DenialWindow {
    wire::DenialWindow {
        caller: caller.clone(),
        refusal: refusal.number(),
        window_start_ms: window.start.0,
        recorded: window.recorded,
    }
}

fn denial_from_wire(wire: &wire::DenialWindow) -> Result<((String, Refusal), DenialWindow), Malformed> {
    let refusal = Refusal::from_number(wire.refusal).ok_or(Malformed::Form { field: "denials.refusal" })?;
    let window = DenialWindow { start: TimeMs(wire.window_start_ms), recorded: wire.recorded };
    Ok(((wire.caller.clone(), refusal), window))
}
