//! What an agency says of the room that it has for a service: published by itself, in its profile. Not
//! here: what an agreement allows, and who is asked by name, which a person decides.

use super::Directory;
use crate::{
    agreement::Need,
    ids::{Jurisdiction, closed_list},
    wire,
};

closed_list!(
    /// Room for a service.
    Capacity {
        /// Whoever comes is taken.
        Open = 1,
        /// None: nobody is sent there by need, or as a fallback.
        None = 2,
        /// There is a waiting list.
        Waitlist = 3,
        /// Each case is looked at first.
        Assessment = 4,
    }
);

impl Capacity {
    /// The word for it, as in `agent capacity`.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::None => "none",
            Self::Waitlist => "waitlist",
            Self::Assessment => "assessment",
        }
    }
}

impl Directory {
    /// Whether the agency that a need would go to says that it has no room for it: each of its offers that
    /// the need matches says so. Who says nothing of a service is asked.
    pub(crate) fn is_full(&self, need: Need<'_>) -> bool {
        let profile = self.agency(need.to).and_then(|agency| agency.profile.as_ref());
        let offers = profile.map_or(&[][..], |profile| &profile.offers);
        let mut matching = offers.iter().filter(|offer| matches(offer, need)).peekable();
        matching.peek().is_some() && matching.all(|offer| offer.capacity == Capacity::None.number())
    }
}

fn matches(offer: &wire::ServiceOffer, need: Need<'_>) -> bool {
    let within = |place: &String| {
        Jurisdiction::parse(place, "offers.jurisdictions").is_ok_and(|place| place.covers(need.jurisdiction))
    };
    offer.service == need.service.as_str()
        && (offer.categories.is_empty() || offer.categories.iter().any(|one| one == need.category.as_str()))
        && (offer.jurisdictions.is_empty() || offer.jurisdictions.iter().any(within))
}
