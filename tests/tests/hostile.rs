//! Peers that want to harm, over real TLS to the real process: whatever they do, its memory stays within
//! a bound, and an honest agency beside them is served. Latencies are printed beside those of quiet;
//! what is asserted leaves room for a busy machine. Not here: mistakes (`refusals`), and limits one by
//! one (`limits`).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test: what cannot go on has failed, and the figures are for people"
)]

use std::{
    future::Future,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use h2::SendStream;
use prost::Message as _;
use proto::{digest::Digest, wire};
use rustls::ClientConfig;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::client::TlsStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use trials::{
    network::Network,
    peer::{self, Bearer},
    random::Random,
    sandbox::Sandbox,
    speak::{PATIENCE, Pushes, envelope, is_ready, metric, now, receipt_of, until, waiting_ids},
};

/// The gateway's memory, whatever comes, after all attacks one upon the other, in a build for tests.
const RSS_KIB_MAX: u64 = 192 * 1024;
/// How long each attack lasts.
const ATTACK: Duration = Duration::from_millis(1200);
/// How long an honest push or a new connection may take under attack: far more than it does, and far
/// less than anybody's patience.
const HONEST_TIME_MAX: Duration = Duration::from_secs(5);
/// How often memory is looked at.
const LOOK: Duration = Duration::from_millis(20);
/// How long an honest agency rests between two new connections.
const BETWEEN_CONNECTIONS: Duration = Duration::from_millis(100);

const HONEST: usize = 1;
const SINK: usize = 2;
const HOSTILE: usize = 4;

/// Who attacks, and whom.
#[derive(Clone)]
struct Attacker {
    address: SocketAddr,
    config: ClientConfig,
    stop: CancellationToken,
    /// An envelope of its own, as large as one can be, over and over again.
    largest: Bytes,
    /// What it managed: connections, messages, frames.
    done: Arc<AtomicU64>,
}

type Attack = Pin<Box<dyn Future<Output = ()> + Send>>;
type Row = (&'static str, usize, fn(Attacker) -> Attack);

/// Each attack, and how many do it at the same time.
const ATTACKS: &[Row] = &[
    ("nothing (quiet)", 0, |_| Box::pin(async {})),
    ("connections that say nothing", 4, |a| Box::pin(silent(a, Vec::new(), Ipv4Addr::LOCALHOST))),
    ("half a ClientHello, from elsewhere", 4, |a| {
        Box::pin(silent(a, half_hello(), Ipv4Addr::new(127, 0, 0, 2)))
    }),
    ("garbage instead of TLS", 2, |a| Box::pin(garbage(a))),
    ("more connections than it may have", 4, |a| Box::pin(connections(a))),
    ("a mailbox that is never read", 8, |a| Box::pin(unread(a, "/referral.v1.Receive/Deliver"))),
    ("answers that are never read", 8, |a| Box::pin(unread(a, "/referral.v1.Receive/Fetch"))),
    ("pushes whose answers are never read", 16, |a| Box::pin(unheard(a))),
    ("messages that never end", 8, |a| Box::pin(unfinished(a))),
    ("streams as fast as they go", 2, |a| Box::pin(frames(a, true, streams))),
    ("streams reset at once", 2, |a| Box::pin(frames(a, true, resets))),
    ("headers without end", 2, |a| Box::pin(frames(a, true, continuations))),
    ("huge headers", 2, |a| Box::pin(frames(a, true, huge_headers))),
    ("pings, unheard", 2, |a| Box::pin(frames(a, false, pings))),
    ("pings", 2, |a| Box::pin(frames(a, true, pings))),
    ("settings", 2, |a| Box::pin(frames(a, true, settings))),
    ("priorities, windows and empty data", 2, |a| Box::pin(frames(a, true, trifles))),
    ("frames that are too long", 2, |a| Box::pin(frames(a, true, oversized))),
    ("frames cut off by the end of TCP", 4, |a| Box::pin(truncated(a))),
];

#[test]
fn whatever_peers_do_memory_is_bounded_and_others_are_served() {
    raise_open_files();
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::make(folder.path(), Network::new());
    sandbox.start();
    let sandbox = Arc::new(sandbox);
    let mut attackers = tokio::runtime::Builder::new_multi_thread();
    let attackers = attackers.worker_threads(2).on_thread_start(stand_back).enable_all().build().unwrap();
    let largest = attackers.block_on(fill_mailbox(&sandbox));
    let mut quiet = None;
    let mut sent = 0;
    // `TRIAL_ATTACK=pings` tries these alone.
    let only = std::env::var("TRIAL_ATTACK").unwrap_or_default();
    let chosen = |name: &str| name.contains("quiet") || name.contains(&only);
    for (name, count, attack) in ATTACKS.iter().filter(|(name, ..)| chosen(name)) {
        let attacker = attacker(&sandbox, &largest);
        for _ in 0..*count {
            attackers.spawn(attack(attacker.clone()));
        }
        let seen = honest(&sandbox, attacker.stop.clone());
        attacker.stop.cancel();
        sent += seen.pushes.len();
        let quiet = quiet.get_or_insert_with(|| (seen.p99(), seen.rss_kib));
        report(name, attacker.done.load(Ordering::Relaxed), &seen, quiet.0);
        assert!(seen.rss_kib < RSS_KIB_MAX, "{name}: {} KiB", seen.rss_kib);
        assert!(is_ready(sandbox.metrics), "{name}: {}", sandbox.log_text());
    }
    let log = sandbox.log_text();
    assert!(!log.contains("ERROR") && !log.contains("panicked"), "{log}");
    assert!(log.len() < 200_000, "a flood fills no disk: {} bytes of log", log.len());
    // What the honest agency sent is there, each once, and nothing else.
    attackers.block_on(async {
        let expected = f64::from(u32::try_from(sent + FILLED + 1).unwrap());
        let waiting = || metric(sandbox.metrics, "referral_gateway_waiting");
        until("every honest envelope waits, once", || ((waiting() - expected).abs() < 0.5).then_some(()))
            .await;
    });
    attackers.shutdown_background();
}

/// Attackers have machines of their own. On this one they take what the gateway and the honest agency leave:
/// what is seen is what an attack costs the gateway, not what it costs whoever attacks.
fn stand_back() {
    const LEAST: i32 = 19;
    rustix::process::nice(LEAST).unwrap();
}

fn raise_open_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
}

fn report(name: &str, done: u64, seen: &Seen, quiet: Duration) {
    let ratio = seen.p99().as_secs_f64() / quiet.as_secs_f64();
    println!(
        "{name:<40} {done:>9} done; honest: {:>5} pushes, p50 {:>8.2?}, p99 {:>8.2?} ({ratio:>5.1} x quiet), \
         {:>3} connections, slowest {:>8.2?}; {:>6} KiB",
        seen.pushes.len(),
        seen.p50(),
        seen.p99(),
        seen.connections.len(),
        seen.connections.last().copied().unwrap_or_default(),
        seen.rss_kib,
    );
}

/// How many large envelopes wait for the hostile agency.
const FILLED: usize = 64;

/// Something for the hostile agency to fetch and not read; and something to push again and again, which
/// is given back.
async fn fill_mailbox(sandbox: &Sandbox) -> Bytes {
    let network = &sandbox.network;
    let channel = sandbox.connect(network.at(HONEST).id.as_str()).await.unwrap();
    let mut pushes = Pushes::open(&channel).await.unwrap();
    let mut random = Random::new(40);
    for _ in 0..FILLED {
        let large = large(network, (HONEST, HOSTILE), 500_000, &mut random);
        receipt_of(pushes.push_until_decided(large).await);
    }
    let channel = sandbox.connect(network.at(HOSTILE).id.as_str()).await.unwrap();
    let own = large(network, (HOSTILE, HOSTILE - 1), 1_000_000, &mut Random::new(41));
    receipt_of(Pushes::open(&channel).await.unwrap().push_until_decided(own.clone()).await);
    message(&wire::PushRequest { tag: 1, envelope: Some(own) }.encode_to_vec())
}

fn large(network: &Network, (from, to): (usize, usize), bytes: usize, random: &mut Random) -> wire::Envelope {
    let (from, to) = (network.at(from), network.at(to));
    let (mut header, mut parts) = network.opening(&from.id, &to.id, now(), random);
    parts[0] = Bytes::from(random.run(bytes));
    header.parts[0].length_bytes = u64::try_from(bytes).unwrap();
    header.parts[0].sha256 = Digest::of(&parts[0]);
    envelope(from, &header, &parts)
}

fn attacker(sandbox: &Sandbox, largest: &Bytes) -> Attacker {
    let network = &sandbox.network;
    Attacker {
        address: sandbox.address,
        config: Bearer::read(&sandbox.folder.join(network.at(HOSTILE).id.as_str())).config(sandbox),
        stop: CancellationToken::new(),
        largest: largest.clone(),
        done: Arc::default(),
    }
}

/// A message in gRPC's frame.
fn message(bytes: &[u8]) -> Bytes {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[0], length.as_slice(), bytes].concat().into()
}

