//! Rotating the agency's keys on the command line, and how that stands. Not here: what is done
//! (`agent::rotation`).

use std::{path::Path, time::Duration};

use agent::{api, words::Language};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use super::{
    arguments::{RotateKeys, RotatedKey},
    outcome::{Outcome, Trouble},
    sending::client,
    show::{Screen, moment},
};

/// How often it is looked how far it has come.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Begins a rotation, or tells how the one that goes on stands.
pub(crate) async fn rotate(folder: &Path, asked: &RotateKeys, screen: &Screen) -> Result<Outcome, Trouble> {
    let language = screen.language;
    let mut client = client(folder).await?;
    let keys = asked.only.iter().map(|key| i32::from(number(*key))).collect();
    let request = api::RotateKeysRequest { keys, soon: asked.soon };
    let answer = client.rotate_keys(request).await?.into_inner();
    let mut rotation = answer.rotation.unwrap_or_default();
    let mut is_done = false;
    if asked.wait {
        let spinner = screen.spinner(language.pick("the keys are rotated", "يجري تبديل المفاتيح"));
        let comes = async {
            loop {
                let status = client.get_status(api::StatusRequest {}).await?.into_inner();
                match status.rotation {
                    None => return Ok::<_, Trouble>(None),
                    Some(now) if now.waits_for == LATER => return Ok(Some(now)),
                    Some(now) => rotation = now,
                }
                sleep(LOOK_EVERY).await;
            }
        };
        let came = timeout(Duration::from_secs(asked.timeout), comes).await;
        spinner.finish_and_clear();
        match came {
            Ok(Ok(None)) => is_done = true,
            Ok(Ok(Some(now))) => rotation = now,
            Ok(Err(trouble)) => return Err(trouble),
            Err(_) => {
                screen.show(
                    lines(&rotation, language),
                    || json!({"begun": answer.begun, "done": false, "rotation": json(&rotation)}),
                );
                return Ok(Outcome::NotReached);
            }
        }
    }
    let said = match (is_done, answer.begun) {
        (true, _) => language.pick(
            "The keys are rotated, and those before are taken back. Make a backup now: one from before cannot sign.",
            "تم تبديل المفاتيح وسحب السابقة منها. أنشئ الآن نسخة احتياطية، فالنسخ السابقة لا تصلح للتوقيع.",
        ),
        (false, true) => language.pick(
            "It goes on by itself, also after a restart; `agent status` says how it stands.",
            "يستمر ذلك تلقائيًا حتى بعد إعادة التشغيل، ويعرض الأمر status حالته.",
        ),
        (false, false) => language.pick(
            "A rotation goes on already; none was begun.",
            "هناك تبديل مفاتيح جارٍ بالفعل، فلم يبدأ غيره.",
        ),
    };
    let turns = rotation.turns.iter().map(|turn| turn_line(turn, language));
    let standing =
        if is_done { Vec::from_iter(left_line(&rotation, language)) } else { lines(&rotation, language) };
    screen.show(
        turns.chain(standing).chain([said.to_owned()]),
        || json!({"begun": answer.begun, "done": is_done, "rotation": json(&rotation)}),
    );
    Ok(Outcome::Done)
}

/// What a rotation waits for of which nothing but the former sealing key is left.
const LATER: &str = "LATER";

const fn number(key: RotatedKey) -> api::RotatedKey {
    match key {
        RotatedKey::Signing => api::RotatedKey::Signing,
        RotatedKey::Sealing => api::RotatedKey::Sealing,
        RotatedKey::Witness => api::RotatedKey::Witness,
        RotatedKey::Tls => api::RotatedKey::Tls,
    }
}

const fn word(key: api::RotatedKey, language: Language) -> &'static str {
    match key {
        api::RotatedKey::Unspecified => "?",
        api::RotatedKey::Signing => language.pick("signing key", "مفتاح التوقيع"),
        api::RotatedKey::Sealing => language.pick("sealing key", "مفتاح الختم"),
        api::RotatedKey::Witness => language.pick("witness key", "مفتاح الشهادة على السجل"),
        api::RotatedKey::Tls => language.pick("key of the connection", "مفتاح الاتصال"),
    }
}

