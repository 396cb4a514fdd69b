//! The recipient stanza `mlkem768x25519`: a file key wrapped for one recipient. Not here: the
//! header that stanzas stand in.

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use hpke::{
    Deserializable as _, OpModeR, OpModeS, Serializable as _, aead::ChaCha20Poly1305, kdf::HkdfSha256,
    kem::XWing, rand_core::CryptoRng, single_shot_open, single_shot_seal_with_rng,
};
use zeroize::Zeroizing;

use crate::{
    NotOpened, Recipient, SealingKey,
    file_key::{FileKey, PrimitiveFailed},
    key::XWingEncapsulated,
    low_order::is_low_order,
};

/// The first argument of the stanza: age's name for this recipient type.
pub(crate) const STANZA_TYPE: &str = "mlkem768x25519";

/// The arrow that begins a stanza.
pub(crate) const STANZA_PREFIX: &[u8] = b"-> ";

/// Length of the encapsulated key, in bytes: 1088 of ML-KEM-768 and 32 of X25519.
pub(crate) const ENCAPSULATED_BYTES: usize = 1120;

/// Length of the wrapped file key, in bytes: 16 and the tag's 16.
pub(crate) const WRAPPED_BYTES: usize = 32;

/// Length of a stanza's text, in bytes, with both line feeds: arrow, type, space, 1494 characters
/// of base64, and 43 more on the second line.
pub(crate) const STANZA_TEXT_BYTES: u64 = 3 + 14 + 1 + 1494 + 1 + 43 + 1;

const HPKE_INFO: &[u8] = b"age-encryption.org/mlkem768x25519";
const ML_KEM_BYTES: usize = 1088;

/// A file key wrapped for one recipient, with HPKE in base mode: KEM MLKEM768-X25519 (0x647a), KDF
/// HKDF-SHA256, AEAD ChaCha20-Poly1305, empty associated data. Its X25519 share is not of low
/// order. Source: C2SP age, "mlkem768x25519 recipient stanza".
pub(crate) struct Stanza {
    encapsulated: Box<[u8; ENCAPSULATED_BYTES]>,
    wrapped: [u8; WRAPPED_BYTES],
}

impl Stanza {
    pub(crate) fn wrap(
        file_key: &FileKey,
        recipient: &Recipient,
        rng: &mut impl CryptoRng,
    ) -> Result<Self, PrimitiveFailed> {
        let (encapsulated, wrapped) = single_shot_seal_with_rng::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeS::Base,
            recipient.public(),
            HPKE_INFO,
            file_key.as_bytes(),
            &[],
            rng,
        )
        .map_err(|_| PrimitiveFailed)?;
        // Checked before writing as after reading: a generator stuck at zeros would show here.
        Self::from_parts(&encapsulated.to_bytes(), &wrapped).map_err(|_| PrimitiveFailed)
    }

    /// Unwraps the file key, or `None` when the stanza is not for this key.
    pub(crate) fn unwrap(&self, key: &SealingKey) -> Option<FileKey> {
        let encapsulated = XWingEncapsulated::from_bytes(self.encapsulated.as_slice()).ok()?;
        let opened = single_shot_open::<ChaCha20Poly1305, HkdfSha256, XWing>(
            &OpModeR::Base,
            key.private(),
            &encapsulated,
            HPKE_INFO,
            &self.wrapped,
            &[],
        )
        .map(Zeroizing::new)
        .ok()?;
        let bytes = opened.as_slice().try_into().ok()?;
        Some(FileKey::new(Zeroizing::new(bytes)))
    }

    /// Reads the stanza from its two lines, without their line feeds. The type has been read.
    pub(crate) fn parse(argument: &[u8], body: &[u8]) -> Result<Self, NotOpened> {
        let malformed = |_| NotOpened::Stanza;
        let encapsulated = STANDARD_NO_PAD.decode(argument).map_err(malformed)?;
        let wrapped = STANDARD_NO_PAD.decode(body).map_err(malformed)?;
        Self::from_parts(&encapsulated, &wrapped)
    }

    /// Appends the stanza's text.
    pub(crate) fn write_to(&self, header: &mut Vec<u8>) {
        header.extend_from_slice(STANZA_PREFIX);
        header.extend_from_slice(STANZA_TYPE.as_bytes());
        header.push(b' ');
        let encapsulated = STANDARD_NO_PAD.encode(self.encapsulated.as_slice());
        header.extend_from_slice(encapsulated.as_bytes());
        header.push(b'\n');
        header.extend_from_slice(STANDARD_NO_PAD.encode(self.wrapped).as_bytes());
        header.push(b'\n');
    }

    fn from_parts(encapsulated: &[u8], wrapped: &[u8]) -> Result<Self, NotOpened> {
        let malformed = |_| NotOpened::Stanza;
        let encapsulated: [u8; ENCAPSULATED_BYTES] = encapsulated.try_into().map_err(malformed)?;
        let wrapped = wrapped.try_into().map_err(malformed)?;
        match encapsulated[ML_KEM_BYTES..].first_chunk() {
            Some(share) if !is_low_order(share) => Ok(Self { encapsulated: Box::new(encapsulated), wrapped }),
            Some(_) | None => Err(NotOpened::LowOrder),
        }
    }
}
