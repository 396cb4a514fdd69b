//! The index: what is asked for by name. Derived from the journal and written behind it; what is
//! missing is made again while the service runs. Not here: the files (`run`, `sled_rows`).
//!
//! Rows come and go in one direction. The newest are in memory; in quiet times they are also put into
//! a small store, where a restart finds them. When there are too many they become a `run`, all
//! together, and memory and store begin anew. Runs of like size are merged, so that there are few. So
//! what is in memory is bounded, and history costs nothing but disk. Each file says itself which
//! batches it is of; whatever a crash left half done is seen by that, and dropped.

mod entering;
mod key;
pub mod rows;
mod run;
mod runs;
pub mod sled_rows;
mod work;

use std::sync::Arc;

use entering::Entering;
use journal::{BatchNo, Mark, ReadError};
use proto::{
    batch::Batch,
    digest::Digest,
    ids::{AgencyId, EnvelopeKey, Locator, ReferralKey},
    known::Known,
};
use rows::{Coverage, Row, Rows, RowsFault, Sorted};
use run::Run;
use runs::{Rest, Runs, Unmerged};
use work::Bench;

pub use runs::{MERGED_ROWS_MAX, RUNS_MERGED};

use crate::{fault::Fault, history::History};

/// Of the rows that make a run, this part (a 64th) may come between two follow-ups while the time is
/// called quiet: in busy times nothing is stored that becomes a run within seconds.
const QUIET_PART: usize = 64;
/// So many follow-ups in a row must be quiet: behind one that took long there is little, however busy the
/// time is.
pub const QUIET_FOLLOW_UPS: u32 = 5;
/// Of the rows that make a run, this part (a 16th) is stored in one follow-up, and no more: what a busy
/// time left becomes a run, however small.
const STORED_PART: usize = 16;
/// But so many are never too many, as one batch may bring them.
const STORED_ROWS_LEAST: usize = 16;
/// After a file could not be written, so many follow-ups pass before it is tried again.
const FOLLOW_UPS_BETWEEN_TRIES: u32 = 16;

/// The index. It follows the journal: rows of all batches before its cursor are in it.
#[derive(Debug)]
pub struct Index<R> {
    rows: R,
    /// None when their folder cannot be used.
    runs: Option<Runs>,
    /// Whether the store was asked for what it holds.
    loaded: bool,
    /// Rows that the store has, too.
    stored: Sorted,
    /// Rows that it does not have.
    unstored: Sorted,
    /// Rows that are becoming a run.
    spilling: Option<(Arc<Rest>, Coverage)>,
    spill: Bench<Run, RowsFault>,
    merge: Bench<Run, Unmerged>,
    cursor: Mark,
    /// The root that the last batch before the cursor names.
    root: Digest,
    /// Rows that came since the last follow-up.
    arrived: usize,
    /// Quiet follow-ups in a row.
    quiet: u32,
    /// Follow-ups to pass before a file is tried again.
    rest: u32,
    /// How often something of it was damaged, since the start.
    set_aside: u64,
}

/// The records of a party in one batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartyBatch {
    /// The batch's number.
    pub batch: u64,
    /// The party's own count of the first of them.
    pub first: u64,
}

impl<R: Rows> Index<R> {
    /// Takes an index up. Runs that are ahead of the journal, or beside it, are not this journal's.
    /// The store is not read yet. Files are written in the background, or by whoever calls.
    pub fn open(rows: R, history: &History, in_background: bool) -> Self {
        let mut index = Self {
            rows,
            runs: None,
            loaded: false,
            stored: Sorted::new(),
            unstored: Sorted::new(),
            spilling: None,
            spill: Bench::new(in_background),
            merge: Bench::new(in_background),
            cursor: Mark::START,
            root: Digest::default(),
            arrived: 0,
            quiet: 0,
            rest: 0,
            set_aside: 0,
        };
        index.open_runs(history);
        index
    }

    fn open_runs(&mut self, history: &History) {
        self.runs = self.rows.runs().and_then(Runs::open).ok();
        while let Some(last) = self.last_run().filter(|last| !is_of(history, last)) {
            self.cut(last.from);
        }
        self.go_to_runs();
    }

    /// Whether every durable batch is in it.
    #[must_use]
    pub fn is_ready(&self, history: &History) -> bool {
        self.loaded && self.cursor.batch_no == history.reader().end().batch_no
    }

