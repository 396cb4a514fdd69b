//! All that the rules know: open work, the directory, and the right edge of both logs. It changes
//! only by applying facts that the journal holds, so replay gives the same state. Not here: what is
//! allowed (`decide`), and its form on disk (`snapshot`).

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Bound,
    sync::Arc,
};

use crate::{
    caller::Caller,
    clocks::{Begun, ClockKind},
    command::Command,
    delivery::{Mail, Mailboxes, Movement, digest_of_parts},
    digest::Digest,
    directory::{Applied, Directory, DirectoryObject, Subject},
    evidence::{Commitment, Event, Happening, PartyLink, Place, Record, Salt},
    fact::{DirectoryFact, Effect, Fact},
    gateway_clock::{Doubt, GatewayClock, Moment},
    heads::{CommittedHeads, day},
    ids::{AgencyId, EnvelopeKey, Locator, Pseudonym, ReferralKey, Release, TimeMs, Urgency},
    known::{Known, KnownEnvelopes, Lookup},
    log::merkle::{Frontier, Growth, leaf_hash},
    names::Names,
    referral::{Referral, digests_released},
    refusal::Refusal,
    stuck::{STOPPED_MAX, Stopped},
    wire,
};

/// How long one window of counted denials lasts: an hour.
pub const DENIAL_WINDOW_MS: u64 = 60 * 60 * 1000;
/// How many denials of one caller and code are recorded one by one in a window.
pub const DENIALS_RECORDED: u32 = 5;
/// Most callers and codes whose denials are told apart; beyond, they are only counted.
pub const DENIAL_WINDOWS_MAX: usize = 65_536;

/// How many queries of one agency are recorded one by one in a window; more are counted.
pub const QUERIES_RECORDED: u32 = 5;
/// How many queries of one member of staff are answered in a window. Each is recorded: a count would
/// not tell whose cases were looked at.
pub const STAFF_QUERIES_MAX: u32 = 600;
/// Most callers whose queries are told apart; beyond, agencies' are only counted, staff's refused.
pub const QUERY_WINDOWS_MAX: usize = 65_536;

/// All that the rules know.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct State {
    pub(crate) now: TimeMs,
    pub(crate) directory: Directory,
    /// Shared with a snapshot while that is written.
    pub(crate) referrals: BTreeMap<ReferralKey, Arc<Referral>>,
    /// Of each referral that has clocks running, when the first of them is missed.
    pub(crate) due: BTreeSet<Due>,
    /// Where escalation stopped, until the agency that refers says something.
    pub(crate) stopped: BTreeMap<ReferralKey, Stopped>,
    pub(crate) clock: GatewayClock,
    pub(crate) mailboxes: Mailboxes,
    pub(crate) heads: BTreeMap<AgencyId, Head>,
    /// The heads that were committed last.
    pub(crate) committed: Option<CommittedHeads>,
    /// The day of that, and before the first time that of the first record; and whether anything came since.
    pub(crate) heads_day: u64,
    pub(crate) known: KnownEnvelopes,
    pub(crate) names: Names,
    pub(crate) denials: BTreeMap<(String, Refusal), DenialWindow>,
    /// Queries of evidence, by caller.
    pub(crate) queries: BTreeMap<String, DenialWindow>,
    pub(crate) evidence: GrowingLog,
    pub(crate) directory_log: GrowingLog,
    /// Referrals that the index says do not exist; forgotten at the end of the batch.
    pub(crate) absent: Vec<ReferralKey>,
    /// Closed referrals that were loaded for a command of this batch.
    pub(crate) loaded: Vec<ReferralKey>,
    /// Referrals that were closed in this batch: a command behind may be about them.
    pub(crate) closing: Vec<ReferralKey>,
}

/// When the first clock of a referral is missed. Without one, the place before all of that moment.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Due(TimeMs, Option<ReferralKey>);

/// In whose mailbox a referral is held back.
fn held_at(referral: &Referral) -> Option<AgencyId> {
    referral.recipient().filter(|_| referral.is_held()).cloned()
}

fn behind(after: Option<&ReferralKey>) -> Bound<ReferralKey> {
    after.map_or(Bound::Unbounded, |key| Bound::Excluded(key.clone()))
}

fn relist(due: &mut BTreeSet<Due>, key: &ReferralKey, before: Option<Begun>, after: Option<Begun>) {
    if let Some(clock) = before {
        due.remove(&Due(clock.due_at, Some(key.clone())));
    }
    if let Some(clock) = after {
        due.insert(Due(clock.due_at, Some(key.clone())));
    }
}

