//! An agency's own servers, as its agent meets them: a mail server that speaks enough SMTP for a client
//! that knows no other, and a hook. Each keeps what it was told, and can be made not to work. Not here:
//! what they ought to be told.
#![allow(clippy::missing_panics_doc, clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use rustls::{
    ServerConfig, ServerConnection, StreamOwned,
    crypto::aws_lc_rs,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _},
};

/// What a server speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaks {
    /// SMTP, and TLS after `STARTTLS`; before it nothing is taken.
    Starttls,
    /// SMTP inside TLS.
    Smtps,
    /// HTTP.
    Http,
    /// HTTP inside TLS.
    Https,
}

/// A server that runs until the process ends.
#[derive(Debug)]
pub struct Post {
    /// Where it listens.
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    speaks: Speaks,
    tls: Arc<ServerConfig>,
    /// `user\0password`; nobody is asked when there is none.
    login: Option<String>,
    works: AtomicBool,
    told: Mutex<Vec<String>>,
    turned_away: Mutex<u64>,
}

impl Post {
    /// One with the certificate and key of a folder, for the name `localhost`.
    #[must_use]
    pub fn open(speaks: Speaks, tls: &Path, login: Option<(&str, &str)>) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let login = login.map(|(user, password)| format!("\0{user}\0{password}"));
        let shared = Arc::new(Shared {
            speaks,
            tls: Arc::new(config(tls)),
            login,
            works: AtomicBool::new(true),
            told: Mutex::default(),
            turned_away: Mutex::default(),
        });
        let post = Self { address, shared: Arc::clone(&shared) };
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let shared = Arc::clone(&shared);
                // Whoever hangs up early is no fault of the server's.
                thread::spawn(move || drop(shared.serve(stream)));
            }
        });
        post
    }

    /// Whether it takes anything from now on.
    pub fn works(&self, works: bool) {
        self.shared.works.store(works, Ordering::SeqCst);
    }

    /// What it was told: mails with their heads, or bodies of calls.
    #[must_use]
    pub fn told(&self) -> Vec<String> {
        self.shared.told.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How often it did not take what it was told.
    #[must_use]
    pub fn turned_away(&self) -> u64 {
        *self.shared.turned_away.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn config(folder: &Path) -> ServerConfig {
    let chain = CertificateDer::pem_file_iter(folder.join("certificate.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain.collect::<Result<_, _>>().unwrap(), key)
        .unwrap()
}

/// Which half of a connection in SMTP.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Half {
    /// Before `STARTTLS`.
    Clear,
    /// After it: nobody is greeted again.
    Secure,
    /// There is only one, in TLS.
    Only,
}

fn say(stream: &mut BufReader<impl Read + Write>, text: &str) -> io::Result<()> {
    write!(stream.get_mut(), "{text}\r\n")?;
    stream.get_mut().flush()
}

fn line(stream: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

impl Shared {
    fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        match self.speaks {
            Speaks::Http => self.http(&mut stream),
            Speaks::Https => self.http(&mut self.secure(stream)?),
            Speaks::Smtps => self.smtp(&mut BufReader::new(self.secure(stream)?), Half::Only),
            Speaks::Starttls => {
                // Only `STARTTLS` ends the first half in order.
                self.smtp(&mut BufReader::new(&mut stream), Half::Clear)?;
                self.smtp(&mut BufReader::new(self.secure(stream)?), Half::Secure)
            }
        }
    }

    fn secure(&self, stream: TcpStream) -> io::Result<StreamOwned<ServerConnection, TcpStream>> {
        let session = ServerConnection::new(Arc::clone(&self.tls)).map_err(io::Error::other)?;
        Ok(StreamOwned::new(session, stream))
    }

    fn keep(&self, told: String) {
        self.told.lock().unwrap_or_else(PoisonError::into_inner).push(told);
    }

    fn turn_away(&self) -> io::Error {
        *self.turned_away.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        io::ErrorKind::ConnectionAborted.into()
    }

    fn http(&self, stream: &mut (impl Read + Write)) -> io::Result<()> {
        let mut reader = BufReader::new(stream);
        let mut length = 0;
        loop {
            let line = line(&mut reader)?;
            if line.is_empty() {
                break;
            }
            let head = line.to_ascii_lowercase();
            if let Some(bytes) = head.strip_prefix("content-length:") {
                length = bytes.trim().parse().map_err(io::Error::other)?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let works = self.works.load(Ordering::SeqCst);
        let answer = if works { "204 No Content" } else { "503 Service Unavailable" };
        write!(reader.get_mut(), "HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")?;
        reader.get_mut().flush()?;
        if !works {
            return Err(self.turn_away());
        }
        self.keep(String::from_utf8(body).map_err(io::Error::other)?);
        Ok(())
    }

    /// Until the other side quits, or has said `STARTTLS`.
    fn smtp<S: Read + Write>(&self, stream: &mut BufReader<S>, half: Half) -> io::Result<()> {
        let is_secure = half != Half::Clear;
        if half != Half::Secure {
            if !self.works.load(Ordering::SeqCst) {
                say(stream, "421 not now")?;
                return Err(self.turn_away());
            }
            say(stream, "220 post.example")?;
        }
        let mut is_let_in = self.login.is_none();
        loop {
            let said = line(stream)?;
            let verb = said.split(' ').next().unwrap_or_default().to_ascii_uppercase();
            match verb.as_str() {
                "EHLO" if is_secure => say(stream, "250-post.example\r\n250-8BITMIME\r\n250 AUTH PLAIN")?,
                "EHLO" => say(stream, "250-post.example\r\n250 STARTTLS")?,
                "STARTTLS" if !is_secure => return say(stream, "220 go on"),
                "AUTH" if is_secure => {
                    let given = said.rsplit(' ').next().unwrap_or_default();
                    is_let_in =
                        self.login.as_ref().is_some_and(|login| BASE64_STANDARD.encode(login) == given);
                    say(stream, if is_let_in { "235 welcome" } else { "535 no" })?;
                }
                "QUIT" => return say(stream, "221 bye").and(Err(io::ErrorKind::ConnectionAborted.into())),
                "RSET" | "NOOP" => say(stream, "250 done")?,
                _ if !is_secure || !is_let_in => say(stream, "530 not so")?,
                "MAIL" | "RCPT" => say(stream, "250 good")?,
                "DATA" => {
                    say(stream, "354 go on")?;
                    let mut mail = Vec::new();
                    loop {
                        let line = line(stream)?;
                        if line == "." {
                            break;
                        }
                        mail.push(line.strip_prefix('.').map_or(line.clone(), str::to_owned));
                    }
                    self.keep(mail.join("\r\n"));
                    say(stream, "250 taken")?;
                }
                _ => say(stream, "500 what")?,
            }
        }
    }
}
