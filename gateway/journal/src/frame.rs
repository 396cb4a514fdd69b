//! The layout of a batch on disk and its two checksums: encode, check, erase within. Not here:
//! files, or where the next frame is.

use std::ops::Range;

use crate::{
    batch::{Batch, Row},
    form::Form,
    position::{BatchNo, Mark, Position},
    width::{put, to_u64, to_usize, u32_at, u32_to_usize, u64_at},
};

/// The longest batch on disk, all of its layout included: 16 MiB. In a journal of small segments
/// the limit is what one segment holds.
pub const BATCH_BYTES_MAX: u32 = 16 * 1024 * 1024;

/// Length of a frame's head in bytes.
pub(crate) const HEAD_BYTES: usize = 32;
/// Frames begin and end at multiples of this.
pub(crate) const ALIGN_BYTES: u64 = 8;
/// First four bytes of a frame.
pub(crate) const MAGIC: [u8; 4] = *b"RFJB";

const ROW_BYTES: usize = 16;
const CRC_AT: usize = 4;
const CRC_FROM: usize = 8;
const HEAD_CRC_AT: usize = 8;
const HEAD_CRC_FROM: usize = 12;
const FRAME_BYTES_AT: usize = 12;
const META_BYTES_AT: usize = 16;
const BLOB_COUNT_AT: usize = 20;
const BATCH_NO_AT: usize = 24;
const ROW_FLAGS_AT: usize = 4;
const ROW_ERASED_BY_AT: usize = 8;
const PRESENT: u32 = 0;
const ERASED: u32 = 1;

/// Length on disk, in bytes, of a batch with so much metadata and blobs of these lengths.
#[must_use]
pub fn batch_bytes(meta_bytes: usize, blob_bytes: impl IntoIterator<Item = usize>) -> u64 {
    let start = to_u64(HEAD_BYTES).saturating_add(to_u64(meta_bytes));
    let sum = blob_bytes
        .into_iter()
        .fold(start, |sum, blob| sum.saturating_add(to_u64(ROW_BYTES)).saturating_add(to_u64(blob)));
    sum.checked_next_multiple_of(ALIGN_BYTES).unwrap_or(u64::MAX)
}

/// Puts a batch together in `frame`, whose memory is reused. The caller has compared
/// [`batch_bytes`] with the limit.
pub(crate) fn encode(form: &Form, at: Mark, meta: &[u8], blobs: &[&[u8]], frame: &mut Vec<u8>) {
    let bytes = batch_bytes(meta.len(), blobs.iter().map(|blob| blob.len()));
    frame.clear();
    frame.reserve(to_usize(bytes));
    frame.extend_from_slice(&MAGIC);
    frame.extend_from_slice(&[0; 8]);
    for word in [bytes, to_u64(meta.len()), to_u64(blobs.len())] {
        frame.extend_from_slice(&narrow(word).to_le_bytes());
    }
    frame.extend_from_slice(&at.batch_no.get().to_le_bytes());
    for blob in blobs {
        frame.extend_from_slice(&narrow(to_u64(blob.len())).to_le_bytes());
        frame.extend_from_slice(&[0; ROW_BYTES - ROW_FLAGS_AT]);
    }
    frame.extend_from_slice(meta);
    for blob in blobs {
        frame.extend_from_slice(blob);
    }
    frame.resize(to_usize(bytes), 0);
    seal(form, at.position, frame);
}

// A frame is at most `BATCH_BYTES_MAX`, so that every length in it fits.
fn narrow(n: u64) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

fn seal(form: &Form, position: Position, frame: &mut [u8]) {
    let head_crc = crc(form, position, frame, HEAD_CRC_FROM..HEAD_BYTES);
    put(frame, HEAD_CRC_AT, &head_crc.to_le_bytes());
    let crc = crc(form, position, frame, CRC_FROM..frame.len());
    put(frame, CRC_AT, &crc.to_le_bytes());
}

