//! Signed changes of the directory, parsed. Not here: whether they are allowed (`authority`).

use super::{
    Agency, KeyPurpose, Network,
    capacity::Capacity,
    invitation::{Invite, Invited, admitted},
};
use crate::{
    Malformed, canonical,
    digest::Digest,
    ids::{AgencyId, Code, EnvelopeId, Jurisdiction, Pseudonym, TimeMs},
    key::{KeyId, PublicKey},
    log::{
        checkpoint::Origin,
        shard::{Cut, ShardNo},
    },
    wire,
};

/// Bytes of an X-Wing public key.
pub const SEALING_KEY_BYTES: usize = 1216;
/// Longest name of an agency, in bytes.
pub const NAME_BYTES_MAX: u64 = 256;
/// Most jurisdictions of an agency, and most values of a list in a profile.
pub const VALUES_MAX: u64 = 64;
/// Most services that an agency offers.
pub const OFFERS_MAX: u64 = 128;
/// Most holidays of a calendar.
pub const HOLIDAYS_MAX: u64 = 400;

/// A change of the directory.
#[derive(Clone, PartialEq, Debug)]
pub struct Change {
    /// The same change is logged once.
    pub id: EnvelopeId,
    /// When its author made it.
    pub created_at: TimeMs,
    /// What changes.
    pub body: ChangeBody,
}

/// What changes. See `directory.proto` for who must sign each.
#[derive(Clone, PartialEq, Debug)]
#[allow(missing_docs, reason = "each change is described in directory.proto, once")]
#[allow(clippy::large_enum_variant, reason = "there is one at a time, behind the box of its command")]
pub enum ChangeBody {
    Genesis { network: Network, administrators: Vec<Administrator> },
    AdmitAgency { agency: AgencyId, entry: Agency, signing_key: PublicKey, invited: Option<Box<Invited>> },
    PublishKey { agency: AgencyId, key: PublicKeyOf, invited: Option<Box<Invited>> },
    RevokeKey { agency: AgencyId, key_id: KeyId },
    Profile { agency: AgencyId, profile: wire::AgencyProfile },
    Suspend { subject: Subject },
    Resume { subject: Subject },
    AddAdministrator(Administrator),
    RemoveAdministrator(Pseudonym),
    Calendar(Calendar),
    RestoreOverride { evidence_size: u64, directory_size: u64 },
    BeginShard(Box<NewShard>),
    Invite(Invite),
    RevokeInvitation(KeyId),
    ConfirmClock { time: TimeMs },
}

/// An administrator: a pseudonym and a key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Administrator {
    /// Never a name.
    pub pseudonym: Pseudonym,
    /// Signs changes.
    pub key: PublicKey,
}

/// A new shard of both logs.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NewShard {
    /// Its number.
    pub number: ShardNo,
    /// Where the evidence log is taken up.
    pub evidence: Cut,
    /// Where the directory log is taken up.
    pub directory: Cut,
}

/// What a suspension is about.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Subject {
    /// An agency.
    Agency(AgencyId),
    /// An agreement.
    Agreement(Digest),
}

/// Working days and hours, by name.
#[derive(Clone, PartialEq, Debug)]
pub struct Calendar {
    /// What agreements and profiles call it.
    pub name: Code,
    /// Its days and hours.
    pub days: wire::Calendar,
}

/// A public key and what it is for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PublicKeyOf {
    /// Ed25519.
    Signing(PublicKey),
    /// X-Wing; the gateway never uses it, it only knows whose it is.
    Sealing(Vec<u8>),
    /// Ed25519.
    Witness(PublicKey),
}

impl PublicKeyOf {
    /// Reads a key for a purpose.
    ///
    /// # Errors
    /// [`Malformed`], naming the field.
    pub fn parse(purpose: i32, bytes: &[u8]) -> Result<Self, Malformed> {
        const FIELD: &str = "public_key";
        match KeyPurpose::parse(purpose, "purpose")? {
            KeyPurpose::Signing => PublicKey::parse(bytes, FIELD).map(Self::Signing),
            KeyPurpose::Witness => PublicKey::parse(bytes, FIELD).map(Self::Witness),
            KeyPurpose::Sealing if bytes.len() == SEALING_KEY_BYTES => Ok(Self::Sealing(bytes.to_vec())),
            KeyPurpose::Sealing => Err(Malformed::Length { field: FIELD }),
        }
    }

