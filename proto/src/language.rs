//! The two languages that everything for people is said in. Not here: counted things (`count`), and the
//! words themselves, which stand where they are said.

use crate::count;

/// A language.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Language {
    /// English.
    #[default]
    English,
    /// Arabic.
    Arabic,
}

impl Language {
    /// Both.
    pub const ALL: &'static [Self] = &[Self::English, Self::Arabic];

    /// One of two texts.
    #[must_use]
    pub const fn pick(self, english: &'static str, arabic: &'static str) -> &'static str {
        match self {
            Self::English => english,
            Self::Arabic => arabic,
        }
    }

    /// A name or id inside a text of this language, kept apart from the direction around it.
    #[must_use]
    pub fn isolated(self, text: &str) -> String {
        match self {
            Self::English => text.to_owned(),
            Self::Arabic => count::isolated(text),
        }
    }

    /// Several things, one after the other.
    #[must_use]
    pub fn listed(self, things: impl IntoIterator<Item = String>) -> String {
        things.into_iter().collect::<Vec<_>>().join(self.pick("; ", "؛ "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_inside_arabic_are_kept_apart() {
        assert_eq!(Language::Arabic.isolated("ae.dfwac"), "\u{2068}ae.dfwac\u{2069}");
        assert_eq!(Language::English.isolated("ae.dfwac"), "ae.dfwac");
    }

    #[test]
    fn a_list_has_the_separator_of_its_language() {
        let list = |language: Language| language.listed(["1".to_owned(), "2".to_owned()]);
        assert_eq!([list(Language::English), list(Language::Arabic)], ["1; 2", "1؛ 2"]);
    }
}
