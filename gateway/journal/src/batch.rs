//! A batch as it is read: metadata and blobs. Not here: layout and checksums.

use std::{fmt, ops::Range};

use crate::position::Mark;

/// One batch, checked. Holds the frame's bytes once; everything else is a view.
#[derive(Clone, PartialEq, Eq)]
pub struct Batch {
    pub(crate) mark: Mark,
    pub(crate) next: Mark,
    pub(crate) frame: Vec<u8>,
    pub(crate) meta: Range<usize>,
    pub(crate) rows: Vec<Row>,
}

/// A row of the blob table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Row {
    pub(crate) bytes: Range<usize>,
    pub(crate) erased_by: Option<u64>,
}

/// One blob of a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Blob<'a> {
    /// Its bytes.
    Present(&'a [u8]),
    /// Erased, by what the eraser called itself.
    Erased {
        /// The length that it had.
        bytes: u64,
        /// The number given to the eraser, meaningless here.
        by: u64,
    },
}

impl Batch {
    /// Where the batch begins, and its number.
    #[must_use]
    pub const fn mark(&self) -> Mark {
        self.mark
    }

    /// The place after it.
    #[must_use]
    pub const fn next(&self) -> Mark {
        self.next
    }

    /// What its writer gave as metadata; never erased.
    #[must_use]
    pub fn meta(&self) -> &[u8] {
        self.frame.get(self.meta.clone()).unwrap_or_default()
    }

    /// How many blobs it has, erased ones included.
    #[must_use]
    pub fn blob_count(&self) -> usize {
        self.rows.len()
    }

    /// The blob with this index, counted from 0.
    #[must_use]
    pub fn blob(&self, index: usize) -> Option<Blob<'_>> {
        self.rows.get(index).map(|row| self.view(row))
    }

    /// All blobs in order.
    pub fn blobs(&self) -> impl ExactSizeIterator<Item = Blob<'_>> {
        self.rows.iter().map(|row| self.view(row))
    }

    fn view(&self, row: &Row) -> Blob<'_> {
        match row.erased_by {
            Some(by) => Blob::Erased { bytes: crate::width::to_u64(row.bytes.len()), by },
            None => Blob::Present(self.frame.get(row.bytes.clone()).unwrap_or_default()),
        }
    }
}

/// Shows places and lengths, never content.
impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("mark", &self.mark)
            .field("frame_bytes", &self.frame.len())
            .field("blobs", &self.rows.len())
            .finish_non_exhaustive()
    }
}

/// Shows lengths, never content.
impl fmt::Debug for Blob<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Present(bytes) => write!(f, "Present({} bytes)", bytes.len()),
            Self::Erased { bytes, by } => write!(f, "Erased({bytes} bytes, by {by})"),
        }
    }
}
