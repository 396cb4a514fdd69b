//! Recovery: where the journal ends, what is damaged, and how a torn tail is cut. Not here: what
//! the owner does about damage.

use crate::{
    anchor::AnchorFound,
    closed::Closed,
    fault::{Damaged, Fault, OpenError, What},
    header::{self, SEGMENT_HEAD_BYTES},
    position::{BatchNo, Mark, Position, SegmentBytes, SegmentNo},
    segments::Segments,
    walk::{self, Found, WINDOW_BYTES},
    width::is_zero,
};

/// How many damages are named; more are not listed.
pub const DAMAGE_MAX: usize = 1024;

/// What opening found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recovered {
    /// Where it was asked to start.
    pub from: Mark,
    /// Where the journal ends: all before it is durable.
    pub end: Mark,
    /// What the anchor says. Missing or damaged is the owner's to judge.
    pub anchor: AnchorFound,
    /// All damage that was seen, at most [`DAMAGE_MAX`].
    pub damage: Vec<Damaged>,
    /// The torn tail that was zeroed, if there was one.
    pub cut: Option<Cut>,
    pub(crate) segment_bytes: SegmentBytes,
}

impl Recovered {
    /// The damage in the segments and records that the owner is about to replay: if there is any,
    /// it should stop and ask people.
    pub fn damage_to_replay(&self) -> impl Iterator<Item = &Damaged> {
        self.damage.iter().filter(|damaged| match damaged.what {
            What::Records { resumes } => resumes.position > self.from.position,
            What::Record => damaged.position >= self.from.position,
            What::SegmentMissing | What::SegmentHead | What::SegmentLength => {
                self.segment_bytes.segment_of(damaged.position)
                    >= self.segment_bytes.segment_of(self.from.position)
            }
        })
    }
}

/// Bytes after the last whole batch that were no batch: an append that a crash cut short, which
/// was never acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cut {
    /// The first byte that was not zero.
    pub position: Position,
}

/// What reading found, before anything is changed.
pub(crate) struct Scan {
    pub(crate) from: Mark,
    pub(crate) end: Mark,
    pub(crate) anchor: AnchorFound,
    pub(crate) damage: Vec<Damaged>,
    segment_bytes: SegmentBytes,
}

/// Reads from `from` to the end, after syncing what it reads.
pub(crate) fn scan(closed: &Closed, from: Mark) -> Result<Scan, OpenError> {
    let segments = &closed.segments;
    let anchor = closed.anchor.read()?;
    sync(segments, from)?;
    let mut damage = closed.damage.clone();
    let end = walk_to_end(segments, from, &mut damage)?;
    let segment_bytes = segments.form.segment_bytes;
    Ok(Scan { from, end, anchor, damage, segment_bytes })
}

impl Scan {
    pub(crate) fn check_anchor(&self) -> Result<(), OpenError> {
        let AnchorFound::Found(anchor) = &self.anchor else {
            return Ok(());
        };
        let anchor = anchor.mark;
        if self.end.position < anchor.position || self.end.batch_no < anchor.batch_no {
            return Err(OpenError::CutBelowAnchor { anchor, end: self.end });
        }
        Ok(())
    }

    pub(crate) fn recovered(self, cut: Option<Cut>) -> Recovered {
        let Self { from, end, anchor, damage, segment_bytes } = self;
        Recovered { from, end, anchor, damage, cut, segment_bytes }
    }
}

/// After `kill -9` whole batches may be in the page cache only: they must be durable before
/// anybody acts on them.
pub(crate) fn sync(segments: &Segments, from: Mark) -> Result<(), Fault> {
    for segment in segments.since(segment_before(segments, from)) {
        if let Some(file) = segments.file(segment)? {
            file.sync()?;
        }
    }
    Ok(())
}

/// The segment that holds the byte before a place.
pub(crate) fn segment_before(segments: &Segments, place: Mark) -> SegmentNo {
    let before = Position::new(place.position.get().saturating_sub(1));
    segments.form.segment_bytes.segment_of(before)
}

pub(crate) const NO_LIMIT: Position = Position::new(u64::MAX);

