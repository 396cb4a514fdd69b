//! Compiles the store's records and the services' stubs, over the rules' own message types, with a
//! compiler written in Rust, so that no `protoc` is needed.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message as _;
use tonic_prost_build::Builder;

const FOLDERS: [&str; 2] = ["proto", "../proto/proto"];

fn main() -> Result<(), Box<dyn Error>> {
    for folder in FOLDERS {
        println!("cargo:rerun-if-changed={folder}");
    }
    let out = PathBuf::from(env::var("OUT_DIR")?);
    compile(&out, "store", "agent/v1/store.proto", |builder| builder.skip_debug(["."]))?;
    // What the gateway serves: the agent calls it, and its tests play the gateway.
    compile(&out, "gateway", "referral/v1/service.proto", |builder| builder)?;
    const LOCAL: &str = "referral/local/v1/local.proto";
    compile(&out, "local", LOCAL, |builder| builder.skip_debug(["."]))?;
    // What reflection shows: without comments and places, of which an agent that runs would hold megabytes.
    let mut shown = protox::compile([LOCAL], FOLDERS)?;
    shown.file.iter_mut().for_each(|file| file.source_code_info = None);
    fs::write(out.join("local/descriptors.bin"), shown.encode_to_vec())?;
    Ok(())
}

fn compile(
    out: &std::path::Path,
    name: &str,
    file: &str,
    set: impl FnOnce(Builder) -> Builder,
) -> Result<(), Box<dyn Error>> {
    let folder = out.join(name);
    fs::create_dir_all(&folder)?;
    let builder = tonic_prost_build::configure().extern_path(".referral.v1", "::proto::wire").out_dir(folder);
    set(builder).compile_fds(protox::compile([file], FOLDERS)?)?;
    Ok(())
}
