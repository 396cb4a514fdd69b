//! Seals anew, by itself, what the directory of today asks for: the same content, for the same person's
//! consent. Where it cannot, it stops, and a person decides. Not here: what must be sealed anew (`anew`).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use prost::Message as _;
use proto::{
    digest::Digest,
    header::Header,
    ids::{AgencyId, PartClass, ReferralKey, Release},
    lifecycle::{Act, Who, transition},
    refusal::Refusal,
    wire,
};
use serde_json::{Map, Value};
use thiserror::Error;

use super::{ACT_LIFETIME_MS, acting, check_act, may_seal, opening, plan_act, plan_referral};
use crate::{
    anew::Why,
    case::{Case, Standing, Step},
    clock,
    document::{self, Document, File},
    draft::{self, Drafted, NotDrafted, PlainPart},
    office::{NotSent, Office, Sent, entry, new_id, onward},
    records::{self, record},
    state::{State, Tie},
    store::{Claim, StoreFault},
};

/// How long to wait for the newest directory before something is sealed anew.
const FRESHEN_TIME_MAX: Duration = Duration::from_secs(10);

/// Seals anew as long as the agent runs.
pub async fn run(office: Arc<Office>) {
    let mut changes = office.store.changes();
    // What was tried, at which size of the directory: a recipient without a key may get one.
    let mut tried = BTreeMap::new();
    loop {
        if let Err(fault) = office.seal_anew(&mut tried).await {
            tracing::error!(%fault, "nothing is sealed anew any more");
            return;
        }
        if changes.changed().await.is_err() {
            return;
        }
    }
}

