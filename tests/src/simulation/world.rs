//! A run's world: disk, process, clock, network, and the faults that befall them. After every step
//! what was promised is held against what is there.

use std::collections::{BTreeMap, BTreeSet};

use gateway::{
    fault::Fault,
    history::{Log, leaves},
    index::{QUIET_FOLLOW_UPS, rows::MemoryRows},
    start::{Derived, start},
    tiles::files::Files as _,
    verify::{Folders, Verifiers, What, Wrong, verify},
    writer::{Request, Writer, answer::Answer},
};
use journal::{
    AppendFault, Closed, Config, Crash, FileJournal, Grain, Journal as _, LogId, Mark, MemoryDisk,
    SegmentBytes,
};
use proto::{
    caller::{Caller, StaffRole},
    clocks::ClockKind,
    command::Command,
    decide::decide,
    digest::Digest,
    directory::change::SEALING_KEY_BYTES,
    evidence::Event,
    fact::Fact,
    gateway_clock::CLOCK_STEP_MS_MAX,
    ids::{Code, Pseudonym, ReferralKey, Release, TimeMs},
    key::KeyId,
    lifecycle::Act,
    log::{
        checkpoint::Checkpoint,
        merkle::{Frontier, inclusion_proof, leaf_hash, verify_inclusion},
        note::SignedNote,
        policy::Policy,
        tlog_proof::TlogProof,
    },
    operation::{Operate, Operation},
    receipt::Receipt,
    referral::digests_for,
    wire,
};

use super::{
    Done,
    agents::{Agents, Heard},
    planted::{BEFORE, Bug, PlantedJournal, SharedFiles, SharedRows, decide_on_the_state_before},
};
use crate::{
    network::{AGENCIES, BEGINNING, Network},
    random::Random,
};

type Twin = Writer<PlantedJournal, SharedRows, SharedFiles>;

const MINUTE_MS: u64 = 60_000;
const DAY_MS: u64 = 24 * 60 * MINUTE_MS;
/// How often the gateway of a simulation looks at its clock, at the least.
const LOOKS_EVERY_MS: u64 = 50 * MINUTE_MS;
/// How often time runs on by weeks at the end, so that nobody is awaited any more: once for each agency
/// that can be asked, and once for what is due after it.
const ROUNDS: usize = 6;
/// Below this much free space only reserved work is done.
const RESERVE_BYTES: u64 = 1024 * 1024;
/// In one of so many runs every signature is verified.
const SIGNATURES_EVERY: u64 = 8;
/// In one of so many runs time runs on at the end.
const RUN_OUT_EVERY: u64 = 8;
/// In one of so many runs, and in one of so many in which a file of the log was damaged, everything is
/// verified from the first byte.
const VERIFY_EVERY: u64 = 4;
const DAMAGE_VERIFY_EVERY: u64 = 2;
/// So many envelopes at a time are sent again at the end.
const AGAIN_AT_ONCE: usize = 8;
/// The folder of the index's runs.
const INDEX: &str = "index";
/// How many rows make a run, from few to more: in some runs of the simulation there is a run of rows
/// every few steps, and merges of merges; in others hardly one.
const ROWS_MAX: [u64; 2] = [12, 2000];

pub(super) struct World {
    seed: u64,
    random: Random,
    salts: Random,
    bug: Option<Bug>,
    disk: MemoryDisk,
    evidence: SharedFiles,
    directory: SharedFiles,
    rows: SharedRows,
    /// The index as it was a while ago: its store, and its runs with their names on the disk.
    old_rows: MemoryRows,
    old_runs: Vec<(String, Vec<u8>)>,
    writer: Option<Twin>,
    agents: Agents,
    policy: Policy,
    wall: TimeMs,
    /// Every checkpoint that anybody has seen, by its size.
    seen: BTreeMap<u64, Digest>,
    /// Notes that were read before.
    notes: BTreeMap<String, Checkpoint>,
    /// The end of the journal as the last good step left it.
    durable: Mark,
    disk_is_full: bool,
    tiles_damaged: bool,
    /// Agencies whose agents are switched off.
    off: [bool; AGENCIES.len()],
    /// Attempts that operators have held back or returned, or tried to: what waits of them may be taken back.
    stopped: BTreeSet<(ReferralKey, u32)>,
    done: Done,
}

impl World {
    pub(super) fn new(seed: u64, bug: Option<Bug>) -> Self {
        let network = Network::new();
        let files = SharedFiles { skips_tile: bug == Some(Bug::SkippedTile), ..SharedFiles::default() };
        let disk = MemoryDisk::new();
        let log_id = LogId::new(Random::new(seed).bytes());
        FileJournal::create(&disk.volume(), &log_id, SegmentBytes::MIN).unwrap();
        let rows_max = ROWS_MAX[0] + seed.wrapping_mul(seed) % (ROWS_MAX[1] - ROWS_MAX[0]);
        let rows = MemoryRows::new(disk.folder(INDEX), usize::try_from(rows_max).unwrap());
        let mut world = Self {
            seed,
            random: Random::new(seed ^ 0x5eed),
            salts: Random::new(seed ^ 0x5a17),
            bug,
            policy: network.policy(),
            evidence: files,
            directory: SharedFiles::default(),
            old_rows: rows.clone(),
            old_runs: Vec::new(),
            rows: SharedRows::new(rows, bug),
            writer: None,
            agents: Agents::new(network),
            disk,
            wall: BEGINNING,
            seen: BTreeMap::new(),
            notes: BTreeMap::new(),
            durable: Mark::START,
            disk_is_full: false,
            tiles_damaged: false,
            off: [false; AGENCIES.len()],
            stopped: BTreeSet::new(),
            done: Done::default(),
        };
        world.writer = world.open().ok();
        for request in world.agents.network.founding() {
            let answers = world.ask(vec![request]).unwrap().unwrap();
            assert!(answers.iter().all(|answer| matches!(answer, Answer::Taken { .. })), "{answers:?}");
        }
        if bug == Some(Bug::AnswerBeforeSync) {
            world.disk.lie_about_syncs();
        }
        world
    }

