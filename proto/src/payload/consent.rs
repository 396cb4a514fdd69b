//! What each basis of a referral needs beside it, as a table. Not here: reading a document, and what
//! an agreement allows (`agreement`).

/// How a field must stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Holding {
    /// It is there.
    There,
    /// It is true.
    True,
    /// It is false: the question was asked, and the answer is no.
    False,
}

/// A basis, and what it needs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Basis {
    /// Its code in [`CONSENT_BASES`](crate::vocabulary::CONSENT_BASES).
    pub code: &'static str,
    /// What must stand beside it.
    pub needs: &'static [(&'static str, Holding)],
    /// Whether somebody consents: then a recorded refusal ends it.
    pub is_consent: bool,
    /// Whether identity may travel on it.
    pub carries_identity: bool,
}

/// Every basis.
pub const BASES: &[Basis] = &[
    Basis {
        code: "informed_consent_adult",
        needs: &[("given_on", Holding::There)],
        is_consent: true,
        carries_identity: true,
    },
    Basis {
        code: "guardian_consent_child_assent",
        // A guardian who is suspected cannot consent, so the question must have been asked.
        needs: &[
            ("given_on", Holding::There),
            ("child_assent", Holding::True),
            ("guardian_suspected", Holding::False),
        ],
        is_consent: true,
        carries_identity: true,
    },
    Basis {
        code: "best_interests_of_the_child",
        needs: &[("decided_by", Holding::There)],
        is_consent: false,
        carries_identity: true,
    },
    Basis { code: "duty_to_notify_no_identity", needs: &[], is_consent: false, carries_identity: false },
    Basis {
        code: "vital_interest_override",
        needs: &[("justification", Holding::There), ("approved_by", Holding::There)],
        is_consent: false,
        carries_identity: true,
    },
    Basis {
        code: "legal_obligation",
        needs: &[("legal_reference", Holding::There)],
        is_consent: false,
        carries_identity: true,
    },
];

/// A basis by its code.
#[must_use]
pub fn basis(code: &str) -> Option<&'static Basis> {
    BASES.iter().find(|basis| basis.code == code)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        payload::{self, Form, Home},
        vocabulary::CONSENT_BASES,
    };

    #[test]
    fn every_basis_of_the_vocabulary_stands_here_once() {
        assert_eq!(
            BASES.iter().map(|basis| basis.code).collect::<Vec<_>>(),
            CONSENT_BASES.codes().collect::<Vec<_>>()
        );
    }

    #[test]
    fn what_is_needed_is_a_field_of_the_consent() {
        for (name, holding) in BASES.iter().flat_map(|basis| basis.needs) {
            let field = payload::find(name).unwrap();
            assert_eq!(field.home, Home::Consent, "{name}");
            assert_eq!(field.form == Form::Flag, *holding != Holding::There, "{name}");
        }
    }
}
