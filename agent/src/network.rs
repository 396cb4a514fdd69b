//! `network.toml`: the network as its administrators give it to every agency. Whoever can change it
//! can make the agent believe another network. Not here: the directory, which the log builds
//! (`follower`).

use base64::{Engine as _, prelude::BASE64_STANDARD};
use proto::{
    ids::AgencyId,
    log::{
        note::{KeyType, VerifierKey},
        policy::Policy,
    },
};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why it is no network.
#[derive(Debug, Error)]
pub enum NetworkFault {
    /// Not TOML, or a key that there is not.
    #[error("network.toml: {0}")]
    Form(String),
    /// A value that is not of its form.
    #[error(
        "network.toml: `{0}` is not of the form that it has; ask the network's administrators for the file"
    )]
    Value(&'static str),
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// Its name, the trust domain of its certificates.
    pub name: AgencyId,
    /// The gateway's name, which its certificate must have.
    pub host: String,
    /// The gateway's port.
    pub port: u16,
    /// The evidence log's key.
    pub evidence: VerifierKey,
    /// The directory log's key.
    pub directory: VerifierKey,
    /// The root of all certificates.
    pub root: CertificateDer<'static>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct File {
    network: String,
    gateway: String,
    /// Only whoever invites needs it.
    #[serde(default, skip_serializing)]
    #[allow(dead_code, reason = "agents of the network may be given the administrators' file")]
    enrolment: Option<String>,
    evidence_log: String,
    directory_log: String,
    root: String,
}

impl Network {
    /// Reads the file.
    ///
    /// # Errors
    /// [`NetworkFault`].
    pub fn parse(text: &str) -> Result<Self, NetworkFault> {
        let file: File =
            toml::from_str(text).map_err(|error| NetworkFault::Form(error.message().to_owned()))?;
        let (host, port) = address(&file.gateway).ok_or(NetworkFault::Value("gateway"))?;
        let network = Self {
            name: AgencyId::parse(&file.network, "network").map_err(|_| NetworkFault::Value("network"))?,
            host,
            port,
            evidence: log(&file.evidence_log).ok_or(NetworkFault::Value("evidence_log"))?,
            directory: log(&file.directory_log).ok_or(NetworkFault::Value("directory_log"))?,
            root: root(&file.root).ok_or(NetworkFault::Value("root"))?,
        };
        if network.evidence.name() == network.directory.name() {
            return Err(NetworkFault::Value("directory_log"));
        }
        Ok(network)
    }

    /// The file of a network, of its parts.
    ///
    /// # Errors
    /// [`NetworkFault`]: they do not make one.
    pub fn file(
        network: &str,
        gateway: &str,
        (evidence, directory): (&VerifierKey, &VerifierKey),
        root: &CertificateDer<'_>,
    ) -> Result<String, NetworkFault> {
        let file = File {
            network: network.to_owned(),
            gateway: gateway.to_owned(),
            enrolment: None,
            evidence_log: evidence.to_string(),
            directory_log: directory.to_string(),
            root: pem(root),
        };
        let text = toml::to_string(&file).map_err(|error| NetworkFault::Form(error.to_string()))?;
        // What is written is what will be read.
        Self::parse(&text)?;
        Ok(text)
    }

    /// What a receipt of this network must rest on: the evidence log's own signature.
    ///
    /// # Errors
    /// [`NetworkFault::Value`] when the key is none of a log, which [`Self::parse`] refuses.
    pub fn policy(&self) -> Result<Policy, NetworkFault> {
        Policy::unwitnessed(self.evidence.clone()).map_err(|_| NetworkFault::Value("evidence_log"))
    }
}

fn address(url: &str) -> Option<(String, u16)> {
    let authority = url.strip_prefix("https://")?;
    let authority = authority.strip_suffix('/').unwrap_or(authority);
    let (host, port) = authority.rsplit_once(':')?;
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let is_host = !host.is_empty() && !host.contains(['/', '@', '?', '#', ' ']);
    let port = port.parse().ok().filter(|port| *port != 0)?;
    is_host.then(|| (host.to_owned(), port))
}

