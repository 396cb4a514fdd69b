//! Cases on their way between real agents: a household with an own consent, an outcome for each person, a
//! case that is referred on and her consent withdrawn after that, a need that is split, a cancellation that
//! both confirm, a recall with a signed statement that all is destroyed. Not here: the tables (`proto`).
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test that does not get what it must has failed")]

use std::{
    fs,
    process::Command,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use trials::{
    demo::{Programs, Stage, found},
    sandbox::program,
};

const DFWAC: &str = "ae.dfwac";
const AMAN: &str = "ae-rk.aman";
const IOM: &str = "int.iom.kw";
const MOSD: &str = "jo.mosd";
const SILENT: &str = "xx.example-silent";
const TIME_MAX: Duration = Duration::from_secs(120);

/// The exit code of what is refused.
const REFUSED: i32 = 3;

#[test]
fn cases_go_their_way() {
    let folder = tempfile::tempdir().unwrap();
    let programs = Programs::at(program("gateway"), program("agent"));
    let mut stage = Stage::open(programs, Some(folder.path().join("stage"))).unwrap();
    found(&mut stage).unwrap();
    household(&stage);
    onward(&mut stage);
    split(&stage);
    joint(&stage);
    cancelled_by_both(&stage);
    recalled_and_purged(&stage);
    transferred(&stage);
    withdrawn_from_all(&stage);
    kept_by_its_sender(&stage);
}

/// Looks again and again until something is so.
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < TIME_MAX, "never came: {what}");
        std::thread::yield_now();
    }
}

/// The demo's case without its files, changed.
fn case(to: &str, change: impl FnOnce(&mut Value)) -> Value {
    let text = fs::read(Stage::prop("case.json")).unwrap();
    let mut case: Value = serde_json::from_slice(&text).unwrap();
    case["to"] = to.into();
    case.as_object_mut().unwrap().remove("attachments");
    case["consent"]["agencies"] = json!([AMAN, IOM]);
    change(&mut case);
    case
}

/// Writes a document down and gives its path.
fn written(stage: &Stage, document: &Value) -> String {
    let path = stage.path("document.json");
    fs::write(&path, document.to_string()).unwrap();
    path.to_string_lossy().into_owned()
}

