//! Forms, the schema of documents, and completion for shells. Need no agent. Not here: what a form holds
//! (`agent::document::form`).

use std::{
    fs::OpenOptions,
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use agent::document::{form::blank::blank, schema};
use clap::CommandFactory as _;
use proto::{ids::Kind, vocabulary::KINDS};
use serde_json::{Value, json};

use super::{
    arguments::{Arguments, Completion, New, Schema},
    outcome::{Outcome, Trouble},
    show::Screen,
    vocabularies::not_a_code,
};

pub(crate) fn new(new: &New, screen: &Screen) -> Result<Outcome, Trouble> {
    let place = KINDS.codes().position(|code| code == new.kind);
    let kind = place.and_then(|place| Kind::ALL.get(place).copied());
    let kind = kind.ok_or_else(|| not_a_code(KINDS, "the kind", &new.kind))?;
    let text = blank(kind, screen.language);
    put(new.out.as_deref(), &text, screen, || json!({"kind": new.kind, "form": text}))
}

pub(crate) fn schema(asked: &Schema, screen: &Screen) -> Result<Outcome, Trouble> {
    let schema = schema::schema(screen.language);
    let text = serde_json::to_string_pretty(&schema).map_err(|error| Trouble::of(&error))?;
    put(asked.out.as_deref(), &format!("{text}\n"), screen, || schema.clone())
}

/// Into a new file for its owner only, or onto the screen.
fn put(
    out: Option<&Path>,
    text: &str,
    screen: &Screen,
    value: impl FnOnce() -> Value,
) -> Result<Outcome, Trouble> {
    let Some(path) = out else {
        screen.show(text.lines().map(str::to_owned), value);
        return Ok(Outcome::Done);
    };
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    let written = file.and_then(|mut file| file.write_all(text.as_bytes()));
    written
        .map_err(|error| Trouble::usage(format!("{} cannot be written: {}", path.display(), error.kind())))?;
    screen.show([path.display().to_string()], || json!({"file": path}));
    Ok(Outcome::Done)
}

pub(crate) fn completion(asked: &Completion) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(asked.shell, &mut Arguments::command(), "agent", &mut text);
    // Whoever listens may have gone: that is no fault.
    drop(io::stdout().write_all(&text));
    Outcome::Done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_shell_completes_every_command() {
        for shell in [clap_complete::Shell::Bash, clap_complete::Shell::Zsh, clap_complete::Shell::Fish] {
            let mut text = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "agent", &mut text);
            let text = String::from_utf8(text).unwrap();
            for command in ["enrol", "withdraw-consent", "completion"] {
                assert!(text.contains(command), "{shell}: {command}");
            }
        }
    }
}
