//! The stage: folders, running programs, and commands that are shown as they are typed. Not here:
//! what is played.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use gateway::config::Config;
use serde_json::Value;
use tempfile::TempDir;

use crate::sandbox::free_addresses;

/// How long a program may take to be ready, or something to happen.
const TIME_MAX: Duration = Duration::from_secs(120);
/// The gateway's folder.
const HUB: &str = "hub";
/// The agent's exit code for what is refused.
const REFUSED: i32 = 3;

/// The programs of the workspace.
#[derive(Debug, Clone)]
pub struct Programs {
    gateway: PathBuf,
    agent: PathBuf,
}

impl Programs {
    /// Programs that are built already.
    #[must_use]
    pub const fn at(gateway: PathBuf, agent: PathBuf) -> Self {
        Self { gateway, agent }
    }
}

/// Builds both programs, as this one was built, and finds them beside it.
///
/// # Errors
/// When they cannot be built.
pub fn build() -> Result<Programs> {
    let own = std::env::current_exe()?;
    let folder = own.parent().context("a program lies in a folder")?;
    if let Some(cargo) = std::env::var_os("CARGO") {
        let mut build = Command::new(cargo);
        // With this package, so that what all of them use is the same and built once.
        build.args(["build", "--quiet", "--bins", "--package", "gateway", "--package", "agent"]);
        build.args(["--package", "trials"]);
        if folder.ends_with("release") {
            build.arg("--release");
        }
        ensure!(build.status()?.success(), "the programs could not be built");
    }
    let programs = Programs { gateway: folder.join("gateway"), agent: folder.join("agent") };
    for program in [&programs.gateway, &programs.agent] {
        ensure!(program.exists(), "{} is missing: cargo build --workspace", program.display());
    }
    Ok(programs)
}

/// Folders and what runs in them.
#[derive(Debug)]
pub struct Stage {
    programs: Programs,
    /// Kept until the end, then deleted; none when the folder was given.
    temporary: Option<TempDir>,
    folder: PathBuf,
    gateway: Option<Child>,
    agents: Vec<(String, Child)>,
    /// Where the gateway listens.
    pub address: SocketAddr,
    /// Where its metrics are.
    pub metrics: SocketAddr,
}

impl Stage {
    /// An empty stage.
    ///
    /// # Errors
    /// When the folder cannot be made, or is not empty.
    pub fn open(programs: Programs, folder: Option<PathBuf>) -> Result<Self> {
        let temporary = if folder.is_none() { Some(TempDir::with_prefix("referral-demo-")?) } else { None };
        let folder = match (&temporary, folder) {
            (Some(temporary), _) => temporary.path().to_owned(),
            (None, Some(folder)) => {
                fs::create_dir_all(&folder)?;
                // The gateway's folder may be there already: on a volume of its own.
                let others = fs::read_dir(&folder)?.filter(|entry| !entry.as_ref().is_ok_and(is_hub));
                ensure!(others.count() == 0, "{} is not empty", folder.display());
                folder.canonicalize()?
            }
            (None, None) => bail!("no folder"),
        };
        let [address, metrics] = free_addresses();
        Ok(Self { programs, temporary, folder, gateway: None, agents: Vec::new(), address, metrics })
    }

    /// A stage that was kept, with nothing running.
    ///
    /// # Errors
    /// When there is none in the folder.
    pub fn again(programs: Programs, folder: &Path) -> Result<Self> {
        let config = Config::read(&folder.join(HUB).join("gateway.toml"))?;
        let metrics = config.metrics.context("the stage's gateway has metrics")?;
        Ok(Self {
            programs,
            temporary: None,
            folder: folder.canonicalize()?,
            gateway: None,
            agents: Vec::new(),
            address: config.listen,
            metrics,
        })
    }

