//! Which envelopes were accepted before. The newest are in memory, exactly; the index knows the
//! rest. Not here: the index.

use std::collections::BTreeMap;

use crate::{
    digest::Digest,
    ids::{EnvelopeId, EnvelopeKey, Locator},
};

/// Most envelopes in memory.
pub const RECENT_MAX: usize = 32_768;

/// An accepted envelope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Known {
    /// Its digest.
    pub digest: Digest,
    /// Where it stands in the journal.
    pub at: Locator,
}

/// What memory says of an envelope.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Lookup {
    /// It was accepted.
    Known(Known),
    /// It was not.
    Unknown,
    /// Only the index can tell.
    AskIndex,
}

/// Accepted envelopes: those whose ids are above the floor are all in memory. Ids are ordered by
/// their senders' clocks, so a fresh envelope is above it and costs no look-up, whatever the
/// history.
#[derive(Clone, Default, Debug)]
pub struct KnownEnvelopes {
    recent: BTreeMap<EnvelopeKey, Known>,
    /// Ids at or below it may be known to the index only; none before anything was forgotten.
    floor: Option<EnvelopeId>,
    highest: Option<EnvelopeId>,
    /// For the batch at hand: what the index said, and what memory gave to the index.
    loaded: BTreeMap<EnvelopeKey, Option<Known>>,
}

/// Two are equal when they know the same of what only memory can know; how much of it is in memory
/// does not change any decision.
impl PartialEq for KnownEnvelopes {
    fn eq(&self, other: &Self) -> bool {
        self.highest == other.highest
    }
}

impl KnownEnvelopes {
    /// After a restart: everything up to the highest known id is the index's to tell.
    #[must_use]
    pub const fn from_highest(highest: Option<EnvelopeId>) -> Self {
        Self { recent: BTreeMap::new(), floor: highest, highest, loaded: BTreeMap::new() }
    }

    /// The highest id that was ever accepted.
    #[must_use]
    pub const fn highest(&self) -> Option<EnvelopeId> {
        self.highest
    }

    pub(crate) fn look_up(&self, key: &EnvelopeKey) -> Lookup {
        if let Some(known) = self.recent.get(key) {
            return Lookup::Known(*known);
        }
        match self.loaded.get(key) {
            Some(Some(known)) => Lookup::Known(*known),
            Some(None) => Lookup::Unknown,
            None if self.floor.is_some_and(|floor| key.id <= floor) => Lookup::AskIndex,
            None => Lookup::Unknown,
        }
    }

    pub(crate) fn insert(&mut self, key: EnvelopeKey, known: Known) {
        self.highest = self.highest.max(Some(key.id));
        if self.floor.is_some_and(|floor| key.id <= floor) {
            self.loaded.insert(key, Some(known));
            return;
        }
        self.recent.insert(key, known);
        if self.recent.len() > RECENT_MAX
            && let Some((key, known)) = self.recent.pop_first()
        {
            self.floor = Some(key.id);
            self.loaded.insert(key, Some(known));
        }
    }

    pub(crate) fn loaded(&mut self, key: EnvelopeKey, known: Option<Known>) {
        self.loaded.insert(key, known);
    }

    pub(crate) fn forget_loaded(&mut self) {
        self.loaded.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::{AgencyId, TimeMs};

    fn key(time: u64) -> EnvelopeKey {
        EnvelopeKey {
            id: EnvelopeId::new(TimeMs(time), [0; 10]),
            from: AgencyId::parse("ae.dfwac", "from").unwrap(),
        }
    }

    const KNOWN: Known = Known { digest: Digest([7; 32]), at: Locator { batch: 1, entry: 2 } };

    #[test]
    fn what_is_not_in_memory_is_never_called_unknown() {
        let mut known = KnownEnvelopes::default();
        assert_eq!(known.look_up(&key(1)), Lookup::Unknown, "nothing was ever accepted");
        for time in 0..=u64::try_from(RECENT_MAX).unwrap() {
            known.insert(key(10 + time), KNOWN);
        }
        assert_eq!(known.look_up(&key(10)), Lookup::Known(KNOWN), "until the batch ends");
        known.forget_loaded();
        assert_eq!(known.look_up(&key(10)), Lookup::AskIndex);
        assert_eq!(known.look_up(&key(9)), Lookup::AskIndex);
        assert_eq!(known.look_up(&key(11)), Lookup::Known(KNOWN));
        assert_eq!(known.look_up(&key(1_000_000)), Lookup::Unknown);
        known.insert(key(5), KNOWN);
        assert_eq!(known.look_up(&key(5)), Lookup::Known(KNOWN), "an old id, in the batch that brings it");
        known.forget_loaded();
        assert_eq!(known.look_up(&key(5)), Lookup::AskIndex);
        let restarted = KnownEnvelopes::from_highest(known.highest());
        assert_eq!(restarted.look_up(&key(11)), Lookup::AskIndex);
        assert_eq!(restarted.look_up(&key(1_000_000)), Lookup::Unknown);
    }
}
