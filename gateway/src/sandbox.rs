//! A gateway in an integrator's sandbox: whoever started it moves its clock, over its standard input, and it
//! ends with them. Not here: the sandbox (`agent sandbox`), and what becomes of time that passes (`proto`).

use std::{
    io::{self, BufRead as _, Write as _},
    sync::Arc,
};

use proto::{gateway_clock::CLOCK_STEP_MS_MAX, ids::AgencyId};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    clock,
    hub::{Hub, Unavailable},
    service::Gateway,
};

/// What a sandbox's network is called ends so: a name that is reserved for tests (RFC 6761), and that no real
/// network can have.
pub const SUFFIX: &str = ".test";
/// How far the clock goes on at a time; then what is due is done. Far less than the rules take for a jump.
pub const STEP_MS: u64 = 5 * 60 * 1000;
/// How far it may be ahead of the machine's: two years.
pub const AHEAD_MS_MAX: u64 = 2 * 366 * 24 * 60 * 60 * 1000;
/// Longest order, in bytes.
pub const ORDER_BYTES_MAX: usize = 64;

const _: () = assert!(STEP_MS < CLOCK_STEP_MS_MAX);

/// Why a gateway is no sandbox's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NoSandbox {
    /// The network may be a real one.
    #[error(
        "this network's name does not end in `{SUFFIX}`, so it may be a real one: its clock is not moved"
    )]
    Network,
    /// The clock would be too far ahead.
    #[error("the clock may be {AHEAD_MS_MAX} ms ahead at the most")]
    TooFar,
}

/// Begins with a clock that is ahead of the machine's, as it was when the sandbox ended last.
///
/// # Errors
/// [`NoSandbox`].
pub fn begin(network: &str, ahead_ms: u64) -> Result<(), NoSandbox> {
    if AgencyId::parse(network, "network").is_err() || !network.ends_with(SUFFIX) {
        return Err(NoSandbox::Network);
    }
    if ahead_ms > AHEAD_MS_MAX {
        return Err(NoSandbox::TooFar);
    }
    clock::run_ahead(ahead_ms);
    Ok(())
}

/// Says that it serves, then follows the orders of standard input. Its end ends the gateway.
///
/// An order is `advance MS`. Time passes until then, or until something happened: that is done, and the answer is
/// `ahead MS evidence RECORDS`, with `AGENCY COUNT` behind it for each mailbox in which something waits. Whoever has
/// let all act who are there orders the rest. Alerts are as they are then. What is no order, or would go too far, is
/// answered with `refused`.
pub async fn obey(gateway: Arc<Gateway>, stop: CancellationToken) {
    let (orders, mut given) = mpsc::channel(1);
    std::thread::spawn(move || read(&orders));
    let mut says = "serving".to_owned();
    loop {
        if say(&says).is_err() {
            break;
        }
        let Some(order) = given.recv().await else { break };
        says = match parsed(&order) {
            Some(by_ms) => {
                let Ok(stands) = advance(&gateway.hub, by_ms).await else { break };
                gateway.alerts.look_now().await;
                stands
            }
            None => "refused".to_owned(),
        };
    }
    stop.cancel();
}

/// By how much the clock is to go on.
fn parsed(order: &str) -> Option<u64> {
    let by_ms: u64 = order.strip_prefix("advance ")?.parse().ok()?;
    let ahead_ms = clock::ahead_ms().checked_add(by_ms)?;
    (ahead_ms <= AHEAD_MS_MAX).then_some(by_ms)
}

/// Goes on step by step, so that the rules see a clock that runs and not one that jumps.
async fn advance(hub: &Hub, by_ms: u64) -> Result<String, Unavailable> {
    let (until, before) = (clock::ahead_ms().saturating_add(by_ms), hub.evidence_size());
    loop {
        clock::run_ahead(clock::ahead_ms().saturating_add(STEP_MS).min(until));
        hub.tick().await?;
        if clock::ahead_ms() >= until || hub.evidence_size() > before {
            break;
        }
    }
    let waiting = hub.waiting().await?;
    let waiting = waiting.iter().filter(|(_, count)| *count > 0);
    let stands = format!("ahead {} evidence {}", clock::ahead_ms(), hub.evidence_size());
    Ok(waiting.fold(stands, |stands, (agency, count)| format!("{stands} {agency} {count}")))
}

fn read(orders: &mpsc::Sender<String>) {
    for line in io::stdin().lock().lines() {
        let Ok(line) = line else { return };
        if line.len() > ORDER_BYTES_MAX || orders.blocking_send(line).is_err() {
            return;
        }
    }
}

fn say(line: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_networks_of_tests_have_a_clock_that_is_moved() {
        for network in ["referral.example", "test", "a.test.example", ".test", "x.Test"] {
            assert_eq!(begin(network, 0), Err(NoSandbox::Network), "{network}");
        }
        assert_eq!(begin("sandbox.test", AHEAD_MS_MAX + 1), Err(NoSandbox::TooFar));
        assert_eq!(begin("sandbox.test", 0), Ok(()));
    }

    #[test]
    fn what_is_no_order_is_not_followed() {
        assert_eq!(parsed("advance 0"), Some(0), "a look at how it stands");
        for order in
            ["", "advance", "advance ", "advance -1", "advance 1h", "go 1", "advance 18446744073709551615"]
        {
            assert_eq!(parsed(order), None, "{order}");
        }
        assert_eq!(parsed("advance 3600000"), Some(3_600_000));
        assert_eq!(parsed(&format!("advance {}", AHEAD_MS_MAX + 1)), None);
    }
}
