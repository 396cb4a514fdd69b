//! The gateway's limits, one by one, over real TLS to the real process: each is reached, what is beyond
//! is answered, and what is within goes on. Not here: those of the rules (`proto`), and those that a
//! unit test of their module reaches.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test: what cannot go on has failed, and the figures are for people"
)]

use std::{
    fs,
    time::{Duration, Instant},
};

use bytes::Bytes;
use gateway::{
    hub::desk::LEASED_MAX,
    peer::{
        accept::{HANDSHAKE_TIME_MAX, REFUSALS_LOGGED_MAX},
        connections::CONNECTIONS_PER_CALLER_MAX,
        tls::FILE_BYTES_MAX,
    },
    serve::{
        CONNECTION_WINDOW_BYTES, CRL_SLACK, END_TIME_MAX, HEADERS_BYTES_MAX, KEEPALIVE_EVERY,
        KEEPALIVE_TIME_MAX, RESETS_OF_ERRORS_MAX, RESETS_PENDING_MAX, STREAM_WINDOW_BYTES,
        STREAMS_PER_CONNECTION_MAX,
    },
    service::{
        CALL_BYTES_MAX,
        intake::{
            DELIVERY_STREAMS_MAX, FETCHES_MAX, FOLLOWERS_MAX, PARTIAL_BYTES_MAX, PUSH_STREAMS_MAX,
            UPLOADS_MAX,
        },
        push::STREAM_IN_FLIGHT_MAX,
        receive::{FETCH_BYTES_MAX, FETCH_MAX},
        stubs::{log_client::LogClient, push_client::PushClient},
    },
};
use prost::Message as _;
use proto::{digest::Digest, wire};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tokio_rustls::client::TlsStream;
use tonic::Code;
use tonic_types::StatusExt as _;
use trials::{
    network::Network,
    peer::{self, Bearer},
    random::Random,
    sandbox::Sandbox,
    speak::{
        Deliveries, PATIENCE, Pushes, envelope, failure, get, handover, is_ready, metric, now, receipt_of,
        refusal_in, until, waiting,
    },
};

const FROM: usize = 1;
const TO: usize = 3;

fn started(folder: &std::path::Path) -> Sandbox {
    let mut sandbox = Sandbox::make(folder, Network::new());
    sandbox.start();
    sandbox
}

fn name(sandbox: &Sandbox, place: usize) -> String {
    sandbox.network.at(place).id.to_string()
}

async fn tls(sandbox: &Sandbox, place: usize) -> TlsStream<TcpStream> {
    let config = Bearer::read(&sandbox.folder.join(name(sandbox, place))).config(sandbox);
    peer::connect(sandbox.address, config).await.unwrap()
}

/// A frame: its type, its flags, its payload.
async fn frame(stream: &mut TlsStream<TcpStream>) -> Option<(u8, u8, Vec<u8>)> {
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.ok()?;
    let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
    let mut payload = vec![0; usize::try_from(length).unwrap()];
    stream.read_exact(&mut payload).await.ok()?;
    Some((head[3], head[4], payload))
}

/// Begins HTTP/2 by hand.
async fn spoken(sandbox: &Sandbox, place: usize) -> TlsStream<TcpStream> {
    let mut stream = tls(sandbox, place).await;
    let begin = [peer::PREFACE, &peer::frame(peer::SETTINGS, 0, 0, &[])].concat();
    stream.write_all(&begin).await.unwrap();
    stream
}

/// Reads until GOAWAY, and gives its error code; nothing when TCP ended without one.
async fn goaway(stream: &mut TlsStream<TcpStream>) -> Option<u32> {
    let reading = async {
        while let Some((kind, _, payload)) = frame(stream).await {
            if kind == peer::GOAWAY {
                return Some(u32::from_be_bytes(payload[4..8].try_into().unwrap()));
            }
        }
        None
    };
    timeout(PATIENCE, reading).await.unwrap()
}

