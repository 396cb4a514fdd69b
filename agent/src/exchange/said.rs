//! What is said beside an input, in a file of its own and in both languages: that it was sent, or why not and what
//! to do. Nothing of what stood in the input is repeated. Arabic is not yet reviewed by a native speaker of the
//! field. Not here: when it is said (`outbox`).

use proto::{count::isolated, language::Language};

use super::looks::{FILES_MAX, Unfit};
use crate::{
    api,
    document::Flaw,
    office::{NotSent, Sent, onward::NotFound},
    traces::Told,
    words,
};
use proto::{lifecycle::Act, refusal::Refusal, spoken::Spoken};

/// What is added to an input's name.
pub(super) const ERROR: &str = ".error.txt";
/// The same, when it was sent.
pub(super) const SENT: &str = ".sent.txt";
/// The same, when it waits for its name.
pub(super) const WAITING: &str = ".waiting.txt";

/// A text in both languages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    en: String,
    ar: String,
}

impl Said {
    fn new(en: impl Into<String>, ar: impl Into<String>) -> Self {
        Self { en: en.into(), ar: ar.into() }
    }

    fn lines(&self) -> [String; 2] {
        [self.en.clone(), rtl(&self.ar)]
    }
}

/// Why something was not sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Why {
    /// It needs mending: nothing is tried again before somebody has.
    Flawed(Vec<Said>),
    /// It is tried again by itself.
    Waits(Said),
}

/// An Arabic line begins at the right, whatever its first letter.
fn rtl(text: &str) -> String {
    format!("\u{2067}{text}\u{2069}")
}

impl Why {
    /// The file's content.
    pub(super) fn text(&self) -> Vec<u8> {
        let (head, reasons, tail) = match self {
            Self::Flawed(flaws) => (
                Said::new(
                    "NOT SENT. Mend what is named below and save the file again, or delete this file to try again.",
                    "لم يُرسل. صحّح ما يلي واحفظ الملف من جديد، أو احذف هذا الملف لإعادة المحاولة.",
                ),
                flaws.as_slice(),
                None,
            ),
            Self::Waits(why) => (
                Said::new("NOT SENT YET.", "لم يُرسل بعد."),
                std::slice::from_ref(why),
                Some(Said::new("It is tried again by itself.", "تُعاد المحاولة تلقائيًا.")),
            ),
        };
        let lines = head.lines().into_iter().chain([String::new()]);
        let lines = lines.chain(reasons.iter().flat_map(Said::lines));
        let tail = tail.iter().flat_map(Said::lines).collect::<Vec<_>>();
        super::place::text(&lines.chain(tail).collect::<Vec<_>>())
    }

    /// One thing that must be mended.
    fn flawed(en: impl Into<String>, ar: impl Into<String>) -> Self {
        Self::Flawed(vec![Said::new(en, ar)])
    }

    /// Flaws of a document, by their places.
    pub(super) fn flaws(flaws: &[Flaw]) -> Self {
        let said = |flaw: &Flaw| {
            let at = if flaw.pointer.is_empty() { "/" } else { &flaw.pointer };
            Said::new(format!("{at}: {}", flaw.text_en()), format!("{}: {}", isolated(at), flaw.text_ar()))
        };
        Self::Flawed(flaws.iter().map(said).collect())
    }

    pub(super) fn unfit(unfit: Unfit) -> Self {
        match unfit {
            Unfit::NotFiles => Self::flawed(
                "Only files are sent: no links, and no folders inside a folder.",
                "تُرسل الملفات فقط، من دون روابط ومن دون مجلدات داخل المجلد.",
            ),
            Unfit::Unfinished => Self::flawed(
                "A file in it is not written to its end, or is open in a program. Close it, then delete this file.",
                "في المجلد ملف لم يكتمل أو ما زال مفتوحًا في برنامج. أغلقه ثم احذف هذا الملف.",
            ),
            Unfit::TooMany => Self::flawed(
                format!("More than {FILES_MAX} files. Send some of them with another document."),
                format!("عدد الملفات أكبر من {}. أرسل بعضها مع مستند آخر.", isolated(&FILES_MAX.to_string())),
            ),
        }
    }

    /// Of documents a folder holds none, or several.
    pub(super) fn not_one_document() -> Self {
        Self::flawed(
            "The folder must hold exactly one document (.json or .toml), and beside it the files that go with it.",
            "يجب أن يحتوي المجلد على مستند واحد فقط وبجانبه الملفات المرفقة به.",
        )
    }

    /// A document that is not TOML.
    pub(super) fn not_toml(line: usize) -> Self {
        Self::flawed(
            format!("This is not a form that can be read: see line {line}."),
            format!("تعذّرت قراءة هذا النموذج: انظر السطر {}.", isolated(&line.to_string())),
        )
    }

    /// A document that may be on its way still.
    pub(super) fn not_whole() -> Self {
        Self::flawed(
            "This is not one whole JSON object: it was not written to its end, or something in it is wrong.",
            "الملف ليس كاملًا: لم يُكتب إلى نهايته أو فيه خطأ في الصياغة.",
        )
    }

    pub(super) fn too_large(bytes_max: usize) -> Self {
        Self::flawed(
            format!("The document is longer than {bytes_max} bytes. Shorten it."),
            format!("المستند أطول من الحد المسموح به وهو {} بايت. اختصره.", isolated(&bytes_max.to_string())),
        )
    }

