//! DSSE v1 signed objects: the one signature format of everything that agencies and administrators
//! sign. Not here: log checkpoints (signed notes, `log::note`), and who may sign what (`directory`).

use crate::{
    Malformed, canonical,
    digest::Digest,
    key::{KeyId, PublicKey, SigningKey},
    wire,
};

/// Most signatures that one object may carry.
pub const SIGNATURES_MAX: usize = 16;
/// Longest payload of a signed object, in bytes. A directory leaf must fit a tile bundle's 16-bit
/// length together with its signatures.
pub const PAYLOAD_BYTES_MAX: u64 = 60_000;

macro_rules! payload_types {
    ($($(#[$doc:meta])* $variant:ident = $text:literal),+ $(,)?) => {
        /// What a payload is. The type is signed with it, so one can never pass for another.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum PayloadType { $($(#[$doc])* $variant),+ }

        impl PayloadType {
            /// Every type.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The media type that is signed.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$variant => concat!("application/vnd.referral.", $text, ".v1+protobuf")),+
                }
            }
        }
    };
}

payload_types!(
    /// A `Header`.
    Envelope = "envelope",
    /// A `HandoverReceipt`.
    Receipt = "receipt",
    /// An `Agreement`.
    Agreement = "agreement",
    /// A `Mechanism`.
    Mechanism = "mechanism",
    /// A `DirectoryChange`.
    DirectoryEntry = "directory-entry",
    /// A `CertificateOrder`.
    CertificateOrder = "certificate-order",
);

impl PayloadType {
    fn parse(text: &str) -> Result<Self, Malformed> {
        let known = Self::ALL.iter().find(|known| known.as_str() == text);
        known.copied().ok_or(Malformed::Form { field: "payload_type" })
    }
}

/// The bytes that are signed: `"DSSEv1" SP len(type) SP type SP len(payload) SP payload`.
#[must_use]
pub fn pre_authentication_encoding(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    let mut pae = pae_prefix(payload_type, payload);
    pae.extend_from_slice(payload);
    pae
}

fn pae_prefix(payload_type: &str, payload: &[u8]) -> Vec<u8> {
    format!("DSSEv1 {} {payload_type} {} ", payload_type.len(), payload.len()).into_bytes()
}

/// A signed object whose form is right. Whether its signatures are is not known yet.
#[derive(Clone, PartialEq)]
pub struct Unverified {
    payload_type: PayloadType,
    object: wire::SignedObject,
    signers: Vec<KeyId>,
}

impl Unverified {
    /// Reads the wire form.
    ///
    /// # Errors
    /// [`Malformed`]: unknown type, payload too large, no signature or too many, a key named twice,
    /// a signature that has not 64 bytes.
    pub fn parse(object: wire::SignedObject) -> Result<Self, Malformed> {
        let payload_type = PayloadType::parse(&object.payload_type)?;
        canonical::limit(object.payload.len(), PAYLOAD_BYTES_MAX, "payload")?;
        if object.signatures.is_empty() {
            return Err(Malformed::Missing { field: "signatures" });
        }
        canonical::limit(object.signatures.len(), canonical::count(SIGNATURES_MAX), "signatures")?;
        let mut signers = Vec::with_capacity(object.signatures.len());
        for signature in &object.signatures {
            let signer = KeyId::parse(&signature.key_id, "signatures.key_id")?;
            if signature.sig.len() != crate::key::SIGNATURE_BYTES {
                return Err(Malformed::Length { field: "signatures.sig" });
            }
            if signers.contains(&signer) {
                return Err(Malformed::Form { field: "signatures.key_id" });
            }
            signers.push(signer);
        }
        Ok(Self { payload_type, object, signers })
    }

    /// What the payload claims to be.
    #[must_use]
    pub const fn payload_type(&self) -> PayloadType {
        self.payload_type
    }

    /// The keys that must be looked up to verify it.
    #[must_use]
    pub fn signers(&self) -> &[KeyId] {
        &self.signers
    }

    /// The payload, unverified: for finding the keys only (a new key signs for itself).
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.object.payload
    }

    /// Verifies every signature; one that cannot be verified refuses the whole, since whatever
    /// else stands there would be kept and shown as if it meant something.
    ///
    /// # Errors
    /// [`Malformed::Signature`] when a key is not known to `key` or a signature does not verify.
    pub fn verify(self, key: impl Fn(&KeyId) -> Option<PublicKey>) -> Result<Signed, Malformed> {
        let pae = pre_authentication_encoding(&self.object.payload_type, &self.object.payload);
        for (signer, signature) in self.signers.iter().zip(&self.object.signatures) {
            if !key(signer).is_some_and(|key| key.verifies(&pae, &signature.sig)) {
                return Err(Malformed::Signature { field: "signatures" });
            }
        }
        let digest = Digest::of(&pae);
        Ok(Signed { payload_type: self.payload_type, object: self.object, signers: self.signers, digest })
    }

    /// Takes the signatures on trust: for what our own journal holds, which verified them when it
    /// was written. Named for what it is.
    #[must_use]
    pub fn trust_our_own_journal(self) -> Signed {
        let prefix = pae_prefix(&self.object.payload_type, &self.object.payload);
        let digest = Digest::of_all(&[&prefix, &self.object.payload]);
        Signed { payload_type: self.payload_type, object: self.object, signers: self.signers, digest }
    }
}

