//! Who may change what in the directory: owners, one administrator for a stop, two for a start and
//! for everything that cannot be undone. Not here: the forms of changes (`change`).

use super::{
    ADMINISTRATORS_MAX, AGENCIES_MAX, AGENCY_KEYS_MAX, AGREEMENTS_MAX, Administrator, Agency, CALENDARS_MAX,
    CHANGE_AGE_MS_MAX, Change, ChangeBody, Directory, KEY_DELAY_MS, KeyPurpose, Memorandum, NewShard, Owner,
    PublicKeyOf, Subject,
    invitation::{INVITATION_LIFETIME_MS_MAX, INVITATIONS_MAX, Invitation, Invite, Invited, InvitedTo},
};
use crate::{
    agreement::{Agreement, Clause},
    digest::Digest,
    dsse::Signed,
    ids::{AgencyId, Locator, Pseudonym, TimeMs},
    key::{KeyId, PublicKey},
    mechanism::Mechanism,
    refusal::Refusal,
};

/// How far ahead of ours another's clock may be: 5 minutes.
pub const CLOCK_SKEW_MS_MAX: u64 = 5 * 60 * 1000;

/// What the directory says of a signed object.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is allowed.
    Allowed {
        /// When it takes effect.
        effective_at: TimeMs,
        /// The agencies that signed it, sorted.
        by: Vec<AgencyId>,
    },
    /// It was done before; this is where.
    Done(Locator),
}

/// The signers of an object that count now.
struct Signers<'a> {
    administrators: Vec<&'a Pseudonym>,
    agencies: Vec<&'a AgencyId>,
    keys: &'a [KeyId],
}

impl Signers<'_> {
    fn includes(&self, key: PublicKey) -> bool {
        self.keys.contains(&key.id())
    }

    /// Whose key is in force is in the directory.
    fn owner(&self, agency: &AgencyId) -> Result<(), Refusal> {
        if self.agencies.contains(&agency) { Ok(()) } else { Err(Refusal::NotEnoughSigners) }
    }

    fn two_administrators(&self) -> Result<(), Refusal> {
        if self.administrators.len() >= 2 { Ok(()) } else { Err(Refusal::NotEnoughSigners) }
    }
}

impl Directory {
    fn signers<'a>(&'a self, signed: &'a Signed, now: TimeMs) -> Signers<'a> {
        let keys = signed.signers();
        let mut agencies: Vec<_> = keys.iter().filter_map(|key| self.signing_agency(key, now)).collect();
        agencies.sort();
        agencies.dedup();
        let administrators = keys.iter().filter_map(|key| self.signing_administrator(key)).collect();
        Signers { administrators, agencies, keys }
    }

    /// Who of an object's signers can stop a subject: administrators, and of an agreement its parties.
    /// Whoever else signed does not make a second person.
    pub(super) fn stopped_by(&self, signed: &Signed, subject: &Subject, now: TimeMs) -> Vec<String> {
        self.who_stops(&self.signers(signed, now), subject)
    }

    fn who_stops(&self, signers: &Signers<'_>, subject: &Subject) -> Vec<String> {
        let is_party = |agency: &&&AgencyId| match subject {
            Subject::Agency(_) => false,
            Subject::Agreement(digest) => self.agreement(digest, agency).is_some(),
        };
        let administrators = signers.administrators.iter().map(ToString::to_string);
        let parties = signers.agencies.iter().filter(is_party).map(ToString::to_string);
        administrators.chain(parties).collect()
    }

    /// While an agency is suspended its signature opens nothing, whoever carries it in.
    fn none_suspended(&self, signers: &Signers<'_>, now: TimeMs) -> Result<(), Refusal> {
        let suspended = signers.agencies.iter().any(|agency| self.is_suspended(agency, now));
        if suspended { Err(Refusal::SenderSuspended) } else { Ok(()) }
    }

