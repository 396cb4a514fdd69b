//! A copy of a journal that another process may be appending to: all of it up to a place between two
//! batches, which is durable before it is copied. Not here: what else belongs to a backup.

use std::{fmt, io, sync::Arc};

use crate::{
    closed::{Heads, segment_numbers},
    fault::{Fault, OpenError},
    form::Form,
    position::{Mark, Position, SegmentNo},
    reader::Reader,
    recover,
    segments::Segments,
    snapshot::Snapshots,
    volume::Volume,
    walk::{self, Found},
    width::{to_u64, to_usize},
};

/// How much is read and written at a time.
const PIECE_BYTES: u64 = 1024 * 1024;
/// How often a place that reads as damage is read again: its writer may be in the middle of it.
const READ_AGAIN_MAX: usize = 8;

/// A journal as far as it will be copied.
pub struct Copying {
    segments: Arc<Segments>,
    end: Mark,
}

impl Copying {
    /// Finds the end of a journal without locking it, and syncs what lies before.
    ///
    /// # Errors
    /// `NoJournal`, `NoHeader`, `ForeignSegment`, `FromNotFound` when a record is damaged that nobody is
    /// writing, or a fault of the disk. Nothing is changed.
    pub fn open(volume: &Volume) -> Result<Self, OpenError> {
        let numbers = segment_numbers(volume)?;
        if numbers.is_empty() {
            return Err(OpenError::NoJournal);
        }
        let form = Heads::read(volume, &numbers)?.form()?;
        let segments = Arc::new(Segments::new(volume.clone(), form.clone(), numbers));
        let newest = Snapshots::new(volume.clone(), form.log_id).peek()?;
        let from = newest.unwrap_or(Mark::START);
        let end = end(&segments, from)?;
        // What was read of the end may be in the page cache only.
        recover::sync(&segments, from)?;
        segments.publish(end);
        Ok(Self { segments, end })
    }

    /// Where the copy will end.
    #[must_use]
    pub const fn end(&self) -> Mark {
        self.end
    }

    /// Reads the journal up to there.
    #[must_use]
    pub fn reader(&self) -> Reader {
        Reader::new(Arc::clone(&self.segments))
    }

    /// How many bytes the copy will have.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let count = self.copied().count();
        u64::try_from(count).unwrap_or(u64::MAX).saturating_mul(self.form().segment_bytes.get())
    }

    /// Writes the copy into an empty folder, segment by segment, each whole and synced. What follows the
    /// end reads as zeros. `copied` hears of every piece, how long it is.
    ///
    /// # Errors
    /// `AlreadyExists`, or a fault of either disk.
    pub fn write(&self, to: &Volume, copied: &mut dyn FnMut(u64)) -> Result<(), OpenError> {
        if !segment_numbers(to)?.is_empty() {
            return Err(OpenError::AlreadyExists);
        }
        for segment in self.copied() {
            self.segment(segment, to, copied)?;
        }
        Ok(())
    }

    /// The files of the copy, in their order, each by its name.
    pub fn files(&self) -> impl Iterator<Item = (String, SegmentCopy)> {
        self.copied().map(|segment| (segment.file_name(), self.copy_of(segment)))
    }

    fn copy_of(&self, segment: SegmentNo) -> SegmentCopy {
        let size = self.form().segment_bytes;
        let begins = size.position(segment, 0);
        let used = self.end.position.get().saturating_sub(begins.get()).min(size.get());
        SegmentCopy { segments: Arc::clone(&self.segments), begins, used, bytes: size.get(), at: 0 }
    }

    fn form(&self) -> &Form {
        &self.segments.form
    }

    /// The segments up to the one that the last batch ends in.
    fn copied(&self) -> impl Iterator<Item = SegmentNo> {
        let last = recover::segment_before(&self.segments, self.end);
        self.segments.since(SegmentNo::new(0)).into_iter().take_while(move |segment| *segment <= last)
    }

    fn segment(&self, segment: SegmentNo, to: &Volume, copied: &mut dyn FnMut(u64)) -> Result<(), Fault> {
        let mut copy = self.copy_of(segment);
        let mut making = to.make(&segment.file_name())?;
        while copy.at < copy.bytes {
            let at = copy.at;
            let piece = copy.piece(PIECE_BYTES)?;
            making.write_at(at, &piece)?;
            copied(copy.at - at);
        }
        making.finish()
    }
}

/// One file of a copy, to be read from its beginning.
pub struct SegmentCopy {
    segments: Arc<Segments>,
    begins: Position,
    /// Behind it everything reads as zeros.
    used: u64,
    bytes: u64,
    at: u64,
}

impl SegmentCopy {
    /// Its length in bytes.
    #[must_use]
    pub const fn length_bytes(&self) -> u64 {
        self.bytes
    }

    /// What comes next of it; nothing at its end.
    fn piece(&mut self, bytes_max: u64) -> Result<Vec<u8>, Fault> {
        let length = bytes_max.min(self.bytes - self.at);
        let wanted = self.used.saturating_sub(self.at).min(length);
        let mut piece =
            if wanted > 0 { self.segments.read(self.begins.plus(self.at), wanted)? } else { Vec::new() };
        piece.resize(to_usize(length), 0);
        self.at += length;
        Ok(piece)
    }
}

