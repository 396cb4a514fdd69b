//! What is kept out of a table, so that no figure of fewer than [`K`] referrals can be had from it, by
//! adding and subtracting whatever figures it shows: months from the year, rows from the total. Not here:
//! what the rows are.
//!
//! 1. A row whose year is 1 to 10 shows nothing. If all such rows together are still so few, the smallest
//!    row that shows something joins them, until they are enough: the total less the others gives only
//!    their sum.
//! 2. Months are shown only when each has none, or enough, in all rows together.
//! 3. Of a row's months those of 1 to 10 show nothing. Then it is asked which sums of hidden cells follow
//!    from the sums of rows and of months. Adding sums of months and subtracting sums of rows gives a sum
//!    of cells each counted once, or not at all, exactly when, for some set of months, it is that of their
//!    hidden cells without the rows whose hidden cells all lie in these months (every other such sum is a
//!    sum of these, of rows and of months). If any of these is 1 to 10, one more cell is hidden, and all is
//!    asked again. If nothing is left to be hidden, months are not shown.
//! 4. What is shown is rounded, the sums by themselves: so that figures of two tables, whose rows may
//!    include one another, give no exact count either.

/// Fewer than this are not told: 11.
pub const K: u64 = 11;
/// Figures are rounded to the next multiple of this.
pub const ROUNDED_TO: u64 = 5;
/// Months of a year.
pub const MONTHS: usize = 12;
/// Every set of months, as bits.
const SETS: u32 = 1 << 12;

/// A figure.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Figure {
    /// Rounded.
    Count(u64),
    /// Not told.
    Hidden,
}

/// The figures of a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Shown {
    /// Of all rows, in the year.
    pub total: Figure,
    /// Of each row, in the year.
    pub rows: Vec<Figure>,
    /// The months; nothing where they may not be shown.
    pub months: Option<Months>,
}

/// The months of a table.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Months {
    /// Of all rows, in each month.
    pub totals: [Figure; MONTHS],
    /// Of each row, in each month.
    pub rows: Vec<[Figure; MONTHS]>,
}

type Row = [u64; MONTHS];

impl Shown {
    /// Of the true counts.
    pub(super) fn of(rows: &[Row]) -> Self {
        let sums: Vec<u64> = rows.iter().map(sum).collect();
        let total = sums.iter().fold(0_u64, |sum, count| sum.saturating_add(*count));
        if is_few(total) {
            return Self { total: Figure::Hidden, rows: vec![Figure::Hidden; rows.len()], months: None };
        }
        let together = few_together(&sums);
        let figure = |(place, count): (usize, &u64)| {
            if together.contains(&place) { Figure::Hidden } else { rounded(*count) }
        };
        Self {
            total: rounded(total),
            rows: sums.iter().enumerate().map(figure).collect(),
            months: months(rows, &together),
        }
    }
}

/// The rows that show nothing.
fn few_together(sums: &[u64]) -> Vec<usize> {
    let mut together: Vec<usize> = places(sums, is_few);
    loop {
        let count =
            together.iter().filter_map(|place| sums.get(*place)).fold(0_u64, |a, b| a.saturating_add(*b));
        if !is_few(count) {
            return together;
        }
        let others =
            sums.iter().enumerate().filter(|(place, count)| **count > 0 && !together.contains(place));
        match others.min_by_key(|(_, count)| **count) {
            Some((place, _)) => together.push(place),
            // There is no other: then the total says it.
            None => return together,
        }
    }
}

fn places(sums: &[u64], wanted: impl Fn(u64) -> bool) -> Vec<usize> {
    sums.iter().enumerate().filter(|(_, count)| wanted(**count)).map(|(place, _)| place).collect()
}

/// The months of all rows, where they may be shown. Those of rows that show nothing are one row, hidden
/// whole: what remains of a month without the others is theirs.
fn months(rows: &[Row], together: &[usize]) -> Option<Months> {
    let totals: Row = std::array::from_fn(|month| {
        rows.iter().filter_map(|row| row.get(month)).fold(0_u64, |a, b| a.saturating_add(*b))
    });
    if totals.iter().any(|count| is_few(*count)) {
        return None;
    }
    let mut grid = Grid { rows: rows.to_vec(), hidden: Vec::new() };
    let all_together: Row = std::array::from_fn(|month| {
        let of = together.iter().filter_map(|place| rows.get(*place)).filter_map(|row| row.get(month));
        of.fold(0_u64, |a, b| a.saturating_add(*b))
    });
    for place in together {
        if let Some(row) = grid.rows.get_mut(*place) {
            *row = [0; MONTHS];
        }
    }
    grid.hidden = grid.rows.iter().map(|row| row.map(is_few)).collect();
    grid.rows.push(all_together);
    grid.hidden.push(all_together.map(|count| count > 0));
    grid.settle()?;
    let figure = |place: usize, month: usize, count: u64| {
        if together.contains(&place) || grid.is_hidden(place, month) {
            Figure::Hidden
        } else {
            rounded(count)
        }
    };
    let row = |(place, row): (usize, &Row)| -> [Figure; MONTHS] {
        std::array::from_fn(|month| figure(place, month, row.get(month).copied().unwrap_or(0)))
    };
    Some(Months { totals: totals.map(rounded), rows: rows.iter().enumerate().map(row).collect() })
}

