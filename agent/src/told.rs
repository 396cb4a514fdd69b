//! What the gateway did by itself (a clock that was missed, an escalation), as the agency's own records
//! tell it: each names the one before it, so that none can be left out unseen. Not here: fetching them
//! (`link::evidence`), and what follows for a referral (`case`).

use proto::{
    Malformed,
    evidence::{Event, Happening, Record},
    ids::AgencyId,
    log::{Unproven, policy::Policy},
    receipt::Receipt,
    wire,
};
use thiserror::Error;

use crate::{case::Logged, records};

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
        let previous = |link: &proto::evidence::PartyLink| {
            link.previous.map_or_else(Vec::new, |commitment| commitment.0.to_vec())
        };
        if !link.is_some_and(|link| link.count == next && previous(link) == position.commitment) {
            return Err(NotChained::Gap(next));
        }
        (position.count, position.commitment) = (next, record.commitment().0.to_vec());
    }
    Ok((position, records))
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
            | E::Operated
            | E::Started
            | E::Stopped
            | E::Outage
            | E::ClockStepped
            | E::ClockConfirmed
            | E::HeadsCommitted
            | E::Restored
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
