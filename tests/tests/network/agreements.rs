//! Agreements through their life: written as a file, read in both languages, signed from each party's own
//! agent, renewed, stopped, started again, ended; what the gateway answers under each; and who may read
//! their texts. Not here: every rule of a clause (`refusals`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that does not get what it must has failed")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use gateway::{
    admin::object::{self, ObjectFile},
    service::stubs::{
        directory_client::DirectoryClient, evidence_client::EvidenceClient, push_client::PushClient,
    },
};
use proto::{
    agreement::whole::Whole,
    calendar::written,
    digest::Digest,
    dsse::{self, PayloadType},
    evidence::Event,
    header::Header,
    ids::{Code, Jurisdiction, TimeMs, Urgency},
    receipt::Receipt,
    refusal::Refusal,
    wire::{self, directory_change::Change, subject::Subject},
};
use serde_json::Value;
use tonic::transport::Channel;
use trials::{
    demo::{Programs, Stage},
    network::{Agency, Network},
    random::Random,
    sandbox::{Sandbox, free_address, program},
    speak::{digest_of, envelope, failure, now, receipt_of, refusal_in},
};

const DFWAC: &str = "ae.dfwac";
const AMAN: &str = "ae-rk.aman";
const MOSD: &str = "jo.mosd";
const FILE: &str = include_str!("../../demo/ae.dfwac-ae-rk.aman.toml");
const TITLE: &str = "Mutual referral of persons affected by trafficking and violence";
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);
/// For how long the last revision is in force: enough to sign it and hand it in on a busy machine.
const SHORT_MS: u64 = 30_000;

fn until<T>(what: &str, mut come: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(came) = come() {
            return came;
        }
        assert!(begun.elapsed() < PATIENCE, "never came: {what}");
        std::thread::yield_now();
    }
}

/// A network of three, of which two agree.
struct People {
    stage: Stage,
}

impl People {
    fn gather(folder: &Path) -> Self {
        let programs = Programs::at(program("gateway"), program("agent"));
        let stage = Stage::open(programs, Some(folder.join("stage"))).unwrap();
        let mut people = Self { stage };
        let (hub, enrolment) = (people.path("hub"), free_address().to_string());
        let (listen, metrics) = (people.stage.address.to_string(), people.stage.metrics.to_string());
        let names =
            ["init", &hub, "--network", "referral.example", "--host", "localhost", "--segment-mib", "1"];
        let addresses = ["--listen", &listen, "--metrics", &metrics, "--enrolment-listen", &enrolment];
        let staff = ["--administrator", "blue-1", "--administrator", "green-2"];
        people.gateway(&[&names[..], &addresses, &staff].concat());
        people.stage.start_gateway().unwrap();
        for (agency, jurisdiction) in [(DFWAC, "AE"), (AMAN, "AE-RK"), (MOSD, "JO")] {
            people.admit(agency, jurisdiction);
        }
        people
    }

    fn admit(&mut self, agency: &str, jurisdiction: &str) {
        let (text, object) =
            (self.path(&format!("{agency}.invitation")), self.path(&format!("{agency}.json")));
        let names = ["--type", "Shelter", "--name-en", "An example", "--name-ar", "مثال"];
        let rest = ["--jurisdiction", jurisdiction, "--invitation", &text, "--out", &object];
        self.gateway(
            &[&["admin", "invite", agency][..], &names, &rest, &["--as", &self.desk("blue-1")]].concat(),
        );
        self.gateway(&["admin", "sign", &object, "--as", &self.desk("green-2")]);
        self.gateway(&["admin", "submit", &object, "--as", &self.desk("green-2")]);
        self.stage.agent(agency, &["enrol", &text]).unwrap();
        self.stage.start_agent(agency).unwrap();
    }

    fn path(&self, name: &str) -> String {
        self.stage.path(name).to_str().unwrap().to_owned()
    }

    fn desk(&self, pseudonym: &str) -> String {
        self.path(&format!("hub/administrators/{pseudonym}"))
    }

    fn gateway(&self, arguments: &[&str]) -> Value {
        self.stage.gateway(arguments).unwrap()
    }

    fn written(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        path
    }

