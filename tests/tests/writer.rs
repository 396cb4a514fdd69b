//! The writer over the twin's disk: the first steps of a network, by hand.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that cannot be set up has failed")]

use gateway::{
    history::Log,
    index::rows::MemoryRows,
    start::{Derived, start},
    tiles::files::MemoryFiles,
    verify::{Folders, Verifiers, verify},
    writer::{SNAPSHOT_RECORDS, Writer, answer::Answer},
};
use journal::{Closed, Config, FileJournal, LogId, MemoryDisk, SegmentBytes};
use proto::{dsse::Signed, ids::Release, referral::digests_released};
use trials::{
    load::Load,
    network::{BEGINNING, Network},
    random::Random,
};

type Twin = Writer<FileJournal, MemoryRows, MemoryFiles>;

fn open(disk: &MemoryDisk, network: &Network, derived: Derived<MemoryRows, MemoryFiles>) -> Twin {
    let closed = Closed::lock(&disk.volume(), &disk.volume()).unwrap();
    let rules = proto::decide::decide;
    start(closed, Config::inline(), network.keys.clone(), rules, derived, |journal| journal).unwrap().0
}

fn empty() -> Derived<MemoryRows, MemoryFiles> {
    Derived {
        rows: MemoryRows::default(),
        evidence: MemoryFiles::default(),
        directory: MemoryFiles::default(),
    }
}

#[test]
fn a_network_is_founded_and_a_referral_goes_through() {
    let disk = MemoryDisk::new();
    FileJournal::create(&disk.volume(), &LogId::new([7; 16]), SegmentBytes::MIN).unwrap();
    let mut network = Network::new();
    let mut writer = open(&disk, &network, empty());
    let mut random = Random::new(1);
    let mut salts = Random::new(2);
    for request in network.founding() {
        Network::verify(&request, writer.state().directory()).unwrap();
        let answers = writer.step(BEGINNING, vec![request], &mut || salts.salt()).unwrap();
        assert!(matches!(&answers[0], Answer::Taken { receipts, .. } if receipts.len() == 1), "{answers:?}");
    }

    let (from, to) = (network.at(1).clone(), network.at(3).clone());
    let (header, parts) = network.opening(&from.id, &to.id, BEGINNING, &mut random);
    let push = network.push(&header, parts);
    Network::verify(&push, writer.state().directory()).unwrap();
    let answers = writer.step(BEGINNING, vec![push.clone(), push.clone()], &mut || salts.salt()).unwrap();
    let Answer::Taken { receipts, .. } = &answers[0] else { panic!("{answers:?}") };
    assert_eq!(answers[0], answers[1], "the same envelope twice in one batch");
    for receipt in receipts {
        receipt.verify(&network.policy()).unwrap();
    }

    let again = writer.step(BEGINNING, vec![push.clone()], &mut || salts.salt()).unwrap();
    assert_eq!(again[0], answers[0], "the same receipts later");

    let digest = push.command.signed().map(Signed::digest).unwrap();
    let parts = digests_released(&header.parts, Release::AtOnce);
    let handover = network.handover(&to, &[(digest, parts)]);
    let handed = writer.step(BEGINNING, vec![handover], &mut || salts.salt()).unwrap();
    assert!(matches!(&handed[0], Answer::Taken { receipts, .. } if receipts.len() == 1), "{handed:?}");
    assert_eq!(writer.state().mailboxes().waiting(&to.id), 0);

    drop(writer);
    let mut writer = open(&disk, &network, empty());
    writer.follow_up(1000).unwrap();
    let again = writer.step(BEGINNING, vec![push], &mut || salts.salt()).unwrap();
    assert_eq!(again[0], answers[0], "the same receipts after a restart that lost all that is derived");

    writer.publish_checkpoints().unwrap().unwrap();
    let (evidence, directory) = (writer.tiles(Log::Evidence).files(), writer.tiles(Log::Directory).files());
    let folders = Folders { evidence, directory };
    let verifiers = Verifiers::from(&network.keys);
    let verified = verify(writer.history().reader(), &verifiers, Some(&folders), |_| {}).unwrap();
    assert_eq!(verified.evidence, writer.state().evidence().size());
    assert_eq!(verified.ciphertexts, 2);
    assert!(verified.files >= 6, "{verified:?}");
}

#[test]
fn a_name_in_a_refused_header_reaches_no_disk() {
    let disk = MemoryDisk::new();
    FileJournal::create(&disk.volume(), &LogId::new([7; 16]), SegmentBytes::MIN).unwrap();
    let mut network = Network::new();
    let mut writer = open(&disk, &network, empty());
    let mut salts = Random::new(2);
    for request in network.founding() {
        writer.step(BEGINNING, vec![request], &mut || salts.salt()).unwrap();
    }
    let (from, to) = (network.at(1).clone(), network.at(3).clone());
    let (mut header, parts) = network.opening(&from.id, &to.id, BEGINNING, &mut Random::new(1));
    header.category = proto::ids::Code::parse("maryam_al_mansoori", "category").unwrap();
    let push = network.push(&header, parts);
    let answers = writer.step(BEGINNING, vec![push], &mut || salts.salt()).unwrap();
    let Answer::Refused { receipt: Some(_), .. } = &answers[0] else { panic!("{answers:?}") };
    writer.follow_up(1000).unwrap();
    writer.publish_checkpoints().unwrap().unwrap();
    let (_, snapshot) = writer.snapshot();
    let on_disk = disk.names().into_iter().filter_map(|name| disk.file(&name));
    let published = [Log::Evidence, Log::Directory].map(|log| writer.tiles(log).files().files.clone());
    let published = published.into_iter().flat_map(std::collections::BTreeMap::into_values);
    for bytes in on_disk.chain(published).chain([snapshot.flatten().collect()]) {
        assert!(!bytes.windows(6).any(|window| window == b"maryam"), "the name is on the disk");
    }
}

#[test]
fn a_is_snapshot_due_by_what_a_start_would_replay() {
    let disk = MemoryDisk::new();
    FileJournal::create(&disk.volume(), &LogId::new([7; 16]), SegmentBytes::DEFAULT).unwrap();
    let mut network = Network::new();
    let mut writer = open(&disk, &network, empty());
    let mut salts = Random::new(2);
    for request in network.founding() {
        writer.step(BEGINNING, vec![request], &mut || salts.salt()).unwrap();
    }
    let load = Load { network: network.clone(), seed: 1, bytes: 200, messages: true };
    let mut number = 0;
    while !writer.is_snapshot_due() {
        assert!(writer.state().evidence().size() < SNAPSHOT_RECORDS + 1000, "never due");
        let some = (number..number + 500).map(|number| load.envelope(number).request).collect();
        number += 500;
        writer.step(Load::moment(number), some, &mut || salts.salt()).unwrap();
    }
    assert!(writer.state().evidence().size() >= SNAPSHOT_RECORDS);

    let (mark, pieces) = writer.snapshot();
    assert!(!writer.is_snapshot_due(), "from here on");
    drop(writer);
    assert!(open(&disk, &network, empty()).is_snapshot_due(), "it was never written");
    let writer = open(&disk, &network, empty());
    writer.journal().snapshots().write(mark, pieces).unwrap();
    drop(writer);
    assert!(!open(&disk, &network, empty()).is_snapshot_due());
}
