//! The one writer: decides, appends, syncs, answers. A plain synchronous step over the journal and
//! the time; whatever runs it only feeds it. Not here: rules (`proto`), sockets, threads.

pub mod answer;
mod receipts;
pub(crate) mod replay;
mod tally;

use std::sync::Arc;

use answer::{Answer, Busy};
use arc_swap::ArcSwap;
use bytes::Bytes;
use journal::{Journal, Mark, Room};
use proto::{
    batch::{Batch, ENTRIES_MAX, Entry, LoggedCheckpoint},
    caller::Caller,
    command::{Command, Denial, Tick},
    decide::{Decision, Load, Refused, refuse_taken_id},
    digest::Digest,
    directory::Directory,
    dsse::Signed,
    evidence::Salt,
    fact::{Effect, Fact},
    ids::{AgencyId, Locator, ReferralKey, TimeMs},
    log::{
        checkpoint::{Checkpoint, Origin},
        merkle::{self, Frontier, Growth},
        note::{KeyType, SignatureLine, SignedNote, VerifierKey},
        shard::Shards,
    },
    operation::Operation,
    receipt::Vouched,
    referral::Referral,
    refusal::Refusal,
    snapshot::{Encoding, Snapshot},
    state::{BatchGrowth, Cause, State},
};
use replay::Replay;
use tally::Tally;

pub use replay::{SNAPSHOT_BYTES, SNAPSHOT_RECORDS};

use crate::{
    fault::Fault,
    history::{History, Log, leaves},
    index::{Index, PartyBatch, rows::Rows},
    tiles::{Tiles, files::Files},
};

/// What a batch is filled up to, in bytes.
pub const BATCH_BYTES: u64 = 4 * 1024 * 1024;
/// How many due things one tick does at the most, before others get their turn.
pub const TICK_EFFECTS_MAX: usize = 1024;
/// What an entry is counted as beside its signed bytes and ciphertexts: its caller, its records,
/// their salts.
const ENTRY_BYTES: u64 = 8 * 1024;
/// What each envelope of a receipt is counted as.
const HANDOVER_BYTES: u64 = 4 * 1024;

/// The rules that the writer is handed: it decides nothing by itself.
pub type Rules = fn(&State, &Caller, &Command) -> Decision;

/// A log's name and key. Copies share what shards it has.
#[derive(Debug, Clone)]
pub struct LogKey {
    origin: Origin,
    key: proto::key::SigningKey,
    verifier: VerifierKey,
    shards: Arc<ArcSwap<Shards>>,
}

impl LogKey {
    /// The key of a log.
    #[must_use]
    pub fn new(origin: Origin, key: proto::key::SigningKey) -> Self {
        let verifier = VerifierKey::new(origin.key_name().clone(), KeyType::Ed25519, key.public());
        Self { origin, key, verifier, shards: Arc::default() }
    }

    /// The log's name, which its first shard bears.
    #[must_use]
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }

    /// What others check the log with; its shards, under their names.
    #[must_use]
    pub const fn verifier(&self) -> &VerifierKey {
        &self.verifier
    }

    /// The log's shards.
    #[must_use]
    pub fn shards(&self) -> Arc<Shards> {
        self.shards.load_full()
    }

    fn sign(&self, growth: &Growth) -> Result<LoggedCheckpoint, Fault> {
        self.sign_root(growth.size(), growth.root())
    }

    pub(crate) fn sign_frontier(&self, frontier: &Frontier) -> Result<LoggedCheckpoint, Fault> {
        self.sign_root(frontier.size(), frontier.root())
    }

    /// Signs a checkpoint under the name of the shard that reaches it. The signature is the same every time.
    fn sign_root(&self, size: u64, root: Digest) -> Result<LoggedCheckpoint, Fault> {
        let origin = self.origin.shard(self.shards.load().of_size(size))?;
        let text = Checkpoint { origin, size, root }.to_string();
        Ok(LoggedCheckpoint { size, root, sig: self.key.sign(text.as_bytes()) })
    }

    /// The note of a checkpoint that was signed before.
    fn note(&self, logged: &LoggedCheckpoint) -> Result<SignedNote, Fault> {
        let shard = self.shards.load().of_size(logged.size);
        let line = SignatureLine::kept(&self.verifier.shard(shard)?, &logged.sig);
        Ok(SignedNote::new(logged.of(&self.origin.shard(shard)?).to_string(), line)?)
    }
}

