//! Words that people read, in English and Arabic. Arabic is not yet reviewed by a native speaker of
//! the field; it follows the field's glossary. Not here: refusals (`proto::refusal`) and flaws
//! (`document`), which bring their own.

use proto::{
    count::{Adjective, Noun, Place},
    ids::ReasonClass,
    lifecycle::{Act, Status},
    vocabulary::{KINDS, STATUSES, Vocabulary},
};

pub use proto::words::{Language, clock, event, urgency};

/// So many of something.
#[must_use]
pub fn counted(noun: Noun, count: u64, language: Language) -> String {
    match language {
        Language::English => noun.english(count),
        Language::Arabic => noun.arabic(count, Place::Subject),
    }
}

/// So many of something that are as an adjective says.
#[must_use]
pub fn counted_that(noun: Noun, count: u64, adjective: Adjective, language: Language) -> String {
    match language {
        Language::English => noun.english_that(count, adjective),
        Language::Arabic => noun.arabic_that(count, adjective),
    }
}

/// The label of a code that stands at some place of its vocabulary.
fn label(vocabulary: &Vocabulary, place: Option<usize>, language: Language) -> &'static str {
    match place.and_then(|place| vocabulary.terms.get(place)) {
        Some(term) => language.pick(term.en, term.ar),
        // The vocabularies of our own lists have all of them: a test of theirs says so.
        None => "?",
    }
}

/// Where a referral stands. A referral is feminine in Arabic.
#[must_use]
pub fn status(status: Status, language: Language) -> &'static str {
    label(STATUSES, Status::ALL.iter().position(|one| *one == status), language)
}

/// What an envelope carries, by the code of its kind.
#[must_use]
pub fn kind(code: &str, language: Language) -> &'static str {
    label(KINDS, KINDS.codes().position(|one| one == code), language)
}

/// An act, by the word of the command line.
#[must_use]
pub const fn verb(act: Act) -> &'static str {
    match act {
        Act::Submit => "send",
        Act::See => "see",
        Act::Accept => "accept",
        Act::Decline => "decline",
        Act::Waitlist => "waitlist",
        Act::Schedule => "schedule",
        Act::NoShow => "no-show",
        Act::Depart => "depart",
        Act::Arrive => "arrive",
        Act::Start => "start",
        Act::Hold => "hold",
        Act::Resume => "resume",
        Act::DeliverService => "deliver-service",
        Act::Complete => "complete",
        Act::Fail => "fail",
        Act::RequestCancel => "request-cancel",
        Act::ConfirmCancel => "confirm-cancel",
        Act::RefuseCancel => "refuse-cancel",
        Act::Recall => "recall",
        Act::ConfirmPurge => "confirm-purge",
        Act::Disclose => "disclose",
        Act::WithdrawConsent => "withdraw-consent",
        Act::ConfirmWithdrawal => "confirm-withdrawal",
        Act::ChangeContact => "change-contact",
        Act::RequestInformation => "request-information",
        Act::GiveInformation => "give-information",
        Act::OfferTransfer => "offer-transfer",
        Act::AcceptTransfer => "accept-transfer",
        Act::DeclineTransfer => "decline-transfer",
        Act::Invite => "invite",
        Act::Leave => "leave",
        Act::EnteredInError => "entered-in-error",
        Act::Note => "note",
        Act::Reseal => "reseal",
    }
}

/// An act, for reading.
#[must_use]
pub const fn act(act: Act, language: Language) -> &'static str {
    let arabic = match act {
        Act::Submit => "إرسال",
        Act::See => "اطلاع",
        Act::Accept => "قبول",
        Act::Decline => "اعتذار عن القبول",
        Act::Waitlist => "إدراج في قائمة الانتظار",
        Act::Schedule => "تحديد موعد",
        Act::NoShow => "لم يتم الحضور",
        Act::Depart => "انطلاق",
        Act::Arrive => "وصول",
        Act::Start => "بدء الخدمة",
        Act::Hold => "تعليق مؤقت",
        Act::Resume => "استئناف",
        Act::DeliverService => "تقديم الخدمة",
        Act::Complete => "إتمام",
        Act::Fail => "تعذّر",
        Act::RequestCancel => "طلب سحب",
        Act::ConfirmCancel => "تأكيد السحب",
        Act::RefuseCancel => "اعتذار عن السحب",
        Act::Recall => "استرجاع",
        Act::ConfirmPurge => "تأكيد الإتلاف",
        Act::Disclose => "إرسال البيانات التعريفية",
        Act::WithdrawConsent => "سحب الموافقة",
        Act::ConfirmWithdrawal => "تأكيد سحب الموافقة",
        Act::ChangeContact => "تغيير وسيلة التواصل",
        Act::RequestInformation => "طلب معلومات",
        Act::GiveInformation => "تقديم معلومات",
        Act::OfferTransfer => "عرض نقل المسؤولية",
        Act::AcceptTransfer => "قبول نقل المسؤولية",
        Act::DeclineTransfer => "اعتذار عن نقل المسؤولية",
        Act::Invite => "دعوة",
        Act::Leave => "مغادرة",
        Act::EnteredInError => "أُدخلت بالخطأ",
        Act::Note => "ملاحظة",
        Act::Reseal => "ختم من جديد",
    };
    language.pick(verb(act), arabic)
}

