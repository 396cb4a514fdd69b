//! What people read of what is stuck, in English and Arabic. Arabic is not yet reviewed by a native speaker
//! of the field.

use super::{Cause, Lateness, Stage};
use crate::words::Language;

impl Stage {
    /// Every stage, in the order of a referral's life.
    pub const ALL: &'static [Self] = &[
        Self::NotFetched,
        Self::NotSeen,
        Self::NotAnswered,
        Self::IdentityDue,
        Self::Escalation,
        Self::InTransit,
        Self::NoWord,
        Self::TransferOffered,
    ];

    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NotFetched => "not_fetched",
            Self::NotSeen => "not_seen",
            Self::NotAnswered => "not_answered",
            Self::IdentityDue => "identity_due",
            Self::Escalation => "escalation",
            Self::InTransit => "in_transit",
            Self::NoWord => "no_word",
            Self::TransferOffered => "transfer_offered",
        }
    }

    /// For people.
    #[must_use]
    pub const fn text(self, language: Language) -> &'static str {
        let (english, arabic) = match self {
            Self::NotFetched => ("not fetched", "لم تُستلم بعد"),
            Self::NotSeen => ("not seen by a person", "لم يطّلع عليها أحد"),
            Self::NotAnswered => ("not answered", "بلا رد"),
            Self::IdentityDue => ("identity not received", "لم تصل البيانات التعريفية"),
            Self::Escalation => ("another agency to be asked", "بانتظار جهة أخرى"),
            Self::InTransit => ("on the way", "في الطريق"),
            Self::NoWord => ("no word since the acceptance", "لا خبر منذ القبول"),
            Self::TransferOffered => ("transfer not answered", "عرض نقل المسؤولية بلا رد"),
        };
        language.pick(english, arabic)
    }
}

impl Lateness {
    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::InTime => "in_time",
            Self::HalfOver => "half_over",
            Self::Missed => "missed",
        }
    }

    /// For people.
    #[must_use]
    pub const fn text(self, language: Language) -> &'static str {
        let (english, arabic) = match self {
            Self::InTime => ("in time", "ضمن المهلة"),
            Self::HalfOver => ("half of the time is over", "مضى نصف المهلة"),
            Self::Missed => ("the time is over", "انقضت المهلة"),
        };
        language.pick(english, arabic)
    }
}

