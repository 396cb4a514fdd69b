//! The persons of a household: each has a number that means nothing outside the case, and may have a
//! consent of their own. Nobody's data goes where their own consent does not lead. Not here: what a number
//! looks like, and what an act may say of one person (`proto::payload::household`).

use std::collections::{BTreeMap, BTreeSet};

use proto::{
    ids::{AgencyId, TimeMs},
    lifecycle::Act,
    payload::{
        class_of_outcome, class_of_reason,
        household::{contradicts, person, told_by},
    },
};
use serde_json::{Map, Value};

use super::{File, Flaw, What, consent, shape::at};

/// Where persons stand, and in which field.
const HOUSEHOLD: &str = "/summary/household";
const PERSONS: &str = "/identity/persons";
const OWN: &str = "/consent/own_consents";

/// What a person's number is written into.
const NUMBER: &str = "person";

type Object = Map<String, Value>;

fn objects<'a>(section: Option<&'a Object>, name: &str) -> impl Iterator<Item = (usize, &'a Object)> {
    let list = section.and_then(|section| section.get(name)).and_then(Value::as_array);
    let list = list.map(Vec::as_slice).unwrap_or_default();
    list.iter().enumerate().filter_map(|(place, one)| Some((place, one.as_object()?)))
}

fn text<'a>(object: &'a Object, name: &str) -> Option<&'a str> {
    object.get(name).and_then(Value::as_str)
}

/// The persons of a case, by their numbers.
pub fn persons(summary: &Object, identity: Option<&Object>) -> BTreeSet<String> {
    let all = objects(Some(summary), "household").chain(objects(identity, "persons"));
    all.filter_map(|(_, one)| text(one, NUMBER).map(str::to_owned)).collect()
}

/// Numbers the persons by their places, where nobody has a number; and checks that each number is one
/// person in both lists. With own consents nothing is left to places.
pub(super) fn number(
    summary: &mut Object,
    mut identity: Option<&mut Object>,
    consent: &Object,
    flaws: &mut Vec<Flaw>,
) {
    let lists =
        [(HOUSEHOLD, places(Some(summary), "household")), (PERSONS, places(identity.as_deref(), "persons"))];
    let any = lists.iter().flat_map(|(_, list)| list).any(|(_, number)| number.is_some());
    if any || consent.contains_key("own_consents") {
        for (pointer, list) in lists {
            check_numbers(pointer, &list, flaws);
        }
    } else {
        give_numbers(summary.get_mut("household"));
        give_numbers(identity.as_mut().and_then(|identity| identity.get_mut("persons")));
    }
    check_same(summary, identity.as_deref(), flaws);
}

/// The places of a list, and who stands there.
fn places(section: Option<&Object>, name: &str) -> Vec<(usize, Option<String>)> {
    objects(section, name).map(|(place, one)| (place, text(one, NUMBER).map(str::to_owned))).collect()
}

fn check_numbers(pointer: &str, list: &[(usize, Option<String>)], flaws: &mut Vec<Flaw>) {
    let mut seen = BTreeSet::new();
    for (place, number) in list {
        let what = match number {
            None => What::Missing,
            Some(number) if !seen.insert(number) => What::PersonTwice,
            Some(_) => continue,
        };
        flaws.push(Flaw::new(&at(&at(pointer, &place.to_string()), NUMBER), what));
    }
}

fn give_numbers(list: Option<&mut Value>) {
    let list = list.and_then(Value::as_array_mut).into_iter().flatten();
    for (place, one) in (1..).zip(list) {
        if let Some(one) = one.as_object_mut() {
            one.insert(NUMBER.to_owned(), Value::from(person(place)));
        }
    }
}

/// Whoever has one number in both lists has one role and one gender in both: lists in another order are
/// told by that.
fn check_same(summary: &Object, identity: Option<&Object>, flaws: &mut Vec<Flaw>) {
    let household: BTreeMap<&str, &Object> =
        objects(Some(summary), "household").filter_map(|(_, one)| Some((text(one, NUMBER)?, one))).collect();
    for (place, one) in objects(identity, "persons") {
        let Some(same) = text(one, NUMBER).and_then(|number| household.get(number)) else {
            continue;
        };
        let differs = |name| {
            let both = text(one, name).zip(text(same, name));
            both.is_some_and(|(one, other)| one != other)
        };
        if differs("role") || differs("prs_Gender") {
            flaws.push(Flaw::new(&at(PERSONS, &place.to_string()), What::PersonsDiffer));
        }
    }
}

