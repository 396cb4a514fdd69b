//! A gateway that has lost what was acknowledged: it goes on in a new shard of its logs, the agencies' agents
//! push again what no backup covered, and receipts of every shard can be checked offline. With real programs.
//! Follows *When somebody holds more* of the runbook.
#![allow(clippy::unwrap_used, reason = "a test that does not get what it must has failed")]

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use gateway::{
    admin::client, history::History, network::NetworkFile, service::stubs::witness_client::WitnessClient,
};
use journal::{Copying, Volume};
use proto::{
    digest::Digest,
    evidence::{Event, Record},
    key::SigningKey,
    log::{
        checkpoint::{Checkpoint, Origin},
        note::SignedNote,
    },
    wire,
};
use tonic::Code;

use crate::{
    gateway_backup::{FROM, SILENT, Scene, TO, under_traffic},
    staged::until,
};

/// All records of a gateway that does not run.
fn records(hub: &Path) -> Vec<Record> {
    let copying = Copying::open(&Volume::directory(&hub.join("journal")).unwrap()).unwrap();
    let history = History::new(copying.reader());
    let batches = (0..history.batches()).map(|number| history.batch(number).unwrap());
    let entries = batches.flat_map(|batch| batch.entries);
    entries.flat_map(|entry| entry.facts).filter_map(|fact| fact.record().cloned()).collect()
}

/// How often each envelope has an event.
fn counted(hub: &Path, event: Event) -> BTreeMap<Digest, usize> {
    let mut counted = BTreeMap::new();
    for record in records(hub).iter().filter(|record| record.what.event == event) {
        *counted.entry(record.what.envelope.unwrap()).or_default() += 1;
    }
    counted
}

impl Scene {
    fn status(&self, agency: &str, referral: &str) -> String {
        let shown = self.stage.agent(agency, &["show", referral]).unwrap();
        shown["case"]["status"].as_str().unwrap().to_owned()
    }

    /// Both sides have said and heard everything.
    fn settles(&self) {
        for agency in [FROM, TO] {
            until("nothing waits to be pushed", || {
                let status = self.stage.agent(agency, &["status"]).ok()?;
                let quiet = ["waiting", "going_again"].iter().all(|of| status[*of] == 0);
                (quiet && status["connected"] == true).then_some(())
            });
        }
    }

    /// The receipts of a referral, as files.
    fn receipts(&self, agency: &str, referral: &str, name: &str) -> Vec<PathBuf> {
        let out = self.at(name);
        self.stage.agent(agency, &["receipt", referral, "--out", &out]).unwrap();
        fs::read_dir(out).unwrap().map(|entry| entry.unwrap().path()).collect()
    }

    /// Anybody can check them with nothing but network.toml.
    fn all_verify(&self, receipts: &[PathBuf]) {
        let network = self.stage.path("hub/network.toml").to_string_lossy().into_owned();
        for receipt in receipts {
            let file = receipt.to_string_lossy();
            self.stage.agent(FROM, &["verify", &file, "--network", &network]).unwrap();
        }
    }

    fn begin_shard(&self, file: &str, both: bool) -> anyhow::Result<serde_json::Value> {
        let (file, proposal) = (self.at(file), self.stage.path("hub/new-shard.json"));
        let (blue, green) = (self.administrator("blue-1"), self.administrator("green-2"));
        let draft = ["admin", "begin-shard", &proposal.to_string_lossy(), "--out", &file, "--as", &blue];
        self.stage.gateway(&draft).unwrap();
        if both {
            self.stage.gateway(&["admin", "sign", &file, "--as", &green]).unwrap();
        }
        self.stage.gateway(&["admin", "submit", &file, "--as", &green])
    }

