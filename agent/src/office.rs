//! The office: decides what to write down, from what the agency asks and what the gateway says. Every
//! way in ends in the store before it is answered. Not here: the connection (`link`), the local API
//! (`local`).

mod early;
mod household;
pub mod inbound;
pub mod onward;
pub mod outbound;
pub mod show;

use std::sync::{Arc, PoisonError, RwLock, atomic::AtomicU64};

use prost::Message as _;
use proto::{
    digest::Digest,
    ids::{AgencyId, EnvelopeId, ReferralKey, TimeMs},
    log::policy::Policy,
    refusal::Refusal,
    wire,
};
use thiserror::Error;
use tokio::sync::{Mutex, Notify, watch};

use crate::{
    alarm::{Alarm, NotSettled},
    case::Case,
    clock,
    document::Flaw,
    draft::{Drafted, NotDrafted},
    keys::{Keys, KeysFault},
    network::Network,
    notices, put_off, randomness,
    records::{self, record},
    renewal, restored, rotation,
    settings::DutyDesk,
    spool::Spool,
    state::{State, Tie},
    store::{Claim, Entry, Place, Store, StoreFault},
};

/// Longest idempotency key, in bytes.
pub const IDEMPOTENCY_KEY_BYTES_MAX: usize = 128;

/// How the link to the gateway stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LinkState {
    /// Not connected; why, for people, and since when.
    Down {
        /// What failed last; nothing before the first try.
        why: Option<String>,
        /// Since when.
        since: TimeMs,
    },
    /// Connected.
    Up {
        /// Since when.
        since: TimeMs,
    },
}

/// What everything else works with.
pub struct Office {
    /// The agency.
    pub me: AgencyId,
    /// Its keys; they change when they are rotated.
    keys: RwLock<Arc<Keys>>,
    /// How their rotation stands.
    pub rotation: rotation::Board,
    /// The network.
    pub network: Network,
    /// What receipts must rest on.
    pub policy: Policy,
    /// What it knows.
    pub store: Store<State>,
    /// Attachments too large for an envelope.
    pub spool: Spool,
    /// How the link stands.
    pub link: watch::Sender<LinkState>,
    /// Asks the link to look at the directory now.
    pub look: Notify,
    /// Counts the times that the link has looked.
    pub looked: watch::Sender<u64>,
    /// When the certificate that is used ends: Unix seconds; 0 before the first connection.
    pub certificate_ends_at_s: AtomicU64,
    /// How its renewal stands.
    pub renewal: renewal::Board,
    /// How the ways stand by which people are told.
    pub notices: notices::Board,
    /// Why what waits does not go.
    pub put_off: put_off::Board,
    /// What is missing after a backup was restored.
    pub restored: Option<restored::Board>,
    /// How the exchange folder stands.
    #[cfg(unix)]
    pub exchange: crate::exchange::Board,
    /// For how many days content is kept after its referral has ended, by the settings.
    pub keep_days: Option<u32>,
    /// Whether the agent ends: what would go on for ever does not.
    pub ending: watch::Sender<bool>,
    /// Who reads the folder from outside shares it; who takes something away from there has it alone.
    pub still: Arc<tokio::sync::RwLock<()>>,
    /// Ends the connection, so that everything is proven anew over the next one.
    pub prove: Notify,
    /// Whom others are to telephone, by the settings.
    pub duty_desk: Option<DutyDesk>,
    /// One at a time makes envelopes: each must follow the one before it.
    pen: Mutex<()>,
}

impl std::fmt::Debug for Office {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Office({})", self.me)
    }
}

/// Why nothing was sent.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotSent {
    /// The document is flawed.
    #[error("the document has {} flaws", .0.len())]
    Flawed(Vec<Flaw>),
    /// The rules would refuse it.
    #[error("{refusal}")]
    Refused {
        /// Why.
        refusal: Refusal,
        /// What would be legal now.
        legal: Vec<proto::lifecycle::Act>,
    },
    /// There is no envelope.
    #[error(transparent)]
    NotDrafted(NotDrafted),
    /// The directory has not come yet.
    #[error("the directory has not come yet: connect to the gateway first")]
    NoDirectory,
    /// An alarm stands.
    #[error("an alarm stands: nothing is sealed until people have looked at `agent status`")]
    Alarmed,
    /// No such referral here.
    #[error("there is no such referral here")]
    UnknownReferral,
    /// An idempotency key that is too long.
    #[error("the idempotency key is longer than {IDEMPOTENCY_KEY_BYTES_MAX} bytes")]
    IdempotencyKey,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreFault),
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness; try again")]
    Randomness,
}

