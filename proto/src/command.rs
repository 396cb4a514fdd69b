//! What the rules are asked: commands, parsed once from what came over the wire or stands in the
//! journal. Not here: who asks (`caller`), and the answer (`decide`).

use crate::{
    Malformed, canonical,
    digest::Digest,
    directory::{Change, ChangeBody, Directory, DirectoryObject, NewShard},
    dsse::{PayloadType, Signed, Unverified},
    header::Header,
    ids::{AgencyId, ReferralKey, TimeMs, closed_list},
    key::{KeyId, PublicKey},
    operation::Operate,
    refusal::Refusal,
    wire,
};

/// Most envelopes that one handover receipt covers.
pub const HANDOVERS_MAX: usize = 1_000;
/// Most counts of queries that one command carries.
pub const QUERY_COUNTS_MAX: usize = 1_000;
/// Most denial counts that one tick carries.
pub const DENIAL_COUNTS_MAX: usize = 1_000;

/// What the rules are asked.
#[derive(Clone, PartialEq, Debug)]
pub enum Command {
    /// A signed envelope.
    Push(Box<Push>),
    /// A recipient's signed receipt.
    Handover(Box<Handover>),
    /// A signed change of the directory.
    Directory(Box<DirectoryCommand>),
    /// Something that was refused before the rules saw it, by someone who is known.
    Denial(Denial),
    /// Time has passed.
    Tick(Tick),
    /// Somebody looks at evidence.
    Query(Query),
    /// Queries whose windows are over.
    Queries(Vec<QueryCount>),
    /// An envelope's ciphertexts are to be erased.
    Erase(Box<Erasure>),
    /// An operator acts.
    Operate(Box<Operate>),
}

/// Time has passed, and what the gateway's process says of it.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Tick {
    /// Denials that were counted.
    pub denials: Vec<DenialCount>,
    /// With the first tick of a process: how long nobody was there, when that is worth a word.
    pub resumed_after_ms: u64,
    /// How far the machine's clock is beyond what is believed.
    pub clock_ahead_ms: u64,
    /// With the first tick after a restore: how many witnesses had said that nothing is missing.
    pub restored_by: Option<u64>,
}

/// A signed envelope.
#[derive(Clone, PartialEq, Debug)]
pub struct Push {
    /// The signed header.
    pub signed: Signed,
    /// What it says.
    pub header: Header,
}

/// A recipient's signed receipt.
#[derive(Clone, PartialEq, Debug)]
pub struct Handover {
    /// The signed receipt.
    pub signed: Signed,
    /// Who received.
    pub recipient: AgencyId,
    /// What was received.
    pub received: Vec<Received>,
}

closed_list!(
    /// What became of an envelope at its recipient.
    HandoverResult {
        /// Every byte is on the agent's disk.
        Received = 1,
        /// The key does not open it.
        CannotOpen = 2,
        /// What was opened is not what the header says.
        WrongContent = 3,
    }
);

/// One envelope of a receipt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Received {
    /// Its digest.
    pub envelope: Digest,
    /// What became of it.
    pub result: HandoverResult,
    /// Ciphertext digests, in the header's order.
    pub part_digests: Vec<Digest>,
}

/// A signed change of the directory.
#[derive(Clone, PartialEq, Debug)]
pub struct DirectoryCommand {
    /// The signed object.
    pub signed: Signed,
    /// What it says.
    pub object: DirectoryObject,
}

/// Something that was refused before the rules saw it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Denial {
    /// Why.
    pub refusal: Refusal,
    /// Which field.
    pub field: &'static str,
    /// SHA-256 of the refused bytes.
    pub digest: Option<Digest>,
}

/// Denials that were counted and not recorded one by one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct DenialCount {
    /// Agency id or pseudonym.
    pub caller: String,
    /// Why.
    pub refusal: Refusal,
    /// How many.
    pub count: u64,
    /// Since when.
    pub window_start: TimeMs,
}

/// What is looked at.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sight {
    /// Evidence.
    Evidence,
    /// How deliveries stand, and whom to call.
    Deliveries,
}

/// Somebody looks at what is there.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Query {
    /// What.
    pub of: Sight,
    /// The referral that it is about; none when it is about none.
    pub referral: Option<ReferralKey>,
    /// The one record that is asked for; none for all of the referral's.
    pub index: Option<u64>,
}

