//! Mailboxes: what waits for each agency, and in which order it is handed over. Not here: streams
//! and leases (the gateway), and what a handover means to a referral (`referral`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::{
    digest::Digest,
    evidence::{Event, Happening},
    ids::{AgencyId, Locator, ReferralKey, Release, TimeMs, Urgency},
    lifecycle::Act,
    log::shard::{ShardNo, Shards},
};

/// Most envelopes that wait in one mailbox.
pub const MAILBOX_ITEMS_MAX: usize = 100_000;

/// An envelope, or the parts of it that an acceptance released, waiting for its recipient.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each field is described in journal.proto (Mail), once")]
pub struct Mail {
    /// Number of its consignment in the evidence log: orders what waits.
    pub order: u64,
    pub envelope: Digest,
    pub from: AgencyId,
    pub referral: ReferralKey,
    pub attempt: u32,
    pub act: Act,
    pub urgency: Urgency,
    pub expires_at: TimeMs,
    pub at: Locator,
    pub release: Release,
    /// SHA-256 of the digests of its parts, one after the other.
    pub parts: Digest,
    /// The recipient could not open it: it waits for its sender, and what follows in its referral
    /// waits with it.
    pub blocked: bool,
}

/// What a record does to mail. The mailboxes and each referral's own count of what waits both
/// follow it, so they cannot come apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Movement {
    /// An envelope enters its recipient's mailbox.
    Consigned,
    /// Parked parts enter it.
    Released,
    /// Mail leaves: handed over, expired, or back to its sender.
    Gone,
    /// Mail stays, and waits for its sender.
    Blocked,
}

impl Movement {
    pub(crate) fn of(what: &Happening) -> Option<Self> {
        // A recall's own record names the recall; that of what it takes back names what it was.
        let taken_back = what.event == Event::Recalled && what.act != Some(Act::Recall);
        let gone =
            matches!(what.event, Event::ContentHandover | Event::Expired | Event::ReturnedForResealing);
        if what.event == Event::ContentConsignment {
            Some(Self::Consigned)
        } else if what.event == Event::DisclosureReleased {
            Some(Self::Released)
        } else if gone || taken_back {
            Some(Self::Gone)
        } else if what.event == Event::ContentHandoverFailure {
            Some(Self::Blocked)
        } else {
            None
        }
    }
}

/// The digest of a list of part digests.
#[must_use]
pub fn digest_of_parts(part_digests: &[Digest]) -> Digest {
    let runs: Vec<&[u8]> = part_digests.iter().map(|digest| digest.as_bytes().as_slice()).collect();
    Digest::of_all(&runs)
}

/// How a digest begins: enough to find what waits under it among a few, at a quarter of the room.
type Start = [u8; 8];

fn start(digest: &Digest) -> Start {
    let [b0, b1, b2, b3, b4, b5, b6, b7, ..] = *digest.as_bytes();
    [b0, b1, b2, b3, b4, b5, b6, b7]
}

/// The hand-over id of mail: its order, 8 bytes; behind a restore also its shard, 4 bytes, since what was lost
/// had the same numbers. Big-endian.
#[must_use]
pub fn handover_id(order: u64, evidence: &Shards) -> Vec<u8> {
    let shard = evidence.of_size(order.saturating_add(1));
    let mut id = order.to_be_bytes().to_vec();
    if shard != ShardNo::FIRST {
        id.extend(shard.get().to_be_bytes());
    }
    id
}

/// All mailboxes.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Mailboxes {
    boxes: BTreeMap<AgencyId, Mailbox>,
    /// When the first mail of each mailbox expires.
    expiries: BTreeSet<(TimeMs, AgencyId)>,
}

/// What waits for one agency. Each index is one flat set, not a set of sets: most referrals have one
/// envelope waiting, and a tree of its own for each would be larger than the mail.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Mailbox {
    /// Shared with a snapshot while that is written.
    items: BTreeMap<u64, Arc<Mail>>,
    by_envelope: BTreeSet<(Start, u64)>,
    expiries: BTreeSet<(TimeMs, u64)>,
    /// What waits of a referral, by age.
    by_age: BTreeSet<(ReferralKey, u64)>,
    /// The same by urgency, of what is urgent. Looking for the most urgent must not walk all of a referral: a
    /// sender can make it as long as the mailbox.
    by_urgency: BTreeSet<(ReferralKey, Urgency, u64)>,
    /// The referrals that have something to hand over now: by urgency, then by age.
    heads: BTreeSet<(Urgency, u64)>,
    /// Referrals that operators hold back: nothing of them is handed over.
    held: BTreeSet<ReferralKey>,
}

