//! A referral as a file: JSON, read strictly against the payload's table. Every flaw is told at once,
//! by its place and in both languages, and never with what stood there. Not here: sealing (`draft`).

mod consent;
mod flaw;
pub mod form;
pub mod household;
pub mod joint;
pub(crate) mod json;
mod kind;
pub mod onward;
pub mod schema;
mod shape;
mod split;
mod telling;

use std::{path::PathBuf, sync::Arc};

use proto::{
    header::FALLBACKS_MAX,
    ids::{AgencyId, Code, Jurisdiction, Kind, TimeMs, Urgency},
    payload::{
        Home, List,
        kinds::{self, Presence},
    },
    vocabulary::{CATEGORIES, KINDS, SERVICES, URGENCIES, Vocabulary},
};
use serde_json::{Map, Value};

use crate::spool::veiled::Veiled;

pub use flaw::{Flaw, What};
pub use split::{SPLIT_MAX, read_all};

/// Longest document, in bytes.
pub const DOCUMENT_BYTES_MAX: usize = 512 * 1024;
/// How long a referral waits for its recipient when the file does not say.
pub const EXPIRES_DAYS_DEFAULT: u64 = 14;
/// The longest that a referral may wait: as the network's rules say.
pub const EXPIRES_DAYS_MAX: u64 = 90;
/// Most agencies that a referral by need never goes to.
pub const EXCLUDED_MAX: usize = 128;
/// Most files of a referral.
pub const ATTACHMENTS_MAX: usize = 32;

const TOP: List = &[
    // For editors: it says nothing to anybody else.
    "$schema",
    "to",
    "fallbacks",
    "exclude",
    "kind",
    "category",
    "service",
    "urgency",
    "jurisdiction",
    "expires_days",
    "consent",
    "summary",
    "identity",
    "attachments",
    "onward_of",
    "joins",
];
const ATTACHMENT: List = &["file", "media_type", "contains_identity", "persons"];

/// What stands in `to` when the mechanism finds the recipient. No agency's id looks like it.
pub const BY_NEED: &str = "by_need";

/// A file that goes with a document.
#[derive(Clone, PartialEq, Eq)]
pub struct File {
    /// Its name, without a folder.
    pub name: String,
    /// What it is; guessed from the name when empty.
    pub media_type: String,
    /// Whether it may tell who she is. Unless somebody says that it does not, it does.
    pub contains_identity: bool,
    /// Whom it is about, by their numbers in the household; nobody named means everybody. Stays here.
    pub about: Vec<String>,
    /// What is in it.
    pub content: Content,
}

/// What is in a file: here, or to be read when it is sealed.
#[derive(Clone)]
pub enum Content {
    /// Its bytes.
    Here(Vec<u8>),
    /// Where they are.
    Apart {
        /// A file of the agency's.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
    /// Taken piece by piece, and deleted when it is sealed.
    Veiled(Arc<Veiled>),
}

impl PartialEq for Content {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Here(one), Self::Here(other)) => one == other,
            (Self::Apart { path, bytes }, Self::Apart { path: other, bytes: as_many }) => {
                path == other && bytes == as_many
            }
            (Self::Veiled(one), Self::Veiled(other)) => one.sha256() == other.sha256(),
            (Self::Here(_) | Self::Apart { .. } | Self::Veiled(_), _) => false,
        }
    }
}

impl Eq for Content {}

impl Content {
    /// Its length, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self {
            Self::Here(content) => u64::try_from(content.len()).unwrap_or(u64::MAX),
            Self::Apart { bytes, .. } => *bytes,
            Self::Veiled(veiled) => veiled.bytes(),
        }
    }
}

impl From<Vec<u8>> for Content {
    fn from(content: Vec<u8>) -> Self {
        Self::Here(content)
    }
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Content")
    }
}

/// A referral that was read, with no flaw.
#[derive(Clone, PartialEq)]
#[allow(missing_docs, reason = "each field is described in the agent's README, once")]
pub struct Document {
    /// None when it goes by need.
    pub to: Option<AgencyId>,
    /// None when the mechanism finds them.
    pub fallbacks: Option<Vec<AgencyId>>,
    pub exclude: Vec<AgencyId>,
    pub kind: Kind,
    pub category: Code,
    pub service: Code,
    pub urgency: Urgency,
    pub jurisdiction: Jurisdiction,
    pub expires_days: u64,
    pub identity_allowed: bool,
    pub consent: Map<String, Value>,
    pub summary: Map<String, Value>,
    pub identity: Option<Map<String, Value>>,
    pub files: Vec<File>,
    pub onward_of: Option<String>,
    pub joins: Option<String>,
}