    /// The object of a file, signed by both from their own agents and handed in; gives its digest.
    fn agree(&self, file: &str, name: &str, renews: &[&str]) -> String {
        let object = self.path(name);
        let made = self.gateway(&[&["admin", "agreement", file, "--out", &object][..], renews].concat());
        for party in [DFWAC, AMAN] {
            let signed = self.stage.agent(party, &["sign", &object]).unwrap();
            assert_eq!((&signed["signed"], &signed["agreement"]), (&Value::Bool(true), &made["agreement"]));
        }
        self.gateway(&["admin", "submit", &object, "--as", &self.desk("blue-1")]);
        made["agreement"].as_str().unwrap().to_owned()
    }

    /// How an agreement stands for an agency: the code of what keeps it from being used.
    fn standing(&self, agency: &str, agreement: &str) -> Option<Value> {
        let held = self.stage.agent(agency, &["agreements", agreement]).ok()?;
        Some(held[0]["code"].clone())
    }

    fn stands(&self, agency: &str, agreement: &str, code: &Value) {
        until(&format!("{code} of {agreement}"), || {
            (self.standing(agency, agreement).as_ref() == Some(code)).then_some(())
        });
    }

    fn case(&self, name: &str, edit: impl FnOnce(&mut Value)) -> String {
        let text = fs::read_to_string(Stage::prop("case.json")).unwrap();
        let mut document: Value = serde_json::from_str(&text).unwrap();
        document["attachments"] = Value::Array(Vec::new());
        edit(&mut document);
        self.written(name, &document.to_string())
    }

    /// What the gateway itself answers to a referral.
    fn refused_by_gateway(&self, case: &str) -> String {
        let refused = self.stage.agent_refused(DFWAC, &["send", case, "--unchecked", "--wait"]).unwrap();
        refused["code"].as_str().unwrap().to_owned()
    }

    fn explained(&self, service: &str) -> Value {
        let need = ["--category", "trafficking", "--service", service, "--urgency", "urgent"];
        let rest = ["--jurisdiction", "AE-RK", "--as", &self.desk("green-2")];
        let said =
            self.gateway(&[&["admin", "explain", "--from", DFWAC, "--to", AMAN][..], &need, &rest].concat());
        said["choices"][0].clone()
    }
}

fn codes(said: &Value) -> Vec<&str> {
    said["warnings"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect()
}

fn says(said: &Value) -> String {
    said["says"].as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned() + "\n").collect()
}

/// The story as people do it, each at their own machine.
#[test]
fn people_make_read_sign_renew_stop_and_resume_an_agreement() {
    let folder = tempfile::tempdir().unwrap();
    let people = People::gather(folder.path());
    let first = people.written("first.toml", FILE);
    reads(&people, &first);
    let agreement = people.agree(&first, "first.json", &[]);
    people.stands(DFWAC, &agreement, &Value::Null);
    people.stands(AMAN, &agreement, &Value::Null);
    let others = people.stage.agent(MOSD, &["agreements"]).unwrap();
    assert_eq!(others.as_array().unwrap().len(), 0, "it binds two others");
    let case = people.case("case.json", |_| {});
    people.stage.agent(DFWAC, &["send", &case, "--wait"]).unwrap();
    let allowed = people.explained("shelter");
    assert_eq!((&allowed["turn"], &allowed["verdict"]["clause"]), (&1.into(), &"dubai-to-rak".into()));

    let narrow = renews(&people, &agreement, &case);
    stops(&people, &narrow, &people.case("health.json", |case| case["service"] = "health".into()));
    ends(&people, &narrow);
}

