//! What the office knows, in the API's messages. Not here: words for people (`words`).

use std::sync::atomic::Ordering;

use proto::{
    directory::PublicKeyOf,
    evidence::Happening,
    ids::{AgencyId, Code, ReferralKey, TimeMs, Urgency},
    lifecycle::{Act, Status},
    operation::Operation,
    receipt::Receipt,
    refusal::Refusal,
    spoken::Spoken,
    wire,
    words::Language,
};

use tonic::Status as RpcStatus;

use crate::{
    alarm::Alarm,
    api,
    case::{Case, Logged, Standing, Step},
    clock, document, notices,
    office::{LinkState, NotSent, Office, outbound::kind_word, show::ShownPart},
    opening,
    put_off::PutOff,
    records::{ErasedWhy, SettledReason},
    rotation::{self, Certificate, Step as RotationStep, Wanted},
    routing::{self, Kept},
    spool::moving::Work,
    state::State,
    store::StoreFault,
    withdrawal::{self, Passed},
};

pub(super) fn flaws(flaws: &[document::Flaw]) -> api::Flaws {
    api::Flaws { flaws: flaws.iter().map(api::Flaw::from).collect() }
}

impl From<&document::Flaw> for api::Flaw {
    fn from(flaw: &document::Flaw) -> Self {
        Self { pointer: flaw.pointer.clone(), text_en: flaw.text_en(), text_ar: flaw.text_ar() }
    }
}

/// What the gateway would say.
pub(super) fn refusal(refusal: Refusal, legal: &[Act]) -> wire::RefusalAnswer {
    wire::RefusalAnswer {
        code: refusal.name().to_owned(),
        number: refusal.number(),
        field: refusal.field().to_owned(),
        text_en: refusal.text_en().to_owned(),
        text_ar: refusal.text_ar().to_owned(),
        receipt: None,
        legal_acts: legal.iter().map(|act| act.number()).collect(),
        mechanism: Vec::new(),
    }
}

/// To whom a document would go, or each of those into which it is split.
pub(super) fn explain(office: &Office, document: &[u8]) -> Result<api::ExplainAnswer, NotSent> {
    let flawed =
        |flawed: &[document::Flaw]| api::ExplainAnswer { flaws: Some(flaws(flawed)), choices: Vec::new() };
    let now = clock::now();
    let documents = match document::read_without_files(document, now) {
        Ok(documents) => documents,
        Err(found) => return Ok(flawed(&found)),
    };
    let mut answer = api::ExplainAnswer::default();
    for mut document in documents {
        match office.onward_of(&mut document) {
            Ok(_) => answer.choices.extend(choices(office, &document, now)),
            Err(NotSent::Flawed(found)) => return Ok(flawed(&found)),
            Err(other) => return Err(other),
        }
    }
    Ok(answer)
}

fn choices(office: &Office, document: &document::Document, now: TimeMs) -> Vec<api::Choice> {
    let choices =
        office.store.read(|state| routing::choices(state.replica().directory(), state.me(), document, now));
    let mut turn = 0;
    let choice = choices.into_iter().map(|choice| {
        let kept = choice.kept;
        turn += u32::from(kept.is_none());
        api::Choice {
            agency: choice.agency.to_string(),
            rule: choice.rule.map_or_else(String::new, |rule| rule.to_string()),
            turn: if kept.is_none() { turn } else { 0 },
            code: kept.map_or("", Kept::code).to_owned(),
            text_en: kept.map_or("", Kept::text_en).to_owned(),
            text_ar: kept.map_or("", Kept::text_ar).to_owned(),
        }
    });
    choice.collect()
}

