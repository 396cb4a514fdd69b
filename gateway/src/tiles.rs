//! A log's tiles and its published checkpoint, as a folder that an auditor can copy (C2SP
//! `tlog-tiles`). Derived from the journal. Not here: proofs (`proto::log`).

pub mod behind;
pub mod files;

use std::{collections::BTreeMap, io};

use files::Files;
use proto::{
    batch::Batch,
    digest::Digest,
    log::{
        checkpoint::Checkpoint,
        merkle::{self, Frontier, HashReader, leaf_hash},
        note::{SignedNote, VerifierKey},
        shard,
        tile::{EntryBundle, HashTile, TileReader, WIDTH_MAX, entry_bundles, hash_tiles},
    },
};

use crate::{
    fault::Fault,
    history::{History, Log, leaves, size_before},
};

/// How many full tiles and bundles wait in memory to be written.
pub const UNWRITTEN_MAX: usize = 1024;

/// The file that the checkpoint is published in.
const CHECKPOINT: &str = "checkpoint";
const WIDTH: usize = 256;

/// A log's tiles. They follow the journal: all leaves below their size are in them.
#[derive(Debug)]
pub struct Tiles<F> {
    files: F,
    log: Log,
    size: u64,
    /// The last tile of each level, as far as it is filled.
    edge: Vec<Vec<Digest>>,
    /// The entries of the last bundle.
    entries: Vec<Vec<u8>>,
    /// Full tiles and bundles that are not in a file yet.
    unwritten: BTreeMap<String, Vec<u8>>,
    /// The size that the published checkpoint vouches for.
    published: u64,
    /// The batch in which catching up goes on, as long as the size is still this.
    catching_up: Option<(u64, u64)>,
}

impl<F: Files> Tiles<F> {
    /// Takes a folder up. Tiles that do not lead to the published checkpoint's root are made again.
    ///
    /// # Errors
    /// [`Fault::BehindPublished`] when the checkpoint is of a longer log than the journal holds.
    pub fn open(files: F, log: Log, key: &VerifierKey, size: u64) -> Result<Self, Fault> {
        let mut tiles = Self::empty(files, log);
        let Some(checkpoint) = tiles.published_checkpoint(key) else {
            return Ok(tiles);
        };
        if checkpoint.size > size {
            return Err(Fault::BehindPublished { published: checkpoint.size, recovered: size });
        }
        if tiles.load(&checkpoint).is_none() {
            tracing::warn!(?log, size = checkpoint.size, "tiles are damaged: made again from the journal");
            tiles.forget();
        }
        Ok(tiles)
    }

    /// Tiles of no leaf yet.
    pub fn empty(files: F, log: Log) -> Self {
        let (edge, entries, unwritten) = (Vec::new(), Vec::new(), BTreeMap::new());
        Self { files, log, size: 0, edge, entries, unwritten, published: 0, catching_up: None }
    }

    /// Leaves in the tiles.
    #[must_use]
    pub const fn size(&self) -> u64 {
        self.size
    }

    /// The size of the published checkpoint.
    #[must_use]
    pub const fn published(&self) -> u64 {
        self.published
    }

    /// The folder.
    #[must_use]
    pub const fn files(&self) -> &F {
        &self.files
    }

    /// The folder, for tests that damage it.
    pub const fn files_mut(&mut self) -> &mut F {
        &mut self.files
    }

    /// Gives the folder back.
    #[must_use]
    pub fn into_files(self) -> F {
        self.files
    }

