//! A real network on this machine: a gateway's folder with real certificates and a founded network,
//! its program as a process of its own, and connections over real TLS. Not here: what is sent.
#![allow(
    clippy::missing_panics_doc,
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test that cannot be set up has failed"
)]

use std::{
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant, SystemTime},
};

use certs::{Authority, GatewayNames, Identity, Plan, Role, UnixTime};
use gateway::{
    admin::client,
    fault::Fault,
    hub::RealWriter,
    network::NetworkFile,
    place::{Place, write_private},
    writer::{Request, answer::Answer},
};
use journal::{LogId, OpenError, SegmentBytes};
use proto::ids::{AgencyId, TimeMs};
use tonic::transport::Channel;

use crate::{
    network::{BEGINNING, Network},
    random::Random,
    speak::now,
};

/// How long a gateway may take to listen.
const START_TIME_MAX: Duration = Duration::from_secs(60);

/// How many agencies get a certificate.
pub const CERTIFIED_MAX: usize = 32;

/// A network on this machine.
pub struct Sandbox {
    /// Who signs.
    pub network: Network,
    /// Where everything is.
    pub folder: PathBuf,
    /// Where the gateway listens.
    pub address: SocketAddr,
    /// Where its metrics are.
    pub metrics: SocketAddr,
    /// Where whoever is invited joins.
    pub enrolment: SocketAddr,
    process: Option<Child>,
    clock: Option<(ChildStdin, BufReader<ChildStdout>)>,
    /// How far the gateway's clock is ahead.
    ahead_ms: u64,
}

impl Sandbox {
    /// Makes a network in a folder: the gateway's files, its first entries, a certificate for every
    /// agency and for an administrator. Nothing runs yet.
    #[must_use]
    pub fn make(folder: &Path, network: Network) -> Self {
        Self::make_with(folder, network, 0, 0)
    }

    /// As [`Self::make`], with a directory that holds so many agreements and rules besides.
    #[must_use]
    pub fn make_with(folder: &Path, mut network: Network, agreements: usize, rules: u64) -> Self {
        let [address, metrics, enrolment] = free_addresses();
        let place = Place::new(folder, None);
        let now = UnixTime::of(SystemTime::now()).unwrap();
        let plan = Plan::sandbox(network.name.parse().unwrap());
        let mut authority = Authority::init(&place.authority(), &plan, now).unwrap();
        let credential = authority.issue_gateway_with_key(&GatewayNames::loopback(), now).unwrap();
        credential.save(&place.tls_folder()).unwrap();
        authority.trust(now).unwrap().save(&place.tls_folder()).unwrap();
        let file = NetworkFile {
            network: network.name.to_owned(),
            gateway: format!("https://{address}"),
            enrolment: Some(enrolment.to_string()),
            evidence_log: network.keys.evidence.verifier().to_string(),
            directory_log: network.keys.directory.verifier().to_string(),
            root: authority.root().to_pem(),
        };
        file.write(&place.network()).unwrap();
        let hex = |seed: [u8; 32]| seed.iter().map(|byte| format!("{byte:02x}")).collect::<String>() + "\n";
        for (path, seed) in [place.evidence_key(), place.directory_key()].iter().zip(Network::log_seeds()) {
            write_private(path, hex(seed).as_bytes()).unwrap();
        }
        // A large network's agencies are many; a few are enough to connect.
        for agency in network.agencies.iter().take(CERTIFIED_MAX) {
            let identity = agency_identity(&agency.id);
            authority.issue_with_key(&identity, now).unwrap().save(&folder.join(agency.id.as_str())).unwrap();
        }
        let identity = Identity::Staff { role: Role::Administrator, pseudonym: "admin-1".parse().unwrap() };
        authority.issue_with_key(&identity, now).unwrap().save(&folder.join("admin-1")).unwrap();
        let config = format!(
            "network = \"{}\"\nevidence_origin = \"{}\"\ndirectory_origin = \"{}\"\n\
             listen = \"{address}\"\nenrolment_listen = \"{enrolment}\"\nmetrics = \"{metrics}\"\nreserve_mib = 16\n",
            network.name,
            network.keys.evidence.origin(),
            network.keys.directory.origin()
        );
        fs::write(place.config(), config).unwrap();
        found(&place, &mut network, agreements, rules);
        Self {
            network,
            folder: folder.to_owned(),
            address,
            metrics,
            enrolment,
            process: None,
            clock: None,
            ahead_ms: 0,
        }
    }

    /// Has a gateway decide requests at the network's beginning, long ago. Its program does not run.
    #[must_use]
    pub fn long_ago(&self, requests: Vec<Request>) -> Vec<Answer> {
        assert!(self.process.is_none(), "the gateway runs already");
        let mut writer = opened(&self.place(), &self.network);
        let mut random = Random::new(2);
        let answers = writer.step(BEGINNING, requests, &mut || random.salt()).unwrap();
        writer.follow_up(u64::MAX).unwrap();
        let (mark, note) = writer.publish_checkpoints().unwrap().unwrap();
        writer.journal().anchor().write(mark, note.to_string().as_bytes()).unwrap();
        answers
    }

