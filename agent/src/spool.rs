//! The spool: sealed attachments that are too large for an envelope, each a file of its own. What goes
//! out stays until the gateway has answered its envelope; what came is kept. They are age files, so
//! nobody reads them without a sealing key, and those on their way out not even this agency. Not here:
//! sealing them (`draft`), and the wire (`link`).

pub mod moving;
pub mod veiled;

use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io::{self, BufWriter, Read as _, Seek as _, SeekFrom, Write},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use moving::{Moving, Work};
use proto::digest::{Digest, Hasher};
use thiserror::Error;

use crate::{
    folder::{FolderFault, make_private_folder, sync_parent},
    randomness,
    store::RESERVE_BYTES,
};

/// How long something that came in part, or that no delivery refers to, is kept to go on with.
pub const UNFINISHED_KEPT: Duration = Duration::from_secs(7 * 24 * 60 * 60);
/// How much is read or written at once.
pub const RUN_BYTES: usize = 64 * 1024;

const GOING: &str = "out";
const SEALING: &str = "sealing";
const ARRIVED: &str = "in";
const COMING: &str = "part";

/// Why the spool does not do what it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SpoolFault {
    /// There is no room for it.
    #[error("the disk has no room for the attachment; make room, then try again")]
    Full,
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness; try again")]
    Randomness,
    /// The operating system refused.
    #[error("the agent's spool: {0}")]
    Io(io::ErrorKind),
}

impl From<io::Error> for SpoolFault {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::StorageFull { Self::Full } else { Self::Io(error.kind()) }
    }
}

/// A sealed attachment, as a header lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// SHA-256 of the ciphertext.
    pub sha256: Digest,
    /// Its length.
    pub bytes: u64,
}

/// All of them. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Spool {
    folder: PathBuf,
    reserve_bytes: u64,
    kept: Arc<Mutex<Kept>>,
    /// How far long work with its files is.
    pub moving: Moving,
}

/// What is kept although it does not go out any more.
#[derive(Debug, Default)]
struct Kept {
    /// How many ask for that.
    by: usize,
    files: BTreeSet<Digest>,
}

/// As long as it lives nothing of a spool is forgotten.
#[derive(Debug)]
pub struct Keeping(Spool);

impl Drop for Keeping {
    fn drop(&mut self) {
        let mut kept = self.0.kept();
        kept.by = kept.by.saturating_sub(1);
        if kept.by == 0 {
            std::mem::take(&mut kept.files).iter().for_each(|sha256| self.0.remove(sha256));
        }
    }
}

impl Spool {
    /// The spool in a folder, made if it is not there, for its owner only.
    ///
    /// # Errors
    /// [`FolderFault`].
    pub fn open(folder: &Path) -> Result<Self, FolderFault> {
        make_private_folder(folder)?;
        Ok(Self {
            folder: folder.to_owned(),
            reserve_bytes: RESERVE_BYTES,
            kept: Arc::default(),
            moving: Moving::default(),
        })
    }

    /// A new file to seal into, of a length that is known before.
    ///
    /// # Errors
    /// [`SpoolFault`].
    pub fn sealing(&self, bytes: u64) -> Result<Sealing, SpoolFault> {
        self.check_room(bytes)?;
        let name: [u8; 16] = randomness::bytes().map_err(|_| SpoolFault::Randomness)?;
        let name: String = name.iter().map(|byte| format!("{byte:02x}")).collect();
        let path = self.folder.join(name).with_extension(SEALING);
        let file = private(OpenOptions::new().write(true).create_new(true)).open(&path)?;
        let file = BufWriter::with_capacity(2 * RUN_BYTES, file);
        let moving = self.moving.begin(Work::Sealing, bytes);
        Ok(Sealing { spool: self.clone(), path, file, written: 0, moving, is_put: false })
    }

    /// Opens what goes out, if it is here.
    ///
    /// # Errors
    /// The disk's.
    pub fn going(&self, listed: &Listed) -> io::Result<Option<File>> {
        open_of(&self.path(&listed.sha256, GOING), listed.bytes)
    }

    /// Whether what lies here to go out is what it must be.
    ///
    /// # Errors
    /// The disk's.
    pub fn is_sound(&self, listed: &Listed) -> io::Result<bool> {
        let Some(mut file) = self.going(listed)? else {
            return Ok(false);
        };
        let mut hasher = Hasher::default();
        hash(&mut file, &mut hasher)?;
        Ok(hasher.finish() == listed.sha256)
    }

