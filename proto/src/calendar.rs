//! Working time of a calendar: when a clock that an agreement counts in working hours is due. Not here:
//! which clocks there are (`clocks`), and who publishes calendars (`directory`).

mod day;
pub mod zone;

use day::{Day, MINUTE_MS, MINUTES_OF_DAY};
use zone::Zone;

use crate::{ids::TimeMs, wire};

/// How many days are looked at for working time: what is not found by then is due never, and another
/// limit comes before it.
const DAYS_MAX: u32 = 1_000;

/// A moment as people read it, UTC: the day, and the time where it is not the day's first moment.
#[must_use]
pub fn written(at: TimeMs) -> String {
    let seconds = at.0 / 1000;
    let (day, minute) = Day::of_minute(i64::try_from(seconds / 60).unwrap_or(i64::MAX));
    let (year, month, day) = day.date();
    let date = format!("{year:04}-{month:02}-{day:02}");
    match (minute, seconds % 60) {
        (0, 0) => date,
        (minute, second) => format!("{date} {:02}:{:02}:{second:02} UTC", minute / 60, minute % 60),
    }
}

/// The year and the month, 1 to 12, that a moment is in, UTC.
#[must_use]
pub fn month_of(at: TimeMs) -> (u32, u32) {
    let (day, _) = Day::of_minute(i64::try_from(at.0 / MINUTE_MS).unwrap_or(i64::MAX));
    let (year, month, _) = day.date();
    (u32::try_from(year).unwrap_or(u32::MAX), u32::try_from(month).unwrap_or(1))
}

/// The first moment of a year, UTC.
#[must_use]
pub fn year_begins(year: u32) -> TimeMs {
    let minute = u64::try_from(Day::of(year.into(), 1, 1).minute(0)).unwrap_or(0);
    TimeMs(minute.saturating_mul(MINUTE_MS))
}

/// A calendar that has working time.
#[derive(Clone, Copy)]
pub struct WorkingTime<'a> {
    zone: &'static Zone,
    days: &'a wire::Calendar,
}

impl<'a> WorkingTime<'a> {
    /// The working time of a calendar. Nothing when its time zone is not in our table, a holiday is no
    /// date, or no day of the week is a working day.
    #[must_use]
    pub fn of(days: &'a wire::Calendar) -> Option<Self> {
        let works = (1..=7).any(|day| !days.week_end.contains(&day));
        let dates = days.holidays.iter().all(|holiday| Day::from_yyyymmdd(*holiday).is_some());
        let hours = days.opens_minute < days.closes_minute && i64::from(days.closes_minute) <= MINUTES_OF_DAY;
        let zone = Zone::named(&days.time_zone).filter(|_| works && dates && hours)?;
        Some(Self { zone, days })
    }

    /// The moment by which so much working time has passed since another.
    #[must_use]
    pub fn add(&self, since: TimeMs, working_ms: u64) -> TimeMs {
        let mut left_ms = working_ms;
        if left_ms == 0 {
            return since;
        }
        let mut day = self.zone.day_of(since);
        for _ in 0..DAYS_MAX {
            if let Some((opens, closes)) = self.hours(day) {
                let from = opens.max(since);
                let here_ms = closes.0.saturating_sub(from.0);
                if left_ms <= here_ms {
                    return from.plus_ms(left_ms);
                }
                left_ms = left_ms.saturating_sub(here_ms);
            }
            day = day.next();
        }
        TimeMs(u64::MAX)
    }

    /// Whether a moment is in working time.
    #[must_use]
    pub fn holds(&self, at: TimeMs) -> bool {
        self.hours(self.zone.day_of(at)).is_some_and(|(opens, closes)| opens <= at && at < closes)
    }

    /// From when to when a day's work goes; nothing on a day off.
    fn hours(&self, day: Day) -> Option<(TimeMs, TimeMs)> {
        let off =
            self.days.week_end.contains(&day.weekday()) || self.days.holidays.contains(&day.to_yyyymmdd());
        let opens = self.zone.first_moment(day, self.days.opens_minute);
        let closes = self.zone.last_moment(day, self.days.closes_minute);
        (!off && opens < closes).then_some((opens, closes))
    }
}

/// Minutes as milliseconds.
fn ms(minutes: i64) -> TimeMs {
    TimeMs(u64::try_from(minutes).unwrap_or(0).saturating_mul(MINUTE_MS))
}

#[cfg(test)]
#[allow(clippy::arithmetic_side_effects, reason = "small numbers of a test")]
mod tests {
    use super::*;

    const HOUR: u64 = 60 * MINUTE_MS;
    const FRI_SAT: &[u32] = &[5, 6];
    const SAT_SUN: &[u32] = &[6, 7];
    const FRI: &[u32] = &[5];

