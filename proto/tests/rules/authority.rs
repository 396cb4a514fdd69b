//! Who may change the directory: every change by every kind of signer, stops and their lapse, keys
//! and their delay, agreements and their signatures.

use prost::Message as _;
use proto::{
    caller::{Caller, StaffRole},
    command::Command,
    dsse::PayloadType,
    evidence::Event,
    ids::{AgencyId, EnvelopeId, TimeMs},
    key::KeyId,
    refusal::Refusal::{self, *},
    wire::{self, KeyPurpose, directory_change::Change},
};

use crate::{
    invitations::{INVITATION, invite, revoking},
    network::*,
};

/// Five who might sign: nobody that counts, one administrator, two, the owner, another agency.
const NONE: &[&str] = &[];
const ONE: &[&str] = &["amal"];
const TWO: &[&str] = &["amal", "badr"];
const OWNER: &[&str] = &[AMAN];
const OTHER: &[&str] = &[IOM];

fn signing(name: &str) -> Vec<u8> {
    key(name).public().to_bytes().to_vec()
}

fn calendar() -> Change {
    Change::Calendar(wire::Calendar {
        name: "emirates".into(),
        time_zone: "Asia/Dubai".into(),
        week_end: vec![6, 7],
        opens_minute: 480,
        closes_minute: 960,
        holidays: vec![20_261_202],
    })
}

fn profile(name: &str) -> Change {
    Change::Profile(wire::AgencyProfile { agency: name.into(), ..wire::AgencyProfile::default() })
}

fn added(name: &str) -> Change {
    Change::AddAdministrator(wire::AddAdministrator { administrator: Some(administrator(name)) })
}

fn removed(name: &str) -> Change {
    Change::RemoveAdministrator(wire::RemoveAdministrator { pseudonym: name.into() })
}

#[test]
fn every_change_by_every_kind_of_signer() {
    let no = Some(NotEnoughSigners);
    // The change, the key that it introduces, and what one administrator, two, the owner and another
    // agency get, each with the introduced key beside them.
    let spare = KeyId::of(&sealing_key(AMAN));
    let agreement = subject_agreement(digest_of(&agreement(DFWAC, AMAN)));
    type Row<'a> = (&'a str, Change, Option<&'a str>, [Option<Refusal>; 4]);
    let rows: Vec<Row<'_>> = vec![
        ("genesis", genesis(), None, [Some(GenesisDone); 4]),
        ("admit", admission("ae.new"), Some("ae.new"), [no, None, no, no]),
        (
            "signing key",
            publication(AMAN, KeyPurpose::Signing, signing("k2")),
            Some("k2"),
            [no, None, None, no],
        ),
        (
            "sealing key",
            publication(AMAN, KeyPurpose::Sealing, sealing_key("k2")),
            None,
            [no, None, None, no],
        ),
        ("witness key", publication(AMAN, KeyPurpose::Witness, signing("w")), None, [no, None, None, no]),
        ("revoke key", revocation(AMAN, spare), None, [None, None, None, no]),
        ("profile", profile(AMAN), None, [no, no, None, no]),
        ("suspend agency", suspension(subject(AMAN)), None, [None, None, no, no]),
        ("suspend agreement", suspension(agreement), None, [None, None, None, no]),
        ("resume", resumption(subject(AMAN)), None, [no, Some(NotSuspended), no, no]),
        ("add administrator", added("dana"), Some("dana"), [no, None, no, no]),
        ("remove administrator", removed("celine"), None, [no, None, no, no]),
        ("calendar", calendar(), None, [no, None, no, no]),
        ("restore", Change::RestoreOverride(wire::RestoreOverride::default()), None, [no, None, no, no]),
        (
            "begin a shard",
            Change::BeginShard(crate::shards::next(&Network::new(), 2)),
            None,
            [no, None, no, no],
        ),
        ("invite", Change::Invite(invite(T0 + HOUR)), Some(INVITATION), [no, None, no, no]),
        ("revoke invitation", revoking(INVITATION), None, {
            [Some(SubjectUnknown), Some(SubjectUnknown), no, no]
        }),
    ];
    for (name, change, introduces, expected) in rows {
        for (signers, expected) in [ONE, TWO, OWNER, OTHER].into_iter().zip(expected) {
            let mut net = Network::new();
            let all: Vec<_> = signers.iter().copied().chain(introduces).collect();
            let answer = net.change(&by("celine"), change.clone(), &all);
            assert_eq!(answer.refused().map(|(refusal, _)| refusal), expected, "{name} by {signers:?}");
            let changed = matches!(answer.events().as_slice(), [Event::DirectoryChanged | Event::ShardBegun]);
            assert_eq!(changed, expected.is_none(), "{name} by {signers:?}");
            net.writer.check();
        }
    }
    assert!(NONE.is_empty());
}

