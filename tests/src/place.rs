//! The real writer on a real directory: journal, anchor, index in sled, tiles in folders. Not here:
//! what is pushed.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use gateway::{
    fault::Fault,
    index::{
        rows::{Row, Rows, RowsFault, Watermark},
        sled_rows::SledRows,
    },
    start::{Derived, Started, start},
    tiles::files::{Files, Folder},
    writer::{LogKeys, Writer},
};
use journal::{Closed, Config, FileJournal, LogId, OpenError, SegmentBytes, Volume};

/// The real writer.
pub type Real = Writer<FileJournal, Stepping<SledRows>, Stepping<Folder>>;

/// Where a gateway's files are.
#[derive(Debug, Clone)]
pub struct Place {
    root: PathBuf,
    anchor: PathBuf,
}

impl Place {
    /// Everything under one directory but the anchor, which may lie on another volume.
    #[must_use]
    pub fn new(root: &Path, anchor: Option<&Path>) -> Self {
        let anchor = anchor.map_or_else(|| root.join("anchor"), Path::to_owned);
        Self { root: root.to_owned(), anchor }
    }

    /// Where the segments and snapshots are.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// Where sled's files are.
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
            rows: Stepping(SledRows::open(&self.index())),
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

impl<R: Rows> Rows for Stepping<R> {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RowsFault> {
        self.0.get(key)
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Row>, RowsFault> {
        self.0.scan(prefix)
    }

    fn watermark(&self) -> Result<Option<Watermark>, RowsFault> {
        self.0.watermark()
    }

    fn write(&mut self, rows: Vec<Row>, watermark: Watermark) -> Result<(), RowsFault> {
        step("rows write");
        self.0.write(rows, watermark)?;
        step("rows written");
        Ok(())
    }

    fn set_aside(&mut self) {
        self.0.set_aside();
    }
}