    /// A path on the stage.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// The story's own files, which are part of the source.
    #[must_use]
    pub fn prop(name: &str) -> PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("demo").join(name)
    }

    /// The story's case the other way: from its recipient to an agency that is its sender, without files.
    ///
    /// # Errors
    /// The disk's.
    pub fn case_to(&self, agency: &str) -> Result<String> {
        let mut case: Value = serde_json::from_slice(&fs::read(Self::prop("case.json"))?)?;
        (case["to"], case["jurisdiction"]) = (agency.into(), "AE-DU".into());
        (case["fallbacks"], case["attachments"]) = (Value::Array(Vec::new()), Value::Array(Vec::new()));
        case["consent"]["agencies"] = Value::Array(vec![agency.into()]);
        let path = self.path(&format!("to-{agency}.json"));
        fs::write(&path, case.to_string())?;
        Ok(path.to_string_lossy().into_owned())
    }

    /// Runs a command of the gateway's program and gives its JSON.
    ///
    /// # Errors
    /// What it says when it fails.
    pub fn gateway(&self, arguments: &[&str]) -> Result<Value> {
        run(&self.programs.gateway, arguments)
    }

    /// Runs a command of an agency's agent and gives its JSON.
    ///
    /// # Errors
    /// What it says when it fails.
    pub fn agent(&self, agency: &str, arguments: &[&str]) -> Result<Value> {
        let folder = self.path(agency);
        let folder = folder.to_string_lossy();
        let all: Vec<&str> = ["--folder", &folder].iter().chain(arguments).copied().collect();
        run(&self.programs.agent, &all)
    }

    /// Runs a command of an agency's agent that must be refused, and gives the refusal.
    ///
    /// # Errors
    /// When it is not.
    pub fn agent_refused(&self, agency: &str, arguments: &[&str]) -> Result<Value> {
        let folder = self.path(agency);
        let folder = folder.to_string_lossy();
        let all: Vec<&str> = ["--folder", &folder].iter().chain(arguments).copied().collect();
        let (code, said, error) = run_to_its_end(&self.programs.agent, &all)?;
        ensure!(code == REFUSED, "this was to be refused, but the agent says {code}: {said}{error}");
        Ok(said["refusal"].clone())
    }

    /// Shows a command as it is typed.
    pub fn typed(program: &str, arguments: &[&str]) {
        let quoted = arguments
            .iter()
            .map(|one| if one.contains(' ') { format!("'{one}'") } else { (*one).to_owned() });
        println!("    $ {program} {}", quoted.collect::<Vec<_>>().join(" "));
    }

    /// Starts the gateway and waits until it takes envelopes.
    ///
    /// # Errors
    /// When it does not.
    pub fn start_gateway(&mut self) -> Result<()> {
        let config = self.path("hub/gateway.toml");
        let log = self.log("gateway")?;
        let child = Command::new(&self.programs.gateway)
            .args(["serve", "--config"])
            .arg(config)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        self.gateway = Some(child);
        let address = self.address;
        wait_for("the gateway to listen", || Ok(TcpStream::connect(address).is_ok()))
    }

    /// Ends the gateway at once, as a power cut would.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill_gateway(&mut self) -> Result<()> {
        let mut child = self.gateway.take().context("the gateway does not run")?;
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Ends the gateway in order.
    ///
    /// # Errors
    /// When it does not run.
    pub fn end_gateway(&mut self) -> Result<()> {
        terminate(&mut self.gateway.take().context("the gateway does not run")?)
    }

    /// Takes other programs for what is started from now on.
    pub fn take(&mut self, programs: Programs) {
        self.programs = programs;
    }

    /// Whether the gateway still runs.
    ///
    /// # Errors
    /// The operating system's.
    pub fn is_gateway_running(&mut self) -> Result<bool> {
        let gateway = self.gateway.as_mut().context("the gateway was not started")?;
        Ok(gateway.try_wait()?.is_none())
    }

    /// Starts an agency's agent and waits until its local API answers.
    ///
    /// # Errors
    /// When it does not.
    pub fn start_agent(&mut self, agency: &str) -> Result<()> {
        let log = self.log(agency)?;
        let child = Command::new(&self.programs.agent)
            .arg("--folder")
            .arg(self.path(agency))
            .arg("run")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()?;
        self.agents.push((agency.to_owned(), child));
        wait_for("the agent to listen", || Ok(self.agent(agency, &["status"]).is_ok()))
    }

    /// The process of the gateway.
    ///
    /// # Errors
    /// When it does not run.
    pub fn gateway_pid(&self) -> Result<u32> {
        self.gateway.as_ref().map(Child::id).context("the gateway does not run")
    }

    /// The process of an agency's agent.
    ///
    /// # Errors
    /// When it does not run.
    pub fn agent_pid(&self, agency: &str) -> Result<u32> {
        let running = self.agents.iter().find(|(running, _)| running == agency);
        running.map(|(_, child)| child.id()).context("the agent does not run")
    }

    /// Ends an agency's agent at once.
    ///
    /// # Errors
    /// When it does not run.
    pub fn kill_agent(&mut self, agency: &str) -> Result<()> {
        let place = self.agents.iter().position(|(running, _)| running == agency);
        let (_, mut child) = self.agents.swap_remove(place.context("the agent does not run")?);
        child.kill()?;
        child.wait()?;
        Ok(())
    }

    /// Ends an agency's agent at once, and starts it again.
    ///
    /// # Errors
    /// When it does not run, or does not start.
    pub fn restart_agent(&mut self, agency: &str) -> Result<()> {
        self.kill_agent(agency)?;
        self.start_agent(agency)
    }

    fn log(&self, name: &str) -> Result<fs::File> {
        let folder = self.path("logs");
        fs::create_dir_all(&folder)?;
        Ok(fs::File::options().create(true).append(true).open(folder.join(format!("{name}.log")))?)
    }

    /// Ends everything; the folder is deleted unless it was given.
    ///
    /// # Errors
    /// The operating system's.
    pub fn close(mut self) -> Result<()> {
        if self.temporary.is_none() {
            println!("Everything is kept in {}", self.folder.display());
        }
        self.end()
    }

    /// Leaves the network up until a line is entered or the input ends.
    ///
    /// # Errors
    /// The operating system's.
    pub fn stay_open(self) -> Result<()> {
        println!("\nThe network stays up. Press Enter to end it.");
        let mut line = String::new();
        let read = BufReader::new(std::io::stdin()).read_line(&mut line)?;
        if read == 0 {
            println!("(no terminal: the network ends)");
        }
        self.close()
    }

    /// Ends all programs in order; the folder stays.
    ///
    /// # Errors
    /// The operating system's.
    pub fn end(&mut self) -> Result<()> {
        for (_, child) in &mut self.agents {
            terminate(child)?;
        }
        if let Some(gateway) = &mut self.gateway {
            terminate(gateway)?;
        }
        self.agents.clear();
        self.gateway = None;
        Ok(())
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        for (_, child) in &mut self.agents {
            drop(child.kill());
            drop(child.wait());
        }
        if let Some(gateway) = &mut self.gateway {
            drop(gateway.kill());
            drop(gateway.wait());
        }
    }
}

