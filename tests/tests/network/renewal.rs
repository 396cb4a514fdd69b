//! An agent's certificate is renewed by the agent itself, over a real connection to a real gateway: it goes on
//! delivering when the old one has ended, and says why when it cannot be renewed.
#![allow(clippy::unwrap_used, reason = "a test that does not get what it must has failed")]

use std::{fs, time::SystemTime};

use certs::{Authority, Identity, Lifetime, Request, UnixTime};
use gateway::place::Place;
use serde_json::Value;
use trials::demo::Stage;

use crate::staged::{stage, until};

const FROM: &str = "ae.dfwac";
const TO: &str = "ae-rk.aman";
/// How long a certificate lasts that is to end here.
const SHORT_S: u64 = 12;
/// How long one lasts that is due, and is to be in force until the end of the test.
const LONGER_S: u64 = 90;

fn status(stage: &Stage) -> Value {
    stage.agent(FROM, &["status"]).unwrap()
}

/// Issues a certificate that ends within seconds for the agent's first key, and puts it in place. Gives when
/// it ends.
fn install_a_short_one(stage: &Stage, lifetime_s: u64) -> u64 {
    let admission = fs::read(stage.path(FROM).join("admission.json")).unwrap();
    let admission: Value = serde_json::from_slice(&admission).unwrap();
    let request = Request::read(admission["csr"].as_str().unwrap().as_bytes()).unwrap();
    let identity: Identity = format!("agency/{FROM}/node-1").parse().unwrap();
    let mut authority = Authority::open(&authority(stage)).unwrap();
    let now = UnixTime::of(SystemTime::now()).unwrap();
    let chain = authority.issue(&identity, &request, Lifetime::from_seconds(lifetime_s), now).unwrap();
    let path = stage.path("short.pem");
    chain.save(&path).unwrap();
    let installed = stage.agent(FROM, &["install", &path.to_string_lossy()]).unwrap();
    installed["certificate_ends_at_s"].as_u64().unwrap()
}

fn authority(stage: &Stage) -> std::path::PathBuf {
    Place::new(&stage.path("hub"), None).authority()
}

#[test]
fn an_agent_renews_its_certificate_and_goes_on_when_the_old_one_has_ended() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = stage(folder.path());
    let case = Stage::prop("case.json").to_string_lossy().into_owned();
    until("the agreement reaches the agent", || stage.agent(FROM, &["explain", &case]).ok());
    stage.kill_agent(FROM).unwrap();
    let ends_at_s = install_a_short_one(&stage, SHORT_S);
    stage.start_agent(FROM).unwrap();
    let renewed = until("it is renewed", || {
        Some(status(&stage)).filter(|status| status["renewal"]["renewed_at_ms"].is_u64())
    });
    let day_s = 24 * 60 * 60;
    assert!(renewed["certificate_ends_at_s"].as_u64().unwrap() > ends_at_s + 80 * day_s, "{renewed}");
    assert!(stage.path(FROM).join("tls/renewed.pem").exists());
    // The gateway cuts the connection that the old one made; the next is made with the new one.
    let linked = until("the link is up again after the end", || {
        let up = |status: &Value| {
            status["connected"] == true && status["since_ms"].as_u64().unwrap() > ends_at_s * 1000
        };
        Some(status(&stage)).filter(up)
    });
    assert!(linked["renewal"]["due_at_s"].as_u64().unwrap() > ends_at_s + 50 * day_s, "{linked}");
    let sent = stage.agent(FROM, &["send", &case, "--wait"]).unwrap();
    let referral = sent["referral"].as_str().unwrap().to_owned();
    until("it arrives", || stage.agent(TO, &["show", &referral]).ok());
    // A start uses it too, whatever lies in chain.pem.
    stage.restart_agent(FROM).unwrap();
    until("it connects again", || Some(status(&stage)).filter(|status| status["connected"] == true));
    stage.close().unwrap();
}

#[test]
fn why_it_cannot_be_renewed_is_told_in_both_languages() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = stage(folder.path());
    stage.kill_agent(FROM).unwrap();
    install_a_short_one(&stage, LONGER_S);
    let beside = authority(&stage);
    fs::rename(&beside, stage.path("elsewhere")).unwrap();
    stage.start_agent(FROM).unwrap();
    let fails = |code: &str| {
        until(code, || Some(status(&stage)["renewal"].clone()).filter(|renewal| renewal["code"] == code))
    };
    let renewal = fails("NO_AUTHORITY");
    assert!(renewal["text_en"].as_str().unwrap().contains("administrators"), "{renewal}");
    assert!(renewal["text_ar"].as_str().unwrap().contains("المسؤولين"), "{renewal}");
    assert!(renewal["failing_since_ms"].is_u64() && renewal["renewed_at_ms"].is_null());
    // Once it is there again, it is renewed before the old one ends.
    fs::rename(stage.path("elsewhere"), &beside).unwrap();
    let healed = until("it is renewed", || {
        Some(status(&stage)["renewal"].clone()).filter(|renewal| renewal["renewed_at_ms"].is_u64())
    });
    assert!(healed["failing_since_ms"].is_null() && healed["code"].is_null(), "{healed}");
    let administrator = stage.path("hub/administrators/blue-1");
    let suspend = ["admin", "suspend", FROM, "--reason", "security", "--as"];
    stage.gateway(&[&suspend[..], &[&administrator.to_string_lossy()]].concat()).unwrap();
    stage.kill_agent(FROM).unwrap();
    install_a_short_one(&stage, LONGER_S);
    stage.start_agent(FROM).unwrap();
    until("the refusal of a suspended agency", || {
        Some(status(&stage)["renewal"].clone()).filter(|renewal| renewal["code"] == "SENDER_SUSPENDED")
    });
    stage.close().unwrap();
}
