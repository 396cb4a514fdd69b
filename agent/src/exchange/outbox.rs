//! The outbox: what lies there whole is taken out of everybody's reach, sent once, and removed; what cannot be sent
//! lies there again, with a file beside it that says why. Not here: how it is judged whole (`looks`), and what is
//! said (`said`).

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::{self, BufReader, Read as _},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio::task::block_in_place;

use super::{
    SENT_KEPT, TAKEN_AT_ONCE_MAX,
    acting::{self, Acting, Asked},
    looks::{self, Look, Sort, Unfit},
    name_of, place,
    place::Place,
    said::{self, Why},
};
use crate::{
    document::{self, Content, DOCUMENT_BYTES_MAX},
    local::answers,
    office::{Office, Sent, outbound},
    randomness,
    traces::{self, Told},
};

/// How long a call waits for the directory to be looked at.
const FRESHEN_TIME_MAX: Duration = Duration::from_secs(3);
/// When what waits by itself is tried again.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// Up to so many bytes a file travels in the call; a longer one is read when it is sealed.
const HERE_BYTES_MAX: u64 = 128 * 1024;

/// Where a picture is copied to without what it tells: hidden, so that it is never taken for something of the input.
const CLEAN: &str = ".clean";

/// Something that was taken, in a folder of its own whose name is what it is sent under.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Claimed {
    folder: PathBuf,
    /// What it was called in the outbox.
    name: String,
}

/// What the last look saw.
struct Seen {
    look: Look,
    /// When it was refused, so that it is not tried again until it changes; and whether it is tried again by itself.
    refused: Option<(Instant, Again)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Again {
    ByItself,
    WhenMended,
}

/// The outbox.
pub(super) struct Outbox {
    place: Place,
    seen: BTreeMap<String, Seen>,
}

impl Outbox {
    pub(super) const fn new(place: Place) -> Self {
        Self { place, seen: BTreeMap::new() }
    }

    pub(super) const fn place(&self) -> &Place {
        &self.place
    }

    /// How many things cannot be sent as they are.
    pub(super) fn flawed(&self) -> usize {
        self.seen.values().filter(|seen| seen.refused.is_some()).count()
    }

    /// Takes what is whole. What was taken before an agent was killed comes first.
    pub(super) fn look(&mut self) -> io::Result<Vec<Claimed>> {
        let mut claimed = self.claimed_before()?;
        let names = place::names(&self.place.outbox())?;
        self.seen.retain(|name, _| names.contains(name));
        for name in names {
            if claimed.len() >= TAKEN_AT_ONCE_MAX {
                break;
            }
            // Whatever goes wrong with one holds up no other: somebody may have moved it just now.
            match self.look_at(&name) {
                Ok(taken) => claimed.extend(taken),
                Err(error) => {
                    tracing::debug!(kind = ?error.kind(), "something in the outbox cannot be taken")
                }
            }
        }
        Ok(claimed)
    }

    fn claimed_before(&self) -> io::Result<Vec<Claimed>> {
        let mut claimed = Vec::new();
        for id in place::names(&self.place.claimed())? {
            let folder = self.place.claimed().join(id);
            match place::names(&folder)?.pop() {
                Some(name) => claimed.push(Claimed { folder, name }),
                None => place::remove(&folder)?,
            }
        }
        Ok(claimed)
    }

    fn look_at(&mut self, name: &str) -> io::Result<Option<Claimed>> {
        let path = self.place.outbox().join(name);
        let is_folder = fs::symlink_metadata(&path)?.is_dir();
        match looks::sort(name, is_folder) {
            Sort::Other => {
                self.forget_word(name, &path)?;
                Ok(None)
            }
            Sort::NotReady => {
                let word = format!("{name}{}", said::WAITING);
                if !self.place.outbox().join(&word).exists() {
                    place::write(&self.place.outbox(), &word, &said::waiting())?;
                }
                Ok(None)
            }
            Sort::Document | Sort::Ready => match Look::of(&path)? {
                Ok(look) => self.claim(name, &path, look),
                Err(unfit) => self.unfit(name, unfit).map(|()| None),
            },
        }
    }

