//! Evidence records: what happened, once, as bytes that are never encoded again, and the blinded
//! commitment to them that the log holds. Not here: the log itself (`log`), and which events follow
//! from what (`decide`).

use crate::{
    Malformed, canonical,
    clocks::{Begun, ClockKind},
    digest::Digest,
    fields,
    ids::{AgencyId, Code, EnvelopeId, Pseudonym, ReasonClass, ReferralKey, TimeMs, closed_list},
    lifecycle::{Act, Status},
    log::shard::ShardNo,
    operation::Operation,
    refusal::Refusal,
    wire,
};

/// Bytes of a salt.
pub const SALT_BYTES: usize = 32;
/// Longest evidence record, in bytes.
pub const RECORD_BYTES_MAX: u64 = 32 * 1024;
/// What a record usually comes to, and a little more.
const RECORD_BYTES_USUAL: usize = 640;
/// What every commitment begins with.
const COMMITMENT_DOMAIN: &[u8] = b"referral/evidence/v1\0";
/// First byte of an evidence leaf.
const LEAF_VERSION: u8 = 1;

closed_list!(
    /// What happened. The first nine bear their ETSI EN 319 522 names.
    Event {
        /// The gateway took an envelope.
        SubmissionAcceptance = 1,
        /// The gateway refused one.
        SubmissionRejection = 2,
        /// It is in the recipient's mailbox.
        ContentConsignment = 3,
        /// It could not be put there.
        ContentConsignmentFailure = 4,
        /// The recipient's agent has every byte and signed for it.
        ContentHandover = 5,
        /// It was not handed over.
        ContentHandoverFailure = 6,
        /// A person accepted.
        ConsignmentAcceptance = 7,
        /// A person declined.
        ConsignmentRejection = 8,
        /// Nobody answered in time.
        AcceptanceRejectionExpiry = 9,
        /// A recipient was found by need.
        Routed = 32,
        /// The next agency that she named was asked.
        Escalated = 33,
        /// Escalation stopped: a person must look.
        EscalationStopped = 34,
        /// A person has seen it.
        Seen = 35,
        /// Another act of the lifecycle.
        Act = 36,
        /// A clock ran out.
        ClockMissed = 37,
        /// An envelope or attempt ended unheard.
        Expired = 38,
        /// A parked part was released.
        DisclosureReleased = 39,
        /// Taken back.
        Recalled = 40,
        /// The receiver states that it is destroyed.
        Purged = 41,
        /// Consent was withdrawn.
        ConsentWithdrawn = 42,
        /// The withdrawal was carried out.
        WithdrawalConfirmed = 43,
        /// Sealed to a key that is gone: back to the sender.
        ReturnedForResealing = 44,
        /// Ciphertext was erased.
        Erased = 45,
        /// A notice went to a person.
        NoticeSent = 46,
        /// A notice could not be sent.
        NoticeFailed = 47,
        /// A local user took it.
        Taken = 48,
        /// The directory changed.
        DirectoryChanged = 64,
        /// Repeated denials, counted.
        DenialsCounted = 65,
        /// Somebody looked at evidence.
        Queried = 66,
        /// An operator acted.
        Operated = 67,
        /// The gateway started.
        Started = 68,
        /// The gateway stopped.
        Stopped = 69,
        /// The gateway was away.
        Outage = 70,
        /// The clock jumped.
        ClockStepped = 71,
        /// A person confirmed the clock.
        ClockConfirmed = 72,
        /// All parties' heads were committed.
        HeadsCommitted = 73,
        /// The network was restored from a backup.
        Restored = 74,
        /// A damaged record was found.
        DamageFound = 75,
        /// A witness saw a fork.
        ForkAlarm = 76,
        /// A member of staff looked at how deliveries stand.
        Looked = 90,
        /// A new shard of the evidence log began.
        ShardBegun = 92,
    }
);

/// That a shard of the evidence log began: with which checkpoint, and how far the one before it was seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ShardBegun {
    /// Its number.
    pub number: ShardNo,
    /// Size and root of what was restored.
    pub restored: (u64, Digest),
    /// Size and root of the furthest checkpoint that anybody held; as restored, where nobody held more.
    pub witnessed: (u64, Digest),
}

