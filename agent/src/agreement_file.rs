//! An agreement on its way from party to party as a file, and this agency's signature under it. Not here:
//! what it allows, and what is wrong with it (`proto::agreement`), and who hands it to the gateway.

use proto::{
    agreement::{telling, whole::Whole},
    digest::Digest,
    dsse::{self, PayloadType},
    ids::AgencyId,
    key::SigningKey,
    language::Language,
    wire,
};
use thiserror::Error;

use crate::signed_file::SignedFile;

/// Why a file was not signed. Each says what to do next.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotSigned {
    /// Not a signed object's file.
    #[error("this is no file of an agreement; ask for the one that `gateway admin agreement` makes")]
    NotAFile,
    /// Not an agreement, or one that no directory takes.
    #[error("this file holds no agreement that the directory takes: {0}")]
    Malformed(proto::Malformed),
    /// This agency is no party.
    #[error("this agency is no party of the agreement; it is not asked to sign it")]
    NotAParty,
    /// It has signed already.
    #[error("this agency has signed it already; give the file to the next party")]
    Signed,
}

/// An agreement's file.
#[derive(Clone, PartialEq)]
pub struct AgreementFile {
    object: wire::SignedObject,
    whole: Whole,
}

impl AgreementFile {
    /// Reads one.
    ///
    /// # Errors
    /// [`NotSigned`].
    pub fn parse(json: &[u8]) -> Result<Self, NotSigned> {
        let file: SignedFile = serde_json::from_slice(json).map_err(|_| NotSigned::NotAFile)?;
        let object = wire::SignedObject::try_from(&file).map_err(|_| NotSigned::NotAFile)?;
        if object.payload_type != PayloadType::Agreement.as_str() {
            return Err(NotSigned::NotAFile);
        }
        let whole = Whole::parse(&object.payload).map_err(NotSigned::Malformed)?;
        Ok(Self { object, whole })
    }

    /// What it says.
    #[must_use]
    pub const fn whole(&self) -> &Whole {
        &self.whole
    }

    /// The object, as it is signed so far.
    #[must_use]
    pub const fn object(&self) -> &wire::SignedObject {
        &self.object
    }

    /// Adds an agency's signature.
    ///
    /// # Errors
    /// [`NotSigned`].
    pub fn sign(&mut self, me: &AgencyId, key: &SigningKey) -> Result<(), NotSigned> {
        if !self.whole.agreement().parties.contains(me) {
            return Err(NotSigned::NotAParty);
        }
        let own = dsse::sign(PayloadType::Agreement, self.object.payload.clone(), &[key]);
        let id = key.public().id().to_string();
        if self.object.signatures.iter().any(|signature| signature.key_id == id) {
            return Err(NotSigned::Signed);
        }
        self.object.signatures.extend(own.signatures);
        Ok(())
    }

    /// The file's text.
    #[must_use]
    pub fn to_json(&self) -> String {
        let text = serde_json::to_string_pretty(&SignedFile::from(&self.object)).unwrap_or_default();
        text + "\n"
    }

    /// What evidence and headers call it.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.whole.digest()
    }

    /// What it says, for whoever is asked to sign it.
    #[must_use]
    pub fn lines(&self, language: Language) -> Vec<String> {
        let so_far = language.pick("signatures so far", "عدد التواقيع حتى الآن");
        let mut lines = telling::lines(&self.whole, language);
        lines.push(format!("{so_far}: {}", self.object.signatures.len()));
        lines
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use proto::dsse::Unverified;

    use super::*;

    fn file(parties: [&str; 2]) -> Vec<u8> {
        let clause = wire::Clause {
            clause_id: "there".into(),
            from: parties[0].into(),
            to: parties[1].into(),
            kinds: vec![1],
            categories: vec!["trafficking".into()],
            services: vec!["shelter".into()],
            urgencies: vec![1],
            jurisdictions: vec!["AE".into()],
            disclosure: 2,
            ..wire::Clause::default()
        };
        let id = proto::ids::EnvelopeId::new(proto::ids::TimeMs(1_790_000_000_000), [7; 10]);
        let agreement = wire::Agreement {
            version: 1,
            agreement_id: id.as_bytes().to_vec(),
            revision: 1,
            title_en: "An example".into(),
            title_ar: "مثال".into(),
            parties: parties
                .map(|agency| wire::Party { agency: agency.into(), ..wire::Party::default() })
                .into(),
            clauses: vec![clause],
            valid_from_ms: 1_790_000_000_000,
            valid_until_ms: 1_890_000_000_000,
            ..wire::Agreement::default()
        };
        let object = wire::SignedObject {
            payload: agreement.encode_to_vec(),
            payload_type: PayloadType::Agreement.as_str().into(),
            signatures: Vec::new(),
        };
        serde_json::to_vec(&SignedFile::from(&object)).unwrap()
    }

    #[test]
    fn each_party_signs_once_and_all_signatures_verify() {
        let keys = [SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32])];
        let parties = ["ae-rk.aman", "ae.dfwac"];
        let mut json = file(parties);
        for (party, key) in parties.iter().zip(&keys) {
            let mut agreement = AgreementFile::parse(&json).unwrap();
            let me = AgencyId::parse(party, "me").unwrap();
            assert_eq!(agreement.sign(&me, key), Ok(()));
            assert_eq!(agreement.sign(&me, key), Err(NotSigned::Signed));
            json = agreement.to_json().into_bytes();
        }
        let signed = AgreementFile::parse(&json).unwrap();
        let find = |id: &proto::key::KeyId| keys.iter().map(SigningKey::public).find(|key| key.id() == *id);
        let verified = Unverified::parse(signed.object.clone()).unwrap().verify(find).unwrap();
        assert_eq!(verified.digest(), signed.digest());
        let said = signed.lines(Language::English).join("\n");
        for word in ["An example", "مثال", "ae-rk.aman may send to ae.dfwac", "signatures so far: 2"] {
            assert!(said.contains(word), "{word}");
        }
        let said = signed.lines(Language::Arabic).join("\n");
        for word in ["مثال", "يجوز أن ترسل \u{2068}ae-rk.aman\u{2069}", "الإيواء الآمن"]
        {
            assert!(said.contains(word), "{word}");
        }
    }

    #[test]
    fn who_is_no_party_signs_nothing() {
        let mut agreement = AgreementFile::parse(&file(["ae-rk.aman", "ae.dfwac"])).unwrap();
        let other = AgencyId::parse("jo.mosd", "me").unwrap();
        let key = SigningKey::from_seed(&[1; 32]);
        assert_eq!(agreement.sign(&other, &key), Err(NotSigned::NotAParty));
        assert_eq!(AgreementFile::parse(b"{}").map(|_| ()), Err(NotSigned::NotAFile));
        let other_type =
            String::from_utf8(file(["ae-rk.aman", "ae.dfwac"])).unwrap().replace("agreement", "mechanism");
        assert_eq!(AgreementFile::parse(other_type.as_bytes()).map(|_| ()), Err(NotSigned::NotAFile));
    }
}
