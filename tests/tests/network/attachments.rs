//! Attachments that are too large for an envelope: over real programs that are killed while they move
//! them, and over the wire against whoever may not have them. Not here: small ones, which travel in
//! their envelope (`services`).
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test that does not get what it must has failed"
)]

use std::{
    collections::BTreeSet,
    fs::{self, File},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use gateway::service::stubs::{
    parts_client::PartsClient, push_client::PushClient, receive_client::ReceiveClient,
};
use prost::Message as _;
use proto::{
    digest::Digest,
    dsse::{self, PayloadType},
    header::Header,
    ids::{PartClass, Release, Storage},
    refusal::Refusal,
    wire::{self, upload_request::Request as Said},
};
use serde_json::Value;
use tonic::{Code, Status, transport::Channel};
use trials::{
    demo::{Programs, Stage, found},
    network::{Agency, Network},
    random::Random,
    sandbox::{Sandbox, program},
    speak::{digest_of, envelope, failure, now, receipt_of, refusal_in},
};

const FROM: &str = "ae.dfwac";
const TO: &str = "ae-rk.aman";
/// Length of the attachments that are moved.
const LARGE_BYTES: usize = 30 * 1024 * 1024;
/// What an agent may hold in memory, all in all, whatever it moves: less than one attachment.
const AGENT_KIB_MAX: u64 = 28 * 1024;
/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// A network whose agencies know of their agreement, and a large file.
fn stage(folder: &Path) -> (Stage, PathBuf) {
    let programs = Programs::at(program("gateway"), program("agent"));
    let mut stage = Stage::open(programs, Some(folder.join("stage"))).unwrap();
    found(&mut stage).unwrap();
    let large = folder.join("scan.pdf");
    fs::write(&large, Random::new(30).run(LARGE_BYTES)).unwrap();
    until("the agreement reaches the agent", || send(&stage, &[]).is_ok().then_some(()));
    (stage, large)
}

fn send(stage: &Stage, more: &[&str]) -> anyhow::Result<String> {
    let case = Stage::prop("case.json");
    let case = case.to_string_lossy();
    let said = stage.agent(FROM, &[&["send", &case], more].concat())?;
    Ok(said["referral"].as_str().unwrap().to_owned())
}

fn send_large(stage: &Stage, large: &Path) -> String {
    send(stage, &["--attach", &large.to_string_lossy(), "--attach-without-identity"]).unwrap()
}

fn until<T>(what: &str, mut come: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(came) = come() {
            return came;
        }
        assert!(begun.elapsed() < PATIENCE, "never came: {what}");
        std::thread::yield_now();
    }
}

/// Files of a folder with an ending, and their lengths.
fn files(folder: &Path, ending: &str) -> Vec<(PathBuf, u64)> {
    let Ok(files) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let files = files.map(|file| file.unwrap().path());
    let files = files.filter(|path| path.extension().is_some_and(|extension| extension == ending));
    files
        .filter_map(|path| Some((fs::metadata(&path).ok()?.len(), path)))
        .map(|(len, path)| (path, len))
        .collect()
}

/// Looks until a file is there in part; nothing when all of it arrived meanwhile.
fn in_part(stage: &Stage, (folder, ending): (&Path, &str), referral: &str) -> Option<()> {
    let begun = Instant::now();
    loop {
        for _ in 0..200 {
            let lengths = files(folder, ending);
            let large = u64::try_from(LARGE_BYTES).unwrap();
            if lengths.iter().any(|(_, length)| *length > 0 && *length < large) {
                return Some(());
            }
        }
        if arrived(stage).contains(referral) {
            return None;
        }
        assert!(begun.elapsed() < PATIENCE, "{referral} neither moves nor arrives");
    }
}

fn arrived(stage: &Stage) -> BTreeSet<String> {
    let inbox = stage.agent(TO, &["inbox", "--all"]).unwrap();
    let all: Vec<_> = inbox.as_array().unwrap().iter().map(|case| &case["referral"]).collect();
    let once: BTreeSet<_> = all.iter().map(|referral| referral.as_str().unwrap().to_owned()).collect();
    assert_eq!(once.len(), all.len(), "once");
    once
}

/// The large attachments of a referral, as an agency sees them.
fn large_parts(stage: &Stage, agency: &str, referral: &str) -> Vec<Value> {
    let shown = stage.agent(agency, &["show", referral]).unwrap();
    let parts = shown["parts"].as_array().unwrap().iter();
    parts
        .filter(|part| part["bytes"].as_u64() == Some(u64::try_from(LARGE_BYTES).unwrap()))
        .cloned()
        .collect()
}

