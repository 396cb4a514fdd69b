//! Invitations: who may make one, whoever holds its key may use it once, for exactly what it says and
//! as long as it lasts; and everything that is told about one that may not be used.

use prost::Message as _;
use proto::{
    Malformed,
    caller::{Caller, StaffRole},
    command::Command,
    digest::Digest,
    directory::{
        Change as Parsed, KEY_DELAY_MS, KeyPurpose,
        invitation::{INVITATION_KEPT_MS, INVITATION_LIFETIME_MS_MAX, INVITATIONS_MAX, Invite, Standing},
        replica::Replica,
    },
    dsse::PayloadType,
    evidence::Event,
    fact::Fact,
    ids::TimeMs,
    refusal::Refusal::{self, *},
    wire::{self, directory_change::Change},
};

use crate::{network::*, writer::Answer};

/// The agency that is invited; its signing key has its name.
pub(crate) const NEW: &str = "ae.new";
/// The name of the invitation's key.
pub(crate) const INVITATION: &str = "invitation";
const HOURS: u64 = 3 * 24 * HOUR;

pub(crate) fn public(name: &str) -> Vec<u8> {
    key(name).public().to_bytes().to_vec()
}

/// An invitation of `ae.new`, as it stands in `admission`.
pub(crate) fn invite(until: u64) -> wire::Invite {
    let Change::AdmitAgency(admit) = admission(NEW) else { unreachable!() };
    wire::Invite {
        agency: admit.agency,
        agency_type: admit.agency_type,
        name_en: admit.name_en,
        name_ar: admit.name_ar,
        jurisdictions: admit.jurisdictions,
        invitation_key: public(INVITATION),
        expires_at_ms: until,
        again: false,
    }
}

/// An invitation of an agency that has lost its keys.
pub(crate) fn invite_again(name: &str, until: u64) -> wire::Invite {
    let invitation_key = public(INVITATION);
    wire::Invite {
        agency: name.into(),
        invitation_key,
        expires_at_ms: until,
        again: true,
        ..wire::Invite::default()
    }
}

/// The admission of `ae.new` by its invitation.
pub(crate) fn joining() -> wire::AdmitAgency {
    let Change::AdmitAgency(admit) = admission(NEW) else { unreachable!() };
    let certificate_key_sha256 = Digest::of(b"certificate key").to_vec();
    wire::AdmitAgency { invitation_key: public(INVITATION), certificate_key_sha256, ..admit }
}

/// The next signing key of an agency by its invitation.
pub(crate) fn returning(name: &str) -> wire::PublishKey {
    wire::PublishKey {
        agency: name.into(),
        purpose: wire::KeyPurpose::Signing.into(),
        public_key: public("k2"),
        invitation_key: public(INVITATION),
        certificate_key_sha256: Digest::of(b"certificate key").to_vec(),
    }
}

pub(crate) fn revoking(name: &str) -> Change {
    Change::RevokeInvitation(wire::RevokeInvitation { key_id: key(name).public().id().to_string() })
}

pub(crate) fn invited(name: &str) -> Caller {
    Caller::Invited { agency: agency(name), invitation: Digest::of(&public(INVITATION)) }
}

/// A network that has invited.
pub(crate) fn inviting(invite: wire::Invite) -> Network {
    let mut net = Network::new();
    net.change(&by("amal"), Change::Invite(invite), &["amal", "badr", INVITATION]).accepted();
    net
}

fn joins(net: &mut Network) -> Answer {
    net.change(&invited(NEW), Change::AdmitAgency(joining()), &[NEW, INVITATION])
}

fn replica(net: &Network) -> Replica {
    let mut replica = Replica::default();
    let entries = net.writer.batches.iter().flat_map(|batch| &batch.entries);
    for fact in entries.flat_map(|entry| &entry.facts) {
        if let Fact::Directory(fact) = fact {
            replica.take(fact.bytes().to_vec()).unwrap();
        }
    }
    replica
}

fn standing(net: &Network, name: &str) -> Option<Standing> {
    let held = net.writer.state.directory().invitation(&agency(name), &key(INVITATION).public());
    held.map(|invitation| invitation.standing)
}

