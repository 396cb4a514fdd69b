//! Operators' acts: who may, what takes two, what lapses, what each does to mail and clocks, and who learns
//! of it.

use proto::{
    caller::{Caller, StaffRole},
    clocks::ClockKind,
    command::Command,
    evidence::{Event, Happening},
    header::Header,
    ids::{ReferralKey, TimeMs},
    lifecycle::{Act, Status, operable},
    operation::{NOTIFY_AGAIN_EVERY_MS, Operate, Operation, SECOND_PERSON_MS},
    refusal::Refusal::{self, *},
    stuck::{Cause, Stage, awaited},
};

use crate::{network::*, writer::Answer};

pub(crate) fn operator(name: &str) -> Caller {
    staff(name, StaffRole::Operator)
}

/// An act, for the first reason that fits it.
pub(crate) fn of(operation: Operation, referral: &ReferralKey) -> Command {
    let reason = code(operation.reason_codes()[0]);
    let referral = operation.is_of_referral().then(|| referral.clone());
    Command::Operate(Box::new(Operate { operation, referral, reason }))
}

fn operates(net: &mut Network, name: &str, operation: Operation, opening: &Header) -> Answer {
    net.run(&operator(name), of(operation, &opening.referral))
}

fn refusal(answer: &Answer) -> Option<Refusal> {
    answer.refused().map(|(refusal, _)| refusal)
}

fn said(answer: &Answer) -> Happening {
    let operated = answer.records().find(|record| record.what.event == Event::Operated);
    operated.unwrap().what.clone()
}

fn offered(net: &Network, agency: &str) -> usize {
    net.writer.heads(agency).len()
}

fn status(net: &Network, opening: &Header) -> Status {
    net.writer.referral(&opening.referral).unwrap().status
}

fn cause(net: &Network, opening: &Header) -> Option<(Stage, Cause)> {
    let state = &net.writer.state;
    let open = state.referral(&opening.referral).and_then(|it| awaited(state, &opening.referral, it));
    let stopped = state.stopped_behind(None).find(|(key, _)| **key == opening.referral);
    let stopped = stopped.and_then(|(key, stopped)| stopped.awaited(key, state.now()));
    stopped.or(open).map(|one| (one.stage, one.cause))
}

#[test]
fn one_holds_back_a_second_confirms_and_two_release() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    assert_eq!(offered(&net, AMAN), 1);
    let held = operates(&mut net, "olga", Operation::Hold, &opening);
    let what = said(held.accepted());
    assert_eq!((what.count, what.actor.unwrap().to_string().as_str()), (1, "olga"));
    assert_eq!(what.operation_reason.unwrap().as_str(), "suspected_misuse");
    assert_eq!(what.parties, [agency(DFWAC)], "it may be about the recipient");
    assert_eq!(offered(&net, AMAN), 0);
    assert_eq!(cause(&net, &opening), Some((Stage::NotFetched, Cause::Held)));
    // What its sender adds waits behind it.
    net.does(&opening, DFWAC, Act::Note);
    assert_eq!(offered(&net, AMAN), 0);
    net.writer.restart();
    assert_eq!(offered(&net, AMAN), 0, "after a restart");
    assert_eq!(refusal(&operates(&mut net, "olga", Operation::Hold, &opening)), Some(SecondPersonNeeded));
    assert_eq!(said(operates(&mut net, "omar", Operation::Hold, &opening).accepted()).count, 2);
    assert_eq!(refusal(&operates(&mut net, "nada", Operation::Hold, &opening)), Some(OperationNotLegal));
    net.now += SECOND_PERSON_MS;
    assert!(net.ticked().iter().all(|event| *event == Event::ClockMissed), "its own clocks run");
    assert_eq!(offered(&net, AMAN), 0, "two have said so: it does not lapse");

    let asked = said(operates(&mut net, "olga", Operation::Release, &opening).accepted());
    assert_eq!((asked.count, asked.status, asked.parties), (1, None, vec![agency(DFWAC)]));
    assert_eq!(offered(&net, AMAN), 0, "one is not enough");
    net.writer.restart();
    assert_eq!(refusal(&operates(&mut net, "olga", Operation::Release, &opening)), Some(SecondPersonNeeded));
    assert_eq!(said(operates(&mut net, "omar", Operation::Release, &opening).accepted()).count, 2);
    assert_eq!(offered(&net, AMAN), 1);
    assert_eq!(refusal(&operates(&mut net, "omar", Operation::Release, &opening)), Some(OperationNotLegal));
    net.fetches_all(AMAN);
    assert_eq!(status(&net, &opening), Status::Delivered);
    net.writer.restart();
    net.writer.check();
}