/// What an honest agency saw, each list in order of time taken; and the gateway's memory.
struct Seen {
    pushes: Vec<Duration>,
    connections: Vec<Duration>,
    rss_kib: u64,
}

impl Seen {
    fn p50(&self) -> Duration {
        self.pushes[self.pushes.len() / 2]
    }

    fn p99(&self) -> Duration {
        self.pushes[self.pushes.len() * 99 / 100]
    }
}

/// What an honest agency does, and how long each time took.
type Work = Pin<Box<dyn Future<Output = Vec<Duration>>>>;

/// An honest agency at work during an attack, on threads of its own.
fn honest(sandbox: &Arc<Sandbox>, stop: CancellationToken) -> Seen {
    let end = Instant::now() + ATTACK;
    let run = |work: fn(Arc<Sandbox>, Instant) -> Work| {
        let sandbox = Arc::clone(sandbox);
        thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            let mut times = runtime.block_on(work(sandbox, end));
            times.sort_unstable();
            times
        })
    };
    let pushes = run(|sandbox, end| Box::pin(push(sandbox, end)));
    let connections = run(|sandbox, end| Box::pin(connect(sandbox, end)));
    let mut rss_kib = 0;
    while Instant::now() < end {
        rss_kib = rss_kib.max(rss(sandbox.pid()));
        thread::sleep(LOOK);
    }
    drop(stop);
    Seen { pushes: pushes.join().unwrap(), connections: connections.join().unwrap(), rss_kib }
}

