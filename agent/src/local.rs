//! The local API on a Unix socket that only the agent's owner can open, and over TCP of the same machine for
//! whoever has the token. Only here is plaintext spoken.
//! Not here: what is done (`office`).

mod agreements;
pub(crate) mod answers;
mod lookups;
mod offers;
pub mod streamed;
#[cfg(test)]
mod tests;
mod timeline;
pub mod token;

use std::{
    fs,
    io::{self, BufWriter, Write},
    os::unix::fs::PermissionsExt as _,
    path::Path,
    pin::Pin,
    sync::Arc,
};

use proto::{ids::ReferralKey, lifecycle::Act, spoken::Spoken};
use tokio::{
    net::{TcpListener, UnixListener},
    sync::mpsc,
};
use tokio_stream::{
    Stream,
    wrappers::{ReceiverStream, TcpListenerStream, UnixListenerStream},
};
use tonic::{
    Request, Response, Status,
    service::{InterceptorLayer, Routes},
    transport::{Channel, Server},
};

use streamed::Pieces;
use token::Token;

use crate::{
    alarm::NotSettled,
    api::{self, agent_server},
    document::{Content, File},
    folder::Folder,
    link::Line,
    office::{NotSent, Office, Sent, onward::NotFound, outbound, show::NotRead},
    rotation,
    spool::RUN_BYTES,
    store::StoreFault,
};

/// Most bytes of one call: a document and its files.
pub const CALL_BYTES_MAX: usize = 8 * 1024 * 1024;
/// How long a call waits for the directory to be looked at.
const FRESHEN_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(3);
/// Most runs of a part that wait for whoever reads it.
const RUNS_MAX: usize = 4;
/// Most changes that wait for one watcher.
const WATCH_MAX: usize = 64;

/// The API.
#[derive(Clone, Debug)]
pub struct Local {
    office: Arc<Office>,
    folder: Folder,
    line: Line,
    /// One offer is published at a time: each takes the others along.
    offering: Arc<tokio::sync::Mutex<()>>,
}

impl Local {
    /// Over an office; its keys lie in `folder`; `line` is asked for timelines, and takes offers.
    #[must_use]
    pub fn new(office: Arc<Office>, folder: Folder, line: Line) -> Self {
        Self { office, folder, line, offering: Arc::default() }
    }

    /// Serves on a socket that only the agent's owner can open, until `stop`.
    ///
    /// # Errors
    /// The operating system's, or the transport's.
    pub async fn serve(self, listener: UnixListener, stop: impl Future<Output = ()>) -> io::Result<()> {
        let routes = self.routes().await?;
        let incoming = UnixListenerStream::new(listener);
        let served = Server::builder().add_routes(routes).serve_with_incoming_shutdown(incoming, stop).await;
        served.map_err(io::Error::other)
    }

    /// The same over TCP, to whoever has the token.
    ///
    /// # Errors
    /// As [`Self::serve`].
    pub async fn serve_tcp(
        self,
        listener: TcpListener,
        token: Token,
        stop: impl Future<Output = ()>,
    ) -> io::Result<()> {
        let routes = self.routes().await?;
        let check = move |request: Request<()>| token.check(request);
        let served = Server::builder()
            .layer(InterceptorLayer::new(check))
            .add_routes(routes)
            .serve_with_incoming_shutdown(TcpListenerStream::new(listener), stop)
            .await;
        served.map_err(io::Error::other)
    }

    async fn routes(self) -> io::Result<Routes> {
        let service = agent_server::AgentServer::new(self)
            .max_decoding_message_size(CALL_BYTES_MAX)
            .max_encoding_message_size(CALL_BYTES_MAX);
        let (reporter, health) = tonic_health::server::health_reporter();
        reporter.set_serving::<agent_server::AgentServer<Self>>().await;
        let reflection = || {
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(api::DESCRIPTORS)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        };
        // Clients of several languages still ask for the version before.
        let now = reflection().build_v1().map_err(io::Error::other)?;
        let before = reflection().build_v1alpha().map_err(io::Error::other)?;
        Ok(Routes::new(service).add_service(health).add_service(now).add_service(before))
    }

