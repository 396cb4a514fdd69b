//! Every refusal that deciding can give: one row each, and none that is missing. And which of two is
//! given, when two rules are broken at once.

use prost::Message as _;
use proto::{
    caller::{Caller, StaffRole},
    command::Command,
    delivery::MAILBOX_ITEMS_MAX,
    digest::Digest,
    directory::AGENCY_KEYS_MAX,
    dsse::PayloadType,
    header::{Header, Part},
    ids::{Addressing, Jurisdiction, Kind, PartClass, ReasonClass, Release, TimeMs, Urgency},
    key::KeyId,
    lifecycle::Act,
    operation::Operation,
    refusal::Refusal::{self, *},
    wire::{self, KeyPurpose, directory_change::Change},
};

use crate::{
    invitations::{self, INVITATION, NEW, invite, invite_again, invited, revoking},
    network::*,
    operations,
};

type Request = (Caller, Command);

/// One refusal: its field, and a network and a request that it answers.
type Row = (Refusal, &'static str, fn() -> (Network, Request));

/// Those that deciding cannot give, and why.
const ELSEWHERE: &[(Refusal, &str)] = &[
    (PartNotUploaded, "only the gateway knows what was uploaded; it hands it in as a denial"),
    (MalformedBytes, "parsing comes before deciding; the gateway hands it in as a denial"),
    (TooFewAdministrators, "of two administrators never two others can sign: NOT_ENOUGH_SIGNERS comes first"),
    (ReferralsFull, "a million open referrals are too many for a test"),
    (ReferralHeld, "why escalation stops: see `operations`"),
    (ReturnedToSender, "why escalation stops: see `operations`"),
];

const ROWS: &[Row] = &[
    (OperationNotLegal, "operation", || operating(&[], Operation::Release)),
    (SecondPersonNeeded, "operation", || operating(&[Operation::Return], Operation::Return)),
    (NotifiedLately, "operation", || operating(&[Operation::NotifyAgain], Operation::NotifyAgain)),
    (QueriesFull, "", || {
        let mut net = Network::new();
        let query = || {
            Command::Query(proto::command::Query {
                of: proto::command::Sight::Evidence,
                referral: None,
                index: Some(0),
            })
        };
        for _ in 0..proto::state::STAFF_QUERIES_MAX {
            net.run(&by("amal"), query()).accepted();
        }
        (net, (by("amal"), query()))
    }),
    (CallerNotSender, "from", || {
        let (net, header) = opening(|_| {});
        let command = net.command(&header);
        (net, (by(IOM), command))
    }),
    (RoleNotAllowed, "", || {
        change(&staff("olga", StaffRole::Operator), admission("ae.new"), &["amal", "badr", "ae.new"])
    }),
    (NoNetwork, "", || {
        let mut net = Network::empty();
        let header = net.opening(DFWAC, AMAN);
        let command = net.unsigned(&header);
        (net, (by(DFWAC), command))
    }),
    (SenderUnknown, "from", || {
        let mut net = Network::new();
        let header = net.opening("ae.stranger", AMAN);
        let command = net.unsigned(&header);
        (net, (by("ae.stranger"), command))
    }),
    (SenderSuspended, "from", || with(suspension(subject(DFWAC)), |_| {})),
    (SigningKeyNotInForce, "signatures.key_id", || {
        let (net, header) = opening(|_| {});
        let command = net.command_by(&header, IOM);
        (net, (by(DFWAC), command))
    }),
    (EnvelopeIdTaken, "expires_at_ms", || {
        let mut net = Network::new();
        let header = net.opens(DFWAC, AMAN);
        let expires_at = header.expires_at.plus_ms(1);
        pushing(net, &Header { expires_at, ..header })
    }),
    (ToSelf, "to", || broken(|header| header.to = header.from.clone())),
    (CreatedInFuture, "created_at_ms", || broken(|header| header.created_at = TimeMs(T0 + 5 * MINUTE + 1))),
    (IdTimeDiffers, "envelope_id", || broken(|header| header.created_at = TimeMs(T0 - 10 * MINUTE - 1))),
    (Expired, "expires_at_ms", || {
        broken(|header| (header.created_at, header.expires_at) = (TimeMs(T0 - 1), TimeMs(T0)))
    }),
    (LifetimeTooLong, "expires_at_ms", || broken(|header| header.expires_at = TimeMs(T0 + 90 * DAY + 1))),
    (DirectoryAhead, "directory_size", || broken(|header| header.directory_size = 1_000)),
    (NoAgreement, "agreement", || broken(|header| header.agreement = Digest::of(b"none"))),
    (AgreementNotSigned, "agreement", || under(|_| {}, &[AMAN], |_| {})),
    (AgreementNotYet, "agreement", || under(|text| text.valid_from_ms = T0 + 1, &[AMAN, IOM], |_| {})),
    (AgreementEnded, "agreement", || {
        let (mut net, (caller, _)) = under(|text| text.valid_until_ms = T0 + 1, &[AMAN, IOM], |_| {});
        net.now += 1;
        let mut header = net.opening(AMAN, IOM);
        header.agreement = digest_of(&wire::Agreement { valid_until_ms: T0 + 1, ..agreement(AMAN, IOM) });
        let command = net.command(&header);
        (net, (caller, command))
    }),
    (AgreementSuperseded, "agreement", || {
        let mut net = Network::new();
        let old = agreement(DFWAC, AMAN);
        let supersedes = digest_of(&old).to_vec();
        net.agree(&wire::Agreement { revision: 2, supersedes, ..old });
        let header = net.opening(DFWAC, AMAN);
        pushing(net, &header)
    }),
    (AgreementSuspended, "agreement", || {
        with(suspension(subject_agreement(digest_of(&agreement(DFWAC, AMAN)))), |_| {})
    }),
    (RecipientSuspended, "to", || with(suspension(subject(AMAN)), |_| {})),
    (DirectionNotAgreed, "to", || {
        under(
            |text| text.clauses.truncate(1),
            &[AMAN, IOM],
            |header| {
                std::mem::swap(&mut header.from, &mut header.to);
                header.referral.opened_by = header.from.clone();
            },
        )
    }),
    (KindNotAgreed, "kind", || under(|text| text.clauses[0].kinds = vec![3], &[AMAN, IOM], |_| {})),
    (CategoryNotAgreed, "category", || broken(|header| header.category = code("other"))),
    (ServiceNotAgreed, "service", || broken(|header| header.service = code("other"))),
    (UrgencyNotAgreed, "urgency", || {
        under(
            |text| text.clauses[0].urgencies = vec![3],
            &[AMAN, IOM],
            |header| {
                header.urgency = Urgency::Emergency;
            },
        )
    }),
    (JurisdictionNotAgreed, "jurisdiction", || {
        broken(|header| header.jurisdiction = Jurisdiction::parse("SA", "jurisdiction").unwrap())
    }),
    (OnlyByName, "addressing", || under(|text| text.clauses[0].by_name_only = true, &[AMAN, IOM], by_need)),
    (IdentityNotAllowed, "parts.class", || broken(|header| header.identity_allowed = false)),
    (IdentityTooEarly, "parts.release", || broken(|header| header.parts[1].release = Release::AtOnce)),
    (PartTooLarge, "parts.length_bytes", || broken(|header| attach(header, 17))),
    (SealingKeyNotInForce, "parts.key_ids", || {
        broken(|header| header.parts[0].key_ids = vec![KeyId([7; 16])])
    }),
    (MechanismChanged, "mechanism", || broken(by_need)),
    (FallbackNotAgreed, "fallbacks", || broken(|header| header.fallbacks = vec![agency("ae.stranger")])),
    (UnknownReferral, "referral", || {
        acting(AMAN, Act::See, |header| header.referral.opened_by = agency(AMAN))
    }),
    (OutOfSequence, "sequence", || acting(DFWAC, Act::Note, |header| header.sequence = 3)),
    (PreviousDiffers, "previous", || {
        acting(DFWAC, Act::Note, |header| header.previous = Some(Digest::of(b"fork")))
    }),
    (AttemptOpen, "attempt", || {
        let mut net = Network::new();
        let opening = net.opens(DFWAC, AMAN);
        let again = net.attempt(&opening, IOM);
        pushing(net, &again)
    }),
    (AttemptEnded, "attempt", || {
        let mut net = Network::new();
        let opening = net.opens(DFWAC, AMAN);
        let late = net.act(&opening, AMAN, Act::Accept);
        net.does(&opening, DFWAC, Act::Recall);
        let again = net.attempt(&opening, IOM);
        net.push(&again).accepted();
        pushing(net, &late)
    }),
    (AttemptNumber, "attempt", || acting(DFWAC, Act::Note, |header| header.attempt = 2)),
    (ActNotLegal, "act", || acting(AMAN, Act::Complete, |_| {})),
    (ReasonNotLegal, "reason", || {
        acting(AMAN, Act::Decline, |header| header.reason = Some(ReasonClass::Served))
    }),
    (MailboxFull, "to", || {
        let mut net = Network::new();
        net.opens(DFWAC, AMAN);
        net.writer.rewrite(|snapshot| fill(snapshot, MAILBOX_ITEMS_MAX));
        let header = net.opening(DFWAC, AMAN);
        pushing(net, &header)
    }),
    (DigestsDiffer, "handovers.part_digests", || {
        let mut net = Network::new();
        let opening = net.opens(DFWAC, AMAN);
        let receipt = net.receipt(AMAN, vec![received(envelope_digest(&opening), &[])]);
        (net, (by(AMAN), receipt))
    }),
    (NotWaiting, "handovers.envelope", || {
        let net = Network::new();
        let receipt = net.receipt(AMAN, vec![received(Digest::of(b"none"), &[])]);
        (net, (by(AMAN), receipt))
    }),
    (ChangeIdTaken, "change_id", || {
        let mut net = Network::new();
        let first = net.change_of(suspension(subject(AMAN)));
        let object = |change: &wire::DirectoryChange, net: &Network| {
            let object = sign(PayloadType::DirectoryEntry, change.encode_to_vec(), &["amal"]);
            Command::verify(object, net.writer.state.directory()).unwrap()
        };
        let command = object(&first, &net);
        net.run(&by("amal"), command).accepted();
        let other = wire::DirectoryChange { change: Some(suspension(subject(IOM))), ..first };
        let command = object(&other, &net);
        (net, (by("amal"), command))
    }),
    (NotEnoughSigners, "signatures", || change(&by("amal"), resumption(subject(AMAN)), &["amal"])),
    (GenesisDone, "genesis", || change(&by("amal"), genesis(), &ADMINISTRATORS)),
    (AgencyExists, "agency", || change(&by("amal"), admission(AMAN), &["amal", "badr", AMAN])),
    (SubjectUnknown, "subject", || change(&by("amal"), suspension(subject("ae.stranger")), &["amal"])),
    (KeyTaken, "public_key", || {
        let publish = publication(AMAN, KeyPurpose::Sealing, sealing_key(IOM));
        change(&by(AMAN), publish, &[AMAN])
    }),
    (NotProven, "signatures", || change(&by("amal"), admission("ae.new"), &["amal", "badr"])),
    (LastKey, "key_id", || change(&by(AMAN), revocation(AMAN, key(AMAN).public().id()), &[AMAN])),
    (AdministratorExists, "administrator.pseudonym", || {
        let administrator = wire::Administrator { pseudonym: "amal".into(), ..administrator("dana") };
        let add = wire::AddAdministrator { administrator: Some(administrator) };
        change(&by("amal"), Change::AddAdministrator(add), &["amal", "badr", "dana"])
    }),
    (NotSuspended, "subject", || change(&by("amal"), resumption(subject(AMAN)), &["amal", "badr"])),
    (AlreadySuspended, "subject", || {
        let mut net = Network::new();
        net.change(&by("amal"), suspension(subject(AMAN)), &["amal"]).accepted();
        changing(net, &by("amal"), suspension(subject(AMAN)), &["amal"])
    }),
    (PartyUnknown, "parties", || agreeing(|text| text.parties.push(party("zz.nobody")), &[AMAN])),
    (NotAParty, "signatures", || agreeing(|_| {}, &[MOSD])),
    (RevisionNotNext, "revision", || {
        agreeing(|text| (text.revision, text.supersedes) = (2, vec![1; 32]), &[AMAN])
    }),
    (DirectoryFull, "", || {
        let mut net = Network::new();
        for number in 2..AGENCY_KEYS_MAX {
            let publish = publication(AMAN, KeyPurpose::Sealing, sealing_key(&number.to_string()));
            net.change(&by(AMAN), publish, &[AMAN]).accepted();
        }
        let publish = publication(AMAN, KeyPurpose::Sealing, sealing_key("one more"));
        changing(net, &by(AMAN), publish, &[AMAN])
    }),
    (NotInvited, "invitation_key", || joining(invite_again(AMAN, T0 + HOUR), |_| {})),
    (InvitationUsed, "invitation_key", || {
        joining(invite(T0 + HOUR), |net| {
            let admit = Change::AdmitAgency(invitations::joining());
            net.change(&invited(NEW), admit, &[NEW, INVITATION]).accepted();
        })
    }),
    (InvitationExpired, "invitation_key", || joining(invite(T0 + HOUR), |net| net.now += HOUR)),
    (InvitationRevoked, "invitation_key", || {
        joining(invite(T0 + HOUR), |net| {
            net.change(&by("amal"), revoking(INVITATION), &["amal"]).accepted();
        })
    }),
    (InvitationTooLong, "expires_at_ms", || {
        let invite = Change::Invite(invite(T0 + 7 * DAY + 1));
        change(&by("amal"), invite, &["amal", "badr", INVITATION])
    }),
    (ClocksNotStricter, "clauses.clocks", || {
        let limit = wire::ClockLimit { urgency: 1, clock: 2, seconds: 3601 };
        agreeing_on(vec![limit], "")
    }),
    (CalendarUnknown, "clauses.clocks.calendar", || agreeing_on(Vec::new(), "office")),
    (CalendarNotUsable, "time_zone", || {
        let mut days = calendar("office");
        days.time_zone = "Africa/Casablanca".into();
        change(&by("amal"), Change::Calendar(days), &["amal", "badr"])
    }),
    (ClockNotInDoubt, "time_ms", || {
        let confirm = Change::ConfirmClock(wire::ConfirmClock { time_ms: T0 + DAY });
        change(&by("amal"), confirm, &["amal", "badr"])
    }),
    (ShardNotNext, "number", || {
        let net = Network::new();
        let mut begun = crate::shards::next(&net, 2);
        begun.evidence.as_mut().unwrap().size += 1;
        changing(net, &by("amal"), Change::BeginShard(begun), &["amal", "badr"])
    }),
    (RecipientFull, "to", || {
        let (mut net, mut header) = opening(by_need);
        let full = wire::ServiceOffer { service: "shelter".into(), capacity: 2, ..Default::default() };
        net.change(&by(AMAN), profile(AMAN, vec![full]), &[AMAN]).accepted();
        let mechanism = net.writer.state.directory().mechanism().map(|held| held.signed.digest());
        (header.mechanism, header.rule) = (mechanism, Some(code("shelter-rak")));
        pushing(net, &header)
    }),
];

/// What an agency says of its services.
pub(crate) fn profile(name: &str, offers: Vec<wire::ServiceOffer>) -> Change {
    Change::Profile(wire::AgencyProfile { agency: name.into(), offers, ..wire::AgencyProfile::default() })
}

/// An admission by invitation, after something happened to it.
fn joining(invite: wire::Invite, happens: fn(&mut Network)) -> (Network, Request) {
    let mut net = invitations::inviting(invite);
    happens(&mut net);
    let admit = Change::AdmitAgency(invitations::joining());
    changing(net, &invited(NEW), admit, &[NEW, INVITATION])
}

fn agreeing_on(limits: Vec<wire::ClockLimit>, calendar: &str) -> (Network, Request) {
    let net = Network::new();
    let mut agreed = agreement(AMAN, IOM);
    agreed.clauses[0].clocks = Some(wire::Clocks { limits, calendar: calendar.into() });
    let object = sign(PayloadType::Agreement, agreed.encode_to_vec(), &[AMAN]);
    let command = Command::verify(object, net.writer.state.directory()).unwrap();
    (net, (by(AMAN), command))
}

fn opening(change: fn(&mut Header)) -> (Network, Header) {
    let mut net = Network::new();
    let mut header = net.opening(DFWAC, AMAN);
    change(&mut header);
    (net, header)
}

fn pushing(net: Network, header: &Header) -> (Network, Request) {
    let command = net.command(header);
    (net, (by(header.from.as_str()), command))
}

fn broken(change: fn(&mut Header)) -> (Network, Request) {
    let (net, header) = opening(change);
    pushing(net, &header)
}

fn with(first: Change, change: fn(&mut Header)) -> (Network, Request) {
    let (mut net, header) = opening(change);
    net.change(&by("amal"), first, &["amal"]).accepted();
    pushing(net, &header)
}

/// An opening from `ae-rk.aman` to `int.iom.kw`, under an agreement made for it.
fn under(text: fn(&mut wire::Agreement), signers: &[&str], change: fn(&mut Header)) -> (Network, Request) {
    let mut net = Network::new();
    let mut agreed = agreement(AMAN, IOM);
    text(&mut agreed);
    net.object(&by(AMAN), PayloadType::Agreement, agreed.encode_to_vec(), signers).accepted();
    let mut header = net.opening(AMAN, IOM);
    header.agreement = digest_of(&agreed);
    change(&mut header);
    pushing(net, &header)
}

fn by_need(header: &mut Header) {
    header.addressing = Addressing::ByNeed;
    header.mechanism = Some(Digest::of(b"old"));
    header.rule = Some(code("shelter-rak"));
}

fn attach(header: &mut Header, count: u32) {
    let to = header.to.clone();
    let parked = header.parts.len();
    for place in 1..=count {
        let attachment = part(PartClass::Attachment, Release::AtOnce, to.as_str(), &place.to_string());
        header.parts.push(Part { part_id: place + u32::try_from(parked).unwrap(), ..attachment });
    }
}

fn acting(from: &str, act: Act, change: fn(&mut Header)) -> (Network, Request) {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    let mut header = net.act(&opening, from, act);
    change(&mut header);
    pushing(net, &header)
}

fn change(caller: &Caller, change: Change, signers: &[&str]) -> (Network, Request) {
    changing(Network::new(), caller, change, signers)
}

fn changing(mut net: Network, caller: &Caller, change: Change, signers: &[&str]) -> (Network, Request) {
    let payload = net.change_of(change).encode_to_vec();
    let object = sign(PayloadType::DirectoryEntry, payload, signers);
    let command = Command::verify(object, net.writer.state.directory()).unwrap();
    (net, (caller.clone(), command))
}

fn agreeing(text: fn(&mut wire::Agreement), signers: &[&str]) -> (Network, Request) {
    let net = Network::new();
    let mut agreed = agreement(AMAN, IOM);
    text(&mut agreed);
    let object = sign(PayloadType::Agreement, agreed.encode_to_vec(), signers);
    let command = Command::verify(object, net.writer.state.directory()).unwrap();
    (net, (by(signers[0]), command))
}

/// Fills the mailbox that has one mail with copies of it.
fn fill(snapshot: &mut wire::Snapshot, items: usize) {
    let mail = snapshot.mail[0].clone();
    let copies = (1_000_000..).map(|order| wire::Mail { order, ..mail.clone() });
    snapshot.mail.extend(copies.take(items - 1));
}

#[test]
fn every_refusal_has_its_row() {
    let rows = ROWS.iter().map(|(refusal, ..)| *refusal);
    let mut listed: Vec<_> = rows.chain(ELSEWHERE.iter().map(|(refusal, _)| *refusal)).collect();
    listed.sort_unstable();
    let missing: Vec<_> = Refusal::ALL.iter().filter(|refusal| !listed.contains(refusal)).collect();
    assert!(missing.is_empty(), "add rows for {missing:?}");
    assert_eq!(listed, Refusal::ALL, "each has one");
    assert!(ELSEWHERE.iter().all(|(_, reason)| !reason.is_empty()));
}

#[test]
fn each_refusal_is_given_recorded_and_changes_nothing_else() {
    for (refusal, field, make) in ROWS {
        let (mut net, (caller, command)) = make();
        let before = net.writer.rest();
        let answer = net.run(&caller, command);
        assert_refused(&answer, *refusal, field, *refusal != NotWaiting, refusal.name());
        assert!(before == net.writer.rest(), "{refusal}: a refusal changes nothing but its evidence");
        if let Some(record) = answer.records().next() {
            assert_eq!(record.what.refusal, Some((*refusal, *field)), "{refusal}");
            assert_eq!(record.what.sender.as_ref(), caller.agency(), "{refusal}: names who was proved");
            assert_eq!(record.what.actor.as_ref(), caller.pseudonym(), "{refusal}");
            assert_eq!(
                (record.what.recipient.as_ref(), record.what.referral.as_ref()),
                (None, None),
                "{refusal}"
            );
        }
    }
}

#[test]
fn a_mailbox_takes_up_to_its_limit() {
    let mut net = Network::new();
    net.opens(DFWAC, AMAN);
    net.writer.rewrite(|snapshot| fill(snapshot, MAILBOX_ITEMS_MAX - 1));
    net.opens(DFWAC, AMAN);
    let header = net.opening(DFWAC, AMAN);
    assert_refused(&net.push(&header), MailboxFull, "to", true, "one more");
    // The recipient can still answer, though not have more released to it.
    let first = net.writer.referrals().next().unwrap().0.clone();
    assert!(net.writer.referral(&first).is_some());
}

/// Regression: the identity that an acceptance releases goes into the acceptor's own mailbox, whose
/// room nobody had looked at.
#[test]
fn an_acceptance_needs_room_for_what_it_releases() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    net.writer.rewrite(|snapshot| fill(snapshot, MAILBOX_ITEMS_MAX));
    let accept = net.act(&opening, AMAN, Act::Accept);
    assert_refused(&net.push(&accept), MailboxFull, "to", true, "its own is full");
    net.does(&opening, AMAN, Act::See);
}

