//! The real writer on a real directory: journal, anchor, index in sled, tiles in folders. Not here:
//! what is pushed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use gateway::{
    fault::Fault,
    index::{
        rows::{Coverage, ROWS_MAX, Row, Rows, RowsFault, Sorted},
        sled_rows::SledRows,
    },
    start::{Derived, Started, start},
    tiles::files::{Files, Folder},
    writer::{LogKeys, Writer},
};
use journal::{Closed, Config, FileJournal, LogId, OpenError, SegmentBytes, Volume};

/// The real writer.
pub type Real = Writer<FileJournal, SteppingRows, Stepping<Folder>>;

/// Where a gateway's files are.
#[derive(Debug, Clone)]
pub struct Place {
    root: PathBuf,
    anchor: PathBuf,
    index_rows_max: usize,
}

impl Place {
    /// Everything under one directory but the anchor, which may lie on another volume.
    #[must_use]
    pub fn new(root: &Path, anchor: Option<&Path>) -> Self {
        let anchor = anchor.map_or_else(|| root.join("anchor"), Path::to_owned);
        Self { root: root.to_owned(), anchor, index_rows_max: ROWS_MAX }
    }

    /// With an index that makes a run of so many rows, so that a short trial sees many.
    #[must_use]
    pub fn with_index_rows_max(self, rows: usize) -> Self {
        Self { index_rows_max: rows, ..self }
    }

    /// Where the segments and snapshots are.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// Where the index's files are.
    #[must_use]
    pub fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    /// Where the evidence log's tiles are.
    #[must_use]
    pub fn evidence(&self) -> PathBuf {
        self.root.join("evidence")
    }

    /// Where the directory log's tiles are.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.root.join("directory")
    }

    /// Makes an empty journal, if none is there.
    ///
    /// # Errors
    /// The disk's.
    pub fn create(&self, segment_bytes: SegmentBytes) -> Result<(), Fault> {
        for folder in [self.journal(), self.anchor.clone()] {
            fs::create_dir_all(folder).map_err(|error| Fault::Derived(error.kind()))?;
        }
        let volume = Volume::directory(&self.journal())?;
        match FileJournal::create(&volume, &LogId::new([7; 16]), segment_bytes) {
            Ok(()) | Err(OpenError::AlreadyExists) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Starts the writer.
    ///
    /// # Errors
    /// As [`start`]; [`Fault::Derived`] when the tiles' folders cannot be made.
    pub fn open(&self, config: Config, keys: LogKeys) -> Result<(Real, Started), Fault> {
        let volumes = (Volume::directory(&self.journal())?, Volume::directory(&self.anchor)?);
        let closed = Closed::lock(&volumes.0, &volumes.1)?;
        let folder = |path: &Path| Folder::open(path).map_err(|error| Fault::Derived(error.kind()));
        let derived = Derived {
            rows: SteppingRows { rows: SledRows::open(&self.index()), rows_max: self.index_rows_max },
            evidence: Stepping(folder(&self.evidence())?),
            directory: Stepping(folder(&self.directory())?),
        };
        start(closed, config, keys, proto::decide::decide, derived, |journal| journal)
    }
}

/// Something whose steps are traced.
#[derive(Debug)]
pub struct Stepping<T>(pub T);

fn step(name: &'static str) {
    tracing::trace!(target: "drive", "{name}");
}

impl<F: Files> Files for Stepping<F> {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        self.0.read(path)
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        step("tile write");
        self.0.write(path, bytes)?;
        step("tile written");
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        step("tiles sync");
        self.0.sync()?;
        step("tiles synced");
        Ok(())
    }
}

/// The store of the index's newest rows, whose steps are traced.
#[derive(Debug)]
pub struct SteppingRows {
    rows: SledRows,
    rows_max: usize,
}

impl Rows for SteppingRows {
    fn load(&mut self) -> Result<Option<(Coverage, Sorted)>, RowsFault> {
        self.rows.load()
    }

    fn write(&mut self, rows: Vec<Row>, covers: Coverage) -> Result<(), RowsFault> {
        step("rows write");
        self.rows.write(rows, covers)?;
        step("rows written");
        Ok(())
    }

    fn begin_anew(&mut self) {
        step("rows dropped");
        self.rows.begin_anew();
    }

    fn runs(&self) -> Result<Volume, RowsFault> {
        self.rows.runs()
    }

    fn rows_max(&self) -> usize {
        self.rows_max
    }
}
