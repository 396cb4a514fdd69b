//! The trials: what tests, simulation and benchmarks share. Ships nothing.

pub mod fixture;
pub mod network;
pub mod random;
pub mod simulation;
