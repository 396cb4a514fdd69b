//! The story: five agencies found a network, and one household's referral goes its way through it,
//! with everything that can go wrong on the way. Not here: how programs are run (`stage`).

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use super::{
    harm,
    stage::{Stage, wait_for},
};
use crate::sandbox::free_address;

/// An agency of the story.
struct Cast {
    id: &'static str,
    kind: &'static str,
    name_en: &'static str,
    name_ar: &'static str,
    jurisdiction: &'static str,
}

pub(super) const DFWAC: &str = "ae.dfwac";
pub(super) const AMAN: &str = "ae-rk.aman";
pub(super) const IOM: &str = "int.iom.kw";
pub(super) const MOSD: &str = "jo.mosd";
pub(super) const SILENT: &str = "xx.example-silent";

const CAST: [Cast; 5] = [
    Cast {
        id: DFWAC,
        kind: "Shelter",
        name_en: "Dubai Foundation for Women and Children",
        name_ar: "مؤسسة دبي لرعاية النساء والأطفال",
        jurisdiction: "AE",
    },
    Cast {
        id: AMAN,
        kind: "Shelter",
        name_en: "Aman Centre for Women and Children, Ras Al Khaimah",
        name_ar: "مركز أمان لإيواء النساء والأطفال في رأس الخيمة",
        jurisdiction: "AE-RK",
    },
    Cast {
        id: IOM,
        kind: "InternationalOrganisation",
        name_en: "International Organization for Migration, mission in Kuwait",
        name_ar: "المنظمة الدولية للهجرة، بعثة الكويت",
        jurisdiction: "KW",
    },
    Cast {
        id: MOSD,
        kind: "CentralGovernmentOrganisation",
        name_en: "Ministry of Social Development, Jordan",
        name_ar: "وزارة التنمية الاجتماعية الأردنية",
        jurisdiction: "JO",
    },
    Cast {
        id: SILENT,
        kind: "NGO",
        name_en: "An agency that never answers (fiction)",
        name_ar: "جهة لا تجيب أبدًا (خيال)",
        jurisdiction: "AE",
    },
];

/// Each agreement's file, and who signs it.
const AGREEMENTS: [(&str, [&str; 2]); 4] = [
    ("ae.dfwac-ae-rk.aman.toml", [DFWAC, AMAN]),
    ("ae.dfwac-int.iom.kw.toml", [DFWAC, IOM]),
    ("int.iom.kw-jo.mosd.toml", [IOM, MOSD]),
    ("ae.dfwac-xx.example-silent.toml", [DFWAC, SILENT]),
];

/// Words of the case that must stand nowhere on the gateway's disk.
const SECRETS: [&str; 10] = [
    "ماريسول",
    "المثالية",
    "نورا",
    "Marisol",
    "971500000101",
    "00000101",
    "٠٠٤٢١٧",
    "زيتونة",
    "تقرير",
    "مأوى",
];

/// Where the duty desk in Ras Al Khaimah is told that something waits.
const TOLD: &str = "duty-desk.jsonl";

/// How many referrals are on their way when the gateway is killed.
const BURST: usize = 30;

/// Plays the story.
///
/// # Errors
/// When something does not go as it must.
pub fn story(stage: &mut Stage) -> Result<()> {
    println!(
        "\nEverything in this demo is INVENTED: the case, the people, the memoranda. The agencies' names\n\
         are taken from public sources as examples. None of them endorses this, or knows of it.\n\
         كل ما في هذا العرض مختلق. أسماء الجهات أمثلة من مصادر عامة، ولا تُقرّه أي منها."
    );
    found(stage)?;
    let referral = household(stage)?;
    refusal(stage)?;
    silence(stage)?;
    harm::danger(stage)?;
    harm::withdrawal(stage)?;
    burst(stage)?;
    nothing_readable(stage)?;
    proof(stage, &referral)?;
    how_to_talk(stage);
    Ok(())
}

pub(super) fn chapter(number: u32, title: &str) {
    println!("\n── {number}. {title} ──────────────────────────────────");
}

