//! Following the directory log over the link: checkpoint, entries, texts of agreements. Not here:
//! whether they may be believed (`follower`).

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use proto::{
    digest::Digest,
    directory::{Directory, KeyPurpose, PublicKeyOf, ShardBegun, replica::Replica},
    dsse::{self, PayloadType},
    ids::{AgencyId, EnvelopeId},
    log::{Unproven, checkpoint::Checkpoint, merkle::leaf_hash},
    wire::{self, directory_change::Change},
};
use tokio::time::{Instant, MissedTickBehavior, interval};
use tonic::{Code, transport::Channel};

use super::{Broken, DIRECTORY_EVERY, MESSAGE_BYTES_MAX, duty_desk};
use crate::{
    clock, enrolment,
    follower::{self, NotFollowed, Offered, Taken},
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
    let replica = office.store.read(|state| state.replica().clone());
    let answer = match log.get_checkpoint(request).await {
        // Nothing is published yet. Of a gateway that was restored nothing is taken before it says where it
        // goes on.
        Err(status) if status.code() == Code::NotFound && replica.log().size() == 0 => return Ok(false),
        answer => answer.map_err(Broken::call("GetCheckpoint"))?.into_inner(),
    };
    let (note, offered) = follower::open(&answer.checkpoint, &office.network.directory)?;
    let (size, root) = (replica.log().size(), replica.log().root());
    let present = replica.directory().directory_shards().present();
    if offered.shard < present {
        // A gateway that was taken back behind the shard that it had begun.
        return Err(NotFollowed::Fork(Unproven::Shrunk).into());
    }
    if offered.shard == present && offered.checkpoint.size <= size {
        let ours = Checkpoint { origin: offered.checkpoint.origin.clone(), size, root };
        return older(&mut log, &offered.checkpoint, &ours).await.map(|()| true);
    }
    let followed = if offered.checkpoint.size > size {
        grown(office, channel, &replica, &offered).await
    } else {
        Err(NotFollowed::Fork(Unproven::Shrunk).into())
    };
    let (records, directory) = match followed {
        Err(Broken::NotFollowed(why)) if why.is_alarm() && offered.shard > present => {
            anew(office, channel, &offered, why).await?
        }
        followed => followed?,
    };
    let note = follower::bare(&note, &office.network.directory);
    // People are told whatever happens then; not those who join later, whom nothing was lost of.
    let begun = directory.shards().last().filter(|begun| begun.number > present && size > 0);
    if let Some(begun) = begun {
        let ShardBegun { number, evidence_size, directory_size, .. } = begun;
        let detail =
            format!("shard {number}: evidence from {evidence_size}, directory from {directory_size}");
        office.alarm(records::AlarmKind::NewShard, None, detail).await?;
    }
    keep(office, records, note.to_string()).await.map(|()| true)
}

type Followed = (Vec<record::Record>, Directory);

/// What the log has more than is here.
async fn grown(
    office: &Office,
    channel: &Channel,
    replica: &Replica,
    offered: &Offered,
) -> Result<Followed, Broken> {
    let size = replica.log().size();
    let leaves = fetch(channel, size, offered.checkpoint.size).await?;
    let texts = fetch_texts(&office.me, channel, replica, &leaves).await?;
    let network = (&office.network, &office.me);
    let (taken, directory) = follower::follow(replica, leaves, &texts, network, offered)?;
    Ok((records_of(size, taken), directory))
}

/// The log was taken up again before its end here: all of it from the first leaf on. Up to where it was taken
/// up it must be what is here; else it is a fork, whatever administrators have signed.
async fn anew(
    office: &Office,
    channel: &Channel,
    offered: &Offered,
    why: NotFollowed,
) -> Result<Followed, Broken> {
    let (records, directory) = grown(office, channel, &Replica::default(), offered).await?;
    let begun = directory.shards().last().map_or(0, |begun| begun.directory_size);
    let begun = usize::try_from(begun).unwrap_or(usize::MAX);
    let hash = |record: &record::Record| {
        if let record::Record::Leaf(leaf) = record { Some(leaf_hash(&leaf.record)) } else { None }
    };
    let leaves: Vec<_> = records.iter().filter_map(hash).take(begun).collect();
    let is_ours = office.store.read(|state| state.leaf_hashes().get(..begun) == Some(leaves.as_slice()));
    if !is_ours {
        return Err(why.into());
    }
    let anew = record::Record::DirectoryAnew(records::DirectoryAnew {});
    Ok((std::iter::once(anew).chain(records).collect(), directory))
}

/// The whole directory, for whoever has no store yet.
pub(crate) async fn whole(network: &Network, me: &AgencyId, channel: &Channel) -> Result<Replica, Broken> {
    let mut log = LogClient::new(channel.clone());
    let request = wire::GetCheckpointRequest { log: wire::LogName::Directory.into() };
    let answer = log.get_checkpoint(request).await.map_err(Broken::call("GetCheckpoint"))?.into_inner();
    let (_, offered) = follower::open(&answer.checkpoint, &network.directory)?;
    let leaves = fetch(channel, 0, offered.checkpoint.size).await?;
    let mut replica = Replica::default();
    let texts = fetch_texts(me, channel, &replica, &leaves).await?;
    let (taken, _) = follower::follow(&replica, leaves, &texts, (network, me), &offered)?;
    for Taken { text, leaf } in taken {
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
        let signing = office.keys.signing.public().id();
        let may = directory.key_in_force(&office.me, &signing, KeyPurpose::Signing, clock::now());
        enrolment::missing(directory, &office.me, &office.keys).filter(|_| may).collect()
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
    let publish = wire::PublishKey {
        agency: office.me.to_string(),
        purpose: key.purpose().number(),
        public_key: key.to_vec(),
        ..wire::PublishKey::default()
    };
    change(office, Change::PublishKey(publish))
}

/// A change that this agency may make alone. Nothing without randomness: it is tried again.
pub(crate) fn change(office: &Office, change: Change) -> Option<wire::SignedObject> {
    let now = clock::now();
    let change = wire::DirectoryChange {
        version: 1,
        change_id: EnvelopeId::new(now, randomness::bytes().ok()?).as_bytes().to_vec(),
        created_at_ms: now.0,
        change: Some(change),
    };
    let payload = prost::Message::encode_to_vec(&change);
    Some(dsse::sign(PayloadType::DirectoryEntry, payload, &[&office.keys.signing]))
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

/// What was taken, as it is written down: each text before the entry that needs it.
fn records_of(from: u64, taken: Vec<Taken>) -> Vec<record::Record> {
    let mut records = Vec::with_capacity(taken.len());
    for (index, Taken { text, leaf }) in (from..).zip(taken) {
        records.extend(text.map(|text| record::Record::Text(records::Text { signed: Some(text) })));
        records.push(record::Record::Leaf(records::Leaf { index, record: leaf }));
    }
    records
}

/// Writes down what was proven, the checkpoint last.
async fn keep(office: &Office, mut records: Vec<record::Record>, checkpoint: String) -> Result<(), Broken> {
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
    let size = office.store.read(|state| state.replica().log().size());
    tracing::info!(size, "the directory has grown");
    Ok(())
}

/// Most records that are written at once.
const GROUP_MAX: usize = 1_000;

/// A key of this agency in the directory that this agent did not make: somebody may be reading along. Gives
/// whether there is none.
async fn check_keys(office: &Office) -> Result<bool, Broken> {
    let foreign =
        office.store.read(|state| follower::foreign_key(state.replica(), &office.me, office.published()));
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
