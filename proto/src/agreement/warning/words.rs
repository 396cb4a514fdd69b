//! The sentences of warnings: what is wrong, and what to do, in English and in Arabic, which is not yet
//! reviewed by a native speaker of the field.

use super::{Difference, List, Unsaid, Warning};
use crate::{
    agreement::telling::{listed, urgency_word},
    calendar::written,
    count::{Noun, Place},
    language::Language,
};

impl Warning {
    #[allow(clippy::too_many_lines, reason = "one arm for each warning")]
    pub(super) fn english(&self) -> String {
        const E: Language = Language::English;
        let days = |days: u64| Noun::Day.english(days);
        match self {
            Self::Refused { refusal, .. } => refusal.text_en().to_owned(),
            Self::ListEmpty { list, .. } => {
                format!("Its list of {} is empty, so it allows nothing. Fill it, or take the clause out.", list.word(E))
            }
            Self::ClauseCovered { by, .. } => format!(
                "The clause {by} stands before it and allows all of it already, so this one never counts. Take one out."
            ),
            Self::ClausesDiffer { first, differ, .. } => format!(
                "It is for some of the same referrals as the clause {first}, and says otherwise on {}. {first} stands \
                 before it and counts where it allows an envelope; what it does not allow, this one may. Keep them apart.",
                listed(E, differ.iter().map(|one| one.word(E).to_owned()))
            ),
            Self::CodeUnknown { code, nearest: Some(nearest), .. } => {
                format!("No referral has the code {code}. Was {nearest} meant?")
            }
            Self::CodeUnknown { code, nearest: None, .. } => {
                format!("No referral has the code {code}. `agent codes` lists those that there are.")
            }
            Self::CodeTooFine { code, parent, .. } => format!(
                "Referrals never say {code} to the gateway, only {parent}, so {code} allows nothing. Write {parent}."
            ),
            Self::ClocksUnused { urgency, .. } => format!(
                "It has time limits for {} referrals, which it does not allow.",
                urgency_word(*urgency, E)
            ),
            Self::CalendarUnused { .. } => "It names a calendar, and no time limit of its own that counts in it: the \
                 network's limits and those of emergencies count around the clock."
                .to_owned(),
            Self::LimitBeyond { .. } => "It allows larger attachments than the gateway carries (2 GiB).".to_owned(),
            Self::LimitTooSmall { .. } => {
                "envelope_bytes_max is so small that no sealed summary fits: nothing could be sent. Give 16384 or more."
                    .to_owned()
            }
            Self::LimitOfZero { .. } => {
                "A limit of 0 is the network's own limit, and not none at all. Leave it out.".to_owned()
            }
            Self::KeepsNothing { .. } => {
                "The sender keeps the identity until an acceptance, but identity never travels by this clause."
                    .to_owned()
            }
            Self::NoReturn { from, to } => format!(
                "{from} may send to {to}, but {to} may send nothing of its own back: it can answer, and neither refer \
                 nor write. Add a clause for the way back, if that is not meant so."
            ),
            Self::PartyIdle { party } => format!("{party} signs, but stands in no clause."),
            Self::NoOffice { party } => format!("It does not say, in both languages, which office signs for {party}."),
            Self::Unsaid(Unsaid::Title) => "It has no title in both languages.".to_owned(),
            Self::Unsaid(Unsaid::LegalBasis) => "It does not say what it rests on (legal_basis).".to_owned(),
            Self::Unsaid(Unsaid::HostingCountry) => {
                "It does not say in which country the gateway may stand (hosting_country).".to_owned()
            }
            Self::Unsaid(Unsaid::Paper) => {
                "It names no signed paper (paper_sha256): nobody can tell later which paper this is.".to_owned()
            }
            Self::Unsaid(Unsaid::Retention) => {
                "It does not say for how long the gateway keeps what is sealed (retention_days).".to_owned()
            }
            Self::IdentityAtOnce { .. } => {
                "It lets who she is travel before anybody has accepted: also to an agency that then declines."
                    .to_owned()
            }
            Self::IdentityNever { .. } => {
                "It allows referrals whose recipient never learns who she is, not even when it has accepted.".to_owned()
            }
            Self::NotYet { from } => {
                format!("It is not in force before {}. Until then it allows nothing.", written(*from))
            }
            Self::EndsSoon { days: left } => format!("It ends within {}. Sign its renewal in time.", days(left.saturating_add(1))),
            Self::VeryLong { days: long } => {
                format!("It is in force for {}: longer than 10 years. Is its end right?", days(*long))
            }
            Self::KeptLong { days: kept } => format!(
                "The gateway would keep what is sealed for {} after an envelope has expired. Recipients keep what they \
                 need; the gateway need not.",
                days(*kept)
            ),
            Self::RenewalGap { days: gap } => format!(
                "It begins {} after the former has ended. In between nothing may be sent.",
                days(gap.saturating_add(1))
            ),
            Self::RenewalDrops { .. } => "The former lets identity travel by it, and this one does not: of referrals \
                 that were sent by it, the identity is not handed over any more. Keep the clause's name and direction, \
                 if that is not meant so."
                .to_owned(),
            Self::NotByNameOnly { to, .. } => format!(
                "{to} is of a type that is asked by name only, with an own consent and a second person. Say so: \
                 by_name_only = true."
            ),
            Self::ElsewhereOnly { jurisdiction, .. } => {
                format!("Neither of the two acts in {jurisdiction}, as far as the directory says.")
            }
            Self::NoDutyPhone { to, .. } => format!(
                "It allows emergencies, and the directory has no duty telephone of {to}. Ask it to publish one."
            ),
            Self::NotOffered { to, service, .. } => {
                format!("{to} says which services it offers, and {service} is not among them.")
            }
            Self::OtherAgreement { agreement, .. } => format!(
                "Another agreement in force, {agreement}, is for some of the same referrals. Which one counts is the \
                 sender's to say. Renew that one instead, or let it end."
            ),
        }
    }

