//! Settling an alarm: it does not let anything be sealed before the logs are proven anew.

use super::*;
use crate::{alarm::NotSettled, office::NotSent, records::SettledReason};

fn stands(office: &Office) -> Option<String> {
    office.store.read(|state| state.alarms().standing().first().map(crate::alarm::Alarm::name))
}

async fn settled(office: &Office) {
    let name = stands(office).unwrap();
    office.settle_alarm(&name, SettledReason::Explained).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fork_that_is_settled_stops_sealing_until_both_logs_are_proven_anew() {
    let played = Played::new();
    let office = played.office(DFWAC);
    let channel = played.channel().await;
    played.grow_evidence(3);
    witness::report(&office, &channel).await.unwrap();
    followed(&office, &played).await;
    played.fork();
    followed(&office, &played).await;
    let unknown = office.settle_alarm("00000000", SettledReason::Mended).await;
    assert_eq!(unknown, Err(NotSettled::Unknown));
    let name = stands(&office).unwrap();
    let without = office.settle_alarm(&name, SettledReason::Unspecified).await;
    assert_eq!(without, Err(NotSettled::NoReason));

    settled(&office).await;
    assert_eq!(stands(&office), None);
    assert_eq!(office.send(referral()).await, Err(NotSent::Alarmed), "settled is not proven");
    // The log is still another one: the same alarm again.
    followed(&office, &played).await;
    assert_eq!(stands(&office), Some(name));

    settled(&office).await;
    played.heal();
    followed(&office, &played).await;
    assert!(!office.store.read(State::may_seal), "the evidence log is not proven yet");
    witness::report(&office, &channel).await.unwrap();
    assert!(office.store.read(State::may_seal));
    office.send(referral()).await.unwrap();

    // A start knows it all: what was settled, and what was proven.
    let folder = played.store_of(&office);
    drop(office);
    let office = played.reopened(DFWAC, &folder).await;
    assert!(office.store.read(State::may_seal) && stands(&office).is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_foreign_key_is_an_alarm_again_as_long_as_it_stands() {
    let played = Played::new();
    let office = played.office_with_other_sealing_key(DFWAC);
    followed(&office, &played).await;
    settled(&office).await;
    assert!(!office.store.read(State::may_seal));
    followed(&office, &played).await;
    assert!(stands(&office).is_some(), "it was not revoked");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn settling_ends_the_connection_so_that_all_is_proven_over_the_next() {
    let played = Played::new();
    let office = played.office(DFWAC);
    played.grow_evidence(3);
    followed(&office, &played).await;
    office.alarm(AlarmKind::Fork, None, "directory log: an example".into()).await.unwrap();
    let link = linked(&office, &played);
    until(&office, |state| state.evidence_seen().is_some()).await;
    settled(&office).await;
    assert!(matches!(link.await.unwrap(), Broken::Closed(_)));
    let again = linked(&office, &played);
    until(&office, State::may_seal).await;
    again.abort();
}