#[test]
fn whoever_is_invited_joins_once_by_its_own_key() {
    let mut net = inviting(invite(T0 + HOURS));
    assert_eq!(standing(&net, NEW), Some(Standing::Open));
    assert_eq!(standing(&net, AMAN), None, "others' do not exist");
    let change = net.change_of(Change::AdmitAgency(joining()));
    let object = |net: &mut Network, change: &wire::DirectoryChange| {
        net.object(&invited(NEW), PayloadType::DirectoryEntry, change.encode_to_vec(), &[NEW, INVITATION])
    };
    assert_eq!(object(&mut net, &change).events(), [Event::DirectoryChanged]);
    assert_eq!(standing(&net, NEW), Some(Standing::Used));
    let directory = net.writer.state.directory();
    let id = key(NEW).public().id();
    assert!(directory.key_in_force(&agency(NEW), &id, KeyPurpose::Signing, TimeMs(net.now)), "at once");
    // After a lost answer the same is answered the same, whatever happened meanwhile; also after a
    // restart, from the snapshot.
    assert!(object(&mut net, &change).is_done());
    net.writer.restart();
    assert_eq!(standing(&net, NEW), Some(Standing::Used));
    assert!(object(&mut net, &change).is_done());
    // Whoever else has it comes too late, and hears so.
    let mut other = joining();
    other.signing_key = public("thief");
    let answer = net.change(&invited(NEW), Change::AdmitAgency(other), &["thief", INVITATION]);
    assert_refused(&answer, InvitationUsed, "invitation_key", true, "another key");
    net.writer.check();
    let theirs = replica(&net);
    let ours = net.writer.state.directory();
    assert_eq!(theirs.directory().agencies().collect::<Vec<_>>(), ours.agencies().collect::<Vec<_>>());
    assert_eq!(theirs.directory().invitations().collect::<Vec<_>>(), ours.invitations().collect::<Vec<_>>());
    // The new agency's own key publishes the others.
    let sealing = publication(NEW, wire::KeyPurpose::Sealing, sealing_key(NEW));
    net.change(&by(NEW), sealing, &[NEW]).accepted();
}

#[test]
fn an_invitation_is_for_exactly_what_it_says() {
    type Of = fn(&mut wire::AdmitAgency);
    let rows: [(&str, Of); 6] = [
        ("another agency", |admit| admit.agency = "ae.other".into()),
        ("another type", |admit| admit.agency_type = "police".into()),
        ("another English name", |admit| admit.name_en.push('s')),
        ("another Arabic name", |admit| admit.name_ar = "جهات".into()),
        ("more jurisdictions", |admit| admit.jurisdictions.push("JO".into())),
        ("another invitation", |admit| admit.invitation_key = public("dana")),
    ];
    for (case, of) in rows {
        let mut net = inviting(invite(T0 + HOURS));
        let mut admit = joining();
        of(&mut admit);
        // By an administrator's hand, so that it is the rule that refuses and not who carries it.
        let signers = if case == "another invitation" { [NEW, "dana"] } else { [NEW, INVITATION] };
        let answer = net.change(&by("amal"), Change::AdmitAgency(admit), &signers);
        assert_refused(&answer, NotInvited, "invitation_key", true, case);
        assert_eq!(standing(&net, NEW), Some(Standing::Open), "{case}: it is not used up");
        joins(&mut net).accepted();
        net.writer.check();
    }
}

#[test]
fn both_keys_must_sign_and_nobody_elses_signature_is_asked_for() {
    let rows: [(&[&str], Option<Refusal>); 5] = [
        (&[NEW, INVITATION], None),
        (&[NEW, INVITATION, "celine"], None),
        (&[NEW], Some(NotInvited)),
        (&[INVITATION], Some(NotProven)),
        // An invitation is not needed by two, but one that is named must be proven.
        (&[NEW, "amal", "badr"], Some(NotInvited)),
    ];
    for (signers, expected) in rows {
        let mut net = inviting(invite(T0 + HOURS));
        let answer = net.change(&by("amal"), Change::AdmitAgency(joining()), signers);
        assert_eq!(answer.refused().map(|(refusal, _)| refusal), expected, "{signers:?}");
        net.writer.check();
    }
    // Two administrators without it, as before; then the invitation is of no use.
    let mut net = inviting(invite(T0 + HOURS));
    net.change(&by("amal"), admission(NEW), &["amal", "badr", NEW]).accepted();
    assert_refused(&joins(&mut net), AgencyExists, "agency", true, "it is there");
    // A key that administrators have held is no agency's.
    let mut net = inviting(invite(T0 + HOURS));
    let admit = wire::AdmitAgency { signing_key: public(INVITATION), ..joining() };
    let answer = net.change(&by("amal"), Change::AdmitAgency(admit), &[INVITATION]);
    assert_refused(&answer, KeyTaken, "public_key", true, "the invitation's key");
}

