//! Numbers in a text: which are long enough to be somebody's, and which are only a date, a time or an
//! amount. Not here: whose they are.

use super::Telling;

/// The shortest telephone number.
const PHONE_DIGITS_MIN: usize = 7;
/// More digits than these are no telephone number, unless they begin as one.
const PHONE_DIGITS_MAX: usize = 12;
/// Groups of two digits are ages or times up to here.
const PAIRS_DIGITS_MAX: usize = 9;
/// Amounts in groups of three have so many digits at the most, by what is between the groups.
const COMMA_AMOUNT_DIGITS_MAX: usize = 9;
const POINT_AMOUNT_DIGITS_MAX: usize = 7;
/// An identity number of the Emirates begins so, and is so long.
const EMIRATES_ID: (&str, usize) = ("784", 15);
/// Digits of a passport, behind one or two letters.
const PASSPORT_DIGITS: std::ops::RangeInclusive<usize> = 6..=9;
const PASSPORT_LETTERS_MAX: usize = 2;
/// Most characters between two groups of one number.
const BETWEEN_CHARS_MAX: usize = 3;
/// Years that people write of.
const YEARS: std::ops::RangeInclusive<u32> = 1900..=2100;

/// Digits that may be one number: groups, and what is between them.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Run {
    groups: Vec<String>,
    between: Vec<String>,
    /// A plus stands before it.
    plus: bool,
    /// Letters stand before it as they do in a passport's number.
    letters: bool,
}

/// The runs of a text, which is lightly folded.
pub(super) fn runs(text: &str) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    let mut between = String::new();
    let mut before = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_digit()) {
        let (gap, from) = rest.split_at(start);
        between.push_str(gap);
        let end = from.find(|c: char| !c.is_ascii_digit()).unwrap_or(from.len());
        let (group, after) = from.split_at(end);
        match runs.last_mut().filter(|_| joins(&between)) {
            Some(run) => {
                run.groups.push(group.to_owned());
                run.between.push(std::mem::take(&mut between));
            }
            None => {
                before.push_str(&between);
                runs.push(Run {
                    groups: vec![group.to_owned()],
                    between: Vec::new(),
                    plus: before.trim_end().ends_with(['+', '\u{ff0b}']) || before.ends_with("(+"),
                    letters: ends_in_passport_letters(&before),
                });
            }
        }
        before = group.to_owned();
        between.clear();
        rest = after;
    }
    runs
}

/// Whether what is between two groups can be inside one number.
fn joins(between: &str) -> bool {
    let ends_something = between.contains(", ") || between.contains(". ");
    let inside = |c: char| {
        matches!(
            c,
            ' ' | '\u{a0}' | '\u{202f}' | '-' | '\u{2010}'
                ..='\u{2015}' | '.' | '/' | '(' | ')' | ',' | '٬' | '·' | '_'
        )
    };
    let chars = between.chars().count();
    (1..=BETWEEN_CHARS_MAX).contains(&chars) && !ends_something && between.chars().all(inside)
}

fn ends_in_passport_letters(before: &str) -> bool {
    let before = before.strip_suffix('-').unwrap_or(before);
    let letters = before.chars().rev().take_while(char::is_ascii_alphabetic).count();
    let edge = before.chars().rev().nth(letters);
    (1..=PASSPORT_LETTERS_MAX).contains(&letters) && edge.is_none_or(|c| !c.is_alphanumeric())
}

impl Run {
    /// All its digits.
    pub(super) fn digits(&self) -> String {
        self.groups.concat()
    }

    /// The dates in it: year, month and day, in the order in which they stand.
    pub(super) fn dates(&self) -> impl Iterator<Item = [u32; 3]> {
        (0..self.groups.len()).filter_map(|place| self.date_at(place))
    }

    /// What it tells, if it is anything of somebody's.
    pub(super) fn telling(&self) -> Option<Telling> {
        self.without_dates().iter().find_map(Self::told)
    }

    fn told(&self) -> Option<Telling> {
        let digits = self.digits();
        let length = digits.len();
        let first = self.groups.first().map_or(0, String::len);
        if self.letters && PASSPORT_DIGITS.contains(&first) {
            return Some(Telling::IdNumber);
        }
        if digits.starts_with(EMIRATES_ID.0) && length == EMIRATES_ID.1 {
            return Some(Telling::IdNumber);
        }
        if length < PHONE_DIGITS_MIN {
            return None;
        }
        if self.plus || digits.starts_with("00") {
            return Some(Telling::Phone);
        }
        if self.is_amount() || self.are_pairs(&digits) {
            return None;
        }
        Some(if length <= PHONE_DIGITS_MAX { Telling::Phone } else { Telling::IdNumber })
    }

    /// Amounts with separators, or a range of them: `1,500,000`, `1.500.000`, `150,000-200,000`.
    fn is_amount(&self) -> bool {
        let mut parts = vec![(Vec::new(), Vec::new())];
        for (place, group) in self.groups.iter().enumerate() {
            let between = place.checked_sub(1).and_then(|before| self.between.get(before));
            let ranges = between.is_some_and(|between| between.contains(['-', '\u{2013}', '\u{2014}']));
            if ranges {
                parts.push((Vec::new(), Vec::new()));
            }
            if let Some((groups, separators)) = parts.last_mut() {
                separators.extend(between.filter(|_| !ranges));
                groups.push(group);
            }
        }
        parts.iter().all(|(groups, separators)| is_amount(groups, separators))
    }

