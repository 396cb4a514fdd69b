//! A member of staff's connection to the gateway. Not here: what is said on it.

use std::{path::Path, sync::Arc, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use hyper_util::rt::TokioIo;
use proto::{
    digest::Digest,
    log::{
        checkpoint::Checkpoint,
        merkle::{Frontier, leaf_hash},
        note::{SignedNote, VerifierKey},
        policy::Policy,
    },
    receipt::Receipt,
    wire,
};
use rustls::{ClientConfig, RootCertStore, version::TLS13};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::{
    Request,
    transport::{Channel, Endpoint, Uri},
};
use tower::service_fn;

use crate::{
    network::NetworkFile,
    peer::tls::{certificates, provider},
    service::stubs::{directory_client::DirectoryClient, log_client::LogClient},
};

/// How long a connection may take.
const CONNECT_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a call may take.
const CALL_TIME_MAX: Duration = Duration::from_secs(30);

/// Longest answer that is taken, in bytes.
pub const ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// A connection as a member of staff.
pub struct Client {
    channel: Channel,
    policy: Policy,
    directory_log: VerifierKey,
}

/// A change that was taken.
#[derive(Debug)]
pub struct Changed {
    /// Digest of the signed object: how it is named from now on.
    pub object: Digest,
    /// The receipt, verified.
    pub receipt: Receipt,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// When files are missing, the gateway cannot be reached, or it is not the network's.
    pub async fn connect(network: &NetworkFile, tls: &Path) -> Result<Self> {
        let channel = channel(network, tls).await?;
        let evidence_log = VerifierKey::parse(&network.evidence_log).context("evidence_log")?;
        Ok(Self {
            channel,
            policy: Policy::unwitnessed(evidence_log).context("evidence_log")?,
            directory_log: VerifierKey::parse(&network.directory_log).context("directory_log")?,
        })
    }

    /// Hands in a signed change, and verifies the receipt.
    ///
    /// # Errors
    /// What the gateway answers, in both languages.
    pub async fn change(&mut self, object: wire::SignedObject) -> Result<Changed> {
        use wire::change_answer::Answer;
        let pae = proto::dsse::pre_authentication_encoding(&object.payload_type, &object.payload);
        let object_digest = Digest::of(&pae);
        let mut directory = DirectoryClient::new(self.channel.clone());
        let mut request = Request::new(object);
        request.set_timeout(CALL_TIME_MAX);
        let answer = directory.change(request).await.map_err(said)?.into_inner();
        match answer.answer {
            Some(Answer::Receipt(receipt)) => {
                let receipt = Receipt::parse(receipt)?;
                receipt.verify(&self.policy).context("the receipt does not hold")?;
                Ok(Changed { object: object_digest, receipt })
            }
            Some(Answer::Refusal(refusal)) => {
                bail!("{} ({})\n{}\n{}", refusal.code, refusal.field, refusal.text_en, refusal.text_ar)
            }
            None => bail!("the gateway gave no answer"),
        }
    }

    /// Has a need explained. The query is evidence.
    ///
    /// # Errors
    /// What the gateway answers.
    pub async fn explain(&mut self, asked: wire::ExplainRequest) -> Result<wire::ExplainAnswer> {
        let mut request = Request::new(asked);
        request.set_timeout(CALL_TIME_MAX);
        let mut directory = DirectoryClient::new(self.channel.clone());
        Ok(directory.explain(request).await.map_err(said)?.into_inner())
    }

    /// Every record of the directory log, checked against its signed checkpoint.
    ///
    /// # Errors
    /// When what the gateway shows is not what its log signed.
    pub async fn records(&mut self) -> Result<(Checkpoint, Vec<wire::DirectoryRecord>)> {
        use prost::Message as _;
        let (checkpoint, leaves) = self.leaves().await?;
        let records = leaves.iter().map(|leaf| wire::DirectoryRecord::decode(leaf.as_slice()));
        Ok((checkpoint, records.collect::<Result<_, _>>()?))
    }

    /// As [`Self::records`], but the bytes that the log's signature is over.
    ///
    /// # Errors
    /// As [`Self::records`].
    pub async fn leaves(&mut self) -> Result<(Checkpoint, Vec<Vec<u8>>)> {
        let request = wire::GetCheckpointRequest { log: wire::LogName::Directory.into() };
        let mut log = LogClient::new(self.channel.clone());
        let note = log.get_checkpoint(request).await.map_err(said)?.into_inner().checkpoint;
        let checkpoint = Checkpoint::open(&SignedNote::parse(&note)?, &self.directory_log)?;
        let mut directory = DirectoryClient::new(self.channel.clone());
        let request = wire::GetRecordsRequest { from_index: 0 };
        let mut stream = directory.get_records(request).await.map_err(said)?.into_inner();
        let (mut frontier, mut leaves) = (Frontier::default(), Vec::new());
        while let Some(answer) = stream.message().await.map_err(said)? {
            if frontier.size() == checkpoint.size {
                break;
            }
            frontier.append(leaf_hash(&answer.record));
            leaves.push(answer.record);
        }
        let is_whole = frontier.size() == checkpoint.size && frontier.root() == checkpoint.root;
        ensure!(
            is_whole,
            "the gateway's directory is not the one that its log signed; call the other agencies"
        );
        Ok((checkpoint, leaves))
    }
}

/// A channel to the gateway with the certificate of a folder: `certificate.pem` and `key.pem`.
///
/// # Errors
/// As [`Client::connect`].
pub async fn channel(network: &NetworkFile, tls: &Path) -> Result<Channel> {
    let uri: Uri = network.gateway.parse().context("the gateway's address in network.toml")?;
    let host = uri.host().context("the gateway's address has no host")?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let port = uri.port_u16().unwrap_or(443);
    let name = ServerName::try_from(host.clone()).context("the gateway's host")?;
    let connector = TlsConnector::from(Arc::new(config(network, tls)?));
    let connect = service_fn(move |_: Uri| {
        let (connector, name, host) = (connector.clone(), name.clone(), host.clone());
        async move {
            let tcp = TcpStream::connect((host.as_str(), port)).await?;
            tcp.set_nodelay(true)?;
            std::io::Result::Ok(TokioIo::new(connector.connect(name, tcp).await?))
        }
    });
    // TLS is the connector's, so the endpoint itself is plain.
    let endpoint = Endpoint::from_static("http://gateway").connect_timeout(CONNECT_TIME_MAX);
    endpoint.connect_with_connector(connect).await.with_context(|| {
        format!("the gateway at {} cannot be reached, or refused the certificate", network.gateway)
    })
}

#[allow(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
/// What the gateway answers instead, for people.
#[must_use]
pub fn said(status: tonic::Status) -> anyhow::Error {
    anyhow::anyhow!("the gateway says {:?}: {}", status.code(), status.message())
}

/// TLS 1.3 with a client certificate; only the network's root is trusted.
fn config(network: &NetworkFile, tls: &Path) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(network.root.as_bytes()).context("root in network.toml")?)?;
    let key = PrivateKeyDer::from_pem_file(tls.join("key.pem"))
        .with_context(|| format!("{}/key.pem cannot be read", tls.display()))?;
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(certificates(&tls.join("certificate.pem"))?, key)?;
    config.alpn_protocols = vec![b"h2".to_vec()];
    Ok(config)
}