    /// A referral by its id, the beginning of it, or its code for the telephone.
    fn find(&self, text: &str) -> Result<ReferralKey, Status> {
        self.office.find(text).map_err(|not_found| match not_found {
            NotFound::TooShort => {
                Status::invalid_argument("give at least four characters of the referral's id")
            }
            NotFound::None => Status::not_found("there is no such referral here"),
            NotFound::Several => {
                Status::invalid_argument("several referrals are named so: give more of the id")
            }
            NotFound::Misheard(misheard) => {
                Status::invalid_argument(format!("{misheard} / {}", misheard.text_ar()))
            }
        })
    }

    fn sent(sent: Result<Sent, NotSent>) -> Result<Response<api::SendAnswer>, Status> {
        use api::send_answer::Answer;
        let answer = match sent {
            Ok(sent) => Answer::Queued(api::Queued {
                referral: sent.referral.id.to_string(),
                reference: Some(sent.referral.to_wire()),
                envelope: sent.digest.to_string(),
                others: sent.others.iter().map(|other| other.id.to_string()).collect(),
                spoken_code: Spoken::of(&sent.referral).to_string(),
                telephone: None,
            }),
            Err(NotSent::Flawed(flaws)) => Answer::Flaws(answers::flaws(&flaws)),
            Err(NotSent::Refused { refusal, legal }) => Answer::Refusal(answers::refusal(refusal, &legal)),
            Err(fault) => return Err(Self::not_sent(&fault)),
        };
        Ok(Response::new(api::SendAnswer { answer: Some(answer) }))
    }

    async fn send_with(
        &self,
        request: api::SendRequest,
        files: Vec<File>,
    ) -> Result<Response<api::SendAnswer>, Status> {
        let again = if request.again.is_empty() { None } else { Some(self.find(&request.again)?) };
        self.office.freshen(FRESHEN_TIME_MAX).await;
        let request = outbound::SendRequest {
            document: request.document,
            files,
            idempotency_key: request.idempotency_key,
            unchecked: request.unchecked,
            again,
        };
        let sent = self.office.send(request).await;
        let telephone = sent.as_ref().ok().and_then(|sent| answers::telephone(&self.office, &sent.referral));
        let mut answer = Self::sent(sent)?;
        if let Some(api::send_answer::Answer::Queued(queued)) = &mut answer.get_mut().answer {
            queued.telephone = telephone;
        }
        Ok(answer)
    }

    async fn act_with(
        &self,
        request: api::ActRequest,
        files: Vec<File>,
    ) -> Result<Response<api::SendAnswer>, Status> {
        let referral = self.find(&request.referral)?;
        let act = Act::parse(request.act, "act").map_err(|_| Status::invalid_argument("no such act"))?;
        if act == Act::Submit {
            return Err(Status::invalid_argument("another agency is asked with Send and `again`"));
        }
        let request = outbound::ActRequest {
            referral,
            act,
            fields: request.detail,
            files,
            idempotency_key: request.idempotency_key,
            unchecked: request.unchecked,
        };
        Self::sent(self.office.act(request).await)
    }

    /// A request whose files follow it. Under a key that was used nothing is read of them.
    async fn streamed(&self, pieces: &mut impl Pieces) -> Result<Response<api::SendAnswer>, Status> {
        use api::streamed_request::Part;
        match pieces.next().await? {
            Some(Part::Send(mut request)) => {
                if let Some(sent) = self.office.sent_before(&request.idempotency_key) {
                    return Self::sent(Ok(sent));
                }
                let named = std::mem::take(&mut request.files);
                let files = streamed::files(named, pieces, &self.office.spool).await?;
                self.send_with(request, files).await
            }
            Some(Part::Act(mut request)) => {
                if let Some(sent) = self.office.sent_before(&request.idempotency_key) {
                    return Self::sent(Ok(sent));
                }
                let named = std::mem::take(&mut request.files);
                let files = streamed::files(named, pieces, &self.office.spool).await?;
                self.act_with(request, files).await
            }
            Some(Part::Chunk(_) | Part::EndOfFile(_)) | None => {
                Err(Status::invalid_argument("the request comes first, then its files"))
            }
        }
    }

