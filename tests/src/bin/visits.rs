//! How soon the console's pages come, beside a long history and many open referrals, and what looking costs
//! those who push: `visits DIR [--envelopes N] [--referrals N] [--visits N]`. Each envelope of the history leaves
//! three evidence records. One JSON line a page, then one of the pushes. Ends with an error when a page's 95th
//! percentile is 200 ms or more, or pushing loses 5 % or more to the visitors.
//!
//! What is pushed stays open, so that pushing becomes slower as it goes on, whoever looks. So each page is visited
//! between two times in which nobody looks, together as long as the visits, and only these are compared.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::as_conversions,
    clippy::cast_precision_loss,
    reason = "a trial's program: what cannot go on ends, and stdout is how it answers"
)]

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use certs::Role;
use gateway::{
    hub::RealWriter,
    service::stubs::push_client::PushClient,
    writer::{Request, answer::Answer},
};
use proto::ids::{ReferralKey, TimeMs};
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use trials::{
    arguments::Arguments,
    load::{Load, Numbered},
    network::Network,
    peer::{Bearer, browse},
    random::Random,
    sandbox::Sandbox,
    speak::{envelope, now, receipt_of},
};

/// Envelopes of a batch, and of a handover.
const BATCH: u64 = 250;
/// What a page may take.
const PAGE_MS_MAX: f64 = 200.0;
/// What pushing may lose to visitors.
const LOSS_MAX: f64 = 0.05;
/// How long a visitor looks at a page: a person is slower.
const LOOKS: Duration = Duration::from_millis(250);
/// How many push at the same time.
const PUSHERS: usize = 8;

#[tokio::main]
async fn main() {
    let arguments = Arguments::of_process(&[]);
    let folder = PathBuf::from(&arguments.words[0]);
    std::fs::create_dir_all(&folder).unwrap();
    let mut sandbox = Sandbox::make_with(&folder, Network::new(), 1, 3);
    let console = sandbox.open_console();
    for (role, name) in [(Role::Operator, "operator-1"), (Role::Auditor, "auditor-1")] {
        sandbox.staff(role, name);
    }
    history(&sandbox, arguments.get("envelopes", 330_000));
    let last = referrals(&sandbox, arguments.get("referrals", 10_000));
    sandbox.start();
    let pushing = Pushing::begin(&sandbox).await;
    let slow = visits(&sandbox, console, &last, &pushing, arguments.get("visits", 60)).await;
    let (alone, beside) = pushing.end().await;
    let lost = 1.0 - beside / alone;
    println!(
        "{{\"pushes\":{{\"alone_per_s\":{alone:.0},\"beside_visitors_per_s\":{beside:.0},\"lost\":{lost:.3}}}}}"
    );
    assert!(sandbox.terminate());
    assert!(slow.is_empty(), "these pages take {PAGE_MS_MAX} ms or more: {slow:?}");
    assert!(lost < LOSS_MAX, "pushing loses {lost:.3} to visitors");
}

fn step(writer: &mut RealWriter, moment: TimeMs, requests: Vec<Request>, salts: &mut Random) {
    for answer in writer.step(moment, requests, &mut || salts.salt()).unwrap() {
        assert!(matches!(answer, Answer::Taken { .. }), "{answer:?}");
    }
}

fn opened(sandbox: &Sandbox) -> RealWriter {
    sandbox.place().open(journal::Config::default(), sandbox.network.keys.clone()).unwrap().0
}

/// Brings what follows the journal up to it, and leaves a snapshot.
fn close(mut writer: RealWriter) {
    while writer.index().wants_follow_up(&writer.history().clone()) {
        writer.follow_up(64).unwrap();
    }
    writer.follow_up(u64::MAX).unwrap();
    let (mark, note) = writer.publish_checkpoints().unwrap().unwrap();
    writer.journal().anchor().write(mark, note.to_string().as_bytes()).unwrap();
    let (mark, pieces) = writer.snapshot();
    writer.journal().snapshots().write(mark, pieces).unwrap();
}

/// Messages of long ago, each handed over.
fn history(sandbox: &Sandbox, envelopes: u64) {
    let load = Load { network: sandbox.network.clone(), seed: 1, bytes: 300, messages: true };
    let (mut writer, mut salts) = (opened(sandbox), Random::new(7));
    for first in (0..envelopes).step_by(usize::try_from(BATCH).unwrap()) {
        let made: Vec<_> = (first..first + BATCH).map(|number| load.envelope(number)).collect();
        let moment = Load::moment(first + BATCH);
        let handovers = (0..load.network.agencies.len()).filter_map(|to| {
            let mine: Vec<&Numbered> = made.iter().filter(|envelope| envelope.to == to).collect();
            (!mine.is_empty()).then(|| load.handover(to, &mine))
        });
        let handovers = handovers.collect();
        step(&mut writer, moment, made.into_iter().map(|envelope| envelope.request).collect(), &mut salts);
        step(&mut writer, moment, handovers, &mut salts);
        writer.follow_up(64).unwrap();
    }
    close(writer);
}

/// Referrals of today that nobody has fetched.
fn referrals(sandbox: &Sandbox, count: u64) -> ReferralKey {
    let network = &sandbox.network;
    // Opened anew: between the history and today its process was away.
    let (mut writer, mut salts, mut random) = (opened(sandbox), Random::new(8), Random::new(9));
    let mut last = None;
    for first in (0..count).step_by(usize::try_from(BATCH).unwrap()) {
        let made = (first..count.min(first + BATCH)).map(|number| {
            let from = usize::try_from(number).unwrap() % network.agencies.len();
            let to = (from + 1) % network.agencies.len();
            let (header, parts) =
                network.opening(&network.at(from).id, &network.at(to).id, now(), &mut random);
            last = Some(header.referral.clone());
            network.push(&header, parts)
        });
        let made = made.collect();
        step(&mut writer, now(), made, &mut salts);
        writer.follow_up(64).unwrap();
    }
    println!(
        "{{\"gateway\":{{\"evidence_records\":{},\"open_referrals\":{}}}}}",
        writer.state().evidence().size(),
        writer.state().referrals_in_memory()
    );
    close(writer);
    last.unwrap()
}