const ENHANCE_YOUR_CALM: u32 = 11;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_has_so_many_connections_and_hears_why_it_gets_no_more() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(folder.path());
    let mut open = Vec::new();
    for _ in 0..CONNECTIONS_PER_CALLER_MAX {
        let mut stream = tls(&sandbox, FROM).await;
        assert!(peer::is_served(&mut stream).await);
        open.push(stream);
    }
    let mut refused = spoken(&sandbox, FROM).await;
    assert_eq!(goaway(&mut refused).await, Some(ENHANCE_YOUR_CALM));
    // gRPC makes a code of it, unless it hears of the end before it has asked.
    let (header, parts) = opening(&sandbox, &mut Random::new(1));
    let sent = envelope(sandbox.network.at(FROM), &header, &parts);
    let asked = async {
        loop {
            let channel = sandbox.connect(&name(&sandbox, FROM)).await.unwrap();
            let status = failure(PushClient::new(channel).push_one(sent.clone()).await);
            if status.code() != Code::Cancelled {
                return status;
            }
        }
    };
    let status = timeout(PATIENCE, asked).await.unwrap();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    // Another caller has its own; and one place that is given back is there again.
    assert!(peer::is_served(&mut tls(&sandbox, TO).await).await);
    drop(open.pop());
    let connected = async {
        loop {
            let mut stream = tls(&sandbox, FROM).await;
            stream
                .write_all(&[peer::PREFACE, &peer::frame(peer::SETTINGS, 0, 0, &[])].concat())
                .await
                .unwrap();
            let (first, second) = (frame(&mut stream).await, frame(&mut stream).await);
            if first.is_some() && second.is_some_and(|(kind, ..)| kind != peer::GOAWAY) {
                return;
            }
        }
    };
    timeout(PATIENCE, connected).await.unwrap();
}

fn opening(sandbox: &Sandbox, random: &mut Random) -> (proto::header::Header, Vec<Bytes>) {
    let network = &sandbox.network;
    network.opening(&network.at(FROM).id, &network.at(TO).id, now(), random)
}

fn good(sandbox: &Sandbox, random: &mut Random) -> wire::Envelope {
    let (header, parts) = opening(sandbox, random);
    envelope(sandbox.network.at(FROM), &header, &parts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_handshake_has_so_long() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(folder.path());
    let mut tcp = TcpStream::connect(sandbox.address).await.unwrap();
    let begun = Instant::now();
    let ended = timeout(HANDSHAKE_TIME_MAX * 3, tcp.read(&mut [0; 16])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)));
    assert!(begun.elapsed() >= HANDSHAKE_TIME_MAX.mul_f64(0.9), "{:?}", begun.elapsed());
    let said = || sandbox.log_text().contains("the handshake took too long").then_some(());
    until("the log tells", said).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_tells_of_so_many_refusals_and_counts_the_others() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(folder.path());
    let count = REFUSALS_LOGGED_MAX * 10;
    for _ in 0..count {
        let mut tcp = TcpStream::connect(sandbox.address).await.unwrap();
        drop(tcp.write_all(b"GET / HTTP/1.1\r\n\r\n").await);
        drop(tcp.read(&mut [0; 16]).await);
    }
    const REFUSED: &str = "referral_gateway_connections_refused_total";
    let refused = || metric(sandbox.metrics, REFUSED) >= f64::from(u32::try_from(count).unwrap());
    until("all are counted", || refused().then_some(())).await;
    let told = || sandbox.log_text().contains("connections refused, not told one by one").then_some(());
    until("the others are told together", told).await;
    // Once for each look at the most, and there were few.
    let told = sandbox.log_text().matches("connection refused").count();
    assert!(u64::try_from(told).unwrap() <= REFUSALS_LOGGED_MAX * 5, "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_has_so_many_streams_headers_and_windows() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(folder.path());
    let mut stream = spoken(&sandbox, FROM).await;
    let (kind, _, settings) = frame(&mut stream).await.unwrap();
    assert_eq!(kind, peer::SETTINGS);
    let setting = |id: u16| {
        let found = settings.chunks(6).find(|setting| setting[..2] == id.to_be_bytes());
        found.map(|setting| u32::from_be_bytes(setting[2..6].try_into().unwrap()))
    };
    assert_eq!(setting(3), Some(STREAMS_PER_CONNECTION_MAX));
    assert_eq!(setting(4), Some(STREAM_WINDOW_BYTES));
    assert_eq!(setting(6), Some(HEADERS_BYTES_MAX));
    let mut window = 65_535;
    while window < CONNECTION_WINDOW_BYTES {
        let (kind, _, payload) = frame(&mut stream).await.unwrap();
        if kind == peer::WINDOW_UPDATE {
            window += u32::from_be_bytes(payload.try_into().unwrap());
        }
    }
    assert_eq!(window, CONNECTION_WINDOW_BYTES);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_that_are_too_long_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(folder.path());
    let channel = sandbox.connect(&name(&sandbox, FROM)).await.unwrap();
    let long = "n".repeat(usize::try_from(HEADERS_BYTES_MAX).unwrap());
    let mut request = tonic::Request::new(wire::GetCheckpointRequest { log: 2 });
    request.metadata_mut().insert("x-name", long.parse().unwrap());
    assert!(LogClient::new(channel.clone()).get_checkpoint(request).await.is_err());
    let request = wire::GetCheckpointRequest { log: wire::LogName::Directory.into() };
    assert!(LogClient::new(channel).get_checkpoint(request).await.is_ok());
}

