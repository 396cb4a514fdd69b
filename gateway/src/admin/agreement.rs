//! An agreement as a readable file (TOML), made into the object that its parties sign. Not here: what
//! it allows, and what is wrong with it (`proto::agreement`).

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result, bail, ensure};
use prost::Message as _;
use proto::{
    agreement::{
        telling,
        warning::{Warning, Weight},
        whole::Whole,
    },
    dsse::PayloadType,
    ids::Code,
    language::Language,
    wire,
};
use serde::Deserialize;
use time::{Date, Month};
use toml::value::{Datetime, Offset};

use super::object::{self, ObjectFile};
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
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
struct LimitsFile {
    attachment_bytes_max: Option<u64>,
    attachments_max: Option<u32>,
    envelope_bytes_max: Option<u64>,
}

/// An agreement before anybody has signed it, or while they do.
#[derive(Debug)]
pub struct Draft {
    /// What it says.
    pub whole: Whole,
    /// What is wrong with it, without a directory.
    pub warnings: Vec<Warning>,
    /// The one that it renews.
    pub former: Option<Whole>,
}

/// Reads an agreement's file and makes the object of it, which nobody has signed yet. As the renewal of
/// another it has that one's id, and takes its place from its own first moment.
///
/// # Errors
/// What is wrong with it, and where; or that no directory would take it.
pub fn draft(path: &Path, renews: Option<&Path>) -> Result<(wire::SignedObject, Draft)> {
    let (payload, draft) = from_toml(path, renews)?;
    let refused = draft.warnings.iter().find(|warning| warning.weight() == Weight::Refused);
    if let Some(refused) = refused {
        bail!("{}\n{}", refused.line(Language::English), refused.line(Language::Arabic));
    }
    let payload_type = PayloadType::Agreement.as_str().to_owned();
    Ok((wire::SignedObject { payload, payload_type, signatures: Vec::new() }, draft))
}

/// Reads an agreement to be looked at: its file (TOML), or the object made of it (JSON).
///
/// # Errors
/// When it is neither.
pub fn read(path: &Path, renews: Option<&Path>) -> Result<Draft> {
    if path.extension().is_some_and(|extension| extension == "toml") {
        return Ok(from_toml(path, renews)?.1);
    }
    let whole = read_object(path)?;
    let warnings = whole.warnings(crate::clock::now());
    looked_at(whole, warnings, renews)
}

fn from_toml(path: &Path, renews: Option<&Path>) -> Result<(Vec<u8>, Draft)> {
    let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let file: AgreementFile = toml::from_str(&text).with_context(|| format!("{}", path.display()))?;
    let mut agreement = file.to_wire()?;
    if let Some(renews) = renews {
        let next = read_object(renews)?.next();
        (agreement.agreement_id, agreement.revision) = (next.id, next.revision);
        agreement.supersedes = next.of.to_vec();
    }
    let payload = agreement.encode_to_vec();
    let whole = Whole::parse(&payload).context("the agreement is not complete")?;
    let mut warnings = whole.warnings(crate::clock::now());
    for warning in file.limits_of_zero() {
        if !warnings.contains(&warning) {
            warnings.push(warning);
        }
    }
    Ok((payload, looked_at(whole, warnings, renews)?))
}

fn looked_at(whole: Whole, mut warnings: Vec<Warning>, renews: Option<&Path>) -> Result<Draft> {
    let former = renews.map(read_object).transpose()?;
    warnings.extend(former.iter().flat_map(|former| whole.warnings_after(former)));
    warnings.sort_by_key(Warning::weight);
    Ok(Draft { whole, warnings, former })
}

/// The agreement of an object's file.
fn read_object(path: &Path) -> Result<Whole> {
    let object = object::read::<ObjectFile>(path)?.to_wire()?;
    ensure!(object.payload_type == PayloadType::Agreement.as_str(), "{} holds no agreement", path.display());
    Whole::parse(&object.payload).with_context(|| format!("{}", path.display()))
}

