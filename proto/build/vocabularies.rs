//! Makes constants of the vocabularies' files, and refuses files that contradict themselves: what a
//! program carries was checked when it was built. Not here: what the constants are for
//! (`src/vocabulary.rs`).

use std::{collections::BTreeSet, error::Error, fmt::Write as _, fs, path::Path};

use toml::{Table, Value};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// The file that says what the sources' names mean.
const SOURCES: &str = "sources.toml";
/// What a file may say of its vocabulary.
const OF_VOCABULARY: [&str; 5] = ["name", "constant", "version", "about", "codes"];
/// What a file may say of a code, beside the standards.
const OF_CODE: [&str; 8] = ["code", "parent", "class", "by_name_only", "en", "ar", "reviewed", "sources"];
/// Standards that a code may be mapped to, and their variants.
const STANDARDS: [(&str, &str); 5] = [
    ("htcds", "Htcds"),
    ("fhir_task", "FhirTask"),
    ("ihe_360x", "Ihe360x"),
    ("erds", "Erds"),
    ("other", "Other"),
];
/// Classes of reasons and outcomes, and their variants.
const CLASSES: [(&str, &str); 7] = [
    ("no_capacity", "NoCapacity"),
    ("service_unavailable", "ServiceUnavailable"),
    ("out_of_area", "OutOfArea"),
    ("other", "Other"),
    ("served", "Served"),
    ("partly_served", "PartlyServed"),
    ("not_served", "NotServed"),
];

/// The source text of every vocabulary in a folder.
pub(crate) fn generate(folder: &Path) -> Fallible<String> {
    let sources: Table = fs::read_to_string(folder.join(SOURCES))?.parse()?;
    let mut files = fs::read_dir(folder)?.map(|entry| Ok(entry?.path())).collect::<Fallible<Vec<_>>>()?;
    files.retain(|path| !path.ends_with(SOURCES));
    files.sort();
    let mut out = String::new();
    let mut constants = Vec::new();
    for path in files {
        let of_file = |fault: Box<dyn Error>| format!("{}: {fault}", path.display());
        let table: Table = fs::read_to_string(&path)?.parse().map_err(|fault| of_file(Box::new(fault)))?;
        let name = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        constants.push(vocabulary(&table, name, &sources, &mut out).map_err(of_file)?);
    }
    let all = constants.join(", ");
    writeln!(out, "/// Every vocabulary, by name.\npub const ALL: &[&Vocabulary] = &[{all}];")?;
    Ok(out)
}

fn vocabulary(table: &Table, file: &str, sources: &Table, out: &mut String) -> Fallible<String> {
    only(table, &OF_VOCABULARY)?;
    let (name, constant, about) = (text(table, "name")?, text(table, "constant")?, text(table, "about")?);
    let version = table.get("version").and_then(Value::as_integer).ok_or("no version")?;
    if name != file {
        return Err("the name is not the file's".into());
    }
    let codes = table.get("codes").and_then(Value::as_array).ok_or("no codes")?;
    let codes =
        codes.iter().map(|code| code.as_table().ok_or("a code is a table")).collect::<Result<Vec<_>, _>>()?;
    let mut known = BTreeSet::new();
    for code in &codes {
        if !known.insert(text(code, "code")?) {
            return Err(format!("{} twice", text(code, "code")?).into());
        }
    }
    let parents: BTreeSet<&str> = codes
        .iter()
        .filter(|code| !code.contains_key("parent"))
        .filter_map(|code| text(code, "code").ok())
        .collect();
    writeln!(out, "/// {about}\npub const {constant}: &Vocabulary = &Vocabulary {{")?;
    writeln!(out, "    name: {name:?}, version: {version}, about: {about:?}, terms: &[")?;
    for code in codes {
        let term = term(code, &parents, sources)
            .map_err(|fault| format!("{}: {fault}", text(code, "code").unwrap_or("?")))?;
        writeln!(out, "        {term},")?;
    }
    writeln!(out, "    ],\n}};")?;
    Ok(constant.to_owned())
}

fn term(code: &Table, parents: &BTreeSet<&str>, sources: &Table) -> Fallible<String> {
    let standards = STANDARDS.map(|(key, _)| key);
    only(code, &[&OF_CODE[..], &standards[..]].concat())?;
    let parent = optional(code, "parent")?;
    if parent.is_some_and(|parent| !parents.contains(parent)) {
        return Err("its parent is no code without a parent".into());
    }
    let class = match optional(code, "class")? {
        None => "None".to_owned(),
        Some(class) => {
            let known = CLASSES.iter().find(|(key, _)| *key == class).ok_or("no such class")?;
            format!("Some(ReasonClass::{})", known.1)
        }
    };
    let by_name_only = code.get("by_name_only").is_some_and(|value| value.as_bool() == Some(true));
    let reviewed = code.get("reviewed").and_then(Value::as_bool).ok_or("reviewed or not?")?;
    let named =
        code.get("sources").and_then(Value::as_array).filter(|named| !named.is_empty()).ok_or("no source")?;
    let named = named
        .iter()
        .map(|source| source.as_str().ok_or("a source is a name"))
        .collect::<Result<Vec<_>, _>>()?;
    if let Some(unknown) = named.iter().find(|source| !sources.contains_key(**source)) {
        return Err(format!("{unknown} does not stand in {SOURCES}").into());
    }
    let mut maps = String::new();
    for (key, variant) in STANDARDS {
        if let Some(to) = optional(code, key)? {
            write!(maps, "(Standard::{variant}, {to:?}), ")?;
        }
    }
    Ok(format!(
        "Term {{ code: {:?}, parent: {parent:?}, en: {:?}, ar: {:?}, reviewed: {reviewed}, sources: &{named:?}, \
         maps: &[{maps}], class: {class}, by_name_only: {by_name_only} }}",
        text(code, "code")?,
        text(code, "en")?,
        text(code, "ar")?,
    ))
}

fn only(table: &Table, known: &[&str]) -> Fallible<()> {
    match table.keys().find(|key| !known.contains(&key.as_str())) {
        Some(unknown) => Err(format!("{unknown} is not known").into()),
        None => Ok(()),
    }
}

fn text<'a>(table: &'a Table, key: &str) -> Fallible<&'a str> {
    optional(table, key)?.ok_or_else(|| format!("no {key}").into())
}

fn optional<'a>(table: &'a Table, key: &str) -> Fallible<Option<&'a str>> {
    match table.get(key) {
        None => Ok(None),
        Some(Value::String(text)) if !text.trim().is_empty() => Ok(Some(text)),
        Some(_) => Err(format!("{key} is no text").into()),
    }
}
