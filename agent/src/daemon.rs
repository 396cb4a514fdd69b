//! `agent run`: an agent from its folder to its end. Not here: the parts that it puts together.

use std::{
    io,
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::{Duration, SystemTime},
};

use proto::ids::AgencyId;
use rustls::pki_types::UnixTime;
use thiserror::Error;
use tokio::{
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use crate::{
    credential::{Credential, NoCredential},
    erasure,
    folder::{Folder, FolderFault, Name},
    keys::{Keys, KeysFault},
    link::{
        self, Line,
        backoff::Backoff,
        connection::{Connector, NotConnected},
    },
    network::{Network, NetworkFault},
    notices::{self, way::Way},
    office::{Office, outbound::anew},
    renewal, restored,
    rotation::{self, Plan},
    settings::{Settings, SettingsFault},
    spool::Spool,
    state::State,
    store::{Store, StoreFault},
    withdrawal,
};

/// How long another agent may take to let go of the store, and this one to let go of its own.
pub const LET_GO_TIME_MAX: Duration = Duration::from_secs(5);
/// How often it is tried.
const LET_GO_EVERY: Duration = Duration::from_millis(50);

/// Why the agent did not start, or ended.
#[derive(Debug, Error)]
pub enum RunFault {
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderFault),
    /// Its settings.
    #[error(transparent)]
    Settings(#[from] SettingsFault),
    /// The network's file.
    #[error(transparent)]
    Network(#[from] NetworkFault),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeysFault),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// A file is no text.
    #[error("{0} is no text")]
    NotText(&'static str),
    /// The socket.
    #[error("the local API cannot be served: {0}")]
    Socket(io::Error),
}

/// An agency's folder, read.
#[derive(Debug)]
pub struct Files {
    /// Where everything is.
    pub folder: Folder,
    /// The agency's settings.
    pub settings: Settings,
    /// The network.
    pub network: Network,
}

impl Files {
    /// Opens a folder and reads what is not secret in it.
    ///
    /// # Errors
    /// [`RunFault`].
    pub fn open(root: &Path) -> Result<Self, RunFault> {
        let folder = Folder::open(root)?;
        let settings = Settings::parse(&text(&folder, Name::Settings)?)?;
        let network = Network::parse(&text(&folder, Name::Network)?)?;
        Ok(Self { folder, settings, network })
    }

    /// The certificate that is used now, with its key.
    ///
    /// # Errors
    /// [`NotConnected`].
    pub fn credential(&self) -> Result<Credential, NotConnected> {
        Ok(Credential::load(&self.folder, &self.network, &self.settings, UnixTime::now())?)
    }

    /// What makes connections with it.
    ///
    /// # Errors
    /// [`NotConnected`].
    pub fn connector(&self, credential: &Credential) -> Result<Connector, NotConnected> {
        let Settings { connect, proxy, .. } = &self.settings;
        Connector::new(&self.network, connect.as_deref(), proxy.as_ref(), credential)
    }
}

fn text(folder: &Folder, name: Name) -> Result<String, RunFault> {
    String::from_utf8(folder.read(name)?).map_err(|_| RunFault::NotText(name.path()))
}

/// Runs an agent until `stop`. Without a certificate, or with one that has ended, it runs without a
/// link: what is here can still be read, and what is sent waits.
///
/// # Errors
/// [`RunFault`].
pub async fn run(root: &Path, stop: impl Future<Output = ()>) -> Result<(), RunFault> {
    let files = Arc::new(Files::open(root)?);
    Plan::settle(&files.folder)?;
    let keys = Keys::load(&files.folder)?;
    let me = files.settings.agency.clone();
    let store = open_store(&files.folder, &keys, &me).await?;
    let policy = files.network.policy()?;
    let spool = open_spool(&files.folder, &store)?;
    let office = Office::new(me, keys, files.network.clone(), policy, (store, spool));
    let office = office.with_duty_desk(files.settings.duty_desk.clone());
    let office = office.with_restored(restored::Board::of(&files.folder));
    let office = Arc::new(office.with_keep_days(files.settings.keep_days));
    let line = Line::default();
    let mut ended = office.store.changes();
    let (stop_local, local_stops) = tokio::sync::oneshot::channel::<()>();
    let local = serve(&files, &office, &line, local_stops)?;
    let rotating = tokio::spawn(rotation::run(Arc::clone(&office), Arc::clone(&files), line.clone()));
    let ways = Way::all(&files.settings, &files.folder).into_iter();
    let bells: Vec<_> = ways.map(|way| tokio::spawn(notices::run(Arc::clone(&office), way))).collect();
    let withdrawals = tokio::spawn(withdrawal::run(Arc::clone(&office)));
    let renewing = tokio::spawn(renewal::run(Arc::clone(&office), Arc::clone(&files), line.clone()));
    let files_of_exchange = Arc::clone(&files);
    let connecting = Arc::clone(&office);
    let link = tokio::spawn(link::run(
        Arc::clone(&office),
        move || connect(&files, &connecting),
        line,
        Backoff::of_the_system(),
    ));
    let sealing = tokio::spawn(anew::run(Arc::clone(&office)));
    let erasing = tokio::spawn(erasure::run(Arc::clone(&office)));
    let exchanging = exchange(&office, files_of_exchange);
    tracing::info!(agency = %office.me, "the agent runs");
    let fault = tokio::select! {
        () = stop => None,
        () = async { while ended.changed().await.is_ok() {} } => Some(StoreFault::Ended),
    };
    // Whoever watches would keep the local API from ending.
    office.ending.send_replace(true);
    link.abort();
    withdrawals.abort();
    bells.iter().for_each(JoinHandle::abort);
    sealing.abort();
    renewing.abort();
    rotating.abort();
    erasing.abort();
    exchanging.abort();
    drop(stop_local);
    drop((link.await, local.await, sealing.await, renewing.await, rotating.await, erasing.await, office));
    // A share that does not answer keeps nobody from ending.
    drop(timeout(LET_GO_TIME_MAX, exchanging).await);
    // The store's last work, once nobody can write any more.
    drop(timeout(LET_GO_TIME_MAX, async { while ended.changed().await.is_ok() {} }).await);
    match fault {
        Some(fault) => Err(fault.into()),
        None => Ok(()),
    }
}

/// An agent that was killed lets go of its store a moment later.
async fn open_store(folder: &Folder, keys: &Keys, me: &AgencyId) -> Result<Store<State>, StoreFault> {
    let began = Instant::now();
    loop {
        match Store::open(&folder.store(), &keys.store, State::new(me.clone())) {
            Err(StoreFault::InUse) if began.elapsed() < LET_GO_TIME_MAX => sleep(LET_GO_EVERY).await,
            opened => return opened,
        }
    }
}

/// Nobody seals yet: what nothing refers to was left by an agent that was killed.
fn open_spool(folder: &Folder, store: &Store<State>) -> Result<Spool, FolderFault> {
    let spool = Spool::open(&folder.spool())?;
    let (going, arrived) = store.read(State::apart);
    match spool.sweep(&going, &arrived, SystemTime::now()) {
        Ok(0) => {}
        Ok(files) => tracing::info!(files, "the spool is swept of what nothing refers to"),
        Err(error) => tracing::warn!(kind = ?error.kind(), "the spool cannot be swept"),
    }
    Ok(spool)
}

/// What is on disk now: a certificate that was renewed is used from the next connection on.
fn connect(files: &Files, office: &Office) -> Result<Connector, NotConnected> {
    let credential = files.credential()?;
    let ends_at = credential.chain.ends_at_unix_s().map_err(NoCredential::from)?;
    office.certificate_ends_at_s.store(ends_at, Ordering::Relaxed);
    files.connector(&credential)
}

/// The exchange folder, when the settings name one.
#[cfg(unix)]
fn exchange(office: &Arc<Office>, files: Arc<Files>) -> JoinHandle<()> {
    let (office, folder) = (Arc::clone(office), files.folder.clone());
    let settings = files.settings.exchange.clone();
    tokio::spawn(async move {
        if let Some(settings) = settings {
            crate::exchange::run(office, folder, settings).await;
        }
    })
}

#[cfg(not(unix))]
fn exchange(_: &Arc<Office>, files: Arc<Files>) -> JoinHandle<()> {
    if files.settings.exchange.is_some() {
        tracing::warn!("there is no exchange folder on this system yet");
    }
    tokio::spawn(async {})
}

#[cfg(unix)]
fn serve(
    files: &Files,
    office: &Arc<Office>,
    line: &Line,
    stops: tokio::sync::oneshot::Receiver<()>,
) -> Result<JoinHandle<()>, RunFault> {
    use crate::local::{Local, listen};
    let socket = files.folder.socket();
    let listener = listen(&socket).map_err(RunFault::Socket)?;
    let local = Local::new(Arc::clone(office), files.folder.clone(), line.clone());
    let tcp = tcp(files)?;
    Ok(tokio::spawn(async move {
        let (stop_tcp, tcp_stops) = tokio::sync::oneshot::channel::<()>();
        let over_tcp = tcp.map(|(listener, token)| {
            let serving = local.clone().serve_tcp(listener, token, async { drop(tcp_stops.await) });
            tokio::spawn(serving)
        });
        let stopped = async { drop(stops.await) };
        if let Err(error) = local.serve(listener, stopped).await {
            tracing::error!(%error, "the local API has ended");
        }
        drop(stop_tcp);
        if let Some(over_tcp) = over_tcp {
            drop(over_tcp.await);
        }
        // Left behind it would only be refused by whoever tries it.
        drop(std::fs::remove_file(socket));
    }))
}

/// Where the local API listens over TCP, and what calls must carry there, when the settings say so.
#[cfg(unix)]
fn tcp(files: &Files) -> Result<Option<(tokio::net::TcpListener, crate::local::token::Token)>, RunFault> {
    let Some(settings) = &files.settings.local_api else {
        return Ok(None);
    };
    let token = crate::local::token::Token::of(&files.folder)?;
    let listen = || {
        let listener = std::net::TcpListener::bind(settings.listen)?;
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener)
    };
    Ok(Some((listen().map_err(RunFault::Socket)?, token)))
}

#[cfg(not(unix))]
#[allow(clippy::unnecessary_wraps, reason = "where there are sockets it can fail")]
fn serve(
    _: &Files,
    _: &Arc<Office>,
    _: &Line,
    stops: tokio::sync::oneshot::Receiver<()>,
) -> Result<JoinHandle<()>, RunFault> {
    tracing::warn!("there is no local API on this system yet");
    Ok(tokio::spawn(async { drop(stops.await) }))
}
