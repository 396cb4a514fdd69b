//! Acts in a referral: the chain of each sender, attempts, who may know of it, and retries.

use proto::{
    decide::Decision,
    digest::Digest,
    evidence::Event,
    header::Header,
    ids::{Kind, Release, TimeMs},
    lifecycle::{Act, Responsibility, Status},
    referral::ATTEMPTS_MAX,
    refusal::Refusal::*,
    wire,
};

use crate::network::*;

#[test]
fn each_sender_has_its_own_chain_over_all_attempts() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    let first = net.does(&opening, AMAN, Act::See);
    assert_eq!((first.sequence, first.previous), (1, None));
    let recall = net.does(&opening, DFWAC, Act::Recall);
    assert_eq!((recall.sequence, recall.previous), (2, Some(envelope_digest(&opening))));
    let again = net.attempt(&opening, IOM);
    assert_eq!(again.previous, Some(envelope_digest(&recall)));
    net.push(&again).accepted();
    let first = net.does(&opening, IOM, Act::See);
    assert_eq!((first.sequence, first.attempt), (1, 2));
    net.writer.check();
}

#[test]
fn gaps_and_forks() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    let one = net.act(&opening, DFWAC, Act::Note);
    let fork = net.act(&opening, DFWAC, Act::Note);
    let ahead =
        Header { sequence: 3, previous: Some(envelope_digest(&one)), ..net.act(&opening, DFWAC, Act::Note) };
    assert_refused(&net.push(&ahead), OutOfSequence, "sequence", true, "a gap");
    net.push(&one).accepted();
    assert_refused(&net.push(&fork), PreviousDiffers, "previous", true, "another copy sends");
    net.push(&ahead).accepted();
    let none = Header { sequence: 1, previous: None, ..net.act(&opening, DFWAC, Act::Note) };
    assert_refused(&net.push(&none), PreviousDiffers, "previous", true, "begins anew");
    net.writer.check();
}

/// Who is no party of a referral gets, for one that exists, the answer for one that does not.
#[test]
fn a_refusal_does_not_confirm_that_a_referral_exists() {
    let acts = [Act::See, Act::Accept, Act::Note, Act::WithdrawConsent, Act::ConfirmPurge];
    for closed in [false, true] {
        for act in acts {
            let mut net = Network::new();
            let real = net.opens(DFWAC, AMAN);
            if closed {
                net.does(&real, DFWAC, Act::Recall);
                net.fetches_all(AMAN);
            }
            let mut made_up = real.clone();
            made_up.referral.id = net.id();
            let probes = [&real, &made_up].map(|opening| {
                let mut probe = net.act(&real, AMAN, act);
                (probe.from, probe.to) = (agency(IOM), agency(DFWAC));
                probe.referral = opening.referral.clone();
                probe.agreement = digest_of(&agreement(DFWAC, IOM));
                probe.parts = vec![summary(DFWAC)];
                probe
            });
            let answers = probes.map(|probe| net.push(&probe));
            for answer in &answers {
                assert_refused(answer, UnknownReferral, "referral", true, "a stranger");
            }
            let [Decision::Refuse(one), Decision::Refuse(two)] = answers.map(|answer| answer.decision) else {
                panic!("both are refused");
            };
            assert_eq!(one.legal_acts, two.legal_acts);
        }
    }
}

/// Regression: who was asked first could count the attempts that followed.
#[test]
fn who_was_asked_before_does_not_learn_how_often_others_were() {
    let ask = |others: &[&str], attempt| {
        let mut net = Network::new();
        let opening = net.opens(DFWAC, AMAN);
        let mut probe = net.act(&opening, AMAN, Act::Note);
        for to in others {
            net.does(&opening, DFWAC, Act::Recall);
            let again = net.attempt(&opening, to);
            net.push(&again).accepted();
        }
        probe.attempt = attempt;
        net.push(&probe).refused()
    };
    let unknown = Some((UnknownReferral, "referral"));
    for attempt in 2..=5 {
        assert_eq!(ask(&[IOM], attempt), unknown);
        assert_eq!(ask(&[IOM, MOSD, SILENT], attempt), unknown, "attempt {attempt}");
    }
    assert_eq!(ask(&[IOM], 1), Some((AttemptEnded, "attempt")));
}