/// What happened, without its place in the log. Every field but the event may be absent.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each field is described in evidence.proto, once")]
pub struct Happening {
    pub event: Event,
    pub sender: Option<AgencyId>,
    pub recipient: Option<AgencyId>,
    pub referral: Option<ReferralKey>,
    pub attempt: u32,
    pub envelope_id: Option<EnvelopeId>,
    pub envelope: Option<Digest>,
    pub act: Option<Act>,
    pub reason: Option<ReasonClass>,
    pub part_digests: Vec<Digest>,
    pub agreement: Option<Digest>,
    pub clause: Option<Code>,
    pub rule: Option<Code>,
    pub refusal: Option<(Refusal, &'static str)>,
    pub object: Option<Digest>,
    pub actor: Option<Pseudonym>,
    pub count: u64,
    pub clock: u32,
    pub due_at: TimeMs,
    pub authorised_by: u64,
    pub status: Option<Status>,
    /// The clocks of the referral that begin with it.
    pub clocks: Vec<Begun>,
    pub operation: Option<Operation>,
    pub operation_reason: Option<Code>,
    pub shard: Option<ShardBegun>,
    /// The agencies whose own count of records this one continues.
    pub parties: Vec<AgencyId>,
}

impl Happening {
    /// An event of which nothing more is known yet.
    #[must_use]
    pub const fn new(event: Event) -> Self {
        Self {
            event,
            sender: None,
            recipient: None,
            referral: None,
            attempt: 0,
            envelope_id: None,
            envelope: None,
            act: None,
            reason: None,
            part_digests: Vec::new(),
            agreement: None,
            clause: None,
            rule: None,
            refusal: None,
            object: None,
            actor: None,
            count: 0,
            clock: 0,
            due_at: TimeMs(0),
            authorised_by: 0,
            status: None,
            clocks: Vec::new(),
            operation: None,
            operation_reason: None,
            shard: None,
            parties: Vec::new(),
        }
    }
}

/// A commitment to a record: names it without telling anything of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Commitment(pub Digest);

impl Commitment {
    /// `SHA-256("referral/evidence/v1\0" || salt || record)`.
    #[must_use]
    pub fn to_record(salt: &Salt, record: &[u8]) -> Self {
        Self(Digest::of_all(&[COMMITMENT_DOMAIN, &salt.0, record]))
    }

    /// The leaf of the evidence log, 33 bytes: `0x01 || commitment`.
    #[must_use]
    pub fn leaf(&self) -> [u8; 33] {
        let mut leaf = [LEAF_VERSION; 33];
        if let Some((_, rest)) = leaf.split_first_mut() {
            rest.copy_from_slice(self.0.as_bytes());
        }
        leaf
    }
}

/// What blinds a commitment: 32 independent random bytes, shown only with the record.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Salt(pub [u8; SALT_BYTES]);

impl std::fmt::Debug for Salt {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Salt")
    }
}

/// A party's place: how many records it has, and the last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PartyLink {
    /// The agency.
    pub party: AgencyId,
    /// Its records so far, this one included.
    pub count: u64,
    /// Its record before this one.
    pub previous: Option<Commitment>,
}

/// Where a happening stands in the log.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    /// Its number in the evidence log: the evidence id.
    pub index: u64,
    /// When.
    pub time: TimeMs,
    /// The directory log's size at that moment.
    pub directory_size: u64,
    /// The record before it in its referral.
    pub previous: Option<Commitment>,
    /// One link for each of its parties, in their order.
    pub links: Vec<PartyLink>,
}

/// A record: what happened and where it stands, with the bytes that are committed.
#[derive(Clone)]
pub struct Record {
    /// What happened. Its `parties` are those of the links.
    pub what: Happening,
    /// Where it stands.
    pub place: Place,
    /// Blinds the commitment.
    pub salt: Salt,
    bytes: Vec<u8>,
    commitment: Commitment,
}

impl Record {
    /// Puts a happening in its place. This is the only moment at which a record is encoded.
    #[must_use]
    pub fn new(what: Happening, place: Place, salt: Salt) -> Self {
        let bytes = encode(&what, &place);
        let commitment = Commitment::to_record(&salt, &bytes);
        Self { what, place, salt, bytes, commitment }
    }