#[test]
fn it_lasts_to_its_millisecond_and_is_told_about_for_a_week() {
    let until = T0 + HOURS;
    let mut net = inviting(invite(until));
    net.now = until - 1;
    let mut early = net.clone();
    joins(&mut early).accepted();
    net.now = until;
    assert_refused(&joins(&mut net), InvitationExpired, "invitation_key", true, "its end");
    net.now = until + INVITATION_KEPT_MS;
    net.change(&by("amal"), suspension(subject(SILENT)), &["amal"]).accepted();
    assert_refused(&joins(&mut net), InvitationExpired, "invitation_key", true, "a week later");
    net.now += 1;
    net.change(&by("amal"), suspension(subject(IOM)), &["amal"]).accepted();
    assert_eq!(standing(&net, NEW), None, "forgotten");
    assert_refused(&joins(&mut net), NotInvited, "invitation_key", true, "as if it had never been");
    net.writer.check();
}

#[test]
fn one_administrator_ends_it_and_a_newer_one_takes_its_place() {
    let mut net = inviting(invite(T0 + HOURS));
    let answer = net.change(&by(AMAN), revoking(INVITATION), &[AMAN]);
    assert_refused(&answer, NotEnoughSigners, "signatures", true, "an agency");
    let answer = net.change(&by("amal"), revoking("dana"), &["amal"]);
    assert_refused(&answer, SubjectUnknown, "subject", true, "none");
    net.change(&by("celine"), revoking(INVITATION), &["celine"]).accepted();
    assert_refused(&joins(&mut net), InvitationRevoked, "invitation_key", true, "revoked");
    let answer = net.change(&by("celine"), revoking(INVITATION), &["celine"]);
    assert_refused(&answer, InvitationRevoked, "invitation_key", true, "again");
    net.writer.check();

    let mut net = inviting(invite(T0 + HOURS));
    let newer = wire::Invite { invitation_key: public("newer"), ..invite(T0 + HOUR) };
    net.change(&by("amal"), Change::Invite(newer), &["amal", "badr", "newer"]).accepted();
    assert_refused(&joins(&mut net), InvitationRevoked, "invitation_key", true, "a newer one");
    let admit = wire::AdmitAgency { invitation_key: public("newer"), ..joining() };
    let caller = Caller::Invited { agency: agency(NEW), invitation: Digest::of(&public("newer")) };
    net.change(&caller, Change::AdmitAgency(admit), &[NEW, "newer"]).accepted();
    let answer = net.change(&by("celine"), revoking("newer"), &["celine"]);
    assert_refused(&answer, InvitationUsed, "invitation_key", true, "it is too late");
    net.writer.check();
}

#[test]
fn an_agency_that_lost_its_keys_comes_back_after_the_visible_delay() {
    let mut net = inviting(invite_again(AMAN, T0 + HOURS));
    let id = key("k2").public().id();
    let answer = net.change(&invited(AMAN), Change::PublishKey(returning(AMAN)), &["k2", INVITATION]);
    answer.accepted();
    assert!(answer.records().all(|record| record.what.parties == [agency(AMAN)]), "in its timeline");
    let in_force = |net: &Network, at| {
        let directory = net.writer.state.directory();
        directory.key_in_force(&agency(AMAN), &id, KeyPurpose::Signing, TimeMs(at))
    };
    assert!(!in_force(&net, T0 + KEY_DELAY_MS - 1) && in_force(&net, T0 + KEY_DELAY_MS));
    let answer = net.change(&invited(AMAN), Change::PublishKey(returning(AMAN)), &["k2", INVITATION]);
    assert_refused(&answer, InvitationUsed, "invitation_key", true, "once");
    replica(&net);
    net.writer.check();

    for (case, invitation, change) in [
        (
            "join by one to return",
            invite_again(AMAN, T0 + HOURS),
            Change::AdmitAgency(wire::AdmitAgency {
                agency: AMAN.into(),
                signing_key: public("k2"),
                ..joining()
            }),
        ),
        ("return by one to join", invite(T0 + HOURS), Change::PublishKey(returning(NEW))),
        ("return of another", invite_again(AMAN, T0 + HOURS), Change::PublishKey(returning(IOM))),
    ] {
        let mut net = inviting(invitation);
        let answer = net.change(&by("amal"), change, &["k2", INVITATION]);
        let refused = answer.refused().map(|(refusal, _)| refusal);
        assert_eq!(refused, Some(NotInvited), "{case}");
    }
    let mut net = inviting(invite_again(AMAN, T0 + HOURS));
    net.change(&by("amal"), suspension(subject(AMAN)), &["amal"]).accepted();
    let answer = net.change(&invited(AMAN), Change::PublishKey(returning(AMAN)), &["k2", INVITATION]);
    assert_refused(&answer, SenderSuspended, "from", true, "while suspended");
}

