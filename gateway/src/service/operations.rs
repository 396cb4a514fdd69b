//! `Operations`: how deliveries stand, and whom to call. Nothing is shown before the look is evidence. Not
//! here: what counts as stuck (`proto::stuck`), and collecting it (`crate::operations`).

use std::sync::Arc;

use proto::{
    alert::Alert,
    caller::Caller,
    command::{Command, Query, Sight},
    directory::Directory,
    ids::{ReferralKey, TimeMs},
    operation::{Operate, Operation, People, SECOND_PERSON_MS},
    receipt::Receipt,
    stuck::{Awaited, Cause},
    wire,
    words::Language,
};
use tonic::{Request, Response, Status};

use super::{Gateway, answers, caller, stubs::operations_server::Operations};
use crate::{
    alerts::{WayStanding, said},
    clock,
    history::Log,
    hub::Unavailable,
    operations::{AgencyStanding, Overview, duty},
    writer,
};

/// Most items of one answer.
pub const ITEMS_MAX: usize = 1_000;
/// What is looked at.
pub(crate) const DELIVERIES: Query = Query { of: Sight::Deliveries, referral: None, index: None };

/// The service.
#[derive(Clone)]
pub struct OperationsService(pub Arc<Gateway>);

#[tonic::async_trait]
impl Operations for OperationsService {
    async fn get_status(
        &self,
        request: Request<wire::GetStatusRequest>,
    ) -> Result<Response<wire::StatusAnswer>, Status> {
        let overview = self.look(&request).await?;
        let stages = overview.counts().into_iter().map(|count| wire::StageCount {
            stage: count.stage.name().to_owned(),
            awaited: number(count.awaited),
            stuck: number(count.stuck),
            missed: number(count.missed),
        });
        let agencies = overview.agencies.iter().map(|agency| contact(agency, &overview.directory));
        Ok(Response::new(wire::StatusAnswer {
            at_ms: overview.at.0,
            started_ms: self.0.board.started().0,
            stages: stages.collect(),
            agencies: agencies.collect(),
            gateway: Some(condition(&self.0)),
            is_whole: overview.is_whole,
        }))
    }

    async fn get_stuck(
        &self,
        request: Request<wire::GetStuckRequest>,
    ) -> Result<Response<wire::StuckAnswer>, Status> {
        let overview = self.look(&request).await?;
        let asked = request.into_inner();
        let most = match usize::try_from(asked.count_max) {
            Ok(0) | Err(_) => ITEMS_MAX,
            Ok(most) => most.min(ITEMS_MAX),
        };
        let wanted = || overview.awaited.iter().filter(|one| asked.all || one.is_stuck(overview.at));
        let items = wanted().take(most).map(|one| item(one, overview.at, &overview.directory));
        Ok(Response::new(wire::StuckAnswer {
            at_ms: overview.at.0,
            items: items.collect(),
            is_whole: overview.is_whole && wanted().nth(most).is_none(),
        }))
    }

    async fn get_alerts(
        &self,
        request: Request<wire::GetAlertsRequest>,
    ) -> Result<Response<wire::AlertsAnswer>, Status> {
        self.0.leave_evidence(&caller(&request)?, DELIVERIES).await?;
        Ok(Response::new(self.alerts()))
    }

    async fn test_alerts(
        &self,
        request: Request<wire::TestAlertsRequest>,
    ) -> Result<Response<wire::AlertsAnswer>, Status> {
        self.0.leave_evidence(&caller(&request)?, DELIVERIES).await?;
        self.0.alerts.test().await;
        Ok(Response::new(self.alerts()))
    }

    async fn operate(
        &self,
        request: Request<wire::OperateRequest>,
    ) -> Result<Response<wire::OperateAnswer>, Status> {
        let caller = caller(&request)?;
        let wire::OperateRequest { referral, operation, reason } = request.into_inner();
        let operate = Operate::parse(&wire::Operate { referral, operation, reason });
        let operate = operate.map_err(answers::malformed)?;
        self.0.operate(&caller, operate).await.map(Response::new)
    }
}