    // The process: its start, its end, what it is asked.

    fn open(&self) -> Result<Twin, Fault> {
        let closed = Closed::lock(&self.disk.volume(), &self.disk.volume())?;
        let config = Config { reserve_bytes: RESERVE_BYTES, ..Config::inline() };
        self.rows.store().mount(self.disk.folder(INDEX));
        let derived = Derived {
            rows: self.rows.clone(),
            evidence: self.evidence.clone(),
            directory: self.directory.clone(),
        };
        let rules = if self.bug == Some(Bug::DuplicateInBatch) { decide_on_the_state_before } else { decide };
        let keys = self.agents.network.keys.clone();
        let (writer, _) =
            start(closed, config, keys, rules, derived, |journal| PlantedJournal::new(journal, self.bug))?;
        Ok(writer)
    }

    /// Starts the process again, through whatever befalls it while it starts.
    fn restart(&mut self) -> Result<(), String> {
        self.writer = None;
        self.done.lives += 1;
        for _ in 0..self.random.below(3) {
            // The machine fails again while it recovers.
            let crash = self.crash_kind();
            self.disk.crash_after(self.random.below(6), crash);
            if let Ok(writer) = self.open() {
                drop(writer);
            }
            self.disk.crash(crash);
            self.lose_derived(crash);
        }
        // A crash that was due before may come while it starts.
        self.writer = match self.open() {
            Err(fault) if is_dead_disk(&fault) => {
                self.disk.crash(Crash::LoseUnsynced);
                self.open().map(Some)
            }
            opened => opened.map(Some),
        }
        .map_err(|fault| format!("the journal does not open again: {fault}"))?;
        let end = self.writer().journal().end();
        if end.position < self.durable.position {
            return Err(format!("the journal ends at {:?}, but {:?} was acknowledged", end, self.durable));
        }
        self.durable = end;
        self.check_promises()
    }

    fn writer(&mut self) -> &mut Twin {
        self.writer.as_mut().unwrap()
    }

    /// One step of the writer. `None` when the process ended in it.
    fn ask(&mut self, requests: Vec<Request>) -> Result<Option<Vec<Answer>>, String> {
        let wall = self.wall;
        let writer = self.writer.as_mut().unwrap();
        if self.bug == Some(Bug::DuplicateInBatch) {
            let mut before = writer.state().clone();
            before.begin_batch(wall);
            BEFORE.set(before);
        }
        let salts = &mut self.salts;
        match writer.step(wall, requests, &mut || salts.salt()) {
            Ok(answers) => {
                self.durable = self.writer().journal().end();
                for answer in &answers {
                    self.check_answer(answer)?;
                }
                Ok(Some(answers))
            }
            Err(_) => self.ended().map(|()| None),
        }
    }

    /// What a disk fault does to the process outside the writer's step: it ends. Any other fault is a
    /// failure of the run.
    fn survive<T>(&mut self, done: Result<T, Fault>) -> Result<Option<T>, String> {
        match done {
            Ok(done) => Ok(Some(done)),
            Err(fault) if is_dead_disk(&fault) => self.ended().map(|()| None),
            Err(fault) => Err(fault.to_string()),
        }
    }

    /// The process ended by a fault of the disk; what it wrote may still be there.
    fn ended(&mut self) -> Result<(), String> {
        let crash = if self.random.once_in(2) { Crash::Kill } else { self.crash_kind() };
        self.disk.crash(crash);
        self.lose_derived(crash);
        self.restart()
    }

    fn crash_kind(&mut self) -> Crash {
        let seed = self.random.next();
        match self.random.below(5) {
            0 => Crash::Kill,
            1 => Crash::LoseUnsynced,
            2 => Crash::KeepFirst { bytes: self.random.below(6000) },
            3 => Crash::Tear { grain: Grain::Sector, seed },
            _ => Crash::Tear { grain: Grain::Word, seed },
        }
    }

    /// Derived files after a power cut: what was not synced may be gone.
    fn lose_derived(&mut self, crash: Crash) {
        if crash == Crash::Kill {
            return;
        }
        if self.random.once_in(2) {
            self.evidence.files.borrow_mut().lose_unsynced();
            self.directory.files.borrow_mut().lose_unsynced();
        }
        if self.random.once_in(3) {
            self.rows.store().lose();
        }
    }

    // What happens by itself.

