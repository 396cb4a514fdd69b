//! What is wrong with a document, by its place, in both languages. Arabic is not yet reviewed by a
//! native speaker of the field. Not here: finding it.

use std::fmt;

use proto::payload::lists::List;

/// Something wrong with a document.
#[derive(Clone, PartialEq, Eq)]
pub struct Flaw {
    /// Where, as a JSON pointer (RFC 6901).
    pub pointer: String,
    /// What.
    pub what: What,
}

/// What is wrong. Nothing of the document's values is repeated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// Not JSON.
    NotJson {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// A name comes twice in one object.
    Twice {
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// Larger than a limit.
    TooLarge {
        /// In bytes.
        limit: usize,
    },
    /// More than a limit.
    TooMany {
        /// How many there may be.
        limit: usize,
    },
    /// It must be there.
    Missing,
    /// No such field.
    Unknown {
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// Not of its form.
    Form {
        /// What it must look like.
        expected: &'static str,
    },
    /// None of the list's values.
    NotInList {
        /// The list.
        list: List,
        /// What was probably meant.
        nearest: Option<&'static str>,
    },
    /// The field tells who she is; it belongs to the identity.
    BelongsToIdentity,
    /// The field belongs to another section.
    OtherSection,
    /// The field could tell where somebody is.
    Barred,
    /// A text repeats what stands in the identity.
    RepeatsIdentity,
    /// This basis needs another field.
    BasisNeeds {
        /// Which.
        field: &'static str,
    },
    /// A suspected guardian cannot consent.
    GuardianSuspected,
    /// She did not consent.
    NoConsent,
    /// Her consent does not name this recipient.
    NotConsentedTo,
    /// Her consent has run out.
    ConsentEnded,
    /// Her consent, or its basis, does not let identity travel.
    IdentityNotAllowed,
    /// A notice is coded fields only.
    NoticeIsCodedOnly,
    /// The file did not come with the document.
    FileMissing,
}

impl Flaw {
    pub(super) fn new(pointer: &str, what: What) -> Self {
        Self { pointer: pointer.to_owned(), what }
    }

    /// What is wrong and how to mend it, in English.
    #[must_use]
    pub fn text_en(&self) -> String {
        match &self.what {
            What::NotJson { line, column } => format!("This is not JSON: see line {line}, column {column}."),
            What::Twice { line, column } => {
                format!("A name stands twice in one object, before line {line}, column {column}. Keep one of them.")
            }
            What::TooLarge { limit } => format!("Larger than {limit} bytes. Shorten it, or attach a file."),
            What::TooMany { limit } => format!("More than {limit}. Leave some out."),
            What::Missing => "This field must be there. Add it.".into(),
            What::Unknown { nearest: Some(nearest) } => format!("No such field. Did you mean `{nearest}`?"),
            What::Unknown { nearest: None } => "No such field. Leave it out, or put it into a text.".into(),
            What::Form { expected } => format!("This must be {expected}."),
            What::NotInList { nearest: Some(nearest), .. } => {
                format!("Not a value of this field's list. Did you mean `{nearest}`?")
            }
            What::NotInList { list, nearest: None } => format!("This must be one of: {}.", list.join(", ")),
            What::BelongsToIdentity => {
                "This tells who she is. Move it to `identity`: the summary is read before anybody accepts.".into()
            }
            What::OtherSection => "This field belongs to another section. Move it there.".into(),
            What::Barred => {
                "This could tell where somebody is, and is never sent. Leave it out; agree on a place by telephone."
                    .into()
            }
            What::RepeatsIdentity => {
                "This text repeats a name or number of `identity`. Say it without: the summary is read before \
                 anybody accepts."
                    .into()
            }
            What::BasisNeeds { field } => format!("With this basis `{field}` must be there, and hold. Add it."),
            What::GuardianSuspected => {
                "A guardian who is suspected cannot consent. Choose another basis, such as the child's best \
                 interests."
                    .into()
            }
            What::NoConsent => "She has not consented. Ask her, or choose the basis that applies.".into(),
            What::NotConsentedTo => "Her consent does not name this recipient. Ask her first.".into(),
            What::ConsentEnded => "Her consent has run out. Ask her again.".into(),
            What::IdentityNotAllowed => {
                "Her consent does not let identity travel. Send it without `identity` and without files that tell \
                 who she is."
                    .into()
            }
            What::NoticeIsCodedOnly => {
                "A notice carries neither identity nor files. Leave them out, or send a referral.".into()
            }
            What::FileMissing => "This file did not come with the document. Attach it, or correct its name.".into(),
        }
    }

    /// The same in Arabic. Codes and names are isolated from the text around them.
    #[must_use]
    pub fn text_ar(&self) -> String {
        let isolated = |text: &str| format!("\u{2068}{text}\u{2069}");
        match &self.what {
            What::NotJson { line, column } | What::Twice { line, column } => {
                let at = isolated(&format!("{line}:{column}"));
                let twice = matches!(self.what, What::Twice { .. });
                let what = if twice {
                    "تكرر اسم حقل في الكائن نفسه"
                } else {
                    "الملف ليس بصيغة صحيحة"
                };
                format!("{what}، انظر السطر والعمود {at}.")
            }
            What::TooLarge { limit } => {
                format!("الحجم أكبر من الحد المسموح به وهو {} بايت.", isolated(&limit.to_string()))
            }
            What::TooMany { limit } => {
                format!("العدد أكبر من الحد المسموح به وهو {}.", isolated(&limit.to_string()))
            }
            What::Missing => "هذا الحقل مطلوب. أضفه.".into(),
            What::Unknown { nearest: Some(nearest) } => {
                format!("لا يوجد حقل بهذا الاسم. هل المقصود {}؟", isolated(nearest))
            }
            What::Unknown { nearest: None } => "لا يوجد حقل بهذا الاسم. احذفه أو اكتبه ضمن نص.".into(),
            What::Form { expected } => format!("القيمة ليست على الصيغة المطلوبة: {}.", isolated(expected)),
            What::NotInList { nearest: Some(nearest), .. } => {
                format!("القيمة ليست في قائمة هذا الحقل. هل المقصود {}؟", isolated(nearest))
            }
            What::NotInList { list, nearest: None } => {
                format!("يجب أن تكون القيمة واحدة مما يلي: {}.", isolated(&list.join(", ")))
            }
            What::BelongsToIdentity => {
                format!("هذا الحقل يكشف عن الشخص المعني. انقله إلى {}.", isolated("identity"))
            }
            What::OtherSection => "هذا الحقل مكانه قسم آخر. انقله إليه.".into(),
            What::Barred => {
                "قد يكشف هذا الحقل عن مكان أحد، ولا يُرسل أبدًا. احذفه واتفقوا على المكان هاتفيًا.".into()
            }
            What::RepeatsIdentity => format!(
                "يكرر هذا النص اسمًا أو رقمًا من {}. اكتبه من دونه، فالملخص يُقرأ قبل القبول.",
                isolated("identity")
            ),
            What::BasisNeeds { field } => {
                format!("يتطلب هذا الأساس وجود الحقل {} وصحته. أضفه.", isolated(field))
            }
            What::GuardianSuspected => {
                "لا تصح موافقة ولي أمر مشتبه به. اختر أساسًا آخر كالمصلحة الفضلى للطفل.".into()
            }
            What::NoConsent => "لم يوافق الشخص المعني. اطلب موافقته أو اختر الأساس المناسب.".into(),
            What::NotConsentedTo => "لا تشمل موافقة الشخص المعني هذه الجهة. اطلب موافقته أولًا.".into(),
            What::ConsentEnded => "انتهت مدة موافقة الشخص المعني. اطلبها من جديد.".into(),
            What::IdentityNotAllowed => {
                "لا تسمح الموافقة بإرسال البيانات التعريفية. أرسل الإحالة من دونها ومن دون ملفات تكشفها.".into()
            }
            What::NoticeIsCodedOnly => "لا يحمل الإشعار بيانات تعريفية ولا ملفات. احذفها أو أرسل إحالة.".into(),
            What::FileMissing => "لم يُرفق هذا الملف. أرفقه أو صحّح اسمه.".into(),
        }
    }
}

/// Shows what is wrong, not where: a pointer could hold a name.
impl fmt::Debug for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flaw({:?})", self.what)
    }
}
