//! Enrolment: on a listener of its own, whoever holds an invitation joins the network: its change goes
//! to the writer, and then it gets its certificate. Not here: whether an invitation may be used
//! (`proto::directory::invitation`), and who is on a connection afterwards (`peer`).

pub mod attempts;
pub mod door;

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime},
};

use arc_swap::ArcSwap;
use certs::{Authority, Holder, Identity, Issued, LEAF_LIFETIME, UnixTime};
use proto::{
    Malformed,
    caller::Caller,
    command::{Command, DirectoryCommand},
    digest::Digest,
    directory::{Directory, DirectoryObject, invitation::Invited},
    ids::{AgencyId, TimeMs},
    key::KeyId,
    refusal::Refusal,
    wire,
};
use rustls::ServerConfig;
use tokio::{net::TcpListener, task::spawn_blocking};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, transport::Server};

use self::{
    attempts::Attempts,
    door::{Address, EnrolmentDoor},
};
use crate::{
    clock,
    hub::Unavailable,
    service::{
        Gateway, answers,
        stubs::enrolment_server::{Enrolment, EnrolmentServer},
    },
    telemetry, writer,
};

/// Longest request: a certificate request of the largest key that is certified, a change, their frame.
pub const ENROL_BYTES_MAX: usize = 32 * 1024;
/// Most calls at the same time on one connection.
pub const CALLS_PER_CONNECTION_MAX: u32 = 2;
/// Longest list of headers of a call, in bytes.
pub const HEADERS_BYTES_MAX: u32 = 8 * 1024;
/// How much a connection may send ahead, all its calls together.
pub const WINDOW_BYTES: u32 = 64 * 1024;
/// Most certificates for one key: so often may an answer be lost.
pub const CERTIFICATES_OF_A_KEY_MAX: usize = 5;
/// How long what is under way has to end after the signal to stop.
const END_TIME_MAX: Duration = Duration::from_secs(5);

/// The service.
#[derive(Clone)]
pub struct EnrolmentService(Arc<Shared>);

struct Shared {
    gateway: Arc<Gateway>,
    attempts: Attempts,
    issuing: Issuing,
    vkeys: LogVkeys,
}

/// Both logs' keys, as C2SP verifier keys.
#[derive(Debug, Clone)]
pub struct LogVkeys {
    /// The evidence log's.
    pub evidence: String,
    /// The directory log's.
    pub directory: String,
}

/// Serves enrolment until `stop`.
pub async fn serve(
    listener: TcpListener,
    (gateway, tls): (Arc<Gateway>, Arc<ArcSwap<ServerConfig>>),
    authority: PathBuf,
    vkeys: LogVkeys,
    stop: CancellationToken,
) {
    let door = EnrolmentDoor { tls, metrics: Arc::clone(&gateway.metrics) };
    let issuing = Issuing { authority, one_at_a_time: Mutex::default() };
    let shared = Shared { gateway, attempts: Attempts::default(), issuing, vkeys };
    let service = EnrolmentServer::new(EnrolmentService(Arc::new(shared)));
    let incoming = ReceiverStream::new(door.open(listener, stop.clone()));
    let serving = server()
        .add_service(service.max_decoding_message_size(ENROL_BYTES_MAX))
        .serve_with_incoming_shutdown(incoming, stop.clone().cancelled_owned());
    let ended = async {
        stop.cancelled().await;
        tokio::time::sleep(END_TIME_MAX).await;
    };
    tokio::select! {
        served = serving => if let Err(error) = served {
            tracing::error!(%error, "enrolment is not served any more");
        },
        () = ended => {}
    }
}

/// A server with the limits of enrolment.
fn server() -> Server {
    Server::builder()
        .trace_fn(telemetry::call_span)
        .max_concurrent_streams(CALLS_PER_CONNECTION_MAX)
        .http2_max_header_list_size(HEADERS_BYTES_MAX)
        .http2_max_pending_accept_reset_streams(Some(crate::serve::RESETS_PENDING_MAX))
        .http2_max_local_error_reset_streams(Some(crate::serve::RESETS_OF_ERRORS_MAX))
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
}

#[tonic::async_trait]
impl Enrolment for EnrolmentService {
    async fn enrol(
        &self,
        request: Request<wire::EnrolRequest>,
    ) -> Result<Response<wire::EnrolAnswer>, Status> {
        let metrics = &self.0.gateway.metrics;
        let address = request.extensions().get::<Address>().copied();
        let address = address.ok_or_else(|| Status::unauthenticated("no connection"))?;
        if !self.0.attempts.take(address.0, Instant::now()) {
            metrics.turned_away.inc();
            return Err(answers::too_much("TOO_MANY_ATTEMPTS"));
        }
        match self.enrolled(request.into_inner()).await {
            Ok(answer) => {
                metrics.enrolments.inc();
                Ok(Response::new(answer))
            }
            Err(status) => {
                metrics.enrolments_refused.inc();
                Err(status)
            }
        }
    }
}

