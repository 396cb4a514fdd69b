//! Escalation: only on silence and three reasons, only to whom she named, one after the other, where an
//! agreement allows it at that moment; and what stops it.

use proto::{
    clocks::{ClockKind, default_seconds},
    digest::Digest,
    evidence::{Event, Happening},
    header::Header,
    ids::{PartClass, ReasonClass, Release, TimeMs, Urgency},
    lifecycle::{Act, Status},
    referral::ESCALATIONS_MAX,
    refusal::Refusal::{self, *},
    wire::{self, directory_change::Change},
};

use crate::network::*;

const ANSWERED: u64 = 3 * DAY;
const ESCALATION: u64 = HOUR;

fn opens(net: &mut Network, fallbacks: &[&str]) -> Header {
    let opening = net.opening_with(AMAN, fallbacks);
    net.push(&opening).accepted();
    opening
}

fn declines(net: &mut Network, opening: &Header, by_whom: &str, reason: ReasonClass) -> Vec<Event> {
    let decline = Header { reason: Some(reason), ..net.act(opening, by_whom, Act::Decline) };
    net.push(&decline).accepted().events()
}

fn last(net: &Network, event: Event) -> Happening {
    let of = net.writer.records().filter(|record| record.what.event == event);
    of.last().unwrap().what.clone()
}

fn status(net: &Network, opening: &Header) -> (Status, u32) {
    let referral = net.writer.referral(&opening.referral).unwrap();
    (referral.status, referral.attempt())
}

/// Lets an unanswered attempt run out, and the waiting after it.
fn silence(net: &mut Network) -> Vec<Event> {
    net.now += ANSWERED;
    let mut events = net.ticked();
    net.now += ESCALATION;
    events.extend(net.ticked());
    events
}

#[test]
fn silence_goes_on_to_the_next_whom_she_named_with_what_was_sealed_for_it() {
    let mut net = Network::new();
    let opening = opens(&mut net, &[IOM, MOSD]);
    net.now = T0 + ANSWERED - 1;
    net.ticked();
    net.now += 1;
    assert_eq!(net.ticked(), [Event::AcceptanceRejectionExpiry], "one clock, no acceptance of it");
    assert_eq!(status(&net, &opening), (Status::Expired, 1));
    net.writer.restart();
    net.now += ESCALATION - 1;
    assert_eq!(net.ticked(), [], "people have an hour to find a better way");
    net.now += 1;
    use Event::{ContentConsignment, Escalated, Recalled};
    let events = net.ticked();
    assert_eq!(events, [Recalled, Recalled, Escalated, ContentConsignment], "the mail, and the attempt");
    assert_eq!(status(&net, &opening), (Status::Submitted, 2));
    assert!(net.writer.waiting(AMAN).is_empty(), "nobody fetches what was taken back");
    let what = last(&net, Escalated);
    assert_eq!((what.recipient, what.attempt), (Some(agency(IOM)), 2));
    assert_eq!(what.parties, [agency(DFWAC), agency(IOM)], "who was asked before does not learn it");
    assert_eq!(what.agreement, Some(digest_of(&agreement(DFWAC, IOM))));
    assert_eq!(what.clause.unwrap().as_str(), "there");
    let mail = net.writer.waiting(IOM).pop().unwrap();
    assert_eq!((mail.release, mail.attempt, mail.envelope), (Release::OnTurn, 2, envelope_digest(&opening)));
    let parts = net.writer.parts(IOM, &mail);
    assert_eq!(parts, [Digest::of(b"Summary for int.iom.kw")], "its own summary, and nothing else");
    net.fetches_all(IOM);
    assert_eq!(status(&net, &opening), (Status::Delivered, 2));
    net.writer.check();

    // It accepts, and the identity that was sealed for it follows by itself.
    let accept = net.act(&opening, IOM, Act::Accept);
    assert!(net.push(&accept).accepted().events().contains(&Event::DisclosureReleased));
    let mail = net.writer.waiting(IOM).pop().unwrap();
    assert_eq!(net.writer.parts(IOM, &mail), [Digest::of(b"Identity for int.iom.kw")]);
    net.fetches_all(IOM);
    net.writer.check();
}

