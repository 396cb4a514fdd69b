//! Agreements: a memorandum as data, and whether it allows an envelope. Not here: who has signed it
//! and whether it is suspended (`directory`), what it says to people (`telling`), and what is wrong with it
//! (`warning`).

pub mod telling;
pub mod warning;
pub mod whole;

use std::collections::BTreeSet;

use crate::{
    Malformed, canonical,
    clocks::AgreedClocks,
    digest::Digest,
    header::{Header, Part},
    ids::{
        Addressing, AgencyId, Code, EnvelopeId, Jurisdiction, Kind, PartClass, Release, Storage, TimeMs,
        Urgency, closed_list,
    },
    lifecycle::Act,
    refusal::Refusal,
    wire,
};

/// Most parties of an agreement.
pub const PARTIES_MAX: usize = 32;
/// Most clauses of an agreement.
pub const CLAUSES_MAX: usize = 256;
/// Most values in one list of a clause.
pub const CLAUSE_VALUES_MAX: usize = 128;
/// Longest title, office or legal basis, in bytes.
pub const AGREEMENT_TEXT_BYTES_MAX: u64 = 512;
/// Default for one attachment: 100 MiB.
pub const ATTACHMENT_BYTES_DEFAULT: u64 = 100 * 1024 * 1024;
/// Default for the number of attachments.
pub const ATTACHMENTS_DEFAULT: u32 = 16;
/// Into less than this no sealed summary fits, as far as an agreement's limit on envelopes is judged: 16 KiB.
pub const ENVELOPE_BYTES_MIN: u64 = 16 * 1024;

closed_list!(
    /// When identity may be disclosed under a clause.
    Disclosure {
        /// Not at all.
        Never = 1,
        /// When the recipient has accepted.
        OnAcceptance = 2,
        /// With the envelope.
        AtOnce = 3,
    }
);

/// An agreement, as far as the rules read it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Agreement {
    /// Stays the same through renewals.
    pub id: EnvelopeId,
    /// From 1, one more with each renewal.
    pub revision: u32,
    /// The agreement that this one replaces.
    pub supersedes: Option<Digest>,
    /// Sorted.
    pub parties: Vec<AgencyId>,
    /// One direction each.
    pub clauses: Vec<Clause>,
    /// First moment in force.
    pub valid_from: TimeMs,
    /// First moment no longer in force.
    pub valid_until: TimeMs,
    /// How long ciphertext is kept after an envelope has expired; nothing for the network's default.
    pub retention_days: Option<u32>,
}

/// What is to go from whom to whom: of a header what a clause is about, its parts aside.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each field is described in envelope.proto (Header), once")]
pub struct Need<'a> {
    pub from: &'a AgencyId,
    pub to: &'a AgencyId,
    pub kind: Kind,
    pub category: &'a Code,
    pub service: &'a Code,
    pub urgency: Urgency,
    pub jurisdiction: &'a Jurisdiction,
    pub addressing: Addressing,
}

impl<'a> From<&'a Header> for Need<'a> {
    fn from(header: &'a Header) -> Self {
        Self {
            from: &header.from,
            to: &header.to,
            kind: header.kind,
            category: &header.category,
            service: &header.service,
            urgency: header.urgency,
            jurisdiction: &header.jurisdiction,
            addressing: header.addressing,
        }
    }
}

/// What one party may send to another. An empty list allows nothing.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each field is described in agreement.proto, once")]
pub struct Clause {
    pub clause_id: Code,
    pub from: AgencyId,
    pub to: AgencyId,
    pub kinds: Vec<Kind>,
    pub categories: Vec<Code>,
    pub services: Vec<Code>,
    pub urgencies: Vec<Urgency>,
    pub jurisdictions: Vec<Jurisdiction>,
    pub disclosure: Disclosure,
    pub clocks: AgreedClocks,
    pub attachment_bytes_max: u64,
    pub attachments_max: u32,
    /// Of what travels in an envelope for one recipient; none when the agreement names none.
    pub envelope_bytes_max: Option<u64>,
    pub by_name_only: bool,
    pub sender_keeps_identity: bool,
}

