//! Orders to the authority that issues certificates: whose they must be, for what, and how old.

use prost::Message as _;
use proto::{
    Malformed,
    certificate_order::Order,
    digest::Digest,
    directory::authority::CLOCK_SKEW_MS_MAX,
    dsse::PayloadType,
    ids::TimeMs,
    wire::{self, KeyPurpose},
};

use crate::network::*;

const CERTIFY: Order = Order::Certify(Digest([7; 32]));
const KEEP: Order = Order::Keep(Digest([7; 32]));

fn given(net: &Network, order: Order, object: wire::SignedObject, now: u64) -> Result<bool, Malformed> {
    order.is_given_by(object, (net.writer.state.directory(), &agency(AMAN)), TimeMs(now))
}

#[test]
fn an_order_counts_for_what_it_names_of_whom_it_names_and_for_a_while() {
    let mut net = Network::new();
    let now = net.now;
    let of = |order: Order, name: &str, signer: &str| order.sign(&agency(name), TimeMs(now), &key(signer));
    let rows = [
        ("good", CERTIFY, of(CERTIFY, AMAN, AMAN), now, Ok(true)),
        ("the other order", KEEP, of(KEEP, AMAN, AMAN), now, Ok(true)),
        ("of another kind", KEEP, of(CERTIFY, AMAN, AMAN), now, Ok(false)),
        ("for another", Order::Certify(Digest([8; 32])), of(CERTIFY, AMAN, AMAN), now, Ok(false)),
        ("of another", CERTIFY, of(CERTIFY, IOM, AMAN), now, Ok(false)),
        ("by another", CERTIFY, of(CERTIFY, AMAN, IOM), now, Err(())),
        ("by an administrator", CERTIFY, of(CERTIFY, AMAN, "amal"), now, Err(())),
        ("just in time", CERTIFY, of(CERTIFY, AMAN, AMAN), now + CLOCK_SKEW_MS_MAX, Ok(true)),
        ("too old", CERTIFY, of(CERTIFY, AMAN, AMAN), now + CLOCK_SKEW_MS_MAX + 1, Ok(false)),
        ("from later", CERTIFY, of(CERTIFY, AMAN, AMAN), now - CLOCK_SKEW_MS_MAX - 1, Ok(false)),
    ];
    for (case, order, object, at, wanted) in rows {
        let found = given(&net, order, object, at).map_err(|malformed| {
            assert_eq!(malformed, Malformed::Signature { field: "signatures" }, "{case}");
        });
        assert_eq!(found, wanted, "{case}");
    }
    // A key that was taken back orders nothing.
    let second = publication(AMAN, KeyPurpose::Signing, key("second").public().to_bytes().to_vec());
    net.change(&by(AMAN), second, &[AMAN, "second"]).accepted();
    net.change(&by(AMAN), revocation(AMAN, key(AMAN).public().id()), &["second"]).accepted();
    let now = net.now;
    assert_eq!(given(&net, CERTIFY, CERTIFY.sign(&agency(AMAN), TimeMs(now), &key(AMAN)), now), Ok(false));
    assert_eq!(given(&net, CERTIFY, CERTIFY.sign(&agency(AMAN), TimeMs(now), &key("second")), now), Ok(true));
    net.change(&by("amal"), suspension(subject(AMAN)), &["amal"]).accepted();
    let now = net.now;
    assert_eq!(
        given(&net, CERTIFY, CERTIFY.sign(&agency(AMAN), TimeMs(now), &key("second")), now),
        Ok(false)
    );
}

#[test]
fn what_is_no_order_is_malformed_and_none_is_ever_logged() {
    let net = Network::new();
    let now = net.now;
    let wire =
        |version, order| wire::CertificateOrder { version, agency: AMAN.into(), created_at_ms: now, order };
    let keep = || Some(wire::certificate_order::Order::KeepSha256(vec![7; 32]));
    let short = Some(wire::certificate_order::Order::KeepSha256(vec![7; 31]));
    for (payload, field) in
        [(wire(2, keep()), "version"), (wire(1, None), "order"), (wire(1, short), "keep_sha256")]
    {
        let object = sign(PayloadType::CertificateOrder, payload.encode_to_vec(), &[AMAN]);
        assert_eq!(given(&net, KEEP, object, now).map_err(Malformed::field), Err(field));
    }
    let other = sign(PayloadType::Receipt, wire(1, keep()).encode_to_vec(), &[AMAN]);
    assert_eq!(given(&net, KEEP, other, now).map_err(Malformed::field), Err("payload_type"));
    let two = sign(PayloadType::CertificateOrder, wire(1, keep()).encode_to_vec(), &[AMAN, IOM]);
    assert_eq!(given(&net, KEEP, two, now).map_err(Malformed::field), Err("signatures"));
    let object = KEEP.sign(&agency(AMAN), TimeMs(now), &key(AMAN));
    let parsed = proto::command::Command::verify(object, net.writer.state.directory());
    assert_eq!(parsed.map(|_| ()).map_err(Malformed::field), Err("payload_type"));
}
