//! The agent's folder: files that only their owner may read, each put in place whole. Not here: what
//! is in them.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::{Path, PathBuf},
};

use thiserror::Error;

/// Longest file that is read whole, in bytes.
pub const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What is in the folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Name {
    /// Settings.
    Settings,
    /// The network, as its administrators gave it.
    Network,
    /// Signs envelopes, receipts and changes.
    SigningKey,
    /// Opens parts.
    SealingKey,
    /// Cosigns checkpoints.
    WitnessKey,
    /// Encrypts the store.
    StoreKey,
    /// Of the certificate.
    TlsKey,
    /// The certificate and what leads to the network's root.
    Chain,
    /// A renewed certificate with its key.
    Renewed,
    /// What the administrators need to admit the agency.
    Admission,
    /// What was taken out of the exchange folder's inbox.
    Exchange,
    /// What calls over TCP carry.
    LocalToken,
    /// What backups are sealed to.
    BackupRecipient,
    /// How far a rotation of keys has come.
    Rotation,
    /// Signs once the rotation has come so far.
    NextSigningKey,
    /// Opens what is sealed once the rotation has come so far.
    NextSealingKey,
    /// Cosigns once the rotation has come so far.
    NextWitnessKey,
    /// That the folder was restored, and what it misses.
    Restored,
}

impl Name {
    /// Its path inside the folder.
    #[must_use]
    pub const fn path(self) -> &'static str {
        match self {
            Self::Settings => "agent.toml",
            Self::Network => "network.toml",
            Self::SigningKey => "keys/signing.key",
            Self::SealingKey => "keys/sealing.key",
            Self::WitnessKey => "keys/witness.key",
            Self::StoreKey => "keys/store.key",
            Self::TlsKey => "keys/tls.key",
            Self::Chain => "tls/chain.pem",
            Self::Renewed => "tls/renewed.pem",
            Self::Admission => "admission.json",
            Self::Exchange => "exchange.json",
            Self::LocalToken => "keys/local.token",
            Self::BackupRecipient => "keys/backup.recipient",
            Self::Rotation => "keys/rotation.json",
            Self::NextSigningKey => "keys/signing.next",
            Self::NextSealingKey => "keys/sealing.next",
            Self::NextWitnessKey => "keys/witness.next",
            Self::Restored => "restored.json",
        }
    }
}

/// The folders inside it.
const FOLDERS: [&str; 3] = ["keys", "tls", "store"];

/// What is wrong with the folder. Each says what to do next.
#[derive(Debug, Error)]
pub enum FolderFault {
    /// It holds something already.
    #[error("{0}: is not empty; choose another folder, or remove what is there")]
    NotEmpty(PathBuf),
    /// It is not there.
    #[error("{0}: is not there; make the agent's folder with `agent init`")]
    Missing(PathBuf),
    /// Others may read or write it.
    #[error(
        "{0}: others may read or change it; allow its owner only (chmod 700 for a folder, 600 for a file)"
    )]
    Loose(PathBuf),
    /// It belongs to another user.
    #[error("{0}: belongs to another user; run the agent as its owner")]
    Foreign(PathBuf),
    /// It is larger than anything that belongs there.
    #[error("{path}: larger than {bytes_max} bytes, which is no file of the agent's")]
    TooLarge {
        /// Which file.
        path: PathBuf,
        /// How long it may be.
        bytes_max: u64,
    },
    /// The operating system refused.
    #[error("{path}: {kind}")]
    Io {
        /// What was touched.
        path: PathBuf,
        /// What the operating system said, without text.
        kind: io::ErrorKind,
    },
}

/// An agent's folder whose permissions were checked.
#[derive(Debug, Clone)]
pub struct Folder(PathBuf);

impl Folder {
    /// Makes a new, empty one, for its owner only.
    ///
    /// # Errors
    /// [`FolderFault::NotEmpty`], or the operating system's.
    pub fn create(root: &Path) -> Result<Self, FolderFault> {
        make_private(root)?;
        let mut entries = fs::read_dir(root).map_err(|error| io_fault(root, &error))?;
        if entries.next().is_some() {
            return Err(FolderFault::NotEmpty(root.to_owned()));
        }
        for folder in FOLDERS {
            make_private(&root.join(folder))?;
        }
        Self::open(root)
    }

