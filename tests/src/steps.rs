//! The steps that a crash can separate, counted as they are traced: by them a process ends itself at
//! a named moment, or tells another how far it came. Not here: who kills from outside.

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::Write as _,
    sync::{Mutex, MutexGuard, PoisonError},
};

use rustix::process::{Signal, getpid, kill_process};
use tracing::{
    Event, Metadata, Subscriber,
    field::{Field, Visit},
    span,
};

/// The steps of the commit path, in order, as the writer and the journal trace them.
pub const COMMIT_PATH: [&str; 9] =
    ["decided", "write", "written", "synced", "committed", "signed", "published", "answering", "answered"];

/// Steps beside it: what is derived, and the journal's preparations.
pub const BESIDE: [&str; 23] = [
    "segment rolled",
    "segment preparing",
    "segment renamed",
    "segment prepared",
    "rows write",
    "rows written",
    "rows dropped",
    "run written",
    "run synced",
    "run renamed",
    "run in place",
    "tile write",
    "tile written",
    "tiles sync",
    "tiles synced",
    "snapshot written",
    "snapshot synced",
    "snapshot renamed",
    "snapshot in place",
    "anchor written",
    "anchor synced",
    "anchor renamed",
    "anchor in place",
];

/// Counts steps.
#[derive(Debug, Default)]
pub struct Steps {
    counts: Mutex<BTreeMap<String, u64>>,
    kill_at: Option<(String, u64)>,
    told: Option<Mutex<File>>,
}

impl Steps {
    /// Counts, and ends the process at the n-th occurrence of a step if `kill_at` says `step:n`.
    /// Each step's name becomes a line of `told`.
    ///
    /// # Panics
    /// When `kill_at` is not of its form.
    #[must_use]
    pub fn new(kill_at: Option<&str>, told: Option<File>) -> Self {
        let kill_at = kill_at.map(|text| {
            let parsed = text.rsplit_once(':').and_then(|(step, n)| Some((step.to_owned(), n.parse().ok()?)));
            assert!(parsed.is_some(), "{text} is not step:n");
            parsed.unwrap_or_default()
        });
        Self { counts: Mutex::default(), kill_at, told: told.map(Mutex::new) }
    }

    fn step(&self, name: String) {
        let mut counts = locked(&self.counts);
        if let Some(told) = &self.told {
            // Who listens may be gone.
            drop(locked(told).write_all(format!("{name}\n").as_bytes()));
        }
        let count = counts.entry(name.clone()).or_default();
        *count += 1;
        if self.kill_at.as_ref().is_some_and(|(step, n)| *step == name && n == count) {
            // Delivered before the call returns, to this thread or another one of the process.
            let sent = kill_process(getpid(), Signal::KILL);
            assert!(sent.is_ok(), "a process may always end itself");
            loop {
                std::thread::park();
            }
        }
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Subscriber for Steps {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == tracing::Level::TRACE
            && matches!(metadata.target(), "writer" | "journal" | "drive")
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut step = Step::default();
        event.record(&mut step);
        self.step(step.name());
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

/// What an event says: `file renamed` of `anchor` is the step `anchor renamed`.
#[derive(Default)]
struct Step {
    message: String,
    file: Option<String>,
}

impl Step {
    fn name(self) -> String {
        let rest = self.message.strip_prefix("file ");
        match (rest, self.file) {
            (Some(rest), Some(file)) => {
                let sort = file.split('-').next().unwrap_or_default();
                format!("{sort} {rest}")
            }
            (Some(_) | None, _) => self.message,
        }
    }
}

impl Visit for Step {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "name" {
            self.file = Some(value.to_owned());
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.message = format!("{value:?}");
        }
    }
}
