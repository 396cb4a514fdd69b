//! A case that came here and is referred on to another agency. That the two hang together is known here
//! only: whoever referred it does not learn where she went next, and the gateway sees two referrals. Not
//! here: her consent to it (`document::onward`), and the withdrawal that follows it (`withdrawal`).

use proto::{
    directory::Directory,
    ids::{AgencyId, PartClass, ReferralKey},
    lifecycle::{Act, Status, Who},
    spoken::{NotSpoken, Spoken},
};
use serde_json::{Map, Value};

use super::{NotSent, Office, outbound::ActRequest};
use crate::{
    case::Case,
    clock,
    document::{self, Document, Flaw, What, onward},
    state::State,
    store::StoreFault,
    withdrawal,
};

/// The shortest beginning of a referral's id that is looked for.
pub const PREFIX_CHARS_MIN: usize = 4;

/// Why no referral is found by what was said of its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotFound {
    /// Too short to look for.
    TooShort,
    /// There is none.
    None,
    /// There are several.
    Several,
    /// A code for the telephone with a digit that was misheard.
    Misheard(NotSpoken),
}

impl NotFound {
    /// What is wrong with a document that names a referral so; `unknown` when there is none.
    pub(super) fn flaw(self, unknown: What) -> What {
        if self == Self::Several { What::SeveralReferrals } else { unknown }
    }
}

impl Office {
    /// A referral by its id, the beginning of it, or its code for the telephone.
    ///
    /// # Errors
    /// [`NotFound`].
    pub fn find(&self, text: &str) -> Result<ReferralKey, NotFound> {
        match Spoken::parse(text) {
            Ok(code) => return self.find_one(|key| Spoken::of(key) == code),
            Err(misheard @ NotSpoken::CheckDigit) => return Err(NotFound::Misheard(misheard)),
            Err(NotSpoken::Form) => {}
        }
        let wanted: String = text.chars().filter(|c| *c != '-').collect::<String>().to_ascii_lowercase();
        if wanted.len() < PREFIX_CHARS_MIN {
            return Err(NotFound::TooShort);
        }
        self.find_one(|key| key.id.to_string().replace('-', "").starts_with(&wanted))
    }

    fn find_one(&self, is_wanted: impl Fn(&ReferralKey) -> bool) -> Result<ReferralKey, NotFound> {
        let mut found: Vec<ReferralKey> = self.store.read(|state| {
            let keys = state.cases().map(|case| &case.referral).filter(|key| is_wanted(key));
            keys.take(2).cloned().collect()
        });
        match (found.pop(), found.pop()) {
            (Some(one), None) => Ok(one),
            (None, _) => Err(NotFound::None),
            (Some(_), Some(_)) => Err(NotFound::Several),
        }
    }

    /// The referral that a document refers on, if it does; all that keeps it from going on is told. By need
    /// it never goes back.
    pub(crate) fn onward_of(&self, document: &mut Document) -> Result<Option<ReferralKey>, NotSent> {
        let Some(text) = document.onward_of.clone() else {
            return Ok(None);
        };
        let flawed = |pointer: &str, what| NotSent::Flawed(vec![Flaw { pointer: pointer.into(), what }]);
        let former = self.find(&text).map_err(|none| flawed("/onward_of", none.flaw(What::OnwardUnknown)))?;
        self.store.read(|state| may_go_on(state, &former))?;
        let case = self.case(&former).ok_or_else(|| flawed("/onward_of", What::OnwardUnknown))?;
        let from = &former.opened_by;
        let back = document.fallbacks.iter().flatten().position(|fallback| fallback == from);
        if document.to.as_ref() == Some(from) {
            return Err(flawed("/to", What::OnwardBack));
        }
        if let Some(place) = back {
            return Err(flawed(&format!("/fallbacks/{place}"), What::OnwardBack));
        }
        document.exclude.push(from.clone());
        let consent = self.consent_of(&case)?;
        let came = case.submission().and_then(|step| step.logged()).map(|logged| document::day_of(logged.at));
        let (came, today) = (came.unwrap_or_default(), document::day_of(clock::now()));
        let flaws = onward::check(document, &consent, came.as_str()..=today.as_str());
        if flaws.is_empty() { Ok(Some(former)) } else { Err(NotSent::Flawed(flaws)) }
    }

