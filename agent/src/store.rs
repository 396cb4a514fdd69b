//! The store: one journal of encrypted records, the only truth of what this agency sent, got and
//! knows. One thread writes; what waits together is written and synced together. Not here: what the
//! records mean (`state`).

mod cipher;
mod snapshot;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    path::Path,
    sync::{Arc, RwLock},
    thread,
};

use cipher::Cipher;
use journal::{
    Batch, Blob, Closed, Config, EraseError, Eraser, FileJournal, Journal, LogId, Mark, OpenError, Position,
    Prepare, ReadError, Reader, Recovered, Room, SegmentBytes, Volume,
};
use prost::Message as _;
use thiserror::Error;
use tokio::sync::{mpsc, oneshot, watch};
use zeroize::Zeroizing;

use crate::{
    keys::StoreKey,
    randomness,
    records::{Frame, Kept, Record},
};

/// The version of the records.
pub const VERSION: u32 = 1;
/// Size of the journal's segments: 8 MiB, so that a batch may have 7 MiB.
pub const SEGMENT_BYTES: u64 = 8 * 1024 * 1024;
/// Below so much free space only what must go on is written.
pub const RESERVE_BYTES: u64 = 64 * 1024 * 1024;
/// Most that one writer hands in at once, in bytes.
pub const WRITE_BYTES_MAX: u64 = 4 * 1024 * 1024;
/// Most records that one writer hands in at once.
pub const WRITE_RECORDS_MAX: usize = 4_096;
/// What a group of writes is filled up to, in bytes.
const GROUP_BYTES: u64 = 4 * 1024 * 1024;
/// Most writes that wait.
const QUEUE_MAX: usize = 1_024;
/// The anchor is renewed after so many batches.
const ANCHOR_BATCHES: u64 = 64;
/// A snapshot is written after so many records: a start replays no more of them than twice that.
pub const SNAPSHOT_RECORDS: usize = 4_096;

/// Why the store cannot be opened, or does not answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreFault {
    /// Another agent runs on it.
    #[error("the store is open in another agent; two must never run on one folder")]
    InUse,
    /// The journal refused to open.
    #[error("the store cannot be opened: {0}; restore it from a backup")]
    Open(OpenError),
    /// A record is damaged.
    #[error("the store is damaged at position {0}; restore it from a backup")]
    Damaged(u64),
    /// The key does not open it, or a record was changed.
    #[error("the store was written with another key, or was changed; restore keys/store.key")]
    NotOurs,
    /// A record of a later version.
    #[error("the store was written by a later version of the agent; install that one")]
    LaterVersion,
    /// The disk is full: sending waits, answers and receipts still go on.
    #[error("the disk is nearly full; make room, then try again")]
    Full,
    /// More than one write may hold.
    #[error("more than {WRITE_BYTES_MAX} bytes in one write")]
    TooLarge,
    /// A write failed. Nothing is written any more: the agent must be started again.
    #[error("writing the store failed; the agent must be started again")]
    Ended,
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    Randomness,
    /// Reading failed.
    #[error("reading the store failed: {0}")]
    Read(ReadError),
    /// Erasing failed. What was to be erased is whole, or erased.
    #[error("erasing from the store failed: {0}")]
    Erase(EraseError),
}

/// Where a record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place {
    position: u64,
    slot: u32,
}

impl Place {
    /// Behind every other.
    pub const LAST: Self = Self { position: u64::MAX, slot: u32::MAX };

    #[cfg(test)]
    pub(crate) const fn at(position: u64) -> Self {
        Self { position, slot: 0 }
    }
}

/// What is written: a record and the body that belongs to it.
#[derive(Clone, PartialEq)]
pub struct Entry {
    /// Its head, kept for ever.
    pub record: Record,
    /// What may be erased one day.
    pub body: Option<Vec<u8>>,
}

impl Entry {
    /// A record without a body.
    #[must_use]
    pub const fn new(record: Record) -> Self {
        Self { record, body: None }
    }

