//! The head of a sealed part: what the part is, who sealed it and for whom, inside the seal. Not
//! here: the content, and what the ids mean (`proto` says that; here they are only compared).

use std::fmt;

use prost::Message as _;

use crate::{NotOpened, NotSealed};

/// The version of the head that this crate writes and reads.
pub const HEAD_VERSION: u32 = 1;

/// The longest encoded head, in bytes. A head always lies in the payload's first chunk.
pub const HEAD_BYTES_MAX: u64 = 8 << 10;

/// The most content that one part can have, in bytes.
pub const CONTENT_BYTES_MAX: u64 = 64 << 30;

/// The most agencies that a head can name.
pub const AGENCIES_MAX: usize = 32;

/// The longest agency id, in bytes.
pub const AGENCY_ID_BYTES_MAX: usize = 128;

/// The longest media type, in bytes.
pub const MEDIA_TYPE_BYTES_MAX: usize = 255;

/// The longest file name, in bytes: what file systems allow.
pub const FILE_NAME_BYTES_MAX: usize = 255;

/// Length of an envelope id, in bytes.
pub const ENVELOPE_ID_BYTES: usize = 16;

const SHA256_BYTES: usize = 32;

/// The head of a sealed part, as the protobuf message it is. Its encoding must be canonical:
/// fields in order, none unknown, none repeated, defaults left out.
///
/// `Debug` shows neither the file name nor any id.
#[derive(Clone, PartialEq, Eq, prost::Message)]
#[prost(skip_debug)]
pub struct SealHead {
    /// [`HEAD_VERSION`].
    #[prost(uint32, tag = "1")]
    pub version: u32,
    /// The envelope that this part belongs to, 16 bytes.
    #[prost(bytes = "vec", tag = "2")]
    pub envelope_id: Vec<u8>,
    /// The agency that sealed the part: visible ASCII, at most [`AGENCY_ID_BYTES_MAX`] bytes.
    #[prost(string, tag = "3")]
    pub from: String,
    /// The agencies that the part is sealed for: at least one, at most [`AGENCIES_MAX`], in
    /// ascending order of their bytes, none twice.
    #[prost(string, repeated, tag = "4")]
    pub recipients: Vec<String>,
    /// Which part of the envelope this is.
    #[prost(uint32, tag = "5")]
    pub part_id: u32,
    /// The class of the part (summary, identity, …), as `proto` numbers them.
    #[prost(uint32, tag = "6")]
    pub part_class: u32,
    /// Length of the content, in bytes, at most [`CONTENT_BYTES_MAX`].
    #[prost(uint64, tag = "7")]
    pub content_bytes: u64,
    /// Media type of the content: printable ASCII, at most [`MEDIA_TYPE_BYTES_MAX`] bytes.
    #[prost(string, tag = "8")]
    pub media_type: String,
    /// The file's name, or empty when there is none: at most [`FILE_NAME_BYTES_MAX`] bytes of
    /// UTF-8, without path separators, control characters, or characters that reorder the text
    /// around them.
    #[prost(string, tag = "9")]
    pub file_name: String,
    /// SHA-256 of the content, 32 bytes, or empty when it was not known before sealing. Where it
    /// is given, both sealing and opening check it.
    #[prost(bytes = "vec", tag = "10")]
    pub content_sha256: Vec<u8>,
}

/// What a part must be for its opener to accept it: taken from the signed envelope that lists it
/// and from who we are. A mismatch means that somebody re-signed, re-addressed or moved a part.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Expected<'a> {
    /// The envelope's id.
    pub envelope_id: [u8; ENVELOPE_ID_BYTES],
    /// The agency that signed the envelope.
    pub from: &'a str,
    /// The agency that opens the part; it must be among the head's recipients.
    pub me: &'a str,
    /// The part's id in the envelope's list of parts.
    pub part_id: u32,
    /// The part's class in the envelope's list of parts.
    pub part_class: u32,
}

impl SealHead {
    /// Length of the encoded head, in bytes, for [`sealed_bytes`](crate::sealed_bytes).
    #[must_use]
    pub fn bytes(&self) -> u64 {
        crate::count(self.encoded_len())
    }

    /// The encoding of a head that keeps every rule.
    pub(crate) fn encode_checked(&self) -> Result<Vec<u8>, NotSealed> {
        self.check().map_err(|field| NotSealed::HeadField { field })?;
        if self.bytes() > HEAD_BYTES_MAX {
            return Err(NotSealed::HeadTooLarge);
        }
        Ok(self.encode_to_vec())
    }