    pub(super) fn step(&mut self) -> Result<(), String> {
        self.done.steps += 1;
        self.pass_time()?;
        match self.random.below(20) {
            0..=11 => self.push(),
            12..=15 => self.hand_over(),
            16 => self.tick(),
            17 => self.follow_up(),
            18 => self.change_directory(),
            _ => self.keep_house(),
        }
    }

    fn pass_time(&mut self) -> Result<(), String> {
        let mut passes = match self.random.below(100) {
            0 => 9 * DAY_MS,
            1..=5 => 60 * MINUTE_MS,
            _ => self.random.below(2 * MINUTE_MS),
        };
        // A gateway that is there looks at its clock all the time.
        while passes > LOOKS_EVERY_MS {
            passes -= LOOKS_EVERY_MS;
            self.wall = self.wall.plus_ms(LOOKS_EVERY_MS);
            self.tick()?;
        }
        self.wall = self.wall.plus_ms(passes);
        if self.random.once_in(50) {
            self.wall = self.wall.minus_ms(self.random.below(MINUTE_MS));
        }
        let unseen = self.wall.0.saturating_sub(self.writer().state().now().0);
        if unseen > LOOKS_EVERY_MS { self.tick() } else { Ok(()) }
    }

    /// The machine is off for hours or days.
    fn outage(&mut self) -> Result<(), String> {
        let crash = self.crash_kind();
        self.disk.crash(crash);
        self.lose_derived(crash);
        self.writer = None;
        self.wall = self.wall.plus_ms(self.random.below(4 * DAY_MS));
        self.restart()
    }

    /// The clock jumps, and nobody says why. Nothing may be missed by it until two administrators say what
    /// time it is, or it is set right again.
    fn clock_steps(&mut self) -> Result<(), String> {
        let lives = self.done.lives;
        self.tick()?;
        let before = self.wall;
        self.wall = self.wall.plus_ms(2 * CLOCK_STEP_MS_MAX + self.random.below(20 * DAY_MS));
        let size = self.writer().state().evidence().size();
        self.tick()?;
        // A process that began between the two looks takes the step for an absence, as it must.
        if self.done.lives == lives && !self.disk_is_full {
            let state = self.writer().state();
            // One record says it; nothing else happened.
            if state.clock_alarm().is_none() || state.evidence().size() > size + 1 {
                return Err("a clock that jumped was believed".to_owned());
            }
        }
        if self.random.once_in(2) {
            self.wall = before.max(self.writer().state().now());
            return self.tick();
        }
        self.confirm_clock()
    }

    fn confirm_clock(&mut self) -> Result<(), String> {
        use wire::directory_change::Change;
        let confirm = Change::ConfirmClock(wire::ConfirmClock { time_ms: self.wall.0 });
        let request = self.agents.network.change_by_two(confirm, self.wall);
        self.verify_signatures(&request)?;
        self.ask(vec![request]).map(|_| ())
    }

    /// Time runs on until nobody is awaited any more: every referral has ended, or a person was told.
    fn run_out(&mut self) -> Result<(), String> {
        for _ in 0..ROUNDS {
            if self.writer().state().clock_alarm().is_some() {
                self.confirm_clock()?;
            }
            // A long outage each time, and the grace after it.
            self.writer = None;
            self.wall = self.wall.plus_ms(15 * DAY_MS);
            self.writer = Some(self.open().map_err(|fault| fault.to_string())?);
            for _ in 0..4 {
                self.tick()?;
                self.wall = self.wall.plus_ms(LOOKS_EVERY_MS);
            }
            for _ in 0..30 {
                self.tick()?;
                self.wall = self.wall.plus_ms(LOOKS_EVERY_MS);
            }
        }
        let state = self.writer().state();
        let awaited = state.referrals().find(|(_, referral)| {
            let clocks = referral.clocks.running();
            // Whoever took it and says nothing is known to have said nothing.
            let told = referral.missed.iter().any(|missed| missed.kind == ClockKind::Progress);
            clocks.count() > 0 || !(referral.status.is_final() || told)
        });
        match awaited {
            None => Ok(()),
            Some((key, referral)) => Err(format!("{} is left in {:?}", key.id, referral.status)),
        }
    }

    /// What the evidence says of every attempt: never both an answer and its expiry, each once; and who
    /// was not helped and asked no further is known to a person.
    fn check_clocks(&mut self) -> Result<(), String> {
        let history = self.writer().history().clone();
        let mut attempts: BTreeMap<(ReferralKey, u32), Attempt> = BTreeMap::new();
        for number in 0..history.batches() {
            let batch = history.batch(number).map_err(|fault| fault.to_string())?;
            let records = batch.entries.iter().flat_map(|entry| &entry.facts).filter_map(Fact::record);
            for what in records.map(|record| &record.what) {
                let Some(key) = &what.referral else {
                    continue;
                };
                let attempt = attempts.entry((key.clone(), what.attempt)).or_default();
                let answers =
                    matches!(what.event, Event::ConsignmentAcceptance | Event::ConsignmentRejection);
                // A person at the sender took it back, or was told to look.
                let recalled = what.event == Event::Recalled && what.act == Some(Act::Recall);
                attempt.answers += u64::from(answers && what.status.is_some());
                attempt.expiries += u64::from(what.event == Event::AcceptanceRejectionExpiry);
                attempt.told |= recalled || what.event == Event::EscalationStopped;
                attempt.asked |= what.event == Event::Escalated;
            }
        }
        self.done.expiries = attempts.values().map(|attempt| attempt.expiries).sum();
        self.done.escalations = attempts.values().map(|attempt| u64::from(attempt.asked)).sum();
        for ((key, number), attempt) in &attempts {
            if attempt.answers + attempt.expiries > 1 {
                return Err(format!("attempt {number} of {} was answered and expired", key.id));
            }
            let went_on = attempts.contains_key(&(key.clone(), number + 1));
            let waits = self.writer().state().referral(key).is_some_and(|it| !it.clocks.is_empty());
            if attempt.expiries > 0 && !attempt.told && !went_on && !waits {
                return Err(format!("nobody was told that nobody answers {}", key.id));
            }
        }
        Ok(())
    }

