//! Rows of a spreadsheet (CSV, RFC 4180, with a first row of names) or of a program (JSON: an object, or a list of
//! them). Not here: what they mean.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use thiserror::Error;

/// A row: cells by the names of their columns.
pub type Row = BTreeMap<String, String>;

/// Longest file of rows, in bytes.
pub const ROWS_BYTES_MAX: usize = 32 * 1024 * 1024;
/// Most rows.
pub const ROWS_MAX: usize = 10_000;

/// Why there are no rows. Nothing of them is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum RowsFault {
    /// Not UTF-8.
    #[error("the rows are not UTF-8: save the file as \"CSV UTF-8\" / احفظ الملف بترميز UTF-8")]
    NotText,
    /// A row has more or fewer cells than there are names, or a quote does not end.
    #[error(
        "line {line} has not as many cells as the first one, or a quote in it does not end / السطر غير صحيح"
    )]
    Cells {
        /// From 1.
        line: u64,
    },
    /// A name twice, or none.
    #[error("the first row must name every column, each otherwise / يجب أن يسمي السطر الأول كل عمود")]
    Names,
    /// Not JSON, or no object, or no list of objects.
    #[error("the rows are no JSON object, and no list of them / الصفوف ليست بصيغة JSON الصحيحة")]
    Json,
    /// Too many.
    #[error(
        "more than {ROWS_MAX} rows, or {ROWS_BYTES_MAX} bytes: split the file / الملف أكبر من المسموح به"
    )]
    TooMany,
}

/// Names of the columns, and the rows.
///
/// # Errors
/// [`RowsFault`].
pub fn read(bytes: &[u8], is_json: bool, delimiter: u8) -> Result<(BTreeSet<String>, Vec<Row>), RowsFault> {
    if bytes.len() > ROWS_BYTES_MAX {
        return Err(RowsFault::TooMany);
    }
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|_| RowsFault::NotText)?;
    let (names, rows) = if is_json { json(text)? } else { csv(text, delimiter)? };
    if rows.len() > ROWS_MAX { Err(RowsFault::TooMany) } else { Ok((names, rows)) }
}

fn csv(text: &str, delimiter: u8) -> Result<(BTreeSet<String>, Vec<Row>), RowsFault> {
    let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(text.as_bytes());
    let fault =
        |error: csv::Error| RowsFault::Cells { line: error.position().map_or(1, csv::Position::line) };
    let names: Vec<String> =
        reader.headers().map_err(fault)?.iter().map(|name| name.trim().to_owned()).collect();
    let distinct: BTreeSet<String> = names.iter().cloned().collect();
    if distinct.len() != names.len() || distinct.contains("") {
        return Err(RowsFault::Names);
    }
    let row =
        |record: csv::StringRecord| names.iter().cloned().zip(record.iter().map(str::to_owned)).collect();
    let rows = reader.records().take(ROWS_MAX + 1).map(|record| record.map(row).map_err(fault));
    Ok((distinct, rows.collect::<Result<_, _>>()?))
}

fn json(text: &str) -> Result<(BTreeSet<String>, Vec<Row>), RowsFault> {
    let value: Value = serde_json::from_str(text).map_err(|_| RowsFault::Json)?;
    let objects = if let Value::Array(list) = value { list } else { vec![value] };
    let mut rows = Vec::with_capacity(objects.len().min(ROWS_MAX));
    for object in objects {
        if !object.is_object() {
            return Err(RowsFault::Json);
        }
        let mut row = Row::new();
        flatten("", &object, &mut row);
        rows.push(row);
    }
    let names = rows.iter().flat_map(Row::keys).cloned().collect();
    Ok((names, rows))
}

/// What is inside others is named with a dot: `person.name`.
fn flatten(name: &str, value: &Value, row: &mut Row) {
    let inner = |step: &str| if name.is_empty() { step.to_owned() } else { format!("{name}.{step}") };
    match value {
        Value::Object(object) => object.iter().for_each(|(step, value)| flatten(&inner(step), value, row)),
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, value)| flatten(&inner(&at.to_string()), value, row));
        }
        Value::Null => {}
        Value::String(text) => drop(row.insert(name.to_owned(), text.clone())),
        Value::Bool(_) | Value::Number(_) => drop(row.insert(name.to_owned(), value.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_a_spreadsheet() {
        let text = "\u{feff}Name;Note\n\"a;\"\"b\"\"\";\"two\nlines\"\nc;\n";
        let (names, rows) = read(text.as_bytes(), false, b';').unwrap();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["Name", "Note"]);
        assert_eq!((rows[0]["Name"].as_str(), rows[0]["Note"].as_str()), ("a;\"b\"", "two\nlines"));
        assert_eq!((rows.len(), rows[1]["Note"].as_str()), (2, ""));
        for (text, fault) in [
            ("a;b\n1\n", RowsFault::Cells { line: 2 }),
            ("a;a\n1;2\n", RowsFault::Names),
            ("a;\n1;2\n", RowsFault::Names),
        ] {
            assert_eq!(read(text.as_bytes(), false, b';'), Err(fault), "{text}");
        }
        assert_eq!(read(b"a\n\xff\n", false, b';'), Err(RowsFault::NotText));
        let many = "a\n".repeat(ROWS_MAX + 2);
        assert_eq!(read(many.as_bytes(), false, b';'), Err(RowsFault::TooMany));
    }

    #[test]
    fn rows_of_a_program() {
        let (names, rows) = read(br#"[{"a": {"b": "x"}, "n": 2, "l": ["y"]}]"#, true, b',').unwrap();
        assert_eq!(names.into_iter().collect::<Vec<_>>(), ["a.b", "l.0", "n"]);
        assert_eq!((rows[0]["a.b"].as_str(), rows[0]["n"].as_str()), ("x", "2"));
        assert_eq!(read(b"[1]", true, b','), Err(RowsFault::Json));
        assert_eq!(read(b"{", true, b','), Err(RowsFault::Json));
    }
}
