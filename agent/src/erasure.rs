//! Erasing contents: what this side stated to be destroyed, and what has ended and was kept long enough, is
//! really taken out of the store's files and the spool. What stays is the head of each record: ids, digests,
//! receipts. Nothing that waits, and nothing that the gateway has not taken, is touched. Not here: the
//! files (`store`, `spool`), and how long the gateway keeps its ciphertext (`proto::retention`).

use std::{sync::Arc, time::Duration};

use proto::{
    digest::Digest,
    header::Header,
    ids::{ReferralKey, TimeMs},
    lifecycle::Act,
};
use tokio::time::sleep;

use crate::{
    case::{Case, Standing, Step},
    clock,
    office::Office,
    records::{self, ErasedWhy, record},
    state::State,
    store::{Claim, Entry, Place, StoreFault},
};

/// The most days that the settings may say.
pub const KEEP_DAYS_MAX: u32 = 3650;
/// How often it is looked what is due.
pub const LOOK_EVERY: Duration = Duration::from_secs(60 * 60);
/// How soon what could not be erased is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(20);
const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// What was erased of a referral, or is being erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Erasure {
    /// Why.
    pub why: ErasedWhy,
    /// Of one attempt; 0 for all of them.
    pub attempt: u32,
    /// When it was decided.
    pub at: TimeMs,
    /// Where that is written: what came later is not part of it.
    pub place: Place,
    /// The envelopes whose bodies are erased.
    pub envelopes: Vec<Digest>,
    /// The files of the spool that are.
    pub files: Vec<Digest>,
    /// Nothing of it is left.
    pub done: bool,
}

impl Erasure {
    /// Of a record; none when it is not of its form.
    #[must_use]
    pub fn parse(place: Place, at: TimeMs, erased: &records::Erased) -> Option<(ReferralKey, Self)> {
        let digests = |all: &[Vec<u8>]| {
            all.iter().map(|bytes| Digest::parse(bytes, "erased").ok()).collect::<Option<Vec<_>>>()
        };
        let erasure = Self {
            why: erased.why(),
            attempt: erased.attempt,
            at,
            place,
            envelopes: digests(&erased.envelopes)?,
            files: digests(&erased.files)?,
            done: erased.done,
        };
        Some((ReferralKey::parse(erased.referral.as_ref()).ok()?, erasure))
    }

    /// Whether the body of an envelope is erased that stands there.
    #[must_use]
    pub fn covers(&self, envelope: &Digest, place: Place) -> bool {
        place < self.place && self.envelopes.contains(envelope)
    }

    /// Whether another record is of the same decision.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (self.why, self.attempt, &self.envelopes) == (other.why, other.attempt, &other.envelopes)
    }

    fn to_record(&self, referral: &ReferralKey, done: bool) -> records::Erased {
        records::Erased {
            referral: Some(referral.to_wire()),
            why: self.why.into(),
            attempt: self.attempt,
            envelopes: self.envelopes.iter().copied().map(Digest::to_vec).collect(),
            files: self.files.iter().copied().map(Digest::to_vec).collect(),
            done,
        }
    }
}

/// Contents that are to be erased.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Due {
    /// Of which referral.
    pub referral: ReferralKey,
    /// Why.
    pub why: ErasedWhy,
    /// Of which attempt; 0 for all of them.
    pub attempt: u32,
}

/// Where the bodies of an envelope are.
fn places(step: &Step) -> Vec<Place> {
    match &step.standing {
        Standing::Arrived(deliveries) => deliveries.iter().map(|delivery| delivery.place).collect(),
        Standing::Queued | Standing::Taken { .. } | Standing::Refused { .. } | Standing::Withdrawn => {
            vec![step.place]
        }
    }
}

/// The envelopes of a case in an attempt (0: in all of them) of which something is here still.
fn left<'a>(state: &'a State, case: &'a Case, attempt: u32) -> impl Iterator<Item = &'a Step> {
    let of_attempt = move |step: &&Step| attempt == 0 || step.attempt == attempt;
    let is_left = |step: &&Step| {
        let is_erased = |place: &Place| state.is_erased(&case.referral, &step.digest, *place);
        !places(step).iter().all(is_erased)
    };
    case.steps.iter().filter(of_attempt).filter(is_left)
}

