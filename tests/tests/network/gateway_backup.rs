//! A backup of a gateway under traffic, and what happens when it is put back, with real programs: nothing is
//! signed before every agency's agent has said what it holds; what was acknowledged after the backup is found
//! out; and a gateway of which nothing is missing goes on. Follows *Backup and restore* of the runbook.
#![allow(clippy::unwrap_used, reason = "a test that does not get what it must has failed")]

use std::{
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
    time::SystemTime,
};

use gateway::config::Config;
use serde_json::Value;
use trials::{demo::Stage, sandbox::program};

use crate::staged::{stage, until};

pub(crate) const FROM: &str = "ae.dfwac";
pub(crate) const TO: &str = "ae-rk.aman";
/// The demo's fifth agency, which runs no agent.
pub(crate) const SILENT: &str = "xx.example-silent";

/// The demo's network, and what an operator does with its hub.
pub(crate) struct Scene {
    pub(crate) stage: Stage,
    pub(crate) folder: tempfile::TempDir,
    case: String,
    metrics: SocketAddr,
}

impl Scene {
    pub(crate) fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stage = stage(folder.path());
        let metrics = Config::read(&stage.path("hub/gateway.toml")).unwrap().metrics.unwrap();
        let case = Stage::prop("case.json").to_string_lossy().into_owned();
        let scene = Self { stage, folder, case, metrics };
        until("the agreement reaches the agent", || scene.stage.agent(FROM, &["explain", &scene.case]).ok());
        scene
    }

    pub(crate) fn at(&self, name: &str) -> String {
        self.folder.path().join(name).to_string_lossy().into_owned()
    }

    pub(crate) fn hub(&self) -> String {
        self.stage.path("hub").to_string_lossy().into_owned()
    }

    /// Sends a case and waits for its receipt; gives the referral.
    pub(crate) fn sends(&self) -> String {
        let sent = self.stage.agent(FROM, &["send", &self.case, "--wait"]).unwrap();
        sent["referral"].as_str().unwrap().to_owned()
    }

    pub(crate) fn arrives(&self, referral: &str) {
        until("it arrives", || self.stage.agent(TO, &["show", referral]).ok());
    }

    pub(crate) fn backup(&self, name: &str, more: &[&str]) -> Value {
        let (hub, to) = (self.hub(), self.at(name));
        self.stage.gateway(&[&["backup", &hub, "--to", &to], more].concat()).unwrap()
    }

    /// The machine is lost, and a backup put in its place.
    pub(crate) fn loses(&mut self, lost: &str, backup: &str, more: &[&str]) {
        self.stage.kill_gateway().unwrap();
        fs::rename(self.hub(), self.at(lost)).unwrap();
        let (hub, backup) = (self.hub(), self.at(backup));
        self.stage.gateway(&[&["restore", &backup, "--to", &hub], more].concat()).unwrap();
        self.stage.start_gateway().unwrap();
    }

    /// What `/ready` says, when it does not say that all is well.
    pub(crate) fn unready(&self) -> Option<String> {
        let mut stream = TcpStream::connect(self.metrics).ok()?;
        stream.write_all(b"GET /ready HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n").unwrap();
        let mut said = String::new();
        stream.read_to_string(&mut said).unwrap();
        (!said.starts_with("HTTP/1.1 200")).then_some(said)
    }

    pub(crate) fn is_linked(&self, agency: &str) -> bool {
        self.stage.agent(agency, &["status"]).is_ok_and(|status| status["connected"] == true)
    }

    pub(crate) fn verifies(&self, hub: &str) -> Value {
        let verified = self.stage.gateway(&["verify", hub]).unwrap();
        assert_eq!(verified["right"], true);
        verified
    }

    /// As the runbook says: the administrators' folders leave the hub.
    pub(crate) fn hand_out_administrators(&self) {
        fs::rename(self.stage.path("hub/administrators"), self.folder.path().join("administrators")).unwrap();
    }

    /// How many records of evidence the anchor tells of.
    pub(crate) fn anchored(&self) -> Option<u64> {
        // Behind 32 bytes of its head stands the checkpoint.
        let anchor = fs::read(self.stage.path("hub/anchor/anchor")).ok()?;
        std::str::from_utf8(anchor.get(32..)?).ok()?.lines().nth(1)?.parse().ok()
    }

    pub(crate) fn administrator(&self, name: &str) -> String {
        self.folder.path().join("administrators").join(name).to_string_lossy().into_owned()
    }

    /// Two administrators let it go on, or one of them tries.
    pub(crate) fn go_on(&self, backup: &Value, file: &str, both: bool) -> anyhow::Result<Value> {
        let sizes =
            ["evidence_records", "directory_records"].map(|of| backup[of].as_u64().unwrap().to_string());
        let (file, blue, green) =
            (self.at(file), self.administrator("blue-1"), self.administrator("green-2"));
        let [evidence, directory] = &sizes;
        let draft = ["admin", "go-on", "--evidence", evidence, "--directory", directory];
        self.stage.gateway(&[&draft[..], &["--out", &file, "--as", &blue]].concat()).unwrap();
        if both {
            self.stage.gateway(&["admin", "sign", &file, "--as", &green]).unwrap();
        }
        self.stage.gateway(&["admin", "submit", &file, "--as", &green])
    }
}