    fn push(&mut self) -> Result<(), String> {
        let mut places = Vec::new();
        for _ in 0..=self.random.below(4) {
            let (wall, random) = (self.wall, &mut self.random);
            let place = match random.below(10) {
                0..=3 => Some(self.agents.open(wall, random)),
                4..=6 => self.agents.act(wall, random),
                7..=8 => self.agents.again(random),
                _ => self.agents.conflict(random),
            };
            places.extend(place);
        }
        // The network doubles and reorders.
        if self.random.once_in(3) && !places.is_empty() {
            places.push(*self.random.pick(&places));
        }
        if self.random.once_in(4) {
            places.reverse();
        }
        self.send(places)
    }

    fn send(&mut self, places: Vec<usize>) -> Result<(), String> {
        let mut requests = Vec::new();
        for place in &places {
            if !std::mem::replace(&mut self.agents.sent[*place].verified, true) {
                self.verify_signatures(&self.agents.sent[*place].request)?;
            }
            requests.push(self.agents.sent[*place].request.clone());
        }
        let Some(answers) = self.ask(requests)? else {
            return Ok(());
        };
        for (place, mut answer) in places.into_iter().zip(answers) {
            if self.random.once_in(12) {
                // The answer is lost on its way.
                self.done.faults += 1;
                continue;
            }
            if self.bug == Some(Bug::NewReceiptOnRetry) {
                answer = self.prove_again(place, answer);
            }
            if matches!(self.agents.sent[place].answer, Heard::Taken(_)) {
                self.done.repeated += 1;
            }
            self.agents.hear(place, answer)?;
        }
        Ok(())
    }

    /// Signatures are slow, and what the runs are about lies beside them; with a planted bug all count.
    const fn verifies_signatures(&self) -> bool {
        self.bug.is_some() || self.seed.is_multiple_of(SIGNATURES_EVERY)
    }

    /// As the service does before the writer sees it, in some runs.
    fn verify_signatures(&self, request: &Request) -> Result<(), String> {
        if !self.verifies_signatures() {
            return Ok(());
        }
        let directory = self.writer.as_ref().unwrap().state().directory();
        Network::verify(request, directory).map_err(|error| error.to_string())
    }

    /// The planted bug: the same record, proven at the present size.
    fn prove_again(&mut self, place: usize, answer: Answer) -> Answer {
        let Answer::Taken { receipts, not_taken } = answer else {
            return answer;
        };
        if !matches!(self.agents.sent[place].answer, Heard::Taken(_)) {
            return Answer::Taken { receipts, not_taken };
        }
        let key = self.agents.network.keys.evidence.clone();
        let writer = self.writer.as_ref().unwrap();
        let size = writer.tiles(Log::Evidence).size();
        let frontier = writer.state().evidence().frontier();
        let checkpoint = Checkpoint { origin: key.origin().clone(), size, root: frontier.root() };
        let reader = writer.tiles(Log::Evidence).reader(size);
        let again = |receipt: &Receipt| {
            let path = inclusion_proof(receipt.record().place.index, size, &reader).ok()?;
            let note = checkpoint.sign(&crate::network::log_key());
            Receipt::new(receipt.record().clone(), path, note).ok()
        };
        let proven: Option<Vec<_>> = receipts.iter().map(again).collect();
        Answer::Taken { receipts: proven.unwrap_or(receipts), not_taken }
    }

