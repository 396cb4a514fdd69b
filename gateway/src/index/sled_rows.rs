//! The newest rows in sled 0.34. It syncs nothing for certain and may panic on damage, so every call
//! is caught, nothing acknowledged rests on it, and what it claims to cover is compared with the
//! journal. It is kept small, since its memory and its time at open grow with its rows.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use journal::{BatchNo, Mark, Position, Volume};
use proto::digest::Digest;

use super::rows::{Coverage, Row, Rows, RowsFault, Sorted};

/// Cache of the store, in bytes.
pub const CACHE_BYTES: u64 = 16 * 1024 * 1024;
/// The longest value that is stored: larger ones would go to files that sled never syncs.
pub const VALUE_BYTES_MAX: usize = 1024;
/// More rows than this are no store of ours.
const STORED_ROWS_MAX: usize = 1_000_000;

/// The store's folder, beside the runs.
const STORE: &str = "recent";
/// What the store's folder is called while it is removed: half of one is never opened.
const OLD: &str = "recent.old";
/// Sorts before every key of the index.
const COVERS: &[u8] = b"\0covers";

/// The newest rows in sled, and the folder of the runs around them.
#[derive(Debug)]
pub struct SledRows {
    path: PathBuf,
    /// None before the first use, and when it cannot be opened.
    db: Option<sled::Db>,
}

impl SledRows {
    /// Takes up the index's folder, making it if need be. Nothing is read yet; a damaged store is
    /// noticed at the first call.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        if fs::create_dir_all(path).is_err() {
            tracing::warn!("the index's folder cannot be made");
        }
        Self { path: path.to_owned(), db: None }
    }

    /// Lets go of the store. It syncs a file when it is dropped, and panics when the disk refuses:
    /// exactly then it is to be removed, by a service that goes on.
    fn close(&mut self) {
        let db = self.db.take();
        if catch_unwind(AssertUnwindSafe(|| drop(db))).is_err() {
            tracing::warn!("the index panicked while it was closed");
        }
    }

    fn db(&mut self) -> Result<&sled::Db, RowsFault> {
        if self.db.is_none() {
            remove(&self.path.join(OLD));
            self.db = open(&self.path.join(STORE));
        }
        self.db.as_ref().ok_or(RowsFault)
    }

    fn call<T>(&mut self, call: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, RowsFault> {
        let db = self.db()?;
        match catch_unwind(AssertUnwindSafe(|| call(db))) {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) | Err(_) => Err(RowsFault),
        }
    }
}

impl Drop for SledRows {
    fn drop(&mut self) {
        self.close();
    }
}

fn open(path: &Path) -> Option<sled::Db> {
    let config = sled::Config::new()
        .path(path)
        .cache_capacity(CACHE_BYTES)
        .mode(sled::Mode::LowSpace)
        .use_compression(false)
        .flush_every_ms(Some(500));
    catch_unwind(AssertUnwindSafe(|| config.open())).ok().and_then(Result::ok)
}

fn remove(path: &Path) {
    if path.exists() && fs::remove_dir_all(path).is_err() {
        tracing::warn!("an old folder of the index stays");
    }
}

impl Rows for SledRows {
    fn load(&mut self) -> Result<Option<(Coverage, Sorted)>, RowsFault> {
        let rows = self.call(|db| {
            let rows = db.iter().take(STORED_ROWS_MAX);
            rows.map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec()))).collect()
        });
        let mut rows: Sorted = rows?;
        match rows.remove(COVERS) {
            None => Ok(None),
            Some(_) if rows.len() >= STORED_ROWS_MAX - 1 => Err(RowsFault),
            Some(covers) => Ok(Some((coverage(&covers).ok_or(RowsFault)?, rows))),
        }
    }

    fn write(&mut self, rows: Vec<Row>, covers: Coverage) -> Result<(), RowsFault> {
        if rows.iter().any(|(_, value)| value.len() > VALUE_BYTES_MAX) {
            return Err(RowsFault);
        }
        let mut batch = sled::Batch::default();
        for (key, value) in rows {
            batch.insert(key, value);
        }
        batch.insert(COVERS, bytes_of(&covers));
        self.call(|db| db.apply_batch(batch))
    }

    fn begin_anew(&mut self) {
        self.close();
        let (store, old) = (self.path.join(STORE), self.path.join(OLD));
        remove(&old);
        // What is half removed must not be taken for a store.
        if store.exists() && fs::rename(&store, &old).is_err() {
            tracing::warn!("an old store of the index stays");
        }
        remove(&old);
    }

    fn runs(&self) -> Result<Volume, RowsFault> {
        Ok(Volume::directory(&self.path)?)
    }
}

