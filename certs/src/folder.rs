//! Files and folders: private, written whole or not at all, synced, locked. Not here: what is in them.

use std::{
    ffi::OsString,
    fs::{self, DirBuilder, File, OpenOptions},
    io::{self, Read as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use rustix::fs::{CWD, RenameFlags};

use crate::error::{Error, Fault, Malformed, Refusal, Step};

const PRIVATE_FILE: u32 = 0o600;
const PUBLIC_FILE: u32 = 0o644;
const PRIVATE_FOLDER: u32 = 0o700;
/// What others may not have.
const OTHERS: u32 = 0o077;
const PERMISSIONS: u32 = 0o7777;

/// Held until it is dropped, or the process ends.
pub(crate) struct Lock(#[expect(dead_code, reason = "the lock lasts as long as the open file")] File);

/// Waits until nobody else works on this folder; everybody's work is short.
pub(crate) fn lock(folder: &Path) -> Result<Lock, Fault> {
    let path = folder.join("lock");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(PRIVATE_FILE);
    let file = options.open(&path).map_err(io_fault(Step::Lock, &path))?;
    file.lock().map_err(io_fault(Step::Lock, &path))?;
    Ok(Lock(file))
}

/// Makes a folder that only its owner enters.
pub(crate) fn create_folder(path: &Path) -> Result<(), Error> {
    match DirBuilder::new().mode(PRIVATE_FOLDER).create(path) {
        Ok(()) => Ok(sync_parent(path)?),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(Refusal::Exists { path: path.to_owned() }.into())
        }
        Err(error) => Err(io_fault(Step::Create, path)(error).into()),
    }
}

/// Makes a private folder, or takes one that is there and private already.
pub(crate) fn open_or_create_folder(path: &Path) -> Result<(), Error> {
    match fs::metadata(path) {
        Ok(_) => check_folder(path),
        Err(_) => create_folder(path),
    }
}

/// Refuses a folder that others may enter.
pub(crate) fn check_folder(path: &Path) -> Result<(), Error> {
    let metadata = fs::metadata(path).map_err(io_fault(Step::Read, path))?;
    if !metadata.is_dir() {
        return Err(
            Fault::Io { step: Step::Read, path: path.into(), kind: io::ErrorKind::NotADirectory }.into()
        );
    }
    Ok(check_mode(path, metadata.mode())?)
}

fn check_mode(path: &Path, mode: u32) -> Result<(), Refusal> {
    if mode & OTHERS == 0 {
        Ok(())
    } else {
        Err(Refusal::TooOpen { path: path.into(), mode: mode & PERMISSIONS })
    }
}

/// Removes a folder and what is in it, if it is there.
pub(crate) fn remove_folder(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(io_fault(Step::Remove, path)(error).into()),
        Ok(()) => Ok(sync_parent(path)?),
    }
}

/// Whether a folder has nothing in it, or is not there.
pub(crate) fn is_free(path: &Path) -> Result<bool, Fault> {
    match fs::read_dir(path) {
        Ok(mut entries) => Ok(entries.next().is_none()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotADirectory => Ok(false),
        Err(error) => Err(io_fault(Step::Read, path)(error)),
    }
}

/// The names in a folder, sorted.
pub(crate) fn names(path: &Path) -> Result<Vec<String>, Fault> {
    let mut names = Vec::new();
    for entry in fs::read_dir(path).map_err(io_fault(Step::Read, path))? {
        let entry = entry.map_err(io_fault(Step::Read, path))?;
        names.extend(entry.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// Reads a file that is no secret.
///
/// # Errors
/// [`Malformed::TooLarge`] over this limit, [`Fault::Io`].
pub fn read_file(path: &Path, limit_bytes: usize) -> Result<Vec<u8>, Error> {
    read(path, to_u64(limit_bytes))
}

/// Reads a file that anyone may read.
pub(crate) fn read(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, Error> {
    let file = File::open(path).map_err(io_fault(Step::Read, path))?;
    read_all(path, &file, limit_bytes)
}

/// Reads a file that only its owner may read.
pub(crate) fn read_private(path: &Path, limit_bytes: u64) -> Result<Vec<u8>, Error> {
    let file = open_private(path)?;
    read_all(path, &file, limit_bytes)
}

/// Opens a file that only its owner may read, for reading and writing.
pub(crate) fn open_private(path: &Path) -> Result<File, Error> {
    let file = File::open(path).map_err(io_fault(Step::Read, path))?;
    let metadata = file.metadata().map_err(io_fault(Step::Read, path))?;
    check_mode(path, metadata.mode())?;
    Ok(file)
}

fn read_all(path: &Path, file: &File, limit_bytes: u64) -> Result<Vec<u8>, Error> {
    let bytes = file.metadata().map_err(io_fault(Step::Read, path))?.len();
    if bytes > limit_bytes {
        return Err(Malformed::TooLarge { bytes, limit_bytes }.into());
    }
    let mut content = Vec::new();
    file.take(limit_bytes).read_to_end(&mut content).map_err(io_fault(Step::Read, path))?;
    Ok(content)
}

/// Writes a private file, whole or not at all, over what was there.
pub(crate) fn replace_private(path: &Path, content: &[u8]) -> Result<(), Error> {
    Ok(replace(path, content, PRIVATE_FILE)?)
}

/// Writes a file for everyone to read, whole or not at all, over what was there.
pub(crate) fn replace_public(path: &Path, content: &[u8]) -> Result<(), Error> {
    Ok(replace(path, content, PUBLIC_FILE)?)
}

fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), Fault> {
    let temporary = write_temporary(path, content, mode)?;
    fs::rename(&temporary, path).map_err(io_fault(Step::Rename, path))?;
    sync_parent(path)
}

/// Writes a private file, whole or not at all, where there is none.
pub(crate) fn create_private(path: &Path, content: &[u8]) -> Result<(), Error> {
    let temporary = write_temporary(path, content, PRIVATE_FILE)?;
    if let Err(error) = rename_to_new(&temporary, path) {
        fs::remove_file(&temporary).map_err(io_fault(Step::Remove, &temporary))?;
        return Err(error);
    }
    Ok(sync_parent(path)?)
}

/// Moves a file or folder to a place where there is none.
pub(crate) fn rename_to_new(from: &Path, to: &Path) -> Result<(), Error> {
    let exists = || Refusal::Exists { path: to.to_owned() }.into();
    match rustix::fs::renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(()),
        Err(rustix::io::Errno::EXIST) => Err(exists()),
        // A file system that cannot do it in one step.
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) if fs::symlink_metadata(to).is_ok() => {
            Err(exists())
        }
        Err(rustix::io::Errno::INVAL | rustix::io::Errno::NOSYS) => {
            Ok(fs::rename(from, to).map_err(io_fault(Step::Rename, to))?)
        }
        Err(errno) => Err(io_fault(Step::Rename, to)(errno.into()).into()),
    }
}

/// What another attempt left is removed first, never written into: in a folder that others may write to,
/// it could be a link, or a file that they may read.
fn write_temporary(path: &Path, content: &[u8], mode: u32) -> Result<PathBuf, Fault> {
    let temporary = beside(path, ".tmp");
    match fs::remove_file(&temporary) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(io_fault(Step::Remove, &temporary)(error));
        }
        Ok(()) | Err(_) => {}
    }
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let mut file = options.open(&temporary).map_err(io_fault(Step::Create, &temporary))?;
    let written = file.write_all(content).and_then(|()| file.sync_all());
    written.map_err(io_fault(Step::Write, &temporary))?;
    Ok(temporary)
}

/// The same path with an ending.
pub(crate) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Syncs the folder that this name is in, after which the name is durable.
pub(crate) fn sync_parent(path: &Path) -> Result<(), Fault> {
    let parent = match path.parent() {
        Some(parent) if parent != Path::new("") => parent,
        Some(_) | None => Path::new("."),
    };
    let folder = File::open(parent).map_err(io_fault(Step::Read, parent))?;
    folder.sync_all().map_err(io_fault(Step::Write, parent))
}

pub(crate) fn io_fault(step: Step, path: &Path) -> impl Fn(io::Error) -> Fault + use<> {
    let path = path.to_owned();
    move |error| Fault::Io { step, path: path.clone(), kind: error.kind() }
}

/// Lengths fit into 64 bits wherever this program runs.
pub(crate) fn to_u64(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

#[cfg(test)]
pub(crate) fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_another_attempt_left_is_never_written_into() {
        let folder = tempfile::tempdir().unwrap();
        let (path, trap) = (folder.path().join("key.pem"), folder.path().join("trap"));
        fs::write(&trap, "theirs").unwrap();
        symlink(&trap, folder.path().join("key.pem.tmp")).unwrap();
        create_private(&path, b"ours").unwrap();
        assert_eq!(
            (fs::read(&trap).unwrap(), fs::read(&path).unwrap()),
            (b"theirs".to_vec(), b"ours".to_vec())
        );

        let open = folder.path().join("other.tmp");
        fs::write(&open, "").unwrap();
        set_mode(&open, 0o666);
        replace_private(&folder.path().join("other"), b"ours").unwrap();
        assert_eq!(fs::metadata(folder.path().join("other")).unwrap().mode() & PERMISSIONS, PRIVATE_FILE);
    }

    #[test]
    fn a_new_file_takes_no_other_s_place_and_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, "before").unwrap();
        let refused = create_private(&path, b"after");
        assert_eq!(refused, Err(Refusal::Exists { path: path.clone() }.into()));
        assert_eq!(fs::read(&path).unwrap(), b"before");
        assert_eq!(names(folder.path()).unwrap(), ["x"]);
        assert_eq!(rename_to_new(folder.path(), &path), Err(Refusal::Exists { path }.into()));
    }

    #[test]
    fn a_lock_keeps_others_out() {
        let folder = tempfile::tempdir().unwrap();
        let held = lock(folder.path()).unwrap();
        let other = File::open(folder.path().join("lock")).unwrap();
        assert!(matches!(other.try_lock(), Err(fs::TryLockError::WouldBlock)));
        drop(held);
        assert!(other.try_lock().is_ok());
    }
}
