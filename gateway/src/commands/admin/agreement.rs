//! `gateway admin agreement`: making and checking agreements, without a gateway. Not here: what they say
//! (`proto::agreement`).

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::{Args, Subcommand};
use gateway::admin::{
    self,
    agreement::{self, Draft},
};
use proto::{agreement::warning::Warning, language::Language};
use serde_json::{Value, json};

use super::{super::Said, Lang};

#[derive(Debug, Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    after_help = "Examples:\n  \
gateway admin agreement check agreement.toml --lang ar\n  \
gateway admin agreement agreement.toml --out agreement.json\n  \
gateway admin agreement next-year.toml --renews agreement.json --out next-year.json"
)]
pub(super) struct AgreementArguments {
    #[command(subcommand)]
    command: Option<AgreementCommand>,
    /// The agreement (TOML).
    #[arg(required = true)]
    file: Option<PathBuf>,
    /// Where the object goes.
    #[arg(long, required = true)]
    out: Option<PathBuf>,
    #[command(flatten)]
    renews: Renews,
    #[command(flatten)]
    lang: Lang,
}

#[derive(Debug, Subcommand)]
enum AgreementCommand {
    /// Show what an agreement allows, and what is wrong with it. Makes nothing.
    Check {
        /// The agreement: its file (TOML), or the object made of it (JSON).
        file: PathBuf,
        #[command(flatten)]
        renews: Renews,
        #[command(flatten)]
        lang: Lang,
    },
}

#[derive(Debug, Args)]
struct Renews {
    /// The object (JSON) of the agreement that this one renews: it gets its id and the next revision, and
    /// takes its place from its own `valid_from`, once every party has signed.
    #[arg(long, value_name = "FORMER")]
    renews: Option<PathBuf>,
}

impl AgreementArguments {
    pub(super) fn run(self) -> Result<Said> {
        if let Some(AgreementCommand::Check { file, renews, lang }) = self.command {
            return Ok(says(&agreement::read(&file, renews.renews.as_deref())?, lang.language()));
        }
        let (file, out) = self.file.zip(self.out).context("a file, and --out")?;
        let (object, draft) = agreement::draft(&file, self.renews.renews.as_deref())?;
        admin::write_new(&out, &object)?;
        Ok(says(&draft, self.lang.language()))
    }
}

fn says(draft: &Draft, language: Language) -> Said {
    let warning = |warning: &Warning| {
        json!({
            "code": warning.code(),
            "weight": warning.weight().code(),
            "clause": warning.clause().map(ToString::to_string),
            "text_en": warning.text(Language::English),
            "text_ar": warning.text(Language::Arabic),
        })
    };
    let warnings: Vec<Value> = draft.warnings.iter().map(warning).collect();
    let text = draft.lines(language);
    let json = json!({
        "agreement": draft.whole.digest().to_string(),
        "revision": draft.whole.agreement().revision,
        "supersedes": draft.whole.agreement().supersedes.map(|former| former.to_string()),
        "says": text,
        "warnings": warnings,
    });
    Said { text, json }
}
