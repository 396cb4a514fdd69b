//! The directory rebuilt from its log: the same as the gateway's, and no leaf accepted that a gateway
//! should not have logged.

use prost::Message as _;
use proto::{
    Malformed,
    directory::{
        KEY_DELAY_MS, KeyPurpose, SUSPENSION_LAPSE_MS,
        replica::{Replica, Unlawful},
    },
    dsse::PayloadType,
    fact::{DirectoryFact, Fact},
    ids::{Addressing, TimeMs},
    key::KeyId,
    log::merkle::{Frontier, leaf_hash},
    refusal::Refusal,
    wire::{self, directory_record::What},
};

use crate::network::*;

/// Every leaf of a network's directory log.
pub(crate) fn leaves(net: &Network) -> Vec<Vec<u8>> {
    let entries = net.writer.batches.iter().flat_map(|batch| &batch.entries);
    let facts = entries.flat_map(|entry| &entry.facts);
    facts
        .filter_map(|fact| match fact {
            Fact::Directory(fact) => Some(fact.bytes().to_vec()),
            Fact::Evidence(_) => None,
        })
        .collect()
}

/// The texts that the gateway would give to a party.
fn text(net: &Network, digest: proto::digest::Digest, me: &str) -> wire::SignedObject {
    net.writer.state.directory().agreement(&digest, &agency(me)).unwrap().signed.object().clone()
}

/// Follows a network's log as one of its agencies.
fn followed(net: &Network, me: &str) -> Replica {
    let mut replica = Replica::default();
    for leaf in leaves(net) {
        if let Some(digest) = replica.text_needed(&leaf, &agency(me)).unwrap() {
            assert_eq!(replica.supply(text(net, digest, me)), Ok(digest));
        }
        replica.take(leaf).unwrap();
    }
    replica
}

/// A network in which everything that a directory can hold has happened.
fn eventful() -> Network {
    let mut net = Network::new();
    let administrator = by("amal");
    net.change(&administrator, suspension(subject(SILENT)), &["amal"]).accepted();
    net.change(&administrator, suspension(subject_agreement(digest_of(&agreement(DFWAC, IOM)))), &["badr"])
        .accepted();
    let late = publication(MOSD, wire::KeyPurpose::Sealing, sealing_key("late"));
    net.change(&administrator, late, &["amal", "badr"]).accepted();
    net.change(&by(IOM), revocation(IOM, KeyId::of(&sealing_key(IOM))), &[IOM]).accepted();
    let payload = mechanism(2).encode_to_vec();
    net.object(&administrator, PayloadType::Mechanism, payload, &["amal", "badr"]).accepted();
    // The revision is signed by one party first, then by the other.
    let revision = wire::Agreement {
        revision: 2,
        supersedes: digest_of(&agreement(DFWAC, AMAN)).to_vec(),
        ..agreement(DFWAC, AMAN)
    };
    for party in [DFWAC, AMAN] {
        net.object(&by(party), PayloadType::Agreement, revision.encode_to_vec(), &[party]).accepted();
    }
    net.now += SUSPENSION_LAPSE_MS;
    assert_eq!(net.tick().len(), 2, "both stops lapse");
    net
}

#[test]
fn it_is_what_the_gateway_has() {
    let net = eventful();
    let theirs = net.writer.state.directory();
    let mut log = Frontier::default();
    log.extend(leaves(&net).iter().map(|leaf| leaf_hash(leaf)));
    for me in AGENCIES {
        let replica = followed(&net, me);
        let ours = replica.directory();
        assert_eq!(replica.log(), &log);
        assert_eq!(ours.network(), theirs.network());
        assert_eq!(ours.agencies().collect::<Vec<_>>(), theirs.agencies().collect::<Vec<_>>(), "{me}");
        let revision = |held: &proto::directory::MechanismInForce| held.mechanism.revision;
        assert_eq!(ours.mechanism().map(revision), Some(2));
        for other in AGENCIES {
            let digest = digest_of(&agreement(DFWAC, other));
            let standing = |directory: &proto::directory::Directory| {
                let between = (&agency(DFWAC), &agency(other));
                directory.agreement_in_force(&digest, between, TimeMs(net.now)).cloned()
            };
            if me == DFWAC || me == other {
                assert_eq!(standing(ours), standing(theirs), "{me} {other}");
            } else {
                assert_eq!(standing(ours), Err(Refusal::NoAgreement), "{me} has no text of {other}'s");
            }
        }
    }
}

