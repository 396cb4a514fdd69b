//! `agent sandbox`: a private network on one machine, for whoever builds a system that refers. A gateway, the own
//! agency's agent with its local API, two simulated agencies that answer as they are told, time that is advanced,
//! and faults. Its agencies are invented, its roots of trust are its own, its network's name (`.test`) is one that
//! no real network can have; a folder that holds anything else is refused. Not here: what the parts do.

pub mod founding;
pub mod ground;
pub mod hub;
pub mod line;
pub mod order;
pub mod partner;

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use serde_json::{Value, json};
use thiserror::Error;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, UnixListener, UnixStream},
    sync::{mpsc, oneshot, watch},
    task::{AbortHandle, JoinHandle},
    time::{sleep, timeout},
};

use self::{
    ground::{Addresses, Ground},
    hub::Hub,
    line::Fault,
    order::{ORDER_BYTES_MAX, Order, Power},
    partner::{Look, Manner},
};
use crate::{
    api::{ListAgreementsRequest, StatusAnswer, StatusRequest},
    clock, daemon,
    document::day_of,
    folder::Name,
    local,
};

/// The network's name.
pub const NETWORK: &str = "sandbox.test";
/// Where the own agency's local API listens over TCP, when that is free.
pub const LOCAL_API: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 7450);
/// How long an agent may take to answer on its socket and to connect.
const READY_TIME_MAX: Duration = Duration::from_secs(60);
/// How often it is looked.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How far the clock may be ahead of the machine's: two years, as the gateway has it.
pub const AHEAD_MS_MAX: u64 = 2 * 366 * 24 * 60 * 60 * 1000;
/// How long whoever gives an order may take to say it.
const ORDER_TIME_MAX: Duration = Duration::from_secs(10);
/// How long time stands still for those who have something to do.
const SETTLE_TIME_MAX: Duration = Duration::from_secs(30);
/// Most orders that wait for each other.
const ORDERS_MAX: usize = 16;

/// Why there is no sandbox, or why it did not do something. Each says what to do next.
#[derive(Debug, Error)]
pub enum SandboxFault {
    /// Something else is in the folder, or nothing.
    #[error(
        "{0} is not the folder of a sandbox, so nothing in it is touched; name a new folder with --dir / المجلد ليس \
         مجلد بيئة تجريبية، فلن يُمسّ؛ حدّد مجلدًا جديدًا بـ --dir"
    )]
    NoSandbox(PathBuf),
    /// One runs there already.
    #[error("a sandbox runs in {0} already / تعمل بيئة تجريبية في هذا المجلد بالفعل")]
    Running(PathBuf),
    /// None runs there.
    #[error(
        "no sandbox runs in {0}; start it with `agent sandbox` / لا تعمل بيئة تجريبية هنا؛ شغّلها بـ `agent sandbox`"
    )]
    NotRunning(PathBuf),
    /// There is no gateway's program.
    #[error(
        "the gateway's program ({program}) cannot be started: {kind}; install it, or name it with --gateway / تعذّر \
         تشغيل برنامج البوابة؛ ثبّته أو حدّد مساره بـ --gateway"
    )]
    NoGateway {
        /// Which was tried.
        program: PathBuf,
        /// What the operating system said.
        kind: io::ErrorKind,
    },
    /// The gateway did not do what it was told.
    #[error("the sandbox's gateway: {0} / بوابة البيئة التجريبية لم تنفّذ المطلوب")]
    Gateway(String),
    /// The clock would be too far ahead.
    #[error(
        "the clock may be two years ahead at the most; delete the folder, and begin anew / تقدّم الوقت سنتين على الأكثر"
    )]
    TooFar,
    /// A sandbox that runs does not do what it was told.
    #[error("{0}")]
    NotDone(String),
    /// The network could not be founded.
    #[error("the sandbox's network could not be founded: {0} / تعذّر تأسيس شبكة البيئة التجريبية")]
    Founding(String),
    /// An agent does not come up.
    #[error("the agent of {0} does not answer; see logs/sandbox.log / لا يستجيب برنامج الربط لهذه الجهة")]
    Agent(&'static str),
    /// The operating system.
    #[error("the sandbox's folder or sockets: {0}")]
    Io(#[from] io::Error),
}

/// The agencies, all of them invented.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Member {
    /// The integrator's own.
    Office,
    /// The simulated one that is asked first.
    Partner,
    /// The simulated one that is asked when the first is silent.
    Second,
}