    /// Judges a change. `latest` is the latest moment at which its author may have made it.
    ///
    /// # Errors
    /// The first [`Refusal`] in precedence.
    pub fn judge_change(
        &self,
        signed: &Signed,
        change: &Change,
        (now, latest): (TimeMs, TimeMs),
    ) -> Result<Verdict, Refusal> {
        if let Some(made) = self.changes.get(&change.id) {
            let same = made.digest == signed.digest();
            return if same { Ok(Verdict::Done(made.at)) } else { Err(Refusal::ChangeIdTaken) };
        }
        let begins = matches!(change.body, ChangeBody::Genesis { .. });
        if self.network.is_none() && !begins {
            return Err(Refusal::NoNetwork);
        }
        let signers = self.signers(signed, now);
        self.none_suspended(&signers, now)?;
        if change.created_at > latest {
            return Err(Refusal::CreatedInFuture);
        }
        if change.created_at < now.minus_ms(CHANGE_AGE_MS_MAX) {
            return Err(Refusal::Expired);
        }
        let effective_at = self.judge_body(&change.body, &signers, now)?;
        Ok(Verdict::Allowed { effective_at, by: signers.agencies.into_iter().cloned().collect() })
    }

    fn judge_body(&self, body: &ChangeBody, signers: &Signers<'_>, now: TimeMs) -> Result<TimeMs, Refusal> {
        let judged = match body {
            ChangeBody::Genesis { administrators, .. } => self.judge_genesis(administrators, signers),
            ChangeBody::AdmitAgency { agency, entry, signing_key, invited } => {
                match invited {
                    None => signers.two_administrators()?,
                    Some(invited) => self.judge_joining(agency, entry, invited, signers, now)?,
                }
                self.judge_admission(agency, *signing_key, signers)
            }
            ChangeBody::PublishKey { agency, key, invited: None } => {
                return self.judge_key(agency, key, signers, now);
            }
            ChangeBody::PublishKey { agency, key, invited: Some(invited) } => {
                self.judge_return(agency, invited, signers, now)?;
                return self.judge_new_key(agency, key, signers).map(|()| now.plus_ms(KEY_DELAY_MS));
            }
            ChangeBody::RevokeKey { agency, key_id } => self.judge_revocation(agency, key_id, signers, now),
            ChangeBody::Profile { agency, .. } => signers.owner(agency),
            ChangeBody::Suspend { subject } => self.judge_stop(subject, signers, now),
            ChangeBody::Resume { subject } => self.judge_start(subject, signers, now),
            ChangeBody::AddAdministrator(administrator) => self.judge_administrator(administrator, signers),
            ChangeBody::RemoveAdministrator(pseudonym) => self.judge_removal(pseudonym, signers),
            ChangeBody::Calendar(calendar) => {
                signers.two_administrators()?;
                let full =
                    self.calendars.len() >= CALENDARS_MAX && !self.calendars.contains_key(&calendar.name);
                if full { Err(Refusal::DirectoryFull) } else { Ok(()) }
            }
            // To start again what waits takes two, and so does what cannot be undone: a clock that is
            // confirmed lets referrals go on to other agencies.
            ChangeBody::RestoreOverride { .. } | ChangeBody::ConfirmClock { .. } => {
                signers.two_administrators()
            }
            ChangeBody::BeginShard(begun) => self.judge_shard(begun, signers),
            ChangeBody::Invite(invite) => self.judge_invite(invite, signers, now),
            ChangeBody::RevokeInvitation(id) => self.judge_end_of_invitation(id, signers, now),
        };
        judged.map(|()| now)
    }

    /// Whether it begins where the logs end is for those to judge who hold them.
    fn judge_shard(&self, begun: &NewShard, signers: &Signers<'_>) -> Result<(), Refusal> {
        signers.two_administrators()?;
        let network = self.network.as_ref().ok_or(Refusal::NoNetwork)?;
        let mut names = [&network.evidence_origin, &network.directory_origin].into_iter();
        let is_next = begun.number > self.directory_shards().present();
        let is_named = names.all(|origin| origin.shard(begun.number).is_ok());
        if is_next && is_named { Ok(()) } else { Err(Refusal::ShardNotNext) }
    }

    fn judge_genesis(&self, administrators: &[Administrator], signers: &Signers<'_>) -> Result<(), Refusal> {
        if self.network.is_some() {
            return Err(Refusal::GenesisDone);
        }
        // Nobody is known yet: each administrator shows that the key is held.
        let all = administrators.iter().all(|one| signers.includes(one.key));
        if all { Ok(()) } else { Err(Refusal::NotProven) }
    }

