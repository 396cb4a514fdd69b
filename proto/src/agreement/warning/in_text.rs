//! What an agreement's own text shows, and what it shows beside the text that it renews. Not here: what
//! needs the directory (`in_directory`).

use super::{
    Difference, List, RETENTION_DAYS_MAX, Unsaid, VALIDITY_DAYS_MAX, VALIDITY_LEFT_DAYS_MIN, WARNINGS_MAX,
    Warning, in_order,
};
use crate::{
    agreement::{
        Clause, Disclosure, ENVELOPE_BYTES_MIN,
        whole::{Whole, after_days, days},
    },
    header::UPLOADED_BYTES_MAX,
    ids::{Code, Jurisdiction, Kind, TimeMs, Urgency},
    refusal::Refusal,
    vocabulary::{CATEGORIES, SERVICES, Vocabulary},
    wire,
};

impl Whole {
    /// What is wrong with it, as far as it shows by itself.
    #[must_use]
    pub fn warnings(&self, now: TimeMs) -> Vec<Warning> {
        let mut warnings = self.of_times(now);
        warnings.extend(self.of_parties());
        warnings.extend(self.unsaid().into_iter().map(Warning::Unsaid));
        for (clause, text) in self.agreement.clauses.iter().zip(&self.text.clauses) {
            warnings.extend(of_clause(clause, text));
        }
        warnings.extend(self.of_pairs());
        in_order(warnings)
    }

    /// What is wrong with it as the next revision of another.
    #[must_use]
    pub fn warnings_after(&self, former: &Self) -> Vec<Warning> {
        let (new, old) = (&self.agreement, &former.agreement);
        let next = former.next();
        let is_next = new.id == old.id
            && new.revision == next.revision
            && new.supersedes == Some(next.of)
            && new.parties == old.parties;
        let refused = Warning::Refused { refusal: Refusal::RevisionNotNext, clause: None };
        let gap_ms = new.valid_from.0.saturating_sub(old.valid_until.0);
        let gap = (gap_ms > 0).then(|| Warning::RenewalGap { days: days(gap_ms.saturating_sub(1)) });
        let dropped = old.clauses.iter().filter(|was| {
            let same = new.clause(&was.clause_id).filter(|is| (&is.from, &is.to) == (&was.from, &was.to));
            was.disclosure != Disclosure::Never && same.is_none_or(|is| is.disclosure == Disclosure::Never)
        });
        let dropped = dropped.map(|clause| Warning::RenewalDrops { clause: clause.clause_id.clone() });
        in_order((!is_next).then_some(refused).into_iter().chain(gap).chain(dropped).collect())
    }

    fn of_times(&self, now: TimeMs) -> Vec<Warning> {
        let (from, until) = (self.agreement.valid_from, self.agreement.valid_until);
        let left = until.0.saturating_sub(now.0);
        let long = self.days();
        let kept = u64::from(self.text.retention_days);
        let ended = Warning::Refused { refusal: Refusal::AgreementEnded, clause: None };
        let ends_soon = until > now && until < after_days(now, VALIDITY_LEFT_DAYS_MIN);
        [
            (until <= now, ended),
            (from > now, Warning::NotYet { from }),
            (ends_soon, Warning::EndsSoon { days: days(left) }),
            (long > VALIDITY_DAYS_MAX, Warning::VeryLong { days: long }),
            (kept > RETENTION_DAYS_MAX, Warning::KeptLong { days: kept }),
        ]
        .into_iter()
        .filter_map(|(is_so, warning)| is_so.then_some(warning))
        .collect()
    }

