//! What an act says of single persons, checked against the case as this side can read it. Not here: the
//! rules (`proto::payload::household`, `document::household`).

use std::collections::BTreeSet;

use proto::{
    ids::{PartClass, ReferralKey, TimeMs},
    lifecycle::Act,
};
use serde_json::{Map, Value};

use super::{NotSent, Office, outbound::ActRequest};
use crate::{case::Case, document::household, store::StoreFault};

type Object = Map<String, Value>;

impl Office {
    /// Checks that what an act says of persons is about persons of the case, and goes where they let it.
    pub(super) fn check_persons(
        &self,
        request: &ActRequest,
        fields: &Object,
        now: TimeMs,
    ) -> Result<(), NotSent> {
        let flaws = if fields.contains_key("outcomes") {
            household::check_outcomes(request.act, fields, &self.persons(&request.referral)?)
        } else if request.act == Act::Disclose && fields.contains_key("persons") {
            let case = self.case(&request.referral).ok_or(NotSent::UnknownReferral)?;
            let sent = self.last_part(&case, PartClass::Summary)?.unwrap_or_default();
            let section = |name: &str| sent.get(name).and_then(Value::as_object).cloned().unwrap_or_default();
            household::check_disclosed(fields, (&section("consent"), &section("summary")), now)
        } else {
            Vec::new()
        };
        if flaws.is_empty() { Ok(()) } else { Err(NotSent::Flawed(flaws)) }
    }

    /// The persons of a case, by their numbers, as far as this side can read it.
    fn persons(&self, referral: &ReferralKey) -> Result<BTreeSet<String>, NotSent> {
        let case = self.case(referral).ok_or(NotSent::UnknownReferral)?;
        let mut persons = BTreeSet::new();
        for part in self.sections(&case)? {
            let section = |name: &str| part.get(name).and_then(Value::as_object);
            let none = Object::new();
            persons.extend(household::persons(section("summary").unwrap_or(&none), section("identity")));
        }
        Ok(persons)
    }

    /// The last part of a class that has a consent.
    pub(super) fn last_part(&self, case: &Case, class: PartClass) -> Result<Option<Object>, StoreFault> {
        let parts = self.parts(case)?.into_iter().rev().filter(|part| part.class == class);
        let mut read =
            parts.filter_map(|part| serde_json::from_slice::<Object>(&part.content.ok()?.content).ok());
        Ok(read.find(|part| part.contains_key("consent")))
    }

    fn sections(&self, case: &Case) -> Result<Vec<Object>, StoreFault> {
        let told = |class| matches!(class, PartClass::Summary | PartClass::Identity);
        let parts = self.parts(case)?.into_iter().filter(|part| told(part.class));
        Ok(parts.filter_map(|part| serde_json::from_slice(&part.content.ok()?.content).ok()).collect())
    }
}
