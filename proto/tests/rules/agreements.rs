//! What is said of an agreement before it is signed: each warning by the smallest change that earns it, and
//! the words of all of them in both languages.

use prost::Message as _;
use proto::{
    agreement::{
        telling,
        warning::{WARNINGS_MAX, Warning},
        whole::Whole,
    },
    ids::{EnvelopeId, TimeMs},
    language::Language,
    refusal::Refusal,
    wire::{self, directory_change::Change},
};

use crate::{formats::golden_text, network::*};

/// An agreement of which nothing is wrong.
fn sound() -> wire::Agreement {
    let of = |mut clause: wire::Clause| {
        clause.categories = vec!["trafficking".into(), "domestic_violence".into()];
        clause.jurisdictions = vec!["AE".into()];
        clause
    };
    let mut text = agreement(AMAN, IOM);
    text.clauses = text.clauses.into_iter().map(of).collect();
    for party in &mut text.parties {
        (party.signing_office_en, party.signing_office_ar) = ("Director".into(), "المدير".into());
    }
    text.legal_basis = "Federal law".into();
    text.hosting_country = "AE".into();
    text.paper_sha256 = vec![7; 32];
    text
}

fn whole(text: &wire::Agreement) -> Whole {
    Whole::parse(&text.encode_to_vec()).unwrap()
}

fn changed(change: impl FnOnce(&mut wire::Agreement)) -> Whole {
    let mut text = sound();
    change(&mut text);
    whole(&text)
}

fn codes(warnings: &[Warning]) -> Vec<&'static str> {
    warnings.iter().map(Warning::code).collect()
}

fn limits(urgency: i32, seconds: u64) -> wire::Clocks {
    let limits = vec![wire::ClockLimit { urgency, clock: 2, seconds }];
    wire::Clocks { limits, calendar: String::new() }
}

/// A third clause, of the direction of the first.
fn with_third(text: &mut wire::Agreement, change: impl FnOnce(&mut wire::Clause)) {
    let mut third = wire::Clause { clause_id: "third".into(), ..text.clauses[0].clone() };
    change(&mut third);
    text.clauses.push(third);
}

#[test]
fn a_sound_agreement_earns_no_warning() {
    assert_eq!(whole(&sound()).warnings(TimeMs(T0)), []);
    assert_eq!(whole(&sound()).warnings_in(duty_desks().writer.state.directory(), TimeMs(T0)), []);
}