/// 1. A network, its agencies, their agreements.
///
/// # Errors
/// When something does not go as it must.
pub fn found(stage: &mut Stage) -> Result<()> {
    chapter(1, "Five agencies found a network");
    let hub = stage.path("hub");
    let hub = hub.to_string_lossy().into_owned();
    let (listen, metrics) = (stage.address.to_string(), stage.metrics.to_string());
    let enrolment = free_address().to_string();
    let init = ["init", &hub, "--network", "referral.example", "--host", "localhost", "--listen", &listen];
    let rest = [
        "--metrics",
        &metrics,
        "--enrolment-listen",
        &enrolment,
        "--administrator",
        "blue-1",
        "--administrator",
        "green-2",
    ];
    stage.gateway(&[&init[..], &rest[..], &["--segment-mib", "8"]].concat())?;
    stage.start_gateway()?;
    println!("  The gateway runs at {listen}. Two administrators hold its keys: blue-1 and green-2.");
    for cast in &CAST {
        admit(stage, cast, &hub)?;
        println!("  {:<18} {}  \u{2068}{}\u{2069}", cast.id, cast.name_en, cast.name_ar);
    }
    for (file, parties) in &AGREEMENTS {
        agree(stage, file, parties, &hub)?;
        println!("  agreement in force: {} and {}, signed by both", parties[0], parties[1]);
    }
    mechanism(stage, &hub)?;
    Ok(())
}

fn admit(stage: &mut Stage, cast: &Cast, hub: &str) -> Result<()> {
    let network = format!("{hub}/network.toml");
    let admission = stage.path(cast.id).join("admission.json");
    let admission = admission.to_string_lossy().into_owned();
    stage.agent(
        cast.id,
        &[
            "init",
            "--network",
            &network,
            "--agency",
            cast.id,
            "--node",
            "node-1",
            "--type",
            cast.kind,
            "--name-en",
            cast.name_en,
            "--name-ar",
            cast.name_ar,
            "--jurisdiction",
            cast.jurisdiction,
        ],
    )?;
    let (blue, green) = (format!("{hub}/administrators/blue-1"), format!("{hub}/administrators/green-2"));
    stage.gateway(&["admin", "sign", &admission, "--as", &blue])?;
    stage.gateway(&["admin", "sign", &admission, "--as", &green])?;
    stage.gateway(&["admin", "submit", &admission, "--as", &green])?;
    let certificate = stage.path(&format!("{}.pem", cast.id));
    let certificate = certificate.to_string_lossy().into_owned();
    stage.gateway(&["admin", "certify", &admission, "--gateway", hub, "--out", &certificate])?;
    stage.agent(cast.id, &["install", &certificate])?;
    if cast.id == AMAN {
        ring_at(stage, cast.id)?;
    }
    if cast.id != SILENT {
        stage.start_agent(cast.id)?;
    }
    Ok(())
}

/// Has an agency's people told when something waits: here by a line in a file.
fn ring_at(stage: &Stage, agency: &str) -> Result<()> {
    let settings = stage.path(agency).join("agent.toml");
    let told = stage.path(TOLD);
    // A list of texts is written alike in JSON and TOML.
    let command = serde_json::json!(["sh", "-c", format!("cat >> '{}'", told.display())]);
    let text = fs::read_to_string(&settings)?;
    Ok(fs::write(settings, format!("{text}\nnotices = {command}\n"))?)
}

fn agree(stage: &Stage, file: &str, parties: &[&str], hub: &str) -> Result<()> {
    let object = stage.path(&format!("{file}.json"));
    let object = object.to_string_lossy().into_owned();
    let draft = Stage::prop(file);
    stage.gateway(&["admin", "agreement", &draft.to_string_lossy(), "--out", &object])?;
    for party in parties {
        stage.agent(party, &["sign", &object])?;
    }
    stage.gateway(&["admin", "submit", &object, "--as", &format!("{hub}/administrators/blue-1")])?;
    Ok(())
}

/// The rules by which a need finds its recipient, signed by two administrators.
fn mechanism(stage: &Stage, hub: &str) -> Result<()> {
    let object = stage.path("mechanism.json");
    let object = object.to_string_lossy().into_owned();
    let draft = Stage::prop("mechanism.toml");
    stage.gateway(&["admin", "mechanism", &draft.to_string_lossy(), "--out", &object])?;
    for administrator in ["blue-1", "green-2"] {
        let name = format!("{hub}/administrators/{administrator}");
        stage.gateway(&["admin", "sign", &object, "--as", &name])?;
    }
    stage.gateway(&["admin", "submit", &object, "--as", &format!("{hub}/administrators/blue-1")])?;
    println!("  the referral mechanism, signed by both administrators: who is asked for which need");
    Ok(())
}

