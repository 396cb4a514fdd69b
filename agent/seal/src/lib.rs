//! Sealed parts: the content of an envelope, encrypted for the agencies that may read it, so that
//! the gateway in between cannot.
//!
//! A sealed part is an age v1 file of one recipient type, the post-quantum hybrid
//! `mlkem768x25519` (X-Wing: ML-KEM-768 and X25519), whose plaintext is a head, content and
//! padding; stock age tools open it. `README.md` beside this crate is the format's normative text.
//!
//! In scope: keys and their text, [`seal`], [`open`], and the rules that stop re-signing, surreptitious
//! forwarding and telling lengths. Out of scope: which agency a key belongs to (the directory
//! log), who may read what (`proto`), where keys and parts are kept (`agent`), signatures, and
//! secrecy of a part from whoever held an agency's key at the time.

mod digesting;
mod file_key;
mod head;
mod header;
mod key;
mod low_order;
mod opening;
mod padding;
mod payload;
mod randomness;
mod sealing;
mod stanza;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod vectors;

pub use digesting::Sealed;
pub use head::{
    AGENCIES_MAX, AGENCY_ID_BYTES_MAX, CONTENT_BYTES_MAX, ENVELOPE_ID_BYTES, Expected, FILE_NAME_BYTES_MAX,
    HEAD_BYTES_MAX, HEAD_VERSION, MEDIA_TYPE_BYTES_MAX, SealHead,
};
pub use header::{HEADER_BYTES_MAX, RECIPIENTS_MAX};
pub use key::{
    KeyMalformed, NoRandomness, RECIPIENT_BYTES, RECIPIENT_TEXT_CHARS, Recipient, SEED_BYTES, SealingKey,
};
pub use opening::{NotOpened, Opened, open, open_unlisted, read_head};
pub use padding::{PLAINTEXT_BYTES_MIN, padded_bytes};
pub use sealing::{NotSealed, seal, sealed_bytes};

/// A length in memory as a number of bytes. No machine has lengths beyond 64 bits; the largest
/// number stands for "over every limit".
fn count(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
