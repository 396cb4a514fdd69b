//! Clocks of referrals at their boundaries: the millisecond before and after, what ends, pauses and
//! begins them again; and the gateway's own clock.

use prost::Message as _;
use proto::{
    caller::Caller,
    clocks::{ClockKind, default_seconds},
    command::{Command, Tick},
    decide::next_due,
    evidence::Event,
    gateway_clock::{CLOCK_STEP_MS_MAX, OUTAGE_GRACE_MS},
    header::Header,
    ids::{Kind, PartClass, ReasonClass, TimeMs, Urgency},
    lifecycle::{Act, Status},
    refusal::Refusal::*,
    wire::{self, directory_change::Change},
};

use crate::network::*;

const SECOND: u64 = 1000;

fn limit_ms(urgency: Urgency, kind: ClockKind) -> u64 {
    default_seconds(urgency, kind) * SECOND
}

/// An opening of an urgency that outlives all its clocks.
fn opens(net: &mut Network, urgency: Urgency) -> Header {
    let opening = Header { urgency, expires_at: TimeMs(net.now + 80 * DAY), ..net.opening(DFWAC, AMAN) };
    net.push(&opening).accepted();
    opening
}

/// What runs, but for the word that is owed after an acceptance: see `silence`.
fn running(net: &Network, opening: &Header) -> Vec<ClockKind> {
    let referral = net.writer.referral(&opening.referral).unwrap();
    let kinds = referral.clocks.running().map(|clock| clock.kind);
    kinds.filter(|kind| *kind != ClockKind::Progress).collect()
}

fn status(net: &Network, opening: &Header) -> Status {
    net.writer.referral(&opening.referral).unwrap().status
}

/// Moves time to a moment, ticking on the way; gives what happened.
fn until(net: &mut Network, now: u64) -> Vec<Event> {
    net.now = now;
    net.ticked()
}

#[test]
fn each_clock_is_missed_at_its_millisecond_once_for_both_sides() {
    for urgency in Urgency::ALL {
        let mut net = Network::new();
        let opening = opens(&mut net, *urgency);
        for kind in [ClockKind::Delivered, ClockKind::Seen, ClockKind::Answered] {
            let due = T0 + limit_ms(*urgency, kind);
            assert_eq!(next_due(&net.writer.state), Some(TimeMs(due)), "{urgency:?} {kind:?}");
            assert_eq!(until(&mut net, due - 1), [], "{urgency:?} {kind:?}, a millisecond before");
            net.now = due;
            let done = net.tick();
            let record = done[0].records().next().unwrap();
            let event = if kind == ClockKind::Answered {
                Event::AcceptanceRejectionExpiry
            } else {
                Event::ClockMissed
            };
            let what = &record.what;
            assert_eq!(
                (what.event, what.clock, what.due_at),
                (event, kind.number().unsigned_abs(), TimeMs(due))
            );
            assert_eq!(what.parties, [agency(DFWAC), agency(AMAN)]);
            assert_eq!(net.ticked(), [], "once");
        }
        assert_eq!((status(&net, &opening), running(&net, &opening)), (Status::Expired, vec![]));
        let late = net.act(&opening, AMAN, Act::Accept);
        assert_refused(&net.push(&late), AttemptEnded, "attempt", true, "a late yes");
        // It is not lost, and the sender's people were told.
        let stopped = net.writer.records().filter(|record| record.what.event == Event::EscalationStopped);
        assert_eq!(stopped.map(|record| record.what.parties.clone()).collect::<Vec<_>>(), [[agency(DFWAC)]]);
        net.fetches_all(AMAN);
        let again = net.attempt(&opening, AMAN);
        net.push(&again).accepted();
        assert_eq!(running(&net, &opening), [ClockKind::Delivered, ClockKind::Seen, ClockKind::Answered]);
        net.writer.check();
    }
}