/// The keys of both logs.
#[derive(Debug, Clone)]
pub struct LogKeys {
    /// Of the evidence log.
    pub evidence: LogKey,
    /// Of the directory log.
    pub directory: LogKey,
}

impl LogKeys {
    /// Takes up the shards that a directory names.
    pub(crate) fn follow(&self, directory: &Directory) {
        let shards = (directory.evidence_shards(), directory.directory_shards());
        if (self.evidence.shards.load().as_ref(), self.directory.shards.load().as_ref())
            != (&shards.0, &shards.1)
        {
            self.evidence.shards.store(Arc::new(shards.0));
            self.directory.shards.store(Arc::new(shards.1));
        }
    }
}

/// A command, who asks, and the ciphertexts that came with it, checked against its header.
#[derive(Clone)]
pub struct Request {
    /// Who asks.
    pub caller: Caller,
    /// What.
    pub command: Command,
    /// Inline ciphertexts, in the header's order.
    pub parts: Vec<Bytes>,
}

/// The writer.
pub struct Writer<J, R, F> {
    journal: J,
    history: History,
    state: State,
    keys: LogKeys,
    rules: Rules,
    index: Index<R>,
    evidence_tiles: Tiles<F>,
    directory_tiles: Tiles<F>,
    last: Last,
    tally: Tally,
    replay: Replay,
    watch: Watch,
    /// Whether new envelopes are put off, before a planned stop. Of this process only.
    is_draining: bool,
    /// The bytes of a batch, whose memory is used again.
    meta: Vec<u8>,
}

/// What the process knows of its own clock.
#[derive(Debug, Clone, Copy, Default)]
struct Watch {
    /// Whether it has looked at the clock before.
    has_looked: bool,
    /// The last sign of life of the process before it.
    alive: TimeMs,
    /// How long nobody was there: to be said with the first batch that has room for it.
    away_ms: u64,
    /// After a restore, until it is said: how many witnesses were asked.
    restored_by: Option<u64>,
}

/// The checkpoints signed last.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Last {
    pub(crate) evidence: Option<LoggedCheckpoint>,
    pub(crate) directory: Option<LoggedCheckpoint>,
}

/// What the parts of a writer are when it starts.
pub(crate) struct Parts<J, R, F> {
    pub(crate) journal: J,
    pub(crate) state: State,
    pub(crate) keys: LogKeys,
    pub(crate) rules: Rules,
    pub(crate) index: Index<R>,
    pub(crate) tiles: (Tiles<F>, Tiles<F>),
    pub(crate) last: Last,
    pub(crate) replay: Replay,
}

/// A batch in the making.
#[derive(Default)]
struct Draft {
    entries: Vec<Entry>,
    blobs: Vec<Bytes>,
    bytes: u64,
}

/// What is to be answered once the batch is durable.
enum Outcome {
    Entry { place: usize, not_taken: Vec<(Digest, Refusal)> },
    Done(Locator),
    Refused { refused: Refused, place: Option<usize> },
    Busy(Busy),
    Nothing,
}

impl<J: Journal, R: Rows, F: Files> Writer<J, R, F> {
    pub(crate) fn new(parts: Parts<J, R, F>) -> Self {
        let history = History::new(parts.journal.reader());
        Self {
            journal: parts.journal,
            history,
            state: parts.state,
            keys: parts.keys,
            rules: parts.rules,
            index: parts.index,
            evidence_tiles: parts.tiles.0,
            directory_tiles: parts.tiles.1,
            last: parts.last,
            tally: Tally::default(),
            replay: parts.replay,
            watch: Watch::default(),
            is_draining: false,
            meta: Vec::new(),
        }
    }

