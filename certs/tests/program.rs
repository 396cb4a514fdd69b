//! The program, as people and scripts run it: what it writes, what it says, how it ends.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::Value;

struct Desk {
    folder: tempfile::TempDir,
}

impl Desk {
    /// With an authority in the folder `a`.
    fn new() -> Self {
        let desk = Self { folder: tempfile::tempdir().unwrap() };
        desk.good(&["init", "a", "--network", "referral.example", "--sandbox", "--permit", "10.1.0.0/16"]);
        desk
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_certs"));
        command.args(arguments).current_dir(self.folder.path()).output().unwrap()
    }

    fn good(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        assert_eq!(output.status.code(), Some(0), "{arguments:?}\n{out}{err}");
        assert_eq!(err, "");
        assert!(!out.contains("PRIVATE"), "{out}");
        out
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_str(&self.good(&[arguments, &["--json"]].concat())).unwrap()
    }

    /// The exit code, and what it says on standard error; standard output is empty.
    fn bad(&self, arguments: &[&str]) -> (i32, String) {
        let output = self.run(arguments);
        assert_eq!(text(&output.stdout), "", "{arguments:?}");
        (output.status.code().unwrap(), text(&output.stderr))
    }

    fn mode(&self, name: &str) -> u32 {
        fs::metadata(self.path(name)).unwrap().permissions().mode() & 0o777
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().unwrap().iter().map(|value| value.as_str().unwrap()).collect()
}

#[test]
fn an_agency_gets_renews_and_loses_its_certificate() {
    let desk = Desk::new();
    let said = desk.good(&["request", "--key", "key.pem", "--out", "agent.csr"]);
    assert!(said.contains("key.pem, which never leaves this machine"), "{said}");
    assert_eq!(desk.mode("key.pem"), 0o600);
    let made =
        desk.json(&["issue", "a", "agency/ae.dfwac/main", "--request", "agent.csr", "--out", "agent.pem"]);
    assert_eq!(strings(&made["uris"]), ["spiffe://referral.example/agency/ae.dfwac/main"]);
    assert_eq!((&made["client"], &made["server"]), (&Value::Bool(true), &Value::Bool(false)));
    assert!(said.contains(made["key_sha256"].as_str().unwrap()), "both sides can compare");

    // The same key asks again, and another one.
    desk.good(&["request", "--key", "key.pem", "--out", "again.csr"]);
    let renewed = desk.json(&[
        "renew",
        "a",
        "--certificate",
        "agent.pem",
        "--request",
        "again.csr",
        "--out",
        "agent.pem",
    ]);
    assert_eq!(renewed["key_sha256"], made["key_sha256"]);
    assert_ne!(renewed["serial"], made["serial"]);
    let serial = renewed["serial"].as_str().unwrap();
    desk.good(&["renew", "a", "--serial", serial, "--new-key", "spare", "--days", "30"]);
    assert_eq!((desk.mode("spare"), desk.mode("spare/key.pem")), (0o700, 0o600));

    let revoked = desk.json(&["revoke", "a", "--certificate", "agent.pem", "--reason", "superseded"]);
    assert_eq!(revoked["revoked"][0]["serial"], renewed["serial"]);
    let said = desk.good(&["revoke", "a", "--agency", "ae.dfwac", "--reason", "key-compromise"]);
    assert!(
        said.contains("was revoked before") && said.contains("give crls.pem to every verifier"),
        "{said}"
    );
    let listed = desk.json(&["list", "a"]);
    let states: Vec<_> =
        listed.as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["revoked"; 3]);
    let reasons: Vec<_> =
        listed.as_array().unwrap().iter().map(|one| one["revoked"]["reason"].as_str().unwrap()).collect();
    assert_eq!(reasons, ["key-compromise", "superseded", "key-compromise"]);
    let (code, said) = desk.bad(&["renew", "a", "--serial", serial, "--new-key", "more"]);
    assert_eq!(code, 1);
    assert!(said.starts_with("certs: refused: certificate ") && said.contains("is revoked"), "{said}");
    assert!(!desk.path("more").exists(), "nothing is left of what was refused");
    let (code, said) =
        desk.bad(&["issue", "a", "agency/ae.dfwac/main", "--request", "agent.csr", "--out", "x.pem"]);
    assert_eq!(
        (code, said.as_str()),
        (1, "certs: refused: this key was revoked as compromised: make a new key\n")
    );
    assert!(!desk.path("x.pem").exists());
}

