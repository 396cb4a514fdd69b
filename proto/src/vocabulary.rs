//! The vocabularies that the product carries: codes with their parents, labels in English and Arabic,
//! sources and mappings. Each is a file under `vocabularies/`, made a constant when this crate is
//! built. Not here: which field takes which vocabulary (`payload`), and the codes of an agreement,
//! which are its parties' own.
//!
//! Vocabularies named after HTCDS, and codes mapped to it, are from the Human Trafficking Case Data
//! Standard 2.0 of the International Organization for Migration, used under CC BY 4.0; IOM does not
//! endorse this product.

use crate::{folded::folded, ids::ReasonClass};

include!(concat!(env!("OUT_DIR"), "/vocabularies.rs"));

/// Most codes that are offered for one that is not known.
pub const NEAREST_MAX: usize = 3;

/// A standard that a code is mapped to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standard {
    /// IOM's Human Trafficking Case Data Standard 2.0: field, or field and value.
    Htcds,
    /// HL7 FHIR `Task`.
    FhirTask,
    /// IHE 360X: the message, by name.
    Ihe360x,
    /// ETSI EN 319 522 evidence, by name.
    Erds,
    /// A term of the first source.
    Other,
}

impl Standard {
    /// Its key in the vocabularies' files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Htcds => "htcds",
            Self::FhirTask => "fhir_task",
            Self::Ihe360x => "ihe_360x",
            Self::Erds => "erds",
            Self::Other => "other",
        }
    }
}

/// A code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Term {
    /// What stands in a payload.
    pub code: &'static str,
    /// The code that covers it, which has no parent itself.
    pub parent: Option<&'static str>,
    /// Its English label.
    pub en: &'static str,
    /// Its label in Modern Standard Arabic.
    pub ar: &'static str,
    /// Whether a native speaker of the field has reviewed the Arabic label.
    pub reviewed: bool,
    /// Where it comes from: names in `vocabularies/sources.toml`.
    pub sources: &'static [&'static str],
    /// What it is elsewhere.
    pub maps: &'static [(Standard, &'static str)],
    /// What a header may say of it, for reasons and outcomes.
    pub class: Option<ReasonClass>,
    /// For types of agencies: never chosen by need nor as a fallback, only by name.
    pub by_name_only: bool,
}

impl Term {
    /// What it is in a standard.
    #[must_use]
    pub fn mapped_to(&self, standard: Standard) -> Option<&'static str> {
        self.maps.iter().find(|(one, _)| *one == standard).map(|(_, to)| *to)
    }
}

/// A closed list of codes, of one version.
#[derive(Clone, Copy)]
pub struct Vocabulary {
    /// Its name, and its file's.
    pub name: &'static str,
    /// Counted up whenever a code is added or changes its meaning; no code is ever used anew.
    pub version: u32,
    /// What it is.
    pub about: &'static str,
    /// Its codes, in the order in which people are shown them.
    pub terms: &'static [Term],
}

impl Vocabulary {
    /// A code of it.
    #[must_use]
    pub fn find(&self, code: &str) -> Option<&'static Term> {
        self.terms.iter().find(|term| term.code == code)
    }

    /// Whether a code is one of it.
    #[must_use]
    pub fn contains(&self, code: &str) -> bool {
        self.find(code).is_some()
    }

    /// The codes, in order.
    pub fn codes(&self) -> impl Iterator<Item = &'static str> {
        self.terms.iter().map(|term| term.code)
    }

    /// What a header may say of a code: its parent, or itself when it has none.
    #[must_use]
    pub fn coarse(&self, code: &str) -> Option<&'static str> {
        self.find(code).map(|term| term.parent.unwrap_or(term.code))
    }

    /// The codes that were most probably meant by a word, the nearest first: by their letters, or by
    /// their label in either language.
    #[must_use]
    pub fn nearest(&self, word: &str) -> Vec<&'static Term> {
        let word = folded(word.trim());
        let near = |term: &'static Term| distance_to(&word, term).map(|distance| (distance, term));
        let mut found: Vec<_> = self.terms.iter().filter_map(near).collect();
        found.sort_by_key(|(distance, _)| *distance);
        found.into_iter().take(NEAREST_MAX).map(|(_, term)| term).collect()
    }
}

