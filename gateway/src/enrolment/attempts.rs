//! How often one may try to enrol. Nobody guesses a key; this bounds what trying costs. Not here: what
//! is tried.

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use crate::peer::handshakes::network;

/// Most attempts within [`MINUTE`] from one network address.
pub const ATTEMPTS_OF_ONE_MAX: u32 = 20;
/// Most attempts within [`MINUTE`] from everywhere: some 4 ms of each second's work.
pub const ATTEMPTS_MAX: u32 = 600;
/// The time after which counting begins anew.
pub const MINUTE: Duration = Duration::from_secs(60);

/// The attempts of the present minute.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<Counted>);

#[derive(Debug, Default)]
struct Counted {
    since: Option<Instant>,
    all: u32,
    by_network: BTreeMap<IpAddr, u32>,
}

impl Attempts {
    /// Counts an attempt; whether it may be made. One that may not is not counted, so that whoever waits
    /// gets in.
    pub fn take(&self, address: IpAddr, now: Instant) -> bool {
        // Nothing that is done under it can panic halfway.
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.since.is_none_or(|since| now.duration_since(since) >= MINUTE) {
            *counted = Counted { since: Some(now), ..Counted::default() };
        }
        if counted.all >= ATTEMPTS_MAX {
            return false;
        }
        let of_one = counted.by_network.entry(network(address)).or_default();
        if *of_one >= ATTEMPTS_OF_ONE_MAX {
            return false;
        }
        *of_one = of_one.saturating_add(1);
        counted.all = counted.all.saturating_add(1);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_has_so_many_and_all_have_so_many_a_minute() {
        let attempts = Attempts::default();
        let begun = Instant::now();
        let one: IpAddr = "192.0.2.1".parse().unwrap();
        let count = |address, now| (0..ATTEMPTS_MAX * 2).filter(|_| attempts.take(address, now)).count();
        let most = usize::try_from(ATTEMPTS_OF_ONE_MAX).unwrap();
        assert_eq!(count(one, begun), most);
        assert_eq!(count("2001:db8::1".parse().unwrap(), begun), most, "another has its own");
        assert_eq!(count("2001:db8::2".parse().unwrap(), begun), 0, "of the same network");
        let others = (0..=255).map(|last| IpAddr::from([198, 51, 100, last]));
        let all: usize = others.map(|other| count(other, begun)).sum();
        assert_eq!(all + 2 * most, usize::try_from(ATTEMPTS_MAX).unwrap());
        assert_eq!(count(one, begun + MINUTE - Duration::from_millis(1)), 0);
        assert_eq!(count(one, begun + MINUTE), most);
    }
}