    /// Forgets what does not go out any more. What cannot be deleted now is at the next start.
    pub fn forget(&self, sha256: &Digest) {
        let mut kept = self.kept();
        if kept.by > 0 {
            kept.files.insert(*sha256);
        } else {
            self.remove(sha256);
        }
    }

    /// Keeps what would be forgotten, until that is dropped.
    #[must_use]
    pub fn keep(&self) -> Keeping {
        self.kept().by += 1;
        Keeping(self.clone())
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn remove(&self, sha256: &Digest) {
        match fs::remove_file(self.path(sha256, GOING)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                tracing::warn!(kind = ?error.kind(), "an attachment that was sent is still in the spool");
            }
            Ok(()) | Err(_) => {}
        }
    }

    /// Erases what came, whole or in part. Gives whether nothing of it is left, also when the power fails now.
    pub fn erase(&self, sha256: &Digest) -> bool {
        [ARRIVED, COMING].into_iter().all(|extension| {
            let path = self.path(sha256, extension);
            match fs::remove_file(&path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => true,
                removed => removed.and_then(|()| sync_parent(&path)).is_ok(),
            }
        })
    }

    /// Opens what has arrived, whole and compared, if it is here.
    ///
    /// # Errors
    /// The disk's.
    pub fn arrived(&self, listed: &Listed) -> io::Result<Option<File>> {
        open_of(&self.path(&listed.sha256, ARRIVED), listed.bytes)
    }

    /// Begins to take what comes, or goes on where it was interrupted.
    ///
    /// # Errors
    /// [`SpoolFault`].
    pub fn coming(&self, listed: Listed) -> Result<Coming, SpoolFault> {
        let path = self.path(&listed.sha256, COMING);
        let mut options = OpenOptions::new();
        let options = options.create(true).truncate(false).read(true).write(true);
        let mut file = private(options).open(&path)?;
        let here = file.metadata()?.len();
        if here > listed.bytes {
            file.set_len(0)?;
        }
        self.check_room(listed.bytes.saturating_sub(here))?;
        let mut hasher = Hasher::default();
        let written = hash(&mut file, &mut hasher)?;
        Ok(Coming { spool: self.clone(), path, file, hasher, listed, written, found: written })
    }

