//! Drives the real writer on real files, so that others can kill it, cut its power and damage its
//! disk: `drive DIR` pushes until it is killed, `drive --check DIR --acked FILE` tells whether
//! anything that was acknowledged is missing or different. Not here: who kills it.
//!
//! A line is written for each acknowledgement, after its sync and before anything else is done:
//! `a <number> <receipt digest>,…` an envelope, `h <number>` its handover (`t <number>` before it is
//! tried), `s <evidence> <directory> <batches>` the sizes, `p <size>` a published checkpoint, `b
//! <why> <count>` requests that were not decided, `e <what>` a fault in derived work that it went
//! on after.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a trial's program: what cannot go on ends, and stdout is how it answers"
)]

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt::Write as _,
    fs::OpenOptions,
    io::Write as _,
    path::Path,
    process::ExitCode,
};

use gateway::{
    fault::Fault,
    history::Log,
    verify::{Folders, Verifiers, verify},
    writer::{
        Request,
        answer::{Answer, Busy},
    },
};
use journal::{AnchorFile, Config, Prepare, SegmentBytes, snapshot::Snapshots};
use proto::{digest::Digest, ids::TimeMs, wire};
use trials::{
    arguments::Arguments,
    load::{Load, Numbered},
    network::{BEGINNING, Network},
    place::{Place, Real},
    random::Random,
    steps::Steps,
};

/// How often an answer that is only late is asked for again.
const ATTEMPTS_MAX: usize = 1000;
/// Exit code after a fault: it answered nothing that was in flight.
const ENDED_BY_FAULT: u8 = 3;
/// Exit code of a check that found something wrong.
const WRONG: u8 = 1;

fn main() -> ExitCode {
    let arguments = Arguments::of_process(&["check", "fill"]);
    let told =
        arguments.text("steps").map(|path| OpenOptions::new().create(true).append(true).open(path).unwrap());
    if told.is_some() || arguments.text("kill-at").is_some() {
        tracing::subscriber::set_global_default(Steps::new(arguments.text("kill-at"), told)).unwrap();
    }
    let ran = if arguments.has("check") {
        check(&arguments)
    } else if arguments.has("fill") {
        fill(&arguments)
    } else {
        drive(&arguments)
    };
    match ran {
        Ok(()) => ExitCode::SUCCESS,
        Err(Ended::Fault(fault)) => {
            eprintln!("ended: {fault}");
            ExitCode::from(ENDED_BY_FAULT)
        }
        Err(Ended::Unheard(error)) => {
            eprintln!("ended: nobody hears what is acknowledged: {error}");
            ExitCode::from(ENDED_BY_FAULT)
        }
        Err(Ended::Wrong(what)) => {
            eprintln!("WRONG: {what}");
            ExitCode::from(WRONG)
        }
    }
}

/// Why it ended.
enum Ended {
    Fault(Fault),
    Unheard(std::io::Error),
    Wrong(String),
}

