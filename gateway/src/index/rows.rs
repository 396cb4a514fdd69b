//! The key-value store under the index, and its twin in memory. Not here: what the rows mean.

use std::collections::BTreeMap;

use journal::{BatchNo, Position};

/// A key and its value.
pub type Row = (Vec<u8>, Vec<u8>);

/// How far the rows go: all batches before this place.
pub type Watermark = (Position, BatchNo);

/// The store failed, or what it says cannot be trusted. There is nothing to mend: set it aside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowsFault;

/// An ordered key-value store that may lose everything: what it forgets is written again. Rows and
/// watermark are written together, so that it never claims more than it holds.
pub trait Rows {
    /// The value of a key.
    ///
    /// # Errors
    /// [`RowsFault`].
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RowsFault>;

    /// All rows whose keys begin so, in order.
    ///
    /// # Errors
    /// [`RowsFault`].
    fn scan(&self, prefix: &[u8]) -> Result<Vec<Row>, RowsFault>;

    /// How far it goes; nothing when it is empty.
    ///
    /// # Errors
    /// [`RowsFault`].
    fn watermark(&self) -> Result<Option<Watermark>, RowsFault>;

    /// Writes rows and the watermark, together or not at all.
    ///
    /// # Errors
    /// [`RowsFault`].
    fn write(&mut self, rows: Vec<Row>, watermark: Watermark) -> Result<(), RowsFault>;

    /// Begins anew, empty. What was there is kept aside for people to look at.
    fn set_aside(&mut self);
}

/// The twin in memory.
#[derive(Debug, Clone, Default)]
pub struct MemoryRows {
    rows: BTreeMap<Vec<u8>, Vec<u8>>,
    watermark: Option<Watermark>,
    /// When set, every call fails until it is set aside.
    pub broken: bool,
}

impl MemoryRows {
    fn check(&self) -> Result<(), RowsFault> {
        if self.broken { Err(RowsFault) } else { Ok(()) }
    }
}

impl Rows for MemoryRows {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RowsFault> {
        self.check()?;
        Ok(self.rows.get(key).cloned())
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Row>, RowsFault> {
        self.check()?;
        let rows = self.rows.range(prefix.to_vec()..).take_while(|(key, _)| key.starts_with(prefix));
        Ok(rows.map(|(key, value)| (key.clone(), value.clone())).collect())
    }

    fn watermark(&self) -> Result<Option<Watermark>, RowsFault> {
        self.check()?;
        Ok(self.watermark)
    }

    fn write(&mut self, rows: Vec<Row>, watermark: Watermark) -> Result<(), RowsFault> {
        self.check()?;
        self.rows.extend(rows);
        self.watermark = Some(watermark);
        Ok(())
    }

    fn set_aside(&mut self) {
        *self = Self::default();
    }
}
