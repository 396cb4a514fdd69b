//! Files that are well-authenticated and wrong: what a sender, or a recipient who re-seals, could
//! make.

use std::io::{self, Read};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD};
use prost::Message as _;

use super::{age_file, stanza_for};
use crate::{
    Expected, HEAD_BYTES_MAX, HEADER_BYTES_MAX, NotOpened, RECIPIENTS_MAX, SealHead,
    low_order::low_order_encodings,
    open_unlisted, padded_bytes,
    stanza::STANZA_TYPE,
    vectors::{expected, head, public_test_key},
};

/// Opens with the test key 1; what is released must be nothing unless the part opens.
fn open(file: &[u8]) -> Result<Vec<u8>, NotOpened> {
    let mut out = Vec::new();
    let opened = open_unlisted(&[public_test_key(1)], &expected(), file, &mut out);
    match opened {
        Ok(_) => Ok(out),
        Err(refusal) => {
            assert!(out.is_empty(), "{refusal:?} came after content was released");
            Err(refusal)
        }
    }
}

fn framed(head: &[u8], content: &[u8]) -> Vec<u8> {
    let length = u32::try_from(head.len()).unwrap().to_be_bytes();
    [length.as_slice(), head, content].concat()
}

fn padded(mut plaintext: Vec<u8>) -> Vec<u8> {
    let bytes = padded_bytes(crate::count(plaintext.len()));
    plaintext.resize(usize::try_from(bytes).unwrap(), 0);
    plaintext
}

fn plaintext(head: &SealHead, content: &[u8]) -> Vec<u8> {
    padded(framed(&head.encode_to_vec(), content))
}

#[test]
fn the_helpers_make_a_file_that_opens() {
    let file = age_file(&stanza_for(1), &plaintext(&head(3), b"abc"));
    assert_eq!(open(&file), Ok(b"abc".to_vec()));
}

#[test]
fn a_stanza_of_any_other_type_is_refused_before_and_after_ours() {
    let body = STANDARD_NO_PAD.encode([5; 32]);
    let ours = String::from_utf8(stanza_for(1)).unwrap();
    for other in [
        "X25519 TEiF0ypqr+bpvcqXNyCVJpL7OuwPdVwPL7KQEbFDOCc",
        "scrypt ajMFur+EJLGaohv/dLRGnw 18",
        "ssh-ed25519 mWGrNw hmzWcbBUWWVZKaoNSH9wLkHJ1kMmHCbdhdz5ypgRwGI",
        "ssh-rsa mhir0Q",
        "piv-p256 xN4JNw A6wLCXHfoE8CNgxLzOXCAhhQRvZyxKL1o2vrHmDkXd2l",
        "p256tag CXBuUw BOqTylUtZFwkMTxd6UENg8kopiMhRJBOUXMv5w2xVOmJ",
        "mlkem768p256tag Ke5Xmw AAAA",
        "MLKEM768X25519 AAAA",
        "mlkem768x25519-grease AAAA",
        "%#-grease q7 x",
        "",
    ] {
        let other = format!("-> {other}\n{body}\n");
        for stanzas in [format!("{ours}{other}"), format!("{other}{ours}")] {
            let file = age_file(stanzas.as_bytes(), &plaintext(&head(3), b"abc"));
            assert_eq!(open(&file), Err(NotOpened::OtherRecipientType), "{other}");
        }
    }
}

#[test]
fn malformed_stanzas_of_our_type_are_refused() {
    let enc = STANDARD_NO_PAD.encode([5; 1120]);
    let body = STANDARD_NO_PAD.encode([5; 32]);
    for stanza in [
        format!("-> {STANZA_TYPE}\n{body}\n"),
        format!("-> {STANZA_TYPE} {enc} \n{body}\n"),
        format!("-> {STANZA_TYPE} {enc} more\n{body}\n"),
        format!("-> {STANZA_TYPE}  {enc}\n{body}\n"),
        format!("-> {STANZA_TYPE} {enc}\r\n{body}\r\n"),
        format!("-> {STANZA_TYPE} {enc}==\n{body}\n"),
        format!("-> {STANZA_TYPE} {enc}\n{body}=\n"),
        format!("-> {STANZA_TYPE} {enc}\n\n"),
        format!("-> {STANZA_TYPE} {enc}\n{body}{body}\n"),
        format!("-> {STANZA_TYPE} {}\n{body}\n", &enc[4..]),
        format!("-> {STANZA_TYPE} {enc}\n{}\n", STANDARD_NO_PAD.encode([5; 31])),
    ] {
        let stanzas = [stanza_for(1), stanza.clone().into_bytes()].concat();
        let file = age_file(&stanzas, &plaintext(&head(3), b"abc"));
        assert_eq!(open(&file), Err(NotOpened::Stanza), "{stanza:?}");
    }
    for stanza in ["->mlkem768x25519\n", "\n", "mlkem768x25519\n"] {
        let stanzas = [&stanza_for(1), stanza.as_bytes()].concat();
        let file = age_file(&stanzas, &plaintext(&head(3), b"abc"));
        assert_eq!(open(&file), Err(NotOpened::HeaderLine), "{stanza:?}");
    }
}

