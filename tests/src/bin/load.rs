//! Load on a real gateway over real TLS, and beside each figure the machine's own limits from the
//! same run: JSON lines. `load push` counts durable answers, `load end-to-end` follows envelopes to
//! their recipients' acknowledgement, `load limits` shows the machine alone.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::as_conversions,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark"
)]

use std::{
    collections::{BTreeMap, VecDeque},
    fs::File,
    io::Write as _,
    path::Path,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use gateway::{
    clock,
    metrics::Metrics,
    peer::{Peer, accept::Door, connections::Connections},
    place::Place,
    service::stubs::{
        push_client::PushClient,
        push_server::{Push, PushServer},
        receive_client::ReceiveClient,
    },
};
use prost::Message as _;
use proto::{
    digest::Digest,
    dsse::{self, PayloadType},
    ids::{AgencyId, Kind, PartClass, Release},
    wire,
};
use serde_json::json;
use tokio::{
    net::TcpListener,
    sync::{Semaphore, mpsc},
    time::{MissedTickBehavior, interval},
};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming};
use trials::{
    arguments::Arguments,
    network::{Agency, NETWORK, Network},
    random::Random,
    sandbox::Sandbox,
};

/// How many receipts a recipient has under way.
const RECEIPTS_UNDER_WAY_MAX: usize = 2;
/// How many are signed before the clock runs, for each second: more than are answered.
const PRESIGNED_PER_SECOND: usize = 24_000;
/// And of large ones, how many bytes of them in all.
const PRESIGNED_BYTES_MAX: usize = 2 * 1024 * 1024 * 1024;
/// How long nothing is counted at the beginning.
const WARM_UP: Duration = Duration::from_secs(1);

#[tokio::main(flavor = "multi_thread", worker_threads = 2)]
async fn main() {
    let arguments = Arguments::of_process(&["sign"]);
    match arguments.words.first().map(String::as_str) {
        Some("push") => push(&Plan::read(&arguments)).await,
        Some("end-to-end") => end_to_end(&Plan::read(&arguments)).await,
        Some("limits") => limits(&Plan::read(&arguments)).await,
        Some("echo") => echo(Path::new(arguments.text("folder").unwrap())).await,
        _ => {
            println!(
                "load push|end-to-end|limits [--in-flight 64] [--streams 1] [--bytes 2048] [--parts 1] [--seconds 10]\n\
                 \x20    [--rate 0] [--sign] [--agencies 5] [--agreements 0] [--rules 0] [--folder DIR]"
            );
        }
    }
}

struct Plan {
    in_flight: usize,
    streams: usize,
    bytes: usize,
    parts: usize,
    seconds: u64,
    rate: u64,
    sign: bool,
    agencies: usize,
    agreements: usize,
    rules: u64,
    folder: String,
}

impl Plan {
    fn read(arguments: &Arguments) -> Self {
        Self {
            in_flight: arguments.get("in-flight", 64),
            streams: arguments.get("streams", 1),
            bytes: arguments.get("bytes", 2048),
            parts: arguments.get("parts", 1),
            seconds: arguments.get("seconds", 10),
            rate: arguments.get("rate", 0),
            sign: arguments.has("sign"),
            agencies: arguments.get("agencies", 5),
            agreements: arguments.get("agreements", 0),
            rules: arguments.get("rules", 0),
            folder: arguments
                .text("folder")
                .map_or_else(|| std::env::temp_dir().display().to_string(), str::to_owned),
        }
    }

    fn network(&self) -> Network {
        let ids: Vec<_> = (0..self.agencies).map(|number| format!("xx.agency-{number:04}")).collect();
        Network::of(&ids.iter().map(String::as_str).collect::<Vec<_>>())
    }

    fn sandbox(&self) -> (tempfile::TempDir, Sandbox) {
        let folder = tempfile::tempdir_in(&self.folder).unwrap();
        let mut sandbox = Sandbox::make_with(folder.path(), self.network(), self.agreements, self.rules);
        sandbox.start();
        (folder, sandbox)
    }

