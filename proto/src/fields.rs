//! Fields of a message, written from what is borrowed: for what is encoded many thousand times a second,
//! where making the message first would copy all of it. The bytes are those of the generated messages.
//! Not here: reading.

use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use crate::canonical::count;

/// A number; left out when it is 0.
pub(crate) fn number(tag: u32, value: u64, out: &mut Vec<u8>) {
    if value != 0 {
        encode_key(tag, WireType::Varint, out);
        encode_varint(value, out);
    }
}

/// A value of a closed list, whose numbers are not negative.
pub(crate) fn listed(tag: u32, value: i32, out: &mut Vec<u8>) {
    number(tag, value.unsigned_abs().into(), out);
}

/// Bytes or a text; left out when there are none.
pub(crate) fn bytes(tag: u32, value: &[u8], out: &mut Vec<u8>) {
    if !value.is_empty() {
        item(tag, value, out);
    }
}

/// One of a list of bytes or texts, or a message that is encoded already.
pub(crate) fn item(tag: u32, value: &[u8], out: &mut Vec<u8>) {
    head(tag, value.len(), out);
    out.extend_from_slice(value);
}

/// What stands before a message of this length.
pub(crate) fn head(tag: u32, length: usize, out: &mut Vec<u8>) {
    encode_key(tag, WireType::LengthDelimited, out);
    encode_varint(count(length), out);
}

/// The length of a [`number`].
pub(crate) fn number_len(tag: u32, value: u64) -> usize {
    if value == 0 { 0 } else { key_len(tag).saturating_add(encoded_len_varint(value)) }
}

/// The length of [`bytes`].
pub(crate) fn bytes_len(tag: u32, value: &[u8]) -> usize {
    if value.is_empty() {
        return 0;
    }
    let head = key_len(tag).saturating_add(encoded_len_varint(count(value.len())));
    head.saturating_add(value.len())
}
