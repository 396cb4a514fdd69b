//! `agent.toml`: the few things that an agency decides about its agent. Not here: the network, which
//! its administrators decide (`network`).

use std::{net::SocketAddr, path::PathBuf};

use courier::settings::{HookForm, HookSettings, MailForm, MailSettings, WrongValue};
use proto::ids::{AgencyId, Code};
use serde::Deserialize;
use thiserror::Error;

use crate::{erasure::KEEP_DAYS_MAX, link::proxy::Proxy};

/// A sample with every key, as `agent init` writes it.
pub const SAMPLE: &str = include_str!("../agent.sample.toml");

/// The line of the sample that names a proxy.
const SAMPLE_PROXY: &str = "# proxy = \"http://proxy.example:3128\"";

/// Why settings are not settings.
#[derive(Debug, Error)]
pub enum SettingsFault {
    /// Not TOML, or a key that there is not.
    #[error("agent.toml: {0}")]
    Form(String),
    /// A value that is not of its form.
    #[error("agent.toml: `{0}` is not of the form that it has; see the comments of the sample")]
    Value(&'static str),
    /// The same, of a way by which people are told.
    #[error("agent.toml: [{0}]: {1}")]
    Way(&'static str, WrongValue),
}

/// Settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The agency.
    pub agency: AgencyId,
    /// Which of its agents this one is.
    pub node: Code,
    /// Where to connect instead of the address in `network.toml`: host and port.
    pub connect: Option<String>,
    /// The HTTP proxy through which the gateway is connected to.
    pub proxy: Option<Proxy>,
    /// For how many days the content of a referral that has ended is kept; none for as long as its agreement
    /// says.
    pub keep_days: Option<u32>,
    /// The program, and its arguments, that tells people that something waits.
    pub notices: Option<Vec<String>>,
    /// The server that is told the same.
    pub hook: Option<HookSettings>,
    /// The mails that say the same.
    pub mail: Option<MailSettings>,
    /// Whom others telephone in an emergency: published in the directory.
    pub duty_desk: Option<DutyDesk>,
    /// The folder through which people, and programs that can only write files, refer and answer.
    pub exchange: Option<ExchangeSettings>,
    /// Where the local API listens besides its socket.
    pub local_api: Option<LocalApiSettings>,
}

/// The local API over TCP.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalApiSettings {
    /// An address of this machine alone.
    pub listen: SocketAddr,
}

/// The exchange folder.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangeSettings {
    /// Where it is; a relative path lies in the agent's folder.
    pub folder: PathBuf,
    /// The group, or the other machine, on which it lies is meant to read it.
    #[serde(default)]
    pub shared: bool,
}

/// Whom others telephone in an emergency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DutyDesk {
    /// E.164: `+97172221111`.
    pub phone: String,
    /// The calendar of the directory whose working time it keeps; empty for around the clock.
    pub hours: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DutyDeskFile {
    phone: String,
    #[serde(default)]
    hours: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    agency: String,
    node: String,
    connect: Option<String>,
    proxy: Option<String>,
    keep_days: Option<u32>,
    notices: Option<Vec<String>>,
    hook: Option<HookForm>,
    mail: Option<MailForm>,
    duty_desk: Option<DutyDeskFile>,
    exchange: Option<ExchangeSettings>,
    local_api: Option<LocalApiSettings>,
}

impl Settings {
    /// Reads the file.
    ///
    /// # Errors
    /// [`SettingsFault`].
    pub fn parse(text: &str) -> Result<Self, SettingsFault> {
        let file: File =
            toml::from_str(text).map_err(|error| SettingsFault::Form(error.message().to_owned()))?;
        if file.connect.as_ref().is_some_and(|address| !is_address(address)) {
            return Err(SettingsFault::Value("connect"));
        }
        if file.notices.as_ref().is_some_and(|command| command.first().is_none_or(String::is_empty)) {
            return Err(SettingsFault::Value("notices"));
        }
        if file.keep_days.is_some_and(|days| !(1..=KEEP_DAYS_MAX).contains(&days)) {
            return Err(SettingsFault::Value("keep_days"));
        }
        // Plaintext is spoken there.
        if file.local_api.as_ref().is_some_and(|local| !local.listen.ip().is_loopback()) {
            return Err(SettingsFault::Value("local_api.listen"));
        }
        if file.exchange.as_ref().is_some_and(|exchange| exchange.folder.as_os_str().is_empty()) {
            return Err(SettingsFault::Value("exchange.folder"));
        }
        Ok(Self {
            agency: AgencyId::parse(&file.agency, "agency").map_err(|_| SettingsFault::Value("agency"))?,
            node: node(&file.node).ok_or(SettingsFault::Value("node"))?,
            connect: file.connect,
            proxy: file.proxy.as_deref().map(proxy).transpose()?,
            keep_days: file.keep_days,
            notices: file.notices,
            hook: file
                .hook
                .map(HookSettings::parse)
                .transpose()
                .map_err(|wrong| SettingsFault::Way("hook", wrong))?,
            mail: file
                .mail
                .map(MailSettings::parse)
                .transpose()
                .map_err(|wrong| SettingsFault::Way("mail", wrong))?,
            duty_desk: file.duty_desk.map(duty_desk).transpose()?,
            exchange: file.exchange,
            local_api: file.local_api,
        })
    }

