//! A backup of a gateway that serves: a copy of its folder up to one place of the journal, with a list of
//! what must be in it. Not here: when one is made, and what a gateway does that was put back (`restoring`).
//!
//! The journal first, up to an end that is durable; then the attachments, so that whatever the copied
//! journal refers to is there, or erased since. What is derived (index, tiles, snapshots) is made again.
//! The list is written last: a folder without one is no backup.

pub mod restore;

use std::{
    collections::BTreeMap,
    fs,
    io::{self, Read as _, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use journal::{BatchNo, Closed, Copying, OpenError, Volume};
use proto::digest::{Digest, Hasher};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    clock,
    config::Config,
    fault::Fault,
    history::{History, Log, leaves, size_before},
    place::{Place, private_folder, replace_private, write_private},
};

/// The list of a backup's files.
pub const LIST: &str = "backup.json";
/// The version of the list.
const VERSION: u32 = 1;
/// Folders that hold keys.
pub const KEY_FOLDERS: [&str; 3] = ["keys", "tls", "authority"];
/// How much is read and written at a time.
const PIECE_BYTES: usize = 1024 * 1024;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Backup {
    version: u32,
    /// Of which network.
    pub network: String,
    /// When it was begun.
    pub made_at_ms: u64,
    /// How many batches of the journal.
    pub batches: u64,
    /// Leaves of the evidence log.
    pub evidence_size: u64,
    /// Leaves of the directory log.
    pub directory_size: u64,
    /// Whether the keys are in it.
    pub has_keys: bool,
    /// Each file, by its path in the gateway's folder.
    pub files: BTreeMap<String, File>,
}

/// A file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct File {
    /// Its length.
    pub bytes: u64,
    /// SHA-256, hex.
    pub sha256: String,
}

/// Whether the keys are copied too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keys {
    /// Log keys, TLS key and authority are in the backup: whoever has it can be this gateway.
    Included,
    /// They are kept elsewhere.
    Apart,
}

