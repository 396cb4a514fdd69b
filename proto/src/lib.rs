//! The rules of inter-agency referral messaging: formats, signatures, evidence, the log, and the
//! pure state machine. Not here: anything that touches a clock, a file, a socket, a thread or
//! randomness; those are arguments, or live in `gateway` and `agent`.
#![deny(
    clippy::arithmetic_side_effects,
    clippy::indexing_slicing,
    clippy::cast_possible_truncation
)]

pub mod digest;
pub mod key;
pub mod log;
mod malformed;

pub use malformed::Malformed;
