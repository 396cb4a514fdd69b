//! Publishing whom others telephone in an emergency, when the directory says otherwise than the agency's
//! settings. Not here: telling whom this agency telephones (`local`).

use proto::{
    directory::{Directory, KeyPurpose},
    ids::AgencyId,
    wire::{self, directory_change::Change},
};
use tonic::transport::Channel;

use super::{Broken, directory};
use crate::{clock, gateway::directory_client::DirectoryClient, office::Office, settings::DutyDesk};

/// Does it once this agency's signing key is in force. What the profile says besides stays.
pub(super) async fn publish(office: &Office, channel: &Channel) -> Result<(), Broken> {
    let Some(desk) = &office.duty_desk else {
        return Ok(());
    };
    let profile = office.store.read(|state| {
        let directory = state.replica().directory();
        let signing = office.keys().signing.public().id();
        let may = directory.key_in_force(&office.me, &signing, KeyPurpose::Signing, clock::now());
        profile(directory, &office.me, desk).filter(|_| may)
    });
    let Some(object) = profile.and_then(|profile| directory::change(office, Change::Profile(profile))) else {
        return Ok(());
    };
    let answer = DirectoryClient::new(channel.clone()).change(object).await;
    match answer.map_err(Broken::call("Change"))?.into_inner().answer {
        Some(wire::change_answer::Answer::Refusal(refusal)) => {
            tracing::warn!(code = refusal.code, "the duty desk of this agency was not published");
        }
        Some(wire::change_answer::Answer::Receipt(_)) | None => {
            tracing::info!("the duty desk of this agency was published");
            office.look.notify_one();
        }
    }
    Ok(())
}

/// The profile that should be there; nothing when it is, or when the agency is not.
fn profile(directory: &Directory, me: &AgencyId, desk: &DutyDesk) -> Option<wire::AgencyProfile> {
    let standing = directory.agency(me)?.profile.clone().unwrap_or_default();
    let is_there = (&standing.duty_phone, &standing.duty_hours) == (&desk.phone, &desk.hours);
    (!is_there).then(|| wire::AgencyProfile {
        agency: me.to_string(),
        duty_phone: desk.phone.clone(),
        duty_hours: desk.hours.clone(),
        ..standing
    })
}
