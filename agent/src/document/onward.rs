//! A document that refers on what came from another agency: she must have agreed to where it goes, then or
//! since. Not here: whether the case may be referred on at all (`office::onward`).

use std::ops::RangeInclusive;

use proto::payload::consent::basis;
use serde_json::{Map, Value};

use super::{Document, Flaw, What, household, shape::at};

type Object = Map<String, Value>;

fn text<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

fn agencies(consent: &Object) -> &[Value] {
    consent.get("agencies").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// Checks an onward document's consent against the one with which the case came; the days are those on which
/// it came, and today. Of an agency that she had not named then, she was asked since, or somebody decided as the
/// basis demands.
#[must_use]
pub fn check(document: &Document, came: &Object, days: RangeInclusive<&str>) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let consent = &document.consent;
    if !consent.contains_key("agencies") {
        flaws.push(Flaw::new("/consent/agencies", What::Missing));
    }
    check_named(consent, "/consent", (came, &days), &mut flaws);
    for (place, own) in household::own_consents(consent) {
        let before = text(own, "person").and_then(|person| household::own_consent(came, person));
        let pointer = at("/consent/own_consents", &place.to_string());
        check_named(own, &pointer, (before.unwrap_or(came), &days), &mut flaws);
    }
    // Whoever had a consent of their own keeps it on the way.
    let here = household::persons(&document.summary, document.identity.as_ref());
    let kept = |person: &str| household::own_consent(consent, person).is_some();
    let mut had = household::own_consents(came).filter_map(|(_, own)| text(own, "person"));
    if had.any(|person| here.contains(person) && !kept(person)) {
        flaws.push(Flaw::new("/consent/own_consents", What::Missing));
    }
    flaws
}

fn check_named(
    consent: &Object,
    pointer: &str,
    (came, days): (&Object, &RangeInclusive<&str>),
    flaws: &mut Vec<Flaw>,
) {
    let is_consent = text(consent, "basis").and_then(basis).is_none_or(|basis| basis.is_consent);
    let since_then = text(consent, "given_on").is_some_and(|given| days.contains(&given));
    if !is_consent || since_then {
        return;
    }
    for (place, agency) in agencies(consent).iter().enumerate() {
        if !agencies(came).contains(agency) {
            let pointer = at(&format!("{pointer}/agencies"), &place.to_string());
            flaws.push(Flaw::new(&pointer, What::OnwardNotConsented));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::{
        read,
        tests::{NOW, files, good},
    };

    const CAME: &str = "2026-11-21";
    const TODAY: &str = "2026-11-23";

    fn flaws(change: impl FnOnce(&mut Value), came: &Value) -> Vec<(String, What)> {
        let mut value = good();
        value["consent"]["agencies"] = json!(["ae-rk.aman"]);
        change(&mut value);
        let document = read(value.to_string().as_bytes(), files(), NOW).unwrap();
        let flaws = check(&document, came.as_object().unwrap(), CAME..=TODAY).into_iter();
        flaws.map(|flaw| (flaw.pointer, flaw.what)).collect()
    }

    #[test]
    fn she_named_the_next_agency_then_or_since() {
        let named = json!({"agencies": ["ae.dfwac", "ae-rk.aman"]});
        let not_named = json!({"agencies": ["ae.dfwac"]});
        assert_eq!(flaws(|_| {}, &named), vec![]);
        let refused = vec![("/consent/agencies/0".to_owned(), What::OnwardNotConsented)];
        assert_eq!(flaws(|_| {}, &not_named), refused);
        assert_eq!(flaws(|_| {}, &json!({})), refused, "it came without naming anybody");
        let since = |value: &mut Value| value["consent"]["given_on"] = json!(CAME);
        assert_eq!(flaws(since, &not_named), vec![], "she was asked since");
        let ahead = |value: &mut Value| value["consent"]["given_on"] = json!("2026-11-24");
        assert_eq!(flaws(ahead, &not_named), refused, "nobody was asked tomorrow");
        let decided = |value: &mut Value| {
            value["consent"]["basis"] = json!("best_interests_of_the_child");
            value["consent"]["decided_by"] = json!("the child panel");
        };
        assert_eq!(flaws(decided, &not_named), vec![], "a decision stands for itself");
        let unnamed = |value: &mut Value| drop(value["consent"].as_object_mut().unwrap().remove("agencies"));
        assert_eq!(flaws(unnamed, &named), [("/consent/agencies".to_owned(), What::Missing)]);
    }

    #[test]
    fn a_consent_of_ones_own_goes_with_its_person() {
        let own = json!({"person": "p2", "basis": "guardian_consent_child_assent", "agencies": ["ae.dfwac"]});
        let came = json!({"agencies": ["ae-rk.aman"], "own_consents": [own]});
        let missing = vec![("/consent/own_consents".to_owned(), What::Missing)];
        assert_eq!(flaws(|_| {}, &came), missing, "p2 is in the household");
        let without = |value: &mut Value| {
            value["summary"]["household"].as_array_mut().unwrap().pop();
        };
        assert_eq!(flaws(without, &came), vec![], "p2 was left out");
        let with_own = |value: &mut Value| {
            value["summary"]["household"][0]["person"] = json!("p1");
            value["summary"]["household"][1]["person"] = json!("p2");
            value["identity"]["persons"][0]["person"] = json!("p1");
            value["attachments"] = json!([]);
            value["consent"]["own_consents"] = json!([{
                "person": "p2", "basis": "guardian_consent_child_assent", "identity_allowed": true,
                "agencies": ["ae-rk.aman"], "given_on": "2026-11-20", "child_assent": true,
                "guardian_suspected": false
            }]);
        };
        let refused = vec![("/consent/own_consents/0/agencies/0".to_owned(), What::OnwardNotConsented)];
        assert_eq!(flaws(with_own, &came), refused);
    }
}
