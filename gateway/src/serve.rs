//! `gateway serve`: the whole gateway, from its files to its end. Not here: the parts it puts together.

use std::{
    borrow::Cow,
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, atomic::AtomicU64},
    time::{Duration, Instant, SystemTime},
};

use arc_swap::ArcSwap;
use axum::{Router, extract::State, http::StatusCode, routing::get};
use journal::Eraser;
use proto::ids::AgencyId;
use rustls::ServerConfig;
use thiserror::Error;
use tokio::{net::TcpListener, sync::oneshot, time::interval};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic_health::{ServingStatus, server::HealthReporter};

use crate::{
    alerts::{self, Alerting},
    clock,
    config::{Config, ConfigFault, WrongAlerts},
    console,
    enrolment::{self, LogVkeys},
    fault::Fault,
    hub::{Hub, mail::MailReader},
    metrics::Metrics,
    operations::Board,
    parts::PartStore,
    peer::{
        accept::Door,
        connections::Connections,
        tls::{Tls, TlsFault, TlsFiles},
    },
    place::{KeyFault, Place},
    published::Published,
    restoring::Restoring,
    retention::Sweeper,
    service::{
        CALL_BYTES_MAX, Gateway, PUSH_BYTES_MAX,
        certificates::CertificatesService,
        directory::DirectoryService,
        evidence::EvidenceService,
        intake::IntakeLayer,
        log::LogService,
        operations::OperationsService,
        parts::PartsService,
        push::PushService,
        receive::ReceiveService,
        stubs::{
            certificates_server::CertificatesServer, directory_server::DirectoryServer,
            evidence_server::EvidenceServer, log_server::LogServer, operations_server::OperationsServer,
            parts_server::PartsServer, push_server::PushServer, receive_server::ReceiveServer,
            witness_server::WitnessServer,
        },
        witness::WitnessService,
    },
    start::Started,
    telemetry,
    upkeep::Upkeep,
};

/// Most HTTP/2 streams at the same time on one connection.
pub const STREAMS_PER_CONNECTION_MAX: u32 = 128;
/// Longest list of headers of a call, in bytes.
pub const HEADERS_BYTES_MAX: u32 = 16 * 1024;
/// Most streams of a connection that the peer may have reset and that are not cleared away.
pub const RESETS_PENDING_MAX: usize = 20;
/// Most streams of a connection that were reset because of the peer's errors; then it ends.
pub const RESETS_OF_ERRORS_MAX: usize = 64;
/// How much one stream may send ahead.
pub const STREAM_WINDOW_BYTES: u32 = 512 * 1024;
/// How much one connection may send ahead, all its streams together. So much of each connection may
/// lie in memory unread.
pub const CONNECTION_WINDOW_BYTES: u32 = 1024 * 1024;
/// How often a silent connection is asked whether it is there.
pub const KEEPALIVE_EVERY: Duration = Duration::from_secs(20);
/// How long it may take to answer.
pub const KEEPALIVE_TIME_MAX: Duration = Duration::from_secs(10);
/// How long what is under way has to end after the signal to stop.
pub const END_TIME_MAX: Duration = Duration::from_secs(20);
/// How often files and certificates are looked at.
pub const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How often attachments that nobody refers to are cleared away.
pub const SWEEP_EVERY: Duration = Duration::from_secs(3600);
/// How often it is looked whether CRLs or the gateway's certificate must be made anew.
pub const RENEW_EVERY: Duration = Duration::from_secs(60);
/// How long before its end a CRL makes the gateway unready: nobody could connect any more.
pub const CRL_SLACK: Duration = Duration::from_secs(60);

