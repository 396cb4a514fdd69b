//! The doctor against real sockets: each failure on the way is told apart.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use proto::{
    ids::AgencyId,
    key::SigningKey,
    log::note::{KeyName, KeyType, VerifierKey},
};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
};
use rustls::{ServerConfig, crypto::aws_lc_rs, pki_types::PrivateKeyDer, version::TLS13};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

use super::{reach::Way, *};
use crate::{link::proxy::Proxy, network::Network};

const GATEWAY: &str = "spiffe://referral.example/gateway";

/// A root, and a server's TLS under it.
struct Authority {
    network: Network,
    tls: Arc<ServerConfig>,
}

fn authority(name: &str, uri: &str) -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap().der().clone();
    let issuer = Issuer::from_params(&params, &key);
    let mut leaf = CertificateParams::default();
    leaf.subject_alt_names =
        vec![SanType::IpAddress("127.0.0.1".parse().unwrap()), SanType::URI(uri.try_into().unwrap())];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    let leaf_key = KeyPair::generate().unwrap();
    let chain = vec![leaf.signed_by(&leaf_key, &issuer).unwrap().der().clone()];
    let private = PrivateKeyDer::try_from(leaf_key.serialize_der()).unwrap();
    let provider = Arc::new(aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13]).unwrap();
    let mut tls = builder.with_no_client_auth().with_single_cert(chain, private).unwrap();
    tls.alpn_protocols = vec![b"h2".to_vec()];
    let vkey = |name| {
        let name = KeyName::parse(name, "name").unwrap();
        VerifierKey::new(name, KeyType::Ed25519, SigningKey::from_seed(&[7; 32]).public())
    };
    let network = Network {
        name: AgencyId::parse("referral.example", "network").unwrap(),
        host: "127.0.0.1".into(),
        port: 1,
        evidence: vkey("e"),
        directory: vkey("d"),
        root,
    };
    Authority { network, tls: Arc::new(tls) }
}

/// Does this with each connection that comes. Gives where.
async fn served<F: Future<Output = ()> + Send>(serve: impl Fn(TcpStream) -> F + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    tokio::spawn(async move {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            serve(stream).await;
        }
    });
    address
}

async fn tls_server(tls: &Arc<ServerConfig>) -> String {
    let acceptor = TlsAcceptor::from(Arc::clone(tls));
    served(move |stream| {
        let accept = acceptor.accept(stream);
        async move { drop(accept.await) }
    })
    .await
}

/// The codes of everything that is not good.
async fn codes(
    network: &Network,
    address: &str,
    proxy: Option<&Proxy>,
) -> Vec<(Check, &'static str, String)> {
    let way = Way {
        address: address.to_owned(),
        proxy,
        network,
        credential: None,
        step_time_max: Duration::from_secs(2),
    };
    let mut found = Vec::new();
    way.look(&mut found).await;
    let bad = found.into_iter().filter(|finding| finding.outcome != Outcome::Good);
    bad.map(|finding| (finding.check, finding.code, finding.seen)).collect()
}

async fn code(network: &Network, address: &str) -> &'static str {
    let found = codes(network, address, None).await;
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].1
}

#[tokio::test]
async fn each_failure_on_the_way_is_told_apart() {
    let ours = authority("the network's root", GATEWAY);
    let nobody = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().to_string();
    assert_eq!(code(&ours.network, &nobody).await, "TCP_REFUSED");
    assert_eq!(code(&ours.network, "gateway.invalid:7443").await, "NAME_NOT_FOUND");
    let page = served(|mut stream| async move {
        drop(stream.write_all(b"HTTP/1.1 302 Found\r\n\r\n").await);
        drop(stream.read_to_end(&mut Vec::new()).await);
    });
    assert_eq!(code(&ours.network, &page.await).await, "NOT_TLS");
    let cut = served(|stream| async move { drop(stream) });
    assert_eq!(code(&ours.network, &cut.await).await, "TLS_SILENT");
    let other = authority("the network's root", "spiffe://referral.example/staff/blue-1");
    assert_eq!(code(&other.network, &tls_server(&other.tls).await).await, "NO_GATEWAY");
    // The right one, as far as it can be played: it takes no call.
    assert_eq!(code(&ours.network, &tls_server(&ours.tls).await).await, "CERTIFICATE_REFUSED");
}

