//! A certificate as it is read. Not here: whether to trust it, which is rustls's work, and what it
//! allows.

use std::path::Path;

use rustls_pki_types::{CertificateDer, pem::SectionKind};
use x509_parser::{
    certificate::X509Certificate,
    extensions::{GeneralName, ParsedExtension},
    prelude::FromDer as _,
    time::ASN1Time,
    x509::X509Name,
};

use crate::{
    error::{Error, Malformed, Refusal},
    folder::{self, to_u64},
    identity::Identity,
    name::Network,
    permitted::{GatewayName, PermittedName, address_of},
    serial::{Fingerprint, Serial},
    text,
    unix_time::UnixTime,
};

/// Longest certificate that is read, in bytes.
pub const CERTIFICATE_BYTES_MAX: usize = 16 * 1024;

/// A certificate that was read, not verified.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Certificate {
    der: CertificateDer<'static>,
    /// Its serial number.
    pub serial: Serial,
    /// The SHA-256 of its DER.
    pub fingerprint: Fingerprint,
    /// The SHA-256 of its public key's DER (`SubjectPublicKeyInfo`).
    pub key_digest: Fingerprint,
    /// Its subject, for people.
    pub subject: String,
    /// Its issuer's subject, for people.
    pub issuer: String,
    /// Its first moment.
    pub not_before: UnixTime,
    /// Its last moment.
    pub not_after: UnixTime,
    /// The URIs among its names.
    pub uris: Vec<String>,
    /// The hosts and addresses among its names.
    pub gateway_names: Vec<GatewayName>,
    /// Whether it may be used by a TLS server.
    pub server: bool,
    /// Whether it may be used by a TLS client.
    pub client: bool,
    /// Whether it may sign certificates.
    pub authority: bool,
    /// How many authorities may follow it.
    pub path_length: Option<u32>,
    /// What it constrains.
    pub constraints: Option<Constraints>,
    issuing_number: Option<u32>,
    organization: Option<String>,
}

/// The name constraints of a certificate (RFC 5280, section 4.2.1.10).
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Constraints {
    /// Whether a verifier that does not know them must refuse.
    pub critical: bool,
    /// What is permitted.
    pub permitted: Vec<PermittedName>,
    /// What is excluded.
    pub excluded: Vec<PermittedName>,
    /// How many constraints are of a kind that is never made here.
    pub others: usize,
}

impl Certificate {
    /// Reads DER.
    ///
    /// # Errors
    /// [`Malformed::TooLarge`], [`Malformed::Certificate`].
    pub fn from_der(der: &[u8]) -> Result<Self, Malformed> {
        if der.len() > CERTIFICATE_BYTES_MAX {
            let (bytes, limit_bytes) = (to_u64(der.len()), to_u64(CERTIFICATE_BYTES_MAX));
            return Err(Malformed::TooLarge { bytes, limit_bytes });
        }
        match X509Certificate::from_der(der) {
            Ok(([], parsed)) => read(der, &parsed).ok_or(Malformed::Certificate),
            Ok(_) | Err(_) => Err(Malformed::Certificate),
        }
    }

    /// Reads DER, or PEM of one certificate or a chain, the certificate itself first.
    ///
    /// # Errors
    /// As [`Self::from_der`].
    pub fn read_chain(bytes: &[u8]) -> Result<Vec<Self>, Malformed> {
        if text::is_der(bytes) {
            return Ok(vec![Self::from_der(bytes)?]);
        }
        let sections = text::read_pem(bytes, SectionKind::Certificate, &Malformed::Certificate)?;
        sections.iter().map(|der| Self::from_der(der)).collect()
    }

    /// Who it is for: its one URI, which must be an id of this network.
    ///
    /// # Errors
    /// [`Refusal::NotOneIdentity`], and as [`Identity::parse`].
    pub fn identity(&self, network: &Network) -> Result<Identity, Error> {
        match self.uris.as_slice() {
            [uri] => Identity::parse(uri, network),
            _ => Err(Refusal::NotOneIdentity.into()),
        }
    }

    /// The certificate's bytes.
    #[must_use]
    pub const fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The certificate as PEM.
    #[must_use]
    pub fn to_pem(&self) -> String {
        text::write_pem("CERTIFICATE", &self.der)
    }

    /// Writes the PEM, whole or not at all, over what was there.
    ///
    /// # Errors
    /// [`crate::Fault::Io`].
    pub fn save(&self, path: &Path) -> Result<(), Error> {
        folder::replace_public(path, self.to_pem().as_bytes())
    }

    /// Whether this moment is in its lifetime.
    #[must_use]
    pub fn is_in_force(&self, now: UnixTime) -> bool {
        self.not_before <= now && now <= self.not_after
    }

