//! What a batch of the journal is about, read without the rest of it: for whoever goes through years
//! of them and asks only who and what. Not here: whole batches (`batch`).

use bytes::Bytes;
use prost::Message;

use crate::{
    Malformed,
    digest::Digest,
    evidence::Event,
    ids::{AgencyId, EnvelopeId, EnvelopeKey, ReferralKey},
};

/// What a batch is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outline {
    /// The root of the evidence log before it, when there is one.
    pub root: Option<Digest>,
    /// Its evidence records, in order.
    pub mentions: Vec<Mention>,
}

/// What an evidence record is about.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mention {
    /// The place of its entry in the batch.
    pub entry: u32,
    /// Its number in the evidence log.
    pub index: u64,
    /// The envelope that it accepts, and its digest.
    pub accepted: Option<(EnvelopeKey, Digest)>,
    /// Its referral.
    pub referral: Option<ReferralKey>,
    /// Its parties, and the count of each.
    pub parties: Vec<(AgencyId, u64)>,
}

impl Outline {
    /// Reads it from the bytes on disk. What it does not name is not looked at.
    ///
    /// # Errors
    /// [`Malformed`], naming the field.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let batch: BatchOutline = decode(Bytes::copy_from_slice(bytes), "Batch")?;
        let root = batch.evidence.map(|evidence| Digest::parse(&evidence.root, "checkpoint.root"));
        let mut mentions = Vec::new();
        for (entry, of) in (0..).zip(batch.entries) {
            for event in of.events.into_iter().filter(|event| !event.record.is_empty()) {
                mentions.push(Mention::parse(entry, event.record)?);
            }
        }
        Ok(Self { root: root.transpose()?, mentions })
    }
}

impl Mention {
    fn parse(entry: u32, record: Bytes) -> Result<Self, Malformed> {
        let record: RecordOutline = decode(record, "EvidenceRecord")?;
        let is_acceptance = record.event == Event::SubmissionAcceptance.number();
        let whole =
            !(record.sender.is_empty() || record.envelope_id.is_empty() || record.envelope.is_empty());
        let accepted = (is_acceptance && whole).then(|| {
            let id = EnvelopeId::parse(&record.envelope_id, "envelope_id")?;
            let from = agency(&record.sender, "sender")?;
            Ok((EnvelopeKey { id, from }, Digest::parse(&record.envelope, "envelope")?))
        });
        let referral = record.referral.map(|referral| {
            let id = EnvelopeId::parse(&referral.referral_id, "referral.referral_id")?;
            Ok(ReferralKey { id, opened_by: agency(&referral.opened_by, "referral.opened_by")? })
        });
        let parties =
            record.parties.iter().map(|link| Ok((agency(&link.party, "parties.party")?, link.count)));
        Ok(Self {
            entry,
            index: record.index,
            accepted: accepted.transpose()?,
            referral: referral.transpose()?,
            parties: parties.collect::<Result<_, Malformed>>()?,
        })
    }
}

fn decode<M: Message + Default>(bytes: Bytes, message: &'static str) -> Result<M, Malformed> {
    M::decode(bytes).map_err(|_| Malformed::Protobuf { message })
}

fn agency(text: &[u8], field: &'static str) -> Result<AgencyId, Malformed> {
    let text = std::str::from_utf8(text).map_err(|_| Malformed::Form { field })?;
    AgencyId::parse(text, field)
}

// The messages of `journal.proto` and `evidence.proto` with these fields only. Texts are bytes here,
// which the encoding does not tell apart, so that they share the memory that they came in.

#[derive(Clone, PartialEq, Message)]
struct BatchOutline {
    #[prost(message, optional, tag = "2")]
    evidence: Option<CheckpointOutline>,
    #[prost(message, repeated, tag = "4")]
    entries: Vec<EntryOutline>,
}

#[derive(Clone, PartialEq, Message)]
struct CheckpointOutline {
    #[prost(bytes = "bytes", tag = "2")]
    root: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct EntryOutline {
    #[prost(message, repeated, tag = "5")]
    events: Vec<EventOutline>,
}

#[derive(Clone, PartialEq, Message)]
struct EventOutline {
    #[prost(bytes = "bytes", tag = "1")]
    record: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct RecordOutline {
    #[prost(uint64, tag = "1")]
    index: u64,
    #[prost(int32, tag = "2")]
    event: i32,
    #[prost(bytes = "bytes", tag = "4")]
    sender: Bytes,
    #[prost(message, optional, tag = "6")]
    referral: Option<ReferralOutline>,
    #[prost(bytes = "bytes", tag = "8")]
    envelope_id: Bytes,
    #[prost(bytes = "bytes", tag = "9")]
    envelope: Bytes,
    #[prost(message, repeated, tag = "25")]
    parties: Vec<LinkOutline>,
}

#[derive(Clone, PartialEq, Message)]
struct ReferralOutline {
    #[prost(bytes = "bytes", tag = "1")]
    opened_by: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    referral_id: Bytes,
}

#[derive(Clone, PartialEq, Message)]
struct LinkOutline {
    #[prost(bytes = "bytes", tag = "1")]
    party: Bytes,
    #[prost(uint64, tag = "2")]
    count: u64,
}