    /// What it is for.
    #[must_use]
    pub const fn purpose(&self) -> KeyPurpose {
        match self {
            Self::Signing(_) => KeyPurpose::Signing,
            Self::Sealing(_) => KeyPurpose::Sealing,
            Self::Witness(_) => KeyPurpose::Witness,
        }
    }

    /// Its bytes.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        match self {
            Self::Signing(key) | Self::Witness(key) => key.to_bytes().to_vec(),
            Self::Sealing(bytes) => bytes.clone(),
        }
    }

    /// Its id.
    #[must_use]
    pub fn id(&self) -> KeyId {
        match self {
            Self::Signing(key) | Self::Witness(key) => key.id(),
            Self::Sealing(bytes) => KeyId::of(bytes),
        }
    }

    /// The key, when it signs objects.
    #[must_use]
    pub const fn signing(&self) -> Option<PublicKey> {
        match self {
            Self::Signing(key) => Some(*key),
            Self::Sealing(_) | Self::Witness(_) => None,
        }
    }
}

impl Change {
    /// Reads the payload of a signed change.
    ///
    /// # Errors
    /// [`Malformed`]: not canonical, a field missing or not of its form, a limit passed.
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let wire: wire::DirectoryChange = canonical::decode(payload, "DirectoryChange")?;
        if wire.version != 1 {
            return Err(Malformed::Form { field: "version" });
        }
        let body = wire.change.ok_or(Malformed::Missing { field: "change" })?;
        Ok(Self {
            id: EnvelopeId::parse(&wire.change_id, "change_id")?,
            created_at: TimeMs(wire.created_at_ms),
            body: body_of(body)?,
        })
    }
}

impl ChangeBody {
    pub(super) fn introduced_keys(&self) -> Vec<PublicKey> {
        match self {
            Self::Genesis { administrators, .. } => administrators.iter().map(|one| one.key).collect(),
            Self::AdmitAgency { signing_key, invited, .. } => {
                with_invitation(Some(*signing_key), invited.as_deref())
            }
            Self::PublishKey { key, invited, .. } => with_invitation(key.signing(), invited.as_deref()),
            Self::Invite(invite) => vec![invite.key],
            Self::AddAdministrator(administrator) => vec![administrator.key],
            Self::RevokeKey { .. }
            | Self::Profile { .. }
            | Self::Suspend { .. }
            | Self::Resume { .. }
            | Self::RemoveAdministrator(_)
            | Self::Calendar(_)
            | Self::RestoreOverride { .. }
            | Self::BeginShard(_)
            | Self::RevokeInvitation(_)
            | Self::ConfirmClock { .. } => Vec::new(),
        }
    }

    /// The invitation that this change uses, the agency that it is for, and the key that comes by it.
    #[must_use]
    pub fn invited(&self) -> Option<(&AgencyId, &Invited, KeyId)> {
        match self {
            Self::AdmitAgency { agency, invited: Some(invited), signing_key, .. } => {
                Some((agency, invited, signing_key.id()))
            }
            Self::PublishKey { agency, invited: Some(invited), key } => Some((agency, invited, key.id())),
            Self::AdmitAgency { invited: None, .. }
            | Self::PublishKey { invited: None, .. }
            | Self::Genesis { .. }
            | Self::RevokeKey { .. }
            | Self::Profile { .. }
            | Self::Suspend { .. }
            | Self::Resume { .. }
            | Self::AddAdministrator(_)
            | Self::RemoveAdministrator(_)
            | Self::Calendar(_)
            | Self::RestoreOverride { .. }
            | Self::BeginShard(_)
            | Self::Invite(_)
            | Self::RevokeInvitation(_)
            | Self::ConfirmClock { .. } => None,
        }
    }
}

/// A new key, and the key of the invitation by which it comes: both show that they are held.
fn with_invitation(new: Option<PublicKey>, invited: Option<&Invited>) -> Vec<PublicKey> {
    new.into_iter().chain(invited.map(|invited| invited.invitation)).collect()
}

