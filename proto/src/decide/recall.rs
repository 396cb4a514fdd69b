//! What an act takes back of what its recipient has not fetched yet. Not here: what was fetched, which
//! only its holder can destroy ([`Act::ConfirmPurge`]).

use std::collections::BTreeSet;

use super::of_mail;
use crate::{
    delivery::Mail,
    digest::Digest,
    evidence::Event,
    fact::Effect,
    header::Header,
    ids::Release,
    lifecycle::{Act, Status},
    state::State,
};

/// One record for each mail that leaves the mailbox of the agency asked, because of an act in its
/// attempt that leads to the status `after`.
pub(super) fn taken_back(state: &State, header: &Header, after: Status) -> Vec<Effect> {
    let asked = if header.from == header.referral.opened_by { &header.to } else { &header.from };
    let mailbox = state.mailboxes().of(asked).into_iter();
    let waiting = mailbox.flat_map(|mailbox| mailbox.of_referral(&header.referral));
    let waiting: Vec<_> = waiting.filter(|mail| mail.attempt == header.attempt).collect();
    let identities = waiting.iter().filter(|mail| mail.release == Release::OnAcceptance);
    let disclosed: BTreeSet<_> = identities.map(|mail| mail.envelope).collect();
    let fates = waiting.iter().filter_map(|mail| {
        let fate = fate(mail, header, after, &disclosed)?;
        Some(of_mail(fate, asked, mail).into())
    });
    fates.collect()
}

/// Nobody fetches what was recalled; and identity travels only while she agrees and the attempt goes
/// on. With identity goes what came in the same envelope.
fn fate(mail: &Mail, header: &Header, after: Status, disclosed: &BTreeSet<Digest>) -> Option<Event> {
    let tells_of_an_end =
        matches!(mail.act, Act::Recall | Act::WithdrawConsent | Act::EnteredInError | Act::RequestCancel);
    let identity = disclosed.contains(&mail.envelope) || mail.act == Act::Disclose;
    let withdraws = header.act == Act::WithdrawConsent;
    let recalls = matches!(header.act, Act::Recall | Act::EnteredInError);
    let ends = withdraws || after.is_final();
    let resealed = header.act == Act::Reseal && header.in_reply_to.is_none_or(|it| it == mail.envelope);
    if (recalls && !tells_of_an_end) || (ends && identity) {
        Some(Event::Recalled)
    } else if mail.blocked && (resealed || withdraws || recalls) {
        // It can never be opened, and what follows must not wait behind it.
        Some(Event::ReturnedForResealing)
    } else {
        None
    }
}