#[test]
fn two_administrators_invite_within_limits() {
    let two: &[&str] = &["amal", "badr", INVITATION];
    let longest = T0 + INVITATION_LIFETIME_MS_MAX;
    let rows: [(&str, wire::Invite, &[&str], Option<Refusal>); 11] = [
        ("two", invite(longest), two, None),
        ("to return", invite_again(AMAN, longest), two, None),
        ("one", invite(longest), &["amal", INVITATION], Some(NotEnoughSigners)),
        ("two agencies", invite(longest), &[AMAN, IOM, INVITATION], Some(NotEnoughSigners)),
        ("not proven", invite(longest), &["amal", "badr"], Some(NotProven)),
        ("too long", invite(longest + 1), two, Some(InvitationTooLong)),
        ("over", invite(T0), two, Some(InvitationExpired)),
        ("known", wire::Invite { agency: AMAN.into(), ..invite(longest) }, two, Some(AgencyExists)),
        ("unknown", invite_again(NEW, longest), two, Some(SubjectUnknown)),
        (
            "an agency's key",
            wire::Invite { invitation_key: public(IOM), ..invite(longest) },
            &["amal", "badr", IOM],
            Some(KeyTaken),
        ),
        (
            "an administrator's key",
            wire::Invite { invitation_key: public("amal"), ..invite(longest) },
            &["amal", "badr"],
            Some(KeyTaken),
        ),
    ];
    for (case, invite, signers, expected) in rows {
        let mut net = Network::new();
        let answer = net.change(&by("celine"), Change::Invite(invite), signers);
        assert_eq!(answer.refused().map(|(refusal, _)| refusal), expected, "{case}");
        net.writer.check();
    }
    let mut net = inviting(invite(longest));
    let answer = net.change(&by("celine"), Change::Invite(invite_again(AMAN, longest)), two);
    assert_refused(&answer, KeyTaken, "public_key", true, "the same key again");
}

#[test]
fn so_many_invitations_are_kept_and_no_more() {
    let mut net = inviting(invite(T0 + HOURS));
    net.writer.rewrite(|snapshot| fill(snapshot, INVITATIONS_MAX));
    let another = wire::Invite { invitation_key: public("one more"), ..invite_again(AMAN, T0 + HOURS) };
    let signers = ["amal", "badr", "one more"];
    let answer = net.change(&by("amal"), Change::Invite(another.clone()), &signers);
    assert_refused(&answer, DirectoryFull, "", true, "one more");
    // When they are over, and were told about long enough, there is room again.
    net.now = T0 + HOURS + INVITATION_KEPT_MS + 1;
    let another = wire::Invite { expires_at_ms: net.now + HOUR, ..another };
    net.change(&by("amal"), Change::Invite(another), &signers).accepted();
    assert_eq!(net.writer.state.directory().invitations().count(), 1);
    net.writer.check();
}

/// Fills up with copies of the one invitation that there is, each with a key of its own.
pub(crate) fn fill(snapshot: &mut wire::Snapshot, count: usize) {
    use wire::directory_item::Item;
    let is_invitation = |item: &&wire::DirectoryItem| matches!(item.item, Some(Item::Invitation(_)));
    let Some(Item::Invitation(one)) = snapshot.directory.iter().find(is_invitation).unwrap().item.clone()
    else {
        unreachable!()
    };
    let copies = (1..count).map(|number| {
        let mut copy = one.clone();
        copy.invite.as_mut().unwrap().invitation_key = public(&format!("copy {number}"));
        wire::DirectoryItem { item: Some(Item::Invitation(copy)) }
    });
    snapshot.directory.extend(copies);
}

