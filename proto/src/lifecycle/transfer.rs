//! Who answers for a case. A referral leaves it with the agency that opened it: another one helps. Only a
//! transfer that was offered and accepted moves it; from then on the recipient answers for her, and what is
//! taken back or cancelled by the referrer would leave her with nobody. Not here: what an act does to the
//! status (`lifecycle`).

use super::Act;
use crate::ids::closed_list;

closed_list!(
    /// Who answers for a case, in the present attempt.
    Responsibility {
        /// The agency that opened it.
        Referrer = 1,
        /// Still that one; it has offered to hand it over.
        Offered = 2,
        /// The recipient, which has accepted the transfer.
        Recipient = 3,
    }
);

impl Responsibility {
    /// Who answers after an act; none when the act is not legal as it stands. A new attempt begins with the
    /// referrer again.
    #[must_use]
    pub fn after(self, act: Act) -> Option<Self> {
        use Responsibility::{Offered, Recipient, Referrer};
        if act == Act::OfferTransfer {
            (self == Referrer).then_some(Offered)
        } else if act == Act::AcceptTransfer {
            (self == Offered).then_some(Recipient)
        } else if act == Act::DeclineTransfer {
            (self == Offered).then_some(Referrer)
        } else if matches!(act, Act::RequestCancel | Act::Recall | Act::EnteredInError) {
            (self != Recipient).then_some(self)
        } else {
            Some(self)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_table() {
        use Responsibility::{Offered, Recipient, Referrer};
        let rows = [
            (Act::OfferTransfer, [Some(Offered), None, None]),
            (Act::AcceptTransfer, [None, Some(Recipient), None]),
            (Act::DeclineTransfer, [None, Some(Referrer), None]),
            (Act::RequestCancel, [Some(Referrer), Some(Offered), None]),
            (Act::Recall, [Some(Referrer), Some(Offered), None]),
            (Act::EnteredInError, [Some(Referrer), Some(Offered), None]),
        ];
        for act in Act::ALL {
            let found = rows.iter().find(|(row, _)| row == act).map(|(_, after)| *after);
            let expected = found.unwrap_or([Some(Referrer), Some(Offered), Some(Recipient)]);
            for (before, after) in Responsibility::ALL.iter().zip(expected) {
                assert_eq!(before.after(*act), after, "{before:?} {act:?}");
            }
        }
    }

    #[test]
    fn her_word_counts_whoever_answers_for_her() {
        for responsibility in Responsibility::ALL {
            assert!(responsibility.after(Act::WithdrawConsent).is_some());
            assert!(responsibility.after(Act::ChangeContact).is_some());
        }
    }
}
