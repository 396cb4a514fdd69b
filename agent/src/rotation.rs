//! Rotation of the agency's keys: new ones are made and published, signed with those before; they are taken into use
//! between two envelopes; and those before are taken back, each once nothing needs it. A plan on the disk says how far it
//! has come, so that it goes on wherever it was cut short. Not here: the keys' files (`keys`), and the renewal of a
//! certificate that is due (`renewal`).

mod plan;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use proto::{
    certificate_order::Order,
    decide::push::LIFETIME_MS_MAX,
    digest::Digest,
    directory::{AgencyKey, KeyPurpose, PublicKeyOf},
    ids::{ReferralKey, TimeMs},
    wire::{self, directory_change::Change},
};
use thiserror::Error;
use tokio::{sync::Notify, time::timeout};
use tonic::{Code, Request, Status, transport::Channel};

use crate::{
    clock,
    daemon::Files,
    enrolment, erasure,
    folder::Folder,
    gateway::{certificates_client::CertificatesClient, directory_client::DirectoryClient},
    keys::{self, Keys, KeysFault},
    link::{Line, directory},
    office::{LinkState, Office},
    renewal::{self, Failing, NotRenewed},
    store::StoreFault,
};
pub use plan::{Certificate, Plan, Step, Turn};

/// How long a former sealing key stays published, so that what is on its way under it arrives: 7 days.
pub const SEALING_STAYS_MS: u64 = 7 * DAY_MS;
const DAY_MS: u64 = 24 * 60 * 60 * 1000;
/// How often a rotation that goes on is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// How soon what was refused is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(20);
/// How often it is looked what is due when nothing else is.
const REST: Duration = Duration::from_secs(60 * 60);
/// How long the gateway may take.
const CALL_TIME_MAX: Duration = Duration::from_secs(30);
/// How long is waited for the directory.
const COMES_BACK_TIME_MAX: Duration = Duration::from_secs(5);

/// Which keys are rotated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the kinds of keys that an agent has")]
pub struct Wanted {
    pub signing: bool,
    pub sealing: bool,
    pub witness: bool,
    pub certificate: bool,
}

impl Wanted {
    /// Every key.
    pub const ALL: Self = Self { signing: true, sealing: true, witness: true, certificate: true };
}

/// What a rotation waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Waits {
    /// For the connection to the gateway.
    Link,
    /// For the new keys to stand in the directory.
    Published,
    /// For the certificate of the new key.
    Certified,
    /// For a connection that uses the new keys.
    Connected,
    /// For what was signed with the former key to be taken by the gateway.
    Drained,
    /// For the directory to take back the former keys.
    TakenBack,
    /// Nothing but the former sealing key is left, which is taken back later.
    Later,
}

impl Waits {
    /// A stable word.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::Link => "LINK",
            Self::Published => "PUBLISHED",
            Self::Certified => "CERTIFIED",
            Self::Connected => "CONNECTED",
            Self::Drained => "DRAINED",
            Self::TakenBack => "TAKEN_BACK",
            Self::Later => "LATER",
        }
    }
}

/// How a rotation stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The plan.
    pub plan: Plan,
    /// What it waits for.
    pub waits: Waits,
    /// Since when it fails, and why at the last try.
    pub failing: Option<Failing>,
}

/// How a rotation stands, for whoever asks the agent; and what wakes it.
#[derive(Debug, Default)]
pub struct Board {
    standing: Mutex<Option<Standing>>,
    wake: Notify,
    /// One at a time changes the plan.
    pen: tokio::sync::Mutex<()>,
}

