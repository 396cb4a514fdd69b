//! What an agreement shows beside the directory: its parties as they are, and the other agreements that bind
//! them. Of agreements between others nothing is known here, and nothing is said.

use super::{Warning, in_order, in_text::meet};
use crate::{
    agreement::{Clause, whole::Whole},
    directory::{Agency, Directory},
    ids::{AgencyId, Code, Jurisdiction, TimeMs, Urgency},
};

impl Whole {
    /// What is wrong with it in a directory.
    #[must_use]
    pub fn warnings_in(&self, directory: &Directory, now: TimeMs) -> Vec<Warning> {
        let refused = directory.would_refuse(&self.digest(), &self.agreement, now);
        let mut warnings: Vec<_> =
            refused.map(|refusal| Warning::Refused { refusal, clause: None }).into_iter().collect();
        for clause in &self.agreement.clauses {
            warnings.extend(of_clause(clause, directory));
            warnings.extend(self.others(clause, directory, now));
        }
        in_order(warnings)
    }

    fn others(&self, clause: &Clause, directory: &Directory, now: TimeMs) -> Vec<Warning> {
        let between = (&clause.from, &clause.to);
        let is_other = |digest: &crate::digest::Digest| {
            *digest != self.digest() && Some(*digest) != self.agreement.supersedes
        };
        let others = directory.agreements_between(&clause.from, &clause.to).filter(|digest| is_other(digest));
        let in_force = others.filter_map(|digest| {
            directory.agreement_in_force(&digest, between, now).ok().map(|agreement| (digest, agreement))
        });
        let same = in_force.filter(|(_, other)| {
            let mut clauses = other.clauses.iter().filter(|one| (&one.from, &one.to) == between);
            other.id != self.agreement.id && clauses.any(|one| meet(one, clause))
        });
        same.map(|(agreement, _)| Warning::OtherAgreement { clause: clause.clause_id.clone(), agreement })
            .collect()
    }
}

fn of_clause(clause: &Clause, directory: &Directory) -> Vec<Warning> {
    let name = || clause.clause_id.clone();
    let to = || clause.to.clone();
    let mut warnings = Vec::new();
    if directory.is_by_name_only(&clause.to) && !clause.by_name_only {
        warnings.push(Warning::NotByNameOnly { clause: name(), to: to() });
    }
    // Whoever is not there is said by the refusal.
    let (Some(from), Some(recipient)) = (directory.agency(&clause.from), directory.agency(&clause.to)) else {
        return warnings;
    };
    let elsewhere =
        clause.jurisdictions.iter().filter(|place| !acts_in(from, place) && !acts_in(recipient, place));
    warnings.extend(
        elsewhere.map(|place| Warning::ElsewhereOnly { clause: name(), jurisdiction: place.clone() }),
    );
    let phone = recipient.profile.as_ref().is_some_and(|profile| !profile.duty_phone.is_empty());
    if clause.urgencies.contains(&Urgency::Emergency) && !phone {
        warnings.push(Warning::NoDutyPhone { clause: name(), to: to() });
    }
    warnings.extend(not_offered(clause, recipient));
    warnings
}

/// Whether an agency acts in a place, in a part of it, or in what it is a part of.
fn acts_in(agency: &Agency, place: &Jurisdiction) -> bool {
    agency.jurisdictions.iter().any(|theirs| theirs.covers(place) || place.covers(theirs))
}

/// Of who says nothing about its services, nothing is said.
fn not_offered(clause: &Clause, recipient: &Agency) -> Vec<Warning> {
    let offers = recipient.profile.as_ref().map(|profile| profile.offers.as_slice()).unwrap_or_default();
    let is_missing = |service: &&Code| !offers.iter().any(|offer| offer.service == service.as_str());
    let missing = clause.services.iter().filter(|_| !offers.is_empty()).filter(is_missing);
    let warning = |service: &Code| {
        let (clause, to): (Code, AgencyId) = (clause.clause_id.clone(), clause.to.clone());
        Warning::NotOffered { clause, to, service: service.clone() }
    };
    missing.map(warning).collect()
}
