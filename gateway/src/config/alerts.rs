//! `[alerts]` of the configuration: whom to tell, of what, and from when on. Not here: the rules
//! (`proto::alert`).

use std::{collections::BTreeSet, path::Path};

use courier::{
    Hook, Mail, Way,
    settings::{HookForm, HookSettings, MailForm, MailSettings, WrongValue},
};
use proto::alert::{Code, Limits};
use serde::Deserialize;
use thiserror::Error;

const MINUTE_MS: u64 = 60 * 1000;
const HOUR_MS: u64 = 60 * MINUTE_MS;
/// Largest number of a limit: hours of a century.
const LIMIT_MAX: u64 = 1_000_000;

/// Whom to tell, of what, and from when on.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AlertsConfig {
    /// A server that gets each message as JSON.
    pub hook: Option<HookForm>,
    /// Mails.
    pub mail: Option<MailForm>,
    /// A server outside that is called every minute, and tells people when it is not.
    pub heartbeat: Option<HookForm>,
    /// Codes that nobody is told of.
    pub off: Vec<String>,
    /// How long an emergency may wait for a person's look.
    pub emergency_minutes: u64,
    /// How long an agency may be away.
    pub silent_hours: u64,
    /// How many envelopes may wait in a mailbox that grows.
    pub mailbox: u64,
    /// How long a step of the writer may take.
    pub step_ms: u64,
    /// How long the published log may stay without a new cosignature.
    pub unwitnessed_minutes: u64,
    /// How much may be refused in ten minutes.
    pub refused: u64,
    /// How old the last backup may be.
    pub backup_hours: u64,
}

impl Default for AlertsConfig {
    fn default() -> Self {
        let limits = Limits::default();
        Self {
            hook: None,
            mail: None,
            heartbeat: None,
            off: Vec::new(),
            emergency_minutes: limits.emergency_ms / MINUTE_MS,
            silent_hours: limits.silent_ms / HOUR_MS,
            mailbox: limits.mailbox,
            step_ms: limits.step_ms,
            unwitnessed_minutes: limits.unwitnessed_ms / MINUTE_MS,
            refused: limits.refused,
            backup_hours: limits.backup_ms / HOUR_MS,
        }
    }
}

/// A key of `[alerts]` that cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum WrongAlerts {
    /// Of a way.
    #[error("[alerts.{0}]: {1}")]
    Way(&'static str, WrongValue),
    /// A name that is no code, or one of those that are always told.
    #[error(
        "[alerts] off: a name in it is no code of an alert, or of one that is always told; see gateway/README.md"
    )]
    Off,
    /// A number.
    #[error("[alerts] `{0}` is larger than 1000000")]
    Number(&'static str),
}

impl AlertsConfig {
    /// From when on something is bad.
    ///
    /// # Errors
    /// [`WrongAlerts::Number`].
    pub fn limits(&self) -> Result<Limits, WrongAlerts> {
        let numbers = [
            ("emergency_minutes", self.emergency_minutes),
            ("silent_hours", self.silent_hours),
            ("mailbox", self.mailbox),
            ("step_ms", self.step_ms),
            ("unwitnessed_minutes", self.unwitnessed_minutes),
            ("refused", self.refused),
            ("backup_hours", self.backup_hours),
        ];
        if let Some((name, _)) = numbers.into_iter().find(|(_, number)| *number > LIMIT_MAX) {
            return Err(WrongAlerts::Number(name));
        }
        Ok(Limits {
            emergency_ms: self.emergency_minutes * MINUTE_MS,
            silent_ms: self.silent_hours * HOUR_MS,
            // 0 would call people because of nothing.
            mailbox: self.mailbox.max(1),
            step_ms: self.step_ms.max(1),
            unwitnessed_ms: self.unwitnessed_minutes * MINUTE_MS,
            refused: self.refused.max(1),
            backup_ms: self.backup_hours * HOUR_MS,
        })
    }

    /// Codes that nobody is told of.
    ///
    /// # Errors
    /// [`WrongAlerts::Off`].
    pub fn off(&self) -> Result<BTreeSet<Code>, WrongAlerts> {
        let code = |name: &String| Code::of_name(name).filter(|code| code.may_be_off());
        self.off.iter().map(|name| code(name).ok_or(WrongAlerts::Off)).collect()
    }

    /// The ways by which people are told; paths in them are relative to a folder.
    ///
    /// # Errors
    /// [`WrongAlerts::Way`].
    pub fn ways(&self, folder: &Path) -> Result<Vec<Way>, WrongAlerts> {
        let hook = self.hook.clone().map(HookSettings::parse).transpose();
        let hook = hook.map_err(|wrong| WrongAlerts::Way("hook", wrong))?;
        let mail = self.mail.clone().map(MailSettings::parse).transpose();
        let mail = mail.map_err(|wrong| WrongAlerts::Way("mail", wrong))?;
        let hook = hook.map(|settings| Way::Hook(Hook::new(settings, folder)));
        let mail = mail.map(|settings| Way::Mail(Mail::new(settings, folder)));
        Ok(hook.into_iter().chain(mail).collect())
    }

    /// Who watches from outside.
    ///
    /// # Errors
    /// [`WrongAlerts::Way`].
    pub fn heartbeat(&self, folder: &Path) -> Result<Option<Hook>, WrongAlerts> {
        let hook = self.heartbeat.clone().map(HookSettings::parse).transpose();
        let hook = hook.map_err(|wrong| WrongAlerts::Way("heartbeat", wrong))?;
        Ok(hook.map(|settings| Hook::new(settings, folder)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_about_a_case_or_the_log_cannot_be_left_out() {
        for code in Code::ALL {
            let config = AlertsConfig { off: vec![code.name().to_owned()], ..AlertsConfig::default() };
            assert_eq!(config.off().is_ok(), code.may_be_off(), "{code:?}");
        }
        let config = AlertsConfig { off: vec!["nothing".to_owned()], ..AlertsConfig::default() };
        assert_eq!(config.off(), Err(WrongAlerts::Off));
    }

    #[test]
    fn limits_are_the_rules_own_unless_something_else_is_said() {
        assert_eq!(AlertsConfig::default().limits(), Ok(Limits::default()));
        let wrong = AlertsConfig { silent_hours: LIMIT_MAX + 1, ..AlertsConfig::default() };
        assert_eq!(wrong.limits(), Err(WrongAlerts::Number("silent_hours")));
    }
}
