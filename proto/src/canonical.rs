//! Reading messages that are kept or signed: one encoding only, within limits. Not here: what the
//! fields mean.

use prost::Message;

use crate::Malformed;

/// Decodes a message and refuses every encoding of it but the canonical one. What the gateway keeps
/// may hold nothing that the definitions do not name: an unknown field could carry a person's name.
pub(crate) fn decode<M: Message + Default>(bytes: &[u8], message: &'static str) -> Result<M, Malformed> {
    let Ok(decoded) = M::decode(bytes) else {
        return Err(Malformed::Protobuf { message });
    };
    if decoded.encoded_len() != bytes.len() || decoded.encode_to_vec() != bytes {
        return Err(Malformed::NotCanonical { message });
    }
    Ok(decoded)
}

/// A count as a limit's unit.
pub(crate) fn count(value: usize) -> u64 {
    u64::try_from(value).unwrap_or(u64::MAX)
}

/// Refuses what is larger than its limit.
pub(crate) fn limit(value: usize, limit: u64, field: &'static str) -> Result<(), Malformed> {
    if count(value) > limit { Err(Malformed::TooLarge { field, limit }) } else { Ok(()) }
}

/// Refuses a text that is too long, or holds control or direction-changing characters, which could
/// make it read as something else.
pub(crate) fn text(value: &str, bytes_max: u64, field: &'static str) -> Result<(), Malformed> {
    limit(value.len(), bytes_max, field)?;
    let unreadable = |c: char| {
        c.is_control()
            || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
    };
    if value.chars().any(unreadable) { Err(Malformed::Form { field }) } else { Ok(()) }
}