/// Before anybody signs: what it allows and what is wrong with it, without a gateway, and at the party.
fn reads(people: &People, file: &str) {
    let checked = people.gateway(&["admin", "agreement", "check", file]);
    assert_eq!(codes(&checked), ["NO_PAPER"]);
    assert!(says(&checked).contains("clause dubai-to-rak: ae.dfwac may send to ae-rk.aman"), "{checked}");
    let checked = people.gateway(&["admin", "agreement", "check", file, "--lang", "ar"]);
    assert!(says(&checked).contains("الخدمات: الإيواء الآمن"), "{checked}");
    let object = people.path("draft.json");
    people.gateway(&["admin", "agreement", file, "--out", &object]);
    let before = fs::read(&object).unwrap();
    let shown = people.stage.agent(AMAN, &["sign", &object, "--show", "--lang", "ar"]).unwrap();
    assert_eq!((&shown["signed"], &shown["directory_asked"]), (&Value::Bool(false), &Value::Bool(true)));
    assert!(says(&shown).contains("يجوز أن ترسل"), "{shown}");
    // The agent knows the directory, where nobody has a duty telephone yet.
    assert_eq!(codes(&shown), ["NO_DUTY_PHONE", "NO_DUTY_PHONE", "NO_PAPER"]);
    assert_eq!(fs::read(&object).unwrap(), before, "nothing was signed");
    let shown = people.gateway(&["admin", "show", &object, "--lang", "ar"]);
    assert!(says(&shown).contains("يجوز أن ترسل"), "{shown}");
}

/// A renewal without shelter, made from what a party's agent holds.
fn renews(people: &People, former: &str, case: &str) -> String {
    let held = people.path("held.json");
    people.stage.agent(AMAN, &["agreements", former, "--out", &held]).unwrap();
    let narrow = people.written("narrow.toml", &FILE.replace("\"shelter\", ", ""));
    let checked = people.gateway(&["admin", "agreement", "check", &narrow, "--renews", &held]);
    assert!(says(&checked).contains("What it changes:"), "{checked}");
    assert_eq!((&checked["revision"], &checked["supersedes"]), (&2.into(), &former.into()));
    let renewal = people.agree(&narrow, "narrow.json", &["--renews", &held]);
    people.stands(DFWAC, &renewal, &Value::Null);
    people.stands(DFWAC, former, &"AGREEMENT_SUPERSEDED".into());
    assert_eq!(people.refused_by_gateway(case), "SERVICE_NOT_AGREED");
    let explained = people.explained("shelter");
    assert_eq!(
        (&explained["turn"], &explained["verdict"]["code"]),
        (&Value::Null, &"SERVICE_NOT_AGREED".into())
    );
    let of_both: Vec<_> =
        explained["agreements"].as_array().unwrap().iter().map(|one| one["code"].as_str().unwrap()).collect();
    assert!(
        of_both.contains(&"AGREEMENT_SUPERSEDED") && of_both.contains(&"SERVICE_NOT_AGREED"),
        "{explained}"
    );
    renewal
}

/// One party stops it at once; one administrator cannot start it again, two can.
fn stops(people: &People, agreement: &str, case: &str) {
    people.stage.agent(DFWAC, &["send", case, "--wait"]).unwrap();
    let refused = people.stage.agent_refused(MOSD, &["suspend-agreement", agreement, "--reason", "security"]);
    assert_eq!(refused.unwrap()["code"], "NOT_ENOUGH_SIGNERS", "it is none of theirs");
    people.stage.agent(AMAN, &["suspend-agreement", agreement, "--reason", "agreement"]).unwrap();
    people.stands(DFWAC, agreement, &"AGREEMENT_SUSPENDED".into());
    assert_eq!(people.refused_by_gateway(case), "AGREEMENT_SUSPENDED");
    let resume = people.path("resume.json");
    people.gateway(&["admin", "resume", agreement, "--out", &resume, "--as", &people.desk("blue-1")]);
    let alone = people.stage.gateway(&["admin", "submit", &resume, "--as", &people.desk("blue-1")]);
    assert!(alone.unwrap_err().to_string().contains("NOT_ENOUGH_SIGNERS"));
    people.gateway(&["admin", "sign", &resume, "--as", &people.desk("green-2")]);
    people.gateway(&["admin", "submit", &resume, "--as", &people.desk("green-2")]);
    people.stands(DFWAC, agreement, &Value::Null);
    people.stage.agent(DFWAC, &["send", case, "--wait"]).unwrap();
}

