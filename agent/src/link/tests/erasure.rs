//! What was stated to be destroyed, and what was kept long enough, is erased; nothing that waits is.

use proto::ids::TimeMs;

use super::*;
use crate::{
    erasure::{self, Due},
    records::ErasedWhy,
    store::Place,
};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A referral that has come to the one who is asked, and is signed for.
async fn came(played: &Played) -> (Arc<Office>, crate::office::Sent) {
    let (sender, office) = (played.office(DFWAC), played.office(AMAN));
    followed(&sender, played).await;
    followed(&office, played).await;
    let sent = sender.send(referral()).await.unwrap();
    let envelope = sender.envelope(&sent.digest).unwrap().unwrap();
    let taken = office.take(&played.delivered(&envelope, 7)).unwrap();
    office.receive(vec![taken]).await.unwrap();
    (office, sent)
}

fn act(sent: &crate::office::Sent, act: Act, fields: &str) -> ActRequest {
    ActRequest { act, fields: fields.into(), unchecked: true, ..note(sent) }
}

fn due_at(office: &Office, keep_days: Option<u32>, days: u64) -> Vec<Due> {
    let now = TimeMs(clock::now().0 + days * DAY_MS);
    office.store.read(|state| erasure::due(state, keep_days, now))
}

/// Where everything is that came, and as it lies in the files.
fn bodies(office: &Office, sent: &crate::office::Sent) -> Vec<(Place, Option<Vec<u8>>)> {
    let case = office.case(&sent.referral).unwrap();
    let places = case.steps.iter().map(|step| step.place);
    places.map(|place| (place, office.store.sealed_body(place))).collect()
}

fn is_in_a_file(folder: &std::path::Path, bytes: &[u8]) -> bool {
    all_files(folder).iter().any(|file| file.windows(bytes.len()).any(|window| window == bytes))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_stated_to_be_destroyed_is_in_no_file_any_more() {
    let played = Played::new();
    let (office, sent) = came(&played).await;
    office.act(act(&sent, Act::ConfirmPurge, "")).await.unwrap();
    assert_eq!(due_at(&office, None, 0), [], "the gateway has not taken the statement yet");
    let link = linked(&office, &played);
    until(&office, |state| state.queue().is_empty()).await;
    let signed = |state: &State| match standing(state, &sent.digest) {
        Some(Standing::Arrived(deliveries)) => deliveries[0].handed_over.is_some(),
        _ => false,
    };
    until(&office, signed).await;
    link.abort();
    let before = bodies(&office, &sent);
    let folder = played.store_of(&office);
    assert!(before.iter().all(|(_, sealed)| is_in_a_file(&folder, sealed.as_ref().unwrap())));
    let due = Due { referral: sent.referral.clone(), why: ErasedWhy::Purged, attempt: 1 };
    assert_eq!(due_at(&office, None, 0), [due]);

    assert!(erasure::sweep(&office).await.unwrap());
    for (place, sealed) in &before {
        assert!(!is_in_a_file(&folder, &sealed.clone().unwrap()));
        assert!(office.store.body(*place).unwrap().is_none());
        assert!(office.store.record(*place).is_ok(), "ids and digests stay");
    }
    let case = office.case(&sent.referral).unwrap();
    assert!(office.parts(&case).unwrap().is_empty());
    assert!(!office.receipts(&sent.referral).unwrap().is_empty(), "so do receipts");
    assert_eq!(due_at(&office, None, 0), [], "once");
    let erasure = |state: &State| state.last_erasure(&sent.referral).cloned().unwrap();
    let known = office.store.read(erasure);
    assert!(known.done && known.why == ErasedWhy::Purged && known.envelopes.len() == before.len());
    drop(office);
    let office = played.reopened(AMAN, &folder).await;
    assert_eq!(office.store.read(erasure), known);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_has_ended_is_kept_as_long_as_agreed_and_what_waits_longer() {
    let played = Played::new();
    let (office, sent) = came(&played).await;
    assert_eq!(due_at(&office, Some(1), 400), [], "it has not ended");
    office.act(act(&sent, Act::Decline, r#"{"reason": "no_capacity"}"#)).await.unwrap();
    assert_eq!(due_at(&office, Some(1), 400), [], "the answer waits");
    let link = linked(&office, &played);
    until(&office, |state| state.queue().is_empty()).await;
    let status = |state: &State| state.case(&sent.referral).unwrap().status();
    until(&office, |state| status(state).is_final()).await;
    let signed = |state: &State| match standing(state, &sent.digest) {
        Some(Standing::Arrived(deliveries)) => deliveries[0].handed_over.is_some(),
        _ => false,
    };
    until(&office, signed).await;
    link.abort();
    assert_eq!(due_at(&office, None, 400), [], "nobody said how long");
    let case = office.case(&sent.referral).unwrap();
    let last = case.steps.iter().filter_map(crate::case::Step::logged).map(|logged| logged.at).max().unwrap();
    let due = |days: u64, ms: u64| {
        let now = TimeMs(last.0 + days * DAY_MS - ms);
        office.store.read(|state| erasure::due(state, Some(30), now))
    };
    assert_eq!(due(30, 1), []);
    let expected = Due { referral: sent.referral.clone(), why: ErasedWhy::KeptLongEnough, attempt: 0 };
    assert_eq!(due(30, 0), [expected]);
}