pub(super) fn summary(state: &State, case: &Case) -> api::CaseSummary {
    let me = state.me();
    let split_with = state.split_with(&case.referral).filter(|other| other.referral != case.referral);
    let waiting = case.steps.iter().filter(|step| step.standing == Standing::Queued).count();
    let changed = case.steps.iter().map(|step| step.created_at.0).max().unwrap_or(0);
    let not_opened = case.steps.iter().any(|step| match &step.standing {
        Standing::Arrived(deliveries) => deliveries.iter().any(|delivery| !delivery.opened),
        Standing::Queued | Standing::Taken { .. } | Standing::Refused { .. } | Standing::Withdrawn => false,
    });
    let erasure = state.last_erasure(&case.referral);
    api::CaseSummary {
        referral: case.referral.id.to_string(),
        opened_by: case.referral.opened_by.to_string(),
        other: case.other(me).to_string(),
        incoming: case.referral.opened_by != *me,
        kind: kind_word(case.need.kind).to_owned(),
        category: case.need.category.to_string(),
        service: case.need.service.to_string(),
        jurisdiction: case.need.jurisdiction.to_string(),
        urgency: case.need.urgency.number(),
        status: case.status().number(),
        attempt: case.attempt(),
        waiting: u32::try_from(waiting).unwrap_or(u32::MAX),
        changed_at_ms: changed,
        legal_acts: case.legal_acts(me).into_iter().map(Act::number).collect(),
        not_opened,
        told: case.last_word().map(|told| entry(told.logged, &told.what)),
        erased_at_ms: erasure.map_or(0, |erasure| erasure.at.0),
        erased_why: erasure.map_or(0, |erasure| erased_why(erasure.why).into()),
        spoken_code: Spoken::of(&case.referral).to_string(),
        answers_for_it: case.answers_for_it().to_string(),
        split_with: split_with.map(|other| other.referral.id.to_string()).collect(),
    }
}

/// What a case hangs together with.
fn tied(state: &State, referral: &ReferralKey) -> Vec<api::Tied> {
    let passed = withdrawal::passed(state, referral);
    let furthest_behind = |other: &ReferralKey| {
        let of = passed.iter().filter(|(due, _)| due.referral == *other).map(|(_, passed)| *passed);
        of.min().map_or(api::Passed::Unspecified, |passed| match passed {
            Passed::Due => api::Passed::Due,
            Passed::Refused => api::Passed::Refused,
            Passed::On => api::Passed::On,
            Passed::Confirmed => api::Passed::Confirmed,
        })
    };
    let tied = |case: &Case, tie: api::Tie| api::Tied {
        referral: case.referral.id.to_string(),
        tie: tie.into(),
        other: case.other(state.me()).to_string(),
        status: case.status().number(),
        withdrawal: furthest_behind(&case.referral).into(),
    };
    let former = state.tie(referral).and_then(|tie| state.case(tie.onward_of.as_ref()?));
    let former = former.map(|case| tied(case, api::Tie::OnwardOf));
    let onward = state.onward(referral).map(|case| tied(case, api::Tie::Onward));
    let split = state.split_with(referral).filter(|other| other.referral != *referral);
    former.into_iter().chain(onward).chain(split.map(|case| tied(case, api::Tie::Split))).collect()
}

/// Whom to telephone about an emergency: the other side's duty desk, as the directory has it.
pub(crate) fn telephone(office: &Office, referral: &ReferralKey) -> Option<api::Telephone> {
    office.store.read(|state| {
        let case = state.case(referral).filter(|case| case.need.urgency == Urgency::Emergency)?;
        let (directory, other) = (state.replica().directory(), case.other(state.me()));
        let profile = directory.agency(other).and_then(|agency| agency.profile.as_ref());
        let (phone, hours) = profile
            .map(|profile| (profile.duty_phone.clone(), profile.duty_hours.clone()))
            .unwrap_or_default();
        let calendar = Code::parse(&hours, "hours").ok();
        let times = calendar.and_then(|name| directory.working_time(&name));
        let closed_now = times.is_some_and(|times| !times.holds(clock::now()));
        Some(api::Telephone { agency: other.to_string(), phone, hours, closed_now })
    })
}

pub(super) fn is_open(case: &api::CaseSummary) -> bool {
    case.waiting > 0 || Status::parse(case.status, "status").is_ok_and(|status| !status.is_final())
}

