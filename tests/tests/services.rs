//! The gateway's services over real TLS: what goes in comes out, once, with proof. Not here: what is
//! refused, and hostile peers.

use std::time::Duration;

use gateway::service::stubs::{
    directory_client::DirectoryClient, evidence_client::EvidenceClient, log_client::LogClient,
    push_client::PushClient, receive_client::ReceiveClient,
};
use prost::Message as _;
use proto::{
    digest::Digest,
    dsse::{self, PayloadType},
    header::Header,
    ids::TimeMs,
    lifecycle::Act,
    receipt::Receipt,
    wire,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use trials::{
    network::{ActOf, Agency, Network},
    random::Random,
    sandbox::Sandbox,
};

fn now() -> TimeMs {
    gateway::clock::now()
}

fn envelope(sender: &Agency, header: &Header, parts: &[bytes::Bytes]) -> wire::Envelope {
    let signed = dsse::sign(PayloadType::Envelope, header.to_wire().encode_to_vec(), &[&sender.key]);
    let parts = (1..)
        .zip(parts)
        .map(|(part_id, ciphertext)| wire::InlinePart { part_id, ciphertext: ciphertext.clone() });
    wire::Envelope { signed: Some(signed), parts: parts.collect() }
}

fn digest_of(envelope: &wire::Envelope) -> Digest {
    let signed = envelope.signed.as_ref().unwrap();
    Digest::of(&dsse::pre_authentication_encoding(&signed.payload_type, &signed.payload))
}

fn handover(recipient: &Agency, delivered: &[wire::Delivered]) -> wire::SignedObject {
    let handovers = delivered.iter().map(|delivered| {
        let envelope = delivered.envelope.as_ref().unwrap();
        wire::Handover {
            envelope: digest_of(envelope).to_vec(),
            result: wire::HandoverResult::Received.into(),
            part_digests: envelope.parts.iter().map(|part| Digest::of(&part.ciphertext).to_vec()).collect(),
        }
    });
    let receipt = wire::HandoverReceipt {
        version: 1,
        recipient: recipient.id.to_string(),
        handovers: handovers.collect(),
    };
    dsse::sign(PayloadType::Receipt, receipt.encode_to_vec(), &[&recipient.key])
}

fn receipt_of(answer: wire::PushAnswer) -> Receipt {
    match answer.answer {
        Some(wire::push_answer::Answer::Receipt(receipt)) => Receipt::parse(receipt).unwrap(),
        Some(wire::push_answer::Answer::Refusal(refusal)) => {
            panic!("refused: {} {}", refusal.code, refusal.field)
        }
        Some(wire::push_answer::Answer::Fault(fault)) => panic!("fault: {}", fault.code),
        None => panic!("no answer"),
    }
}

/// A stream of deliveries, and how to speak on it.
struct Stream {
    say: mpsc::Sender<wire::DeliverRequest>,
    hear: tonic::Streaming<wire::Delivery>,
}

impl Stream {
    async fn open(sandbox: &Sandbox, agency: &str, window: u32) -> Self {
        let mut client = ReceiveClient::new(sandbox.connect(agency).await.unwrap());
        let (say, said) = mpsc::channel(16);
        let stream =
            Self { hear: client.deliver(ReceiverStream::new(said)).await.unwrap().into_inner(), say };
        stream.say(wire::deliver_request::Request::Window(window)).await;
        stream
    }

    async fn say(&self, request: wire::deliver_request::Request) {
        self.say.send(wire::DeliverRequest { request: Some(request) }).await.unwrap();
    }

    async fn delivered(&mut self) -> wire::Delivered {
        match self.hear.message().await.unwrap().unwrap().delivery {
            Some(wire::delivery::Delivery::Delivered(delivered)) => delivered,
            _ => panic!("an acknowledgement before its delivery"),
        }
    }

    async fn acknowledged(&mut self) -> wire::AcknowledgeAnswer {
        match self.hear.message().await.unwrap().unwrap().delivery {
            Some(wire::delivery::Delivery::Acknowledged(answer)) => answer,
            _ => panic!("a delivery, not an acknowledgement"),
        }
    }
}

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
    let mut stream = Stream::open(&sandbox, to.id.as_str(), 8).await;
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
    assert_eq!(refused.code(), tonic::Code::NotFound, "others do not learn that it exists");
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
    let mut stream = Stream::open(&sandbox, to.id.as_str(), 200).await;
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..100 {
        let delivered = stream.delivered().await;
        assert!(delivered.repeat, "it may have been handed out before the kill");
        assert!(seen.insert(delivered.handover_id.clone()), "once on one stream");
    }
    let nothing = tokio::time::timeout(Duration::from_millis(200), stream.hear.message()).await;
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
    let mut first = Stream::open(&sandbox, to.id.as_str(), 1).await;
    let mut random = Random::new(11);
    for _ in 0..2 {
        let (header, parts) = network.opening(&from.id, &to.id, now(), &mut random);
        receipt_of(push.push_one(envelope(from, &header, &parts)).await.unwrap().into_inner());
    }
    let held = first.delivered().await;
    assert!(!held.repeat);
    let mut second = Stream::open(&sandbox, to.id.as_str(), 4).await;
    let other = second.delivered().await;
    assert_ne!(other.handover_id, held.handover_id, "one window of one, so the other stream has it");
    drop(first);
    let again = second.delivered().await;
    assert_eq!(again.handover_id, held.handover_id);
    assert!(again.repeat);
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
    assert_eq!(log.get_tile(tile).await.unwrap().into_inner().tile.len() as u64, checkpoint.size * 32);
    for path in ["tile/0/../../keys/evidence.key", "checkpoint", "tile/0/000.p/0"] {
        let tile = wire::GetTileRequest { log: wire::LogName::Directory.into(), path: path.to_owned() };
        let refused = log.get_tile(tile).await.map(|_| ()).unwrap_err();
        assert_eq!(refused.code(), tonic::Code::InvalidArgument, "{path}");
    }
}
