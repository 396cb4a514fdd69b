//! What opening finds after each kind of crash, cut and scripted fault. Not here: random
//! sequences (`model.rs`), damage at rest (`damage.rs`).

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers")]

mod twin;

use journal::{
    AnchorFound, AppendFault, Closed, Config, Crash, Cut, Fault, FileJournal, Grain, Journal, LogId, Mark,
    MemoryDisk, OpenError, Position, ReadError, Room, SegmentBytes, Step, batch_bytes,
};
use twin::{Known, assert_reads, batches, closed, copy, disk, open, reopen};

const USABLE: u64 = 64 * 1024 - 64;

#[test]
fn what_was_acknowledged_survives_every_power_cut() {
    let disk = disk();
    let known = batches(20, 9000);
    for (n, batch) in known.iter().enumerate() {
        let mut journal = open(&disk);
        assert_reads(&journal, &known[..n]);
        let appended = batch.append(&mut journal).unwrap();
        assert_eq!(appended.next, journal.end());
        disk.crash(Crash::LoseUnsynced);
    }
    assert_reads(&open(&disk), &known);
}

#[test]
fn a_failed_append_is_whole_or_absent_and_ends_the_journal() {
    let cases = [
        (AppendFault::BeforeWrite, Crash::Kill, Step::Write, false),
        (AppendFault::BeforeSync, Crash::Kill, Step::Sync, true),
        (AppendFault::BeforeSync, Crash::LoseUnsynced, Step::Sync, false),
        (AppendFault::AfterSync, Crash::LoseUnsynced, Step::Sync, true),
    ];
    for (fault, crash, failed_step, is_there) in cases {
        let disk = disk();
        let mut journal = open(&disk);
        let known = batches(2, 100);
        disk.fail_append(1, fault);
        known[0].append(&mut journal).unwrap();
        let end = journal.end();
        let failed = known[1].append(&mut journal).unwrap_err();
        assert!(matches!(failed, Fault::Io { step, .. } if step == failed_step));
        assert_eq!(journal.append(b"again", &[]), Err(failed));
        assert_eq!(journal.room(), Room::Nothing);
        assert_eq!(journal.reader().end(), end);
        disk.crash(crash);
        let count = if is_there { 2 } else { 1 };
        assert_reads(&open(&disk), &known[..count]);
    }
}

#[test]
fn a_torn_tail_is_cut_and_leaves_no_stale_bytes() {
    for grain in [Grain::Word, Grain::Sector] {
        for seed in 0..300 {
            let disk = disk();
            let mut journal = open(&disk);
            let known = batches(3, 3000);
            known[0].append(&mut journal).unwrap();
            disk.fail_append(0, AppendFault::BeforeSync);
            known[1].append(&mut journal).unwrap_err();
            disk.crash(Crash::Tear { grain, seed });
            let (mut journal, recovered) = reopen(&disk).unwrap();
            assert_eq!(recovered.damage, []);
            if recovered.end.batch_no.get() == 2 {
                assert_reads(&journal, &known[..2]);
                continue;
            }
            let end = usize::try_from(recovered.end.position.get()).unwrap();
            let segment = disk.file("0000000000000000.seg").unwrap();
            assert!(segment[end..].iter().all(|byte| *byte == 0));
            known[2].append(&mut journal).unwrap();
            assert_reads(&journal, &[known[0].clone(), known[2].clone()]);
        }
    }
}

