//! Invitations: making one, and which there are. Not here: who may invite, and for how long
//! (`proto::directory::invitation`).

use std::path::Path;

use anyhow::{Context as _, Result, bail, ensure};
use prost::Message as _;
use proto::{
    Malformed,
    directory::{
        Directory,
        invitation::{INVITATION_LIFETIME_MS_MAX, Invitation as Held, Invite, InvitedTo},
        replica::Replica,
    },
    dsse::{self, PayloadType},
    ids::TimeMs,
    invitation::Invitation,
    key::SigningKey,
    log::note::VerifierKey,
    refusal::Refusal,
    wire::{self, directory_change::Change},
};
use rustls_pki_types::{CertificateDer, pem::PemObject as _};

use crate::{clock, init::new_change, network::NetworkFile, place};

/// Whom an administrator wants to invite.
#[derive(Debug, Clone)]
pub struct Guest {
    /// Its id.
    pub agency: String,
    /// As what it is to be admitted; nothing when it is in the directory and has lost its keys.
    pub entry: Option<GuestEntry>,
    /// How long the invitation is open, in milliseconds.
    pub valid_ms: u64,
}

/// What the directory is to say of an agency.
#[derive(Debug, Clone)]
pub struct GuestEntry {
    /// A code of the vocabulary of agency types.
    pub agency_type: String,
    /// Its name in English.
    pub name_en: String,
    /// Its name in Arabic.
    pub name_ar: String,
    /// Where it may act.
    pub jurisdictions: Vec<String>,
}

/// An invitation that was made: the change, for a second administrator to sign, and the text, for the
/// agency alone.
pub struct Made {
    /// Signed by its own key and by the first administrator.
    pub object: wire::SignedObject,
    /// As secret as a key.
    pub invitation: Invitation,
}

/// Makes an invitation. Its secret is in the text, and nowhere else.
///
/// # Errors
/// When a value is not of its form, or the network serves no enrolment.
pub fn make(network: &NetworkFile, guest: &Guest, administrator: &SigningKey) -> Result<Made> {
    ensure!(guest.valid_ms > 0, "--valid must be longer than nothing");
    ensure!(guest.valid_ms <= INVITATION_LIFETIME_MS_MAX, "{}", Refusal::InvitationTooLong.text_en());
    let enrolment = network.enrolment.clone().context(
        "network.toml names no `enrolment`: add where the gateway's enrolment_listen is reached, such as gateway.example:7444",
    )?;
    let secret = new_key()?;
    let root = CertificateDer::from_pem_slice(network.root.as_bytes()).context("root in network.toml")?;
    let wire = guest.to_wire(&secret, clock::now());
    let invitation = Invitation {
        network: proto::ids::AgencyId::parse(&network.network, "network").context("network")?,
        gateway: network.gateway.clone(),
        enrolment,
        root: proto::digest::Digest::of(&root),
        evidence_log: VerifierKey::parse(&network.evidence_log).context("evidence_log")?,
        directory_log: VerifierKey::parse(&network.directory_log).context("directory_log")?,
        invite: Invite::parse(wire.clone()).map_err(|malformed| value(&malformed))?,
        secret,
    };
    let change = new_change(Change::Invite(wire))?.encode_to_vec();
    let object = dsse::sign(PayloadType::DirectoryEntry, change, &[administrator, &invitation.secret]);
    // What was made is what the agency will read.
    Invitation::parse(&invitation.to_text())?;
    Ok(Made { object, invitation })
}

/// Writes the text to a new file that only its owner can read.
///
/// # Errors
/// The disk's, also when the file is there already.
pub fn write(path: &Path, invitation: &Invitation) -> Result<()> {
    let text = invitation.to_text() + "\n";
    let path = Path::new(".").join(path);
    place::write_private(&path, text.as_bytes()).with_context(|| format!("{}", path.display()))
}

impl Guest {
    fn to_wire(&self, secret: &SigningKey, now: TimeMs) -> wire::Invite {
        let entry = self.entry.clone();
        wire::Invite {
            agency: self.agency.clone(),
            again: entry.is_none(),
            agency_type: entry.as_ref().map_or_else(String::new, |entry| entry.agency_type.clone()),
            name_en: entry.as_ref().map_or_else(String::new, |entry| entry.name_en.clone()),
            name_ar: entry.as_ref().map_or_else(String::new, |entry| entry.name_ar.clone()),
            jurisdictions: entry.map_or_else(Vec::new, |entry| entry.jurisdictions),
            invitation_key: secret.public().to_bytes().to_vec(),
            expires_at_ms: now.plus_ms(self.valid_ms).0,
        }
    }
}

fn new_key() -> Result<SigningKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(SigningKey::from_seed(&seed))
}

fn value(malformed: &Malformed) -> anyhow::Error {
    anyhow::anyhow!("`{}` is not of the form that it has in the directory ({malformed})", malformed.field())
}

/// How long, as people write it: `3d`, `12h`, `30m`.
///
/// # Errors
/// When it is not so.
pub fn milliseconds(text: &str) -> Result<u64> {
    let units = [("d", 24 * 60 * 60 * 1000), ("h", 60 * 60 * 1000), ("m", 60 * 1000)];
    for (unit, ms) in units {
        if let Some(number) = text.strip_suffix(unit) {
            let number: u64 = number.parse().context("a number of days, hours or minutes")?;
            return number.checked_mul(ms).context("that is too long");
        }
    }
    bail!("days, hours or minutes, such as 3d, 12h or 30m")
}

/// The directory that leaves of its log build.
///
/// # Errors
/// When one cannot stand there.
pub fn directory(leaves: Vec<Vec<u8>>) -> Result<Directory> {
    let mut replica = Replica::default();
    for leaf in leaves {
        replica.take(leaf).context("the gateway logged what the rules refuse; call the other agencies")?;
    }
    Ok(replica.directory().clone())
}

/// What has become of an invitation, in a word.
#[must_use]
pub fn standing(held: &Held, now: TimeMs) -> &'static str {
    match held.judge(now) {
        Ok(()) => "open",
        Err(Refusal::InvitationUsed) => "used",
        Err(Refusal::InvitationExpired) => "expired",
        Err(_) => "revoked",
    }
}

/// What an invitation is for, in a word.
#[must_use]
pub const fn purpose(held: &Held) -> &'static str {
    match held.invite.to {
        InvitedTo::Join(_) => "to join",
        InvitedTo::Return => "to return",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_as_people_write_them() {
        assert_eq!(milliseconds("3d").unwrap(), 259_200_000);
        assert_eq!(milliseconds("12h").unwrap(), 43_200_000);
        assert_eq!(milliseconds("30m").unwrap(), 1_800_000);
        for bad in ["", "3", "d", "-1d", "1w", "99999999999999999999d", "999999999999999999d"] {
            assert!(milliseconds(bad).is_err(), "{bad}");
        }
    }
}
