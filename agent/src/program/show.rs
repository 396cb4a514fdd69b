//! How things are shown: for people in their language, or as JSON for programs. Not here: where they
//! come from.

use std::{
    collections::BTreeMap,
    io::{self, Write as _},
};

use agent::{
    api,
    words::{self, Language},
};
use indicatif::{ProgressBar, ProgressStyle};
use proto::{
    clocks::ClockKind,
    count::{Adjective, Noun},
    evidence::Event,
    ids::{PartClass, ReasonClass, Urgency},
    lifecycle::{Act, Status},
    operation::Operation,
    payload::household,
    refusal::Refusal,
    vocabulary::{HOUSEHOLD_ROLES, OPERATION_REASONS, OUTCOMES, REASONS},
    wire,
};
use serde_json::{Value, json};

use super::{arguments::Arguments, contact, outcome::Trouble};

/// How often a spinner moves.
const SPINNER_EVERY: std::time::Duration = std::time::Duration::from_millis(100);

/// Where things are shown.
pub(crate) struct Screen {
    json: bool,
    pub(crate) language: Language,
}

impl Screen {
    pub(crate) fn new(arguments: &Arguments) -> Self {
        Self { json: arguments.json, language: arguments.lang.into() }
    }

    /// Shows lines to people, or a value to programs. Whoever listens may have gone: that is no fault.
    pub(crate) fn show(&self, lines: impl IntoIterator<Item = String>, value: impl FnOnce() -> Value) {
        let mut out = io::stdout().lock();
        let written = if self.json {
            writeln!(out, "{}", value())
        } else {
            lines.into_iter().try_for_each(|line| writeln!(out, "{line}"))
        };
        drop(written);
    }

    /// Says what went wrong.
    pub(crate) fn trouble(&self, trouble: &Trouble) {
        let mut error = io::stderr().lock();
        let said = if self.json {
            writeln!(error, "{}", json!({"error": trouble.says}))
        } else {
            writeln!(error, "agent: {}", trouble.says)
        };
        drop(said);
    }

    /// How far long work is: on standard error, only where that is a terminal, and never for programs.
    pub(crate) fn bar(&self) -> ProgressBar {
        let style = ProgressStyle::with_template("{bar:40} {bytes}/{total_bytes} {eta}");
        let bar = if self.json { ProgressBar::hidden() } else { ProgressBar::new(0) };
        bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
    }

