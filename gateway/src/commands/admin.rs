//! `gateway admin`: the arguments of what administrators do.

mod agreement;
mod explain;

use std::{
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context as _, Result, ensure};
use certs::{Authority, Fingerprint, Identity, LEAF_LIFETIME, Reason, UnixTime, Which};
use clap::{Args, Subcommand, ValueEnum};
use gateway::{
    admin::{
        self, Desk,
        client::Changed,
        describe_file,
        invitation::{self, Guest, GuestEntry},
        mechanism,
        object::{self, Admission},
    },
    place::Place,
    restoring::Proposal,
};
use proto::{
    language::Language,
    wire::{self, directory_change::Change},
};
use serde_json::{Value, json};

use super::Said;

#[derive(Debug, Args)]
#[command(after_help = "Changes that need two people go as a file: the first signs with --out, the second \
with `sign`, either submits.\n\n\
Examples:\n  \
gateway admin invite ae.dfwac --type Shelter --name-en \"An agency\" --name-ar \"جهة\" \\\n      \
--jurisdiction AE --invitation ae.dfwac.invitation --out ae.dfwac.invite.json --as ./blue-1\n  \
gateway admin sign ae.dfwac.invite.json --as ./green-2\n  \
gateway admin submit ae.dfwac.invite.json --as ./green-2\n\n  \
gateway admin show ae.dfwac.admission.json\n  \
gateway admin sign ae.dfwac.admission.json --as ./blue-1\n  \
gateway admin sign ae.dfwac.admission.json --as ./green-2\n  \
gateway admin submit ae.dfwac.admission.json --as ./green-2\n  \
gateway admin certify ae.dfwac.admission.json --gateway ./hub --out ae.dfwac.pem\n  \
gateway admin suspend ae.dfwac --reason security --as ./blue-1")]
pub(super) struct AdminArguments {
    #[command(subcommand)]
    command: AdminCommand,
}

#[derive(Debug, Args)]
struct As {
    /// Your own folder, as `gateway init` made it.
    #[arg(long = "as")]
    desk: PathBuf,
}

#[derive(Debug, Subcommand)]
enum AdminCommand {
    /// Show what a file says before you sign it.
    Show {
        /// An admission or a signed object.
        file: PathBuf,
        #[command(flatten)]
        lang: Lang,
    },
    /// Add your signature to a file.
    Sign {
        /// An admission or a signed object.
        file: PathBuf,
        #[command(flatten)]
        me: As,
    },
    /// Hand a file to the gateway.
    Submit {
        /// An admission or a signed object.
        file: PathBuf,
        #[command(flatten)]
        me: As,
    },
    /// Issue the certificate of an admission, on the gateway's machine.
    Certify {
        /// The admission.
        file: PathBuf,
        /// The gateway's folder, which holds the authority.
        #[arg(long)]
        gateway: PathBuf,
        /// Where the certificate goes.
        #[arg(long)]
        out: PathBuf,
    },
    /// Revoke a certificate, on the gateway's machine; connections that use it are cut.
    RevokeCertificate {
        /// SHA-256 of the certificate in hex, or an agency's id for all of its certificates.
        which: String,
        /// The gateway's folder, which holds the authority.
        #[arg(long)]
        gateway: PathBuf,
    },
    /// Make the object of an agreement's file (TOML), for its parties to sign; or check one.
    Agreement(agreement::AgreementArguments),
    /// To whom a need would go, by which rule and clause, and what keeps it from going elsewhere. Only what
    /// a header says is asked about, nothing is sent, and the query is evidence.
    Explain(explain::ExplainArguments),
    /// Make the object of the referral mechanism's file (TOML), for two administrators to sign.
    Mechanism {
        /// The mechanism.
        file: PathBuf,
        /// Where the object goes.
        #[arg(long)]
        out: PathBuf,
    },
    /// Invite an agency: its agent makes its keys and joins by itself. Two people: writes the change for
    /// the second, and the invitation for the agency, which is of use once both have signed.
    Invite(InviteArguments),
    /// The invitations that are open, or ended not long ago.
    Invitations {
        #[command(flatten)]
        me: As,
    },
    /// Withdraw an invitation, at once.
    RevokeInvitation {
        /// The invitation's id, as `invitations` shows it.
        id: String,
        #[command(flatten)]
        me: As,
    },
    /// Stop an agency or an agreement, at once. Lapses in 24 hours unless a second person does the same.
    Suspend {
        /// An agency's id, or an agreement's digest.
        subject: String,
        /// Why, as a code: never in words.
        #[arg(long, value_enum)]
        reason: StopReason,
        #[command(flatten)]
        me: As,
    },
    /// Let an agency or an agreement go on. Two people: writes a file for the second.
    Resume {
        /// An agency's id, or an agreement's digest.
        subject: String,
        #[command(flatten)]
        out: Out,
        #[command(flatten)]
        me: As,
    },
    /// Say what time it is, while the gateway doubts its clock: what this machine shows now. Two people:
    /// writes a file for the second, to be handed in within the hour.
    ConfirmClock {
        #[command(flatten)]
        out: Out,
        #[command(flatten)]
        me: As,
    },
    /// Let a gateway go on that was put back from a backup, although some agencies have not reported what
    /// they hold. Two people: writes a file for the second. Only when telephoning them has failed: what
    /// they were acknowledged after the backup would be lost.
    GoOn {
        /// Leaves of the evidence log that are there, as `/ready` and the gateway's log say.
        #[arg(long)]
        evidence: u64,
        /// Leaves of the directory log that are there.
        #[arg(long)]
        directory: u64,
        #[command(flatten)]
        out: Out,
        #[command(flatten)]
        me: As,
    },
    /// Let a gateway go on in a new shard of its logs that was put back from a backup, or has lost the end of
    /// its journal, and is behind what agencies hold. Two people: writes a file for the second. What was
    /// acknowledged since the backup, the agencies' agents push again.
    BeginShard {
        /// What the gateway has written down of it: `new-shard.json` in its folder.
        proposal: PathBuf,
        #[command(flatten)]
        out: Out,
        #[command(flatten)]
        me: As,
    },
    /// Withdraw an agency's key, at once.
    RevokeKey {
        /// The agency.
        agency: String,
        /// The key's id, as `directory` shows it.
        key: String,
        /// Why.
        #[arg(long, value_enum)]
        reason: KeyReason,
        #[command(flatten)]
        me: As,
    },
    /// Remove an administrator. Two others: writes a file for the second.
    RemoveAdministrator {
        /// Whom.
        pseudonym: String,
        #[command(flatten)]
        out: Out,
        #[command(flatten)]
        me: As,
    },
    /// Every record of the directory, checked against the log's signature.
    Directory {
        #[command(flatten)]
        me: As,
    },
}

