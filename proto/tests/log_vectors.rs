//! What can never change: fixed vectors, and golden files that were made without this code, from
//! the specifications. Not here: agreement on random input (`log_tree`, `log_text`).

#![allow(clippy::unwrap_used, reason = "test helpers may unwrap")]

use proto::digest::Digest;
use proto::key::SigningKey;
use proto::log::checkpoint::{Checkpoint, Origin};
use proto::log::cosignature::{CosignedAt, cosign};
use proto::log::merkle::{Frontier, Growth, empty_root, inclusion_proof, leaf_hash};
use proto::log::note::{KeyName, KeyType, SignedNote, VerifierKey};
use proto::log::policy::Policy;
use proto::log::tile::{EntryBundle, hash_tiles};
use proto::log::tlog_proof::TlogProof;

const LOG_VKEY: &str = "referral.example/log/2026+5c340123+AQOhB7/zzhC+HXDdGOdLwJln5NYwm6UNXx3chmQSVTG4";
const WITNESS_VKEY: &str = "witness1.example+d0089c06+BIqI4910CfGV/VLbLTy6XXLKZwm/HZQSG/N0iAG0D29c";

const CHECKPOINT_600: &str = include_str!("golden/log/checkpoint-600.note");
const COSIGNED_600: &str = include_str!("golden/log/cosigned-600.note");
const PROOF_3: &str = include_str!("golden/log/entry-3-of-600.tlog-proof");
const PROOF_599: &str = include_str!("golden/log/entry-599-of-600-witnessed.tlog-proof");
const TILES_70000: &str = include_str!("golden/log/tiles-70000.txt");
const BUNDLE_5: &[u8] = include_bytes!("golden/log/bundle-0-of-5.bin");

#[test]
fn vkeys() {
    let table = [
        (log_key(), "referral.example/log/2026", KeyType::Ed25519, LOG_VKEY),
        (witness_key(), "witness1.example", KeyType::CosignatureV1, WITNESS_VKEY),
    ];
    for (key, name, key_type, vkey) in table {
        let name = KeyName::parse(name, "name").unwrap();
        let verifier = VerifierKey::new(name, key_type, key.public());
        assert_eq!(verifier.to_string(), vkey);
        assert_eq!(VerifierKey::parse(vkey), Ok(verifier));
    }
}

#[test]
fn roots() {
    let table = [
        (1, "QHZrIDNCkCb1PVRQJnmoOXBrR0H43K86i7pfQbX/4HU="),
        (2, "LyelCCwdQq+kiKw1Cp/EOQwIT1T3Hs3/hZ6Y24QptHk="),
        (3, "pkvybgkSj2/i/m+LLYyAHhZrV8BHp82bK4Ceepai8cs="),
        (256, "A9MmE2oetCs+2gzszfWBNTSs0ya1K+kdPl0hQWLG9L4="),
        (257, "7PbF2cGHYgp9PEAF9hRNUPkQI8syGJsy61jWTHbEioU="),
        (600, "9WTt+gHGaLihS2wCD1fPQjypv9a2Af0ZLi5Ka4jvteQ="),
        (70_000, "JpI1mTTryh/O7sME4me172w21qhjtyY+hgCeSRowBLI="),
    ];
    let mut before = Frontier::default();
    for (size, root) in table {
        let growth = Growth::new(&before, &leaf_hashes(before.size(), size));
        assert_eq!(body(size, growth.root()), format!("{}\n{size}\n{root}\n", origin()));
        let mut frontier = Frontier::default();
        frontier.extend(leaf_hashes(0, size));
        assert_eq!(growth.frontier(), &frontier);
        before = growth.into_frontier();
    }
    let nothing = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=";
    assert_eq!(body(0, empty_root()), format!("{}\n0\n{nothing}\n", origin()));
}

