//! Tests that need the inside of the crate: files that [`crate::seal`] would never write, and
//! vectors whose plaintext is not ours. Not here: what can be seen from outside (`tests/`).

mod golden;
mod hostile;
mod published;

use crate::{
    file_key::FileKey,
    header,
    payload::{CHUNK_BYTES, ChunkSealer, Place},
    stanza::Stanza,
    vectors::recipient,
};
use chacha20::ChaCha20Rng;
use hpke::rand_core::SeedableRng as _;
use zeroize::Zeroizing;

fn rng() -> ChaCha20Rng {
    ChaCha20Rng::from_seed([9; 32])
}

fn file_key() -> FileKey {
    FileKey::new(Zeroizing::new(*b"YELLOW SUBMARINE"))
}

/// The text of a stanza for the test key of `byte`.
fn stanza_for(byte: u8) -> Vec<u8> {
    let mut text = Vec::new();
    Stanza::wrap(&file_key(), &recipient(byte), &mut rng()).unwrap().write_to(&mut text);
    text
}

/// A well-authenticated age file with whatever stanzas and whatever plaintext.
fn age_file(stanzas: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut file = [b"age-encryption.org/v1\n", stanzas].concat();
    header::end(&mut file, &file_key()).unwrap();
    let nonce = [3; 16];
    file.extend_from_slice(&nonce);
    let mut chunks = ChunkSealer::new(&file_key(), &nonce, file).unwrap();
    let mut rest = plaintext.to_vec();
    let mut rest = rest.as_mut_slice();
    while rest.len() > CHUNK_BYTES {
        let (chunk, after) = rest.split_at_mut(CHUNK_BYTES);
        chunks.seal(chunk, Place::Within).unwrap();
        rest = after;
    }
    chunks.seal(rest, Place::Last).unwrap();
    chunks.into_out()
}
