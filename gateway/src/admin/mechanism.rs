//! The referral mechanism as a readable file (TOML), made into the object that two administrators sign. Not
//! here: what its rules lead to (`proto::mechanism`).

use std::{fs, path::Path};

use anyhow::{Context as _, Result};
use prost::Message as _;
use proto::{dsse::PayloadType, mechanism::Mechanism, wire};
use serde::Deserialize;
use toml::value::Datetime;

use super::agreement::{moment_ms, number};

/// The file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct MechanismFile {
    /// One more than that of the mechanism in force.
    revision: u64,
    /// In the order in which they are tried.
    rules: Vec<RuleFile>,
}

/// What a need must be; a list that is left out matches every need.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RuleFile {
    id: String,
    #[serde(default)]
    from: Vec<String>,
    #[serde(default)]
    categories: Vec<String>,
    #[serde(default)]
    services: Vec<String>,
    #[serde(default)]
    urgencies: Vec<String>,
    #[serde(default)]
    jurisdictions: Vec<String>,
    /// Who is asked, in this order.
    recipients: Vec<String>,
    /// Codes that must all stand in the summary; only the sender's agent knows.
    #[serde(default)]
    agent_conditions: Vec<String>,
    #[serde(default)]
    valid_from: Option<Datetime>,
    #[serde(default)]
    valid_until: Option<Datetime>,
}

/// Reads a mechanism's file and makes the object of it, which nobody has signed yet.
///
/// # Errors
/// What is wrong with it, and where.
pub fn draft(path: &Path) -> Result<wire::SignedObject> {
    let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let file: MechanismFile = toml::from_str(&text).with_context(|| format!("{}", path.display()))?;
    let rules = file.rules.iter().map(RuleFile::to_wire).collect::<Result<_>>()?;
    let mechanism = wire::Mechanism { version: 1, revision: file.revision, rules };
    let payload = mechanism.encode_to_vec();
    Mechanism::parse(&payload).context("the mechanism is not complete")?;
    let payload_type = PayloadType::Mechanism.as_str().to_owned();
    Ok(wire::SignedObject { payload, payload_type, signatures: Vec::new() })
}

impl RuleFile {
    fn to_wire(&self) -> Result<wire::Rule> {
        let urgencies = self.urgencies.iter().map(|one| number("URGENCY", one, wire::Urgency::from_str_name));
        let day = |day: &Option<Datetime>| day.as_ref().map_or(Ok(0), moment_ms);
        Ok(wire::Rule {
            rule_id: self.id.clone(),
            from: self.from.clone(),
            categories: self.categories.clone(),
            services: self.services.clone(),
            urgencies: urgencies.collect::<Result<_>>()?,
            jurisdictions: self.jurisdictions.clone(),
            recipients: self.recipients.clone(),
            agent_conditions: self.agent_conditions.clone(),
            valid_from_ms: day(&self.valid_from).context("valid_from")?,
            valid_until_ms: day(&self.valid_until).context("valid_until")?,
        })
    }
}

/// What a mechanism says, for whoever is asked to sign it.
#[must_use]
pub fn describe(mechanism: &wire::Mechanism) -> Vec<String> {
    let any = |list: &[String]| if list.is_empty() { "any".to_owned() } else { list.join(", ") };
    let head = format!("mechanism, revision {}, {} rules", mechanism.revision, mechanism.rules.len());
    let rules = mechanism.rules.iter().map(|rule| {
        format!(
            "  {}: {} for {} in {}, from {}: {}",
            rule.rule_id,
            any(&rule.categories),
            any(&rule.services),
            any(&rule.jurisdictions),
            any(&rule.from),
            rule.recipients.join(", then ")
        )
    });
    [head].into_iter().chain(rules).collect()
}