/// Streams that are reset as fast as they are opened end the connection: by the peer, or for its errors.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn so_many_resets_end_a_connection() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(folder.path());
    let headers = peer::call_headers("/referral.v1.Log/GetCheckpoint");
    let opened = |stream| peer::frame(peer::HEADERS, peer::END_HEADERS, stream, &headers);
    let reset = |stream| peer::frame(peer::RST_STREAM, 0, stream, &8_u32.to_be_bytes());
    let count = |max: usize| u32::try_from(max).unwrap() * 20;
    let by_peer: Vec<u8> = (0..count(RESETS_PENDING_MAX))
        .flat_map(|stream| [opened(stream * 2 + 1), reset(stream * 2 + 1)].concat())
        .collect();
    // A window of 2^31 and more is an error of its stream.
    let too_far = |stream| peer::frame(peer::WINDOW_UPDATE, 0, stream, &0x7fff_ffff_u32.to_be_bytes());
    let by_errors: Vec<u8> = (0..count(RESETS_OF_ERRORS_MAX))
        .flat_map(|stream| [opened(stream * 2 + 1), too_far(stream * 2 + 1)].concat())
        .collect();
    for (what, frames) in [("its own", by_peer), ("errors", by_errors)] {
        let mut stream = spoken(&sandbox, FROM).await;
        drop(stream.write_all(&frames).await);
        assert_eq!(goaway(&mut stream).await, Some(ENHANCE_YOUR_CALM), "{what}");
    }
    assert!(is_ready(sandbox.metrics));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_does_not_answer_is_gone_after_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(folder.path());
    let mut stream = spoken(&sandbox, FROM).await;
    let begun = Instant::now();
    let mut pinged = None;
    let reading = async {
        while let Some((kind, flags, _)) = frame(&mut stream).await {
            if kind == peer::PING && flags == 0 {
                pinged.get_or_insert_with(|| begun.elapsed());
            }
        }
    };
    timeout(PATIENCE, reading).await.unwrap();
    let slack = Duration::from_secs(5);
    let pinged = pinged.unwrap();
    assert!(pinged + slack > KEEPALIVE_EVERY && pinged < KEEPALIVE_EVERY + slack, "{pinged:?}");
    let ended = begun.elapsed();
    assert!(ended < KEEPALIVE_EVERY + KEEPALIVE_TIME_MAX + slack, "{ended:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_of_a_call_has_so_many_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(folder.path());
    let channel = sandbox.connect(&name(&sandbox, FROM)).await.unwrap();
    let path = |length: usize| wire::GetTileRequest { log: 1, path: "7".repeat(length) };
    let status = failure(LogClient::new(channel.clone()).get_tile(path(CALL_BYTES_MAX)).await);
    assert_eq!((status.code(), refusal_in(&status).field.as_str()), (Code::InvalidArgument, "message"));
    let status = failure(LogClient::new(channel).get_tile(path(CALL_BYTES_MAX - 100)).await);
    assert_ne!(refusal_in(&status).field, "message");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_caller_has_so_many_calls_of_a_method_over_all_its_connections() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(folder.path());
    let channels = [
        sandbox.connect(&name(&sandbox, FROM)).await.unwrap(),
        sandbox.connect(&name(&sandbox, FROM)).await.unwrap(),
    ];
    let mut open = Vec::new();
    for number in 0..PUSH_STREAMS_MAX {
        open.push(Pushes::open(&channels[number % 2]).await.unwrap());
    }
    let status = failure(Pushes::open(&channels[0]).await);
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.get_details_error_info().unwrap().reason, "TOO_MANY_CALLS");
    assert!(status.get_details_retry_info().is_some());
    // Another caller, and another method, have their own.
    let other = sandbox.connect(&name(&sandbox, TO)).await.unwrap();
    drop(Pushes::open(&other).await.unwrap());
    let mut random = Random::new(2);
    let push = |channel: &tonic::transport::Channel| PushClient::new(channel.clone());
    receipt_of(push(&channels[0]).push_one(good(&sandbox, &mut random)).await.unwrap().into_inner());
    drop(open);
    let opened = async {
        while Pushes::open(&channels[0]).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, opened).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_keeps_its_place_until_its_answer_is_out() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(folder.path());
    let from = sandbox.connect(&name(&sandbox, FROM)).await.unwrap();
    let mut random = Random::new(4);
    let mut pushes = Pushes::open(&from).await.unwrap();
    receipt_of(pushes.push_until_decided(of_bytes(&sandbox, 400_000, &mut random)).await);
    // An answer that is longer than the window, and not read.
    let (mut client, connection) = h2::client::handshake(tls(&sandbox, TO).await).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut unread = Vec::new();
    for _ in 0..FETCHES_MAX {
        client = client.ready().await.unwrap();
        let (answer, mut body) = client.send_request(grpc("/referral.v1.Receive/Fetch"), false).unwrap();
        let request = wire::FetchRequest { count_max: 1 }.encode_to_vec();
        body.send_data(message(&request), true).unwrap();
        let answer = answer.await.unwrap();
        assert!(answer.headers().get("grpc-status").is_none(), "{:?}", answer.headers());
        unread.push(answer);
    }
    let to = sandbox.connect(&name(&sandbox, TO)).await.unwrap();
    let mut receive = gateway::service::stubs::receive_client::ReceiveClient::new(to.clone());
    let status = failure(receive.fetch(wire::FetchRequest { count_max: 1 }).await);
    assert_eq!(status.code(), Code::ResourceExhausted);
    drop(unread);
    driver.abort();
    let fetched = async {
        while receive.fetch(wire::FetchRequest { count_max: 1 }).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, fetched).await.unwrap();
}

