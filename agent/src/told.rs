//! What the gateway did by itself (a clock that was missed, an escalation), as the agency's own records
//! tell it: each names the one before it, so that none can be left out unseen. Not here: fetching them
//! (`link::evidence`), and what follows for a referral (`case`).

use proto::{
    Malformed,
    digest::Digest,
    evidence::{Commitment, Event, Happening, PartyLink, Record},
    heads::HeadProof,
    ids::AgencyId,
    log::{Unproven, policy::Policy},
    receipt::Receipt,
    state::Head,
    wire,
};
use thiserror::Error;

use crate::{case::Logged, records};

/// Bytes of a hash.
const DIGEST_BYTES: usize = 32;

/// Something that is told of a referral.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Its record.
    pub logged: Logged,
    /// What it says.
    pub what: Happening,
}

/// How far the agency's own records were followed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Position {
    /// How many there are up to here.
    pub count: u64,
    /// Commitment of the last one; empty before the first.
    pub commitment: Vec<u8>,
    /// The batch of the last one.
    pub batch: u64,
}

/// Why records are not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotChained {
    /// Not of their form.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// They prove nothing.
    #[error(transparent)]
    Unproven(#[from] Unproven),
    /// One of them does not follow the one before it.
    #[error("record {0} of this agency's own does not follow the one before it")]
    Gap(u64),
    /// The gateway has committed to one, and does not show it.
    #[error("record {0} of this agency's own was committed to, and is not shown")]
    Withheld(u64),
}

/// Checks that records follow each other, and that the last of them is in the log.
///
/// # Errors
/// [`NotChained`].
pub fn chain(
    answer: wire::FollowAnswer,
    me: &AgencyId,
    after: &Position,
    policy: &Policy,
) -> Result<(Position, Vec<Record>), NotChained> {
    let last = Receipt::parse(answer.last.ok_or(Malformed::Missing { field: "last" })?)?;
    let before = answer.before.into_iter().map(|salted| Record::parse(salted.record, &salted.salt));
    let mut records = before.collect::<Result<Vec<_>, _>>()?;
    last.verify(policy)?;
    records.push(last.record().clone());
    let mut position = Position { batch: answer.batch, ..after.clone() };
    for record in &records {
        let next = position.count.saturating_add(1);
        let link = record.place.links.iter().find(|link| link.party == *me);
        let previous =
            |link: &PartyLink| link.previous.map_or_else(Vec::new, |commitment| commitment.0.to_vec());
        if !link.is_some_and(|link| link.count == next && previous(link) == position.commitment) {
            return Err(NotChained::Gap(next));
        }
        (position.count, position.commitment) = (next, record.commitment().0.to_vec());
    }
    Ok((position, records))
}

/// How far this agency's own records go, as the gateway has committed to it before everybody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// How many there are at the least.
    pub count: u64,
    commitment: Commitment,
}

impl Committed {
    /// Reads and checks an answer; nothing before the first commitment.
    ///
    /// # Errors
    /// [`NotChained`].
    pub fn of(answer: wire::HeadAnswer, me: &AgencyId, policy: &Policy) -> Result<Option<Self>, NotChained> {
        let wire::HeadAnswer { receipt: Some(receipt), head, place, path } = answer else {
            return Ok(None);
        };
        let head = PartyLink::parse(&head.ok_or(Malformed::Missing { field: "head" })?)?;
        let last = head.previous.ok_or(Malformed::Missing { field: "head.previous" })?;
        let (hashes, rest) = path.as_chunks::<DIGEST_BYTES>();
        if !rest.is_empty() {
            return Err(Malformed::Length { field: "path" }.into());
        }
        let path = hashes.iter().copied().map(Digest).collect();
        let receipt = Receipt::parse(receipt)?;
        receipt.verify(policy)?;
        let what = &receipt.record().what;
        let (Event::HeadsCommitted, Some(root)) = (what.event, what.object) else {
            return Err(Malformed::Form { field: "receipt" }.into());
        };
        let proof = HeadProof { place, head: Head { count: head.count, last }, path };
        proof.verify(me, what.count, root)?;
        Ok(Some(Self { count: head.count, commitment: last }))
    }

