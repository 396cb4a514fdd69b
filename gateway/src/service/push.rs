//! `Push`: envelopes come in. Signatures are verified here, on all cores, before the writer sees
//! anything; answers go out in the order of the messages. Not here: what is decided.

use std::sync::Arc;

use futures::{FutureExt as _, StreamExt as _};
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

/// Most envelopes of one stream that are verified one after the other in one task: what comes together
/// costs one task, and yet one stream uses all cores.
const VERIFIED_TOGETHER_MAX: usize = 4;

/// An envelope of a stream, with its place among the answers and its room in the queue.
struct Arrived {
    tag: u64,
    envelope: wire::Envelope,
    held: Held,
}

/// What an envelope takes until it is answered.
struct Held {
    slot: OwnedSemaphorePermit,
    room: Room,
}

/// Envelopes whose signatures are verified.
struct Verifying {
    held: Vec<(u64, Held)>,
    requests: JoinHandle<Vec<writer::Request>>,
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
            answers::Outcome::Refused(answer, refusal) => {
                self.0.board.refused(&caller, refusal);
                Err(answers::refusal_status(refusal, &self.0.led_elsewhere(*answer, refusal)))
            }
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
        let (gateway, messages) = (Arc::clone(&self.0), request.into_inner());
        let reading = Reading { gateway, share, slots, messages, read: None };
        let pusher = Arc::new(caller.clone());
        tokio::spawn(reading.all(caller, verified));
        tokio::spawn(ask_all(Arc::clone(&self.0), to_ask, asked));
        let gateway = Arc::clone(&self.0);
        let answers = ReceiverStream::new(to_answer).then(move |under_way: Result<UnderWay, Status>| {
            let (gateway, pusher) = (Arc::clone(&gateway), Arc::clone(&pusher));
            async move {
                let UnderWay { tag, answer, slot } = under_way?;
                let answer = answer.kept(&gateway, &pusher).await;
                drop(slot);
                Ok(wire::PushAnswer { tag, answer: Some(answer) })
            }
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
    /// A message that was read when there was no room for it.
    read: Option<(wire::PushRequest, OwnedSemaphorePermit)>,
}

impl Reading {
    /// Reads it to its end; what comes together is verified in a task of its own, so that one stream can
    /// use all cores.
    async fn all(mut self, caller: Caller, verified: mpsc::Sender<Result<Verifying, Status>>) {
        let gateway = Arc::clone(&self.gateway);
        loop {
            let next = tokio::select! {
                next = self.next() => next,
                () = gateway.stop.cancelled() => return,
            };
            let first = match next {
                Ok(Some(first)) => first,
                Ok(None) => return,
                Err(status) => return self.end(&caller, &verified, status).await,
            };
            let mut arrived = vec![first];
            let mut ended = None;
            while arrived.len() < VERIFIED_TOGETHER_MAX && ended.is_none() {
                match self.next_that_is_here() {
                    Some(Ok(next)) => arrived.push(next),
                    Some(Err(status)) => ended = Some(status),
                    None => break,
                }
            }
            if verified.send(Ok(self.verify(&caller, arrived))).await.is_err() {
                return;
            }
            if let Some(status) = ended {
                return self.end(&caller, &verified, status).await;
            }
        }
    }

    /// What is not a message of this stream ends it; there is no tag to answer under.
    async fn end(&self, caller: &Caller, out: &mpsc::Sender<Result<Verifying, Status>>, status: Status) {
        let status = record(&self.gateway, caller, status).await;
        drop(out.send(Err(status)).await);
    }

    fn verify(&self, caller: &Caller, arrived: Vec<Arrived>) -> Verifying {
        let (gateway, caller) = (Arc::clone(&self.gateway), caller.clone());
        let (mut held, mut envelopes) = (Vec::new(), Vec::new());
        for one in arrived {
            held.push((one.tag, one.held));
            envelopes.push(one.envelope);
        }
        let read = move |envelope| gateway.read(&caller, envelope);
        let requests = tokio::spawn(async move { envelopes.into_iter().map(read).collect() });
        Verifying { held, requests }
    }

    /// The next message, with its slot among the answers and its room in the queue.
    async fn next(&mut self) -> Result<Option<Arrived>, Status> {
        let (message, slot) = match self.read.take() {
            Some(read) => read,
            None => {
                let Ok(slot) = Arc::clone(&self.slots).acquire_owned().await else {
                    return Ok(None);
                };
                match self.messages.message().await? {
                    Some(message) => (message, slot),
                    None => return Ok(None),
                }
            }
        };
        let bytes = message.encoded_len();
        let Some(own) = self.share.take(bytes).await else {
            return Ok(None);
        };
        let room = self.gateway.hub.room(bytes).await.map_err(answers::unavailable_status)?;
        Ok(Some(Arrived::new(message, Held { slot, room: room.and(own) })))
    }

    /// As [`Self::next`], if nothing has to be waited for. What was read when there is no room for it is
    /// the next.
    fn next_that_is_here(&mut self) -> Option<Result<Arrived, Status>> {
        let slot = Arc::clone(&self.slots).try_acquire_owned().ok()?;
        let message = match self.messages.message().now_or_never()? {
            Ok(message) => message?,
            Err(status) => return Some(Err(status)),
        };
        let bytes = message.encoded_len();
        match (self.share.try_take(bytes), self.gateway.hub.try_room(bytes)) {
            (Some(own), Ok(room)) => Some(Ok(Arrived::new(message, Held { slot, room: room.and(own) }))),
            _ => {
                self.read = Some((message, slot));
                None
            }
        }
    }
}

impl Arrived {
    fn new(message: wire::PushRequest, held: Held) -> Self {
        Self { tag: message.tag, envelope: message.envelope.unwrap_or_default(), held }
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
        let verifying = match verified {
            Ok(verifying) => verifying,
            Err(status) => {
                if asked.send(Err(status)).await.is_err() {
                    return;
                }
                continue;
            }
        };
        // None when verifying them broke: there is no answer but a fault.
        let mut requests = verifying.requests.await.unwrap_or_default().into_iter();
        for (tag, held) in verifying.held {
            let answer = match requests.next() {
                Some(request) => ask(&gateway, request, held.room).await,
                None => Promise::fault(answers::unavailable_fault(Unavailable::Ending)),
            };
            if asked.send(Ok(UnderWay { tag, answer, slot: held.slot })).await.is_err() {
                return;
            }
        }
    }
}

async fn ask(gateway: &Gateway, request: writer::Request, room: Room) -> Promise {
    match gateway.hub.ask_in_turn(request, room).await {
        Ok(answer) => Promise::Writer(answer),
        Err(unavailable) => Promise::fault(answers::unavailable_fault(unavailable)),
    }
}

impl Promise {
    fn fault(fault: wire::Fault) -> Self {
        Self::Known(Box::new(wire::push_answer::Answer::Fault(fault)))
    }

    async fn kept(self, gateway: &Gateway, caller: &Caller) -> wire::push_answer::Answer {
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
                    answers::Outcome::Refused(answer, refusal) => {
                        gateway.board.refused(caller, refusal);
                        Kept::Refusal(gateway.led_elsewhere(*answer, refusal))
                    }
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

    /// A refusal because the mechanism has changed names the one in force.
    fn led_elsewhere(&self, answer: wire::RefusalAnswer, refusal: Refusal) -> wire::RefusalAnswer {
        let directory = (refusal == Refusal::MechanismChanged).then(|| self.hub.directory());
        let held = directory.as_ref().and_then(|directory| directory.mechanism());
        wire::RefusalAnswer {
            mechanism: held.map_or_else(Vec::new, |held| held.signed.digest().to_vec()),
            ..answer
        }
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
        let missing = uploaded
            .any(|(digest, length)| !self.parts.hold(&header.from, &digest, length, header.expires_at));
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