    fn judge_admission(
        &self,
        agency: &AgencyId,
        key: PublicKey,
        signers: &Signers<'_>,
    ) -> Result<(), Refusal> {
        if self.agencies.contains_key(agency) {
            return Err(Refusal::AgencyExists);
        }
        self.judge_new_signing_key(key, signers)?;
        if self.agencies.len() >= AGENCIES_MAX { Err(Refusal::DirectoryFull) } else { Ok(()) }
    }

    fn judge_new_signing_key(&self, key: PublicKey, signers: &Signers<'_>) -> Result<(), Refusal> {
        // Nor an invitation's: administrators have held it.
        if self.owners.contains_key(&key.id()) || self.invitations.contains_key(&key.id()) {
            return Err(Refusal::KeyTaken);
        }
        if signers.includes(key) { Ok(()) } else { Err(Refusal::NotProven) }
    }

    fn judge_key(
        &self,
        agency: &AgencyId,
        key: &PublicKeyOf,
        signers: &Signers<'_>,
        now: TimeMs,
    ) -> Result<TimeMs, Refusal> {
        let by_owner = signers.agencies.contains(&agency);
        if !by_owner {
            signers.two_administrators()?;
        }
        self.judge_new_key(agency, key, signers)?;
        Ok(if by_owner { now } else { now.plus_ms(KEY_DELAY_MS) })
    }

    fn judge_new_key(
        &self,
        agency: &AgencyId,
        key: &PublicKeyOf,
        signers: &Signers<'_>,
    ) -> Result<(), Refusal> {
        let entry = self.agencies.get(agency).ok_or(Refusal::SubjectUnknown)?;
        if self.owners.contains_key(&key.id()) {
            return Err(Refusal::KeyTaken);
        }
        if let Some(key) = key.signing() {
            self.judge_new_signing_key(key, signers)?;
        }
        let kept = entry.keys.iter().filter(|key| key.revoked_at.is_none()).count();
        if kept >= AGENCY_KEYS_MAX { Err(Refusal::DirectoryFull) } else { Ok(()) }
    }

    /// An invitation that an agency may use now. Whoever does not hold its key learns nothing of it.
    fn open_invitation(
        &self,
        agency: &AgencyId,
        invited: &Invited,
        signers: &Signers<'_>,
        now: TimeMs,
    ) -> Result<&Invitation, Refusal> {
        let held = self.invitation(agency, &invited.invitation);
        let held = held.filter(|_| signers.includes(invited.invitation)).ok_or(Refusal::NotInvited)?;
        held.judge(now)?;
        Ok(held)
    }

    /// The two administrators have said in advance what the agency is.
    fn judge_joining(
        &self,
        agency: &AgencyId,
        entry: &Agency,
        invited: &Invited,
        signers: &Signers<'_>,
        now: TimeMs,
    ) -> Result<(), Refusal> {
        match &self.open_invitation(agency, invited, signers, now)?.invite.to {
            InvitedTo::Join(expected) if expected == entry => Ok(()),
            InvitedTo::Join(_) | InvitedTo::Return => Err(Refusal::NotInvited),
        }
    }

    fn judge_return(
        &self,
        agency: &AgencyId,
        invited: &Invited,
        signers: &Signers<'_>,
        now: TimeMs,
    ) -> Result<(), Refusal> {
        match &self.open_invitation(agency, invited, signers, now)?.invite.to {
            InvitedTo::Return if self.is_suspended(agency, now) => Err(Refusal::SenderSuspended),
            InvitedTo::Return => Ok(()),
            InvitedTo::Join(_) => Err(Refusal::NotInvited),
        }
    }

    fn judge_invite(&self, invite: &Invite, signers: &Signers<'_>, now: TimeMs) -> Result<(), Refusal> {
        signers.two_administrators()?;
        let is_known = self.agencies.contains_key(&invite.agency);
        match &invite.to {
            InvitedTo::Join(_) if is_known => return Err(Refusal::AgencyExists),
            InvitedTo::Return if !is_known => return Err(Refusal::SubjectUnknown),
            InvitedTo::Join(_) | InvitedTo::Return => {}
        }
        self.judge_new_signing_key(invite.key, signers)?;
        if self.invitations.values().filter(|invitation| invitation.is_kept(now)).count() >= INVITATIONS_MAX {
            return Err(Refusal::DirectoryFull);
        }
        if invite.expires_at <= now {
            return Err(Refusal::InvitationExpired);
        }
        let is_long = invite.expires_at > now.plus_ms(INVITATION_LIFETIME_MS_MAX);
        if is_long { Err(Refusal::InvitationTooLong) } else { Ok(()) }
    }