impl Member {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Office, Self::Partner, Self::Second];

    /// Its id.
    #[must_use]
    pub const fn id(self) -> &'static str {
        match self {
            Self::Office => "test.office",
            Self::Partner => "test.partner",
            Self::Second => "test.second",
        }
    }

    /// Its agent's folder, and its word in orders.
    #[must_use]
    pub const fn folder(self) -> &'static str {
        match self {
            Self::Office => "office",
            Self::Partner => "partner",
            Self::Second => "second",
        }
    }

    const fn name_en(self) -> &'static str {
        match self {
            Self::Office => "Your own agency (fiction)",
            Self::Partner => "A simulated partner (fiction)",
            Self::Second => "A second simulated partner (fiction)",
        }
    }

    const fn name_ar(self) -> &'static str {
        match self {
            Self::Office => "جهتكم (خيال)",
            Self::Partner => "جهة شريكة تجريبية (خيال)",
            Self::Second => "جهة شريكة تجريبية ثانية (خيال)",
        }
    }

    /// One that answers by itself.
    fn simulated(word: &str) -> Option<Self> {
        [Self::Partner, Self::Second].into_iter().find(|member| member.folder() == word)
    }
}

/// A sandbox that runs.
pub struct Sandbox {
    ground: Ground,
    addresses: Addresses,
    hub: Hub,
    line: watch::Sender<Fault>,
    carrying: AbortHandle,
    office: Running,
    partners: [Simulated; 2],
    listener: UnixListener,
}

struct Simulated {
    member: Member,
    says: watch::Sender<Manner>,
    looks: mpsc::Sender<Look>,
    answering: AbortHandle,
    agent: Option<Running>,
}

struct Running {
    stop: oneshot::Sender<()>,
    ended: JoinHandle<()>,
}

impl Sandbox {
    /// Starts a sandbox in a folder: the one that was kept there, or a new one.
    ///
    /// # Errors
    /// [`SandboxFault`]; what was begun has ended then.
    pub async fn start(
        root: &Path,
        program: Option<&Path>,
        local_api: Option<SocketAddr>,
    ) -> Result<Self, SandboxFault> {
        let free = |address: &SocketAddr| std::net::TcpListener::bind(address).is_ok();
        let (ground, mut addresses) = Ground::open(root, local_api.or(Some(LOCAL_API).filter(free)))?;
        let listener = take(&ground).await?;
        clock::run_ahead(ground.ahead_ms());
        let mut hub = Hub::new(hub::program(program), ground.clone());
        if addresses.founded {
            hub.start().await?;
        } else {
            founding::found(&ground, &mut addresses, &mut hub).await?;
        }
        let (line, fault) = watch::channel(Fault::None);
        let near = TcpListener::bind(addresses.line).await?;
        let carrying = tokio::spawn(line::carry(near, addresses.gateway, fault)).abort_handle();
        let office = run(&ground, Member::Office);
        let partners = [Member::Partner, Member::Second].map(|member| Simulated::new(&ground, member));
        let sandbox = Self { ground, addresses, hub, line, carrying, office, partners, listener };
        for member in Member::ALL {
            if let Err(fault) = sandbox.ready(member).await {
                sandbox.end().await;
                return Err(fault);
            }
        }
        Ok(sandbox)
    }

    /// Until its agent answers, is connected, and has the agreement.
    async fn ready(&self, member: Member) -> Result<(), SandboxFault> {
        let socket = self.ground.member(member).join("agent.sock");
        let waiting = async {
            while !is_ready(&socket).await {
                sleep(LOOK_EVERY).await;
            }
        };
        timeout(READY_TIME_MAX, waiting).await.map_err(|_| SandboxFault::Agent(member.id()))
    }

    /// What whoever builds against it needs.
    ///
    /// # Errors
    /// The operating system's.
    pub fn card(&self) -> Result<Value, SandboxFault> {
        let office = self.ground.member(Member::Office);
        let token_file = office.join(Name::LocalToken.path());
        Ok(json!({
            "folder": self.ground.root(),
            "network": NETWORK,
            "agency": Member::Office.id(),
            "agent": office,
            "socket": office.join("agent.sock"),
            "address": self.addresses.local_api.to_string(),
            "token": std::fs::read_to_string(&token_file)?.trim_end(),
            "token_file": token_file,
            "partners": [Member::Partner.id(), Member::Second.id()],
            "case": self.ground.path("case.json"),
            "orders": self.ground.socket(),
            "gateway": format!("https://localhost:{}", self.addresses.gateway.port()),
            "metrics": format!("http://{}/metrics", self.addresses.metrics),
        }))
    }

