//! The directory: agencies, keys, agreements, mechanism, administrators and calendars, as the
//! directory log built them. Not here: reading signed changes (`change`), who may make one
//! (`authority`), and rebuilding it from the log (`replica`).

pub mod authority;
pub mod candidates;
pub mod capacity;
pub mod change;
pub mod explained;
pub mod invitation;
pub mod replica;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

pub use change::{Administrator, Calendar, Change, ChangeBody, NewShard, PublicKeyOf, Subject};
use invitation::{Invitation, Invited, Standing};

use crate::{
    agreement::{Agreement, Clause, Disclosure, Need},
    calendar::WorkingTime,
    digest::Digest,
    dsse::{PayloadType, Signed},
    header::{Header, Part},
    ids::{
        Addressing, AgencyId, Code, EnvelopeId, Jurisdiction, Locator, PartClass, Pseudonym, TimeMs,
        closed_list,
    },
    key::{KeyId, PublicKey},
    log::{
        checkpoint::Origin,
        shard::{ShardNo, Shards},
    },
    mechanism::Mechanism,
    refusal::Refusal,
    wire,
};

/// Most agencies of a network.
pub const AGENCIES_MAX: usize = 10_000;
/// Most keys of an agency that are kept; the oldest revoked one gives way.
pub const AGENCY_KEYS_MAX: usize = 64;
/// Most agreements that are neither superseded nor long ended.
pub const AGREEMENTS_MAX: usize = 100_000;
/// Most administrators.
pub const ADMINISTRATORS_MAX: usize = 64;
/// Most calendars.
pub const CALENDARS_MAX: usize = 1_000;
/// How long a key that two administrators publish is visible before it is in force: 24 hours.
pub const KEY_DELAY_MS: u64 = 24 * 60 * 60 * 1000;
/// How long a stop by one person lasts unless a second confirms it: 24 hours.
pub const SUSPENSION_LAPSE_MS: u64 = 24 * 60 * 60 * 1000;
/// How old a change may be when it arrives: 7 days. Its id is remembered for as long.
pub const CHANGE_AGE_MS_MAX: u64 = 7 * 24 * 60 * 60 * 1000;

/// Types of agencies that are asked by name only, never by need and never as a fallback, in whatever
/// spelling: police, immigration, embassies, companies.
const BY_NAME_ONLY: [&str; 9] = [
    "company",
    "consulate",
    "corporatebusiness",
    "embassy",
    "embassyorconsulate",
    "immigration",
    "immigrationservice",
    "lawenforcement",
    "police",
];

closed_list!(
    /// What a key is for.
    KeyPurpose {
        /// Ed25519: signs envelopes, receipts, agreements, changes.
        Signing = 1,
        /// X-Wing: parts are sealed to it.
        Sealing = 2,
        /// Ed25519: cosigns checkpoints.
        Witness = 3,
    }
);

/// All that is in force, and what is needed to judge the next change. A copy shares the agreements and the
/// agencies, so that one can be shown while the next change is made.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Directory {
    pub(crate) network: Option<Network>,
    pub(crate) administrators: BTreeMap<Pseudonym, PublicKey>,
    pub(crate) agencies: BTreeMap<AgencyId, Arc<Agency>>,
    /// Whose key an id is.
    pub(crate) owners: BTreeMap<KeyId, Owner>,
    pub(crate) agreements: BTreeMap<Digest, Arc<Memorandum>>,
    pub(crate) mechanism: Option<MechanismInForce>,
    pub(crate) calendars: BTreeMap<Code, Calendar>,
    pub(crate) changes: BTreeMap<EnvelopeId, ChangeMade>,
    /// The agreements that have a clause for a direction, sorted: by who sends, and to whom.
    pub(crate) directions: BTreeMap<AgencyId, BTreeMap<AgencyId, Vec<Digest>>>,
    /// Invitations by the id of their key.
    pub(crate) invitations: BTreeMap<KeyId, Invitation>,
    /// Suspensions by the moment at which they lapse.
    pub(crate) lapses: BTreeMap<TimeMs, BTreeSet<Subject>>,
    /// Shards of the logs, in their order.
    pub(crate) shards: Vec<ShardBegun>,
}

