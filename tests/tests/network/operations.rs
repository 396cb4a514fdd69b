//! Operations: people are told by hook and mail of what is wrong, once, also over a restart, and that it is
//! over; whoever watches from outside hears the heartbeat; and every metric that a rule or a panel names is
//! there. Not here: what counts as bad (`proto::alert`).
#![allow(clippy::unwrap_used, reason = "a test that does not get what it must has failed")]

use std::{
    collections::BTreeSet,
    fs,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::Command,
    time::SystemTime,
};

use certs::{Credential, Key, Lifetime, Role, UnixTime};
use gateway::service::stubs::push_client::PushClient;
use proto::{
    alert::Code,
    header::Header,
    ids::{AgencyId, Urgency},
    lifecycle::Act,
    refusal::Refusal,
    wire,
};
use serde_json::Value;
use tempfile::TempDir;
use trials::{
    network::{ActOf, Network},
    peer::{Bearer, browse},
    post::{Post, Speaks},
    random::Random,
    sandbox::{Sandbox, agency_identity, program},
    speak::{Deliveries, envelope, failure, handover, now, receipt_of, refusal_in, until},
};

/// The gateway's program with `--json`: what it printed, or what it complained of.
pub(crate) fn run(arguments: &[&str]) -> Result<Value, String> {
    let output = Command::new(program("gateway")).arg("--json").args(arguments).output().unwrap();
    if output.status.success() {
        return Ok(serde_json::from_slice(&output.stdout).unwrap());
    }
    Err(String::from_utf8(output.stderr).unwrap())
}

/// A network with staff, whose gateway tells a hook and a mail server; and who watches it.
pub(crate) struct Scene {
    pub(crate) sandbox: Sandbox,
    hook: Post,
    pub(crate) mails: Post,
    watch: Post,
    console: SocketAddr,
    _folder: TempDir,
}

impl Scene {
    fn set() -> Self {
        Self::set_with("")
    }

    /// With other limits of alerts, and mail that does not work.
    fn set_with(limits: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut scene = Self::made(folder, Network::new(), &format!("emergency_minutes = 0\n{limits}"));
        scene.mails.works(false);
        scene.sandbox.start();
        scene
    }

    /// With the limits that alerts have by themselves, and a clock that is moved.
    pub(crate) fn of_days() -> Self {
        let mut scene = Self::made(tempfile::tempdir().unwrap(), Network::of_tests(), "");
        scene.sandbox.start_with_clock();
        scene
    }

    /// As [`Self::of_days`], in a folder of a disk of which so much is kept free.
    pub(crate) fn of_days_keeping(folder: TempDir, reserve_mib: u64) -> Self {
        let mut scene = Self::made(folder, Network::of_tests(), "");
        let config = scene.sandbox.place().config();
        let text = fs::read_to_string(&config).unwrap();
        let lines = text.lines().map(|line| match line.split_once(" = ") {
            Some(("reserve_mib", _)) => format!("reserve_mib = {reserve_mib}\n"),
            Some(_) | None => format!("{line}\n"),
        });
        fs::write(&config, lines.collect::<String>()).unwrap();
        scene.sandbox.start_with_clock();
        scene
    }

    fn made(folder: TempDir, network: Network, limits: &str) -> Self {
        let sandbox = Sandbox::make(folder.path(), network);
        let console = sandbox.open_console();
        sandbox.staff(Role::Operator, "operator-1");
        sandbox.staff(Role::Auditor, "auditor-1");
        let tls = sandbox.place().tls_folder();
        let hook = Post::open(Speaks::Http, &tls, None);
        let watch = Post::open(Speaks::Https, &tls, None);
        let mails = Post::open(Speaks::Smtps, &tls, None);
        let [hook_port, watch_port, mail_port] = [&hook, &watch, &mails].map(|post| post.address.port());
        let alerts = format!(
            "\n[alerts]\n{limits}[alerts.hook]\nurl = \"http://127.0.0.1:{hook_port}/x?secret=1\"\n\
             [alerts.heartbeat]\nurl = \"https://localhost:{watch_port}/ping\"\nca = \"tls/root.pem\"\n\
             [alerts.mail]\nserver = \"localhost:{mail_port}\"\nsecurity = \"tls\"\nca = \"tls/root.pem\"\n\
             from = \"Gateway <gateway@referral.example>\"\nto = [\"العمليات <night@referral.example>\"]\n"
        );
        let config = sandbox.place().config();
        fs::write(&config, fs::read_to_string(&config).unwrap() + &alerts).unwrap();
        Self { sandbox, hook, mails, watch, console, _folder: folder }
    }

