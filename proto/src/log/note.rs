//! Signed notes (C2SP `signed-note`): text that one or more keys signed, and the keys that verify
//! it. Not here: what the text says (`checkpoint`), and what a cosigner signs (`cosignature`).

use std::fmt;

use crate::{
    Malformed,
    digest::Digest,
    key::{PUBLIC_KEY_BYTES, PublicKey, SigningKey},
};

use super::{
    Unproven,
    checkpoint::Checkpoint,
    cosignature::{self, CosignedAt},
    encoding::{base64, lines, parse_base64, too_large},
};

/// The largest note that is read, in bytes. As in Go's `note.Open`, so that what is accepted here
/// is accepted there.
pub const NOTE_BYTES_MAX: usize = 1_000_000;
/// The most signature lines that a note may have, as in Go's `note.Open`.
pub const SIGNATURES_MAX: usize = 100;
/// The longest name of a key, in bytes. Newer cosignature types hold the name behind a length of
/// one byte (C2SP `tlog-cosignature`).
pub const KEY_NAME_BYTES_MAX: usize = 255;

/// The name of a key: not empty, without spaces, `+` and control characters (C2SP `signed-note`,
/// Format). By convention a URL without its scheme.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyName(String);

impl KeyName {
    /// Reads a name.
    ///
    /// # Errors
    /// [`Malformed::TooLarge`] above [`KEY_NAME_BYTES_MAX`]; [`Malformed::Form`] for anything that
    /// is no name.
    pub fn parse(text: &str, field: &'static str) -> Result<Self, Malformed> {
        if text.len() > KEY_NAME_BYTES_MAX {
            return Err(too_large(field, KEY_NAME_BYTES_MAX));
        }
        if !is_name(text) {
            return Err(Malformed::Form { field });
        }
        Ok(Self(text.to_owned()))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What a key signs, and how: the signature type byte (C2SP `signed-note`, Signature types).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyType {
    /// `0x01`: Ed25519 over the text. A log's own key.
    Ed25519,
    /// `0x04`: `cosignature/v1`, Ed25519 over a time and the text. A witness's key.
    CosignatureV1,
}

impl KeyType {
    const fn byte(self) -> u8 {
        match self {
            Self::Ed25519 => 0x01,
            Self::CosignatureV1 => 0x04,
        }
    }

    const fn of_byte(byte: u8) -> Option<Self> {
        match byte {
            0x01 => Some(Self::Ed25519),
            0x04 => Some(Self::CosignatureV1),
            _ => None,
        }
    }
}

/// Tells a name's keys apart: the first four bytes of
/// `SHA-256(name || 0x0A || type || public key)`. A hint for look-up, easily made to collide; it
/// proves nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct NoteKeyId(pub [u8; 4]);

impl NoteKeyId {
    /// The id of a key.
    #[must_use]
    pub fn of(name: &KeyName, key_type: KeyType, key: PublicKey) -> Self {
        let key_type = [key_type.byte()];
        let runs: [&[u8]; 4] = [name.0.as_bytes(), b"\n", &key_type, &key.to_bytes()];
        let Digest([a, b, c, d, ..]) = Digest::of_all(&runs);
        Self([a, b, c, d])
    }
}

impl fmt::Display for NoteKeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(bytes) = *self;
        write!(f, "{:08x}", u32::from_be_bytes(bytes))
    }
}

/// A key that verifies notes. Written as a *vkey*: `<name>+<id>+<base64(type || public key)>`, the id
/// in 8 lower-case hex digits (C2SP `signed-note`, Verifier keys).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifierKey {
    name: KeyName,
    key_type: KeyType,
    key: PublicKey,
    id: NoteKeyId,
}

impl VerifierKey {
    /// The verifier key of a public key under a name.
    #[must_use]
    pub fn new(name: KeyName, key_type: KeyType, key: PublicKey) -> Self {
        let id = NoteKeyId::of(&name, key_type, key);
        Self { name, key_type, key, id }
    }

