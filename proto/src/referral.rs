//! One referral as its own evidence tells it: a fold over its records, so that a closed one can be
//! loaded again from them. Not here: what is allowed (`decide`), and mailboxes (`delivery`).

use crate::{
    delivery::Movement,
    digest::Digest,
    evidence::{Commitment, Event, Record},
    header::{Header, Part},
    ids::{AgencyId, Code, Kind, Locator, Release, TimeMs, Urgency},
    lifecycle::{Act, Next, Status, Who},
};

/// Most attempts of a referral.
pub const ATTEMPTS_MAX: usize = 16;

/// Where a referral stands.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each field is described in journal.proto (OpenReferral), once")]
pub struct Referral {
    pub recipients: Vec<AgencyId>,
    pub status: Status,
    pub resumes_to: Option<Status>,
    pub chains: Chains,
    pub previous: Commitment,
    pub waiting: u32,
    pub kind: Kind,
    pub category: Code,
    pub service: Code,
    pub urgency: Urgency,
    pub agreement: Digest,
    pub fallbacks: Vec<AgencyId>,
    pub identity_allowed: bool,
    pub parked: Option<Parked>,
}

/// The chain of each sender, sorted by sender: there are two in most referrals, so that a list is
/// smaller than any tree.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Chains(Vec<(AgencyId, Chain)>);

impl Chains {
    /// A sender's chain.
    #[must_use]
    pub fn get(&self, sender: &AgencyId) -> Option<&Chain> {
        self.place(sender).ok().and_then(|place| self.0.get(place)).map(|(_, chain)| chain)
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &(AgencyId, Chain)> {
        self.0.iter()
    }

    fn insert(&mut self, sender: &AgencyId, chain: Chain) {
        match self.place(sender) {
            Ok(place) => {
                if let Some((_, present)) = self.0.get_mut(place) {
                    *present = chain;
                }
            }
            Err(place) => {
                self.0.reserve_exact(1);
                self.0.insert(place, (sender.clone(), chain));
            }
        }
    }

    fn place(&self, sender: &AgencyId) -> Result<usize, usize> {
        self.0.binary_search_by(|(of, _)| of.cmp(sender))
    }
}

impl FromIterator<(AgencyId, Chain)> for Chains {
    fn from_iter<I: IntoIterator<Item = (AgencyId, Chain)>>(chains: I) -> Self {
        let mut all = Self::default();
        chains.into_iter().for_each(|(sender, chain)| all.insert(&sender, chain));
        all
    }
}

/// A sender's envelopes in a referral: how many, and the digest of the last.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Chain {
    /// From 1.
    pub sequence: u64,
    /// Digest of the last envelope.
    pub last: Digest,
}

/// Parts that wait for the recipient to accept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Parked {
    /// The envelope that brought them.
    pub envelope: Digest,
    /// Where it stands in the journal.
    pub at: Locator,
    /// Their ciphertexts' digests, in the header's order.
    pub part_digests: Vec<Digest>,
    /// When the envelope expires.
    pub expires_at: TimeMs,
}