#[test]
fn an_act_that_is_not_legal_is_answered_with_those_that_are() {
    let (mut net, (caller, command)) = acting(AMAN, Act::Complete, |_| {});
    let proto::decide::Decision::Refuse(refused) = net.run(&caller, command).decision else {
        panic!("it is refused");
    };
    let named = [
        Act::See,
        Act::Accept,
        Act::Decline,
        Act::Waitlist,
        Act::ConfirmWithdrawal,
        Act::RequestInformation,
        Act::Note,
        Act::Reseal,
    ];
    assert_eq!(refused.legal_acts, named);
}

/// A rule of an opening that a test breaks: by its header, its network, its signer or its caller.
struct Breach {
    refusal: Refusal,
    header: fn(&mut Header),
    before: Option<fn() -> Change>,
    signer: &'static str,
    caller: &'static str,
}

fn breach(refusal: Refusal, header: fn(&mut Header)) -> Breach {
    Breach { refusal, header, before: None, signer: DFWAC, caller: DFWAC }
}

fn breaches() -> Vec<Breach> {
    let stop = |refusal, before: fn() -> Change| Breach { before: Some(before), ..breach(refusal, |_| {}) };
    vec![
        Breach { caller: IOM, ..breach(CallerNotSender, |_| {}) },
        stop(SenderSuspended, || suspension(subject(DFWAC))),
        Breach { signer: IOM, ..breach(SigningKeyNotInForce, |_| {}) },
        breach(CreatedInFuture, |header| header.created_at = TimeMs(T0 + 6 * MINUTE)),
        breach(IdTimeDiffers, |header| {
            header.envelope_id = proto::ids::EnvelopeId::new(TimeMs(T0 - HOUR), [9; 10]);
            header.referral.id = header.envelope_id;
        }),
        breach(LifetimeTooLong, |header| header.expires_at = TimeMs(T0 + 200 * DAY)),
        breach(DirectoryAhead, |header| header.directory_size = 1_000),
        breach(NoAgreement, |header| header.agreement = Digest::of(b"none")),
        stop(AgreementSuspended, || suspension(subject_agreement(digest_of(&agreement(DFWAC, AMAN))))),
        stop(RecipientSuspended, || suspension(subject(AMAN))),
        breach(CategoryNotAgreed, |header| header.category = code("other")),
        breach(ServiceNotAgreed, |header| header.service = code("other")),
        breach(JurisdictionNotAgreed, |header| {
            header.jurisdiction = Jurisdiction::parse("SA", "jurisdiction").unwrap();
        }),
        breach(IdentityNotAllowed, |header| header.identity_allowed = false),
        breach(IdentityTooEarly, |header| header.parts[1].release = Release::AtOnce),
        breach(PartTooLarge, |header| attach(header, 17)),
        breach(SealingKeyNotInForce, |header| header.parts[0].key_ids = vec![KeyId([7; 16])]),
        breach(MechanismChanged, by_need),
        breach(FallbackNotAgreed, |header| header.fallbacks = vec![agency("ae.stranger")]),
        breach(ReasonNotLegal, |header| header.reason = Some(ReasonClass::Other)),
    ]
}