    /// Decides requests one after the other, makes what they did durable with one write and one
    /// sync, and answers each. `wall` is the clock's; `salts` gives independent random values.
    ///
    /// # Errors
    /// [`Fault`]: nothing was answered, and nothing is known of the batch. The process must end.
    pub fn step(
        &mut self,
        wall: TimeMs,
        requests: Vec<Request>,
        salts: &mut dyn FnMut() -> Salt,
    ) -> Result<Vec<Answer>, Fault> {
        // 1. Space is taken before anything is decided.
        let room = self.journal.room();
        let said = self.look(wall);
        let mut draft = Draft { entries: Vec::with_capacity(requests.len()), ..Draft::default() };
        // Nothing comes before the first record of a shard: it is said with the next batch.
        let begins = requests.iter().any(|request| request.command.new_shard().is_some());
        if said != Tick::default() && !begins {
            self.pass(Command::Tick(said), room, &mut draft, salts)?;
        }
        // 2. Each is decided and applied before the next one.
        let mut outcomes = Vec::with_capacity(requests.len());
        for request in requests {
            outcomes.push(self.take(request, room, &mut draft, salts)?);
        }
        // 3. One write, one sync: THE COMMIT POINT. What it promises is durable from here on.
        let batch = self.commit(draft)?;
        // 4. Only now are there answers.
        outcomes.into_iter().map(|outcome| self.answer(outcome, batch.as_ref())).collect()
    }

    /// Does what is due by the clock, as a batch of its own. Nothing is appended when nothing is.
    ///
    /// # Errors
    /// As [`Self::step`].
    pub fn tick(&mut self, wall: TimeMs, salts: &mut dyn FnMut() -> Salt) -> Result<(), Fault> {
        let room = self.journal.room();
        let said = self.look(wall);
        let again = Tick { clock_ahead_ms: said.clock_ahead_ms, ..Tick::default() };
        let now = self.state.now();
        let first = Tick { denials: self.tally.take(now), ..said };
        let queries = self.tally.take_queries(now);
        let mut draft = Draft::default();
        if self.watch.restored_by.is_some() {
            let restored = Tick { restored_by: self.watch.restored_by, ..Tick::default() };
            if self.pass(Command::Tick(restored), room, &mut draft, salts)? {
                self.watch.restored_by = None;
            }
        }
        let first = (first != again).then_some(Command::Tick(first));
        let queries = (!queries.is_empty()).then_some(Command::Queries(queries));
        let mut commands = first.into_iter().chain(queries);
        for _ in 0..TICK_EFFECTS_MAX {
            let command = commands.next().unwrap_or_else(|| Command::Tick(again.clone()));
            if !self.pass(command, room, &mut draft, salts)? {
                break;
            }
        }
        self.commit(draft).map(|_| ())
    }

    /// Tells the writer when the process before it was last seen alive, if that is known.
    pub fn was_alive(&mut self, at: TimeMs) {
        self.watch.alive = at;
    }

    /// Tells the writer that it goes on from a backup, so many witnesses having been asked: the first thing
    /// that it records.
    pub const fn was_restored(&mut self, witnesses: u64) {
        self.watch.restored_by = Some(witnesses);
    }

    /// The root of the beginning of a log; none while its tiles are behind, or damaged.
    #[must_use]
    pub fn root(&self, log: Log, size: u64) -> Option<Digest> {
        let tiles = self.tiles(log);
        if tiles.size() < size { None } else { merkle::root(size, &tiles.reader(size)).ok() }
    }

    /// Begins a batch at the moment that the rules believe it to be; gives what is to be said of the
    /// clock.
    fn look(&mut self, wall: TimeMs) -> Tick {
        let moment = if self.watch.has_looked {
            self.state.look(wall)
        } else {
            self.state.first_look(self.watch.alive, wall)
        };
        self.watch.has_looked = true;
        self.watch.away_ms = self.watch.away_ms.max(moment.resumed_after_ms);
        self.state.begin_batch(moment.now);
        Tick {
            denials: Vec::new(),
            resumed_after_ms: self.watch.away_ms,
            clock_ahead_ms: moment.clock_ahead_ms,
            restored_by: None,
        }
    }

    /// Lets time pass by one thing that is due; tells whether there was one.
    fn pass(
        &mut self,
        command: Command,
        room: Room,
        draft: &mut Draft,
        salts: &mut dyn FnMut() -> Salt,
    ) -> Result<bool, Fault> {
        let resumed = matches!(&command, Command::Tick(tick) if tick.resumed_after_ms != 0);
        let request = Request { caller: Caller::Gateway, command, parts: Vec::new() };
        let done = match self.take(request, room, draft, salts)? {
            Outcome::Entry { .. } => true,
            Outcome::Done(_) | Outcome::Refused { .. } | Outcome::Busy(_) | Outcome::Nothing => false,
        };
        if resumed && done {
            self.watch.away_ms = 0;
        }
        Ok(done)
    }