impl EnrolmentService {
    async fn enrolled(&self, request: wire::EnrolRequest) -> Result<wire::EnrolAnswer, Status> {
        let gateway = &self.0.gateway;
        // 1. All that is costly, whether there is such an invitation or not.
        let asked = Asked::parse(request, &gateway.hub.directory()).map_err(answers::malformed)?;
        // 2. Whoever has not proven an invitation learns nothing, not even whether the agency exists.
        let proven = asked.proven(&gateway.hub.directory());
        let request = proven.ok_or_else(|| answers::unrecorded(Refusal::NotInvited, ""))?;
        // 3. The change, durable first; a repeat has the first one's answer.
        let answer = gateway.hub.ask(request).map_err(answers::unavailable_status)?;
        let answer = answer.await.map_err(|_| answers::unavailable_status(Unavailable::Ending))?;
        match answers::outcome(answer) {
            answers::Outcome::Taken(..) => {}
            answers::Outcome::Refused(answer, refusal) => {
                return Err(answers::refusal_status(refusal, &answer));
            }
            answers::Outcome::Fault(fault) => return Err(answers::fault_status(&fault)),
        }
        // 4. The certificate, while the invitation lasts and nothing was withdrawn meanwhile.
        let standing = asked.may_be_certified(&gateway.hub.directory(), clock::now());
        standing.map_err(|refusal| answers::unrecorded(refusal, ""))?;
        let shared = Arc::clone(&self.0);
        let issued = spawn_blocking(move || shared.issuing.issue(&asked.identity, &asked.certificate)).await;
        match issued.unwrap_or(Err(NotIssued::Fault)) {
            Ok(certificate_chain) => Ok(wire::EnrolAnswer {
                certificate_chain,
                evidence_vkey: self.0.vkeys.evidence.clone(),
                directory_vkey: self.0.vkeys.directory.clone(),
            }),
            Err(NotIssued::Refused(refusal)) => Err(answers::unrecorded(refusal, "")),
            Err(NotIssued::Fault) => Err(Status::internal(
                "the agency is admitted, but no certificate could be issued; the gateway's operators can see why",
            )),
        }
    }
}

/// A request that is of its form and whose signatures hold, whoever made it.
struct Asked {
    agency: AgencyId,
    invited: Invited,
    /// The agency's new key.
    signing: KeyId,
    command: Box<DirectoryCommand>,
    identity: Identity,
    certificate: certs::Request,
}

impl Asked {
    fn parse(request: wire::EnrolRequest, directory: &Directory) -> Result<Self, Malformed> {
        let certificate = certs::Request::from_der(&request.certificate_request)
            .map_err(|_| Malformed::Form { field: "certificate_request" })?;
        let object = request.key.ok_or(Malformed::Missing { field: "key" })?;
        let Command::Directory(command) = Command::verify(object, directory)? else {
            return Err(Malformed::Form { field: "key" });
        };
        let (agency, invited, signing) = used(&command.object).ok_or(Malformed::Form { field: "key" })?;
        if invited.certificate_key.as_bytes() != certificate.key_digest().as_bytes() {
            return Err(Malformed::Mismatch { field: "certificate_request" });
        }
        let field = |field| move |_| Malformed::Form { field };
        let identity = Identity::Agency {
            agency: agency.as_str().parse().map_err(field("agency"))?,
            node: request.node.parse().map_err(field("node"))?,
        };
        Ok(Self { agency, invited, signing, command, identity, certificate })
    }

    /// The request to the writer, if the change was signed with the key of an invitation of its agency.
    fn proven(&self, directory: &Directory) -> Option<writer::Request> {
        let invitation = directory.invitation(&self.agency, &self.invited.invitation)?;
        if !self.command.signed.signers().contains(&invitation.invite.id()) {
            return None;
        }
        let invitation = Digest::of(&self.invited.invitation.to_bytes());
        let caller = Caller::Invited { agency: self.agency.clone(), invitation };
        let command = Command::Directory(self.command.clone());
        Some(writer::Request { caller, command, parts: Vec::new() })
    }

