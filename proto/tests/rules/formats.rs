//! Every format of wire and disk as committed bytes: what is written is the file, what the file holds
//! is read again. And every field's number, name and type as committed text.

use prost::Message;
use proto::{
    Malformed,
    agreement::Agreement,
    batch::Batch,
    certificate_order::Order,
    command::Command,
    digest::Digest,
    directory::Change,
    dsse::{PayloadType, Unverified},
    evidence::Record,
    fact::DirectoryFact,
    header::Header,
    ids::TimeMs,
    log::{
        checkpoint::Checkpoint,
        note::{KeyType, SignedNote, VerifierKey},
        policy::Policy,
    },
    mechanism::Mechanism,
    receipt::Receipt,
    snapshot::Snapshot,
    wire,
};

use crate::{network::*, samples};

/// Compares bytes with their golden file, and gives back what the file holds. The file begins with
/// a line that says what it is.
fn golden(name: &str, says: &str, bytes: &[u8]) -> Vec<u8> {
    let digits: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let lines = digits.as_bytes().chunks(96).map(|line| std::str::from_utf8(line).unwrap());
    let text = format!("# {says}\n{}\n", lines.collect::<Vec<_>>().join("\n"));
    let file = golden_text(&format!("wire/{name}.hex"), &text);
    let digits: Vec<_> = file.lines().skip(1).flat_map(str::bytes).collect();
    digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// Compares a text with its golden file. One that differs is put beside the build, to be looked at
/// and, if it is meant, copied.
#[allow(clippy::disallowed_methods, reason = "a test that fails shows what it got")]
pub(crate) fn golden_text(name: &str, text: &str) -> String {
    let golden = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    let file = std::fs::read_to_string(&golden).unwrap_or_default();
    if file != text {
        let got = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(got.parent().unwrap()).unwrap();
        std::fs::write(&got, text).unwrap();
        panic!("{} differs from what is made now, {}", golden.display(), got.display());
    }
    file
}

#[test]
fn signed_envelope() {
    let object = samples::signed_envelope();
    let file =
        golden("signed-envelope", "SignedObject: a Header, signed by ae.dfwac", &object.encode_to_vec());
    let read = wire::SignedObject::decode(file.as_slice()).unwrap();
    assert!(read == object);
    let public = key(DFWAC).public();
    let signed =
        Unverified::parse(read).unwrap().verify(|id| (*id == public.id()).then_some(public)).unwrap();
    assert_eq!(signed.digest(), envelope_digest(&samples::header()));
    assert_eq!(Header::parse(signed.payload()), Ok(samples::header()));
}

#[test]
fn header() {
    let header = samples::header();
    let file = golden("header", "Header: every field set", &header.to_wire().encode_to_vec());
    assert_eq!(Header::parse(&file), Ok(header));
}

#[test]
fn handover_receipt() {
    let wire = samples::receipt_payload();
    let file =
        golden("handover-receipt", "HandoverReceipt: three envelopes, each result", &wire.encode_to_vec());
    let object = sign(PayloadType::Receipt, file, &[AMAN]);
    let Ok(Command::Handover(handover)) = Command::from_our_own_journal(object) else {
        panic!("it is a receipt")
    };
    assert_eq!(handover.recipient, agency(AMAN));
    let again = handover.received.iter().map(|received| wire::Handover {
        envelope: received.envelope.to_vec(),
        result: received.result.number(),
        part_digests: received.part_digests.iter().map(|digest| digest.to_vec()).collect(),
    });
    assert!(again.collect::<Vec<_>>() == wire.handovers);
}

#[test]
fn certificate_order() {
    let object = Order::Keep(Digest([7; 32])).sign(&agency(AMAN), TimeMs(T0), &key(AMAN));
    let file = golden("certificate-order", "CertificateOrder: keep", &object.payload);
    assert!(file == object.payload);
}

#[test]
fn agreement() {
    let wire = samples::whole_agreement();
    let file = golden("agreement", "Agreement: a second revision, every field set", &wire.encode_to_vec());
    assert!(wire::Agreement::decode(file.as_slice()).unwrap() == wire);
    let read = Agreement::parse(&file).unwrap();
    assert_eq!((read.revision, read.clauses.len(), read.clauses[0].attachments_max), (2, 1, 2));
}

#[test]
fn mechanism() {
    let wire = samples::whole_mechanism();
    let file = golden("mechanism", "Mechanism: one rule, every field set", &wire.encode_to_vec());
    assert!(wire::Mechanism::decode(file.as_slice()).unwrap() == wire);
    assert_eq!(Mechanism::parse(&file).unwrap().revision, 7);
}

#[test]
fn every_change() {
    for (name, change) in samples::changes() {
        let wire = samples::change_payload(change);
        let file = golden(&format!("change-{name}"), "DirectoryChange", &wire.encode_to_vec());
        assert!(wire::DirectoryChange::decode(file.as_slice()).unwrap() == wire, "{name}");
        assert!(Change::parse(&file).is_ok(), "{name}");
    }
}

#[test]
fn directory_records() {
    for (name, fact) in samples::directory_records() {
        let file = golden(
            &format!("directory-record-{name}"),
            "DirectoryRecord: a leaf of the directory log",
            fact.bytes(),
        );
        assert!(DirectoryFact::parse(file).unwrap() == fact, "{name}");
    }
}

#[test]
fn evidence_record_and_its_leaf() {
    let record = samples::record();
    let file = golden(
        "evidence-record",
        "EvidenceRecord: every field set, though no event has them all",
        record.bytes(),
    );
    let read = Record::parse(file, &record.salt.0).unwrap();
    assert!(read == record && read.what == record.what && read.place == record.place);
    let leaf = golden(
        "evidence-leaf",
        "0x01 || SHA-256(domain || salt || evidence-record), salt SHA-256('salt')",
        &record.commitment().leaf(),
    );
    let domain: &[u8] = b"referral/evidence/v1\0";
    let expected = Digest::of_all(&[domain, &record.salt.0, record.bytes()]);
    assert_eq!(leaf, [&[1], expected.as_bytes().as_slice()].concat());
}

#[test]
fn receipt_as_message_and_as_file() {
    let receipt = samples::receipt();
    let file =
        golden("receipt", "Receipt: evidence-record as leaf 5 of 8", &receipt.to_wire().encode_to_vec());
    assert_eq!(Receipt::parse(wire::Receipt::decode(file.as_slice()).unwrap()).unwrap(), receipt);
    let text = golden_text("wire/receipt.tlog-proof", &receipt.to_file());
    let read = Receipt::parse_file(&text).unwrap();
    assert_eq!(read, receipt);
    let name = samples::origin().key_name().clone();
    let log = VerifierKey::new(name, KeyType::Ed25519, samples::log_key().public());
    assert_eq!(read.verify(&Policy::unwitnessed(log).unwrap()).unwrap().size, 8);
}

#[test]
fn batch() {
    let batch = samples::batch();
    let queries = samples::batch_of_queries();
    let file = golden("batch-queries", "Batch: queries, and counts of them", &queries.encode());
    assert!(Batch::parse(&file).unwrap() == queries);
    let file = golden("batch", "Batch: every kind of command, caller and fact", &batch.encode());
    assert!(Batch::parse(&file).unwrap() == batch);
}

#[test]
fn what_invitations_add_to_disk() {
    let batch = samples::batch_of_invited();
    let file =
        golden("batch-invited", "Batch: an admission that whoever was invited brought", &batch.encode());
    assert!(Batch::parse(&file).unwrap() == batch);
    let snapshot = samples::snapshot_with_invitations();
    let file = golden(
        "snapshot-invitations",
        "Snapshot: an invitation open, one used, one revoked",
        &snapshot.encode(),
    );
    assert!(Snapshot::parse(&file).unwrap() == snapshot);
    let standings = snapshot.state.directory().invitations().map(|one| one.standing);
    assert_eq!(standings.collect::<std::collections::BTreeSet<_>>().len(), 3);
}

#[test]
fn what_a_shard_adds_to_log_and_disk() {
    let record = samples::record_of_a_shard();
    let file = golden("evidence-record-shard", "EvidenceRecord: the first of a shard", record.bytes());
    let read = Record::parse(file, &record.salt.0).unwrap();
    assert!(read == record && read.what == record.what && read.place == record.place);
    let snapshot = samples::snapshot_with_a_shard();
    let file = golden("snapshot-shard", "Snapshot: a network in its second shard", &snapshot.encode());
    let read = Snapshot::parse(&file).unwrap();
    assert!(read == snapshot && read.state.directory().shards().len() == 1);
    // Under its own name, with the log's key: anybody derives the verifier key.
    let name = samples::origin();
    let log = VerifierKey::new(name.key_name().clone(), KeyType::Ed25519, samples::log_key().public());
    let shard = proto::log::shard::ShardNo::parse(2).unwrap();
    let checkpoint = Checkpoint { origin: name.shard(shard).unwrap(), size: 600, root: Digest([7; 32]) };
    let note = checkpoint.sign(&samples::log_key());
    let text = golden_text("log/shard-2.note", &format!("{}\n{note}", log.shard(shard).unwrap()));
    let (vkey, note) = text.split_once('\n').unwrap();
    let by_itself = Policy::unwitnessed(VerifierKey::parse(vkey).unwrap()).unwrap();
    let note = SignedNote::parse(note).unwrap();
    for policy in [by_itself, Policy::unwitnessed(log).unwrap()] {
        assert_eq!(policy.open(&note).as_ref(), Ok(&checkpoint));
    }
}

#[test]
fn what_operators_add_to_disk() {
    let batch = samples::batch_of_operations();
    let file = golden("batch-operations", "Batch: operators' acts", &batch.encode());
    assert!(Batch::parse(&file).unwrap() == batch);
    let snapshot = samples::snapshot_with_interventions();
    let file = golden(
        "snapshot-interventions",
        "Snapshot: people told again, a hold, one confirmed and its return asked for",
        &snapshot.encode(),
    );
    assert!(Snapshot::parse(&file).unwrap() == snapshot);
    // A release that knows no holds does not take it for one of its own, and neither that act.
    assert_eq!(wire::Snapshot::decode(file.as_slice()).unwrap().version, 2);
    assert_eq!(wire::Snapshot::decode(samples::snapshot().encode().as_slice()).unwrap().version, 1);
}

/// What a later release writes is refused, not half understood.
#[test]
fn what_a_later_release_writes() {
    let mut snapshot = wire::Snapshot::decode(samples::snapshot().encode().as_slice()).unwrap();
    snapshot.version = 3;
    let later = Snapshot::parse(&snapshot.encode_to_vec()).map(|_| ());
    assert_eq!(later, Err(Malformed::Form { field: "version" }));
    // A command that this release does not know.
    let mut batch = wire::Batch::decode(samples::batch_of_operations().encode().as_slice()).unwrap();
    batch.entries[0].command = None;
    let later = Batch::parse(&batch.encode_to_vec()).map(|_| ());
    assert_eq!(later, Err(Malformed::Missing { field: "command" }));
}

#[test]
fn snapshot() {
    let snapshot = samples::snapshot();
    let file = golden("snapshot", "Snapshot: a small network in the middle of its work", &snapshot.encode());
    assert!(Snapshot::parse(&file).unwrap() == snapshot);
    let wire = wire::Snapshot::decode(file.as_slice()).unwrap();
    assert!(
        wire.mail.iter().any(|mail| mail.blocked) && wire.referrals.iter().any(|one| one.resumes_to != 0)
    );
    assert!(wire.referrals.iter().any(|one| one.parked.is_some()) && !wire.denials.is_empty());
    assert!(wire.referrals.iter().any(|one| one.sealed_ahead.is_some()) && wire.clock.is_some());
}

/// What a release wrote that knew no clocks. Nothing of it has changed its meaning.
#[test]
#[allow(clippy::disallowed_methods, reason = "golden files")]
fn formats_from_before_there_were_clocks() {
    let read = |name: &str| {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/wire").join(name);
        let file = std::fs::read_to_string(path).unwrap();
        let digits: Vec<_> = file.lines().skip(1).flat_map(str::bytes).collect();
        let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
        digits.chunks(2).map(byte).collect::<Vec<_>>()
    };
    let record = Record::parse(read("before-clocks-evidence-record.hex"), &samples::salt().0).unwrap();
    let now = samples::record();
    assert_eq!(record.place, now.place);
    assert_eq!(record.what, proto::evidence::Happening { clocks: Vec::new(), ..now.what });
    let bytes = read("before-clocks-batch.hex");
    assert!(Batch::parse(&bytes).unwrap().encode() != bytes, "an open referral says that it has no clock");
    let snapshot = Snapshot::parse(&read("before-clocks-snapshot.hex")).unwrap();
    assert_eq!(snapshot.state.clock_alarm(), None);
    // What waits there for an answer begins to be awaited at the snapshot's moment.
    assert_eq!(snapshot.state.clocks_running(), 1);
    let due = proto::decide::next_due(&snapshot.state).unwrap();
    assert_eq!(due, snapshot.state.now().plus_ms(4 * HOUR), "urgent: delivered within four hours");
}

// The parts of `google.protobuf.FileDescriptorSet` that say what is on the wire.

#[derive(Clone, PartialEq, Message)]
struct Files {
    #[prost(message, repeated, tag = "1")]
    file: Vec<File>,
}

#[derive(Clone, PartialEq, Message)]
struct File {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "4")]
    messages: Vec<Described>,
    #[prost(message, repeated, tag = "5")]
    enums: Vec<List>,
    #[prost(message, repeated, tag = "6")]
    services: Vec<Service>,
}