    /// Reads a record from its bytes. Fields that a later version added are ignored: the bytes stay
    /// what they are, and so does the commitment.
    ///
    /// # Errors
    /// [`Malformed`]: no such message, or a field without its form.
    pub fn parse(bytes: Vec<u8>, salt: &[u8]) -> Result<Self, Malformed> {
        canonical::limit(bytes.len(), RECORD_BYTES_MAX, "record")?;
        let Ok(salt) = salt.try_into() else {
            return Err(Malformed::Length { field: "salt" });
        };
        let Ok(wire) = <wire::EvidenceRecord as prost::Message>::decode(bytes.as_slice()) else {
            return Err(Malformed::Protobuf { message: "EvidenceRecord" });
        };
        let (what, place, salt) = (happening(&wire)?, place(&wire)?, Salt(salt));
        let commitment = Commitment::to_record(&salt, &bytes);
        Ok(Self { what, place, salt, bytes, commitment })
    }

    /// The bytes that are committed.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The commitment to them.
    #[must_use]
    pub const fn commitment(&self) -> Commitment {
        self.commitment
    }
}

/// A record is the bytes that are committed, and their salt: of a refusal's field only they tell.
impl PartialEq for Record {
    fn eq(&self, other: &Self) -> bool {
        self.salt == other.salt && self.bytes == other.bytes
    }
}

impl Eq for Record {}

impl std::fmt::Debug for Record {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Record({}, {:?})", self.place.index, self.what.event)
    }
}

/// The fields of an `EvidenceRecord`, in the order of their numbers.
fn encode(what: &Happening, place: &Place) -> Vec<u8> {
    let mut out = Vec::with_capacity(RECORD_BYTES_USUAL);
    let text = |id: &Option<AgencyId>, tag, out: &mut Vec<u8>| {
        fields::bytes(tag, id.as_ref().map_or("", AgencyId::as_str).as_bytes(), out);
    };
    let code = |code: &Option<Code>, tag, out: &mut Vec<u8>| {
        fields::bytes(tag, code.as_ref().map_or("", Code::as_str).as_bytes(), out);
    };
    let digest = |digest: Option<Digest>, tag, out: &mut Vec<u8>| {
        fields::bytes(tag, digest.as_ref().map_or(&[], |digest| digest.as_bytes().as_slice()), out);
    };
    fields::number(1, place.index, &mut out);
    fields::listed(2, what.event.number(), &mut out);
    fields::number(3, place.time.0, &mut out);
    text(&what.sender, 4, &mut out);
    text(&what.recipient, 5, &mut out);
    if let Some(referral) = &what.referral {
        encode_referral(6, referral, &mut out);
    }
    fields::number(7, what.attempt.into(), &mut out);
    fields::bytes(8, what.envelope_id.as_ref().map_or(&[], |id| id.as_bytes().as_slice()), &mut out);
    digest(what.envelope, 9, &mut out);
    fields::listed(10, what.act.map_or(0, Act::number), &mut out);
    fields::listed(11, what.reason.map_or(0, ReasonClass::number), &mut out);
    for part in &what.part_digests {
        fields::item(12, part.as_bytes(), &mut out);
    }
    fields::number(13, place.directory_size, &mut out);
    digest(what.agreement, 14, &mut out);
    code(&what.clause, 15, &mut out);
    code(&what.rule, 16, &mut out);
    let (refusal, field) = what.refusal.map_or((0, ""), |(refusal, field)| (refusal.number(), field));
    fields::number(17, refusal.into(), &mut out);
    fields::bytes(18, field.as_bytes(), &mut out);
    digest(what.object, 19, &mut out);
    fields::bytes(20, what.actor.as_ref().map_or("", Pseudonym::as_str).as_bytes(), &mut out);
    fields::number(21, what.count, &mut out);
    fields::number(22, what.clock.into(), &mut out);
    fields::number(23, what.due_at.0, &mut out);
    digest(place.previous.map(|commitment| commitment.0), 24, &mut out);
    for link in &place.links {
        link.encode(25, &mut out);
    }
    fields::number(26, what.authorised_by, &mut out);
    fields::number(27, what.status.map_or(0, status_number).into(), &mut out);
    for begun in &what.clocks {
        begun.encode(28, &mut out);
    }
    fields::listed(60, what.operation.map_or(0, Operation::number), &mut out);
    code(&what.operation_reason, 61, &mut out);
    if let Some(shard) = &what.shard {
        fields::item(80, &prost::Message::encode_to_vec(&shard.to_wire()), &mut out);
    }
    out
}

