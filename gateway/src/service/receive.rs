//! `Receive`: what waits goes out, under lease to a stream, and signed receipts come in. Not here: the
//! order of what waits (`proto::delivery`), who holds what (`hub::desk`).

use std::sync::Arc;

use proto::{
    Malformed,
    caller::Caller,
    command::Command,
    delivery::handover_id,
    ids::{AgencyId, Release},
    refusal::Refusal,
    wire,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Answers, Gateway, agency, answers, caller, denial, record, stubs::receive_server::Receive};
use crate::{
    history::Log,
    hub::{
        Unavailable,
        desk::{Handed, LEASED_MAX, StreamNo},
    },
    writer,
};

/// Most deliveries that one `Fetch` gives.
pub const FETCH_MAX: usize = 64;
/// Most bytes of envelopes that one `Fetch` gives, the first aside.
pub const FETCH_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Most messages of one stream that wait to be sent. Each can be a whole envelope.
const WAITING_MAX: usize = 1;

/// The service.
#[derive(Clone)]
pub struct ReceiveService(pub Arc<Gateway>);

type Out = mpsc::Sender<Result<wire::Delivery, Status>>;

#[tonic::async_trait]
impl Receive for ReceiveService {
    type DeliverStream = Answers<wire::Delivery>;

    async fn deliver(
        &self,
        request: Request<Streaming<wire::DeliverRequest>>,
    ) -> Result<Response<Self::DeliverStream>, Status> {
        let caller = caller(&request)?;
        let agency = agency(&request)?;
        let gateway = Arc::clone(&self.0);
        let (hands, handed) = mpsc::channel(LEASED_MAX);
        let stream = gateway.next_stream();
        gateway.hub.attend(agency.clone(), stream, hands).map_err(answers::unavailable_status)?;
        let (out, deliveries) = mpsc::channel(WAITING_MAX);
        tokio::spawn(deliver_all(Arc::clone(&gateway), agency.clone(), handed, out.clone()));
        tokio::spawn(async move {
            let open = Open { gateway: &gateway, caller, agency: &agency, stream };
            tokio::select! {
                () = open.hear_all(request.into_inner(), &out) => {}
                () = gateway.stop.cancelled() => {}
                () = out.closed() => {}
            }
            gateway.hub.leave(agency.clone(), stream).await;
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(deliveries))))
    }

    async fn fetch(
        &self,
        request: Request<wire::FetchRequest>,
    ) -> Result<Response<wire::FetchAnswer>, Status> {
        let agency = agency(&request)?;
        let count_max = usize::try_from(request.into_inner().count_max).unwrap_or(FETCH_MAX).min(FETCH_MAX);
        let handed =
            self.0.hub.fetch(agency.clone(), count_max).await.map_err(answers::unavailable_status)?;
        let mut deliveries = Vec::with_capacity(handed.len());
        let mut bytes = 0_usize;
        for handed in handed {
            let delivered = self.0.delivered(&agency, handed).await?;
            bytes = bytes.saturating_add(prost::Message::encoded_len(&delivered));
            if bytes > FETCH_BYTES_MAX && !deliveries.is_empty() {
                break;
            }
            deliveries.push(delivered);
        }
        Ok(Response::new(wire::FetchAnswer { deliveries }))
    }

    async fn acknowledge(
        &self,
        request: Request<wire::AcknowledgeRequest>,
    ) -> Result<Response<wire::AcknowledgeAnswer>, Status> {
        let caller = caller(&request)?;
        agency(&request)?;
        let receipt = request.into_inner().receipt;
        let receipt = receipt.ok_or_else(|| answers::malformed(Malformed::Missing { field: "receipt" }))?;
        Ok(Response::new(self.0.acknowledge(caller, receipt).await?))
    }
}

/// A stream that is open, and whose.
struct Open<'a> {
    gateway: &'a Arc<Gateway>,
    caller: Caller,
    agency: &'a AgencyId,
    stream: StreamNo,
}

impl Open<'_> {
    /// Hears what the receiver says, until it ends or says what cannot be understood.
    async fn hear_all(&self, mut requests: Streaming<wire::DeliverRequest>, out: &Out) {
        use wire::deliver_request::Request as Said;
        loop {
            let answer = match requests.message().await {
                Ok(Some(request)) => match request.request {
                    Some(Said::Window(more)) => self.credit(more).map(|()| None),
                    Some(Said::Receipt(receipt)) => {
                        self.gateway.acknowledge(self.caller.clone(), receipt).await.map(Some)
                    }
                    None => Err(answers::malformed(Malformed::Missing { field: "request" })),
                },
                Ok(None) => return,
                Err(status) => Err(status),
            };
            let sent = match answer {
                Ok(None) => Ok(()),
                Ok(Some(answer)) => {
                    let delivery = Some(wire::delivery::Delivery::Acknowledged(answer));
                    out.send(Ok(wire::Delivery { delivery })).await
                }
                Err(status) => {
                    let status = record(self.gateway, &self.caller, status).await;
                    return drop(out.send(Err(status)).await);
                }
            };
            if sent.is_err() {
                return;
            }
        }
    }

    fn credit(&self, more: u32) -> Result<(), Status> {
        let credit = self.gateway.hub.credit(self.agency.clone(), self.stream, more);
        credit.map_err(answers::unavailable_status)
    }
}