    /// Hashes of the tree of a size that is not above the tiles' own.
    pub fn reader(&self, size: u64) -> impl HashReader + '_ {
        TileReader::new(size, |tile| self.tile(tile))
    }

    /// Takes the leaves of a batch that begins where the tiles end.
    pub fn follow(&mut self, size_before: u64, leaves: impl IntoIterator<Item = Vec<u8>>) {
        for (index, leaf) in (size_before..).zip(leaves) {
            if index == self.size {
                self.append(leaf);
            }
        }
        if self.unwritten.len() > UNWRITTEN_MAX && self.write().is_err() {
            tracing::warn!(log = ?self.log, "tiles cannot be written: to be made again from the journal");
            self.forget();
        }
    }

    /// Takes leaves that are missing, of at most so many batches.
    ///
    /// # Errors
    /// [`Fault::Read`] when the journal cannot be read, also where it is damaged: what is missing
    /// there cannot be made again.
    pub fn catch_up(&mut self, history: &History, size: u64, batches_max: u64) -> Result<(), Fault> {
        if self.size >= size {
            return Ok(());
        }
        let first = match self.catching_up {
            Some((size, batch)) if size == self.size => batch,
            Some(_) | None => history.batch_of_leaf(self.log, self.size)?,
        };
        for number in (first..history.batches()).take(usize::try_from(batches_max).unwrap_or(usize::MAX)) {
            let batch = history.batch(number)?;
            self.follow(size_before(&batch, self.log), leaves(&batch, self.log));
            self.write()?;
            let reached = size_before(&batch, self.log).saturating_add(count(&batch, self.log));
            // Below it when everything was forgotten meanwhile.
            self.catching_up = Some((reached, number + 1));
        }
        Ok(())
    }

    /// Writes full tiles to their files.
    ///
    /// # Errors
    /// [`Fault::Derived`].
    pub fn write(&mut self) -> Result<(), Fault> {
        while let Some(next) = self.unwritten.first_entry() {
            self.files.write(next.key(), next.get()).map_err(|error| derived(&error))?;
            next.remove();
        }
        Ok(())
    }

    /// Publishes a checkpoint of the tiles' own size: all its tiles first, then the checkpoint, each
    /// synced before the next.
    ///
    /// # Errors
    /// [`Fault::Derived`].
    pub fn publish(&mut self, note: &SignedNote) -> Result<(), Fault> {
        self.write()?;
        let partial = hash_tiles(self.published, self.size).filter(|tile| tile.width() < WIDTH_MAX);
        for tile in partial.collect::<Vec<_>>() {
            if let Some(bytes) = self.tile(tile) {
                let wanted = usize::from(tile.width()) * 32;
                let bytes = bytes.get(..wanted).unwrap_or(&bytes);
                self.files.write(&tile.to_string(), bytes).map_err(|error| derived(&error))?;
            }
        }
        let bundles = entry_bundles(self.published, self.size).filter(|bundle| bundle.width() < WIDTH_MAX);
        for bundle in bundles.collect::<Vec<_>>() {
            let bytes = bundle.encode(&self.entries)?;
            self.files.write(&bundle.to_string(), &bytes).map_err(|error| derived(&error))?;
        }
        self.files.sync().map_err(|error| derived(&error))?;
        self.files.write(CHECKPOINT, note.to_string().as_bytes()).map_err(|error| derived(&error))?;
        self.files.sync().map_err(|error| derived(&error))?;
        self.published = self.size;
        Ok(())
    }

    /// Forgets everything, to be made again from the journal.
    pub fn forget(&mut self) {
        self.size = 0;
        self.edge.clear();
        self.entries.clear();
        self.unwritten.clear();
        // What is published stays so: only what is missing behind it is written again, and that is
        // everything.
        self.published = 0;
    }

    fn append(&mut self, leaf: Vec<u8>) {
        let mut hash = leaf_hash(&leaf);
        let index = self.size / 256;
        self.entries.push(leaf);
        if self.entries.len() == WIDTH {
            self.fill_bundle(index);
        }
        let mut place = index;
        for level in 0..=u8::MAX {
            let at = usize::from(level);
            if self.edge.len() == at {
                self.edge.push(Vec::new());
            }
            let Some(tile) = self.edge.get_mut(at) else { break };
            tile.push(hash);
            if tile.len() < WIDTH {
                break;
            }
            let full = std::mem::take(tile);
            let mut subtree = Frontier::default();
            subtree.extend(full.iter().copied());
            hash = subtree.root();
            if let Ok(tile) = HashTile::new(level, place, WIDTH_MAX) {
                self.unwritten.insert(tile.to_string(), bytes_of(&full));
            }
            place /= 256;
        }
        self.size = self.size.saturating_add(1);
    }

    fn fill_bundle(&mut self, index: u64) {
        let entries = std::mem::take(&mut self.entries);
        let bundle = EntryBundle::new(index, WIDTH_MAX);
        if let Ok((bundle, bytes)) = bundle.and_then(|bundle| Ok((bundle, bundle.encode(&entries)?))) {
            self.unwritten.insert(bundle.to_string(), bytes);
        }
    }

    /// A tile, or a wider state of it.
    fn tile(&self, tile: HashTile) -> Option<Vec<u8>> {
        let filled = self.size.checked_shr(u32::from(tile.level()).checked_mul(8)?).unwrap_or(0);
        if tile.index() == filled / 256 {
            return self.edge.get(usize::from(tile.level())).map(|hashes| bytes_of(hashes));
        }
        let path = tile.full().to_string();
        if let Some(bytes) = self.unwritten.get(&path) {
            return Some(bytes.clone());
        }
        self.files.read(&path).ok().flatten()
    }

    fn published_checkpoint(&self, key: &VerifierKey) -> Option<Checkpoint> {
        let bytes = self.files.read(CHECKPOINT).ok().flatten()?;
        let note = SignedNote::parse(std::str::from_utf8(&bytes).ok()?).ok()?;
        Some(shard::open(&note, key).ok()?.1)
    }

    /// Reads the edge as the published checkpoint has it.
    fn load(&mut self, checkpoint: &Checkpoint) -> Option<()> {
        let mut nodes = checkpoint.size;
        for level in 0.. {
            if nodes == 0 {
                break;
            }
            let width = u16::try_from(nodes % 256).ok()?;
            self.edge.push(self.load_edge(level, nodes / 256, width)?);
            nodes /= 256;
        }
        let width = u16::try_from(checkpoint.size % 256).ok()?;
        if width > 0 {
            let bundle = EntryBundle::new(checkpoint.size / 256, width).ok()?;
            let bytes = self.files.read(&bundle.to_string()).ok().flatten()?;
            self.entries = bundle.decode(&bytes).ok()?.into_iter().map(<[u8]>::to_vec).collect();
        }
        self.size = checkpoint.size;
        self.published = checkpoint.size;
        let root = merkle::root(checkpoint.size, &self.reader(checkpoint.size)).ok()?;
        (root == checkpoint.root && self.entries_match()).then_some(())
    }

    fn load_edge(&self, level: u8, index: u64, width: u16) -> Option<Vec<Digest>> {
        if width == 0 {
            return Some(Vec::new());
        }
        let tile = HashTile::new(level, index, width).ok()?;
        let bytes = self.files.read(&tile.to_string()).ok().flatten()?;
        let (hashes, rest) = bytes.as_chunks::<32>();
        let whole = rest.is_empty() && hashes.len() == usize::from(width);
        whole.then(|| hashes.iter().copied().map(Digest).collect())
    }

    fn entries_match(&self) -> bool {
        let hashes = self.entries.iter().map(|entry| leaf_hash(entry));
        self.edge.first().map_or(self.entries.is_empty(), |edge| hashes.eq(edge.iter().copied()))
    }
}

