//! A thread that writes anchor and snapshots, whose encoding and syncs would hold up the writer. Not here: what
//! they say.

use std::{
    sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    thread::{self, JoinHandle},
};

use journal::{AnchorFile, Mark, snapshot::Snapshots};
use proto::snapshot::Encoding;

/// Most things that wait to be written; what comes beyond is made again later.
const WAITING_MAX: usize = 4;

enum Page {
    Anchor(Mark, Vec<u8>),
    Snapshot(Mark, Box<Encoding>),
}

pub(super) struct Scribe {
    pages: SyncSender<Page>,
    thread: JoinHandle<()>,
}

impl Scribe {
    pub(super) fn start(anchor: AnchorFile, snapshots: Snapshots) -> Self {
        let (pages, receiver) = sync_channel(WAITING_MAX);
        Self { pages, thread: thread::spawn(move || write(&receiver, &anchor, &snapshots)) }
    }

    pub(super) fn anchor(&self, mark: Mark, note: Vec<u8>) {
        self.put(Page::Anchor(mark, note));
    }

    pub(super) fn snapshot(&self, mark: Mark, state: Encoding) {
        self.put(Page::Snapshot(mark, Box::new(state)));
    }

    fn put(&self, page: Page) {
        match self.pages.try_send(page) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => {
                tracing::info!("the disk is slow: an anchor or snapshot is left out")
            }
            Err(TrySendError::Disconnected(_)) => tracing::error!("nothing writes anchor and snapshots"),
        }
    }

    /// Writes what waits, and ends.
    pub(super) fn end(self) {
        drop(self.pages);
        if self.thread.join().is_err() {
            tracing::error!("anchor and snapshots were not written to the end");
        }
    }
}

fn write(pages: &Receiver<Page>, anchor: &AnchorFile, snapshots: &Snapshots) {
    for page in pages {
        let written = match page {
            Page::Anchor(mark, note) => anchor.write(mark, &note),
            Page::Snapshot(mark, state) => snapshots.write(mark, *state),
        };
        if let Err(fault) = written {
            tracing::warn!(%fault, "anchor or snapshot could not be written");
        }
    }
}