    /// A word of ours goes when what it is about is gone; that something was sent, after a day.
    fn forget_word(&self, name: &str, path: &Path) -> io::Result<()> {
        let about = |ending: &str| name.strip_suffix(ending).map(|of| self.place.outbox().join(of));
        let is_gone =
            [said::ERROR, said::WAITING].iter().filter_map(|ending| about(ending)).any(|of| !of.exists());
        let modified = fs::symlink_metadata(path)?.modified()?;
        let age = SystemTime::now().duration_since(modified).unwrap_or_default();
        if is_gone || (name.ends_with(said::SENT) && age > SENT_KEPT) {
            place::remove(path)?;
        }
        Ok(())
    }

    fn unfit(&self, name: &str, unfit: Unfit) -> io::Result<()> {
        let word = format!("{name}{}", said::ERROR);
        if self.place.outbox().join(&word).exists() {
            return Ok(());
        }
        place::write(&self.place.outbox(), &word, &Why::unfit(unfit).text())
    }

    /// Takes what looks as it did at the last look, and was not refused as it is.
    fn claim(&mut self, name: &str, path: &Path, look: Look) -> io::Result<Option<Claimed>> {
        let is_refused = self.place.outbox().join(format!("{name}{}", said::ERROR)).exists();
        if self.seen.get(name).is_none_or(|seen| seen.look != look) || !look.is_still(SystemTime::now()) {
            self.seen.insert(name.to_owned(), Seen { look, refused: None });
            return Ok(None);
        }
        if let Some(Seen { refused: Some((at, again)), .. }) = self.seen.get(name) {
            let is_due = *again == Again::ByItself && at.elapsed() >= AGAIN_AFTER;
            if is_refused && !is_due {
                return Ok(None);
            }
        }
        let folder = self.place.claimed().join(id()?);
        place::make_folder(&folder, 0o700)?;
        fs::rename(path, folder.join(name))?;
        let claimed = Claimed { folder, name: name.to_owned() };
        // Whoever wrote to it all the same wins.
        if Look::of(&claimed.path())? == Ok(look) {
            self.seen.remove(name);
            return Ok(Some(claimed));
        }
        self.put_back(&claimed)?;
        Ok(None)
    }

    /// Puts something back where it lay, or beside what lies there now. Gives its name.
    fn put_back(&self, claimed: &Claimed) -> io::Result<String> {
        let free = |name: &String| !self.place.outbox().join(name).exists();
        let numbered = (1..u32::MAX).map(|number| format!("{number}-{}", claimed.name));
        let name = std::iter::once(claimed.name.clone()).chain(numbered).find(free);
        let name = name.ok_or(io::ErrorKind::AlreadyExists)?;
        fs::rename(claimed.path(), self.place.outbox().join(&name))?;
        place::remove(&claimed.folder)?;
        Ok(name)
    }

    /// Sends what was taken, and says what became of it.
    pub(super) async fn send(&mut self, office: &Arc<Office>, claimed: Claimed) -> io::Result<()> {
        let outbox = self.place.outbox();
        let began = Instant::now();
        match send(office, &claimed).await? {
            Ok((sent, told)) => {
                let telephone = answers::telephone(office, &sent.referral);
                let word = said::sent(&sent, telephone.as_ref(), &told);
                place::write(&outbox, &format!("{}{}", claimed.name, said::SENT), &word)?;
                for word in [said::ERROR, said::WAITING] {
                    place::remove(&outbox.join(format!("{}{word}", claimed.name)))?;
                }
                // It is in the store: what lies here is of no more use.
                place::remove(&claimed.folder)?;
                tracing::info!(envelope = %sent.digest, "taken out of the outbox");
            }
            Err(why) => {
                let name = self.put_back(&claimed)?;
                place::write(&outbox, &format!("{name}{}", said::ERROR), &why.text())?;
                let again = if matches!(why, Why::Waits(_)) { Again::ByItself } else { Again::WhenMended };
                if let Ok(look) = Look::of(&outbox.join(&name))? {
                    self.seen.insert(name, Seen { look, refused: Some((began, again)) });
                }
                tracing::warn!("something in the outbox cannot be sent as it is; a file beside it says why");
            }
        }
        Ok(())
    }
}

impl Claimed {
    fn path(&self) -> PathBuf {
        self.folder.join(&self.name)
    }

