//! Room for a service, as each agency publishes it: by need, and as a fallback, nobody is sent to where
//! there is none; by name, a person decides.

use proto::{
    evidence::Event,
    header::Header,
    ids::{Addressing, Jurisdiction},
    refusal::Refusal::{self, *},
    wire::{self, directory_change::Change},
};

use crate::{network::*, refusals::profile};

fn offer(service: &str, capacity: wire::Capacity) -> wire::ServiceOffer {
    wire::ServiceOffer { service: service.into(), capacity: capacity.into(), ..wire::ServiceOffer::default() }
}

fn publish(net: &mut Network, name: &str, offers: Vec<wire::ServiceOffer>) {
    net.change(&by(name), profile(name, offers), &[name]).accepted();
}

fn by_need(net: &mut Network) -> Header {
    let state = &net.writer.state;
    let mechanism = state.directory().mechanism().map(|held| held.signed.digest());
    let opening = net.opening(DFWAC, AMAN);
    Header { addressing: Addressing::ByNeed, mechanism, rule: Some(code("shelter-rak")), ..opening }
}

/// What the gateway answers to a need, after it was asked whether it would: both say the same.
fn answer(net: &mut Network) -> Option<Refusal> {
    let header = by_need(net);
    let state = &net.writer.state;
    let way = state.directory().way((&header).into(), state.now()).err();
    let refused = net.push(&header).refused().map(|(refusal, _)| refusal);
    assert_eq!(way, refused);
    refused
}

#[test]
fn a_need_finds_only_those_who_have_room_or_say_nothing() {
    use wire::Capacity as Said;
    let none = || offer("shelter", Said::None);
    let in_place = |place: &str| wire::ServiceOffer { jurisdictions: vec![place.into()], ..none() };
    let of_category = |category: &str| wire::ServiceOffer { categories: vec![category.into()], ..none() };
    let rows: Vec<(&str, Vec<wire::ServiceOffer>, bool)> = vec![
        ("nothing is said", vec![], false),
        ("open", vec![offer("shelter", Said::Open)], false),
        ("there is a waiting list", vec![offer("shelter", Said::Waitlist)], false),
        ("each case is looked at", vec![offer("shelter", Said::Assessment)], false),
        ("full", vec![none()], true),
        ("another service is full", vec![offer("legal", Said::None)], false),
        ("full here", vec![in_place("AE-RK")], true),
        ("full in the whole country", vec![in_place("AE")], true),
        ("full elsewhere", vec![in_place("AE-DU")], false),
        ("full for such cases", vec![of_category("violence")], true),
        ("full for other cases", vec![of_category("trafficking")], false),
        ("full for most, and room for such", vec![none(), offer("shelter", Said::Open)], false),
        ("full twice", vec![none(), in_place("AE-RK")], true),
    ];
    for (case, offers, is_full) in rows {
        let mut net = Network::new();
        publish(&mut net, AMAN, offers);
        assert_eq!(answer(&mut net), is_full.then_some(RecipientFull), "{case}");
        // By name somebody has telephoned.
        let by_name = net.opening(DFWAC, AMAN);
        net.push(&by_name).accepted();
        net.writer.check();
    }
}

#[test]
fn room_is_a_matter_of_the_newest_word() {
    let mut net = Network::new();
    publish(&mut net, AMAN, vec![offer("shelter", wire::Capacity::None)]);
    assert_eq!(answer(&mut net), Some(RecipientFull));
    net.writer.restart();
    assert_eq!(answer(&mut net), Some(RecipientFull));
    publish(&mut net, AMAN, vec![offer("shelter", wire::Capacity::Open)]);
    assert_eq!(answer(&mut net), None);
    // Whoever has said nothing of the place of a need is not full there.
    let elsewhere =
        wire::ServiceOffer { jurisdictions: vec!["AE-RK".into()], ..offer("shelter", wire::Capacity::None) };
    publish(&mut net, AMAN, vec![elsewhere]);
    let mut header = by_need(&mut net);
    header.jurisdiction = Jurisdiction::parse("AE", "jurisdiction").unwrap();
    let refused = net.push(&header).refused().map(|(refusal, _)| refusal);
    assert_eq!(refused, Some(MechanismChanged), "and the rule is not for the whole country");
}

#[test]
fn a_fallback_without_room_is_passed_over_and_the_last_one_tells_a_person() {
    let full = || vec![offer("shelter", wire::Capacity::None)];
    for (full_at, asked) in [(vec![], Some(IOM)), (vec![IOM], Some(MOSD)), (vec![IOM, MOSD], None)] {
        let mut net = Network::new();
        let opening = net.opening_with(AMAN, &[IOM, MOSD]);
        net.push(&opening).accepted();
        // They say so afterwards: what counts is the moment of their turn.
        for name in &full_at {
            publish(&mut net, name, full());
        }
        net.now += 3 * DAY;
        let mut events = net.ticked();
        net.now += HOUR;
        events.extend(net.ticked());
        let referral = net.writer.referral(&opening.referral).unwrap();
        assert_eq!(referral.recipients.get(1).map(|asked| asked.as_str()), asked, "{full_at:?}");
        let stopped = net.writer.records().find(|record| record.what.event == Event::EscalationStopped);
        let why = stopped.and_then(|record| record.what.refusal).map(|(refusal, _)| refusal);
        assert_eq!(why, asked.is_none().then_some(RecipientFull), "{events:?}");
        net.writer.check();
    }
}

#[test]
fn an_offer_says_what_room_there_is() {
    for (capacity, taken) in [(0, false), (1, true), (2, true), (3, true), (4, true), (5, false), (-1, false)]
    {
        let text = wire::AgencyProfile {
            agency: AMAN.into(),
            offers: vec![wire::ServiceOffer { capacity, ..offer("shelter", wire::Capacity::Open) }],
            ..wire::AgencyProfile::default()
        };
        let mut net = Network::new();
        let change = net.change_of(Change::Profile(text));
        let object =
            sign(proto::dsse::PayloadType::DirectoryEntry, prost::Message::encode_to_vec(&change), &[AMAN]);
        let read = proto::command::Command::verify(object, net.writer.state.directory());
        assert_eq!(read.is_ok(), taken, "{capacity}");
    }
}
