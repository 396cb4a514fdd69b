//! The branch office: everything that an agency's agent is made of, IO around the rules. Not here:
//! the rules (`proto`), sealing (`seal`), the journal's files (`journal`), and the program's command
//! line (`main.rs`).

pub mod admission;
pub mod certificate;
pub mod folder;
pub mod keys;
pub mod network;
pub mod randomness;
pub mod settings;
pub mod signed_file;
