//! The example part that these tests seal and open. Its keys are public: seeds of one byte
//! repeated.
#![allow(dead_code, reason = "each test file uses some of it")]

use seal::{Expected, HEAD_VERSION, Recipient, SEED_BYTES, SealHead, Sealed, SealingKey, seal};

const ENVELOPE_ID: [u8; 16] = *b"\x01\x9f\0\0\0\0\x70\0\x80\0\0\0\0\0\0\x2a";

pub(crate) fn key(byte: u8) -> SealingKey {
    SealingKey::from_seed(&[byte; SEED_BYTES]).unwrap()
}

/// The recipients of the keys 1 to `count`.
pub(crate) fn recipients(count: usize) -> Vec<Recipient> {
    let bytes = 1..=u8::try_from(count).unwrap();
    bytes.map(|byte| key(byte).recipient().clone()).collect()
}

pub(crate) fn head(content_bytes: usize) -> SealHead {
    SealHead {
        version: HEAD_VERSION,
        envelope_id: ENVELOPE_ID.to_vec(),
        from: "shelter.example".into(),
        recipients: vec!["clinic.example".into(), "ministry.example".into()],
        part_id: 2,
        part_class: 1,
        content_bytes: u64::try_from(content_bytes).unwrap(),
        media_type: "application/json".into(),
        file_name: String::new(),
        content_sha256: Vec::new(),
    }
}

pub(crate) fn expected() -> Expected<'static> {
    Expected {
        envelope_id: ENVELOPE_ID,
        from: "shelter.example",
        me: "clinic.example",
        part_id: 2,
        part_class: 1,
    }
}

/// Content in which no two chunks are alike.
pub(crate) fn content(bytes: usize) -> Vec<u8> {
    (0..bytes).map(|place| u8::try_from(place % 251).unwrap()).collect()
}

pub(crate) fn sealed(content: &[u8], recipients: &[Recipient]) -> (Sealed, Vec<u8>) {
    let mut file = Vec::new();
    let sealed = seal(&head(content.len()), recipients, content, &mut file).unwrap();
    (sealed, file)
}