    /// What is no answer in itself.
    fn not_sent(fault: &NotSent) -> Status {
        match fault {
            NotSent::UnknownReferral => Status::not_found(fault.to_string()),
            NotSent::NoDirectory
            | NotSent::Alarmed
            | NotSent::NotDrafted(_)
            | NotSent::Flawed(_)
            | NotSent::Refused { .. } => Status::failed_precondition(fault.to_string()),
            NotSent::IdempotencyKey => Status::invalid_argument(fault.to_string()),
            NotSent::Store(fault) => store_status(fault),
            NotSent::Randomness => Status::internal(fault.to_string()),
        }
    }
}

/// Makes the socket, for its owner only.
///
/// # Errors
/// The operating system's; `AddrInUse` when another agent answers on it.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(io::ErrorKind::AddrInUse.into());
    }
    // What an agent that was killed has left. The folder is its owner's alone, so is the socket
    // from its first moment.
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        Ok(()) | Err(_) => {}
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn store_status(fault: &StoreFault) -> Status {
    match fault {
        StoreFault::Full => Status::resource_exhausted(fault.to_string()),
        StoreFault::TooLarge => Status::invalid_argument(fault.to_string()),
        StoreFault::InUse
        | StoreFault::Open(_)
        | StoreFault::Damaged(_)
        | StoreFault::NotOurs
        | StoreFault::LaterVersion
        | StoreFault::Ended
        | StoreFault::Randomness
        | StoreFault::Read(_)
        | StoreFault::Erase(_) => Status::internal(fault.to_string()),
    }
}

async fn files(files: Vec<api::File>) -> Result<Vec<File>, Status> {
    let read = tokio::task::spawn_blocking(move || files.into_iter().map(file).collect()).await;
    read.map_err(|_| store_status(&StoreFault::Ended))?
}

fn file(file: api::File) -> Result<File, Status> {
    let content = match (file.path.is_empty(), file.content.is_empty()) {
        (true, _) => Content::Here(file.content),
        (false, true) => apart(Path::new(&file.path))?,
        (false, false) => return Err(Status::invalid_argument("a file has a content or a path, not both")),
    };
    Ok(File {
        name: crate::document::base_name(&file.name).to_owned(),
        media_type: file.media_type,
        contains_identity: !file.without_identity,
        about: Vec::new(),
        content,
    })
}

/// A file of the agency's, to be read when it is sealed. Only what is a file is opened.
fn apart(path: &Path) -> Result<Content, Status> {
    let metadata = fs::metadata(path).ok().filter(|metadata| path.is_absolute() && metadata.is_file());
    let bytes = metadata.map(|metadata| metadata.len());
    let bytes = bytes.ok_or_else(|| {
        Status::invalid_argument("a file's path must be absolute, and lead to a file that the agent may read")
    })?;
    Ok(Content::Apart { path: path.to_owned(), bytes })
}

#[tonic::async_trait]
impl agent_server::Agent for Local {
    async fn send(&self, request: Request<api::SendRequest>) -> Result<Response<api::SendAnswer>, Status> {
        let mut request = request.into_inner();
        let files = files(std::mem::take(&mut request.files)).await?;
        self.send_with(request, files).await
    }

    async fn act(&self, request: Request<api::ActRequest>) -> Result<Response<api::SendAnswer>, Status> {
        let mut request = request.into_inner();
        let files = files(std::mem::take(&mut request.files)).await?;
        self.act_with(request, files).await
    }

