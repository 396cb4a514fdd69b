//! Received parts: whether they are what the signed header lists, and what is in them. Not here: how
//! a part is opened (`seal`), and who signed the envelope (`office`).

use std::{fs::File, io};

use proto::{
    command::HandoverResult,
    digest::Digest,
    header::{Header, Part},
    ids::{AgencyId, PartClass, Release, Storage},
    wire,
};
use seal::{Expected, NotOpened, SealHead, Sealed, SealingKey};
use thiserror::Error;

use crate::spool::{Listed, Spool};

/// What came is not what the header lists: the gateway's doing, not the sender's.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotDelivered {
    /// A part is not the header's.
    #[error("a part is not one that the header lists")]
    OtherPart,
    /// A part is missing.
    #[error("a part that should have come is missing")]
    PartMissing,
    /// Parts must be fetched apart.
    #[error("{} parts are not in the envelope and must be fetched", .0.len())]
    Apart(Vec<Apart>),
    /// The spool could not be read.
    #[error("the agent's spool cannot be read: {0}")]
    Spool(io::ErrorKind),
}

/// A part that must be fetched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Apart {
    /// Its number in the envelope.
    pub part_id: u32,
    /// What the header lists of it.
    pub listed: Listed,
}

/// Which of an envelope's deliveries it is: what a delivery without parts of its own brings depends on
/// it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Turn {
    /// Nothing of the envelope came before.
    First,
    /// Parts came before; this one brings what was held back.
    Later,
}

/// A part that was opened.
#[derive(Clone, PartialEq, Eq)]
pub struct OpenPart {
    /// Its number in the envelope.
    pub part_id: u32,
    /// What it holds.
    pub class: PartClass,
    /// Of the content.
    pub media_type: String,
    /// Empty for none.
    pub file_name: String,
    /// Length of the content.
    pub bytes: u64,
    /// Where the content is.
    pub kept: Kept,
    /// The content; empty unless it is here.
    pub content: Vec<u8>,
}

/// Where the content of a part is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// Here.
    Here,
    /// In the spool.
    Apart,
    /// Nowhere: this side sent it, and kept no copy.
    Not,
}

impl std::fmt::Debug for OpenPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpenPart({:?})", self.class)
    }
}

/// The parts of a delivery, each as the header lists it.
#[derive(Debug)]
pub struct Came<'a>(Vec<(&'a Part, Ciphertext<'a>)>);

#[derive(Debug)]
enum Ciphertext<'a> {
    Inline(&'a [u8]),
    Apart(File),
}

impl<'a> Came<'a> {
    /// Compares what came with the header: every part that is released at this time, and no other.
    ///
    /// # Errors
    /// [`NotDelivered`].
    pub fn check(
        header: &'a Header,
        me: &AgencyId,
        parts: &'a [wire::InlinePart],
        turn: Turn,
        spool: &Spool,
    ) -> Result<Self, NotDelivered> {
        let (came, apart) = Self::present(header, me, parts, turn, spool)?;
        if apart.is_empty() { Ok(came) } else { Err(NotDelivered::Apart(apart)) }
    }

    /// As [`Self::check`]; what must be fetched, or is gone from the spool, is told apart.
    ///
    /// # Errors
    /// [`NotDelivered`].
    pub fn present(
        header: &'a Header,
        me: &AgencyId,
        parts: &'a [wire::InlinePart],
        turn: Turn,
        spool: &Spool,
    ) -> Result<(Self, Vec<Apart>), NotDelivered> {
        let ours =
            || header.parts.iter().filter(|part| *part.recipient.as_ref().unwrap_or(&header.to) == *me);
        let listed = |part: &wire::InlinePart| {
            ours().find(|listed| {
                listed.part_id == part.part_id
                    && u64::try_from(part.ciphertext.len()) == Ok(listed.length_bytes)
                    && Digest::of(&part.ciphertext) == listed.sha256
            })
        };
        let came: Option<Vec<_>> =
            parts.iter().map(|part| Some((listed(part)?, part.ciphertext.as_ref()))).collect();
        let came = came.ok_or(NotDelivered::OtherPart)?;
        let release =
            came.first().map_or_else(|| released(ours, *me == header.to, turn), |(part, _)| part.release);
        let mut came = came.into_iter().peekable();
        let (mut all, mut apart) = (Vec::new(), Vec::new());
        for due in ours().filter(|part| part.release == release) {
            match due.storage {
                Storage::Inline => {
                    let (_, ciphertext) =
                        came.next_if(|(part, _)| *part == due).ok_or(NotDelivered::PartMissing)?;
                    all.push((due, Ciphertext::Inline(ciphertext)));
                }
                Storage::Uploaded => {
                    let listed = Listed { sha256: due.sha256, bytes: due.length_bytes };
                    let file = spool.arrived(&listed).map_err(|error| NotDelivered::Spool(error.kind()))?;
                    match file {
                        Some(file) => all.push((due, Ciphertext::Apart(file))),
                        None => apart.push(Apart { part_id: due.part_id, listed }),
                    }
                }
            }
        }
        if came.next().is_some() { Err(NotDelivered::PartMissing) } else { Ok((Self(all), apart)) }
    }