fn body_of(wire: wire::directory_change::Change) -> Result<ChangeBody, Malformed> {
    use wire::directory_change::Change as Wire;
    Ok(match wire {
        Wire::Genesis(genesis) => self::genesis(&genesis)?,
        Wire::AdmitAgency(admit) => admit_agency(admit)?,
        Wire::PublishKey(publish) => publish_key(&publish)?,
        Wire::RevokeKey(revoke) => ChangeBody::RevokeKey {
            agency: AgencyId::parse(&revoke.agency, "agency")?,
            key_id: KeyId::parse(&revoke.key_id, "key_id")?,
        },
        Wire::Profile(profile) => self::profile(profile)?,
        Wire::Suspend(suspend) => ChangeBody::Suspend { subject: subject(suspend.subject)? },
        Wire::Resume(resume) => ChangeBody::Resume { subject: subject(resume.subject)? },
        Wire::AddAdministrator(add) => {
            let wire = add.administrator.ok_or(Malformed::Missing { field: "administrator" })?;
            ChangeBody::AddAdministrator(administrator(&wire)?)
        }
        Wire::RemoveAdministrator(remove) => {
            ChangeBody::RemoveAdministrator(Pseudonym::parse(&remove.pseudonym, "pseudonym")?)
        }
        Wire::Calendar(calendar) => self::calendar(calendar)?,
        Wire::RestoreOverride(restore) => ChangeBody::RestoreOverride {
            evidence_size: restore.evidence_size,
            directory_size: restore.directory_size,
        },
        Wire::BeginShard(begin) => ChangeBody::BeginShard(Box::new(new_shard(&begin)?)),
        Wire::Invite(invite) => ChangeBody::Invite(Invite::parse(invite)?),
        Wire::RevokeInvitation(revoke) => {
            ChangeBody::RevokeInvitation(KeyId::parse(&revoke.key_id, "key_id")?)
        }
        Wire::ConfirmClock(confirm) => ChangeBody::ConfirmClock { time: TimeMs(confirm.time_ms) },
    })
}

fn new_shard(wire: &wire::BeginShard) -> Result<NewShard, Malformed> {
    let number = ShardNo::parse(wire.number)?;
    if number == ShardNo::FIRST {
        return Err(Malformed::Form { field: "number" });
    }
    let (evidence, directory) = (wire.evidence.as_ref(), wire.directory.as_ref());
    Ok(NewShard { number, evidence: Cut::parse(evidence)?, directory: Cut::parse(directory)? })
}

fn genesis(wire: &wire::Genesis) -> Result<ChangeBody, Malformed> {
    let administrators = wire.administrators.iter().map(administrator).collect::<Result<Vec<_>, _>>()?;
    let mut pseudonyms: Vec<_> = administrators.iter().map(|one| &one.pseudonym).collect();
    pseudonyms.sort();
    pseudonyms.dedup();
    let mut keys: Vec<_> = administrators.iter().map(|one| one.key.to_bytes()).collect();
    keys.sort_unstable();
    keys.dedup();
    // Two names for one key would be one person who counts as two.
    let all_differ = pseudonyms.len() == administrators.len() && keys.len() == administrators.len();
    if administrators.len() < 2 || !all_differ {
        return Err(Malformed::Form { field: "genesis.administrators" });
    }
    let network = Network {
        network: AgencyId::parse(&wire.network, "genesis.network")?,
        evidence_origin: Origin::parse(&wire.evidence_origin)?,
        directory_origin: Origin::parse(&wire.directory_origin)?,
    };
    if network.evidence_origin == network.directory_origin {
        return Err(Malformed::Form { field: "genesis.directory_origin" });
    }
    Ok(ChangeBody::Genesis { network, administrators })
}

fn administrator(wire: &wire::Administrator) -> Result<Administrator, Malformed> {
    Ok(Administrator {
        pseudonym: Pseudonym::parse(&wire.pseudonym, "administrator.pseudonym")?,
        key: PublicKey::parse(&wire.public_key, "administrator.public_key")?,
    })
}

