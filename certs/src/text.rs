//! Text forms of bytes: hex and PEM. Not here: what the bytes mean.

use std::fmt;

use rustls_pki_types::pem::{PemObject as _, SectionKind};

use crate::error::Malformed;

/// Longest hex text that is read, in bytes.
const HEX_BYTES_MAX: usize = 128;

pub(crate) fn write_hex(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
}

/// Hex in either case; colons between bytes are allowed.
pub(crate) fn read_hex(text: &str) -> Option<Vec<u8>> {
    if text.len() > HEX_BYTES_MAX {
        return None;
    }
    if text.contains(':') {
        return text.split(':').map(|pair| if pair.len() == 2 { read_byte(pair) } else { None }).collect();
    }
    if !text.is_ascii() || text.is_empty() {
        return None;
    }
    text.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).ok().and_then(read_byte)).collect()
}

fn read_byte(pair: &str) -> Option<u8> {
    let hex = pair.len() == 2 && pair.bytes().all(|b| b.is_ascii_hexdigit());
    if hex { u8::from_str_radix(pair, 16).ok() } else { None }
}

/// One PEM section, with line feeds.
pub(crate) fn write_pem(kind: &str, der: &[u8]) -> String {
    let config = pem::EncodeConfig::new().set_line_ending(pem::LineEnding::LF);
    pem::encode_config(&pem::Pem::new(kind, der), config)
}

/// The DER of every section of this kind in a PEM text. Other sections are an error, not left out: a
/// private key pasted into a request must be noticed.
pub(crate) fn read_pem(
    text: &[u8],
    wanted: SectionKind,
    malformed: &Malformed,
) -> Result<Vec<Vec<u8>>, Malformed> {
    let mut found = Vec::new();
    for section in <(SectionKind, Vec<u8>)>::pem_slice_iter(text) {
        match section {
            Ok((kind, der)) if kind == wanted => found.push(der),
            Ok(_) | Err(_) => return Err(malformed.clone()),
        }
    }
    if found.is_empty() { Err(malformed.clone()) } else { Ok(found) }
}

/// Whether bytes are DER of a sequence, rather than text.
pub(crate) fn is_der(bytes: &[u8]) -> bool {
    bytes.first() == Some(&0x30)
}
