//! What tells, however it is written, and what does not.

use proptest::prelude::*;

use super::*;

#[test]
fn numbers_and_addresses_are_found() {
    use Telling::{Address, IdNumber, Phone};
    for (text, found) in [
        ("call 0501234567", Phone),
        ("call 050 123 4567", Phone),
        ("call 050-123-45-67 after noon", Phone),
        ("call (050) 123.4567", Phone),
        ("call +971501234567", Phone),
        ("call + 971 (50) 123-4567", Phone),
        ("call 00971501234567", Phone),
        ("اتصل على ٠٥٠١٢٣٤٥٦٧", Phone),
        ("الرقم ٠٠٩٧١ ٥٠ ١٢٣ ٤٥٦٧", Phone),
        ("شماره ۰۵۰۱۲۳۴۵۶۷", Phone),
        ("050\u{200b}123\u{2060}4567", Phone),
        ("tel:2222222", Phone),
        ("99 99 12 34 56", Phone),
        ("050,123,4567", Phone),
        ("501.234.567", Phone),
        ("call 06 12 34 56 78", Phone),
        ("784-1991-1234567-1", IdNumber),
        ("784199112345671", IdNumber),
        ("الهوية ٧٨٤-١٩٩١-١٢٣٤٥٦٧-١", IdNumber),
        ("passport P1234567A", IdNumber),
        ("جواز EC1234567", IdNumber),
        ("passport no. K-123456", IdNumber),
        ("1234567890123", IdNumber),
        ("write to noor.92@example.org", Address),
        ("noor@example", Address),
        ("انستغرام @noor_92", Address),
        ("بريدها نور@مثال.إمارات", Address),
    ] {
        assert_eq!(telling(text), Some(found), "{text}");
    }
}

#[test]
fn ordinary_text_tells_nothing() {
    for text in [
        "",
        "A safe place for a woman and two children, for 3 months.",
        "مأوى آمن لامرأة وطفليها لمدة ثلاثة أشهر، مع دعم نفسي للطفلين ومتابعة طبية للأم.",
        "Worked 7 days a week from 2019 to 2023 without pay.",
        "2019-2023, and again 05/2024 - 11/2025",
        "Since 2026-11-22 14:30 she has waited; next visit 3.12.2026 at 10:00.",
        "منذ ٢٠٢٦-١١-٢٢، وزيارة في ٣/١٢/٢٠٢٦ الساعة ١٠:٣٠",
        "between 08:00 and 14:00, or 08.30-12.30",
        "Debt of 15,000 AED, or 1,500,000.00 at most; 1.500.000 IDR; 150,000-200,000",
        "الدين ١٥٬٠٠٠ درهم",
        "ages 5, 7, 12, 14 and 16",
        "ages 12 14 16 17",
        "أعمارهم ٥ و٧ و١٢ سنة",
        "Federal Law 51/2006 and Law 10/2003, article 1 bis",
        "temperature 38.5, pulse 110, 2 x 500 mg, twice a day",
        "Room for 6 persons at 20:00; 100% sure; 24/7; no. 12",
        "F 60.3 and A320, H1N1, COVID-19",
        "meet @ 5 pm",
        "paid 20 000 in 2024",
        "between 150 and 200 of 1000",
    ] {
        assert_eq!(telling(text), None, "{text}");
    }
}

fn household() -> Household {
    let mut household = Household::default();
    for (field, value) in [
        ("given", "فاطمة"),
        ("father", "علي"),
        ("grandfather", "سيف"),
        ("family", "المثالي"),
        ("latin", "Fatima Ali Al-Mithali"),
        ("given", "مي"),
        ("father", "عبد الله"),
        ("latin", "May Abdul Rahman O'Neil José"),
        ("family", "آل نهيان"),
        ("prs_MobilePhone", "+971501234567"),
        ("prs_IdentityNumber", "P123456"),
        ("prs_Birthdate", "1991-04-17"),
        ("role", "client"),
    ] {
        household.add_field(field, value);
    }
    household
}

#[test]
fn the_households_own_names_and_numbers_are_found() {
    let household = household();
    for text in [
        "for Fatima and two children",
        "FATIMA's room",
        "fatimah",
        "xxfatimaxx",
        "مأوى لفاطمه",
        "وفَاطِمَة معها",
        "سيف وأمه",
        "مع سيف",
        "وبسيف",
        "الطفل علي مريض",
        "سيف وعلي",
        "دواء لعلي",
        "أسرة مثالي",
        "والمثالي",
        "للمثالي",
        "رأى مثاليًا",
        "Mr. Al Mithali called",
        "almithali",
        "mithali",
        "with May tomorrow",
        "مي تنتظر",
        "عبدالله",
        "عبد الله معهم",
        "Abdulrahman",
        "neil",
        "jose",
        "Jose\u{301}",
        "نهيان",
        "آل نهيان",
        "her number ends 1234567",
        "501 234 567",
        "document 123456",
        "born 17/4/1991",
        "مواليد ١٩٩١/٠٤/١٧",
    ] {
        assert!(household.stands_in(text), "{text}");
    }
    assert_eq!(format!("{household:?}"), "Household");
}