#[test]
fn a_tail_torn_at_any_byte_is_cut() {
    let mut kept = Vec::new();
    for bytes in 0..=batch_bytes(5, [40, 5]) {
        let disk = disk();
        let mut journal = open(&disk);
        let known = batches(2, 40);
        known[0].append(&mut journal).unwrap();
        disk.fail_append(0, AppendFault::BeforeSync);
        known[1].append(&mut journal).unwrap_err();
        disk.crash(Crash::KeepFirst { bytes });
        let (journal, recovered) = reopen(&disk).unwrap();
        let position = Position::new(64 + batch_bytes(5, [40, 5]));
        let whole = recovered.end.batch_no.get() == 2;
        assert_eq!(recovered.cut, (bytes > 0 && !whole).then_some(Cut { position }));
        assert_reads(&journal, &known[..if whole { 2 } else { 1 }]);
        kept.push(whole);
    }
    // Its last bytes are zeros, which are there without having been written.
    assert!(kept.iter().filter(|whole| **whole).count() < 8);
    assert_eq!(kept.last(), Some(&true));
}

#[test]
fn a_batch_torn_in_the_segment_it_rolled_to_is_cut_there() {
    let disk = disk();
    let mut journal = open(&disk);
    let known = batches(2, 40_000);
    known[0].append(&mut journal).unwrap();
    disk.fail_append(0, AppendFault::BeforeSync);
    known[1].append(&mut journal).unwrap_err();
    disk.crash(Crash::KeepFirst { bytes: 20_000 });
    let (mut journal, recovered) = reopen(&disk).unwrap();
    assert_eq!(recovered.cut, Some(Cut { position: Position::new(65_536 + 64) }));
    known[1].append(&mut journal).unwrap();
    assert_reads(&journal, &known);
    drop(journal);
    assert_reads(&open(&disk), &known);
}

#[test]
fn recovery_may_crash_at_any_step() {
    for steps in 0..12 {
        let disk = disk();
        let mut journal = open(&disk);
        let known = batches(2, 40_000);
        known[0].append(&mut journal).unwrap();
        disk.fail_append(0, AppendFault::BeforeSync);
        known[1].append(&mut journal).unwrap_err();
        disk.crash(Crash::KeepFirst { bytes: 20_000 });
        disk.crash_after(steps, Crash::Tear { grain: Grain::Sector, seed: steps });
        // Whether it got through or not: what was acknowledged is there afterwards.
        drop(reopen(&disk));
        disk.crash(Crash::LoseUnsynced);
        assert_reads(&open(&disk), &known[..1]);
    }
}

#[test]
fn an_unsynced_batch_that_recovery_accepts_is_durable_from_then_on() {
    let disk = disk();
    let mut journal = open(&disk);
    disk.fail_append(0, AppendFault::BeforeSync);
    journal.append(b"unsynced", &[]).unwrap_err();
    disk.crash(Crash::Kill);
    let journal = open(&disk);
    assert_eq!(journal.end().batch_no.get(), 1);
    disk.crash(Crash::LoseUnsynced);
    assert_eq!(open(&disk).end(), journal.end());
}

#[test]
fn a_planted_lie_about_syncs_is_seen() {
    let disk = disk();
    disk.lie_about_syncs();
    let mut journal = open(&disk);
    journal.append(b"acknowledged", &[]).unwrap();
    disk.crash(Crash::LoseUnsynced);
    assert_eq!(open(&disk).end(), Mark::START);
}

#[test]
fn readers_see_nothing_before_its_sync() {
    let disk = disk();
    let mut journal = open(&disk);
    let appended = journal.append(b"seen", &[]).unwrap();
    let reader = journal.reader();
    let mut batches = reader.iter_from(Mark::START);
    assert_eq!(batches.next().unwrap().unwrap().mark(), appended.mark);
    disk.fail_append(0, AppendFault::BeforeSync);
    journal.append(b"unseen", &[]).unwrap_err();
    let position = appended.next.position;
    let beyond = ReadError::BeyondEnd { position, end: position };
    assert_eq!(reader.read(position), Err(beyond));
    assert!(batches.next().is_none());
}

