//! Counted things as people read them, in English and in Arabic with its six plural forms (CLDR), its
//! dual in both cases, and adjectives that agree. Not here: the sentences around them.

/// A thing that programs count.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Noun {
    /// A referral.
    Referral,
    /// An envelope.
    Envelope,
    /// A file that goes with a referral.
    Attachment,
    /// A person.
    Person,
    /// An agency.
    Agency,
    /// An entry of a log.
    Entry,
    /// A receipt.
    Receipt,
    /// A message.
    Message,
    /// An alarm.
    Alarm,
    /// A field of a document.
    Field,
    /// An attempt.
    Attempt,
    /// A byte.
    Byte,
    /// A second.
    Second,
    /// A minute.
    Minute,
    /// An hour.
    Hour,
    /// A day.
    Day,
}

/// What is said of a counted thing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Adjective {
    /// It waits.
    Waiting,
    /// It is open.
    Open,
    /// It is new.
    New,
}

/// Where an Arabic count stands in its sentence: its dual differs.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Place {
    /// By itself, or as what the sentence is about: ساعتان.
    Subject,
    /// After a word that governs it (منذ، خلال، بعد), or as an object: ساعتين.
    Governed,
}

/// The plural forms of Arabic. Source: CLDR plural rules, `ar`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PluralForm {
    /// 0.
    Zero,
    /// 1.
    One,
    /// 2.
    Two,
    /// 3 to 10, 103 to 110, …
    Few,
    /// 11 to 99, 111 to 199, …
    Many,
    /// 100 to 102, 200 to 202, …
    Other,
}

