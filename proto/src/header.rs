//! The envelope's header: all that the gateway sees of a referral, parsed once. Not here: whether
//! the rules allow it (`decide`), and how parts are sealed (the agent).

use crate::{
    Malformed, canonical,
    digest::Digest,
    ids::{
        Addressing, AgencyId, Code, EnvelopeId, EnvelopeKey, Jurisdiction, Kind, PartClass, ReasonClass,
        ReferralKey, Release, Storage, TimeMs, Urgency,
    },
    key::KeyId,
    lifecycle::Act,
    wire,
};

/// The header's version that this release reads and writes.
pub const HEADER_VERSION: u32 = 1;
/// Longest header, in bytes.
pub const HEADER_BYTES_MAX: u64 = 16 * 1024;
/// Most parts of an envelope.
pub const PARTS_MAX: usize = 64;
/// Most sealing keys of a part.
pub const PART_KEYS_MAX: usize = 8;
/// Most fallbacks that a person can name.
pub const FALLBACKS_MAX: usize = 8;
/// Most bytes that travel inside one envelope; larger parts are uploaded.
pub const INLINE_BYTES_MAX: u64 = 1024 * 1024;
/// Most bytes of an uploaded part (2 GiB), whatever an agreement says.
pub const UPLOADED_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;

/// A header whose every field has its form. See `envelope.proto` for what the fields mean.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each field is described in envelope.proto, once")]
pub struct Header {
    pub envelope_id: EnvelopeId,
    pub referral: ReferralKey,
    pub attempt: u32,
    pub sequence: u64,
    pub previous: Option<Digest>,
    pub in_reply_to: Option<Digest>,
    pub kind: Kind,
    pub act: Act,
    pub reason: Option<ReasonClass>,
    pub from: AgencyId,
    pub to: AgencyId,
    pub category: Code,
    pub service: Code,
    pub urgency: Urgency,
    pub jurisdiction: Jurisdiction,
    pub identity_allowed: bool,
    pub addressing: Addressing,
    pub directory_size: u64,
    pub agreement: Digest,
    pub mechanism: Option<Digest>,
    pub rule: Option<Code>,
    pub created_at: TimeMs,
    pub expires_at: TimeMs,
    pub parts: Vec<Part>,
    pub fallbacks: Vec<AgencyId>,
}

/// One sealed part, as the header describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each field is described in envelope.proto, once")]
pub struct Part {
    pub part_id: u32,
    pub class: PartClass,
    pub sha256: Digest,
    pub length_bytes: u64,
    pub storage: Storage,
    pub release: Release,
    pub recipient: Option<AgencyId>,
    pub key_ids: Vec<KeyId>,
}