/// Cases are sent one after the other while something else is done.
pub(crate) fn under_traffic<T>(scene: &Scene, work: impl FnOnce(&AtomicU64) -> T) -> T {
    let (ends, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let (folder, case) = (scene.stage.path(FROM), scene.case.clone());
    let sending = thread::spawn({
        let (ends, sent) = (Arc::clone(&ends), Arc::clone(&sent));
        move || {
            while !ends.load(Ordering::Acquire) {
                let mut send = Command::new(program("agent"));
                send.arg("--folder").arg(&folder).args(["send", &case, "--wait"]);
                assert!(send.output().unwrap().status.success());
                sent.fetch_add(1, Ordering::Release);
            }
        }
    });
    let done = work(&sent);
    ends.store(true, Ordering::Release);
    sending.join().unwrap();
    done
}

#[test]
fn a_backup_is_put_back_and_goes_on_only_where_nothing_is_missing() {
    let mut scene = Scene::set();
    // The demo's fifth agency runs no agent; here every witness is to be heard.
    scene.stage.start_agent(SILENT).unwrap();
    scene.hand_out_administrators();
    scene.arrives(&scene.sends());

    // While cases go through it.
    let early = under_traffic(&scene, |sent| {
        until("two cases", || (sent.load(Ordering::Acquire) >= 2).then_some(()));
        let early = scene.backup("early", &[]);
        let now = sent.load(Ordering::Acquire);
        until("two more", || (sent.load(Ordering::Acquire) >= now + 2).then_some(()));
        early
    });
    assert_eq!(early["has_keys"], false);
    assert!(!Path::new(&scene.at("early")).join("keys").exists(), "no key is in it");
    assert!(scene.stage.gateway(&["restore", &scene.at("early"), "--check"]).is_ok());
    let made = fs::metadata(scene.stage.path("hub/backup-made")).unwrap().modified().unwrap();
    assert!(SystemTime::now().duration_since(made).unwrap().as_secs() < 600);
    let last = scene.sends();
    scene.arrives(&last);
    let late = scene.backup("late", &["--with-keys"]);
    assert!(late["evidence_records"].as_u64() > early["evidence_records"].as_u64());

    // The early one is put back: what was acknowledged after it is found out, and nothing is signed.
    let lost = scene.at("lost");
    scene.loses("lost", "early", &["--keys", &lost]);
    let said = until("the agency that holds more", || {
        scene.unready().filter(|said| said.contains("too old") && said.contains(FROM))
    });
    assert!(said.contains(&format!("evidence {}", early["evidence_records"])), "{said}");
    let refused = scene.go_on(&early, "go-on-1.json", true).unwrap_err().to_string();
    assert!(refused.contains("put back from a backup") && refused.contains("أُعيدت البوابة"), "{refused}");
    assert!(!scene.is_linked(FROM));
    scene.stage.kill_gateway().unwrap();
    assert_eq!(scene.verifies(&scene.hub())["batches"], early["batches"], "nothing was added");
    assert_eq!(
        scene.verifies(&lost)["evidence_records"],
        late["evidence_records"],
        "the late one has it all"
    );
    fs::rename(scene.hub(), scene.at("early-hub")).unwrap();

    // The late one: everybody says that nothing is missing, and it goes on by itself.
    let (hub, backup) = (scene.hub(), scene.at("late"));
    scene.stage.gateway(&["restore", &backup, "--to", &hub]).unwrap();
    scene.stage.start_gateway().unwrap();
    until("all agencies to be linked", || (scene.is_linked(FROM) && scene.is_linked(TO)).then_some(()));
    assert!(!Path::new(&hub).join("restored.json").exists());
    scene.arrives(&scene.sends());

    // An agency is away when the next one is put back: it waits, until two administrators stand in for it.
    scene.stage.kill_agent(TO).unwrap();
    let last = scene.backup("last", &["--with-keys"]);
    scene.loses("lost-again", "last", &[]);
    let said = until("the agency that is silent", || {
        scene.unready().filter(|said| said.contains(&format!("not reported yet: {TO}\n")))
    });
    assert!(!said.contains(FROM), "{said}");
    assert!(scene.go_on(&last, "go-on-2.json", false).is_err(), "one is not two");
    scene.go_on(&last, "go-on-3.json", true).unwrap();
    scene.stage.start_agent(TO).unwrap();
    scene.arrives(&scene.sends());
    let log = fs::read_to_string(scene.stage.path("logs").join("gateway.log")).unwrap();
    assert_eq!(log.matches("the restored gateway goes on").count(), 2, "{log}");
    scene.stage.end().unwrap();
    assert!(scene.verifies(&hub)["evidence_records"].as_u64() > last["evidence_records"].as_u64());
}