fn turn_line(turn: &api::KeyTurn, language: Language) -> String {
    let (new, former) = (language.isolated(&turn.new_id), language.isolated(&turn.former_id));
    let instead = language.pick("instead of", "بدلًا من");
    format!("{}: {new} {instead} {former}", word(turn.key(), language))
}

/// How a rotation stands; what fails, in both languages.
pub(crate) fn lines(rotation: &api::Rotation, language: Language) -> Vec<String> {
    let mut lines = vec![format!(
        "{} {}: {}",
        language.pick("keys are rotated since", "يجري تبديل المفاتيح منذ"),
        language.isolated(&moment(rotation.begun_at_ms)),
        waits(rotation, language)
    )];
    lines.extend(left_line(rotation, language));
    if rotation.failing_since_ms > 0 {
        let since = language.isolated(&moment(rotation.failing_since_ms));
        let word = language.pick("ROTATING THE KEYS FAILS since", "تبديل المفاتيح متعذّر منذ");
        lines.push(format!("{word} {since} ({}):", language.isolated(&rotation.code)));
        lines.push(format!("  {}", rotation.why_en));
        lines.push(format!("  \u{2067}{}\u{2069}", rotation.why_ar));
    }
    lines
}

fn left_line(rotation: &api::Rotation, language: Language) -> Option<String> {
    let word = language.pick(
        "The key of the connection is left as it is: this gateway does not renew it now",
        "بقي مفتاح الاتصال على حاله: لا تجدده هذه البوابة الآن",
    );
    let code = &rotation.certificate_left;
    (!code.is_empty()).then(|| format!("{word} ({})", language.isolated(code)))
}

fn waits(rotation: &api::Rotation, language: Language) -> String {
    let what = match rotation.waits_for.as_str() {
        "LINK" => language.pick("waits for the gateway", "بانتظار الاتصال بالبوابة"),
        "PUBLISHED" => language.pick("the new keys are being published", "يجري نشر المفاتيح الجديدة"),
        "CERTIFIED" => language.pick("the new certificate is on its way", "بانتظار الشهادة الجديدة"),
        "CONNECTED" => language.pick("the agent connects anew", "يعيد البرنامج الاتصال"),
        "DRAINED" => language.pick(
            "waits until what was signed with the former key has gone out",
            "بانتظار إرسال ما وُقّع بالمفتاح السابق",
        ),
        LATER => {
            let goes = language.isolated(&moment(rotation.sealing_goes_at_ms));
            let word = language.pick(
                "the new keys are in use; the former sealing key is taken back at",
                "المفاتيح الجديدة مستعملة، ويُسحب مفتاح الختم السابق في",
            );
            return format!("{word} {goes}");
        }
        _ => language.pick("the former keys are being taken back", "يجري سحب المفاتيح السابقة"),
    };
    what.to_owned()
}

/// The same for programs.
pub(crate) fn json(rotation: &api::Rotation) -> Value {
    let key = |key: api::RotatedKey| key.as_str_name().trim_start_matches("ROTATED_KEY_").to_lowercase();
    let turns = rotation
        .turns
        .iter()
        .map(|turn| json!({"key": key(turn.key()), "new": turn.new_id, "former": turn.former_id}));
    json!({
        "begun_at_ms": rotation.begun_at_ms,
        "in_use": rotation.in_use,
        "waits_for": rotation.waits_for,
        "turns": turns.collect::<Vec<_>>(),
        "sealing_goes_at_ms": rotation.sealing_goes_at_ms,
        "certificate_left": Some(&rotation.certificate_left).filter(|left| !left.is_empty()),
        "failing_since_ms": Some(rotation.failing_since_ms).filter(|at| *at > 0),
        "code": Some(&rotation.code).filter(|code| !code.is_empty()),
        "text_en": Some(&rotation.why_en).filter(|why| !why.is_empty()),
        "text_ar": Some(&rotation.why_ar).filter(|why| !why.is_empty()),
    })
}
