//! The way through an HTTP proxy: `CONNECT` (RFC 9110, 9.3.6), and then the connection is ours, TLS and all. The
//! proxy looks the gateway's name up. Not here: TLS (`connection`).

use std::io;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use http::{Uri, uri::Scheme};
use thiserror::Error;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use zeroize::Zeroizing;

/// Longest answer to `CONNECT`, in bytes.
pub const ANSWER_BYTES_MAX: usize = 8 * 1024;
const END: &[u8] = b"\r\n\r\n";

/// A proxy: `http://host:port`, or `http://user:password@host:port`.
#[derive(Clone, PartialEq, Eq)]
pub struct Proxy {
    /// As it is connected to: host and port.
    pub address: String,
    /// What it is told of who asks (RFC 7617), when it asks.
    authorization: Option<Zeroizing<String>>,
}

impl std::fmt::Debug for Proxy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Proxy({})", self.address)
    }
}

/// Why there is no way through the proxy. Each says what to do next.
#[derive(Debug, Error)]
pub enum NotThrough {
    /// It does not answer.
    #[error("the proxy {proxy} cannot be reached: {kind}; check `proxy` in agent.toml, and the network")]
    Unreachable {
        /// The proxy.
        proxy: String,
        /// What the operating system said.
        kind: io::ErrorKind,
    },
    /// It wants to know who asks.
    #[error(
        "the proxy {0} asks for a user and password, or does not take those of `proxy` in agent.toml: write \
         `http://user:password@host:port` there, or ask your IT to let this machine through without"
    )]
    Password(String),
    /// It does not let this through.
    #[error("the proxy {proxy} answers {status}: ask your IT to allow CONNECT to {target}")]
    Refused {
        /// The proxy.
        proxy: String,
        /// Its status.
        status: u16,
        /// Where to.
        target: String,
    },
    /// It is none.
    #[error("what answers at {0} is no HTTP proxy; check `proxy` in agent.toml")]
    NoProxy(String),
}

impl NotThrough {
    /// A stable word.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } => "PROXY_UNREACHABLE",
            Self::Password(_) => "PROXY_PASSWORD",
            Self::Refused { .. } => "PROXY_REFUSED",
            Self::NoProxy(_) => "NO_PROXY",
        }
    }
}

impl Proxy {
    /// Reads a URL of the settings: `http`, a host, a port, perhaps a user and a password, and nothing else. What is
    /// special in these stands as in every URL, such as `%40` for `@`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let authority = uri.authority()?;
        let bare = uri.scheme() == Some(&Scheme::HTTP) && matches!(uri.path(), "" | "/");
        let bare = bare && uri.query().is_none();
        let host = authority.host();
        let port = authority.port_u16().filter(|port| *port > 0)?;
        let authorization = match authority.as_str().rsplit_once('@') {
            Some((user, _)) => Some(basic(user)?),
            None => None,
        };
        (bare && !host.is_empty()).then(|| Self { address: format!("{host}:{port}"), authorization })
    }

    /// A connection to a place, which the proxy has made.
    ///
    /// # Errors
    /// [`NotThrough`].
    pub async fn connect(&self, target: &str) -> Result<TcpStream, NotThrough> {
        let unreachable =
            |error: io::Error| NotThrough::Unreachable { proxy: self.address.clone(), kind: error.kind() };
        let mut stream = TcpStream::connect(&self.address).await.map_err(unreachable)?;
        let authorization = self.authorization.as_ref();
        let authorization = authorization.map(|basic| format!("Proxy-Authorization: {}\r\n", basic.as_str()));
        let authorization = Zeroizing::new(authorization.unwrap_or_default());
        let head = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n");
        let request = Zeroizing::new([head.as_str(), authorization.as_str(), "\r\n"].concat());
        stream.write_all(request.as_bytes()).await.map_err(unreachable)?;
        let answer = read_answer(&mut stream).await.map_err(unreachable)?;
        let status = answer.as_deref().and_then(status);
        match status.ok_or_else(|| NotThrough::NoProxy(self.address.clone()))? {
            200..=299 => Ok(stream),
            407 => Err(NotThrough::Password(self.address.clone())),
            status => {
                Err(NotThrough::Refused { proxy: self.address.clone(), status, target: target.to_owned() })
            }
        }
    }
}

/// `user:password` of a URL as the header has it; none when it has no password, or is not of its form.
fn basic(user: &str) -> Option<Zeroizing<String>> {
    let (name, password) = user.split_once(':')?;
    let (name, password) = (Zeroizing::new(decoded(name)?), Zeroizing::new(decoded(password)?));
    let is_whole = !name.is_empty() && !name.contains(&b':');
    let both = Zeroizing::new([name.as_slice(), b":", &password].concat());
    is_whole.then(|| Zeroizing::new(format!("Basic {}", BASE64_STANDARD.encode(both.as_slice()))))
}

/// The bytes of a part of a URL (RFC 3986, 2.1).
fn decoded(text: &str) -> Option<Vec<u8>> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let digits = [bytes.next()?, bytes.next()?];
            let digits = std::str::from_utf8(&digits)
                .ok()
                .filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
            decoded.push(u8::from_str_radix(digits, 16).ok()?);
        } else {
            decoded.push(byte);
        }
    }
    Some(decoded)
}