impl std::fmt::Debug for Document {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Document")
    }
}

impl std::fmt::Debug for File {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("File")
    }
}

/// Names of the files that a document refers to, for whoever must fetch them.
///
/// # Errors
/// The flaws that keep it from being read at all.
pub fn files_named(text: &[u8]) -> Result<Vec<String>, Vec<Flaw>> {
    let top = object(text)?;
    let mut named: Vec<String> = Vec::new();
    for listed in split::lists_of_files(&top) {
        let new = listed
            .iter()
            .filter_map(|one| one.get("file")?.as_str())
            .filter(|name| !named.iter().any(|n| n == name));
        let new: Vec<String> = new.map(str::to_owned).collect();
        named.extend(new);
    }
    Ok(named)
}

/// Reads a document, with the files that came with it.
///
/// # Errors
/// Every [`Flaw`], in the order of the document.
pub fn read(text: &[u8], files: Vec<File>, now: TimeMs) -> Result<Document, Vec<Flaw>> {
    read_object(&object(text)?, files, now)
}

fn read_object(top: &Map<String, Value>, files: Vec<File>, now: TimeMs) -> Result<Document, Vec<Flaw>> {
    let mut flaws = Vec::new();
    shape::only_known(top, "", TOP, &mut flaws);
    let head = Head::read(top, &mut flaws);
    let shape = head.kind.and_then(kinds::shape);
    let rests = top.contains_key("consent") || shape.is_none_or(|shape| shape.consent == Presence::Required);
    let consent = if rests { section(top, "consent", Home::Consent, &mut flaws) } else { Map::new() };
    let mut summary = section(top, "summary", Home::Summary, &mut flaws);
    let identity = top.contains_key("identity");
    let mut identity = identity.then(|| section(top, "identity", Home::Identity, &mut flaws));
    let files = self::files(top, files, &mut flaws);
    if let Some(shape) = shape {
        kind::check_sections(shape, top, files.len(), &mut flaws);
        kind::check_summary(shape, &summary, &mut flaws);
    }
    household::number(&mut summary, identity.as_mut(), &consent, &mut flaws);
    let to = head.to.as_ref().and_then(Option::as_ref);
    let identity_allowed = rests && consent::check(&consent, "/consent", to, now, &mut flaws);
    if head.to == Some(None) {
        consent::check_by_need(&consent, "/consent", &mut flaws);
    }
    let is_by_need = head.to == Some(None);
    let fallbacks = fallbacks(top, &head, &mut flaws);
    consent::check_fallbacks(&consent, &fallbacks, &mut flaws);
    let fallbacks = Some(fallbacks).filter(|_| !is_by_need || top.contains_key("fallbacks"));
    let exclude = agencies(top, "exclude", EXCLUDED_MAX, |_, _| true, &mut flaws);
    let onward_of = referral_named(top, "onward_of", &mut flaws);
    let joins = referral_named(top, "joins", &mut flaws);
    joint::check(&consent, &summary, &mut flaws);
    let household = identity.as_ref().map(telling::household).unwrap_or_default();
    if identity.is_some() {
        consent::check_identity(&consent, identity_allowed, &mut flaws);
    }
    telling::check(&consent, "/consent", &household, &mut flaws);
    telling::check(&summary, "/summary", &household, &mut flaws);
    telling::check_files(&files, &household, &mut flaws);
    consent::check_files(&consent, identity_allowed, &files, &mut flaws);
    household::check_own_consents(
        (&consent, &summary, identity.as_ref()),
        (to, is_by_need, fallbacks.as_deref().unwrap_or_default()),
        &files,
        now,
        &mut flaws,
    );
    match head.whole() {
        Some(head) if flaws.is_empty() => Ok(Document {
            to: head.to,
            fallbacks,
            exclude,
            kind: head.kind,
            category: head.category,
            service: head.service,
            urgency: head.urgency,
            jurisdiction: head.jurisdiction,
            expires_days: head.expires_days,
            identity_allowed,
            consent,
            summary,
            identity,
            files,
            onward_of,
            joins,
        }),
        Some(_) | None => Err(flaws),
    }
}

/// What keeps a document that was read before from going where it says, by her consent of today.
#[must_use]
pub fn not_consented(document: &Document, now: TimeMs) -> Vec<Flaw> {
    let mut flaws = Vec::new();
    let Document { consent, summary, identity, to, fallbacks, files, .. } = document;
    if !consent.is_empty() {
        consent::check(consent, "/consent", to.as_ref(), now, &mut flaws);
    }
    let leads = (to.as_ref(), to.is_none(), fallbacks.as_deref().unwrap_or_default());
    household::check_own_consents((consent, summary, identity.as_ref()), leads, files, now, &mut flaws);
    flaws
}

