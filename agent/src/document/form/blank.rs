//! An empty form: every field that people fill in, with its label, its form and its codes beside it, in their
//! language. It is taken as it is once it is filled in. Not here: reading it (`form`).

use proto::{
    ids::Kind,
    language::Language,
    payload::{
        self, Form,
        kinds::{Presence, Shape, shape},
    },
    vocabulary::{CATEGORIES, KINDS, SERVICES, URGENCIES, Vocabulary},
};

use super::labels::{expected, label};
use crate::office::outbound::kind_word;

/// A vocabulary with more codes than these is named, and not listed.
const LISTED_MAX: usize = 24;

/// Fields of a summary that people fill in; all others are in the schema.
const SUMMARY: &[&str] = &[
    "need",
    "detailed_category",
    "detailed_services",
    "languages",
    "interpreter_needed",
    "access_needs",
    "vulnerabilities",
    "note",
    "risk",
    "safe_contact",
    "household",
];
const CONSENT: &[&str] = &[
    "basis",
    "identity_allowed",
    "agencies",
    "given_on",
    "until",
    "data",
    "child_assent",
    "guardian_suspected",
    "decided_by",
    "approved_by",
    "justification",
    "legal_reference",
];
/// Of a person: the others are in the schema.
const PERSON: &[&str] = &[
    "role",
    "prs_Birthdate",
    "prs_Gender",
    "prs_Citizenship",
    "prs_IdentityNumber",
    "prs_MobilePhone",
    "prs_PrimaryLanguage",
    "note",
];
const NAME: &[&str] = &["given", "father", "grandfather", "family", "latin"];
/// What stands in a form as it must be given.
const NEEDED: &[&str] = &[
    "need",
    "basis",
    "identity_allowed",
    "given_on",
    "who",
    "when",
    "language",
    "never",
    "phone_is_shared",
    "document_type",
    "message",
];

/// Whether a line must be filled in, or may be.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Needed,
    Optional,
}

/// The form of a kind.
#[must_use]
pub fn blank(kind: Kind, language: Language) -> String {
    let mut form = Blank { text: String::new(), language };
    form.head(kind);
    let Some(shape) = shape(kind) else {
        return form.text;
    };
    if shape.consent == Presence::Required {
        form.section("consent", CONSENT, Line::Needed);
    }
    form.summary(shape);
    if shape.identity != Presence::Barred {
        form.identity(shape);
    }
    if shape.attachments != Presence::Barred {
        form.attachments(shape);
    }
    form.text
}

struct Blank {
    text: String,
    language: Language,
}

impl Blank {
    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn remark(&mut self, text: &str) {
        self.line(format!("# {text}").trim_end());
    }

    fn head(&mut self, kind: Kind) {
        let language = self.language;
        self.remark(language.pick(
            "Fill in what stands between the quotes. Lines that begin with #: take the # away where you need them.",
            "املأ ما بين علامتي الاقتباس. الأسطر التي تبدأ بعلامة #: احذف العلامة حيث تحتاج السطر.",
        ));
        self.remark(language.pick(
            "Check it with `agent check FILE`, send it with `agent send FILE`, or move it to the outbox.",
            "افحصه ثم أرسله بالأمرين التاليين، أو انقله إلى مجلد outbox:",
        ));
        if language == Language::Arabic {
            self.remark("agent check FILE");
            self.remark("agent send FILE");
        }
        self.line("");
        self.value("to", "\"\"", Line::Needed);
        self.remark(label("kind", language));
        self.line(&format!("kind = \"{}\"", kind_word(kind)));
        for (name, vocabulary) in [("category", CATEGORIES), ("service", SERVICES), ("urgency", URGENCIES)] {
            self.remark(label(name, language));
            self.codes(vocabulary, true);
            self.line(&format!("{name} = \"\""));
        }
        self.value("jurisdiction", "\"\"", Line::Needed);
        self.value("expires_days", "14", Line::Optional);
        if kind.expects_answer() {
            self.value("fallbacks", "[\"\"]", Line::Optional);
        }
        debug_assert!(KINDS.contains(kind_word(kind)), "a kind is a code");
    }

