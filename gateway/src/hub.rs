//! The writer's own thread and the way to it: a bounded queue in, answers out. It feeds the writer's
//! plain step with whatever has arrived, hands out mail, and does what is due between the steps. Not
//! here: the rules (`proto`), the step itself (`writer`), sockets (`service`).

pub mod desk;
pub mod mail;
mod salts;
mod scribe;

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use desk::{Desk, Handed, StreamNo};
use journal::FileJournal;
use proto::{
    caller::Caller,
    clocks::Begun,
    command::Command,
    delivery::Mail,
    digest::Digest,
    directory::{ChangeBody, Directory, DirectoryObject},
    heads::HeadProof,
    ids::{AgencyId, Locator, ReferralKey, TimeMs, Urgency},
    lifecycle,
    operation::Intervention,
    receipt::Receipt,
    state::State,
    stuck::{Awaited, awaited},
};
use salts::Salts;
use scribe::Scribe;
use thiserror::Error;
use tokio::{
    runtime::Handle,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot},
    time::timeout,
};

use crate::{
    clock,
    fault::Fault,
    history::{History, Log},
    index::{PartyBatch, QUIET_FOLLOW_UPS, sled_rows::SledRows},
    metrics::Metrics,
    peer::connections::Connections,
    tiles::behind::Behind,
    writer::{
        BATCH_BYTES, Request, Writer,
        answer::{Answer, Busy},
    },
};

/// Most jobs that wait for the writer. Beyond, whoever asks is told to come back.
pub const QUEUE_MAX: usize = 4096;
/// Most bytes of requests that wait for the writer or are on their way to it, of all callers together.
pub const QUEUE_BYTES_MAX: u32 = 32 * 1024 * 1024;
/// What a request counts for beside its payload and parts.
const REQUEST_BYTES: usize = 1024;
/// Most jobs that one step takes.
pub const STEP_JOBS_MAX: usize = 1024;
/// So many answers in one step are load: then the next step waits a little for more to come together.
pub const LOAD_MIN: usize = 8;
/// So many jobs are enough for a step without waiting.
pub const GATHERED_MIN: usize = 64;
/// How long a step waits for more, under load. Never with one in flight.
pub const GATHER_TIME: Duration = Duration::from_micros(300);
/// How often the latest checkpoint is published, if it grew.
pub const PUBLISH_EVERY: Duration = Duration::from_secs(2);
/// How often it is looked whether something is due by the clock.
pub const TICK_EVERY: Duration = Duration::from_secs(1);
/// How often what follows the journal is written, under load.
pub const FOLLOW_EVERY: Duration = Duration::from_millis(100);
/// How many batches what lags behind catches up with at a time.
pub const CATCH_UP_BATCHES: u64 = 64;
/// How many referrals are looked at for one page of [`Hub::awaited`]. The writer does nothing else meanwhile, for
/// about as long as a sync takes; and whoever collects all pages waits for a step before each.
pub const AWAITED_PAGE: usize = 2048;
/// How old the writer's own word may be; then it does not get on.
pub const STALE: Duration = Duration::from_secs(15);
/// How far the clock may be behind the last batch before it counts as stepped.
pub const CLOCK_BEHIND_MS_MAX: u64 = 60 * 1000;

/// The writer on real files.
pub type RealWriter = Writer<FileJournal, SledRows, Behind>;

/// The way to the writer. Cheap to clone; the writer's thread ends when all clones are gone.
#[derive(Clone)]
pub struct Hub {
    jobs: mpsc::Sender<Job>,
    room: Arc<Semaphore>,
    shared: Arc<Shared>,
}

/// Room in the queue for a request's bytes, given back when the request is decided.
#[derive(Debug)]
pub struct Room {
    _of_all: OwnedSemaphorePermit,
    _of_caller: Option<OwnedSemaphorePermit>,
}

impl Room {
    /// The same, with what it takes of its caller's share.
    #[must_use]
    pub fn and(self, of_caller: OwnedSemaphorePermit) -> Self {
        Self { _of_caller: Some(of_caller), ..self }
    }
}

/// What everybody may read at any time.
struct Shared {
    directory: ArcSwap<Directory>,
    status: ArcSwap<Status>,
    history: History,
    /// Leaves of the evidence log that are durable.
    evidence_size: AtomicU64,
}

