//! Why what waits for the gateway does not go, although it is connected: what the gateway said last. Not here:
//! when it is tried again (`link::outbox`).

use std::sync::{Mutex, MutexGuard, PoisonError};

use proto::{ids::TimeMs, words::Language};

/// The gateway takes no new work before a planned stop.
const DRAINING: &str = "DRAINING";
/// The gateway's disk has no room.
const DISK_FULL: &str = "DISK_FULL";

/// What the gateway said last, when it was not to take something.
#[derive(Debug, Default)]
pub struct Board(Mutex<Option<PutOff>>);

/// Why something is put off, and since when it has been for that reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutOff {
    /// The gateway's stable code.
    pub code: String,
    /// Since when.
    pub since: TimeMs,
}

impl PutOff {
    /// For people. Arabic is not yet reviewed by a native speaker of the field.
    #[must_use]
    pub fn text(&self, language: Language) -> &'static str {
        let (english, arabic) = match self.code.as_str() {
            DRAINING => (
                "The gateway takes no new work before a planned stop. Nothing is lost: what waits goes by itself.",
                "لا تستلم البوابة جديدًا قبل توقف مقرر. لم يضع شيء: يُرسل ما ينتظر تلقائيًا.",
            ),
            DISK_FULL => (
                "The gateway has no room. Nothing is lost: what waits goes by itself when its operators have made some.",
                "لا متسع لدى البوابة. لم يضع شيء: يُرسل ما ينتظر تلقائيًا بعد أن يوفره مشغّلوها.",
            ),
            _ => (
                "The gateway asks to try again later. Nothing is lost: what waits goes by itself.",
                "تطلب البوابة إعادة المحاولة لاحقًا. لم يضع شيء: يُرسل ما ينتظر تلقائيًا.",
            ),
        };
        language.pick(english, arabic)
    }
}

impl Board {
    /// What stands.
    #[must_use]
    pub fn standing(&self) -> Option<PutOff> {
        self.lock().clone()
    }

    /// Something is put off.
    pub fn put_off(&self, code: &str, now: TimeMs) {
        let mut standing = self.lock();
        if standing.as_ref().is_none_or(|before| before.code != code) {
            *standing = Some(PutOff { code: code.to_owned(), since: now });
        }
    }

    /// Something was decided: nothing stands in the way.
    pub fn goes_on(&self) {
        *self.lock() = None;
    }

    fn lock(&self) -> MutexGuard<'_, Option<PutOff>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_stands_since_it_began_until_something_is_decided() {
        let board = Board::default();
        assert_eq!(board.standing(), None);
        for (code, now, since) in
            [(DRAINING, 5, 5), (DRAINING, 9, 5), (DISK_FULL, 11, 11), ("QUEUE_FULL", 12, 12)]
        {
            board.put_off(code, TimeMs(now));
            let standing = board.standing().unwrap();
            assert_eq!((standing.code.as_str(), standing.since), (code, TimeMs(since)));
            let (english, arabic) = (standing.text(Language::English), standing.text(Language::Arabic));
            assert!(english.is_ascii() && !arabic.contains(|c: char| c.is_ascii_alphabetic()));
        }
        board.goes_on();
        assert_eq!(board.standing(), None);
    }
}
