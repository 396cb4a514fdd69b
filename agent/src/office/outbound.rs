//! What goes out: referrals and acts are made into envelopes and written down; the gateway's answers
//! to them are verified and written down. Not here: pushing (`link::outbox`).

pub mod anew;

use std::time::Duration;

use proto::{
    agreement,
    digest::Digest,
    directory::Directory,
    header::Header,
    ids::{Addressing, AgencyId, EnvelopeId, Kind, PartClass, ReasonClass, ReferralKey, Release, TimeMs},
    lifecycle::Act,
    payload::{Home, class_of_outcome, class_of_reason},
    refusal::{Class, Refusal},
    vocabulary::{OUTCOMES, REASONS},
    wire,
};
use serde_json::{Map, Value, json};

use super::{IDEMPOTENCY_KEY_BYTES_MAX, NotSent, Office, Sent, entry, new_id, onward, refusal_of};
use crate::{
    case::{Asked, Case, Need},
    clock,
    document::{self, Document, File, Flaw, What},
    draft::{self, Drafted, PlainPart, Plan, SealedParts},
    proof::{self, About},
    records::{self, record},
    routing,
    spool::Listed,
    state::{State, Tie},
    store::{Claim, StoreFault},
    withdrawal,
};

/// How long an act waits for its recipient: 30 days.
pub const ACT_LIFETIME_MS: u64 = 30 * 24 * 60 * 60 * 1000;
/// How long to wait before pushing again what a limit kept out.
pub const EXHAUSTED_WAIT: Duration = Duration::from_secs(60);
/// The shortest wait after a fault, whatever the gateway asks for.
const FAULT_WAIT_MIN: Duration = Duration::from_millis(100);
/// The longest.
const FAULT_WAIT_MAX: Duration = Duration::from_secs(600);
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// A referral that the agency wants to send.
#[derive(Clone, Default)]
pub struct SendRequest {
    /// The document, JSON.
    pub document: Vec<u8>,
    /// The files that go with it.
    pub files: Vec<File>,
    /// Asked again under the same key, it is not sent again. Empty for none.
    pub idempotency_key: String,
    /// Let the gateway decide, whatever the rules here say.
    pub unchecked: bool,
    /// The referral in which another agency is asked now; none for a new one.
    pub again: Option<ReferralKey>,
}

/// An act that the agency wants to do.
#[derive(Clone)]
pub struct ActRequest {
    /// In which referral.
    pub referral: ReferralKey,
    /// What.
    pub act: Act,
    /// Its detail: JSON, empty for none.
    pub fields: Vec<u8>,
    /// The files that go with it.
    pub files: Vec<File>,
    /// As in [`SendRequest`].
    pub idempotency_key: String,
    /// As in [`SendRequest`].
    pub unchecked: bool,
}

/// A referral in the making.
struct Piece {
    document: Document,
    onward_of: Option<ReferralKey>,
    id: EnvelopeId,
    now: TimeMs,
    sealed: SealedParts,
}

/// What keeps a thread together, and who works in it now; nothing when this agency keeps no such thread, or
/// it is over, or her consent to it is withdrawn.
fn thread(state: &State, of: &ReferralKey) -> Option<(ReferralKey, Vec<AgencyId>)> {
    let me = state.me();
    let is_under_way = |case: &&Case| !case.status().is_final();
    let first = state.case(of).filter(|case| case.referral.opened_by == *me).filter(is_under_way)?;
    let root = state.tie(of).and_then(|tie| tie.split_of.clone()).unwrap_or_else(|| of.clone());
    let tied: Vec<&Case> = state.split_with(&root).collect();
    let all = if tied.is_empty() { vec![first] } else { tied };
    if all.iter().any(|case| withdrawal::is_withdrawn_here(case)) {
        return None;
    }
    let others = all.into_iter().filter(is_under_way).map(|case| case.other(me).clone()).collect();
    Some((root, others))
}

/// What becomes of an envelope after an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// It is answered, for good.
    Done,
    /// It is pushed again, the same bytes, after this time.
    Again(Duration),
}

