//! The check from the first byte names the first thing that is wrong, whatever it is: a good journal is
//! doctored by somebody who can write the disk and knows the formats, checksums and all.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking, and tells what it saw")]

use std::fs;

use gateway::{
    fault::Fault,
    history::{History, Log},
    index::rows::MemoryRows,
    start::{Derived, needs_people, start},
    tiles::files::{Files, Folder, MemoryFiles},
    verify::{Folders, Verifiers, What, Wrong, verify},
    writer::LogKeys,
};
use journal::{
    Blob, Closed, Config, FileJournal, Journal as _, LogId, Mark, MemoryDisk, SegmentBytes, Volume,
};
use prost::Message as _;
use proto::wire;
use trials::{fixture, network::Network};

/// A batch's message and blobs.
type Raw = (wire::Batch, Vec<Vec<u8>>);

fn present(blob: Blob<'_>) -> Vec<u8> {
    match blob {
        Blob::Present(bytes) => bytes.to_vec(),
        Blob::Erased { .. } => panic!("nothing is erased in the fixture"),
    }
}

/// The fixture's batches.
fn good() -> Vec<Raw> {
    let folder = tempfile::tempdir().unwrap();
    fixture::make(folder.path());
    let volume = Volume::directory(&folder.path().join(fixture::JOURNAL)).unwrap();
    let anchor = Volume::directory(&folder.path().join("anchor")).unwrap();
    let closed = Closed::lock(&volume, &anchor).unwrap();
    let config = Config { reserve_bytes: 0, ..Config::inline() };
    let (journal, _) = closed.recover(config, None).unwrap();
    let batches = journal.reader().iter_from(Mark::START).map(|read| {
        let read = read.unwrap();
        (wire::Batch::decode(read.meta()).unwrap(), read.blobs().map(present).collect())
    });
    batches.collect()
}

fn written(batches: &[Raw]) -> FileJournal {
    let disk = MemoryDisk::new();
    FileJournal::create(&disk.volume(), &LogId::new([1; 16]), SegmentBytes::MIN).unwrap();
    let closed = Closed::lock(&disk.volume(), &disk.volume()).unwrap();
    let (mut journal, _) = closed.recover(Config::inline(), None).unwrap();
    for (batch, blobs) in batches {
        let blobs: Vec<&[u8]> = blobs.iter().map(Vec::as_slice).collect();
        journal.append(&batch.encode_to_vec(), &blobs).unwrap();
    }
    journal
}

fn check(batches: &[Raw]) -> Result<(), Wrong> {
    let journal = written(batches);
    let verifiers = Verifiers::from(&Network::new().keys);
    verify::<MemoryFiles>(&journal.reader(), &verifiers, None, |_| {}).map(|_| ())
}

/// The batch of the opening envelope.
const PUSH: usize = 12;
/// The batch of an acceptance.
const ACCEPT: usize = 15;

fn first_event(batch: &mut wire::Batch) -> &mut wire::RecordedEvent {
    &mut batch.entries[0].events[0]
}

/// The signed object of a batch's first command.
fn signed(batch: &mut wire::Batch) -> &mut wire::SignedObject {
    match batch.entries[0].command.as_mut().unwrap() {
        wire::entry::Command::Signed(object) => object,
        wire::entry::Command::Denial(_)
        | wire::entry::Command::Tick(_)
        | wire::entry::Command::Query(_)
        | wire::entry::Command::Queries(_)
        | wire::entry::Command::Erasure(_)
        | wire::entry::Command::Operate(_) => panic!("that is nothing signed"),
    }
}