    fn take(
        &mut self,
        request: Request,
        room: Room,
        draft: &mut Draft,
        salts: &mut dyn FnMut() -> Salt,
    ) -> Result<Outcome, Fault> {
        if let Some(busy) = no_space(&request, room, draft).or_else(|| self.put_off(&request)) {
            // What was taken before takes no space again: it has its receipt, also on a full disk.
            if matches!(busy, Busy::Disk | Busy::Draining)
                && let Ok(Decision::Done(at)) = self.decide(&request)?
            {
                return Ok(Outcome::Done(at));
            }
            return Ok(Outcome::Busy(busy));
        }
        let decision = match self.decide(&request)? {
            Ok(decision) => decision,
            Err(busy) => return Ok(Outcome::Busy(busy)),
        };
        let decision = if let Decision::Compare(at) = decision {
            let field = self.differing_field(&request.command, at, draft)?;
            refuse_taken_id(&self.state, &request.caller, &request.command, field)
        } else {
            decision
        };
        Ok(match decision {
            Decision::Do(effects, not_taken) => {
                let place = self.enter(request, effects, draft, salts);
                Outcome::Entry { place, not_taken }
            }
            Decision::Done(at) => Outcome::Done(at),
            Decision::Nothing if matches!(request.command, Command::Query(_)) => {
                self.tally.query(request.caller.name(), self.state.now());
                Outcome::Nothing
            }
            Decision::Nothing | Decision::Compare(_) | Decision::Load(_) => Outcome::Nothing,
            Decision::Refuse(mut refused) => {
                let Some(effect) = refused.evidence.take() else {
                    self.tally.count(request.caller.name(), refused.refusal, self.state.now());
                    return Ok(Outcome::Refused { refused, place: None });
                };
                // Of what was refused the journal keeps the digest only: nobody has checked its codes
                // against an agreement, so they could spell a name.
                let digest = request.command.signed().map(Signed::digest);
                let command = match request.command {
                    Command::Denial(denial) => Command::Denial(denial),
                    Command::Push(_)
                    | Command::Handover(_)
                    | Command::Directory(_)
                    | Command::Tick(_)
                    | Command::Query(_)
                    | Command::Queries(_)
                    | Command::Erase(_)
                    | Command::Operate(_) => {
                        Command::Denial(Denial { refusal: refused.refusal, field: refused.field, digest })
                    }
                };
                let request = Request { caller: request.caller, command, parts: Vec::new() };
                let place = self.enter(request, vec![effect], draft, salts);
                Outcome::Refused { refused, place: Some(place) }
            }
        })
    }

    /// New envelopes, while the gateway is being drained.
    fn put_off(&self, request: &Request) -> Option<Busy> {
        (self.is_draining && matches!(request.command, Command::Push(_))).then_some(Busy::Draining)
    }

    /// Decides, and loads what memory does not hold.
    fn decide(&mut self, request: &Request) -> Result<Result<Decision, Busy>, Fault> {
        loop {
            let decision = (self.rules)(&self.state, &request.caller, &request.command);
            let Decision::Load(load) = decision else {
                return Ok(Ok(decision));
            };
            match load {
                Load::Envelope(key) => match self.index.envelope(&key, &self.history) {
                    Some(known) => self.state.envelope_loaded(key, known),
                    None => return Ok(Err(Busy::Indexing)),
                },
                Load::Referral(key) => match self.index.referral(&key, &self.history) {
                    Some(places) => {
                        let referral = self.fold_referral(&key, &places)?;
                        self.state.referral_loaded(key, referral);
                    }
                    None => return Ok(Err(Busy::Indexing)),
                },
            }
        }
    }

    /// A closed referral, as its own records tell it.
    fn fold_referral(&self, key: &ReferralKey, places: &[Locator]) -> Result<Option<Referral>, Fault> {
        let mut referral = None;
        for at in places {
            let batch = self.history.batch(at.batch)?;
            let place = usize::try_from(at.entry).unwrap_or(usize::MAX);
            let Some(entry) = batch.entries.get(place) else {
                continue;
            };
            for record in entry.facts.iter().filter_map(Fact::record) {
                if record.what.referral.as_ref() == Some(key) {
                    Referral::fold(&mut referral, record, entry.command.header(), *at);
                }
            }
        }
        Ok(referral)
    }

