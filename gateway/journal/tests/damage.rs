//! Damage at rest and forgery: never a wrong batch, never a panic, and named. Not here: crashes.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers")]

mod twin;

use journal::{
    Damaged, FileJournal, Journal, LogId, Mark, MemoryDisk, OpenError, Position, ReadError, SegmentBytes,
    What,
};
use twin::{Known, assert_reads, batches, copy, disk, open, reopen};

const FIRST: &str = "0000000000000000.seg";
const SECOND: &str = "0000000000000001.seg";

/// Five short batches in segment 0, one long that rolls to segment 1, three more short ones.
fn nine() -> (MemoryDisk, Vec<Known>, Vec<Mark>) {
    let disk = disk();
    let mut journal = open(&disk);
    let mut known = batches(5, 30);
    known.push(Known::new(b"long", &[&vec![9; 65_050]]));
    known.extend(batches(3, 30));
    let marks = known.iter().map(|batch| batch.append(&mut journal).unwrap().mark).collect();
    (disk, known, marks)
}

/// Everything that can be read is right, and what cannot is told. Gives the numbers read.
fn read_after_damage(disk: &MemoryDisk, known: &[Known]) -> (Vec<u64>, Vec<Damaged>) {
    let (journal, recovered) = reopen(disk).unwrap();
    let mut numbers = Vec::new();
    let mut seen = Vec::new();
    for read in journal.reader().iter_from(Mark::START) {
        match read {
            Ok(batch) => {
                let number = batch.mark().batch_no.get();
                let expected = &known[usize::try_from(number).unwrap()];
                assert!(expected.matches(&batch), "a wrong batch {number}");
                numbers.push(number);
            }
            Err(ReadError::Damaged(damaged)) => {
                let refused = journal.reader().read(damaged.position);
                assert!(matches!(refused, Err(ReadError::Damaged(_))));
                seen.push(damaged);
            }
            Err(other) => panic!("{other}"),
        }
    }
    let named: Vec<_> =
        recovered.damage.into_iter().filter(|damaged| matches!(damaged.what, What::Records { .. })).collect();
    assert_eq!(named, seen, "recovery and reading name the same");
    (numbers, named)
}

#[test]
fn every_flipped_bit_of_a_record_is_named_or_a_torn_tail() {
    let (disk, known, marks) = nine();
    for (index, mark) in marks.iter().enumerate().filter(|(index, _)| *index != 5) {
        let name = if index < 5 { FIRST } else { SECOND };
        let start = mark.position.get() % 65_536 * 8;
        let bytes = journal::batch_bytes(5, [30, 5]);
        for bit in start..start + bytes * 8 {
            let disk = copy(&disk);
            disk.flip_bit(name, bit);
            let (numbers, named) = read_after_damage(&disk, &known);
            let lost = mark.batch_no.get();
            let expected: Vec<u64> = (0..9).filter(|number| *number != lost).collect();
            assert_eq!(numbers, expected, "bit {bit}");
            if index < 8 {
                assert_eq!(named.len(), 1, "bit {bit}");
                assert_eq!(named[0].position, mark.position);
            } else {
                assert_eq!(named, [], "the last one is a torn tail");
            }
        }
    }
}

#[test]
fn flipped_bits_elsewhere_lose_nothing_but_the_record_they_hit() {
    let (disk, known, _) = nine();
    for name in [FIRST, SECOND, "0000000000000002.seg"] {
        // 1021 is prime: every bit of a byte and every byte of a word is met.
        for bit in (0..64 * 8).chain((512..65_536 * 8).step_by(1021)) {
            let disk = copy(&disk);
            disk.flip_bit(name, bit);
            let (numbers, _) = read_after_damage(&disk, &known);
            assert!(numbers.len() >= 8, "{name} {bit}");
        }
    }
}

#[test]
fn any_two_damaged_records_are_named() {
    let (disk, known, marks) = nine();
    for one in 0..8 {
        for other in one + 1..8 {
            let disk = copy(&disk);
            for index in [one, other] {
                let name = if index < 5 { FIRST } else { SECOND };
                disk.flip_bit(name, (marks[index].position.get() % 65_536 + 40) * 8);
            }
            let (numbers, named) = read_after_damage(&disk, &known);
            assert_eq!(numbers.len(), 7, "{one} {other}");
            assert_eq!(named.len(), if other == one + 1 { 1 } else { 2 });
        }
    }
}

#[test]
fn damage_before_a_snapshot_is_not_in_the_way() {
    let (disk, _, marks) = nine();
    disk.flip_bit(FIRST, (marks[2].position.get() + 40) * 8);
    let (_, recovered) = reopen(&disk).unwrap();
    assert_eq!(recovered.damage_to_replay().count(), 1);
    let closed = twin::closed(&disk).unwrap();
    let (_, recovered) = closed.recover(journal::Config::inline(), Some(marks[4])).unwrap();
    assert_eq!(recovered.damage.len(), 1);
    assert_eq!(recovered.damage_to_replay().count(), 0);
}

#[test]
fn a_truncated_file_is_named_and_mended_where_batches_go_on() {
    let (disk, known, _) = nine();
    for len in (0..65_536).step_by(500) {
        for name in [FIRST, SECOND] {
            let disk = copy(&disk);
            let whole = disk.file(name).unwrap();
            disk.set_file(name, &whole[..len]);
            let (journal, recovered) = reopen(&disk).unwrap();
            assert!(recovered.damage.iter().any(|damaged| damaged.what == What::SegmentLength));
            let end = journal.end();
            drop(journal);
            assert!(end == reopen(&disk).unwrap().0.end());
            if name == FIRST {
                assert!(end.batch_no.get() == 9);
            } else {
                assert_eq!(disk.file(name).unwrap().len(), 65_536);
            }
            let (numbers, _) = read_after_damage(&disk, &known);
            assert!(numbers.len() >= 4);
        }
    }
}

