//! The figures that alerts are judged by, and those that Prometheus gets beside them; with what must be
//! remembered from look to look. Not here: what counts as bad (`proto::alert`).

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    sync::Arc,
    time::Duration,
};

use proto::{
    alert::{AgencyFigures, Figures, Presence},
    ids::{AgencyId, TimeMs},
};
use tokio::time::timeout;

use crate::{
    clock,
    history::Log,
    operations::{AgencyStanding, Overview},
    place::Place,
    service::Gateway,
};

/// How long the writer may take to answer what is awaited; then the last answer is judged again.
const OVERVIEW_TIME_MAX: Duration = Duration::from_secs(5);
/// Over what time refusals are counted.
const REFUSED_OVER_MS: u64 = 10 * 60 * 1000;
/// Over what time a mailbox must have grown.
const WAITING_OVER_MS: u64 = 60 * 60 * 1000;
/// How often mailboxes are remembered meanwhile.
const WAITING_EVERY_MS: u64 = 5 * 60 * 1000;

/// What is remembered from look to look.
pub(super) struct Gauges {
    started: TimeMs,
    last: Option<Arc<Overview>>,
    refused: VecDeque<(TimeMs, u64)>,
    waiting: VecDeque<(TimeMs, BTreeMap<AgencyId, u64>)>,
    witnessed_size: u64,
    /// Since when nothing more was witnessed.
    unwitnessed_since: Option<TimeMs>,
}

impl Gauges {
    pub(super) const fn new(started: TimeMs) -> Self {
        Self {
            started,
            last: None,
            refused: VecDeque::new(),
            waiting: VecDeque::new(),
            witnessed_size: 0,
            unwitnessed_since: None,
        }
    }

