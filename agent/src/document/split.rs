//! One need that no one agency covers, as several documents: what stands once holds for all, and each says
//! for itself what differs. Not here: how they are kept together (`state::Tie`).

use std::collections::BTreeSet;

use proto::{ids::TimeMs, payload::List};
use serde_json::{Map, Value};

use super::{Document, File, Flaw, What, base_name, joint, object, read_object, shape};

/// Most referrals into which one need is split.
pub const SPLIT_MAX: usize = 8;
/// Fewest: one alone is not split.
const SPLIT_MIN: usize = 2;

/// What a part may say for itself. Her consent is one for all: it names every agency.
const OWN: List = &[
    "to",
    "fallbacks",
    "exclude",
    "category",
    "service",
    "urgency",
    "jurisdiction",
    "expires_days",
    "summary",
    "identity",
    "attachments",
];

/// Reads a document, or the documents into which it is split, with the files that came with them. Of a split
/// one, each takes the files that it lists.
///
/// # Errors
/// Every [`Flaw`], in the order of the document.
pub fn read_all(text: &[u8], files: Vec<File>, now: TimeMs) -> Result<Vec<Document>, Vec<Flaw>> {
    let mut top = object(text)?;
    match top.remove("split") {
        None => Ok(vec![read_object(&top, files, now)?]),
        Some(Value::Array(parts)) if (SPLIT_MIN..=SPLIT_MAX).contains(&parts.len()) => {
            let is_joint = is_joint(&mut top)?;
            let mut documents = read_parts(&top, &parts, &files, now)?;
            let flaws = if is_joint { joint::all(&mut documents) } else { Vec::new() };
            if flaws.is_empty() { Ok(documents) } else { Err(flaws) }
        }
        Some(_) => {
            let what = What::Form { expected: "a list of 2 to 8 objects, one for each referral" };
            Err(vec![Flaw::new("/split", what)])
        }
    }
}

/// Whether those to whom it goes work together and know of each other.
fn is_joint(top: &mut Map<String, Value>) -> Result<bool, Vec<Flaw>> {
    if top.contains_key("joins") {
        let what = What::Form { expected: "one referral, and not a split one" };
        return Err(vec![Flaw::new("/joins", what)]);
    }
    match top.remove("joint") {
        None => Ok(false),
        Some(Value::Bool(is_joint)) => Ok(is_joint),
        Some(_) => Err(vec![Flaw::new("/joint", What::Form { expected: "true or false" })]),
    }
}

fn read_parts(
    top: &Map<String, Value>,
    parts: &[Value],
    files: &[File],
    now: TimeMs,
) -> Result<Vec<Document>, Vec<Flaw>> {
    let mut flaws: Vec<Flaw> = Vec::new();
    let mut documents = Vec::with_capacity(parts.len());
    let mut listed = BTreeSet::new();
    for (place, part) in parts.iter().enumerate() {
        let pointer = format!("/split/{place}");
        let Value::Object(part) = part else {
            flaws.push(Flaw::new(&pointer, What::Form { expected: "an object" }));
            continue;
        };
        shape::only_known(part, &pointer, OWN, &mut flaws);
        let whole = joined(top, part);
        let names = names(&whole);
        let theirs = files.iter().filter(|file| names.contains(file.name.as_str())).cloned().collect();
        match read_object(&whole, theirs, now) {
            Ok(document) => documents.push(document),
            Err(found) => {
                for flaw in found {
                    let flaw = Flaw::new(&place_of(&flaw.pointer, part, &pointer), flaw.what);
                    if !flaws.contains(&flaw) {
                        flaws.push(flaw);
                    }
                }
            }
        }
        listed.extend(names.into_iter().map(str::to_owned));
    }
    if files.iter().any(|file| !listed.contains(&file.name)) {
        flaws.push(Flaw::new("/attachments", What::FileOfNone));
    }
    if flaws.is_empty() { Ok(documents) } else { Err(flaws) }
}

/// A part with what stands once: its summary field by field, everything else as a whole.
fn joined(top: &Map<String, Value>, part: &Map<String, Value>) -> Map<String, Value> {
    let mut whole = top.clone();
    for (name, value) in part {
        match (whole.get_mut(name), value) {
            (Some(Value::Object(common)), Value::Object(own)) if name == "summary" => {
                common.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
            }
            (Some(_) | None, _) => drop(whole.insert(name.clone(), value.clone())),
        }
    }
    whole
}

/// Where a flaw is: in the part, when what it points to stands there, else in what stands once.
fn place_of(found: &str, part: &Map<String, Value>, pointer: &str) -> String {
    let mut names = found.split('/').skip(1);
    let first = names.next().unwrap_or_default();
    let in_part = match part.get(first) {
        Some(Value::Object(summary)) if first == "summary" => {
            names.next().is_none_or(|name| summary.contains_key(name))
        }
        Some(_) => true,
        None => false,
    };
    if in_part { format!("{pointer}{found}") } else { found.to_owned() }
}

