//! `Push`: envelopes come in. Signatures are verified here, on all cores, before the writer sees
//! anything; answers go out in the order of the messages. Not here: what is decided.

use std::sync::Arc;

use futures::StreamExt as _;
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
    sync::{mpsc, oneshot},
    task::JoinHandle,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Answers, Gateway, answers, caller, denial, stubs::push_server::Push};
use crate::{
    hub::Unavailable,
    writer::{self, answer::Answer},
};

/// Most envelopes of one stream that are under way. Beyond, the stream is not read.
pub const STREAM_IN_FLIGHT_MAX: usize = 512;

/// The service.
#[derive(Clone)]
pub struct PushService(pub Arc<Gateway>);

/// An envelope on its way through a stream.
struct UnderWay {
    tag: u64,
    answer: Promise,
}

/// Where its answer will come from.
enum Promise {
    Writer(oneshot::Receiver<Answer>),
    Known(Box<wire::push_answer::Answer>),
}

#[tonic::async_trait]
impl Push for PushService {
    async fn push_one(&self, request: Request<wire::Envelope>) -> Result<Response<wire::PushAnswer>, Status> {
        let caller = caller(&request)?;
        let request = self.0.read(&caller, request.into_inner());
        let answer = self.0.hub.ask(request).map_err(|unavailable| self.0.turn_away(unavailable))?;
        let answer = answer.await.map_err(|_| answers::unavailable_status(Unavailable::Ending))?;
        match answers::outcome(answer) {
            answers::Outcome::Taken(receipts, _) => {
                let receipt =
                    receipts.first().map(|receipt| wire::push_answer::Answer::Receipt(receipt.to_wire()));
                Ok(Response::new(wire::PushAnswer { tag: 0, answer: receipt }))
            }
            answers::Outcome::Refused(answer, refusal) => {
                Err(answers::refusal_status(refusal, &answer.field, Some(&answer)))
            }
            answers::Outcome::Fault(fault) => Err(answers::fault_status(&fault)),
        }
    }

    type PushStreamStream = Answers<wire::PushAnswer>;

    async fn push_stream(
        &self,
        request: Request<Streaming<wire::PushRequest>>,
    ) -> Result<Response<Self::PushStreamStream>, Status> {
        let caller = caller(&request)?;
        let (verified, to_ask) = mpsc::channel(STREAM_IN_FLIGHT_MAX);
        let (asked, to_answer) = mpsc::channel(STREAM_IN_FLIGHT_MAX);
        tokio::spawn(read_all(Arc::clone(&self.0), caller, request.into_inner(), verified));
        tokio::spawn(ask_all(Arc::clone(&self.0), to_ask, asked));
        let answers = ReceiverStream::new(to_answer).then(|under_way: UnderWay| async move {
            Ok(wire::PushAnswer { tag: under_way.tag, answer: Some(under_way.answer.kept().await) })
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

/// Reads a stream to its end; each envelope is verified in a task of its own, so that one stream can
/// use all cores.
async fn read_all(
    gateway: Arc<Gateway>,
    caller: Caller,
    mut messages: Streaming<wire::PushRequest>,
    verified: mpsc::Sender<(u64, JoinHandle<writer::Request>)>,
) {
    loop {
        let message = tokio::select! {
            message = messages.message() => message,
            () = gateway.stop.cancelled() => return,
        };
        // What is not a message of this stream ends it; there is no tag to answer under.
        let Ok(Some(message)) = message else {
            return;
        };
        let (gateway, caller) = (Arc::clone(&gateway), caller.clone());
        let envelope = message.envelope.unwrap_or_default();
        let task = tokio::spawn(async move { gateway.read(&caller, envelope) });
        if verified.send((message.tag, task)).await.is_err() {
            return;
        }
    }
}

/// Hands what was verified to the writer, in the order of the messages.
async fn ask_all(
    gateway: Arc<Gateway>,
    mut verified: mpsc::Receiver<(u64, JoinHandle<writer::Request>)>,
    asked: mpsc::Sender<UnderWay>,
) {
    while let Some((tag, task)) = verified.recv().await {
        let answer = match task.await {
            Ok(request) => match gateway.hub.ask_in_turn(request).await {
                Ok(answer) => Promise::Writer(answer),
                Err(unavailable) => Promise::fault(answers::unavailable_fault(unavailable)),
            },
            Err(_) => Promise::fault(answers::unavailable_fault(Unavailable::Ending)),
        };
        if asked.send(UnderWay { tag, answer }).await.is_err() {
            return;
        }
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
        let payload = envelope.signed.as_ref().map_or_else(Vec::new, |signed| signed.payload.clone());
        match verify(&self.hub.directory(), caller, envelope) {
            Ok(request) => match self.missing_part(&request) {
                None => request,
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