impl ShardBegun {
    fn to_wire(self) -> wire::ShardBegun {
        wire::ShardBegun {
            number: self.number.get(),
            restored_size: self.restored.0,
            restored_root: self.restored.1.to_vec(),
            witnessed_size: self.witnessed.0,
            witnessed_root: self.witnessed.1.to_vec(),
        }
    }

    fn parse(wire: &wire::ShardBegun) -> Result<Self, Malformed> {
        let root = |bytes: &[u8]| Digest::parse(bytes, "shard.root");
        Ok(Self {
            number: ShardNo::parse(wire.number)?,
            restored: (wire.restored_size, root(&wire.restored_root)?),
            witnessed: (wire.witnessed_size, root(&wire.witnessed_root)?),
        })
    }
}

impl Begun {
    fn encode(self, tag: u32, out: &mut Vec<u8>) {
        let kind = u64::from(self.kind.number().unsigned_abs());
        let length = fields::number_len(1, kind).saturating_add(fields::number_len(2, self.due_at.0));
        fields::head(tag, length, out);
        fields::number(1, kind, out);
        fields::number(2, self.due_at.0, out);
    }

    /// A clock of a kind that a later version added is none of ours.
    fn parse(wire: &wire::ClockBegun) -> Option<Self> {
        let kind = ClockKind::parse(i32::try_from(wire.clock).ok()?, "clocks.clock").ok()?;
        Some(Self { kind, due_at: TimeMs(wire.due_at_ms) })
    }
}

fn encode_referral(tag: u32, referral: &ReferralKey, out: &mut Vec<u8>) {
    let (opened_by, id) = (referral.opened_by.as_str().as_bytes(), referral.id.as_bytes());
    let length = fields::bytes_len(1, opened_by).saturating_add(fields::bytes_len(2, id));
    fields::head(tag, length, out);
    fields::bytes(1, opened_by, out);
    fields::bytes(2, id, out);
}

impl PartyLink {
    fn encode(&self, tag: u32, out: &mut Vec<u8>) {
        let party = self.party.as_str().as_bytes();
        let previous: &[u8] = self.previous.as_ref().map_or(&[], |previous| previous.0.as_bytes());
        let length = fields::bytes_len(1, party).saturating_add(fields::number_len(2, self.count));
        fields::head(tag, length.saturating_add(fields::bytes_len(3, previous)), out);
        fields::bytes(1, party, out);
        fields::number(2, self.count, out);
        fields::bytes(3, previous, out);
    }

    /// The wire form.
    #[must_use]
    pub fn to_wire(&self) -> wire::PartyLink {
        wire::PartyLink {
            party: self.party.to_string(),
            count: self.count,
            previous: self.previous.map_or_else(Vec::new, |commitment| commitment.0.to_vec()),
        }
    }

    /// Reads the wire form.
    ///
    /// # Errors
    /// [`Malformed`], naming the field.
    pub fn parse(wire: &wire::PartyLink) -> Result<Self, Malformed> {
        Ok(Self {
            party: AgencyId::parse(&wire.party, "parties.party")?,
            count: wire.count,
            previous: commitment(&wire.previous, "parties.previous")?,
        })
    }
}

