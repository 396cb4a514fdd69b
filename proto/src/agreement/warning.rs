//! What is wrong with an agreement, or missing in it, before anybody signs: each a value with a stable code
//! and words in both languages. A warning forbids nothing; what the directory would refuse says so. Not
//! here: what an agreement allows (`telling`).

mod in_directory;
mod in_text;
mod words;

use crate::{
    digest::Digest,
    ids::{AgencyId, Code, Jurisdiction, TimeMs, Urgency},
    language::Language,
    refusal::Refusal,
};

/// Longer agreements are warned of: 10 years.
pub const VALIDITY_DAYS_MAX: u64 = 3_653;
/// An agreement that ends sooner than this is warned of.
pub const VALIDITY_LEFT_DAYS_MIN: u64 = 30;
/// What is sealed need not lie at the gateway for longer: one year.
pub const RETENTION_DAYS_MAX: u64 = 366;
/// Most warnings that are given at once, the heaviest.
pub const WARNINGS_MAX: usize = 500;

/// How much a warning weighs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Weight {
    /// The directory will not take the agreement.
    Refused,
    /// Two things in it do not go together, or something in it can have no effect.
    Contradiction,
    /// Something that agreements say is missing, or unusual.
    Gap,
}

impl Weight {
    /// A stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Refused => "refused",
            Self::Contradiction => "contradiction",
            Self::Gap => "gap",
        }
    }

    /// For people.
    #[must_use]
    pub const fn word(self, language: Language) -> &'static str {
        match self {
            Self::Refused => language.pick("the directory will not take it", "لن يقبلها الدليل"),
            Self::Contradiction => language.pick("contradiction", "تعارض"),
            Self::Gap => language.pick("gap", "نقص"),
        }
    }
}

/// A list of a clause.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each is described in agreement.proto, once")]
pub enum List {
    Kinds,
    Categories,
    Services,
    Urgencies,
    Jurisdictions,
}

/// What a paper says beside its clauses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Unsaid {
    /// A title in both languages.
    Title,
    /// What it rests on.
    LegalBasis,
    /// Where the gateway may stand.
    HostingCountry,
    /// The digest of the signed paper.
    Paper,
    /// How long ciphertext is kept.
    Retention,
}

/// In what two clauses differ.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Difference {
    /// When identity may travel.
    Disclosure,
    /// Time limits.
    Clocks,
    /// Sizes and numbers of files.
    Files,
    /// Whether it is by name only.
    Addressing,
}

