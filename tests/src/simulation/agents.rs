//! The reference model: what each agent has sent, what it was answered, and what it has a right to
//! expect. It knows nothing of the writer's own state.

use std::collections::{BTreeMap, BTreeSet};

use gateway::writer::{Request, answer::Answer};
use proto::{
    clocks::{ClockKind, default_seconds},
    digest::Digest,
    dsse::Signed,
    header::Header,
    ids::{AgencyId, Code, ReferralKey, Release, TimeMs},
    lifecycle::Act,
    receipt::Receipt,
    refusal::Refusal,
};

use crate::{
    network::{ActOf, Network},
    random::Random,
};

/// An envelope that an agent has made.
pub(super) struct Sent {
    pub(super) request: Request,
    pub(super) header: Header,
    pub(super) digest: Digest,
    pub(super) answer: Heard,
    referral: usize,
    /// Sent again on purpose with other content under an id that was accepted.
    pub(super) conflicts: bool,
    pub(super) verified: bool,
}

/// What the agent has heard of it.
#[derive(Clone, PartialEq)]
pub(super) enum Heard {
    Nothing,
    Taken(Vec<Receipt>),
    Refused(Refusal),
}

/// A referral as its two agencies know it.
struct Known {
    key: ReferralKey,
    sides: [AgencyId; 2],
    /// Sequence and digest of each side's last accepted envelope.
    chains: [Option<(u64, Digest)>; 2],
    /// An envelope of it that has no answer yet: the next is made after it.
    unanswered: bool,
    opened: bool,
    /// The attempt in which the second side was asked.
    attempt: u32,
}

/// All agents.
pub(super) struct Agents {
    pub(super) network: Network,
    pub(super) sent: Vec<Sent>,
    referrals: Vec<Known>,
    by_digest: BTreeMap<Digest, usize>,
    /// Handovers that were sent, heard of or not.
    pub(super) signed_for: BTreeSet<HandedOver>,
    /// Handovers that were acknowledged.
    pub(super) handed_over: BTreeSet<HandedOver>,
}

/// To whom, which envelope, which parts of it.
pub(super) type HandedOver = (AgencyId, Digest, Release);

const ACTS: [(usize, Act); 11] = [
    (1, Act::See),
    (1, Act::Accept),
    (1, Act::Accept),
    (1, Act::Decline),
    (1, Act::Start),
    (1, Act::DeliverService),
    (1, Act::Complete),
    (0, Act::Recall),
    (0, Act::Note),
    (0, Act::WithdrawConsent),
    (0, Act::Reseal),
];

impl Agents {
    pub(super) fn new(network: Network) -> Self {
        Self {
            network,
            sent: Vec::new(),
            referrals: Vec::new(),
            by_digest: BTreeMap::new(),
            signed_for: BTreeSet::new(),
            handed_over: BTreeSet::new(),
        }
    }

    /// An agent opens a referral.
    pub(super) fn open(&mut self, now: TimeMs, random: &mut Random) -> usize {
        let from = usize::try_from(random.below(5)).unwrap();
        let to = from + 1 + usize::try_from(random.below(4)).unwrap();
        let sides = [self.network.at(from).id.clone(), self.network.at(to).id.clone()];
        let (mut header, mut parts) = self.network.opening(&sides[0], &sides[1], now, random);
        if random.once_in(2) {
            let others = self.network.agencies.iter().map(|agency| agency.id.clone());
            let mut others: Vec<_> = others.filter(|other| !sides.contains(other)).collect();
            others.truncate(usize::try_from(1 + random.below(3)).unwrap());
            self.network.name_fallbacks((&mut header, &mut parts), &others, random);
        }
        let key = header.referral.clone();
        let known = Known { key, sides, chains: [None, None], unanswered: true, opened: false, attempt: 1 };
        self.referrals.push(known);
        let request = self.network.push(&header, parts);
        self.keep(request, header, self.referrals.len() - 1, false)
    }

