//! Envelopes in the making: plain parts are sealed for their recipient, listed in a header, and
//! signed. Not here: reading documents (`document`), and what happens to an envelope then (`office`).

use bytes::Bytes;
use prost::Message as _;
use proto::{
    agreement::Disclosure,
    digest::Digest,
    directory::{Directory, KeyPurpose, PublicKeyOf},
    dsse::{self, PayloadType},
    header::{Header, INLINE_BYTES_MAX, PART_KEYS_MAX, Part},
    ids::{AgencyId, PartClass, Release, Storage, TimeMs},
    key::{KeyId, SigningKey},
    wire,
};
use seal::{HEAD_VERSION, NotSealed, Recipient, SealHead};
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::{document::Document, records};

/// Media type of a summary.
pub const SUMMARY_TYPE: &str = "application/vnd.referral.summary.v1+json";
/// Media type of an identity.
pub const IDENTITY_TYPE: &str = "application/vnd.referral.identity.v1+json";
/// Media type of the detail of an act.
pub const DETAIL_TYPE: &str = "application/vnd.referral.detail.v1+json";

/// Why there is no envelope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotDrafted {
    /// The recipient has no sealing key in force.
    #[error("the recipient has no sealing key in force; telephone it")]
    NoKey,
    /// Files and texts together do not fit.
    #[error(
        "files and texts together are larger than {INLINE_BYTES_MAX} bytes sealed; send fewer or smaller files"
    )]
    TooLarge,
    /// A part could not be sealed.
    #[error("a part could not be sealed: {0}")]
    NotSealed(NotSealed),
    /// The header would not be read.
    #[error("the envelope would not be read: {0}")]
    Malformed(proto::Malformed),
}

/// A part before it is sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct PlainPart {
    /// What it holds.
    pub class: PartClass,
    /// When its recipient gets it.
    pub release: Release,
    /// Of the content.
    pub media_type: String,
    /// Empty for none.
    pub file_name: String,
    /// The content.
    pub content: Vec<u8>,
}

impl std::fmt::Debug for PlainPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PlainPart({:?})", self.class)
    }
}

/// An envelope, ready to be stored and pushed.
#[derive(Clone, PartialEq)]
pub struct Drafted {
    /// What it says.
    pub header: Header,
    /// Its digest.
    pub digest: Digest,
    /// The bytes that are pushed.
    pub envelope: Vec<u8>,
    /// What was sealed.
    pub plain: Vec<records::Plain>,
}

impl Drafted {
    /// The record and body that keep it.
    #[must_use]
    pub fn record(&self, idempotency_key: &str) -> (records::Queued, records::QueuedBody) {
        let name = |plain: &records::Plain| records::PartName { part_id: plain.part_id, class: plain.class };
        let queued = records::Queued {
            header: self.header.to_wire().encode_to_vec(),
            digest: self.digest.to_vec(),
            idempotency_key: idempotency_key.to_owned(),
            parts: self.plain.iter().map(name).collect(),
        };
        (queued, records::QueuedBody { envelope: self.envelope.clone(), plain: self.plain.clone() })
    }
}

/// The parts of a referral. Identity, and files that may tell it, wait for the acceptance wherever an
/// acceptance can come, unless the agreement wants them at once.
#[must_use]
pub fn parts_of(document: &Document, disclosure: Disclosure) -> Vec<PlainPart> {
    let waits = document.kind.expects_answer() && disclosure != Disclosure::AtOnce;
    let held = if waits { Release::OnAcceptance } else { Release::AtOnce };
    let summary = json!({"consent": document.consent, "summary": document.summary});
    let mut parts = vec![json_part(PartClass::Summary, Release::AtOnce, &summary)];
    if let Some(identity) = &document.identity {
        parts.push(json_part(PartClass::Identity, held, &json!({"identity": identity})));
    }
    parts.extend(document.files.iter().map(|file| PlainPart {
        class: PartClass::Attachment,
        release: if file.contains_identity { held } else { Release::AtOnce },
        media_type: file.media_type.clone(),
        file_name: file.name.clone(),
        content: file.content.clone(),
    }));
    parts
}

/// The part that holds the detail of an act.
#[must_use]
pub fn detail(fields: &Map<String, Value>) -> PlainPart {
    json_part(PartClass::Detail, Release::AtOnce, &json!({"detail": fields}))
}

