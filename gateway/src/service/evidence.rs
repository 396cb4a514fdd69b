//! `Evidence`: receipts and timelines, to the agencies whose own they are. Not here: what staff may
//! see, which must itself leave evidence.

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use prost::Message as _;
use proto::{
    batch::Entry,
    command::Command,
    dsse::Signed,
    fact::Fact,
    ids::{AgencyId, Locator, ReferralKey},
    receipt::Receipt,
    refusal::Refusal,
    wire,
};
use tonic::{Request, Response, Status};

use super::{Answers, Gateway, agency, answers, stubs::evidence_server::Evidence};
use crate::history::Log;

/// Most entries of a timeline.
pub const TIMELINE_MAX: usize = 10_000;

/// The service.
#[derive(Clone)]
pub struct EvidenceService(pub Arc<Gateway>);

#[tonic::async_trait]
impl Evidence for EvidenceService {
    async fn get_receipt(
        &self,
        request: Request<wire::GetReceiptRequest>,
    ) -> Result<Response<wire::Receipt>, Status> {
        let party = agency(&request)?;
        let index = request.into_inner().index;
        let at = self.0.locate(index, &party)?.ok_or_else(unknown)?;
        let receipts = self.0.receipts(at).await?;
        let receipt = receipts.iter().find(|receipt| receipt.record().place.index == index);
        Ok(Response::new(receipt.ok_or_else(unknown)?.to_wire()))
    }

    type GetTimelineStream = Answers<wire::EvidenceBundle>;

    async fn get_timeline(
        &self,
        request: Request<wire::GetTimelineRequest>,
    ) -> Result<Response<Self::GetTimelineStream>, Status> {
        let party = agency(&request)?;
        let referral = ReferralKey::parse(request.into_inner().referral.as_ref());
        let referral = referral.map_err(answers::malformed)?;
        let places = self.0.hub.places(referral.clone()).await.map_err(answers::unavailable_status)?;
        let places =
            places.ok_or_else(|| Status::unavailable("the index is being built; try again later"))?;
        let mut places = places.into_iter().take(TIMELINE_MAX);
        // Whether there is anything is known before the first answer; the rest is read as it goes out,
        // so that a long timeline is never in memory.
        let first = loop {
            let at = places.next().ok_or_else(unknown)?;
            let bundles = self.0.bundles(at, &referral, &party).await?;
            if !bundles.is_empty() {
                break bundles;
            }
        };
        let gateway = Arc::clone(&self.0);
        let rest = stream::iter(places).then(move |at| {
            let (gateway, referral, party) = (Arc::clone(&gateway), referral.clone(), party.clone());
            async move { gateway.bundles(at, &referral, &party).await }
        });
        let bundles = stream::iter([Ok(first)]).chain(rest).flat_map(|bundles| {
            let bundles = match bundles {
                Ok(bundles) => bundles.into_iter().map(Ok).collect(),
                Err(status) => vec![Err(status)],
            };
            stream::iter(bundles)
        });
        Ok(Response::new(Box::pin(bundles)))
    }
}

/// The same whether it does not exist or is not the caller's.
fn unknown() -> Status {
    answers::unrecorded(Refusal::SubjectUnknown, "")
}

impl Gateway {
    /// Where a record of this party stands.
    fn locate(&self, index: u64, party: &AgencyId) -> Result<Option<Locator>, Status> {
        let history = self.hub.history();
        if index >= self.hub.evidence_size() {
            return Ok(None);
        }
        let number =
            history.batch_of_leaf(Log::Evidence, index).map_err(|fault| answers::internal(&fault))?;
        let batch = history.batch(number).map_err(|fault| answers::internal(&fault))?;
        let place = (0..).zip(&batch.entries).find(|(_, entry)| {
            let mut records = entry.facts.iter().filter_map(Fact::record);
            records.any(|record| record.place.index == index && record.what.parties.contains(party))
        });
        Ok(place.map(|(entry, _)| Locator { batch: number, entry }))
    }

    async fn receipts(&self, at: Locator) -> Result<Vec<Receipt>, Status> {
        let receipts = self.hub.derive(at).await.map_err(answers::unavailable_status)?;
        receipts.ok_or_else(|| Status::unavailable("the tiles are being made again; try again later"))
    }

    /// What a party may see of an entry in a referral's timeline.
    async fn bundles(
        &self,
        at: Locator,
        referral: &ReferralKey,
        party: &AgencyId,
    ) -> Result<Vec<wire::EvidenceBundle>, Status> {
        let batch = self.hub.history().batch(at.batch).map_err(|fault| answers::internal(&fault))?;
        let Some(entry) = batch.entries.get(usize::try_from(at.entry).unwrap_or(usize::MAX)) else {
            return Ok(Vec::new());
        };
        let receipts = self.receipts(at).await?;
        let theirs = receipts.iter().filter(|receipt| {
            let what = &receipt.record().what;
            what.referral.as_ref() == Some(referral) && what.parties.contains(party)
        });
        Ok(theirs.map(|receipt| bundle(receipt, entry, party)).collect())
    }
}

/// A receipt and the object that it names. A handover receipt may cover mail of other senders, so only
/// who signed it sees it.
fn bundle(receipt: &Receipt, entry: &Entry, party: &AgencyId) -> wire::EvidenceBundle {
    let what = &receipt.record().what;
    let named =
        |signed: &&Signed| what.envelope == Some(signed.digest()) || what.object == Some(signed.digest());
    let is_theirs = match &entry.command {
        Command::Push(_) => true,
        Command::Handover(handover) => handover.recipient == *party,
        Command::Directory(_) | Command::Denial(_) | Command::Tick(_) => false,
    };
    let signed = entry.command.signed().filter(named).filter(|_| is_theirs);
    wire::EvidenceBundle {
        receipt: Some(receipt.to_wire()),
        objects: signed.map(|signed| signed.object().encode_to_vec()).into_iter().collect(),
    }
}
