//! Texts of what is read before anybody accepts, looked through for what tells who somebody is. Not
//! here: what that looks like (`proto::payload::telling`).

use proto::payload::{
    self, Form,
    telling::{Household, telling},
};
use serde_json::{Map, Value};

use super::{File, Flaw, What, shape::at};

/// The names, numbers and birthdays that an identity holds.
pub(super) fn household(identity: &Map<String, Value>) -> Household {
    let mut household = Household::default();
    for (name, value) in identity {
        add(name, value, &mut household);
    }
    household
}

fn add(name: &str, value: &Value, household: &mut Household) {
    match value {
        Value::String(text) => household.add_field(name, text),
        Value::Object(object) => object.iter().for_each(|(name, value)| add(name, value, household)),
        Value::Array(list) => list.iter().for_each(|value| add(name, value, household)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Looks through the texts of a section.
pub(super) fn check(
    section: &Map<String, Value>,
    pointer: &str,
    household: &Household,
    flaws: &mut Vec<Flaw>,
) {
    for (name, value) in section {
        check_value(name, value, &at(pointer, name), household, flaws);
    }
}

fn check_value(name: &str, value: &Value, pointer: &str, household: &Household, flaws: &mut Vec<Flaw>) {
    match value {
        Value::String(text) if is_text(name) => {
            if household.stands_in(text) {
                flaws.push(Flaw::new(pointer, What::RepeatsIdentity));
            } else if let Some(told) = telling(text) {
                flaws.push(Flaw::new(pointer, What::Tells(told)));
            }
        }
        Value::Object(object) => check(object, pointer, household, flaws),
        Value::Array(list) => {
            for (place, value) in list.iter().enumerate() {
                check_value(name, value, &at(pointer, &place.to_string()), household, flaws);
            }
        }
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Codes and dates say no more than their field does.
fn is_text(name: &str) -> bool {
    payload::find(name).is_some_and(|field| field.form == Form::Text)
}

/// Looks at the names of files that are read before anybody accepts.
pub(super) fn check_files(files: &[File], household: &Household, flaws: &mut Vec<Flaw>) {
    for (place, file) in files.iter().enumerate().filter(|(_, file)| !file.contains_identity) {
        if household.stands_in(&file.name) || telling(&file.name).is_some() {
            flaws.push(Flaw::new(&at("/attachments", &place.to_string()), What::FileNameTells));
        }
    }
}
