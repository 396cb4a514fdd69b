//! The door: TCP connections are taken, shake hands within a time, and become streams that know who
//! is on them. One slow peer holds up no other, nor do many. Not here: what is served on them.

use std::{
    io,
    net::IpAddr,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use proto::ids::AgencyId;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use super::{
    allowance::Throttle,
    certificate::Peer,
    connections::{Connections, NotAdmitted, Place},
    handshakes::{HANDSHAKES_MAX, Handshakes},
};
use crate::{clock, metrics::Metrics};

/// How long a handshake may take.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);
/// Most refused connections that the log tells of one by one, in the time between two calls of
/// [`Door::look`]: a flood must not fill the disk. The metric counts all.
pub const REFUSALS_LOGGED_MAX: u64 = 20;
/// How long the door rests when the machine has no file descriptor left.
const REST: Duration = Duration::from_millis(100);
/// How long one connection works before others have their turn: frames that cost their sender nothing
/// would otherwise hold a core for milliseconds.
const TURN: Duration = Duration::from_micros(200);
/// How much is still read from a caller that has too many connections, so that it hears the answer.
const PARTING_BYTES_MAX: u64 = 64 * 1024;
/// What such a caller is answered in HTTP/2: empty SETTINGS, and GOAWAY with `ENHANCE_YOUR_CALM`, of
/// which gRPC makes `RESOURCE_EXHAUSTED`.
const TOO_MANY: &[u8] = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00\
    \x00\x00\x1c\x07\x00\x00\x00\x00\x00\
    \x00\x00\x00\x00\x00\x00\x00\x0b\
    too many connections";

/// What the door needs.
#[derive(Clone)]
pub struct Door {
    /// The network's id, which certificates must be of.
    pub network: AgencyId,
    /// The TLS in use; whoever connects next gets what stands here then.
    pub tls: Arc<ArcSwap<ServerConfig>>,
    /// The open connections.
    pub connections: Arc<Connections>,
    /// Counted here.
    pub metrics: Arc<Metrics>,
    /// Refusals since the last look.
    pub refused: Arc<AtomicU64>,
}

/// A connection and who is on it.
pub struct PeerStream {
    stream: TlsStream<TcpStream>,
    peer: Arc<Peer>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    place: Place,
    turn: Turn,
    throttle: Throttle,
}

/// Since when a connection works without having waited for anything.
#[derive(Debug, Default)]
struct Turn(Option<Instant>);

impl Turn {
    /// Whether others come first now. Then this connection is woken again behind them.
    fn is_over(&mut self, context: &Context<'_>) -> bool {
        let begun = *self.0.get_or_insert_with(Instant::now);
        let is_over = begun.elapsed() >= TURN;
        if is_over {
            self.0 = None;
            context.waker().wake_by_ref();
        }
        is_over
    }
}

impl Door {
    /// Opens the door until `stop`. Connections come out in the order in which their handshakes end.
    #[must_use]
    pub fn open(
        self,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> mpsc::Receiver<io::Result<PeerStream>> {
        let (sender, receiver) = mpsc::channel(HANDSHAKES_MAX);
        tokio::spawn(async move {
            tokio::select! {
                () = self.accept(&listener, sender) => {}
                () = stop.cancelled() => {}
            }
        });
        receiver
    }

    async fn accept(&self, listener: &TcpListener, sender: mpsc::Sender<io::Result<PeerStream>>) {
        let handshakes = Arc::new(Handshakes::new(HANDSHAKES_MAX));
        loop {
            let (tcp, address) = match listener.accept().await {
                Ok((tcp, address)) => (tcp, address.ip()),
                Err(error) => {
                    tracing::warn!(kind = ?error.kind(), "a connection could not be taken");
                    tokio::time::sleep(REST).await;
                    continue;
                }
            };
            tokio::spawn(self.clone().take((tcp, address), Arc::clone(&handshakes), sender.clone()));
        }
    }

    async fn take(
        self,
        (tcp, address): (TcpStream, IpAddr),
        handshakes: Arc<Handshakes>,
        sender: mpsc::Sender<io::Result<PeerStream>>,
    ) {
        let shaking = handshakes.begin(address);
        let stream = tokio::select! {
            stream = timeout(HANDSHAKE_TIME_MAX, self.shake_hands(tcp)) => stream,
            () = shaking.pushed_out() => return self.refuse("too many handshakes at the same time"),
        };
        drop(shaking);
        match stream {
            Ok(Some(stream)) => drop(sender.send(Ok(stream)).await),
            Ok(None) => {}
            Err(_) => self.refuse("the handshake took too long"),
        }
    }

    async fn shake_hands(&self, tcp: TcpStream) -> Option<PeerStream> {
        if tcp.set_nodelay(true).is_err() {
            return None;
        }
        let stream = match TlsAcceptor::from(self.tls.load_full()).accept(tcp).await {
            Ok(stream) => stream,
            Err(error) => {
                // The other side learns little; whoever runs the gateway must learn why.
                self.refuse(&error.to_string());
                return None;
            }
        };
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        let peer = match Peer::of_verified_chain(&self.network, chain) {
            Ok(peer) => peer,
            Err(error) => {
                self.refuse(&error.to_string());
                return None;
            }
        };
        match self.connections.admit(&peer, clock::machine()) {
            Ok(place) => {
                let ended = Box::pin(place.ended().clone().cancelled_owned());
                let throttle = Throttle::new(Arc::clone(&peer.allowance));
                let (peer, turn) = (Arc::new(peer), Turn::default());
                Some(PeerStream { stream, peer, ended, place, turn, throttle })
            }
            Err(NotAdmitted::Ended) => {
                self.refuse("the certificate has ended");
                None
            }
            Err(NotAdmitted::TooMany) => {
                self.refuse("the caller has too many connections");
                part(stream).await;
                None
            }
            Err(NotAdmitted::Full) => {
                self.refuse("there are too many connections");
                part(stream).await;
                None
            }
        }
    }

    fn refuse(&self, why: &str) {
        self.metrics.connections_refused.inc();
        if self.refused.fetch_add(1, Ordering::Relaxed) < REFUSALS_LOGGED_MAX {
            tracing::info!(why, "connection refused");
        }
    }

    /// Tells what was refused beyond [`REFUSALS_LOGGED_MAX`], and begins to count anew.
    pub fn look(&self) {
        let more = self.refused.swap(0, Ordering::Relaxed).saturating_sub(REFUSALS_LOGGED_MAX);
        if more > 0 {
            tracing::warn!(more, "connections refused, not told one by one");
        }
    }
}

/// Tells a caller that there are too many connections, and waits for its end a little: what it has sent
/// and nobody read would make the answer lost.
async fn part(mut stream: TlsStream<TcpStream>) {
    if stream.write_all(TOO_MANY).await.is_ok() && stream.shutdown().await.is_ok() {
        let mut rest = stream.take(PARTING_BYTES_MAX);
        // Whatever it says, and however it ends.
        drop(tokio::io::copy(&mut rest, &mut tokio::io::sink()).await);
    }
}

impl PeerStream {
    /// Fails as soon as the certificate has ended.
    fn check(&mut self, context: &mut Context<'_>) -> io::Result<()> {
        match Future::poll(self.ended.as_mut(), context) {
            Poll::Ready(()) => Err(io::ErrorKind::ConnectionAborted.into()),
            Poll::Pending => Ok(()),
        }
    }
}

impl AsyncRead for PeerStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Err(error) = self.check(context) {
            return Poll::Ready(Err(error));
        }
        if self.throttle.is_spent(context) || self.turn.is_over(context) {
            return Poll::Pending;
        }
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.throttle.took(buffer.filled().len().saturating_sub(before));
        if polled.is_pending() {
            self.turn = Turn::default();
        }
        polled
    }
}

impl AsyncWrite for PeerStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.ended_already() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if self.turn.is_over(context) {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        runs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.ended_already() {
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        if self.turn.is_over(context) {
            return Poll::Pending;
        }
        Pin::new(&mut self.stream).poll_write_vectored(context, runs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl PeerStream {
    fn ended_already(&self) -> bool {
        self.place.ended().is_cancelled()
    }
}

impl Connected for PeerStream {
    type ConnectInfo = Arc<Peer>;

    fn connect_info(&self) -> Self::ConnectInfo {
        Arc::clone(&self.peer)
    }
}