impl Draft {
    /// What it says, what it changes, and what is wrong with it.
    #[must_use]
    pub fn lines(&self, language: Language) -> Vec<String> {
        let mut lines = telling::lines(&self.whole, language);
        if let Some(former) = &self.former {
            let changes = telling::changes(former, &self.whole, language);
            let head = if changes.is_empty() {
                language.pick("It changes nothing.", "لا تغيّر شيئًا.")
            } else {
                language.pick("What it changes:", "ما تغيّره:")
            };
            lines.extend([String::new(), head.to_owned()]);
            lines.extend(changes);
        }
        lines.push(String::new());
        lines.extend(warning_lines(&self.warnings, language));
        lines
    }
}

/// Warnings, or that there are none.
#[must_use]
pub fn warning_lines(warnings: &[Warning], language: Language) -> Vec<String> {
    if warnings.is_empty() {
        let none =
            language.pick("No gaps and no contradictions were found.", "لم يُعثر على نقص ولا على تعارض.");
        return vec![none.to_owned()];
    }
    warnings.iter().map(|warning| warning.line(language)).collect()
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
            valid_from_ms: moment_ms(&self.valid_from).context("valid_from")?,
            valid_until_ms: moment_ms(&self.valid_until).context("valid_until")?,
            retention_days: self.retention_days,
        })
    }

    /// Who writes 0 means none, and gets the network's own limit.
    fn limits_of_zero(&self) -> Vec<Warning> {
        let is_zero = |clause: &&ClauseFile| {
            clause.limits.is_some_and(|limits| {
                limits.attachment_bytes_max == Some(0)
                    || limits.attachments_max == Some(0)
                    || limits.envelope_bytes_max == Some(0)
            })
        };
        let names =
            self.clauses.iter().filter(is_zero).map(|clause| Code::parse(&clause.id, "clauses.clause_id"));
        names.flatten().map(|clause| Warning::LimitOfZero { clause }).collect()
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
            limits: self.limits.map(LimitsFile::to_wire),
            by_name_only: self.by_name_only,
            sender_keeps_identity: self.sender_keeps_identity,
        })
    }
}

impl LimitsFile {
    fn to_wire(self) -> wire::Limits {
        wire::Limits {
            attachment_bytes_max: self.attachment_bytes_max.unwrap_or_default(),
            attachments_max: self.attachments_max.unwrap_or_default(),
            envelope_bytes_max: self.envelope_bytes_max.unwrap_or_default(),
        }
    }
}

/// The number of a value by its name in the definitions, without its list's prefix.
pub(super) fn number<T: Into<i32>>(list: &str, name: &str, of: impl Fn(&str) -> Option<T>) -> Result<i32> {
    match of(&format!("{list}_{}", name.to_uppercase())) {
        Some(value) => Ok(value.into()),
        None => bail!("\"{name}\" is not one of the values of {}", list.to_lowercase()),
    }
}

/// A day's beginning, UTC; or, to the second, a time that says its distance from UTC.
pub(super) fn moment_ms(moment: &Datetime) -> Result<u64> {
    const FORM: &str =
        "a date, such as 2026-01-01, or a time with its zone, such as 2026-01-01T08:00:00+04:00";
    let (minutes, time) = match (moment.time, moment.offset) {
        (None, None) => (0, None),
        (Some(time), Some(Offset::Z)) => (0, Some(time)),
        (Some(time), Some(Offset::Custom { minutes })) => (minutes, Some(time)),
        (Some(_), None) | (None, Some(_)) => bail!(FORM),
    };
    let date = moment.date.context(FORM)?;
    let date = Date::from_calendar_date(date.year.into(), Month::try_from(date.month)?, date.day)?;
    let (hour, minute, second) =
        time.map_or((0, 0, 0), |time| (time.hour, time.minute, time.second.unwrap_or_default()));
    let moment = date.with_hms(hour, minute, second)?.assume_utc().unix_timestamp();
    let seconds = u64::try_from(moment.saturating_sub(i64::from(minutes).saturating_mul(60)))?;
    Ok(seconds.saturating_mul(1000))
}