    fn bytes(&self) -> u64 {
        let bodies = self.body.as_ref().map_or(0, Vec::len);
        u64::try_from(self.record.encoded_len() + bodies + 2 * cipher::OVERHEAD_BYTES).unwrap_or(u64::MAX)
    }
}

/// Whether a write may still be done when space is kept for what must go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// Something new.
    Ordinary,
    /// Answers, receipts, the directory, alarms.
    Reserved,
}

/// What follows the records, in their order, each once it is durable.
pub trait Fold: Send + Sync + 'static {
    /// Takes a record. It was written, so it cannot be refused.
    fn apply(&mut self, place: Place, record: &Record);

    /// Whether a start still needs a record. Without the others it must make the same.
    fn keeps(&self, _record: &Record) -> bool {
        true
    }
}

/// The store. Cheap to clone.
pub struct Store<F> {
    writes: mpsc::Sender<Write>,
    reader: Reader,
    eraser: Eraser,
    cipher: Arc<Cipher>,
    folded: Arc<RwLock<F>>,
    changed: watch::Receiver<u64>,
}

impl<F> Clone for Store<F> {
    fn clone(&self) -> Self {
        Self {
            writes: self.writes.clone(),
            reader: self.reader.clone(),
            eraser: self.eraser.clone(),
            cipher: Arc::clone(&self.cipher),
            folded: Arc::clone(&self.folded),
            changed: self.changed.clone(),
        }
    }
}

struct Write {
    entries: Vec<Entry>,
    claim: Claim,
    /// Begins a new segment, so that what was written before can be erased.
    apart: bool,
    answer: oneshot::Sender<Result<Vec<Place>, StoreFault>>,
}

/// Makes an empty store in a folder.
///
/// # Errors
/// [`StoreFault`].
pub fn create(folder: &Path) -> Result<(), StoreFault> {
    let volume = volume(folder)?;
    let log_id = LogId::new(randomness::bytes().map_err(|_| StoreFault::Randomness)?);
    let segment_bytes = SegmentBytes::new(SEGMENT_BYTES).unwrap_or(SegmentBytes::DEFAULT);
    FileJournal::create(&volume, &log_id, segment_bytes).map_err(opening)
}