/// Streams of an agency that stay open, of each kind so many; its other calls and other agencies do not
/// suffer by it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_that_stay_open_are_counted_by_their_kind() {
    type Body = h2::SendStream<Bytes>;
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::make(folder.path(), Network::new());
    sandbox.start();
    let window = wire::DeliverRequest { request: Some(wire::deliver_request::Request::Window(1)) };
    let rows: [(&str, usize, Option<Vec<u8>>); 3] = [
        ("/referral.v1.Parts/Upload", UPLOADS_MAX, None),
        ("/referral.v1.Evidence/Follow", FOLLOWERS_MAX, Some(wire::FollowRequest::default().encode_to_vec())),
        ("/referral.v1.Receive/Deliver", DELIVERY_STREAMS_MAX, Some(window.encode_to_vec())),
    ];
    let (client, connection) = h2::client::handshake(tls(&sandbox, FROM).await).await.unwrap();
    let driver = tokio::spawn(connection);
    for (path, most, first) in rows {
        let open = async || {
            let mut client = client.clone().ready().await.unwrap();
            let (answer, mut body): (_, Body) = client.send_request(grpc(path), false).unwrap();
            if let Some(first) = &first {
                body.send_data(message(first), path.ends_with("Follow")).unwrap();
            }
            let answer = timeout(PATIENCE, answer).await.unwrap().unwrap();
            let refused =
                answer.headers().get("grpc-status").map(|status| status.to_str().unwrap().to_owned());
            (refused, (answer, body))
        };
        let mut held = Vec::new();
        for number in 0..most {
            let (refused, stream) = open().await;
            assert_eq!(refused, None, "{path} {number}");
            held.push(stream);
        }
        let (refused, _) = open().await;
        assert_eq!(refused.as_deref(), Some("8"), "{path}: RESOURCE_EXHAUSTED");
        // One that ends leaves its place.
        held.pop();
        let again = async { while open().await.0.is_some() {} };
        timeout(PATIENCE, again).await.unwrap();
    }
    let other = sandbox.connect(&name(&sandbox, TO)).await.unwrap();
    assert!(waiting(&other).await.is_empty());
    driver.abort();
}

fn grpc(path: &str) -> http::Request<()> {
    let request = http::Request::post(format!("http://gateway{path}"));
    request.header("te", "trailers").header("content-type", "application/grpc").body(()).unwrap()
}

/// A message in gRPC's frame.
fn message(bytes: &[u8]) -> Bytes {
    let length = u32::try_from(bytes.len()).unwrap().to_be_bytes();
    [&[0], length.as_slice(), bytes].concat().into()
}

