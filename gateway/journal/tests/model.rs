//! Random histories against a reference model: a list of batches. Whatever crashes, all that was
//! acknowledged is there byte for byte, and nothing half. Not here: damage at rest.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test's helpers")]

mod twin;

use journal::{
    Blob, Closed, Config, Crash, Eraser, FileJournal, Grain, Journal, Mark, MemoryDisk, SegmentNo,
};
use proptest::prelude::*;
use twin::{Known, assert_reads, disk};

#[derive(Debug, Clone)]
enum Act {
    Append { meta: usize, blobs: Vec<usize> },
    FailedAppend { fault: journal::AppendFault, bytes: usize, crash: Crash },
    CrashDuringAppend { steps: u64, bytes: usize, crash: Crash },
    CrashDuringOpen { steps: u64, crash: Crash },
    Crash(Crash),
    Reopen,
    Snapshot,
    Anchor,
    Erase { segment: u64, steps: Option<u64>, crash: Crash },
}

fn crash() -> impl Strategy<Value = Crash> {
    let grain = prop_oneof![Just(Grain::Word), Just(Grain::Sector)];
    prop_oneof![
        Just(Crash::Kill),
        Just(Crash::LoseUnsynced),
        (0..40_000_u64).prop_map(|bytes| Crash::KeepFirst { bytes }),
        (grain, any::<u64>()).prop_map(|(grain, seed)| Crash::Tear { grain, seed }),
    ]
}

fn fault() -> impl Strategy<Value = journal::AppendFault> {
    prop_oneof![
        Just(journal::AppendFault::BeforeWrite),
        Just(journal::AppendFault::BeforeSync),
        Just(journal::AppendFault::AfterSync),
    ]
}

fn act() -> impl Strategy<Value = Act> {
    let blobs = prop::collection::vec(0..12_000_usize, 0..4);
    let bytes = 0..40_000_usize;
    prop_oneof![
        8 => (0..300_usize, blobs).prop_map(|(meta, blobs)| Act::Append { meta, blobs }),
        2 => (fault(), bytes.clone(), crash())
            .prop_map(|(fault, bytes, crash)| Act::FailedAppend { fault, bytes, crash }),
        2 => (0..9_u64, bytes, crash())
            .prop_map(|(steps, bytes, crash)| Act::CrashDuringAppend { steps, bytes, crash }),
        1 => (0..9_u64, crash()).prop_map(|(steps, crash)| Act::CrashDuringOpen { steps, crash }),
        1 => crash().prop_map(Act::Crash),
        1 => Just(Act::Reopen),
        1 => Just(Act::Snapshot),
        1 => Just(Act::Anchor),
        1 => (0..4_u64, prop::option::of(0..12_u64), crash())
            .prop_map(|(segment, steps, crash)| Act::Erase { segment, steps, crash }),
    ]
}

struct History {
    disk: MemoryDisk,
    journal: Option<FileJournal>,
    known: Vec<Known>,
    /// Appended without an answer: there whole, or not at all.
    unanswered: Option<Known>,
    count: u8,
}

impl History {
    fn new() -> Self {
        Self { disk: disk(), journal: None, known: Vec::new(), unanswered: None, count: 0 }
    }

    fn batch(&mut self, meta: usize, blobs: &[usize]) -> Known {
        self.count = self.count.wrapping_add(1);
        let blobs: Vec<_> = blobs.iter().map(|bytes| vec![self.count; *bytes]).collect();
        Known::new(&vec![self.count; meta], &blobs.iter().map(|blob| &blob[..]).collect::<Vec<_>>())
    }

    /// Opens from the newest snapshot, if that is where the journal still reaches.
    fn journal(&mut self) -> &mut FileJournal {
        if self.journal.is_none() {
            self.open();
        }
        self.journal.as_mut().unwrap()
    }

    fn open(&mut self) {
        let closed = Closed::lock(&self.disk.volume(), &self.disk.volume()).unwrap();
        let loaded = closed.snapshots().newest().unwrap();
        assert_eq!(loaded.damaged, []);
        let from = loaded.snapshot.as_ref().map(|snapshot| snapshot.mark);
        let (journal, recovered) = closed.recover(Config::inline(), from).unwrap();
        assert_eq!(recovered.damage, []);
        let count = usize::try_from(recovered.end.batch_no.get()).unwrap();
        if count == self.known.len() + 1 {
            self.known.extend(self.unanswered.take());
        }
        assert_eq!(count, self.known.len(), "batches lost or invented");
        self.unanswered = None;
        self.journal = Some(journal);
    }

