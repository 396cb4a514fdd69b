//! An agreement told in words, for whoever is asked to sign it: what it allows, clause by clause. Arabic
//! is not yet reviewed by a native speaker of the field. Not here: what is wrong with it (`warning`).

use super::{Clause, Disclosure, whole::Whole};
use crate::{
    calendar::written,
    clocks::ClockKind,
    count::{Noun, Place, isolated},
    ids::{Code, Kind, Urgency},
    language::Language,
    vocabulary::{CATEGORIES, KINDS, SERVICES, Vocabulary},
    wire,
};

const MIB: u64 = 1024 * 1024;

/// What an agreement says, line by line.
#[must_use]
pub fn lines(whole: &Whole, language: Language) -> Vec<String> {
    let clauses = whole.agreement.clauses.iter().flat_map(|clause| clause_lines(clause, language));
    head(whole, language).into_iter().chain(clauses).collect()
}

/// What a renewal changes: each line that is gone with `-`, each that is new with `+`, under the clause
/// that it is of.
#[must_use]
pub fn changes(former: &Whole, renewal: &Whole, language: Language) -> Vec<String> {
    let mut lines = differing(&terms(former, language), &terms(renewal, language));
    for clause in &former.agreement.clauses {
        let before = clause_lines(clause, language);
        let after = renewal.agreement.clause(&clause.clause_id);
        let after = after.map_or_else(Vec::new, |clause| clause_lines(clause, language));
        let changed = differing(&before, &after);
        let name = before.first().filter(|name| !changed.is_empty() && after.contains(*name));
        lines.extend(name.cloned().into_iter().chain(changed));
    }
    let is_new = |clause: &&Clause| former.agreement.clause(&clause.clause_id).is_none();
    for clause in renewal.agreement.clauses.iter().filter(is_new) {
        lines.extend(differing(&[], &clause_lines(clause, language)));
    }
    lines
}

fn differing(before: &[String], after: &[String]) -> Vec<String> {
    let gone = before.iter().filter(|line| !after.contains(line)).map(|line| format!("- {line}"));
    let new = after.iter().filter(|line| !before.contains(line)).map(|line| format!("+ {line}"));
    gone.chain(new).collect()
}

fn head(whole: &Whole, language: Language) -> Vec<String> {
    let Whole { text, agreement, .. } = whole;
    let mut lines = vec![isolated(&text.title_en), isolated(&text.title_ar)];
    let id = language.isolated(&agreement.id.to_string());
    lines.push(match language {
        Language::English => format!("revision {} of the agreement {id}", agreement.revision),
        Language::Arabic => format!("الإصدار رقم {} من الاتفاقية {id}", agreement.revision),
    });
    lines.extend(agreement.supersedes.map(|old| {
        let old = language.isolated(&old.to_string());
        let takes = language.pick("takes the place of the agreement", "تحل محل الاتفاقية");
        format!("{takes} {old}")
    }));
    lines.push(labelled(language, ("its name in evidence", "اسمها في السجلات"), &whole.digest().to_string()));
    lines.push(language.pick("parties, and who signs for them:", "الأطراف ومن يوقّع عنها:").to_owned());
    lines.extend(text.parties.iter().map(|party| party_line(party, language)));
    lines.extend(terms(whole, language));
    lines
}

/// What holds for all clauses.
fn terms(whole: &Whole, language: Language) -> Vec<String> {
    let Whole { text, agreement, .. } = whole;
    let (from, until) = (written(agreement.valid_from), written(agreement.valid_until));
    let (from, until) = (language.isolated(&from), language.isolated(&until));
    let mut lines = vec![match language {
        Language::English => format!("in force from {from}, and on {until} no longer"),
        Language::Arabic => format!("سارية اعتبارًا من {from}، وينتهي سريانها في {until}"),
    }];
    for (label, value) in [
        (("legal basis", "الأساس القانوني"), &text.legal_basis),
        (
            ("country where the gateway may stand", "الدولة التي يجوز أن توجد فيها البوابة"),
            &text.hosting_country,
        ),
    ] {
        lines.extend((!value.is_empty()).then(|| labelled(language, label, value)));
    }
    let paper = crate::digest::Digest::parse(&text.paper_sha256, "paper_sha256").ok();
    lines.extend(paper.map(|paper| {
        labelled(
            language,
            ("the signed paper, SHA-256", "النسخة الورقية الموقّعة، بصمتها"),
            &paper.to_string(),
        )
    }));
    let days = u64::from(text.retention_days);
    lines.extend((days > 0).then(|| match language {
        Language::English => {
            format!(
                "the gateway keeps what is sealed for {} after an envelope has expired",
                Noun::Day.english(days)
            )
        }
        Language::Arabic => {
            let days = Noun::Day.arabic(days, Place::Governed);
            format!("تحتفظ البوابة بالمحتوى المختوم لمدة {days} بعد انتهاء صلاحية المغلف")
        }
    }));
    lines
}

