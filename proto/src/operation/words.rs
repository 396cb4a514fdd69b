//! What people read of operators' acts, in English and Arabic. Arabic is not yet reviewed by a native
//! speaker of the field.

use super::Operation;
use crate::words::Language;

impl Operation {
    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotifyAgain => "notify_again",
            Self::Hold => "hold",
            Self::Release => "release",
            Self::Return => "return",
            Self::Drain => "drain",
            Self::Undrain => "undrain",
        }
    }

    /// The act, as a person chooses it.
    #[must_use]
    pub const fn text(self, language: Language) -> &'static str {
        let (english, arabic) = match self {
            Self::NotifyAgain => ("Notify again", "إشعار من جديد"),
            Self::Hold => ("Hold back", "حجز الإحالة"),
            Self::Release => ("Release", "رفع الحجز"),
            Self::Return => ("Return to sender", "إعادة إلى الجهة المُحيلة"),
            Self::Drain => ("Take no new work", "إيقاف استلام الجديد"),
            Self::Undrain => ("Take new work again", "استئناف استلام الجديد"),
        };
        language.pick(english, arabic)
    }

    /// What the first of two has asked for; of what takes one person, what has happened.
    #[must_use]
    pub const fn asked_text(self, language: Language) -> &'static str {
        let (english, arabic) = match self {
            Self::NotifyAgain | Self::Hold | Self::Drain | Self::Undrain => return self.done_text(language),
            Self::Release => (
                "An operator asked for its release; a second one must say the same.",
                "طلب مشغّل رفع الحجز، ويلزم تأكيد من مشغّل ثانٍ.",
            ),
            Self::Return => (
                "An operator asked that it be returned to its sender; a second one must say the same.",
                "طلب مشغّل إعادتها إلى الجهة المُحيلة، ويلزم تأكيد من مشغّل ثانٍ.",
            ),
        };
        language.pick(english, arabic)
    }

    /// What has happened.
    #[must_use]
    pub const fn done_text(self, language: Language) -> &'static str {
        let (english, arabic) = match self {
            Self::NotifyAgain => (
                "The recipient's people are told once more that a referral waits.",
                "يُشعَر العاملون لدى الجهة المستلِمة من جديد بأن إحالة تنتظر.",
            ),
            Self::Hold => (
                "The network's operators hold it back: it is not handed over until they release it.",
                "حجزها مشغّلو الشبكة: لا تُسلَّم حتى يرفعوا الحجز.",
            ),
            Self::Release => ("The network's operators released it.", "رفع مشغّلو الشبكة الحجز عنها."),
            Self::Return => (
                "The network's operators returned it to its sender, who may ask anew.",
                "أعادها مشغّلو الشبكة إلى الجهة المُحيلة، ولها أن تحيل من جديد.",
            ),
            Self::Drain => {
                ("The gateway takes no new work for now.", "لا تستلم البوابة جديدًا في الوقت الحالي.")
            }
            Self::Undrain => ("The gateway takes new work again.", "استأنفت البوابة استلام الجديد."),
        };
        language.pick(english, arabic)
    }

    /// A record of it, for a timeline: `people` is its count.
    #[must_use]
    pub const fn told(self, people: u64, language: Language) -> &'static str {
        if people < 2 { self.asked_text(language) } else { self.done_text(language) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_has_both_languages_and_its_own_name() {
        let mut names = std::collections::BTreeSet::new();
        for operation in Operation::ALL {
            assert!(names.insert(operation.name()), "{operation:?}");
            for text in [Operation::text, Operation::asked_text, Operation::done_text] {
                let (english, arabic) =
                    (text(*operation, Language::English), text(*operation, Language::Arabic));
                assert!(english.is_ascii() && !english.is_empty(), "{operation:?}");
                assert!(!arabic.is_empty() && !arabic.contains(|c: char| c.is_ascii_alphabetic()));
            }
        }
        let (first, second) =
            (Operation::Return.told(1, Language::English), Operation::Return.told(2, Language::English));
        assert!(first.contains("asked") && second.contains("returned it"));
        assert_eq!(Operation::Hold.told(1, Language::English), Operation::Hold.told(2, Language::English));
    }
}