    fn value(&mut self, name: &'static str, value: &str, line: Line) {
        self.remark(label(name, self.language));
        let sign = if line == Line::Needed { "" } else { "#" };
        self.line(&format!("{sign}{name} = {value}"));
    }

    /// Codes with their labels; of many only where they are listed. For a header only those that cover others.
    fn codes(&mut self, vocabulary: &Vocabulary, is_coarse: bool) {
        let terms: Vec<_> =
            vocabulary.terms.iter().filter(|term| !is_coarse || term.parent.is_none()).collect();
        if terms.len() > LISTED_MAX {
            let where_listed = self.language.pick("The codes are listed by", "الرموز يعرضها الأمر");
            self.remark(&format!("  {where_listed}: agent codes {}", vocabulary.name));
            return;
        }
        for term in terms {
            self.remark(&format!("  {}: {}", term.code, self.language.pick(term.en, term.ar)));
        }
    }

    fn section(&mut self, name: &'static str, fields: &[&'static str], line: Line) {
        let sign = if line == Line::Needed { "" } else { "#" };
        self.line("");
        self.remark(&format!("--- {} ---", label(name, self.language)));
        self.line(&format!("{sign}[{name}]"));
        self.fields(fields, line);
    }

    /// Fields with a value of their own; what holds others comes as a table behind them.
    fn fields(&mut self, fields: &[&'static str], line: Line) {
        for name in fields {
            let Some(field) = payload::find(name) else {
                continue;
            };
            let is_needed = line == Line::Needed && NEEDED.contains(name);
            self.field(name, field.form, if is_needed { Line::Needed } else { Line::Optional });
        }
    }

    fn field(&mut self, name: &'static str, form: Form, line: Line) {
        let value = match form {
            Form::Text | Form::Date | Form::Phone | Form::Language | Form::Person | Form::OneOf(_) => "\"\"",
            Form::Flag => "\"\"",
            Form::Count => "0",
            Form::Languages | Form::Countries | Form::Agencies | Form::SomeOf(_) => "[\"\"]",
            Form::Object(_) | Form::Objects(_) => return,
        };
        let sign = if line == Line::Needed { "" } else { "#" };
        self.remark(&format!("{} ({})", label(name, self.language), expected(form, self.language)));
        if let Form::OneOf(vocabulary) | Form::SomeOf(vocabulary) = form {
            self.codes(vocabulary, false);
        }
        self.line(&format!("{sign}{name} = {value}"));
    }

    fn summary(&mut self, shape: &Shape) {
        let fields: &[&str] = if shape.only.is_empty() { SUMMARY } else { shape.only };
        let needed = shape.required;
        self.line("");
        self.remark(&format!("--- {} ---", label("summary", self.language)));
        self.line("[summary]");
        let (tables, values): (Vec<&str>, Vec<&str>) =
            fields.iter().copied().partition(|name| is_table(name));
        for name in values {
            let Some(field) = payload::find(name) else {
                continue;
            };
            let line = if needed.contains(&name) { Line::Needed } else { Line::Optional };
            self.field(field.name, field.form, line);
        }
        for name in tables {
            match payload::find(name).map(|field| (field.name, field.form)) {
                Some((name, Form::Object(children))) => {
                    let line = if needed.contains(&name) { Line::Needed } else { Line::Optional };
                    let sign = if line == Line::Needed { "" } else { "#" };
                    self.line("");
                    self.remark(label(name, self.language));
                    self.line(&format!("{sign}[summary.{name}]"));
                    self.fields(children, line);
                }
                Some((name, Form::Objects(children))) => {
                    self.line("");
                    self.remark(label(name, self.language));
                    self.line(&format!("#[[summary.{name}]]"));
                    self.fields(children, Line::Optional);
                }
                Some(_) | None => {}
            }
        }
    }

    fn identity(&mut self, _: &Shape) {
        self.line("");
        self.remark(&format!("--- {} ---", label("identity", self.language)));
        self.line("#[[identity.persons]]");
        self.fields(PERSON, Line::Optional);
        self.remark(label("name", self.language));
        self.line("#[identity.persons.name]");
        self.fields(NAME, Line::Optional);
    }

    fn attachments(&mut self, shape: &Shape) {
        let line = if shape.attachments == Presence::Required { Line::Needed } else { Line::Optional };
        let sign = if line == Line::Needed { "" } else { "#" };
        self.line("");
        self.remark(&format!("--- {} ---", label("attachments", self.language)));
        self.line(&format!("{sign}[[attachments]]"));
        self.value("file", "\"\"", line);
        self.value("contains_identity", "true", Line::Optional);
    }
}