    /// The number of an issuing certificate, from its subject.
    pub(crate) const fn issuing_number(&self) -> Option<u32> {
        self.issuing_number
    }

    /// The network that an authority's certificate says it is of.
    pub(crate) fn network(&self) -> Option<Network> {
        self.organization.as_ref().and_then(|name| name.parse().ok())
    }

    /// Whether it is signed by this one's key.
    pub(crate) fn is_signed_by(&self, issuer: &Self) -> bool {
        let parsed = X509Certificate::from_der(&self.der).ok();
        let issuer = X509Certificate::from_der(&issuer.der).ok();
        parsed.zip(issuer).is_some_and(|((_, own), (_, issuer))| {
            own.issuer().as_raw() == issuer.subject().as_raw()
                && own.verify_signature(Some(issuer.public_key())).is_ok()
        })
    }
}

fn read(der: &[u8], parsed: &X509Certificate<'_>) -> Option<Certificate> {
    let names = parsed.subject_alternative_name().ok()?;
    let names = names.map(|names| names.value.general_names.as_slice()).unwrap_or_default();
    let usage = parsed.extended_key_usage().ok()?;
    let basic = parsed.basic_constraints().ok()?;
    let common_name = text_of(parsed.subject().iter_common_name().next());
    Some(Certificate {
        der: CertificateDer::from(der.to_vec()),
        serial: Serial::from_bytes(parsed.raw_serial()).ok()?,
        fingerprint: Fingerprint::of(der),
        key_digest: Fingerprint::of(parsed.public_key().raw),
        subject: name_of(parsed.subject()),
        issuer: name_of(parsed.issuer()),
        not_before: moment(parsed.validity().not_before)?,
        not_after: moment(parsed.validity().not_after)?,
        uris: names.iter().filter_map(uri).collect(),
        gateway_names: names.iter().filter_map(gateway_name).collect(),
        server: usage.as_ref().is_some_and(|usage| usage.value.server_auth || usage.value.any),
        client: usage.as_ref().is_some_and(|usage| usage.value.client_auth || usage.value.any),
        authority: basic.as_ref().is_some_and(|basic| basic.value.ca),
        path_length: basic.as_ref().and_then(|basic| basic.value.path_len_constraint),
        constraints: constraints(parsed),
        issuing_number: common_name
            .as_deref()
            .and_then(|name| name.strip_prefix(crate::template::ISSUING_NAME))
            .and_then(|number| number.parse().ok()),
        organization: text_of(parsed.subject().iter_organization().next()),
    })
}

pub(crate) fn moment(time: ASN1Time) -> Option<UnixTime> {
    UnixTime::from_signed(time.timestamp())
}

/// As people read it. What a stranger's certificate says is printed without its control characters.
pub(crate) fn name_of(name: &X509Name<'_>) -> String {
    name.to_string().chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}

fn text_of(value: Option<&x509_parser::x509::AttributeTypeAndValue<'_>>) -> Option<String> {
    value.and_then(|value| value.as_str().ok()).map(str::to_owned)
}

fn uri(name: &GeneralName<'_>) -> Option<String> {
    if let GeneralName::URI(uri) = name { Some((*uri).to_owned()) } else { None }
}

fn gateway_name(name: &GeneralName<'_>) -> Option<GatewayName> {
    if let GeneralName::DNSName(host) = name {
        return Some(GatewayName::Dns((*host).into()));
    }
    if let GeneralName::IPAddress(bytes) = name { address_of(bytes).map(GatewayName::Ip) } else { None }
}

fn constraints(parsed: &X509Certificate<'_>) -> Option<Constraints> {
    parsed.extensions().iter().find_map(|extension| {
        let ParsedExtension::NameConstraints(found) = extension.parsed_extension() else {
            return None;
        };
        let mut constraints = Constraints { critical: extension.critical, ..Constraints::default() };
        let Constraints { permitted, excluded, others, .. } = &mut constraints;
        for (subtrees, kept) in [(&found.permitted_subtrees, permitted), (&found.excluded_subtrees, excluded)]
        {
            for subtree in subtrees.iter().flatten() {
                match permitted_name(&subtree.base) {
                    Some(name) => kept.push(name),
                    None => *others += 1,
                }
            }
        }
        Some(constraints)
    })
}

fn permitted_name(name: &GeneralName<'_>) -> Option<PermittedName> {
    if let GeneralName::DNSName(domain) = name {
        return Some(PermittedName::Domain((*domain).into()));
    }
    if let GeneralName::IPAddress(bytes) = name { PermittedName::from_address_and_mask(bytes) } else { None }
}
