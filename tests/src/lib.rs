//! The trials: what tests, simulation and benchmarks share. Ships nothing.

pub mod network;
pub mod random;
pub mod simulation;