    /// An agent acts in a referral, if one is waiting for nothing.
    pub(super) fn act(&mut self, now: TimeMs, random: &mut Random) -> Option<usize> {
        let ready: Vec<_> = (0..self.referrals.len())
            .filter(|place| self.referrals[*place].opened && !self.referrals[*place].unanswered)
            .collect();
        if ready.is_empty() {
            return None;
        }
        let place = *random.pick(&ready);
        let (side, act) = *random.pick(&ACTS);
        let referral = &mut self.referrals[place];
        referral.unanswered = true;
        let of = ActOf {
            referral: &referral.key,
            attempt: referral.attempt,
            from: &referral.sides[side],
            to: &referral.sides[1 - side],
            previous: referral.chains[side],
        };
        let (header, parts) = self.network.act(&of, act, now, random);
        let request = self.network.push(&header, parts);
        Some(self.keep(request, header, place, false))
    }

    /// An agent with a bug sends other content under an id that was accepted.
    pub(super) fn conflict(&mut self, random: &mut Random) -> Option<usize> {
        let taken: Vec<_> = (0..self.sent.len())
            .filter(|place| matches!(self.sent[*place].answer, Heard::Taken(_)))
            .collect();
        if taken.is_empty() {
            return None;
        }
        let earlier = &self.sent[*random.pick(&taken)];
        let mut header = earlier.header.clone();
        header.category = Code::parse("domestic_violence", "category").unwrap();
        let (referral, parts) = (earlier.referral, earlier.request.parts.clone());
        let request = self.network.push(&header, parts);
        Some(self.keep(request, header, referral, true))
    }

    /// An envelope that has no answer, or one that has, to be sent again.
    pub(super) fn again(&self, random: &mut Random) -> Option<usize> {
        let unanswered: Vec<_> =
            (0..self.sent.len()).filter(|place| self.sent[*place].answer == Heard::Nothing).collect();
        if !unanswered.is_empty() && !random.once_in(4) {
            return Some(*random.pick(&unanswered));
        }
        (!self.sent.is_empty())
            .then(|| usize::try_from(random.below(self.sent.len().try_into().unwrap())).unwrap())
    }

    fn keep(&mut self, request: Request, header: Header, referral: usize, conflicts: bool) -> usize {
        let digest = request.command.signed().map(Signed::digest).unwrap();
        let place = self.sent.len();
        self.by_digest.insert(digest, place);
        let answer = Heard::Nothing;
        self.sent.push(Sent { request, header, digest, answer, referral, conflicts, verified: false });
        place
    }

    /// Whether what was sent may be gone, unfetched: its sender took it back, or the attempt ended
    /// while identity was on its way.
    pub(super) fn is_taken_back(&self, sent: &Sent) -> bool {
        let opener = &self.referrals[sent.referral].sides[0];
        let takes_back = |other: &Sent| {
            // What is sealed anew takes the place of what could not be opened.
            let ends =
                matches!(other.header.act, Act::Recall | Act::WithdrawConsent | Act::Complete | Act::Reseal);
            other.referral == sent.referral && ends
        };
        sent.header.to != *opener && self.sent.iter().any(takes_back)
    }

    /// A fallback was asked, and knows of the referral from here on.
    pub(super) fn asked(&mut self, envelope: &Digest, fallback: &AgencyId, attempt: u32) {
        let referral = self.by_digest.get(envelope).map(|place| self.sent[*place].referral);
        let Some(referral) = referral.map(|place| &mut self.referrals[place]) else {
            return;
        };
        if attempt > referral.attempt {
            referral.attempt = attempt;
            referral.sides[1] = fallback.clone();
            referral.chains[1] = None;
        }
    }

