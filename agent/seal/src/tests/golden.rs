//! A sealed part that must open for ever, and must be made again from the same randomness. Its
//! keys are public: seeds of one byte repeated.

use super::rng;
use crate::{
    open,
    sealing::seal_with,
    vectors::{expected, head, public_test_key, recipient},
};

const GOLDEN: &[u8] = include_bytes!("../../tests/golden/part-v1.age");
const CONTENT: &[u8] = include_bytes!("../../tests/golden/part-v1.content.json");

#[test]
fn the_golden_part_opens_with_both_keys_and_is_made_again() {
    let mut head = head(crate::count(CONTENT.len()));
    head.file_name = "إحالة.json".into();
    let mut made = Vec::new();
    let recipients = [recipient(1), recipient(2)];
    let sealed = seal_with(&mut rng(), &head, &recipients, CONTENT, &mut made).unwrap();
    assert_eq!(made, GOLDEN);
    for byte in [1, 2] {
        let mut out = Vec::new();
        let keys = [public_test_key(byte)];
        let opened = open(&keys, &expected(), sealed, GOLDEN, &mut out).unwrap();
        assert_eq!(opened.head, head);
        assert_eq!(out, CONTENT);
    }
}
