//! What operators do with a delivery that does not go on, and with the gateway: the acts, the reasons that
//! fit each, how many people must agree, and what is kept of it in a referral. Not here: in which status each
//! is legal (`lifecycle`), and what follows from one (`decide`).

mod words;

use crate::{
    Malformed,
    evidence::Happening,
    ids::{Code, Pseudonym, ReferralKey, TimeMs, closed_list},
    vocabulary::{OPERATION_REASONS, Term},
    wire,
};

/// How long a second person has time to say the same: a day. A hold that nobody confirms lapses then.
pub const SECOND_PERSON_MS: u64 = 24 * 60 * 60 * 1000;
/// How often the recipient's people are told once more of one referral, at the most: every 15 minutes.
pub const NOTIFY_AGAIN_EVERY_MS: u64 = 15 * 60 * 1000;

closed_list!(
    /// What operators do. See `evidence.proto`.
    Operation {
        /// The recipient's people are told once more that a referral waits.
        NotifyAgain = 1,
        /// It is not handed over any more, until it is released.
        Hold = 2,
        /// It is handed over again.
        Release = 3,
        /// It is taken out of the recipient's mailbox, and its sender may ask anew.
        Return = 4,
        /// The gateway takes no new work.
        Drain = 5,
        /// It takes new work again.
        Undrain = 6,
    }
);

/// Who must say so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum People {
    /// One person, at once.
    One,
    /// One person, at once; it lapses unless a second one says the same.
    OneUntilConfirmed,
    /// Two: nothing happens before the second says the same.
    Two,
}

impl Operation {
    /// Who must say so: stopping takes one person, starting again and what cannot be undone takes two.
    #[must_use]
    pub const fn people(self) -> People {
        match self {
            Self::NotifyAgain | Self::Drain | Self::Undrain => People::One,
            Self::Hold => People::OneUntilConfirmed,
            Self::Release | Self::Return => People::Two,
        }
    }

    /// Whether it is about a referral, or about the gateway itself.
    #[must_use]
    pub const fn is_of_referral(self) -> bool {
        match self {
            Self::NotifyAgain | Self::Hold | Self::Release | Self::Return => true,
            Self::Drain | Self::Undrain => false,
        }
    }

    /// The codes of the reasons that fit it.
    #[must_use]
    pub const fn reason_codes(self) -> &'static [&'static str] {
        match self {
            Self::NotifyAgain => &["nobody_reacts", "sender_asked"],
            Self::Hold => &["suspected_misuse", "security_incident", "wrong_recipient", "sender_asked"],
            Self::Release => &["cleared", "sender_asked"],
            Self::Return => &[
                "recipient_unreachable",
                "recipient_suspended",
                "cannot_be_opened",
                "wrong_recipient",
                "suspected_misuse",
                "security_incident",
                "sender_asked",
            ],
            Self::Drain => &["maintenance", "upgrade", "security_incident"],
            Self::Undrain => &["work_done"],
        }
    }

    /// The reasons that fit it, as people read them.
    pub fn reasons(self) -> impl Iterator<Item = &'static Term> {
        self.reason_codes().iter().filter_map(|code| OPERATION_REASONS.find(code))
    }
}

/// An operator's act.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Operate {
    /// What.
    pub operation: Operation,
    /// With which referral; none when it is about the gateway itself.
    pub referral: Option<ReferralKey>,
    /// Why: a code of the vocabulary.
    pub reason: Code,
}

impl Operate {
    /// Reads what came over the wire, or stands in the journal.
    ///
    /// # Errors
    /// [`Malformed`]: no such act, a reason that does not fit it, or a referral where none belongs.
    pub fn parse(wire: &wire::Operate) -> Result<Self, Malformed> {
        let operation = Operation::parse(wire.operation, "operation")?;
        let referral = wire.referral.as_ref().map(|wire| ReferralKey::parse(Some(wire))).transpose()?;
        if operation.is_of_referral() && referral.is_none() {
            return Err(Malformed::Missing { field: "referral" });
        }
        if !operation.is_of_referral() && referral.is_some() {
            return Err(Malformed::Form { field: "referral" });
        }
        let reason = Code::parse(&wire.reason, "reason")?;
        if !operation.reason_codes().contains(&reason.as_str()) {
            return Err(Malformed::Form { field: "reason" });
        }
        Ok(Self { operation, referral, reason })
    }

