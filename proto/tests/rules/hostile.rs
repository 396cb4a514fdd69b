//! Bytes from anyone: no parser panics, what is signed has one encoding, and every limit holds at its
//! edge.

use prost::Message as _;
use proto::{
    Malformed,
    agreement::{AGREEMENT_TEXT_BYTES_MAX, Agreement, CLAUSE_VALUES_MAX, CLAUSES_MAX, PARTIES_MAX},
    batch::{Batch, ENTRIES_MAX},
    command::{Command, DENIAL_COUNTS_MAX, HANDOVERS_MAX, check_parts},
    digest::Digest,
    directory::{ADMINISTRATORS_MAX, Change as Parsed},
    dsse::{self, PayloadType, Unverified},
    evidence::{RECORD_BYTES_MAX, Record},
    fact::{DIRECTORY_RECORD_BYTES_MAX, DirectoryFact},
    header::{
        FALLBACKS_MAX, HEADER_BYTES_MAX, Header, INLINE_BYTES_MAX, PART_KEYS_MAX, PARTS_MAX, Part,
        UPLOADED_BYTES_MAX,
    },
    ids::{AgencyId, Code, Jurisdiction, Kind, PartClass, Pseudonym, Release, Storage},
    key::KeyId,
    lifecycle::Act,
    log::{checkpoint::Checkpoint, note::SignedNote},
    mechanism::{Mechanism, RULE_VALUES_MAX, RULES_MAX},
    receipt::Receipt,
    refusal::Refusal::DirectoryFull,
    snapshot::Snapshot,
    wire::{self, directory_change::Change},
};

use crate::{network::*, samples};

type Parser = fn(&[u8]) -> bool;
type OfPayload = fn(&[u8]) -> Option<Malformed>;

fn receipt_of(payload: &[u8]) -> Result<Command, Malformed> {
    Command::from_our_own_journal(unsigned(PayloadType::Receipt, payload.to_vec(), &[AMAN]))
}

/// Every parser, with bytes that it takes.
fn parsers() -> Vec<(&'static str, Vec<u8>, Parser)> {
    let mut parsers: Vec<(&'static str, Vec<u8>, Parser)> = vec![
        ("header", samples::header().to_wire().encode_to_vec(), |bytes| Header::parse(bytes).is_ok()),
        ("receipt payload", samples::receipt_payload().encode_to_vec(), |bytes| receipt_of(bytes).is_ok()),
        ("agreement", samples::whole_agreement().encode_to_vec(), |bytes| Agreement::parse(bytes).is_ok()),
        ("mechanism", samples::whole_mechanism().encode_to_vec(), |bytes| Mechanism::parse(bytes).is_ok()),
        ("record", samples::record().bytes().to_vec(), |bytes| {
            Record::parse(bytes.to_vec(), &[0; 32]).is_ok()
        }),
        ("batch", samples::batch().encode(), |bytes| Batch::parse(bytes).is_ok()),
        ("snapshot", samples::snapshot().encode(), |bytes| {
            // What is read can be written and worked on.
            Snapshot::parse(bytes)
                .map(|mut snapshot| {
                    snapshot.state.begin_batch(proto::ids::TimeMs(u64::MAX));
                    let tick = Command::Tick(proto::command::Tick::default());
                    drop(proto::decide::decide(&snapshot.state, &proto::caller::Caller::Gateway, &tick));
                    snapshot.encode()
                })
                .is_ok()
        }),
        ("receipt", samples::receipt().to_wire().encode_to_vec(), |bytes| {
            wire::Receipt::decode(bytes).is_ok_and(|wire| Receipt::parse(wire).is_ok())
        }),
        ("receipt file", samples::receipt().to_file().into_bytes(), |bytes| {
            std::str::from_utf8(bytes).is_ok_and(|text| Receipt::parse_file(text).is_ok())
        }),
        ("signed object", samples::signed_envelope().encode_to_vec(), |bytes| {
            wire::SignedObject::decode(bytes)
                .is_ok_and(|object| Command::from_our_own_journal(object).is_ok())
        }),
    ];
    for (name, fact) in samples::directory_records() {
        parsers.push((name, fact.bytes().to_vec(), |bytes| DirectoryFact::parse(bytes.to_vec()).is_ok()));
    }
    for (name, change) in samples::changes() {
        let payload = samples::change_payload(change).encode_to_vec();
        parsers.push((name, payload, |bytes| Parsed::parse(bytes).is_ok()));
    }
    parsers
}

