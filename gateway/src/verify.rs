//! Checking everything again from the journal's first byte: signatures, ciphertexts, evidence chains,
//! both logs, their checkpoints and tiles. One oracle for operators and for every test. Not here:
//! receipts that others hold; they check those themselves.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    io,
};

use journal::{Blob, Position, ReadError, Reader};
use proto::{
    Malformed,
    batch::{Batch, Entry, LoggedCheckpoint},
    command::Command,
    digest::Digest,
    evidence::{Event, Record},
    fact::Fact,
    heads,
    ids::Locator,
    log::{
        Unproven,
        checkpoint::{Checkpoint, Origin},
        merkle::{Frontier, Growth, leaf_hash, verify_inclusion},
        note::{SignedNote, VerifierKey},
        shard::{self, ShardNo},
    },
    state::{Cause, State},
};
use thiserror::Error;

use crate::{
    history::{self, Log, leaves},
    tiles::{Tiles, files::Files},
    writer::LogKeys,
};

/// What both logs are checked with.
#[derive(Debug, Clone)]
pub struct Verifiers {
    /// The evidence log's name and key.
    pub evidence: (Origin, VerifierKey),
    /// The directory log's name and key.
    pub directory: (Origin, VerifierKey),
}

impl From<&LogKeys> for Verifiers {
    fn from(keys: &LogKeys) -> Self {
        let of = |key: &crate::writer::LogKey| (key.origin().clone(), key.verifier().clone());
        Self { evidence: of(&keys.evidence), directory: of(&keys.directory) }
    }
}

/// What was checked, and is right.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Verified {
    /// Batches.
    pub batches: u64,
    /// Commands.
    pub entries: u64,
    /// Leaves of the evidence log.
    pub evidence: u64,
    /// Leaves of the directory log.
    pub directory: u64,
    /// Ciphertexts that are still there.
    pub ciphertexts: u64,
    /// Published files that were compared.
    pub files: u64,
}

/// The first thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("batch {batch}{}, position {position}: {what}", entry.map_or_else(String::new, |entry| format!(", entry {entry}")))]
pub struct Wrong {
    /// The batch's number.
    pub batch: u64,
    /// Where it begins in the journal.
    pub position: Position,
    /// The entry, when it is one's fault.
    pub entry: Option<u32>,
    /// What is wrong.
    pub what: What,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum What {
    /// The journal does not give the batch.
    #[error("cannot be read: {0}")]
    Unread(ReadError),
    /// Its bytes are not understood.
    #[error("not understood: {0}")]
    NotUnderstood(Malformed),
    /// Its time is before the one before it.
    #[error("its time is before that of the batch before it")]
    Time,
    /// The checkpoint that it names is not that of the records before it, or is not signed.
    #[error("the checkpoint that it names is not that of the records before it ({0:?} log)")]
    Checkpoint(Log),
    /// A signature does not verify.
    #[error("a signature does not verify: {0}")]
    Signature(Malformed),
    /// A ciphertext was erased, and no record says that it was to be.
    #[error(
        "a ciphertext was erased, and the record that its tombstone names does not say that it was to be"
    )]
    Tombstone,
    /// A ciphertext is not the one that the header names.
    #[error("a ciphertext is not the one that its header names")]
    Ciphertext,
    /// A record is not where it says, or its chains are broken.
    #[error("a record is not where it says, or does not follow its party's or referral's last one")]
    Place,
    /// The heads of all agencies' own chains are not those that a record commits to.
    #[error("a record commits to other heads than those of the agencies' own records")]
    Heads,
    /// A record cannot be proven under its own batch's root.
    #[error("a record is not proven: {0}")]
    Proof(Unproven),
    /// A published file is not what follows from the journal.
    #[error("the published file {path} is not what follows from the journal")]
    File {
        /// Its path in the log's folder.
        path: String,
    },
    /// A published checkpoint is of another log, of no moment of this one, or not signed.
    #[error("the published checkpoint is of no moment of this log ({0:?} log)")]
    Published(Log),
}

