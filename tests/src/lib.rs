//! The trials: whole networks, simulation, crashes, benchmarks; ships nothing.