#[test]
fn of_two_broken_rules_the_first_in_precedence_is_named() {
    let base = Network::new();
    let breaches = breaches();
    assert!(breaches.is_sorted_by_key(|breach| breach.refusal));
    for (place, one) in breaches.iter().enumerate() {
        for two in &breaches[place + 1..] {
            let mut net = base.clone();
            let mut header = net.opening(DFWAC, AMAN);
            (one.header)(&mut header);
            (two.header)(&mut header);
            for before in [one.before, two.before].into_iter().flatten() {
                net.change(&by("celine"), before(), &["celine"]).accepted();
            }
            let either = |one, two| if one == DFWAC { two } else { one };
            let command = net.command_by(&header, either(one.signer, two.signer));
            let answer = net.run(&by(either(one.caller, two.caller)), command);
            let given = answer.refused().map(|(refusal, _)| refusal);
            assert_eq!(given, Some(one.refusal), "{} and {}", one.refusal, two.refusal);
        }
    }
}

#[test]
fn precedence_among_agreements_and_acts() {
    // Ended and superseded, ended and suspended, not signed and not yet.
    let mut net = Network::new();
    let old = agreement(DFWAC, AMAN);
    let supersedes = digest_of(&old).to_vec();
    net.agree(&wire::Agreement { revision: 2, supersedes, valid_until_ms: T0 + 900 * DAY, ..old });
    net.now = T0 + 365 * DAY;
    let header = net.opening(DFWAC, AMAN);
    assert_refused(&net.push(&header), AgreementEnded, "agreement", true, "ended before superseded");

    let acts: [(Act, OfHeader, OfHeader, Refusal); 8] = [
        (Act::Note, unknown, no_key, SealingKeyNotInForce),
        (Act::Note, unknown, |header| header.fallbacks = vec![agency("ae.stranger")], FallbackNotAgreed),
        (Act::Note, unknown, |header| header.sequence = 9, UnknownReferral),
        (Act::Complete, |header| header.sequence = 9, |_| {}, OutOfSequence),
        (Act::Complete, |header| header.previous = Some(Digest::of(b"x")), |_| {}, PreviousDiffers),
        (Act::Complete, |header| header.reason = None, |_| {}, ActNotLegal),
        (
            Act::Note,
            |header| header.attempt = 2,
            |header| header.reason = Some(ReasonClass::Other),
            AttemptNumber,
        ),
        (Act::Note, |header| header.agreement = Digest::of(b"none"), no_key, NoAgreement),
    ];
    for (act, one, two, expected) in acts {
        let mut net = Network::new();
        let opening = net.opens(DFWAC, AMAN);
        net.does(&opening, DFWAC, Act::Note);
        let mut header = net.act(&opening, DFWAC, act);
        one(&mut header);
        two(&mut header);
        assert_eq!(net.push(&header).refused().map(|(refusal, _)| refusal), Some(expected), "{act:?}");
    }
}

