//! What agents say to a gateway and hear from it, over real connections. Not here: the network and
//! its process (`sandbox`), and what no honest agent would say (`peer`).
#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::panic,
    clippy::must_use_candidate,
    reason = "a test that does not hear what it must has failed"
)]

use std::{
    collections::BTreeSet,
    io::{Read as _, Write as _},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use bytes::Bytes;
use gateway::service::{
    answers::REFUSAL_HEADER,
    stubs::{push_client::PushClient, receive_client::ReceiveClient},
};
use prost::Message as _;
use proto::{
    digest::Digest,
    dsse::{self, PayloadType},
    header::Header,
    ids::TimeMs,
    receipt::Receipt,
    refusal::Refusal,
    wire::{self, deliver_request::Request as Said},
};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, transport::Channel};
use tonic_types::StatusExt as _;

use crate::network::Agency;

/// How long anything is waited for that must come.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// How often a condition is looked at.
const LOOK: Duration = Duration::from_millis(20);

/// The time that gateways on this machine go by.
pub fn now() -> TimeMs {
    gateway::clock::now()
}

/// An envelope, signed by its sender.
pub fn envelope(sender: &Agency, header: &Header, parts: &[Bytes]) -> wire::Envelope {
    envelope_of(sender, header.to_wire().encode_to_vec(), parts)
}

/// An envelope of any payload, signed by its sender.
pub fn envelope_of(sender: &Agency, payload: Vec<u8>, parts: &[Bytes]) -> wire::Envelope {
    let signed = dsse::sign(PayloadType::Envelope, payload, &[&sender.key]);
    let parts = (1..)
        .zip(parts)
        .map(|(part_id, ciphertext)| wire::InlinePart { part_id, ciphertext: ciphertext.clone() });
    wire::Envelope { signed: Some(signed), parts: parts.collect() }
}

/// The digest by which an envelope is named.
pub fn digest_of(envelope: &wire::Envelope) -> Digest {
    let signed = envelope.signed.as_ref().unwrap();
    Digest::of(&dsse::pre_authentication_encoding(&signed.payload_type, &signed.payload))
}

