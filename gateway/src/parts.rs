//! Attachments on disk: sealed files, named by who uploaded them and by their digest. Whole and synced
//! before anybody may refer to them. Not here: who may fetch them (`service::parts`), and their end,
//! which is the journal's to order.

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use proto::{
    digest::Digest,
    header::UPLOADED_BYTES_MAX,
    ids::{AgencyId, TimeMs},
};
use thiserror::Error;

/// How much is written between two syncs: what an interrupted upload repeats at the most.
pub const SYNC_BYTES: u64 = 4 * 1024 * 1024;
/// Most bytes that one agency has uploaded and not referred to yet.
pub const QUOTA_BYTES: u64 = 16 * 1024 * 1024 * 1024;
/// Most files that one agency has uploaded and not referred to yet.
pub const QUOTA_FILES: usize = 10_000;
/// How long an upload is kept that no envelope refers to.
pub const UNREFERRED_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
const HASHED_BYTES: usize = 256 * 1024;

/// All attachments.
#[derive(Debug, Clone)]
pub struct PartStore {
    folder: PathBuf,
    reserve_bytes: u64,
    /// Uploads under way, by their files.
    open: Arc<Mutex<BTreeSet<PathBuf>>>,
}

/// An upload under way.
#[derive(Debug)]
pub struct Upload {
    store: PartStore,
    path: PathBuf,
    file: File,
    hasher: proto::digest::Hasher,
    sha256: Digest,
    length: u64,
    written: u64,
    synced: u64,
}

/// Why an upload is not taken.
#[derive(Debug, Error)]
pub enum NotTaken {
    /// Longer than any attachment may be, or empty.
    #[error("an attachment has 1 to {UPLOADED_BYTES_MAX} bytes")]
    Length,
    /// The agency has too much that no envelope refers to.
    #[error("too much was uploaded that no envelope refers to yet")]
    Quota,
    /// The disk has no room for ordinary work.
    #[error("the disk has no room")]
    Room,
    /// Another stream uploads the same.
    #[error("the same is being uploaded on another stream")]
    UnderWay,
    /// More came than was announced.
    #[error("more bytes came than were announced")]
    TooLong,
    /// What came is not what was announced.
    #[error("the bytes are not those of the digest")]
    OtherDigest,
    /// The disk.
    #[error("the disk failed: {0:?}")]
    Disk(io::ErrorKind),
}

impl From<io::Error> for NotTaken {
    fn from(error: io::Error) -> Self {
        Self::Disk(error.kind())
    }
}

