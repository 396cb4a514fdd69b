//! What comes in: deliveries are checked, opened to see whether they can be, and written down; only
//! then does the agency's receipt exist. Not here: the stream (`link::inbox`).

use prost::Message as _;
use proto::{
    command::HandoverResult,
    digest::Digest,
    directory::PublicKeyOf,
    dsse::{self, PayloadType, Signed, Unverified},
    header::Header,
    lifecycle::Act,
    refusal::Refusal,
    wire,
};
use thiserror::Error;

use super::{Office, entry, refusal_of};
use crate::{
    case::{Delivery, Standing, Step},
    opening::{Came, NotDelivered, Turn},
    proof::{self, About, BadReceipt},
    records::{self, record},
    state::State,
    store::{Claim, Entry, StoreFault},
};

/// Most deliveries that one receipt covers.
pub const HANDOVERS_TOGETHER_MAX: usize = 64;
/// Longest hand-over id that is kept, in bytes.
pub const HANDOVER_ID_BYTES_MAX: usize = 64;

/// Why a delivery was not taken: it is not acknowledged, and comes again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotTaken {
    /// Its sender knew more of the directory than is here.
    #[error("the directory here is behind the sender's")]
    DirectoryBehind,
    /// Not of its form.
    #[error(transparent)]
    Malformed(#[from] proto::Malformed),
    /// It is for another agency, or signed by none that could.
    #[error("it is for another agency, or not signed by its sender")]
    NotForUs,
    /// Its parts are not those that the header lists.
    #[error(transparent)]
    NotDelivered(#[from] NotDelivered),
    /// Its receipt proves nothing.
    #[error("its receipt: {0}")]
    BadReceipt(#[from] BadReceipt),
    /// A part could not even be tried.
    #[error("a part could not be tried; it comes again")]
    NotTried,
}

impl NotTaken {
    /// Whether people must look, and at what.
    const fn alarm(&self) -> Option<records::AlarmKind> {
        match self {
            Self::BadReceipt(_) => Some(records::AlarmKind::BadReceipt),
            Self::NotForUs | Self::NotDelivered(NotDelivered::OtherPart) | Self::Malformed(_) => {
                Some(records::AlarmKind::BadDelivery)
            }
            Self::DirectoryBehind | Self::NotDelivered(_) | Self::NotTried => None,
        }
    }
}

/// A delivery that is checked: what to write down, and what to sign once that is durable.
#[derive(Clone)]
pub struct Taken {
    /// None when it is here already: a repeat.
    entry: Option<Entry>,
    handover: wire::Handover,
}

impl Office {
    /// Checks a delivery.
    ///
    /// # Errors
    /// [`NotTaken`].
    pub fn take(&self, delivered: &wire::Delivered) -> Result<Taken, NotTaken> {
        if delivered.handover_id.is_empty() || delivered.handover_id.len() > HANDOVER_ID_BYTES_MAX {
            return Err(proto::Malformed::Length { field: "handover_id" }.into());
        }
        let envelope = delivered.envelope.as_ref().ok_or(proto::Malformed::Missing { field: "envelope" })?;
        let (signed, header) = self.verify(envelope, delivered.attempt)?;
        let digest = signed.digest();
        let turn = self.store.read(|state| turn(state, &digest, &delivered.handover_id));
        let came = Came::check(&header, &self.me, &envelope.parts, turn, &self.spool)?;
        if let Some(receipt) = &delivered.receipt {
            proof::verify(receipt.clone(), &self.policy, About::Came(&signed.digest()))?;
        }
        let (part_digests, names) = (came.digests(), came.names());
        let part_digests: Vec<_> = part_digests.iter().map(|digest| digest.to_vec()).collect();
        let tried = came.try_open(&header, &self.me, &self.keys().sealing);
        let result = tried.map_err(|_| NotTaken::NotTried)?;
        let handover = wire::Handover {
            envelope: signed.digest().to_vec(),
            result: result.number(),
            part_digests: part_digests.clone(),
        };
        let here = self.store.read(|state| state.delivered(&delivered.handover_id).copied());
        if here.is_some_and(|digest| digest != signed.digest()) {
            return Err(NotTaken::NotForUs);
        }
        let repeats = if here.is_some() {
            self.came_again(&digest, delivered);
            None
        } else {
            self.lost_before(&digest, &part_digests)?
        };
        let arrived = || {
            let name = |(part_id, class): (u32, proto::ids::PartClass)| records::PartName {
                part_id,
                class: class.number(),
            };
            records::Arrived {
                header: signed.payload().to_vec(),
                digest: signed.digest().to_vec(),
                handover_id: delivered.handover_id.clone(),
                receipt: delivered.receipt.clone(),
                result: result.number(),
                part_digests,
                parts: names.into_iter().map(name).collect(),
                order: order(delivered),
                attempt: delivered.attempt,
                repeats: repeats.clone().unwrap_or_default(),
            }
        };
        // What came before is not handed to the agency's system a second time.
        let body = repeats.is_none().then(|| envelope.encode_to_vec());
        let entry = here.is_none().then(|| entry(record::Record::Arrived(arrived()), body));
        Ok(Taken { entry, handover })
    }

    /// A delivery that is here may come until the gateway has answered for it, marked as a repeat.
    fn came_again(&self, digest: &Digest, delivered: &wire::Delivered) {
        let is_acknowledged = self.store.read(|state| {
            let step = state.case_of(digest).and_then(|case| case.step(digest));
            let Some(Standing::Arrived(deliveries)) = step.map(|step| &step.standing) else {
                return false;
            };
            let of = |one: &&Delivery| one.handover_id == delivered.handover_id;
            deliveries.iter().find(of).is_some_and(|one| one.handed_over.is_some())
        });
        match (is_acknowledged, delivered.repeat) {
            (true, _) => tracing::error!(%digest, "a delivery came after it was acknowledged"),
            (false, false) => {
                tracing::error!(%digest, "a delivery came again and was not marked as a repeat")
            }
            (false, true) => tracing::info!(%digest, "a delivery came again, as was marked"),
        }
    }

    /// The hand-over id under which the same parts of an envelope came before the gateway lost that it had
    /// handed them over.
    fn lost_before(&self, envelope: &Digest, parts: &[Vec<u8>]) -> Result<Option<Vec<u8>>, NotTaken> {
        let lost: Vec<_> = self.store.read(|state| {
            let step = state.case_of(envelope).and_then(|case| case.step(envelope));
            let deliveries = step.map_or(&[][..], deliveries_of);
            let lost = deliveries.iter().filter(|delivery| delivery.lost);
            lost.map(|delivery| (delivery.handover_id.clone(), delivery.place)).collect()
        });
        for (handover_id, place) in lost {
            // It comes again when it cannot be read now.
            let record = self.store.record(place).map_err(|_| NotTaken::NotTried)?;
            if let Some(record::Record::Arrived(arrived)) = record.record
                && arrived.part_digests == parts
            {
                return Ok(Some(handover_id));
            }
        }
        Ok(None)
    }

    /// The signature is the sender's own, by the directory; and it is for this agency in this attempt.
    fn verify(&self, envelope: &wire::Envelope, attempt: u32) -> Result<(Signed, Header), NotTaken> {
        let object = envelope.signed.clone().ok_or(proto::Malformed::Missing { field: "signed" })?;
        let unverified = Unverified::parse(object)?;
        if unverified.payload_type() != PayloadType::Envelope || unverified.signers().len() != 1 {
            return Err(NotTaken::NotForUs);
        }
        // Whose key it must be stands in what is signed.
        let header = Header::parse(unverified.payload())?;
        self.store.read(|state| {
            if header.directory_size > state.replica().log().size() {
                return Err(NotTaken::DirectoryBehind);
            }
            let sender = state.replica().directory().agency(&header.from).ok_or(NotTaken::NotForUs)?;
            let signed = unverified.verify(|id| {
                let key = sender.keys.iter().find(|key| key.id == *id)?;
                match &key.key {
                    PublicKeyOf::Signing(public) => Some(*public),
                    PublicKeyOf::Sealing(_) | PublicKeyOf::Witness(_) => None,
                }
            });
            let ours = self.is_for_us(&header, attempt);
            match signed {
                Ok(signed) if ours => Ok((signed, header)),
                Ok(_) | Err(_) => Err(NotTaken::NotForUs),
            }
        })
    }

    /// In the header's own attempt it is for whom it names; in a later one for the fallbacks that it names.
    fn is_for_us(&self, header: &Header, attempt: u32) -> bool {
        let on_turn = attempt > header.attempt && header.act == Act::Submit;
        let is_named = if on_turn { header.fallbacks.contains(&self.me) } else { header.to == self.me };
        is_named && header.from != self.me
    }

    /// Writes down what came together, then signs one receipt for all of it. Nothing is signed that
    /// is not durable.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub async fn receive(&self, taken: Vec<Taken>) -> Result<Option<wire::SignedObject>, StoreFault> {
        let mut handovers: Vec<wire::Handover> = Vec::with_capacity(taken.len());
        let mut entries = Vec::with_capacity(taken.len());
        for taken in taken {
            entries.extend(taken.entry);
            // A receipt names an envelope once; what else waits of it comes again.
            if !handovers.iter().any(|handover| handover.envelope == taken.handover.envelope) {
                handovers.push(taken.handover);
            }
        }
        if !entries.is_empty() {
            self.write(entries, Claim::Reserved).await?;
        }
        Ok(if handovers.is_empty() { None } else { Some(self.sign_receipt(handovers)) })
    }

    fn sign_receipt(&self, handovers: Vec<wire::Handover>) -> wire::SignedObject {
        let receipt = wire::HandoverReceipt { version: 1, recipient: self.me.to_string(), handovers };
        dsse::sign(PayloadType::Receipt, receipt.encode_to_vec(), &[&self.keys().signing])
    }

    /// Receipts for what is here and of which the gateway's answer never came: it may have taken them,
    /// and would then never hand the same over again.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn unanswered(&self) -> Result<Vec<wire::SignedObject>, StoreFault> {
        let open: Vec<_> = self.store.read(|state| {
            let steps = state.cases().flat_map(|case| &case.steps);
            let deliveries = steps.filter_map(|step| match &step.standing {
                Standing::Arrived(deliveries) => {
                    deliveries.iter().find(|delivery| delivery.handed_over.is_none() && !delivery.lost)
                }
                Standing::Queued
                | Standing::Taken { .. }
                | Standing::Refused { .. }
                | Standing::Withdrawn => None,
            });
            deliveries.map(|delivery| delivery.place).collect()
        });
        let mut handovers = Vec::with_capacity(open.len());
        for place in open {
            if let Some(record::Record::Arrived(arrived)) = self.store.record(place)?.record {
                handovers.push(wire::Handover {
                    envelope: arrived.digest,
                    result: arrived.result,
                    part_digests: arrived.part_digests,
                });
            }
        }
        let receipts = handovers.chunks(HANDOVERS_TOGETHER_MAX);
        Ok(receipts.map(|handovers| self.sign_receipt(handovers.to_vec())).collect())
    }

    /// Says why a delivery was not taken; loudly, where people must look.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub async fn not_taken(&self, delivered: &wire::Delivered, why: &NotTaken) -> Result<(), StoreFault> {
        let payload = delivered.envelope.as_ref().and_then(|envelope| envelope.signed.as_ref());
        let digest = payload.map(|signed| {
            Digest::of(&dsse::pre_authentication_encoding(&signed.payload_type, &signed.payload))
        });
        match why.alarm() {
            Some(kind) => self.alarm(kind, digest, why.to_string()).await,
            None => {
                tracing::warn!(envelope = ?digest, %why, "a delivery was not taken; it comes again");
                Ok(())
            }
        }
    }

    /// Takes the gateway's answers to a receipt. Gives how many deliveries are settled by them.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub async fn acknowledged(&self, answers: Vec<wire::HandoverAnswer>) -> Result<u32, StoreFault> {
        let mut entries = Vec::with_capacity(answers.len());
        let mut settled = 0_u32;
        for answer in answers {
            let Ok(digest) = Digest::parse(&answer.envelope, "envelope") else {
                continue;
            };
            let Some(said) = self.said(&digest, answer.answer).await? else {
                continue;
            };
            settled = settled.saturating_add(1);
            if let Some(handover_id) = self.open_delivery(&digest) {
                let handed_over = records::HandedOver { handover_id, answer: Some(said) };
                entries.push(entry(record::Record::HandedOver(handed_over), None));
            }
        }
        if !entries.is_empty() {
            self.write(entries, Claim::Reserved).await?;
        }
        Ok(settled)
    }

    /// What an answer says, when it may be believed.
    async fn said(
        &self,
        digest: &Digest,
        answer: Option<wire::handover_answer::Answer>,
    ) -> Result<Option<records::handed_over::Answer>, StoreFault> {
        use wire::handover_answer::Answer;
        match answer {
            Some(Answer::Receipt(receipt)) => {
                match proof::verify(receipt.clone(), &self.policy, About::HandedOver(digest)) {
                    Ok(_) => Ok(Some(records::handed_over::Answer::Receipt(receipt))),
                    Err(BadReceipt::OtherEvent) => Ok(None),
                    Err(bad) => {
                        self.alarm(records::AlarmKind::BadReceipt, Some(*digest), bad.to_string()).await?;
                        Ok(None)
                    }
                }
            }
            Some(Answer::Refusal(refusal)) => {
                if refusal_of(&refusal) != Some(Refusal::NotWaiting) {
                    tracing::error!(envelope = %digest, code = refusal.code, "a receipt of ours was refused");
                }
                Ok(Some(records::handed_over::Answer::Refusal(refusal)))
            }
            None => Ok(None),
        }
    }

    /// The delivery of an envelope for which the gateway has not answered yet.
    fn open_delivery(&self, digest: &Digest) -> Option<Vec<u8>> {
        self.store.read(|state| {
            let deliveries = deliveries_of(state.case_of(digest)?.step(digest)?);
            let open = deliveries.iter().find(|delivery| delivery.handed_over.is_none());
            let open = open.or_else(|| deliveries.iter().find(|delivery| delivery.lost))?;
            Some(open.handover_id.clone())
        })
    }
}

fn deliveries_of(step: &Step) -> &[Delivery] {
    match &step.standing {
        Standing::Arrived(deliveries) => deliveries,
        Standing::Queued | Standing::Taken { .. } | Standing::Refused { .. } | Standing::Withdrawn => &[],
    }
}

/// Whether other parts of the envelope came before.
fn turn(state: &State, envelope: &Digest, handover_id: &[u8]) -> Turn {
    let step = state.case_of(envelope).and_then(|case| case.step(envelope));
    let first = step.and_then(|step| deliveries_of(step).first()).filter(|first| !first.lost);
    if first.is_some_and(|first| first.handover_id != handover_id) { Turn::Later } else { Turn::First }
}

/// Where the delivery's record stands: its receipt proves it; without one the gateway's hand-over id,
/// which is the same number, tells it well enough to order what is shown.
fn order(delivered: &wire::Delivered) -> u64 {
    delivered.handover_id.first_chunk().map_or(u64::MAX >> 1, |order| u64::from_be_bytes(*order))
}

impl std::fmt::Debug for Taken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let result = HandoverResult::parse(self.handover.result, "result");
        write!(f, "Taken({result:?}, new: {})", self.entry.is_some())
    }
}
