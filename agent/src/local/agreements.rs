//! Agreements, as the agent's directory holds them, in the API's messages. Not here: words for people
//! (`proto::agreement`).

use proto::{
    agreement::{warning::Warning, whole::Whole},
    digest::Digest,
    directory::Memorandum,
    dsse::PayloadType,
    ids::TimeMs,
    language::Language,
    refusal::Refusal,
    wire,
};
use tonic::Status;

use crate::{
    api, clock,
    office::{Office, onward::PREFIX_CHARS_MIN},
};

/// The agreements that bind this agency; or one of them, with its text.
pub(super) fn list(office: &Office, wanted: &str) -> Result<api::ListAgreementsAnswer, Status> {
    let is_one = !wanted.is_empty();
    if is_one && wanted.len() < PREFIX_CHARS_MIN {
        return Err(Status::invalid_argument("give at least four characters of the agreement's digest"));
    }
    let now = clock::now();
    let wanted = wanted.to_ascii_lowercase();
    let mut agreements: Vec<_> = office.store.read(|state| {
        let directory = state.replica().directory();
        let all = directory.agreements_of(&office.me);
        let found = all.filter(|(digest, _)| digest.to_string().starts_with(&wanted));
        found.map(|(digest, held)| summary(digest, held, directory.standing(&digest, now).err())).collect()
    });
    agreements.sort_by(|one: &api::HeldAgreement, other| {
        let order = |held: &api::HeldAgreement| (held.parties.clone(), u32::MAX - held.revision);
        order(one).cmp(&order(other))
    });
    match (is_one, agreements.len()) {
        (true, 0) => {
            Err(Status::not_found("no such agreement binds this agency, or its text has not come yet"))
        }
        (true, 2..) => Err(Status::invalid_argument("several agreements begin so: give more of the digest")),
        (true, 1) => Ok(api::ListAgreementsAnswer { agreements }),
        (false, _) => {
            let without_text = |held| api::HeldAgreement { signed: None, ..held };
            Ok(api::ListAgreementsAnswer { agreements: agreements.into_iter().map(without_text).collect() })
        }
    }
}

fn summary(digest: Digest, held: &Memorandum, refusal: Option<Refusal>) -> api::HeldAgreement {
    let object = held.signed.object();
    let (title_en, title_ar) = titles(&object.payload);
    let agreement = &held.agreement;
    api::HeldAgreement {
        agreement: digest.to_string(),
        title_en,
        title_ar,
        revision: agreement.revision,
        parties: agreement.parties.iter().map(ToString::to_string).collect(),
        signed_by: held.signed_by.keys().map(ToString::to_string).collect(),
        valid_from_ms: agreement.valid_from.0,
        valid_until_ms: agreement.valid_until.0,
        code: refusal.map_or("", Refusal::name).to_owned(),
        text_en: refusal.map_or("", Refusal::text_en).to_owned(),
        text_ar: refusal.map_or("", Refusal::text_ar).to_owned(),
        signed: Some(object.clone()),
    }
}

/// What is held was read before.
fn titles(payload: &[u8]) -> (String, String) {
    let whole = Whole::parse(payload).ok();
    whole
        .map_or_else(Default::default, |whole| (whole.text().title_en.clone(), whole.text().title_ar.clone()))
}

/// What is wrong with an agreement, beside the directory and beside the one that it renews.
pub(super) fn check(
    office: &Office,
    object: &wire::SignedObject,
) -> Result<api::CheckAgreementAnswer, Status> {
    let whole = Whole::parse(&object.payload).ok();
    let whole = whole.filter(|_| object.payload_type == PayloadType::Agreement.as_str());
    let whole = whole.ok_or_else(|| Status::invalid_argument("this is no agreement"))?;
    let warnings = office.store.read(|state| {
        let directory = state.replica().directory();
        let now = clock::now();
        let mut warnings = whole.warnings_in(directory, now);
        let former = whole.agreement().supersedes.and_then(|former| directory.agreement(&former, &office.me));
        let former = former.and_then(|held| Whole::parse(held.signed.payload()).ok());
        let after = former.iter().flat_map(|former| whole.warnings_after(former));
        warnings.extend(after.filter(|warning| !is_refusal(warning)));
        with_those_of_the_text(warnings, &whole, now)
    });
    Ok(api::CheckAgreementAnswer { warnings: warnings.iter().map(warning).collect() })
}

/// The directory has said already what it would refuse.
const fn is_refusal(warning: &Warning) -> bool {
    matches!(warning, Warning::Refused { .. })
}

fn with_those_of_the_text(mut warnings: Vec<Warning>, whole: &Whole, now: TimeMs) -> Vec<Warning> {
    for of_text in whole.warnings(now) {
        let said = warnings.iter().any(|said| is_refusal(said) && said.code() == of_text.code());
        if !said {
            warnings.push(of_text);
        }
    }
    warnings.sort_by_key(Warning::weight);
    warnings
}

fn warning(warning: &Warning) -> api::AgreementWarning {
    api::AgreementWarning {
        code: warning.code().to_owned(),
        weight: warning.weight().code().to_owned(),
        clause: warning.clause().map_or_else(String::new, ToString::to_string),
        text_en: warning.text(Language::English),
        text_ar: warning.text(Language::Arabic),
    }
}
