//! The index: what is asked for by name. Derived from the journal and written behind it; what is
//! missing is built again while the service runs. Not here: the key-value store (`rows`).

pub mod rows;
pub mod sled_rows;

use std::collections::BTreeMap;

use journal::{BatchNo, Mark, Position, ReadError};
use proto::{
    batch::Batch,
    digest::Digest,
    evidence::{Event, Record},
    fact::Fact,
    ids::{AgencyId, EnvelopeKey, Locator, ReferralKey},
    known::Known,
};
use rows::{Row, Rows, RowsFault};

use crate::{fault::Fault, history::History};

/// How many rows wait in memory before they are written.
pub const PENDING_ROWS_MAX: usize = 200_000;

const ENVELOPE: u8 = b'e';
const REFERRAL: u8 = b'r';
const PARTY: u8 = b'p';
const LEAF: u8 = b'l';

/// The index. It follows the journal: rows of all batches before its cursor are in it.
#[derive(Debug)]
pub struct Index<R> {
    rows: R,
    pending: BTreeMap<Vec<u8>, Vec<u8>>,
    cursor: Mark,
    /// How often the store was set aside since the start.
    set_aside: u64,
}

impl<R: Rows> Index<R> {
    /// Takes a store up. A store that is ahead of the journal, or beside it, is not this journal's.
    pub fn open(rows: R, history: &History) -> Self {
        let mut index = Self { rows, pending: BTreeMap::new(), cursor: Mark::START, set_aside: 0 };
        match index.rows.watermark() {
            Ok(None) => {}
            Ok(Some((position, batch_no))) if is_mark(history, position, batch_no) => {
                index.cursor = Mark { position, batch_no };
            }
            Ok(Some(_)) | Err(RowsFault) => index.set_aside(),
        }
        index
    }

    /// Whether every durable batch is in it.
    #[must_use]
    pub fn is_ready(&self, history: &History) -> bool {
        self.cursor.batch_no == history.reader().end().batch_no
    }

    /// How many batches are in it.
    #[must_use]
    pub const fn batches(&self) -> u64 {
        self.cursor.batch_no.get()
    }

    /// How often the store was set aside since the start.
    #[must_use]
    pub const fn times_set_aside(&self) -> u64 {
        self.set_aside
    }

    /// Takes the batch that was just committed, if all before it are here.
    pub fn follow(&mut self, batch: &Batch, mark: Mark, next: Mark) {
        if mark.batch_no == self.cursor.batch_no {
            self.put(batch, mark.batch_no.get());
            self.cursor = next;
            if self.pending.len() >= PENDING_ROWS_MAX {
                self.flush();
            }
        }
    }

    /// Takes batches that are missing, at most so many. Damaged ones are left out: what they held
    /// cannot be found by name.
    ///
    /// # Errors
    /// [`Fault::Read`] when the journal cannot be read; [`Fault::NotUnderstood`].
    pub fn catch_up(&mut self, history: &History, batches_max: usize) -> Result<(), Fault> {
        let mut batches = history.reader().iter_from(self.cursor);
        for _ in 0..batches_max {
            match batches.next() {
                None => break,
                Some(Ok(read)) => self.put(&crate::history::parse(&read)?, read.mark().batch_no.get()),
                Some(Err(ReadError::Damaged(damaged))) => {
                    tracing::warn!(position = damaged.position.get(), "damaged record left out of the index");
                }
                Some(Err(error)) => return Err(error.into()),
            }
            self.cursor = batches.mark();
            if self.pending.len() >= PENDING_ROWS_MAX {
                self.flush();
            }
        }
        Ok(())
    }

    /// Writes what waits. A store that fails is set aside, and the index begins anew.
    pub fn flush(&mut self) {
        if self.pending.is_empty() {
            return;
        }
        let rows: Vec<Row> = std::mem::take(&mut self.pending).into_iter().collect();
        if self.rows.write(rows, (self.cursor.position, self.cursor.batch_no)).is_err() {
            self.set_aside();
        }
    }

    /// Whether an envelope was accepted. `None` when the index is not complete.
    pub fn envelope(&mut self, key: &EnvelopeKey, history: &History) -> Option<Option<Known>> {
        if !self.is_ready(history) {
            return None;
        }
        let value = self.get(&envelope_key(key))?;
        Some(value.and_then(|bytes| known(&bytes)))
    }

    /// Where a referral's records stand, in order; empty when there is no such referral. `None` when
    /// the index is not complete.
    pub fn referral(&mut self, key: &ReferralKey, history: &History) -> Option<Vec<Locator>> {
        if !self.is_ready(history) {
            return None;
        }
        let rows = self.scan(&referral_prefix(key))?;
        let mut places: Vec<_> = rows.iter().filter_map(|(_, value)| locator(value)).collect();
        places.dedup();
        Some(places)
    }

