//! What people read of an alert, in English and Arabic: what is wrong, what to do first, and where the rest
//! of it is written down. Arabic is not yet reviewed by a native speaker of the field.

use super::{Code, Severity};
use crate::words::Language;

impl Severity {
    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Critical => "critical",
            Self::Warning => "warning",
        }
    }

    /// For people.
    #[must_use]
    pub const fn text(self, language: Language) -> &'static str {
        match self {
            Self::Critical => language.pick("critical", "حرج"),
            Self::Warning => language.pick("warning", "تنبيه"),
        }
    }
}

impl Code {
    /// Its stable name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::EmergencyUnseen => "emergency_unseen",
            Self::ForkAlarm => "fork_alarm",
            Self::ClockStepped => "clock_stepped",
            Self::DiskFull => "disk_full",
            Self::CrlEnding => "crl_ending",
            Self::ClockMissed => "clock_missed",
            Self::EscalationStopped => "escalation_stopped",
            Self::CertificateEnding => "certificate_ending",
            Self::AgencySilent => "agency_silent",
            Self::AgencyClock => "agency_clock",
            Self::MailboxGrowing => "mailbox_growing",
            Self::SyncSlow => "sync_slow",
            Self::Unwitnessed => "unwitnessed",
            Self::RefusedSpike => "refused_spike",
            Self::TellingFails => "telling_fails",
            Self::BackupOld => "backup_old",
            Self::IndexBehind => "index_behind",
        }
    }

    /// The code of a name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }

    /// Where it is written what to do: a section of the gateway's README.
    #[must_use]
    pub fn runbook(self) -> String {
        format!("gateway/README.md#{}", self.name())
    }

    /// What is wrong, for people.
    #[must_use]
    pub const fn text(self, language: Language) -> &'static str {
        let (english, arabic) = match self {
            Self::EmergencyUnseen => ("an emergency that nobody has seen", "حالة طارئة لم يطّلع عليها أحد"),
            Self::ForkAlarm => ("the log has forked", "تشعّب السجل"),
            Self::ClockStepped => ("the clock cannot be believed", "ساعة البوابة غير موثوقة"),
            Self::DiskFull => ("the disk is nearly full", "القرص يكاد يمتلئ"),
            Self::CrlEnding => ("revocation lists run out", "تقترب قوائم الإبطال من الانتهاء"),
            Self::ClockMissed => ("a time limit was missed", "انقضت مهلة"),
            Self::EscalationStopped => {
                ("nobody is asked any more, a person must decide", "لم تعد تُسأل أي جهة وعلى شخص أن يقرر")
            }
            Self::CertificateEnding => ("a certificate runs out", "تقترب شهادة من الانتهاء"),
            Self::AgencySilent => ("not connected for long", "غير متصلة منذ مدة طويلة"),
            Self::AgencyClock => {
                ("its clock is ahead: what it sends is refused", "ساعتها متقدمة: يُردّ ما ترسله")
            }
            Self::MailboxGrowing => ("a mailbox grows and is not emptied", "صندوق يمتلئ ولا يُفرَّغ"),
            Self::SyncSlow => ("writing to the disk takes long", "الكتابة على القرص بطيئة"),
            Self::Unwitnessed => ("no agent cosigns the log", "لا يشهد أحد على السجل"),
            Self::RefusedSpike => ("much is refused", "كثرت حالات الرد"),
            Self::TellingFails => ("people cannot be told of alerts", "تعذّر إبلاغ المعنيين بالتنبيهات"),
            Self::BackupOld => {
                ("the last backup is old, or there is none", "آخر نسخة احتياطية قديمة أو غير موجودة")
            }
            Self::IndexBehind => ("the index is not complete", "الفهرس غير مكتمل"),
        };
        language.pick(english, arabic)
    }

    /// What to do first, for people.
    #[must_use]
    pub const fn first_act(self, language: Language) -> &'static str {
        let (english, arabic) = match self {
            Self::EmergencyUnseen => ("Telephone its duty desk now.", "اتصل الآن بهاتف المناوبة لدى الجهة."),
            Self::ForkAlarm => (
                "Change nothing on the machine. Call both administrators.",
                "لا تغيّر شيئًا على الجهاز، واتصل بالمسؤولين الاثنين.",
            ),
            Self::ClockStepped => ("Set the machine's clock right.", "اضبط ساعة الجهاز."),
            Self::DiskFull => ("Make room on the disk.", "أفسح مجالًا على القرص."),
            Self::CrlEnding => (
                "Sign the lists again: then nobody is locked out.",
                "وقّع القوائم من جديد كيلا يُمنع أحد من الاتصال.",
            ),
            Self::ClockMissed => ("Telephone the agency.", "اتصل بالجهة."),
            Self::EscalationStopped => (
                "Telephone the agency: a person there must decide how she goes on.",
                "اتصل بالجهة: على شخص لديها أن يقرر الخطوة التالية.",
            ),
            Self::CertificateEnding => {
                ("Find out why it was not renewed by itself.", "تحقق من سبب عدم تجديدها تلقائيًا.")
            }
            Self::AgencySilent => (
                "Telephone its IT: a machine or a line is down.",
                "اتصل بقسم التقنية لديها: الجهاز أو الخط متوقف.",
            ),
            Self::AgencyClock => (
                "Telephone its IT: its machine's clock is to be set right.",
                "اتصل بقسم التقنية لديها لضبط ساعة الجهاز.",
            ),
            Self::MailboxGrowing => (
                "Telephone its IT: its agent does not fetch.",
                "اتصل بقسم التقنية لديها: برنامج الربط لا يستلم.",
            ),
            Self::SyncSlow => ("Look at the disk and at what else uses it.", "افحص القرص وما يستخدمه سواه."),
            Self::Unwitnessed => ("See which agents are connected.", "تحقق من برامج الربط المتصلة."),
            Self::RefusedSpike => {
                ("See in the audit who is refused, and why.", "راجع في التدقيق من رُدّ ولماذا.")
            }
            Self::TellingFails => {
                ("Try the ways, and read why one fails.", "جرّب طرق الإبلاغ واقرأ سبب التعذّر.")
            }
            Self::BackupOld => ("Make a backup now.", "أنشئ نسخة احتياطية الآن."),
            Self::IndexBehind => {
                ("Look at the log; it is built by itself.", "راجع السجل؛ يُبنى الفهرس تلقائيًا.")
            }
        };
        language.pick(english, arabic)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_has_its_own_name_and_both_languages() {
        let mut names = std::collections::BTreeSet::new();
        for code in Code::ALL {
            assert!(names.insert(code.name()), "{code:?}");
            assert_eq!(Code::of_name(code.name()), Some(*code));
            for text in
                [|code: Code, language| code.text(language), |code: Code, language| code.first_act(language)]
            {
                assert!(text(*code, Language::English).is_ascii(), "{code:?}");
                let arabic = text(*code, Language::Arabic);
                assert!(
                    !arabic.is_empty() && !arabic.contains(|c: char| c.is_ascii_alphabetic()),
                    "{code:?}"
                );
            }
        }
        assert!(Code::ALL.is_sorted(), "the gravest first");
        assert!(Code::ALL.is_sorted_by_key(|code| code.severity()));
        assert_eq!(Code::of_name("no_such"), None);
    }
}
