//! One referral as this side knows it: a fold over its own envelopes, the received ones, and what the
//! gateway said of each, in the gateway's order. Not here: the gateway's own fold (`proto::referral`),
//! which sees both sides.

use std::collections::BTreeSet;

use proto::{
    digest::Digest,
    evidence::{Event, Happening},
    header::Header,
    ids::{
        AgencyId, Code, EnvelopeId, Jurisdiction, Kind, PartClass, ReasonClass, ReferralKey, TimeMs, Urgency,
    },
    lifecycle::{Act, Next, Responsibility, Status, Who, legal_acts, transition},
};

use crate::{store::Place, told::Told};

/// What a referral is about, as its last submission says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is described in envelope.proto, once")]
pub struct Need {
    pub kind: Kind,
    pub category: Code,
    pub service: Code,
    pub urgency: Urgency,
    pub jurisdiction: Jurisdiction,
    pub agreement: Digest,
    pub identity_allowed: bool,
}

impl Need {
    /// What a header says of it.
    #[must_use]
    pub fn of(header: &Header) -> Self {
        Self {
            kind: header.kind,
            category: header.category.clone(),
            service: header.service.clone(),
            urgency: header.urgency,
            jurisdiction: header.jurisdiction.clone(),
            agreement: header.agreement,
            identity_allowed: header.identity_allowed,
        }
    }
}

/// Where something stands in the evidence log, and when it was logged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Logged {
    /// Its record's index: what orders both sides' doings.
    pub index: u64,
    /// By the gateway's clock.
    pub at: TimeMs,
}

/// What has become of an envelope.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Standing {
    /// Ours: it waits to be pushed, or for its answer.
    Queued,
    /// Ours: the gateway has taken it.
    Taken {
        /// Its acceptance.
        logged: Logged,
        /// Where the receipt is.
        receipt: Place,
    },
    /// Ours: the gateway refused it.
    Refused {
        /// The refusal's stable number.
        number: u32,
        /// Where the refusal is.
        answer: Place,
    },
    /// Ours: it followed one that was refused, and was never pushed.
    Withdrawn,
    /// Theirs: it is here. One delivery for each time that parts of it were released.
    Arrived(Vec<Delivery>),
}

/// A delivery that is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Stable through repeats.
    pub handover_id: Vec<u8>,
    /// Its consignment.
    pub logged: Logged,
    /// Where its record and body are.
    pub place: Place,
    /// Where the receipt of its last consignment is, when that is not its own record.
    pub receipt: Option<Place>,
    /// Whether every part could be opened.
    pub opened: bool,
    /// What the gateway said of our receipt.
    pub handed_over: Option<HandedOver>,
    /// The gateway has lost what it said: it hands the same over again, under an id that may be another.
    pub lost: bool,
}

/// What the gateway said of our receipt for a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HandedOver {
    /// Its record; none when it was refused, because nothing waited any more.
    pub logged: Option<Logged>,
    /// Where the answer is.
    pub answer: Place,
}

/// An envelope of a referral.
#[derive(Debug, Clone, PartialEq, Eq)]
#[allow(missing_docs, reason = "each field is described in envelope.proto, once")]
pub struct Step {
    pub digest: Digest,
    pub envelope_id: EnvelopeId,
    pub from: AgencyId,
    pub to: AgencyId,
    pub act: Act,
    pub reason: Option<ReasonClass>,
    pub attempt: u32,
    pub sequence: u64,
    pub urgency: Urgency,
    pub created_at: TimeMs,
    pub expires_at: TimeMs,
    /// The agreement under which it goes and is answered.
    pub agreement: Digest,
    /// Where its record and body are.
    pub place: Place,
    /// What has become of it.
    pub standing: Standing,
    /// The parts that this side holds.
    pub parts: Vec<(u32, PartClass)>,
}

impl Step {
    /// Whether it is this side's own, and was not refused.
    #[must_use]
    pub const fn is_ours(&self) -> bool {
        match self.standing {
            Standing::Queued | Standing::Taken { .. } => true,
            Standing::Refused { .. } | Standing::Withdrawn | Standing::Arrived(_) => false,
        }
    }

