//! What stands between an agency and the gateway: nobody, another network, somebody who inspects TLS,
//! an authority that is away for a moment. The agency's program says what to do.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::Path,
    sync::{Arc, atomic::Ordering},
    time::SystemTime,
};

use certs::{Authority, GatewayNames, Plan, UnixTime};
use gateway::peer::tls::provider;
use proto::invitation::Invitation;
use rustls::{ServerConfig, version::TLS13};
use serde_json::Value;
use tokio::{io::AsyncReadExt as _, net::TcpListener, task::JoinHandle};
use tokio_rustls::TlsAcceptor;
use trials::sandbox::free_address;

use super::given::*;

/// Somebody who opens every connection with a certificate of an authority of their own, and hears what
/// is then said.
async fn in_the_middle(folder: &Path) -> (SocketAddr, JoinHandle<usize>) {
    let now = UnixTime::of(SystemTime::now()).unwrap();
    let plan = Plan::sandbox(trials::network::NETWORK.parse().unwrap());
    let mut authority = Authority::init(&folder.join("middle"), &plan, now).unwrap();
    let credential = authority.issue_gateway_with_key(&GatewayNames::loopback(), now).unwrap();
    let mut chain = credential.chain();
    chain.push(authority.root().der().clone());
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(chain, credential.key())
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec()];
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    let heard = tokio::spawn(async move {
        let (tcp, _) = listener.accept().await.unwrap();
        let mut bytes = Vec::new();
        if let Ok(mut stream) = TlsAcceptor::from(Arc::new(config)).accept(tcp).await {
            drop(stream.read_to_end(&mut bytes).await);
        }
        bytes.len()
    });
    (address, heard)
}

fn enrols(folder: &Path, office: &str, invitation: &Invitation) -> (i32, Value, String) {
    agent(&folder.join(office), &["enrol", &text_file(folder, invitation)])
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_is_in_the_middle_hears_nothing_and_is_found_out() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(&folder.path().join("hub"));
    let real = invitation(&sandbox, "secret", HOUR_MS);
    invited(&sandbox, &real).await;
    let (address, heard) = in_the_middle(folder.path()).await;
    let diverted = Invitation { enrolment: address.to_string(), ..real.clone() };
    let (exit, _, error) = tokio::task::block_in_place(|| enrols(folder.path(), "office", &diverted));
    assert!(exit == 1 && error.contains("inspects TLS") && error.contains("Nothing was sent"), "{error}");
    assert_eq!(heard.await.unwrap(), 0, "not a byte of the request");
    // The same folder and the same keys, once the way is free.
    let (exit, said, error) = tokio::task::block_in_place(|| enrols(folder.path(), "office", &real));
    assert_eq!((exit, said["enrolled"].as_bool()), (0, Some(true)), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agency_joins_through_a_proxy_that_asks_for_a_password() {
    let folder = tempfile::tempdir().unwrap();
    let sandbox = started(&folder.path().join("hub"));
    let invitation = invitation(&sandbox, "secret", HOUR_MS);
    invited(&sandbox, &invitation).await;
    // The example of RFC 7617.
    let (proxy, made) = crate::proxied::proxy(Some("Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
    let office = folder.path().join("office");
    let joins = |proxy: &str| {
        let invitation = text_file(folder.path(), &invitation);
        tokio::task::block_in_place(|| agent(&office, &["enrol", &invitation, "--proxy", proxy]))
    };
    let (exit, _, error) = joins("proxy.example");
    assert!(exit == 2 && error.contains("--proxy") && !office.exists(), "{exit} {error}");
    let (exit, _, error) = joins(&format!("http://Aladdin:wrong@{proxy}"));
    assert!(exit == 4 && error.contains("password") && !error.contains("wrong"), "{exit} {error}");
    assert_eq!(made.load(Ordering::SeqCst), 0);
    // Again with the right one, in the same folder: it joins and connects, each through the proxy.
    let (exit, said, error) = joins(&format!("http://Aladdin:open%20sesame@{proxy}"));
    assert_eq!((exit, said["enrolled"].as_bool()), (0, Some(true)), "{error}");
    assert_eq!(made.load(Ordering::SeqCst), 2, "to join, and to connect");
    let settings = fs::read_to_string(office.join("agent.toml")).unwrap();
    assert!(
        settings.contains(&format!("\nproxy = \"http://Aladdin:open%20sesame@{proxy}\"\n")),
        "{settings}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_program_says_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let sandbox = started(&root.join("hub"));
    let real = invitation(&sandbox, "secret", HOUR_MS);
    let says = |office: &str, invitation: &Invitation| {
        let (exit, said, error) = tokio::task::block_in_place(|| enrols(root, office, invitation));
        (exit, said["refusal"]["code"].as_str().unwrap_or_default().to_owned(), error)
    };
    // Not an invitation, and not all of one.
    let text = real.to_text();
    for (bad, word) in [("hello", "no invitation"), (&text[..text.len() - 9], "not all of it")] {
        fs::write(root.join("bad"), bad).unwrap();
        let bad = root.join("bad");
        let (exit, _, error) = agent(&root.join("bad-office"), &["enrol", bad.to_str().unwrap()]);
        assert!(exit == 2 && error.contains(word), "{exit} {error}");
    }
    // Nobody is there.
    let nowhere = Invitation { enrolment: free_address().to_string(), ..real.clone() };
    let (exit, _, error) = says("nowhere", &nowhere);
    assert!(exit == 4 && error.contains("cannot be reached"), "{exit} {error}");
    // Two administrators have not signed yet; then they have: in the same folder.
    let (exit, code, _) = says("office", &real);
    assert_eq!((exit, code.as_str()), (3, "NOT_INVITED"));
    invited(&sandbox, &real).await;
    // The door of those who have a certificate is not this door.
    let wrong_door = Invitation { enrolment: sandbox.address.to_string(), ..real.clone() };
    let (exit, _, error) = says("office", &wrong_door);
    assert!(exit == 1 && error.contains("inspects TLS"), "{exit} {error}");
    // Expired by the clock here: nothing is sent, nothing is made.
    let over = invitation_of(&sandbox, (NEW, false), "over", trials::speak::now());
    let (exit, _, error) = says("over", &over);
    assert!(exit == 3 && error.contains("has expired") && !root.join("over").exists(), "{exit} {error}");
    // The authority is away: admitted, not certified; then the same again.
    let issuing = root.join("hub/authority/issuing");
    fs::rename(&issuing, root.join("away")).unwrap();
    let (exit, _, error) = says("office", &real);
    assert!(exit == 4 && error.contains("run the same again"), "{exit} {error}");
    fs::rename(root.join("away"), &issuing).unwrap();
    let (exit, _, error) = says("office", &real);
    assert_eq!(exit, 0, "{error}");
    // Again at the end it only checks; with another invitation it is another's folder; elsewhere it is used.
    assert_eq!(says("office", &real).0, 0);
    let other = invitation(&sandbox, "other", HOUR_MS);
    let (exit, _, error) = says("office", &other);
    assert!(exit == 2 && error.contains("choose another folder"), "{exit} {error}");
    let (exit, code, _) = says("elsewhere", &real);
    assert_eq!((exit, code.as_str()), (3, "INVITATION_USED"));
    // A network whose logs are others'.
    let third = Invitation { directory_log: real.evidence_log.clone(), ..real.clone() };
    let (exit, _, error) = says("office", &third);
    assert_eq!(exit, 0, "what is installed already counts: {error}");
}
