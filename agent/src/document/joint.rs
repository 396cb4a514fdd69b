//! Agencies that work on one case together: each has a referral of its own, from the agency that keeps the
//! thread, and each is told with whom it works. So her consent must name all of them. Not here: how their
//! referrals are kept together (`state::Tie`); the gateway does not know that they are.

use proto::ids::AgencyId;
use serde_json::{Map, Value};

use super::{Document, Flaw, What};

/// The field of the summary that names the others.
const JOINT_WITH: &str = "joint_with";

/// Checks that her consent names whoever the recipient will know of.
pub(super) fn check(consent: &Map<String, Value>, summary: &Map<String, Value>, flaws: &mut Vec<Flaw>) {
    let list = |of: &Map<String, Value>, name: &str| of.get(name).and_then(Value::as_array).cloned();
    let named = list(consent, "agencies").unwrap_or_default();
    for (place, other) in list(summary, JOINT_WITH).unwrap_or_default().iter().enumerate() {
        if !named.contains(other) {
            flaws.push(Flaw::new(&format!("/summary/{JOINT_WITH}/{place}"), What::NotConsentedTo));
        }
    }
}

/// Tells each of a joint thread's agencies of the others.
pub(super) fn all(documents: &mut [Document]) -> Vec<Flaw> {
    let to: Vec<Option<AgencyId>> = documents.iter().map(|document| document.to.clone()).collect();
    let mut flaws = Vec::new();
    for (place, document) in documents.iter_mut().enumerate() {
        let others: Vec<AgencyId> =
            to.iter().flatten().filter(|to| document.to.as_ref() != Some(to)).cloned().collect();
        let found = with(document, &others).into_iter();
        flaws.extend(found.map(|flaw| Flaw::new(&format!("/split/{place}{}", flaw.pointer), flaw.what)));
    }
    flaws
}

/// Tells a document's recipient of the others.
#[must_use]
pub fn with(document: &mut Document, others: &[AgencyId]) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    if document.to.is_none() {
        flaws.push(Flaw::new("/to", What::JointByName));
    }
    if document.fallbacks.as_ref().is_some_and(|fallbacks| !fallbacks.is_empty()) {
        flaws.push(Flaw::new("/fallbacks", What::JointByName));
    }
    let others = others.iter().map(|other| Value::from(other.as_str())).collect();
    document.summary.insert(JOINT_WITH.to_owned(), Value::Array(others));
    check(&document.consent, &document.summary, &mut flaws);
    flaws
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::document::{
        read, read_all,
        tests::{NOW, files, good},
    };

    fn joint(change: impl FnOnce(&mut Value)) -> Result<Vec<Document>, Vec<(String, What)>> {
        let mut value = good();
        value["consent"]["agencies"] = json!(["ae-rk.aman", "int.iom.kw"]);
        value["joint"] = true.into();
        value["split"] = json!([{"to": "ae-rk.aman"}, {"to": "int.iom.kw", "service": "legal"}]);
        change(&mut value);
        let read = read_all(value.to_string().as_bytes(), files(), NOW);
        read.map_err(|flaws| flaws.into_iter().map(|flaw| (flaw.pointer, flaw.what)).collect())
    }

    #[test]
    fn each_is_told_of_the_others() {
        let documents = joint(|_| {}).unwrap();
        let told: Vec<_> = documents.iter().map(|document| document.summary[JOINT_WITH].clone()).collect();
        assert_eq!(told, [json!(["int.iom.kw"]), json!(["ae-rk.aman"])]);
        let alone = joint(|value| value["joint"] = false.into()).unwrap();
        assert!(alone.iter().all(|document| !document.summary.contains_key(JOINT_WITH)));
    }

    #[test]
    fn what_does_not_join() {
        type Row = (fn(&mut Value), &'static str, What);
        let rows: [Row; 4] = [
            (|value| value["split"][1]["to"] = "by_need".into(), "/split/1/to", What::JointByName),
            (
                |value| {
                    value["split"][0]["fallbacks"] = json!(["jo.mosd"]);
                    value["consent"]["agencies"] = json!(["ae-rk.aman", "int.iom.kw", "jo.mosd"]);
                },
                "/split/0/fallbacks",
                What::JointByName,
            ),
            (|value| value["joint"] = "yes".into(), "/joint", What::Form { expected: "true or false" }),
            (
                |value| value["joins"] = "0192abcd".into(),
                "/joins",
                What::Form { expected: "one referral, and not a split one" },
            ),
        ];
        for (change, pointer, what) in rows {
            let flaws = joint(change).unwrap_err();
            assert!(flaws.contains(&(pointer.to_owned(), what.clone())), "{what:?}: {flaws:?}");
        }
    }

    #[test]
    fn nobody_is_told_of_an_agency_that_she_did_not_name() {
        let mut value = good();
        value["summary"][JOINT_WITH] = json!(["ae-rk.aman", "jo.mosd"]);
        let flaws = read(value.to_string().as_bytes(), files(), NOW).unwrap_err();
        assert_eq!(flaws, [Flaw::new("/summary/joint_with/1", What::NotConsentedTo)]);
    }
}
