//! What is wrong with a document, by its place, in both languages. Arabic is not yet reviewed by a
//! native speaker of the field. Not here: finding it.

use std::fmt;

use proto::{
    count::{Noun, Place, isolated},
    payload::{List, telling::Telling},
    vocabulary::{Term, Vocabulary},
};

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
    /// No code of the field's vocabulary.
    NotACode {
        /// The vocabulary.
        vocabulary: &'static Vocabulary,
        /// What was probably meant.
        nearest: Vec<&'static Term>,
    },
    /// Too fine for a header, which the gateway reads.
    TooFine {
        /// The code that covers it.
        coarse: &'static str,
        /// Where the finer one may stand.
        field: &'static str,
    },
    /// The field tells who she is; it belongs to the identity.
    BelongsToIdentity,
    /// The field belongs to another section.
    OtherSection,
    /// The field could tell where somebody is.
    Barred,
    /// A text repeats what stands in the identity.
    RepeatsIdentity,
    /// A text tells who somebody is.
    Tells(Telling),
    /// The name of a file that is read at once tells who somebody is.
    FileNameTells,
    /// This basis needs another field.
    BasisNeeds {
        /// Which.
        field: &'static str,
    },
    /// This basis needs a question to have been asked and denied.
    BasisAsks {
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
    /// Documents of this kind do not carry it.
    NotOfKind,
    /// Documents of this kind need one of these.
    NeedsOneOf {
        /// Which.
        fields: List,
    },
    /// The file did not come with the document.
    FileMissing,
    /// One number for two persons.
    PersonTwice,
    /// Nobody of the case has this number.
    PersonUnknown,
    /// One number, and not the same person.
    PersonsDiffer,
    /// A person's own consent does not carry their data there.
    PersonNotConsented,
    /// A person's own consent does not let their identity travel.
    PersonIdentityNotAllowed,
    /// A file may be about somebody whose own consent does not carry it.
    FileNotAllowed,
    /// What is said of a person's consent is not what stands in the consent.
    OtherConsent,
    /// This act does not carry it.
    NotOfAct,
    /// What is said of all does not hold for each.
    OutcomeDiffers,
    /// No referral that came here has this id.
    OnwardUnknown,
    /// Only what was accepted is referred on.
    OnwardNotAccepted,
    /// Her consent to it is withdrawn.
    OnwardWithdrawn,
    /// Its content, and with it her consent, was erased.
    OnwardErased,
    /// It would go back to whom it came from.
    OnwardBack,
    /// She named another agency, and was not asked since.
    OnwardNotConsented,
    /// No referral that this agency opened and that is under way has this id.
    JoinsUnknown,
    /// Several referrals begin with what is said of an id.
    SeveralReferrals,
    /// What the agreement keeps here until a person discloses it.
    StaysHere,
    /// Agencies that work together are named, each.
    JointByName,
    /// A text would tell whom it came from where she went next.
    TellsWhere,
    /// Somebody to whom it was referred on has not confirmed that the withdrawal was carried out.
    OnwardUnconfirmed,
    /// Somebody to whom it was referred on holds it still.
    OnwardHeld,
    /// A file that no part of the split lists.
    FileOfNone,
}

impl What {
    /// A word that is no code, and those that were probably meant.
    pub(crate) fn not_a_code(vocabulary: &'static Vocabulary, word: &str) -> Self {
        Self::NotACode { vocabulary, nearest: vocabulary.nearest(word) }
    }
}

impl Flaw {
    pub(super) fn new(pointer: &str, what: What) -> Self {
        Self { pointer: pointer.to_owned(), what }
    }

