//! `agent doctor` on the command line. Not here: what is looked at (`agent::doctor`).

use std::path::Path;

use agent::{
    doctor::{self, Check, Finding, Outcome as Stands},
    words::Language,
};
use serde_json::{Value, json};

use super::{
    outcome::{Outcome, Trouble},
    show::Screen,
};

/// Looks at everything. Done when nothing is bad; a warning is no fault.
pub(crate) async fn examine(folder: &Path, screen: &Screen) -> Result<Outcome, Trouble> {
    let found = doctor::examine(folder).await;
    let language = screen.language;
    screen.show(found.iter().flat_map(|finding| lines(finding, language)), || {
        Value::Array(found.iter().map(finding_json).collect())
    });
    let is_bad = found.iter().any(|finding| finding.outcome == Stands::Bad);
    Ok(if is_bad { Outcome::Fault } else { Outcome::Done })
}

fn lines(finding: &Finding, language: Language) -> Vec<String> {
    let stands = match finding.outcome {
        Stands::Good => language.pick("good", "سليم"),
        Stands::Warning => language.pick("WARNING", "تنبيه"),
        Stands::Bad => language.pick("BAD", "خلل"),
        Stands::NotChecked => language.pick("not looked at", "لم يُفحص"),
    };
    let mut head = format!("{}: {stands}", name(finding.check, language));
    if !finding.seen.is_empty() {
        head.push_str(&format!(" ({})", language.isolated(&finding.seen)));
    }
    match finding.outcome {
        Stands::Good | Stands::NotChecked => vec![head],
        Stands::Warning | Stands::Bad => {
            let text = language.pick(finding.text_en(), finding.text_ar());
            vec![head, format!("  {}: {text}", language.isolated(finding.code))]
        }
    }
}

fn finding_json(finding: &Finding) -> Value {
    json!({
        "check": code(finding.check),
        "outcome": match finding.outcome {
            Stands::Good => "good",
            Stands::Warning => "warning",
            Stands::Bad => "bad",
            Stands::NotChecked => "not_checked",
        },
        "code": finding.code,
        "seen": Some(&finding.seen).filter(|seen| !seen.is_empty()),
        "text_en": finding.text_en(),
        "text_ar": finding.text_ar(),
    })
}

const fn code(check: Check) -> &'static str {
    match check {
        Check::Folder => "folder",
        Check::Keys => "keys",
        Check::Disk => "disk",
        Check::Running => "running",
        Check::Exchange => "exchange",
        Check::Restored => "restored",
        Check::Certificate => "certificate",
        Check::Name => "name",
        Check::Connection => "connection",
        Check::Proxy => "proxy",
        Check::Tls => "tls",
        Check::Gateway => "gateway",
        Check::Clock => "clock",
        Check::Directory => "directory",
        Check::PublishedKeys => "published_keys",
        Check::Agreements => "agreements",
    }
}

const fn name(check: Check, language: Language) -> &'static str {
    match check {
        Check::Folder => language.pick("folder and permissions", "المجلد والأذونات"),
        Check::Keys => language.pick("keys", "المفاتيح"),
        Check::Disk => language.pick("room on the disk", "مساحة القرص"),
        Check::Running => language.pick("the agent runs", "عمل البرنامج"),
        Check::Exchange => language.pick("exchange folder", "مجلد التبادل"),
        Check::Restored => language.pick("restored backup", "نسخة مستعادة"),
        Check::Certificate => language.pick("certificate", "الشهادة"),
        Check::Name => language.pick("name", "الاسم"),
        Check::Connection => language.pick("connection", "الاتصال"),
        Check::Proxy => language.pick("proxy", "الوسيط"),
        Check::Tls => language.pick("TLS", "الاتصال المشفّر"),
        Check::Gateway => language.pick("gateway", "البوابة"),
        Check::Clock => language.pick("clock", "الساعة"),
        Check::Directory => language.pick("directory", "الدليل"),
        Check::PublishedKeys => language.pick("published keys", "المفاتيح المنشورة"),
        Check::Agreements => language.pick("agreements in force", "الاتفاقيات السارية"),
    }
}