fn of_bytes(sandbox: &Sandbox, bytes: usize, random: &mut Random) -> wire::Envelope {
    let (mut header, mut parts) = opening(sandbox, random);
    parts[0] = Bytes::from(random.run(bytes));
    header.parts[0].length_bytes = u64::try_from(bytes).unwrap();
    header.parts[0].sha256 = Digest::of(&parts[0]);
    envelope(sandbox.network.at(FROM), &header, &parts)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_have_come_in_part_have_so_many_bytes_of_a_caller() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(folder.path());
    let (mut client, connection) = h2::client::handshake(tls(&sandbox, FROM).await).await.unwrap();
    let driver = tokio::spawn(connection);
    let most = gateway::service::PUSH_BYTES_MAX;
    let begun = [&[0], u32::try_from(most).unwrap().to_be_bytes().as_slice(), &[7; 100]].concat();
    let (mut answers, mut held) = (Vec::new(), Vec::new());
    for _ in 0..PARTIAL_BYTES_MAX / most + 1 {
        client = client.ready().await.unwrap();
        let (answer, mut body) = client.send_request(grpc("/referral.v1.Push/PushOne"), false).unwrap();
        body.send_data(begun.clone().into(), false).unwrap();
        answers.push(answer);
        held.push(body);
    }
    // One is too many, whichever is read last.
    let answering = futures::future::select_all(answers);
    let (answer, _, unanswered) = timeout(PATIENCE, answering).await.unwrap();
    let answer = answer.unwrap();
    let status = tonic::Status::from_header_map(answer.headers()).unwrap();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.get_details_error_info().unwrap().reason, "TOO_MUCH_UNFINISHED");
    // What is whole at once goes on beside them.
    let channel = sandbox.connect(&name(&sandbox, FROM)).await.unwrap();
    let taken = PushClient::new(channel).push_one(good(&sandbox, &mut Random::new(5))).await.unwrap();
    receipt_of(taken.into_inner());
    drop((held, unanswered));
    driver.abort();
}

