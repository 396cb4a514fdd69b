//! Figures of the last week, one of each minute, for the charts. In memory alone: they begin anew with the
//! process. Not here: how they are drawn (`chart`).

use std::{
    collections::VecDeque,
    sync::{Mutex, PoisonError},
};

/// How many minutes are remembered: a week.
pub const SAMPLES_MAX: usize = 7 * 24 * 60 + 1;

/// Figures of each minute, the newest last.
#[derive(Debug, Default)]
pub struct Samples(Mutex<VecDeque<Sample>>);

/// The figures of a minute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Leaves of the evidence log.
    pub evidence: u64,
    /// Envelopes that wait in all mailboxes.
    pub waiting: usize,
    /// The slowest step of the minute, in microseconds; 0 when there was none.
    pub slowest_us: u64,
}

impl Samples {
    /// Takes the figures of a minute; the oldest give way.
    pub fn take(&self, evidence: u64, waiting: usize, slowest_us: u64) {
        let mut samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        samples.push_back(Sample { evidence, waiting, slowest_us });
        while samples.len() > SAMPLES_MAX {
            samples.pop_front();
        }
    }

    /// By how much the evidence log grew in each of the last intervals of so many minutes, the newest last.
    #[must_use]
    pub fn growth(&self, minutes: usize, intervals: usize) -> Vec<u64> {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let newest = samples.len().saturating_sub(1);
        let at = |back: usize| {
            let place = newest.checked_sub(back.saturating_mul(minutes))?;
            samples.get(place).map(|sample| sample.evidence)
        };
        let grown = (0..intervals).map_while(|back| at(back).zip(at(back.saturating_add(1))));
        let mut grown: Vec<_> = grown.map(|(now, before)| now.saturating_sub(before)).collect();
        grown.reverse();
        grown
    }

    /// The slowest step of each of the last intervals of so many minutes, in microseconds, the newest last.
    #[must_use]
    pub fn slowest_us(&self, minutes: usize, intervals: usize) -> Vec<u64> {
        let samples = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let steps: Vec<_> = samples.iter().map(|sample| sample.slowest_us).collect();
        let whole = steps.rchunks_exact(minutes.max(1)).take(intervals);
        let mut slowest: Vec<_> = whole.map(|steps| steps.iter().copied().max().unwrap_or(0)).collect();
        slowest.reverse();
        slowest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_of_each_interval_and_no_more_than_a_week() {
        let samples = Samples::default();
        assert!(samples.growth(1, 60).is_empty());
        for evidence in [10, 10, 13, 20] {
            samples.take(evidence, 0, evidence % 60);
        }
        assert_eq!(samples.growth(1, 60), [0, 3, 7]);
        assert_eq!(samples.growth(1, 2), [3, 7]);
        assert_eq!(samples.growth(2, 60), [10], "whole intervals only");
        for evidence in 0..20_040 {
            samples.take(evidence, 0, evidence % 60);
        }
        assert_eq!(samples.growth(1, usize::MAX).len(), SAMPLES_MAX - 1);
        assert_eq!(samples.growth(60, 24), [60; 24]);
        assert_eq!(samples.growth(24 * 60, usize::MAX), [24 * 60; 7]);
        assert_eq!(samples.slowest_us(60, 24), [59; 24]);
        assert_eq!(samples.slowest_us(1, 2), [58, 59]);
    }
}
