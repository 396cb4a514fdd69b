//! `Evidence.Follow`: an agency's own records, batch by batch, as they become durable. Not here: who may
//! follow (`proto::decide`), and where a party's records stand (`index`).

use std::{collections::VecDeque, sync::Arc, time::Duration};

use futures::{Stream, stream};
use proto::{
    evidence::Record,
    fact::Fact,
    ids::{AgencyId, Locator},
    wire,
};
use tokio::time::sleep;
use tonic::Status;

use crate::{
    index::PartyBatch,
    service::{Gateway, answers},
};

/// How often a follower that has everything looks whether there is more.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Most batches that one look finds.
const BATCHES_AT_ONCE: usize = 64;

/// How far a follower has come.
pub(super) struct Following {
    gateway: Arc<Gateway>,
    agency: AgencyId,
    /// The agency's count of the last record that was sent.
    count: u64,
    from_batch: u64,
    found: VecDeque<PartyBatch>,
    /// The log's size when there was nothing more.
    seen_size: u64,
}

impl Following {
    pub(super) fn new(gateway: Arc<Gateway>, agency: AgencyId, request: &wire::FollowRequest) -> Self {
        let wire::FollowRequest { after_count, from_batch } = *request;
        Self { gateway, agency, count: after_count, from_batch, found: VecDeque::new(), seen_size: 0 }
    }

    pub(super) fn answers(self) -> impl Stream<Item = Result<wire::FollowAnswer, Status>> {
        stream::try_unfold(self, |mut following| async move {
            let answer = following.next().await?;
            Ok(answer.map(|answer| (answer, following)))
        })
    }

    /// Nothing only when the gateway ends.
    async fn next(&mut self) -> Result<Option<wire::FollowAnswer>, Status> {
        loop {
            while let Some(batch) = self.found.pop_front() {
                self.from_batch = batch.batch.saturating_add(1);
                if let Some(answer) = self.answer(batch.batch).await? {
                    return Ok(Some(answer));
                }
            }
            if !self.look().await? {
                tokio::select! {
                    () = sleep(LOOK_EVERY) => {}
                    () = self.gateway.stop.cancelled() => return Ok(None),
                }
            }
        }
    }

    /// Looks for more; says whether to go on at once.
    async fn look(&mut self) -> Result<bool, Status> {
        let hub = &self.gateway.hub;
        let size = hub.evidence_size();
        if size == self.seen_size {
            return Ok(false);
        }
        let batches = hub.batches(self.agency.clone(), self.from_batch, BATCHES_AT_ONCE).await;
        let Some(batches) = batches.map_err(answers::unavailable_status)? else {
            // The index is being built.
            return Ok(false);
        };
        if batches.first().is_some_and(|batch| batch.first > self.count.saturating_add(1))
            && self.from_batch != 0
        {
            // Where the caller would begin is too late.
            self.from_batch = 0;
            return Ok(true);
        }
        if batches.is_empty() {
            self.seen_size = size;
        }
        self.found = batches.into();
        Ok(!self.found.is_empty())
    }

    /// What is new of a batch, if anything is.
    async fn answer(&mut self, number: u64) -> Result<Option<wire::FollowAnswer>, Status> {
        let batch = self.gateway.hub.history().batch(number).map_err(|fault| answers::internal(&fault))?;
        let mut new = Vec::new();
        for (entry, of) in (0..).zip(&batch.entries) {
            for record in of.facts.iter().filter_map(Fact::record) {
                let count = self.count_of(record).filter(|count| *count > self.count);
                new.extend(count.map(|count| (Locator { batch: number, entry }, count, record)));
            }
        }
        let Some((at, count, last)) = new.pop() else {
            return Ok(None);
        };
        let receipts = self.gateway.receipts(at).await?;
        let receipt = receipts.iter().find(|receipt| receipt.record().place.index == last.place.index);
        self.count = count;
        Ok(Some(wire::FollowAnswer {
            before: new.iter().map(|(.., record)| salted(record)).collect(),
            last: receipt.map(proto::receipt::Receipt::to_wire),
            batch: number,
        }))
    }

    /// The agency's count of a record; none when it is no party of it.
    fn count_of(&self, record: &Record) -> Option<u64> {
        record.place.links.iter().find(|link| link.party == self.agency).map(|link| link.count)
    }
}

fn salted(record: &Record) -> wire::SaltedRecord {
    wire::SaltedRecord { record: record.bytes().to_vec(), salt: record.salt.0.to_vec() }
}