fn crc(form: &Form, position: Position, frame: &[u8], part: Range<usize>) -> u32 {
    crc32c::crc32c_append(form.seed(position), frame.get(part).unwrap_or_default())
}

/// Why the bytes at a position are no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Bad {
    /// All zeros where a head would be, or no space for one.
    Blank,
    /// Not a head of this journal at this position.
    Head,
    /// A good head, then something else than its batch.
    Body {
        /// The frame's length, which the good head vouches for.
        frame_bytes: u64,
    },
}

/// A head whose own checksum is right.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Head {
    pub(crate) frame_bytes: u64,
    pub(crate) batch_no: BatchNo,
    meta_bytes: usize,
    blob_count: usize,
}

impl Head {
    /// Checks the 32 bytes at `position`. A good head costs one checksum of 20 bytes, so that
    /// content full of false heads cannot make a search slow.
    pub(crate) fn check(form: &Form, position: Position, bytes: &[u8]) -> Result<Self, Bad> {
        if bytes.len() < HEAD_BYTES || crate::width::is_zero(bytes) {
            return Err(Bad::Blank);
        }
        let own = u32_at(bytes, HEAD_CRC_AT) == crc(form, position, bytes, HEAD_CRC_FROM..HEAD_BYTES);
        let head = Self {
            frame_bytes: u64::from(u32_at(bytes, FRAME_BYTES_AT)),
            batch_no: BatchNo::new(u64_at(bytes, BATCH_NO_AT)),
            meta_bytes: u32_to_usize(u32_at(bytes, META_BYTES_AT)),
            blob_count: u32_to_usize(u32_at(bytes, BLOB_COUNT_AT)),
        };
        let whole = own && bytes.starts_with(&MAGIC) && head.is_possible(form, position);
        if whole { Ok(head) } else { Err(Bad::Head) }
    }

    fn is_possible(&self, form: &Form, position: Position) -> bool {
        let table = self.blob_count.saturating_mul(ROW_BYTES);
        let least = HEAD_BYTES.saturating_add(table).saturating_add(self.meta_bytes);
        position.get().is_multiple_of(ALIGN_BYTES)
            && self.frame_bytes.is_multiple_of(ALIGN_BYTES)
            && self.frame_bytes <= form.frame_bytes_max()
            && self.frame_bytes <= form.segment_bytes.left(position)
            && to_u64(least) <= self.frame_bytes
    }

    /// Checks a whole frame, as long as the head says, and gives it as a batch.
    pub(crate) fn batch(&self, form: &Form, position: Position, frame: Vec<u8>) -> Result<Batch, Bad> {
        let bad = Bad::Body { frame_bytes: self.frame_bytes };
        let own = u32_at(&frame, CRC_AT) == crc(form, position, &frame, CRC_FROM..frame.len());
        if !own || to_u64(frame.len()) != self.frame_bytes {
            return Err(bad);
        }
        let meta_at = HEAD_BYTES + self.blob_count * ROW_BYTES;
        let blobs_at = meta_at + self.meta_bytes;
        let rows = rows(&frame, self.blob_count, blobs_at).ok_or(bad)?;
        Ok(Batch {
            mark: Mark { position, batch_no: self.batch_no },
            next: Mark { position: position.plus(self.frame_bytes), batch_no: self.batch_no.next() },
            meta: meta_at..blobs_at,
            rows,
            frame,
        })
    }
}

/// The blob table; `None` if its rows do not fill the frame exactly.
fn rows(frame: &[u8], blob_count: usize, blobs_at: usize) -> Option<Vec<Row>> {
    let mut at = blobs_at;
    let mut rows = Vec::with_capacity(blob_count);
    for row in 0..blob_count {
        let row = frame.get(HEAD_BYTES + row * ROW_BYTES..)?;
        let end = at.checked_add(u32_to_usize(u32_at(row, 0)))?;
        let by = u64_at(row, ROW_ERASED_BY_AT);
        let erased_by = match u32_at(row, ROW_FLAGS_AT) {
            PRESENT if by == 0 => None,
            ERASED => Some(by),
            _ => return None,
        };
        rows.push(Row { bytes: at..end, erased_by });
        at = end;
    }
    let padding = frame.get(at..)?;
    (padding.len() < to_usize(ALIGN_BYTES) && crate::width::is_zero(padding)).then_some(rows)
}

