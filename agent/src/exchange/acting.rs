//! What a document of the outbox asks for: a referral, or an act in one. Not here: what either may hold
//! (`document`).

use proto::lifecycle::Act;
use serde_json::{Map, Value};

use crate::{
    document::{self, Flaw, What},
    words,
};

/// An act that a file asks for: `{"referral": "…", "act": "accept", "detail": {…}}`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Acting {
    /// The referral's id, the beginning of it, or its code for the telephone.
    pub(super) referral: String,
    pub(super) act: Act,
    /// JSON; empty for none.
    pub(super) detail: Vec<u8>,
}

/// What a document asks for.
#[derive(Clone, PartialEq, Eq)]
pub(super) enum Asked {
    /// To send it.
    Send,
    /// To act.
    Act(Acting),
}

const KNOWN: &[&str] = &["referral", "act", "detail"];

/// Whether a text is one whole JSON object: then nothing of it is missing, since nothing can follow.
pub(super) fn is_whole(text: &[u8]) -> bool {
    serde_json::from_slice::<Map<String, Value>>(text).is_ok()
}

/// What a document asks for.
///
/// # Errors
/// Every flaw of an act; those of a referral are found when it is sent.
pub(super) fn read(text: &[u8]) -> Result<Asked, Vec<Flaw>> {
    let Ok(Value::Object(top)) = document::json::read(text) else {
        return Ok(Asked::Send);
    };
    let Some(act) = top.get("act") else {
        return Ok(Asked::Send);
    };
    let mut flaws = Vec::new();
    let mut flaw = |name: &str, what| flaws.push(Flaw { pointer: format!("/{name}"), what });
    for name in top.keys().filter(|name| !KNOWN.contains(&name.as_str())) {
        let nearest = proto::vocabulary::nearest_of(name, KNOWN.iter().copied());
        flaw(name, What::Unknown { nearest });
    }
    let act = act.as_str().and_then(|word| Act::ALL.iter().find(|act| words::verb(**act) == word).copied());
    let act = act.filter(|act| *act != Act::Submit);
    if act.is_none() {
        flaw("act", What::Form { expected: "an act like accept; `case.txt` lists what is possible" });
    }
    let referral = top.get("referral").and_then(Value::as_str).map(str::to_owned);
    if referral.is_none() {
        flaw("referral", What::Form { expected: "a referral's id" });
    }
    let detail = match top.get("detail") {
        None => Vec::new(),
        Some(Value::Object(detail)) if detail.is_empty() => Vec::new(),
        Some(detail @ Value::Object(_)) => detail.to_string().into_bytes(),
        Some(_) => {
            flaw("detail", What::Form { expected: "an object" });
            Vec::new()
        }
    };
    match (act, referral) {
        (Some(act), Some(referral)) if flaws.is_empty() => Ok(Asked::Act(Acting { referral, act, detail })),
        _ => Err(flaws),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flaws(text: &str) -> Vec<String> {
        read(text.as_bytes()).err().unwrap().into_iter().map(|flaw| flaw.pointer).collect()
    }

    #[test]
    fn an_act_is_read_strictly() {
        let text = r#"{"referral": "0192abcd", "act": "decline", "detail": {"reason": "no_capacity"}}"#;
        let Ok(Asked::Act(acting)) = read(text.as_bytes()) else { panic!("an act") };
        assert_eq!((acting.referral.as_str(), acting.act), ("0192abcd", Act::Decline));
        assert_eq!(acting.detail, br#"{"reason":"no_capacity"}"#);
        assert_eq!(flaws(r#"{"act": "acept", "refferal": "x"}"#), ["/refferal", "/act", "/referral"]);
        assert_eq!(flaws(r#"{"act": "send", "referral": "x", "detail": 1}"#), ["/act", "/detail"]);
        assert!(matches!(read(br#"{"to": "ae.dfwac"}"#), Ok(Asked::Send)));
        assert!(matches!(read(b"no JSON"), Ok(Asked::Send)));
    }

    #[test]
    fn a_document_that_is_cut_anywhere_is_not_whole() {
        let text = br#"{"a": {"b": ["}", 1]}}"#;
        assert!(is_whole(text));
        for length in 0..text.len() {
            assert!(!is_whole(&text[..length]), "{length}");
        }
        // As some shares show what has not arrived yet.
        assert!(!is_whole(&[0; 20]));
    }
}
