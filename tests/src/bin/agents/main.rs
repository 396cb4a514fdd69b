//! What agents cost and stand, on real programs, one JSON line each: `agents attach` moves a large file and kills whoever
//! moves it again and again; `agents offline` queues envelopes for days without a gateway, and lets them go; `agents idle`
//! tells what an agent holds that does nothing, and `agents connected` what the gateway holds for each that is connected and
//! does nothing. What is not as it must be ends the program with an error. Not here: speed under load (`load`).
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a trial's program: what cannot go on ends, and stdout is how it answers"
)]

mod connected;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use agent::{api, local, sandbox::order};
use proto::{digest::Hasher, header::UPLOADED_BYTES_MAX, lifecycle::Act};
use serde_json::{Value, json};
use tempfile::TempDir;
use trials::{
    arguments::Arguments,
    demo::{Programs, Stage, found},
    random::Random,
    sandbox::program,
};

const FROM: &str = "ae.dfwac";
const TO: &str = "ae-rk.aman";
const MIB: u64 = 1024 * 1024;
/// Sealed and padded, the gateway carries it: 2 GiB at the most.
const MIB_DEFAULT: u64 = 2000;
/// What agent and gateway may hold above what they hold when idle, whatever they move.
const ABOVE_IDLE_KIB_MAX: u64 = 64 * 1024;
/// What an idle agent may hold.
const IDLE_KIB_MAX: u64 = 20 * 1024;
/// How far the queue may grow the agent while time passes, and nothing else happens.
const FLAT_KIB_MAX: u64 = 4 * 1024;
/// How many envelopes may be on their way together, so that a less urgent one may be before a more urgent one.
const ON_THEIR_WAY: usize = 64;
/// How long is waited for anything.
const PATIENCE: Duration = Duration::from_secs(3600);
const LOOK: Duration = Duration::from_millis(20);