    /// Settles and applies effects one after the other, and enters them into the batch.
    fn enter(
        &mut self,
        request: Request,
        effects: Vec<Effect>,
        draft: &mut Draft,
        salts: &mut dyn FnMut() -> Salt,
    ) -> usize {
        let place = draft.entries.len();
        let at = Locator {
            batch: self.journal.end().batch_no.get(),
            entry: u32::try_from(place).unwrap_or(u32::MAX),
        };
        if let Command::Operate(operate) = &request.command {
            self.is_draining = match operate.operation {
                Operation::Drain => true,
                Operation::Undrain => false,
                Operation::NotifyAgain | Operation::Hold | Operation::Release | Operation::Return => {
                    self.is_draining
                }
            };
        }
        let reopened = self.state.reopened(&request.command);
        let reopened = reopened.map(|(key, referral)| Box::new((key.clone(), referral.clone())));
        let mut facts = Vec::with_capacity(effects.len());
        for effect in effects {
            let fact = self.state.settle(effect, salts());
            self.state.apply(&fact, Cause { command: &request.command, at });
            facts.push(fact);
        }
        draft.bytes = draft.bytes.saturating_add(entry_bytes(&request));
        let blobs = u32::try_from(request.parts.len()).unwrap_or(u32::MAX);
        draft.blobs.extend(request.parts);
        let Request { caller, command, .. } = request;
        draft.entries.push(Entry { caller, command, facts, blobs, reopened });
        place
    }