    /// Opens one.
    ///
    /// # Errors
    /// [`FolderFault`]: it is not there, or not its owner's alone.
    pub fn open(root: &Path) -> Result<Self, FolderFault> {
        for folder in [root.to_owned()].into_iter().chain(FOLDERS.map(|folder| root.join(folder))) {
            let metadata = fs::symlink_metadata(&folder).map_err(|error| missing_or(&folder, &error))?;
            if !metadata.is_dir() {
                return Err(FolderFault::Missing(folder));
            }
            check_private(&folder, &metadata)?;
        }
        Ok(Self(root.to_owned()))
    }

    /// Where it is.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.0
    }

    /// Where the store's files are.
    #[must_use]
    pub fn store(&self) -> PathBuf {
        self.0.join("store")
    }

    /// Where attachments are that are too large for an envelope.
    #[must_use]
    pub fn spool(&self) -> PathBuf {
        self.0.join("spool")
    }

    /// Where the local API listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.0.join("agent.sock")
    }

    /// Where a file is.
    #[must_use]
    pub fn path(&self, name: Name) -> PathBuf {
        self.0.join(name.path())
    }

    /// Reads a file.
    ///
    /// # Errors
    /// [`FolderFault`]: not there, not its owner's alone, too large.
    pub fn read(&self, name: Name) -> Result<Vec<u8>, FolderFault> {
        self.read_at_most(name, FILE_BYTES_MAX)
    }

    /// As [`Self::read`], with another limit.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_at_most(&self, name: Name, bytes_max: u64) -> Result<Vec<u8>, FolderFault> {
        let path = self.path(name);
        let (file, metadata) = open(&path)?;
        check_private(&path, &metadata)?;
        read_whole(&path, file, &metadata, bytes_max)
    }

    /// Puts a file in place, whole or not at all, also when the power fails.
    ///
    /// # Errors
    /// The operating system's.
    pub fn write(&self, name: Name, bytes: &[u8]) -> Result<(), FolderFault> {
        let path = self.path(name);
        let half = path.with_extension("tmp");
        let written = write_private(&half, bytes).and_then(|()| fs::rename(&half, &path));
        written.and_then(|()| sync_parent(&path)).map_err(|error| io_fault(&path, &error))
    }

    /// Takes a file away, also when the power fails.
    ///
    /// # Errors
    /// The operating system's.
    pub fn remove(&self, name: Name) -> Result<(), FolderFault> {
        let path = self.path(name);
        let removed = fs::remove_file(&path).and_then(|()| sync_parent(&path));
        removed.map_err(|error| io_fault(&path, &error))
    }
}

fn open(path: &Path) -> Result<(File, fs::Metadata), FolderFault> {
    let file = File::open(path).map_err(|error| missing_or(path, &error))?;
    let metadata = file.metadata().map_err(|error| io_fault(path, &error))?;
    Ok((file, metadata))
}