/// Why, as coarse as the header says it.
#[must_use]
pub const fn reason(reason: ReasonClass, language: Language) -> &'static str {
    let (english, arabic) = match reason {
        ReasonClass::NoCapacity => ("no capacity", "لا توجد سعة"),
        ReasonClass::ServiceUnavailable => ("service not available", "الخدمة غير متاحة"),
        ReasonClass::OutOfArea => ("out of area", "خارج نطاق العمل"),
        ReasonClass::Other => ("another reason", "سبب آخر"),
        ReasonClass::Served => ("served", "قُدِّمت الخدمة"),
        ReasonClass::PartlyServed => ("partly served", "قُدِّمت جزئيًا"),
        ReasonClass::NotServed => ("not served", "لم تُقدَّم"),
    };
    language.pick(english, arabic)
}

/// A text of another agency's for a line on a screen or in a file: nothing in it ends the line, steers a
/// terminal, or turns what stands around it.
#[must_use]
pub fn printable(text: &str) -> String {
    let steers = |c: char| {
        c.is_control()
            || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars().map(|c| if steers(c) { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use proto::{clocks::ClockKind, evidence::Event, ids::Urgency};

    use super::*;

    fn is_arabic(text: &str) -> bool {
        text.chars().any(|c| ('\u{620}'..='\u{64a}').contains(&c))
            && !text.contains(|c: char| c.is_ascii_alphabetic())
    }

    #[test]
    fn what_others_wrote_steers_nothing() {
        assert_eq!(printable("a\nb\u{1b}[2J\u{202e}c\u{2067}d\u{2028}"), "a b [2J c d ");
        assert_eq!(printable("مرحبا 12"), "مرحبا 12");
    }

    #[test]
    fn everything_has_both_languages() {
        let both = |of: &dyn Fn(Language) -> &'static str| {
            assert!(is_arabic(of(Language::Arabic)), "{}", of(Language::English));
            assert!(of(Language::English).is_ascii() && !of(Language::English).is_empty());
        };
        Status::ALL.iter().for_each(|one| both(&|language| status(*one, language)));
        KINDS.codes().for_each(|one| both(&|language| kind(one, language)));
        Urgency::ALL.iter().for_each(|one| both(&|language| urgency(*one, language)));
        Act::ALL.iter().for_each(|one| both(&|language| act(*one, language)));
        ReasonClass::ALL.iter().for_each(|one| both(&|language| reason(*one, language)));
        Event::ALL.iter().for_each(|one| both(&|language| event(*one, language)));
        ClockKind::ALL.iter().for_each(|one| both(&|language| clock(*one, language)));
        let mut verbs: Vec<_> = Act::ALL.iter().map(|act| verb(*act)).collect();
        verbs.sort_unstable();
        verbs.dedup();
        assert_eq!(verbs.len(), Act::ALL.len());
    }

    #[test]
    fn words_that_the_glossary_bars_are_not_used() {
        let all = Status::ALL.iter().map(|one| status(*one, Language::Arabic));
        let all = all.chain(Act::ALL.iter().map(|one| act(*one, Language::Arabic)));
        let all = all.chain(Event::ALL.iter().map(|one| event(*one, Language::Arabic)));
        for text in all {
            for barred in ["مرفوض", "الضحية", "وكيل", "فشل", "هروب", "تحويل", "رفض"]
            {
                assert!(!text.contains(barred), "{text}");
            }
        }
    }

    #[test]
    fn counts_are_of_their_language() {
        assert_eq!(counted(Noun::Referral, 2, Language::Arabic), "إحالتان");
        assert_eq!(counted(Noun::Referral, 1, Language::English), "1 referral");
        let waiting = |count, language| counted_that(Noun::Envelope, count, Adjective::Waiting, language);
        assert_eq!(waiting(3, Language::Arabic), "3 مغلفات منتظرة");
        assert_eq!(waiting(3, Language::English), "3 waiting envelopes");
    }
}
