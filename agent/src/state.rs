//! What the store's records make: cases, the outbox's order, the directory, alarms. It follows the
//! records and nothing else, so that a restart makes the same. It holds headers and places, never
//! payloads. Not here: writing records (`store`), and deciding what to write (`office`).

use std::collections::{BTreeMap, BTreeSet};

use proto::{
    digest::Digest,
    directory::replica::{Replica, Unlawful},
    header::Header,
    ids::{AgencyId, PartClass, ReferralKey, Storage, TimeMs},
    log::{merkle::leaf_hash, note::SignedNote, shard::ShardNo},
    receipt::Receipt,
    refusal::Refusal,
    wire,
};

use crate::{
    alarm::{Alarm, Alarms},
    anew::Anew,
    case::{Case, Delivery, HandedOver, Logged, Standing, Step},
    erasure::Erasure,
    queue::Queue,
    records::{self, record},
    spool::Listed,
    store::{Fold, Place},
    told::{self, Position, Told},
};

/// Of so many referrals at the most it is remembered what was told before anything of them came; the
/// oldest go.
pub const TOLD_EARLY_MAX: usize = 1000;

/// What the records make.
#[derive(Debug)]
pub struct State {
    me: AgencyId,
    cases: BTreeMap<ReferralKey, Case>,
    envelopes: BTreeMap<Digest, ReferralKey>,
    handovers: BTreeMap<Vec<u8>, Digest>,
    queue: Queue,
    asked: BTreeMap<String, Digest>,
    replica: Replica,
    /// Of each leaf of the directory log.
    leaf_hashes: Vec<Digest>,
    /// The last shard of the logs that was taken up.
    shard: ShardNo,
    broken: Option<Unlawful>,
    evidence: Option<SignedNote>,
    directory: Option<SignedNote>,
    alarms: Alarms,
    going: BTreeMap<Digest, Vec<Listed>>,
    arrived_apart: BTreeSet<Digest>,
    followed: Position,
    /// What was told of referrals before anything of them came.
    told_early: BTreeMap<ReferralKey, Vec<Told>>,
    anew: Anew,
    ties: BTreeMap<ReferralKey, Tie>,
    erasures: BTreeMap<ReferralKey, Vec<Erasure>>,
}

/// How a referral of this agency hangs together with others, as this side alone knows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tie {
    /// The referral that came here, and that it refers on.
    pub onward_of: Option<ReferralKey>,
    /// The first of the referrals into which one need was split.
    pub split_of: Option<ReferralKey>,
}

impl Tie {
    /// The record that keeps it; none when there is nothing to keep.
    #[must_use]
    pub fn to_record(&self) -> Option<records::Tie> {
        let reference = |key: &Option<ReferralKey>| key.as_ref().map(ReferralKey::to_wire);
        let tie = records::Tie { onward_of: reference(&self.onward_of), split_of: reference(&self.split_of) };
        Some(tie).filter(|_| *self != Self::default())
    }

    fn parse(tie: &records::Tie) -> Option<Self> {
        let key = |reference: &Option<wire::ReferralRef>| match reference {
            Some(_) => ReferralKey::parse(reference.as_ref()).ok().map(Some),
            None => Some(None),
        };
        Some(Self { onward_of: key(&tie.onward_of)?, split_of: key(&tie.split_of)? })
    }
}

impl State {
    /// Nothing yet.
    #[must_use]
    pub fn new(me: AgencyId) -> Self {
        Self {
            me,
            cases: BTreeMap::new(),
            envelopes: BTreeMap::new(),
            handovers: BTreeMap::new(),
            queue: Queue::default(),
            asked: BTreeMap::new(),
            replica: Replica::default(),
            leaf_hashes: Vec::new(),
            shard: ShardNo::FIRST,
            broken: None,
            evidence: None,
            directory: None,
            alarms: Alarms::default(),
            going: BTreeMap::new(),
            arrived_apart: BTreeSet::new(),
            followed: Position::default(),
            told_early: BTreeMap::new(),
            anew: Anew::default(),
            ties: BTreeMap::new(),
            erasures: BTreeMap::new(),
        }
    }