    /// All figures; none before the first answer of the writer.
    pub(super) async fn read<'a>(&'a mut self, gateway: &Gateway, reserve_bytes: u64) -> Option<Figures<'a>> {
        if let Ok(Ok(overview)) = timeout(OVERVIEW_TIME_MAX, gateway.board.collect()).await {
            self.last = Some(Arc::new(overview));
        }
        let overview = Arc::clone(self.last.as_ref()?);
        let (now, status) = (clock::now(), gateway.hub.status());
        let metrics = &gateway.metrics.operations;
        metrics.overview(&overview);
        let free_bytes = gateway.board.free_bytes();
        let place = Place::new(gateway.board.folder(), None);
        let backup = fs::metadata(place.backup_made()).and_then(|file| file.modified());
        let backup_at = backup.ok().map(clock::of);
        let (witnessed, witnesses) = gateway.published.of(Log::Evidence).witnessed().unwrap_or_default();
        self.witness(now, status.published_size, witnessed);
        self.remember(now, &overview.agencies);
        let refused = self.refused_lately(now, gateway.metrics.refused());
        metrics.machine((free_bytes, reserve_bytes), (witnessed, witnesses), backup_at);
        let agencies = overview.agencies.iter().map(|agency| self.agency(agency)).collect();
        // One that hangs is as slow as it has hung.
        let slowest = gateway.metrics.operations.take_slowest_step();
        let slowest_step_ms = slowest.into_iter().chain(gateway.hub.stalled_ms(now)).max();
        let awaited = self.last.as_ref().map_or(&[][..], |overview| &overview.awaited);
        Some(Figures {
            now,
            awaited,
            agencies,
            // Of the machine's time, as TLS is.
            certificate_until: TimeMs(gateway.metrics.certificate_until_ms()).plus_ms(clock::ahead_ms()),
            crls_until: TimeMs(gateway.metrics.crls_until_ms()).plus_ms(clock::ahead_ms()),
            is_clock_right: status.is_clock_right && !status.is_clock_doubted,
            has_room: status.has_room,
            free_bytes,
            reserve_bytes,
            slowest_step_ms,
            unwitnessed_since: self.unwitnessed_since,
            forks: gateway.metrics.fork_alarms.get(),
            refused,
            untold_since: gateway.alerts.untold_since(),
            backup_at,
            is_indexed: status.is_indexed,
        })
    }

    fn agency(&self, of: &AgencyStanding) -> AgencyFigures {
        let before = self.waiting.front().map(|(_, waiting)| waiting.get(&of.agency).copied().unwrap_or(0));
        let presence = match of.contact {
            _ if of.connected => Presence::Here,
            Some(contact) => Presence::AwaySince(contact.last),
            None => Presence::NotSeenSince(self.started),
        };
        AgencyFigures {
            agency: of.agency.clone(),
            presence,
            suspended: of.suspended,
            waiting: count(of.waiting),
            waiting_before: before,
            certificate_until: of.contact.map(|contact| contact.certificate_until),
            dated_ahead_at: of.dated_ahead_at,
        }
    }

    /// Waiting begins again with every cosignature that comes.
    fn witness(&mut self, now: TimeMs, published: u64, witnessed: u64) {
        if published <= witnessed {
            self.unwitnessed_since = None;
        } else if witnessed != self.witnessed_size || self.unwitnessed_since.is_none() {
            self.unwitnessed_since = Some(now);
        }
        self.witnessed_size = witnessed;
    }

    /// Remembers mailboxes, back to an hour ago.
    fn remember(&mut self, now: TimeMs, agencies: &[AgencyStanding]) {
        if self.waiting.back().is_none_or(|(at, _)| now >= at.plus_ms(WAITING_EVERY_MS)) {
            let some = agencies.iter().filter(|agency| agency.waiting > 0);
            let waiting = some.map(|agency| (agency.agency.clone(), count(agency.waiting))).collect();
            self.waiting.push_back((now, waiting));
        }
        while self.waiting.get(1).is_some_and(|(at, _)| now >= at.plus_ms(WAITING_OVER_MS)) {
            self.waiting.pop_front();
        }
    }

    fn refused_lately(&mut self, now: TimeMs, total: u64) -> u64 {
        self.refused.push_back((now, total));
        while self.refused.get(1).is_some_and(|(at, _)| now >= at.plus_ms(REFUSED_OVER_MS)) {
            self.refused.pop_front();
        }
        self.refused.front().map_or(0, |(_, before)| total.saturating_sub(*before))
    }
}

fn count(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE_MS: u64 = 60 * 1000;

    fn at(minute: u64) -> TimeMs {
        TimeMs(minute * MINUTE_MS)
    }

    #[test]
    fn refusals_are_those_of_the_last_ten_minutes() {
        let mut gauges = Gauges::new(at(0));
        for (minute, total, expected) in
            [(0, 5, 0), (1, 9, 4), (10, 20, 15), (11, 20, 11), (20, 21, 1), (40, 21, 0)]
        {
            assert_eq!(gauges.refused_lately(at(minute), total), expected, "{minute}");
        }
        assert!(gauges.refused.len() <= 3);
    }

    #[test]
    fn waiting_for_a_witness_begins_again_with_each_cosignature() {
        let mut gauges = Gauges::new(at(0));
        let rows = [
            ((0, 0), None),
            ((5, 0), Some(at(1))),
            ((9, 0), Some(at(1))),
            ((9, 5), Some(at(3))),
            ((9, 9), None),
            ((10, 9), Some(at(5))),
        ];
        for (minute, ((published, witnessed), expected)) in (0..).zip(rows) {
            gauges.witness(at(minute), published, witnessed);
            assert_eq!(gauges.unwitnessed_since, expected, "{minute}");
        }
    }

    #[test]
    fn mailboxes_are_remembered_for_an_hour() {
        let mut gauges = Gauges::new(at(0));
        for minute in 0..200 {
            gauges.remember(at(minute), &[]);
        }
        assert_eq!(gauges.waiting.front().map(|(at, _)| *at), Some(at(135)));
        assert!(gauges.waiting.len() <= 14);
    }
}