/// An agency's own chain of records.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Head {
    /// Its records so far.
    pub count: u64,
    /// The last of them.
    pub last: Commitment,
}

/// Denials of one caller and code.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DenialWindow {
    /// Since when.
    pub start: TimeMs,
    /// How many were recorded.
    pub recorded: u32,
}

/// A log's right edge, and the leaves that the batch at hand adds to it.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct GrowingLog {
    frontier: Frontier,
    added: Vec<Digest>,
}

impl GrowingLog {
    pub(crate) const fn from_frontier(frontier: Frontier) -> Self {
        Self { frontier, added: Vec::new() }
    }

    /// The log before the batch at hand.
    #[must_use]
    pub const fn frontier(&self) -> &Frontier {
        &self.frontier
    }

    /// Leaves, those of the batch at hand included.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.frontier.size().saturating_add(crate::canonical::count(self.added.len()))
    }

    fn close(&mut self) -> Growth {
        let growth = Growth::new(&self.frontier, &std::mem::take(&mut self.added));
        self.frontier.clone_from(growth.frontier());
        growth
    }
}

/// What caused a fact, and where it stands in the journal.
#[derive(Clone, Copy, Debug)]
pub struct Cause<'a> {
    /// The command.
    pub command: &'a Command,
    /// The batch and entry.
    pub at: Locator,
}

/// How both logs grew by a batch.
#[derive(Clone, Debug)]
pub struct BatchGrowth {
    /// The evidence log.
    pub evidence: Growth,
    /// The directory log.
    pub directory: Growth,
}

impl State {
    /// The last batch's moment.
    #[must_use]
    pub const fn now(&self) -> TimeMs {
        self.now
    }

    /// The directory.
    #[must_use]
    pub const fn directory(&self) -> &Directory {
        &self.directory
    }

    /// What waits for each agency.
    #[must_use]
    pub const fn mailboxes(&self) -> &Mailboxes {
        &self.mailboxes
    }

    /// A referral in memory: every open one, and those loaded for this batch.
    #[must_use]
    pub fn referral(&self, key: &ReferralKey) -> Option<&Referral> {
        self.referrals.get(key).map(AsRef::as_ref)
    }

    /// Takes a referral into memory, or again after a change, with the clocks of it that run.
    pub(crate) fn hold(&mut self, mut key: ReferralKey, mut referral: Referral) {
        self.names.agency(&mut key.opened_by);
        referral.share(&mut self.names);
        relist(&mut self.due, &key, None, referral.clocks.next());
        if let (true, Some(recipient)) = (referral.is_held(), referral.recipient()) {
            self.mailboxes.hold_back(recipient, &key);
        }
        self.referrals.insert(key, Arc::new(referral));
    }

    fn release(&mut self, key: &ReferralKey) {
        if let Some(referral) = self.referrals.remove(key) {
            relist(&mut self.due, key, referral.clocks.next(), None);
        }
    }

    /// The first clock that is due by the state's moment, of those that an outage does not make wait.
    pub(crate) fn clock_due(&self) -> Option<(TimeMs, &ReferralKey, ClockKind)> {
        let Due(due_at, key) = self.first_due()?;
        let key = key.as_ref().filter(|_| *due_at <= self.now)?;
        Some((*due_at, key, self.referrals.get(key)?.clocks.next()?.kind))
    }

    /// When the next clock is due, if nothing else happens before.
    pub(crate) fn next_clock(&self) -> Option<TimeMs> {
        let waits = self.clock.waits(self.now);
        let waiting =
            waits.filter(|grace| self.due.first().is_some_and(|Due(due_at, _)| *due_at <= grace.of));
        let next = self.first_due().map(|Due(due_at, _)| *due_at);
        next.into_iter().chain(waiting.map(|grace| grace.until)).min()
    }

    fn first_due(&self) -> Option<&Due> {
        match self.clock.waits(self.now) {
            None => self.due.first(),
            Some(grace) => self.due.range(Due(grace.of.plus_ms(1), None)..).next(),
        }
    }

    /// How many referrals have clocks running.
    #[must_use]
    pub fn clocks_running(&self) -> usize {
        self.due.len()
    }

    /// Why the gateway's clock is in doubt, while it is: nothing that time does is done.
    #[must_use]
    pub const fn clock_alarm(&self) -> Option<&Doubt> {
        self.clock.doubt()
    }

