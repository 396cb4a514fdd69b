//! Names of hosts: those that a gateway's certificate carries, and those that an issuing certificate
//! permits. Not here: SPIFFE ids, which no name constraint covers; see the room's README.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use crate::{
    error::{Error, Malformed, Refusal},
    name::{Network, is_host},
};

/// Most names of a gateway, and most names that an issuing certificate permits.
pub const NAMES_MAX: usize = 16;

/// Longest host name, in bytes (RFC 1035, section 2.3.4).
const HOST_BYTES_MAX: usize = 253;

/// A name that agents call a gateway by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum GatewayName {
    /// A host's name, lower-case, without wildcard.
    Dns(Box<str>),
    /// An IP address.
    Ip(IpAddr),
}

impl FromStr for GatewayName {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        if let Ok(ip) = text.parse() {
            return Ok(Self::Ip(ip));
        }
        read_host(text).map(Self::Dns).ok_or(Malformed::GatewayName)
    }
}

impl fmt::Display for GatewayName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dns(host) => f.write_str(host),
            Self::Ip(ip) => ip.fmt(f),
        }
    }
}

/// The names that agents call a gateway by: 1 to [`NAMES_MAX`], none twice.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct GatewayNames(Vec<GatewayName>);

impl GatewayNames {
    /// Of a list.
    ///
    /// # Errors
    /// [`Refusal::NamesMissing`], [`Refusal::TooManyNames`].
    pub fn new(names: impl IntoIterator<Item = GatewayName>) -> Result<Self, Refusal> {
        let mut kept = Vec::new();
        for name in names {
            if !kept.contains(&name) {
                kept.push(name);
            }
        }
        match kept.len() {
            0 => Err(Refusal::NamesMissing),
            1..=NAMES_MAX => Ok(Self(kept)),
            _ => Err(Refusal::TooManyNames { limit: NAMES_MAX }),
        }
    }

    /// Of texts.
    ///
    /// # Errors
    /// As [`Self::new`], and [`Malformed::GatewayName`].
    pub fn parse<T: AsRef<str>>(texts: &[T]) -> Result<Self, Error> {
        let names: Result<Vec<_>, _> = texts.iter().map(|text| text.as_ref().parse()).collect();
        Ok(Self::new(names?)?)
    }

    /// The machine itself: `localhost`, 127.0.0.1 and ::1.
    #[must_use]
    pub fn loopback() -> Self {
        Self(vec![
            GatewayName::Dns("localhost".into()),
            GatewayName::Ip(Ipv4Addr::LOCALHOST.into()),
            GatewayName::Ip(Ipv6Addr::LOCALHOST.into()),
        ])
    }

    /// The names.
    #[must_use]
    pub fn as_slice(&self) -> &[GatewayName] {
        &self.0
    }
}

/// A domain with all hosts in it, or a range of IP addresses.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum PermittedName {
    /// A domain: itself and every host in it.
    Domain(Box<str>),
    /// A range of IP addresses; no bit is set behind the prefix.
    Range {
        /// The first address.
        first: IpAddr,
        /// The prefix's length, in bits.
        prefix_bits: u8,
    },
}

impl PermittedName {
    /// Whether a gateway's name is in it.
    #[must_use]
    pub fn contains(&self, name: &GatewayName) -> bool {
        match (self, name) {
            (Self::Domain(domain), GatewayName::Dns(host)) => {
                host.strip_suffix(&**domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
            }
            (Self::Range { first, prefix_bits }, GatewayName::Ip(ip)) => {
                first.is_ipv4() == ip.is_ipv4() && keep_bits(*ip, *prefix_bits) == *first
            }
            (Self::Domain(_), GatewayName::Ip(_)) | (Self::Range { .. }, GatewayName::Dns(_)) => false,
        }
    }

    fn range(first: IpAddr, prefix_bits: u8) -> Option<Self> {
        let fits = prefix_bits <= address_bits(first) && keep_bits(first, prefix_bits) == first;
        fits.then_some(Self::Range { first, prefix_bits })
    }

    /// Reads a range as a certificate holds it: address, then mask, each of 4 or 16 bytes.
    pub(crate) fn from_address_and_mask(bytes: &[u8]) -> Option<Self> {
        let (address, mask) = bytes.split_at_checked(bytes.len() / 2)?;
        let (first, mask) = (address_of(address)?, address_of(mask)?);
        let prefix_bits = match mask {
            IpAddr::V4(mask) => mask.to_bits().leading_ones(),
            IpAddr::V6(mask) => mask.to_bits().leading_ones(),
        };
        let prefix_bits = u8::try_from(prefix_bits).ok()?;
        let all = match mask {
            IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::BROADCAST),
            IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::from_bits(u128::MAX)),
        };
        if keep_bits(all, prefix_bits) == mask { Self::range(first, prefix_bits) } else { None }
    }
}

