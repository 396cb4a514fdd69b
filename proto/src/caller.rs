//! Who asks: an identity that a verified certificate proved, or an invitation's key. Not here:
//! certificates (the gateway's `peer` makes a caller of one, and is the only place that does; its
//! `enrolment` of an invitation).

use crate::{
    Malformed,
    digest::Digest,
    fields,
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
    /// Whoever holds the key of an invitation: it proved that by a signature, and has no certificate yet.
    /// It may do the one thing that the invitation is for.
    Invited {
        /// The agency that the invitation is for.
        agency: AgencyId,
        /// SHA-256 of the invitation's key.
        invitation: Digest,
    },
    /// The gateway itself: time has passed.
    Gateway,
}

impl Caller {
    /// The agency, when it is one. Whoever is only invited to be one is not.
    #[must_use]
    pub const fn agency(&self) -> Option<&AgencyId> {
        match self {
            Self::Agency { agency, .. } => Some(agency),
            Self::Staff { .. } | Self::Invited { .. } | Self::Gateway => None,
        }
    }

    /// The member of staff, when it is one.
    #[must_use]
    pub const fn pseudonym(&self) -> Option<&Pseudonym> {
        match self {
            Self::Staff { pseudonym, .. } => Some(pseudonym),
            Self::Agency { .. } | Self::Invited { .. } | Self::Gateway => None,
        }
    }

    /// Agency id or pseudonym; empty for the gateway, and for whoever has neither yet.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::Agency { agency, .. } => agency.as_str(),
            Self::Staff { pseudonym, .. } => pseudonym.as_str(),
            Self::Invited { .. } | Self::Gateway => "",
        }
    }

    /// Writes the form on disk, a `CallerRecord`, as the field with this number.
    pub(crate) fn encode(&self, tag: u32, out: &mut Vec<u8>) {
        use wire::CallerRole;
        let (role, node, certificate): (_, &str, &[u8]) = match self {
            Self::Agency { node, certificate, .. } => {
                (CallerRole::Agency, node.as_str(), certificate.as_bytes())
            }
            Self::Staff { role, certificate, .. } => {
                let role = match role {
                    StaffRole::Administrator => CallerRole::Administrator,
                    StaffRole::Operator => CallerRole::Operator,
                    StaffRole::Auditor => CallerRole::Auditor,
                };
                (role, "", certificate.as_bytes())
            }
            Self::Invited { invitation, .. } => (CallerRole::Invited, "", invitation.as_bytes()),
            Self::Gateway => (CallerRole::Gateway, "", &[]),
        };
        let name = match self {
            Self::Invited { agency, .. } => agency.as_str(),
            Self::Agency { .. } | Self::Staff { .. } | Self::Gateway => self.name(),
        };
        let (role, name) = (i32::from(role), name.as_bytes());
        let length = fields::number_len(1, role.unsigned_abs().into())
            .saturating_add(fields::bytes_len(2, name))
            .saturating_add(fields::bytes_len(3, node.as_bytes()))
            .saturating_add(fields::bytes_len(4, certificate));
        fields::head(tag, length, out);
        fields::listed(1, role, out);
        fields::bytes(2, name, out);
        fields::bytes(3, node.as_bytes(), out);
        fields::bytes(4, certificate, out);
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
            wire::CallerRole::Invited => Ok(Self::Invited {
                agency: AgencyId::parse(&wire.name, "caller.name")?,
                invitation: Digest::parse(&wire.certificate, "caller.certificate")?,
            }),
            wire::CallerRole::Gateway => Ok(Self::Gateway),
        }
    }
}