/// Something that is wrong with an agreement, or missing.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "what a field holds is its type's to say")]
pub enum Warning {
    /// The directory would refuse it, for the sake of a clause or of the whole.
    Refused { refusal: Refusal, clause: Option<Code> },
    /// A list that allows nothing.
    ListEmpty { clause: Code, list: List },
    /// What a clause allows, an earlier one allows already.
    ClauseCovered { clause: Code, by: Code },
    /// Two clauses are for the same, and differ.
    ClausesDiffer { first: Code, second: Code, differ: Vec<Difference> },
    /// A code that no document of ours has, and the one that was perhaps meant.
    CodeUnknown { clause: Code, code: Code, nearest: Option<&'static str> },
    /// A code that stands in no header, and the one that does.
    CodeTooFine { clause: Code, code: Code, parent: &'static str },
    /// Time limits for what the clause does not allow.
    ClocksUnused { clause: Code, urgency: Urgency },
    /// A calendar, and no limit that counts in it.
    CalendarUnused { clause: Code },
    /// An attachment may be larger than anything that the gateway carries.
    LimitBeyond { clause: Code },
    /// A limit on envelopes that no sealed summary would keep.
    LimitTooSmall { clause: Code },
    /// A limit of 0, which is the network's own.
    LimitOfZero { clause: Code },
    /// The sender keeps what never travels.
    KeepsNothing { clause: Code },
    /// One may send and the other may not.
    NoReturn { from: AgencyId, to: AgencyId },
    /// It stands in no clause.
    PartyIdle { party: AgencyId },
    /// Nobody is said to sign for it.
    NoOffice { party: AgencyId },
    /// Not said.
    Unsaid(Unsaid),
    /// Identity may travel before anybody has accepted.
    IdentityAtOnce { clause: Code },
    /// Referrals whose recipient never learns who she is.
    IdentityNever { clause: Code },
    /// It begins only then.
    NotYet { from: TimeMs },
    /// It ends soon.
    EndsSoon { days: u64 },
    /// It is in force for very long.
    VeryLong { days: u64 },
    /// What is sealed is kept for very long.
    KeptLong { days: u64 },
    /// The renewal begins after the former has ended.
    RenewalGap { days: u64 },
    /// A clause of the former is gone, and with it the identity of what was sent by it.
    RenewalDrops { clause: Code },
    /// The recipient is asked by name only, and the clause does not say so.
    NotByNameOnly { clause: Code, to: AgencyId },
    /// A place in which neither of the two acts.
    ElsewhereOnly { clause: Code, jurisdiction: Jurisdiction },
    /// Emergencies, and nobody to telephone.
    NoDutyPhone { clause: Code, to: AgencyId },
    /// The recipient does not say that it offers this.
    NotOffered { clause: Code, to: AgencyId, service: Code },
    /// Another agreement in force is for the same.
    OtherAgreement { clause: Code, agreement: Digest },
}

impl Warning {
    /// A stable code.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Refused { refusal, .. } => refusal.name(),
            Self::ListEmpty { .. } => "LIST_EMPTY",
            Self::ClauseCovered { .. } => "CLAUSE_COVERED",
            Self::ClausesDiffer { .. } => "CLAUSES_DIFFER",
            Self::CodeUnknown { .. } => "CODE_UNKNOWN",
            Self::CodeTooFine { .. } => "CODE_TOO_FINE",
            Self::ClocksUnused { .. } => "CLOCKS_UNUSED",
            Self::CalendarUnused { .. } => "CALENDAR_UNUSED",
            Self::LimitBeyond { .. } => "LIMIT_BEYOND",
            Self::LimitTooSmall { .. } => "LIMIT_TOO_SMALL",
            Self::LimitOfZero { .. } => "LIMIT_OF_ZERO",
            Self::KeepsNothing { .. } => "KEEPS_NOTHING",
            Self::NoReturn { .. } => "NO_RETURN",
            Self::PartyIdle { .. } => "PARTY_IDLE",
            Self::NoOffice { .. } => "NO_OFFICE",
            Self::Unsaid(Unsaid::Title) => "NO_TITLE",
            Self::Unsaid(Unsaid::LegalBasis) => "NO_LEGAL_BASIS",
            Self::Unsaid(Unsaid::HostingCountry) => "NO_HOSTING_COUNTRY",
            Self::Unsaid(Unsaid::Paper) => "NO_PAPER",
            Self::Unsaid(Unsaid::Retention) => "NO_RETENTION",
            Self::IdentityAtOnce { .. } => "IDENTITY_AT_ONCE",
            Self::IdentityNever { .. } => "IDENTITY_NEVER",
            Self::NotYet { .. } => "NOT_YET",
            Self::EndsSoon { .. } => "ENDS_SOON",
            Self::VeryLong { .. } => "VERY_LONG",
            Self::KeptLong { .. } => "KEPT_LONG",
            Self::RenewalGap { .. } => "RENEWAL_GAP",
            Self::RenewalDrops { .. } => "RENEWAL_DROPS",
            Self::NotByNameOnly { .. } => "NOT_BY_NAME_ONLY",
            Self::ElsewhereOnly { .. } => "ELSEWHERE_ONLY",
            Self::NoDutyPhone { .. } => "NO_DUTY_PHONE",
            Self::NotOffered { .. } => "NOT_OFFERED",
            Self::OtherAgreement { .. } => "OTHER_AGREEMENT",
        }
    }

