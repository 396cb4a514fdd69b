//! Denials that are only counted, until their window ends. In memory alone: a crash loses at most
//! the counts of the running hour, never a record.

use std::collections::BTreeMap;

use proto::{
    command::{DENIAL_COUNTS_MAX, DenialCount},
    ids::TimeMs,
    refusal::Refusal,
    state::{DENIAL_WINDOW_MS, DENIAL_WINDOWS_MAX},
};

/// Counts by caller and code, with the moment of the first.
#[derive(Debug, Default)]
pub(super) struct Tally(BTreeMap<(String, Refusal), (TimeMs, u64)>);

impl Tally {
    pub(super) fn count(&mut self, caller: &str, refusal: Refusal, now: TimeMs) {
        let key = (caller.to_owned(), refusal);
        if self.0.len() < DENIAL_WINDOWS_MAX || self.0.contains_key(&key) {
            let (_, count) = self.0.entry(key).or_insert((now, 0));
            *count = count.saturating_add(1);
        }
    }

    /// The counts whose hour is over.
    pub(super) fn take(&mut self, now: TimeMs) -> Vec<DenialCount> {
        let over = |start: TimeMs| start.plus_ms(DENIAL_WINDOW_MS) <= now;
        let keys = self.0.iter().filter(|(_, (start, _))| over(*start)).map(|(key, _)| key.clone());
        let keys: Vec<_> = keys.take(DENIAL_COUNTS_MAX).collect();
        let taken = keys.into_iter().filter_map(|key| self.0.remove_entry(&key));
        taken
            .map(|((caller, refusal), (window_start, count))| DenialCount {
                caller,
                refusal,
                count,
                window_start,
            })
            .collect()
    }
}
