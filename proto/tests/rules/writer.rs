//! The writer, as the gateway's is, over memory: begin a batch, decide and apply each command before
//! the next, end the batch, keep its bytes. Its index knows only what ended batches hold.

use std::collections::BTreeMap;

use prost::Message as _;
use proto::{
    batch::{Batch, Entry},
    caller::Caller,
    command::Command,
    decide::{self, Decision, Load, Refused},
    delivery::Mail,
    digest::Digest,
    evidence::{Event, Record, Salt},
    fact::{Effect, Fact},
    header::Header,
    ids::{EnvelopeKey, Locator, ReferralKey, Release, TimeMs},
    known::Known,
    referral::{Referral, digests_for},
    refusal::Refusal,
    snapshot::Snapshot,
    state::{Cause, State},
    wire,
};

/// What became of a command.
#[derive(Clone, PartialEq)]
pub(crate) struct Answer {
    pub(crate) decision: Decision,
    pub(crate) facts: Vec<Fact>,
}

impl Answer {
    pub(crate) fn refused(&self) -> Option<(Refusal, &'static str)> {
        match &self.decision {
            Decision::Refuse(Refused { refusal, field, .. }) => Some((*refusal, *field)),
            Decision::Do(..)
            | Decision::Nothing
            | Decision::Done(_)
            | Decision::Compare(_)
            | Decision::Load(_) => None,
        }
    }

    #[track_caller]
    pub(crate) fn accepted(&self) -> &Self {
        assert_eq!(self.refused(), None);
        assert!(matches!(self.decision, Decision::Do(..)), "nothing was done");
        self
    }

    pub(crate) fn is_done(&self) -> bool {
        matches!(self.decision, Decision::Done(_)) && self.facts.is_empty()
    }

    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        self.facts.iter().filter_map(Fact::record)
    }

    pub(crate) fn events(&self) -> Vec<Event> {
        self.records().map(|record| record.what.event).collect()
    }
}

/// What the index can tell: folded from the records of the batches that have ended.
#[derive(Clone, Default)]
struct Index {
    known: BTreeMap<EnvelopeKey, Known>,
    referrals: BTreeMap<ReferralKey, Referral>,
}

impl Index {
    fn add(&mut self, batch: &Batch, number: u64) {
        for (place, entry) in (0..).zip(&batch.entries) {
            let at = Locator { batch: number, entry: place };
            let header = entry.command.header();
            for record in entry.facts.iter().filter_map(Fact::record) {
                if let (Event::SubmissionAcceptance, Some(header)) = (record.what.event, header) {
                    let digest = entry.command.signed().unwrap().digest();
                    self.known.insert(header.key(), Known { digest, at });
                }
                if let Some(key) = &record.what.referral {
                    let mut referral = self.referrals.remove(key);
                    Referral::fold(&mut referral, record, header, at);
                    self.referrals.insert(key.clone(), referral.unwrap());
                }
            }
        }
    }
}

#[derive(Clone, Default)]
pub(crate) struct Writer {
    pub(crate) state: State,
    pub(crate) batches: Vec<Batch>,
    index: Index,
    salts: u64,
}

impl Writer {
    pub(crate) fn batch(&mut self, wall: TimeMs, commands: Vec<(Caller, Command)>) -> Vec<Answer> {
        let now = self.state.begin_batch(wall);
        let mut batch = Batch { now, evidence: None, directory: None, entries: Vec::new() };
        let mut answers = Vec::new();
        for (caller, command) in commands {
            answers.push(self.command(&mut batch, caller, command));
        }
        self.state.end_batch();
        // Nothing was done: nothing is written.
        if !batch.entries.is_empty() {
            self.index.add(&batch, self.next_batch());
            self.batches.push(batch);
        }
        answers
    }

