//! Agreements on the command line: reading and signing them, how they stand, and stopping one. Not here:
//! what they allow (`proto::agreement`).

use std::{fs, path::Path};

use agent::{
    agreement_file::AgreementFile,
    agreement_stop::{self, NotStopped},
    api, clock,
    daemon::Files,
    keys::Keys,
    signed_file::SignedFile,
    words::Language,
};
use proto::{
    agreement::{
        telling,
        warning::{Warning, Weight},
        whole::Whole,
    },
    calendar::written,
    digest::Digest,
    ids::TimeMs,
    wire,
};
use serde_json::{Value, json};

use super::{
    arguments::{Agreements, Sign, StopReason, SuspendAgreement},
    joining::read_text,
    outcome::{Outcome, Trouble},
    sending::client,
    show::{self, Screen},
};

/// What is wrong with an agreement, and who was asked.
struct Checked {
    warnings: Vec<api::AgreementWarning>,
    /// Whether the running agent was asked, which knows the directory.
    in_directory: bool,
}

pub(crate) async fn sign(root: &Path, sign: &Sign, screen: &Screen) -> Result<Outcome, Trouble> {
    let files = Files::open(root).map_err(|fault| Trouble::of(&fault))?;
    let json = read_text(&sign.file)?;
    let mut agreement = AgreementFile::parse(json.as_bytes()).map_err(|fault| Trouble::of(&fault))?;
    let checked = check(root, &agreement).await;
    let language = screen.language;
    let mut lines = agreement.lines(language);
    lines.push(String::new());
    lines.extend(checked.lines(language));
    if !sign.show {
        let keys = Keys::load(&files.folder).map_err(|fault| Trouble::of(&fault))?;
        agreement.sign(&files.settings.agency, &keys.signing).map_err(|fault| Trouble::of(&fault))?;
        fs::write(&sign.file, agreement.to_json()).map_err(|error| {
            Trouble::fault(format!("{} cannot be written: {}", sign.file.display(), error.kind()))
        })?;
        let agency = language.isolated(files.settings.agency.as_str());
        lines.push(match language {
            Language::English => format!("Signed for {agency}."),
            Language::Arabic => format!("وُقّعت عن {agency}."),
        });
    }
    let says = lines.clone();
    screen.show(lines, || {
        json!({
            "agreement": agreement.digest().to_string(),
            "signed": !sign.show,
            "says": says,
            "warnings": checked.json(),
            "directory_asked": checked.in_directory,
        })
    });
    Ok(Outcome::Done)
}

/// By the running agent, which has the directory; else by the text alone.
async fn check(root: &Path, agreement: &AgreementFile) -> Checked {
    if let Ok(mut agent) = client(root).await {
        let request = api::CheckAgreementRequest { agreement: Some(agreement.object().clone()) };
        if let Ok(answer) = agent.check_agreement(request).await {
            return Checked { warnings: answer.into_inner().warnings, in_directory: true };
        }
    }
    let warnings = agreement.whole().warnings(clock::now());
    Checked { warnings: warnings.iter().map(of_text).collect(), in_directory: false }
}

fn of_text(warning: &Warning) -> api::AgreementWarning {
    api::AgreementWarning {
        code: warning.code().to_owned(),
        weight: warning.weight().code().to_owned(),
        clause: warning.clause().map_or_else(String::new, ToString::to_string),
        text_en: warning.text(Language::English),
        text_ar: warning.text(Language::Arabic),
    }
}

impl Checked {
    fn lines(&self, language: Language) -> Vec<String> {
        let mut lines: Vec<_> = self.warnings.iter().map(|warning| warning_line(warning, language)).collect();
        if lines.is_empty() {
            let none =
                language.pick("No gaps and no contradictions were found.", "لم يُعثر على نقص ولا على تعارض.");
            lines.push(none.to_owned());
        }
        if !self.in_directory {
            let alone = language.pick(
                "The agent does not run, so its parties were not looked up in the directory.",
                "برنامج الربط لا يعمل، فلم يُبحث عن أطرافها في الدليل.",
            );
            lines.push(alone.to_owned());
        }
        lines
    }

    fn json(&self) -> Value {
        let warning = |warning: &api::AgreementWarning| {
            json!({
                "code": warning.code,
                "weight": warning.weight,
                "clause": Some(&warning.clause).filter(|clause| !clause.is_empty()),
                "text_en": warning.text_en,
                "text_ar": warning.text_ar,
            })
        };
        self.warnings.iter().map(warning).collect()
    }
}

fn warning_line(warning: &api::AgreementWarning, language: Language) -> String {
    let weights = [Weight::Refused, Weight::Contradiction, Weight::Gap];
    let weight = weights.into_iter().find(|weight| weight.code() == warning.weight);
    let weight = weight.map_or("?", |weight| weight.word(language));
    let clause = if warning.clause.is_empty() {
        String::new()
    } else {
        format!("{} {}: ", language.pick("clause", "البند"), language.isolated(&warning.clause))
    };
    let text = match language {
        Language::English => &warning.text_en,
        Language::Arabic => &warning.text_ar,
    };
    format!("{weight} ({}): {clause}{text}", language.isolated(&warning.code))
}

