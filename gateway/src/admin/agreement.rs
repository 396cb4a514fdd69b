//! An agreement as a readable file (TOML), made into the object that its parties sign. Not here: what
//! it allows (`proto::agreement`).

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, bail};
use prost::Message as _;
use proto::{agreement::Agreement, dsse::PayloadType, wire};
use serde::Deserialize;
use time::{Date, Month};
use toml::value::Datetime;

use crate::init::new_id;

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AgreementFile {
    title_en: String,
    title_ar: String,
    legal_basis: String,
    hosting_country: String,
    valid_from: Datetime,
    valid_until: Datetime,
    retention_days: u32,
    /// SHA-256 of the signed paper, in hex; left out while there is none.
    #[serde(default)]
    paper_sha256: String,
    parties: Vec<PartyFile>,
    clauses: Vec<ClauseFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PartyFile {
    agency: String,
    signing_office_en: String,
    signing_office_ar: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClauseFile {
    id: String,
    from: String,
    to: String,
    kinds: Vec<String>,
    categories: Vec<String>,
    services: Vec<String>,
    urgencies: Vec<String>,
    jurisdictions: Vec<String>,
    disclosure: String,
    #[serde(default)]
    by_name_only: bool,
    #[serde(default)]
    sender_keeps_identity: bool,
    #[serde(default)]
    clocks: Option<ClocksFile>,
    #[serde(default)]
    limits: Option<LimitsFile>,
}

/// Time limits that are stricter than the network's own: `30s`, `15m`, `4h`, `2d`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClocksFile {
    /// Of the directory; left out, limits are counted around the clock.
    #[serde(default)]
    calendar: String,
    #[serde(default)]
    emergency: BTreeMap<String, String>,
    #[serde(default)]
    urgent: BTreeMap<String, String>,
    #[serde(default)]
    normal: BTreeMap<String, String>,
}

/// Sizes that are smaller than the network's own; 0 or left out for those.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsFile {
    #[serde(default)]
    attachment_bytes_max: u64,
    #[serde(default)]
    attachments_max: u32,
    #[serde(default)]
    envelope_bytes_max: u64,
}

/// Reads an agreement's file and makes the object of it, which nobody has signed yet.
///
/// # Errors
/// What is wrong with it, and where.
pub fn draft(path: &Path) -> Result<wire::SignedObject> {
    let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let file: AgreementFile = toml::from_str(&text).with_context(|| format!("{}", path.display()))?;
    let payload = file.to_wire()?.encode_to_vec();
    Agreement::parse(&payload).context("the agreement is not complete")?;
    let payload_type = PayloadType::Agreement.as_str().to_owned();
    Ok(wire::SignedObject { payload, payload_type, signatures: Vec::new() })
}

impl AgreementFile {
    fn to_wire(&self) -> Result<wire::Agreement> {
        let mut parties: Vec<_> = self.parties.iter().map(PartyFile::to_wire).collect();
        parties.sort_by(|one, other| one.agency.cmp(&other.agency));
        Ok(wire::Agreement {
            version: 1,
            agreement_id: new_id()?.as_bytes().to_vec(),
            revision: 1,
            supersedes: Vec::new(),
            title_en: self.title_en.clone(),
            title_ar: self.title_ar.clone(),
            parties,
            paper_sha256: self.paper()?,
            legal_basis: self.legal_basis.clone(),
            hosting_country: self.hosting_country.clone(),
            clauses: self.clauses.iter().map(ClauseFile::to_wire).collect::<Result<_>>()?,
            valid_from_ms: midnight_ms(&self.valid_from).context("valid_from")?,
            valid_until_ms: midnight_ms(&self.valid_until).context("valid_until")?,
            retention_days: self.retention_days,
        })
    }
}

impl AgreementFile {
    fn paper(&self) -> Result<Vec<u8>> {
        if self.paper_sha256.is_empty() {
            return Ok(Vec::new());
        }
        let digest = super::digest(&self.paper_sha256);
        Ok(digest.context("paper_sha256: 64 hexadecimal digits, as sha256sum prints them")?.to_vec())
    }
}

impl ClocksFile {
    fn to_wire(&self) -> Result<wire::Clocks> {
        use wire::Urgency as U;
        let mut limits = Vec::new();
        for (urgency, of) in
            [(U::Emergency, &self.emergency), (U::Urgent, &self.urgent), (U::Normal, &self.normal)]
        {
            for (name, limit) in of {
                let clock = number("CLOCK_KIND", name, wire::ClockKind::from_str_name)?;
                let seconds = seconds(limit).with_context(|| format!("clocks: {name} = \"{limit}\""))?;
                limits.push(wire::ClockLimit { urgency: urgency.into(), clock, seconds });
            }
        }
        Ok(wire::Clocks { limits, calendar: self.calendar.clone() })
    }
}

