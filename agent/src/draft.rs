//! Envelopes in the making: plain parts are sealed for their recipient, listed in a header, and
//! signed. Not here: reading documents (`document`), and what happens to an envelope then (`office`).

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read as _, Seek as _},
};

use bytes::Bytes;
use prost::Message as _;
use proto::{
    agreement::{Clause, Disclosure},
    digest::{Digest, Hasher},
    directory::{Directory, KeyPurpose, PublicKeyOf},
    dsse::{self, PayloadType},
    header::{Header, INLINE_BYTES_MAX, PART_KEYS_MAX, Part},
    ids::{AgencyId, Kind, PartClass, Release, Storage, TimeMs},
    key::{KeyId, SigningKey},
    wire,
};
use seal::{HEAD_VERSION, NotSealed, Recipient, SealHead};
use serde_json::{Map, Value, json};
use thiserror::Error;

use crate::{
    document::{Content, Document},
    records,
    spool::{self, Sealing, Spool, SpoolFault, veiled::Unveiled},
    state::Tie,
};

/// Media type of a summary.
pub const SUMMARY_TYPE: &str = "application/vnd.referral.summary.v1+json";
/// Media type of an identity.
pub const IDENTITY_TYPE: &str = "application/vnd.referral.identity.v1+json";
/// Media type of the detail of an act.
pub const DETAIL_TYPE: &str = "application/vnd.referral.detail.v1+json";

/// Why there is no envelope.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotDrafted {
    /// Somebody for whom parts are sealed has no key.
    #[error("{0} has no sealing key in force; telephone it")]
    NoKey(AgencyId),
    /// The texts do not fit.
    #[error("the texts are larger than {INLINE_BYTES_MAX} bytes sealed; send what is long as a file")]
    TooLarge,
    /// A file could not be read.
    #[error("a file to be attached cannot be read: {0}")]
    NotRead(io::ErrorKind),
    /// The spool.
    #[error(transparent)]
    Spool(#[from] SpoolFault),
    /// Somebody has other keys than when the parts were sealed.
    #[error("a recipient's keys have changed just now; send it again")]
    KeysChanged,
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
    /// The fallback that it is sealed for in advance; none for the header's recipient.
    pub fallback: Option<AgencyId>,
    /// What it holds.
    pub class: PartClass,
    /// When its recipient gets it.
    pub release: Release,
    /// Of the content.
    pub media_type: String,
    /// Empty for none.
    pub file_name: String,
    /// The content.
    pub content: Content,
}

impl std::fmt::Debug for PlainPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PlainPart({:?})", self.class)
    }
}

/// An envelope, ready to be stored and pushed.
pub struct Drafted {
    /// What it says.
    pub header: Header,
    /// Its digest.
    pub digest: Digest,
    /// The bytes that are pushed.
    pub envelope: Vec<u8>,
    /// What was sealed.
    pub plain: Vec<records::Plain>,
    /// The envelope of ours whose content it carries anew.
    pub instead_of: Option<Digest>,
    /// Of a referral by need: what only this agent knows of where it may go.
    pub routing: Option<records::Routing>,
    /// What is to be uploaded before: sealed files, not in their places yet, by their digests.
    pub files: Vec<(Digest, Sealing)>,
}

impl std::fmt::Debug for Drafted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Drafted({})", self.digest)
    }
}

impl Drafted {
    /// The record and body that keep it.
    #[must_use]
    pub fn record(&self, idempotency_key: &str, tie: &Tie) -> (records::Queued, records::QueuedBody) {
        let name = |plain: &records::Plain| records::PartName { part_id: plain.part_id, class: plain.class };
        let sent = self.plain.iter().filter(|plain| !plain.stays);
        let queued = records::Queued {
            header: self.header.to_wire().encode_to_vec(),
            digest: self.digest.to_vec(),
            idempotency_key: idempotency_key.to_owned(),
            parts: sent.map(name).collect(),
            instead_of: self.instead_of.map_or_else(Vec::new, Digest::to_vec),
            tie: tie.to_record(),
        };
        let (envelope, plain) = (self.envelope.clone(), self.plain.clone());
        (queued, records::QueuedBody { envelope, plain, routing: self.routing.clone() })
    }
}

/// When an agency gets identity, and files that may tell it, with what opens a referral: with the acceptance
/// wherever one can come, unless the agreement wants them at once; none while they stay here.
#[must_use]
pub fn released(kind: Kind, clause: &Clause) -> Option<Release> {
    if !kind.expects_answer() {
        Some(Release::AtOnce)
    } else if clause.sender_keeps_identity {
        None
    } else {
        Some(match clause.disclosure {
            Disclosure::AtOnce => Release::AtOnce,
            Disclosure::OnAcceptance | Disclosure::Never => Release::OnAcceptance,
        })
    }
}