#[test]
fn a_late_yes_is_refused_kindly_and_releases_nothing() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    let yes = net.act(&opening, AMAN, Act::Accept);
    net.does(&opening, DFWAC, Act::Recall);
    assert_refused(&net.push(&yes), ActNotLegal, "act", true, "recalled");
    let again = net.attempt(&opening, IOM);
    net.push(&again).accepted();
    assert_refused(&net.push(&yes), AttemptEnded, "attempt", true, "and went on");
    assert!(net.writer.waiting(AMAN).iter().all(|mail| mail.release == Release::AtOnce));
    net.does(&opening, IOM, Act::Accept);
    net.writer.check();
}

#[test]
fn a_new_attempt_only_after_the_last_has_ended() {
    for (by_whom, act, allowed) in [
        (AMAN, Act::See, Some(AttemptOpen)),
        (AMAN, Act::Accept, Some(AttemptOpen)),
        (AMAN, Act::Waitlist, Some(AttemptOpen)),
        (AMAN, Act::Decline, None),
        (DFWAC, Act::Recall, None),
        (DFWAC, Act::EnteredInError, Some(ActNotLegal)),
    ] {
        let mut net = Network::new();
        let opening = net.opens(DFWAC, AMAN);
        net.does(&opening, by_whom, act);
        let again = net.attempt(&opening, IOM);
        assert_eq!(net.push(&again).refused().map(|(refusal, _)| refusal), allowed, "{act:?}");
        net.writer.check();
    }
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    net.does(&opening, AMAN, Act::Decline);
    let again = Header { attempt: 3, ..net.attempt(&opening, IOM) };
    assert_refused(&net.push(&again), AttemptNumber, "attempt", true, "skips one");
    let by_other = Header { attempt: 2, ..net.act(&opening, AMAN, Act::Submit) };
    assert_refused(&net.push(&by_other), ActNotLegal, "act", true, "only who opened it");
}

#[test]
fn attempts_have_a_limit() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    for attempt in 2..=ATTEMPTS_MAX + 1 {
        net.does(&opening, DFWAC, Act::Recall);
        let again = net.attempt(&opening, AMAN);
        let refused = net.push(&again).refused();
        assert_eq!(refused.is_some(), attempt > ATTEMPTS_MAX, "{attempt}: {refused:?}");
    }
    net.writer.check();
}

#[test]
fn a_closed_referral_is_loaded_and_closes_again() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    net.does(&opening, DFWAC, Act::Recall);
    net.fetches_all(AMAN);
    assert!(net.writer.state.referral(&opening.referral).is_none(), "closed");
    net.does(&opening, AMAN, Act::ConfirmPurge);
    assert!(net.writer.state.referral(&opening.referral).is_some(), "the statement waits");
    net.fetches_all(DFWAC);
    assert!(net.writer.state.referral(&opening.referral).is_none(), "closed again");
    net.writer.check();
}

#[test]
fn a_retry_is_never_refused_whatever_changed_since() {
    let changes: [(&str, OfNetwork); 6] = [
        ("nothing", |_| {}),
        ("the agreement ended, the envelope expired", |net| net.now += 900 * DAY),
        ("the sender is suspended", |net| {
            net.change(&by("amal"), suspension(subject(DFWAC)), &["amal", "badr"]).accepted();
        }),
        ("its key is revoked", |net| {
            net.change(&by("amal"), revocation(DFWAC, key(DFWAC).public().id()), &["amal"]).accepted();
        }),
        ("the recipient is suspended", |net| {
            net.change(&by("amal"), suspension(subject(AMAN)), &["amal"]).accepted();
        }),
        ("the gateway has restarted", |net| net.writer.restart()),
    ];
    for (name, change) in changes {
        let mut net = Network::new();
        let opening = net.opens(DFWAC, AMAN);
        let note = net.does(&opening, DFWAC, Act::Note);
        net.does(&opening, AMAN, Act::Decline);
        let commands = [&opening, &note].map(|header| net.command(header));
        change(&mut net);
        for command in commands {
            assert!(net.run(&by(DFWAC), command).is_done(), "{name}");
        }
        net.writer.check();
    }
}

