//! Objects against the payload's table. Not here: consent.

use proto::payload::{self, COUNT_MAX, FIELDS, Form, Home, TEXT_BYTES_MAX, VALUES_MAX, lists::List};
use serde_json::{Map, Value};

use super::{Flaw, What};

/// Refuses names that are not in a list.
pub(super) fn only_known(object: &Map<String, Value>, pointer: &str, known: List, flaws: &mut Vec<Flaw>) {
    for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
        let nearest = payload::nearest(name, known.iter().copied());
        flaws.push(Flaw::new(&at(pointer, name), What::Unknown { nearest }));
    }
}

/// Checks an object that is a part, or the consent: every field of it at home there.
pub(super) fn check_object(object: &Map<String, Value>, pointer: &str, home: Home, flaws: &mut Vec<Flaw>) {
    for (name, value) in object {
        check_field(name, value, &at(pointer, name), home, flaws);
    }
}

fn check_field(name: &str, value: &Value, pointer: &str, home: Home, flaws: &mut Vec<Flaw>) {
    let Some(field) = payload::find(name) else {
        let here = FIELDS.iter().filter(|field| field.home.fits(home)).map(|field| field.name);
        flaws.push(Flaw::new(pointer, What::Unknown { nearest: payload::nearest(name, here) }));
        return;
    };
    if !field.home.fits(home) {
        let what = match field.home {
            Home::Barred => What::Barred,
            Home::Identity => What::BelongsToIdentity,
            Home::Consent | Home::Summary | Home::Either | Home::Detail => What::OtherSection,
        };
        flaws.push(Flaw::new(pointer, what));
        return;
    }
    check_value(value, field.form, pointer, home, flaws);
}

fn check_value(value: &Value, form: Form, pointer: &str, home: Home, flaws: &mut Vec<Flaw>) {
    match (form, value) {
        (Form::Flag, Value::Bool(_)) => {}
        (Form::Count, Value::Number(number)) if number.as_u64().is_some_and(|count| count <= COUNT_MAX) => {}
        (Form::Object(children), Value::Object(object)) => {
            children_of(object, children, pointer, home, flaws)
        }
        (Form::Objects(children), Value::Array(list)) => {
            check_count(list.len(), pointer, flaws);
            for (place, one) in list.iter().enumerate() {
                check_value(one, Form::Object(children), &at(pointer, &place.to_string()), home, flaws);
            }
        }
        (Form::SomeOf(_) | Form::Languages | Form::Countries | Form::Agencies, Value::Array(list)) => {
            check_count(list.len(), pointer, flaws);
            for (place, one) in list.iter().enumerate() {
                check_text(one, form, &at(pointer, &place.to_string()), flaws);
            }
        }
        (Form::Text | Form::Date | Form::Phone | Form::Language | Form::OneOf(_), _) => {
            check_text(value, form, pointer, flaws);
        }
        _ => flaws.push(Flaw::new(pointer, What::Form { expected: form.expected() })),
    }
}

fn children_of(
    object: &Map<String, Value>,
    children: List,
    pointer: &str,
    home: Home,
    flaws: &mut Vec<Flaw>,
) {
    for (name, value) in object {
        let pointer = at(pointer, name);
        if children.contains(&name.as_str()) {
            check_field(name, value, &pointer, home, flaws);
        } else if payload::find(name).is_some_and(|field| !field.home.fits(home)) {
            // Why it may not stand here says more than that it is not expected here.
            check_field(name, value, &pointer, home, flaws);
        } else {
            let nearest = payload::nearest(name, children.iter().copied());
            flaws.push(Flaw::new(&pointer, What::Unknown { nearest }));
        }
    }
}

fn check_count(count: usize, pointer: &str, flaws: &mut Vec<Flaw>) {
    if count > VALUES_MAX {
        flaws.push(Flaw::new(pointer, What::TooMany { limit: VALUES_MAX }));
    }
}

