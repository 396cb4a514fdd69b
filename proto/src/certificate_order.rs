//! What an agency orders of the authority that lies beside the gateway, signed with its signing key. Not here:
//! issuing and revoking certificates.

use crate::{
    Malformed, canonical,
    digest::Digest,
    directory::{Directory, KeyPurpose, authority::CLOCK_SKEW_MS_MAX},
    dsse::{self, PayloadType, Unverified},
    ids::{AgencyId, TimeMs},
    key::SigningKey,
    wire::{self, certificate_order::Order as Wire},
};

/// What is ordered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// To certify the request of this digest now, before the certificate in use is due.
    Certify(Digest),
    /// To revoke every certificate of the caller's name but the one of this digest.
    Keep(Digest),
}

impl Order {
    /// Signs an order.
    #[must_use]
    pub fn sign(self, agency: &AgencyId, now: TimeMs, key: &SigningKey) -> wire::SignedObject {
        let order = wire::CertificateOrder {
            version: 1,
            agency: agency.to_string(),
            created_at_ms: now.0,
            order: Some(match self {
                Self::Certify(digest) => Wire::CertifySha256(digest.to_vec()),
                Self::Keep(digest) => Wire::KeepSha256(digest.to_vec()),
            }),
        };
        dsse::sign(PayloadType::CertificateOrder, prost::Message::encode_to_vec(&order), &[key])
    }

    /// Whether an object orders this for an agency now: signed with one signing key of it that is in force.
    ///
    /// # Errors
    /// [`Malformed`]: it is no order, or its signature does not verify.
    pub fn is_given_by(
        self,
        object: wire::SignedObject,
        (directory, agency): (&Directory, &AgencyId),
        now: TimeMs,
    ) -> Result<bool, Malformed> {
        let unverified = Unverified::parse(object)?;
        if unverified.payload_type() != PayloadType::CertificateOrder {
            return Err(Malformed::Form { field: "payload_type" });
        }
        canonical::limit(unverified.signers().len(), 1, "signatures")?;
        let signed = unverified.verify(|id| directory.agency_key(agency, id)?.key.signing())?;
        let wire: wire::CertificateOrder = canonical::decode(signed.payload(), "CertificateOrder")?;
        if wire.version != 1 {
            return Err(Malformed::Form { field: "version" });
        }
        let order = match wire.order.ok_or(Malformed::Missing { field: "order" })? {
            Wire::CertifySha256(digest) => Self::Certify(Digest::parse(&digest, "certify_sha256")?),
            Wire::KeepSha256(digest) => Self::Keep(Digest::parse(&digest, "keep_sha256")?),
        };
        let is_new = wire.created_at_ms.abs_diff(now.0) <= CLOCK_SKEW_MS_MAX;
        let in_force = |id| {
            directory.key_in_force(agency, id, KeyPurpose::Signing, now)
                && !directory.is_suspended(agency, now)
        };
        Ok(order == self && wire.agency == agency.as_str() && is_new && signed.signers().iter().all(in_force))
    }
}