/// Reads a document, or those into which it is split, as if the files had come with it.
///
/// # Errors
/// As [`read_all`].
pub fn read_without_files(text: &[u8], now: TimeMs) -> Result<Vec<Document>, Vec<Flaw>> {
    let named = files_named(text).unwrap_or_default().into_iter();
    let file = named.map(|name| {
        let (media_type, content) = (String::new(), Content::Here(Vec::new()));
        let about = Vec::new();
        File { name: base_name(&name).to_owned(), media_type, contains_identity: true, about, content }
    });
    read_all(text, file.collect(), now)
}

/// Reads the detail of an act: an object of fields that belong there.
///
/// # Errors
/// Every [`Flaw`].
pub fn read_part(text: &[u8], home: Home) -> Result<Map<String, Value>, Vec<Flaw>> {
    let top = object(text)?;
    let mut flaws = Vec::new();
    shape::check_object(&top, "", home, &mut flaws);
    if home == Home::Summary {
        kind::check_safe_contact(&top, "", &mut flaws);
    }
    if flaws.is_empty() { Ok(top) } else { Err(flaws) }
}

/// What in the fields of an act would tell who somebody is; with the identity part that was sealed, if
/// there is one, also what repeats it.
#[must_use]
pub fn tells_early(fields: &Map<String, Value>, identity: Option<&[u8]>) -> Vec<Flaw> {
    let identity = identity.and_then(|part| object(part).ok());
    let household = identity.as_ref().map(telling::household).unwrap_or_default();
    let mut flaws = Vec::new();
    telling::check(fields, "", &household, &mut flaws);
    flaws
}

fn object(text: &[u8]) -> Result<Map<String, Value>, Vec<Flaw>> {
    if text.len() > DOCUMENT_BYTES_MAX {
        return Err(vec![Flaw::new("", What::TooLarge { limit: DOCUMENT_BYTES_MAX })]);
    }
    match json::read(text) {
        Ok(Value::Object(top)) => Ok(top),
        Ok(_) => Err(vec![Flaw::new("", What::Form { expected: "an object" })]),
        Err(not_json) => Err(vec![Flaw::new("", not_json)]),
    }
}

/// What the header will say, as far as it could be read.
#[derive(Default)]
struct Head {
    /// Nobody when it goes by need.
    to: Option<Option<AgencyId>>,
    kind: Option<Kind>,
    category: Option<Code>,
    service: Option<Code>,
    urgency: Option<Urgency>,
    jurisdiction: Option<Jurisdiction>,
    expires_days: Option<u64>,
}

struct WholeHead {
    to: Option<AgencyId>,
    kind: Kind,
    category: Code,
    service: Code,
    urgency: Urgency,
    jurisdiction: Jurisdiction,
    expires_days: u64,
}

impl Head {
    fn read(top: &Map<String, Value>, flaws: &mut Vec<Flaw>) -> Self {
        let mut text = |name: &'static str| match top.get(name) {
            None => {
                flaws.push(Flaw::new(&format!("/{name}"), What::Missing));
                None
            }
            Some(Value::String(text)) => Some((name, text.as_str())),
            Some(_) => {
                flaws.push(Flaw::new(&format!("/{name}"), What::Form { expected: "a text" }));
                None
            }
        };
        let (to, category, service) = (text("to"), text("category"), text("service"));
        let (urgency, jurisdiction) = (text("urgency"), text("jurisdiction"));
        let kind = top.get("kind").map_or(Some(("kind", "referral")), |_| text("kind"));
        Self {
            to: parsed(to, "an agency id like ae.dfwac, or by_need", recipient, flaws),
            kind: chosen(kind, KINDS, flaws).and_then(|place| Kind::ALL.get(place).copied()),
            category: coarse(category, CATEGORIES, "summary.detailed_category", flaws),
            service: coarse(service, SERVICES, "summary.detailed_services", flaws),
            urgency: chosen(urgency, URGENCIES, flaws).and_then(|place| Urgency::ALL.get(place).copied()),
            jurisdiction: parsed(
                jurisdiction,
                "a country like JO or a division like AE-RK",
                |text| Jurisdiction::parse(text, "jurisdiction").ok(),
                flaws,
            ),
            expires_days: expires_days(top, flaws),
        }
    }

    fn whole(self) -> Option<WholeHead> {
        Some(WholeHead {
            to: self.to?,
            kind: self.kind?,
            category: self.category?,
            service: self.service?,
            urgency: self.urgency?,
            jurisdiction: self.jurisdiction?,
            expires_days: self.expires_days?,
        })
    }
}