    async fn send_streamed(
        &self,
        request: Request<tonic::Streaming<api::StreamedRequest>>,
    ) -> Result<Response<api::SendAnswer>, Status> {
        let mut pieces = request.into_inner();
        self.streamed(&mut pieces).await
    }

    async fn list_cases(
        &self,
        request: Request<api::ListCasesRequest>,
    ) -> Result<Response<api::ListCasesAnswer>, Status> {
        let request = request.into_inner();
        let cases = self.office.store.read(|state| {
            let all = state.cases().rev().map(|case| answers::summary(state, case));
            all.filter(|case| !request.incoming_only || case.incoming)
                .filter(|case| !request.open_only || answers::is_open(case))
                .collect()
        });
        Ok(Response::new(api::ListCasesAnswer { cases }))
    }

    async fn show_case(
        &self,
        request: Request<api::ShowCaseRequest>,
    ) -> Result<Response<api::ShowCaseAnswer>, Status> {
        let referral = self.find(&request.into_inner().referral)?;
        let office = Arc::clone(&self.office);
        let shown = tokio::task::spawn_blocking(move || answers::show(&office, &referral)).await;
        let shown = shown.map_err(|_| store_status(&StoreFault::Ended))?;
        shown.map(Response::new).map_err(|fault| store_status(&fault))
    }

    async fn explain(
        &self,
        request: Request<api::ExplainRequest>,
    ) -> Result<Response<api::ExplainAnswer>, Status> {
        match answers::explain(&self.office, &request.into_inner().document) {
            Ok(answer) => Ok(Response::new(answer)),
            Err(fault) => Err(Self::not_sent(&fault)),
        }
    }

    async fn get_timeline(
        &self,
        request: Request<api::TimelineRequest>,
    ) -> Result<Response<api::TimelineAnswer>, Status> {
        let referral = self.find(&request.into_inner().referral)?;
        let (receipts, complete) = match timeline::fetch(&self.office, &self.line, &referral).await {
            Some(receipts) => (receipts, true),
            None => (self.office.receipts(&referral).map_err(|fault| store_status(&fault))?, false),
        };
        let entries = receipts.iter().map(answers::timeline_entry).collect();
        Ok(Response::new(api::TimelineAnswer { entries, complete }))
    }

    async fn get_receipts(
        &self,
        request: Request<api::ReceiptsRequest>,
    ) -> Result<Response<api::ReceiptsAnswer>, Status> {
        let referral = self.find(&request.into_inner().referral)?;
        let receipts = self.office.receipts(&referral).map_err(|fault| store_status(&fault))?;
        let receipts = receipts.iter().map(answers::receipt_file).collect();
        Ok(Response::new(api::ReceiptsAnswer { receipts }))
    }

    async fn get_status(
        &self,
        _: Request<api::StatusRequest>,
    ) -> Result<Response<api::StatusAnswer>, Status> {
        Ok(Response::new(answers::status(&self.office)))
    }

    async fn list_agreements(
        &self,
        request: Request<api::ListAgreementsRequest>,
    ) -> Result<Response<api::ListAgreementsAnswer>, Status> {
        agreements::list(&self.office, &request.into_inner().agreement).map(Response::new)
    }

    async fn check_agreement(
        &self,
        request: Request<api::CheckAgreementRequest>,
    ) -> Result<Response<api::CheckAgreementAnswer>, Status> {
        self.office.freshen(FRESHEN_TIME_MAX).await;
        let agreement = request.into_inner().agreement.unwrap_or_default();
        agreements::check(&self.office, &agreement).map(Response::new)
    }

    async fn list_offers(
        &self,
        request: Request<api::ListOffersRequest>,
    ) -> Result<Response<api::OffersAnswer>, Status> {
        offers::list(&self.office, &request.into_inner().agency).map(Response::new)
    }