    /// Starts the gateway's program and waits until it listens.
    pub fn start(&mut self) {
        self.start_with(&[]);
    }

    /// As [`Self::start`], with environment variables such as a preloaded library's.
    pub fn start_with(&mut self, environment: &[(&str, &str)]) {
        let mut serve = self.serve();
        serve.envs(environment.iter().copied()).stdin(Stdio::null()).stdout(Stdio::null());
        self.run(&mut serve);
    }

    /// As [`Self::start`], for a network of [`Network::of_tests`]: with a clock that [`Self::advance`] moves.
    pub fn start_with_clock(&mut self) {
        let mut serve = self.serve();
        serve.args(["--sandbox", &self.ahead_ms.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        self.run(&mut serve);
        let process = self.process.as_mut().unwrap();
        let mut says = BufReader::new(process.stdout.take().unwrap());
        let mut line = String::new();
        says.read_line(&mut line).unwrap();
        assert_eq!(line, "serving\n");
        self.clock = Some((process.stdin.take().unwrap(), says));
    }

    /// Now, by the gateway's clock.
    #[must_use]
    pub fn now(&self) -> TimeMs {
        TimeMs(now().0 + self.ahead_ms)
    }

    /// Lets time pass for the gateway. What is due by then is done, and alerts are as they are then.
    pub fn advance(&mut self, by: Duration) {
        let (orders, says) = self.clock.as_mut().unwrap();
        let until_ms = self.ahead_ms + u64::try_from(by.as_millis()).unwrap();
        // It stops whenever something happens.
        loop {
            writeln!(orders, "advance {}", until_ms - self.ahead_ms).unwrap();
            let mut line = String::new();
            says.read_line(&mut line).unwrap();
            let ahead = line.strip_prefix("ahead ").unwrap().split(' ').next().unwrap();
            self.ahead_ms = ahead.parse().unwrap();
            if self.ahead_ms >= until_ms {
                break;
            }
        }
    }

    fn serve(&self) -> Command {
        let mut serve = Command::new(program("gateway"));
        serve.args(["serve", "--config"]).arg(self.folder.join("gateway.toml"));
        serve
    }

    fn run(&mut self, serve: &mut Command) {
        assert!(self.process.is_none(), "the gateway runs already");
        let log = fs::File::options().create(true).append(true).open(self.log()).unwrap();
        self.process = Some(serve.stderr(log).spawn().unwrap());
        let begun = Instant::now();
        while TcpStream::connect(self.address).is_err() {
            let exited = self.process.as_mut().unwrap().try_wait().unwrap();
            assert!(exited.is_none(), "the gateway ended at its start:\n{}", self.log_text());
            assert!(begun.elapsed() < START_TIME_MAX, "the gateway does not listen:\n{}", self.log_text());
            std::thread::yield_now();
        }
    }

    /// The gateway's process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.as_ref().unwrap().id()
    }

    /// Ends the gateway at once.
    pub fn kill(&mut self) {
        let mut process = self.process.take().unwrap();
        process.kill().unwrap();
        process.wait().unwrap();
    }

    /// Asks the gateway to end, and waits. Gives whether it ended well.
    pub fn terminate(&mut self) -> bool {
        let mut process = self.process.take().unwrap();
        let pid = rustix::process::Pid::from_child(&process);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        process.wait().unwrap().success()
    }

    /// Lets nobody join: for a gateway whose authority is elsewhere.
    pub fn close_enrolment(&self) {
        let config = self.folder.join("gateway.toml");
        let text = fs::read_to_string(&config).unwrap();
        let kept: Vec<_> = text.lines().filter(|line| !line.starts_with("enrolment_listen")).collect();
        fs::write(&config, kept.join("\n")).unwrap();
    }

    /// Opens the console with the next start. Gives where it will be.
    #[must_use]
    pub fn open_console(&self) -> SocketAddr {
        let address = free_address();
        let config = self.folder.join("gateway.toml");
        let text = fs::read_to_string(&config).unwrap();
        fs::write(&config, format!("console = \"{address}\"\n{text}")).unwrap();
        address
    }

    /// Makes `staff/<pseudonym>` for a member of staff, as the program takes it: `tls/` and `network.toml`.
    pub fn staff(&self, role: Role, pseudonym: &str) {
        let identity = Identity::Staff { role, pseudonym: pseudonym.parse().unwrap() };
        let now = UnixTime::of(SystemTime::now()).unwrap();
        let folder = self.folder.join("staff").join(pseudonym);
        fs::create_dir_all(&folder).unwrap();
        let credential = self.authority().issue_with_key(&identity, now).unwrap();
        credential.save(&folder.join("tls")).unwrap();
        fs::copy(self.place().network(), folder.join("network.toml")).unwrap();
    }

    /// Where the gateway logs.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.folder.join("gateway.log")
    }