    /// Where the gateway took it, or brought it here for the first time.
    #[must_use]
    pub fn logged(&self) -> Option<Logged> {
        match &self.standing {
            Standing::Taken { logged, .. } => Some(*logged),
            Standing::Arrived(deliveries) => deliveries.first().map(|delivery| delivery.logged),
            Standing::Queued | Standing::Refused { .. } | Standing::Withdrawn => None,
        }
    }
}

/// An agency that is asked in an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The attempt.
    pub attempt: u32,
    /// Who is asked.
    pub agency: AgencyId,
    /// Under which agreement.
    pub agreement: Digest,
}

/// A referral.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its name.
    pub referral: ReferralKey,
    /// What it is about.
    pub need: Need,
    /// Its envelopes, in the order in which this side wrote them down.
    pub steps: Vec<Step>,
    /// What the gateway did by itself, in its order.
    pub told: Vec<Told>,
    /// Receipts of what the gateway has lost since, in a restore: where they are.
    pub lost: Vec<Place>,
    /// Envelopes of this side that it has lost, and that are pushed again.
    again: BTreeSet<Digest>,
    view: View,
}

/// What follows from the steps.
#[derive(Debug, Clone, PartialEq, Eq)]
struct View {
    status: Status,
    resumes_to: Option<Status>,
    attempt: u32,
    asked: AgencyId,
    agreement: Digest,
    responsibility: Responsibility,
}