pub(super) fn show(office: &Office, referral: &ReferralKey) -> Result<api::ShowCaseAnswer, StoreFault> {
    let Some(case) = office.case(referral) else {
        return Ok(api::ShowCaseAnswer::default());
    };
    let steps = case.steps.iter().map(|step| self::step(office, step)).collect::<Result<_, _>>()?;
    let parts = office.parts(&case)?.into_iter().map(part).collect();
    let told = case.told.iter().map(|told| entry(told.logged, &told.what)).collect();
    let (summary, tied) = office.store.read(|state| (summary(state, &case), tied(state, referral)));
    let telephone = telephone(office, referral);
    Ok(api::ShowCaseAnswer { summary: Some(summary), steps, parts, told, tied, telephone })
}

fn step(office: &Office, step: &Step) -> Result<api::Step, StoreFault> {
    let (standing, logged) = match &step.standing {
        Standing::Queued => (api::Standing::Queued, None),
        Standing::Taken { logged, .. } => (api::Standing::Taken, Some(logged.index)),
        Standing::Refused { .. } => (api::Standing::Refused, None),
        Standing::Withdrawn => (api::Standing::Withdrawn, None),
        Standing::Arrived(deliveries) => {
            let opened = deliveries.iter().all(|delivery| delivery.opened);
            let standing = if opened { api::Standing::Arrived } else { api::Standing::NotOpened };
            (standing, deliveries.first().map(|delivery| delivery.logged.index))
        }
    };
    let (sealed_anew_in, to_be_sealed_anew) = office.store.read(|state| {
        let anew = state.anew();
        (
            anew.instead_of(&step.digest).map_or_else(String::new, ToString::to_string),
            anew.waits(&step.digest),
        )
    });
    Ok(api::Step {
        envelope: step.digest.to_string(),
        from: step.from.to_string(),
        to: step.to.to_string(),
        act: step.act.number(),
        reason: step.reason.map_or(0, proto::ids::ReasonClass::number),
        attempt: step.attempt,
        created_at_ms: step.created_at.0,
        standing: standing.into(),
        refusal: office.refusal(step)?,
        evidence: logged.map_or(0, |index| index.saturating_add(1)),
        sealed_anew_in,
        to_be_sealed_anew,
    })
}

fn part(shown: ShownPart) -> api::Part {
    let head = api::Part {
        envelope: shown.envelope.to_string(),
        part_id: shown.part_id,
        class: shown.class.number(),
        ..api::Part::default()
    };
    match shown.content {
        Ok(part) => api::Part {
            media_type: part.media_type,
            file_name: part.file_name,
            content: part.content,
            content_bytes: part.bytes,
            kept: match part.kept {
                opening::Kept::Here => api::Kept::Unspecified,
                opening::Kept::Apart => api::Kept::Apart,
                opening::Kept::Not => api::Kept::Not,
            }
            .into(),
            ..head
        },
        Err(why) => api::Part { not_opened: why.to_string(), ..head },
    }
}

pub(super) fn timeline_entry(receipt: &Receipt) -> api::TimelineEntry {
    let record = receipt.record();
    entry(Logged { index: record.place.index, at: record.place.time }, &record.what)
}

fn entry(logged: Logged, what: &Happening) -> api::TimelineEntry {
    let text = |agency: &Option<AgencyId>| agency.as_ref().map_or_else(String::new, ToString::to_string);
    api::TimelineEntry {
        index: logged.index,
        time_ms: logged.at.0,
        event: what.event.number(),
        sender: text(&what.sender),
        recipient: text(&what.recipient),
        attempt: what.attempt,
        act: what.act.map_or(0, Act::number),
        reason: what.reason.map_or(0, proto::ids::ReasonClass::number),
        status: what.status.map_or(0, Status::number),
        refusal: what.refusal.map_or(0, |(refusal, _)| refusal.number()),
        clock: i32::try_from(what.clock).unwrap_or(0),
        due_at_ms: what.due_at.0,
        operation: what.operation.map_or(0, Operation::number),
        operation_reason: what.operation_reason.as_ref().map_or_else(String::new, ToString::to_string),
        people: what.operation.map_or(0, |_| what.count),
    }
}

