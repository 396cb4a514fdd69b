//! The command line: arguments in, text or JSON out, exit codes. Not here: what is done.

mod admin;
mod alerts;
mod backup;
mod operate;
mod operations;
mod statistics;
mod verify;

use std::{
    io::{self, Write},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context as _, Result};
use clap::{CommandFactory as _, Parser, Subcommand};
use gateway::{
    config::Config,
    init::{self, NewNetwork},
    sandbox, serve, telemetry,
};
use journal::SegmentBytes;
use proto::operation::Operation;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// The gateway of inter-agency referrals.
///
/// It routes sealed envelopes between agencies by their signed agreements, and keeps an auditable log.
/// It cannot read what it carries.
#[derive(Debug, Parser)]
#[command(
    version,
    after_help = "Exit codes: 0 done, 1 failed or refused, 2 wrong arguments.\n\n\
Examples:\n  \
gateway init ./hub --network referral.example --host gateway.example \\\n      \
--administrator blue-1 --administrator green-2\n  \
gateway serve --config ./hub/gateway.toml\n  \
gateway verify ./hub"
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Print JSON instead of text.
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a network: log keys, certificate authority, first administrators.
    Init(InitArguments),
    /// Serve a network. Ends on SIGTERM, after answering what is under way.
    Serve {
        /// The configuration file that `gateway init` wrote.
        #[arg(long)]
        config: PathBuf,
        /// For `agent sandbox`, on networks whose name ends in `.test`: begin with a clock that is so far ahead of
        /// the machine's, take orders from standard input, and end with it.
        #[arg(long, value_name = "AHEAD_MS")]
        sandbox: Option<u64>,
    },
    /// Change the network: agencies, keys, agreements, stops.
    Admin(admin::AdminArguments),
    /// How deliveries, agencies and the gateway stand, asked from the running gateway.
    Status(operations::StatusArguments),
    /// What is stuck, the oldest first: since when, why, what to do and whom to call.
    Stuck(operations::StuckArguments),
    /// The alerts that stand, and whether people can be told of them.
    Alerts(alerts::AlertsArguments),
    /// Have a recipient's people told once more that a referral waits.
    NotifyAgain(operate::OperateArguments),
    /// Hold a referral back that was not handed over yet. At once; a second operator confirms it.
    Hold(operate::OperateArguments),
    /// Let a referral go on that is held back. Two operators.
    Release(operate::OperateArguments),
    /// Return a referral to its sender that cannot be handed over. Two operators.
    Return(operate::OperateArguments),
    /// Take no new work before a planned stop; what is under way is finished.
    Drain(operate::DrainArguments),
    /// Take new work again.
    Undrain(operate::UndrainArguments),
    /// A settled year's figures for the public, as files for a spreadsheet.
    Statistics(statistics::StatisticsArguments),
    /// Copy a gateway's folder while it serves.
    Backup(backup::BackupArguments),
    /// Put a backup back into a new folder, or check one.
    Restore(backup::RestoreArguments),
    /// Check a gateway's folder from its first byte: signatures, evidence, both logs, tiles.
    Verify {
        /// The folder with gateway.toml. The gateway must not be running.
        folder: PathBuf,
    },
    /// Write what completes commands in a shell.
    Completion {
        /// The shell.
        #[arg(value_enum)]
        shell: clap_complete::Shell,
    },
}

#[derive(Debug, clap::Args)]
struct InitArguments {
    /// An empty folder, or one that is not there yet.
    folder: PathBuf,
    /// The network's id: dotted lower-case labels. It can never be changed.
    #[arg(long)]
    network: String,
    /// A name by which agents will call the gateway; may be given several times. An address is possible,
    /// but clients on gRPC's C core (Python, C++) refuse it.
    #[arg(long = "host", required = true)]
    hosts: Vec<String>,
    /// Where to listen.
    #[arg(long, default_value = "0.0.0.0:7443")]
    listen: SocketAddr,
    /// Where whoever is invited joins; the port after that of --listen when left out.
    #[arg(long)]
    enrolment_listen: Option<SocketAddr>,
    /// Where Prometheus connects: never to the outside.
    #[arg(long, default_value = "127.0.0.1:9464")]
    metrics: SocketAddr,
    /// Pseudonym of a first administrator; at least two.
    #[arg(long = "administrator", required = true)]
    administrators: Vec<String>,
    /// Size of the journal's segments in MiB: a power of two.
    #[arg(long, default_value_t = 64)]
    segment_mib: u64,
}

/// What a command says: text for people, JSON for programs.
struct Said {
    text: Vec<String>,
    json: Value,
}

