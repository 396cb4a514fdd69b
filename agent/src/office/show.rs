//! What is shown of a case: its envelopes and what is in the parts that this side holds. Plaintext
//! leaves only through here. Not here: words for people (`words`), and the local API (`local`).

use std::{io, iter};

use prost::Message as _;
use proto::{
    digest::Digest,
    header::Header,
    ids::{PartClass, ReferralKey},
    lifecycle::Act,
    receipt::Receipt,
    wire,
};
use seal::NotOpened;
use thiserror::Error;

use super::Office;
use crate::{
    case::{Case, Standing, Step},
    opening::{Apart, Came, Kept, OpenPart, Turn},
    records::{self, record},
    store::{Place, StoreFault},
};

/// A part of an envelope as this side can show it.
#[derive(Clone)]
pub struct ShownPart {
    /// The envelope.
    pub envelope: Digest,
    /// Its number in it.
    pub part_id: u32,
    /// What it holds.
    pub class: PartClass,
    /// What is in it, or why it cannot be opened.
    pub content: Result<OpenPart, NotOpened>,
}

/// Why a part cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotRead {
    /// No such part came, or it is not here any more.
    #[error("no such part came, or it is not here any more")]
    Unknown,
    /// It does not open.
    #[error("it cannot be opened: {0}")]
    NotOpened(#[from] NotOpened),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreFault),
}

/// What was here and is gone from the spool: its parts are still named.
fn lost(step: &Step, header: &Header, gone: &[Apart]) -> Vec<ShownPart> {
    let class = |apart: &Apart| header.parts.iter().find(|part| part.part_id == apart.part_id);
    let shown = gone.iter().filter_map(|apart| {
        Some(ShownPart {
            envelope: step.digest,
            part_id: apart.part_id,
            class: class(apart)?.class,
            content: Err(NotOpened::Read(io::ErrorKind::NotFound)),
        })
    });
    shown.collect()
}

