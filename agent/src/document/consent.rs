//! What a referral rests on: whether her consent, or what stands in its place, carries what the
//! document sends. Not here: what an agreement allows (`proto::agreement`).

use proto::{
    ids::{AgencyId, TimeMs},
    payload::consent::{Holding, basis},
};
use serde_json::{Map, Value};

use super::{File, Flaw, What};

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Checks a consent by itself: that of all at `/consent`, or one person's own; says whether identity may
/// travel.
pub(super) fn check(
    consent: &Map<String, Value>,
    pointer: &str,
    to: Option<&AgencyId>,
    now: TimeMs,
    flaws: &mut Vec<Flaw>,
) -> bool {
    let mut flaw = |field: &str, what| flaws.push(Flaw::new(&format!("{pointer}/{field}"), what));
    if !consent.contains_key("identity_allowed") {
        flaw("identity_allowed", What::Missing);
    }
    let is = |field: &str, value: bool| consent.get(field) == Some(&Value::Bool(value));
    match consent.get("basis").and_then(Value::as_str).map(basis) {
        None => flaw("basis", What::Missing),
        // That there is no such basis was told before.
        Some(None) => {}
        Some(Some(basis)) => {
            for (field, holding) in basis.needs {
                if let Some(what) = needed(field, *holding, consent) {
                    flaw(field, what);
                }
            }
            if basis.is_consent && is("con_Consent", false) {
                flaw("con_Consent", What::NoConsent);
            }
            if !basis.carries_identity && is("identity_allowed", true) {
                flaw("identity_allowed", What::IdentityNotAllowed);
            }
        }
    }
    if let (Some(Value::Array(agencies)), Some(to)) = (consent.get("agencies"), to)
        && !agencies.iter().any(|agency| agency.as_str() == Some(to.as_str()))
    {
        flaw("agencies", What::NotConsentedTo);
    }
    if let Some(until) = consent.get("until").and_then(Value::as_str)
        && until < today(now).as_str()
    {
        flaw("until", What::ConsentEnded);
    }
    is("identity_allowed", true)
}

/// Checks that she said which agencies it may be: a rule finds no other.
pub(super) fn check_by_need(consent: &Map<String, Value>, pointer: &str, flaws: &mut Vec<Flaw>) {
    if !consent.contains_key("agencies") {
        flaws.push(Flaw::new(&format!("{pointer}/agencies"), What::Missing));
    }
}

/// Checks that she agreed to each fallback by its name: nobody is asked after them.
pub(super) fn check_fallbacks(consent: &Map<String, Value>, fallbacks: &[AgencyId], flaws: &mut Vec<Flaw>) {
    let named = consent.get("agencies").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    for (place, fallback) in fallbacks.iter().enumerate() {
        if !named.iter().any(|agency| agency.as_str() == Some(fallback.as_str())) {
            let flaw = Flaw::new(&format!("/fallbacks/{place}"), What::NotConsentedTo);
            if !flaws.contains(&flaw) {
                flaws.push(flaw);
            }
        }
    }
}

/// What is wrong with a field that a basis needs.
fn needed(field: &'static str, holding: Holding, consent: &Map<String, Value>) -> Option<What> {
    let suspects = field == "guardian_suspected";
    match (holding, consent.get(field)) {
        (Holding::There, Some(_)) | (Holding::True, Some(Value::Bool(true))) => None,
        (Holding::False, Some(Value::Bool(false))) => None,
        (Holding::False, Some(_)) if suspects => Some(What::GuardianSuspected),
        (Holding::False, _) => Some(What::BasisAsks { field }),
        (Holding::There | Holding::True, _) => Some(What::BasisNeeds { field }),
    }
}

/// Checks that the identity may go with it.
pub(super) fn check_identity(consent: &Map<String, Value>, allowed: bool, flaws: &mut Vec<Flaw>) {
    if !allowed || !covers(consent, "identity") {
        flaws.push(Flaw::new("/identity", What::IdentityNotAllowed));
    }
}

/// Checks that the files may go with it.
pub(super) fn check_files(
    consent: &Map<String, Value>,
    allowed: bool,
    files: &[File],
    flaws: &mut Vec<Flaw>,
) {
    let telling = files.iter().any(|file| file.contains_identity);
    let barred = (telling && !allowed) || (!files.is_empty() && !covers(consent, "attachments"));
    if barred {
        flaws.push(Flaw::new("/attachments", What::IdentityNotAllowed));
    }
}

/// Whether a list of what she consents to share, if there is one, holds something.
pub(super) fn covers(consent: &Map<String, Value>, data: &str) -> bool {
    match consent.get("data") {
        Some(Value::Array(list)) => list.iter().any(|one| one.as_str() == Some(data)),
        Some(_) | None => true,
    }
}

/// The day of a moment, UTC, as `YYYY-MM-DD`. Source: the civil calendar from days, by Howard
/// Hinnant ("chrono-Compatible Low-Level Date Algorithms", civil_from_days).
pub(super) fn today(now: TimeMs) -> String {
    let days = now.0 / DAY_MS + 719_468;
    let era = days / 146_097;
    let day_of_era = days % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}
