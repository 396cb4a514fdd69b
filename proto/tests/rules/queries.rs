//! Looking at evidence: who may, what is recorded of it and for whom, and what is only counted.

use proto::{
    caller::{Caller, StaffRole},
    command::{Command, Query, QueryCount, Sight},
    decide::Decision,
    evidence::Event,
    header::Header,
    ids::{ReferralKey, TimeMs},
    lifecycle::Act,
    refusal::Refusal,
    state::{QUERIES_RECORDED, STAFF_QUERIES_MAX},
};

use crate::{
    network::*,
    writer::{self, Answer},
};

fn of(referral: &ReferralKey) -> Command {
    Command::Query(Query { of: Sight::Evidence, referral: Some(referral.clone()), index: None })
}

fn record(index: u64) -> Command {
    Command::Query(Query { of: Sight::Evidence, referral: None, index: Some(index) })
}

fn parties(answer: &Answer) -> Vec<String> {
    answer.records().flat_map(|record| &record.what.parties).map(ToString::to_string).collect()
}

/// Who asks for what, and whose timelines tell of it, or why not.
type Row = (&'static str, Caller, fn(&Header) -> Command, Result<&'static [&'static str], Refusal>);

#[test]
fn who_may_look_and_who_is_told() {
    let auditor = || staff("omar", StaffRole::Auditor);
    let rows: [Row; 11] = [
        ("an auditor, a referral", auditor(), |one| of(&one.referral), Ok(&[AMAN, DFWAC])),
        ("an administrator, a referral", by("amal"), |one| of(&one.referral), Ok(&[AMAN, DFWAC])),
        ("a party, its referral", by(DFWAC), |one| of(&one.referral), Ok(&[DFWAC])),
        ("the other party", by(AMAN), |one| of(&one.referral), Ok(&[AMAN])),
        ("an auditor, a record of no referral", auditor(), |_| record(0), Ok(&[])),
        ("an agency, a record of no referral", by(IOM), |_| record(0), Ok(&[IOM])),
        ("a stranger to it", by(IOM), |one| of(&one.referral), Err(Refusal::SubjectUnknown)),
        ("an agency that is none", by("ae.none"), |_| record(0), Err(Refusal::SenderUnknown)),
        (
            "what does not exist",
            auditor(),
            |one| of(&ReferralKey { id: one.referral.id, opened_by: agency(MOSD) }),
            Err(Refusal::SubjectUnknown),
        ),
        (
            "an operator",
            staff("olga", StaffRole::Operator),
            |one| of(&one.referral),
            Err(Refusal::RoleNotAllowed),
        ),
        ("the gateway", Caller::Gateway, |one| of(&one.referral), Err(Refusal::RoleNotAllowed)),
    ];
    for (case, caller, query, expected) in rows {
        let mut net = Network::new();
        let opening = net.opens(DFWAC, AMAN);
        let answer = net.run(&caller, query(&opening));
        match expected {
            Err(refusal) => {
                assert_eq!(answer.refused().map(|(refusal, _)| refusal), Some(refusal), "{case}");
                assert_eq!(answer.events(), [Event::SubmissionRejection], "{case}: it is evidence too");
            }
            Ok(told) => {
                assert_eq!(answer.accepted().events(), [Event::Queried], "{case}");
                assert_eq!(parties(&answer), told, "{case}");
                let what = &answer.records().next().unwrap().what;
                assert_eq!(what.actor.as_ref(), caller.pseudonym(), "{case}");
                assert_eq!(what.sender.as_ref(), caller.agency(), "{case}");
                assert_eq!(what.status, None, "{case}: looking changes nothing");
            }
        }
        net.writer.check();
    }
}

#[test]
fn a_query_continues_the_chain_of_its_referral_also_when_that_is_closed() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    net.fetches_all(AMAN);
    net.does(&opening, AMAN, Act::Decline);
    net.fetches_all(DFWAC);
    assert!(net.writer.state.referral(&opening.referral).is_none(), "it has left memory");
    let answer = net.run(&by("amal"), of(&opening.referral));
    let record = answer.accepted().records().next().unwrap();
    assert!(record.place.previous.is_some(), "it follows the referral's last record");
    assert_eq!(record.what.referral.as_ref(), Some(&opening.referral));
    assert!(net.writer.state.referral(&opening.referral).is_none(), "and leaves memory again");
    // A second one follows the first.
    let commitment = record.commitment();
    let again = net.run(&by("badr"), of(&opening.referral));
    assert_eq!(again.records().next().unwrap().place.previous, Some(commitment));
    net.writer.restart();
    net.writer.check();
}

#[test]
fn an_agencys_queries_are_recorded_five_times_an_hour_and_then_counted() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    let asks = |net: &mut Network| net.run(&by(DFWAC), of(&opening.referral));
    for number in 1..=8 {
        let answer = asks(&mut net);
        assert_eq!(answer.facts.is_empty(), number > QUERIES_RECORDED, "query {number}");
        assert!(matches!(answer.decision, Decision::Do(..) | Decision::Nothing), "query {number}");
    }
    assert_eq!(net.run(&by(AMAN), of(&opening.referral)).events(), [Event::Queried], "each has its own");
    net.writer.restart();
    net.now = T0 + HOUR - 1;
    assert!(asks(&mut net).facts.is_empty(), "after a restart");
    net.now = T0 + HOUR;
    assert_eq!(asks(&mut net).events(), [Event::Queried], "the next hour");

    let count =
        || Command::Queries(vec![QueryCount { caller: DFWAC.into(), count: 4, window_start: TimeMs(T0) }]);
    let answer = net.run(&Caller::Gateway, count());
    let what = &answer.accepted().records().next().unwrap().what;
    assert_eq!((what.event, what.count, what.due_at), (Event::Queried, 4, TimeMs(T0)));
    assert_eq!((what.sender.as_ref(), parties(&answer)), (Some(&agency(DFWAC)), vec![DFWAC.to_owned()]));
    // A count is no query: it takes none of the next ones' places.
    for _ in 1..QUERIES_RECORDED {
        asks(&mut net).accepted();
    }
    assert!(asks(&mut net).facts.is_empty());
    let answer = net.run(&by("amal"), count());
    assert_refused(&answer, Refusal::RoleNotAllowed, "", true, "only the gateway counts");
    assert!(matches!(net.run(&Caller::Gateway, Command::Queries(Vec::new())).decision, Decision::Nothing));
    net.writer.check();
}

#[test]
fn every_query_of_staff_is_recorded_and_one_person_has_a_limit() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    let asks = |net: &mut Network, who: &str| net.run(&by(who), of(&opening.referral));
    for number in 1..=STAFF_QUERIES_MAX {
        assert_eq!(asks(&mut net, "amal").events(), [Event::Queried], "query {number}");
    }
    assert_refused(&asks(&mut net, "amal"), Refusal::QueriesFull, "", true, "one more");
    asks(&mut net, "badr").accepted();
    net.writer.restart();
    assert_refused(&asks(&mut net, "amal"), Refusal::QueriesFull, "", true, "after a restart");
    net.now = T0 + HOUR;
    asks(&mut net, "amal").accepted();
    let writer: &writer::Writer = &net.writer;
    writer.check();
}