#[test]
#[allow(clippy::too_many_lines, reason = "one row for each warning")]
fn each_warning_by_the_change_that_earns_it() {
    let rows: Vec<(&[&str], OfAgreement)> = vec![
        (&["AGREEMENT_ENDED"], |text| text.valid_until_ms = T0),
        (&["ENDS_SOON"], |text| text.valid_until_ms = T0 + 1),
        (&["ENDS_SOON"], |text| text.valid_until_ms = T0 + 30 * DAY - 1),
        (&[], |text| text.valid_until_ms = T0 + 30 * DAY),
        (&["NOT_YET"], |text| text.valid_from_ms = T0 + 1),
        (&[], |text| text.valid_from_ms = T0),
        (&[], |text| text.valid_until_ms = text.valid_from_ms + 3_654 * DAY - 1),
        (&["VERY_LONG"], |text| text.valid_until_ms = text.valid_from_ms + 3_654 * DAY),
        (&[], |text| text.retention_days = 366),
        (&["KEPT_LONG"], |text| text.retention_days = 367),
        (&["NO_RETENTION"], |text| text.retention_days = 0),
        (&["NO_TITLE"], |text| text.title_ar.clear()),
        (&["NO_TITLE"], |text| text.title_en.clear()),
        (&["NO_LEGAL_BASIS"], |text| text.legal_basis.clear()),
        (&["NO_HOSTING_COUNTRY"], |text| text.hosting_country.clear()),
        (&["NO_PAPER"], |text| text.paper_sha256.clear()),
        (&["NO_OFFICE"], |text| text.parties[1].signing_office_ar.clear()),
        (&["NO_RETURN"], |text| text.clauses.truncate(1)),
        (&["PARTY_IDLE"], |text| {
            let office = text.parties[0].clone();
            text.parties.push(wire::Party { agency: MOSD.into(), ..office });
        }),
        (&["LIST_EMPTY"], |text| text.clauses[0].kinds.clear()),
        (&["LIST_EMPTY"], |text| text.clauses[0].categories.clear()),
        (&["LIST_EMPTY"], |text| text.clauses[0].services.clear()),
        (&["LIST_EMPTY"], |text| text.clauses[0].urgencies.clear()),
        (&["LIST_EMPTY"], |text| text.clauses[0].jurisdictions.clear()),
        (&["CODE_UNKNOWN"], |text| text.clauses[0].services.push("massage".into())),
        (&["CODE_UNKNOWN"], |text| text.clauses[0].categories.push("traficking".into())),
        (&["CODE_TOO_FINE"], |text| text.clauses[0].categories.push("servitude".into())),
        (&["CLOCKS_NOT_STRICTER"], |text| text.clauses[0].clocks = Some(limits(1, 3_601))),
        (&[], |text| text.clauses[0].clocks = Some(limits(1, 3_600))),
        (&["CLOCKS_UNUSED"], |text| {
            text.clauses[0].urgencies = vec![2, 3];
            text.clauses[0].clocks = Some(limits(1, 60));
        }),
        (&["CALENDAR_UNUSED"], |text| {
            let calendar = "emirates".into();
            text.clauses[0].clocks = Some(wire::Clocks { calendar, ..limits(1, 60) });
        }),
        (&[], |text| {
            let calendar = "emirates".into();
            text.clauses[0].clocks = Some(wire::Clocks { calendar, ..limits(2, 60) });
        }),
        (&["LIMIT_BEYOND"], |text| {
            let attachment_bytes_max = 2 * 1024 * 1024 * 1024 + 1;
            text.clauses[0].limits = Some(wire::Limits { attachment_bytes_max, ..wire::Limits::default() });
        }),
        (&["LIMIT_TOO_SMALL"], |text| {
            text.clauses[0].limits = Some(wire::Limits { envelope_bytes_max: 1, ..wire::Limits::default() });
        }),
        (&["LIMIT_OF_ZERO"], |text| text.clauses[0].limits = Some(wire::Limits::default())),
        (&["IDENTITY_AT_ONCE"], |text| text.clauses[0].disclosure = 3),
        (&["IDENTITY_NEVER"], |text| text.clauses[0].disclosure = 1),
        (&[], |text| {
            text.clauses[0].disclosure = 1;
            text.clauses[0].kinds = vec![3, 5];
        }),
        (&["KEEPS_NOTHING", "IDENTITY_NEVER"], |text| {
            text.clauses[0].disclosure = 1;
            text.clauses[0].sender_keeps_identity = true;
        }),
        (&[], |text| {
            text.clauses[0].disclosure = 3;
            text.clauses[0].sender_keeps_identity = true;
        }),
        // Two clauses of one direction.
        (&["CLAUSE_COVERED"], |text| with_third(text, |_| {})),
        (&["CLAUSE_COVERED"], |text| with_third(text, |third| third.jurisdictions = vec!["AE-RK".into()])),
        (&["CLAUSE_COVERED"], |text| with_third(text, |third| third.by_name_only = true)),
        (&["CLAUSE_COVERED", "IDENTITY_NEVER"], |text| with_third(text, |third| third.disclosure = 1)),
        (&["CLAUSE_COVERED"], |text| with_third(text, |third| third.clocks = Some(limits(1, 60)))),
        (&["CLAUSES_DIFFER", "IDENTITY_AT_ONCE"], |text| with_third(text, |third| third.disclosure = 3)),
        (&["CLAUSES_DIFFER"], |text| {
            text.clauses[0].by_name_only = true;
            with_third(text, |third| third.by_name_only = false);
        }),
        (&["CLAUSES_DIFFER"], |text| {
            with_third(text, |third| {
                let attachment_bytes_max = 200 * 1024 * 1024;
                third.limits = Some(wire::Limits { attachment_bytes_max, ..wire::Limits::default() });
            });
        }),
        (&["CLAUSES_DIFFER"], |text| {
            with_third(text, |third| {
                third.services.push("health".into());
                third.clocks = Some(limits(1, 60));
            });
        }),
        // They share some, and say the same; or share nothing.
        (&[], |text| with_third(text, |third| third.services.push("health".into()))),
        (&[], |text| {
            with_third(text, |third| {
                third.services = vec!["health".into()];
                third.by_name_only = true;
            });
        }),
        (&[], |text| {
            with_third(text, |third| {
                third.jurisdictions = vec!["JO".into()];
                third.clocks = Some(limits(1, 60));
            });
        }),
    ];
    for (row, (expected, change)) in rows.into_iter().enumerate() {
        assert_eq!(codes(&changed(change).warnings(TimeMs(T0))), expected, "row {row}");
    }
}