/// Why something was not sealed anew.
#[derive(Debug, Error)]
enum NotAnew {
    /// It is not for the agent to decide.
    #[error("{0}")]
    ByAPerson(&'static str),
    /// Its recipient has no other key than the one that did not open it.
    #[error("its recipient has published no other key")]
    SameKeys,
    /// It cannot be sent.
    #[error(transparent)]
    NotSent(#[from] NotSent),
}

impl From<Refusal> for NotAnew {
    fn from(refusal: Refusal) -> Self {
        Self::NotSent(refusal.into())
    }
}

impl From<NotDrafted> for NotAnew {
    fn from(not_drafted: NotDrafted) -> Self {
        Self::NotSent(not_drafted.into())
    }
}

impl From<StoreFault> for NotAnew {
    fn from(fault: StoreFault) -> Self {
        Self::NotSent(fault.into())
    }
}

const ELSEWHERE: NotAnew = NotAnew::ByAPerson("its referral has gone on, or its time is over");
const FILES: NotAnew = NotAnew::ByAPerson("a file of it is not here any more");
const UNKNOWN: NotAnew = NotAnew::ByAPerson("it is not here any more");

/// An envelope of ours with what was sealed in it.
struct Kept {
    case: Case,
    step: Step,
    header: Header,
    body: records::QueuedBody,
}

impl Office {
    /// Seals anew what must be, and leaves to a person what cannot be.
    async fn seal_anew(&self, tried: &mut BTreeMap<Digest, u64>) -> Result<(), StoreFault> {
        let waiting = |state: &State| state.anew().waiting().map(|(digest, why)| (*digest, why)).collect();
        let mut left: Vec<(Digest, Why)> = self.store.read(waiting);
        tried.retain(|digest, _| left.iter().any(|(waits, _)| waits == digest));
        if left.iter().any(|(digest, why)| *why == Why::Refused && !tried.contains_key(digest)) {
            self.freshen(FRESHEN_TIME_MAX).await;
        }
        // What was refused goes before what was to follow it.
        left.sort_by_key(|(digest, _)| self.store.read(|state| place_of(state, digest)));
        for (digest, why) in left {
            let (size, waits) = self.store.read(|state| {
                let first_waits = matches!(why, Why::Behind(first) if state.anew().waits(&first));
                // What is not pushed yet the gateway will refuse, or has taken: its answer tells which.
                let step = state.case_of(&digest).and_then(|case| case.step(&digest));
                let unanswered = step.is_some_and(|step| step.standing == Standing::Queued);
                (state.replica().log().size(), first_waits || unanswered)
            });
            if waits || tried.get(&digest) == Some(&size) {
                continue;
            }
            match self.again(&digest, why).await {
                Ok(sent) => {
                    tracing::info!(envelope = %digest, instead = %sent.digest, "it was sealed anew");
                }
                Err(NotAnew::NotSent(NotSent::Store(fault))) => return Err(fault),
                // It lies at its recipient, who may publish another key.
                Err(NotAnew::SameKeys) => {
                    tried.insert(digest, size);
                }
                Err(NotAnew::NotSent(NotSent::NotDrafted(NotDrafted::NoKey(_))))
                    if matches!(why, Why::NotOpened(_) | Why::KeyRevoked) =>
                {
                    tried.insert(digest, size);
                }
                Err(NotAnew::NotSent(NotSent::NoDirectory | NotSent::Alarmed)) => {
                    tried.insert(digest, size);
                }
                // They changed while it was sealed: that change begins the next round.
                Err(NotAnew::NotSent(NotSent::NotDrafted(NotDrafted::KeysChanged))) => {}
                Err(not_anew) => {
                    tracing::warn!(envelope = %digest, %not_anew, "it cannot be sealed anew; a person decides");
                    let not_resealed = records::NotResealed { digest: digest.to_vec() };
                    let entry = entry(record::Record::NotResealed(not_resealed), None);
                    self.write(vec![entry], Claim::Reserved).await?;
                }
            }
        }
        Ok(())
    }

    async fn again(&self, digest: &Digest, why: Why) -> Result<Sent, NotAnew> {
        let kept = self.kept_of(digest)?;
        let stands = |step: &&Step| !matches!(step.standing, Standing::Refused { .. } | Standing::Withdrawn);
        let mut acts = kept.case.steps.iter().filter(stands).map(|step| step.act);
        let taken_back =
            acts.any(|act| matches!(act, Act::WithdrawConsent | Act::Recall | Act::EnteredInError));
        if taken_back && kept.case.referral.opened_by == self.me {
            return Err(NotAnew::ByAPerson("it was taken back, or her consent is withdrawn"));
        }
        match why {
            Why::Refused | Why::Behind(_) if kept.header.act == Act::Submit => self.submit_anew(kept).await,
            Why::Refused | Why::Behind(_) => self.act_anew(kept).await,
            Why::NotOpened(attempt) => self.reseal(kept, attempt).await,
            Why::KeyRevoked => {
                let attempt = kept.step.attempt;
                self.reseal(kept, attempt).await
            }
        }
    }

    fn kept_of(&self, digest: &Digest) -> Result<Kept, NotAnew> {
        let found = self.store.read(|state| {
            let case = state.case_of(digest)?;
            Some((case.clone(), case.step(digest)?.clone()))
        });
        let (case, step) = found.ok_or(UNKNOWN)?;
        let body = self.store.body(step.place)?.ok_or(UNKNOWN)?;
        let later = |_| StoreFault::LaterVersion;
        let body = records::QueuedBody::decode(body.as_slice()).map_err(later)?;
        let envelope = wire::Envelope::decode(body.envelope.as_slice()).map_err(later)?;
        let payload = envelope.signed.map(|signed| signed.payload).unwrap_or_default();
        let header = Header::parse(&payload).map_err(|_| StoreFault::LaterVersion)?;
        Ok(Kept { case, step, header, body })
    }

    /// Opens the referral, or the attempt, with the same content: to whom the document says, or whom the
    /// mechanism of today finds among those that she agreed to.
    async fn submit_anew(&self, kept: Kept) -> Result<Sent, NotAnew> {
        let now = clock::now();
        let document = document_of(&kept).ok_or(FILES)?;
        let flaws = document::not_consented(&document, now);
        if !flaws.is_empty() {
            return Err(NotAnew::ByAPerson("her consent does not carry it any more"));
        }
        let before = &kept.header;
        // What opens a referral has its id, and with it its time. What was refused has taken neither.
        let (id, created_at) =
            if before.opens() { (before.envelope_id, before.created_at) } else { (new_id(now)?, now) };
        let opens = |state: &State| {
            let case = state.case(&before.referral).ok_or(UNKNOWN)?;
            let stands =
                |step: &Step| !matches!(step.standing, Standing::Refused { .. } | Standing::Withdrawn);
            let of_attempt = |step: &&Step| step.act == Act::Submit && step.attempt == before.attempt;
            if case.steps.iter().filter(of_attempt).any(stands) || before.expires_at <= now {
                return Err(ELSEWHERE);
            }
            if let Some(former) = state.tie(&before.referral).and_then(|tie| tie.onward_of.as_ref()) {
                onward::may_go_on(state, former)?;
            }
            let opening = opening(state, &document, None, (id, now))?;
            let last = case.last_of(&self.me);
            Ok(Header {
                referral: before.referral.clone(),
                attempt: before.attempt,
                sequence: last.map_or(1, |step| step.sequence + 1),
                previous: last.map(|step| step.digest),
                expires_at: before.expires_at,
                ..opening
            })
        };
        let plan = self.store.read(|state| {
            let opening = opens(state)?;
            Ok::<_, NotAnew>(plan_referral(state, opening, &document, false)?)
        })?;
        let sealed = self.seal(plan).await?;
        let _pen = self.pen.lock().await;
        let drafted = self.store.read(|state| {
            may_seal(state)?;
            let header = opens(state)?;
            let keys = draft::keys_of(state.replica().directory(), &header, now);
            let mut header = sealed.follow(header, &keys)?;
            header.agreement =
                state.replica().directory().route(&header, now).map_err(|none| none.refusal)?.0;
            Ok::<_, NotAnew>(sealed.sign(Header { created_at, ..header }, &self.keys().signing)?)
        })?;
        self.queue_anew(Drafted { routing: kept.body.routing, ..drafted }, kept.step.digest).await
    }

    /// Does the same act again.
    async fn act_anew(&self, kept: Kept) -> Result<Sent, NotAnew> {
        let before = &kept.header;
        let parts = parts_of(&kept, Some).ok_or(FILES)?;
        let acts = |state: &State, (id, now)| {
            let case = state.case(&before.referral).ok_or(UNKNOWN)?;
            let legal = before.act == Act::Reseal || case.legal_acts(&self.me).contains(&before.act);
            if !legal || before.attempt != case.attempt() {
                return Err(ELSEWHERE);
            }
            let header = acting(state, case, before.act, &case.present(&self.me), (id, now));
            let in_reply_to = if before.act == Act::Reseal { before.in_reply_to } else { header.in_reply_to };
            Ok(Header { reason: before.reason, in_reply_to, ..header })
        };
        self.put_anew(acts, parts, kept.step.digest).await
    }

    /// Sends the same content once more, sealed to the keys of today.
    async fn reseal(&self, kept: Kept, attempt: u32) -> Result<Sent, NotAnew> {
        let before = &kept.header;
        let is_taken = kept.case.status().is_taken() && attempt == kept.case.attempt();
        // What waits for an acceptance is parked still, and comes with it.
        let released = |release| (release != Release::OnAcceptance || is_taken).then_some(Release::AtOnce);
        let parts = parts_of(&kept, released).ok_or(FILES)?;
        let ours = before.referral.opened_by == self.me;
        let who = if ours { Who::Referrer } else { Who::Recipient };
        let acts = |state: &State, (id, now): (_, proto::ids::TimeMs)| {
            let case = state.case(&before.referral).ok_or(UNKNOWN)?;
            let is_present = attempt == case.attempt();
            let may = if is_present { transition(case.status(), Act::Reseal, who).is_some() } else { !ours };
            let expires_at = now.plus_ms(ACT_LIFETIME_MS);
            // What she is referred with lives no longer for it.
            let expires_at = if ours { before.expires_at.min(expires_at) } else { expires_at };
            if !may || expires_at <= now {
                return Err(ELSEWHERE);
            }
            let header = acting(state, case, Act::Reseal, &case.present(&self.me), (id, now));
            let agreement = if is_present { header.agreement } else { kept.step.agreement };
            let in_reply_to = Some(kept.step.digest);
            Ok(Header { attempt, agreement, in_reply_to, expires_at, ..header })
        };
        // The key that could not open it opens it no better a second time.
        let keys = self.store.read(|state| {
            acts(state, (before.envelope_id, clock::now()))
                .map(|header| draft::keys_of(state.replica().directory(), &header, clock::now()))
        })?;
        let same = before
            .parts
            .iter()
            .filter(|part| part.recipient.is_none())
            .all(|part| part.key_ids.iter().eq(keys.values().flatten().map(|(id, _)| id)));
        if same {
            return Err(NotAnew::SameKeys);
        }
        self.put_anew(acts, parts, kept.step.digest).await
    }

    async fn put_anew(
        &self,
        acts: impl Fn(&State, (proto::ids::EnvelopeId, proto::ids::TimeMs)) -> Result<Header, NotAnew>,
        parts: Vec<PlainPart>,
        instead_of: Digest,
    ) -> Result<Sent, NotAnew> {
        let now = clock::now();
        let id = new_id(now)?;
        let plan = self.store.read(|state| {
            let header = acts(state, (id, now))?;
            Ok::<_, NotAnew>(plan_act(state, header, parts, false)?)
        })?;
        let sealed = self.seal(plan).await?;
        let _pen = self.pen.lock().await;
        let drafted = self.store.read(|state| {
            may_seal(state)?;
            let header = acts(state, (id, now))?;
            let reason = header.reason;
            let keys = draft::keys_of(state.replica().directory(), &header, now);
            let header = Header { reason, ..sealed.follow(header, &keys)? };
            check_act(state, &header, false)?;
            Ok::<_, NotAnew>(sealed.sign(header, &self.keys().signing)?)
        })?;
        self.queue_anew(drafted, instead_of).await
    }

    async fn queue_anew(&self, drafted: Drafted, instead_of: Digest) -> Result<Sent, NotAnew> {
        // A person may have decided meanwhile, or it was opened after all.
        if !self.store.read(|state| state.anew().waits(&instead_of)) {
            return Err(ELSEWHERE);
        }
        let drafted = Drafted { instead_of: Some(instead_of), ..drafted };
        Ok(self.queue(vec![(drafted, Tie::default())], "").await?)
    }
}

fn place_of(state: &State, digest: &Digest) -> Option<(ReferralKey, usize)> {
    let case = state.case_of(digest)?;
    Some((case.referral.clone(), case.steps.iter().position(|step| step.digest == *digest)?))
}

/// What was sealed, to be sealed once more: those parts that are released, and when. None when a file is
/// missing that is not here any more.
fn parts_of(kept: &Kept, released: impl Fn(Release) -> Option<Release>) -> Option<Vec<PlainPart>> {
    let mut parts = Vec::new();
    for plain in kept.body.plain.iter().filter(|plain| !plain.stays) {
        let listed = kept.header.parts.iter().find(|part| part.part_id == plain.part_id)?;
        let Some(release) = released(listed.release) else {
            continue;
        };
        if !plain.uploaded_sha256.is_empty() {
            return None;
        }
        parts.push(PlainPart {
            fallback: None,
            class: PartClass::parse(plain.class, "class").ok()?,
            release,
            media_type: plain.media_type.clone(),
            file_name: plain.file_name.clone(),
            content: plain.content.clone().into(),
        });
    }
    Some(parts)
}

/// The document that a submission was made of.
fn document_of(kept: &Kept) -> Option<Document> {
    let header = &kept.header;
    let parts = parts_of(kept, Some)?;
    let of_class = |class| parts.iter().filter(move |part| part.class == class);
    let json = |part: &PlainPart| match &part.content {
        document::Content::Here(bytes) => serde_json::from_slice::<Map<String, Value>>(bytes).ok(),
        document::Content::Apart { .. } | document::Content::Veiled(_) => None,
    };
    let section = |part: &Map<String, Value>, name: &str| part.get(name).and_then(Value::as_object).cloned();
    let summary = json(of_class(PartClass::Summary).next()?)?;
    let stays = kept.body.plain.iter().find(|plain| plain.stays);
    let identity = match (of_class(PartClass::Identity).next(), stays) {
        (Some(part), _) => Some(section(&json(part)?, "identity")),
        (None, Some(plain)) => Some(section(&serde_json::from_slice(&plain.content).ok()?, "identity")),
        (None, None) => None,
    };
    let ids =
        |ids: &[String]| ids.iter().map(|id| AgencyId::parse(id, "agency").ok()).collect::<Option<Vec<_>>>();
    let routing = kept.body.routing.as_ref();
    let file = |part: &PlainPart| File {
        name: part.file_name.clone(),
        media_type: part.media_type.clone(),
        contains_identity: part.release == Release::OnAcceptance,
        about: Vec::new(),
        content: part.content.clone(),
    };
    Some(Document {
        to: if header.mechanism.is_some() { None } else { Some(header.to.clone()) },
        fallbacks: match routing {
            None => Some(header.fallbacks.clone()),
            Some(routing) if routing.names_fallbacks => Some(ids(&routing.fallbacks)?),
            Some(_) => None,
        },
        exclude: routing.map_or(Some(Vec::new()), |routing| ids(&routing.exclude))?,
        kind: header.kind,
        category: header.category.clone(),
        service: header.service.clone(),
        urgency: header.urgency,
        jurisdiction: header.jurisdiction.clone(),
        // Its own end is kept.
        expires_days: 0,
        identity_allowed: header.identity_allowed,
        consent: section(&summary, "consent").unwrap_or_default(),
        summary: section(&summary, "summary").unwrap_or_default(),
        identity: match identity {
            Some(identity) => Some(identity?),
            None => None,
        },
        files: of_class(PartClass::Attachment).map(file).collect(),
        // How it hangs together with others is kept with the referral.
        onward_of: None,
        joins: None,
    })
}