/// What the proxy says, up to the empty line; none when it is too long, or ends before. Byte by byte: what
/// comes behind is not the proxy's, and there is little of it.
async fn read_answer(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let mut answer = Vec::new();
    let mut byte = [0];
    while !answer.ends_with(END) {
        if answer.len() >= ANSWER_BYTES_MAX || stream.read(&mut byte).await? == 0 {
            return Ok(None);
        }
        answer.extend_from_slice(&byte);
    }
    Ok(Some(answer))
}

/// The status of `HTTP/1.1 200 …`.
fn status(answer: &[u8]) -> Option<u16> {
    let line = answer.split(|byte| *byte == b'\r').next()?;
    let line = std::str::from_utf8(line).ok()?;
    let mut words = line.split(' ');
    words.next().filter(|version| version.starts_with("HTTP/1."))?;
    let status = words.next().filter(|status| status.len() == 3)?;
    status.parse().ok()
}

#[cfg(test)]
mod tests {
    use tokio::{net::TcpListener, task::JoinHandle};

    use super::*;

    #[test]
    fn a_proxy_is_a_host_and_a_port() {
        let proxy = |address: &str| Some(Proxy { address: address.into(), authorization: None });
        assert_eq!(Proxy::parse("http://proxy.example:3128"), proxy("proxy.example:3128"));
        assert_eq!(Proxy::parse("http://[::1]:3128/"), proxy("[::1]:3128"));
        for bad in [
            "https://proxy.example:3128",
            "http://proxy.example",
            "http://user@proxy.example:3128",
            "http://:word@proxy.example:3128",
            "http://us%3Aer:word@proxy.example:3128",
            "http://user:wo%4rd@proxy.example:3128",
            "http://proxy.example:3128/path",
            "http://proxy.example:3128/?a=b",
            "proxy.example:3128",
            "http://proxy.example:0",
            "",
        ] {
            assert_eq!(Proxy::parse(bad), None, "{bad}");
        }
    }

    /// A proxy that gives this answer, and then says what else it heard.
    async fn answering(answer: Vec<u8>) -> (Proxy, JoinHandle<String>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = Proxy { address: listener.local_addr().unwrap().to_string(), authorization: None };
        let heard = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let request = read_answer(&mut stream).await.unwrap().unwrap();
            stream.write_all(&answer).await.unwrap();
            let mut rest = Vec::new();
            // Whoever was refused has gone, perhaps with a reset.
            drop(stream.read_to_end(&mut rest).await);
            format!("{}|{}", String::from_utf8(request).unwrap(), String::from_utf8(rest).unwrap())
        });
        (proxy, heard)
    }

    #[tokio::test]
    async fn the_connection_is_ours_once_the_proxy_has_made_it() {
        let answer = b"HTTP/1.1 200 Connection established\r\nVia: x\r\n\r\nfirst".to_vec();
        let (proxy, heard) = answering(answer).await;
        let mut stream = proxy.connect("gateway.example:7443").await.unwrap();
        let mut first = [0; 5];
        stream.read_exact(&mut first).await.unwrap();
        assert_eq!(&first, b"first", "nothing of it is lost");
        stream.write_all(b"hello").await.unwrap();
        drop(stream);
        let expected = "CONNECT gateway.example:7443 HTTP/1.1\r\nHost: gateway.example:7443\r\n\r\n|hello";
        assert_eq!(heard.await.unwrap(), expected);
    }

    #[tokio::test]
    async fn a_proxy_that_asks_is_told_who_asks_and_nobody_else() {
        let (proxy, heard) = answering(b"HTTP/1.1 200 x\r\n\r\n".to_vec()).await;
        let told = Proxy::parse(&format!("http://Aladdin:open%20sesame@{}", proxy.address)).unwrap();
        assert_eq!(format!("{told:?}"), format!("Proxy({})", proxy.address));
        drop(told.connect("gateway.example:7443").await.unwrap());
        // The example of RFC 7617.
        let expected = "Proxy-Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n|";
        assert!(heard.await.unwrap().ends_with(expected));
    }

    #[tokio::test]
    async fn what_a_proxy_answers_says_what_to_do() {
        let long = [b"HTTP/1.1 200 x\r\n".as_slice(), &[b'x'; ANSWER_BYTES_MAX]].concat();
        for (answer, code) in [
            (b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n".to_vec(), "PROXY_PASSWORD"),
            (b"HTTP/1.0 403 Forbidden\r\n\r\n".to_vec(), "PROXY_REFUSED"),
            (b"HTTP/1.1 502 Bad Gateway\r\n\r\n".to_vec(), "PROXY_REFUSED"),
            (b"SSH-2.0-OpenSSH\r\n\r\n".to_vec(), "NO_PROXY"),
            (b"HTTP/1.1 20x\r\n\r\n".to_vec(), "NO_PROXY"),
            (long, "NO_PROXY"),
        ] {
            let (proxy, heard) = answering(answer).await;
            let refused = proxy.connect("gateway.example:7443").await.unwrap_err();
            assert_eq!(refused.code(), code, "{refused}");
            heard.await.unwrap();
        }
        let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let nobody = Proxy { address: nobody.to_string(), authorization: None };
        assert_eq!(nobody.connect("g:1").await.unwrap_err().code(), "PROXY_UNREACHABLE");
    }
}