/// 2. The referral.
fn household(stage: &Stage) -> Result<String> {
    chapter(2, "A mother and two children need a place, tonight");
    println!(
        "  The foundation in Dubai is full. A caseworker writes the case down (tests/demo/case.json, HTCDS\n  \
         fields, in Arabic), with a medical report and a safety plan. To whom? The agent asks the agreed mechanism."
    );
    let case = stage.path("by-need.json");
    let mut document = document()?;
    document["to"] = "by_need".into();
    fs::write(&case, document.to_string())?;
    attach(&case)?;
    let case = case.to_string_lossy().into_owned();
    Stage::typed("agent", &["explain", "case.json"]);
    let choices = wait_until(stage, DFWAC, "the mechanism to reach the agent", &["explain", &case])?;
    for choice in choices.as_array().context("the choices are a list")? {
        let why = match choice["turn"].as_u64() {
            Some(turn) => format!("asked as number {turn}"),
            None => format!("{}: {}", text(choice, "code")?, text(choice, "text_en")?),
        };
        println!("    {}  {why}", text(choice, "agency")?);
    }
    Stage::typed("agent", &["send", "case.json"]);
    let sent = stage.agent(DFWAC, &["send", &case])?;
    let referral = text(&sent, "referral")?;
    ensure!(
        stage.agent(DFWAC, &["show", &referral])?["case"]["other"] == AMAN,
        "the mechanism leads to Ras Al Khaimah"
    );
    println!(
        "  Sealed on the agent's own machine, signed, taken by the gateway: referral {}",
        short(&referral)
    );
    arrives(stage, AMAN, &referral)?;
    let shown = stage.agent(AMAN, &["show", &referral])?;
    let words = shown.to_string();
    ensure!(words.contains("مأوى آمن"), "the summary has not come");
    ensure!(!words.contains("ماريسول"), "the identity came before it was accepted");
    println!(
        "  In Ras Al Khaimah the need is read, and how she can be reached safely. Who she is, is not there yet."
    );
    accepts(stage, &referral)?;
    println!("  Accepted; only now the gateway hands over the identity, which it could not read either.");
    stage.agent(AMAN, &["start", &referral])?;
    stage.agent(AMAN, &["deliver-service", &referral])?;
    stage.agent(AMAN, &["complete", &referral, "--outcome", "service_received"])?;
    wait_for("the outcome in Dubai", || status_is(stage, DFWAC, &referral, "completed"))?;
    println!(
        "  Months later in the story: completed. Dubai knows the outcome, and nothing about where they are."
    );
    Ok(referral)
}

/// 3. What no agreement allows.
fn refusal(stage: &Stage) -> Result<()> {
    chapter(3, "What no agreement allows does not leave");
    let case = stage.path("not-agreed.json");
    let mut document = document()?;
    document["to"] = MOSD.into();
    document["consent"]["agencies"] = serde_json::json!([MOSD]);
    document["jurisdiction"] = "JO".into();
    fs::write(&case, document.to_string())?;
    attach(&case)?;
    Stage::typed("agent", &["send", "not-agreed.json", "--unchecked"]);
    let path = case.to_string_lossy();
    let refusal = stage.agent_refused(DFWAC, &["send", &path, "--unchecked", "--wait"])?;
    println!("    {}", text(&refusal, "code")?);
    println!("    {}", text(&refusal, "text_en")?);
    println!("    \u{2067}{}\u{2069}", text(&refusal, "text_ar")?);
    Ok(())
}

/// In Ras Al Khaimah somebody sees a referral and accepts it; the identity follows.
fn accepts(stage: &Stage, referral: &str) -> Result<()> {
    for act in ["see", "accept"] {
        Stage::typed("agent", &[act, short(referral)]);
        stage.agent(AMAN, &[act, referral])?;
    }
    wait_for("the identity", || Ok(stage.agent(AMAN, &["show", referral])?.to_string().contains("ماريسول")))
}

