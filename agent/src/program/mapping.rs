//! Documents of an agency's own rows. Needs no agent. Not here: what a row means (`agent::mapping`).

use std::{
    fs::{self, DirBuilder, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::Path,
};

use agent::{
    api, clock, document,
    mapping::{Mapping, Problem, rows},
};
use serde_json::{Value, json};

use super::{
    arguments::Map,
    joining::read_text,
    outcome::{Outcome, Trouble},
    show::Screen,
};

/// What came of a row.
struct Made {
    /// From 1.
    number: usize,
    document: Value,
    problems: Vec<Problem>,
    flaws: Vec<api::Flaw>,
}

impl Made {
    fn is_whole(&self) -> bool {
        self.flaws.is_empty() && self.problems.is_empty()
    }
}

pub(crate) fn map(asked: &Map, screen: &Screen) -> Result<Outcome, Trouble> {
    let mapping =
        Mapping::parse(&read_text(&asked.mapping)?).map_err(|fault| Trouble::usage(fault.to_string()))?;
    let is_json = asked.rows.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
    let bytes = fs::read(&asked.rows).map_err(|error| {
        Trouble::usage(format!("{} cannot be read: {}", asked.rows.display(), error.kind()))
    })?;
    let read = rows::read(&bytes, is_json, mapping.delimiter);
    let (columns, rows) =
        read.map_err(|fault| Trouble::usage(format!("{}: {fault}", asked.rows.display())))?;
    let against = mapping.against(&columns);
    let numbered =
        (1..).zip(&rows).filter(|(number, _)| asked.only.is_empty() || asked.only.contains(number));
    let made: Vec<Made> = numbered.map(|(number, row)| make(&mapping, number, row)).collect();
    if let Some(none) = asked.only.iter().find(|number| !(1..=rows.len()).contains(*number)) {
        return Err(Trouble::usage(format!("there is no row {none}; there are {}", rows.len())));
    }
    let mut files = Vec::new();
    if let Some(folder) = &asked.out {
        for one in made.iter().filter(|one| one.is_whole()) {
            files.push(write(folder, one).map_err(|error| {
                Trouble::usage(format!("{} cannot be written: {}", folder.display(), error.kind()))
            })?);
        }
    }
    show(&against, &made, &files, screen);
    let is_missing = against.iter().any(Problem::is_missing) || made.iter().any(|one| !one.is_whole());
    Ok(if is_missing { Outcome::Refused } else { Outcome::Done })
}

/// The document of a row, judged as `check` judges it; whether its files are there is not looked at.
fn make(mapping: &Mapping, number: usize, row: &rows::Row) -> Made {
    let (document, problems) = mapping.document(row);
    let read = document::read_without_files(document.to_string().as_bytes(), clock::now());
    let flaws = read.err().unwrap_or_default().iter().map(api::Flaw::from).collect();
    Made { number, document, problems, flaws }
}

fn write(folder: &Path, made: &Made) -> io::Result<String> {
    DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
    let path = folder.join(format!("row-{}.json", made.number));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
    let mut text = serde_json::to_vec_pretty(&made.document)?;
    text.push(b'\n');
    file.write_all(&text)?;
    file.sync_all()?;
    Ok(path.display().to_string())
}

fn show(against: &[Problem], made: &[Made], files: &[String], screen: &Screen) {
    let both = |en: &str, ar: &str| [format!("  {en}"), format!("  \u{2067}{ar}\u{2069}")];
    let problem = |one: &Problem| both(&one.text_en(), &one.text_ar());
    let row = |one: &Made| {
        let number = one.number;
        if one.is_whole() {
            return vec![format!("row {number}: good / الصف {number}: صحيح")];
        }
        let head = [format!("row {number}: something is missing / الصف {number}: فيه نقص")];
        let flaws = one.flaws.iter().flat_map(|flaw| {
            let at = &flaw.pointer;
            both(&format!("{at}: {}", flaw.text_en), &format!("\u{2068}{at}\u{2069}: {}", flaw.text_ar))
        });
        head.into_iter().chain(one.problems.iter().flat_map(problem)).chain(flaws).collect()
    };
    let columns = against.iter().flat_map(problem);
    let lines = columns.chain(made.iter().flat_map(row)).chain(files.iter().cloned());
    screen.show(lines, || {
        let problem = |one: &Problem| json!({"code": one.code(), "text_en": one.text_en(), "text_ar": one.text_ar()});
        let flaw = |flaw: &api::Flaw| {
            json!({"pointer": flaw.pointer, "text_en": flaw.text_en, "text_ar": flaw.text_ar})
        };
        let row = |one: &Made| {
            json!({
                "row": one.number,
                "good": one.is_whole(),
                "problems": one.problems.iter().map(problem).collect::<Vec<_>>(),
                "flaws": one.flaws.iter().map(flaw).collect::<Vec<_>>(),
            })
        };
        json!({
            "columns": against.iter().map(problem).collect::<Vec<_>>(),
            "rows": made.iter().map(row).collect::<Vec<_>>(),
            "files": files,
        })
    });
}
