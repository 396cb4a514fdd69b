//! What connected agents that do nothing cost the gateway: connections that the agent's own link makes, each of another
//! agency, with the streams that the link keeps open and the looks that it takes. Not here: what an agent itself holds.

use std::{fs, sync::Arc, time::Duration};

use agent::{
    certificate::Chain,
    credential::Credential,
    keys::TlsKey,
    link::{DIRECTORY_EVERY, WITNESS_EVERY, connection::Connector},
    network::Network as Known,
};
use gateway::service::stubs::{
    evidence_client::EvidenceClient, log_client::LogClient, push_client::PushClient,
    receive_client::ReceiveClient, witness_client::WitnessClient,
};
use proto::{
    ids::{AgencyId, Code},
    wire::{self, deliver_request::Request as Say},
};
use rustls_pki_types::UnixTime;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    sync::{Semaphore, mpsc},
    task::JoinSet,
    time::{interval, sleep},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use trials::{
    network::Network,
    sandbox::{Sandbox, agency_identity},
};
use zeroize::Zeroizing;

use super::memory_kib;

/// What the gateway may hold for each.
const KIB_EACH_MAX: f64 = 64.0;
/// How many shake hands at the same time.
const TOGETHER_MAX: usize = 32;
/// As many deliveries as the agent asks for.
const WINDOW: u32 = 64;

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
pub(super) async fn connected(agencies: usize, seconds: u64) -> Value {
    let folder = TempDir::new().unwrap();
    let ids: Vec<String> = (0..agencies).map(|number| format!("aa.n{number:05}")).collect();
    let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
    let mut sandbox = Sandbox::make(folder.path(), Network::of(&ids));
    let known = fs::read_to_string(sandbox.place().network()).unwrap();
    let known = Arc::new(Known::parse(&known).unwrap());
    let connectors: Vec<Connector> = {
        let mut authority = sandbox.authority();
        let of = |id: &str| {
            let id = AgencyId::parse(id, "agency").unwrap();
            let now = certs::UnixTime::of(std::time::SystemTime::now()).unwrap();
            let place = folder.path().join("certificates").join(id.as_str());
            fs::create_dir_all(place.parent().unwrap()).unwrap();
            authority.issue_with_key(&agency_identity(&id), now).unwrap().save(&place).unwrap();
            connector(&known, &id, &place)
        };
        ids.iter().copied().map(of).collect()
    };
    sandbox.start();
    // One comes and goes, so that what the gateway makes for the first of all is not counted.
    drop(idle(connectors[0].connect().await.unwrap()).await);
    sleep(DIRECTORY_EVERY).await;
    let before_kib = memory_kib(sandbox.pid(), "VmRSS:");
    let (permits, mut agents) = (Arc::new(Semaphore::new(TOGETHER_MAX)), JoinSet::new());
    for connector in connectors {
        let permits = Arc::clone(&permits);
        agents.spawn(async move {
            let _permit = permits.acquire().await.unwrap();
            idle(connector.connect().await.unwrap()).await.abort_handle()
        });
    }
    let mut held = Vec::with_capacity(agencies);
    while let Some(agent) = agents.join_next().await {
        held.push(agent.unwrap());
    }
    let connected_kib = memory_kib(sandbox.pid(), "VmRSS:");
    sleep(Duration::from_secs(seconds)).await;
    let (after_kib, peak_kib) = (memory_kib(sandbox.pid(), "VmRSS:"), memory_kib(sandbox.pid(), "VmHWM:"));
    let open = held.iter().filter(|agent| !agent.is_finished()).count();
    let each =
        |kib: u64| f64::from(u32::try_from(kib.saturating_sub(before_kib)).unwrap()) / agencies_f64(agencies);
    let right = open == agencies && each(after_kib) < KIB_EACH_MAX;
    held.iter().for_each(tokio::task::AbortHandle::abort);
    json!({
        "figure": "connected", "agencies": agencies, "open": open, "seconds": seconds, "before_kib": before_kib,
        "connected_kib": connected_kib, "after_kib": after_kib, "peak_kib": peak_kib,
        "kib_each": each(after_kib), "kib_each_at_the_peak": each(peak_kib), "right": right,
    })
}

fn agencies_f64(agencies: usize) -> f64 {
    f64::from(u32::try_from(agencies).unwrap())
}

/// With a certificate as an agent reads it.
fn connector(known: &Known, id: &AgencyId, place: &std::path::Path) -> Connector {
    let key = fs::read_to_string(place.join("key.pem")).unwrap();
    let key = TlsKey::parse(Zeroizing::new(key)).unwrap();
    let pem = fs::read(place.join("certificate.pem")).unwrap();
    let node = Code::parse("node-1", "node").unwrap();
    let chain = Chain::parse(&pem, known, (id, &node), &key, UnixTime::now()).unwrap();
    Connector::new(known, None, None, &Credential { key, chain }).unwrap()
}

/// The streams and looks of a link over which nothing goes; once all streams are open.
async fn idle(channel: Channel) -> tokio::task::JoinHandle<()> {
    let (push, pushes) = mpsc::channel(1);
    let mut pushed =
        PushClient::new(channel.clone()).push_stream(ReceiverStream::new(pushes)).await.unwrap().into_inner();
    let (say, said) = mpsc::channel(1);
    say.send(wire::DeliverRequest { request: Some(Say::Window(WINDOW)) }).await.unwrap();
    let deliver = ReceiveClient::new(channel.clone()).deliver(ReceiverStream::new(said)).await;
    let mut delivered = deliver.unwrap().into_inner();
    let follow = wire::FollowRequest { after_count: 0, from_batch: 0 };
    let mut followed = EvidenceClient::new(channel.clone()).follow(follow).await.unwrap().into_inner();
    tokio::spawn(async move {
        let (_push, _say) = (push, say);
        let (mut looks, mut reports) = (interval(DIRECTORY_EVERY), interval(WITNESS_EVERY));
        let (mut log, mut witness) = (LogClient::new(channel.clone()), WitnessClient::new(channel));
        // Ends when the gateway ends any of it.
        loop {
            tokio::select! {
                ended = pushed.message() => if !matches!(ended, Ok(Some(_))) { return },
                ended = delivered.message() => if !matches!(ended, Ok(Some(_))) { return },
                ended = followed.message() => if !matches!(ended, Ok(Some(_))) { return },
                _ = looks.tick() => {
                    let request = wire::GetCheckpointRequest { log: wire::LogName::Directory.into() };
                    if log.get_checkpoint(request).await.is_err() { return }
                }
                _ = reports.tick() => {
                    for name in [wire::LogName::Evidence, wire::LogName::Directory] {
                        let report = wire::WitnessReport { log: name.into(), ..wire::WitnessReport::default() };
                        if witness.report(report).await.is_err() { return }
                    }
                }
            }
        }
    })
}