    /// Their digests, in the header's order: what the recipient signs.
    #[must_use]
    pub fn digests(&self) -> Vec<Digest> {
        self.0.iter().map(|(part, _)| part.sha256).collect()
    }

    /// Which parts, and what they hold.
    #[must_use]
    pub fn names(&self) -> Vec<(u32, PartClass)> {
        self.0.iter().map(|(part, _)| (part.part_id, part.class)).collect()
    }

    /// Opens them all. What is told of the worst is told of the delivery.
    ///
    /// # Errors
    /// [`NotOpened`] when a part could not even be tried: a fault of ours.
    pub fn try_open(
        self,
        header: &Header,
        me: &AgencyId,
        keys: &[SealingKey],
    ) -> Result<HandoverResult, NotOpened> {
        let mut worst = HandoverResult::Received;
        for (part, ciphertext) in self.0 {
            let opened = open_into(header, part, ciphertext, (me, keys), &mut io::sink());
            let result = match opened {
                Ok(_) => HandoverResult::Received,
                Err(not_opened) => told(not_opened).ok_or(not_opened)?,
            };
            // That it cannot be opened at all says more than that it holds something else.
            if worst == HandoverResult::Received || result == HandoverResult::CannotOpen {
                worst = result;
            }
        }
        Ok(worst)
    }

    /// Opens them, each by itself; of those that came apart the head only.
    pub fn open(
        self,
        header: &Header,
        me: &AgencyId,
        keys: &[SealingKey],
    ) -> Vec<(u32, Result<OpenPart, NotOpened>)> {
        let opened = self
            .0
            .into_iter()
            .map(|(part, ciphertext)| (part.part_id, open(header, part, ciphertext, (me, keys))));
        opened.collect()
    }

    /// Opens one into `out`, with constant memory. Nothing when it is not among them.
    ///
    /// # Errors
    /// [`NotOpened`]; then what was written must be discarded.
    pub fn open_one(
        self,
        part_id: u32,
        header: &Header,
        (me, keys): (&AgencyId, &[SealingKey]),
        out: &mut impl io::Write,
    ) -> Result<Option<()>, NotOpened> {
        let Some((part, ciphertext)) = self.0.into_iter().find(|(part, _)| part.part_id == part_id) else {
            return Ok(None);
        };
        open_into(header, part, ciphertext, (me, keys), out).map(|_| Some(()))
    }
}

/// What a delivery that has no parts of its own brings: parts that were uploaded, or none.
fn released<'a, Parts: Iterator<Item = &'a Part>>(
    ours: impl Fn() -> Parts,
    is_first_asked: bool,
    turn: Turn,
) -> Release {
    let is_apart = |release: Release| {
        let mut parts = ours().filter(|part| part.release == release).peekable();
        parts.peek().is_some() && parts.all(|part| part.storage == Storage::Uploaded)
    };
    if turn == Turn::Later && is_apart(Release::OnAcceptance) {
        Release::OnAcceptance
    } else if is_first_asked {
        Release::AtOnce
    } else {
        Release::OnTurn
    }
}

fn expected<'a>(header: &'a Header, part: &Part, me: &'a AgencyId) -> Expected<'a> {
    Expected {
        envelope_id: *header.envelope_id.as_bytes(),
        from: header.from.as_str(),
        me: me.as_str(),
        part_id: part.part_id,
        part_class: part.class.number().unsigned_abs(),
    }
}