    /// The field in which an envelope differs from the one accepted under its id.
    fn differing_field(&self, command: &Command, at: Locator, draft: &Draft) -> Result<&'static str, Fault> {
        let place = usize::try_from(at.entry).unwrap_or(usize::MAX);
        let earlier = if at.batch == self.journal.end().batch_no.get() {
            draft.entries.get(place).map(|entry| entry.command.clone())
        } else {
            let mut batch = self.history.batch(at.batch)?;
            (place < batch.entries.len()).then(|| batch.entries.swap_remove(place).command)
        };
        let headers = earlier.as_ref().and_then(Command::header).zip(command.header());
        let field = headers.and_then(|(earlier, now)| earlier.first_difference(now));
        Ok(field.unwrap_or(Refusal::EnvelopeIdTaken.field()))
    }

    /// Appends the batch and grows both logs. Nothing of it is seen by anybody before the sync.
    fn commit(&mut self, draft: Draft) -> Result<Option<Committed>, Fault> {
        if draft.entries.is_empty() {
            self.state.end_batch();
            return Ok(None);
        }
        self.check_network()?;
        let batch = Batch {
            now: self.state.now(),
            evidence: self.last.evidence.clone(),
            directory: self.last.directory.clone(),
            entries: draft.entries,
        };
        let blobs: Vec<&[u8]> = draft.blobs.iter().map(AsRef::as_ref).collect();
        tracing::trace!(target: "writer", entries = batch.entries.len(), "decided");
        batch.encode_into(&mut self.meta);
        let appended = self.journal.append(&self.meta, &blobs)?;
        tracing::trace!(target: "writer", "committed");
        let growth = self.state.end_batch();
        let vouched = self.sign(&growth)?;
        tracing::trace!(target: "writer", "signed");
        self.publish(&batch, appended.mark, appended.next);
        tracing::trace!(target: "writer", "published");
        Ok(Some(Committed { number: appended.mark.batch_no.get(), batch, growth, vouched }))
    }

    /// The first entry of the directory names the logs; these keys must be theirs.
    fn check_network(&self) -> Result<(), Fault> {
        let Some(network) = self.state.directory().network() else {
            return Ok(());
        };
        let ours = network.evidence_origin == self.keys.evidence.origin
            && network.directory_origin == self.keys.directory.origin;
        if ours { Ok(()) } else { Err(Fault::OtherNetwork) }
    }

    /// Signs what grew, and makes the note that the batch's receipts share.
    fn sign(&mut self, growth: &BatchGrowth) -> Result<Vouched, Fault> {
        self.keys.follow(self.state.directory());
        let evidence = self.keys.evidence.sign(&growth.evidence)?;
        let vouched = self.vouched(&evidence)?;
        self.last.evidence = Some(evidence);
        let size = self.last.directory.as_ref().map_or(0, |directory| directory.size);
        if growth.directory.size() > size {
            self.last.directory = Some(self.keys.directory.sign(&growth.directory)?);
        }
        Ok(vouched)
    }

    /// Hands the batch to what follows the journal.
    fn publish(&mut self, batch: &Batch, mark: Mark, next: Mark) {
        self.index.follow(batch, mark, next);
        let before = |log| crate::history::size_before(batch, log);
        self.evidence_tiles.follow(before(Log::Evidence), leaves(batch, Log::Evidence));
        self.directory_tiles.follow(before(Log::Directory), leaves(batch, Log::Directory));
    }

    fn answer(&mut self, outcome: Outcome, committed: Option<&Committed>) -> Result<Answer, Fault> {
        Ok(match outcome {
            Outcome::Busy(busy) => Answer::Busy(busy),
            Outcome::Nothing => Answer::Nothing,
            Outcome::Entry { place, not_taken } => {
                Answer::Taken { receipts: self.receipts_of(place, committed)?, not_taken }
            }
            Outcome::Refused { refused, place } => {
                let receipts = place.map(|place| self.receipts_of(place, committed)).transpose()?;
                let receipt = receipts.unwrap_or_default().pop().map(Box::new);
                Answer::Refused {
                    refusal: refused.refusal,
                    field: refused.field,
                    legal_acts: refused.legal_acts,
                    receipt,
                }
            }
            Outcome::Done(at) => self.answer_again(at, committed)?,
        })
    }

    /// Work behind the commit: rows and tiles are written, and what is missing is caught up, a little
    /// at a time.
    ///
    /// # Errors
    /// [`Fault::Derived`] when tiles cannot be written, [`Fault::Read`] when the journal cannot be
    /// read: neither touches what was acknowledged, and both may be tried again.
    pub fn follow_up(&mut self, batches_max: u64) -> Result<(), Fault> {
        let batches = usize::try_from(batches_max).unwrap_or(usize::MAX);
        self.index.follow_up(&self.history, batches)?;
        let sizes = (self.state.evidence().size(), self.state.directory_log().size());
        self.evidence_tiles.catch_up(&self.history, sizes.0, batches_max)?;
        self.directory_tiles.catch_up(&self.history, sizes.1, batches_max)?;
        self.evidence_tiles.write()?;
        self.directory_tiles.write()
    }

    /// Publishes the latest checkpoints with their tiles. Gives the evidence note and the place in
    /// the journal up to which it speaks, for the anchor; nothing while the tiles are behind.
    ///
    /// # Errors
    /// As [`Self::follow_up`].
    pub fn publish_checkpoints(&mut self) -> Result<Option<(Mark, SignedNote)>, Fault> {
        let (Some(evidence), Some(directory)) = (&self.last.evidence, &self.last.directory) else {
            return Ok(None);
        };
        let behind =
            self.evidence_tiles.size() != evidence.size || self.directory_tiles.size() != directory.size;
        if behind {
            return Ok(None);
        }
        let anchored = self.to_anchor()?;
        if self.directory_tiles.published() != directory.size {
            self.directory_tiles.publish(&self.keys.directory.note(directory)?)?;
        }
        if let Some((_, note)) =
            anchored.as_ref().filter(|_| self.evidence_tiles.published() != evidence.size)
        {
            self.evidence_tiles.publish(note)?;
        }
        Ok(anchored)
    }

    /// What the anchor is to say: the latest evidence checkpoint, and the place in the journal up to which it
    /// speaks; nothing before the first.
    ///
    /// # Errors
    /// [`Fault::Malformed`] when it cannot be a note.
    pub fn to_anchor(&self) -> Result<Option<(Mark, SignedNote)>, Fault> {
        let note =
            self.last.evidence.as_ref().map(|evidence| self.keys.evidence.note(evidence)).transpose()?;
        Ok(note.map(|note| (self.journal.end(), note)))
    }

    /// Makes the published folders again from the journal, from their first tile: for folders in which
    /// [`crate::verify`] found damage. It takes effect as [`Self::follow_up`] goes on.
    pub fn remake_tiles(&mut self) {
        self.evidence_tiles.forget();
        self.directory_tiles.forget();
    }

    /// The state, to be encoded while the writer goes on, and the place in the journal up to which it speaks. From here on counts what
    /// makes the next one due, whether or not this one is written: that it is not costs time at a start,
    /// nothing else.
    #[must_use]
    pub fn snapshot(&mut self) -> (Mark, Encoding) {
        let end = self.journal.end();
        let Last { evidence, directory } = &self.last;
        let next_batch = end.batch_no.get();
        let encoding = Snapshot::encoding_of(&self.state, next_batch, evidence.as_ref(), directory.as_ref());
        self.replay = Replay::from_here(end, &self.state);
        (end, encoding)
    }

    /// Whether a start would have so much to replay that a snapshot should be taken.
    #[must_use]
    pub fn is_snapshot_due(&self) -> bool {
        self.replay.is_long(self.journal.end(), &self.state)
    }

    /// Where a referral's records stand, in order. Nothing while the index is not complete.
    pub fn places(&mut self, referral: &ReferralKey) -> Option<Vec<Locator>> {
        self.index.referral(referral, &self.history)
    }

    /// The batches from one on in which a party has records, so many at the most. Nothing while the
    /// index is not complete.
    pub fn batches_of(&mut self, party: &AgencyId, from: u64, most: usize) -> Option<Vec<PartyBatch>> {
        self.index.party(party, from, most, &self.history)
    }

    /// Whether ordinary work would be taken now.
    pub fn has_room(&mut self) -> bool {
        matches!(self.journal.room(), Room::Ordinary { .. })
    }

    /// Whether new envelopes are put off, before a planned stop.
    #[must_use]
    pub const fn is_draining(&self) -> bool {
        self.is_draining
    }

    /// What the rules know.
    #[must_use]
    pub const fn state(&self) -> &State {
        &self.state
    }

    /// What the journal tells of the past.
    #[must_use]
    pub const fn history(&self) -> &History {
        &self.history
    }

    /// The keys of both logs.
    #[must_use]
    pub const fn keys(&self) -> &LogKeys {
        &self.keys
    }

    /// The index.
    #[must_use]
    pub const fn index(&self) -> &Index<R> {
        &self.index
    }

    /// The tiles of a log.
    #[must_use]
    pub const fn tiles(&self, log: Log) -> &Tiles<F> {
        match log {
            Log::Evidence => &self.evidence_tiles,
            Log::Directory => &self.directory_tiles,
        }
    }

    /// The journal.
    #[must_use]
    pub const fn journal(&self) -> &J {
        &self.journal
    }
}

