//! Alerts: figures are taken again and again, judged by the rules, kept over a restart, and told by hook and
//! mail; and a heartbeat for whoever watches from outside. Not here: what counts as bad, when it is over, and
//! what is new to whom (`proto::alert`).

mod beat;
mod bulletin;
mod figures;
mod keeping;

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use courier::{Hook, NotTold, Way};
use proto::{
    alert::{Alarms, Alert, Change, Code, Limits, News, Severity},
    ids::TimeMs,
};
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

pub use bulletin::{said, with_measure};
use figures::Gauges;
use keeping::Keeping;

use crate::{
    clock,
    config::{AlertsConfig, WrongAlerts},
    service::Gateway,
};

/// How often figures are taken.
pub const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long after a failure a way is tried again; twice as long after each further one.
pub const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest time between two tries.
pub const RETRY_MAX: Duration = Duration::from_secs(300);
/// How often a way looks whether something that was too early is to be told now.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// Alerts of a gateway, for whoever asks.
pub struct Alerting {
    network: String,
    folder: PathBuf,
    limits: Limits,
    off: BTreeSet<Code>,
    reserve_bytes: u64,
    ways: Vec<Way>,
    heartbeat: Option<Hook>,
    keeping: Keeping,
    standing: watch::Sender<Arc<[Alert]>>,
    wanted: watch::Sender<u64>,
    looked: watch::Sender<u64>,
    board: Mutex<BTreeMap<&'static str, WayStanding>>,
}

/// How a way stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct WayStanding {
    /// When it worked last; nothing since the gateway's start.
    pub told_at: Option<TimeMs>,
    /// Since when it fails, and why at the last try.
    pub failing: Option<(TimeMs, NotTold)>,
}

impl Alerting {
    /// Of a configuration, over a gateway's folder.
    ///
    /// # Errors
    /// [`WrongAlerts`].
    pub fn new(
        config: &AlertsConfig,
        network: &str,
        root: &Path,
        reserve_bytes: u64,
    ) -> Result<Self, WrongAlerts> {
        let ways = config.ways(root)?;
        let heartbeat = config.heartbeat(root)?;
        let names = ways.iter().map(Way::name).chain(heartbeat.as_ref().map(|_| beat::NAME));
        let board = names.map(|name| (name, WayStanding::default())).collect();
        let keeping = Keeping::open(root);
        let before = keeping.standing().into();
        Ok(Self {
            network: network.to_owned(),
            folder: root.to_owned(),
            limits: config.limits()?,
            off: config.off()?,
            reserve_bytes,
            ways,
            heartbeat,
            keeping,
            standing: watch::Sender::new(before),
            wanted: watch::Sender::new(0),
            looked: watch::Sender::new(0),
            board: Mutex::new(board),
        })
    }

    /// Those that stand, the gravest first.
    #[must_use]
    pub fn standing(&self) -> Arc<[Alert]> {
        Arc::clone(&self.standing.borrow())
    }

    /// Has figures taken now, and waits until they are judged: for whoever moves the clock of a sandbox.
    pub(crate) async fn look_now(&self) {
        let mut looked = self.looked.subscribe();
        let mut number = 0;
        self.wanted.send_modify(|wanted| {
            *wanted = wanted.saturating_add(1);
            number = *wanted;
        });
        // The sender is our own, so it is there.
        drop(looked.wait_for(|looked| *looked >= number).await);
    }

    /// How each way stands.
    #[must_use]
    pub fn ways(&self) -> BTreeMap<&'static str, WayStanding> {
        self.board().clone()
    }

    /// Since when people cannot be told by one way or another. Whoever watches from outside is no way.
    fn untold_since(&self) -> Option<TimeMs> {
        let board = self.board();
        let ways = self.ways.iter().filter_map(|way| board.get(way.name())?.failing);
        ways.map(|(since, _)| since).min()
    }

    /// Says by every way that this is a test.
    pub async fn test(&self) {
        for way in &self.ways {
            let result = way.carry(&bulletin::test(&self.network, clock::now())).await;
            self.note(way.name(), result);
        }
    }

    fn board(&self) -> MutexGuard<'_, BTreeMap<&'static str, WayStanding>> {
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, way: &'static str, result: Result<(), NotTold>) {
        let now = clock::now();
        let mut board = self.board();
        let standing = board.entry(way).or_default();
        *standing = match result {
            Ok(()) => WayStanding { told_at: Some(now), failing: None },
            Err(why) => {
                let since = standing.failing.map_or(now, |(since, _)| since);
                WayStanding { failing: Some((since, why)), ..*standing }
            }
        };
    }
}