impl PluralForm {
    /// The form for a count.
    #[must_use]
    pub const fn of(count: u64) -> Self {
        match (count, count % 100) {
            (0, _) => Self::Zero,
            (1, _) => Self::One,
            (2, _) => Self::Two,
            (_, 3..=10) => Self::Few,
            (_, 11..=99) => Self::Many,
            (_, _) => Self::Other,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Gender {
    Masculine,
    Feminine,
}

/// The forms of a noun.
struct Forms {
    en: (&'static str, &'static str),
    gender: Gender,
    /// Whether its plural is one of people: only then do adjectives take a plural.
    people: bool,
    singular: &'static str,
    /// After 11 to 99: singular and accusative.
    accusative: &'static str,
    dual: &'static str,
    dual_governed: &'static str,
    plural: &'static str,
}

macro_rules! forms {
    ($en:literal $ens:literal $gender:ident $people:literal
     $singular:literal $accusative:literal $dual:literal $dual_governed:literal $plural:literal) => {
        Forms {
            en: ($en, $ens),
            gender: Gender::$gender,
            people: $people,
            singular: $singular,
            accusative: $accusative,
            dual: $dual,
            dual_governed: $dual_governed,
            plural: $plural,
        }
    };
}

impl Noun {
    /// Every noun.
    pub const ALL: &'static [Self] = &[
        Self::Referral,
        Self::Envelope,
        Self::Attachment,
        Self::Person,
        Self::Agency,
        Self::Entry,
        Self::Receipt,
        Self::Message,
        Self::Alarm,
        Self::Field,
        Self::Attempt,
        Self::Byte,
        Self::Second,
        Self::Minute,
        Self::Hour,
        Self::Day,
    ];

    const fn forms(self) -> Forms {
        match self {
            Self::Referral => {
                forms!("referral" "referrals" Feminine false "إحالة" "إحالة" "إحالتان" "إحالتين" "إحالات")
            }
            Self::Envelope => {
                forms!("envelope" "envelopes" Masculine false "مغلف" "مغلفًا" "مغلفان" "مغلفين" "مغلفات")
            }
            Self::Attachment => {
                forms!("attachment" "attachments" Masculine false "مرفق" "مرفقًا" "مرفقان" "مرفقين" "مرفقات")
            }
            Self::Person => forms!("person" "persons" Masculine true "شخص" "شخصًا" "شخصان" "شخصين" "أشخاص"),
            Self::Agency => forms!("agency" "agencies" Feminine false "جهة" "جهة" "جهتان" "جهتين" "جهات"),
            Self::Entry => forms!("entry" "entries" Masculine false "قيد" "قيدًا" "قيدان" "قيدين" "قيود"),
            Self::Receipt => {
                forms!("receipt" "receipts" Masculine false "إيصال" "إيصالًا" "إيصالان" "إيصالين" "إيصالات")
            }
            Self::Message => {
                forms!("message" "messages" Feminine false "رسالة" "رسالة" "رسالتان" "رسالتين" "رسائل")
            }
            Self::Alarm => {
                forms!("alarm" "alarms" Masculine false "إنذار" "إنذارًا" "إنذاران" "إنذارين" "إنذارات")
            }
            Self::Field => forms!("field" "fields" Masculine false "حقل" "حقلًا" "حقلان" "حقلين" "حقول"),
            Self::Attempt => {
                forms!("attempt" "attempts" Feminine false "محاولة" "محاولة" "محاولتان" "محاولتين" "محاولات")
            }
            Self::Byte => forms!("byte" "bytes" Masculine false "بايت" "بايتًا" "بايتان" "بايتين" "بايتات"),
            Self::Second => {
                forms!("second" "seconds" Feminine false "ثانية" "ثانية" "ثانيتان" "ثانيتين" "ثوانٍ")
            }
            Self::Minute => {
                forms!("minute" "minutes" Feminine false "دقيقة" "دقيقة" "دقيقتان" "دقيقتين" "دقائق")
            }
            Self::Hour => forms!("hour" "hours" Feminine false "ساعة" "ساعة" "ساعتان" "ساعتين" "ساعات"),
            Self::Day => forms!("day" "days" Masculine false "يوم" "يومًا" "يومان" "يومين" "أيام"),
        }
    }

    /// So many of them, in English.
    #[must_use]
    pub fn english(self, count: u64) -> String {
        let (one, more) = self.forms().en;
        format!("{count} {}", if count == 1 { one } else { more })
    }

    /// So many of them, in Arabic.
    #[must_use]
    pub fn arabic(self, count: u64, place: Place) -> String {
        let forms = self.forms();
        let feminine = forms.gender == Gender::Feminine;
        match (PluralForm::of(count), place) {
            (PluralForm::Zero, Place::Subject) => format!("لا {}", forms.plural),
            // What governs must have something to govern.
            (PluralForm::Zero, Place::Governed) => format!("0 {}", forms.singular),
            (PluralForm::One, _) => format!("{} {}", forms.singular, if feminine { "واحدة" } else { "واحد" }),
            (PluralForm::Two, Place::Subject) => forms.dual.to_owned(),
            (PluralForm::Two, Place::Governed) => forms.dual_governed.to_owned(),
            (PluralForm::Few, _) => format!("{count} {}", forms.plural),
            (PluralForm::Many, _) => format!("{count} {}", forms.accusative),
            (PluralForm::Other, _) => format!("{count} {}", forms.singular),
        }
    }

    /// So many of them that are something, in English.
    #[must_use]
    pub fn english_that(self, count: u64, adjective: Adjective) -> String {
        let (one, more) = self.forms().en;
        format!("{count} {} {}", adjective.english(), if count == 1 { one } else { more })
    }

    /// So many of them that are something, in Arabic, by itself or as what a sentence is about.
    #[must_use]
    pub fn arabic_that(self, count: u64, adjective: Adjective) -> String {
        let forms = self.forms();
        let said = adjective.arabic();
        let feminine = forms.gender == Gender::Feminine;
        let singular = if feminine { said.feminine } else { said.masculine };
        // Many things are, for an adjective, one feminine thing; only people are several.
        let plural = if forms.people { said.people } else { said.feminine };
        match PluralForm::of(count) {
            PluralForm::Zero => format!("لا {} {plural}", forms.plural),
            PluralForm::One => format!("{} {singular}", self.arabic(1, Place::Subject)),
            PluralForm::Two => {
                let dual = if feminine { said.dual_feminine } else { said.dual_masculine };
                format!("{} {dual}", forms.dual)
            }
            PluralForm::Few => format!("{count} {} {plural}", forms.plural),
            PluralForm::Many => {
                let accusative = if feminine { said.feminine } else { said.accusative };
                format!("{count} {} {accusative}", forms.accusative)
            }
            PluralForm::Other => format!("{count} {} {singular}", forms.singular),
        }
    }
}

/// The forms of an adjective.
struct Said {
    masculine: &'static str,
    accusative: &'static str,
    feminine: &'static str,
    dual_masculine: &'static str,
    dual_feminine: &'static str,
    people: &'static str,
}

impl Adjective {
    const fn english(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Open => "open",
            Self::New => "new",
        }
    }

    const fn arabic(self) -> Said {
        match self {
            Self::Waiting => Said {
                masculine: "منتظر",
                accusative: "منتظرًا",
                feminine: "منتظرة",
                dual_masculine: "منتظران",
                dual_feminine: "منتظرتان",
                people: "منتظرون",
            },
            Self::Open => Said {
                masculine: "مفتوح",
                accusative: "مفتوحًا",
                feminine: "مفتوحة",
                dual_masculine: "مفتوحان",
                dual_feminine: "مفتوحتان",
                people: "مفتوحون",
            },
            Self::New => Said {
                masculine: "جديد",
                accusative: "جديدًا",
                feminine: "جديدة",
                dual_masculine: "جديدان",
                dual_feminine: "جديدتان",
                people: "جدد",
            },
        }
    }
}

/// A name, id or code inside an Arabic text, kept apart from the direction around it (Unicode first
/// strong isolate). What could end the isolate, or turn the text around, is left out.
#[must_use]
pub fn isolated(text: &str) -> String {
    let turns = |c: char| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let inside: String = text.chars().filter(|c| !turns(*c)).collect();
    format!("\u{2068}{inside}\u{2069}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTS: [u64; 13] = [0, 1, 2, 3, 10, 11, 99, 100, 101, 102, 103, 111, 200];

    #[test]
    fn forms_are_those_of_cldr() {
        use PluralForm::{Few, Many, One, Other, Two, Zero};
        let forms = [Zero, One, Two, Few, Few, Many, Many, Other, Other, Other, Few, Many, Other];
        assert_eq!(COUNTS.map(PluralForm::of), forms);
        assert_eq!(PluralForm::of(1_000), Other);
        assert_eq!(PluralForm::of(1_002), Other);
        assert_eq!(PluralForm::of(1_010), Few);
        assert_eq!(PluralForm::of(u64::MAX), Many);
    }

    #[test]
    fn the_glossarys_examples() {
        for (noun, count, expected) in [
            (Noun::Hour, 1, "ساعة واحدة"),
            (Noun::Hour, 2, "ساعتان"),
            (Noun::Hour, 3, "3 ساعات"),
            (Noun::Day, 14, "14 يومًا"),
            (Noun::Hour, 72, "72 ساعة"),
            (Noun::Hour, 100, "100 ساعة"),
        ] {
            assert_eq!(noun.arabic(count, Place::Subject), expected);
        }
        assert_eq!(Noun::Hour.arabic(2, Place::Governed), "ساعتين");
        assert_eq!(Noun::Day.arabic(0, Place::Governed), "0 يوم");
    }

    #[test]
    fn every_count_of_a_feminine_a_masculine_and_a_human_noun() {
        let table = [
            (
                Noun::Referral,
                [
                    "لا إحالات",
                    "إحالة واحدة",
                    "إحالتان",
                    "3 إحالات",
                    "10 إحالات",
                    "11 إحالة",
                    "99 إحالة",
                    "100 إحالة",
                    "101 إحالة",
                    "102 إحالة",
                    "103 إحالات",
                    "111 إحالة",
                    "200 إحالة",
                ],
            ),
            (
                Noun::Day,
                [
                    "لا أيام",
                    "يوم واحد",
                    "يومان",
                    "3 أيام",
                    "10 أيام",
                    "11 يومًا",
                    "99 يومًا",
                    "100 يوم",
                    "101 يوم",
                    "102 يوم",
                    "103 أيام",
                    "111 يومًا",
                    "200 يوم",
                ],
            ),
            (
                Noun::Person,
                [
                    "لا أشخاص",
                    "شخص واحد",
                    "شخصان",
                    "3 أشخاص",
                    "10 أشخاص",
                    "11 شخصًا",
                    "99 شخصًا",
                    "100 شخص",
                    "101 شخص",
                    "102 شخص",
                    "103 أشخاص",
                    "111 شخصًا",
                    "200 شخص",
                ],
            ),
        ];
        for (noun, expected) in table {
            assert_eq!(COUNTS.map(|count| noun.arabic(count, Place::Subject)), expected);
        }
    }

    #[test]
    fn adjectives_agree_in_gender_number_and_case() {
        let that =
            |noun: Noun, adjective| [0, 1, 2, 3, 11, 100].map(|count| noun.arabic_that(count, adjective));
        assert_eq!(
            that(Noun::Referral, Adjective::Open),
            [
                "لا إحالات مفتوحة",
                "إحالة واحدة مفتوحة",
                "إحالتان مفتوحتان",
                "3 إحالات مفتوحة",
                "11 إحالة مفتوحة",
                "100 إحالة مفتوحة",
            ]
        );
        assert_eq!(
            that(Noun::Envelope, Adjective::Waiting),
            [
                "لا مغلفات منتظرة",
                "مغلف واحد منتظر",
                "مغلفان منتظران",
                "3 مغلفات منتظرة",
                "11 مغلفًا منتظرًا",
                "100 مغلف منتظر",
            ]
        );
        assert_eq!(
            that(Noun::Person, Adjective::New),
            ["لا أشخاص جدد", "شخص واحد جديد", "شخصان جديدان", "3 أشخاص جدد", "11 شخصًا جديدًا", "100 شخص جديد",]
        );
        assert_eq!(Noun::Referral.english_that(1, Adjective::Open), "1 open referral");
        assert_eq!(Noun::Envelope.english_that(2, Adjective::Waiting), "2 waiting envelopes");
    }

    #[test]
    fn every_noun_has_every_form() {
        for noun in Noun::ALL {
            let forms = noun.forms();
            let feminine = forms.gender == Gender::Feminine;
            // What ends in ta marbuta takes no alif, and its dual opens it.
            assert_eq!(forms.singular.ends_with('ة'), feminine, "{noun:?}");
            assert_eq!(forms.accusative == forms.singular, feminine, "{noun:?}");
            assert!(forms.dual.ends_with("ان") && forms.dual_governed.ends_with("ين"), "{noun:?}");
            for count in COUNTS {
                let text = noun.arabic(count, Place::Subject);
                assert!(!text.contains(|c: char| c.is_ascii_alphabetic()), "{text}");
                let shown =
                    matches!(PluralForm::of(count), PluralForm::Few | PluralForm::Many | PluralForm::Other);
                assert_eq!(text.contains(&count.to_string()), shown, "{text}");
            }
            assert!(
                noun.english(1).starts_with("1 ") && noun.english(1) != noun.english(2).replace('2', "1")
            );
        }
    }

    #[test]
    fn names_are_isolated() {
        assert_eq!(isolated("ae.dfwac"), "\u{2068}ae.dfwac\u{2069}");
        assert_eq!(isolated("a\u{2069}\u{202e}b"), "\u{2068}ab\u{2069}");
    }
}
