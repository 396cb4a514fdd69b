//! Tiles and entry bundles of C2SP `tlog-tiles`: their paths, their bytes, and which of them a
//! growing tree needs. Not here: files and fetching; the reader asks a closure.

use std::fmt;

use crate::{Malformed, digest::Digest};

use super::{
    SIZE_MAX,
    encoding::{parse_decimal, too_large},
    merkle::{Frontier, HashReader},
};

/// Hashes in a full tile, and entries in a full bundle.
pub const WIDTH_MAX: u16 = 256;
/// Bytes of a hash in a tile.
pub const HASH_BYTES: usize = 32;
/// Bytes of a full tile.
pub const TILE_BYTES_MAX: usize = 8192;
/// The highest tile level that a path may name.
pub const LEVEL_MAX: u8 = 63;
/// The largest entry that a bundle can hold, in bytes.
pub const ENTRY_BYTES_MAX: usize = 65_535;

/// Levels of the tree that a tile spans.
const HEIGHT: u8 = 8;

/// What a path below the log's prefix can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TilePath {
    /// `tile/<L>/<N>[.p/<W>]`
    Hashes(HashTile),
    /// `tile/entries/<N>[.p/<W>]`
    Entries(EntryBundle),
}

impl TilePath {
    /// Reads a path (C2SP `tlog-tiles`, Merkle Tree and Log entries).
    ///
    /// # Errors
    /// [`Malformed::Form`] for anything that [`fmt::Display`] would not write.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let rest = text.strip_prefix("tile/").ok_or(BAD_PATH)?;
        let (level, rest) = rest.split_once('/').ok_or(BAD_PATH)?;
        let (index, width) = parse_place(rest)?;
        if level == "entries" {
            return Ok(Self::Entries(EntryBundle { index, width }));
        }
        let level = u8::try_from(parse_decimal(level, PATH)?).map_err(|_| BAD_PATH)?;
        HashTile::new(level, index, width).map(Self::Hashes)
    }
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hashes(tile) => tile.fmt(f),
            Self::Entries(bundle) => bundle.fmt(f),
        }
    }
}

/// A tile: up to 256 hashes of neighbouring nodes, each of 256^level leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct HashTile {
    level: u8,
    index: u64,
    width: u16,
}

impl HashTile {
    /// The tile `index` of a level; `width` is the number of hashes, 256 for a full tile.
    ///
    /// # Errors
    /// [`Malformed::Form`] for a level above [`LEVEL_MAX`], an index above [`SIZE_MAX`] or a width
    /// outside 1 to 256.
    pub fn new(level: u8, index: u64, width: u16) -> Result<Self, Malformed> {
        if level > LEVEL_MAX || !is_place(index, width) {
            return Err(BAD_PATH);
        }
        Ok(Self { level, index, width })
    }

    /// Tile level: 0 holds leaf hashes.
    #[must_use]
    pub const fn level(self) -> u8 {
        self.level
    }

    /// Position within the level.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.index
    }

    /// Hashes in the tile, 1 to 256.
    #[must_use]
    pub const fn width(self) -> u16 {
        self.width
    }

    /// The full tile that this one is, or will become.
    #[must_use]
    pub const fn full(self) -> Self {
        Self { width: WIDTH_MAX, ..self }
    }

    /// The tile's bytes: its hashes, one after the other.
    ///
    /// `None` when the reader does not have a hash.
    #[must_use]
    pub fn bytes(self, reader: &(impl HashReader + ?Sized)) -> Option<Vec<u8>> {
        let level = self.level.checked_mul(HEIGHT)?;
        let first = self.index.checked_mul(WIDTH_MAX.into())?;
        let mut bytes = Vec::with_capacity(TILE_BYTES_MAX);
        for offset in 0..u64::from(self.width) {
            let hash = reader.hash(level, first.checked_add(offset)?)?;
            bytes.extend_from_slice(hash.as_bytes());
        }
        Some(bytes)
    }
}

impl fmt::Display for HashTile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tile/{}/", self.level)?;
        write_place(f, self.index, self.width)
    }
}

/// A bundle: up to 256 neighbouring entries of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct EntryBundle {
    index: u64,
    width: u16,
}

