//! A journal batch: commands, what they did, and the last checkpoints, as bytes on disk. Not here:
//! the frame around them (crate `journal`), and the ciphertexts, which are its blobs.

use prost::Message as _;

use crate::{
    Malformed,
    caller::Caller,
    canonical,
    command::{
        Command, DENIAL_COUNTS_MAX, Denial, DenialCount, Erasure, QUERY_COUNTS_MAX, Query, QueryCount, Sight,
        Tick,
    },
    digest::Digest,
    fact::Fact,
    fields,
    header::PARTS_MAX,
    ids::{AgencyId, Locator, ReferralKey, TimeMs},
    key::SIGNATURE_BYTES,
    log::checkpoint::{Checkpoint, Origin},
    operation::Operate,
    referral::Referral,
    refusal::Refusal,
    snapshot,
    state::{BatchGrowth, Cause, State},
    wire,
};

/// Most entries of a batch.
pub const ENTRIES_MAX: usize = 4096;

/// What one write and one sync commit.
#[derive(Clone, PartialEq)]
pub struct Batch {
    /// When; never before the batch before.
    pub now: TimeMs,
    /// The last evidence checkpoint that was signed before it.
    pub evidence: Option<LoggedCheckpoint>,
    /// The last directory checkpoint that was signed before it.
    pub directory: Option<LoggedCheckpoint>,
    /// Commands and what they did, in order.
    pub entries: Vec<Entry>,
}

/// A checkpoint as the journal keeps it: with its signature, so that receipts can be derived again
/// without the key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LoggedCheckpoint {
    /// Leaves.
    pub size: u64,
    /// Root.
    pub root: Digest,
    /// The log key's signature over the note's text.
    pub sig: [u8; SIGNATURE_BYTES],
}

impl LoggedCheckpoint {
    /// The checkpoint of a log.
    #[must_use]
    pub fn of(&self, origin: &Origin) -> Checkpoint {
        Checkpoint { origin: origin.clone(), size: self.size, root: self.root }
    }

    /// The form on disk.
    #[must_use]
    pub fn to_wire(&self) -> wire::LoggedCheckpoint {
        wire::LoggedCheckpoint { size: self.size, root: self.root.to_vec(), sig: self.sig.to_vec() }
    }

    /// Reads the form on disk.
    ///
    /// # Errors
    /// [`Malformed`], naming the field.
    pub fn parse(wire: &wire::LoggedCheckpoint) -> Result<Self, Malformed> {
        let Ok(sig) = wire.sig.as_slice().try_into() else {
            return Err(Malformed::Length { field: "checkpoint.sig" });
        };
        Ok(Self { size: wire.size, root: Digest::parse(&wire.root, "checkpoint.root")?, sig })
    }
}

/// One command and what it did.
#[derive(Clone, PartialEq)]
pub struct Entry {
    /// Who asked.
    pub caller: Caller,
    /// What.
    pub command: Command,
    /// What it did.
    pub facts: Vec<Fact>,
    /// How many of the batch's blobs are its ciphertexts.
    pub blobs: u32,
    /// The closed referral that it is about, as it was before: there seldom is one.
    pub reopened: Option<Box<(ReferralKey, Referral)>>,
}