fn happening(wire: &wire::EvidenceRecord) -> Result<Happening, Malformed> {
    let digest =
        |bytes: &[u8], field| if bytes.is_empty() { Ok(None) } else { Digest::parse(bytes, field).map(Some) };
    let part_digests = wire.part_digests.iter().map(|bytes| Digest::parse(bytes, "part_digests"));
    let envelope_id = &wire.envelope_id;
    Ok(Happening {
        event: Event::parse(wire.event, "event")?,
        sender: AgencyId::parse_optional(&wire.sender, "sender")?,
        recipient: AgencyId::parse_optional(&wire.recipient, "recipient")?,
        referral: wire.referral.as_ref().map(|wire| ReferralKey::parse(Some(wire))).transpose()?,
        attempt: wire.attempt,
        envelope_id: if envelope_id.is_empty() {
            None
        } else {
            Some(EnvelopeId::parse(envelope_id, "envelope_id")?)
        },
        envelope: digest(&wire.envelope, "envelope")?,
        act: if wire.act == 0 { None } else { Some(Act::parse(wire.act, "act")?) },
        reason: if wire.reason == 0 { None } else { Some(ReasonClass::parse(wire.reason, "reason")?) },
        part_digests: part_digests.collect::<Result<_, _>>()?,
        agreement: digest(&wire.agreement, "agreement")?,
        clause: Code::parse_optional(&wire.clause, "clause")?,
        rule: Code::parse_optional(&wire.rule, "rule")?,
        // The field's name is for readers of the bytes; what follows from a record never needs it.
        refusal: Refusal::from_number(wire.refusal).map(|refusal| (refusal, refusal.field())),
        object: digest(&wire.object, "object")?,
        actor: Pseudonym::parse_optional(&wire.actor, "actor")?,
        count: wire.count,
        clock: wire.clock,
        due_at: TimeMs(wire.due_at_ms),
        authorised_by: wire.authorised_by,
        status: status(wire.status)?,
        clocks: wire.clocks.iter().filter_map(Begun::parse).collect(),
        operation: if wire.operation == 0 {
            None
        } else {
            Some(Operation::parse(wire.operation, "operation")?)
        },
        operation_reason: Code::parse_optional(&wire.operation_reason, "operation_reason")?,
        shard: wire.shard.as_ref().map(ShardBegun::parse).transpose()?,
        parties: wire
            .parties
            .iter()
            .map(|link| AgencyId::parse(&link.party, "parties.party"))
            .collect::<Result<_, _>>()?,
    })
}

pub(crate) fn status_number(status: Status) -> u32 {
    status.number().unsigned_abs()
}

pub(crate) fn status(number: u32) -> Result<Option<Status>, Malformed> {
    let form = |_| Malformed::Form { field: "status" };
    if number == 0 {
        Ok(None)
    } else {
        Status::parse(i32::try_from(number).map_err(form)?, "status").map(Some)
    }
}

fn place(wire: &wire::EvidenceRecord) -> Result<Place, Malformed> {
    Ok(Place {
        index: wire.index,
        time: TimeMs(wire.time_ms),
        directory_size: wire.directory_size,
        previous: commitment(&wire.previous, "previous")?,
        links: wire.parties.iter().map(PartyLink::parse).collect::<Result<_, _>>()?,
    })
}