#[test]
fn what_comes_in_time_ends_its_clock_and_is_never_missed() {
    for urgency in Urgency::ALL {
        let mut net = Network::new();
        let opening = opens(&mut net, *urgency);
        net.now = T0 + limit_ms(*urgency, ClockKind::Delivered) - 1;
        net.fetches_all(AMAN);
        assert_eq!(running(&net, &opening), [ClockKind::Seen, ClockKind::Answered]);
        net.now = T0 + limit_ms(*urgency, ClockKind::Seen) - 1;
        net.does(&opening, AMAN, Act::See);
        assert_eq!(running(&net, &opening), [ClockKind::Answered]);
        // To ask is no answer.
        net.does(&opening, AMAN, Act::RequestInformation);
        assert_eq!(running(&net, &opening), [ClockKind::Answered]);
        net.now = T0 + limit_ms(*urgency, ClockKind::Answered) - 1;
        net.does(&opening, AMAN, Act::Accept);
        assert_eq!(running(&net, &opening), [], "identity was parked, and is released");
        until(&mut net, T0 + 60 * DAY);
        let late = net.writer.records().filter(|record| {
            let word = record.what.clock == ClockKind::Progress.number().unsigned_abs();
            matches!(record.what.event, Event::AcceptanceRejectionExpiry | Event::ClockMissed) && !word
        });
        assert_eq!(late.count(), 0, "{urgency:?}");
        net.writer.check();
    }
}

#[test]
fn what_expects_no_answer_has_to_be_delivered_only() {
    for kind in [Kind::Notice, Kind::Document, Kind::Message] {
        let mut net = Network::new();
        let mut opening = net.opening(DFWAC, AMAN);
        (opening.kind, opening.expires_at) = (kind, TimeMs(T0 + 30 * DAY));
        opening.parts.truncate(1);
        net.push(&opening).accepted();
        assert_eq!(running(&net, &opening), [ClockKind::Delivered]);
        assert_eq!(until(&mut net, T0 + 5 * DAY), [Event::ClockMissed]);
        assert_eq!(until(&mut net, T0 + 30 * DAY), [Event::Expired], "nobody is asked instead");
        net.writer.check();
    }
}

#[test]
fn a_waiting_list_is_no_answer() {
    for (urgency, due) in
        [(Urgency::Emergency, DAY), (Urgency::Urgent, HOUR + 3 * DAY), (Urgency::Normal, HOUR + 14 * DAY)]
    {
        let mut net = Network::new();
        let opening = opens(&mut net, urgency);
        net.fetches_all(AMAN);
        net.now = T0 + HOUR - 1;
        net.does(&opening, AMAN, Act::See);
        net.now = T0 + HOUR;
        net.does(&opening, AMAN, Act::Waitlist);
        net.fetches_all(DFWAC);
        assert_eq!(until(&mut net, T0 + due - 1), [], "{urgency:?}");
        assert_eq!(until(&mut net, T0 + due)[0], Event::AcceptanceRejectionExpiry, "{urgency:?}");
        net.writer.check();
    }
}

/// An accepted referral whose identity is still due.
fn undisclosed(net: &mut Network, urgency: Urgency) -> Header {
    let mut opening = net.opening(DFWAC, AMAN);
    (opening.urgency, opening.expires_at) = (urgency, TimeMs(T0 + 80 * DAY));
    opening.parts.truncate(1);
    net.push(&opening).accepted();
    net.fetches_all(AMAN);
    net.does(&opening, AMAN, Act::Accept);
    opening
}

#[test]
fn identity_is_due_after_an_acceptance() {
    for urgency in Urgency::ALL {
        let due = T0 + limit_ms(*urgency, ClockKind::Disclosure);
        let mut net = Network::new();
        let opening = undisclosed(&mut net, *urgency);
        assert_eq!(running(&net, &opening), [ClockKind::Disclosure]);
        assert_eq!(until(&mut net, due - 1), []);
        assert_eq!(until(&mut net, due), [Event::ClockMissed]);
        assert_eq!(status(&net, &opening), Status::Accepted, "the acceptance stands");

        let mut net = Network::new();
        let opening = undisclosed(&mut net, *urgency);
        net.now = due - 1;
        let note = net.act(&opening, DFWAC, Act::Note);
        net.push(&note).accepted();
        assert_eq!(running(&net, &opening), [ClockKind::Disclosure], "a note is no identity");
        let mut disclose = net.act(&opening, DFWAC, Act::Disclose);
        disclose.parts[0].class = PartClass::Identity;
        net.push(&disclose).accepted();
        assert_eq!(running(&net, &opening), []);

        let mut net = Network::new();
        let opening = undisclosed(&mut net, *urgency);
        net.does(&opening, DFWAC, Act::WithdrawConsent);
        assert_eq!(running(&net, &opening), [], "nothing is due without her consent");
        net.writer.check();
    }
    // Where identity may not travel, none is due.
    let mut net = Network::new();
    let mut opening = net.opening(DFWAC, AMAN);
    opening.identity_allowed = false;
    opening.parts.truncate(1);
    net.push(&opening).accepted();
    net.does(&opening, AMAN, Act::Accept);
    assert_eq!(running(&net, &opening), []);
}

