//! For how long ciphertext is kept, and what its erasure leaves: evidence for both sides, and nothing that
//! could still be handed over.

use proto::{
    caller::Caller,
    command::{Command, Erasure, Tick},
    decide::Decision,
    digest::Digest,
    evidence::Event,
    header::Header,
    ids::TimeMs,
    lifecycle::Act,
    refusal::Refusal,
    retention::{RETENTION_DAYS_DEFAULT, ends_at},
};

use crate::network::*;

fn erasure(net: &Network, header: &Header) -> Command {
    let Command::Push(push) = net.command(header) else { panic!("an envelope") };
    Command::Erase(Box::new(Erasure::of(&push)))
}

fn end(net: &Network, header: &Header) -> TimeMs {
    ends_at(net.writer.state.directory(), &header.from, &header.agreement, header.expires_at)
}

#[test]
fn it_is_kept_as_many_days_as_the_agreement_says() {
    let mut net = Network::new();
    let opening = net.opening(DFWAC, AMAN);
    let days = |days: u64| TimeMs(opening.expires_at.0 + days * DAY);
    assert_eq!(end(&net, &opening), days(90));
    let mut short = agreement(DFWAC, IOM);
    (short.agreement_id, short.retention_days) = (net.id().as_bytes().to_vec(), 7);
    let short = net.agree(&short);
    assert_eq!(end(&net, &Header { agreement: short, ..opening.clone() }), days(7));
    let unknown = Header { agreement: Digest([7; 32]), ..opening.clone() };
    assert_eq!(end(&net, &unknown), days(RETENTION_DAYS_DEFAULT.into()));
    let mut silent = agreement(DFWAC, MOSD);
    (silent.agreement_id, silent.retention_days) = (net.id().as_bytes().to_vec(), 0);
    let silent = net.agree(&silent);
    assert_eq!(
        end(&net, &Header { agreement: silent, ..opening.clone() }),
        days(RETENTION_DAYS_DEFAULT.into())
    );
}

#[test]
fn it_is_erased_at_its_millisecond_and_by_the_gateway_alone() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    let command = erasure(&net, &opening);
    let end = end(&net, &opening);
    net.now = end.0 - 1;
    net.tick();
    let early = net.run(&Caller::Gateway, command.clone());
    assert!(matches!(early.decision, Decision::Nothing));
    net.now = end.0;
    for caller in [by(DFWAC), by(AMAN), by("amal")] {
        let refused = net.run(&caller, command.clone()).refused();
        assert_eq!(refused.map(|(refusal, _)| refusal), Some(Refusal::RoleNotAllowed));
    }
    let erased = net.run(&Caller::Gateway, command);
    assert_eq!(erased.events(), [Event::Erased]);
    let what = erased.records().next().unwrap().what.clone();
    assert_eq!(what.envelope, Some(envelope_digest(&opening)));
    assert_eq!(what.parties, [agency(AMAN), agency(DFWAC)]);
    assert_eq!((what.due_at, what.part_digests.len()), (end, opening.parts.len()));
    net.writer.check();
}

#[test]
fn what_is_no_more_is_neither_handed_over_nor_released() {
    let mut net = Network::new();
    // A gateway that was away: what waits has not expired by a tick yet.
    let opening = net.opens(DFWAC, AMAN);
    let command = erasure(&net, &opening);
    net.now = end(&net, &opening).0;
    assert_eq!(net.run(&Caller::Gateway, command).events(), [Event::Erased, Event::Expired]);
    assert!(net.writer.heads(AMAN).is_empty());
    assert!(net.writer.referral(&opening.referral).is_none_or(|referral| referral.parked.is_none()));
    net.writer.check();
    // Of a case that goes on, the identity that nobody accepted in time is dropped too.
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    net.fetches_all(AMAN);
    net.does(&opening, AMAN, Act::Waitlist);
    let command = erasure(&net, &opening);
    net.now = end(&net, &opening).0;
    assert_eq!(net.run(&Caller::Gateway, command).events(), [Event::Erased]);
    assert!(net.writer.referral(&opening.referral).unwrap().parked.is_none());
    net.writer.restart();
    assert!(net.writer.referral(&opening.referral).unwrap().parked.is_none());
    net.writer.check();
}

#[test]
fn a_clock_in_doubt_erases_nothing() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    let command = erasure(&net, &opening);
    let ahead = end(&net, &opening).0 - T0 + DAY;
    let moment = net.writer.state.look(TimeMs(T0 + ahead));
    let jump = Tick { clock_ahead_ms: moment.clock_ahead_ms, ..Tick::default() };
    assert_eq!(net.run(&Caller::Gateway, Command::Tick(jump)).events(), [Event::ClockStepped]);
    net.now = T0 + ahead;
    let answer = net.run(&Caller::Gateway, command);
    assert!(matches!(answer.decision, Decision::Nothing));
    net.writer.check();
}
