//! A network of real programs that is upgraded and taken back while its agencies refer to each other: `upgrade
//! OLD FOLDER`, where `OLD` holds `gateway` and `agent` of an earlier version, and those of this one lie beside this
//! program. Not here: building the earlier version (`tests/upgrade/run`).
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a trial's program: what cannot go on ends, and stdout is how it answers"
)]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant, SystemTime},
};

use certs::{Authority, Identity, Role, UnixTime};
use gateway::place::Place;
use proto::digest::Digest;
use serde_json::Value;
use trials::demo::{Programs, Stage, found};

const FROM: &str = "ae.dfwac";
const TO: &str = "ae-rk.aman";
const OPERATOR: &str = "olga-1";
/// How long something may take to happen.
const PATIENCE: Duration = Duration::from_secs(120);

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    let [old, folder] = arguments.as_slice() else {
        eprintln!("upgrade OLD FOLDER");
        return ExitCode::from(2);
    };
    let in_folder = |folder: &Path| Programs::at(folder.join("gateway"), folder.join("agent"));
    let (old, new) = (in_folder(old), in_folder(std::env::current_exe().unwrap().parent().unwrap()));
    fs::create_dir_all(folder).unwrap();
    let mut trial = Trial::begin(&old, folder);
    trial.goes_through("all of the old version");
    trial.swap_gateway(&new);
    trial.goes_through("a new gateway, old agents");
    trial.swap_agents(&new);
    trial.goes_through("all of the new version");
    // Nothing was written that the old version does not know.
    trial.swap_gateway(&old);
    trial.goes_through("the old gateway again, new agents");
    trial.swap_gateway(&new);
    trial.goes_through("the new gateway again");
    trial.is_not_taken_back(&old);
    trial.swap_gateway(&new);
    trial.goes_through("the new gateway, with what the old one does not know");
    trial.end();
    ExitCode::SUCCESS
}

struct Trial {
    stage: Stage,
    case: String,
    folder: PathBuf,
    backups: usize,
    sent: BTreeSet<String>,
}

impl Trial {
    fn begin(programs: &Programs, folder: &Path) -> Self {
        let mut stage = Stage::open(programs.clone(), Some(folder.join("stage"))).unwrap();
        found(&mut stage).unwrap();
        let mut case: Value = serde_json::from_slice(&fs::read(Stage::prop("case.json")).unwrap()).unwrap();
        case["attachments"] = Value::Array(Vec::new());
        let path = folder.join("case.json");
        fs::write(&path, case.to_string()).unwrap();
        let case = path.to_string_lossy().into_owned();
        Self { stage, case, folder: folder.to_owned(), backups: 0, sent: BTreeSet::new() }
    }

    fn hub(&self) -> String {
        self.stage.path("hub").to_string_lossy().into_owned()
    }

    fn send(&mut self) -> String {
        let stage = &self.stage;
        let sent = until("that it is sent", || stage.agent(FROM, &["send", &self.case]).ok());
        let referral = sent["referral"].as_str().unwrap().to_owned();
        self.sent.insert(referral.clone());
        referral
    }

    /// One more arrives and is answered, and nothing that was sent before is missing or there twice.
    fn goes_through(&mut self, what: &str) {
        let referral = self.send();
        let (stage, sent) = (&self.stage, &self.sent);
        until("that all arrive", || (arrived(stage) == *sent).then_some(()));
        stage.agent(TO, &["see", &referral]).unwrap();
        stage.agent(TO, &["accept", &referral]).unwrap();
        until("that it is answered", || {
            let shown = stage.agent(FROM, &["show", &referral]).ok()?;
            (shown["case"]["status"] == "accepted").then_some(())
        });
        println!("{what}: {} referrals, each there once", self.sent.len());
    }

    /// *Upgrading* of the runbook, to the letter. What is sent meanwhile waits with its agent.
    fn swap_gateway(&mut self, programs: &Programs) {
        self.stage.end_gateway().unwrap();
        self.send();
        self.backups += 1;
        let to = self.folder.join(format!("backup-{}", self.backups)).to_string_lossy().into_owned();
        self.stage.gateway(&["backup", &self.hub(), "--to", &to, "--with-keys"]).unwrap();
        self.stage.take(programs.clone());
        assert_eq!(self.stage.gateway(&["verify", &self.hub()]).unwrap()["right"], true);
        self.stage.start_gateway().unwrap();
    }

    fn swap_agents(&mut self, programs: &Programs) {
        self.stage.take(programs.clone());
        for agency in [FROM, TO] {
            self.stage.restart_agent(agency).unwrap();
        }
    }

    /// What an operator does is new to the old version: it says so, does not start, and changes nothing.
    fn is_not_taken_back(&mut self, old: &Programs) {
        let staff = self.operator();
        let drain = ["drain", "--reason", "upgrade", "--wait", "30", "--as", &staff];
        self.stage.gateway(&drain).unwrap();
        self.stage.end_gateway().unwrap();
        let before = self.journal();
        self.stage.take(old.clone());
        let said = self.stage.gateway(&["verify", &self.hub()]).unwrap_err().to_string();
        assert!(said.contains("is not understood") || said.contains("NotUnderstood"), "{said}");
        let config = self.stage.path("hub/gateway.toml").to_string_lossy().into_owned();
        let said = self.stage.gateway(&["serve", "--config", &config]).unwrap_err().to_string();
        assert!(said.contains("later version"), "{said}");
        assert_eq!(self.journal(), before, "it has changed nothing");
        println!("the old gateway does not start with what it does not know: {}", said.trim());
    }

    fn operator(&self) -> String {
        let hub = self.stage.path("hub");
        let mut authority = Authority::open(&Place::new(&hub, None).authority()).unwrap();
        let identity = Identity::Staff { role: Role::Operator, pseudonym: OPERATOR.parse().unwrap() };
        let folder = self.stage.path(OPERATOR);
        fs::create_dir_all(&folder).unwrap();
        let now = UnixTime::of(SystemTime::now()).unwrap();
        authority.issue_with_key(&identity, now).unwrap().save(&folder.join("tls")).unwrap();
        fs::copy(hub.join("network.toml"), folder.join("network.toml")).unwrap();
        folder.to_string_lossy().into_owned()
    }

    /// Every segment of the journal.
    fn journal(&self) -> Vec<(PathBuf, Digest)> {
        let entries =
            fs::read_dir(self.stage.path("hub/journal")).unwrap().map(|entry| entry.unwrap().path());
        let segments = entries.filter(|path| path.extension().is_some_and(|kind| kind == "seg"));
        let mut read: Vec<_> =
            segments.map(|path| (path.clone(), Digest::of(&fs::read(path).unwrap()))).collect();
        read.sort();
        read
    }

    fn end(mut self) {
        self.stage.end().unwrap();
        assert_eq!(self.stage.gateway(&["verify", &self.hub()]).unwrap()["right"], true);
        println!("upgrade: {} referrals over two upgrades and a way back, none lost", self.sent.len());
    }
}

fn arrived(stage: &Stage) -> BTreeSet<String> {
    let inbox = stage.agent(TO, &["inbox", "--all"]).unwrap();
    let all: Vec<_> =
        inbox.as_array().unwrap().iter().map(|case| case["referral"].as_str().unwrap().to_owned()).collect();
    let once: BTreeSet<_> = all.iter().cloned().collect();
    assert_eq!(once.len(), all.len(), "once");
    once
}

fn until<T>(what: &str, mut happened: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = happened() {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "waited too long: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