/// Where a page of what is awaited begins: behind a referral, or at the first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Page {
    /// Among the referrals in memory.
    Open(Option<ReferralKey>),
    /// Among those whose escalation stopped.
    Stopped(Option<ReferralKey>),
}

/// A page of what is awaited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AwaitedPage {
    /// What is awaited.
    pub awaited: Vec<Awaited>,
    /// Where the next page begins; nothing behind the last.
    pub next: Option<Page>,
}

impl Page {
    /// Looks at the referrals of the page.
    fn read(&self, state: &State) -> AwaitedPage {
        match self {
            Self::Open(after) => {
                let mut last = None;
                let referrals = state.referrals_behind(after.as_ref()).take(AWAITED_PAGE);
                let referrals = referrals.inspect(|(key, _)| last = Some(*key));
                let awaited = referrals.filter_map(|(key, referral)| awaited(state, key, referral)).collect();
                let next = last.map_or(Self::Stopped(None), |key| Self::Open(Some(key.clone())));
                AwaitedPage { awaited, next: Some(next) }
            }
            Self::Stopped(after) => {
                let mut last = None;
                let stopped = state.stopped_behind(after.as_ref()).take(AWAITED_PAGE);
                let stopped = stopped.inspect(|(key, _)| last = Some(*key));
                let awaited =
                    stopped.filter_map(|(key, stopped)| stopped.awaited(key, state.now())).collect();
                AwaitedPage { awaited, next: last.map(|key| Self::Stopped(Some(key.clone()))) }
            }
        }
    }
}

/// A referral that is in memory, as far as deliveries are concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// Who was asked, one attempt after the other.
    pub recipients: Vec<AgencyId>,
    /// Where it stands.
    pub status: lifecycle::Status,
    /// Since when.
    pub since: TimeMs,
    /// How urgent it is.
    pub urgency: Urgency,
    /// Envelopes of it that wait in mailboxes.
    pub waiting: u32,
    /// The clocks that run.
    pub clocks: Vec<Begun>,
    /// What is awaited.
    pub awaited: Option<Awaited>,
    /// What operators did with it that is not over.
    pub intervention: Option<Intervention>,
}

/// How the writer is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Status {
    /// Whether the disk has room for ordinary work.
    pub has_room: bool,
    /// Whether new envelopes are put off, before a planned stop.
    pub is_draining: bool,
    /// Envelopes that are handed out, and not signed for yet.
    pub under_way: usize,
    /// Whether the index is complete.
    pub is_indexed: bool,
    /// Whether the clock is where the journal left it, or ahead.
    pub is_clock_right: bool,
    /// Whether the clock has jumped ahead and nobody has confirmed it: time stands still.
    pub is_clock_doubted: bool,
    /// Referrals in which something is awaited by a time.
    pub clocks: usize,
    /// Leaves of the evidence log.
    pub evidence_size: u64,
    /// Leaves of the evidence log under the published checkpoint.
    pub published_size: u64,
    /// Envelopes that wait in all mailboxes.
    pub waiting: usize,
    /// Referrals in memory.
    pub referrals: usize,
    /// When this was looked at.
    pub at: TimeMs,
}

/// The queue is full, or the writer is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Unavailable {
    /// Too much waits: come back later.
    #[error("too much waits for the writer")]
    Full,
    /// The gateway is ending.
    #[error("the gateway is ending")]
    Ending,
}

enum Job {
    Ask {
        request: Box<Request>,
        reply: oneshot::Sender<Answer>,
        room: Room,
    },
    Serve(Service),
    /// Nothing behind it is done.
    End,
}

/// What the writer's thread does beside deciding.
enum Service {
    Attend { agency: AgencyId, stream: StreamNo, hands: mpsc::Sender<Handed> },
    Credit { agency: AgencyId, stream: StreamNo, more: u32 },
    Leave { agency: AgencyId, stream: StreamNo },
    Fetch { agency: AgencyId, count_max: usize, reply: oneshot::Sender<Vec<Handed>> },
    Find { agency: AgencyId, envelope: Digest, reply: oneshot::Sender<Vec<Mail>> },
    Roll,
    Head { agency: AgencyId, reply: oneshot::Sender<Option<(Locator, HeadProof)>> },
    Root { log: Log, size: u64, reply: oneshot::Sender<Option<Digest>> },
    Release { witnesses: u64, reply: oneshot::Sender<()> },
    Tick { reply: oneshot::Sender<()> },
    Derive { at: Locator, reply: oneshot::Sender<Option<Vec<Receipt>>> },
    Places { referral: ReferralKey, reply: oneshot::Sender<Option<Vec<Locator>>> },
    Awaited { page: Page, reply: oneshot::Sender<AwaitedPage> },
    Standing { referral: ReferralKey, reply: oneshot::Sender<Option<Standing>> },
    Waiting { reply: oneshot::Sender<Vec<(AgencyId, usize)>> },
    Batches { party: AgencyId, from: u64, most: usize, reply: oneshot::Sender<Option<Vec<PartyBatch>>> },
}