fn log(text: &str) -> Option<VerifierKey> {
    VerifierKey::parse(text).ok().filter(|key| key.key_type() == KeyType::Ed25519)
}

fn pem(certificate: &CertificateDer<'_>) -> String {
    let encoded = BASE64_STANDARD.encode(certificate);
    let mut lines = vec!["-----BEGIN CERTIFICATE-----".to_owned()];
    let mut rest = encoded.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        lines.push(line.to_owned());
        rest = more;
    }
    lines.push("-----END CERTIFICATE-----\n".to_owned());
    lines.join("\n")
}

fn root(pem: &str) -> Option<CertificateDer<'static>> {
    let mut all = CertificateDer::pem_slice_iter(pem.as_bytes());
    let first = all.next()?.ok()?;
    all.next().is_none().then_some(first)
}

#[cfg(test)]
pub(crate) mod tests {
    use proto::{key::SigningKey, log::note::KeyName};

    use super::*;

    fn vkey(name: &str, key_type: KeyType) -> String {
        let key = SigningKey::from_seed(&[7; 32]).public();
        VerifierKey::new(KeyName::parse(name, "name").unwrap(), key_type, key).to_string()
    }

    /// A root that nobody holds the key of.
    fn pem() -> String {
        let key = rcgen::KeyPair::generate().unwrap();
        rcgen::CertificateParams::default().self_signed(&key).unwrap().pem()
    }

    fn file(gateway: &str, evidence: &str, directory: &str, root: &str) -> String {
        format!(
            "network = \"referral.example\"\ngateway = \"{gateway}\"\nevidence_log = \"{evidence}\"\n\
             directory_log = \"{directory}\"\nroot = \"\"\"\n{root}\"\"\"\n"
        )
    }

    #[test]
    fn a_network_is_read_and_its_parts_are_checked() {
        let (evidence, directory) =
            (vkey("log.example/e", KeyType::Ed25519), vkey("log.example/d", KeyType::Ed25519));
        let root = pem();
        let good = file("https://gateway.example:7443", &evidence, &directory, &root);
        let network = Network::parse(&good).unwrap();
        assert_eq!((network.host.as_str(), network.port), ("gateway.example", 7443));
        assert!(network.policy().is_ok());
        let keys = (&network.evidence, &network.directory);
        let made = Network::file("referral.example", "https://gateway.example:7443", keys, &network.root);
        assert_eq!(Network::parse(&made.unwrap()).unwrap(), network);
        let quoted = "https://gateway.example:1\"\nroot = \"";
        assert!(Network::file("referral.example", quoted, keys, &network.root).is_err());
        let administrators =
            good.replace("evidence_log", "enrolment = \"gateway.example:7444\"\nevidence_log");
        assert_eq!(Network::parse(&administrators).unwrap(), network);
        let six = Network::parse(&file("https://[::1]:7443/", &evidence, &directory, &root)).unwrap();
        assert_eq!(six.host, "::1");
        let witness = vkey("log.example/e", KeyType::CosignatureV1);
        for (text, field) in [
            (file("http://gateway.example:7443", &evidence, &directory, &root), "gateway"),
            (file("https://gateway.example", &evidence, &directory, &root), "gateway"),
            (file("https://gateway.example:0", &evidence, &directory, &root), "gateway"),
            (file("https://a@gateway.example:1", &evidence, &directory, &root), "gateway"),
            (file("https://gateway.example:7443", "log", &directory, &root), "evidence_log"),
            (file("https://gateway.example:7443", &witness, &directory, &root), "evidence_log"),
            (file("https://gateway.example:7443", &evidence, &evidence, &root), "directory_log"),
            (file("https://gateway.example:7443", &evidence, &directory, ""), "root"),
            (file("https://gateway.example:7443", &evidence, &directory, &root.repeat(2)), "root"),
            (good.replace("referral.example", "referral"), "network"),
        ] {
            let fault = Network::parse(&text).unwrap_err();
            assert!(matches!(fault, NetworkFault::Value(at) if at == field), "{field}: {fault}");
        }
        assert!(matches!(Network::parse(&format!("{good}colour = 1")), Err(NetworkFault::Form(_))));
    }
}