impl EntryBundle {
    /// The bundle `index` of the log; `width` is the number of entries, 256 for a full bundle.
    ///
    /// # Errors
    /// [`Malformed::Form`] for an index above [`SIZE_MAX`] or a width outside 1 to 256.
    pub fn new(index: u64, width: u16) -> Result<Self, Malformed> {
        if !is_place(index, width) {
            return Err(BAD_PATH);
        }
        Ok(Self { index, width })
    }

    /// Position among the bundles; the first entry's index in the log is 256 times this.
    #[must_use]
    pub const fn index(self) -> u64 {
        self.index
    }

    /// Entries in the bundle, 1 to 256.
    #[must_use]
    pub const fn width(self) -> u16 {
        self.width
    }

    /// The bundle's bytes: each entry after its length in two bytes, big-endian.
    ///
    /// # Errors
    /// [`Malformed::Length`] when there are not exactly as many entries as the bundle is wide;
    /// [`Malformed::TooLarge`] for an entry above [`ENTRY_BYTES_MAX`].
    pub fn encode(self, entries: &[impl AsRef<[u8]>]) -> Result<Vec<u8>, Malformed> {
        if entries.len() != usize::from(self.width) {
            return Err(BAD_BUNDLE);
        }
        let mut bytes = Vec::new();
        for entry in entries.iter().map(AsRef::as_ref) {
            let length =
                u16::try_from(entry.len()).map_err(|_| too_large("bundle.entry", ENTRY_BYTES_MAX))?;
            bytes.extend_from_slice(&length.to_be_bytes());
            bytes.extend_from_slice(entry);
        }
        Ok(bytes)
    }

    /// Reads the bundle's bytes; gives its entries.
    ///
    /// # Errors
    /// [`Malformed::Length`] when the bytes are not exactly as many whole entries as the bundle is
    /// wide.
    pub fn decode(self, bytes: &[u8]) -> Result<Vec<&[u8]>, Malformed> {
        let mut entries = Vec::with_capacity(self.width.into());
        let mut rest = bytes;
        for _ in 0..self.width {
            let (length, after) = rest.split_first_chunk().ok_or(BAD_BUNDLE)?;
            let length = u16::from_be_bytes(*length);
            let (entry, after) = after.split_at_checked(length.into()).ok_or(BAD_BUNDLE)?;
            entries.push(entry);
            rest = after;
        }
        if rest.is_empty() { Ok(entries) } else { Err(BAD_BUNDLE) }
    }
}

impl fmt::Display for EntryBundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tile/entries/")?;
        write_place(f, self.index, self.width)
    }
}

/// The tiles that the tree of `new_size` leaves has and the tree of `old_size` leaves had not, level
/// by level: those completed in between, then the partial one of the new size. A tree of 256 leaves
/// has a partial tile of width 1 at level 1.
pub fn hash_tiles(old_size: u64, new_size: u64) -> impl Iterator<Item = HashTile> {
    let sizes =
        std::iter::successors(Some((old_size, new_size)), |(old, new)| Some((old >> HEIGHT, new >> HEIGHT)));
    (0..=LEVEL_MAX).zip(sizes).take_while(|(_, (_, new))| *new > 0).flat_map(|(level, (old, new))| {
        places(old, new).map(move |(index, width)| HashTile { level, index, width })
    })
}

/// The entry bundles that the tree of `new_size` leaves has and the tree of `old_size` leaves had
/// not.
pub fn entry_bundles(old_size: u64, new_size: u64) -> impl Iterator<Item = EntryBundle> {
    places(old_size, new_size).map(|(index, width)| EntryBundle { index, width })
}

/// A level that grows from `old` to `new` nodes: index and width of the tiles that are new.
fn places(old: u64, new: u64) -> impl Iterator<Item = (u64, u16)> {
    let [_, _, _, _, _, _, _, rest] = new.to_be_bytes();
    let partial = (old < new && rest > 0).then_some((new >> HEIGHT, rest.into()));
    (old >> HEIGHT..new >> HEIGHT).map(|index| (index, WIDTH_MAX)).chain(partial)
}

/// Reads the hashes of the tree of one size out of its tiles.
///
/// `fetch` is asked for a tile as the tree of that size has it, and if it has none and the tile is
/// partial, for the full one that has replaced it. It may answer with any wider state of the same
/// tile. An answer that is too short, too long or not whole hashes counts as none.
#[derive(Debug, Clone)]
pub struct TileReader<F> {
    size: u64,
    fetch: F,
}

