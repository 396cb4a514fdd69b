//! Whom a document goes to: by its name, or by need as the mechanism finds it with all the detail that
//! is here. Not here: the coarse rules (`proto::directory`), and what the gateway checks again.

use proto::{
    agreement::Need,
    digest::Digest,
    directory::Directory,
    header::FALLBACKS_MAX,
    ids::{Addressing, AgencyId, Code, TimeMs},
    refusal::Refusal,
};
use serde_json::{Map, Value};

use crate::{
    document::{Document, household},
    records,
};

/// An agency that a document could go to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// The agency.
    pub agency: AgencyId,
    /// The rule that names it; none when the document does.
    pub rule: Option<Code>,
    /// What keeps the document from going there.
    pub kept: Option<Kept>,
}

/// What keeps a document from going to an agency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// The rules.
    Refused(Refusal),
    /// Her consent does not name it.
    NotConsented,
    /// The document excludes it.
    Excluded,
}

impl Kept {
    /// A stable code.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.name(),
            Self::NotConsented => "NOT_CONSENTED",
            Self::Excluded => "EXCLUDED",
        }
    }

    /// What to do, in English.
    #[must_use]
    pub const fn text_en(self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.text_en(),
            Self::NotConsented => {
                "Her consent does not name this agency. Ask her, and name it in consent.agencies."
            }
            Self::Excluded => {
                "The document excludes this agency. Take it out of exclude, if that was a mistake."
            }
        }
    }

    /// The same in Arabic, not yet reviewed by a native speaker of the field.
    #[must_use]
    pub const fn text_ar(self) -> &'static str {
        match self {
            Self::Refused(refusal) => refusal.text_ar(),
            Self::NotConsented => {
                "لا تشمل موافقة الشخص المعني هذه الجهة. اسأله ثم أضف الجهة إلى \u{2068}consent.agencies\u{2069}."
            }
            Self::Excluded => {
                "هذه الجهة مستثناة في المستند. احذفها من \u{2068}exclude\u{2069} إن كان ذلك خطأ."
            }
        }
    }
}

/// Where a document goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Who is asked.
    pub to: AgencyId,
    /// Who is asked next.
    pub fallbacks: Vec<AgencyId>,
    /// By name or by need.
    pub addressing: Addressing,
    /// The mechanism that was asked, and its rule.
    pub rule: Option<(Digest, Code)>,
}

/// Every agency that a document could go to, in the order in which they are asked.
#[must_use]
pub fn choices(directory: &Directory, me: &AgencyId, document: &Document, now: TimeMs) -> Vec<Choice> {
    let named = |agency: &AgencyId, addressing| {
        let need = Need { to: agency, addressing, ..by_need(me, document) };
        let kept = directory.way(need, now).err().map(Kept::Refused);
        Choice { agency: agency.clone(), rule: None, kept }
    };
    let mut choices: Vec<Choice> = match &document.to {
        Some(to) => vec![named(to, Addressing::ByName)],
        None => {
            let holds = |condition: &Code| is_said(&document.summary, condition.as_str());
            let candidates = directory.candidates(by_need(me, document), holds, now);
            let choice = candidates.into_iter().map(|candidate| Choice {
                agency: candidate.recipient.clone(),
                rule: Some(candidate.rule.clone()),
                kept: kept_here(document, candidate.recipient)
                    .or_else(|| candidate.route.err().map(Kept::Refused)),
            });
            choice.collect()
        }
    };
    for fallback in document.fallbacks.iter().flatten() {
        if !choices.iter().any(|choice| choice.agency == *fallback) {
            choices.push(named(fallback, Addressing::ByNeed));
        }
    }
    choices
}

/// What a document needs, of whomever.
fn by_need<'a>(me: &'a AgencyId, document: &'a Document) -> Need<'a> {
    Need {
        from: me,
        to: me,
        kind: document.kind,
        category: &document.category,
        service: &document.service,
        urgency: document.urgency,
        jurisdiction: &document.jurisdiction,
        addressing: Addressing::ByNeed,
    }
}

/// Where a document goes. By need, the agencies behind the first are its fallbacks, unless the document
/// names its own.
///
/// # Errors
/// The [`Refusal`] of the agency that comes furthest, when nobody is left.
pub fn route(
    directory: &Directory,
    me: &AgencyId,
    document: &Document,
    now: TimeMs,
) -> Result<Route, Refusal> {
    if let Some(to) = document.to.clone() {
        let fallbacks = document.fallbacks.clone().unwrap_or_default();
        return Ok(Route { to, fallbacks, addressing: Addressing::ByName, rule: None });
    }
    let mechanism = directory.mechanism().map(|held| held.signed.digest());
    let choices = choices(directory, me, document, now);
    let mut open = choices.iter().filter(|choice| choice.kept.is_none() && choice.rule.is_some());
    let refused = choices.iter().filter_map(|choice| match choice.kept {
        Some(Kept::Refused(refusal)) => Some(refusal),
        Some(Kept::NotConsented | Kept::Excluded) | None => None,
    });
    let first = open.next().ok_or_else(|| refused.max().unwrap_or(Refusal::NoAgreement))?;
    let rest = open.map(|choice| choice.agency.clone()).take(FALLBACKS_MAX);
    let fallbacks = match &document.fallbacks {
        Some(named) => named.iter().filter(|fallback| **fallback != first.agency).cloned().collect(),
        None if document.kind.expects_answer() => rest.collect(),
        None => Vec::new(),
    };
    Ok(Route {
        to: first.agency.clone(),
        fallbacks,
        addressing: Addressing::ByNeed,
        rule: mechanism.zip(first.rule.clone()),
    })
}

/// What is kept of a document that goes by need, so that its way can be found again.
#[must_use]
pub fn kept(document: &Document) -> Option<records::Routing> {
    let ids = |ids: &[AgencyId]| ids.iter().map(ToString::to_string).collect();
    document.to.is_none().then(|| records::Routing {
        exclude: ids(&document.exclude),
        names_fallbacks: document.fallbacks.is_some(),
        fallbacks: document.fallbacks.as_deref().map_or_else(Vec::new, ids),
    })
}

/// What only this side knows.
fn kept_here(document: &Document, agency: &AgencyId) -> Option<Kept> {
    if document.exclude.contains(agency) {
        return Some(Kept::Excluded);
    }
    (!household::all_name(&document.consent, agency)).then_some(Kept::NotConsented)
}

/// Whether a code stands anywhere in a summary.
fn is_said(summary: &Map<String, Value>, code: &str) -> bool {
    fn says(value: &Value, code: &str) -> bool {
        match value {
            Value::String(text) => text == code,
            Value::Array(list) => list.iter().any(|value| says(value, code)),
            Value::Object(object) => object.values().any(|value| says(value, code)),
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }
    summary.values().any(|value| says(value, code))
}
