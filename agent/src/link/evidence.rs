//! Following the agency's own records over the link. Not here: whether they may be believed (`told`).

use std::{future, sync::Arc, time::Duration};

use proto::wire;
use tokio::time::timeout;
use tonic::{Code, transport::Channel};

use super::{Broken, MESSAGE_BYTES_MAX};
use crate::{
    clock,
    gateway::evidence_client::EvidenceClient,
    office::Office,
    records::{self, record},
    store::{Claim, Entry, StoreFault},
    told::{self, Committed, NotChained, Position},
};

/// After so many records that tell nothing new, how far they were followed is written down.
const UNWRITTEN_MAX: u64 = 256;
/// How often the gateway is asked how far it has committed these records to go: it does so daily.
const COMMITTED_EVERY: Duration = Duration::from_hours(6);
/// How long a record to which it has committed may be on its way.
const WITHHELD_AFTER: Duration = Duration::from_mins(2);

pub(super) async fn run(office: &Arc<Office>, channel: &Channel) -> Broken {
    match follow(office, channel).await {
        Ok(broken) | Err(broken) => broken,
    }
}

async fn follow(office: &Office, channel: &Channel) -> Result<Broken, Broken> {
    let mut position = office.store.read(|state| state.followed().clone());
    let mut written = position.count;
    let mut client = EvidenceClient::new(channel.clone()).max_decoding_message_size(MESSAGE_BYTES_MAX);
    let request = wire::FollowRequest { after_count: position.count, from_batch: position.batch };
    let mut answers = match client.follow(request).await {
        Ok(answers) => answers.into_inner(),
        // A gateway of an older release: what it does by itself is seen in timelines only.
        Err(status) if status.code() == Code::Unimplemented => return future::pending().await,
        Err(status) => return Err(Broken::call("Follow")(status)),
    };
    let mut committed = committed(office, &mut client, &position).await?;
    loop {
        let missing = committed.as_ref().is_some_and(|committed| committed.count > position.count);
        let patience = if missing { WITHHELD_AFTER } else { COMMITTED_EVERY };
        let answer = match timeout(patience, answers.message()).await {
            Ok(answer) => answer.map_err(Broken::call("Follow"))?,
            Err(_) if missing => {
                return stopped(office, NotChained::Withheld(position.count.saturating_add(1))).await;
            }
            Err(_) => {
                committed = self::committed(office, &mut client, &position).await?;
                continue;
            }
        };
        let Some(answer) = answer else {
            return Ok(Broken::Closed("the agency's own records"));
        };
        let followed = told::chain(answer, &office.me, &position, &office.policy);
        let followed = followed.and_then(|(next, records)| {
            committed.as_ref().map_or(Ok(()), |committed| committed.check(&records, &office.me))?;
            Ok((next, records))
        });
        let (next, records) = match followed {
            Ok(followed) => followed,
            Err(not_chained) => return stopped(office, not_chained).await,
        };
        if let Some(restored) = &office.restored {
            let looked = office.store.read(|state| restored.look(&records, state));
            looked.map_err(|_| Broken::Closed("the file of what a backup misses"))?;
        }
        let followed = told::record(&next, &records, &office.me);
        if !followed.told.is_empty() || next.count.saturating_sub(written) >= UNWRITTEN_MAX {
            written = next.count;
            let record = Some(record::Record::Followed(followed));
            let entry = Entry::new(records::Record { at_ms: clock::now().0, record });
            office.store.append(vec![entry], Claim::Reserved).await?;
        }
        position = next;
    }
}

/// How far the gateway has committed these records to go. What proves nothing is alarmed about and not
/// believed.
async fn committed(
    office: &Office,
    client: &mut EvidenceClient<Channel>,
    position: &Position,
) -> Result<Option<Committed>, Broken> {
    let answer = match client.get_head(wire::GetHeadRequest {}).await {
        Ok(answer) => answer.into_inner(),
        // A gateway of an older release commits to nothing.
        Err(status) if status.code() == Code::Unimplemented => return Ok(None),
        Err(status) => return Err(Broken::call("GetHead")(status)),
    };
    let committed = Committed::of(answer, &office.me, &office.policy).and_then(|committed| {
        committed.iter().try_for_each(|committed| committed.check_position(position))?;
        Ok(committed)
    });
    match committed {
        Ok(committed) => Ok(committed),
        Err(not_chained) => {
            not_followed(office, not_chained).await?;
            Ok(None)
        }
    }
}

/// Mail and the directory go on; people look.
async fn stopped(office: &Office, why: NotChained) -> Result<Broken, Broken> {
    not_followed(office, why).await?;
    future::pending().await
}

/// Records that do not follow each other are a log that says two things: nothing more is sealed.
async fn not_followed(office: &Office, why: NotChained) -> Result<(), StoreFault> {
    let kind = match why {
        NotChained::Gap(_) | NotChained::Withheld(_) => records::AlarmKind::Fork,
        NotChained::Malformed(_) | NotChained::Unproven(_) => records::AlarmKind::BadReceipt,
    };
    office.alarm(kind, None, why.to_string()).await
}
