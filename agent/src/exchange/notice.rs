//! What lies in the inbox of a referral: that it waits, how it stands, its receipts, and every act that is possible
//! now as a file to be moved to the outbox. Nothing readable of the case. Arabic is not yet reviewed by a native
//! speaker of the field. Not here: its contents (`content`).

use std::{io, path::Path};

use proto::{
    count::isolated,
    language::Language,
    lifecycle::Act,
    spoken::Spoken,
    vocabulary::{OUTCOMES, REASONS, Vocabulary},
};
use serde_json::json;

use super::{
    inbox::{inner, store_error},
    place,
};
use crate::{
    case::{Case, Standing},
    office::{Office, outbound::kind_word},
    words,
};

pub(super) const NOTICE: &str = "case.txt";
pub(super) const ANSWERS: &str = "answers";
pub(super) const RECEIPTS: &str = "receipts";

/// Acts that need more than their word: from files of people's own.
const NEEDS_MORE: &[Act] =
    &[Act::Submit, Act::Disclose, Act::ChangeContact, Act::Reseal, Act::Invite, Act::Leave];

/// Writes all of it.
pub(super) fn write(office: &Office, case: &Case, folder: &Path) -> io::Result<()> {
    place::write(folder, NOTICE, &place::text(&lines(office, case)))?;
    let answers = inner(folder, ANSWERS)?;
    for act in possible(office, case) {
        place::write(&answers, &format!("{}.json", words::verb(act)), &answer(case, act))?;
    }
    let receipts = inner(folder, RECEIPTS)?;
    for receipt in office.receipts(&case.referral).map_err(|fault| store_error(&fault))? {
        let name = format!("receipt-{}.tlog-proof", receipt.record().place.index);
        place::write(&receipts, &name, receipt.to_file().as_bytes())?;
    }
    Ok(())
}

fn possible(office: &Office, case: &Case) -> Vec<Act> {
    case.legal_acts(&office.me).into_iter().filter(|act| !NEEDS_MORE.contains(act)).collect()
}

/// An act as a file. What a person must say first stands there empty, and is refused so.
fn answer(case: &Case, act: Act) -> Vec<u8> {
    let detail = if matches!(act, Act::Decline | Act::Fail) {
        json!({"reason": ""})
    } else if act == Act::Complete {
        json!({"outcome": ""})
    } else if matches!(act, Act::Note | Act::RequestInformation | Act::GiveInformation) {
        json!({"note": ""})
    } else {
        json!({})
    };
    let document =
        json!({"referral": case.referral.id.to_string(), "act": words::verb(act), "detail": detail});
    let mut text = serde_json::to_vec_pretty(&document).unwrap_or_default();
    text.push(b'\n');
    text
}

fn lines(office: &Office, case: &Case) -> Vec<String> {
    let mut lines = said(office, case, Language::English);
    lines.push(String::new());
    lines.extend(
        said(office, case, Language::Arabic).into_iter().map(|line| format!("\u{2067}{line}\u{2069}")),
    );
    lines
}

fn said(office: &Office, case: &Case, language: Language) -> Vec<String> {
    let other = case.other(&office.me).as_str();
    let isolated = |text: &str| language.isolated(text);
    let is_incoming = case.referral.opened_by != office.me;
    let direction = if is_incoming { language.pick("from", "من") } else { language.pick("to", "إلى") };
    let kind = words::kind(kind_word(case.need.kind), language);
    let line = |name: &str, value: &str| format!("{name}: {value}");
    let possible: Vec<_> = possible(office, case).into_iter().map(|act| words::act(act, language)).collect();
    let refused = case.steps.iter().rev().find(|step| matches!(step.standing, Standing::Refused { .. }));
    let refused = refused.and_then(|step| office.refusal(step).ok().flatten());
    let refused = refused.map(|refusal| {
        let text = match language {
            Language::English => refusal.text_en,
            Language::Arabic => refusal.text_ar,
        };
        line(
            language.pick("refused by the gateway", "ردّت البوابة"),
            &format!("{}: {text}", isolated(&refusal.code)),
        )
    });
    let told = case.last_word().map(|told| words::event(told.what.event, language));
    let told = told.map(|told| line(language.pick("the gateway says", "تقول البوابة"), told));
    let head = [
        format!("{kind} {direction} {}", isolated(other)),
        line(language.pick("number", "الرقم"), &isolated(&case.referral.id.to_string())),
        line(
            language.pick("code for the telephone", "الرمز للهاتف"),
            &isolated(&Spoken::of(&case.referral).to_string()),
        ),
        line(language.pick("urgency", "الاستعجال"), words::urgency(case.need.urgency, language)),
        line(language.pick("standing", "الحالة"), words::status(case.status(), language)),
    ];
    let tail = [
        line(language.pick("possible now", "المتاح الآن"), &possible.join(language.pick(", ", "، "))),
        language
            .pick(
                "To read it, move this folder into `open`. To answer, move a file of `answers` into `outbox` (fill \
                 in first what stands empty in it). When you are done, move this folder into `taken`: what is \
                 readable in it is removed then.",
                "للقراءة انقل هذا المجلد إلى مجلد open. وللرد انقل أحد ملفات answers إلى مجلد outbox بعد ملء ما هو فارغ \
                 فيه. وعند الانتهاء انقل هذا المجلد إلى مجلد taken، فيُحذف منه كل ما يمكن قراءته.",
            )
            .to_owned(),
    ];
    let lines = head.into_iter().chain(told).chain(refused).chain(tail);
    lines.chain(codes(office, case, language)).collect()
}

/// The codes that the acts which are possible now must name.
fn codes(office: &Office, case: &Case, language: Language) -> Vec<String> {
    let acts = possible(office, case);
    let reasons = acts.iter().any(|act| matches!(act, Act::Decline | Act::Fail));
    let outcomes = acts.contains(&Act::Complete);
    let lists = [(reasons, "reason", REASONS), (outcomes, "outcome", OUTCOMES)];
    let of = |name: &str, vocabulary: &Vocabulary| {
        let terms = vocabulary.terms.iter();
        let terms =
            terms.map(|term| format!("  {}: {}", isolated(term.code), language.pick(term.en, term.ar)));
        [format!("`{name}`:")].into_iter().chain(terms).collect::<Vec<_>>()
    };
    lists.into_iter().filter(|(is_due, _, _)| *is_due).flat_map(|(_, name, list)| of(name, list)).collect()
}
