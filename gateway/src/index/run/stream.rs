//! Reading a run from its first row to its last, for merging. Not here: finding a row.

use std::sync::Arc;

use super::{BLOCK_BYTES, RowRef, Run, block, block_at};
use crate::index::rows::RowsFault;

/// How many blocks are read at a time.
const BLOCKS: u64 = 16;

/// The rows of a run, one after the other.
#[derive(Debug)]
pub(crate) struct Stream {
    run: Arc<Run>,
    /// Blocks that were read, and the number of the first.
    bytes: Vec<u8>,
    first: u64,
    /// The block at hand, and the place of its row at hand.
    number: u64,
    place: usize,
    rows: Vec<(std::ops::Range<usize>, std::ops::Range<usize>)>,
}

impl Stream {
    /// At the first row.
    ///
    /// # Errors
    /// [`RowsFault`]: damaged.
    pub(crate) fn new(run: Arc<Run>) -> Result<Self, RowsFault> {
        let mut stream = Self { run, bytes: Vec::new(), first: 0, number: 0, place: 0, rows: Vec::new() };
        stream.load()?;
        Ok(stream)
    }

    /// Whose rows these are.
    pub(crate) const fn run(&self) -> &Arc<Run> {
        &self.run
    }

    /// The row at hand; none behind the last.
    pub(crate) fn row(&self) -> Option<RowRef<'_>> {
        let (key, value) = self.rows.get(self.place)?;
        Some((self.bytes.get(key.clone())?, self.bytes.get(value.clone())?))
    }

    /// Goes to the next row.
    ///
    /// # Errors
    /// [`RowsFault`]: damaged.
    pub(crate) fn advance(&mut self) -> Result<(), RowsFault> {
        self.place += 1;
        if self.place < self.rows.len() {
            return Ok(());
        }
        self.number += 1;
        self.load()
    }

    fn load(&mut self) -> Result<(), RowsFault> {
        self.place = 0;
        self.rows.clear();
        let blocks = self.run.head.blocks;
        if self.number >= blocks {
            return Ok(());
        }
        if self.number.is_multiple_of(BLOCKS) {
            let count = usize::try_from(BLOCKS.min(blocks - self.number)).map_err(|_| RowsFault)?;
            self.bytes.resize(count * BLOCK_BYTES, 0);
            self.first = self.number;
            self.run.read_whole(block_at(self.number), &mut self.bytes)?;
        }
        let at = usize::try_from(self.number - self.first).map_err(|_| RowsFault)? * BLOCK_BYTES;
        let bytes = self.bytes.get(at..at + BLOCK_BYTES).ok_or(RowsFault)?;
        // Rows stand back to back behind the block's first bytes.
        let mut offset = at + block::ROWS_AT;
        for (key, value) in block::check(self.run.seed, self.number, bytes)? {
            let value_at = offset + 2 + key.len();
            self.rows.push((offset + 2..value_at, value_at..value_at + value.len()));
            offset = value_at + value.len();
        }
        if self.rows.is_empty() { Err(RowsFault) } else { Ok(()) }
    }
}