#[test]
fn a_new_key_that_does_not_sign_for_itself_is_refused() {
    let rows = [
        (admission("ae.new"), TWO),
        (publication(AMAN, KeyPurpose::Signing, signing("k2")), TWO),
        (publication(AMAN, KeyPurpose::Signing, signing("k2")), OWNER),
        (added("dana"), TWO),
    ];
    for (change, signers) in rows {
        let mut net = Network::new();
        let answer = net.change(&by("celine"), change, signers);
        assert_refused(&answer, NotProven, "signatures", true, "no proof of possession");
    }
    let mut net = Network::empty();
    let answer = net.change(&Caller::Gateway, genesis(), &["amal", "badr"]);
    assert_refused(&answer, NotProven, "signatures", true, "celine did not sign the genesis");
}

#[test]
fn a_key_belongs_to_one() {
    for taken in [DFWAC, AMAN, "amal"] {
        let mut net = Network::new();
        let signers = if taken == AMAN { vec![AMAN] } else { vec![AMAN, taken] };
        let answer = net.change(&by(AMAN), publication(AMAN, KeyPurpose::Signing, signing(taken)), &signers);
        assert_refused(&answer, KeyTaken, "public_key", true, taken);
    }
    let mut net = Network::new();
    let answer = net.change(&by(AMAN), publication(AMAN, KeyPurpose::Sealing, sealing_key(IOM)), OWNER);
    assert_refused(&answer, KeyTaken, "public_key", true, "a sealing key");
    // Of several reasons the first in precedence.
    let Change::AddAdministrator(mut add) = added("amal") else { unreachable!() };
    add.administrator.as_mut().unwrap().public_key = signing(DFWAC);
    let answer = net.change(&by("amal"), Change::AddAdministrator(add), &["amal", "badr", DFWAC]);
    assert_refused(&answer, KeyTaken, "public_key", true, "before the pseudonym that exists");
}

#[test]
fn the_same_signature_twice_is_no_form_that_we_read() {
    let mut net = Network::new();
    let payload = net.change_of(calendar()).encode_to_vec();
    let object = sign(PayloadType::DirectoryEntry, payload, &["amal", "amal"]);
    assert!(Command::verify(object, net.writer.state.directory()).is_err());
}

#[test]
fn keys_of_an_agency_come_into_force_and_go() {
    let mut net = Network::new();
    let publish = publication(AMAN, KeyPurpose::Signing, signing("k2"));
    net.change(&by("amal"), publish, &["amal", "badr", "k2"]).accepted();
    let start = net.now;
    let in_force = |net: &Network, at| {
        let agency = agency(AMAN);
        let id = key("k2").public().id();
        net.writer.state.directory().key_in_force(
            &agency,
            &id,
            proto::directory::KeyPurpose::Signing,
            TimeMs(at),
        )
    };
    assert!(!in_force(&net, start + DAY - 1) && in_force(&net, start + DAY), "visible for 24 hours first");
    // A key that is not in force yet signs nothing.
    net.now = start + DAY - 1;
    let answer = net.change(&by(AMAN), profile(AMAN), &["k2"]);
    assert_refused(&answer, NotEnoughSigners, "signatures", true, "one millisecond early");
    net.now = start + DAY;
    net.change(&by(AMAN), profile(AMAN), &["k2"]).accepted();
    // By the owner: at once.
    let publish = publication(AMAN, KeyPurpose::Signing, signing("k3"));
    net.change(&by(AMAN), publish, &["k2", "k3"]).accepted();
    net.change(&by(AMAN), profile(AMAN), &["k3"]).accepted();
    // Revoked: signs nothing from that millisecond on.
    net.change(&by("amal"), revocation(AMAN, key("k3").public().id()), ONE).accepted();
    let answer = net.change(&by(AMAN), profile(AMAN), &["k3"]);
    assert_refused(&answer, NotEnoughSigners, "signatures", true, "a revoked key");
    let answer = net.change(&by("amal"), revocation(AMAN, key("k3").public().id()), ONE);
    assert_refused(&answer, SubjectUnknown, "subject", true, "revoked before");
    net.writer.check();
}