pub(crate) async fn show(root: &Path, wanted: &Agreements, screen: &Screen) -> Result<Outcome, Trouble> {
    let request = api::ListAgreementsRequest { agreement: wanted.agreement.clone().unwrap_or_default() };
    let held = client(root).await?.list_agreements(request).await?.into_inner().agreements;
    let language = screen.language;
    let one = held.first().filter(|_| wanted.agreement.is_some()).and_then(|held| held.signed.as_ref());
    if let Some((object, out)) = one.zip(wanted.out.as_ref()) {
        let text = serde_json::to_string_pretty(&SignedFile::from(object)).unwrap_or_default();
        fs::write(out, text + "\n").map_err(|error| {
            Trouble::fault(format!("{} cannot be written: {}", out.display(), error.kind()))
        })?;
    }
    let text = one.map(telling_of).transpose()?;
    let mut lines: Vec<_> = held.iter().flat_map(|held| held_lines(held, language)).collect();
    lines.extend(text.iter().flat_map(|whole| telling::lines(whole, language)));
    if held.is_empty() {
        lines.push(
            language.pick("No agreement binds this agency.", "لا تُلزم أي اتفاقية هذه الجهة.").to_owned(),
        );
    }
    screen.show(lines, || {
        let says = text.as_ref().map(|whole| telling::lines(whole, language));
        Value::Array(held.iter().map(|held| held_json(held, says.as_deref())).collect())
    });
    Ok(Outcome::Done)
}

fn telling_of(object: &wire::SignedObject) -> Result<Whole, Trouble> {
    Whole::parse(&object.payload).map_err(|malformed| Trouble::of(&malformed))
}

/// One agreement and how it stands.
fn held_lines(held: &api::HeldAgreement, language: Language) -> Vec<String> {
    let title = match language {
        Language::English => &held.title_en,
        Language::Arabic => &held.title_ar,
    };
    let digest = language.isolated(&held.agreement);
    let until = language.isolated(&written(TimeMs(held.valid_until_ms)));
    let parties = telling::listed(language, held.parties.iter().map(|party| language.isolated(party)));
    let missing = held.parties.iter().filter(|party| !held.signed_by.contains(party));
    let missing: Vec<_> = missing.map(|party| language.isolated(party)).collect();
    let mut lines = vec![digest, format!("  {}", proto::count::isolated(title)), format!("  {parties}")];
    lines.push(match language {
        Language::English => format!("  revision {}, until {until}", held.revision),
        Language::Arabic => format!("  الإصدار رقم {}، حتى {until}", held.revision),
    });
    if held.code.is_empty() {
        lines.push(language.pick("  in force", "  سارية").to_owned());
    } else {
        let text = match language {
            Language::English => &held.text_en,
            Language::Arabic => &held.text_ar,
        };
        lines.push(format!("  {}: {text}", language.isolated(&held.code)));
    }
    if !missing.is_empty() {
        let waits = language.pick("  not signed yet by", "  لم توقّع بعد");
        lines.push(format!("{waits}: {}", telling::listed(language, missing)));
    }
    lines
}

fn held_json(held: &api::HeldAgreement, says: Option<&[String]>) -> Value {
    json!({
        "agreement": held.agreement,
        "title_en": held.title_en,
        "title_ar": held.title_ar,
        "revision": held.revision,
        "parties": held.parties,
        "signed_by": held.signed_by,
        "valid_from_ms": held.valid_from_ms,
        "valid_until_ms": held.valid_until_ms,
        "in_force": held.code.is_empty(),
        "code": Some(&held.code).filter(|code| !code.is_empty()),
        "text_en": held.text_en,
        "text_ar": held.text_ar,
        "says": says,
    })
}

pub(crate) async fn suspend(
    root: &Path,
    suspend: &SuspendAgreement,
    screen: &Screen,
) -> Result<Outcome, Trouble> {
    let agreement = Digest::from_hex(&suspend.agreement, "agreement").map_err(|_| {
        Trouble::usage("give the agreement's whole digest, 64 hex digits; `agent agreements` shows it")
    })?;
    let reason = match suspend.reason {
        StopReason::Security => wire::SuspensionReason::Security,
        StopReason::Agreement => wire::SuspensionReason::Agreement,
        StopReason::Request => wire::SuspensionReason::Request,
        StopReason::Other => wire::SuspensionReason::Other,
    };
    match agreement_stop::stop(root, agreement, reason, clock::now()).await {
        Ok(evidence) => {
            let stopped = screen.language.pick(
                "Stopped for 24 hours, for all of its parties. Ask a second person to confirm it, or two \
                 administrators to start it again.",
                "أُوقفت لمدة 24 ساعة لجميع أطرافها. اطلب من شخص ثانٍ تأكيد الإيقاف، أو من مسؤولَين اثنين استئنافها.",
            );
            screen.show([stopped.to_owned()], || json!({"stopped": true, "evidence": evidence}));
            Ok(Outcome::Done)
        }
        Err(NotStopped::Refused { code, number, field, text_en, text_ar }) => {
            let refusal = wire::RefusalAnswer {
                code,
                number,
                field,
                text_en,
                text_ar,
                ..wire::RefusalAnswer::default()
            };
            screen.show(
                show::refusal_lines(&refusal),
                || json!({"stopped": false, "refusal": show::refusal_json(&refusal)}),
            );
            Ok(Outcome::Refused)
        }
        Err(fault @ (NotStopped::NotConnected(_) | NotStopped::NotNow(_))) => {
            Err(Trouble::not_reached(fault.to_string()))
        }
        Err(fault) => Err(Trouble::of(&fault)),
    }
}
