//! What operators do, by the programs as they are: held back, released, returned by two; told again; and a
//! gateway that is drained before a planned stop. Not here: the rules of it (`proto`).
#![allow(clippy::unwrap_used, reason = "a test that does not get what it must has failed")]

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::SystemTime,
};

use bytes::Bytes;
use certs::{Authority, Identity, Role, UnixTime};
use gateway::place::Place;
use proto::{
    header::Header,
    ids::ReferralKey,
    operation::Operation,
    refusal::Refusal,
    wire::{self, push_answer::Answer},
    words::Language,
};
use serde_json::{Value, json};
use trials::{
    demo::Stage,
    network::Network,
    peer::{Bearer, Page, browse, post},
    post::{Post, Speaks},
    random::Random,
    sandbox::Sandbox,
    speak::{Pushes, get, handover, is_ready, now, receipt_of, until, waiting},
};

use crate::{operations::run, staged};

const OPERATORS: [&str; 2] = ["olga-1", "omar-2"];

/// A running network with a console, two operators and others.
struct Scene {
    sandbox: Sandbox,
    console: SocketAddr,
    random: Random,
    _folder: tempfile::TempDir,
}

impl Scene {
    fn set() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut sandbox = Sandbox::make(folder.path(), Network::new());
        let console = sandbox.open_console();
        OPERATORS.into_iter().for_each(|name| sandbox.staff(Role::Operator, name));
        sandbox.staff(Role::Administrator, "boss-1");
        sandbox.staff(Role::Auditor, "auditor-1");
        sandbox.start();
        Self { sandbox, console, random: Random::new(41), _folder: folder }
    }

    fn staff(&self, name: &str) -> PathBuf {
        self.sandbox.folder.join("staff").join(name)
    }

    /// A command of the gateway's program as a member of staff.
    fn says(&self, name: &str, arguments: &[&str]) -> Result<Value, String> {
        let staff = self.staff(name);
        run(&[arguments, &["--as", staff.to_str().unwrap()]].concat())
    }

    fn acts(&self, name: &str, act: &str, key: &ReferralKey, reason: &str) -> Result<Value, String> {
        let (id, from) = (key.id.to_string(), key.opened_by.to_string());
        self.says(name, &[act, &id, "--from", &from, "--reason", reason])
    }

    async fn page(&self, name: &str, path: &str) -> Page {
        let config = Bearer::read(&self.staff(name).join("tls")).config(&self.sandbox);
        browse(self.console, config, path).await.unwrap()
    }

    async fn sends(&self, name: &str, path: &str, form: &str, site: &str) -> Page {
        let config = Bearer::read(&self.staff(name).join("tls")).config(&self.sandbox);
        post(self.console, config, path, form, &[("Sec-Fetch-Site", site)]).await.unwrap()
    }

    fn opening(&mut self) -> (Header, wire::Envelope) {
        let network = &self.sandbox.network;
        let (from, to) = (network.at(1), network.at(0));
        let (header, parts): (Header, Vec<Bytes>) =
            network.opening(&from.id, &to.id, now(), &mut self.random);
        let envelope = trials::speak::envelope(from, &header, &parts);
        (header, envelope)
    }

    async fn pushes(&self) -> Pushes {
        let from = self.sandbox.network.at(1).id.to_string();
        Pushes::open(&self.sandbox.connect(&from).await.unwrap()).await.unwrap()
    }

    /// How much is handed out to the recipient.
    async fn offered(&self) -> usize {
        let to = self.sandbox.network.at(0).id.to_string();
        waiting(&self.sandbox.connect(&to).await.unwrap()).await.len()
    }

    fn cause(&self, key: &ReferralKey) -> Option<String> {
        let stuck = self.says(OPERATORS[0], &["stuck", "--all"]).unwrap();
        let items = stuck["items"].as_array().unwrap().clone();
        let one = items.into_iter().find(|item| item["referral"] == key.id.to_string().as_str());
        one.map(|item| item["cause"].as_str().unwrap().to_owned())
    }
}

fn address(key: &ReferralKey, language: &str) -> String {
    format!("/{language}/referral/{}/{}", key.opened_by, key.id)
}

/// The stamp of the forms of a page.
fn stamp(page: &Page) -> String {
    let (_, rest) = page.body.split_once("name=\"stamp\" value=\"").unwrap();
    rest.split('"').next().unwrap().to_owned()
}