    /// Whether what was followed up to the same count is that to which the gateway has committed.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn check_position(&self, position: &Position) -> Result<(), NotChained> {
        let same = position.count != self.count || position.commitment == self.commitment.0.as_bytes();
        if same { Ok(()) } else { Err(NotChained::Gap(self.count)) }
    }

    /// Whether the records of this agency's own are those to which the gateway has committed.
    ///
    /// # Errors
    /// [`NotChained::Gap`]: it has shown this agency another one than it has committed to.
    pub fn check(&self, records: &[Record], me: &AgencyId) -> Result<(), NotChained> {
        let is_it = |record: &&Record| {
            record.place.links.iter().any(|link| link.party == *me && link.count == self.count)
        };
        match records.iter().find(is_it) {
            Some(record) if record.commitment() != self.commitment => Err(NotChained::Gap(self.count)),
            Some(_) | None => Ok(()),
        }
    }
}

/// Whether a record tells an agency what it hears of in no other way. Its own envelopes are answered, and
/// those of others are delivered.
#[must_use]
pub fn tells(what: &Happening, me: &AgencyId) -> bool {
    use Event as E;
    let is_ours = what.sender.as_ref() == Some(me);
    what.referral.is_some()
        && match what.event {
            E::ContentConsignmentFailure
            | E::AcceptanceRejectionExpiry
            | E::Escalated
            | E::EscalationStopped
            | E::ClockMissed
            | E::Expired
            | E::Recalled
            | E::ReturnedForResealing
            | E::Erased
            | E::Operated
            | E::NoticeSent
            | E::NoticeFailed => true,
            E::ContentHandover | E::ContentHandoverFailure | E::DisclosureReleased => is_ours,
            // That staff looked is told; what this agency asks itself is not.
            E::Queried => !is_ours,
            E::SubmissionAcceptance
            | E::SubmissionRejection
            | E::ContentConsignment
            | E::ConsignmentAcceptance
            | E::ConsignmentRejection
            | E::Routed
            | E::Seen
            | E::Act
            | E::Purged
            | E::ConsentWithdrawn
            | E::WithdrawalConfirmed
            | E::Taken
            | E::DirectoryChanged
            | E::DenialsCounted
            | E::Started
            | E::Stopped
            | E::Outage
            | E::ClockStepped
            | E::ClockConfirmed
            | E::HeadsCommitted
            | E::Looked
            | E::Restored
            | E::ShardBegun
            | E::DamageFound
            | E::ForkAlarm => false,
        }
}

/// What is written down of records that were followed.
#[must_use]
pub fn record(position: &Position, records: &[Record], me: &AgencyId) -> records::Followed {
    let told = records.iter().filter(|record| tells(&record.what, me));
    let salted = |record: &Record| wire::SaltedRecord {
        record: record.bytes().to_vec(),
        salt: record.salt.0.to_vec(),
    };
    records::Followed {
        count: position.count,
        commitment: position.commitment.clone(),
        batch: position.batch,
        told: told.map(salted).collect(),
    }
}

/// What a record tells.
#[must_use]
pub fn told(salted: &wire::SaltedRecord) -> Option<Told> {
    let record = Record::parse(salted.record.clone(), &salted.salt).ok()?;
    let logged = Logged { index: record.place.index, at: record.place.time };
    Some(Told { logged, what: record.what })
}

#[cfg(test)]
mod tests {
    use proto::ids::{EnvelopeId, ReferralKey, TimeMs};

    use super::*;
    use crate::proof::tests::Log;

    fn me() -> AgencyId {
        AgencyId::parse("ae.dfwac", "me").unwrap()
    }

