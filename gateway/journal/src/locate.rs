//! Finding a batch by its number: a binary search over segments, then the frame heads of one. Built
//! from the journal alone, when it is asked for. Not here: checking what is found; reading does that.

use std::collections::VecDeque;

use crate::{
    fault::Fault,
    frame::{HEAD_BYTES, Head},
    position::{BatchNo, Position, SegmentNo},
    segments::Segments,
    walk,
    width::to_u64,
};

/// How many segments' batches are remembered.
const SEGMENTS_KEPT: usize = 4;

/// Where the batches of the segments that were asked for last begin.
#[derive(Default)]
pub(crate) struct Located(VecDeque<Starts>);

/// The batches of one segment, as far as they have been walked.
struct Starts {
    segment: SegmentNo,
    first: BatchNo,
    positions: Vec<Position>,
    next: Position,
}

impl Located {
    /// Where the batch of that number begins, if it lies before `end`.
    pub(crate) fn find(
        &mut self,
        segments: &Segments,
        batch_no: BatchNo,
        end: Position,
    ) -> Result<Option<Position>, Fault> {
        let known = self.0.iter().position(|starts| starts.holds(batch_no));
        let starts = match known.and_then(|place| self.0.remove(place)) {
            Some(starts) => Some(starts),
            None => self.segment_of(segments, batch_no, end)?,
        };
        let Some(mut starts) = starts else {
            return Ok(None);
        };
        let found = starts.find(segments, batch_no, end)?;
        self.0.push_front(starts);
        self.0.truncate(SEGMENTS_KEPT);
        Ok(found)
    }

    /// The segment whose first batch is the last one at or below the number.
    fn segment_of(
        &mut self,
        segments: &Segments,
        batch_no: BatchNo,
        end: Position,
    ) -> Result<Option<Starts>, Fault> {
        let size = segments.form.segment_bytes;
        let mut numbers = segments.since(SegmentNo::new(0));
        numbers.retain(|segment| size.first_frame(*segment) < end);
        let (mut low, mut high) = (0, numbers.len());
        let mut best = None;
        while low < high {
            let middle = low + (high - low) / 2;
            let segment = numbers[middle];
            match first_batch(segments, segment, end)? {
                Some((first, position)) if first <= batch_no => {
                    best = Some(Starts { segment, first, positions: Vec::new(), next: position });
                    low = middle + 1;
                }
                _ => high = middle,
            }
        }
        // A segment may have been remembered under a number below the one asked for.
        if let Some(starts) = &best
            && let Some(place) = self.0.iter().position(|known| known.segment == starts.segment)
        {
            return Ok(self.0.remove(place));
        }
        Ok(best)
    }
}

impl Starts {
    fn holds(&self, batch_no: BatchNo) -> bool {
        let walked = to_u64(self.positions.len());
        batch_no >= self.first && batch_no.get() - self.first.get() < walked
    }

    fn find(
        &mut self,
        segments: &Segments,
        batch_no: BatchNo,
        end: Position,
    ) -> Result<Option<Position>, Fault> {
        while !self.holds(batch_no) {
            let expected = BatchNo::new(self.first.get() + to_u64(self.positions.len()));
            match head_at(segments, self.next, end)? {
                Some((head, frame_bytes)) if head == expected => {
                    self.positions.push(self.next);
                    self.next = self.next.plus(frame_bytes);
                }
                // Damage, or the segment's end: only a whole search can tell.
                _ => {
                    return Ok(walk::search(segments, self.next, batch_no, end)?
                        .filter(|batch| batch.mark().batch_no == batch_no)
                        .map(|batch| batch.mark().position));
                }
            }
        }
        let place = usize::try_from(batch_no.get() - self.first.get()).unwrap_or(usize::MAX);
        Ok(self.positions.get(place).copied())
    }
}

fn first_batch(
    segments: &Segments,
    segment: SegmentNo,
    end: Position,
) -> Result<Option<(BatchNo, Position)>, Fault> {
    let position = segments.form.segment_bytes.first_frame(segment);
    if let Some((batch_no, _)) = head_at(segments, position, end)? {
        return Ok(Some((batch_no, position)));
    }
    let batch = walk::search(segments, position, BatchNo::new(0), end)?;
    Ok(batch.map(|batch| (batch.mark().batch_no, batch.mark().position)))
}

/// A frame head's number and length, its body unchecked.
fn head_at(segments: &Segments, position: Position, end: Position) -> Result<Option<(BatchNo, u64)>, Fault> {
    if position >= end {
        return Ok(None);
    }
    let head = segments.read(position, to_u64(HEAD_BYTES))?;
    let head = Head::check(&segments.form, position, &head).ok();
    Ok(head.map(|head| (head.batch_no, head.frame_bytes)))
}

#[cfg(test)]
mod tests {
    use crate::{BatchNo, Closed, Config, FileJournal, Journal, LogId, MemoryDisk, ReadError, SegmentBytes};

    #[test]
    fn every_batch_is_found_by_its_number() {
        let disk = MemoryDisk::new();
        FileJournal::create(&disk.volume(), &LogId::new([7; 16]), SegmentBytes::MIN).unwrap();
        let closed = Closed::lock(&disk.volume(), &disk.volume()).unwrap();
        let (mut journal, _) = closed.recover(Config::inline(), None).unwrap();
        let reader = journal.reader();
        let mut marks = Vec::new();
        for number in 0..700_u64 {
            let blob = vec![1; usize::try_from(number * 37 % 1500).unwrap()];
            marks.push(journal.append(&number.to_le_bytes(), &[&blob]).unwrap().mark);
            // Asked while it grows, from far and near.
            for asked in [number, number / 2, number.saturating_sub(5)] {
                let batch = reader.read_number(BatchNo::new(asked)).unwrap();
                assert_eq!(batch.meta(), asked.to_le_bytes());
                assert_eq!(batch.mark(), marks[usize::try_from(asked).unwrap()]);
            }
        }
        assert!(disk.names().iter().filter(|name| name.ends_with(".seg")).count() > 6);
        assert!(matches!(reader.read_number(BatchNo::new(700)), Err(ReadError::BeyondEnd { .. })));
    }
}
