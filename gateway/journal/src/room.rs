//! What the journal can still take, told before anything is decided. Not here: who counts as
//! reserved work; that is the owner's.

use crate::form::Form;

/// Of a segment, so much is kept for reserved work: an eighth.
const KEPT_PART: u64 = 8;
/// Below this not even an administrator's act is sure to fit.
const LEAST_BYTES: u64 = 4096;

/// What the next batch may be. Lengths are as `batch_bytes` counts them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Room {
    /// Any work.
    Ordinary {
        /// A batch of this many bytes leaves space for reserved work behind it.
        batch_bytes_max: u64,
        /// As much fits when reserved work is in it: what was kept is kept for this.
        reserved_bytes_max: u64,
    },
    /// Only receipts, acknowledgements and administration.
    Reserved {
        /// The longest batch that fits.
        batch_bytes_max: u64,
    },
    /// Nothing: no zeroed space, or the journal is finished.
    Nothing,
}

impl Room {
    /// The whole arithmetic. A batch is contiguous, so what counts is the longest run of zeroed
    /// space: the rest of the current segment, or a whole ready one. Ordinary work may take all of
    /// it but an eighth of a segment, and nothing while the volume has less free than its reserve.
    pub(crate) fn of(form: &Form, left: u64, is_ready: bool, above_reserve: bool) -> Self {
        let size = form.segment_bytes;
        let longest = if is_ready { size.usable() } else { left };
        let ordinary = longest.saturating_sub(size.get() / KEPT_PART);
        let reserved_bytes_max = longest.min(form.frame_bytes_max());
        if longest < LEAST_BYTES {
            Self::Nothing
        } else if ordinary < LEAST_BYTES || !above_reserve {
            Self::Reserved { batch_bytes_max: reserved_bytes_max }
        } else {
            let batch_bytes_max = ordinary.min(form.frame_bytes_max());
            Self::Ordinary { batch_bytes_max, reserved_bytes_max }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{LogId, SegmentBytes};

    #[test]
    fn ordinary_work_stops_before_reserved_work() {
        let form = Form { log_id: LogId::new([1; 16]), segment_bytes: SegmentBytes::MIN };
        let usable = SegmentBytes::MIN.usable();
        let kept = SegmentBytes::MIN.get() / 8;
        let ordinary =
            |batch_bytes_max, reserved_bytes_max| Room::Ordinary { batch_bytes_max, reserved_bytes_max };
        let cases = [
            (0, true, true, ordinary(usable - kept, usable)),
            (0, true, false, Room::Reserved { batch_bytes_max: usable }),
            (usable, false, true, ordinary(usable - kept, usable)),
            (kept + 4096, false, true, ordinary(4096, kept + 4096)),
            (kept + 4095, false, true, Room::Reserved { batch_bytes_max: kept + 4095 }),
            (4096, false, true, Room::Reserved { batch_bytes_max: 4096 }),
            (4095, false, true, Room::Nothing),
            (0, false, true, Room::Nothing),
        ];
        for (left, is_ready, above_reserve, room) in cases {
            assert_eq!(Room::of(&form, left, is_ready, above_reserve), room, "{left}");
        }
    }
}
