//! One file's bytes, sparse, and the changes that are not durable yet. Not here: names, faults.

use std::collections::BTreeMap;

use crate::width::{is_zero, to_u64, to_usize};

const SECTOR_BYTES: usize = 512;

/// Sparse bytes: a sector that is not there is zeros.
#[derive(Clone, Default)]
pub(super) struct Content {
    len: u64,
    sectors: BTreeMap<u64, [u8; SECTOR_BYTES]>,
}

#[derive(Clone)]
pub(super) enum Change {
    Write { offset: u64, bytes: Vec<u8> },
    Zero { offset: u64, bytes: u64 },
    Len(u64),
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    pub(super) fn read(&self, offset: u64, into: &mut [u8]) -> usize {
        let there = to_usize(self.len.saturating_sub(offset)).min(into.len());
        let into = into.get_mut(..there).unwrap_or_default();
        into.fill(0);
        let size = to_u64(SECTOR_BYTES);
        let end = offset + to_u64(there);
        for (number, sector) in self.sectors.range(offset / size..end.div_ceil(size)) {
            let start = number * size;
            let (from, until) = (start.max(offset), end.min(start + size));
            let part = sector.get(to_usize(from - start)..to_usize(until - start));
            let place = into.get_mut(to_usize(from - offset)..to_usize(until - offset));
            if let (Some(part), Some(place)) = (part, place) {
                place.copy_from_slice(part);
            }
        }
        there
    }

    pub(super) fn apply(&mut self, change: &Change) {
        match change {
            Change::Write { offset, bytes } => self.write(*offset, bytes),
            Change::Zero { offset, bytes } => self.zero(*offset, *bytes),
            Change::Len(len) => self.set_len(*len),
        }
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) {
        let mut at = offset;
        let mut rest = bytes;
        while !rest.is_empty() {
            let number = at / to_u64(SECTOR_BYTES);
            let within = to_usize(at % to_u64(SECTOR_BYTES));
            let (piece, after) = rest.split_at(rest.len().min(SECTOR_BYTES - within));
            self.write_within(number, within, piece);
            at += to_u64(piece.len());
            rest = after;
        }
        self.len = self.len.max(at);
    }

    fn write_within(&mut self, number: u64, within: usize, piece: &[u8]) {
        if is_zero(piece) && !self.sectors.contains_key(&number) {
            return;
        }
        let sector = self.sectors.entry(number).or_insert([0; SECTOR_BYTES]);
        crate::width::put(sector, within, piece);
    }

    fn zero(&mut self, offset: u64, bytes: u64) {
        let end = offset + bytes;
        let size = to_u64(SECTOR_BYTES);
        let touched: Vec<u64> =
            self.sectors.range(offset / size..end.div_ceil(size)).map(|(n, _)| *n).collect();
        for number in touched {
            let start = number * size;
            let (from, until) = (start.max(offset), end.min(start + size));
            self.write_within(number, to_usize(from - start), &vec![0; to_usize(until - from)]);
        }
        self.len = self.len.max(end);
    }

    fn set_len(&mut self, len: u64) {
        if len < self.len {
            self.zero(len, self.len - len);
        }
        self.len = len;
    }
}

/// A file: what a reader sees, what is durable, and the difference in order.
#[derive(Default)]
pub(super) struct MemoryContent {
    now: Content,
    durable: Content,
    unsynced: Vec<Change>,
}

impl MemoryContent {
    pub(super) fn at_rest(bytes: &[u8]) -> Self {
        let mut content = Content::default();
        content.write(0, bytes);
        Self { now: content.clone(), durable: content, unsynced: Vec::new() }
    }

    pub(super) fn now(&self) -> &Content {
        &self.now
    }

    pub(super) fn change(&mut self, change: Change) {
        self.now.apply(&change);
        self.unsynced.push(change);
    }

    pub(super) fn sync(&mut self) {
        for change in self.unsynced.drain(..) {
            self.durable.apply(&change);
        }
    }

    /// Power loss: what `survives` makes of each unsynced change is all that reaches the disk.
    pub(super) fn cut(&mut self, mut survives: impl FnMut(Change) -> Vec<Change>) {
        for change in self.unsynced.drain(..) {
            for part in survives(change) {
                self.durable.apply(&part);
            }
        }
        self.now = self.durable.clone();
    }

    pub(super) fn flip(&mut self, bit: u64) {
        for content in [&mut self.now, &mut self.durable] {
            let offset = bit / 8;
            let mut byte = [0];
            if content.read(offset, &mut byte) == 1 {
                content.write(offset, &[byte[0] ^ (1 << (bit % 8))]);
            }
        }
    }
}