impl Header {
    /// Reads the payload of a signed envelope.
    ///
    /// # Errors
    /// [`Malformed`]: not canonical, a field missing or not of its form, a limit passed, an opening
    /// envelope whose id is not the referral's.
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        canonical::limit(payload.len(), HEADER_BYTES_MAX, "header")?;
        Self::from_wire(&canonical::decode(payload, "Header")?)
    }

    fn from_wire(wire: &wire::Header) -> Result<Self, Malformed> {
        if wire.version != HEADER_VERSION {
            return Err(Malformed::Form { field: "version" });
        }
        let header = Self {
            envelope_id: EnvelopeId::parse(&wire.envelope_id, "envelope_id")?,
            referral: ReferralKey::parse(wire.referral.as_ref())?,
            attempt: positive(wire.attempt, "attempt")?,
            sequence: positive(wire.sequence, "sequence")?,
            previous: optional_digest(&wire.previous, "previous")?,
            in_reply_to: optional_digest(&wire.in_reply_to, "in_reply_to")?,
            kind: Kind::parse(wire.kind, "kind")?,
            act: Act::parse(wire.act, "act")?,
            reason: optional_reason(wire.reason)?,
            from: AgencyId::parse(&wire.from, "from")?,
            to: AgencyId::parse(&wire.to, "to")?,
            category: Code::parse(&wire.category, "category")?,
            service: Code::parse(&wire.service, "service")?,
            urgency: Urgency::parse(wire.urgency, "urgency")?,
            jurisdiction: Jurisdiction::parse(&wire.jurisdiction, "jurisdiction")?,
            identity_allowed: wire.identity_allowed,
            addressing: Addressing::parse(wire.addressing, "addressing")?,
            directory_size: positive(wire.directory_size, "directory_size")?,
            agreement: Digest::parse(&wire.agreement, "agreement")?,
            mechanism: optional_digest(&wire.mechanism, "mechanism")?,
            rule: Code::parse_optional(&wire.rule, "rule")?,
            created_at: TimeMs(positive(wire.created_at_ms, "created_at_ms")?),
            expires_at: TimeMs(positive(wire.expires_at_ms, "expires_at_ms")?),
            parts: parts(&wire.parts)?,
            fallbacks: fallbacks(wire)?,
        };
        header.check()
    }

    /// What holds between fields.
    fn check(self) -> Result<Self, Malformed> {
        if self.previous.is_some() != (self.sequence > 1) {
            return Err(Malformed::Form { field: "previous" });
        }
        // The opening envelope's id is the referral's, so a referral's name cannot be taken twice.
        let opens = self.referral.id == self.envelope_id;
        let first = self.act == Act::Submit && self.attempt == 1 && self.sequence == 1;
        if opens != first || (opens && self.referral.opened_by != self.from) {
            return Err(Malformed::Form { field: "referral.referral_id" });
        }
        let by_need = self.addressing == Addressing::ByNeed;
        if self.mechanism.is_some() != by_need || self.rule.is_some() != by_need {
            return Err(Malformed::Form { field: "mechanism" });
        }
        if self.expires_at <= self.created_at {
            return Err(Malformed::Form { field: "expires_at_ms" });
        }
        if self.inline_bytes() > INLINE_BYTES_MAX {
            return Err(Malformed::TooLarge { field: "parts.length_bytes", limit: INLINE_BYTES_MAX });
        }
        self.check_releases()?;
        Ok(self)
    }

    /// A part that waits for something that will never happen would be taken and never delivered.
    fn check_releases(&self) -> Result<(), Malformed> {
        let submits = self.act == Act::Submit;
        for part in &self.parts {
            let comes = match part.release {
                Release::AtOnce => true,
                Release::OnAcceptance => submits && self.kind.expects_answer(),
                Release::OnTurn => submits,
            };
            if !comes {
                return Err(Malformed::Form { field: "parts.release" });
            }
            // What is sealed for a fallback waits for its turn, or for its acceptance after that.
            let fits = match part.release {
                Release::AtOnce => part.recipient.is_none(),
                Release::OnAcceptance => true,
                Release::OnTurn => part.recipient.is_some(),
            };
            if !fits {
                return Err(Malformed::Form { field: "parts.recipient" });
            }
        }
        Ok(())
    }

    /// Unique name of the envelope.
    #[must_use]
    pub fn key(&self) -> EnvelopeKey {
        EnvelopeKey { id: self.envelope_id, from: self.from.clone() }
    }

    /// Whether this envelope opens its referral.
    #[must_use]
    pub fn opens(&self) -> bool {
        self.referral.id == self.envelope_id
    }

    /// The parts that travel in the envelope.
    pub fn inline_parts(&self) -> impl Iterator<Item = &Part> {
        self.parts.iter().filter(|part| part.storage == Storage::Inline)
    }

    fn inline_bytes(&self) -> u64 {
        self.inline_parts().fold(0, |sum, part| sum.saturating_add(part.length_bytes))
    }

    /// The wire form.
    #[must_use]
    pub fn to_wire(&self) -> wire::Header {
        wire::Header {
            version: HEADER_VERSION,
            envelope_id: self.envelope_id.as_bytes().to_vec(),
            referral: Some(self.referral.to_wire()),
            attempt: self.attempt,
            sequence: self.sequence,
            previous: bytes(self.previous),
            in_reply_to: bytes(self.in_reply_to),
            kind: self.kind.number(),
            act: self.act.number(),
            reason: self.reason.map_or(0, ReasonClass::number),
            from: self.from.as_str().to_owned(),
            to: self.to.as_str().to_owned(),
            category: self.category.as_str().to_owned(),
            service: self.service.as_str().to_owned(),
            urgency: self.urgency.number(),
            jurisdiction: self.jurisdiction.as_str().to_owned(),
            identity_allowed: self.identity_allowed,
            addressing: self.addressing.number(),
            directory_size: self.directory_size,
            agreement: self.agreement.to_vec(),
            mechanism: bytes(self.mechanism),
            rule: self.rule.as_ref().map_or_else(String::new, ToString::to_string),
            created_at_ms: self.created_at.0,
            expires_at_ms: self.expires_at.0,
            parts: self.parts.iter().map(Part::to_wire).collect(),
            fallbacks: self.fallbacks.iter().map(ToString::to_string).collect(),
        }
    }

    /// The first field in which two headers differ, by its name in `envelope.proto`; none when they
    /// are the same.
    #[must_use]
    pub fn first_difference(&self, other: &Self) -> Option<&'static str> {
        let differs = [
            (self.referral != other.referral, "referral"),
            (self.attempt != other.attempt, "attempt"),
            (self.sequence != other.sequence, "sequence"),
            (self.previous != other.previous, "previous"),
            (self.in_reply_to != other.in_reply_to, "in_reply_to"),
            (self.kind != other.kind, "kind"),
            (self.act != other.act, "act"),
            (self.reason != other.reason, "reason"),
            (self.to != other.to, "to"),
            (self.category != other.category, "category"),
            (self.service != other.service, "service"),
            (self.urgency != other.urgency, "urgency"),
            (self.jurisdiction != other.jurisdiction, "jurisdiction"),
            (self.identity_allowed != other.identity_allowed, "identity_allowed"),
            (self.addressing != other.addressing, "addressing"),
            (self.directory_size != other.directory_size, "directory_size"),
            (self.agreement != other.agreement, "agreement"),
            (self.mechanism != other.mechanism, "mechanism"),
            (self.rule != other.rule, "rule"),
            (self.created_at != other.created_at, "created_at_ms"),
            (self.expires_at != other.expires_at, "expires_at_ms"),
            (self.parts != other.parts, "parts"),
            (self.fallbacks != other.fallbacks, "fallbacks"),
        ];
        differs.iter().find(|(differs, _)| *differs).map(|(_, field)| *field)
    }
}

