//! The anchor: a small file, best on another volume, that remembers how far the journal reached.
//! Not here: when it is written, and what the owner's bytes mean.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use crate::{
    fault::Fault,
    log_id::LogId,
    position::{BatchNo, Mark, Position},
    volume::Volume,
    width::{put, to_u64, u32_at, u32_to_usize, u64_at},
};

/// How many bytes the owner may put into an anchor: 1 KiB.
pub const OWNER_BYTES_MAX: usize = 1024;

const NAME: &str = "anchor";
/// The last byte is the format's version.
const MAGIC: [u8; 8] = *b"RFJANC\0\x01";
const CRC_AT: usize = 8;
const CRC_FROM: usize = 12;
const OWNER_BYTES_AT: usize = 12;
const POSITION_AT: usize = 16;
const BATCH_NO_AT: usize = 24;
const HEAD_BYTES: usize = 32;

/// What an anchor says.
#[derive(Clone, PartialEq, Eq)]
pub struct Anchor {
    /// The journal reached this place, durably.
    pub mark: Mark,
    /// The owner's, such as a signed checkpoint; at most [`OWNER_BYTES_MAX`].
    pub owner_bytes: Vec<u8>,
}

impl fmt::Debug for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anchor").field("mark", &self.mark).finish_non_exhaustive()
    }
}

/// What was found where the anchor should be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AnchorFound {
    /// A whole anchor of this journal.
    Found(Anchor),
    /// No file: a new journal, or somebody removed it.
    Missing,
    /// A file that is not a whole anchor of this journal.
    Damaged,
}

/// The anchor's file: cheap to clone.
#[derive(Clone)]
pub struct AnchorFile {
    volume: Volume,
    log_id: LogId,
    writing: Arc<Mutex<()>>,
}

impl AnchorFile {
    pub(crate) fn new(volume: Volume, log_id: LogId) -> Self {
        Self { volume, log_id, writing: Arc::new(Mutex::new(())) }
    }

    /// Replaces the anchor, whole or not at all, durably. `mark` must be durable already.
    ///
    /// # Errors
    /// `TooLarge`, or the disk's fault. The anchor is then as before or as given, and the journal
    /// itself is not touched.
    pub fn write(&self, mark: Mark, owner_bytes: &[u8]) -> Result<(), Fault> {
        let Some(owner_len) = u32::try_from(owner_bytes.len()).ok().filter(|_| fits(owner_bytes)) else {
            return Err(Fault::TooLarge {
                bytes: to_u64(owner_bytes.len()),
                limit_bytes: to_u64(OWNER_BYTES_MAX),
            });
        };
        let mut file = vec![0; HEAD_BYTES];
        put(&mut file, 0, &MAGIC);
        put(&mut file, OWNER_BYTES_AT, &owner_len.to_le_bytes());
        put(&mut file, POSITION_AT, &mark.position.get().to_le_bytes());
        put(&mut file, BATCH_NO_AT, &mark.batch_no.get().to_le_bytes());
        file.extend_from_slice(owner_bytes);
        let crc = self.crc(&file);
        put(&mut file, CRC_AT, &crc.to_le_bytes());
        let _one_at_a_time = self.writing.lock().unwrap_or_else(PoisonError::into_inner);
        self.volume.replace(NAME, &[&file])
    }

    /// What the anchor says now.
    ///
    /// # Errors
    /// Only the disk's; a bad file is an answer.
    pub fn read(&self) -> Result<AnchorFound, Fault> {
        let limit_bytes = to_u64(HEAD_BYTES + OWNER_BYTES_MAX);
        match self.volume.read(NAME, limit_bytes) {
            Ok(None) => Ok(AnchorFound::Missing),
            Ok(Some(file)) => Ok(self.decode(&file).map_or(AnchorFound::Damaged, AnchorFound::Found)),
            Err(Fault::TooLarge { .. }) => Ok(AnchorFound::Damaged),
            Err(fault) => Err(fault),
        }
    }

    fn decode(&self, file: &[u8]) -> Option<Anchor> {
        let owner_bytes = file.get(HEAD_BYTES..)?;
        let whole = file.starts_with(&MAGIC)
            && u32_at(file, CRC_AT) == self.crc(file)
            && u32_to_usize(u32_at(file, OWNER_BYTES_AT)) == owner_bytes.len();
        whole.then(|| Anchor {
            mark: Mark {
                position: Position::new(u64_at(file, POSITION_AT)),
                batch_no: BatchNo::new(u64_at(file, BATCH_NO_AT)),
            },
            owner_bytes: owner_bytes.to_vec(),
        })
    }

    fn crc(&self, file: &[u8]) -> u32 {
        let seed = crc32c::crc32c_append(crc32c::crc32c(self.log_id.bytes()), &MAGIC);
        crc32c::crc32c_append(seed, file.get(CRC_FROM..).unwrap_or_default())
    }
}

fn fits(owner_bytes: &[u8]) -> bool {
    owner_bytes.len() <= OWNER_BYTES_MAX
}

impl fmt::Debug for AnchorFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("AnchorFile")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Crash, MemoryDisk};

    const MARK: Mark = Mark { position: Position::new(4096), batch_no: BatchNo::new(3) };

    fn anchor(disk: &MemoryDisk) -> AnchorFile {
        AnchorFile::new(disk.volume(), LogId::new([3; 16]))
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_damage() {
        let disk = MemoryDisk::new();
        assert_eq!(anchor(&disk).read(), Ok(AnchorFound::Missing));
        anchor(&disk).write(MARK, b"checkpoint").unwrap();
        let whole = disk.file(NAME).unwrap();
        for bit in 0..to_u64(whole.len()) * 8 {
            disk.flip_bit(NAME, bit);
            assert_eq!(anchor(&disk).read(), Ok(AnchorFound::Damaged), "bit {bit}");
            disk.flip_bit(NAME, bit);
        }
        for len in 0..whole.len() {
            disk.set_file(NAME, &whole[..len]);
            assert_eq!(anchor(&disk).read(), Ok(AnchorFound::Damaged), "length {len}");
        }
        disk.set_file(NAME, &[whole, vec![0; 2000]].concat());
        assert_eq!(anchor(&disk).read(), Ok(AnchorFound::Damaged));
    }

    #[test]
    fn another_journals_anchor_is_damage() {
        let disk = MemoryDisk::new();
        AnchorFile::new(disk.volume(), LogId::new([4; 16])).write(MARK, b"").unwrap();
        assert_eq!(anchor(&disk).read(), Ok(AnchorFound::Damaged));
    }

    #[test]
    fn a_crash_at_any_step_leaves_the_old_or_the_new_one() {
        for steps in 0..6 {
            for crash in [Crash::Kill, Crash::LoseUnsynced] {
                let disk = MemoryDisk::new();
                anchor(&disk).write(MARK, b"old").unwrap();
                disk.crash_after(steps, crash);
                let written = anchor(&disk).write(MARK, b"new");
                disk.crash(crash);
                let Ok(AnchorFound::Found(found)) = anchor(&disk).read() else {
                    panic!("no anchor after {steps} steps")
                };
                let new = found.owner_bytes == b"new";
                assert!(new || found.owner_bytes == b"old" && written.is_err());
            }
        }
    }

    #[test]
    fn the_owners_bytes_have_a_limit() {
        let disk = MemoryDisk::new();
        assert_eq!(anchor(&disk).write(MARK, &[1; OWNER_BYTES_MAX]), Ok(()));
        let refused = anchor(&disk).write(MARK, &[1; OWNER_BYTES_MAX + 1]);
        assert!(matches!(refused, Err(Fault::TooLarge { .. })));
    }
}
