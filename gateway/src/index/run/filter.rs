//! A filter of names: most names that a run does not hold cost one short read, and no memory. A
//! blocked Bloom filter; each block has a checksum of its own, since a lost bit would make something
//! known look new. Not here: which names.
//!
//! | offset | bytes | field of a block |
//! | --- | --- | --- |
//! | 0 | 4 | CRC-32C, begun with the run's seed, of the block's number (u64) and bytes 4–63 |
//! | 4 | 60 | 480 bits, the lowest of each byte first |
//!
//! Of a name's SHA-256, bytes 0–7 (little-endian, modulo the blocks) choose the block; the seven
//! 16-bit numbers behind them (modulo 480) the bits.

use proto::digest::Digest;

use crate::index::rows::RowsFault;

/// Length of a block: that of a cache line.
pub(super) const FILTER_BLOCK_BYTES: usize = 64;

const CRC_BYTES: usize = 4;
const BITS: u16 = 480;
/// Names of a block, on the average: twelve bits for each.
const NAMES: u64 = 40;
const BITS_OF_A_NAME: usize = 7;

/// How many blocks a filter of so many names has.
pub(super) const fn blocks_for(names: u64) -> u64 {
    if names == 0 { 1 } else { names.div_ceil(NAMES) }
}

/// Where a name is looked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) block: u64,
    bits: [u16; BITS_OF_A_NAME],
}

impl Place {
    /// The place of a name in a filter of so many blocks, which are not none.
    pub(super) fn of(name: &[u8], blocks: u64) -> Self {
        let digest = Digest::of(name);
        let (first, rest) = digest.as_bytes().split_at(8);
        let number = first.first_chunk().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        let (words, _) = rest.as_chunks::<2>();
        let mut bits = [0; BITS_OF_A_NAME];
        for (bit, word) in bits.iter_mut().zip(words) {
            *bit = u16::from_le_bytes(*word) % BITS;
        }
        Self { block: number % blocks.max(1), bits }
    }

    /// Whether the block may hold the name.
    pub(super) fn is_in(&self, seed: u32, block: &[u8]) -> Result<bool, RowsFault> {
        let (own, bits) = block.split_first_chunk::<CRC_BYTES>().ok_or(RowsFault)?;
        if u32::from_le_bytes(*own) != crc(seed, self.block, bits) {
            return Err(RowsFault);
        }
        let is_set =
            |bit: &u16| bits.get(usize::from(bit / 8)).is_some_and(|byte| byte >> (bit % 8) & 1 == 1);
        Ok(self.bits.iter().all(is_set))
    }
}

fn crc(seed: u32, number: u64, bits: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c_append(seed, &number.to_le_bytes()), bits)
}

/// A filter that is being made.
#[derive(Debug)]
pub(super) struct Filter {
    blocks: u64,
    bytes: Vec<u8>,
}

impl Filter {
    /// An empty filter for so many names.
    pub(super) fn new(names: u64) -> Self {
        let blocks = blocks_for(names);
        let bytes = usize::try_from(blocks).unwrap_or(usize::MAX).saturating_mul(FILTER_BLOCK_BYTES);
        Self { blocks, bytes: vec![0; bytes] }
    }

    pub(super) fn insert(&mut self, name: &[u8]) {
        let place = Place::of(name, self.blocks);
        let (blocks, _) = self.bytes.as_chunks_mut::<FILTER_BLOCK_BYTES>();
        let Some(block) = usize::try_from(place.block).ok().and_then(|block| blocks.get_mut(block)) else {
            return;
        };
        for bit in place.bits {
            if let Some(byte) = block.get_mut(CRC_BYTES + usize::from(bit / 8)) {
                *byte |= 1 << (bit % 8);
            }
        }
    }

    /// The bytes on disk.
    pub(super) fn seal(mut self, seed: u32) -> Vec<u8> {
        let (blocks, _) = self.bytes.as_chunks_mut::<FILTER_BLOCK_BYTES>();
        for (number, block) in (0..).zip(blocks) {
            let (own, bits) = block.split_at_mut(CRC_BYTES);
            own.copy_from_slice(&crc(seed, number, bits).to_le_bytes());
        }
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(number: u64) -> [u8; 8] {
        number.to_be_bytes()
    }

    fn is_in(filter: &[u8], name: &[u8]) -> bool {
        let (blocks, rest) = filter.as_chunks::<FILTER_BLOCK_BYTES>();
        assert!(rest.is_empty());
        let place = Place::of(name, u64::try_from(blocks.len()).unwrap());
        place.is_in(3, &blocks[usize::try_from(place.block).unwrap()]).unwrap()
    }

    #[test]
    fn what_is_in_is_always_found_and_few_others_are() {
        let mut filter = Filter::new(20_000);
        (0..20_000).for_each(|number| filter.insert(&name(number)));
        let filter = filter.seal(3);
        assert!((0..20_000).all(|number| is_in(&filter, &name(number))));
        let false_ones = (20_000..120_000).filter(|number| is_in(&filter, &name(*number))).count();
        assert!(false_ones < 1500, "{false_ones} of 100,000");
    }

    #[test]
    fn a_lost_bit_is_noticed() {
        let mut filter = Filter::new(1);
        filter.insert(&name(1));
        let bytes = filter.seal(3);
        let place = Place::of(&name(1), 1);
        assert_eq!(place.is_in(3, &bytes), Ok(true));
        for bit in 0..FILTER_BLOCK_BYTES * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(place.is_in(3, &damaged), Err(RowsFault), "bit {bit}");
        }
    }
}