/// Why the gateway did not start, or ended.
#[derive(Debug, Error)]
pub enum ServeFault {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigFault),
    /// Whom to tell of alerts.
    #[error(transparent)]
    Alerts(#[from] WrongAlerts),
    /// A key.
    #[error(transparent)]
    Key(#[from] KeyFault),
    /// TLS files.
    #[error(transparent)]
    Tls(#[from] TlsFault),
    /// The journal or what follows it.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The network's name in the configuration is none.
    #[error("the configuration's network cannot be one: dotted lower-case labels, as in referral.example")]
    Network,
    /// A socket.
    #[error("{address} cannot be listened on: {error}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        error: io::Error,
    },
    /// Who enrols needs a certificate.
    #[error("enrolment_listen needs the authority in {}: leave the key out, or put the authority there", .0.display())]
    NoAuthority(PathBuf),
    /// A folder.
    #[error("a folder cannot be used: {0}")]
    Folder(io::Error),
    /// The transport.
    #[error("serving failed: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// The service definitions do not fit.
    #[error("the service definitions cannot be shown: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// A gateway that listens.
pub struct Serving {
    /// Where agents and staff connect.
    pub address: SocketAddr,
    /// Where whoever is invited connects.
    pub enrolment_address: Option<SocketAddr>,
    /// Where staff open the console.
    pub console_address: Option<SocketAddr>,
    /// Where Prometheus connects.
    pub metrics_address: Option<SocketAddr>,
    /// What was found at the start.
    pub started: Started,
    running: Running,
}

struct Running {
    gateway: Arc<Gateway>,
    eraser: Eraser,
    listener: TcpListener,
    metrics_listener: Option<TcpListener>,
    enrolling: Option<Enrolling>,
    console: Option<(TcpListener, Door)>,
    door: Door,
    place: Place,
    writer_ended: oneshot::Receiver<Result<(), Fault>>,
}

/// What enrolment needs.
struct Enrolling {
    listener: TcpListener,
    tls: Arc<ArcSwap<ServerConfig>>,
    vkeys: LogVkeys,
}

/// How many files and connections the process must be able to hold open.
const OPEN_FILES: u64 = 8192;

/// Raises the limit of open files as far as it goes: each connection is one, and a gateway that has
/// none left for its journal ends.
fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let raised = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).is_ok();
    let open = if raised { limit.maximum } else { limit.current };
    if open.is_some_and(|open| open < OPEN_FILES) {
        tracing::warn!(open, wanted = OPEN_FILES, "the limit of open files is low: raise LimitNOFILE");
    }
}

/// Opens everything and listens; nobody is served yet.
///
/// # Errors
/// [`ServeFault`].
pub async fn open(config: &Config, root: &Path) -> Result<Serving, ServeFault> {
    raise_open_files();
    let network = AgencyId::parse(&config.network, "network").map_err(|_| ServeFault::Network)?;
    let place = Place::new(root, config.anchor.as_deref());
    let keys = place.log_keys(config)?;
    Upkeep::new(&place).renew();
    let tls = place.tls().load(clock::machine())?;
    let reserve_bytes = config.reserve_mib.saturating_mul(1024 * 1024);
    let journal = journal::Config { reserve_bytes, ..journal::Config::default() };
    let (writer, started) = place.open(journal, keys.clone())?;
    let metrics = Arc::new(Metrics::new());
    let connections = Arc::new(Connections::default());
    connections.revoke(tls.revoked, clock::machine());
    metrics.crls_until.set(seconds(tls.crls_until));
    let eraser = writer.journal().eraser();
    metrics.certificate_until.set(seconds(tls.certificate_until));
    let alerts = Alerting::new(&config.alerts, &config.network, root, reserve_bytes)?;
    let restoring = Restoring::of(&place, writer.state(), &keys);
    let (hub, writer_ended) =
        Hub::start(writer, Arc::clone(&connections), Arc::clone(&metrics), restoring.is_held());
    let gateway = Arc::new(Gateway {
        mail: MailReader::new(hub.history().clone()),
        published: Published::open(&place.evidence(), &place.directory(), &keys)
            .map_err(ServeFault::Folder)?,
        parts: PartStore::open(&place.parts(), reserve_bytes).map_err(ServeFault::Folder)?,
        intake: Arc::default(),
        metrics: Arc::clone(&metrics),
        stop: CancellationToken::new(),
        trails: telemetry::Trails::default(),
        streams: AtomicU64::new(0),
        board: Board::new(hub.clone(), Arc::clone(&connections), root),
        alerts,
        restoring,
        hub,
    });
    let listener = listen(config.listen).await?;
    let metrics_listener = match config.metrics {
        Some(address) => Some(listen(address).await?),
        None => None,
    };
    let vkeys = LogVkeys {
        evidence: keys.evidence.verifier().to_string(),
        directory: keys.directory.verifier().to_string(),
    };
    let enrolling = enrolling(config.enrolment_listen, &place, tls.enrolment, vkeys).await?;
    let console_tls = Arc::new(ArcSwap::new(tls.console));
    let tls = Arc::new(ArcSwap::new(tls.server));
    let door = Door { network, tls, connections, metrics, refused: Arc::default() };
    let console = console_door(config.console, Door { tls: console_tls, ..door.clone() }).await?;
    Ok(Serving {
        address: listener.local_addr().map_err(ServeFault::Folder)?,
        enrolment_address: enrolling.as_ref().and_then(|one| one.listener.local_addr().ok()),
        console_address: console.as_ref().and_then(|(listener, _)| listener.local_addr().ok()),
        metrics_address: metrics_listener.as_ref().and_then(|listener| listener.local_addr().ok()),
        started,
        running: Running {
            gateway,
            eraser,
            listener,
            metrics_listener,
            enrolling,
            console,
            door,
            place,
            writer_ended,
        },
    })
}