/// A name and what it is.
fn labelled(language: Language, (english, arabic): (&'static str, &'static str), value: &str) -> String {
    // A legal basis may be in either language, whatever the line is in.
    format!("{}: {}", language.pick(english, arabic), isolated(value))
}

fn party_line(party: &wire::Party, language: Language) -> String {
    let office = match language {
        Language::English => &party.signing_office_en,
        Language::Arabic => &party.signing_office_ar,
    };
    let none = language.pick("no office is named", "لم يُذكر مكتب");
    let office = if office.is_empty() { none.to_owned() } else { isolated(office) };
    format!("  {}: {office}", language.isolated(&party.agency))
}

/// What a clause allows.
fn clause_lines(clause: &Clause, language: Language) -> Vec<String> {
    let [id, from, to] = [clause.clause_id.as_str(), clause.from.as_str(), clause.to.as_str()]
        .map(|name| language.isolated(name));
    let mut lines = vec![match language {
        Language::English => format!("clause {id}: {from} may send to {to}"),
        Language::Arabic => format!("البند {id}: يجوز أن ترسل {from} إلى {to}"),
    }];
    let places = clause.jurisdictions.iter().map(|one| language.isolated(one.as_str()));
    for (label, words) in [
        (("what", "ما يُرسَل"), listed(language, clause.kinds.iter().map(|kind| kind_label(*kind, language)))),
        (("cases", "فئات الحالات"), labels(CATEGORIES, &clause.categories, language)),
        (("services", "الخدمات"), labels(SERVICES, &clause.services, language)),
        (
            ("urgency", "درجة الاستعجال"),
            listed(language, clause.urgencies.iter().map(|one| urgency_word(*one, language).to_owned())),
        ),
        (("where", "النطاق الجغرافي"), listed(language, places)),
        (("who she is", "البيانات التعريفية"), disclosure(clause, language).to_owned()),
        (("how it is addressed", "طريقة اختيار الجهة"), addressing(clause, language).to_owned()),
        (("files", "المرفقات"), files(clause, language)),
    ] {
        let nothing = language.pick("nothing", "لا شيء").to_owned();
        let words = if words.is_empty() { nothing } else { words };
        lines.push(format!("  {}: {words}", language.pick(label.0, label.1)));
    }
    lines.extend(clock_lines(clause, language));
    lines
}

fn kind_label(kind: Kind, language: Language) -> String {
    let place = Kind::ALL.iter().position(|one| *one == kind);
    let term = place.and_then(|place| KINDS.terms.get(place));
    term.map_or_else(|| format!("{kind:?}"), |term| language.pick(term.en, term.ar).to_owned())
}

fn labels(vocabulary: &Vocabulary, codes: &[Code], language: Language) -> String {
    let label = |code: &Code| match vocabulary.find(code.as_str()) {
        Some(term) => language.pick(term.en, term.ar).to_owned(),
        None => isolated(code.as_str()),
    };
    listed(language, codes.iter().map(label))
}

pub(super) const fn urgency_word(urgency: Urgency, language: Language) -> &'static str {
    match urgency {
        Urgency::Emergency => language.pick("emergency", "طارئة"),
        Urgency::Urgent => language.pick("urgent", "عاجلة"),
        Urgency::Normal => language.pick("normal", "عادية"),
    }
}

const fn disclosure(clause: &Clause, language: Language) -> &'static str {
    match (clause.disclosure, clause.sender_keeps_identity) {
        (Disclosure::Never, _) => language.pick("is never sent", "لا تُرسل مطلقًا"),
        (_, true) => language.pick(
            "stays with the sender; when the recipient has accepted, a person at the sender sends it",
            "تبقى لدى الجهة المرسِلة، وبعد قبول الجهة المستلِمة يرسلها شخص لدى الجهة المرسِلة",
        ),
        (Disclosure::OnAcceptance, false) => language.pick(
            "is sent sealed, and handed over when the recipient has accepted",
            "تُرسل مختومة وتُسلَّم بعد قبول الجهة المستلِمة",
        ),
        (Disclosure::AtOnce, false) => language.pick(
            "may be sent with the referral, before anybody has accepted",
            "يجوز إرسالها مع الإحالة قبل أن تقبلها أي جهة",
        ),
    }
}