/// A shard of both logs that was begun.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ShardBegun {
    /// Its number.
    pub number: ShardNo,
    /// Leaves of the evidence log that it was taken up with.
    pub evidence_size: u64,
    /// Leaves of the directory log that it was taken up with.
    pub directory_size: u64,
    /// When.
    pub begun_at: TimeMs,
}

/// The network's names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Network {
    /// The network's id, as in certificates.
    pub network: AgencyId,
    /// Origin of the evidence log.
    pub evidence_origin: Origin,
    /// Origin of the directory log.
    pub directory_origin: Origin,
}

/// An agency as the directory knows it.
#[derive(Clone, PartialEq, Debug)]
pub struct Agency {
    /// A code of the vocabulary of agency types.
    pub agency_type: String,
    /// Its name in English.
    pub name_en: String,
    /// Its name in Arabic.
    pub name_ar: String,
    /// Where it may act.
    pub jurisdictions: Vec<Jurisdiction>,
    /// Its keys, oldest first.
    pub keys: Vec<AgencyKey>,
    /// Set while it is suspended.
    pub suspension: Option<Suspension>,
    /// Services, capacity and duty phone.
    pub profile: Option<wire::AgencyProfile>,
}

/// One key of an agency.
#[derive(Clone, PartialEq, Debug)]
pub struct AgencyKey {
    /// Its id.
    pub id: KeyId,
    /// The key and what it is for.
    pub key: PublicKeyOf,
    /// First moment in force.
    pub effective_at: TimeMs,
    /// First moment no longer in force.
    pub revoked_at: Option<TimeMs>,
}

impl AgencyKey {
    /// Whether it counts at a moment.
    #[must_use]
    pub fn in_force(&self, now: TimeMs) -> bool {
        self.effective_at <= now && self.revoked_at.is_none_or(|revoked| now < revoked)
    }
}

/// Whose key.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Owner {
    /// An agency's.
    Agency(AgencyId),
    /// An administrator's.
    Administrator(Pseudonym),
}

/// A stop.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Suspension {
    /// Who asked for it, in order: pseudonyms, or the agency that is a party.
    pub by: Vec<String>,
    /// Since when.
    pub since: TimeMs,
    /// When it lapses; never, once a second person has confirmed it.
    pub lapses_at: Option<TimeMs>,
}

impl Suspension {
    /// A stop by one lapses; one that two ask for together does not.
    fn new(by: Vec<String>, now: TimeMs) -> Self {
        let lapses_at = (by.len() < 2).then(|| now.plus_ms(SUSPENSION_LAPSE_MS));
        Self { by, since: now, lapses_at }
    }

    fn confirmed_by(mut self, by: Vec<String>) -> Self {
        let others: Vec<_> = by.into_iter().filter(|who| !self.by.contains(who)).collect();
        self.by.extend(others);
        Self { lapses_at: None, ..self }
    }

    fn holds(&self, now: TimeMs) -> bool {
        self.lapses_at.is_none_or(|lapses_at| now < lapses_at)
    }
}

/// Nothing lets an envelope go: of all agreements, the one that comes furthest, and what it lacks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NoRoute {
    /// Why not.
    pub refusal: Refusal,
    /// The agreement that says so; none when no agreement binds the two.
    pub agreement: Option<Digest>,
}

/// An agreement and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Memorandum {
    /// What it says.
    pub agreement: Agreement,
    /// Its signed text.
    pub signed: Signed,
    /// Who has signed, and where that stands in the journal.
    pub signed_by: BTreeMap<AgencyId, Locator>,
    /// Set while it is suspended.
    pub suspension: Option<Suspension>,
    /// Whether every party has signed a later revision, which replaces it from its own first day.
    pub superseded: bool,
}

impl Memorandum {
    /// Whether every party has signed.
    #[must_use]
    pub fn all_signed(&self) -> bool {
        self.agreement.parties.iter().all(|party| self.signed_by.contains_key(party))
    }
}

/// The mechanism in force.
#[derive(Clone, PartialEq, Debug)]
pub struct MechanismInForce {
    /// What it says.
    pub mechanism: Mechanism,
    /// Its signed text.
    pub signed: Signed,
    /// Where that stands in the journal.
    pub at: Locator,
}

/// A change that was made.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ChangeMade {
    /// Digest of the signed object.
    pub digest: Digest,
    /// Where it stands in the journal.
    pub at: Locator,
    /// When its author made it.
    pub created_at: TimeMs,
}