impl Batch {
    /// The bytes on disk.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode_into(&mut out);
        out
    }

    /// Puts the bytes on disk in the place of what was there, whose memory is used again.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        out.clear();
        fields::number(1, self.now.0, out);
        for (tag, checkpoint) in [(2, &self.evidence), (3, &self.directory)] {
            if let Some(checkpoint) = checkpoint {
                prost::encoding::message::encode(tag, &checkpoint.to_wire(), out);
            }
        }
        let mut entry = Vec::new();
        for of in &self.entries {
            of.encode_into(&mut entry);
            fields::item(4, &entry, out);
        }
    }

    /// Reads the bytes on disk.
    ///
    /// # Errors
    /// [`Malformed`], naming the field.
    pub fn parse(bytes: &[u8]) -> Result<Self, Malformed> {
        let Ok(wire) = wire::Batch::decode(bytes) else {
            return Err(Malformed::Protobuf { message: "Batch" });
        };
        canonical::limit(wire.entries.len(), canonical::count(ENTRIES_MAX), "entries")?;
        Ok(Self {
            now: TimeMs(wire.now_ms),
            evidence: wire.evidence.as_ref().map(LoggedCheckpoint::parse).transpose()?,
            directory: wire.directory.as_ref().map(LoggedCheckpoint::parse).transpose()?,
            entries: wire.entries.into_iter().map(Entry::parse).collect::<Result<_, _>>()?,
        })
    }

    /// Applies the batch to the state that stood before it: what replay does.
    pub fn replay(&self, state: &mut State, batch: u64) -> BatchGrowth {
        state.begin_batch(self.now);
        for (place, entry) in (0..).zip(&self.entries) {
            if let Some((key, referral)) = entry.reopened.as_deref() {
                state.referral_loaded(key.clone(), Some(referral.clone()));
            }
            let cause = Cause { command: &entry.command, at: Locator { batch, entry: place } };
            for fact in &entry.facts {
                state.apply(fact, cause);
            }
        }
        state.end_batch()
    }
}

impl Entry {
    fn encode_into(&self, out: &mut Vec<u8>) {
        use prost::encoding::message;
        out.clear();
        self.caller.encode(1, out);
        match &self.command {
            Command::Push(push) => message::encode(2, push.signed.object(), out),
            Command::Handover(handover) => message::encode(2, handover.signed.object(), out),
            Command::Directory(command) => message::encode(2, command.signed.object(), out),
            Command::Denial(denial) => message::encode(3, &denial_to_wire(denial), out),
            Command::Tick(tick) => message::encode(4, &tick.to_wire(), out),
            Command::Query(query) => message::encode(8, &query_to_wire(query), out),
            Command::Queries(counts) => {
                let counts = wire::QueryCounts { counts: counts.iter().map(QueryCount::to_wire).collect() };
                message::encode(9, &counts, out);
            }
            Command::Erase(erasure) => message::encode(20, &erasure.to_wire(), out),
            Command::Operate(operate) => message::encode(60, &operate.to_wire(), out),
        }
        for fact in &self.facts {
            fact.encode(5, out);
        }
        fields::number(6, self.blobs.into(), out);
        if let Some((key, referral)) = self.reopened.as_deref() {
            message::encode(7, &snapshot::referral_to_wire(key, referral), out);
        }
    }

    fn parse(wire: wire::Entry) -> Result<Self, Malformed> {
        use wire::entry::Command as Wire;
        let command = match wire.command.ok_or(Malformed::Missing { field: "command" })? {
            Wire::Signed(object) => Command::from_our_own_journal(object)?,
            Wire::Denial(denial) => Command::Denial(denial_of(&denial)?),
            Wire::Tick(tick) => Command::Tick(Tick::parse(&tick)?),
            Wire::Query(query) => Command::Query(query_of(&query)?),
            Wire::Queries(queries) => {
                canonical::limit(queries.counts.len(), canonical::count(QUERY_COUNTS_MAX), "queries.counts")?;
                Command::Queries(queries.counts.iter().map(QueryCount::parse).collect())
            }
            Wire::Erasure(erasure) => Command::Erase(Box::new(Erasure::parse(&erasure)?)),
            Wire::Operate(operate) => Command::Operate(Box::new(Operate::parse(&operate)?)),
        };
        Ok(Self {
            caller: Caller::from_our_own_journal(wire.caller.as_ref())?,
            command,
            facts: wire.events.into_iter().map(Fact::parse).collect::<Result<_, _>>()?,
            blobs: wire.blobs,
            reopened: wire.reopened.as_ref().map(snapshot::referral_from_wire).transpose()?.map(Box::new),
        })
    }
}

fn denial_to_wire(denial: &Denial) -> wire::Denial {
    wire::Denial {
        refusal: denial.refusal.number(),
        field: denial.field.to_owned(),
        digest: denial.digest.map_or_else(Vec::new, Digest::to_vec),
    }
}

fn query_to_wire(query: &Query) -> wire::Query {
    wire::Query {
        referral: query.referral.as_ref().map(ReferralKey::to_wire),
        index: query.index.map_or(0, |index| index.saturating_add(1)),
        deliveries: query.of == Sight::Deliveries,
    }
}

