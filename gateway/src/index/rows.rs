//! The store of the newest rows, which a restart finds again without reading the journal, and its
//! twin in memory. Not here: what the rows mean, and runs, which hold all older ones.

use std::collections::BTreeMap;

use journal::{Mark, MemoryDisk, Volume};
use proto::digest::Digest;

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// Rows in the order of their keys.
pub type Sorted = BTreeMap<Vec<u8>, Vec<u8>>;

/// How many rows are kept before they all become a run: in memory, and at the most as many in the
/// store.
pub const ROWS_MAX: usize = 16_384;

/// Which batches of which journal some rows are of, with none left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Coverage {
    /// From this place on.
    pub from: Mark,
    /// All batches before this place.
    pub to: Mark,
    /// The root that the last of these batches names: it tells this journal from another one that
    /// happens to have a batch end at the same place.
    pub root: Digest,
}

/// The store or a run failed, or what it says cannot be trusted. There is nothing to mend: it is
/// made again from the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowsFault;

impl From<journal::Fault> for RowsFault {
    fn from(fault: journal::Fault) -> Self {
        tracing::warn!(%fault, "a file of the index");
        Self
    }
}

/// A store that may lose everything: what it forgets is read from the journal again. It never claims
/// to cover more than it holds.
pub trait Rows {
    /// All that it holds, and what that covers; nothing when it is empty.
    ///
    /// # Errors
    /// [`RowsFault`].
    fn load(&mut self) -> Result<Option<(Coverage, Sorted)>, RowsFault>;

    /// Writes rows and what the store covers with them, together or not at all.
    ///
    /// # Errors
    /// [`RowsFault`].
    fn write(&mut self, rows: Vec<Row>, covers: Coverage) -> Result<(), RowsFault>;

    /// Begins anew, empty.
    fn begin_anew(&mut self);

    /// The folder of the runs.
    ///
    /// # Errors
    /// [`RowsFault`].
    fn runs(&self) -> Result<Volume, RowsFault>;

    /// How many rows are kept before they become a run.
    fn rows_max(&self) -> usize {
        ROWS_MAX
    }
}

/// The twin in memory, with a disk of its own for the runs unless it is given one.
#[derive(Debug, Clone)]
pub struct MemoryRows {
    rows: Sorted,
    covers: Option<Coverage>,
    runs: Volume,
    /// As [`Rows::rows_max`].
    pub rows_max: usize,
    /// When set, every call fails until it begins anew.
    pub broken: bool,
}

impl MemoryRows {
    /// An empty store, whose runs lie in this folder.
    #[must_use]
    pub const fn new(runs: Volume, rows_max: usize) -> Self {
        Self { rows: Sorted::new(), covers: None, runs, rows_max, broken: false }
    }

    /// Puts it on the disk of another life of the process.
    pub fn mount(&mut self, runs: Volume) {
        self.runs = runs;
    }

    /// Loses all rows, as a power cut may.
    pub fn lose(&mut self) {
        self.rows.clear();
        self.covers = None;
        self.broken = false;
    }

    fn check(&self) -> Result<(), RowsFault> {
        if self.broken { Err(RowsFault) } else { Ok(()) }
    }
}

impl Default for MemoryRows {
    fn default() -> Self {
        Self::new(MemoryDisk::new().volume(), ROWS_MAX)
    }
}

impl Rows for MemoryRows {
    fn load(&mut self) -> Result<Option<(Coverage, Sorted)>, RowsFault> {
        self.check()?;
        Ok(self.covers.map(|covers| (covers, self.rows.clone())))
    }

    fn write(&mut self, rows: Vec<Row>, covers: Coverage) -> Result<(), RowsFault> {
        self.check()?;
        self.rows.extend(rows);
        self.covers = Some(covers);
        Ok(())
    }

    fn begin_anew(&mut self) {
        self.lose();
    }

    fn runs(&self) -> Result<Volume, RowsFault> {
        Ok(self.runs.clone())
    }

    fn rows_max(&self) -> usize {
        self.rows_max
    }
}
