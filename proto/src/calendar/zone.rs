//! Time zones of the region, as a table of our own: the rules read no machine's time zone data, which
//! differs from machine to machine and from day to day. Not here: working days.
//!
//! Moments that were computed with the table are kept in evidence, so a later version of the table
//! moves no clock that runs.

use super::{
    day::{Day, MINUTE_MS},
    ms,
};
use crate::ids::TimeMs;

/// What the table was made from: the IANA time zone database, and what of it counts from 2026 on. The
/// rules of Gaza and Hebron follow Ramadan from 2037 on; those of Morocco and Western Sahara do now, and
/// are not in the table.
pub const ZONES_VERSION: &str = "2025b";

/// A time zone from 2026 on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Zone {
    name: &'static str,
    standard_minutes: i64,
    summer: Option<Summer>,
}

/// An hour more in summer.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Summer {
    begins: Turn,
    ends: Turn,
}

/// A day of each year on which the clocks are changed, and the minute of it, by the clock before.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Turn {
    month: i64,
    weekday: u32,
    on_or_before: i64,
    minute: i64,
}

const SUMMER_MINUTES: i64 = 60;

const fn fixed(name: &'static str, standard_minutes: i64) -> Zone {
    Zone { name, standard_minutes, summer: None }
}

const fn turn(month: i64, weekday: u32, on_or_before: i64, minute: i64) -> Turn {
    Turn { month, weekday, on_or_before, minute }
}

const fn summer(name: &'static str, standard_minutes: i64, begins: Turn, ends: Turn) -> Zone {
    Zone { name, standard_minutes, summer: Some(Summer { begins, ends }) }
}

const THURSDAY: u32 = 4;
const FRIDAY: u32 = 5;
const SATURDAY: u32 = 6;
const SUNDAY: u32 = 7;

const ZONES: &[Zone] = &[
    fixed("UTC", 0),
    fixed("Africa/Addis_Ababa", 180),
    fixed("Africa/Algiers", 60),
    // Law 24 of 2023: from the last Friday of April to the end of the last Thursday of October.
    summer("Africa/Cairo", 120, turn(4, FRIDAY, 30, 0), turn(10, THURSDAY, 31, 24 * 60)),
    fixed("Africa/Djibouti", 180),
    fixed("Africa/Juba", 120),
    fixed("Africa/Khartoum", 120),
    fixed("Africa/Mogadishu", 180),
    fixed("Africa/Nairobi", 180),
    fixed("Africa/Nouakchott", 0),
    fixed("Africa/Tripoli", 120),
    fixed("Africa/Tunis", 60),
    fixed("Asia/Aden", 180),
    // Summer time all the year since October 2022.
    fixed("Asia/Amman", 180),
    fixed("Asia/Baghdad", 180),
    fixed("Asia/Bahrain", 180),
    summer("Asia/Beirut", 120, turn(3, SUNDAY, 31, 0), turn(10, SUNDAY, 31, 0)),
    fixed("Asia/Colombo", 330),
    fixed("Asia/Damascus", 180),
    fixed("Asia/Dhaka", 360),
    fixed("Asia/Dubai", 240),
    summer("Asia/Gaza", 120, turn(3, SATURDAY, 30, 120), turn(10, SATURDAY, 30, 120)),
    summer("Asia/Hebron", 120, turn(3, SATURDAY, 30, 120), turn(10, SATURDAY, 30, 120)),
    fixed("Asia/Kabul", 270),
    fixed("Asia/Karachi", 300),
    fixed("Asia/Kathmandu", 345),
    fixed("Asia/Kolkata", 330),
    fixed("Asia/Kuwait", 180),
    fixed("Asia/Manila", 480),
    fixed("Asia/Muscat", 240),
    fixed("Asia/Qatar", 180),
    fixed("Asia/Riyadh", 180),
    fixed("Asia/Tehran", 210),
    fixed("Europe/Istanbul", 180),
];

