//! A gateway that was put back from a backup, or has lost the end of its journal or the anchor that would
//! tell: until its witnesses have spoken it takes nothing, hands out nothing and signs nothing, and says why.
//! Not here: what must have been said (`proto::restore`), and putting a backup back (`backup`).

mod proposal;

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

pub use proposal::Proposal;
use proto::{
    digest::Digest,
    directory::NewShard,
    ids::AgencyId,
    log::{
        checkpoint::Checkpoint,
        note::SignedNote,
        shard::{self, ShardNo},
    },
    restore::{Furthest, Report, Seen, Sizes, Verdict, judge, may_begin, may_override, witnesses},
    state::State,
};
use serde::{Deserialize, Serialize};
use tonic::Status;

use crate::{
    clock,
    history::Log,
    hub::{Hub, Unavailable},
    place::{Place, replace_private},
    service::answers,
    writer::LogKeys,
};

/// The code of what is not done meanwhile.
pub const CODE: &str = "RESTORING";
/// The calls that are answered meanwhile.
pub(crate) const ANSWERED: [&str; 4] =
    ["/referral.v1.Witness/Report", "/referral.v1.Directory/Change", "/grpc.health.", "/grpc.reflection."];
/// How many silent agencies are named.
const NAMED_MAX: usize = 20;

/// `restored.json`: that records may be missing from the folder, and that it has not gone on since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marker {
    /// When it was put back, or found so.
    pub restored_at_ms: u64,
    /// When the backup was made; 0 where there was none.
    pub backup_made_at_ms: u64,
    /// What happened.
    #[serde(default)]
    pub cause: Cause,
    /// Checkpoints that this machine knew, as they were signed: the anchor's, and published ones.
    #[serde(default)]
    pub known: Vec<String>,
}

/// Why records may be missing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A backup was put back.
    #[default]
    Backup,
    /// The journal ends before what this machine has signed.
    CutTail,
    /// There is no anchor, or none that can be read.
    MissingAnchor,
}

impl Cause {
    const fn text(self) -> &'static str {
        match self {
            Self::Backup => "put back from a backup",
            Self::CutTail => "the journal ends before what was signed",
            Self::MissingAnchor => "the anchor is missing",
        }
    }
}

/// A checkpoint that the log has signed, as an agency shows it.
#[derive(Debug, Clone)]
pub struct Shown {
    /// In which shard.
    pub shard: ShardNo,
    /// What it says.
    pub checkpoint: Checkpoint,
    /// As it was signed.
    pub note: SignedNote,
}

impl Marker {
    fn path(place: &Place) -> PathBuf {
        place.root().join("restored.json")
    }

    /// Writes it, durably.
    ///
    /// # Errors
    /// The disk's.
    pub fn write(&self, place: &Place) -> io::Result<()> {
        let text = serde_json::to_vec(self).map_err(io::Error::other)?;
        replace_private(&Self::path(place), &text)?;
        fs::File::open(place.root())?.sync_all()
    }

    /// What it says, when it is there. One that is not understood is there all the same.
    #[must_use]
    pub fn read(place: &Place) -> Option<Self> {
        let text = fs::read(Self::path(place)).ok()?;
        Some(serde_json::from_slice(&text).unwrap_or(Self::new(Cause::Backup, 0)))
    }

    /// That something happened now.
    #[must_use]
    pub const fn new(cause: Cause, at_ms: u64) -> Self {
        Self { restored_at_ms: at_ms, backup_made_at_ms: 0, cause, known: Vec::new() }
    }

    /// The same, with one more checkpoint that was known.
    #[must_use]
    pub fn with(mut self, note: &[u8]) -> Self {
        let note = String::from_utf8_lossy(note).into_owned();
        if !self.known.contains(&note) {
            self.known.push(note);
        }
        self
    }

    fn remove(place: &Place) -> io::Result<()> {
        fs::remove_file(Self::path(place))
    }
}

/// Whether it waits for its witnesses, and what they have said.
#[derive(Debug)]
pub struct Restoring {
    held: AtomicBool,
    cause: Cause,
    present: ShardNo,
    evidence: (u64, Digest),
    directory: (u64, Digest),
    place: Place,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    reports: BTreeMap<AgencyId, Report>,
    furthest: Furthest,
}

impl Restoring {
    /// As the folder says, and what its journal made.
    #[must_use]
    pub fn of(place: &Place, state: &State, keys: &LogKeys) -> Self {
        let (evidence, directory) = (state.evidence().frontier(), state.directory_log().frontier());
        let marker = Marker::read(place).filter(|marker| !went_on(marker, place, state));
        let restoring = Self {
            held: AtomicBool::new(marker.is_some()),
            cause: marker.as_ref().map_or(Cause::Backup, |marker| marker.cause),
            present: state.directory().directory_shards().present(),
            evidence: (evidence.size(), evidence.root()),
            directory: (directory.size(), directory.root()),
            place: place.clone(),
            heard: Mutex::default(),
        };
        if let Some(marker) = marker {
            tracing::warn!(
                evidence = restoring.evidence.0,
                directory = restoring.directory.0,
                "{}: nothing is taken or signed before the witnesses have spoken",
                marker.cause.text()
            );
            if let Some(network) = state.directory().network() {
                marker.known.iter().for_each(|note| restoring.knew(&network.network, note, keys));
            }
            restoring.propose();
        }
        restoring
    }