#[test]
fn a_hold_pauses_disclosure_and_never_an_emergency() {
    let day = limit_ms(Urgency::Urgent, ClockKind::Disclosure);
    for (urgency, due) in [(Urgency::Urgent, 10 * DAY + day), (Urgency::Emergency, HOUR)] {
        let mut net = Network::new();
        let opening = undisclosed(&mut net, urgency);
        net.does(&opening, AMAN, Act::Start);
        net.now = T0 + MINUTE;
        net.does(&opening, AMAN, Act::Hold);
        net.writer.restart();
        let paused = until(&mut net, T0 + 2 * HOUR);
        assert_eq!(paused, if urgency == Urgency::Emergency { vec![Event::ClockMissed] } else { vec![] });
        net.now = T0 + MINUTE + 10 * DAY;
        net.ticked();
        net.does(&opening, AMAN, Act::Resume);
        let missed = net.writer.records().filter(|record| {
            let disclosure = record.what.clock == ClockKind::Disclosure.number().unsigned_abs();
            record.what.event == Event::ClockMissed && disclosure
        });
        if urgency == Urgency::Emergency {
            assert_eq!(missed.map(|record| record.what.due_at).collect::<Vec<_>>(), [TimeMs(T0 + due)]);
        } else {
            assert_eq!(missed.count(), 0);
            assert_eq!(until(&mut net, T0 + due - 1), []);
            assert_eq!(until(&mut net, T0 + due), [Event::ClockMissed]);
        }
        net.writer.check();
    }
}

#[test]
fn who_is_on_her_way_is_awaited() {
    for urgency in Urgency::ALL {
        let due = T0 + limit_ms(*urgency, ClockKind::Transit);
        for (act, by_whom) in [(Act::Arrive, AMAN), (Act::NoShow, AMAN), (Act::Recall, DFWAC)] {
            let mut net = Network::new();
            let opening = opens(&mut net, *urgency);
            net.fetches_all(AMAN);
            net.does(&opening, AMAN, Act::Accept);
            net.does(&opening, DFWAC, Act::Depart);
            net.does(&opening, DFWAC, Act::RequestCancel);
            assert_eq!(running(&net, &opening), [ClockKind::Transit], "she is still on her way");
            net.does(&opening, AMAN, Act::RefuseCancel);
            assert_eq!(until(&mut net, due - 1), []);
            let mut other = net.clone();
            assert_eq!(until(&mut other, due), [Event::ClockMissed]);
            net.does(&opening, by_whom, act);
            assert_eq!(running(&net, &opening), [], "{act:?}");
            net.writer.check();
            other.writer.check();
        }
    }
}

#[test]
fn an_agreement_may_be_stricter_and_counts_in_its_calendar() {
    // T0 is Monday 2026-09-21, 14:13:20 UTC: 18:13:20 in Dubai.
    let morning = T0 + (13 * 3600 + 46 * 60 + 40) * SECOND;
    let limit = |urgency: Urgency, clock: ClockKind, seconds| wire::ClockLimit {
        urgency: urgency.number(),
        clock: clock.number(),
        seconds,
    };
    let limits = vec![
        limit(Urgency::Urgent, ClockKind::Answered, 8 * 3600),
        limit(Urgency::Normal, ClockKind::Answered, 24 * 3600),
        limit(Urgency::Urgent, ClockKind::Seen, 0),
        limit(Urgency::Emergency, ClockKind::Answered, 3600),
        limit(Urgency::Normal, ClockKind::Delivered, 3 * 86_400),
    ];
    let rows = [
        // Eight working hours end the next working day at four; and a day off moves that by a day.
        (Urgency::Urgent, ClockKind::Answered, &[][..], morning + 8 * HOUR),
        (Urgency::Urgent, ClockKind::Answered, &[20_260_922], morning + DAY + 8 * HOUR),
        (Urgency::Normal, ClockKind::Answered, &[], morning + 2 * DAY + 8 * HOUR),
        (Urgency::Urgent, ClockKind::Seen, &[], T0 + DAY),
        // Three days of working hours are far beyond what the network allows.
        (Urgency::Normal, ClockKind::Delivered, &[], T0 + 3 * DAY),
        // An emergency follows no calendar.
        (Urgency::Emergency, ClockKind::Answered, &[20_260_922], T0 + HOUR),
        (Urgency::Emergency, ClockKind::Seen, &[], T0 + HOUR),
    ];
    for (urgency, kind, holidays, due) in rows {
        let mut net = Network::new();
        let days = wire::Calendar { holidays: holidays.into(), ..calendar("office") };
        net.change(&by("amal"), Change::Calendar(days), &["amal", "badr"]).accepted();
        let mut agreed = agreement(AMAN, IOM);
        for clause in &mut agreed.clauses {
            clause.clocks = Some(wire::Clocks { limits: limits.clone(), calendar: "office".into() });
        }
        net.agree(&agreed);
        let mut opening = net.opening(AMAN, IOM);
        (opening.urgency, opening.expires_at) = (urgency, TimeMs(T0 + 80 * DAY));
        opening.agreement = digest_of(&agreed);
        net.push(&opening).accepted();
        let referral = net.writer.referral(&opening.referral).unwrap();
        assert_eq!(referral.clocks.get(kind).unwrap().due_at, TimeMs(due), "{urgency:?} {kind:?}");
        // A calendar that changes moves no clock that runs.
        let closed = wire::Calendar { opens_minute: 0, closes_minute: 1, ..calendar("office") };
        net.change(&by("amal"), Change::Calendar(closed), &["amal", "badr"]).accepted();
        let referral = net.writer.referral(&opening.referral).unwrap();
        assert_eq!(referral.clocks.get(kind).unwrap().due_at, TimeMs(due));
        net.writer.check();
    }
}