/// A part of JSON, released at once or on acceptance.
#[must_use]
pub fn json_part(class: PartClass, release: Release, content: &Value) -> PlainPart {
    let media_type = match class {
        PartClass::Summary => SUMMARY_TYPE,
        PartClass::Identity => IDENTITY_TYPE,
        PartClass::Detail | PartClass::Attachment => DETAIL_TYPE,
    };
    PlainPart {
        class,
        release,
        media_type: media_type.to_owned(),
        file_name: String::new(),
        content: content.to_string().into_bytes(),
    }
}

/// The keys that an agency's parts are sealed to: those in force, the newest first.
#[must_use]
pub fn sealing_keys(directory: &Directory, agency: &AgencyId, now: TimeMs) -> Vec<(KeyId, Recipient)> {
    let keys = directory.agency(agency).map(|agency| agency.keys.as_slice()).unwrap_or_default();
    let in_force =
        keys.iter().rev().filter(|key| key.in_force(now) && key.key.purpose() == KeyPurpose::Sealing);
    let read = in_force.filter_map(|key| match &key.key {
        PublicKeyOf::Sealing(bytes) => Some((key.id, Recipient::from_bytes(bytes).ok()?)),
        PublicKeyOf::Signing(_) | PublicKeyOf::Witness(_) => None,
    });
    read.take(PART_KEYS_MAX).collect()
}

/// Seals the parts for the header's recipient, lists them in it, and signs it.
///
/// # Errors
/// [`NotDrafted`].
pub fn seal_and_sign(
    mut header: Header,
    parts: Vec<PlainPart>,
    keys: &[(KeyId, Recipient)],
    signing: &SigningKey,
) -> Result<Drafted, NotDrafted> {
    if keys.is_empty() && !parts.is_empty() {
        return Err(NotDrafted::NoKey);
    }
    let recipients: Vec<Recipient> = keys.iter().map(|(_, recipient)| recipient.clone()).collect();
    let mut inline = Vec::with_capacity(parts.len());
    let mut plain = Vec::with_capacity(parts.len());
    let mut left = INLINE_BYTES_MAX;
    for (part_id, part) in (1..).zip(parts) {
        let ciphertext = sealed(&header, part_id, &part, &recipients, left)?;
        let length_bytes = u64::try_from(ciphertext.len()).unwrap_or(u64::MAX);
        left = left.checked_sub(length_bytes).ok_or(NotDrafted::TooLarge)?;
        header.parts.push(Part {
            part_id,
            class: part.class,
            sha256: Digest::of(&ciphertext),
            length_bytes,
            storage: Storage::Inline,
            release: part.release,
            recipient: None,
            key_ids: keys.iter().map(|(id, _)| *id).collect(),
        });
        inline.push(wire::InlinePart { part_id, ciphertext: Bytes::from(ciphertext) });
        plain.push(records::Plain {
            part_id,
            class: part.class.number(),
            media_type: part.media_type,
            file_name: part.file_name,
            content: part.content,
        });
    }
    let payload = header.to_wire().encode_to_vec();
    // The gateway reads it as strictly: better to hear of it here.
    Header::parse(&payload).map_err(NotDrafted::Malformed)?;
    let digest = Digest::of(&dsse::pre_authentication_encoding(PayloadType::Envelope.as_str(), &payload));
    let signed = dsse::sign(PayloadType::Envelope, payload, &[signing]);
    let envelope = wire::Envelope { signed: Some(signed), parts: inline }.encode_to_vec();
    Ok(Drafted { header, digest, envelope, plain })
}

fn sealed(
    header: &Header,
    part_id: u32,
    part: &PlainPart,
    recipients: &[Recipient],
    left: u64,
) -> Result<Vec<u8>, NotDrafted> {
    let head = SealHead {
        version: HEAD_VERSION,
        envelope_id: header.envelope_id.as_bytes().to_vec(),
        from: header.from.to_string(),
        recipients: vec![header.to.to_string()],
        part_id,
        part_class: part.class.number().unsigned_abs(),
        content_bytes: u64::try_from(part.content.len()).unwrap_or(u64::MAX),
        media_type: part.media_type.clone(),
        file_name: part.file_name.clone(),
        content_sha256: Digest::of(&part.content).to_vec(),
    };
    let bytes = seal::sealed_bytes(head.bytes(), head.content_bytes, recipients.len());
    if bytes.map_err(NotDrafted::NotSealed)? > left {
        return Err(NotDrafted::TooLarge);
    }
    let mut ciphertext = Vec::new();
    seal::seal(&head, recipients, part.content.as_slice(), &mut ciphertext).map_err(NotDrafted::NotSealed)?;
    Ok(ciphertext)
}
