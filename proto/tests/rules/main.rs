//! The rules, tested from outside: commands in, decisions and evidence out. One program, so that the
//! small network that all of them use is built once.

mod acts;
mod authority;
mod clauses;
mod delivery;
mod formats;
mod network;
mod random;
mod refusals;
mod samples;
mod writer;
