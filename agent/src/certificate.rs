//! Certificates: what this agency's must be before it is used, and whom one names. Not here: who
//! issues them, and the connection itself (`link`).

use std::ops::Range;

use proto::ids::{AgencyId, Code};
use rustls::pki_types::{CertificateDer, UnixTime, pem::PemObject as _};
use thiserror::Error;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};
use x509_parser::{extensions::GeneralName, prelude::*};

use crate::{keys::TlsKey, network::Network};

/// Most certificates of a chain.
pub const CHAIN_MAX: usize = 4;

/// Why a chain cannot be used. Each says what to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ChainFault {
    /// No PEM, or none of certificates.
    #[error("the file holds no certificates in PEM; ask the administrators for the chain again")]
    NotPem,
    /// Too many.
    #[error("the file holds more than {CHAIN_MAX} certificates; ask the administrators for the chain again")]
    TooLong,
    /// A certificate cannot be read.
    #[error("a certificate in the file cannot be read; ask the administrators for the chain again")]
    NotACertificate,
    /// It is for another key.
    #[error("the certificate is for another key; it was issued for another agent's request")]
    OtherKey,
    /// It does not lead to the network's root.
    #[error(
        "the certificate does not lead to this network's root, or is not valid now; check the clock, then ask for a new one"
    )]
    NotOfTheNetwork,
    /// It names somebody else.
    #[error("the certificate names another agency, node or network; ask for one that names this agent")]
    OtherName,
}

/// A chain that was checked: the agency's own certificate first, the root left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain(Vec<CertificateDer<'static>>);

impl Chain {
    /// Checks a chain in PEM: for our key, leading to the root, valid now, naming us.
    ///
    /// # Errors
    /// [`ChainFault`].
    pub fn parse(
        pem: &[u8],
        network: &Network,
        (agency, node): (&AgencyId, &Code),
        key: &TlsKey,
        now: UnixTime,
    ) -> Result<Self, ChainFault> {
        let mut all = Vec::new();
        for found in CertificateDer::pem_slice_iter(pem) {
            if all.len() == CHAIN_MAX {
                return Err(ChainFault::TooLong);
            }
            all.push(found.map_err(|_| ChainFault::NotPem)?);
        }
        // The root is trusted because it stands in network.toml, wherever else it stands.
        all.retain(|certificate| *certificate != network.root);
        let (leaf, intermediates) = all.split_first().ok_or(ChainFault::NotPem)?;
        if !is_for(leaf, key)? {
            return Err(ChainFault::OtherKey);
        }
        verify(leaf, intermediates, network, now)?;
        let name = format!("spiffe://{}/agency/{agency}/{node}", network.name);
        if uri(leaf)? == name { Ok(Self(all)) } else { Err(ChainFault::OtherName) }
    }

    /// The certificates, to be shown to the gateway.
    #[must_use]
    pub fn certificates(&self) -> &[CertificateDer<'static>] {
        &self.0
    }

    /// When it ends: Unix seconds.
    ///
    /// # Errors
    /// [`ChainFault::NotACertificate`].
    pub fn ends_at_unix_s(&self) -> Result<u64, ChainFault> {
        self.lasts_unix_s().map(|lasts| lasts.end)
    }

    /// From when to when it lasts: Unix seconds.
    ///
    /// # Errors
    /// [`ChainFault::NotACertificate`].
    pub fn lasts_unix_s(&self) -> Result<Range<u64>, ChainFault> {
        let leaf = self.0.first().ok_or(ChainFault::NotPem)?;
        let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| ChainFault::NotACertificate)?;
        let seconds = |at: ASN1Time| u64::try_from(at.timestamp()).unwrap_or(0);
        Ok(seconds(parsed.validity().not_before)..seconds(parsed.validity().not_after))
    }
}

fn is_for(leaf: &CertificateDer<'_>, key: &TlsKey) -> Result<bool, ChainFault> {
    let (_, parsed) = X509Certificate::from_der(leaf).map_err(|_| ChainFault::NotACertificate)?;
    let ours = key.pair().map_err(|_| ChainFault::OtherKey)?;
    let ours = rcgen::PublicKeyData::subject_public_key_info(&ours);
    Ok(parsed.tbs_certificate.subject_pki.raw == ours)
}

fn verify(
    leaf: &CertificateDer<'_>,
    intermediates: &[CertificateDer<'_>],
    network: &Network,
    now: UnixTime,
) -> Result<(), ChainFault> {
    let not_ours = |_| ChainFault::NotOfTheNetwork;
    let anchor = anchor_from_trusted_cert(&network.root).map_err(not_ours)?;
    let leaf = EndEntityCert::try_from(leaf).map_err(not_ours)?;
    leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &[anchor],
        intermediates,
        now,
        KeyUsage::client_auth(),
        None,
        None,
    )
    .map_err(not_ours)?;
    Ok(())
}