#[derive(Clone, PartialEq, Message)]
struct Described {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    fields: Vec<Field>,
    #[prost(message, repeated, tag = "3")]
    nested: Vec<Self>,
    #[prost(message, repeated, tag = "8")]
    oneofs: Vec<Oneof>,
}

#[derive(Clone, PartialEq, Message)]
struct Oneof {
    #[prost(string, tag = "1")]
    name: String,
}

#[derive(Clone, PartialEq, Message)]
struct Field {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int32, tag = "3")]
    number: i32,
    #[prost(int32, tag = "4")]
    label: i32,
    #[prost(int32, tag = "5")]
    kind: i32,
    #[prost(string, tag = "6")]
    of: String,
    #[prost(int32, optional, tag = "9")]
    oneof: Option<i32>,
}

#[derive(Clone, PartialEq, Message)]
struct List {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    values: Vec<Value>,
}

#[derive(Clone, PartialEq, Message)]
struct Value {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(int32, tag = "2")]
    number: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Service {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(message, repeated, tag = "2")]
    methods: Vec<Method>,
}

#[derive(Clone, PartialEq, Message)]
struct Method {
    #[prost(string, tag = "1")]
    name: String,
    #[prost(string, tag = "2")]
    input: String,
    #[prost(string, tag = "3")]
    output: String,
    #[prost(bool, tag = "5")]
    client_streams: bool,
    #[prost(bool, tag = "6")]
    server_streams: bool,
}