/// Clauses that all differ from each other make very many pairs; what the directory refuses is never lost.
#[test]
fn warnings_are_limited_and_the_heaviest_stay() {
    let warnings = changed(|text| {
        for number in 0..200 {
            with_third(text, |third| {
                third.clause_id = format!("clause-{number}");
                third.services.push(format!("s-{number}"));
                third.clocks = Some(limits(1, 60 + number));
            });
        }
        text.valid_until_ms = T0;
    });
    let warnings = warnings.warnings(TimeMs(T0));
    assert_eq!((warnings.len(), warnings[0].code()), (WARNINGS_MAX, "AGREEMENT_ENDED"));
}

/// Agencies with duty desks.
fn duty_desks() -> Network {
    let mut net = Network::new();
    for name in AGENCIES {
        publish(&mut net, name, &[]);
    }
    net
}

fn publish(net: &mut Network, name: &str, services: &[&str]) {
    let offer = |service: &&str| wire::ServiceOffer {
        service: (*service).into(),
        capacity: 1,
        ..wire::ServiceOffer::default()
    };
    let profile = wire::AgencyProfile {
        agency: name.into(),
        duty_phone: "+97140000000".into(),
        offers: services.iter().map(offer).collect(),
        ..wire::AgencyProfile::default()
    };
    net.change(&by(name), Change::Profile(profile), &[name]).accepted();
}

