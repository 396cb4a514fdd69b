//! Erasing ciphertexts whose time is over: first the evidence of it, then the attachments, then the inline
//! parts, one segment of the journal at a time. Each tombstone names the record that authorised it. Not
//! here: when that time is over (`proto::retention`), and whether the rules agree (`proto::decide`).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use journal::{Blob, EraseError, Eraser, Mark, SegmentNo};
use proto::{
    caller::Caller,
    command::{Command, Erasure, Push},
    digest::Digest,
    evidence::Event,
    fact::Fact,
    header::Header,
    ids::{Storage, TimeMs},
    retention,
};
use thiserror::Error;
use tokio::{task, time::sleep};

use crate::{
    clock,
    fault::Fault,
    history,
    hub::Unavailable,
    service::Gateway,
    writer::{Request, answer::Answer},
};

/// How often it is looked whether something is to be erased.
pub const LOOK_EVERY: Duration = Duration::from_secs(10 * 60);
/// How soon, when a look was cut short.
pub const AGAIN_AFTER: Duration = Duration::from_secs(5);
/// Most batches that are read in one step.
pub const BATCHES_MAX: usize = 256;
/// Most envelopes whose erasure is recorded in one step.
pub const ENVELOPES_MAX: usize = 256;

/// Why a look was cut short. It is taken up again.
#[derive(Debug, Error)]
pub enum NotErased {
    /// The journal.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// A segment could not be rewritten.
    #[error(transparent)]
    Segment(#[from] EraseError),
    /// The writer has no time, or the index is being built.
    #[error("the writer is busy, or the index is being built")]
    Busy,
    /// The disk of the attachments.
    #[error("an attachment cannot be deleted: {0:?}")]
    Attachment(std::io::ErrorKind),
    /// The gateway ends.
    #[error("the gateway ends")]
    Ending,
}

impl From<Unavailable> for NotErased {
    fn from(unavailable: Unavailable) -> Self {
        match unavailable {
            Unavailable::Full => Self::Busy,
            Unavailable::Ending => Self::Ending,
        }
    }
}

/// What is known of a segment: so little that years of them are small.
#[derive(Debug, Clone, Copy)]
struct Seen {
    /// Its first batch.
    first: Mark,
    /// When the first of what is still in it is to be erased; nothing when there is nothing more.
    due: Option<TimeMs>,
}

/// An envelope whose time is over, and where its blobs stand.
struct Due {
    push: Push,
    batch: u64,
    blobs: Vec<usize>,
}

/// Erases as long as the gateway runs.
pub struct Sweeper {
    gateway: Arc<Gateway>,
    eraser: Eraser,
    segments: BTreeMap<SegmentNo, Seen>,
    /// How far the journal was looked through.
    scanned: Mark,
}

impl Sweeper {
    /// Over a journal, from its beginning.
    #[must_use]
    pub const fn new(gateway: Arc<Gateway>, eraser: Eraser) -> Self {
        Self { gateway, eraser, segments: BTreeMap::new(), scanned: Mark::START }
    }

    /// Until the gateway ends.
    pub async fn run(mut self) {
        loop {
            let wait = match self.look().await {
                Ok(()) => LOOK_EVERY,
                Err(NotErased::Ending) => return,
                Err(cut_short) => {
                    tracing::warn!(%cut_short, "what is to be erased waits");
                    AGAIN_AFTER
                }
            };
            tokio::select! {
                () = sleep(wait) => {}
                () = self.gateway.stop.cancelled() => return,
            }
        }
    }

    /// Looks through what is new, and erases what is due, in small steps.
    async fn look(&mut self) -> Result<(), NotErased> {
        while self.scan()? {
            task::yield_now().await;
        }
        let now = clock::now();
        let due = self.segments.iter().filter(|(_, seen)| seen.due.is_some_and(|due| due <= now));
        for segment in due.map(|(segment, _)| *segment).collect::<Vec<_>>() {
            while self.erase(segment, now).await? {}
        }
        Ok(())
    }

    /// Whether there is more to read.
    fn scan(&mut self) -> Result<bool, NotErased> {
        let mut batches = self.gateway.hub.history().reader().iter_from(self.scanned);
        for _ in 0..BATCHES_MAX {
            let Some(read) = batches.next() else {
                return Ok(false);
            };
            // What is damaged is named by `gateway verify`; nothing of it can be erased one by one.
            if let Ok(read) = read {
                let segment = self.eraser.segment_bytes().segment_of(read.mark().position);
                let due = self.first_due(&read)?;
                let seen = self.segments.entry(segment).or_insert(Seen { first: read.mark(), due: None });
                seen.due = seen.due.into_iter().chain(due).min();
            }
            self.scanned = batches.mark();
        }
        Ok(true)
    }

    fn first_due(&self, read: &journal::Batch) -> Result<Option<TimeMs>, NotErased> {
        let held = self.held(read)?;
        Ok(held.iter().map(|due| self.ends_at(&due.push.header)).min())
    }

    /// Envelopes of a batch of which something is still here.
    fn held(&self, read: &journal::Batch) -> Result<Vec<Due>, NotErased> {
        let batch = history::parse(read)?;
        let present: Vec<bool> = read.blobs().map(|blob| matches!(blob, Blob::Present(_))).collect();
        let (mut held, mut next) = (Vec::new(), 0_usize);
        for entry in batch.entries {
            let from = next;
            next = next.saturating_add(usize::try_from(entry.blobs).unwrap_or(usize::MAX));
            let accepted = entry.facts.iter().filter_map(Fact::record).next();
            let accepted = accepted.is_some_and(|record| record.what.event == Event::SubmissionAcceptance);
            let Command::Push(push) = entry.command else {
                continue;
            };
            let blobs: Vec<usize> =
                (from..next).filter(|blob| present.get(*blob).copied().unwrap_or(false)).collect();
            let header = &push.header;
            let apart = uploaded(header).any(|sha256| self.gateway.parts.has(&header.from, &sha256));
            if accepted && (!blobs.is_empty() || apart) {
                held.push(Due { push: *push, batch: read.mark().batch_no.get(), blobs });
            }
        }
        Ok(held)
    }

