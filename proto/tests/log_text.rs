//! The log's texts: notes, checkpoints, cosignatures, policies, proofs. Against `signed_note` and
//! `tlog_tiles`, and against every small change. Not here: the tree (`log_tree`), fixed vectors
//! (`log_vectors`).
#![allow(clippy::unwrap_used, reason = "test helpers may unwrap")]

use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use proptest::prelude::*;
use proto::Malformed;
use proto::digest::Digest;
use proto::key::SigningKey;
use proto::log::checkpoint::{Checkpoint, Origin};
use proto::log::cosignature::{CosignedAt, cosign, verify};
use proto::log::merkle::{consistency_proof, empty_root, inclusion_proof, leaf_hash, node_hash, root};
use proto::log::note::{
    KeyName, KeyType, NOTE_BYTES_MAX, SIGNATURES_MAX, SignatureLine, Signed, SignedNote, VerifierKey,
};
use proto::log::policy::Policy;
use proto::log::tlog_proof::TlogProof;
use proto::log::{SIZE_MAX, Unproven};
use signed_note::{Note, NoteError, Signer, StandardSigner, StandardVerifier, Verifier, VerifierList};

const ORIGIN: &str = "log.example/evidence";
const ENTRY: &[u8] = b"entry";

#[test]
fn names() {
    for good in ["a", "log.example/x", "شاهد.example", "a,b", "—", &"n".repeat(255)] {
        assert_eq!(name(good).as_str(), good);
        assert_eq!(Origin::parse(good).unwrap().as_str(), good);
    }
    let bad = ["", " ", "a b", "a+b", "a\tb", "a\n", "a\u{a0}b", "a\u{3000}b", "a\0", "a\u{7f}"];
    for bad in bad.into_iter().chain([&*"n".repeat(256)]) {
        assert!(KeyName::parse(bad, "name").is_err(), "{bad:?}");
        assert!(Origin::parse(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn vkeys_are_read_strictly() {
    let good = log().vkey().to_string();
    assert_eq!(VerifierKey::parse(&good), Ok(log().vkey()));
    let (name, rest) = good.split_once('+').unwrap();
    let (id, key) = rest.split_once('+').unwrap();
    let typed = |key_type: u8, key: &[u8]| STANDARD.encode([&[key_type], key].concat());
    let public = log().key.public().to_bytes();
    let bad = [
        String::new(),
        good.replace('+', ""),
        format!("{name}+{key}"),
        format!("+{id}+{key}"),
        format!("other.example+{id}+{key}"),
        format!("{name} +{id}+{key}"),
        format!("{name}+0{id}+{key}"),
        format!("{name}+{}+{key}", &id[1..]),
        format!("{name}+00000000+{key}"),
        format!("{name}+{id}+{key}="),
        format!("{name}+{id}+{key}\n"),
        format!("{name}+{id}+{key} "),
        format!("{name}+{id}+"),
        format!("{name}+{id}+{}", typed(4, &public)),
        format!("{name}+{id}+{}", typed(2, &public)),
        format!("{name}+{id}+{}", typed(1, &public[1..])),
        format!("{name}+{id}+{}", typed(1, &[&public[..], &[0]].concat())),
        format!("{name}+{id}+{}", typed(1, &[0; 32])),
        format!("{name}+{id}+{}", key.repeat(40)),
    ];
    for bad in bad {
        assert!(VerifierKey::parse(&bad).is_err(), "{bad}");
    }
    // Upper-case hex is a second spelling.
    let lettered = (0..=u8::MAX).map(|seed| Holder::new("w.example", seed).vkey().to_string());
    let lettered = lettered.filter(|vkey| vkey[10..18].contains(|c: char| c.is_ascii_lowercase()));
    for vkey in lettered {
        let upper = format!("{}{}{}", &vkey[..10], vkey[10..18].to_uppercase(), &vkey[18..]);
        assert!(VerifierKey::parse(&vkey).is_ok());
        assert!(VerifierKey::parse(&upper).is_err(), "{upper}");
    }
}

#[test]
fn notes_are_read_strictly() {
    let note = checkpoint(5).sign(&log().key).to_string();
    let line = note.lines().last().unwrap();
    let (text, _) = note.split_once("\n\n").unwrap();
    let (dash_and_name, signature) = line.rsplit_once(' ').unwrap();
    let short = STANDARD.encode([1, 2, 3, 4]);
    let bad = [
        String::new(),
        "\n".to_owned(),
        "\n\n".to_owned(),
        text.to_owned(),
        format!("{text}\n"),
        format!("{text}\n\n"),
        format!("{text}\n{line}\n"),
        format!("{text}\n\n{line}"),
        format!("{text}\n\n{line}\n\n"),
        format!("{text}\n\n{line}\n{line} \n"),
        format!("{text}\n\n{line}\r\n"),
        format!("{text}\r\n\n{line}\n"),
        format!("{text}\t\n\n{line}\n"),
        format!("\0{note}"),
        format!("{text}\n\n {line}\n"),
        format!("{text}\n\n{line}\nx\n"),
        format!("{text}\n\n{line}\n—\n"),
        format!("{text}\n\n{}\n", line.replace("— ", "- ")),
        format!("{text}\n\n{}\n", line.replace("— ", "—")),
        format!("{text}\n\n{}\n", line.replace("— ", "—\u{a0}")),
        format!("{text}\n\n{}\n", line.replace("— ", "—  ")),
        format!("{text}\n\n{dash_and_name}  {signature}\n"),
        format!("{text}\n\n{dash_and_name}+ {signature}\n"),
        format!("{text}\n\n{dash_and_name}\n"),
        format!("{text}\n\n{dash_and_name} \n"),
        format!("{text}\n\n{dash_and_name} {signature}=\n"),
        format!("{text}\n\n{dash_and_name} {}\n", signature.trim_end_matches('=')),
        format!("{text}\n\n{dash_and_name} {short}\n"),
    ];
    for bad in bad {
        assert!(SignedNote::parse(&bad).is_err(), "{bad:?}");
    }
    // An empty line in the text is the text's; only the last one ends it.
    let with_gap = format!("a\n\n{note}");
    let parsed = SignedNote::parse(&with_gap).unwrap();
    assert_eq!(parsed.text(), format!("a\n\n{text}\n"));
    assert_eq!(parsed.to_string(), with_gap);
}

/// 65 bytes leave two unused bits in the last base64 digit; only zeros are canonical.
#[test]
fn base64_has_one_spelling() {
    let entry = STANDARD.encode([0; 32]);
    assert!(entry.ends_with("AAA="));
    for digit in ["B", "C", "D"] {
        let other = format!("{}{digit}=", &entry[..42]);
        let text = format!("{ORIGIN}\n1\n{other}\n");
        assert!(Checkpoint::parse(&text).is_err(), "{text}");
    }
    for bad in [&entry[..43], &format!("{entry}="), &entry.replace('A', "-"), " ", ""] {
        assert!(Checkpoint::parse(&format!("{ORIGIN}\n1\n{bad}\n")).is_err());
    }
    assert!(Checkpoint::parse(&format!("{ORIGIN}\n1\n{entry}\n")).is_ok());
}

#[test]
fn note_limits() {
    let line = |n: usize| Holder::new(&format!("w{n}.example"), 9).cosign(&checkpoint(5), 7);
    let mut note = checkpoint(5).sign(&log().key);
    for n in 1..SIGNATURES_MAX {
        note = note.with(line(n)).unwrap();
    }
    assert_eq!(SignedNote::parse(&note.to_string()), Ok(note.clone()));
    let too_many = format!("{note}{}\n", line(100));
    let too_large = |parsed| matches!(parsed, Err(Malformed::TooLarge { .. }));
    assert!(too_large(SignedNote::parse(&too_many)));
    assert!(too_large(note.with(line(100))));

    let signed = |text: String| {
        let line = SignatureLine::ed25519(&name("a"), &log().key, &text);
        SignedNote::new(text, line)
    };
    let around = signed("\n".to_owned()).unwrap().to_string().len() - 1;
    let text = |bytes: usize| format!("{}\n", "x".repeat(bytes - 1));
    let largest = signed(text(NOTE_BYTES_MAX - around)).unwrap().to_string();
    assert_eq!(largest.len(), NOTE_BYTES_MAX);
    assert!(SignedNote::parse(&largest).is_ok());
    assert!(too_large(SignedNote::parse(&format!("x{largest}"))));
    assert!(too_large(signed(text(NOTE_BYTES_MAX - around + 1))));
    for bad in ["", "a", "a\r\n", "\0\n"] {
        assert!(signed(bad.to_owned()).is_err());
    }
}

#[test]
fn who_signed() {
    let (log, one, two) = (log(), witness(1), witness(2));
    let checkpoint = checkpoint(5);
    let note = checkpoint.sign(&log.key);
    let note = note.with(two.cosign(&checkpoint, 22)).unwrap();
    let note = note.with(one.cosign(&checkpoint, 11)).unwrap();
    let (log_key, key_1, key_2) = (log.vkey(), one.cosigner(), two.cosigner());

    let signed = note.verify([&key_1, &log_key, &key_2]).unwrap();
    let at = |unix_s| CosignedAt::from_unix_s(unix_s).unwrap();
    let expected = [
        Signed::Ed25519 { key: &log_key },
        Signed::CosignatureV1 { key: &key_2, at: at(22) },
        Signed::CosignatureV1 { key: &key_1, at: at(11) },
    ];
    assert_eq!(signed, expected, "in the note's order");
    assert_eq!(note.verify([&key_1]).unwrap(), expected[2..]);
    assert_eq!(note.verify([]), Err(Unproven::Unsigned));
    assert_eq!(note.verify([&witness(3).cosigner()]), Err(Unproven::Unsigned));
    // The same name and public key, but as another type, is another key.
    assert_eq!(note.verify([&one.vkey(), &two.vkey()]), Err(Unproven::Unsigned));

    let repeated = format!("{note}{}\n", note.lines()[0]);
    let repeated = SignedNote::parse(&repeated).unwrap();
    let refused = repeated.verify([&log_key, &key_1]);
    assert_eq!(refused, Err(Unproven::RepeatedSignature));
    assert!(repeated.verify([&key_1]).is_ok(), "the log's key is not known here");
    assert!(note.clone().with(one.cosign(&checkpoint, 12)).is_err());
    // An id alone proves nothing and is easily made to collide: another name's line may carry it.
    let collision = note.lines()[2].to_string().replacen("witness1", "witness9", 1);
    let collision = SignatureLine::parse(&collision).unwrap();
    assert_eq!(collision.id(), key_1.id());
    let note = note.with(collision).unwrap();
    assert_eq!(note.verify([&key_1]).unwrap(), expected[2..]);
}

#[test]
fn unknown_lines_are_ignored_and_known_bad_ones_are_not() {
    let note = checkpoint(5).sign(&log().key);
    let key = log().vkey();
    let unknown = |signature: &[u8]| format!("— {ORIGIN} {}\n", STANDARD.encode(signature));
    for length in [5, 6, 67, 68, 76, 2_432, 5_000, 700_000] {
        let other = SignedNote::parse(&format!("{note}{}", unknown(&vec![7; length]))).unwrap();
        assert_eq!(Checkpoint::open(&other, &key), Ok(checkpoint(5)), "{length}");
    }
    let id = key.id().0;
    for length in [1, 63, 64, 65, 72] {
        let line = unknown(&[&id[..], &vec![7; length]].concat());
        let bad = SignedNote::parse(&format!("{}\n{line}", note.text())).unwrap();
        assert_eq!(Checkpoint::open(&bad, &key), Err(Unproven::BadSignature));
    }
    let other_text = note.to_string().replacen("\n5\n", "\n6\n", 1);
    let other_text = SignedNote::parse(&other_text).unwrap();
    assert_eq!(Checkpoint::open(&other_text, &key), Err(Unproven::BadSignature));
}

/// Every flip is refused, or turns a line into an unknown key's; never is another text believed.
#[test]
fn no_bit_of_a_note_can_be_flipped() {
    let original = checkpoint(600);
    let note = original.sign(&log().key).with(witness(1).cosign(&original, 9)).unwrap();
    let (log_key, witness_key) = (log().vkey(), witness(1).cosigner());
    let both = Policy::witnessed(log_key.clone(), 1, vec![witness_key.clone()]).unwrap();
    assert_eq!(both.open(&note), Ok(original));
    let mut ignored = 0;
    for flipped in flips(&note.to_string()) {
        let Ok(parsed) = SignedNote::parse(&flipped) else {
            continue;
        };
        assert_eq!(parsed.to_string(), flipped);
        assert!(both.open(&parsed).is_err(), "{flipped}");
        if let Ok(signed) = parsed.verify([&log_key, &witness_key]) {
            assert_eq!(signed.len(), 1);
            assert_eq!(parsed.text(), note.text());
            ignored += 1;
        }
    }
    assert!(ignored > 100, "names and ids of both lines: {ignored}");
}

#[test]
fn checkpoints_are_read_strictly() {
    let root = STANDARD.encode([7; 32]);
    let empty = STANDARD.encode(empty_root().as_bytes());
    let good = [
        format!("{ORIGIN}\n1\n{root}\n"),
        format!("o\n9223372036854775807\n{root}\n"),
        format!("o\n0\n{empty}\n"),
    ];
    for good in good {
        assert_eq!(Checkpoint::parse(&good).unwrap().to_string(), good);
    }
    let bad = [
        String::new(),
        "\n".to_owned(),
        "\n\n\n".to_owned(),
        format!("o\n1\n{root}"),
        format!("o\n1\n{root}\n\n"),
        format!("o\n1\n{root}\nextension\n"),
        format!("o\n1\n\n{root}\n"),
        format!("\no\n1\n{root}\n"),
        format!("\n1\n{root}\n"),
        format!("o o\n1\n{root}\n"),
        format!("o+o\n1\n{root}\n"),
        format!("o\n\n{root}\n"),
        format!("o\n01\n{root}\n"),
        format!("o\n00\n{empty}\n"),
        format!("o\n+1\n{root}\n"),
        format!("o\n-1\n{root}\n"),
        format!("o\n1 \n{root}\n"),
        format!("o\n 1\n{root}\n"),
        format!("o\n1_0\n{root}\n"),
        format!("o\n0x1\n{root}\n"),
        format!("o\n١\n{root}\n"),
        format!("o\n9223372036854775808\n{root}\n"),
        format!("o\n18446744073709551616\n{root}\n"),
        format!("o\n0\n{root}\n"),
        format!("o\n1\n{}\n", STANDARD.encode([7; 31])),
        format!("o\n1\n{}\n", STANDARD.encode([7; 33])),
        format!("o\n1\n {root}\n"),
        format!("o\n1\n{root} \n"),
        format!("o\r\n1\n{root}\n"),
    ];
    for bad in bad {
        assert!(Checkpoint::parse(&bad).is_err(), "{bad:?}");
    }
}

#[test]
fn a_checkpoint_is_its_logs() {
    let other_log = Holder::new("other.example", 3);
    let text = checkpoint(5).to_string();
    let line = SignatureLine::ed25519(&other_log.name, &other_log.key, &text);
    let note = SignedNote::new(text, line).unwrap();
    assert_eq!(Checkpoint::open(&note, &other_log.vkey()), Err(Unproven::OtherLog));

    // A key that cosigns is not a log's, even under the log's name.
    let cosigned = SignedNote::new(checkpoint(5).to_string(), log().cosign(&checkpoint(5), 1));
    let refused = Checkpoint::open(&cosigned.unwrap(), &log().cosigner());
    assert_eq!(refused, Err(Unproven::Unsigned));

    let text = "no checkpoint\n".to_owned();
    let line = SignatureLine::ed25519(&log().name, &log().key, &text);
    let refused = Checkpoint::open(&SignedNote::new(text, line).unwrap(), &log().vkey());
    assert_eq!(refused, Err(Unproven::Malformed(Malformed::Form { field: "checkpoint" })));
}

#[test]
fn a_checkpoint_extends_an_older_one() {
    let leaves: Vec<Digest> = (0..50u8).map(|n| leaf_hash(&[n])).collect();
    let at = |size| Checkpoint {
        origin: Origin::parse(ORIGIN).unwrap(),
        size,
        root: root(size, &leaves[..]).unwrap(),
    };
    let proof = consistency_proof(20, 50, &leaves[..]).unwrap();
    assert_eq!(at(50).extends(&at(20), &proof), Ok(()));
    assert_eq!(at(50).extends(&at(50), &[]), Ok(()));
    assert_eq!(at(20).extends(&at(50), &proof), Err(Unproven::Shrunk));
    assert_eq!(at(50).extends(&at(28), &proof), Err(Unproven::RootMismatch));
    assert_eq!(at(50).extends(&at(21), &proof), Err(Unproven::ProofLength));
    let mut forked = at(50);
    forked.root = Digest::of(b"fork");
    assert_eq!(forked.extends(&at(20), &proof), Err(Unproven::RootMismatch));
    assert_eq!(forked.extends(&at(50), &[]), Err(Unproven::RootMismatch));
    let mut other = at(20);
    other.origin = Origin::parse("other.example").unwrap();
    assert_eq!(at(50).extends(&other, &proof), Err(Unproven::OtherLog));
}

#[test]
fn cosignatures() {
    let (one, checkpoint) = (witness(1), checkpoint(5));
    let text = checkpoint.to_string();
    for unix_s in [0, 1, 1_790_000_000, SIZE_MAX] {
        let line = one.cosign(&checkpoint, unix_s).to_string();
        let signature = STANDARD.decode(line.rsplit_once(' ').unwrap().1).unwrap();
        let timestamped = &signature[4..];
        assert_eq!(timestamped.len(), 72);
        let verified = verify(one.key.public(), &text, timestamped);
        assert_eq!(verified.map(CosignedAt::unix_s), Some(unix_s));
        for bit in 0..72 * 8 {
            let mut flipped = timestamped.to_vec();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify(one.key.public(), &text, &flipped), None);
        }
        assert_eq!(verify(one.key.public(), &text, &timestamped[..71]), None);
        assert_eq!(verify(one.key.public(), &text, &[timestamped, &[0]].concat()), None);
        assert_eq!(verify(one.key.public(), &text, &[]), None);
        assert_eq!(verify(witness(2).key.public(), &text, timestamped), None);
    }
    assert!(CosignedAt::from_unix_s(SIZE_MAX + 1).is_err());
}

#[test]
fn policies() {
    let keys: Vec<String> = (1..=6).map(|n| witness(n).cosigner().to_string()).collect();
    let log = log().vkey();
    let text = format!(
        "# the example of C2SP tlog-policy\n\nlog {log} https://log.example/\n\
         witness\tX1  {} \n witness X2 {}\twss://x\nwitness X3 {}\ngroup X 2 X1 X2 X3\n\
         witness Y1 {}\nwitness Y2 {}\nwitness Y3 {}\ngroup Y any Y1 Y2 Y3\n\
         \t# شهود\ngroup all-of all X Y\nquorum all-of\n",
        keys[0], keys[1], keys[2], keys[3], keys[4], keys[5]
    );
    let policy = Policy::parse(&text).unwrap();
    assert_eq!(policy.logs(), [log]);
    assert_eq!(policy.witnesses().len(), 6);
    for cosigners in 0..64u8 {
        let has = |n: u8| cosigners >> (n - 1) & 1 == 1;
        let of = |members: [u8; 3]| members.into_iter().filter(|n| has(*n)).count();
        let expected = of([1, 2, 3]) >= 2 && of([4, 5, 6]) >= 1;
        let note = cosigned(5, (1..=6).filter(|n| has(*n)));
        assert_eq!(policy.satisfied_by(&note), expected, "{cosigners:06b}");
        let opened = policy.open(&note);
        let refused = Err(Unproven::NoQuorum);
        assert_eq!(opened, if expected { Ok(checkpoint(5)) } else { refused });
    }
    let unlogged = SignedNote::new(checkpoint(5).to_string(), witness(1).cosign(&checkpoint(5), 1));
    assert_eq!(policy.open(&unlogged.unwrap()), Err(Unproven::Unsigned));
}

#[test]
fn quorums_of_k() {
    let witnesses = || (1..=4).map(|n| witness(n).cosigner()).collect::<Vec<_>>();
    for threshold in 0..=4 {
        let policy = Policy::witnessed(log().vkey(), threshold, witnesses()).unwrap();
        for count in 0..=4u8 {
            let accepted = policy.satisfied_by(&cosigned(5, 1..=count));
            assert_eq!(accepted, usize::from(count) >= threshold);
        }
        // Witnesses that the policy does not know count for nothing.
        let strangers = policy.satisfied_by(&cosigned(5, 5..=9));
        assert_eq!(strangers, threshold == 0);
    }
    assert!(Policy::witnessed(log().vkey(), 5, witnesses()).is_err());
    assert!(Policy::witnessed(log().cosigner(), 0, Vec::new()).is_err());
    assert!(Policy::witnessed(log().vkey(), 1, vec![witness(1).vkey()]).is_err());
    let twice = vec![witness(1).cosigner(), Holder::new("alias.example", 1).cosigner()];
    assert!(Policy::witnessed(log().vkey(), 1, twice).is_err());

    let unwitnessed = Policy::unwitnessed(log().vkey()).unwrap();
    assert!(unwitnessed.satisfied_by(&cosigned(5, 0..0)));
    let text = format!("log {}\nquorum none\n", log().vkey());
    assert!(Policy::parse(&text).unwrap().satisfied_by(&cosigned(5, 0..0)));
    let single = format!("log {}\nwitness W {}\nquorum W\n", log().vkey(), witness(1).cosigner());
    let single = Policy::parse(&single).unwrap();
    assert!(single.satisfied_by(&cosigned(5, 1..=1)));
    assert!(!single.satisfied_by(&cosigned(5, 2..=2)));
}

#[test]
fn bad_policies_are_refused() {
    let (log, one) = (log().vkey(), witness(1).cosigner());
    let (two, other_log) = (witness(2).cosigner(), Holder::new("other.example", 99).vkey());
    let base = format!("log {log}\nwitness A {one}\nwitness B {two}\n");
    for good in [
        "group G any A B\nquorum G\n".to_owned(),
        "group G 2 A B\nquorum A\n".to_owned(),
        "group G all A\ngroup H 1 G B\nquorum H\n".to_owned(),
        format!("quorum A\nlog {other_log} u\n"),
    ] {
        assert!(Policy::parse(&format!("{base}{good}")).is_ok(), "{good}");
    }
    for bad in [
        "".to_owned(),
        "quorum A".to_owned(),
        "quorum A\nquorum A\n".to_owned(),
        "quorum C\n".to_owned(),
        "quorum\n".to_owned(),
        "quorum A B\n".to_owned(),
        "Quorum A\n".to_owned(),
        "quorum a\n".to_owned(),
        "quorum A\r\n".to_owned(),
        "quorum A\u{b}\n".to_owned(),
        "quorum\u{a0}A\n".to_owned(),
        "quorum G\ngroup G any A\n".to_owned(),
        "group G any\nquorum A\n".to_owned(),
        "group G 0 A\nquorum A\n".to_owned(),
        "group G 2 A\nquorum A\n".to_owned(),
        "group G 01 A\nquorum A\n".to_owned(),
        "group G +1 A\nquorum A\n".to_owned(),
        "group G most A\nquorum A\n".to_owned(),
        "group G any A A\nquorum A\n".to_owned(),
        "group G any A\ngroup H any A B\nquorum H\n".to_owned(),
        "group G any G\nquorum A\n".to_owned(),
        "group G any none\nquorum A\n".to_owned(),
        "group none any A\nquorum A\n".to_owned(),
        "group A any B\nquorum A\n".to_owned(),
        "group G any C\nquorum A\n".to_owned(),
        format!("quorum A\nlog {log}\n"),
        format!("quorum A\nlog {}\n", Holder::new("alias.example", 0).vkey()),
        format!("quorum A\nlog {}\n", witness(7).cosigner()),
        format!("quorum A\nlog {other_log} u u\n"),
        "quorum A\nlog\n".to_owned(),
        format!("quorum A\nwitness A {}\n", witness(7).cosigner()),
        format!("quorum A\nwitness none {}\n", witness(7).cosigner()),
        format!("quorum A\nwitness C {one}\n"),
        format!("quorum A\nwitness C {}\n", witness(7).vkey()),
        format!("quorum A\nwitness {}\n", witness(7).cosigner()),
        format!("quorum A\n# {}\n", "x".repeat(131_072)),
    ] {
        assert!(Policy::parse(&format!("{base}{bad}")).is_err(), "{bad}");
    }
    let groups: String = (0..65).map(|n| format!("group G{n} any W{n}\n")).collect();
    let witnesses: String =
        (0..65).map(|n| format!("witness W{n} {}\n", witness(n + 1).cosigner())).collect();
    let refused = Policy::parse(&format!("log {log}\n{witnesses}{groups}quorum G1\n"));
    assert!(matches!(refused, Err(Malformed::TooLarge { .. })));
}

#[test]
fn proofs_prove_their_entry_only() {
    let (proof, policy) = (proof(), policy());
    assert_eq!(proof.verify(ENTRY, &policy), Ok(proven_checkpoint()));
    assert_eq!(proof.verify(b"other", &policy), Err(Unproven::RootMismatch));
    assert_eq!(proof.verify(b"", &policy), Err(Unproven::RootMismatch));
    let with = |index, path: &[Digest]| {
        let proof = TlogProof::new(index, path.to_vec(), proof.note().clone()).unwrap();
        proof.verify(ENTRY, &policy)
    };
    let (path, index) = (proof.path(), proof.index());
    assert_eq!(with(index, path), Ok(proven_checkpoint()));
    assert_eq!(with(index - 1, path), Err(Unproven::RootMismatch));
    assert_eq!(with(index + 1, path), Err(Unproven::ProofLength));
    assert_eq!(with(SIZE_MAX, path), Err(Unproven::OutsideTree));
    assert_eq!(with(index, &path[1..]), Err(Unproven::ProofLength));
    let longer = [path, &[Digest::default()]].concat();
    assert_eq!(with(index, &longer), Err(Unproven::ProofLength));
    let other_log = Policy::unwitnessed(Holder::new("other.example", 3).vkey()).unwrap();
    assert_eq!(proof.verify(ENTRY, &other_log), Err(Unproven::Unsigned));
    // An interior node is no leaf: the domains of RFC 6962 are apart.
    let interior = [leaf_hash(ENTRY).to_vec(), path[0].to_vec()].concat();
    assert_ne!(leaf_hash(&interior), node_hash(leaf_hash(ENTRY), path[0]));

    let note = || proof.note().clone();
    assert!(TlogProof::new(SIZE_MAX + 1, Vec::new(), note()).is_err());
    assert!(TlogProof::new(0, vec![Digest::default(); 63], note()).is_ok());
    assert!(TlogProof::new(0, vec![Digest::default(); 64], note()).is_err());
    assert!(TlogProof::with_extra(vec![0; 65_536], 0, Vec::new(), note()).is_ok());
    assert!(TlogProof::with_extra(vec![0; 65_537], 0, Vec::new(), note()).is_err());
}

#[test]
fn no_bit_of_a_proof_can_be_flipped() {
    let (text, policy) = (proof().to_string(), policy());
    for flipped in flips(&text) {
        let Ok(parsed) = TlogProof::parse(&flipped) else {
            continue;
        };
        assert_eq!(parsed.to_string(), flipped);
        if parsed.extra() == proof().extra() {
            assert!(parsed.verify(ENTRY, &policy).is_err(), "{flipped}");
        }
    }
}

#[test]
fn proofs_are_read_strictly() {
    let text = proof().to_string();
    assert_eq!(TlogProof::parse(&text), Ok(proof()));
    let (head, note) = text.split_once("\n\n").unwrap();
    let lines: Vec<&str> = head.split('\n').collect();
    let [header, extra, index, path @ ..] = &lines[..] else { unreachable!() };
    let path = path.join("\n");
    let good = format!("{header}\n{index}\n{path}\n\n{note}");
    assert!(TlogProof::parse(&good).unwrap().extra().is_empty());
    let lone = format!("{header}\n{index}\n\n{note}");
    assert!(TlogProof::parse(&lone).unwrap().path().is_empty());
    let bad = [
        String::new(),
        format!("{header}\n"),
        format!("{header}\n\n{note}"),
        format!("{header}\n{extra}\n\n{note}"),
        format!("{header}\n{extra}\n{path}\n\n{note}"),
        format!("{header}\n{index}\n{path}\n{note}"),
        format!("{header}\n{index}\n{path}\n\n"),
        format!("{header}\n{index}\n{path}\n\n\n{note}"),
        format!("{header}\n{index}\n{path}\n\n{note}\n"),
        format!("{header}\n\n{index}\n{path}\n\n{note}"),
        format!("{header} \n{index}\n{path}\n\n{note}"),
        format!("{header}\r\n{index}\n{path}\n\n{note}"),
        format!("{header}\n{index}\n{extra}\n{path}\n\n{note}"),
        format!("{header}\n{extra}\n{extra}\n{index}\n{path}\n\n{note}"),
        format!("{header}\nextra \n{index}\n{path}\n\n{note}"),
        format!("{header}\nextra\n{index}\n{path}\n\n{note}"),
        format!("{header}\n{extra} \n{index}\n{path}\n\n{note}"),
        format!("{header}\n{index} \n{path}\n\n{note}"),
        format!("{header}\nindex 0{}\n{path}\n\n{note}", proof().index()),
        format!("{header}\nindex +1\n{path}\n\n{note}"),
        format!("{header}\nindex \n{path}\n\n{note}"),
        format!("{header}\nindex\n{path}\n\n{note}"),
        format!("{header}\nindex 9223372036854775808\n{path}\n\n{note}"),
        format!("{header}\n{index}\n{path}=\n\n{note}"),
        format!("{header}\n{index}\n {path}\n\n{note}"),
        format!("{header}\n{index}\n{path}\nAAAA\n\n{note}"),
        format!("{header}\n{index}\n{}\n\n{note}", [&*path; 20].join("\n")),
        text.replace("proof@v1", "proof@v2"),
    ];
    for bad in bad {
        assert!(TlogProof::parse(&bad).is_err(), "{bad:?}");
    }
}

#[test]
fn other_implementations_read_what_we_write() {
    let checkpoint = checkpoint(600);
    let note = cosigned(600, 1..=3).to_string();
    let parsed = Note::from_bytes(note.as_bytes()).unwrap();
    assert_eq!(parsed.to_bytes(), note.as_bytes());
    let mut known: Vec<Box<dyn Verifier>> =
        (1..=3).map(|n| -> Box<dyn Verifier> { Box::new(Cosigner(witness(n))) }).collect();
    known.push(Box::new(StandardVerifier::new(&log().vkey().to_string()).unwrap()));
    let (verified, unverified) = parsed.verify(&VerifierList::new(known)).unwrap();
    assert_eq!((verified.len(), unverified.len()), (4, 0));

    let theirs = tlog_tiles::Checkpoint::from_bytes(parsed.text()).unwrap();
    assert_eq!(theirs.origin(), ORIGIN);
    assert_eq!(theirs.size(), 600);
    assert_eq!(theirs.hash().0, checkpoint.root.0);
    assert_eq!(theirs.extension(), "");
    assert_eq!(theirs.to_bytes(), checkpoint.to_string().into_bytes());
}

#[test]
fn we_read_what_other_implementations_write() {
    let holder = log();
    let id = holder.vkey().id();
    let seed = STANDARD.encode([&[1], &[0; 32][..]].concat());
    let signer = StandardSigner::new(&format!("PRIVATE+KEY+{ORIGIN}+{id}+{seed}")).unwrap();
    assert_eq!(signer.name(), ORIGIN);
    let mut note = Note::new(checkpoint(77).to_string().as_bytes(), &[]).unwrap();
    note.add_sigs(&[&signer]).unwrap();
    let note = String::from_utf8(note.to_bytes()).unwrap();
    let parsed = SignedNote::parse(&note).unwrap();
    assert_eq!(Checkpoint::open(&parsed, &holder.vkey()), Ok(checkpoint(77)));
    assert_eq!(parsed, checkpoint(77).sign(&holder.key));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    /// What parses renders back, and nothing that we refuse as a note is needed by others: theirs
    /// accepts what ours accepts, and the same keys have signed.
    #[test]
    fn notes_agree(edit in edits()) {
        let note = edit.of(&cosigned(600, 1..=2).to_string());
        let (log_key, witness_key) = (log().vkey(), witness(1).cosigner());
        let known = VerifierList::new(vec![
            Box::new(StandardVerifier::new(&log_key.to_string()).unwrap()),
            Box::new(Cosigner(witness(1))),
        ]);
        let theirs = Note::from_bytes(note.as_bytes()).and_then(|note| note.verify(&known));
        if let Ok(parsed) = SignedNote::parse(&note) {
            prop_assert_eq!(parsed.to_string(), &*note);
            match (parsed.verify([&log_key, &witness_key]), theirs) {
                (Ok(ours), Ok((verified, _))) => prop_assert_eq!(ours.len(), verified.len()),
                (Err(Unproven::BadSignature), Err(NoteError::InvalidSignature { .. }))
                | (Err(Unproven::Unsigned), Err(NoteError::UnverifiedNote))
                | (Err(Unproven::RepeatedSignature), _) => {}
                (ours, theirs) => prop_assert!(false, "{ours:?} {theirs:?}"),
            }
        }
    }

    #[test]
    fn checkpoints_round_trip(edit in edits()) {
        let text = edit.of(&checkpoint(600).to_string());
        if let Ok(parsed) = Checkpoint::parse(&text) {
            prop_assert_eq!(parsed.to_string(), &*text);
            let theirs = tlog_tiles::Checkpoint::from_bytes(text.as_bytes()).unwrap();
            prop_assert_eq!(theirs.size(), parsed.size);
            prop_assert_eq!(theirs.hash().0, parsed.root.0);
        }
    }

    #[test]
    fn proofs_round_trip(edit in edits()) {
        let text = edit.of(&proof().to_string());
        if let Ok(parsed) = TlogProof::parse(&text) {
            prop_assert_eq!(parsed.to_string(), &*text);
        }
    }

    #[test]
    fn policies_never_panic(edit in edits()) {
        let (log, one) = (log().vkey(), witness(1).cosigner());
        let text = format!("log {log}\nwitness A {one}\ngroup G 1 A\nquorum G\n");
        let parsed = Policy::parse(&edit.of(&text));
        prop_assert!(parsed.is_err() || parsed.is_ok_and(|policy| policy.logs().len() < 2));
    }
}

/// Small changes of a text: a line doubled, dropped or moved, a character replaced or put in.
#[derive(Debug, Clone)]
struct Edit(Vec<(u8, prop::sample::Index, prop::sample::Index, char)>);

fn edits() -> impl Strategy<Value = Edit> {
    let character = prop::sample::select("\n\n A0129+/=—-x\t\r\u{a0}ث".chars().collect::<Vec<_>>());
    let change = (0..5u8, any::<prop::sample::Index>(), any::<prop::sample::Index>(), character);
    prop::collection::vec(change, 0..4).prop_map(Edit)
}

impl Edit {
    fn of(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (kind, place, other, character) in &self.0 {
            let mut chars: Vec<char> = text.chars().collect();
            let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
            if chars.is_empty() {
                break;
            }
            let (line, other_line) = (place.index(lines.len()), other.index(lines.len()));
            let at = place.index(chars.len());
            match kind {
                0 => lines.insert(other_line, lines[line]),
                1 => drop(lines.remove(line)),
                2 => lines.swap(line, other_line),
                3 => chars[at] = *character,
                _ => chars.insert(at, *character),
            }
            text = if *kind < 3 { lines.concat() } else { chars.into_iter().collect() };
        }
        text
    }
}

/// Somebody with a name and a key.
struct Holder {
    name: KeyName,
    key: SigningKey,
}

impl Holder {
    fn new(text: &str, seed: u8) -> Self {
        Self { name: name(text), key: SigningKey::from_seed(&[seed; 32]) }
    }

    fn vkey(&self) -> VerifierKey {
        VerifierKey::new(self.name.clone(), KeyType::Ed25519, self.key.public())
    }

    fn cosigner(&self) -> VerifierKey {
        VerifierKey::new(self.name.clone(), KeyType::CosignatureV1, self.key.public())
    }

    fn cosign(&self, checkpoint: &Checkpoint, unix_s: u64) -> SignatureLine {
        let at = CosignedAt::from_unix_s(unix_s).unwrap();
        cosign(&self.name, &self.key, at, checkpoint)
    }
}

/// The verification of `cosignature/v1` once more, over another Ed25519.
struct Cosigner(Holder);

impl Verifier for Cosigner {
    fn name(&self) -> &str {
        self.0.name.as_str()
    }

    fn key_id(&self) -> u32 {
        let key = [&[4], &self.0.key.public().to_bytes()[..]].concat();
        signed_note::key_id(self.name(), &key)
    }

    fn verify(&self, text: &[u8], signature: &[u8]) -> bool {
        if signature.len() != 72 {
            return false;
        }
        let (time, signature) = signature.split_at(8);
        let time = u64::from_be_bytes(time.try_into().unwrap());
        let signed = [format!("cosignature/v1\ntime {time}\n").as_bytes(), text].concat();
        UnparsedPublicKey::new(&ED25519, self.0.key.public().to_bytes()).verify(&signed, signature).is_ok()
    }
}

fn name(text: &str) -> KeyName {
    KeyName::parse(text, "name").unwrap()
}

fn log() -> Holder {
    Holder::new(ORIGIN, 0)
}

fn witness(number: u8) -> Holder {
    Holder::new(&format!("witness{number}.example"), number)
}

fn checkpoint(size: u64) -> Checkpoint {
    Checkpoint { origin: Origin::parse(ORIGIN).unwrap(), size, root: Digest::of(b"some root") }
}

fn cosigned(size: u64, witnesses: impl IntoIterator<Item = u8>) -> SignedNote {
    let checkpoint = checkpoint(size);
    let note = checkpoint.sign(&log().key);
    witnesses
        .into_iter()
        .fold(note, |note, number| note.with(witness(number).cosign(&checkpoint, 1_790_000_000)).unwrap())
}

fn proven_leaves() -> Vec<Digest> {
    let others = (0..77u8).map(|n| leaf_hash(&[n]));
    others.chain([leaf_hash(ENTRY), leaf_hash(b"last")]).collect()
}

fn proven_checkpoint() -> Checkpoint {
    Checkpoint { root: root(79, &proven_leaves()[..]).unwrap(), ..checkpoint(79) }
}

fn policy() -> Policy {
    Policy::witnessed(log().vkey(), 1, vec![witness(1).cosigner()]).unwrap()
}

fn proof() -> TlogProof {
    let checkpoint = proven_checkpoint();
    let note = checkpoint.sign(&log().key);
    let note = note.with(witness(1).cosign(&checkpoint, 1_790_000_000)).unwrap();
    let path = inclusion_proof(77, 79, &proven_leaves()[..]).unwrap();
    TlogProof::with_extra(b"some extra".to_vec(), 77, path, note).unwrap()
}

/// The text with each of its bits flipped, where that is still UTF-8.
fn flips(text: &str) -> impl Iterator<Item = String> {
    (0..text.len() * 8).filter_map(|bit| {
        let mut bytes = text.as_bytes().to_vec();
        bytes[bit / 8] ^= 1 << (bit % 8);
        String::from_utf8(bytes).ok()
    })
}