    /// Whose state it is.
    #[must_use]
    pub const fn me(&self) -> &AgencyId {
        &self.me
    }

    /// Every case, oldest first.
    pub fn cases(&self) -> impl DoubleEndedIterator<Item = &Case> {
        self.cases.values()
    }

    /// A case.
    #[must_use]
    pub fn case(&self, referral: &ReferralKey) -> Option<&Case> {
        self.cases.get(referral)
    }

    /// The case that an envelope belongs to.
    #[must_use]
    pub fn case_of(&self, envelope: &Digest) -> Option<&Case> {
        self.cases.get(self.envelopes.get(envelope)?)
    }

    /// How a referral of this agency hangs together with others.
    #[must_use]
    pub fn tie(&self, referral: &ReferralKey) -> Option<&Tie> {
        self.ties.get(referral)
    }

    /// The referrals by which this agency refers a case on that came here, oldest first.
    pub fn onward(&self, former: &ReferralKey) -> impl Iterator<Item = &Case> {
        let ties = self.ties.iter().filter(move |(_, tie)| tie.onward_of.as_ref() == Some(former));
        ties.filter_map(|(referral, _)| self.cases.get(referral))
    }

    /// The referrals into which one need was split, or that one thread keeps together, one of which this is,
    /// oldest first; none when it stands alone.
    pub fn split_with<'a>(&'a self, referral: &'a ReferralKey) -> impl Iterator<Item = &'a Case> {
        let of = |referral| self.ties.get(referral).and_then(|tie: &Tie| tie.split_of.as_ref());
        let root = of(referral).unwrap_or(referral);
        let tied = self.ties.iter().filter(move |(_, tie)| tie.split_of.as_ref() == Some(root));
        let tied: Vec<&ReferralKey> = tied.map(|(referral, _)| referral).collect();
        // What others joined later was not tied itself.
        let first = Some(root).filter(|root| !tied.is_empty() && !tied.contains(root));
        first.into_iter().chain(tied).filter_map(|referral| self.cases.get(referral))
    }

    /// The envelope that was made for an idempotency key.
    #[must_use]
    pub fn asked(&self, idempotency_key: &str) -> Option<&Digest> {
        self.asked.get(idempotency_key)
    }

    /// A delivery that is here, by its hand-over id: the envelope's digest.
    #[must_use]
    pub fn delivered(&self, handover_id: &[u8]) -> Option<&Digest> {
        self.handovers.get(handover_id)
    }

    /// What waits to be pushed.
    #[must_use]
    pub const fn queue(&self) -> &Queue {
        &self.queue
    }

    /// What an envelope that waits needs to have uploaded.
    #[must_use]
    pub fn going(&self, envelope: &Digest) -> &[Listed] {
        self.going.get(envelope).map(Vec::as_slice).unwrap_or_default()
    }

    /// The ciphertexts' digests of all that is to be uploaded, and of all that came apart.
    #[must_use]
    pub fn apart(&self) -> (BTreeSet<Digest>, BTreeSet<Digest>) {
        let going = self.going.values().flatten().map(|listed| listed.sha256).collect();
        (going, self.arrived_apart.clone())
    }

    /// The directory's replica.
    #[must_use]
    pub const fn replica(&self) -> &Replica {
        &self.replica
    }

    /// Hashes of the leaves of the directory log, in their order.
    #[must_use]
    pub fn leaf_hashes(&self) -> &[Digest] {
        &self.leaf_hashes
    }

    /// How many envelopes of this agency the gateway has lost in a restore, and has not taken again yet.
    #[must_use]
    pub fn going_again(&self) -> usize {
        self.cases.values().map(Case::going_again).sum()
    }

