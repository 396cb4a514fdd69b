//! A whole network of real programs under random kills: gateway and agents die at any moment, and what
//! an agent said it has written down arrives, once. Not here: the writer's own kills (`kill`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that does not get what it must has failed")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;

use trials::{
    demo::{Programs, Stage, found},
    random::Random,
    sandbox::program,
};

/// How many programs are killed.
const KILLS: usize = 50;
const FROM: &str = "ae.dfwac";
const TO: &str = "ae-rk.aman";

#[test]
fn fifty_kills_of_gateway_and_agents_lose_nothing_and_repeat_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let programs = Programs::at(program("gateway"), program("agent"));
    let mut stage = Stage::open(programs, Some(folder.path().join("stage"))).unwrap();
    found(&mut stage).unwrap();
    let case = Stage::prop("case.json");
    let case = case.to_string_lossy();
    // The agent learns of the agreement within seconds.
    while stage.agent(FROM, &["send", &case]).is_err() {
        thread::yield_now();
    }
    let mut random = Random::new(50);
    let mut sent = BTreeSet::new();
    for _ in 0..KILLS {
        for _ in 0..=random.below(2) {
            let said = stage.agent(FROM, &["send", &case]).unwrap();
            sent.insert(said["referral"].as_str().unwrap().to_owned());
        }
        match random.below(3) {
            0 => {
                stage.kill_gateway().unwrap();
                stage.start_gateway().unwrap();
            }
            1 => stage.restart_agent(FROM).unwrap(),
            _ => stage.restart_agent(TO).unwrap(),
        }
    }
    let arrived = |stage: &Stage| -> Vec<String> {
        let inbox = stage.agent(TO, &["inbox", "--all"]).unwrap();
        inbox.as_array().unwrap().iter().map(|case| case["referral"].as_str().unwrap().to_owned()).collect()
    };
    until("all of them", || sent.is_subset(&arrived(&stage).into_iter().collect()).then_some(()));
    let all = arrived(&stage);
    let once: BTreeSet<_> = all.iter().collect();
    assert_eq!(once.len(), all.len(), "once");
    // Every receipt that an agent holds is proven, and the gateway's folder is right to the first byte.
    let some = sent.first().unwrap();
    let receipts = folder.path().join("receipts");
    stage.agent(FROM, &["receipt", some, "--out", &receipts.to_string_lossy()]).unwrap();
    for file in fs::read_dir(&receipts).unwrap() {
        stage.agent(FROM, &["verify", &file.unwrap().path().to_string_lossy()]).unwrap();
    }
    let hub = stage.path("hub").to_string_lossy().into_owned();
    stage.end().unwrap();
    assert_eq!(stage.gateway(&["verify", &hub]).unwrap()["right"], true);
}

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

fn until<T>(what: &str, mut come: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(came) = come() {
            return came;
        }
        assert!(begun.elapsed() < PATIENCE, "never came: {what}");
        thread::yield_now();
    }
}

/// What an agency's own system does while the agent is killed.
struct Sends<'a> {
    folder: PathBuf,
    case: String,
    name: &'a str,
    goes_on: &'a AtomicBool,
    count: &'a AtomicU64,
}

impl Sends<'_> {
    /// Asks for one after the other, each under a key of its own and again until it is answered. Gives the referrals.
    fn all(self) -> Vec<String> {
        let mut sent = Vec::new();
        while self.goes_on.load(Ordering::Relaxed) {
            let key = format!("{}-{}", self.name, sent.len());
            sent.push(until("an answer", || self.one(&key)));
            self.count.fetch_add(1, Ordering::Relaxed);
        }
        sent
    }

    fn one(&self, key: &str) -> Option<String> {
        let mut command = Command::new(program("agent"));
        let command =
            command.args(["--json", "-C"]).arg(&self.folder).args(["send", &self.case, "--key", key]);
        let said = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
        let said: Value = serde_json::from_slice(&said.stdout).ok()?;
        said["referral"].as_str().map(str::to_owned)
    }
}

fn count_in(log: &Path, words: &str) -> usize {
    fs::read_to_string(log).unwrap_or_default().matches(words).count()
}