/// Something that moves the status.
#[derive(Debug, Clone, Copy)]
enum Move<'a> {
    Envelope(&'a Step),
    HandedOver(&'a Step),
    Told(&'a Happening),
}

impl Case {
    /// A referral of which this is the first envelope on this side.
    #[must_use]
    pub fn new(header: &Header) -> Self {
        let view = View {
            status: Status::Submitted,
            resumes_to: None,
            attempt: header.attempt,
            asked: asked(header).clone(),
            agreement: header.agreement,
            responsibility: Responsibility::Referrer,
        };
        let (steps, told, lost, again) = (Vec::new(), Vec::new(), Vec::new(), BTreeSet::new());
        Self { referral: header.referral.clone(), need: Need::of(header), steps, told, lost, again, view }
    }

    /// How many envelopes of this side are to be pushed again.
    #[must_use]
    pub fn going_again(&self) -> usize {
        self.again.len()
    }

    /// Whether the gateway has lost what the other side had sent, and has not handed it over again yet.
    #[must_use]
    pub fn waits_for_others(&self) -> bool {
        self.steps.iter().any(|step| match &step.standing {
            Standing::Arrived(deliveries) => deliveries.iter().any(|delivery| delivery.lost),
            Standing::Queued | Standing::Taken { .. } | Standing::Refused { .. } | Standing::Withdrawn => {
                false
            }
        })
    }

    /// The gateway has lost all that its log held from an index on: this side's envelopes that it had taken
    /// wait again.
    pub(crate) fn lose(&mut self, from: u64) {
        // What was lost stays behind what is not, and before all that comes.
        let cut = |logged: &mut Logged| logged.index = logged.index.min(from.saturating_sub(1));
        for step in &mut self.steps {
            match &mut step.standing {
                Standing::Taken { logged, receipt } if logged.index >= from => {
                    self.lost.push(*receipt);
                    self.again.insert(step.digest);
                    step.standing = Standing::Queued;
                }
                Standing::Arrived(deliveries) => {
                    for delivery in deliveries {
                        let handed = delivery.handed_over.as_mut();
                        let handed = handed.and_then(|handed| Some((handed.answer, handed.logged.as_mut()?)));
                        let handed = handed.filter(|(_, logged)| logged.index >= from);
                        delivery.lost |= delivery.logged.index >= from || handed.is_some();
                        if delivery.logged.index >= from {
                            self.lost.push(delivery.receipt.unwrap_or(delivery.place));
                            cut(&mut delivery.logged);
                        }
                        if let Some((answer, logged)) = handed {
                            self.lost.push(answer);
                            cut(logged);
                        }
                    }
                }
                Standing::Taken { .. }
                | Standing::Queued
                | Standing::Refused { .. }
                | Standing::Withdrawn => {}
            }
        }
        self.told.retain(|told| told.logged.index < from);
        self.refresh();
    }

    /// An envelope of this side has its answer.
    pub(crate) fn settle(&mut self, envelope: &Digest) {
        self.again.remove(envelope);
    }

    /// Where it stands, as far as the gateway has confirmed it.
    #[must_use]
    pub const fn status(&self) -> Status {
        self.view.status
    }

    /// The present attempt's number, as far as this side knows.
    #[must_use]
    pub const fn attempt(&self) -> u32 {
        self.view.attempt
    }

    /// The agency that is asked in the present attempt, as far as this side knows.
    #[must_use]
    pub const fn asked(&self) -> &AgencyId {
        &self.view.asked
    }

    /// The agreement under which the present attempt goes.
    #[must_use]
    pub const fn agreement(&self) -> &Digest {
        &self.view.agreement
    }

    /// What an agency is in it.
    #[must_use]
    pub fn who(&self, agency: &AgencyId) -> Option<Who> {
        if *agency == self.referral.opened_by {
            Some(Who::Referrer)
        } else {
            (*agency == self.view.asked).then_some(Who::Recipient)
        }
    }

    /// The other side, seen from an agency.
    #[must_use]
    pub fn other(&self, me: &AgencyId) -> &AgencyId {
        if *me == self.referral.opened_by { &self.view.asked } else { &self.referral.opened_by }
    }

    /// The acts that people of an agency could do once everything that waits has been taken. What must be
    /// sealed anew the agent seals by itself.
    #[must_use]
    pub fn legal_acts(&self, me: &AgencyId) -> Vec<Act> {
        let Some(who) = self.who(me) else {
            return Vec::new();
        };
        let View { status, responsibility, .. } = self.projected(me);
        let again = who == Who::Referrer && status.allows_new_attempt();
        let legal = legal_acts(status, who).filter(|act| responsibility.after(*act).is_some());
        let legal = legal.filter(|act| *act != Act::Reseal);
        again.then_some(Act::Submit).into_iter().chain(legal).collect()
    }

    /// The agency that answers for the case, as far as this side knows: whoever opened it, unless a transfer
    /// was accepted.
    #[must_use]
    pub const fn answers_for_it(&self) -> &AgencyId {
        match self.view.responsibility {
            Responsibility::Referrer | Responsibility::Offered => &self.referral.opened_by,
            Responsibility::Recipient => &self.view.asked,
        }
    }

    /// The last envelope of an agency that was not refused: what the next one follows.
    #[must_use]
    pub fn last_of(&self, agency: &AgencyId) -> Option<&Step> {
        let own = self.steps.iter().filter(|step| step.from == *agency);
        own.filter(|step| match step.standing {
            Standing::Queued | Standing::Taken { .. } | Standing::Arrived(_) => true,
            Standing::Refused { .. } | Standing::Withdrawn => false,
        })
        .max_by_key(|step| step.sequence)
    }

    /// The present attempt's submission, when it is here.
    #[must_use]
    pub fn submission(&self) -> Option<&Step> {
        let of_attempt = |step: &&Step| step.act == Act::Submit && step.attempt == self.view.attempt;
        self.steps.iter().rev().find(of_attempt)
    }

    /// What the gateway did by itself and people should know, when nothing has happened since.
    #[must_use]
    pub fn last_word(&self) -> Option<&Told> {
        let calls = |told: &&Told| {
            matches!(told.what.event, Event::ClockMissed | Event::Escalated | Event::EscalationStopped)
                || matches!(told.what.event, Event::Expired | Event::AcceptanceRejectionExpiry)
                || matches!(told.what.event, Event::Recalled | Event::ContentHandoverFailure)
        };
        let last = self.told.iter().filter(calls).max_by_key(|told| told.logged)?;
        let acts = self.steps.iter().filter_map(Step::logged).max();
        Some(last).filter(|told| acts.is_none_or(|acts| acts < told.logged))
    }

    /// The present attempt, seen from an agency: whom its acts go to.
    #[must_use]
    pub fn present(&self, me: &AgencyId) -> Asked {
        let (attempt, agreement) = (self.view.attempt, self.view.agreement);
        Asked { attempt, agency: self.other(me).clone(), agreement }
    }

    /// Every agency that was asked, in each attempt.
    #[must_use]
    pub fn asked_ever(&self) -> Vec<Asked> {
        self.asked_before(Place::LAST)
    }

    /// Every agency that was asked by a submission of this side that was written down before a place, or
    /// by the gateway after such a one: whoever may hold the case.
    #[must_use]
    pub fn asked_before(&self, place: Place) -> Vec<Asked> {
        let opener = &self.referral.opened_by;
        let sent = |step: &&Step| step.act == Act::Submit && step.from == *opener && step.is_ours();
        let named = self.steps.iter().filter(sent).filter(|step| step.place < place);
        let named: Vec<_> = named
            .map(|step| Asked { attempt: step.attempt, agency: step.to.clone(), agreement: step.agreement })
            .collect();
        let later = |attempt| {
            let of = self.steps.iter().filter(sent).filter(|step| step.attempt <= attempt);
            of.max_by_key(|step| step.attempt).is_some_and(|step| step.place < place)
        };
        let on_turn = self.told.iter().map(|told| &told.what).filter(|what| what.event == Event::Escalated);
        let on_turn = on_turn.filter(|what| later(what.attempt)).filter_map(|what| {
            let (agency, agreement) = (what.recipient.clone()?, what.agreement?);
            Some(Asked { attempt: what.attempt, agency, agreement })
        });
        named.iter().cloned().chain(on_turn).collect()
    }

    /// An act that was done in an attempt by an agency, and that the gateway did not refuse.
    #[must_use]
    pub fn done(&self, act: Act, by: &AgencyId, attempt: u32) -> Option<&Step> {
        let it = |step: &&Step| step.act == act && step.from == *by && step.attempt == attempt;
        self.steps.iter().filter(|step| step.is_ours() || step.logged().is_some()).find(it)
    }

    /// Whether something of it waits to be pushed or answered.
    #[must_use]
    pub fn waits(&self) -> bool {
        self.steps.iter().any(|step| step.standing == Standing::Queued)
    }

    /// An envelope by its digest.
    #[must_use]
    pub fn step(&self, digest: &Digest) -> Option<&Step> {
        self.steps.iter().find(|step| step.digest == *digest)
    }

    pub(crate) fn step_mut(&mut self, digest: &Digest) -> Option<&mut Step> {
        self.steps.iter_mut().find(|step| step.digest == *digest)
    }

    /// Takes one more envelope.
    pub(crate) fn add(&mut self, header: &Header, step: Step) {
        if step.act == Act::Submit {
            self.need = Need::of(header);
        }
        self.steps.push(step);
        self.refresh();
    }

    /// Takes what the gateway did by itself, once.
    pub(crate) fn tell(&mut self, told: Told) {
        if !self.knows(&told) {
            self.told.push(told);
            self.refresh();
        }
    }

    /// Whether the gateway has told it before.
    #[must_use]
    pub fn knows(&self, told: &Told) -> bool {
        self.told.iter().any(|known| known.logged == told.logged)
    }

    /// Works out what follows from the steps, after one of them has changed.
    pub(crate) fn refresh(&mut self) {
        let told = self.told.iter().map(|told| (told.logged, Move::Told(&told.what)));
        let mut moves: Vec<(Logged, Move<'_>)> = self.steps.iter().flat_map(moves).chain(told).collect();
        moves.sort_by_key(|(logged, _)| *logged);
        // Before anything is taken, what waits tells whom it is about.
        let refused = |step: &&Step| matches!(step.standing, Standing::Refused { .. } | Standing::Withdrawn);
        let mut submits = self.steps.iter().filter(|step| step.act == Act::Submit);
        let first = submits.clone().find(|step| !refused(step)).or_else(|| submits.next());
        let mut view = View {
            status: Status::Submitted,
            resumes_to: None,
            attempt: first.map_or(self.view.attempt, |step| step.attempt),
            asked: first.map_or_else(|| self.view.asked.clone(), |step| step.to.clone()),
            agreement: first.map_or(self.view.agreement, |step| step.agreement),
            responsibility: Responsibility::Referrer,
        };
        for (_, next) in moves {
            view.take(next, &self.referral.opened_by, self.need.kind);
        }
        self.view = view;
    }

    /// Where it will stand once what waits has been taken.
    fn projected(&self, me: &AgencyId) -> View {
        let mut view = self.view.clone();
        let waiting = |step: &&Step| step.from == *me && step.standing == Standing::Queued;
        for step in self.steps.iter().filter(waiting) {
            view.take(Move::Envelope(step), &self.referral.opened_by, self.need.kind);
        }
        view
    }
}

fn asked(header: &Header) -> &AgencyId {
    if header.from == header.referral.opened_by { &header.to } else { &header.from }
}

/// What a step has moved so far, and where that stands.
fn moves(step: &Step) -> Vec<(Logged, Move<'_>)> {
    match &step.standing {
        Standing::Taken { logged, .. } => vec![(*logged, Move::Envelope(step))],
        Standing::Arrived(deliveries) => {
            let came = deliveries.first().map(|delivery| (delivery.logged, Move::Envelope(step)));
            // Without a record the gateway had it handed over before, and its answer was lost.
            let taken = deliveries
                .iter()
                .find_map(|delivery| Some(delivery.handed_over?.logged.unwrap_or(delivery.logged)));
            came.into_iter().chain(taken.map(|logged| (logged, Move::HandedOver(step)))).collect()
        }
        Standing::Queued | Standing::Refused { .. } | Standing::Withdrawn => Vec::new(),
    }
}

impl View {
    fn take(&mut self, next: Move<'_>, opened_by: &AgencyId, kind: Kind) {
        match next {
            Move::Envelope(step) if step.act == Act::Submit => {
                *self = Self {
                    status: Status::Submitted,
                    resumes_to: None,
                    attempt: step.attempt,
                    asked: step.to.clone(),
                    // Of what came on its turn the gateway's own record says it better.
                    agreement: if step.attempt == self.attempt { self.agreement } else { step.agreement },
                    responsibility: Responsibility::Referrer,
                };
            }
            // Whoever was asked next by the gateway gets a copy of the submission, of a later attempt.
            Move::Told(what) if what.event == Event::Escalated => {
                if let (Some(asked), Some(agreement)) = (what.recipient.clone(), what.agreement) {
                    let (status, resumes_to, attempt) = (Status::Submitted, None, what.attempt);
                    let responsibility = Responsibility::Referrer;
                    *self = Self { status, resumes_to, attempt, asked, agreement, responsibility };
                }
            }
            Move::Told(what) => {
                if let Some(status) = what.status.filter(|_| what.attempt == self.attempt) {
                    self.go(Next::Go(status));
                }
            }
            Move::Envelope(step) if step.attempt == self.attempt => {
                let who = if step.from == *opened_by { Who::Referrer } else { Who::Recipient };
                // The gateway has taken it, so it was legal; what this side did not see may hide why.
                if let Some(found) = transition(self.status, step.act, who) {
                    self.go(found.next);
                    self.responsibility = self.responsibility.after(step.act).unwrap_or(self.responsibility);
                }
            }
            // Said of an attempt that is over.
            Move::Envelope(_) => {}
            Move::HandedOver(step) => {
                // What came anew is the submission, when that could not be opened.
                let anew = step.act == Act::Reseal && step.from == *opened_by;
                let present = (step.act == Act::Submit || anew) && step.attempt == self.attempt;
                if present && self.status == Status::Submitted {
                    let ends = !kind.expects_answer();
                    self.status = if ends { Status::Completed } else { Status::Delivered };
                }
            }
        }
    }

    fn go(&mut self, next: Next) {
        match next {
            Next::Stay => {}
            Next::Go(status) => {
                self.status = status;
                self.resumes_to = None;
            }
            Next::Pause(status) => {
                self.resumes_to.get_or_insert(self.status);
                self.status = status;
            }
            Next::Return => {
                if let Some(status) = self.resumes_to.take() {
                    self.status = status;
                }
            }
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use proto::ids::Addressing;

    use super::*;

    const OPENER: &str = "ae.dfwac";
    const ASKED: &str = "ae-rk.aman";

    fn agency(text: &str) -> AgencyId {
        AgencyId::parse(text, "agency").unwrap()
    }

    /// A header as one side would write it; only what the fold reads is right.
    pub(crate) fn header(from: &str, to: &str, act: Act, number: u64) -> Header {
        let id = EnvelopeId::new(TimeMs(1_790_000_000_000 + number), [7; 10]);
        let first = EnvelopeId::new(TimeMs(1_790_000_000_000), [7; 10]);
        Header {
            envelope_id: id,
            referral: ReferralKey { id: first, opened_by: agency(OPENER) },
            attempt: 1,
            sequence: number + 1,
            previous: None,
            in_reply_to: None,
            kind: Kind::Referral,
            act,
            reason: None,
            from: agency(from),
            to: agency(to),
            category: Code::parse("trafficking", "category").unwrap(),
            service: Code::parse("shelter", "service").unwrap(),
            urgency: Urgency::Urgent,
            jurisdiction: Jurisdiction::parse("AE", "jurisdiction").unwrap(),
            identity_allowed: true,
            addressing: Addressing::ByName,
            directory_size: 1,
            agreement: Digest::default(),
            mechanism: None,
            rule: None,
            created_at: TimeMs(1_790_000_000_000 + number),
            expires_at: TimeMs(1_790_000_900_000),
            parts: Vec::new(),
            fallbacks: Vec::new(),
        }
    }

    fn step(header: &Header, standing: Standing) -> Step {
        Step {
            digest: Digest::of(header.envelope_id.as_bytes()),
            envelope_id: header.envelope_id,
            from: header.from.clone(),
            to: header.to.clone(),
            act: header.act,
            reason: header.reason,
            attempt: header.attempt,
            sequence: header.sequence,
            urgency: header.urgency,
            created_at: header.created_at,
            expires_at: header.expires_at,
            agreement: header.agreement,
            place: Place::default(),
            standing,
            parts: Vec::new(),
        }
    }

    fn logged(index: u64) -> Logged {
        Logged { index, at: TimeMs(index) }
    }

    fn taken(index: u64) -> Standing {
        Standing::Taken { logged: logged(index), receipt: Place::default() }
    }

    fn arrived(index: u64, handed_over: Option<u64>) -> Standing {
        let handed_over =
            handed_over.map(|index| HandedOver { logged: Some(logged(index)), answer: Place::default() });
        Standing::Arrived(vec![Delivery {
            handover_id: vec![1],
            logged: logged(index),
            place: Place::default(),
            opened: true,
            receipt: None,
            lost: false,
            handed_over,
        }])
    }

    /// Here, and the gateway waits for no receipt any more.
    fn settled(index: u64) -> Standing {
        let Standing::Arrived(mut deliveries) = arrived(index, None) else { panic!("it came") };
        deliveries[0].handed_over = Some(HandedOver { logged: None, answer: Place::default() });
        Standing::Arrived(deliveries)
    }

    /// A case seen from the opener (`Taken` are its own) or from the asked (`Arrived` are the other's).
    fn case(steps: Vec<(Header, Standing)>) -> Case {
        let mut case = Case::new(&steps[0].0);
        for (header, standing) in steps {
            let step = step(&header, standing);
            case.add(&header, step);
        }
        case
    }

    fn does(act: Act, number: u64) -> Header {
        header(ASKED, OPENER, act, number)
    }

    fn submits() -> Header {
        header(OPENER, ASKED, Act::Submit, 0)
    }

    #[test]
    fn the_table_from_both_sides() {
        use Act::{Accept, Complete, Decline, Hold, Resume, See, Start, Submit};
        let rows: Vec<(&str, Case, Status)> = vec![
            ("queued", case(vec![(submits(), Standing::Queued)]), Status::Submitted),
            ("taken", case(vec![(submits(), taken(1))]), Status::Submitted),
            ("here", case(vec![(submits(), arrived(1, None))]), Status::Submitted),
            ("handed over", case(vec![(submits(), arrived(1, Some(2)))]), Status::Delivered),
            ("handed over, the answer was lost", case(vec![(submits(), settled(1))]), Status::Delivered),
            ("seen", case(vec![(submits(), taken(1)), (does(See, 0), arrived(3, None))]), Status::Seen),
            (
                "seen, in the other order of arrival",
                case(vec![
                    (submits(), arrived(1, Some(2))),
                    (does(Accept, 1), taken(5)),
                    (does(See, 0), taken(4)),
                ]),
                Status::Accepted,
            ),
            (
                "a pause and back",
                case(vec![
                    (submits(), taken(1)),
                    (does(Accept, 0), arrived(2, None)),
                    (does(Start, 1), arrived(3, None)),
                    (does(Hold, 2), arrived(4, None)),
                    (does(Resume, 3), arrived(5, None)),
                ]),
                Status::InProgress,
            ),
            (
                "what was refused moves nothing",
                case(vec![
                    (submits(), arrived(1, Some(2))),
                    (does(Accept, 0), Standing::Refused { number: 41, answer: Place::default() }),
                    (does(Complete, 1), Standing::Withdrawn),
                    (does(Decline, 2), Standing::Queued),
                ]),
                Status::Delivered,
            ),
            (
                "a second attempt, and a word on the first",
                case(vec![
                    (submits(), taken(1)),
                    (does(Decline, 0), arrived(2, None)),
                    (
                        Header { attempt: 2, to: agency("jo.mosd"), ..header(OPENER, ASKED, Submit, 3) },
                        taken(3),
                    ),
                    (does(Act::ConfirmWithdrawal, 1), arrived(4, None)),
                ]),
                Status::Submitted,
            ),
        ];
        for (name, case, status) in rows {
            assert_eq!(case.status(), status, "{name}");
        }
    }

    #[test]
    fn a_transfer_is_seen_from_both_sides() {
        let [me, other] = [OPENER, ASKED].map(agency);
        let offers = |number| header(OPENER, ASKED, Act::OfferTransfer, number);
        let so_far =
            vec![(submits(), taken(1)), (does(Act::Accept, 0), arrived(2, None)), (offers(1), taken(3))];
        let offered = case(so_far.clone());
        assert_eq!(offered.answers_for_it(), &me, "an offer moves nothing");
        assert!(!offered.legal_acts(&me).contains(&Act::OfferTransfer));
        assert!(offered.legal_acts(&me).contains(&Act::Recall));
        let accepts = (does(Act::AcceptTransfer, 1), arrived(4, None));
        let moved = case([so_far, vec![accepts]].concat());
        assert_eq!(moved.answers_for_it(), &other);
        assert!(!moved.legal_acts(&me).contains(&Act::Recall));
        assert!(moved.legal_acts(&me).contains(&Act::WithdrawConsent));
    }

    /// The gateway asks the second agency: seen by the sender, and by that agency.
    #[test]
    fn an_escalation_is_followed_from_both_sides() {
        let (second, agreement) = (agency("jo.mosd"), Digest([9; 32]));
        let told = |index, event, status, attempt| Told {
            logged: logged(index),
            what: Happening {
                status: Some(status),
                attempt,
                recipient: Some(second.clone()),
                agreement: Some(agreement),
                ..Happening::new(event)
            },
        };
        let accepts = Header { attempt: 2, ..header("jo.mosd", OPENER, Act::Accept, 1) };
        let mut sender = case(vec![(submits(), taken(1)), (accepts, arrived(9, None))]);
        assert_eq!((sender.status(), sender.attempt()), (Status::Submitted, 1), "nothing was told yet");
        sender.tell(told(3, Event::AcceptanceRejectionExpiry, Status::Expired, 1));
        assert_eq!(sender.status(), Status::Expired);
        sender.tell(told(5, Event::Escalated, Status::Submitted, 2));
        assert_eq!((sender.status(), sender.attempt()), (Status::Accepted, 2));
        assert_eq!((sender.asked(), sender.agreement()), (&second, &agreement));
        // A word on the first attempt says nothing of the second.
        sender.tell(told(10, Event::Recalled, Status::Recalled, 1));
        assert_eq!(sender.status(), Status::Accepted);

        // The copy comes before its record is told, or after.
        for early in [true, false] {
            let escalated = told(5, Event::Escalated, Status::Submitted, 2);
            let mut asked = Case::new(&submits());
            if early {
                asked.tell(escalated.clone());
            }
            let mut copy = step(&submits(), arrived(6, None));
            (copy.to, copy.attempt) = (second.clone(), 2);
            asked.add(&submits(), copy);
            if !early {
                asked.tell(escalated);
            }
            assert_eq!((asked.attempt(), asked.who(&second)), (2, Some(Who::Recipient)));
            assert_eq!((asked.agreement(), asked.other(&second)), (&agreement, &agency(OPENER)));
            assert!(asked.legal_acts(&second).contains(&Act::Accept));
        }
    }

    #[test]
    fn the_last_word_is_the_gateways_until_somebody_acts() {
        let told = |index, event| Told { logged: logged(index), what: Happening::new(event) };
        let mut case = case(vec![(submits(), taken(1))]);
        case.tell(told(2, Event::ContentHandover));
        assert_eq!(case.last_word(), None, "nothing to be done about it");
        case.tell(told(3, Event::ClockMissed));
        assert_eq!(case.last_word().map(|told| told.logged.index), Some(3));
        let answers = does(Act::See, 0);
        case.add(&answers, step(&answers, arrived(4, None)));
        assert_eq!(case.last_word(), None);
    }

    #[test]
    fn kinds_that_expect_no_answer_end_when_they_are_handed_over() {
        let notice = Header { kind: Kind::Notice, ..submits() };
        assert_eq!(case(vec![(notice, arrived(1, Some(2)))]).status(), Status::Completed);
    }

    #[test]
    fn only_legal_acts_are_offered_as_if_what_waits_were_taken() {
        let recipient = case(vec![(submits(), arrived(1, Some(2)))]);
        let (me, other) = (agency(ASKED), agency(OPENER));
        assert!(recipient.legal_acts(&me).contains(&Act::Accept));
        assert!(!recipient.legal_acts(&me).contains(&Act::Complete));
        assert!(!recipient.legal_acts(&other).contains(&Act::Accept));
        assert!(recipient.legal_acts(&agency("jo.mosd")).is_empty(), "no party");

        let waiting = case(vec![(submits(), arrived(1, Some(2))), (does(Act::Accept, 0), Standing::Queued)]);
        assert_eq!(waiting.status(), Status::Delivered);
        assert!(!waiting.legal_acts(&me).contains(&Act::Accept), "not twice");
        assert!(waiting.legal_acts(&me).contains(&Act::Start));

        let declined = case(vec![(submits(), taken(1)), (does(Act::Decline, 0), arrived(2, None))]);
        assert!(declined.legal_acts(&other).contains(&Act::Submit), "another agency may be asked");
        assert!(!declined.legal_acts(&me).contains(&Act::Submit));
    }

    #[test]
    fn the_chain_goes_on_behind_what_was_not_refused() {
        let case = case(vec![
            (submits(), arrived(1, Some(2))),
            (does(Act::See, 0), taken(3)),
            (does(Act::Accept, 1), Standing::Refused { number: 41, answer: Place::default() }),
        ]);
        let last = case.last_of(&agency(ASKED)).unwrap();
        assert_eq!((last.act, last.sequence), (Act::See, 1));
        assert_eq!(case.last_of(&agency(OPENER)).unwrap().act, Act::Submit);
        assert_eq!(case.submission().unwrap().act, Act::Submit);
        assert_eq!(case.other(&agency(ASKED)), &agency(OPENER));
        assert_eq!(case.other(&agency(OPENER)), &agency(ASKED));
    }
}
