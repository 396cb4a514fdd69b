//! This agency as a witness of both logs: it shows what it saw last, checks that what it is shown goes
//! on from there, and cosigns that. Not here: the proofs themselves (`proto::log`).

use std::sync::Arc;

use proto::{
    directory::KeyPurpose,
    log::{
        Unproven,
        checkpoint::Checkpoint,
        cosignature::{CosignedAt, cosign},
        note::{KeyName, SignedNote, VerifierKey},
        shard,
    },
    receipt::Receipt,
    wire,
};
use tokio::time::{MissedTickBehavior, interval};
use tonic::{Code, transport::Channel};

use super::{Broken, WITNESS_EVERY};
use crate::{
    case::{Case, Delivery, Standing},
    clock,
    follower::{self, NotFollowed, Offered},
    gateway::{log_client::LogClient, witness_client::WitnessClient},
    office::Office,
    records::{self, record},
    store::{Claim, Entry, StoreFault},
};

pub(super) async fn run(office: &Arc<Office>, channel: &Channel) -> Broken {
    let mut every = interval(WITNESS_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        every.tick().await;
        for round in [evidence(office, channel).await, directory(office, channel).await] {
            if let Err(broken) = round {
                return broken;
            }
        }
    }
}

/// The first message of a session.
pub(super) async fn report(office: &Arc<Office>, channel: &Channel) -> Result<(), Broken> {
    evidence(office, channel).await?;
    directory(office, channel).await
}

/// Of the evidence log nothing is here but checkpoints.
async fn evidence(office: &Office, channel: &Channel) -> Result<(), Broken> {
    let log = &office.network.evidence;
    let seen = office.store.read(|state| state.evidence_seen().cloned());
    let Some(answer) = show(office, channel, wire::LogName::Evidence, seen.as_ref()).await? else {
        return Ok(());
    };
    let (note, offered) = follower::open(&answer.checkpoint, log)?;
    let before = seen.as_ref().map(|seen| open_seen(seen, log)).transpose()?;
    let shards = office.store.read(|state| state.replica().directory().evidence_shards());
    if offered.shard > shards.present() {
        // It is believed once the directory says that two administrators began it.
        return Ok(());
    }
    let is_later = before.as_ref().is_none_or(|before| offered.shard > before.shard);
    if let Some(before) = &before {
        let path = follower::hashes(&answer.consistency)?;
        let goes_on = if offered.shard < before.shard {
            Err(NotFollowed::Fork(Unproven::Shrunk))
        } else if let Some(until) =
            shards.valid_until(before.shard).filter(|until| *until < before.checkpoint.size)
        {
            // What was seen lies beyond where the log was taken up: a part of it that is not lost is compared.
            kept(office, channel, until, &offered.checkpoint).await?
        } else if offered.checkpoint.size >= before.checkpoint.size {
            follower::consistent(&before.checkpoint, &offered.checkpoint, &path)
        } else {
            older(channel, &offered.checkpoint, &before.checkpoint).await?
        };
        if let Err(why) = goes_on {
            let detail = format!("evidence log: {why}; seen at {}", before.checkpoint.size);
            office.alarm(records::AlarmKind::Fork, None, detail).await?;
            return Ok(());
        }
    }
    // What is only published a little later than it was signed proves nothing of what was seen.
    let size = before.as_ref().map_or(0, |before| before.checkpoint.size);
    let reaches = is_later || offered.checkpoint.size >= size;
    let unproven = office.store.read(|state| state.alarms().is_unproven(wire::LogName::Evidence));
    if is_later || offered.checkpoint.size > size || (unproven && reaches) {
        let seen = records::Seen {
            log: wire::LogName::Evidence.into(),
            checkpoint: follower::bare(&note, log).to_string(),
            proven_anew: unproven,
        };
        let record = records::Record { at_ms: clock::now().0, record: Some(record::Record::Seen(seen)) };
        office.store.append(vec![Entry::new(record)], Claim::Reserved).await?;
        // Cosigned once it is durable: a witness never signs what it might forget.
        show(office, channel, wire::LogName::Evidence, Some(&note)).await?;
    }
    Ok(())
}

/// Compares what a new shard begins with to the newest receipt that is here and not lost.
async fn kept(
    office: &Office,
    channel: &Channel,
    until: u64,
    offered: &Checkpoint,
) -> Result<Result<(), NotFollowed>, Broken> {
    for receipt in newest_receipts(office, 0)?.into_iter().rev() {
        let (_, held) = follower::open(&receipt.to_wire().checkpoint, &office.network.evidence)?;
        if held.checkpoint.size <= until {
            return older(channel, &held.checkpoint, offered).await;
        }
    }
    Ok(Ok(()))
}

/// Of the directory log everything is here; what it offers beyond is taken by following it.
async fn directory(office: &Office, channel: &Channel) -> Result<(), Broken> {
    let seen = office.store.read(|state| state.directory_seen().cloned());
    show(office, channel, wire::LogName::Directory, seen.as_ref()).await.map(|_| ())
}

