//! The rules of inter-agency referral messaging: formats, signatures, evidence, the log, and the
//! pure state machine. Not here: anything that touches a clock, a file, a socket, a thread or
//! randomness; those are arguments, or live in `gateway` and `agent`.
#![deny(clippy::arithmetic_side_effects, clippy::indexing_slicing, clippy::cast_possible_truncation)]

pub mod agreement;
pub mod caller;
mod canonical;
pub mod digest;
pub mod dsse;
pub mod evidence;
pub mod header;
pub mod ids;
pub mod key;
pub mod lifecycle;
pub mod log;
mod malformed;
pub mod refusal;

pub use malformed::Malformed;

/// The messages of `proto/referral/v1/*.proto`, as they are on the wire and on disk.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::as_conversions,
    reason = "generated; the words are in the .proto files"
)]
pub mod wire {
    include!(concat!(env!("OUT_DIR"), "/referral.v1.rs"));

    /// The compiled definitions, an encoded `google.protobuf.FileDescriptorSet`.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
}