impl From<NotDrafted> for NotSent {
    fn from(not_drafted: NotDrafted) -> Self {
        Self::NotDrafted(not_drafted)
    }
}

impl From<Refusal> for NotSent {
    fn from(refusal: Refusal) -> Self {
        Self::Refused { refusal, legal: Vec::new() }
    }
}

/// An envelope that was written down: it will be pushed until it is answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sent {
    /// Its referral.
    pub referral: ReferralKey,
    /// Its digest.
    pub digest: Digest,
    /// Its id.
    pub envelope_id: EnvelopeId,
    /// The other referrals into which one need was split.
    pub others: Vec<ReferralKey>,
}

impl Office {
    /// An office over an agency's own things.
    #[must_use]
    pub fn new(
        me: AgencyId,
        keys: Keys,
        network: Network,
        policy: Policy,
        (store, spool): (Store<State>, Spool),
    ) -> Self {
        let down = LinkState::Down { why: None, since: clock::now() };
        Self {
            me,
            keys: RwLock::new(Arc::new(keys)),
            rotation: rotation::Board::default(),
            network,
            policy,
            store,
            spool,
            link: watch::Sender::new(down),
            look: Notify::new(),
            looked: watch::Sender::new(0),
            certificate_ends_at_s: AtomicU64::new(0),
            renewal: renewal::Board::default(),
            notices: notices::Board::default(),
            put_off: put_off::Board::default(),
            restored: None,
            #[cfg(unix)]
            exchange: crate::exchange::Board::default(),
            keep_days: None,
            ending: watch::Sender::new(false),
            still: Arc::default(),
            prove: Notify::new(),
            duty_desk: None,
            pen: Mutex::new(()),
        }
    }

    /// With the duty desk of the agency's settings.
    #[must_use]
    pub fn with_duty_desk(self, duty_desk: Option<DutyDesk>) -> Self {
        Self { duty_desk, ..self }
    }

    /// With what its folder says of a restored backup.
    #[must_use]
    pub fn with_restored(self, restored: restored::Board) -> Self {
        Self { restored: Some(restored), ..self }
    }

    /// With the retention of the agency's settings.
    #[must_use]
    pub fn with_keep_days(self, keep_days: Option<u32>) -> Self {
        Self { keep_days, ..self }
    }