fn walk_to_end(segments: &Segments, from: Mark, damage: &mut Vec<Damaged>) -> Result<Mark, OpenError> {
    let mut cursor = first_in_segment(segments, from)?;
    let mut reached = cursor == from;
    loop {
        cursor = match walk::next(segments, cursor, NO_LIMIT)? {
            Found::Batch(batch) => {
                // A batch's own place is one too: the start of the segment that it rolled to.
                reached |= batch.mark == from;
                batch.next
            }
            Found::Damaged { damaged, resumes } => {
                if damage.len() < DAMAGE_MAX {
                    damage.push(damaged);
                }
                resumes
            }
            Found::Nothing => break,
        };
        reached |= cursor == from;
    }
    if reached { Ok(cursor) } else { Err(OpenError::FromNotFound { from }) }
}

/// Where to begin so that `from` is met as the end of a whole batch: a snapshot of a journal that
/// was longer once must not start a new end in the middle of nowhere.
fn first_in_segment(segments: &Segments, from: Mark) -> Result<Mark, OpenError> {
    if from == Mark::START {
        return Ok(from);
    }
    let first = segments.form.segment_bytes.first_frame(segment_before(segments, from));
    let batch = walk::search(segments, first, BatchNo::new(0), NO_LIMIT)?;
    batch.map(|batch| batch.mark).ok_or(OpenError::FromNotFound { from })
}

/// Makes all behind the end zeros again, durably, so that stale bytes are never taken for a batch
/// later. Looks at everything before it changes anything.
pub(crate) fn cut_tail(segments: &Segments, end: Mark) -> Result<Option<Cut>, OpenError> {
    let size = segments.form.segment_bytes;
    let tail = segments.since(size.segment_of(end.position));
    let mut cut = None;
    for segment in &tail {
        let Some(position) = first_byte(segments, unused(segments, *segment, end))? else {
            continue;
        };
        // One torn batch reaches no farther than the start of the next segment.
        if *segment > size.roll_target(end.position) {
            return Err(OpenError::BytesBeyondEnd { segment: *segment });
        }
        cut = cut.or(Some(Cut { position }));
    }
    for segment in tail {
        mend(segments, segment, end)?;
    }
    Ok(cut)
}

/// The first position of a segment behind the end.
fn unused(segments: &Segments, segment: SegmentNo, end: Mark) -> Position {
    end.position.max(segments.form.segment_bytes.first_frame(segment))
}

/// The first byte from `at` to the end of its segment that is not zero.
fn first_byte(segments: &Segments, mut at: Position) -> Result<Option<Position>, Fault> {
    let size = segments.form.segment_bytes;
    while size.left(at) > 0 {
        let bytes = WINDOW_BYTES.min(size.left(at));
        let window = segments.read(at, bytes)?;
        if !is_zero(&window) {
            let before = window.iter().take_while(|byte| **byte == 0).count();
            return Ok(Some(at.plus(crate::width::to_u64(before))));
        }
        at = at.plus(bytes);
    }
    Ok(None)
}

/// Header, length and zeros of a segment that batches will still be appended to.
fn mend(segments: &Segments, segment: SegmentNo, end: Mark) -> Result<(), Fault> {
    let size = segments.form.segment_bytes;
    let Some(file) = segments.file(segment)? else {
        return Ok(());
    };
    let mut changed = false;
    let length = file.len()?;
    if length < size.get() {
        file.zero(length, size.get() - length)?;
        changed = true;
    } else if length > size.get() {
        file.set_len(size.get())?;
        changed = true;
    }
    let head = segments.read(size.position(segment, 0), SEGMENT_HEAD_BYTES)?;
    if header::decode(&head, segment).as_ref() != Some(&segments.form) {
        file.write_at(0, &header::encode(&segments.form, segment))?;
        changed = true;
    }
    let mut from = unused(segments, segment, end);
    while let Some(position) = first_byte(segments, from)? {
        let bytes = WINDOW_BYTES.min(size.left(position));
        file.zero(size.offset_of(position), bytes)?;
        tracing::trace!(target: "journal", position = position.get(), "torn tail zeroed");
        from = position.plus(bytes);
        changed = true;
    }
    if changed { file.sync() } else { Ok(()) }
}
