//! Who asks: an identity that a verified certificate proved. Not here: certificates (the gateway's
//! `peer` makes a caller of one, and is the only place that does).

use crate::{
    Malformed,
    digest::Digest,
    ids::{AgencyId, Code, Pseudonym},
    wire,
};

/// What a member of staff may do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum StaffRole {
    /// Changes the directory, with a second person where that is due.
    Administrator,
    /// Sees delivery state and contacts.
    Operator,
    /// Sees evidence of its own parties.
    Auditor,
}

/// Who asks.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Caller {
    /// An agency's agent.
    Agency {
        /// The agency.
        agency: AgencyId,
        /// Which of its machines.
        node: Code,
        /// SHA-256 of the certificate.
        certificate: Digest,
    },
    /// A member of staff of the network.
    Staff {
        /// Never a name.
        pseudonym: Pseudonym,
        /// What they may do.
        role: StaffRole,
        /// SHA-256 of the certificate.
        certificate: Digest,
    },
    /// The gateway itself: time has passed.
    Gateway,
}

impl Caller {
    /// The agency, when it is one.
    #[must_use]
    pub const fn agency(&self) -> Option<&AgencyId> {
        match self {
            Self::Agency { agency, .. } => Some(agency),
            Self::Staff { .. } | Self::Gateway => None,
        }
    }

    /// The member of staff, when it is one.
    #[must_use]
    pub const fn pseudonym(&self) -> Option<&Pseudonym> {
        match self {
            Self::Staff { pseudonym, .. } => Some(pseudonym),
            Self::Agency { .. } | Self::Gateway => None,
        }
    }

    /// Agency id or pseudonym; empty for the gateway.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Agency { agency, .. } => agency.as_str(),
            Self::Staff { pseudonym, .. } => pseudonym.as_str(),
            Self::Gateway => "",
        }
    }

    /// The form on disk.
    #[must_use]
    pub fn to_wire(&self) -> wire::CallerRecord {
        use wire::CallerRole;
        let (role, node, certificate) = match self {
            Self::Agency { node, certificate, .. } => {
                (CallerRole::Agency, node.to_string(), certificate.to_vec())
            }
            Self::Staff { role, certificate, .. } => {
                let role = match role {
                    StaffRole::Administrator => CallerRole::Administrator,
                    StaffRole::Operator => CallerRole::Operator,
                    StaffRole::Auditor => CallerRole::Auditor,
                };
                (role, String::new(), certificate.to_vec())
            }
            Self::Gateway => (CallerRole::Gateway, String::new(), Vec::new()),
        };
        wire::CallerRecord { role: role.into(), name: self.name().to_owned(), node, certificate }
    }

    /// Reads the form on disk: for our own journal only, whose writer had the certificate.
    ///
    /// # Errors
    /// [`Malformed`], naming the field.
    pub fn from_our_own_journal(wire: Option<&wire::CallerRecord>) -> Result<Self, Malformed> {
        let wire = wire.ok_or(Malformed::Missing { field: "caller" })?;
        let staff = |role| {
            Ok(Self::Staff {
                pseudonym: Pseudonym::parse(&wire.name, "caller.name")?,
                role,
                certificate: Digest::parse(&wire.certificate, "caller.certificate")?,
            })
        };
        match wire.role() {
            wire::CallerRole::Unspecified => Err(Malformed::Missing { field: "caller.role" }),
            wire::CallerRole::Agency => Ok(Self::Agency {
                agency: AgencyId::parse(&wire.name, "caller.name")?,
                node: Code::parse(&wire.node, "caller.node")?,
                certificate: Digest::parse(&wire.certificate, "caller.certificate")?,
            }),
            wire::CallerRole::Administrator => staff(StaffRole::Administrator),
            wire::CallerRole::Operator => staff(StaffRole::Operator),
            wire::CallerRole::Auditor => staff(StaffRole::Auditor),
            wire::CallerRole::Gateway => Ok(Self::Gateway),
        }
    }
}
