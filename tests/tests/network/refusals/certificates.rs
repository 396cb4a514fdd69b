//! Certificates that are nobody's, not any more, or not for this.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use certs::{Authority, Key, Lifetime, Plan, Reason, UnixTime, Which};
use gateway::service::stubs::{
    parts_client::PartsClient, push_client::PushClient, receive_client::ReceiveClient,
    witness_client::WitnessClient,
};
use proto::{evidence::Event, receipt::Receipt, refusal::Refusal, wire};
use rcgen::{CertificateParams, ExtendedKeyUsagePurpose, Issuer, KeyPair, SanType};
use rustls::{
    ClientConfig, HandshakeKind, NamedGroup,
    client::{
        ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
        Tls13ClientSessionValue,
    },
};
use rustls_pki_types::{CertificateDer, PrivatePkcs8KeyDer, ServerName, pem::PemObject as _};
use tonic::{Code, Status};
use trials::{
    network::{NETWORK, Network},
    peer::{self, Bearer},
    random::Random,
    sandbox::{Sandbox, agency_identity},
    speak::{
        Deliveries, Pushes, envelope, failure, is_ready, metric, now, receipt_of, refusal_in, until,
        waiting_ids,
    },
};

const REFUSED: &str = "referral_gateway_connections_refused_total";
const CUT: &str = "referral_gateway_connections_cut_total";

pub(crate) fn unix_now() -> UnixTime {
    UnixTime::of(std::time::SystemTime::now()).unwrap()
}

/// A certificate that the issuing authority's own program would not make, with its stolen key.
fn stolen(sandbox: &Sandbox, uris: &[&str]) -> Bearer {
    let folder = sandbox.place().authority().join("issuing").join("1");
    let key = PrivatePkcs8KeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let certificate = CertificateDer::from_pem_file(folder.join("certificate.pem")).unwrap();
    let issuer = Issuer::from_ca_cert_der(&certificate, KeyPair::try_from(&key).unwrap()).unwrap();
    let mut params = CertificateParams::default();
    let seconds = i64::try_from(unix_now().seconds()).unwrap();
    params.not_before = time::OffsetDateTime::from_unix_timestamp(seconds - 60).unwrap();
    params.not_after = time::OffsetDateTime::from_unix_timestamp(seconds + 3600).unwrap();
    params.subject_alt_names = uris.iter().map(|uri| SanType::URI((*uri).try_into().unwrap())).collect();
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let key = KeyPair::generate().unwrap();
    let leaf = params.signed_by(&key, &issuer).unwrap();
    Bearer {
        chain: vec![leaf.into(), certificate],
        key: PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
    }
}

