//! The documents as a JSON schema (2020-12), for editors: what each field is called, its codes with their labels.
//! What depends on other fields (a basis and what it needs) only `check` knows. Not here: checking.

use proto::{
    language::Language,
    payload::{self, Field, Form, Home, TEXT_BYTES_MAX, VALUES_MAX},
    vocabulary::{CATEGORIES, KINDS, SERVICES, Term, URGENCIES, Vocabulary},
};
use serde_json::{Map, Value, json};

use super::{
    ATTACHMENTS_MAX, EXPIRES_DAYS_DEFAULT, EXPIRES_DAYS_MAX,
    form::labels::{expected, label},
    split::SPLIT_MAX,
};

/// The schema, with labels of a language.
#[must_use]
pub fn schema(language: Language) -> Value {
    let mut properties = head(language);
    let part = |home: Home, name: &'static str| {
        let fields = payload::FIELDS.iter().filter(|field| field.home.fits(home));
        object(fields, label(name, language), language)
    };
    let sections = [("consent", Home::Consent), ("summary", Home::Summary), ("identity", Home::Identity)];
    properties.extend(sections.into_iter().map(|(name, home)| (name.to_owned(), part(home, name))));
    let own = Value::Object(properties.clone());
    properties.insert(
        "split".to_owned(),
        json!({"type": "array", "minItems": 2, "maxItems": SPLIT_MAX, "items": {"type": "object", "properties": own}}),
    );
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "referral",
        "type": "object",
        "properties": properties,
        "required": ["to", "category", "service", "urgency", "jurisdiction"],
        "additionalProperties": false,
    })
}

fn head(language: Language) -> Map<String, Value> {
    let titled = |name: &'static str, mut value: Value| {
        value["title"] = label(name, language).into();
        (name.to_owned(), value)
    };
    let text = || json!({"type": "string"});
    let agencies = || json!({"type": "array", "items": {"type": "string"}});
    let persons = json!({"type": "array", "items": {"type": "string"}, "title": label("persons", language)});
    let attachment = json!({
        "type": "object",
        "properties": {
            "file": {"type": "string", "title": label("file", language)},
            "media_type": {"type": "string", "title": label("media_type", language)},
            "contains_identity": {"type": "boolean", "title": label("contains_identity", language)},
            "persons": persons,
        },
        "required": ["file"],
        "additionalProperties": false,
    });
    [
        ("$schema".to_owned(), text()),
        ("joint".to_owned(), json!({"type": "boolean"})),
        titled("to", text()),
        titled("fallbacks", agencies()),
        titled("exclude", agencies()),
        titled("kind", codes(KINDS, |_| true, language)),
        titled("category", codes(CATEGORIES, |term| term.parent.is_none(), language)),
        titled("service", codes(SERVICES, |term| term.parent.is_none(), language)),
        titled("urgency", codes(URGENCIES, |_| true, language)),
        titled("jurisdiction", text()),
        titled(
            "expires_days",
            json!({"type": "integer", "minimum": 1, "maximum": EXPIRES_DAYS_MAX, "default": EXPIRES_DAYS_DEFAULT}),
        ),
        titled("attachments", json!({"type": "array", "maxItems": ATTACHMENTS_MAX, "items": attachment})),
        titled("onward_of", text()),
        titled("joins", text()),
    ]
    .into_iter()
    .collect()
}

fn object<'a>(fields: impl Iterator<Item = &'a Field>, title: &str, language: Language) -> Value {
    let properties = fields.map(|field| (field.name.to_owned(), value(field.name, field.form, language)));
    let properties: Map<String, Value> = properties.collect();
    json!({"type": "object", "title": title, "properties": properties, "additionalProperties": false})
}

fn value(name: &'static str, form: Form, language: Language) -> Value {
    let children = |names: &[&str]| {
        let fields = names.iter().filter_map(|name| payload::find(name));
        object(fields, label(name, language), language)
    };
    let list = |items: Value| json!({"type": "array", "maxItems": VALUES_MAX, "items": items});
    let mut schema = match form {
        Form::Text => json!({"type": "string", "minLength": 1, "maxLength": TEXT_BYTES_MAX}),
        Form::Flag => json!({"type": "boolean"}),
        Form::Count => json!({"type": "integer", "minimum": 0, "maximum": payload::COUNT_MAX}),
        Form::Date => json!({"type": "string", "format": "date"}),
        Form::Phone => json!({"type": "string", "pattern": "^\\+[1-9][0-9]{6,14}$"}),
        Form::Language => json!({"type": "string", "pattern": "^[a-z]{2,3}$"}),
        Form::Languages => list(json!({"type": "string", "pattern": "^[a-z]{2,3}$"})),
        Form::Countries => list(json!({"type": "string", "pattern": "^[A-Z]{2}$"})),
        Form::Agencies => list(json!({"type": "string"})),
        Form::Person => json!({"type": "string", "pattern": "^p[0-9]{1,2}$"}),
        Form::OneOf(vocabulary) => codes(vocabulary, |_| true, language),
        Form::SomeOf(vocabulary) => list(codes(vocabulary, |_| true, language)),
        Form::Object(names) => return children(names),
        Form::Objects(names) => list(children(names)),
    };
    schema["title"] = label(name, language).into();
    schema["description"] = expected(form, language).into();
    schema
}

fn codes(vocabulary: &Vocabulary, is_wanted: impl Fn(&Term) -> bool, language: Language) -> Value {
    let terms = vocabulary.terms.iter().filter(|term| is_wanted(term));
    let code = |term: &Term| json!({"const": term.code, "title": language.pick(term.en, term.ar)});
    json!({"oneOf": terms.map(code).collect::<Vec<_>>()})
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::TOP;

    #[test]
    fn the_schema_has_every_field_that_a_document_may_have() {
        let schema = schema(Language::Arabic);
        for name in TOP.iter().chain(&["split", "joint"]) {
            assert!(schema["properties"][*name].is_object(), "{name}");
        }
        assert_eq!(schema["properties"].as_object().unwrap().len(), TOP.len() + 2);
        let of = |section: &str, name: &str| schema["properties"][section]["properties"][name].is_object();
        for field in payload::FIELDS {
            for (section, home) in
                [("consent", Home::Consent), ("summary", Home::Summary), ("identity", Home::Identity)]
            {
                assert_eq!(of(section, field.name), field.home.fits(home), "{} in {section}", field.name);
            }
        }
        let shelter = &schema["properties"]["service"]["oneOf"];
        assert!(shelter.as_array().unwrap().iter().any(|code| code["const"] == "shelter"));
    }

    #[test]
    fn a_document_may_name_its_schema() {
        let text = br#"{"$schema": "referral.schema.json"}"#;
        let flaws = crate::document::read(text, Vec::new(), crate::clock::now()).err().unwrap();
        assert!(flaws.iter().all(|flaw| flaw.pointer != "/$schema"));
    }
}
