//! The contents of a case, written where somebody asked to read them: what is read first comes first, and each code
//! stands with its labels. Not here: who asked (`inbox`).

use std::{
    fs,
    io::{self, BufWriter, Write as _},
    path::Path,
    time::SystemTime,
};

use proto::{ids::PartClass, payload};
use serde_json::{Map, Value, json};

use super::{
    inbox::{inner, store_error},
    place,
};
use crate::{
    case::Case,
    office::{
        Office,
        show::{NotRead, ShownPart},
    },
    opening::Kept,
    words::printable,
};

/// For people.
const CONTENT: &str = "content.txt";
/// For programs.
const CONTENT_JSON: &str = "content.json";
const ATTACHMENTS: &str = "attachments";
/// Longest file name that is written: what is longer loses its beginning.
const NAME_CHARS_MAX: usize = 100;

/// When it was opened; none while it is not.
pub(super) fn opened_at(folder: &Path) -> Option<SystemTime> {
    fs::symlink_metadata(folder.join(CONTENT)).ok()?.modified().ok()
}

/// Writes everything that this side holds of a case. The text for people comes last: once it is there, all is.
pub(super) fn write(office: &Office, case: &Case, folder: &Path) -> io::Result<()> {
    let parts = office.parts(case).map_err(|fault| store_error(&fault))?;
    let read: Vec<(&ShownPart, Value)> =
        parts.iter().filter_map(|part| Some((part, json_of(part)?))).collect();
    attachments(office, case, &parts, folder)?;
    let values = read.iter().map(|(part, value)| json!({"part": class(part.class), "content": value}));
    let mut json = serde_json::to_vec_pretty(&values.collect::<Vec<_>>()).unwrap_or_default();
    json.push(b'\n');
    place::write(folder, CONTENT_JSON, &json)?;
    place::write(folder, CONTENT, &place::text(&lines(&parts, &read)))
}

/// Says that there is nothing to read any more.
pub(super) fn say_erased(folder: &Path) -> io::Result<()> {
    let said = ["The content was erased here.".to_owned(), "\u{2067}مُحي المحتوى هنا.\u{2069}".to_owned()];
    place::write(folder, CONTENT, &place::text(&said))
}

fn json_of(part: &ShownPart) -> Option<Value> {
    let open = part.content.as_ref().ok()?;
    (part.class != PartClass::Attachment).then(|| serde_json::from_slice(&open.content).ok()).flatten()
}

const fn class(class: PartClass) -> &'static str {
    match class {
        PartClass::Summary => "summary",
        PartClass::Identity => "identity",
        PartClass::Attachment => "attachment",
        PartClass::Detail => "detail",
    }
}

const fn heading(class: PartClass) -> &'static str {
    match class {
        PartClass::Summary => "SUMMARY / الملخص",
        PartClass::Identity => "IDENTITY / البيانات التعريفية",
        PartClass::Attachment => "ATTACHMENT / مرفق",
        PartClass::Detail => "DETAIL / تفاصيل",
    }
}

fn lines(parts: &[ShownPart], read: &[(&ShownPart, Value)]) -> Vec<String> {
    let mut lines = Vec::new();
    let contact = |(_, value): &(&ShownPart, Value)| value.get("summary")?.get("safe_contact").cloned();
    if let Some(contact) = read.iter().rev().find_map(contact) {
        lines.push("SAFE CONTACT, read this first / التواصل الآمن، يُقرأ أولًا".to_owned());
        tell("safe_contact", &contact, 1, &mut lines);
        lines.push(String::new());
    }
    for (part, value) in read {
        lines.push(heading(part.class).to_owned());
        tell("", value, 1, &mut lines);
        lines.push(String::new());
    }
    for part in parts {
        match &part.content {
            Ok(open) if part.class == PartClass::Attachment => {
                lines.push(format!("{}: {}", heading(part.class), printable(&open.file_name)));
            }
            Ok(_) => {}
            Err(why) => {
                lines.push(format!("{}: {why}", heading(part.class)));
                lines.push("\u{2067}تعذّر فتح هذا الجزء.\u{2069}".to_owned());
            }
        }
    }
    lines
}

