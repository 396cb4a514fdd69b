//! Runs on disk: what they answer, merged, cut short, damaged, and after a crash; their golden files.

use std::{collections::BTreeMap, sync::Arc};

use journal::{Crash, MemoryDisk};

use super::*;
use crate::index::{
    runs::{Runs, Unmerged, merge, spill},
    work::Stop,
};

const fn mark(batch_no: u64) -> Mark {
    if batch_no == 0 {
        return Mark::START;
    }
    Mark { position: Position::new(batch_no * 1000), batch_no: BatchNo::new(batch_no) }
}

const fn covers(from: u64, to: u64) -> Coverage {
    Coverage { from: mark(from), to: mark(to), root: Digest([7; 32]) }
}

/// Rows as the index makes them, `rows` of each sort, of a batch.
fn rows(batch: u64, rows: u64) -> Sorted {
    let mut all = Sorted::new();
    for number in 0..rows {
        let number = batch * 1_000_000 + number * 2;
        let mut id = [0; 16];
        id[8..].copy_from_slice(&number.to_be_bytes());
        all.insert([b"e", id.as_slice(), b"ae.dfwac"].concat(), vec![9; 44]);
        all.insert([b"l", number.to_be_bytes().as_slice()].concat(), batch.to_be_bytes().to_vec());
        all.insert([b"p", b"ae.dfwac\0".as_slice(), &number.to_be_bytes()].concat(), vec![1; 8]);
        // Two places of one referral.
        for place in [1, 2] {
            all.insert([b"r", id.as_slice(), b"ae.dfwac\0", &[place; 12]].concat(), Vec::new());
        }
    }
    all
}

fn make(volume: &Volume, from: u64, to: u64, rows: &Sorted) -> Run {
    spill(volume, &[rows.clone(), Sorted::new()], covers(from, to), &Stop::default()).unwrap()
}

/// Whether a run answers every question as its rows do; how often its filter was wrong.
fn check(run: &Run, rows: &Sorted) {
    for (key, value) in rows {
        if key::name(key) == Some(key) {
            assert_eq!(run.get(key).unwrap().as_ref(), Some(value));
            let mut absent = key.clone();
            absent[16] ^= 1;
            assert_eq!(run.get(&absent), Ok(rows.get(&absent).cloned()));
        }
        let prefix = key::name(key).filter(|_| key::is_referral(key)).unwrap_or(&key[..5]);
        let expected: Sorted = rows
            .range(key.clone()..)
            .take_while(|(key, _)| key.starts_with(prefix))
            .take(3)
            .map(|(key, value)| (key.clone(), value.clone()))
            .collect();
        let mut found = Sorted::new();
        run.scan(key, prefix, 3, &mut found).unwrap();
        assert_eq!(found, expected);
        let mut before = key.clone();
        before.push(0);
        assert_eq!(run.at_or_before(&before).unwrap().as_ref().map(|(found, _)| found), Some(key));
    }
}

#[test]
fn a_run_answers_as_its_rows_do() {
    for count in [1, 2, 30, 700] {
        let disk = MemoryDisk::new();
        let rows = rows(3, count);
        let run = make(&disk.volume(), 2, 5, &rows);
        assert_eq!(run.head.rows, count * 5);
        assert_eq!(run.head.names, count * 2);
        check(&run, &rows);
        assert_eq!(run.at_or_before(b"a"), Ok(None));
        let again = Run::open(&disk.volume(), &Run::name(&run.head)).unwrap();
        assert_eq!(again.head, run.head);
        check(&again, &rows);
    }
}

