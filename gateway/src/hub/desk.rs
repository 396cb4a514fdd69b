//! The desk where mail is handed out: streams with their credit, and what each holds on lease. In
//! memory only: after a restart everything that waits is handed out again, marked as a repeat. Not
//! here: what waits, and in which order (`proto::delivery`).

use std::collections::{BTreeMap, BTreeSet};

use proto::{
    delivery::{Mail, Mailbox, Mailboxes},
    evidence::Event,
    ids::AgencyId,
    receipt::Receipt,
};
use tokio::sync::mpsc;

use crate::writer::answer::Answer;

/// Most deliveries that one stream holds without having acknowledged them.
pub const LEASED_MAX: usize = 256;

/// A stream of deliveries, numbered by whoever opens it, never twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct StreamNo(pub u64);

/// Mail that is handed out.
#[derive(Debug, Clone)]
pub struct Handed {
    /// What and where.
    pub mail: Mail,
    /// It may have been handed out before.
    pub repeat: bool,
    /// Of its consignment, when it was consigned just now.
    pub receipt: Option<Receipt>,
}

/// All streams and leases.
pub(super) struct Desk {
    agencies: BTreeMap<AgencyId, Counter>,
    /// Mail of this number and above was consigned since the start.
    fresh_from: u64,
}

/// One agency's streams.
#[derive(Default)]
struct Counter {
    streams: BTreeMap<StreamNo, Stream>,
    leases: BTreeMap<u64, StreamNo>,
    /// What was handed out before and still waits.
    handed: BTreeSet<u64>,
}

struct Stream {
    hands: mpsc::Sender<Handed>,
    credit: usize,
}

impl Desk {
    pub(super) const fn new(fresh_from: u64) -> Self {
        Self { agencies: BTreeMap::new(), fresh_from }
    }

    pub(super) fn attend(&mut self, agency: AgencyId, stream: StreamNo, hands: mpsc::Sender<Handed>) {
        let counter = self.agencies.entry(agency).or_default();
        counter.streams.insert(stream, Stream { hands, credit: 0 });
    }

    pub(super) fn credit(&mut self, mail: &Mailboxes, agency: &AgencyId, stream: StreamNo, more: u32) {
        let Some(counter) = self.agencies.get_mut(agency) else {
            return;
        };
        if let Some(stream) = counter.streams.get_mut(&stream) {
            let more = usize::try_from(more).unwrap_or(LEASED_MAX);
            stream.credit = stream.credit.saturating_add(more).min(LEASED_MAX);
        }
        counter.hand_out(mail.of(agency), self.fresh_from, &Consigned::new());
    }

    pub(super) fn leave(&mut self, mail: &Mailboxes, agency: &AgencyId, stream: StreamNo) {
        let Some(counter) = self.agencies.get_mut(agency) else {
            return;
        };
        counter.streams.remove(&stream);
        counter.leases.retain(|_, holder| *holder != stream);
        counter.hand_out(mail.of(agency), self.fresh_from, &Consigned::new());
        self.forget_if_empty(agency);
    }

    /// After a step: what was acknowledged frees its lease, and what came goes out.
    pub(super) fn hand_out(&mut self, mail: &Mailboxes, touched: BTreeSet<AgencyId>, answers: &[Answer]) {
        let consigned = if self.agencies.is_empty() { Consigned::new() } else { consigned(answers) };
        for agency in touched {
            if let Some(counter) = self.agencies.get_mut(&agency) {
                counter.release(mail.of(&agency));
                counter.hand_out(mail.of(&agency), self.fresh_from, &consigned);
                self.forget_if_empty(&agency);
            }
        }
    }

    pub(super) fn hand_out_to_all(&mut self, mail: &Mailboxes) {
        let all = self.agencies.keys().cloned().collect();
        self.hand_out(mail, all, &[]);
    }

    /// For callers without a stream: no lease, since nothing would tell that they left.
    pub(super) fn fetch(&mut self, mail: &Mailboxes, agency: &AgencyId, count_max: usize) -> Vec<Handed> {
        let Some(mailbox) = mail.of(agency) else {
            return Vec::new();
        };
        let counter = self.agencies.entry(agency.clone()).or_default();
        let free = mailbox.heads().filter(|mail| !counter.leases.contains_key(&mail.order));
        let found: Vec<_> = free.take(count_max).cloned().collect();
        found.into_iter().map(|mail| counter.hand(mail, self.fresh_from, &Consigned::new())).collect()
    }

    /// How many are handed out, and not signed for yet.
    pub(super) fn under_way(&self) -> usize {
        self.agencies.values().map(|counter| counter.leases.len()).sum()
    }

    fn forget_if_empty(&mut self, agency: &AgencyId) {
        let is_empty = |counter: &Counter| counter.streams.is_empty() && counter.handed.is_empty();
        if self.agencies.get(agency).is_some_and(is_empty) {
            self.agencies.remove(agency);
        }
    }
}

impl Counter {
    fn release(&mut self, mailbox: Option<&Mailbox>) {
        let waits = |order: u64| mailbox.is_some_and(|mailbox| mailbox.get(order).is_some());
        self.leases.retain(|order, _| waits(*order));
        self.handed.retain(|order| waits(*order));
    }

    fn hand_out(&mut self, mailbox: Option<&Mailbox>, fresh_from: u64, consigned: &Consigned<'_>) {
        let Some(mailbox) = mailbox else {
            return;
        };
        let mut free = mailbox.heads().filter(|mail| !self.leases.contains_key(&mail.order));
        let mut next = free.next().cloned();
        let numbers: Vec<_> = self.streams.keys().copied().collect();
        let mut chosen = Vec::new();
        for number in numbers {
            let Some(stream) = self.streams.get_mut(&number) else {
                continue;
            };
            while stream.credit > 0 {
                let Some(mail) = next.take() else {
                    break;
                };
                stream.credit = stream.credit.saturating_sub(1);
                chosen.push((number, mail));
                next = free.next().cloned();
            }
        }
        drop(free);
        for (number, mail) in chosen {
            let order = mail.order;
            let handed = self.hand(mail, fresh_from, consigned);
            let Some(stream) = self.streams.get(&number) else {
                continue;
            };
            // The channel is as long as the credit, so only a stream that has ended does not take it;
            // what it held is handed out again when it leaves.
            if stream.hands.try_send(handed).is_ok() {
                self.leases.insert(order, number);
            }
        }
    }

    fn hand(&mut self, mail: Mail, fresh_from: u64, consigned: &Consigned<'_>) -> Handed {
        let repeat = !self.handed.insert(mail.order) || mail.order < fresh_from;
        let receipt = consigned.get(&mail.order).map(|receipt| Receipt::clone(receipt));
        Handed { mail, repeat, receipt }
    }
}

/// Receipts by the number of their record.
type Consigned<'a> = BTreeMap<u64, &'a Receipt>;

/// The receipts of the consignments that a step made.
fn consigned(answers: &[Answer]) -> Consigned<'_> {
    let receipts = answers.iter().flat_map(|answer| match answer {
        Answer::Taken { receipts, .. } => receipts.as_slice(),
        Answer::Refused { .. } | Answer::Busy(_) | Answer::Nothing => &[],
    });
    let releases = [Event::ContentConsignment, Event::DisclosureReleased];
    let consigned = receipts.filter(|receipt| releases.contains(&receipt.record().what.event));
    consigned.map(|receipt| (receipt.record().place.index, receipt)).collect()
}
