//! Received parts: whether they are what the signed header lists, and what is in them. Not here: how
//! a part is opened (`seal`), and who signed the envelope (`office`).

use proto::{
    command::HandoverResult,
    digest::Digest,
    header::{Header, Part},
    ids::{AgencyId, PartClass, Release, Storage},
    wire,
};
use seal::{Expected, NotOpened, Sealed, SealingKey};
use thiserror::Error;

/// What came is not what the header lists: the gateway's doing, not the sender's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NotDelivered {
    /// A part is not the header's.
    #[error("a part is not one that the header lists")]
    OtherPart,
    /// A part is missing.
    #[error("a part that should have come is missing")]
    PartMissing,
    /// A part must be fetched apart.
    #[error("a part is not in the envelope and must be fetched")]
    NotInline,
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
    /// The content.
    pub content: Vec<u8>,
}

impl std::fmt::Debug for OpenPart {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OpenPart({:?})", self.class)
    }
}

/// The parts of a delivery, each as the header lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Came<'a>(Vec<(&'a Part, &'a [u8])>);

impl<'a> Came<'a> {
    /// Compares what came with the header: every part that is released at this time, and no other.
    ///
    /// # Errors
    /// [`NotDelivered`].
    pub fn check(header: &'a Header, parts: &'a [wire::InlinePart]) -> Result<Self, NotDelivered> {
        let listed = |part: &wire::InlinePart| {
            header.parts.iter().find(|listed| {
                listed.part_id == part.part_id
                    && listed.recipient.is_none()
                    && u64::try_from(part.ciphertext.len()) == Ok(listed.length_bytes)
                    && Digest::of(&part.ciphertext) == listed.sha256
            })
        };
        let came: Option<Vec<_>> =
            parts.iter().map(|part| Some((listed(part)?, part.ciphertext.as_ref()))).collect();
        let came = came.ok_or(NotDelivered::OtherPart)?;
        let release = came.first().map_or(Release::AtOnce, |(part, _)| part.release);
        let due = header.parts.iter().filter(|part| part.release == release && part.recipient.is_none());
        let mut due = due.peekable();
        for (part, _) in &came {
            if due.next() != Some(part) {
                return Err(NotDelivered::PartMissing);
            }
        }
        match due.next().map(|part| part.storage) {
            None => Ok(Self(came)),
            Some(Storage::Uploaded) => Err(NotDelivered::NotInline),
            Some(Storage::Inline) => Err(NotDelivered::PartMissing),
        }
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
        &self,
        header: &Header,
        me: &AgencyId,
        keys: &[SealingKey],
    ) -> Result<HandoverResult, NotOpened> {
        let mut worst = HandoverResult::Received;
        for (part, ciphertext) in &self.0 {
            let result = match open(header, part, ciphertext, me, keys) {
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

    /// Opens them, each by itself.
    pub fn open(
        &self,
        header: &Header,
        me: &AgencyId,
        keys: &[SealingKey],
    ) -> Vec<(u32, Result<OpenPart, NotOpened>)> {
        let opened =
            self.0.iter().map(|(part, ciphertext)| (part.part_id, open(header, part, ciphertext, me, keys)));
        opened.collect()
    }
}

fn open(
    header: &Header,
    part: &Part,
    ciphertext: &[u8],
    me: &AgencyId,
    keys: &[SealingKey],
) -> Result<OpenPart, NotOpened> {
    let expected = Expected {
        envelope_id: *header.envelope_id.as_bytes(),
        from: header.from.as_str(),
        me: me.as_str(),
        part_id: part.part_id,
        part_class: part.class.number().unsigned_abs(),
    };
    let listed = Sealed { sha256: part.sha256.0, bytes: part.length_bytes };
    let mut content = Vec::new();
    let opened = seal::open(keys, &expected, listed, ciphertext, &mut content)?;
    Ok(OpenPart {
        part_id: part.part_id,
        class: part.class,
        media_type: opened.head.media_type,
        file_name: opened.head.file_name,
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
        document,
        draft::{self, Drafted, PlainPart},
    };
    use proto::{agreement::Disclosure, lifecycle::Act};

    fn key(byte: u8) -> SealingKey {
        SealingKey::from_seed(&[byte; 32]).unwrap()
    }

    fn parts(disclosure: Disclosure) -> Vec<PlainPart> {
        let good = document::tests::good().to_string();
        let document =
            document::read(good.as_bytes(), document::tests::files(), document::tests::NOW).unwrap();
        draft::parts_of(&document, disclosure)
    }

    fn drafted(parts: Vec<PlainPart>, to: &SealingKey) -> Drafted {
        let header = header("ae.dfwac", "ae-rk.aman", Act::Submit, 0);
        let keys = [(KeyId::of(to.recipient().as_bytes()), to.recipient().clone())];
        draft::seal_and_sign(header, parts, &keys, &SigningKey::from_seed(&[1; 32])).unwrap()
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
        let drafted = drafted(parts(Disclosure::OnAcceptance), &key(7));
        for (release, classes) in [
            (Release::AtOnce, vec![PartClass::Summary, PartClass::Attachment]),
            (Release::OnAcceptance, vec![PartClass::Identity, PartClass::Attachment]),
        ] {
            let inline = of(&drafted, release);
            let came = Came::check(&drafted.header, &inline).unwrap();
            assert_eq!(came.names().iter().map(|(_, class)| *class).collect::<Vec<_>>(), classes);
            assert_eq!(
                came.try_open(&drafted.header, &me(), &[key(3), key(7)]),
                Ok(HandoverResult::Received)
            );
            for (part_id, opened) in came.open(&drafted.header, &me(), &[key(7)]) {
                let plain = drafted.plain.iter().find(|plain| plain.part_id == part_id).unwrap();
                assert_eq!(opened.unwrap().content, plain.content);
            }
        }
        let summary = String::from_utf8(drafted.plain[0].content.clone()).unwrap();
        for telling in ["فاطمة", "Fatima", "971501234567", "1994-03-02"] {
            assert!(!summary.contains(telling), "{telling} is in the summary");
        }
        let at_once = parts(Disclosure::AtOnce);
        assert!(at_once.iter().all(|part| part.release == Release::AtOnce));
    }

    #[test]
    fn what_cannot_be_opened_and_what_holds_something_else_are_told_apart() {
        let drafted = drafted(parts(Disclosure::OnAcceptance), &key(7));
        let inline = of(&drafted, Release::AtOnce);
        let result = |header: &Header, me: &AgencyId, key: SealingKey| {
            Came::check(header, &inline).unwrap().try_open(header, me, &[key])
        };
        assert_eq!(result(&drafted.header, &me(), key(8)), Ok(HandoverResult::CannotOpen));
        let other = AgencyId::parse("jo.mosd", "me").unwrap();
        assert_eq!(result(&drafted.header, &other, key(7)), Ok(HandoverResult::WrongContent));
        let resigned = Header { from: other, ..drafted.header };
        assert_eq!(result(&resigned, &me(), key(7)), Ok(HandoverResult::WrongContent));
    }

    #[test]
    fn what_came_must_be_what_the_header_lists() {
        let drafted = drafted(parts(Disclosure::OnAcceptance), &key(7));
        let check =
            |parts: &[wire::InlinePart]| Came::check(&drafted.header, parts).map(|came| came.names().len());
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

        let mut uploaded = drafted.header.clone();
        let last = uploaded.parts.iter_mut().filter(|part| part.release == Release::AtOnce).last().unwrap();
        last.storage = Storage::Uploaded;
        let first = of(&drafted, Release::AtOnce);
        assert_eq!(Came::check(&uploaded, &first[..1]).map(|_| ()), Err(NotDelivered::NotInline));
    }

    #[test]
    fn what_does_not_fit_is_refused_before_it_is_sealed() {
        let header = header("ae.dfwac", "ae-rk.aman", Act::Submit, 0);
        let recipient = key(7);
        let keys = [(KeyId::of(recipient.recipient().as_bytes()), recipient.recipient().clone())];
        let signing = SigningKey::from_seed(&[1; 32]);
        let part = |bytes: usize| PlainPart {
            class: PartClass::Attachment,
            release: Release::AtOnce,
            media_type: "application/pdf".into(),
            file_name: "a.pdf".into(),
            content: vec![0; bytes],
        };
        let draft =
            |parts, keys: &[_]| draft::seal_and_sign(header.clone(), parts, keys, &signing).map(|_| ());
        assert_eq!(draft(vec![part(900_000)], &keys), Ok(()));
        assert_eq!(draft(vec![part(1_100_000)], &keys), Err(draft::NotDrafted::TooLarge));
        assert_eq!(draft(vec![part(600_000), part(600_000)], &keys), Err(draft::NotDrafted::TooLarge));
        assert_eq!(draft(vec![part(1)], &[]), Err(draft::NotDrafted::NoKey));
        assert_eq!(draft(Vec::new(), &[]), Ok(()));
    }
}
