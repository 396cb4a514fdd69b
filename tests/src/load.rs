//! Envelopes by number: the same seed and number, the same bytes, so that whoever checks can make
//! again what another process pushed. Not here: when they are pushed.
#![allow(clippy::missing_panics_doc, clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

use bytes::Bytes;
use gateway::writer::Request;
use proto::{
    digest::Digest,
    dsse::Signed,
    ids::{Kind, PartClass, Release, TimeMs},
    referral::digests_released,
};

use crate::{
    network::{BEGINNING, Network},
    random::Random,
};

/// What is pushed.
#[derive(Debug, Clone)]
pub struct Load {
    /// Who signs.
    pub network: Network,
    /// Which of all loads it is.
    pub seed: u64,
    /// What all ciphertexts of an envelope come to, in bytes.
    pub bytes: usize,
    /// Whether there are messages only, which are over when they are handed over.
    pub messages: bool,
}

/// An envelope.
#[derive(Clone)]
pub struct Numbered {
    /// Its number.
    pub number: u64,
    /// Its recipient's place in the network.
    pub to: usize,
    /// Its digest.
    pub digest: Digest,
    /// The digests that its recipient signs for.
    pub parts: Vec<Digest>,
    /// As it is pushed.
    pub request: Request,
}

impl Load {
    /// The moment of a number: no envelope is older than the one before it.
    #[must_use]
    pub const fn moment(number: u64) -> TimeMs {
        // A thousand a second of the network's own time.
        BEGINNING.plus_ms(number)
    }

    /// The envelope with a number.
    #[must_use]
    pub fn envelope(&self, number: u64) -> Numbered {
        let mut random = Random::new(self.seed ^ number.wrapping_mul(0xd134_2543_de82_ef95));
        random.next();
        let agencies = self.network.agencies.len();
        let from = usize::try_from(number).unwrap() % agencies;
        let to = (from + 1 + usize::try_from(random.below(3)).unwrap()) % agencies;
        let (sender, recipient) = (self.network.at(from), self.network.at(to));
        let moment = Self::moment(number);
        let (mut header, mut parts) = self.network.opening(&sender.id, &recipient.id, moment, &mut random);
        if self.messages || number.is_multiple_of(2) {
            header.kind = Kind::Message;
            // Nobody accepts a message, so nothing of it can wait for that.
            header.parts[1].class = PartClass::Detail;
            header.parts[1].release = Release::AtOnce;
        }
        let lengths = [self.bytes - self.bytes / 3, self.bytes / 3];
        for (place, length) in lengths.into_iter().enumerate() {
            parts[place] = Bytes::from(random.run(length.max(1)));
            header.parts[place].sha256 = Digest::of(&parts[place]);
            header.parts[place].length_bytes = u64::try_from(parts[place].len()).unwrap();
        }
        let at_once = digests_released(&header.parts, Release::AtOnce);
        let request = self.network.push(&header, parts);
        let digest = request.command.signed().map(Signed::digest).unwrap();
        Numbered { number, to, digest, parts: at_once, request }
    }

    /// The receipt of one recipient over envelopes of its own.
    #[must_use]
    pub fn handover(&self, to: usize, envelopes: &[&Numbered]) -> Request {
        let received: Vec<_> =
            envelopes.iter().map(|envelope| (envelope.digest, envelope.parts.clone())).collect();
        self.network.handover(self.network.at(to), &received)
    }
}
