//! How a command ends, as scripts see it. Not here: what it says.

use std::process::ExitCode;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was done.
    Done,
    /// It could not be done.
    Fault,
    /// It was used wrongly.
    Usage,
    /// The rules, or the gateway, refuse it.
    Refused,
    /// The agent or the gateway does not answer, or not in time.
    NotReached,
}

impl From<Outcome> for ExitCode {
    fn from(outcome: Outcome) -> Self {
        Self::from(match outcome {
            Outcome::Done => 0,
            Outcome::Fault => 1,
            Outcome::Usage => 2,
            Outcome::Refused => 3,
            Outcome::NotReached => 4,
        })
    }
}

/// Why a command did not do what it should.
#[derive(Debug)]
pub(crate) struct Trouble {
    pub(crate) outcome: Outcome,
    pub(crate) says: String,
}

impl Trouble {
    pub(crate) fn fault(says: impl Into<String>) -> Self {
        Self { outcome: Outcome::Fault, says: says.into() }
    }

    pub(crate) fn usage(says: impl Into<String>) -> Self {
        Self { outcome: Outcome::Usage, says: says.into() }
    }

    pub(crate) fn not_reached(says: impl Into<String>) -> Self {
        Self { outcome: Outcome::NotReached, says: says.into() }
    }

    pub(crate) fn of(error: &impl std::fmt::Display) -> Self {
        Self::fault(error.to_string())
    }
}

/// What the agent answers when it cannot do something.
impl From<tonic::Status> for Trouble {
    fn from(status: tonic::Status) -> Self {
        use tonic::Code;
        let code = status.code();
        let outcome = if matches!(code, Code::InvalidArgument | Code::NotFound) {
            Outcome::Usage
        } else if matches!(code, Code::Unavailable | Code::DeadlineExceeded | Code::Cancelled) {
            Outcome::NotReached
        } else {
            Outcome::Fault
        };
        Self { outcome, says: status.message().to_owned() }
    }
}