/// 4. Silence, and whom she named for it.
fn silence(stage: &mut Stage) -> Result<()> {
    chapter(4, "An agency that does not answer");
    let case = stage.path("to-silence.json");
    let mut document = document()?;
    document["to"] = SILENT.into();
    document["fallbacks"] = serde_json::json!([AMAN]);
    document["consent"]["agencies"] = serde_json::json!([SILENT, AMAN]);
    document["urgency"] = "emergency".into();
    fs::write(&case, document.to_string())?;
    attach(&case)?;
    println!(
        "  She agreed to one agency, and to a second if the first is silent. Both get the case sealed for them\n  \
         alone; the second only in its turn. (Their memorandum gives an emergency seconds, for this story.)"
    );
    let sent = stage.agent(DFWAC, &["send", &case.to_string_lossy(), "--wait"])?;
    let referral = text(&sent, "referral")?;
    ensure!(status_is(stage, DFWAC, &referral, "submitted")?, "nobody can have fetched it");
    ensure!(
        !referrals(&stage.agent(AMAN, &["inbox", "--all"])?)?.contains(&referral),
        "the second agency has it before its turn"
    );
    println!("  Referral {} waits. Its sender sees: submitted, fetched by nobody.", short(&referral));
    wait_for("the next agency to be asked", || {
        Ok(stage.agent(DFWAC, &["show", &referral])?["case"]["attempt"] == 2)
    })?;
    let shown = stage.agent(DFWAC, &["show", &referral])?;
    for entry in shown["told"].as_array().context("what the sender was told")? {
        println!("    {}", line_of(entry));
    }
    ensure!(shown["case"]["other"] == AMAN, "another agency was asked");
    stage.kill_agent(DFWAC)?;
    println!("  The time limit ran out; the gateway asked {AMAN}. Dubai's agent is switched off now.");
    arrives(stage, AMAN, &referral)?;
    let mut notice = Value::Null;
    wait_for("the duty desk to be told", || {
        let told = fs::read_to_string(stage.path(TOLD)).unwrap_or_default();
        // A line may be half written.
        notice = told.lines().last().and_then(|line| serde_json::from_str(line).ok()).unwrap_or_default();
        Ok(notice["emergencies"].as_u64().is_some_and(|count| count > 0))
    })?;
    println!("  Its duty desk is told that something waits, and nothing of what:");
    println!("    {}", text(&notice, "text_en")?);
    println!("    \u{2067}{}\u{2069}", text(&notice, "text_ar")?);
    accepts(stage, &referral)?;
    println!("  Accepted, and the identity followed, though nobody in Dubai was there.");
    stage.start_agent(DFWAC)?;
    wait_for("the answer in Dubai", || status_is(stage, DFWAC, &referral, "accepted"))?;
    println!("  Dubai's agent is back, and knows: accepted, by the second.");
    Ok(())
}

/// 7. The gateway dies in the middle of a burst.
fn burst(stage: &mut Stage) -> Result<()> {
    chapter(7, "The gateway dies in the middle of a burst");
    let case = Stage::prop("case.json");
    let case = case.to_string_lossy().into_owned();
    let before = stage.agent(AMAN, &["inbox", "--all"])?;
    let before: BTreeSet<String> = referrals(&before)?.into_iter().collect();
    let mut sent = BTreeSet::new();
    for number in 0..BURST {
        if number == BURST / 2 {
            stage.kill_gateway()?;
        }
        sent.insert(text(&stage.agent(DFWAC, &["send", &case])?, "referral")?);
    }
    println!(
        "  {BURST} referrals; after {} of them: kill -9. The agents keep what they have, and try again.",
        BURST / 2
    );
    stage.start_gateway()?;
    let arrived = || -> Result<Vec<String>> {
        let inbox = stage.agent(AMAN, &["inbox", "--all"])?;
        Ok(referrals(&inbox)?.into_iter().filter(|one| !before.contains(one)).collect())
    };
    wait_for("all of them to arrive", || Ok(arrived()?.len() >= BURST))?;
    let arrived = arrived()?;
    let once: BTreeSet<String> = arrived.iter().cloned().collect();
    ensure!(once.len() == arrived.len() && once == sent, "what arrived is not what was sent, once");
    println!("  The gateway is back: all {BURST} arrived, each once.");
    Ok(())
}

/// 8. The gateway's disk.
fn nothing_readable(stage: &Stage) -> Result<()> {
    chapter(8, "The gateway's disk");
    let (mut files, mut bytes) = (0_u64, 0_u64);
    search(&stage.path("hub"), &mut |path, content| {
        files += 1;
        bytes += u64::try_from(content.len()).unwrap_or(u64::MAX);
        let found = SECRETS.iter().find(|secret| contains(content, secret.as_bytes()));
        match found {
            Some(secret) => bail!("\"{secret}\" stands in {}", path.display()),
            None => Ok(()),
        }
    })?;
    println!(
        "  {files} files, {bytes} bytes, searched for names, numbers and words of the case: none is there."
    );
    Ok(())
}

