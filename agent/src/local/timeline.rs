//! Timelines from the gateway: each record with its proof, verified before it is shown. Not here: what
//! this side holds itself (`office::show`).

use proto::{ids::ReferralKey, receipt::Receipt, wire};

use crate::{
    gateway::evidence_client::EvidenceClient,
    link::Line,
    office::Office,
    proof::{self, About},
    records::AlarmKind,
};

/// Most records of a timeline that are shown.
const ENTRIES_MAX: usize = 10_000;

/// The referral's records as the gateway gives them; none when it does not, or when one of them
/// proves nothing.
pub(super) async fn fetch(office: &Office, line: &Line, referral: &ReferralKey) -> Option<Vec<Receipt>> {
    let mut client = EvidenceClient::new(line.channel()?);
    let request = wire::GetTimelineRequest { referral: Some(referral.to_wire()) };
    let mut bundles = client.get_timeline(request).await.ok()?.into_inner();
    let mut receipts = Vec::new();
    while let Some(bundle) = bundles.message().await.ok()? {
        match proof::verify(bundle.receipt?, &office.policy, About::Referral(referral)) {
            Ok(receipt) => receipts.push(receipt),
            Err(bad) => {
                let told = office.alarm(AlarmKind::BadReceipt, None, format!("timeline: {bad}")).await;
                if let Err(fault) = told {
                    tracing::error!(%fault, "the alarm was not written down");
                }
                return None;
            }
        }
        if receipts.len() >= ENTRIES_MAX {
            break;
        }
    }
    receipts.sort_by_key(|receipt| receipt.record().place.index);
    Some(receipts)
}