/// The parts of a referral, for its recipient and once more for each fallback; with each, when it gets identity.
#[must_use]
pub fn parts_of(
    document: &Document,
    recipient: Option<Release>,
    fallbacks: &[(AgencyId, Option<Release>)],
) -> Vec<PlainPart> {
    let mut parts = parts_for(document, (Release::AtOnce, recipient));
    for (fallback, held) in fallbacks {
        // Its turn is no acceptance.
        let ahead = parts_for(document, (Release::OnTurn, held.and(Some(Release::OnAcceptance))));
        parts.extend(ahead.into_iter().map(|part| PlainPart { fallback: Some(fallback.clone()), ..part }));
    }
    parts
}

/// The parts that somebody gets: those that are not held, and those that are.
fn parts_for(document: &Document, (first, held): (Release, Option<Release>)) -> Vec<PlainPart> {
    let summary = json!({"consent": document.consent, "summary": document.summary});
    let mut parts = vec![json_part(PartClass::Summary, first, &summary)];
    parts.extend(held.and_then(|held| identity_part(document, held)));
    let files = document.files.iter().filter_map(|file| {
        let release = if file.contains_identity { held? } else { first };
        Some(PlainPart {
            fallback: None,
            class: PartClass::Attachment,
            release,
            media_type: file.media_type.clone(),
            file_name: file.name.clone(),
            content: file.content.clone(),
        })
    });
    parts.extend(files);
    parts
}

/// The part that tells who she is.
#[must_use]
pub fn identity_part(document: &Document, release: Release) -> Option<PlainPart> {
    let identity = document.identity.as_ref()?;
    Some(json_part(PartClass::Identity, release, &json!({"identity": identity})))
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
        fallback: None,
        class,
        release,
        media_type: media_type.to_owned(),
        file_name: String::new(),
        content: content.to_string().into_bytes().into(),
    }
}

/// What parts are sealed to, by the agency that gets them.
pub type Keys = BTreeMap<AgencyId, Vec<(KeyId, Recipient)>>;

/// The keys of all for whom an envelope can have parts.
#[must_use]
pub fn keys_of(directory: &Directory, header: &Header, now: TimeMs) -> Keys {
    let all = [&header.to].into_iter().chain(&header.fallbacks);
    all.map(|agency| (agency.clone(), sealing_keys(directory, agency, now))).collect()
}

/// The keys that an agency's parts are sealed to: those in force, the newest first.
fn sealing_keys(directory: &Directory, agency: &AgencyId, now: TimeMs) -> Vec<(KeyId, Recipient)> {
    let keys = directory.agency(agency).map(|agency| agency.keys.as_slice()).unwrap_or_default();
    let in_force =
        keys.iter().rev().filter(|key| key.in_force(now) && key.key.purpose() == KeyPurpose::Sealing);
    let read = in_force.filter_map(|key| match &key.key {
        PublicKeyOf::Sealing(bytes) => Some((key.id, Recipient::from_bytes(bytes).ok()?)),
        PublicKeyOf::Signing(_) | PublicKeyOf::Witness(_) => None,
    });
    read.take(PART_KEYS_MAX).collect()
}

/// An envelope whose parts are listed, each with its length and its way, and not sealed yet: what the
/// rules say of it is known before any byte is sealed.
#[derive(Debug)]
pub struct Plan {
    header: Header,
    parts: Vec<PlainPart>,
    stays: Option<PlainPart>,
    keys: Keys,
}

impl Plan {
    /// Lists parts in a header. Attachments travel in the envelope as far as there is room; the others
    /// are uploaded.
    ///
    /// # Errors
    /// [`NotDrafted`].
    pub fn new(mut header: Header, parts: Vec<PlainPart>, keys: Keys) -> Result<Self, NotDrafted> {
        let mut lengths = Vec::with_capacity(parts.len());
        for (part_id, part) in (1..).zip(&parts) {
            let keys = keys_to(&keys, &header, part)?;
            // The length does not depend on which digest it is.
            let head = head(&header, part_id, part, Digest::default());
            let bytes = seal::sealed_bytes(head.bytes(), head.content_bytes, keys.len());
            lengths.push(bytes.map_err(NotDrafted::NotSealed)?);
        }
        let is_attached = |part: &PlainPart| part.class == PartClass::Attachment;
        let texts = parts.iter().zip(&lengths).filter(|(part, _)| !is_attached(part));
        let texts = texts.fold(0_u64, |sum, (_, bytes)| sum.saturating_add(*bytes));
        let mut left = INLINE_BYTES_MAX.checked_sub(texts).ok_or(NotDrafted::TooLarge)?;
        for ((part_id, part), length_bytes) in (1..).zip(&parts).zip(lengths) {
            let storage = match left.checked_sub(length_bytes) {
                _ if !is_attached(part) => Storage::Inline,
                Some(rest) => {
                    left = rest;
                    Storage::Inline
                }
                None => Storage::Uploaded,
            };
            let key_ids = keys_to(&keys, &header, part)?.iter().map(|(id, _)| *id).collect();
            header.parts.push(Part {
                part_id,
                class: part.class,
                sha256: Digest::default(),
                length_bytes,
                storage,
                release: part.release,
                recipient: part.fallback.clone(),
                key_ids,
            });
        }
        Ok(Self { header, parts, stays: None, keys })
    }