    /// A record of this agency's own, with its count and the one that it says it follows.
    fn receipt(log: &mut Log, count: u64, previous: Option<Commitment>) -> wire::Receipt {
        let what = Happening { parties: vec![me()], ..Happening::new(Event::ClockMissed) };
        log.receipt_with(what, vec![PartyLink { party: me(), count, previous }])
    }

    fn commitment(receipt: &wire::Receipt) -> Commitment {
        Receipt::parse(receipt.clone()).unwrap().record().commitment()
    }

    fn answer(receipts: &[wire::Receipt]) -> wire::FollowAnswer {
        let (last, before) = receipts.split_last().unwrap();
        let salted =
            |one: &wire::Receipt| wire::SaltedRecord { record: one.record.clone(), salt: one.salt.clone() };
        wire::FollowAnswer { before: before.iter().map(salted).collect(), last: Some(last.clone()), batch: 9 }
    }

    #[test]
    fn records_that_follow_each_other_are_taken_and_nothing_else() {
        let mut log = Log::new(1);
        let policy = log.policy();
        let first = receipt(&mut log, 1, None);
        let second = receipt(&mut log, 2, Some(commitment(&first)));
        let third = receipt(&mut log, 3, Some(commitment(&second)));
        let fork = receipt(&mut log, 3, Some(commitment(&first)));
        let follow =
            |receipts: &[wire::Receipt], after: &Position| chain(answer(receipts), &me(), after, &policy);
        let nowhere = Position::default();
        let (after, records) = follow(&[first.clone(), second.clone()], &nowhere).unwrap();
        assert_eq!((after.count, after.batch, records.len()), (2, 9, 2));
        assert_eq!(follow(std::slice::from_ref(&third), &after).unwrap().0.count, 3);
        for (receipts, after, bad) in [
            (vec![second], &nowhere, 1),
            (vec![first.clone(), third], &nowhere, 2),
            (vec![first.clone()], &after, 3),
            (vec![fork], &after, 3),
        ] {
            assert_eq!(follow(&receipts, after).map(|_| ()), Err(NotChained::Gap(bad)));
        }
        let stranger = AgencyId::parse("jo.mosd", "me").unwrap();
        assert_eq!(
            chain(answer(std::slice::from_ref(&first)), &stranger, &nowhere, &policy).map(|_| ()),
            Err(NotChained::Gap(1))
        );
        // What is not in the log counts for nothing.
        let other = Log::new(2).policy();
        let unproven = chain(answer(&[first]), &me(), &nowhere, &other).map(|_| ());
        assert!(matches!(unproven, Err(NotChained::Unproven(_))), "{unproven:?}");
        assert!(chain(wire::FollowAnswer::default(), &me(), &nowhere, &policy).is_err());
    }

    /// What the gateway says of its commitment to this agency's head and another one's.
    fn committed(log: &mut Log, count: u64, last: Commitment) -> wire::HeadAnswer {
        let other = AgencyId::parse("jo.mosd", "other").unwrap();
        let heads = vec![(me(), Head { count, last }), (other, Head { count: 3, last })];
        let root = proto::heads::root(heads.iter().map(|(agency, head)| (agency, head)));
        let what = Happening { object: Some(root), count: 2, ..Happening::new(Event::HeadsCommitted) };
        let receipt = log.receipt_with(what, Vec::new());
        let at = proto::ids::Locator { batch: 1, entry: 0 };
        let proof = proto::heads::CommittedHeads { at, heads }.proof(&me()).unwrap();
        let head = PartyLink { party: me(), count, previous: Some(last) };
        wire::HeadAnswer {
            receipt: Some(receipt),
            head: Some(head.to_wire()),
            place: proof.place,
            path: proof.path.iter().flat_map(|hash| *hash.as_bytes()).collect(),
        }
    }

