//! The connections that are open: how many each caller has, and the end of those whose certificate
//! is revoked or has run out. A stream outlives its certificate otherwise. Not here: the handshake.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use arc_swap::ArcSwap;
use proto::{caller::Caller, digest::Digest, ids::TimeMs};
use tokio_util::sync::CancellationToken;

use super::certificate::{Peer, Serial};
use crate::clock;

/// Most connections at the same time.
pub const CONNECTIONS_MAX: usize = 4096;
/// Most connections of one agency or one member of staff.
pub const CONNECTIONS_PER_CALLER_MAX: usize = 32;

/// Most callers of which the last contact is remembered.
pub const CONTACTS_MAX: usize = 20_000;

/// The open connections.
#[derive(Debug, Default)]
pub struct Connections {
    live: Mutex<Live>,
    revoked: ArcSwap<BTreeSet<Serial>>,
    /// Certificates whose connections were cut: what they sent before is not taken any more.
    cut: ArcSwap<BTreeSet<Digest>>,
}

#[derive(Debug, Default)]
struct Live {
    next: u64,
    by_number: BTreeMap<u64, (Peer, CancellationToken)>,
    by_caller: BTreeMap<String, usize>,
    /// Of callers that were here since the start.
    contacts: BTreeMap<String, Contact>,
}

/// What is known of a caller's connections since the gateway's start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Contact {
    /// When one began or ended last.
    pub last: TimeMs,
    /// When the certificate runs out that it connected with last.
    pub certificate_until: TimeMs,
}

/// A place among the open connections, given back when dropped.
#[derive(Debug)]
pub struct Place {
    connections: Arc<Connections>,
    number: u64,
    caller: String,
    ended: CancellationToken,
}

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAdmitted {
    /// Its certificate was revoked, or ran out, since the handshake.
    Ended,
    /// The caller has too many.
    TooMany,
    /// All callers together have too many.
    Full,
}

impl Connections {
    /// Takes a connection.
    ///
    /// # Errors
    /// [`NotAdmitted`].
    pub fn admit(self: &Arc<Self>, peer: &Peer, now: TimeMs) -> Result<Place, NotAdmitted> {
        // Under the lock, so that a revocation at this moment either sees the connection or is seen.
        let mut live = self.lock();
        if self.is_ended(peer, now) {
            return Err(NotAdmitted::Ended);
        }
        let caller = peer.name();
        let open = live.by_caller.get(&caller).copied().unwrap_or(0);
        if open >= CONNECTIONS_PER_CALLER_MAX {
            return Err(NotAdmitted::TooMany);
        }
        if live.by_number.len() >= CONNECTIONS_MAX {
            return Err(NotAdmitted::Full);
        }
        live.by_caller.insert(caller.clone(), open.saturating_add(1));
        let number = live.next;
        live.next = number.wrapping_add(1);
        let ended = CancellationToken::new();
        let contact = Contact { last: now, certificate_until: peer.not_after };
        if live.contacts.len() < CONTACTS_MAX || live.contacts.contains_key(&caller) {
            live.contacts.insert(caller.clone(), contact);
        }
        live.by_number.insert(number, (peer.clone(), ended.clone()));
        Ok(Place { connections: Arc::clone(self), number, caller, ended })
    }

    /// Takes the list of what is revoked, and cuts what it names. Gives how many were cut.
    pub fn revoke(&self, revoked: BTreeSet<Serial>, now: TimeMs) -> usize {
        self.revoked.store(Arc::new(revoked));
        self.sweep(now)
    }

    /// Cuts the connections whose certificate has ended. Gives how many.
    pub fn sweep(&self, now: TimeMs) -> usize {
        let live = self.lock();
        let ended =
            live.by_number.values().filter(|(peer, token)| !token.is_cancelled() && self.is_ended(peer, now));
        let mut cut = BTreeSet::clone(&self.cut.load());
        let mut count = 0;
        for (peer, token) in ended {
            if let Some(certificate) = certificate(&peer.caller) {
                cut.insert(certificate);
            }
            token.cancel();
            count += 1;
        }
        if count > 0 {
            self.cut.store(Arc::new(cut));
        }
        count
    }

    /// Whether what a caller sent before it was cut is not to be taken any more.
    #[must_use]
    pub fn is_cut(&self, caller: &Caller) -> bool {
        let cut = self.cut.load();
        !cut.is_empty() && certificate(caller).is_some_and(|certificate| cut.contains(&certificate))
    }

    /// Whether a caller of this name ([`Peer::name`]) is connected.
    #[must_use]
    pub fn is_connected(&self, name: &str) -> bool {
        self.lock().by_caller.contains_key(name)
    }

    /// The last contact of a caller of this name, since the start.
    #[must_use]
    pub fn contact(&self, name: &str) -> Option<Contact> {
        self.lock().contacts.get(name).copied()
    }