    /// The largest checkpoint seen of the evidence log.
    #[must_use]
    pub const fn evidence_seen(&self) -> Option<&SignedNote> {
        self.evidence.as_ref()
    }

    /// The largest checkpoint seen of the directory log.
    #[must_use]
    pub const fn directory_seen(&self) -> Option<&SignedNote> {
        self.directory.as_ref()
    }

    /// How far the agency's own records were followed.
    #[must_use]
    pub const fn followed(&self) -> &Position {
        &self.followed
    }

    /// What of this agency's own must be sealed anew.
    #[must_use]
    pub const fn anew(&self) -> &Anew {
        &self.anew
    }

    /// What must not happen, and did, and is not settled.
    #[must_use]
    pub const fn alarms(&self) -> &Alarms {
        &self.alarms
    }

    /// Whether parts may be sealed: the directory is the one that everybody sees.
    #[must_use]
    pub fn may_seal(&self) -> bool {
        self.broken.is_none() && self.alarms.may_seal()
    }

    /// What was erased, or is being erased.
    pub fn erasures(&self) -> impl Iterator<Item = (&ReferralKey, &Erasure)> {
        self.erasures.iter().flat_map(|(referral, all)| all.iter().map(move |erasure| (referral, erasure)))
    }

    /// What was erased last of a referral.
    #[must_use]
    pub fn last_erasure(&self, referral: &ReferralKey) -> Option<&Erasure> {
        self.erasures.get(referral)?.last()
    }

    /// Whether the body of an envelope is erased that stands there.
    #[must_use]
    pub fn is_erased(&self, referral: &ReferralKey, envelope: &Digest, place: Place) -> bool {
        let all = self.erasures.get(referral).into_iter().flatten();
        all.into_iter().any(|erasure| erasure.covers(envelope, place))
    }

    fn take(&mut self, place: Place, at_ms: u64, record: &record::Record) -> Option<()> {
        let at = TimeMs(at_ms);
        match record {
            record::Record::Queued(queued) => self.queued(place, queued),
            record::Record::Answered(answered) => self.answered(place, answered),
            record::Record::Arrived(arrived) => self.arrived(place, at, arrived),
            record::Record::HandedOver(handed_over) => self.handed_over(place, handed_over),
            record::Record::Leaf(leaf) => {
                self.leaf(leaf);
                self.anew.look(self.replica.directory(), at);
                Some(())
            }
            record::Record::DirectoryAnew(records::DirectoryAnew {}) => {
                (self.replica, self.broken) = (Replica::default(), None);
                self.leaf_hashes.clear();
                Some(())
            }
            record::Record::Text(text) => self.text(text),
            record::Record::Seen(seen) => self.seen(seen),
            record::Record::Alarm(alarm) => {
                self.alarms.raise(Alarm::of(at_ms, alarm));
                Some(())
            }
            record::Record::Settled(settled) => {
                self.alarms.settle(&Alarm::of(at_ms, settled.alarm.as_ref()?));
                Some(())
            }
            record::Record::Erased(erased) => self.erased(place, at, erased),
            record::Record::Followed(followed) => self.follow(followed),
            record::Record::NotResealed(not_resealed) => {
                self.anew.given_up(&Digest::parse(&not_resealed.digest, "digest").ok()?);
                Some(())
            }
        }
    }

    fn follow(&mut self, followed: &records::Followed) -> Option<()> {
        self.followed = Position {
            count: followed.count,
            commitment: followed.commitment.clone(),
            batch: followed.batch,
        };
        for salted in &followed.told {
            let told = told::told(salted)?;
            let referral = told.what.referral.clone()?;
            // After a restore of the gateway they are followed from the first one again.
            let case = self.cases.get_mut(&referral);
            let early = self.told_early.get(&referral).into_iter().flatten();
            if case.as_ref().is_some_and(|case| case.knows(&told))
                || early.into_iter().any(|known| known.logged == told.logged)
            {
                continue;
            }
            self.anew.told(&told, &self.me);
            match case {
                Some(case) => case.tell(told),
                None => self.told_early.entry(referral).or_default().push(told),
            }
        }
        while self.told_early.len() > TOLD_EARLY_MAX {
            self.told_early.pop_first();
        }
        Some(())
    }