impl From<Fault> for Ended {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<journal::Fault> for Ended {
    fn from(fault: journal::Fault) -> Self {
        Self::Fault(fault.into())
    }
}

fn place(arguments: &Arguments) -> Place {
    let place = Place::new(Path::new(&arguments.words[0]), arguments.text("anchor").map(Path::new));
    // Few, so that a short life sees runs of the index made and merged.
    place.with_index_rows_max(arguments.get("index-rows", 1000))
}

fn load(arguments: &Arguments, network: &Network) -> Load {
    Load {
        network: network.clone(),
        seed: arguments.get("seed", 1),
        bytes: arguments.get("bytes", 1200),
        messages: false,
    }
}

/// The driver: the writer, and what it remembers of this life.
struct Driver {
    writer: Real,
    snapshots: Snapshots,
    anchor: AnchorFile,
    load: Load,
    random: Random,
    salts: Random,
    moment: TimeMs,
    lines: String,
}

impl Driver {
    fn start(arguments: &Arguments) -> Result<Self, Ended> {
        let place = place(arguments);
        let segment_bytes = SegmentBytes::new(arguments.get("segment-bytes", 1024 * 1024)).unwrap();
        place.create(segment_bytes)?;
        let mut network = Network::new();
        let founding = network.founding();
        let config = Config {
            ready_segments: 2,
            reserve_bytes: arguments.get("reserve-bytes", 0),
            prepare: Prepare::Background,
        };
        let (writer, started) = place.open(config, network.keys.clone())?;
        let load = load(arguments, &network);
        let (snapshots, anchor) = (writer.journal().snapshots(), writer.journal().anchor());
        let random = Random::new(load.seed ^ 0x5eed ^ started.recovered.end.position.get());
        // Salts must not repeat: they depend on how far the journal came.
        let salts = Random::new(load.seed ^ started.recovered.end.position.get().rotate_left(32));
        let moment = BEGINNING;
        let mut driver =
            Self { writer, snapshots, anchor, load, random, salts, moment, lines: String::new() };
        driver.found(founding)?;
        driver.tell_sizes();
        writeln!(driver.lines, "ready {}", started.replayed).unwrap();
        Ok(driver)
    }

    /// What is missing of the founding: each request adds one record to the directory.
    fn found(&mut self, founding: Vec<Request>) -> Result<(), Ended> {
        let done = usize::try_from(self.writer.state().directory_log().size()).unwrap();
        for request in founding.into_iter().skip(done) {
            match self.step(vec![request])?.pop() {
                Some(Answer::Taken { .. }) => {}
                Some(Answer::Busy(Busy::Disk)) => {
                    return Err(Fault::Journal(journal::Fault::NoRoom).into());
                }
                other => return Err(Ended::Wrong(format!("founding: {other:?}"))),
            }
        }
        Ok(())
    }

    fn step(&mut self, requests: Vec<Request>) -> Result<Vec<Answer>, Ended> {
        let salts = &mut self.salts;
        Ok(self.writer.step(self.moment, requests, &mut || salts.salt())?)
    }

    fn tell_sizes(&mut self) {
        let state = self.writer.state();
        let (evidence, directory) = (state.evidence().size(), state.directory_log().size());
        let batches = self.writer.history().batches();
        writeln!(self.lines, "s {evidence} {directory} {batches}").unwrap();
    }

    fn say(&mut self) -> Result<(), Ended> {
        tracing::trace!(target: "drive", "answering");
        let mut stdout = std::io::stdout().lock();
        let said = stdout.write_all(self.lines.as_bytes()).and_then(|()| stdout.flush());
        self.lines.clear();
        said.map_err(Ended::Unheard)?;
        tracing::trace!(target: "drive", "answered");
        Ok(())
    }

    /// Pushes envelopes, and gives those back that were not decided.
    fn push(
        &mut self,
        envelopes: Vec<Numbered>,
        known: &mut BTreeMap<u64, String>,
    ) -> Result<Vec<Numbered>, Ended> {
        let newest = envelopes.iter().map(|envelope| envelope.number).max().unwrap_or(0);
        self.moment = self.moment.max(Load::moment(newest));
        let answers = self.step(envelopes.iter().map(|envelope| envelope.request.clone()).collect())?;
        let mut busy: BTreeMap<String, u64> = BTreeMap::new();
        let mut undecided = Vec::new();
        for (envelope, answer) in envelopes.into_iter().zip(answers) {
            match answer {
                Answer::Taken { receipts, .. } => {
                    let digests = digests(&receipts);
                    writeln!(self.lines, "a {} {digests}", envelope.number).unwrap();
                    let first = known.entry(envelope.number).or_insert_with(|| digests.clone());
                    if *first != digests {
                        return Err(Ended::Wrong(format!("other receipts for {}", envelope.number)));
                    }
                }
                Answer::Busy(why) => {
                    *busy.entry(format!("{why:?}")).or_default() += 1;
                    undecided.push(envelope);
                }
                other @ (Answer::Refused { .. } | Answer::Nothing) => {
                    return Err(Ended::Wrong(format!("{}: {other:?}", envelope.number)));
                }
            }
        }
        for (why, count) in busy {
            writeln!(self.lines, "b {why} {count}").unwrap();
        }
        self.tell_sizes();
        self.say()?;
        Ok(undecided)
    }

