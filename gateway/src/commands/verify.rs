//! `gateway verify`: the oracle over a real folder, with a progress bar. Not here: what is checked.

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use gateway::{
    config::Config,
    place::Place,
    tiles::files::Folder,
    verify::{Folders, Verifiers, verify},
};
use indicatif::{ProgressBar, ProgressStyle};
use journal::{Closed, Volume};
use serde_json::json;

use super::Said;

pub(super) fn run(folder: &Path, is_json: bool) -> Result<Said> {
    let config = Config::read(&folder.join("gateway.toml"))?;
    let place = Place::new(folder, config.anchor.as_deref());
    let keys = place.log_keys(&config)?;
    let volume = Volume::directory(&place.journal())?;
    let anchor = Volume::directory(&place.anchor())?;
    let closed = Closed::lock(&volume, &anchor).context("is the gateway running? stop it first")?;
    let (journal, _) =
        closed.recover(journal::Config { ready_segments: 0, ..journal::Config::inline() }, None)?;
    let reader = journal::Journal::reader(&journal);
    let bar = if is_json { ProgressBar::hidden() } else { ProgressBar::new(reader.end().batch_no.get()) };
    bar.set_style(ProgressStyle::with_template("{wide_bar} {pos}/{len} batches, {eta} left")?);
    let (evidence, directory) = (Folder::open(&place.evidence())?, Folder::open(&place.directory())?);
    let folders = Folders { evidence: &evidence, directory: &directory };
    let verified = verify(&reader, &Verifiers::from(&keys), Some(&folders), |batches| {
        bar.set_position(batches);
    });
    bar.finish_and_clear();
    match verified {
        Ok(verified) => Ok(Said {
            text: vec![
                "Everything is right.".to_owned(),
                format!("  batches           {}", verified.batches),
                format!("  commands          {}", verified.entries),
                format!("  evidence records  {}", verified.evidence),
                format!("  directory records {}", verified.directory),
                format!("  ciphertexts       {}", verified.ciphertexts),
                format!("  published files   {}", verified.files),
            ],
            json: json!({
                "right": true,
                "batches": verified.batches,
                "commands": verified.entries,
                "evidence_records": verified.evidence,
                "directory_records": verified.directory,
                "ciphertexts": verified.ciphertexts,
                "published_files": verified.files,
            }),
        }),
        Err(wrong) => bail!("wrong at {wrong}"),
    }
}
