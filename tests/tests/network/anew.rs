//! What the directory has overtaken is sealed anew by the agent itself: for whom the mechanism of today
//! finds, and for a recipient who has lost the key. Real programs over real TLS.
#![allow(clippy::unwrap_used, reason = "a test that does not get what it must has failed")]

use std::fs;

use proto::key::KeyId;
use seal::SealingKey;
use serde_json::{Value, json};
use trials::demo::Stage;

use crate::staged::{stage, until};

const FROM: &str = "ae.dfwac";
const TO: &str = "ae-rk.aman";
const SILENT: &str = "xx.example-silent";

/// The example's case, changed; its files beside it.
fn document(stage: &Stage, change: impl FnOnce(&mut Value)) -> String {
    let mut document: Value = serde_json::from_slice(&fs::read(Stage::prop("case.json")).unwrap()).unwrap();
    change(&mut document);
    for attached in document["attachments"].as_array().unwrap() {
        let name = attached["file"].as_str().unwrap();
        fs::copy(Stage::prop(name), stage.path(name)).unwrap();
    }
    let path = stage.path("case.json");
    fs::write(&path, document.to_string()).unwrap();
    path.to_string_lossy().into_owned()
}

fn show(stage: &Stage, agency: &str, referral: &str) -> Option<Value> {
    stage.agent(agency, &["show", referral]).ok()
}

/// Signed by both administrators, as the demo's own.
fn new_mechanism(stage: &Stage, text: &str) {
    let (draft, object) = (stage.path("mechanism-2.toml"), stage.path("mechanism-2.json"));
    fs::write(&draft, text).unwrap();
    let (draft, object) = (draft.to_string_lossy(), object.to_string_lossy());
    let administrators = ["blue-1", "green-2"].map(|name| stage.path(&format!("hub/administrators/{name}")));
    stage.gateway(&["admin", "mechanism", &draft, "--out", &object]).unwrap();
    for administrator in &administrators {
        stage.gateway(&["admin", "sign", &object, "--as", &administrator.to_string_lossy()]).unwrap();
    }
    stage.gateway(&["admin", "submit", &object, "--as", &administrators[0].to_string_lossy()]).unwrap();
}

#[test]
fn a_need_goes_to_whom_the_mechanism_of_today_finds() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = stage(folder.path());
    let document = document(&stage, |document| {
        document["to"] = "by_need".into();
        document["consent"]["agencies"] = json!([SILENT, TO]);
    });
    until("the mechanism reaches the agent", || stage.agent(FROM, &["explain", &document]).ok());
    stage.kill_gateway().unwrap();
    let sent = stage.agent(FROM, &["send", &document]).unwrap();
    let referral = sent["referral"].as_str().unwrap().to_owned();
    let note = stage.agent(FROM, &["note", &referral, "--note", "one more thing"]).unwrap();
    assert_eq!(show(&stage, FROM, &referral).unwrap()["case"]["other"], SILENT);
    stage.kill_agent(FROM).unwrap();
    stage.start_gateway().unwrap();
    new_mechanism(
        &stage,
        "revision = 2\n[[rules]]\nid = \"shelter\"\nservices = [\"shelter\"]\njurisdictions = [\"AE\"]\n\
         recipients = [\"ae-rk.aman\"]\n",
    );
    stage.start_agent(FROM).unwrap();
    let shown = until("it arrives where the mechanism of today leads", || {
        show(&stage, TO, &referral)
            .filter(|shown| shown["steps"].as_array().is_some_and(|steps| steps.len() == 2))
    });
    assert!(shown.to_string().contains("مأوى آمن"), "{shown}");
    let shown = show(&stage, FROM, &referral).unwrap();
    assert_eq!(shown["case"]["other"], TO);
    let steps = shown["steps"].as_array().unwrap();
    let standings: Vec<_> = steps.iter().map(|step| step["standing"].as_str().unwrap()).collect();
    assert_eq!(standings, ["refused", "withdrawn", "taken", "taken"]);
    assert_eq!(steps[0]["refusal"]["code"], "MECHANISM_CHANGED");
    assert_eq!(steps[0]["sealed_anew_in"], steps[2]["envelope"]);
    assert_eq!(steps[1]["envelope"], note["envelope"]);
    assert_eq!(steps[1]["sealed_anew_in"], steps[3]["envelope"]);
    stage.close().unwrap();
}

