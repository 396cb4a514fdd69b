//! All files of the twin's disk, their names, the script of faults, and what a crash does. Not
//! here: one file's bytes.

use std::{
    collections::{BTreeMap, BTreeSet},
    io, mem,
};

use super::{
    AppendFault, Crash, Grain,
    content::{Change, MemoryContent},
};
use crate::{
    fault::{Fault, Step},
    width::{to_u64, to_usize},
};

pub(super) type FileId = u64;

pub(super) struct State {
    life: u64,
    pub(super) locked: bool,
    pub(super) lying: bool,
    pub(super) free_bytes: u64,
    /// Appends still to succeed, then the fault.
    pub(super) script: Option<(u64, AppendFault)>,
    /// Changes still to happen, then the crash.
    pub(super) fuse: Option<(u64, Crash)>,
    /// The fault of the write that has just happened, due at its sync.
    at_sync: Option<AppendFault>,
    next_id: FileId,
    files: BTreeMap<FileId, MemoryContent>,
    names: BTreeMap<String, FileId>,
    durable_names: BTreeMap<String, FileId>,
    unsynced_names: Vec<NameChange>,
}

enum NameChange {
    Link(String, FileId),
    Unlink(String),
    Rename(String, String),
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, FileId>) {
        match self {
            Self::Link(name, id) => {
                names.insert(name.clone(), *id);
            }
            Self::Unlink(name) => {
                names.remove(name);
            }
            Self::Rename(from, to) => {
                if let Some(id) = names.remove(from) {
                    names.insert(to.clone(), id);
                }
            }
        }
    }
}

impl State {
    pub(super) fn new() -> Self {
        Self {
            life: 0,
            locked: false,
            lying: false,
            free_bytes: u64::MAX,
            script: None,
            fuse: None,
            at_sync: None,
            next_id: 0,
            files: BTreeMap::new(),
            names: BTreeMap::new(),
            durable_names: BTreeMap::new(),
            unsynced_names: Vec::new(),
        }
    }

    pub(super) fn life(&self) -> u64 {
        self.life
    }

    pub(super) fn burn_fuse(&mut self) {
        match self.fuse.take() {
            None => {}
            Some((0, crash)) => self.crash(crash),
            Some((steps, crash)) => self.fuse = Some((steps - 1, crash)),
        }
    }

    pub(super) fn names(&self) -> Vec<String> {
        self.names.keys().cloned().collect()
    }

    pub(super) fn find(&self, name: &str) -> Option<FileId> {
        self.names.get(name).copied()
    }

    pub(super) fn create(&mut self, name: &str) -> FileId {
        self.remove(name);
        let id = self.next_id;
        self.next_id += 1;
        self.files.insert(id, MemoryContent::default());
        self.rename_with(NameChange::Link(name.to_owned(), id));
        id
    }

    pub(super) fn rename(&mut self, from: &str, to: &str) {
        self.rename_with(NameChange::Rename(from.to_owned(), to.to_owned()));
    }

    pub(super) fn remove(&mut self, name: &str) {
        if let Some(id) = self.find(name) {
            self.free_bytes = self.free_bytes.saturating_add(self.len(id));
            self.rename_with(NameChange::Unlink(name.to_owned()));
        }
    }

    fn rename_with(&mut self, change: NameChange) {
        change.apply(&mut self.names);
        self.unsynced_names.push(change);
    }

    pub(super) fn sync_names(&mut self) {
        if !self.lying {
            self.unsynced_names.clear();
            self.durable_names.clone_from(&self.names);
        }
    }

    pub(super) fn len(&self, id: FileId) -> u64 {
        self.files.get(&id).map_or(0, |file| file.now().len())
    }

    pub(super) fn read(&self, id: FileId, offset: u64, into: &mut [u8]) -> usize {
        self.files.get(&id).map_or(0, |file| file.now().read(offset, into))
    }

    pub(super) fn write(&mut self, id: FileId, offset: u64, bytes: &[u8]) {
        self.change(id, Change::Write { offset, bytes: bytes.to_vec() });
    }

    pub(super) fn zero(&mut self, id: FileId, offset: u64, bytes: u64) {
        self.change(id, Change::Zero { offset, bytes });
    }

    pub(super) fn set_len(&mut self, id: FileId, bytes: u64) {
        self.change(id, Change::Len(bytes));
    }

    fn change(&mut self, id: FileId, change: Change) {
        if let Some(file) = self.files.get_mut(&id) {
            file.change(change);
        }
    }

    /// Takes what a file grows by; holes count as taken.
    pub(super) fn take_space(&mut self, id: FileId, offset: u64, bytes: u64) -> Result<(), Fault> {
        let growth = (offset + bytes).saturating_sub(self.len(id));
        match self.free_bytes.checked_sub(growth) {
            Some(left) if self.free_bytes < u64::MAX => self.free_bytes = left,
            Some(_) => {}
            None => {
                return Err(Fault::Io { step: Step::Write, kind: io::ErrorKind::StorageFull });
            }
        }
        Ok(())
    }