    /// The keys as they are now.
    #[must_use]
    pub fn keys(&self) -> Arc<Keys> {
        Arc::clone(&self.keys.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes other keys into use while nobody makes an envelope. Gives what waits to be pushed and was signed
    /// with those before.
    pub(crate) async fn turn_keys(
        &self,
        turn: impl FnOnce() -> Result<Keys, KeysFault>,
    ) -> Result<Vec<(ReferralKey, Digest)>, KeysFault> {
        let _pen = self.pen.lock().await;
        self.take_keys(turn()?);
        Ok(self.store.read(|state| state.queue().all().collect()))
    }

    /// Takes keys into use that sign and open as those before.
    pub(crate) fn take_keys(&self, keys: Keys) {
        *self.keys.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(keys);
    }

    /// A case.
    #[must_use]
    pub fn case(&self, referral: &ReferralKey) -> Option<Case> {
        self.store.read(|state| state.case(referral).cloned())
    }

    /// Writes down something that must not happen, and says it loudly.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub async fn alarm(
        &self,
        kind: records::AlarmKind,
        about: Option<Digest>,
        detail: String,
    ) -> Result<(), StoreFault> {
        tracing::error!(kind = kind.as_str_name(), about = ?about, %detail, "ALARM");
        let alarm = Alarm { kind, about, detail, at_ms: clock::now().0 };
        if self.store.read(|state| state.alarms().stands(&alarm)) {
            return Ok(());
        }
        let record = record::Record::Alarm(alarm.to_record());
        self.write(vec![entry(record, None)], Claim::Reserved).await.map(|_| ())
    }

    /// Writes down that people have looked at an alarm. Gives the alarm.
    ///
    /// # Errors
    /// [`NotSettled`].
    pub async fn settle_alarm(
        &self,
        name: &str,
        reason: records::SettledReason,
    ) -> Result<Alarm, NotSettled> {
        if reason == records::SettledReason::Unspecified {
            return Err(NotSettled::NoReason);
        }
        let alarm = self.store.read(|state| state.alarms().find(name).cloned());
        let alarm = alarm.ok_or(NotSettled::Unknown)?;
        let settled = records::Settled { alarm: Some(alarm.to_record()), reason: reason.into() };
        self.write(vec![entry(record::Record::Settled(settled), None)], Claim::Reserved).await?;
        tracing::warn!(kind = alarm.kind.as_str_name(), ?reason, "an alarm was settled");
        if alarm.stops_sealing() {
            self.prove.notify_one();
        }
        Ok(alarm)
    }

    async fn write(&self, entries: Vec<Entry>, claim: Claim) -> Result<Vec<Place>, StoreFault> {
        self.store.append(entries, claim).await
    }

    /// What is to be uploaded is in its place before the envelopes that name it are written down, all of
    /// them or none.
    async fn queue(&self, drafted: Vec<(Drafted, Tie)>, idempotency_key: &str) -> Result<Sent, NotSent> {
        let sent = sent(&drafted)?;
        let mut files = Vec::new();
        let mut entries = Vec::with_capacity(drafted.len());
        for (mut drafted, tie) in drafted {
            files.append(&mut drafted.files);
            // One key for all: by it the first is found, and by the first the others.
            let key = if entries.is_empty() { idempotency_key } else { "" };
            let (queued, body) = drafted.record(key, &tie);
            entries.push(entry(record::Record::Queued(queued), Some(body.encode_to_vec())));
        }
        let digests: Vec<Digest> = files.iter().map(|(sha256, _)| *sha256).collect();
        let put = move || files.into_iter().try_for_each(|(sha256, file)| file.put(&sha256));
        let put = tokio::task::spawn_blocking(put).await.map_err(|_| StoreFault::Ended)?;
        let written = match put {
            Ok(()) => self.write(entries, Claim::Ordinary).await.map_err(NotSent::from),
            Err(fault) => Err(NotDrafted::Spool(fault).into()),
        };
        match written {
            Ok(_) => Ok(sent),
            // Nothing is known of it: the next start tells what is referred to.
            Err(NotSent::Store(StoreFault::Ended)) => Err(StoreFault::Ended.into()),
            Err(not_sent) => {
                digests.iter().for_each(|sha256| self.spool.forget(sha256));
                Err(not_sent)
            }
        }
    }

    /// Waits until the link has looked at the directory again, when there is a link.
    pub async fn freshen(&self, at_most: std::time::Duration) {
        if !matches!(*self.link.borrow(), LinkState::Up { .. }) {
            return;
        }
        let mut looked = self.looked.subscribe();
        looked.mark_unchanged();
        self.look.notify_one();
        // Without an answer what is here must do.
        drop(tokio::time::timeout(at_most, looked.changed()).await);
    }
}

/// What is said of envelopes that are written down together.
fn sent(drafted: &[(Drafted, Tie)]) -> Result<Sent, NotSent> {
    let mut referrals = drafted.iter().map(|(drafted, _)| drafted.header.referral.clone());
    let first = drafted.first().zip(referrals.next());
    // Nothing was asked for.
    let ((first, _), referral) = first.ok_or(NotSent::UnknownReferral)?;
    let (digest, envelope_id) = (first.digest, first.header.envelope_id);
    Ok(Sent { referral, digest, envelope_id, others: referrals.collect() })
}

fn entry(record: record::Record, body: Option<Vec<u8>>) -> Entry {
    Entry { record: records::Record { at_ms: clock::now().0, record: Some(record) }, body }
}

fn new_id(now: TimeMs) -> Result<EnvelopeId, NotSent> {
    Ok(EnvelopeId::new(now, randomness::bytes().map_err(|_| NotSent::Randomness)?))
}

/// A refusal's number as the wire has it.
pub(crate) fn refusal_of(answer: &wire::RefusalAnswer) -> Option<Refusal> {
    Refusal::from_number(answer.number)
}