#[test]
fn a_grown_file_is_named_and_loses_nothing() {
    let (disk, known, _) = nine();
    for name in [FIRST, SECOND] {
        let disk = copy(&disk);
        let grown = [disk.file(name).unwrap(), vec![0xff; 5000]].concat();
        disk.set_file(name, &grown);
        let (journal, recovered) = reopen(&disk).unwrap();
        assert!(recovered.damage.iter().all(|damaged| damaged.what == What::SegmentLength));
        assert_eq!(recovered.damage.len(), 1);
        assert_reads(&journal, &known);
    }
}

#[test]
fn a_missing_segment_is_named_and_the_rest_is_read() {
    let disk = disk();
    let mut journal = open(&disk);
    let known = batches(6, 60_000);
    for batch in &known {
        batch.append(&mut journal).unwrap();
    }
    drop(journal);
    for missing in 0..5 {
        let disk = copy(&disk);
        disk.remove_file(&format!("{missing:016x}.seg"));
        let (journal, recovered) = reopen(&disk).unwrap();
        let position = Position::new(missing * 65_536);
        let named = Damaged { position, what: What::SegmentMissing };
        assert!(recovered.damage.contains(&named));
        assert_eq!(recovered.damage_to_replay().count(), 2);
        drop(journal);
        let (numbers, _) = read_after_damage(&disk, &known);
        assert_eq!(numbers, (0..6).filter(|number| *number != missing).collect::<Vec<_>>());
    }
}

#[test]
fn a_segment_of_another_journal_is_refused() {
    let (disk, ..) = nine();
    let other = MemoryDisk::new();
    FileJournal::create(&other.volume(), &LogId::new([8; 16]), SegmentBytes::MIN).unwrap();
    let mut journal = open(&other);
    for batch in batches(6, 60_000) {
        batch.append(&mut journal).unwrap();
    }
    disk.set_file(SECOND, &other.file(SECOND).unwrap());
    let refused = reopen(&disk).unwrap_err();
    let segment = journal::SegmentNo::new(1);
    assert_eq!(refused, OpenError::ForeignSegment { segment });
    disk.set_file(SECOND, &[0; 65_536]);
    disk.set_file(FIRST, &[0; 65_536]);
    disk.set_file("0000000000000002.seg", &[0; 65_536]);
    assert_eq!(reopen(&disk).unwrap_err(), OpenError::NoHeader);
}

#[test]
fn what_no_torn_batch_can_explain_is_not_zeroed() {
    let disk = disk();
    let config = journal::Config { ready_segments: 3, ..journal::Config::inline() };
    drop(twin::closed(&disk).unwrap().recover(config, None).unwrap());
    let name = "0000000000000003.seg";
    disk.flip_bit(name, 4000);
    let segment = journal::SegmentNo::new(3);
    assert_eq!(reopen(&disk).unwrap_err(), OpenError::BytesBeyondEnd { segment });
}

#[test]
fn forged_frames_in_blobs_are_never_frames() {
    let disk = disk();
    let mut journal = open(&disk);
    let real = journal.append(b"real", &[b"content"]).unwrap();
    let segment = disk.file(FIRST).unwrap();
    let (from, until) = (real.mark.position.get(), real.next.position.get());
    let own = &segment[usize::try_from(from).unwrap()..usize::try_from(until).unwrap()];
    // The same place in a journal whose log id the forger chose: right in all but the log id.
    let forged = forged_copy();
    let own_padded = [own, &[0; 8]].concat().repeat(20);
    let known = Known::new(b"carrier", &[own, &forged, &own_padded]);
    let carrier = known.append(&mut journal).unwrap();
    journal.append(b"last", &[]).unwrap();
    drop(journal);
    // Damage the carrier so that recovery has to search through its content, at every offset.
    let bytes = carrier.next.position.get() - carrier.mark.position.get();
    for offset in 0..bytes {
        let disk = copy(&disk);
        disk.flip_bit(FIRST, (carrier.mark.position.get() + offset) * 8 + 3);
        let (journal, recovered) = reopen(&disk).unwrap();
        let read: Vec<_> = journal.reader().iter_from(Mark::START).collect();
        let metas: Vec<_> = read.iter().flatten().map(|batch| batch.meta().to_vec()).collect();
        assert_eq!(metas, [b"real".to_vec(), b"last".to_vec()]);
        assert_eq!(recovered.damage.len(), 1);
    }
}

/// The frames at the carrier's own positions, made with another log id.
fn forged_copy() -> Vec<u8> {
    let disk = MemoryDisk::new();
    FileJournal::create(&disk.volume(), &LogId::new([0; 16]), SegmentBytes::MIN).unwrap();
    let mut journal = open(&disk);
    for n in 0..40 {
        journal.append(&[n; 5], &[]).unwrap();
    }
    disk.file(FIRST).unwrap()[64..64 + 40 * 40].to_vec()
}

#[test]
fn a_torn_tail_full_of_forged_heads_is_cut_quickly() {
    let disk = disk();
    let mut journal = open(&disk);
    // Magic, then words that claim a long frame, as often as they fit.
    let heads = [&b"RFJB"[..], &[0x40; 4], &[0; 4], &[0xf8, 0xfe, 0, 0]].concat().repeat(4000);
    disk.fail_append(0, journal::AppendFault::BeforeSync);
    journal.append(b"", &[&heads]).unwrap_err();
    disk.crash(journal::Crash::KeepFirst { bytes: 60_000 });
    let (journal, recovered) = reopen(&disk).unwrap();
    assert_eq!((journal.end(), recovered.damage), (Mark::START, vec![]));
    assert!(recovered.cut.is_some());
}
