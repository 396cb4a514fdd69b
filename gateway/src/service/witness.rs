//! `Witness`: agents show the last checkpoint that they have seen, and cosign what follows from it.
//! Not here: what a witness checks before it signs (the agent).

use std::sync::Arc;

use proto::{
    Malformed,
    directory::PublicKeyOf,
    ids::AgencyId,
    log::{
        checkpoint::Checkpoint,
        cosignature,
        note::{KeyName, KeyType, SignatureLine, SignedNote, VerifierKey},
        shard::ShardNo,
    },
    wire,
};
use tonic::{Request, Response, Status};

use super::{Gateway, agency, answers, log::log_of, log::not_given, stubs::witness_server::Witness};
use crate::{
    clock,
    history::Log,
    published::NotGiven,
    restoring::{self, Shown},
};

/// Most cosignatures in one report.
pub const COSIGNATURES_MAX: usize = 8;

/// The service.
#[derive(Clone)]
pub struct WitnessService(pub Arc<Gateway>);

#[tonic::async_trait]
impl Witness for WitnessService {
    async fn report(
        &self,
        request: Request<wire::WitnessReport>,
    ) -> Result<Response<wire::WitnessAnswer>, Status> {
        let agency = agency(&request)?;
        let report = request.into_inner();
        let log = log_of(report.log)?;
        if self.0.restoring.is_held() {
            return self.take_for_restore(log, agency, &report).await;
        }
        self.look_for_loss(log, &report)?;
        let published = self.0.published.of(log);
        let (latest, note) = published.note().map_err(not_given)?;
        let seen = if report.checkpoint.is_empty() {
            0
        } else {
            let shown = SignedNote::parse(&report.checkpoint).map_err(answers::malformed)?;
            let (shard, seen) = published.check(&shown).map_err(not_given)?;
            self.keep(log, &agency, &seen, &report.cosignatures)?;
            match published.shards().valid_until(shard) {
                Some(until) if until < seen.size => {
                    tracing::info!(?log, %agency, %shard, seen = seen.size, "it holds what no backup covered");
                    u64::MAX
                }
                Some(_) | None => {
                    self.compare(log, &agency, (shard, &seen), &latest);
                    seen.size
                }
            }
        };
        let consistency = if seen == 0 || seen > latest.size {
            Vec::new()
        } else {
            published.consistency(seen, latest.size).map_err(not_given)?
        };
        Ok(Response::new(wire::WitnessAnswer { checkpoint: note.to_string(), consistency }))
    }
}

impl WitnessService {
    /// Whatever is acknowledged is there before it is answered: where an agency holds more evidence, of this
    /// shard or a later one, the end was lost. Then this gateway ends.
    fn look_for_loss(&self, log: Log, report: &wire::WitnessReport) -> Result<(), Status> {
        let notes = [&report.checkpoint, &report.receipt_checkpoint];
        for note in notes.into_iter().filter(|note| log == Log::Evidence && !note.is_empty()) {
            let note = SignedNote::parse(note).map_err(answers::malformed)?;
            let (shard, shown) = self.0.published.of(log).check(&note).map_err(not_given)?;
            let present = self.0.published.of(log).shards().present();
            if shard > present || (shard == present && shown.size > self.0.hub.evidence_size()) {
                self.0.restoring.found_out(&note);
                self.0.stop.cancel();
                return Err(restoring::status());
            }
        }
        Ok(())
    }

    /// Of a gateway that was put back from a backup: what the agency holds is compared, and it is told
    /// nothing yet.
    async fn take_for_restore(
        &self,
        log: Log,
        agency: AgencyId,
        report: &wire::WitnessReport,
    ) -> Result<Response<wire::WitnessAnswer>, Status> {
        let mut shown = Vec::new();
        for note in
            [&report.checkpoint, &report.receipt_checkpoint].into_iter().filter(|note| !note.is_empty())
        {
            let note = SignedNote::parse(note).map_err(answers::malformed)?;
            let (shard, checkpoint) = self.0.published.of(log).check(&note).map_err(not_given)?;
            shown.push(Shown { shard, checkpoint, note });
        }
        let taken = self.0.restoring.report(&self.0.hub, (log, agency), shown).await;
        taken.map_err(answers::unavailable_status)?;
        Err(not_given(NotGiven::Absent))
    }

    /// Cosignatures by the agency's own witness keys; others are ignored.
    fn keep(&self, log: Log, agency: &AgencyId, seen: &Checkpoint, lines: &str) -> Result<(), Status> {
        let directory = self.0.hub.directory();
        let name = KeyName::parse(agency.as_str(), "cosignatures").map_err(answers::malformed)?;
        let keys = directory.agency(agency).map_or(&[][..], |agency| &agency.keys);
        let now = clock::now();
        let keys: Vec<_> = keys
            .iter()
            .filter(|key| key.in_force(now))
            .filter_map(|key| match &key.key {
                PublicKeyOf::Witness(key) => Some(*key),
                PublicKeyOf::Signing(_) | PublicKeyOf::Sealing(_) => None,
            })
            .map(|key| VerifierKey::new(name.clone(), KeyType::CosignatureV1, key))
            .collect();
        for line in lines.lines().take(COSIGNATURES_MAX) {
            let line = SignatureLine::parse(line).map_err(answers::malformed)?;
            // By its name too, which everybody is shown: a witness has one, and one line.
            let verifies = |key: &&VerifierKey| {
                key.name().as_str() == line.name()
                    && key.id() == line.id()
                    && cosignature::verify(key.public_key(), &seen.to_string(), line.signature()).is_some()
            };
            if keys.iter().any(|key| verifies(&key)) {
                self.0.published.of(log).cosigned(seen, line);
            } else {
                let malformed = Malformed::Signature { field: "cosignatures" };
                return Err(answers::malformed(malformed));
            }
        }
        Ok(())
    }

    /// A checkpoint that this log signed and that is not a part of it now is a fork: somebody must
    /// look at once.
    fn compare(
        &self,
        log: Log,
        agency: &AgencyId,
        (shard, seen): (ShardNo, &Checkpoint),
        latest: &Checkpoint,
    ) {
        let ours = if shard > self.0.published.of(log).shards().present() {
            false
        } else if seen.size > latest.size {
            // Signed and answered, but published a little later.
            seen.size <= self.0.hub.evidence_size() || log == Log::Directory
        } else {
            self.0.published.of(log).root(seen.size).is_ok_and(|root| root == seen.root)
        };
        if !ours {
            self.0.metrics.fork_alarms.inc();
            tracing::error!(
                ?log, %agency, seen = seen.size, latest = latest.size,
                "FORK: a witness holds a checkpoint that is signed by this log and is no part of it"
            );
        }
    }
}