    /// How many are open.
    #[must_use]
    pub fn open(&self) -> usize {
        self.lock().by_number.len()
    }

    fn is_ended(&self, peer: &Peer, now: TimeMs) -> bool {
        let revoked = self.revoked.load();
        now >= peer.not_after || peer.serials.iter().any(|serial| revoked.contains(serial))
    }

    fn lock(&self) -> MutexGuard<'_, Live> {
        // Nothing that is done under it can panic halfway.
        self.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Ends when the connection must.
    #[must_use]
    pub const fn ended(&self) -> &CancellationToken {
        &self.ended
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut live = self.connections.lock();
        live.by_number.remove(&self.number);
        if let Some(contact) = live.contacts.get_mut(&self.caller) {
            contact.last = contact.last.max(clock::now());
        }
        if let Some(open) = live.by_caller.get_mut(&self.caller) {
            *open = open.saturating_sub(1);
            if *open == 0 {
                live.by_caller.remove(&self.caller);
            }
        }
    }
}

const fn certificate(caller: &Caller) -> Option<Digest> {
    match caller {
        Caller::Agency { certificate, .. } | Caller::Staff { certificate, .. } => Some(*certificate),
        Caller::Invited { .. } | Caller::Gateway => None,
    }
}

#[cfg(test)]
mod tests {
    use proto::ids::{AgencyId, Code};

    use super::*;

    fn peer(number: u8, not_after: u64) -> Peer {
        Peer {
            caller: Caller::Agency {
                agency: AgencyId::parse("ae.dfwac", "agency").unwrap(),
                node: Code::parse("node-1", "node").unwrap(),
                certificate: Digest::of(&[number]),
            },
            not_after: TimeMs(not_after),
            serials: vec![Serial::new(b"issuer", &[0, number])],
            allowance: Arc::default(),
        }
    }

    #[test]
    fn what_is_revoked_is_cut_and_stays_out() {
        let connections = Arc::new(Connections::default());
        let (one, two) = (peer(1, 100), peer(2, 100));
        let places = [&one, &two].map(|peer| connections.admit(peer, TimeMs(1)).unwrap());
        let revoked = BTreeSet::from([Serial::new(b"issuer", &[1])]);
        assert_eq!(connections.revoke(revoked.clone(), TimeMs(2)), 1);
        assert!(places[0].ended().is_cancelled() && !places[1].ended().is_cancelled());
        assert!(connections.is_cut(&one.caller) && !connections.is_cut(&two.caller));
        assert_eq!(connections.admit(&one, TimeMs(2)).map(|_| ()), Err(NotAdmitted::Ended));
        assert_eq!(connections.revoke(revoked, TimeMs(3)), 0, "cut once");
        drop(places);
        assert_eq!(connections.open(), 0);
    }

    #[test]
    fn what_has_run_out_is_cut() {
        let connections = Arc::new(Connections::default());
        let place = connections.admit(&peer(1, 100), TimeMs(99)).unwrap();
        assert_eq!(connections.sweep(TimeMs(99)), 0);
        assert_eq!(connections.sweep(TimeMs(100)), 1);
        assert!(place.ended().is_cancelled());
    }

    #[test]
    fn all_callers_together_have_so_many_and_no_more() {
        let connections = Arc::new(Connections::default());
        let of = |number: usize| Peer {
            caller: Caller::Agency {
                agency: AgencyId::parse(&format!("ae.a{number}"), "agency").unwrap(),
                node: Code::parse("node-1", "node").unwrap(),
                certificate: Digest::default(),
            },
            ..peer(1, 100)
        };
        let each = |number: usize| connections.admit(&of(number / CONNECTIONS_PER_CALLER_MAX), TimeMs(1));
        let mut places: Vec<_> = (0..CONNECTIONS_MAX).map(|number| each(number).unwrap()).collect();
        let last = of(CONNECTIONS_MAX);
        assert_eq!(connections.admit(&last, TimeMs(1)).map(|_| ()), Err(NotAdmitted::Full));
        places.pop();
        assert!(connections.admit(&last, TimeMs(1)).is_ok());
    }

    #[test]
    fn each_caller_has_so_many_and_no_more() {
        let connections = Arc::new(Connections::default());
        let mut places: Vec<_> = (0..CONNECTIONS_PER_CALLER_MAX)
            .map(|_| connections.admit(&peer(1, 100), TimeMs(1)).unwrap())
            .collect();
        assert_eq!(connections.admit(&peer(1, 100), TimeMs(1)).map(|_| ()), Err(NotAdmitted::TooMany));
        places.pop();
        assert!(connections.admit(&peer(1, 100), TimeMs(1)).is_ok());
    }
}