impl Agreement {
    /// Reads the payload of a signed agreement.
    ///
    /// # Errors
    /// [`Malformed`]: not canonical, a field missing or not of its form, a limit passed.
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let wire: wire::Agreement = canonical::decode(payload, "Agreement")?;
        if wire.version != 1 {
            return Err(Malformed::Form { field: "version" });
        }
        texts(&wire)?;
        let parties = parties(&wire.parties)?;
        let (valid_from, valid_until) = (TimeMs(wire.valid_from_ms), TimeMs(wire.valid_until_ms));
        if valid_until <= valid_from {
            return Err(Malformed::Form { field: "valid_until_ms" });
        }
        if wire.revision == 0 || (wire.revision == 1) != wire.supersedes.is_empty() {
            return Err(Malformed::Form { field: "revision" });
        }
        Ok(Self {
            id: EnvelopeId::parse(&wire.agreement_id, "agreement_id")?,
            revision: wire.revision,
            supersedes: if wire.supersedes.is_empty() {
                None
            } else {
                Some(Digest::parse(&wire.supersedes, "supersedes")?)
            },
            clauses: clauses(&wire.clauses, &parties)?,
            parties,
            valid_from,
            valid_until,
            retention_days: Some(wire.retention_days).filter(|days| *days > 0),
        })
    }

    /// The clause that allows an envelope to be sent at a moment.
    ///
    /// # Errors
    /// The first [`Refusal`] in precedence: what no clause allows.
    pub fn permits(&self, header: &Header, now: TimeMs) -> Result<&Clause, Refusal> {
        self.find(now, |clause| clause.permits(header))
    }

    /// The clause that allows a need to be referred at a moment, whatever parts it has.
    ///
    /// # Errors
    /// As [`Self::permits`].
    pub fn permits_need(&self, need: Need<'_>, now: TimeMs) -> Result<&Clause, Refusal> {
        self.find(now, |clause| clause.permits_need(need))
    }

    /// A clause by its name.
    #[must_use]
    pub fn clause(&self, clause_id: &Code) -> Option<&Clause> {
        self.clauses.iter().find(|clause| clause.clause_id == *clause_id)
    }

    fn find(
        &self,
        now: TimeMs,
        permits: impl Fn(&Clause) -> Result<(), Refusal>,
    ) -> Result<&Clause, Refusal> {
        if now < self.valid_from {
            return Err(Refusal::AgreementNotYet);
        }
        if now >= self.valid_until {
            return Err(Refusal::AgreementEnded);
        }
        let mut first_missing = Refusal::DirectionNotAgreed;
        for clause in &self.clauses {
            match permits(clause) {
                Ok(()) => return Ok(clause),
                // Of several clauses, the one that comes furthest tells what is missing.
                Err(missing) => first_missing = first_missing.max(missing),
            }
        }
        Err(first_missing)
    }

    /// Whether any clause lets one agency send to another.
    #[must_use]
    pub fn has_direction(&self, from: &AgencyId, to: &AgencyId) -> bool {
        self.clauses.iter().any(|clause| clause.from == *from && clause.to == *to)
    }
}

impl Clause {
    fn permits(&self, header: &Header) -> Result<(), Refusal> {
        self.permits_need(header.into())?;
        self.permits_identity(header)?;
        self.permits_sizes(&header.parts, None)
    }

    fn permits_need(&self, need: Need<'_>) -> Result<(), Refusal> {
        let missing = if self.from != *need.from || self.to != *need.to {
            Refusal::DirectionNotAgreed
        } else if !self.kinds.contains(&need.kind) {
            Refusal::KindNotAgreed
        } else if !self.categories.contains(need.category) {
            Refusal::CategoryNotAgreed
        } else if !self.services.contains(need.service) {
            Refusal::ServiceNotAgreed
        } else if !self.urgencies.contains(&need.urgency) {
            Refusal::UrgencyNotAgreed
        } else if !self.covers(need.jurisdiction) {
            Refusal::JurisdictionNotAgreed
        } else if self.by_name_only && need.addressing != Addressing::ByName {
            Refusal::OnlyByName
        } else {
            return Ok(());
        };
        Err(missing)
    }