    fn queued(&mut self, place: Place, queued: &records::Queued) -> Option<()> {
        let header = Header::parse(&queued.header).ok()?;
        let digest = Digest::parse(&queued.digest, "digest").ok()?;
        self.add(&header, step(&header, digest, place, Standing::Queued, &queued.parts));
        let before = match queued.instead_of.as_slice() {
            [] => None,
            before => Some(Digest::parse(before, "instead_of").ok()?),
        };
        self.anew.queued(digest, &header, before);
        self.queue.put(&header.referral, digest, header.urgency);
        let uploads: Vec<Listed> = uploaded(&header).map(|(_, listed)| listed).collect();
        if !uploads.is_empty() {
            self.going.insert(digest, uploads);
        }
        if let Some(tie) = &queued.tie {
            let (new, held) = (Tie::parse(tie)?, self.ties.entry(header.referral.clone()).or_default());
            held.onward_of = held.onward_of.take().or(new.onward_of);
            held.split_of = held.split_of.take().or(new.split_of);
        }
        if !queued.idempotency_key.is_empty() {
            self.asked.insert(queued.idempotency_key.clone(), digest);
        }
        Some(())
    }

    fn answered(&mut self, place: Place, answered: &records::Answered) -> Option<()> {
        use records::answered::Answer;
        let digest = Digest::parse(&answered.digest, "digest").ok()?;
        let standing = match answered.answer.as_ref()? {
            Answer::Receipt(receipt) => Standing::Taken { logged: logged(receipt)?, receipt: place },
            Answer::Refusal(refusal) => Standing::Refused { number: refusal.number, answer: place },
            Answer::WithdrawnBehind(_) => Standing::Withdrawn,
        };
        match answered.answer.as_ref()? {
            Answer::Refusal(refusal) => self.anew.refused(digest, Refusal::from_number(refusal.number)),
            Answer::WithdrawnBehind(first) => {
                self.anew.withdrawn(digest, Digest::parse(first, "behind").ok()?)
            }
            Answer::Receipt(_) => {}
        }
        let referral = self.envelopes.get(&digest)?;
        self.queue.take(referral, &digest);
        self.going.remove(&digest);
        let case = self.cases.get_mut(referral)?;
        case.step_mut(&digest)?.standing = standing;
        case.settle(&digest);
        case.refresh();
        Some(())
    }

    fn arrived(&mut self, place: Place, at: TimeMs, arrived: &records::Arrived) -> Option<()> {
        let header = Header::parse(&arrived.header).ok()?;
        let digest = Digest::parse(&arrived.digest, "digest").ok()?;
        let delivery = Delivery {
            handover_id: arrived.handover_id.clone(),
            logged: match &arrived.receipt {
                Some(receipt) => logged(receipt)?,
                None => Logged { index: arrived.order, at },
            },
            place,
            receipt: None,
            opened: arrived.result == i32::from(wire::HandoverResult::Received),
            handed_over: None,
            lost: false,
        };
        if !arrived.repeats.is_empty() {
            return self.repeated(&digest, &arrived.repeats, delivery);
        }
        self.handovers.insert(arrived.handover_id.clone(), digest);
        let receipt = arrived.receipt.clone().and_then(|receipt| Receipt::parse(receipt).ok());
        self.arrived_apart.extend(arrived_apart(&header, arrived).map(|listed| listed.sha256));
        let known = self.envelopes.get(&digest).and_then(|referral| self.cases.get_mut(referral));
        let Some(case) = known else {
            let standing = Standing::Arrived(vec![delivery]);
            let mut step = step(&header, digest, place, standing, &arrived.parts);
            // What came in a later attempt than its own was sealed in advance, for this agency in its turn.
            if arrived.attempt > header.attempt {
                let agreement = receipt.and_then(|receipt| receipt.record().what.agreement);
                step.agreement = agreement.unwrap_or(step.agreement);
                (step.to, step.attempt) = (self.me.clone(), arrived.attempt);
            }
            self.add(&header, step);
            return Some(());
        };
        let step = case.step_mut(&digest)?;
        if let Standing::Arrived(deliveries) = &mut step.standing {
            deliveries.push(delivery);
            step.parts.extend(named(&arrived.parts));
            step.parts.sort_by_key(|(part_id, _)| *part_id);
        }
        case.refresh();
        Some(())
    }