impl Directory {
    /// The network's names, once it exists.
    #[must_use]
    pub const fn network(&self) -> Option<&Network> {
        self.network.as_ref()
    }

    /// Every shard that was begun, in their order; none where the logs are still as they began.
    #[must_use]
    pub fn shards(&self) -> &[ShardBegun] {
        &self.shards
    }

    /// The shards of the evidence log.
    #[must_use]
    pub fn evidence_shards(&self) -> Shards {
        Shards::new(self.shards.iter().map(|begun| (begun.evidence_size, begun.number)))
    }

    /// The shards of the directory log.
    #[must_use]
    pub fn directory_shards(&self) -> Shards {
        Shards::new(self.shards.iter().map(|begun| (begun.directory_size, begun.number)))
    }

    /// An agency.
    #[must_use]
    pub fn agency(&self, agency: &AgencyId) -> Option<&Agency> {
        self.agencies.get(agency).map(Arc::as_ref)
    }

    /// Whether an agency is of a type that is never chosen by need, and never a fallback.
    #[must_use]
    pub fn is_by_name_only(&self, agency: &AgencyId) -> bool {
        is_by_name_only(self.agency(agency).map_or("", |agency| agency.agency_type.as_str()))
    }

    /// The working time of a calendar of this name; nothing when there is none, or none of use.
    #[must_use]
    pub fn working_time(&self, name: &Code) -> Option<WorkingTime<'_>> {
        self.calendars.get(name).and_then(|calendar| WorkingTime::of(&calendar.days))
    }

    /// Every agency, in the order of their ids.
    pub fn agencies(&self) -> impl Iterator<Item = (&AgencyId, &Agency)> {
        self.agencies.iter().map(|(agency, entry)| (agency, entry.as_ref()))
    }

    /// Whether an agency is suspended at a moment.
    #[must_use]
    pub fn is_suspended(&self, agency: &AgencyId, now: TimeMs) -> bool {
        let suspension = self.agencies.get(agency).and_then(|agency| agency.suspension.as_ref());
        suspension.is_some_and(|suspension| suspension.holds(now))
    }

    /// An agreement that binds an agency, whatever its standing. Others do not learn that it exists.
    #[must_use]
    pub fn agreement(&self, digest: &Digest, party: &AgencyId) -> Option<&Memorandum> {
        let memorandum = self.agreements.get(digest)?;
        memorandum.agreement.parties.contains(party).then_some(memorandum.as_ref())
    }

    /// The agreements that bind an agency, whatever their standing, in the order of their digests.
    pub fn agreements_of<'a, 'n>(
        &'a self,
        party: &'n AgencyId,
    ) -> impl Iterator<Item = (Digest, &'a Memorandum)> + use<'a, 'n> {
        let binds = move |(_, held): &(&Digest, &Memorandum)| held.agreement.parties.contains(party);
        let all = self.agreements.iter().map(|(digest, held)| (digest, held.as_ref()));
        all.filter(binds).map(|(digest, held)| (*digest, held))
    }

    /// The agreements that have a clause for a direction, whatever their standing.
    pub fn agreements_between(
        &self,
        from: &AgencyId,
        to: &AgencyId,
    ) -> impl Iterator<Item = Digest> + use<'_> {
        let between = self.directions.get(from).and_then(|to_others| to_others.get(to));
        between.into_iter().flatten().copied()
    }

    /// Every agreement that is kept, whatever its standing.
    pub fn memoranda(&self) -> impl Iterator<Item = (&Digest, &Memorandum)> {
        self.agreements.iter().map(|(digest, held)| (digest, held.as_ref()))
    }

    /// An agreement that both agencies are parties of and that can carry a new referral now.
    ///
    /// # Errors
    /// The first [`Refusal`] in precedence.
    pub fn agreement_in_force(
        &self,
        digest: &Digest,
        (from, to): (&AgencyId, &AgencyId),
        now: TimeMs,
    ) -> Result<&Agreement, Refusal> {
        let memorandum = self.agreement(digest, from).ok_or(Refusal::NoAgreement)?;
        if !memorandum.agreement.parties.contains(to) {
            return Err(Refusal::NoAgreement);
        }
        self.standing_of(digest, memorandum, now)
    }

    /// An agreement that can carry a new referral now, whoever its parties are.
    ///
    /// # Errors
    /// The first [`Refusal`] in precedence.
    pub fn standing(&self, digest: &Digest, now: TimeMs) -> Result<&Agreement, Refusal> {
        let memorandum = self.agreements.get(digest).ok_or(Refusal::NoAgreement)?;
        self.standing_of(digest, memorandum, now)
    }

    fn standing_of<'a>(
        &self,
        digest: &Digest,
        memorandum: &'a Memorandum,
        now: TimeMs,
    ) -> Result<&'a Agreement, Refusal> {
        if !memorandum.all_signed() {
            return Err(Refusal::AgreementNotSigned);
        }
        if now < memorandum.agreement.valid_from {
            return Err(Refusal::AgreementNotYet);
        }
        if now >= memorandum.agreement.valid_until {
            return Err(Refusal::AgreementEnded);
        }
        if memorandum.superseded && self.successor_began(digest, now) {
            return Err(Refusal::AgreementSuperseded);
        }
        if memorandum.suspension.as_ref().is_some_and(|suspension| suspension.holds(now)) {
            return Err(Refusal::AgreementSuspended);
        }
        Ok(&memorandum.agreement)
    }

    /// The agreement, and the clause of it, by which an envelope may go from its sender to its
    /// recipient now; what the header says of an agreement does not matter. The gateway asks the
    /// same of the one that a header names.
    ///
    /// # Errors
    /// [`NoRoute`]: of the agreement that comes furthest.
    pub fn route(&self, header: &Header, now: TimeMs) -> Result<(Digest, &Clause), NoRoute> {
        let between = (&header.from, &header.to);
        let mut furthest = NoRoute { refusal: Refusal::NoAgreement, agreement: None };
        for digest in self.agreements.keys() {
            let found = self.agreement_in_force(digest, between, now);
            match found.and_then(|agreement| agreement.permits(header, now)) {
                Ok(_) if self.is_suspended(&header.to, now) => {
                    return Err(NoRoute { refusal: Refusal::RecipientSuspended, agreement: Some(*digest) });
                }
                Ok(clause) => return Ok((*digest, clause)),
                Err(refusal) if nearness(refusal) > nearness(furthest.refusal) => {
                    furthest = NoRoute { refusal, agreement: Some(*digest) };
                }
                Err(_) => {}
            }
        }
        Err(furthest)
    }

    /// A revision that is signed before its first day replaces nothing before that day: else nobody
    /// could refer to anybody in between.
    fn successor_began(&self, digest: &Digest, now: TimeMs) -> bool {
        self.agreements.values().any(|held| {
            let agreement = &held.agreement;
            agreement.supersedes == Some(*digest) && held.all_signed() && agreement.valid_from <= now
        })
    }

    /// Whether an agreement, or a later revision of it, is in force between two agencies, and its clause
    /// still lets identity go from the first to the second. What was sent by no clause that is known goes
    /// by the agreement itself, and by no revision.
    #[must_use]
    pub fn still_discloses(
        &self,
        (digest, clause): (&Digest, Option<&Code>),
        between: (&AgencyId, &AgencyId),
        now: TimeMs,
    ) -> bool {
        let in_force = |digest: &Digest| self.agreement_in_force(digest, between, now).ok();
        let Some(clause) = clause else {
            return in_force(digest).is_some();
        };
        let discloses = |agreement: &Agreement| {
            let clause = agreement.clause(clause).filter(|clause| (&clause.from, &clause.to) == between);
            clause.is_some_and(|clause| clause.disclosure != Disclosure::Never)
        };
        // One that has no clause for the direction discloses nothing in it.
        let later = self.agreements_between(between.0, between.1);
        let mut later = later.filter(|later| later == digest || self.is_later_revision(later, digest));
        later.any(|digest| in_force(&digest).is_some_and(discloses))
    }

    /// Whether an agreement that every party has signed is a later revision of another.
    #[must_use]
    pub fn is_later_revision(&self, later: &Digest, of: &Digest) -> bool {
        let (Some(later), Some(of)) = (self.agreements.get(later), self.agreements.get(of)) else {
            return false;
        };
        let newer = later.agreement.revision > of.agreement.revision;
        later.agreement.id == of.agreement.id && newer && later.all_signed()
    }

    /// The key for verifying a signature, with no word on whether it is in force.
    #[must_use]
    pub fn verification_key(&self, id: &KeyId) -> Option<PublicKey> {
        match self.owners.get(id)? {
            Owner::Administrator(pseudonym) => self.administrators.get(pseudonym).copied(),
            Owner::Agency(agency) => self.agency_key(agency, id)?.key.signing(),
        }
    }

    pub(crate) fn agency_key(&self, agency: &AgencyId, id: &KeyId) -> Option<&AgencyKey> {
        self.agencies.get(agency)?.keys.iter().find(|key| key.id == *id)
    }

    /// Whether a key of this purpose is the agency's and in force.
    #[must_use]
    pub fn key_in_force(&self, agency: &AgencyId, id: &KeyId, purpose: KeyPurpose, now: TimeMs) -> bool {
        self.agency_key(agency, id).is_some_and(|key| key.key.purpose() == purpose && key.in_force(now))
    }

    /// The agency for which a signing key is in force.
    #[must_use]
    pub fn signing_agency(&self, id: &KeyId, now: TimeMs) -> Option<&AgencyId> {
        match self.owners.get(id)? {
            Owner::Administrator(_) => None,
            Owner::Agency(agency) => {
                self.key_in_force(agency, id, KeyPurpose::Signing, now).then_some(agency)
            }
        }
    }

    /// The administrator whose key it is.
    #[must_use]
    pub fn signing_administrator(&self, id: &KeyId) -> Option<&Pseudonym> {
        match self.owners.get(id)? {
            Owner::Administrator(pseudonym) => Some(pseudonym),
            Owner::Agency(_) => None,
        }
    }

    /// The invitations that are open, or ended not long ago, in the order of their keys' ids.
    pub fn invitations(&self) -> impl Iterator<Item = &Invitation> {
        self.invitations.values()
    }

    /// An agency's invitation by its key. Others' do not exist.
    #[must_use]
    pub fn invitation(&self, agency: &AgencyId, key: &PublicKey) -> Option<&Invitation> {
        let invitation = self.invitations.get(&key.id())?;
        let is_meant = invitation.invite.key == *key && invitation.invite.agency == *agency;
        is_meant.then_some(invitation)
    }

    /// The mechanism in force.
    #[must_use]
    pub const fn mechanism(&self) -> Option<&MechanismInForce> {
        self.mechanism.as_ref()
    }

    /// The agencies that a stop of this subject touches.
    pub(crate) fn concerned_by(&self, subject: &Subject) -> Vec<AgencyId> {
        match subject {
            Subject::Agency(agency) => vec![agency.clone()],
            Subject::Agreement(digest) => {
                self.agreements.get(digest).map_or_else(Vec::new, |held| held.agreement.parties.clone())
            }
        }
    }

    /// The agency that an invitation is for.
    pub(crate) fn agency_invited(&self, id: &KeyId) -> Option<AgencyId> {
        self.invitations.get(id).map(|invitation| invitation.invite.agency.clone())
    }

    /// The first stop that has lapsed by a moment.
    #[must_use]
    pub(crate) fn lapsed(&self, now: TimeMs) -> Option<&Subject> {
        let (_, subjects) = self.lapses.range(..=now).next()?;
        subjects.first()
    }

    /// When the next stop lapses.
    #[must_use]
    pub(crate) fn next_lapse(&self) -> Option<TimeMs> {
        self.lapses.keys().next().copied()
    }

    /// The agreement in force, and the clause of it, by which a need may be referred now; of several the
    /// first by their digests.
    ///
    /// # Errors
    /// The [`Refusal`] of the agreement that comes furthest.
    pub fn agreed(&self, need: Need<'_>, now: TimeMs) -> Result<(Digest, &Clause), Refusal> {
        let mut furthest = Refusal::NoAgreement;
        for (digest, verdict) in self.verdicts(need, now) {
            match verdict {
                Ok(clause) => return Ok((digest, clause)),
                Err(refusal) => furthest = std::cmp::max_by_key(furthest, refusal, |one| nearness(*one)),
            }
        }
        Err(furthest)
    }

    /// What each agreement that has a clause for the direction says of a need, in the order of their
    /// digests.
    pub fn verdicts<'a, 'n>(
        &'a self,
        need: Need<'n>,
        now: TimeMs,
    ) -> impl Iterator<Item = (Digest, Result<&'a Clause, Refusal>)> + use<'a, 'n> {
        self.agreements_between(need.from, need.to).map(move |digest| {
            let agreement = self.agreement_in_force(&digest, (need.from, need.to), now);
            (digest, agreement.and_then(|agreement| agreement.permits_need(need, now)))
        })
    }

    /// Whether an agreement in force lets another agency be asked, as a fallback, for what an envelope
    /// says, with what is sealed for it in advance.
    #[must_use]
    pub fn may_fall_back(&self, header: &Header, fallback: &AgencyId, now: TimeMs) -> bool {
        // A fallback is not asked by name, whatever the first recipient was.
        let need = Need { to: fallback, addressing: Addressing::ByNeed, ..header.into() };
        let is_identity =
            |part: &Part| part.class == PartClass::Identity && part.recipient.as_ref() == Some(fallback);
        let allows = |clause: &Clause| {
            clause.permits_sizes(&header.parts, Some(fallback)).is_ok()
                && !clause.keeps_back(&header.parts, Some(fallback))
                && (clause.disclosure != Disclosure::Never || !header.parts.iter().any(is_identity))
        };
        !self.is_by_name_only(fallback) && self.agreed(need, now).is_ok_and(|(_, clause)| allows(clause))
    }

    // What follows applies what was logged. It cannot fail: it was judged before.

    /// Applies a signed change.
    pub(crate) fn apply_change(&mut self, signed: &Signed, change: &Change, place: Applied) {
        let Change { id, created_at, body } = change;
        let oldest = place.time.minus_ms(CHANGE_AGE_MS_MAX);
        self.changes.retain(|_, made| made.created_at >= oldest);
        self.invitations.retain(|_, invitation| invitation.is_kept(place.time));
        self.changes
            .insert(*id, ChangeMade { digest: signed.digest(), at: place.at, created_at: *created_at });
        match body {
            ChangeBody::Genesis { network, administrators } => {
                self.network = Some(network.clone());
                for administrator in administrators {
                    self.add_administrator(administrator);
                }
            }
            ChangeBody::AdmitAgency { agency, entry, signing_key, invited } => {
                self.use_invitation(invited.as_deref());
                self.agencies.insert(agency.clone(), Arc::new(entry.clone()));
                self.add_key(agency, PublicKeyOf::Signing(*signing_key), place.effective_at);
            }
            ChangeBody::PublishKey { agency, key, invited } => {
                self.use_invitation(invited.as_deref());
                self.add_key(agency, key.clone(), place.effective_at);
            }
            ChangeBody::RevokeKey { agency, key_id } => self.revoke_key(agency, key_id, place.time),
            ChangeBody::Profile { agency, profile } => {
                if let Some(entry) = self.agency_mut(agency) {
                    entry.profile = Some(profile.clone());
                }
            }
            ChangeBody::Suspend { subject } => {
                let by = self.stopped_by(signed, subject, place.time);
                self.suspend(subject, by, place.time);
            }
            ChangeBody::Resume { subject } => self.release(subject),
            ChangeBody::AddAdministrator(administrator) => self.add_administrator(administrator),
            ChangeBody::RemoveAdministrator(pseudonym) => self.remove_administrator(pseudonym),
            ChangeBody::Calendar(calendar) => {
                self.calendars.insert(calendar.name.clone(), calendar.clone());
            }
            ChangeBody::BeginShard(begun) => self.shards.push(ShardBegun {
                number: begun.number,
                evidence_size: begun.evidence.size,
                directory_size: begun.directory.size,
                begun_at: place.time,
            }),
            // What it says of the gateway's clock, the state reads from its evidence.
            ChangeBody::RestoreOverride { .. } | ChangeBody::ConfirmClock { .. } => {}
            ChangeBody::Invite(invite) => self.invite(invite),
            ChangeBody::RevokeInvitation(id) => self.end_invitation(id, Standing::Revoked),
        }
    }

    /// Applies one party's signature of an agreement.
    pub(crate) fn apply_agreement(
        &mut self,
        signed: &Signed,
        agreement: &Agreement,
        by: &[AgencyId],
        at: Locator,
    ) {
        if !self.agreements.contains_key(&signed.digest()) {
            self.hold_agreement(Memorandum {
                agreement: agreement.clone(),
                signed: signed.clone(),
                signed_by: BTreeMap::new(),
                suspension: None,
                superseded: false,
            });
        }
        let Some(memorandum) = self.agreements.get_mut(&signed.digest()).map(Arc::make_mut) else {
            return;
        };
        for party in by {
            memorandum.signed_by.entry(party.clone()).or_insert(at);
        }
        let superseded = if memorandum.all_signed() { agreement.supersedes } else { None };
        if let Some(old) = superseded.and_then(|old| self.agreements.get_mut(&old)) {
            Arc::make_mut(old).superseded = true;
        }
    }

    /// Takes an agreement up, with its directions.
    pub(crate) fn hold_agreement(&mut self, memorandum: Memorandum) {
        let digest = memorandum.signed.digest();
        for clause in &memorandum.agreement.clauses {
            let to_others = self.directions.entry(clause.from.clone()).or_default();
            let between = to_others.entry(clause.to.clone()).or_default();
            if let Err(place) = between.binary_search(&digest) {
                between.insert(place, digest);
            }
        }
        self.agreements.insert(digest, Arc::new(memorandum));
    }

    /// Applies a mechanism.
    pub(crate) fn apply_mechanism(&mut self, signed: &Signed, mechanism: &Mechanism, at: Locator) {
        self.mechanism = Some(MechanismInForce { mechanism: mechanism.clone(), signed: signed.clone(), at });
    }

    /// Ends a stop.
    pub(crate) fn release(&mut self, subject: &Subject) {
        if let Some(suspension) = self.suspension_mut(subject).and_then(Option::take) {
            self.forget_lapse(subject, suspension.lapses_at);
        }
    }

    fn suspend(&mut self, subject: &Subject, by: Vec<String>, now: TimeMs) {
        let Some(slot) = self.suspension_mut(subject) else {
            return;
        };
        let before = slot.take();
        let lapse = before.as_ref().and_then(|suspension| suspension.lapses_at);
        let suspension = match before.filter(|suspension| suspension.holds(now)) {
            Some(running) => running.confirmed_by(by),
            None => Suspension::new(by, now),
        };
        let lapses_at = suspension.lapses_at;
        *slot = Some(suspension);
        // Also that of a stop which has lapsed and was not cleared away yet: it would end this one.
        self.forget_lapse(subject, lapse);
        if let Some(lapses_at) = lapses_at {
            self.lapses.entry(lapses_at).or_default().insert(subject.clone());
        }
    }

    fn forget_lapse(&mut self, subject: &Subject, lapses_at: Option<TimeMs>) {
        let Some(lapses_at) = lapses_at else {
            return;
        };
        if let Some(subjects) = self.lapses.get_mut(&lapses_at) {
            subjects.remove(subject);
            if subjects.is_empty() {
                self.lapses.remove(&lapses_at);
            }
        }
    }

    fn suspension_mut(&mut self, subject: &Subject) -> Option<&mut Option<Suspension>> {
        match subject {
            Subject::Agency(agency) => Some(&mut self.agency_mut(agency)?.suspension),
            Subject::Agreement(digest) => {
                Some(&mut Arc::make_mut(self.agreements.get_mut(digest)?).suspension)
            }
        }
    }

    fn suspension(&self, subject: &Subject) -> Option<&Suspension> {
        match subject {
            Subject::Agency(agency) => self.agencies.get(agency)?.suspension.as_ref(),
            Subject::Agreement(digest) => self.agreements.get(digest)?.suspension.as_ref(),
        }
    }

    /// The newest invitation of an agency takes the place of one that is still open: who invites again
    /// has lost the first, or fears for it.
    fn invite(&mut self, invite: &invitation::Invite) {
        for other in self.invitations.values_mut() {
            if other.invite.agency == invite.agency && other.standing == Standing::Open {
                other.standing = Standing::Revoked;
            }
        }
        let invitation = Invitation { invite: invite.clone(), standing: Standing::Open };
        self.invitations.insert(invite.id(), invitation);
    }

    fn use_invitation(&mut self, invited: Option<&Invited>) {
        if let Some(invited) = invited {
            self.end_invitation(&invited.invitation.id(), Standing::Used);
        }
    }

    fn end_invitation(&mut self, id: &KeyId, standing: Standing) {
        if let Some(invitation) = self.invitations.get_mut(id) {
            invitation.standing = standing;
        }
    }

    fn add_administrator(&mut self, administrator: &Administrator) {
        let Administrator { pseudonym, key } = administrator;
        self.owners.insert(key.id(), Owner::Administrator(pseudonym.clone()));
        self.administrators.insert(pseudonym.clone(), *key);
    }

    fn remove_administrator(&mut self, pseudonym: &Pseudonym) {
        if let Some(key) = self.administrators.remove(pseudonym) {
            self.owners.remove(&key.id());
        }
    }

    fn add_key(&mut self, agency: &AgencyId, key: PublicKeyOf, effective_at: TimeMs) {
        let Some(entry) = self.agencies.get_mut(agency).map(Arc::make_mut) else {
            return;
        };
        let oldest_revoked = entry.keys.iter().position(|key| key.revoked_at.is_some());
        if let Some(place) = oldest_revoked.filter(|_| entry.keys.len() >= AGENCY_KEYS_MAX) {
            let gone = entry.keys.remove(place);
            self.owners.remove(&gone.id);
        }
        let id = key.id();
        entry.keys.push(AgencyKey { id, key, effective_at, revoked_at: None });
        self.owners.insert(id, Owner::Agency(agency.clone()));
    }

    fn agency_mut(&mut self, agency: &AgencyId) -> Option<&mut Agency> {
        self.agencies.get_mut(agency).map(Arc::make_mut)
    }

    fn revoke_key(&mut self, agency: &AgencyId, id: &KeyId, now: TimeMs) {
        let keys = self.agency_mut(agency).map(|agency| agency.keys.iter_mut());
        if let Some(key) = keys.into_iter().flatten().find(|key| key.id == *id) {
            key.revoked_at.get_or_insert(now);
        }
    }
}

