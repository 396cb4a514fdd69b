//! The gateway's services over real TLS: what goes in comes out, once, with proof. Not here: what is
//! refused, and hostile peers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that does not get what it must has failed"
)]

use std::time::Duration;

use certs::{Identity, Role, UnixTime};
use gateway::service::stubs::{
    directory_client::DirectoryClient, evidence_client::EvidenceClient, log_client::LogClient,
    parts_client::PartsClient, push_client::PushClient, receive_client::ReceiveClient,
};
use proto::{
    evidence::{Commitment, Event, Record},
    ids::{AgencyId, ReferralKey},
    lifecycle::Act,
    log::policy::Policy,
    receipt::Receipt,
    refusal::Refusal,
    state::QUERIES_RECORDED,
    wire,
};
use tokio::time::timeout;
use tonic::{Code, Status, transport::Channel};
use trials::{
    network::{ActOf, Network},
    random::Random,
    sandbox::Sandbox,
    speak::{Deliveries, PATIENCE, digest_of, envelope, failure, handover, now, receipt_of, refusal_in},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_referral_from_push_to_completion() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::make(folder.path(), Network::new());
    sandbox.start();
    let network = sandbox.network.clone();
    let policy = network.policy();
    let (from, to) = (network.at(1), network.at(0));
    let mut random = Random::new(7);
    let mut push = PushClient::new(sandbox.connect(from.id.as_str()).await.unwrap());

    let (header, parts) = network.opening(&from.id, &to.id, now(), &mut random);
    let sent = envelope(from, &header, &parts);
    let receipt = receipt_of(push.push_one(sent.clone()).await.unwrap().into_inner());
    receipt.verify(&policy).unwrap();
    let again = receipt_of(push.push_one(sent.clone()).await.unwrap().into_inner());
    assert_eq!(receipt.to_file(), again.to_file(), "the same envelope has the same receipt");

    // The summary comes at once, the identity is parked.
    let mut stream = Deliveries::open(&sandbox.connect(to.id.as_str()).await.unwrap(), 8).await;
    let delivered = stream.delivered().await;
    assert!(!delivered.repeat);
    let came = delivered.envelope.clone().unwrap();
    assert_eq!(came.signed.as_ref().unwrap().payload, sent.signed.as_ref().unwrap().payload);
    assert_eq!(came.parts.len(), 1);
    assert_eq!(came.parts[0].ciphertext, parts[0]);
    stream.say(wire::deliver_request::Request::Receipt(handover(to, &[delivered]))).await;
    let acknowledged = stream.acknowledged().await;
    let handed = match acknowledged.answers[0].answer.clone().unwrap() {
        wire::handover_answer::Answer::Receipt(receipt) => Receipt::parse(receipt).unwrap(),
        wire::handover_answer::Answer::Refusal(refusal) => panic!("{}", refusal.code),
    };
    handed.verify(&policy).unwrap();

    // The recipient sees and accepts; the identity follows on the same stream.
    let mut push_back = PushClient::new(sandbox.connect(to.id.as_str()).await.unwrap());
    let mut previous = None;
    for act in [Act::See, Act::Accept] {
        let of = ActOf { referral: &header.referral, attempt: 1, from: &to.id, to: &from.id, previous };
        let (mut said, detail) = network.act(&of, act, now(), &mut random);
        said.urgency = header.urgency;
        let act = envelope(to, &said, &detail);
        previous = Some((said.sequence, digest_of(&act)));
        receipt_of(push_back.push_one(act).await.unwrap().into_inner());
    }
    let released = stream.delivered().await;
    let came = released.envelope.clone().unwrap();
    assert_eq!(came.parts.len(), 1);
    assert_eq!(came.parts[0].ciphertext, parts[1], "the identity");
    stream.say(wire::deliver_request::Request::Receipt(handover(to, &[released]))).await;
    assert_eq!(stream.acknowledged().await.answers.len(), 1);

    // Each party sees the same chain of evidence, and each receipt holds.
    let mut evidence = EvidenceClient::new(sandbox.connect(from.id.as_str()).await.unwrap());
    let request = wire::GetTimelineRequest { referral: Some(header.referral.to_wire()) };
    let mut timeline = evidence.get_timeline(request.clone()).await.unwrap().into_inner();
    let mut events = Vec::new();
    while let Some(bundle) = timeline.message().await.unwrap() {
        let receipt = Receipt::parse(bundle.receipt.unwrap()).unwrap();
        receipt.verify(&policy).unwrap();
        events.push(receipt.record().what.event);
        let index = receipt.record().place.index;
        let same = evidence.get_receipt(wire::GetReceiptRequest { index }).await.unwrap().into_inner();
        assert_eq!(Receipt::parse(same).unwrap().to_file(), receipt.to_file());
    }
    assert!(events.len() >= 6, "{events:?}");
    let mut stranger = EvidenceClient::new(sandbox.connect(network.at(3).id.as_str()).await.unwrap());
    let refused = stranger.get_timeline(request).await.map(|_| ()).unwrap_err();
    assert_eq!(refused.code(), Code::NotFound, "others do not learn that it exists");
    assert!(sandbox.terminate());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_envelopes_is_answered_in_its_order_and_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::make(folder.path(), Network::new());
    sandbox.start();
    let network = sandbox.network.clone();
    let (from, to) = (network.at(1), network.at(0));
    let mut random = Random::new(9);
    let sent: Vec<_> = (0..100)
        .map(|_| {
            let (header, parts) = network.opening(&from.id, &to.id, now(), &mut random);
            envelope(from, &header, &parts)
        })
        .collect();
    let push_all = async |sandbox: &Sandbox| -> Vec<String> {
        let mut push = PushClient::new(sandbox.connect(from.id.as_str()).await.unwrap());
        let requests = sent
            .clone()
            .into_iter()
            .zip(0..)
            .map(|(envelope, tag)| wire::PushRequest { tag, envelope: Some(envelope) });
        let mut answers =
            push.push_stream(tokio_stream::iter(requests.collect::<Vec<_>>())).await.unwrap().into_inner();
        let mut receipts = Vec::new();
        while let Some(answer) = answers.message().await.unwrap() {
            assert_eq!(answer.tag, u64::try_from(receipts.len()).unwrap());
            receipts.push(receipt_of(answer).to_file());
        }
        receipts
    };
    let before = push_all(&sandbox).await;
    assert_eq!(before.len(), 100);
    sandbox.kill();
    sandbox.start();
    assert_eq!(push_all(&sandbox).await, before, "acknowledged is acknowledged");
    let mut stream = Deliveries::open(&sandbox.connect(to.id.as_str()).await.unwrap(), 200).await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let delivered = stream.delivered().await;
        assert!(delivered.repeat, "it may have been handed out before the kill");
        assert!(seen.insert(delivered.handover_id.clone()), "once on one stream");
    }
    let nothing = timeout(Duration::from_millis(200), stream.hear.message()).await;
    assert!(nothing.is_err(), "each of them once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_stream_holds_goes_to_the_next_when_it_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::make(folder.path(), Network::new());
    sandbox.start();
    let network = sandbox.network.clone();
    let (from, to) = (network.at(1), network.at(0));
    let mut push = PushClient::new(sandbox.connect(from.id.as_str()).await.unwrap());
    let mut first = Deliveries::open(&sandbox.connect(to.id.as_str()).await.unwrap(), 1).await;
    let mut random = Random::new(11);
    for _ in 0..2 {
        let (header, parts) = network.opening(&from.id, &to.id, now(), &mut random);
        receipt_of(push.push_one(envelope(from, &header, &parts)).await.unwrap().into_inner());
    }
    let held = first.delivered().await;
    assert!(!held.repeat);
    let mut second = Deliveries::open(&sandbox.connect(to.id.as_str()).await.unwrap(), 4).await;
    let other = second.delivered().await;
    assert_ne!(other.handover_id, held.handover_id, "one window of one, so the other stream has it");
    drop(first);
    let again = second.delivered().await;
    assert_eq!(again.handover_id, held.handover_id);
    assert!(again.repeat);
}

