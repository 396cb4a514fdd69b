//! Arguments of the command line. Not here: what they do.

use std::{net::SocketAddr, path::PathBuf};

use agent::words::Language;
use clap::{Args, Parser, Subcommand, ValueEnum};
use proto::lifecycle::Act;

/// An agency's agent: refers cases to other agencies, and answers theirs.
#[derive(Debug, Parser)]
#[command(name = "agent", version, disable_help_subcommand = true, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// The agent's folder.
    #[arg(short = 'C', long, global = true, default_value = "agent", value_name = "FOLDER")]
    pub(crate) folder: PathBuf,
    /// Answer in JSON, for programs.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// The language of what is shown.
    #[arg(long, global = true, value_enum, default_value = "en")]
    pub(crate) lang: Lang,
    #[command(subcommand)]
    pub(crate) command: Command,
}

const EXAMPLES: &str = "\
First referral:
  agent enrol ae.dfwac.invitation
  agent run &
  agent send referral.json --wait

At the other agency:
  agent inbox
  agent show 0192abcd
  agent accept 0192abcd --wait

Exit codes: 0 done, 1 fault, 2 wrong use, 3 refused, 4 not reached in time.";

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lang {
    /// English.
    En,
    /// Arabic.
    Ar,
}

impl From<Lang> for Language {
    fn from(lang: Lang) -> Self {
        match lang {
            Lang::En => Self::English,
            Lang::Ar => Self::Arabic,
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Join a network with an invitation: make the folder and its keys, get the certificate, check all.
    Enrol(Enrol),
    /// Make the agent's folder, its keys, and admission.json for the network's administrators.
    Init(Init),
    /// Put the certificate in place that the administrators gave back.
    Install(Install),
    /// Run the agent.
    Run(Run),
    /// Make new keys, publish them, take them into use without a pause, and take back those before. What came before
    /// still opens.
    RotateKeys(RotateKeys),
    /// Read what an agreement allows and what is wrong with it, and sign it for this agency.
    Sign(Sign),
    /// List the agreements that bind this agency and how each stands, or show what one of them allows.
    Agreements(Agreements),
    /// Stop an agreement that binds this agency, at once. Lapses in 24 hours unless a second person does the
    /// same; starting it again takes two administrators.
    SuspendAgreement(SuspendAgreement),
    /// Say what room this agency has for a service, or show what it has said.
    Capacity(Capacity),
    /// Write an empty form to fill in, with labels and codes beside every field.
    New(New),
    /// Write the JSON schema of documents, for editors.
    Schema(Schema),
    /// Make documents of the rows of a spreadsheet or program, by a mapping file; without --out only say what is
    /// missing.
    Map(Map),
    /// Send a referral, or a document of another kind, from a JSON file or a form.
    Send(Send),
    /// Check a JSON file as `send` does, and send nothing.
    Check(Check),
    /// Say to whom a JSON file would go, and why to nobody else; nothing is sent.
    Explain(Explain),
    /// List the vocabularies, or the codes of one with their labels.
    Codes(Codes),
    /// List the referrals that came, the newest first.
    Inbox(Inbox),
    /// Show a referral, and what is in its parts.
    Show(Show),
    /// Show what happened to a referral, each step proven.
    Timeline(OfReferral),
    /// Write receipts of a referral as files that anybody can check.
    Receipt(Receipt),
    /// Check a receipt's file, offline, with nothing but network.toml.
    Verify(Verify),
    /// Show how the agent stands: link, queue, certificate, alarms, notices to people.
    #[command(after_help = "Examples:\n  agent -C office status\n  agent -C office status --json")]
    Status,
    /// Look at everything that may keep the agent from working, from the folder to the gateway, and say what to
    /// do. Needs no running agent.
    #[command(after_help = "Examples:\n  agent -C office doctor --lang ar\n  agent -C office doctor --json")]
    Doctor,
    /// List the alarms that stand, or settle one after people have looked: with what it means, and a reason.
    SettleAlarm(SettleAlarm),
    /// Try the ways by which people are told that something waits.
    Notices(Notices),
    /// Make the key that opens backups, in a file that is to be kept elsewhere.
    BackupKey(BackupKey),
    /// Write a backup of everything that this agent is, sealed to the backup key, whether it runs or not.
    Backup(Backup),
    /// Restore a backup as a new folder. The agent of which it is must never run again.
    Restore(Restore),
    /// Write what completes commands in a shell.
    Completion(Completion),
    /// Run a private, invented network on this machine, for building systems against: a gateway, your own agent, and
    /// two agencies that answer as they are told.
    Sandbox(Sandbox),
    #[command(flatten)]
    Act(ActCommand),
}

/// Arguments of `new`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  agent new --out case.toml --lang ar\n  agent new suspicion_report\n  \
agent check case.toml")]
pub(crate) struct New {
    /// A code of the vocabulary of kinds, such as message.
    #[arg(default_value = "referral")]
    pub(crate) kind: String,
    /// Write it into this file, which must not be there; without it, it is shown.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// Arguments of `schema`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  agent schema --out referral.schema.json --lang ar\n\n\
A document names it in `$schema`, a form in its first line: #:schema ./referral.schema.json")]
pub(crate) struct Schema {
    /// Write it into this file; without it, it is shown.
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
}

/// Arguments of `map`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  agent map ministry.toml cases.csv\n  \
agent map ministry.toml cases.csv --row 3 --out documents\n  agent send documents/row-3.json --wait\n\n\
Exit code 3: something is missing. What stands in a cell is never repeated.")]
pub(crate) struct Map {
    /// The mapping file.
    #[arg(value_name = "MAPPING")]
    pub(crate) mapping: PathBuf,
    /// The rows: CSV with a first row of names, or JSON.
    #[arg(value_name = "ROWS")]
    pub(crate) rows: PathBuf,
    /// Only this row, from 1; may be given several times. All when left out.
    #[arg(long = "row", value_name = "NUMBER")]
    pub(crate) only: Vec<usize>,
    /// Write a document for each row from which nothing is missing into this folder, which is then as secret as
    /// they are.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
}

/// Arguments of `backup-key`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  agent -C office backup-key /media/stick/ae.dfwac.backup-key\n\n\
Whoever has this file can read every backup; without it nobody can. Keep it where no backup lies.")]
pub(crate) struct BackupKey {
    /// A new file.
    #[arg(value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// Arguments of `backup`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  agent -C office backup /backups/2026-11-22")]
pub(crate) struct Backup {
    /// A new folder; what lies in it is sealed and may lie anywhere.
    #[arg(value_name = "FOLDER")]
    pub(crate) out: PathBuf,
}

/// Arguments of `restore`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  agent -C office restore /backups/2026-11-22 --key /media/stick/ae.dfwac.backup-key\n  \
agent -C office run &\n  agent -C office doctor"
)]
pub(crate) struct Restore {
    /// The backup's folder.
    #[arg(value_name = "FOLDER")]
    pub(crate) backup: PathBuf,
    /// The file of `backup-key`.
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
}

/// Arguments of `completion`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  agent completion bash > /etc/bash_completion.d/agent\n  \
agent completion fish > ~/.config/fish/completions/agent.fish")]
pub(crate) struct Completion {
    /// The shell.
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

/// Arguments of `sandbox`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  agent sandbox\n  \
agent -C sandbox/office send sandbox/case.json --wait\n  agent sandbox say decline no_capacity\n  \
agent sandbox say silent\n  agent sandbox advance 73h\n  agent sandbox fault gateway down\n\n\
It runs until Ctrl-C, and is found again as it was. Delete the folder when you are done.")]
pub(crate) struct Sandbox {
    /// The sandbox's folder: a new one, or that of a sandbox. Anything else is refused.
    #[arg(long, global = true, default_value = "sandbox", value_name = "FOLDER")]
    pub(crate) dir: PathBuf,
    /// The gateway's program; when left out, the one beside this program, or on the path.
    #[arg(long, value_name = "FILE")]
    pub(crate) gateway: Option<PathBuf>,
    /// Where the local API listens over TCP, for a new sandbox; 127.0.0.1:7450 when left out and free.
    #[arg(long, value_name = "ADDRESS")]
    pub(crate) listen: Option<SocketAddr>,
    #[command(subcommand)]
    pub(crate) order: Option<SandboxOrder>,
}

/// What a sandbox that runs is told.
#[derive(Debug, Subcommand)]
pub(crate) enum SandboxOrder {
    /// Show how everything stands.
    Status,
    /// What a simulated agency answers from now on, also to what it has not answered yet: accept, decline [REASON],
    /// waitlist, see, silent, complete, or fail [REASON]. A case whose text holds `[sandbox: decline no_capacity]` and
    /// the like says so for itself.
    Say {
        /// What, and a reason's code.
        #[arg(required = true, num_args = 1..=2, value_name = "WHAT")]
        words: Vec<String>,
        /// Which of the two.
        #[arg(long, value_enum, default_value = "partner")]
        agency: SandboxAgency,
    },
    /// Let time pass: 90s, 30m, 25h or 14d. What falls due by then is done when it returns.
    Advance {
        /// How much.
        by: String,
    },
    /// Make a fault, or mend it: gateway, partner, second or line; then down, up, or, for the line between your agent
    /// and the gateway, slow [MS].
    Fault {
        /// What, and how.
        #[arg(required = true, num_args = 2..=3, value_name = "WHAT")]
        words: Vec<String>,
    },
}

/// A simulated agency.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SandboxAgency {
    /// test.partner.
    Partner,
    /// test.second.
    Second,
}

/// Arguments of `enrol`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  agent -C office enrol ae.dfwac.invitation\n\n\
Asked again with the same invitation and folder it goes on where it was.")]
pub(crate) struct Enrol {
    /// The file with the invitation that the administrators gave; `-` reads standard input. The text
    /// itself works too, but other users of this machine may see it.
    #[arg(value_name = "FILE")]
    pub(crate) invitation: String,
    /// Which of the agency's agents this one is.
    #[arg(long, default_value = "main", value_name = "NAME")]
    pub(crate) node: String,
    /// The HTTP proxy through which everything goes, as `proxy` of agent.toml; it is written there. `-` asks for it on
    /// standard input, so that a password in it is seen by nobody.
    #[arg(long, value_name = "URL")]
    pub(crate) proxy: Option<String>,
}

/// Arguments of `init`.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  agent -C office init --network network.toml --agency ae.dfwac --type Shelter \
  --name-en 'An example' --name-ar 'مثال' --jurisdiction AE"
)]
pub(crate) struct Init {
    /// The network's file, as its administrators give it to every agency.
    #[arg(long, value_name = "FILE")]
    pub(crate) network: PathBuf,
    /// The agency's id, such as ae.dfwac.
    #[arg(long, value_name = "ID")]
    pub(crate) agency: String,
    /// Which of its agents this one is.
    #[arg(long, default_value = "main", value_name = "NAME")]
    pub(crate) node: String,
    /// A code of the vocabulary of agency types, such as Shelter or NGO.
    #[arg(long = "type", value_name = "CODE")]
    pub(crate) agency_type: String,
    /// Its name in English.
    #[arg(long, value_name = "NAME")]
    pub(crate) name_en: String,
    /// Its name in Arabic.
    #[arg(long, value_name = "NAME")]
    pub(crate) name_ar: String,
    /// A country or division where it may act; may be given several times.
    #[arg(long = "jurisdiction", value_name = "ISO 3166", required = true)]
    pub(crate) jurisdictions: Vec<String>,
}