#[test]
fn an_id_with_other_content_names_the_first_field_that_differs() {
    let rows: [(&str, OfHeader); 8] = [
        ("to", |header| header.to = agency(IOM)),
        ("kind", |header| (header.kind, header.parts) = (Kind::Notice, vec![summary(AMAN)])),
        ("category", |header| header.category = code("trafficking")),
        ("identity_allowed", |header| header.identity_allowed = false),
        ("directory_size", |header| header.directory_size = 2),
        ("created_at_ms", |header| header.created_at = TimeMs(T0 + 1)),
        ("parts", |header| header.parts.truncate(1)),
        ("fallbacks", |header| header.fallbacks = vec![agency(IOM)]),
    ];
    for (field, change) in rows {
        let mut net = Network::new();
        let mut header = net.opens(DFWAC, AMAN);
        change(&mut header);
        assert_refused(&net.push(&header), EnvelopeIdTaken, field, true, field);
    }
}

#[test]
fn two_senders_may_choose_one_id() {
    let mut net = Network::new();
    let one = net.opens(DFWAC, AMAN);
    let mut two = net.opening(AMAN, DFWAC);
    two.envelope_id = one.envelope_id;
    two.referral.id = one.envelope_id;
    net.push(&two).accepted();
    net.writer.check();
}

#[test]
fn times_at_their_limits() {
    let rows: [(&str, OfHeader, Option<proto::refusal::Refusal>); 8] = [
        ("clock", |header| header.created_at = TimeMs(T0 + 5 * MINUTE), None),
        ("clock", |header| header.created_at = TimeMs(T0 + 5 * MINUTE + 1), Some(CreatedInFuture)),
        ("id", |header| header.created_at = TimeMs(T0 - 10 * MINUTE), None),
        ("id", |header| header.created_at = TimeMs(T0 - 10 * MINUTE - 1), Some(IdTimeDiffers)),
        ("life", |header| header.expires_at = TimeMs(T0 + 90 * DAY), None),
        ("life", |header| header.expires_at = TimeMs(T0 + 90 * DAY + 1), Some(LifetimeTooLong)),
        ("end", |header| header.expires_at = TimeMs(T0 + 1), None),
        (
            "end",
            |header| (header.created_at, header.expires_at) = (TimeMs(T0 - 1), TimeMs(T0)),
            Some(Expired),
        ),
    ];
    for (name, change, expected) in rows {
        let mut net = Network::new();
        let mut header = net.opening(DFWAC, AMAN);
        change(&mut header);
        assert_eq!(net.push(&header).refused().map(|(refusal, _)| refusal), expected, "{name}");
    }
    let mut net = Network::new();
    let mut header = net.opening(DFWAC, AMAN);
    header.directory_size = net.writer.state.directory_log().size();
    net.push(&header).accepted();
}

