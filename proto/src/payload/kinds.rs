//! What each kind of envelope carries, as a table: which sections, which fields of the summary, and
//! which of them must be there. Not here: the fields themselves (`payload`).

use super::List;
use crate::ids::Kind;

/// Whether a section may stand in a document.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Presence {
    /// It must be there.
    Required,
    /// It may be there.
    Allowed,
    /// It may not.
    Barred,
}

/// What documents of a kind carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Shape {
    /// Of which kind.
    pub kind: Kind,
    /// What it rests on. Where there is none, identity may not travel.
    pub consent: Presence,
    /// Who she is.
    pub identity: Presence,
    /// Files.
    pub attachments: Presence,
    /// Fields of the summary that must be there.
    pub required: List,
    /// Of these at least one must be there; empty for no such rule.
    pub any_of: List,
    /// The only fields that the summary may have; empty for all that are at home there.
    pub only: List,
    /// Coded fields only: nothing that somebody could write anything into.
    pub coded_only: bool,
}

/// What must be known to reach her without harm.
pub const SAFE_CONTACT_REQUIRED: List = &["who", "when", "language", "never", "phone_is_shared"];

/// Every kind.
pub const SHAPES: &[Shape] = &[
    Shape {
        kind: Kind::Referral,
        consent: Presence::Required,
        identity: Presence::Allowed,
        attachments: Presence::Allowed,
        required: &["need", "safe_contact"],
        any_of: &[],
        only: &[],
        coded_only: false,
    },
    // From first-line staff, who may know little more than that something is wrong.
    Shape {
        kind: Kind::SuspicionReport,
        consent: Presence::Allowed,
        identity: Presence::Allowed,
        attachments: Presence::Allowed,
        required: &[],
        any_of: &["signs", "need"],
        only: &[
            "need",
            "signs",
            "noticed_on",
            "setting",
            "persons_affected",
            "detailed_category",
            "risk",
            "safe_contact",
            "languages",
            "interpreter_needed",
            "access_needs",
            "household",
            "vulnerabilities",
            "vic_TypeOfExploitation",
            "vic_MethodsOfControl",
            "vic_ForcedLabourIndustry",
            "note",
        ],
        coded_only: false,
    },
    Shape {
        kind: Kind::Notice,
        consent: Presence::Allowed,
        identity: Presence::Barred,
        attachments: Presence::Barred,
        required: &["detailed_category"],
        any_of: &[],
        only: &[
            "detailed_category",
            "detailed_services",
            "risk",
            "signs",
            "setting",
            "languages",
            "interpreter_needed",
            "access_needs",
            "household",
            "vulnerabilities",
            "vic_TraffickingStatus",
            "vic_TypeOfExploitation",
            "vic_MethodsOfControl",
            "vic_ForcedLabourIndustry",
            "vic_RelationshipToTrafficker",
            "cas_Status",
        ],
        coded_only: true,
    },
    Shape {
        kind: Kind::Document,
        consent: Presence::Allowed,
        identity: Presence::Allowed,
        attachments: Presence::Required,
        required: &["document_type"],
        any_of: &[],
        only: &["document_type", "languages", "note"],
        coded_only: false,
    },
    Shape {
        kind: Kind::Message,
        consent: Presence::Allowed,
        identity: Presence::Barred,
        attachments: Presence::Barred,
        required: &["message"],
        any_of: &[],
        only: &["message"],
        coded_only: false,
    },
];

/// What documents of a kind carry.
#[must_use]
pub fn shape(kind: Kind) -> Option<&'static Shape> {
    SHAPES.iter().find(|shape| shape.kind == kind)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::payload::{self, Form, Home};

    #[test]
    fn every_kind_has_its_shape() {
        assert_eq!(SHAPES.iter().map(|shape| shape.kind).collect::<Vec<_>>(), Kind::ALL);
        for kind in Kind::ALL {
            assert_eq!(shape(*kind).map(|shape| shape.kind), Some(*kind));
        }
    }

    #[test]
    fn fields_of_a_kind_are_at_home_in_the_summary() {
        for shape in SHAPES {
            for name in shape.only.iter().chain(shape.required).chain(shape.any_of) {
                assert!(payload::find(name).unwrap().home.fits(Home::Summary), "{name}");
                assert!(shape.only.is_empty() || shape.only.contains(name), "{:?} {name}", shape.kind);
            }
            for name in shape.only.iter().filter(|_| shape.coded_only) {
                assert!(payload::find(name).unwrap().form.is_coded(), "{name}");
            }
        }
        let Some(Form::Object(children)) = payload::find("safe_contact").map(|field| field.form) else {
            panic!("an object");
        };
        assert!(SAFE_CONTACT_REQUIRED.iter().all(|name| children.contains(name)));
    }

    #[test]
    fn what_tells_nobody_who_she_is_carries_neither_identity_nor_files() {
        for shape in SHAPES.iter().filter(|shape| shape.coded_only) {
            assert_eq!((shape.identity, shape.attachments), (Presence::Barred, Presence::Barred));
        }
        let coded: Vec<_> = SHAPES.iter().filter(|shape| shape.coded_only).map(|shape| shape.kind).collect();
        assert_eq!(coded, [Kind::Notice]);
    }
}