impl PartStore {
    /// The attachments of a folder, made if it is not there.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(folder: &Path, reserve_bytes: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        Ok(Self { folder: folder.to_owned(), reserve_bytes, open: Arc::default() })
    }

    /// Whether an agency has uploaded this, whole. If so it is kept from now on: an envelope is about
    /// to refer to it.
    #[must_use]
    pub fn hold(&self, agency: &AgencyId, sha256: &Digest, length: u64, until: TimeMs) -> bool {
        let path = self.path(agency, sha256);
        let is_whole = fs::metadata(&path).is_ok_and(|metadata| metadata.len() == length);
        is_whole && self.mark(&path, until).is_ok()
    }

    /// Whether it is here, whole.
    #[must_use]
    pub fn has(&self, agency: &AgencyId, sha256: &Digest) -> bool {
        self.path(agency, sha256).exists()
    }

    /// Deletes one whose time is over, unless an envelope with a later end than this one's refers to it too.
    ///
    /// # Errors
    /// The disk's.
    pub fn erase(&self, agency: &AgencyId, sha256: &Digest, until: TimeMs) -> io::Result<()> {
        let path = self.path(agency, sha256);
        let marker = marker(&path);
        if marked(&marker).is_none_or(|marked| marked > until) {
            return Ok(());
        }
        // The marker last: without it nobody comes back to the rest.
        remove(&path)?;
        sync_folder(&path)?;
        remove(&marker)
    }

    /// Opens one for reading, from an offset on.
    ///
    /// # Errors
    /// The disk's; `NotFound` when it is not there.
    pub fn read(&self, agency: &AgencyId, sha256: &Digest, offset: u64) -> io::Result<File> {
        let mut file = File::open(self.path(agency, sha256))?;
        file.seek(SeekFrom::Start(offset))?;
        Ok(file)
    }

    /// Begins an upload, or goes on with one that was interrupted. Nothing when it is here already.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn upload(&self, agency: &AgencyId, sha256: Digest, length: u64) -> Result<Option<Upload>, NotTaken> {
        if length == 0 || length > UPLOADED_BYTES_MAX {
            return Err(NotTaken::Length);
        }
        let whole = self.path(agency, &sha256);
        if whole.exists() {
            return Ok(None);
        }
        let folder = self.folder.join(agency.as_str());
        fs::create_dir_all(&folder)?;
        let space = rustix::fs::statvfs(&folder).map_err(io::Error::from)?;
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        if free.saturating_sub(length) < self.reserve_bytes {
            return Err(NotTaken::Room);
        }
        self.check_quota(&folder, length)?;
        let path = whole.with_added_extension("upload");
        if !self.lock().insert(path.clone()) {
            return Err(NotTaken::UnderWay);
        }
        Upload::open(self.clone(), path, sha256, length).map(Some)
    }

    /// Deletes what nobody refers to and nobody goes on with. Gives how many files.
    ///
    /// # Errors
    /// The disk's.
    pub fn sweep(&self, now: SystemTime) -> io::Result<usize> {
        let mut swept = 0;
        for agency in fs::read_dir(&self.folder)? {
            for file in fs::read_dir(agency?.path())? {
                let path = file?.path();
                let is_kept = path.extension().is_some_and(|extension| extension == "kept");
                let is_old =
                    fs::metadata(&path).and_then(|metadata| metadata.modified()).is_ok_and(|modified| {
                        now.duration_since(modified).is_ok_and(|age| age > UNREFERRED_KEPT)
                    });
                if is_old && !is_kept && !marker(&path).exists() && !self.lock().contains(&path) {
                    fs::remove_file(&path)?;
                    swept += 1;
                }
            }
        }
        Ok(swept)
    }

    fn path(&self, agency: &AgencyId, sha256: &Digest) -> PathBuf {
        self.folder.join(agency.as_str()).join(sha256.to_string())
    }

    /// Before the envelope is decided: a crash in between leaves a file too many, never one too few.
    fn mark(&self, path: &Path, until: TimeMs) -> io::Result<()> {
        let marker = marker(path);
        if marked(&marker).is_some_and(|marked| marked >= until) {
            return Ok(());
        }
        let half = path.with_added_extension("marking");
        let mut file = File::create(&half)?;
        write!(file, "{}", until.0)?;
        file.sync_all()?;
        fs::rename(&half, &marker)?;
        sync_folder(path)
    }

    fn check_quota(&self, folder: &Path, length: u64) -> Result<(), NotTaken> {
        let (mut bytes, mut files) = (length, 1_usize);
        for file in fs::read_dir(folder)? {
            let file = file?;
            if !marker(&file.path()).exists() {
                bytes = bytes.saturating_add(file.metadata()?.len());
                files = files.saturating_add(1);
            }
        }
        if bytes > QUOTA_BYTES || files > QUOTA_FILES { Err(NotTaken::Quota) } else { Ok(()) }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeSet<PathBuf>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Upload {
    fn open(store: PartStore, path: PathBuf, sha256: Digest, length: u64) -> Result<Self, NotTaken> {
        let file = OpenOptions::new().create(true).truncate(false).read(true).write(true).open(&path);
        let mut upload = Self {
            file: match file {
                Ok(file) => file,
                Err(error) => {
                    store.lock().remove(&path);
                    return Err(error.into());
                }
            },
            store,
            path,
            hasher: proto::digest::Hasher::default(),
            sha256,
            length,
            written: 0,
            synced: 0,
        };
        upload.take_up()?;
        Ok(upload)
    }

    /// Reads what an earlier attempt left.
    fn take_up(&mut self) -> Result<(), NotTaken> {
        if self.file.metadata()?.len() > self.length {
            self.file.set_len(0)?;
        }
        let mut buffer = vec![0; HASHED_BYTES];
        loop {
            let read = self.file.read(&mut buffer)?;
            if read == 0 {
                break;
            }
            self.hasher.update(buffer.get(..read).unwrap_or_default());
            self.written = self.written.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
        }
        self.sync()
    }

    /// All before it is on stable storage.
    #[must_use]
    pub const fn synced_bytes(&self) -> u64 {
        self.synced
    }

    /// Takes a chunk. Says whether it was synced with what came before.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn take(&mut self, chunk: &[u8]) -> Result<bool, NotTaken> {
        let written = self.written.saturating_add(u64::try_from(chunk.len()).unwrap_or(u64::MAX));
        if written > self.length {
            return Err(NotTaken::TooLong);
        }
        self.file.write_all(chunk)?;
        self.hasher.update(chunk);
        self.written = written;
        let is_due = self.written.saturating_sub(self.synced) >= SYNC_BYTES;
        if is_due {
            self.sync()?;
        }
        Ok(is_due)
    }

    /// Whether every byte is here.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.written == self.length
    }

    /// Makes it whole: its digest is compared, and only then does it get its name. What has another
    /// digest is deleted.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn finish(mut self) -> Result<(), NotTaken> {
        self.sync()?;
        if std::mem::take(&mut self.hasher).finish() != self.sha256 {
            fs::remove_file(&self.path)?;
            return Err(NotTaken::OtherDigest);
        }
        fs::rename(&self.path, self.path.with_extension(""))?;
        sync_folder(&self.path)?;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), NotTaken> {
        self.file.sync_all()?;
        self.synced = self.written;
        Ok(())
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        self.store.lock().remove(&self.path);
    }
}