#[derive(Debug, Args)]
struct Lang {
    /// The language of what is shown.
    #[arg(long, value_enum, default_value = "en")]
    lang: Tongue,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Tongue {
    /// English.
    En,
    /// Arabic.
    Ar,
}

impl Lang {
    const fn language(&self) -> Language {
        match self.lang {
            Tongue::En => Language::English,
            Tongue::Ar => Language::Arabic,
        }
    }
}

#[derive(Debug, Args)]
struct InviteArguments {
    /// The agency's id, such as ae.dfwac.
    agency: String,
    /// It is in the directory and has lost its keys: it may publish a new one, in force after 24 hours.
    #[arg(long, conflicts_with_all = ["agency_type", "name_en", "name_ar", "jurisdictions"])]
    again: bool,
    /// A code of the vocabulary of agency types, such as Shelter or NGO.
    #[arg(long = "type", required_unless_present = "again")]
    agency_type: Option<String>,
    /// Its name in English.
    #[arg(long, required_unless_present = "again")]
    name_en: Option<String>,
    /// Its name in Arabic.
    #[arg(long, required_unless_present = "again")]
    name_ar: Option<String>,
    /// A country or division where it may act; may be given several times.
    #[arg(long = "jurisdiction", required_unless_present = "again")]
    jurisdictions: Vec<String>,
    /// How long it is open: 3d, 12h or 30m; 7 days at most.
    #[arg(long, default_value = "3d")]
    valid: String,
    /// Where the invitation goes: for the agency alone, by a way that you trust.
    #[arg(long)]
    invitation: PathBuf,
    #[command(flatten)]
    out: Out,
    #[command(flatten)]
    me: As,
}

#[derive(Debug, Args)]
struct Out {
    /// Where the file for the second person goes.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum StopReason {
    Security,
    Agreement,
    Request,
    Other,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum KeyReason {
    Rotated,
    Lost,
    Stolen,
}

impl AdminArguments {
    pub(super) fn run(self) -> Result<Said> {
        match self.command {
            AdminCommand::Show { file, lang } => said(describe_file(&file, lang.language())?),
            AdminCommand::Sign { file, me } => said(me.desk().sign_file(&file)?),
            AdminCommand::Submit { file, me } => changed(&wait(me.desk().submit_file(&file))?),
            AdminCommand::Certify { file, gateway, out } => certify(&file, &gateway, &out),
            AdminCommand::RevokeCertificate { which, gateway } => revoke_certificate(&which, &gateway),
            AdminCommand::Agreement(arguments) => arguments.run(),
            AdminCommand::Explain(arguments) => arguments.run(),
            AdminCommand::Mechanism { file, out } => {
                let object = mechanism::draft(&file)?;
                admin::write_new(&out, &object)?;
                said(object::describe(&object, Language::English)?)
            }
            AdminCommand::Invite(arguments) => arguments.run(),
            AdminCommand::Invitations { me } => invitations(&me),
            AdminCommand::RevokeInvitation { id, me } => me.change(admin::revoke_invitation(&id)?),
            AdminCommand::Suspend { subject, reason, me } => {
                let suspend = wire::Suspend {
                    subject: Some(admin::subject(&subject)?),
                    reason: reason.to_wire().into(),
                };
                me.change(Change::Suspend(suspend))
            }
            AdminCommand::Resume { subject, out, me } => {
                let resume = wire::Resume { subject: Some(admin::subject(&subject)?) };
                me.write(Change::Resume(resume), &out)
            }
            AdminCommand::ConfirmClock { out, me } => {
                let time_ms = gateway::clock::now().0;
                me.write(Change::ConfirmClock(wire::ConfirmClock { time_ms }), &out)
            }
            AdminCommand::GoOn { evidence, directory, out, me } => {
                let go_on = wire::RestoreOverride { evidence_size: evidence, directory_size: directory };
                me.write(Change::RestoreOverride(go_on), &out)
            }
            AdminCommand::BeginShard { proposal, out, me } => {
                let proposal = Proposal::read(&proposal)?;
                me.write(Change::BeginShard(proposal.to_wire()?), &out)
            }
            AdminCommand::RevokeKey { agency, key, reason, me } => {
                me.change(admin::revoke_key(&agency, &key, reason.to_wire())?)
            }
            AdminCommand::RemoveAdministrator { pseudonym, out, me } => {
                me.write(Change::RemoveAdministrator(wire::RemoveAdministrator { pseudonym }), &out)
            }
            AdminCommand::Directory { me } => directory(&me),
        }
    }
}

impl As {
    fn desk(&self) -> Desk {
        Desk::new(&self.desk)
    }

