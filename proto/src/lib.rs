//! The rules of inter-agency referral messaging: formats, signatures, evidence, the log, and the
//! pure state machine. Not here: anything that touches a clock, a file, a socket, a thread or
//! randomness; those are arguments, or live in `gateway` and `agent`.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::cast_possible_truncation)]

pub mod agreement;
pub mod alert;
pub mod batch;
pub mod calendar;
pub mod caller;
mod canonical;
pub mod certificate_order;
pub mod clocks;
pub mod command;
pub mod count;
pub mod decide;
pub mod delivery;
pub mod digest;
pub mod directory;
pub mod dsse;
pub mod evidence;
pub mod fact;
mod fields;
mod folded;
pub mod gateway_clock;
pub mod header;
pub mod heads;
pub mod ids;
pub mod invitation;
pub mod key;
pub mod known;
pub mod language;
pub mod lifecycle;
pub mod log;
mod malformed;
pub mod mechanism;
mod names;
pub mod operation;
pub mod outline;
pub mod payload;
pub mod receipt;
pub mod referral;
pub mod refusal;
pub mod restore;
pub mod retention;
pub mod snapshot;
pub mod spoken;
pub mod state;
pub mod statistics;
pub mod stuck;
pub mod vocabulary;
pub mod words;

pub use malformed::Malformed;

/// The messages of `proto/referral/v1/*.proto`, as they are on the wire and on disk.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    rustdoc::all,
    clippy::all,
    clippy::as_conversions,
    reason = "generated; the words are in the .proto files"
)]
pub mod wire {
    include!(concat!(env!("OUT_DIR"), "/referral.v1.rs"));

    // Messages have no `Debug`: what they hold may be a person's. Two that a `Debug` of ours reaches
    // show their name only.
    impl std::fmt::Debug for AgencyProfile {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("AgencyProfile")
        }
    }

    impl std::fmt::Debug for Calendar {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("Calendar")
        }
    }

    /// The compiled definitions, an encoded `google.protobuf.FileDescriptorSet`.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
}
