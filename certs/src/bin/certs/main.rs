//! The program `certs`: a small authority from the command line. Here is what is read and printed; what
//! is done is the library's. Exit codes: 0 done, 1 refused or failed, 2 not understood.

mod arguments;
mod authority;
mod ceremony;
mod credentials;
mod report;

use std::{
    io::{self, Write as _},
    process::ExitCode,
    time::SystemTime,
};

use arguments::{Arguments, Command};
use certs::{Error, UnixTime};
use clap::Parser as _;
use report::Report;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(&arguments.command) {
        Ok(report) => print(&report, arguments.json),
        Err(error) => complain(&error, arguments.json),
    }
}

fn run(command: &Command) -> Result<Report, Error> {
    let now = UnixTime::of(SystemTime::now())?;
    match command {
        Command::Init(init) => authority::init(init, now),
        Command::Request(request) => credentials::request(request),
        Command::Issue(issue) => credentials::issue(issue, now),
        Command::Renew(renew) => credentials::renew(renew, now),
        Command::Revoke(revoke) => authority::revoke(revoke, now),
        Command::Crl(crl) => authority::crl(crl, now),
        Command::List(list) => authority::list(list, now),
        Command::Status(status) => authority::status(status, now),
        Command::Show(show) => credentials::show(show, now),
        Command::Ceremony(step) => ceremony::network(step, now),
        Command::Root(step) => ceremony::root(step, now),
    }
}

fn print(report: &Report, json: bool) -> ExitCode {
    let mut out = io::stdout().lock();
    let written = if json { writeln!(out, "{:#}", report.json) } else { write!(out, "{}", report.text) };
    match written.and_then(|()| out.flush()) {
        Ok(()) if report.is_well => ExitCode::SUCCESS,
        // Somebody closed the pipe: nobody is left to be told.
        Ok(()) | Err(_) => ExitCode::FAILURE,
    }
}

fn complain(error: &Error, json: bool) -> ExitCode {
    let mut out = io::stderr().lock();
    let kind = match error {
        Error::Malformed(_) => "malformed",
        Error::Refusal(_) => "refused",
        Error::Fault(_) => "failed",
    };
    let message = error.to_string();
    let written = if json {
        writeln!(out, "{:#}", serde_json::json!({ "error": kind, "message": message }))
    } else {
        writeln!(out, "certs: {kind}: {message}")
    };
    // The exit code tells it, should standard error be closed.
    drop(written);
    ExitCode::FAILURE
}
