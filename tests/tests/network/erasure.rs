//! What an agency has stated to be destroyed is gone from its disk, with real programs: from the store and from the
//! spool, also when the agent is killed just then; what evidence needs stays.
#![allow(clippy::unwrap_used, reason = "a test that does not get what it must has failed")]

use std::{fs, path::Path};

use serde_json::Value;
use trials::{demo::Stage, random::Random};

use crate::staged::{stage, until};

const FROM: &str = "ae.dfwac";
const TO: &str = "ae-rk.aman";
/// Too large for an envelope.
const LARGE_BYTES: usize = 2 * 1024 * 1024;

fn show(stage: &Stage, agency: &str, referral: &str) -> Option<Value> {
    stage.agent(agency, &["show", referral]).ok()
}

/// The files of a folder that end so.
fn ending(folder: &Path, with: &str) -> usize {
    let names = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.ends_with(with)).count()
}

#[test]
fn what_was_stated_to_be_destroyed_is_gone_from_the_disk() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = stage(folder.path());
    let large = folder.path().join("scan.pdf");
    fs::write(&large, Random::new(7).run(LARGE_BYTES)).unwrap();
    let case = Stage::prop("case.json").to_string_lossy().into_owned();
    let large = large.to_string_lossy().into_owned();
    let attached = ["send", &case, "--attach", &large, "--attach-without-identity", "--wait"];
    let sent = until("the agreement reaches the agent", || stage.agent(FROM, &attached).ok());
    let referral = sent["referral"].as_str().unwrap().to_owned();
    let spool = stage.path(TO).join("spool");
    let shown = until("it arrives", || show(&stage, TO, &referral));
    assert!(shown.to_string().contains("مأوى آمن") && ending(&spool, ".in") == 1, "{shown}");
    stage.agent(FROM, &["recall", &referral, "--wait"]).unwrap();
    until("the recall arrives", || {
        let shown = show(&stage, TO, &referral)?;
        shown["case"]["legal_acts"].to_string().contains("confirm-purge").then_some(())
    });
    assert_eq!(ending(&spool, ".in"), 1, "nobody has stated anything yet");
    // Killed at once: what is erased, and when, is its own matter.
    stage.agent(TO, &["confirm-purge", &referral, "--wait"]).unwrap();
    stage.restart_agent(TO).unwrap();
    let erased = until("it is erased", || {
        let gone = ending(&spool, ".in") == 0;
        show(&stage, TO, &referral).filter(|shown| gone && shown["case"]["erased_at_ms"].is_u64())
    });
    assert_eq!(erased["case"]["erased_why"], "purged", "{erased}");
    assert!(!erased.to_string().contains("مأوى آمن"));
    let log = || fs::read_to_string(stage.path("logs").join(format!("{TO}.log"))).unwrap();
    until("all of it is done", || log().contains("contents were erased").then_some(()));
    // What evidence needs stays, also after another start; and the agency that sent it keeps its own.
    stage.restart_agent(TO).unwrap();
    let again = show(&stage, TO, &referral).unwrap();
    assert_eq!(again["case"]["erased_at_ms"], erased["case"]["erased_at_ms"]);
    let receipts = folder.path().join("receipts");
    stage.agent(TO, &["receipt", &referral, "--out", &receipts.to_string_lossy()]).unwrap();
    for file in fs::read_dir(&receipts).unwrap() {
        stage.agent(TO, &["verify", &file.unwrap().path().to_string_lossy()]).unwrap();
    }
    assert!(show(&stage, FROM, &referral).unwrap().to_string().contains("مأوى آمن"));
    stage.end().unwrap();
}
