//! A document against what its kind carries. Not here: the table (`proto::payload::kinds`), and the
//! form of each field (`shape`).

use proto::payload::{
    self,
    kinds::{Presence, SAFE_CONTACT_REQUIRED, Shape},
};
use serde_json::{Map, Value};

use super::{Flaw, What, shape::at};

/// Checks which sections are there. Not here: the consent, which is missed where it is read.
pub(super) fn check_sections(shape: &Shape, top: &Map<String, Value>, files: usize, flaws: &mut Vec<Flaw>) {
    let there = |name: &str| top.contains_key(name);
    for (name, presence, is_there) in
        [("identity", shape.identity, there("identity")), ("attachments", shape.attachments, files > 0)]
    {
        let what = match presence {
            Presence::Required if !is_there => What::Missing,
            Presence::Barred if is_there && shape.coded_only => What::NoticeIsCodedOnly,
            Presence::Barred if is_there => What::NotOfKind,
            Presence::Required | Presence::Allowed | Presence::Barred => continue,
        };
        flaws.push(Flaw::new(&at("", name), what));
    }
}

/// Checks which fields the summary has.
pub(super) fn check_summary(shape: &Shape, summary: &Map<String, Value>, flaws: &mut Vec<Flaw>) {
    for name in shape.required.iter().filter(|name| !summary.contains_key(**name)) {
        flaws.push(Flaw::new(&at("/summary", name), What::Missing));
    }
    if !shape.any_of.is_empty() && !shape.any_of.iter().any(|name| is_said(summary, name)) {
        flaws.push(Flaw::new("/summary", What::NeedsOneOf { fields: shape.any_of }));
    }
    let belongs = |name: &str| shape.only.is_empty() || shape.only.contains(&name);
    // What is no field of a summary at all was told before.
    let known = |name: &str| payload::find(name).is_some_and(|field| field.home.fits(payload::Home::Summary));
    for name in summary.keys().filter(|name| known(name) && !belongs(name)) {
        let what =
            if shape.coded_only && !is_coded(name) { What::NoticeIsCodedOnly } else { What::NotOfKind };
        flaws.push(Flaw::new(&at("/summary", name), what));
    }
    if shape.coded_only {
        for (name, value) in summary {
            check_coded(value, &at("/summary", name), flaws);
        }
    }
    check_safe_contact(summary, "/summary", flaws);
}

/// Whether a field is there and says something.
fn is_said(summary: &Map<String, Value>, name: &str) -> bool {
    match summary.get(name) {
        Some(Value::Array(list)) => !list.is_empty(),
        Some(_) => true,
        None => false,
    }
}

fn is_coded(name: &str) -> bool {
    payload::find(name).is_some_and(|field| field.form.is_coded())
}

/// Finds what is inside coded objects and is no code itself.
fn check_coded(value: &Value, pointer: &str, flaws: &mut Vec<Flaw>) {
    match value {
        Value::Object(object) => {
            for (name, value) in object {
                let pointer = at(pointer, name);
                if payload::find(name).is_some() && !is_coded(name) {
                    flaws.push(Flaw::new(&pointer, What::NoticeIsCodedOnly));
                } else {
                    check_coded(value, &pointer, flaws);
                }
            }
        }
        Value::Array(list) => {
            for (place, value) in list.iter().enumerate() {
                check_coded(value, &at(pointer, &place.to_string()), flaws);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

/// Checks that whoever reads it knows how to reach her, and how never.
pub(super) fn check_safe_contact(section: &Map<String, Value>, pointer: &str, flaws: &mut Vec<Flaw>) {
    let Some(Value::Object(contact)) = section.get("safe_contact") else {
        return;
    };
    let pointer = at(pointer, "safe_contact");
    let shared = contact.get("phone_is_shared") == Some(&Value::Bool(true));
    let held = shared.then_some("phone_held_by").filter(|name| !is_said(contact, name));
    let missing = SAFE_CONTACT_REQUIRED.iter().copied().filter(|name| !contact.contains_key(*name));
    for name in missing.chain(held) {
        flaws.push(Flaw::new(&at(&pointer, name), What::Missing));
    }
}
