//! The command line: what can be asked. Not here: doing it.

use std::path::PathBuf;

use certs::{Agency, Fingerprint, GatewayName, Identity, Network, PermittedName, Reason, Serial};
use clap::{ArgGroup, Args, Parser, Subcommand};

const EXAMPLES: &str = "\
Examples:
  A new network, its gateway, and an agency's agent:
    certs init authority --network referral.example --permit 10.1.0.0/16
    certs issue authority gateway --name gateway.referral.example --new-key gateway-keys
    certs request --key key.pem --out agent.csr            (on the agency's machine)
    certs issue authority agency/ae.dfwac/main --request agent.csr --out agent.pem

  What verifiers need, signed again when half of its time is gone (run it every hour):
    certs crl authority --if-due --out /etc/referral/trust

  An agency's machine was stolen:
    certs revoke authority --agency ae.dfwac --reason key-compromise

Exit codes: 0 done, 1 refused or failed, 2 not understood.";

/// The certificate authority of a small referral network.
#[derive(Parser)]
#[command(name = "certs", version, after_help = EXAMPLES)]
pub(crate) struct Arguments {
    /// Print JSON, errors too
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Make a new authority: root, issuing certificate, revocation lists
    Init(Init),
    /// Make a key and a certificate signing request for it
    Request(Request),
    /// Certify a gateway, an agency's agent or a member of staff
    Issue(Issue),
    /// Certify the same identity and names again
    Renew(Renew),
    /// Revoke certificates, and sign the revocation lists
    Revoke(Revoke),
    /// Sign the revocation lists, and write what verifiers need
    Crl(Crl),
    /// List what was issued
    List(List),
    /// Say what must be done before a date; exit code 1 if anything must
    Status(Folder),
    /// Show certificates, requests and revocation lists
    Show(Show),
    /// What this machine does before and after a ceremony of the root
    #[command(subcommand)]
    Ceremony(Ceremony),
    /// What is done at a ceremony, with the root's folder at hand
    #[command(subcommand)]
    Root(Root),
}

#[derive(Args)]
pub(crate) struct Init {
    /// The authority's folder, to be made
    pub(crate) folder: PathBuf,
    /// The network, such as referral.example
    #[arg(long)]
    pub(crate) network: Network,
    /// A domain or a range of IP addresses that gateways may have names in, beside the network's own
    /// domain; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) permit: Vec<PermittedName>,
    /// Permit localhost and this machine's own addresses: for demos and tests
    #[arg(long)]
    pub(crate) sandbox: bool,
}

#[derive(Args)]
pub(crate) struct Request {
    /// The key's file, to be made; if it is there, the request is for that key
    #[arg(long, value_name = "FILE")]
    pub(crate) key: PathBuf,
    /// Where to write the request
    #[arg(long, value_name = "FILE")]
    pub(crate) out: PathBuf,
}

/// For which key, and where the certificate goes.
#[derive(Args)]
#[command(group(ArgGroup::new("holder").required(true).args(["request", "new_key"])))]
pub(crate) struct Holder {
    /// The request of whoever has the key
    #[arg(long, value_name = "FILE", requires = "out")]
    pub(crate) request: Option<PathBuf>,
    /// Where to write the certificate and its chain
    #[arg(long, value_name = "FILE", conflicts_with = "new_key")]
    pub(crate) out: Option<PathBuf>,
    /// Make a key here: a folder for key.pem and certificate.pem
    #[arg(long, value_name = "FOLDER")]
    pub(crate) new_key: Option<PathBuf>,
    /// How many days the certificate lasts
    #[arg(long, default_value_t = certs::LEAF_LIFETIME.days())]
    pub(crate) days: u64,
}

#[derive(Args)]
pub(crate) struct Issue {
    /// The authority's folder
    pub(crate) folder: PathBuf,
    /// gateway, agency/<AGENCY>/<NODE>, or staff/<administrator|operator|auditor>/<PSEUDONYM>
    pub(crate) identity: Identity,
    /// A host or IP address that agents call the gateway by; may be repeated
    #[arg(long, value_name = "NAME")]
    pub(crate) name: Vec<GatewayName>,
    #[command(flatten)]
    pub(crate) holder: Holder,
}

#[derive(Args)]
#[command(group(ArgGroup::new("old").required(true).args(["serial", "certificate"])))]
pub(crate) struct Renew {
    /// The authority's folder
    pub(crate) folder: PathBuf,
    /// The old certificate's serial number, in hex
    #[arg(long)]
    pub(crate) serial: Option<Serial>,
    /// The old certificate's file
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) holder: Holder,
}

