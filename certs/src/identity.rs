//! Who a certificate is for, and its SPIFFE id. Not here: names of hosts, which only the gateway's
//! certificate has beside it.
//!
//! Source: SPIFFE-ID, section 2; X509-SVID, section 2 (exactly one URI).

use std::{fmt, str::FromStr};

use crate::{
    error::{Error, Malformed, Refusal},
    name::{Agency, Network, Node, Pseudonym},
};

const SCHEME: &str = "spiffe://";

/// Longest id that is read at all, in bytes; the longest that can be written has 186.
pub(crate) const URI_BYTES_MAX: usize = 255;

/// Who a certificate is for. Displayed as the path of its SPIFFE id, without the first slash:
/// `gateway`, `agency/ae.dfwac/main`, `staff/operator/blue-7`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Identity {
    /// The network's gateway.
    Gateway,
    /// An agency's agent.
    Agency {
        /// The agency.
        agency: Agency,
        /// Which of its agents.
        node: Node,
    },
    /// A member of the network's staff. The role is in the id, so that the certificate alone tells it.
    Staff {
        /// What for.
        role: Role,
        /// Who, never by name.
        pseudonym: Pseudonym,
    },
}

/// What a member of staff may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// Agencies, keys, agreements.
    Administrator,
    /// Delivery state and contacts only.
    Operator,
    /// Evidence only.
    Auditor,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 3] = [Self::Administrator, Self::Operator, Self::Auditor];

    /// The role's text: `administrator`, `operator`, `auditor`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Administrator => "administrator",
            Self::Operator => "operator",
            Self::Auditor => "auditor",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        Self::ALL.into_iter().find(|role| role.as_str() == text).ok_or(Malformed::Role)
    }
}

impl Identity {
    /// The SPIFFE id, such as `spiffe://referral.example/agency/ae.dfwac/main`.
    #[must_use]
    pub fn uri(&self, network: &Network) -> String {
        format!("{SCHEME}{network}/{self}")
    }

    /// Reads a SPIFFE id of this network. Strictly: only what [`Self::uri`] writes is one, so there is
    /// no port, user, query, fragment, escape, empty or dot segment, and no upper case.
    ///
    /// # Errors
    /// [`Malformed::Identity`], or [`Refusal::OtherNetwork`] when it is an id of another network.
    pub fn parse(uri: &str, network: &Network) -> Result<Self, Error> {
        let (host, path) = Self::split(uri)?;
        let identity = path.parse()?;
        if host == *network { Ok(identity) } else { Err(Refusal::OtherNetwork.into()) }
    }

    /// Reads a SPIFFE id of any network.
    ///
    /// # Errors
    /// [`Malformed::Identity`].
    pub fn parse_any(uri: &str) -> Result<(Network, Self), Malformed> {
        let (host, path) = Self::split(uri)?;
        Ok((host, path.parse()?))
    }

    fn split(uri: &str) -> Result<(Network, &str), Malformed> {
        if uri.len() > URI_BYTES_MAX {
            return Err(Malformed::Identity);
        }
        let rest = uri.strip_prefix(SCHEME).ok_or(Malformed::Identity)?;
        let (host, path) = rest.split_once('/').ok_or(Malformed::Identity)?;
        Ok((host.parse().map_err(|_| Malformed::Identity)?, path))
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gateway => f.write_str("gateway"),
            Self::Agency { agency, node } => write!(f, "agency/{agency}/{node}"),
            Self::Staff { role, pseudonym } => write!(f, "staff/{role}/{pseudonym}"),
        }
    }
}

impl FromStr for Identity {
    type Err = Malformed;