    /// Follows orders until `stop`, then ends everything that it began.
    pub async fn run(mut self, stop: impl Future<Output = ()>) {
        let (orders, mut given) = mpsc::channel(ORDERS_MAX);
        let mut stop = std::pin::pin!(stop);
        loop {
            tokio::select! {
                () = &mut stop => break,
                Ok((stream, _)) = self.listener.accept() => {
                    tokio::spawn(hear(stream, orders.clone()));
                }
                Some((order, answer)) = given.recv() => {
                    let said: Value = match self.follow(order).await {
                        Ok(()) => self.status(),
                        Err(fault) => json!({"error": fault.to_string()}),
                    };
                    // Whoever asked may have left.
                    drop(oneshot::Sender::send(answer, said));
                }
            }
        }
        self.end().await;
    }

    async fn follow(&mut self, order: Order) -> Result<(), SandboxFault> {
        match order {
            Order::Status => Ok(()),
            Order::Say(member, manner) => {
                if let Some(partner) = self.partners.iter().find(|partner| partner.member == member) {
                    partner.says.send_replace(manner);
                }
                Ok(())
            }
            Order::Advance(by) => self.advance(by).await,
            Order::Gateway(Power::Down) => self.hub.kill(),
            Order::Gateway(Power::Up) => self.hub.start().await,
            Order::Agent(member, power) => {
                let ground = self.ground.clone();
                if let Some(partner) = self.partners.iter_mut().find(|partner| partner.member == member) {
                    partner.switch(&ground, power).await;
                }
                match power {
                    Power::Up if self.hub.is_running() => self.ready(member).await,
                    Power::Up | Power::Down => Ok(()),
                }
            }
            Order::Line(fault) => {
                self.line.send_replace(fault);
                Ok(())
            }
        }
    }

    /// Time stops whenever something happens, until all who are there have done what they do then. The gateway goes
    /// first: what an agent makes is never of its future.
    async fn advance(&mut self, by: Duration) -> Result<(), SandboxFault> {
        let by_ms = u64::try_from(by.as_millis()).unwrap_or(u64::MAX);
        let ahead_ms = self.ground.ahead_ms().saturating_add(by_ms);
        if ahead_ms > AHEAD_MS_MAX {
            return Err(SandboxFault::TooFar);
        }
        // Written down before: a gateway that begins behind its own journal would stand still.
        self.ground.keep_ahead(ahead_ms)?;
        loop {
            let left_ms = ahead_ms.saturating_sub(clock::ahead_ms());
            let Some(stands) = self.hub.advance(left_ms).await? else {
                clock::run_ahead(ahead_ms);
                return Ok(());
            };
            clock::run_ahead(stands.ahead_ms);
            // Whoever does not come to an end in time is overtaken by it.
            drop(timeout(SETTLE_TIME_MAX, self.settle()).await);
            if stands.ahead_ms >= ahead_ms {
                return Ok(());
            }
        }
    }

    /// Until nobody who is there has anything to do: over one look at all of them nothing new has happened.
    async fn settle(&mut self) -> Result<(), SandboxFault> {
        loop {
            let Some(before) = self.hub.advance(0).await? else { return Ok(()) };
            let is_quiet = self.is_quiet(&before.waiting).await;
            let Some(after) = self.hub.advance(0).await? else { return Ok(()) };
            if is_quiet && after == before {
                return Ok(());
            }
            sleep(LOOK_EVERY).await;
        }
    }

    async fn is_quiet(&self, waiting: &[String]) -> bool {
        for partner in self.partners.iter().filter(|partner| partner.agent.is_some()) {
            if partner.has_acted().await {
                return false;
            }
        }
        for member in Member::ALL {
            let socket = self.ground.member(member).join("agent.sock");
            let Some(status) = status(&socket).await.filter(|status| status.connected) else { continue };
            if status.waiting > 0 || waiting.iter().any(|agency| agency == member.id()) {
                return false;
            }
        }
        true
    }

    fn status(&mut self) -> Value {
        let now = clock::now();
        let partner = |one: &Simulated| {
            json!({
                "agency": one.member.id(),
                "running": one.agent.is_some(),
                "says": one.says.borrow().to_string(),
            })
        };
        json!({
            "now_ms": now.0,
            "today": day_of(now),
            "ahead_ms": self.ground.ahead_ms(),
            "gateway": if self.hub.is_running() { "up" } else { "down" },
            "line": self.line.borrow().to_string(),
            "partners": self.partners.iter().map(partner).collect::<Vec<_>>(),
        })
    }

    async fn end(self) {
        for partner in self.partners {
            partner.answering.abort();
            if let Some(agent) = partner.agent {
                agent.end().await;
            }
        }
        self.office.end().await;
        self.carrying.abort();
        self.hub.end().await;
        drop(std::fs::remove_file(self.ground.socket()));
    }
}