    /// One recipient signs for some of what waits for it; gives back whether it was taken.
    fn hand_over(&mut self, to: usize, envelopes: &[&Numbered]) -> Result<bool, Ended> {
        for envelope in envelopes {
            writeln!(self.lines, "t {}", envelope.number).unwrap();
        }
        self.say()?;
        let request = self.load.handover(to, envelopes);
        match self.step(vec![request])?.pop() {
            Some(Answer::Taken { not_taken, .. }) => {
                let not_taken: BTreeSet<_> = not_taken.into_iter().map(|(digest, _)| digest).collect();
                for envelope in envelopes.iter().filter(|envelope| !not_taken.contains(&envelope.digest)) {
                    writeln!(self.lines, "h {}", envelope.number).unwrap();
                }
            }
            Some(Answer::Busy(why)) => {
                writeln!(self.lines, "b {why:?} 1").unwrap();
                self.say()?;
                return Ok(false);
            }
            other => return Err(Ended::Wrong(format!("handover: {other:?}"))),
        }
        self.tell_sizes();
        self.say()?;
        Ok(true)
    }

    /// Work behind the commit may fail and be tried again; it must not take the writer with it.
    fn tolerate<T>(&mut self, what: &str, done: Result<T, Fault>) -> Option<T> {
        done.map_err(|fault| writeln!(self.lines, "e {what}: {fault}").unwrap()).ok()
    }

    /// Twice without anything between: the second time finds it quiet.
    fn follow_up(&mut self) {
        for _ in 0..2 {
            let done = self.writer.follow_up(64);
            self.tolerate("follow up", done);
        }
    }

    fn publish(&mut self) -> Result<(), Ended> {
        let done = self.writer.publish_checkpoints();
        if let Some(Some((mark, _))) = self.tolerate("publish", done) {
            let size = self.writer.tiles(Log::Evidence).published();
            writeln!(self.lines, "p {size}").unwrap();
            let anchored = self.anchor.write(mark, b"").map_err(Fault::from);
            self.tolerate("anchor", anchored);
            self.say()?;
        }
        Ok(())
    }

