//! `Parts`: attachments come in, and go out to those for whom their envelope waits. Not here: the
//! files (`crate::parts`).

use std::{io::Read as _, sync::Arc};

use futures::stream;
use proto::{
    Malformed,
    digest::Digest,
    header::Part,
    ids::{AgencyId, Storage},
    refusal::Refusal,
    wire,
};
use tokio::{sync::mpsc, task};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{Answers, Gateway, agency, answers, caller, record, stubs::parts_server::Parts};
use crate::parts::{NotTaken, Upload};

/// How much goes out in one message.
pub const CHUNK_BYTES: usize = 64 * 1024;
/// Most messages of one stream that wait.
const WAITING_MAX: usize = 4;

/// The service.
#[derive(Clone)]
pub struct PartsService(pub Arc<Gateway>);

#[tonic::async_trait]
impl Parts for PartsService {
    type UploadStream = Answers<wire::UploadAnswer>;

    async fn upload(
        &self,
        request: Request<Streaming<wire::UploadRequest>>,
    ) -> Result<Response<Self::UploadStream>, Status> {
        let (caller, agency) = (caller(&request)?, agency(&request)?);
        let (answers, receiver) = mpsc::channel(WAITING_MAX);
        let gateway = Arc::clone(&self.0);
        let messages = request.into_inner();
        tokio::spawn(async move {
            let taken = tokio::select! {
                taken = take_all(&gateway, &agency, messages, &answers) => taken,
                () = gateway.stop.cancelled() => Err(Status::unavailable("the gateway is ending")),
            };
            if let Err(status) = taken {
                let status = record(&gateway, &caller, status).await;
                // Whoever uploaded may have left.
                drop(answers.send(Err(status)).await);
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    type DownloadStream = Answers<wire::DownloadAnswer>;

    async fn download(
        &self,
        request: Request<wire::DownloadRequest>,
    ) -> Result<Response<Self::DownloadStream>, Status> {
        let agency = agency(&request)?;
        let request = request.into_inner();
        let (sender, part) = self.0.part(agency, &request).await?;
        let file = self.0.parts.read(&sender, &part.sha256, request.offset).map_err(|error| disk(&error))?;
        // Chunk by chunk as they are taken: whoever does not read holds a file, never a thread.
        let chunks = stream::try_unfold(file, |mut file| async move {
            let read = task::spawn_blocking(move || {
                let mut chunk = vec![0; CHUNK_BYTES];
                let length = file.read(&mut chunk)?;
                chunk.truncate(length);
                std::io::Result::Ok((chunk, file))
            });
            let read = read.await.map_err(|_| Status::internal("a download failed"))?;
            let (chunk, file) = read.map_err(|error| disk(&error))?;
            Ok((!chunk.is_empty()).then_some((wire::DownloadAnswer { chunk }, file)))
        });
        Ok(Response::new(Box::pin(chunks)))
    }
}

async fn take_all(
    gateway: &Gateway,
    agency: &AgencyId,
    mut messages: Streaming<wire::UploadRequest>,
    answers: &mpsc::Sender<Result<wire::UploadAnswer, Status>>,
) -> Result<(), Status> {
    use wire::upload_request::Request as Said;
    let missing = || answers::malformed(Malformed::Missing { field: "request" });
    let first = messages.message().await?.and_then(|message| message.request);
    let Some(Said::Start(start)) = first else {
        return Err(missing());
    };
    let sha256 = Digest::parse(&start.sha256, "sha256").map_err(answers::malformed)?;
    let Some(mut upload) = begin(gateway, agency, sha256, start.length_bytes).await? else {
        let answer = wire::UploadAnswer { synced_bytes: start.length_bytes, complete: true };
        drop(answers.send(Ok(answer)).await);
        return Ok(());
    };
    let mut progress = true;
    loop {
        if progress {
            let answer = wire::UploadAnswer { synced_bytes: upload.synced_bytes(), complete: false };
            if answers.send(Ok(answer)).await.is_err() {
                return Ok(());
            }
        }
        if upload.is_whole() {
            break;
        }
        let Some(message) = messages.message().await? else {
            return Ok(());
        };
        let Some(Said::Chunk(chunk)) = message.request else {
            return Err(missing());
        };
        (upload, progress) = blocking(move || {
            let progress = upload.take(&chunk)?;
            Ok((upload, progress))
        })
        .await?;
    }
    blocking(move || upload.finish()).await?;
    drop(answers.send(Ok(wire::UploadAnswer { synced_bytes: start.length_bytes, complete: true })).await);
    Ok(())
}

async fn begin(
    gateway: &Gateway,
    agency: &AgencyId,
    sha256: Digest,
    length: u64,
) -> Result<Option<Upload>, Status> {
    let (store, agency) = (gateway.parts.clone(), agency.clone());
    blocking(move || store.upload(&agency, sha256, length)).await
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, NotTaken> + Send + 'static,
) -> Result<T, Status> {
    let done = task::spawn_blocking(work).await.map_err(|_| Status::internal("an upload failed"))?;
    done.map_err(not_taken_status)
}

fn not_taken_status(not_taken: NotTaken) -> Status {
    let fault = |code: &str, retry_after_ms| {
        answers::fault_status(&wire::Fault { code: code.to_owned(), retry_after_ms })
    };
    match not_taken {
        NotTaken::Length => answers::malformed(Malformed::Length { field: "length_bytes" }),
        NotTaken::TooLong => answers::malformed(Malformed::Length { field: "chunk" }),
        NotTaken::OtherDigest => answers::malformed(Malformed::Mismatch { field: "sha256" }),
        NotTaken::Quota => fault("UPLOADS_FULL", answers::RETRY_LATER_MS),
        NotTaken::Room => fault("DISK_FULL", answers::RETRY_LATER_MS),
        NotTaken::UnderWay => fault("UNDER_WAY", answers::RETRY_SOON_MS),
        NotTaken::Disk(kind) => {
            tracing::error!(?kind, "an attachment cannot be written");
            Status::internal("the attachment cannot be written")
        }
    }
}

fn disk(error: &std::io::Error) -> Status {
    if error.kind() == std::io::ErrorKind::NotFound {
        return answers::unrecorded(Refusal::SubjectUnknown, "part_id");
    }
    tracing::error!(kind = ?error.kind(), "an attachment cannot be read");
    Status::internal("the attachment cannot be read")
}

impl Gateway {
    /// The part that is asked for, if its envelope waits for this agency and its turn has come.
    async fn part(
        &self,
        agency: AgencyId,
        request: &wire::DownloadRequest,
    ) -> Result<(AgencyId, Part), Status> {
        let unknown = || answers::unrecorded(Refusal::SubjectUnknown, "envelope");
        let envelope = Digest::parse(&request.envelope, "envelope").map_err(answers::malformed)?;
        let mail = self.hub.find(agency.clone(), envelope).await.map_err(answers::unavailable_status)?;
        for mail in mail {
            let header = self.mail.header(&mail).map_err(|fault| answers::internal(&fault))?;
            let Some(header) = header else {
                continue;
            };
            // What is sealed for a fallback names it; all else is the first recipient's.
            let is_theirs = |part: &Part| *part.recipient.as_ref().unwrap_or(&header.to) == agency;
            let fitting = header.parts.iter().find(|part| {
                part.part_id == request.part_id
                    && part.storage == Storage::Uploaded
                    && part.release == mail.release
                    && is_theirs(part)
            });
            if let Some(part) = fitting {
                return Ok((mail.from, part.clone()));
            }
        }
        Err(unknown())
    }
}
