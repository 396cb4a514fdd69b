//! A journal on the twin's disk, as the tests use it. Not here: what is tested.

#![allow(dead_code, unreachable_pub, reason = "each test file uses its own part")]

use journal::{
    Batch, Blob, Closed, Config, FileJournal, Journal, LogId, MemoryDisk, OpenError, Recovered, SegmentBytes,
};

pub const LOG_ID: [u8; 16] = *b"twin-log-id-0001";

/// An empty disk with an empty journal.
pub fn disk() -> MemoryDisk {
    let disk = MemoryDisk::new();
    FileJournal::create(&disk.volume(), &LogId::new(LOG_ID), SegmentBytes::MIN).unwrap();
    disk
}

pub fn closed(disk: &MemoryDisk) -> Result<Closed, OpenError> {
    Closed::lock(&disk.volume(), &disk.volume())
}

pub fn reopen(disk: &MemoryDisk) -> Result<(FileJournal, Recovered), OpenError> {
    closed(disk)?.recover(Config::inline(), None)
}

pub fn open(disk: &MemoryDisk) -> FileJournal {
    let (journal, recovered) = reopen(disk).unwrap();
    assert_eq!(recovered.damage, []);
    journal
}

/// A disk with the same files at rest.
pub fn copy(disk: &MemoryDisk) -> MemoryDisk {
    let other = MemoryDisk::new();
    for name in disk.names() {
        other.set_file(&name, &disk.file(&name).unwrap());
    }
    other
}

/// A batch as the model knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    pub meta: Vec<u8>,
    /// Bytes, and by whom erased.
    pub blobs: Vec<(Vec<u8>, Option<u64>)>,
}

impl Known {
    pub fn new(meta: &[u8], blobs: &[&[u8]]) -> Self {
        let blobs = blobs.iter().map(|blob| (blob.to_vec(), None)).collect();
        Self { meta: meta.to_vec(), blobs }
    }

    pub fn matches(&self, batch: &Batch) -> bool {
        batch.meta() == self.meta
            && batch.blob_count() == self.blobs.len()
            && batch.blobs().zip(&self.blobs).all(|(blob, (bytes, erased_by))| match blob {
                Blob::Present(read) => erased_by.is_none() && read == bytes,
                Blob::Erased { bytes: read, by } => {
                    *erased_by == Some(by) && usize::try_from(read) == Ok(bytes.len())
                }
            })
    }

    pub fn append(&self, journal: &mut FileJournal) -> Result<journal::Appended, journal::Fault> {
        let blobs: Vec<&[u8]> = self.blobs.iter().map(|(bytes, _)| &bytes[..]).collect();
        journal.append(&self.meta, &blobs)
    }
}

/// `count` different batches of about `bytes` each.
pub fn batches(count: u8, bytes: usize) -> Vec<Known> {
    (0..count).map(|n| Known::new(&[n; 5], &[&vec![n; bytes], b"small"])).collect()
}

/// What is read must be the model, batch for batch.
pub fn assert_reads(journal: &FileJournal, known: &[Known]) {
    let read: Vec<Batch> = journal.reader().iter_from(journal::Mark::START).map(Result::unwrap).collect();
    assert_eq!(read.len(), known.len());
    for (batch, known) in read.iter().zip(known) {
        assert!(known.matches(batch), "{batch:?}");
    }
}
