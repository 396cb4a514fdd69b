//! The payload of an age file: ChaCha20-Poly1305 in chunks of 64 KiB. Not here: what the chunks
//! hold.

use std::io::{BufRead, Write};

use chacha20poly1305::{AeadInOut as _, ChaCha20Poly1305, KeyInit as _, Nonce, Tag};
use zeroize::Zeroizing;

use crate::{
    NotOpened, NotSealed,
    digesting::read_full,
    file_key::{FileKey, NONCE_BYTES, PrimitiveFailed},
};

/// Plaintext bytes of every chunk but the last.
pub(crate) const CHUNK_BYTES: usize = 64 << 10;

/// What a chunk's tag adds, in bytes.
pub(crate) const TAG_BYTES: usize = 16;

/// Whether a chunk is the last of its payload. It is part of the chunk's nonce, so a payload that
/// is cut at a chunk's border does not authenticate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    Within,
    Last,
}

/// The cipher of one payload with the number of the next chunk.
/// Source: C2SP age, "Payload".
struct Chunks {
    cipher: ChaCha20Poly1305,
    next: u64,
}

impl Chunks {
    fn new(file_key: &FileKey, nonce: &[u8; NONCE_BYTES]) -> Result<Self, PrimitiveFailed> {
        let key = file_key.payload_key(nonce)?;
        let cipher = ChaCha20Poly1305::new_from_slice(key.as_slice());
        Ok(Self { cipher: cipher.map_err(|_| PrimitiveFailed)?, next: 0 })
    }

    /// Eleven bytes of big-endian counter and one that marks the last chunk.
    fn next_nonce(&mut self, place: Place) -> Result<Nonce, PrimitiveFailed> {
        let mut nonce = [0; 12];
        nonce[3..11].copy_from_slice(&self.next.to_be_bytes());
        nonce[11] = match place {
            Place::Within => 0,
            Place::Last => 1,
        };
        self.next = self.next.checked_add(1).ok_or(PrimitiveFailed)?;
        Ok(nonce.into())
    }
}

/// Encrypts chunks one after the other.
pub(crate) struct ChunkSealer<W> {
    chunks: Chunks,
    out: W,
}

impl<W: Write> ChunkSealer<W> {
    pub(crate) fn new(
        file_key: &FileKey,
        nonce: &[u8; NONCE_BYTES],
        out: W,
    ) -> Result<Self, PrimitiveFailed> {
        let chunks = Chunks::new(file_key, nonce)?;
        Ok(Self { chunks, out })
    }

    /// Encrypts a chunk in place and writes it. All but the last must have [`CHUNK_BYTES`].
    pub(crate) fn seal(&mut self, chunk: &mut [u8], place: Place) -> Result<(), NotSealed> {
        let nonce = self.chunks.next_nonce(place)?;
        let tag = self
            .chunks
            .cipher
            .encrypt_inout_detached(&nonce, &[], (&mut *chunk).into())
            .map_err(|_| PrimitiveFailed)?;
        self.out
            .write_all(chunk)
            .and_then(|()| self.out.write_all(&tag))
            .map_err(|error| NotSealed::Write(error.kind()))
    }

    pub(crate) fn into_out(self) -> W {
        self.out
    }
}

/// Decrypts chunks one after the other, holding one.
pub(crate) struct ChunkOpener<R> {
    chunks: Chunks,
    source: R,
    buffer: Zeroizing<Vec<u8>>,
}

impl<R: BufRead> ChunkOpener<R> {
    /// Reads the payload's nonce from `source`; chunks follow.
    pub(crate) fn new(file_key: &FileKey, mut source: R) -> Result<Self, NotOpened> {
        let mut nonce = [0; NONCE_BYTES];
        if read(&mut source, &mut nonce)? < NONCE_BYTES {
            return Err(NotOpened::Truncated);
        }
        Ok(Self {
            chunks: Chunks::new(file_key, &nonce)?,
            source,
            buffer: Zeroizing::new(vec![0; CHUNK_BYTES + TAG_BYTES]),
        })
    }

    /// The plaintext of the next chunk, authentic, and whether it is the last.
    pub(crate) fn open_next(&mut self) -> Result<(&[u8], Place), NotOpened> {
        let filled = read(&mut self.source, &mut self.buffer)?;
        let place = if filled < self.buffer.len() || self.at_end()? { Place::Last } else { Place::Within };
        let (sealed, _) = self.buffer.split_at_mut(filled);
        // An empty chunk is legal in age only for an empty payload, which ours never is.
        let Some((chunk, tag)) =
            sealed.split_last_chunk_mut::<TAG_BYTES>().filter(|(chunk, _)| !chunk.is_empty())
        else {
            return Err(NotOpened::Truncated);
        };
        let nonce = self.chunks.next_nonce(place)?;
        self.chunks
            .cipher
            .decrypt_inout_detached(&nonce, &[], (&mut *chunk).into(), &Tag::from(*tag))
            .map_err(|_| NotOpened::Payload)?;
        Ok((chunk, place))
    }

    pub(crate) fn into_source(self) -> R {
        self.source
    }

    fn at_end(&mut self) -> Result<bool, NotOpened> {
        loop {
            match self.source.fill_buf() {
                Ok(rest) => return Ok(rest.is_empty()),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(NotOpened::Read(error.kind())),
            }
        }
    }
}

fn read(source: &mut impl BufRead, buffer: &mut [u8]) -> Result<usize, NotOpened> {
    read_full(source, buffer).map_err(|error| NotOpened::Read(error.kind()))
}
