//! One referral as its own evidence tells it: a fold over its records, so that a closed one can be
//! loaded again from them. Not here: what is allowed (`decide`), and mailboxes (`delivery`).

use thin_vec::ThinVec;

use crate::{
    clocks::{Begun, ClockKind, OpenClocks},
    delivery::Movement,
    digest::Digest,
    evidence::{Commitment, Event, Happening, Record},
    header::{Header, Part},
    ids::{AgencyId, Code, Jurisdiction, Kind, Locator, PartClass, Release, TimeMs, Urgency},
    key::KeyId,
    lifecycle::{Act, Next, Responsibility, Status, Who},
    names::Names,
    operation::Intervention,
};

/// Most attempts of a referral.
pub const ATTEMPTS_MAX: usize = 16;
/// How often in a row the gateway asks the next agency by itself. After that a person must look: what is
/// wrong is not the agency.
pub const ESCALATIONS_MAX: u32 = 3;

/// Where a referral stands.
#[derive(Clone, PartialEq, Eq, Debug)]
#[allow(missing_docs, reason = "each field is described in journal.proto (OpenReferral), once")]
pub struct Referral {
    pub recipients: ThinVec<AgencyId>,
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
    pub fallbacks: ThinVec<AgencyId>,
    pub identity_allowed: bool,
    pub parked: Option<Box<Parked>>,
    pub clause: Option<Code>,
    pub clocks: OpenClocks,
    pub sealed_ahead: Option<Box<SealedAhead>>,
    pub escalations: u32,
    pub disclosed: bool,
    pub responsibility: Responsibility,
    pub since: TimeMs,
    pub missed: ThinVec<Begun>,
    pub intervention: Option<Box<Intervention>>,
}

/// What the sender of the last submission sealed for the agencies that she named as fallbacks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedAhead {
    /// The envelope that brought it.
    pub envelope: Digest,
    /// Where it stands in the journal.
    pub at: Locator,
    /// When the envelope expires: what is not true any more is not handed on.
    pub expires_at: TimeMs,
    /// Where she is, as coarse as the header says it.
    pub jurisdiction: Jurisdiction,
    /// For whom, in her order.
    pub recipients: Vec<SealedFor>,
}

/// What is sealed for one fallback.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SealedFor {
    /// Who can open it.
    pub agency: AgencyId,
    /// Ciphertexts that are released in its turn, in the header's order.
    pub part_digests: Vec<Digest>,
    /// Ciphertexts that are released when it accepts.
    pub parked_digests: Vec<Digest>,
    /// What it is sealed to.
    pub key_ids: Vec<KeyId>,
}

impl SealedAhead {
    fn of(header: &Header, envelope: Digest, at: Locator) -> Option<Self> {
        let recipients = header.fallbacks.iter().map(|agency| SealedFor::of(header, agency));
        let recipients: Vec<_> = recipients.filter(|sealed| !sealed.part_digests.is_empty()).collect();
        let (expires_at, jurisdiction) = (header.expires_at, header.jurisdiction.clone());
        let ahead = Self { envelope, at, expires_at, jurisdiction, recipients };
        Some(ahead).filter(|ahead| !ahead.recipients.is_empty())
    }

    /// What is sealed for an agency.
    #[must_use]
    pub fn of_agency(&self, agency: &AgencyId) -> Option<&SealedFor> {
        self.recipients.iter().find(|sealed| sealed.agency == *agency)
    }
}

impl SealedFor {
    fn of(header: &Header, agency: &AgencyId) -> Self {
        let parts = header.parts.iter().filter(|part| part.recipient.as_ref() == Some(agency));
        let mut key_ids: Vec<_> = parts.flat_map(|part| part.key_ids.iter().copied()).collect();
        key_ids.sort_unstable();
        key_ids.dedup();
        Self {
            agency: agency.clone(),
            part_digests: digests_for(header, agency, Release::OnTurn),
            parked_digests: digests_for(header, agency, Release::OnAcceptance),
            key_ids,
        }
    }
}