    /// A change that one person makes, at once.
    fn change(&self, change: Change) -> Result<Said> {
        let object = self.desk().sign_change(change)?;
        let one = wait(async { self.desk().connect().await?.change(object).await })?;
        changed(&[one])
    }

    /// A change that needs a second person.
    fn write(&self, change: Change, out: &Out) -> Result<Said> {
        let object = self.desk().sign_change(change)?;
        admin::write_new(&out.out, &object)?;
        let mut lines = object::describe(&object, Language::English)?;
        let file = out.out.display();
        lines.push(format!("A second administrator now runs: gateway admin sign {file} --as …"));
        lines.push(format!("and then:                         gateway admin submit {file} --as …"));
        said(lines)
    }
}

impl InviteArguments {
    fn run(self) -> Result<Said> {
        let entry = if self.again {
            None
        } else {
            Some(GuestEntry {
                agency_type: self.agency_type.unwrap_or_default(),
                name_en: self.name_en.unwrap_or_default(),
                name_ar: self.name_ar.unwrap_or_default(),
                jurisdictions: self.jurisdictions,
            })
        };
        let valid_ms = invitation::milliseconds(&self.valid).context("--valid")?;
        let made = self.me.desk().invite(&Guest { agency: self.agency, entry, valid_ms })?;
        ensure!(!self.out.out.exists(), "{} is there already", self.out.out.display());
        invitation::write(&self.invitation, &made.invitation)?;
        admin::write_new(&self.out.out, &made.object)?;
        let invite = &made.invitation.invite;
        let (file, text) = (self.out.out.display(), self.invitation.display());
        let mut lines = object::describe(&made.object, Language::English)?;
        lines.push(format!("A second administrator now runs: gateway admin sign {file} --as …"));
        lines.push(format!("and then:                         gateway admin submit {file} --as …"));
        lines.push(format!(
            "Then give {text} to the agency, by a way that only it reads: whoever has it can join in its name, \
             once. It runs: agent enrol {text}"
        ));
        Ok(Said {
            json: json!({
                "says": lines,
                "object": file.to_string(),
                "invitation": text.to_string(),
                "id": invite.id().to_string(),
                "until": object::utc(invite.expires_at.0),
            }),
            text: lines,
        })
    }
}

impl StopReason {
    const fn to_wire(self) -> wire::SuspensionReason {
        match self {
            Self::Security => wire::SuspensionReason::Security,
            Self::Agreement => wire::SuspensionReason::Agreement,
            Self::Request => wire::SuspensionReason::Request,
            Self::Other => wire::SuspensionReason::Other,
        }
    }
}

impl KeyReason {
    const fn to_wire(self) -> wire::RevocationReason {
        match self {
            Self::Rotated => wire::RevocationReason::Rotated,
            Self::Lost => wire::RevocationReason::Lost,
            Self::Stolen => wire::RevocationReason::Stolen,
        }
    }
}

pub(super) fn wait<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(future)
}

#[allow(clippy::unnecessary_wraps, reason = "every command answers so")]
fn said(lines: Vec<String>) -> Result<Said> {
    Ok(Said { json: json!({ "says": lines }), text: lines })
}

#[allow(clippy::unnecessary_wraps, reason = "every command answers so")]
fn changed(changed: &[Changed]) -> Result<Said> {
    let line = |one: &Changed| {
        format!("logged as evidence {}, object {}", one.receipt.record().place.index, one.object)
    };
    let json: Vec<Value> = changed
        .iter()
        .map(|one| json!({ "evidence": one.receipt.record().place.index, "object": one.object.to_string() }))
        .collect();
    Ok(Said { text: changed.iter().map(line).collect(), json: json!(json) })
}

fn certify(file: &Path, gateway: &Path, out: &Path) -> Result<Said> {
    let admission = Admission::read(file)?;
    let mut authority = authority(gateway)?;
    let network = authority.network().as_str().to_owned();
    ensure!(admission.network == network, "the admission is for {}, not for {network}", admission.network);
    let identity = Identity::Agency { agency: admission.agency.parse()?, node: admission.node.parse()? };
    let request = certs::Request::read(admission.csr.as_bytes())?;
    let chain = authority.issue(&identity, &request, LEAF_LIFETIME, UnixTime::of(SystemTime::now())?)?;
    chain.save(out)?;
    Ok(Said {
        text: vec![
            format!("Issued for {identity} until {}.", chain.certificate.not_after),
            format!("Hand {} back to the agency: agent install {}", out.display(), out.display()),
        ],
        json: json!({
            "identity": identity.to_string(),
            "until": chain.certificate.not_after.to_string(),
            "fingerprint": Fingerprint::of(chain.certificate.der()).to_string(),
        }),
    })
}

fn revoke_certificate(which: &str, gateway: &Path) -> Result<Said> {
    let mut authority = authority(gateway)?;
    let which = match which.parse() {
        Ok(fingerprint) => Which::Fingerprint(fingerprint),
        Err(_) => Which::Agency(which.parse().context("a fingerprint in hex, or an agency's id")?),
    };
    let now = UnixTime::of(SystemTime::now())?;
    authority.revoke(&which, Reason::Unspecified, now)?;
    authority.trust(now)?.save(&Place::new(gateway, None).tls_folder())?;
    said(vec!["Revoked. The gateway takes it up within seconds and cuts open connections.".to_owned()])
}

fn authority(gateway: &Path) -> Result<Authority> {
    let folder = Place::new(gateway, None).authority();
    Authority::open(&folder).with_context(|| format!("no authority in {}", folder.display()))
}

fn directory(me: &As) -> Result<Said> {
    let (checkpoint, records) = wait(async { me.desk().connect().await?.records().await })?;
    let mut text = vec![format!("{} records, root {}, signed by the log", checkpoint.size, checkpoint.root)];
    let mut json = Vec::new();
    for (number, record) in records.into_iter().enumerate() {
        let says = record_says(record)?;
        text.push(format!("{number:>6}  {says}"));
        json.push(json!({ "number": number, "says": says }));
    }
    Ok(Said { text, json: json!({ "size": checkpoint.size, "records": json }) })
}

fn invitations(me: &As) -> Result<Said> {
    let (_, leaves) = wait(async { me.desk().connect().await?.leaves().await })?;
    let directory = invitation::directory(leaves)?;
    let now = gateway::clock::now();
    let mut text = Vec::new();
    let mut json = Vec::new();
    for held in directory.invitations() {
        let (id, agency) = (held.invite.id(), &held.invite.agency);
        let until = object::utc(held.invite.expires_at.0);
        let (standing, purpose) = (invitation::standing(held, now), invitation::purpose(held));
        text.push(format!("{id}  {agency}  {purpose}  until {until}  {standing}"));
        json.push(json!({
            "id": id.to_string(),
            "agency": agency.to_string(),
            "purpose": purpose,
            "until": until,
            "standing": standing,
        }));
    }
    if text.is_empty() {
        text.push("no invitations".to_owned());
    }
    Ok(Said { text, json: json!({ "invitations": json }) })
}

fn record_says(record: wire::DirectoryRecord) -> Result<String> {
    use wire::directory_record::What;
    Ok(match record.what {
        Some(What::Change(object) | What::Mechanism(object)) => {
            object::describe(&object, Language::English)?.into_iter().next().unwrap_or_default()
        }
        Some(What::Agreement(entry)) => {
            let standing = if entry.in_force { "in force" } else { "not signed by all" };
            format!(
                "agreement {} between {}, {standing}",
                object::hex(&entry.agreement),
                entry.parties.join(", ")
            )
        }
        Some(What::Lapse(_)) => "a stop by one person lapsed".to_owned(),
        None => "a record of a later version".to_owned(),
    })
}
