//! Delivery: what waits for whom, in which order, and what leaves.

use crate::network::*;
use proto::{
    evidence::Event,
    ids::Release,
    lifecycle::{Act, Status},
    refusal::Refusal,
};

#[test]
fn the_straight_way() {
    let mut net = Network::new();
    let opening = net.opens(DFWAC, AMAN);
    assert_eq!(net.fetches_all(AMAN), [(envelope_digest(&opening), Release::AtOnce)]);
    net.does(&opening, AMAN, Act::See);
    let accept = net.does(&opening, AMAN, Act::Accept);
    assert_eq!(net.fetches_all(AMAN), [(envelope_digest(&opening), Release::OnAcceptance)]);
    assert_eq!(net.fetches_all(DFWAC).last().unwrap().0, envelope_digest(&accept));
    for act in [Act::Start, Act::DeliverService, Act::Complete] {
        net.does(&opening, AMAN, act);
    }
    assert_eq!(net.writer.referral(&opening.referral).unwrap().status, Status::Completed);
    net.fetches_all(DFWAC);
    assert!(net.writer.state.referral(&opening.referral).is_none(), "closed");
    net.writer.check();
}