    fn of_parties(&self) -> Vec<Warning> {
        let clauses = &self.agreement.clauses;
        let mut warnings = Vec::new();
        for (party, text) in self.agreement.parties.iter().zip(&self.text.parties) {
            if text.signing_office_en.is_empty() || text.signing_office_ar.is_empty() {
                warnings.push(Warning::NoOffice { party: party.clone() });
            }
            if !clauses.iter().any(|clause| clause.from == *party || clause.to == *party) {
                warnings.push(Warning::PartyIdle { party: party.clone() });
            }
        }
        for clause in clauses {
            let (from, to) = (clause.from.clone(), clause.to.clone());
            let no_return = Warning::NoReturn { from, to };
            if !self.agreement.has_direction(&clause.to, &clause.from) && !warnings.contains(&no_return) {
                warnings.push(no_return);
            }
        }
        warnings
    }

    fn unsaid(&self) -> Vec<Unsaid> {
        let text = &self.text;
        [
            (text.title_en.is_empty() || text.title_ar.is_empty(), Unsaid::Title),
            (text.legal_basis.is_empty(), Unsaid::LegalBasis),
            (text.hosting_country.is_empty(), Unsaid::HostingCountry),
            (text.paper_sha256.is_empty(), Unsaid::Paper),
            (text.retention_days == 0, Unsaid::Retention),
        ]
        .into_iter()
        .filter_map(|(is_so, unsaid)| is_so.then_some(unsaid))
        .collect()
    }

    fn of_pairs(&self) -> Vec<Warning> {
        let clauses = &self.agreement.clauses;
        let mut warnings = Vec::new();
        for (place, later) in clauses.iter().enumerate() {
            // Many clauses make very many pairs.
            if warnings.len() >= WARNINGS_MAX {
                break;
            }
            let before =
                clauses.iter().take(place).filter(|one| (&one.from, &one.to) == (&later.from, &later.to));
            let before: Vec<_> = before.filter(|earlier| meet(earlier, later)).collect();
            if let Some(by) = before.iter().find(|earlier| covers(earlier, later)) {
                let (clause, by) = (later.clause_id.clone(), by.clause_id.clone());
                warnings.push(Warning::ClauseCovered { clause, by });
                continue;
            }
            for earlier in before {
                let differ = differences(earlier, later);
                if !differ.is_empty() {
                    let (first, second) = (earlier.clause_id.clone(), later.clause_id.clone());
                    warnings.push(Warning::ClausesDiffer { first, second, differ });
                }
            }
        }
        warnings
    }
}

fn of_clause(clause: &Clause, text: &wire::Clause) -> Vec<Warning> {
    let name = || clause.clause_id.clone();
    let clocks = &clause.clocks;
    let lists = [
        (clause.kinds.is_empty(), List::Kinds),
        (clause.categories.is_empty(), List::Categories),
        (clause.services.is_empty(), List::Services),
        (clause.urgencies.is_empty(), List::Urgencies),
        (clause.jurisdictions.is_empty(), List::Jurisdictions),
    ];
    let empty = lists.into_iter().filter(|(is_empty, _)| *is_empty);
    let mut warnings: Vec<_> = empty.map(|(_, list)| Warning::ListEmpty { clause: name(), list }).collect();
    warnings.extend(of_codes(clause, CATEGORIES, &clause.categories));
    warnings.extend(of_codes(clause, SERVICES, &clause.services));
    let unused = |urgency: &&Urgency| {
        !clause.urgencies.contains(urgency) && clocks.limits().any(|(of, _, _)| of == **urgency)
    };
    let unused = Urgency::ALL.iter().filter(unused);
    warnings.extend(unused.map(|urgency| Warning::ClocksUnused { clause: name(), urgency: *urgency }));
    let counts = clocks.limits().any(|(of, _, seconds)| of != Urgency::Emergency && seconds > 0);
    let limits = text.limits.unwrap_or_default();
    let says_nothing = text.limits == Some(wire::Limits::default());
    let refers = clause.kinds.contains(&Kind::Referral);
    let keeps_nothing = clause.sender_keeps_identity && clause.disclosure == Disclosure::Never;
    let at_once = clause.disclosure == Disclosure::AtOnce && !clause.sender_keeps_identity;
    let refused = Warning::Refused { refusal: Refusal::ClocksNotStricter, clause: Some(name()) };
    let others = [
        (!clocks.is_stricter(), refused),
        (clocks.calendar().is_some() && !counts, Warning::CalendarUnused { clause: name() }),
        (limits.attachment_bytes_max > UPLOADED_BYTES_MAX, Warning::LimitBeyond { clause: name() }),
        (
            (1..ENVELOPE_BYTES_MIN).contains(&limits.envelope_bytes_max),
            Warning::LimitTooSmall { clause: name() },
        ),
        (says_nothing, Warning::LimitOfZero { clause: name() }),
        (keeps_nothing, Warning::KeepsNothing { clause: name() }),
        (at_once, Warning::IdentityAtOnce { clause: name() }),
        (refers && clause.disclosure == Disclosure::Never, Warning::IdentityNever { clause: name() }),
    ];
    warnings.extend(others.into_iter().filter_map(|(is_so, warning)| is_so.then_some(warning)));
    warnings
}

