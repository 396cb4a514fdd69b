//! The keys: the certificate authority of a small network. It makes a root, to be taken offline, and a
//! name-constrained issuing certificate; issues, renews and revokes certificates for the gateway, the
//! agencies' agents and staff; signs revocation lists in time. Not here: who may ask for a certificate,
//! and what a caller may do; signatures of envelopes and logs, whose keys have nothing to do with these.
//!
//! A network of certificates in a folder:
//!
//! ```
//! use certs::{Agency, Authority, GatewayNames, Identity, Node, Plan, UnixTime};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! let now = UnixTime::of(std::time::SystemTime::now())?;
//! let plan = Plan::sandbox("sandbox.example".parse()?);
//! let mut authority = Authority::init(&folder.path().join("authority"), &plan, now)?;
//! let gateway = authority.issue_gateway_with_key(&GatewayNames::loopback(), now)?;
//! let agent = Identity::Agency { agency: "ae.dfwac".parse()?, node: "main".parse()? };
//! let agent = authority.issue_with_key(&agent, now)?;
//! agent.save(&folder.path().join("agent"))?;
//! let trust = authority.trust(now)?;
//! # assert_eq!((gateway.chain().len(), trust.crls().len()), (2, 2));
//! # Ok(())
//! # }
//! ```
//!
//! Time is an argument everywhere; randomness comes from aws-lc-rs.

mod authority;
mod certificate;
mod credential;
mod error;
mod folder;
mod identity;
mod issuer;
mod key;
mod ledger;
mod name;
mod permitted;
mod request;
mod revocation;
mod root;
mod serial;
mod template;
mod text;
mod unix_time;

pub use authority::{Authority, Duty, Plan, Revoked, Which};
pub use certificate::{CERTIFICATE_BYTES_MAX, Certificate, Constraints};
pub use credential::{Chain, Credential, Trust};
pub use error::{Error, Fault, Malformed, Refusal, Step};
pub use folder::read_file;
pub use identity::{Identity, Role};
pub use issuer::{ISSUED_MAX, ISSUING_LIFETIME, LEAF_LIFETIME, LEAF_LIFETIME_MAX, ROOT_LIFETIME};
pub use key::Key;
pub use ledger::{Holder, Issued, Reason, Revocation};
pub use name::{Agency, Network, Node, Pseudonym};
pub use permitted::{GatewayName, GatewayNames, NAMES_MAX, Permitted, PermittedName};
pub use request::{REQUEST_BYTES_MAX, Request};
pub use revocation::{CRL_BYTES_MAX, CRL_VALIDITY, CRL_VALIDITY_MAX, ROOT_CRL_VALIDITY, RevocationList};
pub use root::Root;
pub use serial::{Fingerprint, Serial};
pub use unix_time::{BACKDATE, Lifetime, UnixTime};
