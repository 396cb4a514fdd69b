//! Sealing and opening take constant memory. Alone in its file, as the whole process is measured.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod example;

use std::{
    fs,
    io::{self, Read as _, Write},
    thread,
};

use example::{expected, head, key, recipients};
use seal::{open_unlisted, seal};

const CONTENT_BYTES: usize = 256 << 20;
const GROWTH_KIB_MAX: u64 = 32 << 10;

/// The most memory that this process has ever had resident, in KiB.
fn peak_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:"));
    let number = line.unwrap().split_whitespace().nth(1).unwrap();
    number.parse().unwrap()
}

/// Counts what it is given, and keeps none of it.
struct Counting(usize);

impl Write for Counting {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        assert!(bytes.iter().all(|byte| *byte == 0xa5));
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_quarter_of_a_gibibyte_passes_through_in_constant_memory() {
    let (head, recipients, keys) = (head(CONTENT_BYTES), recipients(2), [key(2)]);
    let before_kib = peak_kib();
    let (ciphertext, out) = io::pipe().unwrap();
    let mut content = Counting(0);
    thread::scope(|scope| {
        scope.spawn(|| {
            let generator = io::repeat(0xa5).take(head.content_bytes);
            seal(&head, &recipients, generator, out).unwrap();
        });
        open_unlisted(&keys, &expected(), ciphertext, &mut content).unwrap();
    });
    assert_eq!(content.0, CONTENT_BYTES);
    let growth_kib = peak_kib() - before_kib;
    assert!(growth_kib < GROWTH_KIB_MAX, "grew by {growth_kib} KiB");
}