impl std::fmt::Debug for Alerting {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Alerting").field("ways", &self.ways).finish_non_exhaustive()
    }
}

/// Watches, tells and beats as long as the gateway runs.
pub async fn run(gateway: Arc<Gateway>) {
    let alerting = &gateway.alerts;
    let telling = alerting.ways.iter().map(|way| tell(&gateway, way));
    let beating = beat::run(&gateway, alerting.heartbeat.as_ref());
    tokio::join!(look(&gateway), futures::future::join_all(telling), beating);
}

/// Takes figures, and shows what they come to.
async fn look(gateway: &Gateway) {
    let alerting = &gateway.alerts;
    let mut alarms = Alarms::standing(alerting.keeping.standing());
    let mut gauges = Gauges::new(clock::now());
    let mut wanted = alerting.wanted.subscribe();
    loop {
        let number = *wanted.borrow_and_update();
        if let Some(figures) = gauges.read(gateway, alerting.reserve_bytes).await {
            let conditions = figures.conditions(&alerting.limits);
            let told = conditions.into_iter().filter(|one| !alerting.off.contains(&one.key.code));
            let changes = alarms.look(figures.now, told);
            changes.iter().for_each(log);
            let standing: Arc<[Alert]> = alarms.raised().collect();
            gateway.metrics.operations.alerts(&standing);
            // Told before it is kept: a disk that hangs must not keep it from people.
            let before = alerting.standing.send_replace(Arc::clone(&standing));
            if before != standing {
                drop(alerting.keeping.keep_standing(&standing));
            }
        }
        alerting.looked.send_replace(number);
        drop(timeout(LOOK_EVERY, wanted.changed()).await);
    }
}

fn log(change: &Change) {
    match change {
        Change::Raised(alert) => {
            let (code, agency) = (alert.key.code.name(), alert.key.agency.as_ref());
            let agency = agency.map_or("", |agency| agency.as_str());
            match alert.key.code.severity() {
                Severity::Critical => tracing::error!(code, agency, "alert"),
                Severity::Warning => tracing::warn!(code, agency, "alert"),
            }
        }
        Change::Cleared(key) => {
            let agency = key.agency.as_ref().map_or("", |agency| agency.as_str());
            tracing::info!(code = key.code.name(), agency, "alert is over");
        }
    }
}

/// Tells by one way. What fails is tried again, later and later; nothing waits for it.
async fn tell(gateway: &Gateway, way: &Way) {
    let alerting = &gateway.alerts;
    let mut standing = alerting.standing.subscribe();
    let mut told = alerting.keeping.told(way.name());
    let mut wait = RETRY_FIRST;
    loop {
        let alerts = Arc::clone(&standing.borrow_and_update());
        let now = clock::now();
        let rest = match News::since(&told, &alerts, now) {
            None => TELL_EVERY,
            Some(news) => {
                let result = way.carry(&bulletin::of(&news, &alerting.network, now)).await;
                alerting.note(way.name(), result);
                gateway.metrics.operations.told(way.name(), result.is_ok());
                if let Err(why) = result {
                    tracing::error!(way = way.name(), %why, "people could not be told of alerts");
                    // Nothing that changes meanwhile makes a server that is down answer.
                    sleep(wait).await;
                    wait = wait.saturating_mul(2).min(RETRY_MAX);
                    continue;
                }
                told.take(&news, now);
                drop(alerting.keeping.keep_told(way.name(), &told));
                wait = RETRY_FIRST;
                TELL_EVERY
            }
        };
        tokio::select! {
            changed = standing.changed() => if changed.is_err() { return },
            () = sleep(rest) => {}
        }
    }
}
