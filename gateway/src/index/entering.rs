//! The rows of one batch, as its records are gone through: from memory, or as its outline tells. Not
//! here: where they go.

use std::collections::BTreeMap;

use proto::{
    batch::Batch,
    digest::Digest,
    evidence::{Event, Record},
    fact::Fact,
    ids::{AgencyId, EnvelopeId, Locator, ReferralKey},
    known::Known,
    outline::{Mention, Outline},
};

use super::{key, rows::Sorted};

/// The rows of a batch, on their way.
pub(super) struct Entering<'a> {
    rows: &'a mut Sorted,
    batch: u64,
    first: Option<u64>,
    /// Of each party its first count: one row of a batch, however many records.
    parties: BTreeMap<&'a AgencyId, u64>,
    /// Most entries make several records of one referral.
    last: Option<(&'a ReferralKey, Locator)>,
}

impl<'a> Entering<'a> {
    /// Enters a batch that was just committed.
    pub(super) fn batch(batch: &'a Batch, number: u64, rows: &'a mut Sorted) {
        let mut entering = Self::new(number, rows);
        for (entry, of) in (0..).zip(&batch.entries) {
            let at = Locator { batch: number, entry };
            of.facts.iter().filter_map(Fact::record).for_each(|record| entering.record(record, at));
        }
        entering.end();
    }

    /// Enters a batch of the journal.
    pub(super) fn outline(batch: &'a Outline, number: u64, rows: &'a mut Sorted) {
        let mut entering = Self::new(number, rows);
        for mention in &batch.mentions {
            entering.mention(mention, Locator { batch: number, entry: mention.entry });
        }
        entering.end();
    }

    fn new(batch: u64, rows: &'a mut Sorted) -> Self {
        Self { rows, batch, first: None, parties: BTreeMap::new(), last: None }
    }

    fn record(&mut self, record: &'a Record, at: Locator) {
        let what = &record.what;
        self.first.get_or_insert(record.place.index);
        if let (Event::SubmissionAcceptance, Some(from), Some(id), Some(digest)) =
            (what.event, &what.sender, what.envelope_id, what.envelope)
        {
            self.accepted(id, from, digest, at);
        }
        self.referral(what.referral.as_ref(), at);
        for link in &record.place.links {
            self.parties.entry(&link.party).or_insert(link.count);
        }
    }

    fn mention(&mut self, mention: &'a Mention, at: Locator) {
        self.first.get_or_insert(mention.index);
        if let Some((key, digest)) = &mention.accepted {
            self.accepted(key.id, &key.from, *digest, at);
        }
        self.referral(mention.referral.as_ref(), at);
        for (party, count) in &mention.parties {
            self.parties.entry(party).or_insert(*count);
        }
    }

    fn accepted(&mut self, id: EnvelopeId, from: &AgencyId, digest: Digest, at: Locator) {
        self.rows.insert(key::envelope(id, from), key::known_value(&Known { digest, at }));
    }

    fn referral(&mut self, referral: Option<&'a ReferralKey>, at: Locator) {
        if let Some(referral) = referral.filter(|referral| self.last != Some((*referral, at))) {
            self.rows.insert(key::referral_at(referral, at), Vec::new());
            self.last = Some((referral, at));
        }
    }

    fn end(self) {
        for (party, first) in self.parties {
            self.rows.insert(key::party_at(party, self.batch), first.to_be_bytes().to_vec());
        }
        if let Some(first) = self.first {
            self.rows.insert(key::leaf(first), self.batch.to_be_bytes().to_vec());
        }
    }
}