#[test]
fn a_hold_that_nobody_confirms_lapses_after_a_day() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    operates(&mut net, "olga", Operation::Hold, &opening).accepted();
    let clock = |net: &Network| {
        let referral = net.writer.referral(&opening.referral).unwrap();
        referral.clocks.get(ClockKind::Held).map(|clock| clock.due_at)
    };
    assert_eq!(clock(&net), Some(TimeMs(T0 + SECOND_PERSON_MS)));
    net.now += SECOND_PERSON_MS - 1;
    net.ticked();
    assert_eq!(offered(&net, AMAN), 0);
    net.now += 1;
    let answers = net.tick();
    let lapsed = answers.iter().flat_map(Answer::records).find(|record| record.what.clock == 9).unwrap();
    assert_eq!((lapsed.what.event, &lapsed.what.parties), (Event::ClockMissed, &vec![agency(DFWAC)]));
    assert_eq!((offered(&net, AMAN), clock(&net)), (1, None));
    // Somebody may hold it back anew.
    operates(&mut net, "olga", Operation::Hold, &opening).accepted();
    assert_eq!(offered(&net, AMAN), 0);
    net.writer.restart();
    net.writer.check();
}

#[test]
fn two_return_what_was_not_handed_over_and_its_sender_may_ask_anew() {
    let mut net = Network::new();
    let opening = net.opening_with(AMAN, &[IOM]);
    net.push(&opening).accepted();
    net.does(&opening, DFWAC, Act::Note);
    operates(&mut net, "olga", Operation::Hold, &opening).accepted();
    operates(&mut net, "olga", Operation::Return, &opening).accepted();
    assert_eq!(net.writer.waiting(AMAN).len(), 2, "one is not enough");
    // Too late for a second: the word of the first is over.
    net.now += SECOND_PERSON_MS;
    net.ticked();
    let anew = said(operates(&mut net, "omar", Operation::Return, &opening).accepted());
    assert_eq!(anew.count, 1);
    let returned = operates(&mut net, "olga", Operation::Return, &opening);
    use Event::{EscalationStopped, Operated, Recalled};
    assert_eq!(returned.accepted().events(), [Recalled, Recalled, Operated, EscalationStopped]);
    let what = said(&returned);
    assert_eq!((what.count, what.status), (2, Some(Status::Failed)));
    assert_eq!(what.parties, [agency(DFWAC), agency(AMAN)]);
    let stopped = returned.records().last().unwrap().what.clone();
    assert_eq!(stopped.refusal.map(|(refusal, _)| refusal), Some(ReturnedToSender));
    assert!(net.writer.waiting(AMAN).is_empty());
    assert_eq!(cause(&net, &opening), Some((Stage::Escalation, Cause::Returned)));
    net.writer.restart();
    assert_eq!(cause(&net, &opening), Some((Stage::Escalation, Cause::Returned)));
    net.now += 30 * DAY - 1;
    assert!(!net.ticked().contains(&Event::Escalated), "nobody is asked by itself: people look");
    let again = net.attempt(&opening, MOSD);
    net.push(&again).accepted();
    assert_eq!(status(&net, &opening), Status::Submitted);
    net.writer.restart();
    net.writer.check();
}

#[test]
fn what_is_held_back_to_its_end_goes_to_nobody() {
    let mut net = Network::new();
    let opening = net.opening_with(AMAN, &[IOM]);
    net.push(&opening).accepted();
    operates(&mut net, "olga", Operation::Hold, &opening).accepted();
    operates(&mut net, "omar", Operation::Hold, &opening).accepted();
    net.now += 3 * DAY;
    let answers = net.tick();
    let events: Vec<_> = answers.iter().flat_map(Answer::events).collect();
    assert!(events.contains(&Event::AcceptanceRejectionExpiry) && !events.contains(&Event::Escalated));
    let why = answers.iter().flat_map(Answer::records).find(|one| one.what.event == Event::EscalationStopped);
    assert_eq!(why.unwrap().what.refusal.map(|(refusal, _)| refusal), Some(ReferralHeld));
    assert_eq!(status(&net, &opening), Status::Expired);
    assert!(net.writer.waiting(AMAN).is_empty() && net.writer.waiting(IOM).is_empty());
    net.now += 10 * DAY;
    assert!(!net.ticked().contains(&Event::Escalated));
    net.writer.restart();
    net.writer.check();
}

