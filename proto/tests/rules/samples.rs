//! One fixed value of every format, with as many of its fields set as can be at once.

use prost::Message as _;
use proto::{
    batch::{Batch, Entry, LoggedCheckpoint},
    caller::{Caller, StaffRole},
    clocks::{Begun, ClockKind},
    command::{Command, Denial, DenialCount, Query, QueryCount, Sight, Tick},
    digest::Digest,
    dsse::PayloadType,
    evidence::{Commitment, Event, Happening, PartyLink, Place, Record, Salt, ShardBegun},
    fact::{DirectoryFact, Fact},
    header::{Header, Part},
    ids::{
        Addressing, EnvelopeId, Jurisdiction, Kind, PartClass, Pseudonym, ReasonClass, ReferralKey, Release,
        Storage, TimeMs, Urgency,
    },
    key::{KeyId, SigningKey},
    lifecycle::{Act, Status},
    log::{
        checkpoint::{Checkpoint, Origin},
        merkle::{Frontier, Growth, leaf_hash},
        shard::ShardNo,
    },
    operation::Operation,
    receipt::Receipt,
    refusal::Refusal,
    snapshot::Snapshot,
    wire::{self, KeyPurpose, directory_change::Change, directory_record::What},
};

use crate::{invitations, network::*, operations};

fn digest(text: &str) -> Digest {
    Digest::of(text.as_bytes())
}

fn id(last: u8) -> EnvelopeId {
    EnvelopeId::new(TimeMs(T0), [last; 10])
}

/// A second attempt, by need, with a part of every class, storage and release.
pub(crate) fn header() -> Header {
    let fallback = Part {
        part_id: 4,
        recipient: Some(agency(MOSD)),
        release: Release::OnTurn,
        key_ids: vec![KeyId::of(&sealing_key(MOSD))],
        ..summary(MOSD)
    };
    let attachment = Part {
        part_id: 3,
        storage: Storage::Uploaded,
        length_bytes: 1_000_000,
        ..part(PartClass::Attachment, Release::AtOnce, AMAN, "file")
    };
    let detail = Part { part_id: 5, ..part(PartClass::Detail, Release::AtOnce, AMAN, "detail") };
    Header {
        envelope_id: id(2),
        referral: ReferralKey { id: id(1), opened_by: agency(DFWAC) },
        attempt: 2,
        sequence: 2,
        previous: Some(digest("previous")),
        in_reply_to: Some(digest("in reply to")),
        kind: Kind::Referral,
        act: Act::Submit,
        reason: Some(ReasonClass::NoCapacity),
        from: agency(DFWAC),
        to: agency(AMAN),
        category: code("violence"),
        service: code("shelter"),
        urgency: Urgency::Emergency,
        jurisdiction: Jurisdiction::parse("AE-RK", "jurisdiction").unwrap(),
        identity_allowed: true,
        addressing: Addressing::ByNeed,
        directory_size: 16,
        agreement: digest("agreement"),
        mechanism: Some(digest("mechanism")),
        rule: Some(code("shelter-rak")),
        created_at: TimeMs(T0),
        expires_at: TimeMs(T0 + DAY),
        parts: vec![summary(AMAN), identity(AMAN), attachment, fallback, detail],
        fallbacks: vec![agency(MOSD), agency(IOM)],
    }
}

pub(crate) fn receipt_payload() -> wire::HandoverReceipt {
    let handovers = vec![
        received(digest("one"), &[digest("part one"), digest("part two")]),
        handover(digest("two"), wire::HandoverResult::CannotOpen, &[]),
        handover(digest("three"), wire::HandoverResult::WrongContent, &[digest("part")]),
    ];
    wire::HandoverReceipt { version: 1, recipient: AMAN.into(), handovers }
}

/// A second revision with every field set.
pub(crate) fn whole_agreement() -> wire::Agreement {
    let first = agreement(DFWAC, AMAN);
    let supersedes = digest_of(&first).to_vec();
    let limit = wire::ClockLimit { urgency: 1, clock: 2, seconds: 3600 };
    let mut clause = clause("there", AMAN, DFWAC);
    clause.clocks = Some(wire::Clocks { limits: vec![limit], calendar: "emirates".into() });
    clause.limits = Some(wire::Limits { attachment_bytes_max: 1, attachments_max: 2, envelope_bytes_max: 3 });
    clause.by_name_only = true;
    clause.sender_keeps_identity = true;
    let office = |party: wire::Party| wire::Party {
        signing_office_en: "Director".into(),
        signing_office_ar: "المدير".into(),
        ..party
    };
    wire::Agreement {
        revision: 2,
        supersedes,
        parties: first.parties.into_iter().map(office).collect(),
        paper_sha256: digest("paper").to_vec(),
        legal_basis: "Federal law".into(),
        hosting_country: "AE".into(),
        clauses: vec![clause],
        ..first
    }
}

