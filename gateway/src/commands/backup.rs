//! `gateway backup` and `gateway restore`: a copy of a gateway that serves, and putting it back, with a
//! progress bar. Not here: what is copied (`gateway::backup`).

use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use gateway::{
    backup::{self, Backup, Keys, restore},
    config::Config,
    place::Place,
};
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use serde_json::{Value, json};

use super::Said;

#[derive(Debug, Args)]
#[command(
    after_help = "The gateway may be serving. Run it as the gateway's own user, often: what agencies were acknowledged after \
the last backup is lost with the disk, and a gateway that was put back does not go on while an agency holds more.\n\n\
Examples:\n  gateway backup ./hub --to /mnt/backup/2026-11-22T1800\n  \
gateway backup ./hub --to /mnt/safe/first --with-keys"
)]
pub(super) struct BackupArguments {
    /// The folder with gateway.toml.
    folder: PathBuf,
    /// A folder that is not there yet, on another disk.
    #[arg(long)]
    to: PathBuf,
    /// Copy the keys too: log keys, TLS key, authority. Whoever has such a backup can be this gateway.
    #[arg(long)]
    with_keys: bool,
}

#[derive(Debug, Args)]
#[command(
    after_help = "The gateway that is started in the new folder takes and signs nothing before the agencies' agents have \
reported what they hold: /ready says who is missing.\n\n\
Examples:\n  gateway restore /mnt/backup/2026-11-22T1800 --check\n  \
gateway restore /mnt/backup/2026-11-22T1800 --keys /mnt/safe/first --to ./hub"
)]
pub(super) struct RestoreArguments {
    /// The backup's folder.
    backup: PathBuf,
    /// A folder that is not there yet.
    #[arg(long, required_unless_present = "check")]
    to: Option<PathBuf>,
    /// The folder that holds keys/, tls/ and authority/, when the backup does not.
    #[arg(long)]
    keys: Option<PathBuf>,
    /// Only read the backup, and compare it with its list.
    #[arg(long, conflicts_with = "to")]
    check: bool,
}

impl BackupArguments {
    pub(super) fn run(self, is_json: bool) -> Result<Said> {
        let config = Config::read(&self.folder.join("gateway.toml"))?;
        let place = Place::new(&self.folder, config.anchor.as_deref());
        let keys = if self.with_keys { Keys::Included } else { Keys::Apart };
        let bar = bar(is_json)?;
        let made = backup::make(&place, &config, &self.to, keys, &mut moves(&bar));
        bar.finish_and_clear();
        let made = made?;
        let mut text = vec![format!("The backup in {} is whole.", self.to.display())];
        text.extend(figures(&made));
        if keys == Keys::Apart {
            text.push(
                "The keys are not in it: keep keys/, tls/ and authority/ elsewhere, offline.".to_owned(),
            );
        }
        Ok(Said { text, json: told(&made) })
    }
}

impl RestoreArguments {
    pub(super) fn run(self, is_json: bool) -> Result<Said> {
        let bar = bar(is_json)?;
        let (read, to) = match &self.to {
            Some(to) => (restore::restore(&self.backup, self.keys.as_deref(), to, &mut moves(&bar)), to),
            None if self.check => (restore::check(&self.backup, &mut moves(&bar)), &self.backup),
            None => bail!("name the new folder with --to, or only --check"),
        };
        bar.finish_and_clear();
        let read = read?;
        let mut text = figures(&read);
        if self.check {
            text.insert(0, "Every file of the backup is as it was copied.".to_owned());
        } else {
            text.insert(0, format!("Put back into {}.", to.display()));
            text.push("Never start the one that was lost again, nor another copy of it.".to_owned());
            text.push(format!("Now: gateway serve --config {}", to.join("gateway.toml").display()));
            text.push(
                "It takes nothing before every agency has reported: see /ready and its log.".to_owned(),
            );
        }
        Ok(Said { text, json: told(&read) })
    }
}

fn bar(is_json: bool) -> Result<ProgressBar> {
    let bar = if is_json { ProgressBar::hidden() } else { ProgressBar::new(0) };
    bar.set_style(ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes}, {eta} left")?);
    Ok(bar)
}

fn moves(bar: &ProgressBar) -> impl FnMut(u64, u64) {
    |done, total| {
        bar.set_length(total);
        bar.set_position(done);
    }
}

fn figures(backup: &Backup) -> Vec<String> {
    vec![
        format!("  batches           {}", backup.batches),
        format!("  evidence records  {}", backup.evidence_size),
        format!("  directory records {}", backup.directory_size),
        format!("  files             {}, {}", backup.files.len(), HumanBytes(backup.bytes())),
    ]
}

fn told(backup: &Backup) -> Value {
    json!({
        "network": backup.network,
        "made_at_ms": backup.made_at_ms,
        "batches": backup.batches,
        "evidence_records": backup.evidence_size,
        "directory_records": backup.directory_size,
        "has_keys": backup.has_keys,
        "files": backup.files.len(),
        "bytes": backup.bytes(),
    })
}