fn open_into(
    header: &Header,
    part: &Part,
    ciphertext: Ciphertext<'_>,
    (me, keys): (&AgencyId, &[SealingKey]),
    out: &mut impl io::Write,
) -> Result<SealHead, NotOpened> {
    let listed = Sealed { sha256: part.sha256.0, bytes: part.length_bytes };
    let expected = expected(header, part, me);
    let opened = match ciphertext {
        Ciphertext::Inline(bytes) => seal::open(keys, &expected, listed, bytes, out),
        Ciphertext::Apart(file) => seal::open(keys, &expected, listed, file, out),
    };
    opened.map(|opened| opened.head)
}

fn open(
    header: &Header,
    part: &Part,
    ciphertext: Ciphertext<'_>,
    (me, keys): (&AgencyId, &[SealingKey]),
) -> Result<OpenPart, NotOpened> {
    let mut content = Vec::new();
    let (head, kept) = match ciphertext {
        Ciphertext::Inline(_) => (open_into(header, part, ciphertext, (me, keys), &mut content)?, Kept::Here),
        Ciphertext::Apart(file) => (seal::read_head(keys, &expected(header, part, me), file)?, Kept::Apart),
    };
    Ok(OpenPart {
        part_id: part.part_id,
        class: part.class,
        media_type: head.media_type,
        file_name: head.file_name,
        bytes: head.content_bytes,
        kept,
        content,
    })
}