    pub(super) fn sync(&mut self, id: FileId) {
        if let Some(file) = self.files.get_mut(&id).filter(|_| !self.lying) {
            file.sync();
        }
    }

    pub(super) fn script_write(&mut self) -> Result<(), Fault> {
        match self.script.take() {
            None => Ok(()),
            Some((0, AppendFault::BeforeWrite)) => Err(broken(Step::Write)),
            Some((0, fault)) => {
                self.at_sync = Some(fault);
                Ok(())
            }
            Some((appends, fault)) => {
                self.script = Some((appends - 1, fault));
                Ok(())
            }
        }
    }

    pub(super) fn script_sync(&mut self, id: FileId) -> Result<(), Fault> {
        match self.at_sync.take() {
            None | Some(AppendFault::BeforeWrite) => {
                self.sync(id);
                Ok(())
            }
            Some(AppendFault::BeforeSync) => Err(broken(Step::Sync)),
            Some(AppendFault::AfterSync) => {
                self.sync(id);
                Err(broken(Step::Sync))
            }
        }
    }

    pub(super) fn flip(&mut self, name: &str, bit: u64) {
        let file = self.find(name).and_then(|id| self.files.get_mut(&id));
        if let Some(file) = file {
            file.flip(bit);
        }
    }

    pub(super) fn file(&self, name: &str) -> Option<Vec<u8>> {
        let id = self.find(name)?;
        let mut bytes = vec![0; to_usize(self.len(id))];
        self.read(id, 0, &mut bytes);
        Some(bytes)
    }

    pub(super) fn set_file(&mut self, name: &str, bytes: &[u8]) {
        let id = self.next_id;
        self.next_id += 1;
        self.files.insert(id, MemoryContent::at_rest(bytes));
        self.names.insert(name.to_owned(), id);
        self.durable_names.insert(name.to_owned(), id);
    }

    pub(super) fn remove_file(&mut self, name: &str) {
        self.names.remove(name);
        self.durable_names.remove(name);
    }

    pub(super) fn crash(&mut self, crash: Crash) {
        self.life += 1;
        self.locked = false;
        self.script = None;
        self.at_sync = None;
        self.fuse = None;
        match crash {
            Crash::Kill => {}
            Crash::LoseUnsynced => self.cut(0, |_| Vec::new()),
            Crash::KeepFirst { bytes } => {
                let mut left = bytes;
                self.cut(usize::MAX, |change| keep_first(&mut left, change));
            }
            Crash::Tear { grain, seed } => {
                let mut coins = Coins(seed);
                let names = coins.below(self.unsynced_names.len() + 1);
                self.cut(names, |change| tear(grain, &mut coins, change));
            }
        }
        self.forget_nameless();
    }

    /// Names change in the order in which they were changed (the file system's own journal), so
    /// that the first `kept_names` survive; bytes know no order.
    fn cut(&mut self, kept_names: usize, mut survives: impl FnMut(Change) -> Vec<Change>) {
        for change in mem::take(&mut self.unsynced_names).iter().take(kept_names) {
            change.apply(&mut self.durable_names);
        }
        self.names.clone_from(&self.durable_names);
        for file in self.files.values_mut() {
            file.cut(&mut survives);
        }
    }

    fn forget_nameless(&mut self) {
        let named: BTreeSet<FileId> =
            self.names.values().chain(self.durable_names.values()).copied().collect();
        self.files.retain(|id, _| named.contains(id));
    }
}

fn broken(step: Step) -> Fault {
    Fault::Io { step, kind: io::ErrorKind::Other }
}

fn keep_first(left: &mut u64, change: Change) -> Vec<Change> {
    match change {
        Change::Write { offset, mut bytes } => {
            bytes.truncate(to_usize(*left));
            *left -= to_u64(bytes.len());
            vec![Change::Write { offset, bytes }]
        }
        Change::Zero { .. } | Change::Len(_) => vec![change],
    }
}

/// A change in grains, each of which survives the toss of a coin.
fn tear(grain: Grain, coins: &mut Coins, change: Change) -> Vec<Change> {
    let size = match grain {
        Grain::Word => 8,
        Grain::Sector => 512,
    };
    match change {
        Change::Write { offset, bytes } => {
            let first = to_usize(size - offset % size).min(bytes.len());
            let (head, rest) = bytes.split_at(first);
            let mut at = offset;
            let mut kept = Vec::new();
            for piece in std::iter::once(head).chain(rest.chunks(to_usize(size))) {
                if coins.below(2) == 1 {
                    kept.push(Change::Write { offset: at, bytes: piece.to_vec() });
                }
                at += to_u64(piece.len());
            }
            kept
        }
        Change::Zero { .. } | Change::Len(_) if coins.below(2) == 1 => vec![change],
        Change::Zero { .. } | Change::Len(_) => Vec::new(),
    }
}

/// SplitMix64: any small generator would do, as long as the seed decides everything.
struct Coins(u64);

impl Coins {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        to_usize((z ^ (z >> 31)) % to_u64(limit.max(1)))
    }
}
