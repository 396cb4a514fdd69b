//! That nothing of fewer than eleven follows is checked here by other means than the guard's own: by linear
//! algebra over every set of hidden cells.

#![allow(clippy::arithmetic_side_effects, reason = "numbers below a small prime")]

use proptest::prelude::*;

use super::*;

/// Most months of a grid whose every set of cells is tried.
const SMALL: usize = 4;

fn year(cells: &[u64]) -> Row {
    std::array::from_fn(|month| cells.get(month).copied().unwrap_or(0))
}

#[test]
fn few_rows_are_hidden_and_never_alone() {
    let rows = [year(&[100]), year(&[20]), year(&[3]), year(&[0])];
    let shown = Shown::of(&rows);
    assert_eq!(shown.total, Figure::Count(125));
    // 3 alone would be the total less the others: the next smallest goes with it.
    let expected = [Figure::Count(100), Figure::Hidden, Figure::Hidden, Figure::Count(0)];
    assert_eq!(shown.rows, expected);
    let many = [year(&[100]), year(&[20]), year(&[6]), year(&[5])];
    let expected = [Figure::Count(100), Figure::Count(20), Figure::Hidden, Figure::Hidden];
    assert_eq!(Shown::of(&many).rows, expected);
    let few = Shown::of(&[year(&[4]), year(&[6])]);
    assert_eq!((few.total, few.months), (Figure::Hidden, None));
}

#[test]
fn months_hide_what_could_be_subtracted() {
    // Of the first row one month is small: another must go with it, and in these months another row's.
    let rows = [year(&[3, 30, 40]), year(&[50, 60, 70])];
    let months = Shown::of(&rows).months.unwrap();
    let hidden = |row: usize| months.rows[row].map(|figure| figure == Figure::Hidden);
    assert_eq!(hidden(0)[..4], [true, true, false, false]);
    assert_eq!(hidden(1)[..4], [true, true, false, false]);
    assert_eq!(months.totals[0], Figure::Count(55));
    // A month of few referrals: then no month is told.
    assert_eq!(Shown::of(&[year(&[3, 30]), year(&[2, 60])]).months, None);
}

#[test]
fn figures_are_rounded() {
    for (count, expected) in [(0, 0), (11, 10), (12, 10), (13, 15), (17, 15), (18, 20)] {
        assert_eq!(rounded(count), Figure::Count(expected));
    }
}

const PRIME: i64 = 1_000_003;

/// What follows from known sums, in steps: Gauss over a prime field, in which these small matrices of 0 and 1
/// have the rank that they have among the rationals.
#[derive(Default)]
struct Known(Vec<(usize, Vec<i64>)>);

impl Known {
    /// What is left of a vector when all that follows is taken from it.
    fn reduced(&self, vector: &[i64]) -> Vec<i64> {
        let mut left = vector.to_vec();
        for (pivot, row) in &self.0 {
            let factor = left[*pivot];
            for (value, lead) in left.iter_mut().zip(row) {
                *value = (*value - factor * lead).rem_euclid(PRIME);
            }
        }
        left
    }

    fn add(&mut self, vector: &[i64]) {
        let left = self.reduced(vector);
        if let Some(pivot) = left.iter().position(|value| *value != 0) {
            let inverse = power(left[pivot], PRIME - 2);
            self.0.push((pivot, left.iter().map(|value| value * inverse % PRIME).collect()));
        }
    }

    fn follows(&self, wanted: &[i64]) -> bool {
        self.reduced(wanted).iter().all(|value| *value == 0)
    }
}

fn power(mut base: i64, mut exponent: i64) -> i64 {
    let mut result = 1;
    while exponent > 0 {
        if exponent % 2 == 1 {
            result = result * base % PRIME;
        }
        base = base * base % PRIME;
        exponent /= 2;
    }
    result
}

/// Every set of cells whose count follows from what is shown has none, or enough.
fn nothing_small_follows(rows: &[Row]) {
    let shown = Shown::of(rows);
    let total: u64 = rows.iter().map(sum).sum();
    if shown.total == Figure::Hidden {
        return assert!(total < K && shown.rows.iter().all(|row| *row == Figure::Hidden));
    }
    // Each unknown is a count that is positive: months of rows, or whole rows where no month is shown.
    let cells: Vec<(usize, usize, u64)> = (0..rows.len())
        .flat_map(|row| (0..MONTHS).map(move |month| (row, month)))
        .map(|(row, month)| (row, month, rows[row][month]))
        .filter(|(_, _, count)| *count > 0)
        .collect();
    let mut known = Known::default();
    let mut know = |wanted: &dyn Fn(usize, usize) -> bool| {
        let vector: Vec<_> = cells.iter().map(|(row, month, _)| i64::from(wanted(*row, *month))).collect();
        known.add(&vector);
    };
    know(&|_, _| true);
    for (row, figure) in shown.rows.iter().enumerate() {
        if *figure != Figure::Hidden {
            know(&|one, _| one == row);
        }
    }
    if let Some(months) = &shown.months {
        for month in 0..MONTHS {
            know(&|_, one| one == month);
            for row in 0..rows.len() {
                if months.rows[row][month] != Figure::Hidden {
                    know(&|one, other| one == row && other == month);
                }
            }
        }
    }
    let every = 1_u32 << cells.len();
    for set in 1..every {
        let of = |place: usize| set >> place & 1 == 1;
        let count: u64 =
            cells.iter().enumerate().filter(|(place, _)| of(*place)).map(|(_, cell)| cell.2).sum();
        if is_few(count) {
            let wanted: Vec<i64> = (0..cells.len()).map(|place| i64::from(of(place))).collect();
            assert!(!known.follows(&wanted), "{count} follows in {rows:?}: {shown:?}");
        }
    }
}

#[test]
fn what_only_chains_of_subtractions_give_away_is_hidden_too() {
    // The second row's only hidden month, taken from its sum, would give the month's other hidden cell.
    nothing_small_follows(&[year(&[3, 9, 40]), year(&[12, 50, 60]), year(&[30, 30, 30])]);
    nothing_small_follows(&[year(&[10, 1, 40]), year(&[1, 10, 60]), year(&[30, 30, 30])]);
    nothing_small_follows(&[year(&[5, 6, 11]), year(&[6, 5, 12]), year(&[5, 5, 5])]);
}

fn cell() -> impl Strategy<Value = u64> {
    prop_oneof![3 => 0_u64..1, 4 => 1_u64..11, 4 => 11_u64..40]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(150) })]

    #[test]
    fn nothing_of_fewer_than_eleven_follows_by_subtraction(
        cells in prop::collection::vec(prop::collection::vec(cell(), SMALL), 1..4)
    ) {
        let rows: Vec<Row> = cells.iter().map(|cells| year(cells)).collect();
        nothing_small_follows(&rows);
    }

    #[test]
    fn no_figure_that_is_shown_is_of_few(
        cells in prop::collection::vec(prop::collection::vec(cell(), MONTHS), 1..12)
    ) {
        let rows: Vec<Row> = cells.iter().map(|cells| year(cells)).collect();
        let shown = Shown::of(&rows);
        for (row, figure) in rows.iter().zip(&shown.rows) {
            prop_assert!(!is_few(sum(row)) || *figure == Figure::Hidden);
        }
        if let Some(months) = shown.months {
            for (row, figures) in rows.iter().zip(&months.rows) {
                for (count, figure) in row.iter().zip(figures) {
                    prop_assert!(!is_few(*count) || *figure == Figure::Hidden);
                }
            }
        }
    }
}
