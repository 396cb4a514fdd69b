//! Enrolment: joining a network with nothing but an invitation. Keys are made here and stay here; what
//! was begun is gone on with when the same invitation comes again. Not here: joining by files
//! (`admission`), and the text of an invitation (`proto::invitation`).

mod pinned;

use std::{path::Path, time::Duration};

use proto::{
    Malformed,
    directory::{Directory, KeyPurpose, PublicKeyOf},
    ids::{AgencyId, Code, TimeMs},
    invitation::Invitation,
    wire,
};
use rustls::pki_types::{CertificateDer, CertificateSigningRequestDer, UnixTime, pem::PemObject as _};
use thiserror::Error;
use tokio::time::{Instant, sleep};
use tonic::{Code as Answer, Request, Status, transport::Channel};

use crate::{
    admission::{Admission, AdmissionFault},
    certificate::{Chain, ChainFault},
    daemon::{Files, RunFault},
    folder::{Folder, FolderFault, Name},
    gateway::{directory_client::DirectoryClient, enrolment_client::EnrolmentClient},
    keys::{Keys, KeysFault},
    link::{
        Broken,
        connection::NotConnected,
        directory,
        proxy::{NotThrough, Proxy},
    },
    network::{Network, NetworkFault},
    settings::Settings,
    store::{self, StoreFault},
};
use pinned::Pinned;

/// How long the gateway may take to answer a call.
const CALL_TIME_MAX: Duration = Duration::from_secs(30);
/// How long the agency's keys may take to stand in the published directory.
const SHOWN_TIME_MAX: Duration = Duration::from_secs(30);
/// How often it is looked whether they do.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The trailer in which a status carries the encoded `RefusalAnswer`.
const REFUSAL_TRAILER: &str = "referral-refusal-bin";

