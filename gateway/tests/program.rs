//! The gateway's program as a person types it: making a network, serving it, changing it, checking it.
//! Not here: what the services do (the trials).

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot be set up has failed")]

use std::{
    fs,
    net::{Ipv4Addr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

fn gateway(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_gateway")).args(arguments).output().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap() + &String::from_utf8(output.stderr.clone()).unwrap()
}

fn json(arguments: &[&str]) -> Value {
    let output = gateway(&[&["--json"], arguments].concat());
    assert!(output.status.success(), "{}", said(&output));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

struct Served(Child);

impl Served {
    fn start(hub: &Path, port: u16) -> Self {
        let child = Command::new(env!("CARGO_BIN_EXE_gateway"))
            .args(["serve", "--config"])
            .arg(hub.join("gateway.toml"))
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            std::thread::yield_now();
        }
        Self(child)
    }

    fn end(mut self) {
        let pid = rustix::process::Pid::from_child(&self.0);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

fn init(hub: &Path, port: u16) -> Output {
    let listen = format!("127.0.0.1:{port}");
    let metrics = format!("127.0.0.1:{}", free_port());
    let enrolment = format!("127.0.0.1:{}", free_port());
    gateway(&[
        "init",
        hub.to_str().unwrap(),
        "--network",
        "referral.example",
        "--host",
        "127.0.0.1",
        "--listen",
        &listen,
        "--metrics",
        &metrics,
        "--enrolment-listen",
        &enrolment,
        "--administrator",
        "blue-1",
        "--administrator",
        "green-2",
        "--segment-mib",
        "1",
    ])
}

#[test]
fn a_network_is_made_served_changed_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let hub = folder.path().join("hub");
    let port = free_port();
    let made = init(&hub, port);
    assert!(made.status.success(), "{}", said(&made));
    assert!(said(&made).contains("offline"), "it says what to do next");
    let again = init(&hub, port);
    assert_eq!(again.status.code(), Some(1));
    assert!(said(&again).contains("not empty"), "{}", said(&again));

    let served = Served::start(&hub, port);
    let blue = hub.join("administrators/blue-1");
    let green = hub.join("administrators/green-2");
    let (blue, green) = (blue.to_str().unwrap(), green.to_str().unwrap());
    let directory = json(&["admin", "directory", "--as", blue]);
    assert_eq!(directory["size"], 1);

    // Resuming takes two: one signature is not enough, two are judged.
    let file = folder.path().join("resume.json");
    let file = file.to_str().unwrap();
    json(&["admin", "resume", "ae.dfwac", "--out", file, "--as", blue]);
    let alone = gateway(&["admin", "submit", file, "--as", blue]);
    assert!(said(&alone).contains("NOT_ENOUGH_SIGNERS"), "{}", said(&alone));
    let twice = gateway(&["admin", "sign", file, "--as", blue]);
    assert!(said(&twice).contains("somebody else"), "{}", said(&twice));
    json(&["admin", "sign", file, "--as", green]);
    let both = gateway(&["admin", "submit", file, "--as", green]);
    assert!(said(&both).contains("SUBJECT_UNKNOWN"), "{}", said(&both));
    assert!(said(&both).contains("لا يحتوي الدليل"), "in both languages: {}", said(&both));

    // A revoked administrator's certificate gets nobody in.
    let refused = gateway(&["verify", hub.to_str().unwrap()]);
    assert!(said(&refused).contains("running"), "{}", said(&refused));
    served.end();
    let verified = json(&["verify", hub.to_str().unwrap()]);
    assert_eq!(verified["right"], true);
    assert_eq!(verified["directory_records"], 1);

    // One flipped bit in the journal's first batch is named.
    let segment = fs::read_dir(hub.join("journal")).unwrap().map(|entry| entry.unwrap().path());
    let segment = segment.filter(|path| path.metadata().unwrap().len() == 1024 * 1024).min().unwrap();
    let mut bytes = fs::read(&segment).unwrap();
    let place = bytes.windows(16).position(|window| window == b"referral.example").unwrap();
    bytes[place] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let wrong = gateway(&["verify", hub.to_str().unwrap()]);
    assert_eq!(wrong.status.code(), Some(1), "{}", said(&wrong));
}

#[test]
fn help_has_examples_and_wrong_arguments_have_their_own_exit_code() {
    for arguments in [&["--help"][..], &["admin", "--help"]] {
        let help = gateway(arguments);
        assert!(help.status.success() && said(&help).contains("Examples:"), "{}", said(&help));
    }
    assert_eq!(gateway(&["serve"]).status.code(), Some(2));
    let missing = gateway(&["--json", "serve", "--config", "/nowhere/gateway.toml"]);
    assert_eq!(missing.status.code(), Some(1));
    let error: Value = serde_json::from_slice(&missing.stderr).unwrap();
    assert!(error["error"][0].as_str().unwrap().contains("/nowhere/gateway.toml"));
}

#[test]
fn one_administrator_is_not_enough() {
    let folder = tempfile::tempdir().unwrap();
    let hub = folder.path().join("hub");
    let hub = hub.to_str().unwrap();
    let one = gateway(&[
        "init",
        hub,
        "--network",
        "referral.example",
        "--host",
        "127.0.0.1",
        "--administrator",
        "blue-1",
    ]);
    assert_eq!(one.status.code(), Some(1));
    assert!(said(&one).contains("two administrators"), "{}", said(&one));
}