    async fn publish_offer(
        &self,
        request: Request<api::PublishOfferRequest>,
    ) -> Result<Response<api::PublishOfferAnswer>, Status> {
        let _one_at_a_time = self.offering.lock().await;
        let answer = offers::publish(&self.office, &self.line, request.into_inner()).await?;
        Ok(Response::new(api::PublishOfferAnswer { answer: Some(answer) }))
    }

    async fn settle_alarm(
        &self,
        request: Request<api::SettleAlarmRequest>,
    ) -> Result<Response<api::SettleAlarmAnswer>, Status> {
        let request = request.into_inner();
        let reason = answers::settled_reason(request.reason());
        let settled = self.office.settle_alarm(&request.alarm, reason).await.map_err(|why| match &why {
            NotSettled::Unknown => Status::not_found(why.to_string()),
            NotSettled::NoReason => Status::invalid_argument(why.to_string()),
            NotSettled::Store(fault) => store_status(fault),
        })?;
        let may_seal = self.office.store.read(crate::state::State::may_seal);
        Ok(Response::new(api::SettleAlarmAnswer { alarm: Some(answers::alarm(&settled)), may_seal }))
    }

    async fn rotate_keys(
        &self,
        request: Request<api::RotateKeysRequest>,
    ) -> Result<Response<api::RotateKeysAnswer>, Status> {
        let request = request.into_inner();
        let wanted = answers::wanted(&request)?;
        let begun = rotation::begin(&self.office, &self.folder, wanted, request.soon).await;
        let begun = begun.map_err(|fault| Status::failed_precondition(fault.to_string()))?;
        let rotation = self.office.rotation.standing().map(|standing| answers::rotation(&standing));
        Ok(Response::new(api::RotateKeysAnswer { begun, rotation }))
    }

    async fn list_vocabularies(
        &self,
        request: Request<api::ListVocabulariesRequest>,
    ) -> Result<Response<api::ListVocabulariesAnswer>, Status> {
        lookups::vocabularies(&request.into_inner().vocabulary).map(Response::new)
    }

    async fn list_agencies(
        &self,
        request: Request<api::ListAgenciesRequest>,
    ) -> Result<Response<api::ListAgenciesAnswer>, Status> {
        lookups::agencies(&self.office, &request.into_inner().agency).map(Response::new)
    }

    async fn get_statistics(
        &self,
        _: Request<api::StatisticsRequest>,
    ) -> Result<Response<api::StatisticsAnswer>, Status> {
        Ok(Response::new(lookups::statistics(&self.office)))
    }

    async fn verify_receipt(
        &self,
        request: Request<api::VerifyReceiptRequest>,
    ) -> Result<Response<api::VerifyReceiptAnswer>, Status> {
        Ok(Response::new(lookups::verify(&self.office, &request.into_inner().file)))
    }

    type ReadPartStream = Pin<Box<dyn Stream<Item = Result<api::ReadPartAnswer, Status>> + Send>>;

    async fn read_part(
        &self,
        request: Request<api::ReadPartRequest>,
    ) -> Result<Response<Self::ReadPartStream>, Status> {
        let request = request.into_inner();
        let referral = self.find(&request.referral)?;
        let (tell, told) = mpsc::channel(RUNS_MAX);
        let office = Arc::clone(&self.office);
        // Whoever does not read holds a thread: the socket is its owner's alone.
        tokio::task::spawn_blocking(move || {
            let mut out = BufWriter::with_capacity(RUN_BYTES, Runs(tell));
            let read = office.read_part(&referral, (&request.envelope, request.part_id), &mut out);
            let written = out.flush();
            if let Some(status) = not_read(read, written) {
                // Whoever asked may have gone.
                drop(out.get_ref().0.blocking_send(Err(status)));
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(told))))
    }

    type HoldStillStream = Pin<Box<dyn Stream<Item = Result<api::HoldStillAnswer, Status>> + Send>>;

