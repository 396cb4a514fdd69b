//! Showing the vocabularies that the program carries. Not here: the vocabularies
//! (`proto::vocabulary`).

use agent::words::Language;
use proto::vocabulary::{ALL, Term, Vocabulary, nearest_of};
use serde_json::{Value, json};

use super::{
    arguments::Codes,
    outcome::{Outcome, Trouble},
    show::Screen,
};

/// Lists the vocabularies, or the codes of one. Needs no agent and no connection.
pub(crate) fn codes(asked: &Codes, screen: &Screen) -> Result<Outcome, Trouble> {
    let Some(name) = &asked.vocabulary else {
        let line = |one: &&Vocabulary| format!("{:<28}{}", one.name, one.about);
        screen.show(ALL.iter().map(line), || ALL.iter().map(|one| vocabulary_json(one)).collect());
        return Ok(Outcome::Done);
    };
    let vocabulary = ALL.iter().find(|one| one.name == name).ok_or_else(|| unknown(name))?;
    let lines = vocabulary.terms.iter().map(|term| term_line(term, screen.language));
    screen.show(lines, || vocabulary_json(vocabulary));
    Ok(Outcome::Done)
}

fn unknown(name: &str) -> Trouble {
    let meant = match nearest_of(name, ALL.iter().map(|one| one.name)) {
        Some(nearest) => format!("did you mean {nearest}?"),
        None => "`agent codes` lists them".to_owned(),
    };
    Trouble::usage(format!("there is no such vocabulary; {meant}"))
}

/// A word that is no code of a vocabulary, for whoever typed it on the command line.
pub(crate) fn not_a_code(vocabulary: &Vocabulary, what: &str, word: &str) -> Trouble {
    let near: Vec<_> = vocabulary.nearest(word).iter().map(|term| term.code).collect();
    let meant = if near.is_empty() {
        format!("it must be one of: {}", vocabulary.codes().collect::<Vec<_>>().join(", "))
    } else {
        format!("did you mean {}?", near.join(" or "))
    };
    Trouble::usage(format!("{what} is no code of `{}`; {meant}", vocabulary.name))
}

fn term_line(term: &Term, language: Language) -> String {
    let indent = if term.parent.is_some() { "  " } else { "" };
    let parent = term.parent.map_or_else(String::new, |parent| format!("  < {parent}"));
    let code = language.isolated(&format!("{indent}{}{parent}", term.code));
    format!("{code}  {}", language.pick(term.en, term.ar))
}

fn vocabulary_json(vocabulary: &Vocabulary) -> Value {
    json!({
        "name": vocabulary.name,
        "version": vocabulary.version,
        "about": vocabulary.about,
        "codes": vocabulary.terms.iter().map(term_json).collect::<Vec<_>>(),
    })
}

fn term_json(term: &Term) -> Value {
    let maps = term.maps.iter().map(|(standard, to)| json!({"standard": standard.name(), "term": to}));
    json!({
        "code": term.code,
        "parent": term.parent,
        "label_en": term.en,
        "label_ar": term.ar,
        "label_ar_reviewed": term.reviewed,
        "sources": term.sources,
        "maps": maps.collect::<Vec<_>>(),
        "by_name_only": term.by_name_only,
    })
}

#[cfg(test)]
mod tests {
    use proto::vocabulary::{AGENCY_TYPES, CATEGORIES};

    use super::*;

    #[test]
    fn a_code_is_shown_with_its_parent_and_label() {
        let servitude = CATEGORIES.find("servitude").unwrap();
        let line = term_line(servitude, Language::English);
        assert_eq!(line, "  servitude  < trafficking  Servitude (incl. domestic servitude)");
        assert!(term_line(servitude, Language::Arabic).ends_with("\u{2069}  الاستعباد"));
        let value = term_json(servitude);
        assert_eq!(value["maps"][0]["term"], "vic_TypeOfExploitation=Servitude");
        assert_eq!(value["label_ar_reviewed"], false);
    }

    #[test]
    fn what_is_not_known_is_answered_with_what_is_near() {
        assert!(unknown("categry").says.contains("did you mean category?"));
        assert!(unknown("zzzzzzzz").says.contains("lists them"));
        assert!(not_a_code(AGENCY_TYPES, "--type", "shelter").says.contains("Shelter"));
        assert!(not_a_code(AGENCY_TYPES, "--type", "zzz").says.contains("LawEnforcement"));
    }
}
