//! Following the agency's own records over the link. Not here: whether they may be believed (`told`).

use std::{future, sync::Arc};

use proto::wire;
use tonic::{Code, transport::Channel};

use super::{Broken, MESSAGE_BYTES_MAX};
use crate::{
    clock,
    gateway::evidence_client::EvidenceClient,
    office::Office,
    records::{self, record},
    store::{Claim, Entry, StoreFault},
    told::{self, NotChained},
};

/// After so many records that tell nothing new, how far they were followed is written down.
const UNWRITTEN_MAX: u64 = 256;

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
    while let Some(answer) = answers.message().await.map_err(Broken::call("Follow"))? {
        let (next, records) = match told::chain(answer, &office.me, &position, &office.policy) {
            Ok(followed) => followed,
            Err(not_chained) => {
                not_followed(office, not_chained).await?;
                // Mail and the directory go on; people look.
                return future::pending().await;
            }
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
    Ok(Broken::Closed("the agency's own records"))
}

/// Records that do not follow each other are a log that says two things: nothing more is sealed.
async fn not_followed(office: &Office, why: NotChained) -> Result<(), StoreFault> {
    let kind = match why {
        NotChained::Gap(_) => records::AlarmKind::Fork,
        NotChained::Malformed(_) | NotChained::Unproven(_) => records::AlarmKind::BadReceipt,
    };
    office.alarm(kind, None, why.to_string()).await
}
