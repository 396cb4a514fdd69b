//! Refusals: rules that a well-formed, authenticated request breaks. Stable codes, the field, and
//! what to do next in English and Arabic. Not here: bytes that cannot be read ([`Malformed`](crate::Malformed)),
//! and faults of our own.

use thiserror::Error;

/// What kind of answer a refusal is to a caller; the gateway's one match makes gRPC codes of it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Class {
    /// Something in the request must change (`INVALID_ARGUMENT`).
    Invalid,
    /// The caller may not do this (`PERMISSION_DENIED`).
    Denied,
    /// The state does not allow it now (`FAILED_PRECONDITION`).
    Precondition,
    /// Nothing the caller may know of has that name (`NOT_FOUND`).
    NotFound,
    /// The name is taken by something else (`ALREADY_EXISTS`).
    Exists,
    /// A limit is reached; the same request may pass later (`RESOURCE_EXHAUSTED`).
    Exhausted,
}

macro_rules! refusals {
    ($($variant:ident = $number:literal $name:literal $class:ident $field:literal
        en $en:literal
        ar $ar:literal
    )+) => {
        /// Why the gateway refuses. The order is the precedence: of several reasons the first is given; but
        /// whether an invitation may be used comes before what it is used for.
        /// Numbers and names are stable and never used again.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Error)]
        pub enum Refusal {
            $(
                #[doc = $en]
                #[error($name)]
                $variant,
            )+
        }

        impl Refusal {
            /// Every refusal, in order of precedence.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// The stable number, as evidence records hold it.
            #[must_use]
            pub const fn number(self) -> u32 {
                match self { $(Self::$variant => $number),+ }
            }

            /// The stable name.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// What kind of answer it is.
            #[must_use]
            pub const fn class(self) -> Class {
                match self { $(Self::$variant => Class::$class),+ }
            }

            /// The field that it is about, unless the decision names a closer one.
            #[must_use]
            pub const fn field(self) -> &'static str {
                match self { $(Self::$variant => $field),+ }
            }

            /// What happened and what to do next, in English.
            #[must_use]
            pub const fn text_en(self) -> &'static str {
                match self { $(Self::$variant => $en),+ }
            }

            /// What happened and what to do next, in Arabic. Not yet reviewed by a native speaker of
            /// the field.
            #[must_use]
            pub const fn text_ar(self) -> &'static str {
                match self { $(Self::$variant => $ar),+ }
            }

            /// The refusal with this number.
            #[must_use]
            pub fn from_number(number: u32) -> Option<Self> {
                Self::ALL.iter().copied().find(|refusal| refusal.number() == number)
            }
        }
    };
}

