//! A verified certificate chain, read: the caller that it proves, how long, and what would revoke it.
//! Not here: verifying it (`tls`).

use std::sync::Arc;

use proto::{
    caller::{Caller, StaffRole},
    digest::Digest,
    ids::{AgencyId, Code, Pseudonym, TimeMs},
};
use rustls_pki_types::CertificateDer;
use thiserror::Error;
use x509_parser::{extensions::GeneralName, prelude::FromDer as _};

use super::allowance::Allowance;

/// Who is on a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// What the certificate proves.
    pub caller: Caller,
    /// When the first certificate of the chain runs out.
    pub not_after: TimeMs,
    /// Every certificate of the chain by its issuer and serial number, as CRLs name them.
    pub serials: Vec<Serial>,
    /// What the connection may say beside messages.
    pub allowance: Arc<Allowance>,
}

/// A certificate as a CRL names it: the issuer's name and the serial number, both as encoded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Serial {
    /// The issuer's distinguished name, DER.
    pub issuer: Vec<u8>,
    /// Big-endian, without leading zeros.
    pub number: Vec<u8>,
}

impl Serial {
    /// From the encoded forms.
    #[must_use]
    pub fn new(issuer: &[u8], number: &[u8]) -> Self {
        let zeros = number.iter().take_while(|byte| **byte == 0).count();
        Self { issuer: issuer.to_vec(), number: number.get(zeros..).unwrap_or_default().to_vec() }
    }
}

/// Why a verified chain is nobody's here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotAPeer {
    /// No chain, or one that cannot be read.
    #[error("the certificate chain cannot be read")]
    Unreadable,
    /// Not exactly one URI among the alternative names.
    #[error("the certificate must hold exactly one URI name")]
    NotOneUri,
    /// The URI is of another network.
    #[error("the certificate is of another network")]
    OtherNetwork,
    /// The URI names no agency's node and no member of staff.
    #[error("the certificate's URI names neither an agency's node nor a member of staff")]
    NotAName,
}

impl Peer {
    /// Reads a chain that the TLS verifier has accepted, leaf first.
    ///
    /// # Errors
    /// [`NotAPeer`].
    pub fn of_verified_chain(network: &AgencyId, chain: &[CertificateDer<'_>]) -> Result<Self, NotAPeer> {
        let leaf = chain.first().ok_or(NotAPeer::Unreadable)?;
        let mut serials = Vec::with_capacity(chain.len());
        let mut not_after = TimeMs(u64::MAX);
        for certificate in chain {
            let (_, read) = x509_parser::certificate::X509Certificate::from_der(certificate)
                .map_err(|_| NotAPeer::Unreadable)?;
            serials.push(Serial::new(read.issuer().as_raw(), read.raw_serial()));
            let seconds = u64::try_from(read.validity().not_after.timestamp()).unwrap_or(0);
            not_after = not_after.min(TimeMs(seconds.saturating_mul(1000)));
        }
        let (_, read) =
            x509_parser::certificate::X509Certificate::from_der(leaf).map_err(|_| NotAPeer::Unreadable)?;
        let uri = only_uri(&read)?;
        let caller = caller(network, uri, Digest::of(leaf))?;
        Ok(Self { caller, not_after, serials, allowance: Arc::default() })
    }

    /// Whose share of the gateway it uses: all machines of an agency together. Agencies and staff may
    /// bear the same name.
    #[must_use]
    pub fn name(&self) -> String {
        match &self.caller {
            Caller::Agency { agency, .. } => format!("agency/{agency}"),
            Caller::Staff { pseudonym, .. } => format!("staff/{pseudonym}"),
            // Neither comes with a certificate.
            Caller::Invited { .. } | Caller::Gateway => String::new(),
        }
    }
}

fn only_uri<'a>(certificate: &'a x509_parser::certificate::X509Certificate<'_>) -> Result<&'a str, NotAPeer> {
    let names = certificate.subject_alternative_name().map_err(|_| NotAPeer::Unreadable)?;
    let names = names.map_or(&[][..], |names| &names.value.general_names);
    let mut uris =
        names.iter().filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None });
    match (uris.next(), uris.next()) {
        (Some(uri), None) => Ok(uri),
        (_, _) => Err(NotAPeer::NotOneUri),
    }
}

fn caller(network: &AgencyId, uri: &str, certificate: Digest) -> Result<Caller, NotAPeer> {
    let rest = uri.strip_prefix("spiffe://").ok_or(NotAPeer::NotAName)?;
    let (domain, path) = rest.split_once('/').ok_or(NotAPeer::NotAName)?;
    if domain != network.as_str() {
        return Err(NotAPeer::OtherNetwork);
    }
    let segments: Vec<_> = path.split('/').collect();
    let name = |_| NotAPeer::NotAName;
    match segments.as_slice() {
        ["agency", agency, node] => Ok(Caller::Agency {
            agency: AgencyId::parse(agency, "agency").map_err(name)?,
            node: Code::parse(node, "node").map_err(name)?,
            certificate,
        }),
        ["staff", role, pseudonym] => {
            let role = match *role {
                "administrator" => StaffRole::Administrator,
                "operator" => StaffRole::Operator,
                "auditor" => StaffRole::Auditor,
                _ => return Err(NotAPeer::NotAName),
            };
            let pseudonym = Pseudonym::parse(pseudonym, "pseudonym").map_err(name)?;
            Ok(Caller::Staff { pseudonym, role, certificate })
        }
        _ => Err(NotAPeer::NotAName),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_are_callers_and_names_that_are_not() {
        let network = AgencyId::parse("referral.example", "network").unwrap();
        let read = |uri| caller(&network, uri, Digest::default()).map(|caller| caller.name().to_owned());
        let table: [(&str, Result<&str, NotAPeer>); 12] = [
            ("spiffe://referral.example/agency/ae.dfwac/node-1", Ok("ae.dfwac")),
            ("spiffe://referral.example/staff/operator/op-1", Ok("op-1")),
            ("spiffe://referral.example/gateway", Err(NotAPeer::NotAName)),
            ("spiffe://other.example/agency/ae.dfwac/node-1", Err(NotAPeer::OtherNetwork)),
            ("spiffe://referral.example.evil/agency/ae.dfwac/node-1", Err(NotAPeer::OtherNetwork)),
            ("spiffe://referral.example/agency/ae.dfwac", Err(NotAPeer::NotAName)),
            ("spiffe://referral.example/agency/ae.dfwac/node-1/", Err(NotAPeer::NotAName)),
            ("spiffe://referral.example/agency/AE.dfwac/node-1", Err(NotAPeer::NotAName)),
            ("spiffe://referral.example/agency//node-1", Err(NotAPeer::NotAName)),
            ("spiffe://referral.example/staff/root/op-1", Err(NotAPeer::NotAName)),
            ("https://referral.example/agency/ae.dfwac/node-1", Err(NotAPeer::NotAName)),
            ("", Err(NotAPeer::NotAName)),
        ];
        for (uri, expected) in table {
            assert_eq!(read(uri), expected.map(str::to_owned), "{uri}");
        }
    }
}
