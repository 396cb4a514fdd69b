//! Alarms on the command line: showing what each means, and settling one. Not here: what raises them
//! (`agent::alarm`).

use std::path::Path;

use agent::{api, words::Language};
use serde_json::{Value, json};

use super::{
    arguments::{SettleAlarm, SettleReason},
    outcome::{Outcome, Trouble},
    sending::client,
    show::{Screen, moment},
};

/// Without a name all alarms are shown, without a reason the one that is named; then nothing is settled.
pub(crate) async fn settle(folder: &Path, asked: &SettleAlarm, screen: &Screen) -> Result<Outcome, Trouble> {
    let language = screen.language;
    let mut client = client(folder).await?;
    let standing = client.get_status(api::StatusRequest {}).await?.into_inner().alarms;
    let Some(name) = &asked.alarm else {
        if standing.is_empty() {
            screen.remark(language.pick("No alarm stands.", "لا يوجد إنذار قائم."));
        }
        screen.show(standing.iter().flat_map(|alarm| whole(alarm, language)), || {
            Value::Array(standing.iter().map(alarm_json).collect())
        });
        return Ok(Outcome::Done);
    };
    let alarm = standing.iter().find(|alarm| alarm.alarm == *name).ok_or_else(|| {
        Trouble::usage(language.pick(
            "no alarm that stands has this name; `agent settle-alarm` lists them",
            "لا يوجد إنذار قائم بهذا الاسم؛ يعرض الأمر settle-alarm الإنذارات القائمة",
        ))
    })?;
    let Some(reason) = asked.reason else {
        let codes = ["mended", "explained", "exercise", "false-alarm"];
        let ask = [
            consequence(alarm, language).to_owned(),
            language
                .pick(
                    "Nothing was settled. When people have looked, give the reason:",
                    "لم تتم تسوية شيء. بعد أن ينظر الأشخاص في الأمر اذكر السبب:",
                )
                .to_owned(),
            format!("  agent settle-alarm {name} --reason {}", codes.join("|")),
        ];
        screen.show(
            whole(alarm, language).into_iter().chain(ask),
            || json!({"settled": false, "alarm": alarm_json(alarm), "reasons": codes}),
        );
        return Ok(Outcome::Usage);
    };
    let request = api::SettleAlarmRequest { alarm: name.clone(), reason: number(reason).into() };
    let answer = client.settle_alarm(request).await?.into_inner();
    let lines = [
        language.pick("Settled. The record of it stays.", "تمت التسوية. يبقى سجل الإنذار محفوظًا.").to_owned(),
        if answer.may_seal {
            language.pick("Parts are sealed.", "يعمل الختم.").to_owned()
        } else {
            consequence(alarm, language).to_owned()
        },
    ];
    screen.show(lines, || json!({"settled": true, "alarm": alarm_json(alarm), "may_seal": answer.may_seal}));
    Ok(Outcome::Done)
}

const fn number(reason: SettleReason) -> api::SettledReason {
    match reason {
        SettleReason::Mended => api::SettledReason::Mended,
        SettleReason::Explained => api::SettledReason::Explained,
        SettleReason::Exercise => api::SettledReason::Exercise,
        SettleReason::FalseAlarm => api::SettledReason::FalseAlarm,
    }
}

/// What settling does, and what it does not.
const fn consequence(alarm: &api::Alarm, language: Language) -> &'static str {
    if alarm.stops_sealing {
        language.pick(
            "Settling it lets nothing be sealed by itself: the agent connects anew, and seals again only when both \
             logs are proven to be those that were seen before. If they are not, it is an alarm again.",
            "لا تسمح التسوية وحدها بختم أي شيء: يعيد البرنامج الاتصال، ولا يختم من جديد إلا بعد إثبات أن السجلين هما \
             اللذان شوهدا من قبل. وإن لم يكونا كذلك فهو إنذار من جديد.",
        )
    } else {
        language.pick(
            "Settling it changes nothing but what is shown: this alarm keeps nothing from being sealed.",
            "لا تغيّر التسوية إلا ما يُعرض: لا يمنع هذا الإنذار الختم.",
        )
    }
}

/// One line, and what it means in both languages: whoever reads it may have only one of them.
pub(crate) fn whole(alarm: &api::Alarm, language: Language) -> Vec<String> {
    let what = alarm.kind.trim_start_matches("ALARM_KIND_");
    let word = language.pick("ALARM", "إنذار");
    let since = language.pick("since", "منذ");
    let isolated = |text: &str| language.isolated(text);
    let mut head = format!(
        "{word} {} {} {since} {}: {}",
        isolated(&alarm.alarm),
        isolated(what),
        isolated(&moment(alarm.at_ms)),
        isolated(&alarm.detail)
    );
    if !alarm.envelope.is_empty() {
        head.push_str(&format!(" {}", isolated(&alarm.envelope)));
    }
    vec![head, format!("  {}", alarm.text_en), format!("  \u{2067}{}\u{2069}", alarm.text_ar)]
}

/// The same for programs.
pub(crate) fn alarm_json(alarm: &api::Alarm) -> Value {
    json!({
        "alarm": alarm.alarm,
        "kind": alarm.kind,
        "detail": alarm.detail,
        "envelope": alarm.envelope,
        "at_ms": alarm.at_ms,
        "text_en": alarm.text_en,
        "text_ar": alarm.text_ar,
        "stops_sealing": alarm.stops_sealing,
    })
}