    fn says(&self) -> serde_json::Value {
        json!({
            "in_flight": self.in_flight, "streams": self.streams, "bytes": self.bytes, "parts": self.parts,
            "rate": self.rate, "presigned": !self.sign, "agencies": self.agencies,
            "agreements": self.agreements, "rules": self.rules,
        })
    }
}

/// Makes messages from one agency to the next, of a size on the wire: over when they are handed over.
struct Maker {
    network: Network,
    from: usize,
    bytes: usize,
    parts: usize,
    random: Random,
    filling: usize,
}

impl Maker {
    fn new(plan: &Plan, network: &Network, from: usize) -> Self {
        let random = Random::new(u64::try_from(from).unwrap().wrapping_mul(0x9e37_79b9) ^ clock::now().0);
        let mut maker =
            Self { network: network.clone(), from, bytes: plan.bytes, parts: plan.parts, random, filling: 1 };
        // What is signed around the ciphertexts counts too.
        let around = maker.make().encoded_len();
        maker.filling = (maker.bytes.saturating_sub(around) / maker.parts).max(1);
        maker
    }

    fn make(&mut self) -> wire::Envelope {
        let count = self.network.agencies.len();
        let to = (self.from + 1) % count;
        let (sender, recipient) = (self.network.at(self.from), self.network.at(to));
        let (mut header, _) = self.network.opening(&sender.id, &recipient.id, clock::now(), &mut self.random);
        header.kind = Kind::Message;
        header.agreement = self.network.agreement_of(self.from, to);
        let template = header.parts[0].clone();
        header.parts.clear();
        let mut parts = Vec::with_capacity(self.parts);
        for part_id in (1..).take(self.parts) {
            let ciphertext = bytes::Bytes::from(self.random.run(self.filling));
            let mut part = template.clone();
            part.part_id = part_id;
            part.class = if part_id == 1 { PartClass::Summary } else { PartClass::Detail };
            part.release = Release::AtOnce;
            part.sha256 = Digest::of(&ciphertext);
            part.length_bytes = u64::try_from(ciphertext.len()).unwrap();
            header.parts.push(part);
            parts.push(wire::InlinePart { part_id, ciphertext });
        }
        let signed = dsse::sign(PayloadType::Envelope, header.to_wire().encode_to_vec(), &[&sender.key]);
        wire::Envelope { signed: Some(signed), parts }
    }
}

/// What is counted.
#[derive(Default)]
struct Counted {
    is_counting: AtomicBool,
    answers: AtomicU64,
    failures: AtomicU64,
    latencies_us: Mutex<Vec<u32>>,
}

impl Counted {
    fn answered(&self, sent: Instant, good: bool) {
        if !good {
            self.failures.fetch_add(1, Ordering::Relaxed);
        }
        if self.is_counting.load(Ordering::Relaxed) {
            self.answers.fetch_add(1, Ordering::Relaxed);
            let micros = u32::try_from(sent.elapsed().as_micros()).unwrap_or(u32::MAX);
            self.latencies_us.lock().unwrap().push(micros);
        }
    }

    fn percentiles(&self) -> serde_json::Value {
        let mut all = self.latencies_us.lock().unwrap().clone();
        all.sort_unstable();
        let at = |share: f64| {
            all.get(((all.len() as f64) * share) as usize).map_or(0.0, |us| f64::from(*us) / 1000.0)
        };
        json!({ "p50_ms": at(0.5), "p90_ms": at(0.9), "p99_ms": at(0.99), "p999_ms": at(0.999) })
    }
}

