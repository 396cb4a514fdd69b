//! From frame to frame: the next batch after a place, across segments and around damage. The one
//! reading of the format that recovery, readers and the eraser share. Not here: what to do about
//! damage.

use crate::{
    batch::Batch,
    fault::{Damaged, Fault, What},
    frame::{ALIGN_BYTES, Bad, HEAD_BYTES, Head, MAGIC},
    position::{BatchNo, Mark, Position, SegmentNo},
    segments::Segments,
    width::{is_zero, to_u64},
};

/// How much a search reads at a time.
pub(crate) const WINDOW_BYTES: u64 = 256 * 1024;

/// What comes after a place.
pub(crate) enum Found {
    Batch(Batch),
    /// Something that is no batch, and a whole batch behind it.
    Damaged {
        damaged: Damaged,
        resumes: Mark,
    },
    /// No whole batch anywhere behind it.
    Nothing,
}

/// The frame that begins at `position` and ends no later than `limit`.
pub(crate) fn frame_at(
    segments: &Segments,
    position: Position,
    limit: Position,
) -> Result<Result<Batch, Bad>, Fault> {
    let form = &segments.form;
    let left = form.segment_bytes.left(position).min(limit.get().saturating_sub(position.get()));
    if left < to_u64(HEAD_BYTES) {
        return Ok(Err(Bad::Blank));
    }
    let head = segments.read(position, to_u64(HEAD_BYTES))?;
    match Head::check(form, position, &head) {
        Ok(head) if head.frame_bytes <= left => {
            let frame = segments.read(position, head.frame_bytes)?;
            Ok(head.batch(form, position, frame))
        }
        Ok(_) => Ok(Err(Bad::Head)),
        Err(bad) => Ok(Err(bad)),
    }
}

/// The batch after `cursor`, looking no farther than `limit`.
pub(crate) fn next(segments: &Segments, cursor: Mark, limit: Position) -> Result<Found, Fault> {
    let bad = match frame_at(segments, cursor.position, limit)? {
        Ok(batch) if batch.mark.batch_no == cursor.batch_no => return Ok(Found::Batch(batch)),
        Ok(_) => Bad::Head,
        Err(bad) => bad,
    };
    let rolled = segments.first_since(segments.form.segment_bytes.roll_target(cursor.position));
    if let Some(batch) = first_of(segments, rolled, limit)?
        && batch.mark.batch_no == cursor.batch_no
    {
        // The number is the next one: nothing lies between, whatever the rest of the segment holds.
        return Ok(Found::Batch(batch));
    }
    let from = match bad {
        Bad::Blank | Bad::Head => cursor.position,
        // The good head vouches for the length: content is not searched.
        Bad::Body { frame_bytes } => cursor.position.plus(frame_bytes),
    };
    let Some(batch) = search(segments, from, cursor.batch_no, limit)? else {
        return Ok(Found::Nothing);
    };
    let resumes = batch.mark;
    let damaged = Damaged { position: cursor.position, what: What::Records { resumes } };
    Ok(Found::Damaged { damaged, resumes })
}

fn first_of(
    segments: &Segments,
    segment: Option<SegmentNo>,
    limit: Position,
) -> Result<Option<Batch>, Fault> {
    let Some(segment) = segment else {
        return Ok(None);
    };
    Ok(frame_at(segments, segments.form.segment_bytes.first_frame(segment), limit)?.ok())
}

/// The first whole batch at or after `from` whose number is at least `least`.
pub(crate) fn search(
    segments: &Segments,
    from: Position,
    least: BatchNo,
    limit: Position,
) -> Result<Option<Batch>, Fault> {
    let size = segments.form.segment_bytes;
    for segment in segments.since(size.segment_of(from)) {
        let mut at = from.max(size.first_frame(segment));
        while at < limit && size.segment_of(at) == segment {
            let bytes = WINDOW_BYTES.min(size.left(at));
            let window = segments.read(at, bytes)?;
            if let Some(batch) = search_window(segments, at, &window, least, limit)? {
                return Ok(Some(batch));
            }
            at = at.plus(bytes);
        }
    }
    Ok(None)
}

fn search_window(
    segments: &Segments,
    at: Position,
    window: &[u8],
    least: BatchNo,
    limit: Position,
) -> Result<Option<Batch>, Fault> {
    if is_zero(window) {
        return Ok(None);
    }
    let (words, _) = window.as_chunks::<8>();
    let mut position = at;
    for word in words {
        if word.starts_with(&MAGIC)
            && let Ok(batch) = frame_at(segments, position, limit)?
            && batch.mark.batch_no >= least
        {
            return Ok(Some(batch));
        }
        position = position.plus(ALIGN_BYTES);
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use crate::{frame, position::SegmentBytes, walk::WINDOW_BYTES};

    #[test]
    fn windows_are_whole_words() {
        assert!(WINDOW_BYTES.is_multiple_of(frame::ALIGN_BYTES));
        assert!(SegmentBytes::MIN.usable().is_multiple_of(frame::ALIGN_BYTES));
    }
}