/// Arguments of `install`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  agent -C office install chain.pem")]
pub(crate) struct Install {
    /// The certificate chain, PEM, the agency's own first.
    #[arg(value_name = "FILE")]
    pub(crate) chain: PathBuf,
}

/// Arguments of `sign`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  agent -C office sign agreement.json --show --lang ar\n  agent -C office sign agreement.json"
)]
pub(crate) struct Sign {
    /// The agreement, as `gateway admin agreement` or another party gave it. The signature is added to
    /// it.
    #[arg(value_name = "FILE")]
    pub(crate) file: PathBuf,
    /// Only show what it allows and what is wrong with it.
    #[arg(long)]
    pub(crate) show: bool,
}

/// Arguments of `agreements`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  agent -C office agreements\n  agent -C office agreements 5f0c1d2e --out agreement.json"
)]
pub(crate) struct Agreements {
    /// The agreement's digest, or the beginning of it; all when left out.
    pub(crate) agreement: Option<String>,
    /// Write its object into this file: whoever makes its renewal needs it.
    #[arg(long, value_name = "FILE", requires = "agreement")]
    pub(crate) out: Option<PathBuf>,
}

/// Arguments of `suspend-agreement`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  agent -C office suspend-agreement DIGEST --reason security")]
pub(crate) struct SuspendAgreement {
    /// The agreement's digest, whole.
    pub(crate) agreement: String,
    /// Why, as a code: never in words.
    #[arg(long, value_enum)]
    pub(crate) reason: StopReason,
}

