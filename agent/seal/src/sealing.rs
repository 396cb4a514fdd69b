//! Sealing: a head and content become an age file. Not here: deciding for whom, and opening.

use std::io::{self, Read, Write};

use hpke::rand_core::CryptoRng;
use sha2::{Digest as _, Sha256};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::{
    CONTENT_BYTES_MAX, HEAD_BYTES_MAX, NoRandomness, RECIPIENTS_MAX, Recipient, SealHead, Sealed,
    digesting::{Digesting, read_full},
    file_key::{FileKey, NONCE_BYTES, PrimitiveFailed},
    header,
    padding::padded_bytes,
    payload::{CHUNK_BYTES, ChunkSealer, Place, TAG_BYTES},
    randomness,
};

/// Length of the number before the head, in bytes.
pub(crate) const HEAD_LENGTH_BYTES: usize = 4;

/// Why a part was not sealed. What was written until then is not a sealed part and must be
/// discarded. Nothing of the part is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotSealed {
    /// No recipient was given.
    #[error("no recipient")]
    NoRecipient,
    /// More than [`RECIPIENTS_MAX`] recipients were given.
    #[error("more than {RECIPIENTS_MAX} recipients")]
    TooManyRecipients,
    /// The same recipient was given twice.
    #[error("a recipient is given twice")]
    RepeatedRecipient,
    /// A field of the head breaks its rule.
    #[error("head: {field} breaks its rule")]
    HeadField {
        /// The field's name.
        field: &'static str,
    },
    /// The encoded head is longer than [`HEAD_BYTES_MAX`].
    #[error("the head is larger than {HEAD_BYTES_MAX} bytes")]
    HeadTooLarge,
    /// The content is longer than [`CONTENT_BYTES_MAX`].
    #[error("the content is larger than {CONTENT_BYTES_MAX} bytes")]
    ContentTooLarge,
    /// The content ended before the head's `content_bytes`.
    #[error("the content is shorter than its head says")]
    ContentShort,
    /// The content went on after the head's `content_bytes`.
    #[error("the content is longer than its head says")]
    ContentLong,
    /// The content does not have the head's `content_sha256`.
    #[error("the content does not have the digest that its head says")]
    ContentDigest,
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness")]
    Randomness,
    /// A cryptographic library failed on input of the right form: a fault, not a refusal.
    #[error("a cryptographic library failed")]
    Primitive,
    /// The content could not be read.
    #[error("reading the content: {0}")]
    Read(io::ErrorKind),
    /// The sealed part could not be written.
    #[error("writing the sealed part: {0}")]
    Write(io::ErrorKind),
}

impl From<PrimitiveFailed> for NotSealed {
    fn from(PrimitiveFailed: PrimitiveFailed) -> Self {
        Self::Primitive
    }
}

impl From<NoRandomness> for NotSealed {
    fn from(NoRandomness: NoRandomness) -> Self {
        Self::Randomness
    }
}

/// Seals one part for every recipient, with constant memory: reads exactly `head.content_bytes`
/// bytes of `content`, which must end there, and writes an age file to `out`. Writes are of up to
/// 64 KiB and are not synced; that is the caller's.
///
/// The caller answers for the keys: `recipients` must be keys of the agencies that the head names,
/// found in the directory log.
///
/// # Errors
/// [`NotSealed`]; then what was written must be discarded.
pub fn seal(
    head: &SealHead,
    recipients: &[Recipient],
    content: impl Read,
    out: impl Write,
) -> Result<Sealed, NotSealed> {
    seal_with(&mut randomness::draw()?, head, recipients, content, out)
}

/// The exact length of a sealed part, in bytes, before it is sealed: `head_bytes` is
/// [`SealHead::bytes`], `recipients` the number of keys.
///
/// # Errors
/// [`NotSealed`] when one of the three is beyond its limit.
pub fn sealed_bytes(head_bytes: u64, content_bytes: u64, recipients: usize) -> Result<u64, NotSealed> {
    check_count(recipients)?;
    if head_bytes > HEAD_BYTES_MAX {
        return Err(NotSealed::HeadTooLarge);
    }
    if content_bytes > CONTENT_BYTES_MAX {
        return Err(NotSealed::ContentTooLarge);
    }
    let plaintext_bytes = plaintext_bytes(head_bytes, content_bytes);
    Ok(age_bytes(plaintext_bytes, crate::count(recipients)))
}

/// The padded length of a plaintext, in bytes. Both lengths are within their limits.
pub(crate) fn plaintext_bytes(head_bytes: u64, content_bytes: u64) -> u64 {
    padded_bytes(crate::count(HEAD_LENGTH_BYTES) + head_bytes + content_bytes)
}

/// The length of an age file, in bytes, of so long a plaintext for so many recipients.
pub(crate) fn age_bytes(plaintext_bytes: u64, recipients: u64) -> u64 {
    let chunks = plaintext_bytes.div_ceil(crate::count(CHUNK_BYTES));
    header::header_bytes(recipients)
        + crate::count(NONCE_BYTES)
        + plaintext_bytes
        + chunks * crate::count(TAG_BYTES)
}