/// A connection of a member of staff, with a certificate of its own.
async fn staff(sandbox: &Sandbox, role: Role, pseudonym: &str) -> Channel {
    let identity = Identity::Staff { role, pseudonym: pseudonym.parse().unwrap() };
    let now = UnixTime::of(std::time::SystemTime::now()).unwrap();
    let credential = sandbox.authority().issue_with_key(&identity, now).unwrap();
    credential.save(&sandbox.folder.join(pseudonym)).unwrap();
    sandbox.connect(pseudonym).await.unwrap()
}

/// A timeline's receipts, each verified.
async fn timeline(
    sandbox: &Sandbox,
    channel: &Channel,
    referral: &ReferralKey,
) -> Result<Vec<Receipt>, Status> {
    let request = wire::GetTimelineRequest { referral: Some(referral.to_wire()) };
    let mut bundles = EvidenceClient::new(channel.clone()).get_timeline(request).await?.into_inner();
    let mut receipts = Vec::new();
    while let Some(bundle) = bundles.message().await? {
        let receipt = Receipt::parse(bundle.receipt.unwrap()).unwrap();
        receipt.verify(&sandbox.network.policy()).unwrap();
        receipts.push(receipt);
    }
    Ok(receipts)
}

fn queries(receipts: &[Receipt]) -> Vec<&Record> {
    let records = receipts.iter().map(Receipt::record);
    records.filter(|record| record.what.event == Event::Queried).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_see_evidence_and_whoever_is_looked_at_sees_that() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::make(folder.path(), Network::new());
    sandbox.start();
    let network = sandbox.network.clone();
    let (from, to) = (network.at(1), network.at(0));
    let mut random = Random::new(13);
    let mine = sandbox.connect(from.id.as_str()).await.unwrap();
    let (header, parts) = network.opening(&from.id, &to.id, now(), &mut random);
    let sent = envelope(from, &header, &parts);
    let accepted =
        receipt_of(PushClient::new(mine.clone()).push_one(sent.clone()).await.unwrap().into_inner());

    let auditor = staff(&sandbox, Role::Auditor, "auditor-1").await;
    let seen = timeline(&sandbox, &auditor, &header.referral).await.unwrap();
    assert_eq!(seen[0].to_file(), accepted.to_file());
    let index = accepted.record().place.index;
    let administrator = sandbox.connect("admin-1").await.unwrap();
    let mut evidence = EvidenceClient::new(administrator);
    let one = evidence.get_receipt(wire::GetReceiptRequest { index }).await.unwrap().into_inner();
    assert_eq!(Receipt::parse(one).unwrap().to_file(), accepted.to_file());
    // What was answered was synced before: a kill does not undo that they looked.
    sandbox.kill();
    sandbox.start();
    let mine = sandbox.connect(from.id.as_str()).await.unwrap();
    let theirs = timeline(&sandbox, &mine, &header.referral).await.unwrap();
    let lookers: Vec<_> =
        queries(&theirs).iter().map(|record| record.what.actor.clone().unwrap().to_string()).collect();
    assert_eq!(lookers, ["auditor-1", "admin-1"], "both parties' timelines tell who looked");

    // Never ciphertext, and operators no evidence; each denial is evidence itself.
    let auditor = sandbox.connect("auditor-1").await.unwrap();
    let envelope = digest_of(&sent).to_vec();
    let part = wire::DownloadRequest { envelope, part_id: 1, offset: 0 };
    let denied = failure(PartsClient::new(auditor.clone()).download(part).await);
    assert_eq!(denied.code(), Code::PermissionDenied);
    let denied = failure(ReceiveClient::new(auditor.clone()).fetch(wire::FetchRequest::default()).await);
    assert_eq!(denied.code(), Code::PermissionDenied);
    let operator = staff(&sandbox, Role::Operator, "operator-1").await;
    let denied = refusal_in(&failure(timeline(&sandbox, &operator, &header.referral).await));
    assert_eq!((denied.code.as_str(), denied.receipt.is_some()), (Refusal::RoleNotAllowed.name(), true));
    let nothing = ReferralKey { opened_by: to.id.clone(), ..header.referral.clone() };
    let denied = refusal_in(&failure(timeline(&sandbox, &auditor, &nothing).await));
    assert_eq!((denied.code.as_str(), denied.receipt.is_some()), (Refusal::SubjectUnknown.name(), true));
    assert!(sandbox.terminate());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agency_is_always_answered_and_the_first_of_its_queries_are_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::make(folder.path(), Network::new());
    sandbox.start();
    let network = sandbox.network.clone();
    let (from, to) = (network.at(1), network.at(0));
    let mine = sandbox.connect(from.id.as_str()).await.unwrap();
    let (header, parts) = network.opening(&from.id, &to.id, now(), &mut Random::new(17));
    receipt_of(
        PushClient::new(mine.clone()).push_one(envelope(from, &header, &parts)).await.unwrap().into_inner(),
    );
    let mut last = Vec::new();
    for _ in 0..QUERIES_RECORDED + 3 {
        last = timeline(&sandbox, &mine, &header.referral).await.unwrap();
    }
    let own = queries(&last);
    assert_eq!(u32::try_from(own.len()).unwrap(), QUERIES_RECORDED);
    assert!(own.iter().all(|record| record.what.sender.as_ref() == Some(&from.id)));
    // What one party looks at is not the other's affair.
    let theirs = sandbox.connect(to.id.as_str()).await.unwrap();
    let seen = timeline(&sandbox, &theirs, &header.referral).await.unwrap();
    assert!(queries(&seen).iter().all(|record| record.what.sender.as_ref() == Some(&to.id)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_logs_are_there_for_everyone() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::make(folder.path(), Network::new());
    sandbox.start();
    let mut log = LogClient::new(sandbox.connect("ae.dfwac").await.unwrap());
    let request = |log: wire::LogName| wire::GetCheckpointRequest { log: log.into() };
    let note = log.get_checkpoint(request(wire::LogName::Directory)).await.unwrap().into_inner().checkpoint;
    let note = proto::log::note::SignedNote::parse(&note).unwrap();
    let verifier = sandbox.network.keys.directory.verifier();
    let checkpoint = proto::log::checkpoint::Checkpoint::open(&note, verifier).unwrap();
    let mut directory = DirectoryClient::new(sandbox.connect("ae.dfwac").await.unwrap());
    let request = wire::GetRecordsRequest { from_index: 0 };
    let mut records = directory.get_records(request).await.unwrap().into_inner();
    let mut frontier = proto::log::merkle::Frontier::default();
    while let Some(answer) = records.message().await.unwrap() {
        assert_eq!(answer.index, frontier.size());
        frontier.append(proto::log::merkle::leaf_hash(&answer.record));
    }
    assert_eq!((frontier.size(), frontier.root()), (checkpoint.size, checkpoint.root));
    let consistency = wire::GetConsistencyRequest {
        log: wire::LogName::Directory.into(),
        old_size: 3,
        new_size: checkpoint.size,
    };
    assert!(!log.get_consistency(consistency).await.unwrap().into_inner().path.is_empty());
    let tile = wire::GetTileRequest {
        log: wire::LogName::Directory.into(),
        path: format!("tile/0/000.p/{}", checkpoint.size),
    };
    let hashes = log.get_tile(tile).await.unwrap().into_inner().tile.len() / 32;
    assert_eq!(u64::try_from(hashes).unwrap(), checkpoint.size);
    for path in ["tile/0/../../keys/evidence.key", "checkpoint", "tile/0/000.p/0"] {
        let tile = wire::GetTileRequest { log: wire::LogName::Directory.into(), path: path.to_owned() };
        let refused = log.get_tile(tile).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{path}");
    }
}

/// An agency's own records as far as it has followed them, each checked to follow the one before it.
struct Follower {
    me: AgencyId,
    count: u64,
    last: Option<Commitment>,
    batch: u64,
    events: Vec<Event>,
}

impl Follower {
    fn new(me: &AgencyId) -> Self {
        Self { me: me.clone(), count: 0, last: None, batch: 0, events: Vec::new() }
    }

    /// Follows from where it is, or from a batch that it is given, until it has seen so many records.
    async fn follow(&mut self, channel: &Channel, from_batch: u64, policy: &Policy, count: u64) {
        let request = wire::FollowRequest { after_count: self.count, from_batch };
        let mut answers = EvidenceClient::new(channel.clone()).follow(request).await.unwrap().into_inner();
        while self.count < count {
            let answer = timeout(PATIENCE, answers.message()).await.expect("more is there");
            let answer = answer.unwrap().expect("the stream stays open");
            let last = Receipt::parse(answer.last.unwrap()).unwrap();
            last.verify(policy).unwrap();
            for salted in answer.before {
                self.take(&Record::parse(salted.record, &salted.salt).unwrap());
            }
            self.take(last.record());
            self.batch = answer.batch;
        }
    }

    fn take(&mut self, record: &Record) {
        let link = record.place.links.iter().find(|link| link.party == self.me).expect("a party of it");
        assert_eq!((link.count, link.previous), (self.count + 1, self.last));
        (self.count, self.last) = (link.count, Some(record.commitment()));
        self.events.push(record.what.event);
    }

    fn accepted(&self) -> usize {
        self.events.iter().filter(|one| **one == Event::SubmissionAcceptance).count()
    }
}

async fn push_some(sandbox: &Sandbox, count: usize, random: &mut Random) {
    let network = &sandbox.network;
    let (from, to) = (network.at(1), network.at(0));
    let mut push = PushClient::new(sandbox.connect(from.id.as_str()).await.unwrap());
    for _ in 0..count {
        let (header, parts) = network.opening(&from.id, &to.id, now(), random);
        receipt_of(push.push_one(envelope(from, &header, &parts)).await.unwrap().into_inner());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agency_follows_its_own_records_without_a_gap() {
    const PUSHES: usize = 5;
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::make(folder.path(), Network::new());
    sandbox.start();
    let network = sandbox.network.clone();
    let policy = network.policy();
    let (me, other) = (&network.at(1).id, &network.at(2).id);
    let mut random = Random::new(90);
    push_some(&sandbox, PUSHES, &mut random).await;
    // From its first record of all. A push is accepted and consigned.
    let of_pushes = u64::try_from(2 * PUSHES).unwrap();
    let channel = sandbox.connect(me.as_str()).await.unwrap();
    let mut follower = Follower::new(me);
    follower.follow(&channel, 0, &policy, of_pushes).await;
    while follower.accepted() < PUSHES {
        let next = follower.count + 1;
        follower.follow(&channel, follower.batch, &policy, next).await;
    }
    // On from there, over a restart of the gateway.
    sandbox.kill();
    sandbox.start();
    push_some(&sandbox, PUSHES, &mut random).await;
    let channel = sandbox.connect(me.as_str()).await.unwrap();
    let more = follower.count + of_pushes;
    follower.follow(&channel, follower.batch, &policy, more).await;
    while follower.accepted() < 2 * PUSHES {
        let next = follower.count + 1;
        follower.follow(&channel, follower.batch, &policy, next).await;
    }
    // Where to begin is a hint: one that is too late leaves nothing out.
    let mut anew = Follower::new(me);
    anew.follow(&channel, follower.batch, &policy, of_pushes).await;
    assert_eq!(anew.events, follower.events[..anew.events.len()]);
    // Nobody follows what is another's.
    let mut stranger = Follower::new(other);
    let channel = sandbox.connect(other.as_str()).await.unwrap();
    stranger.follow(&channel, 0, &policy, 1).await;
    assert_eq!(stranger.accepted(), 0, "{:?}", stranger.events);
    // Staff have no records of their own.
    let auditor = staff(&sandbox, Role::Auditor, "auditor-2").await;
    let denied = EvidenceClient::new(auditor).follow(wire::FollowRequest::default()).await;
    assert_eq!(refusal_in(&failure(denied)).code, Refusal::RoleNotAllowed.name());
    assert!(sandbox.terminate());
}
