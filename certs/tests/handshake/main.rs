//! Real TLS handshakes, as gateway and agents make them: rustls with aws-lc-rs, TLS 1.3, mutual, lists
//! enforced. Who gets in, who does not, and what rustls leaves to the gateway.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod forged;
mod link;

use std::path::Path;

use certs::{
    Authority, Credential, Error, GatewayNames, Identity, Key, LEAF_LIFETIME, Lifetime, Permitted, Plan,
    Reason, Refusal, Root, Trust, UnixTime, Which,
};
use link::{Bearer, Side, connect};
use rustls::{CertificateError, Error as TlsError};

const START: u64 = 1_790_000_000;

fn now() -> UnixTime {
    UnixTime::from_seconds(START).unwrap()
}

fn after(days: u64) -> UnixTime {
    now().plus(Lifetime::from_days(days))
}

fn agent() -> Identity {
    "agency/ae.dfwac/main".parse().unwrap()
}

fn staff() -> Identity {
    "staff/operator/blue-7".parse().unwrap()
}

/// A network of certificates in a folder.
struct Network {
    folder: tempfile::TempDir,
    authority: Authority,
    gateway: Credential,
    agent: Credential,
}

impl Network {
    fn new() -> Self {
        Self::named("sandbox.example")
    }

    fn named(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let plan = Plan::sandbox(name.parse().unwrap());
        let mut authority = Authority::init(&folder.path().join("authority"), &plan, now()).unwrap();
        let gateway = authority.issue_gateway_with_key(&GatewayNames::loopback(), now()).unwrap();
        let agent = authority.issue_with_key(&agent(), now()).unwrap();
        Self { folder, authority, gateway, agent }
    }

    fn path(&self) -> std::path::PathBuf {
        self.folder.path().join("authority")
    }

    fn trust(&mut self) -> Trust {
        self.authority.trust(now()).unwrap()
    }

    /// What both sides say when this client connects.
    fn try_client(&mut self, client: &Credential) -> Result<(), TlsError> {
        let trust = self.trust();
        connect(&Side::of(&self.gateway, &trust), &Side::of(client, &trust), "localhost", now())
    }
}

