//! Where a journal's files are: a directory, or the twin's memory. Not here: what is in them.
//!
//! Everything above this seam is the same code in production and in simulation.

use std::{any::Any, fmt, path::Path, sync::Arc};

use crate::{directory::Directory, fault::Fault};

/// A flat folder of files: cheap to clone.
#[derive(Clone)]
pub struct Volume(Arc<dyn Disk>);

impl Volume {
    /// A directory of the file system. It must exist; creating it is the operator's act, so that
    /// a volume that is not mounted is noticed.
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn directory(path: &Path) -> Result<Self, Fault> {
        Ok(Self::new(Directory::open(path)?))
    }

    pub(crate) fn new(disk: impl Disk) -> Self {
        Self(Arc::new(disk))
    }

    pub(crate) fn disk(&self) -> &dyn Disk {
        &*self.0
    }

    /// The whole of a small file, `None` if it is not there.
    pub(crate) fn read(&self, name: &str, limit_bytes: u64) -> Result<Option<Vec<u8>>, Fault> {
        let Some(file) = self.disk().open(name)? else {
            return Ok(None);
        };
        let bytes = file.len()?;
        if bytes > limit_bytes {
            return Err(Fault::TooLarge { bytes, limit_bytes });
        }
        let mut content = vec![0; crate::width::to_usize(bytes)];
        let read = file.read_at(0, &mut content)?;
        content.truncate(read);
        Ok(Some(content))
    }

    /// Puts a file in place whole or not at all.
    pub(crate) fn replace(&self, name: &str, parts: &[&[u8]]) -> Result<(), Fault> {
        let mut making = self.make(name)?;
        let mut at = 0;
        for part in parts {
            making.write_at(at, part)?;
            at += crate::width::to_u64(part.len());
        }
        making.finish()
    }
}

impl fmt::Debug for Volume {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Volume")
    }
}

pub(crate) const TEMPORARY: &str = ".tmp";

pub(crate) fn temporary(name: &str) -> String {
    format!("{name}{TEMPORARY}")
}

/// A folder. Names are durable only after `sync_names`.
pub(crate) trait Disk: Send + Sync + 'static {
    fn names(&self) -> Result<Vec<String>, Fault>;
    /// Held until the value is dropped; `None` if somebody else has it.
    fn lock(&self) -> Result<Option<Box<dyn Any + Send + Sync>>, Fault>;
    fn open(&self, name: &str) -> Result<Option<Arc<dyn DiskFile>>, Fault>;
    /// Empty, whatever was there before.
    fn create(&self, name: &str) -> Result<Arc<dyn DiskFile>, Fault>;
    fn rename(&self, from: &str, to: &str) -> Result<(), Fault>;
    fn remove(&self, name: &str) -> Result<(), Fault>;
    fn sync_names(&self) -> Result<(), Fault>;
    fn free_bytes(&self) -> Result<u64, Fault>;
}

/// An open file. Bytes are durable only after `sync`.
pub(crate) trait DiskFile: Send + Sync {
    fn len(&self) -> Result<u64, Fault>;
    /// How many bytes were read: fewer than asked for only at the end of the file.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, Fault>;
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Fault>;
    /// Writes zeros, growing the file if it is shorter.
    fn zero(&self, offset: u64, bytes: u64) -> Result<(), Fault>;
    /// Grows the file without taking space, or cuts it.
    fn set_len(&self, bytes: u64) -> Result<(), Fault>;
    /// Gives the space of zeros back where the file system can; what is read stays the same.
    fn punch(&self, offset: u64, bytes: u64);
    fn sync(&self) -> Result<(), Fault>;
}
