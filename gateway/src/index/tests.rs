//! The index against its journal: what it finds, what it holds in memory, and damage, crashes and full
//! disks that it comes back from.

use journal::{Closed, Config, Crash, FileJournal, Journal as _, LogId, MemoryDisk, SegmentBytes};
use proto::{
    batch::{Batch, Entry, LoggedCheckpoint},
    caller::Caller,
    command::Command,
    evidence::{Event, Happening, PartyLink, Place, Record, Salt},
    fact::Fact,
    ids::{EnvelopeId, TimeMs},
};

use super::{rows::MemoryRows, *};

const FOLDER: &str = "index";

fn agency(number: u64) -> AgencyId {
    AgencyId::parse(&format!("xx.agency-{}", number % 3), "agency").unwrap()
}

fn envelope(number: u64) -> EnvelopeKey {
    let id = EnvelopeId::new(TimeMs(1_000_000 + number), [1; 10]);
    EnvelopeKey { id, from: agency(number) }
}

fn referral(number: u64) -> ReferralKey {
    let EnvelopeKey { id, from } = envelope(number);
    ReferralKey { id, opened_by: from }
}

/// How many records a batch has: an acceptance of one envelope, and a handover of each before it up
/// to the last but four.
fn records(batch: u64) -> u64 {
    1 + batch.min(4)
}

fn first_leaf(batch: u64) -> u64 {
    (0..batch).map(records).sum()
}

fn record(index: u64, event: Event, number: u64, batch: u64) -> Fact {
    let EnvelopeKey { id, from } = envelope(number);
    let what = Happening {
        sender: Some(from.clone()),
        envelope_id: Some(id),
        envelope: Some(Digest::of(&number.to_be_bytes())),
        referral: Some(referral(number)),
        ..Happening::new(event)
    };
    let links = vec![PartyLink { party: from, count: 100 * batch + index, previous: None }];
    let place = Place { index, time: TimeMs(5), directory_size: 1, previous: None, links };
    Fact::from(Record::new(what, place, Salt([0; 32])))
}

fn batch(number: u64) -> Batch {
    let handed = (number.saturating_sub(4)..number).map(|handed| (Event::ContentHandover, handed));
    let events = std::iter::once((Event::SubmissionAcceptance, number)).chain(handed);
    let fact =
        |(place, (event, of)): (u64, (Event, u64))| record(first_leaf(number) + place, event, of, number);
    let entry = |fact| Entry {
        caller: Caller::Gateway,
        command: Command::Tick(proto::command::Tick::default()),
        facts: vec![fact],
        blobs: 0,
        reopened: None,
    };
    let root = Digest::of(&[7, u8::try_from(number % 256).unwrap()]);
    let evidence = Some(LoggedCheckpoint { size: first_leaf(number), root, sig: [0; 64] });
    Batch {
        now: TimeMs(5),
        evidence,
        directory: None,
        entries: (0..).zip(events).map(fact).map(entry).collect(),
    }
}

/// A journal and an index that follows it, on one disk.
struct World {
    disk: MemoryDisk,
    journal: FileJournal,
    history: History,
    rows: MemoryRows,
    index: Index<MemoryRows>,
    batches: u64,
}

impl World {
    fn new(rows_max: usize) -> Self {
        let disk = MemoryDisk::new();
        FileJournal::create(&disk.volume(), &LogId::new([7; 16]), SegmentBytes::MIN).unwrap();
        let rows = MemoryRows::new(disk.folder(FOLDER), rows_max);
        let journal = Self::journal(&disk);
        let history = History::new(journal.reader());
        let index = Index::open(rows.clone(), &history, false);
        let mut world = Self { disk, journal, history, rows, index, batches: 0 };
        world.follow_up();
        world
    }

    fn journal(disk: &MemoryDisk) -> FileJournal {
        let closed = Closed::lock(&disk.volume(), &disk.volume()).unwrap();
        closed.recover(Config::inline(), None).unwrap().0
    }

    fn commit(&mut self) {
        let batch = batch(self.batches);
        let appended = self.journal.append(&batch.encode(), &[]).unwrap();
        self.index.follow(&batch, appended.mark, appended.next);
        self.batches += 1;
    }

    fn follow_up(&mut self) {
        self.index.follow_up(&self.history, 1000).unwrap();
        self.rows = self.index.rows.clone();
    }

