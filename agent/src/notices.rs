//! Notices to people: that something waits, and nothing of what. A program of the agency's carries them: a
//! mail, a message, a bell. Not here: what waits (`case`), and who reads it.

use std::{
    collections::BTreeSet,
    io::{self, Write as _},
    process::{Command, ExitStatus, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use proto::{
    count::{Adjective, Noun, Place},
    ids::{ReferralKey, TimeMs, Urgency},
    lifecycle::{Status, Who},
};
use serde_json::json;
use tokio::time::{MissedTickBehavior, interval};

use crate::{clock, office::Office, state::State};

/// How often people are told again of an emergency that nobody has seen: 10 minutes.
pub const REMIND_EMERGENCY_MS: u64 = 10 * 60 * 1000;
/// How often of anything else: a day.
pub const REMIND_MS: u64 = 24 * 60 * 60 * 1000;
/// How long the agency's program may take.
pub const PROGRAM_TIME_MAX: Duration = Duration::from_secs(30);
/// How often it is looked whether a reminder is due.
const LOOK_EVERY: Duration = Duration::from_secs(20);
/// How often it is looked whether the program has ended.
const PROGRAM_LOOK_EVERY: Duration = Duration::from_millis(50);

/// What waits for people.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Referrals that came, and that nobody has said to have seen.
    unseen: BTreeSet<ReferralKey>,
    /// Those of them that are emergencies.
    emergencies: usize,
    /// Referrals of which the gateway had the last word: a time limit was missed, nobody is asked any more.
    missed: BTreeSet<ReferralKey>,
}

impl Waiting {
    /// What waits by a state.
    #[must_use]
    pub fn of(state: &State) -> Self {
        let mut waiting = Self::default();
        for case in state.cases() {
            let came = case.who(state.me()) == Some(Who::Recipient);
            if came && matches!(case.status(), Status::Submitted | Status::Delivered) {
                waiting.unseen.insert(case.referral.clone());
                waiting.emergencies += usize::from(case.need.urgency == Urgency::Emergency);
            }
            if !came && case.last_word().is_some() {
                waiting.missed.insert(case.referral.clone());
            }
        }
        waiting
    }

    fn is_empty(&self) -> bool {
        self.unseen.is_empty() && self.missed.is_empty()
    }

    /// In English.
    #[must_use]
    pub fn text_en(&self) -> String {
        let counts = Counts::of(self);
        let mut parts = Vec::new();
        if counts.unseen > 0 {
            parts.push(Noun::Referral.english_that(counts.unseen, Adjective::Waiting));
        }
        if counts.emergencies > 0 {
            parts.push(format!("in an emergency: {}", counts.emergencies));
        }
        if counts.missed > 0 {
            parts.push(format!("a time limit was missed in {}", Noun::Referral.english(counts.missed)));
        }
        format!("{}. Open your agent.", parts.join("; "))
    }

    /// In Arabic, not yet reviewed by a native speaker of the field.
    #[must_use]
    pub fn text_ar(&self) -> String {
        let counts = Counts::of(self);
        let mut parts = Vec::new();
        if counts.unseen > 0 {
            parts.push(Noun::Referral.arabic_that(counts.unseen, Adjective::Waiting));
        }
        if counts.emergencies > 0 {
            parts.push(format!("الطارئة منها: {}", counts.emergencies));
        }
        if counts.missed > 0 {
            parts.push(format!("انقضت المهلة في {}", Noun::Referral.arabic(counts.missed, Place::Governed)));
        }
        format!("{}. يُرجى فتح برنامج الإحالة.", parts.join("؛ "))
    }

    /// What the program reads: counts and words, no name, no number of a case.
    #[must_use]
    pub fn message(&self) -> String {
        let Counts { unseen, emergencies, missed } = Counts::of(self);
        let (text_en, text_ar) = (self.text_en(), self.text_ar());
        json!({
            "unseen": unseen, "emergencies": emergencies, "missed": missed,
            "text_en": text_en, "text_ar": text_ar,
        })
        .to_string()
    }
}

struct Counts {
    unseen: u64,
    emergencies: u64,
    missed: u64,
}

impl Counts {
    fn of(waiting: &Waiting) -> Self {
        let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
        Self {
            unseen: count(waiting.unseen.len()),
            emergencies: count(waiting.emergencies),
            missed: count(waiting.missed.len()),
        }
    }
}

/// What people were told last, and when.
#[derive(Debug, Default)]
pub struct Bell {
    told: Waiting,
    at: TimeMs,
}

impl Bell {
    /// Whether people are to be told now; then they count as told.
    pub fn rings(&mut self, waiting: &Waiting, now: TimeMs) -> bool {
        let is_new =
            !waiting.unseen.is_subset(&self.told.unseen) || !waiting.missed.is_subset(&self.told.missed);
        let every = if waiting.emergencies > 0 { REMIND_EMERGENCY_MS } else { REMIND_MS };
        let is_due = now >= self.at.plus_ms(every);
        let rings = !waiting.is_empty() && (is_new || is_due);
        self.told = waiting.clone();
        if rings {
            self.at = now;
        }
        rings
    }
}

/// Rings as long as the agent runs. A program that fails is tried again when the next reminder is due.
pub async fn run(office: Arc<Office>, command: Vec<String>) {
    let mut changes = office.store.changes();
    let mut every = interval(LOOK_EVERY);
    every.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut bell = Bell::default();
    loop {
        let waiting = office.store.read(Waiting::of);
        if bell.rings(&waiting, clock::now()) {
            let (command, message) = (command.clone(), waiting.message());
            match tokio::task::spawn_blocking(move || carry(&command, &message)).await {
                Ok(Ok(status)) if status.success() => tracing::info!("people were told that something waits"),
                Ok(Ok(status)) => tracing::error!(%status, "the program for notices failed"),
                Ok(Err(error)) => {
                    tracing::error!(kind = %error.kind(), "the program for notices did not run")
                }
                Err(_) => return,
            }
        }
        tokio::select! {
            changed = changes.changed() => if changed.is_err() { return },
            _ = every.tick() => {}
        }
    }
}

/// Runs the agency's program with a message on its standard input.
fn carry(command: &[String], message: &str) -> io::Result<ExitStatus> {
    let (program, arguments) = command.split_first().ok_or(io::ErrorKind::NotFound)?;
    let mut child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()?;
    if let Some(mut input) = child.stdin.take() {
        // One that does not read has perhaps ended already: its status tells.
        drop(writeln!(input, "{message}"));
    }
    let end = Instant::now() + PROGRAM_TIME_MAX;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if Instant::now() >= end {
            child.kill()?;
            return child.wait();
        }
        thread::sleep(PROGRAM_LOOK_EVERY);
    }
}