#[test]
fn the_last_key_goes_only_by_an_administrator() {
    let mut net = Network::new();
    let last = key(AMAN).public().id();
    let answer = net.change(&by(AMAN), revocation(AMAN, last), OWNER);
    assert_refused(&answer, LastKey, "key_id", true, "by itself");
    // One that is not in force yet is no other.
    let publish = publication(AMAN, KeyPurpose::Signing, signing("k2"));
    net.change(&by("amal"), publish, &["amal", "badr", "k2"]).accepted();
    let answer = net.change(&by(AMAN), revocation(AMAN, last), OWNER);
    assert_refused(&answer, LastKey, "key_id", true, "the next is not in force");
    net.now += DAY;
    net.change(&by(AMAN), revocation(AMAN, last), OWNER).accepted();
    net.change(&by("amal"), revocation(AMAN, key("k2").public().id()), ONE).accepted();
    net.writer.check();
}

#[test]
fn a_stop_lapses_at_its_millisecond_unless_a_second_confirms() {
    let mut net = Network::new();
    let suspended = |net: &Network, at| net.writer.state.directory().is_suspended(&agency(AMAN), TimeMs(at));
    net.change(&by("amal"), suspension(subject(AMAN)), ONE).accepted();
    let start = net.now;
    assert!(suspended(&net, start + DAY - 1) && !suspended(&net, start + DAY));
    for signers in [&["amal"][..], &["amal", IOM]] {
        let answer = net.change(&by("amal"), suspension(subject(AMAN)), signers);
        assert_refused(&answer, AlreadySuspended, "subject", true, "the same person is no second");
    }
    net.now = start + DAY - 1;
    assert!(net.tick().is_empty());
    assert_eq!(proto::decide::next_due(&net.writer.state), Some(TimeMs(start + DAY)));
    net.change(&by("badr"), suspension(subject(AMAN)), &["badr"]).accepted();
    net.now = start + 30 * DAY;
    assert!(net.tick().is_empty() && suspended(&net, net.now), "confirmed: it does not lapse");
    let answer = net.change(&by("celine"), suspension(subject(AMAN)), &["celine"]);
    assert_refused(&answer, AlreadySuspended, "subject", true, "confirmed");
    net.change(&by("amal"), resumption(subject(AMAN)), TWO).accepted();
    assert!(!suspended(&net, net.now));
    net.writer.check();
}

#[test]
fn a_lapse_is_logged_once_and_touches_its_agencies() {
    let mut net = Network::new();
    let about = digest_of(&agreement(DFWAC, AMAN));
    net.change(&by("amal"), suspension(subject(IOM)), ONE).accepted();
    net.change(&by(AMAN), suspension(subject_agreement(about)), OWNER).accepted();
    net.now += DAY;
    let lapsed = net.tick();
    assert_eq!(lapsed.len(), 2);
    let parties: Vec<Vec<AgencyId>> = lapsed
        .iter()
        .map(|answer| answer.records().flat_map(|record| record.what.parties.clone()).collect())
        .collect();
    assert!(parties.contains(&vec![agency(IOM)]) && parties.contains(&vec![agency(AMAN), agency(DFWAC)]));
    net.writer.check();
}

/// Regression: the lapse of a stop that was over, but not cleared away yet, ended the next stop at
/// once, and was found due for ever after.
#[test]
fn an_old_lapse_does_not_end_a_new_stop() {
    let mut net = Network::new();
    net.change(&by("amal"), suspension(subject(AMAN)), ONE).accepted();
    net.now += DAY;
    net.change(&by("badr"), suspension(subject(AMAN)), &["badr"]).accepted();
    net.writer.check();
    assert!(net.tick().is_empty(), "nothing is due");
    assert!(net.writer.state.directory().is_suspended(&agency(AMAN), TimeMs(net.now)));
    net.now += DAY;
    assert_eq!(net.tick().len(), 1);
    net.writer.check();
}

/// Regression: any agency's signature beside one administrator's made a stop that never lapses.
#[test]
fn who_cannot_stop_a_subject_is_no_second_person() {
    let mut net = Network::new();
    net.change(&by("amal"), suspension(subject(AMAN)), &["amal", IOM]).accepted();
    net.now += DAY;
    assert_eq!(net.tick().len(), 1, "it lapses like any stop by one");
    let about = subject_agreement(digest_of(&agreement(DFWAC, AMAN)));
    net.change(&by(AMAN), suspension(about.clone()), &[AMAN, IOM]).accepted();
    net.change(&by(DFWAC), suspension(about), &[DFWAC]).accepted();
    net.now += DAY;
    assert!(net.tick().is_empty(), "the other party is a second");
    net.writer.check();
}