    /// Ends the process and starts it again.
    fn restart(self, crash: Crash) -> Self {
        let Self { disk, journal, index, mut rows, batches, .. } = self;
        drop((journal, index));
        disk.crash(crash);
        let journal = Self::journal(&disk);
        rows.mount(disk.folder(FOLDER));
        let history = History::new(journal.reader());
        let index = Index::open(rows.clone(), &history, false);
        Self { disk, journal, history, rows, index, batches }
    }

    fn settle(&mut self) {
        for _ in 0..40 {
            self.follow_up();
        }
        assert!(self.index.is_ready(&self.history));
    }

    /// Everything is found as it is, and nothing else.
    fn check(&mut self) {
        let (index, history) = (&mut self.index, &self.history);
        for number in 0..self.batches {
            let known =
                Known { digest: Digest::of(&number.to_be_bytes()), at: Locator { batch: number, entry: 0 } };
            assert_eq!(index.envelope(&envelope(number), history), Some(Some(known)));
            let handed = (number + 1..self.batches.min(number + 5)).map(|batch| Locator {
                batch,
                entry: u32::try_from(1 + number - batch.saturating_sub(4)).unwrap(),
            });
            let places: Vec<_> = std::iter::once(known.at).chain(handed).collect();
            assert_eq!(index.referral(&referral(number), history), Some(places), "{number}");
            for leaf in first_leaf(number)..first_leaf(number + 1) {
                assert_eq!(index.batch_of_leaf(leaf, history), Some(number));
            }
        }
        assert_eq!(index.envelope(&envelope(self.batches), history), Some(None));
        assert_eq!(index.referral(&referral(self.batches), history), Some(Vec::new()));
        for party in 0..3 {
            let of = |batch: u64| {
                let mut numbers = std::iter::once(batch).chain(batch.saturating_sub(4)..batch);
                let place = numbers.position(|number| number % 3 == party)?;
                let index = first_leaf(batch) + u64::try_from(place).unwrap();
                Some(PartyBatch { batch, first: 100 * batch + index })
            };
            let all: Vec<_> = (0..self.batches).filter_map(of).collect();
            assert_eq!(index.party(&agency(party), 0, usize::MAX, history), Some(all.clone()));
            let page = index.party(&agency(party), 20, 7, history).unwrap();
            let expected: Vec<_> = all.into_iter().filter(|of| of.batch >= 20).take(7).collect();
            assert_eq!(page, expected);
        }
    }
}

#[test]
fn everything_is_found_wherever_it_is() {
    for rows_max in [1, 40, 300, 100_000] {
        let mut world = World::new(rows_max);
        for number in 0..150 {
            world.commit();
            if number % 7 == 0 {
                world.follow_up();
            }
        }
        world.settle();
        world.check();
        assert_eq!(world.index.runs() > 0, rows_max < 100_000);
        let mut world = world.restart(Crash::Kill);
        if !world.index.is_ready(&world.history) {
            world.settle();
        }
        world.check();
    }
}

#[test]
fn memory_is_bounded_and_runs_are_few() {
    let rows_max = 100;
    let mut world = World::new(rows_max);
    let rows_of_a_batch = 16;
    for _ in 0..1500 {
        world.commit();
        assert!(world.index.rows_in_memory() <= 2 * (rows_max + rows_of_a_batch));
        world.follow_up();
        // Eight of each of three levels would be 40,000 rows.
        assert!(world.index.runs() <= 3 * RUNS_MERGED, "{}", world.index.runs());
    }
    world.settle();
    world.check();
}

#[test]
fn without_a_follow_up_nothing_grows() {
    let mut world = World::new(100);
    for _ in 0..200 {
        world.commit();
    }
    assert!(world.index.rows_in_memory() <= 232);
    assert!(!world.index.is_ready(&world.history));
    assert_eq!(world.index.envelope(&envelope(1), &world.history), None, "it cannot tell");
    world.settle();
    world.check();
}

#[test]
fn after_a_quiet_time_a_start_finds_all_at_once() {
    let mut world = World::new(1000);
    for _ in 0..30 {
        world.commit();
        world.follow_up();
    }
    let mut world = world.restart(Crash::LoseUnsynced);
    assert_eq!(world.index.envelope(&envelope(29), &world.history).map(|known| known.is_some()), Some(true));
    world.check();
}