impl<F: Fold> Store<F> {
    /// Opens the store of a folder and folds everything that it holds.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn open(folder: &Path, key: &StoreKey, folded: F) -> Result<Self, StoreFault> {
        let volume = volume(folder)?;
        let config = Config { ready_segments: 1, reserve_bytes: RESERVE_BYTES, prepare: Prepare::Background };
        Self::open_in(&volume, config, key, folded)
    }

    pub(crate) fn open_in(
        volume: &Volume,
        config: Config,
        key: &StoreKey,
        mut folded: F,
    ) -> Result<Self, StoreFault> {
        let cipher = Arc::new(Cipher::new(key));
        let (journal, recovered, snapshot) = recover(volume, config, &cipher)?;
        if let Some(damaged) = recovered.damage_to_replay().next() {
            return Err(StoreFault::Damaged(damaged.position.get()));
        }
        let (reader, eraser) = (journal.reader(), journal.eraser());
        let mut since_snapshot = 0;
        for kept in snapshot.iter().flat_map(|(_, kept)| kept) {
            let record = kept.record.as_ref().ok_or(StoreFault::LaterVersion)?;
            folded.apply(Place { position: kept.position, slot: kept.slot }, record);
        }
        for batch in reader.iter_from(snapshot.map_or(Mark::START, |(mark, _)| mark)) {
            since_snapshot += replay(&batch.map_err(StoreFault::Read)?, &cipher, &mut folded)?;
        }
        let folded = Arc::new(RwLock::new(folded));
        let (writes, queue) = mpsc::channel(QUEUE_MAX);
        let (change, changed) = watch::channel(0);
        let mut writer = Writer {
            journal,
            cipher: Arc::clone(&cipher),
            folded: Arc::clone(&folded),
            change,
            since_anchor: 0,
            since_snapshot,
        };
        writer.snapshot_when_due();
        let spawned = thread::Builder::new().name("store".to_owned()).spawn(move || writer.run(queue));
        spawned.map_err(|_| StoreFault::Ended)?;
        Ok(Self { writes, reader, eraser, cipher, folded, changed })
    }

    /// Writes records, all or none of them, and answers when they are durable and folded.
    ///
    /// # Errors
    /// [`StoreFault::Full`] and [`StoreFault::TooLarge`] are of this write only;
    /// [`StoreFault::Ended`] is for good, and nothing is known of the write.
    pub async fn append(&self, entries: Vec<Entry>, claim: Claim) -> Result<Vec<Place>, StoreFault> {
        self.hand_in(entries, claim, false).await
    }

    /// As [`Self::append`], in a segment that is begun with it: all that stands before can be erased from
    /// then on.
    ///
    /// # Errors
    /// As [`Self::append`].
    pub async fn append_apart(&self, entries: Vec<Entry>, claim: Claim) -> Result<Vec<Place>, StoreFault> {
        self.hand_in(entries, claim, true).await
    }

    async fn hand_in(
        &self,
        entries: Vec<Entry>,
        claim: Claim,
        apart: bool,
    ) -> Result<Vec<Place>, StoreFault> {
        let bytes = entries.iter().fold(0, |sum: u64, entry| sum.saturating_add(entry.bytes()));
        if bytes > WRITE_BYTES_MAX || entries.len() > WRITE_RECORDS_MAX {
            return Err(StoreFault::TooLarge);
        }
        let (answer, answered) = oneshot::channel();
        self.writes.send(Write { entries, claim, apart, answer }).await.map_err(|_| StoreFault::Ended)?;
        answered.await.map_err(|_| StoreFault::Ended)?
    }

    /// Reads the body of a record again.
    ///
    /// # Errors
    /// [`StoreFault`]; a body that was erased is none.
    pub fn body(&self, place: Place) -> Result<Option<Zeroizing<Vec<u8>>>, StoreFault> {
        let batch = self.reader.read(Position::new(place.position)).map_err(StoreFault::Read)?;
        let slots = Slots::parse(&batch)?;
        let Some((_, Some(index))) = slots.0.get(usize_of(place.slot)) else {
            return Ok(None);
        };
        self.cipher.open(&batch, *index, place.slot, cipher::Kind::Body)
    }

    /// Erases the bodies of records from the files, for the record that says so. The heads stay. Gives
    /// whether none is left: false when one stands in a segment that is still written to. Asked again, it
    /// goes on where it was interrupted.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn erase(&self, places: &[Place], by: Place) -> Result<bool, StoreFault> {
        let mut segments: BTreeMap<_, BTreeSet<(Position, usize)>> = BTreeMap::new();
        for place in places {
            let position = Position::new(place.position);
            let batch = self.reader.read(position).map_err(StoreFault::Read)?;
            let body = Slots::parse(&batch)?.0.get(usize_of(place.slot)).and_then(|(_, body)| *body);
            let is_there = |body: &usize| matches!(batch.blob(*body), Some(Blob::Present(_)));
            if let Some(body) = body.filter(is_there) {
                let segment = self.eraser.segment_bytes().segment_of(position);
                segments.entry(segment).or_default().insert((position, body));
            }
        }
        for (segment, bodies) in segments {
            let is_meant = |position, blob| bodies.contains(&(position, blob)).then_some(by.position);
            match self.eraser.rewrite_segment(segment, |_, position, blob| is_meant(position, blob)) {
                Ok(_) => {}
                Err(EraseError::NotSealed { .. }) => return Ok(false),
                Err(error) => return Err(StoreFault::Erase(error)),
            }
        }
        Ok(true)
    }

    /// Reads a record again.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn record(&self, place: Place) -> Result<Record, StoreFault> {
        let batch = self.reader.read(Position::new(place.position)).map_err(StoreFault::Read)?;
        let damaged = StoreFault::Damaged(place.position);
        let slots = Slots::parse(&batch)?;
        let (head, _) = slots.0.get(usize_of(place.slot)).ok_or(damaged.clone())?;
        let head = self.cipher.open(&batch, *head, place.slot, cipher::Kind::Head)?.ok_or(damaged.clone())?;
        Record::decode(head.as_slice()).map_err(|_| damaged)
    }

    /// The body of a record as it lies in the files.
    #[cfg(test)]
    pub(crate) fn sealed_body(&self, place: Place) -> Option<Vec<u8>> {
        let batch = self.reader.read(Position::new(place.position)).unwrap();
        let (_, body) = Slots::parse(&batch).unwrap().0[usize_of(place.slot)];
        match batch.blob(body?)? {
            Blob::Present(sealed) => Some(sealed.to_vec()),
            Blob::Erased { .. } => None,
        }
    }

    /// Looks at what the records make.
    pub fn read<T>(&self, look: impl FnOnce(&F) -> T) -> T {
        // A fold that panicked has left what it folded half done, and its thread has ended: what is
        // durable is still shown.
        let folded = self.folded.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        look(&folded)
    }

    /// Tells of every change of what the records make. It ends when the store does.
    #[must_use]
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changed.clone()
    }
}

