//! Following the directory log over the link: checkpoint, entries, texts of agreements. Not here:
//! whether they may be believed (`follower`).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use proto::{
    digest::Digest,
    directory::{KeyPurpose, PublicKeyOf, replica::Replica},
    dsse::{self, PayloadType},
    ids::{AgencyId, EnvelopeId},
    key::SigningKey,
    log::{Unproven, checkpoint::Checkpoint},
    wire::{self, directory_change::Change},
};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tonic::{Code, transport::Channel};

use super::{Broken, DIRECTORY_EVERY, MESSAGE_BYTES_MAX, duty_desk};
use crate::{
    clock, enrolment,
    follower::{self, NotFollowed, Taken},
    gateway::{directory_client::DirectoryClient, log_client::LogClient},
    network::Network,
    office::Office,
    randomness,
    records::{self, record},
    store::{Claim, Entry, WRITE_BYTES_MAX},
};

pub(super) async fn run(office: &Arc<Office>, channel: &Channel) -> Broken {
    let mut every = interval(DIRECTORY_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    every.reset();
    let mut published: Option<Instant> = None;
    loop {
        tokio::select! {
            _ = every.tick() => {}
            () = office.look.notified() => {}
        }
        if let Err(broken) = look(office, channel).await {
            return broken;
        }
        if published.is_none_or(|published| published.elapsed() > PUBLISH_EVERY) {
            published = Some(Instant::now());
            if let Err(broken) = publish_missing(office, channel).await {
                return broken;
            }
            if let Err(broken) = duty_desk::publish(office, channel).await {
                return broken;
            }
        }
    }
}

/// How often it is looked whether the directory lacks a key of this agent.
const PUBLISH_EVERY: Duration = Duration::from_secs(60);

/// Brings the replica up to what the log publishes.
pub(super) async fn look(office: &Arc<Office>, channel: &Channel) -> Result<(), Broken> {
    let looked = follow(office, channel).await;
    if let Err(Broken::NotFollowed(why)) = &looked
        && why.is_alarm()
    {
        let kind = match why {
            NotFollowed::Unlawful { .. } => records::AlarmKind::UnlawfulEntry,
            NotFollowed::Fork(_)
            | NotFollowed::OtherNetwork
            | NotFollowed::NotSigned(_)
            | NotFollowed::Malformed(_)
            | NotFollowed::Gap(_) => records::AlarmKind::Fork,
        };
        office.alarm(kind, None, format!("directory log: {why}")).await?;
        // What was taken before still holds: the inbox goes on, and nothing more is sealed.
        office.looked.send_modify(|count| *count = count.wrapping_add(1));
        return Ok(());
    }
    let compared = looked?;
    if check_keys(office).await? && compared {
        prove(office).await?;
    }
    office.looked.send_modify(|count| *count = count.wrapping_add(1));
    Ok(())
}

/// Gives whether the log was compared with what is here; it is not while nothing is published.
async fn follow(office: &Office, channel: &Channel) -> Result<bool, Broken> {
    let mut log = LogClient::new(channel.clone());
    let request = wire::GetCheckpointRequest { log: wire::LogName::Directory.into() };
    let answer = match log.get_checkpoint(request).await {
        // Nothing is published yet.
        Err(status) if status.code() == Code::NotFound => return Ok(false),
        answer => answer.map_err(Broken::call("GetCheckpoint"))?.into_inner(),
    };
    let (note, offered) = follower::open(&answer.checkpoint, &office.network.directory)?;
    let replica = office.store.read(|state| state.replica().clone());
    let (size, root) = (replica.log().size(), replica.log().root());
    if offered.size <= size {
        let ours = Checkpoint { origin: offered.origin.clone(), size, root };
        return older(&mut log, &offered, &ours).await.map(|()| true);
    }
    let leaves = fetch(channel, size, offered.size).await?;
    let texts = fetch_texts(&office.me, channel, &replica, &leaves).await?;
    let taken = follower::follow(&replica, leaves, &texts, (&office.network, &office.me), &offered)?;
    let note = follower::bare(&note, &office.network.directory);
    keep(office, size, taken, note.to_string()).await.map(|()| true)
}

/// The whole directory, for whoever has no store yet.
pub(crate) async fn whole(network: &Network, me: &AgencyId, channel: &Channel) -> Result<Replica, Broken> {
    let mut log = LogClient::new(channel.clone());
    let request = wire::GetCheckpointRequest { log: wire::LogName::Directory.into() };
    let answer = log.get_checkpoint(request).await.map_err(Broken::call("GetCheckpoint"))?.into_inner();
    let (_, offered) = follower::open(&answer.checkpoint, &network.directory)?;
    let leaves = fetch(channel, 0, offered.size).await?;
    let mut replica = Replica::default();
    let texts = fetch_texts(me, channel, &replica, &leaves).await?;
    for Taken { text, leaf } in follower::follow(&replica, leaves, &texts, (network, me), &offered)? {
        if let Some(text) = text {
            replica.supply(text).map_err(NotFollowed::from)?;
        }
        let index = replica.log().size();
        replica.take(leaf).map_err(|unlawful| NotFollowed::Unlawful { index, unlawful })?;
    }
    Ok(replica)
}

/// Publishes the keys of this agent that the directory lacks: those of an agency whose signing key came
/// into force only after its agent had joined.
pub(super) async fn publish_missing(office: &Office, channel: &Channel) -> Result<(), Broken> {
    let missing: Vec<_> = office.store.read(|state| {
        let directory = state.replica().directory();
        let keys = office.keys();
        let signing = keys.signing.public().id();
        let may = directory.key_in_force(&office.me, &signing, KeyPurpose::Signing, clock::now());
        enrolment::missing(directory, &office.me, &keys).filter(|_| may).collect()
    });
    for key in missing {
        let Some(object) = publication(office, &key) else {
            continue;
        };
        let answer = DirectoryClient::new(channel.clone()).change(object).await;
        match answer.map_err(Broken::call("Change"))?.into_inner().answer {
            Some(wire::change_answer::Answer::Refusal(refusal)) => {
                tracing::warn!(code = refusal.code, key = %key.id(), "a key of this agency was not published");
            }
            Some(wire::change_answer::Answer::Receipt(_)) | None => {
                tracing::info!(key = %key.id(), "a key of this agency was published");
            }
        }
    }
    Ok(())
}

fn publication(office: &Office, key: &PublicKeyOf) -> Option<wire::SignedObject> {
    change(office, publish(office, key))
}

/// The change that publishes a key of this agency.
pub(crate) fn publish(office: &Office, key: &PublicKeyOf) -> Change {
    let publish = wire::PublishKey {
        agency: office.me.to_string(),
        purpose: key.purpose().number(),
        public_key: key.to_vec(),
        ..wire::PublishKey::default()
    };
    Change::PublishKey(publish)
}

/// A change that this agency may make alone. Nothing without randomness: it is tried again.
pub(crate) fn change(office: &Office, change: Change) -> Option<wire::SignedObject> {
    change_by(&[&office.keys().signing], change)
}

/// The same, signed with these keys.
pub(crate) fn change_by(keys: &[&SigningKey], change: Change) -> Option<wire::SignedObject> {
    let now = clock::now();
    let change = wire::DirectoryChange {
        version: 1,
        change_id: EnvelopeId::new(now, randomness::bytes().ok()?).as_bytes().to_vec(),
        created_at_ms: now.0,
        change: Some(change),
    };
    let payload = prost::Message::encode_to_vec(&change);
    Some(dsse::sign(PayloadType::DirectoryEntry, payload, keys))
}

/// What is offered is not larger than what is here: it must be the beginning of it. An older
/// checkpoint is no shrinking log.
async fn older(log: &mut LogClient<Channel>, offered: &Checkpoint, ours: &Checkpoint) -> Result<(), Broken> {
    if offered.size == ours.size {
        return Ok(follower::consistent(offered, ours, &[])?);
    }
    let request = wire::GetConsistencyRequest {
        log: wire::LogName::Directory.into(),
        old_size: offered.size,
        new_size: ours.size,
    };
    let answer = match log.get_consistency(request).await {
        // It does not have what it once signed.
        Err(status) if matches!(status.code(), Code::NotFound | Code::InvalidArgument) => {
            return Err(NotFollowed::Fork(Unproven::Shrunk).into());
        }
        answer => answer.map_err(Broken::call("GetConsistency"))?.into_inner(),
    };
    Ok(follower::consistent(offered, ours, &follower::hashes(&answer.path)?)?)
}

async fn fetch(channel: &Channel, from: u64, to: u64) -> Result<Vec<Vec<u8>>, Broken> {
    let mut client = DirectoryClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let request = wire::GetRecordsRequest { from_index: from };
    let records = client.get_records(request).await.map_err(Broken::call("GetRecords"))?;
    let mut records = records.into_inner();
    let mut leaves = Vec::new();
    for index in from..to {
        let record = records.message().await.map_err(Broken::call("GetRecords"))?;
        match record.filter(|record| record.index == index) {
            Some(record) => leaves.push(record.record),
            None => return Err(NotFollowed::Gap(index).into()),
        }
    }
    Ok(leaves)
}

/// A text that the gateway does not give leaves its agreement unusable, and nothing else.
async fn fetch_texts(
    me: &AgencyId,
    channel: &Channel,
    replica: &Replica,
    leaves: &[Vec<u8>],
) -> Result<BTreeMap<Digest, wire::SignedObject>, Broken> {
    let mut client = DirectoryClient::new(channel.clone());
    let mut texts = BTreeMap::new();
    for digest in follower::texts_needed(replica, leaves, me)? {
        let request = wire::GetAgreementRequest { agreement: digest.to_vec() };
        match client.get_agreement(request).await {
            Ok(answer) => texts.extend(answer.into_inner().signed.map(|signed| (digest, signed))),
            Err(status) if status.code() == Code::NotFound => {
                tracing::warn!(agreement = %digest, "the gateway does not give the text of an agreement");
            }
            Err(status) => return Err(Broken::Call { call: "GetAgreement", status: Box::new(status) }),
        }
    }
    Ok(texts)
}

/// Writes down what was proven: each text before the entry that needs it, the checkpoint last.
async fn keep(office: &Office, from: u64, taken: Vec<Taken>, checkpoint: String) -> Result<(), Broken> {
    let count = taken.len();
    let mut records = Vec::with_capacity(count);
    for (index, Taken { text, leaf }) in (from..).zip(taken) {
        records.extend(text.map(|text| record::Record::Text(records::Text { signed: Some(text) })));
        records.push(record::Record::Leaf(records::Leaf { index, record: leaf }));
    }
    let seen = records::Seen { log: wire::LogName::Directory.into(), checkpoint, proven_anew: false };
    records.push(record::Record::Seen(seen));
    let mut group = Vec::new();
    let mut bytes = 0;
    for record in records {
        let record = records::Record { at_ms: clock::now().0, record: Some(record) };
        let length = u64::try_from(prost::Message::encoded_len(&record)).unwrap_or(u64::MAX) + 256;
        if bytes + length > WRITE_BYTES_MAX || group.len() >= GROUP_MAX {
            office.store.append(std::mem::take(&mut group), Claim::Reserved).await?;
            bytes = 0;
        }
        bytes += length;
        group.push(Entry::new(record));
    }
    office.store.append(group, Claim::Reserved).await?;
    tracing::info!(
        entries = count,
        size = from + u64::try_from(count).unwrap_or(0),
        "the directory has grown"
    );
    Ok(())
}

/// Most records that are written at once.
const GROUP_MAX: usize = 1_000;

/// A key of this agency in the directory that this agent did not make: somebody may be reading along. Gives
/// whether there is none.
async fn check_keys(office: &Office) -> Result<bool, Broken> {
    let foreign = office
        .store
        .read(|state| follower::foreign_key(state.replica(), &office.me, &office.keys().published()));
    match foreign {
        Some(key) => {
            office.alarm(records::AlarmKind::ForeignKey, None, key).await?;
            Ok(false)
        }
        None => Ok(true),
    }
}

/// After an alarm was settled: the log goes on from what is here, and every key of ours in it is ours.
async fn prove(office: &Office) -> Result<(), Broken> {
    let log = wire::LogName::Directory;
    let seen = office.store.read(|state| {
        let seen = state.directory_seen().filter(|_| state.alarms().is_unproven(log));
        seen.map(ToString::to_string)
    });
    if let Some(checkpoint) = seen {
        let seen = records::Seen { log: log.into(), checkpoint, proven_anew: true };
        let record = records::Record { at_ms: clock::now().0, record: Some(record::Record::Seen(seen)) };
        office.store.append(vec![Entry::new(record)], Claim::Reserved).await?;
        tracing::info!("the directory log is the one that was seen before");
    }
    Ok(())
}