impl Hub {
    /// Starts the writer's thread. The receiver tells how it ended. One that is held decides, signs and
    /// publishes nothing before [`Self::release`].
    #[must_use]
    pub fn start(
        writer: RealWriter,
        connections: Arc<Connections>,
        metrics: Arc<Metrics>,
        is_held: bool,
    ) -> (Self, oneshot::Receiver<Result<(), Fault>>) {
        let (jobs, receiver) = mpsc::channel(QUEUE_MAX);
        let shared = Arc::new(Shared {
            directory: ArcSwap::from_pointee(writer.state().directory().clone()),
            status: ArcSwap::default(),
            history: writer.history().clone(),
            evidence_size: AtomicU64::new(writer.state().evidence().size()),
        });
        let (ended, end) = oneshot::channel();
        let mut thread = Thread::new(writer, Arc::clone(&shared), connections, metrics);
        thread.is_held = is_held;
        let runtime = Handle::current();
        std::thread::spawn(move || {
            // The process ends with the writer, so nobody may be left to hear it.
            drop(ended.send(thread.run(&runtime, receiver)));
        });
        let room =
            Arc::new(Semaphore::new(usize::try_from(QUEUE_BYTES_MAX).unwrap_or(Semaphore::MAX_PERMITS)));
        (Self { jobs, room, shared }, end)
    }

    /// The directory as it is in force.
    #[must_use]
    pub fn directory(&self) -> Arc<Directory> {
        self.shared.directory.load_full()
    }

    /// How the writer is.
    #[must_use]
    pub fn status(&self) -> Status {
        **self.shared.status.load()
    }

    /// For how long the writer has not said how it is, when that is too long; nothing while it gets on.
    #[must_use]
    pub fn stalled_ms(&self, now: TimeMs) -> Option<u64> {
        let silent_ms = now.0.saturating_sub(self.status().at.0);
        (silent_ms > u64::try_from(STALE.as_millis()).unwrap_or(u64::MAX)).then_some(silent_ms)
    }

    /// Leaves of the evidence log that are durable.
    #[must_use]
    pub fn evidence_size(&self) -> u64 {
        self.shared.evidence_size.load(Ordering::Acquire)
    }

