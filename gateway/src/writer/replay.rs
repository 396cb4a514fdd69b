//! How much a start would have to replay, which is what makes a snapshot due. Not here: taking one.

use journal::Mark;
use proto::state::State;

/// Bytes of journal behind the last snapshot that make the next one due: a start reads and applies them
/// in well under a second.
pub const SNAPSHOT_BYTES: u64 = 64 * 1024 * 1024;
/// Evidence records behind the last snapshot that make the next one due, however small they are.
pub const SNAPSHOT_RECORDS: u64 = 64 * 1024;
/// What an open referral, or an envelope that waits, comes to in a snapshot, about. With much open work the next
/// one is due when there is as much to replay as there was to write, so that writing snapshots is never most
/// of the work.
const OPEN_BYTES: u64 = 512;

/// The last snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Replay {
    mark: Mark,
    records: u64,
    open: u64,
}

impl Replay {
    /// From a snapshot on, of the state as it is.
    pub(crate) fn from_here(mark: Mark, state: &State) -> Self {
        let open = state.referrals_in_memory().saturating_add(state.mailboxes().count());
        Self { mark, records: state.evidence().size(), open: u64::try_from(open).unwrap_or(u64::MAX) }
    }

    pub(super) fn is_long(&self, end: Mark, state: &State) -> bool {
        let bytes = end.position.get().saturating_sub(self.mark.position.get());
        let records = state.evidence().size().saturating_sub(self.records);
        bytes >= SNAPSHOT_BYTES.max(self.open.saturating_mul(OPEN_BYTES))
            || records >= SNAPSHOT_RECORDS.max(self.open)
    }
}

#[cfg(test)]
mod tests {
    use journal::{BatchNo, Position};

    use super::*;

    const fn mark(position: u64) -> Mark {
        Mark { position: Position::new(position), batch_no: BatchNo::new(7) }
    }

    #[test]
    fn due_by_bytes_and_with_much_open_work_later() {
        let state = State::default();
        for (open, due_after) in
            [(0, SNAPSHOT_BYTES), (1000, SNAPSHOT_BYTES), (1_000_000, 1_000_000 * OPEN_BYTES)]
        {
            let replay = Replay { open, ..Replay::from_here(mark(5000), &state) };
            assert!(!replay.is_long(mark(5000 + due_after - 1), &state));
            assert!(replay.is_long(mark(5000 + due_after), &state));
        }
    }
}