#[test]
fn an_iterator_goes_on_after_more_was_appended() {
    let mut journal = open(&disk());
    let mut batches = journal.reader().iter_from(Mark::START);
    for n in 0..10 {
        assert!(batches.next().is_none());
        let appended = journal.append(&[n; 20_000], &[]).unwrap();
        let batch = batches.next().unwrap().unwrap();
        assert_eq!((batch.mark(), batch.next()), (appended.mark, appended.next));
        assert_eq!(journal.reader().read(appended.mark.position), Ok(batch));
    }
}

#[test]
fn segments_roll_at_the_exact_boundary() {
    let first = 1000 - 32 - 16;
    for (rest, segment) in [(USABLE - 1000, 0), (USABLE - 992, 1)] {
        let disk = disk();
        let mut journal = open(&disk);
        journal.append(b"", &[&vec![1; first]]).unwrap();
        let second = usize::try_from(rest).unwrap() - 32;
        let appended = journal.append(&vec![2; second], &[]).unwrap();
        assert_eq!(SegmentBytes::MIN.segment_of(appended.mark.position).get(), segment);
        let third = journal.append(b"third", &[]).unwrap();
        drop(journal);
        let journal = open(&disk);
        assert_eq!(journal.end(), third.next);
        assert_eq!(journal.reader().iter_from(Mark::START).map(Result::unwrap).count(), 3);
    }
}

#[test]
fn a_segment_filled_to_the_last_byte_reopens() {
    let disk = disk();
    let mut journal = open(&disk);
    let max = usize::try_from(journal.batch_bytes_max()).unwrap();
    assert_eq!(u64::try_from(max), Ok(USABLE));
    let full = journal.append(&vec![7; max - 32], &[]).unwrap();
    assert_eq!(full.next.position.get(), 65_536);
    let too_large = Fault::TooLarge { bytes: USABLE + 8, limit_bytes: USABLE };
    assert_eq!(journal.append(&vec![7; max - 31], &[]), Err(too_large));
    drop(journal);
    let mut journal = open(&disk);
    assert_eq!(journal.end(), full.next);
    let next = journal.append(b"next", &[]).unwrap();
    assert_eq!(next.mark.position.get(), 65_536 + 64);
    journal.append(&vec![7; max - 32], &[]).unwrap();
    drop(journal);
    let journal = open(&disk);
    let batches: Vec<_> = journal.reader().iter_from(full.next).map(Result::unwrap).collect();
    assert_eq!(batches[0].mark(), next.mark);
    assert_eq!(batches.len(), 2);
}

#[test]
fn a_full_disk_refuses_ordinary_work_first_and_is_no_fault() {
    let disk = disk();
    let mut journal = open(&disk);
    disk.set_free_bytes(0);
    let mut ordinary = 0;
    while let Room::Ordinary { batch_bytes_max, .. } = journal.room() {
        assert!(batch_bytes_max >= 4096);
        journal.append(&[1; 4000], &[]).unwrap();
        ordinary += 1;
    }
    assert!(ordinary > 24, "both segments are used: {ordinary}");
    let mut reserved = 0;
    while let Room::Reserved { .. } = journal.room() {
        journal.append(&[2; 1000], &[]).unwrap();
        reserved += 1;
    }
    assert!(reserved >= 4, "receipts had space: {reserved}");
    assert_eq!(journal.room(), Room::Nothing);
    disk.set_free_bytes(1 << 20);
    assert!(matches!(journal.room(), Room::Ordinary { .. }));
    journal.append(&[3; 50_000], &[]).unwrap();
    disk.set_free_bytes(0);
    journal.append(&[3; 50_000], &[]).unwrap();
    assert_eq!(journal.append(&[3; 50_000], &[]), Err(Fault::NoRoom));
    assert_eq!(journal.append(b"", &[]), Err(Fault::NoRoom), "what was decided did not fit");
}