/// A xorshift generator: the same bytes everywhere.
fn random(seed: &mut u64) -> u64 {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    *seed
}

fn below(seed: &mut u64, sides: usize) -> usize {
    usize::try_from(random(seed) % u64::try_from(sides).unwrap()).unwrap()
}

fn byte(seed: &mut u64) -> u8 {
    random(seed).to_le_bytes()[3]
}

#[test]
fn no_truncation_panics() {
    for (name, bytes, parse) in parsers() {
        assert!(parse(&bytes), "{name}");
        let step = (bytes.len() / 2_000).max(1);
        for end in (0..bytes.len()).step_by(step) {
            parse(&bytes[..end]);
        }
    }
}

#[test]
fn no_random_bytes_panic() {
    let mut seed = 0x5eed;
    for (_, _, parse) in parsers() {
        for _ in 0..3_000 {
            let length = below(&mut seed, 200);
            let bytes: Vec<_> = (0..length).map(|_| byte(&mut seed)).collect();
            parse(&bytes);
        }
    }
}

#[test]
fn no_mutation_panics() {
    let mut seed = 0xfeed;
    for (_, valid, parse) in parsers() {
        let rounds = if valid.len() > 4_000 { 600 } else { 3_000 };
        for _ in 0..rounds {
            let mut bytes = valid.clone();
            for _ in 0..=below(&mut seed, 4) {
                let at = below(&mut seed, bytes.len());
                match below(&mut seed, 4) {
                    0 => bytes[at] = byte(&mut seed),
                    1 => bytes[at] ^= 1 << below(&mut seed, 8),
                    2 => bytes.insert(at, byte(&mut seed)),
                    _ => drop(bytes.drain(at..(at + 3).min(bytes.len() - 1).max(at))),
                }
            }
            parse(&bytes);
        }
    }
}

/// Splits a message into its fields, each with its tag.
fn fields(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    use prost::encoding::{DecodeContext, WireType, decode_key, skip_field};
    let mut fields = Vec::new();
    while !bytes.is_empty() {
        let before = bytes;
        let (tag, kind): (u32, WireType) = decode_key(&mut bytes).unwrap();
        skip_field(kind, tag, &mut bytes, DecodeContext::default()).unwrap();
        fields.push(before[..before.len() - bytes.len()].to_vec());
    }
    fields
}

/// The form of what is signed is checked by each of its parsers.
fn signed_payloads() -> Vec<(&'static str, Vec<u8>, OfPayload)> {
    let change = samples::change_payload(samples::changes().remove(1).1);
    vec![
        ("Header", samples::header().to_wire().encode_to_vec(), |bytes| Header::parse(bytes).err()),
        ("HandoverReceipt", samples::receipt_payload().encode_to_vec(), |bytes| receipt_of(bytes).err()),
        ("Agreement", samples::whole_agreement().encode_to_vec(), |bytes| Agreement::parse(bytes).err()),
        ("Mechanism", samples::whole_mechanism().encode_to_vec(), |bytes| Mechanism::parse(bytes).err()),
        ("DirectoryChange", change.encode_to_vec(), |bytes| Parsed::parse(bytes).err()),
    ]
}