/// Whether agencies of a type are asked by name only. Whoever admits one may write the type in words.
pub(crate) fn is_by_name_only(agency_type: &str) -> bool {
    let letters =
        agency_type.bytes().filter(u8::is_ascii_alphabetic).map(|letter| letter.to_ascii_lowercase());
    BY_NAME_ONLY.iter().any(|kind| letters.clone().eq(kind.bytes()))
}

/// How near an agreement comes to allowing something. Of one that was replaced, what replaced it tells more.
fn nearness(refusal: Refusal) -> (bool, Refusal) {
    let tells_little = matches!(refusal, Refusal::NoAgreement | Refusal::AgreementSuperseded);
    (!tells_little, refusal)
}

/// Where and when a change was logged.
#[derive(Clone, Debug)]
pub(crate) struct Applied {
    /// When it was logged.
    pub(crate) time: TimeMs,
    /// When it takes effect.
    pub(crate) effective_at: TimeMs,
    /// Where it stands in the journal.
    pub(crate) at: Locator,
}

/// A signed object that changes the directory, read.
#[derive(Clone, PartialEq, Debug)]
#[allow(clippy::large_enum_variant, reason = "there is one at a time, behind the box of its command")]
pub enum DirectoryObject {
    /// A change of one entry.
    Change(Change),
    /// An agreement, signed by one or more of its parties.
    Agreement(Agreement),
    /// A mechanism.
    Mechanism(Mechanism),
}

impl DirectoryObject {
    /// Reads the payload of a signed object, or nothing when its type is not the directory's.
    ///
    /// # Errors
    /// [`Malformed`](crate::Malformed), naming the field.
    pub fn parse(payload_type: PayloadType, payload: &[u8]) -> Result<Option<Self>, crate::Malformed> {
        Ok(Some(match payload_type {
            PayloadType::DirectoryEntry => Self::Change(Change::parse(payload)?),
            PayloadType::Agreement => Self::Agreement(Agreement::parse(payload)?),
            PayloadType::Mechanism => Self::Mechanism(Mechanism::parse(payload)?),
            PayloadType::Envelope | PayloadType::Receipt | PayloadType::CertificateOrder => return Ok(None),
        }))
    }

    /// The key that this object introduces and that must have signed it, to show that it is held.
    #[must_use]
    pub fn introduced_keys(&self) -> Vec<PublicKey> {
        match self {
            Self::Change(change) => change.body.introduced_keys(),
            Self::Agreement(_) | Self::Mechanism(_) => Vec::new(),
        }
    }
}
