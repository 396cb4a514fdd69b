//! Drives a whole network of real programs, so that others can cut its power and fill its disk:
//! `network found DIR` makes one, `network push DIR` sends through it, `network check DIR` tells whether
//! anything that an agent promised is missing. Not here: who cuts and fills (`tests/crash/network`).
//!
//! Of each referral that an agent has taken a line is written, `s <referral>`, after the agent said so and
//! before anything else is done.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a trial's program: what cannot go on ends, and stdout is how it answers"
)]

use std::{
    collections::BTreeSet,
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    process::ExitCode,
    time::{Duration, Instant},
};

use serde_json::Value;
use trials::{
    arguments::Arguments,
    demo::{Programs, Stage, found},
    speak::get,
};

const FROM: &str = "ae.dfwac";
const TO: &str = "ae-rk.aman";
/// Exit code after the first thing that could not be done: the power is gone.
const ENDED_BY_CUT: u8 = 3;
/// How many referrals go before, while and after the disk is full.
const SENDS: usize = 10;
/// How long something may take to happen.
const PATIENCE: Duration = Duration::from_secs(90);
/// Less than what a gateway keeps free on a real volume: the trial's are small.
const RESERVE_MIB: u64 = 16;

fn main() -> ExitCode {
    let arguments = Arguments::of_process(&["fill"]);
    let [command, folder] = arguments.words.as_slice() else {
        eprintln!("network found|push|check DIR [--fill] [--told FILE]");
        return ExitCode::from(2);
    };
    let folder = Path::new(folder);
    match command.as_str() {
        "found" => make(folder),
        "push" if arguments.has("fill") => fill(folder),
        "push" => return push(folder, &PathBuf::from(arguments.text("until").unwrap())),
        "check" => check(folder, &told(&arguments)),
        other => panic!("no such command: {other}"),
    }
    ExitCode::SUCCESS
}

fn programs() -> Programs {
    let own = std::env::current_exe().unwrap();
    let beside = |name| own.with_file_name(name);
    Programs::at(beside("gateway"), beside("agent"))
}

fn case() -> String {
    Stage::prop("case.json").to_string_lossy().into_owned()
}

/// Makes a network and sends one referral through it, so that every program knows all it must.
fn make(folder: &Path) {
    let mut stage = Stage::open(programs(), Some(folder.to_owned())).unwrap();
    found(&mut stage).unwrap();
    // On so small a volume nothing would be taken at all.
    let config = stage.path("hub/gateway.toml");
    let text = fs::read_to_string(&config).unwrap();
    // Keys of the file itself stand before its tables.
    fs::write(&config, format!("reserve_mib = {RESERVE_MIB}\n{text}")).unwrap();
    stage.kill_gateway().unwrap();
    stage.start_gateway().unwrap();
    let first = until("the first referral is taken", || stage.agent(FROM, &["send", &case()]).ok());
    until("it arrives", || arrived(&stage).contains(name_in(&first)).then_some(()));
    stage.end().unwrap();
}

fn started(folder: &Path) -> Stage {
    let mut stage = Stage::again(programs(), folder).unwrap();
    stage.start_gateway().unwrap();
    stage.start_agent(FROM).unwrap();
    stage.start_agent(TO).unwrap();
    stage
}

fn name_in(said: &Value) -> &str {
    said["referral"].as_str().unwrap()
}

/// Sends one, and tells of it once the agent has.
fn send(stage: &Stage) -> bool {
    match stage.agent(FROM, &["send", &case()]) {
        Ok(said) => {
            println!("s {}", name_in(&said));
            std::io::stdout().flush().unwrap();
            true
        }
        Err(error) => {
            eprintln!("not sent: {error:#}");
            false
        }
    }
}

