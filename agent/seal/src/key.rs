//! Sealing keys: a private key that opens parts and the recipient that they are sealed to, with
//! age's text forms. Not here: where keys are kept, and which agency a recipient belongs to.

use std::fmt::{self, Write as _};

use bech32::{
    ByteIterExt as _, Checksum, Fe32IterExt as _, Hrp,
    primitives::{Bech32, decode::CheckedHrpstring},
};
use hpke::{Deserializable as _, Kem as _, Serializable as _, kem::XWing};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::low_order::is_low_order;

pub(crate) type XWingPublic = <XWing as hpke::Kem>::PublicKey;
pub(crate) type XWingPrivate = <XWing as hpke::Kem>::PrivateKey;
pub(crate) type XWingEncapsulated = <XWing as hpke::Kem>::EncappedKey;

/// Length of a [`SealingKey`]'s seed, in bytes.
pub const SEED_BYTES: usize = 32;

/// Length of a [`Recipient`], in bytes: 1184 of ML-KEM-768 and 32 of X25519.
pub const RECIPIENT_BYTES: usize = 1216;

/// Length of a [`Recipient`] in text, in characters.
pub const RECIPIENT_TEXT_CHARS: usize = 1959;

const SEED_TEXT_CHARS: usize = 77;
const ML_KEM_BYTES: usize = 1184;

static SECRET_HRP: Hrp = Hrp::parse_unchecked("AGE-SECRET-KEY-PQ-");
static RECIPIENT_HRP: Hrp = Hrp::parse_unchecked("age1pq");

/// Why a key could not be read. Nothing of the key is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum KeyMalformed {
    /// The text is not Bech32, or its checksum does not match.
    #[error("not the text of a key, or mistyped")]
    Text,
    /// The text is a key of another kind, for instance one that is not post-quantum.
    #[error("a key of another kind")]
    Kind,
    /// The text is right but not written the one way that we accept (upper and lower case, spare
    /// bits).
    #[error("not in canonical form")]
    NotCanonical,
    /// The key does not have the length that its kind has.
    #[error("a key of the wrong length")]
    Length,
    /// The ML-KEM half is not one that key generation can produce (FIPS 203, section 7.2).
    #[error("the ML-KEM half of the key is not valid")]
    MlKem,
    /// The X25519 half is a point of low order, which would protect nothing.
    #[error("the X25519 half of the key is of low order")]
    LowOrder,
}

/// The operating system gave no randomness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("the operating system gave no randomness")]
pub struct NoRandomness;

/// A private key that opens parts: a seed of 32 bytes, from which X-Wing's two private keys are
/// expanded. Wiped from memory when dropped; never shown by `Debug`.
///
/// Source: C2SP age, "The MLKEM768-X25519 hybrid post-quantum recipient type";
/// draft-connolly-cfrg-xwing-kem, section 5.2.
pub struct SealingKey {
    seed: Zeroizing<[u8; SEED_BYTES]>,
    private: XWingPrivate,
    recipient: Recipient,
}

impl SealingKey {
    /// Makes a new key from the operating system's randomness.
    ///
    /// # Errors
    /// [`NoRandomness`] when the operating system gives none.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        getrandom::fill(seed.as_mut_slice()).map_err(|_| NoRandomness)?;
        // A seed of the right length always makes a key.
        Self::from_seed(&seed).map_err(|_| NoRandomness)
    }

    /// Reads the text form, `AGE-SECRET-KEY-PQ-1…`, upper case, nothing before or after it.
    ///
    /// # Errors
    /// [`KeyMalformed`], for anything else.
    pub fn parse(text: &str) -> Result<Self, KeyMalformed> {
        let mut seed = Zeroizing::new([0; SEED_BYTES]);
        decode(text, &SECRET_HRP, seed.as_mut_slice())?;
        let key = Self::from_seed(&seed)?;
        if key.to_text().as_str() == text { Ok(key) } else { Err(KeyMalformed::NotCanonical) }
    }

    /// Expands a seed. The seed must be uniformly random and secret.
    ///
    /// # Errors
    /// None that a seed of 32 bytes can cause: expansion reduces every seed to a valid key, and
    /// its X25519 half is a multiple of the base point, never of low order.
    pub fn from_seed(seed: &[u8; SEED_BYTES]) -> Result<Self, KeyMalformed> {
        let private = XWingPrivate::from_bytes(seed).map_err(|_| KeyMalformed::Length)?;
        let recipient = Recipient::from_public(XWing::sk_to_pk(&private))?;
        Ok(Self { seed: Zeroizing::new(*seed), private, recipient })
    }

    /// The text form, `AGE-SECRET-KEY-PQ-1…`, 77 characters, wiped from memory when dropped.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        // Room for all of it from the start, so that growing leaves no copy behind.
        let mut text = Zeroizing::new(String::with_capacity(SEED_TEXT_CHARS));
        for character in chars(&SECRET_HRP, self.seed.as_slice()) {
            text.push(character.to_ascii_uppercase());
        }
        text
    }

    /// The recipient that parts for this key are sealed to.
    #[must_use]
    pub const fn recipient(&self) -> &Recipient {
        &self.recipient
    }

    pub(crate) const fn private(&self) -> &XWingPrivate {
        &self.private
    }
}

