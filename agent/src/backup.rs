//! Backups: every file that an agent is, each sealed by itself as an age file for a key that lies elsewhere, so that
//! a backup may lie anywhere. The store is copied up to one place between two batches, so an agent may run meanwhile, as
//! long as it takes nothing away (`still`). Not here: what happened at the gateway meanwhile (`restored`).

mod list;

use std::{
    fs::{self, File},
    io::{self, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
};

use journal::{Closed, Copying, OpenError, Volume};
use proto::{digest::Digest, ids::AgencyId};
use seal::{ENVELOPE_ID_BYTES, Expected, HEAD_VERSION, Recipient, SealHead, SealingKey};
use serde::{Deserialize, Serialize};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    clock,
    daemon::{Files, RunFault},
    folder::{self, Folder, FolderFault, Name},
    keys::{Keys, KeysFault},
    randomness, restored,
};
use list::STORE;

/// The version of the format.
const VERSION: u32 = 1;
/// What says which backup it is; nothing in it is secret.
const HEAD: &str = "backup.json";
const MANIFEST: &str = "manifest.age";
/// Longest head and manifest, in bytes.
const MANIFEST_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The manifest's number; files are counted from behind it.
const MANIFEST_PART: u32 = 1;
/// The class of all parts, which is none of an envelope's.
const CLASS: u32 = 1_000;

/// Why there is no backup, or nothing was restored. Each says what to do next.
#[derive(Debug, Error)]
pub enum BackupFault {
    /// The agent's folder.
    #[error(transparent)]
    Run(#[from] RunFault),
    /// A file of it.
    #[error(transparent)]
    Folder(#[from] FolderFault),
    /// The keys that were restored.
    #[error(transparent)]
    Keys(#[from] KeysFault),
    /// The agent that held still has ended meanwhile.
    #[error(
        "the agent has ended, or was started, meanwhile: make the backup again / توقف البرنامج أو بدأ أثناء ذلك: أعد إنشاء النسخة"
    )]
    NotStill,
    /// The store cannot be locked.
    #[error("the store cannot be read: {0}")]
    Store(OpenError),
    /// There is no key to seal to.
    #[error(
        "there is no backup key yet: make one with `agent backup-key FILE` / لا يوجد مفتاح للنسخ الاحتياطي بعد"
    )]
    NoKey,
    /// The key is none.
    #[error("this file holds no backup key / لا يحتوي هذا الملف على مفتاح نسخ احتياطي")]
    NotAKey,
    /// It is there already.
    #[error("{0} is there already; choose another name / الاسم مستعمل، اختر غيره")]
    Exists(PathBuf),
    /// It is no backup of this version.
    #[error("{0} is no backup that this version reads / ليس نسخة احتياطية تقرؤها هذه النسخة من البرنامج")]
    NoBackup(PathBuf),
    /// A file of it does not open: it was changed, or sealed to another key.
    #[error(
        "{0} does not open: another key, or it was changed / تعذّر فتح الملف: المفتاح مختلف أو الملف تغيّر"
    )]
    NotOpened(String),
    /// A file could not be sealed.
    #[error("a file could not be sealed: {0}")]
    NotSealed(#[from] seal::NotSealed),
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness; try again")]
    Randomness,
    /// The operating system.
    #[error("{path}: {kind}")]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What it said.
        kind: io::ErrorKind,
    },
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    version: u32,
    agency: String,
    backup: String,
    made_at_ms: u64,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Manifest {
    files: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    path: String,
    bytes: u64,
    sha256: String,
}

/// What was written or restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done {
    /// Files.
    pub files: usize,
    /// Their bytes.
    pub bytes: u64,
    /// When the backup was made.
    pub made_at_ms: u64,
}