    /// The change may have been made days ago: its repeat is answered, but nothing is certified any more
    /// that was stopped since.
    fn may_be_certified(&self, directory: &Directory, now: TimeMs) -> Result<(), Refusal> {
        let invitation = directory.invitation(&self.agency, &self.invited.invitation);
        if invitation.is_none_or(|invitation| now >= invitation.invite.expires_at) {
            return Err(Refusal::InvitationExpired);
        }
        if directory.is_suspended(&self.agency, now) {
            return Err(Refusal::SenderSuspended);
        }
        let keys = directory.agency(&self.agency).map_or(&[][..], |agency| &agency.keys);
        let stands = keys.iter().any(|key| key.id == self.signing && key.revoked_at.is_none());
        if stands { Ok(()) } else { Err(Refusal::SigningKeyNotInForce) }
    }
}

/// The agency, the invitation and the new key of a change that uses one.
fn used(object: &DirectoryObject) -> Option<(AgencyId, Invited, KeyId)> {
    let DirectoryObject::Change(change) = object else {
        return None;
    };
    let (agency, invited, signing) = change.body.invited()?;
    Some((agency.clone(), *invited, signing))
}

/// Issues certificates with the authority that lies beside the gateway.
struct Issuing {
    authority: PathBuf,
    /// So that two repeats of one request see each other in the ledger.
    one_at_a_time: Mutex<()>,
}

enum NotIssued {
    Refused(Refusal),
    Fault,
}

impl Issuing {
    fn issue(&self, identity: &Identity, request: &certs::Request) -> Result<String, NotIssued> {
        let _alone = self.one_at_a_time.lock().unwrap_or_else(PoisonError::into_inner);
        let issued = self.try_issue(identity, request);
        issued.map_err(|error| {
            tracing::error!(%error, "a certificate could not be issued to whoever was invited");
            NotIssued::Fault
        })?
    }

    fn try_issue(
        &self,
        identity: &Identity,
        request: &certs::Request,
    ) -> Result<Result<String, NotIssued>, certs::Error> {
        let mut authority = Authority::open(&self.authority)?;
        let holder = Holder::Leaf(identity.clone());
        let mut before = 0;
        for issued in authority.issued().filter(|issued| issued.key_digest == request.key_digest()) {
            before += 1;
            if !is_repeatable(issued, &holder) {
                return Ok(Err(NotIssued::Refused(Refusal::InvitationUsed)));
            }
        }
        if before >= CERTIFICATES_OF_A_KEY_MAX {
            return Ok(Err(NotIssued::Refused(Refusal::InvitationUsed)));
        }
        let chain = authority.issue(identity, request, LEAF_LIFETIME, UnixTime::of(SystemTime::now())?)?;
        Ok(Ok(chain.to_pem()))
    }
}

/// Whether what was issued for a key may be issued again: what was revoked stays so.
fn is_repeatable(issued: &Issued, holder: &Holder) -> bool {
    issued.revocation.is_none() && issued.holder == *holder
}

#[cfg(test)]
mod tests {
    use certs::{Key, Plan, Reason, Which};

    use super::*;

    #[test]
    fn a_key_is_certified_again_for_the_same_name_so_often_and_never_when_revoked() {
        let folder = tempfile::tempdir().unwrap();
        let now = UnixTime::of(SystemTime::now()).unwrap();
        let path = folder.path().join("authority");
        let plan = Plan::sandbox("sandbox.example".parse().unwrap());
        let mut authority = Authority::init(&path, &plan, now).unwrap();
        let issuing = Issuing { authority: path, one_at_a_time: Mutex::default() };
        let identity: Identity = "agency/ae.dfwac/main".parse().unwrap();
        let request = || Key::generate().unwrap().request().unwrap();
        let is_used = |issued| matches!(issued, Err(NotIssued::Refused(Refusal::InvitationUsed)));

        let one = request();
        for _ in 0..CERTIFICATES_OF_A_KEY_MAX {
            assert!(issuing.issue(&identity, &one).is_ok());
        }
        assert!(is_used(issuing.issue(&identity, &one)), "so often and no more");
        let other = "agency/ae.dfwac/spare".parse().unwrap();
        let two = request();
        assert!(issuing.issue(&identity, &two).is_ok());
        assert!(is_used(issuing.issue(&other, &two)), "for another name");
        let three = request();
        let chain = issuing.issue(&identity, &three).ok().unwrap();
        let chain = certs::Certificate::read_chain(chain.as_bytes()).unwrap();
        authority.revoke(&Which::Fingerprint(chain[0].fingerprint), Reason::Unspecified, now).unwrap();
        assert!(is_used(issuing.issue(&identity, &three)), "what was revoked stays so");
        std::fs::remove_dir_all(&issuing.authority).unwrap();
        assert!(matches!(issuing.issue(&identity, &request()), Err(NotIssued::Fault)));
    }
}
