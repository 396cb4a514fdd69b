//! The names that identities are made of, each with its own type. Not here: names of hosts
//! (`permitted`).

use crate::error::Malformed;

/// Longest network name, in bytes: it is also the organisation in a certificate's subject, for which
/// RFC 5280 (appendix A.1, `ub-organization-name`) allows 64 characters.
pub(crate) const NETWORK_BYTES_MAX: usize = 64;
/// Longest agency id, in bytes (`ub-organizational-unit-name` is 64 as well).
pub(crate) const AGENCY_BYTES_MAX: usize = 64;
/// Longest node name, in bytes.
pub(crate) const NODE_BYTES_MAX: usize = 32;
/// Longest pseudonym, in bytes.
pub(crate) const PSEUDONYM_BYTES_MAX: usize = 32;

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $max:expr, $malformed:expr, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Box<str>);

        impl $name {
            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::str::FromStr for $name {
            type Err = Malformed;

            fn from_str(text: &str) -> Result<Self, Malformed> {
                let allowed: fn(&str) -> bool = $allowed;
                if text.len() <= $max && allowed(text) { Ok(Self(text.into())) } else { Err($malformed) }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// A network: the trust domain of its SPIFFE ids, dotted lower-case labels such as
    /// `referral.example`; never the text of an IP address.
    Network,
    NETWORK_BYTES_MAX,
    Malformed::Network,
    is_host
);

name!(
    /// An agency: two or more dotted lower-case labels, such as `ae.dfwac`. The same form as in the
    /// protocol.
    Agency,
    AGENCY_BYTES_MAX,
    Malformed::Agency,
    |text| text.contains('.') && text.split('.').all(is_label)
);

name!(
    /// One of an agency's agents, a label such as `main`.
    Node,
    NODE_BYTES_MAX,
    Malformed::Node,
    is_label
);

name!(
    /// A member of staff, never by name: a label such as `blue-7`. The same form as in the protocol.
    Pseudonym,
    PSEUDONYM_BYTES_MAX,
    Malformed::Pseudonym,
    is_label
);

/// Lower-case letters, digits and inner hyphens.
pub(crate) fn is_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

/// Dotted labels of at most 63 bytes, of which the last is not a number (RFC 1123, section 2.1), so
/// that no text of an IPv4 address is one.
pub(crate) fn is_host(text: &str) -> bool {
    const LABEL_BYTES_MAX: usize = 63;
    text.split('.').all(|label| label.len() <= LABEL_BYTES_MAX && is_label(label))
        && text.rsplit('.').next().is_some_and(|last| !last.bytes().all(|b| b.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check<T: std::str::FromStr<Err = Malformed>>(good: &[&str], bad: &[&str], malformed: &Malformed) {
        for text in good {
            assert!(text.parse::<T>().is_ok(), "{text}");
        }
        for text in bad {
            assert_eq!(text.parse::<T>().err().as_ref(), Some(malformed), "{text}");
        }
    }

    #[test]
    fn agencies_have_the_protocol_s_form() {
        check::<Agency>(
            &["ae.dfwac", "ae-rk.aman", "int.iom.kw", "jo.mosd", "x1.y2"],
            &[
                "",
                "dfwac",
                "ae.",
                ".ae",
                "AE.dfwac",
                "ae..x",
                "ae.-x",
                "ae.x-",
                "ae.\u{62f}",
                "ae x.y",
                "ae.x/y",
            ],
            &Malformed::Agency,
        );
    }

    #[test]
    fn nodes_and_pseudonyms_are_one_label() {
        let bad = ["", "A", "a.b", "-a", "a-", "a b", "a_b", "a/b", "..", "a%41"];
        check::<Node>(&["main", "n1", "a-b"], &bad, &Malformed::Node);
        check::<Pseudonym>(&["blue-7", "x"], &bad, &Malformed::Pseudonym);
    }

    #[test]
    fn networks_are_hosts() {
        check::<Network>(
            &["referral.example", "sandbox", "1a.example"],
            &["", "127.0.0.1", "example.1", "Referral.example", "a..b", "a.", "a:1", "u@a", "a/b", "[::1]"],
            &Malformed::Network,
        );
    }

    #[test]
    fn lengths_are_limited() {
        let long = format!("{}.{}", "a".repeat(32), "b".repeat(31));
        assert_eq!(long.len(), NETWORK_BYTES_MAX);
        assert!(long.parse::<Network>().is_ok());
        assert_eq!(format!("{long}b").parse::<Network>(), Err(Malformed::Network));
        assert!(long.parse::<Agency>().is_ok());
        assert_eq!(format!("{long}b").parse::<Agency>(), Err(Malformed::Agency));
        assert!("n".repeat(NODE_BYTES_MAX).parse::<Node>().is_ok());
        assert!("n".repeat(NODE_BYTES_MAX + 1).parse::<Node>().is_err());
        assert!("n".repeat(PSEUDONYM_BYTES_MAX).parse::<Pseudonym>().is_ok());
        assert!("n".repeat(PSEUDONYM_BYTES_MAX + 1).parse::<Pseudonym>().is_err());
        assert!("n".repeat(64).parse::<Network>().is_err(), "a label of 64 bytes");
    }
}
