//! What the tests of this crate share: published vectors, keys that are public, and an example
//! part. Not here: any key that protects something.

use crate::{Expected, HEAD_VERSION, Recipient, SEED_BYTES, SealHead, SealingKey};

/// The age specification's example key.
pub(crate) const AGE_SPEC_SECRET: &str = include_str!("../tests/vectors/age-spec/secret.txt");
/// The recipient of [`AGE_SPEC_SECRET`].
pub(crate) const AGE_SPEC_RECIPIENT: &str = include_str!("../tests/vectors/age-spec/recipient.txt");
/// The X-Wing draft's vectors: seed and public key, a pair a line.
pub(crate) const XWING: &str = include_str!("../tests/vectors/xwing/seed-public.txt");

/// Reads hexadecimal.
pub(crate) fn hex(text: &str) -> Vec<u8> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// A key whose seed is one byte repeated: for tests only, as everybody can compute it.
pub(crate) fn public_test_key(byte: u8) -> SealingKey {
    SealingKey::from_seed(&[byte; SEED_BYTES]).unwrap()
}

/// The recipient of [`public_test_key`].
pub(crate) fn recipient(byte: u8) -> Recipient {
    public_test_key(byte).recipient().clone()
}

/// The head of an example part, with so much content.
pub(crate) fn head(content_bytes: u64) -> SealHead {
    SealHead {
        version: HEAD_VERSION,
        envelope_id: expected().envelope_id.to_vec(),
        from: "shelter.example".into(),
        recipients: vec!["clinic.example".into(), "ministry.example".into()],
        part_id: 2,
        part_class: 1,
        content_bytes,
        media_type: "application/json".into(),
        file_name: String::new(),
        content_sha256: Vec::new(),
    }
}

/// What the example part must be, seen by one of its recipients.
pub(crate) fn expected() -> Expected<'static> {
    Expected {
        envelope_id: [1, 0x9f, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, 0x2a],
        from: "shelter.example",
        me: "clinic.example",
        part_id: 2,
        part_class: 1,
    }
}
