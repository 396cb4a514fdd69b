//! The points of Curve25519 that turn every X25519 agreement into zero. Not here: the agreement.

/// The encodings of all points of low order on the curve and its twist, with the highest bit
/// clear (X25519 ignores it). A share that is one of these gives a shared secret of zeros whatever
/// the other side's key is, so the X25519 half of the hybrid would protect nothing; the crates
/// below accept them. Source: RFC 7748, section 6.1; D. J. Bernstein, "Curve25519: new
/// Diffie-Hellman speed records", section 3 and the list at cr.yp.to/ecdh.html.
const LOW_ORDER: [[u8; 32]; 7] = [
    near_zero(0),
    near_zero(1),
    // 325606250916557431795983626356110631294008115727848805560023387167927233504, of order 8
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda,
        0x09, 0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    // 39382357235489614581723060781553021112529911719440698176882885853963445705823, of order 8
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04,
        0x44, 0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    // p - 1, and the non-canonical p (is 0) and p + 1 (is 1), for p = 2^255 - 19
    near_prime(0xec),
    near_prime(0xed),
    near_prime(0xee),
];

/// The bit of the last byte that X25519 ignores.
const IGNORED_BIT: u8 = 0x80;

/// Whether an X25519 share is of low order, in whatever encoding.
pub(crate) fn is_low_order(share: &[u8; 32]) -> bool {
    let mut share = *share;
    share[31] &= !IGNORED_BIT;
    LOW_ORDER.contains(&share)
}

const fn near_zero(first: u8) -> [u8; 32] {
    let mut point = [0; 32];
    point[0] = first;
    point
}

const fn near_prime(first: u8) -> [u8; 32] {
    let mut point = [0xff; 32];
    point[0] = first;
    point[31] = 0x7f;
    point
}

/// All fourteen low-order encodings: each with the ignored bit clear and set.
#[cfg(test)]
pub(crate) fn low_order_encodings() -> Vec<[u8; 32]> {
    let with_bit = LOW_ORDER.map(|mut point| {
        point[31] |= IGNORED_BIT;
        point
    });
    [LOW_ORDER, with_bit].concat()
}

#[cfg(test)]
mod tests {
    use x25519_dalek::{PublicKey, StaticSecret};

    use super::*;

    fn agreement_is_zero(share: [u8; 32]) -> bool {
        let secret = StaticSecret::from([0x42; 32]);
        let shared = secret.diffie_hellman(&PublicKey::from(share));
        !shared.was_contributory()
    }

    #[test]
    fn every_listed_point_gives_a_secret_of_zeros() {
        let encodings = low_order_encodings();
        assert_eq!(encodings.len(), 14);
        for share in encodings {
            assert!(is_low_order(&share));
            assert!(agreement_is_zero(share), "{share:02x?}");
        }
    }

    #[test]
    fn no_neighbour_of_a_listed_point_is_refused_or_gives_zeros() {
        for share in low_order_encodings() {
            for bit in 0..255 {
                let mut near = share;
                near[bit / 8] ^= 1 << (bit % 8);
                assert_eq!(is_low_order(&near), agreement_is_zero(near), "{near:02x?}");
            }
        }
    }
}
