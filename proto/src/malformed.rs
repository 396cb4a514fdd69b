//! Bytes that are not what they claim to be. Not here: rules that well-formed bytes break
//! ([`Refusal`](crate::refusal::Refusal)).

use thiserror::Error;

/// Why bytes could not be read. Each names the field, in the words of the message definition, and
/// never repeats what the field held.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Malformed {
    /// The bytes are not the protobuf message expected here.
    #[error("{message}: these bytes are no such message")]
    Protobuf {
        /// The message's name.
        message: &'static str,
    },
    /// The message decodes, but is not encoded the one way we accept: fields in order, none
    /// unknown, none repeated. Unknown fields could smuggle what the gateway must not hold.
    #[error("{message}: not in canonical encoding (unknown, repeated or misordered fields)")]
    NotCanonical {
        /// The message's name.
        message: &'static str,
    },
    /// A field that must be there is missing.
    #[error("{field}: missing")]
    Missing {
        /// The field's name.
        field: &'static str,
    },
    /// A field has the wrong length.
    #[error("{field}: wrong length")]
    Length {
        /// The field's name.
        field: &'static str,
    },
    /// A field has a form that its type does not allow.
    #[error("{field}: not of the form that this field has")]
    Form {
        /// The field's name.
        field: &'static str,
    },
    /// A field, or the whole, is larger than its named limit.
    #[error("{field}: larger than the limit of {limit}")]
    TooLarge {
        /// The field's name.
        field: &'static str,
        /// The limit, in the field's own unit.
        limit: u64,
    },
    /// A signature does not verify, or no signature verifies.
    #[error("{field}: the signature does not verify")]
    Signature {
        /// The field's name.
        field: &'static str,
    },
    /// A digest or checksum does not match the bytes it is about.
    #[error("{field}: the digest does not match")]
    Mismatch {
        /// The field's name.
        field: &'static str,
    },
}

impl Malformed {
    /// The field or message that it is about.
    #[must_use]
    pub const fn field(self) -> &'static str {
        match self {
            Self::Protobuf { message: field }
            | Self::NotCanonical { message: field }
            | Self::Missing { field }
            | Self::Length { field }
            | Self::Form { field }
            | Self::TooLarge { field, .. }
            | Self::Signature { field }
            | Self::Mismatch { field } => field,
        }
    }
}