    /// Under which it is sent once, however often it is tried.
    fn key(&self) -> String {
        format!("exchange-{}", name_of(&self.folder))
    }
}

/// What goes out: a document, and its files with what they told.
struct Letter {
    document: Vec<u8>,
    files: Vec<document::File>,
    told: Vec<(usize, Told)>,
}

type Done = Result<(Sent, Vec<(usize, Told)>), Why>;

async fn send(office: &Arc<Office>, claimed: &Claimed) -> io::Result<Done> {
    let letter = match block_in_place(|| read(claimed))? {
        Ok(letter) => letter,
        Err(why) => return Ok(Err(why)),
    };
    let asked = match acting::read(&letter.document) {
        Ok(asked) => asked,
        Err(flaws) => return Ok(Err(Why::flaws(&flaws))),
    };
    office.freshen(FRESHEN_TIME_MAX).await;
    let Letter { document, files, told } = letter;
    let sent = match asked {
        Asked::Send => {
            let idempotency_key = claimed.key();
            let request = outbound::SendRequest { document, files, idempotency_key, ..Default::default() };
            office.send(request).await
        }
        Asked::Act(acting) => match act_request(office, acting, files, claimed.key()) {
            Ok(request) => office.act(request).await,
            Err(why) => return Ok(Err(why)),
        },
    };
    Ok(sent.map(|sent| (sent, told)).map_err(|why| Why::not_sent(&why)))
}

fn act_request(
    office: &Office,
    acting: Acting,
    files: Vec<document::File>,
    idempotency_key: String,
) -> Result<outbound::ActRequest, Why> {
    let referral = office.find(&acting.referral).map_err(|why| Why::not_found(&why))?;
    let Acting { act, detail: fields, .. } = acting;
    Ok(outbound::ActRequest { referral, act, fields, files, idempotency_key, unchecked: false })
}

/// Reads what was taken; the outer error is the disk's.
fn read(claimed: &Claimed) -> io::Result<Result<Letter, Why>> {
    let path = &claimed.path();
    let look = match Look::of(path)? {
        Ok(look) => look,
        Err(unfit) => return Ok(Err(Why::unfit(unfit))),
    };
    let is_folder = fs::symlink_metadata(path)?.is_dir();
    let names: Vec<&str> = look.names().collect();
    let (documents, others): (Vec<&str>, Vec<&str>) =
        names.into_iter().partition(|name| !is_folder || looks::is_document(name));
    let [document] = documents.as_slice() else {
        return Ok(Err(Why::not_one_document()));
    };
    let document = if is_folder { path.join(document) } else { path.to_owned() };
    let document = match read_document(&document)? {
        Ok(document) => document,
        Err(why) => return Ok(Err(why)),
    };
    let (mut files, mut told) = (Vec::new(), Vec::new());
    for (number, name) in others.into_iter().enumerate() {
        let path = path.join(name);
        told.push((number, clean(&path, &claimed.folder.join(CLEAN))?));
        files.push(file(&path)?);
    }
    Ok(Ok(Letter { document, files, told }))
}

fn read_document(path: &Path) -> io::Result<Result<Vec<u8>, Why>> {
    let limit = u64::try_from(DOCUMENT_BYTES_MAX).unwrap_or(u64::MAX);
    let mut text = Vec::new();
    open(path)?.take(limit.saturating_add(1)).read_to_end(&mut text)?;
    if text.len() > DOCUMENT_BYTES_MAX {
        return Ok(Err(Why::too_large(DOCUMENT_BYTES_MAX)));
    }
    // As programs for people write it.
    let text = text.strip_prefix(b"\xef\xbb\xbf").map(<[u8]>::to_vec).unwrap_or(text);
    let text = if document::form::is_form(path) {
        match document::form::to_json(&text) {
            Ok(json) => json,
            Err(line) => return Ok(Err(Why::not_toml(line))),
        }
    } else {
        text
    };
    Ok(if acting::is_whole(&text) { Ok(text) } else { not_whole(text) })
}

/// Two names of one object are told by their place, as of every document.
fn not_whole(text: Vec<u8>) -> Result<Vec<u8>, Why> {
    match document::json::read(&text) {
        Err(flaw @ document::What::Twice { .. }) => {
            Err(Why::flaws(&[document::Flaw { pointer: String::new(), what: flaw }]))
        }
        Err(_) => Err(Why::not_whole()),
        // An array, say: its flaw is told where it is sent.
        Ok(_) => Ok(text),
    }
}

/// Takes out of a file what it tells beside its content. It is ours: it lies where it was taken to.
fn clean(path: &Path, clean: &Path) -> io::Result<Told> {
    let mut out = io::BufWriter::new(place::create(clean)?);
    let told = traces::clean(&mut BufReader::new(open(path)?), &mut out)?;
    out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()?;
    if told == Told::Removed {
        fs::rename(clean, path)?;
    } else {
        fs::remove_file(clean)?;
    }
    Ok(told)
}

fn file(path: &Path) -> io::Result<document::File> {
    let bytes = fs::symlink_metadata(path)?.len();
    let content = if bytes <= HERE_BYTES_MAX {
        let mut content = Vec::new();
        open(path)?.take(HERE_BYTES_MAX).read_to_end(&mut content)?;
        Content::Here(content)
    } else {
        Content::Apart { path: path.to_owned(), bytes }
    };
    Ok(document::File {
        name: name_of(path).to_owned(),
        media_type: String::new(),
        contains_identity: true,
        about: Vec::new(),
        content,
    })
}

/// Never through a link.
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt as _;
    let no_link = i32::try_from(rustix::fs::OFlags::NOFOLLOW.bits()).unwrap_or_default();
    File::options().read(true).custom_flags(no_link).open(path)
}

