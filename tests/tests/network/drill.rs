//! The stuck drill: an agent is stopped, one never signs, one's certificate ends, one's clock is wrong, the disk
//! fills, mail is down. Each is told within the time that the runbook promises, with its cause, once, and is over
//! by itself within the other. The gateway is a sandbox's, so that days pass in moments. Not here: what counts as
//! bad (`proto::alert`).
#![allow(clippy::unwrap_used, reason = "a test that does not get what it must has failed")]

use std::{fs, os::unix::fs::MetadataExt as _, path::Path, time::Duration};

use gateway::service::stubs::push_client::PushClient;
use proto::{alert::Code, header::Header, ids::AgencyId, refusal::Refusal};
use serde_json::Value;
use trials::{
    random::Random,
    speak::{Deliveries, envelope, failure, refusal_in, until},
};

use crate::operations::{Scene, certify, emergency, is_seen};

const MINUTE: Duration = Duration::from_secs(60);
/// How often the limit of refusals is reached: the default.
const SPIKE: usize = 100;

/// What the runbook promises of an alert.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Promise {
    told: Duration,
    over: Duration,
}

/// The row of the runbook's table for an alert and its cause.
fn promised(code: Code, cause: &str) -> Promise {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../gateway/README.md");
    let text = fs::read_to_string(path).unwrap();
    let (_, table) = text.split_once("\n### What is promised\n").unwrap();
    let table = table.split("\n#").next().unwrap();
    let mut rows = table.lines().map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let named = |cell: &str, name: &str| cell.trim_matches('`') == name;
    let row = rows.find(|row| row.len() == 7 && named(row[2], code.name()) && named(row[3], cause));
    let row = row.unwrap_or_else(|| unreachable!("{code:?} {cause} has a row"));
    Promise { told: time(row[4]), over: time(row[5]) }
}

/// Such as `15 min`.
fn time(text: &str) -> Duration {
    let mut words = text.split(' ');
    let count: u32 = words.next().unwrap().parse().unwrap();
    match words.next() {
        Some("min") => MINUTE * count,
        Some("h") => 60 * MINUTE * count,
        unit => unreachable!("{unit:?}"),
    }
}

/// What is wrong, and with whom.
#[derive(Clone, Copy)]
struct Wrong<'a> {
    code: Code,
    cause: &'a str,
    agency: Option<&'a AgencyId>,
}

impl Wrong<'_> {
    fn stands(&self, scene: &Scene) -> bool {
        let answer = scene.alerts(&[]).unwrap();
        let agency = self.agency.map_or("", AgencyId::as_str);
        let is_it = |alert: &Value| {
            alert["code"] == self.code.name() && alert["agency"].as_str().unwrap_or("") == agency
        };
        answer["alerts"].as_array().unwrap().iter().any(is_it)
    }

    fn told(&self, scene: &Scene, list: &str) -> usize {
        scene.told_of(list, self.code.name(), self.agency)
    }

    /// From now on it is wrong: it stands within the promised time, and people are told.
    async fn appears(&self, scene: &mut Scene) {
        let promise = promised(self.code, self.cause);
        scene.sandbox.advance(Duration::ZERO);
        if promise.told > MINUTE {
            assert!(!self.stands(scene), "{:?} before its time", self.code);
        }
        scene.sandbox.advance(promise.told / 2);
        if promise.told > MINUTE {
            assert!(!self.stands(scene), "{:?} before its time", self.code);
        }
        scene.sandbox.advance(promise.told / 2);
        assert!(self.stands(scene), "{:?} within {:?}", self.code, promise.told);
        let items = scene.stuck();
        assert!(
            self.cause == "-" || items.iter().any(|item| item["cause"] == self.cause),
            "{}: {items:?}",
            self.cause
        );
        // What is no emergency is gathered for a minute.
        scene.sandbox.advance(MINUTE);
        until("that people are told", || (self.told(scene, "raised") == 1).then_some(())).await;
    }

    /// From now on it is well: it is over within the promised time, and people are told that, too.
    async fn is_over(&self, scene: &mut Scene) {
        let promise = promised(self.code, self.cause);
        scene.sandbox.advance(Duration::ZERO);
        assert!(
            promise.over <= MINUTE || self.stands(scene),
            "{:?} is over only when it lasts to be well",
            self.code
        );
        let minutes = promise.over.as_secs() / 60;
        (0..minutes).for_each(|_| scene.sandbox.advance(MINUTE));
        assert!(!self.stands(scene), "{:?} is over within {:?}", self.code, promise.over);
        scene.sandbox.advance(MINUTE);
        until("that people are told", || (self.told(scene, "cleared") == 1).then_some(())).await;
        assert_eq!(self.told(scene, "raised"), 1, "{:?} is told once", self.code);
    }
}

