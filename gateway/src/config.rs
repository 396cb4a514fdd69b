//! The gateway's configuration: one file, few keys, unknown ones refused. Not here: where the files
//! lie (`place`).

mod alerts;

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use thiserror::Error;

pub use alerts::{AlertsConfig, WrongAlerts};

/// The configuration file, as `gateway init` writes it. See `gateway/gateway.sample.toml`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// The network's id, as in certificates.
    pub network: String,
    /// Origin of the evidence log.
    pub evidence_origin: String,
    /// Origin of the directory log.
    pub directory_origin: String,
    /// Where agents and staff connect, mutual TLS.
    pub listen: SocketAddr,
    /// Where whoever holds an invitation connects, TLS without client certificates. Left out, nobody can.
    #[serde(default)]
    pub enrolment_listen: Option<SocketAddr>,
    /// Where staff open the console in a browser, HTTPS with their client certificates. Left out, there is none.
    #[serde(default)]
    pub console: Option<SocketAddr>,
    /// Where Prometheus and readiness checks connect, plain HTTP: never to the outside.
    #[serde(default)]
    pub metrics: Option<SocketAddr>,
    /// The anchor's folder, best on another volume. Beside the rest when left out.
    #[serde(default)]
    pub anchor: Option<PathBuf>,
    /// Below so much free space only receipts, answers and administration are taken.
    #[serde(default = "reserve_mib")]
    pub reserve_mib: u64,
    /// Whom to tell when something is wrong.
    #[serde(default)]
    pub alerts: AlertsConfig,
    /// What is logged, and how.
    #[serde(default)]
    pub log: LogConfig,
}

/// What is logged, and how. Logs go to standard error.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogConfig {
    /// Levels, as in `info,gateway::peer=debug`.
    pub filter: String,
    /// One JSON object a line, instead of text.
    pub json: bool,
    /// Where traces go by OTLP over gRPC, such as `http://127.0.0.1:4317`; nowhere when left out.
    pub otlp: Option<String>,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), json: false, otlp: None }
    }
}

const fn reserve_mib() -> u64 {
    256
}

/// Why the configuration cannot be used.
#[derive(Debug, Error)]
pub enum ConfigFault {
    /// The file cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// It is no such file.
    #[error("{}: {error}", path.display())]
    Form {
        /// Which.
        path: PathBuf,
        /// What is wrong, and where.
        error: Box<toml::de::Error>,
    },
}

impl Config {
    /// Reads a configuration file.
    ///
    /// # Errors
    /// [`ConfigFault`].
    pub fn read(path: &Path) -> Result<Self, ConfigFault> {
        let text =
            fs::read_to_string(path).map_err(|error| ConfigFault::File { path: path.to_owned(), error })?;
        toml::from_str(&text)
            .map_err(|error| ConfigFault::Form { path: path.to_owned(), error: Box::new(error) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sample_is_read() {
        let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("gateway.sample.toml");
        let config = Config::read(&sample).unwrap();
        assert_eq!(config.network, "referral.example");
        assert_eq!(config.reserve_mib, 256);
        assert_eq!(config.enrolment_listen, Some("0.0.0.0:7444".parse().unwrap()));
        assert_eq!(config.console, None);
        assert_eq!(config.alerts, AlertsConfig::default());
        assert_eq!(config.log, LogConfig::default());
    }

    #[test]
    fn every_key_of_the_sample_can_be_used() {
        let sample = include_str!("../gateway.sample.toml");
        let is_key = |line: &str| line.starts_with("# [") || (line.starts_with("# ") && line.contains(" = "));
        let every = |line: &str| if is_key(line) { line[2..].to_owned() } else { line.to_owned() };
        let text = sample.lines().map(every).collect::<Vec<_>>().join("\n");
        let config: Config = toml::from_str(&text).unwrap();
        let folder = Path::new("/etc/referral");
        assert!(config.console.is_some() && config.log.otlp.is_some());
        assert_eq!(config.alerts.ways(folder).unwrap().len(), 2);
        assert!(config.alerts.heartbeat(folder).unwrap().is_some());
        assert_eq!(config.alerts.limits().unwrap(), proto::alert::Limits::default());
        assert_eq!(config.alerts.off().unwrap().len(), 1);
    }

    #[test]
    fn unknown_keys_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.toml");
        let sample = include_str!("../gateway.sample.toml");
        fs::write(&path, format!("listne = \"127.0.0.1:1\"\n{sample}")).unwrap();
        let refused = Config::read(&path).unwrap_err().to_string();
        assert!(refused.contains("listne"), "{refused}");
    }
}