#[test]
fn an_agreement_that_is_not_clear_was_taken_before_and_counts_as_the_networks() {
    let mut agreed = agreement(AMAN, IOM);
    let looser = wire::ClockLimit { urgency: 1, clock: 2, seconds: u64::MAX };
    agreed.clauses[0].clocks = Some(wire::Clocks { limits: vec![looser], calendar: "no calendar".into() });
    let read = proto::agreement::Agreement::parse(&agreed.encode_to_vec()).unwrap();
    let clocks = &read.clauses[0].clocks;
    assert!(!clocks.is_stricter());
    let net = Network::new();
    let due = clocks.due(net.writer.state.directory(), Urgency::Emergency, ClockKind::Seen, TimeMs(T0));
    assert_eq!(due, TimeMs(T0 + HOUR));
}

fn ticks(net: &mut Network, tick: Tick) -> Vec<Event> {
    net.run(&Caller::Gateway, Command::Tick(tick)).events()
}

#[test]
fn what_fell_due_in_an_outage_waits_a_grace() {
    let mut net = Network::new();
    let opening = opens(&mut net, Urgency::Emergency);
    // The gateway was away when it should have been delivered and seen.
    net.now = T0 + 2 * HOUR;
    let away = ticks(&mut net, Tick { resumed_after_ms: 2 * HOUR - MINUTE, ..Tick::default() });
    assert_eq!(away, [Event::Outage]);
    let outage = net.writer.records().last().unwrap().what.clone();
    assert_eq!((outage.count, outage.due_at), (2 * HOUR - MINUTE, TimeMs(T0 + MINUTE)));
    assert_eq!(net.ticked(), []);
    assert_eq!(next_due(&net.writer.state), Some(TimeMs(net.now + OUTAGE_GRACE_MS)));
    // What falls due after it does not wait.
    let other = opens(&mut net, Urgency::Emergency);
    net.writer.restart();
    assert_eq!(until(&mut net, T0 + 2 * HOUR + 15 * MINUTE), [Event::ClockMissed]);
    let missed = net.writer.records().last().unwrap().what.clone();
    assert_eq!(missed.referral, Some(other.referral));
    assert_eq!(until(&mut net, T0 + 2 * HOUR + OUTAGE_GRACE_MS - 1), []);
    let both = until(&mut net, T0 + 2 * HOUR + OUTAGE_GRACE_MS);
    assert_eq!(both, [Event::ClockMissed, Event::ClockMissed]);
    // An answer within the grace counts.
    assert_eq!(running(&net, &opening), [ClockKind::Answered]);
    net.writer.check();
}

#[test]
fn that_a_restored_gateway_goes_on_is_evidence() {
    let mut net = Network::new();
    let tick = Tick { restored_by: Some(5), resumed_after_ms: HOUR, ..Tick::default() };
    assert_eq!(ticks(&mut net, tick), [Event::Restored], "before all else");
    assert_eq!(net.writer.records().last().unwrap().what.count, 5);
    net.writer.restart();
    net.writer.check();
}