const fn addressing(clause: &Clause, language: Language) -> &'static str {
    if clause.by_name_only {
        language.pick(
            "by name only, with her own consent to it and a second person at the sender",
            "بالاسم فقط، بموافقة خاصة من الشخص المعني وبموافقة زميل ثانٍ لدى الجهة المرسِلة",
        )
    } else {
        language.pick("by name, by need, or as a fallback", "بالاسم أو بحسب الاحتياج أو كجهة بديلة")
    }
}

fn files(clause: &Clause, language: Language) -> String {
    let most = u64::from(clause.attachments_max);
    let each = size(clause.attachment_bytes_max, language);
    let files = match language {
        Language::English => {
            format!("{} at the most, each of {each} at the most", Noun::Attachment.english(most))
        }
        Language::Arabic => {
            format!("{} على الأكثر، كل منها {each} على الأكثر", Noun::Attachment.arabic(most, Place::Subject))
        }
    };
    let Some(all) = clause.envelope_bytes_max.map(|most| size(most, language)) else {
        return files;
    };
    match language {
        Language::English => format!("{files}; what an envelope itself holds: {all} at the most"),
        Language::Arabic => format!("{files}؛ ومحتوى المغلف نفسه {all} على الأكثر"),
    }
}

fn size(bytes: u64, language: Language) -> String {
    if bytes >= MIB && bytes.is_multiple_of(MIB) {
        return language.isolated(&format!("{} MiB", bytes / MIB));
    }
    match language {
        Language::English => Noun::Byte.english(bytes),
        Language::Arabic => Noun::Byte.arabic(bytes, Place::Subject),
    }
}

fn clock_lines(clause: &Clause, language: Language) -> Vec<String> {
    let mut lines = Vec::new();
    for urgency in Urgency::ALL {
        let limits = clause.clocks.limits().filter(|(of, _, seconds)| of == urgency && *seconds > 0);
        let limits: Vec<_> = limits.map(|(_, kind, seconds)| limit_words(kind, seconds, language)).collect();
        if !limits.is_empty() {
            let of = urgency_word(*urgency, language);
            let label = language.pick("time limits", "المهل");
            lines.push(format!("  {label} ({of}): {}", listed(language, limits)));
        }
    }
    let others = if lines.is_empty() {
        language.pick("  time limits: the network's own", "  المهل: مهل الشبكة")
    } else {
        language.pick("  all other time limits: the network's own", "  بقية المهل: مهل الشبكة")
    };
    lines.push(others.to_owned());
    lines.extend(clause.clocks.calendar().map(|calendar| {
        let calendar = language.isolated(calendar.as_str());
        match language {
            Language::English => format!(
                "  this agreement's limits count in the working time of the calendar {calendar}, except in an emergency"
            ),
            Language::Arabic => {
                format!("  تُحسب مهل هذه الاتفاقية بأوقات عمل التقويم {calendar}، إلا في الحالات الطارئة")
            }
        }
    }));
    lines
}

fn limit_words(kind: ClockKind, seconds: u64, language: Language) -> String {
    let (english, arabic) = match kind {
        ClockKind::Delivered => ("delivered", "التسليم"),
        ClockKind::Seen => ("seen by a person", "الاطلاع"),
        ClockKind::Answered => ("answered", "الرد"),
        ClockKind::Escalation => ("the next agency asked", "سؤال الجهة التالية"),
        ClockKind::Disclosure => {
            ("the identity sent after an acceptance", "إرسال البيانات التعريفية بعد القبول")
        }
        ClockKind::Transit => ("her arrival after a departure", "الوصول بعد الانطلاق"),
        ClockKind::Progress => ("word of how it goes on after an acceptance", "خبر عن سير الحالة بعد القبول"),
        ClockKind::Transfer => ("an offered transfer answered", "الرد على عرض نقل المسؤولية"),
        // No agreement names it.
        ClockKind::Held => ("a hold confirmed", "تأكيد الحجز"),
    };
    let within = language.pick("within", "خلال");
    format!("{} {within} {}", language.pick(english, arabic), duration(seconds, language))
}

/// Several things, one after the other.
#[must_use]
pub fn listed(language: Language, things: impl IntoIterator<Item = String>) -> String {
    things.into_iter().collect::<Vec<_>>().join(language.pick("; ", "؛ "))
}

/// A time in the largest unit that says it whole.
fn duration(seconds: u64, language: Language) -> String {
    let units = [(24 * 60 * 60, Noun::Day), (60 * 60, Noun::Hour), (60, Noun::Minute)];
    let whole = units.into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    let (count, noun) = whole
        .map_or((seconds, Noun::Second), |(unit, noun)| (seconds.checked_div(unit).unwrap_or(seconds), noun));
    match language {
        Language::English => noun.english(count),
        Language::Arabic => noun.arabic(count, Place::Governed),
    }
}