/// An older checkpoint is no shrinking log, if it is the beginning of what was seen.
async fn older(
    channel: &Channel,
    offered: &Checkpoint,
    before: &Checkpoint,
) -> Result<Result<(), NotFollowed>, Broken> {
    let mut client = LogClient::new(channel.clone());
    let request = wire::GetConsistencyRequest {
        log: wire::LogName::Evidence.into(),
        old_size: offered.size,
        new_size: before.size,
    };
    match client.get_consistency(request).await {
        Ok(answer) => {
            let path = follower::hashes(&answer.into_inner().path)?;
            Ok(follower::consistent(offered, before, &path))
        }
        // It was signed and answered, and is published a little later.
        Err(status) if status.code() == Code::NotFound => Ok(Ok(())),
        Err(status) if status.code() == Code::InvalidArgument => Ok(Err(NotFollowed::Fork(Unproven::Shrunk))),
        Err(status) => Err(Broken::Call { call: "GetConsistency", status: Box::new(status) }),
    }
}

/// Shows a checkpoint with our cosignature, and hears the latest; nothing while a log is empty.
async fn show(
    office: &Office,
    channel: &Channel,
    log: wire::LogName,
    seen: Option<&SignedNote>,
) -> Result<Option<wire::WitnessAnswer>, Broken> {
    let key = match log {
        wire::LogName::Evidence | wire::LogName::Unspecified => &office.network.evidence,
        wire::LogName::Directory => &office.network.directory,
    };
    let cosignatures = match seen {
        Some(note) => cosignature(office, &open_seen(note, key)?.checkpoint),
        None => String::new(),
    };
    let checkpoint = seen.map(|note| follower::bare(note, key).to_string()).unwrap_or_default();
    let receipt_checkpoint = match (log, seen) {
        (wire::LogName::Evidence, Some(note)) => {
            receipt_checkpoint(office, open_seen(note, key)?.checkpoint.size)?.unwrap_or_default()
        }
        (wire::LogName::Evidence, None) => receipt_checkpoint(office, 0)?.unwrap_or_default(),
        (wire::LogName::Directory | wire::LogName::Unspecified, _) => String::new(),
    };
    let report = wire::WitnessReport { log: log.into(), checkpoint, cosignatures, receipt_checkpoint };
    match WitnessClient::new(channel.clone()).report(report).await {
        Ok(answer) => Ok(Some(answer.into_inner())),
        Err(status) if status.code() == Code::NotFound => Ok(None),
        Err(status) => Err(Broken::Call { call: "Report", status: Box::new(status) }),
    }
}

/// The checkpoint of the newest receipt that is here, when it stands at or beyond a size of the log.
fn receipt_checkpoint(office: &Office, size: u64) -> Result<Option<String>, StoreFault> {
    Ok(newest_receipts(office, size)?.last().map(|receipt| receipt.to_wire().checkpoint))
}

/// The receipts of the case that holds the newest one, when that stands at or beyond a size of the log.
fn newest_receipts(office: &Office, size: u64) -> Result<Vec<Receipt>, StoreFault> {
    let newest = office.store.read(|state| {
        let indexes = state.cases().filter_map(|case| Some((newest_index(case)?, case.referral.clone())));
        indexes.max_by_key(|(index, _)| *index)
    });
    let Some((_, referral)) = newest.filter(|(index, _)| *index >= size) else {
        return Ok(Vec::new());
    };
    office.receipts(&referral)
}

/// The largest index of a receipt in a case that the gateway has not lost.
fn newest_index(case: &Case) -> Option<u64> {
    let indexes = case.steps.iter().flat_map(|step| match &step.standing {
        Standing::Taken { logged, .. } => vec![*logged],
        Standing::Arrived(deliveries) => {
            let handed_over =
                |delivery: &Delivery| delivery.handed_over.as_ref().and_then(|said| said.logged);
            let held = deliveries.iter().filter(|one| !one.lost);
            held.flat_map(|one| [Some(one.logged), handed_over(one)]).flatten().collect()
        }
        Standing::Queued | Standing::Refused { .. } | Standing::Withdrawn => Vec::new(),
    });
    indexes.map(|logged| logged.index).max()
}

/// Our line over a checkpoint, while our witness key is in force.
fn cosignature(office: &Office, checkpoint: &Checkpoint) -> String {
    let now = clock::now();
    let keys = office.keys();
    let id = keys.witness.public().id();
    let in_force = office
        .store
        .read(|state| state.replica().directory().key_in_force(&office.me, &id, KeyPurpose::Witness, now));
    let name = KeyName::parse(office.me.as_str(), "name").ok().filter(|_| in_force);
    let at = CosignedAt::from_unix_s(now.0 / 1000).ok();
    match name.zip(at) {
        Some((name, at)) => format!("{}\n", cosign(&name, &keys.witness, at, checkpoint)),
        None => String::new(),
    }
}

fn open_seen(note: &SignedNote, log: &VerifierKey) -> Result<Offered, NotFollowed> {
    let (shard, checkpoint) = shard::open(note, log).map_err(NotFollowed::NotSigned)?;
    Ok(Offered { shard, checkpoint })
}