/// Why an agreement is stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StopReason {
    /// Somebody may be in danger.
    Security,
    /// The parties do not agree any more.
    Agreement,
    /// A party asks for it.
    Request,
    /// Another reason.
    Other,
}

/// Arguments of `capacity`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  agent -C office capacity\n  agent -C office capacity shelter none\n  \
agent -C office capacity shelter waitlist --jurisdiction AE-DU\n  agent -C office capacity shelter --withdraw\n\n\
With `none` nobody is sent here by need, or as a fallback, from the moment at which it is published. Whoever\n\
names this agency still reaches it.")]
pub(crate) struct Capacity {
    /// A code of the vocabulary of services; all that is said when left out.
    pub(crate) service: Option<String>,
    /// What room there is for it.
    #[arg(value_enum, requires = "service")]
    pub(crate) room: Option<Room>,
    /// Only for these categories.
    #[arg(long = "category", value_name = "CODE", requires = "service")]
    pub(crate) categories: Vec<String>,
    /// Only for these countries or emirates.
    #[arg(long = "jurisdiction", value_name = "CODE", requires = "service")]
    pub(crate) jurisdictions: Vec<String>,
    /// Say nothing of it any more.
    #[arg(long, requires = "service", conflicts_with = "room")]
    pub(crate) withdraw: bool,
    /// Show what another agency says.
    #[arg(long, value_name = "ID", conflicts_with_all = ["service", "withdraw"])]
    pub(crate) agency: Option<String>,
}