impl Cause {
    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::RecipientSuspended => "recipient_suspended",
            Self::CannotOpen => "cannot_open",
            Self::AgentAway => "agent_away",
            Self::AgentSlow => "agent_slow",
            Self::NobodyLooked => "nobody_looked",
            Self::NobodyAnswered => "nobody_answered",
            Self::OnWaitlist => "on_waitlist",
            Self::IdentityNotSent => "identity_not_sent",
            Self::SenderAway => "sender_away",
            Self::NextInTurn => "next_in_turn",
            Self::NextBlocked(_) => "next_blocked",
            Self::NobodyLeft => "nobody_left",
            Self::OnHerWay => "on_her_way",
            Self::SilentSinceYes => "silent_since_yes",
            Self::TransferUnanswered => "transfer_unanswered",
            Self::Held => "held",
            Self::Returned => "returned",
        }
    }

    /// Why it does not come, for people.
    #[must_use]
    pub const fn text(self, language: Language) -> &'static str {
        let (english, arabic) = match self {
            Self::RecipientSuspended => ("The recipient is suspended.", "الجهة المستلِمة موقوفة مؤقتًا."),
            Self::CannotOpen => (
                "The recipient's agent could not open it: it is sealed to a key that is gone.",
                "تعذّر فتحها لدى الجهة المستلِمة: خُتمت بمفتاح لم يعد موجودًا.",
            ),
            Self::AgentAway => {
                ("The recipient's agent is not connected.", "برنامج الربط لدى الجهة المستلِمة غير متصل.")
            }
            Self::AgentSlow => (
                "The recipient's agent is connected, and has not signed for it.",
                "برنامج الربط لدى الجهة المستلِمة متصل ولم يوقّع على الاستلام.",
            ),
            Self::NobodyLooked => {
                ("The recipient has it; no person has opened it.", "وصلت إلى الجهة المستلِمة ولم يفتحها أحد.")
            }
            Self::NobodyAnswered => {
                ("A person has seen it; nobody has answered.", "اطّلع عليها شخص ولم يرد أحد.")
            }
            Self::OnWaitlist => ("It has a place on a waiting list.", "أُدرجت في قائمة الانتظار."),
            Self::IdentityNotSent => (
                "The agency that refers has not sent the identity.",
                "لم ترسل الجهة المُحيلة البيانات التعريفية.",
            ),
            Self::SenderAway => (
                "The identity has not come, and the agent of the agency that refers is not connected.",
                "لم تصل البيانات التعريفية، وبرنامج الربط لدى الجهة المُحيلة غير متصل.",
            ),
            Self::NextInTurn => (
                "The gateway asks the next agency when the time is over.",
                "تتولى البوابة سؤال الجهة التالية عند انقضاء المهلة.",
            ),
            Self::NextBlocked(_) => {
                ("No agency that she named can be asked.", "لا يمكن سؤال أي جهة وافقت عليها.")
            }
            Self::NobodyLeft => ("No agency is left that she named.", "لم تبقَ جهة وافقت عليها."),
            Self::OnHerWay => ("She has departed, and not arrived.", "انطلقت ولم تصل بعد."),
            Self::SilentSinceYes => (
                "The recipient accepted, and has said nothing for long.",
                "قبلت الجهة المستلِمة ولم ترسل أي خبر منذ مدة طويلة.",
            ),
            Self::TransferUnanswered => (
                "The recipient has not said whether it takes over the responsibility.",
                "لم تُجب الجهة المستلِمة على عرض نقل المسؤولية إليها.",
            ),
            Self::Held => ("Operators hold it back.", "حجزها المشغّلون."),
            Self::Returned => {
                ("Operators returned it to the agency that refers.", "أعادها المشغّلون إلى الجهة المُحيلة.")
            }
        };
        language.pick(english, arabic)
    }

    /// What to do next, for people.
    #[must_use]
    pub const fn next_act(self, language: Language) -> &'static str {
        let (english, arabic) = match self {
            Self::RecipientSuspended => (
                "Call the agency that refers: it should ask another agency.",
                "اتصل بالجهة المُحيلة لتسأل جهة أخرى.",
            ),
            Self::CannotOpen => (
                "Call the agency that refers: its agent must seal it again.",
                "اتصل بالجهة المُحيلة ليُعاد ختمها.",
            ),
            Self::AgentAway => (
                "Call the recipient: a machine or a line is down.",
                "اتصل بالجهة المستلِمة: الجهاز أو الخط متوقف.",
            ),
            Self::AgentSlow => (
                "Call the recipient's IT: look at the agent's log and disk.",
                "اتصل بقسم التقنية لدى الجهة المستلِمة لفحص سجل برنامج الربط والقرص.",
            ),
            Self::NobodyLooked => (
                "Call the recipient: a referral waits to be opened.",
                "اتصل بالجهة المستلِمة: إحالة تنتظر أن تُفتح.",
            ),
            Self::NobodyAnswered | Self::OnWaitlist => {
                ("Call the recipient: an answer is awaited.", "اتصل بالجهة المستلِمة: يُنتظر رد.")
            }
            Self::IdentityNotSent => (
                "Call the agency that refers: it must disclose.",
                "اتصل بالجهة المُحيلة لترسل البيانات التعريفية.",
            ),
            Self::SenderAway => (
                "Call the agency that refers: a machine or a line is down.",
                "اتصل بالجهة المُحيلة: الجهاز أو الخط متوقف.",
            ),
            Self::NextInTurn => ("Nothing now.", "لا شيء الآن."),
            Self::Held => (
                "Clear the suspicion; two operators release it, or return it to the agency that refers.",
                "تحقّق من أسباب الاشتباه، ثم يرفع مشغّلان الحجز أو يعيدانها إلى الجهة المُحيلة.",
            ),
            Self::NextBlocked(_) | Self::NobodyLeft | Self::Returned => (
                "Call the agency that refers: a person must decide how she goes on.",
                "اتصل بالجهة المُحيلة: على شخص أن يقرر الخطوة التالية.",
            ),
            Self::OnHerWay => (
                "Call the recipient: has she arrived? Then call the agency that refers.",
                "اتصل بالجهة المستلِمة: هل وصلت؟ ثم اتصل بالجهة المُحيلة.",
            ),
            Self::SilentSinceYes => (
                "Call the recipient: how does it go on? A note is enough.",
                "اتصل بالجهة المستلِمة: كيف تسير الحالة؟ تكفي ملاحظة واحدة.",
            ),
            Self::TransferUnanswered => (
                "Call the recipient: does it take over? Until then the agency that refers answers for her.",
                "اتصل بالجهة المستلِمة: هل تتولى المسؤولية؟ وحتى ذلك الحين تبقى على الجهة المُحيلة.",
            ),
        };
        language.pick(english, arabic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Refusal;

    const CAUSES: [Cause; 17] = [
        Cause::RecipientSuspended,
        Cause::CannotOpen,
        Cause::AgentAway,
        Cause::AgentSlow,
        Cause::NobodyLooked,
        Cause::NobodyAnswered,
        Cause::OnWaitlist,
        Cause::IdentityNotSent,
        Cause::SenderAway,
        Cause::NextInTurn,
        Cause::NextBlocked(Refusal::Expired),
        Cause::NobodyLeft,
        Cause::OnHerWay,
        Cause::SilentSinceYes,
        Cause::TransferUnanswered,
        Cause::Held,
        Cause::Returned,
    ];

    #[test]
    fn everything_has_both_languages_and_its_own_name() {
        let mut names = std::collections::BTreeSet::new();
        let mut both = |name: &'static str, text: &dyn Fn(Language) -> &'static str| {
            assert!(names.insert(name), "{name} twice");
            let (english, arabic) = (text(Language::English), text(Language::Arabic));
            assert!(english.is_ascii() && !english.is_empty(), "{name}");
            assert!(!arabic.is_empty() && !arabic.contains(|c: char| c.is_ascii_alphabetic()), "{name}");
        };
        Stage::ALL.iter().for_each(|one| both(one.name(), &|language| one.text(language)));
        for one in [Lateness::InTime, Lateness::HalfOver, Lateness::Missed] {
            both(one.name(), &|language| one.text(language));
        }
        for one in CAUSES {
            both(one.name(), &|language| one.text(language));
            assert!(one.next_act(Language::English).is_ascii(), "{one:?}");
            assert!(!one.next_act(Language::Arabic).contains(|c: char| c.is_ascii_alphabetic()), "{one:?}");
        }
    }
}
