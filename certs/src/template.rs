//! What stands in each kind of certificate: root, issuing, gateway's, client's. Not here: signing.
//!
//! Subjects are for people; nothing reads an identity from them. A common name never looks like a host's
//! name, since OpenSSL holds such a one against the name constraints.

use rcgen::{
    BasicConstraints, CertificateParams, CidrSubnet, DistinguishedName, DnType, ExtendedKeyUsagePurpose,
    GeneralSubtree, IsCa, KeyUsagePurpose, NameConstraints, SanType, SerialNumber, string::Ia5String,
};

use crate::{
    error::Fault,
    identity::Identity,
    name::Network,
    permitted::{GatewayName, GatewayNames, Permitted, PermittedName},
    serial::Serial,
    unix_time::UnixTime,
};

/// The common name of a root.
pub(crate) const ROOT_NAME: &str = "root";
/// The common name of an issuing certificate, before its number. Each has its own, since verifiers find
/// the revocation list by the issuer's name.
pub(crate) const ISSUING_NAME: &str = "issuing ";

/// From when till when.
#[derive(Clone, Copy)]
pub(crate) struct Validity {
    pub(crate) from: UnixTime,
    pub(crate) until: UnixTime,
}

/// The subject and extensions of a request: none.
pub(crate) fn nobody() -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params
}

pub(crate) fn root(network: &Network, serial: &Serial, validity: Validity) -> CertificateParams {
    let mut params = authority(network, ROOT_NAME.to_owned(), serial, validity);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(1));
    params
}

/// An issuing certificate. It permits hosts' names and addresses. It does not constrain URIs, though it
/// would be right: rustls-webpki 0.103 then refuses every certificate that has one.
pub(crate) fn issuing(
    network: &Network,
    number: u32,
    permitted: &Permitted,
    serial: &Serial,
    validity: Validity,
) -> CertificateParams {
    let mut params = authority(network, format!("{ISSUING_NAME}{number}"), serial, validity);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.extended_key_usages =
        vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
    params.use_authority_key_identifier_extension = true;
    params.name_constraints = Some(NameConstraints {
        permitted_subtrees: permitted.as_slice().iter().map(subtree).collect(),
        excluded_subtrees: permitted.excluded().iter().map(subtree).collect(),
    });
    params
}

fn authority(network: &Network, name: String, serial: &Serial, validity: Validity) -> CertificateParams {
    let mut params = dated(serial, validity);
    params.distinguished_name.push(DnType::OrganizationName, network.as_str());
    params.distinguished_name.push(DnType::CommonName, name);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

/// A gateway's certificate.
pub(crate) fn gateway(
    network: &Network,
    names: &GatewayNames,
    serial: &Serial,
    validity: Validity,
) -> Result<CertificateParams, Fault> {
    let mut params = leaf(network, &Identity::Gateway, serial, validity)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    for name in names.as_slice() {
        params.subject_alt_names.push(match name {
            GatewayName::Dns(host) => SanType::DnsName(ia5(host)?),
            GatewayName::Ip(ip) => SanType::IpAddress(*ip),
        });
    }
    Ok(params)
}

/// The certificate of an agent or a member of staff.
pub(crate) fn client(
    network: &Network,
    identity: &Identity,
    serial: &Serial,
    validity: Validity,
) -> Result<CertificateParams, Fault> {
    let mut params = leaf(network, identity, serial, validity)?;
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    Ok(params)
}

fn leaf(
    network: &Network,
    identity: &Identity,
    serial: &Serial,
    validity: Validity,
) -> Result<CertificateParams, Fault> {
    let mut params = dated(serial, validity);
    let subject = &mut params.distinguished_name;
    subject.push(DnType::OrganizationName, network.as_str());
    match identity {
        Identity::Gateway => subject.push(DnType::CommonName, "gateway"),
        Identity::Agency { agency, node } => {
            subject.push(DnType::OrganizationalUnitName, agency.as_str());
            subject.push(DnType::CommonName, node.as_str());
        }
        Identity::Staff { role, pseudonym } => {
            subject.push(DnType::OrganizationalUnitName, role.as_str());
            subject.push(DnType::CommonName, pseudonym.as_str());
        }
    }
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.use_authority_key_identifier_extension = true;
    params.subject_alt_names = vec![SanType::URI(ia5(&identity.uri(network))?)];
    Ok(params)
}

fn dated(serial: &Serial, validity: Validity) -> CertificateParams {
    let mut params = nobody();
    params.serial_number = Some(SerialNumber::from_slice(serial.as_bytes()));
    params.not_before = validity.from.calendar();
    params.not_after = validity.until.calendar();
    params
}

/// Every name that gets here was parsed and is ASCII.
fn ia5(text: &str) -> Result<Ia5String, Fault> {
    Ia5String::try_from(text).map_err(|_| Fault::Signing)
}

fn subtree(name: &PermittedName) -> GeneralSubtree {
    match name {
        PermittedName::Domain(domain) => GeneralSubtree::DnsName(domain.to_string()),
        PermittedName::Range { first, prefix_bits } => {
            GeneralSubtree::IpAddress(CidrSubnet::from_addr_prefix(*first, *prefix_bits))
        }
    }
}