pub(crate) fn whole_mechanism() -> wire::Mechanism {
    let mut mechanism = mechanism(7);
    let rule = &mut mechanism.rules[0];
    rule.from = vec![DFWAC.into()];
    rule.urgencies = vec![1, 2];
    rule.agent_conditions = vec!["child".into()];
    (rule.valid_from_ms, rule.valid_until_ms) = (T0, T0 + DAY);
    mechanism
}

/// Every kind of change, by its name.
pub(crate) fn changes() -> Vec<(&'static str, Change)> {
    let offer = wire::ServiceOffer {
        service: "shelter".into(),
        categories: vec!["violence".into()],
        jurisdictions: vec!["AE-RK".into()],
        capacity: wire::Capacity::Waitlist.into(),
    };
    let profile = wire::AgencyProfile {
        agency: AMAN.into(),
        offers: vec![offer],
        duty_phone: "+97172221111".into(),
        duty_hours: "emirates".into(),
    };
    let calendar = wire::Calendar {
        name: "emirates".into(),
        time_zone: "Asia/Dubai".into(),
        week_end: vec![6, 7],
        opens_minute: 480,
        closes_minute: 960,
        holidays: vec![20_261_202, 20_261_203],
    };
    let signing = key("next").public().to_bytes().to_vec();
    let add = wire::AddAdministrator { administrator: Some(administrator("dana")) };
    vec![
        ("genesis", genesis()),
        ("admit-agency", admission(AMAN)),
        ("publish-signing-key", publication(AMAN, KeyPurpose::Signing, signing.clone())),
        ("publish-sealing-key", publication(AMAN, KeyPurpose::Sealing, sealing_key("next"))),
        ("publish-witness-key", publication(AMAN, KeyPurpose::Witness, signing)),
        ("revoke-key", revocation(AMAN, key(AMAN).public().id())),
        ("profile", Change::Profile(profile)),
        ("suspend-agency", suspension(subject(AMAN))),
        ("suspend-agreement", suspension(subject_agreement(digest("agreement")))),
        ("resume", resumption(subject(AMAN))),
        ("add-administrator", Change::AddAdministrator(add)),
        (
            "remove-administrator",
            Change::RemoveAdministrator(wire::RemoveAdministrator { pseudonym: "dana".into() }),
        ),
        ("calendar", Change::Calendar(calendar)),
        ("confirm-clock", Change::ConfirmClock(wire::ConfirmClock { time_ms: T0 + 2 * DAY })),
        (
            "restore-override",
            Change::RestoreOverride(wire::RestoreOverride { evidence_size: 9, directory_size: 8 }),
        ),
        ("begin-shard", Change::BeginShard(begin_shard())),
        ("invite", Change::Invite(invitations::invite(T0 + DAY))),
        ("invite-again", Change::Invite(invitations::invite_again(AMAN, T0 + DAY))),
        ("revoke-invitation", invitations::revoking(invitations::INVITATION)),
        ("admit-invited-agency", Change::AdmitAgency(invitations::joining())),
        ("publish-key-by-invitation", Change::PublishKey(invitations::returning(AMAN))),
    ]
}

/// Of logs of which one agency holds more evidence than was restored, and nobody more of the directory.
fn begin_shard() -> wire::BeginShard {
    let root = digest("witnessed");
    let witnessed = Checkpoint { origin: origin(), size: 600, root }.sign(&log_key()).to_string();
    let cut = |size, root, witnessed| wire::LogCut { size, root: digest(root).to_vec(), witnessed };
    wire::BeginShard {
        number: 2,
        evidence: Some(cut(512, "evidence", witnessed)),
        directory: Some(cut(20, "directory", String::new())),
    }
}

/// What begins a shard is a record of its own form.
pub(crate) fn record_of_a_shard() -> Record {
    let shard = ShardBegun {
        number: ShardNo::parse(2).unwrap(),
        restored: (512, digest("evidence")),
        witnessed: (600, digest("witnessed")),
    };
    let what = Happening {
        object: Some(digest("change")),
        actor: Some(Pseudonym::parse("amal", "actor").unwrap()),
        shard: Some(shard),
        ..Happening::new(Event::ShardBegun)
    };
    let place = Place { index: 512, time: TimeMs(T0), directory_size: 21, previous: None, links: Vec::new() };
    Record::new(what, place, salt())
}