fn bytes_of(covers: &Coverage) -> Vec<u8> {
    let mark = |mark: Mark| [mark.position.get().to_be_bytes(), mark.batch_no.get().to_be_bytes()].concat();
    [mark(covers.from).as_slice(), &mark(covers.to), covers.root.as_bytes()].concat()
}

fn coverage(bytes: &[u8]) -> Option<Coverage> {
    let (marks, root) = bytes.split_first_chunk::<32>()?;
    let (words, _) = marks.as_chunks::<8>();
    let mut words = words.iter().map(|word| u64::from_be_bytes(*word));
    let mut mark =
        || Some(Mark { position: Position::new(words.next()?), batch_no: BatchNo::new(words.next()?) });
    let (from, to) = (mark()?, mark()?);
    Some(Coverage { from, to, root: Digest(root.try_into().ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(number: u8) -> Vec<Row> {
        vec![(vec![b'e', number], vec![number; 40]), (vec![b'r', number], vec![number])]
    }

    const COVERAGE: Coverage = Coverage {
        from: Mark::START,
        to: Mark { position: Position::new(4096), batch_no: BatchNo::new(7) },
        root: Digest([9; 32]),
    };

    #[test]
    fn rows_and_what_they_cover_survive_a_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let mut store = SledRows::open(&path);
        assert_eq!(store.load(), Ok(None));
        store.write(rows(1), Coverage { to: Mark::START, ..COVERAGE }).unwrap();
        store.write(rows(2), COVERAGE).unwrap();
        drop(store);
        let mut store = SledRows::open(&path);
        let all: Sorted = rows(1).into_iter().chain(rows(2)).collect();
        assert_eq!(store.load(), Ok(Some((COVERAGE, all))));
        assert_eq!(
            fs::read_dir(path.join("recent/blobs")).unwrap().count(),
            0,
            "nothing that sled never syncs"
        );
    }

    #[test]
    fn a_damaged_store_begins_anew_and_nothing_of_it_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let mut store = SledRows::open(&path);
        store.write(rows(1), COVERAGE).unwrap();
        drop(store);
        fs::write(path.join("recent/conf"), b"no such configuration").unwrap();
        let mut store = SledRows::open(&path);
        assert!(matches!(store.load(), Err(RowsFault) | Ok(None)));
        store.begin_anew();
        assert_eq!(store.load(), Ok(None));
        store.write(rows(2), COVERAGE).unwrap();
        assert_eq!(store.load(), Ok(Some((COVERAGE, rows(2).into_iter().collect()))));
        assert_eq!(fs::read_dir(&path).unwrap().count(), 1, "nothing is set aside");
    }

    #[test]
    fn half_a_folder_is_removed_and_never_opened() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let mut store = SledRows::open(&path);
        store.write(rows(1), COVERAGE).unwrap();
        drop(store);
        // The process ended while the folder was removed.
        fs::rename(path.join("recent"), path.join("recent.old")).unwrap();
        fs::remove_file(path.join("recent.old/conf")).unwrap();
        let mut store = SledRows::open(&path);
        assert_eq!(store.load(), Ok(None));
        assert!(!path.join("recent.old").exists());
    }

    #[test]
    fn a_value_that_sled_would_put_into_a_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SledRows::open(&folder.path().join("index"));
        let row = |bytes| vec![(vec![1], vec![0; bytes])];
        assert_eq!(store.write(row(VALUE_BYTES_MAX), COVERAGE), Ok(()));
        assert_eq!(store.write(row(VALUE_BYTES_MAX + 1), COVERAGE), Err(RowsFault));
    }
}