#[test]
fn a_key_by_administrators_is_in_force_when_it_was_visible() {
    let net = eventful();
    let replica = followed(&net, AMAN);
    let late = KeyId::of(&sealing_key("late"));
    let in_force =
        |at| replica.directory().key_in_force(&agency(MOSD), &late, KeyPurpose::Sealing, TimeMs(at));
    assert!(!in_force(T0 + KEY_DELAY_MS - 1) && in_force(T0 + KEY_DELAY_MS));
}

/// A leaf as a gateway that breaks the rules could log it.
fn forged(time: u64, effective_at: u64, what: What) -> Vec<u8> {
    DirectoryFact::new(TimeMs(time), TimeMs(effective_at), what).bytes().to_vec()
}

fn change(net: &mut Network, change: wire::directory_change::Change, signers: &[&str]) -> What {
    let payload = net.change_of(change).encode_to_vec();
    What::Change(sign(PayloadType::DirectoryEntry, payload, signers))
}

/// Offers leaves to a replica, each by itself.
fn offer(replica: &Replica, rows: Vec<(&str, Vec<u8>, Result<(), Unlawful>)>) {
    for (case, leaf, expected) in rows {
        let mut replica = replica.clone();
        let before = replica.log().clone();
        assert_eq!(replica.take(leaf), expected, "{case}");
        assert_eq!(replica.log() == &before, expected.is_err(), "{case}: nothing changes when refused");
    }
}

#[test]
fn changes_that_should_not_stand_in_the_log_are_seen() {
    let mut net = Network::new();
    let replica = followed(&net, DFWAC);
    let now = net.now;
    let mut made = |name: &str, signers: &[&str]| {
        let key = publication(AMAN, wire::KeyPurpose::Sealing, sealing_key(name));
        change(&mut net, key, signers)
    };
    let by_owner = made("owner", &[AMAN]);
    let mut broken = made("broken", &[AMAN]);
    if let What::Change(object) = &mut broken {
        object.signatures[0].sig[7] ^= 1;
    }
    let (by_one, by_other) = (made("false", &["amal"]), made("other", &[IOM]));
    let hurried = made("hurried", &["amal", "badr"]);
    let not_enough = Err(Unlawful::Refused(Refusal::NotEnoughSigners));
    let bad_signature = Err(Unlawful::Malformed(Malformed::Signature { field: "signatures" }));
    let first = DirectoryFact::parse(leaves(&net)[2].clone()).unwrap().what().unwrap().clone();
    let later_version = wire::DirectoryRecord { time_ms: now, effective_at_ms: now, what: None };
    let unknown = Err(Unlawful::Malformed(Malformed::Missing { field: "what" }));
    let no_record = Err(Unlawful::Malformed(Malformed::Protobuf { message: "DirectoryRecord" }));
    offer(
        &replica,
        vec![
            ("lawful", forged(now, now, by_owner.clone()), Ok(())),
            ("a key that the agency did not publish", forged(now, now, by_one), not_enough),
            ("a key by another agency", forged(now, now, by_other), not_enough),
            ("two, without the visible delay", forged(now, now, hurried), Err(Unlawful::OtherMoment)),
            ("a bad signature", forged(now, now, broken), bad_signature),
            ("out of time", forged(now - 1, now - 1, by_owner), Err(Unlawful::TimeRunsBack)),
            ("logged twice", forged(now, now, first), Err(Unlawful::Repeated)),
            ("of a later version", later_version.encode_to_vec(), unknown),
            ("no record", vec![0xff], no_record),
        ],
    );
}