    fn covers(&self, jurisdiction: &Jurisdiction) -> bool {
        self.jurisdictions.iter().any(|agreed| agreed.covers(jurisdiction))
    }

    /// Whether the identity parts may travel as they do.
    ///
    /// # Errors
    /// [`Refusal::IdentityNotAllowed`] or [`Refusal::IdentityTooEarly`].
    pub fn permits_identity(&self, header: &Header) -> Result<(), Refusal> {
        if header.act == Act::Submit && self.keeps_back(&header.parts, None) {
            return Err(Refusal::IdentityTooEarly);
        }
        for part in header.parts.iter().filter(|part| part.class == PartClass::Identity) {
            if !header.identity_allowed || self.disclosure == Disclosure::Never {
                return Err(Refusal::IdentityNotAllowed);
            }
            // A fallback's turn is no acceptance. What is parked for it is judged by its own clause.
            match (&part.recipient, part.release) {
                (None, _) => {}
                (Some(_), Release::OnAcceptance) => continue,
                (Some(_), Release::AtOnce | Release::OnTurn) => return Err(Refusal::IdentityNotAllowed),
            }
            // Only a submission can park. Of an act, `decide` knows whether an acceptance came before.
            let unparked = header.act == Act::Submit && part.release != Release::OnAcceptance;
            if self.disclosure == Disclosure::OnAcceptance && unparked {
                return Err(Refusal::IdentityTooEarly);
            }
        }
        Ok(())
    }

    /// Whether the sender was to keep some of these parts until a person there discloses them: identity, and all
    /// that waits for an acceptance.
    #[must_use]
    pub fn keeps_back(&self, parts: &[Part], fallback: Option<&AgencyId>) -> bool {
        let is_kept =
            |part: &Part| part.class == PartClass::Identity || part.release == Release::OnAcceptance;
        self.sender_keeps_identity
            && parts.iter().any(|part| part.recipient.as_ref() == fallback && is_kept(part))
    }

    /// Whether the attachments for the header's recipient, or for a fallback, are neither too large nor
    /// too many, and what travels in the envelope for it is not too large.
    ///
    /// # Errors
    /// [`Refusal::PartTooLarge`].
    pub fn permits_sizes(&self, parts: &[Part], fallback: Option<&AgencyId>) -> Result<(), Refusal> {
        let (mut inline, mut attachments, mut too_large) = (0_u64, 0_u32, false);
        for part in parts.iter().filter(|part| part.recipient.as_ref() == fallback) {
            if part.storage == Storage::Inline {
                inline = inline.saturating_add(part.length_bytes);
            }
            if part.class == PartClass::Attachment {
                attachments = attachments.saturating_add(1);
                too_large |= part.length_bytes > self.attachment_bytes_max;
            }
        }
        let too_many = attachments > self.attachments_max;
        let too_much = self.envelope_bytes_max.is_some_and(|most| inline > most);
        if too_large || too_many || too_much { Err(Refusal::PartTooLarge) } else { Ok(()) }
    }
}

fn texts(wire: &wire::Agreement) -> Result<(), Malformed> {
    canonical::text(&wire.title_en, AGREEMENT_TEXT_BYTES_MAX, "title_en")?;
    canonical::text(&wire.title_ar, AGREEMENT_TEXT_BYTES_MAX, "title_ar")?;
    canonical::text(&wire.legal_basis, AGREEMENT_TEXT_BYTES_MAX, "legal_basis")?;
    if !wire.hosting_country.is_empty() {
        Jurisdiction::parse(&wire.hosting_country, "hosting_country")?;
    }
    if !wire.paper_sha256.is_empty() {
        Digest::parse(&wire.paper_sha256, "paper_sha256")?;
    }
    for party in &wire.parties {
        canonical::text(&party.signing_office_en, AGREEMENT_TEXT_BYTES_MAX, "parties.signing_office_en")?;
        canonical::text(&party.signing_office_ar, AGREEMENT_TEXT_BYTES_MAX, "parties.signing_office_ar")?;
    }
    Ok(())
}