#[test]
fn whoever_is_invited_may_do_nothing_else() {
    let mut net = inviting(invite(T0 + HOURS));
    let publish = publication(AMAN, wire::KeyPurpose::Sealing, sealing_key("k2"));
    for (case, caller, change, signers) in [
        ("an agency's own change", invited(AMAN), publish, &[AMAN][..]),
        ("two administrators' change", invited(NEW), admission(NEW), &["amal", "badr", NEW]),
        ("by another agency's", invited(AMAN), Change::AdmitAgency(joining()), &[NEW, INVITATION]),
        (
            "by another invitation",
            Caller::Invited { agency: agency(NEW), invitation: Digest::of(b"another") },
            Change::AdmitAgency(joining()),
            &[NEW, INVITATION],
        ),
    ] {
        let answer = net.change(&caller, change, signers);
        assert_refused(&answer, RoleNotAllowed, "", true, case);
    }
    let header = net.opening(AMAN, DFWAC);
    let command = net.command(&header);
    let answer = net.run(&invited(AMAN), command);
    assert_refused(&answer, CallerNotSender, "from", true, "an envelope");
    let receipt = net.receipt(AMAN, vec![received(Digest::of(b"none"), &[])]);
    let answer = net.run(&invited(AMAN), receipt);
    assert_refused(&answer, CallerNotSender, "recipient", true, "a receipt");
    let answer = net.run(&invited(AMAN), Command::Tick(proto::command::Tick::default()));
    assert_refused(&answer, RoleNotAllowed, "", true, "the clock");
    // Who brings it does not matter to the rules; staff that may change nothing still may not.
    let admit = Change::AdmitAgency(joining());
    let answer = net.change(&staff("olga", StaffRole::Operator), admit.clone(), &[NEW, INVITATION]);
    assert_refused(&answer, RoleNotAllowed, "", true, "an operator");
    let answer = net.change(&Caller::Gateway, admit.clone(), &[NEW, INVITATION]);
    // Counted with the five before: neither has a name.
    assert_refused(&answer, RoleNotAllowed, "", false, "the gateway itself");
    net.change(&by(IOM), admit, &[NEW, INVITATION]).accepted();
    net.writer.check();
}

#[test]
fn denials_of_the_invited_are_counted_and_name_nobody() {
    let mut net = inviting(invite(T0 + HOURS));
    let mut recorded = 0;
    for _ in 0..10 {
        let answer = net.change(&invited(AMAN), Change::AdmitAgency(joining()), &[NEW, INVITATION]);
        assert_eq!(answer.refused().map(|(refusal, _)| refusal), Some(RoleNotAllowed));
        for record in answer.records() {
            recorded += 1;
            assert_eq!((record.what.sender.as_ref(), record.what.actor.as_ref()), (None, None));
            assert!(record.what.parties.is_empty());
        }
    }
    assert_eq!(recorded, 5);
    net.writer.check();
}

#[test]
fn forms_that_are_none() {
    let change = |change| {
        let wire = wire::DirectoryChange {
            version: 1,
            change_id: proto::ids::EnvelopeId::new(TimeMs(T0), [1; 10]).as_bytes().to_vec(),
            created_at_ms: T0,
            change: Some(change),
        };
        Parsed::parse(&wire.encode_to_vec()).map(|_| ())
    };
    let admit = |of: fn(&mut wire::AdmitAgency)| {
        let mut admit = joining();
        of(&mut admit);
        change(Change::AdmitAgency(admit))
    };
    assert_eq!(admit(|_| {}), Ok(()));
    let length = |field| Err(Malformed::Length { field });
    assert_eq!(admit(|one| one.invitation_key.clear()), length("invitation_key"));
    assert_eq!(admit(|one| one.certificate_key_sha256.clear()), length("certificate_key_sha256"));
    assert_eq!(admit(|one| one.certificate_key_sha256.truncate(31)), length("certificate_key_sha256"));
    let sealing = wire::PublishKey {
        purpose: wire::KeyPurpose::Sealing.into(),
        public_key: sealing_key("k2"),
        ..returning(AMAN)
    };
    assert_eq!(change(Change::PublishKey(sealing)), Err(Malformed::Form { field: "purpose" }));
    let invites = |of: fn(&mut wire::Invite)| {
        let mut invite = invite(T0);
        of(&mut invite);
        Invite::parse(invite.clone()).map(|read| assert!(read.to_wire() == invite))
    };
    assert_eq!(invites(|_| {}), Ok(()));
    assert_eq!(invites(|one| one.name_ar.clear()), Err(Malformed::Missing { field: "name_en" }));
    assert_eq!(invites(|one| one.again = true), Err(Malformed::Form { field: "again" }));
    assert_eq!(invites(|one| one.invitation_key.truncate(3)), length("invitation_key"));
    assert_eq!(invites(|one| one.agency = "new".into()), Err(Malformed::Form { field: "agency" }));
    assert_eq!(
        invites(|one| one.name_en = "a\u{202e}b".into()),
        Err(Malformed::Form { field: "name_en" }),
        "it is read by two people before they sign"
    );
}
