//! Delivery: what waits for whom, in which order, and what leaves.

use proto::{
    digest::Digest,
    evidence::Event,
    header::{Header, Part},
    ids::{Kind, PartClass, Release, TimeMs, Urgency},
    lifecycle::{Act, Status},
    refusal::Refusal::*,
    wire::HandoverResult,
};

use crate::network::*;

fn status(net: &Network, opening: &Header) -> Status {
    net.writer.referral(&opening.referral).unwrap().status
}

/// What waits for an agency: act and release, oldest first.
fn waiting(net: &Network, agency: &str) -> Vec<(Act, Release)> {
    net.writer.waiting(agency).iter().map(|mail| (mail.act, mail.release)).collect()
}

fn cannot_open(net: &mut Network, recipient: &str, header: &Header) -> crate::writer::Answer {
    net.hands_over(recipient, vec![handover(envelope_digest(header), HandoverResult::CannotOpen, &[])])
}

/// An act with identity, as a disclosure is.
fn disclosure(net: &mut Network, opening: &Header, act: Act) -> Header {
    let mut header = net.act(opening, DFWAC, act);
    header.parts[0].class = PartClass::Identity;
    header
}

#[test]
fn the_straight_way() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    assert_eq!(net.fetches_all(AMAN), [(envelope_digest(&opening), Release::AtOnce)]);
    assert_eq!(status(&net, &opening), Status::Delivered);
    net.does(&opening, AMAN, Act::See);
    let accept = net.does(&opening, AMAN, Act::Accept);
    assert_eq!(net.fetches_all(AMAN), [(envelope_digest(&opening), Release::OnAcceptance)], "exactly once");
    assert_eq!(net.fetches_all(DFWAC).last().unwrap().0, envelope_digest(&accept));
    for act in [Act::Start, Act::DeliverService, Act::Complete] {
        net.does(&opening, AMAN, act);
    }
    assert_eq!(status(&net, &opening), Status::Completed);
    net.fetches_all(DFWAC);
    assert!(net.writer.state.referral(&opening.referral).is_none(), "closed");
    net.writer.check();
}

#[test]
fn urgent_referrals_first_and_strict_order_within_one() {
    let mut net = Network::new();
    let normal = Header { urgency: Urgency::Normal, ..net.opening(DFWAC, AMAN) };
    net.push(&normal).accepted();
    let urgent = net.opens(DFWAC, AMAN);
    let note = Header { urgency: Urgency::Emergency, ..net.act(&normal, DFWAC, Act::Note) };
    net.push(&note).accepted();
    let got: Vec<_> = net.fetches_all(AMAN).into_iter().map(|(envelope, _)| envelope).collect();
    assert_eq!(got, [&normal, &note, &urgent].map(envelope_digest));
    net.writer.check();
}

#[test]
fn what_expects_no_answer_is_complete_when_it_is_handed_over() {
    for kind in Kind::ALL {
        let mut net = Network::new();
        let mut header = Header { kind: *kind, ..net.opening(DFWAC, AMAN) };
        header.parts.truncate(1);
        net.push(&header).accepted();
        net.fetches_all(AMAN);
        let expected = if kind.expects_answer() { Status::Delivered } else { Status::Completed };
        assert_eq!(status(&net, &header), expected, "{kind:?}");
        net.writer.check();
    }
}

#[test]
fn a_repeated_handover_says_that_nothing_waits() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    let right = received(envelope_digest(&opening), &[opening.parts[0].sha256]);
    net.hands_over(AMAN, vec![right.clone()]).accepted();
    assert_refused(
        &net.hands_over(AMAN, vec![right.clone()]),
        NotWaiting,
        "handovers.envelope",
        false,
        "again",
    );
    assert_refused(&net.hands_over(IOM, vec![right]), NotWaiting, "handovers.envelope", false, "another's");
    net.writer.check();
}

