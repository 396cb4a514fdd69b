//! Moments and lengths of time as people read them. Not here: whose they are.

use proto::{
    count::{Noun, Place},
    ids::TimeMs,
    words::Language,
};
use time::OffsetDateTime;

const MINUTE_MS: u64 = 60 * 1000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
const DAY_MS: u64 = 24 * HOUR_MS;

/// A moment to the minute, in UTC: `2026-11-22 10:45Z`.
#[must_use]
pub fn moment(at: TimeMs) -> String {
    let seconds = i64::try_from(at.0 / 1000).unwrap_or(i64::MAX);
    OffsetDateTime::from_unix_timestamp(seconds).map_or_else(
        |_| "-".to_owned(),
        |at| {
            let (day, month) = (at.day(), u8::from(at.month()));
            format!("{:04}-{month:02}-{day:02} {:02}:{:02}Z", at.year(), at.hour(), at.minute())
        },
    )
}

/// A moment's day, in UTC: `2026-11-22`.
#[must_use]
pub fn day(at: TimeMs) -> String {
    moment(at).split(' ').next().unwrap_or_default().to_owned()
}

/// A length of time in its largest unit, rounded down: seconds, minutes, hours, and days from two on.
#[must_use]
pub fn lasting(ms: u64, language: Language) -> String {
    let (noun, count) = if ms < MINUTE_MS {
        (Noun::Second, ms / 1000)
    } else if ms < HOUR_MS {
        (Noun::Minute, ms / MINUTE_MS)
    } else if ms < 2 * DAY_MS {
        (Noun::Hour, ms / HOUR_MS)
    } else {
        (Noun::Day, ms / DAY_MS)
    };
    counted(noun, count, language)
}

/// So many of something.
#[must_use]
pub fn counted(noun: Noun, count: u64, language: Language) -> String {
    match language {
        Language::English => noun.english(count),
        Language::Arabic => noun.arabic(count, Place::Subject),
    }
}

/// How far a moment is from now, in words: what is left, or how long it is over.
#[must_use]
pub fn until(due_at: TimeMs, now: TimeMs, language: Language) -> String {
    if now < due_at {
        let left = lasting(due_at.0.saturating_sub(now.0), language);
        match language {
            Language::English => format!("{left} left"),
            Language::Arabic => format!("بقي: {left}"),
        }
    } else {
        let over = lasting(now.0.saturating_sub(due_at.0), language);
        match language {
            Language::English => format!("over since {over}"),
            Language::Arabic => format!("منقضية منذ: {over}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_lengths() {
        assert_eq!(moment(TimeMs(1_790_000_000_000)), "2026-09-21 14:13Z");
        assert_eq!(moment(TimeMs(u64::MAX)), "-");
        let table = [
            (0, "0 seconds", "لا ثوانٍ"),
            (59_999, "59 seconds", "59 ثانية"),
            (60_000, "1 minute", "دقيقة واحدة"),
            (2 * HOUR_MS, "2 hours", "ساعتان"),
            (2 * DAY_MS - 1, "47 hours", "47 ساعة"),
            (2 * DAY_MS, "2 days", "يومان"),
        ];
        for (ms, english, arabic) in table {
            assert_eq!(lasting(ms, Language::English), english);
            assert_eq!(lasting(ms, Language::Arabic), arabic);
        }
        assert_eq!(until(TimeMs(DAY_MS), TimeMs(0), Language::English), "24 hours left");
        assert_eq!(until(TimeMs(0), TimeMs(HOUR_MS), Language::Arabic), "منقضية منذ: ساعة واحدة");
    }
}
