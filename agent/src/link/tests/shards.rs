//! A gateway that was restored behind what this agency holds.

use super::*;

fn kinds(office: &Office) -> Vec<AlarmKind> {
    office.store.read(|state| state.alarms().standing().iter().map(|alarm| alarm.kind).collect())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_gateway_has_lost_is_pushed_again_and_both_receipts_are_kept() {
    let played = Played::new();
    let office = played.office(DFWAC);
    followed(&office, &played).await;
    let sent = office.send(referral()).await.unwrap();
    let link = linked(&office, &played);
    until(&office, |state| is_taken(state, &sent.digest)).await;
    played.grow_evidence(3);
    witness::report(&office, &played.channel().await).await.unwrap();
    link.abort();
    let before = office.receipts(&sent.referral).unwrap();
    assert_eq!((before.len(), played.pushed().len()), (1, 1));

    played.restore(played.directory_size());
    followed(&office, &played).await;
    assert_eq!(kinds(&office), [AlarmKind::NewShard], "people are told, and nothing is stopped");
    assert!(office.store.read(State::may_seal));
    assert_eq!(office.store.read(State::going_again), 1);
    assert_eq!(office.receipts(&sent.referral).unwrap(), before, "the receipt of what was lost");
    // What the gateway says as long as others have not pushed again decides nothing here: it is asked again.
    let link = linked(&office, &played);
    until(&office, |state| is_taken(state, &sent.digest)).await;
    link.abort();
    let pushed = played.pushed();
    assert_eq!((pushed.len(), &pushed[0]), (2, &pushed[1]), "the same bytes");
    let after = office.receipts(&sent.referral).unwrap();
    assert_eq!((after.len(), after.first()), (2, before.first()));
    assert_eq!(office.store.read(State::going_again), 0);
    // The new shard is cosigned, once the directory has said who began it.
    played.grow_evidence(2);
    witness::report(&office, &played.channel().await).await.unwrap();
    assert_eq!(played.cosigned(), [3, 2]);
    assert_eq!(kinds(&office), [AlarmKind::NewShard]);
    // A restart makes the same of it.
    let store = played.store_of(&office);
    drop(office);
    let office = played.reopened(DFWAC, &store).await;
    assert!(office.store.read(|state| is_taken(state, &sent.digest)));
    assert_eq!(office.receipts(&sent.referral).unwrap(), after);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_is_signed_for_again_and_shown_once() {
    let played = Played::new();
    let (sender, recipient) = (played.office(DFWAC), played.office(AMAN));
    for office in [&sender, &recipient] {
        followed(office, &played).await;
    }
    let sent = sender.send(referral()).await.unwrap();
    let envelope = sender.envelope(&sent.digest).unwrap().unwrap();
    played.mail([played.delivered(&envelope, 7)]);
    let link = linked(&recipient, &played);
    let handed_over = |state: &State| match standing(state, &sent.digest) {
        Some(Standing::Arrived(deliveries)) => {
            deliveries.iter().filter(|one| one.handed_over.is_some() && !one.lost).count()
        }
        _ => 0,
    };
    until(&recipient, |state| handed_over(state) == 1).await;
    link.abort();
    played.restore(played.directory_size());
    followed(&recipient, &played).await;
    assert_eq!(recipient.store.read(handed_over), 0, "it is known to be lost");
    let waits = |state: &State| state.case_of(&sent.digest).unwrap().waits_for_others();
    assert!(recipient.store.read(waits));
    // An answer waits for it, whatever the gateway says meanwhile.
    let accept = ActRequest { referral: sent.referral.clone(), act: Act::Accept, ..note(&sent) };
    let accept = recipient.act(ActRequest { unchecked: true, ..accept }).await.unwrap();
    let refusal = wire::push_answer::Answer::Refusal(played.refusal(Refusal::UnknownReferral));
    let next = recipient.answered(&accept.digest, Some(refusal)).await.unwrap();
    assert!(matches!(next, crate::office::outbound::Next::Again(_)));
    // The gateway hands it over again, under an id of its new shard.
    let again = wire::Delivered {
        handover_id: [7_u64.to_be_bytes().as_slice(), &2_u32.to_be_bytes()].concat(),
        ..played.delivered(&envelope, 7)
    };
    played.mail([again]);
    let link = linked(&recipient, &played);
    until(&recipient, |state| handed_over(state) == 1).await;
    link.abort();
    assert!(!recipient.store.read(waits));
    let deliveries = recipient.store.read(|state| match standing(state, &sent.digest) {
        Some(Standing::Arrived(deliveries)) => deliveries.len(),
        _ => 0,
    });
    assert_eq!(deliveries, 1, "nothing is shown a second time");
    assert_eq!(kinds(&recipient), [AlarmKind::NewShard]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_logs_key_alone_begins_no_shard() {
    let played = Played::new();
    let office = played.office(DFWAC);
    followed(&office, &played).await;
    played.grow_evidence(3);
    let channel = played.channel().await;
    witness::report(&office, &channel).await.unwrap();
    played.rename(2);
    witness::report(&office, &channel).await.unwrap();
    assert_eq!(played.cosigned(), [3], "it is not believed before the directory says so");
    followed(&office, &played).await;
    assert_eq!(kinds(&office), [AlarmKind::Fork]);
    // Nor is anything believed that was taken back behind a shard.
    let office = played.office(AMAN);
    played.restore(played.directory_size());
    followed(&office, &played).await;
    played.rename(1);
    followed(&office, &played).await;
    assert_eq!(kinds(&office), [AlarmKind::Fork]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_that_was_cut_is_taken_anew_where_it_begins_with_what_is_here() {
    let played = Played::new();
    let office = played.office(DFWAC);
    followed(&office, &played).await;
    let size = played.directory_size();
    let other = played.office(AMAN);
    played.restore(size - 1);
    followed(&office, &played).await;
    assert_eq!(kinds(&office), [AlarmKind::NewShard]);
    let held = |office: &Office| office.store.read(|state| state.replica().log().size());
    assert_eq!(held(&office), u64::try_from(size).unwrap());
    // Whoever joins later follows the same.
    followed(&other, &played).await;
    assert_eq!(held(&other), held(&office));
    let store = played.store_of(&office);
    drop(office);
    let office = played.reopened(DFWAC, &store).await;
    assert_eq!(held(&office), u64::try_from(size).unwrap());
    assert_eq!(office.store.read(|state| state.replica().directory().shards().len()), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shard_that_begins_with_something_else_is_a_fork_whoever_signed_it() {
    let played = Played::new();
    let office = played.office(DFWAC);
    followed(&office, &played).await;
    let size = office.store.read(|state| state.replica().log().size());
    played.forget_witness_key(AMAN);
    played.restore(played.directory_size());
    followed(&office, &played).await;
    assert_eq!(kinds(&office), [AlarmKind::Fork]);
    assert_eq!(office.store.read(|state| state.replica().log().size()), size, "nothing of it was taken");
    assert!(!office.store.read(State::may_seal));
}