fn main() -> ExitCode {
    let arguments = Arguments::of_process(&[]);
    let said = match arguments.words.first().map(String::as_str) {
        Some("attach") => attach(arguments.get("mib", MIB_DEFAULT), arguments.get("interruptions", 20)),
        Some("offline") => offline(arguments.get("envelopes", 10_000), arguments.get("days", 3)),
        Some("idle") => idle(arguments.get("seconds", 60)),
        Some("connected") => {
            connected::connected(arguments.get("agencies", 1_000), arguments.get("seconds", 60))
        }
        _ => {
            eprintln!(
                "agents attach [--mib 2000] [--interruptions 20]\nagents offline [--envelopes 10000] [--days 3]\n\
                 agents idle [--seconds 60]\nagents connected [--agencies 1000] [--seconds 60]"
            );
            return ExitCode::from(2);
        }
    };
    println!("{said}");
    if said["right"] == true { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn until<T>(what: &str, mut come: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(came) = come() {
            return came;
        }
        assert!(begun.elapsed() < PATIENCE, "never came: {what}");
        sleep(LOOK);
    }
}

/// A figure of a process's memory, such as `VmHWM:`, in KiB.
fn memory_kib(pid: u32, what: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(what)).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

fn stage(folder: &Path) -> Stage {
    let programs = Programs::at(program("gateway"), program("agent"));
    let mut stage = Stage::open(programs, Some(folder.join("stage"))).unwrap();
    found(&mut stage).unwrap();
    stage
}

/// The agreement between both once more, with room for files as large as the gateway carries.
fn allow(stage: &Stage) {
    let draft = fs::read_to_string(Stage::prop("ae.dfwac-ae-rk.aman.toml")).unwrap();
    let (head, first) = draft.split_once("[[clauses]]").unwrap();
    let (first, rest) = first.split_once("[[clauses]]").unwrap();
    let limits = format!(
        "[clauses.limits]\nattachment_bytes_max = {UPLOADED_BYTES_MAX}\nenvelope_bytes_max = {}\n\n",
        2 * UPLOADED_BYTES_MAX
    );
    let path = stage.path("renewal.toml");
    fs::write(&path, format!("{head}[[clauses]]{first}{limits}[[clauses]]{rest}")).unwrap();
    let (path, object) = (text(&path), text(&stage.path("renewal.json")));
    let former = text(&stage.path("ae.dfwac-ae-rk.aman.toml.json"));
    stage.gateway(&["admin", "agreement", &path, "--renews", &former, "--out", &object]).unwrap();
    for party in [FROM, TO] {
        stage.agent(party, &["sign", &object]).unwrap();
    }
    let administrator = text(&stage.path("hub/administrators/blue-1"));
    stage.gateway(&["admin", "submit", &object, "--as", &administrator]).unwrap();
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The most memory that each program ever had, over all its lives.
#[derive(Default)]
struct Peaks(BTreeMap<&'static str, u64>);

impl Peaks {
    fn look(&mut self, stage: &Stage) {
        for (name, pid) in pids(stage) {
            let peak = self.0.entry(name).or_default();
            *peak = (*peak).max(memory_kib(pid, "VmHWM:"));
        }
    }
}

fn pids(stage: &Stage) -> [(&'static str, u32); 3] {
    let agent = |agency| stage.agent_pid(agency).unwrap();
    [("gateway", stage.gateway_pid().unwrap()), ("sender", agent(FROM)), ("recipient", agent(TO))]
}

fn attach(mib: u64, interruptions: u64) -> Value {
    let folder = TempDir::new().unwrap();
    let mut stage = stage(folder.path());
    let bytes = mib * MIB;
    allow(&stage);
    let (large, digest) = made(&folder.path().join("scan.bin"), bytes);
    let case = text(&Stage::prop("case.json"));
    let send: Vec<&str> = vec!["send", &case, "--attach", &large, "--attach-without-identity"];
    let idle: BTreeMap<&str, u64> = pids(&stage).map(|(name, pid)| (name, memory_kib(pid, "VmRSS:"))).into();
    let mut peaks = Peaks::default();
    let begun = Instant::now();
    let sent = until("the agreement reaches the agent", || stage.agent(FROM, &send).ok());
    let referral = sent["referral"].as_str().unwrap().to_owned();
    let (uploads, spool) = (stage.path("hub").join("parts").join(FROM), stage.path(TO).join("spool"));
    let ups = interruptions / 2;
    let mut done = 0;
    for number in 0..interruptions {
        let (place, ending, share, of) = if number < ups {
            (&uploads, "upload", number, ups)
        } else {
            (&spool, "part", number - ups, interruptions - ups)
        };
        let wanted = bytes / (of + 1) * (share + 1);
        let here = || moved(place, ending).is_some_and(|here| here >= wanted);
        // A fast machine may be done before the last of them.
        let come =
            until(
                "it moves",
                || {
                    if here() { Some(true) } else { arrived(&stage, &referral).then_some(false) }
                },
            );
        if !come {
            break;
        }
        peaks.look(&stage);
        match (number % 2 == 0, number < ups) {
            (true, _) => {
                stage.kill_gateway().unwrap();
                stage.start_gateway().unwrap();
            }
            (false, true) => stage.restart_agent(FROM).unwrap(),
            (false, false) => stage.restart_agent(TO).unwrap(),
        }
        done += 1;
    }
    until("it arrives", || arrived(&stage, &referral).then_some(()));
    peaks.look(&stage);
    let took = begun.elapsed();
    let saved = folder.path().join("saved");
    stage.agent(TO, &["show", &referral, "--save", &text(&saved)]).unwrap();
    peaks.look(&stage);
    let same = fs::read_dir(&saved).unwrap().any(|file| hash(&file.unwrap().path()) == digest);
    stage.end().unwrap();
    let above: BTreeMap<_, _> =
        peaks.0.iter().map(|(name, peak)| (*name, peak.saturating_sub(idle[name]))).collect();
    let right = same && above.values().all(|kib| *kib <= ABOVE_IDLE_KIB_MAX);
    json!({
        "figure": "attach", "mib": mib, "interruptions": done, "seconds": took.as_secs(), "intact": same,
        "idle_kib": idle, "above_idle_kib": above, "right": right,
    })
}

/// A file of pseudorandom bytes, and its digest.
fn made(path: &Path, bytes: u64) -> (String, String) {
    let (mut random, mut file) = (Random::new(2), fs::File::create(path).unwrap());
    let mut left = bytes;
    while left > 0 {
        let run = random.run(usize::try_from(left.min(MIB)).unwrap());
        file.write_all(&run).unwrap();
        left -= u64::try_from(run.len()).unwrap();
    }
    (text(path), hash(path))
}

fn hash(path: &Path) -> String {
    let (mut file, mut hasher) = (fs::File::open(path).unwrap(), Hasher::default());
    let mut run = vec![0; 1 << 20];
    loop {
        let read = file.read(&mut run).unwrap();
        if read == 0 {
            return hasher.finish().to_string();
        }
        hasher.update(&run[..read]);
    }
}

/// How much of a file has come, while it comes.
fn moved(folder: &Path, ending: &str) -> Option<u64> {
    let files = fs::read_dir(folder).ok()?.filter_map(|file| file.ok().map(|file| file.path()));
    let half = files.filter(|path| path.extension().is_some_and(|extension| extension == ending));
    half.filter_map(|path| Some(fs::metadata(path).ok()?.len())).max()
}

fn arrived(stage: &Stage, referral: &str) -> bool {
    let inbox = stage.agent(TO, &["inbox", "--all"]).unwrap();
    inbox.as_array().unwrap().iter().any(|case| case["referral"] == referral)
}

/// A sandbox that runs, for a clock that can be advanced.
struct Apart {
    process: Child,
    folder: PathBuf,
    card: Value,
}

impl Apart {
    fn start(folder: &Path) -> Self {
        let mut process = Command::new(program("agent"))
            .args(["--json", "sandbox", "--dir"])
            .arg(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { process, folder: folder.to_owned(), card: serde_json::from_str(&line).unwrap() }
    }

    fn kib(&self) -> u64 {
        memory_kib(self.process.id(), "VmRSS:")
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_child(&self.process);
        rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
        drop(self.process.wait());
    }
}

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn offline(envelopes: usize, days: u32) -> Value {
    let folder = TempDir::new().unwrap();
    let apart = Apart::start(&folder.path().join("sandbox"));
    let orders = apart.folder.clone();
    order(&orders, "say silent").await.unwrap();
    order(&orders, "fault line down").await.unwrap();
    let socket = |name: &str| apart.folder.join(name).join("agent.sock");
    let mut office = local::client(&socket("office")).await.unwrap();
    while office.get_status(api::StatusRequest {}).await.unwrap().get_ref().connected {
        tokio::time::sleep(LOOK).await;
    }
    let before_kib = apart.kib();
    let sent = queue(&mut office, &apart.card, envelopes / 2).await;
    let queued_kib = apart.kib();
    for _ in 0..days * 24 {
        order(&orders, "advance 1h").await.unwrap();
    }
    let waited_kib = apart.kib();
    let begun = Instant::now();
    order(&orders, "fault line up").await.unwrap();
    while office.get_status(api::StatusRequest {}).await.unwrap().get_ref().waiting > 0 {
        assert!(begun.elapsed() < PATIENCE, "they do not go out");
        tokio::time::sleep(LOOK).await;
    }
    let took = begun.elapsed();
    let mut partner = local::client(&socket("partner")).await.unwrap();
    let wanted = || api::ListCasesRequest { incoming_only: true, open_only: false };
    let here = loop {
        let cases = partner.list_cases(wanted()).await.unwrap().into_inner().cases;
        if cases.len() >= sent.len() {
            break cases;
        }
        assert!(begun.elapsed() < PATIENCE, "they do not arrive");
        tokio::time::sleep(LOOK).await;
    };
    let once: BTreeSet<_> = here.iter().map(|case| case.referral.clone()).collect();
    let all = once.len() == here.len() && sent.iter().all(|(referral, _)| once.contains(referral));
    let (mut in_order, mut places) = (true, Vec::new());
    for (referral, urgency) in &sent {
        let show = api::ShowCaseRequest { referral: referral.clone() };
        let steps = office.show_case(show).await.unwrap().into_inner().steps;
        let evidence: Vec<u64> = steps.iter().map(|step| step.evidence).collect();
        in_order &= evidence.len() == 2 && evidence.iter().all(|at| *at > 0) && evidence.is_sorted();
        places.push((evidence.first().copied().unwrap_or_default(), *urgency));
    }
    places.sort_unstable();
    // How many go before a more urgent one.
    let overtaken = places
        .iter()
        .enumerate()
        .filter(|(at, (_, urgency))| places[at + 1..].iter().any(|(_, later)| later > urgency));
    let overtaken = overtaken.count();
    let flat = waited_kib.saturating_sub(queued_kib) <= FLAT_KIB_MAX;
    json!({
        "figure": "offline", "envelopes": sent.len() * 2, "days": days, "seconds": took.as_secs(),
        "all_once": all, "order_kept": in_order, "before_a_more_urgent_one": overtaken,
        "before_kib": before_kib, "queued_kib": queued_kib, "waited_kib": waited_kib,
        "right": all && in_order && overtaken <= ON_THEIR_WAY && flat,
    })
}

type Client = api::agent_client::AgentClient<tonic::transport::Channel>;

/// Referrals of every urgency, each with a word behind it. Gives each with how urgent it is.
async fn queue(office: &mut Client, card: &Value, referrals: usize) -> Vec<(String, usize)> {
    let case = fs::read_to_string(card["case"].as_str().unwrap()).unwrap();
    let mut case: Value = serde_json::from_str(&case).unwrap();
    case["fallbacks"] = json!([]);
    let mut sent = Vec::with_capacity(referrals);
    for number in 0..referrals {
        let urgency = number % 3;
        case["urgency"] = ["normal", "urgent", "emergency"][urgency].into();
        let request = api::SendRequest { document: case.to_string().into_bytes(), ..Default::default() };
        let referral = queued(office.send(request).await.unwrap().into_inner());
        let note = api::ActRequest {
            referral: referral.clone(),
            act: Act::Note.number(),
            detail: json!({"note": "A word."}).to_string().into_bytes(),
            unchecked: true,
            ..Default::default()
        };
        queued(office.act(note).await.unwrap().into_inner());
        sent.push((referral, urgency));
    }
    sent
}

fn queued(answer: api::SendAnswer) -> String {
    match answer.answer {
        Some(api::send_answer::Answer::Queued(queued)) => queued.referral,
        Some(api::send_answer::Answer::Flaws(flaws)) => {
            panic!(
                "flawed: {:?}",
                flaws.flaws.iter().map(|flaw| (&flaw.pointer, &flaw.text_en)).collect::<Vec<_>>()
            )
        }
        Some(api::send_answer::Answer::Refusal(refusal)) => panic!("refused: {}", refusal.code),
        None => panic!("no answer"),
    }
}

fn idle(seconds: u64) -> Value {
    let folder = TempDir::new().unwrap();
    let mut stage = stage(folder.path());
    // As it is after a start, and after it has done nothing for a while.
    stage.restart_agent(TO).unwrap();
    until("it is connected", || (stage.agent(TO, &["status"]).ok()?["connected"] == true).then_some(()));
    sleep(Duration::from_secs(seconds));
    let pid = stage.agent_pid(TO).unwrap();
    let (kib, peak) = (memory_kib(pid, "VmRSS:"), memory_kib(pid, "VmHWM:"));
    stage.end().unwrap();
    json!({"figure": "idle", "seconds": seconds, "agent_kib": kib, "peak_kib": peak, "right": kib < IDLE_KIB_MAX})
}