/// The published folders of both logs.
#[derive(Debug)]
pub struct Folders<'a, F> {
    /// The evidence log's.
    pub evidence: &'a F,
    /// The directory log's.
    pub directory: &'a F,
}

/// Checks a journal from its beginning, and the published folders when they are given. `progress`
/// hears the number of batches done.
///
/// # Errors
/// [`Wrong`]: the first thing that is.
pub fn verify<F: Files>(
    reader: &Reader,
    verifiers: &Verifiers,
    folders: Option<&Folders<'_, F>>,
    mut progress: impl FnMut(u64),
) -> Result<Verified, Wrong> {
    let mut check = Check::new(verifiers, folders);
    for read in reader.iter_from(journal::Mark::START) {
        check.batch(read)?;
        progress(check.verified.batches);
    }
    check.end()
}

struct Check<'a, F> {
    state: State,
    verifiers: &'a Verifiers,
    published: [Option<Published<'a, F>>; 2],
    verified: Verified,
    /// Envelopes of which something was erased, by the record that must say so, and where they stand.
    tombstones: BTreeMap<(u64, Digest), (u64, Position, u32)>,
    /// Where we are.
    batch: u64,
    position: Position,
    entry: Option<u32>,
}

impl<'a, F: Files> Check<'a, F> {
    fn new(verifiers: &'a Verifiers, folders: Option<&Folders<'a, F>>) -> Self {
        let published = match folders {
            None => [None, None],
            Some(folders) => [
                Some(Published::new(folders.evidence, Log::Evidence, &verifiers.evidence.1)),
                Some(Published::new(folders.directory, Log::Directory, &verifiers.directory.1)),
            ],
        };
        Self {
            state: State::default(),
            verifiers,
            published,
            verified: Verified::default(),
            tombstones: BTreeMap::new(),
            batch: 0,
            position: journal::Mark::START.position,
            entry: None,
        }
    }

    fn wrong(&self, what: What) -> Wrong {
        Wrong { batch: self.batch, position: self.position, entry: self.entry, what }
    }

    fn batch(&mut self, read: Result<journal::Batch, ReadError>) -> Result<(), Wrong> {
        let read = read.map_err(|error| self.wrong(What::Unread(error)))?;
        (self.batch, self.position, self.entry) = (read.mark().batch_no.get(), read.mark().position, None);
        let batch =
            Batch::parse(read.meta()).map_err(|malformed| self.wrong(What::NotUnderstood(malformed)))?;
        if batch.now < self.state.now() {
            return Err(self.wrong(What::Time));
        }
        self.checkpoints(&batch)?;
        self.state.begin_batch(batch.now);
        let mut blobs = read.blobs();
        for (place, entry) in (0_u32..).zip(&batch.entries) {
            self.entry = Some(place);
            self.ciphertexts(entry, &mut blobs)?;
            self.entry(entry, Locator { batch: self.batch, entry: place })?;
        }
        self.entry = None;
        if blobs.next().is_some() {
            return Err(self.wrong(What::Ciphertext));
        }
        let growth = self.state.end_batch();
        self.proofs(&batch, &growth.evidence)?;
        self.files(&batch)?;
        self.verified.batches += 1;
        Ok(())
    }

    /// What the batch says of the logs before it is what they are, and is signed.
    fn checkpoints(&self, batch: &Batch) -> Result<(), Wrong> {
        let (evidence, directory) = (&self.verifiers.evidence, &self.verifiers.directory);
        let logs = [
            (Log::Evidence, &batch.evidence, self.state.evidence().frontier(), evidence),
            (Log::Directory, &batch.directory, self.state.directory_log().frontier(), directory),
        ];
        let known = self.state.directory();
        for (log, logged, frontier, verifier) in logs {
            let shards = match log {
                Log::Evidence => known.evidence_shards(),
                Log::Directory => known.directory_shards(),
            };
            if !follows(logged.as_ref(), frontier, verifier, shards.of_size(frontier.size())) {
                return Err(self.wrong(What::Checkpoint(log)));
            }
        }
        Ok(())
    }

