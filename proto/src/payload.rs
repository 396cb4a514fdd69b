//! The payload: which field belongs to which sealed part, and the form of each. Fields with a prefix
//! (`prs_`, `vic_`, …) are those of IOM's HTCDS 2.0 (CC BY 4.0); the others are ours, where it is
//! silent. Not here: JSON, and sealing; the sender's agent applies this table before it seals.

pub mod consent;
pub mod household;
pub mod kinds;
pub mod telling;

use crate::{
    ids::{AgencyId, ReasonClass},
    vocabulary::{self, Vocabulary},
};

/// Longest text of a field, in bytes.
pub const TEXT_BYTES_MAX: usize = 16 * 1024;
/// Most values of a list, and most objects in one.
pub const VALUES_MAX: usize = 64;
/// Largest count.
pub const COUNT_MAX: u64 = 1_000;

/// Names of fields.
pub type List = &'static [&'static str];

/// Where a field may stand.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Home {
    /// What the person consented to; travels sealed with the summary.
    Consent,
    /// Need, risk, safe contact: nothing that tells who she is.
    Summary,
    /// Who she is.
    Identity,
    /// In the summary or with the identity.
    Either,
    /// The detail of an act: coded reason, outcome, note.
    Detail,
    /// In every part and in the consent: which person of the household is meant.
    Throughout,
    /// Nowhere: it could tell where she is, or where a shelter is.
    Barred,
}

/// What a value looks like.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Form {
    /// Text for people.
    Text,
    /// True or false.
    Flag,
    /// A whole number up to [`COUNT_MAX`].
    Count,
    /// A day: `2026-11-22`.
    Date,
    /// A telephone number, E.164: `+97142222222`.
    Phone,
    /// A language, ISO 639: `ar`, `tgl`.
    Language,
    /// Several of them.
    Languages,
    /// Countries, ISO 3166: `AE`.
    Countries,
    /// Agency ids.
    Agencies,
    /// A person of the household, by a number that means nothing outside the case: `p1`.
    Person,
    /// One code of a vocabulary.
    OneOf(&'static Vocabulary),
    /// Some codes of a vocabulary.
    SomeOf(&'static Vocabulary),
    /// An object of these fields.
    Object(List),
    /// A list of such objects.
    Objects(List),
}

impl Form {
    /// The vocabulary of its codes; none for what is written in words or numbers.
    #[must_use]
    pub const fn vocabulary(self) -> Option<&'static Vocabulary> {
        match self {
            Self::OneOf(vocabulary) | Self::SomeOf(vocabulary) => Some(vocabulary),
            Self::Language | Self::Languages => Some(vocabulary::LANGUAGES),
            Self::Text
            | Self::Flag
            | Self::Count
            | Self::Date
            | Self::Phone
            | Self::Countries
            | Self::Agencies
            | Self::Person
            | Self::Object(_)
            | Self::Objects(_) => None,
        }
    }
}

/// A field.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Its name in JSON.
    pub name: &'static str,
    /// Where it may stand.
    pub home: Home,
    /// What its value looks like.
    pub form: Form,
}

const fn field(name: &'static str, home: Home, form: Form) -> Field {
    Field { name, home, form }
}

const PERSON: List = &[
    "person",
    "role",
    "name",
    "prs_Salutation",
    "prs_FirstName",
    "prs_MiddleName",
    "prs_SecondName",
    "prs_Title",
    "prs_Birthdate",
    "prs_Gender",
    "prs_MaritalStatus",
    "prs_NumberOfChildren",
    "prs_PrimaryLanguage",
    "prs_SecondaryLanguage",
    "prs_HighestLevelOfEducation",
    "prs_Citizenship",
    "prs_IdentityNumber",
    "prs_MobilePhone",
    "prs_HomePhone",
    "prs_Email",
    "prs_Deceased",
    "consent",
    "note",
];

/// What one person of a household consented to, where it is not what the others did.
const OWN_CONSENT: List = &[
    "person",
    "basis",
    "identity_allowed",
    "agencies",
    "data",
    "given_on",
    "until",
    "child_assent",
    "guardian_suspected",
    "decided_by",
    "approved_by",
    "justification",
    "legal_reference",
    "con_Consent",
];

