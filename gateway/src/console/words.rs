//! The console's words in English and Arabic. Arabic is not yet reviewed by a native speaker of the field.

use proto::{caller::StaffRole, words::Language};

use super::visit::Page;

macro_rules! words {
    ($($(#[$doc:meta])* $word:ident $english:literal $arabic:literal)+) => {
        /// Something that pages say.
        #[derive(Clone, Copy, PartialEq, Eq, Debug)]
        pub(super) enum Word { $($(#[$doc])* $word),+ }

        impl Word {
            #[cfg(test)]
            const ALL: &'static [Self] = &[$(Self::$word),+];

            /// In a language.
            pub(super) const fn text(self, language: Language) -> &'static str {
                match self { $(Self::$word => language.pick($english, $arabic)),+ }
            }
        }
    };
}

words! {
    Console "Referral gateway" "بوابة الإحالات"
    Skip "Skip to the content" "انتقل إلى المحتوى"
    Pages "Pages" "الصفحات"
    Now "Now" "الآن"
    Agencies "Agencies" "الجهات"
    Agreements "Agreements" "الاتفاقيات"
    Mechanism "Mechanism" "آلية الإحالة"
    Rules "Rules in force, in their order" "القواعد السارية بترتيبها"
    Rule "Rule" "القاعدة"
    Need "Need" "الاحتياج"
    Recipients "Who is asked, in this order" "الجهات المطلوبة بالترتيب"
    Conditions "What the agent checks besides" "ما يتحقق منه برنامج الجهة أيضًا"
    NoMechanism "No mechanism is in force: agencies are asked by name." "لا آلية سارية، وتُطلب الجهات بالاسم."
    MoreRules "There are more rules; the first are shown." "هناك قواعد أخرى، والمعروض أولها."
    Until "until" "حتى"
    ExplainRoute "Explain a route" "تفسير مسار"
    ExplainHelp "Where would this need go now? Nothing is sent. Leave the recipient empty to ask by need." "إلى أين يذهب هذا الاحتياج الآن؟ لا يُرسل شيء. اترك الجهة المستلمة فارغة للسؤال بحسب الاحتياج."
    WhoRefers "Who refers" "الجهة المُحيلة"
    SuspicionReport "report of a suspicion" "بلاغ اشتباه"
    Notice "notice without identity" "إشعار بلا هوية"
    Document "document" "مستند"
    Message "message" "رسالة"
    ToOrByNeed "Recipient (empty: by need)" "الجهة المستلمة (فارغة: بحسب الاحتياج)"
    Category "Category" "الفئة"
    Service "Service" "الخدمة"
    Jurisdiction "Country or division" "البلد أو الإقليم"
    Kind "Kind" "النوع"
    Explain "Explain" "فسّر"
    ExplainedAt "As the directory is at" "بحسب الدليل في"
    NoRuleFits "No rule of the mechanism fits this need." "لا تنطبق أي قاعدة من آلية الإحالة على هذا الاحتياج."
    FieldNotUnderstood "This field is empty or not understood:" "هذا الحقل فارغ أو غير مفهوم:"
    WouldBeAsked "would be asked" "تُطلب أولًا"
    Fallback "fallback" "بديلة"
    AllowedBy "Allowed by the agreement" "تسمح به الاتفاقية"
    Clause "clause" "البند"
    IfSo "If the sender's agent finds this to be so:" "إن تحقق برنامج الجهة المُحيلة من:"
    Search "Search" "بحث"
    Audit "Audit" "التدقيق"
    Referral "Referral" "إحالة"
    Operator "operator" "مشغّل"
    Auditor "auditor" "مدقق"
    Administrator "administrator" "مسؤول"
    Refused "Not possible" "غير ممكن"
    NotFound "There is no such page, or nothing of that name." "لا توجد صفحة أو شيء بهذا الاسم."
    NotUnderstood "This address is not understood." "هذا العنوان غير مفهوم."
    TryAgain "Not now. Try again in a moment." "ليس الآن. حاول مجددًا بعد لحظات."
    NoPhone "no duty phone in the directory" "لا هاتف مناوبة في الدليل"
    Alerts "Alerts" "التنبيهات"
    NoAlerts "No alert stands." "لا تنبيهات قائمة."
    Stuck "Stuck" "متعثّرة"
    StuckByStage "Stuck by stage" "المتعثّر بحسب المرحلة"
    NothingStuck "Nothing is stuck." "لا شيء متعثّر."
    More "There is more; the oldest are shown." "هناك المزيد، والمعروض هو الأقدم."
    Stage "Stage" "المرحلة"
    Awaited "Awaited" "منتظَرة"
    Missed "Time over" "انقضت المهلة"
    Urgency "Urgency" "الاستعجال"
    Since "For" "منذ"
    Clock "Clock" "المهلة"
    Cause "Why, and what to do" "السبب والإجراء"
    Call "Call" "اتصل بـ"
    From "from" "من"
    To "to" "إلى"
    Gateway "The gateway" "البوابة"
    Room "Room on the disk" "المتسع على القرص"
    Index "Index complete" "الفهرس مكتمل"
    ClockRight "Clock right" "الساعة مضبوطة"
    Witnessed "Log written / published / witnessed" "السجل: مكتوب / منشور / مشهود عليه"
    Witnesses "Witnesses" "الشهود"
    Unwitnessed "No witness has cosigned since the start." "لم يشهد أحد على السجل منذ البدء."
    Crls "Revocation lists until" "قوائم الإبطال حتى"
    Certificate "Certificate until" "الشهادة حتى"
    ForkAlarm "Fork alarms" "إنذارات تشعّب السجل"
    Yes "yes" "نعم"
    No "no" "لا"
    Traffic "Traffic" "الحركة"
    LastHour "Records of evidence, each minute of the last hour" "قيود السجل في كل دقيقة من الساعة الأخيرة"
    LastDay "Records of evidence, each hour of the last day" "قيود السجل في كل ساعة من اليوم الأخير"
    LastWeek "Records of evidence, each day of the last week" "قيود السجل في كل يوم من الأسبوع الأخير"
    SlowestHour "Slowest step, each minute of the last hour" "أبطأ خطوة في كل دقيقة من الساعة الأخيرة"
    SlowestDay "Slowest step, each hour of the last day" "أبطأ خطوة في كل ساعة من اليوم الأخير"
    SlowestWeek "Slowest step, each day of the last week" "أبطأ خطوة في كل يوم من الأسبوع الأخير"
    AtMost "at most" "على الأكثر"
    SinceStart "since the gateway started" "منذ بدء البوابة"
    Agency "Agency" "الجهة"
    Contact "Contact" "الاتصال"
    Connected "connected" "متصلة"
    LastContact "last contact" "آخر اتصال"
    NeverConnected "not since the gateway started" "لا اتصال منذ بدء البوابة"
    Waiting "In its mailbox" "في صندوقها"
    Trouble "To mend" "ما يجب إصلاحه"
    Suspended "suspended" "موقوفة مؤقتًا"
    LacksKey "lacks a key in force" "ينقصها مفتاح سارٍ"
    DatedAhead "its clock was ahead" "كانت ساعتها متقدمة"
    CertificateEnds "certificate ends soon" "تنتهي شهادتها قريبًا"
    DutyPhone "Duty phone" "هاتف المناوبة"
    Agreement "Agreement" "الاتفاقية"
    Parties "Parties" "الأطراف"
    SignedBy "Signed by" "وقّع عليها"
    Standing "Standing" "الحال"
    InForce "in force" "سارية"
    NotSigned "not signed by all" "لم يوقّعها الجميع"
    NotYet "not yet in force" "لم تسرِ بعد"
    Ended "ended" "منتهية"
    Superseded "superseded" "حلّت محلها أخرى"
    NoAgreements "There is no agreement." "لا توجد اتفاقية."
    Revision "Revision" "المراجعة"
    SearchHelp "By the first letters of a referral's id, by the code that somebody speaks, by agency, stage, or the days since when it stands so; what is awaited is found." "بأول حروف معرّف الإحالة أو بالرمز المنطوق أو الجهة أو المرحلة أو بأيام بقائها على حالها، ضمن ما هو منتظَر."
    OpenHelp "A whole id, with the agency that opened it, opens the referral, also a closed one." "المعرّف الكامل مع الجهة المُحيلة يفتح الإحالة وإن كانت مغلقة."
    ReferralId "Referral id" "معرّف الإحالة"
    IdOrCode "Referral id, or spoken code" "معرّف الإحالة أو الرمز المنطوق"
    Misheard "The code was misheard or mistyped: ask for it again, digit by digit." "سُمع الرمز أو كُتب على غير وجهه: يُرجى طلبه من جديد رقمًا رقمًا."
    SinceDay "Standing so since, from (UTC)" "على هذه الحال منذ، من يوم (UTC)"
    UntilDay "to (UTC)" "إلى يوم (UTC)"
    OpenedBy "Opened by" "الجهة المُحيلة"
    Any "any" "الكل"
    Find "Find" "ابحث"
    Found "Found" "النتائج"
    FoundNothing "Nothing that is awaited fits." "لا شيء منتظَر يطابق ذلك."
    Status "Status" "الحالة"
    Attempts "Asked, in this order" "الجهات المسؤولة بالترتيب"
    ClosedOrUnknown "It is closed, or there is none of that name." "مغلقة أو لا إحالة بهذا الاسم."
    Timeline "Timeline" "التسلسل الزمني"
    Number "Number" "الرقم"
    Time "Time (UTC)" "الوقت (UTC)"
    Event "Event" "الحدث"
    Details "Details" "التفاصيل"
    Proof "Proof" "البرهان"
    ProofHelp "A proof is a file in the public tlog-proof format; with network.toml's evidence_log key anybody can check it offline." "البرهان ملف بصيغة عامة يمكن لأي أحد التحقق منه من دون اتصال، بمفتاح السجل في ملف الشبكة."
    Actor "by" "بواسطة"
    Due "due" "يستحق"
    Reason "reason" "السبب"
    Count "times" "عدد المرات"
    Attempt "attempt" "المحاولة"
    Print "Use the browser's print: the page is made for paper too." "استخدم طباعة المتصفح: الصفحة معدّة للورق أيضًا."
    Acts "Administrative acts" "إجراءات إدارية"
    Denials "Denials" "حالات الرد"
    Reads "Reads" "عمليات الاطلاع"
    Gateways "The gateway itself" "البوابة نفسها"
    LookedBack "Looked back to" "شمل البحث ما بعد"
    NothingHere "Nothing in this time." "لا شيء في هذه المدة."
    All "all" "الكل"
    OperatorActs "What can be done" "الإجراءات المتاحة"
    OperatorActsHelp "Each is evidence, with who did it and why. What two must say happens when a second operator says the same." "كل إجراء يُقيَّد في السجل مع فاعله وسببه. وما يلزمه شخصان يتم عندما يؤكده مشغّل ثانٍ."
    HeldBy "Held back by" "محجوزة بواسطة"
    SecondUntil "A second operator can confirm until" "يمكن لمشغّل ثانٍ التأكيد حتى"
    NotifiedAgain "People told again" "أُشعر العاملون من جديد"
    Recorded "Recorded as evidence" "قُيِّد في السجل برقم"
    StaleForm "This form is not of a page that was loaded just now. Load the page again; nothing was done." "هذا النموذج ليس من صفحة حديثة. أعد تحميل الصفحة؛ لم يُنفَّذ شيء."
    TakesNew "Takes new work" "تستلم الجديد"
}

/// A page's name.
pub(super) const fn page(page: Page) -> Word {
    match page {
        Page::Now => Word::Now,
        Page::Agencies => Word::Agencies,
        Page::Agreements => Word::Agreements,
        Page::Mechanism => Word::Mechanism,
        Page::Search => Word::Search,
        Page::Audit => Word::Audit,
        Page::Standing | Page::Evidence => Word::Referral,
    }
}

/// A role's name.
pub(super) const fn role(role: StaffRole) -> Word {
    match role {
        StaffRole::Operator => Word::Operator,
        StaffRole::Auditor => Word::Auditor,
        StaffRole::Administrator => Word::Administrator,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_in_both_languages() {
        for word in Word::ALL {
            assert!(word.text(Language::English).is_ascii(), "{word:?}");
            let arabic = word.text(Language::Arabic);
            assert!(arabic.chars().any(|c| ('\u{620}'..='\u{64a}').contains(&c)), "{word:?}");
        }
    }
}