/// Zeroes one blob and marks its row. The checksum is right again after [`reseal`].
pub(crate) fn erase(batch: &mut Batch, index: usize, by: u64) {
    let Some(row) = batch.rows.get_mut(index) else {
        return;
    };
    row.erased_by = Some(by);
    if let Some(bytes) = batch.frame.get_mut(row.bytes.clone()) {
        bytes.fill(0);
    }
    let row_at = HEAD_BYTES + index * ROW_BYTES;
    put(&mut batch.frame, row_at + ROW_FLAGS_AT, &ERASED.to_le_bytes());
    put(&mut batch.frame, row_at + ROW_ERASED_BY_AT, &by.to_le_bytes());
}

pub(crate) fn reseal(form: &Form, batch: &mut Batch) {
    seal(form, batch.mark.position, &mut batch.frame);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LogId, SegmentBytes, batch::Blob};

    fn form() -> Form {
        Form { log_id: LogId::new([5; 16]), segment_bytes: SegmentBytes::MIN }
    }

    fn decode(position: Position, frame: &[u8]) -> Result<Batch, Bad> {
        Head::check(&form(), position, &frame[..HEAD_BYTES])?.batch(&form(), position, frame.to_vec())
    }

    fn encoded(meta: &[u8], blobs: &[&[u8]]) -> Vec<u8> {
        let mut frame = Vec::new();
        encode(&form(), Mark::START, meta, blobs, &mut frame);
        frame
    }

    #[test]
    fn what_goes_in_comes_out() {
        let cases: [(&[u8], &[&[u8]]); 4] =
            [(b"", &[]), (b"meta", &[]), (b"", &[b"", b"x"]), (b"m", &[b"12345678", b"", b"9"])];
        for (meta, blobs) in cases {
            let frame = encoded(meta, blobs);
            let batch = decode(Mark::START.position, &frame).unwrap();
            assert_eq!(batch.meta(), meta);
            let read: Vec<_> = batch.blobs().collect();
            let given: Vec<_> = blobs.iter().map(|blob| Blob::Present(blob)).collect();
            assert_eq!(read, given);
            assert_eq!(to_u64(frame.len()), batch_bytes(meta.len(), blobs.iter().map(|b| b.len())));
        }
    }

    #[test]
    fn every_flipped_bit_is_seen() {
        let frame = encoded(b"meta", &[b"blob", b""]);
        for bit in 0..frame.len() * 8 {
            let mut flipped = frame.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(decode(Mark::START.position, &flipped).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn a_frame_is_good_at_its_own_position_only() {
        let frame = encoded(b"meta", &[]);
        let elsewhere = Mark::START.position.plus(8);
        assert_eq!(decode(elsewhere, &frame), Err(Bad::Head));
    }

    #[test]
    fn an_erased_blob_keeps_the_lengths() {
        let frame = encoded(b"meta", &[b"gone", b"kept"]);
        let mut batch = decode(Mark::START.position, &frame).unwrap();
        erase(&mut batch, 0, 77);
        reseal(&form(), &mut batch);
        let again = decode(Mark::START.position, &batch.frame).unwrap();
        assert_eq!(again.blob(0), Some(Blob::Erased { bytes: 4, by: 77 }));
        assert_eq!(again.blob(1), Some(Blob::Present(b"kept")));
        assert_eq!(again.next(), batch.next());
        assert!(!again.frame.windows(4).any(|part| part == b"gone"));
    }
}