impl fmt::Debug for SealingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealingKey(secret)")
    }
}

/// The public key that a part is sealed to, 1216 bytes. Whoever holds one knows that it can be
/// sealed to: its ML-KEM half is valid and its X25519 half is not of low order.
#[derive(Clone)]
pub struct Recipient {
    bytes: Box<[u8; RECIPIENT_BYTES]>,
    public: Box<XWingPublic>,
}

impl Recipient {
    /// Reads the text form, `age1pq1…`, lower case, nothing before or after it.
    ///
    /// # Errors
    /// [`KeyMalformed`], for anything else.
    pub fn parse(text: &str) -> Result<Self, KeyMalformed> {
        let mut bytes = [0; RECIPIENT_BYTES];
        decode(text, &RECIPIENT_HRP, &mut bytes)?;
        let recipient = Self::from_bytes(&bytes)?;
        if recipient.to_string() == text { Ok(recipient) } else { Err(KeyMalformed::NotCanonical) }
    }

    /// Reads the 1216 bytes of a public key.
    ///
    /// # Errors
    /// [`KeyMalformed::Length`], [`KeyMalformed::MlKem`] or [`KeyMalformed::LowOrder`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, KeyMalformed> {
        if bytes.len() != RECIPIENT_BYTES {
            return Err(KeyMalformed::Length);
        }
        Self::from_public(XWingPublic::from_bytes(bytes).map_err(|_| KeyMalformed::MlKem)?)
    }

    /// The 1216 bytes of the public key.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; RECIPIENT_BYTES] {
        &self.bytes
    }

    pub(crate) fn public(&self) -> &XWingPublic {
        &self.public
    }

    fn from_public(public: XWingPublic) -> Result<Self, KeyMalformed> {
        let mut bytes = Box::new([0; RECIPIENT_BYTES]);
        bytes.copy_from_slice(&public.to_bytes());
        match bytes[ML_KEM_BYTES..].first_chunk() {
            Some(share) if !is_low_order(share) => Ok(Self { bytes, public: Box::new(public) }),
            Some(_) | None => Err(KeyMalformed::LowOrder),
        }
    }
}

impl PartialEq for Recipient {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for Recipient {}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        chars(&RECIPIENT_HRP, self.bytes.as_slice()).try_for_each(|character| f.write_char(character))
    }
}

impl fmt::Debug for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Recipient(")?;
        for byte in &self.bytes[..4] {
            write!(f, "{byte:02x}")?;
        }
        f.write_str("…)")
    }
}

/// Bech32 (BIP 173) without its length limit, as age uses it. 90 characters is where the checksum
/// stops promising to find four errors; a mistyped recipient of 1959 is still found by one in 2^30.
enum AgeBech32 {}

impl Checksum for AgeBech32 {
    type MidstateRepr = u32;
    const CODE_LENGTH: usize = RECIPIENT_TEXT_CHARS;
    const CHECKSUM_LENGTH: usize = Bech32::CHECKSUM_LENGTH;
    const GENERATOR_SH: [u32; 5] = Bech32::GENERATOR_SH;
    const TARGET_RESIDUE: u32 = Bech32::TARGET_RESIDUE;
}

fn decode(text: &str, hrp: &Hrp, bytes: &mut [u8]) -> Result<(), KeyMalformed> {
    let checked = CheckedHrpstring::new::<AgeBech32>(text).map_err(|_| KeyMalformed::Text)?;
    if checked.hrp() != *hrp {
        return Err(KeyMalformed::Kind);
    }
    let decoded = checked.byte_iter();
    if decoded.len() != bytes.len() {
        return Err(KeyMalformed::Length);
    }
    for (place, byte) in bytes.iter_mut().zip(decoded) {
        *place = byte;
    }
    Ok(())
}

