//! Who a need can go to by the mechanism, and what keeps it from going there. Not here: what only the
//! sender's agent knows, which is asked back, and what a person decides.

use super::{Directory, KeyPurpose};
use crate::{
    agreement::{Clause, Need},
    digest::Digest,
    ids::{Addressing, AgencyId, Code, TimeMs},
    refusal::Refusal,
};

/// An agency that a rule names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Candidate<'a> {
    /// The first rule that names it.
    pub rule: &'a Code,
    /// What else that rule asks for: only the sender's agent knows whether it is so.
    pub conditions: &'a [Code],
    /// The agency.
    pub recipient: &'a AgencyId,
    /// The agreement and its clause by which the need may go there, or why it may not.
    pub route: Result<(Digest, &'a Clause), Refusal>,
}

impl Directory {
    /// The recipients of every rule that a need matches, in the mechanism's order, each once. `holds` says
    /// whether a detail that only the sender's agent knows is there; `need.to` says nothing.
    pub fn candidates(
        &self,
        need: Need<'_>,
        holds: impl Fn(&Code) -> bool,
        now: TimeMs,
    ) -> Vec<Candidate<'_>> {
        let mut found: Vec<Candidate<'_>> = Vec::new();
        let rules = self.mechanism().into_iter().flat_map(|held| &held.mechanism.rules);
        for rule in rules.filter(|rule| rule.matches(need, now) && rule.agent_conditions.iter().all(&holds)) {
            for recipient in &rule.recipients {
                let is_new = !found.iter().any(|before| before.recipient == recipient);
                if is_new && recipient != need.from {
                    let need = Need { to: recipient, addressing: Addressing::ByNeed, ..need };
                    let route = self.way(need, now);
                    let conditions = &rule.agent_conditions;
                    found.push(Candidate { rule: &rule.rule_id, conditions, recipient, route });
                }
            }
        }
        found
    }

    /// The agreement and its clause by which a need may go to its recipient now, whatever parts it has.
    ///
    /// # Errors
    /// The first [`Refusal`] that the gateway would give.
    pub fn way(&self, need: Need<'_>, now: TimeMs) -> Result<(Digest, &Clause), Refusal> {
        let route = self.agreed(need, now)?;
        if need.addressing == Addressing::ByNeed && self.is_by_name_only(need.to) {
            return Err(Refusal::OnlyByName);
        }
        if self.is_suspended(need.to, now) {
            return Err(Refusal::RecipientSuspended);
        }
        let keys = self.agency(need.to).map(|agency| agency.keys.as_slice()).unwrap_or_default();
        let can_open = |key: &super::AgencyKey| key.in_force(now) && key.key.purpose() == KeyPurpose::Sealing;
        if !keys.iter().any(can_open) {
            return Err(Refusal::SealingKeyNotInForce);
        }
        let is_full = need.addressing == Addressing::ByNeed && self.is_full(need);
        if is_full { Err(Refusal::RecipientFull) } else { Ok(route) }
    }
}
