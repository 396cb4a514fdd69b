//! The Merkle tree and its tiles against two other implementations, `tlog_tiles` and `ct-merkle`,
//! and against themselves. Not here: fixed vectors and golden files (`log_vectors`).
#![allow(clippy::unwrap_used, clippy::missing_panics_doc, reason = "test helpers may unwrap")]

use std::cell::RefCell;
use std::collections::BTreeMap;

use ct_merkle::mem_backed_tree::MemoryBackedTree;
use proto::digest::Digest;
use proto::log::Unproven;
use proto::log::merkle::{
    Frontier, Growth, HashReader, consistency_proof, empty_root, inclusion_proof, leaf_hash, node_hash, root,
    verify_consistency, verify_inclusion,
};
use proto::log::tile::{EntryBundle, HashTile, TilePath, TileReader, entry_bundles, hash_tiles};
use sha2::Sha256;
use tlog_tiles::{tile::Tile, tlog};

const SMALL: u64 = 96;
const LARGE: u64 = 70_000;

#[test]
fn roots_agree_at_every_size() {
    let log = Log::of(700);
    let mut other = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    let mut frontier = Frontier::default();
    assert_eq!(frontier.root(), empty_root());
    assert_eq!(root(0, &log.leaves[..]), Ok(empty_root()));
    for size in 1..=700 {
        let entry = entry(size - 1);
        frontier.append(leaf_hash(&entry));
        other.push(entry);
        assert_eq!(frontier.size(), size);
        assert_eq!(frontier.root().as_bytes()[..], other.root().as_bytes()[..]);
        assert_eq!(frontier.root().0, tlog::tree_hash(size, &log.stored).unwrap().0);
        assert_eq!(root(size, &log.leaves[..]), Ok(frontier.root()));
    }
}

#[test]
fn proofs_agree_for_every_small_tree() {
    let log = Log::of(SMALL);
    for size in 1..=SMALL {
        for index in 0..size {
            log.check_inclusion(index, size);
        }
        for old in 0..=size {
            log.check_consistency(old, size);
        }
    }
}

#[test]
fn proofs_agree_for_random_large_trees() {
    let log = Log::of(20_000);
    let mut random = Random(1);
    for _ in 0..1_500 {
        let size = random.between(1, 20_000);
        log.check_inclusion(random.between(0, size - 1), size);
        log.check_consistency(random.between(0, size), size);
    }
}

#[test]
fn proofs_agree_with_ct_merkle() {
    let log = Log::of(300);
    let mut other = MemoryBackedTree::<Sha256, Vec<u8>>::new();
    for size in 1..=300u64 {
        other.push(entry(size - 1));
        for index in (0..size).filter(|index| (index * 7 + size) % 5 == 0) {
            let ours = concat(&inclusion_proof(index, size, &log.leaves[..]).unwrap());
            let theirs = other.prove_inclusion(usize::try_from(index).unwrap());
            assert_eq!(ours, theirs.as_bytes());
        }
        for old in (1..size).filter(|old| (old * 3 + size) % 5 == 0) {
            let ours = concat(&consistency_proof(old, size, &log.leaves[..]).unwrap());
            let theirs = other.prove_consistency(usize::try_from(size - old).unwrap());
            assert_eq!(ours, theirs.as_bytes());
        }
    }
}

#[test]
fn growth_agrees_with_the_reader() {
    let log = Log::of(20_000);
    let mut random = Random(2);
    let small = (0..40).flat_map(|old| (0..40).map(move |added| (old, added)));
    let around_powers = (1..14).flat_map(|bit| {
        let power = 1u64 << bit;
        [(power - 1, 1), (power - 1, 2), (power, 1), (power, power), (power + 1, 63)]
    });
    let large: Vec<_> = (0..60).map(|_| (random.between(0, 19_000), random.between(1, 600))).collect();
    for (old, added) in small.chain(around_powers).chain(large) {
        check_growth(&log, old, added);
    }
}

fn check_growth(log: &Log, old: u64, added: u64) {
    let before = log.frontier(old);
    let new = old + added;
    let growth = Growth::new(&before, log.slice(old, new));
    assert_eq!(growth.size(), new);
    assert_eq!(growth.frontier(), &log.frontier(new), "{old} + {added}");
    assert_eq!(growth.root(), log.frontier(new).root());
    for index in old..new {
        let proof = growth.inclusion_proof(index).unwrap();
        let read = inclusion_proof(index, new, &log.cache).unwrap();
        assert_eq!(proof, read, "{index} of {old} + {added}");
    }
    assert_eq!(growth.inclusion_proof(new), Err(Unproven::OutsideTree));
    if let Some(below) = old.checked_sub(1) {
        assert_eq!(growth.inclusion_proof(below), Err(Unproven::OutsideTree));
    }
    assert_eq!(growth.into_frontier(), log.frontier(new));
}

