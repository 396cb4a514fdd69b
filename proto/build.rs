//! Compiles the message definitions with a compiler written in Rust, so that no `protoc` is needed, and
//! makes constants of the vocabularies.
#![allow(
    clippy::disallowed_methods,
    reason = "a build script reads Cargo's variables and writes a file; what it builds does not"
)]

#[path = "build/vocabularies.rs"]
mod vocabularies;

use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

use prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto/referral/v1");
    let files = [
        "signed",
        "envelope",
        "sealed",
        "agreement",
        "directory",
        "evidence",
        "journal",
        "service",
        "operations",
    ]
    .map(|name| format!("proto/referral/v1/{name}.proto"));
    let descriptors = protox::compile(files, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    println!("cargo:rerun-if-changed=vocabularies");
    println!("cargo:rerun-if-changed=build");
    fs::write(out.join("vocabularies.rs"), vocabularies::generate(Path::new("vocabularies"))?)?;
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    prost_build::Config::new()
        .skip_debug(["."])
        // Ciphertext is shared with the buffer that it came in, not copied.
        .bytes([".referral.v1.InlinePart.ciphertext"])
        .compile_fds(descriptors)?;
    Ok(())
}