fn refused(result: Result<(), TlsError>) -> CertificateError {
    match result {
        Err(TlsError::InvalidCertificate(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[test]
fn agents_and_staff_get_in_under_every_name_of_the_gateway() {
    let mut network = Network::new();
    let trust = network.trust();
    let operator = network.authority.issue_with_key(&staff(), now()).unwrap();
    for client in [&network.agent, &operator] {
        for name in ["localhost", "127.0.0.1", "::1"] {
            let sides = (Side::of(&network.gateway, &trust), Side::of(client, &trust));
            assert_eq!(connect(&sides.0, &sides.1, name, now()), Ok(()), "{name}");
        }
    }
}

#[test]
fn keys_that_stock_tools_make_get_in() {
    let mut network = Network::new();
    let trust = network.trust();
    for (request, key) in forged::other_kinds_of_keys() {
        let request = certs::Request::read(&request).unwrap();
        let chain = network.authority.issue(&agent(), &request, LEAF_LIFETIME, now()).unwrap();
        let client = Bearer { chain: chain.to_pki(), key }.trusting(&trust);
        assert_eq!(connect(&Side::of(&network.gateway, &trust), &client, "localhost", now()), Ok(()));
    }
}

#[test]
fn another_network_is_refused() {
    let mut network = Network::new();
    let other = Network::named("other.example");
    assert_eq!(refused(network.try_client(&other.agent)), CertificateError::UnknownIssuer);
    // The same names throughout, but another root's key.
    let twin = Network::new();
    assert_eq!(refused(network.try_client(&twin.agent)), CertificateError::BadSignature);
}

#[test]
fn a_gateway_is_refused_by_agents_of_another_network() {
    let mut network = Network::new();
    let other = Network::named("other.example");
    let trust = network.trust();
    let result =
        connect(&Side::of(&other.gateway, &trust), &Side::of(&network.agent, &trust), "localhost", now());
    assert_eq!(refused(result), CertificateError::UnknownIssuer);
}

#[test]
fn a_gateway_is_refused_under_another_name() {
    let mut network = Network::new();
    let trust = network.trust();
    let (gateway, agent) = (Side::of(&network.gateway, &trust), Side::of(&network.agent, &trust));
    for name in ["gateway.sandbox.example", "127.0.0.2", "::2"] {
        let refused = refused(connect(&gateway, &agent, name, now()));
        assert!(matches!(refused, CertificateError::NotValidForNameContext { .. }), "{name}: {refused:?}");
    }
}

#[test]
fn names_outside_the_constraints_are_refused_by_us_and_by_rustls() {
    let mut network = Network::new();
    for outside in ["gateway.other.example", "10.0.0.1", "fd00::1", "localhost.example"] {
        let names = GatewayNames::parse(&[outside]).unwrap();
        let expected = Refusal::NameNotPermitted { name: outside.parse().unwrap() };
        let issued = network.authority.issue_gateway_with_key(&names, now());
        assert_eq!(issued.err(), Some(Error::Refusal(expected)), "{outside}");

        // As if somebody who stole the issuing key did it all the same.
        let trust = network.trust();
        let forged = forged::gateway(&network.path().join("issuing/1"), outside, "spiffe://x/y", now());
        let agent = Side::of(&network.agent, &trust);
        let result = connect(&forged.trusting(&trust), &agent, outside, now());
        assert!(format!("{:?}", refused(result)).contains("NameConstraintViolation"), "{outside}");
    }
}

#[test]
fn a_network_without_addresses_has_none() {
    let folder = tempfile::tempdir().unwrap();
    let network: certs::Network = "referral.example".parse().unwrap();
    let plan = Plan::new(network.clone(), Permitted::new(&network, []).unwrap());
    let path = folder.path().join("authority");
    let mut authority = Authority::init(&path, &plan, now()).unwrap();
    let trust = authority.trust(now()).unwrap();
    let agent = authority.issue_with_key(&agent(), now()).unwrap();
    let agent = Side::of(&agent, &trust);
    let names = GatewayNames::parse(&["gateway.referral.example"]).unwrap();
    let gateway = authority.issue_gateway_with_key(&names, now()).unwrap();
    let gateway = Side::of(&gateway, &trust);
    assert_eq!(connect(&gateway, &agent, "gateway.referral.example", now()), Ok(()));
    for outside in ["127.0.0.1", "::1", "localhost"] {
        let forged = forged::gateway(&path.join("issuing/1"), outside, "spiffe://x/y", now());
        let result = connect(&forged.trusting(&trust), &agent, outside, now());
        assert!(format!("{:?}", refused(result)).contains("NameConstraintViolation"), "{outside}");
    }
}

#[test]
fn expired_and_early_certificates_are_refused() {
    let mut network = Network::new();
    let early = network.trust();
    network.authority.sign_crls(after(91)).unwrap();
    let trust = network.authority.trust(after(91)).unwrap();
    let gateway = network.authority.issue_gateway_with_key(&GatewayNames::loopback(), after(91)).unwrap();
    let gateway = Side::of(&gateway, &trust);
    let agent = Side::of(&network.agent, &trust);
    let result = refused(connect(&gateway, &agent, "localhost", after(91)));
    assert!(matches!(result, CertificateError::ExpiredContext { .. }), "{result:?}");

    let late = network.authority.issue_with_key(&staff(), after(91)).unwrap();
    let late = Side::of(&late, &early);
    let result = refused(connect(&Side::of(&network.gateway, &early), &late, "localhost", now()));
    assert!(matches!(result, CertificateError::NotValidYetContext { .. }), "{result:?}");
}

#[test]
fn clocks_that_differ_a_little_do_no_harm() {
    let mut network = Network::new();
    let trust = network.trust();
    let early = now().minus(Lifetime::from_seconds(290));
    let sides = (Side::of(&network.gateway, &trust), Side::of(&network.agent, &trust));
    assert_eq!(connect(&sides.0, &sides.1, "localhost", early), Ok(()));
}

#[test]
fn revoked_certificates_are_refused_on_either_side() {
    let mut network = Network::new();
    let before = network.trust();
    let serial = Which::Serial(network.agent.certificate().serial.clone());
    network.authority.revoke(&serial, Reason::KeyCompromise, now()).unwrap();
    let agent = Side::of(&network.agent, &before);
    let trust = network.trust();
    let result = connect(&Side::of(&network.gateway, &trust), &agent, "localhost", now());
    assert_eq!(refused(result), CertificateError::Revoked);
    // Whoever has the old lists does not know: that is why they run out.
    assert_eq!(connect(&Side::of(&network.gateway, &before), &agent, "localhost", now()), Ok(()));

    let operator = network.authority.issue_with_key(&staff(), now()).unwrap();
    let gateway = Which::Identity(Identity::Gateway);
    network.authority.revoke(&gateway, Reason::Superseded, now()).unwrap();
    let operator = Side::of(&operator, &network.trust());
    let result = connect(&Side::of(&network.gateway, &before), &operator, "localhost", now());
    assert_eq!(refused(result), CertificateError::Revoked);
    let operator = Side { crls: before.crls(), ..operator };
    let result = connect(&Side::of(&network.gateway, &before), &operator, "localhost", now());
    assert_eq!(result, Ok(()));
}

#[test]
fn lists_that_have_run_out_refuse_everybody() {
    let mut network = Network::new();
    let trust = network.trust();
    let sides = (Side::of(&network.gateway, &trust), Side::of(&network.agent, &trust));
    assert_eq!(connect(&sides.0, &sides.1, "localhost", after(6)), Ok(()));
    let result = refused(connect(&sides.0, &sides.1, "localhost", after(7)));
    assert!(matches!(result, CertificateError::ExpiredRevocationListContext { .. }), "{result:?}");
    assert!(matches!(network.authority.trust(after(7)), Err(Error::Refusal(Refusal::ListNotInForce { .. }))));
    assert_eq!(network.authority.sign_due_crls(after(7)), Ok(true));
    let trust = network.authority.trust(after(7)).unwrap();
    let sides = (Side::of(&network.gateway, &trust), Side::of(&network.agent, &trust));
    assert_eq!(connect(&sides.0, &sides.1, "localhost", after(7)), Ok(()));
}

#[test]
fn neither_side_can_play_the_other() {
    let mut network = Network::new();
    let trust = network.trust();
    let gateway = Side::of(&network.gateway, &trust);
    let result = refused(connect(&gateway, &gateway, "localhost", now()));
    assert!(matches!(result, CertificateError::InvalidPurposeContext { .. }), "{result:?}");
    let agent = Side::of(&network.agent, &trust);
    let result = refused(connect(&agent, &agent, "localhost", now()));
    assert!(matches!(result, CertificateError::InvalidPurposeContext { .. }), "{result:?}");
}

#[test]
fn an_agent_that_makes_itself_an_issuer_is_refused() {
    let mut network = Network::new();
    let trust = network.trust();
    let forged = forged::issued_by(&network.agent, "spiffe://sandbox.example/staff/administrator/x", now());
    let forged = forged.trusting(&trust);
    let result = refused(connect(&Side::of(&network.gateway, &trust), &forged, "localhost", now()));
    assert!(format!("{result:?}").contains("EndEntityUsedAsCa"), "{result:?}");
}

#[test]
fn an_issuing_certificate_cannot_make_another() {
    let mut network = Network::new();
    let trust = network.trust();
    let forged = forged::second_issuing(&network.path().join("issuing/1"), now());
    let forged = forged.trusting(&trust);
    let result = refused(connect(&Side::of(&network.gateway, &trust), &forged, "localhost", now()));
    assert!(format!("{result:?}").contains("PathLenConstraintViolated"), "{result:?}");
}

#[test]
fn another_issuing_certificate_of_the_same_root_is_unknown_until_its_list_is() {
    let mut network = Network::new();
    let trust = network.trust();
    let mut root = Root::open(&network.path().join("root")).unwrap();
    let other = tempfile::tempdir().unwrap();
    let key = Key::generate().unwrap();
    key.save(&other.path().join("key.pem")).unwrap();
    let permitted = Permitted::sandbox(root.network());
    let made =
        root.sign_issuing(&key.request().unwrap(), &permitted, Lifetime::from_days(30), now()).unwrap();
    std::fs::write(other.path().join("certificate.pem"), made.to_pem()).unwrap();
    let forged = forged::client(other.path(), "spiffe://sandbox.example/agency/ae.dfwac/main", now());
    let forged = forged.trusting(&trust);
    let result = refused(connect(&Side::of(&network.gateway, &trust), &forged, "localhost", now()));
    assert_eq!(result, CertificateError::UnknownRevocationStatus);
}

#[test]
fn a_revoked_issuing_certificate_takes_everything_with_it_and_the_next_begins() {
    let mut network = Network::new();
    let request = network.authority.request_issuing().unwrap();
    let mut root = Root::open(&network.path().join("root")).unwrap();
    let permitted = Permitted::sandbox(root.network());
    let lifetime = certs::ISSUING_LIFETIME;
    let second = root.sign_issuing(&request, &permitted, lifetime, now()).unwrap();
    network.authority.install_issuing(&second, now()).unwrap();
    // Both generations get in.
    let next = network.authority.issue_with_key(&agent(), now()).unwrap();
    assert_eq!(network.try_client(&next), Ok(()));
    let old = std::mem::replace(&mut network.agent, next);
    assert_eq!(network.try_client(&old), Ok(()));

    root.revoke_issuing(1, Reason::KeyCompromise, now()).unwrap();
    network.authority.install_root_list(root.list(), now()).unwrap();
    network.gateway = network.authority.issue_gateway_with_key(&GatewayNames::loopback(), now()).unwrap();
    assert_eq!(refused(network.try_client(&old)), CertificateError::Revoked);
    let trust = network.trust();
    let sides = (Side::of(&network.gateway, &trust), Side::of(&network.agent, &trust));
    assert_eq!(connect(&sides.0, &sides.1, "localhost", now()), Ok(()));
}

/// What rustls does not check, and the gateway must: the network in the id.
#[test]
fn rustls_leaves_the_network_in_the_id_to_the_gateway() {
    let mut network = Network::new();
    let trust = network.trust();
    let issuing = network.path().join("issuing/1");
    let forged = forged::client(&issuing, "spiffe://other.example/agency/ae.dfwac/main", now());
    let certificate = certs::Certificate::from_der(&forged.chain[0]).unwrap();
    let forged = forged.trusting(&trust);
    let gateway = Side::of(&network.gateway, &trust);
    assert_eq!(connect(&gateway, &forged, "localhost", now()), Ok(()));
    assert_eq!(certificate.identity(network.authority.network()), Err(Refusal::OtherNetwork.into()));
    let agent = network.agent.certificate();
    assert_eq!(agent.identity(network.authority.network()), Ok(self::agent()));
}

/// Why an issuing certificate does not constrain URIs, though it should: rustls-webpki then refuses every
/// certificate that has one. When this fails, it has learnt to, and `template::issuing` should say it.
#[test]
fn rustls_refuses_every_uri_under_a_constraint_of_uris() {
    let (gateway, client) = forged::constrained_uris("sandbox.example", now());
    let result = refused(connect(&gateway, &client, "localhost", now()));
    assert!(format!("{result:?}").contains("NameConstraintViolation"), "{result:?}");
}

#[test]
fn files_are_enough_for_stock_rustls() {
    let mut network = Network::new();
    let folder = network.folder.path();
    let (agent, trust) = (folder.join("agent"), folder.join("trust"));
    network.agent.save(&agent).unwrap();
    std::fs::create_dir(&trust).unwrap();
    network.authority.trust(now()).unwrap().save(&trust).unwrap();
    let lists = read_lists(&trust.join("crls.pem"));
    assert_eq!(lists, network.trust().crls());
    assert_eq!(lists, read_lists(&network.path().join("crls.pem")), "the authority's own bundle");
    let side = Bearer::read(&agent).trusting(&network.trust());
    let gateway = Side::of(&network.gateway, &network.authority.trust(now()).unwrap());
    assert_eq!(connect(&gateway, &side, "localhost", now()), Ok(()));
}

fn read_lists(path: &Path) -> Vec<rustls::pki_types::CertificateRevocationListDer<'static>> {
    use rustls::pki_types::pem::PemObject as _;
    rustls::pki_types::CertificateRevocationListDer::pem_file_iter(path)
        .unwrap()
        .collect::<Result<_, _>>()
        .unwrap()
}
