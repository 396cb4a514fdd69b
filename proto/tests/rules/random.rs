//! Random runs: a seed is a run. Two writers get the same commands, one of which starts again from
//! its snapshot now and then; a model of a few vectors says what mailboxes, statuses and denials
//! must be.

use std::collections::{BTreeMap, BTreeSet};

use prost::Message as _;
use proto::{
    caller::Caller,
    clocks::ClockKind,
    command::{Command, Denial, DenialCount, Tick},
    decide::Decision,
    digest::Digest,
    dsse::PayloadType,
    evidence::{Event, Happening, Record},
    header::Header,
    ids::{
        Addressing, AgencyId, EnvelopeId, Kind, PartClass, ReasonClass, ReferralKey, Release, TimeMs, Urgency,
    },
    lifecycle::{Act, Next, Status, Who, transition},
    operation::Operation,
    referral::Referral,
    refusal::Refusal,
    snapshot::Snapshot,
    state::{DENIAL_WINDOW_MS, DENIALS_RECORDED},
    wire::{self, HandoverResult, directory_change::Change},
};

use crate::{network::*, operations, refusals::profile, writer::Writer};

/// How many runs of each half, and how many batches each.
const RUNS: u64 = 300;
const BATCHES: usize = 40;

/// SplitMix64: the same seed gives the same run everywhere.
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, sides: usize) -> usize {
        usize::try_from(self.roll() % u64::try_from(sides).unwrap()).unwrap()
    }

    fn one_in(&mut self, sides: usize) -> bool {
        self.below(sides) == 0
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// What waits, as a list; and where each referral stands.
#[derive(Default)]
struct Model {
    mail: Vec<Waiting>,
    statuses: BTreeMap<ReferralKey, (Status, u32, bool)>,
    denials: BTreeMap<(String, u32), (TimeMs, u32)>,
    /// Attempts that were answered, that ran out, and whose stop a person was told.
    answered: BTreeSet<(ReferralKey, u32)>,
    ran_out: BTreeSet<(ReferralKey, u32)>,
    told: BTreeSet<(ReferralKey, u32)>,
    /// Referrals whose consent was withdrawn since a person last sent them on.
    withdrawn: BTreeSet<ReferralKey>,
    /// Referrals that operators hold back.
    held: BTreeSet<ReferralKey>,
    /// Whom the sender has named in each referral, on her word: nobody else may get anything of it.
    named: BTreeMap<ReferralKey, BTreeSet<AgencyId>>,
    escalated: u64,
}

#[derive(Clone, PartialEq, Debug)]
struct Waiting {
    owner: AgencyId,
    order: u64,
    envelope: Digest,
    referral: ReferralKey,
    urgency: Urgency,
    identity: bool,
    on_turn: bool,
    blocked: bool,
}

impl Model {
    fn take(&mut self, record: &Record, command: &Command) {
        self.name(record, command);
        self.move_mail(record, command);
        self.follow_status(record);
        self.count_denial(record);
    }

    fn name(&mut self, record: &Record, command: &Command) {
        let submitted = command.header().filter(|header| header.act == Act::Submit);
        let Some(header) = submitted.filter(|_| record.what.event == Event::SubmissionAcceptance) else {
            return;
        };
        let named = self.named.entry(header.referral.clone()).or_default();
        named.extend(header.fallbacks.iter().chain([&header.to]).cloned());
    }

    fn move_mail(&mut self, record: &Record, command: &Command) {
        let what = &record.what;
        let (Some(owner), Some(envelope), Some(referral)) = (&what.recipient, what.envelope, &what.referral)
        else {
            return;
        };
        let place = self.mail.iter().position(|mail| mail.owner == *owner && mail.envelope == envelope);
        let urgency = command.header().map_or(Urgency::Normal, |header| header.urgency);
        let mail = |identity| Waiting {
            owner: owner.clone(),
            order: record.place.index,
            envelope,
            referral: referral.clone(),
            urgency,
            identity,
            on_turn: command.header().is_none(),
            blocked: false,
        };
        let recalled = what.event == Event::Recalled && what.act != Some(Act::Recall);
        let comes = matches!(what.event, Event::ContentConsignment | Event::DisclosureReleased);
        let may_have = *owner == referral.opened_by
            || self.named.get(referral).is_some_and(|named| named.contains(owner));
        assert!(may_have || !comes, "{owner} was not named");
        if what.event == Event::ContentConsignment {
            self.mail.push(mail(false));
        } else if what.event == Event::DisclosureReleased {
            let (status, _, withdrawn) = self.statuses[referral];
            assert!(
                status == Status::Accepted && !withdrawn,
                "identity released, but {status:?}, {withdrawn}"
            );
            self.mail.push(mail(true));
        } else if matches!(what.event, Event::ContentHandover | Event::Expired | Event::ReturnedForResealing)
            || recalled
        {
            self.mail.remove(place.expect("what leaves was there"));
        } else if what.event == Event::ContentHandoverFailure {
            self.mail[place.unwrap()].blocked = true;
        }
    }

    fn follow_status(&mut self, record: &Record) {
        let what = &record.what;
        let Some(key) = &what.referral else { return };
        let opens = (Status::Submitted, 1, false);
        let standing = self.statuses.entry(key.clone()).or_insert(opens);
        let (before, attempt, withdrawn) = *standing;
        if what.event == Event::ConsentWithdrawn {
            standing.2 |= what.attempt == attempt;
            self.withdrawn.insert(key.clone());
        }
        if what.event == Event::EscalationStopped {
            self.told.insert((key.clone(), what.attempt));
        }
        self.follow_clocks(what, attempt);
        self.follow_holds(what);
        let standing = self.statuses.get_mut(key).unwrap();
        let Some(after) = what.status else { return };
        if what.event == Event::Escalated {
            *standing = (after, attempt + 1, false);
            self.escalated += 1;
            assert!(before == Status::Recalled && after == Status::Submitted, "{before:?}");
            return assert!(!self.withdrawn.contains(key), "without her consent");
        }
        if what.event == Event::AcceptanceRejectionExpiry {
            *standing = (after, attempt, withdrawn);
            return assert!(!before.is_final() && !before.is_taken() && after == Status::Expired);
        }
        if what.event == Event::Recalled && what.envelope.is_none() {
            *standing = (after, attempt, withdrawn);
            return assert!(matches!(before, Status::Declined | Status::Expired), "{before:?}");
        }
        if what.event == Event::Operated {
            *standing = (after, attempt, withdrawn);
            return assert!(before == Status::Submitted && after == Status::Failed && what.count == 2);
        }
        let mail_event = matches!(what.event, Event::ContentHandover | Event::Expired);
        let legal = if what.event == Event::ContentConsignment {
            *standing = (after, attempt + 1, false);
            self.withdrawn.remove(key);
            return assert!(before.allows_new_attempt() && after == Status::Submitted);
        } else if mail_event {
            before == Status::Submitted
                && matches!(after, Status::Delivered | Status::Completed | Status::Expired)
        } else {
            let who =
                if what.sender.as_ref() == Some(&key.opened_by) { Who::Referrer } else { Who::Recipient };
            match transition(before, what.act.unwrap(), who).expect("a legal act").next {
                Next::Go(next) | Next::Pause(next) => next == after,
                Next::Return => !after.is_final(),
                Next::Stay => false,
            }
        };
        assert!(legal, "{before:?} to {after:?} by {what:?}");
        *standing = (after, attempt, withdrawn);
    }

    fn follow_holds(&mut self, what: &Happening) {
        let Some(key) = &what.referral else { return };
        let lapses = what.event == Event::ClockMissed && what.clock == 9;
        let released = what.operation == Some(Operation::Release) && what.count == 2;
        if what.operation == Some(Operation::Hold) {
            self.held.insert(key.clone());
        } else if lapses || released || what.status.is_some() {
            self.held.remove(key);
        }
    }

    /// Never both an answer and the expiry of one clock, and each once.
    fn follow_clocks(&mut self, what: &Happening, attempt: u32) {
        let Some(key) = &what.referral else { return };
        let this = (key.clone(), attempt);
        let answers = matches!(what.event, Event::ConsignmentAcceptance | Event::ConsignmentRejection);
        if answers && what.status.is_some() {
            assert!(!self.ran_out.contains(&this), "an answer after its clock had run out");
            assert!(self.answered.insert(this), "two answers");
        } else if what.event == Event::AcceptanceRejectionExpiry {
            assert!(!self.answered.contains(&this), "a clock that ran out after its answer");
            assert!(self.ran_out.insert(this), "missed twice");
        }
    }

    /// Every referral is over, or somebody is awaited, or a person was told.
    fn check_clocks(&self, key: &ReferralKey, referral: &Referral) {
        let has = |kind| referral.clocks.get(kind).is_some();
        let told = || self.told.contains(&(key.clone(), referral.attempt()));
        let status = referral.status;
        let unanswered = !status.is_final() && !status.is_taken() && status != Status::CancelRequested;
        let awaited = if !referral.kind.expects_answer() {
            true
        } else if unanswered {
            has(ClockKind::Answered)
        } else if status == Status::Expired || (status == Status::Declined && !referral.fallbacks.is_empty())
        {
            has(ClockKind::Escalation) || told()
        } else {
            // A person has taken it, or it is over.
            true
        };
        assert!(awaited, "nobody is awaited or told: {referral:?}");
    }

    fn count_denial(&mut self, record: &Record) {
        let what = &record.what;
        let (Event::SubmissionRejection, Some((refusal, _))) = (what.event, what.refusal) else { return };
        let actor = what.actor.as_ref().map(ToString::to_string);
        let caller = actor.or_else(|| what.sender.as_ref().map(ToString::to_string)).unwrap_or_default();
        let now = record.place.time;
        let window = self.denials.entry((caller, refusal.number())).or_insert((now, 0));
        if now >= window.0.plus_ms(DENIAL_WINDOW_MS) {
            *window = (now, 0);
        }
        window.1 += 1;
        assert!(window.1 <= DENIALS_RECORDED, "more than the first few of an hour are recorded");
    }

    /// Compares the mailboxes, and what each offers, with a naive reading of the list.
    fn check(&self, writer: &Writer) {
        for owner in AGENCIES {
            let mine: Vec<_> = self.mail.iter().filter(|mail| mail.owner.as_str() == owner).collect();
            let kept = writer.waiting(owner);
            assert_eq!(kept.len(), mine.len());
            for (kept, mine) in kept.iter().zip(&mine) {
                assert_eq!(
                    (kept.order, kept.envelope, kept.blocked),
                    (mine.order, mine.envelope, mine.blocked)
                );
                assert_eq!(kept.release == Release::OnAcceptance, mine.identity);
                assert_eq!(kept.release == Release::OnTurn, mine.on_turn);
            }
            let mut referrals: Vec<_> = mine.iter().map(|mail| &mail.referral).collect();
            referrals.sort();
            referrals.dedup();
            let mut heads: Vec<_> = referrals
                .into_iter()
                .filter_map(|referral| {
                    let of = || mine.iter().filter(|mail| mail.referral == *referral);
                    let first = of().next()?;
                    let urgency = of().map(|mail| writer_urgency(writer, mail)).min()?;
                    let asked = writer.referral(referral).and_then(|it| it.recipient().cloned());
                    let is_held = self.held.contains(referral) && asked == Some(agency(owner));
                    (!first.blocked && !is_held).then_some((urgency, first.order))
                })
                .collect();
            heads.sort_unstable();
            let offered: Vec<_> = writer.heads(owner).iter().map(|mail| mail.order).collect();
            assert_eq!(offered, heads.into_iter().map(|(_, order)| order).collect::<Vec<_>>());
        }
        for (key, (status, attempt, _)) in &self.statuses {
            let referral = writer.referral(key).unwrap();
            assert_eq!((referral.status, referral.attempt()), (*status, *attempt));
            self.check_clocks(key, referral);
            if let Some(open) = writer.state.referral(key) {
                assert!(!open.is_closed(), "a closed referral has left memory when the batch ends");
            }
        }
    }
}

/// A released identity has the urgency of its referral, whatever the act that released it said.
fn writer_urgency(writer: &Writer, mail: &Waiting) -> Urgency {
    if mail.identity || mail.on_turn {
        writer.referral(&mail.referral).unwrap().urgency
    } else {
        mail.urgency
    }
}

struct Run {
    dice: Dice,
    net: Network,
    twin: Writer,
    model: Model,
    openings: Vec<Header>,
    said: Vec<(Caller, Command)>,
    done: u64,
    refused: BTreeMap<Refusal, u64>,
}

impl Run {
    fn command(&mut self) -> (Caller, Command) {
        let fresh = match self.dice.below(25) {
            0..=3 => Some(self.opening()),
            4..=10 => self.act(),
            11 => self.new_attempt(),
            12..=16 => self.handover(),
            17 => self.repeat(),
            18 => self.conflict(),
            19..=20 => Some(self.directory()),
            21 => Some(self.denial()),
            22 if self.dice.one_in(2) => self.operation(),
            _ => Some((Caller::Gateway, Command::Tick(self.tick()))),
        };
        fresh.unwrap_or((Caller::Gateway, Command::Tick(Tick::default())))
    }

    fn opening(&mut self) -> (Caller, Command) {
        let to = *self.dice.of(&[AMAN, IOM, MOSD, SILENT]);
        let (from, to) = if self.dice.one_in(4) { (to, DFWAC) } else { (DFWAC, to) };
        let mut header = if from == DFWAC && self.dice.one_in(2) {
            let others: Vec<_> = [AMAN, IOM, MOSD, SILENT].into_iter().filter(|other| *other != to).collect();
            let count = 1 + self.dice.below(3);
            self.net.opening_with(to, &others[..count])
        } else {
            self.net.opening(from, to)
        };
        header.urgency = *self.dice.of(Urgency::ALL);
        if from == DFWAC && header.to.as_str() == AMAN && self.dice.one_in(2) {
            let directory = self.net.writer.state.directory();
            header.mechanism = directory.mechanism().map(|held| held.signed.digest());
            (header.addressing, header.rule) = (Addressing::ByNeed, Some(code("shelter-rak")));
        }
        if self.dice.one_in(4) {
            header.kind = *self.dice.of(Kind::ALL);
        }
        if self.dice.one_in(5) || !header.kind.expects_answer() {
            header.parts.truncate(1);
        }
        self.openings.push(header.clone());
        self.break_one(&mut header, 10);
        self.push(&header)
    }

    fn push(&mut self, header: &Header) -> (Caller, Command) {
        let caller = if self.dice.one_in(60) { by(IOM) } else { by(header.from.as_str()) };
        (caller, self.net.unsigned(header))
    }

    /// Breaks one rule, once in so many times.
    fn break_one(&mut self, header: &mut Header, sides: usize) {
        if !self.dice.one_in(sides) {
            return;
        }
        match self.dice.below(11) {
            0 => header.expires_at = header.created_at.plus_ms(1),
            1 => header.created_at = header.created_at.plus_ms(HOUR),
            2 => header.directory_size = 1_000_000,
            3 => header.agreement = Digest::of(b"none"),
            4 => header.category = code("other"),
            5 if header.sequence > 1 => header.previous = Some(Digest::of(b"fork")),
            6 if header.sequence > 1 => header.sequence += 1,
            7 if !header.opens() => header.attempt += 1,
            8 => header.reason = Some(*self.dice.of(ReasonClass::ALL)),
            9 => header.fallbacks = vec![agency("int.unknown")],
            _ => header.parts[0].key_ids[0] = proto::key::KeyId([0; 16]),
        }
    }

    fn act(&mut self) -> Option<(Caller, Command)> {
        if self.openings.is_empty() {
            return None;
        }
        let opening = self.dice.of(&self.openings).clone();
        let referral = self.net.writer.referral(&opening.referral)?.clone();
        let opener = self.dice.one_in(2);
        let from = if opener { opening.from.clone() } else { self.dice.of(&referral.recipients).clone() };
        let who = if opener { Who::Referrer } else { Who::Recipient };
        let legal: Vec<_> = proto::lifecycle::legal_acts(referral.status, who).collect();
        let any = self.dice.one_in(6) || legal.is_empty();
        let act = if any { *self.dice.of(Act::ALL) } else { *self.dice.of(&legal) };
        let mut header = self.net.act(&opening, from.as_str(), act);
        header.urgency = *self.dice.of(Urgency::ALL);
        if opener && self.dice.one_in(6) {
            header.attempt = 1 + u32::try_from(self.dice.below(referral.recipients.len())).unwrap();
            header.to = referral.recipient_of(header.attempt)?.clone();
            header.parts[0].key_ids = vec![proto::key::KeyId::of(&sealing_key(header.to.as_str()))];
        }
        if act == Act::Disclose {
            header.parts[0].class = PartClass::Identity;
        }
        self.break_one(&mut header, 10);
        Header::parse(&header.to_wire().encode_to_vec()).ok()?;
        Some(self.push(&header))
    }

    fn operation(&mut self) -> Option<(Caller, Command)> {
        let openings: Vec<_> = self.openings.iter().rev().take(4).cloned().collect();
        if openings.is_empty() {
            return None;
        }
        let opening = self.dice.of(&openings).clone();
        let who = *self.dice.of(&["olga", "omar"]);
        let what = *self.dice.of(Operation::ALL);
        Some((operations::operator(who), operations::of(what, &opening.referral)))
    }

    fn new_attempt(&mut self) -> Option<(Caller, Command)> {
        let openings: Vec<_> =
            self.openings.iter().filter(|header| header.from.as_str() == DFWAC).cloned().collect();
        if openings.is_empty() {
            return None;
        }
        let opening = self.dice.of(&openings).clone();
        self.net.writer.referral(&opening.referral)?;
        let to = *self.dice.of(&[AMAN, IOM, MOSD, SILENT]);
        let mut header = self.net.attempt(&opening, to);
        if !header.kind.expects_answer() {
            header.parts.truncate(1);
        }
        self.break_one(&mut header, 10);
        Header::parse(&header.to_wire().encode_to_vec()).ok()?;
        Some(self.push(&header))
    }

    fn handover(&mut self) -> Option<(Caller, Command)> {
        let recipient = *self.dice.of(&AGENCIES[..4]);
        let heads = self.net.writer.heads(recipient);
        let mut handovers = Vec::new();
        for mail in heads.iter().take(1 + self.dice.below(4)) {
            if handovers.iter().any(|one: &wire::Handover| one.envelope == mail.envelope.to_vec()) {
                continue;
            }
            let parts = self.net.writer.parts(recipient, mail);
            handovers.push(match self.dice.below(12) {
                0 => handover(mail.envelope, HandoverResult::CannotOpen, &[]),
                1 => received(mail.envelope, &[Digest::of(b"other")]),
                2 => received(Digest::of(&self.dice.roll().to_be_bytes()), &[]),
                _ => received(mail.envelope, &parts),
            });
        }
        if handovers.is_empty() {
            return None;
        }
        let receipt = wire::HandoverReceipt { version: 1, recipient: recipient.into(), handovers };
        let object = unsigned(PayloadType::Receipt, receipt.encode_to_vec(), &[recipient]);
        Some((by(recipient), Command::from_our_own_journal(object).unwrap()))
    }

    fn repeat(&mut self) -> Option<(Caller, Command)> {
        if self.said.is_empty() { None } else { Some(self.dice.of(&self.said).clone()) }
    }

    /// The same envelope id with other content.
    fn conflict(&mut self) -> Option<(Caller, Command)> {
        let (caller, command) = self.repeat()?;
        let mut header = command.header()?.clone();
        header.urgency = *self.dice.of(Urgency::ALL);
        header.expires_at = header.expires_at.plus_ms(1);
        Some((caller, self.net.unsigned(&header)))
    }

    fn directory(&mut self) -> (Caller, Command) {
        let name = *self.dice.of(&AGENCIES);
        let other = *self.dice.of(&[AMAN, IOM, MOSD, SILENT]);
        let agreement = subject_agreement(digest_of(&agreement(DFWAC, other)));
        let change = match self.dice.below(7) {
            0 => suspension(subject(name)),
            1 => suspension(agreement),
            2 => resumption(subject(name)),
            3 => resumption(agreement),
            4 => profile(name, vec![self.room()]),
            5 => revocation(name, proto::key::KeyId::of(&sealing_key(name))),
            _ => publication(
                name,
                wire::KeyPurpose::Sealing,
                Digest::of(&self.dice.roll().to_be_bytes()).0.repeat(38),
            ),
        };
        let one = *self.dice.of(&ADMINISTRATORS);
        let signers: &[&str] = match self.dice.below(4) {
            0..=2 if matches!(change, Change::Profile(_)) => &[name],
            0 => &[one],
            1 => &[name],
            _ => &["amal", "badr"],
        };
        let payload = self.net.change_of(change).encode_to_vec();
        let object = unsigned(PayloadType::DirectoryEntry, payload, signers);
        (by(one), Command::from_our_own_journal(object).unwrap())
    }

    /// What an agency says of its shelter.
    fn room(&mut self) -> wire::ServiceOffer {
        let capacity = *self.dice.of(&[wire::Capacity::Open, wire::Capacity::None]);
        wire::ServiceOffer { service: "shelter".into(), capacity: capacity.into(), ..Default::default() }
    }

    fn denial(&mut self) -> (Caller, Command) {
        let refusal = *self.dice.of(&[Refusal::MalformedBytes, Refusal::PartNotUploaded]);
        let name = *self.dice.of(&["amal", DFWAC, "ae.stranger"]);
        let caller = by(name);
        (caller, Command::Denial(Denial { refusal, field: refusal.field(), digest: None }))
    }

    fn tick(&mut self) -> Tick {
        let resumed_after_ms = if self.dice.one_in(20) { HOUR } else { 0 };
        let clock_ahead_ms = if self.dice.one_in(30) { DAY } else { 0 };
        Tick { denials: self.counts(), resumed_after_ms, clock_ahead_ms, restored_by: None }
    }

    fn counts(&mut self) -> Vec<DenialCount> {
        if !self.dice.one_in(8) {
            return Vec::new();
        }
        let caller = *self.dice.of(&[DFWAC, "amal", "ae.stranger"]);
        let window_start = TimeMs(self.net.now);
        vec![DenialCount { caller: caller.into(), refusal: Refusal::MalformedBytes, count: 7, window_start }]
    }

    fn step(&mut self) {
        let size = 1 + self.dice.below(4);
        let mut commands: Vec<_> = (0..size).map(|_| self.command()).collect();
        if self.dice.one_in(3) {
            commands.reverse();
        }
        if self.dice.one_in(4) {
            commands.push(commands[0].clone());
        }
        let before = self.net.writer.rest();
        let wall = TimeMs(self.net.now);
        let answers = self.net.writer.batch(wall, commands.clone());
        assert!(answers == self.twin.batch(wall, commands.clone()), "a restart changes no answer");
        for (answer, (_, command)) in answers.iter().zip(&commands) {
            for record in answer.records() {
                self.model.take(record, command);
            }
            if let Some((refusal, _)) = answer.refused() {
                *self.refused.entry(refusal).or_default() += 1;
            }
        }
        let done = answers.iter().filter(|answer| matches!(answer.decision, Decision::Do(..))).count();
        if done == 0 {
            assert!(before == self.net.writer.rest(), "a refusal changes nothing but its evidence");
        }
        self.done += u64::try_from(done).unwrap();
        self.model.check(&self.net.writer);
        let snapshot = self.net.writer.snapshot();
        assert!(Snapshot::parse(&snapshot.encode()).unwrap() == snapshot);
        if self.dice.one_in(3) {
            self.twin.restart();
        }
        self.said.extend(commands);
        let jumps = [0, 0, 0, 1, MINUTE, HOUR, DAY, DAY, 8 * DAY];
        self.net.now += *self.dice.of(&jumps);
        if self.dice.one_in(20) {
            // A clock that steps back moves nothing.
            self.net.now -= MINUTE;
        }
    }
}

fn run(seed: u64, base: &Network) -> Run {
    let net = base.clone();
    let mut model = Model::default();
    for batch in &net.writer.batches {
        for entry in &batch.entries {
            for record in entry.facts.iter().filter_map(proto::fact::Fact::record) {
                model.take(record, &entry.command);
            }
        }
    }
    let twin = net.writer.clone();
    let (openings, said, refused) = (Vec::new(), Vec::new(), BTreeMap::new());
    let mut run = Run { dice: Dice(seed), net, twin, model, openings, said, done: 0, refused };
    for _ in 0..BATCHES {
        run.step();
    }
    run.net.writer.check();
    run
}

/// Halves, so that two cores share them.
#[test]
fn random_runs_keep_every_invariant() {
    keep_every_invariant(0);
}

#[test]
fn other_random_runs_keep_every_invariant() {
    keep_every_invariant(RUNS);
}

fn keep_every_invariant(first: u64) {
    let base = Network::new();
    let mut done = 0;
    let mut refused: BTreeMap<Refusal, u64> = BTreeMap::new();
    let mut statuses: BTreeMap<Status, u64> = BTreeMap::new();
    let (mut escalated, mut ran_out) = (0, 0);
    for seed in first..first + RUNS {
        let run = std::panic::catch_unwind(|| run(seed, &base)).unwrap_or_else(|_| panic!("seed {seed}"));
        done += run.done;
        escalated += run.model.escalated;
        ran_out += run.model.ran_out.len();
        for (refusal, count) in run.refused {
            *refused.entry(refusal).or_default() += count;
        }
        for (_, referral) in run.net.writer.referrals() {
            *statuses.entry(referral.status).or_default() += 1;
        }
    }
    // A generator that only ever makes refusals would prove nothing.
    assert!(done > RUNS * 20, "{done} commands did something; {refused:?}");
    assert!(refused.len() >= 20 && refused.contains_key(&Refusal::RecipientFull), "{refused:?}");
    assert!(statuses.len() >= 18, "{statuses:?}");
    assert!(escalated > 100 && ran_out > 100, "{escalated} escalated, {ran_out} ran out");
}

#[test]
fn ids_of_random_runs_are_of_the_form() {
    assert!(EnvelopeId::parse(Network::empty().id().as_bytes(), "id").is_ok());
}