    fn ends_at(&self, header: &Header) -> TimeMs {
        let directory = self.gateway.hub.directory();
        retention::ends_at(&directory, &header.from, &header.agreement, header.expires_at)
    }

    /// Erases what is due in a segment, so much of it at a time. Whether there is more.
    async fn erase(&mut self, segment: SegmentNo, now: TimeMs) -> Result<bool, NotErased> {
        let Some(seen) = self.segments.get(&segment).copied() else {
            return Ok(false);
        };
        let (due, later, more) = self.due_in(segment, seen.first, now)?;
        let size = self.eraser.segment_bytes();
        let is_sealed = || segment < size.segment_of(self.gateway.hub.history().reader().end().position);
        if !due.is_empty() && !is_sealed() {
            // The records of the erasures begin the next one.
            self.gateway.hub.roll()?;
        }
        let mut authorised = BTreeMap::new();
        let mut waits = None;
        for Due { push, batch, blobs } in due {
            let Some(record) = self.record(&push).await? else {
                waits = Some(now);
                continue;
            };
            self.delete_attachments(&push.header)?;
            authorised.extend(blobs.into_iter().map(|blob| ((batch, blob), record)));
        }
        if !authorised.is_empty() {
            if !is_sealed() {
                return Err(NotErased::Busy);
            }
            let eraser = self.eraser.clone();
            let rewritten = task::spawn_blocking(move || {
                eraser
                    .rewrite_segment(segment, |batch, _, blob| authorised.get(&(batch.get(), blob)).copied())
            });
            let rewritten = rewritten.await.map_err(|_| NotErased::Ending)??;
            tracing::info!(
                segment = segment.get(),
                parts = rewritten.blobs,
                bytes = rewritten.bytes,
                "ciphertexts erased whose time is over"
            );
        }
        if !more && let Some(seen) = self.segments.get_mut(&segment) {
            seen.due = waits.into_iter().chain(later).min();
        }
        Ok(more)
    }

    /// What is due in a segment; when the first of the rest is; and whether there is more of it.
    fn due_in(
        &self,
        segment: SegmentNo,
        first: Mark,
        now: TimeMs,
    ) -> Result<(Vec<Due>, Option<TimeMs>, bool), NotErased> {
        let (mut due, mut later): (Vec<Due>, Option<TimeMs>) = (Vec::new(), None);
        for read in self.gateway.hub.history().reader().iter_from(first) {
            let Ok(read) = read else {
                continue;
            };
            if self.eraser.segment_bytes().segment_of(read.mark().position) != segment {
                break;
            }
            for held in self.held(&read)? {
                let ends_at = self.ends_at(&held.push.header);
                if ends_at > now {
                    later = later.into_iter().chain([ends_at]).min();
                } else if due.len() >= ENVELOPES_MAX {
                    return Ok((due, later, true));
                } else {
                    due.push(held);
                }
            }
        }
        Ok((due, later, false))
    }

    /// The record of an erasure: the one that is there, when a kill came between it and the erasing. None
    /// when the rules do not erase it now.
    async fn record(&self, push: &Push) -> Result<Option<u64>, NotErased> {
        let envelope = push.signed.digest();
        if let Some(index) = self.recorded(push, &envelope).await? {
            return Ok(Some(index));
        }
        let command = Command::Erase(Box::new(Erasure::of(push)));
        let request = Request { caller: Caller::Gateway, command, parts: Vec::new() };
        let answer = self.gateway.hub.ask(request)?.await.map_err(|_| NotErased::Ending)?;
        match answer {
            Answer::Taken { receipts, .. } => {
                Ok(receipts.first().map(|receipt| receipt.record().place.index))
            }
            Answer::Busy(_) => Err(NotErased::Busy),
            Answer::Nothing | Answer::Refused { .. } => Ok(None),
        }
    }

    async fn recorded(&self, push: &Push, envelope: &Digest) -> Result<Option<u64>, NotErased> {
        let places = self.gateway.hub.places(push.header.referral.clone()).await?;
        for at in places.ok_or(NotErased::Busy)? {
            let batch = self.gateway.hub.history().batch(at.batch)?;
            let facts = batch.entries.iter().flat_map(|entry| &entry.facts).filter_map(Fact::record);
            let erased = facts.filter(|record| record.what.event == Event::Erased);
            if let Some(record) = erased.into_iter().find(|record| record.what.envelope == Some(*envelope)) {
                return Ok(Some(record.place.index));
            }
        }
        Ok(None)
    }

    fn delete_attachments(&self, header: &Header) -> Result<(), NotErased> {
        uploaded(header).try_for_each(|sha256| {
            let deleted = self.gateway.parts.erase(&header.from, &sha256, header.expires_at);
            deleted.map_err(|error| NotErased::Attachment(error.kind()))
        })
    }
}

impl std::fmt::Debug for Sweeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sweeper").field("segments", &self.segments.len()).finish_non_exhaustive()
    }
}

fn uploaded(header: &Header) -> impl Iterator<Item = Digest> {
    header.parts.iter().filter(|part| part.storage == Storage::Uploaded).map(|part| part.sha256)
}
