//! The one place where answers become messages and gRPC statuses. Not here: what is answered.

use std::{error::Error as _, sync::Arc};

use prost::Message as _;
use proto::{
    Malformed,
    digest::Digest,
    lifecycle::Act,
    receipt::Receipt,
    refusal::{Class, Refusal},
    wire,
};
use thiserror::Error;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use crate::{
    hub::Unavailable,
    restoring,
    writer::answer::{Answer, Busy},
};

/// How long a caller should wait when the queue or a batch is full.
pub const RETRY_SOON_MS: u64 = 100;
/// How long a caller should wait when the disk has no room, or the index is being built.
pub const RETRY_LATER_MS: u64 = 5_000;
/// The header in which a status carries the encoded `RefusalAnswer`.
pub const REFUSAL_HEADER: &str = "referral-refusal-bin";
/// The code of what is not taken before a planned stop.
pub const DRAINING: &str = "DRAINING";
/// Who speaks, in `google.rpc.ErrorInfo`.
const DOMAIN: &str = "referral.v1";

/// What became of a command.
pub enum Outcome {
    /// Done, with the receipts of what it caused.
    Taken(Vec<Receipt>, Vec<(Digest, Refusal)>),
    /// A rule is broken.
    Refused(Box<wire::RefusalAnswer>, Refusal),
    /// Not decided.
    Fault(wire::Fault),
}

/// Makes an outcome of the writer's answer.
#[must_use]
pub fn outcome(answer: Answer) -> Outcome {
    match answer {
        Answer::Taken { receipts, not_taken } => Outcome::Taken(receipts, not_taken),
        Answer::Refused { refusal, field, legal_acts, receipt } => Outcome::Refused(
            Box::new(refusal_answer(refusal, field, &legal_acts, receipt.as_deref())),
            refusal,
        ),
        Answer::Busy(busy) => Outcome::Fault(fault(busy)),
        Answer::Nothing => {
            Outcome::Fault(wire::Fault { code: "NOTHING_TO_DO".to_owned(), retry_after_ms: 0 })
        }
    }
}

fn fault(busy: Busy) -> wire::Fault {
    let (code, retry_after_ms) = match busy {
        Busy::Disk => ("DISK_FULL", RETRY_LATER_MS),
        Busy::BatchFull => ("BATCH_FULL", RETRY_SOON_MS),
        Busy::Indexing => ("INDEXING", RETRY_LATER_MS),
        Busy::Restoring => (restoring::CODE, RETRY_LATER_MS),
        Busy::Draining => (DRAINING, RETRY_LATER_MS),
    };
    wire::Fault { code: code.to_owned(), retry_after_ms }
}

/// The message of a refusal, in both languages.
#[must_use]
pub fn refusal_answer(
    refusal: Refusal,
    field: &str,
    legal_acts: &[Act],
    receipt: Option<&Receipt>,
) -> wire::RefusalAnswer {
    wire::RefusalAnswer {
        code: refusal.name().to_owned(),
        number: refusal.number(),
        field: field.to_owned(),
        text_en: refusal.text_en().to_owned(),
        text_ar: refusal.text_ar().to_owned(),
        receipt: receipt.map(Receipt::to_wire),
        legal_acts: legal_acts.iter().map(|act| act.number()).collect(),
        mechanism: Vec::new(),
    }
}

/// The fault of a queue that is full, or of a gateway that is ending.
#[must_use]
pub fn unavailable_fault(unavailable: Unavailable) -> wire::Fault {
    let (code, retry_after_ms) = match unavailable {
        Unavailable::Full => ("QUEUE_FULL", RETRY_SOON_MS),
        Unavailable::Ending => ("ENDING", RETRY_LATER_MS),
    };
    wire::Fault { code: code.to_owned(), retry_after_ms }
}

/// As a status, for calls that have one answer.
#[must_use]
pub fn unavailable_status(unavailable: Unavailable) -> Status {
    fault_status(&unavailable_fault(unavailable))
}