struct Writer<F> {
    journal: FileJournal,
    cipher: Arc<Cipher>,
    folded: Arc<RwLock<F>>,
    change: watch::Sender<u64>,
    since_anchor: u64,
    since_snapshot: usize,
}

impl<F: Fold> Writer<F> {
    /// Ends when nobody can write any more, or when a write fails: then nothing is known of it, and
    /// only a restart can tell.
    fn run(mut self, mut queue: mpsc::Receiver<Write>) {
        let mut next = None;
        while let Some(first) = next.take().or_else(|| queue.blocking_recv()) {
            let mut group = Group::new(first);
            while group.bytes < GROUP_BYTES {
                let Ok(more) = queue.try_recv() else {
                    break;
                };
                if let Some(too_much) = group.add(more) {
                    next = Some(too_much);
                    break;
                }
            }
            if let Err(fault) = self.commit(group) {
                tracing::error!(%fault, "the store has ended");
                return;
            }
        }
        self.anchor();
    }

    /// One write, one sync; then what it means; then the answers.
    fn commit(&mut self, group: Group) -> Result<(), journal::Fault> {
        if group.writes.iter().any(|write| write.apart) {
            self.journal.roll();
        }
        let room = self.journal.room();
        let mut writes = group.writes;
        let mut bytes = 0;
        let refused = extract(&mut writes, |write| {
            bytes += write.bytes();
            !fits(room, write.claim, bytes)
        });
        for write in refused {
            answer(write.answer, Err(StoreFault::Full));
        }
        let Some(sealed) = self.seal(&writes) else {
            for write in writes {
                answer(write.answer, Err(StoreFault::Randomness));
            }
            return Ok(());
        };
        if writes.is_empty() {
            return Ok(());
        }
        let blobs: Vec<&[u8]> = sealed.blobs.iter().map(Vec::as_slice).collect();
        // THE COMMIT POINT.
        let appended = self.journal.append(&sealed.meta, &blobs)?;
        self.since_snapshot += writes.iter().map(|write| write.entries.len()).sum::<usize>();
        self.publish(appended.mark, writes);
        self.since_anchor += 1;
        if self.since_anchor >= ANCHOR_BATCHES {
            self.anchor();
        }
        self.snapshot_when_due();
        Ok(())
    }

    /// A snapshot that cannot be written costs time at the next start, no record.
    fn snapshot_when_due(&mut self) {
        if self.since_snapshot < SNAPSHOT_RECORDS {
            return;
        }
        self.since_snapshot = 0;
        let folded = self.folded.read().unwrap_or_else(std::sync::PoisonError::into_inner);
        match snapshot::write(&self.journal, &self.cipher, &*folded) {
            Ok(records) => tracing::debug!(records, "a snapshot of the store was written"),
            Err(fault) => tracing::warn!(%fault, "no snapshot of the store could be written"),
        }
    }