/// Room for a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Room {
    /// Whoever comes is taken.
    Open,
    /// None.
    None,
    /// There is a waiting list.
    Waitlist,
    /// Each case is looked at first.
    Assessment,
}

/// Arguments of `run`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  agent -C office run\n  agent -C office run --log-json --log info,agent::link=debug"
)]
pub(crate) struct Run {
    /// Log one JSON object a line, to standard error.
    #[arg(long)]
    pub(crate) log_json: bool,
    /// What is logged.
    #[arg(long, default_value = "info", value_name = "FILTER")]
    pub(crate) log: String,
}

/// What every command that sends something takes.
#[derive(Debug, Args)]
pub(crate) struct Sending {
    /// Files that go with it; may be given several times.
    #[arg(long = "attach", value_name = "FILE")]
    pub(crate) attach: Vec<PathBuf>,
    /// The attached files cannot tell who she is: they may go before anybody has accepted.
    #[arg(long)]
    pub(crate) attach_without_identity: bool,
    /// Wait for the gateway's answer.
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait, in seconds.
    #[arg(long, default_value_t = 30, value_name = "SECONDS")]
    pub(crate) timeout: u64,
    /// Asked again with the same key, it is not sent again.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "KEY")]
    pub(crate) key: String,
    /// Let the gateway decide, whatever the rules here say.
    #[arg(long)]
    pub(crate) unchecked: bool,
}

/// Arguments of `send`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  agent send referral.json --attach report.pdf --wait")]
pub(crate) struct Send {
    /// The referral, JSON; `-` reads standard input.
    #[arg(value_name = "FILE")]
    pub(crate) document: PathBuf,
    /// Ask another agency in a referral whose last attempt has ended.
    #[arg(long, default_value = "", hide_default_value = true, value_name = "REFERRAL")]
    pub(crate) again: String,
    #[command(flatten)]
    pub(crate) sending: Sending,
}

/// Arguments of `check`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  agent check case.toml\n  agent check case.json --attach report.pdf --lang ar"
)]
pub(crate) struct Check {
    /// The document, JSON; `-` reads standard input.
    #[arg(value_name = "FILE")]
    pub(crate) document: PathBuf,
    /// A file that would go with it; may be given several times.
    #[arg(long, value_name = "FILE")]
    pub(crate) attach: Vec<PathBuf>,
}