#[test]
#[allow(clippy::too_many_lines, reason = "one row for each warning")]
fn each_warning_beside_the_directory() {
    type Row = (&'static [&'static str], OfNetwork, OfAgreement);
    let rows: Vec<Row> = vec![
        (
            &["PARTY_UNKNOWN"],
            |_| {},
            |text| {
                let office = text.parties[0].clone();
                text.parties.push(wire::Party { agency: "xx.unknown".into(), ..office });
            },
        ),
        (&["AGREEMENT_ENDED"], |_| {}, |text| text.valid_until_ms = T0),
        (
            &["CALENDAR_UNKNOWN"],
            |_| {},
            |text| {
                let calendar = "emirates".into();
                text.clauses[0].clocks = Some(wire::Clocks { calendar, ..limits(2, 60) });
            },
        ),
        (&["CLOCKS_NOT_STRICTER"], |_| {}, |text| text.clauses[0].clocks = Some(limits(1, 3_601))),
        (
            &["REVISION_NOT_NEXT"],
            |_| {},
            |text| {
                text.revision = 2;
                text.supersedes = vec![1; 32];
            },
        ),
        (&["ELSEWHERE_ONLY"], |_| {}, |text| text.clauses[0].jurisdictions.push("JO".into())),
        (&[], |_| {}, |text| text.clauses[0].jurisdictions = vec!["AE-RK".into()]),
        (&["NOT_OFFERED"], |net| publish(net, AMAN, &["shelter"]), |_| {}),
        (&[], |net| publish(net, AMAN, &["shelter", "legal"]), |_| {}),
        (&["OTHER_AGREEMENT"], another, |text| text.clauses.truncate(1)),
        (&[], another, |text| {
            text.clauses.truncate(1);
            text.clauses[0].services = vec!["health".into()];
        }),
        (&[], another, |text| text.clauses.remove(0).clear()),
    ];
    for (row, (expected, of_network, change)) in rows.into_iter().enumerate() {
        let mut net = duty_desks();
        of_network(&mut net);
        let warnings = changed(change).warnings_in(net.writer.state.directory(), TimeMs(T0));
        assert_eq!(codes(&warnings), expected, "row {row}");
    }
    // Nobody to telephone at either, and one that is asked by name only.
    let mut net = Network::new();
    assert_eq!(
        codes(&whole(&sound()).warnings_in(net.writer.state.directory(), TimeMs(T0))),
        ["NO_DUTY_PHONE", "NO_DUTY_PHONE"]
    );
    let police = "ae.police";
    let Change::AdmitAgency(admit) = admission(police) else { panic!("an admission") };
    let admit = Change::AdmitAgency(wire::AdmitAgency { agency_type: "LawEnforcement".into(), ..admit });
    net.change(&by("amal"), admit, &["amal", "badr", police]).accepted();
    let with_police = |by_name_only| {
        changed(|text| {
            text.parties[0].agency = police.into();
            text.clauses.truncate(1);
            let clause = &mut text.clauses[0];
            (clause.from, clause.to, clause.urgencies) = (IOM.into(), police.into(), vec![3]);
            clause.by_name_only = by_name_only;
            text.parties.sort_by(|one, other| one.agency.cmp(&other.agency));
        })
    };
    let directory = net.writer.state.directory();
    assert_eq!(codes(&with_police(false).warnings_in(directory, TimeMs(T0))), ["NOT_BY_NAME_ONLY"]);
    assert_eq!(codes(&with_police(true).warnings_in(directory, TimeMs(T0))), [""; 0]);
}

/// Another agreement of the two, in the first direction only.
fn another(net: &mut Network) {
    let mut text = sound();
    text.agreement_id = EnvelopeId::new(TimeMs(T0), [9; 10]).as_bytes().to_vec();
    text.clauses.truncate(1);
    net.agree(&text);
}

/// The next revision of the sound one.
fn renewal(change: impl FnOnce(&mut wire::Agreement)) -> (Whole, Whole) {
    let former = whole(&sound());
    let next = former.next();
    let new = changed(|text| {
        (text.agreement_id, text.revision, text.supersedes) = (next.id, next.revision, next.of.to_vec());
        change(text);
    });
    (former, new)
}

#[test]
fn each_warning_of_a_renewal() {
    let rows: Vec<(&[&str], OfAgreement)> = vec![
        (&[], |_| {}),
        (&["REVISION_NOT_NEXT"], |text| text.revision = 3),
        (&["REVISION_NOT_NEXT"], |text| text.supersedes = vec![1; 32]),
        (&["REVISION_NOT_NEXT"], |text| {
            text.agreement_id = EnvelopeId::new(TimeMs(T0), [9; 10]).as_bytes().to_vec()
        }),
        (&["REVISION_NOT_NEXT"], |text| {
            text.parties.push(party(MOSD));
        }),
        (&[], |text| (text.valid_from_ms, text.valid_until_ms) = (T0 + 365 * DAY, T0 + 700 * DAY)),
        (&["RENEWAL_GAP"], |text| {
            (text.valid_from_ms, text.valid_until_ms) = (T0 + 365 * DAY + 1, T0 + 700 * DAY)
        }),
        (&["RENEWAL_DROPS"], |text| text.clauses.truncate(1)),
        (&["RENEWAL_DROPS"], |text| text.clauses[0].clause_id = "other".into()),
        (&["RENEWAL_DROPS"], |text| text.clauses[0].disclosure = 1),
        (&["RENEWAL_DROPS", "RENEWAL_DROPS"], |text| {
            let [one, other] = &mut text.clauses[..] else { panic!("two clauses") };
            std::mem::swap(&mut one.clause_id, &mut other.clause_id);
        }),
    ];
    for (row, (expected, change)) in rows.into_iter().enumerate() {
        let (former, new) = renewal(change);
        assert_eq!(codes(&new.warnings_after(&former)), expected, "row {row}");
    }
}