#[test]
fn a_store_that_fails_loses_nothing() {
    let mut world = World::new(1000);
    for number in 0..60 {
        world.commit();
        world.index.rows.broken = number % 10 == 3;
        world.follow_up();
    }
    assert_eq!(world.index.times_set_aside(), 6);
    world.check();
    world.rows.broken = true;
    let mut world = world.restart(Crash::Kill);
    assert_eq!(world.index.envelope(&envelope(1), &world.history), None);
    world.settle();
    world.check();
}

#[test]
fn a_full_disk_stops_it_and_it_goes_on() {
    let mut world = World::new(40);
    for _ in 0..50 {
        world.commit();
        world.follow_up();
    }
    world.disk.set_free_bytes(0);
    for _ in 0..20 {
        world.commit();
        world.follow_up();
    }
    assert!(world.index.rows_in_memory() <= 2 * (40 + 16));
    assert!(!world.index.is_ready(&world.history));
    world.disk.set_free_bytes(u64::MAX);
    world.settle();
    world.check();
}

#[test]
fn a_damaged_run_is_made_again_from_the_journal() {
    let mut world = World::new(40);
    for _ in 0..100 {
        world.commit();
        world.follow_up();
    }
    world.settle();
    let runs: Vec<_> = world.disk.names().into_iter().filter(|name| name.starts_with(FOLDER)).collect();
    for name in runs {
        let bytes = world.disk.file(&name).map_or(0, |bytes| bytes.len());
        for byte in [4096 + 500, bytes - 10] {
            world.disk.flip_bit(&name, u64::try_from(byte).unwrap() * 8);
            let known = (0..100).map(|number| world.index.envelope(&envelope(number), &world.history));
            assert!(known.collect::<Vec<_>>().iter().all(|known| *known != Some(None)), "called unknown");
            world.settle();
            world.check();
        }
    }
}

#[test]
fn an_index_of_another_journal_is_dropped() {
    let mut world = World::new(40);
    for _ in 0..50 {
        world.commit();
        world.follow_up();
    }
    world.settle();
    let mut other = World::new(40);
    // The same places in the journal, other roots.
    for _ in 0..50 {
        let mut batch = batch(other.batches);
        batch.evidence.as_mut().unwrap().root = Digest([1; 32]);
        other.journal.append(&batch.encode(), &[]).unwrap();
        other.batches += 1;
    }
    assert_eq!(other.journal.end(), world.journal.end());
    for name in world.disk.names().iter().filter(|name| name.starts_with(FOLDER)) {
        other.disk.set_file(name, &world.disk.file(name).unwrap());
    }
    other.rows = world.rows.clone();
    let mut other = other.restart(Crash::Kill);
    assert_eq!(other.index.batches(), 0);
    assert_eq!(other.index.envelope(&envelope(1), &other.history), None);
    assert!(other.disk.names().iter().all(|name| !name.starts_with(FOLDER)));
    other.settle();
    other.check();
}

#[test]
fn a_crash_at_any_change_of_the_disk_is_harmless() {
    for steps in 0..60 {
        for crash in
            [Crash::Kill, Crash::LoseUnsynced, Crash::Tear { grain: journal::Grain::Word, seed: steps }]
        {
            let mut world = World::new(30);
            for _ in 0..40 {
                world.commit();
                world.follow_up();
            }
            // The journal lies still from here on, so that every step is one of the index.
            world.index = Index::open(MemoryRows::new(world.disk.folder(FOLDER), 30), &world.history, false);
            world.index.cut(Mark::START);
            world.disk.crash_after(steps, crash);
            for _ in 0..30 {
                // The journal may not be read any more, either.
                let _ended = world.index.follow_up(&world.history, 7);
            }
            let mut world = world.restart(crash);
            world.settle();
            world.check();
        }
    }
}

#[test]
fn in_the_background_it_is_the_same() {
    let mut world = World::new(50);
    world.index = Index::open(world.rows.clone(), &world.history, true);
    for _ in 0..400 {
        world.commit();
        world.follow_up();
    }
    while !(world.index.is_ready(&world.history)
        && world.index.spill.is_free()
        && world.index.merge.is_free())
    {
        world.follow_up();
    }
    assert!(world.index.runs() <= 3 * RUNS_MERGED, "{}", world.index.runs());
    world.check();
}