#[test]
fn a_frontier_survives_a_snapshot() {
    let log = Log::of(300);
    for size in 0..=300 {
        let frontier = log.frontier(size);
        let hashes = frontier.subtrees().to_vec();
        assert_eq!(Frontier::from_parts(size, hashes.clone()), Ok(frontier));
        let more = [hashes.clone(), vec![Digest::default()]].concat();
        assert!(Frontier::from_parts(size, more).is_err());
        if let Some((_, fewer)) = hashes.split_last() {
            assert!(Frontier::from_parts(size, fewer.to_vec()).is_err());
        }
    }
    assert!(Frontier::from_parts(u64::MAX, vec![Digest::default(); 64]).is_err());
    assert!(Frontier::from_parts(1 << 63, vec![Digest::default(); 1]).is_err());
    let mut largest = Frontier::from_parts((1 << 63) - 1, vec![Digest::default(); 63]).unwrap();
    largest.append(Digest::default());
    assert_eq!(largest.subtrees().len(), 1);
}

#[test]
fn wrong_inclusion_proofs_are_refused() {
    let log = Log::of(SMALL);
    for size in 1..=SMALL {
        for index in 0..size {
            let proof = inclusion_proof(index, size, &log.leaves[..]).unwrap();
            let top = log.frontier(size).root();
            let leaf = log.slice(index, index + 1)[0];
            let verify =
                |index, size, leaf, proof: &[Digest], top| verify_inclusion(index, size, leaf, proof, top);
            assert_eq!(verify(index, size, leaf, &proof, top), Ok(()));
            refuse_other_lengths(&proof, |proof| verify(index, size, leaf, proof, top));
            refuse_flips(&proof, |proof| verify(index, size, leaf, proof, top));
            let flipped = flip(leaf, 0);
            assert_eq!(verify(index, size, flipped, &proof, top), Err(Unproven::RootMismatch));
            for outside in [size, size + 1, u64::MAX] {
                let refused = verify(outside, size, leaf, &proof, top);
                assert_eq!(refused, Err(Unproven::OutsideTree));
            }
            for other in (0..size).filter(|other| *other != index) {
                assert!(verify(other, size, leaf, &proof, top).is_err());
            }
        }
    }
    let outside = verify_inclusion(0, 0, Digest::default(), &[], empty_root());
    assert_eq!(outside, Err(Unproven::OutsideTree));
}

#[test]
fn wrong_consistency_proofs_are_refused() {
    let log = Log::of(SMALL);
    let root_at = |size| log.frontier(size).root();
    for new in 0..=SMALL {
        for old in 0..=new {
            let proof = consistency_proof(old, new, &log.leaves[..]).unwrap();
            let verify = |proof: &[Digest]| verify_consistency(old, root_at(old), new, root_at(new), proof);
            assert_eq!(verify(&proof), Ok(()));
            refuse_other_lengths(&proof, verify);
            refuse_flips(&proof, verify);
            let (old_root, new_root) = (root_at(old), root_at(new));
            let forged = verify_consistency(old, flip(old_root, 9), new, new_root, &proof);
            assert_eq!(forged, Err(Unproven::RootMismatch));
            if old > 0 {
                let forged = verify_consistency(old, old_root, new, flip(new_root, 9), &proof);
                assert_eq!(forged, Err(Unproven::RootMismatch));
            }
            if old < new {
                let shrunk = verify_consistency(new, new_root, old, old_root, &proof);
                assert_eq!(shrunk, Err(Unproven::Shrunk));
                let shrunk = consistency_proof(new, old, &log.leaves[..]);
                assert_eq!(shrunk, Err(Unproven::Shrunk));
            }
        }
    }
}

/// A log that rewrote one entry cannot prove consistency with what it said before.
#[test]
fn a_rewritten_tree_is_noticed() {
    let honest = Log::of(100);
    for (rewritten, old) in [(0, 50), (31, 32), (49, 50), (63, 64), (40, 99)] {
        let mut leaves = honest.leaves.clone();
        leaves[rewritten] = leaf_hash(b"rewritten");
        let proof = consistency_proof(old, 100, &leaves[..]).unwrap();
        let forged = root(100, &leaves[..]).unwrap();
        let refused = verify_consistency(old, honest.frontier(old).root(), 100, forged, &proof);
        assert_eq!(refused, Err(Unproven::RootMismatch));
    }
}

