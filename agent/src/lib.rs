//! The branch office: everything that an agency's agent is made of, IO around the rules. Not here:
//! the rules (`proto`), sealing (`seal`), the journal's files (`journal`), and the program's command
//! line (`main.rs`).

pub mod admission;
pub mod agreement_file;
pub mod agreement_stop;
pub mod alarm;
pub mod anew;
pub mod backup;
pub mod case;
pub mod certificate;
pub mod clock;
pub mod credential;
pub mod daemon;
#[cfg(unix)]
pub mod doctor;
pub mod document;
pub mod draft;
pub mod enrolment;
pub mod erasure;
#[cfg(unix)]
pub mod exchange;
pub mod folder;
pub mod follower;
pub mod keys;
pub mod link;
#[cfg(unix)]
pub mod local;
pub mod mapping;
pub mod network;
pub mod notices;
pub mod office;
pub mod opening;
pub mod proof;
pub mod put_off;
pub mod queue;
pub mod randomness;
pub mod renewal;
pub mod restored;
pub mod rotation;
pub mod routing;
#[cfg(unix)]
pub mod sandbox;
pub mod settings;
pub mod signed_file;
pub mod spool;
pub mod state;
pub mod store;
pub mod told;
pub mod traces;
pub mod withdrawal;
pub mod words;

/// The store's records (`agent/proto/agent/v1/store.proto`).
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    rustdoc::all,
    clippy::all,
    clippy::as_conversions,
    clippy::allow_attributes_without_reason,
    reason = "generated; the words are in the .proto file"
)]
pub mod records {
    include!(concat!(env!("OUT_DIR"), "/store/agent.v1.rs"));

    // Records have no `Debug`: what they hold may be a person's.
    impl std::fmt::Debug for AlarmKind {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.as_str_name())
        }
    }

    impl std::fmt::Debug for ErasedWhy {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.as_str_name())
        }
    }

    impl std::fmt::Debug for SettledReason {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str(self.as_str_name())
        }
    }
}

/// The local API (`proto/referral/local/v1/local.proto`).
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    rustdoc::all,
    clippy::all,
    clippy::pedantic,
    clippy::as_conversions,
    clippy::allow_attributes_without_reason,
    reason = "generated; the words are in the .proto file"
)]
pub mod api {
    include!(concat!(env!("OUT_DIR"), "/local/referral.local.v1.rs"));

    /// The definitions themselves, for whoever asks what is served.
    pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/local/descriptors.bin"));
}

/// The gateway's services (`proto/referral/v1/service.proto`), over the rules' messages.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    rustdoc::all,
    clippy::all,
    clippy::pedantic,
    clippy::as_conversions,
    clippy::allow_attributes_without_reason,
    reason = "generated; the words are in the .proto file"
)]
mod gateway {
    include!(concat!(env!("OUT_DIR"), "/gateway/referral.v1.rs"));
}