    fn seal(&self, writes: &[Write]) -> Option<Sealed> {
        let batch = self.journal.end().batch_no.get();
        let entries = writes.iter().flat_map(|write| &write.entries);
        let mut sealed = Sealed { meta: Vec::new(), blobs: Vec::new() };
        let mut frame = Frame { version: VERSION, has_body: Vec::new() };
        for (slot, entry) in (0..).zip(entries) {
            let head = Zeroizing::new(entry.record.encode_to_vec());
            sealed.blobs.push(self.cipher.seal(&head, batch, slot, cipher::Kind::Head).ok()?);
            if let Some(body) = &entry.body {
                sealed.blobs.push(self.cipher.seal(body, batch, slot, cipher::Kind::Body).ok()?);
            }
            frame.has_body.push(entry.body.is_some());
        }
        sealed.meta = frame.encode_to_vec();
        Some(sealed)
    }

    fn publish(&self, mark: Mark, writes: Vec<Write>) {
        let mut slots = 0..;
        let mut answers = Vec::with_capacity(writes.len());
        let mut folded = self.folded.write().unwrap_or_else(std::sync::PoisonError::into_inner);
        for write in writes {
            let mut places = Vec::with_capacity(write.entries.len());
            for (entry, slot) in write.entries.iter().zip(&mut slots) {
                let place = Place { position: mark.position.get(), slot };
                folded.apply(place, &entry.record);
                places.push(place);
            }
            answers.push((write.answer, places));
        }
        drop(folded);
        self.change.send_modify(|count| *count = count.wrapping_add(1));
        for (sender, places) in answers {
            answer(sender, Ok(places));
        }
    }

    /// An anchor that cannot be written costs the proof that nothing was cut, no record.
    fn anchor(&mut self) {
        self.since_anchor = 0;
        if let Err(fault) = self.journal.anchor().write(self.journal.end(), &[]) {
            tracing::warn!(%fault, "the store's anchor was not renewed");
        }
    }
}

struct Sealed {
    meta: Vec<u8>,
    blobs: Vec<Vec<u8>>,
}

/// Writes that are committed together.
struct Group {
    writes: Vec<Write>,
    bytes: u64,
    records: usize,
}

impl Group {
    fn new(first: Write) -> Self {
        Self { bytes: first.bytes(), records: first.entries.len(), writes: vec![first] }
    }

    /// Takes one more, or gives it back when there is no place for it.
    fn add(&mut self, more: Write) -> Option<Write> {
        let bytes = self.bytes.saturating_add(more.bytes());
        let records = self.records.saturating_add(more.entries.len());
        if bytes > GROUP_BYTES || records > WRITE_RECORDS_MAX {
            return Some(more);
        }
        (self.bytes, self.records) = (bytes, records);
        self.writes.push(more);
        None
    }
}

impl Write {
    fn bytes(&self) -> u64 {
        self.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.bytes()))
    }
}

/// Takes out what a test picks.
fn extract(writes: &mut Vec<Write>, mut test: impl FnMut(&Write) -> bool) -> VecDeque<Write> {
    let (picked, rest): (Vec<_>, Vec<_>) = std::mem::take(writes).into_iter().partition(|write| test(write));
    *writes = rest;
    picked.into()
}

/// What frames add to the records: generous, so that what was taken always fits.
const FRAME_BYTES: u64 = 64 * 1024;

fn fits(room: Room, claim: Claim, bytes: u64) -> bool {
    let bytes = bytes.saturating_add(FRAME_BYTES);
    match (room, claim) {
        (Room::Ordinary { batch_bytes_max, .. }, Claim::Ordinary) => bytes <= batch_bytes_max,
        (Room::Ordinary { reserved_bytes_max, .. }, Claim::Reserved) => bytes <= reserved_bytes_max,
        (Room::Reserved { batch_bytes_max }, Claim::Reserved) => bytes <= batch_bytes_max,
        (Room::Reserved { .. }, Claim::Ordinary) | (Room::Nothing, _) => false,
    }
}

/// Whoever asked may have gone.
fn answer(sender: oneshot::Sender<Result<Vec<Place>, StoreFault>>, with: Result<Vec<Place>, StoreFault>) {
    drop(sender.send(with));
}

/// For each record of a batch the blobs of its head and body.
struct Slots(Vec<(usize, Option<usize>)>);