/// A network that has gone on in a second shard.
pub(crate) fn snapshot_with_a_shard() -> Snapshot {
    let mut net = Network::new();
    let begun = crate::shards::next(&net, 2);
    net.change(&by("amal"), Change::BeginShard(begun), &["amal", "badr"]).accepted();
    net.writer.snapshot()
}

pub(crate) fn change_payload(change: Change) -> wire::DirectoryChange {
    wire::DirectoryChange {
        version: 1,
        change_id: id(3).as_bytes().to_vec(),
        created_at_ms: T0,
        change: Some(change),
    }
}

fn signed(payload_type: PayloadType, payload: Vec<u8>, signers: &[&str]) -> wire::SignedObject {
    sign(payload_type, payload, signers)
}

pub(crate) fn signed_envelope() -> wire::SignedObject {
    signed(PayloadType::Envelope, header().to_wire().encode_to_vec(), &[DFWAC])
}

/// A leaf of the directory log of every kind, by its name.
pub(crate) fn directory_records() -> Vec<(&'static str, DirectoryFact)> {
    let change = change_payload(admission(AMAN)).encode_to_vec();
    let entry = wire::AgreementEntry {
        agreement: digest("agreement").to_vec(),
        parties: vec![AMAN.into(), DFWAC.into()],
        signed_by: vec![AMAN.into()],
        in_force: true,
        supersedes: digest("older").to_vec(),
    };
    let mechanism = whole_mechanism().encode_to_vec();
    let whats = [
        ("change", What::Change(signed(PayloadType::DirectoryEntry, change, &["amal", "badr", AMAN]))),
        ("agreement", What::Agreement(entry)),
        ("mechanism", What::Mechanism(signed(PayloadType::Mechanism, mechanism, &["amal", "badr"]))),
        ("lapse", What::Lapse(wire::Lapse { subject: Some(subject(AMAN)) })),
    ];
    whats.map(|(name, what)| (name, DirectoryFact::new(TimeMs(T0), TimeMs(T0 + DAY), what))).into()
}

/// A record with every field set; no event has them all.
pub(crate) fn record() -> Record {
    let what = Happening {
        event: Event::ConsignmentRejection,
        sender: Some(agency(AMAN)),
        recipient: Some(agency(DFWAC)),
        referral: Some(ReferralKey { id: id(1), opened_by: agency(DFWAC) }),
        attempt: 2,
        envelope_id: Some(id(2)),
        envelope: Some(digest("envelope")),
        act: Some(Act::Decline),
        reason: Some(ReasonClass::OutOfArea),
        part_digests: vec![digest("part one"), digest("part two")],
        agreement: Some(digest("agreement")),
        clause: Some(code("there")),
        rule: Some(code("shelter-rak")),
        refusal: Some((Refusal::SealingKeyNotInForce, "parts.key_ids")),
        object: Some(digest("object")),
        actor: Some(Pseudonym::parse("amal", "actor").unwrap()),
        count: 7,
        clock: 2,
        due_at: TimeMs(T0 + 1),
        authorised_by: 3,
        status: Some(Status::Declined),
        clocks: vec![Begun { kind: ClockKind::Escalation, due_at: TimeMs(T0 + HOUR) }],
        // Of operators' acts there is a sample of its own.
        operation: None,
        operation_reason: None,
        // Nor of a shard.
        shard: None,
        parties: vec![agency(AMAN), agency(DFWAC)],
    };
    let before = |text| Some(Commitment(digest(text)));
    let links = vec![
        PartyLink { party: agency(AMAN), count: 1, previous: None },
        PartyLink { party: agency(DFWAC), count: 9, previous: before("its last") },
    ];
    let previous = before("before");
    Record::new(what, Place { index: 5, time: TimeMs(T0), directory_size: 16, previous, links }, salt())
}

pub(crate) fn salt() -> Salt {
    Salt(*digest("salt").as_bytes())
}

/// The log key of DESIGN's vectors.
pub(crate) fn log_key() -> SigningKey {
    SigningKey::from_seed(&std::array::from_fn(|place| u8::try_from(place).unwrap()))
}

pub(crate) fn origin() -> Origin {
    Origin::parse("referral.example/log/2026").unwrap()
}

