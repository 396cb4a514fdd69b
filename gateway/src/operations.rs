//! What operations look at: what is stuck and whom to call, how the agencies and the gateway stand. It is
//! collected page by page from the writer, at most once in a few seconds however many look. Not here: who
//! may look (`proto::decide`), what counts as stuck (`proto::stuck`), and how it is shown.

pub mod moments;

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::{Arc, Mutex as StdMutex, PoisonError},
    time::{Duration, Instant},
};

use proto::{
    caller::Caller,
    directory::{Directory, KeyPurpose, PublicKeyOf},
    ids::{AgencyId, TimeMs},
    refusal::Refusal,
    stuck::{Awaited, Lateness, Stage},
};
use tokio::sync::Mutex;

use crate::{
    clock,
    hub::{Hub, Page, Unavailable},
    peer::connections::{Connections, Contact},
};

/// How old a view may be before it is collected again.
pub const FRESH: Duration = Duration::from_secs(3);
/// Most things that are awaited in one view: the oldest.
pub const AWAITED_MAX: usize = 20_000;
/// Most pages of one walk, of [`crate::hub::AWAITED_PAGE`] referrals each.
pub const PAGES_MAX: usize = 1_000;

/// Collects what is looked at, and keeps it for a moment.
pub struct Board {
    hub: Hub,
    connections: Arc<Connections>,
    folder: PathBuf,
    started: TimeMs,
    last: Mutex<Option<(Instant, Arc<Overview>)>>,
    /// When an agency's message was refused last because it was dated in the future.
    dated_ahead: StdMutex<BTreeMap<AgencyId, TimeMs>>,
}

/// All that was collected at a moment.
#[derive(Debug)]
pub struct Overview {
    /// When.
    pub at: TimeMs,
    /// All that is awaited, the oldest first.
    pub awaited: Vec<Awaited>,
    /// Whether [`Self::awaited`] is all.
    pub is_whole: bool,
    /// Every agency, in the order of their ids.
    pub agencies: Vec<AgencyStanding>,
    /// The directory at that moment.
    pub directory: Arc<Directory>,
}

/// How an agency stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgencyStanding {
    /// Which.
    pub agency: AgencyId,
    /// Whether one of its machines is connected.
    pub connected: bool,
    /// Its last contact, since the gateway's start.
    pub contact: Option<Contact>,
    /// Envelopes in its mailbox.
    pub waiting: usize,
    /// Whether it is suspended.
    pub suspended: bool,
    /// Whether it lacks a signing key or a sealing key in force.
    pub lacks_key: bool,
    /// When it sent last what was refused because it was dated in the future, since the gateway's start.
    pub dated_ahead_at: Option<TimeMs>,
}

/// How many are in a stage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StageCount {
    /// Which.
    pub stage: Stage,
    /// All of them.
    pub awaited: usize,
    /// Those for which somebody should act now.
    pub stuck: usize,
    /// Those whose time is over.
    pub missed: usize,
}

/// Whom to call, as the directory says it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Duty<'a> {
    /// E.164; empty when it gave none.
    pub phone: &'a str,
    /// The name of a calendar; empty when it gave none.
    pub hours: &'a str,
}

/// The duty desk of an agency.
#[must_use]
pub fn duty<'a>(directory: &'a Directory, agency: &AgencyId) -> Duty<'a> {
    let profile = directory.agency(agency).and_then(|agency| agency.profile.as_ref());
    profile
        .map_or_else(Duty::default, |profile| Duty { phone: &profile.duty_phone, hours: &profile.duty_hours })
}

impl Board {
    /// Over a hub and its connections; `folder` is on the disk whose room counts.
    #[must_use]
    pub fn new(hub: Hub, connections: Arc<Connections>, folder: &Path) -> Self {
        Self {
            hub,
            connections,
            folder: folder.to_owned(),
            started: clock::now(),
            last: Mutex::new(None),
            dated_ahead: StdMutex::default(),
        }
    }

    /// Takes what a caller's push was refused for: of one that is dated in the future it is remembered when.
    /// Only agencies of the directory come so far.
    pub fn refused(&self, caller: &Caller, refusal: Refusal) {
        if refusal == Refusal::CreatedInFuture
            && let Some(agency) = caller.agency()
        {
            let mut dated = self.dated_ahead.lock().unwrap_or_else(PoisonError::into_inner);
            dated.insert(agency.clone(), clock::now());
        }
    }

    /// Since when the gateway runs.
    #[must_use]
    pub const fn started(&self) -> TimeMs {
        self.started
    }

    /// The gateway's folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Bytes that are free on the disk; 0 when it does not say.
    #[must_use]
    pub fn free_bytes(&self) -> u64 {
        rustix::fs::statvfs(&self.folder).map_or(0, |disk| disk.f_bavail.saturating_mul(disk.f_frsize))
    }

