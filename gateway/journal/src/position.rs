//! Where things are in a journal: positions, batch numbers, segments. Not here: files.

use std::fmt;

use crate::header::SEGMENT_HEAD_BYTES;

/// A logical byte offset: segment number × segment size + offset in the segment file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position(u64);

impl Position {
    /// From the number that [`Position::get`] gave.
    #[must_use]
    pub const fn new(offset_bytes: u64) -> Self {
        Self(offset_bytes)
    }

    /// The offset in bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    pub(crate) const fn plus(self, bytes: u64) -> Self {
        Self(self.0.saturating_add(bytes))
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The number of a batch: consecutive, the first is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchNo(u64);

impl BatchNo {
    /// From the number that [`BatchNo::get`] gave.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for BatchNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A place between two batches: where the next one may begin, and its number.
///
/// The next batch begins at `position`, or at the start of a later segment if it does not fit.
/// `batch_no` is also the count of batches before this place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark {
    /// The end of the batch before this place.
    pub position: Position,
    /// The number that the batch after this place has or will have.
    pub batch_no: BatchNo,
}

impl Mark {
    /// Before the first batch.
    pub const START: Self = Self { position: Position(SEGMENT_HEAD_BYTES), batch_no: BatchNo(0) };
}

/// The number of a segment: consecutive, the first is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SegmentNo(u64);

impl SegmentNo {
    /// From the number that [`SegmentNo::get`] gave.
    #[must_use]
    pub const fn new(number: u64) -> Self {
        Self(number)
    }

    /// The number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }

    pub(crate) fn file_name(self) -> String {
        format!("{:016x}.seg", self.0)
    }

    /// The number that a file name says, if it is exactly the name that we would give.
    pub(crate) fn from_file_name(name: &str) -> Option<Self> {
        let digits = name.strip_suffix(".seg")?;
        let number = Self(u64::from_str_radix(digits, 16).ok()?);
        (number.file_name() == name).then_some(number)
    }
}

impl fmt::Display for SegmentNo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The size in bytes of every segment file of a journal: a power of two, 64 KiB to 1 GiB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentBytes(u64);

impl SegmentBytes {
    /// 64 KiB.
    pub const MIN: Self = Self(64 * 1024);
    /// 64 MiB.
    pub const DEFAULT: Self = Self(64 * 1024 * 1024);
    /// 1 GiB.
    pub const MAX: Self = Self(1024 * 1024 * 1024);

    /// `None` unless a power of two from [`Self::MIN`] to [`Self::MAX`].
    #[must_use]
    pub const fn new(bytes: u64) -> Option<Self> {
        if bytes.is_power_of_two() && bytes >= Self::MIN.0 && bytes <= Self::MAX.0 {
            Some(Self(bytes))
        } else {
            None
        }
    }

    /// The size in bytes.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0
    }

    /// The segment that holds the byte at `position`.
    #[must_use]
    pub const fn segment_of(self, position: Position) -> SegmentNo {
        SegmentNo(position.0 / self.0)
    }

    pub(crate) const fn offset_of(self, position: Position) -> u64 {
        position.0 % self.0
    }

    /// What batches may use of one segment.
    pub(crate) const fn usable(self) -> u64 {
        self.0 - SEGMENT_HEAD_BYTES
    }

    /// The position of the byte at `offset` of a segment.
    pub(crate) const fn position(self, segment: SegmentNo, offset: u64) -> Position {
        Position(segment.0.saturating_mul(self.0).saturating_add(offset))
    }

    pub(crate) const fn first_frame(self, segment: SegmentNo) -> Position {
        self.position(segment, SEGMENT_HEAD_BYTES)
    }

    /// The first segment that begins its batches after `position`.
    pub(crate) const fn roll_target(self, position: Position) -> SegmentNo {
        let here = self.segment_of(position);
        if self.offset_of(position) < SEGMENT_HEAD_BYTES { here } else { here.next() }
    }

    /// Bytes from `position` to the end of its segment, zero if it lies before the first batch.
    pub(crate) const fn left(self, position: Position) -> u64 {
        let offset = self.offset_of(position);
        if offset < SEGMENT_HEAD_BYTES { 0 } else { self.0 - offset }
    }

    /// Whether the segment's last byte still has a position.
    pub(crate) const fn can_hold(self, segment: SegmentNo) -> bool {
        segment.next().0.checked_mul(self.0).is_some() && segment.0 < u64::MAX
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_names_are_exact() {
        let segment = SegmentNo::new(0x1f);
        assert_eq!(segment.file_name(), "000000000000001f.seg");
        assert_eq!(SegmentNo::from_file_name("000000000000001f.seg"), Some(segment));
        for other in ["1f.seg", "000000000000001F.seg", "000000000000001f.se", "+00000000000001f.seg"] {
            assert_eq!(SegmentNo::from_file_name(other), None, "{other}");
        }
    }

    #[test]
    fn segment_sizes() {
        assert_eq!(SegmentBytes::new(65_536), Some(SegmentBytes::MIN));
        for refused in [0, 32_768, 65_537, 100_000, 1 << 31] {
            assert_eq!(SegmentBytes::new(refused), None, "{refused}");
        }
    }

    #[test]
    fn a_full_segment_rolls_to_the_next_one() {
        let size = SegmentBytes::MIN;
        let full = Position::new(size.get());
        assert_eq!(size.left(full), 0);
        assert_eq!(size.roll_target(full), SegmentNo::new(1));
        assert_eq!(size.roll_target(Position::new(size.get() - 8)), SegmentNo::new(1));
        assert!(!size.can_hold(SegmentNo::new(u64::MAX / 2)));
    }
}