    /// The numbers in the evidence log of a party's records, in order. `None` when the index is not
    /// complete.
    pub fn party(&mut self, party: &AgencyId, history: &History) -> Option<Vec<u64>> {
        if !self.is_ready(history) {
            return None;
        }
        let rows = self.scan(&party_prefix(party))?;
        Some(rows.iter().filter_map(|(_, value)| number(value)).collect())
    }

    fn get(&mut self, key: &[u8]) -> Option<Option<Vec<u8>>> {
        if let Some(value) = self.pending.get(key) {
            return Some(Some(value.clone()));
        }
        let found = self.rows.get(key);
        self.trust(found)
    }

    fn scan(&mut self, prefix: &[u8]) -> Option<Vec<Row>> {
        let stored = self.rows.scan(prefix);
        let mut rows: BTreeMap<_, _> = self.trust(stored)?.into_iter().collect();
        let pending = self.pending.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        rows.extend(pending.map(|(key, value)| (key.clone(), value.clone())));
        Some(rows.into_iter().collect())
    }

    fn trust<T>(&mut self, found: Result<T, RowsFault>) -> Option<T> {
        match found {
            Ok(found) => Some(found),
            Err(RowsFault) => {
                self.set_aside();
                None
            }
        }
    }

    fn set_aside(&mut self) {
        tracing::warn!("the index is damaged: set aside, to be built again from the journal");
        self.rows.set_aside();
        self.pending.clear();
        self.cursor = Mark::START;
        self.set_aside = self.set_aside.saturating_add(1);
    }

    fn put(&mut self, batch: &Batch, number: u64) {
        let mut first = None;
        for (place, entry) in (0..).zip(&batch.entries) {
            let at = Locator { batch: number, entry: place };
            for record in entry.facts.iter().filter_map(Fact::record) {
                first = first.or(Some(record.place.index));
                self.put_record(record, at);
            }
        }
        if let Some(first) = first {
            self.pending.insert(leaf_key(first), number.to_be_bytes().to_vec());
        }
    }

    fn put_record(&mut self, record: &Record, at: Locator) {
        let what = &record.what;
        let place = place(at);
        if let (Event::SubmissionAcceptance, Some(from), Some(id), Some(digest)) =
            (what.event, &what.sender, what.envelope_id, what.envelope)
        {
            let key = envelope_key(&EnvelopeKey { id, from: from.clone() });
            self.pending.insert(key, [digest.as_bytes().as_slice(), &place].concat());
        }
        if let Some(referral) = &what.referral {
            let key = [referral_prefix(referral), record.place.index.to_be_bytes().to_vec()].concat();
            self.pending.insert(key, place.to_vec());
        }
        for link in &record.place.links {
            let key = [party_prefix(&link.party), link.count.to_be_bytes().to_vec()].concat();
            self.pending.insert(key, record.place.index.to_be_bytes().to_vec());
        }
    }
}

/// Whether a place is one where a batch of this journal ended.
fn is_mark(history: &History, position: Position, batch_no: BatchNo) -> bool {
    let Some(last) = batch_no.get().checked_sub(1) else {
        return position == Mark::START.position;
    };
    let batch = history.reader().read_number(BatchNo::new(last));
    batch.is_ok_and(|batch| batch.next().position == position)
}

fn envelope_key(key: &EnvelopeKey) -> Vec<u8> {
    [&[ENVELOPE], key.id.as_bytes().as_slice(), key.from.as_str().as_bytes()].concat()
}

fn referral_prefix(key: &ReferralKey) -> Vec<u8> {
    [&[REFERRAL], key.id.as_bytes().as_slice(), key.opened_by.as_str().as_bytes(), &[0]].concat()
}

fn party_prefix(party: &AgencyId) -> Vec<u8> {
    [&[PARTY], party.as_str().as_bytes(), &[0]].concat()
}

fn leaf_key(first: u64) -> Vec<u8> {
    [&[LEAF], first.to_be_bytes().as_slice()].concat()
}

fn place(at: Locator) -> [u8; 12] {
    let mut bytes = [0; 12];
    let (batch, entry) = bytes.split_at_mut(8);
    batch.copy_from_slice(&at.batch.to_be_bytes());
    entry.copy_from_slice(&at.entry.to_be_bytes());
    bytes
}

fn locator(bytes: &[u8]) -> Option<Locator> {
    let (batch, entry) = bytes.split_first_chunk::<8>()?;
    let entry = entry.try_into().ok()?;
    Some(Locator { batch: u64::from_be_bytes(*batch), entry: u32::from_be_bytes(entry) })
}

fn known(bytes: &[u8]) -> Option<Known> {
    let (digest, place) = bytes.split_first_chunk::<32>()?;
    Some(Known { digest: Digest(*digest), at: locator(place)? })
}

fn number(bytes: &[u8]) -> Option<u64> {
    bytes.try_into().ok().map(u64::from_be_bytes)
}
