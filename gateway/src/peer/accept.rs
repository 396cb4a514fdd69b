//! The door: TCP connections are taken, shake hands within a time, and become streams that know who
//! is on them. One slow peer holds up no other. Not here: what is served on them.

use std::{
    io,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use arc_swap::ArcSwap;
use proto::ids::AgencyId;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::transport::server::Connected;

use super::{
    certificate::Peer,
    connections::{CONNECTIONS_MAX, Connections, NotAdmitted, Place},
};
use crate::{clock, metrics::Metrics};

/// Most handshakes at the same time; whoever comes beyond waits in the kernel's queue.
pub const HANDSHAKES_MAX: usize = 256;
/// How long a handshake may take.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(5);
/// How long the door rests when the machine has no file descriptor left.
const REST: Duration = Duration::from_millis(100);

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
}

/// A connection and who is on it.
pub struct PeerStream {
    stream: TlsStream<TcpStream>,
    peer: Arc<Peer>,
    ended: Pin<Box<WaitForCancellationFutureOwned>>,
    place: Place,
    _permit: OwnedSemaphorePermit,
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
        let handshakes = Arc::new(Semaphore::new(HANDSHAKES_MAX));
        let connections = Arc::new(Semaphore::new(CONNECTIONS_MAX));
        loop {
            let (Ok(permit), Ok(handshake)) = (
                Arc::clone(&connections).acquire_owned().await,
                Arc::clone(&handshakes).acquire_owned().await,
            ) else {
                return;
            };
            let tcp = match listener.accept().await {
                Ok((tcp, _)) => tcp,
                Err(error) => {
                    tracing::warn!(kind = ?error.kind(), "a connection could not be taken");
                    tokio::time::sleep(REST).await;
                    continue;
                }
            };
            let door = self.clone();
            let sender = sender.clone();
            tokio::spawn(async move {
                let stream = timeout(HANDSHAKE_TIME_MAX, door.shake_hands(tcp, permit)).await;
                drop(handshake);
                match stream {
                    Ok(Some(stream)) => drop(sender.send(Ok(stream)).await),
                    Ok(None) => {}
                    Err(_) => door.refuse("the handshake took too long"),
                }
            });
        }
    }

    async fn shake_hands(&self, tcp: TcpStream, permit: OwnedSemaphorePermit) -> Option<PeerStream> {
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
        match self.connections.admit(&peer, clock::now()) {
            Ok(place) => {
                let ended = Box::pin(place.ended().clone().cancelled_owned());
                Some(PeerStream { stream, peer: Arc::new(peer), ended, place, _permit: permit })
            }
            Err(NotAdmitted::Ended) => {
                self.refuse("the certificate has ended");
                None
            }
            Err(NotAdmitted::TooMany) => {
                self.refuse("the caller has too many connections");
                None
            }
        }
    }

    fn refuse(&self, why: &str) {
        self.metrics.connections_refused.inc();
        tracing::info!(why, "connection refused");
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
        Pin::new(&mut self.stream).poll_read(context, buffer)
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