fn marker(path: &Path) -> PathBuf {
    path.with_added_extension("kept")
}

fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The last moment of those that refer to it. A marker of an older release says nothing of it.
fn marked(marker: &Path) -> Option<TimeMs> {
    let text = fs::read_to_string(marker).ok()?;
    Some(TimeMs(text.trim().parse().unwrap_or(0)))
}

fn sync_folder(path: &Path) -> io::Result<()> {
    path.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())
}

#[cfg(test)]
mod tests {
    use super::*;

    const END: TimeMs = TimeMs(1_790_000_000_000);

    fn agency() -> AgencyId {
        AgencyId::parse("ae.dfwac", "agency").unwrap()
    }

    #[test]
    fn an_upload_that_was_interrupted_goes_on_where_it_was_synced() {
        let folder = tempfile::tempdir().unwrap();
        let store = PartStore::open(folder.path(), 0).unwrap();
        let bytes: Vec<u8> = (0..SYNC_BYTES + 1000).map(|i| u8::try_from(i % 251).unwrap()).collect();
        let (digest, length) = (Digest::of(&bytes), u64::try_from(bytes.len()).unwrap());
        let mut upload = store.upload(&agency(), digest, length).unwrap().unwrap();
        assert!(matches!(store.upload(&agency(), digest, length), Err(NotTaken::UnderWay)));
        let first = usize::try_from(SYNC_BYTES).unwrap();
        assert!(upload.take(&bytes[..first]).unwrap());
        drop(upload);
        assert!(!store.hold(&agency(), &digest, length, END), "not whole yet");
        let mut upload = store.upload(&agency(), digest, length).unwrap().unwrap();
        assert_eq!(upload.synced_bytes(), SYNC_BYTES);
        assert!(!upload.take(&bytes[first..]).unwrap());
        assert!(upload.is_whole());
        upload.finish().unwrap();
        assert!(store.upload(&agency(), digest, length).unwrap().is_none(), "it is here");
        assert!(store.hold(&agency(), &digest, length, END));
        assert!(!store.hold(&agency(), &digest, length - 1, END), "of another length");
    }