/// Checks each person's own consent as that of all is, and that nothing of the document is about somebody
/// whose own consent does not carry it.
pub(super) fn check_own_consents(
    (consent, summary, identity): (&Object, &Object, Option<&Object>),
    (to, is_by_need, fallbacks): (Option<&AgencyId>, bool, &[AgencyId]),
    files: &[File],
    now: TimeMs,
    flaws: &mut Vec<Flaw>,
) {
    let known = persons(summary, identity);
    let mut seen = BTreeSet::new();
    for (place, own) in own_consents(consent) {
        let pointer = at(OWN, &place.to_string());
        let Some(number) = text(own, NUMBER) else {
            flaws.push(Flaw::new(&at(&pointer, NUMBER), What::Missing));
            continue;
        };
        if !seen.insert(number) {
            flaws.push(Flaw::new(&at(&pointer, NUMBER), What::PersonTwice));
        } else if !known.contains(number) {
            flaws.push(Flaw::new(&at(&pointer, NUMBER), What::PersonUnknown));
        }
        let before = flaws.len();
        let identity_allowed = consent::check(own, &pointer, to, now, flaws);
        if is_by_need {
            consent::check_by_need(own, &pointer, flaws);
        }
        consent::check_fallbacks(own, fallbacks, flaws);
        let leads = flaws.len() == before;
        let carries = |data| identity_allowed && consent::covers(own, data);
        let whole = [("household", HOUSEHOLD, Some(summary), leads), ("persons", PERSONS, identity, leads)];
        for (name, list, section, leads) in whole {
            for (place, _) in objects(section, name).filter(|(_, one)| text(one, NUMBER) == Some(number)) {
                let what = if !leads {
                    What::PersonNotConsented
                } else if list == PERSONS && !carries("identity") {
                    What::PersonIdentityNotAllowed
                } else {
                    continue;
                };
                flaws.push(Flaw::new(&at(list, &place.to_string()), what));
            }
        }
        check_files(own, number, (files, identity_allowed), flaws);
    }
    check_bases(consent, identity, flaws);
}

/// A file is about everybody unless the document says about whom.
fn check_files(
    own: &Object,
    number: &str,
    (files, identity_allowed): (&[File], bool),
    flaws: &mut Vec<Flaw>,
) {
    for (place, file) in files.iter().enumerate() {
        let is_about = file.about.is_empty() || file.about.iter().any(|about| about == number);
        let may = consent::covers(own, "attachments") && (identity_allowed || !file.contains_identity);
        if is_about && !may {
            flaws.push(Flaw::new(&at("/attachments", &place.to_string()), What::FileNotAllowed));
        }
    }
}

/// What a person of the identity is said to have consented to is what stands in the consent.
fn check_bases(consent: &Object, identity: Option<&Object>, flaws: &mut Vec<Flaw>) {
    for (place, one) in objects(identity, "persons") {
        let Some(said) = text(one, "consent") else {
            continue;
        };
        let own = text(one, NUMBER).and_then(|person| own_consent(consent, person));
        if text(own.unwrap_or(consent), "basis") != Some(said) {
            flaws.push(Flaw::new(&at(&at(PERSONS, &place.to_string()), "consent"), What::OtherConsent));
        }
    }
}

/// Checks what a disclosure sends of persons against what they consented to when the referral was sent;
/// `sent` is that consent and summary.
#[must_use]
pub fn check_disclosed(identity: &Object, (consent, summary): (&Object, &Object), now: TimeMs) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let known = persons(summary, None);
    let owned = consent.contains_key("own_consents");
    for (place, one) in objects(Some(identity), "persons") {
        let pointer = at("/persons", &place.to_string());
        let Some(number) = text(one, NUMBER) else {
            if owned {
                flaws.push(Flaw::new(&at(&pointer, NUMBER), What::Missing));
            }
            continue;
        };
        if !known.is_empty() && !known.contains(number) {
            flaws.push(Flaw::new(&at(&pointer, NUMBER), What::PersonUnknown));
        }
        let Some(own) = own_consent(consent, number) else {
            continue;
        };
        let mut told = Vec::new();
        let allowed = consent::check(own, "", None, now, &mut told);
        if !told.is_empty() || !allowed || !consent::covers(own, "identity") {
            flaws.push(Flaw::new(&pointer, What::PersonIdentityNotAllowed));
        }
    }
    flaws
}