/// Regression: carried in by another, a suspended agency's signature still published keys.
#[test]
fn while_suspended_an_agency_signs_for_nothing() {
    let mut net = Network::new();
    net.change(&by("amal"), suspension(subject(AMAN)), TWO).accepted();
    let publish = publication(AMAN, KeyPurpose::Signing, signing("k2"));
    for caller in [AMAN, IOM, "celine"] {
        let answer = net.change(&by(caller), publish.clone(), &[AMAN, "k2"]);
        assert_refused(&answer, SenderSuspended, "from", true, caller);
    }
    let mut text = agreement(AMAN, MOSD);
    text.revision = 1;
    let answer = net.object(&by(MOSD), PayloadType::Agreement, text.encode_to_vec(), &[AMAN, MOSD]);
    assert_refused(&answer, SenderSuspended, "from", true, "an agreement");
    net.writer.check();
}

/// Regression: the agency that a change is about had no record of it, unless it had signed.
#[test]
fn what_administrators_do_to_an_agency_is_in_its_timeline() {
    let mut net = Network::new();
    let count = |net: &Network| net.writer.state.head(&agency(AMAN)).unwrap().count;
    let spare = KeyId::of(&sealing_key(AMAN));
    let about = subject_agreement(digest_of(&agreement(DFWAC, AMAN)));
    for change in [revocation(AMAN, spare), suspension(subject(AMAN)), suspension(about)] {
        let before = count(&net);
        net.change(&by("amal"), change, ONE).accepted();
        assert_eq!(count(&net), before + 1);
    }
    net.writer.check();
}

#[test]
fn administrators_come_and_go_but_two_remain() {
    let mut net = Network::new();
    let answer = net.change(&by("amal"), removed("badr"), &["amal", "badr"]);
    assert_refused(&answer, NotEnoughSigners, "signatures", true, "who is removed does not count");
    let answer = net.change(&by("amal"), added("amal"), &["amal", "badr"]);
    assert_refused(&answer, KeyTaken, "public_key", true, "the same again");
    let Change::AddAdministrator(mut same_name) = added("dana") else { unreachable!() };
    same_name.administrator.as_mut().unwrap().pseudonym = "amal".into();
    let answer = net.change(&by("amal"), Change::AddAdministrator(same_name), &["amal", "badr", "dana"]);
    assert_refused(&answer, AdministratorExists, "administrator.pseudonym", true, "another's pseudonym");
    let answer = net.change(&by("amal"), removed("nobody"), TWO);
    assert_refused(&answer, SubjectUnknown, "subject", true, "nobody");
    net.change(&by("amal"), removed("celine"), TWO).accepted();
    net.change(&by("amal"), added("dana"), &["amal", "badr", "dana"]).accepted();
    net.change(&by("amal"), removed("amal"), &["badr", "dana"]).accepted();
    // A former administrator's key is nobody's.
    let payload = net.change_of(calendar()).encode_to_vec();
    let object = sign(PayloadType::DirectoryEntry, payload, &["amal", "badr"]);
    assert!(Command::verify(object, net.writer.state.directory()).is_err());
    net.writer.check();
}

#[test]
fn two_administrators_remain() {
    let mut net = Network::new();
    net.change(&by("amal"), removed("celine"), TWO).accepted();
    // Two others cannot sign when two are left, so the rule behind it is never reached; it stands for
    // networks whose genesis named more keys than people.
    let answer = net.change(&by("amal"), removed("badr"), TWO);
    assert_refused(&answer, NotEnoughSigners, "signatures", true, "of two");
}

#[test]
fn a_change_is_made_once() {
    let mut net = Network::new();
    let change = net.change_of(calendar());
    let payload = change.encode_to_vec();
    let kind = PayloadType::DirectoryEntry;
    net.object(&by("amal"), kind, payload.clone(), TWO).accepted();
    assert!(net.object(&by("amal"), kind, payload.clone(), TWO).is_done());
    assert!(net.object(&by("badr"), kind, payload.clone(), &["celine", "badr"]).is_done(), "by others too");
    net.writer.restart();
    assert!(net.object(&by("amal"), kind, payload.clone(), TWO).is_done(), "after a restart");
    let other = wire::DirectoryChange { change: Some(profile(AMAN)), ..change };
    let answer = net.object(&by("amal"), kind, other.encode_to_vec(), TWO);
    assert_refused(&answer, ChangeIdTaken, "change_id", true, "other content");
    net.now += 7 * DAY;
    assert!(net.object(&by("amal"), kind, payload.clone(), TWO).is_done(), "remembered for 7 days");
    net.now += 1;
    let answer = net.object(&by("amal"), kind, payload.clone(), TWO);
    // Nothing has been logged since: it is remembered still. Then it is forgotten, and too old.
    assert!(answer.is_done());
    net.change(&by("amal"), added("dana"), &["amal", "badr", "dana"]).accepted();
    let answer = net.object(&by("amal"), kind, payload, TWO);
    assert_refused(&answer, Expired, "created_at_ms", true, "too old");
    net.writer.check();
}