refusals! {
    CallerNotSender = 1 "CALLER_NOT_SENDER" Denied "from"
        en "The sender named in the header is not the agency that is connected. Send it from that agency's own agent."
        ar "الجهة المرسلة المذكورة في الترويسة ليست الجهة المتصلة. أرسلها من برنامج الربط الخاص بتلك الجهة."
    RoleNotAllowed = 2 "ROLE_NOT_ALLOWED" Denied ""
        en "Your role does not allow this. Ask an administrator of the network."
        ar "دورك لا يسمح بذلك. راجع مسؤول الشبكة."
    NoNetwork = 3 "NO_NETWORK" Precondition ""
        en "This gateway has no network yet. Its administrators must sign the first entry of the directory."
        ar "لم تُنشأ شبكة على هذه البوابة بعد. على مسؤوليها توقيع أول قيد في الدليل."
    SenderUnknown = 4 "SENDER_UNKNOWN" Denied "from"
        en "Your agency is not in the directory. Ask an administrator of the network to admit it."
        ar "جهتك غير مسجلة في الدليل. اطلب من مسؤول الشبكة تسجيلها."
    SenderSuspended = 5 "SENDER_SUSPENDED" Denied "from"
        en "Your agency is suspended. Nothing is lost: keep what you have and call the network's administrators."
        ar "جهتك موقوفة مؤقتًا. لم يضع شيء: احتفظ بما لديك واتصل بمسؤولي الشبكة."
    SigningKeyNotInForce = 6 "SIGNING_KEY_NOT_IN_FORCE" Denied "signatures.key_id"
        en "The signing key is not in force for your agency. Publish your new key, then sign again."
        ar "مفتاح التوقيع غير سارٍ لجهتك. انشر مفتاحك الجديد ثم وقّع من جديد."
    EnvelopeIdTaken = 7 "ENVELOPE_ID_TAKEN" Exists "envelope_id"
        en "An envelope of yours with this id and other content was accepted before; the field that differs is named. Send the new content under a new id."
        ar "قُبل منكم سابقًا مغلف بهذا المعرّف وبمحتوى آخر، والحقل المختلف مذكور. أرسلوا المحتوى الجديد بمعرّف جديد."
    ToSelf = 8 "TO_SELF" Invalid "to"
        en "Sender and recipient are the same agency. Name another recipient."
        ar "المرسِل والمستلِم جهة واحدة. حدّد جهة مستلِمة أخرى."
    CreatedInFuture = 9 "CREATED_IN_FUTURE" Invalid "created_at_ms"
        en "The envelope is dated in the future. Set the clock of the agent's machine."
        ar "تاريخ المغلف في المستقبل. اضبط ساعة الجهاز الذي يعمل عليه برنامج الربط."
    IdTimeDiffers = 10 "ID_TIME_DIFFERS" Invalid "envelope_id"
        en "The time inside the envelope's id is not the time it was created. Make the id when you make the envelope."
        ar "الوقت داخل معرّف المغلف يخالف وقت إنشائه. أنشئ المعرّف عند إنشاء المغلف."
    Expired = 11 "EXPIRED" Precondition "expires_at_ms"
        en "The envelope expired before it arrived. Check that it is still true, and send it anew."
        ar "انتهت صلاحية المغلف قبل وصوله. تحقق من أنه ما زال صحيحًا وأرسله من جديد."
    LifetimeTooLong = 12 "LIFETIME_TOO_LONG" Invalid "expires_at_ms"
        en "The envelope would live longer than the network allows. Choose an earlier expiry."
        ar "مدة صلاحية المغلف أطول مما تسمح به الشبكة. اختر تاريخ انتهاء أقرب."
    DirectoryAhead = 13 "DIRECTORY_AHEAD" Precondition "directory_size"
        en "The header relies on directory entries that this gateway does not have. Stop, and tell the network's administrators: the directory may have been cut."
        ar "تستند الترويسة إلى قيود في الدليل غير موجودة لدى هذه البوابة. توقّف وأبلغ مسؤولي الشبكة: ربما اقتُطع الدليل."
    NoAgreement = 14 "NO_AGREEMENT" Denied "agreement"
        en "No agreement with this digest binds you and this recipient. Ask for the route to be explained, or call the recipient."
        ar "لا توجد اتفاقية بهذه البصمة تجمعكم بالجهة المستلِمة. اطلب شرح المسار أو اتصل بالجهة المستلِمة."
    AgreementNotSigned = 15 "AGREEMENT_NOT_SIGNED" Precondition "agreement"
        en "The agreement still lacks a party's signature. It is in force when every party has signed."
        ar "ما زال ينقص الاتفاقية توقيع أحد أطرافها. تسري عندما يوقّعها جميع الأطراف."
    AgreementNotYet = 16 "AGREEMENT_NOT_YET" Precondition "agreement"
        en "The agreement is not in force yet. Wait for its first day, or use another."
        ar "لم يبدأ سريان الاتفاقية بعد. انتظر أول يوم لسريانها أو استخدم غيرها."
    AgreementEnded = 17 "AGREEMENT_ENDED" Precondition "agreement"
        en "The agreement has ended. Its parties must renew it."
        ar "انتهت الاتفاقية. على أطرافها تجديدها."
    AgreementSuperseded = 18 "AGREEMENT_SUPERSEDED" Precondition "agreement"
        en "A newer revision replaced this agreement. Update the directory and send it again under the new one."
        ar "حلّ إصدار أحدث محل هذه الاتفاقية. حدّث الدليل وأرسلها من جديد بموجب الإصدار الجديد."
    AgreementSuspended = 19 "AGREEMENT_SUSPENDED" Precondition "agreement"
        en "The agreement is suspended. Call the recipient or the network's administrators."
        ar "الاتفاقية موقوفة مؤقتًا. اتصل بالجهة المستلِمة أو بمسؤولي الشبكة."
    RecipientSuspended = 20 "RECIPIENT_SUSPENDED" Precondition "to"
        en "The recipient is suspended for now. Choose another recipient, or call the network's administrators."
        ar "الجهة المستلِمة موقوفة مؤقتًا. اختر جهة أخرى أو اتصل بمسؤولي الشبكة."
    DirectionNotAgreed = 21 "DIRECTION_NOT_AGREED" Denied "to"
        en "The agreement does not let your agency send to this recipient. Ask for the route to be explained."
        ar "لا تسمح الاتفاقية لجهتك بالإرسال إلى هذه الجهة. اطلب شرح المسار."
    KindNotAgreed = 22 "KIND_NOT_AGREED" Denied "kind"
        en "The agreement does not cover this kind of envelope."
        ar "لا تشمل الاتفاقية هذا النوع من المغلفات."
    CategoryNotAgreed = 23 "CATEGORY_NOT_AGREED" Denied "category"
        en "The agreement does not cover this category. Ask for the route to be explained: another agency may."
        ar "لا تشمل الاتفاقية هذه الفئة. اطلب شرح المسار فقد تشملها اتفاقية جهة أخرى."
    ServiceNotAgreed = 24 "SERVICE_NOT_AGREED" Denied "service"
        en "The agreement does not cover this service. Ask for the route to be explained: another agency may give it."
        ar "لا تشمل الاتفاقية هذه الخدمة. اطلب شرح المسار فقد تقدمها جهة أخرى."
    UrgencyNotAgreed = 25 "URGENCY_NOT_AGREED" Denied "urgency"
        en "The agreement does not cover this urgency. Telephone the recipient now if someone is in danger."
        ar "لا تشمل الاتفاقية درجة الاستعجال هذه. اتصل بالجهة المستلِمة هاتفيًا الآن إذا كان أحد في خطر."
    JurisdictionNotAgreed = 26 "JURISDICTION_NOT_AGREED" Denied "jurisdiction"
        en "The agreement does not cover this country or emirate."
        ar "لا تشمل الاتفاقية هذه الدولة أو الإمارة."
    OnlyByName = 27 "ONLY_BY_NAME" Denied "addressing"
        en "This recipient is never chosen by need. Name it yourself, with her consent and a second person's."
        ar "لا تُختار هذه الجهة بحسب الاحتياج أبدًا. حدّدها بنفسك بموافقة الشخص المعني وموافقة زميل ثانٍ."
    IdentityNotAllowed = 28 "IDENTITY_NOT_ALLOWED" Denied "parts.class"
        en "Her consent or the agreement does not let identity travel. Send it without the identity part."
        ar "لا تسمح موافقة الشخص المعني أو الاتفاقية بإرسال البيانات التعريفية. أرسلها من دون جزء البيانات التعريفية."
    IdentityTooEarly = 29 "IDENTITY_TOO_EARLY" Denied "parts.release"
        en "Under this agreement identity is released on acceptance only. Park the identity part."
        ar "بموجب هذه الاتفاقية لا تُسلَّم البيانات التعريفية إلا بعد القبول. أودِع جزء البيانات التعريفية إلى حينه."
    PartTooLarge = 30 "PART_TOO_LARGE" Invalid "parts.length_bytes"
        en "A part is larger, or there are more of them, than the agreement allows."
        ar "أحد الأجزاء أكبر مما تسمح به الاتفاقية، أو عدد الأجزاء أكثر."
    PartNotUploaded = 31 "PART_NOT_UPLOADED" Precondition "parts.sha256"
        en "A part was not uploaded completely. Upload it, then push the same envelope again."
        ar "لم يكتمل تحميل أحد الأجزاء. حمّله ثم أرسل المغلف نفسه من جديد."
    SealingKeyNotInForce = 32 "SEALING_KEY_NOT_IN_FORCE" Precondition "parts.key_ids"
        en "A part is sealed to a key that is not the recipient's any more. Update the directory and seal it anew."
        ar "أحد الأجزاء مختوم بمفتاح لم يعد للجهة المستلِمة. حدّث الدليل واختمه من جديد."
    MechanismChanged = 33 "MECHANISM_CHANGED" Precondition "mechanism"
        en "The referral mechanism has changed since. Update the directory, and resolve the need again."
        ar "تغيّرت آلية الإحالة بعد ذلك. حدّث الدليل وأعد تحديد الجهة المناسبة للاحتياج."
    FallbackNotAgreed = 34 "FALLBACK_NOT_AGREED" Denied "fallbacks"
        en "A fallback agency is not one that you may refer to. Name only agencies that an agreement binds you with."
        ar "إحدى الجهات البديلة ليست مما يحق لكم الإحالة إليه. اذكر فقط جهات تجمعكم بها اتفاقية."
    UnknownReferral = 35 "UNKNOWN_REFERRAL" NotFound "referral"
        en "You have no such referral. Check the referral's id and the agency that opened it."
        ar "لا توجد لديكم إحالة كهذه. تحقق من معرّف الإحالة ومن الجهة التي فتحتها."
    OutOfSequence = 36 "OUT_OF_SEQUENCE" Precondition "sequence"
        en "An envelope of yours in this referral is missing before this one. Push the earlier ones first."
        ar "ينقص مغلف منكم في هذه الإحالة قبل هذا المغلف. أرسلوا المغلفات السابقة أولًا."
    PreviousDiffers = 37 "PREVIOUS_DIFFERS" Invalid "previous"
        en "This envelope does not follow your last accepted one in this referral. Another copy of your agent may be sending."
        ar "لا يتبع هذا المغلف آخر مغلف مقبول منكم في هذه الإحالة. قد تكون هناك نسخة أخرى من برنامج الربط ترسل."
    AttemptOpen = 38 "ATTEMPT_OPEN" Precondition "attempt"
        en "The attempt before has not ended. Recall it, or wait for its answer."
        ar "المحاولة السابقة لم تنته. استرجعها أو انتظر الرد عليها."
    AttemptEnded = 39 "ATTEMPT_ENDED" Precondition "attempt"
        en "This attempt has ended: its time ran out, or the referral went on without you. Thank you. If you can still help, telephone the sender, who can ask you again."
        ar "انتهت هذه المحاولة: انقضت مهلتها أو تابعت الإحالة طريقها من دونكم. شكرًا لكم. إن كان بوسعكم المساعدة فاتصلوا بالجهة المرسلة هاتفيًا، فبإمكانها أن تطلب منكم من جديد."
    AttemptNumber = 40 "ATTEMPT_NUMBER" Invalid "attempt"
        en "The attempt's number is not the next one."
        ar "رقم المحاولة ليس الرقم التالي."
    ActNotLegal = 41 "ACT_NOT_LEGAL" Precondition "act"
        en "This act is not possible for you in the referral's present state. The acts that are possible are named."
        ar "هذا الإجراء غير متاح لكم في الحالة الراهنة للإحالة. الإجراءات المتاحة مذكورة."
    ReasonNotLegal = 42 "REASON_NOT_LEGAL" Invalid "reason"
        en "This act needs a reason class, or one that fits it."
        ar "يتطلب هذا الإجراء فئة سبب، أو فئة تناسبه."
    MailboxFull = 43 "MAILBOX_FULL" Exhausted "to"
        en "The recipient's mailbox is full: it has not fetched for long. Telephone it; your agent tries again by itself."
        ar "صندوق الجهة المستلِمة ممتلئ لأنها لم تستلم منذ مدة. اتصل بها هاتفيًا؛ يعيد برنامج الربط المحاولة تلقائيًا."
    NotWaiting = 44 "NOT_WAITING" NotFound "handovers.envelope"
        en "Nothing waits for you under this digest: it was handed over already, or is not yours. Nothing more is needed."
        ar "لا شيء ينتظركم تحت هذه البصمة: سُلِّم من قبل أو ليس لكم. لا حاجة إلى أي إجراء آخر."
    DigestsDiffer = 45 "DIGESTS_DIFFER" Invalid "handovers.part_digests"
        en "The digests that you signed are not those of the envelope. Fetch it again and compare."
        ar "البصمات التي وقّعتموها ليست بصمات المغلف. استلموه من جديد وقارنوا."
    ChangeIdTaken = 46 "CHANGE_ID_TAKEN" Exists "change_id"
        en "A change with this id and other content was logged before. Use a new id."
        ar "سُجِّل سابقًا تغيير بهذا المعرّف وبمحتوى آخر. استخدم معرّفًا جديدًا."
    NotEnoughSigners = 47 "NOT_ENOUGH_SIGNERS" Denied "signatures"
        en "This change needs signatures that it does not carry: by two administrators, or by the owner."
        ar "يتطلب هذا التغيير تواقيع لا يحملها: توقيع مسؤولَين اثنين أو توقيع صاحب القيد."
    GenesisDone = 48 "GENESIS_DONE" Precondition "genesis"
        en "The network exists already."
        ar "الشبكة منشأة من قبل."
    AgencyExists = 49 "AGENCY_EXISTS" Exists "agency"
        en "An agency with this id is in the directory already."
        ar "توجد في الدليل جهة بهذا المعرّف."
    SubjectUnknown = 50 "SUBJECT_UNKNOWN" NotFound "subject"
        en "The directory holds no such agency, key, administrator or agreement."
        ar "لا يحتوي الدليل على جهة أو مفتاح أو مسؤول أو اتفاقية كهذه."
    KeyTaken = 51 "KEY_TAKEN" Exists "public_key"
        en "This key, or one with the same id, is in the directory already. Make a new key."
        ar "هذا المفتاح، أو مفتاح بالمعرّف نفسه، موجود في الدليل. أنشئ مفتاحًا جديدًا."
    NotProven = 52 "NOT_PROVEN" Denied "signatures"
        en "A new signing key must sign for itself, to show that it is held. Sign with the new key too."
        ar "على مفتاح التوقيع الجديد أن يوقّع لنفسه إثباتًا لحيازته. وقّع بالمفتاح الجديد أيضًا."
    LastKey = 53 "LAST_KEY" Precondition "key_id"
        en "This is the agency's last signing key. Publish the next one first, or suspend the agency."
        ar "هذا آخر مفتاح توقيع للجهة. انشر المفتاح التالي أولًا أو أوقف الجهة."
    AdministratorExists = 54 "ADMINISTRATOR_EXISTS" Exists "administrator.pseudonym"
        en "An administrator with this pseudonym exists already."
        ar "يوجد مسؤول بهذا الاسم المستعار."
    TooFewAdministrators = 55 "TOO_FEW_ADMINISTRATORS" Precondition "pseudonym"
        en "Two administrators must remain. Add another first."
        ar "يجب أن يبقى مسؤولان اثنان. أضف مسؤولًا آخر أولًا."
    NotSuspended = 56 "NOT_SUSPENDED" Precondition "subject"
        en "It is not suspended."
        ar "ليست موقوفة."
    AlreadySuspended = 57 "ALREADY_SUSPENDED" Precondition "subject"
        en "It is suspended already, and confirmed."
        ar "موقوفة من قبل، والإيقاف مؤكَّد."
    PartyUnknown = 58 "PARTY_UNKNOWN" Precondition "parties"
        en "A party of the agreement is not in the directory. Admit it first."
        ar "أحد أطراف الاتفاقية غير مسجل في الدليل. سجّله أولًا."
    NotAParty = 59 "NOT_A_PARTY" Denied "signatures"
        en "Only parties sign an agreement."
        ar "لا يوقّع الاتفاقية إلا أطرافها."
    RevisionNotNext = 60 "REVISION_NOT_NEXT" Precondition "revision"
        en "The revision is not the next one of this agreement or mechanism."
        ar "رقم الإصدار ليس التالي لهذه الاتفاقية أو الآلية."
    DirectoryFull = 61 "DIRECTORY_FULL" Exhausted ""
        en "The directory has reached its limit of such entries. Call the network's administrators."
        ar "بلغ الدليل حدّه الأقصى من هذه القيود. اتصل بمسؤولي الشبكة."
    ReferralsFull = 62 "REFERRALS_FULL" Exhausted "referral"
        en "Your agency has reached its limit of open referrals. Close those that have ended; your agent tries again by itself."
        ar "بلغت جهتكم الحد الأقصى من الإحالات المفتوحة. أغلقوا ما انتهى منها؛ يعيد برنامج الربط المحاولة تلقائيًا."
    MalformedBytes = 63 "MALFORMED" Invalid ""
        en "The bytes are not what they claim to be; the field is named. Update the agent, or mend the program that made them."
        ar "البيانات ليست على الصيغة المعلنة، والحقل مذكور. حدّث برنامج الربط أو أصلح البرنامج الذي أنشأها."
    NotInvited = 64 "NOT_INVITED" Denied "invitation_key"
        en "No invitation allows this. Check that it is the newest one and that all of it was copied, or ask the network's administrators for another."
        ar "لا توجد دعوة تسمح بهذا. تحقق من أنها أحدث دعوة وأنها نُسخت كاملة، أو اطلب دعوة أخرى من مسؤولي الشبكة."
    InvitationUsed = 65 "INVITATION_USED" Precondition "invitation_key"
        en "This invitation was used already. If it was not you who used it, call the network's administrators at once."
        ar "استُخدمت هذه الدعوة من قبل. إذا لم تستخدمها أنت فاتصل بمسؤولي الشبكة فورًا."
    InvitationExpired = 66 "INVITATION_EXPIRED" Precondition "invitation_key"
        en "This invitation has expired. Ask the network's administrators for a new one."
        ar "انتهت صلاحية هذه الدعوة. اطلب دعوة جديدة من مسؤولي الشبكة."
    InvitationRevoked = 67 "INVITATION_REVOKED" Precondition "invitation_key"
        en "This invitation was withdrawn, or a newer one took its place. Ask the network's administrators for the newest."
        ar "سُحبت هذه الدعوة أو حلّت محلها دعوة أحدث. اطلب أحدث دعوة من مسؤولي الشبكة."
    InvitationTooLong = 68 "INVITATION_TOO_LONG" Invalid "expires_at_ms"
        en "An invitation may be open for 7 days at most. Choose an earlier end."
        ar "يجوز أن تبقى الدعوة مفتوحة سبعة أيام على الأكثر. اختر موعد انتهاء أقرب."
    QueriesFull = 69 "QUERIES_FULL" Exhausted ""
        en "You have asked for more evidence within an hour than one person may. Go on in an hour."
        ar "طلبت من الأدلة خلال ساعة أكثر مما يُسمح به لشخص واحد. تابع بعد ساعة."
    ClocksNotStricter = 70 "CLOCKS_NOT_STRICTER" Invalid "clauses.clocks"
        en "A clock of the agreement is longer than the network's, unknown, or named twice. Agreements may only make clocks shorter."
        ar "إحدى مهل الاتفاقية أطول من مهلة الشبكة أو غير معروفة أو مذكورة مرتين. لا يجوز للاتفاقيات إلا تقصير المهل."
    CalendarUnknown = 71 "CALENDAR_UNKNOWN" Precondition "clauses.clocks.calendar"
        en "The agreement counts its clocks by a calendar that the directory does not hold. Ask two administrators to publish it first."
        ar "تُحسب مهل الاتفاقية بتقويم غير موجود في الدليل. اطلب من مسؤولَين اثنين نشره أولًا."
    CalendarNotUsable = 72 "CALENDAR_NOT_USABLE" Invalid "time_zone"
        en "The calendar has no working day, a holiday that is no date, or a time zone that is not in the table of the rules."
        ar "ليس في التقويم يوم عمل، أو فيه عطلة ليست تاريخًا صحيحًا، أو منطقة زمنية غير واردة في جدول القواعد."
    ClockNotInDoubt = 73 "CLOCK_NOT_IN_DOUBT" Precondition "time_ms"
        en "The gateway's clock is not in doubt, or was later than this already. Nothing more is needed."
        ar "ساعة البوابة ليست موضع شك، أو تجاوزت هذا الوقت من قبل. لا حاجة إلى أي إجراء آخر."
    RecipientFull = 74 "RECIPIENT_FULL" Precondition "to"
        en "This recipient says that it has no room for this service now, so nobody is sent there by need. Name it yourself if it has agreed by telephone."
        ar "تقول الجهة المستلِمة إنه لا متسع لديها لهذه الخدمة الآن، فلا يُحال إليها أحد بحسب الاحتياج. حدّدها بنفسك إن وافقت هاتفيًا."
    OperationNotLegal = 75 "OPERATION_NOT_LEGAL" Precondition "operation"
        en "This cannot be done with the referral as it stands: it was handed over or has ended, or is not held back. Look at it again."
        ar "لا يمكن هذا والإحالة في حالتها الراهنة: سُلِّمت أو انتهت أو ليست محجوزة. راجعها من جديد."
    SecondPersonNeeded = 76 "SECOND_PERSON_NEEDED" Denied "operation"
        en "You have said so already. Another operator must say the same."
        ar "سبق أن طلبت ذلك. يلزم تأكيد من مشغّل آخر."
    NotifiedLately = 77 "NOTIFIED_LATELY" Exhausted "operation"
        en "The recipient's people were told once more a few minutes ago. Telephone its duty desk, or wait a quarter of an hour."
        ar "أُشعر العاملون لدى الجهة المستلِمة قبل دقائق. اتصل بمناوبتها أو انتظر ربع ساعة."
    ReferralHeld = 78 "REFERRAL_HELD" Precondition "referral"
        en "The network's operators hold this referral back, so no other agency is asked. Call them."
        ar "حجز مشغّلو الشبكة هذه الإحالة فلا تُسأل جهة أخرى. اتصل بهم."
    ReturnedToSender = 79 "RETURNED_TO_SENDER" Precondition "referral"
        en "The network's operators returned this referral: it could not be delivered. Choose another agency, or call them."
        ar "أعاد مشغّلو الشبكة هذه الإحالة لتعذّر تسليمها. اختر جهة أخرى أو اتصل بهم."
    ShardNotNext = 80 "SHARD_NOT_NEXT" Precondition "number"
        en "A new shard begins after a restore only, where both logs end, and with a number above every one that was seen. Make the change anew from what the gateway says now."
        ar "لا يبدأ جزء جديد من السجل إلا بعد استعادة، وعند نهاية السجلَّين، وبرقم أعلى من كل رقم شوهد. أنشئ التغيير من جديد مما تقوله البوابة الآن."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_stable_and_in_order_of_precedence() {
        let listed: String = Refusal::ALL
            .iter()
            .map(|refusal| {
                format!("{} {} {:?} {}\n", refusal.number(), refusal.name(), refusal.class(), refusal.field())
            })
            .collect();
        assert_eq!(listed, include_str!("../tests/golden/refusals.txt"));
        assert!(Refusal::ALL.is_sorted());
        for (place, refusal) in Refusal::ALL.iter().enumerate() {
            assert_eq!(usize::try_from(refusal.number()).unwrap(), place + 1);
            assert_eq!(Refusal::from_number(refusal.number()), Some(*refusal));
        }
        assert_eq!(Refusal::from_number(0), None);
    }

    #[test]
    fn every_refusal_speaks_both_languages() {
        for refusal in Refusal::ALL {
            assert!(refusal.text_en().ends_with('.') && refusal.text_en().is_ascii(), "{refusal}");
            let arabic = refusal.text_ar().chars().filter(|c| ('\u{600}'..='\u{6ff}').contains(c)).count();
            assert!(arabic > 5 && refusal.text_ar().ends_with('.'), "{refusal}");
            assert!(
                !refusal.text_ar().contains(|c: char| c.is_ascii_alphabetic()),
                "{refusal}: Latin needs isolation"
            );
            assert!(
                !refusal.text_ar().contains("مرفوض") && !refusal.text_ar().contains("الضحية"),
                "{refusal}: see the glossary"
            );
        }
    }
}