    /// A file with this proxy, in the place of another, or of the sample's; all else as it is.
    #[must_use]
    pub fn with_proxy(file: &str, proxy: &str) -> String {
        let line = format!("proxy = {}", toml::Value::from(proxy));
        let is_proxy = |line: &str| line == SAMPLE_PROXY || line.starts_with("proxy =");
        if !file.lines().any(is_proxy) {
            // Before any table.
            return format!("{line}\n{file}");
        }
        let lines = file.lines().map(|one| if is_proxy(one) { line.as_str() } else { one });
        lines.flat_map(|one| [one, "\n"]).collect()
    }

    /// The file of a new agent: the sample, with its own agency and node.
    #[must_use]
    pub fn file(agency: &AgencyId, node: &Code) -> String {
        SAMPLE.replace("\"ae.example\"", &format!("\"{agency}\"")).replace("\"main\"", &format!("\"{node}\""))
    }
}

/// A node's name stands in a certificate's URI: letters, digits and inner hyphens.
#[must_use]
pub fn node(text: &str) -> Option<Code> {
    let is_label = !text.starts_with('-') && !text.ends_with('-') && !text.contains('_');
    Code::parse(text, "node").ok().filter(|_| is_label)
}

fn proxy(text: &str) -> Result<Proxy, SettingsFault> {
    Proxy::parse(text).ok_or(SettingsFault::Value("proxy"))
}

/// Judged again where it is published: here only what would never be taken.
fn duty_desk(file: DutyDeskFile) -> Result<DutyDesk, SettingsFault> {
    let digits = file.phone.strip_prefix('+').unwrap_or_default();
    if !(7..=15).contains(&digits.len()) || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err(SettingsFault::Value("duty_desk.phone"));
    }
    if !file.hours.is_empty() && Code::parse(&file.hours, "hours").is_err() {
        return Err(SettingsFault::Value("duty_desk.hours"));
    }
    Ok(DutyDesk { phone: file.phone, hours: file.hours })
}