#[derive(Args)]
#[command(group(ArgGroup::new("which").required(true)
    .args(["serial", "fingerprint", "certificate", "identity", "agency"])))]
pub(crate) struct Revoke {
    /// The authority's folder
    pub(crate) folder: PathBuf,
    /// One certificate, by its serial number in hex
    #[arg(long)]
    pub(crate) serial: Option<Serial>,
    /// One certificate, by its SHA-256 in hex
    #[arg(long)]
    pub(crate) fingerprint: Option<Fingerprint>,
    /// One certificate, by its file
    #[arg(long, value_name = "FILE")]
    pub(crate) certificate: Option<PathBuf>,
    /// Every certificate of an identity, such as staff/operator/blue-7
    #[arg(long)]
    pub(crate) identity: Option<Identity>,
    /// Every certificate of an agency
    #[arg(long)]
    pub(crate) agency: Option<Agency>,
    /// Why: unspecified, key-compromise, affiliation-changed, superseded, cessation-of-operation or
    /// privilege-withdrawn
    #[arg(long)]
    pub(crate) reason: Reason,
}

#[derive(Args)]
pub(crate) struct Crl {
    /// The authority's folder
    pub(crate) folder: PathBuf,
    /// Sign only when less than half of a list's time is left, or something was revoked after it
    #[arg(long)]
    pub(crate) if_due: bool,
    /// How many days the lists are in force
    #[arg(long, default_value_t = certs::CRL_VALIDITY.days())]
    pub(crate) days: u64,
    /// A folder to write root.pem and crls.pem into, for verifiers
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct List {
    /// The authority's folder
    pub(crate) folder: PathBuf,
    /// Also what has expired
    #[arg(long)]
    pub(crate) all: bool,
}

#[derive(Args)]
pub(crate) struct Folder {
    /// The authority's folder
    pub(crate) folder: PathBuf,
}

#[derive(Args)]
pub(crate) struct Show {
    /// Certificates, chains, requests or revocation lists, in PEM or DER
    #[arg(required = true, value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,
}

#[derive(Subcommand)]
pub(crate) enum Ceremony {
    /// Before: make the key of the next issuing certificate, and the request to take to the root
    Prepare {
        /// The authority's folder
        folder: PathBuf,
        /// Where to write the request
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// After: take what the root signed, issuing certificate or revocation list
    Finish {
        /// The authority's folder
        folder: PathBuf,
        /// What the root signed
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
}

#[derive(Subcommand)]
pub(crate) enum Root {
    /// Certify the next issuing certificate
    Sign {
        /// The root's folder
        folder: PathBuf,
        /// The request that `certs ceremony prepare` wrote
        #[arg(long, value_name = "FILE")]
        request: PathBuf,
        /// Where to write the certificate
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// What it permits beside the network's own domain, if not the same as the last one; may be
        /// repeated
        #[arg(long, value_name = "NAME")]
        permit: Vec<PermittedName>,
        /// How many days it lasts
        #[arg(long, default_value_t = certs::ISSUING_LIFETIME.days())]
        days: u64,
    },
    /// Sign the root's revocation list, which is in force for a year
    Crl {
        /// The root's folder
        folder: PathBuf,
        /// Where to write the list
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Revoke an issuing certificate, and with it everything that it issued
    Revoke {
        /// The root's folder
        folder: PathBuf,
        /// The issuing certificate's number
        number: u32,
        /// Why; see `certs revoke --help`
        #[arg(long)]
        reason: Reason,
        /// Where to write the root's new revocation list
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// List the issuing certificates
    List(Folder),
}
