//! Envelopes as their recipients get them, read from the journal: the signed header, and those parts
//! whose turn it is. Batches that were read just now are kept, since their neighbours are asked for
//! next. Not here: whose turn it is (`desk`).

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use bytes::Bytes;
use journal::{BatchNo, Blob};
use proto::{
    batch::Batch,
    command::Push,
    delivery::Mail,
    header::{Header, Part},
    ids::{AgencyId, Release},
    wire,
};

use crate::{
    fault::Fault,
    history::{self, History},
};

/// Most batches that are kept. Each is 4 MiB at the most, and a single envelope more.
pub const KEPT_MAX: usize = 4;

/// Reads envelopes out of the journal.
pub struct MailReader {
    history: History,
    kept: Mutex<VecDeque<Arc<Kept>>>,
}

struct Kept {
    number: u64,
    batch: Batch,
    blobs: Vec<Option<Bytes>>,
}

impl MailReader {
    /// Over a journal's past.
    #[must_use]
    pub const fn new(history: History) -> Self {
        Self { history, kept: Mutex::new(VecDeque::new()) }
    }

    /// The envelope that waits for an agency, with the parts that this delivery of it brings: its own, or
    /// what was sealed for it as a fallback. A ciphertext that was erased is left out.
    ///
    /// # Errors
    /// [`Fault::Read`] and [`Fault::NotUnderstood`] when the journal does not give its batch.
    pub fn envelope(&self, agency: &AgencyId, mail: &Mail) -> Result<Option<wire::Envelope>, Fault> {
        let kept = self.batch(mail.at.batch)?;
        Ok(kept.envelope(mail.at.entry, agency, mail.release))
    }

    /// The header of an envelope that waits.
    ///
    /// # Errors
    /// As [`Self::envelope`].
    pub fn header(&self, mail: &Mail) -> Result<Option<Header>, Fault> {
        let kept = self.batch(mail.at.batch)?;
        Ok(kept.push(mail.at.entry).map(|(push, _)| push.header.clone()))
    }

    fn batch(&self, number: u64) -> Result<Arc<Kept>, Fault> {
        if let Some(kept) = self.lock().iter().find(|kept| kept.number == number) {
            return Ok(Arc::clone(kept));
        }
        let read = self.history.reader().read_number(BatchNo::new(number))?;
        let batch = history::parse(&read)?;
        let present = |blob| match blob {
            Blob::Present(bytes) => Some(Bytes::copy_from_slice(bytes)),
            Blob::Erased { .. } => None,
        };
        let kept = Arc::new(Kept { number, batch, blobs: read.blobs().map(present).collect() });
        let mut all = self.lock();
        if all.len() >= KEPT_MAX {
            all.pop_front();
        }
        all.push_back(Arc::clone(&kept));
        Ok(kept)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Arc<Kept>>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// A push of the batch, and how many blobs stand before its own.
    fn push(&self, entry: u32) -> Option<(&Push, usize)> {
        let place = usize::try_from(entry).ok()?;
        let (before, rest) = self.batch.entries.split_at_checked(place)?;
        let blobs = before.iter().map(|entry| usize::try_from(entry.blobs).unwrap_or(usize::MAX));
        let skip = blobs.fold(0_usize, usize::saturating_add);
        match &rest.first()?.command {
            proto::command::Command::Push(push) => Some((push, skip)),
            proto::command::Command::Handover(_)
            | proto::command::Command::Directory(_)
            | proto::command::Command::Denial(_)
            | proto::command::Command::Tick(_)
            | proto::command::Command::Query(_)
            | proto::command::Command::Queries(_)
            | proto::command::Command::Erase(_)
            | proto::command::Command::Operate(_) => None,
        }
    }

    fn envelope(&self, entry: u32, agency: &AgencyId, release: Release) -> Option<wire::Envelope> {
        let (push, skip) = self.push(entry)?;
        let header = &push.header;
        let theirs = |part: &Part| part.is_for(header, agency) && part.release == release;
        let blobs = self.blobs.iter().skip(skip);
        let parts = header.inline_parts().zip(blobs).filter(|(part, _)| theirs(part));
        let parts = parts.filter_map(|(part, blob)| {
            Some(wire::InlinePart { part_id: part.part_id, ciphertext: blob.clone()? })
        });
        Some(wire::Envelope { signed: Some(push.signed.object().clone()), parts: parts.collect() })
    }
}