    /// What the journal tells of the past.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.shared.history
    }

    /// Asks the writer. The answer comes when it is durable; none when the gateway ends before, or
    /// when the caller was cut off meanwhile.
    ///
    /// # Errors
    /// [`Unavailable`]: nothing was taken.
    pub fn ask(&self, request: Request) -> Result<oneshot::Receiver<Answer>, Unavailable> {
        let payload = request.command.signed().map_or(0, |signed| signed.payload().len());
        let room = self.try_room(payload)?;
        self.ask_in(request, room)
    }

    /// As [`Self::ask`], in a room that was taken before the request was made.
    ///
    /// # Errors
    /// [`Unavailable`]: nothing was taken.
    pub fn ask_in(&self, request: Request, room: Room) -> Result<oneshot::Receiver<Answer>, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Ask { request: Box::new(request), reply, room })?;
        Ok(answer)
    }

    /// As [`Self::ask_in`], but waits while the queue is full: for streams, whose senders wait with it.
    ///
    /// # Errors
    /// [`Unavailable::Ending`].
    pub async fn ask_in_turn(
        &self,
        request: Request,
        room: Room,
    ) -> Result<oneshot::Receiver<Answer>, Unavailable> {
        let (reply, answer) = oneshot::channel();
        let job = Job::Ask { request: Box::new(request), reply, room };
        self.jobs.send(job).await.map_err(|_| Unavailable::Ending)?;
        Ok(answer)
    }

    /// Room for a request of so many bytes.
    ///
    /// # Errors
    /// [`Unavailable::Full`].
    pub fn try_room(&self, bytes: usize) -> Result<Room, Unavailable> {
        let room = Arc::clone(&self.room).try_acquire_many_owned(counted(bytes));
        Ok(Room { _of_all: room.map_err(|_| Unavailable::Full)?, _of_caller: None })
    }

    /// As [`Self::try_room`], but waits for it, in the order of asking.
    ///
    /// # Errors
    /// [`Unavailable::Ending`].
    pub async fn room(&self, bytes: usize) -> Result<Room, Unavailable> {
        let room = Arc::clone(&self.room).acquire_many_owned(counted(bytes)).await;
        Ok(Room { _of_all: room.map_err(|_| Unavailable::Ending)?, _of_caller: None })
    }

    /// Opens a stream of deliveries to an agency.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn attend(
        &self,
        agency: AgencyId,
        stream: StreamNo,
        hands: mpsc::Sender<Handed>,
    ) -> Result<(), Unavailable> {
        self.send(Job::Serve(Service::Attend { agency, stream, hands }))
    }

    /// A stream will take so many more.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn credit(&self, agency: AgencyId, stream: StreamNo, more: u32) -> Result<(), Unavailable> {
        self.send(Job::Serve(Service::Credit { agency, stream, more }))
    }

    /// A stream has ended; what it holds is handed to the next one.
    pub async fn leave(&self, agency: AgencyId, stream: StreamNo) {
        // Gone with the writer, if it is gone.
        drop(self.jobs.send(Job::Serve(Service::Leave { agency, stream })).await);
    }

    /// What may be handed over now, without a lease.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn fetch(&self, agency: AgencyId, count_max: usize) -> Result<Vec<Handed>, Unavailable> {
        self.call(|reply| Service::Fetch { agency, count_max, reply }).await
    }

    /// What waits for an agency under an envelope's digest.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn find(&self, agency: AgencyId, envelope: Digest) -> Result<Vec<Mail>, Unavailable> {
        self.call(|reply| Service::Find { agency, envelope, reply }).await
    }

    /// Lets the next batch begin a segment of the journal.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub fn roll(&self) -> Result<(), Unavailable> {
        self.send(Job::Serve(Service::Roll))
    }

    /// The root of the beginning of a log; none while its tiles are being made again.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn root(&self, log: Log, size: u64) -> Result<Option<Digest>, Unavailable> {
        self.call(|reply| Service::Root { log, size, reply }).await
    }

    /// Lets a writer go on that is held, so many witnesses having been asked. That it goes on is durable
    /// when this is answered.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn release(&self, witnesses: u64) -> Result<(), Unavailable> {
        self.call(|reply| Service::Release { witnesses, reply }).await
    }

    /// Does what is due by the clock now, as the writer does by itself every [`TICK_EVERY`].
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn tick(&self) -> Result<(), Unavailable> {
        self.call(|reply| Service::Tick { reply }).await
    }

    /// The receipts of an entry, derived again; none while the tiles are being made again.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn derive(&self, at: Locator) -> Result<Option<Vec<Receipt>>, Unavailable> {
        self.call(|reply| Service::Derive { at, reply }).await
    }

    /// The head of an agency as it was committed last, and where that stands; none before it was.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn head(&self, agency: AgencyId) -> Result<Option<(Locator, HeadProof)>, Unavailable> {
        self.call(|reply| Service::Head { agency, reply }).await
    }

    /// Where a referral's records stand; none while the index is being built.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn places(&self, referral: ReferralKey) -> Result<Option<Vec<Locator>>, Unavailable> {
        self.call(|reply| Service::Places { referral, reply }).await
    }

    /// The batches from one on in which a party has records, so many at the most; none while the index
    /// is being built.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn batches(
        &self,
        party: AgencyId,
        from: u64,
        most: usize,
    ) -> Result<Option<Vec<PartyBatch>>, Unavailable> {
        self.call(|reply| Service::Batches { party, from, most, reply }).await
    }

    /// A page of what is awaited in open referrals. A walk through all pages is no single moment: what
    /// happens meanwhile is seen on the pages behind it.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn awaited(&self, page: Page) -> Result<AwaitedPage, Unavailable> {
        self.call(|reply| Service::Awaited { page, reply }).await
    }

    /// A referral that is in memory.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn standing(&self, referral: ReferralKey) -> Result<Option<Standing>, Unavailable> {
        self.call(|reply| Service::Standing { referral, reply }).await
    }

    /// How many envelopes wait for each agency that has some.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub async fn waiting(&self) -> Result<Vec<(AgencyId, usize)>, Unavailable> {
        self.call(|reply| Service::Waiting { reply }).await
    }

    /// Ends the writer's thread when all that was asked before is done, whoever still holds a way to it.
    pub async fn end(&self) {
        // Gone already, if it is gone.
        drop(self.jobs.send(Job::End).await);
    }

    async fn call<T>(&self, service: impl FnOnce(oneshot::Sender<T>) -> Service) -> Result<T, Unavailable> {
        let (reply, answer) = oneshot::channel();
        self.send(Job::Serve(service(reply)))?;
        answer.await.map_err(|_| Unavailable::Ending)
    }

    fn send(&self, job: Job) -> Result<(), Unavailable> {
        self.jobs.try_send(job).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => Unavailable::Full,
            mpsc::error::TrySendError::Closed(_) => Unavailable::Ending,
        })
    }
}