/// Told after each file: how many bytes are done, and of how many.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// Makes the key that opens backups, in a file that is to be kept elsewhere; the agent keeps only what it seals to.
///
/// # Errors
/// [`BackupFault`].
pub fn new_key(root: &Path, out: &Path) -> Result<(), BackupFault> {
    let folder = Folder::open(root)?;
    let key = SealingKey::generate().map_err(|_| BackupFault::Randomness)?;
    let mut file = create(out)?;
    file.write_all(key.to_text().as_bytes()).and_then(|()| file.sync_all()).map_err(io_fault(out))?;
    folder.write(Name::BackupRecipient, format!("{}\n", key.recipient()).as_bytes())?;
    Ok(())
}

/// Keeps agents from starting on a folder.
#[derive(Debug)]
pub struct Locked {
    _closed: Closed,
}

/// Locks a folder on which no agent runs; nothing when one does.
///
/// # Errors
/// [`BackupFault`].
pub fn lock(root: &Path) -> Result<Option<Locked>, BackupFault> {
    let volume = store(&Folder::open(root)?)?;
    match Closed::lock(&volume, &volume) {
        Ok(closed) => Ok(Some(Locked { _closed: closed })),
        Err(OpenError::Locked) => Ok(None),
        Err(error) => Err(BackupFault::Store(error)),
    }
}

/// Writes a backup into a new folder. It gets its name only when all of it is there, and `is_still` says that nothing
/// was taken away meanwhile: the folder was locked, or its agent held still.
///
/// # Errors
/// [`BackupFault`]; then there is none.
pub fn make(
    root: &Path,
    out: &Path,
    progress: Progress<'_>,
    is_still: impl FnOnce() -> bool,
) -> Result<Done, BackupFault> {
    let files = Files::open(root)?;
    let recipient = recipient(&files.folder)?;
    if out.exists() {
        return Err(BackupFault::Exists(out.to_owned()));
    }
    let id = randomness::bytes().map_err(|_| BackupFault::Randomness)?;
    let made_at_ms = clock::now().0;
    // The store first: what its records refer to was there before they were.
    let copying = Copying::open(&store(&files.folder)?).map_err(BackupFault::Store)?;
    let half = out.with_added_extension("incomplete");
    // What an attempt before has left.
    if half.exists() {
        fs::remove_dir_all(&half).map_err(io_fault(&half))?;
    }
    folder::make_private_folder(&half)?;
    let sealing = Sealing { folder: &half, id, agency: &files.settings.agency, recipient: &recipient };
    let listed = list::all(files.folder.root()).map_err(io_fault(root))?;
    let count = listed.len() + copying.files().count();
    let bytes = listed.iter().fold(copying.bytes(), |sum, one| sum.saturating_add(one.bytes));
    let (mut entries, mut done, mut parts) = (Vec::with_capacity(count), 0_u64, MANIFEST_PART + 1..);
    let mut sealed = |name: String, length: u64, content: &mut dyn io::Read| {
        let part = parts.next().unwrap_or(u32::MAX);
        entries.push(sealing.file(part, name, length, content)?);
        done = done.saturating_add(length);
        progress(done, bytes);
        Ok::<_, BackupFault>(())
    };
    for one in listed {
        let mut file = File::open(&one.path).map_err(io_fault(&one.path))?;
        // Some are put in place anew as a whole; what is open stays what it is.
        let length = file.metadata().map_err(io_fault(&one.path))?.len();
        sealed(one.name, length, &mut file)?;
    }
    for (name, mut file) in copying.files() {
        sealed(format!("{STORE}/{name}"), file.length_bytes(), &mut file)?;
    }
    let manifest = Zeroizing::new(serde_json::to_vec(&Manifest { files: entries }).unwrap_or_default());
    sealing.seal(
        MANIFEST,
        MANIFEST_PART,
        u64::try_from(manifest.len()).unwrap_or(u64::MAX),
        manifest.as_slice(),
    )?;
    let head =
        Head { version: VERSION, agency: files.settings.agency.to_string(), backup: hex(&id), made_at_ms };
    let path = half.join(HEAD);
    let mut file = create(&path)?;
    let text = serde_json::to_vec(&head).unwrap_or_default();
    file.write_all(&text).and_then(|()| file.sync_all()).map_err(io_fault(&path))?;
    if !is_still() {
        return Err(BackupFault::NotStill);
    }
    fs::rename(&half, out).and_then(|()| folder::sync_parent(out)).map_err(io_fault(out))?;
    Ok(Done { files: count, bytes, made_at_ms })
}