#[test]
fn a_missing_hash_is_said() {
    let log = Log::of(10);
    let reader = &log.leaves[..];
    assert_eq!(root(11, reader), Err(Unproven::HashMissing));
    assert_eq!(inclusion_proof(3, 11, reader), Err(Unproven::HashMissing));
    assert_eq!(consistency_proof(3, 11, reader), Err(Unproven::HashMissing));
    assert_eq!(inclusion_proof(3, 3, reader), Err(Unproven::OutsideTree));
    assert_eq!(reader.hash(64, 0), None);
    assert_eq!(reader.hash(63, u64::MAX), None);
}

#[test]
fn tile_paths() {
    let table = [
        ("tile/0/000", 0, 0, 256),
        ("tile/0/000.p/1", 0, 0, 1),
        ("tile/0/999", 0, 999, 256),
        ("tile/1/x001/000.p/255", 1, 1_000, 255),
        ("tile/63/x001/x234/067", 63, 1_234_067, 256),
        ("tile/2/x009/x223/x372/x036/x854/x775/807.p/9", 2, i64::MAX.unsigned_abs(), 9),
    ];
    for (text, level, index, width) in table {
        let tile = HashTile::new(level, index, width).unwrap();
        assert_eq!(tile.to_string(), text);
        assert_eq!(TilePath::parse(text), Ok(TilePath::Hashes(tile)));
        let bundle = EntryBundle::new(index, width).unwrap();
        let text = text.replacen(&format!("tile/{level}/"), "tile/entries/", 1);
        assert_eq!(bundle.to_string(), text);
        assert_eq!(TilePath::parse(&text), Ok(TilePath::Entries(bundle)));
        assert_eq!(TilePath::parse(&text).unwrap().to_string(), text);
    }
}

#[test]
fn bad_tile_paths_are_refused() {
    let bad = "\
        tile|tile/|tile/0|tile/0/|tile/0/0|tile/0/00|tile/0/0000|tile/00/000|tile/64/000|tile/-1/000\
        |tile/+1/000|tile/ 0/000|tile/0/x000/000|tile/0/x000/x001/000|tile/0/001/000|tile/0/x001/x000\
        |tile/0/x01/000|tile/0/x0001/000|tile/0/x001//000|tile/0//000|tile/0/000/|/tile/0/000\
        |tile/0/000.p/0|tile/0/000.p/00|tile/0/000.p/01|tile/0/000.p/256|tile/0/000.p/|tile/0/000.p\
        |tile/0/000.p/+1|tile/0/000.p/1.p/1|tile/0/000.p/1/|tile/0/00a|tile/0/+00|tile/0/xa01/000\
        |tile/0/٠٠٠|tile/0/0٠|Tile/0/000|tile/Entries/000|tile/data/000|tile/8/0/000\
        |tile/0/x009/x223/x372/x036/x854/x775/808|tile/0/x999/x999/x999/x999/x999/x999/x999/999\
        |tile/256/000|tile/0/000\n|tile/0/X001/000|tile/entries/x000/000|tile/entries/1";
    for path in bad.split('|') {
        assert!(TilePath::parse(path).is_err(), "{path}");
    }
    assert!(TilePath::parse("").is_err());
    assert!(HashTile::new(64, 0, 1).is_err());
    assert!(HashTile::new(0, 0, 0).is_err());
    assert!(HashTile::new(0, 0, 257).is_err());
    assert!(HashTile::new(0, u64::MAX, 1).is_err());
    assert!(EntryBundle::new(0, 0).is_err());
    assert!(EntryBundle::new(0, 257).is_err());
}

/// `tlog_tiles` and Go name the height too: `tile/8/<L>/…`.
#[test]
fn new_tiles_agree() {
    let mut random = Random(3);
    let fixed = [(0, 0), (0, 1), (0, 255), (0, 256), (255, 256), (256, 257), (0, LARGE), (9, 9)];
    let random: Vec<_> = (0..400)
        .map(|round| {
            let old = random.between(0, 1 << (round % 40));
            (old, old + random.between(0, 3_000))
        })
        .collect();
    for (old, new) in fixed.into_iter().chain(random) {
        let ours: Vec<String> = hash_tiles(old, new).map(|tile| tile.to_string()).collect();
        let theirs: Vec<String> = Tile::new_tiles(8, old, new)
            .iter()
            .map(|tile| tile.path().replacen("tile/8/", "tile/", 1))
            .collect();
        assert_eq!(ours, theirs, "{old} to {new}");
        let bundles: Vec<String> = entry_bundles(old, new).map(|b| b.to_string()).collect();
        let level_0: Vec<String> = ours
            .iter()
            .filter_map(|path| path.strip_prefix("tile/0/"))
            .map(|place| format!("tile/entries/{place}"))
            .collect();
        assert_eq!(bundles, level_0);
    }
    assert_eq!(hash_tiles(300, 200).count(), 0);
}

