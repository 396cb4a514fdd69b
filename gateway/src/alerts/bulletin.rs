//! What people are told of alerts, in both languages: codes, agencies and counts, and nothing of a case. Not
//! here: what is new to them (`proto::alert`), and carrying it (`courier`).

use courier::Message;
use proto::{
    alert::{Alert, AlertKey, Measure, News, Severity},
    ids::TimeMs,
    words::Language,
};
use serde_json::{Value, json};

use crate::operations::moments::{counted, lasting, moment};

/// Most alerts of each sort that one message names. More are counted.
pub(super) const LINES_MAX: usize = 40;

/// What is wrong, with whom and how much of it.
#[must_use]
pub fn said(key: &AlertKey, measure: Measure, language: Language) -> String {
    let mut parts = vec![key.code.text(language).to_owned()];
    parts.extend(key.agency.as_ref().map(|agency| language.isolated(agency.as_str())));
    parts.extend(with_measure(measure, language));
    parts.join(" - ")
}

/// How much of it; nothing where nothing is measured.
#[must_use]
pub fn with_measure(measure: Measure, language: Language) -> Option<String> {
    match measure {
        Measure::Plain => None,
        Measure::Count(noun, count) => Some(counted(noun, count, language)),
        Measure::Lasting(ms) => Some(lasting(ms, language)),
        Measure::Left(0) => Some(language.pick("it is over", "انتهت").to_owned()),
        Measure::Left(ms) => {
            let left = lasting(ms, language);
            Some(match language {
                Language::English => format!("{left} left"),
                Language::Arabic => format!("بقي: {left}"),
            })
        }
        Measure::Mebibytes(count) => Some(language.isolated(&format!("{count} MiB"))),
    }
}

/// A message that only tries the way, and says so.
pub(super) fn test(network: &str, now: TimeMs) -> Message {
    let (english, arabic) = (
        "This only tries whether alerts arrive. Nothing is wrong because of it.",
        "هذه تجربة لوصول التنبيهات فقط. لا خلل بسببها.",
    );
    Message {
        subject: format!("[{network}] A test of alerts / تجربة التنبيهات"),
        text: format!("{english}\r\n\r\n{arabic}\r\n\r\n-- \r\n{network}\r\n"),
        json: json!({
            "kind": "test", "network": network, "at_ms": now.0, "severity": Value::Null,
            "raised": [], "grown": [], "cleared": [], "text_en": english, "text_ar": arabic,
        })
        .to_string(),
    }
}

/// A message that says what is new.
pub(super) fn of(news: &News, network: &str, now: TimeMs) -> Message {
    let texts = [Language::English, Language::Arabic].map(|language| text(news, language));
    let [english, arabic] = &texts;
    let items = |alerts: &[Alert]| alerts.iter().take(LINES_MAX).map(item).collect::<Vec<_>>();
    let cleared = news.cleared.iter().take(LINES_MAX).map(|key| named(key, Measure::Plain));
    Message {
        subject: format!("[{network}] {}", subject(news)),
        text: format!("{english}\r\n{arabic}\r\n-- \r\n{network} - {}\r\n", moment(now)),
        json: json!({
            "kind": "alerts", "network": network, "at_ms": now.0,
            "severity": news.severity().map(Severity::name),
            "raised": items(&news.raised), "grown": items(&news.grown),
            "cleared": cleared.collect::<Vec<_>>(),
            "text_en": english, "text_ar": arabic,
        })
        .to_string(),
    }
}

/// The gravest that is new, and how many more there are.
fn subject(news: &News) -> String {
    let all = || news.raised.iter().chain(&news.grown);
    let Some(first) = all().min_by_key(|alert| &alert.key) else {
        return "Alerts are over / انتهت التنبيهات".to_owned();
    };
    let more = match all().count().saturating_sub(1) {
        0 => String::new(),
        more => format!(" (+{more})"),
    };
    let of = |language| {
        let code = first.key.code;
        format!("{}: {}{more}", code.severity().text(language), code.text(language))
    };
    format!("{} / {}", of(Language::English), of(Language::Arabic))
}

fn text(news: &News, language: Language) -> String {
    let mut lines = Vec::new();
    section(&mut lines, language.pick("New:", "جديد:"), &news.raised, language);
    section(&mut lines, language.pick("More than before:", "ازداد:"), &news.grown, language);
    if !news.cleared.is_empty() {
        lines.push(language.pick("Over:", "انتهى:").to_owned());
        let over = news.cleared.iter().take(LINES_MAX);
        lines.extend(over.map(|key| format!("  {}", said(key, Measure::Plain, language))));
        lines.extend(more(news.cleared.len(), language));
    }
    lines.into_iter().map(|line| line + "\r\n").collect()
}