/// A time in seconds, minutes, hours or days.
fn seconds(text: &str) -> Result<u64> {
    let unit = text.chars().last().unwrap_or_default();
    let count = text.strip_suffix(unit).and_then(|count| count.parse::<u64>().ok());
    let one = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => bail!("a number and a unit: 30s, 15m, 4h or 2d"),
    };
    let seconds = count.filter(|count| *count > 0).and_then(|count| count.checked_mul(one));
    seconds.context("a number and a unit: 30s, 15m, 4h or 2d")
}

impl PartyFile {
    fn to_wire(&self) -> wire::Party {
        wire::Party {
            agency: self.agency.clone(),
            signing_office_en: self.signing_office_en.clone(),
            signing_office_ar: self.signing_office_ar.clone(),
        }
    }
}

impl ClauseFile {
    fn to_wire(&self) -> Result<wire::Clause> {
        let kinds = self.kinds.iter().map(|kind| number("KIND", kind, wire::Kind::from_str_name));
        let urgencies =
            self.urgencies.iter().map(|urgency| number("URGENCY", urgency, wire::Urgency::from_str_name));
        Ok(wire::Clause {
            clause_id: self.id.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            kinds: kinds.collect::<Result<_>>()?,
            categories: self.categories.clone(),
            services: self.services.clone(),
            urgencies: urgencies.collect::<Result<_>>()?,
            jurisdictions: self.jurisdictions.clone(),
            disclosure: number("DISCLOSURE", &self.disclosure, wire::Disclosure::from_str_name)?,
            clocks: self.clocks.as_ref().map(ClocksFile::to_wire).transpose()?,
            limits: self.limits.as_ref().map(LimitsFile::to_wire),
            by_name_only: self.by_name_only,
            sender_keeps_identity: self.sender_keeps_identity,
        })
    }
}

impl LimitsFile {
    const fn to_wire(&self) -> wire::Limits {
        let Self { attachment_bytes_max, attachments_max, envelope_bytes_max } = *self;
        wire::Limits { attachment_bytes_max, attachments_max, envelope_bytes_max }
    }
}

/// The number of a value by its name in the definitions, without its list's prefix.
pub(super) fn number<T: Into<i32>>(list: &str, name: &str, of: impl Fn(&str) -> Option<T>) -> Result<i32> {
    match of(&format!("{list}_{}", name.to_uppercase())) {
        Some(value) => Ok(value.into()),
        None => bail!("\"{name}\" is not one of the values of {}", list.to_lowercase()),
    }
}

/// The beginning of a day, UTC.
pub(super) fn midnight_ms(date: &Datetime) -> Result<u64> {
    let (Some(date), None) = (date.date, date.time) else {
        bail!("a date without a time, such as 2026-01-01");
    };
    let date = Date::from_calendar_date(date.year.into(), Month::try_from(date.month)?, date.day)?;
    let seconds = u64::try_from(date.midnight().assume_utc().unix_timestamp())?;
    Ok(seconds.saturating_mul(1000))
}

/// What an agreement says, for whoever is asked to sign it.
#[must_use]
pub fn describe(agreement: &wire::Agreement) -> Vec<String> {
    let mut lines = vec![format!(
        "agreement \"{}\" / \u{2068}{}\u{2069}, revision {}, between {}",
        agreement.title_en,
        agreement.title_ar,
        agreement.revision,
        agreement.parties.iter().map(|party| party.agency.as_str()).collect::<Vec<_>>().join(", ")
    )];
    lines.extend(agreement.clauses.iter().map(|clause| {
        format!(
            "  {} may send to {}: {} for {} in {}",
            clause.from,
            clause.to,
            clause.categories.join(", "),
            clause.services.join(", "),
            clause.jurisdictions.join(", ")
        )
    }));
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_and_a_unit() {
        for (text, expected) in
            [("30s", Some(30)), ("15m", Some(900)), ("4h", Some(14_400)), ("2d", Some(172_800))]
        {
            assert_eq!(seconds(text).ok(), expected, "{text}");
        }
        for bad in ["", "4", "h", "0h", "-1h", "1.5h", "4 h", "4w", "99999999999999999999d", "4س"] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }
}
