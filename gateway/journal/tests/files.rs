//! The journal in a real directory: the preparing thread, the lock, readers beside the writer.
//! Not here: crashes, which need the twin.

#![allow(clippy::unwrap_used, reason = "a test's helpers")]

use std::{path::Path, thread};

use journal::{
    Closed, Config, Fault, FileJournal, Journal, LogId, Mark, OpenError, Prepare, Recovered, Room,
    SegmentBytes, SegmentNo, Step, Volume,
};

fn create(directory: &Path) {
    let volume = Volume::directory(directory).unwrap();
    FileJournal::create(&volume, &LogId::new([6; 16]), SegmentBytes::MIN).unwrap();
}

fn open(directory: &Path) -> Result<(FileJournal, Recovered), OpenError> {
    let volume = Volume::directory(directory)?;
    let config = Config { reserve_bytes: 0, ..Config::default() };
    assert_eq!(config.prepare, Prepare::Background);
    Closed::lock(&volume, &volume)?.recover(config, None)
}

#[test]
fn segments_are_prepared_in_the_background() {
    let directory = tempfile::tempdir().unwrap();
    create(directory.path());
    let (mut journal, _) = open(directory.path()).unwrap();
    for n in 0..200 {
        assert_ne!(journal.room(), Room::Nothing);
        journal.append(&[n; 3], &[&[n; 10_000]]).unwrap();
    }
    let end = journal.end();
    drop(journal);
    let (journal, recovered) = open(directory.path()).unwrap();
    assert_eq!((recovered.end, recovered.damage, recovered.cut), (end, vec![], None));
    for (n, batch) in (0_u8..).zip(journal.reader().iter_from(Mark::START)) {
        assert_eq!(batch.unwrap().meta(), [n; 3]);
    }
}

#[test]
fn a_second_opener_is_told() {
    let directory = tempfile::tempdir().unwrap();
    create(directory.path());
    let journal = open(directory.path()).unwrap();
    assert_eq!(open(directory.path()).unwrap_err(), OpenError::Locked);
    let volume = Volume::directory(directory.path()).unwrap();
    let created = FileJournal::create(&volume, &LogId::new([6; 16]), SegmentBytes::MIN);
    assert_eq!(created, Err(OpenError::Locked));
    drop(journal);
    open(directory.path()).unwrap();
}

#[test]
fn readers_follow_the_writer() {
    const COUNT: u16 = 2000;
    let directory = tempfile::tempdir().unwrap();
    create(directory.path());
    let (mut journal, _) = open(directory.path()).unwrap();
    let readers: Vec<_> = (0..2)
        .map(|_| {
            let mut batches = journal.reader().iter_from(Mark::START);
            thread::spawn(move || {
                let mut n = 0;
                while n < COUNT {
                    if let Some(batch) = batches.next() {
                        assert_eq!(batch.unwrap().meta(), n.to_le_bytes());
                        n += 1;
                    } else {
                        thread::yield_now();
                    }
                }
            })
        })
        .collect();
    for n in 0..COUNT {
        journal.append(&n.to_le_bytes(), &[&[1; 500]]).unwrap();
    }
    for reader in readers {
        reader.join().unwrap();
    }
}

#[test]
fn erasing_gives_space_back_while_appending_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    create(directory.path());
    let (mut journal, _) = open(directory.path()).unwrap();
    for _ in 0..4 {
        journal.append(b"", &[&[1; 60_000]]).unwrap();
    }
    let eraser = journal.eraser();
    let erasing = thread::spawn(move || eraser.rewrite_segment(SegmentNo::new(0), |_, _, _| Some(1)));
    for _ in 0..100 {
        journal.append(b"beside", &[]).unwrap();
    }
    assert_eq!(erasing.join().unwrap().unwrap().bytes, 60_000);
    assert_eq!(journal.reader().iter_from(Mark::START).map(Result::unwrap).count(), 104);
}

#[test]
fn a_directory_that_is_not_there_is_a_fault() {
    let missing = Volume::directory(Path::new("/nonexistent/journal")).unwrap_err();
    assert_eq!(missing, Fault::Io { step: Step::Open, kind: std::io::ErrorKind::NotFound });
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(open(empty.path()).unwrap_err(), OpenError::NoJournal);
}