/// What enrolment needs, if anybody can join by it.
async fn enrolling(
    address: Option<SocketAddr>,
    place: &Place,
    tls: Arc<ServerConfig>,
    vkeys: LogVkeys,
) -> Result<Option<Enrolling>, ServeFault> {
    match address {
        Some(_) if !place.authority().is_dir() => Err(ServeFault::NoAuthority(place.authority())),
        Some(address) => {
            let tls = Arc::new(ArcSwap::new(tls));
            Ok(Some(Enrolling { listener: listen(address).await?, tls, vkeys }))
        }
        None => Ok(None),
    }
}

/// The console's listener and door, if there is a console.
async fn console_door(
    address: Option<SocketAddr>,
    door: Door,
) -> Result<Option<(TcpListener, Door)>, ServeFault> {
    match address {
        Some(address) => Ok(Some((listen(address).await?, door))),
        None => Ok(None),
    }
}

impl Serving {
    /// What serves, for whoever moves the clock of a sandbox.
    #[must_use]
    pub fn gateway(&self) -> Arc<Gateway> {
        Arc::clone(&self.running.gateway)
    }

    /// Serves until `stop`, or until the writer ends. What is under way at the stop is answered or
    /// refused; then the writer brings what follows the journal up to it.
    ///
    /// # Errors
    /// [`ServeFault`].
    pub async fn run(self, stop: CancellationToken) -> Result<(), ServeFault> {
        let Running {
            gateway,
            eraser,
            listener,
            metrics_listener,
            enrolling,
            console,
            door,
            place,
            mut writer_ended,
        } = self.running;
        let (health, health_service) = tonic_health::server::health_reporter();
        let look = Look {
            gateway: Arc::clone(&gateway),
            door: door.clone(),
            enrolment: enrolling.as_ref().map(|enrolling| Arc::clone(&enrolling.tls)),
            console: console.as_ref().map(|(_, door)| Arc::clone(&door.tls)),
            files: place.tls(),
            upkeep: Upkeep::new(&place),
            health,
        };
        let looking = tokio::spawn(look.run());
        let erasing = tokio::spawn(Sweeper::new(Arc::clone(&gateway), eraser).run());
        let alerting = tokio::spawn(alerts::run(Arc::clone(&gateway)));
        let monitoring =
            metrics_listener.map(|listener| tokio::spawn(monitor(listener, Arc::clone(&gateway))));
        let enrolling = enrolling.map(|Enrolling { listener, tls, vkeys }| {
            let shared = (Arc::clone(&gateway), tls);
            let stop = gateway.stop.clone();
            tokio::spawn(enrolment::serve(listener, shared, place.authority(), vkeys, stop))
        });
        let console = console
            .map(|(listener, door)| tokio::spawn(console::serve(listener, door, Arc::clone(&gateway))));
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::wire::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()?;
        let incoming = ReceiverStream::new(door.open(listener, gateway.stop.clone()));
        let serving = server()
            .layer(IntakeLayer(Arc::clone(&gateway)))
            .add_routes(routes(&gateway, &place).add_service(health_service).add_service(reflection))
            .serve_with_incoming_shutdown(incoming, gateway.stop.clone().cancelled_owned());
        let mut serving = Box::pin(serving);
        let ended = tokio::select! {
            served = &mut serving => { served?; None }
            ended = &mut writer_ended => Some(ended),
            () = stop.cancelled() => None,
        };
        gateway.stop.cancel();
        if ended.is_none() && tokio::time::timeout(END_TIME_MAX, serving).await.is_err() {
            tracing::warn!("some connections did not end in time");
        }
        looking.abort();
        erasing.abort();
        alerting.abort();
        if let Some(monitoring) = monitoring {
            monitoring.abort();
        }
        drop((looking.await, erasing.await, alerting.await));
        // They answer what they have taken, and end by themselves.
        for ending in enrolling.into_iter().chain(console) {
            drop(ending.await);
        }
        // Connections that did not end still hold ways to the writer.
        gateway.hub.end().await;
        let ended = match ended {
            Some(ended) => ended,
            None => writer_ended.await,
        };
        Ok(ended.unwrap_or(Ok(()))?)
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener, ServeFault> {
    TcpListener::bind(address).await.map_err(|error| ServeFault::Listen { address, error })
}

/// A server with every limit of the transport.
#[must_use]
pub fn server() -> Server {
    Server::builder()
        .trace_fn(telemetry::call_span)
        .max_concurrent_streams(STREAMS_PER_CONNECTION_MAX)
        .http2_max_header_list_size(HEADERS_BYTES_MAX)
        .http2_max_pending_accept_reset_streams(Some(RESETS_PENDING_MAX))
        .http2_max_local_error_reset_streams(Some(RESETS_OF_ERRORS_MAX))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .http2_keepalive_interval(Some(KEEPALIVE_EVERY))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIME_MAX))
}