#[test]
fn a_flipped_bit_is_noticed_or_makes_no_difference() {
    let disk = MemoryDisk::new();
    let rows = rows(3, 60);
    let run = make(&disk.volume(), 2, 5, &rows);
    let name = Run::name(&run.head);
    let whole = disk.file(&name).unwrap();
    // Everywhere in the header's used part and the filter, and here and there in the rows.
    let filter = usize::try_from(run.head.filter_at()).unwrap();
    let bits = (0..150 * 8).chain((4096 * 8..filter * 8).step_by(509)).chain(filter * 8..whole.len() * 8);
    for bit in bits {
        disk.set_file(&name, &whole);
        disk.flip_bit(&name, u64::try_from(bit).unwrap());
        let Ok(run) = Run::open(&disk.volume(), &name) else {
            continue;
        };
        assert!(bit / 8 >= 144, "bit {bit} of the header");
        let (mut wrong, mut damaged) = (0, 0);
        for (key, value) in rows.iter().filter(|(key, _)| key::name(key) == Some(key)) {
            match run.get(key) {
                Ok(found) => wrong += u32::from(found.as_ref() != Some(value)),
                Err(RowsFault) => damaged += 1,
            }
        }
        assert_eq!(wrong, 0, "bit {bit}");
        if bit / 8 >= filter {
            assert!(damaged > 0 || filter_is_of_referrals_only(&run, bit), "bit {bit}");
        }
    }
}

/// No envelope may have chosen that block of the filter.
fn filter_is_of_referrals_only(run: &Run, bit: usize) -> bool {
    let block = (u64::try_from(bit / 8).unwrap() - run.head.filter_at()) / to_u64(FILTER_BLOCK_BYTES);
    let mut rows = rows(3, 60).into_keys().filter(|key| key::name(key) == Some(key));
    rows.all(|key| Place::of(&key, run.head.filter_blocks).block != block)
}

#[test]
fn a_shortened_run_is_no_run() {
    let disk = MemoryDisk::new();
    let run = make(&disk.volume(), 2, 5, &rows(3, 60));
    let name = Run::name(&run.head);
    let whole = disk.file(&name).unwrap();
    for bytes in [0, 100, 4096, whole.len() - 64, whole.len() - 1] {
        disk.set_file(&name, &whole[..bytes]);
        assert!(Run::open(&disk.volume(), &name).is_err(), "{bytes} bytes");
    }
}

#[test]
fn merged_runs_hold_what_their_parts_held() {
    let disk = MemoryDisk::new();
    let volume = disk.volume();
    let mut all = Sorted::new();
    let mut parts = Vec::new();
    for batch in 0..5 {
        let rows = rows(batch, 1 + batch * 40);
        parts.push(Arc::new(make(&volume, batch, batch + 1, &rows)));
        all.extend(rows);
    }
    let merged = merge(&volume, &parts, &Stop::default()).unwrap();
    assert_eq!(merged.head.covers, covers(0, 5));
    assert_eq!((merged.head.level, merged.head.rows), (1, to_u64(all.len())));
    check(&merged, &all);
}

#[test]
fn a_damaged_part_is_named() {
    let disk = MemoryDisk::new();
    let volume = disk.volume();
    let parts: Vec<_> =
        (0..3).map(|batch| Arc::new(make(&volume, batch, batch + 1, &rows(batch, 50)))).collect();
    disk.flip_bit(&Run::name(&parts[1].head), (4096 + 9000) * 8);
    let merged = merge(&volume, &parts, &Stop::default());
    assert_eq!(merged.err(), Some(Unmerged::Damaged(mark(1))));
}

/// The runs of a folder by what they cover.
fn chain(disk: &MemoryDisk) -> Vec<(u64, u64)> {
    let runs = Runs::open(disk.volume()).unwrap();
    let names: BTreeMap<u64, u64> = disk.names().iter().map(|name| span(name)).collect();
    assert_eq!(names.len(), runs.count(), "nothing is left over: {names:?}");
    names.into_iter().collect()
}

fn span(name: &str) -> (u64, u64) {
    let (from, to) = name.strip_prefix(NAME).unwrap().split_once('-').unwrap();
    let number = |digits| u64::from_str_radix(digits, 16).unwrap();
    (number(from), number(to))
}