/// An envelope whose ciphertexts are to be erased: what its header says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Erasure {
    /// Its referral.
    pub referral: ReferralKey,
    /// Its digest.
    pub envelope: Digest,
    /// Its sender.
    pub from: AgencyId,
    /// Its recipient.
    pub to: AgencyId,
    /// The attempt that it belongs to.
    pub attempt: u32,
    /// The agreement that it names.
    pub agreement: Digest,
    /// Its last moment.
    pub expires_at: TimeMs,
    /// Ciphertext digests, in the header's order.
    pub part_digests: Vec<Digest>,
}

impl Erasure {
    /// Of an envelope.
    #[must_use]
    pub fn of(push: &Push) -> Self {
        let header = &push.header;
        Self {
            referral: header.referral.clone(),
            envelope: push.signed.digest(),
            from: header.from.clone(),
            to: header.to.clone(),
            attempt: header.attempt,
            agreement: header.agreement,
            expires_at: header.expires_at,
            part_digests: header.parts.iter().map(|part| part.sha256).collect(),
        }
    }
}

/// Queries that were counted and not recorded one by one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct QueryCount {
    /// Agency id; or the pseudonym of who looked at deliveries.
    pub caller: String,
    /// How many.
    pub count: u64,
    /// Since when.
    pub window_start: TimeMs,
}

impl Command {
    /// Reads a signed object and verifies its signatures with the directory's keys, or with those
    /// that it introduces itself.
    ///
    /// # Errors
    /// [`Malformed`]: not of its form, or a signature that does not verify.
    pub fn verify(object: wire::SignedObject, directory: &Directory) -> Result<Self, Malformed> {
        let unverified = Unverified::parse(object)?;
        let body = Body::parse(unverified.payload_type(), unverified.payload())?;
        let introduced = body.introduced_keys();
        let find = |id: &KeyId| {
            let own = introduced.iter().copied().find(|key| key.id() == *id);
            own.or_else(|| directory.verification_key(id))
        };
        body.check_signers(unverified.signers())?;
        let signed = unverified.verify(find)?;
        Ok(body.signed(signed))
    }

    /// Reads a signed object that our own journal holds: its signatures were verified when it was
    /// written.
    ///
    /// # Errors
    /// [`Malformed`]: not of its form.
    pub fn from_our_own_journal(object: wire::SignedObject) -> Result<Self, Malformed> {
        let signed = Unverified::parse(object)?.trust_our_own_journal();
        let body = Body::parse(signed.payload_type(), signed.payload())?;
        Ok(body.signed(signed))
    }

    /// The signed object, when there is one.
    #[must_use]
    pub fn signed(&self) -> Option<&Signed> {
        match self {
            Self::Push(push) => Some(&push.signed),
            Self::Handover(handover) => Some(&handover.signed),
            Self::Directory(command) => Some(&command.signed),
            Self::Denial(_)
            | Self::Tick(_)
            | Self::Query(_)
            | Self::Queries(_)
            | Self::Erase(_)
            | Self::Operate(_) => None,
        }
    }

    /// The referral that it is about.
    #[must_use]
    pub fn referral(&self) -> Option<&ReferralKey> {
        match self {
            Self::Push(push) => Some(&push.header.referral),
            Self::Query(query) => query.referral.as_ref(),
            Self::Erase(erasure) => Some(&erasure.referral),
            Self::Operate(operate) => operate.referral.as_ref(),
            Self::Handover(_) | Self::Directory(_) | Self::Denial(_) | Self::Tick(_) | Self::Queries(_) => {
                None
            }
        }
    }

    /// The header, when it is an envelope.
    #[must_use]
    pub fn header(&self) -> Option<&Header> {
        match self {
            Self::Push(push) => Some(&push.header),
            Self::Handover(_)
            | Self::Directory(_)
            | Self::Denial(_)
            | Self::Tick(_)
            | Self::Query(_)
            | Self::Queries(_)
            | Self::Erase(_)
            | Self::Operate(_) => None,
        }
    }

    /// The shard of both logs that it begins, when it is such a change.
    #[must_use]
    pub fn new_shard(&self) -> Option<&NewShard> {
        let Self::Directory(command) = self else {
            return None;
        };
        match &command.object {
            DirectoryObject::Change(Change { body: ChangeBody::BeginShard(begun), .. }) => Some(begun),
            DirectoryObject::Change(_) | DirectoryObject::Agreement(_) | DirectoryObject::Mechanism(_) => {
                None
            }
        }
    }

    /// Whether it may still be taken when space is kept for what must go on: receipts, answers to
    /// what was taken, administration.
    #[must_use]
    pub fn is_reserved_work(&self) -> bool {
        match self {
            Self::Push(_) | Self::Denial(_) => false,
            Self::Handover(_) | Self::Directory(_) | Self::Tick(_) => true,
            // Whoever must find out what happened must be able to when the disk is full.
            Self::Query(_) | Self::Queries(_) | Self::Operate(_) => true,
            // It makes room.
            Self::Erase(_) => true,
        }
    }
}