fn id() -> io::Result<String> {
    let bytes = randomness::bytes::<16>().map_err(|_| io::Error::other("no randomness"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::LOOK_EVERY;

    #[test]
    fn what_waits_is_tried_again_later_than_the_next_look() {
        assert!(AGAIN_AFTER > LOOK_EVERY);
    }

    #[test]
    fn a_picture_is_cleaned_where_it_was_taken_to() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.jpg");
        // A remark, and nothing else.
        fs::write(&path, b"\xff\xd8\xff\xfe\0\x06home\xff\xd9").unwrap();
        assert_eq!(clean(&path, &place.path().join(CLEAN)).unwrap(), Told::Removed);
        assert_eq!(fs::read(&path).unwrap(), b"\xff\xd8\xff\xd9");
        assert_eq!(clean(&path, &place.path().join(CLEAN)).unwrap(), Told::Nothing);
        fs::write(&path, b"PK\x03\x04 a document").unwrap();
        assert_eq!(clean(&path, &place.path().join(CLEAN)).unwrap(), Told::Authors);
        assert_eq!(fs::read(&path).unwrap(), b"PK\x03\x04 a document");
        assert_eq!(fs::read_dir(place.path()).unwrap().count(), 1);
    }

    #[test]
    fn links_are_not_followed() {
        let place = tempfile::tempdir().unwrap();
        let link = place.path().join("a.json");
        std::os::unix::fs::symlink("/etc/hostname", &link).unwrap();
        assert!(open(&link).is_err());
    }
}
