//! `Push`: envelopes come in. Signatures are verified here, on all cores, before the writer sees
//! anything; answers go out in the order of the messages. Not here: what is decided.

use std::sync::Arc;

use futures::StreamExt as _;
use prost::Message as _;
use proto::{
    Malformed,
    caller::Caller,
    command::{Command, check_parts},
    digest::Digest,
    directory::Directory,
    header::Header,
    ids::Storage,
    refusal::Refusal,
    wire,
};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    task::JoinHandle,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{
    Answers, Gateway, answers, caller, denial, intake::CallersShare, record, stubs::push_server::Push,
};
use crate::{
    hub::{Room, Unavailable},
    peer::Peer,
    telemetry,
    writer::{self, answer::Answer},
};

/// Most envelopes of one stream whose answers are not on their way. Beyond, the stream is not read.
pub const STREAM_IN_FLIGHT_MAX: usize = 512;

/// The service.
#[derive(Clone)]
pub struct PushService(pub Arc<Gateway>);

/// An envelope of a stream whose signature is verified.
struct Verifying {
    tag: u64,
    request: JoinHandle<writer::Request>,
    slot: OwnedSemaphorePermit,
    room: Room,
}

/// An envelope of a stream that the writer was asked about.
struct UnderWay {
    tag: u64,
    answer: Promise,
    slot: OwnedSemaphorePermit,
}

/// Where its answer will come from.
enum Promise {
    Writer(oneshot::Receiver<Answer>),
    Known(Box<wire::push_answer::Answer>),
}

#[tonic::async_trait]
impl Push for PushService {
    async fn push_one(&self, request: Request<wire::Envelope>) -> Result<Response<wire::PushAnswer>, Status> {
        let (caller, share) = (caller(&request)?, share(&self.0, &request)?);
        let envelope = request.into_inner();
        let own = share.try_take(envelope.encoded_len());
        let own = own.ok_or_else(|| self.0.turn_away(Unavailable::Full))?;
        let room = self.0.hub.try_room(envelope.encoded_len());
        let room = room.map_err(|unavailable| self.0.turn_away(unavailable))?.and(own);
        let request = self.0.read(&caller, envelope);
        let answer = self.0.hub.ask_in(request, room).map_err(|unavailable| self.0.turn_away(unavailable))?;
        let answer = answer.await.map_err(|_| answers::unavailable_status(Unavailable::Ending))?;
        match answers::outcome(answer) {
            answers::Outcome::Taken(receipts, _) => {
                let receipt =
                    receipts.first().map(|receipt| wire::push_answer::Answer::Receipt(receipt.to_wire()));
                Ok(Response::new(wire::PushAnswer { tag: 0, answer: receipt }))
            }
            answers::Outcome::Refused(answer, refusal) => Err(answers::refusal_status(refusal, &answer)),
            answers::Outcome::Fault(fault) => Err(answers::fault_status(&fault)),
        }
    }

    type PushStreamStream = Answers<wire::PushAnswer>;