fn memory_kib(pid: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn thirty_mebibytes_arrive_once_and_the_same_whoever_is_killed_on_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let (mut stage, large) = stage(folder.path());
    let (uploads, spool) = (stage.path("hub").join("parts").join(FROM), stage.path(TO).join("spool"));
    let mut sent = Vec::new();
    for (killed, watched) in [
        ("gateway", (uploads.as_path(), "upload")),
        (FROM, (uploads.as_path(), "upload")),
        ("gateway", (spool.as_path(), "part")),
        (TO, (spool.as_path(), "part")),
    ] {
        // What was too fast to be interrupted has arrived; the next one is interrupted.
        loop {
            let referral = send_large(&stage, &large);
            sent.push(referral.clone());
            if in_part(&stage, watched, &referral).is_some() {
                break;
            }
        }
        if killed == "gateway" {
            stage.kill_gateway().unwrap();
            stage.start_gateway().unwrap();
        } else {
            stage.restart_agent(killed).unwrap();
        }
        until("what was interrupted arrives", || arrived(&stage).contains(sent.last()?).then_some(()));
    }
    let whole = fs::read(&large).unwrap();
    for referral in &sent {
        assert_eq!(large_parts(&stage, TO, referral).len(), 1, "once");
        let saved = folder.path().join(referral);
        stage.agent(TO, &["show", referral, "--save", &saved.to_string_lossy()]).unwrap();
        let saved: Vec<_> = fs::read_dir(&saved).unwrap().map(|file| file.unwrap().path()).collect();
        let same = saved.iter().filter(|path| fs::read(path).unwrap() == whole);
        assert_eq!(same.count(), 1, "{saved:?}");
        // Whoever sent it has the file, and keeps no copy.
        assert_eq!(large_parts(&stage, FROM, referral).len(), 1);
    }
    let log = |name: &str| fs::read_to_string(stage.path("logs").join(format!("{name}.log"))).unwrap();
    assert!(log(FROM).contains("an upload goes on"), "it did not begin again");
    assert!(log(TO).contains("a download goes on"), "it did not begin again");
    assert_eq!(files(&stage.path(FROM).join("spool"), "out"), [], "what was taken is not kept to be sent");
    assert_eq!(files(&spool, "in").len(), sent.len());

    // Neither side holds it in memory, and nothing of it can be read on either disk.
    for agency in [FROM, TO] {
        stage.restart_agent(agency).unwrap();
    }
    let referral = send_large(&stage, &large);
    until("the last one arrives", || arrived(&stage).contains(&referral).then_some(()));
    for agency in [FROM, TO] {
        let kib = memory_kib(stage.agent_pid(agency).unwrap());
        assert!(kib < AGENT_KIB_MAX, "{agency} holds {kib} KiB");
    }
    let planted = &whole[LARGE_BYTES / 2..LARGE_BYTES / 2 + 64];
    for (path, _) in files(&spool, "in") {
        let bytes = fs::read(path).unwrap();
        assert!(!bytes.windows(planted.len()).any(|window| window == planted), "in clear");
    }
    let hub = stage.path("hub").to_string_lossy().into_owned();
    stage.end().unwrap();
    assert_eq!(stage.gateway(&["verify", &hub]).unwrap()["right"], true);
}

#[test]
fn what_the_agreement_does_not_allow_is_refused_before_any_of_it_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let (mut stage, _) = stage(folder.path());
    let too_large = folder.path().join("film.mp4");
    File::create(&too_large).unwrap().set_len(proto::agreement::ATTACHMENT_BYTES_DEFAULT + 1).unwrap();
    let case = Stage::prop("case.json").to_string_lossy().into_owned();
    let film = too_large.to_string_lossy().into_owned();
    let attach = ["--attach", &film, "--attach-without-identity"];
    let send = [&["send", &case], &attach[..]].concat();
    let refusal = stage.agent_refused(FROM, &send).unwrap();
    assert_eq!(refusal["code"], Refusal::PartTooLarge.name());
    assert!(!refusal["text_en"].as_str().unwrap().is_empty());
    assert_eq!(fs::read_dir(stage.path(FROM).join("spool")).unwrap().count(), 0, "nothing was sealed");
    assert_eq!(files(&stage.path("hub").join("parts").join(FROM), "upload"), [], "nothing was sent");
    // An act's files have the same limit.
    let referral = self::send(&stage, &[]).unwrap();
    let note = [&["note", &referral, "--note", "see the film"], &attach[..]].concat();
    let refusal = stage.agent_refused(FROM, &note).unwrap();
    assert_eq!(refusal["code"], Refusal::PartTooLarge.name());
    // What is gone before it is sealed sends nothing.
    fs::remove_file(&too_large).unwrap();
    assert!(stage.agent(FROM, &send).is_err());
    stage.end().unwrap();
}