#[test]
fn below_the_reserve_only_reserved_work_is_taken() {
    let disk = disk();
    let config = Config { reserve_bytes: 1 << 30, ..Config::inline() };
    let (mut journal, _) = closed(&disk).unwrap().recover(config, None).unwrap();
    assert!(matches!(journal.room(), Room::Ordinary { .. }));
    disk.set_free_bytes((1 << 30) - 1);
    assert!(matches!(journal.room(), Room::Reserved { .. }));
}

#[test]
fn a_snapshot_spares_the_segments_before_it() {
    let disk = disk();
    let mut journal = open(&disk);
    let known = batches(12, 15_000);
    for batch in &known {
        batch.append(&mut journal).unwrap();
    }
    let mark = journal.end();
    journal.snapshots().write(mark, [b"state"]).unwrap();
    journal.append(b"after", &[]).unwrap();
    let end = journal.end();
    drop(journal);
    // Damage long before the snapshot is none of its business.
    disk.flip_bit("0000000000000000.seg", 8 * 100);
    let closed = closed(&disk).unwrap();
    let snapshot = closed.snapshots().newest().unwrap().snapshot.unwrap();
    assert_eq!((snapshot.mark, snapshot.bytes()), (mark, &b"state"[..]));
    let (journal, recovered) = closed.recover(Config::inline(), Some(mark)).unwrap();
    assert_eq!((recovered.end, recovered.damage), (end, vec![]));
    assert_eq!(journal.reader().iter_from(mark).count(), 1);
}

#[test]
fn every_place_between_batches_can_be_started_from_and_no_other() {
    let disk = disk();
    let mut journal = open(&disk);
    let mut marks = vec![Mark::START];
    for batch in batches(12, 15_000) {
        let appended = batch.append(&mut journal).unwrap();
        marks.extend([appended.mark, appended.next]);
    }
    let end = journal.end();
    drop(journal);
    for from in marks {
        let (journal, recovered) = closed(&disk).unwrap().recover(Config::inline(), Some(from)).unwrap();
        assert_eq!(recovered.end, end);
        drop(journal);
        for position in [from.position.get() + 8, from.position.get() + (1 << 20)] {
            let from = Mark { position: Position::new(position), ..from };
            let refused = closed(&disk).unwrap().recover(Config::inline(), Some(from));
            assert_eq!(refused.unwrap_err(), OpenError::FromNotFound { from });
        }
    }
}

#[test]
fn a_cut_below_the_anchor_stops_and_changes_nothing() {
    let disk = disk();
    let before = copy(&disk);
    let mut journal = open(&disk);
    journal.append(b"witnessed", &[]).unwrap();
    let anchor = journal.end();
    journal.anchor().write(anchor, b"checkpoint").unwrap();
    drop(journal);
    let segment = "0000000000000000.seg";
    let mut torn = disk.file(segment).unwrap();
    torn[64 + 40] ^= 1;
    disk.set_file(segment, &torn);
    let end = Mark::START;
    assert_eq!(reopen(&disk).unwrap_err(), OpenError::CutBelowAnchor { anchor, end });
    assert_eq!(disk.file(segment).unwrap(), torn);
    let closed = closed(&disk).unwrap();
    let (_, recovered) = closed.recover_below_anchor_dangerously(Config::inline(), None).unwrap();
    assert_eq!(recovered.end, end);
    assert!(matches!(recovered.anchor, AnchorFound::Found(found) if found.mark == anchor));
    assert!(recovered.cut.is_some());
    assert_eq!(disk.file(segment), before.file(segment));
}

#[test]
fn an_anchor_that_is_gone_or_damaged_is_said_so() {
    let disk = disk();
    let (journal, recovered) = reopen(&disk).unwrap();
    assert_eq!(recovered.anchor, AnchorFound::Missing);
    journal.anchor().write(journal.end(), b"").unwrap();
    drop(journal);
    disk.flip_bit("anchor", 3);
    assert_eq!(reopen(&disk).unwrap().1.anchor, AnchorFound::Damaged);
}