/// What so many bytes count for. A single request never counts for more than there is.
fn counted(bytes: usize) -> u32 {
    u32::try_from(bytes.saturating_add(REQUEST_BYTES)).unwrap_or(u32::MAX).min(QUEUE_BYTES_MAX)
}

/// What the writer's thread owns.
struct Thread {
    writer: RealWriter,
    desk: Desk,
    salts: Salts,
    scribe: Scribe,
    shared: Arc<Shared>,
    connections: Arc<Connections>,
    metrics: Arc<Metrics>,
    due: Due,
    /// Whether the last step had many to answer.
    is_under_load: bool,
    is_ending: bool,
    /// Put back from a backup, and not released yet.
    is_held: bool,
}

/// When things between the steps were last done.
struct Due {
    publish: Instant,
    tick: Instant,
    follow: Instant,
    directory_size: u64,
}

/// The requests of a step, and whom to answer.
#[derive(Default)]
struct Asked {
    requests: Vec<Request>,
    replies: Vec<oneshot::Sender<Answer>>,
    rooms: Vec<Room>,
    /// Agencies whose mailboxes may change.
    touched: BTreeSet<AgencyId>,
    /// Whether an operator acts.
    operates: bool,
    bytes: u64,
}

impl Thread {
    fn new(
        writer: RealWriter,
        shared: Arc<Shared>,
        connections: Arc<Connections>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let now = Instant::now();
        let scribe = Scribe::start(writer.journal().anchor(), writer.journal().snapshots());
        Self {
            desk: Desk::new(writer.state().evidence().size()),
            salts: Salts::new(),
            scribe,
            shared,
            connections,
            metrics,
            is_under_load: false,
            is_ending: false,
            is_held: false,
            due: Due {
                publish: now,
                tick: now,
                follow: now,
                directory_size: writer.state().directory_log().size(),
            },
            writer,
        }
    }

    /// Works until it is told to end, or nobody is left who could ask.
    fn run(mut self, runtime: &Handle, mut receiver: mpsc::Receiver<Job>) -> Result<(), Fault> {
        self.look();
        let mut jobs = Vec::with_capacity(STEP_JOBS_MAX);
        loop {
            let wait = if self.is_behind() { Duration::ZERO } else { TICK_EVERY };
            let got = timeout_at_most(runtime, wait, receiver.recv_many(&mut jobs, STEP_JOBS_MAX));
            if got == Some(0) {
                break;
            }
            if self.is_under_load && jobs.len() < GATHERED_MIN {
                gather(&mut receiver, &mut jobs);
            }
            self.work(&mut jobs)?;
            if self.is_ending {
                break;
            }
            self.between_steps(got.is_none())?;
        }
        self.end();
        Ok(())
    }

    /// Does jobs in their order; questions to the rules that stand side by side make one step.
    fn work(&mut self, jobs: &mut Vec<Job>) -> Result<(), Fault> {
        let mut asked = Asked::default();
        for job in jobs.drain(..) {
            match job {
                Job::Ask { request, reply, room } => {
                    if self.connections.is_cut(&request.caller) {
                        // No answer: it has no connection to hear one on.
                        continue;
                    }
                    if self.is_held && !lets_go_on(&request.command) {
                        drop(reply.send(Answer::Busy(Busy::Restoring)));
                        continue;
                    }
                    asked.put(*request, reply, room);
                    if asked.bytes >= BATCH_BYTES {
                        self.step(std::mem::take(&mut asked))?;
                    }
                }
                Job::Serve(service) => {
                    self.step(std::mem::take(&mut asked))?;
                    self.serve(service)?;
                }
                Job::End => {
                    self.is_ending = true;
                    break;
                }
            }
        }
        self.step(asked)
    }

