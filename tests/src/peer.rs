//! Whoever comes to the gateway's door: TLS with any certificate or none, and HTTP/2 frames written by
//! hand. Not here: gRPC (`speak`).
#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::must_use_candidate,
    reason = "a test that cannot be set up has failed"
)]

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::Path,
    sync::Arc,
};

use certs::Credential;
use gateway::peer::tls::{certificates, provider};
use rustls::{ClientConfig, RootCertStore, version::TLS13};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpSocket, TcpStream},
};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::sandbox::Sandbox;

/// The first bytes of HTTP/2, before any frame.
pub const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A certificate's chain and its key.
#[derive(Debug)]
pub struct Bearer {
    /// Leaf first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The leaf's.
    pub key: PrivateKeyDer<'static>,
}

impl Bearer {
    /// What an authority has issued.
    pub fn of(credential: &Credential) -> Self {
        Self { chain: credential.chain(), key: credential.key() }
    }

    /// From a folder that an authority has written.
    pub fn read(folder: &Path) -> Self {
        Self {
            chain: certificates(&folder.join("certificate.pem")).unwrap(),
            key: PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap(),
        }
    }

    /// TLS with this certificate, trusting a network's gateway.
    pub fn config(self, sandbox: &Sandbox) -> ClientConfig {
        let mut config = builder(sandbox).with_client_auth_cert(self.chain, self.key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec()];
        config
    }
}

/// TLS without a certificate.
pub fn anonymous(sandbox: &Sandbox) -> ClientConfig {
    let mut config = builder(sandbox).with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec()];
    config
}

fn builder(sandbox: &Sandbox) -> rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(sandbox.network_file().root.as_bytes()).unwrap()).unwrap();
    ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_root_certificates(roots)
}

/// Shakes hands. What the gateway thinks of the certificate comes later: see [`is_served`].
///
/// # Errors
/// When there is no connection, or the gateway is not the network's.
pub async fn connect(address: SocketAddr, config: ClientConfig) -> io::Result<TlsStream<TcpStream>> {
    connect_from(address.ip(), address, config).await
}

/// As [`connect`], from an address of this machine.
///
/// # Errors
/// As [`connect`].
pub async fn connect_from(
    from: IpAddr,
    address: SocketAddr,
    config: ClientConfig,
) -> io::Result<TlsStream<TcpStream>> {
    let name = ServerName::from(address.ip());
    TlsConnector::from(Arc::new(config)).connect(name, tcp_from(from, address).await?).await
}

/// TCP from an address of this machine, and nothing more.
///
/// # Errors
/// The machine's.
pub async fn tcp_from(from: IpAddr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((from, 0).into())?;
    socket.connect(address).await
}

/// An HTTP/1.1 answer: its status, its headers in lower case, its body.
#[derive(Debug)]
pub struct Page {
    /// Such as 200.
    pub status: u16,
    /// With the status line.
    pub head: String,
    /// As text.
    pub body: String,
}

/// What a web server answers a browser that has this certificate.
///
/// # Errors
/// When the connection is not taken, or is cut.
pub async fn browse(address: SocketAddr, config: ClientConfig, path: &str) -> io::Result<Page> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    answered(address, config, &request).await
}

/// A page that a form leads to, as a browser sends it, with further headers.
///
/// # Errors
/// As [`browse`].
pub async fn post(
    address: SocketAddr,
    config: ClientConfig,
    path: &str,
    form: &str,
    headers: &[(&str, &str)],
) -> io::Result<Page> {
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let length = form.len();
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: {address}\r\nContent-Type: application/x-www-form-urlencoded\r\n\
         Content-Length: {length}\r\n{headers}Connection: close\r\n\r\n{form}"
    );
    answered(address, config, &request).await
}

async fn answered(address: SocketAddr, mut config: ClientConfig, request: &str) -> io::Result<Page> {
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    let mut stream = connect(address, config).await?;
    stream.write_all(request.as_bytes()).await?;
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await?;
    let text = String::from_utf8(bytes).map_err(io::Error::other)?;
    let (head, body) = text.split_once("\r\n\r\n").ok_or(io::ErrorKind::UnexpectedEof)?;
    let status = head.get(9..12).and_then(|status| status.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    Ok(Page { status, head: head.to_lowercase(), body: body.to_owned() })
}

/// Whether the gateway begins to speak HTTP/2 on a connection.
pub async fn is_served(stream: &mut TlsStream<TcpStream>) -> bool {
    if stream.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.is_err() {
        return false;
    }
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.is_ok() && head[3] == SETTINGS
}

/// Frame types of RFC 9113.
pub const DATA: u8 = 0;
/// See [`DATA`].
pub const HEADERS: u8 = 1;
/// See [`DATA`].
pub const PRIORITY: u8 = 2;
/// See [`DATA`].
pub const RST_STREAM: u8 = 3;
/// See [`DATA`].
pub const SETTINGS: u8 = 4;
/// See [`DATA`].
pub const PING: u8 = 6;
/// See [`DATA`].
pub const GOAWAY: u8 = 7;
/// See [`DATA`].
pub const WINDOW_UPDATE: u8 = 8;
/// See [`DATA`].
pub const CONTINUATION: u8 = 9;
/// Flags of frames.
pub const END_STREAM: u8 = 1;
/// See [`END_STREAM`].
pub const END_HEADERS: u8 = 4;

/// A frame.
pub fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    claimed(payload.len(), kind, flags, stream, payload)
}

/// A frame that claims any length.
pub fn claimed(length: usize, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(length).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// The header block of a gRPC call: literals without indexing, so that nothing must be remembered.
pub fn call_headers(path: &str) -> Vec<u8> {
    let headers = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", path),
        (":authority", "gateway"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ];
    headers.iter().flat_map(|(name, value)| header(name, value)).collect()
}

/// A header as HPACK's literal without indexing.
pub fn header(name: &str, value: &str) -> Vec<u8> {
    [&[0], integer(name.len()).as_slice(), name.as_bytes(), &integer(value.len()), value.as_bytes()].concat()
}

/// HPACK's integer with a prefix of seven bits.
fn integer(value: usize) -> Vec<u8> {
    let Some(mut rest) = value.checked_sub(127) else {
        return vec![u8::try_from(value).unwrap()];
    };
    let mut bytes = vec![127];
    while rest >= 128 {
        bytes.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    bytes.push(u8::try_from(rest).unwrap());
    bytes
}