    /// Reads a vkey.
    ///
    /// # Errors
    /// [`Malformed`] for anything that [`fmt::Display`] would not write, for a type that is not a
    /// [`KeyType`], and for a key that [`PublicKey::parse`] refuses; [`Malformed::Mismatch`] when
    /// the id is not that of the name and key.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        let malformed = Malformed::Form { field: VKEY };
        // No more than two cuts: the base64 may hold a `+` too.
        let (name, rest) = text.split_once('+').ok_or(malformed)?;
        let (id, key) = rest.split_once('+').ok_or(malformed)?;
        if key.len() > VKEY_BASE64_BYTES {
            return Err(malformed);
        }
        let typed_key = parse_base64(key, VKEY)?;
        let (key_type, key) = typed_key.split_first().ok_or(malformed)?;
        let key_type = KeyType::of_byte(*key_type).ok_or(malformed)?;
        let name = KeyName::parse(name, VKEY)?;
        let parsed = Self::new(name, key_type, PublicKey::parse(key, VKEY)?);
        if parsed.id.to_string() != id {
            return Err(Malformed::Mismatch { field: VKEY });
        }
        Ok(parsed)
    }

    /// The key's name. Of a log's key, the log's origin.
    #[must_use]
    pub const fn name(&self) -> &KeyName {
        &self.name
    }

    /// What the key signs, and how.
    #[must_use]
    pub const fn key_type(&self) -> KeyType {
        self.key_type
    }

    /// The public key.
    #[must_use]
    pub const fn public_key(&self) -> PublicKey {
        self.key
    }

    /// The key's id.
    #[must_use]
    pub const fn id(&self) -> NoteKeyId {
        self.id
    }

    fn made(&self, line: &SignatureLine) -> bool {
        self.id == line.id && self.name.0 == line.name
    }

    fn verify(&self, text: &str, signature: &[u8]) -> Option<Signed<'_>> {
        match self.key_type {
            KeyType::Ed25519 => {
                self.key.verifies(text.as_bytes(), signature).then_some(Signed::Ed25519 { key: self })
            }
            KeyType::CosignatureV1 => cosignature::verify(self.key, text, signature)
                .map(|at| Signed::CosignatureV1 { key: self, at }),
        }
    }
}

impl fmt::Display for VerifierKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let typed_key = [&[self.key_type.byte()][..], &self.key.to_bytes()].concat();
        write!(f, "{}+{}+{}", self.name, self.id, base64(&typed_key))
    }
}

/// One signature line of a note: `— <name> <base64(id || signature)>`. Not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureLine {
    name: String,
    id: NoteKeyId,
    signature: Vec<u8>,
}

impl SignatureLine {
    /// Signs a note's text with a key of type [`KeyType::Ed25519`].
    #[must_use]
    pub fn ed25519(name: &KeyName, key: &SigningKey, text: &str) -> Self {
        let signature = key.sign(text.as_bytes()).to_vec();
        Self::new(name, KeyType::Ed25519, key, signature)
    }

    /// A line whose signature was made before and kept; see [`Self::ed25519`].
    #[must_use]
    pub fn kept(key: &VerifierKey, signature: &[u8]) -> Self {
        Self { name: key.name().0.clone(), id: key.id(), signature: signature.to_vec() }
    }

    /// The signature, without the key's id.
    #[must_use]
    pub fn signature(&self) -> &[u8] {
        &self.signature
    }

    /// Reads a line without its newline.
    ///
    /// # Errors
    /// [`Malformed::Form`] for anything that [`fmt::Display`] would not write.
    pub fn parse(line: &str) -> Result<Self, Malformed> {
        let malformed = Malformed::Form { field: LINE };
        let rest = line.strip_prefix("— ").ok_or(malformed)?;
        let (name, signature) = rest.split_once(' ').ok_or(malformed)?;
        let signature = parse_base64(signature, LINE)?;
        let (id, signature) = signature.split_first_chunk().ok_or(malformed)?;
        if !is_name(name) || signature.is_empty() {
            return Err(malformed);
        }
        Ok(Self { name: name.to_owned(), id: NoteKeyId(*id), signature: signature.to_vec() })
    }

    /// The name of the key that claims to have signed.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The id of the key that claims to have signed.
    #[must_use]
    pub const fn id(&self) -> NoteKeyId {
        self.id
    }

    pub(super) fn new(name: &KeyName, key_type: KeyType, key: &SigningKey, signature: Vec<u8>) -> Self {
        Self { name: name.0.clone(), id: NoteKeyId::of(name, key_type, key.public()), signature }
    }
}

impl fmt::Display for SignatureLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let NoteKeyId(id) = &self.id;
        let signature = [id, &self.signature[..]].concat();
        write!(f, "— {} {}", self.name, base64(&signature))
    }
}

/// A text with at least one signature line. Nothing is verified: the text must not be believed
/// before [`Self::verify`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignedNote {
    text: String,
    lines: Vec<SignatureLine>,
}

impl SignedNote {
    /// A note with its first signature line.
    ///
    /// # Errors
    /// [`Malformed::Form`] when the text does not end in a newline or has other control characters;
    /// [`Malformed::TooLarge`] when the note would pass [`NOTE_BYTES_MAX`].
    pub fn new(text: String, line: SignatureLine) -> Result<Self, Malformed> {
        if !text.ends_with('\n') || has_control_characters(&text) {
            return Err(Malformed::Form { field: NOTE });
        }
        Self { text, lines: vec![line] }.within_limits()
    }

    /// The note with one more signature line at its end.
    ///
    /// # Errors
    /// [`Malformed::Form`] when a line of that name and id is there already;
    /// [`Malformed::TooLarge`] when the note would pass [`SIGNATURES_MAX`] or [`NOTE_BYTES_MAX`].
    pub fn with(mut self, line: SignatureLine) -> Result<Self, Malformed> {
        let same_key = |there: &SignatureLine| there.id == line.id && there.name == line.name;
        if self.lines.iter().any(same_key) {
            return Err(Malformed::Form { field: LINE });
        }
        self.lines.push(line);
        self.within_limits()
    }