impl Mailboxes {
    /// What waits for an agency; nothing when it has no mailbox yet.
    #[must_use]
    pub fn of(&self, agency: &AgencyId) -> Option<&Mailbox> {
        self.boxes.get(agency)
    }

    /// How many envelopes wait for an agency.
    #[must_use]
    pub fn waiting(&self, agency: &AgencyId) -> usize {
        self.of(agency).map_or(0, |mailbox| mailbox.items.len())
    }

    /// How many envelopes wait for each agency that has some.
    pub fn counts(&self) -> impl Iterator<Item = (&AgencyId, usize)> {
        self.boxes.iter().map(|(agency, mailbox)| (agency, mailbox.items.len()))
    }

    /// How many envelopes wait in all mailboxes.
    #[must_use]
    pub fn count(&self) -> usize {
        self.boxes.values().map(|mailbox| mailbox.items.len()).sum()
    }

    /// Everything that waits, by mailbox and age.
    pub fn all(&self) -> impl Iterator<Item = (&AgencyId, &Arc<Mail>)> {
        let boxes = self.boxes.iter();
        boxes.flat_map(|(agency, mailbox)| mailbox.items.values().map(move |mail| (agency, mail)))
    }

    /// The first mail that has expired by a moment, and whose it is.
    #[must_use]
    pub fn expired(&self, now: TimeMs) -> Option<(&AgencyId, &Mail)> {
        let (expires_at, agency) = self.expiries.first()?;
        if *expires_at > now {
            return None;
        }
        let mailbox = self.of(agency)?;
        let (_, order) = mailbox.expiries.first()?;
        Some((agency, mailbox.get(*order)?))
    }

    /// When the next mail expires.
    #[must_use]
    pub fn next_expiry(&self) -> Option<TimeMs> {
        self.expiries.first().map(|(expires_at, _)| *expires_at)
    }

    /// Puts mail into a mailbox.
    pub(crate) fn put(&mut self, agency: &AgencyId, mail: Mail) {
        let mailbox = self.boxes.entry(agency.clone()).or_default();
        let before = mailbox.next_expiry();
        mailbox.put(mail);
        let after = mailbox.next_expiry();
        self.relist(agency, before, after);
    }

    /// Takes mail out of a mailbox.
    pub(crate) fn take(&mut self, agency: &AgencyId, order: u64) {
        let Some(mailbox) = self.boxes.get_mut(agency) else {
            return;
        };
        let before = mailbox.next_expiry();
        mailbox.take(order);
        let after = mailbox.next_expiry();
        self.relist(agency, before, after);
        self.forget_if_empty(agency);
    }

    fn relist(&mut self, agency: &AgencyId, before: Option<TimeMs>, after: Option<TimeMs>) {
        if before == after {
            return;
        }
        if let Some(before) = before {
            self.expiries.remove(&(before, agency.clone()));
        }
        if let Some(after) = after {
            self.expiries.insert((after, agency.clone()));
        }
    }

    /// Hands nothing of a referral over to an agency any more.
    pub(crate) fn hold_back(&mut self, agency: &AgencyId, referral: &ReferralKey) {
        self.boxes.entry(agency.clone()).or_default().hold_back(referral);
    }

    /// Hands it over again.
    pub(crate) fn let_go(&mut self, agency: &AgencyId, referral: &ReferralKey) {
        if let Some(mailbox) = self.boxes.get_mut(agency) {
            mailbox.let_go(referral);
        }
        self.forget_if_empty(agency);
    }

    fn forget_if_empty(&mut self, agency: &AgencyId) {
        if self.boxes.get(agency).is_some_and(|mailbox| mailbox.items.is_empty() && mailbox.held.is_empty()) {
            self.boxes.remove(agency);
        }
    }

    /// Marks mail that its recipient could not open.
    pub(crate) fn block(&mut self, agency: &AgencyId, order: u64) {
        if let Some(mailbox) = self.boxes.get_mut(agency) {
            mailbox.block(order);
        }
    }
}

