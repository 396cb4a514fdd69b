//! The folder that tiles are published in, and its twin in memory. Not here: what is in it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, ErrorKind, Write as _},
    path::{Path, PathBuf},
};

/// More files than so many are synced together with their file system: one flush of the disk, not
/// hundreds.
const SYNCED_ONE_BY_ONE_MAX: usize = 8;

/// A folder of published files. It may lose anything that was not synced: what is missing is made
/// again.
pub trait Files {
    /// A file's bytes; nothing when there is none.
    ///
    /// # Errors
    /// Any fault of the disk but a missing file.
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>>;

    /// Puts a file, whole or not at all for whoever reads at the same time.
    ///
    /// # Errors
    /// Any fault of the disk.
    fn write(&mut self, path: &str, bytes: &[u8]) -> io::Result<()>;

    /// Returns when all that was written is on stable storage.
    ///
    /// # Errors
    /// Any fault of the disk.
    fn sync(&mut self) -> io::Result<()>;
}

/// A folder.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    unsynced: Vec<PathBuf>,
}

impl Folder {
    /// A folder, made if it is not there.
    ///
    /// # Errors
    /// Any fault of the disk.
    pub fn open(path: &Path) -> io::Result<Self> {
        fs::create_dir_all(path)?;
        Ok(Self { path: path.to_owned(), unsynced: Vec::new() })
    }
}

impl Files for Folder {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        match fs::read(self.path.join(path)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let path = self.path.join(path);
        let folder = path.parent().unwrap_or(&self.path);
        fs::create_dir_all(folder)?;
        let temporary = path.with_added_extension("tmp");
        File::create(&temporary)?.write_all(bytes)?;
        fs::rename(&temporary, &path)?;
        self.unsynced.push(path);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        #[cfg(target_os = "linux")]
        if self.unsynced.len() > SYNCED_ONE_BY_ONE_MAX {
            rustix::fs::syncfs(File::open(&self.path)?)?;
            self.unsynced.clear();
            return Ok(());
        }
        for path in &self.unsynced {
            File::open(path)?.sync_all()?;
        }
        let above = self.unsynced.iter().flat_map(|path| path.ancestors().skip(1));
        let folders: BTreeSet<_> = above.filter(|folder| folder.starts_with(&self.path)).collect();
        for folder in folders {
            File::open(folder)?.sync_all()?;
        }
        self.unsynced.clear();
        Ok(())
    }
}

/// The twin in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryFiles {
    /// What is there.
    pub files: BTreeMap<String, Vec<u8>>,
    synced: BTreeMap<String, Vec<u8>>,
}

impl MemoryFiles {
    /// Loses what was not synced.
    pub fn lose_unsynced(&mut self) {
        self.files.clone_from(&self.synced);
    }
}

impl Files for MemoryFiles {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        Ok(self.files.get(path).cloned())
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        self.files.insert(path.to_owned(), bytes.to_vec());
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        self.synced.clone_from(&self.files);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_put_whole_and_found_again() {
        let place = tempfile::tempdir().unwrap();
        let mut folder = Folder::open(place.path()).unwrap();
        assert_eq!(folder.read("tile/0/x001/234.p/7").unwrap(), None);
        folder.write("tile/0/x001/234.p/7", b"hashes").unwrap();
        folder.write("tile/0/x001/234", b"more hashes").unwrap();
        folder.sync().unwrap();
        assert_eq!(folder.read("tile/0/x001/234.p/7").unwrap().unwrap(), b"hashes");
        assert_eq!(folder.read("tile/0/x001/234").unwrap().unwrap(), b"more hashes");
    }
}
