//! What fields are called, for whoever fills in a form. Arabic is not yet reviewed by a native speaker of the
//! field. Names of HTCDS fields are the standard's own. Not here: labels of codes (`proto::vocabulary`).

use proto::{language::Language, payload::Form};

/// A field's label; its name where it has none.
#[must_use]
pub fn label(name: &'static str, language: Language) -> &'static str {
    let found = LABELS.iter().find(|(known, _, _)| *known == name);
    found.map_or(name, |(_, english, arabic)| language.pick(english, arabic))
}

/// What a value must look like.
#[must_use]
pub const fn expected(form: Form, language: Language) -> &'static str {
    let arabic = match form {
        Form::Text => "نص",
        Form::Flag => "نعم: true، لا: false",
        Form::Count => "عدد صحيح",
        Form::Date => "تاريخ مثل 2026-11-22",
        Form::Phone => "رقم هاتف مثل +97142222222",
        Form::Language => "رمز لغة مثل ar",
        Form::Languages => "قائمة رموز لغات مثل ar",
        Form::Countries => "قائمة رموز دول مثل AE",
        Form::Agencies => "قائمة أرقام جهات مثل ae.dfwac",
        Form::Person => "رقم الشخص في هذه الحالة، من p1 إلى p64",
        Form::OneOf(_) => "أحد الرموز",
        Form::SomeOf(_) => "قائمة من الرموز",
        Form::Object(_) => "مجموعة حقول",
        Form::Objects(_) => "قائمة",
    };
    language.pick(form.expected(), arabic)
}

