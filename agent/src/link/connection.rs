//! A connection to the gateway: TLS 1.3, our certificate, its certificate checked for the network's
//! root, its host name and its identity. Not here: when to connect again.

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use hyper_util::rt::TokioIo;
use rustls::{
    ClientConfig, RootCertStore,
    client::Resumption,
    crypto::{CryptoProvider, aws_lc_rs},
    pki_types::{PrivateKeyDer, ServerName, pem::PemObject as _},
    version::TLS13,
};
use thiserror::Error;
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::{TlsConnector, client::TlsStream};
use tonic::transport::{Channel, Endpoint, Uri};

use crate::{
    certificate,
    credential::{Credential, NoCredential},
    link::proxy::{NotThrough, Proxy},
    network::Network,
};

/// How long connecting may take, the handshake included.
pub const CONNECT_TIME_MAX: Duration = Duration::from_secs(15);
/// How often a silent connection is asked whether it is there.
pub const KEEPALIVE_EVERY: Duration = Duration::from_secs(20);
/// How long it may take to answer.
pub const KEEPALIVE_TIME_MAX: Duration = Duration::from_secs(10);
/// How much one stream may send ahead to us.
const STREAM_WINDOW_BYTES: u32 = 2 * 1024 * 1024;

/// Why there is no connection. Each says what to do next.
#[derive(Debug, Error)]
pub enum NotConnected {
    /// The certificate, or its key, cannot be used.
    #[error(transparent)]
    Credential(#[from] NoCredential),
    /// The network's files do not make a connection.
    #[error("the certificate, its key or the network's root cannot be used: {0}; run `agent install` again")]
    Files(rustls::Error),
    /// The gateway's name is none.
    #[error("the gateway's name in network.toml is none")]
    Name,
    /// Nobody answers.
    #[error("{address} cannot be reached: {kind}; check the network, and `connect` in agent.toml")]
    Unreachable {
        /// Where.
        address: String,
        /// What the operating system said.
        kind: io::ErrorKind,
    },
    /// There is no way through the proxy.
    #[error(transparent)]
    Proxy(#[from] NotThrough),
    /// The handshake failed.
    #[error(
        "the handshake with the gateway failed: {0}; if it stays so, check the clock, the certificate's end, and \
         whether the agency was revoked"
    )]
    Handshake(io::Error),
    /// It took too long.
    #[error("{0} did not answer in time; check the network")]
    Late(String),
    /// It is of the network, but no gateway.
    #[error("what answers has a certificate of the network, but is no gateway")]
    NoGateway,
    /// HTTP/2 failed.
    #[error("the connection failed: {0}")]
    Transport(tonic::transport::Error),
}

/// Makes connections.
pub struct Connector {
    tls: TlsConnector,
    name: ServerName<'static>,
    address: String,
    proxy: Option<Proxy>,
    identity: String,
}

impl Connector {
    /// To a network's gateway, with an agency's certificate; through a proxy, if there is one.
    ///
    /// # Errors
    /// [`NotConnected::Files`] or [`NotConnected::Name`].
    pub fn new(
        network: &Network,
        connect: Option<&str>,
        proxy: Option<&Proxy>,
        credential: &Credential,
    ) -> Result<Self, NotConnected> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        Ok(Self {
            tls: TlsConnector::from(Arc::new(config(network, Some(credential), provider)?)),
            name: ServerName::try_from(network.host.clone()).map_err(|_| NotConnected::Name)?,
            address: address(network, connect),
            proxy: proxy.cloned(),
            identity: format!("spiffe://{}/gateway", network.name),
        })
    }

    /// Connects. The channel never connects again by itself: when it breaks, it stays broken.
    ///
    /// # Errors
    /// [`NotConnected`].
    pub async fn connect(&self) -> Result<Channel, NotConnected> {
        let stream = timeout(CONNECT_TIME_MAX, self.handshake()).await;
        let stream = stream.map_err(|_| NotConnected::Late(self.address.clone()))??;
        over(stream).await.map_err(NotConnected::Transport)
    }

    async fn handshake(&self) -> Result<TlsStream<TcpStream>, NotConnected> {
        let unreachable = |error: io::Error| NotConnected::Unreachable {
            address: self.address.clone(),
            kind: error.kind(),
        };
        let stream = match &self.proxy {
            Some(proxy) => proxy.connect(&self.address).await?,
            None => TcpStream::connect(&self.address).await.map_err(unreachable)?,
        };
        stream.set_nodelay(true).map_err(unreachable)?;
        let stream = self.tls.connect(self.name.clone(), stream).await.map_err(NotConnected::Handshake)?;
        let (_, session) = stream.get_ref();
        let leaf = session.peer_certificates().and_then(<[_]>::first);
        let names = leaf.and_then(|leaf| certificate::uri(leaf).ok());
        if names.as_ref() == Some(&self.identity) { Ok(stream) } else { Err(NotConnected::NoGateway) }
    }
}

/// Where the gateway is connected to: host and port.
pub(crate) fn address(network: &Network, connect: Option<&str>) -> String {
    let host = &network.host;
    let bracketed = if host.contains(':') { format!("[{host}]") } else { host.clone() };
    connect.map_or_else(|| format!("{bracketed}:{}", network.port), str::to_owned)
}

/// TLS 1.3 to a network's gateway; without a certificate of ours only to look.
pub(crate) fn config(
    network: &Network,
    credential: Option<&Credential>,
    provider: Arc<CryptoProvider>,
) -> Result<ClientConfig, NotConnected> {
    let mut roots = RootCertStore::empty();
    roots.add(network.root.clone()).map_err(NotConnected::Files)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])
        .map_err(NotConnected::Files)?
        .with_root_certificates(roots);
    let mut config = match credential {
        Some(Credential { key, chain }) => {
            let bad_key = |_| NotConnected::Files(rustls::Error::General("the key".to_owned()));
            let key = PrivateKeyDer::from_pem_slice(key.pem().as_bytes()).map_err(bad_key)?;
            let chain = chain.certificates().to_vec();
            builder.with_client_auth_cert(chain, key).map_err(NotConnected::Files)?
        }
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = vec![b"h2".to_vec()];
    // A resumed session would skip what a whole handshake checks.
    config.resumption = Resumption::disabled();
    Ok(config)
}

/// gRPC over a connection that is there.
pub(crate) async fn over(stream: TlsStream<TcpStream>) -> Result<Channel, tonic::transport::Error> {
    let once = Arc::new(Mutex::new(Some(TokioIo::new(stream))));
    let connector = tower::service_fn(move |_: Uri| {
        let stream = once.lock().unwrap_or_else(PoisonError::into_inner).take();
        async move { stream.ok_or_else(|| io::Error::from(io::ErrorKind::NotConnected)) }
    });
    // TLS is done already, so the endpoint's own scheme says nothing of it.
    Endpoint::from_static("http://gateway")
        .http2_keep_alive_interval(KEEPALIVE_EVERY)
        .keep_alive_timeout(KEEPALIVE_TIME_MAX)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .connect_with_connector(connector)
        .await
}

impl std::fmt::Debug for Connector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connector({})", self.address)
    }
}
