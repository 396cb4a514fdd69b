//! `Evidence`: receipts and timelines, to the agencies whose own they are, and to auditors and
//! administrators. Nothing is shown before the record of the query is synced. Not here: who may ask
//! (`proto::decide`), and ciphertext, which nobody sees here.

mod follow;

use std::sync::Arc;

use follow::Following;

use futures::{StreamExt as _, stream};
use prost::Message as _;
use proto::{
    batch::Entry,
    caller::Caller,
    command::{Command, Query, Sight},
    dsse::Signed,
    evidence::{Event, Happening, PartyLink, Record},
    fact::Fact,
    ids::{AgencyId, Locator, ReferralKey},
    receipt::Receipt,
    refusal::Refusal,
    wire,
};
use tokio::task::spawn_blocking;
use tonic::{Request, Response, Status};

use super::{Answers, Gateway, agency, answers, caller, record, stubs::evidence_server::Evidence};
use crate::{
    fault::Fault,
    history::{History, Log},
    hub::Unavailable,
    writer::{self, answer::Answer},
};

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
        let caller = caller(&request)?;
        let receipt = self.0.receipt_for(&caller, request.into_inner().index).await?;
        Ok(Response::new(receipt.to_wire()))
    }

    type GetTimelineStream = Answers<wire::EvidenceBundle>;

    async fn get_timeline(
        &self,
        request: Request<wire::GetTimelineRequest>,
    ) -> Result<Response<Self::GetTimelineStream>, Status> {
        let asker = Asker::of(caller(&request)?)?;
        let referral = ReferralKey::parse(request.into_inner().referral.as_ref());
        let referral = referral.map_err(answers::malformed)?;
        let places = self.0.hub.places(referral.clone()).await.map_err(answers::unavailable_status)?;
        let places =
            places.ok_or_else(|| Status::unavailable("the index is being built; try again later"))?;
        let mut places = places.into_iter().take(TIMELINE_MAX);
        // Whether there is anything is known before the first answer; the rest is read as it goes out,
        // so that a long timeline is never in memory.
        let first = loop {
            let Some(at) = places.next() else {
                return Err(self.0.unknown(&asker).await);
            };
            let bundles = self.0.bundles(at, &referral, &asker).await?;
            if !bundles.is_empty() {
                break bundles;
            }
        };
        self.0
            .leave_evidence(
                asker.caller(),
                Query { of: Sight::Evidence, referral: Some(referral.clone()), index: None },
            )
            .await?;
        let gateway = Arc::clone(&self.0);
        let rest = stream::iter(places).then(move |at| {
            let (gateway, referral, asker) = (Arc::clone(&gateway), referral.clone(), asker.clone());
            async move { gateway.bundles(at, &referral, &asker).await }
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

    type FollowStream = Answers<wire::FollowAnswer>;

    async fn follow(
        &self,
        request: Request<wire::FollowRequest>,
    ) -> Result<Response<Self::FollowStream>, Status> {
        let asker = Asker::of(caller(&request)?)?;
        let agency = agency(&request)?;
        self.0
            .leave_evidence(asker.caller(), Query { of: Sight::Evidence, referral: None, index: None })
            .await?;
        let following = Following::new(Arc::clone(&self.0), agency, &request.into_inner());
        Ok(Response::new(Box::pin(following.answers())))
    }

    async fn get_head(
        &self,
        request: Request<wire::GetHeadRequest>,
    ) -> Result<Response<wire::HeadAnswer>, Status> {
        let agency = agency(&request)?;
        let head = self.0.hub.head(agency.clone()).await.map_err(answers::unavailable_status)?;
        let Some((at, proof)) = head else {
            return Ok(Response::new(wire::HeadAnswer::default()));
        };
        let receipts = self.0.receipts(at).await?;
        let mut receipts = receipts.into_iter();
        let receipt = receipts.find(|receipt| receipt.record().what.event == Event::HeadsCommitted);
        let link = PartyLink { party: agency, count: proof.head.count, previous: Some(proof.head.last) };
        Ok(Response::new(wire::HeadAnswer {
            receipt: Some(receipt.ok_or_else(unknown)?.to_wire()),
            head: Some(link.to_wire()),
            place: proof.place,
            path: proof.path.iter().flat_map(|hash| *hash.as_bytes()).collect(),
        }))
    }
}

/// The same whether it does not exist or is not the caller's.
fn unknown() -> Status {
    answers::unrecorded(Refusal::SubjectUnknown, "")
}

/// Who asks, and so what is shown.
#[derive(Clone)]
pub(super) enum Asker {
    /// Its own records.
    Party { agency: AgencyId, caller: Caller },
    /// Everybody's records.
    Staff(Caller),
}

impl Asker {
    fn of(caller: Caller) -> Result<Self, Status> {
        match (&caller, caller.agency()) {
            (_, Some(agency)) => Ok(Self::Party { agency: agency.clone(), caller }),
            (Caller::Staff { .. }, None) => Ok(Self::Staff(caller)),
            (Caller::Agency { .. } | Caller::Invited { .. } | Caller::Gateway, None) => {
                Err(answers::unrecorded(Refusal::RoleNotAllowed, ""))
            }
        }
    }

    const fn caller(&self) -> &Caller {
        match self {
            Self::Party { caller, .. } | Self::Staff(caller) => caller,
        }
    }

    fn sees(&self, what: &Happening) -> bool {
        match self {
            Self::Party { agency, .. } => what.parties.contains(agency),
            Self::Staff(_) => true,
        }
    }
}

impl Gateway {
    /// The receipt of a record, with the evidence that somebody looked.
    pub(crate) async fn receipt_for(&self, caller: &Caller, index: u64) -> Result<Receipt, Status> {
        let asker = Asker::of(caller.clone())?;
        let Some((at, referral)) = self.find(index, |what| asker.sees(what))? else {
            return Err(self.unknown(&asker).await);
        };
        self.leave_evidence(caller, Query { of: Sight::Evidence, referral, index: Some(index) }).await?;
        let mut receipts = self.receipts(at).await?.into_iter();
        let receipt = receipts.find(|receipt| receipt.record().place.index == index);
        receipt.ok_or_else(unknown)
    }

    /// The first records of a referral, so many at the most, with the evidence that somebody looked. Read
    /// beside the writer, since a long timeline would hold it up.
    pub(crate) async fn records_of(
        &self,
        caller: &Caller,
        referral: &ReferralKey,
        most: usize,
    ) -> Result<Vec<Record>, Status> {
        let asker = Asker::of(caller.clone())?;
        let places = self.hub.places(referral.clone()).await.map_err(answers::unavailable_status)?;
        let places =
            places.ok_or_else(|| Status::unavailable("the index is being built; try again later"))?;
        if places.is_empty() {
            return Err(self.unknown(&asker).await);
        }
        let query = Query { of: Sight::Evidence, referral: Some(referral.clone()), index: None };
        self.leave_evidence(caller, query).await?;
        let (history, referral) = (self.hub.history().clone(), referral.clone());
        let sees = move |record: &Record| {
            record.what.referral.as_ref() == Some(&referral) && asker.sees(&record.what)
        };
        let records = spawn_blocking(move || read(&history, &places, sees, most)).await;
        let records = records.map_err(|_| Status::internal("the journal could not be read"))?;
        records.map_err(|fault| answers::internal(&fault))
    }

    /// Has the writer decide whether a query may be answered, and waits until its record is synced.
    pub(crate) async fn leave_evidence(&self, caller: &Caller, query: Query) -> Result<(), Status> {
        let command = Command::Query(query);
        let request = writer::Request { caller: caller.clone(), command, parts: Vec::new() };
        let answer = self.hub.ask(request).map_err(answers::unavailable_status)?;
        let answer = answer.await.map_err(|_| answers::unavailable_status(Unavailable::Ending))?;
        // One that is only counted is nothing to the journal.
        if matches!(answer, Answer::Nothing) {
            return Ok(());
        }
        match answers::outcome(answer) {
            answers::Outcome::Taken(..) => Ok(()),
            answers::Outcome::Refused(answer, refusal) => Err(answers::refusal_status(refusal, &answer)),
            answers::Outcome::Fault(fault) => Err(answers::fault_status(&fault)),
        }
    }

    /// The same whether it does not exist or is not the caller's. That staff look for what is not there
    /// is evidence too.
    async fn unknown(&self, asker: &Asker) -> Status {
        match asker {
            Asker::Party { .. } => unknown(),
            Asker::Staff(caller) => {
                let undecided =
                    answers::Undecided { refusal: Refusal::SubjectUnknown, field: "", digest: None };
                record(self, caller, answers::undecided_status(undecided)).await
            }
        }
    }

    /// Where a record stands that may be seen, and the referral that it is about.
    fn find(
        &self,
        index: u64,
        may_see: impl Fn(&Happening) -> bool,
    ) -> Result<Option<(Locator, Option<ReferralKey>)>, Status> {
        let history = self.hub.history();
        if index >= self.hub.evidence_size() {
            return Ok(None);
        }
        let number =
            history.batch_of_leaf(Log::Evidence, index).map_err(|fault| answers::internal(&fault))?;
        let batch = history.batch(number).map_err(|fault| answers::internal(&fault))?;
        Ok((0..).zip(&batch.entries).find_map(|(entry, of)| {
            let mut records = of.facts.iter().filter_map(Fact::record);
            let record = records.find(|record| record.place.index == index && may_see(&record.what))?;
            Some((Locator { batch: number, entry }, record.what.referral.clone()))
        }))
    }

    /// The receipt of a record.
    pub(super) async fn receipt(&self, index: u64) -> Result<Option<Receipt>, Status> {
        let Some((at, _)) = self.find(index, |_| true)? else {
            return Ok(None);
        };
        let mut receipts = self.receipts(at).await?.into_iter();
        Ok(receipts.find(|receipt| receipt.record().place.index == index))
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
        asker: &Asker,
    ) -> Result<Vec<wire::EvidenceBundle>, Status> {
        let batch = self.hub.history().batch(at.batch).map_err(|fault| answers::internal(&fault))?;
        let Some(entry) = batch.entries.get(usize::try_from(at.entry).unwrap_or(usize::MAX)) else {
            return Ok(Vec::new());
        };
        let receipts = self.receipts(at).await?;
        let theirs = receipts.iter().filter(|receipt| {
            let what = &receipt.record().what;
            what.referral.as_ref() == Some(referral) && asker.sees(what)
        });
        Ok(theirs.map(|receipt| bundle(receipt, entry, asker)).collect())
    }
}

/// The records of some entries, so many at the most. Entries of one batch stand side by side.
fn read(
    history: &History,
    places: &[Locator],
    sees: impl Fn(&Record) -> bool,
    most: usize,
) -> Result<Vec<Record>, Fault> {
    let mut records = Vec::new();
    for of_batch in places.chunk_by(|one, next| one.batch == next.batch) {
        if records.len() >= most {
            break;
        }
        let Some(number) = of_batch.first().map(|at| at.batch) else { continue };
        let batch = history.batch(number)?;
        let entries = of_batch.iter().filter_map(|at| batch.entries.get(usize::try_from(at.entry).ok()?));
        let found = entries.flat_map(|entry| entry.facts.iter().filter_map(Fact::record));
        records.extend(found.filter(|record| sees(record)).cloned());
    }
    records.truncate(most);
    Ok(records)
}

/// A receipt and the object that it names. A handover receipt may cover mail of other senders, so of
/// agencies only who signed it sees it.
fn bundle(receipt: &Receipt, entry: &Entry, asker: &Asker) -> wire::EvidenceBundle {
    let what = &receipt.record().what;
    let named =
        |signed: &&Signed| what.envelope == Some(signed.digest()) || what.object == Some(signed.digest());
    let is_theirs = match &entry.command {
        Command::Push(_) => true,
        Command::Handover(handover) => match asker {
            Asker::Party { agency, .. } => handover.recipient == *agency,
            Asker::Staff(_) => true,
        },
        Command::Directory(_)
        | Command::Denial(_)
        | Command::Tick(_)
        | Command::Query(_)
        | Command::Queries(_)
        | Command::Erase(_)
        | Command::Operate(_) => false,
    };
    let signed = entry.command.signed().filter(named).filter(|_| is_theirs);
    wire::EvidenceBundle {
        receipt: Some(receipt.to_wire()),
        objects: signed.map(|signed| signed.object().encode_to_vec()).into_iter().collect(),
    }
}