async fn push(plan: &Plan) {
    let (_folder, mut sandbox) = plan.sandbox();
    let counted = Arc::new(Counted::default());
    let stop = CancellationToken::new();
    let mut tasks = Vec::new();
    for stream in 0..plan.streams {
        let maker = Maker::new(plan, &sandbox.network, stream);
        let channel = sandbox.connect(sandbox.network.at(stream).id.as_str()).await.unwrap();
        let share = (plan.in_flight / plan.streams).max(1);
        let ready = presigned(plan, maker, share);
        tasks.push(tokio::spawn(push_stream(channel, ready, share, Arc::clone(&counted), stop.clone())));
    }
    tokio::time::sleep(WARM_UP).await;
    let (cpu, begun) = (cpu_seconds(sandbox.pid()), Instant::now());
    counted.is_counting.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(plan.seconds)).await;
    counted.is_counting.store(false, Ordering::Relaxed);
    let (took, cpu) = (begun.elapsed().as_secs_f64(), cpu_seconds(sandbox.pid()) - cpu);
    stop.cancel();
    for task in tasks {
        task.await.unwrap();
    }
    let answers = counted.answers.load(Ordering::Relaxed);
    let memory_mib = peak_mib(sandbox.pid());
    let all = answers_of(sandbox.metrics).await;
    sandbox.terminate();
    let disk = Disk::of(&sandbox.place(), &sandbox.network);
    println!(
        "{}",
        json!({
            "what": "push", "plan": plan.says(),
            "per_second": (answers as f64 / took).round(),
            "failures": counted.failures.load(Ordering::Relaxed),
            "latency": counted.percentiles(),
            "gateway_cpu_us_per_envelope": (cpu * 1e6 / answers as f64).round(),
            "gateway_peak_mib": memory_mib,
            "journal_bytes_per_envelope": disk.journal as f64 / all,
            "all_files_bytes_per_envelope": (disk.journal + disk.others) as f64 / all,
        })
    );
}

/// Envelopes on their way: signed before the clock runs, or as they are needed.
fn presigned(plan: &Plan, mut maker: Maker, share: usize) -> std::sync::mpsc::Receiver<wire::PushRequest> {
    let ahead = if plan.sign { share } else { 60_000 };
    let (sender, receiver) = std::sync::mpsc::sync_channel(ahead);
    let seconds = usize::try_from(plan.seconds).unwrap() + 2;
    let most = PRESIGNED_BYTES_MAX / plan.bytes / seconds;
    let wanted = if plan.sign { usize::MAX } else { PRESIGNED_PER_SECOND.min(most) * seconds / plan.streams };
    let mut made = VecDeque::new();
    if !plan.sign {
        made.extend((0..wanted).map(|_| maker.make()));
    }
    std::thread::spawn(move || {
        for tag in 0.. {
            let envelope =
                if made.is_empty() && wanted == usize::MAX { Some(maker.make()) } else { made.pop_front() };
            let Some(envelope) = envelope else { return };
            if sender.send(wire::PushRequest { tag, envelope: Some(envelope) }).is_err() {
                return;
            }
        }
    });
    receiver
}