#[test]
fn what_is_signed_has_one_encoding() {
    for (message, valid, parse) in signed_payloads() {
        assert_eq!(parse(&valid), None, "{message}");
        let fields = fields(&valid);
        assert_eq!(fields.concat(), valid);
        let not_canonical = Some(Malformed::NotCanonical { message });
        let unknown = [valid.as_slice(), &[0xc0, 0x3e, 0x01]].concat();
        assert_eq!(parse(&unknown), not_canonical, "{message}: an unknown field, 1000");
        let text = [valid.as_slice(), &[0xc2, 0x3e, 0x04], b"name"].concat();
        assert_eq!(parse(&text), not_canonical, "{message}: an unknown text");
        let doubled = [fields[0].as_slice(), &valid].concat();
        assert_eq!(parse(&doubled), not_canonical, "{message}: the version twice");
        let mut turned = fields.clone();
        turned.rotate_left(1);
        assert_eq!(parse(&turned.concat()), not_canonical, "{message}: the version last");
        let mut swapped = fields.clone();
        swapped.swap(0, 1);
        assert_eq!(parse(&swapped.concat()), not_canonical, "{message}: two fields swapped");
        // The version is 08 01: the same number in two bytes.
        let long = [&[0x08, 0x81, 0x00], &valid[2..]].concat();
        assert_eq!(parse(&long), not_canonical, "{message}: a number longer than it need be");
        // An unknown field inside the last message field, its length mended: where one is nested.
        if let Some(place) = fields.iter().position(|field| field[0] & 7 == 2 && nested(message, field)) {
            let mut deep = fields.clone();
            deep[place] = with_unknown(&fields[place]);
            assert_eq!(parse(&deep.concat()), not_canonical, "{message}: an unknown field deeper down");
        }
    }
}

/// The first field of each message that is a message itself.
fn nested(message: &str, field: &[u8]) -> bool {
    let number = field[0] >> 3;
    matches!(
        (message, number),
        ("Header" | "HandoverReceipt" | "Mechanism", 3) | ("Agreement", 7) | ("DirectoryChange", 5)
    )
}

fn with_unknown(field: &[u8]) -> Vec<u8> {
    let mut rest = &field[1..];
    let length = prost::encoding::decode_varint(&mut rest).unwrap();
    let mut made = vec![field[0]];
    prost::encoding::encode_varint(length + 3, &mut made);
    made.extend_from_slice(rest);
    made.extend_from_slice(&[0xc0, 0x3e, 0x01]);
    made
}

#[test]
fn a_default_that_is_written_out_is_not_canonical() {
    let mut header = samples::header();
    header.reason = None;
    let header = header.to_wire().encode_to_vec();
    let mut agreement = samples::whole_agreement();
    agreement.retention_days = 0;
    let mut change = samples::change_payload(samples::changes().remove(1).1);
    change.created_at_ms = 0;
    let not_canonical = |message| Some(Malformed::NotCanonical { message });
    let insert = |valid: &[u8], number: u8| {
        let mut fields = fields(valid);
        // Keys above 15 have two bytes, the first of which is above 127.
        let behind = fields.iter().position(|field| field[0] > number << 3).unwrap_or(fields.len());
        fields.insert(behind, vec![number << 3, 0]);
        fields.concat()
    };
    assert_eq!(Header::parse(&insert(&header, 10)).err(), not_canonical("Header"));
    assert_eq!(Agreement::parse(&insert(&agreement.encode_to_vec(), 14)).err(), not_canonical("Agreement"));
    assert_eq!(Parsed::parse(&insert(&change.encode_to_vec(), 3)).err(), not_canonical("DirectoryChange"));
}

/// A limit: its name, its number, and whether a value of some size passes.
type Limit = (&'static str, usize, fn(usize) -> Result<(), Malformed>);

fn with_header(change: impl FnOnce(&mut Header)) -> Result<(), Malformed> {
    let mut header = Network::empty().opening(DFWAC, AMAN);
    change(&mut header);
    Header::parse(&header.to_wire().encode_to_vec()).map(|_| ())
}

fn with_agreement(change: impl FnOnce(&mut wire::Agreement)) -> Result<(), Malformed> {
    let mut text = agreement(DFWAC, AMAN);
    change(&mut text);
    Agreement::parse(&text.encode_to_vec()).map(|_| ())
}

fn with_rule(change: impl FnOnce(&mut wire::Mechanism)) -> Result<(), Malformed> {
    let mut rules = mechanism(1);
    change(&mut rules);
    Mechanism::parse(&rules.encode_to_vec()).map(|_| ())
}

fn with_change(change: Change) -> Result<(), Malformed> {
    Parsed::parse(&samples::change_payload(change).encode_to_vec()).map(|_| ())
}

fn parts(count: usize) -> Vec<Part> {
    (1..).take(count).map(|part_id| Part { part_id, ..summary(AMAN) }).collect()
}

fn number(value: usize) -> u64 {
    u64::try_from(value).unwrap()
}

fn size(value: u64) -> usize {
    usize::try_from(value).unwrap()
}

/// A header of exactly so many bytes: many parts, and texts of the length that is left.
fn header_of(bytes: usize) -> Header {
    let mut header = Network::empty().opening(DFWAC, AMAN);
    header.parts = parts(PARTS_MAX);
    let length = |header: &Header| header.to_wire().encoded_len();
    let key = KeyId::of(b"key");
    'full: for place in 0..PARTS_MAX {
        while header.parts[place].key_ids.len() < PART_KEYS_MAX {
            if length(&header) + 36 > bytes - 60 {
                break 'full;
            }
            header.parts[place].key_ids.push(key);
        }
    }
    for _ in 0..56 {
        let missing = bytes - length(&header);
        if missing > 0 {
            header.category = code(&format!("{}a", header.category));
        }
        if missing > 1 {
            header.service = code(&format!("{}a", header.service));
        }
    }
    header
}

