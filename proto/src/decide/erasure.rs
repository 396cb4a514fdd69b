//! Ciphertext whose time is over: evidence for the envelope's parties, before it is erased. Not here: when
//! (`retention`), and the erasing itself, which names the record.

use super::{Decision, Stop, of_mail, query};
use crate::{
    caller::Caller,
    command::Erasure,
    evidence::{Event, Happening},
    refusal::Refusal,
    retention,
    state::State,
};

/// Whatever the referral's state is. What still waits for somebody then has expired.
pub(super) fn decide(state: &State, caller: &Caller, erasure: &Erasure) -> Result<Decision, Stop> {
    if *caller != Caller::Gateway {
        return Err(Refusal::RoleNotAllowed.into());
    }
    let Erasure { referral: key, envelope, from, to, .. } = erasure;
    let ends_at = retention::ends_at(state.directory(), from, &erasure.agreement, erasure.expires_at);
    // It cannot be undone, so a clock in doubt erases nothing.
    if state.clock_alarm().is_some() || state.now() < ends_at {
        return Ok(Decision::Nothing);
    }
    let referral = query::referral(state, key)?;
    let mut parties = query::parties(key, referral);
    parties.retain(|party| state.directory().agency(party).is_some());
    let mail = state.mailboxes().all().filter(|(_, mail)| mail.envelope == *envelope);
    let unheard = mail
        .map(|(recipient, mail)| Happening { due_at: ends_at, ..of_mail(Event::Expired, recipient, mail) });
    let erased = Happening {
        sender: Some(from.clone()),
        recipient: Some(to.clone()),
        referral: Some(key.clone()),
        attempt: erasure.attempt,
        envelope: Some(*envelope),
        part_digests: erasure.part_digests.clone(),
        agreement: Some(erasure.agreement),
        due_at: ends_at,
        parties,
        ..Happening::new(Event::Erased)
    };
    Ok(Decision::Do([erased].into_iter().chain(unheard).map(Into::into).collect(), Vec::new()))
}
