//! Starting: snapshot and the journal behind it, and what follows the journal as far as it got. The
//! same path after a clean stop, a `kill -9` and a power cut. Not here: configuration.

use journal::{
    Closed, Config, FileJournal, Journal, Mark, OpenError, Prepare, Recovered, snapshot::Snapshots,
};
use proto::{log::merkle::Frontier, snapshot::Snapshot, state::State};

use crate::{
    fault::Fault,
    history::{self, History, Log},
    index::{Index, rows::Rows},
    tiles::{Tiles, files::Files},
    writer::{Last, LogKey, LogKeys, Parts, Rules, Writer, replay::Replay},
};

/// What derived data a writer starts with.
#[derive(Debug)]
pub struct Derived<R, F> {
    /// The index's rows.
    pub rows: R,
    /// The folder of the evidence log.
    pub evidence: F,
    /// The folder of the directory log.
    pub directory: F,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// What recovery found in the journal.
    pub recovered: Recovered,
    /// Batches that were replayed.
    pub replayed: u64,
}

/// Opens the journal and everything behind it.
///
/// `wrap` makes of the journal what the writer appends to: itself, or a test's.
///
/// # Errors
/// [`Fault`]: damage, missing records, other keys. Nothing was changed but a torn tail cut.
pub fn start<J: Journal, R: Rows, F: Files>(
    closed: Closed,
    config: Config,
    keys: LogKeys,
    rules: Rules,
    derived: Derived<R, F>,
    wrap: impl FnOnce(FileJournal) -> J,
) -> Result<(Writer<J, R, F>, Started), Fault> {
    let snapshots = closed.snapshots();
    let base = Base::newest(&snapshots, None)?;
    let (journal, recovered, base) = recover(closed, config, base)?;
    if let Some(damaged) = recovered.damage_to_replay().next() {
        return Err(Fault::DamagedRecord { position: damaged.position });
    }
    let history = History::new(journal.reader());
    let Base { mark, mut state, mut last } = base;
    let replay = Replay::from_here(mark, &state);
    let mut replayed = 0;
    for read in history.reader().iter_from(mark) {
        self::replay(&read?, &mut state, &mut last)?;
        replayed += 1;
    }
    check_network(&state, &keys)?;
    keys.follow(state.directory());
    last = sign_last(&keys, &state, &last)?;
    let index = Index::open(derived.rows, &history, config.prepare == Prepare::Background);
    let open = |files, log, key: &LogKey, size| Tiles::open(files, log, key.verifier(), size);
    let evidence = open(derived.evidence, Log::Evidence, &keys.evidence, state.evidence().size())?;
    let directory = open(derived.directory, Log::Directory, &keys.directory, state.directory_log().size())?;
    let tiles = (evidence, directory);
    let writer =
        Writer::new(Parts { journal: wrap(journal), state, keys, rules, index, tiles, last, replay });
    Ok((writer, Started { recovered, replayed }))
}

/// What replay begins with.
struct Base {
    mark: Mark,
    state: State,
    last: Last,
}

impl Base {
    /// The newest snapshot that is whole and understood; the beginning, when there is none.
    fn newest(snapshots: &Snapshots, until: Option<Mark>) -> Result<Self, Fault> {
        let loaded = match until {
            None => snapshots.newest()?,
            Some(mark) => snapshots.newest_until(mark.position)?,
        };
        let Some(read) = loaded.snapshot else {
            return Ok(Self::beginning());
        };
        match Snapshot::parse(read.bytes()) {
            Ok(snapshot) => Ok(Self {
                mark: read.mark,
                state: snapshot.state,
                last: Last { evidence: snapshot.evidence, directory: snapshot.directory },
            }),
            Err(malformed) => {
                // Of another version, perhaps. The one before costs time, nothing else.
                tracing::warn!(%malformed, "snapshot not understood");
                match read.mark.position.get().checked_sub(1) {
                    None => Ok(Self::beginning()),
                    Some(before) => {
                        let position = journal::Position::new(before);
                        Self::newest(snapshots, Some(Mark { position, batch_no: read.mark.batch_no }))
                    }
                }
            }
        }
    }

    fn beginning() -> Self {
        Self { mark: Mark::START, state: State::default(), last: Last::default() }
    }
}

/// Recovers from a snapshot; from the beginning when the journal was shorter than it.
fn recover(closed: Closed, config: Config, base: Base) -> Result<(FileJournal, Recovered, Base), Fault> {
    let from = Some(base.mark).filter(|mark| *mark != Mark::START);
    let (journal, recovered) = closed.recover(config, from)?;
    Ok((journal, recovered, base))
}

/// Applies a batch. What it says of the logs before it must be what they are.
fn replay(read: &journal::Batch, state: &mut State, last: &mut Last) -> Result<(), Fault> {
    let number = read.mark().batch_no.get();
    let batch = history::parse(read)?;
    let same = |logged: &Option<proto::batch::LoggedCheckpoint>, frontier: &Frontier| match logged {
        Some(logged) => logged.size == frontier.size() && logged.root == frontier.root(),
        None => frontier.size() == 0,
    };
    let follows = same(&batch.evidence, state.evidence().frontier())
        && same(&batch.directory, state.directory_log().frontier());
    if !follows {
        return Err(Fault::OtherTree { batch: number });
    }
    *last = Last { evidence: batch.evidence.clone(), directory: batch.directory.clone() };
    batch.replay(state, number);
    Ok(())
}

fn check_network(state: &State, keys: &LogKeys) -> Result<(), Fault> {
    let Some(network) = state.directory().network() else {
        return Ok(());
    };
    let ours = network.evidence_origin == *keys.evidence.origin()
        && network.directory_origin == *keys.directory.origin();
    if ours { Ok(()) } else { Err(Fault::OtherNetwork) }
}

/// Signs the checkpoints over the last batch, which no batch behind it holds. Ed25519 gives the same
/// signature as then; a checkpoint that did not grow keeps the one it has.
fn sign_last(keys: &LogKeys, state: &State, last: &Last) -> Result<Last, Fault> {
    let sign = |key: &LogKey, frontier: &Frontier, known: &Option<proto::batch::LoggedCheckpoint>| match known
        .clone()
        .filter(|known| known.size == frontier.size())
    {
        Some(known) => Ok(Some(known)),
        None if frontier.size() == 0 => Ok(None),
        None => key.sign_frontier(frontier).map(Some),
    };
    Ok(Last {
        evidence: sign(&keys.evidence, state.evidence().frontier(), &last.evidence)?,
        directory: sign(&keys.directory, state.directory_log().frontier(), &last.directory)?,
    })
}

/// Whether an error says that people must decide before anything goes on.
#[must_use]
pub const fn needs_people(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::DamagedRecord { .. }
            | Fault::BehindPublished { .. }
            | Fault::OtherTree { .. }
            | Fault::Open(
                OpenError::CutBelowAnchor { .. }
                    | OpenError::FromNotFound { .. }
                    | OpenError::BytesBeyondEnd { .. }
            )
    )
}