/// Every known field, each once.
pub const FIELDS: &[Field] = &[
    // Consent. Ours, and HTCDS "Consent".
    field("basis", Home::Consent, Form::OneOf(vocabulary::CONSENT_BASES)),
    field("identity_allowed", Home::Consent, Form::Flag),
    field("agencies", Home::Consent, Form::Agencies),
    field("data", Home::Consent, Form::SomeOf(vocabulary::CONSENTED_DATA)),
    field("given_on", Home::Consent, Form::Date),
    field("until", Home::Consent, Form::Date),
    field("child_assent", Home::Consent, Form::Flag),
    field("guardian_suspected", Home::Consent, Form::Flag),
    field("decided_by", Home::Consent, Form::Text),
    field("approved_by", Home::Consent, Form::Text),
    field("justification", Home::Consent, Form::Text),
    field("legal_reference", Home::Consent, Form::Text),
    field("con_Consent", Home::Consent, Form::Flag),
    field("vic_AgreementToManagePersonalData", Home::Consent, Form::Flag),
    field("own_consents", Home::Consent, Form::Objects(OWN_CONSENT)),
    // Summary. Ours.
    field("need", Home::Summary, Form::Text),
    field("detailed_category", Home::Summary, Form::OneOf(vocabulary::CATEGORIES)),
    field("detailed_services", Home::Summary, Form::SomeOf(vocabulary::SERVICES)),
    field("risk", Home::Summary, Form::Object(&["level", "immediate_danger", "note"])),
    field("level", Home::Summary, Form::OneOf(vocabulary::RISK_LEVELS)),
    field("immediate_danger", Home::Summary, Form::Flag),
    field(
        "safe_contact",
        Home::Summary,
        Form::Object(&[
            "who",
            "when",
            "language",
            "channels",
            "never",
            "phone_is_shared",
            "phone_held_by",
            "note",
        ]),
    ),
    field("who", Home::Summary, Form::Text),
    field("when", Home::Summary, Form::Text),
    field("language", Home::Summary, Form::Language),
    field("channels", Home::Summary, Form::SomeOf(vocabulary::CHANNELS)),
    field("never", Home::Summary, Form::SomeOf(vocabulary::CHANNELS)),
    field("phone_is_shared", Home::Summary, Form::Flag),
    field("phone_held_by", Home::Summary, Form::SomeOf(vocabulary::PHONE_HOLDERS)),
    field("languages", Home::Summary, Form::Languages),
    field("interpreter_needed", Home::Summary, Form::Flag),
    field("access_needs", Home::Summary, Form::SomeOf(vocabulary::ACCESS_NEEDS)),
    field("accessibility", Home::Summary, Form::Text),
    field("vulnerabilities", Home::Summary, Form::SomeOf(vocabulary::VULNERABILITIES)),
    field(
        "household",
        Home::Summary,
        Form::Objects(&[
            "person",
            "role",
            "age_group",
            "prs_Gender",
            "prs_PrimaryLanguage",
            "vulnerabilities",
        ]),
    ),
    field("joint_with", Home::Summary, Form::Agencies),
    field("age_group", Home::Summary, Form::OneOf(vocabulary::AGE_GROUPS)),
    // Of other kinds than referrals. Ours.
    field("signs", Home::Summary, Form::SomeOf(vocabulary::SUSPICION_SIGNS)),
    field("noticed_on", Home::Summary, Form::Date),
    field("setting", Home::Summary, Form::OneOf(vocabulary::SETTINGS)),
    field("persons_affected", Home::Summary, Form::Count),
    field("document_type", Home::Summary, Form::OneOf(vocabulary::DOCUMENT_TYPES)),
    field("message", Home::Summary, Form::Text),
    // Ours, in more than one part.
    field("person", Home::Throughout, Form::Person),
    field("role", Home::Either, Form::OneOf(vocabulary::HOUSEHOLD_ROLES)),
    // HTCDS "Person".
    field("prs_Gender", Home::Either, Form::OneOf(vocabulary::GENDERS)),
    field("prs_MaritalStatus", Home::Either, Form::OneOf(vocabulary::MARITAL_STATUSES)),
    field("prs_NumberOfChildren", Home::Either, Form::Count),
    field("prs_PrimaryLanguage", Home::Either, Form::Language),
    field("prs_SecondaryLanguage", Home::Either, Form::Language),
    field("prs_HighestLevelOfEducation", Home::Either, Form::OneOf(vocabulary::EDUCATION_LEVELS)),
    field("prs_Salutation", Home::Identity, Form::Text),
    field("prs_FirstName", Home::Identity, Form::Text),
    field("prs_MiddleName", Home::Identity, Form::Text),
    field("prs_SecondName", Home::Identity, Form::Text),
    field("prs_Title", Home::Identity, Form::Text),
    field("prs_Birthdate", Home::Identity, Form::Date),
    field("prs_Citizenship", Home::Identity, Form::Countries),
    field("prs_IdentityNumber", Home::Identity, Form::Text),
    field("prs_Email", Home::Identity, Form::Text),
    field("prs_HomePhone", Home::Identity, Form::Phone),
    field("prs_MobilePhone", Home::Identity, Form::Phone),
    field("prs_Deceased", Home::Identity, Form::Flag),
    field("prs_MailingCity", Home::Barred, Form::Text),
    field("prs_MailingCountry", Home::Barred, Form::Text),
    field("prs_MailingState", Home::Barred, Form::Text),
    field("prs_MailingStreet", Home::Barred, Form::Text),
    field("prs_MailingPostalCode", Home::Barred, Form::Text),
    field("prs_MailingLongitude", Home::Barred, Form::Text),
    field("prs_MailingLatitude", Home::Barred, Form::Text),
    // Identity. Ours.
    field("persons", Home::Identity, Form::Objects(PERSON)),
    field("name", Home::Identity, Form::Object(&["given", "father", "grandfather", "family", "latin"])),
    field("given", Home::Identity, Form::Text),
    field("father", Home::Identity, Form::Text),
    field("grandfather", Home::Identity, Form::Text),
    field("family", Home::Identity, Form::Text),
    field("latin", Home::Identity, Form::Text),
    field("consent", Home::Identity, Form::OneOf(vocabulary::CONSENT_BASES)),
    // HTCDS "Person - Victim Context".
    field("vic_TraffickingStatus", Home::Summary, Form::OneOf(vocabulary::TRAFFICKING_STATUSES)),
    field("vic_TraffickingStatusDecisionMakingOrg", Home::Summary, Form::OneOf(vocabulary::STATUS_DECIDERS)),
    field(
        "vic_RelationshipToTrafficker",
        Home::Summary,
        Form::OneOf(vocabulary::RELATIONSHIPS_TO_TRAFFICKER),
    ),
    field("vic_AgeWhenTrafficked", Home::Identity, Form::Count),
    field("vic_RecruitmentWebsitesAndApps", Home::Identity, Form::SomeOf(vocabulary::WEBSITES_AND_APPS)),
    field("vic_MethodOfRecruitment", Home::Summary, Form::SomeOf(vocabulary::RECRUITMENT_METHODS)),
    field("vic_LocationOfRecruitment", Home::Barred, Form::Text),
    field("vic_MethodsOfControl", Home::Summary, Form::SomeOf(vocabulary::CONTROL_METHODS)),
    field("vic_TypeOfExploitation", Home::Summary, Form::SomeOf(vocabulary::EXPLOITATION_TYPES)),
    field("vic_ForcedLabourIndustry", Home::Summary, Form::OneOf(vocabulary::INDUSTRIES)),
    field("vic_TypeOfSexExploitation", Home::Summary, Form::SomeOf(vocabulary::SEX_EXPLOITATION_TYPES)),
    field("vic_LocationOfExploitation", Home::Barred, Form::Text),
    field("vic_ExploitationWebsitesAndApps", Home::Identity, Form::SomeOf(vocabulary::WEBSITES_AND_APPS)),
    field("vic_Vulnerabilities", Home::Summary, Form::SomeOf(vocabulary::HTCDS_VULNERABILITIES)),
    field("vic_DetailsOfVulnerabilities", Home::Summary, Form::Text),
    // HTCDS "Person - Perpetrator Context".
    field("per_RoleInProcess", Home::Identity, Form::SomeOf(vocabulary::ROLES_IN_PROCESS)),
    field("per_RoleDetails", Home::Identity, Form::Text),
    // HTCDS "Case", "Referral Details", "Case Comment", "Support Plan".
    field("cas_Status", Home::Summary, Form::OneOf(vocabulary::CASE_STATUSES)),
    field("cas_ReasonForCaseClosure", Home::Summary, Form::Text),
    field("cas_CaseOwner", Home::Identity, Form::Text),
    field("cas_ReferringOrganisation", Home::Summary, Form::Text),
    field("cas_IncomingReferralDate", Home::Summary, Form::Date),
    field("cas_ReferringPrimaryCaseWorker", Home::Identity, Form::Text),
    field("cas_ReasonForIncomingReferral", Home::Summary, Form::OneOf(vocabulary::REFERRAL_REASONS)),
    field("cas_IncomingReferralDetails", Home::Summary, Form::Text),
    field("cas_ReferredOrganisation", Home::Summary, Form::Text),
    field("cas_ReferredPrimaryCaseWorker", Home::Identity, Form::Text),
    field("cas_ReasonForOutgoingReferral", Home::Summary, Form::OneOf(vocabulary::REFERRAL_REASONS)),
    field("cas_OutgoingReferralDate", Home::Summary, Form::Date),
    field("cas_OutgoingReferralDetails", Home::Summary, Form::Text),
    field("cco_CaseComment", Home::Identity, Form::Text),
    field("spl_Objectives", Home::Summary, Form::Text),
    field("spl_ActionPlan", Home::Summary, Form::Text),
    field("spl_PlannedEndDate", Home::Summary, Form::Date),
    field("spl_ActualEndDate", Home::Summary, Form::Date),
    field("spl_Type", Home::Summary, Form::SomeOf(vocabulary::SUPPORT_TYPES)),
    // HTCDS "Historic Trafficking Events".
    field(
        "events",
        Home::Identity,
        Form::Objects(&["hte_Type", "hte_Date", "hte_Country", "hte_Description"]),
    ),
    field("hte_Type", Home::Identity, Form::OneOf(vocabulary::EVENT_TYPES)),
    field("hte_Date", Home::Identity, Form::Date),
    field("hte_Country", Home::Identity, Form::Countries),
    field("hte_Description", Home::Identity, Form::Text),
    field("hte_Longitude", Home::Barred, Form::Text),
    field("hte_Latitude", Home::Barred, Form::Text),
    field("hte_City", Home::Barred, Form::Text),
    field("hte_State", Home::Barred, Form::Text),
    field("hte_Street", Home::Barred, Form::Text),
    field("hte_PostalCode", Home::Barred, Form::Text),
    // HTCDS "Organization": the directory holds agencies; where one stands is nobody's to send.
    field("org_Name", Home::Barred, Form::Text),
    field("org_Type", Home::Barred, Form::Text),
    field("org_Phone", Home::Barred, Form::Text),
    field("org_ShippingCity", Home::Barred, Form::Text),
    field("org_ShippingCountry", Home::Barred, Form::Text),
    field("org_ShippingState", Home::Barred, Form::Text),
    field("org_ShippingStreet", Home::Barred, Form::Text),
    field("org_ShippingPostalCode", Home::Barred, Form::Text),
    field("org_ShippingLongitude", Home::Barred, Form::Text),
    field("org_ShippingLatitude", Home::Barred, Form::Text),
    field("shelter_address", Home::Barred, Form::Text),
    field("address", Home::Barred, Form::Text),
    field("location", Home::Barred, Form::Text),
    // The detail of an act. Ours.
    field("reason", Home::Detail, Form::OneOf(vocabulary::REASONS)),
    field("outcome", Home::Detail, Form::OneOf(vocabulary::OUTCOMES)),
    field("outcomes", Home::Detail, Form::Objects(&["person", "outcome", "reason"])),
    field("appointment", Home::Detail, Form::Date),
    field("answer", Home::Detail, Form::Text),
    field("question", Home::Detail, Form::Text),
    // A remark: wherever there is something to remark on.
    field("note", Home::Either, Form::Text),
];

