//! A long history, and what a start costs with it: `history build DIR [--envelopes N]` makes a
//! journal of that many messages, each pushed and handed over (three evidence records each, so that
//! little is open at the end); `history start DIR` measures one start in a fresh process; `history
//! cut DIR [--keep N]` does to the directory what a power cut does to it. One JSON line each.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a trial's program: what cannot go on ends, and stdout is how it answers"
)]

use std::{
    fs,
    path::{Path, PathBuf},
    sync::mpsc::{Receiver, sync_channel},
    thread,
    time::Instant,
};

use gateway::{
    history::Log,
    writer::{Request, SNAPSHOT_RECORDS, answer::Answer},
};
use journal::{Config, Prepare, SegmentBytes};
use proto::ids::TimeMs;
use trials::{
    arguments::Arguments,
    load::{Load, Numbered},
    network::{BEGINNING, Network},
    place::{Place, Real},
    random::Random,
};

/// Envelopes of a batch, and of a handover.
const BATCH: u64 = 250;
/// What a start may take.
const START_MS_MAX: u128 = 2000;
/// What a start may hold in memory, and making the index again.
const START_KIB_MAX: u64 = 128 * 1024;
/// How many records a second an index must be made again of: a million envelopes, each accepted,
/// consigned and handed over, in 30 s.
const RECORDS_PER_S_MIN: f64 = 100_000.0;

fn main() {
    let arguments = Arguments::of_process(&[]);
    let root = PathBuf::from(&arguments.words[1]);
    match arguments.words[0].as_str() {
        "build" => build(&root, &arguments),
        "start" => start(&root, &arguments),
        "cut" => cut(&root),
        other => panic!("{other}: build, start or cut"),
    }
}

const fn config() -> Config {
    Config { ready_segments: 2, reserve_bytes: 0, prepare: Prepare::Background }
}

fn open(root: &Path) -> (Real, gateway::start::Started) {
    Place::new(root, None).open(config(), Network::new().keys).unwrap()
}

fn load() -> Load {
    Load { network: Network::new(), seed: 1, bytes: 300, messages: true }
}

/// A batch of pushes and the receipts for them, signed elsewhere than where they are pushed.
struct Signed {
    moment: TimeMs,
    pushes: Vec<Request>,
    handovers: Vec<Request>,
}

fn sign(first: u64) -> Signed {
    let load = load();
    let envelopes: Vec<_> = (first..first + BATCH).map(|number| load.envelope(number)).collect();
    let handovers = (0..load.network.agencies.len()).filter_map(|to| {
        let mine: Vec<&Numbered> = envelopes.iter().filter(|envelope| envelope.to == to).collect();
        (!mine.is_empty()).then(|| load.handover(to, &mine))
    });
    let handovers = handovers.collect();
    let pushes = envelopes.into_iter().map(|envelope| envelope.request).collect();
    Signed { moment: Load::moment(first + BATCH), pushes, handovers }
}

/// Signs batches in two threads, and gives them in order.
fn signed(batches: u64) -> Vec<Receiver<Signed>> {
    let lanes = (0..2).map(|lane| {
        let (sender, receiver) = sync_channel(16);
        thread::spawn(move || {
            for batch in (lane..batches).step_by(2) {
                if sender.send(sign(batch * BATCH)).is_err() {
                    return;
                }
            }
        });
        receiver
    });
    lanes.collect()
}

fn build(root: &Path, arguments: &Arguments) {
    let envelopes: u64 = arguments.get("envelopes", 1_000_000);
    let place = Place::new(root, None);
    place.create(SegmentBytes::DEFAULT).unwrap();
    let (mut writer, _) = open(root);
    let mut salts = Random::new(7);
    let mut step = |writer: &mut Real, moment, requests| {
        for answer in writer.step(moment, requests, &mut || salts.salt()).unwrap() {
            assert!(matches!(answer, Answer::Taken { .. }), "{answer:?}");
        }
    };
    for request in Network::new().founding() {
        step(&mut writer, BEGINNING, vec![request]);
    }
    let started = Instant::now();
    let batches = envelopes.div_ceil(BATCH);
    // More, until a snapshot is due that is not taken, as when the power goes: a start replays the most.
    let batches_max = 2 * batches + SNAPSHOT_RECORDS / BATCH;
    let lanes = signed(batches_max);
    let mut built = 0;
    for batch in 0..batches_max {
        let Signed { moment, pushes, handovers } = lanes[usize::try_from(batch % 2).unwrap()].recv().unwrap();
        step(&mut writer, moment, pushes);
        step(&mut writer, moment, handovers);
        if batch % 4 == 0 {
            writer.follow_up(64).unwrap();
        }
        built = batch + 1;
        if writer.is_snapshot_due() {
            if built > batches {
                break;
            }
            snapshot(&mut writer);
        }
    }
    writer.follow_up(64).unwrap();
    let state = writer.state();
    println!(
        "{{\"built\":{{\"envelopes\":{},\"evidence_records\":{},\"batches\":{},\"open_referrals\":{},\
         \"seconds\":{:.1},\"journal_bytes\":{},\"index_bytes\":{},\"tile_bytes\":{}}}}}",
        built * BATCH,
        state.evidence().size(),
        writer.history().batches(),
        state.referrals_in_memory(),
        started.elapsed().as_secs_f64(),
        bytes_of(&place.journal()),
        bytes_of(&place.index()),
        bytes_of(&place.evidence()),
    );
    drop(writer);
}