    /// The wire form.
    #[must_use]
    pub fn to_wire(&self) -> wire::Operate {
        wire::Operate {
            referral: self.referral.as_ref().map(ReferralKey::to_wire),
            operation: self.operation.number(),
            reason: self.reason.to_string(),
        }
    }
}

/// What operators did with a referral that is not over.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Intervention {
    /// Who holds it back: nobody, one whose word lapses, or two.
    pub held_by: Vec<Pseudonym>,
    /// Since when.
    pub held_since: TimeMs,
    /// What the first of two has asked for.
    pub asked: Option<Asked>,
    /// When the recipient's people were told once more.
    pub notified_at: Option<TimeMs>,
}

/// What the first of two has asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// What.
    pub operation: Operation,
    /// Who.
    pub by: Pseudonym,
    /// When.
    pub at: TimeMs,
}

impl Asked {
    /// Until when a second person has time.
    #[must_use]
    pub fn until(&self) -> TimeMs {
        self.at.plus_ms(SECOND_PERSON_MS)
    }
}

impl Intervention {
    /// The first of two who asked for an act, as long as a second has time.
    #[must_use]
    pub fn first(&self, operation: Operation, now: TimeMs) -> Option<&Asked> {
        self.asked.as_ref().filter(|asked| asked.operation == operation && now < asked.until())
    }

    /// Takes one record of an operator's act.
    pub(crate) fn take(&mut self, what: &Happening, now: TimeMs) {
        let (Some(operation), Some(actor)) = (what.operation, &what.actor) else {
            return;
        };
        let asked = (what.count < 2).then(|| Asked { operation, by: actor.clone(), at: now });
        match operation {
            Operation::NotifyAgain => self.notified_at = Some(now),
            Operation::Hold => {
                if self.held_by.is_empty() {
                    self.held_since = now;
                }
                self.held_by.push(actor.clone());
            }
            Operation::Release => {
                if asked.is_none() {
                    self.held_by.clear();
                }
                self.asked = asked;
            }
            Operation::Return => self.asked = asked,
            Operation::Drain | Operation::Undrain => {}
        }
    }

    /// It is held back no more, and nothing is asked for.
    pub(crate) fn end(&mut self) {
        self.held_by.clear();
        self.asked = None;
    }

    /// Whether nothing is left to be kept.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.held_by.is_empty() && self.asked.is_none() && self.notified_at.is_none()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operations_are_the_wires() {
        assert_eq!(Operation::NotifyAgain.number(), i32::from(wire::Operation::NotifyAgain));
        assert_eq!(Operation::Undrain.number(), i32::from(wire::Operation::Undrain));
        assert_eq!(Operation::ALL.len(), 6);
    }

    #[test]
    fn every_reason_is_a_code_that_fits_something_and_every_act_has_one() {
        for operation in Operation::ALL {
            assert_eq!(operation.reasons().count(), operation.reason_codes().len(), "{operation:?}");
            assert!(operation.reasons().next().is_some(), "{operation:?}");
        }
        for code in OPERATION_REASONS.codes() {
            let fits = Operation::ALL.iter().any(|operation| operation.reason_codes().contains(&code));
            assert!(fits, "{code} fits nothing");
        }
    }

    #[test]
    fn what_does_not_fit_is_not_read() {
        let referral = || Some(wire::ReferralRef { opened_by: "ae.dfwac".into(), referral_id: uuid() });
        let read = |referral, operation, reason: &str| {
            Operate::parse(&wire::Operate { referral, operation, reason: reason.into() })
                .map_err(|malformed| malformed.field())
        };
        let hold = Operation::Hold.number();
        let good = read(referral(), hold, "suspected_misuse").unwrap();
        assert_eq!(Operate::parse(&good.to_wire()), Ok(good));
        assert_eq!(read(None, hold, "suspected_misuse"), Err("referral"));
        assert_eq!(read(referral(), Operation::Drain.number(), "upgrade"), Err("referral"));
        assert_eq!(read(referral(), hold, "upgrade"), Err("reason"));
        assert_eq!(read(referral(), hold, "her name"), Err("reason"));
        assert_eq!(read(referral(), 7, "cleared"), Err("operation"));
        assert!(read(None, Operation::Drain.number(), "upgrade").is_ok());
    }

    fn uuid() -> Vec<u8> {
        crate::ids::EnvelopeId::new(TimeMs(1), [1; 10]).as_bytes().to_vec()
    }
}
