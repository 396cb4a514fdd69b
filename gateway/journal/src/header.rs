//! The 64 bytes at the start of a segment file. Not here: frames.

use crate::{
    form::Form,
    log_id::LogId,
    position::{SegmentBytes, SegmentNo},
    width::{put, u32_at, u64_at},
};

/// Length of the header in bytes.
pub(crate) const SEGMENT_HEAD_BYTES: u64 = 64;

const LEN: usize = 64;
/// The last byte is the format's version.
const MAGIC: [u8; 8] = *b"RFJSEG\0\x01";
const SEGMENT_AT: usize = 8;
const SEGMENT_BYTES_AT: usize = 16;
const LOG_ID_AT: usize = 24;
const CRC_AT: usize = 60;

pub(crate) fn encode(form: &Form, segment: SegmentNo) -> [u8; LEN] {
    let mut head = [0; LEN];
    put(&mut head, 0, &MAGIC);
    put(&mut head, SEGMENT_AT, &segment.get().to_le_bytes());
    put(&mut head, SEGMENT_BYTES_AT, &form.segment_bytes.get().to_le_bytes());
    put(&mut head, LOG_ID_AT, form.log_id.bytes());
    let crc = crc32c::crc32c(head.get(..CRC_AT).unwrap_or_default());
    put(&mut head, CRC_AT, &crc.to_le_bytes());
    head
}

/// What a header says, if it is whole and lies in the file of its own segment.
pub(crate) fn decode(bytes: &[u8], segment: SegmentNo) -> Option<Form> {
    let log_id = bytes.get(LOG_ID_AT..)?.first_chunk::<{ LogId::BYTES }>()?;
    let form = Form {
        log_id: LogId::new(*log_id),
        segment_bytes: SegmentBytes::new(u64_at(bytes, SEGMENT_BYTES_AT))?,
    };
    let own = u32_at(bytes, CRC_AT) == crc32c::crc32c(bytes.get(..CRC_AT)?);
    // Reserved bytes are part of the comparison: what this version would not write, it does not read.
    (own && bytes.get(..LEN)? == encode(&form, segment)).then_some(form)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_seen() {
        let form = Form { log_id: LogId::new([9; 16]), segment_bytes: SegmentBytes::MIN };
        let head = encode(&form, SegmentNo::new(3));
        assert_eq!(decode(&head, SegmentNo::new(3)), Some(form));
        assert_eq!(decode(&head, SegmentNo::new(4)), None);
        for bit in 0..LEN * 8 {
            let mut flipped = head;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(decode(&flipped, SegmentNo::new(3)), None, "bit {bit}");
        }
    }
}