#[test]
fn the_age_of_a_change_at_its_limits() {
    let rows = [
        (-(7 * i64::try_from(DAY).unwrap()), None),
        (-(7 * i64::try_from(DAY).unwrap()) - 1, Some((Expired, "created_at_ms"))),
        (5 * i64::try_from(MINUTE).unwrap(), None),
        (5 * i64::try_from(MINUTE).unwrap() + 1, Some((CreatedInFuture, "created_at_ms"))),
    ];
    for (offset, expected) in rows {
        let mut net = Network::new();
        let mut change = net.change_of(calendar());
        change.created_at_ms = net.now.checked_add_signed(offset).unwrap();
        let answer = net.object(&by("amal"), PayloadType::DirectoryEntry, change.encode_to_vec(), TWO);
        assert_eq!(answer.refused(), expected, "{offset} ms");
    }
}

#[test]
fn who_may_carry_a_change_in() {
    let mut net = Network::new();
    for role in [StaffRole::Operator, StaffRole::Auditor] {
        let answer = net.change(&staff("olga", role), calendar(), TWO);
        assert_refused(&answer, RoleNotAllowed, "", true, "staff");
    }
    let answer = net.change(&Caller::Gateway, calendar(), TWO);
    assert_refused(&answer, RoleNotAllowed, "", true, "the gateway, once there is a network");
    let answer = net.change(&by("ae.stranger"), calendar(), TWO);
    assert_refused(&answer, SenderUnknown, "from", true, "not in the directory");
    net.change(&by(IOM), calendar(), TWO).accepted();
    net.writer.check();
}

#[test]
fn without_a_network_there_is_nothing_to_change() {
    let mut net = Network::empty();
    let mut publish = net.change_of(added("dana"));
    publish.created_at_ms += DAY;
    let answer =
        net.object(&Caller::Gateway, PayloadType::DirectoryEntry, publish.encode_to_vec(), &["dana"]);
    assert_refused(&answer, NoNetwork, "", true, "before the date that is wrong too");
}

/// Regression: two pseudonyms with one key were two administrators.
#[test]
fn one_key_is_one_administrator() {
    let Change::Genesis(mut two_names) = genesis() else { unreachable!() };
    two_names.administrators[1].public_key = two_names.administrators[0].public_key.clone();
    let mut net = Network::empty();
    let payload = net.change_of(Change::Genesis(two_names)).encode_to_vec();
    assert!(proto::directory::Change::parse(&payload).is_err());
}

#[test]
fn parties_sign_one_by_one_in_any_order() {
    let parties = [AMAN, IOM, MOSD];
    let mut text = agreement(AMAN, IOM);
    text.parties = parties.map(party).into();
    text.agreement_id = EnvelopeId::new(TimeMs(T0), [7; 10]).as_bytes().to_vec();
    let digest = digest_of(&text);
    for order in [[0, 1, 2], [2, 0, 1], [1, 2, 0]] {
        let mut net = Network::new();
        for (signed, who) in order.into_iter().enumerate() {
            let state = net.writer.state.directory().agreement_in_force(
                &digest,
                (&agency(AMAN), &agency(IOM)),
                TimeMs(T0),
            );
            assert_eq!(state.err(), Some(if signed == 0 { NoAgreement } else { AgreementNotSigned }));
            let signer = [parties[who]];
            let payload = text.encode_to_vec();
            net.object(&by(signer[0]), PayloadType::Agreement, payload.clone(), &signer).accepted();
            assert!(net.object(&by(signer[0]), PayloadType::Agreement, payload, &signer).is_done());
        }
        let directory = net.writer.state.directory();
        assert!(directory.agreement_in_force(&digest, (&agency(AMAN), &agency(IOM)), TimeMs(T0)).is_ok());
        assert!(directory.agreement(&digest, &agency(DFWAC)).is_none(), "others do not learn of it");
        net.writer.check();
    }
}