/// Codes that no header carries: of agents that follow the vocabularies, the only ones that there are.
fn of_codes(clause: &Clause, vocabulary: &Vocabulary, codes: &[Code]) -> Vec<Warning> {
    let of_code = |code: &Code| {
        let (clause, code) = (clause.clause_id.clone(), code.clone());
        match vocabulary.find(code.as_str()) {
            Some(term) => term.parent.map(|parent| Warning::CodeTooFine { clause, code, parent }),
            None => {
                let nearest =
                    vocabulary.nearest(code.as_str()).first().map(|term| term.parent.unwrap_or(term.code));
                Some(Warning::CodeUnknown { clause, code, nearest })
            }
        }
    };
    codes.iter().filter_map(of_code).collect()
}

/// Whether some need is of both clauses, which are of one direction.
pub(super) fn meet(one: &Clause, other: &Clause) -> bool {
    fn share<T: PartialEq>(one: &[T], other: &[T]) -> bool {
        one.iter().any(|value| other.contains(value))
    }
    let places = |one: &Jurisdiction, other: &Jurisdiction| one.covers(other) || other.covers(one);
    share(&one.kinds, &other.kinds)
        && share(&one.categories, &other.categories)
        && share(&one.services, &other.services)
        && share(&one.urgencies, &other.urgencies)
        && one.jurisdictions.iter().any(|here| other.jurisdictions.iter().any(|there| places(here, there)))
}

/// Whether all that a clause allows, an earlier one of the same direction allows.
fn covers(earlier: &Clause, later: &Clause) -> bool {
    fn has_all<T: PartialEq>(list: &[T], of: &[T]) -> bool {
        of.iter().all(|value| list.contains(value))
    }
    let place = |one: &Jurisdiction| earlier.jurisdictions.iter().any(|agreed| agreed.covers(one));
    has_all(&earlier.kinds, &later.kinds)
        && has_all(&earlier.categories, &later.categories)
        && has_all(&earlier.services, &later.services)
        && has_all(&earlier.urgencies, &later.urgencies)
        && later.jurisdictions.iter().all(place)
        && (!earlier.by_name_only || later.by_name_only)
        // Who may send identity earlier may also send it later, or not at all.
        && earlier.disclosure >= later.disclosure
        && (!earlier.sender_keeps_identity || later.sender_keeps_identity)
        && earlier.attachment_bytes_max >= later.attachment_bytes_max
        && earlier.attachments_max >= later.attachments_max
}

fn differences(one: &Clause, other: &Clause) -> Vec<Difference> {
    let files = |clause: &Clause| (clause.attachment_bytes_max, clause.attachments_max);
    let identity = |clause: &Clause| (clause.disclosure, clause.sender_keeps_identity);
    [
        (identity(one) != identity(other), Difference::Disclosure),
        (one.clocks != other.clocks, Difference::Clocks),
        (files(one) != files(other), Difference::Files),
        (one.by_name_only != other.by_name_only, Difference::Addressing),
    ]
    .into_iter()
    .filter_map(|(is_so, difference)| is_so.then_some(difference))
    .collect()
}