fn is_address(text: &str) -> bool {
    text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_read_and_names_every_key() {
        let sample = Settings::parse(SAMPLE).unwrap();
        assert_eq!(
            (sample.agency.as_str(), sample.node.as_str(), sample.connect),
            ("ae.example", "main", None)
        );
        // Every line of the sample that is no prose, as it stands there.
        let is_key = |line: &&str| {
            line.starts_with('[') || line.split_once(" = ").is_some_and(|(key, _)| !key.contains(' '))
        };
        let lines = SAMPLE.lines().map(|line| line.strip_prefix("# ").filter(is_key).unwrap_or(line));
        let text = lines.collect::<Vec<_>>().join("\n");
        let every_key = Settings::parse(&text).unwrap();
        assert!(every_key.connect.is_some() && every_key.proxy.is_some() && every_key.notices.is_some());
        assert_eq!(every_key.keep_days, Some(90));
        assert!(every_key.hook.is_some() && every_key.mail.is_some());
        let written: File = toml::from_str(&text).unwrap();
        assert!(written.hook.unwrap().ca.is_some());
        let mail = written.mail.unwrap();
        assert!(mail.user.is_some() && mail.password_file.is_some());
        assert!(mail.ca.is_some() && mail.to.len() == 2);
        assert!(!every_key.duty_desk.unwrap().hours.is_empty());
        assert!(every_key.exchange.unwrap().shared);
        assert!(every_key.local_api.unwrap().listen.ip().is_loopback());
    }

    #[test]
    fn a_new_agents_file() {
        let agency = AgencyId::parse("ae.dfwac", "agency").unwrap();
        let made = Settings::parse(&Settings::file(&agency, &node("duty-2").unwrap())).unwrap();
        assert_eq!((&made.agency, made.node.as_str(), made.proxy), (&agency, "duty-2", None));
        let proxy = "http://user:pa%22ss@proxy.example:3128";
        let file = Settings::file(&agency, &node("main").unwrap());
        let named = Settings::with_proxy(&file, "http://other.example:1");
        let bare = "agency = \"ae.dfwac\"\nnode = \"main\"\n[exchange]\nfolder = \"x\"\n".to_owned();
        for file in [&file, &named, &bare] {
            let made = Settings::parse(&Settings::with_proxy(file, proxy)).unwrap();
            assert_eq!(made.proxy, Proxy::parse(proxy));
        }
    }

    #[test]
    fn what_is_refused() {
        for (text, expected) in [
            ("agency = \"dfwac\"\nnode = \"main\"", "`agency`"),
            ("agency = \"ae.dfwac\"\nnode = \"Main\"", "`node`"),
            ("agency = \"ae.dfwac\"\nnode = \"a_b\"", "`node`"),
            ("agency = \"ae.dfwac\"\nnode = \"main\"\nconnect = \"host\"", "`connect`"),
            ("agency = \"ae.dfwac\"\nnode = \"main\"\nnotices = []", "`notices`"),
            ("agency = \"ae.dfwac\"\nnode = \"main\"\nproxy = \"https://p.example:1\"", "`proxy`"),
            ("agency = \"ae.dfwac\"\nnode = \"main\"\nkeep_days = 0", "`keep_days`"),
            ("agency = \"ae.dfwac\"\nnode = \"main\"\nkeep_days = 3651", "`keep_days`"),
            ("agency = \"ae.dfwac\"\nnode = \"main\"\ncolour = 1", "colour"),
            ("agency = \"ae.dfwac\"", "node"),
        ] {
            let error = Settings::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
        let mail = "server = \"mail.example:587\"\nsecurity = \"starttls\"\nfrom = \"a@b.example\"\nto = [\"c@d.example\"]";
        let many =
            format!("to = [{}]", vec!["\"c@d.example\""; courier::settings::MAILBOXES_MAX + 1].join(", "));
        for (table, from, to, expected) in [
            ("hook", "", "url = \"http://hooks.example/x\"", "[hook]: `url`"),
            ("hook", "", "url = \"https://user:word@hooks.example/x\"", "[hook]: `url`"),
            ("hook", "", "url = \"ftp://127.0.0.1/x\"", "[hook]: `url`"),
            ("hook", "", "url = \"/only/a/path\"", "[hook]: `url`"),
            ("mail", ":587", "", "[mail]: `server`"),
            ("mail", "starttls", "none", "[mail]: `security`"),
            ("mail", "starttls", "ssl", "`starttls`, `tls`, `none`"),
            ("mail", "a@b.example", "nobody", "[mail]: `from`"),
            ("mail", "c@d.example", "", "[mail]: `to`"),
            ("mail", "to = [\"c@d.example\"]", "to = []", "[mail]: `to`"),
            ("mail", "to = [\"c@d.example\"]", &many, "[mail]: `to`"),
            ("mail", "from", "user = \"u\"\nfrom", "[mail]: `password_file`"),
            ("local_api", "", "listen = \"0.0.0.0:7450\"", "`local_api.listen`"),
            ("local_api", "", "listen = \"192.0.2.1:7450\"", "`local_api.listen`"),
            ("exchange", "", "folder = \"\"", "`exchange.folder`"),
            ("exchange", "", "folder = \"a\"\ncolour = 1", "colour"),
            ("duty_desk", "", "phone = \"0501234567\"", "`duty_desk.phone`"),
            ("duty_desk", "", "phone = \"+971501234567\"\nhours = \"A b\"", "`duty_desk.hours`"),
        ] {
            let content = if table == "mail" { mail.replacen(from, to, 1) } else { to.to_owned() };
            let text = &format!("agency = \"ae.dfwac\"\nnode = \"main\"\n[{table}]\n{content}");
            let error = Settings::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
