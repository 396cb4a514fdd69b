//! Invitations as the directory knows them: who is invited, until when, and whether one may still be
//! used. Not here: the text that an agency is given (`crate::invitation`), and who may invite
//! (`authority`).

use super::{
    Agency, CHANGE_AGE_MS_MAX,
    change::{NAME_BYTES_MAX, VALUES_MAX},
};
use crate::{
    Malformed, canonical,
    digest::Digest,
    ids::{AgencyId, Jurisdiction, TimeMs},
    key::{KeyId, PublicKey},
    refusal::Refusal,
    wire,
};

/// The longest that an invitation may be open: 7 days.
pub const INVITATION_LIFETIME_MS_MAX: u64 = 7 * 24 * 60 * 60 * 1000;
/// How long after its end it is remembered, so that whoever comes late hears why: 7 days.
pub const INVITATION_KEPT_MS: u64 = CHANGE_AGE_MS_MAX;
/// Most invitations that are open, or ended less than [`INVITATION_KEPT_MS`] ago.
pub const INVITATIONS_MAX: usize = 1_000;

/// What two administrators allow in advance.
#[derive(Clone, PartialEq, Debug)]
pub struct Invite {
    /// Who is invited.
    pub agency: AgencyId,
    /// Whoever holds its private half may use the invitation.
    pub key: PublicKey,
    /// First moment at which it is over.
    pub expires_at: TimeMs,
    /// What it is for.
    pub to: InvitedTo,
}

/// What an invitation is for.
#[derive(Clone, PartialEq, Debug)]
#[allow(clippy::large_enum_variant, reason = "invitations are few")]
pub enum InvitedTo {
    /// To be admitted, as exactly this entry, which has no keys yet.
    Join(Agency),
    /// To publish a signing key: the agency is in the directory and has lost its own.
    Return,
}

/// That a change uses an invitation.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Invited {
    /// The invitation's key, which signs the change.
    pub invitation: PublicKey,
    /// SHA-256 of the `SubjectPublicKeyInfo` to which alone a certificate is issued, so that nobody who
    /// reads the change in the log can have one in the agency's name.
    pub certificate_key: Digest,
}

/// An invitation in the directory.
#[derive(Clone, PartialEq, Debug)]
pub struct Invitation {
    /// What was allowed.
    pub invite: Invite,
    /// What has become of it.
    pub standing: Standing,
}

/// What has become of an invitation. That its time is over is not noted: see [`Invitation::judge`].
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Standing {
    /// Nothing yet.
    Open,
    /// It was used.
    Used,
    /// An administrator revoked it, or a newer one took its place.
    Revoked,
}

impl Standing {
    /// Its number on disk.
    pub(crate) const fn number(self) -> u32 {
        match self {
            Self::Open => 0,
            Self::Used => 1,
            Self::Revoked => 2,
        }
    }

    pub(crate) const fn from_number(number: u32) -> Result<Self, Malformed> {
        match number {
            0 => Ok(Self::Open),
            1 => Ok(Self::Used),
            2 => Ok(Self::Revoked),
            _ => Err(Malformed::Form { field: "invitation.standing" }),
        }
    }
}

impl Invitation {
    /// Whether it may be used at a moment.
    ///
    /// # Errors
    /// [`Refusal::InvitationUsed`], [`Refusal::InvitationExpired`] or [`Refusal::InvitationRevoked`].
    pub fn judge(&self, now: TimeMs) -> Result<(), Refusal> {
        match self.standing {
            Standing::Used => Err(Refusal::InvitationUsed),
            Standing::Revoked => Err(Refusal::InvitationRevoked),
            Standing::Open if now >= self.invite.expires_at => Err(Refusal::InvitationExpired),
            Standing::Open => Ok(()),
        }
    }

    /// Whether it is still remembered.
    pub(super) const fn is_kept(&self, now: TimeMs) -> bool {
        self.invite.expires_at.0 >= now.minus_ms(INVITATION_KEPT_MS).0
    }
}

impl Invite {
    /// Reads the wire form.
    ///
    /// # Errors
    /// [`Malformed`], naming the field.
    pub fn parse(wire: wire::Invite) -> Result<Self, Malformed> {
        let nothing = wire.agency_type.is_empty() && wire.name_en.is_empty() && wire.name_ar.is_empty();
        let to = if !wire.again {
            InvitedTo::Join(admitted(wire.agency_type, wire.name_en, wire.name_ar, &wire.jurisdictions)?)
        } else if nothing && wire.jurisdictions.is_empty() {
            InvitedTo::Return
        } else {
            return Err(Malformed::Form { field: "again" });
        };
        Ok(Self {
            agency: AgencyId::parse(&wire.agency, "agency")?,
            key: PublicKey::parse(&wire.invitation_key, "invitation_key")?,
            expires_at: TimeMs(wire.expires_at_ms),
            to,
        })
    }

    /// The wire form.
    #[must_use]
    pub fn to_wire(&self) -> wire::Invite {
        let named = wire::Invite {
            agency: self.agency.to_string(),
            invitation_key: self.key.to_bytes().to_vec(),
            expires_at_ms: self.expires_at.0,
            ..wire::Invite::default()
        };
        match &self.to {
            InvitedTo::Return => wire::Invite { again: true, ..named },
            InvitedTo::Join(entry) => wire::Invite {
                agency_type: entry.agency_type.clone(),
                name_en: entry.name_en.clone(),
                name_ar: entry.name_ar.clone(),
                jurisdictions: entry.jurisdictions.iter().map(ToString::to_string).collect(),
                ..named
            },
        }
    }

    /// How it is named: by its key's id.
    #[must_use]
    pub fn id(&self) -> KeyId {
        self.key.id()
    }
}

impl Invited {
    /// Reads the two fields, which are both there or neither.
    pub(super) fn parse(invitation: &[u8], certificate_key: &[u8]) -> Result<Option<Box<Self>>, Malformed> {
        const FIELD: &str = "certificate_key_sha256";
        if invitation.is_empty() && certificate_key.is_empty() {
            return Ok(None);
        }
        Ok(Some(Box::new(Self {
            invitation: PublicKey::parse(invitation, "invitation_key")?,
            certificate_key: Digest::parse(certificate_key, FIELD)?,
        })))
    }
}

/// What is said of an agency before it has keys.
pub(super) fn admitted(
    agency_type: String,
    name_en: String,
    name_ar: String,
    jurisdictions: &[String],
) -> Result<Agency, Malformed> {
    canonical::text(&agency_type, NAME_BYTES_MAX, "agency_type")?;
    canonical::text(&name_en, NAME_BYTES_MAX, "name_en")?;
    canonical::text(&name_ar, NAME_BYTES_MAX, "name_ar")?;
    if name_en.is_empty() || name_ar.is_empty() {
        return Err(Malformed::Missing { field: "name_en" });
    }
    canonical::limit(jurisdictions.len(), VALUES_MAX, "jurisdictions")?;
    let jurisdictions = jurisdictions.iter().map(|text| Jurisdiction::parse(text, "jurisdictions"));
    Ok(Agency {
        jurisdictions: jurisdictions.collect::<Result<_, _>>()?,
        agency_type,
        name_en,
        name_ar,
        keys: Vec::new(),
        suspension: None,
        profile: None,
    })
}