/// 9. A receipt, offline.
fn proof(stage: &Stage, referral: &str) -> Result<()> {
    chapter(9, "Proof for strangers");
    let folder = stage.path("receipts");
    fs::create_dir_all(&folder)?;
    Stage::typed("agent", &["receipt", short(referral), "--out", "receipts/"]);
    stage.agent(DFWAC, &["receipt", referral, "--out", &folder.to_string_lossy()])?;
    let mut verified = 0;
    for file in fs::read_dir(&folder)? {
        let path = file?.path();
        stage.agent(DFWAC, &["verify", &path.to_string_lossy()])?;
        verified += 1;
    }
    ensure!(verified > 0, "no receipt was exported");
    println!("  {verified} receipts, verified offline against the log's public key alone:");
    let timeline = stage.agent(DFWAC, &["timeline", referral])?;
    for entry in timeline["entries"].as_array().map(Vec::as_slice).unwrap_or_default() {
        println!("    {}", line_of(entry));
    }
    Ok(())
}

fn how_to_talk(stage: &Stage) {
    println!(
        "\nTalk to it, from another terminal in this folder:\n\
         \n    cargo run -q -p agent -- --folder {dfwac} inbox\n    cargo run -q -p agent -- --folder {aman} status\n\
         \n  logs                {logs}\n  agencies' folders   {all}/<agency>  (keys for reading: keys/)\n  \
         receipts            {all}/receipts\n  checkpoint          {all}/hub/logs/evidence/checkpoint\n  \
         metrics             http://{metrics}/metrics",
        dfwac = stage.path(DFWAC).display(),
        aman = stage.path(AMAN).display(),
        logs = stage.path("logs").display(),
        all = stage.path("").display().to_string().trim_end_matches('/'),
        metrics = stage.metrics,
    );
}

pub(super) fn document() -> Result<Value> {
    let text = fs::read_to_string(Stage::prop("case.json"))?;
    Ok(serde_json::from_str(&text)?)
}

/// Puts the case's files beside another document of it.
fn attach(document: &Path) -> Result<()> {
    let folder = document.parent().context("a file lies in a folder")?;
    for name in ["تقرير-طبي.txt", "خطة-السلامة.txt"] {
        fs::copy(Stage::prop(name), folder.join(name))?;
    }
    Ok(())
}

/// Tries a command until it works: an agent learns of a new agreement within seconds.
fn wait_until(stage: &Stage, agency: &str, what: &str, arguments: &[&str]) -> Result<Value> {
    let mut said = Value::Null;
    wait_for(what, || match stage.agent(agency, arguments) {
        Ok(value) => {
            said = value;
            Ok(true)
        }
        Err(_) => Ok(false),
    })?;
    Ok(said)
}

pub(super) fn arrives(stage: &Stage, agency: &str, referral: &str) -> Result<()> {
    wait_for("the referral to arrive", || {
        Ok(referrals(&stage.agent(agency, &["inbox", "--all"])?)?.iter().any(|one| one == referral))
    })
}

fn status_is(stage: &Stage, agency: &str, referral: &str, status: &str) -> Result<bool> {
    let shown = stage.agent(agency, &["show", referral])?;
    Ok(shown["case"]["status"] == status)
}

fn referrals(inbox: &Value) -> Result<Vec<String>> {
    let cases = inbox.as_array().context("an inbox is a list")?;
    cases.iter().map(|case| text(case, "referral")).collect()
}

pub(super) fn text(value: &Value, name: &str) -> Result<String> {
    Ok(value[name].as_str().with_context(|| format!("no {name} in {value}"))?.to_owned())
}

pub(super) fn short(referral: &str) -> &str {
    referral.get(..13).unwrap_or(referral)
}

pub(super) fn line_of(entry: &Value) -> String {
    let word = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    format!("#{:<5} {:<22} {} → {}", entry["index"], word("event"), word("sender"), word("recipient"))
}

fn contains(content: &[u8], secret: &[u8]) -> bool {
    content.windows(secret.len()).any(|window| window == secret)
}

fn search(folder: &Path, look: &mut impl FnMut(&Path, &[u8]) -> Result<()>) -> Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            search(&path, look)?;
        } else {
            look(&path, &fs::read(&path)?)?;
        }
    }
    Ok(())
}
