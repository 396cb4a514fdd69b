//! What in a text tells who somebody is: telephone numbers, e-mail addresses, id numbers, and the names
//! and numbers of a household that is known. Errs on the side of telling: what is found is shown to
//! the person who wrote it, who says it otherwise. Not here: which texts are looked at.

mod names;
mod numbers;

use names::Name;
use numbers::Run;

use crate::folded::lightly_folded;

/// Fields of the identity that hold names.
pub const NAME_FIELDS: &[&str] = &[
    "given",
    "father",
    "grandfather",
    "family",
    "latin",
    "prs_FirstName",
    "prs_MiddleName",
    "prs_SecondName",
];
/// Fields of the identity that hold numbers, or something with a number in it.
pub const NUMBER_FIELDS: &[&str] = &["prs_IdentityNumber", "prs_MobilePhone", "prs_HomePhone"];
/// Fields of the identity that hold the day that somebody was born.
pub const BIRTHDAY_FIELDS: &[&str] = &["prs_Birthdate"];

/// The last digits of a number tell it, with or without its country and however it is spaced.
const DIGITS_COMPARED: usize = 8;
/// A shorter number stands in too many others.
const DIGITS_MIN: usize = 5;
/// The shortest account name.
const ACCOUNT_CHARS_MIN: usize = 3;

/// What tells who somebody is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Telling {
    /// A telephone number, or a number as long as one.
    Phone,
    /// An e-mail address, or an account's name.
    Address,
    /// The number of an identity card or passport.
    IdNumber,
}

/// What in a text would tell anybody's identity; none for ordinary text.
#[must_use]
pub fn telling(text: &str) -> Option<Telling> {
    let text = lightly_folded(text);
    if has_address(&text) {
        return Some(Telling::Address);
    }
    numbers::runs(&text).iter().find_map(Run::telling)
}

/// The names, numbers and birthdays of a household.
#[derive(Clone, Default)]
pub struct Household {
    names: Vec<Name>,
    numbers: Vec<String>,
    birthdays: Vec<[u32; 3]>,
}

impl std::fmt::Debug for Household {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Household")
    }
}

impl Household {
    /// Adds a name, in any writing, of one part or of several.
    pub fn add_name(&mut self, name: &str) {
        self.names.extend(names::of(name));
    }

    /// Adds a number: of a telephone, a card, a passport.
    pub fn add_number(&mut self, number: &str) {
        let digits: String = lightly_folded(number).chars().filter(char::is_ascii_digit).collect();
        let from = digits.len().saturating_sub(DIGITS_COMPARED);
        self.numbers.extend(digits.get(from..).filter(|last| last.len() >= DIGITS_MIN).map(str::to_owned));
    }

    /// Adds a birthday, `YYYY-MM-DD`.
    pub fn add_birthday(&mut self, day: &str) {
        let mut parts = day.split('-').map(str::parse);
        if let (Some(Ok(year)), Some(Ok(month)), Some(Ok(day)), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        {
            self.birthdays.push(sorted([year, month, day]));
        }
    }

    /// Adds what a field of the identity says, if it tells who somebody is.
    pub fn add_field(&mut self, field: &str, value: &str) {
        if NAME_FIELDS.contains(&field) {
            self.add_name(value);
        } else if NUMBER_FIELDS.contains(&field) {
            self.add_number(value);
        } else if BIRTHDAY_FIELDS.contains(&field) {
            self.add_birthday(value);
        }
    }

    /// Whether a text names one of the household, or repeats a number or birthday of it.
    #[must_use]
    pub fn stands_in(&self, text: &str) -> bool {
        let light = lightly_folded(text);
        if names::stand_in(&self.names, &light) {
            return true;
        }
        numbers::runs(&light).iter().any(|run| {
            let digits = run.digits();
            self.numbers.iter().any(|number| digits.contains(number.as_str()))
                || run.dates().any(|date| self.birthdays.contains(&sorted(date)))
        })
    }
}

fn sorted(mut numbers: [u32; 3]) -> [u32; 3] {
    numbers.sort_unstable();
    numbers
}

/// Whether a text has an e-mail address, or the name of an account: `@name`.
fn has_address(text: &str) -> bool {
    let is_word = |c: &char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-' | '+');
    text.match_indices(['@', '\u{ff20}']).any(|(at, sign)| {
        let before = text.get(..at).unwrap_or_default().chars().next_back().is_some_and(|c| is_word(&c));
        let after = text.get(at.saturating_add(sign.len())..).unwrap_or_default();
        let word: String = after.chars().take_while(is_word).collect();
        if before {
            word.chars().next().is_some_and(char::is_alphanumeric)
        } else {
            word.chars().count() >= ACCOUNT_CHARS_MIN
        }
    })
}

#[cfg(test)]
mod tests;