#[test]
fn a_late_yes_is_refused_and_the_first_learns_nothing() {
    let mut net = Network::new();
    let opening = opens(&mut net, &[IOM]);
    net.fetches_all(AMAN);
    let yes = net.act(&opening, AMAN, Act::Accept);
    net.now = T0 + ANSWERED;
    net.ticked();
    assert_refused(&net.push(&yes), AttemptEnded, "attempt", true, "before the next is asked");
    net.now += ESCALATION;
    net.ticked();
    assert_refused(&net.push(&yes), AttemptEnded, "attempt", true, "and after");
    assert!(net.writer.waiting(AMAN).is_empty());
    // It may still say that it destroyed what it has.
    let purge = net.act(&opening, AMAN, Act::ConfirmPurge);
    let purge = Header { attempt: 1, agreement: opening.agreement, to: agency(DFWAC), ..purge };
    net.push(&purge).accepted();
    net.writer.check();
}

#[test]
fn three_reasons_go_on_and_every_other_stops() {
    use ReasonClass::{NoCapacity, Other, OutOfArea, ServiceUnavailable};
    for (reason, goes_on) in
        [(NoCapacity, true), (ServiceUnavailable, true), (OutOfArea, true), (Other, false)]
    {
        let mut net = Network::new();
        let opening = opens(&mut net, &[IOM]);
        net.fetches_all(AMAN);
        let events = declines(&mut net, &opening, AMAN, reason);
        assert_eq!(events.contains(&Event::EscalationStopped), !goes_on, "{reason:?}");
        net.now += ESCALATION - 1;
        assert_eq!(net.ticked(), []);
        net.now += 1;
        assert_eq!(net.ticked().contains(&Event::Escalated), goes_on, "{reason:?}");
        assert_eq!(status(&net, &opening).1, if goes_on { 2 } else { 1 }, "{reason:?}");
        net.writer.check();
    }
    // After an acceptance a person is in charge of her, and nothing goes on by itself.
    let mut net = Network::new();
    let opening = opens(&mut net, &[IOM]);
    net.does(&opening, AMAN, Act::Accept);
    net.does(&opening, AMAN, Act::Fail);
    net.now += 30 * DAY;
    assert!(!net.ticked().contains(&Event::Escalated));
}

#[test]
fn an_emergency_goes_on_at_once() {
    assert_eq!(default_seconds(Urgency::Emergency, ClockKind::Escalation), 0);
    let mut net = Network::new();
    let opening = Header { urgency: Urgency::Emergency, ..net.opening_with(AMAN, &[IOM]) };
    net.push(&opening).accepted();
    declines(&mut net, &opening, AMAN, ReasonClass::NoCapacity);
    assert!(net.ticked().contains(&Event::Escalated));
    net.writer.check();
}

#[test]
fn in_her_order_until_nobody_is_left() {
    let mut net = Network::new();
    let opening = opens(&mut net, &[IOM, MOSD]);
    silence(&mut net);
    assert_eq!(status(&net, &opening), (Status::Submitted, 2));
    assert_eq!(last(&net, Event::Escalated).recipient, Some(agency(IOM)));
    silence(&mut net);
    assert_eq!(last(&net, Event::Escalated).recipient, Some(agency(MOSD)));
    let events = silence(&mut net);
    assert!(events.contains(&Event::EscalationStopped) && !events.contains(&Event::Escalated));
    let stopped = last(&net, Event::EscalationStopped);
    assert_eq!((stopped.refusal, stopped.parties), (None, vec![agency(DFWAC)]), "nobody is left");
    assert_eq!(status(&net, &opening), (Status::Expired, 3));
    net.writer.check();
}

#[test]
fn after_so_many_in_a_row_a_person_must_look() {
    let extra = ["xx.four", "xx.five"];
    let mut net = Network::new();
    for name in extra {
        net.change(&by("amal"), admission(name), &["amal", "badr", name]).accepted();
        let sealing = publication(name, wire::KeyPurpose::Sealing, sealing_key(name));
        net.change(&by(name), sealing, &[name]).accepted();
        net.agree(&agreement(DFWAC, name));
    }
    let opening = opens(&mut net, &[IOM, MOSD, SILENT, extra[0], extra[1]]);
    for _ in 0..=ESCALATIONS_MAX {
        silence(&mut net);
    }
    assert_eq!(status(&net, &opening), (Status::Expired, ESCALATIONS_MAX + 1));
    let stopped = last(&net, Event::EscalationStopped);
    assert_eq!(stopped.refusal.map(|(refusal, _)| refusal), Some(AttemptNumber));
    // A person asks again, and it may go on from there.
    let again = net.opening_with(extra[0], &[extra[1]]);
    let next = net.attempt(&opening, extra[0]);
    let again =
        Header { parts: again.parts, fallbacks: again.fallbacks, expires_at: again.expires_at, ..next };
    net.push(&again).accepted();
    silence(&mut net);
    assert_eq!(last(&net, Event::Escalated).recipient, Some(agency(extra[1])));
    net.writer.check();
}