    fn command(&mut self, batch: &mut Batch, caller: Caller, command: Command) -> Answer {
        let decision = self.decide(batch, &caller, &command);
        let effects = match &decision {
            Decision::Do(effects, _) => effects.clone(),
            Decision::Refuse(refused) => refused.evidence.iter().cloned().collect(),
            Decision::Nothing | Decision::Done(_) | Decision::Compare(_) | Decision::Load(_) => Vec::new(),
        };
        let reopened =
            self.state.reopened(&command).map(|(key, referral)| Box::new((key.clone(), referral.clone())));
        let entry = u32::try_from(batch.entries.len()).unwrap();
        let cause = Cause { command: &command, at: Locator { batch: self.next_batch(), entry } };
        let facts: Vec<_> = effects.into_iter().map(|effect| self.settle(effect, cause)).collect();
        if !facts.is_empty() {
            let facts = facts.clone();
            batch.entries.push(Entry { caller, command, facts, blobs: 0, reopened });
        }
        Answer { decision, facts }
    }

    fn settle(&mut self, effect: Effect, cause: Cause<'_>) -> Fact {
        self.salts += 1;
        let salt = Salt(*Digest::of(&self.salts.to_be_bytes()).as_bytes());
        let fact = self.state.settle(effect, salt);
        self.state.apply(&fact, cause);
        fact
    }

    fn decide(&mut self, batch: &Batch, caller: &Caller, command: &Command) -> Decision {
        for _ in 0..3 {
            match decide::decide(&self.state, caller, command) {
                Decision::Load(Load::Envelope(key)) => {
                    let known = self.index.known.get(&key).copied();
                    self.state.envelope_loaded(key, known);
                }
                Decision::Load(Load::Referral(key)) => {
                    let referral = self.index.referrals.get(&key).cloned();
                    self.state.referral_loaded(key, referral);
                }
                Decision::Compare(at) => {
                    let before = self.header(batch, at).unwrap();
                    let differs = command.header().unwrap().first_difference(before).unwrap();
                    return decide::refuse_taken_id(&self.state, caller, command, differs);
                }
                decision @ (Decision::Do(..)
                | Decision::Nothing
                | Decision::Done(_)
                | Decision::Refuse(_)) => return decision,
            }
        }
        panic!("an envelope and a referral are all that can be loaded");
    }

    fn header<'a>(&'a self, batch: &'a Batch, at: Locator) -> Option<&'a Header> {
        let ended = self.batches.get(usize::try_from(at.batch).unwrap());
        ended.unwrap_or(batch).entries[usize::try_from(at.entry).unwrap()].command.header()
    }

    pub(crate) fn next_batch(&self) -> u64 {
        u64::try_from(self.batches.len()).unwrap()
    }

    /// A referral, closed or not.
    pub(crate) fn referral(&self, key: &ReferralKey) -> Option<&Referral> {
        self.index.referrals.get(key)
    }

    /// Every referral that ever was.
    pub(crate) fn referrals(&self) -> impl Iterator<Item = (&ReferralKey, &Referral)> {
        self.index.referrals.iter()
    }

    /// What an agency is offered.
    pub(crate) fn heads(&self, agency: &str) -> Vec<Mail> {
        let mailbox = self.state.mailboxes().of(&crate::network::agency(agency));
        mailbox.map_or_else(Vec::new, |mailbox| mailbox.heads().cloned().collect())
    }

    /// Everything that waits for an agency.
    pub(crate) fn waiting(&self, agency: &str) -> Vec<Mail> {
        let agency = crate::network::agency(agency);
        let all = self.state.mailboxes().all();
        all.filter(|(owner, _)| **owner == agency).map(|(_, mail)| mail.as_ref().clone()).collect()
    }

    /// The digests of the parts that a mail stands for, as the recipient computes them.
    pub(crate) fn parts(&self, owner: &str, mail: &Mail) -> Vec<Digest> {
        let batch = &self.batches[usize::try_from(mail.at.batch).unwrap()];
        let header = batch.entries[usize::try_from(mail.at.entry).unwrap()].command.header().unwrap();
        digests_for(header, &crate::network::agency(owner), mail.release)
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        let state = self.state.clone();
        Snapshot { state, next_batch: self.next_batch(), evidence: None, directory: None }
    }