impl Gateway {
    /// Has an operator's act decided and recorded, and says what became of it.
    pub(crate) async fn operate(
        &self,
        caller: &Caller,
        operate: Operate,
    ) -> Result<wire::OperateAnswer, Status> {
        let notified = operate.referral.clone().filter(|_| operate.operation == Operation::NotifyAgain);
        let command = Command::Operate(Box::new(operate));
        let request = writer::Request { caller: caller.clone(), command, parts: Vec::new() };
        let answer = self.hub.ask(request).map_err(answers::unavailable_status)?;
        let answer = answer.await.map_err(|_| answers::unavailable_status(Unavailable::Ending))?;
        match answers::outcome(answer) {
            answers::Outcome::Taken(receipts, _) => {
                // Whoever looks next sees what was done.
                self.board.forget().await;
                let mut answer = operated(&receipts);
                if let Some(referral) = notified
                    && !self.has_recipient_here(&referral).await
                {
                    answer.text_en += NOTHING_RINGS.0;
                    answer.text_ar += NOTHING_RINGS.1;
                }
                Ok(answer)
            }
            answers::Outcome::Refused(answer, refusal) => Err(answers::refusal_status(refusal, &answer)),
            answers::Outcome::Fault(fault) => Err(answers::fault_status(&fault)),
        }
    }

    /// Whether the agent of the agency that is asked now is connected; also where that cannot be told.
    async fn has_recipient_here(&self, referral: &ReferralKey) -> bool {
        let Ok(Some(standing)) = self.hub.standing(referral.clone()).await else { return true };
        standing.recipients.last().is_none_or(|recipient| self.board.is_connected(recipient))
    }
}

/// Said beside a notice to an agency whose agent is away.
const NOTHING_RINGS: (&str, &str) = (
    " Its agent is not connected, so nothing rings there: telephone its duty desk.",
    " برنامج الربط لديها غير متصل فلن يصلها التنبيه: اتصل بهاتف المناوبة.",
);

/// What the record of an operator's act says.
fn operated(receipts: &[Receipt]) -> wire::OperateAnswer {
    let record = receipts.iter().map(Receipt::record).find(|record| record.what.operation.is_some());
    let Some((record, operation)) = record.and_then(|record| Some((record, record.what.operation?))) else {
        return wire::OperateAnswer::default();
    };
    let people = record.what.count;
    let second = operation.people() != People::One && people < 2;
    wire::OperateAnswer {
        evidence: record.place.index,
        people,
        is_done: people > 1 || operation.people() != People::Two,
        second_until_ms: if second { record.place.time.plus_ms(SECOND_PERSON_MS).0 } else { 0 },
        text_en: operation.told(people, Language::English).to_owned(),
        text_ar: operation.told(people, Language::Arabic).to_owned(),
    }
}

impl OperationsService {
    /// The alerts that stand, with whom to call.
    fn alerts(&self) -> wire::AlertsAnswer {
        let directory = self.0.hub.directory();
        let standing = self.0.alerts.standing();
        wire::AlertsAnswer {
            at_ms: clock::now().0,
            alerts: standing.iter().map(|alert| one_alert(alert, &directory)).collect(),
            ways: self.0.alerts.ways().into_iter().map(|(way, standing)| one_way(way, standing)).collect(),
        }
    }

    async fn look<T>(&self, request: &Request<T>) -> Result<Arc<Overview>, Status> {
        self.0.leave_evidence(&caller(request)?, DELIVERIES).await?;
        self.0.board.overview().await.map_err(answers::unavailable_status)
    }
}