    fn step(&mut self, asked: Asked) -> Result<(), Fault> {
        if asked.requests.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        let answers = self.writer.step(clock::now(), asked.requests, &mut || self.salts.next())?;
        self.metrics.step(begun.elapsed(), answers.len());
        self.metrics.operations.synced(clock::now(), begun.elapsed());
        self.show();
        self.desk.hand_out(self.writer.state().mailboxes(), asked.touched, &answers);
        if asked.operates {
            // A hold, a release or a return changes what may be handed over; a drain, how the gateway is.
            self.desk.hand_out_to_all(self.writer.state().mailboxes());
            self.look();
        }
        self.is_under_load = answers.len() >= LOAD_MIN;
        // The last first: a stream waits for the answer to its first, and finds all behind it there.
        for (answer, reply) in answers.into_iter().zip(asked.replies).rev() {
            self.metrics.answered(&answer);
            // Whoever asked may have left; it is done all the same.
            drop(reply.send(answer));
        }
        Ok(())
    }

    fn serve(&mut self, service: Service) -> Result<(), Fault> {
        let mailboxes = self.writer.state().mailboxes();
        match service {
            Service::Attend { agency, stream, hands } => self.desk.attend(agency, stream, hands),
            Service::Credit { agency, stream, more } => self.desk.credit(mailboxes, &agency, stream, more),
            Service::Leave { agency, stream } => self.desk.leave(mailboxes, &agency, stream),
            Service::Fetch { agency, count_max, reply } => {
                drop(reply.send(self.desk.fetch(mailboxes, &agency, count_max)));
            }
            Service::Find { agency, envelope, reply } => {
                let mailbox = mailboxes.of(&agency).into_iter();
                let found = mailbox.flat_map(|mailbox| {
                    mailbox.all_of(&envelope).filter(|mail| !mailbox.is_held(&mail.referral)).cloned()
                });
                drop(reply.send(found.collect()));
            }
            Service::Roll => self.writer.roll(),
            Service::Head { agency, reply } => {
                let committed = self.writer.state().committed_heads();
                drop(reply.send(committed.and_then(|all| Some((all.at, all.proof(&agency)?)))));
            }
            Service::Root { log, size, reply } => drop(reply.send(self.writer.root(log, size))),
            Service::Release { witnesses, reply } => {
                if std::mem::take(&mut self.is_held) {
                    self.writer.was_restored(witnesses);
                    self.tick()?;
                    self.anchor()?;
                }
                // Whoever asked may have left; it goes on all the same.
                let (Ok(()) | Err(())) = reply.send(());
            }
            Service::Tick { reply } => {
                if !self.is_held {
                    self.tick()?;
                }
                let (Ok(()) | Err(())) = reply.send(());
            }
            Service::Derive { at, reply } => drop(reply.send(self.writer.derive(at)?)),
            Service::Places { referral, reply } => drop(reply.send(self.writer.places(&referral))),
            Service::Awaited { page, reply } => drop(reply.send(page.read(self.writer.state()))),
            Service::Standing { referral, reply } => {
                drop(reply.send(standing(self.writer.state(), &referral)));
            }
            Service::Waiting { reply } => {
                let counts = mailboxes.counts().map(|(agency, count)| (agency.clone(), count));
                drop(reply.send(counts.collect()));
            }
            Service::Batches { party, from, most, reply } => {
                drop(reply.send(self.writer.batches_of(&party, from, most)));
            }
        }
        Ok(())
    }

    fn between_steps(&mut self, is_idle: bool) -> Result<(), Fault> {
        let now = Instant::now();
        if now >= self.due.tick {
            self.due.tick = now + TICK_EVERY;
            if self.is_held {
                self.look();
            } else {
                self.tick()?;
            }
        }
        if is_idle || now >= self.due.follow {
            self.follow_up();
            // From its end on: one that took long leaves time for others.
            self.due.follow = Instant::now() + FOLLOW_EVERY;
        }
        if now >= self.due.publish {
            self.due.publish = now + PUBLISH_EVERY;
            self.publish();
        }
        Ok(())
    }

