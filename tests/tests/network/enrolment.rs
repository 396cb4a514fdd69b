//! Enrolment over real processes and real TLS: an invited agency joins and refers; what may not be used
//! says why; nobody in the middle, and no flood, changes that. One program, so that what all share is
//! built once.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a test: what cannot go on has failed"
)]

mod given;
mod limits;
mod middle;
mod refusals;
mod story;