impl Office {
    /// Makes a referral of a document and writes it down.
    ///
    /// # Errors
    /// [`NotSent`].
    pub async fn send(&self, request: SendRequest) -> Result<Sent, NotSent> {
        check_key(&request.idempotency_key)?;
        let now = clock::now();
        let documents = document::read_all(&request.document, request.files, now).map_err(NotSent::Flawed)?;
        if let Some(sent) = self.sent_before(&request.idempotency_key) {
            return Ok(sent);
        }
        let again = request.again.as_ref();
        // One attempt asks one agency.
        if again.is_some() && documents.len() > 1 {
            return Err(NotSent::Flawed(vec![Flaw { pointer: "/split".into(), what: What::NotOfAct }]));
        }
        let mut pieces = Vec::with_capacity(documents.len());
        let mut joins = None;
        for mut document in documents {
            self.go_on_again(&mut document, again);
            let onward_of = self.onward_of(&mut document)?;
            joins = joins.or(self.joins(&mut document)?);
            // Each has its own time and id: nothing in the headers says that they hang together.
            let now = clock::now();
            let id = new_id(now)?;
            let plan = self.store.read(|state| {
                let opening = opening(state, &document, again, (id, now))?;
                plan_referral(state, opening, &document, request.unchecked)
            })?;
            // Large files take their time: nothing else waits for it.
            let sealed = self.seal(plan).await?;
            pieces.push(Piece { document, onward_of, id, now, sealed });
        }
        let _pen = self.pen.lock().await;
        if let Some(sent) = self.sent_before(&request.idempotency_key) {
            return Ok(sent);
        }
        let split_of = pieces.first().filter(|_| pieces.len() > 1).map(|first| first.id);
        let split_of = split_of.map(|id| ReferralKey { id, opened_by: self.me.clone() }).or(joins);
        let mut drafted = Vec::with_capacity(pieces.len());
        for piece in pieces {
            let tie = Tie { onward_of: piece.onward_of.clone(), split_of: split_of.clone() };
            drafted.push((self.draft(piece, again, request.unchecked)?, tie));
        }
        self.queue(drafted, &request.idempotency_key).await
    }

    /// The thread that a document joins, if it does: its recipient is told with whom it works there.
    fn joins(&self, document: &mut Document) -> Result<Option<ReferralKey>, NotSent> {
        let Some(text) = document.joins.clone() else {
            return Ok(None);
        };
        let flawed = |what| NotSent::Flawed(vec![Flaw { pointer: "/joins".into(), what }]);
        let former = self.find(&text).map_err(|none| flawed(none.flaw(What::JoinsUnknown)))?;
        let (root, others) =
            self.store.read(|state| thread(state, &former)).ok_or_else(|| flawed(What::JoinsUnknown))?;
        let flaws = document::joint::with(document, &others);
        if flaws.is_empty() { Ok(Some(root)) } else { Err(NotSent::Flawed(flaws)) }
    }

    /// An envelope that opens a referral, as the directory and the referrals stand now.
    fn draft(&self, piece: Piece, again: Option<&ReferralKey>, unchecked: bool) -> Result<Drafted, NotSent> {
        let Piece { document, onward_of, id, now, sealed } = piece;
        self.store.read(|state| {
            may_seal(state)?;
            // What was withdrawn meanwhile goes no further.
            onward_of.iter().try_for_each(|former| onward::may_go_on(state, former))?;
            let directory = state.replica().directory();
            let opening = opening(state, &document, again, (id, now))?;
            let keys = draft::keys_of(directory, &opening, now);
            let mut header = sealed.follow(opening, &keys)?;
            match directory.route(&header, now) {
                Ok((agreement, _)) => header.agreement = agreement,
                Err(none) if !unchecked => return Err(none.refusal.into()),
                Err(_) => {}
            }
            let drafted = sealed.sign(header, &self.keys().signing)?;
            Ok(Drafted { routing: routing::kept(&document), ..drafted })
        })
    }

