//! Where things lie in the folder, and how they are written there: whole or not at all, for whom the folder is
//! for. Not here: what is written.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
};

/// What half-written things of ours begin with, and what nobody is to look at.
pub(super) const HIDDEN: char = '.';

/// The folders.
#[derive(Debug, Clone)]
pub(super) struct Place(PathBuf);

impl Place {
    pub(super) const fn new(root: PathBuf) -> Self {
        Self(root)
    }

    pub(super) fn root(&self) -> &Path {
        &self.0
    }

    pub(super) fn outbox(&self) -> PathBuf {
        self.0.join("outbox")
    }

    /// What was taken out of the outbox and is being sent: each in a folder of its own, by whose name it is sent
    /// once.
    pub(super) fn claimed(&self) -> PathBuf {
        self.outbox().join(".taken")
    }

    pub(super) fn inbox(&self) -> PathBuf {
        self.0.join("inbox")
    }

    /// What is moved here is opened.
    pub(super) fn open(&self) -> PathBuf {
        self.inbox().join("open")
    }

    /// What is moved here was taken.
    pub(super) fn taken(&self) -> PathBuf {
        self.inbox().join("taken")
    }
}

/// Makes the folders that are not there. The outermost is its owner's alone; those in it are for whom it is for.
pub(super) fn make(place: &Place) -> io::Result<()> {
    if !place.root().exists() {
        make_folder(place.root(), 0o700)?;
    }
    let mode = mode(place.root())?;
    for folder in [place.outbox(), place.inbox(), place.open(), place.taken()] {
        make_folder(&folder, mode)?;
    }
    // What is being sent is nobody else's any more.
    make_folder(&place.claimed(), 0o700)
}

/// Whom a folder is for, as its mode says it.
pub(super) fn mode(folder: &Path) -> io::Result<u32> {
    use std::os::unix::fs::MetadataExt as _;
    Ok(fs::metadata(folder)?.mode() & 0o7777)
}

/// Makes a folder of this mode unless it is there.
pub(super) fn make_folder(path: &Path, mode: u32) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    match fs::create_dir(path) {
        // Whatever the process leaves out of modes.
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(mode)),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
    }
}

/// Writes a file beside its place and renames it, for whom the folder is for.
pub(super) fn write(folder: &Path, name: &str, content: &[u8]) -> io::Result<()> {
    let half = folder.join(format!("{HIDDEN}{name}.half"));
    let mut file = create(&half)?;
    file.write_all(content)?;
    file.sync_all()?;
    fs::rename(half, folder.join(name))
}

/// Makes a file that was not there, for whom its folder is for.
pub(super) fn create(path: &Path) -> io::Result<fs::File> {
    use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
    let mode = mode(path.parent().unwrap_or(path))? & 0o666;
    drop(fs::remove_file(path));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.set_permissions(fs::Permissions::from_mode(mode))?;
    Ok(file)
}

/// A text as programs for people on every system show it: marked as UTF-8, with their ends of lines.
pub(super) fn text(lines: &[String]) -> Vec<u8> {
    let mut text = String::from("\u{feff}");
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.into_bytes()
}

/// Removes a file or folder, if it is there.
pub(super) fn remove(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Names in a folder that somebody may have put there, in order; not what is hidden or no text.
pub(super) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().into_string();
        names.extend(name.ok().filter(|name| !name.starts_with(HIDDEN)));
    }
    names.sort();
    Ok(names)
}