/// Restores a backup as a new folder. It gets its name only when all of it is there and right.
///
/// # Errors
/// [`BackupFault`]; then there is no folder.
pub fn restore(backup: &Path, key: &Path, root: &Path, progress: Progress<'_>) -> Result<Done, BackupFault> {
    let key = read_key(key)?;
    let path = backup.join(HEAD);
    let no_backup = || BackupFault::NoBackup(backup.to_owned());
    let head: Head = serde_json::from_slice(&read(&path)?).map_err(|_| no_backup())?;
    let id = u128::from_str_radix(&head.backup, 16).map_err(|_| no_backup())?.to_be_bytes();
    if head.version != VERSION {
        return Err(no_backup());
    }
    if root.exists() {
        return Err(BackupFault::Exists(root.to_owned()));
    }
    let opening = Opening { folder: backup, id, agency: &head.agency, key: &key };
    let mut manifest = Zeroizing::new(Vec::new());
    opening.open(MANIFEST, MANIFEST_PART, &mut *manifest)?;
    let manifest: Manifest = serde_json::from_slice(&manifest).map_err(|_| no_backup())?;
    let half = root.with_added_extension("restoring");
    // What an attempt before has left.
    if half.exists() {
        fs::remove_dir_all(&half).map_err(io_fault(&half))?;
    }
    Folder::create(&half)?;
    let bytes = manifest.files.iter().map(|one| one.bytes).sum();
    let mut done = 0_u64;
    for (part, one) in (MANIFEST_PART + 1..).zip(&manifest.files) {
        let place = list::place(&half, &one.path).ok_or_else(no_backup)?;
        opening.file(part, one, &place)?;
        done = done.saturating_add(one.bytes);
        progress(done, bytes);
    }
    let folder = Folder::open(&half)?;
    Keys::load(&folder)?;
    restored::mark(&folder, head.made_at_ms)?;
    fs::rename(&half, root).and_then(|()| folder::sync_parent(root)).map_err(io_fault(root))?;
    Ok(Done { files: manifest.files.len(), bytes, made_at_ms: head.made_at_ms })
}

/// For one backup.
struct Sealing<'a> {
    folder: &'a Path,
    id: [u8; ENVELOPE_ID_BYTES],
    agency: &'a AgencyId,
    recipient: &'a Recipient,
}

impl Sealing<'_> {
    fn file(
        &self,
        part: u32,
        path: String,
        bytes: u64,
        content: &mut dyn io::Read,
    ) -> Result<Entry, BackupFault> {
        let mut hashed = Hashing::new(content);
        self.seal(&file_name(part), part, bytes, &mut hashed)?;
        Ok(Entry { path, bytes, sha256: hashed.finish().to_string() })
    }

    fn seal(&self, name: &str, part_id: u32, bytes: u64, content: impl io::Read) -> Result<(), BackupFault> {
        let head = SealHead {
            version: HEAD_VERSION,
            envelope_id: self.id.to_vec(),
            from: self.agency.to_string(),
            recipients: vec![self.agency.to_string()],
            part_id,
            part_class: CLASS,
            content_bytes: bytes,
            media_type: "application/octet-stream".to_owned(),
            file_name: String::new(),
            content_sha256: Vec::new(),
        };
        let path = self.folder.join(name);
        let mut out = io::BufWriter::new(create(&path)?);
        seal::seal(&head, std::slice::from_ref(self.recipient), content, &mut out)?;
        let file = out.into_inner().map_err(|error| io_fault(&path)(error.into_error()))?;
        file.sync_all().map_err(io_fault(&path))
    }
}

