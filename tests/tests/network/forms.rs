//! Forms and mappings with the real program: an empty form says what is missing and is sent once it is filled in; a
//! spreadsheet's rows become documents, and what is missing is said without what stood there.
#![allow(clippy::unwrap_used, reason = "a test that does not get what it must has failed")]

use std::{fs, path::Path, process::Command};

use serde_json::Value;
use trials::{demo::Stage, sandbox::program};

use crate::staged::{stage, until};

const FROM: &str = "ae.dfwac";

const MAPPING: &str = r#"
delimiter = ";"
ignored = ["File number"]
[field."/to"]
value = "ae-rk.aman"
[field."/category"]
column = "Type of case"
codes = { "Trafficking in persons" = "trafficking" }
[field."/service"]
value = "shelter"
[field."/urgency"]
value = "urgent"
[field."/jurisdiction"]
value = "AE-RK"
[field."/consent/basis"]
value = "informed_consent_adult"
[field."/consent/identity_allowed"]
column = "May we share her name"
yes = ["yes", "نعم"]
no = ["no", "لا"]
[field."/consent/given_on"]
column = "Consent"
date = "day-month-year"
[field."/summary/need"]
column = "What she needs"
[field."/summary/safe_contact/who"]
value = "the case worker"
[field."/summary/safe_contact/when"]
column = "When to call"
[field."/summary/safe_contact/language"]
value = "ar"
[field."/summary/safe_contact/never"]
column = "Never by"
list = ","
codes = { "SMS" = "sms", "telephone" = "phone_call" }
[field."/summary/safe_contact/phone_is_shared"]
value = false
"#;

const ROWS: &str = "\u{feff}File number;Type of case;May we share her name;Consent;What she needs;When to call;Never by\n\
17;Trafficking in persons;نعم;20.11.2026;A safe place;mornings;SMS, telephone\n\
18;Planted words;perhaps;soon;;mornings;SMS\n";

fn agent(arguments: &[&str]) -> (i32, Value) {
    let output = Command::new(program("agent")).arg("--json").args(arguments).output().unwrap();
    (output.status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap_or_default())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

#[test]
fn a_form_is_sent_once_it_is_filled_in_and_a_row_once_nothing_is_missing() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = stage(folder.path());
    let case = Stage::prop("message.json");
    until("the agreement reaches the agent", || stage.agent(FROM, &["explain", &text(&case)]).ok());

    // A form in either language: as it comes it says what is missing, and it is taken as it is once it is whole.
    for lang in ["en", "ar"] {
        let form = folder.path().join(format!("form-{lang}.toml"));
        assert_eq!(agent(&["new", "message", "--lang", lang, "--out", &text(&form)]).0, 0);
        assert_eq!(agent(&["new", "message", "--out", &text(&form)]).0, 2, "nothing is written over");
        let (code, said) = agent(&["check", &text(&form)]);
        assert!(code == 3 && said["flaws"].as_array().unwrap().len() >= 5, "{said}");
        let values = [
            ("to", "ae-rk.aman"),
            ("category", "trafficking"),
            ("service", "shelter"),
            ("urgency", "normal"),
            ("jurisdiction", "AE-RK"),
            ("message", "Closed on Thursday."),
        ];
        let filled = values.iter().fold(fs::read_to_string(&form).unwrap(), |text, (name, value)| {
            text.replace(&format!("\n{name} = \"\""), &format!("\n{name} = \"{value}\""))
        });
        fs::write(&form, filled).unwrap();
        let (code, said) = agent(&["check", &text(&form)]);
        assert_eq!(code, 0, "{said}");
        let sent = stage.agent(FROM, &["send", &text(&form), "--wait"]).unwrap();
        assert_eq!(sent["standing"], "taken");
    }
    let (code, schema) = agent(&["schema", "--lang", "ar"]);
    assert!(code == 0 && schema["properties"]["summary"]["properties"]["need"]["title"] == "الاحتياج");

    // A dry run says what is missing and writes nothing; then what is whole is written, and sent.
    let (mapping, rows) = (folder.path().join("ministry.toml"), folder.path().join("cases.csv"));
    fs::write(&mapping, MAPPING).unwrap();
    fs::write(&rows, ROWS).unwrap();
    let (code, said) = agent(&["map", &text(&mapping), &text(&rows)]);
    assert_eq!((code, &said["files"]), (3, &Value::Array(Vec::new())), "{said}");
    assert_eq!((&said["rows"][0]["good"], &said["rows"][1]["good"]), (&true.into(), &false.into()), "{said}");
    let codes: Vec<_> =
        said["rows"][1]["problems"].as_array().unwrap().iter().map(|one| &one["code"]).collect();
    assert_eq!(codes, ["NO_CODE", "NOT_A_DATE", "NOT_YES_OR_NO"]);
    assert!(said["rows"][1]["flaws"].to_string().contains("/summary/need"), "{said}");
    assert!(!said.to_string().contains("Planted") && !said.to_string().contains("perhaps"), "{said}");
    let out = folder.path().join("documents");
    let (code, said) = agent(&["map", &text(&mapping), &text(&rows), "--row", "1", "--out", &text(&out)]);
    assert_eq!(code, 0, "{said}");
    let sent = stage.agent(FROM, &["send", &text(&out.join("row-1.json")), "--wait"]).unwrap();
    assert_eq!(sent["standing"], "taken");
    stage.end().unwrap();
}
