//! `Log`: both published logs, for everyone with a certificate. Not here: whose records they are.

use std::sync::Arc;

use proto::{Malformed, wire};
use tonic::{Request, Response, Status};

use super::{Gateway, answers, stubs::log_server::Log as LogRpc};
use crate::{
    history::Log,
    published::{NotGiven, PublishedLog},
};

/// The service.
#[derive(Clone)]
pub struct LogService(pub Arc<Gateway>);

impl LogService {
    fn log(&self, name: i32) -> Result<&PublishedLog, Status> {
        Ok(self.0.published.of(log_of(name)?))
    }
}

/// Which log is meant.
pub(super) fn log_of(name: i32) -> Result<Log, Status> {
    match wire::LogName::try_from(name) {
        Ok(wire::LogName::Evidence) => Ok(Log::Evidence),
        Ok(wire::LogName::Directory) => Ok(Log::Directory),
        Ok(wire::LogName::Unspecified) | Err(_) => Err(answers::malformed(Malformed::Form { field: "log" })),
    }
}

/// Why something published is not given, as a status.
pub(super) fn not_given(not_given: NotGiven) -> Status {
    match not_given {
        NotGiven::Absent => Status::not_found("not published, or not yet"),
        NotGiven::Malformed(malformed) => answers::malformed(malformed),
        NotGiven::Unproven(_) => answers::malformed(Malformed::Form { field: "size" }),
        NotGiven::Disk(kind) => {
            tracing::error!(?kind, "a published folder cannot be read");
            Status::internal("the published folder cannot be read")
        }
    }
}

#[tonic::async_trait]
impl LogRpc for LogService {
    async fn get_checkpoint(
        &self,
        request: Request<wire::GetCheckpointRequest>,
    ) -> Result<Response<wire::CheckpointAnswer>, Status> {
        let (_, note) = self.log(request.into_inner().log)?.note().map_err(not_given)?;
        Ok(Response::new(wire::CheckpointAnswer { checkpoint: note.to_string() }))
    }

    async fn get_tile(
        &self,
        request: Request<wire::GetTileRequest>,
    ) -> Result<Response<wire::TileAnswer>, Status> {
        let request = request.into_inner();
        let tile = self.log(request.log)?.tile(&request.path).map_err(not_given)?;
        Ok(Response::new(wire::TileAnswer { tile }))
    }

    async fn get_consistency(
        &self,
        request: Request<wire::GetConsistencyRequest>,
    ) -> Result<Response<wire::ConsistencyAnswer>, Status> {
        let request = request.into_inner();
        let log = self.log(request.log)?;
        let path = log.consistency(request.old_size, request.new_size).map_err(not_given)?;
        Ok(Response::new(wire::ConsistencyAnswer { path }))
    }

    async fn get_inclusion(
        &self,
        request: Request<wire::GetInclusionRequest>,
    ) -> Result<Response<wire::InclusionAnswer>, Status> {
        let request = request.into_inner();
        let path = self.log(request.log)?.inclusion(request.index, request.size).map_err(not_given)?;
        Ok(Response::new(wire::InclusionAnswer { path }))
    }
}
