//! `gateway status` and `gateway stuck`: what operations see, for those who live in a shell. Not here: what
//! it is (`gateway::operations`).

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use clap::{Args, ValueEnum};
use gateway::{
    admin::client,
    network::NetworkFile,
    operations::moments::{lasting, moment, until},
    service::stubs::operations_client::OperationsClient,
};
use proto::{
    count::isolated,
    ids::{ReferralKey, TimeMs, Urgency},
    stuck::{Lateness, Stage},
    wire,
    words::{self, Language},
};
use serde_json::{Value, json};

use super::{Said, admin::wait};

/// A language of the command line.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Lang {
    En,
    Ar,
}

#[derive(Debug, Args)]
pub(super) struct Viewer {
    /// A folder with network.toml, and the certificate and key of an operator or administrator in tls/.
    #[arg(long = "as")]
    desk: PathBuf,
    /// Language of what is shown.
    #[arg(long, value_enum, default_value = "en")]
    lang: Lang,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Each look is evidence: the first of a person in an hour by itself, the others counted.\n\n\
Example:\n  gateway status --as ./operator-1 --lang ar"
)]
pub(super) struct StatusArguments {
    #[command(flatten)]
    viewer: Viewer,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Each look is evidence: the first of a person in an hour by itself, the others counted.\n\n\
Example:\n  gateway stuck --as ./operator-1 --json"
)]
pub(super) struct StuckArguments {
    #[command(flatten)]
    viewer: Viewer,
    /// Also what is awaited in its time.
    #[arg(long)]
    all: bool,
    /// How many at the most.
    #[arg(long, default_value_t = 100)]
    most: u32,
}

impl Viewer {
    pub(super) const fn language(&self) -> Language {
        match self.lang {
            Lang::En => Language::English,
            Lang::Ar => Language::Arabic,
        }
    }

    pub(super) async fn connect(&self) -> Result<OperationsClient<tonic::transport::Channel>> {
        let network = NetworkFile::read(&self.desk.join("network.toml"))
            .with_context(|| format!("{}/network.toml", self.desk.display()))?;
        let channel = client::channel(&network, &tls_of(&self.desk)).await?;
        Ok(OperationsClient::new(channel).max_decoding_message_size(client::ANSWER_BYTES_MAX))
    }
}

fn tls_of(desk: &Path) -> PathBuf {
    desk.join("tls")
}

impl StatusArguments {
    pub(super) fn run(self) -> Result<Said> {
        let answer = wait(async {
            let mut operations = self.viewer.connect().await?;
            let answer = operations.get_status(wire::GetStatusRequest {}).await;
            anyhow::Ok(answer.map_err(client::said)?.into_inner())
        })?;
        Ok(Said { text: status_text(&answer, self.viewer.language()), json: status_json(&answer) })
    }
}

impl StuckArguments {
    pub(super) fn run(self) -> Result<Said> {
        let request = wire::GetStuckRequest { all: self.all, count_max: self.most };
        let answer = wait(async {
            let mut operations = self.viewer.connect().await?;
            anyhow::Ok(operations.get_stuck(request).await.map_err(client::said)?.into_inner())
        })?;
        Ok(Said { text: stuck_text(&answer, self.viewer.language())?, json: stuck_json(&answer)? })
    }
}

fn stage_text(name: &str, language: Language) -> &'static str {
    Stage::ALL.iter().find(|stage| stage.name() == name).map_or("?", |stage| stage.text(language))
}

fn lateness_text(name: &str, language: Language) -> &'static str {
    let all = [Lateness::InTime, Lateness::HalfOver, Lateness::Missed];
    all.iter().find(|one| one.name() == name).map_or("?", |one| one.text(language))
}

fn status_text(answer: &wire::StatusAnswer, language: Language) -> Vec<String> {
    let now = TimeMs(answer.at_ms);
    let mut text = vec![language.pick("Stuck, of what is awaited:", "المتعثّر مما هو منتظَر:").to_owned()];
    text.extend(answer.stages.iter().map(|count| {
        format!("  {}: {} / {}", stage_text(&count.stage, language), count.stuck, count.awaited)
    }));
    if !answer.is_whole {
        text.push(language.pick("  (the oldest part of it)", "  (الجزء الأقدم منه)").to_owned());
    }
    text.push(language.pick("Agencies:", "الجهات:").to_owned());
    text.extend(answer.agencies.iter().map(|agency| format!("  {}", agency_line(agency, now, language))));
    text.push(language.pick("Gateway:", "البوابة:").to_owned());
    let gateway = answer.gateway.unwrap_or_default();
    text.extend(gateway_lines(&gateway, language).into_iter().map(|line| format!("  {line}")));
    text
}

