//! The rooms' borders: who may depend on whom, and what must be in nobody's tree.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking, and tells what it saw")]

use std::{collections::BTreeSet, env, process::Command};

use prost::Message as _;

/// The names of all crates that a package is built of.
fn tree(package: &str, edges: &str) -> BTreeSet<String> {
    let cargo = env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments = ["tree", "--offline", "--locked", "--prefix", "none", "-e", edges, "-p", package];
    let output = Command::new(cargo)
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    let names = text.lines().filter_map(|line| line.split_whitespace().next());
    names.map(str::to_owned).filter(|name| !name.starts_with('[')).collect()
}

fn has_none_of(package: &str, barred: &[&str]) {
    let tree = tree(package, "normal");
    assert!(tree.contains(package), "the tree was read");
    for name in barred {
        assert!(!tree.contains(*name), "{package} is built of {name}");
    }
}

#[test]
fn the_gateway_holds_no_code_that_could_open_a_part() {
    has_none_of("gateway", &["age", "age-core", "hpke", "seal", "x-wing", "ml-kem", "agent"]);
}

#[test]
fn the_rules_have_no_io() {
    let barred =
        ["tokio", "tonic", "sled", "journal", "gateway", "rustix", "getrandom", "rand", "tracing", "libc"];
    has_none_of("proto", &barred);
}

#[test]
fn the_journal_knows_nothing_of_referrals() {
    has_none_of("journal", &["proto", "gateway", "prost", "sled", "tokio"]);
}

#[test]
fn the_courier_knows_nothing_of_referrals() {
    has_none_of("courier", &["proto", "gateway", "journal", "prost", "tonic"]);
}

#[test]
fn sealing_knows_nothing_of_the_gateway() {
    has_none_of("seal", &["gateway", "journal", "sled", "tokio"]);
}

#[test]
fn the_branch_office_knows_nothing_of_the_hub_and_issues_no_certificates() {
    has_none_of("agent", &["gateway", "certs", "sled"]);
}

#[test]
fn one_crypto_provider_and_one_of_each_protocol_crate() {
    for package in ["proto", "journal", "gateway", "agent", "seal", "trials"] {
        has_none_of(package, &["ring", "openssl", "openssl-sys", "native-tls"]);
    }
    let lock = include_str!("../../Cargo.lock");
    for name in ["prost", "rustls", "tonic", "hyper", "http", "h2", "axum", "tower", "opentelemetry"] {
        let count = lock.matches(&format!("\nname = \"{name}\"\n")).count();
        assert!(count <= 1, "{count} versions of {name}");
    }
}

#[test]
fn the_head_of_a_sealed_part_is_the_message_that_the_rules_define() {
    let ours = seal::SealHead {
        version: 1,
        envelope_id: vec![7; 16],
        from: "ae.dfwac".to_owned(),
        recipients: vec!["jo.mosd".to_owned()],
        part_id: 2,
        part_class: 3,
        content_bytes: 4,
        media_type: "application/pdf".to_owned(),
        file_name: "file.pdf".to_owned(),
        content_sha256: vec![9; 32],
    };
    let defined = proto::wire::SealHead::decode(ours.encode_to_vec().as_slice()).unwrap();
    assert_eq!(defined.encode_to_vec(), ours.encode_to_vec());
    assert_eq!(
        (defined.part_id, defined.part_class, defined.content_bytes, defined.file_name.as_str()),
        (2, 3, 4, "file.pdf")
    );
}
