//! The limits of enrolment, one by one: each is reached, what is beyond is answered, and an honest guest
//! gets in.

use std::{
    net::IpAddr,
    time::{Duration, Instant},
};

use gateway::{
    enrolment::{
        CALLS_PER_CONNECTION_MAX, ENROL_BYTES_MAX, HEADERS_BYTES_MAX, WINDOW_BYTES,
        attempts::ATTEMPTS_OF_ONE_MAX,
        door::{CONNECTION_TIME_MAX, CONNECTIONS_MAX},
    },
    peer::accept::HANDSHAKE_TIME_MAX,
    service::stubs::{enrolment_client::EnrolmentClient, log_client::LogClient},
};
use proto::wire;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tonic::Code;
use trials::{
    peer,
    speak::{PATIENCE, failure, refusal_in},
};

use super::given::*;

fn from(last: u8) -> IpAddr {
    [127, 0, 0, last].into()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_may_try_so_often_a_minute_and_say_so_much() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(folder.path());
    let invitation = invitation(&sandbox, "secret", HOUR_MS);
    invited(&sandbox, &invitation).await;
    let guest = Guest::new("guest");
    let flood = EnrolmentClient::new(channel_from(from(2), &sandbox).await);
    for _ in 0..ATTEMPTS_OF_ONE_MAX {
        let status = failure(flood.clone().enrol(wire::EnrolRequest::default()).await);
        assert_eq!(refusal_in(&status).code, "MALFORMED");
    }
    let status = failure(flood.clone().enrol(guest.request(&invitation)).await);
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    let large =
        wire::EnrolRequest { certificate_request: vec![0; ENROL_BYTES_MAX], ..wire::EnrolRequest::default() };
    let mut other = EnrolmentClient::new(channel_from(from(3), &sandbox).await);
    let status = failure(other.enrol(large).await);
    assert!(matches!(status.code(), Code::OutOfRange | Code::InvalidArgument), "{status:?}");
    // One method, and nothing else.
    let mut log = LogClient::new(channel_from(from(3), &sandbox).await);
    let request = wire::GetCheckpointRequest { log: wire::LogName::Directory.into() };
    assert_eq!(failure(log.get_checkpoint(request).await).code(), Code::Unimplemented);
    // Whoever is honest gets in, from elsewhere.
    other.enrol(guest.request(&invitation)).await.unwrap();
    // And here only: not at the door of those who have a certificate.
    let channel = sandbox.connect("admin-1").await.unwrap();
    let status = failure(EnrolmentClient::new(channel).enrol(guest.request(&invitation)).await);
    assert_eq!(status.code(), Code::Unimplemented);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_has_so_many_calls_so_much_room_and_so_long() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(folder.path());
    let mut silent = TcpStream::connect(sandbox.enrolment).await.unwrap();
    let mut stream = tls_from(HERE, &sandbox).await.unwrap();
    let begun = Instant::now();
    stream.write_all(&[peer::PREFACE, &peer::frame(peer::SETTINGS, 0, 0, &[])].concat()).await.unwrap();
    let mut head = [0; 9];
    stream.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], peer::SETTINGS);
    let mut settings = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
    stream.read_exact(&mut settings).await.unwrap();
    let setting = |id: u16| {
        let found = settings.chunks(6).find(|setting| setting[..2] == id.to_be_bytes());
        found.map(|setting| u32::from_be_bytes(setting[2..6].try_into().unwrap()))
    };
    assert_eq!(setting(3), Some(CALLS_PER_CONNECTION_MAX));
    assert_eq!(setting(4), Some(WINDOW_BYTES));
    assert_eq!(setting(6), Some(HEADERS_BYTES_MAX));
    // Whoever does not shake hands is gone first.
    let ended = timeout(HANDSHAKE_TIME_MAX * 3, silent.read(&mut [0; 16])).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)));
    assert!(begun.elapsed() >= HANDSHAKE_TIME_MAX.mul_f64(0.9) && begun.elapsed() < CONNECTION_TIME_MAX);
    // Whoever has shaken hands and does nothing, later.
    let mut rest = Vec::new();
    let ended = timeout(CONNECTION_TIME_MAX + PATIENCE, stream.read_to_end(&mut rest)).await;
    assert!(ended.is_ok() && begun.elapsed() >= CONNECTION_TIME_MAX.mul_f64(0.9), "{:?}", begun.elapsed());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crowd_gives_way_to_who_comes() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(folder.path());
    let invitation = invitation(&sandbox, "secret", HOUR_MS);
    invited(&sandbox, &invitation).await;
    let mut crowd = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        let mut stream = tls_from(from(2), &sandbox).await.unwrap();
        assert!(peer::is_served(&mut stream).await);
        crowd.push(stream);
    }
    let begun = Instant::now();
    let honest = channel_from(from(3), &sandbox).await;
    let guest = Guest::new("guest");
    EnrolmentClient::new(honest).enrol(guest.request(&invitation)).await.unwrap();
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // The oldest of the crowd has gone, the next has not.
    let mut rest = Vec::new();
    let first = timeout(PATIENCE, crowd[0].read_to_end(&mut rest)).await;
    assert!(first.is_ok());
    let second = timeout(Duration::from_millis(300), crowd[1].read_to_end(&mut rest)).await;
    assert!(second.is_err(), "only as many as were needed");
}
