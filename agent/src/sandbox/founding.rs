//! How a sandbox's network is founded: as a real one is, by the same commands, with two administrators, invitations
//! and an agreement. Not here: where it lies (`ground`).

use std::{fs, path::Path};

use zeroize::Zeroizing;

use super::{Member, NETWORK, SandboxFault, ground::Addresses, ground::Ground, hub::Hub};
use crate::{agreement_file::AgreementFile, clock, document::day_of, enrolment, keys::Keys, settings};

const ADMINISTRATORS: [&str; 2] = ["blue-1", "green-2"];
/// How long the agreement is in force: years.
const AGREED_YEARS: u32 = 5;
const CATEGORIES: &str = "\"trafficking\", \"domestic_violence\", \"other\", \"migrant_worker_abuse\", \
                          \"disability_protection\", \"gender_based_violence\", \"child_protection\"";
const SERVICES: &str = "\"shelter\", \"health\", \"psychosocial\", \"legal\", \"livelihoods\", \"child_protection\", \
                        \"education\", \"social_care\", \"interpretation\", \"other\", \"material_assistance\"";
/// Who may refer to whom: the integrator's agency to both others, and both to it.
const WAYS: [(Member, Member); 4] = [
    (Member::Office, Member::Partner),
    (Member::Office, Member::Second),
    (Member::Partner, Member::Office),
    (Member::Second, Member::Office),
];

/// Founds the network; its gateway runs afterwards.
///
/// # Errors
/// [`SandboxFault`].
pub async fn found(ground: &Ground, addresses: &mut Addresses, hub: &mut Hub) -> Result<(), SandboxFault> {
    let folder = text(&ground.hub());
    let (listen, enrolment) = (addresses.gateway.to_string(), addresses.enrolment.to_string());
    let metrics = addresses.metrics.to_string();
    let mut init = vec!["init", &folder, "--network", NETWORK, "--host", "localhost", "--listen", &listen];
    init.extend(["--enrolment-listen", &enrolment, "--metrics", &metrics, "--segment-mib", "8"]);
    init.extend(ADMINISTRATORS.iter().flat_map(|name| ["--administrator", name]));
    hub.command(&init).await?;
    hub.start().await?;
    for member in Member::ALL {
        admit(ground, hub, member).await?;
    }
    settle(ground, addresses)?;
    agree(ground, hub).await?;
    let mechanism = ground.path("mechanism.toml");
    fs::write(&mechanism, include_str!("mechanism.toml"))?;
    let object = text(&ground.path("mechanism.json"));
    hub.command(&["admin", "mechanism", &text(&mechanism), "--out", &object]).await?;
    for name in ADMINISTRATORS {
        hub.command(&["admin", "sign", &object, "--as", &administrator(ground, name)]).await?;
    }
    hand_in(ground, hub, &object).await?;
    for rest in ["mechanism.toml", "mechanism.json", "agreement.toml", "agreement.json"] {
        fs::remove_file(ground.path(rest))?;
    }
    let today = day_of(clock::now());
    ground.put("case.json", &include_str!("case.json").replace("TODAY", &today))?;
    addresses.founded = true;
    Ok(ground.write(addresses)?)
}

/// Invited by two administrators, an agency joins by itself.
async fn admit(ground: &Ground, hub: &Hub, member: Member) -> Result<(), SandboxFault> {
    let (invitation, change) = (ground.path("invitation"), text(&ground.path("invitation.json")));
    let (invited, [first, second]) =
        (text(&invitation), ADMINISTRATORS.map(|name| administrator(ground, name)));
    let mut invite = vec!["admin", "invite", member.id(), "--type", "NGO", "--jurisdiction", "AE"];
    invite.extend(["--name-en", member.name_en(), "--name-ar", member.name_ar()]);
    invite.extend(["--invitation", &invited, "--out", &change, "--as", &first]);
    hub.command(&invite).await?;
    hub.command(&["admin", "sign", &change, "--as", &second]).await?;
    hand_in(ground, hub, &change).await?;
    let secret = Zeroizing::new(fs::read_to_string(&invitation)?);
    let read = enrolment::read(&secret).map_err(joining)?;
    let node = settings::node("main").ok_or(SandboxFault::Gateway("node".to_owned()))?;
    enrolment::enrol(&ground.member(member), &read, &node, None, clock::now()).await.map_err(joining)?;
    fs::remove_file(invitation)?;
    Ok(fs::remove_file(change)?)
}

/// The integrator's agent listens over TCP too, and goes to the gateway over the line on which faults are made.
fn settle(ground: &Ground, addresses: &Addresses) -> Result<(), SandboxFault> {
    let path = ground.member(Member::Office).join("agent.toml");
    let (line, local_api) = (addresses.line, addresses.local_api);
    let text = fs::read_to_string(&path)?;
    // A key at the top stands before every table.
    let text = format!("connect = \"{line}\"\n{text}\n[local_api]\nlisten = \"{local_api}\"\n");
    Ok(fs::write(path, text)?)
}

async fn agree(ground: &Ground, hub: &Hub) -> Result<(), SandboxFault> {
    let (draft, object) = (ground.path("agreement.toml"), ground.path("agreement.json"));
    fs::write(&draft, agreement(&day_of(clock::now())))?;
    hub.command(&["admin", "agreement", &text(&draft), "--out", &text(&object)]).await?;
    let mut agreement = AgreementFile::parse(&fs::read(&object)?).map_err(joining)?;
    for member in Member::ALL {
        let files = crate::daemon::Files::open(&ground.member(member)).map_err(joining)?;
        let keys = Keys::load(&files.folder).map_err(joining)?;
        agreement.sign(&files.settings.agency, &keys.signing).map_err(joining)?;
    }
    fs::write(&object, agreement.to_json())?;
    hand_in(ground, hub, &text(&object)).await
}

fn agreement(today: &str) -> String {
    let year: u32 = today.get(..4).and_then(|year| year.parse().ok()).unwrap_or_default();
    let until = format!("{}-01-01", year.saturating_add(AGREED_YEARS));
    let head = include_str!("agreement.toml").replace("FROM", today).replace("UNTIL", &until);
    let clauses = WAYS.iter().enumerate().map(|(number, (from, to))| {
        format!(
            "\n[[clauses]]\nid = \"way-{}\"\nfrom = \"{}\"\nto = \"{}\"\n\
             kinds = [\"referral\", \"suspicion_report\", \"notice\", \"document\", \"message\"]\n\
             categories = [{CATEGORIES}]\nservices = [{SERVICES}]\n\
             urgencies = [\"emergency\", \"urgent\", \"normal\"]\njurisdictions = [\"AE\"]\n\
             disclosure = \"on_acceptance\"\n",
            number + 1,
            from.id(),
            to.id(),
        )
    });
    clauses.fold(head, |all, clause| all + &clause)
}

async fn hand_in(ground: &Ground, hub: &Hub, object: &str) -> Result<(), SandboxFault> {
    let [first, _] = ADMINISTRATORS;
    hub.command(&["admin", "submit", object, "--as", &administrator(ground, first)]).await
}

fn administrator(ground: &Ground, name: &str) -> String {
    text(&ground.hub().join("administrators").join(name))
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

fn joining(fault: impl std::fmt::Display) -> SandboxFault {
    SandboxFault::Founding(fault.to_string())
}