/// The first of two releases it on the console; and what is no form of that page does nothing.
async fn released_by_form(scene: &Scene, key: &ReferralKey) {
    let [olga, omar] = OPERATORS;
    // The console has forms for operators, in both languages, and for nobody else.
    for (language, name) in [(Language::English, "en"), (Language::Arabic, "ar")] {
        let page = scene.page(omar, &address(key, name)).await;
        for offered in [Operation::Hold, Operation::Release, Operation::Return] {
            assert!(page.body.contains(offered.text(language)), "{name} {offered:?}");
        }
        assert!(!page.body.contains(Operation::NotifyAgain.text(language)), "it is held back");
        assert!(page.body.contains(olga));
        let others = scene.page("boss-1", &address(key, name)).await;
        assert!(!others.body.contains("<form") && others.status == 200, "administrators look only");
    }
    let page = scene.page(omar, &address(key, "en")).await;
    let path = address(key, "en");
    let form =
        |stamp: &str, act: &str, reason: &str| format!("stamp={stamp}&operation={act}&reason={reason}");
    let stamp_of_omar = stamp(&page);
    let wrong = [
        (form("00", "release", "cleared"), "same-origin", 409),
        (form(&stamp_of_omar, "release", "cleared"), "cross-site", 409),
        (form(&stamp_of_omar, "release", "upgrade"), "same-origin", 400),
        (form(&stamp_of_omar, "open", "cleared"), "same-origin", 400),
        (form(&stamp_of_omar, "release", &"x".repeat(2_000)), "same-origin", 409),
    ];
    for (form, site, status) in wrong {
        let answer = scene.sends(omar, &path, &form, site).await;
        assert_eq!(answer.status, status, "{form} {site}");
    }
    let of_another =
        scene.sends(olga, &path, &form(&stamp_of_omar, "release", "cleared"), "same-origin").await;
    assert_eq!(of_another.status, 409, "another person's form");
    let answer = scene.sends(omar, &path, &form(&stamp_of_omar, "release", "cleared"), "same-origin").await;
    assert_eq!(answer.status, 303);
    assert!(answer.head.contains("?evidence="), "{}", answer.head);
    assert_eq!(scene.offered().await, 0, "one is not enough");
    let page = scene.page(omar, &path).await;
    assert!(page.body.contains(Operation::Release.text(Language::English)) && page.body.contains(omar));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_holds_two_release_two_return() {
    let mut scene = Scene::set();
    let (header, envelope) = scene.opening();
    let key = header.referral.clone();
    let mut pushes = scene.pushes().await;
    receipt_of(pushes.push(envelope).await);
    let [olga, omar] = OPERATORS;

    // Who may not, and what does not fit, changes nothing.
    let refused = scene.acts("boss-1", "hold", &key, "suspected_misuse").unwrap_err();
    assert!(refused.contains(Refusal::RoleNotAllowed.text_en()), "{refused}");
    let refused = scene.acts(olga, "hold", &key, "upgrade").unwrap_err();
    assert!(refused.contains("security_incident"), "the reasons that fit: {refused}");
    assert_eq!(scene.offered().await, 1);

    let held = scene.acts(olga, "hold", &key, "suspected_misuse").unwrap();
    assert_eq!((&held["people"], &held["is_done"]), (&json!(1), &json!(true)));
    assert!(held["second_until_ms"].as_u64().unwrap() > now().0);
    assert_eq!(scene.offered().await, 0);
    until("that it is told as held", || scene.cause(&key).filter(|cause| cause == "held")).await;
    let again = scene.acts(olga, "hold", &key, "suspected_misuse").unwrap_err();
    assert!(again.contains(Refusal::SecondPersonNeeded.text_en()), "{again}");

    released_by_form(&scene, &key).await;
    let released = scene.acts(olga, "release", &key, "cleared").unwrap();
    assert_eq!((&released["people"], &released["is_done"]), (&json!(2), &json!(true)));
    assert_eq!(scene.offered().await, 1);

    // Another is returned: it leaves the mailbox, and its sender may ask anew.
    let (returned, envelope) = scene.opening();
    receipt_of(pushes.push(envelope).await);
    assert_eq!(scene.offered().await, 2);
    let first = scene.acts(omar, "return", &returned.referral, "recipient_unreachable").unwrap();
    assert_eq!(first["is_done"], false);
    scene.sandbox.kill();
    scene.sandbox.start();
    let second = scene.acts(olga, "return", &returned.referral, "recipient_unreachable").unwrap();
    assert_eq!(second["is_done"], true, "the word of the first is kept over a restart");
    assert_eq!(scene.offered().await, 1);
    until("that it is told as returned", || {
        scene.cause(&returned.referral).filter(|cause| cause == "returned")
    })
    .await;
    let gone = scene.acts(omar, "hold", &returned.referral, "suspected_misuse").unwrap_err();
    assert!(gone.contains(Refusal::OperationNotLegal.text_en()), "{gone}");
    let audit = scene.page("auditor-1", "/ar/audit").await;
    assert!(audit.body.contains(Operation::Return.done_text(Language::Arabic)));
    assert!(audit.body.contains("تعذّر الوصول إلى الجهة المستلِمة"));
    assert!(scene.sandbox.terminate());
    let folder = scene.sandbox.folder.to_str().unwrap().to_owned();
    assert_eq!(run(&["verify", &folder]).unwrap()["right"], true);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drained_gateway_takes_nothing_new_and_hands_over_what_it_has() {
    let mut scene = Scene::set();
    let (_, before) = scene.opening();
    let (_, new) = scene.opening();
    let mut pushes = scene.pushes().await;
    let receipt = receipt_of(pushes.push(before.clone()).await);
    let [olga, omar] = OPERATORS;
    assert!(is_ready(scene.sandbox.metrics));

    let drained = scene.says(olga, &["drain", "--reason", "upgrade", "--wait", "1"]).unwrap();
    assert_eq!(drained["under_way"], 0);
    until("that it says so", || (!is_ready(scene.sandbox.metrics)).then_some(())).await;
    assert!(get(scene.sandbox.metrics, "/ready").contains("planned stop"));
    let Some(Answer::Fault(fault)) = pushes.push(new.clone()).await.answer else {
        unreachable!("it takes nothing new")
    };
    assert_eq!(fault.code, "DRAINING");
    assert!(receipt_of(pushes.push(before).await) == receipt, "what was taken has its receipt");
    let page = scene.page(omar, "/en/now").await;
    assert!(page.body.contains(Operation::Undrain.text(Language::English)));
    assert_eq!(scene.says(omar, &["status"]).unwrap()["gateway"]["is_draining"], true);

    // What is under way is finished.
    let to = scene.sandbox.network.at(0).clone();
    let channel = scene.sandbox.connect(to.id.as_str()).await.unwrap();
    let mut stream = trials::speak::Deliveries::open(&channel, 4).await;
    let delivered = stream.delivered().await;
    until("that one is under way", || {
        let status = scene.says(omar, &["status"]).unwrap();
        (status["gateway"]["under_way"] == 1).then_some(())
    })
    .await;
    stream.say(wire::deliver_request::Request::Receipt(handover(&to, &[delivered]))).await;
    stream.acknowledged().await;

    // Lifted by a command from the console; and a restart lifts it, too.
    let form = format!("stamp={}&operation=undrain&reason=work_done", stamp(&page));
    assert_eq!(scene.sends(omar, "/en/now", &form, "same-origin").await.status, 303);
    receipt_of(pushes.push(new).await);
    drop((stream, channel, pushes));
    scene.says(olga, &["drain", "--reason", "maintenance"]).unwrap();
    assert!(scene.sandbox.terminate());
    scene.sandbox.start();
    until("that it is ready", || is_ready(scene.sandbox.metrics).then_some(())).await;
    let (_, newest) = scene.opening();
    receipt_of(scene.pushes().await.push(newest).await);
    assert!(scene.sandbox.terminate());
}

const FROM: &str = "ae.dfwac";
const TO: &str = "ae-rk.aman";

/// Operators of the demo's network.
fn operators(stage: &Stage) {
    let hub = stage.path("hub");
    let mut authority = Authority::open(&Place::new(&hub, None).authority()).unwrap();
    let now = UnixTime::of(SystemTime::now()).unwrap();
    for name in OPERATORS {
        let identity = Identity::Staff { role: Role::Operator, pseudonym: name.parse().unwrap() };
        let folder = stage.path(name);
        fs::create_dir_all(&folder).unwrap();
        authority.issue_with_key(&identity, now).unwrap().save(&folder.join("tls")).unwrap();
        fs::copy(hub.join("network.toml"), folder.join("network.toml")).unwrap();
    }
}

fn acts(stage: &Stage, name: &str, act: &str, referral: &str, reason: &str) -> Value {
    let folder = stage.path(name).to_string_lossy().into_owned();
    let arguments = [act, referral, "--from", FROM, "--reason", reason, "--as", &folder];
    stage.gateway(&arguments).unwrap()
}

fn sends(stage: &Stage, folder: &Path) -> String {
    let mut document: Value = serde_json::from_slice(&fs::read(Stage::prop("case.json")).unwrap()).unwrap();
    document["attachments"] = Value::Array(Vec::new());
    let path = folder.join("case.json");
    fs::write(&path, document.to_string()).unwrap();
    let path = path.to_string_lossy().into_owned();
    let sent = staged::until("that it is sent", || stage.agent(FROM, &["send", &path]).ok());
    sent["referral"].as_str().unwrap().to_owned()
}

/// What operators did, as an agency's agent tells it.
fn told(stage: &Stage, agency: &str, referral: &str) -> Vec<(String, u64)> {
    let Ok(shown) = stage.agent(agency, &["show", referral]) else {
        return Vec::new();
    };
    let told = shown["told"].as_array().unwrap().clone().into_iter();
    let acts = told.filter(|told| !told["operation"].is_null());
    acts.map(|told| (told["operation"].as_str().unwrap().to_owned(), told["people"].as_u64().unwrap()))
        .collect()
}

fn has(stage: &Stage, agency: &str, referral: &str) -> bool {
    let inbox = stage.agent(agency, &["inbox"]).unwrap();
    inbox.as_array().unwrap().iter().any(|case| case["referral"] == referral)
}

#[test]
fn agents_tell_their_people_what_operators_did() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = staged::stage(folder.path());
    operators(&stage);
    let hook = Post::open(Speaks::Http, &stage.path("hub/tls"), None);
    let settings = stage.path(TO).join("agent.toml");
    let text = fs::read_to_string(&settings).unwrap();
    let url = format!("http://localhost:{}/bell", hook.address.port());
    fs::write(&settings, format!("{text}\n[hook]\nurl = \"{url}\"\n")).unwrap();
    stage.restart_agent(TO).unwrap();
    let [olga, omar] = OPERATORS;

    // Its people are told once, and once more.
    let referral = sends(&stage, folder.path());
    staged::until("the first notice", || (hook.told().len() == 1).then_some(()));
    acts(&stage, olga, "notify-again", &referral, "nobody_reacts");
    staged::until("the second", || (hook.told().len() == 2).then_some(()));
    for agency in [FROM, TO] {
        let expected = vec![("notify_again".to_owned(), 1)];
        staged::until("that both are told", || (told(&stage, agency, &referral) == expected).then_some(()));
    }

    // What is held back does not arrive, and what comes later does; returned, its sender may ask anew.
    stage.kill_agent(TO).unwrap();
    let held = sends(&stage, folder.path());
    staged::until("that it is with the gateway", || {
        let shown = stage.agent(FROM, &["show", &held]).unwrap();
        (shown["case"]["waiting"] == 0).then_some(())
    });
    acts(&stage, olga, "hold", &held, "suspected_misuse");
    stage.start_agent(TO).unwrap();
    let later = sends(&stage, folder.path());
    staged::until("the later one", || has(&stage, TO, &later).then_some(()));
    assert!(!has(&stage, TO, &held));
    acts(&stage, olga, "return", &held, "wrong_recipient");
    acts(&stage, omar, "return", &held, "wrong_recipient");
    let expected: Vec<_> =
        [("hold", 1), ("return", 1), ("return", 2)].map(|(name, count)| (name.to_owned(), count)).into();
    staged::until("that its sender is told", || (told(&stage, FROM, &held) == expected).then_some(()));
    let shown = stage.agent(FROM, &["show", &held]).unwrap();
    assert_eq!(shown["case"]["status"], "failed");
    let legal = shown["case"]["legal_acts"].as_array().unwrap();
    assert!(legal.iter().any(|act| act == "send"), "{legal:?}");
    assert!(!has(&stage, TO, &held));

    // A gateway that is drained: what is sent waits, and the agent says why.
    let as_olga = stage.path(olga).to_string_lossy().into_owned();
    stage.gateway(&["drain", "--reason", "maintenance", "--as", &as_olga]).unwrap();
    let waits = sends(&stage, folder.path());
    let status = staged::until("that it says why", || {
        let status = stage.agent(FROM, &["status"]).unwrap();
        (!status["put_off"].is_null()).then_some(status)
    });
    assert_eq!((&status["put_off"]["code"], &status["waiting"]), (&json!("DRAINING"), &json!(1)));
    assert_eq!(status["connected"], true);
    stage.gateway(&["undrain", "--as", &as_olga]).unwrap();
    staged::until("that it arrives", || has(&stage, TO, &waits).then_some(()));
    assert!(stage.agent(FROM, &["status"]).unwrap()["put_off"].is_null());
    stage.end().unwrap();
}
