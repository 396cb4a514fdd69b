//! The journals that releases wrote, kept as files: later ones must read them, and this one must still
//! write the last of them byte for byte.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, and tells what it saw")]

use std::{
    collections::BTreeMap,
    env, fs,
    path::{Path, PathBuf},
};

use gateway::{
    history::{Log, outline, parse},
    verify::{Folders, Verifiers, verify},
};
use proto::{
    batch::Batch,
    evidence::Event,
    fact::Fact,
    ids::EnvelopeKey,
    outline::{Mention, Outline},
    receipt::Receipt,
};
use trials::{
    fixture::{make, open, receipts, story},
    network::Network,
    random::Random,
};

/// Every journal that was kept, the oldest first: before there were clocks, with them, and with what a
/// referral remembers of its status and of clocks that it missed.
const KEPT: [&str; 4] = ["version-1", "version-1-clocks", "version-1-since", "version-1-heads"];

fn committed(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden").join(version)
}

/// Every file of a folder and its bytes, without locks.
fn files(folder: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let mut found = BTreeMap::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().is_some_and(|name| name != "lock") {
                let name = path.strip_prefix(folder).unwrap().to_owned();
                found.insert(name, fs::read(&path).unwrap());
            }
        }
    }
    found
}

fn copy(version: &str, to: &Path) {
    for (name, bytes) in files(&committed(version)) {
        let path = to.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
}

/// What a batch is about, seen in the whole of it.
fn outline_of(batch: &Batch) -> Outline {
    let mut mentions = Vec::new();
    for (entry, of) in (0..).zip(&batch.entries) {
        for record in of.facts.iter().filter_map(Fact::record) {
            let what = &record.what;
            let accepted = (what.event == Event::SubmissionAcceptance).then(|| {
                let from = what.sender.clone().unwrap();
                (EnvelopeKey { id: what.envelope_id.unwrap(), from }, what.envelope.unwrap())
            });
            let parties = record.place.links.iter().map(|link| (link.party.clone(), link.count));
            mentions.push(Mention {
                entry,
                index: record.place.index,
                accepted,
                referral: what.referral.clone(),
                parties: parties.collect(),
            });
        }
    }
    Outline { root: batch.evidence.as_ref().map(|evidence| evidence.root), mentions }
}

/// `TRIAL_MAKE_FIXTURE=<folder>` makes it for a new version of the formats; never for an old one.
#[test]
fn the_same_story_gives_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path());
    if let Ok(into) = env::var("TRIAL_MAKE_FIXTURE") {
        make(Path::new(&into));
    }
    let (made, committed) = (files(folder.path()), files(&committed(KEPT[KEPT.len() - 1])));
    assert_eq!(made.keys().collect::<Vec<_>>(), committed.keys().collect::<Vec<_>>());
    for (name, bytes) in &made {
        assert!(committed[name] == *bytes, "{} differs", name.display());
    }
    assert!(made.len() > 30, "the fixture is not empty");
}

#[test]
fn it_opens_is_right_and_gives_every_receipt_again() {
    for (version, with_snapshot) in KEPT.into_iter().flat_map(|one| [(one, true), (one, false)]) {
        let folder = tempfile::tempdir().unwrap();
        copy(version, folder.path());
        if !with_snapshot {
            for name in
                files(folder.path()).keys().filter(|name| name.to_string_lossy().contains("snapshot-"))
            {
                fs::remove_file(folder.path().join(name)).unwrap();
            }
        }
        let mut network = Network::new();
        let mut writer = open(folder.path(), &network);
        let published = (writer.tiles(Log::Evidence).files(), writer.tiles(Log::Directory).files());
        let folders = Folders { evidence: published.0, directory: published.1 };
        let verifiers = Verifiers::from(&network.keys);
        let verified = verify(writer.history().reader(), &verifiers, Some(&folders), |_| {}).unwrap();
        assert_eq!(verified.evidence, writer.state().evidence().size());

        for number in 0..writer.history().batches() {
            let read = writer.history().reader().read_number(journal::BatchNo::new(number)).unwrap();
            let (outline, whole) = (outline(&read).unwrap(), parse(&read).unwrap());
            assert_eq!(outline, outline_of(&whole), "batch {number} is about something else");
            assert!(!outline.mentions.is_empty());
        }

        let mut salts = Random::new(1);
        let now = writer.state().now();
        let mut again = 0;
        for (place, (_, requests)) in story(&mut network).into_iter().enumerate() {
            // What was refused, and what is only true for a while, gets another answer today.
            let taken = requests.into_iter().filter(|request| request.command.header().is_some());
            for (number, request) in taken.enumerate() {
                let answers = writer.step(now, vec![request], &mut || salts.salt()).unwrap();
                let Some(receipt) = receipts(&answers[0]).into_iter().next() else { continue };
                let name = committed(version).join(format!("receipts/{place:02}-{}.tlog-proof", 2 * number));
                if let Ok(text) = fs::read_to_string(name)
                    && receipt.record().place.index < verified.evidence
                {
                    assert_eq!(receipt.to_file(), text);
                    Receipt::parse_file(&text).unwrap().verify(&network.policy()).unwrap();
                    again += 1;
                }
            }
        }
        assert!(again >= 6, "{version}: {again} receipts were given again");
    }
}