/// Regression: an agency asked before had to name the agreement of the attempt that followed, which
/// it does not know.
#[test]
fn an_agency_asked_before_can_confirm_a_purge_and_a_withdrawal() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    net.does(&opening, AMAN, Act::See);
    net.does(&opening, DFWAC, Act::Recall);
    let again = net.attempt(&opening, IOM);
    net.push(&again).accepted();
    for act in [Act::ConfirmPurge, Act::ConfirmWithdrawal] {
        let header = net.act(&opening, AMAN, act);
        let header = Header { attempt: 1, agreement: opening.agreement, to: agency(DFWAC), ..header };
        net.push(&header).accepted();
        assert_eq!(net.writer.referral(&opening.referral).unwrap().status, Status::Submitted);
    }
    // And is told of a withdrawal. Its reason is checked as any.
    let withdraw = net.act(&opening, DFWAC, Act::WithdrawConsent);
    let withdraw = Header {
        attempt: 1,
        to: agency(AMAN),
        agreement: opening.agreement,
        parts: vec![summary(AMAN)],
        ..withdraw
    };
    let reason = Some(proto::ids::ReasonClass::Other);
    assert_refused(
        &net.push(&Header { reason, ..withdraw.clone() }),
        ReasonNotLegal,
        "reason",
        true,
        "no reason",
    );
    net.push(&withdraw).accepted();
    let unbound = Header {
        agreement: Digest::of(b"none"),
        sequence: withdraw.sequence + 1,
        previous: Some(envelope_digest(&withdraw)),
        envelope_id: net.id(),
        ..withdraw
    };
    assert_refused(&net.push(&unbound), NoAgreement, "agreement", true, "one that binds the two");
    net.writer.check();
}

#[test]
fn an_answer_is_possible_under_an_agreement_that_has_ended_or_was_renewed() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    net.change(&by("amal"), suspension(subject_agreement(opening.agreement)), &["amal", "badr"]).accepted();
    net.does(&opening, AMAN, Act::See);
    net.now += 400 * DAY;
    net.does(&opening, AMAN, Act::Decline);
    net.writer.check();

    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    let old = agreement(DFWAC, AMAN);
    let renewed = net.agree(&wire::Agreement { revision: 2, supersedes: opening.agreement.to_vec(), ..old });
    let under_new = Header { agreement: renewed, ..net.act(&opening, AMAN, Act::See) };
    net.push(&under_new).accepted();
    let accept = net.does(&opening, AMAN, Act::Accept);
    assert_eq!(accept.agreement, opening.agreement);
    assert_eq!(
        net.writer.waiting(AMAN).last().unwrap().release,
        Release::OnAcceptance,
        "renewed is in force"
    );
    let mut disclose = Header { agreement: renewed, ..net.act(&opening, DFWAC, Act::Disclose) };
    disclose.parts[0].class = proto::ids::PartClass::Identity;
    net.push(&disclose).accepted();
    let other =
        Header { agreement: digest_of(&agreement(DFWAC, IOM)), ..net.act(&opening, AMAN, Act::Start) };
    assert_refused(&net.push(&other), NoAgreement, "agreement", true, "another agreement");
    net.writer.check();
}

/// What was parked under an agreement that let it go stays parked under one that does not.
#[test]
fn an_acceptance_releases_nothing_when_the_renewed_agreement_discloses_no_more() {
    type Change = fn(&mut wire::Agreement);
    let table: [(Change, bool); 3] = [
        (|_| {}, true),
        (|text| text.clauses.iter_mut().for_each(|clause| clause.disclosure = 1), false),
        (|text| text.clauses.iter_mut().for_each(|clause| clause.clause_id.push_str("-new")), false),
    ];
    for (place, (change, releases)) in table.into_iter().enumerate() {
        let mut net = Network::new();
        let opening = net.opens(DFWAC, AMAN);
        let old = agreement(DFWAC, AMAN);
        let mut renewed = wire::Agreement { revision: 2, supersedes: opening.agreement.to_vec(), ..old };
        change(&mut renewed);
        net.agree(&renewed);
        net.does(&opening, AMAN, Act::Accept);
        let last = net.writer.waiting(AMAN).last().map(|mail| mail.release);
        assert_eq!(last == Some(Release::OnAcceptance), releases, "row {place}");
        net.writer.check();
    }
}

