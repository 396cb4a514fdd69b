//! `gateway admin`: what administrators do. Changes are signed objects; those that need two people go
//! from one to the other as a file. Not here: who may change what (`proto::directory`).

pub mod agreement;
pub mod client;
pub mod invitation;
pub mod mechanism;
pub mod object;

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail};
use client::Client;
use object::{Admission, ObjectFile};
use prost::Message as _;
use proto::{
    digest::Digest,
    dsse::{self, PayloadType},
    ids::AgencyId,
    key::{KeyId, SigningKey},
    language::Language,
    wire::{self, directory_change::Change},
};

use crate::{init::new_change, network::NetworkFile, place};

/// An administrator's own folder: signing key, certificate, and the network's file.
#[derive(Debug, Clone)]
pub struct Desk {
    folder: PathBuf,
}

/// A file that goes from hand to hand.
enum Paper {
    Object(ObjectFile),
    Admission(Box<Admission>),
}

impl Desk {
    /// A folder as `gateway init` makes it.
    #[must_use]
    pub fn new(folder: &Path) -> Self {
        Self { folder: folder.to_owned() }
    }

    /// The administrator's signing key.
    ///
    /// # Errors
    /// When it is not there, or others can read it.
    pub fn key(&self) -> Result<SigningKey> {
        Ok(place::read_key(&self.folder.join("signing.key"))?)
    }

    /// A connection to the gateway, as this administrator.
    ///
    /// # Errors
    /// When the gateway cannot be reached, or refuses the certificate.
    pub async fn connect(&self) -> Result<Client> {
        let network = self.network()?;
        Client::connect(&network, &self.folder.join("tls")).await
    }

    /// Signs a change of one's own.
    ///
    /// # Errors
    /// As [`Self::key`].
    pub fn sign_change(&self, change: Change) -> Result<wire::SignedObject> {
        let change = new_change(change)?;
        Ok(dsse::sign(PayloadType::DirectoryEntry, change.encode_to_vec(), &[&self.key()?]))
    }

    /// Makes an invitation and signs it as the first of two.
    ///
    /// # Errors
    /// As [`invitation::make`] and [`Self::key`].
    pub fn invite(&self, guest: &invitation::Guest) -> Result<invitation::Made> {
        invitation::make(&self.network()?, guest, &self.key()?)
    }

    fn network(&self) -> Result<NetworkFile> {
        NetworkFile::read(&self.folder.join("network.toml"))
            .with_context(|| format!("{}/network.toml", self.folder.display()))
    }

    /// Adds one's signature to a file that somebody else began.
    ///
    /// # Errors
    /// When it is no such file, or one's signature is there already.
    pub fn sign_file(&self, path: &Path) -> Result<Vec<String>> {
        let key = self.key()?;
        match Paper::read(path)? {
            Paper::Object(file) => {
                let mut object = file.to_wire()?;
                object::countersign(&mut object, &key)?;
                object::write(path, &ObjectFile::of(&object))?;
                object::describe(&object, Language::English)
            }
            Paper::Admission(mut admission) => {
                let mut object = admission.admit.to_wire()?;
                object::countersign(&mut object, &key)?;
                admission.admit = ObjectFile::of(&object);
                object::write(path, &admission)?;
                admission.describe(Language::English)
            }
        }
    }

    /// Hands a file's objects to the gateway, in their order.
    ///
    /// # Errors
    /// When the gateway refuses one; what it took before stays taken, and is told again next time.
    pub async fn submit_file(&self, path: &Path) -> Result<Vec<client::Changed>> {
        let objects = match Paper::read(path)? {
            Paper::Object(file) => vec![file.to_wire()?],
            Paper::Admission(admission) => admission.objects()?,
        };
        let mut client = self.connect().await?;
        let mut changed = Vec::new();
        for object in objects {
            changed.push(client.change(object).await?);
        }
        Ok(changed)
    }
}

/// What a file says, for whoever is asked to sign it.
///
/// # Errors
/// When it is no such file.
pub fn describe_file(path: &Path, language: Language) -> Result<Vec<String>> {
    match Paper::read(path)? {
        Paper::Object(file) => object::describe(&file.to_wire()?, language),
        Paper::Admission(admission) => admission.describe(language),
    }
}

impl Paper {
    fn read(path: &Path) -> Result<Self> {
        let bytes = fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        if let Ok(admission) = serde_json::from_slice(&bytes) {
            return Ok(Self::Admission(Box::new(admission)));
        }
        let object = serde_json::from_slice(&bytes)
            .with_context(|| format!("{} is neither an admission nor a signed object", path.display()))?;
        Ok(Self::Object(object))
    }
}

/// The subject of a stop or a start.
///
/// # Errors
/// When it is neither an agency's id nor the digest of an agreement.
pub fn subject(text: &str) -> Result<wire::Subject> {
    use wire::subject::Subject;
    let subject = if let Some(bytes) = digest(text) {
        Subject::Agreement(bytes.to_vec())
    } else {
        let agency = AgencyId::parse(text, "subject")
            .context("an agency's id, such as ae.dfwac, or an agreement's digest in 64 hex digits")?;
        Subject::Agency(agency.to_string())
    };
    Ok(wire::Subject { subject: Some(subject) })
}

fn digest(text: &str) -> Option<Digest> {
    Digest::from_hex(text, "digest").ok()
}

/// The withdrawal of an agency's key: one person's act.
///
/// # Errors
/// When the ids are none.
pub fn revoke_key(agency: &str, key: &str, reason: wire::RevocationReason) -> Result<Change> {
    AgencyId::parse(agency, "agency").context("an agency's id, such as ae.dfwac")?;
    KeyId::parse(key, "key").context("a key's id: 32 hex digits, as `admin directory` shows it")?;
    Ok(Change::RevokeKey(wire::RevokeKey {
        agency: agency.to_owned(),
        key_id: key.to_owned(),
        reason: reason.into(),
    }))
}

/// The withdrawal of an invitation: one person's act.
///
/// # Errors
/// When the id is none.
pub fn revoke_invitation(id: &str) -> Result<Change> {
    KeyId::parse(id, "id").context("an invitation's id: 32 hex digits, as `admin invitations` shows it")?;
    Ok(Change::RevokeInvitation(wire::RevokeInvitation { key_id: id.to_owned() }))
}

/// Writes a change that needs a second person.
///
/// # Errors
/// When the file is there already.
pub fn write_new(path: &Path, object: &wire::SignedObject) -> Result<()> {
    if path.exists() {
        bail!("{} is there already", path.display());
    }
    object::write(path, &ObjectFile::of(object))
}
