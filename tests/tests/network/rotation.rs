//! Rotation of an agency's keys by one command, on a real network under traffic: nothing is lost or refused meanwhile,
//! the directory's log shows each new key signed by the one before it, and wherever the agent is killed it goes on.
#![allow(clippy::unwrap_used, reason = "a test that does not get what it must has failed")]

use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use prost::Message as _;
use proto::{
    key::KeyId,
    wire::{self, directory_change::Change, directory_record::What},
};
use serde_json::Value;
use trials::demo::Stage;

use crate::staged::{stage, until};

const FROM: &str = "ae.dfwac";
const TO: &str = "ae-rk.aman";
const KEYS: [&str; 3] = ["signing", "sealing", "witness"];

fn status(stage: &Stage) -> Value {
    stage.agent(TO, &["status"]).unwrap()
}

/// The ids of the keys of the agency, and of its certificate, as they lie in its folder.
fn files(stage: &Stage) -> Vec<Vec<u8>> {
    let folder = stage.path(TO);
    let names = ["keys/signing.key", "keys/sealing.key", "keys/witness.key", "tls/renewed.pem"];
    names.map(|name| fs::read(folder.join(name)).unwrap_or_default()).into()
}

/// Every signed change of the directory's log, and who signed it.
fn changes(stage: &Stage) -> Vec<(wire::DirectoryChange, Vec<String>)> {
    let folder = stage.path("hub/logs/directory/tile/entries");
    let mut bundles = below(&folder);
    // Of one bundle the fullest.
    bundles.sort_by_key(|path| (fs::metadata(path).unwrap().len(), path.clone()));
    let bytes = fs::read(bundles.last().unwrap()).unwrap();
    let (mut rest, mut changes) = (bytes.as_slice(), Vec::new());
    while let Some((length, after)) = rest.split_first_chunk::<2>() {
        let (leaf, after) = after.split_at(u16::from_be_bytes(*length).into());
        rest = after;
        if let Some(What::Change(object)) = wire::DirectoryRecord::decode(leaf).unwrap().what {
            let change = wire::DirectoryChange::decode(object.payload.as_slice()).unwrap();
            changes.push((change, object.signatures.iter().map(|one| one.key_id.clone()).collect()));
        }
    }
    changes
}

fn below(folder: &Path) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] }).collect()
}

/// The log holds the new keys, signed by the former signing key, and takes the former ones back, signed by the new one.
fn check_log(stage: &Stage, turns: &[Value]) {
    let id = |key: &str, which: &str| {
        let turn = turns.iter().find(|turn| turn["key"] == key).unwrap();
        turn[which].as_str().unwrap().to_owned()
    };
    let (new, former) = (id("signing", "new"), id("signing", "former"));
    let all = until("the log shows all of it", || {
        let all = changes(stage);
        let is_last = |(change, _): &(wire::DirectoryChange, Vec<String>)| match &change.change {
            Some(Change::RevokeKey(revoke)) => revoke.key_id == id("sealing", "former"),
            _ => false,
        };
        all.iter().any(is_last).then_some(all)
    });
    for key in KEYS {
        let published = all.iter().find(|(change, _)| match &change.change {
            Some(Change::PublishKey(publish)) => KeyId::of(&publish.public_key).to_string() == id(key, "new"),
            _ => false,
        });
        let signers: BTreeSet<_> = published.unwrap().1.iter().cloned().collect();
        let wanted = if key == "signing" { vec![new.clone(), former.clone()] } else { vec![former.clone()] };
        assert_eq!(signers, wanted.into_iter().collect(), "{key}");
        let revoked = all.iter().find(|(change, _)| match &change.change {
            Some(Change::RevokeKey(revoke)) => revoke.key_id == id(key, "former"),
            _ => false,
        });
        assert_eq!(revoked.unwrap().1, std::slice::from_ref(&new), "{key}");
    }
}

