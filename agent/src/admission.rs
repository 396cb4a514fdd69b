//! `admission.json`: what a new agency gives to the network's administrators, who add their
//! signatures, log it and issue the certificate. Not here: the keys themselves, which never leave.

use prost::Message as _;
use proto::{
    digest::Digest,
    directory::invitation::InvitedTo,
    dsse::{self, PayloadType},
    ids::{AgencyId, Code, EnvelopeId, TimeMs},
    invitation::Invitation,
    key::{PublicKey, SigningKey},
    wire::{self, directory_change::Change},
};
use rcgen::{CertificateParams, DnType};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::{
    keys::{Keys, KeysFault},
    randomness,
    signed_file::SignedFile,
};

/// The version of the file.
pub const VERSION: u32 = 1;

/// What an agency says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Applicant {
    /// The network that it wants to join.
    pub network: AgencyId,
    /// Its id.
    pub agency: AgencyId,
    /// Which of its agents.
    pub node: Code,
    /// A code of the vocabulary of agency types.
    pub agency_type: String,
    /// Its name in English.
    pub name_en: String,
    /// Its name in Arabic.
    pub name_ar: String,
    /// Where it may act.
    pub jurisdictions: Vec<String>,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admission {
    /// [`VERSION`].
    pub version: u32,
    /// The network.
    pub network: String,
    /// The agency.
    pub agency: String,
    /// Which of its agents.
    pub node: String,
    /// PKCS#10, in PEM. Its names do not count.
    pub csr: String,
    /// `AdmitAgency`, signed by the agency; two administrators sign it too. By an invitation, that or
    /// `PublishKey` of the signing key, signed with the invitation's key too.
    pub admit: SignedFile,
    /// `PublishKey` of the sealing and the witness key, signed by the agency.
    pub publish: Vec<SignedFile>,
}

/// Why there is no admission.
#[derive(Debug, Error)]
pub enum AdmissionFault {
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeysFault),
    /// A name, type or jurisdiction that no directory takes.
    #[error("`{0}` is not of the form that it has in the directory")]
    Value(&'static str),
    /// The certificate request could not be made.
    #[error("the certificate request could not be made; try again")]
    Request,
}

impl Admission {
    /// Makes the file with an agency's own keys.
    ///
    /// # Errors
    /// [`AdmissionFault`].
    pub fn new(applicant: &Applicant, keys: &Keys, now: TimeMs) -> Result<Self, AdmissionFault> {
        let admit = Change::AdmitAgency(wire::AdmitAgency {
            agency: applicant.agency.to_string(),
            agency_type: applicant.agency_type.clone(),
            name_en: applicant.name_en.clone(),
            name_ar: applicant.name_ar.clone(),
            jurisdictions: applicant.jurisdictions.clone(),
            signing_key: keys.signing.public().to_bytes().to_vec(),
            ..wire::AdmitAgency::default()
        });
        Self::of(applicant, keys, signed(admit, &[&keys.signing], now)?, now)
    }

    /// Makes the file of an agency that is invited: whoever is invited signs with the invitation's key
    /// too, and two administrators need not sign any more.
    ///
    /// # Errors
    /// [`AdmissionFault`].
    pub fn invited(
        invitation: &Invitation,
        node: &Code,
        keys: &Keys,
        now: TimeMs,
    ) -> Result<Self, AdmissionFault> {
        let invite = invitation.invite.to_wire();
        let pair = keys.tls.pair()?;
        let certificate_key = rcgen::PublicKeyData::subject_public_key_info(&pair);
        let certificate_key_sha256 = Digest::of(&certificate_key).to_vec();
        let signing_key = keys.signing.public().to_bytes().to_vec();
        let change = match &invitation.invite.to {
            InvitedTo::Join(_) => Change::AdmitAgency(wire::AdmitAgency {
                agency: invite.agency.clone(),
                agency_type: invite.agency_type.clone(),
                name_en: invite.name_en.clone(),
                name_ar: invite.name_ar.clone(),
                jurisdictions: invite.jurisdictions.clone(),
                signing_key,
                invitation_key: invite.invitation_key,
                certificate_key_sha256,
            }),
            InvitedTo::Return => Change::PublishKey(wire::PublishKey {
                agency: invite.agency.clone(),
                purpose: wire::KeyPurpose::Signing.into(),
                public_key: signing_key,
                invitation_key: invite.invitation_key,
                certificate_key_sha256,
            }),
        };
        let applicant = Applicant {
            network: invitation.network.clone(),
            agency: invitation.invite.agency.clone(),
            node: node.clone(),
            agency_type: invite.agency_type,
            name_en: invite.name_en,
            name_ar: invite.name_ar,
            jurisdictions: invite.jurisdictions,
        };
        Self::of(&applicant, keys, signed(change, &[&keys.signing, &invitation.secret], now)?, now)
    }

    /// Whether it was made with the invitation of a key.
    #[must_use]
    pub fn uses(&self, invitation: &PublicKey) -> bool {
        let object = wire::SignedObject::try_from(&self.admit).ok();
        let change = object.and_then(|object| proto::directory::Change::parse(&object.payload).ok());
        let invited = change.as_ref().and_then(|change| change.body.invited());
        invited.is_some_and(|(_, invited, _)| invited.invitation == *invitation)
    }