#[test]
fn people_go_first() {
    let mut net = Network::new();
    let opening = opens(&mut net, &[IOM]);
    declines(&mut net, &opening, AMAN, ReasonClass::NoCapacity);
    let again = net.attempt(&opening, MOSD);
    net.push(&again).accepted();
    net.now += ESCALATION;
    assert!(!net.ticked().contains(&Event::Escalated), "they have asked another");
    assert_eq!(status(&net, &opening), (Status::Submitted, 2));
    net.writer.check();
}

/// What happens between the decline and the moment at which the next would be asked.
type Meanwhile = fn(&mut Network, &Header);

#[test]
fn who_may_not_be_asked_at_that_moment_is_passed_over_or_stops_it() {
    let rows: [(&str, Meanwhile, Option<Refusal>); 7] = [
        ("nothing", |_, _| {}, None),
        (
            "it is suspended",
            |net, _| {
                net.change(&by("amal"), suspension(subject(IOM)), &["amal"]).accepted();
            },
            Some(RecipientSuspended),
        ),
        (
            "the agreement is suspended",
            |net, _| {
                let about = subject_agreement(digest_of(&agreement(DFWAC, IOM)));
                net.change(&by("amal"), suspension(about), &["amal"]).accepted();
            },
            Some(AgreementSuspended),
        ),
        (
            "its key is revoked",
            |net, _| {
                let lost = revocation(IOM, proto::key::KeyId::of(&sealing_key(IOM)));
                net.change(&by("amal"), lost, &["amal"]).accepted();
            },
            Some(SealingKeyNotInForce),
        ),
        (
            "the sender is suspended",
            |net, _| {
                net.change(&by("amal"), suspension(subject(DFWAC)), &["amal"]).accepted();
            },
            Some(SenderSuspended),
        ),
        (
            "her consent is withdrawn",
            |net, opening| {
                net.does(opening, DFWAC, Act::WithdrawConsent);
            },
            Some(FallbackNotAgreed),
        ),
        ("the envelope has expired", |net, opening| net.now = opening.expires_at.0, Some(Expired)),
    ];
    for (what, meanwhile, why) in rows {
        for second in [false, true] {
            let mut net = Network::new();
            let opening = opens(&mut net, if second { &[IOM, MOSD] } else { &[IOM] });
            net.fetches_all(AMAN);
            declines(&mut net, &opening, AMAN, ReasonClass::OutOfArea);
            meanwhile(&mut net, &opening);
            net.now += ESCALATION;
            let events = net.ticked();
            let of_all = matches!(why, Some(SenderSuspended | FallbackNotAgreed | Expired));
            let asked = match why {
                None => Some(IOM),
                Some(_) if second && !of_all => Some(MOSD),
                Some(_) => None,
            };
            assert_eq!(events.contains(&Event::Escalated), asked.is_some(), "{what}");
            match asked {
                Some(asked) => {
                    assert_eq!(last(&net, Event::Escalated).recipient, Some(agency(asked)), "{what}")
                }
                None => {
                    let stopped = last(&net, Event::EscalationStopped);
                    assert_eq!(stopped.refusal.map(|(refusal, _)| refusal), why, "{what}");
                }
            }
            net.writer.check();
        }
    }
}

#[test]
fn only_with_a_summary_sealed_in_advance() {
    let mut net = Network::new();
    let mut opening = net.opening_with(AMAN, &[IOM, MOSD]);
    // Named, but nothing is sealed for it.
    opening.parts.retain(|part| part.recipient != Some(agency(IOM)));
    for (place, part) in (1..).zip(&mut opening.parts) {
        part.part_id = place;
    }
    net.push(&opening).accepted();
    silence(&mut net);
    assert_eq!(last(&net, Event::Escalated).recipient, Some(agency(MOSD)));
    net.writer.check();

    let mut net = Network::new();
    let mut opening = net.opening_with(AMAN, &[IOM]);
    opening.parts.truncate(2);
    net.push(&opening).accepted();
    let events = silence(&mut net);
    assert!(!events.contains(&Event::Escalated));
    let stopped = last(&net, Event::EscalationStopped);
    assert_eq!(stopped.refusal.map(|(refusal, _)| refusal), Some(FallbackNotAgreed));
}

