//! The handshakes that are under way: so many and no more, and whoever crowds gives way. A flood of
//! connections that say nothing must not keep others out. Not here: the handshake itself (`accept`).

use std::{
    collections::{BTreeMap, VecDeque},
    net::{IpAddr, Ipv6Addr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// Most handshakes at the same time. Whoever comes beyond pushes out the oldest of the network address
/// that has the most: an honest one is over in milliseconds, and is seldom the oldest.
pub const HANDSHAKES_MAX: usize = 256;
/// How much of an IPv6 address names a network: a /64 is one household's or one machine's.
const IPV6_NETWORK: u128 = 0xffff_ffff_ffff_ffff_0000_0000_0000_0000;

/// The handshakes that are under way.
#[derive(Debug)]
pub struct Handshakes {
    most: usize,
    under_way: Mutex<UnderWay>,
}

#[derive(Debug, Default)]
struct UnderWay {
    next: u64,
    count: usize,
    /// By network, the oldest first.
    by_network: BTreeMap<IpAddr, VecDeque<(u64, CancellationToken)>>,
}

/// A handshake's place, given back when dropped.
#[derive(Debug)]
pub struct Shaking {
    handshakes: Arc<Handshakes>,
    network: IpAddr,
    number: u64,
    pushed_out: CancellationToken,
}

impl Handshakes {
    /// Places for so many at the same time.
    #[must_use]
    pub fn new(most: usize) -> Self {
        Self { most, under_way: Mutex::default() }
    }

    /// Begins a handshake with an address; when there are too many, another one ends.
    #[must_use]
    pub fn begin(self: &Arc<Self>, address: IpAddr) -> Shaking {
        let network = network(address);
        let mut under_way = self.lock();
        if under_way.count >= self.most {
            under_way.push_out();
        }
        let number = under_way.next;
        under_way.next = number.wrapping_add(1);
        under_way.count = under_way.count.saturating_add(1);
        let pushed_out = CancellationToken::new();
        under_way.by_network.entry(network).or_default().push_back((number, pushed_out.clone()));
        Shaking { handshakes: Arc::clone(self), network, number, pushed_out }
    }

    fn lock(&self) -> MutexGuard<'_, UnderWay> {
        // Nothing that is done under it can panic halfway.
        self.under_way.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl UnderWay {
    fn push_out(&mut self) {
        let most = self.by_network.iter().max_by_key(|(_, handshakes)| handshakes.len());
        let Some(network) = most.map(|(network, _)| *network) else {
            return;
        };
        let oldest = self.by_network.get_mut(&network).and_then(VecDeque::pop_front);
        if let Some((_, pushed_out)) = oldest {
            pushed_out.cancel();
            self.count = self.count.saturating_sub(1);
        }
    }

    fn end(&mut self, network: IpAddr, number: u64) {
        let Some(handshakes) = self.by_network.get_mut(&network) else {
            return;
        };
        // In order of their numbers.
        if let Ok(place) = handshakes.binary_search_by_key(&number, |(number, _)| *number) {
            handshakes.remove(place);
            self.count = self.count.saturating_sub(1);
        }
        if handshakes.is_empty() {
            self.by_network.remove(&network);
        }
    }
}

impl Shaking {
    /// Waits until another handshake needs the place.
    pub async fn pushed_out(&self) {
        self.pushed_out.cancelled().await;
    }
}

impl Drop for Shaking {
    fn drop(&mut self) {
        self.handshakes.lock().end(self.network, self.number);
    }
}

/// What stands for whoever is behind an address: the address, or its /64.
pub(crate) fn network(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(address) => address
            .to_ipv4_mapped()
            .map_or_else(|| Ipv6Addr::from_bits(address.to_bits() & IPV6_NETWORK).into(), IpAddr::V4),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn whoever_crowds_gives_way() {
        let handshakes = Arc::new(Handshakes::new(HANDSHAKES_MAX));
        let honest = handshakes.begin(address("10.0.0.1"));
        let mut crowd: Vec<_> = (1..HANDSHAKES_MAX).map(|_| handshakes.begin(address("10.0.0.2"))).collect();
        assert!(crowd.iter().all(|one| !one.pushed_out.is_cancelled()), "there is room for so many");
        let another = handshakes.begin(address("10.0.0.3"));
        assert!(crowd[0].pushed_out.is_cancelled() && !crowd[1].pushed_out.is_cancelled());
        assert!(!honest.pushed_out.is_cancelled() && !another.pushed_out.is_cancelled());
        crowd.truncate(10);
        assert_eq!(handshakes.lock().count, 11, "nine of the crowd, and the two");
        drop((crowd, honest, another));
        assert_eq!(handshakes.lock().count, 0);
        assert!(handshakes.lock().by_network.is_empty());
    }

    #[test]
    fn a_network_is_an_address_or_a_64() {
        let table = [
            ("192.0.2.1", "192.0.2.1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("2001:db8:0:1:2:3:4:5", "2001:db8:0:1::"),
            ("::1", "::"),
        ];
        for (given, expected) in table {
            assert_eq!(network(address(given)), address(expected), "{given}");
        }
    }
}
