//! Both logs as they are published: checkpoint, tiles and proofs out of the folders, and the
//! cosignatures that witnesses have given. Not here: publishing (`tiles`).

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use proto::{
    Malformed,
    digest::Digest,
    log::{
        Unproven,
        checkpoint::Checkpoint,
        merkle,
        note::{SignatureLine, SignedNote},
        shard::{self, ShardNo, Shards},
        tile::{EntryBundle, TilePath, TileReader, WIDTH_MAX},
    },
};
use thiserror::Error;

use crate::{
    history::Log,
    tiles::files::{Files as _, Folder},
    writer::{LogKey, LogKeys},
};

/// How many published checkpoints are remembered with their cosignatures.
pub const COSIGNED_MAX: usize = 64;

/// Both published logs.
#[derive(Debug)]
pub struct Published {
    evidence: PublishedLog,
    directory: PublishedLog,
}

/// One published log.
#[derive(Debug)]
pub struct PublishedLog {
    folder: Folder,
    key: LogKey,
    cosigned: Mutex<BTreeMap<u64, SignedNote>>,
}

/// Why something published cannot be given.
#[derive(Debug, Error)]
pub enum NotGiven {
    /// There is no such thing, or not yet.
    #[error("not published")]
    Absent,
    /// The question is of no form that can be answered.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The sizes asked for are no sizes of this log.
    #[error(transparent)]
    Unproven(#[from] Unproven),
    /// The disk.
    #[error("the published folder cannot be read: {0:?}")]
    Disk(io::ErrorKind),
}

impl Published {
    /// The folders of both logs.
    ///
    /// # Errors
    /// The disk's.
    pub fn open(evidence: &Path, directory: &Path, keys: &LogKeys) -> io::Result<Self> {
        let log = |path, key: &LogKey| {
            let folder = Folder::open(path)?;
            io::Result::Ok(PublishedLog { folder, key: key.clone(), cosigned: Mutex::default() })
        };
        Ok(Self { evidence: log(evidence, &keys.evidence)?, directory: log(directory, &keys.directory)? })
    }

    /// One of them.
    #[must_use]
    pub const fn of(&self, log: Log) -> &PublishedLog {
        match log {
            Log::Evidence => &self.evidence,
            Log::Directory => &self.directory,
        }
    }
}

impl PublishedLog {
    /// The latest checkpoint as it was signed, with the cosignatures that it has by now.
    ///
    /// # Errors
    /// [`NotGiven::Absent`] before the first was published.
    pub fn note(&self) -> Result<(Checkpoint, SignedNote), NotGiven> {
        let bytes = self.read("checkpoint")?;
        let text = String::from_utf8(bytes).map_err(|_| NotGiven::Absent)?;
        let note = SignedNote::parse(&text)?;
        let (_, checkpoint) = self.check(&note)?;
        let mut cosigned = self.lock();
        let known = cosigned.entry(checkpoint.size).or_insert(note);
        let note = known.clone();
        while cosigned.len() > COSIGNED_MAX {
            cosigned.pop_first();
        }
        Ok((checkpoint, note))
    }

    /// Verifies a checkpoint that somebody shows: whether this log signed it, and in which of its shards.
    ///
    /// # Errors
    /// [`NotGiven::Unproven`] when it did not.
    pub fn check(&self, note: &SignedNote) -> Result<(ShardNo, Checkpoint), NotGiven> {
        Ok(shard::open(note, self.key.verifier())?)
    }

    /// The log's shards.
    #[must_use]
    pub fn shards(&self) -> Arc<Shards> {
        self.key.shards()
    }

    /// Keeps a cosignature that was verified, if its checkpoint is still remembered.
    pub fn cosigned(&self, checkpoint: &Checkpoint, line: SignatureLine) {
        let mut cosigned = self.lock();
        if let Some(note) = cosigned.get_mut(&checkpoint.size)
            && note.text() == checkpoint.to_string()
            && !note.lines().iter().any(|held| held.id() == line.id() && held.name() == line.name())
            && let Ok(more) = note.clone().with(line)
        {
            *note = more;
        }
    }