    async fn hold_still(
        &self,
        _: Request<api::HoldStillRequest>,
    ) -> Result<Response<Self::HoldStillStream>, Status> {
        let still = Arc::clone(&self.office.still).read_owned().await;
        let keeping = self.office.spool.keep();
        let (tell, told) = mpsc::channel(1);
        let mut ending = self.office.ending.subscribe();
        tokio::spawn(async move {
            if tell.send(Ok(api::HoldStillAnswer {})).await.is_ok() {
                tokio::select! {
                    () = tell.closed() => {}
                    _ = ending.wait_for(|ending| *ending) => {}
                }
            }
            drop((still, keeping));
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(told))))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<api::CaseSummary, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<api::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let wanted = request.into_inner().referral;
        let wanted = if wanted.is_empty() { None } else { Some(self.find(&wanted)?) };
        let (tell, told) = mpsc::channel(WATCH_MAX);
        tokio::spawn(watch(Arc::clone(&self.office), wanted, tell));
        Ok(Response::new(Box::pin(ReceiverStream::new(told))))
    }
}

/// Content on its way to whoever asked for it.
struct Runs(mpsc::Sender<Result<api::ReadPartAnswer, Status>>);

impl Write for Runs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let run = bytes.get(..bytes.len().min(RUN_BYTES)).unwrap_or_default();
        let answer = api::ReadPartAnswer { chunk: run.to_vec() };
        self.0.blocking_send(Ok(answer)).map_err(|_| io::Error::from(io::ErrorKind::BrokenPipe))?;
        Ok(run.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn not_read(read: Result<(), NotRead>, written: io::Result<()>) -> Option<Status> {
    match (read, written) {
        (Ok(()), Ok(())) => None,
        (Ok(()), Err(_)) => Some(Status::cancelled("nobody reads it")),
        (Err(NotRead::Unknown), _) => Some(Status::not_found(NotRead::Unknown.to_string())),
        (Err(not_opened @ NotRead::NotOpened(_)), _) => Some(Status::data_loss(not_opened.to_string())),
        (Err(NotRead::Store(fault)), _) => Some(store_status(&fault)),
    }
}

/// Tells of each case that has changed since it was told of last; first of all that are wanted.
async fn watch(
    office: Arc<Office>,
    wanted: Option<ReferralKey>,
    tell: mpsc::Sender<Result<api::CaseSummary, Status>>,
) {
    let (mut changes, mut ending) = (office.store.changes(), office.ending.subscribe());
    let mut known = std::collections::BTreeMap::new();
    let mut first = wanted.is_none();
    loop {
        let news: Vec<api::CaseSummary> = office.store.read(|state| {
            let cases = state.cases().filter(|case| wanted.as_ref().is_none_or(|key| *key == case.referral));
            cases.map(|case| answers::summary(state, case)).collect()
        });
        for summary in news {
            let is_new = known.get(&summary.referral) != Some(&summary);
            known.insert(summary.referral.clone(), summary.clone());
            if is_new && !first && tell.send(Ok(summary)).await.is_err() {
                return;
            }
        }
        first = false;
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            () = tell.closed() => return,
            _ = ending.wait_for(|ending| *ending) => return,
        }
    }
}

/// A client of the API on a socket.
///
/// # Errors
/// The transport's: nobody answers there.
pub async fn client(path: &Path) -> Result<api::agent_client::AgentClient<Channel>, tonic::transport::Error> {
    let path = path.to_owned();
    let connector = tower::service_fn(move |_: tonic::transport::Uri| {
        let path = path.clone();
        async move {
            Ok::<_, io::Error>(hyper_util::rt::TokioIo::new(tokio::net::UnixStream::connect(path).await?))
        }
    });
    let channel =
        tonic::transport::Endpoint::from_static("http://agent").connect_with_connector(connector).await?;
    Ok(api::agent_client::AgentClient::new(channel)
        .max_decoding_message_size(CALL_BYTES_MAX)
        .max_encoding_message_size(CALL_BYTES_MAX))
}
