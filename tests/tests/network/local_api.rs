//! The agent's local API over TCP: nobody without the token, everything with it; health and reflection as every
//! language's tools ask for them. Not here: another language (`tests/interop/grpc`).
#![allow(clippy::unwrap_used, reason = "a test that does not get what it must has failed")]

use std::{fs, net::SocketAddr, os::unix::fs::PermissionsExt as _, path::Path};

use agent::api::{self, agent_client::AgentClient};
use tonic::{
    Code, Request, Status,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};
use trials::{demo::Stage, random::Random, sandbox::free_address};

use crate::staged::{stage, until};

const FROM: &str = "ae.dfwac";
const TO: &str = "ae-rk.aman";

fn over_tcp(stage: &mut Stage, agency: &str) -> (SocketAddr, String) {
    let address = free_address();
    let settings = stage.path(agency).join("agent.toml");
    let text = fs::read_to_string(&settings).unwrap();
    fs::write(settings, format!("{text}\n[local_api]\nlisten = \"{address}\"\n")).unwrap();
    stage.restart_agent(agency).unwrap();
    let token = stage.path(agency).join("keys/local.token");
    assert_eq!(fs::metadata(&token).unwrap().permissions().mode() & 0o777, 0o600);
    (address, fs::read_to_string(token).unwrap().trim_end().to_owned())
}

type Carrying<F> = AgentClient<InterceptedService<Channel, F>>;

async fn client(
    address: SocketAddr,
    token: &str,
) -> Carrying<impl FnMut(Request<()>) -> Result<Request<()>, Status> + Clone> {
    let channel = Endpoint::from_shared(format!("http://{address}")).unwrap().connect().await.unwrap();
    let value: tonic::metadata::MetadataValue<_> = format!("Bearer {token}").parse().unwrap();
    AgentClient::with_interceptor(channel, move |mut request: Request<()>| {
        request.metadata_mut().insert("authorization", value.clone());
        Ok(request)
    })
}

#[test]
fn over_tcp_everything_is_served_to_whoever_has_the_token() {
    let folder = tempfile::tempdir().unwrap();
    let mut stage = stage(folder.path());
    let case = Stage::prop("message.json").to_string_lossy().into_owned();
    until("the agreement reaches the agent", || stage.agent(FROM, &["explain", &case]).ok());
    let (address, token) = over_tcp(&mut stage, FROM);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let watched = runtime.block_on(async {
        for wrong in ["", "0000", &token.replace(['0', '1', '2', '3'], "4"), &token[1..]] {
            let refused = client(address, wrong).await.get_status(api::StatusRequest {}).await.err().unwrap();
            assert_eq!(refused.code(), Code::Unauthenticated);
            assert!(!refused.message().contains(&token[..8]), "the token is nowhere said");
        }
        let mut client = client(address, &token).await;
        let status = client.get_status(api::StatusRequest {}).await.unwrap().into_inner();
        assert_eq!(status.agency, FROM);

        // Sent once under one key, whatever is asked how often.
        let request = api::SendRequest {
            document: fs::read(Stage::prop("message.json")).unwrap(),
            idempotency_key: "over-tcp".to_owned(),
            ..Default::default()
        };
        let mut referrals = Vec::new();
        for _ in 0..2 {
            let answer = client.send(request.clone()).await.unwrap().into_inner().answer;
            let Some(api::send_answer::Answer::Queued(queued)) = answer else { panic!("it was not taken") };
            referrals.push(queued.referral);
        }
        assert_eq!(referrals[0], referrals[1]);

        // What systems look up.
        let wanted = api::ListVocabulariesRequest { vocabulary: "service".to_owned() };
        let vocabularies = client.list_vocabularies(wanted).await.unwrap().into_inner().vocabularies;
        let shelter = vocabularies[0].terms.iter().find(|term| term.code == "shelter").unwrap();
        assert!(!shelter.label_en.is_empty() && !shelter.label_ar.is_empty());
        let agencies =
            client.list_agencies(api::ListAgenciesRequest::default()).await.unwrap().into_inner().agencies;
        let theirs = agencies.iter().find(|agency| agency.agency == TO).unwrap();
        assert!(theirs.agreement_in_force && !theirs.suspended && agencies.len() > 2);
        let statistics = client.get_statistics(api::StatisticsRequest {}).await.unwrap().into_inner();
        assert_eq!(statistics.counts.iter().map(|count| count.count).sum::<u64>(), 1);
        let none = api::ListAgenciesRequest { agency: "xx.nobody".to_owned() };
        assert_eq!(client.list_agencies(none).await.err().unwrap().code(), Code::NotFound);

        // A receipt proves what it says, and nothing once it is changed.
        let receipt = loop {
            let request = api::ReceiptsRequest { referral: referrals[0].clone() };
            let receipts = client.get_receipts(request).await.unwrap().into_inner().receipts;
            if let Some(receipt) = receipts.into_iter().next() {
                break receipt.file;
            }
            tokio::task::yield_now().await;
        };
        let good = api::VerifyReceiptRequest { file: receipt.clone() };
        let good = client.verify_receipt(good).await.unwrap().into_inner();
        assert!(good.good && good.why.is_empty() && !good.envelope.is_empty());
        let changed = api::VerifyReceiptRequest { file: receipt.replacen('A', "B", 1) };
        let bad = client.verify_receipt(changed).await.unwrap().into_inner();
        assert!(!bad.good && !bad.why.is_empty() && bad.envelope.is_empty());
        client.watch(api::WatchRequest::default()).await.unwrap().into_inner()
    });
    // Whoever watches keeps the agent from nothing.
    stage.end().unwrap();
    drop(watched);
}