    fn staff(&self, name: &str) -> PathBuf {
        self.sandbox.folder.join("staff").join(name)
    }

    pub(crate) fn alerts(&self, arguments: &[&str]) -> Result<Value, String> {
        let staff = self.staff("operator-1");
        run(&[&["alerts", "--as", staff.to_str().unwrap()], arguments].concat())
    }

    /// What is stuck, for an operator.
    pub(crate) fn stuck(&self) -> Vec<Value> {
        let answer = run(&["stuck", "--all", "--as", self.staff("operator-1").to_str().unwrap()]).unwrap();
        answer["items"].as_array().unwrap().clone()
    }

    /// Waits until something is stuck for a cause.
    pub(crate) async fn is_stuck_with(&self, cause: &str) -> Value {
        until("its cause", || self.stuck().into_iter().find(|item| item["cause"] == cause)).await
    }

    /// Waits until an agency is connected, or is not.
    pub(crate) async fn is_connected(&self, agency: &AgencyId, wanted: bool) {
        until("that an agency comes or goes", || {
            let status = run(&["status", "--as", self.staff("operator-1").to_str().unwrap()]).unwrap();
            let mut agencies = status["agencies"].as_array().unwrap().iter();
            let own = agencies.find(|one| one["agency"] == agency.as_str()).unwrap();
            (own["connected"] == wanted).then_some(())
        })
        .await;
    }

    /// Codes that stand.
    fn standing(&self) -> Vec<String> {
        let answer = self.alerts(&[]).unwrap();
        let alerts = answer["alerts"].as_array().unwrap().iter();
        alerts.map(|alert| alert["code"].as_str().unwrap().to_owned()).collect()
    }

    /// How often the hook was told that an alert of an agency is raised, or over.
    pub(crate) fn told_of(&self, list: &str, code: &str, agency: Option<&AgencyId>) -> usize {
        let agency = agency.map_or("", AgencyId::as_str);
        let told = self.hook.told();
        let messages = told.iter().map(|told| serde_json::from_str::<Value>(told).unwrap());
        let alerts = messages.flat_map(|message| message[list].as_array().unwrap().clone());
        let of = |alert: &Value| alert["code"] == code && alert["agency"].as_str().unwrap_or("") == agency;
        alerts.filter(of).count()
    }

    /// Messages to the hook in which an alert is raised, or over.
    fn told(&self, list: &str, code: &str) -> usize {
        let told = self.hook.told();
        let messages = told.iter().map(|told| serde_json::from_str::<Value>(told).unwrap());
        let names = |message: &Value| message[list].as_array().unwrap().iter().any(|one| one["code"] == code);
        messages.filter(names).count()
    }
}

pub(crate) async fn emergency(sandbox: &Sandbox) -> Header {
    let network = &sandbox.network;
    let (from, to) = (network.at(1), network.at(0));
    let (mut header, parts) = network.opening(&from.id, &to.id, now(), &mut Random::new(31));
    header.urgency = Urgency::Emergency;
    let mut push = PushClient::new(sandbox.connect(from.id.as_str()).await.unwrap());
    receipt_of(push.push_one(envelope(from, &header, &parts)).await.unwrap().into_inner());
    header
}