#[test]
fn an_agent_that_is_killed_fifty_times_while_it_sends_and_receives_loses_and_repeats_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let programs = Programs::at(program("gateway"), program("agent"));
    let mut stage = Stage::open(programs, Some(folder.path().join("stage"))).unwrap();
    found(&mut stage).unwrap();
    let (case, back) =
        (Stage::prop("case.json").to_string_lossy().into_owned(), stage.case_to(FROM).unwrap());
    until("the agreement reaches both", || {
        stage.agent(FROM, &["explain", &case]).and_then(|_| stage.agent(TO, &["explain", &back])).ok()
    });
    let (goes_on, count) = (AtomicBool::new(true), AtomicU64::new(0));
    let sends = |name, case: &str| Sends {
        folder: stage.path(name),
        case: case.to_owned(),
        name,
        goes_on: &goes_on,
        count: &count,
    };
    let (there, back) = (sends(FROM, &case), sends(TO, &back));
    let log = stage.path("logs").join(format!("{TO}.log"));
    let mut random = Random::new(51);
    let (sent, sent_back) = thread::scope(|scope| {
        let (there, back) = (scope.spawn(|| there.all()), scope.spawn(|| back.all()));
        for _ in 0..KILLS {
            // Right after it has connected, while what has waited comes; or at any other moment.
            if random.below(2) == 0 {
                let links = count_in(&log, "the link is up");
                stage.restart_agent(TO).unwrap();
                until("it connects", || (count_in(&log, "the link is up") > links).then_some(()));
            } else {
                let before = count.load(Ordering::Relaxed);
                let some = before + 1 + random.below(3);
                until("both go on", || (count.load(Ordering::Relaxed) >= some).then_some(()));
            }
            for _ in 0..random.below(1_000_000) {
                std::hint::spin_loop();
            }
            stage.restart_agent(TO).unwrap();
        }
        goes_on.store(false, Ordering::Relaxed);
        (there.join().unwrap(), back.join().unwrap())
    });
    all_went_through(&stage, (FROM, TO), &sent);
    all_went_through(&stage, (TO, FROM), &sent_back);
    for words in ["after it was acknowledged", "not marked as a repeat"] {
        assert_eq!(count_in(&log, words), 0, "{words}");
    }
    let repeats = count_in(&log, "a delivery came again, as was marked");
    assert!(repeats > 0, "no kill came between a delivery and its receipt");
    let hub = stage.path("hub").to_string_lossy().into_owned();
    stage.end().unwrap();
    assert_eq!(stage.gateway(&["verify", &hub]).unwrap()["right"], true);
}

/// Each arrived once and nothing else did; by the gateway's evidence each was handed over once, and signed for.
fn all_went_through(stage: &Stage, (from, to): (&str, &str), sent: &[String]) {
    let here = || -> Vec<String> {
        let inbox = stage.agent(to, &["inbox", "--all"]).unwrap();
        let cases = inbox.as_array().unwrap().iter();
        cases.map(|case| case["referral"].as_str().unwrap().to_owned()).collect()
    };
    let wanted: BTreeSet<_> = sent.iter().cloned().collect();
    assert_eq!(wanted.len(), sent.len(), "what is asked for under another key is another referral");
    let all = until("everything arrives", || {
        let all = here();
        wanted.is_subset(&all.iter().cloned().collect()).then_some(all)
    });
    let once: BTreeSet<_> = all.iter().cloned().collect();
    assert_eq!((all.len(), &once), (once.len(), &wanted), "each once, and nothing that nobody asked for");
    until("everything is answered", || {
        (stage.agent(from, &["status"]).unwrap()["waiting"] == 0).then_some(())
    });
    // The gateway's evidence: each was handed over once, and signed for.
    for referral in sent {
        until("it was handed over", || {
            let timeline = stage.agent(from, &["timeline", referral]).unwrap().to_string();
            match timeline.matches("\"content_handover\"").count() {
                0 => None,
                1 => Some(()),
                more => panic!("handed over {more} times: {timeline}"),
            }
        });
    }
    let status = stage.agent(to, &["status"]).unwrap();
    assert_eq!(status["alarms"].as_array().unwrap().len(), 0, "{status}");
}