/// Who pushes, and how much of it while nobody looks and while somebody does.
struct Pushing {
    ends: Arc<AtomicBool>,
    count: Arc<AtomicU64>,
    pushers: Vec<JoinHandle<()>>,
    alone: Mutex<(u64, Duration)>,
    beside: Mutex<(u64, Duration)>,
}

impl Pushing {
    async fn begin(sandbox: &Sandbox) -> Self {
        let (ends, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let mut pushers = Vec::new();
        for seed in 0..PUSHERS {
            let from = sandbox.network.at(seed % sandbox.network.agencies.len()).id.to_string();
            let channel = sandbox.connect(&from).await.unwrap();
            let (network, ends, count) = (sandbox.network.clone(), Arc::clone(&ends), Arc::clone(&count));
            pushers.push(tokio::spawn(push(network, seed, channel, ends, count)));
        }
        Self { ends, count, pushers, alone: Mutex::default(), beside: Mutex::default() }
    }

    async fn while_doing<T>(&self, of: &Mutex<(u64, Duration)>, done: impl Future<Output = T>) -> T {
        let (before, begun) = (self.count.load(Ordering::Acquire), Instant::now());
        let done = done.await;
        let mut of = of.lock().unwrap();
        of.0 += self.count.load(Ordering::Acquire) - before;
        of.1 += begun.elapsed();
        done
    }

    /// Somebody looks; before and after it nobody, together for as long.
    async fn beside<T>(&self, looks: impl Future<Output = T>, about: Duration) -> T {
        self.while_doing(&self.alone, tokio::time::sleep(about / 2)).await;
        let begun = Instant::now();
        let looked = self.while_doing(&self.beside, looks).await;
        let rest = begun.elapsed().saturating_sub(about / 2);
        self.while_doing(&self.alone, tokio::time::sleep(rest)).await;
        looked
    }

    /// How many a second while nobody looks, and while somebody does.
    async fn end(self) -> (f64, f64) {
        self.ends.store(true, Ordering::Release);
        for pusher in self.pushers {
            pusher.await.unwrap();
        }
        let rate = |of: Mutex<(u64, Duration)>| {
            let (count, time) = of.into_inner().unwrap();
            count as f64 / time.as_secs_f64()
        };
        (rate(self.alone), rate(self.beside))
    }
}

async fn push(network: Network, seed: usize, channel: Channel, ends: Arc<AtomicBool>, count: Arc<AtomicU64>) {
    let mut random = Random::new(now().0 ^ u64::try_from(seed).unwrap());
    let from = network.at(seed % network.agencies.len());
    let to = network.at((seed + 1) % network.agencies.len());
    let mut client = PushClient::new(channel);
    while !ends.load(Ordering::Acquire) {
        let (header, parts) = network.opening(&from.id, &to.id, now(), &mut random);
        receipt_of(client.push_one(envelope(from, &header, &parts)).await.unwrap().into_inner());
        count.fetch_add(1, Ordering::Release);
    }
}

/// Visits every page so often, one after the other; gives those that are too slow.
async fn visits(
    sandbox: &Sandbox,
    console: SocketAddr,
    last: &ReferralKey,
    pushing: &Pushing,
    visits: usize,
) -> Vec<String> {
    let referral = format!("referral/{}/{}", last.opened_by, last.id);
    let need = "from=ae.dfwac&category=trafficking&service=shelter&jurisdiction=AE";
    let pages = [
        (
            "operator-1",
            vec!["now".into(), "agencies".into(), "search?agency=ae.dfwac".into(), referral.clone()],
        ),
        ("auditor-1", vec!["agreements".into(), format!("mechanism?{need}"), "audit".into(), referral]),
    ];
    let mut slow = Vec::new();
    for (name, paths) in pages {
        let keys = sandbox.folder.join("staff").join(name).join("tls");
        for path in paths {
            let looks = async {
                let mut took_ms = Vec::with_capacity(visits);
                for visit in 0..visits {
                    let language = ["en", "ar"][visit % 2];
                    let config = Bearer::read(&keys).config(sandbox);
                    let begun = Instant::now();
                    let page = browse(console, config, &format!("/{language}/{path}")).await.unwrap();
                    took_ms.push(begun.elapsed().as_secs_f64() * 1000.0);
                    assert_eq!(page.status, 200, "{name} {path}: {}", page.body);
                    tokio::time::sleep(LOOKS).await;
                }
                took_ms
            };
            let about = LOOKS * u32::try_from(visits).unwrap();
            let mut took_ms = pushing.beside(looks, about).await;
            took_ms.sort_by(f64::total_cmp);
            let at = |share: f64| took_ms[((visits - 1) as f64 * share) as usize];
            let (p50, p95, most) = (at(0.5), at(0.95), at(1.0));
            println!(
                "{{\"page\":{{\"of\":\"{name}\",\"path\":\"{}\",\"p50_ms\":{p50:.1},\"p95_ms\":{p95:.1},\
                 \"most_ms\":{most:.1}}}}}",
                path.split(['/', '?']).next().unwrap()
            );
            if p95 >= PAGE_MS_MAX {
                slow.push(format!("{name} {path}"));
            }
        }
    }
    slow
}
