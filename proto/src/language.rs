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
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_inside_arabic_are_kept_apart() {
        assert_eq!(Language::Arabic.isolated("ae.dfwac"), "\u{2068}ae.dfwac\u{2069}");
        assert_eq!(Language::English.isolated("ae.dfwac"), "ae.dfwac");
    }
}