    fn judge_end_of_invitation(&self, id: &KeyId, signers: &Signers<'_>, now: TimeMs) -> Result<(), Refusal> {
        if signers.administrators.is_empty() {
            return Err(Refusal::NotEnoughSigners);
        }
        self.invitations.get(id).ok_or(Refusal::SubjectUnknown)?.judge(now)
    }

    fn judge_revocation(
        &self,
        agency: &AgencyId,
        id: &KeyId,
        signers: &Signers<'_>,
        now: TimeMs,
    ) -> Result<(), Refusal> {
        let by_owner = signers.agencies.contains(&agency);
        if !by_owner && signers.administrators.is_empty() {
            return Err(Refusal::NotEnoughSigners);
        }
        let entry = self.agencies.get(agency).ok_or(Refusal::SubjectUnknown)?;
        let live = |id: &KeyId| entry.keys.iter().any(|key| key.id == *id && key.revoked_at.is_none());
        if !live(id) {
            return Err(Refusal::SubjectUnknown);
        }
        // An agency that revokes its last signing key by itself could never publish the next one.
        let others = entry
            .keys
            .iter()
            .any(|key| key.id != *id && key.key.purpose() == KeyPurpose::Signing && key.in_force(now));
        let is_signing = self.key_in_force(agency, id, KeyPurpose::Signing, now);
        if by_owner && is_signing && !others { Err(Refusal::LastKey) } else { Ok(()) }
    }

    fn judge_stop(&self, subject: &Subject, signers: &Signers<'_>, now: TimeMs) -> Result<(), Refusal> {
        let by = self.who_stops(signers, subject);
        if by.is_empty() {
            return Err(Refusal::NotEnoughSigners);
        }
        if !self.knows(subject) {
            return Err(Refusal::SubjectUnknown);
        }
        let Some(suspension) = self.suspension(subject).filter(|suspension| suspension.holds(now)) else {
            return Ok(());
        };
        // A second person confirms; the first one again does not make two.
        let second = by.iter().any(|who| !suspension.by.contains(who));
        if suspension.lapses_at.is_some() && second { Ok(()) } else { Err(Refusal::AlreadySuspended) }
    }

    fn judge_start(&self, subject: &Subject, signers: &Signers<'_>, now: TimeMs) -> Result<(), Refusal> {
        signers.two_administrators()?;
        if !self.knows(subject) {
            return Err(Refusal::SubjectUnknown);
        }
        let suspended = self.suspension(subject).is_some_and(|suspension| suspension.holds(now));
        if suspended { Ok(()) } else { Err(Refusal::NotSuspended) }
    }

    fn knows(&self, subject: &Subject) -> bool {
        match subject {
            Subject::Agency(agency) => self.agencies.contains_key(agency),
            Subject::Agreement(digest) => self.agreements.contains_key(digest),
        }
    }

    fn judge_administrator(&self, new: &Administrator, signers: &Signers<'_>) -> Result<(), Refusal> {
        signers.two_administrators()?;
        self.judge_new_signing_key(new.key, signers)?;
        if self.administrators.contains_key(&new.pseudonym) {
            return Err(Refusal::AdministratorExists);
        }
        if self.administrators.len() >= ADMINISTRATORS_MAX { Err(Refusal::DirectoryFull) } else { Ok(()) }
    }

    fn judge_removal(&self, pseudonym: &Pseudonym, signers: &Signers<'_>) -> Result<(), Refusal> {
        let others = signers.administrators.iter().filter(|signer| **signer != pseudonym).count();
        if others < 2 {
            return Err(Refusal::NotEnoughSigners);
        }
        if !self.administrators.contains_key(pseudonym) {
            return Err(Refusal::SubjectUnknown);
        }
        if self.administrators.len() <= 2 { Err(Refusal::TooFewAdministrators) } else { Ok(()) }
    }

