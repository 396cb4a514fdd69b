//! What is counted, for Prometheus. No name, no id and no content is ever a label. Not here: the
//! listener that shows it (`serve`).

mod operations;

use std::{sync::atomic::AtomicU64, time::Duration};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

pub use operations::Operations;

use crate::{hub::Status, writer::answer::Answer};

/// Everything that is counted.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    /// Connections that were not taken.
    pub connections_refused: Counter,
    /// Connections that were cut because their certificate had ended.
    pub connections_cut: Counter,
    /// Bytes that were not what they claimed to be.
    pub malformed: Counter,
    /// Calls that were told to come back.
    pub turned_away: Counter,
    /// Certificates that were issued to whoever was invited.
    pub enrolments: Counter,
    /// Attempts to enrol that were refused.
    pub enrolments_refused: Counter,
    /// Certificates of agents that were renewed.
    pub renewals: Counter,
    /// Renewals that were refused.
    pub renewals_refused: Counter,
    /// Failures to write what is derived.
    pub derived_faults: Counter,
    /// Failures to take up changed TLS files.
    pub tls_faults: Counter,
    /// Checkpoints that a witness showed and that are no part of the log.
    pub fork_alarms: Counter,
    /// Deliveries that were sent.
    pub deliveries: Counter,
    answers: Family<AnswerLabels, Counter>,
    step_seconds: Histogram,
    step_requests: Histogram,
    has_room: Gauge,
    is_indexed: Gauge,
    is_clock_right: Gauge,
    is_clock_doubted: Gauge,
    clocks: Gauge,
    evidence_size: Gauge,
    published_size: Gauge,
    waiting: Gauge,
    referrals: Gauge,
    /// Open connections.
    pub connections: Gauge,
    /// When the first CRL runs out, Unix seconds.
    pub crls_until: Gauge<f64, AtomicU64>,
    /// When the gateway's certificate runs out, Unix seconds.
    pub certificate_until: Gauge<f64, AtomicU64>,
    /// What is counted for operations.
    pub operations: Operations,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AnswerLabels {
    answer: &'static str,
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        let seconds = [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 5.0];
        let requests = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0];
        let mut metrics = Self {
            registry: Registry::with_prefix("referral_gateway"),
            connections_refused: Counter::default(),
            connections_cut: Counter::default(),
            malformed: Counter::default(),
            turned_away: Counter::default(),
            enrolments: Counter::default(),
            enrolments_refused: Counter::default(),
            renewals: Counter::default(),
            renewals_refused: Counter::default(),
            derived_faults: Counter::default(),
            tls_faults: Counter::default(),
            fork_alarms: Counter::default(),
            deliveries: Counter::default(),
            answers: Family::default(),
            step_seconds: Histogram::new(seconds),
            step_requests: Histogram::new(requests),
            has_room: Gauge::default(),
            is_indexed: Gauge::default(),
            is_clock_right: Gauge::default(),
            is_clock_doubted: Gauge::default(),
            clocks: Gauge::default(),
            evidence_size: Gauge::default(),
            published_size: Gauge::default(),
            waiting: Gauge::default(),
            referrals: Gauge::default(),
            connections: Gauge::default(),
            crls_until: Gauge::default(),
            certificate_until: Gauge::default(),
            operations: Operations::default(),
        };
        metrics.register_counters();
        metrics.register_gauges();
        metrics.operations.register(&mut metrics.registry);
        metrics
    }

    fn register_counters(&mut self) {
        let counters = [
            ("connections_refused", "Connections that were not taken", &self.connections_refused),
            (
                "connections_cut",
                "Connections whose certificate ended while they were open",
                &self.connections_cut,
            ),
            ("malformed", "Messages that were not what they claimed to be", &self.malformed),
            ("turned_away", "Calls that were told to come back later", &self.turned_away),
            ("enrolments", "Certificates issued to whoever was invited", &self.enrolments),
            ("enrolments_refused", "Attempts to enrol that were refused", &self.enrolments_refused),
            ("renewals", "Certificates of agents that were renewed", &self.renewals),
            ("renewals_refused", "Renewals of certificates that were refused", &self.renewals_refused),
            ("derived_faults", "Failures to write index, tiles or checkpoint", &self.derived_faults),
            ("tls_faults", "Failures to take up changed certificates, keys or CRLs", &self.tls_faults),
            ("fork_alarms", "Checkpoints shown by witnesses that are no part of the log", &self.fork_alarms),
            ("deliveries", "Envelopes that were sent to their recipients", &self.deliveries),
        ];
        for (name, help, counter) in counters {
            self.registry.register(name, help, counter.clone());
        }
        self.registry.register("answers", "Answers of the writer, by sort", self.answers.clone());
        self.registry.register_with_unit(
            "step",
            "Time of one step of the writer, its sync included",
            Unit::Seconds,
            self.step_seconds.clone(),
        );
        let help = "Requests that one step took together";
        self.registry.register("step_requests", help, self.step_requests.clone());
    }

    fn register_gauges(&mut self) {
        let gauges = [
            ("has_room", "1 while the disk has room for ordinary work", &self.has_room),
            ("is_indexed", "1 while the index is complete", &self.is_indexed),
            ("is_clock_right", "1 while the clock is not behind the journal", &self.is_clock_right),
            (
                "is_clock_doubted",
                "1 while the clock has jumped ahead and nobody has confirmed it",
                &self.is_clock_doubted,
            ),
            ("clocks", "Referrals in which something is awaited by a time", &self.clocks),
            ("evidence_size", "Records in the evidence log", &self.evidence_size),
            ("published_size", "Records under the published checkpoint", &self.published_size),
            ("waiting", "Envelopes that wait in mailboxes", &self.waiting),
            ("referrals", "Referrals in memory", &self.referrals),
            ("connections", "Open connections", &self.connections),
        ];
        for (name, help, gauge) in gauges {
            self.registry.register(name, help, gauge.clone());
        }
        let times = [
            ("crls_until_seconds", "When the first CRL runs out, Unix time", &self.crls_until),
            (
                "certificate_until_seconds",
                "When the gateway's certificate runs out, Unix time",
                &self.certificate_until,
            ),
        ];
        for (name, help, gauge) in times {
            self.registry.register(name, help, gauge.clone());
        }
    }

    /// A step was made.
    pub fn step(&self, took: Duration, requests: usize) {
        self.step_seconds.observe(took.as_secs_f64());
        self.step_requests.observe(f64::from(u32::try_from(requests).unwrap_or(u32::MAX)));
    }

    /// The writer answered.
    pub fn answered(&self, answer: &Answer) {
        let answer = match answer {
            Answer::Taken { .. } => "taken",
            Answer::Refused { .. } => "refused",
            Answer::Busy(_) => "busy",
            Answer::Nothing => "nothing",
        };
        self.answers.get_or_create(&AnswerLabels { answer }).inc();
    }

    /// What was refused since the start: by the rules, at the door, and of enrolments.
    #[must_use]
    pub fn refused(&self) -> u64 {
        let by_rules = self.answers.get_or_create(&AnswerLabels { answer: "refused" }).get();
        let at_doors = self.connections_refused.get().saturating_add(self.enrolments_refused.get());
        by_rules.saturating_add(at_doors)
    }

    /// How the writer is.
    pub fn status(&self, status: &Status) {
        let size = |size: u64| i64::try_from(size).unwrap_or(i64::MAX);
        let count = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
        self.has_room.set(status.has_room.into());
        self.is_indexed.set(status.is_indexed.into());
        self.is_clock_right.set(status.is_clock_right.into());
        self.is_clock_doubted.set(status.is_clock_doubted.into());
        self.clocks.set(i64::try_from(status.clocks).unwrap_or(i64::MAX));
        self.evidence_size.set(size(status.evidence_size));
        self.published_size.set(size(status.published_size));
        self.waiting.set(count(status.waiting));
        self.referrals.set(count(status.referrals));
    }

    /// When the first CRL runs out, in Unix milliseconds.
    #[must_use]
    pub fn crls_until_ms(&self) -> u64 {
        milliseconds(self.crls_until.get())
    }

    /// When the gateway's certificate runs out, in Unix milliseconds.
    #[must_use]
    pub fn certificate_until_ms(&self) -> u64 {
        milliseconds(self.certificate_until.get())
    }

    /// The text that Prometheus reads (OpenMetrics).
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = String::new();
        // Writing into a string does not fail.
        let written = encode(&mut text, &self.registry);
        debug_assert!(written.is_ok());
        text
    }
}

#[allow(
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a metric, which was whole seconds"
)]
fn milliseconds(seconds: f64) -> u64 {
    (seconds as u64).saturating_mul(1000)
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_that_is_counted_is_shown() {
        let metrics = Metrics::new();
        metrics.answered(&Answer::Nothing);
        metrics.step(Duration::from_millis(3), 7);
        let text = metrics.text();
        assert!(text.contains("referral_gateway_answers_total{answer=\"nothing\"} 1"), "{text}");
        assert!(text.contains("referral_gateway_step_seconds_count 1"), "{text}");
        assert!(text.contains("referral_gateway_is_indexed 0"), "{text}");
        assert!(text.ends_with("# EOF\n"));
    }
}