/// The day, UTC.
fn today() -> String {
    let output = Command::new("date").args(["-u", "+%F"]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// Sends a document; gives the answer. The agent learns of the agreements within seconds.
fn send(stage: &Stage, from: &str, document: &Value) -> Value {
    let path = written(stage, document);
    let mut sent = Value::Null;
    until("the document to be taken", || match stage.agent(from, &["send", &path, "--wait"]) {
        Ok(said) => {
            sent = said;
            true
        }
        Err(why) => {
            let known = why.to_string().contains("NO_AGREEMENT");
            assert!(known, "{why}");
            false
        }
    });
    sent
}

fn referral(sent: &Value) -> String {
    sent["referral"].as_str().unwrap().to_owned()
}

/// The pointers of a document's or an act's flaws.
fn flaws(stage: &Stage, agency: &str, arguments: &[&str]) -> Vec<String> {
    let output = Command::new(program("agent"))
        .arg("--json")
        .arg("--folder")
        .arg(stage.path(agency))
        .args(arguments)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(REFUSED), "{}", String::from_utf8_lossy(&output.stderr));
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let flaws = said["flaws"].as_array().unwrap_or_else(|| panic!("{said}"));
    assert!(flaws.iter().all(|flaw| !flaw["text_ar"].as_str().unwrap().is_empty()));
    flaws.iter().map(|flaw| flaw["pointer"].as_str().unwrap().to_owned()).collect()
}

fn show(stage: &Stage, agency: &str, referral: &str) -> Value {
    stage.agent(agency, &["show", referral]).unwrap_or_default()
}

fn status_is(stage: &Stage, agency: &str, referral: &str, status: &str) -> bool {
    show(stage, agency, referral)["case"]["status"] == status
}

/// How often an act stands in a case.
fn acts(stage: &Stage, agency: &str, referral: &str, act: &str) -> usize {
    let shown = show(stage, agency, referral);
    let steps = shown["steps"].as_array().map(Vec::as_slice).unwrap_or_default();
    steps.iter().filter(|step| step["act"] == act).count()
}

fn act(stage: &Stage, agency: &str, arguments: &[&str]) {
    stage.agent(agency, &[arguments, &["--wait"]].concat()).unwrap();
}

/// An act in every referral of a thread; in how many it was taken.
fn everywhere(stage: &Stage, agency: &str, arguments: &[&str]) -> usize {
    let output = Command::new(program("agent"))
        .args(["--json", "--folder", stage.path(agency).to_str().unwrap()])
        .args(arguments)
        .args(["--all", "--wait"])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().filter(|line| line.contains("\"standing\":\"taken\"")).count()
}

fn accepted(stage: &Stage, agency: &str, referral: &str) {
    until("the referral to arrive", || stage.agent(agency, &["show", referral]).is_ok());
    act(stage, agency, &["see", referral]);
    act(stage, agency, &["accept", referral]);
    until("the identity", || show(stage, agency, referral).to_string().contains("ماريسول"));
}

/// Three agencies work on one case: each knows of the others, and whoever opened it keeps the thread.
fn joint(stage: &Stage) {
    let thread = case(AMAN, |case| {
        let legal = json!({"to": IOM, "service": "legal", "jurisdiction": "KW"});
        (case["joint"], case["split"]) = (true.into(), json!([{"to": AMAN}, legal]));
    });
    let sent = send(stage, DFWAC, &thread);
    let (first, second) = (referral(&sent), sent["others"][0].as_str().unwrap().to_owned());
    for (agency, one, other) in [(AMAN, &first, IOM), (IOM, &second, AMAN)] {
        until("the referral to arrive", || show(stage, agency, one).to_string().contains("joint_with"));
        let told = show(stage, agency, one).to_string().replace('\\', "");
        assert!(told.contains(&format!("\"joint_with\":[\"{other}\"]")), "{told}");
        act(stage, agency, &["accept", one]);
        until("the answer", || status_is(stage, DFWAC, one, "accepted"));
    }
    let notes = |agency: &str, one: &str| acts(stage, agency, one, "note");
    stage.agent(IOM, &["note", &second, "--note", "The papers are ready.", "--wait"]).unwrap();
    until("what Kuwait says", || notes(DFWAC, &second) == 1);
    assert_eq!(everywhere(stage, DFWAC, &["note", &first, "--note", "Her papers are ready."]), 2);
    until("the note at both", || notes(AMAN, &first) == 1 && notes(IOM, &second) == 2);

    // A third joins later; she must have named all whom it hears of.
    let joins = |named: &[&str]| {
        case(SILENT, |case| {
            case["joins"] = second.as_str().into();
            case["consent"]["agencies"] = json!(named);
        })
    };
    let refused = flaws(stage, DFWAC, &["send", &written(stage, &joins(&[SILENT, AMAN]))]);
    assert_eq!(refused, ["/summary/joint_with/1"], "she did not name Kuwait");
    let third = referral(&send(stage, DFWAC, &joins(&[SILENT, AMAN, IOM])));
    let tied = show(stage, DFWAC, &first)["tied"].as_array().unwrap().len();
    assert_eq!(tied, 2, "the thread has three");
    let not_ours = case(DFWAC, |case| {
        (case["joins"], case["consent"]["agencies"]) = (first.as_str().into(), json!([DFWAC]));
    });
    assert_eq!(
        flaws(stage, AMAN, &["send", &written(stage, &not_ours)]),
        ["/joins"],
        "who opened it keeps it"
    );

    assert_eq!(everywhere(stage, DFWAC, &["withdraw-consent", &third]), 3);
    for (agency, one) in [(AMAN, &first), (IOM, &second)] {
        until("the withdrawal", || acts(stage, agency, one, "withdraw-consent") == 1);
    }
    let late = flaws(stage, DFWAC, &["send", &written(stage, &joins(&[SILENT, AMAN, IOM]))]);
    assert_eq!(late, ["/joins"], "nobody joins after a withdrawal");
}

/// The second child's guardian agreed to another agency only: so the child is left out, or nothing goes.
fn household(stage: &Stage) {
    let numbered = |case: &mut Value| {
        for list in ["/summary/household", "/identity/persons"] {
            for (place, one) in (1..).zip(case.pointer_mut(list).unwrap().as_array_mut().unwrap()) {
                one["person"] = format!("p{place}").into();
            }
        }
        case["consent"]["own_consents"] = json!([{
            "person": "p3", "basis": "guardian_consent_child_assent", "identity_allowed": true,
            "agencies": [IOM], "given_on": "2026-11-20", "child_assent": true, "guardian_suspected": false
        }]);
    };
    let document = case(AMAN, numbered);
    let found = flaws(stage, DFWAC, &["send", &written(stage, &document)]);
    assert_eq!(
        found,
        ["/consent/own_consents/0/agencies", "/summary/household/2", "/identity/persons/2"],
        "the third person's own consent does not name this recipient"
    );
    let without = case(AMAN, |case| {
        numbered(case);
        case["summary"]["household"].as_array_mut().unwrap().pop();
        case["identity"]["persons"].as_array_mut().unwrap().pop();
        case["consent"].as_object_mut().unwrap().remove("own_consents");
    });
    let referral = referral(&send(stage, DFWAC, &without));
    accepted(stage, AMAN, &referral);
    act(stage, AMAN, &["start", &referral]);
    let stranger = ["complete", &referral, "--person", "p3=service_received"];
    assert_eq!(flaws(stage, AMAN, &stranger), ["/outcomes/0/person"], "nobody of the case");
    let wrong = ["complete", &referral, "--outcome", "service_received", "--person", "p2=could_not_contact"];
    assert_eq!(flaws(stage, AMAN, &wrong), ["/outcome"]);
    let persons = ["--person", "p1=service_received", "--person", "p2=could_not_contact"];
    act(stage, AMAN, &[&["complete", &referral][..], &persons].concat());
    until("the outcome", || status_is(stage, DFWAC, &referral, "completed"));
    assert_eq!(
        show(stage, DFWAC, &referral)["outcomes"],
        json!([
            {"person": "p1", "outcome": "service_received"},
            {"person": "p2", "outcome": "could_not_contact"},
        ])
    );
    // The evidence says what came of it for all, and no more.
    let timeline = stage.agent(DFWAC, &["timeline", &referral]).unwrap().to_string();
    for word in ["p1", "p2", "could_not_contact"] {
        assert!(!timeline.contains(word), "{word}: {timeline}");
    }
}

/// Kuwait refers the case on to Jordan; then she withdraws her consent in Dubai.
fn onward(stage: &mut Stage) {
    let to_kuwait = case(IOM, |case| {
        case["jurisdiction"] = "KW".into();
        case["service"] = "legal".into();
    });
    let first = referral(&send(stage, DFWAC, &to_kuwait));
    let on = |named: &[&str], given_on: &str| {
        case(MOSD, |case| {
            case["jurisdiction"] = "JO".into();
            case["onward_of"] = first.as_str().into();
            case["consent"]["agencies"] = json!(named);
            case["consent"]["given_on"] = given_on.into();
        })
    };
    until("the referral to arrive", || stage.agent(IOM, &["show", &first]).is_ok());
    let refused = |document: &Value| flaws(stage, IOM, &["send", &written(stage, document)]);
    assert_eq!(refused(&on(&[MOSD], "2026-11-20")), ["/onward_of"], "not accepted yet");
    accepted(stage, IOM, &first);
    assert_eq!(refused(&on(&[MOSD], "2026-11-20")), ["/consent/agencies/0"], "she never named it");
    let back = case(DFWAC, |case| case["onward_of"] = first.as_str().into());
    assert!(!refused(&back).is_empty(), "never back to whom it came from");
    assert_eq!(refused(&on(&[MOSD], "2099-01-01")), ["/consent/agencies/0"], "nobody was asked tomorrow");
    let asked = on(&[MOSD], &today());
    let second = referral(&send(stage, IOM, &asked));
    accepted(stage, MOSD, &second);

    let note = ["note", &first, "--note", "She is with jo.mosd now."];
    assert_eq!(flaws(stage, IOM, &note), ["/note"], "Dubai does not learn where she went next");

    stage.kill_agent(IOM).unwrap();
    act(stage, DFWAC, &["withdraw-consent", &first]);
    stage.start_agent(IOM).unwrap();
    until("the withdrawal in Jordan", || acts(stage, MOSD, &second, "withdraw-consent") == 1);
    stage.restart_agent(IOM).unwrap();
    assert_eq!(show(stage, IOM, &first)["tied"][0]["withdrawal"], "on");
    assert_eq!(show(stage, IOM, &first)["tied"][0]["referral"], second.as_str());
    let early = flaws(stage, IOM, &["confirm-withdrawal", &first]);
    assert_eq!(early, [""], "Jordan has not confirmed");
    assert_eq!(flaws(stage, IOM, &["send", &written(stage, &asked)]), ["/onward_of"], "nothing more goes on");
    act(stage, MOSD, &["confirm-withdrawal", &second]);
    until("Jordan's word in Kuwait", || show(stage, IOM, &first)["tied"][0]["withdrawal"] == "confirmed");
    assert_eq!(acts(stage, MOSD, &second, "withdraw-consent"), 1, "once, also after a restart");
    assert_eq!(acts(stage, DFWAC, &first, "confirm-withdrawal"), 0, "nobody spoke for Kuwait");
    act(stage, IOM, &["confirm-withdrawal", &first]);
    until("Kuwait's word in Dubai", || acts(stage, DFWAC, &first, "confirm-withdrawal") == 1);

    // Neither Dubai nor the evidence says that there is a second referral.
    let known = [
        show(stage, DFWAC, &first).to_string(),
        stage.agent(DFWAC, &["timeline", &first]).unwrap().to_string(),
        stage.agent(DFWAC, &["inbox", "--all", "--sent"]).unwrap().to_string(),
    ];
    for text in known {
        assert!(!text.contains(&second) && !text.contains(MOSD), "{text}");
    }
    let far = [
        show(stage, MOSD, &second).to_string(),
        stage.agent(IOM, &["timeline", &second]).unwrap().to_string(),
    ];
    for text in far {
        assert!(!text.contains(&first), "{text}");
    }
}

/// Shelter by one agency and legal help by another: two referrals, which only the sender knows to be one.
fn split(stage: &Stage) {
    let mut document = case(AMAN, |_| {});
    let top = document.as_object_mut().unwrap();
    for name in ["to", "service", "jurisdiction"] {
        top.remove(name);
    }
    top.insert(
        "split".into(),
        json!([
            {"to": AMAN, "service": "shelter", "jurisdiction": "AE-RK"},
            {"to": IOM, "service": "legal", "jurisdiction": "KW", "summary": {"need": "أوراق الإقامة"}},
        ]),
    );
    let mut flawed = document.clone();
    flawed["split"][1]["service"] = "nothing".into();
    let before = stage.agent(DFWAC, &["inbox", "--all", "--sent"]).unwrap();
    assert_eq!(flaws(stage, DFWAC, &["send", &written(stage, &flawed)]), ["/split/1/service"]);
    let after = stage.agent(DFWAC, &["inbox", "--all", "--sent"]).unwrap();
    assert_eq!(before, after, "of a split need all is sent, or nothing");

    let path = written(stage, &document);
    let sent = stage.agent(DFWAC, &["send", &path, "--wait", "--key", "split-1"]).unwrap();
    let (first, second) = (referral(&sent), sent["others"][0].as_str().unwrap().to_owned());
    let again = stage.agent(DFWAC, &["send", &path, "--wait", "--key", "split-1"]).unwrap();
    assert_eq!(
        (&again["referral"], &again["others"]),
        (&sent["referral"], &sent["others"]),
        "once, under its key"
    );
    until("both to arrive", || {
        stage.agent(AMAN, &["show", &first]).is_ok() && stage.agent(IOM, &["show", &second]).is_ok()
    });
    let shown = show(stage, DFWAC, &second);
    assert_eq!((&shown["tied"][0]["referral"], &shown["tied"][0]["tie"]), (&json!(first), &json!("split")));
    for (agency, here, other) in [(AMAN, &first, &second), (IOM, &second, &first)] {
        assert!(!show(stage, agency, here).to_string().contains(other.as_str()));
        let timeline = stage.agent(agency, &["timeline", here]).unwrap().to_string();
        assert!(!timeline.contains(other.as_str()));
    }
}

fn accepted_in_rak(stage: &Stage) -> String {
    let referral = referral(&send(stage, DFWAC, &case(AMAN, |_| {})));
    accepted(stage, AMAN, &referral);
    until("the acceptance in Dubai", || status_is(stage, DFWAC, &referral, "accepted"));
    referral
}

/// What one side asks, the other agrees to, or does not.
fn cancelled_by_both(stage: &Stage) {
    let referral = accepted_in_rak(stage);
    act(stage, DFWAC, &["request-cancel", &referral]);
    until("the request", || status_is(stage, AMAN, &referral, "cancel_requested"));
    act(stage, AMAN, &["refuse-cancel", &referral]);
    until("the no", || status_is(stage, DFWAC, &referral, "accepted"));
    act(stage, DFWAC, &["request-cancel", &referral]);
    until("the request", || status_is(stage, AMAN, &referral, "cancel_requested"));
    assert!(!status_is(stage, DFWAC, &referral, "cancelled"), "one alone cancels nothing");
    act(stage, AMAN, &["confirm-cancel", &referral]);
    until("the yes", || status_is(stage, DFWAC, &referral, "cancelled"));
    assert!(status_is(stage, AMAN, &referral, "cancelled"));
}

/// What went to the wrong agency: its people state that it is destroyed, signed, and anybody can check that
/// they did.
fn recalled_and_purged(stage: &Stage) {
    let referral = accepted_in_rak(stage);
    act(stage, DFWAC, &["recall", &referral]);
    until("the recall", || status_is(stage, AMAN, &referral, "recalled"));
    assert!(show(stage, AMAN, &referral).to_string().contains("ماريسول"));
    act(stage, AMAN, &["confirm-purge", &referral]);
    assert_eq!(show(stage, AMAN, &referral)["parts"], json!([]), "what is destroyed is not shown");
    until("the statement in Dubai", || acts(stage, DFWAC, &referral, "confirm-purge") == 1);
    let timeline = stage.agent(DFWAC, &["timeline", &referral]).unwrap();
    let entries = timeline["entries"].as_array().unwrap();
    let purged = entries.iter().find(|entry| entry["event"] == "purged").unwrap();
    assert_eq!((&purged["sender"], &purged["act"]), (&json!(AMAN), &json!("confirm-purge")));
    // The statement is an envelope that the agency signed; its receipts are checked with network.toml alone.
    let out = stage.path("receipts").to_string_lossy().into_owned();
    let written = stage.agent(DFWAC, &["receipt", &referral, "--out", &out]).unwrap();
    let network = stage.path("hub/network.toml").to_string_lossy().into_owned();
    for receipt in written.as_array().unwrap() {
        let file = receipt["file"].as_str().unwrap();
        let checked = stage.agent(AMAN, &["verify", file, "--network", &network]).unwrap();
        assert_eq!(checked[0]["good"], true);
    }
}

/// An acceptance leaves the case where it was; a transfer, offered and accepted, moves it.
fn transferred(stage: &Stage) {
    let referral = accepted_in_rak(stage);
    let answers = |agency: &str| show(stage, agency, &referral)["case"]["answers_for_it"].clone();
    assert_eq!(answers(AMAN), DFWAC);
    act(stage, DFWAC, &["offer-transfer", &referral]);
    until("the offer", || acts(stage, AMAN, &referral, "offer-transfer") == 1);
    assert_eq!(answers(AMAN), DFWAC, "an offer moves nothing");
    act(stage, AMAN, &["accept-transfer", &referral]);
    until("the case to move", || answers(DFWAC) == AMAN);
    assert_eq!(answers(AMAN), AMAN);
    let refused = stage.agent_refused(DFWAC, &["recall", &referral, "--unchecked", "--wait"]).unwrap();
    assert_eq!(refused["code"], "ACT_NOT_LEGAL", "it is not Dubai's any more");
}

/// Whoever was asked before has the case, too.
fn withdrawn_from_all(stage: &Stage) {
    let referral = referral(&send(stage, DFWAC, &case(AMAN, |_| {})));
    until("the referral to arrive", || stage.agent(AMAN, &["show", &referral]).is_ok());
    act(stage, AMAN, &["decline", &referral, "--reason", "safety_concern"]);
    until("the answer in Dubai", || status_is(stage, DFWAC, &referral, "declined"));
    let second = case(IOM, |case| {
        case["jurisdiction"] = "KW".into();
        case["service"] = "legal".into();
    });
    act(stage, DFWAC, &["send", &written(stage, &second), "--again", &referral]);
    until("the second attempt to arrive", || stage.agent(IOM, &["show", &referral]).is_ok());
    act(stage, DFWAC, &["withdraw-consent", &referral]);
    for agency in [IOM, AMAN] {
        until("the withdrawal", || acts(stage, agency, &referral, "withdraw-consent") == 1);
    }
    let shown = show(stage, AMAN, &referral);
    for part in ["case", "steps", "told"] {
        assert!(!shown[part].to_string().contains(IOM), "nor who was asked after: {}", shown[part]);
    }
    act(stage, AMAN, &["confirm-withdrawal", &referral]);
    act(stage, IOM, &["confirm-withdrawal", &referral]);
    until("both words in Dubai", || acts(stage, DFWAC, &referral, "confirm-withdrawal") == 2);
}

/// By this agreement identity stays with its sender: neither sent nor parked, until a person sends it.
fn kept_by_its_sender(stage: &Stage) {
    let text = fs::read_to_string(Stage::prop("int.iom.kw-jo.mosd.toml")).unwrap().replace(IOM, AMAN);
    let keeps = "disclosure = \"on_acceptance\"\nsender_keeps_identity = true";
    let (draft, object) = (stage.path("kept.toml"), stage.path("kept.json"));
    fs::write(&draft, text.replace("disclosure = \"on_acceptance\"", keeps)).unwrap();
    let (draft, object) = (draft.to_str().unwrap(), object.to_str().unwrap());
    stage.gateway(&["admin", "agreement", draft, "--out", object]).unwrap();
    for party in [AMAN, MOSD] {
        stage.agent(party, &["sign", object]).unwrap();
    }
    let administrator = stage.path("hub/administrators/blue-1");
    stage.gateway(&["admin", "submit", object, "--as", administrator.to_str().unwrap()]).unwrap();

    let document = case(MOSD, |case| {
        case["jurisdiction"] = "JO".into();
        case["consent"]["agencies"] = json!([MOSD]);
    });
    let referral = referral(&send(stage, AMAN, &document));
    until("the referral to arrive", || stage.agent(MOSD, &["show", &referral]).is_ok());
    act(stage, MOSD, &["accept", &referral]);
    until("the answer", || status_is(stage, AMAN, &referral, "accepted"));
    let evidence = stage.agent(MOSD, &["timeline", &referral]).unwrap().to_string();
    assert!(!evidence.contains("DISCLOSURE_RELEASED"), "nothing was parked: {evidence}");
    assert!(!show(stage, MOSD, &referral).to_string().contains("ماريسول"), "it stays in Ras Al Khaimah");
    assert!(show(stage, AMAN, &referral).to_string().contains("ماريسول"), "there it is");

    let mut with_file = document;
    fs::write(stage.path("letter.txt"), "A letter.").unwrap();
    with_file["attachments"] = json!([{"file": "letter.txt"}]);
    let refused = flaws(stage, AMAN, &["send", &written(stage, &with_file)]);
    assert_eq!(refused, ["/attachments/0"], "it goes with the disclosure");

    let letter = stage.path("letter.txt");
    act(stage, AMAN, &["disclose", &referral, "--attach", letter.to_str().unwrap()]);
    until("the identity", || {
        let shown = show(stage, MOSD, &referral).to_string();
        shown.contains("ماريسول") && shown.contains("letter.txt")
    });
}
