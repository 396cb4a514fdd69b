//! A backup that was restored: whole and right, or there is none; what the agent had sent is pushed again and stands
//! once; and what happened after the backup is named, by the gateway's own evidence, to the last envelope.
#![allow(clippy::unwrap_used, reason = "a test that does not get what it must has failed")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use serde_json::Value;
use trials::{demo::Stage, sandbox::program};

use crate::staged::{stage, until};

const FROM: &str = "ae.dfwac";
const TO: &str = "ae-rk.aman";

fn agent(folder: &Path, arguments: &[&str]) -> (i32, Value, String) {
    let output =
        Command::new(program("agent")).args(["--json", "-C"]).arg(folder).args(arguments).output().unwrap();
    let said = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code().unwrap(), said, String::from_utf8(output.stderr).unwrap())
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}

fn send(stage: &Stage) -> String {
    let case = Stage::prop("case.json").to_string_lossy().into_owned();
    let sent = stage.agent(FROM, &["send", &case, "--wait"]).unwrap();
    sent["referral"].as_str().unwrap().to_owned()
}

fn referrals(stage: &Stage, agency: &str) -> BTreeSet<String> {
    let all = stage.agent(agency, &["inbox", "--sent", "--all"]).unwrap();
    let all: Vec<_> =
        all.as_array().unwrap().iter().map(|case| case["referral"].as_str().unwrap().to_owned()).collect();
    let once: BTreeSet<_> = all.iter().cloned().collect();
    assert_eq!(once.len(), all.len(), "each once");
    once
}

/// What the doctor says of a restored backup: a code, and the referrals that it names.
fn missing(folder: &Path) -> (String, BTreeSet<String>) {
    let (_, found, _) = agent(folder, &["doctor"]);
    let one = found.as_array().unwrap().iter().find(|one| one["check"] == "restored").unwrap().clone();
    assert!(!one["text_en"].as_str().unwrap().is_empty() && !one["text_ar"].as_str().unwrap().is_empty());
    let seen = one["seen"].as_str().unwrap_or_default();
    (one["code"].as_str().unwrap().to_owned(), seen.split(", ").map(str::to_owned).collect())
}

#[test]
fn what_a_backup_does_not_hold_is_named_and_what_it_holds_stands_once() {
    let place = tempfile::tempdir().unwrap();
    let mut stage = stage(place.path());
    let case = Stage::prop("case.json").to_string_lossy().into_owned();
    until("the agreement reaches the agent", || stage.agent(FROM, &["explain", &case]).ok());
    let before = send(&stage);
    until("it arrives", || referrals(&stage, TO).contains(&before).then_some(()));
    let folder = stage.path(FROM);
    let (key, backup) = (place.path().join("backup.key"), place.path().join("backup"));
    let (key_text, backup_text) = (key.to_string_lossy().into_owned(), backup.to_string_lossy().into_owned());

    refused_without_a_key(&folder, &key_text, &backup_text);

    // What waits when the backup is made has been taken by the gateway when it is restored. The agent runs.
    stage.kill_gateway().unwrap();
    let waiting = stage.agent(FROM, &["send", &case]).unwrap()["referral"].as_str().unwrap().to_owned();
    assert_eq!(agent(&folder, &["backup", &backup_text]).0, 0);
    assert!(!backup.with_added_extension("incomplete").exists());
    nothing_in_clear(&backup);

    // After the backup: what waited is taken, one is sent, and one that was sent is accepted.
    stage.start_gateway().unwrap();
    until("what waited arrives", || referrals(&stage, TO).contains(&waiting).then_some(()));
    let after = send(&stage);
    stage.agent(TO, &["accept", &before, "--wait"]).unwrap();
    until("the acceptance arrives", || {
        let shown = stage.agent(FROM, &["show", &before]).unwrap();
        (shown["case"]["status"] == "accepted").then_some(())
    });
    stage.kill_agent(FROM).unwrap();

    let restored = place.path().join("restored");
    restore(&restored, &backup, &key);

    // In the place of the one that was lost.
    fs::rename(&folder, place.path().join("lost")).unwrap();
    fs::rename(&restored, &folder).unwrap();
    stage.start_agent(FROM).unwrap();
    let named = until("what is missing is named", || {
        let (code, named) = missing(&folder);
        (code == "RESTORED_AND_MISSING" && named.len() == 2).then_some(named)
    });
    assert_eq!(named, [before.clone(), after.clone()].into_iter().collect());
    until("what waited in the backup is answered with the receipt that there is", || {
        let shown = stage.agent(FROM, &["show", &waiting]).unwrap();
        (shown["steps"][0]["standing"] == "taken").then_some(())
    });
    assert_eq!(referrals(&stage, TO), [before, waiting, after].into_iter().collect(), "nothing twice");
    // It works: a new one goes out.
    let new = send(&stage);
    until("a new one arrives", || referrals(&stage, TO).contains(&new).then_some(()));
    stage.end().unwrap();
}

fn refused_without_a_key(folder: &Path, key: &str, backup: &str) {
    let (code, _, said) = agent(folder, &["backup", backup]);
    assert!(code == 2 && said.contains("backup-key") && !Path::new(backup).exists(), "{said}");
    assert_eq!(agent(folder, &["backup-key", key]).0, 0);
}