    /// What is looked at, at most [`FRESH`] old. Whoever comes while it is collected waits for the same.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn overview(&self) -> Result<Arc<Overview>, Unavailable> {
        let mut last = self.last.lock().await;
        if let Some((collected, overview)) = &*last
            && collected.elapsed() < FRESH
        {
            return Ok(Arc::clone(overview));
        }
        let overview = Arc::new(self.collect().await?);
        *last = Some((Instant::now(), Arc::clone(&overview)));
        Ok(overview)
    }

    /// The same as it is at this moment. Nobody else is shown it, so that whoever looks at long intervals
    /// makes nobody's view older.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn collect(&self) -> Result<Overview, Unavailable> {
        let (mut awaited, mut next) = (Vec::new(), Some(Page::Open(None)));
        for _ in 0..PAGES_MAX {
            let Some(page) = next.take().filter(|_| awaited.len() < AWAITED_MAX) else {
                break;
            };
            let read = self.hub.awaited(page).await?;
            let judged = read.awaited.into_iter().map(|one| self.judged(one));
            awaited.extend(judged);
            next = read.next;
        }
        awaited.sort_by(|one, other| (one.since, &one.referral).cmp(&(other.since, &other.referral)));
        let (directory, at) = (self.hub.directory(), clock::now());
        let waiting: BTreeMap<_, _> = self.hub.waiting().await?.into_iter().collect();
        let agencies = directory.agencies().map(|(id, _)| {
            let waiting = waiting.get(id).copied().unwrap_or(0);
            self.standing(&directory, id, (waiting, at))
        });
        let agencies = agencies.collect();
        Ok(Overview { at, awaited, is_whole: next.is_none(), agencies, directory })
    }

    /// Has the next view collected anew.
    pub async fn forget(&self) {
        *self.last.lock().await = None;
    }

    /// Whether an agency's agent is connected.
    #[must_use]
    pub fn is_connected(&self, agency: &AgencyId) -> bool {
        self.connections.is_connected(&name_of(agency))
    }

    /// With whether the agency that has to act is connected.
    #[must_use]
    pub fn judged(&self, awaited: Awaited) -> Awaited {
        let connected = self.is_connected(awaited.whom());
        awaited.with_contact(connected)
    }

    fn standing(
        &self,
        directory: &Directory,
        agency: &AgencyId,
        (waiting, now): (usize, TimeMs),
    ) -> AgencyStanding {
        let name = name_of(agency);
        let keys = directory.agency(agency).map_or(&[][..], |agency| &agency.keys);
        let dated = self.dated_ahead.lock().unwrap_or_else(PoisonError::into_inner);
        let has = |purpose| keys.iter().any(|key| key.in_force(now) && purpose_of(&key.key) == purpose);
        AgencyStanding {
            agency: agency.clone(),
            connected: self.connections.is_connected(&name),
            contact: self.connections.contact(&name),
            waiting,
            suspended: directory.is_suspended(agency, now),
            lacks_key: !has(KeyPurpose::Signing) || !has(KeyPurpose::Sealing),
            dated_ahead_at: dated.get(agency).copied(),
        }
    }
}

const fn purpose_of(key: &PublicKeyOf) -> KeyPurpose {
    match key {
        PublicKeyOf::Signing(_) => KeyPurpose::Signing,
        PublicKeyOf::Sealing(_) => KeyPurpose::Sealing,
        PublicKeyOf::Witness(_) => KeyPurpose::Witness,
    }
}

/// An agency's name among the connections, as [`crate::peer::Peer::name`] makes it.
fn name_of(agency: &AgencyId) -> String {
    format!("agency/{agency}")
}

impl Overview {
    /// How many are in each stage.
    #[must_use]
    pub fn counts(&self) -> Vec<StageCount> {
        let of = |stage: &Stage| {
            let here = || self.awaited.iter().filter(|one| one.stage == *stage);
            StageCount {
                stage: *stage,
                awaited: here().count(),
                stuck: here().filter(|one| one.is_stuck(self.at)).count(),
                missed: here().filter(|one| one.lateness(self.at) == Lateness::Missed).count(),
            }
        };
        Stage::ALL.iter().map(of).collect()
    }

    /// What is stuck, the oldest first.
    pub fn stuck(&self) -> impl Iterator<Item = &Awaited> {
        self.awaited.iter().filter(|one| one.is_stuck(self.at))
    }
}

/// Whether a member of staff may see how deliveries stand, and contacts. The writer decides it again, with
/// evidence; this is for what is shown beside it.
#[must_use]
pub const fn sees_deliveries(caller: &Caller) -> bool {
    use proto::caller::StaffRole::{Administrator, Auditor, Operator};
    match caller {
        Caller::Staff { role: Operator | Administrator, .. } => true,
        Caller::Staff { role: Auditor, .. }
        | Caller::Agency { .. }
        | Caller::Invited { .. }
        | Caller::Gateway => false,
    }
}