/// Who is asked next, in this order, when nobody answers.
fn fallbacks(top: &Map<String, Value>, head: &Head, flaws: &mut Vec<Flaw>) -> Vec<AgencyId> {
    if top.contains_key("fallbacks") && head.kind.is_some_and(|kind| !kind.expects_answer()) {
        flaws.push(Flaw::new("/fallbacks", What::NotOfKind));
    }
    let to = head.to.as_ref().and_then(Option::as_ref);
    let is_new = |agency: &AgencyId, before: &[AgencyId]| !before.contains(agency) && to != Some(agency);
    agencies(top, "fallbacks", FALLBACKS_MAX, is_new, flaws)
}

/// A referral that the document hangs together with: its id, or the beginning of it. Stays here.
fn referral_named(top: &Map<String, Value>, name: &str, flaws: &mut Vec<Flaw>) -> Option<String> {
    let named = top.get(name)?;
    if !named.is_string() {
        flaws.push(Flaw::new(&format!("/{name}"), What::Form { expected: "a referral's id" }));
    }
    named.as_str().map(str::to_owned)
}

/// A list of agencies, each another one.
fn agencies(
    top: &Map<String, Value>,
    name: &str,
    most: usize,
    fits: impl Fn(&AgencyId, &[AgencyId]) -> bool,
    flaws: &mut Vec<Flaw>,
) -> Vec<AgencyId> {
    let mut flaw = |pointer: &str, what| flaws.push(Flaw::new(pointer, what));
    let listed = match top.get(name) {
        None => return Vec::new(),
        Some(Value::Array(listed)) => listed,
        Some(_) => {
            flaw(&format!("/{name}"), What::Form { expected: "a list of agencies" });
            return Vec::new();
        }
    };
    if listed.len() > most {
        flaw(&format!("/{name}"), What::TooMany { limit: most });
    }
    let mut agencies: Vec<AgencyId> = Vec::new();
    for (place, one) in listed.iter().enumerate() {
        let agency = one.as_str().and_then(|text| AgencyId::parse(text, "agency").ok());
        match agency.filter(|agency| fits(agency, &agencies)) {
            Some(agency) => agencies.push(agency),
            None => flaw(
                &format!("/{name}/{place}"),
                What::Form { expected: "the id of another agency than those before it" },
            ),
        }
    }
    agencies
}

fn recipient(text: &str) -> Option<Option<AgencyId>> {
    if text == BY_NEED { Some(None) } else { AgencyId::parse(text, "to").ok().map(Some) }
}

