//! What is stuck: each stage with its cause, whom to call, and how late it is; what ends it; and who may
//! look at it.

use proto::{
    caller::StaffRole,
    clocks::{ClockKind, default_seconds},
    command::{Command, Query, QueryCount, Sight},
    decide::Decision,
    evidence::Event,
    header::Header,
    ids::{PartClass, ReasonClass, TimeMs, Urgency},
    lifecycle::Act,
    refusal::Refusal,
    stuck::{Awaited, Cause, Lateness, STOPPED_TOLD_MS, Stage, awaited},
    wire,
};

use crate::network::*;

/// All that is awaited, as the gateway collects it.
fn all(net: &Network) -> Vec<Awaited> {
    let state = &net.writer.state;
    let open = state.referrals_behind(None).filter_map(|(key, referral)| awaited(state, key, referral));
    let stopped = state.stopped_behind(None).filter_map(|(key, stopped)| stopped.awaited(key, state.now()));
    open.chain(stopped).collect()
}

/// Stage, cause, and whom to call, of the only one.
fn only(net: &Network) -> Option<(Stage, Cause, String)> {
    let all = all(net);
    assert!(all.len() <= 1, "{all:?}");
    all.first().map(|one| (one.stage, one.cause, one.whom().to_string()))
}

fn is(stage: Stage, cause: Cause, whom: &str) -> (Stage, Cause, String) {
    (stage, cause, whom.to_owned())
}

fn limit_ms(kind: ClockKind) -> u64 {
    default_seconds(Urgency::Urgent, kind) * 1000
}

/// An opening without a parked identity.
fn opens(net: &mut Network) -> Header {
    let mut opening = net.opening(DFWAC, AMAN);
    opening.expires_at = TimeMs(T0 + 80 * DAY);
    opening.parts.truncate(1);
    net.push(&opening).accepted();
    opening
}

#[test]
fn each_stage_of_a_referrals_life() {
    let mut net = Network::new();
    let opening = opens(&mut net);
    assert_eq!(only(&net), Some(is(Stage::NotFetched, Cause::AgentSlow, AMAN)));
    net.fetches_all(AMAN);
    assert_eq!(only(&net), Some(is(Stage::NotSeen, Cause::NobodyLooked, AMAN)));
    net.does(&opening, AMAN, Act::See);
    assert_eq!(only(&net), Some(is(Stage::NotAnswered, Cause::NobodyAnswered, AMAN)));
    net.does(&opening, AMAN, Act::Waitlist);
    assert_eq!(only(&net), Some(is(Stage::NotAnswered, Cause::OnWaitlist, AMAN)));
    net.does(&opening, AMAN, Act::Accept);
    assert_eq!(only(&net), Some(is(Stage::IdentityDue, Cause::IdentityNotSent, DFWAC)));
    net.does(&opening, AMAN, Act::Start);
    assert_eq!(
        only(&net),
        Some(is(Stage::IdentityDue, Cause::IdentityNotSent, DFWAC)),
        "work does not end it"
    );
    net.does(&opening, AMAN, Act::Hold);
    assert_eq!(only(&net), None, "a hold pauses it");
    net.does(&opening, AMAN, Act::Resume);
    let mut disclose = net.act(&opening, DFWAC, Act::Disclose);
    disclose.parts[0].class = PartClass::Identity;
    net.push(&disclose).accepted();
    assert_eq!(only(&net), None, "nothing is awaited while it is worked on");
    net.writer.check();
}

#[test]
fn who_is_on_her_way_is_awaited() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    net.fetches_all(AMAN);
    net.does(&opening, AMAN, Act::Accept);
    net.does(&opening, DFWAC, Act::Depart);
    assert_eq!(only(&net), Some(is(Stage::InTransit, Cause::OnHerWay, AMAN)));
    net.now = T0 + limit_ms(ClockKind::Transit);
    net.ticked();
    assert_eq!(all(&net)[0].lateness(TimeMs(net.now)), Lateness::Missed);
    net.does(&opening, AMAN, Act::Arrive);
    assert_eq!(only(&net), None);
}

