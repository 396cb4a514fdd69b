//! Signed objects in JSON files, in DSSE's own form. Not here: verifying them (`proto::dsse`).

use base64::{Engine as _, prelude::BASE64_STANDARD};
use proto::wire;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// The JSON is a signed object's, but a value is not base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("`{0}` is not base64")]
pub struct NotBase64(pub &'static str);

/// A signed object as JSON.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SignedFile {
    payload: String,
    #[serde(rename = "payloadType")]
    payload_type: String,
    signatures: Vec<SignatureFile>,
}

#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignatureFile {
    keyid: String,
    sig: String,
}

impl From<&wire::SignedObject> for SignedFile {
    fn from(object: &wire::SignedObject) -> Self {
        let signature = |signature: &wire::Signature| SignatureFile {
            keyid: signature.key_id.clone(),
            sig: BASE64_STANDARD.encode(&signature.sig),
        };
        Self {
            payload: BASE64_STANDARD.encode(&object.payload),
            payload_type: object.payload_type.clone(),
            signatures: object.signatures.iter().map(signature).collect(),
        }
    }
}

impl TryFrom<&SignedFile> for wire::SignedObject {
    type Error = NotBase64;

    fn try_from(file: &SignedFile) -> Result<Self, NotBase64> {
        let signature = |signature: &SignatureFile| {
            let sig = BASE64_STANDARD.decode(&signature.sig).map_err(|_| NotBase64("sig"))?;
            Ok(wire::Signature { sig, key_id: signature.keyid.clone() })
        };
        Ok(Self {
            payload: BASE64_STANDARD.decode(&file.payload).map_err(|_| NotBase64("payload"))?,
            payload_type: file.payload_type.clone(),
            signatures: file.signatures.iter().map(signature).collect::<Result<_, _>>()?,
        })
    }
}

impl std::fmt::Debug for SignedFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SignedFile")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_dsses_and_reads_back() {
        let object = wire::SignedObject {
            payload: b"payload".to_vec(),
            payload_type: "application/x".into(),
            signatures: vec![wire::Signature { sig: vec![1, 2, 3], key_id: "k".into() }],
        };
        let json = serde_json::to_string(&SignedFile::from(&object)).unwrap();
        assert_eq!(
            json,
            r#"{"payload":"cGF5bG9hZA==","payloadType":"application/x","signatures":[{"keyid":"k","sig":"AQID"}]}"#
        );
        let read: SignedFile = serde_json::from_str(&json).unwrap();
        assert!(wire::SignedObject::try_from(&read) == Ok(object));
        for (bad, field) in [("cGF5bG9hZA", "payload"), ("AQI", "sig")] {
            let good = if field == "payload" { "cGF5bG9hZA==" } else { "AQID" };
            let file: SignedFile = serde_json::from_str(&json.replace(good, bad)).unwrap();
            assert!(wire::SignedObject::try_from(&file) == Err(NotBase64(field)));
        }
        assert!(serde_json::from_str::<SignedFile>(&json.replace("\"keyid\"", "\"kid\"")).is_err());
    }
}