    /// That something goes on of which nobody knows how far it is; the same.
    pub(crate) fn spinner(&self, what: &'static str) -> ProgressBar {
        let style = ProgressStyle::with_template("{spinner} {msg} {elapsed}");
        let spinner = if self.json { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
        let spinner = spinner.with_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
        spinner.enable_steady_tick(SPINNER_EVERY);
        spinner.with_message(what)
    }

    /// Says something beside what is shown.
    pub(crate) fn remark(&self, line: &str) {
        if !self.json {
            drop(writeln!(io::stderr().lock(), "{line}"));
        }
    }
}

/// How what goes on looks once it is known how far it is.
pub(crate) fn percent() -> ProgressStyle {
    let style = ProgressStyle::with_template("{msg} {percent:>3}% {bar:40} {bytes}/{total_bytes} {eta}");
    style.unwrap_or_else(|_| ProgressStyle::default_bar())
}

/// A moment as people read it: UTC, to the second.
pub(crate) fn moment(unix_ms: u64) -> String {
    let day = agent::document::day_of(proto::ids::TimeMs(unix_ms));
    let seconds = unix_ms / 1000 % 86_400;
    format!("{day} {:02}:{:02}:{:02}Z", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

fn status_of(number: i32) -> Option<Status> {
    Status::parse(number, "status").ok()
}

fn act_of(number: i32) -> Option<Act> {
    Act::parse(number, "act").ok()
}

/// The first characters of an id, which are enough to name it by.
fn short(id: &str) -> &str {
    id.get(..13).unwrap_or(id)
}

/// A case in one line.
pub(crate) fn case_line(case: &api::CaseSummary, language: Language) -> String {
    let status = status_of(case.status).map_or("?", |status| words::status(status, language));
    let urgency =
        Urgency::parse(case.urgency, "urgency").map_or("?", |urgency| words::urgency(urgency, language));
    let direction = if case.incoming { "<-" } else { "->" };
    let waiting = words::counted_that(Noun::Envelope, case.waiting.into(), Adjective::Waiting, language);
    let waiting = if case.waiting > 0 { format!("  [{waiting}]") } else { String::new() };
    let told =
        case.told.as_ref().map_or_else(String::new, |told| format!("  [{}]", event_words(told, language)));
    let unopened = language.pick("  [a part cannot be opened]", "  [تعذّر فتح أحد الأجزاء]");
    let unopened = if case.not_opened { unopened } else { "" };
    // What is no referral says so.
    let is_referral = case.kind.is_empty() || case.kind == "referral";
    let kind = if is_referral { String::new() } else { format!("  {}", words::kind(&case.kind, language)) };
    let split = language.pick("one of a split need", "جزء من احتياج مقسَّم");
    let split = if case.split_with.is_empty() { String::new() } else { format!("  [{split}]") };
    let moved = language.pick("the recipient answers for it", "الجهة المستلِمة هي المسؤولة عنها");
    let is_moved = !case.answers_for_it.is_empty() && case.answers_for_it != case.opened_by;
    let moved = if is_moved { format!("  [{moved}]") } else { String::new() };
    let isolated = |text: &str| language.isolated(text);
    format!(
        "{}  {}  {}  {}{kind}  {urgency}  {}  {status}{moved}{told}{waiting}{unopened}{split}",
        isolated(short(&case.referral)),
        isolated(&case.spoken_code),
        isolated(&format!("{direction} {}", case.other)),
        isolated(&moment(case.changed_at_ms)),
        isolated(&format!("{}/{} {}", case.category, case.service, case.jurisdiction)),
    )
}

/// A case for programs.
pub(crate) fn case_json(case: &api::CaseSummary) -> Value {
    json!({
        "referral": case.referral,
        "code": case.spoken_code,
        "opened_by": case.opened_by,
        "other": case.other,
        "incoming": case.incoming,
        "kind": case.kind,
        "category": case.category,
        "service": case.service,
        "jurisdiction": case.jurisdiction,
        "urgency": Urgency::parse(case.urgency, "urgency").map(|one| words::urgency(one, Language::English)).ok(),
        "status": status_of(case.status).map(|status| code(&format!("{status:?}"))),
        "attempt": case.attempt,
        "waiting": case.waiting,
        "changed_at_ms": case.changed_at_ms,
        "legal_acts": case.legal_acts.iter().filter_map(|act| act_of(*act)).map(words::verb).collect::<Vec<_>>(),
        "not_opened": case.not_opened,
        "told": case.told.as_ref().map(entry_json),
        "split_with": case.split_with,
        "answers_for_it": case.answers_for_it,
        "erased_at_ms": Some(case.erased_at_ms).filter(|at| *at > 0),
        "erased_why": match case.erased_why() {
            api::ErasedWhy::Unspecified => None,
            api::ErasedWhy::Purged => Some("purged"),
            api::ErasedWhy::KeptLongEnough => Some("kept_long_enough"),
        },
    })
}

/// When and why the content of a case was erased here; nothing while it is not.
pub(crate) fn erased_line(case: &api::CaseSummary, language: Language) -> Option<String> {
    let why = match case.erased_why() {
        api::ErasedWhy::Unspecified => return None,
        api::ErasedWhy::Purged => {
            language.pick("this side has stated that it is destroyed", "صرّحت هذه الجهة بإتلافه")
        }
        api::ErasedWhy::KeptLongEnough => {
            language.pick("it was kept as long as was agreed", "انقضت مدة الاحتفاظ المتفق عليها")
        }
    };
    let word = language.pick("content erased", "مُحي المحتوى");
    Some(format!("{word} {}: {why}", language.isolated(&moment(case.erased_at_ms))))
}

/// A referral that hangs together with a case, in one line.
pub(crate) fn tied_line(tied: &api::Tied, language: Language) -> String {
    let tie = match tied.tie() {
        api::Tie::Onward => language.pick("referred on", "أُحيلت إلى"),
        api::Tie::OnwardOf => language.pick("came as", "وردت برقم"),
        api::Tie::Split => language.pick("the same need", "الاحتياج نفسه"),
        api::Tie::Unspecified => "?",
    };
    let arrow = if tied.tie() == api::Tie::OnwardOf { "<-" } else { "->" };
    let status = status_of(tied.status).map_or("?", |status| words::status(status, language));
    let withdrawal = match tied.withdrawal() {
        api::Passed::Unspecified => "",
        api::Passed::Due => language.pick("  [withdrawal waits]", "  [سحب الموافقة قيد الإرسال]"),
        api::Passed::Refused => {
            language.pick("  [withdrawal refused: telephone them]", "  [رُدّ سحب الموافقة: اتصل بهم هاتفيًا]")
        }
        api::Passed::On => language.pick("  [withdrawal passed on]", "  [أُبلغت بسحب الموافقة]"),
        api::Passed::Confirmed => language.pick("  [withdrawal confirmed]", "  [أكدت تنفيذ سحب الموافقة]"),
    };
    let isolated = |text: &str| language.isolated(text);
    let whom = isolated(&format!("{arrow} {}", tied.other));
    format!("  {tie}: {}  {whom}  {status}{withdrawal}", isolated(short(&tied.referral)))
}

/// The same for programs.
pub(crate) fn tied_json(tied: &api::Tied) -> Value {
    let word = |name: &str, prefix: &str| name.trim_start_matches(prefix).to_ascii_lowercase();
    let withdrawal = Some(tied.withdrawal()).filter(|passed| *passed != api::Passed::Unspecified);
    json!({
        "referral": tied.referral,
        "tie": word(tied.tie().as_str_name(), "TIE_"),
        "other": tied.other,
        "status": status_of(tied.status).map(|status| code(&format!("{status:?}"))),
        "withdrawal": withdrawal.map(|passed| word(passed.as_str_name(), "PASSED_")),
    })
}

/// The stable code of one of our names: `InProgress` becomes `in_progress`.
fn code(name: &str) -> String {
    let mut code = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !code.is_empty() {
            code.push('_');
        }
        code.push(letter.to_ascii_lowercase());
    }
    code
}

/// Whom to telephone about an emergency, and what to say.
pub(crate) fn telephone_lines(desk: &api::Telephone, code: &str, language: Language) -> Vec<String> {
    let agency = language.isolated(&desk.agency);
    let call = if desk.phone.is_empty() {
        let unknown = language.pick(
            "has no duty telephone in the directory: use the number that you have",
            "لا رقم مناوبة لها في الدليل: يُرجى استخدام الرقم الموجود لديكم",
        );
        format!("{agency} {unknown}")
    } else {
        let hours = match (desk.hours.is_empty(), desk.closed_now) {
            (true, _) => String::new(),
            (false, false) => {
                format!(" ({} {})", language.pick("hours:", "أوقات العمل:"), language.isolated(&desk.hours))
            }
            (false, true) => {
                let closed = language.pick("outside the hours of", "خارج أوقات العمل حسب");
                format!(" ({closed} {})", language.isolated(&desk.hours))
            }
        };
        format!("{agency}: {}{hours}", language.isolated(&desk.phone))
    };
    let now = language.pick("EMERGENCY. Telephone now:", "حالة طارئة. يُرجى الاتصال هاتفيًا الآن:");
    let say = language
        .pick("Say this code, digit by digit, and no name:", "يُذكر هذا الرمز رقمًا رقمًا من دون أي اسم:");
    let find = language.pick("They find the referral by it: agent show", "تجد به الجهة الأخرى الإحالة بالأمر");
    let command = language.pick("", "agent show ");
    vec![
        format!("  {now} {call}"),
        format!("  {say} {}", language.isolated(code)),
        format!("  {find} {}", language.isolated(&format!("{command}\"{code}\""))),
    ]
}

/// The same for programs.
pub(crate) fn telephone_json(desk: &api::Telephone) -> Value {
    json!({
        "agency": desk.agency,
        "phone": Some(&desk.phone).filter(|phone| !phone.is_empty()),
        "hours": Some(&desk.hours).filter(|hours| !hours.is_empty()),
        "closed_now": desk.closed_now,
    })
}

/// An envelope in one line.
pub(crate) fn step_line(step: &api::Step, language: Language) -> String {
    let act = act_of(step.act).map_or("?", |act| words::act(act, language));
    let standing = match step.standing() {
        api::Standing::Queued => language.pick("waiting for the gateway", "بانتظار البوابة"),
        api::Standing::Taken => language.pick("taken, receipt here", "تسلّمتها البوابة والإيصال محفوظ"),
        api::Standing::Refused => language.pick("refused by the gateway", "ردّتها البوابة"),
        api::Standing::Withdrawn => {
            language.pick("not sent: the one before was refused", "لم تُرسل لأن ما قبلها رُدّ")
        }
        api::Standing::Arrived => language.pick("came", "وصلت"),
        api::Standing::NotOpened => language.pick("came, cannot be opened", "وصلت وتعذّر فتحها"),
        api::Standing::Unspecified => "?",
    };
    let anew = if step.to_be_sealed_anew {
        language.pick("; is sealed anew by itself", "؛ سيُعاد ختمها تلقائيًا")
    } else if step.sealed_anew_in.is_empty() {
        ""
    } else {
        language.pick("; was sealed anew by itself", "؛ أُعيد ختمها تلقائيًا")
    };
    let reason = ReasonClass::parse(step.reason, "reason");
    let reason = reason.map_or_else(|_| String::new(), |one| format!(" ({})", words::reason(one, language)));
    let isolated = |text: &str| language.isolated(text);
    format!(
        "  {}  {}  {act}{reason}: {standing}{anew}",
        isolated(&moment(step.created_at_ms)),
        isolated(&step.from)
    )
}

/// A refusal, in both languages: whoever reads it may have only one of them.
pub(crate) fn refusal_lines(refusal: &wire::RefusalAnswer) -> Vec<String> {
    let about = if refusal.field.is_empty() { String::new() } else { format!(" ({})", refusal.field) };
    let legal: Vec<_> = refusal.legal_acts.iter().filter_map(|act| act_of(*act)).map(words::verb).collect();
    let mut lines = vec![
        format!("Refused: {}{about}", refusal.code),
        format!("  {}", refusal.text_en),
        format!("  \u{2067}{}\u{2069}", refusal.text_ar),
    ];
    if !legal.is_empty() {
        lines.push(format!("  Possible now: {}", legal.join(", ")));
    }
    lines
}

/// A refusal for programs.
pub(crate) fn refusal_json(refusal: &wire::RefusalAnswer) -> Value {
    let legal = refusal.legal_acts.iter().filter_map(|act| act_of(*act)).map(words::verb);
    json!({
        "code": refusal.code,
        "number": refusal.number,
        "field": refusal.field,
        "text_en": refusal.text_en,
        "text_ar": refusal.text_ar,
        "legal_acts": legal.collect::<Vec<_>>(),
    })
}

/// An agency that a document could go to.
pub(crate) fn choice_lines(choice: &api::Choice, language: Language) -> Vec<String> {
    let agency = language.isolated(&choice.agency);
    let rule = language.pick("by rule", "بحسب القاعدة");
    let by = if choice.rule.is_empty() {
        language.pick("by name", "بالاسم").to_owned()
    } else {
        format!("{rule} {}", language.isolated(&choice.rule))
    };
    let comma = language.pick(",", "،");
    let says = match choice.turn {
        0 => language.pick("is not asked", "لا تُسأل"),
        1 => language.pick("is asked first", "تُسأل أولًا"),
        _ => language.pick("is asked next, if nobody answers before", "تُسأل بعد ذلك إن لم يُجب أحد قبلها"),
    };
    let mut lines = vec![format!("{agency}{comma} {by}: {says}")];
    if choice.turn == 0 {
        let text = if language == Language::English { &choice.text_en } else { &choice.text_ar };
        lines.push(format!("  {}: {text}", language.isolated(&choice.code)));
    }
    lines
}

/// The same for programs.
pub(crate) fn choice_json(choice: &api::Choice) -> Value {
    json!({
        "agency": choice.agency,
        "rule": Some(&choice.rule).filter(|rule| !rule.is_empty()),
        "turn": Some(choice.turn).filter(|turn| *turn > 0),
        "code": Some(&choice.code).filter(|code| !code.is_empty()),
        "text_en": choice.text_en,
        "text_ar": choice.text_ar,
    })
}

/// A part, with its content where it is text.
pub(crate) fn part_lines(part: &api::Part, language: Language) -> Vec<String> {
    let class = match PartClass::parse(part.class, "class") {
        Ok(PartClass::Summary) => language.pick("summary", "الملخص"),
        Ok(PartClass::Identity) => language.pick("identity", "البيانات التعريفية"),
        Ok(PartClass::Attachment) => language.pick("attachment", "مرفق"),
        Ok(PartClass::Detail) => language.pick("detail", "تفاصيل"),
        Err(_) => "?",
    };
    if !part.not_opened.is_empty() {
        let not_opened = language.pick("cannot be opened", "تعذّر فتحه");
        return vec![format!("  {class}: {not_opened} ({})", language.isolated(&part.not_opened))];
    }
    match content_json(part) {
        Some(content) => {
            let text = serde_json::to_string_pretty(&content).unwrap_or_default();
            let indented = text.lines().map(|line| format!("    {line}"));
            [format!("  {class}:")].into_iter().chain(indented).collect()
        }
        None => {
            let name = language.isolated(&part.file_name);
            let length = words::counted(Noun::Byte, part.content_bytes, language);
            let (media_type, comma) = (language.isolated(&part.media_type), language.pick(",", "،"));
            let kept = match part.kept() {
                api::Kept::Unspecified => "",
                api::Kept::Apart => language.pick("; write it with --save", "؛ يُكتب باستخدام ‎--save"),
                api::Kept::Not => language.pick("; no copy is kept here", "؛ لا تُحفظ نسخة هنا"),
            };
            vec![format!("  {class}: {name}{comma} {media_type}{comma} {length}{kept}")]
        }
    }
}

/// How she can be reached without harm: before anything else, and the newest word on it.
pub(crate) fn safe_contact_lines(parts: &[api::Part], language: Language) -> Vec<String> {
    let summaries =
        parts.iter().rev().filter(|part| PartClass::parse(part.class, "class") == Ok(PartClass::Summary));
    let newest = summaries
        .filter_map(content_json)
        .find_map(|content| content.get("summary")?.get("safe_contact")?.as_object().cloned());
    let Some(contact) = newest else {
        return Vec::new();
    };
    let head = format!("  {}", language.pick("SAFE CONTACT (read this first):", "التواصل الآمن (يُقرأ أولًا):"));
    [head].into_iter().chain(contact::lines(&contact, language)).collect()
}

/// What came of it for each person of the household, the newest word of each.
pub(crate) fn outcome_lines(parts: &[api::Part], language: Language) -> Vec<String> {
    let told = outcomes(parts);
    let head = language.pick("What came of it for each person:", "النتيجة لكل شخص:");
    let head = (!told.is_empty()).then(|| format!("  {head}"));
    let lines = told.into_iter().map(|(person, (field, code))| {
        let vocabulary = if field == "outcome" { OUTCOMES } else { REASONS };
        let label = vocabulary.find(&code).map(|term| language.pick(term.en, term.ar).to_owned());
        let role = role_of(&person, parts).and_then(|role| HOUSEHOLD_ROLES.find(&role));
        let role = role.map_or_else(String::new, |term| format!(" ({})", language.pick(term.en, term.ar)));
        format!("    {}{role}: {}", language.isolated(&person), label.unwrap_or(code))
    });
    head.into_iter().chain(lines).collect()
}

/// The same for programs.
pub(crate) fn outcomes_json(parts: &[api::Part]) -> Value {
    let one = |(person, (field, code)): (String, (String, String))| json!({"person": person, field: code});
    Value::Array(outcomes(parts).into_iter().map(one).collect())
}

/// By person: the field that tells it, and its code. Only numbers and codes as they must look.
fn outcomes(parts: &[api::Part]) -> BTreeMap<String, (String, String)> {
    let details = parts.iter().filter(|part| PartClass::parse(part.class, "class") == Ok(PartClass::Detail));
    let told = details
        .filter_map(content_json)
        .filter_map(|content| content.get("detail")?.get("outcomes")?.as_array().cloned());
    let one = |one: Value| {
        let text = |name: &str| Some(one.get(name)?.as_str()?.to_owned());
        let person = text("person").filter(|person| household::is_person(person))?;
        let said = |field: &str| Some((field.to_owned(), text(field)?));
        let (field, code) = said("outcome").or_else(|| said("reason"))?;
        let vocabulary = if field == "outcome" { OUTCOMES } else { REASONS };
        vocabulary.contains(&code).then_some((person, (field, code)))
    };
    told.flatten().filter_map(one).collect()
}

/// What a person is in the household, where the case says so.
fn role_of(person: &str, parts: &[api::Part]) -> Option<String> {
    parts.iter().filter_map(content_json).find_map(|content| {
        let lists = [("summary", "household"), ("identity", "persons")];
        lists.iter().find_map(|(section, list)| {
            let mut all = content.get(section)?.get(list)?.as_array()?.iter();
            let one = all.find(|one| one.get("person").and_then(Value::as_str) == Some(person))?;
            Some(one.get("role")?.as_str()?.to_owned())
        })
    })
}

/// A part for programs.
pub(crate) fn part_json(part: &api::Part) -> Value {
    let class = PartClass::parse(part.class, "class").map(|class| code(&format!("{class:?}")));
    json!({
        "envelope": part.envelope,
        "part_id": part.part_id,
        "class": class.ok(),
        "media_type": part.media_type,
        "file_name": part.file_name,
        "bytes": part.content_bytes,
        "content": content_json(part),
        "not_opened": Some(&part.not_opened).filter(|why| !why.is_empty()),
    })
}

fn content_json(part: &api::Part) -> Option<Value> {
    let is_json = part.media_type.ends_with("+json") || part.media_type == "application/json";
    if is_json { serde_json::from_slice(&part.content).ok() } else { None }
}

/// What happened, and which time limit it is about.
fn event_words(entry: &api::TimelineEntry, language: Language) -> String {
    if let Ok(operation) = Operation::parse(entry.operation, "operation") {
        let why = OPERATION_REASONS.find(&entry.operation_reason);
        let why = why.map_or_else(String::new, |term| format!(" ({})", language.pick(term.en, term.ar)));
        return format!("{}{why}", operation.told(entry.people, language));
    }
    let event = Event::parse(entry.event, "event").map_or("?", |event| words::event(event, language));
    match ClockKind::parse(entry.clock, "clock") {
        Ok(clock) if entry.event == Event::ClockMissed.number() => {
            format!("{event}: {}", words::clock(clock, language))
        }
        Ok(_) | Err(_) => event.to_owned(),
    }
}

/// An entry of a timeline in one line.
pub(crate) fn entry_line(entry: &api::TimelineEntry, language: Language) -> String {
    let event = event_words(entry, language);
    let act = act_of(entry.act).map_or_else(String::new, |act| format!(" [{}]", words::act(act, language)));
    let status = status_of(entry.status)
        .map_or_else(String::new, |status| format!(" => {}", words::status(status, language)));
    let refusal = Refusal::from_number(entry.refusal)
        .map_or_else(String::new, |refusal| format!(" {}", language.isolated(refusal.name())));
    let isolated = |text: &str| language.isolated(text);
    let between = isolated(&format!("{} -> {}", entry.sender, entry.recipient));
    format!(
        "{:>8}  {}  {between}  {event}{act}{refusal}{status}",
        entry.index,
        isolated(&moment(entry.time_ms))
    )
}

/// An entry of a timeline for programs.
pub(crate) fn entry_json(entry: &api::TimelineEntry) -> Value {
    json!({
        "index": entry.index,
        "time_ms": entry.time_ms,
        "event": Event::parse(entry.event, "event").map(|event| code(&format!("{event:?}"))).ok(),
        "sender": entry.sender,
        "recipient": entry.recipient,
        "attempt": entry.attempt,
        "act": act_of(entry.act).map(words::verb),
        "status": status_of(entry.status).map(|status| code(&format!("{status:?}"))),
        "refusal": Refusal::from_number(entry.refusal).map(Refusal::name),
        "clock": ClockKind::parse(entry.clock, "clock").map(|clock| code(&format!("{clock:?}"))).ok(),
        "due_at_ms": Some(entry.due_at_ms).filter(|due| *due > 0),
        "operation": Operation::parse(entry.operation, "operation").map(Operation::name).ok(),
        "operation_reason": Some(&entry.operation_reason).filter(|reason| !reason.is_empty()),
        "people": Some(entry.people).filter(|people| *people > 0),
    })
}

/// What an event's number means, as a stable code.
pub(crate) fn event_code(number: i32) -> String {
    Event::parse(number, "event").map_or_else(|_| "unknown".to_owned(), |event| code(&format!("{event:?}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_codes() {
        assert_eq!(moment(1_790_000_000_000), "2026-09-21 14:13:20Z");
        assert_eq!(code("InProgress"), "in_progress");
        assert_eq!(event_code(Event::ContentHandover.number()), "content_handover");
    }

    #[test]
    fn a_refusal_is_shown_in_both_languages() {
        let refusal = Refusal::NoAgreement;
        let answer = wire::RefusalAnswer {
            code: refusal.name().into(),
            number: refusal.number(),
            field: refusal.field().into(),
            text_en: refusal.text_en().into(),
            text_ar: refusal.text_ar().into(),
            receipt: None,
            legal_acts: vec![Act::Accept.number()],
            mechanism: Vec::new(),
        };
        let lines = refusal_lines(&answer).join("\n");
        for text in [refusal.text_en(), refusal.text_ar(), "NO_AGREEMENT (agreement)", "Possible now: accept"]
        {
            assert!(lines.contains(text), "{text}");
        }
    }

    #[test]
    fn the_newest_word_on_safe_contact_is_shown() {
        let part = |text: &str| api::Part {
            class: PartClass::Summary.number(),
            media_type: "application/vnd.referral.summary.v1+json".into(),
            content: text.as_bytes().to_vec(),
            ..api::Part::default()
        };
        let parts = [
            part(r#"{"summary": {"safe_contact": {"when": "mornings", "never": ["sms", "whatsapp"]}}}"#),
            part(r#"{"summary": {"safe_contact": {"when": "never by day"}}}"#),
            part(r#"{"summary": {"need": "x"}}"#),
        ];
        let lines = safe_contact_lines(&parts, Language::English).join("\n");
        assert!(lines.contains("never by day") && !lines.contains("mornings"), "{lines}");
        let first = safe_contact_lines(&parts[..1], Language::English).join("\n");
        assert!(first.contains("NEVER by: Text message, WhatsApp"), "{first}");
        assert!(safe_contact_lines(&parts[2..], Language::English).is_empty());
    }

    #[test]
    fn what_came_of_it_is_told_person_by_person_in_words() {
        let part = |class: PartClass, text: &str| api::Part {
            class: class.number(),
            media_type: "application/vnd.referral.detail.v1+json".into(),
            content: text.as_bytes().to_vec(),
            ..api::Part::default()
        };
        let parts = [
            part(PartClass::Summary, r#"{"summary": {"household": [{"person": "p2", "role": "child"}]}}"#),
            part(
                PartClass::Detail,
                r#"{"detail": {"outcomes": [{"person": "p2", "outcome": "left_country"}]}}"#,
            ),
            part(
                PartClass::Detail,
                r#"{"detail": {"outcomes": [{"person": "p1", "reason": "not_eligible"},
                    {"person": "p2", "outcome": "service_received"},
                    {"person": "\u001b[2J", "outcome": "other"}, {"person": "p3", "outcome": "\u001b[2J"}]}}"#,
            ),
        ];
        let lines = outcome_lines(&parts, Language::English).join("\n");
        assert!(lines.contains("p1: Person does not meet") && lines.contains("p2 (Child): Service received"));
        assert!(!lines.contains("Left the country") && !lines.contains('\u{1b}'), "{lines}");
        let arabic = outcome_lines(&parts, Language::Arabic).join("\n");
        assert!(arabic.contains("\u{2068}p2\u{2069} (ابن أو ابنة): قُدِّمت الخدمة"), "{arabic}");
        assert!(outcome_lines(&parts[..1], Language::English).is_empty());
    }

    #[test]
    fn how_far_a_withdrawal_has_got_is_said() {
        let tied = api::Tied {
            referral: "0192abcd-ef01-7fff-bfff-ffffffffffff".into(),
            tie: api::Tie::Onward.into(),
            other: "jo.mosd".into(),
            status: Status::Accepted.number(),
            withdrawal: api::Passed::Refused.into(),
        };
        let line = tied_line(&tied, Language::English);
        assert_eq!(
            line,
            "  referred on: 0192abcd-ef01  -> jo.mosd  accepted  [withdrawal refused: telephone them]"
        );
        assert!(tied_line(&tied, Language::Arabic).contains("\u{2068}-> jo.mosd\u{2069}"));
        assert_eq!(tied_json(&tied)["withdrawal"], "refused");
    }

    #[test]
    fn counts_and_kinds_are_said_in_the_languages_own_way() {
        let case =
            |waiting| api::CaseSummary { waiting, kind: "notice".into(), ..api::CaseSummary::default() };
        let line = case_line(&case(2), Language::Arabic);
        assert!(line.contains("[مغلفان منتظران]") && line.contains("إشعار"), "{line}");
        let line = case_line(&case(1), Language::English);
        assert!(line.contains("[1 waiting envelope]") && line.contains("Notice without identity"), "{line}");
        assert!(!case_line(&case(0), Language::English).contains("waiting"));
        let file = api::Part {
            class: PartClass::Attachment.number(),
            media_type: "application/pdf".into(),
            file_name: "a.pdf".into(),
            content_bytes: 11,
            ..api::Part::default()
        };
        assert_eq!(part_lines(&file, Language::English), ["  attachment: a.pdf, application/pdf, 11 bytes"]);
        assert!(part_lines(&file, Language::Arabic)[0].ends_with("11 بايتًا"));
    }

    #[test]
    fn ids_inside_arabic_lines_are_kept_apart() {
        let case = api::CaseSummary {
            referral: "0192abcd-ef01-7fff-bfff-ffffffffffff".into(),
            other: "ae.dfwac".into(),
            status: Status::Accepted.number(),
            urgency: Urgency::Urgent.number(),
            ..api::CaseSummary::default()
        };
        let line = case_line(&case, Language::Arabic);
        assert!(line.contains("\u{2068}0192abcd-ef01\u{2069}") && line.contains("مقبولة"), "{line}");
        let english = case_line(&case, Language::English);
        assert!(!english.contains('\u{2068}') && english.contains("accepted"), "{english}");
    }
}