    /// Tells an agency that was asked in some attempt that her consent is withdrawn. Nothing is sealed for
    /// that.
    pub(crate) async fn withdraw_from(&self, referral: &ReferralKey, asked: &Asked) -> Result<Sent, NotSent> {
        let now = clock::now();
        let id = new_id(now)?;
        let _pen = self.pen.lock().await;
        let drafted = self.store.read(|state| {
            let case = state.case(referral).ok_or(NotSent::UnknownReferral)?;
            let header = acting(state, case, Act::WithdrawConsent, asked, (id, now));
            let sealed = Plan::new(header.clone(), Vec::new(), draft::Keys::new())?.seal(&self.spool)?;
            Ok::<_, NotSent>(sealed.sign(header, &self.keys().signing)?)
        })?;
        self.queue(vec![(drafted, Tie::default())], "").await
    }

    /// Does an act in a referral and writes it down.
    ///
    /// # Errors
    /// [`NotSent`].
    pub async fn act(&self, request: ActRequest) -> Result<Sent, NotSent> {
        check_key(&request.idempotency_key)?;
        let fields = if request.fields.is_empty() {
            Map::new()
        } else {
            document::read_part(&request.fields, home_of(request.act)).map_err(NotSent::Flawed)?
        };
        let reason = reason_of(request.act, &fields)?;
        self.check_early(&request.referral, home_of(request.act), &fields)?;
        self.check_persons(&request, &fields, clock::now())?;
        self.check_onward_act(&request, &fields)?;
        if let Some(sent) = self.sent_before(&request.idempotency_key) {
            return Ok(sent);
        }
        let identity = self.identity_kept(&request, &fields)?;
        let parts = act_parts(&request, fields, identity);
        let now = clock::now();
        let id = new_id(now)?;
        let acting = |state: &State| {
            let case = state.case(&request.referral).ok_or(NotSent::UnknownReferral)?;
            let legal = case.legal_acts(&self.me);
            if !request.unchecked && !legal.contains(&request.act) {
                return Err(NotSent::Refused { refusal: Refusal::ActNotLegal, legal });
            }
            let asked = case.present(&self.me);
            Ok(Header { reason, ..acting(state, case, request.act, &asked, (id, now)) })
        };
        let plan = self.store.read(|state| plan_act(state, acting(state)?, parts, request.unchecked))?;
        let sealed = self.seal(plan).await?;
        let _pen = self.pen.lock().await;
        if let Some(sent) = self.sent_before(&request.idempotency_key) {
            return Ok(sent);
        }
        let drafted = self.store.read(|state| {
            may_seal(state)?;
            let directory = state.replica().directory();
            let header = acting(state)?;
            let keys = draft::keys_of(directory, &header, now);
            let header = sealed.follow(header, &keys)?;
            check_act(state, &header, request.unchecked)?;
            Ok::<_, NotSent>(sealed.sign(header, &self.keys().signing)?)
        })?;
        self.queue(vec![(drafted, Tie::default())], &request.idempotency_key).await
    }

    /// Sealing costs milliseconds, of a large file seconds: not on a thread that others wait for.
    async fn seal(&self, plan: Plan) -> Result<SealedParts, NotSent> {
        let spool = self.spool.clone();
        let sealed = tokio::task::spawn_blocking(move || plan.seal(&spool)).await;
        Ok(sealed.map_err(|_| StoreFault::Ended)??)
    }

    pub(crate) fn sent_before(&self, idempotency_key: &str) -> Option<Sent> {
        self.store.read(|state| {
            let digest = state.asked(idempotency_key).filter(|_| !idempotency_key.is_empty())?;
            let case = state.case_of(digest)?;
            let envelope_id = case.step(digest)?.envelope_id;
            let referral = case.referral.clone();
            let others = state.split_with(&referral).map(|case| case.referral.clone());
            let others = others.filter(|other| *other != referral).collect();
            Some(Sent { referral, digest: *digest, envelope_id, others })
        })
    }

