//! What an act, or the end of an attempt, takes back of what its recipient has not fetched yet. Not here:
//! what was fetched, which only its holder can destroy ([`Act::ConfirmPurge`]).

use std::collections::BTreeSet;

use super::of_mail;
use crate::{
    delivery::Mail,
    digest::Digest,
    evidence::Event,
    fact::Effect,
    header::Header,
    ids::{AgencyId, ReferralKey, Release},
    lifecycle::{Act, Status},
    referral::Referral,
    state::State,
};

/// What happens to an attempt, as far as mail of it is taken back.
#[derive(Clone, Copy, Default)]
struct Ending {
    /// Everything is.
    recalls: bool,
    /// Consent is withdrawn.
    withdraws: bool,
    /// The attempt goes on no more.
    ends: bool,
}

/// One record for each mail that leaves the mailbox of the agency asked, because of an act in its
/// attempt that leads to the status `after`.
pub(super) fn taken_back(state: &State, header: &Header, after: Status) -> Vec<Effect> {
    if header.act == Act::Reseal {
        return resealed(state, header);
    }
    let asked = if header.from == header.referral.opened_by { &header.to } else { &header.from };
    let withdraws = header.act == Act::WithdrawConsent;
    let ending = Ending {
        recalls: matches!(header.act, Act::Recall | Act::EnteredInError),
        withdraws,
        ends: withdraws || after.is_final(),
    };
    of_attempt(state, (&header.referral, header.attempt, asked), ending)
}

/// What came anew goes back to its sender: the envelope that is answered, whether its key is lost or in the
/// wrong hands; without one, whatever could not be opened.
fn resealed(state: &State, header: &Header) -> Vec<Effect> {
    let mailbox = state.mailboxes().of(&header.to).into_iter();
    let waiting = mailbox.flat_map(|mailbox| mailbox.of_referral(&header.referral));
    let of_attempt = waiting.filter(|mail| mail.attempt == header.attempt && mail.from == header.from);
    let anew = of_attempt.filter(|mail| match header.in_reply_to {
        Some(envelope) => envelope == mail.envelope,
        None => mail.blocked,
    });
    anew.map(|mail| of_mail(Event::ReturnedForResealing, &header.to, mail).into()).collect()
}

/// Everything of the present attempt that was not fetched.
pub(super) fn all_taken_back(state: &State, key: &ReferralKey, referral: &Referral) -> Vec<Effect> {
    of_present(state, key, referral, Ending { recalls: true, ends: true, ..Ending::default() })
}

/// Identity of the present attempt that was not fetched, with which the attempt ended.
pub(super) fn identities_taken_back(state: &State, key: &ReferralKey, referral: &Referral) -> Vec<Effect> {
    of_present(state, key, referral, Ending { ends: true, ..Ending::default() })
}

fn of_present(state: &State, key: &ReferralKey, referral: &Referral, ending: Ending) -> Vec<Effect> {
    let asked = referral.recipient();
    asked.map_or_else(Vec::new, |asked| of_attempt(state, (key, referral.attempt(), asked), ending))
}

fn of_attempt(
    state: &State,
    (key, attempt, asked): (&ReferralKey, u32, &AgencyId),
    ending: Ending,
) -> Vec<Effect> {
    let mailbox = state.mailboxes().of(asked).into_iter();
    let waiting = mailbox.flat_map(|mailbox| mailbox.of_referral(key));
    let waiting: Vec<_> = waiting.filter(|mail| mail.attempt == attempt).collect();
    let identities = waiting.iter().filter(|mail| mail.release == Release::OnAcceptance);
    let disclosed: BTreeSet<_> = identities.map(|mail| mail.envelope).collect();
    let fates = waiting.iter().filter_map(|mail| {
        let fate = fate(mail, ending, &disclosed)?;
        Some(of_mail(fate, asked, mail).into())
    });
    fates.collect()
}

/// Nobody fetches what was recalled; and identity travels only while she agrees and the attempt goes
/// on. With identity goes what came in the same envelope.
fn fate(mail: &Mail, ending: Ending, disclosed: &BTreeSet<Digest>) -> Option<Event> {
    let tells_of_an_end =
        matches!(mail.act, Act::Recall | Act::WithdrawConsent | Act::EnteredInError | Act::RequestCancel);
    let identity = disclosed.contains(&mail.envelope) || matches!(mail.act, Act::Disclose | Act::Reseal);
    let Ending { recalls, withdraws, ends, .. } = ending;
    if (recalls && !tells_of_an_end) || (ends && identity) {
        Some(Event::Recalled)
    } else if mail.blocked && (withdraws || recalls) {
        // It can never be opened, and what follows must not wait behind it.
        Some(Event::ReturnedForResealing)
    } else {
        None
    }
}