    #[test]
    fn what_was_committed_to_must_be_what_is_shown() {
        let mut log = Log::new(1);
        let policy = log.policy();
        let first = receipt(&mut log, 1, None);
        let second = receipt(&mut log, 2, Some(commitment(&first)));
        let (position, records) =
            chain(answer(&[first.clone(), second.clone()]), &me(), &Position::default(), &policy).unwrap();
        let read = |answer: wire::HeadAnswer| Committed::of(answer, &me(), &policy);
        assert_eq!(read(wire::HeadAnswer::default()), Ok(None), "none yet");
        let honest = committed(&mut log, 2, commitment(&second));
        let known = read(honest.clone()).unwrap().unwrap();
        assert_eq!((known.count, known.check(&records, &me())), (2, Ok(())));
        let other = read(committed(&mut log, 2, commitment(&first))).unwrap().unwrap();
        assert_eq!(other.check(&records, &me()), Err(NotChained::Gap(2)));
        assert_eq!(known.check_position(&position), Ok(()));
        assert_eq!(other.check_position(&position), Err(NotChained::Gap(2)));
        let longer = read(committed(&mut log, 9, commitment(&second))).unwrap().unwrap();
        assert_eq!((longer.count, longer.check(&records, &me())), (9, Ok(())), "the rest may be on its way");
        // Anything but what was committed is no proof.
        let shorter = PartyLink { party: me(), count: 1, previous: Some(commitment(&second)) }.to_wire();
        for (place, bad) in [
            wire::HeadAnswer { head: Some(shorter), ..honest.clone() },
            wire::HeadAnswer { place: 1, ..honest.clone() },
            wire::HeadAnswer { path: vec![0; 31], ..honest.clone() },
            wire::HeadAnswer { path: Vec::new(), ..honest.clone() },
            wire::HeadAnswer { head: None, ..honest.clone() },
            wire::HeadAnswer { receipt: Some(second), ..honest.clone() },
        ]
        .into_iter()
        .enumerate()
        {
            assert!(read(bad).is_err(), "row {place}");
        }
        assert!(Committed::of(honest, &me(), &Log::new(2).policy()).is_err(), "another log");
    }

    #[test]
    fn what_is_heard_of_otherwise_is_not_told() {
        let referral = ReferralKey { id: EnvelopeId::new(TimeMs(1), [1; 10]), opened_by: me() };
        let other = AgencyId::parse("jo.mosd", "sender").unwrap();
        let told = |event, sender: &AgencyId| {
            let (referral, sender) = (Some(referral.clone()), Some(sender.clone()));
            tells(&Happening { referral, sender, ..Happening::new(event) }, &me())
        };
        assert!(told(Event::Escalated, &me()) && told(Event::ClockMissed, &other));
        assert!(told(Event::ContentHandover, &me()) && !told(Event::ContentHandover, &other));
        assert!(told(Event::Queried, &other) && !told(Event::Queried, &me()));
        assert!(!told(Event::SubmissionAcceptance, &me()) && !told(Event::Act, &other));
        assert!(!tells(&Happening::new(Event::ClockMissed), &me()), "of no referral");
    }

    #[test]
    fn what_is_written_down_tells_the_same_again() {
        let mut log = Log::new(1);
        let referral = ReferralKey { id: EnvelopeId::new(TimeMs(1), [1; 10]), opened_by: me() };
        let what = Happening {
            referral: Some(referral),
            attempt: 2,
            agreement: Some(Digest([3; 32])),
            parties: vec![me()],
            ..Happening::new(Event::Escalated)
        };
        let link = PartyLink { party: me(), count: 1, previous: None };
        let receipt = log.receipt_with(what.clone(), vec![link]);
        let (position, records) =
            chain(answer(&[receipt]), &me(), &Position::default(), &log.policy()).unwrap();
        let written = record(&position, &records, &me());
        assert_eq!((written.count, written.told.len()), (1, 1));
        assert_eq!(told(&written.told[0]).unwrap().what, what);
    }
}
