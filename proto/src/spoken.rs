//! A referral's code for the telephone: eight digits that both sides work out from its id, made for a bad
//! line. It tells nothing of the case; whoever hears it only finds the case that is already there. Not
//! here: which cases an agent has, and whom to telephone (`directory`).
//!
//! A code is not unique: several referrals of a large agency may have the same. Whoever looks for one
//! takes all of its referrals into account.

use std::fmt;

use thiserror::Error;

use crate::{digest::Digest, ids::ReferralKey};

/// How many digits a code has, the check digit included.
pub const DIGITS: usize = 8;
/// How many are spoken at once.
const GROUP: usize = 4;
/// Of how many numbers one is chosen: seven digits of which the first is not 0. So a code is no beginning
/// of an id, all of which begin with 0 until the year 2527, and a spreadsheet drops nothing of it.
const NUMBERS: u64 = 9_000_000;
const FIRST: u64 = 1_000_000;
const DOMAIN: &[u8] = b"referral/spoken/v1\0";

/// Damm's quasigroup of order 10 (H. M. Damm, 2004): the check digit catches every single wrong digit and
/// every swap of neighbours.
const DAMM: [[u8; 10]; 10] = [
    [0, 3, 1, 7, 5, 9, 8, 6, 4, 2],
    [7, 0, 9, 2, 1, 5, 4, 8, 6, 3],
    [4, 2, 0, 6, 8, 7, 1, 3, 5, 9],
    [1, 7, 5, 0, 9, 8, 3, 4, 2, 6],
    [6, 1, 2, 3, 0, 4, 5, 9, 7, 8],
    [3, 6, 7, 4, 2, 0, 9, 5, 8, 1],
    [5, 8, 6, 9, 7, 2, 0, 1, 3, 4],
    [8, 9, 4, 5, 3, 6, 2, 0, 1, 7],
    [9, 4, 3, 8, 6, 1, 7, 2, 0, 5],
    [2, 5, 8, 1, 4, 3, 6, 7, 9, 0],
];

/// A code.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Spoken([u8; DIGITS]);

/// Why a text is no code.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum NotSpoken {
    /// Something else than eight digits, of which the first is not 0: perhaps a referral's id.
    #[error("no spoken code: it has eight digits")]
    Form,
    /// Eight digits, and one of them was misheard or two of them swapped.
    #[error("the code was misheard or mistyped: ask for it again, digit by digit")]
    CheckDigit,
}

impl NotSpoken {
    /// The same in Arabic, not yet reviewed by a native speaker of the field.
    #[must_use]
    pub const fn text_ar(self) -> &'static str {
        match self {
            Self::Form => "ليس رمزًا منطوقًا: يتكوّن الرمز من ثمانية أرقام",
            Self::CheckDigit => "سُمع الرمز أو كُتب على غير وجهه: يُرجى طلبه من جديد رقمًا رقمًا",
        }
    }
}

impl Spoken {
    /// The code of a referral.
    #[must_use]
    pub fn of(referral: &ReferralKey) -> Self {
        let opened_by = referral.opened_by.as_str().as_bytes();
        let digest = Digest::of_all(&[DOMAIN, referral.id.as_bytes(), opened_by]);
        let (head, _) = digest.as_bytes().split_first_chunk().unwrap_or((&[0; 8], &[]));
        let mut number = (u64::from_be_bytes(*head) % NUMBERS).saturating_add(FIRST);
        let mut digits = [0; DIGITS];
        if let Some((check, body)) = digits.split_last_mut() {
            for digit in body.iter_mut().rev() {
                *digit = u8::try_from(number % 10).unwrap_or(0);
                number /= 10;
            }
            *check = interim(body);
        }
        Self(digits)
    }

    /// Reads a code as people write it: in Latin, Arabic or Persian digits, with spaces and dashes.
    ///
    /// # Errors
    /// [`NotSpoken`].
    pub fn parse(text: &str) -> Result<Self, NotSpoken> {
        let mut digits = [0; DIGITS];
        let mut places = digits.iter_mut();
        for letter in text.chars().filter(|letter| !is_between(*letter)) {
            let place = places.next().ok_or(NotSpoken::Form)?;
            *place = digit(letter).ok_or(NotSpoken::Form)?;
        }
        if places.next().is_some() || digits.first() == Some(&0) {
            return Err(NotSpoken::Form);
        }
        if interim(&digits) == 0 { Ok(Self(digits)) } else { Err(NotSpoken::CheckDigit) }
    }
}

/// In the groups in which it is spoken: `8763 6793`.
impl fmt::Display for Spoken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, group) in self.0.chunks(GROUP).enumerate() {
            if number > 0 {
                f.write_str(" ")?;
            }
            group.iter().try_for_each(|digit| write!(f, "{digit}"))?;
        }
        Ok(())
    }
}

/// The state after some digits: the check digit that belongs behind them, which makes it 0.
fn interim(digits: &[u8]) -> u8 {
    let step = |row: u8, digit: &u8| {
        let row = DAMM.get(usize::from(row));
        row.and_then(|row| row.get(usize::from(*digit))).copied().unwrap_or(0)
    };
    digits.iter().fold(0, step)
}

