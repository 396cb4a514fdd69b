//! Days of the Gregorian calendar by their number since 1970. Not here: zones (`zone`).
#![allow(
    clippy::arithmetic_side_effects,
    reason = "days of times that fit 64 bits of milliseconds: far from the bounds of i64"
)]

/// Milliseconds of a minute.
pub(super) const MINUTE_MS: u64 = 60_000;
/// Minutes of a day.
pub(super) const MINUTES_OF_DAY: i64 = 24 * 60;

/// A day, counted from 1970-01-01.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Day(pub(super) i64);

impl Day {
    /// The day that a minute since 1970 is in, and the minute of that day.
    pub(super) fn of_minute(minute: i64) -> (Self, i64) {
        (Self(minute.div_euclid(MINUTES_OF_DAY)), minute.rem_euclid(MINUTES_OF_DAY))
    }

    /// The minute since 1970 of a minute of this day; the 1440th is the next day's first.
    pub(super) const fn minute(self, of_day: i64) -> i64 {
        self.0 * MINUTES_OF_DAY + of_day
    }

    pub(super) const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// ISO 8601: 1 Monday to 7 Sunday.
    pub(super) fn weekday(self) -> u32 {
        // 1970-01-01 was a Thursday.
        u32::try_from((self.0 + 3).rem_euclid(7) + 1).unwrap_or(1)
    }

    /// The day of a date (H. Hinnant, `days_from_civil`).
    pub(super) const fn of(year: i64, month: i64, day: i64) -> Self {
        let year = if month <= 2 { year - 1 } else { year };
        let era = year.div_euclid(400);
        let of_era = year.rem_euclid(400);
        let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
        Self(era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468)
    }

    /// Year, month and day (H. Hinnant, `civil_from_days`).
    pub(super) const fn date(self) -> (i64, i64, i64) {
        let days = self.0 + 719_468;
        let of_era = days.rem_euclid(146_097);
        let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
        let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let month = (5 * of_year + 2) / 153;
        let day = of_year - (153 * month + 2) / 5 + 1;
        let month = if month < 10 { month + 3 } else { month - 9 };
        let year = year_of_era + days.div_euclid(146_097) * 400;
        (if month <= 2 { year + 1 } else { year }, month, day)
    }

    /// Reads `YYYYMMDD`; nothing when there is no such date.
    pub(super) fn from_yyyymmdd(number: u32) -> Option<Self> {
        let number = i64::from(number);
        let day = Self::of(number / 10_000, number / 100 % 100, number % 100);
        let month = (1..=12).contains(&(number / 100 % 100));
        (month && i64::from(day.to_yyyymmdd()) == number).then_some(day)
    }

    /// `YYYYMMDD`.
    pub(super) fn to_yyyymmdd(self) -> u32 {
        let (year, month, day) = self.date();
        u32::try_from(year * 10_000 + month * 100 + day).unwrap_or(0)
    }

    /// The last such day of the week in a month, on or before a day of it.
    pub(super) fn last_on(year: i64, month: i64, weekday: u32, on_or_before: i64) -> Self {
        let latest = Self::of(year, month, on_or_before);
        Self(latest.0 - i64::from((latest.weekday() + 7 - weekday) % 7))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_and_back() {
        for (number, date, weekday) in
            [(0, 19_700_101, 4), (20_779, 20_261_122, 7), (11_016, 20_000_229, 2), (19_782, 20_240_229, 4)]
        {
            assert_eq!((Day(number).to_yyyymmdd(), Day(number).weekday()), (date, weekday));
            assert_eq!(Day::from_yyyymmdd(date), Some(Day(number)));
        }
        for number in 0..60_000 {
            assert_eq!(Day::from_yyyymmdd(Day(number).to_yyyymmdd()), Some(Day(number)));
        }
        for wrong in [20_260_229, 20_261_301, 20_260_001, 20_260_100, 20_260_432, 0, 99] {
            assert_eq!(Day::from_yyyymmdd(wrong), None, "{wrong}");
        }
    }
}
