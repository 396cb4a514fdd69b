//! Receipts: of the batch at hand from memory, of any other derived from the journal, byte for byte
//! the same.

use std::sync::Arc;

use journal::Journal;
use proto::{
    batch::{Entry, LoggedCheckpoint},
    evidence::Record,
    fact::Fact,
    ids::Locator,
    log::merkle,
    receipt::{Receipt, Vouched},
};

use super::{Answer, Busy, Committed, Writer};
use crate::{fault::Fault, index::rows::Rows, tiles::files::Files};

impl<J: Journal, R: Rows, F: Files> Writer<J, R, F> {
    /// The receipts of an entry of the batch that was just committed.
    pub(super) fn receipts_of(
        &self,
        place: usize,
        committed: Option<&Committed>,
    ) -> Result<Vec<Receipt>, Fault> {
        let Some(committed) = committed else {
            return Ok(Vec::new());
        };
        let Some(entry) = committed.batch.entries.get(place) else {
            return Ok(Vec::new());
        };
        let growth = &committed.growth.evidence;
        let receipt = |record: &Arc<Record>| {
            let path = growth.inclusion_proof(record.place.index)?;
            Ok(Receipt::of(Arc::clone(record), path, committed.vouched.clone())?)
        };
        records(entry).map(receipt).collect()
    }

    /// The answer that was given before.
    pub(super) fn answer_again(
        &mut self,
        at: Locator,
        committed: Option<&Committed>,
    ) -> Result<Answer, Fault> {
        let place = usize::try_from(at.entry).unwrap_or(usize::MAX);
        let receipts = if committed.is_some_and(|committed| committed.number == at.batch) {
            Some(self.receipts_of(place, committed)?)
        } else {
            self.derive(at)?
        };
        Ok(match receipts {
            Some(receipts) => Answer::Taken { receipts, not_taken: Vec::new() },
            None => Answer::Busy(Busy::Indexing),
        })
    }

    /// Derives the receipts of an entry from the journal. Nothing while the tiles that it takes are
    /// being made again.
    ///
    /// # Errors
    /// [`Fault::Read`] and [`Fault::NotUnderstood`] when the journal does not give its batch.
    pub fn derive(&mut self, at: Locator) -> Result<Option<Vec<Receipt>>, Fault> {
        let batch = self.history.batch(at.batch)?;
        let Some(entry) = batch.entries.get(usize::try_from(at.entry).unwrap_or(usize::MAX)) else {
            return Ok(Some(Vec::new()));
        };
        // The batch behind it holds the checkpoint that was signed over it.
        let next = at.batch.saturating_add(1);
        let logged = if next < self.history.batches() {
            self.history.batch(next)?.evidence
        } else {
            self.last.evidence.clone()
        };
        let Some(logged) = logged else {
            return Ok(Some(Vec::new()));
        };
        let vouched = self.vouched(&logged)?;
        let mut receipts = Vec::new();
        for record in records(entry) {
            let Some(path) = self.path(record, &logged) else {
                return Ok(None);
            };
            receipts.push(Receipt::of(Arc::clone(record), path, vouched.clone())?);
        }
        Ok(Some(receipts))
    }

    /// The inclusion path out of the tiles. What they give is checked before it is given away: tiles
    /// that do not lead to the root are made again.
    fn path(&mut self, record: &Record, logged: &LoggedCheckpoint) -> Option<Vec<proto::digest::Digest>> {
        if self.evidence_tiles.size() < logged.size {
            return None;
        }
        let index = record.place.index;
        let reader = self.evidence_tiles.reader(logged.size);
        let path = merkle::inclusion_proof(index, logged.size, &reader).ok();
        let leaf = merkle::leaf_hash(&record.commitment().leaf());
        let path =
            path.filter(|path| merkle::verify_inclusion(index, logged.size, leaf, path, logged.root).is_ok());
        drop(reader);
        if path.is_none() {
            tracing::warn!(index, "tiles do not lead to the root: made again from the journal");
            self.evidence_tiles.forget();
        }
        path
    }

    /// The note of a checkpoint, made once for all receipts under it.
    pub(super) fn vouched(&self, logged: &LoggedCheckpoint) -> Result<Vouched, Fault> {
        Ok(Vouched::new(self.keys.evidence.note(logged)?)?)
    }
}

fn records(entry: &Entry) -> impl Iterator<Item = &Arc<Record>> {
    entry.facts.iter().filter_map(Fact::shared_record)
}