    fn ciphertexts<'b>(
        &mut self,
        entry: &Entry,
        blobs: &mut impl Iterator<Item = Blob<'b>>,
    ) -> Result<(), Wrong> {
        let header = entry.command.header();
        let mut parts = header.into_iter().flat_map(|header| header.inline_parts());
        for _ in 0..entry.blobs {
            let right = match (parts.next(), blobs.next()) {
                (Some(part), Some(Blob::Present(bytes))) => {
                    self.verified.ciphertexts += 1;
                    Digest::of(bytes) == part.sha256
                }
                (Some(part), Some(Blob::Erased { bytes, by })) => {
                    if let (Some(signed), Some(place)) = (entry.command.signed(), self.entry) {
                        self.tombstones.insert((by, signed.digest()), (self.batch, self.position, place));
                    }
                    bytes == part.length_bytes
                }
                (_, None) | (None, Some(_)) => false,
            };
            if !right {
                return Err(self.wrong(What::Ciphertext));
            }
        }
        let accepted = entry
            .facts
            .iter()
            .filter_map(Fact::record)
            .next()
            .is_some_and(|record| record.what.event == Event::SubmissionAcceptance);
        // An accepted envelope has all its ciphertexts; a refused one has none.
        let missing = parts.next().is_some();
        if (accepted && missing) || (!accepted && entry.blobs > 0) {
            return Err(self.wrong(What::Ciphertext));
        }
        Ok(())
    }

    fn entry(&mut self, entry: &Entry, at: Locator) -> Result<(), Wrong> {
        if let Some(signed) = entry.command.signed() {
            Command::verify(signed.object().clone(), self.state.directory())
                .map_err(|malformed| self.wrong(What::Signature(malformed)))?;
        }
        if let Some((key, referral)) = entry.reopened.as_deref() {
            self.state.referral_loaded(key.clone(), Some(referral.clone()));
        }
        for fact in &entry.facts {
            if let Fact::Evidence(record) = fact {
                self.place(record)?;
                if let (Event::Erased, Some(envelope)) = (record.what.event, record.what.envelope) {
                    self.tombstones.remove(&(record.place.index, envelope));
                }
                self.verified.evidence += 1;
            } else {
                self.verified.directory += 1;
            }
            self.state.apply(fact, Cause { command: &entry.command, at });
        }
        self.verified.entries += 1;
        Ok(())
    }

    fn place(&self, record: &Record) -> Result<(), Wrong> {
        if self.state.place(&record.what) != record.place {
            return Err(self.wrong(What::Place));
        }
        let says = record.what.object.filter(|_| record.what.event == Event::HeadsCommitted);
        match says {
            Some(root) if root != heads::root(self.state.heads()) => Err(self.wrong(What::Heads)),
            Some(_) | None => Ok(()),
        }
    }

    fn proofs(&self, batch: &Batch, growth: &Growth) -> Result<(), Wrong> {
        let records = batch.entries.iter().flat_map(|entry| &entry.facts).filter_map(Fact::record);
        for record in records {
            let index = record.place.index;
            let leaf = leaf_hash(&record.commitment().leaf());
            let proven = growth
                .inclusion_proof(index)
                .and_then(|path| verify_inclusion(index, growth.size(), leaf, &path, growth.root()));
            proven.map_err(|unproven| self.wrong(What::Proof(unproven)))?;
        }
        Ok(())
    }

    fn files(&mut self, batch: &Batch) -> Result<(), Wrong> {
        let known = self.state.directory();
        let (evidence, directory) = (self.state.evidence().size(), self.state.directory_log().size());
        let reached = [
            (evidence, known.evidence_shards().of_size(evidence)),
            (directory, known.directory_shards().of_size(directory)),
        ];
        for (published, (size, shard)) in self.published.iter_mut().flatten().zip(reached) {
            if let Err(what) = published.follow(batch, size, shard) {
                let (batch, position) = (self.batch, self.position);
                return Err(Wrong { batch, position, entry: None, what });
            }
        }
        Ok(())
    }

    fn end(mut self) -> Result<Verified, Wrong> {
        for published in self.published.iter().flatten() {
            published.end().map_err(|what| self.wrong(what))?;
        }
        if let Some((batch, position, entry)) = self.tombstones.values().next().copied() {
            return Err(Wrong { batch, position, entry: Some(entry), what: What::Tombstone });
        }
        let files = self.published.iter().flatten().map(Published::compared).sum();
        self.verified.files = files;
        Ok(self.verified)
    }
}

