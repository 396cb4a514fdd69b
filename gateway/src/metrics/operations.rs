//! What is counted for operations: what is awaited and stuck, how many agencies are there, disk, witnesses,
//! backup, alerts. Counts alone, of all agencies together. Not here: taking the figures (`alerts`).

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};
use proto::{
    alert::{Alert, Code},
    ids::{TimeMs, Urgency},
    stuck::Stage,
};

use crate::operations::Overview;

type Seconds = Gauge<f64, AtomicU64>;

/// What is counted for operations.
#[derive(Debug, Default)]
pub struct Operations {
    awaited: Family<StageLabels, Gauge>,
    stuck: Family<StageLabels, Gauge>,
    missed: Family<StageLabels, Gauge>,
    emergencies_unseen: Gauge,
    agencies: Gauge,
    agencies_connected: Gauge,
    mailbox_largest: Gauge,
    free_bytes: Gauge,
    reserve_bytes: Gauge,
    witnessed_size: Gauge,
    witnesses: Gauge,
    backup: Seconds,
    last_sync: Seconds,
    alerts: Family<AlertLabels, Gauge>,
    told: Family<WayLabels, Counter>,
    not_told: Family<WayLabels, Counter>,
    /// Of the time since it was taken last, in microseconds and one more; 0 when there was no step.
    slowest_step_us: AtomicU64,
    slowest_of_minute_us: AtomicU64,
    last_sync_ms: AtomicU64,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StageLabels {
    stage: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AlertLabels {
    code: &'static str,
    severity: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct WayLabels {
    way: &'static str,
}

impl Operations {
    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register(
            "awaited",
            "Referrals in which something is awaited, by stage",
            self.awaited.clone(),
        );
        registry.register("stuck", "Of these, those for which somebody should act now", self.stuck.clone());
        registry.register("missed", "Of these, those whose time is over", self.missed.clone());
        let gauges = [
            ("emergencies_unseen", "Emergencies that no person has seen", &self.emergencies_unseen),
            ("agencies", "Agencies of the network", &self.agencies),
            ("agencies_connected", "Agencies that are connected", &self.agencies_connected),
            ("mailbox_largest", "Envelopes in the mailbox that holds the most", &self.mailbox_largest),
            ("free_bytes", "Free bytes of the disk", &self.free_bytes),
            ("reserve_bytes", "Below so many free bytes nothing ordinary is taken", &self.reserve_bytes),
            ("witnessed_size", "Largest published size that a witness has cosigned", &self.witnessed_size),
            ("witnesses", "How many witnesses have cosigned it", &self.witnesses),
        ];
        for (name, help, gauge) in gauges {
            registry.register(name, help, gauge.clone());
        }
        let help = "When the last backup was made, Unix time; 0 when there is none";
        registry.register("backup_seconds", help, self.backup.clone());
        let help = "When the writer last wrote and synced a batch, Unix time; 0 when it has not";
        registry.register("last_sync_seconds", help, self.last_sync.clone());
        registry.register("alerts", "Alerts that stand, by code", self.alerts.clone());
        registry.register("told", "Messages that reached people, by way", self.told.clone());
        registry.register("not_told", "Messages that could not be sent, by way", self.not_told.clone());
        for code in Code::ALL {
            self.alerts.get_or_create(&labels(*code)).set(0);
        }
        for stage in Stage::ALL {
            let labels = StageLabels { stage: stage.name() };
            for family in [&self.awaited, &self.stuck, &self.missed] {
                family.get_or_create(&labels).set(0);
            }
        }
        for way in ["hook", "mail", "heartbeat"] {
            for family in [&self.told, &self.not_told] {
                family.get_or_create(&WayLabels { way }).inc_by(0);
            }
        }
    }

    /// A batch was written and synced.
    pub fn synced(&self, at: TimeMs, took: Duration) {
        let took_us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX).saturating_add(1);
        self.slowest_step_us.fetch_max(took_us, Ordering::Relaxed);
        self.slowest_of_minute_us.fetch_max(took_us, Ordering::Relaxed);
        self.last_sync_ms.store(at.0, Ordering::Relaxed);
        self.last_sync.set(seconds(at));
    }

    /// When a batch was written and synced last, since the start.
    #[must_use]
    pub fn last_sync(&self) -> TimeMs {
        TimeMs(self.last_sync_ms.load(Ordering::Relaxed))
    }

    /// The slowest step since this was asked last, in milliseconds; nothing when there was none.
    pub fn take_slowest_step(&self) -> Option<u64> {
        let took_us = self.slowest_step_us.swap(0, Ordering::Relaxed);
        (took_us > 0).then_some(took_us / 1000)
    }

    /// The slowest step since this was asked last, in microseconds, for the console's charts; 0 when there was
    /// none.
    pub fn take_slowest_of_minute_us(&self) -> u64 {
        self.slowest_of_minute_us.swap(0, Ordering::Relaxed)
    }

    /// What is awaited, and how the agencies are.
    pub fn overview(&self, overview: &Overview) {
        for count in overview.counts() {
            let labels = StageLabels { stage: count.stage.name() };
            let families = [&self.awaited, &self.stuck, &self.missed];
            for (family, count) in families.iter().zip([count.awaited, count.stuck, count.missed]) {
                family.get_or_create(&labels).set(number(count));
            }
        }
        let is_unseen = |stage| matches!(stage, Stage::NotFetched | Stage::NotSeen);
        let unseen =
            overview.awaited.iter().filter(|one| one.urgency == Urgency::Emergency && is_unseen(one.stage));
        self.emergencies_unseen.set(number(unseen.count()));
        self.agencies.set(number(overview.agencies.len()));
        self.agencies_connected
            .set(number(overview.agencies.iter().filter(|agency| agency.connected).count()));
        let largest = overview.agencies.iter().map(|agency| agency.waiting).max();
        self.mailbox_largest.set(number(largest.unwrap_or(0)));
    }

    /// How the machine and the log are.
    pub fn machine(
        &self,
        (free_bytes, reserve_bytes): (u64, u64),
        (witnessed_size, witnesses): (u64, usize),
        backup_at: Option<TimeMs>,
    ) {
        let size = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
        self.free_bytes.set(size(free_bytes));
        self.reserve_bytes.set(size(reserve_bytes));
        self.witnessed_size.set(size(witnessed_size));
        self.witnesses.set(number(witnesses));
        self.backup.set(backup_at.map_or(0.0, seconds));
    }

    /// The alerts that stand.
    pub fn alerts(&self, standing: &[Alert]) {
        for code in Code::ALL {
            let count = standing.iter().filter(|alert| alert.key.code == *code).count();
            self.alerts.get_or_create(&labels(*code)).set(number(count));
        }
    }

    /// People were told by a way, or could not be.
    pub fn told(&self, way: &'static str, well: bool) {
        let family = if well { &self.told } else { &self.not_told };
        family.get_or_create(&WayLabels { way }).inc();
    }
}

const fn labels(code: Code) -> AlertLabels {
    AlertLabels { code: code.name(), severity: code.severity().name() }
}

fn number(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[allow(clippy::cast_precision_loss, clippy::as_conversions, reason = "a metric, in seconds")]
const fn seconds(at: TimeMs) -> f64 {
    at.0 as f64 / 1000.0
}