    fn alarms(&self, agency: &str) -> Vec<String> {
        let status = self.stage.agent(agency, &["status"]).unwrap();
        assert_eq!(status["may_seal"], true, "{status}");
        let kinds = status["alarms"].as_array().unwrap().iter();
        kinds.map(|alarm| alarm["kind"].as_str().unwrap().to_ascii_lowercase()).collect()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.stage.path("logs").join("gateway.log")).unwrap()
    }

    /// What an agency says that has made a checkpoint of its own.
    fn lies(&self) {
        let tls = self.folder.path().join("liar");
        fs::create_dir_all(&tls).unwrap();
        fs::copy(self.stage.path(SILENT).join("tls/chain.pem"), tls.join("certificate.pem")).unwrap();
        fs::copy(self.stage.path(SILENT).join("keys/tls.key"), tls.join("key.pem")).unwrap();
        let network = NetworkFile::read(&self.stage.path("hub/network.toml")).unwrap();
        let origin = Origin::parse(network.evidence_log.split_once('+').unwrap().0).unwrap();
        let checkpoint = Checkpoint { origin, size: 1_000_000, root: Digest([7; 32]) };
        let forged = checkpoint.sign(&SigningKey::from_seed(&[7; 32])).to_string();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let channel = client::channel(&network, &tls).await.unwrap();
            let report = wire::WitnessReport {
                log: wire::LogName::Evidence.into(),
                checkpoint: forged.clone(),
                cosignatures: String::new(),
                receipt_checkpoint: forged,
            };
            let refused = WitnessClient::new(channel).report(report).await.map(|_| ()).unwrap_err();
            // Not even a refusal is recorded now: it would be signed.
            assert_eq!(refused.code(), Code::Unavailable, "{refused}");
        });
    }
}

/// The shard that a receipt's checkpoint names.
fn origin(receipt: &Path) -> String {
    let text = fs::read_to_string(receipt).unwrap();
    let (_, note) = text.split_once("\n\n").unwrap();
    SignedNote::parse(note).unwrap().text().lines().next().unwrap().to_owned()
}

