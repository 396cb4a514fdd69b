//! Signed objects as files: DSSE's JSON, and an agency's request to be admitted, which holds several.
//! Not here: what they mean (`proto`).

use std::path::Path;

use anyhow::{Context as _, Result, bail};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use prost::Message as _;
use proto::{
    dsse::{self, PayloadType},
    key::SigningKey,
    language::Language,
    log::shard::Cut,
    wire,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

/// A signed object in DSSE's JSON form.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ObjectFile {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<SignatureFile>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureFile {
    keyid: String,
    sig: String,
}

/// What an agency hands to the administrators to be admitted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Admission {
    /// 1.
    pub version: u32,
    /// The network that it is for.
    pub network: String,
    /// The agency.
    pub agency: String,
    /// Which of its machines.
    pub node: String,
    /// PKCS#10, PEM.
    pub csr: String,
    /// `AdmitAgency`, signed by the agency's key, then by two administrators.
    pub admit: ObjectFile,
    /// `PublishKey`s, signed by the agency's key.
    pub publish: Vec<ObjectFile>,
}

impl ObjectFile {
    /// Of a signed object.
    #[must_use]
    pub fn of(object: &wire::SignedObject) -> Self {
        let signature = |signature: &wire::Signature| SignatureFile {
            keyid: signature.key_id.clone(),
            sig: STANDARD.encode(&signature.sig),
        };
        Self {
            payload: STANDARD.encode(&object.payload),
            payload_type: object.payload_type.clone(),
            signatures: object.signatures.iter().map(signature).collect(),
        }
    }

    /// The signed object.
    ///
    /// # Errors
    /// When payload or signature is not base64.
    pub fn to_wire(&self) -> Result<wire::SignedObject> {
        let signature = |signature: &SignatureFile| {
            let sig = STANDARD.decode(&signature.sig).context("a signature is not base64")?;
            anyhow::Ok(wire::Signature { sig, key_id: signature.keyid.clone() })
        };
        Ok(wire::SignedObject {
            payload: STANDARD.decode(&self.payload).context("the payload is not base64")?,
            payload_type: self.payload_type.clone(),
            signatures: self.signatures.iter().map(signature).collect::<Result<_>>()?,
        })
    }
}

impl Admission {
    /// Reads the file.
    ///
    /// # Errors
    /// When it is no such file.
    pub fn read(path: &Path) -> Result<Self> {
        read(path)
    }

    /// All objects, in the order in which they must be submitted.
    ///
    /// # Errors
    /// When one is not base64.
    pub fn objects(&self) -> Result<Vec<wire::SignedObject>> {
        std::iter::once(&self.admit).chain(&self.publish).map(ObjectFile::to_wire).collect()
    }

    /// What it says.
    ///
    /// # Errors
    /// When it is not what an admission holds.
    pub fn describe(&self, language: Language) -> Result<Vec<String>> {
        let mut lines = vec![format!(
            "admission of {} (machine {}) to the network {}",
            self.agency, self.node, self.network
        )];
        for object in self.objects()? {
            lines.extend(describe(&object, language)?);
        }
        Ok(lines)
    }
}

/// Adds a signature over the same payload.
///
/// # Errors
/// When the type is unknown, or the key has signed already.
pub fn countersign(object: &mut wire::SignedObject, key: &SigningKey) -> Result<()> {
    let known = PayloadType::ALL.iter().copied().find(|known| known.as_str() == object.payload_type);
    let Some(payload_type) = known else {
        bail!("the object's type is unknown: {}", object.payload_type);
    };
    let id = key.public().id().to_string();
    if object.signatures.iter().any(|signature| signature.key_id == id) {
        bail!("your signature is there already; somebody else must sign");
    }
    object.signatures.extend(dsse::sign(payload_type, object.payload.clone(), &[key]).signatures);
    Ok(())
}

/// What an object says, line by line; an agreement in either language.
///
/// # Errors
/// When its payload is not of its type.
pub fn describe(object: &wire::SignedObject, language: Language) -> Result<Vec<String>> {
    let signed = object.signatures.iter().map(|signature| signature.key_id.as_str()).collect::<Vec<_>>();
    let signed = format!("  signed by the keys {}", signed.join(", "));
    let mut lines = if object.payload_type == PayloadType::Agreement.as_str() {
        super::agreement::describe(&object.payload, language)?
    } else if object.payload_type == PayloadType::DirectoryEntry.as_str() {
        let change = wire::DirectoryChange::decode(object.payload.as_slice())?;
        vec![describe_change(change.change.context("the change is empty")?)]
    } else if object.payload_type == PayloadType::Mechanism.as_str() {
        super::mechanism::describe(&wire::Mechanism::decode(object.payload.as_slice())?)
    } else {
        bail!("this is not an object that administrators handle: {}", object.payload_type)
    };
    lines.push(signed);
    Ok(lines)
}

