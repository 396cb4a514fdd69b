//! The inbox on its way: deliveries are taken as they come, written down together, and acknowledged
//! with one signature. Not here: checking them (`office::inbound`).

use std::sync::Arc;

use proto::{
    digest::Digest,
    dsse,
    wire::{self, deliver_request, delivery},
};
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::sleep,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};

use super::{
    Broken, MESSAGE_BYTES_MAX, directory,
    parts::{self, Came},
};
use crate::{
    gateway::receive_client::ReceiveClient,
    office::{
        Office,
        inbound::{HANDOVERS_TOGETHER_MAX, NotTaken, Taken},
    },
    opening::{Apart, NotDelivered},
    spool::Spool,
    store::StoreFault,
};

/// Most deliveries that are here and not acknowledged.
pub(super) const WINDOW: u32 = 64;
/// Most deliveries that are taken together.
const TOGETHER_MAX: usize = HANDOVERS_TOGETHER_MAX;
/// Most deliveries whose attachments come at the same time.
const FETCHES_MAX: usize = 2;
/// Most deliveries that are asked for in place of those that wait for attachments.
pub(super) const AHEAD_MAX: u32 = 16;
/// Most bytes of envelopes that are written down at once, the first aside.
const TOGETHER_BYTES_MAX: usize = 2 * 1024 * 1024;

pub(super) async fn run(office: &Arc<Office>, channel: &Channel) -> Broken {
    match deliver_all(office, channel).await {
        Ok(never) => match never {},
        Err(broken) => broken,
    }
}

async fn deliver_all(office: &Arc<Office>, channel: &Channel) -> Result<std::convert::Infallible, Broken> {
    let mut client = ReceiveClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let (says, requests) = mpsc::channel(TOGETHER_MAX);
    let said = Said(says);
    said.window(WINDOW).await?;
    let deliveries = client.deliver(ReceiverStream::new(requests)).await.map_err(Broken::call("Deliver"))?;
    let (came, comes) = mpsc::channel(TOGETHER_MAX);
    let reading = read_all(deliveries.into_inner(), came);
    let inbox = Inbox { office, channel, said, fetches: JoinSet::new(), ahead: 0 };
    tokio::select! {
        broken = reading => Err(broken),
        ended = inbox.work(comes) => ended,
    }
}

/// What is done with deliveries, and what some of them wait for.
struct Inbox<'a> {
    office: &'a Arc<Office>,
    channel: &'a Channel,
    said: Said,
    /// Deliveries whose attachments are coming. They end with this connection.
    fetches: JoinSet<Result<(Arc<wire::Delivered>, Fetched), Broken>>,
    /// How many more deliveries the gateway was asked for, in place of those that wait for
    /// attachments.
    ahead: u32,
}

/// What became of a delivery's attachments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fetched {
    Here,
    /// The delivery does not wait at the gateway any more.
    Gone,
    Other,
}

impl Inbox<'_> {
    async fn work(
        mut self,
        mut comes: mpsc::Receiver<delivery::Delivery>,
    ) -> Result<std::convert::Infallible, Broken> {
        for receipt in self.office.unanswered()? {
            self.said.receipt(receipt).await?;
        }
        let permits = Arc::new(Semaphore::new(FETCHES_MAX));
        loop {
            tokio::select! {
                first = comes.recv() => {
                    let first = first.ok_or(Broken::Closed("the deliveries"))?;
                    let together = gather(first, &mut comes);
                    self.take(together, &permits).await?;
                }
                Some(fetched) = self.fetches.join_next(), if !self.fetches.is_empty() => {
                    let (delivered, fetched) = fetched.map_err(|_| StoreFault::Ended)??;
                    self.fetched(delivered, fetched, &permits).await?;
                }
            }
        }
    }

    async fn take(
        &mut self,
        together: Vec<delivery::Delivery>,
        permits: &Arc<Semaphore>,
    ) -> Result<(), Broken> {
        let mut taken = Vec::new();
        let mut again = 0;
        for delivery in together {
            match delivery {
                delivery::Delivery::Delivered(delivered) => {
                    match self.check(Arc::new(delivered), permits).await? {
                        Checked::Taken(one) => taken.push(*one),
                        // It stays leased to this stream and holds nothing else up.
                        Checked::NotTaken => again += 1,
                        Checked::Waits if self.ahead < AHEAD_MAX => {
                            self.ahead += 1;
                            self.said.window(1).await?;
                        }
                        Checked::Waits => {}
                    }
                }
                delivery::Delivery::Acknowledged(answer) => {
                    again += self.office.acknowledged(answer.answers).await?;
                }
            }
        }
        self.sign(taken).await?;
        self.again(again).await
    }

    /// All of it is durable before it is signed for.
    async fn sign(&self, taken: Vec<Taken>) -> Result<(), Broken> {
        match self.office.receive(taken).await? {
            Some(receipt) => self.said.receipt(receipt).await,
            None => Ok(()),
        }
    }

    /// Asks for more, when it was not asked for already.
    async fn again(&mut self, settled: u32) -> Result<(), Broken> {
        // Whatever still waits keeps its place.
        let waiting = u32::try_from(self.fetches.len()).unwrap_or(u32::MAX);
        let back = self.ahead.saturating_sub(waiting).min(settled);
        self.ahead -= back;
        if settled > back { self.said.window(settled - back).await } else { Ok(()) }
    }

    async fn check(
        &mut self,
        delivered: Arc<wire::Delivered>,
        permits: &Arc<Semaphore>,
    ) -> Result<Checked, Broken> {
        let mut checked = try_take(self.office, &delivered).await?;
        if checked.as_ref().is_err_and(|why| *why == NotTaken::DirectoryBehind) {
            directory::look(self.office, self.channel).await?;
            checked = try_take(self.office, &delivered).await?;
        }
        match checked {
            Ok(taken) => Ok(Checked::Taken(Box::new(taken))),
            Err(NotTaken::NotDelivered(NotDelivered::Apart(apart))) => {
                let (spool, channel) = (self.office.spool.clone(), self.channel.clone());
                self.fetches.spawn(fetch_all(spool, channel, delivered, apart, Arc::clone(permits)));
                Ok(Checked::Waits)
            }
            Err(why) => {
                self.office.not_taken(&delivered, &why).await?;
                Ok(Checked::NotTaken)
            }
        }
    }

    async fn fetched(
        &mut self,
        delivered: Arc<wire::Delivered>,
        fetched: Fetched,
        permits: &Arc<Semaphore>,
    ) -> Result<(), Broken> {
        match fetched {
            Fetched::Here => match self.check(delivered, permits).await? {
                Checked::Taken(taken) => self.sign(vec![*taken]).await,
                Checked::NotTaken => self.again(1).await,
                Checked::Waits => Ok(()),
            },
            Fetched::Gone => self.again(1).await,
            Fetched::Other => {
                let why = NotTaken::NotDelivered(NotDelivered::OtherPart);
                self.office.not_taken(&delivered, &why).await?;
                self.again(1).await
            }
        }
    }
}