#[test]
#[allow(clippy::too_many_lines, reason = "one story, in its order: each loss is of what came before")]
fn a_gateway_that_is_behind_goes_on_in_a_new_shard_and_gets_everything_again() {
    let mut scene = Scene::set();
    scene.hand_out_administrators();
    let kept = scene.sends();
    scene.arrives(&kept);
    let early = under_traffic(&scene, |sent| {
        until("two cases", || (sent.load(std::sync::atomic::Ordering::Acquire) >= 2).then_some(()));
        scene.backup("early", &[])
    });
    // After the backup: one is sent, seen, accepted; and one is sent that is only handed over.
    let accepted = scene.sends();
    scene.arrives(&accepted);
    for act in ["see", "accept"] {
        scene.stage.agent(TO, &[act, &accepted, "--wait"]).unwrap();
    }
    until("the answer", || (scene.status(FROM, &accepted) == "accepted").then_some(()));
    let sent = scene.sends();
    scene.arrives(&sent);
    scene.settles();
    let before = scene.receipts(FROM, &accepted, "receipts-before");
    let inbox = scene.stage.agent(TO, &["inbox", "--all"]).unwrap();
    let shown = scene.stage.agent(TO, &["show", &accepted]).unwrap();

    let lost = scene.at("lost");
    scene.loses("lost", "early", &["--keys", &lost]);
    let acknowledged = counted(Path::new(&lost), Event::SubmissionAcceptance);
    let said = until("the agencies that hold more", || {
        scene.unready().filter(|said| said.contains("too old") && said.contains(FROM) && said.contains(TO))
    });
    scene.lies();
    let body = |answer: &str| answer.split_once("\r\n\r\n").unwrap().1.to_owned();
    assert_eq!(body(&scene.unready().unwrap()), body(&said), "what the log has not signed changes nothing");
    assert!(scene.go_on(&early, "go-on.json", true).is_err(), "not under the same name");
    assert!(scene.begin_shard("one.json", false).is_err(), "one is not two");
    scene.begin_shard("shard.json", true).unwrap();

    // Everything that was acknowledged is there again, once.
    scene.settles();
    until("the answer, again", || (scene.status(FROM, &accepted) == "accepted").then_some(()));
    assert_eq!(scene.status(TO, &accepted), "accepted");
    let again = scene.stage.agent(TO, &["inbox", "--all"]).unwrap();
    assert_eq!(again.as_array().unwrap().len(), inbox.as_array().unwrap().len(), "nothing twice");
    let shown_again = scene.stage.agent(TO, &["show", &accepted]).unwrap();
    assert_eq!(steps(&shown_again), steps(&shown), "nor a step of it");
    for agency in [FROM, TO] {
        assert_eq!(
            scene.alarms(agency),
            ["alarm_kind_new_shard"],
            "its people are told, and of nothing else"
        );
    }
    let after = scene.receipts(FROM, &accepted, "receipts-after");
    scene.all_verify(&before);
    scene.all_verify(&after);
    assert!(after.len() > before.len(), "the receipts of both shards are kept");
    let names: Vec<_> = after.iter().map(|receipt| origin(receipt)).collect();
    assert!(names.iter().any(|name| name.ends_with("/shard/2")), "{names:?}");
    assert!(names.iter().any(|name| !name.contains("/shard/")), "{names:?}");
    // An agent that starts anew folds the same; and a case goes through as ever.
    scene.stage.restart_agent(FROM).unwrap();
    scene.stage.agent(TO, &["start", &accepted, "--wait"]).unwrap();
    until("the next word", || (scene.status(FROM, &accepted) == "in_progress").then_some(()));
    scene.arrives(&scene.sends());
    scene.settles();

    // A second loss: of the journal's end, on the same machine, which knows it by its anchor.
    scene.stage.kill_gateway().unwrap();
    let hub = PathBuf::from(scene.hub());
    let journal = hub.join("journal");
    copy(&journal, &scene.folder.path().join("copied/journal"));
    scene.stage.start_gateway().unwrap();
    let later = scene.sends();
    scene.arrives(&later);
    scene.settles();
    let copied = u64::try_from(records(&scene.folder.path().join("copied")).len()).unwrap();
    until("the anchor", || scene.anchored().filter(|anchored| *anchored > copied + 2));
    scene.stage.kill_gateway().unwrap();
    let all = counted(&hub, Event::SubmissionAcceptance);
    fs::remove_dir_all(&journal).unwrap();
    copy(&scene.folder.path().join("copied/journal"), &journal);
    scene.stage.start_gateway().unwrap();
    until("it says so by itself", || {
        scene.unready().filter(|said| said.contains("the journal ends before what was signed"))
    });
    until("the agency that holds more", || scene.unready().filter(|said| said.contains(FROM)));
    scene.begin_shard("third.json", true).unwrap();
    scene.settles();
    scene.arrives(&scene.sends());

    for agency in [FROM, TO] {
        assert_eq!(scene.alarms(agency), ["alarm_kind_new_shard"; 2]);
    }
    scene.all_verify(&before);
    assert!(!scene.log().contains("FORK"), "{}", scene.log());
    scene.stage.end().unwrap();
    scene.verifies(&scene.hub());
    let taken = counted(&hub, Event::SubmissionAcceptance);
    for envelope in acknowledged.keys().chain(all.keys()) {
        assert_eq!(taken.get(envelope), Some(&1), "{envelope}");
    }
    // Identity that an acceptance released is handed over by itself.
    let released = counted(&hub, Event::DisclosureReleased);
    for (envelope, times) in counted(&hub, Event::ContentHandover) {
        assert_eq!(times, 1 + released.get(&envelope).copied().unwrap_or(0), "{envelope}");
    }
    let begun: Vec<_> = records(&hub).iter().filter_map(|record| record.what.shard).collect();
    assert_eq!(begun.iter().map(|shard| shard.number.get()).collect::<Vec<_>>(), [2, 3]);
    assert!(begun.iter().all(|shard| shard.witnessed.0 > shard.restored.0), "{begun:?}");
}

fn steps(shown: &serde_json::Value) -> usize {
    shown["steps"].as_array().unwrap().len()
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let (from, to) = (entry.as_ref().unwrap().path(), to.join(entry.unwrap().file_name()));
        if from.is_dir() {
            copy(&from, &to);
        } else {
            fs::copy(from, to).unwrap();
        }
    }
}