    fn calendar(zone: &str, week_end: &[u32], opens: u32, closes: u32, holidays: &[u32]) -> wire::Calendar {
        wire::Calendar {
            name: "office".into(),
            time_zone: zone.into(),
            week_end: week_end.into(),
            opens_minute: opens,
            closes_minute: closes,
            holidays: holidays.into(),
        }
    }

    /// A moment in a zone, as `YYYYMMDD` and minute of the day, where there is only one such moment.
    fn at(zone: &str, date: u32, hour: u32, minute: u32) -> u64 {
        let zone = Zone::named(zone).unwrap();
        zone.first_moment(Day::from_yyyymmdd(date).unwrap(), hour * 60 + minute).0
    }

    #[test]
    fn somebody_is_there_in_working_time_only() {
        let days = calendar("Asia/Dubai", SAT_SUN, 8 * 60, 16 * 60, &[20_261_202]);
        let working = WorkingTime::of(&days).unwrap();
        let holds = |date, hour| working.holds(TimeMs(at("Asia/Dubai", date, hour, 0)));
        for (date, hour, is_there) in [
            (20_261_126, 7, false),
            (20_261_126, 8, true),
            (20_261_126, 15, true),
            (20_261_126, 16, false),
            (20_261_128, 12, false),
            (20_261_202, 12, false),
        ] {
            assert_eq!(holds(date, hour), is_there, "{date} {hour}");
        }
    }