    /// Reads a head that keeps every rule.
    pub(crate) fn decode_checked(bytes: &[u8]) -> Result<Self, NotOpened> {
        let head = Self::decode(bytes).map_err(|_| NotOpened::HeadProtobuf)?;
        if head.encode_to_vec() != bytes {
            return Err(NotOpened::HeadNotCanonical);
        }
        head.check().map_err(|field| NotOpened::HeadField { field })?;
        Ok(head)
    }

    /// Compares the head with what the envelope says of this part.
    pub(crate) fn compare(&self, expected: &Expected<'_>) -> Result<(), NotOpened> {
        if self.envelope_id != expected.envelope_id {
            return Err(NotOpened::OtherEnvelope);
        }
        if self.from != expected.from {
            return Err(NotOpened::OtherSender);
        }
        if !self.recipients.iter().any(|agency| agency == expected.me) {
            return Err(NotOpened::NotForMe);
        }
        if self.part_id != expected.part_id {
            return Err(NotOpened::OtherPart);
        }
        if self.part_class != expected.part_class {
            return Err(NotOpened::OtherClass);
        }
        Ok(())
    }

    /// Names the first field that breaks its rule.
    fn check(&self) -> Result<(), &'static str> {
        let rules = [
            ("version", self.version == HEAD_VERSION),
            ("envelope_id", self.envelope_id.len() == ENVELOPE_ID_BYTES),
            ("from", is_agency_id(&self.from)),
            ("recipients", self.recipients_are_a_set()),
            ("content_bytes", self.content_bytes <= CONTENT_BYTES_MAX),
            ("media_type", is_media_type(&self.media_type)),
            ("file_name", is_file_name(&self.file_name)),
            ("content_sha256", matches!(self.content_sha256.len(), 0 | SHA256_BYTES)),
        ];
        match rules.into_iter().find(|(_, kept)| !kept) {
            Some((field, _)) => Err(field),
            None => Ok(()),
        }
    }

    fn recipients_are_a_set(&self) -> bool {
        (1..=AGENCIES_MAX).contains(&self.recipients.len())
            && self.recipients.is_sorted_by(|one, next| one < next)
            && self.recipients.iter().all(|agency| is_agency_id(agency))
    }
}

impl fmt::Debug for SealHead {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealHead")
            .field("version", &self.version)
            .field("part_id", &self.part_id)
            .field("part_class", &self.part_class)
            .field("content_bytes", &self.content_bytes)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Expected<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Expected")
            .field("part_id", &self.part_id)
            .field("part_class", &self.part_class)
            .finish_non_exhaustive()
    }
}

fn is_agency_id(id: &str) -> bool {
    (1..=AGENCY_ID_BYTES_MAX).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic())
}

fn is_media_type(media_type: &str) -> bool {
    (1..=MEDIA_TYPE_BYTES_MAX).contains(&media_type.len())
        && media_type.bytes().all(|byte| byte.is_ascii_graphic() || byte == b' ')
}

fn is_file_name(name: &str) -> bool {
    name.len() <= FILE_NAME_BYTES_MAX && !matches!(name, "." | "..") && !name.contains(is_unsafe)
}