/// The warning says what the rules then do: with the clause gone, no identity goes by it.
#[test]
fn the_identity_that_a_renewal_drops_is_dropped() {
    let rows: [(bool, OfAgreement); 2] = [(true, |_| {}), (false, |text| text.clauses.truncate(1))];
    for (keeps, change) in rows {
        let mut net = Network::new();
        net.agree(&sound());
        let (former, new) = renewal(change);
        net.agree(new.text());
        let clause = code("back");
        let directory = net.writer.state.directory();
        let still = directory.still_discloses(
            (&former.digest(), Some(&clause)),
            (&agency(IOM), &agency(AMAN)),
            TimeMs(T0 + DAY),
        );
        assert_eq!(still, keeps);
        assert_eq!(new.warnings_after(&former).is_empty(), keeps);
    }
}

/// Regression: of an agreement whose renewal had ended, the former's end was told, not the renewal's.
#[test]
fn of_a_renewal_that_has_ended_it_is_told_that_it_has_ended() {
    let mut net = Network::new();
    net.agree(&sound());
    let (former, new) = renewal(|text| text.valid_until_ms = T0 + DAY);
    net.agree(new.text());
    let mut header = net.opening(AMAN, IOM);
    header.category = code("trafficking");
    let directory = net.writer.state.directory();
    let route = |at: u64| directory.route(&header, TimeMs(at));
    assert_eq!(route(T0 + DAY - 1).unwrap().0, new.digest());
    let none = route(T0 + DAY).unwrap_err();
    assert_eq!((none.refusal, none.agreement), (Refusal::AgreementEnded, Some(new.digest())));
    assert_eq!(directory.agreed((&header).into(), TimeMs(T0 + DAY)).unwrap_err(), Refusal::AgreementEnded);
    assert_eq!(
        directory.standing(&former.digest(), TimeMs(T0 + DAY)).err(),
        Some(Refusal::AgreementSuperseded)
    );
}

/// As [`changed`], with one thing of every kind in it.
fn rich() -> Whole {
    changed(|text| {
        let clause = &mut text.clauses[0];
        clause.clocks = Some(wire::Clocks {
            limits: [(1, 1, 120), (1, 2, 900), (1, 3, 7_200), (2, 5, 39_600), (3, 3, 864_000), (3, 6, 45)]
                .map(|(urgency, clock, seconds)| wire::ClockLimit { urgency, clock, seconds })
                .into(),
            calendar: "emirates".into(),
        });
        clause.limits = Some(wire::Limits {
            attachment_bytes_max: 1_000,
            attachments_max: 2,
            envelope_bytes_max: 65_536,
        });
        clause.sender_keeps_identity = true;
        clause.services.push("unheard_of".into());
        clause.kinds.clear();
        text.clauses[1].by_name_only = true;
        text.clauses[1].disclosure = 3;
        text.parties[1].signing_office_ar.clear();
    })
}

/// Every sentence, for reviewers of the Arabic.
#[test]
fn the_words_are_those_that_were_reviewed() {
    let mut said = String::new();
    for language in [Language::English, Language::Arabic] {
        said += &telling::lines(&rich(), language).join("\n");
        said += "\n\n";
        let narrower = renewal(|text| {
            text.clauses[0].services = vec!["shelter".into()];
            text.clauses[1].clause_id = "way-back".into();
            text.retention_days = 2;
            text.valid_until_ms += 365 * DAY;
        });
        said += &telling::changes(&narrower.0, &narrower.1, language).join("\n");
        said += "\n\n";
        for warning in every_warning() {
            said += &format!("{}\n", warning.line(language));
        }
        said += "\n";
    }
    golden_text("agreement.txt", &said);
}