fn check_text(value: &Value, form: Form, pointer: &str, flaws: &mut Vec<Flaw>) {
    let Value::String(text) = value else {
        flaws.push(Flaw::new(pointer, What::Form { expected: form.expected() }));
        return;
    };
    if form.accepts(text) {
        return;
    }
    let what = if let Form::OneOf(list) | Form::SomeOf(list) = form {
        What::NotInList { list, nearest: payload::nearest(text, list.iter().copied()) }
    } else if form == Form::Text && text.len() > TEXT_BYTES_MAX {
        What::TooLarge { limit: TEXT_BYTES_MAX }
    } else {
        What::Form { expected: form.expected() }
    };
    flaws.push(Flaw::new(pointer, what));
}

/// Fields whose values tell who somebody is when they stand in a text.
const TELLING: &[&str] = &[
    "given",
    "father",
    "grandfather",
    "family",
    "latin",
    "prs_FirstName",
    "prs_MiddleName",
    "prs_SecondName",
    "prs_IdentityNumber",
    "prs_MobilePhone",
    "prs_HomePhone",
    "prs_Email",
];
/// Shorter words stand in too many others.
const WORD_CHARS_MIN: usize = 4;
/// The last digits of a number tell it, with or without its country and however it is spaced.
const DIGITS_COMPARED: usize = 8;

/// Finds names and numbers of the identity in the summary's texts.
pub(super) fn repeats_identity(
    summary: &Map<String, Value>,
    identity: &Map<String, Value>,
    flaws: &mut Vec<Flaw>,
) {
    let mut telling = Vec::new();
    for (name, value) in identity {
        words_of(name, value, &mut telling);
    }
    for (name, value) in summary {
        find_words(value, &at("/summary", name), &telling, flaws);
    }
}

fn words_of(name: &str, value: &Value, words: &mut Vec<String>) {
    match value {
        Value::String(text) if TELLING.contains(&name) => {
            let parts = text.split(|c: char| !c.is_alphanumeric() && c != '@' && c != '.');
            words.extend(parts.map(folded).filter(|word| word.chars().count() >= WORD_CHARS_MIN));
            let digits = digits(&folded(text));
            let last = digits.len().saturating_sub(DIGITS_COMPARED);
            words.extend(digits.get(last..).filter(|last| last.len() == DIGITS_COMPARED).map(str::to_owned));
        }
        Value::Object(object) => object.iter().for_each(|(name, value)| words_of(name, value, words)),
        Value::Array(list) => list.iter().for_each(|value| words_of(name, value, words)),
        Value::String(_) | Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn find_words(value: &Value, pointer: &str, words: &[String], flaws: &mut Vec<Flaw>) {
    match value {
        Value::String(text) => {
            let text = folded(text);
            let digits = digits(&text);
            if words.iter().any(|word| text.contains(word.as_str()) || digits.contains(word.as_str())) {
                flaws.push(Flaw::new(pointer, What::RepeatsIdentity));
            }
        }
        Value::Object(object) => {
            object.iter().for_each(|(name, value)| find_words(value, &at(pointer, name), words, flaws));
        }
        Value::Array(list) => {
            for (place, value) in list.iter().enumerate() {
                find_words(value, &at(pointer, &place.to_string()), words, flaws);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// One form of what reads the same: small letters, Arabic digits as Latin ones, the forms of alif,
/// no vowel signs.
fn folded(text: &str) -> String {
    let fold = |c: char| match c {
        '\u{64b}'..='\u{652}' | '\u{640}' => None,
        'أ' | 'إ' | 'آ' => Some('ا'),
        'ى' => Some('ي'),
        'ة' => Some('ه'),
        '٠'..='٩' => char::from_digit(u32::from(c) - u32::from('٠'), 10),
        '۰'..='۹' => char::from_digit(u32::from(c) - u32::from('۰'), 10),
        other => Some(other),
    };
    text.to_lowercase().chars().filter_map(fold).collect()
}

fn digits(text: &str) -> String {
    text.chars().filter(char::is_ascii_digit).collect()
}

/// A place inside another, as RFC 6901 writes it.
fn at(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}