impl Board {
    /// As it is now; nothing when no key is rotated.
    #[must_use]
    pub fn standing(&self) -> Option<Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note(&self, plan: Plan, waits: Waits) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        *standing = Some(Standing { plan, waits, failing: None });
    }

    /// One goes on that this start knows nothing of yet.
    fn found(&self, plan: &Plan) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.get_or_insert_with(|| Standing { plan: plan.clone(), waits: Waits::Link, failing: None });
    }

    fn failed(&self, why: &NotTurned, now: TimeMs) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(standing) = standing.as_mut() {
            let since = standing.failing.as_ref().map_or(now, |failing| failing.since);
            standing.failing =
                Some(Failing { since, code: why.code(), why_en: why.to_string(), why_ar: why.text_ar() });
        }
    }

    fn done(&self) {
        *self.standing.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

/// Why a rotation does not go on. Each is tried again.
#[derive(Debug, Error)]
pub enum NotTurned {
    /// The gateway refuses.
    #[error("{text_en}")]
    Refused {
        /// The refusal's stable code.
        code: &'static str,
        /// What to do, in English.
        text_en: String,
        /// The same in Arabic.
        text_ar: String,
    },
    /// The call failed.
    #[error("the gateway could not do it ({0}); it is tried again")]
    Call(String),
    /// The certificate.
    #[error(transparent)]
    Certificate(#[from] NotRenewed),
    /// The keys' files.
    #[error(transparent)]
    Keys(#[from] KeysFault),
    /// The operating system gave no randomness.
    #[error("the operating system gave no randomness; it is tried again")]
    Randomness,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreFault),
}

impl NotTurned {
    /// A stable word: the gateway's, or our own.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Refused { code, .. } => code,
            Self::Call(_) => "CALL_FAILED",
            Self::Certificate(why) => why.code(),
            Self::Keys(_) | Self::Store(_) => "NOT_WRITTEN",
            Self::Randomness => "NOT_MADE",
        }
    }

    /// The same as its text, in Arabic.
    #[must_use]
    pub fn text_ar(&self) -> String {
        match self {
            Self::Refused { text_ar, .. } => text_ar.clone(),
            Self::Call(_) => "تعذّر ذلك على البوابة؛ تُعاد المحاولة تلقائيًا".to_owned(),
            Self::Certificate(why) => why.text_ar().to_owned(),
            Self::Keys(_) | Self::Store(_) => {
                "تعذّرت قراءة ملفات المفاتيح أو حفظها؛ تحقق من مساحة القرص ومن أذونات مجلد البرنامج".to_owned()
            }
            Self::Randomness => "تعذّر إنشاء مفتاح؛ تُعاد المحاولة تلقائيًا".to_owned(),
        }
    }

    fn refused(answer: wire::RefusalAnswer) -> Self {
        let wire::RefusalAnswer { number, text_en, text_ar, .. } = answer;
        let code = proto::refusal::Refusal::from_number(number).map_or("REFUSED", |refusal| refusal.name());
        Self::Refused { code, text_en, text_ar }
    }
}

impl From<Status> for NotTurned {
    fn from(status: Status) -> Self {
        match enrolment::refusal_in(&status) {
            Some(answer) => Self::refused(answer),
            None => Self::Call(status.message().to_owned()),
        }
    }
}

/// Begins a rotation, or gives the one that goes on: it is never begun twice. `soon` takes the former sealing key back at
/// once, also of one that goes on. Gives whether it was begun.
///
/// # Errors
/// [`KeysFault`]; nothing has begun then.
pub async fn begin(office: &Office, folder: &Folder, wanted: Wanted, soon: bool) -> Result<bool, KeysFault> {
    let _pen = office.rotation.pen.lock().await;
    // A backup has all keys of one moment.
    let _alone = office.still.write().await;
    let now = clock::now();
    let stays_ms = if soon { 0 } else { SEALING_STAYS_MS };
    let before = Plan::read(folder)?;
    let is_new = before.is_none();
    let plan = match before {
        Some(plan) if soon => plan.sooner(now),
        Some(plan) => plan,
        None => {
            prune(office, folder, now)?;
            Plan::make(folder, wanted, now, now.plus_ms(stays_ms))?
        }
    };
    plan.save(folder)?;
    // They are ours before anybody can see them.
    office.take_keys(Keys::load(folder)?);
    if is_new {
        office.rotation.note(plan, Waits::Link);
        tracing::info!("a rotation of keys begins");
    } else if soon {
        office.rotation.note(plan, Waits::TakenBack);
    } else {
        office.rotation.found(&plan);
    }
    office.rotation.wake.notify_one();
    Ok(is_new)
}

/// Goes on with a rotation wherever it stands, as long as the agent runs.
pub async fn run(office: Arc<Office>, files: Arc<Files>, line: Line) {
    let mut here = Here::default();
    loop {
        let rest = {
            let _pen = office.rotation.pen.lock().await;
            let _alone = office.still.write().await;
            match turn(&office, &files, &line, &mut here).await {
                Ok(rest) => rest,
                Err(why) => {
                    tracing::warn!(code = why.code(), %why, "the rotation of keys does not go on");
                    office.rotation.failed(&why, clock::machine());
                    AGAIN_AFTER
                }
            }
        };
        // Woken or not: how it stands is on the disk.
        drop(timeout(rest, office.rotation.wake.notified()).await);
    }
}

/// What only the running agent knows of a rotation.
#[derive(Default)]
struct Here {
    /// What was signed with the former key and waited to be pushed when the new one was taken into use; when that was
    /// before this start, what waited then.
    signed_before: Option<Vec<(ReferralKey, Digest)>>,
    /// The connection that does not use yet what was taken into use.
    old: Option<LinkState>,
}

