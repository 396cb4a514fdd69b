//! Opening: an age file becomes a head and content, when it is the part that was expected. Not
//! here: where the content goes, and where the expectation comes from.

use std::io::{self, BufReader, Read, Write};

use sha2::{Digest as _, Sha256};
use thiserror::Error;

use crate::{
    Expected, HEAD_BYTES_MAX, RECIPIENTS_MAX, SealHead, Sealed, SealingKey,
    digesting::Digesting,
    file_key::PrimitiveFailed,
    header::Header,
    payload::{ChunkOpener, Place},
    sealing::{age_bytes, plaintext_bytes},
};

/// How much ciphertext is read at once, in bytes.
const READ_BYTES: usize = 64 << 10;

/// Why a part was not opened. What was written until then must be discarded. Nothing of the part
/// is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotOpened {
    /// The file does not begin as an age v1 file (an armoured one does not either).
    #[error("not an age v1 file")]
    NotAge,
    /// A line of the header is longer than any may be, or of no known form.
    #[error("header: a line that has no place in it")]
    HeaderLine,
    /// The file is for some other type of recipient too (X25519, a passphrase, …), which would
    /// undo what the post-quantum type protects; or it has a stanza that means nothing.
    #[error("header: a recipient that is not of type mlkem768x25519")]
    OtherRecipientType,
    /// More than [`RECIPIENTS_MAX`] recipients.
    #[error("header: more than {RECIPIENTS_MAX} recipients")]
    TooManyRecipients,
    /// A recipient stanza of our type is malformed.
    #[error("header: a malformed recipient stanza")]
    Stanza,
    /// A recipient stanza has an X25519 share of low order.
    #[error("header: an X25519 share of low order")]
    LowOrder,
    /// The file is sealed for none of the keys given.
    #[error("sealed for none of these keys")]
    NoKeyFits,
    /// The header was changed.
    #[error("header: changed since it was sealed")]
    HeaderMac,
    /// A chunk of the payload was changed, moved, or is not where the payload ended.
    #[error("payload: changed or cut since it was sealed")]
    Payload,
    /// The file ends too early.
    #[error("the file ends too early")]
    Truncated,
    /// The head is longer than [`HEAD_BYTES_MAX`], or than the plaintext.
    #[error("head: longer than {HEAD_BYTES_MAX} bytes or than the plaintext")]
    HeadLength,
    /// The head is not the protobuf message expected here.
    #[error("head: these bytes are no such message")]
    HeadProtobuf,
    /// The head decodes, but is not encoded the one way that we accept.
    #[error("head: not in canonical encoding (unknown, repeated or misordered fields)")]
    HeadNotCanonical,
    /// A field of the head breaks its rule.
    #[error("head: {field} breaks its rule")]
    HeadField {
        /// The field's name.
        field: &'static str,
    },
    /// The part was sealed for another envelope.
    #[error("sealed for another envelope")]
    OtherEnvelope,
    /// The part was sealed by another agency.
    #[error("sealed by another agency")]
    OtherSender,
    /// The part was not sealed for this agency.
    #[error("not sealed for this agency")]
    NotForMe,
    /// The part is another part of the envelope.
    #[error("another part of the envelope")]
    OtherPart,
    /// The part is of another class.
    #[error("a part of another class")]
    OtherClass,
    /// The plaintext does not have the length that its head makes it have.
    #[error("the plaintext does not have the length that follows from its head")]
    PlaintextLength,
    /// The padding is not all zeros.
    #[error("the padding is not all zeros")]
    Padding,
    /// The content does not have the head's `content_sha256`.
    #[error("the content does not have the digest that its head says")]
    ContentDigest,
    /// The file does not have the length that the envelope lists.
    #[error("the file does not have the length that the envelope lists")]
    ListedLength,
    /// The file does not have the digest that the envelope lists.
    #[error("the file does not have the digest that the envelope lists")]
    ListedDigest,
    /// A cryptographic library failed on input of the right form: a fault, not a refusal.
    #[error("a cryptographic library failed")]
    Primitive,
    /// The file could not be read.
    #[error("reading the file: {0}")]
    Read(io::ErrorKind),
    /// The content could not be written.
    #[error("writing the content: {0}")]
    Write(io::ErrorKind),
}

impl From<PrimitiveFailed> for NotOpened {
    fn from(PrimitiveFailed: PrimitiveFailed) -> Self {
        Self::Primitive
    }
}

/// What an opened part is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened {
    /// The part's head; it was as expected.
    pub head: SealHead,
    /// Digest and length of the ciphertext that was read.
    pub sealed: Sealed,
}

/// Opens a part that an envelope lists, with constant memory, and writes its content to `out`.
///
/// Nothing is written before the header, the head and every expectation have been checked. Content
/// is authenticated chunk by chunk (64 KiB) and written as it is; a part of one chunk is checked
/// whole first, its digests aside. **On `Err` the caller must discard what was written.**
///
/// # Errors
/// [`NotOpened`]: the first thing that is not as it must be.
pub fn open(
    keys: &[SealingKey],
    expected: &Expected<'_>,
    listed: Sealed,
    ciphertext: impl Read,
    out: impl Write,
) -> Result<Opened, NotOpened> {
    let opening = Opening::begin(keys, expected, ciphertext)?;
    if opening.age_bytes() != listed.bytes {
        return Err(NotOpened::ListedLength);
    }
    let opened = opening.release(out)?;
    if opened.sealed != listed {
        return Err(NotOpened::ListedDigest);
    }
    Ok(opened)
}