/// Whoever has no room says so; a need that was on its way there goes to the next, and later ones at once.
#[test]
fn a_need_goes_past_whoever_has_no_room() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = stage(folder.path());
    let document = document(&stage, |document| {
        document["to"] = "by_need".into();
        document["consent"]["agencies"] = json!([SILENT, TO]);
    });
    let explained = |stage: &Stage, code: Option<&str>| {
        until("it is explained", || {
            let explained = stage.agent(FROM, &["explain", &document]).ok()?;
            let of_first = explained.as_array()?.iter().find(|one| one["agency"] == SILENT)?;
            (of_first["code"].as_str() == code).then_some(())
        });
    };
    stage.start_agent(SILENT).unwrap();
    explained(&stage, None);
    stage.kill_gateway().unwrap();
    assert!(stage.agent(SILENT, &["capacity", "shelter", "none"]).is_err(), "nobody would know of it");
    let sent = stage.agent(FROM, &["send", &document]).unwrap();
    let referral = sent["referral"].as_str().unwrap().to_owned();
    stage.kill_agent(FROM).unwrap();
    stage.start_gateway().unwrap();
    let said = until("it is published", || stage.agent(SILENT, &["capacity", "shelter", "none"]).ok());
    assert_eq!(said["offers"][0]["capacity"], "none");
    // One right behind the other: neither takes the other's place.
    stage.agent(SILENT, &["capacity", "legal", "waitlist"]).unwrap();
    let both = stage.agent(SILENT, &["capacity"]).unwrap();
    assert_eq!(both["offers"].as_array().unwrap().len(), 2, "{both}");
    stage.start_agent(FROM).unwrap();
    until("it arrives at the next", || show(&stage, TO, &referral));
    let shown = show(&stage, FROM, &referral).unwrap();
    let first = &shown["steps"][0];
    assert_eq!(
        (&first["standing"], &first["refusal"]["code"]),
        (&json!("refused"), &json!("RECIPIENT_FULL"))
    );
    assert!(first["refusal"]["text_ar"].as_str().unwrap().contains("لا متسع"));
    explained(&stage, Some("RECIPIENT_FULL"));
    let sent = stage.agent(FROM, &["send", &document, "--wait"]).unwrap();
    assert_eq!(show(&stage, FROM, sent["referral"].as_str().unwrap()).unwrap()["case"]["other"], TO);
    // Room again.
    stage.agent(SILENT, &["capacity", "shelter", "--withdraw"]).unwrap();
    explained(&stage, None);
    stage.close().unwrap();
}

/// The recipient's machine is lost with its sealing key; what waits, and later the identity, is sealed
/// anew for the key that it publishes then.
#[test]
fn a_recipient_who_has_lost_the_key_gets_it_sealed_anew() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = stage(folder.path());
    let document = document(&stage, |_| {});
    until("the agreement reaches the agent", || stage.agent(FROM, &["explain", &document]).ok());
    stage.kill_agent(TO).unwrap();
    let sent = stage.agent(FROM, &["send", &document, "--wait"]).unwrap();
    let referral = sent["referral"].as_str().unwrap().to_owned();
    let keys = stage.path(TO).join("keys/sealing.key");
    let lost = SealingKey::parse(fs::read_to_string(&keys).unwrap().trim_end()).unwrap();
    let lost = KeyId::of(lost.recipient().as_bytes()).to_string();
    let administrator = stage.path("hub/administrators/blue-1");
    let revoke = ["admin", "revoke-key", TO, &lost, "--reason", "lost", "--as"];
    stage.gateway(&[&revoke[..], &[&administrator.to_string_lossy()]].concat()).unwrap();
    fs::write(&keys, SealingKey::generate().unwrap().to_text().as_bytes()).unwrap();
    stage.start_agent(TO).unwrap();
    let reads = |words: &str| {
        until("it is read", || show(&stage, TO, &referral).filter(|shown| shown.to_string().contains(words)))
    };
    let shown = reads("مأوى آمن");
    assert!(!shown.to_string().contains("ماريسول"), "who she is waits for the acceptance");
    let status = |status: &str| {
        until("its status", || {
            show(&stage, FROM, &referral).filter(|shown| shown["case"]["status"] == status)
        })
    };
    status("delivered");
    stage.agent(TO, &["accept", &referral, "--wait"]).unwrap();
    reads("ماريسول");
    let shown = status("accepted");
    let steps = shown["steps"].as_array().unwrap();
    let anew: Vec<_> = steps.iter().filter(|step| step["act"] == "reseal").collect();
    assert_eq!(anew.len(), 2, "the summary, and then who she is: {shown}");
    assert!(anew.iter().all(|step| step["standing"] == "taken"), "{shown}");
    stage.close().unwrap();
}