/// What stands between digits and says nothing: spaces, dashes, and the marks that keep directions apart.
fn is_between(letter: char) -> bool {
    letter.is_whitespace()
        || matches!(
            letter,
            '-' | '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{200e}' | '\u{200f}' | '\u{61c}'
                | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
        )
}

fn digit(letter: char) -> Option<u8> {
    let of = |zero: char| u32::from(letter).checked_sub(u32::from(zero)).filter(|digit| *digit < 10);
    let digit = of('0').or_else(|| of('٠')).or_else(|| of('۰'))?;
    u8::try_from(digit).ok()
}

#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    reason = "small numbers of a test"
)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::ids::{AgencyId, EnvelopeId, TimeMs};

    fn referral(number: u64) -> ReferralKey {
        let opened_by = AgencyId::parse("ae.dfwac", "opened_by").unwrap();
        let random = number.to_be_bytes();
        let mut bytes = [7; 10];
        bytes[..8].copy_from_slice(&random);
        ReferralKey { id: EnvelopeId::new(TimeMs(1_790_000_000_000), bytes), opened_by }
    }

    fn text(digits: &[u8]) -> String {
        digits.iter().map(|digit| char::from(b'0' + digit)).collect()
    }

    #[test]
    fn the_same_referral_has_the_same_code_everywhere() {
        // Literal: an agent of another make must come to the same.
        let codes: Vec<_> = (0..3).map(|number| Spoken::of(&referral(number)).to_string()).collect();
        assert_eq!(codes, GOLDEN);
        let elsewhere = AgencyId::parse("jo.mosd", "opened_by").unwrap();
        let other = ReferralKey { opened_by: elsewhere, ..referral(0) };
        assert_ne!(Spoken::of(&other), Spoken::of(&referral(0)), "an id is unique only with who opened it");
    }

    /// Worked out by another program, in Python.
    const GOLDEN: [&str; 3] = ["8763 6793", "3063 3511", "9898 1282"];

    #[test]
    fn codes_are_spread_and_read_again() {
        let codes: BTreeSet<_> = (0..2_000).map(|number| Spoken::of(&referral(number))).collect();
        assert!(codes.len() > 1_990, "{}", codes.len());
        for code in codes {
            assert_eq!(Spoken::parse(&code.to_string()), Ok(code));
            assert_ne!(code.0[0], 0);
        }
    }

    #[test]
    fn every_single_wrong_digit_and_every_swap_of_neighbours_is_caught() {
        // The quasigroup itself: no row and no column has a digit twice, the diagonal is 0, and a swap
        // never leads to the same state.
        for (a, row) in DAMM.iter().enumerate() {
            assert_eq!(row[a], 0);
            let column: Vec<u8> = DAMM.iter().map(|row| row[a]).collect();
            for digits in [row.to_vec(), column] {
                assert_eq!(digits.into_iter().collect::<BTreeSet<_>>().len(), 10);
            }
            for b in 0..10_u8 {
                for c in (0..10_u8).filter(|c| *c != b) {
                    let state = |first: u8, second: u8| {
                        let after = row[usize::from(first)];
                        DAMM[usize::from(after)][usize::from(second)]
                    };
                    assert_ne!(state(b, c), state(c, b), "{a} {b} {c}");
                }
            }
        }
        assert_eq!(interim(&[5, 7, 2]), 4, "the published example");
        // And whole codes.
        for number in 0..500 {
            let good = Spoken::of(&referral(number)).0;
            for place in 0..DIGITS {
                for wrong in (0..10).filter(|wrong| *wrong != good[place]) {
                    let mut bad = good;
                    bad[place] = wrong;
                    assert!(Spoken::parse(&text(&bad)).is_err(), "{good:?} {bad:?}");
                }
                let mut swapped = good;
                if place > 0 && good[place] != good[place - 1] {
                    swapped.swap(place, place - 1);
                    assert!(Spoken::parse(&text(&swapped)).is_err(), "{good:?} {swapped:?}");
                }
            }
        }
    }

    #[test]
    fn a_code_is_read_as_people_write_it() {
        let code = Spoken::of(&referral(1));
        let latin = text(&code.0);
        let in_digits = |zero: char| -> String {
            let shifted = code.0.iter().map(|digit| char::from_u32(u32::from(zero) + u32::from(*digit)));
            shifted.map(Option::unwrap).collect()
        };
        let (front, back) = latin.split_at(4);
        for written in [
            latin.clone(),
            format!("{front} {back}"),
            format!(" {front}-{back} "),
            format!("{front}\u{2013}{back}"),
            format!("\u{2068}{front}\u{a0}{back}\u{2069}"),
            in_digits('٠'),
            in_digits('۰'),
        ] {
            assert_eq!(Spoken::parse(&written), Ok(code), "{written:?}");
        }
        for (other, expected) in [
            ("", NotSpoken::Form),
            ("4821", NotSpoken::Form),
            ("0192abcd", NotSpoken::Form),
            ("01920000", NotSpoken::Form),
            ("123456789", NotSpoken::Form),
            ("1234567x", NotSpoken::Form),
            ("1234 5678", NotSpoken::CheckDigit),
        ] {
            assert_eq!(Spoken::parse(other), Err(expected), "{other}");
        }
        assert!(!NotSpoken::CheckDigit.text_ar().is_ascii());
    }
}
