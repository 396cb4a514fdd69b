//! Objects against the payload's table. Not here: consent.

use proto::{
    payload::{self, COUNT_MAX, FIELDS, Form, Home, List, TEXT_BYTES_MAX, VALUES_MAX},
    vocabulary::{LANGUAGES, nearest_of},
};
use serde_json::{Map, Value};

use super::{Flaw, What};

/// Refuses names that are not in a list.
pub(super) fn only_known(object: &Map<String, Value>, pointer: &str, known: List, flaws: &mut Vec<Flaw>) {
    for name in object.keys().filter(|name| !known.contains(&name.as_str())) {
        let nearest = nearest_of(name, known.iter().copied());
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
        flaws.push(Flaw::new(pointer, What::Unknown { nearest: nearest_of(name, here) }));
        return;
    };
    if !field.home.fits(home) {
        let what = match field.home {
            Home::Barred => What::Barred,
            Home::Identity => What::BelongsToIdentity,
            Home::Consent | Home::Summary | Home::Either | Home::Detail | Home::Throughout => {
                What::OtherSection
            }
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
        (Form::Text | Form::Date | Form::Phone | Form::Language | Form::Person | Form::OneOf(_), _) => {
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
            let nearest = nearest_of(name, children.iter().copied());
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
    let what = if let Form::OneOf(vocabulary) | Form::SomeOf(vocabulary) = form {
        What::not_a_code(vocabulary, text)
    } else if matches!(form, Form::Language | Form::Languages) && !LANGUAGES.nearest(text).is_empty() {
        What::not_a_code(LANGUAGES, text)
    } else if form == Form::Text && text.len() > TEXT_BYTES_MAX {
        What::TooLarge { limit: TEXT_BYTES_MAX }
    } else {
        What::Form { expected: form.expected() }
    };
    flaws.push(Flaw::new(pointer, what));
}

/// A place inside another, as RFC 6901 writes it.
pub(super) fn at(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}
