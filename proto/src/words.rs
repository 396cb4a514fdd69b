//! Words of the rules that people read, in English and Arabic: times, urgencies, events. Arabic is not yet
//! reviewed by a native speaker of the field. Not here: refusals (`refusal`), counted things (`count`), and
//! what only one program says.

use crate::{clocks::ClockKind, evidence::Event, ids::Urgency};

pub use crate::language::Language;

/// How soon an answer is due.
#[must_use]
pub const fn urgency(urgency: Urgency, language: Language) -> &'static str {
    let (english, arabic) = match urgency {
        Urgency::Emergency => ("emergency", "طارئة"),
        Urgency::Urgent => ("urgent", "عاجلة"),
        Urgency::Normal => ("normal", "عادية"),
    };
    language.pick(english, arabic)
}

/// What was to come in a time limit.
#[must_use]
pub const fn clock(clock: ClockKind, language: Language) -> &'static str {
    let (english, arabic) = match clock {
        ClockKind::Delivered => ("delivery", "التسليم"),
        ClockKind::Seen => ("a person's look", "الاطلاع"),
        ClockKind::Answered => ("an answer", "الرد"),
        ClockKind::Escalation => ("asking the next agency", "الإحالة إلى الجهة التالية"),
        ClockKind::Disclosure => ("the identity", "البيانات التعريفية"),
        ClockKind::Transit => ("arrival", "الوصول"),
        ClockKind::Progress => ("word of how it goes on", "خبر عن سير الحالة"),
        ClockKind::Transfer => ("an answer to the transfer", "الرد على عرض نقل المسؤولية"),
        ClockKind::Held => ("a second operator's word on the hold", "تأكيد الحجز من مشغّل ثانٍ"),
    };
    language.pick(english, arabic)
}

/// What happened, for a timeline.
#[must_use]
pub const fn event(event: Event, language: Language) -> &'static str {
    let (english, arabic) = match event {
        Event::SubmissionAcceptance => ("taken by the gateway", "تسلّمتها البوابة"),
        Event::SubmissionRejection => ("refused by the gateway", "ردّتها البوابة"),
        Event::ContentConsignment => ("in the recipient's mailbox", "في صندوق الجهة المستلِمة"),
        Event::ContentConsignmentFailure => ("not put into the mailbox", "تعذّر إيداعها في الصندوق"),
        Event::ContentHandover => ("handed over to the recipient", "سُلِّمت إلى الجهة المستلِمة"),
        Event::ContentHandoverFailure => ("could not be handed over", "تعذّر تسليمها"),
        Event::ConsignmentAcceptance => ("accepted by a person", "قُبلت"),
        Event::ConsignmentRejection => ("declined by a person", "اعتُذر عن قبولها"),
        Event::AcceptanceRejectionExpiry => ("not answered in time", "انقضت مهلة الرد"),
        Event::Routed => ("recipient found by need", "حُدِّدت الجهة بحسب الاحتياج"),
        Event::Escalated => ("next agency asked", "أُحيلت إلى الجهة التالية"),
        Event::EscalationStopped => ("stopped: a person must look", "توقفت وتحتاج إلى نظر شخص"),
        Event::Seen => ("seen by a person", "جرى الاطلاع عليها"),
        Event::Act => ("act", "إجراء"),
        Event::ClockMissed => ("a time limit was missed", "انقضت مهلة"),
        Event::Expired => ("expired unheard", "انتهت صلاحيتها من دون تسليم"),
        Event::DisclosureReleased => ("identity released", "أُتيحت البيانات التعريفية"),
        Event::Recalled => ("recalled", "استُرجعت"),
        Event::Purged => ("destroyed by its holder", "أُتلفت لدى حائزها"),
        Event::ConsentWithdrawn => ("consent withdrawn", "سُحبت الموافقة"),
        Event::WithdrawalConfirmed => ("withdrawal carried out", "نُفِّذ سحب الموافقة"),
        Event::ReturnedForResealing => ("returned to be sealed anew", "أُعيدت لختمها من جديد"),
        Event::Erased => ("ciphertext erased", "حُذف المحتوى المختوم"),
        Event::NoticeSent => ("notice sent", "أُرسل إشعار"),
        Event::NoticeFailed => ("notice could not be sent", "تعذّر إرسال الإشعار"),
        Event::Taken => ("taken by a local user", "تسلّمها مستخدم"),
        Event::DirectoryChanged => ("directory changed", "تغيّر الدليل"),
        Event::DenialsCounted => ("refusals counted", "عُدَّت حالات الرد"),
        Event::Queried => ("evidence looked at", "اطُّلع على السجل"),
        Event::Operated => ("an operator acted", "إجراء تشغيلي"),
        Event::Started => ("gateway started", "بدأت البوابة"),
        Event::Stopped => ("gateway stopped", "توقفت البوابة"),
        Event::Outage => ("gateway was away", "انقطعت البوابة"),
        Event::ClockStepped => ("clock jumped", "قفزت الساعة"),
        Event::ClockConfirmed => ("clock confirmed", "أُكِّدت الساعة"),
        Event::HeadsCommitted => ("counts committed", "ثُبِّتت الأعداد"),
        Event::Restored => ("network restored", "استُعيدت الشبكة"),
        Event::DamageFound => ("damage found", "وُجد تلف"),
        Event::ForkAlarm => ("fork alarm", "إنذار تشعّب السجل"),
        Event::ShardBegun => ("log went on in a new shard", "استُؤنف السجل في جزء جديد"),
        Event::Looked => ("deliveries looked at", "اطُّلع على حال التسليم"),
    };
    language.pick(english, arabic)
}