fn snapshot(writer: &mut Real) {
    if let Some((mark, _)) = writer.publish_checkpoints().unwrap() {
        writer.journal().anchor().write(mark, b"").unwrap();
    }
    let (mark, pieces) = writer.snapshot();
    writer.journal().snapshots().write(mark, pieces).unwrap();
}

/// Bytes on disk below a directory.
fn bytes_of(path: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt as _;
    let entries = fs::read_dir(path).unwrap().map(Result::unwrap);
    entries
        .map(|entry| match entry.file_type().unwrap().is_dir() {
            true => bytes_of(&entry.path()),
            false => entry.metadata().unwrap().blocks() * 512,
        })
        .sum()
}

/// Starts, answers one push that is new, and says what it cost.
fn start(root: &Path, arguments: &Arguments) {
    let after = arguments.text("after").unwrap_or("a clean stop").to_owned();
    let fresh = load().envelope(arguments.get("fresh", 1_000_000_000));
    let moment = Load::moment(fresh.number);
    let began = Instant::now();
    let (mut writer, started) = open(root);
    let opened = began.elapsed();
    let answers = writer.step(moment, vec![fresh.request], &mut || Random::new(9).salt()).unwrap();
    let ready = began.elapsed();
    assert!(matches!(answers[0], Answer::Taken { .. }), "{answers:?}");
    let ready_kib = memory_kib();
    let behind = writer.history().batches() - writer.index().batches();
    println!(
        "{{\"ready\":{{\"after\":\"{after}\",\"opened_ms\":{},\"first_push_ms\":{},\"memory_max_kib\":{ready_kib}}}}}",
        opened.as_millis(),
        ready.as_millis()
    );
    let (began, missing) = (Instant::now(), behind);
    while arguments.text("stop").is_some() && !writer.index().is_ready(&writer.history().clone()) {
        writer.follow_up(64).unwrap();
    }
    println!(
        "{{\"start\":{{\"after\":\"{after}\",\"opened_ms\":{},\"first_push_ms\":{},\"memory_max_kib\":{ready_kib},\
         \"replayed_batches\":{},\"index_behind_batches\":{behind},\"index_ready_after_s\":{:.1},\
         \"memory_max_then_kib\":{},\"evidence_records\":{}}}}}",
        opened.as_millis(),
        ready.as_millis(),
        started.replayed,
        began.elapsed().as_secs_f64(),
        memory_kib(),
        writer.state().evidence().size()
    );
    let records = writer.state().evidence().size() * missing / writer.history().batches();
    let seconds_max = 2.0 + records as f64 / RECORDS_PER_S_MIN;
    assert!(began.elapsed().as_secs_f64() < seconds_max, "making the index again may take {seconds_max} s");
    assert!(memory_kib() < START_KIB_MAX, "and hold {START_KIB_MAX} KiB");
    assert!(ready.as_millis() < START_MS_MAX, "a start may take {START_MS_MAX} ms");
    assert!(ready_kib < START_KIB_MAX, "a start may hold {START_KIB_MAX} KiB");
    if arguments.text("stop") == Some("clean") {
        while writer.tiles(Log::Evidence).size() != writer.state().evidence().size() {
            writer.follow_up(64).unwrap();
        }
        snapshot(&mut writer);
    }
}

/// The most memory that this process ever held, in KiB.
fn memory_kib() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Loses the index, and leaves a torn batch behind the journal's end.
fn cut(root: &Path) {
    use std::os::unix::fs::FileExt as _;
    let place = Place::new(root, None);
    let end = {
        let (writer, _) = open(root);
        writer.history().reader().end().position.get()
    };
    let size = SegmentBytes::DEFAULT.get();
    let segment = place.journal().join(format!("{:016x}.seg", end / size));
    let torn = Random::new(3).run(100_000);
    fs::OpenOptions::new().write(true).open(segment).unwrap().write_all_at(&torn, end % size).unwrap();
    fs::remove_dir_all(place.index()).unwrap();
    println!("{{\"cut\":{{\"torn_bytes\":{},\"index\":\"lost\"}}}}", torn.len());
}
