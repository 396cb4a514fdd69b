//! Every bit flipped, every length cut, chunks moved: nothing of it opens.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod example;

use std::{io, thread};

use example::{content, expected, key, recipients, sealed};
use seal::{NotOpened, SealingKey, open_unlisted};

const CHUNK_BYTES: usize = (64 << 10) + 16;

fn open(keys: &[SealingKey], file: &[u8]) -> Result<(), NotOpened> {
    open_unlisted(keys, &expected(), file, io::sink()).map(|_| ())
}

/// Asserts that no file of `change(0..count)` opens, on every core.
fn none_opens(count: usize, change: impl Fn(usize) -> Vec<u8> + Sync) {
    let workers = thread::available_parallelism().unwrap().get();
    thread::scope(|scope| {
        for worker in 0..workers {
            let change = &change;
            scope.spawn(move || {
                let keys = [key(1)];
                for index in (worker..count).step_by(workers) {
                    let opened = open(&keys, &change(index));
                    assert!(opened.is_err(), "{index} opened");
                }
            });
        }
    });
}

#[test]
fn every_flipped_bit_is_refused() {
    // Two recipients, so that a stanza which the opener does not need is among what is flipped.
    let (_, file) = sealed(b"abc", &recipients(2));
    assert_eq!(open(&[key(1)], &file), Ok(()));
    none_opens(file.len() * 8, |bit| {
        let mut flipped = file.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        flipped
    });
}

#[test]
fn every_truncation_is_refused() {
    let (_, file) = sealed(b"abc", &recipients(1));
    none_opens(file.len(), |bytes| file[..bytes].to_vec());
}

#[test]
fn whatever_is_appended_is_refused() {
    for bytes in [3, 65_536 - 84, 65_536] {
        let (_, file) = sealed(&content(bytes), &recipients(1));
        for more in [1, 16, 17, 600, CHUNK_BYTES] {
            let longer = [file.as_slice(), &vec![0; more]].concat();
            assert_eq!(open(&[key(1)], &longer), Err(NotOpened::Payload), "{more}");
        }
        let doubled = [file.as_slice(), &file].concat();
        assert_eq!(open(&[key(1)], &doubled), Err(NotOpened::Payload));
    }
}

#[test]
fn chunks_cannot_be_cut_moved_or_repeated() {
    let (_, file) = sealed(&content(200_000), &recipients(1));
    let payload = 22 + 1557 + 48 + 16;
    let (start, chunks) = file.split_at(payload);
    let chunks: Vec<_> = chunks.chunks(CHUNK_BYTES).collect();
    assert_eq!(chunks.len(), 4);
    let with = |order: &[usize]| {
        let chosen: Vec<_> = order.iter().map(|index| chunks[*index]).collect();
        open(&[key(1)], &[start, &chosen.concat()].concat())
    };
    assert_eq!(with(&[0, 1, 2, 3]), Ok(()));
    for order in
        [[0, 1, 2].as_slice(), &[0, 1, 3], &[1, 0, 2, 3], &[0, 1, 1, 2, 3], &[0, 1, 2, 3, 3], &[0, 3], &[3]]
    {
        assert_eq!(with(order), Err(NotOpened::Payload), "{order:?}");
    }
    assert_eq!(with(&[]), Err(NotOpened::Truncated));
    // Cuts near every border.
    for border in [payload, payload + CHUNK_BYTES, payload + 2 * CHUNK_BYTES, file.len()] {
        for cut in border - 20..(border + 20).min(file.len()) {
            assert!(open(&[key(1)], &file[..cut]).is_err(), "{cut}");
        }
    }
}

#[test]
fn a_header_does_not_fit_another_payload() {
    let (_, one) = sealed(b"abc", &recipients(1));
    let (_, other) = sealed(b"abc", &recipients(1));
    let payload = 22 + 1557 + 48;
    let spliced = [&one[..payload], &other[payload..]].concat();
    assert_eq!(open(&[key(1)], &spliced), Err(NotOpened::Payload));
}