/// Whether something is kept of a case that came before a moment.
pub(crate) fn holds_from_before(state: &State, case: &Case, moment: TimeMs) -> bool {
    let came = |step: &&Step| match &step.standing {
        Standing::Arrived(deliveries) => deliveries.iter().any(|delivery| delivery.logged.at <= moment),
        Standing::Queued | Standing::Taken { .. } | Standing::Refused { .. } | Standing::Withdrawn => false,
    };
    left(state, case, 0).any(|step| came(&step))
}

/// Whether an envelope's content may still be needed: it waits to be pushed, to be signed for, or to be
/// sealed anew.
fn is_needed(state: &State, step: &Step) -> bool {
    let waits = match &step.standing {
        Standing::Queued => true,
        Standing::Arrived(deliveries) => deliveries.iter().any(|delivery| delivery.handed_over.is_none()),
        Standing::Taken { .. } | Standing::Refused { .. } | Standing::Withdrawn => false,
    };
    waits || state.anew().waits(&step.digest)
}

/// Everything whose time has come.
#[must_use]
pub fn due(state: &State, keep_days: Option<u32>, now: TimeMs) -> Vec<Due> {
    let of = |case: &Case| {
        let attempts = purged(state, case).into_iter().map(|attempt| (ErasedWhy::Purged, attempt));
        let ended = is_kept_long_enough(state, case, keep_days, now);
        let ended = ended.then_some((ErasedWhy::KeptLongEnough, 0));
        let due = attempts.chain(ended).filter(|(_, attempt)| {
            let mut left = left(state, case, *attempt).peekable();
            left.peek().is_some() && left.all(|step| !is_needed(state, step))
        });
        due.map(|(why, attempt)| Due { referral: case.referral.clone(), why, attempt }).collect::<Vec<_>>()
    };
    state.cases().flat_map(of).collect()
}

/// The attempts in which this side has stated that what came is destroyed, and the gateway has taken that.
fn purged(state: &State, case: &Case) -> Vec<u32> {
    let stated = case.steps.iter().filter(|step| step.act == Act::ConfirmPurge && step.from == *state.me());
    let taken = stated.filter(|step| matches!(step.standing, Standing::Taken { .. }));
    taken.map(|step| step.attempt).collect()
}

/// Whether a case has ended long enough ago, and nothing hangs on it.
fn is_kept_long_enough(state: &State, case: &Case, keep_days: Option<u32>, now: TimeMs) -> bool {
    let Some(days) = days(state, case, keep_days) else {
        return false;
    };
    let logged = case.steps.iter().filter_map(Step::logged).chain(case.told.iter().map(|told| told.logged));
    let Some(last) = logged.map(|logged| logged.at).max() else {
        return false;
    };
    // What was referred on from here rests on the consent with which it came.
    let goes_on = state.onward(&case.referral).any(|onward| !onward.status().is_final());
    case.status().is_final() && !goes_on && now >= last.plus_ms(u64::from(days).saturating_mul(DAY_MS))
}

/// For how many days the content is kept after the end: the agency's own setting, and never longer than
/// its agreement says. Without either it is kept.
fn days(state: &State, case: &Case, keep_days: Option<u32>) -> Option<u32> {
    let directory = state.replica().directory();
    let memorandum = directory.agreement(case.agreement(), state.me());
    let agreed = memorandum.and_then(|memorandum| memorandum.agreement.retention_days);
    [keep_days, agreed].into_iter().flatten().min()
}

/// Erases what is due, as long as the agent runs.
pub async fn run(office: Arc<Office>) {
    let mut changes = office.store.changes();
    loop {
        let wait = match sweep(&office).await {
            Ok(true) => LOOK_EVERY,
            Ok(false) => AGAIN_AFTER,
            Err(StoreFault::Ended) => return,
            Err(fault) => {
                tracing::error!(%fault, "contents could not be erased; it is tried again");
                AGAIN_AFTER
            }
        };
        // A statement that something is destroyed must soon be true.
        let news = async {
            loop {
                if changes.changed().await.is_err() {
                    return;
                }
                let now = clock::now();
                if office.store.read(|state| !due(state, office.keep_days, now).is_empty()) {
                    return;
                }
            }
        };
        tokio::select! {
            () = news => if office.store.changes().has_changed().is_err() { return },
            () = sleep(wait) => {}
        }
    }
}