impl Here {
    /// Ends the connection: the next one uses what is in use now.
    fn connect_anew(&mut self, office: &Office) {
        self.old = Some(office.link.borrow().clone());
        office.prove.notify_one();
    }
}

/// Does the next that can be done. Gives how long to rest.
async fn turn(office: &Office, files: &Files, line: &Line, here: &mut Here) -> Result<Duration, NotTurned> {
    let folder = &files.folder;
    let Some(plan) = Plan::read(folder)? else {
        office.rotation.done();
        prune(office, folder, clock::now())?;
        return Ok(REST);
    };
    office.rotation.found(&plan);
    let waits = |waits| {
        office.rotation.note(plan.clone(), waits);
        LOOK_EVERY
    };
    let Some(channel) = line.channel().filter(|_| matches!(*office.link.borrow(), LinkState::Up { .. }))
    else {
        return Ok(waits(Waits::Link));
    };
    match plan.step {
        Step::Publish => {
            if publish(office, folder, &plan, &channel).await? {
                // THE POINT from which on the new keys are used.
                let turned = office.turn_keys(|| plan.switch(folder)).await?;
                here.signed_before = Some(turned);
                // Another certificate is taken into use over another connection, too.
                if plan.turns(KeyPurpose::Signing).is_some() && plan.certificate != Certificate::Due {
                    here.connect_anew(office);
                }
                tracing::info!("the new keys are in use");
                return Ok(Duration::ZERO);
            }
            Ok(waits(Waits::Published))
        }
        // It is finished before the keys are read (`Plan::settle`).
        Step::Switch => Ok(LOOK_EVERY),
        Step::InUse => {
            if plan.certificate == Certificate::Due {
                waits(Waits::Certified);
                certify(office, files, channel, &plan).await?;
                here.connect_anew(office);
                return Ok(Duration::ZERO);
            }
            if here.old.as_ref().is_some_and(|old| *office.link.borrow() == *old) {
                return Ok(waits(Waits::Connected));
            }
            here.old = None;
            let signed_before = here
                .signed_before
                .get_or_insert_with(|| office.store.read(|state| state.queue().all().collect()));
            if plan.turns(KeyPurpose::Signing).is_some() && !is_drained(office, signed_before) {
                return Ok(waits(Waits::Drained));
            }
            if !take_back(office, files, &plan, channel).await? {
                return Ok(waits(Waits::TakenBack));
            }
            if let Some(at) = plan.later(&office.store.read(|state| own(state, office))) {
                office.rotation.note(plan.clone(), Waits::Later);
                return Ok(Duration::from_millis(at.0.saturating_sub(clock::now().0)).clamp(LOOK_EVERY, REST));
            }
            Plan::finish(folder)?;
            office.take_keys(Keys::load(folder)?);
            office.rotation.done();
            *here = Here::default();
            tracing::info!("the rotation of keys is done; make a backup now");
            Ok(Duration::ZERO)
        }
    }
}

/// This agency's keys, as the directory has them here.
fn own(state: &crate::state::State, office: &Office) -> Vec<AgencyKey> {
    let entry = state.replica().directory().agency(&office.me);
    entry.map(|agency| agency.keys.clone()).unwrap_or_default()
}

/// Publishes the new keys that the directory lacks. Gives whether it has all of them.
async fn publish(
    office: &Office,
    folder: &Folder,
    plan: &Plan,
    channel: &Channel,
) -> Result<bool, NotTurned> {
    let missing = |held: &[AgencyKey]| {
        let is_missing = |key: &PublicKeyOf| held.iter().all(|held| held.key != *key);
        plan.new_keys().filter(is_missing).collect::<Vec<_>>()
    };
    let held = office.store.read(|state| own(state, office));
    for key in missing(&held) {
        let change = directory::publish(office, &key);
        let keys = office.keys();
        // A signing key shows that it is held, too.
        let object = match plan.next_signing(folder, &key)? {
            Some(new) => directory::change_by(&[&keys.signing, &new], change),
            None => directory::change_by(&[&keys.signing], change),
        };
        submit(object, channel).await?;
        tracing::info!(key = %key.id(), "a new key of this agency was published");
    }
    office.freshen(COMES_BACK_TIME_MAX).await;
    Ok(missing(&office.store.read(|state| own(state, office))).is_empty())
}