    /// Whether the gateway may have gone on to a fallback by a moment: nobody answered in time, or the
    /// first could not help. What the first did not fetch is taken back then.
    pub(super) fn may_have_gone_on(&self, sent: &Sent, now: TimeMs) -> bool {
        let of_same = self.sent.iter().filter(|other| other.referral == sent.referral);
        let answered = |urgency| TimeMs(default_seconds(urgency, ClockKind::Answered) * 1000);
        let mut of_same = of_same;
        of_same.any(|other| {
            let header = &other.header;
            let silent = header.opens() && header.created_at.plus_ms(answered(header.urgency).0) <= now;
            (silent && !header.fallbacks.is_empty()) || header.act == Act::Decline
        })
    }

    /// Whether an agency may have who she is: it was named, and said yes before.
    pub(super) fn may_know_her(&self, sent: &Sent, agency: &AgencyId) -> bool {
        let header = &sent.header;
        let named = header.to == *agency || header.fallbacks.contains(agency);
        let mut of_same = self.sent.iter().filter(|other| other.referral == sent.referral);
        named && of_same.any(|other| other.header.act == Act::Accept && other.header.from == *agency)
    }

    pub(super) fn find(&self, digest: &Digest) -> Option<&Sent> {
        self.by_digest.get(digest).map(|place| &self.sent[*place])
    }

    /// The agent hears an answer. What it is told must agree with all that it was told before.
    pub(super) fn hear(&mut self, place: usize, answer: Answer) -> Result<(), String> {
        let sent = &mut self.sent[place];
        let heard = match answer {
            Answer::Busy(_) => return Ok(()),
            Answer::Nothing => return Err("an envelope got no answer".to_owned()),
            Answer::Taken { receipts, .. } => Heard::Taken(receipts),
            Answer::Refused { refusal, field, .. } => {
                if sent.conflicts && (refusal, field) != (Refusal::EnvelopeIdTaken, "category") {
                    return Err(format!("other content under a taken id was answered {refusal:?} ({field})"));
                }
                Heard::Refused(refusal)
            }
        };
        match (&sent.answer, &heard) {
            (Heard::Taken(before), Heard::Taken(now)) if before != now => {
                return Err(format!("a repeat got another receipt: {before:?}, now {now:?}"));
            }
            (Heard::Taken(_), Heard::Refused(refusal)) => {
                return Err(format!("what was accepted is refused: {refusal:?}"));
            }
            (_, Heard::Taken(_)) if sent.conflicts => {
                return Err("other content was accepted under a taken id".to_owned());
            }
            _ => {}
        }
        let first = sent.answer == Heard::Nothing;
        let opens = sent.header.opens();
        if let (true, true, Heard::Refused(refusal)) = (opens, !sent.conflicts, &heard)
            && !matches!(
                refusal,
                Refusal::Expired
                    | Refusal::SenderSuspended
                    | Refusal::RecipientSuspended
                    | Refusal::SealingKeyNotInForce
            )
        {
            return Err(format!("a referral that the agreement allows was refused: {refusal:?}"));
        }
        // A refusal is of one attempt; acceptance may follow it, never the reverse.
        sent.answer = heard.clone();
        let (referral, header, digest, conflicts) =
            (sent.referral, sent.header.clone(), sent.digest, sent.conflicts);
        if !conflicts {
            self.advance(referral, &header, digest, &heard, first);
        }
        Ok(())
    }

    fn advance(&mut self, referral: usize, header: &Header, digest: Digest, heard: &Heard, first: bool) {
        let referral = &mut self.referrals[referral];
        if first {
            referral.unanswered = false;
        }
        if matches!(heard, Heard::Taken(_)) {
            let side = usize::from(header.from != referral.sides[0]);
            referral.opened |= header.opens();
            if header.from != referral.sides[side] {
                // Of an agency that was asked before.
                return;
            }
            let chain = referral.chains[side].get_or_insert((header.sequence, digest));
            if header.sequence >= chain.0 {
                *chain = (header.sequence, digest);
            }
        }
    }
}