/// Regression: a party's retry, after its key was revoked, was told that it is no party.
#[test]
fn a_signature_stays_given() {
    let mut net = Network::new();
    let payload = agreement(AMAN, IOM).encode_to_vec();
    net.object(&by(AMAN), PayloadType::Agreement, payload.clone(), OWNER).accepted();
    net.change(&by("amal"), revocation(AMAN, key(AMAN).public().id()), ONE).accepted();
    assert!(net.object(&by(AMAN), PayloadType::Agreement, payload, OWNER).is_done());
}

#[test]
fn agreements_that_are_refused() {
    let text = agreement(AMAN, IOM);
    let rows: [(&str, OfAgreement, &[&str], Refusal); 7] = [
        ("no party", |_| {}, &[DFWAC], NotAParty),
        ("a party and another", |_| {}, &[AMAN, DFWAC], NotAParty),
        ("an administrator", |_| {}, &["amal"], NotAParty),
        ("ended", |text| text.valid_until_ms = T0, OWNER, AgreementEnded),
        ("ended, by no party", |text| text.valid_until_ms = T0, &[DFWAC], AgreementEnded),
        ("unknown party", |text| text.parties.push(party("zz.nobody")), OWNER, PartyUnknown),
        (
            "replaces none that is known",
            |text| {
                text.revision = 2;
                text.supersedes = vec![1; 32];
            },
            OWNER,
            RevisionNotNext,
        ),
    ];
    for (name, breaks, signers, expected) in rows {
        let mut net = Network::new();
        let mut text = text.clone();
        breaks(&mut text);
        let answer = net.object(&by(signers[0]), PayloadType::Agreement, text.encode_to_vec(), signers);
        assert_refused(&answer, expected, expected.field(), true, name);
        net.writer.check();
    }
}

fn renewal(from: u64) -> wire::Agreement {
    let old = agreement(DFWAC, AMAN);
    let supersedes = digest_of(&old).to_vec();
    wire::Agreement { revision: 2, supersedes, valid_from_ms: from, ..old }
}

#[test]
fn a_revision_must_be_the_next_of_the_same_parties() {
    let mut net = Network::new();
    for (name, text) in [
        ("skips one", wire::Agreement { revision: 3, ..renewal(T0) }),
        ("of another", wire::Agreement { agreement_id: agreement(DFWAC, IOM).agreement_id, ..renewal(T0) }),
        ("other parties", {
            let other = agreement(AMAN, MOSD);
            wire::Agreement { parties: other.parties, clauses: other.clauses, ..renewal(T0) }
        }),
    ] {
        let answer = net.object(&by(AMAN), PayloadType::Agreement, text.encode_to_vec(), OWNER);
        assert_refused(&answer, RevisionNotNext, "revision", true, name);
    }
}

/// Regression: a renewal that all had signed before its first day stopped every referral until then.
#[test]
fn a_renewal_replaces_from_its_own_first_day() {
    let mut net = Network::new();
    let first_day = T0 + 10 * DAY;
    let renewed = net.agree(&renewal(first_day));
    net.now = first_day - 1;
    net.opens(DFWAC, AMAN);
    let early = net.opening(DFWAC, AMAN);
    let answer = net.push(&proto::header::Header { agreement: renewed, ..early });
    assert_refused(&answer, AgreementNotYet, "agreement", true, "the new one, a millisecond early");
    net.now = first_day;
    let late = net.opening(DFWAC, AMAN);
    assert_refused(&net.push(&late), AgreementSuperseded, "agreement", true, "the old one, from that day");
    net.push(&proto::header::Header { agreement: renewed, ..late }).accepted();
    net.writer.check();
}

#[test]
fn mechanisms() {
    let mut net = Network::new();
    let push = |net: &mut Network, revision, signers: &[&str]| {
        net.object(&by("amal"), PayloadType::Mechanism, mechanism(revision).encode_to_vec(), signers)
    };
    assert!(push(&mut net, 1, ONE).is_done());
    assert_refused(&push(&mut net, 2, ONE), NotEnoughSigners, "signatures", true, "one");
    assert_refused(&push(&mut net, 2, &[AMAN, IOM]), NotEnoughSigners, "signatures", true, "agencies");
    assert_refused(&push(&mut net, 3, TWO), RevisionNotNext, "revision", true, "skips");
    push(&mut net, 2, TWO).accepted();
    net.writer.check();
}