/// [`seal`] with its randomness as an argument, so that a golden file can be made again.
pub(crate) fn seal_with(
    rng: &mut impl CryptoRng,
    head: &SealHead,
    recipients: &[Recipient],
    content: impl Read,
    out: impl Write,
) -> Result<Sealed, NotSealed> {
    check_count(recipients.len())?;
    check_distinct(recipients)?;
    let frame = frame(head)?;

    let file_key = FileKey::generate(rng);
    let mut nonce = [0; NONCE_BYTES];
    rng.fill_bytes(&mut nonce);
    let header = header::write(&file_key, recipients, rng)?;

    let mut out = Digesting::new(out);
    out.write_all(&header)
        .and_then(|()| out.write_all(&nonce))
        .map_err(|error| NotSealed::Write(error.kind()))?;
    let chunks = ChunkSealer::new(&file_key, &nonce, out)?;
    let mut out = seal_plaintext(chunks, &frame, head, content)?;
    out.flush().map_err(|error| NotSealed::Write(error.kind()))?;
    Ok(out.sealed())
}

/// Encrypts head, content and padding, chunk by chunk, and checks the content on its way.
fn seal_plaintext<W: Write>(
    mut chunks: ChunkSealer<W>,
    frame: &[u8],
    head: &SealHead,
    content: impl Read,
) -> Result<W, NotSealed> {
    let mut content = Content { source: content, left_bytes: head.content_bytes, hasher: Sha256::new() };
    let mut left_bytes = plaintext_bytes(head.bytes(), head.content_bytes);
    let mut frame = frame;
    let mut chunk = Zeroizing::new(vec![0; CHUNK_BYTES]);
    while left_bytes > 0 {
        let (bytes, place) = match usize::try_from(left_bytes) {
            Ok(bytes) if bytes <= CHUNK_BYTES => (bytes, Place::Last),
            Ok(_) | Err(_) => (CHUNK_BYTES, Place::Within),
        };
        let (chunk, _) = chunk.split_at_mut(bytes);
        let framed = read_full(&mut frame, chunk).map_err(read_failed)?;
        let (_, rest) = chunk.split_at_mut(framed);
        let filled = content.read_into(rest)?;
        let (_, padding) = rest.split_at_mut(filled);
        padding.fill(0);
        chunks.seal(chunk, place)?;
        left_bytes -= crate::count(bytes);
    }
    content.finish(head)?;
    Ok(chunks.into_out())
}

/// The content as it is read: how much is still to come, and the digest of what came.
struct Content<R> {
    source: R,
    left_bytes: u64,
    hasher: Sha256,
}

impl<R: Read> Content<R> {
    /// Fills `buffer` as far as content is left; returns how far.
    fn read_into(&mut self, buffer: &mut [u8]) -> Result<usize, NotSealed> {
        let wanted = usize::try_from(self.left_bytes).unwrap_or(usize::MAX);
        let (wanted, _) = buffer.split_at_mut(wanted.min(buffer.len()));
        let filled = read_full(&mut self.source, wanted).map_err(read_failed)?;
        if filled < wanted.len() {
            return Err(NotSealed::ContentShort);
        }
        self.hasher.update(wanted);
        self.left_bytes -= crate::count(filled);
        Ok(filled)
    }

    fn finish(mut self, head: &SealHead) -> Result<(), NotSealed> {
        if read_full(&mut self.source, &mut [0]).map_err(read_failed)? > 0 {
            return Err(NotSealed::ContentLong);
        }
        let digest = self.hasher.finalize();
        if !head.content_sha256.is_empty() && head.content_sha256 != digest.as_slice() {
            return Err(NotSealed::ContentDigest);
        }
        Ok(())
    }
}

/// The head's length and the head.
fn frame(head: &SealHead) -> Result<Vec<u8>, NotSealed> {
    let encoded = head.encode_checked()?;
    let length = u32::try_from(encoded.len()).map_err(|_| NotSealed::HeadTooLarge)?;
    Ok([length.to_be_bytes().as_slice(), &encoded].concat())
}

fn check_count(recipients: usize) -> Result<(), NotSealed> {
    match recipients {
        0 => Err(NotSealed::NoRecipient),
        1..=RECIPIENTS_MAX => Ok(()),
        _ => Err(NotSealed::TooManyRecipients),
    }
}

fn check_distinct(recipients: &[Recipient]) -> Result<(), NotSealed> {
    for (index, recipient) in recipients.iter().enumerate() {
        if recipients[..index].contains(recipient) {
            return Err(NotSealed::RepeatedRecipient);
        }
    }
    Ok(())
}

fn read_failed(error: io::Error) -> NotSealed {
    NotSealed::Read(error.kind())
}
