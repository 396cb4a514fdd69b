//! The outbox on its way: what waits is pushed in its order, few at a time, again and again until it
//! is answered. Not here: the order (`queue`), the answers' meaning (`office::outbound`).

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use prost::Message as _;
use proto::{digest::Digest, ids::ReferralKey, wire};
use tokio::{
    sync::mpsc,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

use super::{
    Broken, MESSAGE_BYTES_MAX,
    parts::{self, Went},
};
use crate::{
    gateway::push_client::PushClient,
    office::{Office, outbound::Next},
    state::State,
    store::StoreFault,
};

/// Most envelopes under way.
const IN_FLIGHT_MAX: usize = 32;
/// Most bytes of envelopes under way, the first aside.
const IN_FLIGHT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Most envelopes whose attachments are being uploaded.
const UPLOADS_MAX: usize = 2;

/// What is under way, and what must wait.
#[derive(Default)]
struct Pace {
    /// Envelopes whose attachments are going up.
    uploading: BTreeSet<Digest>,
    /// Envelopes whose attachments are all there, as far as this side knows.
    uploaded: BTreeSet<Digest>,
    next_tag: u64,
    under_way: BTreeMap<u64, UnderWay>,
    bytes: usize,
    referrals: BTreeSet<ReferralKey>,
    not_before: BTreeMap<Digest, Instant>,
}

struct UnderWay {
    digest: Digest,
    referral: ReferralKey,
    bytes: usize,
}

impl Pace {
    /// The next envelope to push: the first of a referral of which nothing is under way, and whose
    /// time has come.
    fn next(&self, office: &Office, now: Instant) -> Option<(ReferralKey, Digest)> {
        if self.under_way.len() >= IN_FLIGHT_MAX || self.bytes >= IN_FLIGHT_BYTES_MAX {
            return None;
        }
        let may_upload = self.uploading.len() < UPLOADS_MAX;
        office.store.read(|state| {
            let may = |referral: &ReferralKey, digest: &Digest| {
                !self.referrals.contains(referral)
                    && self.not_before.get(digest).is_none_or(|at| *at <= now)
                    && (may_upload || !self.has_uploads(state, digest))
            };
            let mut heads = state.queue().heads();
            heads
                .find(|(referral, digest)| may(referral, digest))
                .map(|(referral, digest)| (referral.clone(), digest))
        })
    }

    fn has_uploads(&self, state: &State, digest: &Digest) -> bool {
        !self.uploaded.contains(digest) && !state.going(digest).is_empty()
    }

    fn begin(&mut self, (referral, digest): (ReferralKey, Digest), bytes: usize) -> u64 {
        self.next_tag += 1;
        self.bytes += bytes;
        self.referrals.insert(referral.clone());
        self.not_before.remove(&digest);
        self.under_way.insert(self.next_tag, UnderWay { digest, referral, bytes });
        self.next_tag
    }

    fn end(&mut self, tag: u64) -> Option<Digest> {
        let ended = self.under_way.remove(&tag)?;
        self.bytes -= ended.bytes;
        self.referrals.remove(&ended.referral);
        Some(ended.digest)
    }

    /// Nothing stands between it and its push, or it is tried again after some time.
    fn uploaded(&mut self, (referral, digest, wait): (ReferralKey, Digest, Option<Duration>)) {
        self.uploading.remove(&digest);
        self.referrals.remove(&referral);
        match wait {
            Some(wait) => drop(self.not_before.insert(digest, Instant::now() + wait)),
            None => drop(self.uploaded.insert(digest)),
        }
    }

    /// When something that waits may be pushed again.
    fn wakes(&self) -> Option<Instant> {
        self.not_before.values().min().copied()
    }
}

pub(super) async fn run(office: &Arc<Office>, channel: &Channel) -> Broken {
    match push_all(office, channel).await {
        Ok(never) => match never {},
        Err(broken) => broken,
    }
}

async fn push_all(office: &Arc<Office>, channel: &Channel) -> Result<std::convert::Infallible, Broken> {
    let mut client = PushClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let (pushes, requests) = mpsc::channel(IN_FLIGHT_MAX);
    let answers =
        client.push_stream(ReceiverStream::new(requests)).await.map_err(Broken::call("PushStream"))?;
    let mut answers = answers.into_inner();
    let mut changes = office.store.changes();
    let mut pace = Pace::default();
    // They end with this connection.
    let mut uploads = JoinSet::new();
    loop {
        while let Some(next) = pace.next(office, Instant::now()) {
            if office.store.read(|state| pace.has_uploads(state, &next.1)) {
                pace.uploading.insert(next.1);
                pace.referrals.insert(next.0.clone());
                uploads.spawn(upload_all(Arc::clone(office), channel.clone(), next));
            } else {
                push(office, &mut pace, next, &pushes).await?;
            }
        }
        let wakes = pace.wakes();
        tokio::select! {
            answer = answers.message() => {
                let answer = answer.map_err(Broken::call("PushStream"))?.ok_or(Broken::Closed("the pushes"))?;
                take(office, &mut pace, answer).await?;
            }
            Some(uploaded) = uploads.join_next(), if !uploads.is_empty() => {
                pace.uploaded(uploaded.map_err(|_| StoreFault::Ended)??);
            }
            changed = changes.changed() => changed.map_err(|_| StoreFault::Ended)?,
            () = sleep_until(wakes.unwrap_or_else(Instant::now)), if wakes.is_some() => {
                pace.not_before.retain(|_, at| *at > Instant::now());
            }
        }
    }
}

/// Uploads what an envelope needs, one after the other.
async fn upload_all(
    office: Arc<Office>,
    channel: Channel,
    (referral, digest): (ReferralKey, Digest),
) -> Result<(ReferralKey, Digest, Option<Duration>), Broken> {
    for listed in office.store.read(|state| state.going(&digest).to_vec()) {
        match parts::upload(&office.spool, &channel, listed).await? {
            // What is lost ends the envelope: it is pushed, and the gateway refuses it.
            Went::Whole | Went::Lost => {}
            Went::Later(wait) => return Ok((referral, digest, Some(wait))),
        }
    }
    Ok((referral, digest, None))
}

async fn push(
    office: &Arc<Office>,
    pace: &mut Pace,
    next: (ReferralKey, Digest),
    pushes: &mpsc::Sender<wire::PushRequest>,
) -> Result<(), Broken> {
    let digest = next.1;
    let reading = Arc::clone(office);
    let read = tokio::task::spawn_blocking(move || reading.envelope(&digest)).await;
    let Some(envelope) = read.map_err(|_| StoreFault::Ended)?? else {
        // Erased before it was sent: nothing can ever be pushed for it.
        tracing::error!(envelope = %digest, "the envelope's bytes are gone; it cannot be pushed");
        pace.not_before.insert(digest, Instant::now() + crate::office::outbound::EXHAUSTED_WAIT);
        return Ok(());
    };
    let tag = pace.begin(next, envelope.encoded_len());
    let request = wire::PushRequest { tag, envelope: Some(envelope) };
    pushes.send(request).await.map_err(|_| Broken::Closed("the pushes"))
}

async fn take(office: &Office, pace: &mut Pace, answer: wire::PushAnswer) -> Result<(), Broken> {
    let Some(digest) = pace.end(answer.tag) else {
        tracing::warn!(tag = answer.tag, "an answer to nothing that was asked");
        return Ok(());
    };
    // Whatever the answer is: what it needs is asked for again.
    pace.uploaded.remove(&digest);
    if let Next::Again(wait) = office.answered(&digest, answer.answer).await? {
        pace.not_before.insert(digest, Instant::now() + wait);
    }
    Ok(())
}