    /// Keeps a part here, beside those that are sent.
    #[must_use]
    pub fn keeping(self, stays: Option<PlainPart>) -> Self {
        Self { stays, ..self }
    }

    /// What it will say, the parts' digests aside.
    #[must_use]
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// Seals the parts: those that travel in the envelope in memory, the others straight into files of
    /// the spool, with constant memory.
    ///
    /// # Errors
    /// [`NotDrafted`].
    pub fn seal(self, spool: &Spool) -> Result<SealedParts, NotDrafted> {
        let Self { mut header, parts, stays, keys } = self;
        let mut listed = std::mem::take(&mut header.parts);
        let (mut inline, mut plain) = (Vec::new(), Vec::with_capacity(parts.len()));
        let mut files = Vec::new();
        for (part, listed) in parts.into_iter().zip(&mut listed) {
            let recipients = keys_to(&keys, &header, &part)?.iter().map(|(_, recipient)| recipient.clone());
            let recipients: Vec<Recipient> = recipients.collect();
            let read = Hashed::open(&part.content)?;
            let head = head(&header, listed.part_id, &part, read.sha256);
            let mut kept = kept(listed.part_id, &part);
            let sealed = match listed.storage {
                Storage::Inline => {
                    let mut ciphertext = Vec::new();
                    let mut content = Vec::new();
                    read.into_memory(&mut content)?;
                    let sealed = seal::seal(&head, &recipients, content.as_slice(), &mut ciphertext);
                    let ciphertext = Bytes::from(ciphertext);
                    inline.push(wire::InlinePart { part_id: listed.part_id, ciphertext });
                    kept.content = content;
                    sealed
                }
                Storage::Uploaded => {
                    let mut file = spool.sealing(listed.length_bytes)?;
                    let sealed = seal::seal(&head, &recipients, read, &mut file);
                    (kept.uploaded_bytes, kept.uploaded_sha256) = (head.content_bytes, head.content_sha256);
                    files.push((listed.part_id, file));
                    sealed
                }
            };
            let sealed = sealed.map_err(NotDrafted::NotSealed)?;
            (listed.sha256, listed.length_bytes) = (Digest(sealed.sha256), sealed.bytes);
            // What is sealed for a fallback is the same once more.
            if part.fallback.is_none() {
                plain.push(kept);
            }
        }
        for (part_id, part) in (u32::try_from(listed.len()).unwrap_or(u32::MAX)..).skip(1).zip(&stays) {
            let mut content = Vec::new();
            Hashed::open(&part.content)?.into_memory(&mut content)?;
            plain.push(records::Plain { content, stays: true, ..kept(part_id, part) });
        }
        let sha256 = |id: u32| listed.iter().find(|part| part.part_id == id).map(|part| part.sha256);
        let files = files.into_iter().filter_map(|(id, file)| Some((sha256(id)?, file))).collect();
        Ok(SealedParts { header, listed, keys, inline, plain, files })
    }
}

/// Parts that are sealed, and whose envelope is not signed yet.
pub struct SealedParts {
    header: Header,
    listed: Vec<Part>,
    keys: Keys,
    inline: Vec<wire::InlinePart>,
    plain: Vec<records::Plain>,
    files: Vec<(Digest, Sealing)>,
}

impl std::fmt::Debug for SealedParts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "SealedParts({})", self.listed.len())
    }
}