impl io::Read for SegmentCopy {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let piece = self.piece(to_u64(buffer.len()).min(PIECE_BYTES)).map_err(io::Error::other)?;
        buffer.iter_mut().zip(&piece).for_each(|(to, from)| *to = *from);
        Ok(piece.len())
    }
}

impl fmt::Debug for SegmentCopy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SegmentCopy").field("begins", &self.begins).finish_non_exhaustive()
    }
}

/// Walks to the end. What a writer is in the middle of looks like damage for a moment.
fn end(segments: &Segments, from: Mark) -> Result<Mark, OpenError> {
    let mut cursor = from;
    let mut again = 0;
    loop {
        match walk::next(segments, cursor, recover::NO_LIMIT)? {
            Found::Batch(batch) => {
                cursor = batch.next;
                again = 0;
            }
            Found::Damaged { .. } if again < READ_AGAIN_MAX => again += 1,
            Found::Damaged { .. } => return Err(OpenError::FromNotFound { from: cursor }),
            Found::Nothing => return Ok(cursor),
        }
    }
}

impl fmt::Debug for Copying {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Copying").field("end", &self.end).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Closed, Config, FileJournal, Journal, LogId, MemoryDisk, SegmentBytes};

    fn journal(disk: &MemoryDisk) -> FileJournal {
        FileJournal::create(&disk.volume(), &LogId::new([7; 16]), SegmentBytes::MIN).unwrap();
        Closed::lock(&disk.volume(), &disk.volume()).unwrap().recover(Config::inline(), None).unwrap().0
    }

    fn batches(disk: &MemoryDisk) -> (Mark, Vec<Vec<u8>>) {
        let closed = Closed::lock(&disk.volume(), &disk.volume()).unwrap();
        let (journal, recovered) = closed.recover(Config::inline(), None).unwrap();
        assert_eq!((recovered.damage.as_slice(), recovered.cut), (&[][..], None));
        let read = journal.reader().iter_from(Mark::START);
        (recovered.end, read.map(|batch| batch.unwrap().meta().to_vec()).collect())
    }

    #[test]
    fn a_copy_of_a_journal_in_use_opens_and_holds_all_up_to_its_end() {
        let (disk, copy) = (MemoryDisk::new(), MemoryDisk::new());
        let mut written = journal(&disk);
        let mut metas = Vec::new();
        for number in 0..40_u8 {
            metas.push(vec![number; 3000]);
            written.append(metas.last().unwrap(), &[b"sealed"]).unwrap();
        }
        written.snapshots().write(written.end(), [b"state"]).unwrap();
        let copying = Copying::open(&disk.volume()).unwrap();
        assert_eq!(copying.end(), written.end());
        // What comes while it is copied is no part of it.
        written.append(&[99; 3000], &[]).unwrap();
        let mut bytes = 0;
        copying.write(&copy.volume(), &mut |piece| bytes += piece).unwrap();
        assert_eq!(bytes, copying.bytes());
        assert!(bytes > SegmentBytes::MIN.get(), "more than one segment");
        assert_eq!(batches(&copy), (copying.end(), metas));
        let mut read = Vec::new();
        for (name, mut file) in copying.files() {
            let (before, bytes) = (read.len(), file.length_bytes());
            io::Read::read_to_end(&mut file, &mut read).unwrap();
            assert_eq!(to_u64(read.len() - before), bytes, "{name}");
        }
        let copied = copying.copied().flat_map(|segment| {
            copy.volume().open(&segment.file_name()).unwrap().map(|file| {
                let mut content = vec![0; to_usize(SegmentBytes::MIN.get())];
                file.read_at(0, &mut content).unwrap();
                content
            })
        });
        assert!(read == copied.flatten().collect::<Vec<_>>(), "both ways copy the same");
        let again = copying.write(&copy.volume(), &mut |_| {});
        assert_eq!(again, Err(OpenError::AlreadyExists));
    }

    #[test]
    fn the_copied_end_is_durable_before_it_is_copied() {
        let disk = MemoryDisk::new();
        let mut written = journal(&disk);
        written.append(b"one", &[]).unwrap();
        let copying = Copying::open(&disk.volume()).unwrap();
        drop(written);
        disk.crash(crate::Crash::LoseUnsynced);
        assert_eq!(batches(&disk).0, copying.end());
    }

    #[test]
    fn damage_and_an_empty_folder_are_told() {
        let disk = MemoryDisk::new();
        assert_eq!(Copying::open(&disk.volume()).map(|_| ()), Err(OpenError::NoJournal));
        let mut written = journal(&disk);
        let first = written.append(&[1; 300], &[]).unwrap().mark;
        written.append(&[2; 300], &[]).unwrap();
        disk.flip_bit("0000000000000000.seg", (first.position.get() + 100) * 8);
        let found = Copying::open(&disk.volume()).map(|_| ());
        assert_eq!(found, Err(OpenError::FromNotFound { from: Mark::START }));
    }
}
