//! The directory's part of a snapshot.

use std::sync::Arc;

use prost::Message as _;

use crate::{
    Malformed,
    agreement::Agreement,
    digest::Digest,
    directory::{
        Agency, AgencyKey, Calendar, ChangeMade, Directory, MechanismInForce, Memorandum, Network, Owner,
        PublicKeyOf, ShardBegun, Subject, Suspension,
        invitation::{Invitation, Invite, Standing},
    },
    dsse::{Signed, Unverified},
    ids::{AgencyId, Code, EnvelopeId, Jurisdiction, Locator, Pseudonym, TimeMs},
    key::PublicKey,
    log::{checkpoint::Origin, shard::ShardNo},
    mechanism::Mechanism,
    wire::{self, directory_item::Item},
};

/// What stands before the agreements: the network, its administrators, its agencies.
pub(super) fn before_agreements(directory: &Directory) -> Vec<wire::DirectoryItem> {
    let network = directory.network.iter().map(|network| {
        Item::Network(wire::NetworkItem {
            network: network.network.to_string(),
            evidence_origin: network.evidence_origin.to_string(),
            directory_origin: network.directory_origin.to_string(),
        })
    });
    let administrators = directory.administrators.iter().map(|(pseudonym, key)| {
        Item::Administrator(wire::AdministratorItem {
            pseudonym: pseudonym.to_string(),
            public_key: key.to_bytes().to_vec(),
        })
    });
    let agencies = directory.agencies.iter().map(|(id, agency)| Item::Agency(agency_to_wire(id, agency)));
    network.chain(administrators).chain(agencies).map(item).collect()
}

/// An agreement.
pub(super) fn agreement(held: &Memorandum) -> wire::DirectoryItem {
    item(Item::Agreement(agreement_to_wire(held)))
}

/// What stands behind them.
pub(super) fn behind_agreements(directory: &Directory) -> Vec<wire::DirectoryItem> {
    let mechanism = directory.mechanism.iter().map(|held| {
        Item::Mechanism(wire::MechanismItem {
            signed: Some(held.signed.object().clone()),
            batch: held.at.batch,
            entry: held.at.entry,
        })
    });
    let changes = directory.changes.iter().map(|(id, made)| Item::Change(change_to_wire(id, made)));
    let calendars = directory.calendars.values().map(|calendar| Item::Calendar(calendar.days.clone()));
    let invitations =
        directory.invitations.values().map(|invitation| Item::Invitation(invitation_to_wire(invitation)));
    let shards = directory.shards.iter().map(|begun| Item::Shard(shard_to_wire(begun)));
    mechanism.chain(changes).chain(calendars).chain(invitations).chain(shards).map(item).collect()
}

const fn item(item: Item) -> wire::DirectoryItem {
    wire::DirectoryItem { item: Some(item) }
}

pub(super) fn from_wire(items: &[wire::DirectoryItem]) -> Result<Directory, Malformed> {
    let mut directory = Directory::default();
    for item in items {
        match item.item.as_ref().ok_or(Malformed::Missing { field: "directory.item" })? {
            Item::Network(network) => directory.network = Some(network_from_wire(network)?),
            Item::Administrator(administrator) => administrator_from_wire(&mut directory, administrator)?,
            Item::Agency(agency) => agency_from_wire(&mut directory, agency)?,
            Item::Agreement(agreement) => agreement_from_wire(&mut directory, agreement)?,
            Item::Mechanism(mechanism) => directory.mechanism = Some(mechanism_from_wire(mechanism)?),
            Item::Change(change) => {
                let (id, made) = change_from_wire(change)?;
                directory.changes.insert(id, made);
            }
            Item::Calendar(days) => {
                let name = Code::parse(&days.name, "calendar.name")?;
                directory.calendars.insert(name.clone(), Calendar { name, days: days.clone() });
            }
            Item::Invitation(wire) => {
                let invitation = invitation_from_wire(wire)?;
                directory.invitations.insert(invitation.invite.id(), invitation);
            }
            Item::Shard(begun) => directory.shards.push(shard_from_wire(begun)?),
        }
    }
    Ok(directory)
}