/// Arguments of `explain`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  agent -C office explain case.json --lang ar")]
pub(crate) struct Explain {
    /// The document, JSON; `-` reads standard input.
    #[arg(value_name = "FILE")]
    pub(crate) document: PathBuf,
}

/// Arguments of `codes`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  agent codes\n  agent codes category --lang ar")]
pub(crate) struct Codes {
    /// A vocabulary's name, such as category; all vocabularies when left out.
    pub(crate) vocabulary: Option<String>,
}

/// Arguments of `inbox`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  agent -C office inbox\n  agent -C office inbox --sent --all --json")]
pub(crate) struct Inbox {
    /// Also those that have ended.
    #[arg(long)]
    pub(crate) all: bool,
    /// Also those that this agency sent.
    #[arg(long)]
    pub(crate) sent: bool,
}

/// Arguments of `show`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  agent -C office show 0192abcd\n  agent -C office show '8763 6793' --save files"
)]
pub(crate) struct Show {
    /// The referral's id, the beginning of it, or its code for the telephone.
    pub(crate) referral: String,
    /// Write attachments into this folder, which is then as secret as they are.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) save: Option<PathBuf>,
}

/// A referral.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  agent -C office timeline 0192abcd")]
pub(crate) struct OfReferral {
    /// The referral's id, the beginning of it, or its code for the telephone.
    pub(crate) referral: String,
}

/// Arguments of `receipt`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  agent -C office receipt 0192abcd --out receipts")]
pub(crate) struct Receipt {
    /// The referral's id, the beginning of it, or its code for the telephone.
    pub(crate) referral: String,
    /// Write them into this folder; without it the first is shown.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
}

/// Arguments of `rotate-keys`.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  agent -C office rotate-keys --wait\n  agent -C office rotate-keys --only sealing --soon"
)]
pub(crate) struct RotateKeys {
    /// Only this key; may be given several times. All of them when it is left out.
    #[arg(long, value_enum)]
    pub(crate) only: Vec<RotatedKey>,
    /// Take the former sealing key back at once and not after a week: somebody else may have it.
    #[arg(long)]
    pub(crate) soon: bool,
    /// Wait until the new keys are in use and those before are taken back, as far as that is done at once.
    #[arg(long)]
    pub(crate) wait: bool,
    /// How long to wait, in seconds.
    #[arg(long, default_value_t = 60, requires = "wait")]
    pub(crate) timeout: u64,
}

/// A key that can be rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RotatedKey {
    /// Signs envelopes, receipts and changes.
    Signing,
    /// Opens what is sealed for this agency.
    Sealing,
    /// Cosigns the logs' checkpoints.
    Witness,
    /// Of the connection's certificate.
    Tls,
}

/// Arguments of `settle-alarm`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  agent settle-alarm\n  agent settle-alarm 5f0c1d2e --reason explained")]
pub(crate) struct SettleAlarm {
    /// The alarm's name; all that stand are shown when it is left out.
    pub(crate) alarm: Option<String>,
    /// Why, as a code: never in words. Without it the alarm is shown, and nothing is settled.
    #[arg(long, value_enum, requires = "alarm")]
    pub(crate) reason: Option<SettleReason>,
}

/// Why an alarm is settled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum SettleReason {
    /// What caused it was found and mended.
    Mended,
    /// The administrators explained it, by telephone.
    Explained,
    /// A test or an exercise caused it.
    Exercise,
    /// Nothing had happened.
    FalseAlarm,
}

/// Arguments of `notices`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  agent -C office notices test")]
pub(crate) struct Notices {
    #[command(subcommand)]
    pub(crate) what: NoticesCommand,
}

/// What is done with notices.
#[derive(Debug, Subcommand)]
pub(crate) enum NoticesCommand {
    /// Send a test by every way that agent.toml names, and say what fails. Needs no running agent.
    Test,
}

/// Arguments of `verify`.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  agent verify receipt-17.tlog-proof --network network.toml")]
pub(crate) struct Verify {
    /// Receipts' files.
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
    /// The network's file; without it, the one in the agent's folder.
    #[arg(long, value_name = "FILE")]
    pub(crate) network: Option<PathBuf>,
}