fn names(whole: &Map<String, Value>) -> BTreeSet<&str> {
    let listed = whole.get("attachments").and_then(Value::as_array).into_iter().flatten();
    listed.filter_map(|one| one.get("file")?.as_str()).map(base_name).collect()
}

/// The lists of files of a document and of the parts into which it is split.
pub(super) fn lists_of_files(top: &Map<String, Value>) -> impl Iterator<Item = &[Value]> {
    let parts = top.get("split").and_then(Value::as_array).into_iter().flatten();
    let sections = [Some(top)].into_iter().chain(parts.map(Value::as_object)).flatten();
    sections.filter_map(|section| section.get("attachments")?.as_array().map(Vec::as_slice))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::{
        files_named,
        tests::{NOW, files, good},
    };

    /// A change of a document, and a flaw that it leads to.
    type Row = (fn(&mut Value), (&'static str, What));

    /// Shelter by one agency, legal help by another.
    fn split() -> Value {
        let mut value = good();
        let top = value.as_object_mut().unwrap();
        for name in ["to", "service", "attachments"] {
            top.remove(name);
        }
        top.insert(
            "split".into(),
            json!([
                {"to": "ae-rk.aman", "service": "shelter", "attachments": [{"file": "report.pdf"}]},
                {"to": "int.iom.kw", "service": "legal", "summary": {"need": "residence papers"},
                 "attachments": [{"file": "map.txt", "contains_identity": false}]},
            ]),
        );
        value
    }

    fn flaws(value: &Value, files: Vec<File>) -> Vec<(String, What)> {
        let flaws = read_all(value.to_string().as_bytes(), files, NOW).err().unwrap_or_default();
        flaws.into_iter().map(|flaw| (flaw.pointer, flaw.what)).collect()
    }

    #[test]
    fn each_says_what_differs_and_takes_its_own_files() {
        let text = split().to_string();
        let documents = read_all(text.as_bytes(), files(), NOW).unwrap();
        let [shelter, legal] = documents.as_slice() else { panic!("two") };
        assert_eq!(shelter.to.as_ref().unwrap().as_str(), "ae-rk.aman");
        assert_eq!((legal.service.as_str(), &legal.summary["need"]), ("legal", &json!("residence papers")));
        assert_eq!(legal.summary["safe_contact"], shelter.summary["safe_contact"], "said once");
        assert_eq!(shelter.consent, legal.consent);
        assert_eq!((shelter.files[0].name.as_str(), shelter.files.len()), ("report.pdf", 1));
        assert_eq!((legal.files[0].name.as_str(), legal.files.len()), ("map.txt", 1));
        assert_eq!(files_named(text.as_bytes()).unwrap(), ["report.pdf", "map.txt"]);
        let whole = read_all(good().to_string().as_bytes(), files(), NOW).unwrap();
        assert_eq!(whole.len(), 1, "a document that is not split is one");
    }

    #[test]
    fn flaws_are_told_where_they_stand_and_once() {
        let with = |change: fn(&mut Value)| {
            let mut value = split();
            change(&mut value);
            flaws(&value, files())
        };
        let unknown = |nearest| What::Unknown { nearest };
        let list = What::Form { expected: "a list of 2 to 8 objects, one for each referral" };
        let rows: Vec<Row> = vec![
            (|v| v["split"] = json!([{}]), ("/split", list.clone())),
            (|v| v["split"] = json!(vec![json!({}); SPLIT_MAX + 1]), ("/split", list)),
            (|v| v["split"][0] = json!("x"), ("/split/0", What::Form { expected: "an object" })),
            (|v| v["split"][0]["consent"] = json!({}), ("/split/0/consent", unknown(None))),
            (
                |v| v["consent"]["agencies"] = json!(["ae-rk.aman"]),
                ("/consent/agencies", What::NotConsentedTo),
            ),
            (
                |v| v["summary"]["level"] = json!(1),
                ("/summary/level", What::Form { expected: "a code of this field's vocabulary" }),
            ),
            (
                |v| v["split"][1]["summary"]["need"] = json!(""),
                ("/split/1/summary/need", What::Form { expected: "a text" }),
            ),
        ];
        for (change, expected) in rows {
            let found = with(change);
            let expected = (expected.0.to_owned(), expected.1);
            assert_eq!(found.iter().filter(|one| **one == expected).count(), 1, "{expected:?}: {found:?}");
        }
        let mut more = files();
        more.push(File { name: "stray.pdf".into(), ..more[0].clone() });
        assert_eq!(flaws(&split(), more), [("/attachments".to_owned(), What::FileOfNone)]);
    }
}