    pub(super) fn not_found(why: &NotFound) -> Self {
        let ar = match why {
            NotFound::TooShort => "اكتب أربعة أحرف على الأقل من رقم الإحالة.".to_owned(),
            NotFound::None => "لا توجد إحالة بهذا الرقم هنا.".to_owned(),
            NotFound::Several => "يطابق هذا الرقم عدة إحالات: اكتب المزيد منه.".to_owned(),
            NotFound::Misheard(misheard) => misheard.text_ar().to_owned(),
        };
        let en = match why {
            NotFound::TooShort => "Give at least four characters of the referral's id.".to_owned(),
            NotFound::None => "There is no such referral here.".to_owned(),
            NotFound::Several => "Several referrals begin so: give more of the id.".to_owned(),
            NotFound::Misheard(misheard) => misheard.to_string(),
        };
        Self::flawed(format!("/referral: {en}"), format!("{}: {ar}", isolated("/referral")))
    }

    fn refused(refusal: Refusal, legal: &[Act]) -> Self {
        let possible: Vec<_> = legal.iter().map(|act| words::verb(*act)).collect();
        let refused = Said::new(
            format!("{}: {}", refusal.name(), refusal.text_en()),
            format!("{}: {}", isolated(refusal.name()), refusal.text_ar()),
        );
        let legal = (!possible.is_empty()).then(|| {
            let possible = possible.join(", ");
            Said::new(format!("Possible now: {possible}"), format!("المتاح الآن: {}", isolated(&possible)))
        });
        Self::Flawed([refused].into_iter().chain(legal).collect())
    }

    /// Why the office did not send it.
    pub(super) fn not_sent(why: &NotSent) -> Self {
        match why {
            NotSent::Flawed(flaws) => Self::flaws(flaws),
            NotSent::Refused { refusal, legal } => Self::refused(*refusal, legal),
            NotSent::UnknownReferral => Self::not_found(&NotFound::None),
            NotSent::NotDrafted(why) => Self::flawed(
                format!("It cannot be sealed: {why}"),
                format!("تعذّر ختم المستند: {}", isolated(&why.to_string())),
            ),
            NotSent::IdempotencyKey => Self::not_whole(),
            NotSent::NoDirectory => Self::Waits(Said::new(
                "The agent has not connected to the gateway yet.",
                "لم يتصل البرنامج بالبوابة بعد.",
            )),
            NotSent::Alarmed => Self::Waits(Said::new(
                "An alarm stands, and nothing is sealed until people have looked: see `agent status`.",
                "هناك إنذار قائم ولا يُختم شيء حتى ينظر فيه الأشخاص: انظر أمر الحالة.",
            )),
            NotSent::Store(_) | NotSent::Randomness => Self::Waits(Said::new(
                format!("The agent cannot write it down: {why}."),
                format!("تعذّر على البرنامج حفظه: {}.", isolated(&why.to_string())),
            )),
        }
    }
}

/// That a folder waits to be renamed.
pub(super) fn waiting() -> Vec<u8> {
    let said = Said::new(
        "This folder is not sent yet. When everything is in it, add `.ready` to its name.",
        "لم يُرسل هذا المجلد بعد. عند اكتمال محتواه أضف إلى اسمه اللاحقة التالية:",
    );
    let lines = said.lines().into_iter().chain([super::looks::READY.to_owned()]);
    super::place::text(&lines.collect::<Vec<_>>())
}

/// That something was sent, and what its files told: by their places in the order of their names.
pub(super) fn sent(sent: &Sent, telephone: Option<&api::Telephone>, told: &[(usize, Told)]) -> Vec<u8> {
    let code = Spoken::of(&sent.referral).to_string();
    let mut lines = Vec::new();
    if let Some(telephone) = telephone {
        let (who, phone) = (&telephone.agency, &telephone.phone);
        lines.extend(
            Said::new(
                format!("EMERGENCY. Telephone now: {who} {phone}. Say this code, and no name: {code}"),
                format!(
                    "حالة طارئة. اتصل الآن بـ {} {} واذكر هذا الرمز من دون أي اسم: {}",
                    isolated(who),
                    isolated(phone),
                    isolated(&code)
                ),
            )
            .lines(),
        );
    }
    let id = sent.referral.id.to_string();
    lines.extend(
        Said::new(
            format!(
                "Written down as {id}, code {code}. It is sent, again and again, until the gateway has answered; \
                 the answer comes into the inbox. The file itself was removed."
            ),
            format!(
                "حُفظ برقم {} ورمز {} ويُرسل مرة بعد مرة حتى تجيب البوابة، ويصل الجواب إلى صندوق الوارد. أُزيل الملف \
                 نفسه.",
                isolated(&id),
                isolated(&code)
            ),
        )
        .lines(),
    );
    for (place, told) in told.iter().filter(|(_, told)| *told != Told::Nothing) {
        let number = place.saturating_add(1);
        lines.extend(
            Said::new(
                format!("File {number}, in the order of names: {}", told.text(Language::English)),
                format!(
                    "الملف رقم {} بترتيب الأسماء: {}",
                    isolated(&number.to_string()),
                    told.text(Language::Arabic)
                ),
            )
            .lines(),
        );
    }
    super::place::text(&lines)
}