/// Sends one case after the other, from both sides, as long as it is wanted.
fn traffic(stage: &Stage, cases: &[String; 2], goes_on: &AtomicBool) -> [BTreeSet<String>; 2] {
    let mut sent = [BTreeSet::new(), BTreeSet::new()];
    while goes_on.load(Ordering::Relaxed) {
        for ((from, case), sent) in [FROM, TO].into_iter().zip(cases).zip(&mut sent) {
            sent.insert(send(stage, from, case));
        }
    }
    sent
}

fn send(stage: &Stage, from: &str, case: &str) -> String {
    stage.agent(from, &["send", case]).unwrap()["referral"].as_str().unwrap().to_owned()
}

/// A case for each direction, once both can be sent.
fn cases(stage: &Stage) -> [String; 2] {
    let cases = [Stage::prop("case.json").to_string_lossy().into_owned(), stage.case_to(FROM).unwrap()];
    until("the agreement reaches both", || {
        let explain = |agency, case: &str| stage.agent(agency, &["explain", case]).ok();
        explain(FROM, &cases[0]).and_then(|_| explain(TO, &cases[1]))
    });
    cases
}

/// Everything that was sent is taken, arrives, and opens.
fn check_arrived(stage: &Stage, sent: &[BTreeSet<String>; 2]) {
    for ((from, to), sent) in [(FROM, TO), (TO, FROM)].into_iter().zip(sent) {
        for referral in sent {
            until("it arrives and opens", || {
                let shown = stage.agent(to, &["show", referral]).ok()?;
                shown.to_string().contains("مأوى آمن").then_some(())
            });
            until("it is taken", || {
                let shown = stage.agent(from, &["show", referral]).unwrap();
                let mut steps = shown["steps"].as_array().unwrap().iter();
                steps.any(|step| step["standing"] == "taken").then_some(())
            });
        }
    }
    let status = status(stage);
    assert_eq!(status["alarms"].as_array().unwrap().len(), 0, "{status}");
}

#[test]
fn every_key_is_rotated_while_referrals_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = stage(folder.path());
    let cases = cases(&stage);
    // What came before opens afterwards too.
    let before = send(&stage, FROM, &cases[0]);
    until("it arrives", || stage.agent(TO, &["show", &before]).ok());
    let were = files(&stage);
    let goes_on = AtomicBool::new(true);
    let (turned, sent) = thread::scope(|scope| {
        let sending = scope.spawn(|| traffic(&stage, &cases, &goes_on));
        let turned = stage.agent(TO, &["rotate-keys", "--soon", "--wait"]).unwrap();
        goes_on.store(false, Ordering::Relaxed);
        (turned, sending.join().unwrap())
    });
    assert_eq!((&turned["begun"], &turned["done"]), (&true.into(), &true.into()), "{turned}");
    assert!(turned["rotation"]["certificate_left"].is_null(), "{turned}");
    assert!(sent.iter().all(|sent| !sent.is_empty()));
    check_arrived(&stage, &sent);
    assert!(stage.agent(TO, &["show", &before]).unwrap().to_string().contains("مأوى آمن"));
    assert!(files(&stage).iter().zip(&were).all(|(now, was)| now != was), "every key is another");
    assert!(
        !stage.path(TO).join("keys/rotation.json").exists()
            && !stage.path(TO).join("keys/signing.next").exists()
    );
    check_log(&stage, turned["rotation"]["turns"].as_array().unwrap());
    // A restart works with what lies there, and the doctor finds nothing amiss.
    stage.restart_agent(TO).unwrap();
    until("it connects", || (status(&stage)["connected"] == true).then_some(()));
    let found = stage.agent(TO, &["doctor"]).unwrap();
    let bad: Vec<_> = found.as_array().unwrap().iter().filter(|one| one["outcome"] == "bad").collect();
    assert!(bad.is_empty(), "{bad:?}");
    // Another one, of one key; the former sealing key stays published for a week.
    let turned = stage.agent(TO, &["rotate-keys", "--only", "sealing", "--wait"]).unwrap();
    assert_eq!(
        (&turned["done"], &turned["rotation"]["waits_for"]),
        (&false.into(), &"LATER".into()),
        "{turned}"
    );
    let sealing = fs::read_to_string(stage.path(TO).join("keys/sealing.key")).unwrap();
    assert_eq!(sealing.lines().count(), 3, "what came before still opens");
    let again = stage.agent(TO, &["rotate-keys"]).unwrap();
    assert_eq!(again["begun"], false, "one at a time: {again}");
    let hastened = stage.agent(TO, &["rotate-keys", "--soon", "--wait"]).unwrap();
    assert_eq!((&hastened["begun"], &hastened["done"]), (&false.into(), &true.into()), "{hastened}");
    let hub = stage.path("hub").to_string_lossy().into_owned();
    stage.end().unwrap();
    assert_eq!(stage.gateway(&["verify", &hub]).unwrap()["right"], true);
}