    /// What is wrong and how to mend it, in English.
    #[must_use]
    #[allow(clippy::too_many_lines, reason = "one arm for each flaw")]
    pub fn text_en(&self) -> String {
        match &self.what {
            What::NotJson { line, column } => format!("This is not JSON: see line {line}, column {column}."),
            What::Twice { line, column } => {
                format!("A name stands twice in one object, before line {line}, column {column}. Keep one of them.")
            }
            What::TooLarge { limit } => {
                format!("Larger than {}. Shorten it, or attach a file.", Noun::Byte.english(counted(*limit)))
            }
            What::TooMany { limit } => format!("More than {limit}. Leave some out."),
            What::Missing => "This field must be there. Add it.".into(),
            What::Unknown { nearest: Some(nearest) } => format!("No such field. Did you mean `{nearest}`?"),
            What::Unknown { nearest: None } => "No such field. Leave it out, or put it into a text.".into(),
            What::Form { expected } => format!("This must be {expected}."),
            What::NotACode { vocabulary, nearest } if nearest.is_empty() => {
                format!("This must be one of: {}.", listed(vocabulary.codes()))
            }
            What::NotACode { nearest, .. } => {
                let meant = nearest.iter().map(|term| format!("`{}` ({})", term.code, term.en));
                format!("Not a code of this field. Did you mean {}?", meant.collect::<Vec<_>>().join(" or "))
            }
            What::TooFine { coarse, field } => format!(
                "Too fine: the gateway reads this. Put `{coarse}` here, and this code into `{field}`, which is sealed."
            ),
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
            What::Tells(told) => format!("{} The summary is read before anybody accepts.", tells_en(*told)),
            What::FileNameTells => {
                "This file's name tells who she is, and is read before anybody accepts. Name it otherwise, or leave \
                 out `contains_identity`."
                    .into()
            }
            What::BasisAsks { field } => {
                format!("With this basis `{field}` must have been asked. Ask, and write down the answer.")
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
                "A notice is coded fields only: no identity, no files, no text. Leave it out, or send a referral."
                    .into()
            }
            What::NotOfKind => "This kind of document does not carry it. Leave it out, or choose another kind.".into(),
            What::NeedsOneOf { fields } => {
                format!("One of these must be there and say something: {}.", listed(fields.iter().copied()))
            }
            What::FileMissing => "This file did not come with the document. Attach it, or correct its name.".into(),
            What::PersonTwice => "Two persons have this number. Give each another one.".into(),
            What::PersonUnknown => "Nobody of this case has this number. See `household` and `persons`.".into(),
            What::PersonsDiffer => {
                "This number has another role or gender in `household`. Give every person in both lists the same \
                 `person`."
                    .into()
            }
            What::PersonNotConsented => {
                "This person's own consent does not carry this referral. Leave the person and that consent out, or \
                 ask the person."
                    .into()
            }
            What::PersonIdentityNotAllowed => {
                "This person's own consent does not let identity travel. Leave the person out of the identity.".into()
            }
            What::FileNotAllowed => {
                "This file may be about a person whose own consent does not carry it. Leave it out, or name in \
                 `persons` whom it is about."
                    .into()
            }
            What::OtherConsent => {
                "The consent says otherwise. Put what this person consented to into `consent.own_consents`, whole."
                    .into()
            }
            What::NotOfAct => "This act does not carry it. Leave it out.".into(),
            What::OnwardUnknown => "No referral that came here has this id. See `agent inbox --all`.".into(),
            What::OnwardNotAccepted => "Only what your agency has accepted is referred on. Accept it first.".into(),
            What::OnwardWithdrawn => "Her consent to it is withdrawn. Nothing of it may go on.".into(),
            What::OnwardErased => "Its content was erased here, and with it her consent. Ask her, and send a new \
                                   referral."
                .into(),
            What::OnwardBack => "This is where the case came from. Name another agency.".into(),
            What::OnwardNotConsented => {
                "The consent with which the case came does not name this agency. Ask her, and put the day into \
                 `given_on`."
                    .into()
            }
            What::JoinsUnknown => {
                "Your agency has opened no referral with this id that is under way. See `agent inbox --all --sent`."
                    .into()
            }
            What::StaysHere => "By the agreement, what may tell who she is stays here until it is accepted. Leave this \
                                file out, and send it with `agent disclose` then."
                .into(),
            What::SeveralReferrals => "Several referrals begin so: give more of the id.".into(),
            What::JointByName => {
                "Agencies that work together know of each other: name each of them, without fallbacks.".into()
            }
            What::TellsWhere => {
                "This text names the agency to which the case was referred on. Who referred it here does not learn \
                 where she went next: say it without."
                    .into()
            }
            What::OnwardUnconfirmed => {
                "An agency to which the case was referred on has not confirmed the withdrawal yet. Wait, or telephone \
                 it; `agent show` says who. With `--unchecked` it is stated all the same."
                    .into()
            }
            What::OnwardHeld => {
                "An agency to which the case was referred on holds it still. Recall it there first; `agent show` says \
                 where. With `--unchecked` it is stated all the same."
                    .into()
            }
            What::FileOfNone => {
                "None of the referrals lists this file. List it in the `attachments` of those that it goes with.".into()
            }
            What::OutcomeDiffers => {
                "This does not hold for each of the persons named. Say `partially_received`, or what holds for all."
                    .into()
            }
        }
    }

