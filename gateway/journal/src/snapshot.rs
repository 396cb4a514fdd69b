//! Snapshots: the owner's state at a place in the journal, so that starting needs no whole replay.
//! Not here: what is in one, and when it is taken. A snapshot is derived: losing all of them loses
//! time, nothing else.

use std::fmt;

use crate::{
    fault::Fault,
    log_id::LogId,
    position::{BatchNo, Mark, Position},
    volume::Volume,
    width::{put, to_u64, u32_at, u64_at},
};

/// The longest snapshot: 1 GiB.
pub const SNAPSHOT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// How many are kept: the newest and the one before it.
pub const KEPT: usize = 2;

/// The last byte is the format's version.
const MAGIC: [u8; 8] = *b"RFJSNP\0\x01";
const CRC_AT: usize = 8;
const CRC_FROM: usize = 12;
const POSITION_AT: usize = 16;
const BATCH_NO_AT: usize = 24;
const LENGTH_AT: usize = 32;
const HEAD_BYTES: usize = 40;

/// A whole snapshot.
#[derive(Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The place whose state it holds: replay goes on from here.
    pub mark: Mark,
    file: Vec<u8>,
}

impl Snapshot {
    /// The owner's bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        self.file.get(HEAD_BYTES..).unwrap_or_default()
    }
}

impl fmt::Debug for Snapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Snapshot").field("mark", &self.mark).finish_non_exhaustive()
    }
}

/// What loading found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// The newest whole one.
    pub snapshot: Option<Snapshot>,
    /// Newer ones that are damaged, newest first.
    pub damaged: Vec<Position>,
}

/// The snapshots' files: cheap to clone. One thread at a time may write.
#[derive(Clone)]
pub struct Snapshots {
    volume: Volume,
    log_id: LogId,
}

impl Snapshots {
    pub(crate) fn new(volume: Volume, log_id: LogId) -> Self {
        Self { volume, log_id }
    }

    /// Writes a snapshot durably, given in pieces, then removes all but the newest [`KEPT`]. `mark` must
    /// be durable already.
    ///
    /// # Errors
    /// `TooLarge`, or the disk's fault. The older snapshots are still there then.
    pub fn write<Piece: AsRef<[u8]>>(
        &self,
        mark: Mark,
        pieces: impl IntoIterator<Item = Piece>,
    ) -> Result<(), Fault> {
        let mut making = self.volume.make(&file_name(mark.position))?;
        let (mut length, mut crc) = (0_usize, 0);
        for piece in pieces {
            let piece = piece.as_ref();
            let limit_bytes = SNAPSHOT_BYTES_MAX;
            let bytes = to_u64(length.saturating_add(piece.len()));
            if bytes > limit_bytes {
                return Err(Fault::TooLarge { bytes, limit_bytes });
            }
            making.write_at(to_u64(HEAD_BYTES.saturating_add(length)), piece)?;
            length = length.saturating_add(piece.len());
            crc = crc32c::crc32c_append(crc, piece);
        }
        // The head tells of all that follows: it is written last.
        let mut head = [0; HEAD_BYTES];
        put(&mut head, 0, &MAGIC);
        put(&mut head, POSITION_AT, &mark.position.get().to_le_bytes());
        put(&mut head, BATCH_NO_AT, &mark.batch_no.get().to_le_bytes());
        put(&mut head, LENGTH_AT, &to_u64(length).to_le_bytes());
        let crc = crc32c::crc32c_combine(self.crc(&head), crc, length);
        put(&mut head, CRC_AT, &crc.to_le_bytes());
        making.write_at(0, &head)?;
        making.finish()?;
        self.remove_old()
    }

    /// The newest whole snapshot. Damaged ones are named, then removed, so that they do not push
    /// out good ones.
    ///
    /// # Errors
    /// The disk's.
    pub fn newest(&self) -> Result<Loaded, Fault> {
        self.newest_until(Position::new(u64::MAX))
    }

    /// As [`Snapshots::newest`], of those at or before a position: for going back behind one
    /// that the owner cannot use.
    ///
    /// # Errors
    /// The disk's.
    pub fn newest_until(&self, last: Position) -> Result<Loaded, Fault> {
        let mut damaged = Vec::new();
        for position in self.positions()?.into_iter().filter(|position| *position <= last) {
            if let Some(snapshot) = self.load(position)? {
                return Ok(Loaded { snapshot: Some(snapshot), damaged });
            }
            tracing::warn!(target: "journal", position = position.get(), "damaged snapshot");
            self.volume.disk().remove(&file_name(position))?;
            damaged.push(position);
        }
        Ok(Loaded { snapshot: None, damaged })
    }

    /// The place of the newest whole one. Nothing is removed: somebody else may be writing here.
    pub(crate) fn peek(&self) -> Result<Option<Mark>, Fault> {
        for position in self.positions()? {
            if let Some(snapshot) = self.load(position)? {
                return Ok(Some(snapshot.mark));
            }
        }
        Ok(None)
    }