fn is_table(name: &str) -> bool {
    payload::find(name).is_some_and(|field| matches!(field.form, Form::Object(_) | Form::Objects(_)))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::document::{form, read_without_files};

    fn filled(blank: &str, values: &[(&str, &str)]) -> Vec<u8> {
        let line = |line: &str| {
            let found = values.iter().find(|(name, _)| {
                line.strip_prefix('#').unwrap_or(line).split(" = ").next() == Some(name)
                    && !line.starts_with("# ")
            });
            found.map_or_else(|| line.to_owned(), |(name, value)| format!("{name} = {value}"))
        };
        let text: Vec<_> = blank.lines().map(line).collect();
        form::to_json(text.join("\n").as_bytes()).unwrap()
    }

    #[test]
    fn every_blank_is_a_form_with_and_without_what_may_be_left_out() {
        for kind in Kind::ALL {
            for language in [Language::English, Language::Arabic] {
                let blank = blank(*kind, language);
                form::to_json(blank.as_bytes()).unwrap();
                let all: Vec<_> = blank
                    .lines()
                    .map(|line| line.strip_prefix('#').filter(|rest| !rest.starts_with(' ')).unwrap_or(line))
                    .collect();
                let json = form::to_json(all.join("\n").as_bytes());
                let value: Value = serde_json::from_slice(&json.unwrap()).unwrap();
                assert!(value["summary"].is_object(), "{kind:?}");
            }
        }
    }

    #[test]
    fn a_blank_says_what_is_missing_and_is_sent_once_it_is_filled_in() {
        let now = crate::clock::now();
        let blank = blank(Kind::Referral, Language::Arabic);
        let flaws = read_without_files(&form::to_json(blank.as_bytes()).unwrap(), now).err().unwrap();
        let places: Vec<_> = flaws.iter().map(|flaw| flaw.pointer.as_str()).collect();
        for place in ["/to", "/category", "/consent/basis", "/summary/need", "/summary/safe_contact/who"] {
            assert!(places.contains(&place), "{place} in {places:?}");
        }
        let json = filled(
            &blank,
            &[
                ("to", "\"ae-rk.aman\""),
                ("category", "\"trafficking\""),
                ("service", "\"shelter\""),
                ("urgency", "\"urgent\""),
                ("jurisdiction", "\"AE-RK\""),
                ("basis", "\"informed_consent_adult\""),
                ("identity_allowed", "true"),
                ("given_on", "2026-11-20"),
                ("need", "\"A safe place.\""),
                ("who", "\"the case worker\""),
                ("when", "\"mornings\""),
                ("language", "\"ar\""),
                ("never", "[]"),
                ("phone_is_shared", "false"),
            ],
        );
        let read = read_without_files(&json, now);
        assert!(
            read.is_ok(),
            "{:?}",
            read.err().map(|flaws| flaws.into_iter().map(|flaw| flaw.pointer).collect::<Vec<_>>())
        );
    }
}