#[test]
fn half_of_the_time_and_all_of_it_to_the_millisecond() {
    let mut net = Network::new();
    opens(&mut net);
    let limit = limit_ms(ClockKind::Delivered);
    let late = |net: &Network| all(net)[0].lateness(TimeMs(net.now));
    net.now = T0 + limit / 2;
    assert_eq!((late(&net), all(&net)[0].is_stuck(TimeMs(net.now))), (Lateness::InTime, false));
    net.now += 1;
    assert_eq!((late(&net), all(&net)[0].is_stuck(TimeMs(net.now))), (Lateness::HalfOver, true));
    net.now = T0 + limit;
    assert_eq!(net.ticked(), [Event::ClockMissed]);
    assert_eq!(late(&net), Lateness::Missed);
    assert_eq!((all(&net)[0].due_at, all(&net)[0].missed), (Some(TimeMs(T0 + limit)), true));
    net.writer.restart();
    assert_eq!(late(&net), Lateness::Missed, "a missed clock is remembered");
    assert_eq!(all(&net)[0].since, TimeMs(T0));
    net.fetches_all(AMAN);
    assert_eq!(all(&net)[0].stage, Stage::NotSeen);
    assert_eq!((all(&net)[0].since, all(&net)[0].missed), (TimeMs(net.now), false));

    net.writer.check();
}

#[test]
fn why_it_is_not_fetched() {
    let mut net = Network::new();
    net.opens(DFWAC, AMAN);
    let of = |net: &Network, connected| all(net)[0].clone().with_contact(connected).cause;
    assert_eq!((of(&net, true), of(&net, false)), (Cause::AgentSlow, Cause::AgentAway));
    net.change(&by("amal"), suspension(subject(AMAN)), &["amal"]).accepted();
    assert_eq!(of(&net, true), Cause::RecipientSuspended);
    assert_eq!(only(&net), Some(is(Stage::NotFetched, Cause::RecipientSuspended, DFWAC)));
    assert!(all(&net)[0].is_stuck(TimeMs(net.now)), "it does not move by itself");

    let mut net = Network::new();
    let other = net.opens(DFWAC, AMAN);
    let result = wire::HandoverResult::CannotOpen;
    net.hands_over(AMAN, vec![handover(envelope_digest(&other), result, &[])]).accepted();
    assert_eq!(only(&net), Some(is(Stage::NotFetched, Cause::CannotOpen, DFWAC)));
}

#[test]
fn an_emergency_whose_agent_is_away_is_stuck_at_once() {
    for (urgency, stuck) in [(Urgency::Emergency, true), (Urgency::Urgent, false), (Urgency::Normal, false)] {
        let mut net = Network::new();
        let opening = Header { urgency, ..net.opening(DFWAC, AMAN) };
        net.push(&opening).accepted();
        let [one] = all(&net).try_into().unwrap();
        assert_eq!(one.clone().with_contact(false).is_stuck(TimeMs(net.now)), stuck, "{urgency:?}");
        assert!(!one.with_contact(true).is_stuck(TimeMs(net.now)), "{urgency:?}");
    }
}

#[test]
fn what_expects_no_answer_is_awaited_until_it_is_fetched() {
    let mut net = Network::new();
    let mut opening = net.opening(DFWAC, AMAN);
    opening.kind = proto::ids::Kind::Document;
    opening.parts.truncate(1);
    net.push(&opening).accepted();
    assert_eq!(all(&net)[0].stage, Stage::NotFetched);
    net.fetches_all(AMAN);
    assert_eq!(all(&net), []);
}

fn declines(net: &mut Network, opening: &Header, by_whom: &str, reason: ReasonClass) {
    let decline = Header { reason: Some(reason), ..net.act(opening, by_whom, Act::Decline) };
    net.push(&decline).accepted();
}

