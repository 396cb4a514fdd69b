//! Joining a network, and running. Not here: what the administrators do with admission.json.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use agent::{
    admission::{Admission, Applicant},
    certificate::Chain,
    clock, credential,
    daemon::{self, Files},
    enrolment::{self, Enrolled, NotEnrolled},
    folder::{Folder, Name},
    keys::Keys,
    network::Network,
    settings::{self, Settings},
    store,
};
use proto::{
    ids::AgencyId,
    invitation::{PREFIX, TEXT_BYTES_MAX},
    vocabulary::AGENCY_TYPES,
    wire,
};
use rustls::pki_types::UnixTime;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    arguments::{Enrol, Init, Install, Run},
    outcome::{Outcome, Trouble},
    show::{self, Screen, moment},
    vocabularies::not_a_code,
};

pub(crate) fn init(root: &Path, init: &Init, screen: &Screen) -> Result<Outcome, Trouble> {
    let text = read_text(&init.network)?;
    let network = Network::parse(&text).map_err(|fault| Trouble::of(&fault))?;
    let agency = AgencyId::parse(&init.agency, "agency")
        .map_err(|_| Trouble::usage("--agency must be like ae.dfwac: small letters, digits, dots"))?;
    let node = settings::node(&init.node)
        .ok_or_else(|| Trouble::usage("--node must be of small letters, digits and inner hyphens"))?;
    if !AGENCY_TYPES.contains(&init.agency_type) {
        return Err(not_a_code(AGENCY_TYPES, "--type", &init.agency_type));
    }
    let applicant = Applicant {
        network: network.name,
        agency,
        node,
        agency_type: init.agency_type.clone(),
        name_en: init.name_en.clone(),
        name_ar: init.name_ar.clone(),
        jurisdictions: init.jurisdictions.clone(),
    };
    let folder = Folder::create(root).map_err(|fault| Trouble::of(&fault))?;
    let keys = Keys::create(&folder).map_err(|fault| Trouble::of(&fault))?;
    let admission = Admission::new(&applicant, &keys, clock::now()).and_then(|made| made.to_json());
    let admission = admission.map_err(|fault| Trouble::of(&fault))?;
    let settings = Settings::file(&applicant.agency, &applicant.node);
    for (name, text) in [(Name::Network, &text), (Name::Settings, &settings), (Name::Admission, &admission)] {
        folder.write(name, text.as_bytes()).map_err(|fault| Trouble::of(&fault))?;
    }
    store::create(&folder.store()).map_err(|fault| Trouble::of(&fault))?;
    let path = folder.path(Name::Admission);
    let lines = [
        format!(
            "Made {}. Its keys never leave it; back them up where nobody else can read them.",
            root.display()
        ),
        format!("Give {} to the network's administrators.", path.display()),
        "Then: agent install CHAIN.PEM, with the file that they give back.".to_owned(),
    ];
    screen.show(lines, || json!({"folder": root, "admission": path}));
    Ok(Outcome::Done)
}

pub(crate) async fn enrol(root: &Path, enrol: &Enrol, screen: &Screen) -> Result<Outcome, Trouble> {
    let text = Zeroizing::new(invitation(&enrol.invitation)?);
    let invitation = enrolment::read(&text).map_err(|fault| Trouble::usage(fault.to_string()))?;
    let node = settings::node(&enrol.node)
        .ok_or_else(|| Trouble::usage("--node must be of small letters, digits and inner hyphens"))?;
    let proxy = proxy(enrol)?;
    let proxy = proxy.as_ref().map(|proxy| proxy.as_str());
    match enrolment::enrol(root, &invitation, &node, proxy, clock::now()).await {
        Ok(enrolled) => {
            show_enrolled(root, &enrolled, screen);
            Ok(Outcome::Done)
        }
        Err(NotEnrolled::Refused { code, number, field, text_en, text_ar }) => {
            let refusal = wire::RefusalAnswer {
                code,
                number,
                field,
                text_en,
                text_ar,
                ..wire::RefusalAnswer::default()
            };
            screen.show(
                show::refusal_lines(&refusal),
                || json!({"enrolled": false, "refusal": show::refusal_json(&refusal)}),
            );
            Ok(Outcome::Refused)
        }
        Err(fault @ NotEnrolled::Expired) => {
            Err(Trouble { outcome: Outcome::Refused, says: fault.to_string() })
        }
        Err(fault @ (NotEnrolled::OtherAgent(_) | NotEnrolled::NoProxy)) => {
            Err(Trouble::usage(fault.to_string()))
        }
        Err(
            fault @ (NotEnrolled::Unreachable { .. }
            | NotEnrolled::NotThrough(_)
            | NotEnrolled::NotNow(_)
            | NotEnrolled::NotConnected(_)
            | NotEnrolled::NotShown),
        ) => Err(Trouble::not_reached(fault.to_string())),
        Err(fault) => Err(Trouble::of(&fault)),
    }
}