#[test]
fn an_agent_that_is_killed_at_any_step_of_a_rotation_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = stage(folder.path());
    let cases = cases(&stage);
    let plan = stage.path(TO).join("keys/rotation.json");
    let step = || -> Option<Value> { serde_json::from_slice(&fs::read(&plan).ok()?).ok() };
    // Nothing can be published: it is written down, and goes on when the gateway is back.
    stage.kill_gateway().unwrap();
    let begun = stage.agent(TO, &["rotate-keys", "--soon"]).unwrap();
    assert_eq!((&begun["begun"], &begun["rotation"]["in_use"]), (&true.into(), &false.into()), "{begun}");
    stage.restart_agent(TO).unwrap();
    assert_eq!(stage.agent(TO, &["rotate-keys"]).unwrap()["begun"], false, "it was begun before");
    let turns = begun["rotation"]["turns"].as_array().unwrap().clone();
    until("it waits for the gateway", || (status(&stage)["rotation"]["waits_for"] == "LINK").then_some(()));
    let mut sent = [BTreeSet::new(), BTreeSet::new()];
    stage.start_gateway().unwrap();
    let mut seen = BTreeSet::new();
    let mut kills = 0;
    while let Some(at) = step() {
        let key = format!("{} {}", at["step"], at["certificate"]);
        if seen.insert(key) {
            stage.kill_agent(TO).unwrap();
            stage.start_agent(TO).unwrap();
            sent[1].insert(send(&stage, TO, &cases[1]));
            kills += 1;
        }
        thread::yield_now();
    }
    assert!(kills >= 2, "{seen:?}");
    sent[0].insert(send(&stage, FROM, &cases[0]));
    check_arrived(&stage, &sent);
    check_log(&stage, &turns);
    stage.close().unwrap();
}

#[test]
fn a_suspended_agency_is_told_and_goes_on_afterwards() {
    let folder = tempfile::tempdir().unwrap();
    let stage = stage(folder.path());
    let cases = cases(&stage);
    let administrators = ["blue-1", "green-2"]
        .map(|name| stage.path("hub/administrators").join(name).to_string_lossy().into_owned());
    stage.gateway(&["admin", "suspend", TO, "--reason", "security", "--as", &administrators[0]]).unwrap();
    let were = files(&stage);
    stage.agent(TO, &["rotate-keys", "--soon"]).unwrap();
    let rotation = until("the refusal", || {
        Some(status(&stage)["rotation"].clone()).filter(|rotation| rotation["code"] == "SENDER_SUSPENDED")
    });
    assert!(rotation["text_en"].as_str().unwrap().ends_with('.'), "{rotation}");
    assert!(rotation["text_ar"].as_str().unwrap().chars().any(|c| c > '\u{600}'), "{rotation}");
    assert_eq!((&rotation["in_use"], files(&stage)), (&false.into(), were), "the former keys are in use");
    let resume = stage.path("resume.json").to_string_lossy().into_owned();
    stage.gateway(&["admin", "resume", TO, "--out", &resume, "--as", &administrators[0]]).unwrap();
    stage.gateway(&["admin", "sign", &resume, "--as", &administrators[1]]).unwrap();
    stage.gateway(&["admin", "submit", &resume, "--as", &administrators[0]]).unwrap();
    until("it is done", || status(&stage)["rotation"].is_null().then_some(()));
    check_arrived(&stage, &[BTreeSet::new(), [send(&stage, TO, &cases[1])].into()]);
    stage.close().unwrap();
}