impl SealedParts {
    /// The header that was planned, with its parts, as it follows now on what was written down while
    /// they were sealed; `keys` are the recipients' now.
    ///
    /// # Errors
    /// [`NotDrafted::KeysChanged`].
    pub fn follow(&self, now: Header, keys: &Keys) -> Result<Header, NotDrafted> {
        let ids = |keys: &Keys| keys.values().flatten().map(|(id, _)| *id).collect::<Vec<_>>();
        if ids(keys) != ids(&self.keys) && !self.listed.is_empty() {
            return Err(NotDrafted::KeysChanged);
        }
        let header = Header { agreement: self.header.agreement, reason: self.header.reason, ..now };
        Ok(Header { parts: self.listed.clone(), ..header })
    }

    /// Signs the envelope.
    ///
    /// # Errors
    /// [`NotDrafted::Malformed`].
    pub fn sign(self, header: Header, signing: &SigningKey) -> Result<Drafted, NotDrafted> {
        let payload = header.to_wire().encode_to_vec();
        // The gateway reads it as strictly: better to hear of it here.
        Header::parse(&payload).map_err(NotDrafted::Malformed)?;
        let pae = dsse::pre_authentication_encoding(PayloadType::Envelope.as_str(), &payload);
        let signed = dsse::sign(PayloadType::Envelope, payload, &[signing]);
        let envelope = wire::Envelope { signed: Some(signed), parts: self.inline }.encode_to_vec();
        let (digest, plain, files) = (Digest::of(&pae), self.plain, self.files);
        Ok(Drafted { header, digest, envelope, plain, instead_of: None, routing: None, files })
    }
}

/// Who gets a part.
fn recipient<'a>(header: &'a Header, part: &'a PlainPart) -> &'a AgencyId {
    part.fallback.as_ref().unwrap_or(&header.to)
}

/// What a part is sealed to.
fn keys_to<'a>(
    keys: &'a Keys,
    header: &Header,
    part: &PlainPart,
) -> Result<&'a [(KeyId, Recipient)], NotDrafted> {
    let recipient = recipient(header, part);
    let keys = keys.get(recipient).filter(|keys| !keys.is_empty());
    keys.map(Vec::as_slice).ok_or_else(|| NotDrafted::NoKey(recipient.clone()))
}

fn head(header: &Header, part_id: u32, part: &PlainPart, sha256: Digest) -> SealHead {
    SealHead {
        version: HEAD_VERSION,
        envelope_id: header.envelope_id.as_bytes().to_vec(),
        from: header.from.to_string(),
        recipients: vec![recipient(header, part).to_string()],
        part_id,
        part_class: part.class.number().unsigned_abs(),
        content_bytes: part.content.bytes(),
        media_type: part.media_type.clone(),
        file_name: part.file_name.clone(),
        content_sha256: sha256.to_vec(),
    }
}

/// What this side remembers of a part, its content aside.
fn kept(part_id: u32, part: &PlainPart) -> records::Plain {
    records::Plain {
        part_id,
        class: part.class.number(),
        media_type: part.media_type.clone(),
        file_name: part.file_name.clone(),
        ..records::Plain::default()
    }
}

/// Content that was hashed once, and is read again from its beginning to be sealed: what changes in
/// between is not sealed.
struct Hashed<'a> {
    sha256: Digest,
    from: Source<'a>,
}

enum Source<'a> {
    Here(&'a [u8]),
    Apart(File),
    Veiled(Unveiled<'a>),
}

impl<'a> Hashed<'a> {
    fn open(content: &'a Content) -> Result<Self, NotDrafted> {
        let unreadable = |error: io::Error| NotDrafted::NotRead(error.kind());
        Ok(match content {
            Content::Here(bytes) => Self { sha256: Digest::of(bytes), from: Source::Here(bytes) },
            Content::Apart { path, .. } => {
                let mut file = File::open(path).map_err(unreadable)?;
                let mut hasher = Hasher::default();
                spool::hash(&mut file, &mut hasher).map_err(unreadable)?;
                file.rewind().map_err(unreadable)?;
                Self { sha256: hasher.finish(), from: Source::Apart(file) }
            }
            Content::Veiled(veiled) => {
                let read = veiled.read().map_err(unreadable)?;
                Self { sha256: veiled.sha256(), from: Source::Veiled(read) }
            }
        })
    }

    /// Only what fits into an envelope is read whole.
    fn into_memory(self, content: &mut Vec<u8>) -> Result<(), NotDrafted> {
        let read = io::Read::take(self, INLINE_BYTES_MAX).read_to_end(content);
        read.map(|_| ()).map_err(|error| NotDrafted::NotRead(error.kind()))
    }
}

impl io::Read for Hashed<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.from {
            Source::Here(bytes) => bytes.read(buffer),
            Source::Apart(file) => file.read(buffer),
            Source::Veiled(read) => read.read(buffer),
        }
    }
}