    /// Deletes what nothing refers to: what was being sealed, what went out, what came and was never
    /// taken. Only while nobody seals. Gives how many files.
    ///
    /// # Errors
    /// The disk's.
    pub fn sweep(
        &self,
        going: &BTreeSet<Digest>,
        arrived: &BTreeSet<Digest>,
        now: SystemTime,
    ) -> io::Result<usize> {
        let names =
            |digests: &BTreeSet<Digest>| digests.iter().map(ToString::to_string).collect::<BTreeSet<_>>();
        let (going, arrived) = (names(going), names(arrived));
        let mut swept = 0;
        for file in fs::read_dir(&self.folder)? {
            let path = file?.path();
            let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
            let is_kept = match path.extension().and_then(|extension| extension.to_str()) {
                Some(GOING) => going.contains(stem),
                Some(ARRIVED) => arrived.contains(stem) || is_young(&path, now),
                Some(COMING) => is_young(&path, now),
                Some(SEALING | veiled::VEILED) => false,
                // Somebody else's.
                Some(_) | None => true,
            };
            if !is_kept {
                fs::remove_file(&path)?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    fn path(&self, sha256: &Digest, extension: &str) -> PathBuf {
        self.folder.join(sha256.to_string()).with_extension(extension)
    }

    fn check_room(&self, bytes: u64) -> Result<(), SpoolFault> {
        let space = rustix::fs::statvfs(&self.folder).map_err(io::Error::from)?;
        let free = space.f_bavail.saturating_mul(space.f_frsize);
        if free.saturating_sub(bytes) < self.reserve_bytes { Err(SpoolFault::Full) } else { Ok(()) }
    }
}

/// A file that is being sealed into. Dropped before it is put in its place, it is deleted.
#[derive(Debug)]
pub struct Sealing {
    spool: Spool,
    path: PathBuf,
    file: BufWriter<File>,
    written: u64,
    moving: moving::One,
    is_put: bool,
}

impl Sealing {
    /// Makes it what goes out under this digest, also when the power fails.
    ///
    /// # Errors
    /// [`SpoolFault`].
    pub fn put(mut self, sha256: &Digest) -> Result<(), SpoolFault> {
        self.file.flush()?;
        self.file.get_ref().sync_all()?;
        let path = self.spool.path(sha256, GOING);
        fs::rename(&self.path, &path)?;
        self.is_put = true;
        sync_parent(&path)?;
        Ok(())
    }
}

impl Write for Sealing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.file.write(bytes)?;
        self.written = self.written.saturating_add(u64::try_from(count).unwrap_or(u64::MAX));
        self.moving.is_at(self.written);
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

impl Drop for Sealing {
    fn drop(&mut self) {
        if !self.is_put {
            // Else the next start does it.
            drop(fs::remove_file(&self.path));
        }
    }
}

/// An attachment that comes.
#[derive(Debug)]
pub struct Coming {
    spool: Spool,
    path: PathBuf,
    file: File,
    hasher: Hasher,
    listed: Listed,
    written: u64,
    found: u64,
}

/// Why what came is not taken. It was deleted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotCome {
    /// More or fewer bytes than the header lists.
    #[error("not as long as the header says")]
    Length,
    /// It is not what the header lists, and all of it came just now.
    #[error("not what the header lists")]
    Other,
    /// It is not what the header lists, and some of it lay here since before an interruption.
    #[error("what lay here since an interruption was damaged")]
    Stale,
    /// The disk.
    #[error(transparent)]
    Spool(#[from] SpoolFault),
}

impl Coming {
    /// How much is here: where to go on.
    #[must_use]
    pub const fn here_bytes(&self) -> u64 {
        self.written
    }

    /// Takes the next run.
    ///
    /// # Errors
    /// [`NotCome`].
    pub fn take(&mut self, bytes: &[u8]) -> Result<(), NotCome> {
        let written = self.written.saturating_add(u64::try_from(bytes.len()).unwrap_or(u64::MAX));
        if written > self.listed.bytes {
            fs::remove_file(&self.path).map_err(SpoolFault::from)?;
            return Err(NotCome::Length);
        }
        self.file.write_all(bytes).map_err(SpoolFault::from)?;
        self.hasher.update(bytes);
        self.written = written;
        Ok(())
    }

    /// Compares the digest, and only then, once it is on stable storage, lets it count as arrived.
    ///
    /// # Errors
    /// [`NotCome`]; [`NotCome::Length`] when it ended early, and what came is kept to go on with.
    pub fn finish(self) -> Result<(), NotCome> {
        if self.written < self.listed.bytes {
            return Err(NotCome::Length);
        }
        if self.hasher.finish() != self.listed.sha256 {
            fs::remove_file(&self.path).map_err(SpoolFault::from)?;
            return Err(if self.found > 0 { NotCome::Stale } else { NotCome::Other });
        }
        let path = self.spool.path(&self.listed.sha256, ARRIVED);
        let put = self.file.sync_all().and_then(|()| fs::rename(&self.path, &path));
        put.and_then(|()| sync_parent(&path)).map_err(SpoolFault::from)?;
        Ok(())
    }
}

fn is_young(path: &Path, now: SystemTime) -> bool {
    let modified = fs::metadata(path).and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| now.duration_since(modified).is_ok_and(|age| age <= UNFINISHED_KEPT))
}

fn private(options: &mut OpenOptions) -> &mut OpenOptions {
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(options, 0o600);
    options
}

/// A file of this length; a shorter one is none.
fn open_of(path: &Path, bytes: u64) -> io::Result<Option<File>> {
    match File::open(path) {
        Ok(file) if file.metadata()?.len() == bytes => Ok(Some(file)),
        Ok(_) => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Hashes a file from its beginning to its end, and stands there. Gives its length.
pub(crate) fn hash(file: &mut File, hasher: &mut Hasher) -> io::Result<u64> {
    file.seek(SeekFrom::Start(0))?;
    let mut run = vec![0; RUN_BYTES];
    let mut bytes = 0_u64;
    loop {
        let read = file.read(&mut run)?;
        if read == 0 {
            return Ok(bytes);
        }
        hasher.update(run.get(..read).unwrap_or_default());
        bytes = bytes.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spool() -> (tempfile::TempDir, Spool) {
        let place = tempfile::tempdir().unwrap();
        let spool = Spool::open(&place.path().join("spool")).unwrap();
        (place, spool)
    }

    fn listed(bytes: &[u8]) -> Listed {
        Listed { sha256: Digest::of(bytes), bytes: u64::try_from(bytes.len()).unwrap() }
    }

    fn names(spool: &Spool) -> Vec<String> {
        let files = fs::read_dir(&spool.folder).unwrap();
        let mut names: Vec<_> = files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn what_was_interrupted_goes_on_and_counts_only_when_it_is_whole() {
        let (_place, spool) = spool();
        let listed = listed(b"one two three");
        let mut coming = spool.coming(listed).unwrap();
        coming.take(b"one ").unwrap();
        assert_eq!(coming.finish(), Err(NotCome::Length), "it ended early");
        let mut coming = spool.coming(listed).unwrap();
        assert_eq!(coming.here_bytes(), 4);
        assert!(spool.arrived(&listed).unwrap().is_none());
        coming.take(b"two three").unwrap();
        coming.finish().unwrap();
        assert!(spool.arrived(&listed).unwrap().is_some());
        assert!(spool.arrived(&Listed { bytes: 12, ..listed }).unwrap().is_none(), "of another length");
    }

    #[test]
    fn what_is_not_what_the_header_lists_is_deleted() {
        let (_place, spool) = spool();
        let listed = listed(b"one two three");
        let mut coming = spool.coming(listed).unwrap();
        coming.take(b"one two thrEe").unwrap();
        assert_eq!(coming.finish(), Err(NotCome::Other));
        let mut coming = spool.coming(listed).unwrap();
        coming.take(b"oNe ").unwrap();
        drop(coming);
        let mut coming = spool.coming(listed).unwrap();
        coming.take(b"two three").unwrap();
        assert_eq!(coming.finish(), Err(NotCome::Stale), "damaged here, so it is asked for again");
        let mut coming = spool.coming(listed).unwrap();
        assert_eq!(coming.here_bytes(), 0);
        assert_eq!(coming.take(b"one two three four"), Err(NotCome::Length));
        assert_eq!(names(&spool), Vec::<String>::new());
    }

    #[test]
    fn what_is_erased_is_gone_whole_or_in_part() {
        let (_place, spool) = spool();
        let (came, half) = (listed(b"came"), listed(b"came in part"));
        let mut coming = spool.coming(came).unwrap();
        coming.take(b"came").unwrap();
        coming.finish().unwrap();
        spool.coming(half).unwrap().take(b"came").unwrap();
        assert_eq!(names(&spool).len(), 2);
        for sha256 in [came.sha256, half.sha256, came.sha256] {
            assert!(spool.erase(&sha256), "asked again, nothing is left to do");
        }
        assert_eq!(names(&spool), Vec::<String>::new());
    }

    #[cfg(unix)]
    #[test]
    fn files_are_their_owners_alone_and_what_is_not_sent_is_not_left() {
        use std::os::unix::fs::PermissionsExt as _;
        let (_place, spool) = spool();
        drop(spool.sealing(10).unwrap());
        assert_eq!(names(&spool), Vec::<String>::new());
        let listed = listed(b"sealed");
        let mut sealing = spool.sealing(6).unwrap();
        sealing.write_all(b"sealed").unwrap();
        sealing.put(&listed.sha256).unwrap();
        assert!(spool.is_sound(&listed).unwrap());
        let path = spool.path(&listed.sha256, GOING);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::metadata(&spool.folder).unwrap().permissions().mode() & 0o777, 0o700);
        fs::write(&path, b"seAled").unwrap();
        assert!(!spool.is_sound(&listed).unwrap());
        spool.forget(&listed.sha256);
        assert!(spool.going(&listed).unwrap().is_none());
    }

    #[test]
    fn without_room_nothing_is_begun() {
        let (_place, spool) = spool();
        let full = Spool { reserve_bytes: u64::MAX, ..spool };
        assert_eq!(full.sealing(1).map(|_| ()), Err(SpoolFault::Full));
        assert_eq!(full.coming(listed(b"one")).map(|_| ()), Err(SpoolFault::Full));
    }

    #[test]
    fn what_nothing_refers_to_goes() {
        let (_place, spool) = spool();
        let (sent, waits) = (Digest::of(b"sent"), Digest::of(b"waits"));
        let (taken, stray, half) = (Digest::of(b"taken"), Digest::of(b"stray"), Digest::of(b"half"));
        let files = [
            (sent, GOING),
            (waits, GOING),
            (sent, SEALING),
            (stray, veiled::VEILED),
            (taken, ARRIVED),
            (stray, ARRIVED),
            (half, COMING),
        ];
        for (digest, extension) in files {
            File::create(spool.path(&digest, extension)).unwrap();
        }
        let (going, arrived) = (BTreeSet::from([waits]), BTreeSet::from([taken]));
        let now = SystemTime::now();
        assert_eq!(
            spool.sweep(&going, &arrived, now).unwrap(),
            3,
            "what was sent, and what was being sealed, or taken"
        );
        let later = now + UNFINISHED_KEPT + Duration::from_secs(60);
        assert_eq!(spool.sweep(&going, &arrived, later).unwrap(), 2, "what was never taken");
        let mut left = vec![format!("{waits}.{GOING}"), format!("{taken}.{ARRIVED}")];
        left.sort();
        assert_eq!(names(&spool), left);
    }
}
