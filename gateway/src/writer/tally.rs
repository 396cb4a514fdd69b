//! Denials and queries that are only counted, until their window ends. In memory alone: a crash loses at most
//! the counts of the running hour, never a record.

use std::collections::BTreeMap;

use proto::{
    command::{DENIAL_COUNTS_MAX, DenialCount, QUERY_COUNTS_MAX, QueryCount},
    ids::TimeMs,
    refusal::Refusal,
    state::{DENIAL_WINDOW_MS, DENIAL_WINDOWS_MAX, QUERY_WINDOWS_MAX},
};

/// Counts by caller and code, with the moment of the first.
#[derive(Debug, Default)]
pub(super) struct Tally {
    denials: BTreeMap<(String, Refusal), (TimeMs, u64)>,
    queries: BTreeMap<String, (TimeMs, u64)>,
}

impl Tally {
    pub(super) fn query(&mut self, caller: &str, now: TimeMs) {
        if self.queries.len() < QUERY_WINDOWS_MAX || self.queries.contains_key(caller) {
            let (_, count) = self.queries.entry(caller.to_owned()).or_insert((now, 0));
            *count = count.saturating_add(1);
        }
    }

    /// The counts of queries whose hour is over.
    pub(super) fn take_queries(&mut self, now: TimeMs) -> Vec<QueryCount> {
        let over = |start: TimeMs| start.plus_ms(DENIAL_WINDOW_MS) <= now;
        let callers = self.queries.iter().filter(|(_, (start, _))| over(*start)).map(|(caller, _)| caller);
        let callers: Vec<_> = callers.take(QUERY_COUNTS_MAX).cloned().collect();
        let taken = callers.into_iter().filter_map(|caller| self.queries.remove_entry(&caller));
        taken.map(|(caller, (window_start, count))| QueryCount { caller, count, window_start }).collect()
    }

    pub(super) fn count(&mut self, caller: &str, refusal: Refusal, now: TimeMs) {
        let key = (caller.to_owned(), refusal);
        if self.denials.len() < DENIAL_WINDOWS_MAX || self.denials.contains_key(&key) {
            let (_, count) = self.denials.entry(key).or_insert((now, 0));
            *count = count.saturating_add(1);
        }
    }

    /// The counts whose hour is over.
    pub(super) fn take(&mut self, now: TimeMs) -> Vec<DenialCount> {
        let over = |start: TimeMs| start.plus_ms(DENIAL_WINDOW_MS) <= now;
        let keys = self.denials.iter().filter(|(_, (start, _))| over(*start)).map(|(key, _)| key.clone());
        let keys: Vec<_> = keys.take(DENIAL_COUNTS_MAX).collect();
        let taken = keys.into_iter().filter_map(|key| self.denials.remove_entry(&key));
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