#[test]
fn a_share_of_low_order_is_refused_in_any_stanza() {
    for share in low_order_encodings() {
        let mut enc = [5; 1120];
        enc[1088..].copy_from_slice(&share);
        let enc = STANDARD_NO_PAD.encode(enc);
        let body = STANDARD_NO_PAD.encode([5; 32]);
        let low = format!("-> {STANZA_TYPE} {enc}\n{body}\n").into_bytes();
        for stanzas in [low.clone(), [stanza_for(1), low.clone()].concat(), [low, stanza_for(1)].concat()] {
            let file = age_file(&stanzas, &plaintext(&head(3), b"abc"));
            assert_eq!(open(&file), Err(NotOpened::LowOrder), "{share:02x?}");
        }
    }
}

#[test]
fn the_header_is_authenticated() {
    let good = age_file(&stanza_for(1), &plaintext(&head(3), b"abc"));
    let more = age_file(&[stanza_for(1), stanza_for(2)].concat(), &plaintext(&head(3), b"abc"));
    // The header for two with the MAC and payload of the header for one.
    let two_stanzas = 22 + 2 * 1557;
    let spliced = [&more[..two_stanzas], &good[22 + 1557..]].concat();
    assert_eq!(open(&spliced), Err(NotOpened::HeaderMac));
}

#[test]
fn too_many_stanzas_are_refused_and_the_most_are_not() {
    let other = stanza_for(2);
    let most = [other.repeat(RECIPIENTS_MAX - 1), stanza_for(1)].concat();
    let file = age_file(&most, &plaintext(&head(3), b"abc"));
    assert_eq!(open(&file), Ok(b"abc".to_vec()));
    let header = file.windows(4).position(|bytes| bytes == b"--- ").unwrap() + 48;
    assert_eq!(crate::count(header), HEADER_BYTES_MAX);
    let too_many = [other, most].concat();
    let file = age_file(&too_many, &plaintext(&head(3), b"abc"));
    assert_eq!(open(&file), Err(NotOpened::TooManyRecipients));
}

/// A prefix and then the same bytes for ever, counting what is read of them.
struct Endless<'a> {
    prefix: &'a [u8],
    cycle: &'a [u8],
    read: usize,
}

impl Read for Endless<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        for place in buffer.iter_mut() {
            let after = self.read.checked_sub(self.prefix.len());
            *place = match after {
                None => self.prefix[self.read],
                Some(after) => self.cycle[after % self.cycle.len()],
            };
            self.read += 1;
        }
        Ok(buffer.len())
    }
}

#[test]
fn an_endless_header_is_refused_after_a_bounded_read() {
    let version = b"age-encryption.org/v1\n".as_slice();
    let long_argument = [version, b"-> mlkem768x25519 "].concat();
    let stanza = stanza_for(2);
    for (prefix, cycle, refusal) in [
        (b"".as_slice(), b"a".as_slice(), NotOpened::NotAge),
        (b"".as_slice(), b"\n".as_slice(), NotOpened::NotAge),
        (version, b"a".as_slice(), NotOpened::HeaderLine),
        (version, b"\n".as_slice(), NotOpened::HeaderLine),
        (&long_argument, b"A".as_slice(), NotOpened::HeaderLine),
        (version, &stanza, NotOpened::TooManyRecipients),
        (version, b"-> X25519 a\n\n".as_slice(), NotOpened::OtherRecipientType),
    ] {
        let mut source = Endless { prefix, cycle, read: 0 };
        let mut out = Vec::new();
        let opened = open_unlisted(&[public_test_key(1)], &expected(), &mut source, &mut out);
        assert_eq!(opened, Err(refusal));
        let read = crate::count(source.read);
        // One buffer may have been filled beyond the limit.
        assert!(read <= HEADER_BYTES_MAX + (64 << 10), "{read}");
    }
}

#[test]
fn a_part_resealed_for_a_third_party_is_refused_there() {
    // The clinic, which has the file key, wraps the same payload for the ministry's key: the
    // payload still says for whom, by whom and in which envelope it was sealed.
    let mut head = head(3);
    head.recipients = vec!["ministry.example".into()];
    let file = age_file(&stanza_for(1), &plaintext(&head, b"abc"));
    assert_eq!(open(&file), Err(NotOpened::NotForMe));
}

#[test]
fn every_difference_from_the_envelope_is_refused_before_content() {
    let file = age_file(&stanza_for(1), &plaintext(&head(3), b"abc"));
    let right = expected();
    let mut envelope_id = right.envelope_id;
    envelope_id[0] ^= 1;
    for (expected, refusal) in [
        (Expected { envelope_id, ..right }, NotOpened::OtherEnvelope),
        (Expected { from: "clinic.example", ..right }, NotOpened::OtherSender),
        (Expected { me: "shelter.example", ..right }, NotOpened::NotForMe),
        (Expected { part_id: 3, ..right }, NotOpened::OtherPart),
        (Expected { part_class: 2, ..right }, NotOpened::OtherClass),
    ] {
        let mut out = Vec::new();
        let opened = open_unlisted(&[public_test_key(1)], &expected, file.as_slice(), &mut out);
        assert_eq!(opened, Err(refusal));
        assert!(out.is_empty());
    }
}