/// Regression: one envelope of a receipt that could not be taken refused all the others.
#[test]
fn each_envelope_of_a_receipt_has_its_own_answer() {
    let mut net = Network::new();
    let openings: Vec<_> = (0..3).map(|_| net.opens(DFWAC, AMAN)).collect();
    let digests: Vec<_> = openings.iter().map(envelope_digest).collect();
    let part = openings[0].parts[0].sha256;
    let wrong = Digest::of(b"other bytes");
    let list = vec![
        received(digests[0], &[part]),
        received(digests[1], &[wrong]),
        received(wrong, &[]),
        received(digests[2], &[part]),
    ];
    let answer = net.hands_over(AMAN, list);
    let proto::decide::Decision::Do(_, not_taken) = &answer.decision else { panic!("two were taken") };
    assert_eq!(*not_taken, [(digests[1], DigestsDiffer), (wrong, NotWaiting)]);
    use Event::{ContentHandover, SubmissionRejection};
    assert_eq!(
        answer.events(),
        [ContentHandover, ContentHandover, SubmissionRejection],
        "the wrong digest is evidence"
    );
    assert_eq!(net.writer.waiting(AMAN).len(), 1);
    net.writer.check();
}

#[test]
fn digests_are_compared_in_the_headers_order_and_number() {
    let mut net = Network::new();
    let mut header = net.opening(DFWAC, AMAN);
    header.parts = vec![
        summary(AMAN),
        Part { part_id: 2, ..part(PartClass::Attachment, Release::AtOnce, AMAN, "file") },
    ];
    net.push(&header).accepted();
    let [one, two] = [header.parts[0].sha256, header.parts[1].sha256];
    for wrong in [&[][..], &[one], &[two, one], &[one, two, two], &[one, one]] {
        let answer = net.hands_over(AMAN, vec![received(envelope_digest(&header), wrong)]);
        assert_eq!(answer.refused().map(|(refusal, _)| refusal), Some(DigestsDiffer));
    }
    net.hands_over(AMAN, vec![received(envelope_digest(&header), &[one, two])]).accepted();
}

#[test]
fn only_the_recipient_hands_over() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    let list = vec![received(envelope_digest(&opening), &[opening.parts[0].sha256])];
    let command = net.receipt(AMAN, list.clone());
    assert_refused(&net.run(&by(IOM), command), CallerNotSender, "recipient", true, "another's connection");
    let receipt = proto::wire::HandoverReceipt { version: 1, recipient: AMAN.into(), handovers: list };
    let payload = prost::Message::encode_to_vec(&receipt);
    let object = sign(proto::dsse::PayloadType::Receipt, payload, &[IOM]);
    let command = proto::command::Command::verify(object, net.writer.state.directory()).unwrap();
    assert_refused(
        &net.run(&by(AMAN), command),
        SigningKeyNotInForce,
        "signatures.key_id",
        true,
        "another's key",
    );
}

#[test]
fn what_nobody_fetches_expires_at_its_millisecond() {
    let mut net = Network::new();
    // Before any clock of it is due.
    let opening = Header { expires_at: TimeMs(T0 + HOUR), ..net.opening(DFWAC, AMAN) };
    net.push(&opening).accepted();
    net.now = opening.expires_at.0 - 1;
    assert!(net.tick().is_empty());
    net.now += 1;
    assert_eq!(net.ticked(), [Event::Expired, Event::EscalationStopped]);
    assert_eq!((status(&net, &opening), waiting(&net, AMAN).len()), (Status::Expired, 0));
    let late = net.act(&opening, AMAN, Act::Accept);
    assert_refused(&net.push(&late), AttemptEnded, "attempt", true, "it has ended");
    assert!(waiting(&net, AMAN).is_empty(), "nothing is released after an expiry");
    let again = net.attempt(&opening, IOM);
    net.push(&again).accepted();
    net.writer.check();
}

#[test]
fn an_act_that_nobody_fetches_undoes_nothing() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    net.fetches_all(AMAN);
    net.does(&opening, AMAN, Act::Accept);
    net.fetches_all(AMAN);
    net.now += 8 * DAY;
    assert_eq!(net.tick().len(), 1, "the acceptance was not fetched");
    assert_eq!(status(&net, &opening), Status::Accepted);
    net.writer.check();
}