#[test]
fn a_hold_ends_with_what_ends_its_attempt() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    operates(&mut net, "olga", Operation::Hold, &opening).accepted();
    net.does(&opening, DFWAC, Act::Recall);
    assert_eq!(status(&net, &opening), Status::Recalled);
    net.fetches_all(AMAN);
    // What was on its way already when it was held back has arrived: evidence says so.
    let opening = net.opens(DFWAC, IOM);
    let mail = net.writer.waiting(IOM).pop().unwrap();
    let parts = net.writer.parts(IOM, &mail);
    operates(&mut net, "olga", Operation::Hold, &opening).accepted();
    net.hands_over(IOM, vec![received(mail.envelope, &parts)]).accepted();
    assert_eq!(status(&net, &opening), Status::Delivered);
    net.does(&opening, DFWAC, Act::Note);
    assert_eq!(offered(&net, IOM), 1, "it is not held back any more");
    net.writer.restart();
    net.writer.check();
}

#[test]
fn people_are_told_again_once_in_a_quarter_of_an_hour() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    let told = said(operates(&mut net, "olga", Operation::NotifyAgain, &opening).accepted());
    assert_eq!((told.count, told.parties), (1, vec![agency(DFWAC), agency(AMAN)]));
    net.fetches_all(AMAN);
    net.writer.restart();
    net.now += NOTIFY_AGAIN_EVERY_MS - 1;
    assert_eq!(refusal(&operates(&mut net, "omar", Operation::NotifyAgain, &opening)), Some(NotifiedLately));
    net.now += 1;
    operates(&mut net, "omar", Operation::NotifyAgain, &opening).accepted();
    net.does(&opening, AMAN, Act::See);
    net.now += NOTIFY_AGAIN_EVERY_MS;
    assert_eq!(
        refusal(&operates(&mut net, "omar", Operation::NotifyAgain, &opening)),
        Some(OperationNotLegal),
        "somebody has seen it"
    );
    // What is held back does not wait for people.
    let held = net.opens(DFWAC, AMAN);
    operates(&mut net, "olga", Operation::Hold, &held).accepted();
    assert_eq!(refusal(&operates(&mut net, "olga", Operation::NotifyAgain, &held)), Some(OperationNotLegal));
    net.writer.restart();
    net.writer.check();
}

#[test]
fn only_operators_act_and_only_as_the_table_says() {
    for operation in Operation::ALL {
        for caller in [by(DFWAC), by("amal"), staff("omar", StaffRole::Auditor), Caller::Gateway] {
            let mut net = Network::new();
            let opening = net.opens(DFWAC, AMAN);
            let answer = net.run(&caller, of(*operation, &opening.referral));
            assert_eq!(refusal(&answer), Some(RoleNotAllowed), "{operation:?}");
            assert_eq!(answer.events(), [Event::SubmissionRejection], "{operation:?}: it is evidence");
        }
    }
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    let unknown = ReferralKey { opened_by: agency(MOSD), ..opening.referral.clone() };
    let answer = net.run(&operator("olga"), of(Operation::Hold, &unknown));
    assert_refused(&answer, UnknownReferral, "referral", true, "no such referral");
    net.fetches_all(AMAN);
    net.does(&opening, AMAN, Act::Decline);
    net.fetches_all(DFWAC);
    for operation in Operation::ALL.iter().filter(|operation| operation.is_of_referral()) {
        let answer = net.run(&operator("olga"), of(*operation, &opening.referral));
        assert_eq!(refusal(&answer), Some(OperationNotLegal), "{operation:?}: it is closed");
        assert_eq!(operable(Status::Declined, *operation), None);
    }
    net.writer.restart();
    net.writer.check();
}

#[test]
fn draining_is_evidence_and_nothing_to_the_rules() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    for operation in [Operation::Drain, Operation::Undrain] {
        let what = said(operates(&mut net, "olga", operation, &opening).accepted());
        assert_eq!((what.operation, what.referral, what.count), (Some(operation), None, 1));
        assert!(what.parties.is_empty());
    }
    net.opens(DFWAC, AMAN);
    net.writer.restart();
    net.writer.check();
}