fn rss(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Pushes one envelope after the other.
async fn push(sandbox: Arc<Sandbox>, end: Instant) -> Vec<Duration> {
    let network = &sandbox.network;
    let (from, to) = (network.at(HONEST), network.at(SINK));
    let mut random = Random::new(now().0);
    let channel = open(&sandbox).await;
    let mut pushes = Pushes::open(&channel).await.unwrap();
    let mut times = Vec::new();
    while Instant::now() < end {
        let (header, parts) = network.opening(&from.id, &to.id, now(), &mut random);
        let envelope = envelope(from, &header, &parts);
        let begun = Instant::now();
        receipt_of(timeout(HONEST_TIME_MAX, pushes.push_until_decided(envelope)).await.unwrap());
        times.push(begun.elapsed());
    }
    times
}

/// Opens one new connection after the other, and asks something on it.
async fn connect(sandbox: Arc<Sandbox>, end: Instant) -> Vec<Duration> {
    let mut times = Vec::new();
    while Instant::now() < end {
        let begun = Instant::now();
        timeout(HONEST_TIME_MAX, open(&sandbox)).await.unwrap();
        times.push(begun.elapsed());
        tokio::time::sleep(BETWEEN_CONNECTIONS).await;
    }
    times
}

async fn open(sandbox: &Sandbox) -> Channel {
    let channel = sandbox.connect(sandbox.network.at(HONEST).id.as_str()).await.unwrap();
    waiting_ids(&channel).await;
    channel
}

impl Attacker {
    fn did(&self) {
        self.done.fetch_add(1, Ordering::Relaxed);
    }

    async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        peer::connect(self.address, self.config.clone()).await
    }

    /// Does something again and again until the attack is over.
    async fn repeat<F: Future<Output = ()>>(self, work: impl Fn(Self) -> F) {
        let stop = self.stop.clone();
        let repeating = async {
            loop {
                work(self.clone()).await;
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            () = repeating => {}
            () = stop.cancelled() => {}
        }
    }

    /// An HTTP/2 connection that takes no more than its first window.
    async fn h2(&self) -> Option<(h2::client::SendRequest<Bytes>, tokio::task::JoinHandle<()>)> {
        let tls = self.connect().await.ok()?;
        let (client, connection) = h2::client::handshake(tls).await.ok()?;
        let driver = tokio::spawn(async move { drop(connection.await) });
        Some((client, driver))
    }
}

fn half_hello() -> Vec<u8> {
    // A record of a handshake, whose ClientHello promises more than ever comes.
    [&[22, 3, 1, 0x20, 0, 1, 0, 0x1f, 0xfc, 3, 3], [7_u8; 2000].as_slice()].concat()
}

/// Keeps hundreds of connections open that never shake hands, and opens another when one is closed.
async fn silent(attacker: Attacker, says: Vec<u8>, from: Ipv4Addr) {
    const AT_ONCE: usize = 400;
    let mut open = std::collections::VecDeque::new();
    let stop = attacker.stop.clone();
    let flood = async {
        loop {
            if let Ok(mut tcp) = peer::tcp_from(IpAddr::V4(from), attacker.address).await {
                drop(tcp.write_all(&says).await);
                attacker.did();
                open.push_back(tcp);
            }
            if open.len() > AT_ONCE {
                open.pop_front();
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::select! {
        () = flood => {}
        () = stop.cancelled() => {}
    }
}

async fn garbage(attacker: Attacker) {
    attacker
        .repeat(|attacker| async move {
            if let Ok(mut tcp) = TcpStream::connect(attacker.address).await {
                let bytes = Random::new(attacker.done.load(Ordering::Relaxed)).run(4096);
                drop(tcp.write_all(&bytes).await);
                drop(timeout(Duration::from_millis(200), tcp.read(&mut [0; 64])).await);
                attacker.did();
            }
        })
        .await;
}

/// Opens connections and keeps them.
async fn connections(attacker: Attacker) {
    const KEPT: usize = 60;
    let kept = Arc::new(tokio::sync::Mutex::new(Vec::new()));
    attacker
        .repeat(|attacker| {
            let kept = Arc::clone(&kept);
            async move {
                if let Ok(mut tls) = attacker.connect().await {
                    // Some are, most are not.
                    if peer::is_served(&mut tls).await {
                        attacker.did();
                    }
                    let mut kept = kept.lock().await;
                    kept.push(tls);
                    if kept.len() > KEPT {
                        kept.remove(0);
                    }
                }
            }
        })
        .await;
}

fn grpc(path: &str) -> http::Request<()> {
    http::Request::builder()
        .method("POST")
        .uri(format!("http://gateway{path}"))
        .header("te", "trailers")
        .header("content-type", "application/grpc")
        .body(())
        .unwrap()
}

/// Sends bytes as far as they are taken.
async fn pour(body: &mut SendStream<Bytes>, mut bytes: Bytes) -> bool {
    while !bytes.is_empty() {
        body.reserve_capacity(bytes.len());
        match std::future::poll_fn(|context| body.poll_capacity(context)).await {
            Some(Ok(capacity)) if capacity > 0 => {
                let run = bytes.split_to(capacity.min(bytes.len()));
                if body.send_data(run, false).is_err() {
                    return false;
                }
            }
            Some(Ok(_)) => {}
            Some(Err(_)) | None => return false,
        }
    }
    true
}

/// Asks for everything that waits, on as many streams as there may be, and reads none of it.
async fn unread(attacker: Attacker, path: &'static str) {
    attacker
        .repeat(move |attacker| async move {
            let Some((mut client, driver)) = attacker.h2().await else {
                return;
            };
            let request: Vec<u8> = if path.ends_with("Fetch") {
                wire::FetchRequest { count_max: 64 }.encode_to_vec()
            } else {
                let window = wire::deliver_request::Request::Window(256);
                wire::DeliverRequest { request: Some(window) }.encode_to_vec()
            };
            let mut held = Vec::new();
            for _ in 0..64 {
                let Ok(ready) = client.ready().await else {
                    break;
                };
                client = ready;
                let Ok((answer, mut body)) = client.send_request(grpc(path), false) else {
                    break;
                };
                if !pour(&mut body, message(&request)).await {
                    break;
                }
                attacker.did();
                // Nothing of it is read, and no window given back.
                held.push((answer, body));
            }
            drop(timeout(Duration::from_millis(700), driver).await);
            drop(held);
        })
        .await;
}

/// Pushes the largest envelope again and again, and hears no answer.
async fn unheard(attacker: Attacker) {
    attacker
        .repeat(|attacker| async move {
            let Ok(tls) = attacker.connect().await else {
                return;
            };
            // Not one byte of an answer may come.
            let handshake = h2::client::Builder::new().initial_window_size(0).handshake(tls).await;
            let Ok((client, connection)) = handshake else {
                return;
            };
            let driver = tokio::spawn(async move { drop(connection.await) });
            if let Ok(mut client) = client.ready().await
                && let Ok((_answer, mut body)) =
                    client.send_request(grpc("/referral.v1.Push/PushStream"), false)
            {
                while let Ok(true) =
                    timeout(Duration::from_millis(700), pour(&mut body, attacker.largest.clone())).await
                {
                    attacker.did();
                }
            }
            driver.abort();
        })
        .await;
}

/// Sends all of the largest message but its last byte, on as many streams as there may be.
async fn unfinished(attacker: Attacker) {
    attacker
        .repeat(|attacker| async move {
            let Some((mut client, driver)) = attacker.h2().await else {
                return;
            };
            let part = attacker.largest.slice(..attacker.largest.len() - 1);
            let mut held = Vec::new();
            for _ in 0..128 {
                let Ok(ready) = client.ready().await else {
                    break;
                };
                client = ready;
                let Ok((answer, mut body)) = client.send_request(grpc("/referral.v1.Push/PushOne"), false)
                else {
                    break;
                };
                if !matches!(
                    timeout(Duration::from_millis(300), pour(&mut body, part.clone())).await,
                    Ok(true)
                ) {
                    continue;
                }
                attacker.did();
                held.push((answer, body));
            }
            drop(timeout(Duration::from_millis(500), driver).await);
            drop(held);
        })
        .await;
}

/// What goes out next on a connection: its number on this connection is given.
type Chunk = fn(u32) -> Vec<u8>;

/// Writes frames by hand as fast as they are taken, and connects again when the gateway has enough.
async fn frames(attacker: Attacker, hears: bool, chunk: Chunk) {
    attacker
        .repeat(move |attacker| async move {
            let Ok(tls) = attacker.connect().await else {
                return;
            };
            let (mut hear, mut say) = tokio::io::split(tls);
            let hearing = tokio::spawn(async move {
                if hears {
                    drop(tokio::io::copy(&mut hear, &mut tokio::io::sink()).await);
                } else {
                    std::future::pending::<()>().await;
                }
            });
            let begin = [peer::PREFACE, &peer::frame(peer::SETTINGS, 0, 0, &[])].concat();
            let mut number = 0;
            let mut next = begin;
            while let Ok(Ok(())) = timeout(Duration::from_millis(700), say.write_all(&next)).await {
                next = chunk(number);
                number += 1;
                attacker.did();
            }
            hearing.abort();
        })
        .await;
}

const RUN: u32 = 50;

fn streams(number: u32) -> Vec<u8> {
    let headers = peer::call_headers("/referral.v1.Log/GetCheckpoint");
    let call = |stream| {
        let head = peer::frame(peer::HEADERS, peer::END_HEADERS, stream, &headers);
        [head, peer::frame(peer::DATA, peer::END_STREAM, stream, &[0, 0, 0, 0, 2, 8, 1])].concat()
    };
    (0..RUN).flat_map(|place| call((number * RUN + place) * 2 + 1)).collect()
}

fn resets(number: u32) -> Vec<u8> {
    let headers = peer::call_headers("/referral.v1.Log/GetCheckpoint");
    let call = |stream| {
        let head = peer::frame(peer::HEADERS, peer::END_HEADERS, stream, &headers);
        [head, peer::frame(peer::RST_STREAM, 0, stream, &8_u32.to_be_bytes())].concat()
    };
    (0..RUN).flat_map(|place| call((number * RUN + place) * 2 + 1)).collect()
}

fn continuations(number: u32) -> Vec<u8> {
    let more: Vec<u8> = (0..100).flat_map(|_| peer::header("x-name", &"n".repeat(100))).collect();
    if number == 0 {
        peer::frame(peer::HEADERS, 0, 1, &peer::call_headers("/referral.v1.Log/GetTile"))
    } else {
        peer::frame(peer::CONTINUATION, 0, 1, &more)
    }
}

fn huge_headers(number: u32) -> Vec<u8> {
    let stream = number * 2 + 1;
    let value = "n".repeat(15_000);
    let head = peer::frame(peer::HEADERS, 0, stream, &peer::call_headers("/referral.v1.Log/GetTile"));
    let more = peer::frame(peer::CONTINUATION, 0, stream, &peer::header("x-name", &value));
    let last = peer::frame(peer::CONTINUATION, peer::END_HEADERS, stream, &peer::header("x-name", &value));
    [head, more.repeat(4), last].concat()
}

fn pings(_: u32) -> Vec<u8> {
    peer::frame(peer::PING, 0, 0, &[7; 8]).repeat(500)
}

fn settings(_: u32) -> Vec<u8> {
    peer::frame(peer::SETTINGS, 0, 0, &[0, 4, 0, 1, 0, 0]).repeat(500)
}

fn trifles(number: u32) -> Vec<u8> {
    let stream = number * 2 + 1;
    let head = peer::frame(
        peer::HEADERS,
        peer::END_HEADERS,
        stream,
        &peer::call_headers("/referral.v1.Push/PushStream"),
    );
    let priority = peer::frame(peer::PRIORITY, 0, stream, &[0, 0, 0, 0, 1]);
    let window = peer::frame(peer::WINDOW_UPDATE, 0, stream, &1_u32.to_be_bytes());
    let data = peer::frame(peer::DATA, 0, stream, &[]);
    [head, [priority, window, data].concat().repeat(100)].concat()
}

fn oversized(_: u32) -> Vec<u8> {
    peer::claimed(0x00ff_ffff, peer::DATA, 0, 1, &[7; 16_000])
}

/// Ends TCP in the middle of a frame, without a word.
async fn truncated(attacker: Attacker) {
    attacker
        .repeat(|attacker| async move {
            let Ok(mut tls) = attacker.connect().await else {
                return;
            };
            let headers = peer::call_headers("/referral.v1.Push/PushStream");
            let begun = [
                peer::PREFACE,
                &peer::frame(peer::SETTINGS, 0, 0, &[]),
                &peer::frame(peer::HEADERS, peer::END_HEADERS, 1, &headers),
                &peer::claimed(16_000, peer::DATA, 0, 1, &[0, 0, 0, 9, 9, 1, 2, 3]),
            ]
            .concat();
            drop(tls.write_all(&begun).await);
            let (tcp, _) = tls.into_inner();
            // A reset, not an end.
            drop(tcp.set_zero_linger());
            attacker.did();
            drop(tcp);
        })
        .await;
}

/// The whole of an attack is bounded by the patience of a test.
const _: () = assert!(ATTACK.as_secs() < PATIENCE.as_secs());
