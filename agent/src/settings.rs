//! `agent.toml`: the few things that an agency decides about its agent. Not here: the network, which
//! its administrators decide (`network`).

use http::{Uri, uri::Scheme};
use lettre::message::Mailbox;
use proto::ids::{AgencyId, Code};
use serde::Deserialize;
use thiserror::Error;

use crate::{erasure::KEEP_DAYS_MAX, link::proxy::Proxy};

/// A sample with every key, as `agent init` writes it.
pub const SAMPLE: &str = include_str!("../agent.sample.toml");

/// Why settings are not settings.
#[derive(Debug, Error)]
pub enum SettingsFault {
    /// Not TOML, or a key that there is not.
    #[error("agent.toml: {0}")]
    Form(String),
    /// A value that is not of its form.
    #[error("agent.toml: `{0}` is not of the form that it has; see the comments of the sample")]
    Value(&'static str),
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
    pub hook: Option<Hook>,
    /// The mails that say the same.
    pub mail: Option<Mail>,
    /// Whom others telephone in an emergency: published in the directory.
    pub duty_desk: Option<DutyDesk>,
}

/// Most mailboxes that mails go to.
pub const MAILBOXES_MAX: usize = 20;

/// A server that gets a POST when something waits.
#[derive(Clone, PartialEq, Eq)]
pub struct Hook {
    /// Where: `https`, or `http` on this machine.
    pub url: Uri,
    /// The file of the authority that its certificate leads to.
    pub ca: Option<String>,
}

/// Mails that say that something waits.
#[derive(Clone, PartialEq, Eq)]
pub struct Mail {
    /// The mail server.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection to it is secured.
    pub security: Security,
    /// Whom they are from.
    pub from: Mailbox,
    /// Whom they go to.
    pub to: Vec<Mailbox>,
    /// What the server wants to know, if it does.
    pub login: Option<Login>,
    /// The file of the authority that its certificate leads to.
    pub ca: Option<String>,
}

/// User and password of a mail server.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// The user.
    pub user: String,
    /// The file of the password.
    pub password_file: String,
}

/// How the connection to a mail server is secured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Security {
    /// TLS after a command of the protocol, without which nothing is sent.
    Starttls,
    /// TLS from the first byte.
    Tls,
    /// Not at all: only on this machine.
    None,
}

/// Whom others telephone in an emergency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DutyDesk {
    /// E.164: `+97172221111`.
    pub phone: String,
    /// The calendar of the directory whose working time it keeps; empty for around the clock.
    pub hours: String,
}

// An address may hold a secret, and a mailbox is somebody's.
impl std::fmt::Debug for Hook {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Hook")
    }
}

impl std::fmt::Debug for Mail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mail")
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct HookFile {
    url: String,
    ca: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct MailFile {
    server: String,
    security: Security,
    from: String,
    to: Vec<String>,
    user: Option<String>,
    password_file: Option<String>,
    ca: Option<String>,
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
    hook: Option<HookFile>,
    mail: Option<MailFile>,
    duty_desk: Option<DutyDeskFile>,
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
        Ok(Self {
            agency: AgencyId::parse(&file.agency, "agency").map_err(|_| SettingsFault::Value("agency"))?,
            node: node(&file.node).ok_or(SettingsFault::Value("node"))?,
            connect: file.connect,
            proxy: file.proxy.as_deref().map(proxy).transpose()?,
            keep_days: file.keep_days,
            notices: file.notices,
            hook: file.hook.map(hook).transpose()?,
            mail: file.mail.map(mail).transpose()?,
            duty_desk: file.duty_desk.map(duty_desk).transpose()?,
        })
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

fn hook(file: HookFile) -> Result<Hook, SettingsFault> {
    let bad = || SettingsFault::Value("hook.url");
    let url: Uri = file.url.parse().map_err(|_| bad())?;
    let host = url.host().filter(|host| !host.is_empty()).ok_or_else(bad)?;
    if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
        return Err(bad());
    }
    let is_plain = url.scheme() == Some(&Scheme::HTTP) && is_this_machine(host);
    if url.scheme() == Some(&Scheme::HTTPS) || is_plain { Ok(Hook { url, ca: file.ca }) } else { Err(bad()) }
}

fn mail(file: MailFile) -> Result<Mail, SettingsFault> {
    let bad = SettingsFault::Value;
    let (host, port) = file.server.rsplit_once(':').ok_or_else(|| bad("mail.server"))?;
    let port = port.parse().map_err(|_| bad("mail.server"))?;
    if host.is_empty() {
        return Err(bad("mail.server"));
    }
    if file.security == Security::None && !is_this_machine(host) {
        return Err(bad("mail.security"));
    }
    let login = match (file.user, file.password_file) {
        (Some(user), Some(password_file)) => Some(Login { user, password_file }),
        (None, None) => None,
        (Some(_), None) | (None, Some(_)) => return Err(bad("mail.password_file")),
    };
    if file.to.is_empty() || file.to.len() > MAILBOXES_MAX {
        return Err(bad("mail.to"));
    }
    let to = file.to.iter().map(|to| to.parse().map_err(|_| bad("mail.to"))).collect::<Result<_, _>>()?;
    let from = file.from.parse().map_err(|_| bad("mail.from"))?;
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    Ok(Mail { host, port, security: file.security, from, to, login, ca: file.ca })
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

fn is_this_machine(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
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
        let every_key = Settings::parse(&lines.collect::<Vec<_>>().join("\n")).unwrap();
        assert!(every_key.connect.is_some() && every_key.proxy.is_some() && every_key.notices.is_some());
        assert_eq!(every_key.keep_days, Some(90));
        assert!(every_key.hook.unwrap().ca.is_some());
        let mail = every_key.mail.unwrap();
        assert!(mail.login.is_some() && mail.ca.is_some() && mail.to.len() == 2);
        assert!(!every_key.duty_desk.unwrap().hours.is_empty());
    }

    #[test]
    fn a_new_agents_file() {
        let agency = AgencyId::parse("ae.dfwac", "agency").unwrap();
        let made = Settings::parse(&Settings::file(&agency, &node("duty-2").unwrap())).unwrap();
        assert_eq!((made.agency, made.node.as_str()), (agency, "duty-2"));
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
        let many = format!("to = [{}]", vec!["\"c@d.example\""; MAILBOXES_MAX + 1].join(", "));
        for (table, from, to, expected) in [
            ("hook", "", "url = \"http://hooks.example/x\"", "`hook.url`"),
            ("hook", "", "url = \"https://user:word@hooks.example/x\"", "`hook.url`"),
            ("hook", "", "url = \"ftp://127.0.0.1/x\"", "`hook.url`"),
            ("hook", "", "url = \"/only/a/path\"", "`hook.url`"),
            ("mail", ":587", "", "`mail.server`"),
            ("mail", "starttls", "none", "`mail.security`"),
            ("mail", "starttls", "ssl", "`starttls`, `tls`, `none`"),
            ("mail", "a@b.example", "nobody", "`mail.from`"),
            ("mail", "c@d.example", "", "`mail.to`"),
            ("mail", "to = [\"c@d.example\"]", "to = []", "`mail.to`"),
            ("mail", "to = [\"c@d.example\"]", &many, "`mail.to`"),
            ("mail", "from", "user = \"u\"\nfrom", "`mail.password_file`"),
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