/// The one URI of a certificate.
///
/// # Errors
/// [`ChainFault::NotACertificate`], or [`ChainFault::OtherName`] when it has none or several.
pub fn uri(certificate: &CertificateDer<'_>) -> Result<String, ChainFault> {
    let (_, parsed) = X509Certificate::from_der(certificate).map_err(|_| ChainFault::NotACertificate)?;
    let names = parsed.subject_alternative_name().map_err(|_| ChainFault::NotACertificate)?;
    let names = names.map(|extension| extension.value.general_names.as_slice()).unwrap_or_default();
    let mut uris =
        names.iter().filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None });
    match (uris.next(), uris.next()) {
        (Some(uri), None) => Ok(uri.to_owned()),
        _ => Err(ChainFault::OtherName),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use proto::{
        key::SigningKey,
        log::note::{KeyName, KeyType, VerifierKey},
    };
    use rcgen::{
        BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, SanType,
    };

    use super::*;
    use crate::{folder::Folder, keys::Keys};

    pub(crate) struct Authority {
        params: CertificateParams,
        key: KeyPair,
        network: Network,
    }

    pub(crate) fn authority() -> Authority {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let root = params.self_signed(&key).unwrap().der().clone();
        let vkey = |name| {
            let name = KeyName::parse(name, "name").unwrap();
            VerifierKey::new(name, KeyType::Ed25519, SigningKey::from_seed(&[7; 32]).public())
        };
        let network = Network {
            name: AgencyId::parse("referral.example", "network").unwrap(),
            host: "gateway.example".into(),
            port: 7443,
            evidence: vkey("e"),
            directory: vkey("d"),
            root,
        };
        Authority { params, key, network }
    }

    impl Authority {
        pub(crate) const fn network(&self) -> &Network {
            &self.network
        }

        /// A client's, for so many days from now.
        pub(crate) fn issue_for(&self, subject: &KeyPair, uri: &str, days: u64) -> String {
            let mut params = CertificateParams::default();
            params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
            params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
            let now = std::time::SystemTime::now();
            params.not_before = (now - Duration::from_secs(60)).into();
            params.not_after = (now + Duration::from_secs(days * 86_400)).into();
            let issuer = Issuer::from_params(&self.params, &self.key);
            params.signed_by(subject, &issuer).unwrap().pem()
        }

        fn issue(
            &self,
            subject: &KeyPair,
            uris: &[&str],
            usage: ExtendedKeyUsagePurpose,
            days: i64,
        ) -> String {
            let mut params = CertificateParams::default();
            let san = |uri: &&str| SanType::URI((*uri).try_into().unwrap());
            params.subject_alt_names = uris.iter().map(san).collect();
            params.extended_key_usages = vec![usage];
            let now = std::time::SystemTime::now();
            let day = Duration::from_secs(86_400);
            params.not_before = (now - day * 10).into();
            params.not_after = if days < 0 { now - day } else { now + day }.into();
            let issuer = Issuer::from_params(&self.params, &self.key);
            params.signed_by(subject, &issuer).unwrap().pem()
        }
    }

    #[test]
    fn only_our_own_certificate_of_this_network_is_taken() {
        use ExtendedKeyUsagePurpose::{ClientAuth, ServerAuth};
        let place = tempfile::tempdir().unwrap();
        let keys = Keys::create(&Folder::create(&place.path().join("agent")).unwrap()).unwrap();
        let (ours, other) = (keys.tls.pair().unwrap(), KeyPair::generate().unwrap());
        let (authority, stranger) = (authority(), authority());
        let agency = AgencyId::parse("ae.dfwac", "agency").unwrap();
        let node = Code::parse("main", "node").unwrap();
        let me = "spiffe://referral.example/agency/ae.dfwac/main";
        let parse = |pem: &str| {
            let chain = Chain::parse(
                pem.as_bytes(),
                &authority.network,
                (&agency, &node),
                &keys.tls,
                UnixTime::now(),
            );
            chain.map(|_| ())
        };
        let good = authority.issue(&ours, &[me], ClientAuth, 1);
        let root = authority.params.self_signed(&authority.key).unwrap().pem();
        assert_eq!(parse(&good), Ok(()));
        let chain = Chain::parse(
            format!("{good}{root}").as_bytes(),
            &authority.network,
            (&agency, &node),
            &keys.tls,
            UnixTime::now(),
        );
        assert!(chain.unwrap().ends_at_unix_s().unwrap() > UnixTime::now().as_secs());
        let node_other = "spiffe://referral.example/agency/ae.dfwac/spare";
        let elsewhere = "spiffe://other.example/agency/ae.dfwac/main";
        for (case, pem, fault) in [
            ("another key", authority.issue(&other, &[me], ClientAuth, 1), ChainFault::OtherKey),
            ("another authority", stranger.issue(&ours, &[me], ClientAuth, 1), ChainFault::NotOfTheNetwork),
            ("ended", authority.issue(&ours, &[me], ClientAuth, -1), ChainFault::NotOfTheNetwork),
            ("a server's", authority.issue(&ours, &[me], ServerAuth, 1), ChainFault::NotOfTheNetwork),
            ("another node", authority.issue(&ours, &[node_other], ClientAuth, 1), ChainFault::OtherName),
            ("another network", authority.issue(&ours, &[elsewhere], ClientAuth, 1), ChainFault::OtherName),
            ("two names", authority.issue(&ours, &[me, elsewhere], ClientAuth, 1), ChainFault::OtherName),
            ("no name", authority.issue(&ours, &[], ClientAuth, 1), ChainFault::OtherName),
            ("nothing", String::new(), ChainFault::NotPem),
            ("too long", good.repeat(CHAIN_MAX + 1), ChainFault::TooLong),
        ] {
            assert_eq!(parse(&pem), Err(fault), "{case}");
        }
    }
}