    /// What was referred on once goes on again under the same rules, also when its document does not say so.
    pub(super) fn go_on_again(&self, document: &mut Document, again: Option<&ReferralKey>) {
        let tie = again.and_then(|again| self.store.read(|state| state.tie(again).cloned()));
        if let Some(former) = tie.and_then(|tie| tie.onward_of) {
            document.onward_of = Some(former.id.to_string());
        }
    }

    /// The consent with which a case came.
    fn consent_of(&self, case: &Case) -> Result<Map<String, Value>, StoreFault> {
        let summary = self.last_part(case, PartClass::Summary)?;
        let consent = summary.and_then(|summary| summary.get("consent")?.as_object().cloned());
        Ok(consent.unwrap_or_default())
    }

    /// Checks an act in a case that was referred on: it names none of those to whom it went, and states of
    /// others nothing that is not so yet.
    pub(super) fn check_onward_act(
        &self,
        request: &ActRequest,
        fields: &Map<String, Value>,
    ) -> Result<(), NotSent> {
        let what = self.store.read(|state| {
            let onward: Vec<&Case> = state.onward(&request.referral).collect();
            if onward.is_empty() || request.referral.opened_by == *state.me() {
                return None;
            }
            let asked = onward.iter().flat_map(|case| case.asked_ever());
            let names = asked.flat_map(|asked| names_of(state.replica().directory(), &asked.agency));
            if let Some(place) =
                fields.iter().find(|(_, value)| tells(value, &names.clone().collect::<Vec<_>>()))
            {
                return Some((format!("/{}", place.0), What::TellsWhere));
            }
            let (withdrawn, purged) =
                (request.act == Act::ConfirmWithdrawal, request.act == Act::ConfirmPurge);
            let stated = if withdrawn && withdrawal::is_unconfirmed(state, &request.referral) {
                Some(What::OnwardUnconfirmed)
            } else if purged && onward.iter().any(|case| withdrawal::holds(case)) {
                Some(What::OnwardHeld)
            } else {
                None
            };
            stated.filter(|_| !request.unchecked).map(|what| (String::new(), what))
        });
        what.map_or(Ok(()), |(pointer, what)| Err(NotSent::Flawed(vec![Flaw { pointer, what }])))
    }
}

/// Whether a case may be referred on now: it came here, was accepted, and her consent stands.
pub(super) fn may_go_on(state: &State, former: &ReferralKey) -> Result<(), NotSent> {
    let flawed = |what| Err(NotSent::Flawed(vec![Flaw { pointer: "/onward_of".into(), what }]));
    let me = state.me();
    let Some(case) = state.case(former).filter(|case| case.who(me) == Some(Who::Recipient)) else {
        return flawed(What::OnwardUnknown);
    };
    if withdrawal::is_withdrawn(case, me) {
        return flawed(What::OnwardWithdrawn);
    }
    let came = case.submission();
    if came.is_some_and(|step| state.is_erased(former, &step.digest, step.place)) {
        return flawed(What::OnwardErased);
    }
    let taken = case.status().is_taken() || case.status() == Status::Completed;
    if taken { Ok(()) } else { flawed(What::OnwardNotAccepted) }
}

/// What an agency is called.
fn names_of(directory: &Directory, agency: &AgencyId) -> Vec<String> {
    let known = directory.agency(agency);
    let names = known.into_iter().flat_map(|known| [known.name_en.clone(), known.name_ar.clone()]);
    let names = names.chain([agency.to_string()]).map(|name| name.trim().to_lowercase());
    names.filter(|name| !name.is_empty()).collect()
}

/// Whether a text of a value has one of these names in it.
fn tells(value: &Value, names: &[String]) -> bool {
    match value {
        Value::String(text) => {
            let text = text.to_lowercase();
            names.iter().any(|name| text.contains(name.as_str()))
        }
        Value::Array(list) => list.iter().any(|value| tells(value, names)),
        Value::Object(object) => object.values().any(|value| tells(value, names)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_name_is_found_wherever_it_stands() {
        let names = ["ae-rk.aman".to_owned(), "مركز أمان".to_owned(), "aman centre".to_owned()];
        for (value, is) in [
            (json!("She is at the Aman Centre now"), true),
            (json!([{"note": "see AE-RK.AMAN"}]), true),
            (json!("هي الآن في مركز أمان"), true),
            (json!("referred on to another agency"), false),
            (json!(7), false),
        ] {
            assert_eq!(tells(&value, &names), is, "{value}");
        }
    }
}