impl Office {
    /// Everything that this side can show of a case, in the order of its envelopes.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn parts(&self, case: &Case) -> Result<Vec<ShownPart>, StoreFault> {
        let mut shown = Vec::new();
        for step in &case.steps {
            match &step.standing {
                Standing::Arrived(_) if self.is_purged(case, step) => {}
                Standing::Arrived(deliveries) => {
                    let turns = iter::once(Turn::First).chain(iter::repeat(Turn::Later));
                    for (delivery, turn) in deliveries.iter().zip(turns) {
                        shown.extend(self.received(step, delivery.place, turn)?);
                    }
                }
                Standing::Queued
                | Standing::Taken { .. }
                | Standing::Refused { .. }
                | Standing::Withdrawn => {
                    shown.extend(self.kept(step)?);
                }
            }
        }
        Ok(shown)
    }

    /// Whether this side has stated that what came in a step's attempt is destroyed: then nobody here reads
    /// it any more.
    fn is_purged(&self, case: &Case, step: &Step) -> bool {
        case.done(Act::ConfirmPurge, &self.me, step.attempt).is_some()
    }

    /// What this side sealed itself.
    fn kept(&self, step: &Step) -> Result<Vec<ShownPart>, StoreFault> {
        let Some(body) = self.store.body(step.place)? else {
            return Ok(Vec::new());
        };
        let Ok(body) = records::QueuedBody::decode(body.as_slice()) else {
            return Err(StoreFault::LaterVersion);
        };
        let shown = body.plain.into_iter().filter_map(|plain| {
            let class = PartClass::parse(plain.class, "class").ok()?;
            let (kept, bytes) = if plain.uploaded_sha256.is_empty() {
                (Kept::Here, u64::try_from(plain.content.len()).unwrap_or(u64::MAX))
            } else {
                (Kept::Not, plain.uploaded_bytes)
            };
            let part = OpenPart {
                part_id: plain.part_id,
                class,
                media_type: plain.media_type,
                file_name: plain.file_name,
                bytes,
                kept,
                content: plain.content,
            };
            Some(ShownPart { envelope: step.digest, part_id: part.part_id, class, content: Ok(part) })
        });
        Ok(shown.collect())
    }

    /// What came, opened now: no plaintext of it is kept.
    fn received(&self, step: &Step, place: Place, turn: Turn) -> Result<Vec<ShownPart>, StoreFault> {
        let Some((header, envelope)) = self.delivered(place)? else {
            return Ok(Vec::new());
        };
        let Ok((came, gone)) = Came::present(&header, &self.me, &envelope.parts, turn, &self.spool) else {
            return Err(StoreFault::LaterVersion);
        };
        let lost = lost(step, &header, &gone);
        let names = came.names();
        let opened = came.open(&header, &self.me, &self.keys().sealing);
        let shown = opened.into_iter().zip(names).map(|((part_id, content), (_, class))| ShownPart {
            envelope: step.digest,
            part_id,
            class,
            content,
        });
        Ok(shown.chain(lost).collect())
    }

    /// What came in a delivery, as it came.
    fn delivered(&self, place: Place) -> Result<Option<(Header, wire::Envelope)>, StoreFault> {
        let Some(body) = self.store.body(place)? else {
            return Ok(None);
        };
        let Ok(envelope) = wire::Envelope::decode(body.as_slice()) else {
            return Err(StoreFault::LaterVersion);
        };
        let payload = envelope.signed.as_ref().map(|signed| signed.payload.as_slice()).unwrap_or_default();
        match Header::parse(payload) {
            Ok(header) => Ok(Some((header, envelope))),
            Err(_) => Err(StoreFault::LaterVersion),
        }
    }

    /// Writes the content of a part that came into `out`, with constant memory.
    ///
    /// # Errors
    /// [`NotRead`]; then what was written must be discarded.
    pub fn read_part(
        &self,
        referral: &ReferralKey,
        (envelope, part_id): (&str, u32),
        out: &mut impl io::Write,
    ) -> Result<(), NotRead> {
        let case = self.case(referral).ok_or(NotRead::Unknown)?;
        let step = case.steps.iter().find(|step| step.digest.to_string() == envelope);
        let step = step.filter(|step| !self.is_purged(&case, step));
        let deliveries = match step.map(|step| &step.standing) {
            Some(Standing::Arrived(deliveries)) => deliveries.as_slice(),
            Some(
                Standing::Queued | Standing::Taken { .. } | Standing::Refused { .. } | Standing::Withdrawn,
            )
            | None => &[],
        };
        let turns = iter::once(Turn::First).chain(iter::repeat(Turn::Later));
        for (delivery, turn) in deliveries.iter().zip(turns) {
            let Some((header, parts)) = self.delivered(delivery.place)? else {
                continue;
            };
            let Ok((came, _)) = Came::present(&header, &self.me, &parts.parts, turn, &self.spool) else {
                continue;
            };
            if came.open_one(part_id, &header, (&self.me, &self.keys().sealing), out)?.is_some() {
                return Ok(());
            }
        }
        Err(NotRead::Unknown)
    }

    /// The bytes of an envelope that waits, as they are pushed again and again.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn envelope(&self, digest: &Digest) -> Result<Option<wire::Envelope>, StoreFault> {
        let place = self.store.read(|state| Some(state.case_of(digest)?.step(digest)?.place));
        let Some(body) = place.map(|place| self.store.body(place)).transpose()?.flatten() else {
            return Ok(None);
        };
        let body = records::QueuedBody::decode(body.as_slice()).map_err(|_| StoreFault::LaterVersion)?;
        let envelope =
            wire::Envelope::decode(body.envelope.as_slice()).map_err(|_| StoreFault::LaterVersion)?;
        Ok(Some(envelope))
    }

    /// The gateway's refusal of an envelope, when it refused it.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn refusal(&self, step: &Step) -> Result<Option<wire::RefusalAnswer>, StoreFault> {
        use records::answered::Answer;
        let Standing::Refused { answer, .. } = step.standing else {
            return Ok(None);
        };
        Ok(match self.store.record(answer)?.record {
            Some(record::Record::Answered(records::Answered {
                answer: Some(Answer::Refusal(refusal)),
                ..
            })) => Some(refusal),
            _ => None,
        })
    }

    /// Every receipt that this side holds of a referral, by its place in the evidence log.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub fn receipts(&self, referral: &ReferralKey) -> Result<Vec<Receipt>, StoreFault> {
        let Some(case) = self.case(referral) else {
            return Ok(Vec::new());
        };
        let places = case.steps.iter().flat_map(|step| match &step.standing {
            Standing::Taken { receipt, .. } => vec![*receipt],
            Standing::Refused { answer, .. } => vec![*answer],
            Standing::Arrived(deliveries) => deliveries
                .iter()
                .flat_map(|delivery| {
                    let consigned = delivery.receipt.unwrap_or(delivery.place);
                    [Some(consigned), delivery.handed_over.map(|handed| handed.answer)]
                })
                .flatten()
                .collect(),
            Standing::Queued | Standing::Withdrawn => Vec::new(),
        });
        // What the gateway has lost since comes first: it was signed in a shard before.
        let mut receipts = self.receipts_at(&case.lost)?;
        let places: Vec<_> = places.filter(|place| !case.lost.contains(place)).collect();
        receipts.extend(self.receipts_at(&places)?);
        Ok(receipts)
    }

    fn receipts_at(&self, places: &[Place]) -> Result<Vec<Receipt>, StoreFault> {
        let mut receipts = Vec::new();
        for place in places {
            let record = self.store.record(*place)?;
            receipts.extend(receipt_of(record).and_then(|receipt| Receipt::parse(receipt).ok()));
        }
        receipts.sort_by_key(|receipt| receipt.record().place.index);
        receipts.dedup_by(|one, other| one.record() == other.record());
        Ok(receipts)
    }
}

fn receipt_of(record: records::Record) -> Option<wire::Receipt> {
    match record.record? {
        record::Record::Answered(answered) => match answered.answer? {
            records::answered::Answer::Receipt(receipt) => Some(receipt),
            records::answered::Answer::Refusal(refusal) => refusal.receipt,
            records::answered::Answer::WithdrawnBehind(_) => None,
        },
        record::Record::Arrived(arrived) => arrived.receipt,
        record::Record::HandedOver(handed_over) => match handed_over.answer? {
            records::handed_over::Answer::Receipt(receipt) => Some(receipt),
            records::handed_over::Answer::Refusal(refusal) => refusal.receipt,
        },
        record::Record::Queued(_)
        | record::Record::Leaf(_)
        | record::Record::DirectoryAnew(_)
        | record::Record::Text(_)
        | record::Record::Seen(_)
        | record::Record::Alarm(_)
        | record::Record::Followed(_)
        | record::Record::NotResealed(_)
        | record::Record::Erased(_)
        | record::Record::Settled(_) => None,
    }
}