    /// The state without its evidence and its moment: what a refusal must not change.
    pub(crate) fn rest(&self) -> wire::Snapshot {
        let snapshot = wire::Snapshot::decode(self.snapshot().encode().as_slice()).unwrap();
        wire::Snapshot {
            now_ms: 0,
            next_batch: 0,
            evidence: None,
            heads: Vec::new(),
            denials: Vec::new(),
            ..snapshot
        }
    }

    /// Reads the state from a snapshot that a test has changed.
    pub(crate) fn rewrite(&mut self, change: impl FnOnce(&mut wire::Snapshot)) {
        let mut snapshot = wire::Snapshot::decode(self.snapshot().encode().as_slice()).unwrap();
        change(&mut snapshot);
        self.state = Snapshot::parse(&snapshot.encode_to_vec()).unwrap().state;
    }

    /// All records, in the order of the log.
    pub(crate) fn records(&self) -> impl Iterator<Item = &Record> {
        let entries = self.batches.iter().flat_map(|batch| &batch.entries);
        entries.flat_map(|entry| &entry.facts).filter_map(Fact::record)
    }

    /// A restart: the state is read from its snapshot.
    pub(crate) fn restart(&mut self) {
        self.state = Snapshot::parse(&self.snapshot().encode()).unwrap().state;
    }

    /// The one oracle. What is on disk is what was written, gives the same state again, and every
    /// chain is whole.
    pub(crate) fn check(&self) {
        let mut replayed = State::default();
        for (number, batch) in (0..).zip(&self.batches) {
            let read = Batch::parse(&batch.encode()).unwrap();
            assert!(read == *batch, "batch {number} is read as it was written");
            read.replay(&mut replayed, number);
        }
        replayed.begin_batch(self.state.now());
        assert!(replayed == self.state, "replay gives the live state");
        let snapshot = self.snapshot();
        assert!(Snapshot::parse(&snapshot.encode()).unwrap() == snapshot, "a snapshot is the state");
        self.check_chains();
        self.check_mail();
    }

    /// Counts are consecutive, and each record names the one before it.
    fn check_chains(&self) {
        let mut heads = BTreeMap::new();
        let mut referrals = BTreeMap::new();
        for (index, record) in (0..).zip(self.records()) {
            assert_eq!(record.place.index, index);
            for link in &record.place.links {
                let (count, last) = heads.get(&link.party).copied().unwrap_or((0, None));
                assert_eq!((link.count, link.previous), (count + 1, last), "chain of {}", link.party);
                heads.insert(link.party.clone(), (link.count, Some(record.commitment())));
            }
            if let Some(key) = &record.what.referral {
                let last = referrals.insert(key.clone(), record.commitment());
                assert_eq!(record.place.previous, last, "chain of a referral");
            }
        }
    }

    /// Each referral counts what waits of it, the index says the same as memory, and identity waits
    /// only for the agency that accepted.
    fn check_mail(&self) {
        let mut waiting: BTreeMap<&ReferralKey, u32> = BTreeMap::new();
        for (owner, mail) in self.state.mailboxes().all() {
            *waiting.entry(&mail.referral).or_default() += 1;
            assert!(self.state.referral(&mail.referral).is_some(), "what waits has its referral in memory");
            if mail.release == Release::OnAcceptance {
                let accepted = self.records().any(|record| {
                    let what = &record.what;
                    what.event == Event::ConsignmentAcceptance
                        && what.referral.as_ref() == Some(&mail.referral)
                        && what.attempt == mail.attempt
                        && what.sender.as_ref() == Some(owner)
                });
                assert!(accepted, "identity waits for an agency that has not accepted");
            }
        }
        for (key, referral) in &self.index.referrals {
            assert_eq!(referral.waiting, waiting.get(key).copied().unwrap_or(0), "{referral:?}");
            match self.state.referral(key) {
                Some(live) => assert_eq!(live, referral),
                None => assert!(referral.is_closed(), "an open referral has left memory"),
            }
        }
    }
}
