//! Ed25519 against another implementation (aws-lc-rs), and against the inputs on which
//! implementations are known to differ ("Taming the many EdDSAs", Chalkias et al. 2020).

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use proto::{
    digest::Digest,
    dsse::{PayloadType, Unverified, pre_authentication_encoding, sign},
    key::{PublicKey, SigningKey},
};

fn seed(number: u32) -> [u8; 32] {
    *Digest::of(&number.to_be_bytes()).as_bytes()
}

fn bytes(hex: &str) -> Vec<u8> {
    let pairs = hex.as_bytes().chunks(2).map(|pair| std::str::from_utf8(pair).unwrap());
    pairs.map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

#[test]
fn two_implementations_sign_and_verify_the_same() {
    for number in 0..200 {
        let seed = seed(number);
        let (ours, theirs) =
            (SigningKey::from_seed(&seed), Ed25519KeyPair::from_seed_unchecked(&seed).unwrap());
        assert_eq!(ours.public().to_bytes().as_slice(), theirs.public_key().as_ref());
        let payload = seed.repeat(usize::try_from(number % 7).unwrap());
        let object = sign(PayloadType::Envelope, payload.clone(), &[&ours]);
        let pae = pre_authentication_encoding(PayloadType::Envelope.as_str(), &payload);
        let signature = object.signatures[0].sig.clone();
        assert_eq!(signature.as_slice(), theirs.sign(&pae).as_ref(), "deterministic in both");
        let verifier = UnparsedPublicKey::new(&ED25519, ours.public().to_bytes());
        assert!(verifier.verify(&pae, &signature).is_ok());
        let public = PublicKey::parse(theirs.public_key().as_ref(), "key").unwrap();
        assert!(Unverified::parse(object).unwrap().verify(|_| Some(public)).is_ok());
        let mut wrong = signature;
        wrong[usize::try_from(number % 64).unwrap()] ^= 4;
        assert!(verifier.verify(&pae, &wrong).is_err() && !public.verifies(&pae, &wrong));
    }
}

/// The eight points of small order, and every other encoding of one of them.
const SMALL_ORDER: [&str; 14] = [
    "0100000000000000000000000000000000000000000000000000000000000000",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0000000000000000000000000000000000000000000000000000000000000000",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

#[test]
fn keys_of_small_order_are_refused_in_every_encoding() {
    for hex in SMALL_ORDER {
        assert!(PublicKey::parse(&bytes(hex), "key").is_err(), "{hex}");
    }
}

#[test]
fn keys_that_are_not_canonical_or_no_point_are_refused() {
    // y from p to 2^255 - 1, which is p + 0 to p + 18, with both signs.
    for low in 0xed..=0xffu8 {
        for sign in [0x7f, 0xff] {
            let mut key = [0xff; 32];
            (key[0], key[31]) = (low, sign);
            assert!(PublicKey::parse(&key, "key").is_err(), "{low:x} {sign:x}");
        }
    }
    // y = 2 is on no point of the curve.
    let mut key = [0; 32];
    key[0] = 2;
    assert!(PublicKey::parse(&key, "key").is_err());
    for length in [0, 31, 33, 64] {
        assert!(PublicKey::parse(&vec![1; length], "key").is_err());
    }
}

/// The order of the base point, little-endian.
const L: &str = "edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010";

#[test]
fn an_s_that_is_not_reduced_is_refused() {
    let key = SigningKey::from_seed(&seed(1));
    let signature = key.sign(b"message");
    assert!(key.public().verifies(b"message", &signature));
    // S + L is the same scalar: who has one signature could make another.
    let mut more = signature;
    let mut carry = 0u16;
    for (byte, l) in more[32..].iter_mut().zip(bytes(L)) {
        let sum = u16::from(*byte) + u16::from(l) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
    assert_eq!(carry, 0);
    assert!(!key.public().verifies(b"message", &more));
    let mut exactly = signature;
    exactly[32..].copy_from_slice(&bytes(L));
    assert!(!key.public().verifies(b"message", &exactly));
    for length in [0, 63, 65, 128] {
        assert!(!key.public().verifies(b"message", &vec![0; length]));
    }
}

#[test]
fn an_r_of_small_order_is_refused() {
    let key = SigningKey::from_seed(&seed(2));
    for hex in SMALL_ORDER {
        let signature = [bytes(hex), vec![0; 32]].concat();
        assert!(!key.public().verifies(b"message", &signature), "{hex}");
        let honest = key.sign(b"message");
        let signature = [bytes(hex), honest[32..].to_vec()].concat();
        assert!(!key.public().verifies(b"message", &signature), "{hex}");
    }
}

/// Four cases of the paper's table, by their numbers there: the message, the key, the signature.
const SPECIALITIES: [(&str, &str, &str); 4] = [
    // 0: S = 0, small-order A and R.
    (
        "8c93255d71dcab10e8f379c26200f3c7bd5f09d9bc3068d3ef4edeb4853022b6",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a0000000000000000000000000000000000000000000000000000000000000000",
    ),
    // 1: small-order A, mixed-order R.
    (
        "9bd9f44f4dcc75bd531b56b2cd280b0bb38fc1cd6d1230e14861d861de092e79",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43a5bb704786be79fc476f91d3f3f89b03984d8068dcf1bb7dfc6637b45450ac04",
    ),
    // 2: mixed-order A, small-order R.
    (
        "aebf3f2601a0c8c5d39cc7d8911642f740b78168218da8471772b35f9d35b9ab",
        "f7badec5b8abeaf699583992219b7b223f1df3fbbea919844e3f7c554a43dd43",
        "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa8c4bd45aecaca5b24fb97bc10ac27ac8751a7dfe1baff8b953ec9f5833ca260e",
    ),
    // 4: mixed orders, which only the equation with the cofactor accepts.
    (
        "e47d62c63f830dc7a6851a0b1f33ae4bb2f507fb6cffec4011eaccd55b53f56c",
        "cdb267ce40c5cd45306fa5d2f29731459387dbf9eb933b7bd5aed9a765b88d4d",
        "160a1cb0dc9c0258cd0a7d23e94d8fa878bcb1925f2c64246b2dee1796bed5125ec6bc982a269b723e0668e540911a9a6a58921d6925e434ab10aa7940551a09",
    ),
];

#[test]
fn signatures_that_only_lax_verifiers_accept() {
    for (message, key, signature) in SPECIALITIES {
        let key = PublicKey::parse(&bytes(key), "key");
        assert!(!key.is_ok_and(|key| key.verifies(&bytes(message), &bytes(signature))), "{message}");
    }
}