/// A change in one line.
#[must_use]
pub fn describe_change(change: wire::directory_change::Change) -> String {
    use wire::directory_change::Change;
    let subject = |subject: Option<wire::Subject>| match subject.and_then(|subject| subject.subject) {
        Some(wire::subject::Subject::Agency(agency)) => format!("agency {agency}"),
        Some(wire::subject::Subject::Agreement(digest)) => format!("agreement {}", hex(&digest)),
        None => "nothing".to_owned(),
    };
    match change {
        Change::Genesis(genesis) => format!("beginning of the network {}", genesis.network),
        Change::AdmitAgency(admit) => format!(
            "admit {}: {} / \u{2068}{}\u{2069}, {}, in {}{}",
            admit.agency,
            admit.name_en,
            admit.name_ar,
            admit.agency_type,
            admit.jurisdictions.join(", "),
            by_invitation(&admit.invitation_key)
        ),
        Change::PublishKey(publish) => format!(
            "publish a {} key of {}: {}{}",
            publish.purpose().as_str_name().trim_start_matches("KEY_PURPOSE_").to_lowercase(),
            publish.agency,
            proto::key::KeyId::of(&publish.public_key),
            by_invitation(&publish.invitation_key)
        ),
        Change::RevokeKey(revoke) => format!("revoke the key {} of {}", revoke.key_id, revoke.agency),
        Change::Profile(profile) => format!("profile of {}", profile.agency),
        Change::Suspend(suspend) => format!("suspend {}", subject(suspend.subject)),
        Change::Resume(resume) => format!("resume {}", subject(resume.subject)),
        Change::AddAdministrator(add) => {
            format!("add the administrator {}", add.administrator.unwrap_or_default().pseudonym)
        }
        Change::RemoveAdministrator(remove) => format!("remove the administrator {}", remove.pseudonym),
        Change::Calendar(calendar) => format!("calendar {}", calendar.name),
        Change::Invite(invite) => describe_invite(&invite),
        Change::RevokeInvitation(revoke) => format!("revoke the invitation {}", revoke.key_id),
        Change::RestoreOverride(restore) => format!(
            "go on after a restore at {} evidence and {} directory records, although not every witness has \
             reported",
            restore.evidence_size, restore.directory_size
        ),
        Change::BeginShard(begin) => describe_shard(&begin),
        Change::ConfirmClock(confirm) => {
            format!("go on with the clock at {} seconds since 1970, UTC", confirm.time_ms / 1000)
        }
    }
}

fn by_invitation(key: &[u8]) -> String {
    if key.is_empty() { String::new() } else { format!(", by the invitation {}", proto::key::KeyId::of(key)) }
}

fn describe_shard(begin: &wire::BeginShard) -> String {
    let cut = |cut: &Option<wire::LogCut>| match Cut::parse(cut.as_ref()) {
        Ok(cut) => format!("{} of {} known records", cut.size, cut.furthest().0),
        Err(malformed) => malformed.to_string(),
    };
    format!(
        "go on after a restore in shard {} of both logs, behind {} of evidence and {} of the directory",
        begin.number,
        cut(&begin.evidence),
        cut(&begin.directory)
    )
}

fn describe_invite(invite: &wire::Invite) -> String {
    let id = proto::key::KeyId::of(&invite.invitation_key);
    let until = utc(invite.expires_at_ms);
    if invite.again {
        return format!(
            "invite {} back, whose keys are lost, until {until} (invitation {id})",
            invite.agency
        );
    }
    format!(
        "invite {}: {} / \u{2068}{}\u{2069}, {}, in {}, until {until} (invitation {id})",
        invite.agency,
        invite.name_en,
        invite.name_ar,
        invite.agency_type,
        invite.jurisdictions.join(", ")
    )
}

/// A moment as people read it, to the second.
#[must_use]
pub fn utc(unix_ms: u64) -> String {
    let moment = certs::UnixTime::from_seconds(unix_ms / 1000);
    moment.map_or_else(|_| format!("{unix_ms} ms"), |moment| moment.to_string())
}

/// Hex digits.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Reads a JSON file of a known form.
///
/// # Errors
/// When it is not of that form.
pub fn read<T: DeserializeOwned>(path: &Path) -> Result<T> {
    let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is not what is expected here", path.display()))
}

/// Writes a JSON file, over what was there.
///
/// # Errors
/// The disk's.
pub fn write(path: &Path, value: &impl Serialize) -> Result<()> {
    let text = serde_json::to_string_pretty(value)?;
    let temporary = path.with_added_extension("tmp");
    std::fs::write(&temporary, text + "\n").with_context(|| format!("{}", temporary.display()))?;
    std::fs::rename(&temporary, path).with_context(|| format!("{} cannot be written", path.display()))
}
