//! `gateway init`: makes a network. Log keys, authority, the first two administrators, and the first
//! entry of the directory, which they sign. Not here: what comes after (`admin`).

use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::SystemTime,
};

use anyhow::{Context as _, Result, bail, ensure};
use certs::{Authority, GatewayNames, Identity, Permitted, PermittedName, Plan, Role, UnixTime};
use journal::{LogId, SegmentBytes};
use prost::Message as _;
use proto::{
    caller::Caller,
    command::Command,
    dsse::{self, PayloadType},
    evidence::Salt,
    ids::{AgencyId, EnvelopeId, Pseudonym},
    key::SigningKey,
    log::checkpoint::Origin,
    wire,
};

use crate::{
    clock,
    config::Config,
    network::NetworkFile,
    place::{self, Place},
    writer::{LogKey, LogKeys, Request, answer::Answer},
};

/// What a network is to be.
#[derive(Debug, Clone)]
pub struct NewNetwork {
    /// Its id.
    pub network: String,
    /// Where the gateway will listen.
    pub listen: SocketAddr,
    /// Where whoever is invited will join.
    pub enrolment_listen: SocketAddr,
    /// Where metrics will be served.
    pub metrics: Option<SocketAddr>,
    /// Names and addresses by which agents will call the gateway, the first one in `network.toml`.
    pub hosts: Vec<String>,
    /// Pseudonyms of the first administrators, at least two.
    pub administrators: Vec<String>,
    /// The size of the journal's segments.
    pub segment_bytes: SegmentBytes,
}

/// What was made.
#[derive(Debug, Clone)]
pub struct Made {
    /// The configuration, ready for `gateway serve`.
    pub config: PathBuf,
    /// To be given to everybody.
    pub network: PathBuf,
    /// One folder for each administrator, to be handed over.
    pub administrators: Vec<PathBuf>,
    /// The root's folder, to be taken offline.
    pub root: PathBuf,
}

/// Makes a network in a folder that is empty or not there.
///
/// # Errors
/// What stands in the way. What was made until then stays, to be looked at or deleted.
pub fn init(root: &Path, new: &NewNetwork) -> Result<Made> {
    AgencyId::parse(&new.network, "network").context("the network's id: dotted lower-case labels")?;
    ensure!(
        new.administrators.len() >= 2,
        "a network needs two administrators: name two with --administrator"
    );
    let is_free = !root.exists() || fs::read_dir(root)?.next().is_none();
    ensure!(is_free, "{} is not empty; choose another folder", root.display());
    place::private_folder(root)?;
    // Absolute, so that what is printed can be used from anywhere.
    let root = root.canonicalize()?;
    let place = Place::new(&root, None);
    let keys = log_keys(&place, new)?;
    let now = UnixTime::of(SystemTime::now())?;
    let mut authority = Authority::init(&place.authority(), &plan(new)?, now)?;
    authority.issue_gateway_with_key(&GatewayNames::parse(&new.hosts)?, now)?.save(&place.tls_folder())?;
    authority.trust(now)?.save(&place.tls_folder())?;
    let host = new.hosts.first().context("name the gateway's host with --host")?;
    let network = NetworkFile {
        network: new.network.clone(),
        gateway: format!("https://{}:{}", bracketed(host), new.listen.port()),
        enrolment: Some(format!("{}:{}", bracketed(host), new.enrolment_listen.port())),
        evidence_log: keys.evidence.verifier().to_string(),
        directory_log: keys.directory.verifier().to_string(),
        root: authority.root().to_pem(),
    };
    network.write(&place.network())?;
    let mut administrators = Vec::new();
    for pseudonym in &new.administrators {
        administrators.push(administrator(&root, pseudonym, &mut authority, &network, now)?);
    }
    write_config(&place, new, &keys)?;
    let signers: Vec<_> = administrators.iter().map(|(_, key)| key).collect();
    let genesis = genesis(new, &keys, &signers)?;
    enter(&place, keys, new.segment_bytes, genesis)?;
    Ok(Made {
        config: place.config(),
        network: place.network(),
        administrators: administrators.into_iter().map(|(folder, _)| folder).collect(),
        root: authority.root_folder(),
    })
}

fn log_keys(place: &Place, new: &NewNetwork) -> Result<LogKeys> {
    let log = |name: &str, path: &Path| {
        let origin = format!("{}/{name}", new.network);
        let origin = Origin::parse(&origin).context("the log's origin")?;
        anyhow::Ok(LogKey::new(origin, place::make_key(path)?))
    };
    Ok(LogKeys {
        evidence: log("evidence", &place.evidence_key())?,
        directory: log("directory", &place.directory_key())?,
    })
}