/// While one backup after the other is made, referrals come and go; the last one is as good as one of an agent that
/// stood still: whatever it does not hold is named, and what it holds stands once.
#[test]
fn a_backup_of_an_agent_that_works_holds_all_that_was_answered_before_it() {
    let place = tempfile::tempdir().unwrap();
    let mut stage = stage(place.path());
    let case = Stage::prop("case.json").to_string_lossy().into_owned();
    let back = stage.case_to(FROM).unwrap();
    until("the agreement reaches both", || {
        stage.agent(FROM, &["explain", &case]).and_then(|_| stage.agent(TO, &["explain", &back])).ok()
    });
    let (folder, key) = (stage.path(FROM), place.path().join("backup.key"));
    assert_eq!(agent(&folder, &["backup-key", &key.to_string_lossy()]).0, 0);
    let goes_on = AtomicBool::new(true);
    let sends = |agency: &str, case: &str| {
        let mut sent = BTreeSet::new();
        while goes_on.load(Ordering::Relaxed) {
            let said = stage.agent(agency, &["send", case]).unwrap();
            sent.insert(said["referral"].as_str().unwrap().to_owned());
        }
        sent
    };
    let (before, sent, came) = thread::scope(|scope| {
        let (sending, coming) = (scope.spawn(|| sends(FROM, &case)), scope.spawn(|| sends(TO, &back)));
        let mut before = BTreeSet::new();
        for number in 0..5 {
            before = referrals(&stage, FROM);
            let out = place.path().join(format!("backup-{number}"));
            let (code, _, said) = agent(&folder, &["backup", &out.to_string_lossy()]);
            assert_eq!(code, 0, "{said}");
        }
        goes_on.store(false, Ordering::Relaxed);
        (before, sending.join().unwrap(), coming.join().unwrap())
    });
    assert!(!before.is_empty());
    let all: BTreeSet<_> = sent.union(&came).cloned().collect();
    until("everything is there", || {
        (referrals(&stage, TO) == all && referrals(&stage, FROM) == all).then_some(())
    });
    until("everything is answered", || {
        let waiting = |agency| stage.agent(agency, &["status"]).unwrap()["waiting"] == 0;
        (waiting(FROM) && waiting(TO)).then_some(())
    });
    stage.kill_agent(FROM).unwrap();
    let restored = place.path().join("restored");
    let backup = place.path().join("backup-4");
    let (code, _, said) =
        agent(&restored, &["restore", &backup.to_string_lossy(), "--key", &key.to_string_lossy()]);
    assert_eq!(code, 0, "{said}");
    fs::rename(&folder, place.path().join("lost")).unwrap();
    fs::rename(&restored, &folder).unwrap();
    stage.start_agent(FROM).unwrap();
    let here = until("all that was there before it, and all else is named", || {
        let here = referrals(&stage, FROM);
        assert!(before.is_subset(&here), "{:?}", before.difference(&here));
        let (code, named) = missing(&folder);
        let named = if code == "RESTORED_AND_MISSING" { named } else { BTreeSet::new() };
        (here.union(&named).cloned().collect::<BTreeSet<_>>() == all).then_some(here)
    });
    until("what waited is answered", || {
        (stage.agent(FROM, &["status"]).unwrap()["waiting"] == 0).then_some(())
    });
    for referral in here.intersection(&sent) {
        let shown = stage.agent(FROM, &["show", referral]).unwrap();
        assert_eq!(shown["steps"][0]["standing"], "taken", "{shown}");
    }
    let new = send(&stage);
    until("a new one arrives", || referrals(&stage, TO).contains(&new).then_some(()));
    assert_eq!(referrals(&stage, TO).len(), all.len() + 1, "nothing twice");
    let hub = stage.path("hub").to_string_lossy().into_owned();
    stage.end().unwrap();
    assert_eq!(stage.gateway(&["verify", &hub]).unwrap()["right"], true);
}

fn nothing_in_clear(backup: &Path) {
    let planted = "مأوى آمن".as_bytes();
    for file in files(backup) {
        let bytes = fs::read(&file).unwrap();
        assert!(!bytes.windows(planted.len()).any(|window| window == planted), "in clear");
        assert!(!bytes.windows(11).any(|window| window == b"SIGNING-KEY"), "a key in clear");
    }
}

/// The wrong key, and a backup that was changed, restore nothing; the right one does.
fn restore(restored: &Path, backup: &Path, key: &Path) {
    let other = key.with_extension("other");
    assert_eq!(
        agent(&key.with_file_name("stage").join(FROM), &["backup-key", &other.to_string_lossy()]).0,
        0
    );
    let from = |key: &Path| {
        let (key, backup) = (key.to_string_lossy().into_owned(), backup.to_string_lossy().into_owned());
        agent(restored, &["restore", &backup, "--key", &key]).0
    };
    assert_eq!(from(&other), 1);
    let part = backup.join("00000002.age");
    let whole = fs::read(&part).unwrap();
    let mut changed = whole.clone();
    *changed.last_mut().unwrap() ^= 1;
    fs::write(&part, changed).unwrap();
    assert_eq!((from(key), restored.exists()), (1, false));
    fs::write(&part, whole).unwrap();
    assert_eq!(from(key), 0);
    assert_eq!(missing(restored).0, "RESTORED", "nothing is known before it has connected");
}