impl Zone {
    /// The zone of an IANA name, when it is in the table.
    #[must_use]
    pub fn named(name: &str) -> Option<&'static Self> {
        ZONES.iter().find(|zone| zone.name == name)
    }

    /// Every zone of the table.
    pub fn all() -> impl Iterator<Item = &'static Self> {
        ZONES.iter()
    }

    /// Its IANA name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// How far its clocks are ahead of UTC at a moment, in minutes.
    #[must_use]
    pub fn offset_minutes(&self, at: TimeMs) -> i64 {
        self.offset_at(minutes(at))
    }

    pub(super) fn day_of(&self, at: TimeMs) -> Day {
        self.local_minute(at).0
    }

    /// The day and the minute of it that its clocks show.
    #[cfg(test)]
    pub(super) fn local(&self, at: TimeMs) -> (Day, u32) {
        let (day, minute) = self.local_minute(at);
        (day, u32::try_from(minute).unwrap())
    }

    fn local_minute(&self, at: TimeMs) -> (Day, i64) {
        let utc = minutes(at);
        Day::of_minute(utc.saturating_add(self.offset_at(utc)))
    }

    fn offset_at(&self, utc: i64) -> i64 {
        let Some(summer) = &self.summer else {
            return self.standard_minutes;
        };
        let (day, _) = Day::of_minute(utc.saturating_add(self.standard_minutes));
        let (begins, ends) = self.summer_of(summer, day.date().0);
        if (begins..ends).contains(&utc) { self.summer_minutes() } else { self.standard_minutes }
    }

    const fn summer_minutes(&self) -> i64 {
        self.standard_minutes.saturating_add(SUMMER_MINUTES)
    }

    /// The minutes, UTC, at which a year's summer time begins and ends.
    fn summer_of(&self, summer: &Summer, year: i64) -> (i64, i64) {
        let begins = summer.begins.of(year).saturating_sub(self.standard_minutes);
        (begins, summer.ends.of(year).saturating_sub(self.summer_minutes()))
    }

    /// The first moment at which its clocks show a minute of a day; when they skip it, the moment at
    /// which they do.
    pub(super) fn first_moment(&self, day: Day, minute: u32) -> TimeMs {
        self.moments(day, minute).min().map_or_else(|| self.skipped(day), ms)
    }

    /// The last such moment.
    pub(super) fn last_moment(&self, day: Day, minute: u32) -> TimeMs {
        self.moments(day, minute).max().map_or_else(|| self.skipped(day), ms)
    }

    fn moments(&self, day: Day, minute: u32) -> impl Iterator<Item = i64> {
        let local = day.minute(i64::from(minute));
        let offsets = [self.standard_minutes, self.summer_minutes()];
        let candidates = offsets.map(|offset| (offset, local.saturating_sub(offset)));
        candidates.into_iter().filter(|(offset, utc)| self.offset_at(*utc) == *offset).map(|(_, utc)| utc)
    }

    fn skipped(&self, day: Day) -> TimeMs {
        let begins = self.summer.as_ref().map(|summer| self.summer_of(summer, day.date().0).0);
        ms(begins.unwrap_or_default())
    }
}

impl Turn {
    fn of(&self, year: i64) -> i64 {
        Day::last_on(year, self.month, self.weekday, self.on_or_before).minute(self.minute)
    }
}

fn minutes(at: TimeMs) -> i64 {
    i64::try_from(at.0 / MINUTE_MS).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Changes as the IANA database (2025b) has them, in Unix minutes.
    #[test]
    fn changes_are_those_of_the_iana_database() {
        let utc = |date: u32, hour: i64| Day::from_yyyymmdd(date).unwrap().minute(hour * 60);
        let rows = [
            ("Africa/Cairo", 120, [(20_260_423, 22), (20_261_029, 21), (20_270_429, 22), (20_271_028, 21)]),
            ("Africa/Cairo", 120, [(20_280_427, 22), (20_281_026, 21), (20_290_426, 22), (20_291_025, 21)]),
            ("Asia/Beirut", 120, [(20_260_328, 22), (20_261_024, 21), (20_270_327, 22), (20_271_030, 21)]),
            ("Asia/Gaza", 120, [(20_260_328, 0), (20_261_023, 23), (20_270_327, 0), (20_271_029, 23)]),
            ("Asia/Hebron", 120, [(20_280_325, 0), (20_281_027, 23), (20_290_324, 0), (20_291_026, 23)]),
        ];
        for (name, standard, changes) in rows {
            let zone = Zone::named(name).unwrap();
            for (place, (date, hour)) in changes.into_iter().enumerate() {
                let at = utc(date, hour);
                let (before, after) = if place % 2 == 0 { (0, 60) } else { (60, 0) };
                assert_eq!(zone.offset_at(at - 1), standard + before, "{name} before {date}");
                assert_eq!(zone.offset_at(at), standard + after, "{name} at {date}");
            }
        }
    }

    #[test]
    fn names_are_sorted_once_and_offsets_fit() {
        let names: Vec<_> = Zone::all().skip(1).map(Zone::name).collect();
        assert!(names.is_sorted_by(|one, next| one < next), "{names:?}");
        for zone in Zone::all() {
            assert!((-12 * 60..=14 * 60).contains(&zone.standard_minutes) && zone.standard_minutes % 15 == 0);
            assert_eq!(Zone::named(zone.name()), Some(zone));
        }
    }
}