fn agency_line(agency: &wire::AgencyContact, now: TimeMs, language: Language) -> String {
    let contact = if agency.connected {
        language.pick("connected", "متصلة").to_owned()
    } else if agency.last_contact_ms == 0 {
        language.pick("not connected since the gateway started", "لم تتصل منذ بدء البوابة").to_owned()
    } else {
        let ago = lasting(now.0.saturating_sub(agency.last_contact_ms), language);
        match language {
            Language::English => format!("not connected, last contact {ago} ago"),
            Language::Arabic => format!("غير متصلة، آخر اتصال قبل: {ago}"),
        }
    };
    let mut parts = vec![language.isolated(&agency.agency), contact];
    parts.push(format!("{} {}", language.pick("waiting:", "في الصندوق:"), agency.waiting));
    if agency.suspended {
        parts.push(language.pick("suspended", "موقوفة مؤقتًا").to_owned());
    }
    if agency.lacks_key {
        parts.push(language.pick("lacks a key", "ينقصها مفتاح").to_owned());
    }
    if !agency.duty_phone.is_empty() {
        parts.push(language.isolated(&agency.duty_phone));
    }
    parts.join(" - ")
}

fn gateway_lines(gateway: &wire::GatewayCondition, language: Language) -> Vec<String> {
    let yes = |is: bool| if is { language.pick("yes", "نعم") } else { language.pick("NO", "لا") };
    let ends = |until_ms: u64| moment(TimeMs(until_ms));
    let mut lines = vec![
        format!(
            "{} {} ({} MiB)",
            language.pick("room on the disk:", "متسع على القرص:"),
            yes(gateway.has_room),
            gateway.free_bytes / (1024 * 1024)
        ),
        format!(
            "{} {}",
            language.pick("clock right:", "الساعة مضبوطة:"),
            yes(gateway.is_clock_right && !gateway.is_clock_doubted)
        ),
        format!("{} {}", language.pick("index complete:", "الفهرس مكتمل:"), yes(gateway.is_indexed)),
        format!("{} {}", language.pick("takes new work:", "تستلم الجديد:"), yes(!gateway.is_draining)),
        format!(
            "{} {} / {} / {} ({})",
            language.pick("log: written / published / witnessed:", "السجل: مكتوب / منشور / مشهود عليه:"),
            gateway.evidence_size,
            gateway.published_size,
            gateway.witnessed_size,
            gateway.witnesses
        ),
        format!(
            "{} {}{} {} {}",
            language.pick("revocation lists until", "قوائم الإبطال حتى"),
            language.isolated(&ends(gateway.crls_until_ms)),
            language.pick(";", "؛"),
            language.pick("certificate until", "الشهادة حتى"),
            language.isolated(&ends(gateway.certificate_until_ms))
        ),
    ];
    if gateway.fork_alarms > 0 {
        lines.push(language.pick("FORK ALARM: see the log", "إنذار تشعّب السجل: راجع السجل").to_owned());
    }
    lines
}

fn stuck_text(answer: &wire::StuckAnswer, language: Language) -> Result<Vec<String>> {
    let now = TimeMs(answer.at_ms);
    let mut text = Vec::new();
    for item in &answer.items {
        let referral = ReferralKey::parse(item.referral.as_ref())?;
        let urgency =
            Urgency::parse(item.urgency, "urgency").map_or("?", |urgency| words::urgency(urgency, language));
        text.push(format!(
            "{} - {} - {}",
            stage_text(&item.stage, language),
            urgency,
            lateness_text(&item.lateness, language)
        ));
        let names = [referral.id.to_string(), referral.opened_by.to_string(), item.recipient.clone()];
        let [id, from, to] = names.map(|name| if name.is_empty() { name } else { shown(&name, language) });
        text.push(format!(
            "  {id}  {} {from}  {} {to}",
            language.pick("from", "من"),
            language.pick("to", "إلى")
        ));
        let since = lasting(now.0.saturating_sub(item.since_ms), language);
        let due = match item.due_at_ms {
            0 => String::new(),
            due_at => format!(" - {}", until(TimeMs(due_at), now, language)),
        };
        text.push(format!("  {} {since}{due}", language.pick("for", "منذ:")));
        let refusal = if item.refusal.is_empty() {
            String::new()
        } else {
            format!(" ({})", shown(&item.refusal, language))
        };
        text.push(match language {
            Language::English => format!("  {}{refusal} {}", item.cause_en, item.act_en),
            Language::Arabic => format!("  {}{refusal} {}", item.cause_ar, item.act_ar),
        });
        let phone = if item.duty_phone.is_empty() {
            language.pick("no duty phone in the directory", "لا هاتف مناوبة في الدليل").to_owned()
        } else {
            format!("{} {}", shown(&item.duty_phone, language), shown(&item.duty_hours, language))
        };
        text.push(format!("  {} {}: {phone}", language.pick("Call", "اتصل بـ"), shown(&item.call, language)));
    }
    if answer.items.is_empty() {
        text.push(language.pick("Nothing is stuck.", "لا شيء متعثّر.").to_owned());
    }
    if !answer.is_whole {
        text.push(language.pick("There is more.", "هناك المزيد.").to_owned());
    }
    Ok(text)
}