fn name_of(length: usize) -> String {
    "x".repeat(length)
}

fn admission_with(change: impl FnOnce(&mut wire::AdmitAgency)) -> Result<(), Malformed> {
    let Change::AdmitAgency(mut admit) = admission(AMAN) else { unreachable!() };
    change(&mut admit);
    with_change(Change::AdmitAgency(admit))
}

fn profile_with(change: impl FnOnce(&mut wire::AgencyProfile)) -> Result<(), Malformed> {
    let mut profile = wire::AgencyProfile { agency: AMAN.into(), ..wire::AgencyProfile::default() };
    change(&mut profile);
    with_change(Change::Profile(profile))
}

fn offer() -> wire::ServiceOffer {
    wire::ServiceOffer { service: "shelter".into(), capacity: 1, ..wire::ServiceOffer::default() }
}

fn calendar_with(holidays: usize) -> Result<(), Malformed> {
    with_change(Change::Calendar(wire::Calendar {
        name: "emirates".into(),
        closes_minute: 960,
        holidays: vec![20_261_202; holidays],
        ..wire::Calendar::default()
    }))
}

fn object_with(change: impl FnOnce(&mut wire::SignedObject)) -> Result<(), Malformed> {
    let mut object = samples::signed_envelope();
    change(&mut object);
    Unverified::parse(object).map(|_| ())
}

fn journal(entries: usize) -> Result<(), Malformed> {
    let tick = wire::Entry {
        caller: Some(wire::CallerRecord {
            role: wire::CallerRole::Gateway.into(),
            ..wire::CallerRecord::default()
        }),
        command: Some(wire::entry::Command::Tick(wire::Tick::default())),
        ..wire::Entry::default()
    };
    let batch = wire::Batch { entries: vec![tick; entries], ..wire::Batch::default() };
    Batch::parse(&batch.encode_to_vec()).map(|_| ())
}

fn counts(count: usize) -> Result<(), Malformed> {
    let one = wire::DenialCount { refusal: 1, ..wire::DenialCount::default() };
    let tick = wire::Tick { denials: vec![one; count], ..wire::Tick::default() };
    let entry = wire::Entry {
        caller: Some(wire::CallerRecord {
            role: wire::CallerRole::Gateway.into(),
            ..wire::CallerRecord::default()
        }),
        command: Some(wire::entry::Command::Tick(tick)),
        ..wire::Entry::default()
    };
    let batch = wire::Batch { entries: vec![entry], ..wire::Batch::default() };
    Batch::parse(&batch.encode_to_vec()).map(|_| ())
}

/// A later version's field fills a message up to so many bytes; what it holds is not read.
fn filled(message: &[u8], bytes: usize) -> Vec<u8> {
    use prost::encoding::{WireType, encode_key, encode_varint};
    let mut message = message.to_vec();
    encode_key(1000, WireType::LengthDelimited, &mut message);
    // The length itself has three bytes, from 16 KiB to 2 MiB.
    encode_varint(number(bytes - message.len() - 3), &mut message);
    message.resize(bytes, 0);
    message
}

fn record_of(bytes: usize) -> Result<(), Malformed> {
    Record::parse(filled(samples::record().bytes(), bytes), &[0; 32]).map(|_| ())
}

fn leaf_of(bytes: usize) -> Result<(), Malformed> {
    DirectoryFact::parse(filled(samples::directory_records()[3].1.bytes(), bytes)).map(|_| ())
}