/// [`open`] for a file whose envelope does not list a digest and length, or lists them elsewhere:
/// the caller compares [`Opened::sealed`].
///
/// # Errors
/// [`NotOpened`], as [`open`] does.
pub fn open_unlisted(
    keys: &[SealingKey],
    expected: &Expected<'_>,
    ciphertext: impl Read,
    out: impl Write,
) -> Result<Opened, NotOpened> {
    Opening::begin(keys, expected, ciphertext)?.release(out)
}

/// Reads what a part is, and no more of it than that takes: its head, authentic and as expected. That
/// the rest of the file is whole, only [`open`] tells.
///
/// # Errors
/// [`NotOpened`], as [`open`] does, of the header and the head.
pub fn read_head(
    keys: &[SealingKey],
    expected: &Expected<'_>,
    ciphertext: impl Read,
) -> Result<SealHead, NotOpened> {
    Opening::begin(keys, expected, ciphertext).map(|opening| opening.head)
}

type Ciphertext<R> = BufReader<Digesting<R>>;

/// A part whose head has been read and is as expected; nothing has been released.
struct Opening<R> {
    chunks: ChunkOpener<Ciphertext<R>>,
    head: SealHead,
    layout: Layout,
    recipients: u64,
    first: zeroize::Zeroizing<Vec<u8>>,
    first_place: Place,
}

impl<R: Read> Opening<R> {
    fn begin(keys: &[SealingKey], expected: &Expected<'_>, ciphertext: R) -> Result<Self, NotOpened> {
        let mut source = BufReader::with_capacity(READ_BYTES, Digesting::new(ciphertext));
        let header = Header::read(&mut source)?;
        let file_key = header.unwrap(keys)?;
        let mut chunks = ChunkOpener::new(&file_key, source)?;
        let (first, first_place) = chunks.open_next()?;

        let encoded = encoded_head(first)?;
        let head = SealHead::decode_checked(encoded)?;
        head.compare(expected)?;
        Ok(Self {
            layout: Layout::of(crate::count(encoded.len()), head.content_bytes),
            first: zeroize::Zeroizing::new(first.to_vec()),
            first_place,
            recipients: header.recipients(),
            chunks,
            head,
        })
    }

    /// The length that the whole file must have.
    fn age_bytes(&self) -> u64 {
        age_bytes(self.layout.end, self.recipients)
    }

    fn release(mut self, out: impl Write) -> Result<Opened, NotOpened> {
        let mut release = Release { layout: self.layout, position: 0, hasher: Sha256::new(), out };
        release.chunk(&self.first, self.first_place)?;
        let mut place = self.first_place;
        while place == Place::Within {
            let (chunk, next_place) = self.chunks.open_next()?;
            release.chunk(chunk, next_place)?;
            place = next_place;
        }
        release.finish(&self.head)?;
        Ok(Opened { head: self.head, sealed: self.chunks.into_source().into_inner().sealed() })
    }
}

/// Where content begins, where padding begins, and where the plaintext ends, in bytes.
#[derive(Clone, Copy)]
struct Layout {
    content: u64,
    padding: u64,
    end: u64,
}

impl Layout {
    /// Both lengths are within their limits, so nothing overflows.
    fn of(head_bytes: u64, content_bytes: u64) -> Self {
        let content = crate::count(crate::sealing::HEAD_LENGTH_BYTES) + head_bytes;
        Self { content, padding: content + content_bytes, end: plaintext_bytes(head_bytes, content_bytes) }
    }
}

/// Content on its way out.
struct Release<W> {
    layout: Layout,
    position: u64,
    hasher: Sha256,
    out: W,
}

impl<W: Write> Release<W> {
    /// Checks the length and padding of an authentic chunk, then writes its content.
    fn chunk(&mut self, chunk: &[u8], place: Place) -> Result<(), NotOpened> {
        let end = self.position + crate::count(chunk.len());
        let fits = match place {
            Place::Within => end < self.layout.end,
            Place::Last => end == self.layout.end,
        };
        if !fits {
            return Err(NotOpened::PlaintextLength);
        }
        let (rest, padding) = chunk.split_at(self.within(self.layout.padding, chunk));
        if padding.iter().any(|byte| *byte != 0) {
            return Err(NotOpened::Padding);
        }
        let (_, content) = rest.split_at(self.within(self.layout.content, rest));
        self.hasher.update(content);
        self.out.write_all(content).map_err(|error| NotOpened::Write(error.kind()))?;
        self.position = end;
        Ok(())
    }

    /// Where in the chunk at the current position a place of the plaintext lies, or the nearer end.
    fn within(&self, place: u64, chunk: &[u8]) -> usize {
        let offset = place.saturating_sub(self.position);
        usize::try_from(offset).map_or(chunk.len(), |offset| offset.min(chunk.len()))
    }

    fn finish(mut self, head: &SealHead) -> Result<(), NotOpened> {
        let digest = self.hasher.finalize();
        if !head.content_sha256.is_empty() && head.content_sha256 != digest.as_slice() {
            return Err(NotOpened::ContentDigest);
        }
        self.out.flush().map_err(|error| NotOpened::Write(error.kind()))
    }
}

/// The encoded head, from the plaintext's first chunk.
fn encoded_head(first: &[u8]) -> Result<&[u8], NotOpened> {
    let (length, rest) = first.split_first_chunk().ok_or(NotOpened::HeadLength)?;
    let length = u32::from_be_bytes(*length);
    if u64::from(length) > HEAD_BYTES_MAX {
        return Err(NotOpened::HeadLength);
    }
    usize::try_from(length).ok().and_then(|length| rest.get(..length)).ok_or(NotOpened::HeadLength)
}