    /// A recipient fetches what may be handed over, checks it, and signs for it.
    fn hand_over(&mut self) -> Result<(), String> {
        let place = usize::try_from(self.random.below(5)).unwrap();
        if self.off[place] {
            return Ok(());
        }
        let agency = self.agents.network.at(place).clone();
        let most = usize::try_from(1 + self.random.below(4)).unwrap();
        let heads = self.writer().state().mailboxes().of(&agency.id);
        let mails: Vec<_> =
            heads.into_iter().flat_map(|mailbox| mailbox.heads().take(most).cloned()).collect();
        let mut taken = Vec::new();
        for mail in &mails {
            let referral = self.writer().state().referral(&mail.referral);
            if referral.is_some_and(|it| it.is_held() && it.recipient() == Some(&agency.id)) {
                return Err("what is held back is handed over".to_owned());
            }
            let read = self.writer().history().ciphertexts(mail.at);
            let Some(ciphertexts) = self.survive(read)? else {
                return Ok(());
            };
            let sent = self.agents.find(&mail.envelope).ok_or("a mailbox holds what nobody sent")?;
            let parts = digests_for(&sent.header, &agency.id, mail.release);
            if parts.is_empty() {
                return Err("mail is in the wrong mailbox".to_owned());
            }
            let handed = (agency.id.clone(), mail.envelope, mail.release);
            if self.agents.handed_over.contains(&handed) {
                return Err("what was handed over is handed over again".to_owned());
            }
            let whole = ciphertexts.iter().map(Option::as_deref).eq(sent
                .request
                .parts
                .iter()
                .map(|part| Some(&part[..])));
            if !whole {
                return Err("what is handed over is not what was sent".to_owned());
            }
            taken.push((handed, parts));
            if mail.release == Release::OnAcceptance && !self.agents.may_know_her(sent, &agency.id) {
                return Err("who she is came to an agency that had not said yes".to_owned());
            }
            if mail.release == Release::OnTurn {
                self.agents.asked(&mail.envelope, &agency.id, mail.attempt);
            }
        }
        if taken.is_empty() {
            return Ok(());
        }
        if self.random.once_in(16) {
            // It waits, before all else of its referral, until it is sealed anew.
            let request = self.agents.network.cannot_open(&agency, &taken[0].0.1);
            self.verify_signatures(&request)?;
            return self.ask(vec![request]).map(|_| ());
        }
        self.agents.signed_for.extend(taken.iter().map(|(handed, _)| handed.clone()));
        let envelopes: Vec<_> =
            taken.iter().map(|((_, digest, _), parts)| (*digest, parts.clone())).collect();
        let request = self.agents.network.handover(&agency, &envelopes);
        self.verify_signatures(&request)?;
        let Some(answers) = self.ask(vec![request])? else {
            return Ok(());
        };
        if matches!(answers.first(), Some(Answer::Taken { .. })) && !self.random.once_in(10) {
            self.done.handed_over += u64::try_from(taken.len()).unwrap();
            self.agents.handed_over.extend(taken.into_iter().map(|(handed, _)| handed));
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), String> {
        let (wall, salts) = (self.wall, &mut self.salts);
        match self.writer.as_mut().unwrap().tick(wall, &mut || salts.salt()) {
            Ok(()) => {
                self.durable = self.writer().journal().end();
                Ok(())
            }
            Err(_) => self.ended(),
        }
    }

    fn follow_up(&mut self) -> Result<(), String> {
        // Again and again without anything between, as in quiet times.
        for _ in 0..=self.random.below(2 * u64::from(QUIET_FOLLOW_UPS)) {
            let batches = 1 + self.random.below(40);
            let followed = self.writer().follow_up(batches);
            if self.survive(followed)?.is_none() {
                break;
            }
        }
        Ok(())
    }

    fn change_directory(&mut self) -> Result<(), String> {
        match self.random.below(6) {
            0..=1 => self.new_key(),
            2 => self.operate(),
            _ => self.stop_or_go_on(),
        }
    }

    /// One of two operators acts on an open referral: what is held back ends all the same.
    fn operate(&mut self) -> Result<(), String> {
        let open: Vec<_> = self.writer().state().referrals().map(|(key, _)| key.clone()).collect();
        if open.is_empty() {
            return Ok(());
        }
        let key = self.random.pick(&open).clone();
        let acts = [Operation::NotifyAgain, Operation::Hold, Operation::Release, Operation::Return];
        let (operation, name) = (*self.random.pick(&acts), *self.random.pick(&["olga-1", "omar-2"]));
        let attempt = self.writer().state().referral(&key).map_or(0, |referral| referral.attempt());
        if matches!(operation, Operation::Hold | Operation::Return) {
            // Also when the process ends before it answers.
            self.stopped.insert((key.clone(), attempt));
        }
        let caller = Caller::Staff {
            pseudonym: Pseudonym::parse(name, "pseudonym").unwrap(),
            role: StaffRole::Operator,
            certificate: Digest::of(name.as_bytes()),
        };
        let reason = Code::parse(operation.reason_codes()[0], "reason").unwrap();
        let operate = Operate { operation, referral: Some(key), reason };
        let request = Request { caller, command: Command::Operate(Box::new(operate)), parts: Vec::new() };
        if let Some([Answer::Taken { .. }]) = self.ask(vec![request])?.as_deref() {
            self.done.operations += 1;
        }
        Ok(())
    }

    /// An agency publishes a new sealing key, and may revoke the one before: what is on its way to that
    /// one is refused, and what waits stays.
    fn new_key(&mut self) -> Result<(), String> {
        let place = usize::try_from(self.random.below(5)).unwrap();
        let former = self.agents.network.at(place).sealing;
        let key = self.random.run(SEALING_KEY_BYTES);
        let id = KeyId::of(&key);
        let publishes = self.agents.network.new_sealing_key(place, key, self.wall);
        if !self.is_changed(&publishes)? {
            return Ok(());
        }
        self.done.key_changes += 1;
        self.agents.network.seal_to(place, id);
        if self.random.once_in(2) {
            let revokes = self.agents.network.revoke_key(place, former, self.wall);
            self.is_changed(&revokes)?;
        }
        Ok(())
    }

    /// Asks for a change until there is an answer; whether it was made.
    fn is_changed(&mut self, change: &Request) -> Result<bool, String> {
        for _ in 0..100 {
            self.verify_signatures(change)?;
            match self.ask(vec![change.clone()])?.as_deref() {
                Some([Answer::Busy(_)]) | None => self.follow_up()?,
                Some(answers) => return Ok(matches!(answers, [Answer::Taken { .. }])),
            }
        }
        Ok(false)
    }

    /// An administrator stops an agency or an agreement for a while, or lets it go on.
    fn stop_or_go_on(&mut self) -> Result<(), String> {
        use wire::{directory_change::Change, subject::Subject};
        let agency = self.agents.network.at(usize::try_from(self.random.below(5)).unwrap()).id.to_string();
        let subject = Some(wire::Subject { subject: Some(Subject::Agency(agency)) });
        // Most of the time it goes on, so that the network does not stand still.
        let change = if self.random.once_in(4) {
            Change::Suspend(wire::Suspend { subject, reason: wire::SuspensionReason::Security.into() })
        } else {
            Change::Resume(wire::Resume { subject })
        };
        let request = self.agents.network.change_by_two(change, self.wall);
        self.verify_signatures(&request)?;
        self.ask(vec![request]).map(|_| ())
    }

    /// Publishing, anchoring, snapshots, clean restarts.
    fn keep_house(&mut self) -> Result<(), String> {
        match self.random.below(4) {
            0 => {
                self.writer = None;
                self.restart()
            }
            1..=2 => self.take_snapshot(),
            _ => self.publish(),
        }
    }

    fn publish(&mut self) -> Result<(), String> {
        let published =
            self.writer().publish_checkpoints().map_err(|fault| format!("publishing failed: {fault}"))?;
        let Some((mark, note)) = published else {
            return Ok(());
        };
        let checkpoint = self.opened(&note)?;
        self.see(&checkpoint)?;
        // The anchor is another file of the same disk; a failure to write it stops nobody.
        let _written = self.anchor().write(mark, note.to_string().as_bytes()).is_ok();
        Ok(())
    }

    fn anchor(&self) -> journal::AnchorFile {
        self.writer.as_ref().unwrap().journal().anchor()
    }

    fn take_snapshot(&mut self) -> Result<(), String> {
        self.old_rows = self.rows.store().clone();
        self.old_runs = self
            .run_files()
            .into_iter()
            .filter_map(|name| Some((name.clone(), self.disk.file(&name)?)))
            .collect();
        let (mark, pieces) = self.writer().snapshot();
        let snapshots = self.writer.as_ref().unwrap().journal().snapshots();
        if snapshots.write(mark, pieces).is_err() {
            return self.ended();
        }
        Ok(())
    }

    // What befalls it.

    pub(super) fn fault(&mut self) -> Result<(), String> {
        self.done.faults += 1;
        match self.random.below(14) {
            0..=2 => {
                // The process or the machine ends now.
                let crash = self.crash_kind();
                self.disk.crash(crash);
                self.lose_derived(crash);
                self.restart()
            }
            3..=5 => {
                // It ends in the middle of something, at any change of the disk.
                let crash = self.crash_kind();
                self.disk.crash_after(self.random.below(12), crash);
                Ok(())
            }
            6 => {
                let fault = [AppendFault::BeforeWrite, AppendFault::BeforeSync, AppendFault::AfterSync];
                let fault = *self.random.pick(&fault);
                self.disk.fail_append(self.random.below(3), fault);
                Ok(())
            }
            7 => {
                self.disk_is_full = !self.disk_is_full;
                let free = if self.disk_is_full { self.random.below(2 * RESERVE_BYTES) } else { u64::MAX };
                self.disk.set_free_bytes(free);
                Ok(())
            }
            8 => self.damage_index(),
            9 => {
                self.damage_tiles();
                Ok(())
            }
            10 => self.outage(),
            11 => self.clock_steps(),
            12 => {
                let place = usize::try_from(self.random.below(5)).unwrap();
                self.off[place] = !self.off[place];
                Ok(())
            }
            _ => {
                self.damage_snapshot();
                Ok(())
            }
        }
    }

    /// The store fails while it is used, or a run is damaged; or store or runs are found lost, or as
    /// they were a while ago, at a start.
    fn damage_index(&mut self) -> Result<(), String> {
        match self.random.below(6) {
            0 => {
                self.rows.store().broken = true;
                return Ok(());
            }
            1 => {
                self.damage_run();
                return Ok(());
            }
            _ => self.disk.crash(Crash::Kill),
        }
        match self.random.below(4) {
            0 => self.rows.store().lose(),
            1 => *self.rows.store() = self.old_rows.clone(),
            2 => self.damage_run(),
            _ => {
                let runs = self.run_files();
                if !runs.is_empty() {
                    let name: &String = self.random.pick(&runs);
                    self.disk.remove_file(name);
                }
                for (name, bytes) in &self.old_runs {
                    self.disk.set_file(name, bytes);
                }
            }
        }
        self.restart()
    }

    fn run_files(&self) -> Vec<String> {
        self.disk.names().into_iter().filter(|name| name.starts_with(INDEX)).collect()
    }

    fn damage_run(&mut self) {
        let runs = self.run_files();
        if runs.is_empty() {
            return;
        }
        let name = self.random.pick(&runs).clone();
        let bits = self.disk.file(&name).map_or(0, |bytes| bytes.len() * 8);
        // Anywhere, or where rows stand.
        let from = if self.random.once_in(2) { 0 } else { 4096 * 8 };
        let bits = u64::try_from(bits).unwrap().saturating_sub(from);
        self.disk.flip_bit(&name, from + self.random.below(bits.max(1)));
    }

    fn damage_tiles(&mut self) {
        if self.bug == Some(Bug::SkippedTile) {
            return;
        }
        self.tiles_damaged = true;
        let mut files = self.evidence.files.borrow_mut();
        let tiles: Vec<_> = files.files.keys().filter(|path| path.starts_with("tile/")).cloned().collect();
        if tiles.is_empty() {
            return;
        }
        let path = self.random.pick(&tiles).clone();
        match self.random.below(2) {
            0 => {
                files.files.remove(&path);
            }
            _ => {
                let mut bytes = files.read(&path).unwrap().unwrap();
                let place = usize::try_from(self.random.below(bytes.len().try_into().unwrap())).unwrap();
                bytes[place] ^= 1;
                files.files.insert(path, bytes);
            }
        }
    }

    fn damage_snapshot(&mut self) {
        let names = self.disk.names();
        let snapshots: Vec<_> = names.iter().filter(|name| name.starts_with("snapshot-")).collect();
        if !snapshots.is_empty() {
            let name = self.random.pick(&snapshots);
            self.disk.flip_bit(name, self.random.below(2000));
        }
    }

    // What must hold.

    fn check_answer(&mut self, answer: &Answer) -> Result<(), String> {
        let receipts = match answer {
            Answer::Taken { receipts, .. } => receipts.clone(),
            Answer::Refused { receipt, .. } => receipt.iter().map(|receipt| (**receipt).clone()).collect(),
            Answer::Busy(_) | Answer::Nothing => Vec::new(),
        };
        receipts.iter().try_for_each(|receipt| self.check_receipt(receipt))
    }

    /// As an outsider checks it; the note's signature once for each note, in some runs.
    fn check_receipt(&mut self, receipt: &Receipt) -> Result<(), String> {
        let proof = TlogProof::parse(&receipt.to_file()).map_err(|error| error.to_string())?;
        let text = proof.note().to_string();
        if !self.notes.contains_key(&text) {
            let checkpoint = self.opened(proof.note())?;
            self.see(&checkpoint)?;
            self.notes.insert(text.clone(), checkpoint);
        }
        let checkpoint = &self.notes[&text];
        let leaf = leaf_hash(&receipt.record().commitment().leaf());
        verify_inclusion(proof.index(), checkpoint.size, leaf, proof.path(), checkpoint.root)
            .map_err(|error| format!("a receipt does not prove its record: {error}"))
    }

    fn opened(&self, note: &SignedNote) -> Result<Checkpoint, String> {
        if self.verifies_signatures() {
            return self.policy.open(note).map_err(|error| error.to_string());
        }
        Checkpoint::parse(note.text()).map_err(|error| error.to_string())
    }

    fn see(&mut self, checkpoint: &Checkpoint) -> Result<(), String> {
        let root = *self.seen.entry(checkpoint.size).or_insert(checkpoint.root);
        if root == checkpoint.root { Ok(()) } else { Err(format!("two roots at size {}", checkpoint.size)) }
    }

    /// Everything that was acknowledged and not signed for waits for its recipient.
    fn check_promises(&self) -> Result<(), String> {
        let state = self.writer.as_ref().unwrap().state();
        for sent in &self.agents.sent {
            let Heard::Taken(_) = sent.answer else {
                continue;
            };
            let waits = state.mailboxes().of(&sent.header.to).and_then(|mailbox| mailbox.find(&sent.digest));
            let handed = (sent.header.to.clone(), sent.digest, Release::AtOnce);
            let signed_for = self.agents.signed_for.contains(&handed);
            let expired = sent.header.expires_at <= state.now();
            let gone = self.agents.is_taken_back(sent) || self.agents.may_have_gone_on(sent, state.now());
            let gone = gone || self.stopped.contains(&(sent.header.referral.clone(), sent.header.attempt));
            if waits.is_none() && !signed_for && !expired && !gone {
                return Err(format!("envelope {} was acknowledged and is gone", sent.header.envelope_id));
            }
        }
        Ok(())
    }

    /// The end of a run: all is mended, and all is checked again from the first byte.
    pub(super) fn end(mut self) -> Result<Done, String> {
        self.disk.set_free_bytes(u64::MAX);
        self.disk.crash(Crash::LoseUnsynced);
        self.lose_derived(Crash::LoseUnsynced);
        self.restart()?;
        if self.writer().state().clock_alarm().is_some() {
            self.confirm_clock()?;
        }
        self.ask_for_everything_again()?;
        self.check_clocks()?;
        if self.seed.is_multiple_of(RUN_OUT_EVERY) {
            self.run_out()?;
            self.check_clocks()?;
            self.follow_up()?;
        }
        self.publish_all()?;
        self.check_seen()?;
        let has_reason = self.tiles_damaged && self.seed.is_multiple_of(DAMAGE_VERIFY_EVERY);
        if self.bug.is_some() || has_reason || self.seed.is_multiple_of(VERIFY_EVERY) {
            self.check_from_the_beginning()?;
        }
        self.done.index_runs = u64::try_from(self.writer().index().runs()).unwrap();
        self.done.index_made_again = self.writer().index().times_set_aside();
        self.check_replay()?;
        self.done.acknowledged = u64::try_from(
            self.agents.sent.iter().filter(|sent| matches!(sent.answer, Heard::Taken(_))).count(),
        )
        .unwrap();
        self.done.leaves = self.writer().state().evidence().size();
        Ok(self.done)
    }

    /// Every agent sends again everything it ever sent; everything that was accepted gets its receipt.
    fn ask_for_everything_again(&mut self) -> Result<(), String> {
        for _ in 0..1000 {
            self.follow_up()?;
            let sizes = (self.writer().state().evidence().size(), self.writer().history().batches());
            let writer = self.writer.as_ref().unwrap();
            if writer.tiles(Log::Evidence).size() == sizes.0 && writer.index().batches() == sizes.1 {
                break;
            }
        }
        let places: Vec<usize> = (0..self.agents.sent.len()).collect();
        for some in places.chunks(AGAIN_AT_ONCE) {
            let before: Vec<_> = some.iter().map(|place| self.agents.sent[*place].answer.clone()).collect();
            self.send_and_hear(some)?;
            for (place, before) in some.iter().zip(before) {
                if matches!(before, Heard::Taken(_)) && before != self.agents.sent[*place].answer {
                    return Err("a receipt is gone".to_owned());
                }
            }
        }
        self.check_promises()
    }

    /// Until each has an answer.
    fn send_and_hear(&mut self, places: &[usize]) -> Result<(), String> {
        let mut left = places.to_vec();
        for _ in 0..100 {
            let requests = left.iter().map(|place| self.agents.sent[*place].request.clone()).collect();
            let Some(answers) = self.ask(requests)? else {
                continue;
            };
            if answers.len() != left.len() {
                return Err("no answer".to_owned());
            }
            let mut busy = Vec::new();
            for (place, mut answer) in std::mem::take(&mut left).into_iter().zip(answers) {
                if let Answer::Busy(_) = answer {
                    busy.push(place);
                    continue;
                }
                if self.bug == Some(Bug::NewReceiptOnRetry) {
                    answer = self.prove_again(place, answer);
                }
                self.agents.hear(place, answer)?;
            }
            if busy.is_empty() {
                return Ok(());
            }
            self.follow_up()?;
            left = busy;
        }
        Err("an envelope finds no hearing".to_owned())
    }

    fn publish_all(&mut self) -> Result<(), String> {
        for _ in 0..1000 {
            self.follow_up()?;
            self.publish()?;
            let size = self.writer().state().evidence().size();
            if self.writer().tiles(Log::Evidence).published() == size {
                return Ok(());
            }
        }
        Err("the checkpoint is never published".to_owned())
    }

    /// Every checkpoint that anybody saw is of this one log.
    fn check_seen(&mut self) -> Result<(), String> {
        let history = self.writer().history().clone();
        let mut frontier = Frontier::default();
        let mut seen = std::mem::take(&mut self.seen);
        for number in 0..history.batches() {
            let batch = history.batch(number).map_err(|fault| fault.to_string())?;
            for leaf in leaves(&batch, Log::Evidence) {
                frontier.append(leaf_hash(&leaf));
                if let Some(root) = seen.remove(&frontier.size())
                    && root != frontier.root()
                {
                    return Err(format!("the log forked at size {}", frontier.size()));
                }
            }
        }
        match seen.keys().next() {
            None => Ok(()),
            Some(size) => {
                Err(format!("a checkpoint of size {size} was seen, but the log ends at {}", frontier.size()))
            }
        }
    }

    fn check_from_the_beginning(&mut self) -> Result<(), String> {
        match self.verify() {
            // A file that was damaged at rest is found, and made again from the journal.
            Err(Wrong { what: What::File { .. }, .. }) if self.tiles_damaged => {
                self.writer().remake_tiles();
                self.publish_all()?;
                self.verify().map_err(|wrong| wrong.to_string())
            }
            verified => verified.map_err(|wrong| wrong.to_string()),
        }
    }

    fn verify(&self) -> Result<(), Wrong> {
        let verifiers = Verifiers::from(&self.agents.network.keys);
        let folders = Folders { evidence: &self.evidence, directory: &self.directory };
        let reader = self.writer.as_ref().unwrap().history().reader();
        verify(reader, &verifiers, Some(&folders), |_| {}).map(|_| ())
    }

    /// Replay from a snapshot and replay from the first byte lead to the same state.
    fn check_replay(&mut self) -> Result<(), String> {
        self.writer = None;
        let from_snapshot = self.open().map_err(|fault| fault.to_string())?.state().clone();
        for name in self.disk.names().iter().filter(|name| name.starts_with("snapshot-")) {
            self.disk.remove_file(name);
        }
        self.writer = Some(self.open().map_err(|fault| fault.to_string())?);
        if *self.writer().state() == from_snapshot {
            Ok(())
        } else {
            Err("replay differs from the snapshot".to_owned())
        }
    }
}

/// What the evidence says of an attempt.
#[derive(Default)]
struct Attempt {
    answers: u64,
    expiries: u64,
    told: bool,
    /// The gateway asked for it.
    asked: bool,
}

/// Whether a fault is that of a disk whose machine has just failed.
fn is_dead_disk(fault: &Fault) -> bool {
    fault.to_string().contains("broken pipe")
}