    /// Takes what this machine itself knew, as if the network had reported it.
    fn knew(&self, network: &AgencyId, note: &str, keys: &LogKeys) {
        let Ok(note) = SignedNote::parse(note) else {
            return;
        };
        for (log, key) in [(Log::Evidence, &keys.evidence), (Log::Directory, &keys.directory)] {
            if let Ok((shard, checkpoint)) = shard::open(&note, key.verifier()) {
                let beyond = Seen::Beyond(checkpoint.size);
                let seen = if checkpoint.size > self.there_of(log) { beyond } else { Seen::Part };
                self.hear(
                    (log, network.clone()),
                    seen,
                    Some(&Shown { shard, checkpoint, note: note.clone() }),
                );
            }
        }
    }

    /// Writes down that an agency holds more than is here, of a gateway that did not know it. It is to end: the
    /// next start asks.
    pub(crate) fn found_out(&self, note: &SignedNote) {
        let marker = Marker::new(Cause::CutTail, clock::now().0).with(note.to_string().as_bytes());
        if let Err(error) = marker.write(&self.place) {
            tracing::error!(kind = ?error.kind(), "restored.json cannot be written");
        }
        tracing::error!(
            "THE END IS LOST: an agency holds more than is here. This gateway ends, and asks when it is started"
        );
    }

    /// Whether it waits.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }

    /// How much of both logs is there.
    #[must_use]
    pub const fn there(&self) -> Sizes {
        Sizes { evidence: self.evidence.0, directory: self.directory.0 }
    }

    const fn there_of(&self, log: Log) -> u64 {
        match log {
            Log::Evidence => self.evidence.0,
            Log::Directory => self.directory.0,
        }
    }

    /// Takes the checkpoints of a log that an agency holds, which the log has signed.
    ///
    /// # Errors
    /// [`Unavailable`] while one cannot be compared yet.
    pub(crate) async fn report(
        &self,
        hub: &Hub,
        (log, agency): (Log, AgencyId),
        shown: Vec<Shown>,
    ) -> Result<(), Unavailable> {
        let mut most = Seen::Part;
        for one in &shown {
            if let Some(seen) = self.compare(hub, log, one).await? {
                most = worse(most, seen);
                self.hear((log, agency.clone()), most, Some(one));
            }
        }
        self.hear((log, agency), most, None);
        self.propose();
        Ok(())
    }

    /// What a checkpoint is, beside what is there; nothing when an earlier restore has left it behind.
    async fn compare(&self, hub: &Hub, log: Log, shown: &Shown) -> Result<Option<Seen>, Unavailable> {
        let Checkpoint { size, root, .. } = &shown.checkpoint;
        let directory = hub.directory();
        let shards = match log {
            Log::Evidence => directory.evidence_shards(),
            Log::Directory => directory.directory_shards(),
        };
        if *size == 0 || shards.valid_until(shown.shard).is_some_and(|until| until < *size) {
            return Ok(None);
        }
        if *size > self.there_of(log) {
            return Ok(Some(Seen::Beyond(*size)));
        }
        match hub.root(log, *size).await? {
            Some(there) if there == *root => Ok(Some(Seen::Part)),
            Some(_) => Ok(Some(Seen::Other(*size))),
            // Its tiles are being made again.
            None => Err(Unavailable::Full),
        }
    }

    fn hear(&self, (log, agency): (Log, AgencyId), seen: Seen, shown: Option<&Shown>) {
        let there = self.there_of(log);
        let mut heard = self.lock();
        if let Some(Shown { shard, checkpoint, note }) = shown {
            let at = (*shard, checkpoint.size);
            match log {
                Log::Evidence => heard.furthest.evidence(at, note),
                Log::Directory => heard.furthest.directory(at, note),
            }
        }
        let report = heard.reports.entry(agency.clone()).or_default();
        let before = *report;
        // What was shown once is known, whatever its agency says later.
        match log {
            Log::Evidence => {
                report.evidence = Some(before.evidence.map_or(seen, |before| worse(before, seen)))
            }
            Log::Directory => {
                report.directory = Some(before.directory.map_or(seen, |before| worse(before, seen)))
            }
        }
        if *report != before {
            match seen {
                Seen::Part => tracing::info!(?log, %agency, "a witness holds nothing that is not here"),
                Seen::Beyond(size) => tracing::error!(
                    ?log, %agency, size, there,
                    "RESTORED BEHIND: this agency holds more than is here; what lies between was acknowledged"
                ),
                Seen::Other(size) => tracing::error!(
                    ?log, %agency, size, "RESTORED BEHIND: this agency holds a checkpoint of another tree"
                ),
            }
        }
    }