/// The last revision ends at the second that its file says.
fn ends(people: &People, former: &str) {
    let held = people.path("held-2.json");
    people.stage.agent(DFWAC, &["agreements", former, "--out", &held]).unwrap();
    let end = TimeMs(now().0 / 1000 * 1000 + SHORT_MS);
    let moment = written(end).replace(" UTC", "Z").replacen(' ', "T", 1);
    let short = FILE.replace("valid_until = 2029-01-01", &format!("valid_until = {moment}"));
    let short = people.written("short.toml", &short);
    let checked = people.gateway(&["admin", "agreement", "check", &short, "--renews", &held]);
    assert!(codes(&checked).contains(&"ENDS_SOON"), "{checked}");
    let last = people.agree(&short, "short.json", &["--renews", &held]);
    let held = until("the last revision", || people.stage.agent(AMAN, &["agreements", &last]).ok());
    assert_eq!(held[0]["valid_until_ms"], end.0);
    people.stands(DFWAC, &last, &"AGREEMENT_ENDED".into());
    assert!(now() >= end, "not before its end");
    let case = people.case("late.json", |_| {});
    assert_eq!(people.refused_by_gateway(&case), "AGREEMENT_ENDED");
}

/// Two agencies of a sandbox, their agreement made from a file, and envelopes made by hand: so that each
/// says which agreement it relies on.
struct Hand {
    sandbox: Sandbox,
    random: Random,
    from: Agency,
    to: Agency,
    push: PushClient<Channel>,
    directory: DirectoryClient<Channel>,
}

impl Hand {
    async fn new(folder: &Path) -> Self {
        let hub = folder.join("hub");
        fs::create_dir(&hub).unwrap();
        let mut sandbox = Sandbox::make(&hub, Network::new());
        sandbox.start();
        let (to, from) = (sandbox.network.at(0).clone(), sandbox.network.at(1).clone());
        assert_eq!((from.id.as_str(), to.id.as_str()), (DFWAC, AMAN));
        let push = PushClient::new(sandbox.connect(DFWAC).await.unwrap());
        let directory = DirectoryClient::new(sandbox.connect("admin-1").await.unwrap());
        Self { sandbox, random: Random::new(4), from, to, push, directory }
    }

    async fn change(&mut self, object: wire::SignedObject) {
        match self.directory.change(object).await.unwrap().into_inner().answer.unwrap() {
            wire::change_answer::Answer::Receipt(_) => {}
            wire::change_answer::Answer::Refusal(refusal) => panic!("{}", refusal.code),
        }
    }

    /// The object that the program makes of a file, signed by both.
    async fn agree(&mut self, folder: &Path, text: &str, renews: Option<&Path>) -> (Digest, PathBuf) {
        let name = Digest::of(text.as_bytes()).to_string();
        let (file, out) = (folder.join(format!("{name}.toml")), folder.join(format!("{name}.json")));
        fs::write(&file, text).unwrap();
        let mut command = Command::new(program("gateway"));
        command.args(["admin", "agreement"]).arg(&file).arg("--out").arg(&out);
        if let Some(renews) = renews {
            command.arg("--renews").arg(renews);
        }
        assert!(command.output().unwrap().status.success());
        let made = object::read::<ObjectFile>(&out).unwrap().to_wire().unwrap();
        let digest = Whole::parse(&made.payload).unwrap().digest();
        let keys = [&self.from.key.clone(), &self.to.key.clone()];
        self.change(dsse::sign(PayloadType::Agreement, made.payload, &keys)).await;
        (digest, out)
    }

    fn header(&mut self, agreement: Digest) -> (Header, Vec<bytes::Bytes>) {
        let (from, to) = (self.from.id.clone(), self.to.id.clone());
        let (mut header, parts) = self.sandbox.network.opening(&from, &to, now(), &mut self.random);
        header.jurisdiction = Jurisdiction::parse("AE-RK", "jurisdiction").unwrap();
        (header.agreement, header.urgency) = (agreement, Urgency::Normal);
        (header, parts)
    }

    async fn taken(&mut self, (header, parts): (Header, Vec<bytes::Bytes>)) -> Receipt {
        let sent = envelope(&self.from, &header, &parts);
        let digest = digest_of(&sent);
        let receipt = receipt_of(self.push.push_one(sent).await.unwrap().into_inner());
        receipt.verify(&self.sandbox.network.policy()).unwrap();
        assert_eq!(receipt.record().what.envelope, Some(digest));
        receipt
    }

