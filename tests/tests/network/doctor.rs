//! The doctor on a whole network: what is good is said to be, what is not is named; and the link goes through an
//! HTTP proxy.
#![allow(clippy::unwrap_used, reason = "a test that does not get what it must has failed")]

use std::{fs, process::Command, sync::atomic::Ordering};

use serde_json::Value;
use trials::{demo::Stage, sandbox::program};

use crate::{
    proxied::proxy,
    staged::{stage, until},
};

const FROM: &str = "ae.dfwac";

/// What the doctor says: its exit code, and the code of each thing that it looked at.
fn doctor(stage: &Stage) -> (i32, Value) {
    let output = Command::new(program("agent"))
        .args(["--json", "--folder"])
        .arg(stage.path(FROM))
        .arg("doctor")
        .output()
        .unwrap();
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap())
}

fn code(found: &Value, check: &str) -> String {
    let all = found.as_array().unwrap();
    let one = all.iter().find(|finding| finding["check"] == check).unwrap();
    one["code"].as_str().unwrap().to_owned()
}

#[test]
fn what_is_good_is_said_to_be_and_the_link_goes_through_a_proxy() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = stage(folder.path());
    let case = Stage::prop("case.json").to_string_lossy().into_owned();
    until("the agreement reaches the agent", || stage.agent(FROM, &["explain", &case]).ok());
    let (exit, found) = doctor(&stage);
    let not_good: Vec<_> =
        found.as_array().unwrap().iter().filter(|finding| finding["outcome"] != "good").collect();
    assert!(exit == 0 && not_good.is_empty(), "{not_good:?}");

    // Nothing gets out but through the proxy: the address in agent.toml is one that only the proxy reaches.
    let (address, made) = proxy(None);
    stage.kill_agent(FROM).unwrap();
    let settings = stage.path(FROM).join("agent.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(&settings, format!("proxy = \"http://{address}\"\n{text}")).unwrap();
    stage.start_agent(FROM).unwrap();
    stage.agent(FROM, &["send", &case, "--wait"]).unwrap();
    assert!(made.load(Ordering::SeqCst) > 0, "it went another way");
    let (exit, found) = doctor(&stage);
    assert_eq!((exit, code(&found, "proxy").as_str()), (0, "GOOD"), "{found}");

    // What is not good is named, and what stands behind it is not looked at.
    stage.kill_gateway().unwrap();
    fs::write(&settings, text).unwrap();
    let (exit, found) = doctor(&stage);
    assert_eq!((exit, code(&found, "connection").as_str()), (1, "TCP_REFUSED"), "{found}");
    assert_eq!(code(&found, "agreements"), "NOT_CHECKED");
    for finding in found.as_array().unwrap() {
        assert!(!finding["text_en"].as_str().unwrap().is_empty(), "{finding}");
        assert!(!finding["text_ar"].as_str().unwrap().is_empty(), "{finding}");
    }
    stage.end().unwrap();
}