impl Mailbox {
    /// What may be handed over now, in order: urgent referrals first, the oldest first among equals,
    /// and of each referral only its oldest envelope, so that order within it is strict.
    pub fn heads(&self) -> impl Iterator<Item = &Mail> {
        self.heads.iter().filter_map(|(_, order)| self.get(*order))
    }

    /// The oldest mail under an envelope's digest.
    #[must_use]
    pub fn find(&self, envelope: &Digest) -> Option<&Mail> {
        self.under(envelope).find(|mail| mail.envelope == *envelope)
    }

    /// The mail of this number, while it waits.
    #[must_use]
    pub fn get(&self, order: u64) -> Option<&Mail> {
        self.items.get(&order).map(AsRef::as_ref)
    }

    /// Whether operators hold a referral back here.
    #[must_use]
    pub fn is_held(&self, referral: &ReferralKey) -> bool {
        self.held.contains(referral)
    }

    /// All mail under an envelope's digest, oldest first: the envelope, and what of it was released
    /// later.
    pub fn all_of<'a>(&'a self, envelope: &'a Digest) -> impl Iterator<Item = &'a Mail> {
        self.under(envelope).filter(|mail| mail.envelope == *envelope)
    }

    /// The same, and what happens to begin alike.
    fn under(&self, envelope: &Digest) -> impl Iterator<Item = &Mail> + use<'_> {
        let orders = self.by_envelope.range((start(envelope), 0)..=(start(envelope), u64::MAX));
        orders.filter_map(|(_, order)| self.get(*order))
    }

    /// Everything of one referral that waits here, oldest first.
    pub fn of_referral(&self, referral: &ReferralKey) -> impl Iterator<Item = &Mail> {
        let orders = self.by_age.range((referral.clone(), 0)..=(referral.clone(), u64::MAX));
        orders.filter_map(|(_, order)| self.get(*order))
    }

    fn put(&mut self, mail: Mail) {
        let (referral, order) = (mail.referral.clone(), mail.order);
        self.unlist(&referral);
        self.by_envelope.insert((start(&mail.envelope), order));
        self.expiries.insert((mail.expires_at, order));
        self.by_age.insert((referral.clone(), order));
        if mail.urgency != Urgency::Normal {
            self.by_urgency.insert((referral.clone(), mail.urgency, order));
        }
        self.items.insert(order, Arc::new(mail));
        self.list(&referral);
    }

    fn take(&mut self, order: u64) {
        let Some(mail) = self.items.get(&order).cloned() else {
            return;
        };
        self.unlist(&mail.referral);
        self.items.remove(&order);
        self.by_envelope.remove(&(start(&mail.envelope), order));
        self.expiries.remove(&(mail.expires_at, order));
        self.by_age.remove(&(mail.referral.clone(), order));
        self.by_urgency.remove(&(mail.referral.clone(), mail.urgency, order));
        self.list(&mail.referral);
    }

    fn next_expiry(&self) -> Option<TimeMs> {
        self.expiries.first().map(|(expires_at, _)| *expires_at)
    }

    fn block(&mut self, order: u64) {
        let Some(referral) = self.items.get(&order).map(|mail| mail.referral.clone()) else {
            return;
        };
        self.unlist(&referral);
        if let Some(mail) = self.items.get_mut(&order) {
            Arc::make_mut(mail).blocked = true;
        }
        self.list(&referral);
    }

    fn hold_back(&mut self, referral: &ReferralKey) {
        self.unlist(referral);
        self.held.insert(referral.clone());
    }

    fn let_go(&mut self, referral: &ReferralKey) {
        self.held.remove(referral);
        self.list(referral);
    }

    /// The place of a referral among the heads: its most urgent envelope lends its urgency to the
    /// ones before it, which must go first.
    fn head(&self, referral: &ReferralKey) -> Option<(Urgency, u64)> {
        let first = self.of_referral(referral).next()?;
        let least = (referral.clone(), Urgency::Emergency, 0);
        let urgent = self.by_urgency.range(least..).next().filter(|(of, ..)| of == referral);
        let urgency = urgent.map_or(Urgency::Normal, |(_, urgency, _)| *urgency);
        if first.blocked || self.held.contains(referral) { None } else { Some((urgency, first.order)) }
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
    use super::*;
    use crate::ids::EnvelopeId;

    fn agency(text: &str) -> AgencyId {
        AgencyId::parse(text, "to").unwrap()
    }

    fn referral(number: u64) -> ReferralKey {
        ReferralKey { id: EnvelopeId::new(TimeMs(number), [0; 10]), opened_by: agency("ae.dfwac") }
    }

    fn mail(order: u64, in_referral: u64, urgency: Urgency) -> Mail {
        Mail {
            order,
            envelope: Digest::of(&order.to_be_bytes()),
            from: agency("ae.dfwac"),
            referral: referral(in_referral),
            attempt: 1,
            act: Act::Submit,
            urgency,
            expires_at: TimeMs(1000).plus_ms(order),
            at: Locator { batch: order, entry: 0 },
            release: Release::AtOnce,
            parts: digest_of_parts(&[]),
            blocked: false,
        }
    }

    fn heads(mailboxes: &Mailboxes) -> Vec<u64> {
        mailboxes
            .of(&agency("jo.mosd"))
            .map_or_else(Vec::new, |mailbox| mailbox.heads().map(|mail| mail.order).collect())
    }

    #[test]
    fn urgent_first_between_referrals_strict_order_within_one() {
        let mut mailboxes = Mailboxes::default();
        let to = agency("jo.mosd");
        mailboxes.put(&to, mail(1, 10, Urgency::Normal));
        mailboxes.put(&to, mail(2, 20, Urgency::Normal));
        mailboxes.put(&to, mail(3, 30, Urgency::Emergency));
        assert_eq!(heads(&mailboxes), [3, 1, 2]);
        mailboxes.put(&to, mail(4, 20, Urgency::Urgent));
        assert_eq!(
            heads(&mailboxes),
            [3, 2, 1],
            "the second of referral 20 is urgent, but the first goes first"
        );
        mailboxes.take(&to, 2);
        assert_eq!(heads(&mailboxes), [3, 4, 1]);
        mailboxes.take(&to, 3);
        mailboxes.take(&to, 4);
        mailboxes.take(&to, 1);
        assert_eq!(mailboxes, Mailboxes::default(), "nothing is left behind");
    }

    #[test]
    fn what_cannot_be_opened_blocks_only_its_own_referral() {
        let mut mailboxes = Mailboxes::default();
        let to = agency("jo.mosd");
        mailboxes.put(&to, mail(1, 10, Urgency::Normal));
        mailboxes.put(&to, mail(2, 10, Urgency::Emergency));
        mailboxes.put(&to, mail(3, 20, Urgency::Normal));
        mailboxes.block(&to, 1);
        assert_eq!(heads(&mailboxes), [3]);
        mailboxes.take(&to, 1);
        assert_eq!(heads(&mailboxes), [2, 3]);
    }

    #[test]
    fn what_is_held_back_waits_with_all_that_comes_behind_it() {
        let mut mailboxes = Mailboxes::default();
        let to = agency("jo.mosd");
        mailboxes.put(&to, mail(1, 10, Urgency::Normal));
        mailboxes.put(&to, mail(2, 20, Urgency::Normal));
        mailboxes.hold_back(&to, &referral(10));
        mailboxes.put(&to, mail(3, 10, Urgency::Emergency));
        assert_eq!(heads(&mailboxes), [2]);
        mailboxes.take(&to, 2);
        mailboxes.take(&to, 1);
        assert_eq!(heads(&mailboxes), [0; 0], "it is still held back");
        mailboxes.let_go(&to, &referral(10));
        assert_eq!(heads(&mailboxes), [3]);
        mailboxes.take(&to, 3);
        mailboxes.hold_back(&to, &referral(10));
        mailboxes.let_go(&to, &referral(10));
        assert_eq!(mailboxes, Mailboxes::default(), "nothing is left behind");
    }

    #[test]
    fn expiry_is_found_in_its_order() {
        let mut mailboxes = Mailboxes::default();
        let to = agency("jo.mosd");
        mailboxes.put(&to, mail(2, 10, Urgency::Normal));
        mailboxes.put(&to, mail(1, 20, Urgency::Normal));
        let expired = |mailboxes: &Mailboxes, now| mailboxes.expired(TimeMs(now)).map(|(_, mail)| mail.order);
        assert_eq!(expired(&mailboxes, 1000), None);
        assert_eq!(expired(&mailboxes, 1001), Some(1));
        mailboxes.take(&to, 1);
        assert_eq!(expired(&mailboxes, 1001), None);
        assert_eq!(expired(&mailboxes, 1002), Some(2));
    }
}