    /// Whether another follow-up would bring it on: not when it is complete, nor while it rests because a
    /// file could not be written.
    #[must_use]
    pub fn wants_follow_up(&self, history: &History) -> bool {
        self.rest == 0 && !self.is_ready(history)
    }

    /// How many batches are in it.
    #[must_use]
    pub const fn batches(&self) -> u64 {
        self.cursor.batch_no.get()
    }

    /// How often something of it was damaged and dropped, since the start.
    #[must_use]
    pub const fn times_set_aside(&self) -> u64 {
        self.set_aside
    }

    /// How many rows are in memory.
    #[must_use]
    pub fn rows_in_memory(&self) -> usize {
        let spilling = self.spilling.as_ref().map_or(0, |(rows, _)| rows.iter().map(Sorted::len).sum());
        self.stored.len() + self.unstored.len() + spilling
    }

    /// How many runs there are.
    #[must_use]
    pub fn runs(&self) -> usize {
        self.runs.as_ref().map_or(0, Runs::count)
    }

    /// Takes the batch that was just committed, if all before it are here and there is room.
    pub fn follow(&mut self, batch: &Batch, mark: Mark, next: Mark) {
        if self.loaded && mark.batch_no == self.cursor.batch_no && self.has_room() {
            self.put(next, batch.evidence.as_ref().map(|evidence| evidence.root), |rows| {
                Entering::batch(batch, mark.batch_no.get(), rows);
            });
            self.spill_if_due();
        }
    }

    /// Work behind the commit: files are written, and batches that are missing are taken from the
    /// journal, at most so many. Damaged ones are left out: what they held cannot be found by name.
    ///
    /// # Errors
    /// [`Fault::Read`] when the journal cannot be read; [`Fault::NotUnderstood`].
    pub fn follow_up(&mut self, history: &History, batches_max: usize) -> Result<(), Fault> {
        self.rest = self.rest.saturating_sub(1);
        if self.runs.is_none() && self.rest == 0 {
            self.open_runs(history);
            self.rest = FOLLOW_UPS_BETWEEN_TRIES;
        }
        self.load(history);
        let spilled = self.spill.poll();
        self.take_spilled(spilled);
        self.take_merged();
        self.catch_up(history, batches_max)?;
        self.store(history);
        self.begin_merge();
        Ok(())
    }

    /// Whether an envelope was accepted. `None` when the index is not complete.
    pub fn envelope(&mut self, key: &EnvelopeKey, history: &History) -> Option<Option<Known>> {
        self.be_ready(history)?;
        let key = key::envelope(key.id, &key.from);
        let recent = self.recent().find_map(|rows| rows.get(&key).cloned());
        let value = match recent {
            Some(value) => Some(value),
            None => {
                let found = self.runs.as_ref()?.get(&key);
                self.trust(found)?
            }
        };
        Some(value.and_then(|value| key::known(&value)))
    }

    /// Where a referral's records stand, in order; empty when there is no such referral. `None` when
    /// the index is not complete.
    pub fn referral(&mut self, key: &ReferralKey, history: &History) -> Option<Vec<Locator>> {
        self.be_ready(history)?;
        let prefix = key::referral(key);
        let rows = self.scan(&prefix, &prefix, usize::MAX)?;
        Some(rows.keys().filter_map(|key| key::place(key)).collect())
    }

    /// The batches from one on in which a party has records, in order, and so many at the most. `None`
    /// when the index is not complete.
    pub fn party(
        &mut self,
        party: &AgencyId,
        from_batch: u64,
        most: usize,
        history: &History,
    ) -> Option<Vec<PartyBatch>> {
        self.be_ready(history)?;
        let rows = self.scan(&key::party_at(party, from_batch), &key::party(party), most)?;
        let batches = rows.iter().filter_map(|(key, value)| {
            Some(PartyBatch { batch: key::batch(key)?, first: key::number(value)? })
        });
        Some(batches.take(most).collect())
    }

    /// The batch that holds a leaf of the evidence log, which must be durable. `None` when the index
    /// is not complete.
    pub fn batch_of_leaf(&mut self, leaf: u64, history: &History) -> Option<u64> {
        self.be_ready(history)?;
        let key = key::leaf(leaf);
        let recent = self.recent().filter_map(|rows| rows.range(..=key.clone()).next_back());
        // Leaves and batches grow together: of several the greatest is the last.
        let recent = recent.filter(|(key, _)| key::is_leaf(key)).max().map(|(_, value)| value.clone());
        let value = match recent {
            Some(value) => Some(value),
            None => {
                let found = self.runs.as_ref()?.at_or_before(&key, key::is_leaf);
                self.trust(found)?
            }
        };
        value.and_then(|value| key::number(&value))
    }

