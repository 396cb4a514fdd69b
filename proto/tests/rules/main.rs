//! The rules, tested from outside: commands in, decisions and evidence out. One program, so that the
//! small network that all of them use is built once.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "test helpers may")]

mod acts;
mod agreements;
mod authority;
mod capacity;
mod clauses;
mod clocks;
mod delivery;
mod escalation;
mod formats;
mod heads;
mod hostile;
mod invitations;
mod keys;
mod network;
mod operations;
mod orders;
mod queries;
mod random;
mod refusals;
mod replica;
mod retention;
mod samples;
mod shards;
mod silence;
mod stuck;
mod writer;