/// Sends what is handed out, until the stream ends.
async fn deliver_all(gateway: Arc<Gateway>, agency: AgencyId, mut handed: mpsc::Receiver<Handed>, out: Out) {
    while let Some(handed) = handed.recv().await {
        let delivered = gateway.delivered(&agency, handed).await.map(|delivered| wire::Delivery {
            delivery: Some(wire::delivery::Delivery::Delivered(delivered)),
        });
        gateway.metrics.deliveries.inc();
        if out.send(delivered).await.is_err() {
            return;
        }
    }
}

impl Gateway {
    async fn delivered(&self, agency: &AgencyId, handed: Handed) -> Result<wire::Delivered, Status> {
        let receipt = match handed.receipt {
            // Under which agreement a fallback answers stands in no header.
            None if handed.mail.release == Release::OnTurn => self.receipt(handed.mail.order).await?,
            receipt => receipt,
        };
        let span = self.trails.deliver_span(&handed.mail.envelope);
        let _entered = span.enter();
        let envelope = self.mail.envelope(agency, &handed.mail).map_err(|fault| answers::internal(&fault))?;
        Ok(wire::Delivered {
            envelope,
            handover_id: handover_id(handed.mail.order, &self.published.of(Log::Evidence).shards()),
            repeat: handed.repeat,
            receipt: receipt.as_ref().map(proto::receipt::Receipt::to_wire),
            attempt: handed.mail.attempt,
        })
    }

    /// A recipient's signed receipt: each envelope of it has its own answer.
    async fn acknowledge(
        &self,
        caller: Caller,
        receipt: wire::SignedObject,
    ) -> Result<wire::AcknowledgeAnswer, Status> {
        let payload = receipt.payload.clone();
        let (request, named) = match Command::verify(receipt, &self.hub.directory()) {
            Ok(command) => match &command {
                Command::Handover(handover) => {
                    let named: Vec<_> = handover.received.iter().map(|received| received.envelope).collect();
                    (writer::Request { caller, command, parts: Vec::new() }, named)
                }
                Command::Push(_)
                | Command::Directory(_)
                | Command::Denial(_)
                | Command::Tick(_)
                | Command::Query(_)
                | Command::Queries(_)
                | Command::Erase(_)
                | Command::Operate(_) => {
                    let malformed = Malformed::Form { field: "receipt.payload_type" };
                    (denial(caller, malformed, &payload), Vec::new())
                }
            },
            Err(malformed) => {
                self.metrics.malformed.inc();
                (denial(caller, malformed, &payload), Vec::new())
            }
        };
        let room = self.hub.room(payload.len()).await.map_err(answers::unavailable_status)?;
        let answer = self.hub.ask_in_turn(request, room).await.map_err(answers::unavailable_status)?;
        let answer = answer.await.map_err(|_| answers::unavailable_status(Unavailable::Ending))?;
        match answers::outcome(answer) {
            answers::Outcome::Taken(receipts, not_taken) => Ok(handed_over(&receipts, &not_taken)),
            // Everything in it was handed over before: a repeat after a lost answer.
            answers::Outcome::Refused(answer, Refusal::NotWaiting) => {
                let refused = |envelope: &proto::digest::Digest| wire::HandoverAnswer {
                    envelope: envelope.to_vec(),
                    answer: Some(wire::handover_answer::Answer::Refusal((*answer).clone())),
                };
                Ok(wire::AcknowledgeAnswer { answers: named.iter().map(refused).collect() })
            }
            answers::Outcome::Refused(answer, refusal) => Err(answers::refusal_status(refusal, &answer)),
            answers::Outcome::Fault(fault) => Err(answers::fault_status(&fault)),
        }
    }
}

fn handed_over(
    receipts: &[proto::receipt::Receipt],
    not_taken: &[(proto::digest::Digest, Refusal)],
) -> wire::AcknowledgeAnswer {
    use wire::handover_answer::Answer;
    let taken = receipts.iter().filter_map(|receipt| {
        let envelope = receipt.record().what.envelope?;
        Some((envelope, Answer::Receipt(receipt.to_wire())))
    });
    let refused = not_taken.iter().map(|(envelope, refusal)| {
        (*envelope, Answer::Refusal(answers::refusal_answer(*refusal, refusal.field(), &[], None)))
    });
    let answers = taken
        .chain(refused)
        .map(|(envelope, answer)| wire::HandoverAnswer { envelope: envelope.to_vec(), answer: Some(answer) });
    wire::AcknowledgeAnswer { answers: answers.collect() }
}