fn parties(wire: &[wire::Party]) -> Result<Vec<AgencyId>, Malformed> {
    canonical::limit(wire.len(), canonical::count(PARTIES_MAX), "parties")?;
    let parties = wire.iter().map(|party| AgencyId::parse(&party.agency, "parties.agency"));
    let parties = parties.collect::<Result<Vec<_>, _>>()?;
    let sorted = parties.iter().zip(parties.iter().skip(1)).all(|(one, next)| one < next);
    if parties.len() >= 2 && sorted { Ok(parties) } else { Err(Malformed::Form { field: "parties" }) }
}

fn clauses(wire: &[wire::Clause], parties: &[AgencyId]) -> Result<Vec<Clause>, Malformed> {
    if wire.is_empty() {
        return Err(Malformed::Missing { field: "clauses" });
    }
    canonical::limit(wire.len(), canonical::count(CLAUSES_MAX), "clauses")?;
    let clauses = wire.iter().map(|wire| clause(wire, parties)).collect::<Result<Vec<_>, _>>()?;
    // Evidence names the clause that matched: one name, one clause.
    let names: BTreeSet<_> = clauses.iter().map(|clause| &clause.clause_id).collect();
    if names.len() == clauses.len() {
        Ok(clauses)
    } else {
        Err(Malformed::Form { field: "clauses.clause_id" })
    }
}

fn clause(wire: &wire::Clause, parties: &[AgencyId]) -> Result<Clause, Malformed> {
    let limits = wire.limits.unwrap_or_default();
    let party = |text: &str, field| {
        let agency = AgencyId::parse(text, field)?;
        // Shared with the list of parties.
        parties
            .iter()
            .find(|party| **party == agency)
            .cloned()
            .ok_or(Malformed::Form { field: "clauses.from" })
    };
    let clause = Clause {
        clause_id: Code::parse(&wire.clause_id, "clauses.clause_id")?,
        from: party(&wire.from, "clauses.from")?,
        to: party(&wire.to, "clauses.to")?,
        kinds: list(&wire.kinds, "clauses.kinds", |kind, field| Kind::parse(*kind, field))?,
        categories: list(&wire.categories, "clauses.categories", |code, field| Code::parse(code, field))?,
        services: list(&wire.services, "clauses.services", |code, field| Code::parse(code, field))?,
        urgencies: list(&wire.urgencies, "clauses.urgencies", |urgency, field| {
            Urgency::parse(*urgency, field)
        })?,
        jurisdictions: list(&wire.jurisdictions, "clauses.jurisdictions", |text, field| {
            Jurisdiction::parse(text, field)
        })?,
        disclosure: Disclosure::parse(wire.disclosure, "clauses.disclosure")?,
        clocks: AgreedClocks::parse(wire.clocks.as_ref()),
        attachment_bytes_max: or_default(limits.attachment_bytes_max, ATTACHMENT_BYTES_DEFAULT),
        attachments_max: or_default(limits.attachments_max, ATTACHMENTS_DEFAULT),
        envelope_bytes_max: Some(limits.envelope_bytes_max).filter(|most| *most > 0),
        by_name_only: wire.by_name_only,
        sender_keeps_identity: wire.sender_keeps_identity,
    };
    if clause.from == clause.to { Err(Malformed::Form { field: "clauses.from" }) } else { Ok(clause) }
}

fn list<W, T>(
    wire: &[W],
    field: &'static str,
    parse: impl Fn(&W, &'static str) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    canonical::limit(wire.len(), canonical::count(CLAUSE_VALUES_MAX), field)?;
    wire.iter().map(|value| parse(value, field)).collect()
}

fn or_default<N: Default + PartialEq>(value: N, default: N) -> N {
    if value == N::default() { default } else { value }
}