#[test]
fn a_gateway_gets_its_names_and_only_permitted_ones() {
    let desk = Desk::new();
    let made = desk.json(&[
        "issue",
        "a",
        "gateway",
        "--name",
        "gateway.referral.example",
        "--name",
        "10.1.2.3",
        "--new-key",
        "g",
    ]);
    assert_eq!(strings(&made["names"]), ["gateway.referral.example", "10.1.2.3"]);
    let renewed = desk.json(&["renew", "a", "--certificate", "g/certificate.pem", "--new-key", "g2"]);
    assert_eq!(renewed["names"], made["names"]);
    for (arguments, words) in [
        (&["gateway"][..], "needs the names"),
        (&["gateway", "--name", "gateway.other.example"], "does not permit the name gateway.other.example"),
        (&["gateway", "--name", "10.2.0.1"], "does not permit the name 10.2.0.1"),
        (&["agency/ae.dfwac/main", "--name", "localhost"], "only a gateway's certificate has names"),
        (&["agency/ae.dfwac/main", "--days", "399"], "at most 398 days"),
        (&["agency/ae.dfwac/main", "--days", "0"], "at most 398 days"),
    ] {
        let (code, said) = desk.bad(&[&["issue", "a"], arguments, &["--new-key", "n"]].concat());
        assert!(code == 1 && said.contains(words), "{arguments:?}: {said}");
        assert!(!desk.path("n").exists());
    }
    let (code, said) = desk.bad(&["issue", "a", "gateway", "--name", "localhost", "--new-key", "g"]);
    assert!(code == 1 && said.contains("g/key.pem is there already"), "{said}");
    assert_eq!(desk.json(&["list", "a"]).as_array().unwrap().len(), 2, "nothing was issued for it");
}

#[test]
fn lists_are_signed_when_due_and_written_for_verifiers() {
    let desk = Desk::new();
    fs::create_dir(desk.path("trust")).unwrap();
    let said = desk.good(&["crl", "a", "--if-due", "--out", "trust"]);
    assert!(said.starts_with("The lists are not due."), "{said}");
    let said = desk.json(&["crl", "a", "--days", "1"]);
    assert_eq!((&said["signed"], &said["lists"][1]["number"]), (&true.into(), &2.into()));
    for (file, copy) in [("trust/root.pem", "a/root.pem"), ("trust/crls.pem", "a/crls.pem")] {
        assert_eq!(desk.mode(file), 0o644);
        assert!(fs::read_to_string(desk.path(copy)).unwrap().contains("-----BEGIN "));
    }
    let shown = desk.json(&["show", "trust/root.pem", "trust/crls.pem", "a/issuing/1/certificate.pem"]);
    let kinds: Vec<_> = shown.as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["certificate", "revocation-list", "revocation-list", "certificate"]);
    assert_eq!(
        strings(&shown[3]["constraints"]["permitted"]),
        ["referral.example", "localhost", "127.0.0.0/8", "::1/128", "10.1.0.0/16"]
    );
    assert_eq!(shown[3]["constraints"]["critical"], true);
    let shown = desk.good(&["show", "a/issuing/1/certificate.pem"]);
    assert!(shown.contains("permits  10.1.0.0/16") && shown.contains("authority (path length 0)"), "{shown}");
    let (code, said) = desk.bad(&["crl", "a", "--days", "32"]);
    assert!(code == 1 && said.contains("at most 31 days"), "{said}");
}

#[test]
fn a_ceremony_goes_by_files_with_the_root_elsewhere() {
    let desk = Desk::new();
    fs::rename(desk.path("a/root"), desk.path("usb")).unwrap();
    assert!(desk.good(&["status", "a"]).starts_with("network              referral.example\n"));
    let request = desk.json(&["ceremony", "prepare", "a", "--out", "issuing.csr"]);
    let made = desk.json(&["root", "sign", "usb", "--request", "issuing.csr", "--out", "issuing.pem"]);
    assert_eq!(made["key_sha256"], request["key_sha256"]);
    assert_eq!(strings(&made["constraints"]["permitted"]).len(), 5, "as the last one");
    desk.good(&["root", "crl", "usb", "--out", "root.crl"]);
    let said = desk.good(&["ceremony", "finish", "a", "root.crl", "issuing.pem"]);
    assert!(
        said.contains("list 2") && said.contains("Issuing under O=referral.example, CN=issuing 2"),
        "{said}"
    );
    desk.good(&["issue", "a", "staff/operator/blue-7", "--new-key", "staff"]);
    let shown = desk.good(&["show", "staff/certificate.pem"]);
    assert!(shown.contains("spiffe://referral.example/staff/operator/blue-7"), "{shown}");
    assert!(shown.contains("CN=issuing 2"), "{shown}");

    let said = desk.good(&["root", "revoke", "usb", "1", "--reason", "superseded", "--out", "root.crl"]);
    assert!(said.contains("and with it everything that it issued"), "{said}");
    desk.good(&["ceremony", "finish", "a", "root.crl"]);
    let listed = desk.json(&["root", "list", "usb"]);
    let states: Vec<_> =
        listed.as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(states, ["revoked", "valid"]);
    desk.good(&["ceremony", "prepare", "a", "--out", "issuing.csr"]);
    let narrow = desk.json(&[
        "root",
        "sign",
        "usb",
        "--request",
        "issuing.csr",
        "--out",
        "x.pem",
        "--permit",
        "10.9.0.0/16",
        "--days",
        "90",
    ]);
    assert_eq!(strings(&narrow["constraints"]["permitted"]), ["referral.example", "10.9.0.0/16"]);
    let (code, said) = desk.bad(&["ceremony", "finish", "a", "staff/certificate.pem"]);
    assert!(code == 1 && said.contains("not signed by this network's root"), "{said}");
}