#[test]
fn identity_is_released_to_who_accepts_and_never_after_an_end() {
    for (by_whom, act) in [(AMAN, Act::Decline), (DFWAC, Act::Recall), (DFWAC, Act::EnteredInError)] {
        let mut net = Network::new();
        let opening = net.opens(DFWAC, AMAN);
        net.does(&opening, by_whom, act);
        let late = net.act(&opening, AMAN, Act::Accept);
        assert_refused(&net.push(&late), ActNotLegal, "act", true, "after the end");
        assert!(waiting(&net, AMAN).iter().all(|(_, release)| *release == Release::AtOnce), "{act:?}");
        assert_eq!(net.writer.referral(&opening.referral).unwrap().parked, None);
        net.writer.check();
    }
}

/// Regression: consent was withdrawn, but an acceptance by who had not read of it yet still released
/// her identity.
#[test]
fn withdrawn_consent_unparks_her_identity() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    net.fetches_all(AMAN);
    net.does(&opening, DFWAC, Act::WithdrawConsent);
    net.does(&opening, AMAN, Act::Accept);
    assert_eq!(waiting(&net, AMAN), [(Act::WithdrawConsent, Release::AtOnce)]);
    net.writer.check();
}

/// Regression: identity that was released but not fetched stayed there after the end.
#[test]
fn what_was_not_fetched_is_taken_back() {
    let rows = [(DFWAC, Act::WithdrawConsent), (DFWAC, Act::Recall), (AMAN, Act::Fail)];
    for (by_whom, act) in rows {
        let mut net = Network::new();
        let opening = net.opens(DFWAC, AMAN);
        net.fetches_all(AMAN);
        net.does(&opening, AMAN, Act::Accept);
        assert_eq!(waiting(&net, AMAN), [(Act::Submit, Release::OnAcceptance)]);
        let header = net.act(&opening, by_whom, act);
        let answer = net.push(&header);
        assert!(answer.events().contains(&Event::Recalled));
        let left: Vec<_> = waiting(&net, AMAN).into_iter().map(|(act, _)| act).collect();
        assert_eq!(left, if by_whom == DFWAC { vec![act] } else { vec![] }, "{act:?}");
        net.writer.check();
    }
    // A recall takes everything back that was not fetched; what tells of the end is still told.
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    net.does(&opening, DFWAC, Act::Note);
    net.does(&opening, DFWAC, Act::WithdrawConsent);
    net.does(&opening, DFWAC, Act::Recall);
    let left: Vec<_> = waiting(&net, AMAN).into_iter().map(|(act, _)| act).collect();
    assert_eq!(left, [Act::WithdrawConsent, Act::Recall]);
    net.writer.check();
}

/// Regression: the acceptance released identity although the agreement had been stopped.
#[test]
fn identity_stays_parked_while_the_agreement_is_stopped() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    net.fetches_all(AMAN);
    let about = subject_agreement(opening.agreement);
    net.change(&by("amal"), suspension(about.clone()), &["amal", "badr"]).accepted();
    net.does(&opening, AMAN, Act::Accept);
    assert!(waiting(&net, AMAN).is_empty());
    let disclose = disclosure(&mut net, &opening, Act::Disclose);
    assert_refused(&net.push(&disclose), AgreementSuspended, "agreement", true, "nor by a disclosure");
    net.change(&by("amal"), resumption(about), &["amal", "badr"]).accepted();
    let disclose = disclosure(&mut net, &opening, Act::Disclose);
    net.push(&disclose).accepted();
    assert_eq!(waiting(&net, AMAN), [(Act::Disclose, Release::AtOnce)]);
    net.writer.check();
}

