//! The simulation: one seed is one run of writer, journal, index, tiles and agents, with faults in
//! its vocabulary and a reference model beside it. Everything is the product's own code but the
//! disk, which is the journal's twin in memory, and the clock.
#![allow(clippy::missing_panics_doc, clippy::unwrap_used, reason = "a run that cannot be set up has failed")]

mod agents;
pub mod planted;
mod world;

use std::fmt;

use planted::Bug;

use crate::random::Random;
use world::World;

/// Steps of a run.
pub const STEPS: u64 = 200;
/// Faults of a run, at the least.
pub const FAULTS: u64 = 5;

/// What a run did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Done {
    /// Steps.
    pub steps: u64,
    /// Faults of every sort.
    pub faults: u64,
    /// Times that the process ended and was started again.
    pub lives: u64,
    /// Envelopes that were acknowledged.
    pub acknowledged: u64,
    /// Answers that were given again, byte for byte.
    pub repeated: u64,
    /// Envelopes that were handed over.
    pub handed_over: u64,
    /// Answers that did not come in time.
    pub expiries: u64,
    /// Fallbacks that the gateway asked.
    pub escalations: u64,
    /// Sealing keys that took the place of others.
    pub key_changes: u64,
    /// Acts of operators.
    pub operations: u64,
    /// Leaves of the evidence log at the end.
    pub leaves: u64,
    /// Runs of the index at the end.
    pub index_runs: u64,
    /// Times that something of the index was damaged and made again, in the last life.
    pub index_made_again: u64,
}

impl std::ops::AddAssign for Done {
    fn add_assign(&mut self, other: Self) {
        self.steps += other.steps;
        self.faults += other.faults;
        self.lives += other.lives;
        self.acknowledged += other.acknowledged;
        self.repeated += other.repeated;
        self.handed_over += other.handed_over;
        self.expiries += other.expiries;
        self.escalations += other.escalations;
        self.key_changes += other.key_changes;
        self.operations += other.operations;
        self.leaves += other.leaves;
        self.index_runs += other.index_runs;
        self.index_made_again += other.index_made_again;
    }
}

/// What went wrong in a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The run.
    pub seed: u64,
    /// The step.
    pub step: u64,
    /// What an invariant would not have.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}, step {}: {}", self.seed, self.step, self.what)
    }
}

/// Runs a seed; with a planted bug when one is named.
///
/// # Errors
/// [`Failure`]: an invariant does not hold.
pub fn run(seed: u64, bug: Option<Bug>) -> Result<Done, Failure> {
    let mut random = Random::new(seed);
    // At which steps a fault is certain; others come by themselves.
    let mut certain: Vec<u64> = (0..FAULTS).map(|_| random.below(STEPS)).collect();
    certain.sort_unstable();
    let mut world = World::new(seed, bug);
    for step in 0..STEPS {
        let faults = certain.iter().filter(|at| **at == step).count();
        let failed = |what| Failure { seed, step, what };
        for _ in 0..faults {
            world.fault().map_err(failed)?;
        }
        world.step().map_err(failed)?;
    }
    world.end().map_err(|what| Failure { seed, step: STEPS, what })
}