/// A network on the wire: one uploads, one may have it, one may not.
struct Wire {
    _folder: tempfile::TempDir,
    sandbox: Sandbox,
    random: Random,
}

impl Wire {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut sandbox = Sandbox::make(folder.path(), Network::new());
        sandbox.start();
        Self { _folder: folder, sandbox, random: Random::new(5) }
    }

    fn agency(&self, id: &str) -> Agency {
        self.sandbox.network.agencies.iter().find(|agency| agency.id.as_str() == id).unwrap().clone()
    }

    async fn channel(&self, id: &str) -> Channel {
        self.sandbox.connect(id).await.unwrap()
    }

    /// The envelope of a referral with an attachment of these bytes, which somebody uploads.
    fn with(&mut self, bytes: &[u8], release: Release) -> (Header, wire::Envelope) {
        let (from, to) = (self.agency(FROM), self.agency(TO));
        let (mut header, parts) = self.sandbox.network.opening(&from.id, &to.id, now(), &mut self.random);
        let mut third = header.parts[0].clone();
        (third.part_id, third.class, third.release) = (3, PartClass::Attachment, release);
        third.storage = Storage::Uploaded;
        third.sha256 = Digest::of(bytes);
        third.length_bytes = u64::try_from(bytes.len()).unwrap();
        header.parts.push(third);
        let envelope = envelope(&from, &header, &parts);
        (header, envelope)
    }
}

/// Uploads a run of bytes as if it were something of this digest and length. Gives the answers.
async fn upload(
    channel: &Channel,
    (sha256, length_bytes): (Digest, usize),
    bytes: &[u8],
) -> Result<Vec<wire::UploadAnswer>, Status> {
    let start =
        wire::UploadStart { sha256: sha256.to_vec(), length_bytes: u64::try_from(length_bytes).unwrap() };
    let chunks = bytes.chunks(64 * 1024).map(|chunk| Said::Chunk(chunk.to_vec()));
    let requests = [Said::Start(start)].into_iter().chain(chunks);
    let requests: Vec<_> = requests.map(|request| wire::UploadRequest { request: Some(request) }).collect();
    let mut client = PartsClient::new(channel.clone());
    let mut answers = client.upload(tokio_stream::iter(requests)).await?.into_inner();
    let mut all = Vec::new();
    while let Some(answer) = answers.message().await? {
        all.push(answer);
    }
    Ok(all)
}