    /// The identity that a disclosure sends: the one that is given, or else the one that this side
    /// kept of the submission.
    fn identity_kept(
        &self,
        request: &ActRequest,
        fields: &Map<String, Value>,
    ) -> Result<Option<Vec<u8>>, NotSent> {
        if request.act != Act::Disclose || !fields.is_empty() {
            return Ok(None);
        }
        let place = self.store.read(|state| Some(state.case(&request.referral)?.submission()?.place));
        match self.identity_of(place.ok_or(NotSent::UnknownReferral)?)? {
            Some(identity) => Ok(Some(identity)),
            None => Err(NotSent::Flawed(vec![Flaw { pointer: "/persons".into(), what: What::Missing }])),
        }
    }

    /// Takes the gateway's answer to a push.
    ///
    /// # Errors
    /// [`StoreFault`].
    pub async fn answered(
        &self,
        digest: &Digest,
        answer: Option<wire::push_answer::Answer>,
    ) -> Result<Next, StoreFault> {
        use wire::push_answer::Answer;
        match answer {
            Some(Answer::Receipt(receipt)) => {
                self.put_off.goes_on();
                self.taken(digest, receipt).await
            }
            Some(Answer::Refusal(refusal)) => {
                self.put_off.goes_on();
                self.refused(digest, refusal).await
            }
            Some(Answer::Fault(fault)) => {
                tracing::info!(envelope = %digest, code = fault.code, "the gateway asks to try again");
                self.put_off.put_off(&fault.code, clock::now());
                let wait = Duration::from_millis(fault.retry_after_ms);
                Ok(Next::Again(wait.clamp(FAULT_WAIT_MIN, FAULT_WAIT_MAX)))
            }
            None => Ok(Next::Again(EXHAUSTED_WAIT)),
        }
    }

    async fn taken(&self, digest: &Digest, receipt: wire::Receipt) -> Result<Next, StoreFault> {
        if let Err(bad) = proof::verify(receipt.clone(), &self.policy, About::Pushed(digest)) {
            self.alarm(records::AlarmKind::BadReceipt, Some(*digest), bad.to_string()).await?;
            return Ok(Next::Again(EXHAUSTED_WAIT));
        }
        let answer = records::answered::Answer::Receipt(receipt);
        self.settle(vec![*digest], vec![answered(digest, answer)]).await?;
        Ok(Next::Done)
    }

    /// A refusal ends the envelope, and those that follow it: they would be refused too. A limit that
    /// is reached ends nothing.
    async fn refused(&self, digest: &Digest, mut refusal: wire::RefusalAnswer) -> Result<Next, StoreFault> {
        if refusal_of(&refusal).is_some_and(|refusal| refusal.class() == Class::Exhausted) {
            tracing::warn!(envelope = %digest, code = refusal.code, "a limit is reached; it waits");
            return Ok(Next::Again(EXHAUSTED_WAIT));
        }
        if refusal_of(&refusal) == Some(Refusal::PartNotUploaded) && self.can_upload(digest) {
            tracing::warn!(envelope = %digest, "the gateway misses an attachment; it is uploaded again");
            return Ok(Next::Again(EXHAUSTED_WAIT));
        }
        if refusal_of(&refusal).is_some_and(|refusal| self.comes_first(digest, refusal)) {
            tracing::info!(envelope = %digest, code = refusal.code, "it waits for what is pushed again before it");
            return Ok(Next::Again(EXHAUSTED_WAIT));
        }
        if let Some(receipt) = refusal.receipt.take() {
            match proof::verify(receipt.clone(), &self.policy, About::Rejected) {
                Ok(_) => refusal.receipt = Some(receipt),
                Err(bad) => {
                    self.alarm(records::AlarmKind::BadReceipt, Some(*digest), bad.to_string()).await?;
                }
            }
        }
        tracing::warn!(envelope = %digest, code = refusal.code, field = refusal.field, "the gateway refused it");
        let behind: Vec<Digest> = self.store.read(|state| {
            let referral = state.case_of(digest).map(|case| &case.referral);
            let line = referral.into_iter().flat_map(|referral| state.queue().of(referral));
            line.filter(|waiting| waiting != digest).collect()
        });
        let mut entries = vec![answered(digest, records::answered::Answer::Refusal(refusal))];
        entries.extend(
            behind.iter().map(|waiting| {
                answered(waiting, records::answered::Answer::WithdrawnBehind(digest.to_vec()))
            }),
        );
        self.settle([vec![*digest], behind].concat(), entries).await?;
        Ok(Next::Done)
    }

