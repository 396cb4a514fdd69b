//! A folder through which people, and programs that can only write files, refer and answer: `outbox/` and
//! `inbox/`, looked at again and again, since shares of other machines tell nothing by themselves. Nothing readable
//! of a case lies in it longer than it must. Not here: what becomes of it (`office`).

mod acting;
mod content;
mod handed;
mod inbox;
mod looks;
mod notice;
mod others;
mod outbox;
mod place;
mod said;

use std::{
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    task::block_in_place,
    time::{MissedTickBehavior, interval},
};

pub use others::Warning;

use crate::{folder::Folder, office::Office, settings::ExchangeSettings};
use handed::Handed;
use inbox::Inbox;
use outbox::Outbox;
use place::Place;

/// How often the folder is looked at. What is to be taken must have stayed the same from one look to the next.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long contents stay readable that nobody has moved to `inbox/taken`.
pub const OPENED_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// How long the word stays that something was sent.
pub const SENT_KEPT: Duration = Duration::from_secs(24 * 60 * 60);
/// Most referrals that lie in the inbox at once; those behind them come when some were taken.
pub const HANDED_MAX: usize = 1_000;
/// Most things of the outbox that one look takes.
pub const TAKEN_AT_ONCE_MAX: usize = 32;

/// How the folder stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Standing {
    /// Where it is; none when the settings name none.
    pub folder: Option<PathBuf>,
    /// What is wrong with who may read it.
    pub warnings: Vec<Warning>,
    /// Why it could not be looked at, at the last look.
    pub not_looked: Option<String>,
    /// Things in the outbox that cannot be sent as they are.
    pub flawed: usize,
    /// Referrals that lie in the inbox and were not taken.
    pub handed: usize,
}

/// Where that is written for whoever asks.
#[derive(Debug, Default)]
pub struct Board(Mutex<Standing>);

impl Board {
    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn write(&self, change: impl FnOnce(&mut Standing)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// Where the settings put it.
#[must_use]
pub fn root(folder: &Folder, settings: &ExchangeSettings) -> PathBuf {
    folder.root().join(&settings.folder)
}

/// What is wrong with who may read the folder, if it is there.
#[must_use]
pub fn warnings(folder: &Folder, settings: &ExchangeSettings) -> Vec<Warning> {
    others::warnings(&root(folder, settings), settings.shared)
}

/// Looks at the folder until the agent ends.
pub async fn run(office: Arc<Office>, folder: Folder, settings: ExchangeSettings) {
    let place = Place::new(root(&folder, &settings));
    office.exchange.write(|standing| standing.folder = Some(place.root().to_owned()));
    let mut hands = Hands {
        outbox: Outbox::new(place.clone()),
        inbox: Inbox::new(place.clone()),
        handed: Handed::read(&folder),
    };
    let mut look = interval(LOOK_EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut warned = Vec::new();
    loop {
        look.tick().await;
        let warnings = block_in_place(|| others::warnings(place.root(), settings.shared));
        if warnings != warned {
            for warning in &warnings {
                tracing::error!(code = warning.code(), "WARNING: {}", warning.text_en());
            }
            warned.clone_from(&warnings);
        }
        let looked = hands.look(&office, &folder).await;
        if let Err(error) = &looked {
            tracing::warn!(kind = ?error.kind(), "the exchange folder cannot be looked at");
        }
        let (flawed, lying) = (hands.outbox.flawed(), hands.inbox.lying());
        office.exchange.write(|standing| {
            standing.warnings = warnings;
            standing.not_looked = looked.err().map(|error| error.kind().to_string());
            standing.flawed = flawed;
            standing.handed = lying;
        });
    }
}

/// What one look passes on to the next.
struct Hands {
    outbox: Outbox,
    inbox: Inbox,
    handed: Handed,
}

impl Hands {
    async fn look(&mut self, office: &Arc<Office>, folder: &Folder) -> std::io::Result<()> {
        // A share that does not answer holds up nothing else.
        let claimed = block_in_place(|| {
            place::make(self.outbox.place())?;
            others::say(self.outbox.place(), &office.exchange.standing().warnings)?;
            self.outbox.look()
        })?;
        for claimed in claimed {
            self.outbox.send(office, claimed).await?;
        }
        block_in_place(|| self.inbox.look(office, folder, &mut self.handed))
    }
}

/// The name of a file without what may stand before it.
fn name_of(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}