/// A signed object all of whose signatures were verified. Whether its signers may sign it is the
/// directory's to say.
#[derive(Clone, PartialEq)]
pub struct Signed {
    payload_type: PayloadType,
    object: wire::SignedObject,
    signers: Vec<KeyId>,
    digest: Digest,
}

impl Signed {
    /// What the payload is.
    #[must_use]
    pub const fn payload_type(&self) -> PayloadType {
        self.payload_type
    }

    /// The signed bytes, to be parsed as they are.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        &self.object.payload
    }

    /// The keys that signed.
    #[must_use]
    pub fn signers(&self) -> &[KeyId] {
        &self.signers
    }

    /// SHA-256 of the PAE: names type and content, not the signatures, so that the same content
    /// signed again is the same object.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The wire form, as it came.
    #[must_use]
    pub const fn object(&self) -> &wire::SignedObject {
        &self.object
    }

    /// The wire form, given away.
    #[must_use]
    pub fn into_object(self) -> wire::SignedObject {
        self.object
    }
}

impl std::fmt::Debug for Signed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Signed({:?}, {})", self.payload_type, self.digest)
    }
}

impl std::fmt::Debug for Unverified {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Unverified({:?})", self.payload_type)
    }
}

/// Signs a payload with each of the keys.
#[must_use]
pub fn sign(payload_type: PayloadType, payload: Vec<u8>, keys: &[&SigningKey]) -> wire::SignedObject {
    let pae = pre_authentication_encoding(payload_type.as_str(), &payload);
    let signatures = keys
        .iter()
        .map(|key| wire::Signature { sig: key.sign(&pae).to_vec(), key_id: key.public().id().to_string() })
        .collect();
    wire::SignedObject { payload, payload_type: payload_type.as_str().to_owned(), signatures }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signed_by(keys: &[&SigningKey]) -> wire::SignedObject {
        sign(PayloadType::Envelope, b"hello world".to_vec(), keys)
    }

    fn verify(object: wire::SignedObject, keys: &[&SigningKey]) -> Result<Signed, Malformed> {
        let find = |id: &KeyId| keys.iter().map(|key| key.public()).find(|key| key.id() == *id);
        Unverified::parse(object)?.verify(find)
    }

    #[test]
    fn pae_is_dsse_v1() {
        // The example of the DSSE protocol text.
        let pae = pre_authentication_encoding("http://example.com/HelloWorld", b"hello world");
        assert_eq!(pae, b"DSSEv1 29 http://example.com/HelloWorld 11 hello world");
    }

    #[test]
    fn what_verifies_and_what_does_not() {
        let (a, b) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
        let signature = Err(Malformed::Signature { field: "signatures" });
        assert!(verify(signed_by(&[&a]), &[&a]).is_ok());
        assert!(verify(signed_by(&[&a, &b]), &[&a, &b]).is_ok());
        assert_eq!(verify(signed_by(&[&a, &b]), &[&a]).map(|_| ()), signature, "every signature counts");

        let mut other_type = signed_by(&[&a]);
        other_type.payload_type = PayloadType::Receipt.as_str().into();
        assert_eq!(verify(other_type, &[&a]).map(|_| ()), signature, "the type is signed");

        let mut wrong_key = signed_by(&[&a]);
        wrong_key.signatures[0].key_id = b.public().id().to_string();
        assert_eq!(verify(wrong_key, &[&a, &b]).map(|_| ()), signature, "the algorithm is bound to the key");

        for bit in 0..512 {
            let mut flipped = signed_by(&[&a]);
            flipped.signatures[0].sig[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(verify(flipped, &[&a]).map(|_| ()), signature, "bit {bit}");
        }
    }

    #[test]
    fn the_digest_names_the_content_not_the_signatures() {
        let (a, b) = (SigningKey::from_seed(&[1; 32]), SigningKey::from_seed(&[2; 32]));
        let one = verify(signed_by(&[&a]), &[&a]).unwrap();
        let two = verify(signed_by(&[&b]), &[&b]).unwrap();
        assert_eq!(one.digest(), two.digest());
        let trusted = Unverified::parse(signed_by(&[&a])).unwrap().trust_our_own_journal();
        assert_eq!(one.digest(), trusted.digest());
    }

    #[test]
    fn forms_that_are_refused() {
        let a = SigningKey::from_seed(&[1; 32]);
        let parse = |change: fn(&mut wire::SignedObject)| {
            let mut object = signed_by(&[&a]);
            change(&mut object);
            Unverified::parse(object).map(|_| ())
        };
        assert_eq!(parse(|o| o.payload_type.push('x')), Err(Malformed::Form { field: "payload_type" }));
        assert_eq!(parse(|o| o.signatures.clear()), Err(Malformed::Missing { field: "signatures" }));
        assert_eq!(
            parse(|o| o.signatures = vec![o.signatures[0].clone(); 2]),
            Err(Malformed::Form { field: "signatures.key_id" })
        );
        assert_eq!(
            parse(|o| o.signatures = vec![o.signatures[0].clone(); SIGNATURES_MAX + 1]),
            Err(Malformed::TooLarge { field: "signatures", limit: 16 })
        );
        assert_eq!(
            parse(|o| {
                o.signatures[0].sig.pop();
            }),
            Err(Malformed::Length { field: "signatures.sig" })
        );
        assert_eq!(
            parse(|o| o.payload = vec![0; 60_001]),
            Err(Malformed::TooLarge { field: "payload", limit: PAYLOAD_BYTES_MAX })
        );
    }
}