/// The recipient fetches it, and a person there sees it.
pub(crate) async fn is_seen(sandbox: &Sandbox, header: &Header) {
    let network = &sandbox.network;
    let (from, to) = (network.at(1), network.at(0));
    let channel = sandbox.connect(to.id.as_str()).await.unwrap();
    let mut stream = Deliveries::open(&channel, 4).await;
    let delivered = stream.delivered().await;
    stream.say(wire::deliver_request::Request::Receipt(handover(to, &[delivered]))).await;
    stream.acknowledged().await;
    let of = ActOf { referral: &header.referral, attempt: 1, from: &to.id, to: &from.id, previous: None };
    let (mut said, detail) = network.act(&of, Act::See, now(), &mut Random::new(32));
    said.urgency = header.urgency;
    receipt_of(PushClient::new(channel).push_one(envelope(to, &said, &detail)).await.unwrap().into_inner());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn people_are_told_once_of_what_is_wrong_and_once_that_it_is_over() {
    let mut scene = Scene::set();
    let header = emergency(&scene.sandbox).await;
    let to = scene.sandbox.network.at(0).id.to_string();
    until("the emergency at the hook", || (scene.told("raised", "emergency_unseen") == 1).then_some(()))
        .await;
    until("the mail to fail", || (scene.mails.turned_away() > 0).then_some(())).await;
    let answer = scene.alerts(&[]).unwrap();
    let first = &answer["alerts"][0];
    assert_eq!(
        (first["code"].as_str(), first["severity"].as_str()),
        (Some("emergency_unseen"), Some("critical"))
    );
    assert_eq!(first["agency"].as_str(), Some(to.as_str()));
    assert_eq!(scene.standing(), ["emergency_unseen", "backup_old"]);
    let way = |name: &str| {
        let ways = answer["ways"].as_array().unwrap();
        ways.iter().find(|way| way["way"] == name).unwrap().clone()
    };
    assert!(way("mail")["failing_since_ms"].as_u64().unwrap() > 0 && !way("mail")["why_ar"].is_null());
    assert_eq!(way("hook")["failing_since_ms"], 0);
    scene.mails.works(true);
    until("the mail", || (scene.mails.told().len() == 1).then_some(())).await;
    for (language, text) in
        [("en", "an emergency that nobody has seen"), ("ar", "حالة طارئة لم يطّلع عليها أحد")]
    {
        let config = Bearer::read(&scene.staff("operator-1").join("tls")).config(&scene.sandbox);
        let page = browse(scene.console, config, &format!("/{language}/now")).await.unwrap();
        assert!(page.status == 200 && page.body.contains(text) && page.body.contains("emergency_unseen"));
    }
    let refused = run(&["alerts", "--as", scene.staff("auditor-1").to_str().unwrap()]).unwrap_err();
    assert!(refused.contains("role does not allow"), "{refused}");

    // What a killed gateway had told, the next one does not tell again.
    scene.sandbox.kill();
    scene.sandbox.start();
    is_seen(&scene.sandbox, &header).await;
    until("that it is over", || (scene.told("cleared", "emergency_unseen") == 1).then_some(())).await;
    assert_eq!(scene.told("raised", "emergency_unseen"), 1);
    fs::write(scene.sandbox.place().backup_made(), "").unwrap();
    until("that there is a backup", || scene.standing().is_empty().then_some(())).await;

    // A test says so, and what fails is told to who asks.
    assert!(scene.alerts(&["test"]).is_ok());
    assert!(scene.hook.told().iter().any(|told| told.contains("\"kind\":\"test\"")));
    scene.hook.works(false);
    let said = scene.alerts(&["test"]).unwrap_err();
    assert!(said.contains("503") && !said.contains("secret=1"), "{said}");

    let beat: Value = serde_json::from_str(&scene.watch.told()[0]).unwrap();
    assert_eq!(
        (beat["kind"].as_str(), beat["network"].as_str()),
        (Some("heartbeat"), Some("example.network"))
    );
    let written = fs::read_to_string(scene.sandbox.folder.join("heartbeat.json")).unwrap();
    assert!(serde_json::from_str::<Value>(&written).unwrap()["at_ms"].as_u64().unwrap() > 0);
    every_metric_is_there(scene.sandbox.metrics);
    // Nothing of a case, and no secret, is in what was told, kept or logged.
    let kept = fs::read_to_string(scene.sandbox.folder.join("alerts.json")).unwrap();
    let id = header.envelope_id.to_string();
    for told in
        scene.hook.told().into_iter().chain(scene.mails.told()).chain([kept, scene.sandbox.log_text()])
    {
        assert!(!told.contains(&id) && !told.contains("secret=1"), "{told}");
    }
    assert!(scene.sandbox.terminate());
}

/// A certificate for an agency's machine that ends after so long, in a folder of its own.
pub(crate) fn certify(scene: &Scene, agency: &AgencyId, folder: &str, lifetime_s: u64) {
    let key = Key::generate().unwrap();
    let now = UnixTime::of(SystemTime::now()).unwrap();
    let lifetime = Lifetime::from_seconds(lifetime_s);
    let mut authority = scene.sandbox.authority();
    let chain = authority.issue(&agency_identity(agency), &key.request().unwrap(), lifetime, now).unwrap();
    Credential::new(chain, key).save(&scene.sandbox.folder.join(folder)).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_that_ends_is_told_once_before_and_its_agency_is_called_after() {
    let mut scene = Scene::set();
    let agency = scene.sandbox.network.at(0).id.clone();
    certify(&scene, &agency, "nine-days", 9 * 24 * 60 * 60);
    let soon = scene.sandbox.connect("nine-days").await.unwrap();
    until("the certificate that ends", || (scene.told("raised", "certificate_ending") == 1).then_some(()))
        .await;
    let alerts = scene.alerts(&[]).unwrap()["alerts"].as_array().unwrap().clone();
    let alert = alerts.iter().find(|alert| alert["code"] == "certificate_ending").unwrap();
    assert_eq!(alert["agency"].as_str(), Some(agency.as_str()));
    // Connected with a new one, it is over by itself.
    drop(soon);
    let renewed = scene.sandbox.connect(agency.as_str()).await.unwrap();
    until("that it is over", || (scene.told("cleared", "certificate_ending") == 1).then_some(())).await;
    assert_eq!(scene.told("raised", "certificate_ending"), 1, "told once");
    drop(renewed);

    // One that is over locks its agency out: what waits for it says whom to call, and why.
    certify(&scene, &agency, "seconds", 5);
    let held = scene.sandbox.connect("seconds").await.unwrap();
    let header = emergency(&scene.sandbox).await;
    let staff = scene.staff("operator-1");
    let stuck = || run(&["stuck", "--as", staff.to_str().unwrap()]).unwrap();
    let item = until("that it is cut off", || {
        let items = stuck()["items"].as_array().unwrap().clone();
        items.into_iter().find(|item| item["cause"] == "agent_away")
    })
    .await;
    assert_eq!(
        (item["call"].as_str(), item["referral"].as_str()),
        (Some(agency.as_str()), Some(header.referral.id.to_string().as_str()))
    );
    drop(held);
    is_seen(&scene.sandbox, &header).await;
    until("that nothing is stuck", || stuck()["items"].as_array().unwrap().is_empty().then_some(())).await;
    assert!(scene.sandbox.terminate());
}

/// One agent never signs for what it is given, one was never started, and the clock of one is wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_an_agent_is_told_once_with_its_cause() {
    let mut scene = Scene::set_with("silent_hours = 0\nrefused = 1\n");
    let network = scene.sandbox.network.clone();
    let (from, to, stopped) = (network.at(1), network.at(0), network.at(2).id.clone());
    let silent = |scene: &Scene| scene.told_of("raised", "agency_silent", Some(&stopped));
    until("the agent that was never started", || (silent(&scene) == 1).then_some(())).await;

    // It is given the emergency, and signs for nothing.
    let channel = scene.sandbox.connect(to.id.as_str()).await.unwrap();
    let mut stream = Deliveries::open(&channel, 4).await;
    let header = emergency(&scene.sandbox).await;
    stream.delivered().await;
    let unseen = |scene: &Scene, list| scene.told_of(list, "emergency_unseen", Some(&to.id));
    until("the agent that signs for nothing", || (unseen(&scene, "raised") == 1).then_some(())).await;
    let staff = scene.staff("operator-1");
    let stuck = || run(&["stuck", "--all", "--as", staff.to_str().unwrap()]).unwrap();
    let slow = until("its cause", || {
        let items = stuck()["items"].as_array().unwrap().clone();
        items.into_iter().find(|item| item["cause"] == "agent_slow")
    })
    .await;
    assert_eq!(slow["call"].as_str(), Some(to.id.as_str()));

    // What is dated in the future is refused, and who looks finds by whom.
    let (mut late, parts) = network.opening(&from.id, &to.id, now().plus_ms(3_600_000), &mut Random::new(35));
    late.expires_at = late.created_at.plus_ms(3_600_000);
    let mut push = PushClient::new(scene.sandbox.connect(from.id.as_str()).await.unwrap());
    let refusal = refusal_in(&failure(push.push_one(envelope(from, &late, &parts)).await));
    assert_eq!(refusal.code, Refusal::CreatedInFuture.name());
    let spike = |scene: &Scene| scene.told_of("raised", "refused_spike", None);
    until("what is refused", || (spike(&scene) == 1).then_some(())).await;
    let config = Bearer::read(&scene.staff("auditor-1").join("tls")).config(&scene.sandbox);
    let page = browse(scene.console, config, "/en/audit?sort=denials").await.unwrap();
    assert!(page.body.contains("CREATED_IN_FUTURE") && page.body.contains(from.id.as_str()));

    // It signs, and a person looks: over by itself. Nobody was told anything twice.
    drop(stream);
    is_seen(&scene.sandbox, &header).await;
    until("that it is over", || (unseen(&scene, "cleared") == 1).then_some(())).await;
    assert_eq!((unseen(&scene, "raised"), silent(&scene), spike(&scene)), (1, 1, 1));
    assert!(scene.sandbox.terminate());
}

/// *Moving to another machine* of the runbook: the same folder elsewhere is the same gateway.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_moves_with_its_folder() {
    let folder = tempfile::tempdir().unwrap();
    let here = folder.path().join("hub");
    let there = folder.path().join("elsewhere");
    fs::create_dir(&here).unwrap();
    let mut sandbox = Sandbox::make(&here, Network::new());
    sandbox.start();
    let network = sandbox.network.clone();
    let (from, to) = (network.at(1), network.at(0));
    let (header, parts) = network.opening(&from.id, &to.id, now(), &mut Random::new(33));
    let push = async |sandbox: &Sandbox| {
        let mut push = PushClient::new(sandbox.connect(from.id.as_str()).await.unwrap());
        receipt_of(push.push_one(envelope(from, &header, &parts)).await.unwrap().into_inner())
    };
    let before = push(&sandbox).await;
    assert!(sandbox.terminate());
    assert!(Command::new("cp").arg("-a").args([&here, &there]).status().unwrap().success());
    let verified = run(&["verify", there.to_str().unwrap()]).unwrap();
    assert_eq!(verified["right"], true);
    fs::remove_dir_all(&here).unwrap();
    sandbox.folder.clone_from(&there);
    sandbox.start();
    assert!(push(&sandbox).await == before, "the same receipt of the same envelope");
    is_seen(&sandbox, &header).await;
    assert!(sandbox.terminate());
    assert_eq!(run(&["verify", there.to_str().unwrap()]).unwrap()["right"], true);
}