/// Another network's certificate for an agency of ours.
fn foreign(folder: &std::path::Path, network: &str, agency: &proto::ids::AgencyId) -> Bearer {
    let plan = Plan::sandbox(network.parse().unwrap());
    let mut authority = Authority::init(&folder.join(network), &plan, unix_now()).unwrap();
    Bearer::of(&authority.issue_with_key(&agency_identity(agency), unix_now()).unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_gets_in_whom_the_network_has_not_certified_or_not_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let others = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::make(folder.path(), Network::new());
    let agency = sandbox.network.at(1).id.clone();
    let identity = agency_identity(&agency);
    let mut authority = sandbox.authority();
    // Issued when the authority was made, for a minute that is over.
    let before = unix_now().minus(Lifetime::from_seconds(200));
    let key = Key::generate().unwrap();
    let chain = authority.issue(&identity, &key.request().unwrap(), Lifetime::from_seconds(60), before);
    let expired = certs::Credential::new(chain.unwrap(), key);
    assert!(expired.certificate().not_after < unix_now());
    let revoked = authority.issue_with_key(&identity, unix_now()).unwrap();
    let which = Which::Fingerprint(revoked.certificate().fingerprint);
    authority.revoke(&which, Reason::KeyCompromise, unix_now()).unwrap();
    authority.trust(unix_now()).unwrap().save(&sandbox.place().tls_folder()).unwrap();
    let gateways = Bearer::read(&sandbox.place().tls_folder());
    sandbox.start();

    let uri = |path: &str| format!("spiffe://{NETWORK}/{path}");
    let node = uri("agency/ae.dfwac/node-1");
    let of = |uris: &[&str]| Some(stolen(&sandbox, uris));
    let table: Vec<(&str, Option<Bearer>, &str)> = vec![
        ("none", None, "peer sent no certificates"),
        ("another network's", Some(foreign(others.path(), "other.network", &agency)), "UnknownIssuer"),
        (
            "another network's of the same name",
            Some(foreign(others.path(), NETWORK, &agency)),
            "BadSignature",
        ),
        ("expired", Some(Bearer::of(&expired)), "expired"),
        ("revoked", Some(Bearer::of(&revoked)), "Revoked"),
        ("the gateway's own", Some(gateways), "extended key usage"),
        ("the gateway's name", of(&[&uri("gateway")]), "names neither an agency's node"),
        ("two names", of(&[&node, &uri("staff/administrator/admin-1")]), "exactly one URI"),
        ("the same name twice", of(&[&node, &node]), "exactly one URI"),
        ("no name", of(&[]), "exactly one URI"),
        (
            "a name in another network",
            of(&["spiffe://other.network/agency/ae.dfwac/node-1"]),
            "another network",
        ),
        ("a role that is none", of(&[&uri("staff/root/admin-1")]), "names neither an agency's node"),
    ];
    let mut refused = 0.0;
    for (name, bearer, why) in table {
        let config = bearer.map_or_else(|| peer::anonymous(&sandbox), |bearer| bearer.config(&sandbox));
        let before = sandbox.log_text().len();
        let mut stream = peer::connect(sandbox.address, config).await.unwrap();
        assert!(!peer::is_served(&mut stream).await, "{name}: it was served");
        refused += 1.0;
        until(name, || (metric(sandbox.metrics, REFUSED) >= refused).then_some(())).await;
        let log = sandbox.log_text();
        let said = log.get(before..).unwrap();
        assert!(said.contains(why), "{name}: the log says not {why:?} but:\n{said}");
    }
    // And whom it has certified does.
    let config = Bearer::read(&sandbox.folder.join(agency.as_str())).config(&sandbox);
    let mut stream = peer::connect(sandbox.address, config).await.unwrap();
    assert!(peer::is_served(&mut stream).await);
    // A certificate of the network for an agency that is not in its directory connects, and that is all.
    let stranger = stolen(&sandbox, &[&uri("agency/zz.stranger/node-1")]);
    stranger_is_refused(&mut sandbox, stranger).await;
}

/// Puts a certificate into a folder, as `Sandbox::connect` wants it.
fn keep(sandbox: &Sandbox, name: &str, bearer: &Bearer) {
    let folder = sandbox.folder.join(name);
    std::fs::create_dir(&folder).unwrap();
    let pem = |tag: &str, der: &[u8]| pem::encode(&pem::Pem::new(tag, der));
    let chain: String = bearer.chain.iter().map(|der| pem("CERTIFICATE", der)).collect();
    std::fs::write(folder.join("certificate.pem"), chain).unwrap();
    std::fs::write(folder.join("key.pem"), pem("PRIVATE KEY", bearer.key.secret_der())).unwrap();
}

async fn stranger_is_refused(sandbox: &mut Sandbox, bearer: Bearer) {
    keep(sandbox, "zz.stranger", &bearer);
    let channel = sandbox.connect("zz.stranger").await.unwrap();
    let network = &sandbox.network;
    let (mut header, parts) =
        network.opening(&network.at(1).id, &network.at(3).id, now(), &mut Random::new(3));
    header.from = trials::network::agency("zz.stranger");
    header.referral.opened_by = header.from.clone();
    let sent = envelope(network.at(1), &header, &parts);
    let status = failure(PushClient::new(channel).push_one(sent).await);
    let refusal = refusal_in(&status);
    assert_eq!((status.code(), refusal.code.as_str()), (Code::PermissionDenied, "SENDER_UNKNOWN"));
    let receipt = Receipt::parse(refusal.receipt.unwrap()).unwrap();
    receipt.verify(&network.policy()).unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_revoked_in_mid_stream_is_cut_off_and_nothing_more_is_taken() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::make(folder.path(), Network::new());
    sandbox.start();
    let network = sandbox.network.clone();
    let (from, to, other) = (network.at(1), network.at(3), network.at(0));
    let mut random = Random::new(5);
    let mut fresh = |from: &trials::network::Agency| {
        let (header, parts) = network.opening(&from.id, &to.id, now(), &mut random);
        envelope(from, &header, &parts)
    };
    let of_from = sandbox.connect(from.id.as_str()).await.unwrap();
    let of_to = sandbox.connect(to.id.as_str()).await.unwrap();
    let mut pushes = Pushes::open(&of_from).await.unwrap();
    let mut deliveries = Deliveries::open(&of_from, 8).await;
    let mut others = Pushes::open(&sandbox.connect(other.id.as_str()).await.unwrap()).await.unwrap();
    receipt_of(pushes.push(fresh(from)).await);
    receipt_of(others.push(fresh(other)).await);
    assert_eq!(waiting_ids(&of_to).await.len(), 2);

    let mut authority = sandbox.authority();
    let which = Which::Identity(agency_identity(&from.id));
    authority.revoke(&which, Reason::KeyCompromise, unix_now()).unwrap();
    authority.trust(unix_now()).unwrap().save(&sandbox.place().tls_folder()).unwrap();
    // Nobody says anything on either stream: the gateway itself must cut them.
    let ended = deliveries.hear.message().await;
    assert!(ended.is_err());
    let refused = pushes.try_push(fresh(from)).await;
    assert!(!matches!(refused, Ok(Some(_))));
    assert!(metric(sandbox.metrics, CUT) >= 1.0);
    // The other goes on, and nothing came but its envelopes.
    receipt_of(others.push(fresh(other)).await);
    assert_eq!(waiting_ids(&of_to).await.len(), 3);
    // Nor does a new connection get in.
    let config = Bearer::read(&sandbox.folder.join(from.id.as_str())).config(&sandbox);
    let mut stream = peer::connect(sandbox.address, config).await.unwrap();
    assert!(!peer::is_served(&mut stream).await);
    assert!(sandbox.terminate());
}

/// A client's session store that counts what it is given.
#[derive(Debug)]
struct Counting {
    store: ClientSessionMemoryCache,
    tickets: AtomicUsize,
}

impl ClientSessionStore for Counting {
    fn set_kx_hint(&self, server: ServerName<'static>, group: NamedGroup) {
        self.store.set_kx_hint(server, group);
    }

    fn kx_hint(&self, server: &ServerName<'_>) -> Option<NamedGroup> {
        self.store.kx_hint(server)
    }

    fn set_tls12_session(&self, server: ServerName<'static>, session: Tls12ClientSessionValue) {
        self.store.set_tls12_session(server, session);
    }

    fn tls12_session(&self, server: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.store.tls12_session(server)
    }

    fn remove_tls12_session(&self, server: &ServerName<'static>) {
        self.store.remove_tls12_session(server);
    }

    fn insert_tls13_ticket(&self, server: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        self.tickets.fetch_add(1, Ordering::Relaxed);
        self.store.insert_tls13_ticket(server, ticket);
    }

    fn take_tls13_ticket(&self, server: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.store.take_tls13_ticket(server)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_session_is_ever_resumed_past_a_revocation() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::make(folder.path(), Network::new());
    sandbox.start();
    let agency = sandbox.network.at(1).id.clone();
    let counting =
        Arc::new(Counting { store: ClientSessionMemoryCache::new(8), tickets: AtomicUsize::new(0) });
    let mut config: ClientConfig = Bearer::read(&sandbox.folder.join(agency.as_str())).config(&sandbox);
    let store: Arc<dyn ClientSessionStore> = counting.clone();
    config.resumption = Resumption::store(store);
    for _ in 0..3 {
        let mut stream = peer::connect(sandbox.address, config.clone()).await.unwrap();
        // A ticket would come before or with the first frames.
        assert!(peer::is_served(&mut stream).await);
        assert_eq!(stream.get_ref().1.handshake_kind(), Some(HandshakeKind::Full));
    }
    assert_eq!(counting.tickets.load(Ordering::Relaxed), 0, "a ticket is a way past the CRL");
    let mut authority = sandbox.authority();
    let which = Which::Identity(agency_identity(&agency));
    authority.revoke(&which, Reason::Superseded, unix_now()).unwrap();
    authority.trust(unix_now()).unwrap().save(&sandbox.place().tls_folder()).unwrap();
    until("the lists are taken up", || sandbox.log_text().contains("TLS files taken up").then_some(())).await;
    let mut stream = peer::connect(sandbox.address, config).await.unwrap();
    assert!(!peer::is_served(&mut stream).await);
    assert!(is_ready(sandbox.metrics));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn staff_are_no_agency() {
    let folder = tempfile::tempdir().unwrap();
    let mut sandbox = Sandbox::make(folder.path(), Network::new());
    sandbox.start();
    let network = sandbox.network.clone();
    let channel = sandbox.connect("admin-1").await.unwrap();
    let mut refused: Vec<Status> = Vec::new();
    let mut receive = ReceiveClient::new(channel.clone());
    let none = || tokio_stream::empty();
    refused.push(failure(receive.deliver(none()).await));
    refused.push(failure(receive.fetch(wire::FetchRequest::default()).await));
    refused.push(failure(receive.acknowledge(wire::AcknowledgeRequest::default()).await));
    let mut parts = PartsClient::new(channel.clone());
    refused.push(failure(parts.upload(tokio_stream::empty()).await));
    refused.push(failure(parts.download(wire::DownloadRequest::default()).await));
    let mut witness = WitnessClient::new(channel.clone());
    refused.push(failure(witness.report(wire::WitnessReport::default()).await));
    for (number, status) in refused.iter().enumerate() {
        assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
        let refusal = refusal_in(status);
        assert_eq!(refusal.code, "ROLE_NOT_ALLOWED");
        // Five are recorded one by one, the others counted.
        assert_eq!(refusal.receipt.is_some(), number < 5, "{number}");
        if let Some(receipt) = refusal.receipt {
            let receipt = Receipt::parse(receipt).unwrap();
            receipt.verify(&network.policy()).unwrap();
            let what = &receipt.record().what;
            assert_eq!(
                (what.event, what.refusal.unwrap().0),
                (Event::SubmissionRejection, Refusal::RoleNotAllowed)
            );
            assert_eq!(what.actor.as_ref().unwrap().as_str(), "admin-1");
        }
    }
    // An envelope of an agency, pushed by staff, has another sender.
    let (header, parts) = network.opening(&network.at(1).id, &network.at(3).id, now(), &mut Random::new(3));
    let sent = envelope(network.at(1), &header, &parts);
    let status = failure(PushClient::new(channel).push_one(sent).await);
    assert_eq!(refusal_in(&status).code, "CALLER_NOT_SENDER");
}