fn routes(gateway: &Arc<Gateway>, place: &Place) -> tonic::service::Routes {
    let of = || Arc::clone(gateway);
    let certificates = CertificatesServer::new(CertificatesService::new(of(), place.authority()));
    tonic::service::Routes::new(PushServer::new(PushService(of())).max_decoding_message_size(PUSH_BYTES_MAX))
        .add_service(ReceiveServer::new(ReceiveService(of())).max_decoding_message_size(CALL_BYTES_MAX))
        .add_service(PartsServer::new(PartsService(of())).max_decoding_message_size(CALL_BYTES_MAX))
        .add_service(LogServer::new(LogService(of())).max_decoding_message_size(CALL_BYTES_MAX))
        .add_service(WitnessServer::new(WitnessService(of())).max_decoding_message_size(CALL_BYTES_MAX))
        .add_service(DirectoryServer::new(DirectoryService(of())).max_decoding_message_size(CALL_BYTES_MAX))
        .add_service(EvidenceServer::new(EvidenceService(of())).max_decoding_message_size(CALL_BYTES_MAX))
        .add_service(OperationsServer::new(OperationsService(of())).max_decoding_message_size(CALL_BYTES_MAX))
        .add_service(certificates.max_decoding_message_size(CALL_BYTES_MAX))
}

/// Looks at files, certificates and the writer, again and again.
struct Look {
    gateway: Arc<Gateway>,
    door: Door,
    enrolment: Option<Arc<ArcSwap<ServerConfig>>>,
    console: Option<Arc<ArcSwap<ServerConfig>>>,
    files: TlsFiles,
    upkeep: Upkeep,
    health: HealthReporter,
}

impl Look {
    async fn run(self) {
        let mut every = interval(LOOK_EVERY);
        let mut stamp = self.files.stamp();
        let mut swept = None;
        let (mut renewed, mut listed) = (Instant::now(), self.upkeep.listed_at());
        loop {
            every.tick().await;
            self.gateway.restoring.look(&self.gateway.hub).await;
            let lists = self.upkeep.listed_at();
            if renewed.elapsed() > RENEW_EVERY || lists != listed || self.crls_end_soon() {
                (renewed, listed) = (Instant::now(), lists);
                self.upkeep.renew();
            }
            let newest = self.files.stamp();
            if newest != stamp {
                self.take_up(self.files.load(clock::machine()));
                stamp = newest;
            }
            self.cut(self.door.connections.sweep(clock::machine()));
            self.door.look();
            let open = i64::try_from(self.door.connections.open()).unwrap_or(i64::MAX);
            self.gateway.metrics.connections.set(open);
            let serving = if is_ready(&self.gateway).is_ok() {
                ServingStatus::Serving
            } else {
                ServingStatus::NotServing
            };
            self.health.set_service_status("", serving).await;
            if swept.is_none_or(|swept: SystemTime| swept.elapsed().is_ok_and(|age| age > SWEEP_EVERY)) {
                swept = Some(SystemTime::now());
                self.sweep();
            }
        }
    }

