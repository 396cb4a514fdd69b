//! A run: rows of consecutive batches in one file that never changes, found in place by binary
//! search, so that history costs disk and no memory. Not here: which runs there are, and what the
//! rows mean.
//!
//! Integers are little-endian. The file is a header of 4096 bytes, its blocks, and its filter, back to
//! back. Every block, of either sort, has a checksum that begins with the run's *seed*: the CRC-32C of
//! the header's bytes 12–79. What is damaged is noticed when it is read, and never taken for an
//! answer.
//!
//! | offset | bytes | header |
//! | --- | --- | --- |
//! | 0 | 8 | `RFIRUN\0\x01`; the last byte is the version |
//! | 8 | 4 | CRC-32C of bytes 12–4095 |
//! | 12 | 4 | level: how often its rows were merged |
//! | 16 | 16 | from: position and batch number |
//! | 32 | 16 | to: position and batch number |
//! | 48 | 32 | root of the evidence log as the last batch names it, or zeros |
//! | 80 | 8 | rows |
//! | 88 | 8 | blocks of rows |
//! | 96 | 8 | names in the filter |
//! | 104 | 8 | blocks of the filter |
//! | 112 | 16 | the least envelope id |
//! | 128 | 16 | the greatest envelope id; below the least when there is none |
//! | 144 | | zeros |

mod block;
mod filter;
mod making;
mod stream;

use block::{BLOCK_BYTES, RowRef};
use filter::{FILTER_BLOCK_BYTES, Place};
use journal::{BatchNo, Mark, Position, Volume, WholeFile};
use proto::digest::Digest;

pub(crate) use making::RunMaking;
pub(crate) use stream::Stream;

use super::{
    key::{self, ID_BYTES},
    rows::{Coverage, Row, RowsFault, Sorted},
};

/// The last byte is the format's version.
const MAGIC: [u8; 8] = *b"RFIRUN\0\x01";
const HEADER_BYTES: usize = 4096;
const CRC_AT: usize = 8;
const CRC_FROM: usize = 12;
const LEVEL_AT: usize = 12;
const WORDS_AT: usize = 16;
const ROOT_AT: usize = 48;
const COUNTS_AT: usize = 80;
const IDS_AT: usize = 112;
const SEEDED_TO: usize = 80;

/// What a run's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) level: u32,
    pub(crate) covers: Coverage,
    pub(crate) rows: u64,
    pub(crate) names: u64,
    blocks: u64,
    filter_blocks: u64,
    least_id: [u8; ID_BYTES],
    greatest_id: [u8; ID_BYTES],
}

impl Head {
    const fn new(level: u32, covers: Coverage) -> Self {
        let (least_id, greatest_id) = ([u8::MAX; ID_BYTES], [0; ID_BYTES]);
        Self { level, covers, rows: 0, names: 0, blocks: 0, filter_blocks: 0, least_id, greatest_id }
    }

    fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEADER_BYTES);
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&[0; CRC_FROM - CRC_AT]);
        bytes.extend_from_slice(&self.level.to_le_bytes());
        for mark in [self.covers.from, self.covers.to] {
            bytes.extend_from_slice(&mark.position.get().to_le_bytes());
            bytes.extend_from_slice(&mark.batch_no.get().to_le_bytes());
        }
        bytes.extend_from_slice(self.covers.root.as_bytes());
        for count in [self.rows, self.blocks, self.names, self.filter_blocks] {
            bytes.extend_from_slice(&count.to_le_bytes());
        }
        bytes.extend_from_slice(&self.least_id);
        bytes.extend_from_slice(&self.greatest_id);
        bytes.resize(HEADER_BYTES, 0);
        let crc = crc32c::crc32c(bytes.get(CRC_FROM..).unwrap_or_default());
        if let Some(place) = bytes.get_mut(CRC_AT..CRC_FROM) {
            place.copy_from_slice(&crc.to_le_bytes());
        }
        bytes
    }

    fn decode(bytes: &[u8]) -> Option<Self> {
        let crc = u32::from_le_bytes(*bytes.get(CRC_AT..)?.first_chunk()?);
        let whole = bytes.starts_with(&MAGIC)
            && bytes.len() == HEADER_BYTES
            && crc == crc32c::crc32c(bytes.get(CRC_FROM..)?);
        if !whole {
            return None;
        }
        let word = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let mark =
            |at| Some(Mark { position: Position::new(word(at)?), batch_no: BatchNo::new(word(at + 8)?) });
        let covers = Coverage {
            from: mark(WORDS_AT)?,
            to: mark(WORDS_AT + 16)?,
            root: Digest(*bytes.get(ROOT_AT..)?.first_chunk()?),
        };
        Some(Self {
            level: u32::from_le_bytes(*bytes.get(LEVEL_AT..)?.first_chunk()?),
            covers,
            rows: word(COUNTS_AT)?,
            blocks: word(COUNTS_AT + 8)?,
            names: word(COUNTS_AT + 16)?,
            filter_blocks: word(COUNTS_AT + 24)?,
            least_id: *bytes.get(IDS_AT..)?.first_chunk()?,
            greatest_id: *bytes.get(IDS_AT + ID_BYTES..)?.first_chunk()?,
        })
    }

    /// What every checksum of the run begins with.
    fn seed(&self) -> u32 {
        crc32c::crc32c(self.encode().get(CRC_FROM..SEEDED_TO).unwrap_or_default())
    }

    fn filter_at(&self) -> u64 {
        block_at(self.blocks)
    }

    fn file_bytes(&self) -> Option<u64> {
        let blocks = self.blocks.checked_mul(to_u64(BLOCK_BYTES))?;
        let filter = self.filter_blocks.checked_mul(to_u64(FILTER_BLOCK_BYTES))?;
        to_u64(HEADER_BYTES).checked_add(blocks)?.checked_add(filter)
    }
}

fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

fn block_at(number: u64) -> u64 {
    number.saturating_mul(to_u64(BLOCK_BYTES)).saturating_add(to_u64(HEADER_BYTES))
}

/// A run, opened: its head in memory, all else on the disk.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) head: Head,
    seed: u32,
    file: WholeFile,
}

impl Run {
    /// Opens a run and checks its head and its length.
    ///
    /// # Errors
    /// [`RowsFault`]: it is not there, not whole, or of another version.
    pub(crate) fn open(volume: &Volume, name: &str) -> Result<Self, RowsFault> {
        let file = volume.open(name)?.ok_or(RowsFault)?;
        let mut bytes = vec![0; HEADER_BYTES];
        let read = file.read_at(0, &mut bytes)?;
        let head = Head::decode(bytes.get(..read).unwrap_or_default()).ok_or(RowsFault)?;
        let whole = head.file_bytes() == Some(file.bytes()?) && head.blocks > 0 && head.filter_blocks > 0;
        if whole { Ok(Self { seed: head.seed(), head, file }) } else { Err(RowsFault) }
    }

    /// The name of the file.
    pub(crate) fn name(head: &Head) -> String {
        let Coverage { from, to, .. } = head.covers;
        format!("{NAME}{:016x}-{:016x}", from.batch_no.get(), to.batch_no.get())
    }

    /// The value of a key that has a name.
    ///
    /// # Errors
    /// [`RowsFault`]: damaged.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RowsFault> {
        let outside =
            key::envelope_id(key).is_some_and(|id| id < self.head.least_id || id > self.head.greatest_id);
        if outside || !self.may_hold(key)? {
            return Ok(None);
        }
        let mut buffer = Buffer::default();
        let (_, rows) = self.seek(key, &mut buffer)?;
        Ok(rows.clone().find(|(found, _)| *found == key).map(|(_, value)| value.to_vec()))
    }

    /// Takes rows from a key on, as long as their keys begin so, and `most` at the most.
    ///
    /// # Errors
    /// [`RowsFault`]: damaged.
    pub(crate) fn scan(
        &self,
        from: &[u8],
        prefix: &[u8],
        most: usize,
        into: &mut Sorted,
    ) -> Result<(), RowsFault> {
        if !self.may_hold_prefix(prefix)? {
            return Ok(());
        }
        let mut buffer = Buffer::default();
        let (mut number, _) = self.seek(from, &mut buffer)?;
        let mut taken = 0;
        while number < self.head.blocks {
            for (key, value) in self.block(number, &mut buffer)?.skip_while(|(key, _)| *key < from) {
                if !key.starts_with(prefix) || taken == most {
                    return Ok(());
                }
                into.insert(key.to_vec(), value.to_vec());
                taken += 1;
            }
            number += 1;
        }
        Ok(())
    }

    /// The last row whose key is at or before one.
    ///
    /// # Errors
    /// [`RowsFault`]: damaged.
    pub(crate) fn at_or_before(&self, key: &[u8]) -> Result<Option<Row>, RowsFault> {
        let mut buffer = Buffer::default();
        let (_, rows) = self.seek(key, &mut buffer)?;
        let row = rows.take_while(|(found, _)| *found <= key).last();
        Ok(row.map(|(key, value)| (key.to_vec(), value.to_vec())))
    }

    /// Whether a name may be in it. What has no name may.
    fn may_hold(&self, name: &[u8]) -> Result<bool, RowsFault> {
        let place = Place::of(name, self.head.filter_blocks);
        let mut bytes = [0; FILTER_BLOCK_BYTES];
        let at = self.head.filter_at() + place.block * to_u64(FILTER_BLOCK_BYTES);
        self.read_whole(at, &mut bytes)?;
        place.is_in(self.seed, &bytes)
    }

    /// Whether rows that begin so may be in it: a referral's prefix is its name.
    fn may_hold_prefix(&self, prefix: &[u8]) -> Result<bool, RowsFault> {
        if key::is_referral(prefix) { self.may_hold(prefix) } else { Ok(true) }
    }

    /// The last block that begins at or before a key; the first one, when none does.
    fn seek<'b>(&self, key: &[u8], buffer: &'b mut Buffer) -> Result<(u64, block::RowsOf<'b>), RowsFault> {
        let (mut low, mut high) = (0, self.head.blocks);
        // Invariant: block `low` begins at or before the key, or is the first; block `high` after it.
        while high - low > 1 {
            let middle = low + (high - low) / 2;
            let (first, _) = self.block(middle, buffer)?.next().ok_or(RowsFault)?;
            if first <= key {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok((low, self.block(low, buffer)?))
    }

    fn block<'b>(&self, number: u64, buffer: &'b mut Buffer) -> Result<block::RowsOf<'b>, RowsFault> {
        buffer.0.resize(BLOCK_BYTES, 0);
        self.read_whole(block_at(number), &mut buffer.0)?;
        block::check(self.seed, number, &buffer.0)
    }

    fn read_whole(&self, at: u64, into: &mut [u8]) -> Result<(), RowsFault> {
        let read = self.file.read_at(at, into)?;
        if read == into.len() { Ok(()) } else { Err(RowsFault) }
    }
}

/// What the names of runs begin with.
pub(crate) const NAME: &str = "run-";

/// The bytes of one block, used again for the next.
#[derive(Debug, Default)]
struct Buffer(Vec<u8>);

#[cfg(test)]
mod tests;
