//! The sandbox's gateway: the installed program as a child, which ends with the sandbox whatever becomes of it.
//! Not here: what a gateway is.

use std::{
    fs,
    io::{self, BufRead as _, BufReader, Write as _},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use tokio::{
    sync::mpsc,
    task::spawn_blocking,
    time::{sleep, timeout},
};

use super::{SandboxFault, ground::Ground};

/// How long the gateway may take to serve, or to let time pass.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(120);
/// How long it may take to end.
const END_TIME_MAX: Duration = Duration::from_secs(15);
/// How often it is looked whether it has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The gateway's program and folder, and its process while it runs.
#[derive(Debug)]
pub struct Hub {
    program: PathBuf,
    ground: Ground,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Child,
    /// Its end ends the gateway, so also that of this process.
    orders: ChildStdin,
    answers: mpsc::Receiver<String>,
}

/// How the gateway stands.
#[derive(Debug, PartialEq, Eq)]
pub struct Stands {
    /// How far its clock is ahead of the machine's.
    pub ahead_ms: u64,
    /// Records of its log.
    pub evidence: u64,
    /// Agencies in whose mailboxes something waits.
    pub waiting: Vec<String>,
}

/// The gateway's program: the one that was named, else the one beside this program, else one on the path.
#[must_use]
pub fn program(named: Option<&Path>) -> PathBuf {
    let beside = || {
        let own = std::env::current_exe().ok()?;
        Some(own.with_file_name("gateway")).filter(|path| path.is_file())
    };
    named.map(Path::to_owned).or_else(beside).unwrap_or_else(|| PathBuf::from("gateway"))
}

impl Hub {
    /// Of a program, on a sandbox's ground. It does not run yet.
    #[must_use]
    pub const fn new(program: PathBuf, ground: Ground) -> Self {
        Self { program, ground, running: None }
    }

    /// Whether it runs.
    pub fn is_running(&mut self) -> bool {
        self.running.as_mut().is_some_and(|running| matches!(running.child.try_wait(), Ok(None)))
    }

    /// Runs one of its commands to the end.
    ///
    /// # Errors
    /// What it says when it fails.
    pub async fn command(&self, arguments: &[&str]) -> Result<(), SandboxFault> {
        let mut command = Command::new(&self.program);
        command.args(arguments).stdin(Stdio::null());
        let output = spawn_blocking(move || command.output()).await.map_err(io::Error::other)?;
        let output = output.map_err(|error| self.not_started(&error))?;
        if output.status.success() {
            return Ok(());
        }
        Err(SandboxFault::Gateway(String::from_utf8_lossy(&output.stderr).trim().to_owned()))
    }

    /// Starts it and waits until it serves.
    ///
    /// # Errors
    /// [`SandboxFault`].
    pub async fn start(&mut self) -> Result<(), SandboxFault> {
        if self.is_running() {
            return Ok(());
        }
        let log = self.ground.path("logs/gateway.log");
        let log = fs::File::options().create(true).append(true).open(log)?;
        let mut child = Command::new(&self.program)
            .args(["serve", "--config"])
            .arg(self.ground.hub().join("gateway.toml"))
            .args(["--sandbox", &self.ground.ahead_ms().to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .map_err(|error| self.not_started(&error))?;
        let (Some(orders), Some(answers)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(ended());
        };
        let mut running = Running { child, orders, answers: heard(answers) };
        let serves = running.hears("serving").await;
        self.running = Some(running);
        serves.map(drop)
    }

    /// Ends it at once, as a power cut would.
    ///
    /// # Errors
    /// The operating system's.
    pub fn kill(&mut self) -> Result<(), SandboxFault> {
        if let Some(mut running) = self.running.take() {
            running.child.kill()?;
            running.child.wait()?;
        }
        Ok(())
    }

    /// Lets time pass for it, until something happened there. Gives how it stands then; nothing while it does not
    /// run.
    ///
    /// # Errors
    /// [`SandboxFault`].
    pub async fn advance(&mut self, by_ms: u64) -> Result<Option<Stands>, SandboxFault> {
        let Some(running) = &mut self.running else { return Ok(None) };
        writeln!(running.orders, "advance {by_ms}")?;
        let line = running.hears("ahead ").await?;
        Stands::parse(&line).map(Some).ok_or(SandboxFault::Gateway(line))
    }

    /// Ends it in order.
    pub async fn end(mut self) {
        let Some(Running { mut child, orders, answers }) = self.running.take() else { return };
        drop(orders);
        let began = Instant::now();
        while matches!(child.try_wait(), Ok(None)) {
            if began.elapsed() > END_TIME_MAX {
                drop(child.kill());
                drop(child.wait());
                break;
            }
            sleep(LOOK_EVERY).await;
        }
        drop(answers);
    }

    fn not_started(&self, error: &io::Error) -> SandboxFault {
        SandboxFault::NoGateway { program: self.program.clone(), kind: error.kind() }
    }
}

impl Stands {
    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split(' ').collect();
        let (["ahead", ahead_ms, "evidence", evidence], waiting) = words.split_at_checked(4)? else {
            return None;
        };
        Some(Self {
            ahead_ms: ahead_ms.parse().ok()?,
            evidence: evidence.parse().ok()?,
            waiting: waiting
                .chunks(2)
                .filter_map(|pair| pair.first())
                .map(|&agency| agency.to_owned())
                .collect(),
        })
    }
}

impl Running {
    async fn hears(&mut self, expected: &str) -> Result<String, SandboxFault> {
        let heard = timeout(ANSWER_TIME_MAX, self.answers.recv()).await;
        match heard {
            Ok(Some(line)) if line.starts_with(expected) => Ok(line),
            Ok(Some(line)) => Err(SandboxFault::Gateway(line)),
            Ok(None) | Err(_) => Err(ended()),
        }
    }
}

/// What it answers, line by line.
fn heard(answers: ChildStdout) -> mpsc::Receiver<String> {
    let (said, heard) = mpsc::channel(1);
    thread::spawn(move || {
        for line in BufReader::new(answers).lines() {
            let Ok(line) = line else { return };
            if said.blocking_send(line).is_err() {
                return;
            }
        }
    });
    heard
}

fn ended() -> SandboxFault {
    SandboxFault::Gateway("it has ended, or does not answer; see logs/gateway.log".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_gateway_says_is_read() {
        let waiting = vec!["test.partner".to_owned(), "test.second".to_owned()];
        let stands = Stands { ahead_ms: 7, evidence: 9, waiting };
        assert_eq!(Stands::parse("ahead 7 evidence 9 test.partner 1 test.second 2"), Some(stands));
        assert_eq!(Stands::parse("ahead 7 evidence 9").unwrap().waiting, Vec::<String>::new());
        for line in ["", "ahead 7", "ahead 7 evidence", "ahead x evidence 9", "refused"] {
            assert_eq!(Stands::parse(line), None, "{line}");
        }
    }
}