    /// The largest remembered size that witnesses have cosigned, and how many of them.
    #[must_use]
    pub fn witnessed(&self) -> Option<(u64, usize)> {
        let cosigned = self.lock();
        // The first line is the log's own.
        let mut witnesses = cosigned.iter().map(|(size, note)| (*size, note.lines().len().saturating_sub(1)));
        witnesses.rfind(|(_, count)| *count > 0)
    }

    /// The root of the tree of a size that is published.
    ///
    /// # Errors
    /// [`NotGiven`].
    pub fn root(&self, size: u64) -> Result<Digest, NotGiven> {
        Ok(merkle::root(size, &self.reader(size)?)?)
    }

    /// A tile or entry bundle.
    ///
    /// # Errors
    /// [`NotGiven`].
    pub fn tile(&self, path: &str) -> Result<Vec<u8>, NotGiven> {
        // Parsed and written again, so that no path leads out of the folder.
        let path = match TilePath::parse(path)? {
            TilePath::Hashes(tile) => tile.to_string(),
            TilePath::Entries(bundle) => bundle.to_string(),
        };
        self.read(&path)
    }

    /// The hashes that prove a later tree to contain an earlier one.
    ///
    /// # Errors
    /// [`NotGiven`].
    pub fn consistency(&self, old_size: u64, new_size: u64) -> Result<Vec<u8>, NotGiven> {
        let path = merkle::consistency_proof(old_size, new_size, &self.reader(new_size)?)?;
        Ok(path.iter().flat_map(|hash| *hash.as_bytes()).collect())
    }

    /// The hashes that prove a leaf to be in a tree.
    ///
    /// # Errors
    /// [`NotGiven`].
    pub fn inclusion(&self, index: u64, size: u64) -> Result<Vec<u8>, NotGiven> {
        let path = merkle::inclusion_proof(index, size, &self.reader(size)?)?;
        Ok(path.iter().flat_map(|hash| *hash.as_bytes()).collect())
    }

    /// The entries of a published log from a number on, of one bundle.
    ///
    /// # Errors
    /// [`NotGiven`].
    pub fn entries(&self, from: u64) -> Result<Vec<Vec<u8>>, NotGiven> {
        let (checkpoint, _) = self.note()?;
        let index = from / u64::from(WIDTH_MAX);
        let first = index.saturating_mul(u64::from(WIDTH_MAX));
        let width = checkpoint.size.saturating_sub(first).min(u64::from(WIDTH_MAX));
        if from >= checkpoint.size || width == 0 {
            return Ok(Vec::new());
        }
        let bundle = EntryBundle::new(index, u16::try_from(width).unwrap_or(WIDTH_MAX))?;
        let bytes = self.read(&bundle.to_string())?;
        let skip = usize::try_from(from.saturating_sub(first)).unwrap_or(usize::MAX);
        Ok(bundle.decode(&bytes)?.into_iter().skip(skip).map(<[u8]>::to_vec).collect())
    }

    /// Hashes of the tree of a size that is published. The checkpoint's own partial tiles are read
    /// for every size below it, which they contain.
    fn reader(&self, size: u64) -> Result<impl merkle::HashReader + '_, NotGiven> {
        let (checkpoint, _) = self.note()?;
        if size > checkpoint.size {
            return Err(NotGiven::Absent);
        }
        Ok(TileReader::new(size, move |tile| {
            let nodes = checkpoint.size.checked_shr(u32::from(tile.level()).saturating_mul(8)).unwrap_or(0);
            let before = tile.index().saturating_mul(u64::from(WIDTH_MAX));
            let width = nodes.saturating_sub(before).min(u64::from(WIDTH_MAX));
            let width = u16::try_from(width).unwrap_or(WIDTH_MAX);
            let widest = proto::log::tile::HashTile::new(tile.level(), tile.index(), width).ok()?;
            self.read(&widest.to_string()).ok()
        }))
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, NotGiven> {
        let read = self.folder.read(path).map_err(|error| NotGiven::Disk(error.kind()))?;
        read.ok_or(NotGiven::Absent)
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, SignedNote>> {
        self.cosigned.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