#[test]
fn agreements_and_lapses_that_should_not_stand_in_the_log_are_seen() {
    let net = Network::new();
    let replica = followed(&net, DFWAC);
    let now = net.now;
    let agreed = |change: fn(&mut wire::AgreementEntry)| {
        let mut entry = wire::AgreementEntry {
            agreement: digest_of(&agreement(DFWAC, AMAN)).to_vec(),
            parties: vec![AMAN.into(), DFWAC.into()],
            signed_by: vec![AMAN.into(), DFWAC.into()],
            in_force: true,
            supersedes: Vec::new(),
        };
        change(&mut entry);
        forged(now, now, What::Agreement(entry))
    };
    let lapse = What::Lapse(wire::Lapse { subject: Some(subject(AMAN)) });
    let other = Err(Unlawful::OtherAgreement);
    offer(
        &replica,
        vec![
            ("said again", agreed(|_| ()), Ok(())),
            (
                "a signature taken back",
                agreed(|entry| (entry.in_force, _) = (false, entry.signed_by.pop())),
                other,
            ),
            ("in force without a signature", agreed(|entry| drop(entry.signed_by.pop())), other),
            ("another party", agreed(|entry| entry.parties.push(IOM.into())), other),
            ("signed by none of its parties", agreed(|entry| entry.signed_by.push(IOM.into())), other),
            ("nothing lapsed", forged(now, now, lapse), Err(Unlawful::NothingLapsed)),
        ],
    );
}

#[test]
fn a_text_is_supplied_for_its_digest_and_with_its_signatures() {
    let net = Network::new();
    let mut replica = followed(&net, SILENT);
    let good = text(&net, digest_of(&agreement(DFWAC, AMAN)), DFWAC);
    let mut bad = good.clone();
    bad.signatures[0].sig[0] ^= 1;
    assert_eq!(replica.supply(bad), Err(Malformed::Signature { field: "signatures" }));
    let mechanism = sign(PayloadType::Mechanism, mechanism(1).encode_to_vec(), &["amal"]);
    assert_eq!(replica.supply(mechanism), Err(Malformed::Form { field: "payload_type" }));
    assert_eq!(replica.supply(good), Ok(digest_of(&agreement(DFWAC, AMAN))));
}

#[test]
fn stops_of_others_agreements_are_taken_unjudged_and_touch_nobody_here() {
    let mut net = Network::new();
    let digest = digest_of(&agreement(DFWAC, AMAN));
    net.change(&by(DFWAC), suspension(subject_agreement(digest)), &[DFWAC]).accepted();
    net.change(&by("amal"), resumption(subject_agreement(digest)), &["amal", "badr"]).accepted();
    let replica = followed(&net, SILENT);
    let between = (&agency(DFWAC), &agency(SILENT));
    let mine = digest_of(&agreement(DFWAC, SILENT));
    assert!(replica.directory().agreement_in_force(&mine, between, TimeMs(net.now)).is_ok());
}

#[test]
fn the_route_is_the_one_that_the_gateway_allows() {
    let mut net = Network::new();
    let header = net.opening(DFWAC, AMAN);
    let now = TimeMs(net.now);
    let replica = followed(&net, DFWAC);
    let route = |header: &_| {
        let route = replica.directory().route(header, now);
        route.map(|(digest, clause)| (digest, clause.clause_id.clone())).map_err(|none| none.refusal)
    };
    assert_eq!(route(&header), Ok((digest_of(&agreement(DFWAC, AMAN)), code("back"))));
    net.push(&header).accepted();

    let mut none = header.clone();
    none.from = agency(IOM);
    assert_eq!(route(&none), Err(Refusal::NoAgreement));
    let mut category = header.clone();
    category.category = code("other");
    assert_eq!(route(&category), Err(Refusal::CategoryNotAgreed));
    let furthest = replica.directory().route(&category, now).unwrap_err();
    assert_eq!(furthest.agreement, Some(digest_of(&agreement(DFWAC, AMAN))));
    let mut both = category;
    both.service = code("cash");
    assert_eq!(route(&both), Err(Refusal::CategoryNotAgreed), "the first that is missing");
    let mut by_need = header;
    by_need.addressing = Addressing::ByNeed;
    assert!(route(&by_need).is_ok());

    net.change(&by("amal"), suspension(subject(AMAN)), &["amal"]).accepted();
    let replica = followed(&net, DFWAC);
    let refused = |replica: &Replica| replica.directory().route(&by_need, now).unwrap_err();
    assert_eq!(refused(&replica).refusal, Refusal::RecipientSuspended);
    // Everything that the gateway itself would say of the network before it was made.
    let nothing = refused(&Replica::default());
    assert_eq!((nothing.refusal, nothing.agreement), (Refusal::NoAgreement, None));
}
