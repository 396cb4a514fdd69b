//! The store on files and on the journal's twin in memory.

use journal::{Crash, MemoryDisk};

use super::*;
use crate::records::{Leaf, record};

/// Every record's index, in the order in which they were folded.
#[derive(Default)]
struct Seen(Vec<(u64, Place)>);

impl Fold for Seen {
    fn apply(&mut self, place: Place, record: &Record) {
        if let Some(record::Record::Leaf(leaf)) = &record.record {
            self.0.push((leaf.index, place));
        }
    }
}

fn key(byte: u8) -> StoreKey {
    StoreKey::new(Zeroizing::new([byte; 32]))
}

fn entry(index: u64, body: Option<&[u8]>) -> Entry {
    let leaf = Leaf { index, record: b"Fatima \xd9\x81\xd8\xa7\xd8\xb7\xd9\x85\xd8\xa9".to_vec() };
    Entry {
        record: Record { at_ms: 1, record: Some(record::Record::Leaf(leaf)) },
        body: body.map(<[u8]>::to_vec),
    }
}

fn indices(store: &Store<Seen>) -> Vec<u64> {
    store.read(|seen| seen.0.iter().map(|(index, _)| *index).collect())
}

fn memory() -> MemoryDisk {
    let disk = MemoryDisk::new();
    let size = SegmentBytes::new(SEGMENT_BYTES).unwrap();
    FileJournal::create(&disk.volume(), &LogId::new([7; 16]), size).unwrap();
    disk
}

fn open(disk: &MemoryDisk, key_byte: u8) -> Result<Store<Seen>, StoreFault> {
    Store::open_in(&disk.volume(), Config::inline(), &key(key_byte), Seen::default())
}