/// A referral leaves the case with whoever opened it; a transfer that was offered and accepted moves it, and
/// then the former owner cannot take it back from whoever answers for her.
#[test]
fn a_transfer_is_offered_then_accepted_and_moves_the_case() {
    use Responsibility::{Offered, Recipient, Referrer};
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    let answers = |net: &Network| net.writer.referral(&opening.referral).unwrap().responsibility;
    let refused = |net: &mut Network, from, act| {
        let envelope = net.act(&opening, from, act);
        net.push(&envelope).refused().map(|(refusal, _)| refusal)
    };
    net.does(&opening, AMAN, Act::Accept);
    assert_eq!(answers(&net), Referrer, "an acceptance moves nothing");
    assert_eq!(refused(&mut net, AMAN, Act::AcceptTransfer), Some(ActNotLegal), "nothing is offered");
    net.does(&opening, DFWAC, Act::OfferTransfer);
    assert_eq!(answers(&net), Offered);
    assert_eq!(refused(&mut net, DFWAC, Act::OfferTransfer), Some(ActNotLegal), "twice");
    net.does(&opening, AMAN, Act::DeclineTransfer);
    assert_eq!(answers(&net), Referrer);
    net.does(&opening, DFWAC, Act::OfferTransfer);
    net.does(&opening, AMAN, Act::AcceptTransfer);
    assert_eq!(answers(&net), Recipient);
    for act in [Act::Recall, Act::RequestCancel, Act::OfferTransfer] {
        assert_eq!(refused(&mut net, DFWAC, act), Some(ActNotLegal), "{act:?}");
    }
    net.does(&opening, DFWAC, Act::WithdrawConsent);
    net.does(&opening, AMAN, Act::Fail);
    let again = net.attempt(&opening, IOM);
    net.push(&again).accepted();
    assert_eq!(answers(&net), Referrer, "a new attempt begins with whoever opened it");
    net.writer.check();
}

#[test]
fn pauses_return_to_where_work_stopped() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    let status = |net: &Network| net.writer.referral(&opening.referral).unwrap().status;
    net.does(&opening, AMAN, Act::Accept);
    net.does(&opening, AMAN, Act::Start);
    net.does(&opening, AMAN, Act::Hold);
    net.does(&opening, DFWAC, Act::RequestCancel);
    assert_eq!(status(&net), Status::CancelRequested);
    net.does(&opening, AMAN, Act::RefuseCancel);
    assert_eq!(status(&net), Status::InProgress);
    net.does(&opening, DFWAC, Act::RequestCancel);
    net.does(&opening, AMAN, Act::ConfirmCancel);
    assert_eq!(status(&net), Status::Cancelled);
    net.writer.check();
}

/// Regression: what a later attempt asked for was judged by the first one's kind.
#[test]
fn each_attempt_has_its_own_kind() {
    let mut net = Network::new();
    let mut notice = net.opening(DFWAC, AMAN);
    notice.kind = Kind::Notice;
    notice.parts.truncate(1);
    net.push(&notice).accepted();
    net.does(&notice, DFWAC, Act::Recall);
    let again = Header { kind: Kind::Referral, ..net.attempt(&notice, IOM) };
    net.push(&again).accepted();
    net.fetches_all(IOM);
    assert_eq!(
        net.writer.referral(&notice.referral).unwrap().status,
        Status::Delivered,
        "a person owes an answer"
    );
    net.writer.check();
}

#[test]
fn the_evidence_of_an_acceptance() {
    let mut net = Network::new();
    let opening = net.opening(DFWAC, AMAN);
    assert_eq!(net.push(&opening).events(), [SubmissionAcceptance, ContentConsignment]);
    let accept = net.act(&opening, AMAN, Act::Accept);
    let answer = net.push(&accept);
    use Event::{ConsignmentAcceptance, ContentConsignment, DisclosureReleased, SubmissionAcceptance};
    assert_eq!(
        answer.events(),
        [SubmissionAcceptance, ConsignmentAcceptance, ContentConsignment, DisclosureReleased]
    );
    let statuses: Vec<_> = answer.records().map(|record| record.what.status).collect();
    assert_eq!(statuses, [None, Some(Status::Accepted), None, None]);
    let submission =
        net.writer.records().find(|record| record.what.envelope == Some(envelope_digest(&opening)));
    let what = &submission.unwrap().what;
    assert_eq!((what.agreement, what.clause.as_ref().unwrap().as_str()), (Some(opening.agreement), "back"));
}