#[test]
fn checkpoint_and_cosignature() {
    let checkpoint = checkpoint_600();
    let note = checkpoint.sign(&log_key());
    assert_eq!(note.to_string(), CHECKPOINT_600);
    assert_eq!(Checkpoint::open(&note, &vkey(LOG_VKEY)), Ok(checkpoint.clone()));

    let name = KeyName::parse("witness1.example", "name").unwrap();
    let at = CosignedAt::from_unix_s(1_790_000_000).unwrap();
    let cosigned = note.with(cosign(&name, &witness_key(), at, &checkpoint)).unwrap();
    assert_eq!(cosigned.to_string(), COSIGNED_600);
    let policy = Policy::witnessed(vkey(LOG_VKEY), 1, vec![vkey(WITNESS_VKEY)]).unwrap();
    assert_eq!(policy.open(&cosigned), Ok(checkpoint));
}

#[test]
fn proofs() {
    let note = SignedNote::parse(CHECKPOINT_600).unwrap();
    let leaves = leaf_hashes(0, 600);
    let path = inclusion_proof(3, 600, &leaves[..]).unwrap();
    let proof = TlogProof::new(3, path, note).unwrap();
    assert_eq!(proof.to_string(), PROOF_3);
    assert_eq!(TlogProof::parse(PROOF_3), Ok(proof.clone()));
    let policy = Policy::unwitnessed(vkey(LOG_VKEY)).unwrap();
    assert_eq!(proof.verify(&entry(3), &policy), Ok(checkpoint_600()));

    let note = SignedNote::parse(COSIGNED_600).unwrap();
    let path = inclusion_proof(599, 600, &leaves[..]).unwrap();
    let proof = TlogProof::with_extra(b"opaque".to_vec(), 599, path, note).unwrap();
    assert_eq!(proof.to_string(), PROOF_599);
    assert_eq!(TlogProof::parse(PROOF_599), Ok(proof.clone()));
    let policy = Policy::witnessed(vkey(LOG_VKEY), 1, vec![vkey(WITNESS_VKEY)]).unwrap();
    assert_eq!(proof.verify(&entry(599), &policy), Ok(checkpoint_600()));
}

/// The example of C2SP `tlog-tiles`, Partial Tiles.
#[test]
fn tiles() {
    let tiles = hash_tiles(0, 70_000).map(|tile| format!("{tile}\n"));
    assert_eq!(tiles.collect::<String>(), TILES_70000);
    let of_256: Vec<String> = hash_tiles(255, 256).map(|tile| tile.to_string()).collect();
    assert_eq!(of_256, ["tile/0/000", "tile/1/000.p/1"]);
}

#[test]
fn bundle() {
    let bundle = EntryBundle::new(0, 5).unwrap();
    let entries: Vec<Vec<u8>> = (0..5).map(entry).collect();
    assert_eq!(bundle.encode(&entries).unwrap(), BUNDLE_5);
    assert_eq!(bundle.decode(BUNDLE_5).unwrap(), entries);
}

fn log_key() -> SigningKey {
    let mut seed = [0; 32];
    for (byte, value) in seed.iter_mut().zip(0..) {
        *byte = value;
    }
    SigningKey::from_seed(&seed)
}

fn witness_key() -> SigningKey {
    SigningKey::from_seed(&[1; 32])
}

#[track_caller]
fn vkey(text: &str) -> VerifierKey {
    VerifierKey::parse(text).unwrap()
}

fn origin() -> Origin {
    Origin::parse("referral.example/log/2026").unwrap()
}

fn checkpoint_600() -> Checkpoint {
    let mut frontier = Frontier::default();
    frontier.extend(leaf_hashes(0, 600));
    Checkpoint { origin: origin(), size: 600, root: frontier.root() }
}

fn body(size: u64, root: Digest) -> String {
    let origin = origin();
    Checkpoint { origin, size, root }.to_string()
}

fn entry(index: u64) -> Vec<u8> {
    match index {
        3 => Vec::new(),
        _ => format!("entry-{index}").into_bytes(),
    }
}

fn leaf_hashes(start: u64, end: u64) -> Vec<Digest> {
    (start..end).map(|index| leaf_hash(&entry(index))).collect()
}
