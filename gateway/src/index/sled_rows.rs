//! The rows in sled 0.34. It syncs nothing for certain and may panic on damage, so every call is
//! caught, nothing acknowledged rests on it, and the watermark is compared with the journal.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
};

use journal::{BatchNo, Position};

use super::rows::{Row, Rows, RowsFault, Watermark};

/// Cache of the store, in bytes.
pub const CACHE_BYTES: u64 = 64 * 1024 * 1024;
/// The longest value that is stored: larger ones would go to files that sled never syncs.
pub const VALUE_BYTES_MAX: usize = 1024;

/// Sorts before every key of the index.
const WATERMARK: &[u8] = b"\0watermark";

/// The rows in sled.
#[derive(Debug)]
pub struct SledRows {
    path: PathBuf,
    /// None when it cannot even be opened.
    db: Option<sled::Db>,
}

impl SledRows {
    /// Opens the store in a folder of its own; a damaged one is noticed at the first call.
    #[must_use]
    pub fn open(path: &Path) -> Self {
        Self { path: path.to_owned(), db: open(path) }
    }

    /// Bytes on disk.
    #[must_use]
    pub fn bytes_on_disk(&self) -> u64 {
        self.call(|db| db.size_on_disk()).unwrap_or(0)
    }

    /// Lets go of the store. It syncs a file when it is dropped, and panics when the disk refuses:
    /// exactly then it is to be set aside, by a service that goes on.
    fn close(&mut self) {
        let db = self.db.take();
        if catch_unwind(AssertUnwindSafe(|| drop(db))).is_err() {
            tracing::warn!("the index panicked while it was closed");
        }
    }

    fn call<T>(&self, call: impl FnOnce(&sled::Db) -> sled::Result<T>) -> Result<T, RowsFault> {
        let db = self.db.as_ref().ok_or(RowsFault)?;
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

impl Rows for SledRows {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RowsFault> {
        self.call(|db| Ok(db.get(key)?.map(|value| value.to_vec())))
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Row>, RowsFault> {
        self.call(|db| {
            db.scan_prefix(prefix).map(|row| row.map(|(key, value)| (key.to_vec(), value.to_vec()))).collect()
        })
    }

    fn watermark(&self) -> Result<Option<Watermark>, RowsFault> {
        let Some(bytes) = self.get(WATERMARK)? else {
            return Ok(None);
        };
        let (position, batch_no) = bytes.split_first_chunk::<8>().ok_or(RowsFault)?;
        let batch_no = batch_no.try_into().map_err(|_| RowsFault)?;
        let position = Position::new(u64::from_be_bytes(*position));
        Ok(Some((position, BatchNo::new(u64::from_be_bytes(batch_no)))))
    }

    fn write(&mut self, rows: Vec<Row>, (position, batch_no): Watermark) -> Result<(), RowsFault> {
        if rows.iter().any(|(_, value)| value.len() > VALUE_BYTES_MAX) {
            return Err(RowsFault);
        }
        let mut batch = sled::Batch::default();
        for (key, value) in rows {
            batch.insert(key, value);
        }
        let mark = [position.get().to_be_bytes(), batch_no.get().to_be_bytes()].concat();
        batch.insert(WATERMARK, mark);
        self.call(|db| db.apply_batch(batch))
    }

    fn set_aside(&mut self) {
        self.close();
        let aside = self.path.with_extension("aside");
        // What was set aside before is of no more use than this.
        let removed = fs::remove_dir_all(&aside);
        let moved = fs::rename(&self.path, &aside);
        tracing::warn!(removed = removed.is_ok(), moved = moved.is_ok(), "index folder set aside");
        self.db = open(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(number: u8) -> Vec<Row> {
        vec![(vec![b'e', number], vec![number; 40]), (vec![b'r', number], vec![number])]
    }

    const MARK: Watermark = (Position::new(4096), BatchNo::new(7));

    #[test]
    fn rows_and_watermark_survive_a_reopening() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let mut store = SledRows::open(&path);
        assert_eq!(store.watermark(), Ok(None));
        store.write(rows(1), MARK).unwrap();
        drop(store);
        let store = SledRows::open(&path);
        assert_eq!(store.watermark(), Ok(Some(MARK)));
        assert_eq!(store.get(b"e\x01"), Ok(Some(vec![1; 40])));
        assert_eq!(store.scan(b"e").unwrap().len(), 1, "the watermark is no row");
        assert_eq!(fs::read_dir(path.join("blobs")).unwrap().count(), 0, "nothing that sled never syncs");
    }

    #[test]
    fn a_damaged_store_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("index");
        let mut store = SledRows::open(&path);
        store.write(rows(1), MARK).unwrap();
        drop(store);
        fs::write(path.join("conf"), b"no such configuration").unwrap();
        let mut store = SledRows::open(&path);
        if store.watermark() != Err(RowsFault) {
            assert_eq!(store.watermark(), Ok(None));
        }
        store.set_aside();
        assert_eq!(store.watermark(), Ok(None));
        store.write(rows(2), MARK).unwrap();
        assert_eq!(store.get(b"e\x02"), Ok(Some(vec![2; 40])));
        assert!(path.with_extension("aside").is_dir());
    }

    #[test]
    fn a_value_that_sled_would_put_into_a_file_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let mut store = SledRows::open(&folder.path().join("index"));
        let row = |bytes| vec![(vec![1], vec![0; bytes])];
        assert_eq!(store.write(row(VALUE_BYTES_MAX), MARK), Ok(()));
        assert_eq!(store.write(row(VALUE_BYTES_MAX + 1), MARK), Err(RowsFault));
    }
}
