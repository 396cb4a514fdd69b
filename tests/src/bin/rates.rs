//! Rates of the journal alone and of the writer alone, beside what the machine itself does: in turns,
//! because disks change their mind; and the processor time of an envelope, in the step and in what
//! follows it on the same thread (index, tiles, publishing). Requests are signed before the clock starts; no network. One JSON
//! line for each size of batch. `rates DIR [--rounds N] [--only BATCH]`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a trial's program: what cannot go on ends, and stdout is how it answers"
)]

use std::{
    fs::{self, File},
    os::unix::fs::{FileExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use gateway::writer::{Request, answer::Answer};
use journal::{Closed, Config, FileJournal, Journal as _, LogId, Prepare, SegmentBytes, Volume};
use rustix::time::{ClockId, clock_gettime};
use trials::{
    arguments::Arguments,
    load::Load,
    network::{BEGINNING, Network},
    place::{Place, Real},
    random::Random,
};

/// What an envelope comes to: its ciphertexts, and about 700 bytes of signed header.
const ENVELOPE_BYTES: usize = 2048;
const CIPHERTEXT_BYTES: usize = 1350;
/// Batches of one turn.
const TURN: usize = 16;
/// Length of the file that the machine's own rate is measured on.
const OWN_BYTES: u64 = 64 * 1024 * 1024;

fn main() {
    let arguments = Arguments::of_process(&[]);
    let root = PathBuf::from(&arguments.words[0]);
    let rounds: u64 = arguments.get("rounds", 6);
    let only: usize = arguments.get("only", 0);
    for batch in [1, 16, 64, 256] {
        if only == 0 || only == batch {
            measure(&root.join(batch.to_string()), batch, rounds);
        }
    }
}

fn measure(root: &Path, batch: usize, rounds: u64) {
    fs::create_dir_all(root).unwrap();
    let mut machine = Machine::new(&root.join("own"));
    let mut alone = journal_alone(&root.join("alone"));
    let load = Load { network: Network::new(), seed: 1, bytes: CIPHERTEXT_BYTES, messages: true };
    let place = Place::new(&root.join("gateway"), None);
    let mut writer = founded(&place, &load.network);
    let (mut own, mut journal, mut steps) = (Vec::new(), Vec::new(), Vec::new());
    let (mut step_cpu, mut behind_cpu) = (Duration::ZERO, Duration::ZERO);
    let mut salts = Random::new(5);
    let mut number = 0;
    let bytes = vec![0xa5; batch * ENVELOPE_BYTES];
    for _ in 0..rounds {
        let turn: Vec<Vec<Request>> = (0..TURN)
            .map(|_| {
                (0..batch)
                    .map(|_| {
                        number += 1;
                        load.envelope(number).request
                    })
                    .collect()
            })
            .collect();
        own.extend((0..TURN).map(|_| timed(|| machine.write(&bytes))));
        journal.extend((0..TURN).map(|_| {
            timed(|| {
                alone.append(&bytes, &[]).unwrap();
            })
        }));
        let moment = Load::moment(number);
        let began = processor_time();
        for requests in turn {
            steps.push(timed(|| {
                let answers = writer.step(moment, requests, &mut || salts.salt()).unwrap();
                assert!(answers.iter().all(|answer| matches!(answer, Answer::Taken { .. })));
            }));
        }
        let stepped = processor_time();
        writer.follow_up(64).unwrap();
        writer.publish_checkpoints().unwrap();
        step_cpu += stepped - began;
        behind_cpu += processor_time() - stepped;
    }
    let envelopes = number as f64;
    let journal_bytes = (writer.history().reader().end().position.get() - 64) as f64 / envelopes;
    drop(writer);
    let disk = |path: &Path| bytes_on_disk(path) as f64 / envelopes;
    let rate =
        |times: &[Duration]| (times.len() * batch) as f64 / times.iter().sum::<Duration>().as_secs_f64();
    println!(
        "{{\"batch\":{batch},\"own_per_s\":{:.0},\"journal_per_s\":{:.0},\"writer_per_s\":{:.0},\
         \"journal_to_own\":{:.2},\"writer_to_own\":{:.2},\"own_p50_us\":{},\"journal_p50_us\":{},\
         \"step_p50_us\":{},\"step_cpu_us\":{:.1},\"behind_cpu_us\":{:.1},\"journal_bytes\":{journal_bytes:.0},\"index_bytes\":{:.0},\"tile_bytes\":{:.0}}}",
        rate(&own),
        rate(&journal),
        rate(&steps),
        rate(&journal) / rate(&own),
        rate(&steps) / rate(&own),
        median_us(own),
        median_us(journal),
        median_us(steps),
        micros(step_cpu) / envelopes,
        micros(behind_cpu) / envelopes,
        disk(&place.index()),
        disk(&place.evidence()),
    );
}

/// What the writer's own thread has worked: a busy machine changes little of it.
fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.try_into().unwrap(), time.tv_nsec.try_into().unwrap())
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn timed(work: impl FnOnce()) -> Duration {
    let began = Instant::now();
    work();
    began.elapsed()
}

fn median_us(mut times: Vec<Duration>) -> u128 {
    times.sort_unstable();
    times[times.len() / 2].as_micros()
}

/// The machine's own: one write and one `fdatasync` on a file that was full of zeros before.
struct Machine {
    file: File,
    at: u64,
}

impl Machine {
    fn new(path: &Path) -> Self {
        let file = File::create(path).unwrap();
        file.write_all_at(&vec![0; usize::try_from(OWN_BYTES).unwrap()], 0).unwrap();
        file.sync_all().unwrap();
        Self { file, at: 0 }
    }

    fn write(&mut self, bytes: &[u8]) {
        let length = u64::try_from(bytes.len()).unwrap();
        if self.at + length > OWN_BYTES {
            self.at = 0;
        }
        self.file.write_all_at(bytes, self.at).unwrap();
        self.file.sync_data().unwrap();
        self.at += length;
    }
}

const CONFIG: Config = Config { ready_segments: 2, reserve_bytes: 0, prepare: Prepare::Background };

fn journal_alone(path: &Path) -> FileJournal {
    fs::create_dir_all(path).unwrap();
    let volume = Volume::directory(path).unwrap();
    FileJournal::create(&volume, &LogId::new([7; 16]), SegmentBytes::DEFAULT).unwrap();
    Closed::lock(&volume, &volume).unwrap().recover(CONFIG, None).unwrap().0
}

fn founded(place: &Place, network: &Network) -> Real {
    place.create(SegmentBytes::DEFAULT).unwrap();
    let (mut writer, _) = place.open(CONFIG, network.keys.clone()).unwrap();
    let mut salts = Random::new(4);
    for request in network.clone().founding() {
        writer.step(BEGINNING, vec![request], &mut || salts.salt()).unwrap();
    }
    writer
}

fn bytes_on_disk(path: &Path) -> u64 {
    let entries = fs::read_dir(path).unwrap().map(Result::unwrap);
    entries
        .map(|entry| match entry.file_type().unwrap().is_dir() {
            true => bytes_on_disk(&entry.path()),
            false => entry.metadata().unwrap().blocks() * 512,
        })
        .sum()
}