#[tokio::test]
async fn what_inspects_tls_is_named() {
    let ours = authority("the network's root", GATEWAY);
    let firewall = authority("Ministry Firewall 7", GATEWAY);
    let found = codes(&ours.network, &tls_server(&firewall.tls).await, None).await;
    assert_eq!((found[0].0, found[0].1), (Check::Tls, "TLS_INSPECTED"));
    assert!(found[0].2.contains("Ministry Firewall 7"), "{found:?}");
}

/// Some firewalls drop a hello that does not come in one packet.
#[tokio::test]
async fn a_firewall_that_drops_the_large_hello_is_found_out() {
    let ours = authority("the network's root", GATEWAY);
    let behind = tls_server(&ours.tls).await;
    let firewall = served(move |mut stream| {
        let behind = behind.clone();
        async move {
            // A record's header: type, version, length.
            let mut head = [0; 5];
            if stream.read_exact(&mut head).await.is_err() || u16::from_be_bytes([head[3], head[4]]) > 1_000 {
                return;
            }
            let mut there = TcpStream::connect(behind).await.unwrap();
            there.write_all(&head).await.unwrap();
            drop(copy_bidirectional(&mut stream, &mut there).await);
        }
    });
    assert_eq!(code(&ours.network, &firewall.await).await, "LARGE_HELLO_DROPPED");
}

#[tokio::test]
async fn a_proxy_is_gone_through_and_told_apart() {
    let ours = authority("the network's root", GATEWAY);
    let behind = tls_server(&ours.tls).await;
    let proxy = served(|mut stream| async move {
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            request.push(stream.read_u8().await.unwrap());
        }
        let request = String::from_utf8(request).unwrap();
        let target = request.split(' ').nth(1).unwrap();
        let mut there = TcpStream::connect(target).await.unwrap();
        stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.unwrap();
        drop(copy_bidirectional(&mut stream, &mut there).await);
    });
    let proxy = Proxy::parse(&format!("http://{}", proxy.await)).unwrap();
    let found = codes(&ours.network, &behind, Some(&proxy)).await;
    assert_eq!(found[0].1, "CERTIFICATE_REFUSED", "as far as without it");
    let locked = served(|mut stream| async move {
        drop(stream.write_all(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await);
        drop(stream.read_to_end(&mut Vec::new()).await);
    });
    let locked = Proxy::parse(&format!("http://{}", locked.await)).unwrap();
    assert_eq!(codes(&ours.network, &behind, Some(&locked)).await[0].1, "PROXY_PASSWORD");
}

#[test]
fn clocks_are_compared() {
    let now = std::time::SystemTime::now();
    let at = |s: u64| reach::clock(now, now + Duration::from_secs(s)).code;
    assert_eq!((at(0), at(61), at(301)), ("GOOD", "CLOCK_OFF", "CLOCK_WRONG"));
    assert_eq!(reach::clock(now + Duration::from_secs(400), now).seen, "-400 s");
}

#[test]
fn every_code_says_what_to_do_in_both_languages() {
    let mut known = BTreeSet::new();
    for (code, english, arabic) in words::TABLE {
        assert!(known.insert(*code), "{code} stands twice");
        assert!(english.ends_with('.') && arabic.ends_with('.'), "{code}");
        assert!(!arabic.contains(|c: char| c.is_ascii_alphabetic()), "{code}: Latin needs isolation");
    }
    let sources = [include_str!("../doctor.rs"), include_str!("reach.rs"), include_str!("../link/proxy.rs")];
    let quoted = sources.iter().flat_map(|source| source.split('"').skip(1).step_by(2));
    let is_code = |text: &&str| text.len() > 3 && text.chars().all(|c| c.is_ascii_uppercase() || c == '_');
    let used: BTreeSet<&str> = quoted.filter(is_code).collect();
    assert!(used.len() > 20 && used.is_subset(&known), "{:?}", used.difference(&known));
}

#[tokio::test]
async fn a_folder_that_is_not_there_or_loose_is_told_first() {
    let place = tempfile::tempdir().unwrap();
    let found = examine(&place.path().join("nowhere")).await;
    assert_eq!(found.len(), Check::ALL.len());
    assert_eq!(found[0].code, "FOLDER_NOT_READ");
    assert!(found[1..].iter().all(|finding| finding.outcome == Outcome::NotChecked));
    use std::os::unix::fs::PermissionsExt as _;
    let root = place.path().join("agent");
    let folder = crate::folder::Folder::create(&root).unwrap();
    std::fs::set_permissions(folder.root(), std::fs::Permissions::from_mode(0o755)).unwrap();
    assert_eq!(examine(&root).await[0].code, "PERMISSIONS_LOOSE");
}
