//! Erasing blobs: lengths and positions stay, bytes go, and a crash at any step leaves one or the
//! other file. Not here: who may erase.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers")]

mod twin;

use journal::{
    Blob, Crash, EraseError, Grain, Journal, Mark, MemoryDisk, OpenError, Position, ReadError, Reader,
    SegmentNo,
};
use twin::{Known, assert_reads, copy, disk, open, reopen};

const BY: u64 = 4711;
const SECRET: &[u8] = b"the address of the shelter";

fn secrets() -> (MemoryDisk, Vec<Known>) {
    let disk = disk();
    let mut journal = open(&disk);
    let long = SECRET.repeat(500);
    let batch = Known::new(b"who may know", &[&long, b"kept", SECRET]);
    let known = vec![batch; 12];
    for batch in &known {
        batch.append(&mut journal).unwrap();
    }
    (disk, known)
}

/// Segment 0 holds four of them; all but the second blob of each go.
fn erased(known: &[Known]) -> Vec<Known> {
    let mut known = known.to_vec();
    for batch in &mut known[..4] {
        batch.blobs[0].1 = Some(BY);
        batch.blobs[2].1 = Some(BY);
    }
    known
}

fn all_but_the_second(_: journal::BatchNo, _: Position, blob: usize) -> Option<u64> {
    (blob != 1).then_some(BY)
}

fn marks(reader: &Reader) -> Vec<(Mark, Mark)> {
    reader.iter_from(Mark::START).map(Result::unwrap).map(|batch| (batch.mark(), batch.next())).collect()
}

fn holds_secret(disk: &MemoryDisk, name: &str) -> bool {
    disk.file(name).unwrap().windows(SECRET.len()).any(|part| part == SECRET)
}

#[test]
fn bytes_go_and_places_stay() {
    let (disk, known) = secrets();
    let journal = open(&disk);
    let reader = journal.reader();
    let before = marks(&reader);
    let done = journal.eraser().rewrite_segment(SegmentNo::new(0), all_but_the_second).unwrap();
    assert_eq!((done.blobs, done.damaged.len()), (8, 0));
    assert_eq!(done.bytes, 4 * 501 * u64::try_from(SECRET.len()).unwrap());
    assert_eq!(marks(&reader), before, "a reader from before sees the new file");
    assert_reads(&journal, &erased(&known));
    assert!(!holds_secret(&disk, "0000000000000000.seg"));
    assert!(holds_secret(&disk, "0000000000000001.seg"));
    disk.crash(Crash::LoseUnsynced);
    let journal = open(&disk);
    assert_reads(&journal, &erased(&known));
    assert_eq!(marks(&journal.reader()), before);
}

#[test]
fn an_erased_blob_is_not_asked_for_again() {
    let (disk, known) = secrets();
    let eraser = open(&disk).eraser();
    eraser.rewrite_segment(SegmentNo::new(0), all_but_the_second).unwrap();
    let mut asked = 0;
    let again = eraser.rewrite_segment(SegmentNo::new(0), |_, _, blob| {
        assert_eq!(blob, 1);
        asked += 1;
        None
    });
    assert_eq!((again.unwrap().blobs, asked), (0, 4));
    assert!(!disk.names().iter().any(|name| name.ends_with(".tmp")));
    assert_eq!(reopen(&disk).unwrap_err(), OpenError::Locked);
    drop(eraser);
    assert_reads(&open(&disk), &erased(&known));
}

#[test]
fn only_sealed_segments_that_exist() {
    let (disk, _) = secrets();
    let journal = open(&disk);
    let eraser = journal.eraser();
    let current = SegmentNo::new(journal.end().position.get() / 65_536);
    for segment in [current, current, SegmentNo::new(99)] {
        let refused = eraser.rewrite_segment(segment, all_but_the_second);
        assert_eq!(refused, Err(EraseError::NotSealed { segment }));
    }
    drop((journal, eraser));
    disk.remove_file("0000000000000000.seg");
    let (journal, _) = reopen(&disk).unwrap();
    let segment = SegmentNo::new(0);
    let refused = journal.eraser().rewrite_segment(segment, all_but_the_second);
    assert_eq!(refused, Err(EraseError::Missing { segment }));
}

#[test]
fn a_crash_at_any_step_leaves_the_old_or_the_new_segment() {
    let (secret, known) = secrets();
    let new = erased(&known);
    let mut outcomes = [0, 0];
    for steps in 0..20 {
        for crash in [Crash::Kill, Crash::LoseUnsynced, Crash::Tear { grain: Grain::Sector, seed: steps }] {
            let disk = copy(&secret);
            let eraser = open(&disk).eraser();
            disk.crash_after(steps, crash);
            let done = eraser.rewrite_segment(SegmentNo::new(0), all_but_the_second);
            disk.crash(crash);
            let journal = open(&disk);
            assert!(!disk.names().iter().any(|name| name.ends_with(".tmp")), "cleaned at open");
            let first = journal.reader().read(Mark::START.position).unwrap();
            let is_new = matches!(first.blob(0), Some(Blob::Erased { .. }));
            assert!(is_new || done.is_err(), "what was acknowledged is erased");
            assert_reads(&journal, if is_new { &new } else { &known });
            outcomes[usize::from(is_new)] += 1;
        }
    }
    assert!(outcomes.iter().all(|count| *count > 3), "{outcomes:?}");
}

#[test]
fn damage_is_copied_as_it_is_and_told() {
    let (disk, _) = secrets();
    let mut journal = open(&disk);
    let second = journal.reader().iter_from(Mark::START).nth(1).unwrap().unwrap().mark();
    disk.flip_bit("0000000000000000.seg", (second.position.get() + 1000) * 8);
    let done = journal.eraser().rewrite_segment(SegmentNo::new(0), all_but_the_second).unwrap();
    assert_eq!(done.blobs, 6);
    assert_eq!(done.damaged.len(), 1);
    assert_eq!(done.damaged[0].position, second.position);
    assert!(matches!(journal.reader().read(second.position), Err(ReadError::Damaged(_))));
    journal.append(b"goes on", &[]).unwrap();
    let good = journal.reader().iter_from(Mark::START).filter(Result::is_ok).count();
    assert_eq!(good, 12);
}
