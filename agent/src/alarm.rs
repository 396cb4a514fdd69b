//! Alarms: things that must not happen, and did; what each means, and how people settle it. Not here: what
//! raises them (`link`, `office`).

use std::collections::BTreeSet;

use proto::{digest::Digest, wire::LogName};
use thiserror::Error;

use crate::{
    records::{self, AlarmKind, SettledReason},
    store::StoreFault,
};

/// Most alarms that are shown; the first ones stay.
pub const ALARMS_MAX: usize = 100;
/// Length of the name by which an alarm is settled.
const NAME_CHARS: usize = 8;

/// Something that must not happen, and did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alarm {
    /// What.
    pub kind: AlarmKind,
    /// An envelope.
    pub about: Option<Digest>,
    /// A checkpoint or a key's id: public things only.
    pub detail: String,
    /// When.
    pub at_ms: u64,
}

impl Alarm {
    /// As it was written down.
    #[must_use]
    pub fn of(at_ms: u64, alarm: &records::Alarm) -> Self {
        let about = Digest::parse(&alarm.about, "about").ok();
        Self { kind: alarm.kind(), about, detail: alarm.detail.clone(), at_ms }
    }

    /// As it is written down.
    #[must_use]
    pub fn to_record(&self) -> records::Alarm {
        let about = self.about.map_or_else(Vec::new, Digest::to_vec);
        records::Alarm { kind: self.kind.into(), about, detail: self.detail.clone() }
    }

    /// Whether it says the same as another one, whenever.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        (self.kind, self.about, &self.detail) == (other.kind, other.about, &other.detail)
    }

    /// The name by which it is settled; follows from what it says.
    #[must_use]
    pub fn name(&self) -> String {
        let about = self.about.map_or_else(Vec::new, Digest::to_vec);
        let kind = self.kind.as_str_name().as_bytes();
        let digest = Digest::of_all(&[b"alarm\0", kind, b"\0", &about, b"\0", self.detail.as_bytes()]);
        digest.to_string().chars().take(NAME_CHARS).collect()
    }

    /// Whether nothing may be sealed any more until people have looked.
    #[must_use]
    pub const fn stops_sealing(&self) -> bool {
        match self.kind {
            AlarmKind::Fork | AlarmKind::UnlawfulEntry | AlarmKind::ForeignKey => true,
            AlarmKind::Unspecified | AlarmKind::BadReceipt | AlarmKind::BadDelivery | AlarmKind::NewShard => {
                false
            }
        }
    }

    /// What it means, and what to do before it is settled.
    #[must_use]
    pub const fn text_en(&self) -> &'static str {
        match self.kind {
            AlarmKind::Fork => {
                "A log of the network is not the one that was seen before: somebody may be showing different \
                 agencies different things. Telephone the administrators, and compare with another agency."
            }
            AlarmKind::UnlawfulEntry => {
                "The directory holds an entry that its rules refuse. Telephone the administrators; see that this \
                 agent is of the present release."
            }
            AlarmKind::ForeignKey => {
                "The directory holds a key of your agency that this agent does not have: somebody may be reading \
                 along. Telephone the administrators, and have the key revoked."
            }
            AlarmKind::BadReceipt => {
                "The gateway gave a receipt that does not prove what it should. It was not kept, and what it was \
                 for is pushed again. Tell the administrators."
            }
            AlarmKind::BadDelivery => {
                "Something came that its sender did not sign, or not for you. It was not kept. Tell the \
                 administrators."
            }
            AlarmKind::NewShard => {
                "The gateway was restored from a backup, and two administrators let its logs go on under a new \
                 name. What it had lost of your agency's is pushed again by itself; `agent status` says how much \
                 is left. Telephone the administrators, and ask whether they did this."
            }
            AlarmKind::Unspecified => "An alarm of a later release. Install that one.",
        }
    }

    /// The same in Arabic.
    #[must_use]
    pub const fn text_ar(&self) -> &'static str {
        match self.kind {
            AlarmKind::Fork => {
                "أحد سجلات الشبكة ليس السجل الذي شوهد من قبل: قد تُعرض على الجهات أمور مختلفة. اتصل بالمسؤولين \
                 هاتفيًا وقارن مع جهة أخرى."
            }
            AlarmKind::UnlawfulEntry => {
                "في الدليل قيد لا تقبله قواعده. اتصل بالمسؤولين هاتفيًا وتأكد من أن هذا البرنامج بإصداره الحالي."
            }
            AlarmKind::ForeignKey => {
                "في الدليل مفتاح باسم جهتك ليس لدى هذا البرنامج: قد يطّلع طرف آخر على ما يُرسل إليكم. اتصل \
                 بالمسؤولين هاتفيًا واطلب إلغاء المفتاح."
            }
            AlarmKind::BadReceipt => {
                "أعطت البوابة إيصالًا لا يثبت ما يجب أن يثبته. لم يُحفظ، ويُعاد إرسال ما كان له. أبلغ المسؤولين."
            }
            AlarmKind::BadDelivery => "ورد شيء لم يوقّعه مرسله أو ليس موجهًا إليك. لم يُحفظ. أبلغ المسؤولين.",
            AlarmKind::NewShard => {
                "استُعيدت البوابة من نسخة احتياطية، وسمح مسؤولان باستئناف سجلاتها باسم جديد. يُعاد تلقائيًا إرسال \
                 ما فُقد لديها مما أرسلته جهتك. اتصل بالمسؤولين هاتفيًا واسألهم هل فعلوا ذلك."
            }
            AlarmKind::Unspecified => "إنذار من إصدار لاحق. ثبّت ذلك الإصدار.",
        }
    }
}