/// What every act takes.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  agent -C office accept 0192abcd --wait\n  agent -C office note 0192abcd --note 'She can come on Sunday'"
)]
pub(crate) struct Acting {
    /// The referral's id, the beginning of it, or its code for the telephone.
    pub(crate) referral: String,
    /// A remark for the other side, sealed.
    #[arg(long, value_name = "TEXT")]
    pub(crate) note: Option<String>,
    /// Do it in every referral of the joint thread, or of the split need, that this one belongs to. With
    /// `--json` each says a line of its own.
    #[arg(long)]
    pub(crate) all: bool,
    #[command(flatten)]
    pub(crate) sending: Sending,
}

/// An act that must say why.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  agent -C office decline 0192abcd --reason no_capacity --wait")]
pub(crate) struct WithReason {
    /// Why, as a code: no_capacity, service_unavailable, out_of_area, client_declined, other, …
    #[arg(long, value_name = "CODE")]
    pub(crate) reason: String,
    /// Why for one person of the household, such as p2=not_eligible; may be given several times.
    #[arg(long = "person", value_name = "PERSON=CODE")]
    pub(crate) persons: Vec<String>,
    #[command(flatten)]
    pub(crate) acting: Acting,
}

/// An act that must say what came of it.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  agent -C office complete 0192abcd --person p1=service_received --wait")]
pub(crate) struct WithOutcome {
    /// What came of it: service_received (when nothing is said), partially_received, client_declined, …
    #[arg(long, value_name = "CODE")]
    pub(crate) outcome: Option<String>,
    /// What came of it for one person of the household, such as p2=could_not_contact; may be given several
    /// times. Then it says by itself what came of it for all.
    #[arg(long = "person", value_name = "PERSON=CODE")]
    pub(crate) persons: Vec<String>,
    #[command(flatten)]
    pub(crate) acting: Acting,
}

/// An act that may say what came of it for single persons.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  agent -C office deliver-service 0192abcd --wait")]
pub(crate) struct WithPersons {
    /// What came of it for one person of the household, such as p2=service_received; may be given several
    /// times.
    #[arg(long = "person", value_name = "PERSON=CODE")]
    pub(crate) persons: Vec<String>,
    #[command(flatten)]
    pub(crate) acting: Acting,
}

/// An act that may say when.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  agent -C office schedule 0192abcd --date 2026-11-22 --wait")]
pub(crate) struct WithDate {
    /// The day: 2026-11-22.
    #[arg(long, value_name = "DATE")]
    pub(crate) date: Option<String>,
    #[command(flatten)]
    pub(crate) acting: Acting,
}

/// An act whose content is a file.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  agent -C office disclose 0192abcd --wait\n  agent -C office change-contact 0192abcd --file contact.json"
)]
pub(crate) struct WithFile {
    /// The content, JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) acting: Acting,
}

/// What one can do in a referral. `agent show` says what is possible now.
#[derive(Debug, Subcommand)]
pub(crate) enum ActCommand {
    /// Say that a person has seen it.
    See(Acting),
    /// Accept it; the identity is released then.
    Accept(Acting),
    /// Decline it.
    Decline(WithReason),
    /// Put it on the waiting list.
    Waitlist(Acting),
    /// Set an appointment.
    Schedule(WithDate),
    /// She did not come.
    NoShow(Acting),
    /// She is on her way.
    Depart(Acting),
    /// She has arrived.
    Arrive(Acting),
    /// The service begins.
    Start(Acting),
    /// Pause it.
    Hold(Acting),
    /// End the pause.
    Resume(Acting),
    /// The service was given.
    DeliverService(WithPersons),
    /// Close it with an outcome.
    Complete(WithOutcome),
    /// It could not be done.
    Fail(WithReason),
    /// Ask for cancellation.
    RequestCancel(Acting),
    /// Agree to cancellation.
    ConfirmCancel(Acting),
    /// Do not agree to it.
    RefuseCancel(Acting),
    /// Take it back.
    Recall(Acting),
    /// State that what was recalled is destroyed.
    ConfirmPurge(Acting),
    /// Send the identity: the one that was sent with the referral, or that of a file.
    Disclose(WithFile),
    /// Her consent is withdrawn.
    WithdrawConsent(Acting),
    /// State that the withdrawal was carried out.
    ConfirmWithdrawal(Acting),
    /// How she can be reached has changed: a file with `safe_contact`.
    ChangeContact(WithFile),
    /// Ask the referrer for more; say what with --note.
    RequestInformation(Acting),
    /// Answer such a question, with --note.
    GiveInformation(Acting),
    /// Offer the responsibility for the case.
    OfferTransfer(Acting),
    /// Take the responsibility.
    AcceptTransfer(Acting),
    /// Do not take it.
    DeclineTransfer(Acting),
    /// It should never have been.
    EnteredInError(Acting),
    /// Send a remark, with --note.
    Note(Acting),
}