    /// Reads what `Display` writes.
    fn from_str(path: &str) -> Result<Self, Malformed> {
        let mut segments = path.split('/');
        let found = (segments.next(), segments.next(), segments.next(), segments.next());
        let identity = match found {
            (Some("gateway"), None, None, None) => Some(Self::Gateway),
            (Some("agency"), Some(agency), Some(node), None) => {
                agency.parse().ok().zip(node.parse().ok()).map(|(agency, node)| Self::Agency { agency, node })
            }
            (Some("staff"), Some(role), Some(pseudonym), None) => role
                .parse()
                .ok()
                .zip(pseudonym.parse().ok())
                .map(|(role, pseudonym)| Self::Staff { role, pseudonym }),
            _ => None,
        };
        identity.ok_or(Malformed::Identity)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn network() -> Network {
        "referral.example".parse().unwrap()
    }

    fn uri(path: &str) -> String {
        format!("spiffe://referral.example/{path}")
    }

    #[test]
    fn the_forms_go_round() {
        for path in ["gateway", "agency/ae.dfwac/main", "staff/administrator/blue-7", "staff/auditor/x"] {
            let identity = Identity::parse(&uri(path), &network()).unwrap();
            assert_eq!(identity.to_string(), path);
            assert_eq!(identity.uri(&network()), uri(path));
            assert_eq!(Identity::parse_any(&uri(path)), Ok((network(), identity)));
        }
    }

    #[test]
    fn everything_else_is_refused() {
        let bad = [
            "",
            "gateway",
            "spiffe://referral.example",
            "spiffe://referral.example/",
            "spiffe:///gateway",
            "spiffe://referral.example//gateway",
            "spiffe://referral.example/gateway/",
            "spiffe://referral.example/gateway?x=1",
            "spiffe://referral.example/gateway#x",
            "spiffe://referral.example:443/gateway",
            "spiffe://user@referral.example/gateway",
            "spiffe://user:word@referral.example/gateway",
            "spiffe://127.0.0.1/gateway",
            "spiffe://[::1]/gateway",
            "SPIFFE://referral.example/gateway",
            "spiffe://Referral.example/gateway",
            "spiffe://referral.example/Gateway",
            "https://referral.example/gateway",
            "spiffe:/referral.example/gateway",
            " spiffe://referral.example/gateway",
            "spiffe://referral.example/gateway ",
            "spiffe://referral.example/gateway\0",
            "spiffe://referral.example/agency/ae.dfwac",
            "spiffe://referral.example/agency/ae.dfwac/",
            "spiffe://referral.example/agency//main",
            "spiffe://referral.example/agency/dfwac/main",
            "spiffe://referral.example/agency/ae.dfwac/main/x",
            "spiffe://referral.example/agency/ae.dfwac/./main",
            "spiffe://referral.example/agency/ae.dfwac/..",
            "spiffe://referral.example/agency/../gateway",
            "spiffe://referral.example/agency/ae%2edfwac/main",
            "spiffe://referral.example/agency/ae.dfwac/m%61in",
            "spiffe://referral.example/staff/blue-7",
            "spiffe://referral.example/staff/owner/blue-7",
            "spiffe://referral.example/staff/Operator/blue-7",
            "spiffe://referral.example/staff/operator/a.b",
            "spiffe://r\u{435}ferral.example/gateway",
        ];
        for text in bad {
            assert_eq!(Identity::parse(text, &network()), Err(Malformed::Identity.into()), "{text}");
        }
        let long = uri(&format!("agency/{}/main", "a.".repeat(120)));
        assert_eq!(Identity::parse(&long, &network()), Err(Malformed::Identity.into()));
    }

    #[test]
    fn another_network_s_id_is_refused_as_that() {
        for host in ["other.example", "referral.example.org", "x.referral.example", "example"] {
            let text = format!("spiffe://{host}/gateway");
            assert_eq!(Identity::parse(&text, &network()), Err(Refusal::OtherNetwork.into()), "{text}");
        }
    }

    #[test]
    fn the_longest_id_can_be_read() {
        let host = format!("{}.{}", "a".repeat(32), "b".repeat(31));
        let text = format!("spiffe://{host}/agency/{host}/{}", "n".repeat(32));
        assert!(text.len() <= URI_BYTES_MAX);
        let (network, identity) = Identity::parse_any(&text).unwrap();
        assert_eq!(identity.uri(&network), text);
    }

    proptest! {
        #[test]
        fn whatever_is_read_is_written_the_same(text in "(spiffe://)?[a-z./%:@?#-]{0,40}|\\PC{0,60}") {
            if let Ok((network, identity)) = Identity::parse_any(&text) {
                prop_assert_eq!(identity.uri(&network), text);
            }
        }
    }
}