pub(super) fn receipt_file(receipt: &Receipt) -> api::ReceiptFile {
    let record = receipt.record();
    api::ReceiptFile {
        index: record.place.index,
        event: record.what.event.number(),
        time_ms: record.place.time.0,
        file: receipt.to_file(),
    }
}

pub(super) fn status(office: &Office) -> api::StatusAnswer {
    let (connected, why, since) = match office.link.borrow().clone() {
        LinkState::Up { since } => (true, String::new(), since),
        LinkState::Down { why, since } => (false, why.unwrap_or_default(), since),
    };
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    office.store.read(|state| {
        let unproven = [wire::LogName::Evidence, wire::LogName::Directory].into_iter();
        let unproven = unproven.filter(|log| state.alarms().is_unproven(*log));
        api::StatusAnswer {
            agency: office.me.to_string(),
            network: office.network.name.to_string(),
            connected,
            why,
            since_ms: since.0,
            waiting: count(state.queue().len()),
            going_again: count(state.going_again()),
            cases: count(state.cases().count()),
            directory_size: state.replica().log().size(),
            certificate_ends_at_s: office.certificate_ends_at_s.load(Ordering::Relaxed),
            renewal: Some(renewal(office.renewal.standing())),
            to_be_proven: unproven.map(i32::from).collect(),
            may_seal: state.may_seal(),
            alarms: state.alarms().standing().iter().map(alarm).collect(),
            notices: office.notices.all().into_iter().map(notice_way).collect(),
            exchange: exchange(office.exchange.standing()),
            // What is not connected says why by itself.
            put_off: office.put_off.standing().filter(|_| connected).map(|it| put_off(&it)),
            sealing: moved(office, Work::Sealing),
            uploading: moved(office, Work::Uploading),
            rotation: office.rotation.standing().map(|standing| rotation(&standing)),
        }
    })
}

fn moved(office: &Office, work: Work) -> Option<api::Moved> {
    let moved = office.spool.moving.of(work)?;
    Some(api::Moved { done_bytes: moved.done, all_bytes: moved.all })
}

/// Which keys are asked for.
pub(super) fn wanted(request: &api::RotateKeysRequest) -> Result<Wanted, RpcStatus> {
    let none = Wanted { signing: false, sealing: false, witness: false, certificate: false };
    if request.keys.is_empty() {
        return Ok(Wanted::ALL);
    }
    request.keys().try_fold(none, |wanted, key| match key {
        api::RotatedKey::Unspecified => Err(RpcStatus::invalid_argument("no such key")),
        api::RotatedKey::Signing => Ok(Wanted { signing: true, ..wanted }),
        api::RotatedKey::Sealing => Ok(Wanted { sealing: true, ..wanted }),
        api::RotatedKey::Witness => Ok(Wanted { witness: true, ..wanted }),
        api::RotatedKey::Tls => Ok(Wanted { certificate: true, ..wanted }),
    })
}

/// How a rotation of keys stands.
pub(super) fn rotation(standing: &rotation::Standing) -> api::Rotation {
    let plan = &standing.plan;
    let failing = standing.failing.as_ref();
    let turn = |turn: &rotation::Turn| {
        let (new, former) = (turn.new_key()?, turn.former_key()?);
        let key = match new {
            PublicKeyOf::Signing(_) => api::RotatedKey::Signing,
            PublicKeyOf::Sealing(_) => api::RotatedKey::Sealing,
            PublicKeyOf::Witness(_) => api::RotatedKey::Witness,
        };
        let (new_id, former_id) = (new.id().to_string(), former.id().to_string());
        Some(api::KeyTurn { key: key.into(), new_id, former_id })
    };
    let certificate_left = match &plan.certificate {
        Certificate::Left(code) => code.clone(),
        Certificate::Kept | Certificate::Due | Certificate::Renewed | Certificate::Done => String::new(),
    };
    api::Rotation {
        begun_at_ms: plan.begun_at_ms,
        in_use: plan.step == RotationStep::InUse,
        waits_for: standing.waits.code().to_owned(),
        turns: plan.turns.iter().filter_map(turn).collect(),
        sealing_goes_at_ms: plan.sealing_goes_at_ms,
        certificate_left,
        failing_since_ms: failing.map_or(0, |failing| failing.since.0),
        code: failing.map_or("", |failing| failing.code).to_owned(),
        why_en: failing.map(|failing| failing.why_en.clone()).unwrap_or_default(),
        why_ar: failing.map(|failing| failing.why_ar.clone()).unwrap_or_default(),
    }
}

