//! Where a gateway's files lie, and starting the writer over them. Not here: what is in them.

use std::{
    fs, io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
};

use journal::{Anchor, AnchorFound, Closed, FileJournal, LogId, Mark, OpenError, SegmentBytes, Volume};
use proto::{ids::TimeMs, key::SigningKey, log::checkpoint::Origin, restore::witnesses};
use thiserror::Error;

use crate::{
    clock,
    config::Config,
    fault::Fault,
    hub::RealWriter,
    index::sled_rows::SledRows,
    peer::tls::TlsFiles,
    restoring::{Cause, Marker},
    start::{Derived, Started, start},
    tiles::behind::Behind,
    writer::{LogKey, LogKeys},
};

/// The file that the journal's anchor is, in its folder.
const ANCHOR: &str = "anchor";
/// What is added to the name of what was set aside.
const BEFORE: &str = ".before-restore";
/// In how many ways a start can find that the end is lost: anchor, snapshots, published logs.
const LOSSES_MAX: usize = 4;

/// A gateway's folder.
#[derive(Debug, Clone)]
pub struct Place {
    root: PathBuf,
    anchor: PathBuf,
}

/// Why a key file cannot be used.
#[derive(Debug, Error)]
pub enum KeyFault {
    /// It cannot be read or written.
    #[error("{} cannot be used: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// Others can read it.
    #[error("{} can be read by others; run: chmod 600 {}", path.display(), path.display())]
    Loose {
        /// Which.
        path: PathBuf,
    },
    /// It is no key.
    #[error("{} does not hold a key: 64 hex digits and a line end", path.display())]
    Form {
        /// Which.
        path: PathBuf,
    },
    /// The configuration names a log in a form that no log has.
    #[error("the configuration's name of a log cannot be one")]
    Origin,
}

impl Place {
    /// A folder. The anchor may lie elsewhere.
    #[must_use]
    pub fn new(root: &Path, anchor: Option<&Path>) -> Self {
        let anchor = anchor.map_or_else(|| root.join("anchor"), Path::to_owned);
        Self { root: root.to_owned(), anchor }
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The configuration file.
    #[must_use]
    pub fn config(&self) -> PathBuf {
        self.root.join("gateway.toml")
    }

    /// What agencies and staff are given: names, address, keys of both logs, root certificate.
    #[must_use]
    pub fn network(&self) -> PathBuf {
        self.root.join("network.toml")
    }

    /// The authority that issues certificates.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.root.join("authority")
    }

    /// The journal's segments and snapshots.
    #[must_use]
    pub fn journal(&self) -> PathBuf {
        self.root.join("journal")
    }

    /// The anchor's folder.
    #[must_use]
    pub fn anchor(&self) -> PathBuf {
        self.anchor.clone()
    }

    /// The index.
    #[must_use]
    pub fn index(&self) -> PathBuf {
        self.root.join("index")
    }

    /// The published evidence log.
    #[must_use]
    pub fn evidence(&self) -> PathBuf {
        self.root.join("logs").join("evidence")
    }

    /// The published directory log.
    #[must_use]
    pub fn directory(&self) -> PathBuf {
        self.root.join("logs").join("directory")
    }

    /// Its time is when the last backup was made.
    #[must_use]
    pub fn backup_made(&self) -> PathBuf {
        self.root.join("backup-made")
    }

    /// Attachments.
    #[must_use]
    pub fn parts(&self) -> PathBuf {
        self.root.join("parts")
    }

    /// The evidence log's key.
    #[must_use]
    pub fn evidence_key(&self) -> PathBuf {
        self.root.join("keys").join("evidence.key")
    }

    /// The directory log's key.
    #[must_use]
    pub fn directory_key(&self) -> PathBuf {
        self.root.join("keys").join("directory.key")
    }

    /// The folder of [`Self::tls`].
    #[must_use]
    pub fn tls_folder(&self) -> PathBuf {
        self.root.join("tls")
    }

    /// What the door's TLS is made of.
    #[must_use]
    pub fn tls(&self) -> TlsFiles {
        let folder = self.tls_folder();
        TlsFiles {
            chain: folder.join("certificate.pem"),
            key: folder.join("key.pem"),
            roots: folder.join("root.pem"),
            crls: folder.join("crls.pem"),
        }
    }

    /// The keys of both logs.
    ///
    /// # Errors
    /// [`KeyFault`].
    pub fn log_keys(&self, config: &Config) -> Result<LogKeys, KeyFault> {
        let log = |origin: &str, path: &Path| {
            let origin = Origin::parse(origin).map_err(|_| KeyFault::Origin)?;
            Ok(LogKey::new(origin, read_key(path)?))
        };
        Ok(LogKeys {
            evidence: log(&config.evidence_origin, &self.evidence_key())?,
            directory: log(&config.directory_origin, &self.directory_key())?,
        })
    }