    fn of(
        applicant: &Applicant,
        keys: &Keys,
        admit: SignedFile,
        now: TimeMs,
    ) -> Result<Self, AdmissionFault> {
        let publish = |purpose: wire::KeyPurpose, public_key: Vec<u8>| {
            let agency = applicant.agency.to_string();
            let purpose = purpose.into();
            Change::PublishKey(wire::PublishKey {
                agency,
                purpose,
                public_key,
                ..wire::PublishKey::default()
            })
        };
        let sealing = keys.sealing.first().map(|key| key.recipient().as_bytes().to_vec()).unwrap_or_default();
        let witness = keys.witness.public().to_bytes().to_vec();
        let publish =
            [publish(wire::KeyPurpose::Sealing, sealing), publish(wire::KeyPurpose::Witness, witness)];
        Ok(Self {
            version: VERSION,
            network: applicant.network.to_string(),
            agency: applicant.agency.to_string(),
            node: applicant.node.to_string(),
            csr: request(applicant, keys)?,
            admit,
            publish: publish
                .into_iter()
                .map(|change| signed(change, &[&keys.signing], now))
                .collect::<Result<_, _>>()?,
        })
    }

    /// The file's text.
    ///
    /// # Errors
    /// [`AdmissionFault::Request`] when it cannot be written as JSON, which nothing in it can cause.
    pub fn to_json(&self) -> Result<String, AdmissionFault> {
        let text = serde_json::to_string_pretty(self).map_err(|_| AdmissionFault::Request)?;
        Ok(text + "\n")
    }
}

/// A change, signed, that the directory's own rules read.
fn signed(change: Change, keys: &[&SigningKey], now: TimeMs) -> Result<SignedFile, AdmissionFault> {
    let random = randomness::bytes().map_err(|_| AdmissionFault::Request)?;
    let change = wire::DirectoryChange {
        version: 1,
        change_id: EnvelopeId::new(now, random).as_bytes().to_vec(),
        created_at_ms: now.0,
        change: Some(change),
    };
    let payload = change.encode_to_vec();
    proto::directory::Change::parse(&payload).map_err(value)?;
    Ok(SignedFile::from(&dsse::sign(PayloadType::DirectoryEntry, payload, keys)))
}

fn value(malformed: proto::Malformed) -> AdmissionFault {
    use proto::Malformed as M;
    AdmissionFault::Value(match malformed {
        M::Missing { field }
        | M::Length { field }
        | M::Form { field }
        | M::TooLarge { field, .. }
        | M::Signature { field }
        | M::Mismatch { field } => field,
        M::Protobuf { message } | M::NotCanonical { message } => message,
    })
}

fn request(applicant: &Applicant, keys: &Keys) -> Result<String, AdmissionFault> {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    let name = format!("{}/{}", applicant.agency, applicant.node);
    params.distinguished_name.push(DnType::CommonName, name);
    let request = params.serialize_request(&keys.tls.pair()?).map_err(|_| AdmissionFault::Request)?;
    request.pem().map_err(|_| AdmissionFault::Request)
}

#[cfg(test)]
mod tests {
    use proto::{command::Command, directory::Directory, directory::DirectoryObject, ids::TimeMs};

    use super::*;
    use crate::folder::Folder;

    fn applicant() -> Applicant {
        Applicant {
            network: AgencyId::parse("referral.example", "network").unwrap(),
            agency: AgencyId::parse("ae.dfwac", "agency").unwrap(),
            node: Code::parse("main", "node").unwrap(),
            agency_type: "Shelter".into(),
            name_en: "An example".into(),
            name_ar: "مثال".into(),
            jurisdictions: vec!["AE".into()],
        }
    }

    #[test]
    fn the_directory_reads_what_is_asked_for() {
        let place = tempfile::tempdir().unwrap();
        let keys = Keys::create(&Folder::create(&place.path().join("agent")).unwrap()).unwrap();
        let made = Admission::new(&applicant(), &keys, TimeMs(1_790_000_000_000)).unwrap();
        let read: Admission = serde_json::from_str(&made.to_json().unwrap()).unwrap();
        assert_eq!(read, made);
        assert!(read.csr.starts_with("-----BEGIN CERTIFICATE REQUEST-----"));
        // The new key is introduced by the object itself, so an empty directory verifies it.
        let admit = wire::SignedObject::try_from(&read.admit).unwrap();
        let Ok(Command::Directory(command)) = Command::verify(admit, &Directory::default()) else {
            panic!("signed by the key that it introduces")
        };
        assert!(matches!(command.object, DirectoryObject::Change(_)));
        let secret = keys.sealing[0].to_text();
        assert!(!made.to_json().unwrap().contains(&secret.as_str()[20..60]));
        assert_eq!(read.publish.len(), 2);
    }

    #[test]
    fn what_no_directory_takes_is_said_at_once() {
        let place = tempfile::tempdir().unwrap();
        let keys = Keys::create(&Folder::create(&place.path().join("agent")).unwrap()).unwrap();
        let field = |change: fn(&mut Applicant)| {
            let mut applicant = applicant();
            change(&mut applicant);
            match Admission::new(&applicant, &keys, TimeMs(1_790_000_000_000)) {
                Err(AdmissionFault::Value(field)) => field,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(field(|one| one.name_ar.clear()), "name_en");
        assert_eq!(field(|one| one.jurisdictions = vec!["uae".into()]), "jurisdictions");
        assert_eq!(field(|one| one.name_en = "a\nb".into()), "name_en");
    }
}