#[test]
fn the_chain_is_what_the_files_say() {
    let disk = MemoryDisk::new();
    let make = |from, to| drop(make(&disk.volume(), from, to, &rows(from, 3)));
    assert_eq!(chain(&disk), []);
    make(0, 2);
    make(2, 3);
    make(3, 7);
    assert_eq!(chain(&disk), [(0, 2), (2, 3), (3, 7)]);
    make(0, 3);
    assert_eq!(chain(&disk), [(0, 3), (3, 7)], "a merged run takes its parts' place");
    make(2, 3);
    make(7, 8);
    make(9, 10);
    assert_eq!(chain(&disk), [(0, 3), (3, 7), (7, 8)], "nothing before a gap or beside the chain");
    disk.flip_bit("run-0000000000000003-0000000000000007", 100);
    assert_eq!(chain(&disk), [(0, 3)], "nothing behind damage");
    disk.set_file("run-0000000000000003-0000000000000004", b"");
    disk.set_file("run-0000000000000003-0000000000000005.tmp", b"half of one");
    assert_eq!(chain(&disk), [(0, 3)]);
}

#[test]
fn a_crash_at_any_step_of_a_merge_loses_nothing() {
    for steps in 0..12 {
        for crash in
            [Crash::Kill, Crash::LoseUnsynced, Crash::Tear { grain: journal::Grain::Sector, seed: steps }]
        {
            let disk = MemoryDisk::new();
            for batch in 0..8 {
                make(&disk.volume(), batch, batch + 1, &rows(batch, 3));
            }
            let mut runs = Runs::open(disk.volume()).unwrap();
            disk.crash_after(steps, crash);
            let parts = runs.due().unwrap();
            if let Ok(merged) = merge(runs.volume(), &parts, &Stop::default()) {
                runs.replace(merged);
            }
            disk.crash(crash);
            let runs = Runs::open(disk.volume()).unwrap();
            assert_eq!(runs.end(), mark(8), "{steps} {crash:?}");
            assert!(matches!(runs.count(), 1 | 8), "{steps} {crash:?}");
            for batch in 0..8 {
                for (key, value) in rows(batch, 3).iter().filter(|(key, _)| key::name(key) == Some(key)) {
                    assert_eq!(runs.get(key).unwrap().as_ref(), Some(value));
                }
            }
        }
    }
}

#[test]
fn only_neighbours_of_a_level_are_merged_and_not_without_end() {
    let disk = MemoryDisk::new();
    let mut runs = Runs::open(disk.volume()).unwrap();
    for batch in 0..64 {
        runs.push(make(&disk.volume(), batch, batch + 1, &rows(batch, 1)));
        while let Some(parts) = runs.due() {
            let merged = merge(runs.volume(), &parts, &Stop::default()).unwrap();
            runs.replace(merged);
        }
        let (high, low) =
            (usize::try_from((batch + 1) / 8).unwrap(), usize::try_from((batch + 1) % 8).unwrap());
        assert_eq!(runs.count(), if high == 8 { 1 } else { high + low });
    }
    let rows = crate::index::MERGED_ROWS_MAX / 4;
    for run in 0..8 {
        let mut large = make(&disk.volume(), 64 + run, 65 + run, &self::rows(run, 1));
        large.head.rows = rows;
        runs.push(large);
    }
    assert_eq!(runs.due().map(|parts| parts.len()), None, "too many rows together");
}

/// `RUN_GOLDEN=<file>` makes it for a new version of the format; never for an old one.
#[test]
fn the_format_is_the_golden_files() {
    let disk = MemoryDisk::new();
    let run = make(&disk.volume(), 2, 5, &rows(3, 40));
    let made = disk.file(&Run::name(&run.head)).unwrap();
    if let Ok(path) = std::env::var("RUN_GOLDEN") {
        std::fs::write(path, &made).unwrap();
    }
    assert!(made == include_bytes!("../../../tests/golden/run-v1"), "the format changed");
}