impl Part {
    /// Whether an agency is the one that can open it.
    #[must_use]
    pub fn is_for(&self, header: &Header, agency: &AgencyId) -> bool {
        self.recipient.as_ref().unwrap_or(&header.to) == agency
    }

    fn parse(wire: &wire::Part) -> Result<Self, Malformed> {
        let storage = Storage::parse(wire.storage, "parts.storage")?;
        let length_bytes = positive(wire.length_bytes, "parts.length_bytes")?;
        let limit = match storage {
            Storage::Inline => INLINE_BYTES_MAX,
            Storage::Uploaded => UPLOADED_BYTES_MAX,
        };
        if length_bytes > limit {
            return Err(Malformed::TooLarge { field: "parts.length_bytes", limit });
        }
        Ok(Self {
            part_id: wire.part_id,
            class: PartClass::parse(wire.class, "parts.class")?,
            sha256: Digest::parse(&wire.sha256, "parts.sha256")?,
            length_bytes,
            storage,
            release: Release::parse(wire.release, "parts.release")?,
            recipient: AgencyId::parse_optional(&wire.recipient, "parts.recipient")?,
            key_ids: key_ids(&wire.key_ids)?,
        })
    }

    fn to_wire(&self) -> wire::Part {
        wire::Part {
            part_id: self.part_id,
            class: self.class.number(),
            sha256: self.sha256.to_vec(),
            length_bytes: self.length_bytes,
            storage: self.storage.number(),
            release: self.release.number(),
            recipient: self.recipient.as_ref().map_or_else(String::new, ToString::to_string),
            key_ids: self.key_ids.iter().map(ToString::to_string).collect(),
        }
    }
}

fn parts(wire: &[wire::Part]) -> Result<Vec<Part>, Malformed> {
    canonical::limit(wire.len(), canonical::count(PARTS_MAX), "parts")?;
    let parts = wire.iter().map(Part::parse).collect::<Result<Vec<_>, _>>()?;
    let counted = (1..).zip(&parts).all(|(place, part)| part.part_id == place);
    if counted { Ok(parts) } else { Err(Malformed::Form { field: "parts.part_id" }) }
}

fn key_ids(wire: &[String]) -> Result<Vec<KeyId>, Malformed> {
    const FIELD: &str = "parts.key_ids";
    if wire.is_empty() {
        return Err(Malformed::Missing { field: FIELD });
    }
    canonical::limit(wire.len(), canonical::count(PART_KEYS_MAX), FIELD)?;
    wire.iter().map(|id| KeyId::parse(id, FIELD)).collect()
}

fn fallbacks(wire: &wire::Header) -> Result<Vec<AgencyId>, Malformed> {
    canonical::limit(wire.fallbacks.len(), canonical::count(FALLBACKS_MAX), "fallbacks")?;
    let mut fallbacks = Vec::with_capacity(wire.fallbacks.len());
    for text in &wire.fallbacks {
        let fallback = AgencyId::parse(text, "fallbacks")?;
        if fallbacks.contains(&fallback) || *text == wire.to || *text == wire.from {
            return Err(Malformed::Form { field: "fallbacks" });
        }
        fallbacks.push(fallback);
    }
    Ok(fallbacks)
}

fn positive<N: PartialEq + Default>(value: N, field: &'static str) -> Result<N, Malformed> {
    if value == N::default() { Err(Malformed::Missing { field }) } else { Ok(value) }
}

fn optional_reason(number: i32) -> Result<Option<ReasonClass>, Malformed> {
    if number == 0 { Ok(None) } else { ReasonClass::parse(number, "reason").map(Some) }
}

fn optional_digest(bytes: &[u8], field: &'static str) -> Result<Option<Digest>, Malformed> {
    if bytes.is_empty() { Ok(None) } else { Digest::parse(bytes, field).map(Some) }
}

fn bytes(digest: Option<Digest>) -> Vec<u8> {
    digest.map_or_else(Vec::new, Digest::to_vec)
}