    /// Makes an empty journal and the folders around it.
    ///
    /// # Errors
    /// [`Fault::Open`] when there is one already, or the disk's.
    pub fn create(&self, log_id: &LogId, segment_bytes: SegmentBytes) -> Result<(), Fault> {
        for folder in [self.journal(), self.anchor.clone()] {
            fs::create_dir_all(folder).map_err(|error| Fault::Derived(error.kind()))?;
        }
        let volume = Volume::directory(&self.journal())?;
        Ok(FileJournal::create(&volume, log_id, segment_bytes)?)
    }

    /// Starts the writer. Where the end of the journal is lost that this machine had signed, or the anchor that
    /// would tell, that is written down first: the gateway then asks its witnesses before it goes on.
    ///
    /// # Errors
    /// As [`start`]; [`Fault::Derived`] when the logs' folders cannot be made.
    pub fn open(&self, config: journal::Config, keys: LogKeys) -> Result<(RealWriter, Started), Fault> {
        for _ in 0..LOSSES_MAX {
            match self.try_open(config, keys.clone()) {
                Err(fault) if self.is_lost(&fault)? => tracing::error!(%fault, "THE END IS LOST"),
                opened => return opened,
            }
        }
        self.try_open(config, keys)
    }

    fn try_open(&self, config: journal::Config, keys: LogKeys) -> Result<(RealWriter, Started), Fault> {
        let volumes = (Volume::directory(&self.journal())?, Volume::directory(&self.anchor)?);
        if Marker::read(self).is_some() {
            self.set_anchor_aside()?;
        }
        let closed = Closed::lock(&volumes.0, &volumes.1)?;
        let folder = |path: &Path| Behind::open(path).map_err(|error| Fault::Derived(error.kind()));
        let derived = Derived {
            rows: SledRows::open(&self.index()),
            evidence: folder(&self.evidence())?,
            directory: folder(&self.directory())?,
        };
        let alive = last_alive(&self.anchor.join(ANCHOR));
        let (mut writer, started) =
            start(closed, config, keys, proto::decide::decide, derived, |journal| journal)?;
        writer.was_alive(alive);
        let is_anchored = matches!(started.recovered.anchor, AnchorFound::Found(_));
        // Where nobody could have been answered, there is nobody to ask: a new network's first start.
        let asked = witnesses(writer.state().directory(), clock::now());
        if !is_anchored && !asked.is_empty() && Marker::read(self).is_none() {
            self.mark(Marker::new(Cause::MissingAnchor, clock::now().0))?;
        }
        Ok((writer, started))
    }

    /// Whether a fault says that the journal has lost its end. What told so is written down and set aside.
    fn is_lost(&self, fault: &Fault) -> Result<bool, Fault> {
        let marker = Marker::read(self).unwrap_or(Marker::new(Cause::CutTail, clock::now().0));
        let checkpoints = [self.evidence(), self.directory()].map(|log| fs::read(log.join("checkpoint")));
        let known = checkpoints.iter().flatten().fold(marker, |marker, note| marker.with(note));
        match fault {
            Fault::Open(OpenError::CutBelowAnchor { .. }) => {
                let anchor = self.read_anchor()?;
                self.mark(anchor.into_iter().fold(known, |known, anchor| known.with(&anchor.owner_bytes)))?;
                self.set_anchor_aside()?;
            }
            Fault::Open(OpenError::FromNotFound { from }) if *from != Mark::START => {
                self.mark(known)?;
                for entry in fs::read_dir(self.journal()).map_err(derived)? {
                    let path = entry.map_err(derived)?.path();
                    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
                    if name.starts_with("snapshot-") {
                        fs::rename(&path, self.root.join(format!("{name}{BEFORE}"))).map_err(derived)?;
                    }
                }
            }
            Fault::BehindPublished { .. } => {
                self.mark(known)?;
                let logs = self.root.join("logs");
                fs::rename(&logs, aside(&logs)).map_err(derived)?;
            }
            Fault::Journal(_)
            | Fault::Read(_)
            | Fault::Open(_)
            | Fault::DamagedRecord { .. }
            | Fault::NotUnderstood { .. }
            | Fault::OtherTree { .. }
            | Fault::OtherNetwork
            | Fault::Unproven(_)
            | Fault::Malformed(_)
            | Fault::Derived(_) => return Ok(false),
        }
        Ok(true)
    }

