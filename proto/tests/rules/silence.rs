//! Silence behind a yes: word that is owed after an acceptance, and an offered transfer that nobody answers.

use proto::{
    clocks::{ClockKind, default_seconds},
    evidence::Event,
    header::Header,
    ids::{TimeMs, Urgency},
    lifecycle::{
        Act,
        Responsibility::{self, Offered, Recipient, Referrer},
    },
    refusal::Refusal::*,
    stuck::{self, Cause, Stage},
};

use crate::network::*;

fn limit_ms(urgency: Urgency, kind: ClockKind) -> u64 {
    default_seconds(urgency, kind) * 1000
}

/// A referral that was accepted, and whose identity has come.
fn accepted(net: &mut Network, urgency: Urgency) -> Header {
    let opening = Header { urgency, expires_at: TimeMs(net.now + 80 * DAY), ..net.opening(DFWAC, AMAN) };
    net.push(&opening).accepted();
    net.fetches_all(AMAN);
    net.does(&opening, AMAN, Act::Accept);
    net.fetches_all(AMAN);
    net.fetches_all(DFWAC);
    opening
}

fn clocks(net: &Network, opening: &Header) -> Vec<(ClockKind, u64)> {
    let referral = net.writer.referral(&opening.referral).unwrap();
    referral.clocks.running().map(|clock| (clock.kind, clock.due_at.0)).collect()
}

fn answers(net: &Network, opening: &Header) -> Responsibility {
    net.writer.referral(&opening.referral).unwrap().responsibility
}

fn awaited(net: &Network, opening: &Header) -> Option<(Stage, Cause, bool)> {
    let referral = net.writer.referral(&opening.referral).unwrap();
    let awaited = stuck::awaited(&net.writer.state, &opening.referral, referral)?;
    Some((awaited.stage, awaited.cause, awaited.missed))
}

/// All that happens until a moment, mailboxes emptied.
fn until(net: &mut Network, now: u64) -> Vec<Event> {
    net.now = now;
    net.ticked()
}

#[test]
fn whoever_accepted_owes_word_and_any_word_is_enough() {
    for urgency in Urgency::ALL {
        let limit = limit_ms(*urgency, ClockKind::Progress);
        let mut net = Network::new();
        let opening = accepted(&mut net, *urgency);
        assert_eq!(clocks(&net, &opening), [(ClockKind::Progress, T0 + limit)], "{urgency:?}");
        // The referrer's own word is none of the recipient's.
        net.now = T0 + limit / 2;
        net.does(&opening, DFWAC, Act::Note);
        assert_eq!(clocks(&net, &opening), [(ClockKind::Progress, T0 + limit)], "{urgency:?}");
        for act in [Act::Start, Act::Hold, Act::Note, Act::RequestInformation] {
            net.now += 1;
            net.does(&opening, AMAN, act);
            assert_eq!(
                clocks(&net, &opening),
                [(ClockKind::Progress, net.now + limit)],
                "{urgency:?} {act:?}"
            );
        }
        net.fetches_all(AMAN);
        net.fetches_all(DFWAC);
        let due = net.now + limit;
        assert_eq!(until(&mut net, due - 1), [], "{urgency:?}");
        assert_eq!(awaited(&net, &opening), None, "{urgency:?}: work goes on");
        assert_eq!(until(&mut net, due), [Event::ClockMissed], "{urgency:?}");
        let told = net.writer.records().last().unwrap().what.clone();
        assert_eq!(told.clock, ClockKind::Progress.number().unsigned_abs());
        assert_eq!(told.parties, [agency(DFWAC), agency(AMAN)], "both sides are told");
        assert_eq!(awaited(&net, &opening), Some((Stage::NoWord, Cause::SilentSinceYes, true)));
        assert_eq!(until(&mut net, due + limit / 2), [], "once");
        net.does(&opening, AMAN, Act::Note);
        assert_eq!(awaited(&net, &opening), None, "one word ends it");
        assert_eq!(clocks(&net, &opening), [(ClockKind::Progress, net.now + limit)]);
        net.does(&opening, AMAN, Act::Fail);
        assert_eq!(clocks(&net, &opening), []);
        net.writer.check();
    }
}

#[test]
fn no_word_is_owed_before_a_yes_nor_by_what_expects_no_answer() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    net.does(&opening, AMAN, Act::See);
    net.does(&opening, AMAN, Act::RequestInformation);
    net.does(&opening, AMAN, Act::Note);
    assert!(!clocks(&net, &opening).iter().any(|(kind, _)| *kind == ClockKind::Progress));
    net.does(&opening, AMAN, Act::Decline);
    assert_eq!(clocks(&net, &opening), []);
}

#[test]
fn who_is_asked_to_cancel_owes_an_answer_too() {
    let mut net = Network::new();
    let opening = accepted(&mut net, Urgency::Urgent);
    let due = T0 + limit_ms(Urgency::Urgent, ClockKind::Progress);
    net.does(&opening, DFWAC, Act::RequestCancel);
    net.fetches_all(AMAN);
    net.fetches_all(DFWAC);
    assert_eq!(clocks(&net, &opening), [(ClockKind::Progress, due)]);
    assert_eq!(until(&mut net, due), [Event::ClockMissed]);
    assert_eq!(awaited(&net, &opening), Some((Stage::NoWord, Cause::SilentSinceYes, true)));
}

#[test]
fn an_offer_to_take_over_that_nobody_answers_is_over() {
    for urgency in Urgency::ALL {
        let limit = limit_ms(*urgency, ClockKind::Transfer);
        let mut net = Network::new();
        let opening = accepted(&mut net, *urgency);
        net.does(&opening, DFWAC, Act::OfferTransfer);
        net.fetches_all(AMAN);
        net.fetches_all(DFWAC);
        assert_eq!(answers(&net, &opening), Offered);
        assert_eq!(
            awaited(&net, &opening),
            Some((Stage::TransferOffered, Cause::TransferUnanswered, false)),
            "{urgency:?}"
        );
        assert_eq!(until(&mut net, T0 + limit - 1), [], "{urgency:?}");
        assert_eq!(answers(&net, &opening), Offered);
        assert_eq!(until(&mut net, T0 + limit), [Event::ClockMissed], "{urgency:?}");
        assert_eq!(answers(&net, &opening), Referrer, "who offered answers for her, as before");
        let late = net.act(&opening, AMAN, Act::AcceptTransfer);
        assert_refused(&net.push(&late), ActNotLegal, "act", true, "a late yes");
        // Offered anew, and answered either way.
        net.does(&opening, DFWAC, Act::OfferTransfer);
        net.does(&opening, AMAN, Act::DeclineTransfer);
        assert!(!clocks(&net, &opening).iter().any(|(kind, _)| *kind == ClockKind::Transfer));
        net.does(&opening, DFWAC, Act::OfferTransfer);
        net.does(&opening, AMAN, Act::AcceptTransfer);
        assert!(!clocks(&net, &opening).iter().any(|(kind, _)| *kind == ClockKind::Transfer));
        assert_eq!(answers(&net, &opening), Recipient);
        net.writer.check();
    }
}