fn query_of(wire: &wire::Query) -> Result<Query, Malformed> {
    let referral = wire.referral.as_ref();
    Ok(Query {
        of: if wire.deliveries { Sight::Deliveries } else { Sight::Evidence },
        referral: referral.map(|referral| ReferralKey::parse(Some(referral))).transpose()?,
        index: wire.index.checked_sub(1),
    })
}

impl Erasure {
    fn to_wire(&self) -> wire::Erasure {
        wire::Erasure {
            referral: Some(self.referral.to_wire()),
            envelope: self.envelope.to_vec(),
            from: self.from.to_string(),
            to: self.to.to_string(),
            attempt: self.attempt,
            agreement: self.agreement.to_vec(),
            expires_at_ms: self.expires_at.0,
            part_digests: self.part_digests.iter().map(|digest| digest.to_vec()).collect(),
        }
    }

    fn parse(wire: &wire::Erasure) -> Result<Self, Malformed> {
        canonical::limit(wire.part_digests.len(), canonical::count(PARTS_MAX), "erasure.part_digests")?;
        let digests = wire.part_digests.iter().map(|bytes| Digest::parse(bytes, "erasure.part_digests"));
        Ok(Self {
            referral: ReferralKey::parse(wire.referral.as_ref())?,
            envelope: Digest::parse(&wire.envelope, "erasure.envelope")?,
            from: AgencyId::parse(&wire.from, "erasure.from")?,
            to: AgencyId::parse(&wire.to, "erasure.to")?,
            attempt: wire.attempt,
            agreement: Digest::parse(&wire.agreement, "erasure.agreement")?,
            expires_at: TimeMs(wire.expires_at_ms),
            part_digests: digests.collect::<Result<_, _>>()?,
        })
    }
}

impl QueryCount {
    fn to_wire(&self) -> wire::QueryCount {
        wire::QueryCount {
            caller: self.caller.clone(),
            count: self.count,
            window_start_ms: self.window_start.0,
        }
    }

    fn parse(wire: &wire::QueryCount) -> Self {
        Self { caller: wire.caller.clone(), count: wire.count, window_start: TimeMs(wire.window_start_ms) }
    }
}

fn denial_of(wire: &wire::Denial) -> Result<Denial, Malformed> {
    let refusal = refusal_of(wire.refusal)?;
    let digest = &wire.digest;
    Ok(Denial {
        refusal,
        // The name of the field is in the record; nothing follows from it.
        field: refusal.field(),
        digest: if digest.is_empty() { None } else { Some(Digest::parse(digest, "denial.digest")?) },
    })
}

fn refusal_of(number: u32) -> Result<Refusal, Malformed> {
    Refusal::from_number(number).ok_or(Malformed::Form { field: "refusal" })
}

impl Tick {
    fn to_wire(&self) -> wire::Tick {
        wire::Tick {
            denials: self.denials.iter().map(DenialCount::to_wire).collect(),
            resumed_after_ms: self.resumed_after_ms,
            clock_ahead_ms: self.clock_ahead_ms,
            restored_by: self.restored_by,
        }
    }

    fn parse(wire: &wire::Tick) -> Result<Self, Malformed> {
        canonical::limit(wire.denials.len(), canonical::count(DENIAL_COUNTS_MAX), "tick.denials")?;
        Ok(Self {
            denials: wire.denials.iter().map(DenialCount::parse).collect::<Result<_, _>>()?,
            resumed_after_ms: wire.resumed_after_ms,
            clock_ahead_ms: wire.clock_ahead_ms,
            restored_by: wire.restored_by,
        })
    }
}

impl DenialCount {
    fn to_wire(&self) -> wire::DenialCount {
        wire::DenialCount {
            caller: self.caller.clone(),
            refusal: self.refusal.number(),
            count: self.count,
            window_start_ms: self.window_start.0,
        }
    }

    fn parse(wire: &wire::DenialCount) -> Result<Self, Malformed> {
        Ok(Self {
            caller: wire.caller.clone(),
            refusal: refusal_of(wire.refusal)?,
            count: wire.count,
            window_start: TimeMs(wire.window_start_ms),
        })
    }
}