fn receipts(count: usize) -> Result<(), Malformed> {
    let handovers = (0..count).map(|place| received(Digest::of(&place.to_be_bytes()), &[]));
    let receipt =
        wire::HandoverReceipt { version: 1, recipient: AMAN.into(), handovers: handovers.collect() };
    receipt_of(&receipt.encode_to_vec()).map(|_| ())
}

fn received_parts(count: usize) -> Result<(), Malformed> {
    let list = vec![received(Digest::of(b"one"), &vec![Digest::of(b"part"); count])];
    let receipt = wire::HandoverReceipt { version: 1, recipient: AMAN.into(), handovers: list };
    receipt_of(&receipt.encode_to_vec()).map(|_| ())
}

fn limits() -> Vec<Limit> {
    vec![
        ("HEADER_BYTES_MAX", size(HEADER_BYTES_MAX), |n| {
            let bytes = header_of(n).to_wire().encode_to_vec();
            assert_eq!(bytes.len(), n);
            Header::parse(&bytes).map(|_| ())
        }),
        ("PARTS_MAX", PARTS_MAX, |n| with_header(|header| header.parts = parts(n))),
        ("PART_KEYS_MAX", PART_KEYS_MAX, |n| {
            with_header(|header| header.parts[0].key_ids = vec![KeyId([1; 16]); n])
        }),
        ("FALLBACKS_MAX", FALLBACKS_MAX, |n| {
            with_header(|header| header.fallbacks = (0..n).map(|n| agency(&format!("xx.a{n}"))).collect())
        }),
        ("INLINE_BYTES_MAX of one part", size(INLINE_BYTES_MAX), |n| {
            with_header(|header| header.parts = vec![Part { length_bytes: number(n), ..summary(AMAN) }])
        }),
        ("INLINE_BYTES_MAX of all", size(INLINE_BYTES_MAX), |n| {
            with_header(|header| {
                header.parts = parts(2);
                header.parts[0].length_bytes = 1000;
                header.parts[1].length_bytes = number(n) - 1000;
            })
        }),
        ("UPLOADED_BYTES_MAX", size(UPLOADED_BYTES_MAX), |n| {
            let uploaded = Part { storage: Storage::Uploaded, length_bytes: number(n), ..summary(AMAN) };
            with_header(|header| header.parts = vec![uploaded])
        }),
        ("PARTIES_MAX", PARTIES_MAX, |n| {
            with_agreement(|text| {
                let more = (0..n - 2).map(|place| party(&format!("zz.p{place:02}")));
                text.parties.extend(more);
            })
        }),
        ("CLAUSES_MAX", CLAUSES_MAX, |n| {
            with_agreement(|text| {
                text.clauses = (0..n).map(|n| clause(&format!("c{n}"), AMAN, DFWAC)).collect()
            })
        }),
        ("CLAUSE_VALUES_MAX", CLAUSE_VALUES_MAX, |n| {
            with_agreement(|text| text.clauses[0].categories = vec!["violence".into(); n])
        }),
        ("CLAUSE_VALUES_MAX of numbers", CLAUSE_VALUES_MAX, |n| {
            with_agreement(|text| text.clauses[0].kinds = vec![1; n])
        }),
        ("AGREEMENT_TEXT_BYTES_MAX", size(AGREEMENT_TEXT_BYTES_MAX), |n| {
            with_agreement(|text| text.title_en = name_of(n))
        }),
    ]
}