    /// Before the next turn of renewing, and one more: it is not waited for.
    fn crls_end_soon(&self) -> bool {
        ends_within(&self.gateway, RENEW_EVERY.saturating_mul(2))
    }

    /// Takes up changed files. What cannot be used changes nothing.
    fn take_up(&self, loaded: Result<Tls, TlsFault>) {
        match loaded {
            Ok(tls) => {
                self.door.tls.store(tls.server);
                if let Some(enrolment) = &self.enrolment {
                    enrolment.store(tls.enrolment);
                }
                if let Some(console) = &self.console {
                    console.store(tls.console);
                }
                self.gateway.metrics.crls_until.set(seconds(tls.crls_until));
                self.gateway.metrics.certificate_until.set(seconds(tls.certificate_until));
                self.cut(self.door.connections.revoke(tls.revoked, clock::machine()));
                tracing::info!("TLS files taken up");
            }
            Err(fault) => {
                self.gateway.metrics.tls_faults.inc();
                tracing::error!(%fault, "changed TLS files cannot be used: the ones before stay");
            }
        }
    }

    fn cut(&self, count: usize) {
        if count > 0 {
            self.gateway.metrics.connections_cut.inc_by(u64::try_from(count).unwrap_or(u64::MAX));
            tracing::info!(count, "connections cut: their certificates have ended");
        }
    }

    fn sweep(&self) {
        match self.gateway.parts.sweep(SystemTime::now()) {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "attachments cleared away that nobody refers to"),
            Err(error) => tracing::warn!(kind = ?error.kind(), "attachments cannot be cleared away"),
        }
    }
}

/// Whether envelopes would be taken and found again, and if not, why.
fn is_ready(gateway: &Gateway) -> Result<(), Cow<'static, str>> {
    let status = gateway.hub.status();
    if gateway.restoring.is_held() {
        return Err(gateway.restoring.why(&gateway.hub).into());
    }
    if gateway.hub.stalled_ms(clock::now()).is_some() {
        return Err(Cow::Borrowed("the writer does not get on"));
    }
    if status.is_draining {
        return Err(Cow::Borrowed("no new work is taken before a planned stop"));
    }
    if !status.has_room {
        return Err(Cow::Borrowed("the disk has no room"));
    }
    if !status.is_clock_right {
        return Err(Cow::Borrowed("the clock is behind the journal"));
    }
    if !status.is_indexed {
        return Err(Cow::Borrowed("the index is being built"));
    }
    if ends_within(gateway, CRL_SLACK) {
        return Err(Cow::Borrowed("a CRL has run out"));
    }
    Ok(())
}

/// Whether the first CRL runs out within a time.
fn ends_within(gateway: &Gateway, time: Duration) -> bool {
    let until_s = clock::machine().0 / 1000 + time.as_secs();
    seconds(i64::try_from(until_s).unwrap_or(i64::MAX)) > gateway.metrics.crls_until.get()
}

#[allow(clippy::cast_precision_loss, clippy::as_conversions, reason = "a metric, in seconds")]
const fn seconds(unix_s: i64) -> f64 {
    unix_s as f64
}

/// `/metrics`, `/health` (the process runs) and `/ready` (it would take envelopes).
async fn monitor(listener: TcpListener, gateway: Arc<Gateway>) {
    let router = Router::new()
        .route("/metrics", get(metrics_text))
        .route("/health", get(|| async { "ok\n" }))
        .route("/ready", get(ready))
        .with_state(gateway);
    if let Err(error) = axum::serve(listener, router).await {
        tracing::error!(%error, "metrics are not served any more");
    }
}

async fn metrics_text(State(gateway): State<Arc<Gateway>>) -> ([(&'static str, &'static str); 1], String) {
    let content = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    ([("content-type", content)], gateway.metrics.text())
}

async fn ready(State(gateway): State<Arc<Gateway>>) -> (StatusCode, String) {
    match is_ready(&gateway) {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
    }
}