pub(crate) fn address_of(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
    v4.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
}

const fn address_bits(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(_) => 32,
        IpAddr::V6(_) => 128,
    }
}

fn keep_bits(ip: IpAddr, bits: u8) -> IpAddr {
    let dropped = u32::from(address_bits(ip).saturating_sub(bits));
    match ip {
        IpAddr::V4(ip) => {
            Ipv4Addr::from_bits(ip.to_bits() & u32::MAX.checked_shl(dropped).unwrap_or(0)).into()
        }
        IpAddr::V6(ip) => {
            Ipv6Addr::from_bits(ip.to_bits() & u128::MAX.checked_shl(dropped).unwrap_or(0)).into()
        }
    }
}

impl FromStr for PermittedName {
    type Err = Malformed;

    fn from_str(text: &str) -> Result<Self, Malformed> {
        let range = match text.split_once('/') {
            Some((first, bits)) => Some((first.parse().ok(), read_bits(bits))),
            None => text.parse().ok().map(|ip| (Some(ip), Some(address_bits(ip)))),
        };
        let read = match range {
            Some((first, bits)) => first.zip(bits).and_then(|(first, bits)| Self::range(first, bits)),
            None => read_host(text).map(Self::Domain),
        };
        read.ok_or(Malformed::PermittedName)
    }
}

fn read_bits(text: &str) -> Option<u8> {
    let plain = text.bytes().all(|b| b.is_ascii_digit()) && (text == "0" || !text.starts_with('0'));
    if plain { text.parse().ok() } else { None }
}

fn read_host(text: &str) -> Option<Box<str>> {
    (text.len() <= HOST_BYTES_MAX && is_host(text)).then(|| text.into())
}

impl fmt::Display for PermittedName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Domain(domain) => f.write_str(domain),
            Self::Range { first, prefix_bits } => write!(f, "{first}/{prefix_bits}"),
        }
    }
}

/// What an issuing certificate permits: always the network's own domain, and what was given beside it.
/// Where no range of IP addresses is given, every address is excluded.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Permitted(Vec<PermittedName>);

impl Permitted {
    /// The network's domain and these names.
    ///
    /// # Errors
    /// [`Refusal::TooManyNames`].
    pub fn new(network: &Network, names: impl IntoIterator<Item = PermittedName>) -> Result<Self, Refusal> {
        let mut kept = vec![PermittedName::Domain(network.as_str().into())];
        for name in names {
            if !kept.contains(&name) {
                kept.push(name);
            }
        }
        if kept.len() <= NAMES_MAX { Ok(Self(kept)) } else { Err(Refusal::TooManyNames { limit: NAMES_MAX }) }
    }

    /// The network's domain, `localhost`, and the machine's own addresses: for demos and tests.
    #[must_use]
    pub fn sandbox(network: &Network) -> Self {
        Self(vec![
            PermittedName::Domain(network.as_str().into()),
            PermittedName::Domain("localhost".into()),
            PermittedName::Range { first: Ipv4Addr::new(127, 0, 0, 0).into(), prefix_bits: 8 },
            PermittedName::Range { first: Ipv6Addr::LOCALHOST.into(), prefix_bits: 128 },
        ])
    }

    /// The names.
    #[must_use]
    pub fn as_slice(&self) -> &[PermittedName] {
        &self.0
    }

    /// Whether all of these names are permitted.
    ///
    /// # Errors
    /// [`Refusal::NameNotPermitted`], for the first that is not.
    pub fn check(&self, names: &GatewayNames) -> Result<(), Refusal> {
        match names.as_slice().iter().find(|name| !self.0.iter().any(|range| range.contains(name))) {
            None => Ok(()),
            Some(name) => Err(Refusal::NameNotPermitted { name: name.clone() }),
        }
    }