/// A batch that is durable.
struct Committed {
    number: u64,
    batch: Batch,
    growth: BatchGrowth,
    vouched: Vouched,
}

fn no_space(request: &Request, room: Room, draft: &Draft) -> Option<Busy> {
    let batch_bytes_max = match room {
        Room::Ordinary { reserved_bytes_max, .. } if request.command.is_reserved_work() => reserved_bytes_max,
        Room::Ordinary { batch_bytes_max, .. } => batch_bytes_max,
        Room::Reserved { batch_bytes_max } if request.command.is_reserved_work() => batch_bytes_max,
        Room::Reserved { .. } | Room::Nothing => return Some(Busy::Disk),
    };
    let bytes = draft.bytes.saturating_add(entry_bytes(request));
    let full = bytes > batch_bytes_max.min(BATCH_BYTES.max(entry_bytes(request)));
    if full && draft.entries.is_empty() {
        Some(Busy::Disk)
    } else if full || draft.entries.len() >= ENTRIES_MAX {
        Some(Busy::BatchFull)
    } else {
        None
    }
}

impl<R, F> Writer<journal::FileJournal, R, F> {
    /// Lets the next batch begin a segment, so that what is before it can be erased.
    pub fn roll(&mut self) {
        self.journal.roll();
    }
}

/// What an entry may come to in the journal, at the most.
fn entry_bytes(request: &Request) -> u64 {
    let length = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
    let signed = request.command.signed().map_or(0, |signed| length(signed.payload().len()));
    let parts = request.parts.iter().fold(0, |sum: u64, part| sum.saturating_add(length(part.len())));
    let handovers = match &request.command {
        Command::Handover(handover) => length(handover.received.len()).saturating_mul(HANDOVER_BYTES),
        Command::Push(_)
        | Command::Directory(_)
        | Command::Denial(_)
        | Command::Tick(_)
        | Command::Query(_)
        | Command::Queries(_)
        | Command::Erase(_)
        | Command::Operate(_) => 0,
    };
    // A directory change stands in the journal twice: as a command and as a leaf.
    ENTRY_BYTES.saturating_add(signed.saturating_mul(2)).saturating_add(parts).saturating_add(handovers)
}

impl<J, R, F> std::fmt::Debug for Writer<J, R, F> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer").field("end", &self.history.reader().end()).finish_non_exhaustive()
    }
}
