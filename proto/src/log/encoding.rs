//! How the C2SP text formats write lines, numbers and bytes: one way each, so that what parses also
//! renders back byte for byte. Not here: the formats themselves.

use base64::{Engine as _, engine::general_purpose::STANDARD};

use crate::{Malformed, digest::Digest, log::SIZE_MAX};

/// What is larger than one of our named limits.
pub(super) fn too_large(field: &'static str, limit: usize) -> Malformed {
    let limit = u64::try_from(limit).unwrap_or(u64::MAX);
    Malformed::TooLarge { field, limit }
}

/// The lines of a text in which every line ends in exactly one newline.
pub(super) fn lines<'t>(text: &'t str, field: &'static str) -> Result<std::str::Split<'t, char>, Malformed> {
    let unended = text.strip_suffix('\n').ok_or(Malformed::Form { field })?;
    Ok(unended.split('\n'))
}

/// A decimal number of ASCII digits up to [`SIZE_MAX`], without sign or leading zeros.
pub(super) fn parse_decimal(text: &str, field: &'static str) -> Result<u64, Malformed> {
    let malformed = Malformed::Form { field };
    let leading_zero = text.len() > 1 && text.starts_with('0');
    if leading_zero || !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(malformed);
    }
    match text.parse() {
        Ok(number) if number <= SIZE_MAX => Ok(number),
        Ok(_) | Err(_) => Err(malformed),
    }
}

/// Standard base64 with padding (RFC 4648 §4).
pub(super) fn base64(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Reads [`base64`], refusing a second spelling of the same bytes: padding and the unused bits of
/// the last digit must be what the encoder writes.
pub(super) fn parse_base64(text: &str, field: &'static str) -> Result<Vec<u8>, Malformed> {
    STANDARD.decode(text).map_err(|_| Malformed::Form { field })
}

/// Reads a hash in [`base64`].
pub(super) fn parse_digest(text: &str, field: &'static str) -> Result<Digest, Malformed> {
    Digest::parse(&parse_base64(text, field)?, field)
}
