//! The trials: what tests, simulation and benchmarks share. Ships nothing.

pub mod arguments;
pub mod demo;
pub mod fixture;
pub mod load;
pub mod network;
pub mod peer;
pub mod place;
pub mod post;
pub mod random;
pub mod sandbox;
pub mod simulation;
pub mod speak;
pub mod steps;