/// The characters of a key's text, lower case, without a copy of them in between.
fn chars<'a>(hrp: &'a Hrp, bytes: &'a [u8]) -> impl Iterator<Item = char> + 'a {
    let fields = bytes.iter().copied().bytes_to_fes();
    fields.with_checksum::<AgeBech32>(hrp).chars()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::low_order::low_order_encodings;
    use crate::vectors::{AGE_SPEC_RECIPIENT, AGE_SPEC_SECRET, XWING, hex};

    fn key() -> SealingKey {
        SealingKey::from_seed(&[7; SEED_BYTES]).unwrap()
    }

    #[test]
    fn the_age_specifications_example_reads_and_writes() {
        let key = SealingKey::parse(AGE_SPEC_SECRET).unwrap();
        assert_eq!(key.to_text().as_str(), AGE_SPEC_SECRET);
        assert_eq!(key.recipient().to_string(), AGE_SPEC_RECIPIENT);
        assert_eq!(Recipient::parse(AGE_SPEC_RECIPIENT).as_ref(), Ok(key.recipient()));
        assert_eq!(AGE_SPEC_SECRET.len(), SEED_TEXT_CHARS);
        assert_eq!(AGE_SPEC_RECIPIENT.len(), RECIPIENT_TEXT_CHARS);
    }

    #[test]
    fn the_xwing_drafts_seeds_expand_to_their_public_keys() {
        let mut vectors = 0;
        for (seed, public) in XWING.lines().filter_map(|line| line.split_once(' ')) {
            let key = SealingKey::from_seed(&hex(seed).try_into().unwrap()).unwrap();
            assert_eq!(key.recipient().as_bytes().as_slice(), hex(public));
            vectors += 1;
        }
        assert_eq!(vectors, 3);
    }

    #[test]
    fn the_checksum_is_a_bech32_checksum() {
        AgeBech32::sanity_check();
    }

    #[test]
    fn texts_are_read_strictly() {
        let secret = key().to_text();
        let recipient = key().recipient().to_string();
        for (text, refused) in [
            (secret.to_lowercase(), KeyMalformed::NotCanonical),
            (format!(" {}", secret.as_str()), KeyMalformed::Text),
            (format!("{}\n", secret.as_str()), KeyMalformed::Text),
            (secret.replace('Q', "P"), KeyMalformed::Text),
            (secret[..76].to_owned(), KeyMalformed::Text),
            (recipient.clone(), KeyMalformed::Kind),
            (String::new(), KeyMalformed::Text),
            (
                "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX".to_owned(),
                KeyMalformed::Kind,
            ),
        ] {
            assert_eq!(SealingKey::parse(&text).unwrap_err(), refused);
        }
        for (text, refused) in [
            (recipient.to_uppercase(), KeyMalformed::NotCanonical),
            (format!("{recipient} "), KeyMalformed::Text),
            (format!("{recipient}q"), KeyMalformed::Text),
            (recipient[..1958].to_owned(), KeyMalformed::Text),
            (secret.to_string(), KeyMalformed::Kind),
            ("age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj".to_owned(), KeyMalformed::Kind),
        ] {
            assert_eq!(Recipient::parse(&text).unwrap_err(), refused);
        }
    }

    #[test]
    fn spare_bits_of_the_text_must_be_zero() {
        // 32 bytes are 51 characters and one bit; a seed's last character carries four spare bits.
        let mut fields: Vec<_> = [7_u8; SEED_BYTES].iter().copied().bytes_to_fes().collect();
        let last = fields.pop().unwrap().to_u8();
        fields.push(bech32::Fe32::try_from(last | 1).unwrap());
        let text: String = fields.into_iter().with_checksum::<AgeBech32>(&SECRET_HRP).chars().collect();
        assert_eq!(SealingKey::parse(&text.to_uppercase()).unwrap_err(), KeyMalformed::NotCanonical);
    }

    #[test]
    fn a_key_of_another_length_is_refused() {
        let text: String = chars(&SECRET_HRP, &[7; 31]).collect();
        assert_eq!(SealingKey::parse(&text.to_uppercase()).unwrap_err(), KeyMalformed::Length);
        for length in [0, 32, RECIPIENT_BYTES - 1, RECIPIENT_BYTES + 1] {
            assert_eq!(Recipient::from_bytes(&vec![0; length]), Err(KeyMalformed::Length));
        }
    }

    #[test]
    fn a_recipient_of_low_order_is_refused() {
        for share in low_order_encodings() {
            let mut bytes = *key().recipient().as_bytes();
            bytes[ML_KEM_BYTES..].copy_from_slice(&share);
            assert_eq!(Recipient::from_bytes(&bytes), Err(KeyMalformed::LowOrder));
        }
    }

    #[test]
    fn a_recipient_with_an_unreduced_coefficient_is_refused() {
        let mut bytes = *key().recipient().as_bytes();
        // The first twelve bits are the first coefficient; 3329 = 0xd01 is the modulus.
        bytes[0] = 0x01;
        bytes[1] = (bytes[1] & 0xf0) | 0x0d;
        assert_eq!(Recipient::from_bytes(&bytes), Err(KeyMalformed::MlKem));
    }

    #[test]
    fn generated_keys_differ_and_debug_tells_no_secret() {
        let (one, other) = (SealingKey::generate().unwrap(), SealingKey::generate().unwrap());
        assert_ne!(one.to_text(), other.to_text());
        assert_eq!(format!("{one:?}"), "SealingKey(secret)");
        assert!(format!("{:?}", one.recipient()).len() < 40);
    }
}