fn shard_to_wire(begun: &ShardBegun) -> wire::ShardItem {
    wire::ShardItem {
        number: begun.number.get(),
        evidence_size: begun.evidence_size,
        directory_size: begun.directory_size,
        begun_at_ms: begun.begun_at.0,
    }
}

fn shard_from_wire(wire: &wire::ShardItem) -> Result<ShardBegun, Malformed> {
    Ok(ShardBegun {
        number: ShardNo::parse(wire.number)?,
        evidence_size: wire.evidence_size,
        directory_size: wire.directory_size,
        begun_at: TimeMs(wire.begun_at_ms),
    })
}

fn network_from_wire(wire: &wire::NetworkItem) -> Result<Network, Malformed> {
    Ok(Network {
        network: AgencyId::parse(&wire.network, "network")?,
        evidence_origin: Origin::parse(&wire.evidence_origin)?,
        directory_origin: Origin::parse(&wire.directory_origin)?,
    })
}

fn administrator_from_wire(
    directory: &mut Directory,
    wire: &wire::AdministratorItem,
) -> Result<(), Malformed> {
    let pseudonym = Pseudonym::parse(&wire.pseudonym, "administrator.pseudonym")?;
    let key = PublicKey::parse(&wire.public_key, "administrator.public_key")?;
    directory.owners.insert(key.id(), Owner::Administrator(pseudonym.clone()));
    directory.administrators.insert(pseudonym, key);
    Ok(())
}

fn agency_to_wire(id: &AgencyId, agency: &Agency) -> wire::AgencyItem {
    let key = |key: &AgencyKey| wire::KeyItem {
        purpose: key.key.purpose().number().unsigned_abs(),
        public_key: key.key.to_vec(),
        effective_at_ms: key.effective_at.0,
        revoked_at_ms: key.revoked_at.map_or(0, |revoked| revoked.0),
    };
    wire::AgencyItem {
        agency: id.to_string(),
        agency_type: agency.agency_type.clone(),
        name_en: agency.name_en.clone(),
        name_ar: agency.name_ar.clone(),
        jurisdictions: agency.jurisdictions.iter().map(ToString::to_string).collect(),
        keys: agency.keys.iter().map(key).collect(),
        suspension: agency.suspension.as_ref().map(suspension_to_wire),
        profile: agency.profile.as_ref().map_or_else(Vec::new, prost::Message::encode_to_vec),
    }
}

fn agency_from_wire(directory: &mut Directory, wire: &wire::AgencyItem) -> Result<(), Malformed> {
    let id = AgencyId::parse(&wire.agency, "agency")?;
    let mut keys = Vec::with_capacity(wire.keys.len());
    for key in &wire.keys {
        let public = PublicKeyOf::parse(super::number(key.purpose), &key.public_key)?;
        let revoked_at = Some(TimeMs(key.revoked_at_ms)).filter(|revoked| revoked.0 != 0);
        directory.owners.insert(public.id(), Owner::Agency(id.clone()));
        keys.push(AgencyKey {
            id: public.id(),
            key: public,
            effective_at: TimeMs(key.effective_at_ms),
            revoked_at,
        });
    }
    let jurisdictions = wire.jurisdictions.iter().map(|text| Jurisdiction::parse(text, "jurisdictions"));
    let profile = if wire.profile.is_empty() {
        None
    } else {
        let decoded = wire::AgencyProfile::decode(wire.profile.as_slice());
        Some(decoded.map_err(|_| Malformed::Protobuf { message: "AgencyProfile" })?)
    };
    let agency = Agency {
        agency_type: wire.agency_type.clone(),
        name_en: wire.name_en.clone(),
        name_ar: wire.name_ar.clone(),
        jurisdictions: jurisdictions.collect::<Result<_, _>>()?,
        keys,
        suspension: wire.suspension.as_ref().map(suspension_from_wire),
        profile,
    };
    list_lapse(directory, agency.suspension.as_ref(), || Subject::Agency(id.clone()));
    directory.agencies.insert(id, Arc::new(agency));
    Ok(())
}