/// A recipient's receipt over what was delivered.
pub fn handover(recipient: &Agency, delivered: &[wire::Delivered]) -> wire::SignedObject {
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

/// The receipt of what was taken.
pub fn receipt_of(answer: wire::PushAnswer) -> Receipt {
    match answer.answer {
        Some(wire::push_answer::Answer::Receipt(receipt)) => Receipt::parse(receipt).unwrap(),
        Some(wire::push_answer::Answer::Refusal(refusal)) => {
            panic!("refused: {} {}", refusal.code, refusal.field)
        }
        Some(wire::push_answer::Answer::Fault(fault)) => panic!("fault: {}", fault.code),
        None => panic!("no answer"),
    }
}

/// The refusal of what was not.
pub fn refusal_of(answer: wire::PushAnswer) -> wire::RefusalAnswer {
    match answer.answer {
        Some(wire::push_answer::Answer::Refusal(refusal)) => refusal,
        Some(wire::push_answer::Answer::Receipt(_)) => panic!("it was taken"),
        Some(wire::push_answer::Answer::Fault(fault)) => panic!("fault: {}", fault.code),
        None => panic!("no answer"),
    }
}

/// The status of a call that must fail.
pub fn failure<T>(answer: Result<T, Status>) -> Status {
    match answer {
        Ok(_) => panic!("it was answered"),
        Err(status) => status,
    }
}

/// The refusal that a status carries, checked: stable code, field and both languages, the same in every
/// place where they stand.
pub fn refusal_in(status: &Status) -> wire::RefusalAnswer {
    let value = status.metadata().get_bin(REFUSAL_HEADER);
    let value = value.unwrap_or_else(|| panic!("no typed refusal: {status:?}"));
    let answer = wire::RefusalAnswer::decode(value.to_bytes().unwrap()).unwrap();
    let info = status.get_details_error_info().unwrap();
    assert_eq!((info.reason.as_str(), info.domain.as_str()), (answer.code.as_str(), "referral.v1"));
    assert_eq!(info.metadata["text_ar"], answer.text_ar);
    let fields = status.get_details_bad_request().map(|bad| bad.field_violations).unwrap_or_default();
    let fields: Vec<_> = fields.iter().map(|violation| violation.field.as_str()).collect();
    let expected: Vec<_> = [answer.field.as_str()].into_iter().filter(|field| !field.is_empty()).collect();
    assert_eq!(fields, expected);
    check_refusal(&answer);
    answer
}

/// A refusal's code, number and both texts must be those of one refusal.
pub fn check_refusal(answer: &wire::RefusalAnswer) {
    let refusal = Refusal::from_number(answer.number).unwrap();
    assert_eq!(answer.code, refusal.name());
    assert_eq!((answer.text_en.as_str(), answer.text_ar.as_str()), (refusal.text_en(), refusal.text_ar()));
}

/// What waits for an agency, by its hand-over ids, and its envelopes.
pub async fn waiting(channel: &Channel) -> Vec<wire::Delivered> {
    let mut receive = ReceiveClient::new(channel.clone()).max_decoding_message_size(64 * 1024 * 1024);
    let request = wire::FetchRequest { count_max: u32::MAX };
    receive.fetch(request).await.unwrap().into_inner().deliveries
}

/// The ids of [`waiting`].
pub async fn waiting_ids(channel: &Channel) -> BTreeSet<Vec<u8>> {
    waiting(channel).await.into_iter().map(|delivered| delivered.handover_id).collect()
}

/// A stream of pushes, and how to speak on it.
pub struct Pushes {
    say: mpsc::Sender<wire::PushRequest>,
    hear: Streaming<wire::PushAnswer>,
    tag: u64,
}

impl Pushes {
    /// Opens one.
    ///
    /// # Errors
    /// What the gateway answers.
    pub async fn open(channel: &Channel) -> Result<Self, Status> {
        let (say, said) = mpsc::channel(16);
        let hear = PushClient::new(channel.clone()).push_stream(ReceiverStream::new(said)).await?;
        Ok(Self { say, hear: hear.into_inner(), tag: 0 })
    }

    /// Pushes one envelope and hears its answer.
    pub async fn push(&mut self, envelope: wire::Envelope) -> wire::PushAnswer {
        self.try_push(envelope).await.unwrap().unwrap()
    }

    /// Pushes one envelope until it is decided, as an agent does: the same bytes again after a fault.
    pub async fn push_until_decided(&mut self, envelope: wire::Envelope) -> wire::PushAnswer {
        loop {
            let answer = self.push(envelope.clone()).await;
            match &answer.answer {
                Some(wire::push_answer::Answer::Fault(_)) => tokio::time::sleep(LOOK).await,
                _ => return answer,
            }
        }
    }

    /// As [`Self::push`]; nothing when the stream has ended.
    ///
    /// # Errors
    /// How the stream ended.
    pub async fn try_push(&mut self, envelope: wire::Envelope) -> Result<Option<wire::PushAnswer>, Status> {
        self.tag += 1;
        // Of a stream that has ended, the answer tells.
        drop(self.say.send(wire::PushRequest { tag: self.tag, envelope: Some(envelope) }).await);
        let answer = timeout(PATIENCE, self.hear.message()).await.unwrap()?;
        assert!(answer.as_ref().is_none_or(|answer| answer.tag == self.tag), "another's answer");
        Ok(answer)
    }
}

/// A stream of deliveries, and how to speak on it.
pub struct Deliveries {
    /// What the gateway sends.
    pub hear: Streaming<wire::Delivery>,
    say: mpsc::Sender<wire::DeliverRequest>,
}

impl Deliveries {
    /// Opens one that will take so many.
    pub async fn open(channel: &Channel, window: u32) -> Self {
        let (say, said) = mpsc::channel(16);
        let mut client = ReceiveClient::new(channel.clone()).max_decoding_message_size(64 * 1024 * 1024);
        let hear = client.deliver(ReceiverStream::new(said)).await.unwrap().into_inner();
        let stream = Self { hear, say };
        stream.say(Said::Window(window)).await;
        stream
    }

    /// Says something.
    pub async fn say(&self, request: Said) {
        self.say.send(wire::DeliverRequest { request: Some(request) }).await.unwrap();
    }

    /// The next message, which must be a delivery.
    pub async fn delivered(&mut self) -> wire::Delivered {
        match timeout(PATIENCE, self.hear.message()).await.unwrap().unwrap().unwrap().delivery {
            Some(wire::delivery::Delivery::Delivered(delivered)) => delivered,
            _ => panic!("an acknowledgement before its delivery"),
        }
    }

    /// The next message, which must be the answer to a receipt.
    pub async fn acknowledged(&mut self) -> wire::AcknowledgeAnswer {
        match timeout(PATIENCE, self.hear.message()).await.unwrap().unwrap().unwrap().delivery {
            Some(wire::delivery::Delivery::Acknowledged(answer)) => answer,
            _ => panic!("a delivery, not an acknowledgement"),
        }
    }
}

/// Waits until a condition gives something.
pub async fn until<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let mut look = tokio::time::interval(LOOK);
    let come = async {
        loop {
            look.tick().await;
            if let Some(came) = condition() {
                return came;
            }
        }
    };
    timeout(PATIENCE, come).await.unwrap_or_else(|_| panic!("never came: {what}"))
}

/// What a gateway's plain HTTP answers to a path: status line, headers and body.
pub fn get(address: SocketAddr, path: &str) -> String {
    let mut tcp = TcpStream::connect(address).unwrap();
    tcp.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(tcp, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    tcp.read_to_string(&mut answer).unwrap();
    answer
}

/// A metric's present value.
pub fn metric(address: SocketAddr, name: &str) -> f64 {
    let text = get(address, "/metrics");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("no metric {name} in:\n{text}")).trim().parse().unwrap()
}

/// Whether the gateway says, now or soon, that it would take envelopes: just after its start its index
/// may still be on its way.
pub fn is_ready(address: SocketAddr) -> bool {
    let begun = std::time::Instant::now();
    let ready = || get(address, "/ready").starts_with("HTTP/1.1 200");
    std::iter::repeat_with(ready).find(|ready| *ready || begun.elapsed() > PATIENCE).unwrap_or(false)
}