    fn end(&mut self, crash: Crash) {
        self.disk.crash(crash);
        self.journal = None;
        self.check();
    }

    /// Reads all and compares.
    fn check(&mut self) {
        self.journal();
        assert_reads(self.journal.as_ref().unwrap(), &self.known);
    }

    fn append(&mut self, batch: Known) {
        match batch.append(self.journal()) {
            Ok(_) => self.known.push(batch),
            Err(_) => self.unanswered = Some(batch),
        }
    }

    fn erase(&mut self, segment: u64, steps: Option<u64>, crash: Crash) {
        let eraser = self.journal().eraser();
        if let Some(steps) = steps {
            self.disk.crash_after(steps, crash);
        }
        self.erase_in_model(&eraser, segment);
        self.end(if steps.is_some() { crash } else { Crash::LoseUnsynced });
    }

    fn erase_in_model(&mut self, eraser: &Eraser, segment: u64) {
        let even = |_: journal::BatchNo, _: journal::Position, blob: usize| {
            (blob.is_multiple_of(2)).then_some(segment)
        };
        let _outcome = eraser.rewrite_segment(SegmentNo::new(segment), even);
        // The outcome of a failure is known only after a restart.
        self.disk.crash(Crash::LoseUnsynced);
        self.journal = None;
        self.open();
        let reader = self.journal().reader();
        for (batch, known) in reader.iter_from(Mark::START).zip(&mut self.known) {
            let batch = batch.unwrap();
            let is_here = batch.mark().position.get() / 65_536 == segment;
            for (index, blob) in batch.blobs().enumerate() {
                let Blob::Erased { by, .. } = blob else {
                    continue;
                };
                if is_here && index.is_multiple_of(2) {
                    known.blobs[index].1 = Some(by);
                }
            }
        }
    }

    fn act(&mut self, act: Act) {
        match act {
            Act::Append { meta, blobs } => {
                let batch = self.batch(meta, &blobs);
                self.append(batch);
                assert_eq!(self.unanswered, None);
            }
            Act::FailedAppend { fault, bytes, crash } => {
                self.journal();
                self.disk.fail_append(0, fault);
                let batch = self.batch(bytes % 7, &[bytes]);
                self.append(batch);
                assert!(self.unanswered.is_some());
                self.end(crash);
            }
            Act::CrashDuringAppend { steps, bytes, crash } => {
                self.journal();
                self.disk.crash_after(steps, crash);
                let batch = self.batch(bytes % 7, &[bytes]);
                self.append(batch);
                self.end(crash);
            }
            Act::CrashDuringOpen { steps, crash } => {
                self.disk.crash(crash);
                self.disk.crash_after(steps, crash);
                drop(twin::reopen(&self.disk));
                self.end(crash);
            }
            Act::Crash(crash) => self.end(crash),
            Act::Reopen => {
                self.journal = None;
                self.check();
            }
            Act::Snapshot => {
                let end = self.journal().end();
                self.journal().snapshots().write(end, [b"state"]).unwrap();
            }
            Act::Anchor => {
                let end = self.journal().end();
                self.journal().anchor().write(end, b"checkpoint").unwrap();
            }
            Act::Erase { segment, steps, crash } => self.erase(segment, steps, crash),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1500, ..ProptestConfig::default() })]

    #[test]
    fn histories(acts in prop::collection::vec(act(), 1..40)) {
        let mut history = History::new();
        for act in acts {
            history.act(act);
        }
        history.end(Crash::LoseUnsynced);
    }

    #[test]
    fn any_bytes_as_a_segment_never_panic(
        noise in prop::collection::vec(any::<u8>(), 0..3000),
        offset in 0..65_536_usize,
    ) {
        let disk = disk();
        let name = "0000000000000000.seg";
        let mut segment = disk.file(name).unwrap();
        segment.truncate(offset);
        segment.extend_from_slice(&noise);
        disk.set_file(name, &segment);
        if let Ok((journal, _)) = twin::reopen(&disk) {
            prop_assert_eq!(journal.end(), Mark::START);
            prop_assert_eq!(journal.reader().iter_from(Mark::START).count(), 0);
        }
    }
}
