//! How one certificate is named: by its serial number or the SHA-256 of its bytes. Not here: whom it is
//! for.

use std::{fmt, str::FromStr};

use aws_lc_rs::{digest, rand};

use crate::{
    error::{Fault, Malformed},
    text,
};

/// Length of the serial numbers that are given out, in bytes. Two bits are fixed; the other 126 are
/// random (the CA/Browser Forum asks for 64 at the least).
const SERIAL_BYTES: usize = 16;
/// Longest serial number that certificates may have, in bytes (RFC 5280, section 4.1.2.2).
const SERIAL_BYTES_MAX: usize = 20;

/// A certificate's serial number: 1 to 20 bytes, the first of which is not 0. Displayed in lower-case
/// hex.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Serial(Box<[u8]>);

impl Serial {
    pub(crate) fn random() -> Result<Self, Fault> {
        let mut bytes = [0; SERIAL_BYTES];
        rand::fill(&mut bytes).map_err(|_| Fault::Randomness)?;
        // Positive, and of the same length always.
        bytes[0] = bytes[0] & 0x7f | 0x40;
        Ok(Self(bytes.into()))
    }

    /// Reads a big-endian number as it stands in a certificate, leading zeros allowed.
    ///
    /// # Errors
    /// [`Malformed::Serial`] for zero or more than 20 bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, Malformed> {
        let start = bytes.iter().position(|byte| *byte != 0).ok_or(Malformed::Serial)?;
        let number = bytes.get(start..).unwrap_or_default();
        if number.len() <= SERIAL_BYTES_MAX { Ok(Self(number.into())) } else { Err(Malformed::Serial) }
    }

    /// The number, big-endian.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Display for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write_hex(f, &self.0)
    }
}

impl fmt::Debug for Serial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Serial {
    type Err = Malformed;

    /// Reads hex in either case, with or without colons, as other tools print it.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        text::read_hex(text).ok_or(Malformed::Serial).and_then(|bytes| Self::from_bytes(&bytes))
    }
}

/// The SHA-256 of a certificate's DER. Displayed in lower-case hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint([u8; 32]);

impl Fingerprint {
    /// Of a certificate in DER.
    #[must_use]
    pub fn of(der: &[u8]) -> Self {
        let mut bytes = [0; 32];
        bytes.copy_from_slice(digest::digest(&digest::SHA256, der).as_ref());
        Self(bytes)
    }

    /// The 32 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        text::write_hex(f, &self.0)
    }
}

impl fmt::Debug for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Fingerprint {
    type Err = Malformed;

    /// Reads hex in either case, with or without colons, as other tools print it.
    fn from_str(text: &str) -> Result<Self, Malformed> {
        let bytes = text::read_hex(text).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        bytes.map(Self).ok_or(Malformed::Fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn serials_are_read_as_tools_print_them() {
        let serial = Serial::random().unwrap();
        assert_eq!(serial.as_bytes().len(), SERIAL_BYTES);
        assert_eq!(serial.to_string().parse(), Ok(serial.clone()));
        assert_eq!(serial.to_string().to_uppercase().parse(), Ok(serial.clone()));
        assert_ne!(serial, Serial::random().unwrap());
        assert_eq!("00:0A:ff".parse::<Serial>().unwrap().to_string(), "0aff");
        for bad in ["", "0", "00", "0g", "a", ":", "::", "0a:", "-1", &"11".repeat(21)] {
            assert_eq!(bad.parse::<Serial>(), Err(Malformed::Serial), "{bad}");
        }
        assert!("11".repeat(20).parse::<Serial>().is_ok());
    }

    #[test]
    fn fingerprints_are_read_as_tools_print_them() {
        let fingerprint = Fingerprint::of(b"");
        let text = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(fingerprint.to_string(), text);
        assert_eq!(text.parse(), Ok(fingerprint));
        assert_eq!(text.to_uppercase().parse(), Ok(fingerprint));
        assert_eq!(text[2..].parse::<Fingerprint>(), Err(Malformed::Fingerprint));
    }
}