impl ActCommand {
    /// What is done, and what every act takes.
    pub(crate) const fn parts(&self) -> (Act, &Acting) {
        match self {
            Self::See(acting) => (Act::See, acting),
            Self::Accept(acting) => (Act::Accept, acting),
            Self::Decline(with) => (Act::Decline, &with.acting),
            Self::Waitlist(acting) => (Act::Waitlist, acting),
            Self::Schedule(with) => (Act::Schedule, &with.acting),
            Self::NoShow(acting) => (Act::NoShow, acting),
            Self::Depart(acting) => (Act::Depart, acting),
            Self::Arrive(acting) => (Act::Arrive, acting),
            Self::Start(acting) => (Act::Start, acting),
            Self::Hold(acting) => (Act::Hold, acting),
            Self::Resume(acting) => (Act::Resume, acting),
            Self::DeliverService(with) => (Act::DeliverService, &with.acting),
            Self::Complete(with) => (Act::Complete, &with.acting),
            Self::Fail(with) => (Act::Fail, &with.acting),
            Self::RequestCancel(acting) => (Act::RequestCancel, acting),
            Self::ConfirmCancel(acting) => (Act::ConfirmCancel, acting),
            Self::RefuseCancel(acting) => (Act::RefuseCancel, acting),
            Self::Recall(acting) => (Act::Recall, acting),
            Self::ConfirmPurge(acting) => (Act::ConfirmPurge, acting),
            Self::Disclose(with) => (Act::Disclose, &with.acting),
            Self::WithdrawConsent(acting) => (Act::WithdrawConsent, acting),
            Self::ConfirmWithdrawal(acting) => (Act::ConfirmWithdrawal, acting),
            Self::ChangeContact(with) => (Act::ChangeContact, &with.acting),
            Self::RequestInformation(acting) => (Act::RequestInformation, acting),
            Self::GiveInformation(acting) => (Act::GiveInformation, acting),
            Self::OfferTransfer(acting) => (Act::OfferTransfer, acting),
            Self::AcceptTransfer(acting) => (Act::AcceptTransfer, acting),
            Self::DeclineTransfer(acting) => (Act::DeclineTransfer, acting),
            Self::EnteredInError(acting) => (Act::EnteredInError, acting),
            Self::Note(acting) => (Act::Note, acting),
        }
    }
}

#[cfg(test)]
mod tests {
    use agent::words;
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn every_act_is_done_by_its_word() {
        for act in Act::ALL {
            let verb = words::verb(*act);
            let without = ["send", "invite", "leave", "reseal"].contains(&verb);
            let line = ["agent", verb, "0192abcd", "--reason", "other"];
            let needs = matches!(act, Act::Decline | Act::Fail);
            let parsed = Arguments::try_parse_from(line.iter().take(if needs { 5 } else { 3 }));
            match parsed.map(|arguments| arguments.command) {
                Ok(Command::Act(command)) => assert_eq!(command.parts().0, *act),
                Ok(Command::Send(_)) => assert_eq!(*act, Act::Submit),
                Ok(other) => panic!("{verb} is {other:?}"),
                Err(error) => assert!(without, "{verb}: {error}"),
            }
        }
    }

    #[test]
    fn every_command_has_help() {
        for command in Arguments::command().get_subcommands() {
            assert!(command.get_about().is_some(), "{}", command.get_name());
            let examples = command.get_after_help().map(ToString::to_string).unwrap_or_default();
            assert!(examples.contains("agent "), "{} has no example", command.get_name());
        }
    }
}