impl Referral {
    /// The attempt's number, from 1.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        u32::try_from(self.recipients.len()).unwrap_or(u32::MAX)
    }

    /// The agency asked in the present attempt.
    #[must_use]
    pub fn recipient(&self) -> Option<&AgencyId> {
        self.recipients.last()
    }

    /// The agency asked in an attempt.
    #[must_use]
    pub fn recipient_of(&self, attempt: u32) -> Option<&AgencyId> {
        let place = usize::try_from(attempt).ok()?.checked_sub(1)?;
        self.recipients.get(place)
    }

    /// Whether nothing more is owed by anybody: it may leave memory.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.status.is_final() && self.waiting == 0
    }

    /// The status that an act leads to.
    #[must_use]
    pub fn status_after(&self, next: Next) -> Status {
        match next {
            Next::Stay => self.status,
            Next::Go(status) | Next::Pause(status) => status,
            Next::Return => self.resumes_to.unwrap_or(self.status),
        }
    }

    /// Takes one record of this referral, or opens it.
    pub fn fold(referral: &mut Option<Self>, record: &Record, header: Option<&Header>, at: Locator) {
        match referral {
            Some(referral) => referral.take(record, header, at),
            None => *referral = Self::open(record, header, at),
        }
    }

    /// Opens a referral by its first record: the header of the envelope that caused it tells all of
    /// it.
    pub(crate) fn open(record: &Record, header: Option<&Header>, at: Locator) -> Option<Self> {
        let opens = header.filter(|header| header.opens())?;
        let mut referral = Self::opened(opens, record);
        referral.take(record, header, at);
        Some(referral)
    }

    /// Takes one record of this referral. `header` is the envelope's that caused it.
    pub(crate) fn take(&mut self, record: &Record, header: Option<&Header>, at: Locator) {
        self.previous = record.commitment();
        if let (Event::SubmissionAcceptance, Some(header)) = (record.what.event, header) {
            self.submitted(record, header, at);
        }
        match Movement::of(&record.what) {
            Some(Movement::Consigned) => self.waiting = self.waiting.saturating_add(1),
            Some(Movement::Released) => {
                self.waiting = self.waiting.saturating_add(1);
                self.parked = None;
            }
            Some(Movement::Gone) => self.waiting = self.waiting.saturating_sub(1),
            Some(Movement::Blocked) | None => {}
        }
        if let Some(status) = record.what.status {
            self.go(status);
        }
        let present = record.what.attempt == self.attempt();
        if record.what.event == Event::ConsentWithdrawn && present {
            // The recipient may accept before it has read of the withdrawal.
            self.parked = None;
        }
    }

    fn opened(header: &Header, record: &Record) -> Self {
        Self {
            recipients: Vec::new(),
            status: Status::Submitted,
            resumes_to: None,
            chains: Chains::default(),
            previous: record.commitment(),
            waiting: 0,
            kind: header.kind,
            category: header.category.clone(),
            service: header.service.clone(),
            urgency: header.urgency,
            agreement: header.agreement,
            fallbacks: Vec::new(),
            identity_allowed: header.identity_allowed,
            parked: None,
        }
    }

    fn submitted(&mut self, record: &Record, header: &Header, at: Locator) {
        let Some(envelope) = record.what.envelope else {
            return;
        };
        self.chains.insert(&header.from, Chain { sequence: header.sequence, last: envelope });
        if header.act != Act::Submit {
            return;
        }
        self.recipients.reserve_exact(1);
        self.recipients.push(header.to.clone());
        self.resumes_to = None;
        self.kind = header.kind;
        self.category = header.category.clone();
        self.service = header.service.clone();
        self.urgency = header.urgency;
        self.agreement = header.agreement;
        self.identity_allowed = header.identity_allowed;
        self.fallbacks.clone_from(&header.fallbacks);
        let part_digests = digests_released(&header.parts, Release::OnAcceptance);
        let parked = Parked { envelope, at, part_digests, expires_at: header.expires_at };
        self.parked = Some(parked).filter(|parked| !parked.part_digests.is_empty());
    }

    fn go(&mut self, status: Status) {
        if matches!(status, Status::OnHold | Status::CancelRequested) {
            // From one pause into another: the way back leads to where work stopped.
            self.resumes_to.get_or_insert(self.status);
        } else {
            self.resumes_to = None;
        }
        self.status = status;
        if status.is_final() {
            // What was parked for an acceptance that will not come is never released.
            self.parked = None;
        }
    }

    /// What an agency is in an attempt of this referral.
    #[must_use]
    pub fn who(&self, opened_by: &AgencyId, agency: &AgencyId, attempt: u32) -> Option<Who> {
        if agency == opened_by {
            Some(Who::Referrer)
        } else if self.recipient_of(attempt) == Some(agency) {
            Some(Who::Recipient)
        } else {
            None
        }
    }
}

/// Digests of the recipient's own parts that are released at a time, in the header's order.
#[must_use]
pub fn digests_released(parts: &[Part], release: Release) -> Vec<Digest> {
    let mine = parts.iter().filter(|part| part.recipient.is_none() && part.release == release);
    mine.map(|part| part.sha256).collect()
}
