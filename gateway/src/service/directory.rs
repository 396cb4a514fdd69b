//! `Directory`: the directory log is changed by signed objects, and read by all. Not here: who may
//! change what (`proto::directory`).

use std::sync::Arc;

use futures::{StreamExt as _, stream};
use proto::{
    Malformed,
    command::{Command, Query, Sight},
    digest::Digest,
    directory::{
        ChangeBody, DirectoryObject,
        authority::{CLOCK_SKEW_MS_MAX, Verdict},
        explained::{Asked, Explained},
    },
    refusal::Refusal,
    restore::Sizes,
    wire,
};
use tonic::{Request, Response, Status};

use super::{
    Answers, Gateway, agency, answers, caller, denial, log::not_given, stubs::directory_server::Directory,
};
use crate::{clock, history::Log, hub::Unavailable, restoring, writer};

/// The service.
#[derive(Clone)]
pub struct DirectoryService(pub Arc<Gateway>);

impl DirectoryService {
    /// Of a gateway that was put back from a backup: whether a change is the word of two administrators by
    /// which it goes on now. Nothing else is even refused, since that would be signed.
    fn lets_go_on(&self, command: &Command) -> bool {
        let Command::Directory(command) = command else {
            return false;
        };
        let DirectoryObject::Change(change) = &command.object else {
            return false;
        };
        let restoring = &self.0.restoring;
        let goes_on = match &change.body {
            ChangeBody::RestoreOverride { evidence_size, directory_size } => {
                let named = Sizes { evidence: *evidence_size, directory: *directory_size };
                restoring.may_override(&self.0.hub, named)
            }
            ChangeBody::BeginShard(named) => restoring.may_begin(named),
            ChangeBody::Genesis { .. }
            | ChangeBody::AdmitAgency { .. }
            | ChangeBody::PublishKey { .. }
            | ChangeBody::RevokeKey { .. }
            | ChangeBody::Profile { .. }
            | ChangeBody::Suspend { .. }
            | ChangeBody::Resume { .. }
            | ChangeBody::AddAdministrator(_)
            | ChangeBody::RemoveAdministrator(_)
            | ChangeBody::Calendar(_)
            | ChangeBody::Invite(_)
            | ChangeBody::RevokeInvitation(_)
            | ChangeBody::ConfirmClock { .. } => false,
        };
        let now = clock::now();
        let directory = self.0.hub.directory();
        let verdict = directory.judge_change(&command.signed, change, (now, now.plus_ms(CLOCK_SKEW_MS_MAX)));
        matches!(verdict, Ok(Verdict::Allowed { .. })) && goes_on
    }
}

#[tonic::async_trait]
impl Directory for DirectoryService {
    async fn change(
        &self,
        request: Request<wire::SignedObject>,
    ) -> Result<Response<wire::ChangeAnswer>, Status> {
        use wire::change_answer::Answer;
        let caller = caller(&request)?;
        let object = request.into_inner();
        let payload = object.payload.clone();
        let request = match Command::verify(object, &self.0.hub.directory()) {
            Ok(command @ Command::Directory(_)) => writer::Request { caller, command, parts: Vec::new() },
            Ok(
                Command::Push(_)
                | Command::Handover(_)
                | Command::Denial(_)
                | Command::Tick(_)
                | Command::Query(_)
                | Command::Queries(_)
                | Command::Erase(_)
                | Command::Operate(_),
            ) => denial(caller, Malformed::Form { field: "payload_type" }, &payload),
            Err(malformed) => denial(caller, malformed, &payload),
        };
        if self.0.restoring.is_held() {
            if !self.lets_go_on(&request.command) {
                return Err(restoring::status());
            }
        } else if request.command.new_shard().is_some() {
            return Err(answers::unrecorded(Refusal::ShardNotNext, Refusal::ShardNotNext.field()));
        }
        let answer = self.0.hub.ask(request).map_err(answers::unavailable_status)?;
        let answer = answer.await.map_err(|_| answers::unavailable_status(Unavailable::Ending))?;
        let answer = match answers::outcome(answer) {
            answers::Outcome::Taken(receipts, _) => {
                if self.0.restoring.is_held() {
                    self.0.restoring.go_on(&self.0.hub, self.0.restoring.reported()).await;
                }
                receipts.first().map(|receipt| Answer::Receipt(receipt.to_wire()))
            }
            answers::Outcome::Refused(answer, _) => Some(Answer::Refusal(*answer)),
            answers::Outcome::Fault(fault) => return Err(answers::fault_status(&fault)),
        };
        Ok(Response::new(wire::ChangeAnswer { answer }))
    }

    type GetRecordsStream = Answers<wire::RecordsAnswer>;

    async fn get_records(
        &self,
        request: Request<wire::GetRecordsRequest>,
    ) -> Result<Response<Self::GetRecordsStream>, Status> {
        let gateway = Arc::clone(&self.0);
        let from = request.into_inner().from_index;
        // Bundle by bundle, so that a whole log is never in memory.
        let bundles = stream::unfold(Some(from), move |from| {
            let gateway = Arc::clone(&gateway);
            async move {
                let from = from?;
                match gateway.published.of(Log::Directory).entries(from) {
                    Ok(entries) if entries.is_empty() => None,
                    Ok(entries) => {
                        let next = from.saturating_add(u64::try_from(entries.len()).unwrap_or(u64::MAX));
                        let records = (from..).zip(entries);
                        let records =
                            records.map(|(index, record)| Ok(wire::RecordsAnswer { index, record }));
                        Some((records.collect::<Vec<_>>(), Some(next)))
                    }
                    Err(error) => Some((vec![Err(not_given(error))], None)),
                }
            }
        });
        Ok(Response::new(Box::pin(bundles.flat_map(stream::iter))))
    }

    async fn get_agreement(
        &self,
        request: Request<wire::GetAgreementRequest>,
    ) -> Result<Response<wire::AgreementAnswer>, Status> {
        let party = agency(&request)?;
        let digest =
            Digest::parse(&request.into_inner().agreement, "agreement").map_err(answers::malformed)?;
        let directory = self.0.hub.directory();
        let memorandum = directory.agreement(&digest, &party);
        let memorandum =
            memorandum.ok_or_else(|| answers::unrecorded(Refusal::SubjectUnknown, "agreement"))?;
        Ok(Response::new(wire::AgreementAnswer { signed: Some(memorandum.signed.object().clone()) }))
    }

    async fn explain(
        &self,
        request: Request<wire::ExplainRequest>,
    ) -> Result<Response<wire::ExplainAnswer>, Status> {
        let caller = caller(&request)?;
        // What binds others is none of an agency's business; its agent explains the rest.
        if caller.pseudonym().is_none() {
            return Err(answers::unrecorded(Refusal::RoleNotAllowed, ""));
        }
        let asked = Asked::parse(&request.into_inner()).map_err(answers::malformed)?;
        let query = Query { of: Sight::Evidence, referral: None, index: None };
        self.0.leave_evidence(&caller, query).await?;
        let (directory, now) = (self.0.hub.directory(), clock::now());
        let explanations = directory.explain(asked.need(), now);
        let mechanism = directory.mechanism().map_or_else(Vec::new, |held| held.signed.digest().to_vec());
        Ok(Response::new(wire::ExplainAnswer {
            explanations: explanations.iter().map(Explained::to_wire).collect(),
            at_ms: now.0,
            mechanism,
        }))
    }
}
