//! The command line: what each command does, with which outcome. Not here: how things are shown
//! (`show`), and the arguments' forms (`arguments`).

mod acts;
mod agreements;
mod alarms;
mod arguments;
mod backups;
mod capacity;
mod contact;
mod doctor;
mod forms;
mod joining;
mod mapping;
mod notices;
mod outcome;
mod reading;
mod rotation;
mod sandbox;
mod sending;
mod show;
mod vocabularies;

use std::process::ExitCode;

use clap::Parser as _;

use arguments::{Arguments, Command, NoticesCommand};
use outcome::{Outcome, Trouble};
use show::Screen;

pub(crate) fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Help and version are asked for; all else is a wrong use.
            drop(error.print());
            return if error.use_stderr() { Outcome::Usage.into() } else { Outcome::Done.into() };
        }
    };
    let screen = Screen::new(&arguments);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let done = match runtime {
        Ok(runtime) => runtime.block_on(run(&arguments, &screen)),
        Err(error) => Err(Trouble::fault(format!("the program cannot start: {error}"))),
    };
    match done {
        Ok(outcome) => outcome.into(),
        Err(trouble) => {
            screen.trouble(&trouble);
            trouble.outcome.into()
        }
    }
}

async fn run(arguments: &Arguments, screen: &Screen) -> Result<Outcome, Trouble> {
    let folder = &arguments.folder;
    match &arguments.command {
        Command::Enrol(enrol) => joining::enrol(folder, enrol, screen).await,
        Command::Init(init) => joining::init(folder, init, screen),
        Command::Install(install) => joining::install(folder, install, screen),
        Command::Run(run) => joining::run(folder, run).await,
        Command::RotateKeys(asked) => rotation::rotate(folder, asked, screen).await,
        Command::Sign(sign) => agreements::sign(folder, sign, screen).await,
        Command::Agreements(wanted) => agreements::show(folder, wanted, screen).await,
        Command::SuspendAgreement(suspend) => agreements::suspend(folder, suspend, screen).await,
        Command::Capacity(capacity) => capacity::run(folder, capacity, screen).await,
        Command::New(new) => forms::new(new, screen),
        Command::Schema(schema) => forms::schema(schema, screen),
        Command::Map(map) => mapping::map(map, screen),
        Command::BackupKey(key) => backups::key(folder, key, screen),
        Command::Backup(backup) => backups::make(folder, backup, screen).await,
        Command::Restore(restore) => backups::restore(folder, restore, screen),
        Command::Completion(completion) => Ok(forms::completion(completion)),
        Command::Sandbox(asked) => sandbox::sandbox(asked, screen).await,
        Command::Send(send) => sending::send(folder, send, screen).await,
        Command::Check(check) => sending::check(check, screen),
        Command::Explain(explain) => sending::explain(folder, explain, screen).await,
        Command::Codes(codes) => vocabularies::codes(codes, screen),
        Command::Inbox(inbox) => reading::inbox(folder, inbox, screen).await,
        Command::Show(show) => reading::show(folder, show, screen).await,
        Command::Timeline(referral) => reading::timeline(folder, referral, screen).await,
        Command::Receipt(receipt) => reading::receipts(folder, receipt, screen).await,
        Command::Verify(verify) => reading::verify(folder, verify, screen),
        Command::Doctor => doctor::examine(folder, screen).await,
        Command::Status => reading::status(folder, screen).await,
        Command::SettleAlarm(asked) => alarms::settle(folder, asked, screen).await,
        Command::Notices(asked) => match asked.what {
            NoticesCommand::Test => notices::test(folder, screen).await,
        },
        Command::Act(act) => acts::act(folder, act, screen).await,
    }
}