/// The names that gateways of this network may ever have: those of the first one, and the network's
/// own domain.
fn plan(new: &NewNetwork) -> Result<Plan> {
    let network: certs::Network = new.network.parse()?;
    let permitted: Result<Vec<PermittedName>, _> = new.hosts.iter().map(|host| host.parse()).collect();
    let permitted = Permitted::new(&network, permitted?)?;
    Ok(Plan::new(network, permitted))
}

fn bracketed(host: &str) -> String {
    if host.contains(':') { format!("[{host}]") } else { host.to_owned() }
}

fn administrator(
    root: &Path,
    pseudonym: &str,
    authority: &mut Authority,
    network: &NetworkFile,
    now: UnixTime,
) -> Result<(PathBuf, SigningKey)> {
    Pseudonym::parse(pseudonym, "administrator")
        .context("an administrator's pseudonym: lower-case letters, digits and hyphens, never a name")?;
    let folder = root.join("administrators").join(pseudonym);
    let key = place::make_key(&folder.join("signing.key"))?;
    let identity = Identity::Staff { role: Role::Administrator, pseudonym: pseudonym.parse()? };
    authority.issue_with_key(&identity, now)?.save(&folder.join("tls"))?;
    network.write(&folder.join("network.toml"))?;
    Ok((folder, key))
}

fn write_config(place: &Place, new: &NewNetwork, keys: &LogKeys) -> Result<()> {
    let metrics = new.metrics.map_or_else(String::new, |metrics| format!("metrics = \"{metrics}\"\n"));
    let text = format!(
        "# See gateway/gateway.sample.toml for every key.\n\
         network = \"{}\"\nevidence_origin = \"{}\"\ndirectory_origin = \"{}\"\nlisten = \"{}\"\n\
         enrolment_listen = \"{}\"\n{metrics}",
        new.network,
        keys.evidence.origin(),
        keys.directory.origin(),
        new.listen,
        new.enrolment_listen,
    );
    place::write_private(&place.config(), text.as_bytes())?;
    // What was written is what will be read.
    Config::read(&place.config())?;
    Ok(())
}

fn genesis(new: &NewNetwork, keys: &LogKeys, signers: &[&SigningKey]) -> Result<wire::SignedObject> {
    let administrators = new.administrators.iter().zip(signers).map(|(pseudonym, key)| wire::Administrator {
        pseudonym: pseudonym.clone(),
        public_key: key.public().to_bytes().to_vec(),
    });
    let genesis = wire::Genesis {
        network: new.network.clone(),
        evidence_origin: keys.evidence.origin().to_string(),
        directory_origin: keys.directory.origin().to_string(),
        administrators: administrators.collect(),
    };
    let change = new_change(wire::directory_change::Change::Genesis(genesis))?;
    Ok(dsse::sign(PayloadType::DirectoryEntry, change.encode_to_vec(), signers))
}

/// A change of the directory, made now.
///
/// # Errors
/// When the operating system gives no randomness.
pub fn new_change(change: wire::directory_change::Change) -> Result<wire::DirectoryChange> {
    let now = clock::now();
    Ok(wire::DirectoryChange {
        version: 1,
        change_id: new_id()?.as_bytes().to_vec(),
        created_at_ms: now.0,
        change: Some(change),
    })
}

/// A new id, made now.
///
/// # Errors
/// When the operating system gives no randomness.
pub fn new_id() -> Result<EnvelopeId> {
    let mut random = [0; 10];
    getrandom::fill(&mut random).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    Ok(EnvelopeId::new(clock::now(), random))
}

/// The first entry of the journal, by the same path as every other.
fn enter(
    place: &Place,
    keys: LogKeys,
    segment_bytes: SegmentBytes,
    genesis: wire::SignedObject,
) -> Result<()> {
    let mut log_id = [0; 16];
    getrandom::fill(&mut log_id).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    place.create(&LogId::new(log_id), segment_bytes)?;
    let (mut writer, _) = place.open(journal::Config::default(), keys)?;
    let command = Command::verify(genesis, writer.state().directory())?;
    let request = Request { caller: Caller::Gateway, command, parts: Vec::new() };
    let mut salt = [0; proto::evidence::SALT_BYTES];
    getrandom::fill(&mut salt).map_err(|error| anyhow::anyhow!("no randomness: {error}"))?;
    // One record, one salt.
    let answers = writer.step(clock::now(), vec![request], &mut || Salt(salt))?;
    match answers.as_slice() {
        [Answer::Taken { .. }] => {}
        [Answer::Refused { refusal, .. }] => bail!("the first entry was refused: {}", refusal.text_en()),
        _ => bail!("the disk has no room for the first entry"),
    }
    writer.follow_up(1)?;
    writer.publish_checkpoints()?;
    Ok(())
}