/// Why there is no backup, or it is not put back.
#[derive(Debug, Error)]
pub enum NoBackup {
    /// The folder holds something.
    #[error("{} is not empty: give a folder that is not there yet", .0.display())]
    NotEmpty(PathBuf),
    /// The journal.
    #[error("the journal cannot be copied: {0}")]
    Journal(#[from] OpenError),
    /// What was copied is not what can be opened.
    #[error("the copy of the journal is damaged; the disk that it was written to fails")]
    Copy,
    /// A record of it.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// A file.
    #[error("{} cannot be copied: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is no list, or none that is understood.
    #[error("{} is no whole backup: {LIST} is missing, or of another version", .0.display())]
    NoList(PathBuf),
    /// A file is not the one that was copied then.
    #[error("{0} is missing in the backup, or damaged")]
    Damaged(String),
    /// Keys are needed that the backup does not hold.
    #[error("the backup holds no keys: name the folder that holds {} with --keys", KEY_FOLDERS.join("/, "))]
    NoKeys,
}

/// Makes a backup in a new folder, beside a gateway that may be serving. `progress` hears how many bytes
/// of how many are copied.
///
/// # Errors
/// [`NoBackup`]. What was copied stays, without a list.
pub fn make(
    place: &Place,
    config: &Config,
    to: &Path,
    keys: Keys,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<Backup, NoBackup> {
    let made_at = clock::now();
    empty_folder(to)?;
    let there = Place::new(to, None);
    let copying = Copying::open(&Volume::directory(&place.journal()).map_err(OpenError::from)?)?;
    let mut copier = Copier::new(place.root(), to, progress);
    copier.total = copying.bytes().saturating_add(length_of(&place.parts()));
    private_folder(&there.journal()).map_err(at(&there.journal()))?;
    let volume = Volume::directory(&there.journal()).map_err(OpenError::from)?;
    copying.write(&volume, &mut |bytes| copier.went(bytes))?;
    copier.list_folder(&there.journal())?;
    copier.folder(&place.parts(), &|name| !name.ends_with(".upload"))?;
    for file in [place.config(), place.network()] {
        copier.file(&file)?;
    }
    if keys == Keys::Included {
        for folder in KEY_FOLDERS {
            copier.folder(&place.root().join(folder), &|_| true)?;
        }
    }
    let (evidence_size, directory_size) = sizes(&copying)?;
    check(&volume, &copying)?;
    let backup = Backup {
        version: VERSION,
        network: config.network.clone(),
        made_at_ms: made_at.0,
        batches: copying.end().batch_no.get(),
        evidence_size,
        directory_size,
        has_keys: keys == Keys::Included,
        files: copier.files,
    };
    let list = serde_json::to_vec_pretty(&backup).map_err(io::Error::other).map_err(at(&to.join(LIST)))?;
    write_private(&to.join(LIST), &list).map_err(at(&to.join(LIST)))?;
    sync_folder(to).map_err(at(to))?;
    // What the alert looks at: the time of this file.
    let made = format!("{}\n", made_at.0);
    replace_private(&place.backup_made(), made.as_bytes()).map_err(at(&place.backup_made()))?;
    Ok(backup)
}

impl Backup {
    /// Reads the list of a backup.
    ///
    /// # Errors
    /// [`NoBackup::NoList`].
    pub fn read(folder: &Path) -> Result<Self, NoBackup> {
        let none = || NoBackup::NoList(folder.to_owned());
        let text = fs::read(folder.join(LIST)).map_err(|_| none())?;
        let backup: Self = serde_json::from_slice(&text).map_err(|_| none())?;
        if backup.version == VERSION { Ok(backup) } else { Err(none()) }
    }

    /// How many bytes its files have.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files.values().map(|file| file.bytes).sum()
    }
}

/// How large both logs are at the end of what is copied.
fn sizes(copying: &Copying) -> Result<(u64, u64), NoBackup> {
    let Some(last) = copying.end().batch_no.get().checked_sub(1) else {
        return Ok((0, 0));
    };
    let read = copying.reader().read_number(BatchNo::new(last)).map_err(Fault::from)?;
    let batch = crate::history::parse(&read)?;
    let size = |log| {
        size_before(&batch, log)
            .saturating_add(u64::try_from(leaves(&batch, log).count()).unwrap_or(u64::MAX))
    };
    Ok((size(Log::Evidence), size(Log::Directory)))
}

/// Reads the whole copy once, as a start would that has no snapshot.
fn check(volume: &Volume, copying: &Copying) -> Result<(), NoBackup> {
    let closed = Closed::lock(volume, volume)?;
    let config = journal::Config { ready_segments: 0, ..journal::Config::inline() };
    let (journal, recovered) = closed.recover(config, None)?;
    let is_whole = recovered.damage.is_empty() && recovered.cut.is_none() && recovered.end == copying.end();
    let history = History::new(journal::Journal::reader(&journal));
    if !is_whole || history.batches() != copying.end().batch_no.get() {
        return Err(NoBackup::Copy);
    }
    // Neither is a part of the copy.
    volume.remove("lock").map_err(OpenError::from)?;
    Ok(())
}

/// Copies files from one folder to another, and lists them.
struct Copier<'a> {
    from: PathBuf,
    to: PathBuf,
    files: BTreeMap<String, File>,
    done: u64,
    total: u64,
    progress: &'a mut dyn FnMut(u64, u64),
}

impl<'a> Copier<'a> {
    fn new(from: &Path, to: &Path, progress: &'a mut dyn FnMut(u64, u64)) -> Self {
        let (from, to) = (from.to_owned(), to.to_owned());
        Self { from, to, files: BTreeMap::new(), done: 0, total: 0, progress }
    }

    fn went(&mut self, bytes: u64) {
        self.done = self.done.saturating_add(bytes);
        (self.progress)(self.done, self.total.max(self.done));
    }

