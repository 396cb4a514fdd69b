//! The agreed referral mechanism: versioned, ordered rules by which a need finds its recipient, as
//! far as the coarse header can test them. Not here: the detail that only the sender's agent knows.

use std::collections::BTreeMap;

use crate::{
    Malformed,
    agreement::Need,
    canonical,
    header::Header,
    ids::{AgencyId, Code, Jurisdiction, TimeMs, Urgency},
    wire,
};

/// Most rules of a mechanism.
pub const RULES_MAX: u64 = 1_000;
/// Most values in one list of a rule.
pub const RULE_VALUES_MAX: u64 = 128;

/// A mechanism.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mechanism {
    /// From 1, one more with each.
    pub revision: u64,
    /// In order.
    pub rules: Vec<Rule>,
    /// Where each rule stands among them.
    places: BTreeMap<Code, usize>,
}

/// A rule. An empty list of what a need must be matches every need.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each field is described in agreement.proto, once")]
pub struct Rule {
    pub rule_id: Code,
    pub from: Vec<AgencyId>,
    pub categories: Vec<Code>,
    pub services: Vec<Code>,
    pub urgencies: Vec<Urgency>,
    pub jurisdictions: Vec<Jurisdiction>,
    pub recipients: Vec<AgencyId>,
    pub agent_conditions: Vec<Code>,
    pub valid_from: TimeMs,
    pub valid_until: Option<TimeMs>,
}

impl Mechanism {
    /// Reads the payload of a signed mechanism.
    ///
    /// # Errors
    /// [`Malformed`]: not canonical, a field missing or not of its form, a limit passed.
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let wire: wire::Mechanism = canonical::decode(payload, "Mechanism")?;
        if wire.version != 1 {
            return Err(Malformed::Form { field: "version" });
        }
        if wire.revision == 0 {
            return Err(Malformed::Missing { field: "revision" });
        }
        canonical::limit(wire.rules.len(), RULES_MAX, "rules")?;
        let rules = wire.rules.iter().map(Rule::parse).collect::<Result<Vec<_>, _>>()?;
        // Evidence names the rule that matched: one name, one rule.
        let places = rules.iter().enumerate().map(|(place, rule)| (rule.rule_id.clone(), place));
        let places: BTreeMap<_, _> = places.collect();
        if places.len() != rules.len() {
            return Err(Malformed::Form { field: "rules.rule_id" });
        }
        Ok(Self { revision: wire.revision, rules, places })
    }

    /// Whether the rule that a header names leads to its recipient, as far as the header tells.
    #[must_use]
    pub fn leads(&self, header: &Header, now: TimeMs) -> bool {
        let place = header.rule.as_ref().and_then(|rule_id| self.places.get(rule_id));
        place
            .and_then(|place| self.rules.get(*place))
            .is_some_and(|rule| rule.matches(header.into(), now) && rule.recipients.contains(&header.to))
    }
}

impl Rule {
    fn parse(wire: &wire::Rule) -> Result<Self, Malformed> {
        let agency = |text: &String, field| AgencyId::parse(text, field);
        let code = |text: &String, field| Code::parse(text, field);
        let urgency = |number: &i32, field| Urgency::parse(*number, field);
        let jurisdiction = |text: &String, field| Jurisdiction::parse(text, field);
        let valid_until = TimeMs(wire.valid_until_ms);
        Ok(Self {
            rule_id: Code::parse(&wire.rule_id, "rules.rule_id")?,
            from: list(&wire.from, "rules.from", agency)?,
            categories: list(&wire.categories, "rules.categories", code)?,
            services: list(&wire.services, "rules.services", code)?,
            urgencies: list(&wire.urgencies, "rules.urgencies", urgency)?,
            jurisdictions: list(&wire.jurisdictions, "rules.jurisdictions", jurisdiction)?,
            recipients: list(&wire.recipients, "rules.recipients", agency)?,
            agent_conditions: list(&wire.agent_conditions, "rules.agent_conditions", code)?,
            valid_from: TimeMs(wire.valid_from_ms),
            valid_until: Some(valid_until).filter(|until| *until != TimeMs(0)),
        })
    }

    /// Whether a need is of those that it is for, as far as the coarse header tells.
    pub(crate) fn matches(&self, need: Need<'_>, now: TimeMs) -> bool {
        any_or_in(&self.from, need.from)
            && any_or_in(&self.categories, need.category)
            && any_or_in(&self.services, need.service)
            && any_or_in(&self.urgencies, &need.urgency)
            && (self.jurisdictions.is_empty()
                || self.jurisdictions.iter().any(|one| one.covers(need.jurisdiction)))
            && self.valid_from <= now
            && self.valid_until.is_none_or(|until| now < until)
    }
}

fn any_or_in<T: PartialEq>(list: &[T], value: &T) -> bool {
    list.is_empty() || list.contains(value)
}

fn list<W, T>(
    wire: &[W],
    field: &'static str,
    parse: impl Fn(&W, &'static str) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    canonical::limit(wire.len(), RULE_VALUES_MAX, field)?;
    wire.iter().map(|value| parse(value, field)).collect()
}
