//! Writing a run, row by row in their order. Not here: where the rows come from.

use journal::{Making, Volume};

use super::{
    BLOCK_BYTES, Head, Run,
    block::Filling,
    filter::{Filter, blocks_for},
    key, to_u64,
};
use crate::index::rows::{Coverage, RowsFault};

/// How many bytes are written at a time.
const WRITE_BYTES: usize = 64 * BLOCK_BYTES;

/// A run in the making. Dropped before it is finished, it leaves nothing.
#[derive(Debug)]
pub(crate) struct RunMaking {
    volume: Volume,
    name: String,
    making: Making,
    head: Head,
    seed: u32,
    filling: Filling,
    filter: Filter,
    /// The name that was put into the filter last.
    last_name: Vec<u8>,
    closed: Vec<u8>,
    offset: u64,
}

impl RunMaking {
    /// Begins a run of these batches. `names` is not below the number of names that its rows have.
    ///
    /// # Errors
    /// [`RowsFault`]: the disk's.
    pub(crate) fn new(volume: &Volume, level: u32, covers: Coverage, names: u64) -> Result<Self, RowsFault> {
        let head = Head::new(level, covers);
        let name = Run::name(&head);
        Ok(Self {
            making: volume.make(&name)?,
            volume: volume.clone(),
            name,
            seed: head.seed(),
            head: Head { filter_blocks: blocks_for(names), ..head },
            filling: Filling::new(),
            filter: Filter::new(names),
            last_name: Vec::new(),
            closed: Vec::with_capacity(WRITE_BYTES),
            offset: super::block_at(0),
        })
    }

    /// Puts a row behind the others.
    ///
    /// # Errors
    /// [`RowsFault`]: the disk's, or a row that is too long.
    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) -> Result<(), RowsFault> {
        if !self.filling.has_room(key, value) {
            self.close_block()?;
        }
        self.filling.push(key, value)?;
        self.head.rows += 1;
        if let Some(id) = key::envelope_id(key) {
            self.head.least_id = self.head.least_id.min(id);
            self.head.greatest_id = self.head.greatest_id.max(id);
        }
        // Rows of one name stand together.
        if let Some(name) = key::name(key).filter(|name| *name != self.last_name) {
            self.filter.insert(name);
            self.head.names += 1;
            self.last_name.clear();
            self.last_name.extend_from_slice(name);
        }
        Ok(())
    }

    /// Puts the run in place, durably, and opens it.
    ///
    /// # Errors
    /// [`RowsFault`]: the disk's.
    pub(crate) fn finish(mut self) -> Result<Run, RowsFault> {
        if !self.filling.is_empty() {
            self.close_block()?;
        }
        self.write()?;
        self.making.write_at(self.offset, &self.filter.seal(self.seed))?;
        self.making.write_at(0, &self.head.encode())?;
        self.making.finish()?;
        Run::open(&self.volume, &self.name)
    }

    fn close_block(&mut self) -> Result<(), RowsFault> {
        self.filling.close(self.seed, self.head.blocks, &mut self.closed);
        self.head.blocks += 1;
        if self.closed.len() >= WRITE_BYTES { self.write() } else { Ok(()) }
    }

    fn write(&mut self) -> Result<(), RowsFault> {
        self.making.write_at(self.offset, &self.closed)?;
        self.offset += to_u64(self.closed.len());
        self.closed.clear();
        Ok(())
    }
}