/// What an agreement says, for whoever is asked to sign it.
///
/// # Errors
/// When it is none.
pub fn describe(payload: &[u8], language: Language) -> Result<Vec<String>> {
    let whole = Whole::parse(payload)?;
    let warnings = whole.warnings(crate::clock::now());
    Ok(Draft { whole, warnings, former: None }.lines(language))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_is_a_day_or_a_time_with_its_zone() {
        #[derive(Deserialize)]
        struct File {
            at: Datetime,
        }
        let read = |text: &str| {
            toml::from_str::<File>(&format!("at = {text}")).ok().and_then(|file| moment_ms(&file.at).ok())
        };
        for (text, expected) in [
            ("2026-01-01", Some(1_767_225_600_000)),
            ("2026-01-01T00:00:00Z", Some(1_767_225_600_000)),
            ("2026-01-01T04:00:01+04:00", Some(1_767_225_601_000)),
            ("2026-01-01T00:00:00", None),
            ("00:00:00", None),
            ("1969-12-31", None),
        ] {
            assert_eq!(read(text), expected, "{text}");
        }
    }

    const FILE: &str = include_str!("../../../tests/demo/ae.dfwac-ae-rk.aman.toml");

    fn written(folder: &Path, name: &str, text: &str) -> std::path::PathBuf {
        let path = folder.join(name);
        fs::write(&path, text).unwrap();
        path
    }

    fn codes(draft: &Draft) -> Vec<&'static str> {
        draft.warnings.iter().map(Warning::code).collect()
    }

    #[test]
    fn a_file_is_checked_and_renewed() {
        let folder = tempfile::tempdir().unwrap();
        let first = written(folder.path(), "first.toml", FILE);
        let (object, draft) = draft(&first, None).unwrap();
        assert_eq!(codes(&draft), ["NO_PAPER"]);
        let paper = folder.path().join("first.json");
        object::write(&paper, &ObjectFile::of(&object)).unwrap();
        let narrow = FILE.replace("\"shelter\", \"psychosocial\"", "\"psychosocial\"");
        let second = written(folder.path(), "second.toml", &narrow);
        let (renewal, draft) = super::draft(&second, Some(&paper)).unwrap();
        let (old, new) = (read(&paper, None).unwrap().whole, Whole::parse(&renewal.payload).unwrap());
        assert_eq!(new.agreement().id, old.agreement().id);
        assert_eq!((new.agreement().revision, new.agreement().supersedes), (2, Some(old.digest())));
        assert_eq!(codes(&draft), ["NO_PAPER"]);
        let says = draft.lines(Language::English).join("\n");
        assert!(
            says.contains("What it changes:\nclause dubai-to-rak") && says.contains("\n-   services: "),
            "{says}"
        );
        let says = read(&second, Some(&paper)).unwrap().lines(Language::Arabic).join("\n");
        assert!(says.contains("ما تغيّره:"), "{says}");
        // What is no renewal of it is not made one by saying so.
        let with_third = FILE.replace(
            "[[clauses]]\nid = \"dubai",
            "[[parties]]\nagency = \"jo.mosd\"\n\
            signing_office_en = \"A\"\nsigning_office_ar = \"ا\"\n\n[[clauses]]\nid = \"dubai",
        );
        let third = written(folder.path(), "third.toml", &with_third);
        let refused = super::draft(&third, Some(&paper)).map(|_| ()).unwrap_err().to_string();
        assert!(refused.contains("REVISION_NOT_NEXT"), "{refused}");
        assert_eq!(codes(&read(&third, Some(&paper)).unwrap())[0], "REVISION_NOT_NEXT");
    }

    #[test]
    fn a_limit_of_0_is_warned_of_and_what_has_ended_is_not_made() {
        let folder = tempfile::tempdir().unwrap();
        let zero = format!("{FILE}\n[clauses.limits]\nattachments_max = 0\nattachment_bytes_max = 5\n");
        let zero = written(folder.path(), "zero.toml", &zero);
        assert!(codes(&read(&zero, None).unwrap()).contains(&"LIMIT_OF_ZERO"));
        let ended = FILE.replace("2026-01-01", "2020-01-01").replace("2029-01-01", "2021-01-01");
        let ended = written(folder.path(), "ended.toml", &ended);
        assert_eq!(codes(&read(&ended, None).unwrap())[0], "AGREEMENT_ENDED");
        assert!(draft(&ended, None).is_err());
    }

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