    async fn refused(&mut self, (header, parts): (Header, Vec<bytes::Bytes>)) -> String {
        let sent = envelope(&self.from, &header, &parts);
        refusal_in(&failure(self.push.push_one(sent).await)).code
    }

    async fn stop_or_start(&mut self, change: Change, signers: usize) {
        let keys = self.sandbox.network.administrators.clone();
        let keys: Vec<_> = keys.iter().take(signers).collect();
        let object = self.sandbox.network.change(change, now(), &keys);
        self.change(object).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_envelope_is_answered_by_the_agreement_that_it_relies_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut hand = Hand::new(folder.path()).await;
    let (old, paper) = hand.agree(folder.path(), FILE, None).await;
    let opening = hand.header(old);
    let referral = opening.0.referral.clone();
    let receipt = hand.taken(opening).await;
    let what = &receipt.record().what;
    let clause = Code::parse("dubai-to-rak", "clause").unwrap();
    assert_eq!(
        (what.agreement, what.clause.as_ref()),
        (Some(old), Some(&clause)),
        "it stands in the evidence"
    );

    let narrow = FILE.replace("\"shelter\", ", "");
    let (new, paper) = hand.agree(folder.path(), &narrow, Some(&paper)).await;
    let under = hand.header(old);
    assert_eq!(hand.refused(under).await, "AGREEMENT_SUPERSEDED");
    let under = hand.header(new);
    assert_eq!(hand.refused(under).await, "SERVICE_NOT_AGREED");
    let health = |hand: &mut Hand| {
        let (mut header, parts) = hand.header(new);
        header.service = Code::parse("health", "service").unwrap();
        (header, parts)
    };
    let under = health(&mut hand);
    assert_eq!(hand.taken(under).await.record().what.agreement, Some(new));

    let subject = || Some(wire::Subject { subject: Some(Subject::Agreement(new.to_vec())) });
    let reason = wire::SuspensionReason::Agreement.into();
    hand.stop_or_start(Change::Suspend(wire::Suspend { subject: subject(), reason }), 1).await;
    let under = health(&mut hand);
    assert_eq!(hand.refused(under).await, "AGREEMENT_SUSPENDED");
    hand.stop_or_start(Change::Resume(wire::Resume { subject: subject() }), 2).await;
    let under = health(&mut hand);
    hand.taken(under).await;

    // One that begins tomorrow replaces nothing today.
    let tomorrow = written(TimeMs((now().0 / 86_400_000 + 1) * 86_400_000));
    let later = narrow.replace("valid_from = 2026-01-01", &format!("valid_from = {tomorrow}"));
    let (next, _) = hand.agree(folder.path(), &later, Some(&paper)).await;
    let under = hand.header(next);
    assert_eq!(hand.refused(under).await, "AGREEMENT_NOT_YET");
    let under = health(&mut hand);
    hand.taken(under).await;

    // What was sent by the first is still told of by its name.
    let mut evidence = EvidenceClient::new(hand.sandbox.connect(DFWAC).await.unwrap());
    let request = wire::GetTimelineRequest { referral: Some(referral.to_wire()) };
    let mut timeline = evidence.get_timeline(request).await.unwrap().into_inner();
    let mut named = Vec::new();
    while let Some(bundle) = timeline.message().await.unwrap() {
        named.extend(Receipt::parse(bundle.receipt.unwrap()).unwrap().record().what.agreement);
    }
    assert_eq!(named, [old]);
    assert!(hand.sandbox.terminate());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_go_to_parties_only_and_staff_are_told_why_and_leave_evidence() {
    let folder = tempfile::tempdir().unwrap();
    let mut hand = Hand::new(folder.path()).await;
    let (digest, _) = hand.agree(folder.path(), FILE, None).await;
    for (who, may) in [(DFWAC, true), (AMAN, true), (MOSD, false), ("admin-1", false)] {
        let mut directory = DirectoryClient::new(hand.sandbox.connect(who).await.unwrap());
        let request = wire::GetAgreementRequest { agreement: digest.to_vec() };
        let answer = directory.get_agreement(request).await;
        if may {
            let text = answer.unwrap().into_inner().signed.unwrap();
            assert_eq!(Whole::parse(&text.payload).unwrap().text().title_en, TITLE);
            continue;
        }
        // Others do not learn whether there is one.
        let unknown = wire::GetAgreementRequest { agreement: Digest::of(b"none").to_vec() };
        let (said, of_none) = (failure(answer), failure(directory.get_agreement(unknown).await));
        assert_eq!(refusal_in(&said).code, refusal_in(&of_none).code, "{who}");
    }
    // Nor is anything of it in the log that everybody reads, or in what staff are told.
    let records = wire::GetRecordsRequest { from_index: 0 };
    let mut records = hand.directory.get_records(records).await.unwrap().into_inner();
    let mut logged = Vec::new();
    while let Some(record) = records.message().await.unwrap() {
        logged.extend(record.record);
    }
    assert!(!holds(&logged, TITLE) && !holds(&logged, "dubai-to-rak"));
    assert!(holds(&logged, DFWAC), "names of agencies are there");
    explains(&mut hand, digest).await;
    assert!(hand.sandbox.terminate());
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

async fn explains(hand: &mut Hand, digest: Digest) {
    let asked = wire::ExplainRequest {
        from: DFWAC.into(),
        to: AMAN.into(),
        kind: wire::Kind::Referral.into(),
        category: "child_protection".into(),
        service: "health".into(),
        urgency: wire::Urgency::Urgent.into(),
        jurisdiction: "AE-RK".into(),
    };
    let explain = async |hand: &mut Hand, asked: &wire::ExplainRequest| {
        hand.directory.explain(asked.clone()).await.unwrap().into_inner().explanations
    };
    let said = explain(hand, &asked).await;
    let verdict = said[0].verdict.clone().unwrap();
    assert_eq!(
        (said[0].turn, verdict.agreement, verdict.clause.as_str()),
        (1, digest.to_vec(), "dubai-to-rak")
    );
    let other = wire::ExplainRequest { jurisdiction: "JO".into(), ..asked.clone() };
    let said = explain(hand, &other).await;
    let verdict = said[0].verdict.clone().unwrap();
    let (refusal, codes) = (
        Refusal::JurisdictionNotAgreed,
        said[0].agreements.iter().map(|one| one.code.as_str()).collect::<Vec<_>>(),
    );
    assert_eq!((said[0].turn, verdict.code.as_str()), (0, refusal.name()));
    assert_eq!((verdict.text_en.as_str(), verdict.text_ar.as_str()), (refusal.text_en(), refusal.text_ar()));
    assert_eq!(codes.len(), 2, "that of all five agencies, and that of the two");
    let nobody = wire::ExplainRequest { to: String::new(), ..asked.clone() };
    assert!(explain(hand, &nobody).await.is_empty(), "there is no mechanism");

    // It left evidence: the newest record is the query, and names who asked.
    let mut evidence = EvidenceClient::new(hand.sandbox.connect("admin-1").await.unwrap());
    let mut last = None;
    for index in 0.. {
        match evidence.get_receipt(wire::GetReceiptRequest { index }).await {
            Ok(answer) => {
                let receipt = Receipt::parse(answer.into_inner()).unwrap();
                if receipt.record().what.event == Event::Queried {
                    last = Some(receipt.record().what.clone());
                    break;
                }
            }
            Err(status) => panic!("no record of it: {status}"),
        }
    }
    assert_eq!(last.unwrap().actor.unwrap().as_str(), "admin-1");
    // Agencies ask their own agents.
    let mut agency = DirectoryClient::new(hand.sandbox.connect(MOSD).await.unwrap());
    assert_eq!(refusal_in(&failure(agency.explain(asked.clone()).await)).code, "ROLE_NOT_ALLOWED");
    let bad = wire::ExplainRequest { jurisdiction: "nowhere".into(), ..asked };
    let malformed = failure(hand.directory.explain(bad).await);
    assert_eq!(refusal_in(&malformed).field, "jurisdiction");
}