fn count(batch: &Batch, log: Log) -> u64 {
    u64::try_from(leaves(batch, log).count()).unwrap_or(u64::MAX)
}

fn bytes_of(hashes: &[Digest]) -> Vec<u8> {
    hashes.iter().flat_map(|hash| *hash.as_bytes()).collect()
}

fn derived(error: &io::Error) -> Fault {
    Fault::Derived(error.kind())
}

#[cfg(test)]
mod tests {
    use super::*;
    use files::MemoryFiles;

    /// A folder that can take only so many files more.
    #[derive(Debug, Default)]
    struct Full {
        files: MemoryFiles,
        takes: usize,
    }

    impl Files for Full {
        fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
            self.files.read(path)
        }

        fn write(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
            self.takes = self.takes.checked_sub(1).ok_or(io::ErrorKind::StorageFull)?;
            self.files.write(path, bytes)
        }

        fn sync(&mut self) -> io::Result<()> {
            self.files.sync()
        }
    }

    fn leaf(number: u64) -> Vec<u8> {
        number.to_be_bytes().to_vec()
    }

    #[test]
    fn what_could_not_be_written_is_written_later() {
        let mut tiles = Tiles::empty(Full { takes: 3, ..Full::default() }, Log::Evidence);
        tiles.follow(0, (0..1024).map(leaf));
        assert_eq!(tiles.write(), Err(Fault::Derived(io::ErrorKind::StorageFull)));
        tiles.files_mut().takes = 100;
        tiles.write().unwrap();
        for number in 0..4 {
            for kind in ["0", "entries"] {
                assert!(tiles.files().read(&format!("tile/{kind}/00{number}")).unwrap().is_some());
            }
        }
        let hashes: Vec<_> = (0..1024).map(|number| leaf_hash(&leaf(number))).collect();
        let mut frontier = Frontier::default();
        frontier.extend(hashes);
        assert_eq!(merkle::root(1024, &tiles.reader(1024)), Ok(frontier.root()));
    }

    #[test]
    fn a_folder_that_takes_nothing_does_not_fill_the_memory() {
        let mut tiles = Tiles::empty(Full::default(), Log::Evidence);
        let leaves = u64::try_from(UNWRITTEN_MAX).unwrap() * 256;
        for first in (0..leaves).step_by(4096) {
            tiles.follow(first, (first..first + 4096).map(leaf));
        }
        assert!(tiles.unwritten.len() <= UNWRITTEN_MAX, "{}", tiles.unwritten.len());
        assert!(tiles.size() < leaves, "forgotten, to be made again");
    }

    #[test]
    fn every_size_reads_back_as_it_was_published() {
        let key = proto::key::SigningKey::from_seed(&[1; 32]);
        let origin = proto::log::checkpoint::Origin::parse("log.example").unwrap();
        let verifier =
            VerifierKey::new(origin.key_name().clone(), proto::log::note::KeyType::Ed25519, key.public());
        let mut files = MemoryFiles::default();
        let mut frontier = Frontier::default();
        for (first, size) in [(0, 1), (1, 255), (255, 256), (256, 257), (257, 700), (700, 66_000)] {
            let mut tiles = Tiles::open(files, Log::Evidence, &verifier, size).unwrap();
            assert_eq!(tiles.size(), first, "taken up where it was published");
            tiles.follow(first, (first..size).map(leaf));
            frontier.extend((first..size).map(|number| leaf_hash(&leaf(number))));
            let checkpoint = Checkpoint { origin: origin.clone(), size, root: frontier.root() };
            assert_eq!(merkle::root(size, &tiles.reader(size)), Ok(checkpoint.root));
            tiles.publish(&checkpoint.sign(&key)).unwrap();
            files = tiles.into_files();
        }
        let behind = Tiles::open(files, Log::Evidence, &verifier, 65_999);
        assert_eq!(behind.err(), Some(Fault::BehindPublished { published: 66_000, recovered: 65_999 }));
    }
}
