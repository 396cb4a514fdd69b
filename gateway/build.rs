//! Generates the services' stubs; their messages are `proto`'s.

use std::error::Error;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=../proto/proto");
    let descriptors =
        protox::compile(["referral/v1/service.proto", "referral/v1/operations.proto"], ["../proto/proto"])?;
    tonic_prost_build::configure()
        .extern_path(".referral.v1", "::proto::wire")
        .codec_path("crate::service::codec::TypedCodec")
        .compile_fds(descriptors)?;
    Ok(())
}
