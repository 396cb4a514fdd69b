//! What the texts of an act may say before anybody has accepted: nothing that tells who she is. Not
//! here: the documents that open a referral (`document`), and what tells (`proto::payload::telling`).

use prost::Message as _;
use proto::{ids::ReferralKey, payload::Home, wire};
use serde_json::{Map, Value};

use super::{NotSent, Office};
use crate::{
    document, records,
    store::{Place, StoreFault},
};

impl Office {
    /// Checks the fields of an act of ours in a referral of ours: its recipient reads them at once, and
    /// may not have accepted yet.
    pub(super) fn check_early(
        &self,
        referral: &ReferralKey,
        home: Home,
        fields: &Map<String, Value>,
    ) -> Result<(), NotSent> {
        let submission = self.store.read(|state| {
            let case = state.case(referral).filter(|case| case.referral.opened_by == self.me)?;
            // A summary stays one, and goes to whoever is asked next.
            let early = match home {
                Home::Summary => true,
                Home::Detail => !case.status().is_taken(),
                Home::Consent | Home::Identity | Home::Either | Home::Barred | Home::Throughout => false,
            };
            case.submission().filter(|_| early).map(|step| step.place)
        });
        let Some(submission) = submission else {
            return Ok(());
        };
        let identity = self.identity_of(submission)?;
        let flaws = document::tells_early(fields, identity.as_deref());
        if flaws.is_empty() { Ok(()) } else { Err(NotSent::Flawed(flaws)) }
    }

    /// The identity that a submission of ours carried.
    pub(super) fn identity_of(&self, submission: Place) -> Result<Option<Vec<u8>>, StoreFault> {
        let body = self.store.body(submission)?;
        let kept = body.and_then(|body| records::QueuedBody::decode(body.as_slice()).ok());
        let mut plain = kept.into_iter().flat_map(|body| body.plain);
        Ok(plain.find(|plain| plain.class() == wire::PartClass::Identity).map(|plain| plain.content))
    }
}