    /// How much it weighs.
    #[must_use]
    pub const fn weight(&self) -> Weight {
        match self {
            Self::Refused { .. } => Weight::Refused,
            Self::ListEmpty { .. }
            | Self::ClauseCovered { .. }
            | Self::ClausesDiffer { .. }
            | Self::CodeUnknown { .. }
            | Self::CodeTooFine { .. }
            | Self::ClocksUnused { .. }
            | Self::CalendarUnused { .. }
            | Self::LimitBeyond { .. }
            | Self::LimitTooSmall { .. }
            | Self::LimitOfZero { .. }
            | Self::KeepsNothing { .. }
            | Self::NotByNameOnly { .. }
            | Self::OtherAgreement { .. } => Weight::Contradiction,
            Self::NoReturn { .. }
            | Self::PartyIdle { .. }
            | Self::NoOffice { .. }
            | Self::Unsaid(_)
            | Self::IdentityAtOnce { .. }
            | Self::IdentityNever { .. }
            | Self::NotYet { .. }
            | Self::EndsSoon { .. }
            | Self::VeryLong { .. }
            | Self::KeptLong { .. }
            | Self::RenewalGap { .. }
            | Self::RenewalDrops { .. }
            | Self::ElsewhereOnly { .. }
            | Self::NoDutyPhone { .. }
            | Self::NotOffered { .. } => Weight::Gap,
        }
    }

    /// The clause that it is about.
    #[must_use]
    pub const fn clause(&self) -> Option<&Code> {
        match self {
            Self::Refused { clause, .. } => clause.as_ref(),
            Self::ListEmpty { clause, .. }
            | Self::ClauseCovered { clause, .. }
            | Self::ClausesDiffer { second: clause, .. }
            | Self::CodeUnknown { clause, .. }
            | Self::CodeTooFine { clause, .. }
            | Self::ClocksUnused { clause, .. }
            | Self::CalendarUnused { clause }
            | Self::LimitBeyond { clause }
            | Self::LimitTooSmall { clause }
            | Self::LimitOfZero { clause }
            | Self::KeepsNothing { clause }
            | Self::IdentityAtOnce { clause }
            | Self::IdentityNever { clause }
            | Self::RenewalDrops { clause }
            | Self::NotByNameOnly { clause, .. }
            | Self::ElsewhereOnly { clause, .. }
            | Self::NoDutyPhone { clause, .. }
            | Self::NotOffered { clause, .. }
            | Self::OtherAgreement { clause, .. } => Some(clause),
            Self::NoReturn { .. }
            | Self::PartyIdle { .. }
            | Self::NoOffice { .. }
            | Self::Unsaid(_)
            | Self::NotYet { .. }
            | Self::EndsSoon { .. }
            | Self::VeryLong { .. }
            | Self::KeptLong { .. }
            | Self::RenewalGap { .. } => None,
        }
    }

    /// A line for people: how much it weighs, its code, where, what, and what to do.
    #[must_use]
    pub fn line(&self, language: Language) -> String {
        let code = language.isolated(self.code());
        let clause = self.clause().map_or_else(String::new, |clause| {
            format!("{} {}: ", language.pick("clause", "البند"), language.isolated(clause.as_str()))
        });
        format!("{} ({code}): {clause}{}", self.weight().word(language), self.text(language))
    }

    /// What is wrong, and what to do; without the clause's name.
    #[must_use]
    pub fn text(&self, language: Language) -> String {
        match language {
            Language::English => self.english(),
            Language::Arabic => self.arabic(),
        }
    }
}

/// The heaviest first; else in the order in which they were found.
fn in_order(mut warnings: Vec<Warning>) -> Vec<Warning> {
    warnings.sort_by_key(Warning::weight);
    warnings.truncate(WARNINGS_MAX);
    warnings
}
