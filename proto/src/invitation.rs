//! An invitation as an agency is given it: one line of text with all that its agent needs to join, and
//! the one secret. Not here: what the directory knows of it (`directory::invitation`).

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use prost::Message as _;

use crate::{
    Malformed, canonical, digest::Digest, directory::invitation::Invite, ids::AgencyId, key::SigningKey,
    log::note::VerifierKey, wire,
};

/// What the text begins with. The number is the format's.
pub const PREFIX: &str = "invitation1:";
/// Longest text, in bytes: twice what the longest names and addresses make.
pub const TEXT_BYTES_MAX: usize = 8 * 1024;
/// Longest address, in bytes.
pub const ADDRESS_BYTES_MAX: u64 = 300;
/// Bytes of the SHA-256 of the payload that stand behind it: they find a slip in copying.
const CHECKSUM_BYTES: usize = 4;

/// An invitation.
#[derive(Clone)]
pub struct Invitation {
    /// The network.
    pub network: AgencyId,
    /// Where agents connect: a URL with host and port.
    pub gateway: String,
    /// Where invitations are used: host and port.
    pub enrolment: String,
    /// SHA-256 of the certificate of the network's root.
    pub root: Digest,
    /// The evidence log's key.
    pub evidence_log: VerifierKey,
    /// The directory log's key.
    pub directory_log: VerifierKey,
    /// What two administrators have allowed.
    pub invite: Invite,
    /// The private half of the invitation's key.
    pub secret: SigningKey,
}

impl Invitation {
    /// The text. It is as secret as a key.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut bytes = wire::Invitation {
            version: 1,
            network: self.network.to_string(),
            gateway: self.gateway.clone(),
            enrolment: self.enrolment.clone(),
            root_sha256: self.root.to_vec(),
            evidence_log: self.evidence_log.to_string(),
            directory_log: self.directory_log.to_string(),
            invite: Some(self.invite.to_wire()),
            secret: self.secret.seed().to_vec(),
        }
        .encode_to_vec();
        bytes.extend(checksum(&bytes));
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// Reads the text; spaces and line breaks that mail programs put into it do not matter.
    ///
    /// # Errors
    /// [`Malformed`]: `prefix` when it is none, `checksum` when it was not copied right, else the field.
    pub fn parse(text: &str) -> Result<Self, Malformed> {
        canonical::limit(text.len(), canonical::count(TEXT_BYTES_MAX), "invitation")?;
        let text: String = text.split_whitespace().collect();
        let encoded = text.strip_prefix(PREFIX).ok_or(Malformed::Form { field: "prefix" })?;
        let mistyped = Malformed::Mismatch { field: "checksum" };
        let bytes = URL_SAFE_NO_PAD.decode(encoded).map_err(|_| mistyped)?;
        let (payload, check) = bytes
            .len()
            .checked_sub(CHECKSUM_BYTES)
            .and_then(|at| bytes.split_at_checked(at))
            .ok_or(mistyped)?;
        if checksum(payload) != check {
            return Err(mistyped);
        }
        Self::of_wire(canonical::decode(payload, "Invitation")?)
    }

    fn of_wire(wire: wire::Invitation) -> Result<Self, Malformed> {
        if wire.version != 1 {
            return Err(Malformed::Form { field: "version" });
        }
        canonical::text(&wire.gateway, ADDRESS_BYTES_MAX, "gateway")?;
        canonical::text(&wire.enrolment, ADDRESS_BYTES_MAX, "enrolment")?;
        let Ok(seed) = <&[u8; 32]>::try_from(wire.secret.as_slice()) else {
            return Err(Malformed::Length { field: "secret" });
        };
        let read = Self {
            network: AgencyId::parse(&wire.network, "network")?,
            root: Digest::parse(&wire.root_sha256, "root_sha256")?,
            evidence_log: VerifierKey::parse(&wire.evidence_log)?,
            directory_log: VerifierKey::parse(&wire.directory_log)?,
            invite: Invite::parse(wire.invite.ok_or(Malformed::Missing { field: "invite" })?)?,
            secret: SigningKey::from_seed(seed),
            gateway: wire.gateway,
            enrolment: wire.enrolment,
        };
        let fits = read.secret.public() == read.invite.key;
        if fits { Ok(read) } else { Err(Malformed::Mismatch { field: "secret" }) }
    }
}

impl std::fmt::Debug for Invitation {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Invitation({}, secret)", self.invite.id())
    }
}

fn checksum(payload: &[u8]) -> Vec<u8> {
    Digest::of(payload).as_bytes().iter().copied().take(CHECKSUM_BYTES).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        directory::invitation::InvitedTo,
        ids::TimeMs,
        log::note::{KeyName, KeyType},
    };

    fn invitation() -> Invitation {
        let secret = SigningKey::from_seed(&[5; 32]);
        let vkey = |name| {
            let key = SigningKey::from_seed(&[6; 32]).public();
            VerifierKey::new(KeyName::parse(name, "name").unwrap(), KeyType::Ed25519, key)
        };
        Invitation {
            network: AgencyId::parse("referral.example", "network").unwrap(),
            gateway: "https://gateway.example:7443".into(),
            enrolment: "gateway.example:7444".into(),
            root: Digest::of(b"root"),
            evidence_log: vkey("referral.example/evidence"),
            directory_log: vkey("referral.example/directory"),
            invite: Invite {
                agency: AgencyId::parse("ae.dfwac", "agency").unwrap(),
                key: secret.public(),
                expires_at: TimeMs(1_790_000_000_000),
                to: InvitedTo::Return,
            },
            secret,
        }
    }

    #[test]
    fn the_text_is_its_golden_and_is_read_however_it_was_broken() {
        let text = invitation().to_text();
        assert_eq!(text, include_str!("../tests/golden/invitation.txt").trim_end());
        for broken in [text.clone(), format!(" {text}\r\n"), text.replace('A', "\n > A").replace("> ", "")] {
            let read = Invitation::parse(&broken).unwrap();
            assert_eq!(read.to_text(), text);
            assert_eq!(read.invite, invitation().invite);
        }
        let shown = format!("{:?}", invitation());
        assert_eq!(shown, format!("Invitation({}, secret)", invitation().invite.id()));
    }

    #[test]
    fn what_was_not_copied_right_is_no_invitation() {
        let text = invitation().to_text();
        let mistyped = Err(Malformed::Mismatch { field: "checksum" });
        let parse = |text: &str| Invitation::parse(text).map(|_| ());
        for place in PREFIX.len()..text.len() {
            let mut one = text.clone().into_bytes();
            one[place] = if one[place] == b'A' { b'B' } else { b'A' };
            assert_eq!(parse(&String::from_utf8(one).unwrap()), mistyped, "at {place}");
            assert_eq!(parse(&text[..place]), mistyped, "cut at {place}");
        }
        assert_eq!(parse(""), Err(Malformed::Form { field: "prefix" }));
        assert_eq!(parse("invitation2:AAAA"), Err(Malformed::Form { field: "prefix" }));
        let limit = canonical::count(TEXT_BYTES_MAX);
        assert_eq!(
            parse(&format!("{text}{}", " ".repeat(TEXT_BYTES_MAX))),
            Err(Malformed::TooLarge { field: "invitation", limit })
        );
        let other = Invitation { secret: SigningKey::from_seed(&[9; 32]), ..invitation() };
        assert_eq!(parse(&other.to_text()), Err(Malformed::Mismatch { field: "secret" }));
    }
}
