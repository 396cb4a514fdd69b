//! The outbox's order: urgent referrals first, the oldest first among equals, and of each referral
//! only its first, until it is answered. Not here: the envelopes themselves (`state`, `store`).

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use proto::{
    digest::Digest,
    ids::{ReferralKey, Urgency},
};

/// What waits to be pushed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Queue {
    lines: BTreeMap<ReferralKey, VecDeque<Item>>,
    heads: BTreeSet<(Urgency, u64, ReferralKey)>,
    next: u64,
    length: usize,
}

/// An envelope that waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item {
    /// Its digest.
    pub digest: Digest,
    urgency: Urgency,
    order: u64,
}

impl Queue {
    /// How many wait.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.length
    }

    /// Whether none waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.length == 0
    }

    /// The first of each referral, in the order in which they are pushed.
    pub fn heads(&self) -> impl Iterator<Item = (&ReferralKey, Digest)> {
        self.heads.iter().filter_map(|(_, _, referral)| {
            let first = self.lines.get(referral)?.front()?;
            Some((referral, first.digest))
        })
    }

    /// What waits of one referral, first first.
    pub fn of(&self, referral: &ReferralKey) -> impl Iterator<Item = Digest> {
        self.lines.get(referral).into_iter().flatten().map(|item| item.digest)
    }

    /// Everything that waits.
    pub fn all(&self) -> impl Iterator<Item = (ReferralKey, Digest)> + use<'_> {
        let each = |(referral, line): (&ReferralKey, &VecDeque<Item>)| {
            let referral = referral.clone();
            line.iter().map(|item| (referral.clone(), item.digest)).collect::<Vec<_>>()
        };
        self.lines.iter().flat_map(each)
    }

    /// Puts an envelope behind the others of its referral.
    pub fn put(&mut self, referral: &ReferralKey, digest: Digest, urgency: Urgency) {
        self.unlist(referral);
        let item = Item { digest, urgency, order: self.next };
        self.next += 1;
        self.length += 1;
        self.lines.entry(referral.clone()).or_default().push_back(item);
        self.list(referral);
    }

    /// Takes an envelope out, wherever it stands.
    pub fn take(&mut self, referral: &ReferralKey, digest: &Digest) {
        self.unlist(referral);
        if let Some(line) = self.lines.get_mut(referral) {
            let before = line.len();
            line.retain(|item| item.digest != *digest);
            self.length -= before - line.len();
            if line.is_empty() {
                self.lines.remove(referral);
            }
        }
        self.list(referral);
    }

    /// The most urgent of a line lends its urgency to those before it, which must go first.
    fn head(&self, referral: &ReferralKey) -> Option<(Urgency, u64, ReferralKey)> {
        let line = self.lines.get(referral)?;
        let urgency = line.iter().map(|item| item.urgency).min()?;
        Some((urgency, line.front()?.order, referral.clone()))
    }

    fn unlist(&mut self, referral: &ReferralKey) {
        if let Some(head) = self.head(referral) {
            self.heads.remove(&head);
        }
    }

    fn list(&mut self, referral: &ReferralKey) {
        if let Some(head) = self.head(referral) {
            self.heads.insert(head);
        }
    }
}

#[cfg(test)]
mod tests {
    use proto::ids::{AgencyId, EnvelopeId, TimeMs};

    use super::*;

    fn referral(number: u64) -> ReferralKey {
        let opened_by = AgencyId::parse("ae.dfwac", "from").unwrap();
        ReferralKey { id: EnvelopeId::new(TimeMs(number), [0; 10]), opened_by }
    }

    fn digest(number: u8) -> Digest {
        Digest([number; 32])
    }

    fn heads(queue: &Queue) -> Vec<u8> {
        queue.heads().map(|(_, digest)| digest.0[0]).collect()
    }

    #[test]
    fn urgent_first_between_referrals_strict_order_within_one() {
        let mut queue = Queue::default();
        queue.put(&referral(10), digest(1), Urgency::Normal);
        queue.put(&referral(20), digest(2), Urgency::Normal);
        queue.put(&referral(30), digest(3), Urgency::Emergency);
        assert_eq!(heads(&queue), [3, 1, 2]);
        queue.put(&referral(20), digest(4), Urgency::Urgent);
        assert_eq!(heads(&queue), [3, 2, 1], "the urgent one behind it pulls the first of its referral");
        assert_eq!(queue.len(), 4);
        queue.take(&referral(20), &digest(2));
        assert_eq!(heads(&queue), [3, 4, 1]);
        assert_eq!(queue.of(&referral(20)).collect::<Vec<_>>(), [digest(4)]);
        queue.take(&referral(20), &digest(9));
        for (of, number) in [(30, 3), (20, 4), (10, 1)] {
            queue.take(&referral(of), &digest(number));
        }
        assert!(queue.is_empty() && heads(&queue).is_empty());
    }
}