/// Whether a logged checkpoint is that of a log as it stands, signed by its key under the name of the shard
/// that reaches it.
fn follows(
    logged: Option<&LoggedCheckpoint>,
    frontier: &Frontier,
    verifier: &(Origin, VerifierKey),
    shard: ShardNo,
) -> bool {
    let Some(logged) = logged else {
        return frontier.size() == 0;
    };
    let Ok(origin) = verifier.0.shard(shard) else {
        return false;
    };
    let text = logged.of(&origin).to_string();
    logged.size == frontier.size()
        && logged.root == frontier.root()
        && verifier.1.public_key().verifies(text.as_bytes(), &logged.sig)
}

/// A checkpoint, and the shard in which it is signed; or why it is none.
type Opened = Result<(ShardNo, Checkpoint), Unproven>;

/// A published folder, compared with the tiles that follow from the journal.
struct Published<'a, F> {
    log: Log,
    tiles: Tiles<Compare<'a, F>>,
    /// What it publishes; nothing when there is no checkpoint.
    checkpoint: Option<(Opened, SignedNote)>,
    reached: bool,
}

impl<'a, F: Files> Published<'a, F> {
    fn new(files: &'a F, log: Log, verifier: &VerifierKey) -> Self {
        let compare = Compare { files, compared: RefCell::default(), differs: RefCell::default() };
        let bytes = files.read("checkpoint").ok().flatten();
        let text = bytes.map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        let note = text.and_then(|text| SignedNote::parse(&text).ok());
        let checkpoint = note.map(|note| (shard::open(&note, verifier), note));
        Self { log, tiles: Tiles::empty(compare, log), checkpoint, reached: false }
    }

    fn follow(&mut self, batch: &Batch, size: u64, shard: ShardNo) -> Result<(), What> {
        let Some((checkpoint, note)) = &self.checkpoint else {
            return Ok(());
        };
        let (signed_in, checkpoint) = checkpoint.as_ref().map_err(|_| What::Published(self.log))?;
        if self.reached {
            return Ok(());
        }
        self.tiles.follow(history::size_before(batch, self.log), leaves(batch, self.log));
        let written = if size == checkpoint.size {
            self.reached = true;
            let root = proto::log::merkle::root(size, &self.tiles.reader(size));
            if root != Ok(checkpoint.root) || *signed_in != shard {
                return Err(What::Published(self.log));
            }
            self.tiles.publish(note)
        } else {
            self.tiles.write()
        };
        let differs = self.tiles.files().differs.borrow_mut().take();
        match (written, differs) {
            (Ok(()), None) => Ok(()),
            (_, differs) => Err(What::File { path: differs.unwrap_or_default() }),
        }
    }

    /// Whether the checkpoint was met on the way.
    fn end(&self) -> Result<(), What> {
        match &self.checkpoint {
            Some(_) if !self.reached => Err(What::Published(self.log)),
            Some(_) | None => Ok(()),
        }
    }

    fn compared(&self) -> u64 {
        u64::try_from(self.tiles.files().compared.borrow().len()).unwrap_or(u64::MAX)
    }
}

/// A folder that is compared instead of written.
#[derive(Debug)]
struct Compare<'a, F> {
    files: &'a F,
    compared: RefCell<BTreeSet<String>>,
    differs: RefCell<Option<String>>,
}

impl<F: Files> Files for Compare<'_, F> {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        self.files.read(path)
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        if self.files.read(path)?.as_deref() != Some(bytes) {
            self.differs.borrow_mut().get_or_insert_with(|| path.to_owned());
        }
        self.compared.borrow_mut().insert(path.to_owned());
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        Ok(())
    }
}
