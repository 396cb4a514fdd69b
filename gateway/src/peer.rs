//! Who is connected: certificates become callers here and nowhere else, connections are taken within
//! limits, and cut when their certificate is revoked or runs out. Not here: what a caller may do
//! (`proto::decide`).

pub mod accept;
pub mod allowance;
pub mod certificate;
pub mod connections;
pub mod handshakes;
pub mod tls;

pub use accept::PeerStream;
pub use certificate::Peer;