#[test]
fn an_answer_in_the_grace_is_in_time() {
    let mut net = Network::new();
    let opening = opens(&mut net, Urgency::Emergency);
    net.now = T0 + 2 * DAY;
    ticks(&mut net, Tick { resumed_after_ms: 2 * DAY, ..Tick::default() });
    net.now += OUTAGE_GRACE_MS - 1;
    assert_eq!(net.ticked(), []);
    net.fetches_all(AMAN);
    net.does(&opening, AMAN, Act::Accept);
    assert!(!until(&mut net, T0 + 60 * DAY).contains(&Event::AcceptanceRejectionExpiry));
    net.writer.check();
}

#[test]
fn a_clock_in_doubt_does_nothing_until_two_confirm_it() {
    let mut net = Network::new();
    let opening = opens(&mut net, Urgency::Emergency);
    let ahead = 3 * DAY;
    let moment = net.writer.state.look(TimeMs(T0 + ahead));
    assert_eq!((moment.now, moment.clock_ahead_ms), (TimeMs(T0), ahead));
    let jump = Tick { clock_ahead_ms: moment.clock_ahead_ms, ..Tick::default() };
    assert_eq!(ticks(&mut net, jump.clone()), [Event::ClockStepped]);
    assert_eq!(ticks(&mut net, jump), [], "said once");
    let doubt = *net.writer.state.clock_alarm().unwrap();
    assert_eq!((doubt.since, doubt.ahead_ms), (TimeMs(T0), ahead));
    net.writer.restart();
    assert_eq!(next_due(&net.writer.state), None);
    // Time stands still; whose clock is right can still send, and administrators can sign.
    let mut from_now = net.opening(DFWAC, AMAN);
    from_now.envelope_id = proto::ids::EnvelopeId::new(TimeMs(T0 + ahead), [9; 10]);
    from_now.referral.id = from_now.envelope_id;
    (from_now.created_at, from_now.expires_at) = (TimeMs(T0 + ahead), TimeMs(T0 + ahead + DAY));
    net.push(&from_now).accepted();
    let confirm = |net: &mut Network, time_ms, signers: &[&str]| {
        let mut change = net.change_of(Change::ConfirmClock(wire::ConfirmClock { time_ms }));
        change.created_at_ms = T0 + ahead;
        net.object(&by("amal"), proto::dsse::PayloadType::DirectoryEntry, change.encode_to_vec(), signers)
    };
    assert_refused(&confirm(&mut net, T0 + ahead, &["amal"]), NotEnoughSigners, "signatures", true, "one");
    let back = confirm(&mut net, T0 - 1, &["amal", "badr"]);
    assert_refused(&back, ClockNotInDoubt, "time_ms", true, "never set back");
    let confirmed = confirm(&mut net, T0 + ahead, &["amal", "badr"]);
    assert_eq!(confirmed.events(), [Event::DirectoryChanged, Event::ClockConfirmed]);
    assert_eq!(net.writer.state.clock_alarm(), None);
    let moment = net.writer.state.look(TimeMs(T0 + ahead + CLOCK_STEP_MS_MAX));
    assert_eq!((moment.now.0, moment.clock_ahead_ms), (T0 + ahead + CLOCK_STEP_MS_MAX, 0));
    // What fell due while nobody knew the time waits, as after an outage.
    assert_eq!(until(&mut net, T0 + ahead + OUTAGE_GRACE_MS - 1), []);
    assert!(until(&mut net, T0 + ahead + OUTAGE_GRACE_MS).contains(&Event::AcceptanceRejectionExpiry));
    assert_eq!(status(&net, &opening), Status::Expired);
    net.writer.check();
}

#[test]
fn a_clock_that_is_set_right_again_is_believed() {
    let mut net = Network::new();
    opens(&mut net, Urgency::Emergency);
    ticks(&mut net, Tick { clock_ahead_ms: 400 * DAY, ..Tick::default() });
    assert!(net.writer.state.clock_alarm().is_some());
    net.now = T0 + MINUTE;
    assert_eq!(net.ticked(), [Event::ClockConfirmed]);
    assert_eq!(net.writer.state.clock_alarm(), None);
    assert_eq!(until(&mut net, T0 + 15 * MINUTE), [Event::ClockMissed], "and nothing waits");
    net.writer.check();
}

#[test]
fn reasons_of_a_decline_are_coarse() {
    // The three that let it go on come first in the list: escalation reads them.
    let going_on = [ReasonClass::NoCapacity, ReasonClass::ServiceUnavailable, ReasonClass::OutOfArea];
    assert_eq!(ReasonClass::ALL[..3], going_on);
}