#[test]
fn identity_for_a_fallback_only_where_its_own_clause_discloses() {
    for (disclosure, allowed) in [(wire::Disclosure::Never, false), (wire::Disclosure::OnAcceptance, true)] {
        let mut net = Network::new();
        let mut agreed = agreement(AMAN, MOSD);
        for clause in &mut agreed.clauses {
            clause.disclosure = disclosure.into();
        }
        net.agree(&agreed);
        net.agree(&agreement(AMAN, IOM));
        let mut opening = net.opening(AMAN, IOM);
        opening.fallbacks = vec![agency(MOSD)];
        let ahead = [(PartClass::Summary, Release::OnTurn), (PartClass::Identity, Release::OnAcceptance)];
        for (part_id, (class, release)) in (3..).zip(ahead) {
            let sealed = part(class, release, MOSD, "ahead");
            opening.parts.push(proto::header::Part { part_id, recipient: Some(agency(MOSD)), ..sealed });
        }
        let refused = net.push(&opening).refused().map(|(refusal, _)| refusal);
        assert_eq!(refused, (!allowed).then_some(FallbackNotAgreed));
        opening.parts.truncate(3);
        if !allowed {
            net.push(&opening).accepted();
        }
    }
}

/// Police, immigration, embassies and companies: in the vocabulary's spelling and in others.
#[test]
fn never_to_who_is_asked_by_name_only() {
    for (agency_type, never) in [
        ("LawEnforcement", true),
        ("law-enforcement", true),
        ("police", true),
        ("ImmigrationService", true),
        ("Embassy", true),
        ("Embassy or consulate", true),
        ("CorporateBusiness", true),
        ("Shelter", false),
        ("InternationalOrganisation", false),
    ] {
        let name = "zz.someone";
        let mut net = Network::new();
        let Change::AdmitAgency(admit) = admission(name) else { panic!("it is an admission") };
        let admit = Change::AdmitAgency(wire::AdmitAgency { agency_type: agency_type.into(), ..admit });
        net.change(&by("amal"), admit, &["amal", "badr", name]).accepted();
        let sealing = publication(name, wire::KeyPurpose::Sealing, sealing_key(name));
        net.change(&by(name), sealing, &[name]).accepted();
        net.agree(&agreement(DFWAC, name));
        let opening = net.opening_with(AMAN, &[name]);
        let refused = net.push(&opening).refused();
        assert_eq!(refused, never.then_some((FallbackNotAgreed, "fallbacks")), "{agency_type}");
        // By name, under a clause of its own, a person may.
        let by_name = net.opening(DFWAC, name);
        net.push(&by_name).accepted();
        let by_need = Header {
            addressing: proto::ids::Addressing::ByNeed,
            mechanism: Some(Digest::of(b"any")),
            rule: Some(code("any")),
            ..net.opening(DFWAC, name)
        };
        let refused = net.push(&by_need).refused().map(|(refusal, _)| refusal);
        assert_eq!(refused, Some(if never { OnlyByName } else { MechanismChanged }), "{agency_type}");
        net.writer.check();
    }
}

#[test]
fn silence_without_a_fallback_tells_a_person() {
    let mut net = Network::new();
    let mut text = agreement(AMAN, IOM);
    for clause in &mut text.clauses {
        clause.disclosure = wire::Disclosure::AtOnce.into();
    }
    net.agree(&text);
    let mut opening = net.opening(AMAN, IOM);
    opening.agreement = digest_of(&text);
    (opening.urgency, opening.expires_at) = (Urgency::Urgent, TimeMs(T0 + 20 * DAY));
    net.push(&opening).accepted();
    net.now = T0 + ANSWERED;
    let events = net.ticked();
    assert!(events.ends_with(&[Event::AcceptanceRejectionExpiry, Event::EscalationStopped]), "{events:?}");
    assert_eq!(net.writer.waiting(IOM).len(), 1, "its people can still be told by telephone what waits");
    net.writer.check();
}
