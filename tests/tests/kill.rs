//! `kill -9`, two hundred times: half from outside at any moment under load, half at a named step.
//! After each, everything that was acknowledged must be there, the same, and waiting.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test: what cannot go on has failed, and the counts are for people"
)]

use std::{
    collections::BTreeMap,
    fs::{self, File},
    os::unix::process::ExitStatusExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus},
    sync::{Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

use trials::{
    random::Random,
    steps::{BESIDE, COMMIT_PATH},
};

const DRIVE: &str = env!("CARGO_BIN_EXE_drive");
const KILLS: u64 = 200;
/// One for each of two cores.
const LANES: u64 = 2;
/// A directory lives so long, that the check stays cheap.
const KILLS_OF_A_DIRECTORY: u64 = 6;
/// A driver that is not at its step by then never comes there.
const PATIENCE: Duration = Duration::from_secs(60);
const SIGKILL: i32 = 9;

/// How often each step was the last that a killed process passed.
type Hits = BTreeMap<String, u64>;

#[test]
fn nothing_acknowledged_is_lost_by_two_hundred_kills() {
    let hits = Mutex::new(Hits::new());
    thread::scope(|scope| {
        for lane in 0..LANES {
            let hits = &hits;
            scope.spawn(move || kills(lane, hits));
        }
    });
    let hits = hits.into_inner().unwrap();
    for (step, count) in &hits {
        println!("{count:>4} killed at: {step}");
    }
    assert_eq!(hits.values().sum::<u64>(), KILLS);
    for step in COMMIT_PATH {
        assert!(hits.get(step).is_some_and(|count| *count >= 3), "{step} was hardly hit: {hits:?}");
    }
}

fn kills(lane: u64, hits: &Mutex<Hits>) {
    let mut random = Random::new(2026 + lane);
    let mut place = Place::new(lane, &mut random);
    for number in 0..KILLS / LANES {
        if number % KILLS_OF_A_DIRECTORY == KILLS_OF_A_DIRECTORY - 1 {
            place = Place::new(lane, &mut random);
        }
        let step = if number % 2 == 0 {
            place.kill_from_outside(&mut random)
        } else {
            // Every step of the commit path in its turn; what is beside it by chance.
            let turn = usize::try_from(number / 2).unwrap();
            let beside = turn % 3 == 2;
            let step = if beside { random.pick(&BESIDE) } else { &COMMIT_PATH[turn * 2 / 3 % 9] };
            place.kill_at(step, 1 + random.below(if beside { 2 } else { 12 }))
        };
        place.check(&step);
        *hits.lock().unwrap_or_else(PoisonError::into_inner).entry(step).or_default() += 1;
    }
}

/// A directory, and what was acknowledged in it so far.
struct Place {
    folder: tempfile::TempDir,
    acknowledged: String,
    seed: u64,
    segment_bytes: u64,
    batch: u64,
}

impl Place {
    fn new(lane: u64, random: &mut Random) -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            acknowledged: String::new(),
            seed: random.next() ^ lane,
            segment_bytes: *random.pick(&[256 * 1024, 1024 * 1024]),
            batch: *random.pick(&[1, 4, 16, 48]),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Above everything that was ever acknowledged: what was pushed and not answered comes again.
    fn first(&self) -> u64 {
        let numbers = self.acknowledged.lines().filter_map(|line| line.strip_prefix("a "));
        let numbers = numbers.filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok());
        numbers.max().map_or(0, |last| last + 1)
    }

    fn drive(&self) -> Command {
        let mut drive = Command::new(DRIVE);
        drive.arg(self.path("gateway"));
        for (option, value) in
            [("--seed", self.seed), ("--segment-bytes", self.segment_bytes), ("--batch", self.batch)]
        {
            drive.arg(option).arg(value.to_string());
        }
        drive
    }

    fn start(&self, kill_at: Option<&str>) -> Child {
        let steps = self.path("steps");
        if steps.exists() {
            fs::remove_file(&steps).unwrap();
        }
        let mut drive = self.drive();
        drive.args(["--publish-every", "4", "--snapshot-every", "6", "--first", &self.first().to_string()]);
        drive.arg("--steps").arg(steps);
        if let Some(kill_at) = kill_at {
            drive.args(["--kill-at", kill_at]);
        }
        drive.stdout(File::create(self.path("said")).unwrap());
        drive.stderr(File::create(self.path("complaints")).unwrap());
        drive.spawn().unwrap()
    }

    fn kill_from_outside(&mut self, random: &mut Random) -> String {
        let mut child = self.start(None);
        // Not to wait for a condition: the moment is what is tried, and any will do.
        thread::sleep(Duration::from_micros(random.below(120_000)));
        child.kill().unwrap();
        let status = child.wait().unwrap();
        self.killed(status)
    }

    fn kill_at(&mut self, step: &str, n: u64) -> String {
        let mut child = self.start(Some(&format!("{step}:{n}")));
        let started = Instant::now();
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                let last = self.killed(status);
                assert_eq!(last, step);
                return last;
            }
            if started.elapsed() > PATIENCE {
                child.kill().unwrap();
                child.wait().unwrap();
                panic!("never came to {step}:{n}");
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Keeps what it acknowledged, and gives the last step that it passed.
    fn killed(&mut self, status: ExitStatus) -> String {
        let complaints = read(&self.path("complaints"));
        assert_eq!(status.signal(), Some(SIGKILL), "ended by itself: {status}: {complaints}");
        let said = read(&self.path("said"));
        // The last line may be half of one, and then it told nobody anything.
        self.acknowledged.push_str(said.rfind('\n').map_or("", |end| &said[..=end]));
        let steps = read(&self.path("steps"));
        steps.lines().last().unwrap_or("before the first step").to_owned()
    }

    fn check(&self, step: &str) {
        let acknowledged = self.path("acknowledged");
        fs::write(&acknowledged, &self.acknowledged).unwrap();
        let checked = self.drive().arg("--check").arg("--acked").arg(acknowledged).output().unwrap();
        let complaints = String::from_utf8_lossy(&checked.stderr);
        assert!(
            checked.status.success(),
            "after a kill at {step}, seed {}: {}: {complaints}",
            self.seed,
            checked.status
        );
    }
}

fn read(path: &Path) -> String {
    fs::read(path).map_or_else(|_| String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}
