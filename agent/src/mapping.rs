//! From an agency's own columns to our fields: a mapping file, and rows of a spreadsheet or of a program. Nothing of
//! a row is repeated in what is said of it. Not here: checking what comes out (`document`).

pub mod problem;
pub mod rows;

use std::collections::{BTreeMap, BTreeSet};

use proto::payload::{self, Form};
use serde::Deserialize;
use serde_json::{Map, Value};
use thiserror::Error;

pub use problem::Problem;
use rows::Row;

/// Longest mapping file, in bytes.
pub const MAPPING_BYTES_MAX: usize = 256 * 1024;
/// Most entries of a list inside a document that a mapping may name.
pub const PLACE_MAX: usize = 64;

/// Why a mapping file is none. It names lines and places, which are the agency's own words for its columns.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MappingFault {
    /// Longer than any.
    #[error("the mapping file is longer than {MAPPING_BYTES_MAX} bytes / ملف الربط أطول من المسموح به")]
    TooLarge,
    /// Not TOML, or a key that there is not.
    #[error("the mapping file is not of its form / ملف الربط ليس بالصيغة الصحيحة: {0}")]
    Form(String),
    /// A place that is no JSON pointer.
    #[error("`{0}` is no place in a document: write it like \"/summary/need\" / الموضع غير صحيح")]
    Place(String),
    /// Both or neither of a column and a value.
    #[error("`{0}` must have a `column` or a `value`, and not both / يجب ذكر عمود أو قيمة")]
    Source(String),
}

/// A mapping file, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    fields: BTreeMap<String, From>,
    ignored: BTreeSet<String>,
    /// What stands between the cells of a row.
    pub delimiter: u8,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    delimiter: Option<char>,
    #[serde(default)]
    ignored: Vec<String>,
    field: BTreeMap<String, From>,
}

/// Where a field comes from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
struct From {
    column: Option<String>,
    value: Option<Constant>,
    /// Our codes by the agency's words.
    #[serde(default)]
    codes: BTreeMap<String, String>,
    /// Words that mean yes, and no.
    #[serde(default)]
    yes: Vec<String>,
    #[serde(default)]
    no: Vec<String>,
    /// In which order a day is written.
    date: Option<DateOrder>,
    /// What stands between several values in one cell.
    list: Option<String>,
}