/// What the recipient tells of a part that did not open; nothing, when the fault is its own.
const fn told(not_opened: NotOpened) -> Option<HandoverResult> {
    use NotOpened as N;
    match not_opened {
        N::OtherEnvelope
        | N::OtherSender
        | N::NotForMe
        | N::OtherPart
        | N::OtherClass
        | N::HeadLength
        | N::HeadProtobuf
        | N::HeadNotCanonical
        | N::HeadField { .. }
        | N::PlaintextLength
        | N::Padding
        | N::ContentDigest => Some(HandoverResult::WrongContent),
        N::NotAge
        | N::HeaderLine
        | N::OtherRecipientType
        | N::TooManyRecipients
        | N::Stanza
        | N::LowOrder
        | N::NoKeyFits
        | N::HeaderMac
        | N::Payload
        | N::Truncated
        | N::ListedLength
        | N::ListedDigest => Some(HandoverResult::CannotOpen),
        N::Primitive | N::Read(_) | N::Write(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;
    use proto::key::{KeyId, SigningKey};

    use super::*;
    use crate::{
        case::tests::header,
        document::{self, Content},
        draft::{self, Drafted, NotDrafted, PlainPart, Plan},
    };
    use proto::lifecycle::Act;
    use seal::Recipient;

    fn key(byte: u8) -> SealingKey {
        SealingKey::from_seed(&[byte; 32]).unwrap()
    }

    fn parts(held: Option<Release>) -> Vec<PlainPart> {
        let good = document::tests::good().to_string();
        let document =
            document::read(good.as_bytes(), document::tests::files(), document::tests::NOW).unwrap();
        draft::parts_of(&document, held, &[])
    }

    fn drafted(parts: Vec<PlainPart>, to: &SealingKey) -> Drafted {
        let header = header("ae.dfwac", "ae-rk.aman", Act::Submit, 0);
        let keys = [(KeyId::of(to.recipient().as_bytes()), to.recipient().clone())];
        let (_place, spool) = spool();
        draft(header, parts, &keys, &spool).unwrap()
    }

    fn draft(
        header: Header,
        parts: Vec<PlainPart>,
        keys: &[(KeyId, Recipient)],
        spool: &Spool,
    ) -> Result<Drafted, NotDrafted> {
        let keys = draft::Keys::from([(header.to.clone(), keys.to_vec())]);
        let plan = Plan::new(header.clone(), parts, keys.clone())?;
        let sealed = plan.seal(spool)?;
        let header = sealed.follow(header, &keys)?;
        sealed.sign(header, &SigningKey::from_seed(&[1; 32]))
    }

    fn spool() -> (tempfile::TempDir, Spool) {
        let place = tempfile::tempdir().unwrap();
        let spool = Spool::open(&place.path().join("spool")).unwrap();
        (place, spool)
    }

    fn of(drafted: &Drafted, release: Release) -> Vec<wire::InlinePart> {
        let envelope = wire::Envelope::decode(drafted.envelope.as_slice()).unwrap();
        let released = |part: &wire::InlinePart| {
            drafted
                .header
                .parts
                .iter()
                .any(|listed| listed.part_id == part.part_id && listed.release == release)
        };
        envelope.parts.into_iter().filter(released).collect()
    }

    fn me() -> AgencyId {
        AgencyId::parse("ae-rk.aman", "me").unwrap()
    }

    #[test]
    fn a_referral_opens_at_its_recipient_in_two_deliveries() {
        let (_place, spool) = spool();
        let drafted = drafted(parts(Some(Release::OnAcceptance)), &key(7));
        for (release, classes) in [
            (Release::AtOnce, vec![PartClass::Summary, PartClass::Attachment]),
            (Release::OnAcceptance, vec![PartClass::Identity, PartClass::Attachment]),
        ] {
            let inline = of(&drafted, release);
            let came = || Came::check(&drafted.header, &me(), &inline, Turn::First, &spool).unwrap();
            assert_eq!(came().names().iter().map(|(_, class)| *class).collect::<Vec<_>>(), classes);
            assert_eq!(
                came().try_open(&drafted.header, &me(), &[key(3), key(7)]),
                Ok(HandoverResult::Received)
            );
            for (part_id, opened) in came().open(&drafted.header, &me(), &[key(7)]) {
                let plain = drafted.plain.iter().find(|plain| plain.part_id == part_id).unwrap();
                assert_eq!(opened.unwrap().content, plain.content);
            }
        }
        let summary = String::from_utf8(drafted.plain[0].content.clone()).unwrap();
        for telling in ["فاطمة", "Fatima", "971501234567", "1994-03-02"] {
            assert!(!summary.contains(telling), "{telling} is in the summary");
        }
        let at_once = parts(Some(Release::AtOnce));
        assert!(at_once.iter().all(|part| part.release == Release::AtOnce));
        let classes: Vec<_> = parts(None).iter().map(|part| part.class).collect();
        assert_eq!(classes, [PartClass::Summary, PartClass::Attachment], "identity stays, and what tells it");
    }

    #[test]
    fn what_cannot_be_opened_and_what_holds_something_else_are_told_apart() {
        let drafted = drafted(parts(Some(Release::OnAcceptance)), &key(7));
        let inline = of(&drafted, Release::AtOnce);
        let (_place, spool) = spool();
        let result = |header: &Header, me: &AgencyId, key: SealingKey| {
            let came = Came::check(header, &header.to, &inline, Turn::First, &spool).unwrap();
            came.try_open(header, me, &[key])
        };
        assert_eq!(result(&drafted.header, &me(), key(8)), Ok(HandoverResult::CannotOpen));
        let other = AgencyId::parse("jo.mosd", "me").unwrap();
        assert_eq!(result(&drafted.header, &other, key(7)), Ok(HandoverResult::WrongContent));
        let resigned = Header { from: other, ..drafted.header };
        assert_eq!(result(&resigned, &me(), key(7)), Ok(HandoverResult::WrongContent));
    }

    #[test]
    fn what_came_must_be_what_the_header_lists() {
        let drafted = drafted(parts(Some(Release::OnAcceptance)), &key(7));
        let (_place, spool) = spool();
        let check = |parts: &[wire::InlinePart]| {
            Came::check(&drafted.header, &me(), parts, Turn::First, &spool).map(|came| came.names().len())
        };
        let good = of(&drafted, Release::AtOnce);
        assert_eq!(check(&good), Ok(2));
        assert_eq!(check(&good[..1]), Err(NotDelivered::PartMissing));
        assert_eq!(check(&good[1..]), Err(NotDelivered::PartMissing));
        assert_eq!(check(&[]), Err(NotDelivered::PartMissing));
        let mixed = [good.clone(), of(&drafted, Release::OnAcceptance)].concat();
        assert_eq!(check(&mixed), Err(NotDelivered::PartMissing));
        let mut changed = good;
        changed[0].ciphertext = changed[0].ciphertext.slice(1..);
        assert_eq!(check(&changed), Err(NotDelivered::OtherPart));
    }

    fn file(bytes: usize, release: Release) -> PlainPart {
        PlainPart {
            fallback: None,
            class: PartClass::Attachment,
            release,
            media_type: "application/pdf".into(),
            file_name: "a.pdf".into(),
            content: vec![7; bytes].into(),
        }
    }

    #[test]
    fn what_was_uploaded_counts_only_once_it_is_here() {
        let (_place, spool) = spool();
        let key = key(7);
        let keys = [(KeyId::of(key.recipient().as_bytes()), key.recipient().clone())];
        let mut all = parts(Some(Release::OnAcceptance));
        all.retain(|part| part.class == PartClass::Summary);
        all.extend([file(1_500_000, Release::AtOnce), file(1_400_000, Release::OnAcceptance)]);
        let header = header("ae.dfwac", "ae-rk.aman", Act::Submit, 0);
        let mut drafted = draft(header, all, &keys, &spool).unwrap();
        let storages: Vec<_> = drafted.header.parts.iter().map(|part| part.storage).collect();
        assert_eq!(storages, [Storage::Inline, Storage::Uploaded, Storage::Uploaded]);
        assert!(drafted.plain[1].content.is_empty() && drafted.plain[1].uploaded_bytes == 1_500_000);
        let inline = of(&drafted, Release::AtOnce);
        let first = |parts: &[wire::InlinePart], turn: Turn| {
            Came::check(&drafted.header, &me(), parts, turn, &spool).map(|came| came.names())
        };
        let apart = |part: &Part| Apart {
            part_id: part.part_id,
            listed: Listed { sha256: part.sha256, bytes: part.length_bytes },
        };
        let (early, late) = (&drafted.header.parts[1], &drafted.header.parts[2]);
        assert_eq!(first(&inline, Turn::First), Err(NotDelivered::Apart(vec![apart(early)])));
        assert_eq!(first(&[], Turn::First), Err(NotDelivered::PartMissing), "the summary comes first");
        assert_eq!(first(&[], Turn::Later), Err(NotDelivered::Apart(vec![apart(late)])));
        // It comes: what goes out there is what arrives here.
        for (sha256, sealing) in drafted.files.drain(..) {
            sealing.put(&sha256).unwrap();
        }
        for part in &drafted.header.parts[1..] {
            let listed = apart(part).listed;
            let mut coming = spool.coming(listed).unwrap();
            let mut bytes = Vec::new();
            io::Read::read_to_end(&mut spool.going(&listed).unwrap().unwrap(), &mut bytes).unwrap();
            coming.take(&bytes).unwrap();
            coming.finish().unwrap();
        }
        for (parts, turn, part_id, bytes) in
            [(inline.as_slice(), Turn::First, 2, 1_500_000), (&[], Turn::Later, 3, 1_400_000)]
        {
            let came = || Came::check(&drafted.header, &me(), parts, turn, &spool).unwrap();
            let result = came().try_open(&drafted.header, &me(), std::slice::from_ref(&key));
            assert_eq!(result, Ok(HandoverResult::Received));
            let opened = came().open(&drafted.header, &me(), std::slice::from_ref(&key));
            let (id, part) = opened.last().unwrap();
            let part = part.as_ref().unwrap();
            assert_eq!((*id, part.bytes, part.kept, part.content.len()), (part_id, bytes, Kept::Apart, 0));
            let mut content = Vec::new();
            let keys = std::slice::from_ref(&key);
            let found = came().open_one(part_id, &drafted.header, (&me(), keys), &mut content).unwrap();
            assert!(found.is_some() && content.iter().all(|byte| *byte == 7));
            assert_eq!(u64::try_from(content.len()).unwrap(), bytes);
        }
    }

    #[test]
    fn what_does_not_fit_is_uploaded_and_texts_must_fit() {
        let header = header("ae.dfwac", "ae-rk.aman", Act::Submit, 0);
        let recipient = key(7);
        let keys = [(KeyId::of(recipient.recipient().as_bytes()), recipient.recipient().clone())];
        let (_place, spool) = spool();
        let uploaded = |parts: Vec<PlainPart>, keys: &[_]| {
            draft(header.clone(), parts, keys, &spool).map(|drafted| drafted.files.len())
        };
        let part = |bytes| file(bytes, Release::AtOnce);
        assert_eq!(uploaded(vec![part(900_000)], &keys), Ok(0));
        assert_eq!(uploaded(vec![part(1_100_000)], &keys), Ok(1));
        assert_eq!(uploaded(vec![part(600_000), part(600_000), part(1)], &keys), Ok(1));
        let text = PlainPart { class: PartClass::Detail, ..part(1_100_000) };
        assert_eq!(uploaded(vec![text], &keys), Err(NotDrafted::TooLarge));
        assert_eq!(uploaded(vec![part(1)], &[]), Err(NotDrafted::NoKey(me())));
        assert_eq!(uploaded(Vec::new(), &[]), Ok(0));
        let gone = Content::Apart { path: "/nowhere/at-all".into(), bytes: 3 };
        let gone = PlainPart { content: gone, ..part(1) };
        assert_eq!(uploaded(vec![gone], &keys), Err(NotDrafted::NotRead(io::ErrorKind::NotFound)));
    }
}
