//! `agent.toml`: the few things that an agency decides about its agent. Not here: the network, which
//! its administrators decide (`network`).

use proto::ids::{AgencyId, Code};
use serde::Deserialize;
use thiserror::Error;

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
    /// The program, and its arguments, that tells people that something waits.
    pub notices: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    agency: String,
    node: String,
    connect: Option<String>,
    notices: Option<Vec<String>>,
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
        Ok(Self {
            agency: AgencyId::parse(&file.agency, "agency").map_err(|_| SettingsFault::Value("agency"))?,
            node: node(&file.node).ok_or(SettingsFault::Value("node"))?,
            connect: file.connect,
            notices: file.notices,
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
        let every_key = SAMPLE.replace("# connect =", "connect =").replace("# notices =", "notices =");
        let every_key = Settings::parse(&every_key).unwrap();
        assert!(every_key.connect.is_some() && every_key.notices.is_some());
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
            ("agency = \"ae.dfwac\"\nnode = \"main\"\ncolour = 1", "colour"),
            ("agency = \"ae.dfwac\"", "node"),
        ] {
            let error = Settings::parse(text).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        }
    }
}
