//! What all these tests start from: an invitation that two administrators signed, and who uses it.

use std::{
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

use gateway::service::stubs::{directory_client::DirectoryClient, enrolment_client::EnrolmentClient};
use hyper_util::rt::TokioIo;
use prost::Message as _;
use proto::{
    digest::Digest,
    directory::invitation::{Invite, InvitedTo},
    dsse::{self, PayloadType},
    ids::{AgencyId, EnvelopeId, TimeMs},
    invitation::Invitation,
    key::SigningKey,
    log::note::VerifierKey,
    wire::{self, directory_change::Change},
};
use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::Value;
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;
use tonic::{
    Status,
    transport::{Channel, Endpoint},
};
use trials::{
    network::Network,
    peer,
    sandbox::{Sandbox, program},
    speak::now,
};

pub(crate) const NEW: &str = "ae.new";
pub(crate) const HOUR_MS: u64 = 60 * 60 * 1000;

pub(crate) fn started(folder: &Path) -> Sandbox {
    std::fs::create_dir_all(folder).unwrap();
    let mut sandbox = Sandbox::make(folder, Network::new());
    sandbox.start();
    sandbox
}

/// A key that no other test has.
pub(crate) fn key(name: &str) -> SigningKey {
    SigningKey::from_seed(Digest::of(name.as_bytes()).as_bytes())
}

/// An invitation of `ae.new`, which nobody has signed yet.
pub(crate) fn invitation(sandbox: &Sandbox, secret: &str, valid_ms: u64) -> Invitation {
    invitation_of(sandbox, (NEW, false), secret, now().plus_ms(valid_ms))
}

pub(crate) fn invitation_of(
    sandbox: &Sandbox,
    (name, again): (&str, bool),
    secret: &str,
    expires_at: TimeMs,
) -> Invitation {
    let file = sandbox.network_file();
    let root = CertificateDer::from_pem_slice(file.root.as_bytes()).unwrap();
    let secret = key(secret);
    let named = wire::Invite {
        agency: name.to_owned(),
        invitation_key: secret.public().to_bytes().to_vec(),
        expires_at_ms: expires_at.0,
        again,
        ..wire::Invite::default()
    };
    let invite = if again {
        named
    } else {
        wire::Invite {
            agency_type: "Shelter".into(),
            name_en: "A new agency".into(),
            name_ar: "جهة جديدة".into(),
            jurisdictions: vec!["AE".into()],
            ..named
        }
    };
    Invitation {
        network: AgencyId::parse(&file.network, "network").unwrap(),
        gateway: file.gateway,
        enrolment: file.enrolment.unwrap(),
        root: Digest::of(&root),
        evidence_log: VerifierKey::parse(&file.evidence_log).unwrap(),
        directory_log: VerifierKey::parse(&file.directory_log).unwrap(),
        invite: Invite::parse(invite).unwrap(),
        secret,
    }
}

/// A change, signed.
pub(crate) fn change(change: Change, keys: &[&SigningKey]) -> wire::SignedObject {
    let random = Digest::of(&now().0.to_le_bytes()).0;
    let salted = Digest::of_all(&[&random, &keys[0].public().to_bytes(), &change_bytes(&change)]).0;
    let change = wire::DirectoryChange {
        version: 1,
        change_id: EnvelopeId::new(now(), salted[..10].try_into().unwrap()).as_bytes().to_vec(),
        created_at_ms: now().0,
        change: Some(change),
    };
    dsse::sign(PayloadType::DirectoryEntry, change.encode_to_vec(), keys)
}

fn change_bytes(change: &Change) -> Vec<u8> {
    wire::DirectoryChange { change: Some(change.clone()), ..wire::DirectoryChange::default() }.encode_to_vec()
}

/// Hands in a change as an administrator; it must be taken.
pub(crate) async fn changed(sandbox: &Sandbox, object: wire::SignedObject) {
    let channel = sandbox.connect("admin-1").await.unwrap();
    let answer = DirectoryClient::new(channel).change(object).await.unwrap().into_inner().answer;
    match answer {
        Some(wire::change_answer::Answer::Receipt(_)) => {}
        Some(wire::change_answer::Answer::Refusal(refusal)) => panic!("refused: {}", refusal.code),
        None => panic!("no answer"),
    }
}

/// Two administrators sign an invitation, and it is logged.
pub(crate) async fn invited(sandbox: &Sandbox, invitation: &Invitation) {
    let [one, two, ..] = sandbox.network.administrators.as_slice() else { panic!("two administrators") };
    let invite = Change::Invite(invitation.invite.to_wire());
    changed(sandbox, change(invite, &[one, two, &invitation.secret])).await;
}

/// Whoever uses an invitation: a signing key and a TLS key.
pub(crate) struct Guest {
    pub(crate) signing: SigningKey,
    pub(crate) tls: certs::Key,
}

impl Guest {
    pub(crate) fn new(name: &str) -> Self {
        Self { signing: key(name), tls: certs::Key::generate().unwrap() }
    }

    /// What its agent would send.
    pub(crate) fn request(&self, invitation: &Invitation) -> wire::EnrolRequest {
        self.request_signed(invitation, &[&self.signing, &invitation.secret])
    }

    pub(crate) fn request_signed(&self, invitation: &Invitation, keys: &[&SigningKey]) -> wire::EnrolRequest {
        let csr = self.tls.request().unwrap();
        let certificate_key_sha256 = csr.key_digest().as_bytes().to_vec();
        let invite = invitation.invite.to_wire();
        let signing_key = self.signing.public().to_bytes().to_vec();
        let used = match invitation.invite.to {
            InvitedTo::Join(_) => Change::AdmitAgency(wire::AdmitAgency {
                agency: invite.agency,
                agency_type: invite.agency_type,
                name_en: invite.name_en,
                name_ar: invite.name_ar,
                jurisdictions: invite.jurisdictions,
                signing_key,
                invitation_key: invite.invitation_key,
                certificate_key_sha256,
            }),
            InvitedTo::Return => Change::PublishKey(wire::PublishKey {
                agency: invite.agency,
                purpose: wire::KeyPurpose::Signing.into(),
                public_key: signing_key,
                invitation_key: invite.invitation_key,
                certificate_key_sha256,
            }),
        };
        wire::EnrolRequest {
            node: "main".into(),
            certificate_request: csr.der().to_vec(),
            key: Some(change(used, keys)),
        }
    }
}

/// A connection to the door of enrolment, from an address of this machine.
pub(crate) async fn tls_from(from: IpAddr, sandbox: &Sandbox) -> std::io::Result<TlsStream<TcpStream>> {
    peer::connect_from(from, sandbox.enrolment, peer::anonymous(sandbox)).await
}

/// The same as a channel.
pub(crate) async fn channel_from(from: IpAddr, sandbox: &Sandbox) -> Channel {
    let config = peer::anonymous(sandbox);
    channel_with(from, sandbox.enrolment, config).await
}

pub(crate) async fn channel_with(from: IpAddr, address: SocketAddr, config: ClientConfig) -> Channel {
    let stream = peer::connect_from(from, address, config).await.unwrap();
    let once = Arc::new(std::sync::Mutex::new(Some(TokioIo::new(stream))));
    let connector = tower::service_fn(move |_: http::Uri| {
        let stream = once.lock().unwrap().take();
        async move { stream.ok_or_else(|| std::io::Error::from(std::io::ErrorKind::NotConnected)) }
    });
    Endpoint::from_static("http://gateway").connect_with_connector(connector).await.unwrap()
}

pub(crate) const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Enrols over the wire.
pub(crate) async fn enrol(
    sandbox: &Sandbox,
    request: wire::EnrolRequest,
) -> Result<wire::EnrolAnswer, Status> {
    let channel = channel_from(HERE, sandbox).await;
    EnrolmentClient::new(channel).enrol(request).await.map(tonic::Response::into_inner)
}

/// What an agency's program says: exit code, JSON, and what stands on standard error.
pub(crate) fn agent(folder: &Path, arguments: &[&str]) -> (i32, Value, String) {
    let output = Command::new(program("agent"))
        .args(["--json", "--folder"])
        .arg(folder)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    let said = serde_json::from_str(said.trim()).unwrap_or(Value::Null);
    (output.status.code().unwrap(), said, String::from_utf8(output.stderr).unwrap())
}

/// The invitation as a file for `agent enrol`.
pub(crate) fn text_file(folder: &Path, invitation: &Invitation) -> String {
    let path = folder.join(format!("{}.invitation", invitation.invite.id()));
    std::fs::write(&path, invitation.to_text() + "\n").unwrap();
    path.to_str().unwrap().to_owned()
}

/// The directory, rebuilt from its log by the rules.
pub(crate) async fn directory(sandbox: &Sandbox) -> proto::directory::Directory {
    let network = sandbox.network_file();
    let mut client =
        gateway::admin::client::Client::connect(&network, &sandbox.folder.join("admin-1")).await.unwrap();
    let (_, leaves) = client.leaves().await.unwrap();
    gateway::admin::invitation::directory(leaves).unwrap()
}

/// As [`directory`], once it shows an invitation: it is published a moment after it is logged.
pub(crate) async fn directory_with(
    sandbox: &Sandbox,
    invitation: &Invitation,
) -> proto::directory::Directory {
    let begun = std::time::Instant::now();
    loop {
        let directory = directory(sandbox).await;
        if directory.invitation(&invitation.invite.agency, &invitation.invite.key).is_some() {
            return directory;
        }
        assert!(begun.elapsed() < trials::speak::PATIENCE, "the invitation is not published");
    }
}