    /// A question may come before the first follow-up.
    fn be_ready(&mut self, history: &History) -> Option<()> {
        self.load(history);
        self.is_ready(history).then_some(())
    }

    fn recent(&self) -> impl Iterator<Item = &Sorted> {
        let spilling = self.spilling.iter().flat_map(|(rows, _)| rows.as_slice());
        [&self.unstored, &self.stored].into_iter().chain(spilling)
    }

    fn scan(&mut self, from: &[u8], prefix: &[u8], most: usize) -> Option<Sorted> {
        let found = self.runs.as_ref()?.scan(from, prefix, most);
        let mut rows = self.trust(found)?;
        for recent in self.recent() {
            let recent =
                recent.range(from.to_vec()..).take_while(|(key, _)| key.starts_with(prefix)).take(most);
            rows.extend(recent.map(|(key, value)| (key.clone(), value.clone())));
        }
        Some(rows)
    }

    /// What a run says; when it is damaged, it and all behind it is made again from the journal.
    fn trust<T>(&mut self, found: Result<T, Mark>) -> Option<T> {
        match found {
            Ok(found) => Some(found),
            Err(begins) => {
                self.cut(begins);
                None
            }
        }
    }

    /// Forgets everything behind a place.
    fn cut(&mut self, end: Mark) {
        tracing::warn!(batch = end.batch_no.get(), "the index is damaged: made again from the journal");
        self.set_aside = self.set_aside.saturating_add(1);
        // A run in the making would have no place in the chain.
        let spilled = self.spill.wait();
        if let Some(runs) = &mut self.runs {
            runs.cut(end);
            if let Some(Ok(spilled)) = spilled {
                runs.discard(&spilled);
            }
        }
        self.spilling = None;
        self.unstored.clear();
        self.forget_store();
        self.go_to_runs();
    }

    fn forget_store(&mut self) {
        self.rows.begin_anew();
        self.stored.clear();
    }

    /// Goes on where the runs end.
    fn go_to_runs(&mut self) {
        self.cursor = self.runs.as_ref().map_or(Mark::START, Runs::end);
        self.root = self.last_run().map_or_else(Digest::default, |last| last.root);
    }

    fn last_run(&self) -> Option<Coverage> {
        self.runs.as_ref().and_then(Runs::last).copied()
    }

    /// Takes what the store holds, once. What does not go on where the runs end is of no use: the
    /// store is one that became a run, or an old one that a power cut brought back.
    fn load(&mut self, history: &History) {
        if self.loaded || self.runs.is_none() {
            return;
        }
        self.loaded = true;
        match self.rows.load() {
            Ok(None) => {}
            Ok(Some((covers, rows))) if covers.from == self.cursor && is_of(history, &covers) => {
                (self.cursor, self.root, self.stored) = (covers.to, covers.root, rows);
            }
            Ok(Some(_)) => self.forget_store(),
            Err(RowsFault) => {
                self.set_aside = self.set_aside.saturating_add(1);
                self.forget_store();
            }
        }
    }

    /// Whether another batch may come: not when nothing can be spilled.
    fn has_room(&self) -> bool {
        self.runs.is_some() && self.stored.len() + self.unstored.len() < self.rows.rows_max()
    }

