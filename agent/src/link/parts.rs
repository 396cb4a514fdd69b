//! Attachments on their way: what is sealed in the spool goes up, what the gateway holds comes down,
//! each from where it was interrupted. Not here: the spool's files (`spool`), and when an attachment
//! goes or comes (`outbox`, `inbox`).

use std::{
    io::{Read as _, Seek as _, SeekFrom},
    time::Duration,
};

use proto::{
    digest::Digest,
    wire::{self, upload_request::Request as Said},
};
use tokio::{sync::mpsc, task::spawn_blocking};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, transport::Channel};

use super::{Broken, MESSAGE_BYTES_MAX};
use crate::{
    gateway::parts_client::PartsClient,
    opening::Apart,
    spool::{Coming, Listed, NotCome, RUN_BYTES, Spool, SpoolFault, moving::Work},
    store::StoreFault,
};

/// Most runs of one attachment that wait to be sent.
const RUNS_MAX: usize = 4;
/// How long what is under way elsewhere is waited for.
pub(super) const UNDER_WAY_WAIT: Duration = Duration::from_secs(1);
/// How long is waited before what did not go or come is tried again.
pub(super) const AGAIN_WAIT: Duration = Duration::from_secs(30);

/// What became of an upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Went {
    /// The gateway has all of it.
    Whole,
    /// It is not here any more, or not what it was: it can never go.
    Lost,
    /// It is to be tried again after this time.
    Later(Duration),
}

/// What became of a download.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Came {
    /// It is here, whole.
    Whole,
    /// It does not wait at the gateway any more.
    Gone,
    /// What came is not what the header lists.
    Other,
    /// It is to be tried again after this time.
    Later(Duration),
}

/// Uploads an attachment, from where the gateway says that it goes on.
pub(super) async fn upload(spool: &Spool, channel: &Channel, listed: Listed) -> Result<Went, Broken> {
    let reading = spool.clone();
    let file = match spawn_blocking(move || reading.going(&listed)).await.map_err(|_| StoreFault::Ended)? {
        Ok(Some(file)) => file,
        Ok(None) => {
            tracing::error!(sha256 = %listed.sha256, "an attachment is gone from the spool");
            return Ok(Went::Lost);
        }
        Err(error) => return Ok(unread(&error)),
    };
    let mut client = PartsClient::new(channel.clone());
    let (say, said) = mpsc::channel(RUNS_MAX);
    let start = wire::UploadStart { sha256: listed.sha256.to_vec(), length_bytes: listed.bytes };
    drop(say.send(wire::UploadRequest { request: Some(Said::Start(start)) }).await);
    let mut answers = match client.upload(ReceiverStream::new(said)).await {
        Ok(answers) => answers.into_inner(),
        Err(status) => return refused(spool, listed, status).await,
    };
    let first = match answers.message().await {
        Ok(first) => first.ok_or(Broken::Closed("the upload"))?,
        Err(status) => return refused(spool, listed, status).await,
    };
    if first.complete {
        return Ok(Went::Whole);
    }
    if first.synced_bytes > 0 {
        tracing::info!(sha256 = %listed.sha256, from = first.synced_bytes, "an upload goes on");
    }
    let moving = spool.moving.begin(Work::Uploading, listed.bytes);
    moving.is_at(first.synced_bytes);
    let reading = spawn_blocking(move || send_from(file, first.synced_bytes, &say));
    loop {
        match answers.message().await {
            Ok(Some(answer)) if answer.complete => return Ok(Went::Whole),
            Ok(Some(answer)) => moving.is_at(answer.synced_bytes),
            Ok(None) => break,
            Err(status) => return refused(spool, listed, status).await,
        }
    }
    match reading.await.map_err(|_| StoreFault::Ended)? {
        Ok(()) => Ok(Went::Later(UNDER_WAY_WAIT)),
        Err(error) => Ok(unread(&error)),
    }
}

/// Ends when the file does, or when nobody takes it any more.
fn send_from(
    mut file: std::fs::File,
    offset: u64,
    say: &mpsc::Sender<wire::UploadRequest>,
) -> std::io::Result<()> {
    file.seek(SeekFrom::Start(offset))?;
    loop {
        let mut chunk = vec![0; RUN_BYTES];
        let read = file.read(&mut chunk)?;
        chunk.truncate(read);
        let request = wire::UploadRequest { request: Some(Said::Chunk(chunk)) };
        if read == 0 || say.blocking_send(request).is_err() {
            return Ok(());
        }
    }
}

