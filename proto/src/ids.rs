//! Names, codes and times of the field, each with its own type. Not here: digests (`digest`) and
//! keys (`key`).

use arcstr::ArcStr;

use crate::{Malformed, wire};

/// Longest agency id, in bytes.
pub const AGENCY_ID_BYTES_MAX: u64 = 64;
/// Longest code of a vocabulary, rule or clause, in bytes.
pub const CODE_BYTES_MAX: u64 = 64;
/// Most digits of a code: enough for a date, too few for a telephone or an identity card.
pub const CODE_DIGITS_MAX: usize = 8;
/// Longest staff pseudonym, in bytes.
pub const PSEUDONYM_BYTES_MAX: u64 = 32;

/// A moment: Unix time in milliseconds, UTC.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct TimeMs(pub u64);

impl TimeMs {
    /// This moment and so many milliseconds; the end of time at the most.
    #[must_use]
    pub const fn plus_ms(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_add(milliseconds))
    }

    /// This moment less so many milliseconds; the beginning of time at the least.
    #[must_use]
    pub const fn minus_ms(self, milliseconds: u64) -> Self {
        Self(self.0.saturating_sub(milliseconds))
    }
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident, $max:expr, $allowed:expr) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(ArcStr);

        impl $name {
            /// Reads the wire form.
            ///
            /// # Errors
            /// [`Malformed::Missing`] when empty, [`Malformed::TooLarge`] or [`Malformed::Form`]
            /// otherwise; `field` is named in it.
            pub fn parse(text: &str, field: &'static str) -> Result<Self, Malformed> {
                if text.is_empty() {
                    return Err(Malformed::Missing { field });
                }
                crate::canonical::limit(text.len(), $max, field)?;
                let allowed: fn(&str) -> bool = $allowed;
                if allowed(text) { Ok(Self(text.into())) } else { Err(Malformed::Form { field }) }
            }

            /// As [`Self::parse`], where an empty text means that there is none.
            ///
            /// # Errors
            /// As [`Self::parse`], without [`Malformed::Missing`].
            pub fn parse_optional(text: &str, field: &'static str) -> Result<Option<Self>, Malformed> {
                if text.is_empty() { Ok(None) } else { Self::parse(text, field).map(Some) }
            }

            /// The wire form.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl std::fmt::Debug for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

fn is_label(label: &str) -> bool {
    !label.is_empty()
        && !label.starts_with('-')
        && !label.ends_with('-')
        && label.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

text_id!(
    /// An agency: dotted lower-case labels, country or organisation first, such as `ae.dfwac`.
    AgencyId,
    AGENCY_ID_BYTES_MAX,
    |text| text.split('.').count() >= 2 && text.split('.').all(is_label)
);

text_id!(
    /// A code of a vocabulary, a rule or a clause: lower-case letters, digits, `_` and `-`, a letter
    /// first. Codes are shown everywhere, so they have too few digits for anybody's number.
    Code,
    CODE_BYTES_MAX,
    |text| {
        text.starts_with(|first: char| first.is_ascii_lowercase())
            && text.bytes().filter(u8::is_ascii_digit).count() <= CODE_DIGITS_MAX
            && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-')
    }
);

text_id!(
    /// A member of staff, never by name: lower-case letters, digits and `-`.
    Pseudonym,
    PSEUDONYM_BYTES_MAX,
    |text| is_label(text)
);

text_id!(
    /// ISO 3166: a country (`JO`) or one of its first-level divisions (`AE-RK`).
    Jurisdiction,
    6,
    |text| {
        let (country, division) = text.split_once('-').map_or((text, None), |(c, d)| (c, Some(d)));
        country.len() == 2
            && country.bytes().all(|b| b.is_ascii_uppercase())
            && division.is_none_or(|d| {
                (1..=3).contains(&d.len())
                    && d.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
            })
    }
);

impl Jurisdiction {
    /// Whether this one is the other or contains it: a country covers its divisions.
    #[must_use]
    pub fn covers(&self, other: &Self) -> bool {
        self == other || other.as_str().strip_prefix(self.as_str()).is_some_and(|rest| rest.starts_with('-'))
    }
}

/// An envelope's id: a UUIDv7 (RFC 9562), so that ids are ordered by time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EnvelopeId([u8; 16]);

impl EnvelopeId {
    /// Reads 16 bytes: version 7, variant 10.
    ///
    /// # Errors
    /// [`Malformed::Length`] or [`Malformed::Form`]; `field` is named in it.
    pub fn parse(bytes: &[u8], field: &'static str) -> Result<Self, Malformed> {
        let Ok(bytes) = <[u8; 16]>::try_from(bytes) else {
            return Err(Malformed::Length { field });
        };
        let [_, _, _, _, _, _, version, _, variant, ..] = bytes;
        if version >> 4 == 7 && variant >> 6 == 0b10 {
            Ok(Self(bytes))
        } else {
            Err(Malformed::Form { field })
        }
    }

    /// Makes an id of a moment and random bits, of which 74 are used.
    #[must_use]
    pub fn new(at: TimeMs, random: [u8; 10]) -> Self {
        let [_, _, t0, t1, t2, t3, t4, t5] = at.0.to_be_bytes();
        let [a0, a1, b0, b1, b2, b3, b4, b5, b6, b7] = random;
        let version = 0x70 | (a0 & 0x0f);
        let variant = 0x80 | (b0 & 0x3f);
        Self([t0, t1, t2, t3, t4, t5, version, a1, variant, b1, b2, b3, b4, b5, b6, b7])
    }

    /// When the sender made it.
    #[must_use]
    pub const fn made_at(&self) -> TimeMs {
        let [t0, t1, t2, t3, t4, t5, ..] = self.0;
        TimeMs(u64::from_be_bytes([0, 0, t0, t1, t2, t3, t4, t5]))
    }

    /// The 16 bytes.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl std::fmt::Display for EnvelopeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (place, byte) in self.0.iter().enumerate() {
            if matches!(place, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

impl std::fmt::Debug for EnvelopeId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{self}")
    }
}

/// A referral: named by the agency that opened it and the id of the envelope that opened it, so no
/// other agency can take, or probe for, its name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReferralKey {
    /// First the id, so that keys are ordered by time.
    pub id: EnvelopeId,
    /// The agency that opened it.
    pub opened_by: AgencyId,
}

impl ReferralKey {
    /// Reads a reference that must be there.
    ///
    /// # Errors
    /// [`Malformed`], naming the field.
    pub fn parse(wire: Option<&wire::ReferralRef>) -> Result<Self, Malformed> {
        let wire = wire.ok_or(Malformed::Missing { field: "referral" })?;
        Ok(Self {
            id: EnvelopeId::parse(&wire.referral_id, "referral.referral_id")?,
            opened_by: AgencyId::parse(&wire.opened_by, "referral.opened_by")?,
        })
    }

    /// The wire form.
    #[must_use]
    pub fn to_wire(&self) -> wire::ReferralRef {
        wire::ReferralRef {
            opened_by: self.opened_by.as_str().to_owned(),
            referral_id: self.id.as_bytes().to_vec(),
        }
    }
}

/// An envelope: unique by sender and id.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct EnvelopeKey {
    /// First the id, so that keys are ordered by time.
    pub id: EnvelopeId,
    /// The agency that sent it.
    pub from: AgencyId,
}

