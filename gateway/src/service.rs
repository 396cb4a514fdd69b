//! The gRPC services: limits, parsing and signatures on the way in, answers on the way out. They
//! decide nothing; whoever calls is known from the connection alone. Not here: TLS (`peer`), the
//! writer (`hub`).

pub mod answers;
pub mod certificates;
pub mod codec;
pub mod directory;
pub mod evidence;
pub mod intake;
pub mod log;
pub mod operations;
pub mod parts;
pub mod push;
pub mod receive;
pub mod witness;

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use futures::Stream;
use proto::{
    Malformed,
    caller::Caller,
    command::{Command, Denial},
    digest::Digest,
    ids::AgencyId,
    refusal::Refusal,
};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Status};

use crate::{
    alerts::Alerting,
    hub::{Hub, Unavailable, desk::StreamNo, mail::MailReader},
    metrics::Metrics,
    operations::Board,
    parts::PartStore,
    peer::Peer,
    published::Published,
    restoring::Restoring,
    telemetry::Trails,
    writer,
};

/// The service definitions' stubs.
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::as_conversions,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    clippy::wildcard_enum_match_arm,
    reason = "generated"
)]
pub mod stubs {
    tonic::include_proto!("referral.v1");
}

/// Longest message of a push: the inline parts' limit, the header, and what frames them.
pub const PUSH_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Longest message of any other call.
pub const CALL_BYTES_MAX: usize = 256 * 1024;

/// What all services share.
pub struct Gateway {
    /// The way to the writer.
    pub hub: Hub,
    /// Reads mail out of the journal.
    pub mail: MailReader,
    /// The published logs.
    pub published: Published,
    /// Attachments.
    pub parts: PartStore,
    /// What each caller has taken of the services.
    pub intake: Arc<intake::Intake>,
    /// What operations look at.
    pub board: Board,
    /// What is wrong, and whom it is told.
    pub alerts: Alerting,
    /// Whether it was put back from a backup and waits for its witnesses.
    pub restoring: Restoring,
    /// Counted here.
    pub metrics: Arc<Metrics>,
    /// Cancelled when the gateway ends: streams then answer what they have taken, and close.
    pub stop: CancellationToken,
    /// Traces that go on from a push to its delivery.
    pub trails: Trails,
    /// Numbers streams of deliveries.
    pub streams: AtomicU64,
}

impl Gateway {
    fn next_stream(&self) -> StreamNo {
        StreamNo(self.streams.fetch_add(1, Ordering::Relaxed))
    }
}

/// A stream of answers.
pub type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

/// Who calls, by the connection's certificate.
fn caller<T>(request: &Request<T>) -> Result<Caller, Status> {
    let peer = request.extensions().get::<Arc<Peer>>();
    let peer = peer.ok_or_else(|| Status::unauthenticated("no certificate"))?;
    Ok(peer.caller.clone())
}

/// The agency that calls; staff have no mailbox.
fn agency<T>(request: &Request<T>) -> Result<AgencyId, Status> {
    let caller = caller(request)?;
    caller.agency().cloned().ok_or_else(|| answers::unrecorded(Refusal::RoleNotAllowed, ""))
}

/// Bytes that were not what they claimed to be, from someone who is known: evidence, not a mere error.
fn denial(caller: Caller, malformed: Malformed, bytes: &[u8]) -> writer::Request {
    let digest = (!bytes.is_empty()).then(|| Digest::of(bytes));
    let denial = Denial { refusal: Refusal::MalformedBytes, field: malformed.field(), digest };
    writer::Request { caller, command: Command::Denial(denial), parts: Vec::new() }
}

/// Has a refusal that a service gave by itself recorded, and answers with the receipt. What is no such
/// refusal stays as it is.
pub(crate) async fn record(gateway: &Gateway, caller: &Caller, status: Status) -> Status {
    let Some(undecided) = answers::undecided(&status) else {
        return status;
    };
    if undecided.refusal == Refusal::MalformedBytes {
        gateway.metrics.malformed.inc();
    }
    let answers::Undecided { refusal, field, digest } = undecided;
    let command = Command::Denial(Denial { refusal, field, digest });
    let request = writer::Request { caller: caller.clone(), command, parts: Vec::new() };
    let answer = match gateway.hub.ask(request) {
        Ok(answer) => answer.await.map_err(|_| Unavailable::Ending),
        Err(unavailable) => Err(unavailable),
    };
    match answer.map(answers::outcome) {
        Ok(answers::Outcome::Refused(answer, refusal)) => answers::refusal_status(refusal, &answer),
        Ok(answers::Outcome::Fault(fault)) => answers::fault_status(&fault),
        // A denial is never taken.
        Ok(answers::Outcome::Taken(..)) => status,
        Err(unavailable) => answers::unavailable_status(unavailable),
    }
}