fn suspension_to_wire(suspension: &Suspension) -> wire::SuspensionItem {
    wire::SuspensionItem {
        by: suspension.by.clone(),
        since_ms: suspension.since.0,
        lapses_at_ms: suspension.lapses_at.map_or(0, |lapses_at| lapses_at.0),
    }
}

fn suspension_from_wire(wire: &wire::SuspensionItem) -> Suspension {
    Suspension {
        by: wire.by.clone(),
        since: TimeMs(wire.since_ms),
        lapses_at: Some(TimeMs(wire.lapses_at_ms)).filter(|lapses_at| lapses_at.0 != 0),
    }
}

fn list_lapse(directory: &mut Directory, suspension: Option<&Suspension>, subject: impl FnOnce() -> Subject) {
    if let Some(lapses_at) = suspension.and_then(|suspension| suspension.lapses_at) {
        directory.lapses.entry(lapses_at).or_default().insert(subject());
    }
}

fn agreement_to_wire(held: &Memorandum) -> wire::AgreementItem {
    let signature = |(agency, at): (&AgencyId, &Locator)| wire::PartySignature {
        agency: agency.to_string(),
        batch: at.batch,
        entry: at.entry,
    };
    wire::AgreementItem {
        signed: Some(held.signed.object().clone()),
        signed_by: held.signed_by.iter().map(signature).collect(),
        suspension: held.suspension.as_ref().map(suspension_to_wire),
        superseded: held.superseded,
    }
}

fn agreement_from_wire(directory: &mut Directory, wire: &wire::AgreementItem) -> Result<(), Malformed> {
    let signed = signed(wire.signed.as_ref())?;
    let digest = signed.digest();
    let agreement = Agreement::parse(signed.payload())?;
    let signed_by = wire.signed_by.iter().map(|signature| {
        let agency = AgencyId::parse(&signature.agency, "signed_by.agency")?;
        Ok((agency, Locator { batch: signature.batch, entry: signature.entry }))
    });
    let signed_by = signed_by.collect::<Result<_, Malformed>>()?;
    let suspension = wire.suspension.as_ref().map(suspension_from_wire);
    list_lapse(directory, suspension.as_ref(), || Subject::Agreement(digest));
    directory.hold_agreement(Memorandum {
        agreement,
        signed,
        signed_by,
        suspension,
        superseded: wire.superseded,
    });
    Ok(())
}

fn mechanism_from_wire(wire: &wire::MechanismItem) -> Result<MechanismInForce, Malformed> {
    let signed = signed(wire.signed.as_ref())?;
    let at = Locator { batch: wire.batch, entry: wire.entry };
    Ok(MechanismInForce { mechanism: Mechanism::parse(signed.payload())?, signed, at })
}

fn signed(object: Option<&wire::SignedObject>) -> Result<Signed, Malformed> {
    let object = object.ok_or(Malformed::Missing { field: "signed" })?;
    Ok(Unverified::parse(object.clone())?.trust_our_own_journal())
}

fn invitation_to_wire(invitation: &Invitation) -> wire::InvitationItem {
    wire::InvitationItem { invite: Some(invitation.invite.to_wire()), standing: invitation.standing.number() }
}

fn invitation_from_wire(wire: &wire::InvitationItem) -> Result<Invitation, Malformed> {
    let invite = wire.invite.clone().ok_or(Malformed::Missing { field: "invitation.invite" })?;
    Ok(Invitation { invite: Invite::parse(invite)?, standing: Standing::from_number(wire.standing)? })
}

fn change_to_wire(id: &EnvelopeId, made: &ChangeMade) -> wire::ChangeItem {
    wire::ChangeItem {
        change_id: id.as_bytes().to_vec(),
        digest: made.digest.to_vec(),
        batch: made.at.batch,
        entry: made.at.entry,
        created_at_ms: made.created_at.0,
    }
}

fn change_from_wire(wire: &wire::ChangeItem) -> Result<(EnvelopeId, ChangeMade), Malformed> {
    let made = ChangeMade {
        digest: Digest::parse(&wire.digest, "change.digest")?,
        at: Locator { batch: wire.batch, entry: wire.entry },
        created_at: TimeMs(wire.created_at_ms),
    };
    Ok((EnvelopeId::parse(&wire.change_id, "change.change_id")?, made))
}
