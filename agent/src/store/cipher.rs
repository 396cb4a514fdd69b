//! Encryption of records at rest. Not here: where the key is kept (`keys`).

use chacha20poly1305::{AeadInOut as _, ChaCha20Poly1305, KeyInit as _, Nonce, Tag};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{keys::StoreKey, randomness};

const NONCE_BYTES: usize = 12;
const TAG_BYTES: usize = 16;
/// What encryption adds to a blob.
pub(super) const OVERHEAD_BYTES: usize = NONCE_BYTES + TAG_BYTES;

const DOMAIN: &[u8] = b"referral/agent-store/v1\0";

/// What a blob is of its record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Head,
    Body,
    /// All heads that are still needed, up to a place.
    Snapshot,
}

/// It was not sealed, or does not open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not sealed with this key for this place")]
pub(super) struct CipherFailed;

pub(super) struct Cipher(ChaCha20Poly1305);

impl Cipher {
    pub(super) fn new(key: &StoreKey) -> Self {
        Self(ChaCha20Poly1305::new(key.bytes().into()))
    }

    /// A nonce may be drawn at random 2^32 times; an agency's agent writes a few million records in
    /// its life. Counting would give the same one twice when a torn batch is written again.
    pub(super) fn seal(
        &self,
        plain: &[u8],
        batch: u64,
        slot: u32,
        kind: Kind,
    ) -> Result<Vec<u8>, CipherFailed> {
        let nonce: [u8; NONCE_BYTES] = randomness::bytes().map_err(|_| CipherFailed)?;
        let mut blob = Vec::with_capacity(OVERHEAD_BYTES + plain.len());
        blob.extend_from_slice(&nonce);
        blob.extend_from_slice(plain);
        let (_, text) = blob.split_at_mut(NONCE_BYTES);
        let bound = bound(batch, slot, kind);
        let tag = self.0.encrypt_inout_detached(&Nonce::from(nonce), &bound, text.into());
        blob.extend_from_slice(&tag.map_err(|_| CipherFailed)?);
        Ok(blob)
    }

    pub(super) fn unseal(
        &self,
        blob: &[u8],
        batch: u64,
        slot: u32,
        kind: Kind,
    ) -> Result<Zeroizing<Vec<u8>>, CipherFailed> {
        let (nonce, rest) = blob.split_first_chunk::<NONCE_BYTES>().ok_or(CipherFailed)?;
        let (text, tag) = rest.split_last_chunk::<TAG_BYTES>().ok_or(CipherFailed)?;
        let mut text = Zeroizing::new(text.to_vec());
        let bound = bound(batch, slot, kind);
        let opened = self.0.decrypt_inout_detached(
            &Nonce::from(*nonce),
            &bound,
            text.as_mut_slice().into(),
            &Tag::from(*tag),
        );
        opened.map(|()| text).map_err(|_| CipherFailed)
    }
}

/// Binds a blob to its place: nobody can put one in place of another.
fn bound(batch: u64, slot: u32, kind: Kind) -> Vec<u8> {
    let kind = match kind {
        Kind::Head => 0,
        Kind::Body => 1,
        Kind::Snapshot => 2,
    };
    [DOMAIN, &batch.to_le_bytes(), &slot.to_le_bytes(), &[kind]].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cipher(key: u8) -> Cipher {
        Cipher::new(&StoreKey::new(Zeroizing::new([key; 32])))
    }

    #[test]
    fn what_another_implementation_wrote_is_read_for_ever() {
        use crate::records::{Leaf, Record, record};
        let golden = include_str!("../../tests/golden/store-v1.hex");
        let mut lines = golden.lines().filter(|line| !line.starts_with('#')).map(|line| {
            let digits = line.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
            digits.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect::<Vec<_>>()
        });
        let (encoded, blob) = (lines.next().unwrap(), lines.next().unwrap());
        let opened = cipher(1).unseal(&blob, 7, 3, Kind::Head).unwrap();
        assert_eq!(opened.as_slice(), encoded);
        let leaf = Leaf { index: 300, record: b"a leaf".to_vec() };
        let record = Record { at_ms: 1_790_000_000_000, record: Some(record::Record::Leaf(leaf)) };
        assert_eq!(prost::Message::encode_to_vec(&record), encoded);
    }

    #[test]
    fn a_blob_opens_with_its_key_in_its_place_only() {
        let one = cipher(1);
        let blob = one.seal(b"record", 7, 3, Kind::Head).unwrap();
        assert_eq!(blob.len(), 6 + OVERHEAD_BYTES);
        assert_eq!(one.unseal(&blob, 7, 3, Kind::Head).unwrap().as_slice(), b"record");
        assert!(cipher(2).unseal(&blob, 7, 3, Kind::Head).is_err());
        assert!(one.unseal(&blob, 8, 3, Kind::Head).is_err());
        assert!(one.unseal(&blob, 7, 4, Kind::Head).is_err());
        assert!(one.unseal(&blob, 7, 3, Kind::Body).is_err());
        for bit in 0..blob.len() * 8 {
            let mut flipped = blob.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(one.unseal(&flipped, 7, 3, Kind::Head).is_err(), "bit {bit}");
        }
        assert!(one.unseal(&blob[..OVERHEAD_BYTES - 1], 7, 3, Kind::Head).is_err());
        assert_ne!(blob, one.seal(b"record", 7, 3, Kind::Head).unwrap(), "a nonce of its own each time");
    }
}