    fn catch_up(&mut self, history: &History, batches_max: usize) -> Result<(), Fault> {
        let mut batches = history.reader().iter_from(self.cursor);
        for _ in 0..batches_max {
            if !self.has_room() {
                // Nobody is answered by the index now, so this may wait for its disk.
                let spilled = self.spill.wait();
                self.take_spilled(spilled);
                self.spill_if_due();
            }
            if !self.has_room() {
                break;
            }
            match batches.next() {
                None => break,
                Some(Ok(read)) => {
                    let outline = crate::history::outline(&read)?;
                    self.put(read.next(), outline.root, |rows| {
                        Entering::outline(&outline, read.mark().batch_no.get(), rows);
                    });
                    self.spill_if_due();
                }
                Some(Err(ReadError::Damaged(damaged))) => {
                    tracing::warn!(position = damaged.position.get(), "damaged record left out of the index");
                    self.cursor = batches.mark();
                }
                Some(Err(error)) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// When there are enough rows, all of them begin to become a run.
    fn spill_if_due(&mut self) {
        if self.stored.len() + self.unstored.len() >= self.rows.rows_max() {
            self.begin_spill();
        }
    }

    fn begin_spill(&mut self) {
        let Some(runs) = self.runs.as_ref().filter(|_| self.spilling.is_none()) else {
            return;
        };
        let rows = Arc::new([std::mem::take(&mut self.stored), std::mem::take(&mut self.unstored)]);
        let covers = Coverage { from: runs.end(), to: self.cursor, root: self.root };
        self.spilling = Some((rows, covers));
        self.try_spill();
    }

    fn try_spill(&mut self) {
        if let (Some(runs), Some((rows, covers))) = (&self.runs, &self.spilling)
            && self.spill.is_free()
        {
            let (volume, rows, covers) = (runs.volume().clone(), Arc::clone(rows), *covers);
            self.spill.begin(move |stop| runs::spill(&volume, &rows, covers, stop));
        }
    }

    fn take_spilled(&mut self, spilled: Option<Result<Run, RowsFault>>) {
        match spilled {
            None if self.rest == 0 => self.try_spill(),
            None => {}
            Some(Err(RowsFault)) => {
                tracing::warn!("the index could not be written: tried again later");
                self.rest = FOLLOW_UPS_BETWEEN_TRIES;
            }
            Some(Ok(run)) => {
                if let Some(runs) = &mut self.runs {
                    runs.push(run);
                }
                self.spilling = None;
                // What the store holds is in the run.
                self.rows.begin_anew();
            }
        }
    }

    fn take_merged(&mut self) {
        match self.merge.poll() {
            None => {}
            Some(Ok(run)) => {
                if let Some(runs) = &mut self.runs {
                    runs.replace(run);
                }
            }
            Some(Err(Unmerged::Damaged(begins))) => self.cut(begins),
            Some(Err(Unmerged::Unwritten)) => self.rest = FOLLOW_UPS_BETWEEN_TRIES,
        }
    }

    fn begin_merge(&mut self) {
        let Some(runs) = self.runs.as_ref().filter(|_| self.rest == 0 && self.merge.is_free()) else {
            return;
        };
        if let Some(parts) = runs.due() {
            let volume = runs.volume().clone();
            self.merge.begin(move |stop| runs::merge(&volume, &parts, stop));
        }
    }

    /// In quiet times, stores what the store does not have.
    fn store(&mut self, history: &History) {
        let most = self.rows.rows_max();
        let arrived = std::mem::take(&mut self.arrived);
        self.quiet = if arrived <= most / QUIET_PART { self.quiet.saturating_add(1) } else { 0 };
        let is_quiet = self.quiet >= QUIET_FOLLOW_UPS && self.spilling.is_none() && self.is_ready(history);
        if !is_quiet || self.unstored.is_empty() {
            return;
        }
        if self.unstored.len() > (most / STORED_PART).max(STORED_ROWS_LEAST) {
            return self.begin_spill();
        }
        let rows: Vec<Row> = self.unstored.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let from = self.runs.as_ref().map_or(Mark::START, Runs::end);
        if self.rows.write(rows, Coverage { from, to: self.cursor, root: self.root }).is_ok() {
            self.stored.extend(std::mem::take(&mut self.unstored));
        } else {
            // The store has nothing any more; memory has all.
            self.set_aside = self.set_aside.saturating_add(1);
            self.rows.begin_anew();
            self.unstored.append(&mut self.stored);
        }
    }

    fn put(&mut self, next: Mark, root: Option<Digest>, enter: impl FnOnce(&mut Sorted)) {
        let before = self.unstored.len();
        enter(&mut self.unstored);
        self.arrived += self.unstored.len() - before;
        self.cursor = next;
        self.root = root.unwrap_or_default();
    }
}

/// Whether the batches that some rows are of are this journal's: the last of them ends where it should,
/// and names the same root. One that is damaged cannot tell; then its place must do.
fn is_of(history: &History, covers: &Coverage) -> bool {
    let Some(last) = covers.to.batch_no.get().checked_sub(1) else {
        return covers.to == Mark::START;
    };
    let read = match history.reader().read_number(BatchNo::new(last)) {
        Ok(read) => read,
        Err(ReadError::Damaged(_)) => return true,
        Err(ReadError::BeyondEnd { .. } | ReadError::Fault(_)) => return false,
    };
    let root = crate::history::outline(&read).map(|outline| outline.root.unwrap_or_default());
    read.next().position == covers.to.position && root == Ok(covers.root)
}

#[cfg(test)]
mod tests;
