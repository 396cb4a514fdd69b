//! A journal with one of everything, made of fixed inputs, so that every release gives the same bytes,
//! and every later one can be held against what this one wrote.
#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    reason = "a fixture that cannot be made has failed"
)]

use std::{fs, path::Path};

use gateway::{
    index::rows::MemoryRows,
    start::{Derived, start},
    tiles::files::Folder,
    writer::{Request, Writer, answer::Answer},
};
use journal::{Closed, Config, FileJournal, LogId, SegmentBytes, Volume};
use proto::{
    decide::decide,
    dsse::Signed,
    ids::{Release, TimeMs},
    lifecycle::Act,
    receipt::Receipt,
    referral::digests_released,
    wire,
};

use crate::{
    network::{ActOf, BEGINNING, Network},
    random::Random,
};

/// A writer over real files.
pub type Real = Writer<FileJournal, MemoryRows, Folder>;

/// Where the parts of a gateway's data lie in a folder.
pub const JOURNAL: &str = "journal";
const HOUR_MS: u64 = 60 * 60 * 1000;

/// Opens the gateway's data in a folder, with an empty index, and lets all follow that can.
#[must_use]
pub fn open(folder: &Path, network: &Network) -> Real {
    let mut writer = open_damaged(folder, network);
    writer.follow_up(u64::MAX).unwrap();
    writer
}

/// As [`open`], where something that would have to be read may be damaged.
#[must_use]
pub fn open_damaged(folder: &Path, network: &Network) -> Real {
    let journal = Volume::directory(&folder.join(JOURNAL)).unwrap();
    let closed = Closed::lock(&journal, &Volume::directory(&folder.join("anchor")).unwrap()).unwrap();
    let derived = Derived {
        rows: MemoryRows::default(),
        evidence: Folder::open(&folder.join("evidence")).unwrap(),
        directory: Folder::open(&folder.join("directory")).unwrap(),
    };
    let config = Config { reserve_bytes: 0, ..Config::inline() };
    start(closed, config, network.keys.clone(), decide, derived, |journal| journal).unwrap().0
}

/// What is pushed, with its moment: the network's founding, a referral through its life, one that is
/// refused, one that is left waiting, an expiry.
#[must_use]
pub fn story(network: &mut Network) -> Vec<(TimeMs, Vec<Request>)> {
    let mut random = Random::new(20_260_101);
    let at = |hours: u64| BEGINNING.plus_ms(hours * HOUR_MS);
    let mut story: Vec<_> = network.founding().into_iter().map(|request| (at(0), vec![request])).collect();
    let (from, to) = (network.at(1).clone(), network.at(3).clone());

    let (opening, parts) = network.opening(&from.id, &to.id, at(1), &mut random);
    let digest = |request: &Request| request.command.signed().map(Signed::digest).unwrap();
    let push = network.push(&opening, parts);
    let waiting = network.opening(&to.id, &from.id, at(1), &mut random);
    let waiting = network.push(&waiting.0, waiting.1);
    story.push((at(1), vec![push.clone(), push.clone(), waiting]));

    let received = digests_released(&opening.parts, Release::AtOnce);
    story.push((at(2), vec![network.handover(&to, &[(digest(&push), received)])]));

    let mut previous = None;
    for (hours, act) in (3..).zip([Act::See, Act::Accept, Act::Start, Act::Complete]) {
        let of = ActOf { referral: &opening.referral, attempt: 1, from: &to.id, to: &from.id, previous };
        let (header, parts) = network.act(&of, act, at(hours), &mut random);
        let request = network.push(&header, parts);
        previous = Some((header.sequence, digest(&request)));
        story.push((at(hours), vec![request]));
    }

    let (mut refused, parts) = network.opening(&from.id, &to.id, at(9), &mut random);
    refused.category = proto::ids::Code::parse("other", "category").unwrap();
    story.push((at(9), vec![network.push(&refused, parts)]));

    use wire::{directory_change::Change, subject::Subject};
    let subject = Some(wire::Subject { subject: Some(Subject::Agency("xx.silent".to_owned())) });
    let reason = wire::SuspensionReason::Security.into();
    story.push((
        at(10),
        vec![network.change_by_two(Change::Suspend(wire::Suspend { subject, reason }), at(10))],
    ));
    story
}

/// Makes the fixture in an empty folder, receipts beside it.
pub fn make(folder: &Path) {
    for name in [JOURNAL, "anchor", "evidence", "directory", "receipts"] {
        fs::create_dir_all(folder.join(name)).unwrap();
    }
    let volume = Volume::directory(&folder.join(JOURNAL)).unwrap();
    FileJournal::create(&volume, &LogId::new([0x42; 16]), SegmentBytes::MIN).unwrap();
    let mut network = Network::new();
    let mut writer = open(folder, &network);
    let mut salts = Random::new(42);
    let mut last = BEGINNING;
    for (place, (at, requests)) in story(&mut network).into_iter().enumerate() {
        // The gateway looks at its clock while nothing happens.
        while last.plus_ms(HOUR_MS) < at {
            last = last.plus_ms(HOUR_MS);
            writer.tick(last, &mut || salts.salt()).unwrap();
        }
        let answers = writer.step(at, requests, &mut || salts.salt()).unwrap();
        last = at;
        for (number, receipt) in answers.iter().flat_map(receipts).enumerate() {
            let name = format!("{place:02}-{number}.tlog-proof");
            fs::write(folder.join("receipts").join(name), receipt.to_file()).unwrap();
        }
        if place == 14 {
            let (mark, pieces) = writer.snapshot();
            writer.journal().snapshots().write(mark, pieces).unwrap();
        }
    }
    writer.follow_up(u64::MAX).unwrap();
    drop(writer);
    // After ninety days in which nobody was there, what nobody fetched has expired, and what nobody
    // answered is missed after the grace.
    let mut writer = open(folder, &network);
    for hours in [0, 1] {
        let at = last.plus_ms((90 * 24 + hours) * HOUR_MS);
        writer.tick(at, &mut || salts.salt()).unwrap();
    }
    writer.follow_up(u64::MAX).unwrap();
    let (mark, note) = writer.publish_checkpoints().unwrap().unwrap();
    writer.journal().anchor().write(mark, note.to_string().as_bytes()).unwrap();
}

/// All receipts of an answer.
pub fn receipts(answer: &Answer) -> Vec<Receipt> {
    match answer {
        Answer::Taken { receipts, .. } => receipts.clone(),
        Answer::Refused { receipt, .. } => receipt.iter().map(|receipt| (**receipt).clone()).collect(),
        Answer::Busy(_) | Answer::Nothing => Vec::new(),
    }
}
