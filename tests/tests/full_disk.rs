//! A full disk, on the twin's: pushes get busy, what must go on goes on, and nothing is lost.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up has failed")]

use gateway::{
    index::rows::MemoryRows,
    start::{Derived, start},
    tiles::files::MemoryFiles,
    writer::{
        Request, Writer,
        answer::{Answer, Busy},
    },
};
use journal::{Closed, Config, FileJournal, LogId, MemoryDisk, SegmentBytes};
use trials::{
    load::{Load, Numbered},
    network::Network,
    random::Random,
};

type Twin = Writer<FileJournal, MemoryRows, MemoryFiles>;

fn open(disk: &MemoryDisk, network: &Network) -> Twin {
    let closed = Closed::lock(&disk.volume(), &disk.volume()).unwrap();
    let derived = Derived {
        rows: MemoryRows::default(),
        evidence: MemoryFiles::default(),
        directory: MemoryFiles::default(),
    };
    let keys = network.keys.clone();
    start(closed, Config::inline(), keys, proto::decide::decide, derived, |journal| journal).unwrap().0
}

fn step(writer: &mut Twin, request: Request) -> Answer {
    let size = writer.state().evidence().size();
    let mut salts = Random::new(size);
    writer.step(Load::moment(size), vec![request], &mut || salts.salt()).unwrap().remove(0)
}

/// Pushes until it is busy, and gives what was taken.
fn push_until_busy(writer: &mut Twin, load: &Load, first: u64) -> Vec<(Numbered, Answer)> {
    let mut taken = Vec::new();
    for number in first.. {
        let envelope = load.envelope(number);
        match step(writer, envelope.request.clone()) {
            Answer::Busy(why) => {
                assert_eq!(why, Busy::Disk);
                break;
            }
            answer @ Answer::Taken { .. } => taken.push((envelope, answer)),
            answer @ (Answer::Refused { .. } | Answer::Nothing) => panic!("{answer:?}"),
        }
    }
    taken
}

#[test]
fn pushes_stop_before_what_must_go_on_and_go_on_when_space_is_freed() {
    // An eighth of a segment is kept; of the smallest ones that is less than a receipt is counted as.
    let segment_bytes = SegmentBytes::new(256 * 1024).unwrap();
    let disk = MemoryDisk::new();
    FileJournal::create(&disk.volume(), &LogId::new([7; 16]), segment_bytes).unwrap();
    let mut network = Network::new();
    let mut writer = open(&disk, &network);
    for request in network.founding() {
        assert!(matches!(step(&mut writer, request), Answer::Taken { .. }));
    }
    let load = Load { network, seed: 4, bytes: 900, messages: false };

    disk.set_free_bytes(2 * segment_bytes.get());
    let taken = push_until_busy(&mut writer, &load, 0);
    assert!(taken.len() > 10, "{}", taken.len());
    for (envelope, answer) in &taken {
        let again = step(&mut writer, envelope.request.clone());
        assert_eq!(again, *answer, "a repeat takes no space, and has its receipt");
    }
    let handed = &taken[..3];
    for (envelope, _) in handed {
        let answer = step(&mut writer, load.handover(envelope.to, &[envelope]));
        assert!(matches!(&answer, Answer::Taken { receipts, .. } if receipts.len() == 1), "{answer:?}");
    }

    drop(writer);
    let mut writer = open(&disk, &load.network);
    let busy = step(&mut writer, load.envelope(5_000).request);
    assert_eq!(busy, Answer::Busy(Busy::Disk), "a restart makes no space");
    disk.set_free_bytes(64 * segment_bytes.get());
    writer.follow_up(10_000).unwrap();
    for (envelope, answer) in &taken {
        assert_eq!(step(&mut writer, envelope.request.clone()), *answer, "the receipts that it had");
    }
    for (place, (envelope, _)) in taken.iter().enumerate() {
        let mailbox = writer.state().mailboxes().of(&load.network.at(envelope.to).id);
        let waits = mailbox.is_some_and(|mailbox| mailbox.find(&envelope.digest).is_some());
        assert_eq!(waits, place >= handed.len(), "{place}");
    }
    let fresh = step(&mut writer, load.envelope(5_001).request);
    assert!(matches!(fresh, Answer::Taken { .. }), "{fresh:?}");
}