/// A field by its name.
#[must_use]
pub fn find(name: &str) -> Option<&'static Field> {
    FIELDS.iter().find(|field| field.name == name)
}

impl Home {
    /// Whether a field with this home may stand in a part that is the home of others.
    #[must_use]
    pub fn fits(self, part: Self) -> bool {
        match self {
            Self::Either => matches!(part, Self::Summary | Self::Identity | Self::Detail),
            Self::Barred => false,
            Self::Throughout => !matches!(part, Self::Barred),
            Self::Consent | Self::Summary | Self::Identity | Self::Detail => self == part,
        }
    }
}

impl Form {
    /// Whether its values are codes only: nothing that somebody could write anything into.
    #[must_use]
    pub const fn is_coded(self) -> bool {
        match self {
            Self::Flag | Self::Language | Self::Languages | Self::OneOf(_) | Self::SomeOf(_) => true,
            // At most as many as a household has.
            Self::Person => true,
            // Their fields are looked at one by one.
            Self::Object(_) | Self::Objects(_) => true,
            Self::Text | Self::Count | Self::Date | Self::Phone | Self::Countries | Self::Agencies => false,
        }
    }

    /// Whether a text is a value of this form, where the form is one of a text's.
    #[must_use]
    pub fn accepts(self, text: &str) -> bool {
        let lower = |b: u8| b.is_ascii_lowercase();
        match self {
            Self::Text => !text.trim().is_empty() && text.len() <= TEXT_BYTES_MAX,
            Self::Date => is_date(text),
            Self::Phone => text.strip_prefix('+').is_some_and(is_e164),
            Self::Language | Self::Languages => (2..=3).contains(&text.len()) && text.bytes().all(lower),
            Self::Countries => text.len() == 2 && text.bytes().all(|b| b.is_ascii_uppercase()),
            Self::Agencies => AgencyId::parse(text, "agencies").is_ok(),
            Self::Person => household::is_person(text),
            Self::OneOf(vocabulary) | Self::SomeOf(vocabulary) => vocabulary.contains(text),
            Self::Flag | Self::Count | Self::Object(_) | Self::Objects(_) => false,
        }
    }