#[test]
fn ordinary_text_names_nobody() {
    let household = household();
    for text in [
        "",
        "على الأقل ثلاثة أشهر",
        "وعلى الجهة أن ترد",
        "عليها ديون، وهي في خطر",
        "إن شاء الله تتحسن حالتها",
        "she may stay as long as she needs",
        "the client and her children",
        "مأوى آمن لامرأة وطفليها لمدة ثلاثة أشهر",
        "بسم الله الرحمن الرحيم",
        "سيفقد عمله",
        "ميلاد الطفل قريب",
        "a normal family of five, al last",
        "born 17/4/1992, seen 17.5.2026",
        "children of an age",
        "الصيف القادم",
    ] {
        assert!(!household.stands_in(text), "{text}");
    }
    assert!(!Household::default().stands_in("Fatima 0501234567"), "nobody is known");
}

const ORDINARY_WORDS: &[&str] = &[
    "she", "needs", "a", "room", "for", "two", "children", "and", "help", "with", "papers", "في", "مأوى",
    "آمن", "مع", "طفل", "على", "دعم", "نفسي", "12", "3", "سنة", "weeks", "2026", "؟", "(", ")", "-", ":",
    "،", "AED", "15,000",
];
const NUMBER_SEPARATORS: &[&str] = &["", " ", "-", ".", "/", " - ", "\u{a0}", "\u{2060}", ")"];

fn ordinary() -> impl Strategy<Value = String> {
    // Words that are numbers are kept apart by one that is none, as in sentences.
    prop::collection::vec(
        (prop::sample::select(ORDINARY_WORDS), prop::sample::select(&["room", "طفل", "help"])),
        0..12,
    )
    .prop_map(|words| words.into_iter().flat_map(|(one, other)| [one, other]).collect::<Vec<_>>().join(" "))
}

/// Digits in one of three writings.
fn written(digits: &[u8], zero: char) -> Vec<char> {
    digits
        .iter()
        .filter_map(|digit| char::from_u32(u32::from(zero).saturating_add(u32::from(*digit))))
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(300) })]

    #[test]
    fn words_alone_tell_nothing(text in ordinary()) {
        prop_assert_eq!(telling(&text), None);
        prop_assert!(!household().stands_in(&text), "{}", text);
    }

    #[test]
    fn a_telephone_number_is_found_however_it_is_written(
        before in ordinary(),
        after in ordinary(),
        start in prop::sample::select(&["+971", "00971", "0"]),
        digits in prop::collection::vec(0_u8..10, 9),
        zero in prop::sample::select(&['0', '٠', '۰']),
        at in 1_usize..9,
        separator in prop::sample::select(NUMBER_SEPARATORS),
    ) {
        let digits = written(&digits, zero);
        let (one, other): (String, String) = (digits[..at].iter().collect(), digits[at..].iter().collect());
        let text = format!("{before} tel {start}{one}{separator}{other} room {after}");
        prop_assert_eq!(telling(&text), Some(Telling::Phone), "{}", text);
    }

    #[test]
    fn a_card_of_the_emirates_is_found(year in 1930_u32..2026, number in 0_u32..10_000_000, check in 0_u32..10, separator in prop::sample::select(&["", "-", " "])) {
        let text = format!("هويتها 784{separator}{year}{separator}{number:07}{separator}{check} معها");
        prop_assert_eq!(telling(&text), Some(Telling::IdNumber), "{}", text);
    }

    #[test]
    fn a_passport_is_found(letters in "[A-Z]{1,2}", number in 100_000_u32..1_000_000_000) {
        let text = format!("her passport {letters}{number} was taken");
        prop_assert_eq!(telling(&text), Some(Telling::IdNumber), "{}", text);
    }

    #[test]
    fn a_name_is_found_however_it_is_written(
        before in ordinary(),
        after in ordinary(),
        prefix in prop::sample::select(&["", "و", "ف", "ب", "ل", "ك", "ال", "وال", "بال", "لل", "ول"]),
        name in prop::sample::select(&["فاطمة", "فاطمه", "فَاطِمَة", "أحمد", "احمد", "إحمد", "سيف", "نورا", "ماريسول", "زينب"]),
    ) {
        let mut household = Household::default();
        for known in ["فاطمة", "أحمد", "سيف", "نورا", "ماريسول", "زينب"] {
            household.add_name(known);
        }
        let text = format!("{before} {prefix}{name} {after}");
        prop_assert!(household.stands_in(&text), "{}", text);
    }

    #[test]
    fn no_text_is_too_strange(text in ".{0,200}") {
        let _ = (telling(&text), household().stands_in(&text));
    }
}