    /// What is excluded beside.
    pub(crate) fn excluded(&self) -> Vec<PermittedName> {
        if self.0.iter().any(|name| matches!(name, PermittedName::Range { .. })) {
            // A permitted range excludes every address outside it, of both kinds.
            return Vec::new();
        }
        vec![
            PermittedName::Range { first: Ipv4Addr::UNSPECIFIED.into(), prefix_bits: 0 },
            PermittedName::Range { first: Ipv6Addr::UNSPECIFIED.into(), prefix_bits: 0 },
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn permitted_names_go_round() {
        for text in
            ["referral.example", "localhost", "10.1.0.0/16", "0.0.0.0/0", "::/0", "fd00::/8", "::1/128"]
        {
            assert_eq!(text.parse::<PermittedName>().unwrap().to_string(), text);
        }
        assert_eq!("10.1.2.3".parse::<PermittedName>().unwrap().to_string(), "10.1.2.3/32");
        for bad in [
            "",
            "*.example",
            ".example",
            "A.example",
            "10.1.0.1/16",
            "10.0.0.0/33",
            "10.0.0.0/08",
            "10.0.0.0/",
            "::/129",
            "/8",
            "example/8",
            "10.0.0/8",
            "10.0.0.0/+8",
        ] {
            assert_eq!(bad.parse::<PermittedName>(), Err(Malformed::PermittedName), "{bad}");
        }
    }

    #[test]
    fn a_domain_contains_its_hosts_and_a_range_its_addresses() {
        let permitted = |range: &str, name: &str| {
            range.parse::<PermittedName>().unwrap().contains(&name.parse().unwrap())
        };
        assert!(permitted("a.example", "a.example"));
        assert!(permitted("a.example", "x.y.a.example"));
        assert!(!permitted("a.example", "xa.example"));
        assert!(!permitted("a.example", "example"));
        assert!(permitted("127.0.0.0/8", "127.9.8.7"));
        assert!(!permitted("127.0.0.0/8", "128.0.0.1"));
        assert!(permitted("0.0.0.0/0", "8.8.8.8"));
        assert!(!permitted("0.0.0.0/0", "::1"));
        assert!(permitted("::/0", "2001:db8::1"));
        assert!(!permitted("::1/128", "::2"));
        assert!(!permitted("127.0.0.0/8", "localhost"));
    }

    #[test]
    fn the_network_s_domain_is_always_permitted() {
        let network = "referral.example".parse().unwrap();
        let permitted = Permitted::new(&network, ["10.0.0.0/8".parse().unwrap()]).unwrap();
        let names = |texts: &[&str]| GatewayNames::parse(texts).unwrap();
        assert_eq!(permitted.check(&names(&["gateway.referral.example", "10.2.3.4"])), Ok(()));
        let name = GatewayName::Dns("gateway.other.example".into());
        assert_eq!(
            permitted.check(&names(&["10.2.3.4", "gateway.other.example"])),
            Err(Refusal::NameNotPermitted { name })
        );
        assert!(permitted.excluded().is_empty());
        assert_eq!(Permitted::new(&network, []).unwrap().excluded().len(), 2);
        assert_eq!(Permitted::sandbox(&network).check(&GatewayNames::loopback()), Ok(()));
    }

    #[test]
    fn lists_are_limited() {
        let name = |n: usize| GatewayName::Dns(format!("h{n}.example").into());
        assert_eq!(GatewayNames::new([]), Err(Refusal::NamesMissing));
        assert!(GatewayNames::new((0..NAMES_MAX).map(name)).is_ok());
        assert_eq!(GatewayNames::new([name(1), name(1)]).unwrap().as_slice().len(), 1);
        let too_many = Refusal::TooManyNames { limit: NAMES_MAX };
        assert_eq!(GatewayNames::new((0..=NAMES_MAX).map(name)), Err(too_many.clone()));
        let network = "referral.example".parse().unwrap();
        let domain = |n: usize| PermittedName::Domain(format!("h{n}.example").into());
        assert!(Permitted::new(&network, (1..NAMES_MAX).map(domain)).is_ok());
        assert_eq!(Permitted::new(&network, (0..NAMES_MAX).map(domain)), Err(too_many));
    }

    #[test]
    fn gateway_names_have_no_wildcard() {
        for bad in
            ["", "*", "*.example", "a.example.", "A.example", "a_b.example", "a:443", "10.0.0.0/8", "1.2.3"]
        {
            assert_eq!(bad.parse::<GatewayName>(), Err(Malformed::GatewayName), "{bad}");
        }
        let long = format!("{}example", "a23456789.".repeat(25));
        assert!(long.len() > HOST_BYTES_MAX);
        assert_eq!(long.parse::<GatewayName>(), Err(Malformed::GatewayName));
        assert!(long[10..].parse::<GatewayName>().is_ok());
    }
}