    /// What a value must look like, for whoever wrote another.
    #[must_use]
    pub const fn expected(self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Flag => "true or false",
            Self::Count => "a whole number",
            Self::Date => "a date like 2026-11-22",
            Self::Phone => "a telephone number like +97142222222",
            Self::Language => "a language code like ar",
            Self::Languages => "a list of language codes like ar",
            Self::Countries => "a list of country codes like AE",
            Self::Agencies => "a list of agency ids like ae.dfwac",
            Self::Person => "a person's number in this case, p1 to p64",
            Self::OneOf(_) => "a code of this field's vocabulary",
            Self::SomeOf(_) => "a list of codes of this field's vocabulary",
            Self::Object(_) => "an object",
            Self::Objects(_) => "a list of objects",
        }
    }
}

fn is_e164(digits: &str) -> bool {
    (7..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()) && !digits.starts_with('0')
}

/// A day of the Gregorian calendar, as `YYYY-MM-DD`.
fn is_date(text: &str) -> bool {
    let mut numbers = text.split('-').map(|part| (part.len(), part.parse::<u32>()));
    let (Some((4, Ok(year))), Some((2, Ok(month))), Some((2, Ok(day))), None) =
        (numbers.next(), numbers.next(), numbers.next(), numbers.next())
    else {
        return false;
    };
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let days = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => 0,
    };
    let digits = text.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    digits && (1..=days).contains(&day)
}