    /// The same in Arabic. Codes and names are isolated from the text around them.
    #[must_use]
    #[allow(clippy::too_many_lines, reason = "one arm for each flaw")]
    pub fn text_ar(&self) -> String {
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
                format!(
                    "الحجم أكبر من الحد المسموح به وهو {}.",
                    Noun::Byte.arabic(counted(*limit), Place::Subject)
                )
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
            What::NotACode { vocabulary, nearest } if nearest.is_empty() => {
                format!("يجب أن تكون القيمة واحدة مما يلي: {}.", isolated(&listed(vocabulary.codes())))
            }
            What::NotACode { nearest, .. } => {
                let meant = nearest.iter().map(|term| format!("{} ({})", isolated(term.code), term.ar));
                format!(
                    "ليست القيمة من رموز هذا الحقل. هل المقصود {}؟",
                    meant.collect::<Vec<_>>().join(" أو ")
                )
            }
            What::TooFine { coarse, field } => format!(
                "هذا الرمز أدق مما يجوز أن تقرأه البوابة. اكتب هنا {} وانقل هذا الرمز إلى {} وهو حقل مختوم.",
                isolated(coarse),
                isolated(field)
            ),
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
            What::Tells(told) => format!("{} يُقرأ الملخص قبل القبول.", tells_ar(*told)),
            What::FileNameTells => format!(
                "يكشف اسم هذا الملف عن الشخص المعني، وهو يُقرأ قبل القبول. غيّر الاسم أو احذف {}.",
                isolated("contains_identity")
            ),
            What::BasisAsks { field } => {
                format!("يتطلب هذا الأساس السؤال عن {}. اسأل ودوّن الجواب.", isolated(field))
            }
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
            What::NoticeIsCodedOnly => {
                "لا يحمل الإشعار إلا حقولًا مرمّزة: لا بيانات تعريفية ولا ملفات ولا نصوص. احذف هذا أو أرسل إحالة."
                    .into()
            }
            What::NotOfKind => "لا يحمل هذا النوع من الرسائل هذا الحقل. احذفه أو اختر نوعًا آخر.".into(),
            What::NeedsOneOf { fields } => {
                format!("يجب أن يُذكر واحد على الأقل مما يلي: {}.", isolated(&listed(fields.iter().copied())))
            }
            What::FileMissing => "لم يُرفق هذا الملف. أرفقه أو صحّح اسمه.".into(),
            What::PersonTwice => "هذا الرقم مكرر لشخصين. أعطِ كل شخص رقمًا خاصًا به.".into(),
            What::PersonUnknown => format!(
                "لا يوجد في هذه الحالة شخص بهذا الرقم. انظر {} و{}.",
                isolated("household"),
                isolated("persons")
            ),
            What::PersonsDiffer => format!(
                "لصاحب هذا الرقم دور أو جنس آخر في {}. اكتب لكل شخص الرقم نفسه في القائمتين.",
                isolated("household")
            ),
            What::PersonNotConsented => {
                "لا تشمل موافقة هذا الشخص هذه الإحالة. احذف بياناته وموافقته منها أو اسأله أولًا.".into()
            }
            What::PersonIdentityNotAllowed => {
                "لا تسمح موافقة هذا الشخص بإرسال بياناته التعريفية. احذفها.".into()
            }
            What::FileNotAllowed => format!(
                "قد يخص هذا الملف شخصًا لا تشمله موافقته. احذفه أو اذكر في {} من يخصه.",
                isolated("persons")
            ),
            What::OtherConsent => format!(
                "يخالف هذا ما ورد في الموافقة. اكتب موافقة هذا الشخص كاملة في {}.",
                isolated("consent.own_consents")
            ),
            What::NotOfAct => "لا يحمل هذا الإجراء هذا الحقل. احذفه.".into(),
            What::OnwardUnknown => "لا توجد إحالة واردة بهذا الرقم.".into(),
            What::OnwardNotAccepted => "لا يُحال إلى جهة أخرى إلا ما قبلته جهتكم. اقبلوا الإحالة أولًا.".into(),
            What::OnwardWithdrawn => "سُحبت الموافقة على هذه الإحالة. لا يجوز أن يُرسل منها شيء.".into(),
            What::OnwardErased => {
                "مُحي محتوى هذه الإحالة هنا ومعه الموافقة. اسأل الشخص المعني وأرسل إحالة جديدة.".into()
            }
            What::OnwardBack => "هذه هي الجهة التي وردت منها الحالة. اختر جهة أخرى.".into(),
            What::OnwardNotConsented => format!(
                "لا تشمل الموافقة التي وردت مع الحالة هذه الجهة. اسأل الشخص المعني واكتب اليوم في {}.",
                isolated("given_on")
            ),
            What::StaysHere => format!(
                "بموجب الاتفاقية يبقى لديكم كل ما قد يكشف عن الشخص المعني حتى القبول. احذف هذا الملف، ثم أرسله بالأمر {}.",
                isolated("agent disclose")
            ),
            What::SeveralReferrals => "يطابق هذا الرقم عدة إحالات: اكتب المزيد منه.".into(),
            What::JoinsUnknown => "لم تفتح جهتكم إحالة جارية بهذا الرقم.".into(),
            What::JointByName => {
                "الجهات التي تعمل معًا تعرف بعضها بعضًا: سمِّ كلًّا منها من دون جهات بديلة.".into()
            }
            What::TellsWhere => {
                "يذكر هذا النص الجهة التي أُحيلت إليها الحالة. لا تعلم الجهة المُحيلة إلى أين انتقل الشخص المعني: \
                 اكتبه من دون ذلك."
                    .into()
            }
            What::OnwardUnconfirmed => format!(
                "لم تؤكد بعدُ إحدى الجهات التي أُحيلت إليها الحالة تنفيذ سحب الموافقة. انتظر أو اتصل بها هاتفيًا. \
                 وللتأكيد رغم ذلك استخدم {}.",
                isolated("--unchecked")
            ),
            What::OnwardHeld => format!(
                "ما زالت الحالة لدى جهة أُحيلت إليها. استرجعها منها أولًا. وللتأكيد رغم ذلك استخدم {}.",
                isolated("--unchecked")
            ),
            What::FileOfNone => format!(
                "لم يُذكر هذا الملف في أي من الإحالات. اذكره في {} حيث يلزم.",
                isolated("attachments")
            ),
            What::OutcomeDiffers => format!(
                "لا ينطبق هذا على كل من ذُكر من الأشخاص. اكتب {} أو ما ينطبق على الجميع.",
                isolated("partially_received")
            ),
        }
    }
}