#[test]
fn heads_that_are_not_ours_are_refused() {
    let encoded = head(3).encode_to_vec();
    let unknown = framed(&[encoded.as_slice(), &[0x58, 1]].concat(), b"abc");
    let mut version = head(3);
    version.version = 2;
    let too_long = framed(&vec![0; usize::try_from(HEAD_BYTES_MAX + 1).unwrap()], b"");
    let mut beyond = plaintext(&head(3), b"abc");
    beyond[..4].copy_from_slice(&509_u32.to_be_bytes());
    for (plaintext, refusal) in [
        (padded(unknown), NotOpened::HeadNotCanonical),
        (padded(framed(&version.encode_to_vec(), b"abc")), NotOpened::HeadField { field: "version" }),
        (padded(framed(&[0xff; 9], b"abc")), NotOpened::HeadProtobuf),
        (padded(framed(&[], b"abc")), NotOpened::HeadField { field: "version" }),
        (padded(too_long), NotOpened::HeadLength),
        (beyond, NotOpened::HeadLength),
        (vec![0xff; 512], NotOpened::HeadLength),
        (vec![0, 0, 0], NotOpened::HeadLength),
    ] {
        let file = age_file(&stanza_for(1), &plaintext);
        assert_eq!(open(&file), Err(refusal));
    }
}

#[test]
fn any_other_length_of_the_plaintext_is_refused() {
    let exact = framed(&head(3).encode_to_vec(), b"abc");
    let short = plaintext(&head(3), b"abc");
    for bytes in [exact.len(), 511, 513, 544, 1024, 65_536] {
        let mut other = short.clone();
        other.resize(bytes, 0);
        let file = age_file(&stanza_for(1), &other);
        assert_eq!(open(&file), Err(NotOpened::PlaintextLength), "{bytes}");
    }
    // The head says more or less content than there is.
    let content = [7; 600];
    for said in [700, 100, 0, crate::CONTENT_BYTES_MAX] {
        let file = age_file(&stanza_for(1), &plaintext(&head(said), &content));
        assert_eq!(open(&file), Err(NotOpened::PlaintextLength), "{said}");
    }
}

#[test]
fn padding_other_than_zeros_is_refused() {
    let good = plaintext(&head(3), b"abc");
    let padding = framed(&head(3).encode_to_vec(), b"abc").len();
    for place in padding..good.len() {
        let mut bad = good.clone();
        bad[place] = 1;
        let file = age_file(&stanza_for(1), &bad);
        assert_eq!(open(&file), Err(NotOpened::Padding), "{place}");
    }
    // Content that goes on into what its head calls padding.
    let file = age_file(&stanza_for(1), &plaintext(&head(2), b"abc"));
    assert_eq!(open(&file), Err(NotOpened::Padding));
}

#[test]
fn a_wrong_content_digest_is_refused() {
    let mut head = head(3);
    head.content_sha256 = vec![1; 32];
    let file = age_file(&stanza_for(1), &plaintext(&head, b"abc"));
    let opened = open_unlisted(&[public_test_key(1)], &expected(), file.as_slice(), io::sink());
    assert_eq!(opened, Err(NotOpened::ContentDigest));
}

#[test]
fn the_second_chunk_is_held_to_the_same_rules() {
    let content = vec![7; 100_000];
    let good = plaintext(&head(100_000), &content);
    let mut longer = good.clone();
    longer.resize(padded_bytes(crate::count(good.len() + 1)).try_into().unwrap(), 0);
    let mut padding = good.clone();
    *padding.last_mut().unwrap() = 1;
    for (plaintext, refusal) in [
        (longer, NotOpened::PlaintextLength),
        (good[..good.len() - 1].to_vec(), NotOpened::PlaintextLength),
        (good[..65_536].to_vec(), NotOpened::PlaintextLength),
        (padding, NotOpened::Padding),
    ] {
        let file = age_file(&stanza_for(1), &plaintext);
        let opened = open_unlisted(&[public_test_key(1)], &expected(), file.as_slice(), io::sink());
        assert_eq!(opened, Err(refusal));
    }
}

#[test]
fn a_payload_that_goes_on_is_refused_after_a_bounded_read() {
    // Authentic chunks of zeros behind a part of one chunk: refused at the first of them, so that
    // a sender cannot keep an opener busy beyond what the head says.
    let mut endless = plaintext(&head(3), b"abc");
    endless.resize(20 * 65_536, 0);
    let file = age_file(&stanza_for(1), &endless);
    let mut source = file.as_slice();
    let mut out = Vec::new();
    let opened = open_unlisted(&[public_test_key(1)], &expected(), &mut source, &mut out);
    assert_eq!(opened, Err(NotOpened::PlaintextLength));
    assert!(out.is_empty());
    let read = file.len() - source.len();
    assert!(read <= 3 * 65_536, "{read}");
}