fn one_alert(alert: &Alert, directory: &Directory) -> wire::StandingAlert {
    let (key, measure) = (&alert.key, alert.measure);
    let duty = key.agency.as_ref().map(|agency| duty(directory, agency)).unwrap_or_default();
    wire::StandingAlert {
        code: key.code.name().to_owned(),
        severity: key.code.severity().name().to_owned(),
        agency: key.agency.as_ref().map_or_else(String::new, ToString::to_string),
        raised_at_ms: alert.raised_at.0,
        text_en: said(key, measure, Language::English),
        text_ar: said(key, measure, Language::Arabic),
        act_en: key.code.first_act(Language::English).to_owned(),
        act_ar: key.code.first_act(Language::Arabic).to_owned(),
        runbook: key.code.runbook(),
        duty_phone: duty.phone.to_owned(),
        duty_hours: duty.hours.to_owned(),
    }
}

fn one_way(way: &str, standing: WayStanding) -> wire::AlertWay {
    let (since, why) = standing.failing.unzip();
    wire::AlertWay {
        way: way.to_owned(),
        told_at_ms: standing.told_at.map_or(0, |at| at.0),
        failing_since_ms: since.map_or(0, |since| since.0),
        why_en: why.map_or_else(String::new, |why| why.to_string()),
        why_ar: why.map_or_else(String::new, |why| why.text_ar().to_owned()),
    }
}

fn contact(agency: &AgencyStanding, directory: &Directory) -> wire::AgencyContact {
    let duty = duty(directory, &agency.agency);
    wire::AgencyContact {
        agency: agency.agency.to_string(),
        connected: agency.connected,
        last_contact_ms: agency.contact.map_or(0, |contact| contact.last.0),
        certificate_until_ms: agency.contact.map_or(0, |contact| contact.certificate_until.0),
        waiting: number(agency.waiting),
        suspended: agency.suspended,
        lacks_key: agency.lacks_key,
        duty_phone: duty.phone.to_owned(),
        duty_hours: duty.hours.to_owned(),
    }
}

/// How the gateway itself is.
pub(crate) fn condition(gateway: &Gateway) -> wire::GatewayCondition {
    let status = gateway.hub.status();
    let (witnessed_size, witnesses) = gateway.published.of(Log::Evidence).witnessed().unwrap_or_default();
    wire::GatewayCondition {
        has_room: status.has_room,
        free_bytes: gateway.board.free_bytes(),
        is_indexed: status.is_indexed,
        is_clock_right: status.is_clock_right,
        is_clock_doubted: status.is_clock_doubted,
        evidence_size: gateway.hub.evidence_size(),
        published_size: status.published_size,
        witnessed_size,
        witnesses: u32::try_from(witnesses).unwrap_or(u32::MAX),
        crls_until_ms: gateway.metrics.crls_until_ms(),
        certificate_until_ms: gateway.metrics.certificate_until_ms(),
        fork_alarms: gateway.metrics.fork_alarms.get(),
        connections: u64::try_from(gateway.metrics.connections.get()).unwrap_or(0),
        waiting: number(status.waiting),
        is_draining: status.is_draining,
        under_way: number(status.under_way),
    }
}

fn item(one: &Awaited, now: TimeMs, directory: &Directory) -> wire::StuckItem {
    let duty = duty(directory, one.whom());
    let refusal = if let Cause::NextBlocked(refusal) = one.cause { refusal.name() } else { "" };
    wire::StuckItem {
        referral: Some(one.referral.to_wire()),
        attempt: one.attempt,
        recipient: one.recipient.as_ref().map_or_else(String::new, ToString::to_string),
        urgency: one.urgency.number(),
        stage: one.stage.name().to_owned(),
        cause: one.cause.name().to_owned(),
        lateness: one.lateness(now).name().to_owned(),
        stuck: one.is_stuck(now),
        since_ms: one.since.0,
        due_at_ms: one.due_at.map_or(0, |due_at| due_at.0),
        refusal: refusal.to_owned(),
        cause_en: one.cause.text(Language::English).to_owned(),
        cause_ar: one.cause.text(Language::Arabic).to_owned(),
        act_en: one.cause.next_act(Language::English).to_owned(),
        act_ar: one.cause.next_act(Language::Arabic).to_owned(),
        call: one.whom().to_string(),
        duty_phone: duty.phone.to_owned(),
        duty_hours: duty.hours.to_owned(),
    }
}

fn number(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