    /// The gateway hands over again what it had lost: the body stays where it is.
    fn repeated(&mut self, envelope: &Digest, before: &[u8], again: Delivery) -> Option<()> {
        let case = self.cases.get_mut(self.envelopes.get(envelope)?)?;
        let Standing::Arrived(deliveries) = &mut case.step_mut(envelope)?.standing else {
            return None;
        };
        let known = deliveries.iter_mut().find(|delivery| delivery.handover_id == before)?;
        self.handovers.remove(before);
        self.handovers.insert(again.handover_id.clone(), *envelope);
        (known.handover_id, known.logged, known.receipt) =
            (again.handover_id, again.logged, Some(again.place));
        case.refresh();
        Some(())
    }

    fn handed_over(&mut self, place: Place, said: &records::HandedOver) -> Option<()> {
        use records::handed_over::Answer;
        let digest = self.handovers.get(&said.handover_id)?;
        let case = self.cases.get_mut(self.envelopes.get(digest)?)?;
        let Standing::Arrived(deliveries) = &mut case.step_mut(digest)?.standing else {
            return None;
        };
        let delivery = deliveries.iter_mut().find(|delivery| delivery.handover_id == said.handover_id)?;
        let logged = match said.answer.as_ref()? {
            Answer::Receipt(receipt) => Some(logged(receipt)?),
            // It does not wait there again yet.
            Answer::Refusal(_) if delivery.lost => return Some(()),
            Answer::Refusal(_) => None,
        };
        delivery.handed_over = Some(HandedOver { logged, answer: place });
        delivery.lost = false;
        case.refresh();
        Some(())
    }

    /// It was judged before it was written. Another version of the rules may judge otherwise.
    fn leaf(&mut self, leaf: &records::Leaf) {
        if leaf.index != self.replica.log().size() {
            return;
        }
        match self.replica.take(leaf.record.clone()) {
            Ok(()) => self.leaf_hashes.push(leaf_hash(&leaf.record)),
            Err(unlawful) => {
                tracing::error!(index = leaf.index, %unlawful, "an entry of the directory is refused");
                self.broken = Some(unlawful);
            }
        }
        let begun = self.replica.directory().shards().last().copied();
        if let Some(begun) = begun.filter(|begun| begun.number > self.shard) {
            self.shard = begun.number;
            self.lose(begun.evidence_size);
        }
    }

    /// The gateway was restored: it has lost what its log held from an index on. Its own chain of this agency's
    /// records is followed from the first one again.
    fn lose(&mut self, from: u64) {
        for (referral, case) in &mut self.cases {
            case.lose(from);
            // What was taken before stands before what was not, as it was written.
            for step in case.steps.iter().filter(|step| step.standing == Standing::Queued) {
                self.queue.take(referral, &step.digest);
                self.queue.put(referral, step.digest, step.urgency);
            }
        }
        for told in self.told_early.values_mut() {
            told.retain(|told| told.logged.index < from);
        }
        self.followed = Position::default();
    }