/// Why an alarm was not settled.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotSettled {
    /// No alarm that stands has this name.
    #[error("no alarm that stands has this name; `agent settle-alarm` lists them")]
    Unknown,
    /// No reason.
    #[error("an alarm is settled for a reason, which is one of the codes")]
    NoReason,
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreFault),
}

/// The alarms that stand, and what must be proven before anything is sealed again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alarms {
    standing: Vec<Alarm>,
    unproven: BTreeSet<Unproven>,
}

/// A log that a settled alarm was about, or could have been.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Unproven {
    Evidence,
    Directory,
}

impl Alarms {
    /// Those that stand.
    #[must_use]
    pub fn standing(&self) -> &[Alarm] {
        &self.standing
    }

    /// The alarm of this name that stands.
    #[must_use]
    pub fn find(&self, name: &str) -> Option<&Alarm> {
        self.standing.iter().find(|alarm| alarm.name() == name)
    }

    /// Whether one stands that says the same.
    #[must_use]
    pub fn stands(&self, alarm: &Alarm) -> bool {
        self.standing.iter().any(|there| there.is_same(alarm))
    }

    /// Whether none of them keeps parts from being sealed.
    #[must_use]
    pub fn may_seal(&self) -> bool {
        self.unproven.is_empty() && !self.standing.iter().any(Alarm::stops_sealing)
    }

    /// Whether a log must be proven consistent with what was seen of it, before anything is sealed.
    #[must_use]
    pub fn is_unproven(&self, log: LogName) -> bool {
        unproven(log).is_some_and(|log| self.unproven.contains(&log))
    }

    pub(crate) fn raise(&mut self, alarm: Alarm) {
        if self.standing.len() < ALARMS_MAX && !self.stands(&alarm) {
            self.standing.push(alarm);
        }
    }

    /// People have looked. What stopped sealing is not believed for that: both logs must be shown to be
    /// those that were seen before, by the gateway of now.
    pub(crate) fn settle(&mut self, settled: &Alarm) {
        self.standing.retain(|alarm| !alarm.is_same(settled));
        if settled.stops_sealing() {
            self.unproven.extend([Unproven::Evidence, Unproven::Directory]);
        }
    }