#[test]
fn the_anchor_may_lie_on_another_volume() {
    let (disk, other) = (disk(), MemoryDisk::new());
    let closed = Closed::lock(&disk.volume(), &other.volume()).unwrap();
    let (mut journal, _) = closed.recover(Config::inline(), None).unwrap();
    journal.append(b"x", &[]).unwrap();
    journal.anchor().write(journal.end(), b"").unwrap();
    drop(journal);
    assert_eq!(other.names(), ["anchor"]);
    // The whole volume set back to an older copy.
    let older = twin::disk();
    let closed = Closed::lock(&older.volume(), &other.volume()).unwrap();
    let refused = closed.recover(Config::inline(), None).unwrap_err();
    assert!(matches!(refused, OpenError::CutBelowAnchor { .. }));
}

#[test]
fn only_one_opener() {
    let disk = disk();
    let journal = open(&disk);
    assert_eq!(reopen(&disk).unwrap_err(), OpenError::Locked);
    drop(journal);
    drop(open(&disk));
}

#[test]
fn create_and_open_are_never_confused() {
    let disk = MemoryDisk::new();
    assert_eq!(reopen(&disk).unwrap_err(), OpenError::NoJournal);
    let log_id = LogId::new([1; 16]);
    FileJournal::create(&disk.volume(), &log_id, SegmentBytes::MIN).unwrap();
    let again = FileJournal::create(&disk.volume(), &log_id, SegmentBytes::MIN);
    assert_eq!(again, Err(OpenError::AlreadyExists));
}

#[test]
fn creating_may_crash_at_any_step() {
    for steps in 0..8 {
        for crash in [Crash::Kill, Crash::LoseUnsynced] {
            let disk = MemoryDisk::new();
            disk.crash_after(steps, crash);
            let log_id = LogId::new([1; 16]);
            let created = FileJournal::create(&disk.volume(), &log_id, SegmentBytes::MIN);
            disk.crash(crash);
            match reopen(&disk) {
                Ok((journal, _)) => assert_eq!(journal.end(), Mark::START),
                Err(error) => assert_eq!((error, created.is_err()), (OpenError::NoJournal, true)),
            }
        }
    }
}

#[test]
fn an_old_life_cannot_write_into_a_new_one() {
    let disk = disk();
    let mut old = open(&disk);
    disk.crash(Crash::Kill);
    let mut new = open(&disk);
    assert!(old.append(b"ghost", &[]).is_err());
    new.append(b"alive", &[]).unwrap();
    drop(old);
    assert_eq!(reopen(&disk).unwrap_err(), OpenError::Locked);
    assert_reads(&new, &[Known::new(b"alive", &[])]);
}

#[test]
fn a_cut_is_durable_before_anything_is_appended() {
    let disk = disk();
    let mut journal = open(&disk);
    disk.fail_append(0, AppendFault::BeforeSync);
    journal.append(&[1; 3000], &[]).unwrap_err();
    disk.crash(Crash::KeepFirst { bytes: 2000 });
    drop(open(&disk));
    disk.crash(Crash::LoseUnsynced);
    let segment = disk.file("0000000000000000.seg").unwrap();
    assert!(segment[64..].iter().all(|byte| *byte == 0));
}

#[test]
fn a_segment_whose_name_only_the_page_cache_knew_carries_acknowledged_batches() {
    for steps in 0..8 {
        let disk = disk();
        disk.crash_after(steps, Crash::Kill);
        drop(reopen(&disk));
        disk.crash(Crash::Kill);
        // No further segment can be made, whose own sync of the names would hide a missing one.
        if disk.names().iter().any(|name| name == "0000000000000001.seg") {
            disk.set_free_bytes(0);
        }
        let known = batches(2, 40_000);
        let mut journal = open(&disk);
        for batch in &known {
            batch.append(&mut journal).unwrap();
        }
        disk.crash(Crash::LoseUnsynced);
        assert_reads(&open(&disk), &known);
    }
}