#[test]
fn tiles_agree_and_serve_every_proof() {
    let log = Log::of(LARGE);
    let mut random = Random(4);
    let mut files = BTreeMap::new();
    let mut size = 0;
    for step in [1, 254, 1, 1, 343, 64_936, 4_464] {
        let new = size + step;
        for tile in hash_tiles(size, new) {
            let bytes = tile.bytes(&log.cache).unwrap();
            let theirs = Tile::new(8, tile.level(), tile.index(), tile.width().into(), false);
            assert_eq!(bytes, theirs.read_data(&log.stored).unwrap());
            files.insert(tile, bytes);
        }
        size = new;
        let reader = TileReader::new(size, |tile| files.get(&tile).cloned());
        let top = log.frontier(size).root();
        assert_eq!(root(size, &reader), Ok(top));
        for _ in 0..60 {
            let index = random.between(0, size - 1);
            let proof = inclusion_proof(index, size, &reader).unwrap();
            assert_eq!(proof, inclusion_proof(index, size, &log.cache).unwrap());
            let old = random.between(0, size);
            let proof = consistency_proof(old, size, &reader).unwrap();
            assert_eq!(proof, consistency_proof(old, size, &log.cache).unwrap());
        }
    }
    assert_eq!(size, LARGE);

    // Partial tiles may be deleted once the full one is there; a reader of an older size then
    // uses the full one.
    files.retain(|tile, _| *tile == tile.full() || hash_tiles(0, LARGE).any(|current| current == *tile));
    let asked = RefCell::new(Vec::new());
    let reader = TileReader::new(600, |tile: HashTile| {
        asked.borrow_mut().push(tile.to_string());
        files.get(&tile).cloned()
    });
    assert_eq!(root(600, &reader), Ok(log.frontier(600).root()));
    assert!(asked.borrow().starts_with(&["tile/0/002.p/88".to_owned(), "tile/0/002".to_owned()]));
    // Nothing beyond the reader's size is read, though the tile has it.
    assert_eq!(reader.hash(0, 600), None);
    assert_eq!(reader.hash(8, 2), None);
    assert!(reader.hash(0, 599).is_some());
}

#[test]
fn tiles_of_a_wrong_length_are_as_none() {
    let log = Log::of(600);
    let hashes = |count: u64| concat(log.slice(512, 512 + count));
    let mut torn = hashes(88);
    torn.push(0);
    let table = [
        (hashes(88), true),
        (hashes(87), false),
        (hashes(0), false),
        (torn, false),
        (vec![0; 8_192 + 32], false),
        (vec![0; 8_192], true),
    ];
    for (bytes, accepted) in table {
        let reader = TileReader::new(600, |_| Some(bytes.clone()));
        assert_eq!(reader.hash(0, 520).is_some(), accepted, "{}", bytes.len());
    }
    let reader = TileReader::new(600, |_| Some(hashes(88)));
    assert_eq!(reader.hash(0, 3), None, "a full tile is 8,192 bytes");
    let none = TileReader::new(600, |_| None);
    assert_eq!(none.hash(0, 3), None);
    assert_eq!(none.hash(255, 0), None);
    assert_eq!(none.hash(0, u64::MAX), None);
}

#[test]
fn bundles() {
    let bundle = EntryBundle::new(0, 3).unwrap();
    let entries: [&[u8]; 3] = [b"a", b"", &[7; 65_535]];
    let bytes = bundle.encode(&entries).unwrap();
    assert_eq!(bundle.decode(&bytes).unwrap(), entries);
    for cut in [0, 1, 2, 3, 4, 5, 6, bytes.len() - 1] {
        assert!(bundle.decode(&bytes[..cut]).is_err(), "{cut}");
    }
    assert!(bundle.decode(&[&bytes[..], &[0]].concat()).is_err());
    assert!(EntryBundle::new(0, 2).unwrap().decode(&bytes).is_err());
    assert!(EntryBundle::new(0, 4).unwrap().decode(&bytes).is_err());
    assert!(bundle.encode(&entries[..2]).is_err());
    let too_large = vec![0; 65_536];
    assert!(EntryBundle::new(0, 1).unwrap().encode(&[too_large]).is_err());
}

