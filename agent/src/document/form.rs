//! A document as a form that people fill in: TOML, in which remarks say what belongs where. It becomes the JSON
//! that is sent. Not here: an empty form (`form::blank`), and what a document may hold.

pub mod blank;
pub mod labels;

use std::path::Path;

use serde_json::{Map, Value};

/// Whether a file is a form, by its name.
#[must_use]
pub fn is_form(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml"))
}

/// A form as JSON.
///
/// # Errors
/// The line that is not of its form, from 1.
pub fn to_json(text: &[u8]) -> Result<Vec<u8>, usize> {
    let text = std::str::from_utf8(text).map_err(|error| line_of(text, error.valid_up_to()))?;
    let table = text.parse::<toml::Table>();
    let table = table.map_err(|error| line_of(text.as_bytes(), error.span().map_or(0, |span| span.start)))?;
    Ok(json(toml::Value::Table(table)).to_string().into_bytes())
}

fn line_of(text: &[u8], at: usize) -> usize {
    let before = text.get(..at).unwrap_or(text);
    before.split(|byte| *byte == b'\n').count()
}

fn json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::String(text),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(flag) => flag.into(),
        // A day without quotes.
        toml::Value::Datetime(moment) => Value::String(moment.to_string()),
        toml::Value::Array(list) => Value::Array(list.into_iter().map(json).collect()),
        toml::Value::Table(table) => {
            Value::Object(table.into_iter().map(|(name, value)| (name, json(value))).collect::<Map<_, _>>())
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_form_is_the_json_that_it_says() {
        let text =
            "to = \"ae-rk.aman\"\n[consent]\ngiven_on = 2026-11-20\n[[attachments]]\nfile = \"a.pdf\"\n";
        let read: Value = serde_json::from_slice(&to_json(text.as_bytes()).unwrap()).unwrap();
        let consent = json!({"given_on": "2026-11-20"});
        assert_eq!(read, json!({"to": "ae-rk.aman", "consent": consent, "attachments": [{"file": "a.pdf"}]}));
        assert_eq!(to_json(b"a = 1\nb = \nc = 2\n"), Err(2));
        assert_eq!(to_json(b"a = 1\na = 2\n"), Err(2));
        assert_eq!(to_json(b"a = 1\nb = \"\xff\"\n"), Err(2));
        assert!(is_form(Path::new("x/a.TOML")) && !is_form(Path::new("a.json")));
    }
}