fn read_whole(
    path: &Path,
    mut file: File,
    metadata: &fs::Metadata,
    bytes_max: u64,
) -> Result<Vec<u8>, FolderFault> {
    if metadata.len() > bytes_max {
        return Err(FolderFault::TooLarge { path: path.to_owned(), bytes_max });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    file.read_to_end(&mut bytes).map_err(|error| io_fault(path, &error))?;
    Ok(bytes)
}

fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes a folder for its owner only, if it is not there, and checks that it is.
pub(crate) fn make_private_folder(path: &Path) -> Result<(), FolderFault> {
    make_private(path)?;
    let metadata = fs::symlink_metadata(path).map_err(|error| io_fault(path, &error))?;
    if metadata.is_dir() {
        check_private(path, &metadata)
    } else {
        Err(FolderFault::Missing(path.to_owned()))
    }
}

pub(crate) fn sync_parent(path: &Path) -> io::Result<()> {
    // A name alone lies where the program runs.
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Where a folder cannot be opened as a file, renaming is as durable as it gets.
    if cfg!(unix) { File::open(parent)?.sync_all() } else { Ok(()) }
}

fn make_private(path: &Path) -> Result<(), FolderFault> {
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(io_fault(path, &error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// Only its owner may read or change it, and the owner is who runs the agent, or root.
#[cfg(unix)]
fn check_private(path: &Path, metadata: &fs::Metadata) -> Result<(), FolderFault> {
    use std::os::unix::fs::MetadataExt as _;
    if metadata.mode() & 0o077 != 0 {
        return Err(FolderFault::Loose(path.to_owned()));
    }
    let me = rustix::process::geteuid().as_raw();
    if metadata.uid() == me { Ok(()) } else { Err(FolderFault::Foreign(path.to_owned())) }
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "where there are owners it can fail")]
fn check_private(_: &Path, _: &fs::Metadata) -> Result<(), FolderFault> {
    Ok(())
}

fn missing_or(path: &Path, error: &io::Error) -> FolderFault {
    if error.kind() == io::ErrorKind::NotFound {
        FolderFault::Missing(path.to_owned())
    } else {
        io_fault(path, error)
    }
}

fn io_fault(path: &Path, error: &io::Error) -> FolderFault {
    FolderFault::Io { path: path.to_owned(), kind: error.kind() }
}

#[cfg(all(test, unix))]
#[allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    fn set_mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    #[test]
    fn everything_is_its_owners_alone() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("agent");
        let folder = Folder::create(&root).unwrap();
        folder.write(Name::SigningKey, b"secret").unwrap();
        folder.write(Name::SigningKey, b"another").unwrap();
        assert_eq!(folder.read(Name::SigningKey).unwrap(), b"another");
        for path in [root.clone(), root.join("keys"), root.join("tls"), root.join("store")] {
            assert_eq!(mode(&path), 0o700, "{}", path.display());
        }
        assert_eq!(mode(&folder.path(Name::SigningKey)), 0o600);
        assert!(matches!(Folder::create(&root), Err(FolderFault::NotEmpty(_))));
    }

    #[test]
    fn what_others_may_read_is_refused() {
        let place = tempfile::tempdir().unwrap();
        let root = place.path().join("agent");
        let folder = Folder::create(&root).unwrap();
        folder.write(Name::StoreKey, b"secret").unwrap();
        for loose in [0o640, 0o604, 0o620, 0o666] {
            set_mode(&folder.path(Name::StoreKey), loose);
            assert!(matches!(folder.read(Name::StoreKey), Err(FolderFault::Loose(_))), "{loose:o}");
        }
        for loose in [0o750, 0o701] {
            set_mode(&root.join("keys"), loose);
            assert!(matches!(Folder::open(&root), Err(FolderFault::Loose(_))), "{loose:o}");
        }
        set_mode(&root.join("keys"), 0o700);
        assert!(Folder::open(&root).is_ok());
        assert!(matches!(folder.read(Name::Chain), Err(FolderFault::Missing(_))));
        assert!(matches!(Folder::open(&place.path().join("none")), Err(FolderFault::Missing(_))));
    }

    #[test]
    fn a_name_alone_lies_where_the_program_runs() {
        for path in ["Cargo.toml", "./Cargo.toml", "src/lib.rs", "/"] {
            assert!(sync_parent(Path::new(path)).is_ok(), "{path}");
        }
    }

    #[test]
    fn a_file_above_the_limit_is_not_read() {
        let place = tempfile::tempdir().unwrap();
        let folder = Folder::create(&place.path().join("agent")).unwrap();
        let limit = usize::try_from(FILE_BYTES_MAX).unwrap();
        folder.write(Name::Network, &vec![b' '; limit]).unwrap();
        assert!(folder.read(Name::Network).is_ok());
        folder.write(Name::Network, &vec![b' '; limit + 1]).unwrap();
        assert!(matches!(folder.read(Name::Network), Err(FolderFault::TooLarge { .. })));
    }
}