#[cfg(test)]
mod tests {
    use proto::ids::{AgencyId, EnvelopeId};

    use super::*;

    fn key(number: u64) -> ReferralKey {
        let opened_by = AgencyId::parse("ae.dfwac", "opened_by").unwrap();
        ReferralKey { id: EnvelopeId::new(TimeMs(number), [1; 10]), opened_by }
    }

    fn waiting(unseen: &[u64], emergencies: usize, missed: &[u64]) -> Waiting {
        let keys = |numbers: &[u64]| numbers.iter().map(|number| key(*number)).collect();
        Waiting { unseen: keys(unseen), emergencies, missed: keys(missed) }
    }

    #[test]
    fn people_are_told_of_what_is_new_and_reminded_of_what_waits() {
        let (start, mut bell) = (TimeMs(1_790_000_000_000), Bell::default());
        let minute = 60 * 1000;
        let hour = 60 * minute;
        // After so many milliseconds so much waits: whether the bell rings.
        let rows = [
            (0, waiting(&[], 0, &[]), false),
            (1, waiting(&[1], 0, &[]), true),
            (2, waiting(&[1], 0, &[]), false),
            // One was seen, another came: as many as before, but news.
            (3, waiting(&[2], 0, &[]), true),
            (4, waiting(&[2], 0, &[7]), true),
            (5, waiting(&[], 0, &[7]), false),
            (23 * hour, waiting(&[], 0, &[7]), false),
            (24 * hour + 4, waiting(&[], 0, &[7]), true),
            (24 * hour + 5, waiting(&[3], 1, &[]), true),
            (24 * hour + 9 * minute, waiting(&[3], 1, &[]), false),
            (24 * hour + 10 * minute + 5, waiting(&[3], 1, &[]), true),
            (25 * hour, waiting(&[], 0, &[]), false),
        ];
        for (after, waiting, rings) in rows {
            assert_eq!(bell.rings(&waiting, start.plus_ms(after)), rings, "{after} {waiting:?}");
        }
    }

    #[test]
    fn a_message_says_how_many_and_nothing_else() {
        let all = waiting(&[1, 2], 1, &[3]);
        let message = all.message();
        assert!(message.contains(r#""unseen":2"#) && message.contains(r#""emergencies":1"#), "{message}");
        assert!(!message.contains("dfwac") && !message.contains(&key(1).id.to_string()), "{message}");
        assert_eq!(
            all.text_en(),
            "2 waiting referrals; in an emergency: 1; a time limit was missed in 1 referral. Open your agent."
        );
        assert_eq!(
            all.text_ar(),
            "إحالتان منتظرتان؛ الطارئة منها: 1؛ انقضت المهلة في إحالة واحدة. يُرجى فتح برنامج الإحالة."
        );
    }

    #[cfg(unix)]
    #[test]
    fn the_program_reads_the_message_and_is_not_waited_for_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let told = folder.path().join("told");
        let script = format!("cat > '{}'", told.display());
        let command = ["sh", "-c", &script].map(str::to_owned);
        assert!(carry(&command, "{\"unseen\":1}").unwrap().success());
        assert_eq!(std::fs::read_to_string(told).unwrap(), "{\"unseen\":1}\n");
        assert!(!carry(&["false".to_owned()], "").unwrap().success());
        assert!(carry(&["/nowhere/at-all".to_owned()], "").is_err());
        assert!(carry(&[], "").is_err());
    }
}