/// The own consents of a consent, by their places.
pub(super) fn own_consents(consent: &Object) -> impl Iterator<Item = (usize, &Object)> {
    objects(Some(consent), "own_consents")
}

/// A person's own consent, where there is one.
pub(super) fn own_consent<'a>(consent: &'a Object, person: &str) -> Option<&'a Object> {
    own_consents(consent).map(|(_, own)| own).find(|own| text(own, NUMBER) == Some(person))
}

/// Whether somebody's own consent names an agency; of whoever has none, that of all speaks.
#[must_use]
pub fn all_name(consent: &Object, agency: &AgencyId) -> bool {
    let names = |consent: &Object| {
        let named = consent.get("agencies").and_then(Value::as_array);
        named.is_some_and(|named| named.iter().any(|one| one.as_str() == Some(agency.as_str())))
    };
    names(consent) && own_consents(consent).all(|(_, own)| names(own))
}

/// Checks what an act says of single persons: that they are of the case, once each, by the code that the
/// act takes, and that what it says of all holds for each.
#[must_use]
pub fn check_outcomes(act: Act, fields: &Object, persons: &BTreeSet<String>) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let Some(said) = fields.get("outcomes") else {
        return flaws;
    };
    let Some(code) = told_by(act) else {
        return vec![Flaw::new("/outcomes", What::NotOfAct)];
    };
    if said.as_array().is_none_or(Vec::is_empty) {
        flaws.push(Flaw::new("/outcomes", What::Missing));
    }
    let mut seen = BTreeSet::new();
    let mut classes = Vec::new();
    for (place, one) in objects(Some(fields), "outcomes") {
        let pointer = at("/outcomes", &place.to_string());
        let mut flaw = |name: &str, what| flaws.push(Flaw::new(&at(&pointer, name), what));
        match text(one, NUMBER) {
            None => flaw(NUMBER, What::Missing),
            Some(number) if !persons.contains(number) => flaw(NUMBER, What::PersonUnknown),
            Some(number) if !seen.insert(number) => flaw(NUMBER, What::PersonTwice),
            Some(_) => {}
        }
        for name in ["outcome", "reason"].into_iter().filter(|name| *name != code && one.contains_key(*name))
        {
            flaw(name, What::NotOfAct);
        }
        match text(one, code) {
            None => flaw(code, What::Missing),
            Some(said) => {
                classes.extend(if code == "outcome" {
                    class_of_outcome(said)
                } else {
                    class_of_reason(said)
                });
            }
        }
    }
    let all = text(fields, "outcome").and_then(class_of_outcome);
    if all.is_some_and(|all| contradicts(all, classes.into_iter())) {
        flaws.push(Flaw::new("/outcome", What::OutcomeDiffers));
    }
    flaws
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::{
        Document, read,
        tests::{NOW, files, good},
    };

    /// A change of a document, and the flaws that it leads to.
    type Row = (fn(&mut Value), Vec<(String, What)>);

    fn read_value(value: &Value) -> Result<Document, Vec<(String, What)>> {
        let read = read(value.to_string().as_bytes(), files(), NOW);
        read.map_err(|flaws| flaws.into_iter().map(|flaw| (flaw.pointer, flaw.what)).collect())
    }

    /// A woman and her child, numbered; the child's guardian agreed to this recipient.
    fn numbered() -> Value {
        let mut value = good();
        for (place, list) in [(0, HOUSEHOLD), (1, HOUSEHOLD), (0, PERSONS)] {
            value.pointer_mut(list).unwrap()[place][NUMBER] = json!(person(place + 1));
        }
        value["consent"]["own_consents"] = json!([{
            "person": "p2", "basis": "guardian_consent_child_assent", "identity_allowed": true,
            "agencies": ["ae-rk.aman"], "given_on": "2026-11-20", "child_assent": true,
            "guardian_suspected": false
        }]);
        value
    }

    #[test]
    fn where_nobody_has_a_number_places_give_them() {
        let document = read_value(&good()).unwrap();
        assert_eq!(document.summary["household"][1][NUMBER], "p2");
        assert_eq!(document.identity.as_ref().unwrap()["persons"][0][NUMBER], "p1");
        let known = persons(&document.summary, document.identity.as_ref());
        assert_eq!(known.into_iter().collect::<Vec<_>>(), ["p1", "p2"]);
        let mut other_order = good();
        other_order["summary"]["household"].as_array_mut().unwrap().reverse();
        assert_eq!(
            read_value(&other_order).unwrap_err(),
            [("/identity/persons/0".to_owned(), What::PersonsDiffer)]
        );
    }

    #[test]
    #[allow(clippy::too_many_lines, reason = "one row for each flaw")]
    fn nobodys_data_goes_where_their_own_consent_does_not_lead() {
        assert!(read_value(&numbered()).is_ok());
        let own = "/consent/own_consents/0";
        let rows: Vec<Row> = vec![
            (
                |v| v["consent"]["own_consents"][0]["agencies"] = json!(["int.iom.kw"]),
                vec![
                    (format!("{own}/agencies"), What::NotConsentedTo),
                    ("/summary/household/1".into(), What::PersonNotConsented),
                ],
            ),
            (
                |v| v["consent"]["own_consents"][0]["guardian_suspected"] = json!(true),
                vec![
                    (format!("{own}/guardian_suspected"), What::GuardianSuspected),
                    ("/summary/household/1".into(), What::PersonNotConsented),
                ],
            ),
            (
                |v| v["fallbacks"] = json!(["int.iom.kw"]),
                vec![
                    ("/fallbacks/0".into(), What::NotConsentedTo),
                    ("/summary/household/1".into(), What::PersonNotConsented),
                ],
            ),
            (|v| v["to"] = json!("by_need"), vec![]),
            (
                |v| {
                    v["to"] = json!("by_need");
                    v["consent"]["own_consents"][0].as_object_mut().unwrap().remove("agencies");
                },
                vec![
                    (format!("{own}/agencies"), What::Missing),
                    ("/summary/household/1".into(), What::PersonNotConsented),
                ],
            ),
            (
                |v| v["consent"]["own_consents"][0]["person"] = json!("p3"),
                vec![(format!("{own}/person"), What::PersonUnknown)],
            ),
            (
                |v| {
                    let twice = v["consent"]["own_consents"][0].clone();
                    v["consent"]["own_consents"].as_array_mut().unwrap().push(twice);
                },
                vec![("/consent/own_consents/1/person".into(), What::PersonTwice)],
            ),
            (
                |v| v["summary"]["household"][1]["person"] = json!("p1"),
                vec![
                    ("/summary/household/1/person".into(), What::PersonTwice),
                    ("/identity/persons/0".into(), What::PersonsDiffer),
                    (format!("{own}/person"), What::PersonUnknown),
                ],
            ),
            (
                |v| drop(v["summary"]["household"][0].as_object_mut().unwrap().remove("person")),
                vec![("/summary/household/0/person".into(), What::Missing)],
            ),
            (
                |v| v["summary"]["household"][0]["person"] = json!("Fatima"),
                vec![(
                    "/summary/household/0/person".into(),
                    What::Form { expected: "a person's number in this case, p1 to p64" },
                )],
            ),
            (
                |v| v["consent"]["own_consents"][0]["identity_allowed"] = json!(false),
                vec![("/attachments/0".into(), What::FileNotAllowed)],
            ),
            (
                |v| {
                    v["consent"]["own_consents"][0]["identity_allowed"] = json!(false);
                    v["attachments"][0]["persons"] = json!(["p1"]);
                },
                vec![],
            ),
            (
                |v| {
                    v["consent"]["own_consents"][0]["identity_allowed"] = json!(false);
                    v["attachments"][0]["persons"] = json!(["p1"]);
                    v["identity"]["persons"].as_array_mut().unwrap().push(json!({"person": "p2"}));
                },
                vec![("/identity/persons/1".into(), What::PersonIdentityNotAllowed)],
            ),
            (
                |v| v["identity"]["persons"][0]["consent"] = json!("legal_obligation"),
                vec![("/identity/persons/0/consent".into(), What::OtherConsent)],
            ),
            (
                |v| v["attachments"][0]["persons"] = json!(["her"]),
                vec![(
                    "/attachments/0/persons".into(),
                    What::Form { expected: "a list of persons' numbers like p1" },
                )],
            ),
        ];
        for (place, (change, expected)) in rows.into_iter().enumerate() {
            let mut value = numbered();
            change(&mut value);
            assert_eq!(read_value(&value).err().unwrap_or_default(), expected, "row {place}");
        }
    }

    #[test]
    fn a_disclosure_carries_nobody_whose_own_consent_keeps_them_back() {
        let found = |persons: Value, change: fn(&mut Value)| {
            let mut sent = numbered();
            change(&mut sent);
            let identity = json!({"persons": persons});
            let sections = (sent["consent"].as_object().unwrap(), sent["summary"].as_object().unwrap());
            let flaws = check_disclosed(identity.as_object().unwrap(), sections, NOW).into_iter();
            flaws.map(|flaw| (flaw.pointer, flaw.what)).collect::<Vec<_>>()
        };
        let at = |pointer: &str, what| vec![(pointer.to_owned(), what)];
        assert_eq!(found(json!([{"person": "p1"}, {"person": "p2"}]), |_| {}), vec![]);
        assert_eq!(found(json!([{"role": "client"}]), |_| {}), at("/persons/0/person", What::Missing));
        assert_eq!(found(json!([{"person": "p7"}]), |_| {}), at("/persons/0/person", What::PersonUnknown));
        let kept_back = |v: &mut Value| v["consent"]["own_consents"][0]["identity_allowed"] = json!(false);
        assert_eq!(
            found(json!([{"person": "p2"}]), kept_back),
            at("/persons/0", What::PersonIdentityNotAllowed)
        );
    }

    #[test]
    fn what_came_of_it_is_said_of_persons_of_the_case_by_the_codes_of_the_act() {
        let known: BTreeSet<String> = ["p1", "p2"].map(str::to_owned).into();
        let found = |act, fields: Value| {
            let flaws = check_outcomes(act, fields.as_object().unwrap(), &known).into_iter();
            flaws.map(|flaw| (flaw.pointer, flaw.what)).collect::<Vec<_>>()
        };
        let one = |person: &str, code: &str| json!({"person": person, "outcome": code});
        let all = |outcome: &str, outcomes: Value| json!({"outcome": outcome, "outcomes": outcomes});
        let served = "service_received";
        for (act, fields, expected) in [
            (Act::Complete, all(served, json!([one("p1", served), one("p2", served)])), vec![]),
            (Act::Complete, json!({"outcome": served}), vec![]),
            (
                Act::Complete,
                all(served, json!([one("p2", "client_declined")])),
                vec![("/outcome", What::OutcomeDiffers)],
            ),
            (Act::Complete, all(served, json!([])), vec![("/outcomes", What::Missing)]),
            (
                Act::Complete,
                all(
                    served,
                    json!([one("p3", served), one("p1", served), one("p1", served), {"person": "p2"}]),
                ),
                vec![
                    ("/outcomes/0/person", What::PersonUnknown),
                    ("/outcomes/2/person", What::PersonTwice),
                    ("/outcomes/3/outcome", What::Missing),
                ],
            ),
            (
                Act::Decline,
                json!({"reason": "no_capacity", "outcomes": [{"person": "p1", "reason": "not_eligible"}]}),
                vec![],
            ),
            (
                Act::Decline,
                json!({"reason": "no_capacity", "outcomes": [one("p1", served)]}),
                vec![("/outcomes/0/outcome", What::NotOfAct), ("/outcomes/0/reason", What::Missing)],
            ),
            (Act::DeliverService, json!({"outcomes": [one("p1", served)]}), vec![]),
            (Act::Note, json!({"outcomes": [one("p1", served)]}), vec![("/outcomes", What::NotOfAct)]),
        ] {
            let expected: Vec<_> =
                expected.into_iter().map(|(pointer, what)| (pointer.to_owned(), what)).collect();
            assert_eq!(found(act, fields.clone()), expected, "{act:?} {fields}");
        }
    }
}
