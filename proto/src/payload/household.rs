//! The persons of a household: the numbers that they have inside the sealed parts, and what an act may
//! say of each. Nothing of it stands in a header. Not here: whose data may go to whom (the sender's agent
//! asks each person's own consent).

use super::{VALUES_MAX, class_of_outcome};
use crate::{ids::ReasonClass, lifecycle::Act};

/// Whether a text is a person's number: `p1` to `p64`, as many as a list may hold.
#[must_use]
pub fn is_person(text: &str) -> bool {
    let number = text.strip_prefix('p').and_then(|digits| digits.parse::<usize>().ok());
    number.is_some_and(|number| (1..=VALUES_MAX).contains(&number) && text == person(number))
}

/// The number of a person that stands at a place, from 1, where nobody gave one.
#[must_use]
pub fn person(place: usize) -> String {
    format!("p{place}")
}

/// The field in which an act says what came of it for one person: a coded outcome, or a coded reason.
/// None for acts that say nothing of anybody alone.
#[must_use]
pub fn told_by(act: Act) -> Option<&'static str> {
    if matches!(act, Act::Complete | Act::DeliverService) {
        Some("outcome")
    } else if matches!(act, Act::Decline | Act::Fail) {
        Some("reason")
    } else {
        None
    }
}

/// Whether what came of it for all, which the header tells coarsely, is denied by what came of it for
/// some: nobody may be counted as served, or as not served, who was not.
#[must_use]
pub fn contradicts(all: ReasonClass, mut persons: impl Iterator<Item = ReasonClass>) -> bool {
    use ReasonClass::{NotServed, PartlyServed, Served};
    match all {
        Served => persons.any(|one| one != Served),
        NotServed => persons.any(|one| one != NotServed),
        PartlyServed => false,
        ReasonClass::NoCapacity
        | ReasonClass::ServiceUnavailable
        | ReasonClass::OutOfArea
        | ReasonClass::Other => false,
    }
}

/// The outcome for all when one for each is told: theirs if all have the same, else part of it where
/// anybody was served, else `other`. None when nothing is told, or a code is none.
#[must_use]
pub fn outcome_of_all<'a>(persons: &[&'a str]) -> Option<&'a str> {
    let first = *persons.first()?;
    let classes: Option<Vec<_>> = persons.iter().map(|code| class_of_outcome(code)).collect();
    let classes = classes?;
    Some(if persons.iter().all(|code| *code == first) {
        first
    } else if classes.iter().any(|class| *class != ReasonClass::NotServed) {
        "partially_received"
    } else {
        "other"
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_persons_number_has_one_form_and_a_limit() {
        for (text, is) in [
            ("p1", true),
            ("p64", true),
            ("p0", false),
            ("p01", false),
            ("p65", false),
            ("p+1", false),
            ("1", false),
            ("P1", false),
            ("p", false),
            ("pLayla", false),
        ] {
            assert_eq!(is_person(text), is, "{text}");
        }
        assert!((1..=VALUES_MAX).all(|place| is_person(&person(place))));
    }

    #[test]
    fn only_acts_that_end_or_serve_say_something_of_one_person() {
        let told: Vec<_> = Act::ALL.iter().filter_map(|act| Some((*act, told_by(*act)?))).collect();
        assert_eq!(
            told,
            [
                (Act::Decline, "reason"),
                (Act::DeliverService, "outcome"),
                (Act::Complete, "outcome"),
                (Act::Fail, "reason"),
            ]
        );
    }

    #[test]
    fn what_is_said_of_all_holds_for_each() {
        use ReasonClass::{NotServed, Other, PartlyServed, Served};
        for (all, persons, denied) in [
            (Served, vec![], false),
            (Served, vec![Served, Served], false),
            (Served, vec![Served, NotServed], true),
            (Served, vec![PartlyServed], true),
            (PartlyServed, vec![Served, NotServed], false),
            (NotServed, vec![NotServed], false),
            (NotServed, vec![Served], true),
            (Other, vec![Other], false),
        ] {
            assert_eq!(contradicts(all, persons.iter().copied()), denied, "{all:?} {persons:?}");
        }
    }

    #[test]
    fn the_outcome_of_all_follows_from_each() {
        for (persons, all) in [
            (vec![], None),
            (vec!["service_received", "service_received"], Some("service_received")),
            (vec!["client_declined", "client_declined"], Some("client_declined")),
            (vec!["service_received", "client_declined"], Some("partially_received")),
            (vec!["partially_received", "left_country"], Some("partially_received")),
            (vec!["client_declined", "left_country"], Some("other")),
            (vec!["service_received", "no_capacity"], None),
        ] {
            let found = outcome_of_all(&persons);
            assert_eq!(found, all, "{persons:?}");
            let classes = || persons.iter().filter_map(|code| class_of_outcome(code));
            let class = found.and_then(class_of_outcome);
            assert!(class.is_none_or(|class| !contradicts(class, classes())), "{persons:?}");
        }
    }
}