fn unread(error: &std::io::Error) -> Went {
    tracing::error!(kind = ?error.kind(), "an attachment cannot be read from the spool");
    Went::Later(AGAIN_WAIT)
}

async fn refused(spool: &Spool, listed: Listed, status: Status) -> Result<Went, Broken> {
    if is_connection(&status) {
        return Err(Broken::Call { call: "Upload", status: Box::new(status) });
    }
    tracing::warn!(sha256 = %listed.sha256, code = ?status.code(), "an upload was not taken");
    if status.code() == Code::Aborted {
        return Ok(Went::Later(UNDER_WAY_WAIT));
    }
    if status.code() != Code::InvalidArgument {
        return Ok(Went::Later(AGAIN_WAIT));
    }
    let reading = spool.clone();
    match spawn_blocking(move || reading.is_sound(&listed)).await.map_err(|_| StoreFault::Ended)? {
        // Damaged on its way, or there.
        Ok(true) => Ok(Went::Later(AGAIN_WAIT)),
        Ok(false) => {
            tracing::error!(sha256 = %listed.sha256, "an attachment is damaged in the spool");
            spool.forget(&listed.sha256);
            Ok(Went::Lost)
        }
        Err(error) => Ok(unread(&error)),
    }
}

/// Downloads a part of an envelope that waits, from where it was interrupted.
pub(super) async fn download(
    spool: &Spool,
    channel: &Channel,
    envelope: &Digest,
    apart: Apart,
) -> Result<Came, Broken> {
    let reading = spool.clone();
    let coming = spawn_blocking(move || reading.coming(apart.listed)).await;
    let mut coming = match coming.map_err(|_| StoreFault::Ended)? {
        Ok(coming) => coming,
        Err(fault) => return Ok(unkept(fault)),
    };
    let offset = coming.here_bytes();
    if offset > 0 {
        tracing::info!(sha256 = %apart.listed.sha256, from = offset, "a download goes on");
    }
    if offset < apart.listed.bytes {
        let mut client = PartsClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
        let request = wire::DownloadRequest { envelope: envelope.to_vec(), part_id: apart.part_id, offset };
        let mut chunks = match client.download(request).await {
            Ok(chunks) => chunks.into_inner(),
            Err(status) => return not_given(status),
        };
        loop {
            let chunk = match chunks.message().await {
                Ok(Some(answer)) => answer.chunk,
                Ok(None) => break,
                Err(status) => return not_given(status),
            };
            let taken = spawn_blocking(move || coming.take(&chunk).map(|()| coming)).await;
            coming = match taken.map_err(|_| StoreFault::Ended)? {
                Ok(coming) => coming,
                Err(not_come) => return Ok(judged(not_come)),
            };
        }
    }
    let finished = spawn_blocking(move || Coming::finish(coming)).await.map_err(|_| StoreFault::Ended)?;
    Ok(finished.map_or_else(short, |()| Came::Whole))
}

/// What ended early goes on later.
fn short(not_come: NotCome) -> Came {
    if not_come == NotCome::Length { Came::Later(UNDER_WAY_WAIT) } else { judged(not_come) }
}

fn judged(not_come: NotCome) -> Came {
    match not_come {
        NotCome::Length | NotCome::Other => Came::Other,
        NotCome::Stale => {
            tracing::warn!("a download that was interrupted was damaged here; it begins again");
            Came::Later(UNDER_WAY_WAIT)
        }
        NotCome::Spool(fault) => unkept(fault),
    }
}

fn unkept(fault: SpoolFault) -> Came {
    tracing::error!(%fault, "an attachment cannot be kept");
    Came::Later(AGAIN_WAIT)
}

fn not_given(status: Status) -> Result<Came, Broken> {
    if is_connection(&status) {
        return Err(Broken::Call { call: "Download", status: Box::new(status) });
    }
    tracing::warn!(code = ?status.code(), "a download was not given");
    Ok(if status.code() == Code::NotFound { Came::Gone } else { Came::Later(AGAIN_WAIT) })
}

/// Whether it is the connection that failed, not this call.
fn is_connection(status: &Status) -> bool {
    matches!(status.code(), Code::Unavailable | Code::Unknown | Code::Cancelled)
}