fn more_limits() -> Vec<Limit> {
    vec![
        ("RULES_MAX", size(RULES_MAX), |n| {
            let rule = |n| wire::Rule { rule_id: format!("r{n}"), ..wire::Rule::default() };
            with_rule(|mechanism| mechanism.rules = (0..n).map(rule).collect())
        }),
        ("RULE_VALUES_MAX", size(RULE_VALUES_MAX), |n| {
            with_rule(|rules| rules.rules[0].recipients = vec![AMAN.into(); n])
        }),
        ("HANDOVERS_MAX", HANDOVERS_MAX, receipts),
        ("PARTS_MAX of a receipt", PARTS_MAX, received_parts),
        ("NAME_BYTES_MAX", size(proto::directory::change::NAME_BYTES_MAX), |n| {
            admission_with(|admit| admit.name_en = name_of(n))
        }),
        ("VALUES_MAX", size(proto::directory::change::VALUES_MAX), |n| {
            admission_with(|admit| admit.jurisdictions = vec!["AE".into(); n])
        }),
        ("VALUES_MAX of an offer", size(proto::directory::change::VALUES_MAX), |n| {
            profile_with(|profile| {
                profile.offers =
                    vec![wire::ServiceOffer { categories: vec!["violence".into(); n], ..offer() }];
            })
        }),
        ("OFFERS_MAX", size(proto::directory::change::OFFERS_MAX), |n| {
            profile_with(|profile| profile.offers = vec![offer(); n])
        }),
        ("HOLIDAYS_MAX", size(proto::directory::change::HOLIDAYS_MAX), calendar_with),
        ("PAYLOAD_BYTES_MAX", size(dsse::PAYLOAD_BYTES_MAX), |n| {
            object_with(|object| object.payload = vec![0; n])
        }),
        ("SIGNATURES_MAX", dsse::SIGNATURES_MAX, |n| {
            object_with(|object| {
                let signature = |n: usize| wire::Signature { sig: vec![0; 64], key_id: format!("{n:032x}") };
                object.signatures = (0..n).map(signature).collect();
            })
        }),
        ("RECORD_BYTES_MAX", size(RECORD_BYTES_MAX), record_of),
        ("DIRECTORY_RECORD_BYTES_MAX", size(DIRECTORY_RECORD_BYTES_MAX), leaf_of),
        ("ENTRIES_MAX", ENTRIES_MAX, journal),
        ("DENIAL_COUNTS_MAX", DENIAL_COUNTS_MAX, counts),
        ("AGENCY_ID_BYTES_MAX", 64, |n| AgencyId::parse(&format!("ae.{}", name_of(n - 3)), "x").map(|_| ())),
        ("CODE_BYTES_MAX", 64, |n| Code::parse(&name_of(n), "x").map(|_| ())),
        ("PSEUDONYM_BYTES_MAX", 32, |n| Pseudonym::parse(&name_of(n), "x").map(|_| ())),
        ("a jurisdiction", 6, |n| Jurisdiction::parse(&format!("AE-{}", "X".repeat(n - 3)), "x").map(|_| ())),
    ]
}

#[test]
fn every_limit_at_its_edge() {
    for (name, limit, of) in limits().into_iter().chain(more_limits()) {
        assert_eq!(of(limit), Ok(()), "{name} at {limit}");
        let over = of(limit + 1);
        let named = matches!(over, Err(Malformed::TooLarge { limit: said, .. }) if said == number(limit));
        assert!(named, "{name} over {limit}: {over:?}");
    }
}

#[test]
fn administrators_have_a_limit() {
    let mut net = Network::new();
    for place in ADMINISTRATORS.len()..=ADMINISTRATORS_MAX {
        let name = format!("admin-{place}");
        let add = wire::AddAdministrator { administrator: Some(administrator(&name)) };
        let answer = net.change(&by("amal"), Change::AddAdministrator(add), &["amal", "badr", &name]);
        let full = (place == ADMINISTRATORS_MAX).then_some((DirectoryFull, ""));
        assert_eq!(answer.refused(), full, "{place}");
    }
    net.writer.check();
}

/// Regression: such parts were taken, and never given to anybody.
#[test]
fn a_part_that_would_never_come_is_no_form() {
    let released = |release, recipient: Option<&str>, act: Act, kind: Kind| {
        let mut net = Network::new();
        let opening = net.opens(DFWAC, AMAN);
        let mut header =
            if act == Act::Submit { net.opening(DFWAC, AMAN) } else { net.act(&opening, DFWAC, act) };
        header.kind = kind;
        let recipient = recipient.map(agency);
        header.parts = vec![Part { recipient, ..part(PartClass::Summary, release, AMAN, "part") }];
        Header::parse(&header.to_wire().encode_to_vec()).err()
    };
    let release = Some(Malformed::Form { field: "parts.release" });
    let recipient = Some(Malformed::Form { field: "parts.recipient" });
    assert_eq!(released(Release::OnAcceptance, None, Act::Submit, Kind::Referral), None);
    assert_eq!(
        released(Release::OnAcceptance, None, Act::Note, Kind::Referral),
        release,
        "acts park nothing"
    );
    assert_eq!(
        released(Release::OnAcceptance, None, Act::Submit, Kind::Notice),
        release,
        "nobody accepts a notice"
    );
    assert_eq!(released(Release::OnTurn, Some(MOSD), Act::Submit, Kind::Referral), None);
    assert_eq!(released(Release::OnTurn, Some(MOSD), Act::Note, Kind::Referral), release);
    assert_eq!(released(Release::OnTurn, None, Act::Submit, Kind::Referral), recipient, "nobody's turn");
    assert_eq!(
        released(Release::AtOnce, Some(MOSD), Act::Submit, Kind::Referral),
        recipient,
        "before its turn"
    );
}

