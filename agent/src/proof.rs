//! Receipts that the gateway gives: each is verified, and is about what it was asked for, before it
//! counts. Not here: their form (`proto::receipt`), and keeping them (`office`).

use proto::{
    Malformed,
    digest::Digest,
    evidence::Event,
    ids::ReferralKey,
    log::{Unproven, checkpoint::Checkpoint, policy::Policy},
    receipt::Receipt,
    wire,
};
use thiserror::Error;

/// Why a receipt counts for nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BadReceipt {
    /// Not of its form.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It proves nothing.
    #[error(transparent)]
    Unproven(#[from] Unproven),
    /// It is of another event.
    #[error("the receipt is of another event")]
    OtherEvent,
    /// It is about another envelope or referral.
    #[error("the receipt is about something else")]
    OtherSubject,
}

/// What a receipt must be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About<'a> {
    /// An envelope that was pushed.
    Pushed(&'a Digest),
    /// A push that was refused.
    Rejected,
    /// An envelope that came.
    Came(&'a Digest),
    /// A delivery that the gateway was told of.
    HandedOver(&'a Digest),
    /// Anything in a referral.
    Referral(&'a ReferralKey),
}

impl About<'_> {
    fn events(self) -> Option<&'static [Event]> {
        match self {
            Self::Pushed(_) => Some(&[Event::SubmissionAcceptance]),
            Self::Rejected => Some(&[Event::SubmissionRejection]),
            Self::Came(_) => Some(&[Event::ContentConsignment, Event::DisclosureReleased]),
            Self::HandedOver(_) => Some(&[Event::ContentHandover, Event::ContentHandoverFailure]),
            Self::Referral(_) => None,
        }
    }

    fn is_of(self, receipt: &Receipt) -> bool {
        let what = &receipt.record().what;
        match self {
            Self::Pushed(digest) | Self::Came(digest) | Self::HandedOver(digest) => {
                what.envelope == Some(*digest)
            }
            Self::Rejected => true,
            Self::Referral(referral) => what.referral.as_ref() == Some(referral),
        }
    }
}

/// Verifies a receipt, and that it is about what it should be.
///
/// # Errors
/// [`BadReceipt`].
pub fn verify(receipt: wire::Receipt, policy: &Policy, about: About<'_>) -> Result<Receipt, BadReceipt> {
    let receipt = Receipt::parse(receipt)?;
    receipt.verify(policy)?;
    let event = receipt.record().what.event;
    if !about.events().is_none_or(|events| events.contains(&event)) {
        return Err(BadReceipt::OtherEvent);
    }
    if about.is_of(&receipt) { Ok(receipt) } else { Err(BadReceipt::OtherSubject) }
}

/// Verifies a receipt's file, offline.
///
/// # Errors
/// [`BadReceipt`].
pub fn verify_file(text: &str, policy: &Policy) -> Result<(Receipt, Checkpoint), BadReceipt> {
    let receipt = Receipt::parse_file(text)?;
    let checkpoint = receipt.verify(policy)?;
    Ok((receipt, checkpoint))
}

#[cfg(test)]
pub(crate) mod tests {
    use proto::{
        evidence::{Happening, PartyLink, Place, Record, Salt},
        ids::TimeMs,
        key::SigningKey,
        log::{
            checkpoint::Origin,
            merkle::{Frontier, Growth, leaf_hash},
            note::{KeyType, VerifierKey},
        },
    };

    use super::*;

    /// A log of one's own, to make receipts of.
    pub(crate) struct Log {
        pub(crate) key: SigningKey,
        pub(crate) origin: Origin,
        frontier: Frontier,
    }

    impl Log {
        pub(crate) fn new(seed: u8) -> Self {
            Self {
                key: SigningKey::from_seed(&[seed; 32]),
                origin: Origin::parse("referral.example/log").unwrap(),
                frontier: Frontier::default(),
            }
        }

        pub(crate) fn vkey(&self) -> VerifierKey {
            VerifierKey::new(self.origin.key_name().clone(), KeyType::Ed25519, self.key.public())
        }

        pub(crate) fn policy(&self) -> Policy {
            Policy::unwitnessed(self.vkey()).unwrap()
        }

        pub(crate) fn receipt(&mut self, what: Happening) -> wire::Receipt {
            self.receipt_with(what, Vec::new())
        }

        pub(crate) fn receipt_with(&mut self, what: Happening, links: Vec<PartyLink>) -> wire::Receipt {
            let index = self.frontier.size();
            let place = Place { index, time: TimeMs(index), directory_size: 1, previous: None, links };
            let record = Record::new(what, place, Salt([7; 32]));
            let growth = Growth::new(&self.frontier, &[leaf_hash(&record.commitment().leaf())]);
            let path = growth.inclusion_proof(index).unwrap();
            let checkpoint =
                Checkpoint { origin: self.origin.clone(), size: growth.size(), root: growth.root() };
            self.frontier = growth.into_frontier();
            Receipt::new(record, path, checkpoint.sign(&self.key)).unwrap().to_wire()
        }
    }

    fn of(event: Event, envelope: u8) -> Happening {
        Happening { envelope: Some(Digest([envelope; 32])), ..Happening::new(event) }
    }

    #[test]
    fn only_what_is_proven_and_about_the_question_counts() {
        let mut log = Log::new(1);
        let digest = Digest([5; 32]);
        let policy = log.policy();
        let good = log.receipt(of(Event::SubmissionAcceptance, 5));
        assert!(verify(good.clone(), &policy, About::Pushed(&digest)).is_ok());
        let other = Digest([6; 32]);
        for (about, bad) in [
            (About::Pushed(&other), BadReceipt::OtherSubject),
            (About::Came(&digest), BadReceipt::OtherEvent),
            (About::HandedOver(&digest), BadReceipt::OtherEvent),
            (About::Rejected, BadReceipt::OtherEvent),
        ] {
            assert_eq!(verify(good.clone(), &policy, about).map(|_| ()), Err(bad), "{about:?}");
        }
        let mut record = good.clone();
        record.record[1] ^= 1;
        assert!(verify(record, &policy, About::Pushed(&digest)).is_err());
        let mut salt = good.clone();
        salt.salt[0] ^= 1;
        let unproven = Err(BadReceipt::Unproven(Unproven::RootMismatch));
        assert_eq!(verify(salt, &policy, About::Pushed(&digest)).map(|_| ()), unproven);
        let stranger = Log::new(2).policy();
        assert!(verify(good, &stranger, About::Pushed(&digest)).is_err());
    }

    #[test]
    fn a_file_is_checked_offline() {
        let mut log = Log::new(1);
        log.receipt(of(Event::Started, 1));
        let receipt = Receipt::parse(log.receipt(of(Event::SubmissionAcceptance, 5))).unwrap();
        let file = receipt.to_file();
        let (read, checkpoint) = verify_file(&file, &log.policy()).unwrap();
        assert_eq!((read.record().what.event, checkpoint.size), (Event::SubmissionAcceptance, 2));
        assert!(verify_file(&file.replace("index 1", "index 0"), &log.policy()).is_err());
        assert!(verify_file("", &log.policy()).is_err());
    }
}