    /// Ages, times, percentages: groups of one or two digits.
    fn are_pairs(&self, digits: &str) -> bool {
        let short = self.groups.iter().all(|group| group.len() <= 2);
        let hours = matches!(self.between.as_slice(), [one, between, other] if one == "." && other == "." && between != ".");
        short && (hours || (!digits.starts_with('0') && digits.len() <= PAIRS_DIGITS_MAX))
    }

    /// What is left of it when dates, months and years are taken out.
    fn without_dates(&self) -> Vec<Self> {
        let mut left = Vec::new();
        let mut place = 0;
        let mut from = 0;
        while place < self.groups.len() {
            let taken = self.date_groups(place);
            if taken > 0 {
                left.extend(self.part(from, place));
                from = place.saturating_add(taken);
            }
            place = place.saturating_add(taken.max(1));
        }
        left.extend(self.part(from, self.groups.len()));
        left
    }

    fn part(&self, from: usize, to: usize) -> Option<Self> {
        let groups = self.groups.get(from..to).filter(|groups| !groups.is_empty())?.to_vec();
        let between = self.between.get(from..to.saturating_sub(1)).unwrap_or_default().to_vec();
        let whole = from == 0;
        Some(Self { groups, between, plus: self.plus && whole, letters: self.letters && whole })
    }

    /// How many groups from here on are a date, a month of a year, or two years.
    fn date_groups(&self, place: usize) -> usize {
        if self.plus {
            return 0;
        }
        if self.date_at(place).is_some() {
            return 3;
        }
        if self.stands_apart(place, 2) && self.is_pair_of_time(place) { 2 } else { 0 }
    }

    fn date_at(&self, place: usize) -> Option<[u32; 3]> {
        let [one, two, three] = self.groups.get(place..place.checked_add(3)?)? else { return None };
        let [first, second] = self.between.get(place..place.checked_add(2)?)? else { return None };
        let tight = first == second && is_tight(first) && self.stands_apart(place, 3);
        let (a, b, c) = (one.parse().ok()?, two.parse().ok()?, three.parse().ok()?);
        let month = |number: u32| (1..=12).contains(&number);
        let day = |number: u32| (1..=31).contains(&number);
        let year_first =
            one.len() == 4 && two.len() <= 2 && three.len() <= 2 && YEARS.contains(&a) && month(b) && day(c);
        let year_last = one.len() <= 2
            && two.len() <= 2
            && three.len() == 4
            && YEARS.contains(&c)
            && ((day(a) && month(b)) || (month(a) && day(b)));
        (tight && (year_first || year_last)).then_some([a, b, c])
    }

    /// `2019-2023`, `2019/20`, `05/2019`.
    fn is_pair_of_time(&self, place: usize) -> bool {
        let (Some(one), Some(two)) = (self.groups.get(place), self.groups.get(place.saturating_add(1)))
        else {
            return false;
        };
        let Some(between) = self.between.get(place) else { return false };
        let (Ok(a), Ok(b)) = (one.parse::<u32>(), two.parse::<u32>()) else { return false };
        let is_year = |text: &str, number| text.len() == 4 && YEARS.contains(&number);
        let years =
            is_year(one, a) && is_year(two, b) && between.contains(['-', '\u{2013}', '\u{2014}', '/']);
        let month_of_year = is_year(two, b) && one.len() <= 2 && (1..=12).contains(&a) && is_tight(between);
        let year_and_short = is_year(one, a) && two.len() == 2 && is_tight(between);
        years || month_of_year || year_and_short
    }

    /// Whether groups from here on are not tied to their neighbours as tightly as a number's are.
    fn stands_apart(&self, place: usize, groups: usize) -> bool {
        let before = place.checked_sub(1).and_then(|before| self.between.get(before));
        let after = self.between.get(place.saturating_add(groups).saturating_sub(1));
        !before.is_some_and(|between| is_tight(between)) && !after.is_some_and(|between| is_tight(between))
    }
}

fn is_tight(between: &str) -> bool {
    matches!(between, "-" | "/" | "." | "\u{2010}" | "\u{2011}")
}

fn is_amount(groups: &[&String], separators: &[&String]) -> bool {
    // Hundredths behind the last separator, which is another one.
    let (groups, separators) = match (groups, separators) {
        ([whole @ .., cents], [others @ .., last])
            if cents.len() <= 2 && others.iter().all(|one| one != last) =>
        {
            (whole, others)
        }
        _ => (groups, separators),
    };
    let Some((first, rest)) = groups.split_first() else { return false };
    let digits = groups.iter().fold(0_usize, |sum, group| sum.saturating_add(group.len()));
    let limit = if separators.iter().all(|one| matches!(one.as_str(), "," | "٬")) {
        COMMA_AMOUNT_DIGITS_MAX
    } else if separators.iter().all(|one| *one == ".") {
        POINT_AMOUNT_DIGITS_MAX
    } else {
        return false;
    };
    !rest.is_empty()
        && !first.starts_with('0')
        && first.len() <= 3
        && rest.iter().all(|group| group.len() == 3)
        && digits <= limit
}