impl Slots {
    fn parse(batch: &Batch) -> Result<Self, StoreFault> {
        let damaged = StoreFault::Damaged(batch.mark().position.get());
        let Ok(frame) = Frame::decode(batch.meta()) else {
            return Err(damaged);
        };
        if frame.version != VERSION {
            return Err(StoreFault::LaterVersion);
        }
        let mut blobs = 0..;
        let mut next = || blobs.next().unwrap_or(usize::MAX);
        let slots: Vec<_> =
            frame.has_body.iter().map(|has_body| (next(), has_body.then(&mut next))).collect();
        if next() == batch.blob_count() { Ok(Self(slots)) } else { Err(damaged) }
    }
}

/// Takes what a batch holds. Gives how many records.
fn replay(batch: &Batch, cipher: &Cipher, folded: &mut impl Fold) -> Result<usize, StoreFault> {
    let heads = heads(batch, cipher)?;
    for (place, record) in &heads {
        folded.apply(*place, record);
    }
    Ok(heads.len())
}

/// The records of a batch.
fn heads(batch: &Batch, cipher: &Cipher) -> Result<Vec<(Place, Record)>, StoreFault> {
    let position = batch.mark().position.get();
    let mut heads = Vec::new();
    for (slot, (head, _)) in (0..).zip(Slots::parse(batch)?.0) {
        let head =
            cipher.open(batch, head, slot, cipher::Kind::Head)?.ok_or(StoreFault::Damaged(position))?;
        let record = Record::decode(head.as_slice()).map_err(|_| StoreFault::Damaged(position))?;
        if record.record.is_none() {
            return Err(StoreFault::LaterVersion);
        }
        heads.push((Place { position, slot }, record));
    }
    Ok(heads)
}

type Recovery = (FileJournal, Recovered, Option<(Mark, Vec<Kept>)>);

/// Opens the journal behind its newest snapshot; behind none when there is none that can be used, since all
/// of it follows from the journal.
fn recover(volume: &Volume, config: Config, cipher: &Cipher) -> Result<Recovery, StoreFault> {
    let closed = Closed::lock(volume, volume).map_err(opening)?;
    let snapshot = snapshot::newest(&closed.snapshots(), cipher)?;
    let Some((mark, kept)) = snapshot else {
        let (journal, recovered) = closed.recover(config, None).map_err(opening)?;
        return Ok((journal, recovered, None));
    };
    match closed.recover(config, Some(mark)) {
        Ok((journal, recovered)) => Ok((journal, recovered, Some((mark, kept)))),
        Err(OpenError::FromNotFound { .. }) => {
            tracing::warn!("the store's snapshot is of another journal; all of it is read");
            let closed = Closed::lock(volume, volume).map_err(opening)?;
            let (journal, recovered) = closed.recover(config, None).map_err(opening)?;
            Ok((journal, recovered, None))
        }
        Err(error) => Err(opening(error)),
    }
}

impl Cipher {
    /// A blob of a batch, decrypted; none when it was erased.
    fn open(
        &self,
        batch: &Batch,
        blob: usize,
        slot: u32,
        kind: cipher::Kind,
    ) -> Result<Option<Zeroizing<Vec<u8>>>, StoreFault> {
        let number = batch.mark().batch_no.get();
        match batch.blob(blob) {
            Some(Blob::Present(sealed)) => {
                self.unseal(sealed, number, slot, kind).map(Some).map_err(|_| StoreFault::NotOurs)
            }
            Some(Blob::Erased { .. }) => Ok(None),
            None => Err(StoreFault::Damaged(batch.mark().position.get())),
        }
    }
}

fn volume(folder: &Path) -> Result<Volume, StoreFault> {
    Volume::directory(folder).map_err(|fault| opening(OpenError::Fault(fault)))
}

fn opening(error: OpenError) -> StoreFault {
    if error == OpenError::Locked { StoreFault::InUse } else { StoreFault::Open(error) }
}

fn usize_of(number: u32) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

impl From<StoreFault> for io::Error {
    fn from(fault: StoreFault) -> Self {
        Self::other(fault)
    }
}