async fn download(channel: &Channel, envelope: Digest, part_id: u32, offset: u64) -> Result<Vec<u8>, Code> {
    let request = wire::DownloadRequest { envelope: envelope.to_vec(), part_id, offset };
    let mut client = PartsClient::new(channel.clone());
    let answers = client.download(request).await;
    let mut answers = answers.map_err(|status| status.code())?.into_inner();
    let mut bytes = Vec::new();
    while let Some(answer) = answers.message().await.map_err(|status| status.code())? {
        bytes.extend(answer.chunk);
    }
    Ok(bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_whom_it_waits_for_may_have_it_and_only_when_its_turn_has_come() {
    let mut wire = Wire::new();
    let (mine, theirs) = (wire.channel(FROM).await, wire.channel(TO).await);
    let stranger = wire.channel("jo.mosd").await;
    let bytes = wire.random.run(200_000);
    for (release, is_due) in [(Release::AtOnce, true), (Release::OnAcceptance, false)] {
        let (header, envelope) = wire.with(&bytes, release);
        let digest = digest_of(&envelope);
        let answers = upload(&mine, (Digest::of(&bytes), bytes.len()), &bytes).await.unwrap();
        assert!(answers.last().unwrap().complete);
        let before = download(&theirs, digest, 3, 0).await;
        assert_eq!(before, Err(Code::NotFound), "no envelope names it yet");
        let mut push = PushClient::new(mine.clone());
        receipt_of(push.push_one(envelope).await.unwrap().into_inner());
        for (who, channel) in [("a stranger", &stranger), ("its sender", &mine)] {
            assert_eq!(download(channel, digest, 3, 0).await, Err(Code::NotFound), "{who}");
        }
        for part in [1, 2, 4] {
            let other = download(&theirs, digest, part, 0).await;
            assert_eq!(other, Err(Code::NotFound), "part {part} was not uploaded");
        }
        if !is_due {
            let parked = download(&theirs, digest, 3, 0).await;
            assert_eq!(parked, Err(Code::NotFound), "it waits for the acceptance");
            continue;
        }
        assert_eq!(download(&theirs, digest, 3, 0).await.unwrap(), bytes);
        assert_eq!(download(&theirs, digest, 3, 150_000).await.unwrap(), bytes[150_000..]);
        // Once it is handed over, with every digest, it is not given again.
        let to = wire.agency(TO);
        let parts = [header.parts[0].sha256, header.parts[2].sha256];
        let handover = wire::Handover {
            envelope: digest.to_vec(),
            result: wire::HandoverResult::Received.into(),
            part_digests: parts.iter().map(|digest| digest.to_vec()).collect(),
        };
        let without = wire::Handover { part_digests: vec![parts[0].to_vec()], ..handover.clone() };
        let mut receive = ReceiveClient::new(theirs.clone());
        let signed = |handover: wire::Handover| {
            let receipt =
                wire::HandoverReceipt { version: 1, recipient: to.id.to_string(), handovers: vec![handover] };
            let receipt = dsse::sign(PayloadType::Receipt, receipt.encode_to_vec(), &[&to.key]);
            wire::AcknowledgeRequest { receipt: Some(receipt) }
        };
        let refused = failure(receive.acknowledge(signed(without)).await);
        assert_eq!(refusal_in(&refused).code, Refusal::DigestsDiffer.name(), "not every byte");
        receive.acknowledge(signed(handover)).await.unwrap();
        assert_eq!(download(&theirs, digest, 3, 0).await, Err(Code::NotFound));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_short_or_other_than_announced_is_never_referred_to() {
    let mut wire = Wire::new();
    let mine = wire.channel(FROM).await;
    let bytes = wire.random.run(100_000);
    let (_, envelope) = wire.with(&bytes, Release::AtOnce);
    let mut push = PushClient::new(mine.clone());
    let announced = (Digest::of(&bytes), bytes.len());
    let mut wrong = bytes.clone();
    wrong[99_999] ^= 1;
    let refused = failure(upload(&mine, announced, &wrong).await);
    assert_eq!(refused.code(), Code::InvalidArgument);
    let long = [bytes.as_slice(), b"more"].concat();
    let refused = failure(upload(&mine, announced, &long).await);
    assert_eq!(refused.code(), Code::InvalidArgument);
    // What came before the end was passed is kept, and gone on with.
    let right = upload(&mine, announced, &bytes[64 * 1024..]).await.unwrap();
    assert_eq!(right[0].synced_bytes, 64 * 1024);
    assert!(right.last().unwrap().complete, "what was refused is no obstacle");
    let (_, other) = wire.with(&bytes[..99_999], Release::AtOnce);
    let announced = (Digest::of(&bytes[..99_999]), 99_999);
    let short = upload(&mine, announced, &bytes[..50_000]).await.unwrap();
    assert!(!short.last().unwrap().complete);
    let refusal = refusal_in(&failure(push.push_one(other.clone()).await));
    assert_eq!(refusal.code, Refusal::PartNotUploaded.name());
    // Gone on with where it ended, it is taken, and so is the same envelope.
    let rest = upload(&mine, announced, &bytes[50_000..99_999]).await.unwrap();
    assert_eq!(rest[0].synced_bytes, 50_000);
    assert!(rest.last().unwrap().complete);
    receipt_of(push.push_one(other).await.unwrap().into_inner());
    receipt_of(push.push_one(envelope).await.unwrap().into_inner());
    // Nobody else's upload stands in for one's own.
    let stranger = wire.channel("jo.mosd").await;
    let foreign = wire.random.run(70_000);
    let answers = upload(&stranger, (Digest::of(&foreign), foreign.len()), &foreign).await.unwrap();
    assert!(answers.last().unwrap().complete);
    let (_, envelope) = wire.with(&foreign, Release::AtOnce);
    let refusal = refusal_in(&failure(push.push_one(envelope).await));
    assert_eq!(refusal.code, Refusal::PartNotUploaded.name());
}