    pub(crate) fn proven(&mut self, log: LogName) {
        if let Some(log) = unproven(log) {
            self.unproven.remove(&log);
        }
    }
}

const fn unproven(log: LogName) -> Option<Unproven> {
    match log {
        LogName::Evidence => Some(Unproven::Evidence),
        LogName::Directory => Some(Unproven::Directory),
        LogName::Unspecified => None,
    }
}

/// Every reason with its code.
pub const REASONS: [(SettledReason, &str); 4] = [
    (SettledReason::Mended, "mended"),
    (SettledReason::Explained, "explained"),
    (SettledReason::Exercise, "exercise"),
    (SettledReason::FalseAlarm, "false-alarm"),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn alarm(kind: AlarmKind, detail: &str) -> Alarm {
        Alarm { kind, about: None, detail: detail.into(), at_ms: 1 }
    }

    const LOGS: [LogName; 2] = [LogName::Evidence, LogName::Directory];

    #[test]
    fn what_stopped_sealing_is_not_over_when_it_is_settled() {
        for kind in [AlarmKind::Fork, AlarmKind::UnlawfulEntry, AlarmKind::ForeignKey] {
            let (mut alarms, fork) = (Alarms::default(), alarm(kind, "directory log"));
            alarms.raise(fork.clone());
            assert!(!alarms.may_seal());
            alarms.settle(&fork);
            assert!(alarms.standing().is_empty() && !alarms.may_seal(), "nothing is proven yet");
            alarms.proven(LogName::Directory);
            assert!(!alarms.may_seal(), "the evidence log is not");
            // The same happens again: it is an alarm again.
            alarms.raise(fork.clone());
            assert_eq!(alarms.standing().len(), 1);
            alarms.settle(&fork);
            LOGS.into_iter().for_each(|log| alarms.proven(log));
            assert!(alarms.may_seal());
        }
    }

    #[test]
    fn what_stops_nothing_is_settled_alone() {
        let mut alarms = Alarms::default();
        let (one, other) = (alarm(AlarmKind::BadReceipt, "one"), alarm(AlarmKind::BadReceipt, "other"));
        alarms.raise(one.clone());
        alarms.raise(other.clone());
        alarms.raise(Alarm { at_ms: 2, ..one.clone() });
        assert_eq!(alarms.find(&one.name()), Some(&one));
        alarms.settle(&one);
        assert_eq!(alarms.standing(), [other]);
        assert!(alarms.may_seal() && alarms.find(&one.name()).is_none());
    }

    #[test]
    fn only_so_many_are_shown_and_the_first_ones_stay() {
        let mut alarms = Alarms::default();
        (0..=ALARMS_MAX).for_each(|number| alarms.raise(alarm(AlarmKind::BadDelivery, &number.to_string())));
        assert_eq!(alarms.standing().len(), ALARMS_MAX);
        assert_eq!(alarms.standing()[0].detail, "0");
    }

    #[test]
    fn every_kind_says_what_it_means_and_has_a_name_of_its_own() {
        let kinds = [
            AlarmKind::Fork,
            AlarmKind::UnlawfulEntry,
            AlarmKind::ForeignKey,
            AlarmKind::BadReceipt,
            AlarmKind::BadDelivery,
            AlarmKind::NewShard,
        ];
        let mut names = BTreeSet::new();
        for kind in kinds {
            let alarm = alarm(kind, "x");
            assert!(alarm.text_en().ends_with('.') && alarm.text_ar().ends_with('.'));
            assert!(!alarm.text_ar().contains(|c: char| c.is_ascii_alphabetic()));
            assert!(names.insert(alarm.name()) && alarm.name().len() == NAME_CHARS);
            assert_eq!(Alarm::of(1, &alarm.to_record()), alarm);
        }
    }
}