    /// Whether a refusal is only of now: the gateway was restored, and what this one follows is pushed again by
    /// whoever sent it.
    fn comes_first(&self, digest: &Digest, refusal: Refusal) -> bool {
        let waits = matches!(
            refusal,
            Refusal::UnknownReferral
                | Refusal::OutOfSequence
                | Refusal::PreviousDiffers
                | Refusal::AttemptNumber
                | Refusal::AttemptOpen
                | Refusal::ActNotLegal
        );
        waits && self.store.read(|state| state.case_of(digest).is_some_and(Case::waits_for_others))
    }

    /// Writes down what ends envelopes, and then forgets what was to be uploaded for them.
    async fn settle(&self, ended: Vec<Digest>, entries: Vec<crate::store::Entry>) -> Result<(), StoreFault> {
        let files: Vec<Listed> =
            self.store.read(|state| ended.iter().flat_map(|digest| state.going(digest)).copied().collect());
        self.write(entries, Claim::Reserved).await?;
        for file in files {
            self.spool.forget(&file.sha256);
        }
        Ok(())
    }

    /// Whether everything that an envelope needs to have uploaded lies here.
    fn can_upload(&self, digest: &Digest) -> bool {
        let files = self.store.read(|state| state.going(digest).to_vec());
        files.iter().all(|file| matches!(self.spool.going(file), Ok(Some(_))))
    }
}

fn answered(digest: &Digest, answer: records::answered::Answer) -> crate::store::Entry {
    let answered = records::Answered { digest: digest.to_vec(), answer: Some(answer) };
    entry(record::Record::Answered(answered), None)
}

fn check_key(idempotency_key: &str) -> Result<(), NotSent> {
    if idempotency_key.len() > IDEMPOTENCY_KEY_BYTES_MAX { Err(NotSent::IdempotencyKey) } else { Ok(()) }
}

/// The rules are asked before anything is sealed: an attachment that an agreement does not allow costs
/// nobody time.
fn plan_referral(
    state: &State,
    mut header: Header,
    document: &Document,
    unchecked: bool,
) -> Result<Plan, NotSent> {
    may_seal(state)?;
    let directory = state.replica().directory();
    let now = header.created_at;
    let held = match directory.route(&header, now) {
        Ok((agreement, clause)) => {
            header.agreement = agreement;
            draft::released(document.kind, clause)
        }
        // The gateway decides; a header must name some agreement.
        Err(none) if unchecked => {
            header.agreement = none.agreement.unwrap_or_default();
            Some(Release::OnAcceptance)
        }
        Err(none) => return Err(none.refusal.into()),
    };
    let fallbacks: Vec<_> =
        header.fallbacks.iter().map(|to| (to.clone(), ahead(directory, &header, to))).collect();
    if held.is_none() || fallbacks.iter().any(|(_, held)| held.is_none()) {
        files_stay(document)?;
    }
    let parts = draft::parts_of(document, held, &fallbacks);
    let keys = draft::keys_of(directory, &header, now);
    // What one of them gets is here anyway.
    let kept = draft::identity_part(document, Release::OnAcceptance).filter(|_| held.is_none());
    let plan = Plan::new(header, parts, keys)?.keeping(kept);
    let header = plan.header();
    let agreed = |fallback| directory.may_fall_back(header, fallback, now);
    match directory.route(header, now) {
        _ if unchecked => Ok(plan),
        Err(none) => Err(none.refusal.into()),
        Ok(_) if !header.fallbacks.iter().all(agreed) => Err(Refusal::FallbackNotAgreed.into()),
        Ok(_) => Ok(plan),
    }
}

/// When a fallback gets identity: by the clause under which it would be asked.
fn ahead(directory: &Directory, header: &Header, to: &AgencyId) -> Option<Release> {
    let need = agreement::Need { to, addressing: Addressing::ByNeed, ..header.into() };
    let clause = directory.agreed(need, header.created_at).map(|(_, clause)| clause);
    clause.map_or(Some(Release::OnAcceptance), |clause| draft::released(header.kind, clause))
}

