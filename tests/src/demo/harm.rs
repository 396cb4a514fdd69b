//! The chapters of the story in which going on would do harm: a danger that is true of every agency, and a
//! consent that is taken back. Not here: how programs are run (`stage`).

use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, ensure};
use proto::{calendar::written, ids::TimeMs};
use serde_json::{Value, json};

use super::{
    stage::{Stage, wait_for},
    story::{AMAN, DFWAC, IOM, MOSD, SILENT, arrives, chapter, document, line_of, short, text},
};

/// 5. A decline that says that somebody is in danger.
pub(super) fn danger(stage: &Stage) -> Result<()> {
    chapter(5, "A decline for her safety");
    let referral = sends(stage, DFWAC, |case| {
        case["fallbacks"] = json!([SILENT]);
        case["consent"]["agencies"] = json!([AMAN, SILENT]);
        Ok(())
    })?;
    arrives(stage, AMAN, &referral)?;
    println!(
        "  In Ras Al Khaimah somebody knows that the man who looks for her works next door. They say no, and\n  \
         why: sealed for Dubai alone. The gateway reads only that it is for another reason than room."
    );
    Stage::typed("agent", &["decline", short(&referral), "--reason", "safety_concern"]);
    stage.agent(AMAN, &["decline", &referral, "--reason", "safety_concern", "--wait"])?;
    let mut stopped = Value::Null;
    wait_for("word that nobody else is asked", || {
        let shown = stage.agent(DFWAC, &["show", &referral])?;
        let told = shown["told"].as_array().context("what the sender was told")?;
        stopped = told.iter().find(|one| one["event"] == "escalation_stopped").cloned().unwrap_or_default();
        Ok(!stopped.is_null())
    })?;
    println!("    {}", line_of(&stopped));
    let shown = stage.agent(DFWAC, &["show", &referral])?;
    ensure!(shown["case"]["attempt"] == 1 && shown["case"]["other"] == AMAN, "somebody else was asked");
    ensure!(shown.to_string().contains("safety_concern"), "Dubai does not learn why");
    println!(
        "  Whoever was named for silence is not asked: what is dangerous there may be dangerous anywhere. It\n  \
         stops, and a person in Dubai, who reads the reason, decides."
    );
    Ok(())
}

/// 6. A consent that is withdrawn after the case has gone on.
pub(super) fn withdrawal(stage: &Stage) -> Result<()> {
    chapter(6, "She withdraws her consent");
    let first = sends(stage, DFWAC, |case| {
        (case["to"], case["jurisdiction"], case["service"]) = (IOM.into(), "KW".into(), "legal".into());
        case["consent"]["agencies"] = json!([IOM]);
        Ok(())
    })?;
    accepts(stage, IOM, &first)?;
    let second = sends(stage, IOM, |case| {
        (case["to"], case["jurisdiction"]) = (MOSD.into(), "JO".into());
        case["onward_of"] = first.as_str().into();
        case["consent"]["agencies"] = json!([MOSD]);
        case["consent"]["given_on"] = today()?.into();
        Ok(())
    })?;
    accepts(stage, MOSD, &second)?;
    println!(
        "  Dubai has referred her to Kuwait, and Kuwait, whom she asked for that, on to Jordan. Dubai does not\n  \
         know of Jordan, nor does the gateway that one follows from the other. Now she changes her mind."
    );
    Stage::typed("agent", &["withdraw-consent", short(&first)]);
    stage.agent(DFWAC, &["withdraw-consent", &first, "--wait"])?;
    let has = |agency: &str, referral: &str, act: &str| -> Result<bool> {
        let shown = stage.agent(agency, &["show", referral])?;
        let steps = shown["steps"].as_array().context("a case has steps")?;
        Ok(steps.iter().any(|step| step["act"] == act))
    };
    wait_for("the withdrawal in Jordan", || has(MOSD, &second, "withdraw-consent"))?;
    println!("  Kuwait's agent has passed it on to Jordan by itself, before anybody looked.");
    for (agency, referral, other) in [(MOSD, &second, IOM), (IOM, &first, DFWAC)] {
        println!("  {agency}:");
        Stage::typed("agent", &["confirm-withdrawal", short(referral)]);
        // Not before whoever it was referred on to has said so.
        wait_for("what must be confirmed first", || {
            Ok(stage.agent(agency, &["confirm-withdrawal", referral, "--wait"]).is_ok())
        })?;
        wait_for("its word", || has(other, referral, "confirm-withdrawal"))?;
    }
    let known = stage.agent(DFWAC, &["show", &first])?.to_string();
    ensure!(!known.contains(MOSD) && !known.contains(&second), "Dubai learned where she went next");
    println!("  Every receiver has confirmed, each to whom it had the case from. Nothing goes on from here.");
    Ok(())
}

/// Sends the story's case, changed, without its files.
fn sends(stage: &Stage, from: &str, change: impl FnOnce(&mut Value) -> Result<()>) -> Result<String> {
    let path = stage.path("changed-case.json");
    let mut case = document()?;
    case.as_object_mut().context("a document is an object")?.remove("attachments");
    change(&mut case)?;
    std::fs::write(&path, case.to_string())?;
    text(&stage.agent(from, &["send", &path.to_string_lossy(), "--wait"])?, "referral")
}

fn accepts(stage: &Stage, agency: &str, referral: &str) -> Result<()> {
    arrives(stage, agency, referral)?;
    stage.agent(agency, &["accept", referral, "--wait"])?;
    wait_for("the identity", || Ok(stage.agent(agency, &["show", referral])?.to_string().contains("ماريسول")))
}

fn today() -> Result<String> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
    let written = written(TimeMs(u64::try_from(now.as_millis())?));
    Ok(written.get(..10).context("a date comes first")?.to_owned())
}
