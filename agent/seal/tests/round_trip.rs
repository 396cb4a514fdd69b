//! Sealing and opening, seen from outside: sizes, lengths, recipients, and errors of both sides.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod example;

use std::io::{self, Read, Write};

use example::{content, expected, head, key, recipients, sealed};
use seal::{
    CONTENT_BYTES_MAX, HEAD_BYTES_MAX, NotOpened, NotSealed, PLAINTEXT_BYTES_MIN, RECIPIENTS_MAX, Sealed,
    SealingKey, open, open_unlisted, seal, sealed_bytes,
};
use sha2::{Digest as _, Sha256};

#[test]
fn parts_of_every_size_open_with_every_recipients_key() {
    let framed = usize::try_from(head(65_536).bytes()).unwrap() + 4;
    let chunk = 65_536 - framed;
    for bytes in [0, 1, 2, 400, 1_000, chunk - 1, chunk, chunk + 1, 65_535, 65_536, 65_537, 131_072, 5 << 20]
    {
        let (content, recipients) = (content(bytes), recipients(2));
        let (listed, file) = sealed(&content, &recipients);
        assert_eq!(listed.bytes, u64::try_from(file.len()).unwrap());
        assert_eq!(listed.sha256.as_slice(), Sha256::digest(&file).as_slice());
        for byte in [1, 2] {
            let mut out = Vec::new();
            let opened = open(&[key(byte)], &expected(), listed, file.as_slice(), &mut out);
            assert_eq!(opened.unwrap().sealed, listed);
            assert_eq!(out, content, "{bytes}");
        }
    }
}

#[test]
fn the_length_is_known_before_sealing() {
    for bytes in [0, 1, 300, 5_000, 65_536, 200_000] {
        for count in [1, 2, 5, RECIPIENTS_MAX] {
            let (listed, _) = sealed(&content(bytes), &recipients(count));
            let head = head(bytes);
            let foretold = sealed_bytes(head.bytes(), head.content_bytes, count);
            assert_eq!(foretold, Ok(listed.bytes), "{bytes} bytes for {count}");
        }
    }
    assert_eq!(sealed_bytes(100, 0, 0), Err(NotSealed::NoRecipient));
    assert_eq!(sealed_bytes(100, 0, 33), Err(NotSealed::TooManyRecipients));
    assert_eq!(sealed_bytes(HEAD_BYTES_MAX + 1, 0, 1), Err(NotSealed::HeadTooLarge));
    assert_eq!(sealed_bytes(0, CONTENT_BYTES_MAX + 1, 1), Err(NotSealed::ContentTooLarge));
    assert!(sealed_bytes(HEAD_BYTES_MAX, CONTENT_BYTES_MAX, RECIPIENTS_MAX).is_ok());
}

#[test]
fn short_parts_all_look_the_same() {
    let lengths = [0, 1, 100, 300].map(|bytes| sealed(&content(bytes), &recipients(1)).0.bytes);
    assert_eq!(lengths, [22 + 1557 + 48 + 16 + PLAINTEXT_BYTES_MIN + 16; 4]);
}

#[test]
fn two_sealings_of_the_same_share_nothing() {
    let (one, other) = (sealed(b"same", &recipients(1)).1, sealed(b"same", &recipients(1)).1);
    assert_eq!(one.len(), other.len());
    let header = "age-encryption.org/v1\n-> mlkem768x25519 ".len();
    assert_ne!(one[header..header + 40], other[header..header + 40]);
    assert_ne!(one[22 + 1557 + 48..], other[22 + 1557 + 48..]);
}

#[test]
fn any_of_several_keys_opens_and_others_do_not() {
    let (_, file) = sealed(b"abc", &recipients(2));
    let open = |keys: &[SealingKey]| open_unlisted(keys, &expected(), file.as_slice(), io::sink());
    assert!(open(&[key(9), key(2)]).is_ok());
    assert_eq!(open(&[key(9), key(8)]), Err(NotOpened::NoKeyFits));
    assert_eq!(open(&[]), Err(NotOpened::NoKeyFits));
}