/// Files are not kept for later: whoever must not have them yet gets them with the disclosure.
fn files_stay(document: &Document) -> Result<(), NotSent> {
    let stay = document.files.iter().enumerate().filter(|(_, file)| file.contains_identity);
    let flaws =
        stay.map(|(place, _)| Flaw { pointer: format!("/attachments/{place}"), what: What::StaysHere });
    let flaws: Vec<_> = flaws.collect();
    if flaws.is_empty() { Ok(()) } else { Err(NotSent::Flawed(flaws)) }
}

fn plan_act(state: &State, header: Header, parts: Vec<PlainPart>, unchecked: bool) -> Result<Plan, NotSent> {
    may_seal(state)?;
    let keys = draft::keys_of(state.replica().directory(), &header, header.created_at);
    let plan = Plan::new(header, parts, keys)?;
    check_act(state, plan.header(), unchecked)?;
    Ok(plan)
}

/// Identity goes by the agreement in force. The sizes of files are those of the referral's agreement,
/// whichever of the two sends them.
fn check_act(state: &State, header: &Header, unchecked: bool) -> Result<(), NotSent> {
    if unchecked {
        return Ok(());
    }
    let directory = state.replica().directory();
    if header.parts.iter().any(|part| part.class == PartClass::Identity) {
        directory.route(header, header.created_at).map_err(|none| none.refusal)?;
    }
    let Some(held) = directory.agreement(&header.agreement, &header.from) else {
        return Ok(());
    };
    let both = [&header.from, &header.to];
    let between = held
        .agreement
        .clauses
        .iter()
        .filter(|clause| both.contains(&&clause.from) && both.contains(&&clause.to));
    let mut refused = None;
    for clause in between {
        match clause.permits_sizes(&header.parts, None) {
            Ok(()) => return Ok(()),
            Err(refusal) => refused = Some(refusal),
        }
    }
    refused.map_or(Ok(()), |refusal| Err(refusal.into()))
}

fn may_seal(state: &State) -> Result<(), NotSent> {
    if state.replica().log().size() == 0 {
        Err(NotSent::NoDirectory)
    } else if state.may_seal() {
        Ok(())
    } else {
        Err(NotSent::Alarmed)
    }
}

/// The header that opens a referral, or a new attempt in one, without its parts.
fn opening(
    state: &State,
    document: &Document,
    again: Option<&ReferralKey>,
    (id, now): (EnvelopeId, TimeMs),
) -> Result<Header, NotSent> {
    let me = state.me().clone();
    let route = routing::route(state.replica().directory(), &me, document, now)?;
    let need = Need {
        kind: document.kind,
        category: document.category.clone(),
        service: document.service.clone(),
        urgency: document.urgency,
        jurisdiction: document.jurisdiction.clone(),
        agreement: Digest::default(),
        identity_allowed: document.identity_allowed,
    };
    let first = ReferralKey { id, opened_by: me.clone() };
    let expires_at = now.plus_ms(document.expires_days * DAY_MS);
    let (mechanism, rule) = route.rule.unzip();
    let opening = header(state, (id, first, now), &need, (route.to, expires_at));
    let (addressing, fallbacks) = (route.addressing, route.fallbacks);
    let opening = Header { addressing, mechanism, rule, fallbacks, ..opening };
    let Some(referral) = again else {
        return Ok(opening);
    };
    let case = state.case(referral).filter(|case| case.referral.opened_by == me);
    let case = case.ok_or(NotSent::UnknownReferral)?;
    let last = case.last_of(&me);
    Ok(Header {
        referral: referral.clone(),
        attempt: case.attempt() + 1,
        sequence: last.map_or(1, |step| step.sequence + 1),
        previous: last.map(|step| step.digest),
        ..opening
    })
}