/// Regression: a disclosure after the acceptance was refused as too early, and parked it would never
/// have been delivered.
#[test]
fn a_disclosure_follows_an_acceptance() {
    let mut net = Network::new();
    let mut opening = net.opening(DFWAC, AMAN);
    opening.parts.truncate(1);
    net.push(&opening).accepted();
    let early = disclosure(&mut net, &opening, Act::Note);
    assert_refused(&net.push(&early), IdentityTooEarly, "parts.release", true, "nobody has accepted");
    let early = disclosure(&mut net, &opening, Act::Reseal);
    assert_refused(&net.push(&early), IdentityTooEarly, "parts.release", true, "nor by resealing");
    net.does(&opening, AMAN, Act::Accept);
    let disclose = disclosure(&mut net, &opening, Act::Disclose);
    let withheld = Header { identity_allowed: false, ..disclose.clone() };
    assert_refused(&net.push(&withheld), IdentityNotAllowed, "parts.class", true, "without her consent");
    // Regression: an act without identity could carry codes that nobody had agreed on, and spell a name.
    let spelt = Header {
        category: proto::ids::Code::parse("maryam", "category").unwrap(),
        ..net.act(&opening, DFWAC, Act::Note)
    };
    assert_refused(&net.push(&spelt), CategoryNotAgreed, "category", true, "codes of nobody");
    // Regression: an act could name another need than the one referred, and go by that one's clause.
    let code = |text| proto::ids::Code::parse(text, "code").unwrap();
    let other = Header { category: code("domestic_violence"), ..disclose.clone() };
    assert_refused(&net.push(&other), CategoryNotAgreed, "category", true, "of another category");
    let other = Header { service: code("legal"), ..disclose.clone() };
    assert_refused(&net.push(&other), ServiceNotAgreed, "service", true, "of another service");
    net.push(&disclose).accepted();
    assert!(net.fetches_all(AMAN).contains(&(envelope_digest(&disclose), Release::AtOnce)));
    net.does(&opening, AMAN, Act::Fail);
    let late = disclosure(&mut net, &opening, Act::Note);
    assert_refused(&net.push(&late), IdentityTooEarly, "parts.release", true, "after the end");
    net.writer.check();
}

/// Regression: what could not be opened held up its referral for ever.
#[test]
fn what_cannot_be_opened_waits_for_its_sender_and_then_goes_on() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    let other = net.opens(DFWAC, AMAN);
    let note = net.does(&opening, DFWAC, Act::Note);
    let answer = cannot_open(&mut net, AMAN, &opening);
    assert_eq!(answer.accepted().events(), [Event::ContentHandoverFailure]);
    assert_eq!(status(&net, &opening), Status::Submitted);
    let heads: Vec<_> = net.writer.heads(AMAN).iter().map(|mail| mail.envelope).collect();
    assert_eq!(heads, [envelope_digest(&other)], "what follows in its referral waits with it");
    assert_refused(
        &cannot_open(&mut net, AMAN, &opening),
        NotWaiting,
        "handovers.envelope",
        false,
        "said again",
    );
    net.writer.restart();
    let mut reseal = net.act(&opening, DFWAC, Act::Reseal);
    reseal.in_reply_to = Some(envelope_digest(&opening));
    let answer = net.push(&reseal);
    assert!(answer.accepted().events().contains(&Event::ReturnedForResealing));
    let got: Vec<_> = net.fetches_all(AMAN).into_iter().map(|(envelope, _)| envelope).collect();
    assert_eq!(got, [&other, &note, &reseal].map(envelope_digest));
    // What could be read at last is what was submitted.
    assert_eq!(status(&net, &opening), Status::Delivered);
    net.writer.check();
}

fn reseals(net: &mut Network, opening: &Header, from: &str, what: &Header) -> Header {
    let mut reseal = net.act(opening, from, Act::Reseal);
    reseal.in_reply_to = Some(envelope_digest(what));
    net.push(&reseal).accepted();
    reseal
}

/// A key that was stolen: what waits under it goes back, though its recipient could open it.
#[test]
fn what_waits_is_returned_when_it_is_sealed_anew() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    let note = net.does(&opening, DFWAC, Act::Note);
    let reseal = reseals(&mut net, &opening, DFWAC, &opening);
    let got: Vec<_> = net.fetches_all(AMAN).into_iter().map(|(envelope, _)| envelope).collect();
    assert_eq!(got, [&note, &reseal].map(envelope_digest));
    assert_eq!(status(&net, &opening), Status::Delivered);
    // What was fetched already stays with its recipient.
    let again = reseals(&mut net, &opening, DFWAC, &note);
    assert_eq!(net.fetches_all(AMAN), [(envelope_digest(&again), Release::AtOnce)]);
    net.writer.check();
}