fn every_warning() -> Vec<Warning> {
    use proto::agreement::warning::{
        Difference::{Addressing, Clocks, Disclosure, Files},
        List, Unsaid,
    };
    let clause = || code("there");
    let (from, to, party) = (agency(DFWAC), agency(AMAN), agency(IOM));
    vec![
        Warning::Refused { refusal: Refusal::ClocksNotStricter, clause: Some(clause()) },
        Warning::ListEmpty { clause: clause(), list: List::Services },
        Warning::ClauseCovered { clause: clause(), by: code("other") },
        Warning::ClausesDiffer {
            first: code("other"),
            second: clause(),
            differ: vec![Disclosure, Clocks, Files, Addressing],
        },
        Warning::CodeUnknown { clause: clause(), code: code("traficking"), nearest: Some("trafficking") },
        Warning::CodeUnknown { clause: clause(), code: code("massage"), nearest: None },
        Warning::CodeTooFine { clause: clause(), code: code("servitude"), parent: "trafficking" },
        Warning::ClocksUnused { clause: clause(), urgency: proto::ids::Urgency::Emergency },
        Warning::CalendarUnused { clause: clause() },
        Warning::LimitBeyond { clause: clause() },
        Warning::LimitTooSmall { clause: clause() },
        Warning::LimitOfZero { clause: clause() },
        Warning::KeepsNothing { clause: clause() },
        Warning::NoReturn { from, to: to.clone() },
        Warning::PartyIdle { party: party.clone() },
        Warning::NoOffice { party },
        Warning::Unsaid(Unsaid::Title),
        Warning::Unsaid(Unsaid::LegalBasis),
        Warning::Unsaid(Unsaid::HostingCountry),
        Warning::Unsaid(Unsaid::Paper),
        Warning::Unsaid(Unsaid::Retention),
        Warning::IdentityAtOnce { clause: clause() },
        Warning::IdentityNever { clause: clause() },
        Warning::NotYet { from: TimeMs(T0) },
        Warning::EndsSoon { days: 1 },
        Warning::VeryLong { days: 4_000 },
        Warning::KeptLong { days: 402 },
        Warning::RenewalGap { days: 10 },
        Warning::RenewalDrops { clause: clause() },
        Warning::NotByNameOnly { clause: clause(), to: to.clone() },
        Warning::ElsewhereOnly {
            clause: clause(),
            jurisdiction: proto::ids::Jurisdiction::parse("JO", "jurisdiction").unwrap(),
        },
        Warning::NoDutyPhone { clause: clause(), to: to.clone() },
        Warning::NotOffered { clause: clause(), to, service: code("legal") },
        Warning::OtherAgreement { clause: clause(), agreement: proto::digest::Digest([0xab; 32]) },
    ]
}

/// Codes are stable, so each is of one warning.
#[test]
fn each_warning_has_its_own_code_and_speaks_both_languages() {
    let mut codes = codes(&every_warning());
    codes.sort_unstable();
    codes.dedup();
    // A code that is not known is said with and without one that was perhaps meant.
    assert_eq!(codes.len(), every_warning().len() - 1);
    for warning in every_warning() {
        let (english, arabic) = (warning.line(Language::English), warning.line(Language::Arabic));
        assert!(english.is_ascii() && english.ends_with(['.', '?']), "{english}");
        assert!(arabic.ends_with(['.', '؟']), "{arabic}");
        assert!(outside_isolates(&arabic).is_empty(), "Latin needs isolation: {arabic}");
        for barred in ["مرفوض", "الضحية", "وكيل", "فشل", "هروب", "تحويل", "رفض"]
        {
            assert!(!arabic.contains(barred), "see the glossary: {arabic}");
        }
    }
    for line in telling::lines(&rich(), Language::Arabic).iter().skip(1) {
        assert!(outside_isolates(line).is_empty(), "Latin needs isolation: {line}");
    }
}

/// Latin letters outside of every isolate.
fn outside_isolates(text: &str) -> String {
    let mut depth = 0_u32;
    let outside = text.chars().filter(|c| {
        match c {
            '\u{2068}' => depth += 1,
            '\u{2069}' => depth -= 1,
            _ => {}
        }
        depth == 0 && c.is_ascii_alphabetic()
    });
    outside.collect()
}