    /// A folder with all that is below it; nothing when it is not there.
    fn folder(&mut self, folder: &Path, takes: &dyn Fn(&str) -> bool) -> Result<(), NoBackup> {
        for path in below(folder).map_err(at(folder))? {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
            if name.is_some_and(|name| takes(&name)) {
                self.file(&path)?;
            }
        }
        Ok(())
    }

    /// A file. One that is gone meanwhile was erased, or was never whole.
    fn file(&mut self, path: &Path) -> Result<(), NoBackup> {
        let Some(name) = name_below(path, &self.from) else {
            return Ok(());
        };
        let to = self.to.join(&name);
        if let Some(folder) = to.parent() {
            private_folder(folder).map_err(at(folder))?;
        }
        let copied = copy_file(path, &to, &mut |bytes| self.went(bytes));
        match copied {
            Ok(file) => drop(self.files.insert(name, file)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(at(path)(error)),
        }
        Ok(())
    }

    /// Lists what was written into the copy already.
    fn list_folder(&mut self, folder: &Path) -> Result<(), NoBackup> {
        for path in below(folder).map_err(at(folder))? {
            let file = read_file(&path, &mut |_| Ok(())).map_err(at(&path))?;
            if let Some(name) = name_below(&path, &self.to) {
                self.files.insert(name, file);
            }
        }
        Ok(())
    }
}

/// A path below a folder, as the list names it; nothing for a name that is no text.
fn name_below(path: &Path, folder: &Path) -> Option<String> {
    path.strip_prefix(folder).ok()?.to_str().map(str::to_owned)
}

/// Every file below a folder.
fn below(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() {
                folders.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path());
            }
        }
    }
    files.sort();
    Ok(files)
}

fn length_of(folder: &Path) -> u64 {
    let lengths = below(folder).unwrap_or_default();
    lengths.iter().filter_map(|path| fs::metadata(path).ok()).map(|metadata| metadata.len()).sum()
}

/// Copies a file durably.
fn copy_file(from: &Path, to: &Path, went: &mut dyn FnMut(u64)) -> io::Result<File> {
    let mut copy: Option<fs::File> = None;
    let create = || fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(to);
    let file = read_file(from, &mut |piece| {
        let file = match &mut copy {
            Some(file) => file,
            none => none.insert(create()?),
        };
        file.write_all(piece)?;
        went(u64::try_from(piece.len()).unwrap_or(u64::MAX));
        Ok(())
    })?;
    let copy = match copy {
        Some(copy) => copy,
        None => create()?,
    };
    copy.sync_all()?;
    if let Some(folder) = to.parent() {
        sync_folder(folder)?;
    }
    Ok(file)
}

/// Reads a file in pieces; tells its length and digest.
fn read_file(path: &Path, piece: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<File> {
    let mut file = fs::File::open(path)?;
    let mut hasher = Hasher::default();
    let mut buffer = vec![0; PIECE_BYTES];
    let mut bytes = 0_u64;
    loop {
        let read = file.read(&mut buffer)?;
        let Some(part) = buffer.get(..read).filter(|part| !part.is_empty()) else {
            break;
        };
        hasher.update(part);
        bytes = bytes.saturating_add(u64::try_from(part.len()).unwrap_or(u64::MAX));
        piece(part)?;
    }
    Ok(File { bytes, sha256: hex(&hasher.finish()) })
}

fn hex(digest: &Digest) -> String {
    digest.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    fs::File::open(folder)?.sync_all()
}

/// A folder that only its owner can enter, with nothing in it.
fn empty_folder(folder: &Path) -> Result<(), NoBackup> {
    let is_empty = match fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) => error.kind() == io::ErrorKind::NotFound,
    };
    if !is_empty {
        return Err(NoBackup::NotEmpty(folder.to_owned()));
    }
    private_folder(folder).map_err(at(folder))
}

fn at(path: &Path) -> impl Fn(io::Error) -> NoBackup {
    let path = path.to_owned();
    move |error| NoBackup::File { path: path.clone(), error }
}
