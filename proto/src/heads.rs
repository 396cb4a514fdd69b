//! The heads of all agencies' own chains of records, committed once a day. An agency that follows its
//! records sees a gap at once, but not that the newest are kept from it: a gateway that does so must still
//! commit to a head, and show the agency the one that it has shown to everybody.

use crate::{
    digest::Digest,
    evidence::Commitment,
    ids::{AgencyId, Locator, TimeMs},
    log::{
        Unproven,
        merkle::{Frontier, Growth, leaf_hash, verify_inclusion},
    },
    state::Head,
};

/// What the hash of a head begins with.
const HEAD_DOMAIN: &[u8] = b"referral/head/v1\0";
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The day of a moment, counted from 1970 in UTC.
#[must_use]
pub(crate) const fn day(time: TimeMs) -> u64 {
    time.0 / DAY_MS
}

/// The heads that were committed last.
#[derive(Clone, PartialEq, Debug)]
pub struct CommittedHeads {
    /// Where the record of it stands.
    pub at: Locator,
    /// In the order of their names.
    pub heads: Vec<(AgencyId, Head)>,
}

/// One agency's place in a commitment.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HeadProof {
    /// Its number among the heads.
    pub place: u64,
    /// Its head at that moment.
    pub head: Head,
    /// From the head's sibling upwards.
    pub path: Vec<Digest>,
}

impl CommittedHeads {
    /// The place of an agency; nothing when it had no record.
    #[must_use]
    pub fn proof(&self, agency: &AgencyId) -> Option<HeadProof> {
        let place = self.heads.binary_search_by(|(one, _)| one.cmp(agency)).ok()?;
        let (_, head) = self.heads.get(place)?;
        let place = u64::try_from(place).ok()?;
        let tree = tree(self.heads.iter().map(|(agency, head)| (agency, head)));
        Some(HeadProof { place, head: *head, path: tree.inclusion_proof(place).ok()? })
    }
}

impl HeadProof {
    /// Checks that a commitment to so many heads holds this one.
    ///
    /// # Errors
    /// [`Unproven`].
    pub fn verify(&self, agency: &AgencyId, count: u64, root: Digest) -> Result<(), Unproven> {
        verify_inclusion(self.place, count, hash(agency, &self.head), &self.path, root)
    }
}

/// The commitment to heads in the order of their names: a Merkle root as of RFC 6962.
pub fn root<'a>(heads: impl IntoIterator<Item = (&'a AgencyId, &'a Head)>) -> Digest {
    tree(heads).root()
}

fn tree<'a>(heads: impl IntoIterator<Item = (&'a AgencyId, &'a Head)>) -> Growth {
    let hashes: Vec<_> = heads.into_iter().map(|(agency, head)| hash(agency, head)).collect();
    Growth::new(&Frontier::default(), &hashes)
}

fn hash(agency: &AgencyId, head: &Head) -> Digest {
    let Head { count, last: Commitment(last) } = head;
    let name = agency.as_str().as_bytes();
    leaf_hash(&[HEAD_DOMAIN, name, &[0], &count.to_be_bytes(), last.as_bytes()].concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn agency(number: u64) -> AgencyId {
        AgencyId::parse(&format!("xx.agency-{number}"), "agency").unwrap()
    }

    fn committed(count: u64) -> CommittedHeads {
        let last = |number: u64| Commitment(Digest::of(&number.to_be_bytes()));
        let head = |number: u64| Head { count: number.saturating_add(1), last: last(number) };
        let mut heads: Vec<_> = (0..count).map(|number| (agency(number), head(number))).collect();
        heads.sort_by(|one, other| one.0.cmp(&other.0));
        CommittedHeads { at: Locator { batch: 1, entry: 0 }, heads }
    }

    #[test]
    fn every_head_is_proved_and_no_other() {
        for count in 1..20 {
            let committed = committed(count);
            let root = root(committed.heads.iter().map(|(agency, head)| (agency, head)));
            for (name, head) in &committed.heads {
                let proof = committed.proof(name).unwrap();
                assert_eq!((proof.head, proof.verify(name, count, root)), (*head, Ok(())));
                let shorter = Head { count: head.count.saturating_sub(1), ..*head };
                assert!(HeadProof { head: shorter, ..proof.clone() }.verify(name, count, root).is_err());
                assert!(proof.verify(&agency(99), count, root).is_err());
            }
            assert_eq!(committed.proof(&agency(99)), None);
        }
    }

    #[test]
    fn a_day_begins_at_midnight_in_utc() {
        assert_eq!([0, DAY_MS - 1, DAY_MS].map(|ms| day(TimeMs(ms))), [0, 0, 1]);
    }
}
