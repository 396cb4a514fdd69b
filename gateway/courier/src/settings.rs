//! What settings say of hooks and mails: forms as they stand in a TOML file, and what is made of them. A
//! password is never in them, and nothing is sent in clear beyond this machine.

use http::{Uri, uri::Scheme};
use lettre::message::Mailbox;
use serde::Deserialize;
use thiserror::Error;

/// Most mailboxes that mails go to.
pub const MAILBOXES_MAX: usize = 20;

/// A value that is not of its form. It names the key, never the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("`{0}` is not of the form that it has; see the comments of the sample")]
pub struct WrongValue(pub &'static str);

/// A hook, as it is written.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HookForm {
    /// Where: `https`, or `http` on this machine.
    pub url: String,
    /// The file of the authority that its certificate leads to; relative to the settings' folder.
    #[serde(default)]
    pub ca: Option<String>,
}

/// Mails, as they are written.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MailForm {
    /// The mail server: host and port.
    pub server: String,
    /// How the connection to it is secured.
    pub security: Security,
    /// Whom they are from.
    pub from: String,
    /// Whom they go to.
    pub to: Vec<String>,
    /// Who sends them, if the server wants to know.
    #[serde(default)]
    pub user: Option<String>,
    /// The file of the password, for its owner only; relative to the settings' folder.
    #[serde(default)]
    pub password_file: Option<String>,
    /// The file of the authority that its certificate leads to.
    #[serde(default)]
    pub ca: Option<String>,
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

// An address may hold a secret, and a mailbox is somebody's.
impl std::fmt::Debug for HookForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HookForm")
    }
}

impl std::fmt::Debug for MailForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MailForm")
    }
}

/// Where a hook is, of its form.
#[derive(Clone, PartialEq, Eq)]
pub struct HookSettings {
    pub(crate) url: Uri,
    pub(crate) ca: Option<String>,
}

/// Where mails go, and how, of their form.
#[derive(Clone, PartialEq, Eq)]
pub struct MailSettings {
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) security: Security,
    pub(crate) from: Mailbox,
    pub(crate) to: Vec<Mailbox>,
    /// User, and the file of the password.
    pub(crate) login: Option<(String, String)>,
    pub(crate) ca: Option<String>,
}

impl std::fmt::Debug for HookSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("HookSettings")
    }
}

impl std::fmt::Debug for MailSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MailSettings")
    }
}

impl HookSettings {
    /// Judges each value.
    ///
    /// # Errors
    /// [`WrongValue`].
    pub fn parse(form: HookForm) -> Result<Self, WrongValue> {
        let wrong = WrongValue("url");
        let url: Uri = form.url.parse().map_err(|_| wrong)?;
        let host = url.host().filter(|host| !host.is_empty()).ok_or(wrong)?;
        if url.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            return Err(wrong);
        }
        let is_plain = url.scheme() == Some(&Scheme::HTTP) && is_this_machine(host);
        if url.scheme() == Some(&Scheme::HTTPS) || is_plain {
            Ok(Self { url, ca: form.ca })
        } else {
            Err(wrong)
        }
    }
}

impl MailSettings {
    /// Judges each value.
    ///
    /// # Errors
    /// [`WrongValue`].
    pub fn parse(form: MailForm) -> Result<Self, WrongValue> {
        let (host, port) = form.server.rsplit_once(':').ok_or(WrongValue("server"))?;
        let port = port.parse().map_err(|_| WrongValue("server"))?;
        if host.is_empty() {
            return Err(WrongValue("server"));
        }
        if form.security == Security::None && !is_this_machine(host) {
            return Err(WrongValue("security"));
        }
        let login = match (form.user, form.password_file) {
            (Some(user), Some(file)) => Some((user, file)),
            (None, None) => None,
            (Some(_), None) | (None, Some(_)) => return Err(WrongValue("password_file")),
        };
        if form.to.is_empty() || form.to.len() > MAILBOXES_MAX {
            return Err(WrongValue("to"));
        }
        let to =
            form.to.iter().map(|to| to.parse().map_err(|_| WrongValue("to"))).collect::<Result<_, _>>()?;
        let from = form.from.parse().map_err(|_| WrongValue("from"))?;
        let host = bare(host).to_owned();
        Ok(Self { host, port, security: form.security, from, to, login, ca: form.ca })
    }
}

/// An address of IPv6 without its brackets.
pub(crate) fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

fn is_this_machine(host: &str) -> bool {
    let bare = bare(host);
    bare == "localhost" || bare.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_goes_in_clear_beyond_this_machine() {
        for (url, good) in [
            ("https://hooks.example/x?secret=1", true),
            ("http://127.0.0.1:9/x", true),
            ("http://[::1]:9/x", true),
            ("http://localhost/x", true),
            ("http://hooks.example/x", false),
            ("https://user:word@hooks.example/x", false),
            ("ftp://127.0.0.1/x", false),
            ("/x", false),
        ] {
            assert_eq!(
                HookSettings::parse(HookForm { url: url.to_owned(), ca: None }).is_ok(),
                good,
                "{url}"
            );
        }
    }

    #[test]
    fn each_value_of_a_mail_is_judged() {
        let good = "server = \"mail.example:587\"\nsecurity = \"starttls\"\nfrom = \"a@b.example\"\n\
             to = [\"المناوبة <c@d.example>\"]";
        let many = format!("to = [{}]", vec!["\"c@d.example\""; MAILBOXES_MAX + 1].join(", "));
        for (from, to, expected) in [
            ("", "", None),
            ("mail.example:587", "mail.example", Some("server")),
            ("mail.example:587", ":587", Some("server")),
            ("starttls", "none", Some("security")),
            ("mail.example:587\"\nsecurity = \"starttls", "127.0.0.1:25\"\nsecurity = \"none", None),
            ("a@b.example", "nobody", Some("from")),
            ("to = [\"المناوبة <c@d.example>\"]", "to = []", Some("to")),
            ("to = [\"المناوبة <c@d.example>\"]", &many, Some("to")),
            ("security", "user = \"x\"\nsecurity", Some("password_file")),
        ] {
            let form: MailForm = toml::from_str(&good.replacen(from, to, 1)).unwrap();
            assert_eq!(MailSettings::parse(form).err(), expected.map(WrongValue), "{to}");
        }
    }
}