    /// What it shows, week-end, holidays, since when (date and hour), how many hours, due when.
    type Row = (&'static str, &'static [u32], &'static [u32], (u32, u32), u64, (u32, u32));

    #[test]
    fn moments_are_written_as_days_and_as_times_where_they_must_be() {
        for (at, expected) in [
            (0, "1970-01-01"),
            (1_767_225_600_000, "2026-01-01"),
            (1_767_225_600_999, "2026-01-01"),
            (1_767_225_601_000, "2026-01-01 00:00:01 UTC"),
            (1_790_000_000_000, "2026-09-21 14:13:20 UTC"),
        ] {
            assert_eq!(written(TimeMs(at)), expected);
        }
    }

    #[test]
    fn week_ends_holidays_hours_and_the_millisecond_before_and_after() {
        let dubai = "Asia/Dubai";
        // 2026-11-26 is a Thursday.
        let rows: [Row; 8] = [
            ("within a day", SAT_SUN, &[], (20_261_126, 9), 2, (20_261_126, 11)),
            ("up to its last moment", SAT_SUN, &[], (20_261_126, 8), 8, (20_261_126, 16)),
            ("into Friday", SAT_SUN, &[], (20_261_126, 15), 2, (20_261_127, 9)),
            ("over Friday and Saturday", FRI_SAT, &[], (20_261_126, 15), 2, (20_261_129, 9)),
            ("over Friday only", FRI, &[], (20_261_126, 15), 2, (20_261_128, 9)),
            (
                "over the national day",
                SAT_SUN,
                &[20_261_202, 20_261_203],
                (20_261_201, 15),
                2,
                (20_261_204, 9),
            ),
            ("asked at night", SAT_SUN, &[], (20_261_126, 22), 1, (20_261_127, 9)),
            ("asked on a day off", FRI_SAT, &[], (20_261_127, 12), 1, (20_261_129, 9)),
        ];
        for (what, week_end, holidays, since, hours, due) in rows {
            let days = calendar(dubai, week_end, 8 * 60, 16 * 60, holidays);
            let working = WorkingTime::of(&days).unwrap();
            let since = at(dubai, since.0, since.1, 0);
            let due = at(dubai, due.0, due.1, 0);
            assert_eq!(working.add(TimeMs(since), hours * HOUR), TimeMs(due), "{what}");
            let less = working.add(TimeMs(since), hours * HOUR - 1);
            assert_eq!(less, TimeMs(due - 1), "{what}, a millisecond less");
            let more = working.add(TimeMs(since), hours * HOUR + 1);
            let next_day = due == at(dubai, 20_261_126, 16, 0);
            assert_eq!(more.0, if next_day { at(dubai, 20_261_127, 8, 0) + 1 } else { due + 1 }, "{what}");
        }
    }

    #[test]
    fn around_closing_time() {
        let days = calendar("Asia/Amman", FRI_SAT, 8 * 60, 16 * 60, &[]);
        let working = WorkingTime::of(&days).unwrap();
        let closes = at("Asia/Amman", 20_261_126, 16, 0);
        let sunday = at("Asia/Amman", 20_261_129, 8, 0);
        assert_eq!(working.add(TimeMs(closes - 1), 1), TimeMs(closes));
        assert_eq!(working.add(TimeMs(closes - 1), 2), TimeMs(sunday + 1));
        assert_eq!(working.add(TimeMs(closes), 1), TimeMs(sunday + 1));
        assert_eq!(working.add(TimeMs(closes + 1), 1), TimeMs(sunday + 1));
        assert_eq!(working.add(TimeMs(closes + 1), 0), TimeMs(closes + 1), "nothing is due at once");
    }

    #[test]
    fn days_on_which_summer_time_begins_and_ends() {
        // Egypt: 2026-04-24 begins at 01:00, 2026-10-29 has 25 hours.
        for (date, hours) in [(20_260_423, 24), (20_260_424, 23), (20_261_028, 24), (20_261_029, 25)] {
            let days = calendar("Africa/Cairo", &[], 0, 24 * 60, &[]);
            let working = WorkingTime::of(&days).unwrap();
            let begins = at("Africa/Cairo", date, 0, 0);
            let next = Zone::named("Africa/Cairo")
                .unwrap()
                .first_moment(Day::from_yyyymmdd(date).unwrap().next(), 0);
            assert_eq!(next.0 - begins, hours * HOUR, "{date}");
            assert_eq!(working.add(TimeMs(begins), hours * HOUR), next, "{date}");
        }
        // An office's hours stay its own by the clock on the wall.
        let days = calendar("Africa/Cairo", FRI_SAT, 9 * 60, 15 * 60, &[]);
        let working = WorkingTime::of(&days).unwrap();
        let thursday = at("Africa/Cairo", 20_260_423, 9, 0);
        assert_eq!(working.add(TimeMs(thursday), 7 * HOUR).0, at("Africa/Cairo", 20_260_426, 10, 0));
        // 10:00 in winter is 08:00 UTC, in summer 07:00: three days and 23 hours later less one.
        assert_eq!(at("Africa/Cairo", 20_260_426, 10, 0) - thursday, 72 * HOUR);
    }

    type OfCalendar = fn(&mut wire::Calendar);

    #[test]
    fn calendars_without_working_time_are_none() {
        let good = calendar("Asia/Dubai", SAT_SUN, 480, 960, &[20_261_202]);
        assert!(WorkingTime::of(&good).is_some());
        let rows: [(&str, OfCalendar); 7] = [
            ("an unknown zone", |days| days.time_zone = "Mars/Olympus".into()),
            ("a zone whose rules follow the moon", |days| days.time_zone = "Africa/Casablanca".into()),
            ("no zone", |days| days.time_zone.clear()),
            ("never a working day", |days| days.week_end = (1..=7).collect()),
            ("a holiday that is no date", |days| days.holidays = vec![20_260_230]),
            ("no hours", |days| days.closes_minute = days.opens_minute),
            ("hours beyond the day", |days| days.closes_minute = 24 * 60 + 1),
        ];
        for (what, change) in rows {
            let mut days = good.clone();
            change(&mut days);
            assert!(WorkingTime::of(&days).is_none(), "{what}");
        }
    }

    /// In thousands of random cases: counted minute by minute, the same.
    #[test]
    fn as_counted_minute_by_minute() {
        let mut seed = 7_u64;
        let mut random = |below: u64| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let zones = ["Asia/Dubai", "Africa/Cairo", "Asia/Beirut", "Asia/Gaza", "Asia/Kathmandu", "UTC"];
        for _ in 0..400 {
            let zone_name = zones[usize::try_from(random(6)).unwrap()];
            // Beside the hour that comes twice: there the office is open from its first to its last moment.
            let opens = 180 + u32::try_from(random(1000)).unwrap();
            let closes = opens + 1 + u32::try_from(random(u64::from(1379 - opens))).unwrap();
            let week_end = [FRI_SAT, SAT_SUN, FRI][usize::try_from(random(3)).unwrap()];
            // Around both changes of 2026.
            let begin = if random(2) == 0 { 20_260_320 } else { 20_261_018 };
            let days = calendar(zone_name, week_end, opens, closes, &[begin + 3]);
            let working = WorkingTime::of(&days).unwrap();
            let zone = Zone::named(zone_name).unwrap();
            let since = at(zone_name, begin, 0, 0) + random(10 * 1440) * MINUTE_MS;
            let minutes = 1 + random(2000);
            let mut counted = 0;
            let mut now = since;
            while counted < minutes {
                let (day, minute) = zone.local(TimeMs(now));
                let off = week_end.contains(&day.weekday()) || day.to_yyyymmdd() == begin + 3;
                counted += u64::from(!off && (opens..closes).contains(&minute));
                now += MINUTE_MS;
            }
            let found = working.add(TimeMs(since), minutes * MINUTE_MS);
            assert_eq!(
                found,
                TimeMs(now),
                "{zone_name} {opens}-{closes} {week_end:?} {minutes} since {since}"
            );
        }
    }
}
