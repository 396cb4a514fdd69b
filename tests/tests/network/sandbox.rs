//! The sandbox as whoever builds against it uses it: one command, then sending over the local API, answers as they are
//! told, time that passes, faults, and an end that leaves nothing running. Not here: its parts (`agent::sandbox`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that does not get what it must has failed")]

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use agent::api::{self, agent_client::AgentClient};
use serde_json::{Value, json};
use tonic::{Request, transport::Endpoint};
use trials::sandbox::{free_address, program};

use crate::staged::until;

struct Sandbox {
    process: Child,
    folder: PathBuf,
    card: Value,
}

impl Sandbox {
    fn start(folder: &Path) -> Self {
        let listen = free_address().to_string();
        let mut process = Command::new(program("agent"))
            .args(["--json", "sandbox", "--listen", &listen, "--dir"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let card: Value = serde_json::from_str(&line).unwrap();
        Self { process, folder: folder.to_owned(), card }
    }

    fn gateway(&self) -> String {
        self.card["gateway"].as_str().unwrap().replace("https://localhost", "127.0.0.1")
    }

    /// Ends it as Ctrl-C does.
    fn end(mut self) {
        let gateway = self.gateway();
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        assert!(self.process.wait().unwrap().success());
        assert!(TcpStream::connect(gateway).is_err(), "the gateway has ended with it");
        assert!(!self.folder.join("sandbox.sock").exists());
    }

    fn agent(&self, arguments: &[&str]) -> (i32, Value) {
        let office = self.card["agent"].as_str().unwrap();
        let output = Command::new(program("agent")).args(["--json", "-C", office]).args(arguments).output();
        let output = output.unwrap();
        (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap_or_default())
    }

    fn order(&self, words: &[&str]) -> Value {
        let (code, stands) = self.try_order(words);
        assert_eq!(code, 0, "{words:?}");
        stands
    }

    fn try_order(&self, words: &[&str]) -> (i32, Value) {
        let folder = self.folder.to_str().unwrap();
        self.agent(&[&["sandbox", "--dir", folder], words].concat())
    }

    fn send(&self, urgency: &str, need: &str) -> String {
        let text = fs::read_to_string(self.card["case"].as_str().unwrap()).unwrap();
        let mut case: Value = serde_json::from_str(&text).unwrap();
        case["urgency"] = urgency.into();
        case["summary"]["need"] = need.into();
        let path = self.folder.join("sent.json");
        fs::write(&path, case.to_string()).unwrap();
        let (code, sent) = self.agent(&["send", path.to_str().unwrap()]);
        assert_eq!(code, 0, "{sent}");
        sent["referral"].as_str().unwrap().to_owned()
    }

    fn show(&self, referral: &str) -> Value {
        self.agent(&["show", referral]).1["case"].clone()
    }

    fn becomes(&self, referral: &str, status: &str) {
        until(status, || (self.show(referral)["status"] == status).then_some(()));
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

async fn over_tcp(card: &Value) -> (String, api::StatusAnswer) {
    let address = format!("http://{}", card["address"].as_str().unwrap());
    let channel = Endpoint::from_shared(address).unwrap().connect().await.unwrap();
    let value: tonic::metadata::MetadataValue<_> =
        format!("Bearer {}", card["token"].as_str().unwrap()).parse().unwrap();
    let mut client = AgentClient::with_interceptor(channel, move |mut request: Request<()>| {
        request.metadata_mut().insert("authorization", value.clone());
        Ok(request)
    });
    let document = fs::read(card["case"].as_str().unwrap()).unwrap();
    let request = api::SendRequest { document, idempotency_key: "first".into(), ..Default::default() };
    let answer = client.send(request).await.unwrap().into_inner().answer;
    let Some(api::send_answer::Answer::Queued(queued)) = answer else { panic!("it was not taken") };
    (queued.referral, client.get_status(api::StatusRequest {}).await.unwrap().into_inner())
}

#[test]
fn an_integrator_gets_answers_silence_time_and_faults() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("sandbox");
    let sandbox = Sandbox::start(&root);

    // By the local API over TCP, as it is printed: and the partner answers by itself.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (accepted, status) = runtime.block_on(over_tcp(&sandbox.card));
    assert_eq!((status.agency.as_str(), status.network.as_str()), ("test.office", "sandbox.test"));
    sandbox.becomes(&accepted, "accepted");

    // What a case says for itself counts; then what its agency was told last.
    let declined = sandbox.send("normal", "A bed. [sandbox: decline no_capacity]");
    let waitlisted = sandbox.send("normal", "A bed. [sandbox: waitlist]");
    sandbox.becomes(&waitlisted, "waitlisted");
    sandbox.becomes(&declined, "declined");
    sandbox.order(&["say", "complete"]);
    let completed = sandbox.send("normal", "A bed.");
    sandbox.becomes(&completed, "completed");
    sandbox.order(&["say", "fail", "could_not_contact"]);
    let failed = sandbox.send("normal", "A bed.");
    sandbox.becomes(&failed, "failed");

    // Silence: after three days the one whom she named next has it, and accepts.
    let stands = sandbox.order(&["say", "silent"]);
    assert_eq!(stands["partners"][0], json!({"agency": "test.partner", "running": true, "says": "silent"}));
    let silent = sandbox.send("urgent", "A bed.");
    sandbox.becomes(&silent, "delivered");
    let before = sandbox.order(&["status"])["now_ms"].as_u64().unwrap();
    let after = sandbox.order(&["advance", "80h"])["now_ms"].as_u64().unwrap();
    assert!(after - before >= 80 * 3600 * 1000);
    until("the second is asked", || {
        let case = sandbox.show(&silent);
        (case["attempt"] == 2 && case["other"] == "test.second").then_some(())
    });
    // It was asked, and it answered, before its own time was over too.
    sandbox.becomes(&silent, "accepted");

    // Faults: the gateway is gone, and the line; what was sent meanwhile goes out once.
    sandbox.order(&["say", "accept"]);
    assert_eq!(sandbox.order(&["fault", "gateway", "down"])["gateway"], "down");
    let waiting = sandbox.send("urgent", "A bed.");
    assert_eq!(sandbox.show(&waiting)["status"], "submitted");
    assert_eq!(sandbox.order(&["fault", "gateway", "up"])["gateway"], "up");
    sandbox.becomes(&waiting, "accepted");
    assert_eq!(sandbox.order(&["fault", "line", "down"])["line"], "down");
    let waiting = sandbox.send("urgent", "A bed.");
    until("the agent sees that it is cut", || {
        (sandbox.agent(&["status"]).1["connected"] == false).then_some(())
    });
    assert_eq!(sandbox.order(&["fault", "line", "slow", "5"])["line"], "slow 5");
    sandbox.becomes(&waiting, "accepted");
    sandbox.order(&["fault", "line", "up"]);
    sandbox.order(&["fault", "partner", "down"]);
    let waiting = sandbox.send("urgent", "A bed.");
    until("the gateway has it", || (sandbox.show(&waiting)["waiting"] == 0).then_some(()));
    assert_eq!(sandbox.show(&waiting)["status"], "submitted");
    sandbox.order(&["fault", "partner", "up"]);
    sandbox.becomes(&waiting, "accepted");

    // What is no order changes nothing, and a second one is refused.
    for wrong in [
        &["say", "dance"][..],
        &["say", "decline", "nonsense"],
        &["advance", "2y"],
        &["fault", "moon", "down"],
    ] {
        assert_eq!(sandbox.try_order(wrong).0, 2, "{wrong:?}");
    }
    assert_eq!(sandbox.try_order(&["--listen", "127.0.0.1:1"]).0, 2);

    // It ends whole, and is found again as it was, its time too.
    let (card, ahead) = (sandbox.card.clone(), sandbox.order(&["status"])["ahead_ms"].clone());
    sandbox.end();
    let sandbox = Sandbox::start(&root);
    assert_eq!(sandbox.card, card);
    assert_eq!(sandbox.order(&["status"])["ahead_ms"], ahead);
    assert_eq!(sandbox.show(&accepted)["status"], "accepted");
    let again = sandbox.send("urgent", "A bed.");
    sandbox.becomes(&again, "accepted");
    sandbox.end();
}

#[test]
fn nothing_real_is_touched() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("office");
    fs::create_dir(&root).unwrap();
    fs::write(root.join("agent.toml"), "agency = \"ae.dfwac\"").unwrap();
    let run = |arguments: &[&str]| {
        let output = Command::new(program("agent")).args(arguments).arg("--dir").arg(&root).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    for arguments in [&["sandbox"][..], &["sandbox", "status"], &["sandbox", "advance", "1h"]] {
        let (code, says) = run(arguments);
        assert_eq!(code, 2, "{says}");
        assert!(says.contains("not the folder of a sandbox") && says.contains("بيئة تجريبية"), "{says}");
    }
    assert_eq!(fs::read_dir(&root).unwrap().count(), 1);
    let (code, says) = run(&["sandbox", "--listen", "0.0.0.0:7450"]);
    assert!(code == 2 && says.contains("--listen"), "{says}");

    // A gateway of any other network keeps its clock.
    let hub = folder.path().join("hub");
    let addresses: [String; 3] = std::array::from_fn(|_| free_address().to_string());
    let init = Command::new(program("gateway"))
        .arg("init")
        .arg(&hub)
        .args(["--network", "referral.example", "--host", "localhost", "--listen", &addresses[0]])
        .args(["--enrolment-listen", &addresses[1], "--metrics", &addresses[2], "--segment-mib", "8"])
        .args(["--administrator", "blue-1", "--administrator", "green-2"])
        .output();
    assert!(init.unwrap().status.success());
    let config = hub.join("gateway.toml");
    let moved = Command::new(program("gateway"))
        .args(["serve", "--sandbox", "0", "--config"])
        .arg(&config)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert_eq!(moved.status.code(), Some(1));
    assert!(String::from_utf8(moved.stderr).unwrap().contains("may be a real one"));
}
