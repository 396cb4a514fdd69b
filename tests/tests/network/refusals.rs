//! What the gateway refuses, over real TLS to the real process: each with its own code, its evidence
//! where the caller is known, and nothing else changed. Not here: peers that want to harm (`hostile`).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test: what cannot go on has failed, and the counts are for people"
)]

mod certificates;
mod envelopes;
mod lists;
mod malformed;