async fn push_stream(
    channel: tonic::transport::Channel,
    ready: std::sync::mpsc::Receiver<wire::PushRequest>,
    in_flight: usize,
    counted: Arc<Counted>,
    stop: CancellationToken,
) {
    let (requests, receiver) = mpsc::channel::<wire::PushRequest>(in_flight);
    let free = Arc::new(Semaphore::new(in_flight));
    let sent = Arc::new(Mutex::new(VecDeque::new()));
    let mut client = PushClient::new(channel);
    let mut answers = client.push_stream(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    let (sending, times) = (Arc::clone(&free), Arc::clone(&sent));
    let sender = tokio::spawn(async move {
        loop {
            let permit = tokio::select! {
                permit = Arc::clone(&sending).acquire_owned() => permit.unwrap(),
                () = stop.cancelled() => return,
            };
            let Ok(request) = ready.try_recv().or_else(|_| ready.recv()) else { return };
            permit.forget();
            times.lock().unwrap().push_back(Instant::now());
            if requests.send(request).await.is_err() {
                return;
            }
        }
    });
    while let Some(answer) = answers.message().await.unwrap() {
        free.add_permits(1);
        let sent = sent.lock().unwrap().pop_front().unwrap();
        counted.answered(sent, matches!(answer.answer, Some(wire::push_answer::Answer::Receipt(_))));
    }
    sender.await.unwrap();
}

/// From push to the recipient's acknowledgement, at a rate, or as fast as it goes.
async fn end_to_end(plan: &Plan) {
    let (_folder, mut sandbox) = plan.sandbox();
    let counted = Arc::new(Counted::default());
    let stop = CancellationToken::new();
    let under_way = Arc::new(Mutex::new(BTreeMap::new()));
    let free = Arc::new(Semaphore::new(plan.in_flight));
    let mut tasks = Vec::new();
    for stream in 0..plan.streams {
        let recipient = sandbox.network.at(stream + 1).clone();
        let channel = sandbox.connect(recipient.id.as_str()).await.unwrap();
        let known = (Arc::clone(&under_way), Arc::clone(&counted), Arc::clone(&free));
        tasks.push(tokio::spawn(receive(channel, recipient, known, stop.clone())));
        let maker = Maker::new(plan, &sandbox.network, stream);
        let channel = sandbox.connect(sandbox.network.at(stream).id.as_str()).await.unwrap();
        let rate = plan.rate / u64::try_from(plan.streams).unwrap();
        let known = (Arc::clone(&under_way), Arc::clone(&free));
        tasks.push(tokio::spawn(send_at(channel, maker, rate, known, stop.clone())));
    }
    tokio::time::sleep(WARM_UP).await;
    let begun = Instant::now();
    counted.is_counting.store(true, Ordering::Relaxed);
    tokio::time::sleep(Duration::from_secs(plan.seconds)).await;
    counted.is_counting.store(false, Ordering::Relaxed);
    let took = begun.elapsed().as_secs_f64();
    let memory_mib = peak_mib(sandbox.pid());
    stop.cancel();
    for task in tasks {
        task.await.unwrap();
    }
    sandbox.terminate();
    println!(
        "{}",
        json!({
            "what": "end to end", "plan": plan.says(),
            "per_second": (counted.answers.load(Ordering::Relaxed) as f64 / took).round(),
            "latency": counted.percentiles(),
            "gateway_peak_mib": memory_mib,
        })
    );
}

type UnderWay = Arc<Mutex<BTreeMap<Digest, Instant>>>;

async fn send_at(
    channel: tonic::transport::Channel,
    mut maker: Maker,
    rate: u64,
    (under_way, free): (UnderWay, Arc<Semaphore>),
    stop: CancellationToken,
) {
    let (requests, receiver) = mpsc::channel(64);
    let mut client = PushClient::new(channel);
    let mut answers = client.push_stream(ReceiverStream::new(receiver)).await.unwrap().into_inner();
    let sender = tokio::spawn(async move {
        let mut every = (rate > 0).then(|| {
            let mut every = interval(Duration::from_secs(1) / u32::try_from(rate).unwrap());
            every.set_missed_tick_behavior(MissedTickBehavior::Burst);
            every
        });
        while !stop.is_cancelled() {
            if let Some(every) = &mut every {
                every.tick().await;
            }
            let permit = tokio::select! {
                permit = Arc::clone(&free).acquire_owned() => permit.unwrap(),
                () = stop.cancelled() => return,
            };
            permit.forget();
            let envelope = maker.make();
            let signed = envelope.signed.as_ref().unwrap();
            let pae = dsse::pre_authentication_encoding(&signed.payload_type, &signed.payload);
            under_way.lock().unwrap().insert(Digest::of(&pae), Instant::now());
            if requests.send(wire::PushRequest { tag: 0, envelope: Some(envelope) }).await.is_err() {
                return;
            }
        }
    });
    while let Some(answer) = answers.message().await.unwrap() {
        assert!(matches!(answer.answer, Some(wire::push_answer::Answer::Receipt(_))));
    }
    sender.await.unwrap();
}

async fn receive(
    channel: tonic::transport::Channel,
    recipient: Agency,
    (under_way, counted, free): (UnderWay, Arc<Counted>, Arc<Semaphore>),
    stop: CancellationToken,
) {
    use wire::{deliver_request::Request as Say, delivery::Delivery};
    let mut client = ReceiveClient::new(channel);
    let (say, said) = mpsc::channel(64);
    let speak = async |request| say.send(wire::DeliverRequest { request: Some(request) }).await.unwrap();
    speak(Say::Window(256)).await;
    let hear = client.deliver(ReceiverStream::new(said)).await.unwrap().into_inner();
    // What has arrived while a receipt is under way is acknowledged together, with one signature.
    let (mut waiting, mut unanswered) = (Vec::new(), 0_usize);
    let mut hear = futures::StreamExt::ready_chunks(hear, 64);
    loop {
        let together = tokio::select! {
            together = hear.next() => together.unwrap_or_default(),
            () = stop.cancelled() => return,
        };
        for message in together {
            match message.unwrap().delivery.unwrap() {
                Delivery::Delivered(delivered) => waiting.push(handover(&delivered)),
                Delivery::Acknowledged(answer) => {
                    unanswered = unanswered.saturating_sub(1);
                    for one in answer.answers {
                        let digest = Digest(one.envelope.try_into().unwrap());
                        if let Some(sent) = under_way.lock().unwrap().remove(&digest) {
                            counted.answered(sent, true);
                            free.add_permits(1);
                        }
                    }
                }
            }
        }
        if !waiting.is_empty() && unanswered < RECEIPTS_UNDER_WAY_MAX {
            unanswered += 1;
            let handovers = std::mem::take(&mut waiting);
            let more = u32::try_from(handovers.len()).unwrap();
            let receipt =
                wire::HandoverReceipt { version: 1, recipient: recipient.id.to_string(), handovers };
            let receipt = dsse::sign(PayloadType::Receipt, receipt.encode_to_vec(), &[&recipient.key]);
            speak(Say::Receipt(receipt)).await;
            speak(Say::Window(more)).await;
        }
    }
}

fn handover(delivered: &wire::Delivered) -> wire::Handover {
    let envelope = delivered.envelope.as_ref().unwrap();
    let signed = envelope.signed.as_ref().unwrap();
    let pae = dsse::pre_authentication_encoding(&signed.payload_type, &signed.payload);
    wire::Handover {
        envelope: Digest::of(&pae).to_vec(),
        result: wire::HandoverResult::Received.into(),
        part_digests: envelope.parts.iter().map(|part| Digest::of(&part.ciphertext).to_vec()).collect(),
    }
}

/// The machine alone: its sync, its verification, and a stream that is answered without being looked
/// at.
async fn limits(plan: &Plan) {
    let folder = tempfile::tempdir_in(&plan.folder).unwrap();
    let mut file = File::create(folder.path().join("sync")).unwrap();
    file.write_all(&vec![0; 8 * 1024 * 1024]).unwrap();
    file.sync_all().unwrap();
    let mut syncs: Vec<f64> = (0..300_u64)
        .map(|number| {
            let begun = Instant::now();
            std::os::unix::fs::FileExt::write_at(&file, &[7; 2048], number * 2048).unwrap();
            file.sync_data().unwrap();
            begun.elapsed().as_secs_f64() * 1000.0
        })
        .collect();
    syncs.sort_by(f64::total_cmp);
    let key = proto::key::SigningKey::from_seed(&[7; 32]);
    let message = vec![7; 700];
    let signature = key.sign(&message);
    let begun = Instant::now();
    let verified = (0..4000).filter(|_| key.public().verifies(&message, &signature)).count();
    let verify_us = begun.elapsed().as_secs_f64() * 1e6 / verified as f64;
    let echo = echo_rate(plan).await;
    println!(
        "{}",
        json!({
            "what": "limits", "plan": plan.says(),
            "sync_p50_ms": syncs[syncs.len() / 2], "verification_us": verify_us, "echo_per_second": echo,
        })
    );
}

async fn echo_rate(plan: &Plan) -> f64 {
    let folder = tempfile::tempdir_in(&plan.folder).unwrap();
    let sandbox = Sandbox::make(folder.path(), plan.network());
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["echo", "--folder"])
        .arg(folder.path())
        .spawn()
        .unwrap();
    while std::net::TcpStream::connect(sandbox.address).is_err() {
        tokio::task::yield_now().await;
    }
    let counted = Arc::new(Counted::default());
    let stop = CancellationToken::new();
    let maker = Maker::new(plan, &sandbox.network, 0);
    let channel = sandbox.connect(sandbox.network.at(0).id.as_str()).await.unwrap();
    let ready = presigned(
        &Plan { streams: 1, seconds: 12, ..Plan::read(&Arguments::default()) },
        maker,
        plan.in_flight,
    );
    let task = tokio::spawn(push_stream(channel, ready, plan.in_flight, Arc::clone(&counted), stop.clone()));
    counted.is_counting.store(true, Ordering::Relaxed);
    let begun = Instant::now();
    tokio::time::sleep(Duration::from_secs(3)).await;
    counted.is_counting.store(false, Ordering::Relaxed);
    let rate = counted.answers.load(Ordering::Relaxed) as f64 / begun.elapsed().as_secs_f64();
    stop.cancel();
    task.await.unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    rate.round()
}