/// Takes back the former keys whose time has come, and the former certificates. Gives whether nothing of it stands.
async fn take_back(office: &Office, files: &Files, plan: &Plan, channel: Channel) -> Result<bool, NotTurned> {
    let now = clock::now();
    let due = |held: &[AgencyKey]| plan.due(held, now);
    for id in due(&office.store.read(|state| own(state, office))) {
        let revoke = wire::RevokeKey {
            agency: office.me.to_string(),
            key_id: id.to_string(),
            reason: wire::RevocationReason::Rotated.into(),
        };
        submit(directory::change(office, Change::RevokeKey(revoke)), &channel).await?;
        tracing::info!(key = %id, "a former key of this agency was taken back");
    }
    if plan.certificate == Certificate::Renewed {
        retire_others(office, files, channel).await?;
        plan.clone().with_certificate(Certificate::Done).save(&files.folder)?;
    }
    office.freshen(COMES_BACK_TIME_MAX).await;
    Ok(due(&office.store.read(|state| own(state, office))).is_empty())
}

async fn submit(object: Option<wire::SignedObject>, channel: &Channel) -> Result<(), NotTurned> {
    let mut request = Request::new(object.ok_or(NotTurned::Randomness)?);
    request.set_timeout(CALL_TIME_MAX);
    match DirectoryClient::new(channel.clone()).change(request).await?.into_inner().answer {
        Some(wire::change_answer::Answer::Refusal(refusal)) => Err(NotTurned::refused(refusal)),
        Some(wire::change_answer::Answer::Receipt(_)) | None => Ok(()),
    }
}

/// Has the key of the certificate renewed, whether it is due or not. Where the gateway cannot do that, it is left.
async fn certify(office: &Office, files: &Files, channel: Channel, plan: &Plan) -> Result<(), NotTurned> {
    let order = |digest| Some(Order::Certify(digest).sign(&office.me, clock::now(), &office.keys().signing));
    let certificate = match renewal::renew(files, channel, order).await {
        Ok(_) => Certificate::Renewed,
        Err(why) if plan::is_left(&why) => {
            tracing::warn!(
                code = why.code(),
                "the certificate's key is not rotated: the gateway cannot do it"
            );
            Certificate::Left(why.code().to_owned())
        }
        Err(why) => return Err(why.into()),
    };
    Ok(plan.clone().with_certificate(certificate).save(&files.folder)?)
}

/// Revokes all certificates of this agent's name but the one in use.
async fn retire_others(office: &Office, files: &Files, channel: Channel) -> Result<(), NotTurned> {
    use wire::retire_answer::Answer;
    let not_usable = |_| NotTurned::Certificate(NotRenewed::NotMade);
    let credential = files.credential().map_err(not_usable)?;
    let leaf = credential.chain.certificates().first().map(|leaf| Digest::of(leaf)).unwrap_or_default();
    let mut request = Request::new(Order::Keep(leaf).sign(&office.me, clock::now(), &office.keys().signing));
    request.set_timeout(CALL_TIME_MAX);
    match CertificatesClient::new(channel).retire_others(request).await {
        Ok(answer) => match answer.into_inner().answer {
            Some(Answer::Refused(refused)) => Err(renewal::refused_by(refused).into()),
            Some(Answer::Retired(_)) | None => Ok(()),
        },
        // A gateway of a release before: they stay good until their end.
        Err(status) if status.code() == Code::Unimplemented => Ok(()),
        Err(status) => Err(status.into()),
    }
}

fn is_drained(office: &Office, signed_before: &[(ReferralKey, Digest)]) -> bool {
    office.store.read(|state| {
        signed_before
            .iter()
            .all(|(referral, digest)| state.queue().of(referral).all(|waits| waits != *digest))
    })
}

/// Forgets sealing keys that were taken back, once nothing can come under them any more, and of what came under them
/// nothing is kept.
fn prune(office: &Office, folder: &Folder, now: TimeMs) -> Result<(), KeysFault> {
    let keys = office.keys();
    let kept = office.store.read(|state| {
        let held = own(state, office);
        let is_needed = |id: &proto::key::KeyId| {
            let taken_back = held.iter().find(|held| held.id == *id).and_then(|held| held.revoked_at);
            let Some(last) = taken_back.map(|at| at.plus_ms(LIFETIME_MS_MAX)) else {
                return true;
            };
            now < last || state.cases().any(|case| erasure::holds_from_before(state, case, last))
        };
        let ids = keys.sealing.iter().map(|key| proto::key::KeyId::of(key.recipient().as_bytes()));
        ids.map(|id| is_needed(&id)).collect::<Vec<_>>()
    });
    // The first is in use.
    let left: Vec<_> =
        keys.sealing.iter().zip(kept).enumerate().filter(|(place, (_, kept))| *place == 0 || *kept).collect();
    if left.len() == keys.sealing.len() {
        return Ok(());
    }
    let forgotten = keys.sealing.len() - left.len();
    keys::write_sealing(folder, left.into_iter().map(|(_, (key, _))| key))?;
    office.take_keys(Keys::load(folder)?);
    tracing::info!(forgotten, "former sealing keys are forgotten: nothing is left that only they open");
    Ok(())
}