enum Checked {
    Taken(Box<Taken>),
    NotTaken,
    /// Attachments must come first.
    Waits,
}

/// What is there already is taken together.
fn gather(
    first: delivery::Delivery,
    comes: &mut mpsc::Receiver<delivery::Delivery>,
) -> Vec<delivery::Delivery> {
    let mut together = vec![first];
    let mut bytes = bytes_of(&together);
    while together.len() < TOGETHER_MAX && bytes < TOGETHER_BYTES_MAX {
        let Ok(more) = comes.try_recv() else {
            break;
        };
        together.push(more);
        bytes = bytes_of(&together);
    }
    together
}

/// Fetches what a delivery needs, one after the other, until it is here or cannot come.
async fn fetch_all(
    spool: Spool,
    channel: Channel,
    delivered: Arc<wire::Delivered>,
    apart: Vec<Apart>,
    permits: Arc<Semaphore>,
) -> Result<(Arc<wire::Delivered>, Fetched), Broken> {
    let Some(envelope) = delivered.envelope.as_ref().and_then(digest_of) else {
        return Ok((delivered, Fetched::Other));
    };
    for apart in apart {
        loop {
            let came = {
                let _permit = permits.acquire().await.map_err(|_| StoreFault::Ended)?;
                parts::download(&spool, &channel, &envelope, apart).await?
            };
            match came {
                Came::Whole => break,
                Came::Gone => return Ok((delivered, Fetched::Gone)),
                Came::Other => return Ok((delivered, Fetched::Other)),
                Came::Later(wait) => sleep(wait).await,
            }
        }
    }
    Ok((delivered, Fetched::Here))
}

fn digest_of(envelope: &wire::Envelope) -> Option<Digest> {
    let signed = envelope.signed.as_ref()?;
    Some(Digest::of(&dsse::pre_authentication_encoding(&signed.payload_type, &signed.payload)))
}

fn bytes_of(together: &[delivery::Delivery]) -> usize {
    together.iter().fold(0, |sum, delivery| match delivery {
        delivery::Delivery::Delivered(delivered) => sum + prost::Message::encoded_len(delivered),
        delivery::Delivery::Acknowledged(_) => sum,
    })
}

/// Reads the stream apart, so that what is there already can be taken together.
async fn read_all(
    mut deliveries: Streaming<wire::Delivery>,
    came: mpsc::Sender<delivery::Delivery>,
) -> Broken {
    loop {
        match deliveries.message().await {
            Ok(Some(wire::Delivery { delivery: Some(delivery) })) => {
                if came.send(delivery).await.is_err() {
                    return Broken::Closed("the deliveries");
                }
            }
            // A kind of message that this version does not know.
            Ok(Some(wire::Delivery { delivery: None })) => {}
            Ok(None) => return Broken::Closed("the deliveries"),
            Err(status) => return Broken::Call { call: "Deliver", status: Box::new(status) },
        }
    }
}

/// Signatures and seals cost milliseconds: not on a thread that others wait for.
async fn try_take(
    office: &Arc<Office>,
    delivered: &Arc<wire::Delivered>,
) -> Result<Result<Taken, NotTaken>, Broken> {
    let (office, delivered) = (Arc::clone(office), Arc::clone(delivered));
    let taken = tokio::task::spawn_blocking(move || office.take(&delivered)).await;
    Ok(taken.map_err(|_| StoreFault::Ended)?)
}

/// What we say on the stream.
struct Said(mpsc::Sender<wire::DeliverRequest>);

impl Said {
    async fn window(&self, more: u32) -> Result<(), Broken> {
        self.say(deliver_request::Request::Window(more)).await
    }

    async fn receipt(&self, receipt: wire::SignedObject) -> Result<(), Broken> {
        self.say(deliver_request::Request::Receipt(receipt)).await
    }

    async fn say(&self, request: deliver_request::Request) -> Result<(), Broken> {
        let request = wire::DeliverRequest { request: Some(request) };
        self.0.send(request).await.map_err(|_| Broken::Closed("the deliveries"))
    }
}
