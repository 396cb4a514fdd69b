//! `gateway alerts`: what is wrong, and whether people can be told of it. Not here: what it is
//! (`gateway::alerts`).

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use gateway::{admin::client, operations::moments::moment};
use proto::{
    alert::{Code, Severity},
    ids::TimeMs,
    wire,
    words::Language,
};
use serde_json::{Value, json};

use super::{Said, admin::wait, operations::Viewer};

#[derive(Debug, Args)]
#[command(
    after_help = "Each look is evidence: the first of a person in an hour by itself, the others counted.\n\n\
Examples:\n  gateway alerts --as ./operator-1 --lang ar\n  gateway alerts test --as ./operator-1"
)]
pub(super) struct AlertsArguments {
    /// `test` says by every way that this is a test, and tells what became of it.
    #[arg(value_enum)]
    act: Option<AlertAct>,
    #[command(flatten)]
    viewer: Viewer,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum AlertAct {
    /// Says by every way that this is a test.
    Test,
}

impl AlertsArguments {
    pub(super) fn run(self) -> Result<Said> {
        let answer = wait(async {
            let mut operations = self.viewer.connect().await?;
            let answer = match self.act {
                None => operations.get_alerts(wire::GetAlertsRequest {}).await,
                Some(AlertAct::Test) => operations.test_alerts(wire::TestAlertsRequest {}).await,
            };
            anyhow::Ok(answer.map_err(client::said)?.into_inner())
        })?;
        let language = self.viewer.language();
        if self.act.is_some() && answer.ways.iter().all(|way| way.way == "heartbeat") {
            bail!("[alerts] of gateway.toml names no hook and no mail / لا يحدد gateway.toml طريقة لإبلاغ أحد");
        }
        if self.act.is_some() && answer.ways.iter().any(|way| way.failing_since_ms > 0) {
            bail!("{}", ways_text(&answer, language).join("\n"));
        }
        Ok(Said { text: text(&answer, language), json: to_json(&answer) })
    }
}

fn text(answer: &wire::AlertsAnswer, language: Language) -> Vec<String> {
    let mut lines = Vec::new();
    for alert in &answer.alerts {
        let (said, act) = match language {
            Language::English => (&alert.text_en, &alert.act_en),
            Language::Arabic => (&alert.text_ar, &alert.act_ar),
        };
        let raised = language.isolated(&moment(TimeMs(alert.raised_at_ms)));
        lines.push(format!("{}: {said} ({raised})", severity(&alert.code, language)));
        let mut next = format!("  {act} {}", language.isolated(&alert.runbook));
        for part in [&alert.duty_phone, &alert.duty_hours].into_iter().filter(|part| !part.is_empty()) {
            next = format!("{next} {}", language.isolated(part));
        }
        lines.push(next);
    }
    if answer.alerts.is_empty() {
        lines.push(language.pick("No alert stands.", "لا تنبيهات قائمة.").to_owned());
    }
    lines.extend(ways_text(answer, language));
    lines
}

fn severity(code: &str, language: Language) -> &'static str {
    Code::of_name(code).map_or("?", |code| Severity::text(code.severity(), language))
}

fn ways_text(answer: &wire::AlertsAnswer, language: Language) -> Vec<String> {
    let line = |way: &wire::AlertWay| {
        let name = language.isolated(&way.way);
        let at = |ms| language.isolated(&moment(TimeMs(ms)));
        if way.failing_since_ms > 0 {
            let since = at(way.failing_since_ms);
            match language {
                Language::English => format!("{name}: FAILS since {since}: {}", way.why_en),
                Language::Arabic => format!("{name}: متعطّل منذ {since}: {}", way.why_ar),
            }
        } else if way.told_at_ms > 0 {
            format!("{name}: {} {}", language.pick("worked last at", "عمل آخر مرة في"), at(way.told_at_ms))
        } else {
            format!("{name}: {}", language.pick("nothing was told yet", "لم يُبلَّغ شيء بعد"))
        }
    };
    if answer.ways.is_empty() {
        return vec![
            language.pick("Nobody is told: see [alerts] in gateway.toml.", "لا يُبلَّغ أحد.").to_owned(),
        ];
    }
    answer.ways.iter().map(line).collect()
}

fn to_json(answer: &wire::AlertsAnswer) -> Value {
    let alerts = answer.alerts.iter().map(|alert| {
        json!({
            "code": alert.code,
            "severity": alert.severity,
            "agency": alert.agency,
            "raised_at_ms": alert.raised_at_ms,
            "text_en": alert.text_en,
            "text_ar": alert.text_ar,
            "act_en": alert.act_en,
            "act_ar": alert.act_ar,
            "runbook": alert.runbook,
            "duty_phone": alert.duty_phone,
            "duty_hours": alert.duty_hours,
        })
    });
    let ways = answer.ways.iter().map(|way| {
        json!({
            "way": way.way,
            "told_at_ms": way.told_at_ms,
            "failing_since_ms": way.failing_since_ms,
            "why_en": way.why_en,
            "why_ar": way.why_ar,
        })
    });
    json!({
        "at_ms": answer.at_ms,
        "alerts": alerts.collect::<Vec<_>>(),
        "ways": ways.collect::<Vec<_>>(),
    })
}