fn is_hub(entry: &fs::DirEntry) -> bool {
    entry.file_name() == HUB
}

fn terminate(child: &mut Child) -> Result<()> {
    let pid = rustix::process::Pid::from_child(child);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM)?;
    child.wait()?;
    Ok(())
}

fn run(program: &Path, arguments: &[&str]) -> Result<Value> {
    let (code, said, error) = run_to_its_end(program, arguments)?;
    ensure!(code == 0, "{} {}: {said}{error}", program.display(), arguments.join(" "));
    Ok(said)
}

/// Exit code, JSON, and what stands on standard error.
fn run_to_its_end(program: &Path, arguments: &[&str]) -> Result<(i32, Value, String)> {
    let output = Command::new(program).arg("--json").args(arguments).stdin(Stdio::null()).output()?;
    let said = String::from_utf8_lossy(&output.stdout);
    let said = if said.trim().is_empty() {
        Value::Null
    } else {
        let spoken = serde_json::from_str(said.trim());
        spoken.with_context(|| format!("{} does not speak JSON", program.display()))?
    };
    let error = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Ok((output.status.code().unwrap_or(-1), said, error))
}

/// Waits for something, looking again and again.
///
/// # Errors
/// When it does not happen in time, or looking fails.
pub(super) fn wait_for(what: &str, mut happened: impl FnMut() -> Result<bool>) -> Result<()> {
    let begun = Instant::now();
    while !happened()? {
        ensure!(begun.elapsed() < TIME_MAX, "waited {} seconds for {what}", TIME_MAX.as_secs());
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}