    #[test]
    fn what_is_not_what_was_announced_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        let store = PartStore::open(folder.path(), 0).unwrap();
        let digest = Digest::of(b"announced");
        let mut upload = store.upload(&agency(), digest, 9).unwrap().unwrap();
        assert!(matches!(upload.take(b"more than announced"), Err(NotTaken::TooLong)));
        upload.take(b"different").unwrap();
        assert!(matches!(upload.finish(), Err(NotTaken::OtherDigest)));
        assert!(!store.hold(&agency(), &digest, 9, END));
        for length in [0, UPLOADED_BYTES_MAX + 1] {
            assert!(matches!(store.upload(&agency(), digest, length), Err(NotTaken::Length)));
        }
        let full = PartStore::open(folder.path(), u64::MAX).unwrap();
        assert!(matches!(full.upload(&agency(), digest, 9), Err(NotTaken::Room)));
    }

    #[test]
    fn what_nobody_refers_to_has_a_quota_of_bytes_and_of_files() {
        let folder = tempfile::tempdir().unwrap();
        let store = PartStore::open(folder.path(), 0).unwrap();
        let own = folder.path().join(agency().as_str());
        fs::create_dir(&own).unwrap();
        // Without content they take no room.
        let largest = UPLOADED_BYTES_MAX;
        for number in 0..QUOTA_BYTES / largest {
            File::create(own.join(number.to_string())).unwrap().set_len(largest).unwrap();
        }
        let digest = Digest::of(b"one more");
        assert!(matches!(store.upload(&agency(), digest, 1), Err(NotTaken::Quota)));
        // What an envelope refers to does not count.
        File::create(marker(&own.join("0"))).unwrap();
        assert!(store.upload(&agency(), digest, largest).unwrap().is_some());

        let folder = tempfile::tempdir().unwrap();
        let store = PartStore::open(folder.path(), 0).unwrap();
        let own = folder.path().join(agency().as_str());
        fs::create_dir(&own).unwrap();
        for number in 0..QUOTA_FILES {
            File::create(own.join(number.to_string())).unwrap();
        }
        assert!(matches!(store.upload(&agency(), digest, 1), Err(NotTaken::Quota)));
        fs::remove_file(own.join("0")).unwrap();
        assert!(store.upload(&agency(), digest, 1).unwrap().is_some());
    }

    #[test]
    fn what_nobody_refers_to_goes_after_its_time() {
        let folder = tempfile::tempdir().unwrap();
        let store = PartStore::open(folder.path(), 0).unwrap();
        for bytes in [b"one", b"two"] {
            let mut upload = store.upload(&agency(), Digest::of(bytes), 3).unwrap().unwrap();
            upload.take(bytes).unwrap();
            upload.finish().unwrap();
        }
        assert!(store.hold(&agency(), &Digest::of(b"one"), 3, END));
        assert_eq!(store.sweep(SystemTime::now()).unwrap(), 0);
        let later = SystemTime::now() + UNREFERRED_KEPT + Duration::from_secs(60);
        assert_eq!(store.sweep(later).unwrap(), 1);
        assert!(store.hold(&agency(), &Digest::of(b"one"), 3, END));
        assert!(!store.hold(&agency(), &Digest::of(b"two"), 3, END));
    }

    #[test]
    fn what_two_envelopes_refer_to_goes_with_the_later_one() {
        let folder = tempfile::tempdir().unwrap();
        let store = PartStore::open(folder.path(), 0).unwrap();
        let digest = Digest::of(b"one");
        let mut upload = store.upload(&agency(), digest, 3).unwrap().unwrap();
        upload.take(b"one").unwrap();
        upload.finish().unwrap();
        assert!(store.hold(&agency(), &digest, 3, END.plus_ms(1)) && store.hold(&agency(), &digest, 3, END));
        store.erase(&agency(), &digest, END).unwrap();
        assert!(store.has(&agency(), &digest), "the other still needs it");
        store.erase(&agency(), &digest, END.plus_ms(1)).unwrap();
        assert!(!store.has(&agency(), &digest));
        assert_eq!(fs::read_dir(folder.path().join(agency().as_str())).unwrap().count(), 0);
        store.erase(&agency(), &digest, END.plus_ms(1)).unwrap();
    }
}
