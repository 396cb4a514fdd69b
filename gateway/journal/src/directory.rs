//! A directory of the file system as a `Disk`. Not here: file formats.

use std::{
    any::Any,
    fs::{self, File, OpenOptions, TryLockError},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::{Path, PathBuf},
    sync::Arc,
};

use rustix::fs::FallocateFlags;

use crate::{
    fault::{Fault, Step},
    volume::{Disk, DiskFile},
    width::{to_u64, to_usize},
};

const LOCK: &str = "lock";
/// Owner only: the files hold the log id.
const MODE: u32 = 0o600;
/// Zeros are written in pieces of this size.
const ZERO_BYTES: usize = 1024 * 1024;
/// New zeros are synced this often, so that preparing never gathers a long queue before a commit.
const ZERO_SYNC_BYTES: u64 = 8 * 1024 * 1024;

pub(crate) struct Directory {
    path: PathBuf,
    handle: File,
}

impl Directory {
    pub(crate) fn open(path: &Path) -> Result<Self, Fault> {
        let handle = File::open(path).map_err(|error| Fault::io(Step::Open, &error))?;
        // Fails on a plain file, before anything is built on it.
        fs::read_dir(path).map_err(|error| Fault::io(Step::List, &error))?;
        Ok(Self { path: path.to_path_buf(), handle })
    }
}

fn at(step: Step) -> impl Fn(io::Error) -> Fault {
    move |error| Fault::io(step, &error)
}

fn options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.read(true).write(true).mode(MODE);
    options
}

impl Disk for Directory {
    fn names(&self) -> Result<Vec<String>, Fault> {
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(at(Step::List))? {
            let entry = entry.map_err(at(Step::List))?;
            names.extend(entry.file_name().into_string());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn lock(&self) -> Result<Option<Box<dyn Any + Send + Sync>>, Fault> {
        let path = self.path.join(LOCK);
        let file = options().create(true).truncate(false).open(path).map_err(at(Step::Lock))?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(error)) => Err(Fault::io(Step::Lock, &error)),
        }
    }

    fn open(&self, name: &str) -> Result<Option<Arc<dyn DiskFile>>, Fault> {
        match options().open(self.path.join(name)) {
            Ok(file) => Ok(Some(Arc::new(RealFile(file)))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Fault::io(Step::Open, &error)),
        }
    }

    fn create(&self, name: &str) -> Result<Arc<dyn DiskFile>, Fault> {
        let mut options = options();
        options.create(true).truncate(true);
        let file = options.open(self.path.join(name)).map_err(at(Step::Create))?;
        Ok(Arc::new(RealFile(file)))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        fs::rename(self.path.join(from), self.path.join(to)).map_err(at(Step::Rename))
    }

    fn remove(&self, name: &str) -> Result<(), Fault> {
        fs::remove_file(self.path.join(name)).map_err(at(Step::Remove))
    }

    fn sync_names(&self) -> Result<(), Fault> {
        self.handle.sync_all().map_err(at(Step::SyncDirectory))
    }

    fn free_bytes(&self) -> Result<u64, Fault> {
        let stat =
            rustix::fs::fstatvfs(&self.handle).map_err(|errno| Fault::io(Step::Read, &errno.into()))?;
        Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
    }
}

struct RealFile(File);

impl DiskFile for RealFile {
    fn len(&self) -> Result<u64, Fault> {
        Ok(self.0.metadata().map_err(at(Step::Read))?.len())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, Fault> {
        let mut done = 0;
        while let Some(rest) = into.get_mut(done..).filter(|rest| !rest.is_empty()) {
            match self.0.read_at(rest, offset + to_u64(done)) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Fault::io(Step::Read, &error)),
            }
        }
        Ok(done)
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Fault> {
        self.0.write_all_at(bytes, offset).map_err(at(Step::Write))
    }

    fn zero(&self, offset: u64, bytes: u64) -> Result<(), Fault> {
        let zeros = vec![0; ZERO_BYTES.min(to_usize(bytes))];
        let mut done = 0;
        while done < bytes {
            let piece = zeros.get(..to_usize(bytes - done)).unwrap_or(&zeros);
            self.write_at(offset + done, piece)?;
            done += to_u64(piece.len());
            if done.is_multiple_of(ZERO_SYNC_BYTES) {
                self.sync()?;
            }
        }
        Ok(())
    }

    fn set_len(&self, bytes: u64) -> Result<(), Fault> {
        self.0.set_len(bytes).map_err(at(Step::Write))
    }

    fn punch(&self, offset: u64, bytes: u64) {
        let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        if rustix::fs::fallocate(&self.0, flags, offset, bytes).is_err() {
            // The bytes are zeros already; only the space stays taken.
            tracing::debug!(target: "journal", "no holes on this file system");
        }
    }

    fn sync(&self) -> Result<(), Fault> {
        self.0.sync_data().map_err(at(Step::Sync))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stop_at_the_end_and_zeros_grow() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Directory::open(dir.path()).unwrap();
        assert!(disk.open("x").unwrap().is_none());
        let file = disk.create("x").unwrap();
        file.write_at(0, b"abc").unwrap();
        file.zero(3, 5).unwrap();
        file.punch(0, 8);
        let mut bytes = [9; 16];
        assert_eq!(file.read_at(1, &mut bytes), Ok(7));
        assert!(disk.free_bytes().unwrap() > 0);
        assert_eq!(disk.names().unwrap(), ["x"]);
    }

    #[test]
    fn a_plain_file_is_no_directory() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(Directory::open(file.path()).is_err());
    }
}