impl Simulated {
    fn new(ground: &Ground, member: Member) -> Self {
        let (says, told) = watch::channel(Manner::Accept);
        let socket = ground.member(member).join("agent.sock");
        let (looks, asked) = mpsc::channel(1);
        let answering =
            tokio::spawn(async move { partner::answer(&socket, told, asked).await }).abort_handle();
        Self { member, says, looks, answering, agent: Some(run(ground, member)) }
    }

    /// Has it look now. Gives whether there was something to do.
    async fn has_acted(&self) -> bool {
        let (look, acted) = oneshot::channel();
        // One that is gone has nothing to do any more.
        self.looks.send(look).await.is_ok() && acted.await.unwrap_or(true)
    }

    async fn switch(&mut self, ground: &Ground, power: Power) {
        match (power, self.agent.take()) {
            (Power::Up, running) => self.agent = running.or_else(|| Some(run(ground, self.member))),
            (Power::Down, Some(running)) => running.end().await,
            (Power::Down, None) => {}
        }
    }
}

impl Running {
    async fn end(self) {
        // It may have ended by itself.
        let (Ok(()) | Err(())) = self.stop.send(());
        drop(self.ended.await);
    }
}

fn run(ground: &Ground, member: Member) -> Running {
    let (stop, stops) = oneshot::channel();
    let folder = ground.member(member);
    let ended = tokio::spawn(async move {
        if let Err(fault) = daemon::run(&folder, async { drop(stops.await) }).await {
            tracing::error!(agency = member.id(), %fault, "an agent of the sandbox has ended");
        }
    });
    Running { stop, ended }
}

/// How an agent stands; nothing while it does not answer.
async fn status(socket: &Path) -> Option<StatusAnswer> {
    let mut client = local::client(socket).await.ok()?;
    Some(client.get_status(StatusRequest {}).await.ok()?.into_inner())
}

async fn is_ready(socket: &Path) -> bool {
    let Ok(mut client) = local::client(socket).await else { return false };
    let connected = client.get_status(StatusRequest {}).await.is_ok_and(|status| status.get_ref().connected);
    let agreements = client.list_agreements(ListAgreementsRequest::default()).await;
    connected
        && agreements.is_ok_and(|answer| answer.get_ref().agreements.iter().any(|one| one.code.is_empty()))
}

/// The socket of orders: whoever has it runs the sandbox.
async fn take(ground: &Ground) -> Result<UnixListener, SandboxFault> {
    let socket = ground.socket();
    if UnixStream::connect(&socket).await.is_ok() {
        return Err(SandboxFault::Running(ground.root().to_owned()));
    }
    drop(std::fs::remove_file(&socket));
    Ok(local::listen(&socket)?)
}

type Given = (Order, oneshot::Sender<Value>);

/// One line is one order; its answer is one line of JSON.
async fn hear(stream: UnixStream, orders: mpsc::Sender<Given>) {
    let (input, mut output) = stream.into_split();
    let mut line = String::new();
    let mut input = BufReader::new(input.take(ORDER_BYTES_MAX));
    let read = input.read_line(&mut line);
    if !matches!(timeout(ORDER_TIME_MAX, read).await, Ok(Ok(_))) {
        return;
    }
    let said = match Order::parse(&line) {
        Some(order) => {
            let (answer, answered) = oneshot::channel();
            if orders.send((order, answer)).await.is_err() {
                return;
            }
            answered.await.unwrap_or_else(|_| json!({"error": "the sandbox ends"}))
        }
        None => json!({"error": "no such order; see `agent sandbox --help` / لا يوجد أمر كهذا"}),
    };
    drop(output.write_all(format!("{said}\n").as_bytes()).await);
}

/// Gives an order to the sandbox that runs in a folder. Gives how everything stands then.
///
/// # Errors
/// [`SandboxFault`].
pub async fn order(root: &Path, line: &str) -> Result<Value, SandboxFault> {
    let ground = Ground::of(root)?;
    let stream = UnixStream::connect(ground.socket()).await;
    let stream = stream.map_err(|_| SandboxFault::NotRunning(root.to_owned()))?;
    let (input, mut output) = stream.into_split();
    output.write_all(format!("{line}\n").as_bytes()).await?;
    let mut said = String::new();
    BufReader::new(input).read_line(&mut said).await?;
    let said: Value = serde_json::from_str(&said).map_err(|_| SandboxFault::NotRunning(root.to_owned()))?;
    match said["error"].as_str() {
        Some(error) => Err(SandboxFault::NotDone(error.to_owned())),
        None => Ok(said),
    }
}