/// Ends what was begun, and does what is due. Gives whether nothing is left to do.
///
/// # Errors
/// [`StoreFault`].
pub async fn sweep(office: &Arc<Office>) -> Result<bool, StoreFault> {
    let now = clock::now();
    let due = office.store.read(|state| due(state, office.keep_days, now));
    for due in due {
        decide(office, &due).await?;
    }
    let begun: Vec<(ReferralKey, Erasure)> = office.store.read(|state| {
        let all = state.erasures().filter(|(_, erasure)| !erasure.done);
        all.map(|(referral, erasure)| (referral.clone(), erasure.clone())).collect()
    });
    let mut all_done = true;
    for (referral, erasure) in begun {
        all_done &= carry_out(office, &referral, erasure).await?;
    }
    Ok(all_done)
}

/// Writes down what is erased, and why, before anything is: a crash in between ends with it erased.
async fn decide(office: &Office, due: &Due) -> Result<(), StoreFault> {
    let (mut envelopes, mut arrived) = (Vec::new(), Vec::new());
    office.store.read(|state| {
        let steps = state.case(&due.referral).map(|case| left(state, case, due.attempt));
        for step in steps.into_iter().flatten() {
            envelopes.push(step.digest);
            if matches!(step.standing, Standing::Arrived(_)) {
                arrived.extend(places(step));
            }
        }
    });
    let mut files = Vec::new();
    for place in arrived {
        files.extend(files_of(&office.store.record(place)?));
    }
    let erasure = Erasure {
        why: due.why,
        attempt: due.attempt,
        at: clock::now(),
        place: Place::LAST,
        envelopes,
        files,
        done: false,
    };
    write(office, &due.referral, &erasure, false).await
}

/// The files of the spool that a delivery brought.
fn files_of(record: &records::Record) -> Vec<Digest> {
    let Some(record::Record::Arrived(arrived)) = &record.record else {
        return Vec::new();
    };
    let Ok(header) = Header::parse(&arrived.header) else {
        return Vec::new();
    };
    crate::state::arrived_apart(&header, arrived).map(|listed| listed.sha256).collect()
}

/// In a segment of its own, so that those before it are sealed, and can be erased from.
async fn write(
    office: &Office,
    referral: &ReferralKey,
    erasure: &Erasure,
    done: bool,
) -> Result<(), StoreFault> {
    let erased = record::Record::Erased(erasure.to_record(referral, done));
    let record = records::Record { at_ms: clock::now().0, record: Some(erased) };
    let entries = vec![Entry::new(record)];
    if done {
        office.store.append(entries, Claim::Reserved).await?;
    } else {
        office.store.append_apart(entries, Claim::Reserved).await?;
    }
    Ok(())
}

/// Erases what a decision names. Gives whether nothing is left; else the disk could not do it yet.
async fn carry_out(
    office: &Arc<Office>,
    referral: &ReferralKey,
    erasure: Erasure,
) -> Result<bool, StoreFault> {
    // Whoever makes a backup reads what would be erased.
    let Ok(_alone) = office.still.try_write() else {
        return Ok(false);
    };
    let bodies: Vec<Place> = office.store.read(|state| {
        let case = state.case(referral);
        let steps = case.into_iter().flat_map(|case| &case.steps);
        let of = |step: &Step| {
            let all = places(step).into_iter();
            all.filter(|place| erasure.covers(&step.digest, *place)).collect::<Vec<_>>()
        };
        steps.flat_map(of).collect()
    });
    let (erasing, files, by) = (Arc::clone(office), erasure.files.clone(), erasure.place);
    let erased = tokio::task::spawn_blocking(move || {
        let is_erased = erasing.store.erase(&bodies, by)?;
        let removed = files.iter().all(|sha256| erasing.spool.erase(sha256));
        Ok::<_, StoreFault>((is_erased, removed))
    });
    match erased.await.map_err(|_| StoreFault::Ended)?? {
        (true, true) => {
            write(office, referral, &erasure, true).await?;
            tracing::info!(
                envelopes = erasure.envelopes.len(),
                files = erasure.files.len(),
                why = erasure.why.as_str_name(),
                "contents were erased"
            );
            Ok(true)
        }
        (false, _) => {
            // Its segment could not be sealed: no other was ready.
            write(office, referral, &erasure, false).await?;
            Ok(false)
        }
        (true, false) => Ok(false),
    }
}