/// The payload of a signed object, read before its signatures are verified, because a new key signs
/// for itself. Nothing of it leaves this file unsigned.
enum Body {
    Envelope(Header),
    Receipt { recipient: AgencyId, received: Vec<Received> },
    Directory(DirectoryObject),
}

impl Body {
    fn parse(payload_type: PayloadType, payload: &[u8]) -> Result<Self, Malformed> {
        if let Some(object) = DirectoryObject::parse(payload_type, payload)? {
            return Ok(Self::Directory(object));
        }
        match payload_type {
            PayloadType::Receipt => receipt(payload),
            PayloadType::Envelope
            | PayloadType::Agreement
            | PayloadType::Mechanism
            | PayloadType::DirectoryEntry => Header::parse(payload).map(Self::Envelope),
            // It is for the authority that issues certificates, and never logged.
            PayloadType::CertificateOrder => Err(Malformed::Form { field: "payload_type" }),
        }
    }

    fn introduced_keys(&self) -> Vec<PublicKey> {
        match self {
            Self::Directory(object) => object.introduced_keys(),
            Self::Envelope(_) | Self::Receipt { .. } => Vec::new(),
        }
    }

    /// Envelopes and receipts carry one agency's one signature.
    fn check_signers(&self, signers: &[KeyId]) -> Result<(), Malformed> {
        match self {
            Self::Directory(_) => Ok(()),
            Self::Envelope(_) | Self::Receipt { .. } => canonical::limit(signers.len(), 1, "signatures"),
        }
    }

    fn signed(self, signed: Signed) -> Command {
        match self {
            Self::Envelope(header) => Command::Push(Box::new(Push { signed, header })),
            Self::Receipt { recipient, received } => {
                Command::Handover(Box::new(Handover { signed, recipient, received }))
            }
            Self::Directory(object) => Command::Directory(Box::new(DirectoryCommand { signed, object })),
        }
    }
}

fn receipt(payload: &[u8]) -> Result<Body, Malformed> {
    let wire: wire::HandoverReceipt = canonical::decode(payload, "HandoverReceipt")?;
    if wire.version != 1 {
        return Err(Malformed::Form { field: "version" });
    }
    if wire.handovers.is_empty() {
        return Err(Malformed::Missing { field: "handovers" });
    }
    canonical::limit(wire.handovers.len(), canonical::count(HANDOVERS_MAX), "handovers")?;
    let received = wire.handovers.iter().map(Received::parse).collect::<Result<Vec<_>, _>>()?;
    let mut digests: Vec<_> = received.iter().map(|received| received.envelope).collect();
    digests.sort_unstable();
    digests.dedup();
    if digests.len() != received.len() {
        return Err(Malformed::Form { field: "handovers.envelope" });
    }
    Ok(Body::Receipt { recipient: AgencyId::parse(&wire.recipient, "recipient")?, received })
}

impl Received {
    fn parse(wire: &wire::Handover) -> Result<Self, Malformed> {
        canonical::limit(
            wire.part_digests.len(),
            canonical::count(crate::header::PARTS_MAX),
            "handovers.part_digests",
        )?;
        let part_digests =
            wire.part_digests.iter().map(|bytes| Digest::parse(bytes, "handovers.part_digests"));
        Ok(Self {
            envelope: Digest::parse(&wire.envelope, "handovers.envelope")?,
            result: HandoverResult::parse(wire.result, "handovers.result")?,
            part_digests: part_digests.collect::<Result<_, _>>()?,
        })
    }
}

/// Compares the parts that came with what the header says of them: one for each inline part, in its
/// order, of its length and digest.
///
/// # Errors
/// [`Malformed::Mismatch`] or [`Malformed::Length`].
pub fn check_parts(header: &Header, parts: &[wire::InlinePart]) -> Result<(), Malformed> {
    if header.inline_parts().count() != parts.len() {
        return Err(Malformed::Length { field: "parts" });
    }
    for (said, came) in header.inline_parts().zip(parts) {
        if came.part_id != said.part_id || canonical::count(came.ciphertext.len()) != said.length_bytes {
            return Err(Malformed::Length { field: "parts.ciphertext" });
        }
        if Digest::of(&came.ciphertext) != said.sha256 {
            return Err(Malformed::Mismatch { field: "parts.sha256" });
        }
    }
    Ok(())
}