impl Arguments {
    pub(crate) fn run(self) -> ExitCode {
        let said = match self.command {
            Command::Init(arguments) => arguments.run(),
            Command::Serve { config, sandbox } => serve(&config, sandbox),
            Command::Admin(arguments) => arguments.run(),
            Command::Status(arguments) => arguments.run(),
            Command::Stuck(arguments) => arguments.run(),
            Command::Alerts(arguments) => arguments.run(),
            Command::NotifyAgain(arguments) => arguments.run(Operation::NotifyAgain),
            Command::Hold(arguments) => arguments.run(Operation::Hold),
            Command::Release(arguments) => arguments.run(Operation::Release),
            Command::Return(arguments) => arguments.run(Operation::Return),
            Command::Drain(arguments) => arguments.run(),
            Command::Undrain(arguments) => arguments.run(),
            Command::Statistics(arguments) => arguments.run(),
            Command::Backup(arguments) => arguments.run(self.json),
            Command::Restore(arguments) => arguments.run(self.json),
            Command::Verify { folder } => verify::run(&folder, self.json),
            Command::Completion { shell } => Ok(completion(shell)),
        };
        match said {
            Ok(said) => print(&mut io::stdout().lock(), &said, self.json),
            Err(error) => {
                let chain: Vec<_> = error.chain().map(ToString::to_string).collect();
                let failed = Said {
                    text: vec![format!("error: {}", chain.join(": "))],
                    json: json!({ "error": chain }),
                };
                print(&mut io::stderr().lock(), &failed, self.json);
                ExitCode::FAILURE
            }
        }
    }
}

fn print(out: &mut impl Write, said: &Said, as_json: bool) -> ExitCode {
    let text = if as_json { said.json.to_string() } else { said.text.join("\n") };
    let written = if text.is_empty() || text == "null" { Ok(()) } else { writeln!(out, "{text}") };
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

impl InitArguments {
    fn run(self) -> Result<Said> {
        let segment_bytes = self.segment_mib.checked_mul(1024 * 1024).and_then(SegmentBytes::new);
        let new = NewNetwork {
            network: self.network,
            listen: self.listen,
            enrolment_listen: self.enrolment_listen.unwrap_or_else(|| next_port(self.listen)),
            metrics: Some(self.metrics),
            hosts: self.hosts,
            administrators: self.administrators,
            segment_bytes: segment_bytes.context("--segment-mib: a power of two, from 1 to 1024")?,
        };
        let made = init::init(&self.folder, &new)?;
        let shown = |path: &Path| path.display().to_string();
        let administrators: Vec<_> = made.administrators.iter().map(|path| shown(path)).collect();
        let mut text = vec![
            format!("The network {} is made.", new.network),
            String::new(),
            "Now:".to_owned(),
            format!(
                "  1. Take {} offline: copy it to two sticks, check them, delete it here.",
                shown(&made.root)
            ),
        ];
        text.push("  2. Hand each administrator their folder, then delete it here:".to_owned());
        text.extend(administrators.iter().map(|folder| format!("       {folder}")));
        text.push(format!("  3. Start: gateway serve --config {}", shown(&made.config)));
        text.push("  4. Invite the agencies: gateway admin invite --help".to_owned());
        text.push(format!("     Who joins by files, or checks receipts, needs {}.", shown(&made.network)));
        Ok(Said {
            text,
            json: json!({
                "config": shown(&made.config),
                "network": shown(&made.network),
                "administrators": administrators,
                "root": shown(&made.root),
            }),
        })
    }
}

fn completion(shell: clap_complete::Shell) -> Said {
    let mut text = Vec::new();
    clap_complete::generate(shell, &mut Arguments::command(), "gateway", &mut text);
    let text = String::from_utf8_lossy(&text).trim_end().to_owned();
    Said { json: json!({ "completion": text }), text: vec![text] }
}

const fn next_port(address: SocketAddr) -> SocketAddr {
    let mut next = address;
    next.set_port(if address.port() == u16::MAX { u16::MAX - 1 } else { address.port() + 1 });
    next
}

fn serve(path: &Path, sandbox: Option<u64>) -> Result<Said> {
    let config = Config::read(path)?;
    if let Some(ahead_ms) = sandbox {
        sandbox::begin(&config.network, ahead_ms)?;
    }
    let root = path.parent().filter(|root| !root.as_os_str().is_empty()).unwrap_or_else(|| Path::new("."));
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let telemetry = runtime.block_on(async {
        let telemetry = telemetry::start(&config.log)?;
        // Before anybody can connect, so that no moment is left at which a signal would just kill.
        let stop = CancellationToken::new();
        tokio::spawn(wait_for_signal(stop.clone())?);
        let serving = serve::open(&config, root).await?;
        tracing::info!(
            address = %serving.address,
            enrolment = ?serving.enrolment_address,
            console = ?serving.console_address,
            metrics = ?serving.metrics_address,
            replayed = serving.started.replayed,
            "serving"
        );
        if sandbox.is_some() {
            tokio::spawn(sandbox::obey(serving.gateway(), stop.clone()));
        }
        serving.run(stop).await?;
        anyhow::Ok(telemetry)
    })?;
    tracing::info!("ended");
    telemetry.end();
    Ok(Said { text: Vec::new(), json: Value::Null })
}

/// SIGTERM and SIGINT ask for an orderly end.
fn wait_for_signal(stop: CancellationToken) -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("asked to end");
        stop.cancel();
    })
}
