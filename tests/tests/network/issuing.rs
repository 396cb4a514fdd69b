//! *Rotating certificates* of the runbook, followed to the letter by the programs as they are, while referrals go
//! through the network: the authority's next issuing certificate, and the gateway's own. Not here: agents' certificates
//! at other times (`renewal`).
#![allow(clippy::unwrap_used, reason = "a test that does not get what it must has failed")]

use std::{fs, path::Path, process::Command, time::SystemTime};

use certs::{Authority, Certificate, Identity, Lifetime, Request, UnixTime};
use gateway::peer::tls::certificates;
use serde_json::Value;
use trials::{demo::Stage, sandbox::program, speak::metric};

use crate::staged::{stage, until};

const FROM: &str = "ae.dfwac";
const TO: &str = "ae-rk.aman";
/// A certificate that lasts so long is due at once, and in force until the end of the trial.
const SHORT: Lifetime = Lifetime::from_seconds(120);

/// The `certs` program in the gateway's folder, as the runbook has it.
fn certs(hub: &Path, arguments: &[&str]) {
    let output =
        Command::new(program("certs")).current_dir(hub).args(arguments).arg("--json").output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Sends a case, and waits until it has arrived.
fn goes_through(stage: &Stage, case: &str) {
    let sent = until("that it is sent", || stage.agent(FROM, &["send", case]).ok());
    let referral = sent["referral"].as_str().unwrap().to_owned();
    until("that it arrives", || stage.agent(TO, &["show", &referral]).ok());
}

/// Which of the authority's issuing certificates a chain leads to, the first being 1.
fn issuing_of(hub: &Path, chain: &Path) -> Option<usize> {
    // An agent keeps its key in the same file.
    let chain = certificates(chain).ok()?;
    let issuer = Certificate::read_chain(chain.get(1)?).unwrap().remove(0);
    let authority = Authority::open(&hub.join("authority")).unwrap();
    let place = authority.issuing().position(|issuing| issuing.fingerprint == issuer.fingerprint)?;
    Some(place + 1)
}

fn status(stage: &Stage, agency: &str) -> Value {
    stage.agent(agency, &["status"]).unwrap()
}

fn is_connected(stage: &Stage) -> Option<()> {
    (status(stage, FROM)["connected"] == true).then_some(())
}

/// Stops the agent, and gives it a certificate that it renews as soon as it runs.
fn shorten(stage: &mut Stage, hub: &Path) {
    stage.kill_agent(FROM).unwrap();
    let admission = fs::read(stage.path(FROM).join("admission.json")).unwrap();
    let admission: Value = serde_json::from_slice(&admission).unwrap();
    let request = Request::read(admission["csr"].as_str().unwrap().as_bytes()).unwrap();
    let identity: Identity = format!("agency/{FROM}/node-1").parse().unwrap();
    let mut authority = Authority::open(&hub.join("authority")).unwrap();
    let now = UnixTime::of(SystemTime::now()).unwrap();
    let path = stage.path("short.pem");
    authority.issue(&identity, &request, SHORT, now).unwrap().save(&path).unwrap();
    stage.agent(FROM, &["install", &path.to_string_lossy()]).unwrap();
}

#[test]
fn certificates_are_rotated_while_referrals_go_through() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = stage(folder.path());
    let hub = stage.path("hub");
    let mut document: Value = serde_json::from_slice(&fs::read(Stage::prop("case.json")).unwrap()).unwrap();
    document["attachments"] = Value::Array(Vec::new());
    let case = folder.path().join("case.json").to_string_lossy().into_owned();
    fs::write(&case, document.to_string()).unwrap();
    goes_through(&stage, &case);
    let receiving = status(&stage, TO)["since_ms"].clone();
    let own = hub.join("tls/certificate.pem");

    // The next issuing certificate, at a ceremony.
    fs::rename(hub.join("authority/root"), folder.path().join("root")).unwrap();
    let root = folder.path().join("root").to_string_lossy().into_owned();
    certs(&hub, &["ceremony", "prepare", "authority", "--out", "issuing.csr"]);
    certs(&hub, &["root", "list", &root]);
    certs(&hub, &["root", "sign", &root, "--request", "issuing.csr", "--out", "issuing.pem"]);
    certs(&hub, &["root", "crl", &root, "--out", "root.crl.pem"]);
    shorten(&mut stage, &hub);
    certs(&hub, &["ceremony", "finish", "authority", "root.crl.pem", "issuing.pem"]);
    stage.start_agent(FROM).unwrap();

    // What is renewed is renewed under it, and let in.
    let renewed = stage.path(FROM).join("tls/renewed.pem");
    until("that the agent's is of the new one", || {
        goes_through(&stage, &case);
        (issuing_of(&hub, &renewed) == Some(2)).then_some(())
    });
    stage.restart_agent(FROM).unwrap();
    until("that it is let in", || is_connected(&stage));
    goes_through(&stage, &case);

    // The gateway's own.
    assert_eq!(issuing_of(&hub, &own), Some(1));
    let ends = || metric(stage.metrics, "referral_gateway_certificate_until_seconds");
    let before = ends();
    certs(&hub, &["renew", "authority", "--certificate", "tls/certificate.pem", "--new-key", "tls-next"]);
    for file in ["tls-next/key.pem", "tls-next/certificate.pem"] {
        assert!(Command::new("cp").current_dir(&hub).args([file, "tls/"]).status().unwrap().success());
        goes_through(&stage, &case);
    }
    until("that it is taken up", || (ends() > before).then_some(()));
    assert_eq!(issuing_of(&hub, &own), Some(2));
    stage.restart_agent(FROM).unwrap();
    until("that agents trust it", || is_connected(&stage));
    goes_through(&stage, &case);

    // Whoever was connected before stayed so.
    assert_eq!(status(&stage, TO)["since_ms"], receiving, "no connection was cut");
    stage.end().unwrap();
    assert_eq!(stage.gateway(&["verify", &hub.to_string_lossy()]).unwrap()["right"], true);
}