/// Whether a character could lead a file name out of its folder, or make it look like another.
/// The marks that Arabic and Hebrew text needs (U+200E, U+200F, U+061C) are fine; embeddings,
/// overrides and isolates are not.
fn is_unsafe(character: char) -> bool {
    matches!(character, '/' | '\\' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        || character.is_control()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vectors::head;

    fn refused(change: impl FnOnce(&mut SealHead)) -> Option<&'static str> {
        let mut head = head(3);
        change(&mut head);
        let sealing = match head.encode_checked() {
            Ok(_) => None,
            Err(NotSealed::HeadField { field }) => Some(field),
            Err(other) => panic!("{other:?}"),
        };
        let opening = match SealHead::decode_checked(&head.encode_to_vec()) {
            Ok(_) => None,
            Err(NotOpened::HeadField { field }) => Some(field),
            Err(other) => panic!("{other:?}"),
        };
        assert_eq!(sealing, opening, "sealing and opening must agree");
        sealing
    }

    #[test]
    fn every_field_has_its_rule() {
        let id = |bytes| "a".repeat(bytes);
        assert_eq!(refused(|_| ()), None);
        assert_eq!(refused(|head| head.version = 2), Some("version"));
        assert_eq!(refused(|head| head.version = 0), Some("version"));
        assert_eq!(refused(|head| head.envelope_id.push(0)), Some("envelope_id"));
        assert_eq!(refused(|head| head.from = id(128)), None);
        assert_eq!(refused(|head| head.from = id(129)), Some("from"));
        assert_eq!(refused(|head| head.from = id(0)), Some("from"));
        assert_eq!(refused(|head| head.from = "a b".into()), Some("from"));
        assert_eq!(refused(|head| head.from = "ä".into()), Some("from"));
        assert_eq!(refused(|head| head.recipients.clear()), Some("recipients"));
        assert_eq!(refused(|head| head.recipients.reverse()), Some("recipients"));
        assert_eq!(refused(|head| head.recipients = vec![id(1), id(1)]), Some("recipients"));
        assert_eq!(refused(|head| head.recipients = vec![id(129)]), Some("recipients"));
        let agencies = |many: usize| (0..many).map(|n| format!("a{n:03}")).collect();
        assert_eq!(refused(|head| head.recipients = agencies(32)), None);
        assert_eq!(refused(|head| head.recipients = agencies(33)), Some("recipients"));
        assert_eq!(refused(|head| head.content_bytes = CONTENT_BYTES_MAX + 1), Some("content_bytes"));
        assert_eq!(refused(|head| head.media_type = id(255)), None);
        assert_eq!(refused(|head| head.media_type = id(256)), Some("media_type"));
        assert_eq!(refused(|head| head.media_type = id(0)), Some("media_type"));
        assert_eq!(refused(|head| head.content_sha256 = vec![0; 31]), Some("content_sha256"));
        assert_eq!(refused(|head| head.content_sha256 = vec![0; 32]), None);
    }

    #[test]
    fn file_names_stay_in_their_folder_and_look_like_themselves() {
        for name in ["", "تقرير.pdf", "a b.txt", "…", "\u{200f}ملف"] {
            assert_eq!(refused(|head| head.file_name = name.into()), None, "{name}");
        }
        for name in ["/a", "a\\b", "..", ".", "a\0", "a\nb", "\u{202e}fdp.exe", "\u{2066}"] {
            assert_eq!(refused(|head| head.file_name = name.into()), Some("file_name"), "{name:?}");
        }
        let long = "a".repeat(256);
        assert_eq!(refused(|head| head.file_name = long), Some("file_name"));
    }

    #[test]
    fn only_the_canonical_encoding_is_read() {
        let canonical = head(3).encode_to_vec();
        assert!(SealHead::decode_checked(&canonical).is_ok());
        let unknown_field = [canonical.as_slice(), &[0x58, 1]].concat();
        let repeated_field = [canonical.as_slice(), &[0x08, 1]].concat();
        let misordered = [&[0x28, 7], canonical.as_slice()].concat();
        let long_number = [&[0x08, 0x81, 0x00], &canonical[2..]].concat();
        let written_default = [canonical.as_slice(), &[0x52, 0]].concat();
        for bytes in [unknown_field, repeated_field, misordered, long_number, written_default] {
            assert_eq!(SealHead::decode_checked(&bytes), Err(NotOpened::HeadNotCanonical));
        }
        for bytes in [&canonical[..canonical.len() - 1], &[0xff; 20], &[0x1a, 1, 0xff]] {
            assert_eq!(SealHead::decode_checked(bytes), Err(NotOpened::HeadProtobuf));
        }
    }

    #[test]
    fn every_difference_from_the_envelope_is_its_own_refusal() {
        let head = head(3);
        let expected = crate::vectors::expected();
        assert_eq!(head.compare(&expected), Ok(()));
        let (mut envelope, mut from, mut me) = (expected, expected, expected);
        envelope.envelope_id[15] ^= 1;
        from.from = "shelter.example2";
        me.me = "shelter";
        let (mut part, mut class) = (expected, expected);
        part.part_id += 1;
        class.part_class += 1;
        for (expected, refusal) in [
            (envelope, NotOpened::OtherEnvelope),
            (from, NotOpened::OtherSender),
            (me, NotOpened::NotForMe),
            (part, NotOpened::OtherPart),
            (class, NotOpened::OtherClass),
        ] {
            assert_eq!(head.compare(&expected), Err(refusal));
        }
    }

    #[test]
    fn debug_shows_no_name_and_no_id() {
        let mut head = head(3);
        head.file_name = "Amina.pdf".into();
        let shown = format!("{head:?} {:?}", crate::vectors::expected());
        assert!(!shown.contains("Amina") && !shown.contains("example"), "{shown}");
    }

    #[test]
    fn the_largest_head_of_all_rules_fits() {
        let mut head = head(CONTENT_BYTES_MAX);
        head.from = "f".repeat(AGENCY_ID_BYTES_MAX);
        head.recipients =
            (0..AGENCIES_MAX).map(|n| format!("{n:0>width$}", width = AGENCY_ID_BYTES_MAX)).collect();
        head.media_type = "m".repeat(MEDIA_TYPE_BYTES_MAX);
        head.file_name = "n".repeat(FILE_NAME_BYTES_MAX);
        head.content_sha256 = vec![1; 32];
        (head.part_id, head.part_class) = (u32::MAX, u32::MAX);
        assert!(head.encode_checked().is_ok());
    }
}