/// Sends until something fails, or the file is there that tells of the cut. A gateway ends when a sync
/// fails, but with nothing left to sync it may live on, and refuse; an agent with a disk of its own takes
/// referrals as before. Then all of them end as a machine does.
fn push(folder: &Path, cut: &Path) -> ExitCode {
    let mut stage = started(folder);
    while send(&stage) && stage.is_gateway_running().unwrap() && !cut.exists() {}
    drop(stage);
    ExitCode::from(ENDED_BY_CUT)
}

/// Sends before, while and after somebody else takes all of the disk. Each phase begins when standard
/// input gives a line.
fn fill(folder: &Path) {
    let stage = started(folder);
    let mut sent = (0..SENDS).filter(|_| send(&stage)).count();
    assert_eq!(sent, SENDS, "before the disk is full");
    next("before");
    until("the gateway knows that its disk is full", || (!is_ready(&stage)).then_some(()));
    until("people are told", || is_told(&stage).then_some(()));
    let refused = (0..SENDS).filter(|_| !send(&stage)).count();
    println!("refused {refused}");
    // What waits is still given away: the office goes on with what it has.
    assert!(stage.agent(TO, &["inbox", "--all"]).is_ok());
    next("full");
    until("the gateway knows that there is space", || is_ready(&stage).then_some(()));
    sent = 0;
    until("referrals are taken again", || {
        sent += usize::from(send(&stage));
        (sent == SENDS).then_some(())
    });
    until("it is over", || (!is_told(&stage)).then_some(()));
    println!("freed");
}

fn next(phase: &str) {
    println!("{phase}");
    std::io::stdout().flush().unwrap();
    std::io::stdin().read_line(&mut String::new()).unwrap();
}

fn is_ready(stage: &Stage) -> bool {
    get(stage.metrics, "/ready").starts_with("HTTP/1.1 200")
}

/// Whether an alert says that the disk is full.
fn is_told(stage: &Stage) -> bool {
    let metrics = get(stage.metrics, "/metrics");
    metrics.lines().any(|line| {
        line.starts_with("referral_gateway_alerts{") && line.contains("disk_full") && !line.ends_with(" 0")
    })
}

fn told(arguments: &Arguments) -> BTreeSet<String> {
    let file = PathBuf::from(arguments.text("told").unwrap());
    let text = fs::read_to_string(file).unwrap();
    // Of a line that the cut has torn nobody was told.
    let whole = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    whole.filter_map(|line| line.strip_prefix("s ")).map(str::to_owned).collect()
}

fn arrived(stage: &Stage) -> BTreeSet<String> {
    let inbox = stage.agent(TO, &["inbox", "--all"]).unwrap();
    let all: Vec<_> = inbox.as_array().unwrap().iter().map(|case| name_in(case).to_owned()).collect();
    let once: BTreeSet<_> = all.iter().cloned().collect();
    assert_eq!(once.len(), all.len(), "once");
    once
}

/// Everything that was promised arrives, once; its receipts are proven, and the gateway's folder is right
/// from its first byte.
fn check(folder: &Path, told: &BTreeSet<String>) {
    let mut stage = started(folder);
    until("all of them arrive", || told.is_subset(&arrived(&stage)).then_some(()));
    let receipts = tempfile::tempdir().unwrap();
    let mut proven = 0;
    for referral in told {
        let out = receipts.path().join(referral.replace('/', "-"));
        stage.agent(FROM, &["receipt", referral, "--out", &out.to_string_lossy()]).unwrap();
        for file in fs::read_dir(&out).unwrap() {
            stage.agent(FROM, &["verify", &file.unwrap().path().to_string_lossy()]).unwrap();
            proven += 1;
        }
    }
    assert!(proven >= told.len(), "each has a receipt");
    let hub = stage.path("hub").to_string_lossy().into_owned();
    stage.end().unwrap();
    assert_eq!(stage.gateway(&["verify", &hub]).unwrap()["right"], true);
    println!("{} referrals promised, all arrived once, {proven} receipts proven", told.len());
}

fn until<T>(what: &str, mut happened: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(value) = happened() {
            return value;
        }
        assert!(begun.elapsed() < PATIENCE, "waited too long until {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
