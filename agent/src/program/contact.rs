//! Safe contact as people read it: what must never be done comes first, codes are said in words. Not
//! here: which word on it is the newest (`show`).

use agent::words::{Language, printable};
use proto::payload;
use serde_json::{Map, Value};

/// Fields in the order in which they are read, and what they are called.
const FIELDS: &[(&str, &str, &str)] = &[
    ("never", "NEVER by", "ممنوع التواصل عبر"),
    ("phone_is_shared", "others hold or read her phone", "الهاتف بيد آخرين أيضًا"),
    ("phone_held_by", "it is held by", "الهاتف بيد"),
    ("who", "talk to", "التواصل مع"),
    ("when", "when", "متى"),
    ("language", "language", "اللغة"),
    ("channels", "by", "التواصل عبر"),
    ("note", "note", "ملاحظة"),
];

/// One line for each field; what is not known here is shown as it stands.
pub(crate) fn lines(contact: &Map<String, Value>, language: Language) -> Vec<String> {
    let known = FIELDS.iter().filter_map(|(name, english, arabic)| {
        let value = contact.get(*name)?;
        Some(format!("    {}: {}", language.pick(english, arabic), said(name, value, language)))
    });
    let others = contact.iter().filter(|(name, _)| FIELDS.iter().all(|(known, ..)| known != name));
    let others = others.map(|(name, value)| {
        format!("    {}: {}", language.isolated(&printable(name)), said(name, value, language))
    });
    known.chain(others).collect()
}

fn said(name: &str, value: &Value, language: Language) -> String {
    match value {
        Value::String(text) => word(name, text, language),
        Value::Bool(true) => language.pick("yes", "نعم").to_owned(),
        Value::Bool(false) => language.pick("no", "لا").to_owned(),
        Value::Array(list) if list.is_empty() => language.pick("(none)", "(لا شيء)").to_owned(),
        Value::Array(list) => {
            let said: Vec<_> = list.iter().map(|one| said(name, one, language)).collect();
            said.join(language.pick(", ", "، "))
        }
        Value::Null | Value::Number(_) | Value::Object(_) => printable(&value.to_string()),
    }
}

/// A code by its label; text as it stands.
fn word(name: &str, text: &str, language: Language) -> String {
    let label = payload::find(name).and_then(|field| field.form.vocabulary()?.find(text));
    label.map_or_else(|| printable(text), |term| language.pick(term.en, term.ar).to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_must_never_be_done_comes_first_and_in_words() {
        let contact = json!({
            "channels": ["through_the_agency"], "language": "tl", "never": ["sms", "whatsapp"], "note": "a\u{1b}[2Jb",
            "phone_held_by": ["employer"], "phone_is_shared": true, "when": "mornings", "who": "the case worker",
            "later": ["x"]
        });
        let contact = contact.as_object().unwrap();
        assert_eq!(
            lines(contact, Language::English),
            [
                "    NEVER by: Text message, WhatsApp",
                "    others hold or read her phone: yes",
                "    it is held by: Employer or sponsor",
                "    talk to: the case worker",
                "    when: mornings",
                "    language: Tagalog",
                "    by: Through the referring agency",
                "    note: a [2Jb",
                "    later: x",
            ]
        );
        let arabic = lines(contact, Language::Arabic);
        assert_eq!(arabic[0], "    ممنوع التواصل عبر: رسالة نصية، واتساب");
        assert_eq!(arabic[1], "    الهاتف بيد آخرين أيضًا: نعم");
    }

    #[test]
    fn every_field_of_safe_contact_is_called_something() {
        let Some(payload::Form::Object(children)) = payload::find("safe_contact").map(|field| field.form)
        else {
            panic!("an object");
        };
        let mut called: Vec<_> = FIELDS.iter().map(|(name, ..)| *name).collect();
        let mut children = children.to_vec();
        called.sort_unstable();
        children.sort_unstable();
        assert_eq!(called, children);
    }
}