/// The record as the sixth leaf of eight.
pub(crate) fn receipt() -> Receipt {
    let record = record();
    let mut leaves: Vec<_> = (0..8u8).map(|place| leaf_hash(&[place])).collect();
    leaves[5] = leaf_hash(&record.commitment().leaf());
    let growth = Growth::new(&Frontier::default(), &leaves);
    let checkpoint = Checkpoint { origin: origin(), size: growth.size(), root: growth.root() };
    Receipt::new(record, growth.inclusion_proof(5).unwrap(), checkpoint.sign(&log_key())).unwrap()
}

fn logged(text: &str) -> LoggedCheckpoint {
    LoggedCheckpoint { size: 600, root: digest(text), sig: [7; 64] }
}

fn entry(caller: Caller, command: Command, facts: Vec<Fact>) -> Entry {
    Entry { caller, command, facts, blobs: 0, reopened: None }
}

fn command(payload_type: PayloadType, payload: Vec<u8>, signers: &[&str]) -> Command {
    Command::from_our_own_journal(signed(payload_type, payload, signers)).unwrap()
}

/// Every kind of command, caller and fact. What they did is not what the rules would say.
pub(crate) fn batch() -> Batch {
    use PayloadType::{Agreement, DirectoryEntry, Envelope, Mechanism};
    let net = run();
    let (key, referral) = net.writer.referrals().next().unwrap();
    let count = DenialCount {
        caller: DFWAC.into(),
        refusal: Refusal::MalformedBytes,
        count: 12,
        window_start: TimeMs(T0),
    };
    let denial = |digest| {
        Command::Denial(Denial {
            refusal: Refusal::MalformedBytes,
            field: Refusal::MalformedBytes.field(),
            digest,
        })
    };
    let push = command(Envelope, header().to_wire().encode_to_vec(), &[DFWAC]);
    let receipt = command(PayloadType::Receipt, receipt_payload().encode_to_vec(), &[AMAN]);
    let change =
        command(DirectoryEntry, change_payload(admission(AMAN)).encode_to_vec(), &["amal", "badr", AMAN]);
    let agreement = command(Agreement, whole_agreement().encode_to_vec(), &[AMAN, DFWAC]);
    let mechanism = command(Mechanism, whole_mechanism().encode_to_vec(), &["amal", "badr"]);
    let leaf = |place: usize| Fact::Directory(directory_records().swap_remove(place).1);
    let pushed = entry(by(DFWAC), push, vec![Fact::from(record())]);
    let entries = vec![
        Entry { blobs: 4, reopened: Some(Box::new((key.clone(), referral.clone()))), ..pushed },
        entry(by(AMAN), receipt, Vec::new()),
        entry(by("amal"), change, vec![leaf(0), Fact::from(record())]),
        entry(by(AMAN), agreement, vec![leaf(1)]),
        entry(by("amal"), mechanism, vec![leaf(2)]),
        entry(staff("olga", StaffRole::Operator), denial(Some(digest("refused"))), Vec::new()),
        entry(staff("omar", StaffRole::Auditor), denial(None), Vec::new()),
        entry(
            Caller::Gateway,
            Command::Tick(Tick {
                denials: vec![count],
                resumed_after_ms: HOUR,
                clock_ahead_ms: 7,
                restored_by: None,
            }),
            vec![leaf(3)],
        ),
        entry(Caller::Gateway, Command::Tick(Tick::default()), Vec::new()),
    ];
    Batch {
        now: TimeMs(T0),
        evidence: Some(logged("evidence")),
        directory: Some(logged("directory")),
        entries,
    }
}

/// What an invitation adds to the formats on disk: a caller, and an item of the directory.
pub(crate) fn batch_of_invited() -> Batch {
    let change = change_payload(Change::AdmitAgency(invitations::joining())).encode_to_vec();
    let signers = [invitations::NEW, invitations::INVITATION];
    let change = command(PayloadType::DirectoryEntry, change, &signers);
    let caller = invitations::invited(invitations::NEW);
    let entries = vec![entry(caller, change, vec![Fact::from(record())])];
    Batch { now: TimeMs(T0), evidence: None, directory: None, entries }
}

/// A network with an invitation of each standing.
pub(crate) fn snapshot_with_invitations() -> Snapshot {
    let mut net = invitations::inviting(invitations::invite(T0 + DAY));
    let admit = Change::AdmitAgency(invitations::joining());
    net.change(&by("amal"), admit, &[invitations::NEW, invitations::INVITATION]).accepted();
    for name in ["second", "third"] {
        let invite = wire::Invite {
            invitation_key: invitations::public(name),
            ..invitations::invite_again(AMAN, T0 + DAY)
        };
        net.change(&by("amal"), Change::Invite(invite), &["amal", "badr", name]).accepted();
    }
    net.writer.snapshot()
}