/// The header of an act, without its parts and reason.
fn acting(state: &State, case: &Case, act: Act, asked: &Asked, (id, now): (EnvelopeId, TimeMs)) -> Header {
    let me = state.me();
    let to = asked.agency.clone();
    let last = case.last_of(me);
    let ends = (to, now.plus_ms(ACT_LIFETIME_MS));
    let header = header(state, (id, case.referral.clone(), now), &case.need, ends);
    Header {
        act,
        attempt: asked.attempt,
        agreement: asked.agreement,
        sequence: last.map_or(1, |step| step.sequence + 1),
        previous: last.map(|step| step.digest),
        in_reply_to: case.last_of(&asked.agency).map(|step| step.digest),
        ..header
    }
}

fn header(
    state: &State,
    (envelope_id, referral, created_at): (EnvelopeId, ReferralKey, TimeMs),
    need: &Need,
    (to, expires_at): (AgencyId, TimeMs),
) -> Header {
    Header {
        envelope_id,
        referral,
        attempt: 1,
        sequence: 1,
        previous: None,
        in_reply_to: None,
        kind: need.kind,
        act: Act::Submit,
        reason: None,
        from: state.me().clone(),
        to,
        category: need.category.clone(),
        service: need.service.clone(),
        urgency: need.urgency,
        jurisdiction: need.jurisdiction.clone(),
        identity_allowed: need.identity_allowed,
        addressing: Addressing::ByName,
        directory_size: state.replica().log().size(),
        agreement: need.agreement,
        mechanism: None,
        rule: None,
        created_at,
        expires_at,
        parts: Vec::new(),
        fallbacks: Vec::new(),
    }
}

/// Which fields the detail of an act may have.
fn home_of(act: Act) -> Home {
    if act == Act::Disclose {
        Home::Identity
    } else if act == Act::ChangeContact {
        Home::Summary
    } else {
        Home::Detail
    }
}

/// What the header says of why, from the detail; it must be there where the act needs one.
fn reason_of(act: Act, fields: &Map<String, Value>) -> Result<Option<ReasonClass>, NotSent> {
    let code = |name: &str| fields.get(name).and_then(Value::as_str);
    let (name, class, vocabulary) = if matches!(act, Act::Decline | Act::Fail) {
        ("reason", code("reason").and_then(class_of_reason), REASONS)
    } else if act == Act::Complete {
        ("outcome", code("outcome").and_then(class_of_outcome), OUTCOMES)
    } else {
        return Ok(None);
    };
    match class {
        Some(class) => Ok(Some(class)),
        None => {
            let what = What::not_a_code(vocabulary, code(name).unwrap_or_default());
            Err(NotSent::Flawed(vec![Flaw { pointer: format!("/{name}"), what }]))
        }
    }
}

fn act_parts(request: &ActRequest, fields: Map<String, Value>, identity: Option<Vec<u8>>) -> Vec<PlainPart> {
    let mut parts = Vec::new();
    if let Some(content) = identity {
        let part = draft::json_part(PartClass::Identity, Release::AtOnce, &Value::Null);
        parts.push(PlainPart { content: content.into(), ..part });
    } else if !fields.is_empty() {
        parts.push(match home_of(request.act) {
            Home::Identity => {
                draft::json_part(PartClass::Identity, Release::AtOnce, &json!({"identity": fields}))
            }
            Home::Summary => {
                draft::json_part(PartClass::Summary, Release::AtOnce, &json!({"summary": fields}))
            }
            Home::Detail | Home::Consent | Home::Either | Home::Barred | Home::Throughout => {
                draft::detail(&fields)
            }
        });
    }
    parts.extend(request.files.iter().map(|file| PlainPart {
        fallback: None,
        class: PartClass::Attachment,
        release: Release::AtOnce,
        media_type: if file.media_type.is_empty() {
            document::media_type(&file.name).to_owned()
        } else {
            file.media_type.clone()
        },
        file_name: file.name.clone(),
        content: file.content.clone(),
    }));
    parts
}

/// Kinds by the words that people write.
#[must_use]
pub const fn kind_word(kind: Kind) -> &'static str {
    match kind {
        Kind::Referral => "referral",
        Kind::SuspicionReport => "suspicion_report",
        Kind::Notice => "notice",
        Kind::Document => "document",
        Kind::Message => "message",
    }
}