    fn tick(&mut self) -> Result<(), Fault> {
        let (before, begun) = (self.writer.state().evidence().size(), Instant::now());
        self.writer.tick(clock::now(), &mut || self.salts.next())?;
        if self.writer.state().evidence().size() > before {
            self.metrics.operations.synced(clock::now(), begun.elapsed());
            self.show();
            self.desk.hand_out_to_all(self.writer.state().mailboxes());
        }
        if self.writer.is_snapshot_due() {
            let (mark, state) = self.writer.snapshot();
            self.scribe.snapshot(mark, state);
        }
        self.look();
        Ok(())
    }

    /// What is derived may fail without harm: it is tried again.
    fn follow_up(&mut self) {
        if let Err(fault) = self.writer.follow_up(CATCH_UP_BATCHES) {
            self.metrics.derived_faults.inc();
            tracing::warn!(%fault, "what follows the journal could not be written");
        }
        // Readiness waits for the index: it is told as soon as it is there.
        if !self.shared.status.load().is_indexed && !self.is_behind() {
            self.look();
        }
    }

    /// Before `restored.json` goes: a start without both would ask everybody again.
    fn anchor(&self) -> Result<(), Fault> {
        if let Some((mark, note)) = self.writer.to_anchor()? {
            self.writer.journal().anchor().write(mark, note.to_string().as_bytes())?;
        }
        Ok(())
    }

    fn publish(&mut self) {
        if self.is_held {
            return;
        }
        match self.writer.publish_checkpoints() {
            Ok(Some((mark, note))) => self.scribe.anchor(mark, note.to_string().into_bytes()),
            Ok(None) => {}
            Err(fault) => {
                self.metrics.derived_faults.inc();
                tracing::warn!(%fault, "the checkpoint could not be published");
            }
        }
    }

    /// Shows what is durable now.
    fn show(&mut self) {
        self.shared.evidence_size.store(self.writer.state().evidence().size(), Ordering::Release);
        let size = self.writer.state().directory_log().size();
        if size != self.due.directory_size {
            self.due.directory_size = size;
            self.shared.directory.store(Arc::new(self.writer.state().directory().clone()));
            // Agents wait for it: keys and agreements are published without delay.
            self.due.publish = Instant::now();
        }
    }

    /// Whether something is left to catch up with, so that nobody waits for the next tick.
    fn is_behind(&self) -> bool {
        self.writer.index().wants_follow_up(self.writer.history())
    }

    fn look(&mut self) {
        let at = clock::now();
        let state = self.writer.state();
        let status = Status {
            is_indexed: self.writer.index().is_ready(self.writer.history()),
            is_clock_right: at.plus_ms(CLOCK_BEHIND_MS_MAX) >= state.now(),
            is_clock_doubted: state.clock_alarm().is_some(),
            clocks: state.clocks_running(),
            evidence_size: state.evidence().size(),
            published_size: self.writer.tiles(Log::Evidence).published(),
            waiting: state.mailboxes().count(),
            referrals: state.referrals_in_memory(),
            at,
            has_room: self.writer.has_room(),
            is_draining: self.writer.is_draining(),
            under_way: self.desk.under_way(),
        };
        if status.is_clock_doubted && !self.shared.status.load().is_clock_doubted {
            tracing::error!("the clock has jumped: no time limit runs until two administrators confirm it");
        }
        self.shared.status.store(Arc::new(status));
        self.metrics.status(&status);
    }

    /// The clean end: what follows is brought up to the journal, so that the next start has nothing
    /// to do.
    fn end(mut self) {
        for _ in 0..QUIET_FOLLOW_UPS {
            self.follow_up();
        }
        self.publish();
        if self.is_held {
            self.scribe.end();
            return;
        }
        let (mark, state) = self.writer.snapshot();
        self.scribe.snapshot(mark, state);
        self.scribe.end();
    }
}

impl Asked {
    fn put(&mut self, request: Request, reply: oneshot::Sender<Answer>, room: Room) {
        if let Command::Push(push) = &request.command {
            // An act can release what the other side has parked, so both mailboxes may change.
            self.touched.insert(push.header.to.clone());
            self.touched.insert(push.header.from.clone());
        }
        self.operates |= matches!(request.command, Command::Operate(_));
        if let (Command::Handover(_), Caller::Agency { agency, .. }) = (&request.command, &request.caller) {
            self.touched.insert(agency.clone());
        }
        let bytes = request.parts.iter().map(bytes::Bytes::len).sum::<usize>();
        self.bytes = self.bytes.saturating_add(u64::try_from(bytes).unwrap_or(u64::MAX));
        self.requests.push(request);
        self.replies.push(reply);
        self.rooms.push(room);
    }
}