fn admit_agency(wire: wire::AdmitAgency) -> Result<ChangeBody, Malformed> {
    Ok(ChangeBody::AdmitAgency {
        agency: AgencyId::parse(&wire.agency, "agency")?,
        signing_key: PublicKey::parse(&wire.signing_key, "signing_key")?,
        invited: Invited::parse(&wire.invitation_key, &wire.certificate_key_sha256)?,
        entry: admitted(wire.agency_type, wire.name_en, wire.name_ar, &wire.jurisdictions)?,
    })
}

fn publish_key(wire: &wire::PublishKey) -> Result<ChangeBody, Malformed> {
    let key = PublicKeyOf::parse(wire.purpose, &wire.public_key)?;
    let invited = Invited::parse(&wire.invitation_key, &wire.certificate_key_sha256)?;
    if invited.is_some() && key.purpose() != KeyPurpose::Signing {
        return Err(Malformed::Form { field: "purpose" });
    }
    Ok(ChangeBody::PublishKey { agency: AgencyId::parse(&wire.agency, "agency")?, key, invited })
}

fn profile(profile: wire::AgencyProfile) -> Result<ChangeBody, Malformed> {
    let agency = AgencyId::parse(&profile.agency, "agency")?;
    canonical::limit(profile.offers.len(), OFFERS_MAX, "offers")?;
    for offer in &profile.offers {
        Code::parse(&offer.service, "offers.service")?;
        Capacity::parse(offer.capacity, "offers.capacity")?;
        canonical::limit(offer.categories.len(), VALUES_MAX, "offers.categories")?;
        for code in &offer.categories {
            Code::parse(code, "offers.categories")?;
        }
        canonical::limit(offer.jurisdictions.len(), VALUES_MAX, "offers.jurisdictions")?;
        for jurisdiction in &offer.jurisdictions {
            Jurisdiction::parse(jurisdiction, "offers.jurisdictions")?;
        }
    }
    let phone = &profile.duty_phone;
    let digits = phone.strip_prefix('+').unwrap_or_default();
    let e164 = (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    if !phone.is_empty() && !e164 {
        return Err(Malformed::Form { field: "duty_phone" });
    }
    Code::parse_optional(&profile.duty_hours, "duty_hours")?;
    Ok(ChangeBody::Profile { agency, profile })
}

fn subject(wire: Option<wire::Subject>) -> Result<Subject, Malformed> {
    use wire::subject::Subject as Wire;
    match wire.and_then(|subject| subject.subject) {
        Some(Wire::Agency(agency)) => AgencyId::parse(&agency, "subject.agency").map(Subject::Agency),
        Some(Wire::Agreement(digest)) => Digest::parse(&digest, "subject.agreement").map(Subject::Agreement),
        None => Err(Malformed::Missing { field: "subject" }),
    }
}

impl Subject {
    /// The wire form.
    #[must_use]
    pub fn to_wire(&self) -> wire::Subject {
        use wire::subject::Subject as Wire;
        let subject = match self {
            Self::Agency(agency) => Wire::Agency(agency.to_string()),
            Self::Agreement(digest) => Wire::Agreement(digest.to_vec()),
        };
        wire::Subject { subject: Some(subject) }
    }

    /// Reads the wire form.
    ///
    /// # Errors
    /// [`Malformed`], naming the field.
    pub fn parse(wire: Option<wire::Subject>) -> Result<Self, Malformed> {
        subject(wire)
    }
}

fn calendar(days: wire::Calendar) -> Result<ChangeBody, Malformed> {
    let name = Code::parse(&days.name, "name")?;
    canonical::text(&days.time_zone, 64, "time_zone")?;
    canonical::limit(days.holidays.len(), HOLIDAYS_MAX, "holidays")?;
    let week_end = days.week_end.iter().all(|day| (1..=7).contains(day));
    let hours = days.opens_minute < days.closes_minute && days.closes_minute <= 24 * 60;
    if !week_end || !hours {
        return Err(Malformed::Form { field: "week_end" });
    }
    Ok(ChangeBody::Calendar(Calendar { name, days }))
}