#[test]
fn a_file_other_than_the_listed_is_refused() {
    let (listed, file) = sealed(b"abc", &recipients(1));
    let open = |listed| open(&[key(1)], &expected(), listed, file.as_slice(), io::sink());
    let (mut digest, mut length) = (listed, listed);
    digest.sha256[0] ^= 1;
    length.bytes += 1;
    assert!(open(listed).is_ok());
    assert_eq!(open(digest), Err(NotOpened::ListedDigest));
    assert_eq!(open(length), Err(NotOpened::ListedLength));
}

#[test]
fn content_must_be_what_its_head_says() {
    let seal = |said: usize, content: &[u8]| {
        seal(&head(said), &recipients(1), content, io::sink()).map(|_: Sealed| ())
    };
    assert_eq!(seal(3, b"abc"), Ok(()));
    assert_eq!(seal(4, b"abc"), Err(NotSealed::ContentShort));
    assert_eq!(seal(2, b"abc"), Err(NotSealed::ContentLong));
    assert_eq!(seal(0, b"a"), Err(NotSealed::ContentLong));
    assert_eq!(seal(200_000, &[0; 100_000]), Err(NotSealed::ContentShort));
}

#[test]
fn a_content_digest_is_checked_before_and_after() {
    let mut head = head(3);
    head.content_sha256 = Sha256::digest(b"abc").to_vec();
    let mut file = Vec::new();
    let listed = seal(&head, &recipients(1), b"abc".as_slice(), &mut file).unwrap();
    assert!(open(&[key(1)], &expected(), listed, file.as_slice(), io::sink()).is_ok());
    let sealed = seal(&head, &recipients(1), b"abd".as_slice(), io::sink());
    assert_eq!(sealed, Err(NotSealed::ContentDigest));
}

#[test]
fn recipients_are_counted_and_distinct() {
    let seal = |recipients: &[seal::Recipient]| {
        seal(&head(3), recipients, b"abc".as_slice(), io::sink()).map(|_| ())
    };
    assert_eq!(seal(&[]), Err(NotSealed::NoRecipient));
    assert_eq!(seal(&recipients(33)), Err(NotSealed::TooManyRecipients));
    let twice = [recipients(2), recipients(1)].concat();
    assert_eq!(seal(&twice), Err(NotSealed::RepeatedRecipient));
}

/// Fails every read and write, or gives a byte at a time with interruptions in between.
struct Broken;

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        Err(io::ErrorKind::ConnectionReset.into())
    }
}

impl Write for Broken {
    fn write(&mut self, _: &[u8]) -> io::Result<usize> {
        Err(io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Gives one byte at a time, interrupted before each.
struct Dripping<'a> {
    rest: &'a [u8],
    interrupt: bool,
}

impl Read for Dripping<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.interrupt = !self.interrupt;
        if self.interrupt {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let one = buffer.len().min(1);
        self.rest.read(&mut buffer[..one])
    }
}

#[test]
fn failures_of_reading_and_writing_are_told() {
    let (_, file) = sealed(b"abc", &recipients(1));
    let (reset, full) = (io::ErrorKind::ConnectionReset, io::ErrorKind::StorageFull);
    let (head, recipients, keys) = (head(3), recipients(1), [key(1)]);
    assert_eq!(seal(&head, &recipients, Broken, io::sink()), Err(NotSealed::Read(reset)));
    assert_eq!(seal(&head, &recipients, b"abc".as_slice(), Broken), Err(NotSealed::Write(full)));
    assert_eq!(open_unlisted(&keys, &expected(), Broken, io::sink()), Err(NotOpened::Read(reset)));
    for cut in [5, 1_000, 1_600, 1_640, 2_000] {
        assert_eq!(
            open_unlisted(&keys, &expected(), file[..cut].chain(Broken), io::sink()),
            Err(NotOpened::Read(reset))
        );
    }
    assert_eq!(open_unlisted(&keys, &expected(), file.as_slice(), Broken), Err(NotOpened::Write(full)));
}

#[test]
fn slow_and_interrupted_sources_change_nothing() {
    let content = content(70_000);
    let dripping = |rest| Dripping { rest, interrupt: false };
    let mut file = Vec::new();
    seal(&head(70_000), &recipients(1), dripping(&content), &mut file).unwrap();
    let mut out = Vec::new();
    open_unlisted(&[key(1)], &expected(), dripping(&file), &mut out).unwrap();
    assert_eq!(out, content);
}