    fn mark(&self, marker: Marker) -> Result<(), Fault> {
        marker.write(self).map_err(derived)
    }

    fn read_anchor(&self) -> Result<Option<Anchor>, Fault> {
        let volumes = (Volume::directory(&self.journal())?, Volume::directory(&self.anchor)?);
        match Closed::lock(&volumes.0, &volumes.1)?.anchor().read().map_err(OpenError::from)? {
            AnchorFound::Found(anchor) => Ok(Some(anchor)),
            AnchorFound::Missing | AnchorFound::Damaged => Ok(None),
        }
    }

    /// Records may be missing here that an anchor tells of: it stays, for people to look at.
    fn set_anchor_aside(&self) -> Result<(), Fault> {
        let anchor = self.anchor.join(ANCHOR);
        match fs::rename(&anchor, aside(&anchor)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Fault::Derived(error.kind())),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

fn derived(error: io::Error) -> Fault {
    Fault::Derived(error.kind())
}

/// Where something is kept that was here before a restore: under a number of its own.
fn aside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let numbered = |number: u32| path.with_file_name(format!("{name}{BEFORE}-{number}"));
    (1..u32::MAX).map(numbered).find(|free| !free.exists()).unwrap_or_else(|| numbered(u32::MAX))
}

/// When a process last wrote the anchor, which it does every few seconds while it lives: how long nobody
/// was there, also on a quiet night. The beginning of time when there is none.
fn last_alive(anchor: &Path) -> TimeMs {
    let modified = fs::metadata(anchor).and_then(|metadata| metadata.modified());
    modified.map_or(TimeMs(0), clock::of)
}

/// Reads a signing key: the 32 bytes of its seed in hex. Refused when others could have read it too.
///
/// # Errors
/// [`KeyFault`].
pub fn read_key(path: &Path) -> Result<SigningKey, KeyFault> {
    let file = |error| KeyFault::File { path: path.to_owned(), error };
    let metadata = fs::metadata(path).map_err(file)?;
    if metadata.mode() & 0o077 != 0 {
        return Err(KeyFault::Loose { path: path.to_owned() });
    }
    let text = fs::read_to_string(path).map_err(file)?;
    let seed = seed(text.trim_end()).ok_or_else(|| KeyFault::Form { path: path.to_owned() })?;
    Ok(SigningKey::from_seed(&seed))
}

/// Makes a signing key and writes it to a new file that only the owner can read.
///
/// # Errors
/// [`KeyFault::File`], also when the file is there already.
pub fn make_key(path: &Path) -> Result<SigningKey, KeyFault> {
    let file = |error| KeyFault::File { path: path.to_owned(), error };
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| file(io::Error::other(error)))?;
    let text: String = seed.iter().map(|byte| format!("{byte:02x}")).collect();
    write_private(path, format!("{text}\n").as_bytes()).map_err(file)?;
    Ok(SigningKey::from_seed(&seed))
}

/// Writes a new file that only the owner can read, and syncs it.
///
/// # Errors
/// The disk's; `AlreadyExists`.
pub fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    use io::Write as _;
    if let Some(folder) = path.parent() {
        private_folder(folder)?;
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Puts a file that only the owner can read in place of the one that is there, whole or not at all.
///
/// # Errors
/// The disk's.
pub fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let half = path.with_extension("tmp");
    match fs::remove_file(&half) {
        // Of a process that was killed.
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    write_private(&half, bytes)?;
    fs::rename(half, path)
}

/// Makes a folder that only the owner can enter, if it is not there.
///
/// # Errors
/// The disk's.
pub fn private_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))
}

fn seed(text: &str) -> Option<[u8; 32]> {
    let digits: &[u8; 64] = text.as_bytes().try_into().ok()?;
    let mut seed = [0; 32];
    for (byte, pair) in seed.iter_mut().zip(digits.chunks_exact(2)) {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| !pair.starts_with('+'))?;
        *byte = u8::from_str_radix(pair, 16).ok()?;
    }
    Some(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_read_as_it_was_made_and_only_when_it_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys").join("evidence.key");
        let made = make_key(&path).unwrap();
        assert_eq!(read_key(&path).unwrap().public(), made.public());
        assert!(matches!(make_key(&path), Err(KeyFault::File { .. })), "never overwritten");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(read_key(&path), Err(KeyFault::Loose { .. })));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        for text in ["", "00", &"+1".repeat(32), &"0".repeat(65), &"zz".repeat(32)] {
            fs::write(&path, text).unwrap();
            assert!(matches!(read_key(&path), Err(KeyFault::Form { .. })), "{text}");
        }
    }
}