/// One value, and what is in it, each on a line of its own.
fn tell(name: &str, value: &Value, depth: usize, lines: &mut Vec<String>) {
    let indent = "  ".repeat(depth);
    let mut inside = |map: &Map<String, Value>| {
        for (name, value) in map {
            match value {
                Value::Object(_) | Value::Array(_) => {
                    lines.push(format!("{indent}{}:", printable(name)));
                    tell(name, value, depth.saturating_add(1), lines);
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
                    lines.push(format!("{indent}{}: {}", printable(name), word(name, value)));
                }
            }
        }
    };
    match value {
        Value::Object(map) => inside(map),
        Value::Array(list) => {
            for (place, one) in list.iter().enumerate() {
                if one.is_object() || one.is_array() {
                    lines.push(format!("{indent}{}.", place.saturating_add(1)));
                    tell(name, one, depth.saturating_add(1), lines);
                } else {
                    lines.push(format!("{indent}- {}", word(name, one)));
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {
            lines.push(format!("{indent}{}", word(name, value)));
        }
    }
}

/// A code with its labels; a text as it stands.
fn word(name: &str, value: &Value) -> String {
    match value {
        Value::Bool(true) => "yes / نعم".to_owned(),
        Value::Bool(false) => "no / لا".to_owned(),
        Value::String(text) => {
            match payload::find(name).and_then(|field| field.form.vocabulary()?.find(text)) {
                Some(term) => format!("{} ({} / {})", term.code, term.en, term.ar),
                None => printable(text),
            }
        }
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.to_string(),
    }
}

fn attachments(office: &Office, case: &Case, parts: &[ShownPart], folder: &Path) -> io::Result<()> {
    let open = parts.iter().filter(|part| part.class == PartClass::Attachment);
    for part in open {
        let Ok(opened) = &part.content else {
            continue;
        };
        let folder = inner(folder, ATTACHMENTS)?;
        let envelope = part.envelope.to_string();
        let name =
            format!("{}-{}-{}", envelope.get(..8).unwrap_or_default(), part.part_id, safe(&opened.file_name));
        match opened.kept {
            Kept::Here => place::write(&folder, &name, &opened.content)?,
            Kept::Apart => {
                let half = folder.join(format!("{}{name}.half", place::HIDDEN));
                let mut out = BufWriter::new(place::create(&half)?);
                match office.read_part(&case.referral, (&envelope, part.part_id), &mut out) {
                    Ok(()) => out.flush().and_then(|()| fs::rename(&half, folder.join(name)))?,
                    // Half of it is worth nothing; that it does not open is told with the other parts.
                    Err(NotRead::Unknown | NotRead::NotOpened(_)) => fs::remove_file(&half)?,
                    Err(NotRead::Store(fault)) => return Err(store_error(&fault)),
                }
            }
            Kept::Not => {}
        }
    }
    Ok(())
}

/// A name that is one on every system: another agency chose it.
fn safe(name: &str) -> String {
    let barred = |c: char| {
        c.is_control()
            || r#"/\:*?"<>|"#.contains(c)
            || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let name: String = name.chars().map(|c| if barred(c) { '_' } else { c }).collect();
    let name = name.trim_matches(['.', ' ']);
    // Its end says what it is.
    name.chars().skip(name.chars().count().saturating_sub(NAME_CHARS_MAX)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_are_told_line_by_line_with_their_labels() {
        let value = json!({"summary": {"need": "a\nb", "never": ["sms"], "phone_is_shared": true,
            "household": [{"role": "child"}]}});
        let mut lines = Vec::new();
        tell("", &value, 0, &mut lines);
        assert!(lines.iter().any(|line| line.contains("need: a b")), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("- sms (")), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("phone_is_shared: yes / نعم")), "{lines:?}");
        assert!(lines.iter().any(|line| line.contains("role: child (")), "{lines:?}");
    }

    #[test]
    fn names_from_elsewhere_lead_nowhere() {
        for (name, expected) in [
            ("report.pdf", "report.pdf"),
            ("../../etc/passwd", "_.._etc_passwd"),
            ("a\u{202e}fdp.exe", "a_fdp.exe"),
            ("c:\\x", "c__x"),
            ("...", ""),
        ] {
            assert_eq!(safe(name), expected, "{name}");
        }
        assert_eq!(safe(&"x".repeat(300)).len(), NAME_CHARS_MAX);
    }
}
