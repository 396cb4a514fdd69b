//! Bugs planted at the writer's seams, so that the simulation can show that it would see them. And
//! the shared stores of the derived data, which outlive the process that writes them.

use std::{cell::RefCell, io, rc::Rc};

use gateway::{
    index::rows::{MemoryRows, Row, Rows, RowsFault, Watermark},
    tiles::files::{Files, MemoryFiles},
};
use journal::{AnchorFile, Appended, Fault, FileJournal, Journal, Mark, Reader, Room, snapshot::Snapshots};
use proto::{
    caller::Caller,
    command::Command,
    decide::{Decision, decide},
    state::State,
};

/// A bug.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bug {
    /// The disk's syncs do nothing, so that answers leave before what they promise is durable.
    AnswerBeforeSync,
    /// A failed append is taken for a good one.
    IgnoredAppendError,
    /// A repeat gets a proof at a later size.
    NewReceiptOnRetry,
    /// The first full tile is never written.
    SkippedTile,
    /// A batch is decided on the state before it, so that a duplicate inside it is accepted.
    DuplicateInBatch,
}

/// A journal that may be planted with a bug.
#[derive(Debug)]
pub struct PlantedJournal {
    journal: FileJournal,
    ignores_errors: bool,
}

impl PlantedJournal {
    /// Over a journal.
    #[must_use]
    pub fn new(journal: FileJournal, bug: Option<Bug>) -> Self {
        Self { journal, ignores_errors: bug == Some(Bug::IgnoredAppendError) }
    }
}

impl PlantedJournal {
    /// The anchor's file.
    #[must_use]
    pub fn anchor(&self) -> AnchorFile {
        self.journal.anchor()
    }

    /// The snapshots' files.
    #[must_use]
    pub fn snapshots(&self) -> Snapshots {
        self.journal.snapshots()
    }
}

impl Journal for PlantedJournal {
    fn append(&mut self, meta: &[u8], blobs: &[&[u8]]) -> Result<Appended, Fault> {
        let end = self.journal.end();
        match self.journal.append(meta, blobs) {
            Err(_) if self.ignores_errors => Ok(Appended { mark: end, next: end }),
            appended => appended,
        }
    }

    fn room(&mut self) -> Room {
        self.journal.room()
    }

    fn end(&self) -> Mark {
        self.journal.end()
    }

    fn reader(&self) -> Reader {
        self.journal.reader()
    }
}

thread_local! {
    /// The state before the batch at hand, for the rules that look at nothing newer.
    pub(super) static BEFORE: RefCell<State> = RefCell::new(State::default());
}

/// The rules, as if nothing of the batch at hand had happened yet.
#[must_use]
pub fn decide_on_the_state_before(state: &State, caller: &Caller, command: &Command) -> Decision {
    let before = BEFORE.with_borrow(|before| decide(before, caller, command));
    // What must be loaded is loaded into the state at hand.
    if matches!(before, Decision::Load(_)) { decide(state, caller, command) } else { before }
}

/// A published folder that outlives the process.
#[derive(Debug, Clone, Default)]
pub struct SharedFiles {
    pub(super) files: Rc<RefCell<MemoryFiles>>,
    pub(super) skips_tile: bool,
}

impl Files for SharedFiles {
    fn read(&self, path: &str) -> io::Result<Option<Vec<u8>>> {
        self.files.borrow().read(path)
    }

    fn write(&mut self, path: &str, bytes: &[u8]) -> io::Result<()> {
        if self.skips_tile && path == "tile/0/000" {
            return Ok(());
        }
        self.files.borrow_mut().write(path, bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.files.borrow_mut().sync()
    }
}

/// An index's rows that outlive the process.
#[derive(Debug, Clone, Default)]
pub struct SharedRows(pub(super) Rc<RefCell<MemoryRows>>);

impl Rows for SharedRows {
    fn get(&self, key: &[u8]) -> Result<Option<Vec<u8>>, RowsFault> {
        self.0.borrow().get(key)
    }

    fn scan(&self, prefix: &[u8]) -> Result<Vec<Row>, RowsFault> {
        self.0.borrow().scan(prefix)
    }

    fn watermark(&self) -> Result<Option<Watermark>, RowsFault> {
        self.0.borrow().watermark()
    }

    fn write(&mut self, rows: Vec<Row>, watermark: Watermark) -> Result<(), RowsFault> {
        self.0.borrow_mut().write(rows, watermark)
    }

    fn set_aside(&mut self) {
        self.0.borrow_mut().set_aside();
    }
}