/// What a text tells, and how to say it otherwise.
const fn tells_en(told: Telling) -> &'static str {
    match told {
        Telling::Phone => {
            "This text seems to have a telephone number. Leave it out, or move it to `identity`; write amounts as 1,500,000."
        }
        Telling::Address => {
            "This text seems to have an e-mail address or an account's name. Leave it out, or move it to `identity`."
        }
        Telling::IdNumber => {
            "This text seems to have the number of an identity card or passport. Leave it out, or move it to `identity`."
        }
    }
}

/// The same in Arabic.
fn tells_ar(told: Telling) -> String {
    let what = match told {
        Telling::Phone => "يبدو أن في هذا النص رقم هاتف",
        Telling::Address => "يبدو أن في هذا النص بريدًا إلكترونيًا أو اسم حساب",
        Telling::IdNumber => "يبدو أن في هذا النص رقم هوية أو جواز سفر",
    };
    let amounts = match told {
        Telling::Phone => format!(" اكتب المبالغ هكذا: {}.", isolated("1,500,000")),
        Telling::Address | Telling::IdNumber => String::new(),
    };
    format!("{what}. احذفه أو انقله إلى {}.{amounts}", isolated("identity"))
}

fn listed<'a>(words: impl Iterator<Item = &'a str>) -> String {
    words.collect::<Vec<_>>().join(", ")
}

/// A limit as a count.
fn counted(limit: usize) -> u64 {
    u64::try_from(limit).unwrap_or(u64::MAX)
}

/// Shows what is wrong, not where: a pointer could hold a name.
impl fmt::Debug for Flaw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Flaw({:?})", self.what)
    }
}
