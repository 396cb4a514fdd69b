//! The link against a gateway played by the test: it answers as it is told, and signs what it says
//! with logs of its own.

mod alarms;
mod anew;
mod erasure;
mod inbox;
pub(crate) mod played;
mod shards;

use std::{fs, sync::Arc, time::Duration};

use prost::Message as _;
use proto::{command::Command, digest::Digest, directory::Directory, lifecycle::Act, refusal::Refusal, wire};

use super::*;
use crate::{
    case::Standing,
    document,
    office::outbound::{ActRequest, SendRequest},
    records::AlarmKind,
    state::State,
};
use played::{AMAN, DFWAC, Played, Reply};

/// How long a condition may take to come true.
const WAIT: Duration = Duration::from_secs(60);

/// Waits until what an office knows fulfils a condition.
async fn until(office: &Office, holds: impl Fn(&State) -> bool) {
    let mut changes = office.store.changes();
    let waited = tokio::time::timeout(WAIT, async {
        while !office.store.read(&holds) {
            changes.changed().await.unwrap();
        }
    });
    waited.await.expect("it never became true");
}

fn linked(office: &Arc<Office>, played: &Played) -> tokio::task::JoinHandle<Broken> {
    let (office, played) = (Arc::clone(office), played.clone());
    tokio::spawn(async move {
        let channel = played.channel().await;
        work(&office, channel).await
    })
}

fn referral() -> SendRequest {
    SendRequest {
        document: document::tests::good().to_string().into_bytes(),
        files: document::tests::files(),
        ..SendRequest::default()
    }
}

pub(crate) async fn followed(office: &Arc<Office>, played: &Played) {
    let channel = played.channel().await;
    directory::look(office, &channel).await.unwrap();
}

fn standing(state: &State, digest: &Digest) -> Option<Standing> {
    Some(state.case_of(digest)?.step(digest)?.standing.clone())
}

