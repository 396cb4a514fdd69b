//! `gateway admin explain`: asking the gateway about a need. Not here: what it answers
//! (`proto::directory::explained`).

use anyhow::Result;
use clap::{Args, ValueEnum};
use gateway::admin::object::hex;
use proto::{agreement::telling::listed, calendar::written, ids::TimeMs, language::Language, wire};
use serde_json::{Value, json};

use super::{super::Said, As, Lang, wait};

#[derive(Debug, Args)]
#[command(after_help = "Example:\n  \
gateway admin explain --from ae.dfwac --to by-need --category trafficking --service shelter \\\n      \
--urgency emergency --jurisdiction AE-RK --as ./blue-1")]
pub(super) struct ExplainArguments {
    /// Who refers.
    #[arg(long, value_name = "AGENCY")]
    from: String,
    /// To whom; or by-need, for whom the mechanism finds.
    #[arg(long, value_name = "AGENCY", default_value = "by-need")]
    to: String,
    /// What is sent.
    #[arg(long, value_enum, default_value = "referral")]
    kind: Kind,
    /// A category without a parent: trafficking, domestic_violence, …
    #[arg(long)]
    category: String,
    /// A service without a parent: shelter, legal, …
    #[arg(long)]
    service: String,
    /// How soon an answer is due.
    #[arg(long, value_enum)]
    urgency: Urgency,
    /// A country or division: AE, AE-RK.
    #[arg(long)]
    jurisdiction: String,
    #[command(flatten)]
    lang: Lang,
    #[command(flatten)]
    me: As,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
#[value(rename_all = "snake_case")]
enum Kind {
    Referral,
    SuspicionReport,
    Notice,
    Document,
    Message,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Urgency {
    Emergency,
    Urgent,
    Normal,
}

impl ExplainArguments {
    pub(super) fn run(self) -> Result<Said> {
        let kind = match self.kind {
            Kind::Referral => wire::Kind::Referral,
            Kind::SuspicionReport => wire::Kind::SuspicionReport,
            Kind::Notice => wire::Kind::Notice,
            Kind::Document => wire::Kind::Document,
            Kind::Message => wire::Kind::Message,
        };
        let urgency = match self.urgency {
            Urgency::Emergency => wire::Urgency::Emergency,
            Urgency::Urgent => wire::Urgency::Urgent,
            Urgency::Normal => wire::Urgency::Normal,
        };
        let asked = wire::ExplainRequest {
            from: self.from,
            to: if self.to == "by-need" { String::new() } else { self.to },
            kind: kind.into(),
            category: self.category,
            service: self.service,
            urgency: urgency.into(),
            jurisdiction: self.jurisdiction,
        };
        let answer = wait(async { self.me.desk().connect().await?.explain(asked).await })?;
        Ok(says(&answer, self.lang.language()))
    }
}

fn says(answer: &wire::ExplainAnswer, language: Language) -> Said {
    let at = written(TimeMs(answer.at_ms));
    let head = match language {
        Language::English => format!("As the directory is at {at}:"),
        Language::Arabic => format!("بحسب الدليل في {}:", language.isolated(&at)),
    };
    let nobody = language
        .pick("No rule of the mechanism fits this need.", "لا تنطبق أي قاعدة من آلية الإحالة على هذا الاحتياج.");
    let nobody = answer.explanations.is_empty().then(|| nobody.to_owned());
    let lines = answer.explanations.iter().flat_map(|one| explanation_lines(one, language));
    let json = json!({
        "at_ms": answer.at_ms,
        "mechanism": Some(hex(&answer.mechanism)).filter(|digest| !digest.is_empty()),
        "choices": answer.explanations.iter().map(explanation_json).collect::<Vec<_>>(),
    });
    Said { text: [head].into_iter().chain(lines).chain(nobody).collect(), json }
}

fn explanation_lines(one: &wire::Explanation, language: Language) -> Vec<String> {
    let agency = language.isolated(&one.agency);
    let by = if one.rule.is_empty() {
        language.pick("by name", "بالاسم").to_owned()
    } else {
        format!("{} {}", language.pick("by rule", "بحسب القاعدة"), language.isolated(&one.rule))
    };
    let says = match one.turn {
        0 => language.pick("is not asked", "لا تُسأل"),
        1 => language.pick("is asked first", "تُسأل أولًا"),
        _ => language.pick("is asked next, if nobody answers before", "تُسأل بعد ذلك إن لم يُجب أحد قبلها"),
    };
    let comma = language.pick(",", "،");
    let mut lines = vec![format!("{agency}{comma} {by}: {says}")];
    let conditions: Vec<_> = one.conditions.iter().map(|code| language.isolated(code)).collect();
    if !conditions.is_empty() {
        let only = language.pick("  only if the case has", "  فقط إذا كان في الحالة");
        lines.push(format!("{only}: {}", listed(language, conditions)));
    }
    lines.extend(one.verdict.iter().map(|verdict| verdict_line(verdict, language)));
    let of_agreements = one.agreements.iter().filter(|verdict| Some(*verdict) != one.verdict.as_ref());
    lines.extend(of_agreements.map(|verdict| format!("  {}", verdict_line(verdict, language))));
    lines
}

fn verdict_line(verdict: &wire::Verdict, language: Language) -> String {
    let agreement = hex(&verdict.agreement);
    let by = if agreement.is_empty() {
        String::new()
    } else {
        format!("{} {}: ", language.pick("agreement", "الاتفاقية"), language.isolated(&agreement))
    };
    if verdict.code.is_empty() {
        let clause = language.pick("allowed by the clause", "يسمح بذلك البند");
        return format!("  {by}{clause} {}", language.isolated(&verdict.clause));
    }
    let text = match language {
        Language::English => &verdict.text_en,
        Language::Arabic => &verdict.text_ar,
    };
    format!("  {by}{}: {text}", language.isolated(&verdict.code))
}

fn explanation_json(one: &wire::Explanation) -> Value {
    json!({
        "agency": one.agency,
        "rule": Some(&one.rule).filter(|rule| !rule.is_empty()),
        "conditions": one.conditions,
        "turn": Some(one.turn).filter(|turn| *turn > 0),
        "verdict": one.verdict.as_ref().map(verdict_json),
        "agreements": one.agreements.iter().map(verdict_json).collect::<Vec<_>>(),
    })
}

fn verdict_json(verdict: &wire::Verdict) -> Value {
    let said = |text: &String| Some(text.clone()).filter(|text| !text.is_empty());
    json!({
        "agreement": said(&hex(&verdict.agreement)),
        "clause": said(&verdict.clause),
        "code": said(&verdict.code),
        "text_en": said(&verdict.text_en),
        "text_ar": said(&verdict.text_ar),
    })
}
