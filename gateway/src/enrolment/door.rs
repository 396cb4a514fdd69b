//! The door of enrolment: TLS 1.3 without client certificates, few places, each for a short time. Whoever
//! crowds gives way. Not here: what is served, and the door for those who have a certificate
//! (`peer::accept`).

use std::{
    io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use arc_swap::ArcSwap;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    time::{sleep, timeout},
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::sync::CancellationToken;
use tonic::transport::server::Connected;

use crate::{
    metrics::Metrics,
    peer::{accept::HANDSHAKE_TIME_MAX, handshakes::Handshakes},
};

/// Most connections at the same time, those that still shake hands included. Whoever comes beyond pushes
/// out the oldest of the network address that has the most.
pub const CONNECTIONS_MAX: usize = 64;
/// How long a connection may last: enrolling takes a second.
pub const CONNECTION_TIME_MAX: Duration = Duration::from_secs(30);
/// How long the door rests when the machine has no file descriptor left.
const REST: Duration = Duration::from_millis(100);

/// Whence a connection comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address(pub IpAddr);

/// What the door needs.
#[derive(Clone)]
pub struct EnrolmentDoor {
    /// The TLS in use; whoever connects next gets what stands here then.
    pub tls: Arc<ArcSwap<ServerConfig>>,
    /// Counted here.
    pub metrics: Arc<Metrics>,
}

/// A connection of somebody unknown.
pub struct UnknownStream {
    stream: TlsStream<TcpStream>,
    address: Address,
    /// Its time is over, or another needs the place. Holds the place.
    ended: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl EnrolmentDoor {
    /// Opens the door until `stop`.
    #[must_use]
    pub fn open(
        self,
        listener: TcpListener,
        stop: CancellationToken,
    ) -> mpsc::Receiver<io::Result<UnknownStream>> {
        let (sender, receiver) = mpsc::channel(CONNECTIONS_MAX);
        tokio::spawn(async move {
            tokio::select! {
                () = self.accept(&listener, sender) => {}
                () = stop.cancelled() => {}
            }
        });
        receiver
    }

    async fn accept(&self, listener: &TcpListener, sender: mpsc::Sender<io::Result<UnknownStream>>) {
        // A place is kept as long as the connection, not for the handshake alone.
        let places = Arc::new(Handshakes::new(CONNECTIONS_MAX));
        loop {
            match listener.accept().await {
                Ok((tcp, address)) => {
                    let taken = self.clone().take(tcp, address.ip(), Arc::clone(&places), sender.clone());
                    tokio::spawn(taken);
                }
                Err(error) => {
                    tracing::warn!(kind = ?error.kind(), "a connection could not be taken");
                    sleep(REST).await;
                }
            }
        }
    }

    async fn take(
        self,
        tcp: TcpStream,
        address: IpAddr,
        places: Arc<Handshakes>,
        sender: mpsc::Sender<io::Result<UnknownStream>>,
    ) {
        let place = places.begin(address);
        let shaken = tokio::select! {
            shaken = timeout(HANDSHAKE_TIME_MAX, TlsAcceptor::from(self.tls.load_full()).accept(tcp)) => shaken,
            () = place.pushed_out() => {
                self.metrics.connections_refused.inc();
                return;
            }
        };
        let Ok(Ok(stream)) = shaken else {
            self.metrics.connections_refused.inc();
            return;
        };
        let ended = Box::pin(async move {
            tokio::select! {
                () = place.pushed_out() => {}
                () = sleep(CONNECTION_TIME_MAX) => {}
            }
        });
        drop(sender.send(Ok(UnknownStream { stream, address: Address(address), ended })).await);
    }
}

impl AsyncRead for UnknownStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ended.as_mut().poll(context).is_ready() {
            self.ended = Box::pin(std::future::ready(()));
            return Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into()));
        }
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for UnknownStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

impl Connected for UnknownStream {
    type ConnectInfo = Address;

    fn connect_info(&self) -> Self::ConnectInfo {
        self.address
    }
}
