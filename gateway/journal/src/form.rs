//! What all parts of one journal share: its log id and its segment size. Not here: layouts.

use crate::{
    frame::BATCH_BYTES_MAX,
    log_id::LogId,
    position::{Position, SegmentBytes},
};

/// The two facts that every reader and writer of a journal needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Form {
    pub(crate) log_id: LogId,
    pub(crate) segment_bytes: SegmentBytes,
}

impl Form {
    /// The checksum's state after log id and position.
    pub(crate) fn seed(&self, position: Position) -> u32 {
        let seed = crc32c::crc32c(self.log_id.bytes());
        crc32c::crc32c_append(seed, &position.get().to_le_bytes())
    }

    /// The longest frame: it must fit one segment.
    pub(crate) fn frame_bytes_max(&self) -> u64 {
        u64::from(BATCH_BYTES_MAX).min(self.segment_bytes.usable())
    }
}