/// The proxy's URL; from standard input when it is to be seen by nobody.
fn proxy(enrol: &Enrol) -> Result<Option<Zeroizing<String>>, Trouble> {
    match enrol.proxy.as_deref() {
        Some("-") if enrol.invitation == "-" => {
            Err(Trouble::usage("standard input holds the invitation or the proxy, not both"))
        }
        Some("-") => {
            let mut text = Zeroizing::new(String::new());
            io::stdin()
                .take(u64::try_from(TEXT_BYTES_MAX).unwrap_or(u64::MAX))
                .read_to_string(&mut text)
                .map_err(|error| {
                    Trouble::usage(format!("standard input cannot be read: {}", error.kind()))
                })?;
            Ok(Some(Zeroizing::new(text.trim().to_owned())))
        }
        given => Ok(given.map(|given| Zeroizing::new(given.to_owned()))),
    }
}

/// The text, or the file that holds it.
fn invitation(argument: &str) -> Result<String, Trouble> {
    if argument.starts_with(PREFIX) {
        return Ok(argument.to_owned());
    }
    if argument == "-" {
        let mut text = String::new();
        io::stdin()
            .take(u64::try_from(TEXT_BYTES_MAX).unwrap_or(u64::MAX))
            .read_to_string(&mut text)
            .map_err(|error| Trouble::usage(format!("standard input cannot be read: {}", error.kind())))?;
        return Ok(text);
    }
    read_text(Path::new(argument))
}

fn show_enrolled(root: &Path, enrolled: &Enrolled, screen: &Screen) {
    let ends_at = moment(enrolled.certificate_ends_at_unix_s.saturating_mul(1000));
    let is_in_force = enrolled.in_force_at <= clock::now();
    let in_force_at = moment(enrolled.in_force_at.0);
    let mut lines = vec![format!(
        "{} has joined. Its keys are in {} and never leave it; back them up where nobody else can read them.",
        enrolled.agency,
        root.display()
    )];
    lines.push(format!("The certificate ends at {ends_at}."));
    if is_in_force {
        lines.push("The agency's keys stand in the directory's log, and are in force.".to_owned());
    } else {
        lines.push(format!(
            "The new key is visible to everybody and in force at {in_force_at}. Let the agent run: it publishes \
             the others then."
        ));
    }
    if !enrolled.older_keys.is_empty() {
        lines.push(format!(
            "Keys of the agency that this agent does not have stand in the directory. Nothing can be sent until \
             an administrator has revoked them (gateway admin revoke-key {} KEY --reason lost): {}",
            enrolled.agency,
            enrolled.older_keys.join(", ")
        ));
    }
    lines.push(format!("Then: agent -C {} run", root.display()));
    lines.push("and sign the agreements that bind you with other agencies: agent sign FILE".to_owned());
    screen.show(lines, || {
        json!({
            "enrolled": true,
            "agency": enrolled.agency.to_string(),
            "folder": root,
            "certificate_ends_at_s": enrolled.certificate_ends_at_unix_s,
            "in_force": is_in_force,
            "in_force_at_ms": enrolled.in_force_at.0,
            "older_keys": enrolled.older_keys,
        })
    });
}

pub(crate) fn install(root: &Path, install: &Install, screen: &Screen) -> Result<Outcome, Trouble> {
    let files = Files::open(root).map_err(|fault| Trouble::of(&fault))?;
    let keys = Keys::load(&files.folder).map_err(|fault| Trouble::of(&fault))?;
    let pem = read_text(&install.chain)?;
    let me = (&files.settings.agency, &files.settings.node);
    let chain = Chain::parse(pem.as_bytes(), &files.network, me, &keys.tls, UnixTime::now());
    let ends = chain.and_then(|chain| chain.ends_at_unix_s()).map_err(|fault| Trouble::of(&fault))?;
    credential::install(&files.folder, &pem).map_err(|fault| Trouble::of(&fault))?;
    let ends_at = moment(ends.saturating_mul(1000));
    let lines = [format!("The certificate is in place; it ends at {ends_at}."), "Then: agent run".to_owned()];
    screen.show(lines, || json!({"certificate_ends_at_s": ends}));
    Ok(Outcome::Done)
}

pub(crate) async fn run(root: &Path, run: &Run) -> Result<Outcome, Trouble> {
    log(run)?;
    let stop = stop().map_err(|error| Trouble::fault(format!("signals cannot be heard: {error}")))?;
    daemon::run(root, stop).await.map_err(|fault| Trouble::of(&fault))?;
    Ok(Outcome::Done)
}

/// Logs go to standard error and hold no content.
fn log(run: &Run) -> Result<(), Trouble> {
    let filter = tracing_subscriber::EnvFilter::try_new(&run.log)
        .map_err(|_| Trouble::usage("--log must be like info or debug,agent::link=trace"))?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    if run.log_json {
        builder.json().init();
    } else {
        builder.with_ansi(false).init();
    }
    Ok(())
}

pub(crate) fn stop() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

pub(crate) fn read_text(path: &Path) -> Result<String, Trouble> {
    fs::read_to_string(path)
        .map_err(|error| Trouble::usage(format!("{} cannot be read: {}", path.display(), error.kind())))
}