    fn text(&mut self, text: &records::Text) -> Option<()> {
        self.replica.supply(text.signed.clone()?).ok().map(|_| ())
    }

    fn seen(&mut self, seen: &records::Seen) -> Option<()> {
        let note = SignedNote::parse(&seen.checkpoint).ok()?;
        match seen.log() {
            wire::LogName::Evidence => self.evidence = Some(note),
            wire::LogName::Directory => self.directory = Some(note),
            wire::LogName::Unspecified => return None,
        }
        if seen.proven_anew {
            self.alarms.proven(seen.log());
        }
        Some(())
    }

    fn erased(&mut self, place: Place, at: TimeMs, erased: &records::Erased) -> Option<()> {
        let (referral, erasure) = Erasure::parse(place, at, erased)?;
        self.arrived_apart.retain(|sha256| !erasure.files.contains(sha256));
        let all = self.erasures.entry(referral).or_default();
        match all.iter_mut().find(|there| there.is_same(&erasure)) {
            // What came after the first word of it is not part of it.
            Some(there) => there.done |= erasure.done,
            None => all.push(erasure),
        }
        Some(())
    }

    fn add(&mut self, header: &Header, step: Step) {
        self.envelopes.insert(step.digest, header.referral.clone());
        let case = self.cases.entry(header.referral.clone()).or_insert_with(|| Case::new(header));
        for told in self.told_early.remove(&header.referral).unwrap_or_default() {
            case.tell(told);
        }
        case.add(header, step);
    }
}

impl Fold for State {
    fn apply(&mut self, place: Place, record: &records::Record) {
        let taken = record.record.as_ref().and_then(|record_of| self.take(place, record.at_ms, record_of));
        if taken.is_none() {
            // It was checked before it was written, so only a later version's can be meant.
            tracing::error!(?place, "a record of the store was not understood");
        }
    }

    /// Of what is written again and again only the last word counts.
    fn keeps(&self, record: &records::Record) -> bool {
        match &record.record {
            Some(record::Record::Seen(seen)) => {
                let last = match seen.log() {
                    wire::LogName::Evidence => self.evidence.as_ref(),
                    wire::LogName::Directory => self.directory.as_ref(),
                    wire::LogName::Unspecified => None,
                };
                seen.proven_anew || last.is_some_and(|last| last.to_string() == seen.checkpoint)
            }
            Some(record::Record::Followed(followed)) => {
                !followed.told.is_empty() || followed.count >= self.followed.count
            }
            Some(_) | None => true,
        }
    }
}

fn step(
    header: &Header,
    digest: Digest,
    place: Place,
    standing: Standing,
    parts: &[records::PartName],
) -> Step {
    Step {
        digest,
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
        place,
        standing,
        parts: named(parts).collect(),
    }
}

/// The parts of an envelope that are uploaded, by their numbers.
fn uploaded(header: &Header) -> impl Iterator<Item = (u32, Listed)> {
    let parts = header.parts.iter().filter(|part| part.storage == Storage::Uploaded);
    parts.map(|part| (part.part_id, Listed { sha256: part.sha256, bytes: part.length_bytes }))
}

/// The files that a delivery brought.
pub(crate) fn arrived_apart(header: &Header, arrived: &records::Arrived) -> impl Iterator<Item = Listed> {
    let came = |part_id: u32| arrived.parts.iter().any(|part| part.part_id == part_id);
    uploaded(header).filter(move |(part_id, _)| came(*part_id)).map(|(_, listed)| listed)
}

fn named(parts: &[records::PartName]) -> impl Iterator<Item = (u32, PartClass)> {
    parts.iter().filter_map(|part| Some((part.part_id, PartClass::parse(part.class, "class").ok()?)))
}

fn logged(receipt: &wire::Receipt) -> Option<Logged> {
    let receipt = Receipt::parse(receipt.clone()).ok()?;
    let place = &receipt.record().place;
    Some(Logged { index: place.index, at: place.time })
}