fn parsed<T>(
    found: Option<(&'static str, &str)>,
    expected: &'static str,
    parse: impl Fn(&str) -> Option<T>,
    flaws: &mut Vec<Flaw>,
) -> Option<T> {
    let (name, text) = found?;
    let value = parse(text);
    if value.is_none() {
        flaws.push(Flaw::new(&format!("/{name}"), What::Form { expected }));
    }
    value
}

/// A code that the gateway may read: one that covers others, never one that is covered.
fn coarse(
    found: Option<(&'static str, &str)>,
    vocabulary: &'static Vocabulary,
    finer: &'static str,
    flaws: &mut Vec<Flaw>,
) -> Option<Code> {
    let (name, text) = found?;
    let what = match vocabulary.coarse(text) {
        Some(coarse) if coarse == text => return Code::parse(text, "code").ok(),
        Some(coarse) => What::TooFine { coarse, field: finer },
        None => What::not_a_code(vocabulary, text),
    };
    flaws.push(Flaw::new(&format!("/{name}"), what));
    None
}

/// The place of a code in its vocabulary.
fn chosen(
    found: Option<(&'static str, &str)>,
    vocabulary: &'static Vocabulary,
    flaws: &mut Vec<Flaw>,
) -> Option<usize> {
    let (name, text) = found?;
    let place = vocabulary.codes().position(|code| code == text);
    if place.is_none() {
        flaws.push(Flaw::new(&format!("/{name}"), What::not_a_code(vocabulary, text)));
    }
    place
}

fn expires_days(top: &Map<String, Value>, flaws: &mut Vec<Flaw>) -> Option<u64> {
    let Some(value) = top.get("expires_days") else {
        return Some(EXPIRES_DAYS_DEFAULT);
    };
    let days = value.as_u64().filter(|days| (1..=EXPIRES_DAYS_MAX).contains(days));
    if days.is_none() {
        flaws.push(Flaw::new("/expires_days", What::Form { expected: "a whole number from 1 to 90" }));
    }
    days
}

fn section(
    top: &Map<String, Value>,
    name: &'static str,
    home: Home,
    flaws: &mut Vec<Flaw>,
) -> Map<String, Value> {
    let pointer = format!("/{name}");
    match top.get(name) {
        Some(Value::Object(section)) => {
            shape::check_object(section, &pointer, home, flaws);
            section.clone()
        }
        Some(_) => {
            flaws.push(Flaw::new(&pointer, What::Form { expected: "an object" }));
            Map::new()
        }
        None => {
            flaws.push(Flaw::new(&pointer, What::Missing));
            Map::new()
        }
    }
}

/// Joins what the document says of its files with the files that came. A file that it does not list
/// goes with it all the same.
fn files(top: &Map<String, Value>, mut came: Vec<File>, flaws: &mut Vec<Flaw>) -> Vec<File> {
    let listed = match top.get("attachments") {
        None => &[][..],
        Some(Value::Array(listed)) => listed.as_slice(),
        Some(_) => {
            flaws.push(Flaw::new("/attachments", What::Form { expected: "a list of objects" }));
            &[]
        }
    };
    for (place, one) in listed.iter().enumerate() {
        let pointer = format!("/attachments/{place}");
        let Value::Object(one) = one else {
            flaws.push(Flaw::new(&pointer, What::Form { expected: "an object" }));
            continue;
        };
        shape::only_known(one, &pointer, ATTACHMENT, flaws);
        let Some(name) = one.get("file").and_then(Value::as_str) else {
            flaws.push(Flaw::new(&format!("{pointer}/file"), What::Missing));
            continue;
        };
        let Some(file) = came.iter_mut().find(|file| file.name == base_name(name)) else {
            flaws.push(Flaw::new(&format!("{pointer}/file"), What::FileMissing));
            continue;
        };
        describe(file, one, &pointer, flaws);
    }
    if came.len() > ATTACHMENTS_MAX {
        flaws.push(Flaw::new("/attachments", What::TooMany { limit: ATTACHMENTS_MAX }));
    }
    for file in &mut came {
        if file.media_type.is_empty() {
            media_type(&file.name).clone_into(&mut file.media_type);
        }
    }
    came
}

fn describe(file: &mut File, listed: &Map<String, Value>, pointer: &str, flaws: &mut Vec<Flaw>) {
    match listed.get("media_type") {
        None => {}
        Some(Value::String(text)) if is_media_type(text) => file.media_type.clone_from(text),
        Some(_) => {
            let expected = "a media type like application/pdf";
            flaws.push(Flaw::new(&format!("{pointer}/media_type"), What::Form { expected }));
        }
    }
    match listed.get("persons") {
        None => {}
        Some(Value::Array(persons)) if persons.iter().all(is_person) && !persons.is_empty() => {
            file.about = persons.iter().filter_map(Value::as_str).map(str::to_owned).collect();
        }
        Some(_) => {
            let expected = "a list of persons' numbers like p1";
            flaws.push(Flaw::new(&format!("{pointer}/persons"), What::Form { expected }));
        }
    }
    match listed.get("contains_identity") {
        None => {}
        Some(Value::Bool(contains)) => file.contains_identity = *contains,
        Some(_) => {
            let expected = "true or false";
            flaws.push(Flaw::new(&format!("{pointer}/contains_identity"), What::Form { expected }));
        }
    }
}

fn is_person(value: &Value) -> bool {
    value.as_str().is_some_and(proto::payload::household::is_person)
}

fn is_media_type(text: &str) -> bool {
    let is_token = |part: &str| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$&-^_.+".contains(&b))
    };
    text.len() <= 127 && text.split_once('/').is_some_and(|(kind, sub)| is_token(kind) && is_token(sub))
}

/// The day of a moment, UTC, as `YYYY-MM-DD`.
#[must_use]
pub fn day_of(at: TimeMs) -> String {
    consent::today(at)
}

/// A file's name without its folder.
#[must_use]
pub fn base_name(path: &str) -> &str {
    path.rsplit(['/', '\\']).next().unwrap_or(path)
}

/// What a file probably is, by its name.
#[must_use]
pub fn media_type(name: &str) -> &'static str {
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    match extension.as_deref() {
        Some("pdf") => "application/pdf",
        Some("jpg" | "jpeg") => "image/jpeg",
        Some("png") => "image/png",
        Some("txt") => "text/plain",
        Some("json") => "application/json",
        Some("docx") => "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
        Some("odt") => "application/vnd.oasis.opendocument.text",
        Some("mp3") => "audio/mpeg",
        Some("m4a") => "audio/mp4",
        Some(_) | None => "application/octet-stream",
    }
}

#[cfg(test)]
pub(crate) mod tests;
