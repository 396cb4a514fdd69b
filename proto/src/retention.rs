//! For how long the gateway keeps ciphertext. Not here: erasing it.
//!
//! The moment follows from what was signed: the header's last moment, and the agreement's days. It does not
//! hang on what became of the referral, so that nothing is kept because nobody closed a case.

use crate::{
    digest::Digest,
    directory::Directory,
    ids::{AgencyId, TimeMs},
};

/// How long ciphertext is kept after its envelope has expired, where the agreement says nothing.
pub const RETENTION_DAYS_DEFAULT: u32 = 90;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// The moment from which the ciphertexts of an envelope are to be erased.
#[must_use]
pub fn ends_at(directory: &Directory, from: &AgencyId, agreement: &Digest, expires_at: TimeMs) -> TimeMs {
    let memorandum = directory.agreement(agreement, from);
    let days = memorandum.and_then(|memorandum| memorandum.agreement.retention_days);
    expires_at.plus_ms(u64::from(days.unwrap_or(RETENTION_DAYS_DEFAULT)).saturating_mul(DAY_MS))
}