/// A gateway that answers everything at once: same TLS, same transport, no look, no disk.
struct Echo;

#[tonic::async_trait]
impl Push for Echo {
    async fn push_one(&self, _: Request<wire::Envelope>) -> Result<Response<wire::PushAnswer>, Status> {
        Ok(Response::new(wire::PushAnswer::default()))
    }

    type PushStreamStream = gateway::service::Answers<wire::PushAnswer>;

    async fn push_stream(
        &self,
        request: Request<Streaming<wire::PushRequest>>,
    ) -> Result<Response<Self::PushStreamStream>, Status> {
        let allowance = Arc::clone(&request.extensions().get::<Arc<Peer>>().unwrap().allowance);
        let answers = request.into_inner().map(move |message| {
            // As the gateway's own services do.
            message.iter().for_each(|message| allowance.credit(message.encoded_len()));
            let receipt = wire::Receipt::default();
            let answer = Some(wire::push_answer::Answer::Receipt(receipt));
            message.map(|message| wire::PushAnswer { tag: message.tag, answer })
        });
        Ok(Response::new(Box::pin(answers)))
    }
}

async fn echo(folder: &Path) {
    let place = Place::new(folder, None);
    let config = gateway::config::Config::read(&place.config()).unwrap();
    let door = Door {
        network: AgencyId::parse(NETWORK, "network").unwrap(),
        tls: Arc::new(ArcSwap::new(place.tls().load(clock::now()).unwrap().server)),
        connections: Arc::new(Connections::default()),
        metrics: Arc::new(Metrics::new()),
        refused: Arc::default(),
    };
    let listener = TcpListener::bind(config.listen).await.unwrap();
    let incoming = ReceiverStream::new(door.open(listener, CancellationToken::new()));
    let server = gateway::serve::server().add_service(PushServer::new(Echo));
    server.serve_with_incoming(incoming).await.unwrap();
}