fn section(lines: &mut Vec<String>, title: &str, alerts: &[Alert], language: Language) {
    if alerts.is_empty() {
        return;
    }
    lines.push(title.to_owned());
    for alert in alerts.iter().take(LINES_MAX) {
        let code = alert.key.code;
        let severity = code.severity().text(language);
        lines.push(format!("  {severity}: {}", said(&alert.key, alert.measure, language)));
        lines.push(format!("    {} {}", code.first_act(language), language.isolated(&code.runbook())));
    }
    lines.extend(more(alerts.len(), language));
}

fn more(count: usize, language: Language) -> Option<String> {
    let more = count.checked_sub(LINES_MAX).filter(|more| *more > 0)?;
    Some(match language {
        Language::English => format!("  and {more} more"),
        Language::Arabic => format!("  وسواها: {more}"),
    })
}

fn item(alert: &Alert) -> Value {
    let mut item = named(&alert.key, alert.measure);
    let code = alert.key.code;
    let count = if let Measure::Count(_, count) = alert.measure { Some(count) } else { None };
    let more = [
        ("raised_at_ms", json!(alert.raised_at.0)),
        ("count", json!(count)),
        ("act_en", json!(code.first_act(Language::English))),
        ("act_ar", json!(code.first_act(Language::Arabic))),
        ("runbook", json!(code.runbook())),
    ];
    if let Some(object) = item.as_object_mut() {
        object.extend(more.map(|(name, value)| (name.to_owned(), value)));
    }
    item
}

fn named(key: &AlertKey, measure: Measure) -> Value {
    json!({
        "code": key.code.name(),
        "severity": key.code.severity().name(),
        "agency": key.agency.as_ref().map(ToString::to_string),
        "text_en": said(key, measure, Language::English),
        "text_ar": said(key, measure, Language::Arabic),
    })
}

#[cfg(test)]
mod tests {
    use proto::{alert::Code, count::Noun, ids::AgencyId};

    use super::*;

    fn alert(code: Code, agency: Option<&str>, measure: Measure) -> Alert {
        let agency = agency.map(|agency| AgencyId::parse(agency, "agency").unwrap());
        Alert { key: AlertKey { code, agency }, raised_at: TimeMs(1_790_000_000_000), measure }
    }

    #[test]
    fn a_message_names_codes_agencies_and_counts_in_both_languages() {
        let emergency = alert(Code::EmergencyUnseen, Some("ae-rk.aman"), Measure::Count(Noun::Referral, 2));
        let disk = alert(Code::DiskFull, None, Measure::Mebibytes(300));
        let over = alert(Code::AgencySilent, Some("ae.dfwac"), Measure::Plain).key;
        let news = News { raised: vec![emergency, disk], grown: Vec::new(), cleared: vec![over] };
        let message = of(&news, "referral.example", TimeMs(1_790_000_000_000));
        assert_eq!(
            message.subject,
            "[referral.example] critical: an emergency that nobody has seen (+1) / حرج: حالة طارئة لم يطّلع عليها أحد (+1)"
        );
        let expected = "New:\r\n  critical: an emergency that nobody has seen - ae-rk.aman - 2 referrals\r\n    \
             Telephone its duty desk now. gateway/README.md#emergency_unseen\r\n  critical: the disk is nearly full \
             - 300 MiB\r\n    Make room on the disk. gateway/README.md#disk_full\r\nOver:\r\n  not connected for long \
             - ae.dfwac\r\n";
        assert!(message.text.starts_with(expected), "{}", message.text);
        assert!(message.text.contains("\u{2068}ae-rk.aman\u{2069} - إحالتان"), "{}", message.text);
        let read: Value = serde_json::from_str(&message.json).unwrap();
        assert_eq!(read["severity"], "critical");
        assert_eq!(read["raised"][0]["code"], "emergency_unseen");
        assert_eq!(read["raised"][0]["count"], 2);
        assert_eq!(read["cleared"][0]["agency"], "ae.dfwac");
    }

    #[test]
    fn a_message_is_never_long() {
        let one = |number: usize| alert(Code::AgencySilent, Some(&format!("a.n{number}")), Measure::Plain);
        let news = News { raised: (0..1_000).map(one).collect(), ..News::default() };
        let message = of(&news, "referral.example", TimeMs(0));
        assert_eq!(message.text.matches("not connected for long").count(), LINES_MAX);
        assert!(message.text.contains("and 960 more") && message.json.len() < 64 * 1024);
        let over =
            News { cleared: news.raised.into_iter().map(|alert| alert.key).collect(), ..News::default() };
        assert!(of(&over, "referral.example", TimeMs(0)).subject.contains("Alerts are over"));
    }
}