/// Opens again once the thread of the store before has let go of it.
fn reopen(disk: &MemoryDisk, store: Store<Seen>) -> Store<Seen> {
    let mut changes = store.changes();
    drop(store);
    futures_wait(&mut changes);
    loop {
        match open(disk, 1) {
            Err(StoreFault::InUse) => thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// Waits until the writer's thread has dropped its end.
fn futures_wait(changes: &mut watch::Receiver<u64>) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async { while changes.changed().await.is_ok() {} });
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(future)
}

#[test]
fn what_was_written_is_there_again_with_its_bodies() {
    let disk = memory();
    let store = open(&disk, 1).unwrap();
    let places = block_on(async {
        let first =
            store.append(vec![entry(1, Some(b"one")), entry(2, None)], Claim::Ordinary).await.unwrap();
        let second = store.append(vec![entry(3, Some(b"three"))], Claim::Reserved).await.unwrap();
        [first, second].concat()
    });
    assert_eq!(indices(&store), [1, 2, 3]);
    let store = reopen(&disk, store);
    assert_eq!(indices(&store), [1, 2, 3]);
    assert_eq!(store.read(|seen| seen.0.iter().map(|(_, place)| *place).collect::<Vec<_>>()), places);
    assert_eq!(store.body(places[0]).unwrap().unwrap().as_slice(), b"one");
    assert_eq!(store.body(places[1]).unwrap(), None);
    assert_eq!(store.body(places[2]).unwrap().unwrap().as_slice(), b"three");
}

#[test]
fn nothing_is_readable_on_disk_and_only_the_key_opens_it() {
    let disk = memory();
    let store = open(&disk, 1).unwrap();
    block_on(store.append(vec![entry(1, Some("حليمة Halima".as_bytes()))], Claim::Ordinary)).unwrap();
    let store = reopen(&disk, store);
    for name in disk.names() {
        let file = disk.file(&name).unwrap();
        for word in ["Fatima".as_bytes(), "فاطمة".as_bytes(), b"Halima", "حليمة".as_bytes()] {
            assert!(!file.windows(word.len()).any(|window| window == word), "{name}");
        }
    }
    drop(store);
    let refused = loop {
        match open(&disk, 2) {
            Err(StoreFault::InUse) => thread::yield_now(),
            other => break other.map(|_| ()),
        }
    };
    assert_eq!(refused, Err(StoreFault::NotOurs));
}

#[test]
fn writes_that_wait_together_are_all_or_nothing_each_and_in_order() {
    let disk = memory();
    let store = open(&disk, 1).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    runtime.block_on(async {
        let writers = (0..50).map(|writer| {
            let store = store.clone();
            tokio::spawn(async move {
                for step in 0..10_u64 {
                    let pair =
                        vec![entry(writer * 100 + step * 2, None), entry(writer * 100 + step * 2 + 1, None)];
                    store.append(pair, Claim::Ordinary).await.unwrap();
                }
            })
        });
        for writer in writers.collect::<Vec<_>>() {
            writer.await.unwrap();
        }
    });
    let all = indices(&store);
    assert_eq!(all.len(), 1000);
    for pair in all.chunks(2) {
        assert_eq!(pair[0] + 1, pair[1], "a write is not torn apart by others");
    }
    for writer in 0..50 {
        let own: Vec<_> = all.iter().filter(|index| *index / 100 == writer).collect();
        assert!(own.is_sorted(), "each writer's are in its order");
    }
    assert_eq!(indices(&reopen(&disk, store)), all);
}

#[test]
fn what_is_too_large_is_refused_alone() {
    let disk = memory();
    let store = open(&disk, 1).unwrap();
    block_on(async {
        let limit = usize::try_from(WRITE_BYTES_MAX).unwrap();
        let append = |bytes: usize| store.append(vec![entry(1, Some(&vec![0; bytes]))], Claim::Ordinary);
        assert_eq!(append(limit).await, Err(StoreFault::TooLarge));
        assert!(append(limit - 200).await.is_ok());
        let many = vec![entry(2, None); WRITE_RECORDS_MAX + 1];
        assert_eq!(store.append(many, Claim::Ordinary).await, Err(StoreFault::TooLarge));
        assert!(store.append(vec![entry(2, None); WRITE_RECORDS_MAX], Claim::Ordinary).await.is_ok());
    });
}

#[test]
fn room_is_kept_for_what_must_go_on() {
    let ordinary = Room::Ordinary { batch_bytes_max: 100_000, reserved_bytes_max: 200_000 };
    let reserved = Room::Reserved { batch_bytes_max: 200_000 };
    let limit = |limit: u64| limit - FRAME_BYTES;
    for (room, claim, bytes, expected) in [
        (ordinary, Claim::Ordinary, limit(100_000), true),
        (ordinary, Claim::Ordinary, limit(100_001), false),
        (ordinary, Claim::Reserved, limit(200_000), true),
        (ordinary, Claim::Reserved, limit(200_001), false),
        (reserved, Claim::Ordinary, 1, false),
        (reserved, Claim::Reserved, limit(200_000), true),
        (Room::Nothing, Claim::Reserved, 1, false),
    ] {
        assert_eq!(fits(room, claim, bytes), expected, "{room:?} {claim:?} {bytes}");
    }
}

#[test]
fn a_crash_at_any_step_loses_nothing_that_was_answered() {
    for steps in 0..24 {
        for crash in [Crash::Kill, Crash::LoseUnsynced] {
            let disk = memory();
            let store = open(&disk, 1).unwrap();
            disk.crash_after(steps, crash);
            let mut answered = Vec::new();
            for index in 0..8 {
                if block_on(store.append(vec![entry(index, Some(b"body"))], Claim::Ordinary)).is_err() {
                    break;
                }
                answered.push(index);
            }
            disk.crash(crash);
            let mut changes = store.changes();
            drop(store);
            futures_wait(&mut changes);
            let store = loop {
                match open(&disk, 1) {
                    Err(StoreFault::InUse) => thread::yield_now(),
                    opened => break opened.unwrap(),
                }
            };
            let there = indices(&store);
            assert!(there.starts_with(&answered), "{steps} {crash:?}: {there:?} of {answered:?}");
            assert!(there.len() <= answered.len() + 1);
        }
    }
}

#[test]
fn two_agents_never_run_on_one_folder() {
    let place = tempfile::tempdir().unwrap();
    create(place.path()).unwrap();
    let store = Store::open(place.path(), &key(1), Seen::default()).unwrap();
    assert!(matches!(Store::open(place.path(), &key(1), Seen::default()), Err(StoreFault::InUse)));
    assert!(matches!(create(place.path()), Err(StoreFault::InUse)));
    drop(store);
}

/// Keeps only the newest of all, as of what is written again and again.
#[derive(Default)]
struct Newest {
    newest: Option<(u64, Place)>,
    applied: usize,
}

impl Fold for Newest {
    fn apply(&mut self, place: Place, record: &Record) {
        self.applied += 1;
        if let Some(record::Record::Leaf(leaf)) = &record.record {
            self.newest = Some((leaf.index, place));
        }
    }

    fn keeps(&self, record: &Record) -> bool {
        let index = |leaf: &Leaf| Some(leaf.index) == self.newest.map(|(index, _)| index);
        matches!(&record.record, Some(record::Record::Leaf(leaf)) if index(leaf))
    }
}

/// Opens as soon as the thread of the store before has let go of it.
fn opened<F: Fold + Default>(disk: &MemoryDisk) -> Store<F> {
    loop {
        match Store::open_in(&disk.volume(), Config::inline(), &key(1), F::default()) {
            Err(StoreFault::InUse) => thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

fn closed<F: Fold>(store: Store<F>) {
    let mut changes = store.changes();
    drop(store);
    futures_wait(&mut changes);
}

fn is_in_a_file(disk: &MemoryDisk, bytes: &[u8]) -> bool {
    let files = disk.names().into_iter().filter_map(|name| disk.file(&name));
    files.into_iter().any(|file| file.windows(bytes.len()).any(|window| window == bytes))
}

const BODIES: [&[u8]; 3] = [b"the first body", b"the second body", b"the third body"];

fn with_three_bodies(disk: &MemoryDisk) -> (Store<Seen>, Vec<Place>) {
    let store = open(disk, 1).unwrap();
    let entries = (0..).zip(BODIES).map(|(index, body)| entry(index, Some(body))).collect();
    let places = block_on(store.append(entries, Claim::Ordinary)).unwrap();
    (store, places)
}

/// As `erasure` does it: the record that says so, then the bodies.
fn erase(store: &Store<Seen>, place: Place) -> Result<bool, StoreFault> {
    let by = block_on(store.append_apart(vec![entry(100, None)], Claim::Reserved))?;
    store.erase(&[place], by[0])
}

#[test]
fn what_is_erased_is_in_no_file_and_all_else_stays() {
    let disk = memory();
    let (store, places) = with_three_bodies(&disk);
    let sealed: Vec<_> = places.iter().map(|place| store.sealed_body(*place).unwrap()).collect();
    assert!(sealed.iter().all(|sealed| is_in_a_file(&disk, sealed)));
    let still_written_to = store.erase(&[places[1]], places[2]).unwrap();
    assert!(!still_written_to && is_in_a_file(&disk, &sealed[1]));
    assert!(erase(&store, places[1]).unwrap());
    let store = reopen(&disk, store);
    for (number, place) in places.iter().enumerate() {
        assert_eq!(is_in_a_file(&disk, &sealed[number]), number != 1, "{number}");
        let body = store.body(*place).unwrap();
        assert_eq!(body.is_some(), number != 1);
        assert!(body.is_none_or(|body| body.as_slice() == BODIES[number]));
        assert!(store.record(*place).unwrap() == entry(u64::try_from(number).unwrap(), None).record);
    }
    assert_eq!(indices(&store), [0, 1, 2, 100]);
    // Asked again, there is nothing left to do.
    assert!(store.erase(&[places[1]], places[2]).unwrap());
}

#[test]
fn a_crash_at_any_step_of_erasing_loses_nothing_else_and_it_goes_on() {
    for steps in 0..40 {
        for crash in [Crash::Kill, Crash::LoseUnsynced] {
            let disk = memory();
            let (store, places) = with_three_bodies(&disk);
            let sealed = store.sealed_body(places[1]).unwrap();
            disk.crash_after(steps, crash);
            let erased = erase(&store, places[1]);
            disk.crash(crash);
            closed(store);
            let store: Store<Seen> = opened(&disk);
            let case = format!("{steps} {crash:?}");
            assert!(indices(&store).starts_with(&[0, 1, 2]), "{case}");
            for number in [0, 2] {
                assert_eq!(store.body(places[number]).unwrap().unwrap().as_slice(), BODIES[number], "{case}");
            }
            if erased == Ok(true) {
                assert!(!is_in_a_file(&disk, &sealed), "{case}: it was said to be gone");
            }
            assert_eq!(erase(&store, places[1]), Ok(true), "{case}");
            assert!(store.body(places[1]).unwrap().is_none(), "{case}");
            closed(store);
            assert!(!is_in_a_file(&disk, &sealed), "{case}");
        }
    }
}

const MANY: usize = SNAPSHOT_RECORDS + 10;

fn fill(store: &Store<Newest>) {
    let all = (0..u64::try_from(MANY).unwrap()).map(|index| entry(index, None)).collect::<Vec<_>>();
    for some in all.chunks(1_024) {
        block_on(store.append(some.to_vec(), Claim::Ordinary)).unwrap();
    }
}

#[test]
fn a_start_reads_what_is_needed_and_not_what_was_ever_written() {
    let disk = memory();
    let store: Store<Newest> = opened(&disk);
    fill(&store);
    let newest = store.read(|newest| newest.newest).unwrap();
    closed(store);
    let store: Store<Newest> = opened(&disk);
    assert_eq!(store.read(|fold| fold.newest), Some(newest));
    let applied = store.read(|fold| fold.applied);
    assert!(applied < 1_024, "{applied} of {MANY}");
    assert!(store.record(newest.1).is_ok(), "it stands where it stood");
    closed(store);
    // Derived: without it, or with one that is damaged, the start takes longer and makes the same.
    let snapshots: Vec<_> = disk.names().into_iter().filter(|name| name.starts_with("snapshot-")).collect();
    assert!(!snapshots.is_empty());
    for name in &snapshots {
        disk.flip_bit(name, 700);
    }
    let store: Store<Newest> = opened(&disk);
    assert_eq!(store.read(|fold| (fold.newest, fold.applied)), (Some(newest), MANY));
    closed(store);
}

#[test]
fn a_crash_at_any_step_of_a_snapshot_makes_the_same() {
    for steps in 0..12 {
        for crash in [Crash::Kill, Crash::LoseUnsynced] {
            let disk = memory();
            let store: Store<Newest> = opened(&disk);
            fill(&store);
            let newest = store.read(|fold| fold.newest);
            closed(store);
            for name in disk.names().into_iter().filter(|name| name.starts_with("snapshot-")) {
                disk.remove_file(&name);
            }
            // The next start writes it: so many records were read.
            disk.crash_after(steps, crash);
            drop(Store::open_in(&disk.volume(), Config::inline(), &key(1), Newest::default()));
            disk.crash(crash);
            let store: Store<Newest> = opened(&disk);
            assert_eq!(store.read(|fold| fold.newest), newest, "{steps} {crash:?}");
            closed(store);
        }
    }
}