fn shown(name: &str, language: Language) -> String {
    match language {
        Language::English => name.to_owned(),
        Language::Arabic if name.is_empty() => String::new(),
        Language::Arabic => isolated(name),
    }
}

fn status_json(answer: &wire::StatusAnswer) -> Value {
    let stages = answer.stages.iter().map(|count| {
        json!({"stage": count.stage, "awaited": count.awaited, "stuck": count.stuck, "missed": count.missed})
    });
    let agencies = answer.agencies.iter().map(|agency| {
        json!({
            "agency": agency.agency,
            "connected": agency.connected,
            "last_contact_ms": agency.last_contact_ms,
            "certificate_until_ms": agency.certificate_until_ms,
            "waiting": agency.waiting,
            "suspended": agency.suspended,
            "lacks_key": agency.lacks_key,
            "duty_phone": agency.duty_phone,
            "duty_hours": agency.duty_hours,
        })
    });
    let gateway = answer.gateway.unwrap_or_default();
    json!({
        "at_ms": answer.at_ms,
        "started_ms": answer.started_ms,
        "is_whole": answer.is_whole,
        "stages": stages.collect::<Vec<_>>(),
        "agencies": agencies.collect::<Vec<_>>(),
        "gateway": {
            "has_room": gateway.has_room,
            "is_draining": gateway.is_draining,
            "under_way": gateway.under_way,
            "free_bytes": gateway.free_bytes,
            "is_indexed": gateway.is_indexed,
            "is_clock_right": gateway.is_clock_right,
            "is_clock_doubted": gateway.is_clock_doubted,
            "evidence_size": gateway.evidence_size,
            "published_size": gateway.published_size,
            "witnessed_size": gateway.witnessed_size,
            "witnesses": gateway.witnesses,
            "crls_until_ms": gateway.crls_until_ms,
            "certificate_until_ms": gateway.certificate_until_ms,
            "fork_alarms": gateway.fork_alarms,
            "connections": gateway.connections,
            "waiting": gateway.waiting,
        },
    })
}

fn stuck_json(answer: &wire::StuckAnswer) -> Result<Value> {
    let item = |item: &wire::StuckItem| -> Result<Value> {
        let referral = ReferralKey::parse(item.referral.as_ref())?;
        Ok(json!({
            "referral": referral.id.to_string(),
            "opened_by": referral.opened_by.to_string(),
            "attempt": item.attempt,
            "recipient": item.recipient,
            "urgency": Urgency::parse(item.urgency, "urgency")
                .map_or("?", |urgency| words::urgency(urgency, Language::English)),
            "stage": item.stage,
            "cause": item.cause,
            "refusal": item.refusal,
            "lateness": item.lateness,
            "stuck": item.stuck,
            "since_ms": item.since_ms,
            "due_at_ms": item.due_at_ms,
            "text_en": format!("{} {}", item.cause_en, item.act_en),
            "text_ar": format!("{} {}", item.cause_ar, item.act_ar),
            "call": item.call,
            "duty_phone": item.duty_phone,
            "duty_hours": item.duty_hours,
        }))
    };
    let items: Vec<_> = answer.items.iter().map(item).collect::<Result<_>>()?;
    Ok(json!({"at_ms": answer.at_ms, "is_whole": answer.is_whole, "items": items}))
}