/// Also after the end, an answer that its reader cannot open holds up what others answer.
#[test]
fn an_answer_that_cannot_be_opened_is_sealed_anew_by_who_answered() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    let decline = net.does(&opening, AMAN, Act::Decline);
    cannot_open(&mut net, DFWAC, &decline);
    let again = net.attempt(&opening, IOM);
    net.push(&again).accepted();
    let accept = net.does(&again, IOM, Act::Accept);
    assert!(net.writer.heads(DFWAC).is_empty(), "all waits behind what cannot be opened");
    let of_first = |header: Header| Header { attempt: 1, agreement: opening.agreement, ..header };
    let mut reseal = of_first(net.act(&opening, AMAN, Act::Reseal));
    reseal.in_reply_to = Some(envelope_digest(&decline));
    net.push(&reseal).accepted();
    let got: Vec<_> = net.fetches_all(DFWAC).into_iter().map(|(envelope, _)| envelope).collect();
    assert_eq!(got, [&accept, &reseal].map(envelope_digest));
    assert_eq!(status(&net, &opening), Status::Accepted, "it moves nothing");
    // Whoever asked sends nothing anew to whom she is not with any more.
    let mut late =
        of_first(Header { to: agency(AMAN), parts: Vec::new(), ..net.act(&opening, DFWAC, Act::Reseal) });
    late.in_reply_to = Some(envelope_digest(&opening));
    assert_refused(&net.push(&late), AttemptEnded, "attempt", true, "to one who declined");
    net.writer.check();
}

#[test]
fn what_was_sealed_anew_ends_as_what_it_replaces() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    reseals(&mut net, &opening, DFWAC, &opening);
    let withdrawn = net.does(&opening, DFWAC, Act::WithdrawConsent);
    let got: Vec<_> = net.fetches_all(AMAN).into_iter().map(|(envelope, _)| envelope).collect();
    assert_eq!(got, [envelope_digest(&withdrawn)], "nothing of her is handed over any more");
    let opening = net.opens(DFWAC, AMAN);
    let mut reseal = net.act(&opening, DFWAC, Act::Reseal);
    (reseal.in_reply_to, reseal.expires_at) = (Some(envelope_digest(&opening)), TimeMs(net.now + HOUR));
    net.push(&reseal).accepted();
    net.now += HOUR;
    assert_eq!(net.ticked(), [Event::Expired, Event::EscalationStopped]);
    assert_eq!(status(&net, &opening), Status::Expired);
    net.writer.check();
}

#[test]
fn a_key_that_was_found_again_opens_what_was_blocked() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    cannot_open(&mut net, AMAN, &opening);
    net.hands_over(AMAN, vec![received(envelope_digest(&opening), &[opening.parts[0].sha256])]).accepted();
    assert_eq!(status(&net, &opening), Status::Delivered);
    net.writer.check();
}

#[test]
fn a_recall_and_a_withdrawal_get_past_what_cannot_be_opened() {
    for act in [Act::Recall, Act::WithdrawConsent, Act::EnteredInError] {
        let mut net = Network::new();
        let opening = net.opens(DFWAC, AMAN);
        cannot_open(&mut net, AMAN, &opening);
        let header = net.does(&opening, DFWAC, act);
        assert_eq!(net.fetches_all(AMAN), [(envelope_digest(&header), Release::AtOnce)], "{act:?}");
        net.writer.check();
    }
}

#[test]
fn the_lapse_and_the_expiry_are_due_when_they_say() {
    let mut net = Network::new();
    assert_eq!(proto::decide::next_due(&net.writer.state), None);
    let opening = Header { expires_at: TimeMs(T0 + 2 * DAY), ..net.opening(DFWAC, AMAN) };
    net.push(&opening).accepted();
    net.fetches_all(AMAN);
    net.does(&opening, AMAN, Act::Decline);
    assert_eq!(proto::decide::next_due(&net.writer.state), Some(TimeMs(T0 + 7 * DAY)), "the decline's");
    net.change(&by("amal"), suspension(subject(IOM)), &["amal"]).accepted();
    assert_eq!(proto::decide::next_due(&net.writer.state), Some(TimeMs(T0 + DAY)));
}