/// Whether a command is the word of administrators that a restored gateway may go on. Whether it is
/// theirs, and fits, is judged before and behind this.
fn lets_go_on(command: &Command) -> bool {
    let Command::Directory(directory) = command else {
        return false;
    };
    let goes_on = matches!(&directory.object, DirectoryObject::Change(change)
        if matches!(change.body, ChangeBody::RestoreOverride { .. }));
    goes_on || command.new_shard().is_some()
}

fn standing(state: &State, key: &ReferralKey) -> Option<Standing> {
    let referral = state.referral(key)?;
    Some(Standing {
        recipients: referral.recipients.to_vec(),
        status: referral.status,
        since: referral.since,
        urgency: referral.urgency,
        waiting: referral.waiting,
        clocks: referral.clocks.running().collect(),
        awaited: awaited(state, key, referral),
        intervention: referral.intervention.as_deref().cloned(),
    })
}

/// Lets more come together for one sync. Asleep, so that nobody has to wake the writer for each.
fn gather(receiver: &mut mpsc::Receiver<Job>, jobs: &mut Vec<Job>) {
    std::thread::sleep(GATHER_TIME);
    while jobs.len() < STEP_JOBS_MAX
        && let Ok(job) = receiver.try_recv()
    {
        jobs.push(job);
    }
}

fn timeout_at_most<T>(runtime: &Handle, wait: Duration, future: impl Future<Output = T>) -> Option<T> {
    runtime.block_on(async { timeout(wait, future).await.ok() })
}

#[cfg(test)]
mod tests {
    use journal::{LogId, SegmentBytes};
    use proto::{command::Denial, key::SigningKey, log::checkpoint::Origin, refusal::Refusal};

    use super::*;
    use crate::{
        place::Place,
        writer::{LogKey, LogKeys},
    };

    /// A hub whose writer does nothing.
    fn stalled(folder: &std::path::Path) -> (Hub, mpsc::Receiver<Job>) {
        let key = |name| LogKey::new(Origin::parse(name).unwrap(), SigningKey::from_seed(&[7; 32]));
        let keys = LogKeys { evidence: key("an.example/log"), directory: key("an.example/directory") };
        let place = Place::new(folder, None);
        place.create(&LogId::new([7; 16]), SegmentBytes::new(1024 * 1024).unwrap()).unwrap();
        let (writer, _) = place.open(journal::Config::inline(), keys).unwrap();
        let shared = Shared {
            directory: ArcSwap::default(),
            status: ArcSwap::default(),
            history: writer.history().clone(),
            evidence_size: AtomicU64::new(0),
        };
        let (jobs, receiver) = mpsc::channel(QUEUE_MAX);
        let room = Arc::new(Semaphore::new(QUEUE_BYTES_MAX.try_into().unwrap()));
        (Hub { jobs, room, shared: Arc::new(shared) }, receiver)
    }

    fn request() -> Request {
        let denial = Denial { refusal: Refusal::MalformedBytes, field: "", digest: None };
        Request { caller: Caller::Gateway, command: Command::Denial(denial), parts: Vec::new() }
    }

    #[test]
    fn the_queue_takes_so_many_requests_and_so_many_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let (hub, mut writer) = stalled(folder.path());
        let answers: Vec<_> = std::iter::from_fn(|| hub.ask(request()).ok()).collect();
        assert_eq!(answers.len(), QUEUE_MAX);
        assert_eq!(hub.ask(request()).map(|_| ()), Err(Unavailable::Full));
        assert!(writer.try_recv().is_ok());
        assert!(hub.ask(request()).is_ok());
        while writer.try_recv().is_ok() {}

        let mebibyte = 1024 * 1024;
        let rooms: Vec<_> = std::iter::from_fn(|| hub.try_room(mebibyte).ok()).collect();
        // Each counts for a little more than its bytes.
        assert_eq!(rooms.len(), usize::try_from(QUEUE_BYTES_MAX).unwrap() / mebibyte - 1);
        assert_eq!(hub.try_room(mebibyte).map(|_| ()), Err(Unavailable::Full));
        drop(rooms);
        assert!(hub.try_room(usize::MAX).is_ok(), "one that is larger than all has to wait for all");
        drop(writer);
        assert_eq!(hub.ask(request()).map(|_| ()), Err(Unavailable::Ending));
    }
}
