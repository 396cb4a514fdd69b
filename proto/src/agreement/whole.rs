//! An agreement with all that its paper says: also what no rule reads, such as titles and offices. Not
//! here: what is said of it (`telling`, `warning`).

use prost::Message as _;

use super::Agreement;
use crate::{
    Malformed,
    digest::Digest,
    dsse::{self, PayloadType},
    ids::TimeMs,
    wire,
};

/// Milliseconds of a day.
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// An agreement, whole.
#[derive(Clone, PartialEq)]
pub struct Whole {
    pub(super) text: wire::Agreement,
    pub(super) agreement: Agreement,
    digest: Digest,
}

impl std::fmt::Debug for Whole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Whole").field(&self.digest).finish()
    }
}

impl Whole {
    /// Reads the payload of a signed agreement.
    ///
    /// # Errors
    /// As [`Agreement::parse`].
    pub fn parse(payload: &[u8]) -> Result<Self, Malformed> {
        let agreement = Agreement::parse(payload)?;
        let text = wire::Agreement::decode(payload);
        let text = text.map_err(|_| Malformed::Protobuf { message: "Agreement" })?;
        let pae = dsse::pre_authentication_encoding(PayloadType::Agreement.as_str(), payload);
        Ok(Self { text, agreement, digest: Digest::of(&pae) })
    }

    /// What the rules read of it.
    #[must_use]
    pub const fn agreement(&self) -> &Agreement {
        &self.agreement
    }

    /// All of it.
    #[must_use]
    pub const fn text(&self) -> &wire::Agreement {
        &self.text
    }

    /// What headers and evidence call it.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// What the next revision begins with: the same id, one more, in this one's place.
    #[must_use]
    pub fn next(&self) -> Next {
        Next {
            id: self.text.agreement_id.clone(),
            revision: self.text.revision.saturating_add(1),
            of: self.digest,
        }
    }

    /// The days for which it is in force.
    pub(super) const fn days(&self) -> u64 {
        days(self.agreement.valid_until.0.saturating_sub(self.agreement.valid_from.0))
    }
}

/// The names of a renewal.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Next {
    /// The agreement's id.
    pub id: Vec<u8>,
    /// The renewal's revision.
    pub revision: u32,
    /// Whose place it takes.
    pub of: Digest,
}

/// Whole days of a time.
pub(super) const fn days(ms: u64) -> u64 {
    ms / DAY_MS
}

/// So many days after a moment.
pub(super) const fn after_days(at: TimeMs, days: u64) -> TimeMs {
    TimeMs(at.0.saturating_add(days.saturating_mul(DAY_MS)))
}
