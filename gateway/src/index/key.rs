//! Keys and values of the index's rows. Not here: where rows are kept.
//!
//! | key | value |
//! | --- | --- |
//! | `e`, envelope id (16), sender | digest of the envelope (32), batch (u64), entry (u32) |
//! | `l`, first leaf of a batch (u64) | batch (u64) |
//! | `p`, party, 0, batch (u64) | the count of the party's first record in that batch (u64) |
//! | `r`, referral id (16), opener, 0, batch (u64), entry (u32) | nothing |
//!
//! Numbers are big-endian, so that keys are in their order.

use proto::{
    digest::Digest,
    ids::{AgencyId, EnvelopeId, Locator, ReferralKey},
    known::Known,
};

const ENVELOPE: u8 = b'e';
const LEAF: u8 = b'l';
const PARTY: u8 = b'p';
const REFERRAL: u8 = b'r';

/// Bytes of an envelope's id.
pub(super) const ID_BYTES: usize = 16;
const LOCATOR_BYTES: usize = 12;

pub(super) fn envelope(id: EnvelopeId, from: &AgencyId) -> Vec<u8> {
    [&[ENVELOPE], id.as_bytes().as_slice(), from.as_str().as_bytes()].concat()
}

/// The id in an envelope's key; none in any other.
pub(super) fn envelope_id(key: &[u8]) -> Option<[u8; ID_BYTES]> {
    key.strip_prefix(&[ENVELOPE])?.first_chunk().copied()
}

pub(super) fn known_value(known: &Known) -> Vec<u8> {
    [known.digest.as_bytes().as_slice(), &locator_bytes(known.at)].concat()
}

pub(super) fn known(value: &[u8]) -> Option<Known> {
    let (digest, place) = value.split_first_chunk::<32>()?;
    Some(Known { digest: Digest(*digest), at: locator(place)? })
}

pub(super) fn leaf(first: u64) -> Vec<u8> {
    [&[LEAF], first.to_be_bytes().as_slice()].concat()
}

/// Whether a key is a leaf's.
pub(super) fn is_leaf(key: &[u8]) -> bool {
    key.first() == Some(&LEAF)
}

/// Whether a key, or what keys begin with, is a referral's.
pub(super) fn is_referral(key: &[u8]) -> bool {
    key.first() == Some(&REFERRAL)
}

/// What all rows of a referral begin with.
pub(super) fn referral(key: &ReferralKey) -> Vec<u8> {
    [&[REFERRAL], key.id.as_bytes().as_slice(), key.opened_by.as_str().as_bytes(), &[0]].concat()
}

pub(super) fn referral_at(key: &ReferralKey, at: Locator) -> Vec<u8> {
    [referral(key).as_slice(), &locator_bytes(at)].concat()
}

/// The place in a referral's key.
pub(super) fn place(key: &[u8]) -> Option<Locator> {
    let (_, place) = key.split_last_chunk::<LOCATOR_BYTES>()?;
    locator(place)
}

/// What all rows of a party begin with.
pub(super) fn party(party: &AgencyId) -> Vec<u8> {
    [&[PARTY], party.as_str().as_bytes(), &[0]].concat()
}

pub(super) fn party_at(party: &AgencyId, batch: u64) -> Vec<u8> {
    [self::party(party).as_slice(), &batch.to_be_bytes()].concat()
}

/// The batch in a party's key.
pub(super) fn batch(key: &[u8]) -> Option<u64> {
    key.last_chunk().copied().map(u64::from_be_bytes)
}

pub(super) fn number(value: &[u8]) -> Option<u64> {
    value.try_into().ok().map(u64::from_be_bytes)
}

/// What a run's filter knows a row by: an envelope, or a referral whatever the place. Others are not
/// asked for by name.
pub(super) fn name(key: &[u8]) -> Option<&[u8]> {
    match key.first() {
        Some(&ENVELOPE) => Some(key),
        Some(&REFERRAL) => key.split_last_chunk::<LOCATOR_BYTES>().map(|(name, _)| name),
        Some(_) | None => None,
    }
}

fn locator_bytes(at: Locator) -> [u8; LOCATOR_BYTES] {
    let mut bytes = [0; LOCATOR_BYTES];
    let (batch, entry) = bytes.split_at_mut(8);
    batch.copy_from_slice(&at.batch.to_be_bytes());
    entry.copy_from_slice(&at.entry.to_be_bytes());
    bytes
}

fn locator(bytes: &[u8]) -> Option<Locator> {
    let (batch, entry) = bytes.split_first_chunk::<8>()?;
    let entry = entry.try_into().ok()?;
    Some(Locator { batch: u64::from_be_bytes(*batch), entry: u32::from_be_bytes(entry) })
}