/// For one backup.
struct Opening<'a> {
    folder: &'a Path,
    id: [u8; ENVELOPE_ID_BYTES],
    agency: &'a str,
    key: &'a SealingKey,
}

impl Opening<'_> {
    fn file(&self, part: u32, entry: &Entry, place: &Path) -> Result<(), BackupFault> {
        if let Some(parent) = place.parent() {
            list::make_folders(parent).map_err(io_fault(parent))?;
        }
        let mut file = create(place)?;
        let name = file_name(part);
        self.open(&name, part, &mut file)?;
        file.sync_all().map_err(io_fault(place))?;
        let mut file = File::open(place).map_err(io_fault(place))?;
        let mut hashed = Hashing::new(&mut file);
        let bytes = io::copy(&mut hashed, &mut io::sink()).map_err(io_fault(place))?;
        let is_right = bytes == entry.bytes && hashed.finish().to_string() == entry.sha256;
        if is_right { Ok(()) } else { Err(BackupFault::NotOpened(name)) }
    }

    fn open(&self, name: &str, part_id: u32, out: impl io::Write) -> Result<(), BackupFault> {
        let path = self.folder.join(name);
        let (from, me) = (self.agency, self.agency);
        let expected = Expected { envelope_id: self.id, from, me, part_id, part_class: CLASS };
        let sealed = BufReader::new(File::open(&path).map_err(io_fault(&path))?);
        let opened = seal::open_unlisted(std::slice::from_ref(self.key), &expected, sealed, out);
        opened.map(|_| ()).map_err(|_| BackupFault::NotOpened(name.to_owned()))
    }
}

/// Hashes what is read.
struct Hashing<'a> {
    file: &'a mut dyn io::Read,
    hasher: proto::digest::Hasher,
}

impl<'a> Hashing<'a> {
    fn new(file: &'a mut dyn io::Read) -> Self {
        Self { file, hasher: proto::digest::Hasher::default() }
    }

    fn finish(self) -> Digest {
        self.hasher.finish()
    }
}

impl io::Read for Hashing<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read(buffer)?;
        self.hasher.update(buffer.get(..count).unwrap_or_default());
        Ok(count)
    }
}

fn store(folder: &Folder) -> Result<Volume, BackupFault> {
    Volume::directory(&folder.store()).map_err(|fault| BackupFault::Store(OpenError::Fault(fault)))
}

fn recipient(folder: &Folder) -> Result<Recipient, BackupFault> {
    let text = match folder.read(Name::BackupRecipient) {
        Ok(text) => text,
        Err(FolderFault::Missing(_)) => return Err(BackupFault::NoKey),
        Err(fault) => return Err(fault.into()),
    };
    let text = std::str::from_utf8(&text).map_err(|_| BackupFault::NotAKey)?;
    Recipient::parse(text.trim_end()).map_err(|_| BackupFault::NotAKey)
}

fn read_key(path: &Path) -> Result<SealingKey, BackupFault> {
    let text = Zeroizing::new(read(path)?);
    let text = std::str::from_utf8(&text).map_err(|_| BackupFault::NotAKey)?;
    SealingKey::parse(text.trim_end()).map_err(|_| BackupFault::NotAKey)
}

fn read(path: &Path) -> Result<Vec<u8>, BackupFault> {
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(io_fault(path))?;
    file.take(MANIFEST_BYTES_MAX).read_to_end(&mut bytes).map_err(io_fault(path))?;
    Ok(bytes)
}

/// A new file for its owner only.
fn create(path: &Path) -> Result<File, BackupFault> {
    let mut options = File::options();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Err(BackupFault::Exists(path.to_owned()))
        }
        opened => opened.map_err(io_fault(path)),
    }
}

fn file_name(part: u32) -> String {
    format!("{part:08}.age")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn io_fault(path: &Path) -> impl Fn(io::Error) -> BackupFault {
    let path = path.to_owned();
    move |error| BackupFault::Io { path: path.clone(), kind: error.kind() }
}