/// What the header may say of a detailed reason to decline or fail: only the first three classes let
/// a referral go on to another agency.
#[must_use]
pub fn class_of_reason(code: &str) -> Option<ReasonClass> {
    vocabulary::REASONS.find(code)?.class
}

/// What the header may say of a detailed outcome.
#[must_use]
pub fn class_of_outcome(code: &str) -> Option<ReasonClass> {
    vocabulary::OUTCOMES.find(code)?.class
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_stands_once_and_children_are_known_and_fit() {
        for (place, one) in FIELDS.iter().enumerate() {
            assert!(FIELDS[place + 1..].iter().all(|other| other.name != one.name), "{} twice", one.name);
            if let Form::Object(children) | Form::Objects(children) = one.form {
                for child in children {
                    assert!(find(child).unwrap().home.fits(one.home), "{child} in {}", one.name);
                }
            }
        }
    }

    #[test]
    fn who_she_is_and_where_she_is_never_stand_in_the_summary() {
        for name in ["prs_FirstName", "prs_Birthdate", "prs_MobilePhone", "name", "given", "persons"] {
            assert_eq!(find(name).map(|field| field.home), Some(Home::Identity), "{name}");
        }
        let place =
            ["Longitude", "Latitude", "City", "Street", "PostalCode", "State", "LocationOf", "address"];
        for field in FIELDS.iter().filter(|field| place.iter().any(|word| field.name.contains(word))) {
            let about_something_else = ["prs_MaritalStatus", "cas_Status", "vic_TraffickingStatus"];
            let barred = field.home == Home::Barred;
            assert!(
                barred || about_something_else.iter().any(|one| field.name.starts_with(one)),
                "{}",
                field.name
            );
        }
        assert!(!Home::Identity.fits(Home::Summary) && !Home::Summary.fits(Home::Identity));
        assert!(Home::Either.fits(Home::Summary) && !Home::Either.fits(Home::Consent));
        for part in [Home::Consent, Home::Summary, Home::Identity, Home::Either, Home::Detail, Home::Barred] {
            assert!(!Home::Barred.fits(part));
        }
    }

    #[test]
    fn forms() {
        let long = "x".repeat(TEXT_BYTES_MAX + 1);
        for (form, good, bad) in [
            (Form::Text, "مأوى", " "),
            (Form::Text, &long[1..], long.as_str()),
            (Form::Date, "2024-02-29", "2023-02-29"),
            (Form::Date, "2026-12-31", "2026-13-01"),
            (Form::Date, "1999-04-30", "1999-04-31"),
            (Form::Date, "2000-02-29", "1900-02-29"),
            (Form::Date, "2026-01-01", "2026-1-01"),
            (Form::Date, "2026-01-01", "+026-01-01"),
            (Form::Phone, "+97142222222", "042222222"),
            (Form::Phone, "+4915112345678", "+0123456789"),
            (Form::Language, "tgl", "Arabic"),
            (Form::Countries, "AE", "uae"),
            (Form::Agencies, "jo.mosd", "mosd"),
            (Form::OneOf(vocabulary::RISK_LEVELS), "high", "High"),
        ] {
            assert!(form.accepts(good), "{good}");
            assert!(!form.accepts(bad), "{bad}");
        }
        for form in [Form::Flag, Form::Count, Form::Object(&[]), Form::Objects(&[])] {
            assert!(!form.accepts("true"), "no text is one");
        }
    }

    /// Another agent reads by this table, too: a field that moves would be sent where it may not stand.
    #[test]
    fn fields_are_stable() {
        let shape = |form: Form| match form {
            Form::OneOf(vocabulary) => format!("OneOf {}", vocabulary.name),
            Form::SomeOf(vocabulary) => format!("SomeOf {}", vocabulary.name),
            Form::Object(children) => format!("Object {}", children.join(" ")),
            Form::Objects(children) => format!("Objects {}", children.join(" ")),
            Form::Text
            | Form::Flag
            | Form::Count
            | Form::Date
            | Form::Phone
            | Form::Language
            | Form::Languages
            | Form::Countries
            | Form::Agencies
            | Form::Person => format!("{form:?}"),
        };
        let line = |field: &Field| format!("{} {:?} {}\n", field.name, field.home, shape(field.form));
        let listed: String = FIELDS.iter().map(line).collect();
        assert_eq!(listed, include_str!("../tests/golden/payload.txt"), "must be:\n{listed}");
    }

    #[test]
    fn every_reason_and_outcome_has_its_class() {
        assert_eq!(class_of_reason("no_capacity"), Some(ReasonClass::NoCapacity));
        assert_eq!(class_of_reason("safety_concern"), Some(ReasonClass::Other));
        assert_eq!(class_of_outcome("partially_received"), Some(ReasonClass::PartlyServed));
        assert_eq!((class_of_reason("served"), class_of_outcome("no_capacity")), (None, None));
    }
}
