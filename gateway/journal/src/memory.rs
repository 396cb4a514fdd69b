//! The twin's disk: files in memory, of which only what was synced survives a power cut, and
//! whose faults are scripted. Deterministic, no threads. Not here: a simulation's own choices;
//! every seed is an argument.

mod content;
mod state;

use std::{
    any::Any,
    fmt, io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use crate::{
    fault::{Fault, Step},
    volume::{Disk, DiskFile, Volume},
    width::to_u64,
};
use state::{FileId, State};

/// A disk in memory. Clones share it, as two processes would share a disk.
#[derive(Clone)]
pub struct MemoryDisk(Arc<Mutex<State>>);

/// How the process or the machine ends. Whatever is open fails from then on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Crash {
    /// `kill -9`: all that was written stays, synced or not.
    Kill,
    /// Power loss: nothing unsynced survives.
    LoseUnsynced,
    /// Power loss: of what was written since the last sync the first `bytes` bytes survive.
    KeepFirst {
        /// Counted over all unsynced writes in their order.
        bytes: u64,
    },
    /// Power loss: each grain of each unsynced write survives or not, in any combination.
    Tear {
        /// What the disk writes whole.
        grain: Grain,
        /// Chooses the combination.
        seed: u64,
    },
}

/// The piece that is written whole or not at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grain {
    /// 8 bytes.
    Word,
    /// 512 bytes.
    Sector,
}

/// What a scripted append does instead of succeeding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AppendFault {
    /// Fails, and nothing was written.
    BeforeWrite,
    /// Fails at the sync, which has not happened.
    BeforeSync,
    /// Fails at the sync, which has happened.
    AfterSync,
}

impl MemoryDisk {
    /// An empty disk without end.
    #[must_use]
    pub fn new() -> Self {
        Self(Arc::new(Mutex::new(State::new())))
    }

    /// This disk as the place of a journal or an anchor, for one life of the process: after a
    /// [`MemoryDisk::crash`] a new volume is needed.
    #[must_use]
    pub fn volume(&self) -> Volume {
        self.below(String::new())
    }

    /// A folder of this disk, whose files are `name/…` among all names of the disk; for one life of
    /// the process, as [`MemoryDisk::volume`].
    #[must_use]
    pub fn folder(&self, name: &str) -> Volume {
        self.below(format!("{name}/"))
    }

    fn below(&self, prefix: String) -> Volume {
        Volume::new(MemoryFolder { disk: self.clone(), life: self.state().life(), prefix })
    }

    /// Ends the process, and all locks with it.
    pub fn crash(&self, crash: Crash) {
        self.state().crash(crash);
    }

    /// Scripts the append after `appends` more. One script at a time; a crash removes it.
    pub fn fail_append(&self, appends: u64, fault: AppendFault) {
        self.state().script = Some((appends, fault));
    }

    /// Scripts a crash in the middle: `steps` more changes to the disk (of bytes, of names, syncs)
    /// succeed, and the next one does not happen.
    pub fn crash_after(&self, steps: u64, crash: Crash) {
        self.state().fuse = Some((steps, crash));
    }

    /// Plants a bug: syncs answer without doing anything.
    pub fn lie_about_syncs(&self) {
        self.state().lying = true;
    }

    /// How many bytes files may still grow by.
    pub fn set_free_bytes(&self, bytes: u64) {
        self.state().free_bytes = bytes;
    }

    /// Flips one bit at rest; nothing if the file is shorter. `bit` is counted from the file's
    /// start, the lowest bit of each byte first.
    pub fn flip_bit(&self, name: &str, bit: u64) {
        self.state().flip(name, bit);
    }

    /// The names of all files, sorted.
    #[must_use]
    pub fn names(&self) -> Vec<String> {
        self.state().names()
    }

    /// A file's bytes, `None` if it is not there.
    #[must_use]
    pub fn file(&self, name: &str) -> Option<Vec<u8>> {
        self.state().file(name)
    }

    /// Puts a file at rest, as somebody else would.
    pub fn set_file(&self, name: &str, bytes: &[u8]) {
        self.state().set_file(name, bytes);
    }

    /// Removes a file at rest.
    pub fn remove_file(&self, name: &str) {
        self.state().remove_file(name);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn alive(&self, life: u64, step: Step) -> Result<MutexGuard<'_, State>, Fault> {
        let mut state = self.state();
        if state.life() == life && changes(step) {
            state.burn_fuse();
        }
        if state.life() == life {
            Ok(state)
        } else {
            Err(Fault::Io { step, kind: io::ErrorKind::BrokenPipe })
        }
    }
}