/// Two vocabularies are the same when they have one name: there is one of each.
impl PartialEq for Vocabulary {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Vocabulary {}

impl std::fmt::Debug for Vocabulary {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)
    }
}

/// How far a folded word is from a code or one of its labels; none when it is too far.
fn distance_to(word: &str, term: &Term) -> Option<usize> {
    let whole = [term.code, term.en, term.ar].into_iter().filter_map(|one| {
        let one = folded(one);
        let distance = distance(word, &one);
        is_near(distance, word, &one).then_some(distance)
    });
    // A part of a label or code: further than any whole one.
    let parts = [term.code, term.en, term.ar].into_iter().filter_map(|one| {
        let one = folded(one);
        let words = one.split(|c: char| !c.is_alphanumeric());
        let near = |part: &str| part.chars().count() >= PART_CHARS_MIN && distance(word, part) <= 1;
        let found =
            word.chars().count() >= PART_CHARS_MIN && (one.contains(word) || words.into_iter().any(near));
        found.then_some(WORD_OF_LABEL)
    });
    whole.chain(parts).min()
}

/// A shorter word stands in too many labels.
const PART_CHARS_MIN: usize = 4;
/// How much further a word of a label is than a whole label.
const WORD_OF_LABEL: usize = 8;

fn is_near(distance: usize, word: &str, one: &str) -> bool {
    let length = word.chars().count().min(one.chars().count());
    // Of three letters two may not be other ones.
    distance == 0 || (distance <= 2 && length > 3) || distance.saturating_mul(3) <= length
}

/// The candidate that is most like a word, when one is near enough to have been meant.
#[must_use]
pub fn nearest_of<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_ascii_lowercase();
    let distances = candidates.into_iter().map(|one| (distance(&word, &one.to_ascii_lowercase()), one));
    let (distance, nearest) = distances.min()?;
    let near = distance <= 2 || distance.saturating_mul(3) <= nearest.len();
    near.then_some(nearest)
}