/// What stands in every document.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
enum Constant {
    Flag(bool),
    Number(u64),
    Text(String),
    List(Vec<String>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum DateOrder {
    DayMonthYear,
    MonthDayYear,
    YearMonthDay,
}

impl Mapping {
    /// Reads a mapping file.
    ///
    /// # Errors
    /// [`MappingFault`].
    pub fn parse(text: &str) -> Result<Self, MappingFault> {
        if text.len() > MAPPING_BYTES_MAX {
            return Err(MappingFault::TooLarge);
        }
        let file: File =
            toml::from_str(text).map_err(|error| MappingFault::Form(error.message().to_owned()))?;
        for (place, from) in &file.field {
            if steps(place).is_none() {
                return Err(MappingFault::Place(place.clone()));
            }
            if from.column.is_some() == from.value.is_some() {
                return Err(MappingFault::Source(place.clone()));
            }
        }
        let delimiter = file.delimiter.map_or(Some(b','), |sign| u8::try_from(sign).ok());
        let delimiter = delimiter.ok_or_else(|| MappingFault::Form("delimiter".to_owned()))?;
        Ok(Self { fields: file.field, ignored: file.ignored.into_iter().collect(), delimiter })
    }

    /// What does not fit between the mapping and the columns that there are.
    #[must_use]
    pub fn against(&self, columns: &BTreeSet<String>) -> Vec<Problem> {
        let used: BTreeSet<&String> = self.fields.values().filter_map(|from| from.column.as_ref()).collect();
        let missing = used.iter().filter(|column| !columns.contains(**column));
        let missing = missing.map(|column| Problem::NoColumn { column: (*column).clone() });
        let unused =
            columns.iter().filter(|column| !used.contains(column) && !self.ignored.contains(*column));
        missing.chain(unused.map(|column| Problem::Unused { column: column.clone() })).collect()
    }

    /// The document of a row, and what of the row has no meaning by this mapping. An empty cell leaves its field out.
    #[must_use]
    pub fn document(&self, row: &Row) -> (Value, Vec<Problem>) {
        let (mut document, mut problems) = (Value::Object(Map::new()), Vec::new());
        for (place, from) in &self.fields {
            match from.value_of(place, row) {
                Ok(Some(value)) => put(&mut document, place, value),
                Ok(None) => {}
                Err(problem) => problems.push(problem),
            }
        }
        (document, problems)
    }
}

impl From {
    fn value_of(&self, place: &str, row: &Row) -> Result<Option<Value>, Problem> {
        let Some(column) = &self.column else {
            return Ok(self.value.as_ref().map(Constant::to_json));
        };
        let cell = row.get(column).map(|cell| cell.trim()).filter(|cell| !cell.is_empty());
        let Some(cell) = cell else {
            return Ok(None);
        };
        let wrong = |what: fn(String, String) -> Problem| what(place.to_owned(), column.clone());
        let one = |word: &str| self.one(place, word.trim()).map_err(wrong);
        match &self.list {
            Some(between) if !between.is_empty() => {
                let words = cell.split(between.as_str()).filter(|word| !word.trim().is_empty());
                Ok(Some(Value::Array(words.map(one).collect::<Result<_, _>>()?)))
            }
            Some(_) | None if is_list(place) => Ok(Some(Value::Array(vec![one(cell)?]))),
            Some(_) | None => one(cell).map(Some),
        }
    }

    /// One word as its field takes it.
    fn one(&self, place: &str, word: &str) -> Result<Value, fn(String, String) -> Problem> {
        let form = form_of(place);
        let is = |words: &[String]| words.iter().any(|one| one.eq_ignore_ascii_case(word));
        if form == Some(Form::Flag) || !self.yes.is_empty() || !self.no.is_empty() {
            return match (is(&self.yes), is(&self.no)) {
                (true, false) => Ok(Value::Bool(true)),
                (false, true) => Ok(Value::Bool(false)),
                (true, true) | (false, false) => Err(|place, column| Problem::NotYesOrNo { place, column }),
            };
        }
        if !self.codes.is_empty() {
            let found = self.codes.iter().find(|(known, _)| known.eq_ignore_ascii_case(word));
            let code = found.map(|(_, code)| code.clone());
            return code.map(Value::String).ok_or(|place, column| Problem::NoCode { place, column });
        }
        if let Some(order) = self.date {
            return date(word, order)
                .map(Value::String)
                .ok_or(|place, column| Problem::NotADate { place, column });
        }
        if form == Some(Form::Count) {
            let number = word.parse::<u64>().ok();
            return number.map(Value::from).ok_or(|place, column| Problem::NotANumber { place, column });
        }
        Ok(Value::String(word.to_owned()))
    }
}

impl Constant {
    fn to_json(&self) -> Value {
        match self {
            Self::Flag(flag) => (*flag).into(),
            Self::Number(number) => (*number).into(),
            Self::Text(text) => text.clone().into(),
            Self::List(list) => list.clone().into(),
        }
    }
}

/// The form of the field that a place ends in.
fn form_of(place: &str) -> Option<Form> {
    place.rsplit('/').next().and_then(payload::find).map(|field| field.form)
}

fn is_list(place: &str) -> bool {
    matches!(form_of(place), Some(Form::SomeOf(_) | Form::Languages | Form::Countries | Form::Agencies))
}

/// A day as we write it.
fn date(word: &str, order: DateOrder) -> Option<String> {
    let numbers: Vec<&str> = word.split(['/', '-', '.', ' ']).filter(|part| !part.is_empty()).collect();
    let [first, second, third] = numbers.as_slice() else {
        return None;
    };
    let (year, month, day) = match order {
        DateOrder::DayMonthYear => (third, second, first),
        DateOrder::MonthDayYear => (third, first, second),
        DateOrder::YearMonthDay => (first, second, third),
    };
    // Nobody knows which century two digits mean.
    if year.len() != 4 {
        return None;
    }
    let number = |text: &str| text.parse::<u32>().ok();
    let day = format!("{:04}-{:02}-{:02}", number(year)?, number(month)?, number(day)?);
    Form::Date.accepts(&day).then_some(day)
}

/// The steps of a JSON pointer (RFC 6901).
fn steps(place: &str) -> Option<Vec<String>> {
    let rest = place.strip_prefix('/').filter(|rest| !rest.is_empty())?;
    let steps: Vec<String> = rest.split('/').map(|step| step.replace("~1", "/").replace("~0", "~")).collect();
    let is_step = |step: &String| !step.is_empty() && step.parse::<usize>().map_or(true, |at| at < PLACE_MAX);
    steps.iter().all(is_step).then_some(steps)
}

/// Puts a value into its place; a number is a place in a list.
fn put(document: &mut Value, place: &str, value: Value) {
    let mut here = document;
    for step in steps(place).unwrap_or_default() {
        here = match step.parse::<usize>() {
            Ok(at) => {
                if !here.is_array() {
                    *here = Value::Array(Vec::new());
                }
                let Value::Array(list) = here else { return };
                while list.len() <= at {
                    list.push(Value::Object(Map::new()));
                }
                let Some(inner) = list.get_mut(at) else { return };
                inner
            }
            Err(_) => {
                if !here.is_object() {
                    *here = Value::Object(Map::new());
                }
                let Value::Object(object) = here else { return };
                object.entry(step).or_insert(Value::Null)
            }
        };
    }
    *here = value;
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const MAPPING: &str = r#"
ignored = ["No"]
[field."/to"]
value = "ae-rk.aman"
[field."/category"]
column = "Type"
codes = { "Trafficking in persons" = "trafficking" }
[field."/consent/given_on"]
column = "Consented"
date = "day-month-year"
[field."/consent/identity_allowed"]
column = "Share"
yes = ["yes", "نعم"]
no = ["no"]
[field."/summary/safe_contact/never"]
column = "Never"
list = ";"
codes = { "SMS" = "sms", "phone" = "phone_call" }
[field."/summary/persons_affected"]
column = "Persons"
[field."/identity/persons/0/name/given"]
column = "First name"
[field."/identity/persons/1/role"]
column = "Child"
codes = { "x" = "child" }
"#;

    fn row(cells: &[(&str, &str)]) -> Row {
        cells.iter().map(|(column, cell)| ((*column).to_owned(), (*cell).to_owned())).collect()
    }

    #[test]
    fn a_row_becomes_a_document() {
        let mapping = Mapping::parse(MAPPING).unwrap();
        let (document, problems) = mapping.document(&row(&[
            ("Type", "trafficking in persons "),
            ("Consented", "3/9/2026"),
            ("Share", "نعم"),
            ("Never", "sms; phone"),
            ("Persons", "2"),
            ("First name", "A"),
            ("Child", "x"),
        ]));
        assert_eq!(problems, []);
        assert_eq!(
            document,
            json!({
                "to": "ae-rk.aman",
                "category": "trafficking",
                "consent": {"given_on": "2026-09-03", "identity_allowed": true},
                "summary": {"safe_contact": {"never": ["sms", "phone_call"]}, "persons_affected": 2},
                "identity": {"persons": [{"name": {"given": "A"}}, {"role": "child"}]},
            })
        );
        // An empty cell leaves its field out.
        assert_eq!(mapping.document(&row(&[("Type", " ")])), (json!({"to": "ae-rk.aman"}), vec![]));
    }

    #[test]
    fn what_has_no_meaning_is_told_by_its_place_and_never_repeated() {
        let mapping = Mapping::parse(MAPPING).unwrap();
        let cells =
            [("Type", "Planted"), ("Consented", "Planted"), ("Share", "Planted"), ("Persons", "Planted")];
        let (_, problems) = mapping.document(&row(&cells));
        assert_eq!(problems.len(), 4);
        for problem in &problems {
            assert!(!problem.text_en().contains("Planted") && !problem.text_ar().contains("Planted"));
            assert!(!format!("{problem:?}").contains("Planted"));
        }
        let columns = ["No", "Type", "Consented", "Share", "Never", "Persons", "Other"].map(str::to_owned);
        let against = mapping.against(&columns.into_iter().collect());
        let missing = |name: &str| Problem::NoColumn { column: name.to_owned() };
        let unused = Problem::Unused { column: "Other".to_owned() };
        assert_eq!(against, [missing("Child"), missing("First name"), unused]);
    }

    #[test]
    fn files_that_are_no_mappings() {
        for (text, expected) in [
            ("[field.\"to\"]\nvalue = \"x\"", "place"),
            ("[field.\"/to\"]", "`column` or a `value`"),
            ("[field.\"/to\"]\nvalue = \"x\"\ncolumn = \"y\"", "and not both"),
            ("[field.\"/persons/64/role\"]\nvalue = \"x\"", "place"),
            ("[field.\"/to\"]\ncolour = \"x\"", "form"),
            ("delimiter = \"س\"\n[field.\"/to\"]\nvalue = \"x\"", "delimiter"),
            ("", "form"),
        ] {
            let fault = Mapping::parse(text).unwrap_err().to_string();
            assert!(fault.contains(expected), "{fault}");
        }
        let long = "#".repeat(MAPPING_BYTES_MAX + 1);
        assert_eq!(Mapping::parse(&long), Err(MappingFault::TooLarge));
    }

    #[test]
    fn days_are_read_in_their_order_or_not_at_all() {
        for (word, order, expected) in [
            ("31.12.2026", DateOrder::DayMonthYear, Some("2026-12-31")),
            ("12/31/2026", DateOrder::MonthDayYear, Some("2026-12-31")),
            ("2026-1-2", DateOrder::YearMonthDay, Some("2026-01-02")),
            ("31/12/2026", DateOrder::MonthDayYear, None),
            ("30/2/2026", DateOrder::DayMonthYear, None),
            ("1/2/26", DateOrder::DayMonthYear, None),
            ("yesterday", DateOrder::DayMonthYear, None),
        ] {
            assert_eq!(date(word, order).as_deref(), expected, "{word}");
        }
    }
}