#[test]
fn status_tells_scripts_by_its_exit_code() {
    let desk = Desk::new();
    let due = desk.run(&["status", "a", "--json"]);
    assert_eq!(due.status.code(), Some(1));
    let said: Value = serde_json::from_slice(&due.stdout).unwrap();
    assert_eq!(said["duties"][0]["duty"], "take-root-offline");
    let shown = text(&desk.run(&["status", "a"]).stdout);
    assert!(shown.contains("To do: the root's key is still here"), "{shown}");
    fs::rename(desk.path("a/root"), desk.path("usb")).unwrap();
    assert_eq!(desk.json(&["status", "a"])["duties"], Value::Array(vec![]));
}

#[test]
fn what_is_not_understood_ends_with_2_and_what_is_refused_with_1() {
    let desk = Desk::new();
    for arguments in [
        &[][..],
        &["fly"],
        &["init", "b"],
        &["init", "b", "--network", "Referral.Example"],
        &["init", "b", "--network", "referral.example", "--permit", "*.example"],
        &["issue", "a", "agency/ae.dfwac/main"],
        &["issue", "a", "agency/ae.dfwac/main", "--request", "x"],
        &["issue", "a", "agency/ae.dfwac/main", "--request", "x", "--new-key", "y", "--out", "z"],
        &["issue", "a", "agency/dfwac/main", "--new-key", "y"],
        &["issue", "a", "staff/owner/x", "--new-key", "y"],
        &["issue", "a", "issuing/1", "--new-key", "y"],
        &["renew", "a", "--new-key", "y"],
        &["revoke", "a", "--serial", "xyz", "--reason", "superseded"],
        &["revoke", "a", "--serial", "0a", "--reason", "hold"],
        &["revoke", "a", "--serial", "0a", "--agency", "ae.dfwac", "--reason", "superseded"],
        &["revoke", "a", "--reason", "superseded"],
        &["show"],
    ] {
        let (code, said) = desk.bad(arguments);
        assert_eq!(code, 2, "{arguments:?}: {said}");
    }
    assert!(!desk.path("b").exists() && !desk.path("y").exists());
    for (arguments, words) in [
        (&["init", "a", "--network", "referral.example"][..], "a is there already"),
        (&["list", "b"], "cannot read b: entity not found"),
        (&["show", "a/issuing/1/key.pem"], "neither certificates nor revocation lists nor a request"),
        (&["show", "nothing"], "cannot read nothing"),
        (&["revoke", "a", "--serial", "0a", "--reason", "superseded"], "certs list"),
        (&["ceremony", "finish", "a", "a/issuing/1/key.pem"], "not a certificate"),
    ] {
        let (code, said) = desk.bad(arguments);
        assert!(code == 1 && said.contains(words), "{arguments:?}: {said}");
        let (code, said) = desk.bad(&[arguments, &["--json"]].concat());
        let said: Value = serde_json::from_str(&said).unwrap();
        assert!(code == 1 && said["message"].as_str().unwrap().contains(words), "{said}");
        assert!(["malformed", "refused", "failed"].contains(&said["error"].as_str().unwrap()));
    }
}

#[test]
fn a_key_that_others_may_read_is_refused_with_what_to_do() {
    let desk = Desk::new();
    let key = desk.path("a/issuing/1/key.pem");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let (code, said) = desk.bad(&["list", "a"]);
    assert_eq!(code, 1);
    assert!(said.contains("a/issuing/1/key.pem may be opened by others (mode 0640)"), "{said}");
    assert!(said.contains("chmod go-rwx"), "{said}");
}

#[test]
fn help_has_examples_and_every_command_has_help() {
    let desk = Desk { folder: tempfile::tempdir().unwrap() };
    let help = desk.good(&["--help"]);
    assert!(help.contains("Examples:") && help.contains("Exit codes: 0"), "{help}");
    for command in
        ["init", "request", "issue", "renew", "revoke", "crl", "list", "status", "show", "ceremony", "root"]
    {
        assert!(help.contains(&format!("\n  {command} ")), "{command}");
        assert!(desk.good(&[command, "--help"]).contains("Usage: certs"), "{command}");
    }
    for (command, step) in
        [("ceremony", "prepare"), ("ceremony", "finish"), ("root", "sign"), ("root", "crl")]
    {
        desk.good(&[command, step, "--help"]);
    }
}

/// The commands in the README, in its order, in one folder, are what the program understands.
#[test]
fn the_readme_s_commands_work_as_they_stand() {
    let desk = Desk { folder: tempfile::tempdir().unwrap() };
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = fs::read_to_string(readme).unwrap();
    let blocks = readme.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    let script: String = blocks.collect();
    let program = Path::new(env!("CARGO_BIN_EXE_certs")).parent().unwrap();
    let path = format!("{}:{}", program.display(), std::env::var("PATH").unwrap());
    let output = Command::new("sh")
        .args(["-euc", &script])
        .env("PATH", path)
        .current_dir(desk.folder.path())
        .output()
        .unwrap();
    assert!(script.matches("certs ").count() >= 12, "{script}");
    assert_eq!(output.status.code(), Some(0), "{}{}", text(&output.stdout), text(&output.stderr));
}