/// What lies on the disk, in bytes.
struct Disk {
    journal: u64,
    others: u64,
}

impl Disk {
    fn of(place: &Place, network: &Network) -> Self {
        let (writer, _) = place.open(journal::Config::inline(), network.keys.clone()).unwrap();
        let journal = writer.history().reader().end().position.get();
        let others = [place.index(), place.evidence(), place.directory()].iter().map(|path| size(path)).sum();
        Self { journal, others }
    }
}

fn size(path: &Path) -> u64 {
    let entries = std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap());
    entries
        .map(|entry| {
            let metadata = entry.metadata().unwrap();
            if metadata.is_dir() { size(&entry.path()) } else { metadata.len() }
        })
        .sum()
}

fn cpu_seconds(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    let fields: Vec<_> = text.rsplit(')').next().unwrap().split_whitespace().collect();
    let ticks: f64 = [11, 12].iter().map(|place| fields[*place].parse::<f64>().unwrap()).sum();
    ticks / 100.0
}

fn peak_mib(pid: u32) -> f64 {
    let text = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = text.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kib: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    (kib / 1024.0).round()
}

/// How many answers the gateway has given in all.
async fn answers_of(metrics: std::net::SocketAddr) -> f64 {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let mut stream = tokio::net::TcpStream::connect(metrics).await.unwrap();
    stream.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await.unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.unwrap();
    let line = text.lines().find(|line| line.contains("answers_total{answer=\"taken\"}"));
    line.and_then(|line| line.split_whitespace().last()?.parse().ok()).unwrap_or(1.0)
}
