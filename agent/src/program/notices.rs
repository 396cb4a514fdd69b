//! Trying the ways by which people are told, and showing how they stand. Not here: telling them
//! (`agent::notices`).

use std::path::Path;

use agent::{
    api,
    daemon::Files,
    notices::{Notice, way::Way},
};
use serde_json::{Value, json};

use super::{
    outcome::{Outcome, Trouble},
    show::{Screen, moment},
};

/// Sends a test by every way. Needs no running agent.
pub(crate) async fn test(folder: &Path, screen: &Screen) -> Result<Outcome, Trouble> {
    let files = Files::open(folder).map_err(|fault| Trouble::of(&fault))?;
    let ways = Way::all(&files.settings, &files.folder);
    if ways.is_empty() {
        return Err(Trouble::usage(screen.language.pick(
            "agent.toml names no way to tell people: `notices`, `[hook]` or `[mail]`",
            "لا يذكر ملف الإعدادات أي طريقة لإشعار الأشخاص: ‎notices أو ‎[hook] أو ‎[mail]",
        )));
    }
    let notice = Notice::test(files.settings.agency.clone());
    let (mut lines, mut values, mut all_good) = (Vec::new(), Vec::new(), true);
    for way in &ways {
        let told = way.carry(&notice).await;
        let name = screen.language.isolated(way.name());
        match told {
            Ok(()) => {
                let good = screen.language.pick("taken; see whether it arrived", "قُبل؛ يُرجى التحقق من وصوله");
                lines.push(format!("{name}: {good}"));
                values.push(json!({"way": way.name(), "good": true}));
            }
            Err(why) => {
                all_good = false;
                lines.extend(both(&name, &why.to_string(), why.text_ar()));
                values.push(json!({
                    "way": way.name(), "good": false, "text_en": why.to_string(), "text_ar": why.text_ar(),
                }));
            }
        }
    }
    screen.show(lines, || Value::Array(values));
    Ok(if all_good { Outcome::Done } else { Outcome::Fault })
}

/// How a way stands. What fails is told in both languages: whoever reads it may have only one of them.
pub(crate) fn way_lines(way: &api::NoticeWay, screen: &Screen) -> Vec<String> {
    let language = screen.language;
    let name = format!("{} {}", language.pick("notices by", "الإشعارات عبر"), language.isolated(&way.way));
    if way.failing_since_ms > 0 {
        let since = language.pick("FAILS since", "متعذّرة منذ");
        let head = format!("{name}: {since} {}", language.isolated(&moment(way.failing_since_ms)));
        return both(&head, &way.why_en, &way.why_ar);
    }
    let stands = if way.told_at_ms > 0 {
        let told = language.pick("people were told at", "أُشعر الأشخاص في");
        format!("{told} {}", language.isolated(&moment(way.told_at_ms)))
    } else {
        language.pick("nobody had to be told yet", "لم يلزم إشعار أحد بعد").to_owned()
    };
    vec![format!("{name}: {stands}")]
}

fn both(head: &str, english: &str, arabic: &str) -> Vec<String> {
    vec![format!("{head}:"), format!("  {english}"), format!("  \u{2067}{arabic}\u{2069}")]
}

/// The same for programs.
pub(crate) fn way_json(way: &api::NoticeWay) -> Value {
    json!({
        "way": way.way,
        "told_at_ms": Some(way.told_at_ms).filter(|at| *at > 0),
        "failing_since_ms": Some(way.failing_since_ms).filter(|at| *at > 0),
        "text_en": Some(&way.why_en).filter(|why| !why.is_empty()),
        "text_ar": Some(&way.why_ar).filter(|why| !why.is_empty()),
    })
}