    /// Judges an agreement that one or more parties have signed.
    ///
    /// # Errors
    /// The first [`Refusal`] in precedence.
    pub fn judge_agreement(
        &self,
        signed: &Signed,
        agreement: &Agreement,
        now: TimeMs,
    ) -> Result<Verdict, Refusal> {
        if self.network.is_none() {
            return Err(Refusal::NoNetwork);
        }
        let signers = self.signers(signed, now);
        let held = self.agreements.get(&signed.digest());
        let parties_only = signers.agencies.iter().all(|agency| agreement.parties.contains(agency));
        // Every signature must be a party's, so that no other ever stands under a memorandum.
        let all_count = parties_only && signers.agencies.len() == signed.signers().len();
        if let Some(at) = held.and_then(|held| self.signed_before(signed, held)) {
            return Ok(Verdict::Done(at));
        }
        self.none_suspended(&signers, now)?;
        if held.is_none() {
            self.judge_parties(agreement, now)?;
        }
        if !all_count {
            return Err(Refusal::NotAParty);
        }
        if held.is_none() {
            self.judge_new_agreement(agreement)?;
        }
        Ok(Verdict::Allowed { effective_at: now, by: signers.agencies.into_iter().cloned().collect() })
    }

    /// Where the last of an object's signers signed this agreement before, if each of them did. Their
    /// keys may have been revoked since: what was done stays done.
    fn signed_before(&self, signed: &Signed, held: &Memorandum) -> Option<Locator> {
        let place = |key: &KeyId| match self.owners.get(key)? {
            Owner::Agency(agency) => held.signed_by.get(agency).copied(),
            Owner::Administrator(_) => None,
        };
        let places: Option<Vec<_>> = signed.signers().iter().map(place).collect();
        places?.into_iter().max()
    }

    /// Why an agreement would not be taken, were it signed by all of its parties now.
    #[must_use]
    pub fn would_refuse(&self, digest: &Digest, agreement: &Agreement, now: TimeMs) -> Option<Refusal> {
        if self.agreements.contains_key(digest) {
            return None;
        }
        self.judge_parties(agreement, now).and_then(|()| self.judge_new_agreement(agreement)).err()
    }

    fn judge_parties(&self, agreement: &Agreement, now: TimeMs) -> Result<(), Refusal> {
        if agreement.valid_until <= now {
            return Err(Refusal::AgreementEnded);
        }
        let known = agreement.parties.iter().all(|party| self.agencies.contains_key(party));
        if known { Ok(()) } else { Err(Refusal::PartyUnknown) }
    }

    fn judge_new_agreement(&self, agreement: &Agreement) -> Result<(), Refusal> {
        let follows = |old: Digest| {
            self.agreements.get(&old).is_some_and(|old| {
                old.agreement.id == agreement.id
                    && old.agreement.revision.checked_add(1) == Some(agreement.revision)
                    && old.agreement.parties == agreement.parties
            })
        };
        if !agreement.supersedes.is_none_or(follows) {
            return Err(Refusal::RevisionNotNext);
        }
        self.judge_clocks(&agreement.clauses)?;
        if self.agreements.len() >= AGREEMENTS_MAX { Err(Refusal::DirectoryFull) } else { Ok(()) }
    }

    fn judge_clocks(&self, clauses: &[Clause]) -> Result<(), Refusal> {
        if !clauses.iter().all(|clause| clause.clocks.is_stricter()) {
            return Err(Refusal::ClocksNotStricter);
        }
        let mut named = clauses.iter().filter_map(|clause| clause.clocks.calendar());
        if named.all(|name| self.working_time(name).is_some()) {
            Ok(())
        } else {
            Err(Refusal::CalendarUnknown)
        }
    }

    /// Judges a mechanism.
    ///
    /// # Errors
    /// The first [`Refusal`] in precedence.
    pub fn judge_mechanism(
        &self,
        signed: &Signed,
        mechanism: &Mechanism,
        now: TimeMs,
    ) -> Result<Verdict, Refusal> {
        if self.network.is_none() {
            return Err(Refusal::NoNetwork);
        }
        if let Some(held) = self.mechanism.as_ref().filter(|held| held.signed.digest() == signed.digest()) {
            return Ok(Verdict::Done(held.at));
        }
        let signers = self.signers(signed, now);
        signers.two_administrators()?;
        let last = self.mechanism.as_ref().map_or(0, |held| held.mechanism.revision);
        if last.checked_add(1) == Some(mechanism.revision) {
            Ok(Verdict::Allowed { effective_at: now, by: Vec::new() })
        } else {
            Err(Refusal::RevisionNotNext)
        }
    }
}