/// Counts, and which of them are hidden.
struct Grid {
    rows: Vec<Row>,
    hidden: Vec<[bool; MONTHS]>,
}

impl Grid {
    /// Hides until nothing small follows; nothing when that is not possible.
    fn settle(&mut self) -> Option<()> {
        while let Some(wrong) = self.wrong() {
            let (row, month) = self.smallest_shown(wrong)?;
            *self.hidden.get_mut(row)?.get_mut(month)? = true;
        }
        Some(())
    }

    /// Somewhere from where a small sum follows.
    fn wrong(&self) -> Option<Wrong> {
        let rows = (0..self.rows.len()).find(|row| is_few(self.hidden_sum(*row, SETS.wrapping_sub(1))));
        let in_row = rows.map(Wrong::Row);
        let in_months = || (1..SETS).find(|set| is_few(self.follows(*set)) || self.month_is_few(*set));
        in_row.or_else(|| in_months().map(Wrong::Months))
    }

    /// What follows from a set of months: their hidden cells, without the rows whose hidden cells all lie
    /// in these months.
    fn follows(&self, set: u32) -> u64 {
        let others = !set & SETS.wrapping_sub(1);
        let rows = (0..self.rows.len()).filter(|row| self.hidden_sum(*row, others) > 0);
        rows.fold(0, |sum: u64, row| sum.saturating_add(self.hidden_sum(row, set)))
    }

    /// Whether all hidden cells of a row, of which there are some, lie in a set of months.
    fn is_subtracted(&self, row: usize, set: u32) -> bool {
        let others = !set & SETS.wrapping_sub(1);
        self.hidden_sum(row, others) == 0 && self.hidden_sum(row, set) > 0
    }

    /// Whether a set is one month, whose hidden cells are few.
    fn month_is_few(&self, set: u32) -> bool {
        let sum = (0..self.rows.len()).fold(0_u64, |sum, row| sum.saturating_add(self.hidden_sum(row, set)));
        set.is_power_of_two() && is_few(sum)
    }

    /// The hidden cells of a row in a set of months.
    fn hidden_sum(&self, row: usize, set: u32) -> u64 {
        let Some((counts, hidden)) = self.rows.get(row).zip(self.hidden.get(row)) else {
            return 0;
        };
        let cells = counts.iter().zip(hidden).zip(0_u32..);
        let chosen = cells.filter(|((_, hidden), month)| **hidden && has(set, *month));
        chosen.fold(0, |sum: u64, ((count, _), _)| sum.saturating_add(*count))
    }

    fn is_hidden(&self, row: usize, month: usize) -> bool {
        self.hidden.get(row).and_then(|row| row.get(month)).copied().unwrap_or(true)
    }

    /// The smallest count that is shown where something is wrong. What is 0 says nothing of anybody.
    fn smallest_shown(&self, wrong: Wrong) -> Option<(usize, usize)> {
        let cells = self.rows.iter().enumerate().flat_map(|(row, counts)| {
            counts.iter().enumerate().map(move |(month, count)| (*count, row, month))
        });
        let shown = cells.filter(|(count, row, month)| *count > 0 && !self.is_hidden(*row, *month));
        let here = shown.filter(|(_, row, month)| match wrong {
            Wrong::Row(wrong) => *row == wrong,
            Wrong::Months(set) => {
                // In these months it adds to the sum; outside of them its row is not subtracted any more.
                let inside = u32::try_from(*month).is_ok_and(|month| has(set, month));
                inside || self.is_subtracted(*row, set)
            }
        });
        here.min().map(|(_, row, month)| (row, month))
    }
}

/// Where a small sum follows.
#[derive(Clone, Copy)]
enum Wrong {
    Row(usize),
    Months(u32),
}

const fn has(set: u32, month: u32) -> bool {
    set.wrapping_shr(month) & 1 == 1
}

fn sum(row: &Row) -> u64 {
    row.iter().fold(0, |sum, count| sum.saturating_add(*count))
}

const fn is_few(count: u64) -> bool {
    count > 0 && count < K
}

fn rounded(count: u64) -> Figure {
    let half_up = count.saturating_add(ROUNDED_TO / 2);
    Figure::Count(half_up.saturating_sub(half_up.checked_rem(ROUNDED_TO).unwrap_or(0)))
}

#[cfg(test)]
mod tests;