/// How many letters must be added, taken away or changed.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (place, letter) in one.chars().enumerate() {
        let mut diagonal = place;
        let mut left = place.saturating_add(1);
        let mut next = vec![left];
        for (there, above) in other.iter().zip(row.iter().skip(1)) {
            let changed = diagonal.saturating_add(usize::from(*there != letter));
            left = changed.min(left.saturating_add(1)).min(above.saturating_add(1));
            diagonal = *above;
            next.push(left);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::{
        ids::{Code, Kind, Urgency},
        lifecycle::{Act, Status},
    };

    /// Words that the glossary replaces.
    const BARRED_WORDS: &[&str] =
        &["مرفوض", "مرفوضة", "ضحية", "وكيل", "وكالة", "فشل", "هروب", "تغيّب", "تحويل", "رفض", "شاهد"];

    fn snake(name: &str) -> String {
        let mut code = String::new();
        for letter in name.chars() {
            if letter.is_ascii_uppercase() && !code.is_empty() {
                code.push('_');
            }
            code.push(letter.to_ascii_lowercase());
        }
        code
    }

    #[test]
    fn every_code_has_both_labels_in_their_own_letters() {
        assert!(ALL.len() > 35);
        for vocabulary in ALL {
            assert!(!vocabulary.terms.is_empty() && vocabulary.version > 0, "{vocabulary:?}");
            for term in vocabulary.terms {
                let at = format!("{vocabulary:?} {}", term.code);
                assert!(term.en.is_ascii(), "{at}");
                assert!(term.ar.chars().any(|c| ('\u{620}'..='\u{64a}').contains(&c)), "{at}");
                assert!(!term.ar.contains(|c: char| c.is_ascii_alphabetic()), "{at}: Latin needs isolation");
                let words = || term.ar.split(|c: char| !c.is_alphanumeric()).map(folded);
                for barred in BARRED_WORDS {
                    assert!(
                        !words().any(|word| word.trim_start_matches("ال") == folded(barred)),
                        "{at}: {barred}"
                    );
                }
                assert!(
                    !term.ar.contains("غير شرعي") && !term.ar.contains("الإتجار"),
                    "{at}: see the glossary"
                );
            }
        }
    }

    #[test]
    fn labels_tell_the_codes_of_a_vocabulary_apart() {
        for vocabulary in ALL {
            let en: BTreeSet<_> = vocabulary.terms.iter().map(|term| term.en).collect();
            let ar: BTreeSet<_> = vocabulary.terms.iter().map(|term| term.ar).collect();
            assert_eq!(
                (en.len(), ar.len()),
                (vocabulary.terms.len(), vocabulary.terms.len()),
                "{vocabulary:?}"
            );
        }
    }

    #[test]
    fn what_a_header_may_carry_is_a_code() {
        for vocabulary in [CATEGORIES, SERVICES] {
            for term in vocabulary.terms {
                assert!(Code::parse(term.code, "code").is_ok(), "{}", term.code);
                let coarse = vocabulary.coarse(term.code).unwrap();
                assert_eq!(vocabulary.coarse(coarse), Some(coarse));
            }
            // Coarse enough to single nobody out.
            let coarse = vocabulary.terms.iter().filter(|term| term.parent.is_none()).count();
            assert!(coarse <= 16, "{vocabulary:?}: {coarse}");
        }
        assert_eq!(CATEGORIES.coarse("servitude"), Some("trafficking"));
        assert_eq!(SERVICES.coarse("sexual_rehab"), Some("psychosocial"));
        assert_eq!(SERVICES.coarse("massage"), None);
    }

    #[test]
    fn our_own_lists_are_these_vocabularies() {
        let same = |vocabulary: &Vocabulary, names: Vec<String>| {
            assert_eq!(vocabulary.codes().collect::<Vec<_>>(), names);
        };
        same(STATUSES, Status::ALL.iter().map(|status| snake(&format!("{status:?}"))).collect());
        same(KINDS, Kind::ALL.iter().map(|kind| snake(&format!("{kind:?}"))).collect());
        same(URGENCIES, Urgency::ALL.iter().map(|urgency| snake(&format!("{urgency:?}"))).collect());
    }

    #[test]
    fn only_reasons_and_outcomes_have_classes_and_they_fit_the_acts() {
        for vocabulary in ALL {
            let act = match vocabulary.name {
                "reason" => Some(Act::Decline),
                "outcome" => Some(Act::Complete),
                _ => None,
            };
            for term in vocabulary.terms {
                match act {
                    Some(act) => assert!(act.reason_fits(term.class), "{}", term.code),
                    None => assert_eq!(term.class, None, "{}", term.code),
                }
            }
        }
        // Only what she need not be asked about again may pass her on.
        let passing = REASONS.terms.iter().filter(|term| term.class != Some(ReasonClass::Other));
        let passing: Vec<_> = passing.map(|term| term.code).collect();
        assert_eq!(passing, ["no_capacity", "service_not_provided", "service_unavailable", "out_of_area"]);
    }

    #[test]
    fn who_is_never_chosen_by_need() {
        let never = ALL.iter().flat_map(|vocabulary| vocabulary.terms).filter(|term| term.by_name_only);
        let never: Vec<_> = never.map(|term| term.code).collect();
        assert_eq!(never, ["LawEnforcement", "ImmigrationService", "CorporateBusiness", "Embassy"]);
        assert!(never.iter().all(|code| AGENCY_TYPES.contains(code)));
        assert!(never.iter().all(|code| crate::directory::is_by_name_only(code)), "the directory's rule");
    }

    #[test]
    fn every_status_is_one_of_fhir_and_the_ends_differ() {
        let fhir = |code| STATUSES.find(code).unwrap().mapped_to(Standard::FhirTask);
        for term in STATUSES.terms {
            // FHIR has no status for a cancellation that is asked for.
            assert_eq!(
                term.mapped_to(Standard::FhirTask).is_none(),
                term.code == "cancel_requested",
                "{}",
                term.code
            );
        }
        assert_eq!(fhir("declined"), Some("status=rejected"));
        assert_eq!(fhir("completed"), Some("status=completed"));
        let expired = STATUSES.find("expired").unwrap();
        assert_eq!(expired.mapped_to(Standard::Erds), Some("AcceptanceRejectionExpiry"));
        assert_eq!(expired.mapped_to(Standard::Ihe360x), None);
    }

    #[test]
    fn the_nearest_codes_are_found_by_code_and_by_either_label() {
        let nearest = |vocabulary: &Vocabulary, word: &str| -> Vec<_> {
            vocabulary.nearest(word).iter().map(|term| term.code).collect()
        };
        for (vocabulary, word, first) in [
            (CATEGORIES, "traficking", "trafficking"),
            (CATEGORIES, "Servitude", "servitude"),
            (CATEGORIES, "الإتجار بالبشر", "trafficking"),
            (CATEGORIES, "العنف الأسرى", "domestic_violence"),
            (SERVICES, "Legal assistance", "legal"),
            (SERVICES, "الإيواء", "shelter"),
            (SERVICES, "safe house", "shelter"),
            (LANGUAGES, "Arabic", "ar"),
            (LANGUAGES, "العربيه", "ar"),
            (LANGUAGES, "tagalog", "tl"),
            (GENDERS, "feminine", "Feminine"),
            (URGENCIES, "عاجله", "urgent"),
            (CONTROL_METHODS, "Debt", "DebtBondage"),
        ] {
            assert_eq!(
                nearest(vocabulary, word).first(),
                Some(&first),
                "{word}: {:?}",
                nearest(vocabulary, word)
            );
        }
        assert!(nearest(SERVICES, "massage").is_empty());
        assert!(nearest(URGENCIES, "").is_empty());
        assert!(nearest(CATEGORIES, "gbv assault").len() <= NEAREST_MAX);
    }

    #[test]
    fn the_nearest_word() {
        let words = ["category", "service", "urgency", "jurisdiction"];
        for (typed, meant) in [
            ("catgory", Some("category")),
            ("Urgency", Some("urgency")),
            ("juristiction", Some("jurisdiction")),
            ("services", Some("service")),
            ("colour", None),
            ("", None),
        ] {
            assert_eq!(nearest_of(typed, words), meant, "{typed}");
        }
    }

    /// What stands in sealed payloads for decades is never renamed: a code may only be added.
    #[test]
    fn codes_are_stable() {
        let listed: String = ALL
            .iter()
            .flat_map(|vocabulary| vocabulary.terms.iter().map(move |term| (vocabulary, term)))
            .map(|(vocabulary, term)| {
                let class = term.class.map_or_else(|| "-".to_owned(), |class| snake(&format!("{class:?}")));
                let by_name_only = if term.by_name_only { " by_name_only" } else { "" };
                let parent = term.parent.unwrap_or("-");
                format!(
                    "{} {} {} {parent} {class}{by_name_only}\n",
                    vocabulary.name, vocabulary.version, term.code
                )
            })
            .collect();
        assert_eq!(listed, include_str!("../tests/golden/vocabularies.txt"));
    }

    /// How many labels of which vocabulary nobody has reviewed, as the document says it.
    #[test]
    fn the_document_says_which_labels_are_not_reviewed() {
        let mut expected = String::from(
            "| vocabulary | version | codes | Arabic not reviewed |\n| --- | --- | --- | --- |\n",
        );
        for vocabulary in ALL {
            let open: Vec<_> =
                vocabulary.terms.iter().filter(|term| !term.reviewed).map(|term| term.code).collect();
            let open = match open.len() {
                0 => "none".to_owned(),
                all if all == vocabulary.terms.len() => format!("all {all}"),
                some => format!("{some}: `{}`", open.join("`, `")),
            };
            let (name, version, count) = (vocabulary.name, vocabulary.version, vocabulary.terms.len());
            expected.push_str(&format!("| `{name}` | {version} | {count} | {open} |\n"));
        }
        let readme = include_str!("../README.md");
        assert!(readme.contains(&expected), "proto/README.md must have:\n{expected}");
    }
}