/// Where something stands in the journal: a batch's number and the entry's place in it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Locator {
    /// The batch's number, from 0.
    pub batch: u64,
    /// The entry's place in the batch, from 0.
    pub entry: u32,
}

macro_rules! closed_list {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident = $number:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum $name { $($(#[$vdoc])* $variant),+ }

        impl $name {
            /// Every value, in the order of their numbers.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Reads the wire number.
            ///
            /// # Errors
            /// [`Malformed::Missing`](crate::Malformed::Missing) for 0,
            /// [`Malformed::Form`](crate::Malformed::Form) for a number not in the list.
            pub const fn parse(number: i32, field: &'static str) -> Result<Self, $crate::Malformed> {
                match number {
                    0 => Err($crate::Malformed::Missing { field }),
                    $($number => Ok(Self::$variant),)+
                    _ => Err($crate::Malformed::Form { field }),
                }
            }

            /// The wire number.
            #[must_use]
            pub const fn number(self) -> i32 {
                match self { $(Self::$variant => $number),+ }
            }
        }
    };
}
pub(crate) use closed_list;

closed_list!(
    /// What kind of thing an envelope carries.
    Kind {
        /// A referral of a household for a service.
        Referral = 1,
        /// A suspicion, from first-line staff.
        SuspicionReport = 2,
        /// A notice without identity.
        Notice = 3,
        /// A document.
        Document = 4,
        /// A message.
        Message = 5,
    }
);

closed_list!(
    /// How soon an answer is due. Ordered: the most urgent first.
    Urgency {
        /// Within 24 hours.
        Emergency = 1,
        /// Within 72 hours.
        Urgent = 2,
        /// Within 14 days.
        Normal = 3,
    }
);

closed_list!(
    /// Why, as coarse as routing needs.
    ReasonClass {
        /// No place free.
        NoCapacity = 1,
        /// The service is not given now.
        ServiceUnavailable = 2,
        /// She is out of the area.
        OutOfArea = 3,
        /// Any other reason.
        Other = 4,
        /// She was served.
        Served = 5,
        /// In part.
        PartlyServed = 6,
        /// She was not served.
        NotServed = 7,
    }
);

closed_list!(
    /// How the recipient was found.
    Addressing {
        /// The sender named it.
        ByName = 1,
        /// The mechanism chose it.
        ByNeed = 2,
    }
);

closed_list!(
    /// What a part holds.
    PartClass {
        /// Need, risk, safe contact; no identity.
        Summary = 1,
        /// Who she is.
        Identity = 2,
        /// A file.
        Attachment = 3,
        /// The detail of an act.
        Detail = 4,
    }
);

closed_list!(
    /// How a part travels.
    Storage {
        /// In the envelope.
        Inline = 1,
        /// Uploaded beforehand.
        Uploaded = 2,
    }
);

closed_list!(
    /// When a part is released to its recipient.
    Release {
        /// With the envelope.
        AtOnce = 1,
        /// When the recipient has accepted.
        OnAcceptance = 2,
        /// When the fallback's turn comes.
        OnTurn = 3,
    }
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agency_ids() {
        for good in ["ae.dfwac", "ae-rk.aman", "int.iom.kw", "jo.mosd", "x1.y2"] {
            assert!(AgencyId::parse(good, "from").is_ok(), "{good}");
        }
        for bad in ["dfwac", "ae.", ".ae", "AE.dfwac", "ae..x", "ae.-x", "ae.x-", "ae.\u{62f}", "ae dfwac.x"]
        {
            assert_eq!(AgencyId::parse(bad, "from"), Err(Malformed::Form { field: "from" }), "{bad}");
        }
        assert_eq!(AgencyId::parse("", "from"), Err(Malformed::Missing { field: "from" }));
        let long = format!("ae.{}", "x".repeat(64));
        assert_eq!(AgencyId::parse(&long, "from"), Err(Malformed::TooLarge { field: "from", limit: 64 }));
    }

    #[test]
    fn codes_have_no_room_for_a_number() {
        for good in ["trafficking", "legal-1", "r_2", "since-20261122"] {
            assert!(Code::parse(good, "rule").is_ok(), "{good}");
        }
        for bad in ["1", "-a", "_a", "A", "784-1987-1234567-1", "a971501234567", "a b", "\u{646}"] {
            assert_eq!(Code::parse(bad, "rule"), Err(Malformed::Form { field: "rule" }), "{bad}");
        }
    }

    #[test]
    fn a_country_covers_its_divisions_and_nothing_else() {
        let of = |text: &str| Jurisdiction::parse(text, "jurisdiction").unwrap();
        assert!(of("AE").covers(&of("AE")));
        assert!(of("AE").covers(&of("AE-RK")));
        assert!(!of("AE-RK").covers(&of("AE")));
        assert!(!of("AE-RK").covers(&of("AE-DU")));
        assert!(!of("AE").covers(&of("JO")));
        for bad in ["ae", "A", "AEE", "AE-", "AE-RKKK", "AE-rk"] {
            assert!(Jurisdiction::parse(bad, "jurisdiction").is_err(), "{bad}");
        }
    }

    #[test]
    fn envelope_ids_are_uuid_v7_and_carry_their_time() {
        let id = EnvelopeId::new(TimeMs(0x0192_ABCD_EF01), [0xff; 10]);
        assert_eq!(id.made_at(), TimeMs(0x0192_ABCD_EF01));
        assert_eq!(id.to_string(), "0192abcd-ef01-7fff-bfff-ffffffffffff");
        assert_eq!(EnvelopeId::parse(id.as_bytes(), "envelope_id"), Ok(id));
        let mut other = *id.as_bytes();
        other[6] = 0x4f;
        assert!(EnvelopeId::parse(&other, "envelope_id").is_err());
        other = *id.as_bytes();
        other[8] = 0xff;
        assert!(EnvelopeId::parse(&other, "envelope_id").is_err());
        assert!(EnvelopeId::parse(&[0; 15], "envelope_id").is_err());
    }

    #[test]
    fn our_lists_are_the_wire_lists() {
        assert_eq!(Kind::Message.number(), i32::from(wire::Kind::Message));
        assert_eq!(Urgency::Emergency.number(), i32::from(wire::Urgency::Emergency));
        assert_eq!(ReasonClass::NotServed.number(), i32::from(wire::ReasonClass::NotServed));
        assert_eq!(PartClass::Detail.number(), i32::from(wire::PartClass::Detail));
        assert_eq!(Release::OnTurn.number(), i32::from(wire::Release::OnTurn));
        assert_eq!(Storage::Uploaded.number(), i32::from(wire::Storage::Uploaded));
        assert_eq!(Addressing::ByNeed.number(), i32::from(wire::Addressing::ByNeed));
    }
}