fn is_taken(state: &State, digest: &Digest) -> bool {
    matches!(standing(state, digest), Some(Standing::Taken { .. }))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_bytes_are_pushed_until_they_are_answered() {
    let played = Played::new();
    let office = played.office(DFWAC);
    followed(&office, &played).await;
    let sent = office.send(referral()).await.unwrap();
    played.reply([Reply::Fault, Reply::Close]);
    assert!(matches!(linked(&office, &played).await.unwrap(), Broken::Closed(_) | Broken::Call { .. }));
    let again = linked(&office, &played);
    until(&office, |state| is_taken(state, &sent.digest)).await;
    again.abort();
    let pushed = played.pushed();
    assert_eq!(pushed.len(), 3, "a fault, a broken stream, and the answer");
    assert!(pushed.iter().all(|envelope| *envelope == pushed[0]), "byte for byte");
    // What is pushed is what the gateway's own service accepts.
    let envelope = wire::Envelope::decode(pushed[0].as_slice()).unwrap();
    let directory: Directory = office.store.read(|state| state.replica().directory().clone());
    let Command::Push(push) = Command::verify(envelope.signed.unwrap(), &directory).unwrap() else {
        panic!("an envelope")
    };
    assert_eq!(proto::command::check_parts(&push.header, &envelope.parts), Ok(()));
    assert!(office.store.read(|state| state.queue().is_empty()));
    assert_eq!(office.receipts(&sent.referral).unwrap().len(), 1);
}

/// An agency that came back by an invitation: its signing key came into force only a day later.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_that_the_directory_lacks_are_published_once() {
    let played = Played::new();
    played.forget_witness_key(DFWAC);
    let office = played.office(DFWAC);
    let me = office.me.clone();
    let channel = played.channel().await;
    let before = played.directory_size();
    // Nothing is known of the directory yet, so nothing may be said of it.
    directory::publish_missing(&office, &channel).await.unwrap();
    assert_eq!(played.directory_size(), before);
    for size in [before + 1, before + 1] {
        followed(&office, &played).await;
        directory::publish_missing(&office, &channel).await.unwrap();
        assert_eq!(played.directory_size(), size);
    }
    let witness = office.keys().witness.public().id();
    let at = clock::now();
    let holds = |state: &State| {
        let directory = state.replica().directory();
        directory.key_in_force(&me, &witness, proto::directory::KeyPurpose::Witness, at)
    };
    assert!(office.store.read(holds));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_one_key_it_is_sent_once() {
    let played = Played::new();
    let office = played.office(DFWAC);
    followed(&office, &played).await;
    let keyed = || SendRequest { idempotency_key: "form-17".into(), ..referral() };
    let first = office.send(keyed()).await.unwrap();
    assert_eq!(office.send(keyed()).await.unwrap(), first);
    assert_ne!(office.send(referral()).await.unwrap(), first);
    assert_eq!(office.store.read(|state| state.queue().len()), 2);
    let long = SendRequest { idempotency_key: "k".repeat(129), ..referral() };
    assert_eq!(office.send(long).await, Err(crate::office::NotSent::IdempotencyKey));
}

fn note(sent: &crate::office::Sent) -> ActRequest {
    ActRequest {
        referral: sent.referral.clone(),
        act: Act::Note,
        fields: br#"{"note": "one more thing"}"#.to_vec(),
        files: Vec::new(),
        idempotency_key: String::new(),
        unchecked: false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refusal_ends_an_envelope_and_what_follows_it() {
    let played = Played::new();
    let office = played.office(DFWAC);
    followed(&office, &played).await;
    let first = office.send(referral()).await.unwrap();
    let second = office.act(note(&first)).await.unwrap();
    played.reply([Reply::Refuse(Refusal::AgreementSuspended)]);
    let link = linked(&office, &played);
    until(&office, |state| standing(state, &second.digest) == Some(Standing::Withdrawn)).await;
    link.abort();
    let case = office.case(&first.referral).unwrap();
    let step = case.step(&first.digest).unwrap();
    let refusal = office.refusal(step).unwrap().unwrap();
    assert_eq!(refusal.code, "AGREEMENT_SUSPENDED");
    assert!(!refusal.text_ar.is_empty() && refusal.receipt.is_some());
    assert_eq!(played.pushed().len(), 1, "what follows is never pushed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_that_is_reached_ends_nothing() {
    let played = Played::new();
    let office = played.office(DFWAC);
    followed(&office, &played).await;
    let sent = office.send(referral()).await.unwrap();
    let full = played.refusal(Refusal::MailboxFull);
    let next = office.answered(&sent.digest, Some(wire::push_answer::Answer::Refusal(full))).await.unwrap();
    assert_eq!(next, crate::office::outbound::Next::Again(crate::office::outbound::EXHAUSTED_WAIT));
    assert_eq!(office.store.read(|state| standing(state, &sent.digest)), Some(Standing::Queued));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_that_proves_nothing_is_an_alarm_and_never_kept() {
    let played = Played::new();
    let office = played.office(DFWAC);
    followed(&office, &played).await;
    let sent = office.send(referral()).await.unwrap();
    played.reply([Reply::FalseReceipt]);
    let link = linked(&office, &played);
    until(&office, |state| !state.alarms().standing().is_empty()).await;
    link.abort();
    assert_eq!(office.store.read(|state| standing(state, &sent.digest)), Some(Standing::Queued));
    assert_eq!(office.store.read(|state| state.alarms().standing()[0].kind), AlarmKind::BadReceipt);
    assert!(office.store.read(State::may_seal), "it is about one receipt, not about the directory");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_comes_is_written_down_before_it_is_signed_for_and_only_once() {
    let played = Played::new();
    let (sender, office) = (played.office(DFWAC), played.office(AMAN));
    followed(&sender, &played).await;
    followed(&office, &played).await;
    let sent = sender.send(referral()).await.unwrap();
    let envelope = sender.envelope(&sent.digest).unwrap().unwrap();
    let delivered = played.delivered(&envelope, 7);
    played.mail([delivered.clone()]);
    let link = linked(&office, &played);
    let handed_over = |state: &State| match standing(state, &sent.digest) {
        Some(Standing::Arrived(deliveries)) => deliveries[0].handed_over.is_some(),
        _ => false,
    };
    until(&office, handed_over).await;
    link.abort();
    let case = office.case(&sent.referral).unwrap();
    assert_eq!(case.status(), proto::lifecycle::Status::Delivered);
    // The receipt names what came, and verifies as the gateway would verify it.
    let directory = office.store.read(|state| state.replica().directory().clone());
    let Command::Handover(handover) = Command::verify(played.receipts()[0].clone(), &directory).unwrap()
    else {
        panic!("a receipt")
    };
    assert_eq!(handover.received[0].envelope, sent.digest);
    assert_eq!(handover.received[0].part_digests.len(), 2, "the summary, and the file that tells nothing");

    // A repeat is signed for again and not written down again.
    let taken = office.take(&delivered).unwrap();
    assert_eq!(format!("{taken:?}"), "Taken(Ok(Received), new: false)");
    let shown = office.parts(&case).unwrap();
    let summary = &shown[0].content.as_ref().unwrap().content;
    assert!(String::from_utf8_lossy(summary).contains("مأوى آمن"));
    assert_eq!(shown.len(), 2, "the identity waits at the gateway until somebody accepts");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_receipt_whose_answer_was_lost_is_sent_again() {
    let played = Played::new();
    let (sender, office) = (played.office(DFWAC), played.office(AMAN));
    followed(&sender, &played).await;
    followed(&office, &played).await;
    let sent = sender.send(referral()).await.unwrap();
    let envelope = sender.envelope(&sent.digest).unwrap().unwrap();
    let taken = office.take(&played.delivered(&envelope, 7)).unwrap();
    let signed = office.receive(vec![taken]).await.unwrap().unwrap();
    // The link breaks here; the gateway has the receipt, and hands nothing over again.
    let link = linked(&office, &played);
    let delivered = |state: &State| {
        let case = state.case_of(&sent.digest).unwrap();
        case.status() == proto::lifecycle::Status::Delivered
    };
    until(&office, delivered).await;
    link.abort();
    assert!(played.receipts() == [signed], "the same receipt, byte for byte");
    assert!(office.unanswered().unwrap().is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_its_senders_is_an_alarm_and_holds_nothing_up() {
    let played = Played::new();
    let (sender, office) = (played.office(DFWAC), played.office(AMAN));
    followed(&sender, &played).await;
    followed(&office, &played).await;
    let (bad, good) = (sender.send(referral()).await.unwrap(), sender.send(referral()).await.unwrap());
    let mut forged = sender.envelope(&bad.digest).unwrap().unwrap();
    forged.signed.as_mut().unwrap().signatures[0].sig[3] ^= 1;
    let envelope = sender.envelope(&good.digest).unwrap().unwrap();
    played.mail([played.delivered(&forged, 7), played.delivered(&envelope, 8)]);
    let link = linked(&office, &played);
    until(&office, |state| standing(state, &good.digest).is_some() && !state.alarms().standing().is_empty())
        .await;
    link.abort();
    assert_eq!(office.store.read(|state| state.alarms().standing()[0].kind), AlarmKind::BadDelivery);
    assert!(office.store.read(|state| state.case_of(&bad.digest).is_none()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_opened_is_told_and_kept() {
    let played = Played::new();
    let (sender, stranger) = (played.office(DFWAC), played.office(AMAN));
    followed(&sender, &played).await;
    // The recipient has lost its key and has another one now.
    let office = played.office_with_other_sealing_key(AMAN);
    followed(&office, &played).await;
    drop(stranger);
    let sent = sender.send(referral()).await.unwrap();
    let envelope = sender.envelope(&sent.digest).unwrap().unwrap();
    let taken = office.take(&played.delivered(&envelope, 7)).unwrap();
    assert_eq!(format!("{taken:?}"), "Taken(Ok(CannotOpen), new: true)");
    office.receive(vec![taken]).await.unwrap();
    let case = office.case(&sent.referral).unwrap();
    let Standing::Arrived(deliveries) = &case.steps[0].standing else { panic!("it came") };
    assert!(!deliveries[0].opened);
    assert!(office.parts(&case).unwrap().iter().all(|part| part.content.is_err()));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_forked_directory_is_an_alarm_and_nothing_is_sealed_any_more() {
    let played = Played::new();
    let office = played.office(DFWAC);
    followed(&office, &played).await;
    let size = office.store.read(|state| state.replica().log().size());
    played.fork();
    followed(&office, &played).await;
    let alarm = office.store.read(|state| state.alarms().standing().first().cloned()).unwrap();
    assert_eq!(alarm.kind, AlarmKind::Fork);
    assert_eq!(office.store.read(|state| state.replica().log().size()), size, "nothing of it was taken");
    assert_eq!(office.send(referral()).await, Err(crate::office::NotSent::Alarmed));
    // Said again, it is the same alarm.
    followed(&office, &played).await;
    assert_eq!(office.store.read(|state| state.alarms().standing().len()), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_that_are_missing_or_unlawful_are_not_taken() {
    let played = Played::new();
    let office = played.office(DFWAC);
    let channel = played.channel().await;
    played.leave_out(1);
    let gap = directory::look(&office, &channel).await;
    assert!(matches!(gap, Err(Broken::NotFollowed(NotFollowed::Gap(1)))), "{gap:?}");
    assert!(office.store.read(|state| state.alarms().standing().is_empty()), "it comes again");
    played.put_back();
    played.log_false_key(AMAN);
    directory::look(&office, &channel).await.unwrap();
    let kind = office.store.read(|state| state.alarms().standing()[0].kind);
    assert_eq!(kind, AlarmKind::UnlawfulEntry);
    assert_eq!(office.store.read(|state| state.replica().log().size()), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_ours_that_we_did_not_publish_is_an_alarm() {
    let played = Played::new();
    let office = played.office_with_other_sealing_key(DFWAC);
    followed(&office, &played).await;
    assert_eq!(office.store.read(|state| state.alarms().standing()[0].kind), AlarmKind::ForeignKey);
    assert!(!office.store.read(State::may_seal));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_that_goes_on_is_cosigned_and_one_that_forks_is_an_alarm() {
    let played = Played::new();
    let office = played.office(DFWAC);
    followed(&office, &played).await;
    let channel = played.channel().await;
    played.grow_evidence(3);
    witness::report(&office, &channel).await.unwrap();
    assert!(office.store.read(|state| state.evidence_seen().is_some()));
    played.grow_evidence(4);
    witness::report(&office, &channel).await.unwrap();
    assert_eq!(played.cosigned(), [3, 7], "each once it was proven to go on from the one before");
    played.fork_evidence();
    witness::report(&office, &channel).await.unwrap();
    assert_eq!(office.store.read(|state| state.alarms().standing()[0].kind), AlarmKind::Fork);
    assert_eq!(played.cosigned(), [3, 7]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restart_knows_everything_and_sends_the_same_bytes() {
    let played = Played::new();
    let office = played.office(DFWAC);
    followed(&office, &played).await;
    let sent = office.send(referral()).await.unwrap();
    let (before, seen) = (
        office.envelope(&sent.digest).unwrap().unwrap(),
        office.store.read(|state| {
            (state.queue().clone(), state.replica().log().clone(), state.directory_seen().cloned())
        }),
    );
    let folder = played.store_of(&office);
    drop(office);
    let office = played.reopened(DFWAC, &folder).await;
    assert!(office.envelope(&sent.digest).unwrap().unwrap() == before);
    assert_eq!(
        seen,
        office.store.read(|state| {
            (state.queue().clone(), state.replica().log().clone(), state.directory_seen().cloned())
        })
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_word_of_a_case_is_readable_in_the_folder() {
    let played = Played::new();
    let (sender, office) = (played.office(DFWAC), played.office(AMAN));
    followed(&sender, &played).await;
    followed(&office, &played).await;
    let sent = sender.send(referral()).await.unwrap();
    let envelope = sender.envelope(&sent.digest).unwrap().unwrap();
    let taken = office.take(&played.delivered(&envelope, 7)).unwrap();
    office.receive(vec![taken]).await.unwrap();
    let words = [
        "فاطمة",
        "Fatima",
        "971501234567",
        "مأوى",
        "report.pdf",
        "debt bondage",
        "ae-rk.aman",
        "trafficking",
    ];
    for office in [&sender, &office] {
        let folder = played.store_of(office);
        let mut files = 0;
        for bytes in all_files(&folder) {
            files += 1;
            for word in words {
                let found = bytes.windows(word.len()).any(|window| window == word.as_bytes());
                assert!(!found, "{word} stands in a file in clear");
            }
        }
        assert!(files >= 2, "the segments were read");
    }
}

/// What is in the files of a folder. One that is put in place meanwhile is read again, with all others.
fn all_files(folder: &std::path::Path) -> Vec<Vec<u8>> {
    loop {
        let files = fs::read_dir(folder).unwrap().map(|file| fs::read(file.unwrap().path()));
        match files.collect::<Result<_, _>>() {
            Ok(files) => return files,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::NotFound),
        }
    }
}