impl<F: Fn(HashTile) -> Option<Vec<u8>>> TileReader<F> {
    /// A reader for the tree of `size` leaves.
    pub const fn new(size: u64, fetch: F) -> Self {
        Self { size, fetch }
    }

    fn tile(&self, tile: HashTile) -> Option<Vec<u8>> {
        let fetch = |tile| (self.fetch)(tile).filter(|bytes| fits(tile, bytes));
        if tile == tile.full() {
            return fetch(tile);
        }
        fetch(tile).or_else(|| fetch(tile.full()))
    }
}

impl<F: Fn(HashTile) -> Option<Vec<u8>>> HashReader for TileReader<F> {
    fn hash(&self, level: u8, index: u64) -> Option<Digest> {
        let tile_level = level / HEIGHT;
        let height = u32::from(level % HEIGHT);
        let nodes_of_level = self.size.checked_shr(u32::from(tile_level).checked_mul(HEIGHT.into())?)?;
        let count = 1u64.checked_shl(height)?;
        let first = index.checked_mul(count)?;
        if first.checked_add(count)? > nodes_of_level {
            return None;
        }
        let tile_index = first >> HEIGHT;
        let before = tile_index << HEIGHT;
        let width = nodes_of_level.checked_sub(before)?.min(WIDTH_MAX.into());
        let bytes =
            self.tile(HashTile { level: tile_level, index: tile_index, width: u16::try_from(width).ok()? })?;
        let skip = usize::try_from(first.checked_sub(before)?).ok()?;
        let (hashes, _) = bytes.as_chunks::<HASH_BYTES>();
        let mut subtree = Frontier::default();
        let covered = hashes.iter().skip(skip).take(usize::try_from(count).ok()?);
        subtree.extend(covered.copied().map(Digest));
        Some(subtree.root())
    }
}

fn fits(tile: HashTile, bytes: &[u8]) -> bool {
    let (hashes, rest) = bytes.as_chunks::<HASH_BYTES>();
    let widths = usize::from(tile.width)..=usize::from(WIDTH_MAX);
    rest.is_empty() && widths.contains(&hashes.len())
}

const PATH: &str = "tile.path";
const BAD_PATH: Malformed = Malformed::Form { field: PATH };
const BAD_BUNDLE: Malformed = Malformed::Length { field: "bundle" };

fn is_place(index: u64, width: u16) -> bool {
    index <= SIZE_MAX && (1..=WIDTH_MAX).contains(&width)
}

/// Writes `<N>[.p/<W>]`: the index in groups of three digits, `x` before all but the last.
fn write_place(f: &mut fmt::Formatter<'_>, index: u64, width: u16) -> fmt::Result {
    let digits = index.to_string();
    let padding = match digits.len() % 3 {
        1 => "00",
        2 => "0",
        _ => "",
    };
    let padded = format!("{padding}{digits}");
    let (groups, _) = padded.as_bytes().as_chunks::<3>();
    let (last, others) = groups.split_last().ok_or(fmt::Error)?;
    for group in others {
        write!(f, "x{}/", group.escape_ascii())?;
    }
    write!(f, "{}", last.escape_ascii())?;
    if width < WIDTH_MAX {
        write!(f, ".p/{width}")?;
    }
    Ok(())
}

fn parse_place(text: &str) -> Result<(u64, u16), Malformed> {
    let (index, width) = match text.split_once(".p/") {
        Some((index, width)) => (index, parse_width(width)?),
        None => (text, WIDTH_MAX),
    };
    let (others, last) = match index.rsplit_once('/') {
        Some((others, last)) => (Some(others), last),
        None => (None, index),
    };
    let mut digits = String::new();
    for group in others.into_iter().flat_map(|others| others.split('/')) {
        digits.push_str(group.strip_prefix('x').filter(|g| g.len() == 3).ok_or(BAD_PATH)?);
    }
    if last.len() != 3 || digits.starts_with("000") {
        return Err(BAD_PATH);
    }
    digits.push_str(last);
    let unpadded = match digits.trim_start_matches('0') {
        "" => "0",
        unpadded => unpadded,
    };
    Ok((parse_decimal(unpadded, PATH)?, width))
}

fn parse_width(text: &str) -> Result<u16, Malformed> {
    match u16::try_from(parse_decimal(text, PATH)?) {
        Ok(width) if (1..WIDTH_MAX).contains(&width) => Ok(width),
        Ok(_) | Err(_) => Err(BAD_PATH),
    }
}