/// An operator's act on a referral, and one on the gateway itself.
pub(crate) fn batch_of_operations() -> Batch {
    let what = Happening {
        event: Event::Operated,
        operation: Some(Operation::Return),
        operation_reason: Some(code("recipient_unreachable")),
        count: 2,
        ..record().what
    };
    let record = Record::new(what, record().place, salt());
    let (operator, referral) = (operations::operator("olga"), header().referral);
    let acts = [Operation::Return, Operation::Drain].map(|one| operations::of(one, &referral));
    let entries = acts.map(|act| entry(operator.clone(), act, vec![Fact::from(record.clone())]));
    Batch { now: TimeMs(T0), evidence: None, directory: None, entries: entries.into() }
}

/// Referrals with which operators are not done.
pub(crate) fn snapshot_with_interventions() -> Snapshot {
    let mut net = Network::new();
    let [told, held, asked] = [(); 3].map(|()| net.opens(DFWAC, AMAN).referral);
    let mut acts = |who: &str, operation, referral| {
        net.run(&operations::operator(who), operations::of(operation, referral)).accepted();
    };
    acts("olga", Operation::NotifyAgain, &told);
    acts("olga", Operation::Hold, &held);
    acts("olga", Operation::Hold, &asked);
    acts("omar", Operation::Hold, &asked);
    acts("omar", Operation::Return, &asked);
    net.writer.snapshot()
}

/// Queries: of a referral, of a record, and those that were counted.
pub(crate) fn batch_of_queries() -> Batch {
    let referral = header().referral;
    let count = QueryCount { caller: DFWAC.into(), count: 40, window_start: TimeMs(T0) };
    let entries = vec![
        entry(
            staff("omar", StaffRole::Auditor),
            Command::Query(Query { of: Sight::Evidence, referral: Some(referral), index: None }),
            vec![Fact::from(record())],
        ),
        entry(
            by("amal"),
            Command::Query(Query { of: Sight::Evidence, referral: None, index: Some(0) }),
            Vec::new(),
        ),
        entry(Caller::Gateway, Command::Queries(vec![count]), Vec::new()),
    ];
    Batch { now: TimeMs(T0), evidence: None, directory: None, entries }
}

/// A small network in the middle of its work: something of everything that a snapshot holds.
pub(crate) fn run() -> Network {
    let mut net = Network::new();
    for (name, change) in changes() {
        if name == "calendar" {
            net.change(&by("amal"), change, &["amal", "badr"]).accepted();
        } else if name == "profile" || name == "publish-witness-key" {
            net.change(&by(AMAN), change, &[AMAN]).accepted();
        }
    }
    let ahead = net.opening_with(AMAN, &[IOM]);
    net.push(&ahead).accepted();
    net.change(&by("amal"), revocation(IOM, KeyId::of(&sealing_key(IOM))), &["amal"]).accepted();
    net.change(&by("amal"), suspension(subject(SILENT)), &["amal"]).accepted();
    net.change(
        &by("amal"),
        suspension(subject_agreement(digest_of(&agreement(DFWAC, MOSD)))),
        &["amal", "badr"],
    )
    .accepted();
    let opening = net.opens(DFWAC, AMAN);
    let old = agreement(DFWAC, AMAN);
    let supersedes = digest_of(&old).to_vec();
    let renewed = net.agree(&wire::Agreement { revision: 2, supersedes, ..old });
    net.does(&opening, AMAN, Act::Accept);
    net.does(&opening, AMAN, Act::Start);
    net.does(&opening, AMAN, Act::Hold);
    let wrong = Header { category: code("other"), ..net.opening(DFWAC, AMAN) };
    net.push(&wrong);
    let unread = Header { agreement: renewed, ..net.opening(DFWAC, AMAN) };
    net.push(&unread).accepted();
    let cannot_open = handover(envelope_digest(&unread), wire::HandoverResult::CannotOpen, &[]);
    net.hands_over(AMAN, vec![cannot_open]).accepted();
    for tick in
        [Tick { resumed_after_ms: HOUR, ..Tick::default() }, Tick { clock_ahead_ms: DAY, ..Tick::default() }]
    {
        net.run(&Caller::Gateway, Command::Tick(tick)).accepted();
    }
    net
}

pub(crate) fn snapshot() -> Snapshot {
    let (evidence, directory) = (Some(logged("evidence")), Some(logged("directory")));
    Snapshot { evidence, directory, ..run().writer.snapshot() }
}