    fn snapshot(&mut self) {
        let (mark, pieces) = self.writer.snapshot();
        let done = self.snapshots.write(mark, pieces).map_err(Fault::from);
        self.tolerate("snapshot", done);
    }
}

fn digests(receipts: &[proto::receipt::Receipt]) -> String {
    let digests: Vec<_> =
        receipts.iter().map(|receipt| Digest::of(receipt.to_file().as_bytes()).to_string()).collect();
    digests.join(",")
}

fn drive(arguments: &Arguments) -> Result<(), Ended> {
    let mut driver = Driver::start(arguments)?;
    driver.say()?;
    let (batches, batch): (u64, u64) = (arguments.get("batches", 0), arguments.get("batch", 16));
    let (publish, snapshot) = (arguments.get("publish-every", 7), arguments.get("snapshot-every", 11));
    let first: u64 = arguments.get("first", 0);
    let mut next = first;
    let mut known = BTreeMap::new();
    let mut waiting: VecDeque<Numbered> = VecDeque::new();
    let mut undecided = Vec::new();
    let mut number = 0;
    while batches == 0 || number < batches {
        number += 1;
        let mut envelopes: Vec<Numbered> = std::mem::take(&mut undecided);
        let fresh = if envelopes.is_empty() { 1 + driver.random.below(batch) } else { 0 };
        for _ in 0..fresh {
            // One in eight is pushed again, from this life or from one before.
            let again = next > 0 && driver.random.once_in(8);
            let chosen = if again { driver.random.below(next) } else { next };
            next = next.max(chosen + 1);
            let envelope = driver.load.envelope(chosen);
            if !again && chosen % 3 != 0 {
                waiting.push_back(envelope.clone());
            }
            envelopes.push(envelope);
        }
        undecided = driver.push(envelopes, &mut known)?;
        if number % 3 == 0 {
            hand_over_some(&mut driver, &mut waiting, &known)?;
        }
        if driver.random.once_in(4) {
            driver.follow_up();
        }
        if number % publish == 0 {
            driver.publish()?;
        }
        if number % snapshot == 0 {
            driver.snapshot();
        }
    }
    driver.say()
}

/// What was acknowledged in this life and waits longest goes to its recipient.
fn hand_over_some(
    driver: &mut Driver,
    waiting: &mut VecDeque<Numbered>,
    known: &BTreeMap<u64, String>,
) -> Result<(), Ended> {
    let Some(to) = waiting.front().map(|envelope| envelope.to) else {
        return Ok(());
    };
    let (mut some, rest): (Vec<_>, Vec<_>) = std::mem::take(waiting)
        .into_iter()
        .partition(|envelope| envelope.to == to && known.contains_key(&envelope.number));
    *waiting = rest.into();
    some.truncate(32);
    let some: Vec<_> = some.iter().collect();
    if some.is_empty() { Ok(()) } else { driver.hand_over(to, &some).map(|_| ()) }
}

/// What was acknowledged, as the lines tell it.
#[derive(Default)]
struct Acknowledged {
    receipts: BTreeMap<u64, String>,
    tried: BTreeSet<u64>,
    handed: BTreeSet<u64>,
    sizes: (u64, u64, u64),
    published: u64,
}

impl Acknowledged {
    fn read(text: &str) -> Result<Self, Ended> {
        let mut acknowledged = Self::default();
        // Who was killed may have left half a line.
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        for line in whole.lines() {
            let words: Vec<_> = line.split(' ').collect();
            let number = |place: usize| words.get(place).and_then(|word| word.parse().ok()).unwrap_or(0);
            match words[0] {
                "a" => {
                    let digests = words[2].to_owned();
                    let first = acknowledged.receipts.entry(number(1)).or_insert_with(|| digests.clone());
                    if *first != digests {
                        return Err(Ended::Wrong(format!("two receipts for {}", words[1])));
                    }
                }
                "t" => drop(acknowledged.tried.insert(number(1))),
                "h" => drop(acknowledged.handed.insert(number(1))),
                "s" => {
                    let sizes = (number(1), number(2), number(3));
                    let before = acknowledged.sizes;
                    if sizes.0 < before.0 || sizes.1 < before.1 || sizes.2 < before.2 {
                        return Err(Ended::Wrong(format!("{before:?} shrank to {sizes:?}")));
                    }
                    acknowledged.sizes = sizes;
                }
                "p" => acknowledged.published = acknowledged.published.max(number(1)),
                _ => {}
            }
        }
        Ok(acknowledged)
    }
}

fn check(arguments: &Arguments) -> Result<(), Ended> {
    let text = std::fs::read(arguments.text("acked").unwrap()).unwrap();
    let acknowledged = Acknowledged::read(&String::from_utf8_lossy(&text))?;
    let place = place(arguments);
    if !place.journal().exists() && acknowledged.sizes == (0, 0, 0) {
        println!("{{\"acknowledged\":0,\"empty\":true}}");
        return Ok(());
    }
    let mut driver = Driver::start(arguments)?;
    let state = driver.writer.state();
    let sizes = (state.evidence().size(), state.directory_log().size(), driver.writer.history().batches());
    let before = acknowledged.sizes;
    if sizes.0 < before.0 || sizes.1 < before.1 || sizes.2 < before.2 {
        return Err(Ended::Wrong(format!("{before:?} was acknowledged, {sizes:?} is there")));
    }
    // As it was found, before anything is pushed again: that would hide what is missing.
    check_mailboxes(&driver, &acknowledged)?;
    let behind = driver.writer.history().batches() - driver.writer.index().batches();
    catch_up(&mut driver)?;
    check_receipts(&mut driver, &acknowledged)?;
    if driver.writer.state().evidence().size() != sizes.0 {
        return Err(Ended::Wrong("something acknowledged was accepted a second time".to_owned()));
    }
    let verified = verify_all(&mut driver)?;
    if verified.evidence < acknowledged.published {
        return Err(Ended::Wrong(format!("{} was published", acknowledged.published)));
    }
    println!(
        "{{\"acknowledged\":{},\"handed_over\":{},\"evidence\":{},\"batches\":{},\"files\":{},\
         \"index_behind\":{behind},\"index_set_aside\":{}}}",
        acknowledged.receipts.len(),
        acknowledged.handed.len(),
        verified.evidence,
        verified.batches,
        verified.files,
        driver.writer.index().times_set_aside()
    );
    Ok(())
}

fn check_mailboxes(driver: &Driver, acknowledged: &Acknowledged) -> Result<(), Ended> {
    for number in acknowledged.receipts.keys() {
        let envelope = driver.load.envelope(*number);
        let to = &driver.load.network.at(envelope.to).id;
        let mailbox = driver.writer.state().mailboxes().of(to);
        let waits = mailbox.is_some_and(|mailbox| mailbox.find(&envelope.digest).is_some());
        if !waits && !acknowledged.tried.contains(number) {
            return Err(Ended::Wrong(format!("{number} was acknowledged and waits nowhere")));
        }
        if waits && acknowledged.handed.contains(number) {
            return Err(Ended::Wrong(format!("{number} was handed over and waits again")));
        }
    }
    Ok(())
}

fn catch_up(driver: &mut Driver) -> Result<(), Ended> {
    for _ in 0..ATTEMPTS_MAX {
        driver.writer.follow_up(64)?;
        let history = driver.writer.history().clone();
        let size = driver.writer.state().evidence().size();
        if driver.writer.index().is_ready(&history) && driver.writer.tiles(Log::Evidence).size() == size {
            return Ok(());
        }
    }
    Err(Ended::Wrong("the index never gets ready".to_owned()))
}

/// Everything acknowledged is pushed again, and has the receipts that it had.
fn check_receipts(driver: &mut Driver, acknowledged: &Acknowledged) -> Result<(), Ended> {
    let mut known = acknowledged.receipts.clone();
    let mut busy = None;
    let numbers: Vec<_> = acknowledged.receipts.keys().copied().collect();
    for some in numbers.chunks(256) {
        let mut envelopes: Vec<_> = some.iter().map(|number| driver.load.envelope(*number)).collect();
        for _ in 0..ATTEMPTS_MAX {
            let newest = some.last().copied().unwrap_or(0);
            driver.moment = driver.moment.max(Load::moment(newest));
            let answers = driver.step(envelopes.iter().map(|it| it.request.clone()).collect())?;
            let mut undecided = Vec::new();
            for (envelope, answer) in envelopes.into_iter().zip(answers) {
                match answer {
                    Answer::Taken { receipts, .. } => {
                        if known.remove(&envelope.number) != Some(digests(&receipts)) {
                            return Err(Ended::Wrong(format!("other receipts for {}", envelope.number)));
                        }
                    }
                    Answer::Busy(why) => {
                        busy = Some(why);
                        undecided.push(envelope);
                    }
                    other @ (Answer::Refused { .. } | Answer::Nothing) => {
                        return Err(Ended::Wrong(format!("{}: {other:?}", envelope.number)));
                    }
                }
            }
            envelopes = undecided;
            if envelopes.is_empty() {
                break;
            }
            driver.writer.follow_up(64)?;
        }
        if !envelopes.is_empty() {
            break;
        }
    }
    if known.is_empty() {
        return Ok(());
    }
    let (count, aside) = (known.len(), driver.writer.index().times_set_aside());
    Err(Ended::Wrong(format!("{count} never answered: {busy:?}, index set aside {aside} times")))
}

fn verify_all(driver: &mut Driver) -> Result<gateway::verify::Verified, Ended> {
    catch_up(driver)?;
    let (mark, _) =
        driver.writer.publish_checkpoints()?.ok_or(Ended::Wrong("nothing published".to_owned()))?;
    driver.anchor.write(mark, b"")?;
    let (evidence, directory) = (driver.writer.tiles(Log::Evidence), driver.writer.tiles(Log::Directory));
    let folders = Folders { evidence: evidence.files(), directory: directory.files() };
    let verifiers = Verifiers::from(&driver.load.network.keys);
    let verified = verify(driver.writer.history().reader(), &verifiers, Some(&folders), |_| {});
    verified.map_err(|wrong| Ended::Wrong(wrong.to_string()))
}

/// Fills the volume, and goes on as far as one may on a full one: `full` is said when pushes are
/// refused for want of space, `reserved` when handovers and a change of the directory went through
/// nevertheless, `freed` when pushes go on, for which it waits.
fn fill(arguments: &Arguments) -> Result<(), Ended> {
    let mut driver = Driver::start(arguments)?;
    driver.say()?;
    let batch = arguments.get("batch", 16);
    let mut known = BTreeMap::new();
    let mut next = arguments.get("first", 0_u64);
    let mut taken = Vec::new();
    loop {
        let envelopes: Vec<_> = (next..next + batch).map(|number| driver.load.envelope(number)).collect();
        let offered = envelopes.clone();
        let undecided = driver.push(envelopes, &mut known)?;
        next += batch;
        if taken.len() < 1000 {
            taken.extend(offered.into_iter().filter(|envelope| known.contains_key(&envelope.number)));
        }
        driver.follow_up();
        driver.publish()?;
        if !undecided.is_empty() && no_space(&mut driver, next, &mut known)? {
            break;
        }
    }
    announce(&mut driver, "full")?;
    let heard = wait_for(arguments, "go-on");
    reserved_work(&mut driver, &taken)?;
    announce(&mut driver, if heard { "reserved" } else { "reserved unheard" })?;
    for _ in 0..ATTEMPTS_MAX {
        next += 1;
        if !no_space(&mut driver, next, &mut known)? {
            driver.follow_up();
            driver.publish()?;
            return announce(&mut driver, "freed");
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    Err(Ended::Wrong("pushes never go on".to_owned()))
}

fn announce(driver: &mut Driver, word: &str) -> Result<(), Ended> {
    writeln!(driver.lines, "{word}").unwrap();
    driver.say()
}

/// Whether a push alone is refused for want of space.
fn no_space(driver: &mut Driver, number: u64, known: &mut BTreeMap<u64, String>) -> Result<bool, Ended> {
    let envelope = driver.load.envelope(number);
    Ok(!driver.push(vec![envelope], known)?.is_empty())
}

/// Waits until the file is there that an option names.
fn wait_for(arguments: &Arguments, option: &str) -> bool {
    let Some(path) = arguments.text(option) else {
        return false;
    };
    while !Path::new(path).exists() {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    true
}

/// What must go on: every recipient takes what waits for it, and a change of the directory.
fn reserved_work(driver: &mut Driver, taken: &[Numbered]) -> Result<(), Ended> {
    for to in 0..driver.load.network.agencies.len() {
        let mine: Vec<_> = taken.iter().filter(|envelope| envelope.to == to).collect();
        for some in mine.chunks(20) {
            if !driver.hand_over(to, some)? {
                return Err(Ended::Wrong("a handover was refused for want of space".to_owned()));
            }
        }
        driver.follow_up();
    }
    let calendar = wire::Calendar {
        name: "an-example".to_owned(),
        time_zone: "Asia/Dubai".to_owned(),
        week_end: vec![6, 7],
        opens_minute: 480,
        closes_minute: 960,
        holidays: Vec::new(),
    };
    let change = wire::directory_change::Change::Calendar(calendar);
    let request = driver.load.network.change_by_two(change, driver.moment);
    match driver.step(vec![request])?.pop() {
        Some(Answer::Taken { .. }) => Ok(()),
        other => Err(Ended::Wrong(format!("a change of the directory: {other:?}"))),
    }
}
