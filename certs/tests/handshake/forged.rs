//! Certificates that the authority would not make, made with keys that were stolen or never certified.

use std::path::Path;

use certs::{Credential, UnixTime};
use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, CustomExtension,
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::{
    CertificateDer, CertificateRevocationListDer, PrivateKeyDer, PrivatePkcs8KeyDer, pem::PemObject as _,
};

use crate::link::{Bearer, Side};

fn bearer(chain: Vec<CertificateDer<'static>>, key: &KeyPair) -> Bearer {
    Bearer { chain, key: pki(key) }
}

fn pki(key: &KeyPair) -> PrivateKeyDer<'static> {
    PrivatePkcs8KeyDer::from(key.serialize_der()).into()
}

/// The key and certificate of an issuing folder, as a thief reads them.
fn stolen(folder: &Path) -> (Issuer<'static, KeyPair>, CertificateDer<'static>) {
    let key = PrivatePkcs8KeyDer::from_pem_file(folder.join("key.pem")).unwrap();
    let key = KeyPair::try_from(&key).unwrap();
    let certificate = CertificateDer::from_pem_file(folder.join("certificate.pem")).unwrap();
    (Issuer::from_ca_cert_der(&certificate, key).unwrap(), certificate)
}

fn leaf(uri: &str, usage: ExtendedKeyUsagePurpose, now: UnixTime) -> CertificateParams {
    let mut params = dated(now);
    params.subject_alt_names = vec![SanType::URI(uri.try_into().unwrap())];
    params.extended_key_usages = vec![usage];
    params
}

fn dated(now: UnixTime) -> CertificateParams {
    let mut params = CertificateParams::default();
    let seconds = i64::try_from(now.seconds()).unwrap();
    params.not_before = time::OffsetDateTime::from_unix_timestamp(seconds - 300).unwrap();
    params.not_after = time::OffsetDateTime::from_unix_timestamp(seconds + 86_400).unwrap();
    params
}

pub(crate) fn gateway(issuing: &Path, name: &str, uri: &str, now: UnixTime) -> Bearer {
    let (issuer, certificate) = stolen(issuing);
    let mut params = leaf(uri, ExtendedKeyUsagePurpose::ServerAuth, now);
    params.subject_alt_names.push(match name.parse() {
        Ok(ip) => SanType::IpAddress(ip),
        Err(_) => SanType::DnsName(name.try_into().unwrap()),
    });
    let key = KeyPair::generate().unwrap();
    bearer(vec![params.signed_by(&key, &issuer).unwrap().into(), certificate], &key)
}

pub(crate) fn client(issuing: &Path, uri: &str, now: UnixTime) -> Bearer {
    let (issuer, certificate) = stolen(issuing);
    let key = KeyPair::generate().unwrap();
    let params = leaf(uri, ExtendedKeyUsagePurpose::ClientAuth, now);
    bearer(vec![params.signed_by(&key, &issuer).unwrap().into(), certificate], &key)
}

/// Signed by an agent's own certificate, as if that were an issuer's.
pub(crate) fn issued_by(agent: &Credential, uri: &str, now: UnixTime) -> Bearer {
    let key = KeyPair::try_from(agent.key().secret_der()).unwrap();
    let mut chain = agent.chain();
    let issuer = Issuer::from_ca_cert_der(&chain[0], key).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = leaf(uri, ExtendedKeyUsagePurpose::ClientAuth, now);
    chain.insert(0, params.signed_by(&key, &issuer).unwrap().into());
    bearer(chain, &key)
}

/// Under a second issuing certificate that the first one made.
pub(crate) fn second_issuing(issuing: &Path, now: UnixTime) -> Bearer {
    let (issuer, certificate) = stolen(issuing);
    let mut params = dated(now);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let middle_key = KeyPair::generate().unwrap();
    let middle = params.signed_by(&middle_key, &issuer).unwrap();
    let middle_issuer = Issuer::from_ca_cert_der(middle.der(), middle_key).unwrap();
    let key = KeyPair::generate().unwrap();
    let uri = "spiffe://sandbox.example/agency/ae.dfwac/main";
    let params = leaf(uri, ExtendedKeyUsagePurpose::ClientAuth, now);
    let leaf = params.signed_by(&key, &middle_issuer).unwrap();
    bearer(vec![leaf.into(), middle.into(), certificate], &key)
}

/// Requests for kinds of keys that we do not make, with names that must be ignored; and the keys.
pub(crate) fn other_kinds_of_keys() -> Vec<(Vec<u8>, PrivateKeyDer<'static>)> {
    let mut keys = vec![
        KeyPair::generate_for(&rcgen::PKCS_ECDSA_P384_SHA384).unwrap(),
        KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap(),
    ];
    keys.push(KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap());
    let mut params = CertificateParams::new(vec!["evil.example".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.subject_alt_names.push(SanType::URI("spiffe://sandbox.example/gateway".try_into().unwrap()));
    let request = |key: &KeyPair| params.serialize_request(key).unwrap().der().to_vec();
    keys.iter().map(|key| (request(key), pki(key))).collect()
}

/// A whole network whose issuing certificate permits URIs of one host: gateway and client.
pub(crate) fn constrained_uris(host: &str, now: UnixTime) -> (Side, Side) {
    let (root_key, middle_key) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let root_params = authority("root", now);
    let root = root_params.self_signed(&root_key).unwrap();
    let root_issuer = Issuer::new(root_params, root_key);
    let mut params = authority("issuing", now);
    params.custom_extensions = vec![permitted_uri(host)];
    let middle = params.signed_by(&middle_key, &root_issuer).unwrap();
    let middle_issuer = Issuer::new(params, middle_key);
    let crls = vec![list(&root_issuer, now), list(&middle_issuer, now)];
    let uri = format!("spiffe://{host}/gateway");
    let side = |usage, name: Option<&str>| {
        let mut params = leaf(&uri, usage, now);
        params.subject_alt_names.extend(name.map(|name| SanType::DnsName(name.try_into().unwrap())));
        let key = KeyPair::generate().unwrap();
        let leaf = params.signed_by(&key, &middle_issuer).unwrap();
        let bearer = bearer(vec![leaf.into(), middle.der().clone()], &key);
        Side { bearer, anchor: root.der().clone(), crls: crls.clone() }
    };
    (
        side(ExtendedKeyUsagePurpose::ServerAuth, Some("localhost")),
        side(ExtendedKeyUsagePurpose::ClientAuth, None),
    )
}

fn authority(name: &str, now: UnixTime) -> CertificateParams {
    let mut params = dated(now);
    params.distinguished_name.push(rcgen::DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    params
}

fn list(issuer: &Issuer<'_, KeyPair>, now: UnixTime) -> CertificateRevocationListDer<'static> {
    let dates = dated(now);
    let params = CertificateRevocationListParams {
        this_update: dates.not_before,
        next_update: dates.not_after,
        crl_number: 1.into(),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(issuer).unwrap().into()
}

/// `NameConstraints { permittedSubtrees { base: uniformResourceIdentifier host } }`, which rcgen does
/// not write. Short lengths only.
fn permitted_uri(host: &str) -> CustomExtension {
    let tagged = |tag: u8, content: &[u8]| {
        let length = u8::try_from(content.len()).ok().filter(|length| *length < 0x80).unwrap();
        [&[tag, length], content].concat()
    };
    let subtree = tagged(0x30, &tagged(0x86, host.as_bytes()));
    let content = tagged(0x30, &tagged(0xa0, &subtree));
    let mut extension = CustomExtension::from_oid_content(&[2, 5, 29, 30], content);
    extension.set_criticality(true);
    extension
}