/// A message of the future, by the gateway's clock.
async fn dated_ahead(scene: &Scene, times: usize) {
    let network = &scene.sandbox.network;
    let (from, to) = (network.at(1), network.at(0));
    let mut push = PushClient::new(scene.sandbox.connect(from.id.as_str()).await.unwrap());
    for time in 0..times {
        let at = scene.sandbox.now().plus_ms(3_600_000);
        let random = &mut Random::new(u64::try_from(100 + time).unwrap());
        let (header, parts): (Header, _) = network.opening(&from.id, &to.id, at, random);
        let refusal = refusal_in(&failure(push.push_one(envelope(from, &header, &parts)).await));
        assert_eq!(refusal.code, Refusal::CreatedInFuture.name());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_agents_do_not_do_is_told_within_its_time_and_over_by_itself() {
    let mut scene = Scene::of_days();
    let network = scene.sandbox.network.clone();
    let (from, to, other) = (network.at(1).id.clone(), network.at(0).id.clone(), network.at(2).id.clone());
    let unseen = |cause| Wrong { code: Code::EmergencyUnseen, cause, agency: Some(&to) };

    // Its agent was connected, and is stopped.
    let channel = scene.sandbox.connect(to.as_str()).await.unwrap();
    let stream = Deliveries::open(&channel, 4).await;
    drop((stream, channel));
    let header = emergency(&scene.sandbox).await;
    scene.is_stuck_with("agent_away").await;
    unseen("agent_away").appears(&mut scene).await;
    is_seen(&scene.sandbox, &header).await;
    unseen("agent_away").is_over(&mut scene).await;

    // Its certificate ends soon, and a new one is taken.
    let ending = Wrong { code: Code::CertificateEnding, cause: "-", agency: Some(&other) };
    certify(&scene, &other, "nine-days", 9 * 24 * 60 * 60);
    let soon = scene.sandbox.connect("nine-days").await.unwrap();
    ending.appears(&mut scene).await;
    drop(soon);
    scene.is_connected(&other, false).await;
    let renewed = scene.sandbox.connect(other.as_str()).await.unwrap();
    scene.is_connected(&other, true).await;
    ending.is_over(&mut scene).await;
    drop(renewed);

    // Its agent was stopped a moment ago, and stays so for days.
    let silent = Wrong { code: Code::AgencySilent, cause: "-", agency: Some(&other) };
    scene.is_connected(&other, false).await;
    silent.appears(&mut scene).await;
    let back = scene.sandbox.connect(other.as_str()).await.unwrap();
    scene.is_connected(&other, true).await;
    silent.is_over(&mut scene).await;
    drop(back);

    // Its clock is an hour ahead; then somebody sets it right.
    let clock = Wrong { code: Code::AgencyClock, cause: "-", agency: Some(&from) };
    let spike = Wrong { code: Code::RefusedSpike, cause: "-", agency: None };
    dated_ahead(&scene, 1).await;
    clock.appears(&mut scene).await;
    assert!(!spike.stands(&scene), "one is not many");
    clock.is_over(&mut scene).await;
    dated_ahead(&scene, SPIKE).await;
    spike.appears(&mut scene).await;
    spike.is_over(&mut scene).await;
    assert!(scene.sandbox.terminate());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_that_never_signs_or_whose_certificate_is_over_is_told_with_its_cause() {
    let mut scene = Scene::of_days();
    let to = scene.sandbox.network.at(0).id.clone();
    let unseen = |cause| Wrong { code: Code::EmergencyUnseen, cause, agency: Some(&to) };

    // It is connected, is given the emergency, and signs for nothing.
    let channel = scene.sandbox.connect(to.as_str()).await.unwrap();
    let mut stream = Deliveries::open(&channel, 4).await;
    let header = emergency(&scene.sandbox).await;
    stream.delivered().await;
    unseen("agent_slow").appears(&mut scene).await;
    drop((stream, channel));
    is_seen(&scene.sandbox, &header).await;
    unseen("agent_slow").is_over(&mut scene).await;
    assert!(scene.sandbox.terminate());
    drop(scene);

    // Its certificate is over, and with it its connection.
    let mut scene = Scene::of_days();
    certify(&scene, &to, "seconds", 5);
    let held = scene.sandbox.connect("seconds").await.unwrap();
    let header = emergency(&scene.sandbox).await;
    scene.is_stuck_with("agent_away").await;
    unseen("agent_away").appears(&mut scene).await;
    drop(held);
    is_seen(&scene.sandbox, &header).await;
    unseen("agent_away").is_over(&mut scene).await;
    assert!(scene.sandbox.terminate());
}

/// A file of so many bytes, none of them written: what is free is less all the same.
fn take(path: &Path, bytes: u64) {
    let file = fs::File::create(path).unwrap();
    rustix::fs::fallocate(&file, rustix::fs::FallocateFlags::empty(), 0, bytes).unwrap();
    assert!(file.metadata().unwrap().blocks() * 512 >= bytes);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_and_mail_that_is_down_are_told_within_their_time_and_over_by_themselves() {
    // Its reserve is a quarter of what is free: so a real disk becomes full without being root, and has room for
    // others all the while. To the last block: `tests/crash/network`. Not in memory, where what is taken is taken.
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let taken = folder.path().join("taken");
    let disk = rustix::fs::statvfs(folder.path()).unwrap();
    let free_mib = disk.f_bavail * disk.f_frsize / (1024 * 1024);
    let mut scene = Scene::of_days_keeping(folder, free_mib / 4);

    let full = Wrong { code: Code::DiskFull, cause: "-", agency: None };
    scene.sandbox.advance(Duration::ZERO);
    assert!(!full.stands(&scene));
    take(&taken, (free_mib * 5 / 8) * 1024 * 1024);
    full.appears(&mut scene).await;
    let header = emergency(&scene.sandbox).await;
    is_seen(&scene.sandbox, &header).await;
    fs::remove_file(&taken).unwrap();
    full.is_over(&mut scene).await;

    let untold = Wrong { code: Code::TellingFails, cause: "-", agency: None };
    scene.mails.works(false);
    // Something to tell of.
    dated_ahead(&scene, 1).await;
    scene.sandbox.advance(2 * MINUTE);
    let failing =
        until("the mail to fail", || mail(&scene).filter(|mail| mail["failing_since_ms"] != 0)).await;
    assert!(!failing["why_en"].is_null() && !failing["why_ar"].is_null(), "{failing}");
    untold.appears(&mut scene).await;
    scene.mails.works(true);
    until("the mail", || mail(&scene).filter(|mail| mail["failing_since_ms"] == 0)).await;
    untold.is_over(&mut scene).await;
    assert!(scene.sandbox.terminate());
}

/// How mail stands.
fn mail(scene: &Scene) -> Option<Value> {
    let answer = scene.alerts(&[]).unwrap();
    let ways = answer["ways"].as_array().unwrap();
    ways.iter().find(|way| way["way"] == "mail").cloned()
}

#[test]
fn times_of_the_runbook_are_understood() {
    let rows = [(Code::EmergencyUnseen, "agent_slow", 8, 0), (Code::AgencySilent, "-", 72 * 60, 5)];
    for (code, cause, told, over) in rows {
        assert_eq!(promised(code, cause), Promise { told: MINUTE * told, over: MINUTE * over });
    }
}
