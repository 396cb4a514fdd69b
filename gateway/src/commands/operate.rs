//! `gateway hold`, `release`, `return`, `notify-again`, `drain` and `undrain`: what operators do. Not here:
//! who may, and what follows (`proto`).

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use gateway::admin::client;
use proto::{
    ids::{AgencyId, EnvelopeId, ReferralKey, TimeMs},
    operation::Operation,
    wire,
    words::Language,
};
use serde_json::json;

use super::{Said, admin::wait, operations::Viewer};
use gateway::operations::moments::moment;

/// How often it is asked whether something is still under way.
const ASK_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
#[command(
    after_help = "Operators only, each act is evidence. To release and to return takes two: the second runs the same command \
within 24 hours. A hold is at once, and lapses after 24 hours unless a second operator holds it too.\n\n\
Example:\n  gateway hold 019a2b3c-… --from ae.dfwac --reason suspected_misuse --as ./operator-1"
)]
pub(super) struct OperateArguments {
    /// The referral's id, as `gateway stuck` shows it.
    referral: String,
    /// The agency that opened it.
    #[arg(long = "from")]
    opened_by: String,
    /// Why: a code; leave it out to see those that fit.
    #[arg(long)]
    reason: Option<String>,
    #[command(flatten)]
    viewer: Viewer,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Envelopes that agencies send are told to come again, and their agents keep them. Handing over, receipts and \
administration go on. It ends with `gateway undrain`, or when the gateway is started again.\n\n\
Example:\n  gateway drain --reason upgrade --wait 60 --as ./operator-1"
)]
pub(super) struct DrainArguments {
    /// Why: a code; leave it out to see those that fit.
    #[arg(long)]
    reason: Option<String>,
    /// Wait so many seconds at the most until nothing is under way any more.
    #[arg(long, default_value_t = 0)]
    wait: u64,
    #[command(flatten)]
    viewer: Viewer,
}

#[derive(Debug, Args)]
pub(super) struct UndrainArguments {
    #[command(flatten)]
    viewer: Viewer,
}

impl OperateArguments {
    pub(super) fn run(self, operation: Operation) -> Result<Said> {
        let reason = reason(operation, self.reason.as_deref(), self.viewer.language())?;
        let number = u128::from_str_radix(&self.referral.replace('-', ""), 16).unwrap_or_default();
        let no_id = "this is no referral's id: give all 32 digits, as `gateway stuck` shows them";
        let key = ReferralKey {
            id: EnvelopeId::parse(&number.to_be_bytes(), "referral").context(no_id)?,
            opened_by: AgencyId::parse(&self.opened_by, "from")?,
        };
        let answer = wait(operate(&self.viewer, operation, Some(&key), reason))?;
        Ok(said(operation, &answer, self.viewer.language()))
    }
}

impl DrainArguments {
    pub(super) fn run(self) -> Result<Said> {
        let (operation, language) = (Operation::Drain, self.viewer.language());
        let reason = reason(operation, self.reason.as_deref(), language)?;
        let (answer, under_way) = wait(async {
            let answer = operate(&self.viewer, operation, None, reason).await?;
            anyhow::Ok((answer, settle(&self.viewer, Duration::from_secs(self.wait)).await?))
        })?;
        let mut told = said(operation, &answer, language);
        told.text.push(format!(
            "{} {under_way}",
            language.pick("handed out, and not signed for yet:", "سُلِّم ولم يُوقَّع على استلامه بعد:")
        ));
        told.json["under_way"] = json!(under_way);
        Ok(told)
    }
}

impl UndrainArguments {
    pub(super) fn run(self) -> Result<Said> {
        let operation = Operation::Undrain;
        let language = self.viewer.language();
        let reason = operation.reason_codes().first().copied().unwrap_or_default();
        let answer = wait(operate(&self.viewer, operation, None, reason))?;
        Ok(said(operation, &answer, language))
    }
}

/// A reason that fits an act, or those that would.
fn reason(operation: Operation, given: Option<&str>, language: Language) -> Result<&str> {
    match given {
        Some(code) if operation.reason_codes().contains(&code) => Ok(code),
        Some(_) | None => {
            let fitting = operation.reasons();
            let fitting: Vec<_> =
                fitting.map(|term| format!("  {}: {}", term.code, language.pick(term.en, term.ar))).collect();
            let head = language.pick("--reason must be one of:", "يجب أن تكون قيمة --reason إحدى ما يلي:");
            bail!("{head}\n{}", fitting.join("\n"))
        }
    }
}

async fn operate(
    viewer: &Viewer,
    operation: Operation,
    referral: Option<&ReferralKey>,
    reason: &str,
) -> Result<wire::OperateAnswer> {
    let request = wire::OperateRequest {
        referral: referral.map(ReferralKey::to_wire),
        operation: operation.number(),
        reason: reason.to_owned(),
    };
    Ok(viewer.connect().await?.operate(request).await.map_err(client::said)?.into_inner())
}

/// Waits until nothing is under way, at most so long; gives how much still is.
async fn settle(viewer: &Viewer, at_most: Duration) -> Result<u64> {
    let (mut operations, begun) = (viewer.connect().await?, Instant::now());
    loop {
        let answer = operations.get_status(wire::GetStatusRequest {}).await.map_err(client::said)?;
        let under_way = answer.into_inner().gateway.unwrap_or_default().under_way;
        if under_way == 0 || begun.elapsed() >= at_most {
            return Ok(under_way);
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

fn said(operation: Operation, answer: &wire::OperateAnswer, language: Language) -> Said {
    let until = TimeMs(answer.second_until_ms);
    let said = match language {
        Language::English => &answer.text_en,
        Language::Arabic => &answer.text_ar,
    };
    let mut text = vec![
        said.clone(),
        format!("{} {}", language.pick("evidence", "رقم القيد في السجل"), answer.evidence),
    ];
    if answer.second_until_ms != 0 {
        let lapses = match operation {
            Operation::Hold => language.pick(
                "It lapses then, unless a second operator holds it too:",
                "يسقط الحجز حينها ما لم يؤكده مشغّل ثانٍ:",
            ),
            Operation::NotifyAgain
            | Operation::Release
            | Operation::Return
            | Operation::Drain
            | Operation::Undrain => {
                language.pick("A second operator can confirm until", "يمكن لمشغّل ثانٍ التأكيد حتى")
            }
        };
        text.push(format!("{lapses} {}", language.isolated(&moment(until))));
    }
    Said {
        text,
        json: json!({
            "operation": operation.name(),
            "evidence": answer.evidence,
            "people": answer.people,
            "is_done": answer.is_done,
            "second_until_ms": answer.second_until_ms,
            "text_en": answer.text_en,
            "text_ar": answer.text_ar,
        }),
    }
}