/// Whoever does not read answers is not read either.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_pushes_has_so_many_that_are_not_answered() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(folder.path());
    let mut random = Random::new(6);
    let count = STREAM_IN_FLIGHT_MAX + 200;
    let all: Vec<u8> = (0..count)
        .flat_map(|tag| {
            let envelope = Some(good(&sandbox, &mut random));
            message(&wire::PushRequest { tag: u64::try_from(tag).unwrap(), envelope }.encode_to_vec())
        })
        .collect();
    let handshake = h2::client::Builder::new().initial_window_size(0).handshake(tls(&sandbox, FROM).await);
    let (client, connection) = handshake.await.unwrap();
    let driver = tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let (answer, mut body) = client.send_request(grpc("/referral.v1.Push/PushStream"), false).unwrap();
    body.reserve_capacity(all.len());
    body.send_data(Bytes::from(all), true).unwrap();
    let unread = answer.await.unwrap();
    let waiting = || metric(sandbox.metrics, "referral_gateway_waiting");
    let most = f64::from(u32::try_from(STREAM_IN_FLIGHT_MAX).unwrap());
    until("the limit is reached", || (waiting() >= most).then_some(())).await;
    // What comes on another stream is taken, and nothing more of this one.
    let channel = sandbox.connect(&name(&sandbox, FROM)).await.unwrap();
    let mut pushes = Pushes::open(&channel).await.unwrap();
    for _ in 0..20 {
        receipt_of(pushes.push(good(&sandbox, &mut random)).await);
    }
    until("the others are taken", || (waiting() >= most + 20.0).then_some(())).await;
    // Answers of one frame, and of one in the making, may be in the transport's hands.
    assert!(waiting() <= most + 20.0 + 60.0, "{} were taken", waiting());
    drop(unread);
    driver.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_of_deliveries_holds_so_many_and_a_fetch_gives_so_many() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(folder.path());
    let from = sandbox.connect(&name(&sandbox, FROM)).await.unwrap();
    let to = sandbox.connect(&name(&sandbox, TO)).await.unwrap();
    let mut random = Random::new(8);
    let count = LEASED_MAX + 40;
    let sent: Vec<_> = (0..count)
        .map(|tag| wire::PushRequest {
            tag: u64::try_from(tag).unwrap(),
            envelope: Some(good(&sandbox, &mut random)),
        })
        .collect();
    let mut answers =
        PushClient::new(from.clone()).push_stream(tokio_stream::iter(sent)).await.unwrap().into_inner();
    while let Some(answer) = answers.message().await.unwrap() {
        receipt_of(answer);
    }
    assert_eq!(waiting(&to).await.len(), FETCH_MAX);
    let mut stream = Deliveries::open(&to, u32::MAX).await;
    let mut held = Vec::new();
    for _ in 0..LEASED_MAX {
        held.push(stream.delivered().await);
    }
    // No more comes until one is acknowledged; its answer is the next that is heard.
    let recipient = sandbox.network.at(TO).clone();
    let receipt = handover(&recipient, &held[..1]);
    stream.say(wire::deliver_request::Request::Receipt(receipt)).await;
    let next = timeout(PATIENCE, stream.hear.message()).await.unwrap().unwrap().unwrap().delivery.unwrap();
    assert!(matches!(next, wire::delivery::Delivery::Acknowledged(_)), "one more than the limit came");
    stream.say(wire::deliver_request::Request::Window(1)).await;
    let next = stream.delivered().await;
    assert!(!held.iter().any(|one| one.handover_id == next.handover_id));
    drop(stream);

    // Large ones end a fetch earlier.
    let mut pushes = Pushes::open(&from).await.unwrap();
    for _ in 0..6 {
        receipt_of(pushes.push_until_decided(of_bytes(&sandbox, 900_000, &mut random)).await);
    }
    let acknowledge = async {
        loop {
            let waiting = waiting(&to).await;
            let bytes: usize = waiting.iter().map(prost::Message::encoded_len).sum();
            assert!(bytes <= FETCH_BYTES_MAX, "{bytes}");
            if bytes > FETCH_BYTES_MAX / 2 && waiting.len() < FETCH_MAX {
                return;
            }
            let mut receive = gateway::service::stubs::receive_client::ReceiveClient::new(to.clone());
            let receipt = Some(handover(&recipient, &waiting));
            receive.acknowledge(wire::AcknowledgeRequest { receipt }).await.unwrap();
        }
    };
    timeout(PATIENCE, acknowledge).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_waits_so_long_for_those_who_do_not_end() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = started(folder.path());
    // A call that never ends, on a connection that answers everything.
    let (client, connection) = h2::client::handshake(tls(&sandbox, FROM).await).await.unwrap();
    let driver = tokio::spawn(connection);
    let mut client = client.ready().await.unwrap();
    let (_answer, mut body) = client.send_request(grpc("/referral.v1.Push/PushOne"), false).unwrap();
    body.send_data(Bytes::from_static(&[0, 0, 0, 9, 9]), false).unwrap();
    let channel = sandbox.connect(&name(&sandbox, TO)).await.unwrap();
    waiting(&channel).await;
    let begun = Instant::now();
    let ended = tokio::task::spawn_blocking(move || sandbox.terminate()).await.unwrap();
    assert!(ended);
    assert!(begun.elapsed() < END_TIME_MAX + Duration::from_secs(10), "{:?}", begun.elapsed());
    driver.abort();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_tls_have_so_many_bytes_and_lists_must_last() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::make(folder.path(), Network::new());
    let unix_now = certs::UnixTime::of(std::time::SystemTime::now()).unwrap();
    let crls = sandbox.place().tls().crls;
    let short = certs::Lifetime::from_seconds(CRL_SLACK.as_secs() - 10);
    let mut authority = sandbox.authority().with_crl_validity(short).unwrap();
    authority.sign_crls(unix_now).unwrap();
    let short = authority.trust(unix_now).unwrap().crls_pem();
    fs::rename(sandbox.place().authority(), sandbox.folder.join("elsewhere")).unwrap();
    sandbox.close_enrolment();
    sandbox.start();
    assert!(is_ready(sandbox.metrics), "{}", get(sandbox.metrics, "/ready"));
    // Larger than is read: what was in use stays so.
    let good = fs::read(&crls).unwrap();
    fs::File::create(&crls).unwrap().set_len(FILE_BYTES_MAX + 1).unwrap();
    let larger = || sandbox.log_text().contains("is larger than").then_some(());
    until("it is not read", larger).await;
    assert!(is_ready(sandbox.metrics));
    // Nobody could connect in a minute: that is to be known before.
    fs::write(&crls, short).unwrap();
    let unready = || get(sandbox.metrics, "/ready").contains("a CRL has run out").then_some(());
    until("it is not ready", unready).await;
    assert!(peer::is_served(&mut tls(&sandbox, FROM).await).await, "and yet it serves");
    fs::write(&crls, good).unwrap();
    until("it is ready again", || is_ready(sandbox.metrics).then_some(())).await;
}