/// What does not fit into one call.
const STREAMED_BYTES: usize = 9 * 1024 * 1024;

fn piece(part: api::streamed_request::Part) -> api::StreamedRequest {
    api::StreamedRequest { part: Some(part) }
}

/// The files of a spool by what they end in.
fn spooled(folder: &Path, extension: &str) -> usize {
    let files = fs::read_dir(folder.join("spool")).unwrap();
    files.filter(|file| file.as_ref().unwrap().path().extension().is_some_and(|one| one == extension)).count()
}

#[test]
fn a_file_of_any_size_goes_piece_by_piece_and_once() {
    use api::streamed_request::Part;

    let folder = tempfile::tempdir().unwrap();
    let mut stage = stage(folder.path());
    let case = Stage::prop("document.json");
    let explained = case.to_string_lossy().into_owned();
    until("the agreement reaches the agent", || stage.agent(FROM, &["explain", &explained]).ok());
    let (address, token) = over_tcp(&mut stage, FROM);
    let content = Random::new(8).run(STREAMED_BYTES);
    let mut document: serde_json::Value = serde_json::from_slice(&fs::read(case).unwrap()).unwrap();
    document["attachments"] = serde_json::json!([{"file": "scan.bin", "contains_identity": false}]);
    let request = api::SendRequest {
        document: document.to_string().into_bytes(),
        files: vec![api::File { name: "scan.bin".to_owned(), ..Default::default() }],
        idempotency_key: "streamed".to_owned(),
        ..Default::default()
    };
    let first = || piece(Part::Send(request.clone()));
    let chunks = || content.chunks(256 * 1024).map(|chunk| piece(Part::Chunk(chunk.to_vec())));
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let referral = runtime.block_on(async {
        let mut client = client(address, &token).await;
        // Broken off in the middle, nothing is sent, and nothing of it is left.
        let half: Vec<_> = [first()].into_iter().chain(chunks().take(9)).collect();
        let refused = client.send_streamed(tokio_stream::iter(half)).await.err().unwrap();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(spooled(&stage.path(FROM), "veiled"), 0);

        let whole: Vec<_> =
            [first()].into_iter().chain(chunks()).chain([piece(Part::EndOfFile(true))]).collect();
        let answer = client.send_streamed(tokio_stream::iter(whole)).await.unwrap().into_inner().answer;
        let Some(api::send_answer::Answer::Queued(queued)) = answer else { panic!("it was not taken") };
        assert_eq!(spooled(&stage.path(FROM), "veiled"), 0);

        // Under the same key it is answered before its file.
        let (pieces, asked) = tokio::sync::mpsc::channel(1);
        pieces.send(first()).await.unwrap();
        let asked = tokio_stream::wrappers::ReceiverStream::new(asked);
        let again = client.send_streamed(asked).await.unwrap().into_inner().answer;
        let Some(api::send_answer::Answer::Queued(again)) = again else { panic!("it was not taken") };
        assert_eq!(again.referral, queued.referral);
        drop(pieces);
        queued.referral
    });
    let saved = folder.path().join("saved");
    let save = saved.to_string_lossy().into_owned();
    let read = until("the file arrives", || {
        stage.agent(TO, &["show", &referral, "--save", &save]).ok()?;
        let file = fs::read_dir(&saved).ok()?.next()?.unwrap();
        file.file_name().to_str().unwrap().ends_with("scan.bin").then(|| fs::read(file.path()).unwrap())
    });
    assert!(read == content, "the file that was sent");
    stage.end().unwrap();
}