fn put_off(put_off: &PutOff) -> api::PutOff {
    api::PutOff {
        code: put_off.code.clone(),
        since_ms: put_off.since.0,
        text_en: put_off.text(Language::English).to_owned(),
        text_ar: put_off.text(Language::Arabic).to_owned(),
    }
}

fn exchange(standing: crate::exchange::Standing) -> Option<api::Exchange> {
    let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let warning = |warning: &crate::exchange::Warning| api::ExchangeWarning {
        code: warning.code().to_owned(),
        text_en: warning.text_en().to_owned(),
        text_ar: warning.text_ar().to_owned(),
    };
    Some(api::Exchange {
        folder: standing.folder?.display().to_string(),
        flawed: count(standing.flawed),
        handed: count(standing.handed),
        not_looked: standing.not_looked.unwrap_or_default(),
        warnings: standing.warnings.iter().map(warning).collect(),
    })
}

pub(super) fn alarm(alarm: &Alarm) -> api::Alarm {
    api::Alarm {
        kind: alarm.kind.as_str_name().to_owned(),
        detail: alarm.detail.clone(),
        envelope: alarm.about.map_or_else(String::new, |digest| digest.to_string()),
        at_ms: alarm.at_ms,
        alarm: alarm.name(),
        text_en: alarm.text_en().to_owned(),
        text_ar: alarm.text_ar().to_owned(),
        stops_sealing: alarm.stops_sealing(),
    }
}

/// The reason as it is written down.
pub(super) const fn settled_reason(reason: api::SettledReason) -> SettledReason {
    match reason {
        api::SettledReason::Unspecified => SettledReason::Unspecified,
        api::SettledReason::Mended => SettledReason::Mended,
        api::SettledReason::Explained => SettledReason::Explained,
        api::SettledReason::Exercise => SettledReason::Exercise,
        api::SettledReason::FalseAlarm => SettledReason::FalseAlarm,
    }
}

const fn erased_why(why: ErasedWhy) -> api::ErasedWhy {
    match why {
        ErasedWhy::Unspecified => api::ErasedWhy::Unspecified,
        ErasedWhy::Purged => api::ErasedWhy::Purged,
        ErasedWhy::KeptLongEnough => api::ErasedWhy::KeptLongEnough,
    }
}

fn renewal(standing: crate::renewal::Standing) -> api::Renewal {
    let failing = standing.failing;
    api::Renewal {
        due_at_s: standing.due_at_s,
        renewed_at_ms: standing.renewed_at.map_or(0, |at| at.0),
        failing_since_ms: failing.as_ref().map_or(0, |failing| failing.since.0),
        code: failing.as_ref().map_or("", |failing| failing.code).to_owned(),
        why_en: failing.as_ref().map_or_else(String::new, |failing| failing.why_en.clone()),
        why_ar: failing.map_or_else(String::new, |failing| failing.why_ar),
    }
}

fn notice_way((way, standing): (&'static str, notices::Standing)) -> api::NoticeWay {
    let failing = standing.failing;
    api::NoticeWay {
        way: way.to_owned(),
        told_at_ms: standing.told_at.map_or(0, |at| at.0),
        failing_since_ms: failing.map_or(0, |(since, _)| since.0),
        why_en: failing.map_or_else(String::new, |(_, why)| why.to_string()),
        why_ar: failing.map_or("", |(_, why)| why.text_ar()).to_owned(),
    }
}
