//! A block of a run: rows in order, in a fixed number of bytes under a checksum of its own. Not here:
//! which blocks there are.
//!
//! | offset | bytes | field |
//! | --- | --- | --- |
//! | 0 | 4 | CRC-32C, begun with the run's seed, of the block's number (u64) and bytes 4–4095 |
//! | 4 | 2 | rows |
//! | 6 | | each row: length of key (u8), length of value (u8), key, value |
//! | | | zeros |

use crate::index::rows::RowsFault;

/// Length of a block.
pub(super) const BLOCK_BYTES: usize = 4096;

const CRC_BYTES: usize = 4;
pub(super) const ROWS_AT: usize = 6;

/// A key and its value, where they lie.
pub(super) type RowRef<'a> = (&'a [u8], &'a [u8]);

fn crc(seed: u32, number: u64, bytes: &[u8]) -> u32 {
    let crc = crc32c::crc32c_append(seed, &number.to_le_bytes());
    crc32c::crc32c_append(crc, bytes.get(CRC_BYTES..).unwrap_or_default())
}

/// The rows of a block whose checksum is right.
pub(super) fn check(seed: u32, number: u64, bytes: &[u8]) -> Result<RowsOf<'_>, RowsFault> {
    let ([a, b, c, d, e, f], rows) = bytes.split_first_chunk::<ROWS_AT>().ok_or(RowsFault)?;
    if u32::from_le_bytes([*a, *b, *c, *d]) != crc(seed, number, bytes) {
        return Err(RowsFault);
    }
    Ok(RowsOf { left: u16::from_le_bytes([*e, *f]), bytes: rows })
}

/// The rows of a block, in order.
#[derive(Debug, Clone, Copy)]
pub(super) struct RowsOf<'a> {
    left: u16,
    bytes: &'a [u8],
}

impl<'a> Iterator for RowsOf<'a> {
    type Item = RowRef<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let ([key, value], rest) = self.bytes.split_first_chunk::<2>()?;
        let (key, rest) = rest.split_at_checked(usize::from(*key))?;
        let (value, rest) = rest.split_at_checked(usize::from(*value))?;
        self.bytes = rest;
        Some((key, value))
    }
}

/// A block that is being filled.
#[derive(Debug)]
pub(super) struct Filling {
    bytes: Vec<u8>,
    rows: u16,
}

impl Filling {
    pub(super) fn new() -> Self {
        let mut bytes = Vec::with_capacity(BLOCK_BYTES);
        bytes.resize(ROWS_AT, 0);
        Self { bytes, rows: 0 }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rows == 0
    }

    pub(super) const fn has_room(&self, key: &[u8], value: &[u8]) -> bool {
        self.bytes.len() + 2 + key.len() + value.len() <= BLOCK_BYTES
    }

    /// Puts a row behind the others; there must be room for it.
    pub(super) fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), RowsFault> {
        let length = |field: &[u8]| u8::try_from(field.len()).map_err(|_| RowsFault);
        self.bytes.extend_from_slice(&[length(key)?, length(value)?]);
        self.bytes.extend_from_slice(key);
        self.bytes.extend_from_slice(value);
        self.rows += 1;
        Ok(())
    }

    /// Closes the block as the one of this number, and begins the next.
    pub(super) fn close(&mut self, seed: u32, number: u64, into: &mut Vec<u8>) {
        self.bytes.resize(BLOCK_BYTES, 0);
        put(&mut self.bytes, CRC_BYTES, &self.rows.to_le_bytes());
        let crc = crc(seed, number, &self.bytes);
        put(&mut self.bytes, 0, &crc.to_le_bytes());
        into.extend_from_slice(&self.bytes);
        self.bytes.truncate(ROWS_AT);
        self.rows = 0;
    }
}

fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at + value.len()) {
        place.copy_from_slice(value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_gives_what_was_put_and_any_other_byte_is_noticed() {
        let mut filling = Filling::new();
        let (long, longest) = ([7; 200], [8; 255]);
        let rows: Vec<RowRef<'_>> = vec![(b"a", b""), (b"b", &long), (&longest, &longest)];
        for (key, value) in &rows {
            assert!(filling.has_room(key, value));
            filling.push(key, value).unwrap();
        }
        assert!(!filling.has_room(&[0; 2048], &[0; 2048]));
        assert_eq!(filling.push(b"", &[0; 256]), Err(RowsFault));
        let mut bytes = Vec::new();
        filling.close(5, 9, &mut bytes);
        assert_eq!(bytes.len(), BLOCK_BYTES);
        assert!(filling.is_empty());
        assert_eq!(check(5, 9, &bytes).unwrap().collect::<Vec<_>>(), rows);
        assert!(check(5, 8, &bytes).is_err(), "a block in another's place");
        assert!(check(4, 9, &bytes).is_err(), "a block of another run");
        for at in 0..BLOCK_BYTES {
            bytes[at] ^= 0x10;
            assert!(check(5, 9, &bytes).is_err(), "byte {at}");
            bytes[at] ^= 0x10;
        }
    }

    #[test]
    fn a_full_block_has_no_room() {
        let mut filling = Filling::new();
        let mut rows = 0;
        while filling.has_room(&[1; 14], &[2; 25]) {
            filling.push(&[1; 14], &[2; 25]).unwrap();
            rows += 1;
        }
        assert_eq!(rows, (BLOCK_BYTES - ROWS_AT) / 41);
        let mut bytes = Vec::new();
        filling.close(0, 0, &mut bytes);
        assert_eq!(check(0, 0, &bytes).unwrap().count(), rows);
    }
}
