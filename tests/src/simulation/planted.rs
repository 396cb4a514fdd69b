//! Bugs planted at the writer's seams, so that the simulation can show that it would see them. And
//! the shared stores of the derived data, which outlive the process that writes them.

use std::{
    cell::{RefCell, RefMut},
    io,
    rc::Rc,
};

use gateway::{
    index::rows::{Coverage, MemoryRows, Row, Rows, RowsFault, Sorted},
    tiles::files::{Files, MemoryFiles},
};
use journal::{
    AnchorFile, Appended, Fault, FileJournal, Journal, Mark, Reader, Room, Volume, snapshot::Snapshots,
};
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
    /// The index's store claims to hold rows that it does not.
    ForgottenRows,
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
#[derive(Debug, Clone)]
pub struct SharedRows {
    rows: Rc<RefCell<MemoryRows>>,
    forgets: bool,
}

impl SharedRows {
    /// Over a store.
    #[must_use]
    pub fn new(rows: MemoryRows, bug: Option<Bug>) -> Self {
        Self { rows: Rc::new(RefCell::new(rows)), forgets: bug == Some(Bug::ForgottenRows) }
    }

    pub(super) fn store(&self) -> RefMut<'_, MemoryRows> {
        self.rows.borrow_mut()
    }
}

impl Rows for SharedRows {
    fn load(&mut self) -> Result<Option<(Coverage, Sorted)>, RowsFault> {
        self.store().load()
    }

    fn write(&mut self, rows: Vec<Row>, covers: Coverage) -> Result<(), RowsFault> {
        let rows = if self.forgets { Vec::new() } else { rows };
        self.store().write(rows, covers)
    }

    fn begin_anew(&mut self) {
        self.store().begin_anew();
    }

    fn runs(&self) -> Result<Volume, RowsFault> {
        self.store().runs()
    }

    fn rows_max(&self) -> usize {
        self.store().rows_max()
    }
}
