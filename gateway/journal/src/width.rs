//! Lengths in memory (`usize`) and on disk (`u32`, `u64`), converted without `as`. Not here:
//! limits; whoever converts has compared with a limit before.

// With 64-bit lengths in memory none of the saturations below can happen.
const _: () = assert!(usize::BITS == 64, "the journal needs a 64-bit machine");

pub(crate) fn to_u64(n: usize) -> u64 {
    u64::try_from(n).unwrap_or(u64::MAX)
}

pub(crate) fn to_usize(n: u64) -> usize {
    usize::try_from(n).unwrap_or(usize::MAX)
}

pub(crate) fn u32_to_usize(n: u32) -> usize {
    to_usize(u64::from(n))
}

/// The little-endian `u32` at `at`, zero if `bytes` ends before: for checked input only.
pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
    word.map_or(0, |word| u32::from_le_bytes(*word))
}

/// The little-endian `u64` at `at`, zero if `bytes` ends before: for checked input only.
pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let word = bytes.get(at..).and_then(|rest| rest.first_chunk());
    word.map_or(0, |word| u64::from_le_bytes(*word))
}

/// Overwrites the bytes at `at`; nothing if they would not fit.
pub(crate) fn put(bytes: &mut [u8], at: usize, value: &[u8]) {
    if let Some(place) = bytes.get_mut(at..at.saturating_add(value.len())) {
        place.copy_from_slice(value);
    }
}

pub(crate) fn is_zero(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<64>();
    words.iter().all(|word| *word == [0; 64]) && rest.iter().all(|byte| *byte == 0)
}