    /// What a look at the machine's clock says. The writer begins its next batch at this moment, and
    /// says the rest of it in a tick.
    #[must_use]
    pub fn look(&self, wall: TimeMs) -> Moment {
        self.clock.look(self.now, wall)
    }

    /// The first look of a process, of which there was a last sign of life before.
    #[must_use]
    pub fn first_look(&self, alive: TimeMs, wall: TimeMs) -> Moment {
        self.clock.first_look(self.now, alive, wall)
    }

    /// Every referral in memory.
    pub fn referrals(&self) -> impl Iterator<Item = (&ReferralKey, &Referral)> {
        self.referrals.iter().map(|(key, referral)| (key, referral.as_ref()))
    }

    /// The referrals in memory behind one, in the order of their keys: the oldest first.
    pub fn referrals_behind<'a>(
        &'a self,
        after: Option<&ReferralKey>,
    ) -> impl Iterator<Item = (&'a ReferralKey, &'a Referral)> + use<'a> {
        let behind = self.referrals.range((behind(after), Bound::Unbounded));
        behind.map(|(key, referral)| (key, referral.as_ref()))
    }

    /// Referrals behind one whose escalation stopped, and whose sender has said nothing since.
    pub fn stopped_behind<'a>(
        &'a self,
        after: Option<&ReferralKey>,
    ) -> impl Iterator<Item = (&'a ReferralKey, &'a Stopped)> + use<'a> {
        self.stopped.range((behind(after), Bound::Unbounded))
    }

    /// How many referrals are in memory.
    #[must_use]
    pub fn referrals_in_memory(&self) -> usize {
        self.referrals.len()
    }

    /// The evidence log.
    #[must_use]
    pub const fn evidence(&self) -> &GrowingLog {
        &self.evidence
    }

    /// The directory log.
    #[must_use]
    pub const fn directory_log(&self) -> &GrowingLog {
        &self.directory_log
    }

    /// An agency's own chain of records.
    #[must_use]
    pub fn head(&self, agency: &AgencyId) -> Option<&Head> {
        self.heads.get(agency)
    }

    /// Every agency's own chain of records, in the order of their names.
    pub fn heads(&self) -> impl Iterator<Item = (&AgencyId, &Head)> {
        self.heads.iter()
    }

    /// The heads of all agencies that were committed last.
    #[must_use]
    pub const fn committed_heads(&self) -> Option<&CommittedHeads> {
        self.committed.as_ref()
    }

    /// What is known of an envelope.
    #[must_use]
    pub fn known(&self, key: &EnvelopeKey) -> Lookup {
        self.known.look_up(key)
    }

    pub(crate) fn is_absent(&self, key: &ReferralKey) -> bool {
        self.absent.contains(key)
    }

    /// Takes what the index says of an envelope, for the batch at hand.
    pub fn envelope_loaded(&mut self, key: EnvelopeKey, known: Option<Known>) {
        self.known.loaded(key, known);
    }

    /// Takes a referral folded from its records, or the word that there is none, for the batch at
    /// hand.
    pub fn referral_loaded(&mut self, key: ReferralKey, referral: Option<Referral>) {
        match referral {
            Some(referral) => {
                self.loaded.push(key.clone());
                self.hold(key, referral);
            }
            None => self.absent.push(key),
        }
    }

    /// The closed referral that a command is about, if it had to be loaded: the journal must hold it
    /// beside the command.
    #[must_use]
    pub fn reopened(&self, command: &Command) -> Option<(&ReferralKey, &Referral)> {
        let key = command.referral()?;
        let (key, referral) = self.referrals.get_key_value(key).filter(|_| self.loaded.contains(key))?;
        Some((key, referral.as_ref()))
    }

    /// Begins a batch at a moment, which is never before the last one's.
    pub fn begin_batch(&mut self, wall: TimeMs) -> TimeMs {
        self.now = self.now.max(wall);
        let now = self.now;
        if self.denials.len() >= DENIAL_WINDOWS_MAX {
            // Else those that are over would keep every new caller's denials out of the evidence.
            self.denials.retain(|_, window| !window.is_over(now));
        }
        if self.queries.len() >= QUERY_WINDOWS_MAX {
            self.queries.retain(|_, window| !window.is_over(now));
        }
        self.now
    }

    /// Ends a batch: both logs grow by what was applied.
    pub fn end_batch(&mut self) -> BatchGrowth {
        self.known.forget_loaded();
        self.absent.clear();
        let closing = std::mem::take(&mut self.closing);
        for key in std::mem::take(&mut self.loaded).into_iter().chain(closing) {
            self.forget_closed(&key);
        }
        BatchGrowth { evidence: self.evidence.close(), directory: self.directory_log.close() }
    }

    /// Makes a fact of an effect: its place in the log, its time, its bytes.
    #[must_use]
    pub fn settle(&self, effect: Effect, salt: Salt) -> Fact {
        match effect {
            Effect::Evidence(happening) => {
                let place = self.place(&happening);
                Record::new(*happening, place, salt).into()
            }
            Effect::Directory { effective_at, what } => {
                Fact::Directory(DirectoryFact::new(self.now, effective_at, what))
            }
        }
    }

    /// Where a happening would stand, were it the next.
    #[must_use]
    pub fn place(&self, what: &Happening) -> Place {
        let link = |party: &AgencyId| {
            let head = self.heads.get(party);
            PartyLink {
                party: party.clone(),
                count: head.map_or(0, |head| head.count).saturating_add(1),
                previous: head.map(|head| head.last),
            }
        };
        let referral = what.referral.as_ref().and_then(|key| self.referrals.get(key));
        Place {
            index: self.evidence.size(),
            time: self.now,
            directory_size: self.directory_log.size(),
            previous: referral.map(|referral| referral.previous),
            links: what.parties.iter().map(link).collect(),
        }
    }

    /// Applies a fact. It cannot fail: it was decided before it was written.
    pub fn apply(&mut self, fact: &Fact, cause: Cause<'_>) {
        match fact {
            Fact::Evidence(record) => self.apply_record(record, cause),
            Fact::Directory(fact) => self.apply_directory(fact, cause),
        }
    }

    fn apply_record(&mut self, record: &Record, cause: Cause<'_>) {
        self.apply_heads(record, cause.at);
        let commitment = record.commitment();
        self.evidence.added.push(leaf_hash(&commitment.leaf()));
        for link in &record.place.links {
            self.heads.insert(link.party.clone(), Head { count: link.count, last: commitment });
        }
        self.apply_known(record, cause.at);
        self.apply_denial(record);
        self.apply_query(record);
        self.apply_stop(record);
        self.clock.apply(record);
        // The parked parts are read before the referral lets go of them.
        self.apply_mail(record, cause);
        self.apply_referral(record, cause);
    }

    fn apply_heads(&mut self, record: &Record, at: Locator) {
        let committed = record.what.event == Event::HeadsCommitted;
        if committed {
            let heads = self.heads.iter().map(|(agency, head)| (agency.clone(), *head)).collect();
            self.committed = Some(CommittedHeads { at, heads });
        }
        if committed || (self.heads.is_empty() && !record.place.links.is_empty()) {
            self.heads_day = day(record.place.time);
        }
    }

    /// The heads to be committed now: once on every day on which there is a new one.
    pub(crate) fn heads_due(&self) -> Option<&BTreeMap<AgencyId, Head>> {
        let has_new = || {
            let committed = self.committed.iter().flat_map(|committed| &committed.heads);
            !self.heads.iter().eq(committed.map(|(agency, head)| (agency, head)))
        };
        (day(self.now) > self.heads_day && !self.heads.is_empty() && has_new()).then_some(&self.heads)
    }

    fn apply_known(&mut self, record: &Record, at: Locator) {
        let what = &record.what;
        if what.event != Event::SubmissionAcceptance {
            return;
        }
        if let (Some(from), Some(id), Some(digest)) = (&what.sender, what.envelope_id, what.envelope) {
            self.known.insert(EnvelopeKey { id, from: from.clone() }, Known { digest, at });
        }
    }

    fn apply_denial(&mut self, record: &Record) {
        let what = &record.what;
        let (Event::SubmissionRejection, Some((refusal, _))) = (what.event, what.refusal) else {
            return;
        };
        let now = record.place.time;
        self.denials.entry((who(what), refusal)).or_insert(DenialWindow::from(now)).count(now);
    }

    fn apply_query(&mut self, record: &Record) {
        let what = &record.what;
        // A record that stands for several is no query of its own.
        if what.event == Event::Queried && what.count == 0 {
            let now = record.place.time;
            self.queries.entry(who(what)).or_insert(DenialWindow::from(now)).count(now);
        }
        if let (Event::Looked, 0, Some(actor)) = (what.event, what.count, &what.actor) {
            let now = record.place.time;
            self.queries.entry(looks_of(actor)).or_insert(DenialWindow::from(now)).count(now);
        }
    }

    /// A person at the agency that refers must look; whatever it says then, somebody has.
    fn apply_stop(&mut self, record: &Record) {
        let what = &record.what;
        let Some(key) = &what.referral else {
            return;
        };
        if what.event == Event::EscalationStopped {
            if self.stopped.len() >= STOPPED_MAX && !self.stopped.contains_key(key) {
                self.stopped.pop_first();
            }
            let urgency = self.referrals.get(key).map_or(Urgency::Normal, |referral| referral.urgency);
            let stopped = Stopped::of(what, urgency, record.place.time);
            self.stopped.insert(key.clone(), stopped);
        } else if what.event == Event::SubmissionAcceptance && what.sender.as_ref() == Some(&key.opened_by)
            || what.event == Event::Escalated
        {
            self.stopped.remove(key);
        }
    }

    fn apply_mail(&mut self, record: &Record, cause: Cause<'_>) {
        let what = &record.what;
        let (Some(recipient), Some(envelope)) = (&what.recipient, what.envelope) else {
            return;
        };
        match Movement::of(what) {
            Some(Movement::Consigned) => self.consign(record, cause),
            Some(Movement::Released) => self.disclose(record),
            Some(Movement::Gone) => {
                if let Some(order) = self.waiting_order(recipient, &envelope) {
                    self.mailboxes.take(recipient, order);
                }
            }
            Some(Movement::Blocked) => {
                if let Some(order) = self.waiting_order(recipient, &envelope) {
                    self.mailboxes.block(recipient, order);
                }
            }
            None => {}
        }
    }

    fn waiting_order(&self, recipient: &AgencyId, envelope: &Digest) -> Option<u64> {
        self.mailboxes.of(recipient)?.find(envelope).map(|mail| mail.order)
    }

    fn consign(&mut self, record: &Record, cause: Cause<'_>) {
        let (Some(header), Some(envelope)) = (cause.command.header(), record.what.envelope) else {
            return self.hand_on(record);
        };
        let mail = Mail {
            order: record.place.index,
            envelope,
            from: header.from.clone(),
            referral: header.referral.clone(),
            attempt: header.attempt,
            act: header.act,
            urgency: header.urgency,
            expires_at: header.expires_at,
            at: cause.at,
            release: Release::AtOnce,
            parts: digest_of_parts(&digests_released(&header.parts, Release::AtOnce)),
            blocked: false,
        };
        self.deliver(&header.to, mail);
    }

    /// What was sealed in advance for the agency whose turn it is now.
    fn hand_on(&mut self, record: &Record) {
        let what = &record.what;
        let (Some(key), Some(recipient)) = (&what.referral, &what.recipient) else {
            return;
        };
        let referral = self.referrals.get(key);
        let Some((referral, ahead)) =
            referral.and_then(|it| it.sealed_ahead.as_deref().map(|ahead| (it, ahead)))
        else {
            return;
        };
        let mail = Mail {
            order: record.place.index,
            envelope: ahead.envelope,
            from: key.opened_by.clone(),
            referral: key.clone(),
            attempt: what.attempt,
            act: crate::lifecycle::Act::Submit,
            urgency: referral.urgency,
            expires_at: ahead.expires_at,
            at: ahead.at,
            release: Release::OnTurn,
            parts: digest_of_parts(&what.part_digests),
            blocked: false,
        };
        self.deliver(recipient, mail);
    }

    fn disclose(&mut self, record: &Record) {
        let what = &record.what;
        let (Some(key), Some(recipient)) = (&what.referral, &what.recipient) else {
            return;
        };
        let Some(referral) = self.referrals.get(key) else {
            return;
        };
        let Some(parked) = &referral.parked else {
            return;
        };
        let mail = Mail {
            order: record.place.index,
            envelope: parked.envelope,
            from: key.opened_by.clone(),
            referral: key.clone(),
            attempt: referral.attempt(),
            act: crate::lifecycle::Act::Submit,
            urgency: referral.urgency,
            // What was accepted does not expire unheard.
            expires_at: TimeMs(u64::MAX),
            at: parked.at,
            release: Release::OnAcceptance,
            parts: digest_of_parts(&parked.part_digests),
            blocked: false,
        };
        self.deliver(recipient, mail);
    }

    /// Puts mail into a mailbox.
    pub(crate) fn deliver(&mut self, to: &AgencyId, mut mail: Mail) {
        self.names.agency(&mut mail.from);
        self.names.agency(&mut mail.referral.opened_by);
        self.mailboxes.put(to, mail);
    }

    fn apply_referral(&mut self, record: &Record, cause: Cause<'_>) {
        let Some(key) = &record.what.referral else {
            return;
        };
        let (header, at) = (cause.command.header(), cause.at);
        if let Some(referral) = self.referrals.get_mut(key).map(Arc::make_mut) {
            let (before, was_held) = (referral.clocks.next(), held_at(referral));
            referral.take(record, header, at);
            if record.what.event == Event::SubmissionAcceptance {
                referral.share(&mut self.names);
            }
            let (after, is_held) = (referral.clocks.next(), held_at(referral));
            if was_held != is_held {
                was_held.iter().for_each(|agency| self.mailboxes.let_go(agency, key));
                is_held.iter().for_each(|agency| self.mailboxes.hold_back(agency, key));
            }
            if referral.is_closed() {
                self.closing.push(key.clone());
            }
            if before != after {
                relist(&mut self.due, key, before, after);
            }
        } else if let Some(opened) = Referral::open(record, header, at) {
            if opened.is_closed() {
                self.closing.push(key.clone());
            }
            self.hold(key.clone(), opened);
        }
    }

    fn forget_closed(&mut self, key: &ReferralKey) {
        if self.referrals.get(key).is_some_and(|referral| referral.is_closed()) {
            self.release(key);
        }
    }

    fn apply_directory(&mut self, fact: &DirectoryFact, cause: Cause<'_>) {
        use wire::directory_record::What;
        self.directory_log.added.push(leaf_hash(fact.bytes()));
        let applied = Applied { time: fact.time(), effective_at: fact.effective_at(), at: cause.at };
        if let Some(What::Lapse(lapse)) = fact.what() {
            if let Ok(subject) = Subject::parse(lapse.subject.clone()) {
                self.directory.release(&subject);
            }
            return;
        }
        let Command::Directory(command) = cause.command else {
            return;
        };
        match &command.object {
            DirectoryObject::Change(change) => self.directory.apply_change(&command.signed, change, applied),
            DirectoryObject::Mechanism(mechanism) => {
                self.directory.apply_mechanism(&command.signed, mechanism, cause.at);
            }
            DirectoryObject::Agreement(agreement) => {
                let by = match fact.what() {
                    Some(What::Agreement(entry)) => entry.signed_by.as_slice(),
                    _ => &[],
                };
                let by: Vec<_> =
                    by.iter().filter_map(|text| AgencyId::parse(text, "signed_by").ok()).collect();
                self.directory.apply_agreement(&command.signed, agreement, &by, cause.at);
            }
        }
    }

    /// Whether one more query of a caller is recorded, when so many in a window are.
    #[must_use]
    pub fn records_query(&self, caller: &Caller, most: u32) -> bool {
        match self.queries.get(caller.name()) {
            Some(window) => window.is_over(self.now) || window.recorded < most,
            None => self.queries.len() < QUERY_WINDOWS_MAX,
        }
    }

    /// Whether one more look of a member of staff at how deliveries stand is recorded, or only counted.
    #[must_use]
    pub fn records_look(&self, actor: &Pseudonym) -> bool {
        match self.queries.get(&looks_of(actor)) {
            Some(window) => window.is_over(self.now),
            None => self.queries.len() < QUERY_WINDOWS_MAX,
        }
    }

    /// Whether a denial of this caller and code would be recorded, or only counted.
    #[must_use]
    pub fn records_denial(&self, caller: &Caller, refusal: Refusal) -> bool {
        match self.denials.get(&(caller.name().to_owned(), refusal)) {
            Some(window) => window.is_over(self.now) || window.recorded < DENIALS_RECORDED,
            None => self.denials.len() < DENIAL_WINDOWS_MAX,
        }
    }
}

/// The name under which looks at deliveries are told apart. No caller has a name with a slash.
fn looks_of(actor: &Pseudonym) -> String {
    format!("deliveries/{actor}")
}

/// Who did it: a member of staff, or else an agency.
fn who(what: &Happening) -> String {
    let actor = what.actor.as_ref().map(ToString::to_string);
    actor.or_else(|| what.sender.as_ref().map(ToString::to_string)).unwrap_or_default()
}

impl DenialWindow {
    const fn from(start: TimeMs) -> Self {
        Self { start, recorded: 0 }
    }

    fn count(&mut self, now: TimeMs) {
        if self.is_over(now) {
            *self = Self::from(now);
        }
        self.recorded = self.recorded.saturating_add(1);
    }

    fn is_over(self, now: TimeMs) -> bool {
        now >= self.start.plus_ms(DENIAL_WINDOW_MS)
    }
}
