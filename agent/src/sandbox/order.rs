//! What a sandbox can be told, as one line of words, so that a test in any language can. Not here: doing it.

use std::{fmt, time::Duration};

use super::{
    Member,
    line::{Fault, SLOW_MS_MAX},
    partner::Manner,
};

/// How far time may be advanced at once: a year.
pub const ADVANCE_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);
/// How slow the line is when nothing else is said.
pub const SLOW_DEFAULT: Duration = Duration::from_millis(500);
/// Longest order, in bytes.
pub const ORDER_BYTES_MAX: u64 = 256;

/// An order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Order {
    /// How everything stands.
    Status,
    /// What a simulated agency answers from now on.
    Say(Member, Manner),
    /// Lets time pass.
    Advance(Duration),
    /// The gateway is killed, or starts again.
    Gateway(Power),
    /// A simulated agency's agent is ended, or starts again.
    Agent(Member, Power),
    /// The line between the own agent and the gateway.
    Line(Fault),
}

/// Whether something runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Power {
    /// It does.
    Up,
    /// It does not.
    Down,
}

impl Order {
    /// Reads a line of words; another one is none.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words.as_slice() {
            ["status"] => Some(Self::Status),
            ["say", member, rest @ ..] if Member::simulated(member).is_some() => {
                say(Member::simulated(member)?, rest)
            }
            ["say", rest @ ..] => say(Member::Partner, rest),
            ["advance", by] => Some(Self::Advance(duration(by)?)),
            ["fault", "gateway", power] => Some(Self::Gateway(Power::parse(power)?)),
            ["fault", "line", "up"] => Some(Self::Line(Fault::None)),
            ["fault", "line", "down"] => Some(Self::Line(Fault::Down)),
            ["fault", "line", "slow"] => Some(Self::Line(Fault::Slow(SLOW_DEFAULT))),
            ["fault", "line", "slow", ms] => {
                let ms = ms.parse().ok().filter(|ms| *ms <= SLOW_MS_MAX)?;
                Some(Self::Line(Fault::Slow(Duration::from_millis(ms))))
            }
            ["fault", member, power] => Some(Self::Agent(Member::simulated(member)?, Power::parse(power)?)),
            _ => None,
        }
    }
}

fn say(member: Member, words: &[&str]) -> Option<Order> {
    let manner = match words {
        [word] => Manner::parse(word, None),
        [word, reason] => Manner::parse(word, Some(reason)),
        _ => None,
    };
    Some(Order::Say(member, manner?))
}

impl Power {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "up" => Some(Self::Up),
            "down" => Some(Self::Down),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => f.write_str("up"),
            Self::Slow(each) => write!(f, "slow {}", each.as_millis()),
            Self::Down => f.write_str("down"),
        }
    }
}

/// `90s`, `30m`, `25h` or `14d`, at most [`ADVANCE_MAX`].
fn duration(text: &str) -> Option<Duration> {
    let (number, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        _ => return None,
    };
    let number: u64 = number.parse().ok()?;
    let by = Duration::from_secs(number.checked_mul(seconds)?);
    (by <= ADVANCE_MAX && !by.is_zero()).then_some(by)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_read() {
        for (line, order) in [
            ("status", Order::Status),
            ("say silent", Order::Say(Member::Partner, Manner::Silent)),
            ("say second  accept", Order::Say(Member::Second, Manner::Accept)),
            ("say partner decline other", Order::Say(Member::Partner, Manner::Decline("other".into()))),
            ("advance 25h", Order::Advance(Duration::from_secs(25 * 3600))),
            ("advance 366d", Order::Advance(ADVANCE_MAX)),
            ("fault gateway down", Order::Gateway(Power::Down)),
            ("fault partner up", Order::Agent(Member::Partner, Power::Up)),
            ("fault line up", Order::Line(Fault::None)),
            ("fault line slow", Order::Line(Fault::Slow(SLOW_DEFAULT))),
            ("fault line slow 60000", Order::Line(Fault::Slow(Duration::from_secs(60)))),
        ] {
            assert_eq!(Order::parse(line), Some(order), "{line}");
        }
    }

    #[test]
    fn what_is_no_order_is_none() {
        for line in [
            "",
            "say",
            "say dance",
            "say decline nonsense",
            "say office accept",
            "advance",
            "advance 0h",
            "advance h",
            "advance 367d",
            "advance 1w",
            "advance -1h",
            "advance ١h",
            "fault office down",
            "fault gateway sideways",
            "fault line slow 60001",
            "status now",
        ] {
            assert_eq!(Order::parse(line), None, "{line}");
        }
    }
}