fn kind(field: &Field) -> String {
    let scalar = match field.kind {
        3 => "int64",
        4 => "uint64",
        5 => "int32",
        8 => "bool",
        9 => "string",
        12 => "bytes",
        13 => "uint32",
        11 | 14 => field.of.trim_start_matches(".referral.v1."),
        other => panic!("{}: type {other} has no name here", field.name),
    };
    if field.label == 3 { format!("repeated {scalar}") } else { scalar.to_owned() }
}

fn describe(message: &Described, text: &mut String) {
    for field in &message.fields {
        let oneof = field.oneof.map(|place| &message.oneofs[usize::try_from(place).unwrap()].name);
        let oneof = oneof.map_or_else(String::new, |name| format!(" oneof {name}"));
        *text += &format!("{}.{} = {} {}{oneof}\n", message.name, field.name, field.number, kind(field));
    }
    assert!(message.nested.is_empty(), "{}: nested messages have no line here", message.name);
}

#[test]
fn every_fields_number_name_and_type() {
    let files = Files::decode(wire::DESCRIPTORS).unwrap();
    let mut text = String::new();
    for file in &files.file {
        text += &format!("\n# {}\n", file.name);
        for message in &file.messages {
            describe(message, &mut text);
        }
        for list in &file.enums {
            for value in &list.values {
                text += &format!("{}: {} = {}\n", list.name, value.name, value.number);
            }
        }
        for service in &file.services {
            for method in &service.methods {
                let stream = |streams| if streams { "stream " } else { "" };
                let (input, output) = (stream(method.client_streams), stream(method.server_streams));
                let names =
                    [&method.input, &method.output].map(|name| name.trim_start_matches(".referral.v1."));
                text += &format!(
                    "{}/{} {input}{} -> {output}{}\n",
                    service.name, method.name, names[0], names[1]
                );
            }
        }
    }
    golden_text("wire/fields.txt", text.trim_start());
}
