//! Stopping an agreement that binds this agency, at once: one party may. It lapses after 24 hours unless a
//! second person does the same. Not here: starting it again, which takes two administrators.

use std::path::Path;

use prost::Message as _;
use proto::{
    Malformed,
    digest::Digest,
    dsse::{self, PayloadType},
    ids::{EnvelopeId, TimeMs},
    log::Unproven,
    receipt::Receipt,
    wire::{self, directory_change::Change},
};
use thiserror::Error;
use tonic::Request;

use crate::{
    daemon::{Files, RunFault},
    gateway::directory_client::DirectoryClient,
    keys::{Keys, KeysFault},
    link::connection::NotConnected,
    network::NetworkFault,
    randomness::{self, NoRandomness},
};

/// How long the gateway may take to answer.
const CALL_TIME_MAX: std::time::Duration = std::time::Duration::from_secs(30);

/// Why it was not stopped.
#[derive(Debug, Error)]
pub enum NotStopped {
    /// The agent's folder.
    #[error(transparent)]
    Files(#[from] Box<RunFault>),
    /// Its keys.
    #[error(transparent)]
    Keys(#[from] KeysFault),
    /// The network's file.
    #[error(transparent)]
    Network(#[from] NetworkFault),
    /// There is no connection.
    #[error(transparent)]
    NotConnected(#[from] NotConnected),
    /// No randomness.
    #[error(transparent)]
    Randomness(#[from] NoRandomness),
    /// The gateway does not answer, or not now.
    #[error("the gateway did not take it: {0}; telephone an administrator, who can stop it too")]
    NotNow(String),
    /// The gateway's rules refuse it.
    #[error("{code}: {text_en}")]
    Refused {
        /// The refusal's code.
        code: String,
        /// Its number.
        number: u32,
        /// What it is about.
        field: String,
        /// What to do, in English.
        text_en: String,
        /// The same in Arabic.
        text_ar: String,
    },
    /// Its receipt is none.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// Its receipt proves nothing.
    #[error(transparent)]
    Unproven(#[from] Unproven),
}

/// Stops an agreement; gives the place of its evidence.
///
/// # Errors
/// [`NotStopped`].
pub async fn stop(
    root: &Path,
    agreement: Digest,
    reason: wire::SuspensionReason,
    now: TimeMs,
) -> Result<u64, NotStopped> {
    use wire::{change_answer::Answer, subject::Subject};
    let files = Files::open(root).map_err(Box::new)?;
    let keys = Keys::load(&files.folder)?;
    let connector = files.connector(&files.credential()?)?;
    let subject = wire::Subject { subject: Some(Subject::Agreement(agreement.to_vec())) };
    let suspend = wire::Suspend { subject: Some(subject), reason: reason.into() };
    let change = wire::DirectoryChange {
        version: 1,
        change_id: EnvelopeId::new(now, randomness::bytes()?).as_bytes().to_vec(),
        created_at_ms: now.0,
        change: Some(Change::Suspend(suspend)),
    };
    let object = dsse::sign(PayloadType::DirectoryEntry, change.encode_to_vec(), &[&keys.signing]);
    let mut request = Request::new(object);
    request.set_timeout(CALL_TIME_MAX);
    let answer = DirectoryClient::new(connector.connect().await?).change(request).await;
    match answer.map_err(|status| NotStopped::NotNow(status.message().to_owned()))?.into_inner().answer {
        Some(Answer::Receipt(receipt)) => {
            let receipt = Receipt::parse(receipt)?;
            receipt.verify(&files.network.policy()?)?;
            Ok(receipt.record().place.index)
        }
        Some(Answer::Refusal(refusal)) => {
            let wire::RefusalAnswer { code, number, field, text_en, text_ar, .. } = refusal;
            Err(NotStopped::Refused { code, number, field, text_en, text_ar })
        }
        None => Err(NotStopped::NotNow("no answer".to_owned())),
    }
}