/// The chain of each sender, sorted by sender: there are two in most referrals, so that a list is
/// smaller than any tree.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Chains(ThinVec<(AgencyId, Chain)>);

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
        self.status.is_final() && self.waiting == 0 && self.clocks.is_empty()
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
        if record.what.event == Event::Escalated {
            self.escalated(&record.what);
        }
        if record.what.event == Event::Operated {
            self.intervention.get_or_insert_default().take(&record.what, record.place.time);
        }
        if let Some(status) = record.what.status {
            self.go(status, record.place.time);
        }
        self.follow_clocks(&record.what);
        self.follow_responsibility(&record.what);
        if record.what.event == Event::ConsentWithdrawn {
            self.withdraw(record.what.attempt);
        }
        if let (Event::Erased, Some(envelope)) = (record.what.event, record.what.envelope) {
            self.erased(&envelope);
        }
    }

    /// What is no more is neither released nor sent to anybody else.
    fn erased(&mut self, envelope: &Digest) {
        if self.parked.as_ref().is_some_and(|parked| parked.envelope == *envelope) {
            self.parked = None;
            self.clocks.end(ClockKind::Disclosure);
        }
        if self.sealed_ahead.as_ref().is_some_and(|ahead| ahead.envelope == *envelope) {
            self.sealed_ahead = None;
        }
    }

    /// The next agency is asked, by the gateway.
    fn escalated(&mut self, what: &Happening) {
        let (Some(recipient), Some(ahead)) = (&what.recipient, &self.sealed_ahead) else {
            return;
        };
        let parked = ahead.of_agency(recipient).map(|sealed| Parked {
            envelope: ahead.envelope,
            at: ahead.at,
            part_digests: sealed.parked_digests.clone(),
            expires_at: ahead.expires_at,
        });
        self.parked = parked.filter(|parked| !parked.part_digests.is_empty()).map(Box::new);
        self.recipients.reserve_exact(1);
        self.recipients.push(recipient.clone());
        self.agreement = what.agreement.unwrap_or(self.agreement);
        self.clause.clone_from(&what.clause);
        self.escalations = self.escalations.saturating_add(1);
        self.disclosed = false;
        self.responsibility = Responsibility::Referrer;
        self.clocks.end_all();
        self.missed.clear();
        self.intervention = None;
    }

    /// An act of the present attempt may move who answers for the case.
    fn follow_responsibility(&mut self, what: &Happening) {
        let present = what.event == Event::Act && what.attempt == self.attempt();
        let after = what.act.filter(|_| present).and_then(|act| self.responsibility.after(act));
        self.responsibility = after.unwrap_or(self.responsibility);
        if self.responsibility != Responsibility::Offered {
            self.clocks.end(ClockKind::Transfer);
        }
    }

    /// The clock that a record is about is over; those that it names begin.
    fn follow_clocks(&mut self, what: &Happening) {
        let about = i32::try_from(what.clock).ok().and_then(|kind| ClockKind::parse(kind, "clock").ok());
        if let Some(kind) = about {
            self.clocks.end(kind);
            if what.event == Event::ClockMissed {
                self.missed(Begun { kind, due_at: what.due_at });
            }
        }
        for begun in &what.clocks {
            self.missed.retain(|missed| missed.kind != begun.kind);
            self.clocks.begin(*begun);
        }
        if what.event == Event::DisclosureReleased {
            self.disclose();
        }
    }

    /// An offer that nobody answered is over: who offered answers for her, as before.
    fn missed(&mut self, clock: Begun) {
        match clock.kind {
            ClockKind::Transfer => self.responsibility = Responsibility::Referrer,
            // A stop by one person that no second confirmed.
            ClockKind::Held => self.let_go(),
            ClockKind::Delivered
            | ClockKind::Seen
            | ClockKind::Answered
            | ClockKind::Escalation
            | ClockKind::Disclosure
            | ClockKind::Transit
            | ClockKind::Progress => self.missed.push(clock),
        }
    }

    /// Whether operators hold it back: nothing of it is handed over to the agency asked.
    #[must_use]
    pub fn is_held(&self) -> bool {
        self.intervention.as_ref().is_some_and(|intervention| !intervention.held_by.is_empty())
    }

    /// It is held back no more, and nothing is asked for.
    fn let_go(&mut self) {
        if let Some(intervention) = &mut self.intervention {
            intervention.end();
        }
        self.intervention.take_if(|intervention| intervention.is_over());
    }

    fn disclose(&mut self) {
        self.disclosed = true;
        self.ends(ClockKind::Disclosure);
    }

    /// What was awaited has come, or will not: it is neither awaited nor late any more.
    fn ends(&mut self, kind: ClockKind) {
        self.clocks.end(kind);
        self.missed.retain(|missed| missed.kind != kind);
    }

    /// The recipient may accept before it has read of the withdrawal; and nobody else is asked.
    fn withdraw(&mut self, attempt: u32) {
        self.sealed_ahead = None;
        if attempt == self.attempt() {
            self.parked = None;
            self.ends(ClockKind::Disclosure);
        }
    }

    fn opened(header: &Header, record: &Record) -> Self {
        Self {
            recipients: ThinVec::new(),
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
            fallbacks: ThinVec::new(),
            identity_allowed: header.identity_allowed,
            parked: None,
            clause: None,
            clocks: OpenClocks::default(),
            sealed_ahead: None,
            escalations: 0,
            disclosed: false,
            responsibility: Responsibility::Referrer,
            since: record.place.time,
            missed: ThinVec::new(),
            intervention: None,
        }
    }

    fn submitted(&mut self, record: &Record, header: &Header, at: Locator) {
        let Some(envelope) = record.what.envelope else {
            return;
        };
        self.chains.insert(&header.from, Chain { sequence: header.sequence, last: envelope });
        let mine = header.parts.iter().filter(|part| part.recipient.is_none());
        let mut sent = mine.filter(|part| part.release == Release::AtOnce);
        let discloses = sent.any(|part| part.class == PartClass::Identity);
        if header.act != Act::Submit {
            if discloses && header.attempt == self.attempt() {
                self.disclose();
            }
            return;
        }
        self.clocks.end_all();
        self.missed.clear();
        self.intervention = None;
        self.clause.clone_from(&record.what.clause);
        self.sealed_ahead = SealedAhead::of(header, envelope, at).map(Box::new);
        self.escalations = 0;
        self.disclosed = discloses;
        self.responsibility = Responsibility::Referrer;
        self.recipients.reserve_exact(1);
        self.recipients.push(header.to.clone());
        self.resumes_to = None;
        self.kind = header.kind;
        self.category = header.category.clone();
        self.service = header.service.clone();
        self.urgency = header.urgency;
        self.agreement = header.agreement;
        self.identity_allowed = header.identity_allowed;
        self.fallbacks = header.fallbacks.iter().cloned().collect();
        let part_digests = digests_released(&header.parts, Release::OnAcceptance);
        let parked = Parked { envelope, at, part_digests, expires_at: header.expires_at };
        self.parked = Some(parked).filter(|parked| !parked.part_digests.is_empty()).map(Box::new);
    }

    fn go(&mut self, status: Status, now: TimeMs) {
        if matches!(status, Status::OnHold | Status::CancelRequested) {
            // From one pause into another: the way back leads to where work stopped.
            self.resumes_to.get_or_insert(self.status);
        } else {
            self.resumes_to = None;
        }
        if self.status != status {
            self.since = now;
        }
        self.status = status;
        self.clocks.follow(status, self.urgency, now);
        if status != Status::Submitted {
            self.let_go();
        }
        if status.is_final() {
            // What was parked for an acceptance that will not come is never released.
            self.parked = None;
            self.intervention = None;
        }
    }

    /// Keeps the names in it that others have, too, only once.
    pub(crate) fn share(&mut self, names: &mut Names) {
        let sealed = self.sealed_ahead.iter_mut().flat_map(|ahead| &mut ahead.recipients);
        let agencies = self.recipients.iter_mut().chain(&mut self.fallbacks);
        let senders = self.chains.0.iter_mut().map(|(sender, _)| sender);
        agencies
            .chain(senders)
            .chain(sealed.map(|sealed| &mut sealed.agency))
            .for_each(|id| names.agency(id));
        [&mut self.category, &mut self.service]
            .into_iter()
            .chain(&mut self.clause)
            .for_each(|code| names.code(code));
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

/// Digests of the parts that go to an agency at a time, in the header's order: its own as the header's
/// recipient, or what is sealed for it as a fallback.
#[must_use]
pub fn digests_for(header: &Header, agency: &AgencyId, release: Release) -> Vec<Digest> {
    let theirs = header.parts.iter().filter(|part| part.is_for(header, agency) && part.release == release);
    theirs.map(|part| part.sha256).collect()
}
