//! What agencies say of the room that they have for each service, and saying so for this one. Not here:
//! whom that keeps a need from (`proto::directory::capacity`).

use std::time::Duration;

use proto::{
    directory::{capacity::Capacity, change::OFFERS_MAX},
    ids::{AgencyId, Jurisdiction},
    vocabulary::{self, Vocabulary},
    wire::{self, change_answer::Answer, directory_change::Change},
};
use tokio::time::timeout;
use tonic::{Request, Status};

use super::FRESHEN_TIME_MAX;
use crate::{
    api::{self, publish_offer_answer},
    gateway::directory_client::DirectoryClient,
    link::{Line, directory},
    office::Office,
};

/// How long the gateway may take to answer.
const CALL_TIME_MAX: Duration = Duration::from_secs(10);

/// How long the directory may take to come back with what was published.
const BACK_TIME_MAX: Duration = Duration::from_secs(10);
/// How long one look at it is waited for.
const LOOK_TIME_MAX: Duration = Duration::from_millis(500);

/// An agency's offers, as this agent's directory has them.
pub(super) fn list(office: &Office, agency: &str) -> Result<api::OffersAnswer, Status> {
    let agency = match agency {
        "" => office.me.clone(),
        other => AgencyId::parse(other, "agency").map_err(|_| Status::invalid_argument("no agency's id"))?,
    };
    let offers = office.store.read(|state| {
        let directory = state.replica().directory();
        directory.agency(&agency).map(|held| held.profile.clone().unwrap_or_default().offers)
    });
    let offers = offers.ok_or_else(|| Status::not_found("the directory has no such agency"))?;
    Ok(api::OffersAnswer { agency: agency.to_string(), offers })
}

/// Publishes an offer in the place of the one for the same service, categories and jurisdictions; or takes
/// that back. Whoever is not connected is told so: nobody would know of it.
pub(super) async fn publish(
    office: &Office,
    line: &Line,
    request: api::PublishOfferRequest,
) -> Result<publish_offer_answer::Answer, Status> {
    let offer = request.offer.unwrap_or_default();
    check(&offer, request.withdraw)?;
    let channel = line.channel().ok_or_else(|| not_published("there is no connection to the gateway"))?;
    office.freshen(FRESHEN_TIME_MAX).await;
    let profile = office.store.read(|state| {
        let held = state.replica().directory().agency(&office.me);
        held.map(|held| held.profile.clone().unwrap_or_default())
    });
    let standing = profile.ok_or_else(|| not_published("the directory has not come yet"))?;
    let offers = with(standing.offers.clone(), offer, request.withdraw);
    if offers.len() > usize::try_from(OFFERS_MAX).unwrap_or(usize::MAX) {
        return Err(Status::resource_exhausted(format!(
            "an agency publishes {OFFERS_MAX} offers at the most"
        )));
    }
    if offers != standing.offers {
        let profile =
            wire::AgencyProfile { agency: office.me.to_string(), offers: offers.clone(), ..standing };
        let object = directory::change(office, Change::Profile(profile))
            .ok_or_else(|| Status::internal("the operating system gave no randomness; try again"))?;
        let mut change = Request::new(object);
        change.set_timeout(CALL_TIME_MAX);
        let answer = DirectoryClient::new(channel).change(change).await;
        let answer = answer.map_err(|status| not_published(status.message()))?.into_inner().answer;
        if let Some(Answer::Refusal(refusal)) = answer {
            return Ok(publish_offer_answer::Answer::Refusal(refusal));
        }
        tracing::info!("the room that this agency has was published");
    }
    // The next one starts from what the directory says here.
    if timeout(BACK_TIME_MAX, until_back(office, &offers)).await.is_err() {
        return Err(Status::unavailable(
            "published, but the directory has not come back with it: look with `agent capacity` before saying more",
        ));
    }
    Ok(publish_offer_answer::Answer::Offers(api::OffersAnswer { agency: office.me.to_string(), offers }))
}

/// Until the directory says here what was published. The gateway's checkpoint is a moment behind.
async fn until_back(office: &Office, offers: &[wire::ServiceOffer]) {
    let mut changes = office.store.changes();
    while list(office, "").is_ok_and(|here| here.offers != offers) {
        office.look.notify_one();
        // What changes need not be the directory, and it may not change: then it is looked at again.
        drop(timeout(LOOK_TIME_MAX, changes.changed()).await);
    }
}

fn not_published(why: &str) -> Status {
    Status::unavailable(format!(
        "not published: {why}. Others go on sending here until it is; try again, or telephone them"
    ))
}

fn with(
    mut offers: Vec<wire::ServiceOffer>,
    offer: wire::ServiceOffer,
    withdraw: bool,
) -> Vec<wire::ServiceOffer> {
    let is_for_the_same = |one: &wire::ServiceOffer| {
        (&one.service, &one.categories, &one.jurisdictions)
            == (&offer.service, &offer.categories, &offer.jurisdictions)
    };
    match (offers.iter().position(is_for_the_same), withdraw) {
        (Some(place), true) => drop(offers.remove(place)),
        (Some(place), false) => {
            if let Some(there) = offers.get_mut(place) {
                *there = offer;
            }
        }
        (None, true) => {}
        (None, false) => offers.push(offer),
    }
    offers
}

/// What the gateway would not take, and codes that no need could have.
fn check(offer: &wire::ServiceOffer, withdraw: bool) -> Result<(), Status> {
    known(vocabulary::SERVICES, &offer.service)?;
    for category in &offer.categories {
        known(vocabulary::CATEGORIES, category)?;
    }
    for place in &offer.jurisdictions {
        let read = Jurisdiction::parse(place, "jurisdictions");
        read.map_err(|_| Status::invalid_argument("a jurisdiction is a country or emirate, such as AE-DU"))?;
    }
    if !withdraw && Capacity::parse(offer.capacity, "capacity").is_err() {
        return Err(Status::invalid_argument("capacity is open, none, waitlist or assessment"));
    }
    Ok(())
}

fn known(vocabulary: &Vocabulary, code: &str) -> Result<(), Status> {
    if vocabulary.coarse(code) == Some(code) {
        return Ok(());
    }
    let near: Vec<_> = vocabulary.nearest(code).iter().map(|term| term.code).collect();
    Err(Status::invalid_argument(format!(
        "this is no code that a need goes by; `agent codes` lists them. Near it: {}",
        near.join(", ")
    )))
}