/// A fault as a status that says when to come back.
#[must_use]
pub fn fault_status(fault: &wire::Fault) -> Status {
    let code = match fault.code.as_str() {
        "ENDING" | "INDEXING" | DRAINING | restoring::CODE => Code::Unavailable,
        "NOTHING_TO_DO" => Code::FailedPrecondition,
        "UNDER_WAY" => Code::Aborted,
        _ => Code::ResourceExhausted,
    };
    let mut details = ErrorDetails::with_error_info(&fault.code, DOMAIN, std::collections::HashMap::new());
    details.set_retry_info(Some(std::time::Duration::from_millis(fault.retry_after_ms)));
    let text = match fault.code.as_str() {
        restoring::CODE => {
            "the gateway was put back from a backup and asks its witnesses first; it is tried again by itself | \
             أُعيدت البوابة من نسخة احتياطية وتسأل شهودها أولاً؛ تُعاد المحاولة تلقائياً"
        }
        DRAINING => {
            "the gateway takes no new work before a planned stop; it is tried again by itself | \
             لا تستلم البوابة جديدًا قبل توقف مقرر؛ تُعاد المحاولة تلقائيًا"
        }
        _ => "try again later, with the same bytes",
    };
    Status::with_error_details(code, text, details)
}

/// The fault of a caller that takes more than its share.
#[must_use]
pub fn too_much(code: &str) -> Status {
    fault_status(&wire::Fault { code: code.to_owned(), retry_after_ms: RETRY_SOON_MS })
}

/// A refusal as a status: `ErrorInfo` with the stable code, `BadRequest` with the field, and the whole
/// `RefusalAnswer` in the trailer [`REFUSAL_HEADER`].
#[must_use]
pub fn refusal_status(refusal: Refusal, answer: &wire::RefusalAnswer) -> Status {
    let code = match refusal.class() {
        Class::Invalid => Code::InvalidArgument,
        Class::Denied => Code::PermissionDenied,
        Class::Precondition => Code::FailedPrecondition,
        Class::NotFound => Code::NotFound,
        Class::Exists => Code::AlreadyExists,
        Class::Exhausted => Code::ResourceExhausted,
    };
    let metadata = [("text_ar".to_owned(), refusal.text_ar().to_owned())];
    let mut details = ErrorDetails::with_error_info(refusal.name(), DOMAIN, metadata);
    if !answer.field.is_empty() {
        details.add_bad_request_violation(&answer.field, refusal.text_en());
    }
    let mut status = Status::with_error_details(code, refusal.text_en(), details);
    let value = tonic::metadata::MetadataValue::from_bytes(&answer.encode_to_vec());
    status.metadata_mut().insert_bin(REFUSAL_HEADER, value);
    status
}

/// A refusal that a service gives by itself. The writer has not seen it, so it is no evidence yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("{refusal}")]
pub struct Undecided {
    /// Why.
    pub refusal: Refusal,
    /// Which field.
    pub field: &'static str,
    /// SHA-256 of the refused bytes.
    pub digest: Option<Digest>,
}

/// A refusal that is no evidence yet, as a status. Whoever sends it to the caller has it recorded
/// before (`service::record`).
#[must_use]
pub fn undecided_status(undecided: Undecided) -> Status {
    let Undecided { refusal, field, .. } = undecided;
    let mut status = refusal_status(refusal, &refusal_answer(refusal, field, &[], None));
    status.set_source(Arc::new(undecided));
    status
}

/// As [`undecided_status`], for a field, and without bytes that could be named.
#[must_use]
pub fn unrecorded(refusal: Refusal, field: &'static str) -> Status {
    undecided_status(Undecided { refusal, field, digest: None })
}

/// Bytes of a call that are not what they claim to be. No evidence yet, as [`undecided_status`].
#[must_use]
pub fn malformed_status(malformed: Malformed, digest: Option<Digest>) -> Status {
    undecided_status(Undecided { refusal: Refusal::MalformedBytes, field: malformed.field(), digest })
}

/// As [`malformed_status`], when what is malformed is no object that could be named.
#[must_use]
pub fn malformed(malformed: Malformed) -> Status {
    malformed_status(malformed, None)
}

/// What is to be recorded of a status, if anything.
#[must_use]
pub fn undecided(status: &Status) -> Option<Undecided> {
    let mut source = status.source();
    while let Some(error) = source {
        if let Some(undecided) = error.downcast_ref::<Undecided>() {
            return Some(*undecided);
        }
        source = error.source();
    }
    None
}

/// Whether a status tells of a refusal that is no evidence yet.
#[must_use]
pub fn is_undecided(status: &Status) -> bool {
    undecided(status).is_some()
}

/// A fault of ours. What it is stands in the log.
#[must_use]
pub fn internal(fault: &crate::fault::Fault) -> Status {
    tracing::error!(%fault, "a call failed");
    Status::internal("the gateway could not do this; its operators can see why")
}
