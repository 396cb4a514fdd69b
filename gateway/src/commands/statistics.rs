//! `gateway statistics`: a year's figures for the public, as files for a spreadsheet. Not here: what is in
//! them (`proto::statistics`).

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use gateway::{clock, config::Config, place::Place, statistics};
use proto::statistics::{NotTold, Year};
use serde_json::json;

use super::Said;

#[derive(Debug, Args)]
#[command(
    after_help = "A year can be told 90 days after its end: then each referral has had its time, and the figures never \
change. Counts of 1 to 10, and whatever they would follow from, are left out.\n\n\
Examples:\n  gateway statistics ./hub --year 2026 --csv ./figures\n  \
gateway statistics ./hub --year 2026 --month 11 --csv ./figures"
)]
pub(super) struct StatisticsArguments {
    /// The folder with gateway.toml, whose gateway does not run; or a copy of it.
    folder: PathBuf,
    /// The year.
    #[arg(long)]
    year: u32,
    /// One month of it, 1 to 12; the whole year when left out.
    #[arg(long)]
    month: Option<u32>,
    /// The folder that files are written to.
    #[arg(long)]
    csv: PathBuf,
}

impl StatisticsArguments {
    pub(super) fn run(self) -> Result<Said> {
        let told = |not_told: NotTold| statistics::NoStatistics::from(not_told);
        if self.month.is_some_and(|month| !(1..=12).contains(&month)) {
            return Err(told(NotTold::NoMonth).into());
        }
        let year = Year::new(self.year, clock::now()).map_err(told)?;
        let config = Config::read(&self.folder.join("gateway.toml"))?;
        let place = Place::new(&self.folder, config.anchor.as_deref());
        let year = statistics::read(&place, year)?;
        let files = statistics::write(&year, self.month, &self.csv)?;
        let files: Vec<_> = files.iter().map(|path| path.display().to_string()).collect();
        Ok(Said { text: files.clone(), json: json!({ "files": files }) })
    }
}