    /// The shard in which both logs would go on, as two administrators must name it.
    fn proposed(&self) -> Option<NewShard> {
        self.lock().furthest.proposed(self.present, self.evidence, self.directory)
    }

    /// Writes down what two administrators would sign. It is made again whenever more is heard.
    fn propose(&self) {
        let written = self.proposed().map(|proposed| Proposal::of(&proposed).write(&self.place));
        if let Some(Err(error)) = written {
            tracing::warn!(kind = ?error.kind(), "new-shard.json cannot be written");
        }
    }

    /// Whether two administrators who name this shard let it go on now.
    #[must_use]
    pub fn may_begin(&self, named: &NewShard) -> bool {
        let proposed = self.proposed();
        proposed.is_some_and(|proposed| may_begin(&self.lock().reports, &proposed, named))
    }

    /// What follows from the reports so far.
    #[must_use]
    pub fn verdict(&self, hub: &Hub) -> Verdict {
        judge(&witnesses(&hub.directory(), clock::now()), &self.lock().reports)
    }

    /// Whether two administrators who name these sizes let it go on now.
    #[must_use]
    pub fn may_override(&self, hub: &Hub, named: Sizes) -> bool {
        may_override(&self.verdict(hub), self.there(), named)
    }

    /// Goes on when the verdict says so.
    pub(crate) async fn look(&self, hub: &Hub) {
        if self.is_held()
            && let Verdict::GoesOn(witnesses) = self.verdict(hub)
        {
            self.go_on(hub, witnesses).await;
        }
    }

    /// Goes on: that it does is durable before anything else is.
    pub(crate) async fn go_on(&self, hub: &Hub, witnesses: u64) {
        if hub.release(witnesses).await.is_err() {
            return;
        }
        if let Err(error) = Marker::remove(&self.place).and_then(|()| Proposal::remove(&self.place)) {
            // The next start asks once more: no harm.
            tracing::warn!(kind = ?error.kind(), "restored.json cannot be removed");
        }
        self.held.store(false, Ordering::Release);
        tracing::info!(witnesses, "the restored gateway goes on");
    }

    /// How many have reported whole, for whoever let it go on without the others.
    #[must_use]
    pub fn reported(&self) -> u64 {
        let heard = self.lock();
        let whole = heard.reports.values().filter(|one| one.evidence.is_some() && one.directory.is_some());
        u64::try_from(whole.count()).unwrap_or(u64::MAX)
    }

    /// Why nothing is taken, for operators.
    #[must_use]
    pub fn why(&self, hub: &Hub) -> String {
        let named = |agencies: &[AgencyId]| {
            let shown: Vec<_> = agencies.iter().take(NAMED_MAX).map(ToString::to_string).collect();
            let more = agencies.len().saturating_sub(NAMED_MAX);
            if more == 0 { shown.join(", ") } else { format!("{}, and {more} more", shown.join(", ")) }
        };
        let Sizes { evidence, directory } = self.there();
        let cause = self.cause.text();
        match self.verdict(hub) {
            Verdict::Waits(silent) => format!(
                "{cause} (evidence {evidence}, directory {directory}); these have not reported yet: {}",
                named(&silent)
            ),
            Verdict::GoesOn(_) => format!("{cause}; all witnesses have reported"),
            Verdict::Behind(agencies) => format!(
                "{cause}, and too old (evidence {evidence}, directory {directory}); these hold more: {}",
                named(&agencies)
            ),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Heard> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Of two findings, the one that more follows from.
const fn worse(one: Seen, other: Seen) -> Seen {
    match (one, other) {
        (Seen::Other(_), _) | (_, Seen::Part) => one,
        (Seen::Beyond(this), Seen::Beyond(that)) if this > that => one,
        (_, Seen::Beyond(_) | Seen::Other(_)) => other,
    }
}

/// Whether a shard was begun since, and the process ended before it had put the marker away.
fn went_on(marker: &Marker, place: &Place, state: &State) -> bool {
    let last = state.directory().shards().last();
    let is_over = last.is_some_and(|begun| begun.begun_at.0 >= marker.restored_at_ms);
    is_over && Marker::remove(place).is_ok()
}

/// Whether a call is answered meanwhile.
pub(crate) fn is_answered(path: &str) -> bool {
    ANSWERED.iter().any(|answered| path.starts_with(answered))
}

/// What every other call is answered.
pub(crate) fn status() -> Status {
    answers::fault_status(&proto::wire::Fault {
        code: CODE.to_owned(),
        retry_after_ms: answers::RETRY_LATER_MS,
    })
}