/// What is doctored, the batch that is named for it, how it is doctored, and what is said of it.
type Case = (&'static str, usize, fn(&mut Vec<Raw>), fn(&What) -> bool);

#[allow(clippy::too_many_lines, reason = "one table, a few lines a row")]
fn cases() -> Vec<Case> {
    vec![
        ("a ciphertext is changed", PUSH, |b| b[PUSH].1[0][7] ^= 1, |w| *w == What::Ciphertext),
        (
            "a ciphertext is cut away",
            PUSH,
            |b| {
                b[PUSH].1.remove(0);
            },
            |w| *w == What::Ciphertext,
        ),
        (
            "a signature is changed",
            PUSH,
            |b| signed(&mut b[PUSH].0).signatures[0].sig[3] ^= 1,
            |w| matches!(w, What::Signature(_)),
        ),
        (
            "a header is changed",
            PUSH,
            |b| {
                let object = signed(&mut b[PUSH].0);
                let mut header = wire::Header::decode(object.payload.as_slice()).unwrap();
                header.category = "domestic_violence".to_owned();
                object.payload = header.encode_to_vec();
            },
            |w| matches!(w, What::Signature(_)),
        ),
        (
            "a salt is changed: the next record names another commitment",
            PUSH,
            |b| first_event(&mut b[PUSH].0).salt[0] ^= 1,
            |w| *w == What::Place,
        ),
        (
            "a record tells another time",
            ACCEPT,
            |b| {
                let event = first_event(&mut b[ACCEPT].0);
                let mut record = wire::EvidenceRecord::decode(event.record.as_slice()).unwrap();
                record.time_ms += 1;
                event.record = record.encode_to_vec();
            },
            |w| *w == What::Place,
        ),
        (
            "a party's count is changed",
            ACCEPT,
            |b| {
                let event = first_event(&mut b[ACCEPT].0);
                let mut record = wire::EvidenceRecord::decode(event.record.as_slice()).unwrap();
                record.parties[0].count += 1;
                event.record = record.encode_to_vec();
            },
            |w| *w == What::Place,
        ),
        (
            "a record is left out",
            ACCEPT,
            |b| {
                b[ACCEPT].0.entries[0].events.remove(0);
            },
            |w| matches!(w, What::Place | What::Ciphertext),
        ),
        (
            "a batch is left out",
            ACCEPT,
            |b| {
                b.remove(ACCEPT);
            },
            |w| *w == What::Checkpoint(Log::Evidence),
        ),
        (
            "a checkpoint's root is changed",
            ACCEPT,
            |b| b[ACCEPT].0.evidence.as_mut().unwrap().root[0] ^= 1,
            |w| *w == What::Checkpoint(Log::Evidence),
        ),
        (
            "a checkpoint's signature is changed",
            ACCEPT,
            |b| b[ACCEPT].0.directory.as_mut().unwrap().sig[0] ^= 1,
            |w| *w == What::Checkpoint(Log::Directory),
        ),
        ("time goes back", ACCEPT, |b| b[ACCEPT].0.now_ms -= 3 * 3_600_000, |w| *w == What::Time),
        (
            "a directory record is changed",
            3,
            |b| {
                let event = &mut b[2].0.entries[0].events[0];
                let last = event.directory.len() - 1;
                event.directory[last] ^= 1;
            },
            |w| matches!(w, What::Checkpoint(Log::Directory) | What::NotUnderstood(_) | What::Signature(_)),
        ),
    ]
}

#[test]
fn each_doctored_journal_is_named_at_its_first_wrong_batch() {
    let good = good();
    check(&good).unwrap();
    for (what, batch, doctor, expected) in cases() {
        let mut doctored = good.clone();
        doctor(&mut doctored);
        let wrong = check(&doctored).expect_err(what);
        let named = usize::try_from(wrong.batch).unwrap();
        assert!(expected(&wrong.what), "{what}: {wrong}");
        assert!(named == batch || named + 1 == batch, "{what}: {wrong}");
    }
}

/// The fixture with one published file doctored.
fn check_published(doctor: impl Fn(&mut Folder)) -> Result<(), Wrong> {
    let folder = tempfile::tempdir().unwrap();
    fixture::make(folder.path());
    let network = Network::new();
    let writer = fixture::open(folder.path(), &network);
    let mut evidence = Folder::open(&folder.path().join("evidence")).unwrap();
    let directory = Folder::open(&folder.path().join("directory")).unwrap();
    doctor(&mut evidence);
    let folders = Folders { evidence: &evidence, directory: &directory };
    verify(writer.history().reader(), &Verifiers::from(&network.keys), Some(&folders), |_| {}).map(|_| ())
}

#[test]
fn published_files_are_held_against_the_journal() {
    check_published(|_| {}).unwrap();
    for path in ["tile/0/000.p/41", "tile/entries/000.p/41"] {
        let wrong = check_published(|files| {
            let mut bytes = files.read(path).unwrap().unwrap();
            bytes[40] ^= 1;
            files.write(path, &bytes).unwrap();
        });
        assert_eq!(wrong.unwrap_err().what, What::File { path: path.to_owned() });
    }
    let wrong = check_published(|files| {
        let note = String::from_utf8(files.read("checkpoint").unwrap().unwrap()).unwrap();
        files.write("checkpoint", note.replacen("\n41\n", "\n40\n", 1).as_bytes()).unwrap();
    });
    assert_eq!(wrong.unwrap_err().what, What::Published(Log::Evidence));
}

fn try_start(folder: &std::path::Path, keys: LogKeys) -> Result<(), Fault> {
    let closed = Closed::lock(
        &Volume::directory(&folder.join(fixture::JOURNAL)).unwrap(),
        &Volume::directory(&folder.join("anchor")).unwrap(),
    )?;
    let derived = Derived {
        rows: MemoryRows::default(),
        evidence: Folder::open(&folder.join("evidence")).unwrap(),
        directory: Folder::open(&folder.join("directory")).unwrap(),
    };
    start(closed, Config::inline(), keys, proto::decide::decide, derived, |journal| journal).map(|_| ())
}

/// The last batch of the fixture, zeroed as if it had never been written.
fn cut_last_batch(folder: &std::path::Path) {
    let segments = fs::read_dir(folder.join(fixture::JOURNAL)).unwrap().map(|entry| entry.unwrap().path());
    let mut segments: Vec<_> = segments.filter(|path| path.extension().is_some_and(|e| e == "seg")).collect();
    segments.sort();
    for path in segments.iter().rev() {
        let mut bytes = fs::read(path).unwrap();
        let Some(last) = bytes.iter().rposition(|byte| *byte != 0).filter(|last| *last > 4096) else {
            continue;
        };
        bytes[last - 200..=last].fill(0);
        fs::write(path, bytes).unwrap();
        return;
    }
}

#[test]
fn a_journal_that_ends_too_early_does_not_start() {
    let network = Network::new();
    for (without_anchor, published) in [(false, true), (true, true), (true, false)] {
        let folder = tempfile::tempdir().unwrap();
        fixture::make(folder.path());
        cut_last_batch(folder.path());
        if without_anchor {
            fs::remove_file(folder.path().join("anchor/anchor")).unwrap();
        }
        if !published {
            fs::remove_dir_all(folder.path().join("evidence")).unwrap();
            fs::remove_dir_all(folder.path().join("directory")).unwrap();
        }
        let started = try_start(folder.path(), network.keys.clone());
        match (without_anchor, published) {
            (false, _) => assert!(matches!(started, Err(Fault::Open(_))), "{started:?}"),
            (true, true) => assert!(matches!(started, Err(Fault::BehindPublished { .. })), "{started:?}"),
            // Nobody here knows better: only the agencies' agents would.
            (true, false) => assert_eq!(started, Ok(())),
        }
        if let Err(fault) = started {
            assert!(needs_people(&fault));
        }
    }
}

#[test]
fn keys_of_another_network_do_not_start() {
    let folder = tempfile::tempdir().unwrap();
    fixture::make(folder.path());
    let keys = Network::new().keys;
    let swapped = LogKeys { evidence: keys.directory.clone(), directory: keys.evidence };
    assert_eq!(try_start(folder.path(), swapped), Err(Fault::OtherNetwork));
}

#[test]
fn a_damaged_record_is_named_and_the_rest_stays_readable() {
    let folder = tempfile::tempdir().unwrap();
    fixture::make(folder.path());
    let network = Network::new();
    let position = {
        let writer = fixture::open(folder.path(), &network);
        let batch = writer.history().reader().read_number(journal::BatchNo::new(5)).unwrap();
        batch.mark().position.get()
    };
    let path = folder.path().join(fixture::JOURNAL).join("0000000000000000.seg");
    let mut bytes = fs::read(&path).unwrap();
    bytes[usize::try_from(position).unwrap() + 100] ^= 1;
    fs::write(&path, bytes).unwrap();

    // The snapshot is behind it, so the gateway starts; only that record is refused.
    let writer = fixture::open_damaged(folder.path(), &network);
    let history: &History = writer.history();
    assert!(history.batch(4).is_ok() && history.batch(6).is_ok());
    assert!(matches!(history.batch(5), Err(Fault::Read(_))));

    // Without the snapshot it would have to be replayed.
    drop(writer);
    for entry in fs::read_dir(folder.path().join(fixture::JOURNAL)).unwrap() {
        let path = entry.unwrap().path();
        if path.to_string_lossy().contains("snapshot-") {
            fs::remove_file(path).unwrap();
        }
    }
    let started = try_start(folder.path(), network.keys);
    assert!(matches!(started, Err(Fault::DamagedRecord { .. })), "{started:?}");
}
