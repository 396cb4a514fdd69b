//! A gateway that was put back from a backup: until its witnesses have spoken it takes nothing, hands out
//! nothing and signs nothing, and says why. Not here: what must have been said (`proto::restore`), and
//! putting a backup back (`backup`).

use std::{
    collections::BTreeMap,
    fs, io,
    path::PathBuf,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use proto::{
    ids::AgencyId,
    log::checkpoint::Checkpoint,
    restore::{Report, Seen, Sizes, Verdict, judge, may_override, witnesses},
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
};

/// The code of what is not done meanwhile.
pub const CODE: &str = "RESTORING";
/// The calls that are answered meanwhile.
pub(crate) const ANSWERED: [&str; 4] =
    ["/referral.v1.Witness/Report", "/referral.v1.Directory/Change", "/grpc.health.", "/grpc.reflection."];
/// How many silent agencies are named.
const NAMED_MAX: usize = 20;

/// `restored.json`: that the folder was put back from a backup, and has not gone on since.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marker {
    /// When it was put back.
    pub restored_at_ms: u64,
    /// When the backup was made.
    pub backup_made_at_ms: u64,
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
        Some(serde_json::from_slice(&text).unwrap_or(Self { restored_at_ms: 0, backup_made_at_ms: 0 }))
    }

    fn remove(place: &Place) -> io::Result<()> {
        fs::remove_file(Self::path(place))
    }
}

/// Whether it waits for its witnesses, and what they have said.
#[derive(Debug)]
pub struct Restoring {
    held: AtomicBool,
    there: Sizes,
    place: Place,
    reports: Mutex<BTreeMap<AgencyId, Report>>,
}

impl Restoring {
    /// As the folder says, and what its journal made.
    #[must_use]
    pub fn of(place: &Place, state: &State) -> Self {
        let there = Sizes { evidence: state.evidence().size(), directory: state.directory_log().size() };
        let held = Marker::read(place).is_some();
        if held {
            tracing::warn!(
                evidence = there.evidence,
                directory = there.directory,
                "put back from a backup: nothing is taken or signed before the witnesses have spoken"
            );
        }
        Self { held: AtomicBool::new(held), there, place: place.clone(), reports: Mutex::default() }
    }

    /// Whether it waits.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.held.load(Ordering::Acquire)
    }

    /// How much of both logs is there.
    #[must_use]
    pub const fn there(&self) -> Sizes {
        self.there
    }

    /// Takes the largest checkpoint of a log that an agency holds, which the log has signed.
    ///
    /// # Errors
    /// [`Unavailable`] while it cannot be compared yet.
    pub(crate) async fn report(
        &self,
        hub: &Hub,
        (log, agency): (Log, AgencyId),
        shown: Option<Checkpoint>,
    ) -> Result<(), Unavailable> {
        let there = match log {
            Log::Evidence => self.there.evidence,
            Log::Directory => self.there.directory,
        };
        let seen = match shown {
            Some(checkpoint) if checkpoint.size > there => Seen::Beyond(checkpoint.size),
            Some(checkpoint) if checkpoint.size > 0 => {
                match hub.root(log, checkpoint.size).await? {
                    Some(root) if root == checkpoint.root => Seen::Part,
                    Some(_) => Seen::Other(checkpoint.size),
                    // Its tiles are being made again.
                    None => return Err(Unavailable::Full),
                }
            }
            Some(_) | None => Seen::Part,
        };
        let mut reports = self.lock();
        let report = reports.entry(agency.clone()).or_default();
        let before = *report;
        match log {
            Log::Evidence => report.evidence = Some(seen),
            Log::Directory => report.directory = Some(seen),
        }
        if *report != before {
            match seen {
                Seen::Part => tracing::info!(?log, %agency, "a witness holds nothing that is not here"),
                Seen::Beyond(size) => tracing::error!(
                    ?log, %agency, size, there,
                    "RESTORED BEHIND: this agency holds more than the backup; what lies between was acknowledged"
                ),
                Seen::Other(size) => tracing::error!(
                    ?log, %agency, size, "RESTORED BEHIND: this agency holds a checkpoint of another tree"
                ),
            }
        }
        Ok(())
    }

    /// What follows from the reports so far.
    #[must_use]
    pub fn verdict(&self, hub: &Hub) -> Verdict {
        judge(&witnesses(&hub.directory(), clock::now()), &self.lock())
    }

    /// Whether two administrators who name these sizes let it go on now.
    #[must_use]
    pub fn may_override(&self, hub: &Hub, named: Sizes) -> bool {
        may_override(&self.verdict(hub), self.there, named)
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
        if let Err(error) = Marker::remove(&self.place) {
            // The next start asks once more: no harm.
            tracing::warn!(kind = ?error.kind(), "restored.json cannot be removed");
        }
        self.held.store(false, Ordering::Release);
        tracing::info!(witnesses, "the restored gateway goes on");
    }

    /// How many have reported whole, for whoever let it go on without the others.
    #[must_use]
    pub fn reported(&self) -> u64 {
        let reports = self.lock();
        let whole = reports.values().filter(|one| one.evidence.is_some() && one.directory.is_some());
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
        let Sizes { evidence, directory } = self.there;
        match self.verdict(hub) {
            Verdict::Waits(silent) => format!(
                "put back from a backup (evidence {evidence}, directory {directory}); these have not reported \
                 yet: {}",
                named(&silent)
            ),
            Verdict::GoesOn(_) => "put back from a backup; all witnesses have reported".to_owned(),
            Verdict::Behind(agencies) => format!(
                "put back from a backup that is too old (evidence {evidence}, directory {directory}); these \
                 hold more: {}",
                named(&agencies)
            ),
        }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<AgencyId, Report>> {
        self.reports.lock().unwrap_or_else(PoisonError::into_inner)
    }
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
