//! Padmé: how long a plaintext is made, so that its length tells little. Not here: the zeros
//! themselves, which are written while sealing and checked while opening.

/// The shortest plaintext of a sealed part, in bytes. Every plaintext that would be shorter is
/// padded to it, so that an empty part and a short note look the same.
pub const PLAINTEXT_BYTES_MIN: u64 = 512;

/// The length, in bytes, that a plaintext of `bytes` bytes is padded to.
///
/// Padmé keeps only the highest bits of a length and rounds the rest up. At most 12 % is added to
/// a plaintext of [`PLAINTEXT_BYTES_MIN`] or more, ever less as it grows, and the length tells
/// O(log log n) bits.
/// Source: Nikitin, Barman, Lueks, Underwood, Hubaux, Ford: "Reducing Metadata Leakage from
/// Encrypted Files and Communication with PURBs", PoPETs 2019(4), section 4.
#[must_use]
pub const fn padded_bytes(bytes: u64) -> u64 {
    let bytes = if bytes < PLAINTEXT_BYTES_MIN { PLAINTEXT_BYTES_MIN } else { bytes };
    // At least 512, so exponent is at least 9 and neither logarithm is of zero.
    let exponent = bytes.ilog2();
    let kept_bits = exponent.ilog2() + 1;
    let mask = (1 << (exponent - kept_bits)) - 1;
    bytes.saturating_add(mask) & !mask
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_are_those_of_the_paper() {
        for (bytes, padded) in [
            (0, 512),
            (1, 512),
            (511, 512),
            (512, 512),
            (513, 544),
            (544, 544),
            (545, 576),
            (1_000, 1_024),
            (1_024, 1_024),
            (1_025, 1_088),
            (4_097, 4_352),
            (65_535, 65_536),
            (65_536, 65_536),
            (65_537, 67_584),
            (1_000_000, 1_015_808),
            (1_048_577, 1_081_344),
            (10_000_000, 10_223_616),
        ] {
            assert_eq!(padded_bytes(bytes), padded, "{bytes}");
        }
    }

    proptest! {
        #[test]
        fn padding_is_little_and_a_fixed_point(bytes in 0_u64..1 << 50) {
            let padded = padded_bytes(bytes);
            let least = bytes.max(PLAINTEXT_BYTES_MIN);
            prop_assert!(padded >= least);
            prop_assert!((padded - least) * 100 <= least * 12, "{bytes} became {padded}");
            prop_assert_eq!(padded_bytes(padded), padded);
        }

        #[test]
        fn a_longer_plaintext_is_never_padded_to_less(a in 0_u64..1 << 50, more in 0_u64..1 << 20) {
            prop_assert!(padded_bytes(a) <= padded_bytes(a + more));
        }
    }
}