impl Default for MemoryDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MemoryDisk")
    }
}

/// Whether a step changes the disk.
fn changes(step: Step) -> bool {
    match step {
        Step::List | Step::Lock | Step::Open | Step::Read | Step::Spawn => false,
        Step::Create | Step::Write | Step::Sync | Step::Rename | Step::Remove | Step::SyncDirectory => true,
    }
}

struct MemoryFolder {
    disk: MemoryDisk,
    life: u64,
    /// What the names of its files begin with.
    prefix: String,
}

impl MemoryFolder {
    fn path(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// The name of a file of this folder, none for one of another.
    fn name(&self, path: &str) -> Option<String> {
        let name = path.strip_prefix(self.prefix.as_str())?;
        (!name.contains('/')).then(|| name.to_owned())
    }

    fn file(&self, id: FileId, is_segment: bool) -> Arc<dyn DiskFile> {
        Arc::new(MemoryFile { disk: self.disk.clone(), life: self.life, id, is_segment })
    }
}

impl Disk for MemoryFolder {
    fn names(&self) -> Result<Vec<String>, Fault> {
        let paths = self.disk.alive(self.life, Step::List)?.names();
        Ok(paths.iter().filter_map(|path| self.name(path)).collect())
    }

    fn lock(&self) -> Result<Option<Box<dyn Any + Send + Sync>>, Fault> {
        let mut state = self.disk.alive(self.life, Step::Lock)?;
        if state.locked {
            return Ok(None);
        }
        state.locked = true;
        Ok(Some(Box::new(Held { disk: self.disk.clone(), life: self.life })))
    }

    fn open(&self, name: &str) -> Result<Option<Arc<dyn DiskFile>>, Fault> {
        let id = self.disk.alive(self.life, Step::Open)?.find(&self.path(name));
        Ok(id.map(|id| self.file(id, name.ends_with(".seg"))))
    }

    fn create(&self, name: &str) -> Result<Arc<dyn DiskFile>, Fault> {
        let id = self.disk.alive(self.life, Step::Create)?.create(&self.path(name));
        Ok(self.file(id, false))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), Fault> {
        self.disk.alive(self.life, Step::Rename)?.rename(&self.path(from), &self.path(to));
        Ok(())
    }

    fn remove(&self, name: &str) -> Result<(), Fault> {
        self.disk.alive(self.life, Step::Remove)?.remove(&self.path(name));
        Ok(())
    }

    fn sync_names(&self) -> Result<(), Fault> {
        self.disk.alive(self.life, Step::SyncDirectory)?.sync_names();
        Ok(())
    }

    fn free_bytes(&self) -> Result<u64, Fault> {
        Ok(self.disk.alive(self.life, Step::Read)?.free_bytes)
    }
}

/// The lock, until dropped or until the process's life ends.
struct Held {
    disk: MemoryDisk,
    life: u64,
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Ok(mut state) = self.disk.alive(self.life, Step::Lock) {
            state.locked = false;
        }
    }
}

struct MemoryFile {
    disk: MemoryDisk,
    life: u64,
    id: FileId,
    is_segment: bool,
}

impl DiskFile for MemoryFile {
    fn len(&self) -> Result<u64, Fault> {
        Ok(self.disk.alive(self.life, Step::Read)?.len(self.id))
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<usize, Fault> {
        Ok(self.disk.alive(self.life, Step::Read)?.read(self.id, offset, into))
    }

    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), Fault> {
        let mut state = self.disk.alive(self.life, Step::Write)?;
        if self.is_segment {
            state.script_write()?;
        }
        state.take_space(self.id, offset, to_u64(bytes.len()))?;
        state.write(self.id, offset, bytes);
        Ok(())
    }

    fn zero(&self, offset: u64, bytes: u64) -> Result<(), Fault> {
        let mut state = self.disk.alive(self.life, Step::Write)?;
        state.take_space(self.id, offset, bytes)?;
        state.zero(self.id, offset, bytes);
        Ok(())
    }

    fn set_len(&self, bytes: u64) -> Result<(), Fault> {
        self.disk.alive(self.life, Step::Write)?.set_len(self.id, bytes);
        Ok(())
    }

    fn punch(&self, _offset: u64, _bytes: u64) {}

    fn sync(&self) -> Result<(), Fault> {
        let mut state = self.disk.alive(self.life, Step::Sync)?;
        if self.is_segment {
            state.script_sync(self.id)
        } else {
            state.sync(self.id);
            Ok(())
        }
    }
}