    /// All positions, newest first.
    fn positions(&self) -> Result<Vec<Position>, Fault> {
        let names = self.volume.disk().names()?;
        let mut positions: Vec<_> = names.iter().filter_map(|name| position_of(name)).collect();
        positions.sort_unstable_by(|one, other| other.cmp(one));
        Ok(positions)
    }

    fn load(&self, position: Position) -> Result<Option<Snapshot>, Fault> {
        let limit = SNAPSHOT_BYTES_MAX.saturating_add(to_u64(HEAD_BYTES));
        match self.volume.read(&file_name(position), limit) {
            Ok(file) => Ok(file.and_then(|file| self.decode(position, file))),
            Err(Fault::TooLarge { .. }) => Ok(None),
            Err(fault) => Err(fault),
        }
    }

    fn decode(&self, position: Position, file: Vec<u8>) -> Option<Snapshot> {
        let length = to_u64(file.len().checked_sub(HEAD_BYTES)?);
        let mark = Mark {
            position: Position::new(u64_at(&file, POSITION_AT)),
            batch_no: BatchNo::new(u64_at(&file, BATCH_NO_AT)),
        };
        let whole = file.starts_with(&MAGIC)
            && u32_at(&file, CRC_AT) == self.crc(&file)
            && u64_at(&file, LENGTH_AT) == length
            && mark.position == position;
        whole.then_some(Snapshot { mark, file })
    }

    fn remove_old(&self) -> Result<(), Fault> {
        for position in self.positions()?.into_iter().skip(KEPT) {
            self.volume.disk().remove(&file_name(position))?;
        }
        Ok(())
    }

    fn crc(&self, file: &[u8]) -> u32 {
        let seed = crc32c::crc32c_append(crc32c::crc32c(self.log_id.bytes()), &MAGIC);
        crc32c::crc32c_append(seed, file.get(CRC_FROM..).unwrap_or_default())
    }
}

impl fmt::Debug for Snapshots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Snapshots")
    }
}

fn file_name(position: Position) -> String {
    format!("snapshot-{:016x}", position.get())
}

fn position_of(name: &str) -> Option<Position> {
    let digits = name.strip_prefix("snapshot-")?;
    let position = Position::new(u64::from_str_radix(digits, 16).ok()?);
    (file_name(position) == name).then_some(position)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Crash, MemoryDisk};

    fn mark(batch_no: u64) -> Mark {
        Mark { position: Position::new(batch_no * 1000), batch_no: BatchNo::new(batch_no) }
    }

    fn snapshots(disk: &MemoryDisk) -> Snapshots {
        Snapshots::new(disk.volume(), LogId::new([3; 16]))
    }

    fn newest(disk: &MemoryDisk) -> (Option<u64>, Vec<Position>) {
        let loaded = snapshots(disk).newest().unwrap();
        (loaded.snapshot.map(|snapshot| snapshot.mark.batch_no.get()), loaded.damaged)
    }

    #[test]
    fn two_are_kept_and_a_damaged_one_falls_back() {
        let disk = MemoryDisk::new();
        assert_eq!(newest(&disk), (None, vec![]));
        for batch_no in 1..=3 {
            snapshots(&disk).write(mark(batch_no), [b"state"]).unwrap();
        }
        assert_eq!(disk.names().len(), KEPT);
        assert_eq!(newest(&disk), (Some(3), vec![]));
        let before = snapshots(&disk).newest_until(mark(2).position).unwrap();
        assert_eq!(before.snapshot.unwrap().bytes(), b"state");
        disk.flip_bit(&file_name(mark(3).position), 300);
        assert_eq!(newest(&disk), (Some(2), vec![mark(3).position]));
        snapshots(&disk).write(mark(4), [b"state"]).unwrap();
        disk.set_file(&file_name(mark(4).position), b"");
        disk.set_file(&file_name(mark(2).position), b"RFJSNP\0\x01");
        assert_eq!(newest(&disk), (None, vec![mark(4).position, mark(2).position]));
    }

    #[test]
    fn every_flipped_bit_is_damage() {
        let disk = MemoryDisk::new();
        snapshots(&disk).write(mark(1), [b"state"]).unwrap();
        let whole = disk.file(&file_name(mark(1).position)).unwrap();
        for bit in 0..to_u64(whole.len()) * 8 {
            disk.set_file(&file_name(mark(1).position), &whole);
            disk.flip_bit(&file_name(mark(1).position), bit);
            assert_eq!(newest(&disk).0, None, "bit {bit}");
        }
    }

    #[test]
    fn a_crash_at_any_step_leaves_a_whole_one() {
        for steps in 0..10 {
            for crash in [Crash::Kill, Crash::LoseUnsynced] {
                let disk = MemoryDisk::new();
                snapshots(&disk).write(mark(1), [b"one"]).unwrap();
                snapshots(&disk).write(mark(2), [b"two"]).unwrap();
                disk.crash_after(steps, crash);
                let written = snapshots(&disk).write(mark(3), [&b"th"[..], b"ree"]);
                disk.crash(crash);
                let found = newest(&disk);
                assert!(found == (Some(3), vec![]) || found == (Some(2), vec![]), "{steps}");
                assert!(found.0 == Some(3) || written.is_err());
            }
        }
    }
}