#[test]
fn escalation_goes_on_is_blocked_or_has_stopped() {
    let mut net = Network::new();
    let opening = net.opening_with(AMAN, &[IOM]);
    net.push(&opening).accepted();
    net.fetches_all(AMAN);
    declines(&mut net, &opening, AMAN, ReasonClass::NoCapacity);
    assert_eq!(only(&net), Some(is(Stage::Escalation, Cause::NextInTurn, DFWAC)));
    assert!(!all(&net)[0].is_stuck(TimeMs(net.now)), "the gateway will ask");
    net.change(&by("amal"), suspension(subject(IOM)), &["amal"]).accepted();
    let blocked = Cause::NextBlocked(Refusal::RecipientSuspended);
    assert_eq!(only(&net), Some(is(Stage::Escalation, blocked, DFWAC)));
    assert!(all(&net)[0].is_stuck(TimeMs(net.now)), "it is told before the time is over");

    // It stops, leaves memory, and is not forgotten, also after a restart.
    net.now += default_seconds(Urgency::Urgent, ClockKind::Escalation) * 1000;
    assert!(net.ticked().contains(&Event::EscalationStopped));
    net.fetches_all(DFWAC);
    assert!(net.writer.state.referral(&opening.referral).is_none(), "it has left memory");
    net.writer.restart();
    assert_eq!(only(&net), Some(is(Stage::Escalation, blocked, DFWAC)));
    assert_eq!(all(&net)[0].since, TimeMs(net.now));
    net.writer.check();

    // Whatever the sender's people say next ends it.
    let again = net.attempt(&opening, AMAN);
    net.push(&again).accepted();
    assert_eq!(all(&net).iter().map(|one| one.stage).collect::<Vec<_>>(), [Stage::NotFetched]);
    net.writer.check();
}

#[test]
fn a_stop_is_told_of_for_thirty_days() {
    let mut net = Network::new();
    let opening = opens(&mut net);
    net.fetches_all(AMAN);
    net.now = T0 + limit_ms(ClockKind::Answered);
    net.ticked();
    assert_eq!(
        only(&net),
        Some(is(Stage::Escalation, Cause::NobodyLeft, DFWAC)),
        "silence, and nobody named"
    );
    let stopped = net.now;
    let state = &net.writer.state;
    let (key, one) = state.stopped_behind(None).next().unwrap();
    assert!(one.awaited(key, TimeMs(stopped + STOPPED_TOLD_MS - 1)).is_some());
    assert_eq!(one.awaited(key, TimeMs(stopped + STOPPED_TOLD_MS)), None);
    assert_eq!(key, &opening.referral);
}

#[test]
fn operators_and_administrators_look_at_deliveries_once_an_hour_in_the_evidence() {
    let look = || Command::Query(Query { of: Sight::Deliveries, referral: None, index: None });
    for role in [StaffRole::Operator, StaffRole::Administrator] {
        let mut net = Network::new();
        let olga = staff("olga", role);
        let answer = net.run(&olga, look());
        assert_eq!(answer.accepted().events(), [Event::Looked], "{role:?}");
        let what = &answer.records().next().unwrap().what;
        assert_eq!((what.actor.as_ref(), what.parties.as_slice()), (olga.pseudonym(), &[][..]));
        net.writer.restart();
        net.now = T0 + HOUR - 1;
        let again = net.run(&olga, look());
        assert!(again.decision == Decision::Nothing, "counted");
        assert_eq!(net.run(&staff("omar", role), look()).events(), [Event::Looked], "each person");
        net.now = T0 + HOUR;
        assert_eq!(net.run(&olga, look()).events(), [Event::Looked], "the next hour");
        // What was counted says who it was, and takes nobody's place.
        let count = QueryCount { caller: "olga".into(), count: 7, window_start: TimeMs(T0) };
        let answer = net.run(&proto::caller::Caller::Gateway, Command::Queries(vec![count]));
        let what = &answer.accepted().records().next().unwrap().what;
        assert_eq!((what.event, what.count, what.actor.as_ref()), (Event::Looked, 7, olga.pseudonym()));
        assert_eq!(what.sender, None);
        net.writer.check();
    }
    let others = [staff("omar", StaffRole::Auditor), by(DFWAC), proto::caller::Caller::Gateway];
    for caller in others {
        let mut net = Network::new();
        let answer = net.run(&caller, look());
        assert_eq!(answer.refused().map(|(refusal, _)| refusal), Some(Refusal::RoleNotAllowed));
    }
}