/// A log in memory in three forms: leaf hashes, every complete node, and as `tlog_tiles` stores it.
struct Log {
    leaves: Vec<Digest>,
    cache: Nodes,
    stored: Stored,
}

struct Nodes(Vec<Vec<Digest>>);

struct Stored(Vec<tlog::Hash>);

impl HashReader for Nodes {
    fn hash(&self, level: u8, index: u64) -> Option<Digest> {
        let nodes = self.0.get(usize::from(level))?;
        nodes.get(usize::try_from(index).ok()?).copied()
    }
}

impl tlog::HashReader for Stored {
    fn read_hashes(&self, indexes: &[u64]) -> Result<Vec<tlog::Hash>, tlog::Error> {
        let hash = |index: &u64| self.0[usize::try_from(*index).unwrap()];
        Ok(indexes.iter().map(hash).collect())
    }
}

impl Log {
    fn of(size: u64) -> Self {
        let mut stored = Stored(Vec::new());
        for index in 0..size {
            let new = tlog::stored_hashes(index, &entry(index), &stored).unwrap();
            stored.0.extend(new);
        }
        let leaves: Vec<Digest> = (0..size).map(|index| leaf_hash(&entry(index))).collect();
        let mut levels = vec![leaves.clone()];
        while levels[levels.len() - 1].len() > 1 {
            let pairs = levels[levels.len() - 1].chunks_exact(2);
            levels.push(pairs.map(|pair| node_hash(pair[0], pair[1])).collect());
        }
        Self { leaves, cache: Nodes(levels), stored }
    }

    fn slice(&self, start: u64, end: u64) -> &[Digest] {
        &self.leaves[usize::try_from(start).unwrap()..usize::try_from(end).unwrap()]
    }

    /// Made of the complete nodes, so that it does not depend on `append`.
    fn frontier(&self, size: u64) -> Frontier {
        let peaks = (0..64u8).rev().filter(|level| size >> level & 1 == 1);
        let hashes = peaks.map(|level| self.cache.hash(level, (size >> level) - 1).unwrap());
        Frontier::from_parts(size, hashes.collect()).unwrap()
    }

    fn check_inclusion(&self, index: u64, size: u64) {
        let proof = inclusion_proof(index, size, &self.cache).unwrap();
        let theirs = tlog::prove_record(size, index, &self.stored).unwrap();
        assert_eq!(proof, digests(&theirs), "{index} in {size}");
        let leaf = self.slice(index, index + 1)[0];
        let top = self.frontier(size).root();
        assert_eq!(verify_inclusion(index, size, leaf, &proof, top), Ok(()));
    }

    fn check_consistency(&self, old: u64, new: u64) {
        let proof = consistency_proof(old, new, &self.cache).unwrap();
        if old > 0 {
            let theirs = tlog::prove_tree(new, old, &self.stored).unwrap();
            assert_eq!(proof, digests(&theirs), "{old} to {new}");
        }
        let (old_root, new_root) = (self.frontier(old).root(), self.frontier(new).root());
        let verified = verify_consistency(old, old_root, new, new_root, &proof);
        assert_eq!(verified, Ok(()), "{old} to {new}");
    }
}

/// SplitMix64: small, and the same for ever.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn between(&mut self, least: u64, most: u64) -> u64 {
        least + self.next() % (most - least + 1)
    }
}

fn entry(index: u64) -> Vec<u8> {
    format!("leaf {index}").into_bytes()
}

fn digests(hashes: &[tlog::Hash]) -> Vec<Digest> {
    hashes.iter().map(|hash| Digest(hash.0)).collect()
}

fn concat(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

fn flip(Digest(mut bytes): Digest, bit: usize) -> Digest {
    bytes[bit / 8] ^= 1 << (bit % 8);
    Digest(bytes)
}

fn refuse_other_lengths(proof: &[Digest], verify: impl Fn(&[Digest]) -> Result<(), Unproven>) {
    let longer = [proof, &[Digest::default()]].concat();
    assert_eq!(verify(&longer), Err(Unproven::ProofLength));
    if let Some((_, shorter)) = proof.split_last() {
        assert_eq!(verify(shorter), Err(Unproven::ProofLength));
    }
    if let Some((_, shorter)) = proof.split_first() {
        assert_eq!(verify(shorter), Err(Unproven::ProofLength));
    }
}

fn refuse_flips(proof: &[Digest], verify: impl Fn(&[Digest]) -> Result<(), Unproven>) {
    for place in 0..proof.len() {
        let mut forged = proof.to_vec();
        forged[place] = flip(forged[place], (place * 37) % 256);
        assert_eq!(verify(&forged), Err(Unproven::RootMismatch));
    }
}
