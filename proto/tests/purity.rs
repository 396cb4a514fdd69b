//! `proto` is pure: what it depends on, and what its source does not name.
#![allow(clippy::unwrap_used, reason = "test helpers may unwrap")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// What `proto` itself may depend on.
const DIRECT: [&str; 8] =
    ["arcstr", "base64", "bytes", "ed25519-dalek", "prost", "sha2", "thin-vec", "thiserror"];

/// Crates that would bring IO, time, threads or randomness, wherever they come from. (`rand_core` has
/// traits only, and the signature crates name them.)
const NEVER: [&str; 21] = [
    "tokio",
    "tonic",
    "hyper",
    "mio",
    "socket2",
    "sled",
    "rand",
    "getrandom",
    "rustix",
    "libloading",
    "tempfile",
    "chrono",
    "time",
    "tracing",
    "log",
    "crossbeam-utils",
    "parking_lot",
    "rayon",
    "age",
    "hpke",
    "object_store",
];

/// Names that have no place in the source, and why.
const NAMES: [(&str, &str); 14] = [
    ("std::fs", "files"),
    ("std::net", "sockets"),
    ("std::thread", "threads"),
    ("std::process", "processes"),
    ("std::env", "the environment"),
    ("std::io", "IO"),
    ("SystemTime", "the clock"),
    ("Instant", "the clock"),
    ("HashMap", "an order that differs from run to run"),
    ("HashSet", "an order that differs from run to run"),
    ("RandomState", "randomness"),
    ("Mutex", "threads"),
    ("AtomicU", "state beside the state"),
    ("println!", "output"),
];

fn manifest() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("Cargo.toml")
}

/// The machine's own platform: what other platforms need is not here unless somebody fetched it.
fn platform() -> String {
    let output = Command::new("rustc").arg("-vV").output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned()
}

fn metadata() -> Value {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version=1", "--offline", "--locked"])
        .args(["--filter-platform", &platform(), "--manifest-path"])
        .arg(manifest())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What a package depends on in its release: neither for its tests nor for its build.
fn normal<'a>(metadata: &'a Value, id: &str) -> Vec<&'a str> {
    let nodes = metadata["resolve"]["nodes"].as_array().unwrap();
    let node = nodes.iter().find(|node| node["id"] == id).unwrap();
    let is_normal =
        |dep: &&Value| dep["dep_kinds"].as_array().unwrap().iter().any(|kind| kind["kind"].is_null());
    let deps = node["deps"].as_array().unwrap().iter().filter(is_normal);
    deps.map(|dep| dep["pkg"].as_str().unwrap()).collect()
}

fn name<'a>(metadata: &'a Value, id: &str) -> &'a str {
    let packages = metadata["packages"].as_array().unwrap();
    packages.iter().find(|package| package["id"] == id).unwrap()["name"].as_str().unwrap()
}

#[test]
fn depends_on_what_is_allowed_and_on_nothing_that_does_io() {
    let metadata = metadata();
    let packages = metadata["packages"].as_array().unwrap();
    let proto = packages.iter().find(|package| package["name"] == "proto").unwrap()["id"].as_str().unwrap();
    let direct: BTreeSet<_> = normal(&metadata, proto).into_iter().map(|id| name(&metadata, id)).collect();
    assert_eq!(direct, DIRECT.into());
    let mut seen = BTreeSet::from([proto]);
    let mut next = vec![proto];
    while let Some(id) = next.pop() {
        next.extend(normal(&metadata, id).into_iter().filter(|id| seen.insert(id)));
    }
    let all: BTreeSet<_> = seen.iter().map(|id| name(&metadata, id)).collect();
    let bad: Vec<_> = NEVER.iter().filter(|name| all.contains(*name)).collect();
    assert!(bad.is_empty(), "{bad:?} among {all:?}");
}

fn sources(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

#[test]
#[allow(clippy::disallowed_methods, reason = "this test reads the source")]
fn the_source_names_nothing_of_a_clock_a_file_a_socket_or_a_thread() {
    let mut files = Vec::new();
    sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"), &mut files);
    assert!(files.len() > 30);
    for file in files {
        let text = fs::read_to_string(&file).unwrap();
        for (name, what) in NAMES {
            let code = |line: &&str| !line.trim_start().starts_with("//");
            let found = text.lines().filter(code).find(|line| line.contains(name));
            assert_eq!(found, None, "{}: {what}", file.display());
        }
    }
}