    async fn push_stream(
        &self,
        request: Request<Streaming<wire::PushRequest>>,
    ) -> Result<Response<Self::PushStreamStream>, Status> {
        let (caller, share) = (caller(&request)?, share(&self.0, &request)?);
        let (verified, to_ask) = mpsc::channel(STREAM_IN_FLIGHT_MAX);
        let (asked, to_answer) = mpsc::channel(STREAM_IN_FLIGHT_MAX);
        let slots = Arc::new(Semaphore::new(STREAM_IN_FLIGHT_MAX));
        let reading = Reading { gateway: Arc::clone(&self.0), share, slots, messages: request.into_inner() };
        tokio::spawn(reading.all(caller, verified));
        tokio::spawn(ask_all(Arc::clone(&self.0), to_ask, asked));
        let answers = ReceiverStream::new(to_answer).then(|under_way: Result<UnderWay, Status>| async move {
            let UnderWay { tag, answer, slot } = under_way?;
            let answer = answer.kept().await;
            drop(slot);
            Ok(wire::PushAnswer { tag, answer: Some(answer) })
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

/// A stream that is read. Nothing is read for which there is no slot among the answers, so that whoever
/// does not read answers fills no queue; nor is anything read on without room for what came: of the
/// caller's share, and of the writer's queue.
struct Reading {
    gateway: Arc<Gateway>,
    share: CallersShare,
    slots: Arc<Semaphore>,
    messages: Streaming<wire::PushRequest>,
}

impl Reading {
    /// Reads it to its end; each envelope is verified in a task of its own, so that one stream can use
    /// all cores.
    async fn all(mut self, caller: Caller, verified: mpsc::Sender<Result<Verifying, Status>>) {
        let gateway = Arc::clone(&self.gateway);
        loop {
            let next = tokio::select! {
                next = self.next() => next,
                () = gateway.stop.cancelled() => return,
            };
            let (message, slot, room) = match next {
                Ok(Some(next)) => next,
                Ok(None) => return,
                // What is not a message of this stream ends it; there is no tag to answer under.
                Err(status) => {
                    let status = record(&gateway, &caller, status).await;
                    return drop(verified.send(Err(status)).await);
                }
            };
            let (gateway, caller) = (Arc::clone(&gateway), caller.clone());
            let envelope = message.envelope.unwrap_or_default();
            let request = tokio::spawn(async move { gateway.read(&caller, envelope) });
            if verified.send(Ok(Verifying { tag: message.tag, request, slot, room })).await.is_err() {
                return;
            }
        }
    }

    /// The next message, with its slot among the answers and its room in the queue.
    async fn next(&mut self) -> Result<Option<(wire::PushRequest, OwnedSemaphorePermit, Room)>, Status> {
        let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
            return Ok(None);
        };
        let Some(message) = self.messages.message().await? else {
            return Ok(None);
        };
        let bytes = message.encoded_len();
        let Some(own) = self.share.take(bytes).await else {
            return Ok(None);
        };
        let room = self.gateway.hub.room(bytes).await.map_err(answers::unavailable_status)?;
        Ok(Some((message, slot, room.and(own))))
    }
}

/// The caller's share of what is on its way to the writer.
fn share<T>(gateway: &Gateway, request: &Request<T>) -> Result<CallersShare, Status> {
    let peer = request.extensions().get::<Arc<Peer>>();
    let peer = peer.ok_or_else(|| Status::unauthenticated("no certificate"))?;
    Ok(gateway.intake.under_way(&peer.name()))
}

/// Hands what was verified to the writer, in the order of the messages.
async fn ask_all(
    gateway: Arc<Gateway>,
    mut verified: mpsc::Receiver<Result<Verifying, Status>>,
    asked: mpsc::Sender<Result<UnderWay, Status>>,
) {
    while let Some(verified) = verified.recv().await {
        let under_way = match verified {
            Ok(verifying) => Ok(verifying.ask(&gateway).await),
            Err(status) => Err(status),
        };
        if asked.send(under_way).await.is_err() {
            return;
        }
    }
}

impl Verifying {
    async fn ask(self, gateway: &Gateway) -> UnderWay {
        let answer = match self.request.await {
            Ok(request) => match gateway.hub.ask_in_turn(request, self.room).await {
                Ok(answer) => Promise::Writer(answer),
                Err(unavailable) => Promise::fault(answers::unavailable_fault(unavailable)),
            },
            Err(_) => Promise::fault(answers::unavailable_fault(Unavailable::Ending)),
        };
        UnderWay { tag: self.tag, answer, slot: self.slot }
    }
}

impl Promise {
    fn fault(fault: wire::Fault) -> Self {
        Self::Known(Box::new(wire::push_answer::Answer::Fault(fault)))
    }

    async fn kept(self) -> wire::push_answer::Answer {
        use wire::push_answer::Answer as Kept;
        let ending = || Kept::Fault(answers::unavailable_fault(Unavailable::Ending));
        match self {
            Self::Known(answer) => *answer,
            Self::Writer(answer) => answer.await.map_or_else(
                |_| ending(),
                |answer| match answers::outcome(answer) {
                    answers::Outcome::Taken(receipts, _) => {
                        receipts.first().map_or_else(ending, |receipt| Kept::Receipt(receipt.to_wire()))
                    }
                    answers::Outcome::Refused(answer, _) => Kept::Refusal(*answer),
                    answers::Outcome::Fault(fault) => Kept::Fault(fault),
                },
            ),
        }
    }
}

impl Gateway {
    fn turn_away(&self, unavailable: Unavailable) -> Status {
        self.metrics.turned_away.inc();
        answers::unavailable_status(unavailable)
    }

    /// Makes of an envelope what the writer is asked: the push, or the denial of what is none.
    fn read(&self, caller: &Caller, envelope: wire::Envelope) -> writer::Request {
        let span = telemetry::read_span();
        let _entered = span.enter();
        let payload = envelope.signed.as_ref().map_or_else(Vec::new, |signed| signed.payload.clone());
        match verify(&self.hub.directory(), caller, envelope) {
            Ok(request) => match self.missing_part(&request) {
                None => {
                    if let Some(signed) = request.command.signed().filter(|_| !span.is_none()) {
                        self.trails.begin(signed.digest(), &span);
                    }
                    request
                }
                Some(field) => denied(caller, Refusal::PartNotUploaded, field, &payload),
            },
            Err(malformed) => {
                self.metrics.malformed.inc();
                denial(caller.clone(), malformed, &payload)
            }
        }
    }

    /// The parts that were to be uploaded beforehand must be here, whole and synced.
    fn missing_part(&self, request: &writer::Request) -> Option<&'static str> {
        let header = request.command.header()?;
        let mut uploaded = uploaded(header);
        let missing = uploaded.any(|(digest, length)| !self.parts.hold(&header.from, &digest, length));
        missing.then_some("parts.sha256")
    }
}

fn uploaded(header: &Header) -> impl Iterator<Item = (Digest, u64)> {
    let parts = header.parts.iter().filter(|part| part.storage == Storage::Uploaded);
    parts.map(|part| (part.sha256, part.length_bytes))
}

fn denied(caller: &Caller, refusal: Refusal, field: &'static str, payload: &[u8]) -> writer::Request {
    let denial = proto::command::Denial { refusal, field, digest: Some(Digest::of(payload)) };
    writer::Request { caller: caller.clone(), command: Command::Denial(denial), parts: Vec::new() }
}

/// Reads and verifies an envelope: its signature by the directory's keys, its parts by their digests.
fn verify(
    directory: &Directory,
    caller: &Caller,
    envelope: wire::Envelope,
) -> Result<writer::Request, Malformed> {
    let signed = envelope.signed.ok_or(Malformed::Missing { field: "signed" })?;
    let command = Command::verify(signed, directory)?;
    let header = command.header().ok_or(Malformed::Form { field: "signed.payload_type" })?;
    check_parts(header, &envelope.parts)?;
    let parts = envelope.parts.into_iter().map(|part| part.ciphertext).collect();
    Ok(writer::Request { caller: caller.clone(), command, parts })
}
