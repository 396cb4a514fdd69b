//! Files that are put in place whole: written under a temporary name, synced, renamed, the names
//! synced. Snapshots and the anchor are, and so is what an owner derives from the journal and keeps
//! in a folder of its own. Not here: what is in them.

use std::{fmt, sync::Arc};

use crate::{
    fault::Fault,
    volume::{DiskFile, Volume, temporary},
    width::to_u64,
};

/// New bytes are synced this often, so that a long file never gathers a long queue before a commit.
const SYNC_BYTES: u64 = 8 * 1024 * 1024;

/// A file in the making. Dropped before [`Making::finish`], it leaves nothing but a temporary name.
pub struct Making {
    volume: Volume,
    name: String,
    file: Arc<dyn DiskFile>,
    unsynced_bytes: u64,
    in_place: bool,
}

impl Making {
    /// Writes bytes at a place of the file.
    ///
    /// # Errors
    /// The disk's.
    pub fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.file.write_at(offset, bytes)?;
        self.unsynced_bytes = self.unsynced_bytes.saturating_add(to_u64(bytes.len()));
        if self.unsynced_bytes >= SYNC_BYTES {
            self.unsynced_bytes = 0;
            self.file.sync()?;
        }
        Ok(())
    }

    /// Puts the file in place: durable, and in the stead of an older one of its name.
    ///
    /// # Errors
    /// The disk's. The older file is still there then, or already replaced.
    pub fn finish(mut self) -> Result<(), Fault> {
        let (disk, name) = (self.volume.disk(), self.name.as_str());
        tracing::trace!(target: "journal", name, "file written");
        self.file.sync()?;
        tracing::trace!(target: "journal", name, "file synced");
        disk.rename(&temporary(name), name)?;
        self.in_place = true;
        tracing::trace!(target: "journal", name, "file renamed");
        disk.sync_names()?;
        tracing::trace!(target: "journal", name, "file in place");
        Ok(())
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        if !self.in_place && self.volume.disk().remove(&temporary(&self.name)).is_err() {
            tracing::debug!(target: "journal", "half a file stays until the next start");
        }
    }
}

impl fmt::Debug for Making {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Making").field("name", &self.name).finish_non_exhaustive()
    }
}

/// A file that was put in place whole: cheap to clone, and readable from any thread.
#[derive(Clone)]
pub struct WholeFile(Arc<dyn DiskFile>);

impl WholeFile {
    /// Its length in bytes.
    ///
    /// # Errors
    /// The disk's.
    pub fn bytes(&self) -> Result<u64, Fault> {
        self.0.len()
    }

    /// Reads from a place on, and says how many bytes: fewer than asked for only at the end.
    ///
    /// # Errors
    /// The disk's.
    pub fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, Fault> {
        self.0.read_at(offset, into)
    }
}

impl fmt::Debug for WholeFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("WholeFile")
    }
}

impl Volume {
    /// Begins a file, which is to be put in place whole.
    ///
    /// # Errors
    /// The disk's.
    pub fn make(&self, name: &str) -> Result<Making, Fault> {
        let file = self.disk().create(&temporary(name))?;
        let (volume, name) = (self.clone(), name.to_owned());
        Ok(Making { volume, name, file, unsynced_bytes: 0, in_place: false })
    }

    /// Opens a file; `None` if it is not there.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(&self, name: &str) -> Result<Option<WholeFile>, Fault> {
        Ok(self.disk().open(name)?.map(WholeFile))
    }

    /// The names of all files.
    ///
    /// # Errors
    /// The disk's.
    pub fn names(&self) -> Result<Vec<String>, Fault> {
        self.disk().names()
    }

    /// Removes a file. It may be there again after a power cut.
    ///
    /// # Errors
    /// The disk's, also when there is none.
    pub fn remove(&self, name: &str) -> Result<(), Fault> {
        self.disk().remove(name)
    }

    /// Removes what a crash left half made.
    ///
    /// # Errors
    /// The disk's.
    pub fn remove_temporaries(&self) -> Result<(), Fault> {
        for name in self.names()? {
            if name.ends_with(crate::volume::TEMPORARY) {
                self.remove(&name)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{Crash, MemoryDisk};

    #[test]
    fn a_file_is_there_whole_or_not_at_all() {
        for steps in 0..6 {
            for crash in [Crash::Kill, Crash::LoseUnsynced] {
                let disk = MemoryDisk::new();
                let volume = disk.folder("derived");
                disk.crash_after(steps, crash);
                let made = volume.make("one").and_then(|mut making| {
                    making.write_at(3, b"rest")?;
                    making.write_at(0, b"the")?;
                    making.finish()
                });
                disk.crash(crash);
                let volume = disk.folder("derived");
                volume.remove_temporaries().unwrap();
                match volume.open("one").unwrap() {
                    None => assert!(made.is_err() && volume.names().unwrap().is_empty(), "{steps}"),
                    Some(file) => {
                        let mut bytes = [0; 9];
                        assert_eq!(file.read_at(0, &mut bytes), Ok(7));
                        assert_eq!((&bytes[..7], file.bytes()), (&b"therest"[..], Ok(7)));
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_given_up_leaves_nothing() {
        let disk = MemoryDisk::new();
        let volume = disk.folder("derived");
        drop(volume.make("one").unwrap());
        assert!(disk.names().is_empty());
        volume.make("one").unwrap().finish().unwrap();
        assert_eq!(disk.names(), ["derived/one"]);
        assert!(disk.volume().open("one").unwrap().is_none(), "a folder has names of its own");
        volume.remove("one").unwrap();
        assert!(disk.names().is_empty());
    }
}