    #[allow(clippy::too_many_lines, reason = "one arm for each warning")]
    pub(super) fn arabic(&self) -> String {
        const A: Language = Language::Arabic;
        let of = |name: &str| A.isolated(name);
        let days = |days: u64| Noun::Day.arabic(days, Place::Governed);
        match self {
            Self::Refused { refusal, .. } => refusal.text_ar().to_owned(),
            Self::ListEmpty { list, .. } => {
                format!("قائمة {} فارغة، فلا يسمح البند بشيء. أكملها أو احذف البند.", list.word(A))
            }
            Self::ClauseCovered { by, .. } => format!(
                "يسبقه البند {} ويسمح بكل ما فيه، فلا يُعمل بهذا البند أبدًا. احذف أحدهما.",
                of(by.as_str())
            ),
            Self::ClausesDiffer { first, differ, .. } => {
                let first = of(first.as_str());
                let differ = listed(A, differ.iter().map(|one| one.word(A).to_owned()));
                format!(
                    "يشمل بعض الإحالات التي يشملها البند {first} ويختلف عنه في: {differ}. يُعمل بالبند {first} أولًا \
                     حيث يسمح بالمغلف، وما لا يسمح به قد يسمح به هذا البند. افصل بينهما."
                )
            }
            Self::CodeUnknown { code, nearest: Some(nearest), .. } => {
                format!("لا تحمل أي إحالة الرمز {}. هل المقصود {}؟", of(code.as_str()), of(nearest))
            }
            Self::CodeUnknown { code, nearest: None, .. } => format!(
                "لا تحمل أي إحالة الرمز {}. يعرض الأمر {} الرموز المتاحة.",
                of(code.as_str()),
                of("agent codes")
            ),
            Self::CodeTooFine { code, parent, .. } => format!(
                "لا تذكر الإحالات للبوابة الرمز {code} بل {parent} فقط، فلا يسمح {code} بشيء. اكتب {parent}.",
                code = of(code.as_str()),
                parent = of(parent)
            ),
            Self::ClocksUnused { urgency, .. } => {
                format!("فيه مهل لإحالات {} لا يسمح بها.", urgency_word(*urgency, A))
            }
            Self::CalendarUnused { .. } => {
                "يذكر تقويمًا وليست فيه مهلة خاصة به تُحسب بهذا التقويم: مهل الشبكة ومهل الحالات الطارئة تُحسب على مدار الساعة."
                    .to_owned()
            }
            Self::LimitBeyond { .. } => {
                format!("يسمح بمرفقات أكبر مما تنقله البوابة ({}).", of("2 GiB"))
            }
            Self::LimitTooSmall { .. } => {
                format!(
                    "الحد {} صغير إلى درجة لا يتسع معها أي ملخص مختوم، فلا يمكن إرسال شيء. اجعله {} أو أكثر.",
                    of("envelope_bytes_max"),
                    of("16384")
                )
            }
            Self::LimitOfZero { .. } => "الحد صفر يعني حد الشبكة نفسه، ولا يعني المنع. احذفه.".to_owned(),
            Self::KeepsNothing { .. } => {
                "تبقى البيانات التعريفية لدى الجهة المرسِلة حتى القبول، لكنها لا تُرسل مطلقًا بموجب هذا البند."
                    .to_owned()
            }
            Self::NoReturn { from, to } => format!(
                "يجوز أن ترسل {from} إلى {to}، ولا يجوز أن ترسل {to} شيئًا من عندها: يمكنها الرد، ولا يمكنها الإحالة ولا \
                 المراسلة. أضف بندًا للاتجاه المقابل إن لم يكن ذلك مقصودًا.",
                from = of(from.as_str()),
                to = of(to.as_str())
            ),
            Self::PartyIdle { party } => format!("توقّع {} ولا يرد ذكرها في أي بند.", of(party.as_str())),
            Self::NoOffice { party } => {
                format!("لا تذكر باللغتين المكتب الذي يوقّع عن {}.", of(party.as_str()))
            }
            Self::Unsaid(Unsaid::Title) => "ليس لها عنوان باللغتين.".to_owned(),
            Self::Unsaid(Unsaid::LegalBasis) => {
                format!("لا تذكر أساسها القانوني ({}).", of("legal_basis"))
            }
            Self::Unsaid(Unsaid::HostingCountry) => {
                format!("لا تذكر الدولة التي يجوز أن توجد فيها البوابة ({}).", of("hosting_country"))
            }
            Self::Unsaid(Unsaid::Paper) => format!(
                "لا تذكر بصمة النسخة الورقية الموقّعة ({})، فلا يمكن لاحقًا معرفة أي نسخة هي.",
                of("paper_sha256")
            ),
            Self::Unsaid(Unsaid::Retention) => {
                format!("لا تذكر مدة احتفاظ البوابة بالمحتوى المختوم ({}).", of("retention_days"))
            }
            Self::IdentityAtOnce { .. } => {
                "يسمح بإرسال البيانات التعريفية قبل أن تقبل أي جهة، ومن ذلك إلى جهة تعتذر بعد ذلك.".to_owned()
            }
            Self::IdentityNever { .. } => {
                "يسمح بإحالات لا تصل فيها البيانات التعريفية إلى الجهة المستلِمة حتى بعد قبولها.".to_owned()
            }
            Self::NotYet { from } => format!(
                "لا يبدأ سريانها قبل {}. ولا تسمح بشيء حتى ذلك الحين.",
                of(&written(*from))
            ),
            Self::EndsSoon { days: left } => {
                format!("ينتهي سريانها خلال {}. وقّعوا تجديدها في الوقت المناسب.", days(left.saturating_add(1)))
            }
            Self::VeryLong { days: long } => {
                format!("تسري لمدة {}، أي أكثر من 10 سنوات. هل تاريخ انتهائها صحيح؟", days(*long))
            }
            Self::KeptLong { days: kept } => format!(
                "تحتفظ البوابة بالمحتوى المختوم لمدة {} بعد انتهاء صلاحية المغلف. تحتفظ الجهات المستلِمة بما تحتاج إليه، ولا \
                 حاجة إلى ذلك في البوابة.",
                days(*kept)
            ),
            Self::RenewalGap { days: gap } => format!(
                "يبدأ سريانها بعد {} من انتهاء سابقتها. ولا يجوز إرسال شيء في تلك المدة.",
                days(gap.saturating_add(1))
            ),
            Self::RenewalDrops { .. } => {
                "تسمح الاتفاقية السابقة بموجب هذا البند بإرسال البيانات التعريفية ولا تسمح بها هذه: لن تُسلَّم بعد الآن \
                 البيانات التعريفية لما أُرسل بموجبه. احتفظ باسم البند واتجاهه إن لم يكن ذلك مقصودًا."
                    .to_owned()
            }
            Self::NotByNameOnly { to, .. } => format!(
                "نوع الجهة {} من الأنواع التي لا تُختار إلا بالاسم وبموافقة خاصة وبموافقة زميل ثانٍ. صرّح بذلك: {}.",
                of(to.as_str()),
                of("by_name_only = true")
            ),
            Self::ElsewhereOnly { jurisdiction, .. } => {
                format!("لا تعمل أي من الجهتين في {} بحسب الدليل.", of(jurisdiction.as_str()))
            }
            Self::NoDutyPhone { to, .. } => format!(
                "يسمح بالحالات الطارئة وليس في الدليل هاتف مناوبة للجهة {}. اطلب منها نشر رقم.",
                of(to.as_str())
            ),
            Self::NotOffered { to, service, .. } => format!(
                "تذكر {} الخدمات التي تقدمها، وليست {} من بينها.",
                of(to.as_str()),
                of(service.as_str())
            ),
            Self::OtherAgreement { agreement, .. } => format!(
                "تشمل اتفاقية أخرى سارية، {}، بعض الإحالات نفسها. والجهة المرسِلة هي التي تذكر أيهما يُعمل بها. جدّد تلك \
                 الاتفاقية بدلًا من هذه أو دعها تنتهي.",
                of(&agreement.to_string())
            ),
        }
    }
}

impl List {
    const fn word(self, language: Language) -> &'static str {
        match self {
            Self::Kinds => language.pick("kinds", "الأنواع"),
            Self::Categories => language.pick("categories", "الفئات"),
            Self::Services => language.pick("services", "الخدمات"),
            Self::Urgencies => language.pick("urgencies", "درجات الاستعجال"),
            Self::Jurisdictions => language.pick("jurisdictions", "النطاقات الجغرافية"),
        }
    }
}

impl Difference {
    const fn word(self, language: Language) -> &'static str {
        match self {
            Self::Disclosure => language.pick("when identity may travel", "وقت إرسال البيانات التعريفية"),
            Self::Clocks => language.pick("time limits", "المهل"),
            Self::Files => language.pick("sizes of files", "أحجام المرفقات"),
            Self::Addressing => {
                language.pick("whether the agency is asked by name only", "الاقتصار على اختيار الجهة بالاسم")
            }
        }
    }
}