fn commitment(bytes: &[u8], field: &'static str) -> Result<Option<Commitment>, Malformed> {
    if bytes.is_empty() {
        Ok(None)
    } else {
        Digest::parse(bytes, field).map(|digest| Some(Commitment(digest)))
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;

    fn to_wire(what: &Happening, place: &Place) -> wire::EvidenceRecord {
        let text = |id: &Option<AgencyId>| id.as_ref().map_or_else(String::new, ToString::to_string);
        let code = |code: &Option<Code>| code.as_ref().map_or_else(String::new, ToString::to_string);
        let digest = |digest: Option<Digest>| digest.map_or_else(Vec::new, Digest::to_vec);
        wire::EvidenceRecord {
            index: place.index,
            event: what.event.number(),
            time_ms: place.time.0,
            sender: text(&what.sender),
            recipient: text(&what.recipient),
            referral: what.referral.as_ref().map(ReferralKey::to_wire),
            attempt: what.attempt,
            envelope_id: what.envelope_id.map_or_else(Vec::new, |id| id.as_bytes().to_vec()),
            envelope: digest(what.envelope),
            act: what.act.map_or(0, Act::number),
            reason: what.reason.map_or(0, ReasonClass::number),
            part_digests: what.part_digests.iter().map(|digest| digest.to_vec()).collect(),
            directory_size: place.directory_size,
            agreement: digest(what.agreement),
            clause: code(&what.clause),
            rule: code(&what.rule),
            refusal: what.refusal.map_or(0, |(refusal, _)| refusal.number()),
            refused_field: what.refusal.map_or_else(String::new, |(_, field)| field.to_owned()),
            object: digest(what.object),
            actor: what.actor.as_ref().map_or_else(String::new, ToString::to_string),
            count: what.count,
            clock: what.clock,
            due_at_ms: what.due_at.0,
            previous: digest(place.previous.map(|commitment| commitment.0)),
            parties: place.links.iter().map(PartyLink::to_wire).collect(),
            authorised_by: what.authorised_by,
            status: what.status.map_or(0, status_number),
            clocks: what
                .clocks
                .iter()
                .map(|begun| wire::ClockBegun {
                    clock: begun.kind.number().unsigned_abs(),
                    due_at_ms: begun.due_at.0,
                })
                .collect(),
            operation: what.operation.map_or(0, Operation::number),
            operation_reason: code(&what.operation_reason),
            shard: what.shard.map(ShardBegun::to_wire),
        }
    }

    /// Every number of the same record, from nothing to all.
    fn filled(with: u32) -> (Happening, Place) {
        let has = |bit: u32| with >> bit & 1 == 1;
        let agency = |text| AgencyId::parse(text, "agency").unwrap();
        let code = |text| Code::parse(text, "code").unwrap();
        let digest = |byte| Digest([byte; 32]);
        let id = EnvelopeId::new(TimeMs(77), [5; 10]);
        let long = AgencyId::parse(&format!("xx.{}", "y".repeat(60)), "agency").unwrap();
        let what = Happening {
            sender: has(0).then(|| agency("ae.dfwac")),
            recipient: has(1).then(|| long.clone()),
            referral: has(2).then(|| ReferralKey { id, opened_by: long.clone() }),
            attempt: if has(3) { 300 } else { 0 },
            envelope_id: has(4).then_some(id),
            envelope: has(5).then(|| digest(1)),
            act: has(6).then_some(Act::Accept),
            reason: has(7).then_some(ReasonClass::Other),
            part_digests: if has(8) { vec![digest(2), digest(3)] } else { Vec::new() },
            agreement: has(9).then(|| digest(4)),
            clause: has(10).then(|| code("clause")),
            rule: has(11).then(|| code("rule")),
            refusal: has(12).then_some((Refusal::Expired, "expires_at_ms")),
            object: has(13).then(|| digest(6)),
            actor: has(14).then(|| Pseudonym::parse("amal", "actor").unwrap()),
            count: if has(15) { u64::MAX } else { 0 },
            clock: if has(16) { 1 } else { 0 },
            due_at: TimeMs(if has(17) { 1 << 40 } else { 0 }),
            authorised_by: if has(18) { 128 } else { 0 },
            status: has(19).then_some(Status::Accepted),
            clocks: if has(24) {
                let due_at = TimeMs(1 << 41);
                vec![
                    Begun { kind: ClockKind::Seen, due_at },
                    Begun { kind: ClockKind::Transit, due_at: TimeMs(0) },
                ]
            } else {
                Vec::new()
            },
            operation: has(25).then_some(Operation::Return),
            operation_reason: has(26).then(|| code("cleared")),
            shard: has(27).then(|| ShardBegun {
                number: ShardNo::parse(2).unwrap(),
                restored: (300, digest(9)),
                witnessed: (u64::MAX, digest(10)),
            }),
            ..Happening::new(*Event::ALL.iter().cycle().nth(usize::try_from(with & 63).unwrap()).unwrap())
        };
        let link = |party, count, previous: Option<Digest>| PartyLink {
            party,
            count,
            previous: previous.map(Commitment),
        };
        let place = Place {
            index: if has(20) { 1 << 50 } else { 0 },
            time: TimeMs(u64::from(with)),
            directory_size: if has(21) { 12 } else { 0 },
            previous: has(22).then(|| Commitment(digest(7))),
            links: if has(23) {
                vec![link(agency("ae.dfwac"), 127, None), link(long, 128, Some(digest(8)))]
            } else {
                Vec::new()
            },
        };
        (what, place)
    }

    #[test]
    fn a_record_is_encoded_as_its_message_is() {
        let single = (0..28).map(|bit| 1 << bit);
        let without = (0..28).map(|bit| 0xfff_ffff ^ (1 << bit));
        let mixed = (0..2000_u32).map(|number| number.wrapping_mul(2_654_435_761) >> 4);
        for with in single.chain(without).chain(mixed).chain([0, 0xfff_ffff]) {
            let (what, place) = filled(with);
            assert_eq!(encode(&what, &place), to_wire(&what, &place).encode_to_vec(), "{with:b}");
        }
    }
}