/// Each once.
const LABELS: &[(&str, &str, &str)] = &[
    (
        "to",
        "Recipient: an agency's id such as ae.dfwac, or by_need",
        "الجهة المستلِمة: رقمها مثل ae.dfwac أو by_need",
    ),
    ("kind", "Kind", "النوع"),
    ("category", "Category", "الفئة"),
    ("service", "Service", "الخدمة"),
    ("urgency", "Urgency", "الاستعجال"),
    ("jurisdiction", "Country, or division such as AE-RK", "الدولة أو الإمارة مثل AE-RK"),
    ("expires_days", "Days for which it may wait: 1 to 90", "عدد أيام الانتظار: من 1 إلى 90"),
    ("fallbacks", "Who is asked next when nobody answers", "الجهات البديلة عند عدم الرد"),
    ("exclude", "Agencies that it never goes to by need", "جهات لا تُرسل إليها"),
    ("consent", "Consent", "الموافقة"),
    ("summary", "Summary: nothing that tells who she is", "الملخص: من دون ما يكشف عن الشخص المعني"),
    ("identity", "Identity: read after an acceptance only", "البيانات التعريفية: تُقرأ بعد القبول فقط"),
    ("attachments", "Files", "المرفقات"),
    ("basis", "What it rests on", "أساس الإحالة"),
    ("identity_allowed", "May identity travel", "هل يجوز إرسال البيانات التعريفية"),
    ("agencies", "Agencies that she consented to", "الجهات المشمولة بالموافقة"),
    ("data", "Data that she consented to", "البيانات المشمولة بالموافقة"),
    ("given_on", "Day of the consent", "تاريخ الموافقة"),
    ("until", "Last day of the consent", "آخر يوم للموافقة"),
    ("child_assent", "Does the child agree", "هل يوافق الطفل"),
    ("guardian_suspected", "Is the guardian suspected", "هل ولي الأمر مشتبه به"),
    ("decided_by", "Who decided", "صاحب القرار"),
    ("approved_by", "Second person who approved", "الشخص الثاني الموافق"),
    ("justification", "Why", "المبرر"),
    ("legal_reference", "Law", "السند القانوني"),
    ("need", "What is needed", "الاحتياج"),
    ("detailed_category", "Category, in detail", "الفئة بالتفصيل"),
    ("detailed_services", "Services, in detail", "الخدمات بالتفصيل"),
    ("risk", "Risk", "الخطر"),
    ("level", "Level", "الدرجة"),
    ("immediate_danger", "Is there immediate danger", "هل هناك خطر وشيك"),
    ("safe_contact", "Safe contact", "التواصل الآمن"),
    ("who", "Who may be spoken to", "مع من يجوز التواصل"),
    ("when", "When", "متى"),
    ("language", "Language", "اللغة"),
    ("channels", "By which channels", "القنوات المسموحة"),
    (
        "never",
        "By which channels never; an empty list if none is dangerous",
        "القنوات الممنوعة، وقائمة فارغة إن لم يوجد خطر",
    ),
    ("phone_is_shared", "Does somebody else hold or read her phone", "هل الهاتف بيد آخرين أيضًا"),
    ("phone_held_by", "Who holds the phone", "بيد من الهاتف"),
    ("languages", "Languages", "اللغات"),
    ("interpreter_needed", "Is an interpreter needed", "هل يلزم مترجم"),
    ("access_needs", "Access needs", "احتياجات الوصول"),
    ("accessibility", "Access needs, in words", "احتياجات الوصول نصًا"),
    ("vulnerabilities", "Vulnerabilities", "أوجه الضعف"),
    ("household", "Household, a list with one entry a person", "أفراد الأسرة"),
    ("age_group", "Age group", "الفئة العمرية"),
    ("joint_with", "Agencies that work on it together", "الجهات المشاركة"),
    ("signs", "Signs", "العلامات"),
    ("noticed_on", "Day on which it was noticed", "تاريخ الملاحظة"),
    ("setting", "Where it was noticed", "مكان الملاحظة"),
    ("persons_affected", "How many persons", "عدد الأشخاص"),
    ("document_type", "What document", "نوع المستند"),
    ("message", "Message", "الرسالة"),
    ("person", "Number in this case", "الرقم في هذه الحالة"),
    ("role", "Role", "الصفة"),
    ("persons", "Persons, a list", "الأشخاص"),
    ("name", "Name", "الاسم"),
    ("given", "Given name", "الاسم الأول"),
    ("father", "Father's name", "اسم الأب"),
    ("grandfather", "Grandfather's name", "اسم الجد"),
    ("family", "Family name", "اسم العائلة"),
    ("latin", "Whole name in Latin letters", "الاسم الكامل بالأحرف اللاتينية"),
    ("note", "Remark", "ملاحظة"),
    ("events", "Events, a list", "الأحداث"),
    ("own_consents", "Consents of single persons, a list", "موافقات أشخاص بعينهم"),
    ("file", "File's name", "اسم الملف"),
    ("media_type", "Media type, guessed when left out", "نوع الملف"),
    ("contains_identity", "May it tell who she is", "هل قد يكشف الملف عن الشخص المعني"),
    ("prs_Gender", "Gender", "الجنس"),
    ("prs_MaritalStatus", "Marital status", "الحالة الاجتماعية"),
    ("prs_NumberOfChildren", "Number of children", "عدد الأطفال"),
    ("prs_PrimaryLanguage", "First language", "اللغة الأولى"),
    ("prs_SecondaryLanguage", "Second language", "اللغة الثانية"),
    ("prs_HighestLevelOfEducation", "Education", "المستوى التعليمي"),
    ("prs_Birthdate", "Day of birth", "تاريخ الميلاد"),
    ("prs_Citizenship", "Citizenships", "الجنسيات"),
    ("prs_IdentityNumber", "Number of identity card or passport", "رقم الهوية أو جواز السفر"),
    ("prs_Email", "E-mail address", "البريد الإلكتروني"),
    ("prs_HomePhone", "Telephone at home", "هاتف المنزل"),
    ("prs_MobilePhone", "Mobile telephone", "الهاتف المحمول"),
    ("prs_Deceased", "Is dead", "هل توفي"),
    ("onward_of", "The referral that it refers on", "الإحالة التي تُحال"),
    ("joins", "The referral whose thread it joins", "الإحالة التي ينضم إليها"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proto::payload::FIELDS;

    use super::*;
    use crate::document::TOP;

    #[test]
    fn every_field_of_ours_has_a_label_in_both_languages() {
        let names: BTreeSet<_> = LABELS.iter().map(|(name, _, _)| *name).collect();
        assert_eq!(names.len(), LABELS.len(), "each once");
        let is_ours =
            |name: &&str| !name.contains('_') || name.chars().all(|c| c.is_ascii_lowercase() || c == '_');
        let barred = FIELDS.iter().filter(|field| field.home != proto::payload::Home::Barred);
        let barred =
            barred.filter(|field| field.home != proto::payload::Home::Detail).map(|field| field.name);
        for name in barred.filter(is_ours).chain(TOP.iter().copied()).filter(|name| *name != "$schema") {
            assert!(names.contains(name), "{name}");
        }
        for (_, english, arabic) in LABELS {
            assert!(
                english.is_ascii() && arabic.chars().any(|c| ('\u{620}'..='\u{64a}').contains(&c)),
                "{english}"
            );
        }
    }
}