#[test]
fn texts_that_read_as_something_else() {
    for character in [
        '\n', '\u{0}', '\u{7f}', '\u{85}', '\u{61c}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}',
        '\u{202e}', '\u{2066}', '\u{2069}', '\u{feff}',
    ] {
        let given = with_agreement(|text| text.title_ar = format!("مذكرة{character}تفاهم"));
        assert_eq!(given, Err(Malformed::Form { field: "title_ar" }), "{:x}", u32::from(character));
    }
    assert_eq!(with_agreement(|text| text.title_ar = "مذكّرةُ تفاهمٍ – ٢٠٢٦".into()), Ok(()));
}

#[test]
fn the_parts_that_came_are_the_parts_that_were_named() {
    let content = [b"one".to_vec(), b"second".to_vec()];
    let mut header = Network::empty().opening(DFWAC, AMAN);
    header.parts = parts(2);
    for (part, content) in header.parts.iter_mut().zip(&content) {
        (part.sha256, part.length_bytes) = (Digest::of(content), number(content.len()));
    }
    let inline =
        |part_id, ciphertext: &[u8]| wire::InlinePart { part_id, ciphertext: ciphertext.to_vec().into() };
    let length = Err(Malformed::Length { field: "parts.ciphertext" });
    let [one, two] = [inline(1, &content[0]), inline(2, &content[1])];
    assert_eq!(check_parts(&header, &[one.clone(), two.clone()]), Ok(()));
    assert_eq!(check_parts(&header, std::slice::from_ref(&one)), Err(Malformed::Length { field: "parts" }));
    assert_eq!(check_parts(&header, &[two.clone(), one.clone()]), length);
    assert_eq!(check_parts(&header, &[inline(1, b"on"), two.clone()]), length);
    assert_eq!(
        check_parts(&header, &[inline(1, b"0ne"), two.clone()]),
        Err(Malformed::Mismatch { field: "parts.sha256" })
    );
    assert_eq!(check_parts(&header, &[one, two.clone(), two]), Err(Malformed::Length { field: "parts" }));
}

#[test]
fn a_receipt_that_was_changed_proves_nothing() {
    use proto::log::{
        note::{KeyType, VerifierKey},
        policy::Policy,
    };
    let name = samples::origin().key_name().clone();
    let log = VerifierKey::new(name, KeyType::Ed25519, samples::log_key().public());
    let policy = Policy::unwitnessed(log).unwrap();
    let good = samples::receipt().to_wire();
    for byte in 0..good.record.len() {
        let mut wire = good.clone();
        wire.record[byte] ^= 1;
        assert!(Receipt::parse(wire).is_err() || !verifies(&good, &policy, |wire| wire.record[byte] ^= 1));
    }
    for byte in 0..32 {
        assert!(!verifies(&good, &policy, |wire| wire.salt[byte] ^= 1));
        assert!(!verifies(&good, &policy, |wire| wire.path[byte] ^= 1));
    }
    let other = Checkpoint { origin: samples::origin(), size: 8, root: Digest::of(b"other") };
    let note: SignedNote = other.sign(&samples::log_key());
    assert!(!verifies(&good, &policy, |wire| wire.checkpoint = note.to_string()));
    assert!(verifies(&good, &policy, |_| {}));
}

fn verifies(
    good: &wire::Receipt,
    policy: &proto::log::policy::Policy,
    change: impl FnOnce(&mut wire::Receipt),
) -> bool {
    let mut wire = good.clone();
    change(&mut wire);
    Receipt::parse(wire).is_ok_and(|receipt| receipt.verify(policy).is_ok())
}