    /// Reads a note. What parses renders back byte for byte.
    ///
    /// # Errors
    /// [`Malformed::TooLarge`] above [`NOTE_BYTES_MAX`] or [`SIGNATURES_MAX`];
    /// [`Malformed::Form`] for anything else that [`fmt::Display`] would not write.
    pub fn parse(note: &str) -> Result<Self, Malformed> {
        let malformed = Malformed::Form { field: NOTE };
        if note.len() > NOTE_BYTES_MAX {
            return Err(too_large(NOTE, NOTE_BYTES_MAX));
        }
        if has_control_characters(note) {
            return Err(malformed);
        }
        // The text may hold empty lines; the last one of the note ends it.
        let (unended_text, signatures) = note.rsplit_once("\n\n").ok_or(malformed)?;
        let lines = lines(signatures, NOTE)?
            // One more than allowed is enough to see that there are too many.
            .take(SIGNATURES_MAX.saturating_add(1))
            .map(SignatureLine::parse)
            .collect::<Result<_, _>>()?;
        Self { text: format!("{unended_text}\n"), lines }.within_limits()
    }

    /// The text, with its last newline. Not to be believed before [`Self::verify`].
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The signature lines, in the note's order.
    #[must_use]
    pub fn lines(&self) -> &[SignatureLine] {
        &self.lines
    }

    /// Verifies the signature lines of all known keys and gives the good ones, in the note's order:
    /// at least one. Lines of unknown keys are ignored, whatever is in them.
    ///
    /// # Errors
    /// [`Unproven::BadSignature`] when a known key's line does not verify,
    /// [`Unproven::RepeatedSignature`] when a known key has two lines, [`Unproven::Unsigned`] when
    /// no line is of a known key.
    pub fn verify<'k>(
        &self,
        known: impl IntoIterator<Item = &'k VerifierKey>,
    ) -> Result<Vec<Signed<'k>>, Unproven> {
        let mut found: Vec<Option<Signed<'k>>> = self.lines.iter().map(|_| None).collect();
        for key in known {
            let mut of_key = self.lines.iter().zip(&mut found).filter(|(line, _)| key.made(line));
            let Some((line, signed)) = of_key.next() else {
                continue;
            };
            if of_key.next().is_some() {
                return Err(Unproven::RepeatedSignature);
            }
            let verified = key.verify(&self.text, &line.signature);
            *signed = Some(verified.ok_or(Unproven::BadSignature)?);
        }
        let signed: Vec<Signed<'k>> = found.into_iter().flatten().collect();
        if signed.is_empty() {
            return Err(Unproven::Unsigned);
        }
        Ok(signed)
    }

    /// A checkpoint's text always is that of a note.
    pub(super) fn of_checkpoint(checkpoint: &Checkpoint, line: SignatureLine) -> Self {
        Self { text: checkpoint.to_string(), lines: vec![line] }
    }

    fn within_limits(self) -> Result<Self, Malformed> {
        if self.lines.len() > SIGNATURES_MAX {
            return Err(too_large("note.signatures", SIGNATURES_MAX));
        }
        if self.to_string().len() > NOTE_BYTES_MAX {
            return Err(too_large(NOTE, NOTE_BYTES_MAX));
        }
        Ok(self)
    }
}

impl fmt::Display for SignedNote {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.text)?;
        for line in &self.lines {
            writeln!(f, "{line}")?;
        }
        Ok(())
    }
}

/// A known key's good signature on a note.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed<'k> {
    /// The key signed the text.
    Ed25519 {
        /// The key that signed.
        key: &'k VerifierKey,
    },
    /// The key cosigned the text.
    CosignatureV1 {
        /// The key that cosigned.
        key: &'k VerifierKey,
        /// When, by the cosigner's clock.
        at: CosignedAt,
    },
}

impl<'k> Signed<'k> {
    /// The key that signed.
    #[must_use]
    pub const fn key(&self) -> &'k VerifierKey {
        match self {
            Self::Ed25519 { key } | Self::CosignatureV1 { key, at: _ } => key,
        }
    }
}

const NOTE: &str = "note";
const LINE: &str = "note.signature";
const VKEY: &str = "vkey";
/// Characters of 33 bytes in base64.
const VKEY_BASE64_BYTES: usize = (1 + PUBLIC_KEY_BYTES).div_ceil(3) * 4;

fn is_name(text: &str) -> bool {
    let allowed = |c: char| !c.is_whitespace() && !c.is_control() && c != '+';
    !text.is_empty() && text.chars().all(allowed)
}

fn has_control_characters(note: &str) -> bool {
    note.bytes().any(|byte| byte < b' ' && byte != b'\n')
}