    /// What it has logged.
    #[must_use]
    pub fn log_text(&self) -> String {
        fs::File::open(self.log()).map_or_else(
            |_| String::new(),
            |file| BufReader::new(file).lines().map(|line| line.unwrap() + "\n").collect(),
        )
    }

    /// What everybody is given.
    #[must_use]
    pub fn network_file(&self) -> NetworkFile {
        NetworkFile::read(&self.folder.join("network.toml")).unwrap()
    }

    /// A connection as an agency, or as `admin-1`.
    ///
    /// # Errors
    /// When the gateway does not take it.
    pub async fn connect(&self, name: &str) -> anyhow::Result<Channel> {
        client::channel(&self.network_file(), &self.folder.join(name)).await
    }

    /// The authority, to issue and revoke.
    #[must_use]
    pub fn authority(&self) -> Authority {
        Authority::open(&Place::new(&self.folder, None).authority()).unwrap()
    }

    /// The places of the gateway's files.
    #[must_use]
    pub fn place(&self) -> Place {
        Place::new(&self.folder, None)
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        if self.process.is_some() {
            self.kill();
        }
    }
}

/// The identity of an agency's only machine here.
#[must_use]
pub fn agency_identity(agency: &AgencyId) -> Identity {
    Identity::Agency { agency: agency.as_str().parse().unwrap(), node: "node-1".parse().unwrap() }
}

/// An address of this machine that nobody listens on.
#[must_use]
pub fn free_address() -> SocketAddr {
    let [address] = free_addresses();
    address
}

/// Several of them, none twice. Not the system's choice: from that it takes those of outgoing connections
/// too, and whoever is killed and started again would find its own taken.
#[must_use]
pub fn free_addresses<const COUNT: usize>() -> [SocketAddr; COUNT] {
    [(); COUNT].map(|()| {
        loop {
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, next_port()));
            if TcpListener::bind(address).is_ok() {
                return address;
            }
        }
    })
}

/// Ports below those that systems use by themselves; another process begins elsewhere.
fn next_port() -> u16 {
    const FIRST: u32 = 10_000;
    const COUNT: u32 = 20_000;
    static TAKEN: AtomicU32 = AtomicU32::new(0);
    let number = TAKEN.fetch_add(1, Ordering::Relaxed);
    let port = FIRST + std::process::id().wrapping_mul(61).wrapping_add(number) % COUNT;
    u16::try_from(port).unwrap()
}

/// A program of this workspace, built with the tests.
#[must_use]
pub fn program(name: &str) -> PathBuf {
    let mut folder = std::env::current_exe().unwrap();
    folder.pop();
    if folder.ends_with("deps") {
        folder.pop();
    }
    let path = folder.join(name);
    assert!(path.exists(), "{} is not built: cargo build --workspace", path.display());
    path
}

/// Another thread of the test may be starting a program, which until it has begun holds a copy of every
/// lock of this process.
fn opened(place: &Place, network: &Network) -> RealWriter {
    loop {
        match place.open(journal::Config::inline(), network.keys.clone()) {
            Err(Fault::Open(OpenError::Locked)) => std::thread::yield_now(),
            opened => return opened.unwrap().0,
        }
    }
}

/// The first entries, through the writer, as `gateway init` and administrators would have made them.
fn found(place: &Place, network: &mut Network, agreements: usize, rules: u64) {
    let segment_bytes = SegmentBytes::new(8 * 1024 * 1024).unwrap();
    place.create(&LogId::new([7; 16]), segment_bytes).unwrap();
    fs::set_permissions(place.journal(), fs::Permissions::from_mode(0o700)).unwrap();
    let mut writer = opened(place, network);
    let mut random = Random::new(1);
    let mut founding = network.founding();
    if agreements > 0 {
        founding.extend(network.bulk(agreements, rules));
    }
    while !founding.is_empty() {
        let rest = founding.split_off(founding.len().min(256));
        let answers = writer.step(BEGINNING, founding, &mut || random.salt()).unwrap();
        for answer in answers {
            match answer {
                Answer::Taken { .. } => {}
                Answer::Refused { refusal, .. } => panic!("founding refused: {refusal}"),
                Answer::Busy(_) | Answer::Nothing => panic!("founding not taken"),
            }
        }
        founding = rest;
    }
    writer.follow_up(u64::MAX).unwrap();
    // As a gateway does that is there: what follows is no outage.
    let (mark, note) = writer.publish_checkpoints().unwrap().unwrap();
    writer.journal().anchor().write(mark, note.to_string().as_bytes()).unwrap();
}