/// What rules and dashboard name is what the gateway shows.
fn every_metric_is_there(address: SocketAddr) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: hub\r\nConnection: close\r\n\r\n").unwrap();
    let mut shown = String::new();
    stream.read_to_string(&mut shown).unwrap();
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let shown: BTreeSet<_> = shown.lines().filter_map(|line| line.split(|c| !is_name(c)).next()).collect();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway/monitoring");
    for file in ["rules.yaml", "dashboard.json"] {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        let named: BTreeSet<_> =
            text.split(|c| !is_name(c)).filter(|word| word.starts_with("referral_gateway_")).collect();
        assert!(named.len() > 15, "{file} was read");
        for name in named {
            assert!(shown.contains(name), "{file}: {name}");
        }
    }
}

/// The words of a section of the runbook.
fn section(anchor: &str) -> usize {
    let readme =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway/README.md")).unwrap();
    let (_, section) = readme.split_once(&format!("\n#### {anchor}\n")).unwrap();
    section.split("\n#").next().unwrap().split_whitespace().count()
}

#[test]
fn every_rule_for_prometheus_has_its_section_in_the_runbook() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway/monitoring/rules.yaml");
    let rules = fs::read_to_string(rules).unwrap();
    let anchors: Vec<_> = rules
        .lines()
        .filter_map(|line| line.split_once("gateway/README.md#"))
        .map(|(_, anchor)| anchor.trim_end_matches('"'))
        .filter(|anchor| !anchor.starts_with("{{"))
        .collect();
    assert_eq!(anchors.len() + 1, rules.matches("- alert:").count());
    for anchor in anchors {
        assert!(section(anchor) > 20, "{anchor} says too little");
    }
}

#[test]
fn every_code_of_an_alert_has_its_section_in_the_runbook() {
    for code in Code::ALL {
        assert_eq!(code.runbook(), format!("gateway/README.md#{}", code.name()));
        assert!(section(code.name()) > 20, "{code:?} says too little");
    }
}