/// An operator's act, after others of the same person.
fn operating(before: &[Operation], operation: Operation) -> (Network, Request) {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    let olga = operations::operator("olga");
    for operation in before {
        net.run(&olga, operations::of(*operation, &opening.referral)).accepted();
    }
    (net, (olga, operations::of(operation, &opening.referral)))
}

fn unknown(header: &mut Header) {
    header.referral.id = proto::ids::EnvelopeId::new(TimeMs(T0), [3; 10]);
}

fn no_key(header: &mut Header) {
    header.parts[0].key_ids = vec![KeyId([7; 16])];
}

#[test]
fn denials_are_recorded_five_times_an_hour_and_then_counted() {
    let mut net = Network::new();
    let wrong = |net: &mut Network| {
        let mut header = net.opening(DFWAC, AMAN);
        header.category = code("other");
        net.push(&header)
    };
    for attempt in 1..=8 {
        let answer = wrong(&mut net);
        assert_refused(&answer, CategoryNotAgreed, "category", attempt <= 5, "an hour's denials");
    }
    // Another code, and another caller, have their own five.
    let mut header = net.opening(DFWAC, AMAN);
    header.service = code("other");
    assert_refused(&net.push(&header), ServiceNotAgreed, "service", true, "another code");
    let mut header = net.opening(IOM, DFWAC);
    header.category = code("other");
    assert_refused(&net.push(&header), CategoryNotAgreed, "category", true, "another caller");
    net.writer.restart();
    net.now = T0 + HOUR - 1;
    assert_refused(&wrong(&mut net), CategoryNotAgreed, "category", false, "after a restart");
    net.now = T0 + HOUR;
    assert_refused(&wrong(&mut net), CategoryNotAgreed, "category", true, "the next hour");
    net.writer.check();
}

/// Regression: counted denials of staff, or of who is not in the directory, named nobody.
#[test]
fn counted_denials_name_their_caller() {
    use proto::command::DenialCount;
    let mut net = Network::new();
    for caller in [DFWAC, "ae.stranger", "olga"] {
        let window_start = TimeMs(T0);
        let count = DenialCount { caller: caller.into(), refusal: MalformedBytes, count: 9, window_start };
        let answer = net.run(
            &Caller::Gateway,
            Command::Tick(proto::command::Tick { denials: vec![count], ..proto::command::Tick::default() }),
        );
        let what = &answer.records().next().unwrap().what;
        let named = what
            .sender
            .as_ref()
            .map_or_else(|| what.actor.as_ref().unwrap().to_string(), ToString::to_string);
        assert_eq!((named.as_str(), what.count, what.due_at), (caller, 9, TimeMs(T0)));
    }
    let answer = net.run(&by("amal"), Command::Tick(proto::command::Tick::default()));
    assert_refused(&answer, RoleNotAllowed, "", true, "only the gateway says that time has passed");
    assert_eq!(Kind::ALL.len(), 5);
    net.writer.check();
}
