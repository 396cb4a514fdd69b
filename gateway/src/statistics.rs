//! A year's statistics out of a gateway's folder: the journal is read from its first byte, and a few files
//! are written. Not here: what is counted, and what is kept out of it (`proto::statistics`).

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use journal::{Closed, Journal as _, Mark, OpenError, Volume};
use proto::statistics::{NotTold, Table, Topic, Year};
use thiserror::Error;

use crate::{fault::Fault, history, place::Place};

/// Why there are none.
#[derive(Debug, Error)]
pub enum NoStatistics {
    /// The year or the month.
    #[error("{} / {}", .0, .0.text_ar())]
    NotTold(NotTold),
    /// The gateway runs.
    #[error("is the gateway running? stop it first, or name a copy of its folder")]
    Locked,
    /// The journal: figures of a part of it would be wrong.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// A file.
    #[error("{} cannot be written: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

// It says all by itself: as a source it would be said twice.
impl From<NotTold> for NoStatistics {
    fn from(not_told: NotTold) -> Self {
        Self::NotTold(not_told)
    }
}

/// Reads a year's referrals from a gateway's folder, whose gateway does not run, or from a copy of it.
///
/// # Errors
/// [`NoStatistics`].
pub fn read(place: &Place, mut year: Year) -> Result<Year, NoStatistics> {
    let volume = Volume::directory(&place.journal()).map_err(Fault::from)?;
    let anchor = Volume::directory(&place.anchor()).map_err(Fault::from)?;
    let closed = Closed::lock(&volume, &anchor).map_err(|error| {
        if matches!(error, OpenError::Locked) { NoStatistics::Locked } else { Fault::from(error).into() }
    })?;
    let config = journal::Config { ready_segments: 0, ..journal::Config::inline() };
    let (journal, _) = closed.recover(config, None).map_err(Fault::from)?;
    for read in journal.reader().iter_from(Mark::START) {
        let read = read.map_err(Fault::from)?;
        year.take(&history::parse(&read)?);
    }
    Ok(year)
}

/// Writes the tables into a folder: the whole year, or one month of it; and the notes that belong to them.
/// Gives the files.
///
/// # Errors
/// [`NoStatistics`].
pub fn write(year: &Year, month: Option<u32>, folder: &Path) -> Result<Vec<PathBuf>, NoStatistics> {
    let mut texts = vec![("notes.csv".to_owned(), Table::notes())];
    for topic in Topic::ALL {
        let table = year.table(*topic);
        let (name, number) = (topic.name(), table.year);
        texts.push(match month {
            None => (format!("{name}-{number}.csv"), table.csv()),
            Some(month) => (format!("{name}-{number}-{month:02}.csv"), table.csv_of_month(month)?),
        });
    }
    let file = |path: &Path, error| NoStatistics::File { path: path.to_owned(), error };
    fs::create_dir_all(folder).map_err(|error| file(folder, error))?;
    let written = texts.into_iter().map(|(name, text)| {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| file(&path, error))?;
        Ok(path)
    });
    written.collect()
}
