//! The inbox on its way: deliveries are taken as they come, written down together, and acknowledged
//! with one signature. Not here: checking them (`office::inbound`).

use std::sync::Arc;

use proto::wire::{self, deliver_request, delivery};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Channel};

use super::{Broken, MESSAGE_BYTES_MAX, directory};
use crate::{
    gateway::receive_client::ReceiveClient,
    office::{
        Office,
        inbound::{HANDOVERS_TOGETHER_MAX, NotTaken, Taken},
    },
    store::StoreFault,
};

/// Most deliveries that are here and not acknowledged.
const WINDOW: u32 = 64;
/// Most deliveries that are taken together.
const TOGETHER_MAX: usize = HANDOVERS_TOGETHER_MAX;
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
    let (came, mut comes) = mpsc::channel(TOGETHER_MAX);
    let reading = read_all(deliveries.into_inner(), came);
    let working = async {
        for receipt in office.unanswered()? {
            said.receipt(receipt).await?;
        }
        loop {
            let first = comes.recv().await.ok_or(Broken::Closed("the deliveries"))?;
            let mut together = vec![first];
            let mut bytes = bytes_of(&together);
            while together.len() < TOGETHER_MAX && bytes < TOGETHER_BYTES_MAX {
                let Ok(more) = comes.try_recv() else {
                    break;
                };
                together.push(more);
                bytes = bytes_of(&together);
            }
            take(office, channel, together, &said).await?;
        }
    };
    tokio::select! {
        broken = reading => Err(broken),
        ended = working => ended,
    }
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

async fn take(
    office: &Arc<Office>,
    channel: &Channel,
    together: Vec<delivery::Delivery>,
    said: &Said,
) -> Result<(), Broken> {
    let mut taken = Vec::new();
    let mut again = 0;
    for delivery in together {
        match delivery {
            delivery::Delivery::Delivered(delivered) => match check(office, channel, delivered).await? {
                Some(one) => taken.push(one),
                // It stays leased to this stream and holds nothing else up.
                None => again += 1,
            },
            delivery::Delivery::Acknowledged(answer) => again += office.acknowledged(answer.answers).await?,
        }
    }
    if let Some(receipt) = office.receive(taken).await? {
        said.receipt(receipt).await?;
    }
    if again > 0 { said.window(again).await } else { Ok(()) }
}

async fn check(
    office: &Arc<Office>,
    channel: &Channel,
    delivered: wire::Delivered,
) -> Result<Option<Taken>, Broken> {
    let delivered = Arc::new(delivered);
    let mut checked = try_take(office, &delivered).await?;
    if checked.as_ref().is_err_and(|why| *why == NotTaken::DirectoryBehind) {
        directory::look(office, channel).await?;
        checked = try_take(office, &delivered).await?;
    }
    match checked {
        Ok(taken) => Ok(Some(taken)),
        Err(why) => {
            office.not_taken(&delivered, &why).await?;
            Ok(None)
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