/// Why an agency did not join. Each says what to do next.
#[derive(Debug, Error)]
pub enum NotEnrolled {
    /// The text is no invitation, or was not copied right. Nothing of it is repeated.
    #[error(
        "this is no invitation, or not all of it: copy it again from `invitation1:` to its end, or save it as \
         a file ({0})"
    )]
    NotAnInvitation(Malformed),
    /// Its time is over, by this machine's clock.
    #[error(
        "the invitation has expired; if this machine's clock is right, ask the administrators for another"
    )]
    Expired,
    /// The folder is another agent's.
    #[error("{0} holds an agent that did not begin with this invitation; choose another folder with -C")]
    OtherAgent(String),
    /// The folder.
    #[error(transparent)]
    Folder(#[from] FolderFault),
    /// The keys.
    #[error(transparent)]
    Keys(#[from] KeysFault),
    /// What is asked for could not be made.
    #[error(transparent)]
    Admission(#[from] AdmissionFault),
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The agent's files.
    #[error(transparent)]
    Files(#[from] Box<RunFault>),
    /// Nobody answers where the invitation says.
    #[error(
        "{address} cannot be reached ({why}); check the network and its firewall, then run the same again"
    )]
    Unreachable {
        /// Where.
        address: String,
        /// What the operating system said.
        why: String,
    },
    /// Something else than the network's gateway answers.
    #[error(
        "what answers at {0} is not this network's gateway: its certificate does not lead to the root that the \
         invitation names. Most likely a firewall or proxy inspects TLS on the way: ask your IT to let this \
         address through unopened. Nothing was sent"
    )]
    OtherRoot(String),
    /// The handshake failed for another reason.
    #[error(
        "the handshake with {address} failed: {why}; check this machine's clock, and whether a proxy inspects TLS \
         on the way"
    )]
    Handshake {
        /// Where.
        address: String,
        /// Why.
        why: String,
    },
    /// The gateway refuses.
    #[error("{code}: {text_en}\n{text_ar}")]
    Refused {
        /// The stable code.
        code: String,
        /// The stable number.
        number: u32,
        /// The field that it is about; empty when that would tell too much.
        field: String,
        /// What to do next, in English.
        text_en: String,
        /// The same in Arabic.
        text_ar: String,
    },
    /// The gateway could not do it now.
    #[error("the gateway could not answer ({0}); run the same again in a minute")]
    NotNow(String),
    /// What was given is no proxy.
    #[error("--proxy must be like http://proxy.example:3128, or http://user:password@proxy.example:3128")]
    NoProxy,
    /// There is no way through the proxy.
    #[error(transparent)]
    NotThrough(#[from] NotThrough),
    /// The gateway's logs are not those of the invitation.
    #[error("the gateway is of another network than the invitation; call the administrators")]
    OtherNetwork,
    /// The network's parts in the invitation do not make one.
    #[error(transparent)]
    Network(#[from] NetworkFault),
    /// The certificate cannot be used.
    #[error(transparent)]
    Chain(#[from] ChainFault),
    /// The agency is admitted, but the connection with its new certificate failed.
    #[error("the agency has joined, but cannot connect yet: {0}; run the same again")]
    NotConnected(#[from] NotConnected),
    /// The agency is admitted, but its directory cannot be followed.
    #[error("the agency has joined, but the directory cannot be followed: {0}")]
    Broken(#[from] Broken),
    /// The agency's keys do not stand in the log.
    #[error("the agency's keys do not stand in the directory's log yet; run the same again in a minute")]
    NotShown,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enrolled {
    /// The agency.
    pub agency: AgencyId,
    /// When the certificate ends: Unix seconds.
    pub certificate_ends_at_unix_s: u64,
    /// When the agency's signing key is in force.
    pub in_force_at: TimeMs,
    /// Keys of the agency that stand in the directory and are not this agent's: lost ones, which an
    /// administrator has to revoke.
    pub older_keys: Vec<String>,
}

/// Reads the text of an invitation.
///
/// # Errors
/// [`NotEnrolled::NotAnInvitation`].
pub fn read(text: &str) -> Result<Invitation, NotEnrolled> {
    Invitation::parse(text).map_err(NotEnrolled::NotAnInvitation)
}

/// Joins a network. Asked again with the same invitation and folder it goes on where it was; when it was
/// at the end it only checks.
///
/// # Errors
/// [`NotEnrolled`].
pub async fn enrol(
    root: &Path,
    invitation: &Invitation,
    node: &Code,
    proxy: Option<&str>,
    now: TimeMs,
) -> Result<Enrolled, NotEnrolled> {
    let begun = begin(root, invitation, node, proxy, now)?;
    if !begun.folder.path(Name::Chain).exists() {
        certify(&begun, invitation, now).await?;
    }
    check(root, &begun, &invitation.invite.agency).await
}

/// A folder with keys and what they sign. Nothing of it depends on the gateway.
struct Begun {
    folder: Folder,
    keys: Keys,
    admission: Admission,
}

fn begin(
    root: &Path,
    invitation: &Invitation,
    node: &Code,
    proxy: Option<&str>,
    now: TimeMs,
) -> Result<Begun, NotEnrolled> {
    if proxy.is_some_and(|proxy| Proxy::parse(proxy).is_none()) {
        return Err(NotEnrolled::NoProxy);
    }
    if root.join(Name::Admission.path()).exists() {
        return go_on(root, invitation, node, proxy);
    }
    if now >= invitation.invite.expires_at {
        return Err(NotEnrolled::Expired);
    }
    let folder = Folder::create(root)?;
    let keys = Keys::create(&folder)?;
    let admission = Admission::invited(invitation, node, &keys, now)?;
    folder.write(Name::Settings, Settings::file(&invitation.invite.agency, node).as_bytes())?;
    name_proxy(&folder, proxy)?;
    store::create(&folder.store())?;
    // The last: with it the folder is whole, and the same is sent from now on.
    folder.write(Name::Admission, admission.to_json()?.as_bytes())?;
    Ok(Begun { folder, keys, admission })
}

/// Writes the proxy into the settings, when one was given.
fn name_proxy(folder: &Folder, proxy: Option<&str>) -> Result<(), NotEnrolled> {
    let Some(proxy) = proxy else {
        return Ok(());
    };
    let text = String::from_utf8(folder.read(Name::Settings)?).unwrap_or_default();
    Ok(folder.write(Name::Settings, Settings::with_proxy(&text, proxy).as_bytes())?)
}

/// The proxy that the settings name.
fn proxy_of(folder: &Folder) -> Result<Option<Proxy>, NotEnrolled> {
    let text = String::from_utf8(folder.read(Name::Settings)?).unwrap_or_default();
    let settings = Settings::parse(&text).map_err(RunFault::Settings).map_err(Box::new)?;
    Ok(settings.proxy)
}

fn go_on(
    root: &Path,
    invitation: &Invitation,
    node: &Code,
    proxy: Option<&str>,
) -> Result<Begun, NotEnrolled> {
    let other = || NotEnrolled::OtherAgent(root.display().to_string());
    let folder = Folder::open(root)?;
    let admission: Admission = serde_json::from_slice(&folder.read(Name::Admission)?).map_err(|_| other())?;
    let is_same = admission.node == node.as_str() && admission.uses(&invitation.invite.key);
    if !is_same {
        return Err(other());
    }
    name_proxy(&folder, proxy)?;
    Ok(Begun { keys: Keys::load(&folder)?, folder, admission })
}

/// Sends the change and the certificate request, and puts the network and the certificate in place.
async fn certify(begun: &Begun, invitation: &Invitation, now: TimeMs) -> Result<(), NotEnrolled> {
    if now >= invitation.invite.expires_at {
        return Err(NotEnrolled::Expired);
    }
    let Begun { folder, keys, admission } = begun;
    let csr = CertificateSigningRequestDer::from_pem_slice(admission.csr.as_bytes());
    let mut request = Request::new(wire::EnrolRequest {
        node: admission.node.clone(),
        certificate_request: csr.map_err(|_| AdmissionFault::Request)?.to_vec(),
        key: Some(wire::SignedObject::try_from(&admission.admit).map_err(|_| AdmissionFault::Request)?),
    });
    request.set_timeout(CALL_TIME_MAX);
    let (channel, root) = Pinned::new(invitation, proxy_of(folder)?)?.connect().await?;
    let answer = EnrolmentClient::new(channel).enrol(request).await.map_err(refused)?.into_inner();
    let is_same = answer.evidence_vkey == invitation.evidence_log.to_string()
        && answer.directory_vkey == invitation.directory_log.to_string();
    if !is_same {
        return Err(NotEnrolled::OtherNetwork);
    }
    let text = network_file(invitation, &root)?;
    let network = Network::parse(&text)?;
    let node = Code::parse(&admission.node, "node").map_err(|_| ChainFault::OtherName)?;
    let me = (&invitation.invite.agency, &node);
    Chain::parse(answer.certificate_chain.as_bytes(), &network, me, &keys.tls, UnixTime::now())?;
    folder.write(Name::Network, text.as_bytes())?;
    // The last: what is done is done.
    folder.write(Name::Chain, answer.certificate_chain.as_bytes())?;
    Ok(())
}

fn network_file(invitation: &Invitation, root: &CertificateDer<'_>) -> Result<String, NotEnrolled> {
    Ok(Network::file(
        invitation.network.as_str(),
        &invitation.gateway,
        (&invitation.evidence_log, &invitation.directory_log),
        root,
    )?)
}

/// Connects as the agency, publishes what is missing, and looks until all keys stand in the log.
async fn check(root: &Path, begun: &Begun, me: &AgencyId) -> Result<Enrolled, NotEnrolled> {
    let files = Files::open(root).map_err(Box::new)?;
    let keys = &begun.keys;
    let credential = files.credential()?;
    let ends_at = credential.chain.ends_at_unix_s()?;
    let channel = files.connector(&credential)?.connect().await?;
    let began = Instant::now();
    let mut is_published = false;
    loop {
        let replica = directory::whole(&files.network, me, &channel).await?;
        let directory = replica.directory();
        let signing = keys.signing.public().id();
        let shown = directory.agency(me).and_then(|agency| agency.keys.iter().find(|key| key.id == signing));
        let in_force_at = shown.map(|key| key.effective_at);
        let is_in_force = directory.key_in_force(me, &signing, KeyPurpose::Signing, crate::clock::now());
        let done = match in_force_at {
            Some(at) if !is_in_force => Some(at),
            Some(at) if missing(directory, me, keys).next().is_none() => Some(at),
            Some(_) if !is_published => {
                publish(&channel, &begun.admission).await?;
                is_published = true;
                None
            }
            Some(_) | None => None,
        };
        if let Some(in_force_at) = done {
            let older_keys = older_keys(directory, me, keys);
            let agency = me.clone();
            return Ok(Enrolled { agency, certificate_ends_at_unix_s: ends_at, in_force_at, older_keys });
        }
        if began.elapsed() > SHOWN_TIME_MAX {
            return Err(NotEnrolled::NotShown);
        }
        sleep(LOOK_EVERY).await;
    }
}

/// The keys beside the signing key that the directory should hold and does not, nor ever held.
pub(crate) fn missing<'a>(
    directory: &'a Directory,
    me: &'a AgencyId,
    keys: &Keys,
) -> impl Iterator<Item = PublicKeyOf> + use<'a> {
    let sealing = keys.sealing.first().map(|key| PublicKeyOf::Sealing(key.recipient().as_bytes().to_vec()));
    let witness = PublicKeyOf::Witness(keys.witness.public());
    let held = directory.agency(me).map_or(&[][..], |agency| &agency.keys);
    sealing.into_iter().chain([witness]).filter(move |key| held.iter().all(|held| held.key != *key))
}

fn older_keys(directory: &Directory, me: &AgencyId, keys: &Keys) -> Vec<String> {
    let own = keys.published();
    let held = directory.agency(me).map_or(&[][..], |agency| &agency.keys);
    let older = held.iter().filter(|key| key.revoked_at.is_none() && !own.contains(&key.key));
    older.map(|key| key.id.to_string()).collect()
}

async fn publish(channel: &Channel, admission: &Admission) -> Result<(), NotEnrolled> {
    use wire::change_answer::Answer;
    for file in &admission.publish {
        let object = wire::SignedObject::try_from(file).map_err(|_| AdmissionFault::Request)?;
        let mut request = Request::new(object);
        request.set_timeout(CALL_TIME_MAX);
        let answer = DirectoryClient::new(channel.clone()).change(request).await.map_err(refused)?;
        match answer.into_inner().answer {
            // The log says whether it stands there; that is looked at next.
            Some(Answer::Receipt(_)) | None => {}
            Some(Answer::Refusal(refusal)) => return Err(refusal_of(refusal)),
        }
    }
    Ok(())
}

/// The refusal that a status carries, if it is one.
pub(crate) fn refusal_in(status: &Status) -> Option<wire::RefusalAnswer> {
    use prost::Message as _;
    let bytes = status.metadata().get_bin(REFUSAL_TRAILER).and_then(|value| value.to_bytes().ok());
    bytes.and_then(|bytes| wire::RefusalAnswer::decode(bytes).ok())
}

#[allow(clippy::needless_pass_by_value, reason = "used as a function in map_err")]
fn refused(status: Status) -> NotEnrolled {
    match refusal_in(&status) {
        Some(refusal) => refusal_of(refusal),
        None if status.code() == Answer::Unimplemented => NotEnrolled::OtherNetwork,
        None => NotEnrolled::NotNow(status.message().to_owned()),
    }
}

fn refusal_of(refusal: wire::RefusalAnswer) -> NotEnrolled {
    let wire::RefusalAnswer { code, number, field, text_en, text_ar, .. } = refusal;
    NotEnrolled::Refused { code, number, field, text_en, text_ar }
}
