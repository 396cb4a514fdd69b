//! Documents: one that is good, and every flaw.

use proto::{
    payload::{self, telling::Telling},
    vocabulary::{CONSENT_BASES, CONTROL_METHODS, LANGUAGES, RISK_LEVELS},
};
use serde_json::json;

use super::*;

pub(crate) const NOW: TimeMs = TimeMs(1_790_000_000_000);

/// An invented household case.
pub(crate) fn good() -> Value {
    json!({
        "to": "ae-rk.aman",
        "category": "trafficking",
        "service": "shelter",
        "urgency": "urgent",
        "jurisdiction": "AE-RK",
        "expires_days": 30,
        "consent": {
            "basis": "informed_consent_adult",
            "identity_allowed": true,
            "agencies": ["ae-rk.aman", "int.iom.kw"],
            "given_on": "2026-11-20",
            "until": "2027-05-20",
            "con_Consent": true
        },
        "summary": {
            "need": "مأوى آمن لامرأة وطفلين",
            "risk": {"level": "high", "immediate_danger": false, "note": "debt bondage"},
            "safe_contact": {
                "who": "the case worker", "when": "mornings", "language": "ar",
                "channels": ["phone_call"], "never": ["sms", "whatsapp"], "phone_is_shared": true,
                "phone_held_by": ["employer"]
            },
            "household": [
                {"role": "client", "age_group": "25-59", "prs_Gender": "Feminine"},
                {"role": "child", "age_group": "5-11", "vulnerabilities": ["child"]}
            ],
            "vic_MethodsOfControl": ["DebtBondage", "WithholdsDocuments"],
            "prs_PrimaryLanguage": "tgl"
        },
        "identity": {
            "persons": [{
                "role": "client",
                "name": {"given": "فاطمة", "father": "أحمد", "grandfather": "سعيد", "family": "المثال", "latin": "Fatima Ahmed Al Mithal"},
                "prs_Birthdate": "1994-03-02",
                "prs_MobilePhone": "+971501234567",
                "prs_Citizenship": ["PH"]
            }]
        },
        "attachments": [{"file": "letters/report.pdf"}, {"file": "map.txt", "contains_identity": false}]
    })
}

pub(crate) fn files() -> Vec<File> {
    let file = |name: &str| File {
        name: name.into(),
        media_type: String::new(),
        contains_identity: true,
        about: Vec::new(),
        content: b"content".to_vec().into(),
    };
    vec![file("report.pdf"), file("map.txt")]
}

fn read_value(value: &Value) -> Result<Document, Vec<Flaw>> {
    read(value.to_string().as_bytes(), files(), NOW)
}

#[test]
fn a_good_one_is_read_whole() {
    let document = read_value(&good()).unwrap();
    assert_eq!(
        (document.to.as_ref().unwrap().as_str(), document.kind, document.expires_days),
        ("ae-rk.aman", Kind::Referral, 30)
    );
    assert!(document.identity_allowed && document.identity.is_some());
    let media: Vec<_> =
        document.files.iter().map(|file| (file.media_type.as_str(), file.contains_identity)).collect();
    assert_eq!(media, [("application/pdf", true), ("text/plain", false)]);
    assert_eq!(format!("{document:?}"), "Document");
    assert_eq!(files_named(good().to_string().as_bytes()).unwrap(), ["letters/report.pdf", "map.txt"]);
}

/// Changes one thing of the good document: the value at a pointer.
fn with(pointer: &str, value: Value) -> Value {
    let mut document = good();
    let (parent, name) = pointer.rsplit_once('/').unwrap();
    let parent = document.pointer_mut(parent).unwrap();
    match (parent, name.parse::<usize>()) {
        (Value::Array(list), Ok(place)) => list[place] = value,
        (Value::Object(object), _) if value.is_null() => drop(object.remove(name)),
        (Value::Object(object), _) => drop(object.insert(name.into(), value)),
        _ => panic!("{pointer}"),
    }
    document
}

#[test]
#[allow(clippy::too_many_lines, reason = "one row for each flaw")]
fn every_flaw_is_told_at_its_place() {
    let form = |expected| What::Form { expected };
    let nearest = |word| What::Unknown { nearest: Some(word) };
    let code = What::not_a_code;
    let one_of = |vocabulary| What::NotACode { vocabulary, nearest: Vec::new() };
    let rows: Vec<(&str, Value, What)> = vec![
        ("/to", Value::Null, What::Missing),
        ("/to", json!("Aman"), form("an agency id like ae.dfwac, or by_need")),
        ("/to", json!(7), form("a text")),
        ("/kind", json!("referal"), code(KINDS, "referral")),
        ("/category", json!("Trafficking!"), code(CATEGORIES, "trafficking")),
        ("/category", json!("الإتجار بالبشر"), code(CATEGORIES, "trafficking")),
        ("/category", json!("colour"), one_of(CATEGORIES)),
        (
            "/category",
            json!("servitude"),
            What::TooFine { coarse: "trafficking", field: "summary.detailed_category" },
        ),
        (
            "/service",
            json!("sexual_rehab"),
            What::TooFine { coarse: "psychosocial", field: "summary.detailed_services" },
        ),
        ("/service", json!("الإيواء"), code(SERVICES, "shelter")),
        ("/service", Value::Null, What::Missing),
        ("/urgency", json!("soon"), one_of(URGENCIES)),
        ("/urgency", json!("urgnt"), code(URGENCIES, "urgnt")),
        ("/jurisdiction", json!("uae"), form("a country like JO or a division like AE-RK")),
        ("/expires_days", json!(0), form("a whole number from 1 to 90")),
        ("/expires_days", json!(91), form("a whole number from 1 to 90")),
        ("/catgory", json!("x"), nearest("category")),
        ("/colour", json!("x"), What::Unknown { nearest: None }),
        ("/consent", Value::Null, What::Missing),
        ("/consent", json!([]), form("an object")),
        ("/consent/basis", Value::Null, What::Missing),
        ("/consent/basis", json!("informed"), code(CONSENT_BASES, "informed")),
        ("/consent/basis", json!("x"), one_of(CONSENT_BASES)),
        ("/consent/given_on", Value::Null, What::BasisNeeds { field: "given_on" }),
        ("/consent/identity_allowed", Value::Null, What::Missing),
        ("/consent/identity_allowed", json!("yes"), form("true or false")),
        ("/consent/agencies", json!(["int.iom.kw"]), What::NotConsentedTo),
        ("/consent/agencies", json!("ae-rk.aman"), form("a list of agency ids like ae.dfwac")),
        ("/consent/until", json!("2026-09-20"), What::ConsentEnded),
        ("/consent/until", json!("soon"), form("a date like 2026-11-22")),
        ("/consent/con_Consent", json!(false), What::NoConsent),
        ("/summary", Value::Null, What::Missing),
        ("/summary/need", Value::Null, What::Missing),
        ("/summary/need", json!(" "), form("a text")),
        (
            "/summary/need",
            json!("x".repeat(payload::TEXT_BYTES_MAX + 1)),
            What::TooLarge { limit: payload::TEXT_BYTES_MAX },
        ),
        ("/summary/neeed", json!("x"), nearest("need")),
        ("/summary/prs_FirstName", json!("x"), What::BelongsToIdentity),
        ("/summary/persons", json!([]), What::BelongsToIdentity),
        ("/summary/basis", json!("x"), What::OtherSection),
        ("/summary/shelter_address", json!("x"), What::Barred),
        ("/summary/hte_City", json!("x"), What::Barred),
        ("/summary/risk/level", json!("hihg"), code(RISK_LEVELS, "hihg")),
        ("/summary/risk/levle", json!("high"), nearest("level")),
        ("/summary/risk/prs_IdentityNumber", json!("1"), What::BelongsToIdentity),
        ("/summary/household/0", json!("x"), form("an object")),
        (
            "/summary/household",
            json!(vec![json!({}); payload::VALUES_MAX + 1]),
            What::TooMany { limit: payload::VALUES_MAX },
        ),
        ("/summary/vic_MethodsOfControl/0", json!("Debt"), code(CONTROL_METHODS, "Debt")),
        ("/summary/prs_NumberOfChildren", json!(-1), form("a whole number")),
        ("/summary/safe_contact", Value::Null, What::Missing),
        ("/summary/safe_contact/when", Value::Null, What::Missing),
        ("/summary/safe_contact/never", Value::Null, What::Missing),
        ("/summary/safe_contact/phone_held_by", Value::Null, What::Missing),
        ("/summary/safe_contact/phone_held_by", json!([]), What::Missing),
        ("/summary/safe_contact/language", json!("Arabic"), code(LANGUAGES, "Arabic")),
        ("/summary/safe_contact/language", json!("Xyzzy!"), form("a language code like ar")),
        ("/summary/need", json!("call 04 222 2222"), What::Tells(Telling::Phone)),
        ("/summary/risk/note", json!("رقمه ٠٥٠-٧٦٥٤٣٢١"), What::Tells(Telling::Phone)),
        ("/summary/safe_contact/who", json!("noor@example.org"), What::Tells(Telling::Address)),
        ("/summary/accessibility", json!("card 784-1991-7654321-1"), What::Tells(Telling::IdNumber)),
        ("/consent/decided_by", json!("Ahmed's uncle"), What::RepeatsIdentity),
        ("/summary/need", json!("born 2/3/1994"), What::RepeatsIdentity),
        ("/summary/need", json!("for fatima and two children"), What::RepeatsIdentity),
        ("/summary/need", json!("مأوى لفاطمه"), What::RepeatsIdentity),
        ("/summary/need", json!("call ٩٧١٥٠١٢٣٤٥٦٧"), What::RepeatsIdentity),
        ("/summary/need", json!("call 050-123 45 67"), What::RepeatsIdentity),
        ("/summary/safe_contact/note", json!("ask for AHMED Al Mithal"), What::RepeatsIdentity),
        ("/identity", json!("x"), form("an object")),
        ("/identity/prs_MailingStreet", json!("x"), What::Barred),
        ("/identity/need", json!("x"), What::OtherSection),
        ("/identity/persons/0/prs_Birthdate", json!("2.3.94"), form("a date like 2026-11-22")),
        ("/identity/persons/0/name/giben", json!("x"), nearest("given")),
        ("/identity/persons/0/prs_MailingCity", json!("x"), What::Barred),
        ("/attachments", json!({}), form("a list of objects")),
        ("/attachments/0", json!("x"), form("an object")),
        ("/attachments/0/file", Value::Null, What::Missing),
        ("/attachments/0/file", json!("other.pdf"), What::FileMissing),
        ("/attachments/0/media_type", json!("pdf"), form("a media type like application/pdf")),
        ("/attachments/0/contains_identity", json!("no"), form("true or false")),
        ("/attachments/0/nmae", json!("x"), What::Unknown { nearest: None }),
    ];
    for (pointer, value, what) in rows {
        let flaws = read_value(&with(pointer, value.clone())).expect_err(pointer);
        let found = Flaw::new(pointer, what);
        assert!(
            flaws.contains(&found),
            "{pointer} {value}: {:?}",
            flaws.iter().map(|flaw| (&flaw.pointer, &flaw.what)).collect::<Vec<_>>()
        );
        for flaw in flaws {
            assert!(
                !flaw.text_en().is_empty()
                    && flaw.text_ar().contains(|c: char| ('\u{620}'..'\u{64b}').contains(&c))
            );
        }
    }
}

#[test]
fn what_a_basis_needs() {
    let with_basis = |basis: &str, more: Value| {
        let mut document = good();
        let consent = document["consent"].as_object_mut().unwrap();
        consent.insert("basis".into(), json!(basis));
        consent.extend(more.as_object().unwrap().clone());
        read_value(&document)
            .map(|_| ())
            .map_err(|flaws| flaws.into_iter().map(|flaw| flaw.what).collect::<Vec<_>>())
    };
    let needs = |field| Err(vec![What::BasisNeeds { field }]);
    let assents = |suspected: bool| json!({"child_assent": true, "guardian_suspected": suspected});
    for (basis, more, expected) in [
        ("guardian_consent_child_assent", json!({"guardian_suspected": false}), needs("child_assent")),
        (
            "guardian_consent_child_assent",
            json!({"child_assent": false, "guardian_suspected": false}),
            needs("child_assent"),
        ),
        (
            "guardian_consent_child_assent",
            json!({"child_assent": true}),
            Err(vec![What::BasisAsks { field: "guardian_suspected" }]),
        ),
        ("guardian_consent_child_assent", assents(false), Ok(())),
        ("guardian_consent_child_assent", assents(true), Err(vec![What::GuardianSuspected])),
        ("best_interests_of_the_child", json!({"guardian_suspected": true}), needs("decided_by")),
        ("best_interests_of_the_child", json!({"decided_by": "the child panel"}), Ok(())),
        ("vital_interest_override", json!({"approved_by": "duty-2"}), needs("justification")),
        ("vital_interest_override", json!({"justification": "life at risk"}), needs("approved_by")),
        (
            "vital_interest_override",
            json!({"approved_by": "duty-2", "justification": "life at risk"}),
            Ok(()),
        ),
        ("legal_obligation", json!({}), needs("legal_reference")),
        ("legal_obligation", json!({"legal_reference": "Law 51/2006, article 12"}), Ok(())),
    ] {
        assert_eq!(with_basis(basis, more), expected, "{basis}");
    }
    let duty = with_basis("duty_to_notify_no_identity", json!({})).unwrap_err();
    assert!(duty.contains(&What::IdentityNotAllowed));
}

#[test]
fn identity_and_files_go_only_where_she_let_them() {
    let mut without = with("/consent/identity_allowed", json!(false));
    let places = |document: &Value| {
        let flaws = read_value(document).err().unwrap_or_default();
        flaws.into_iter().map(|flaw| flaw.pointer).collect::<Vec<_>>()
    };
    assert_eq!(places(&without), ["/identity", "/attachments"]);
    without.as_object_mut().unwrap().remove("identity");
    assert_eq!(places(&without), ["/attachments"]);
    without["attachments"][0]["contains_identity"] = json!(false);
    assert_eq!(places(&without), [""; 0]);

    assert_eq!(places(&with("/consent/data", json!(["summary"]))), ["/identity", "/attachments"]);
    assert_eq!(places(&with("/consent/data", json!(["summary", "identity", "attachments"]))), [""; 0]);
}

/// A document of another kind, with nothing but what its kind needs.
fn of_kind(kind: &str, more: &Value) -> Value {
    let mut document = json!({
        "to": "ae-rk.aman", "kind": kind, "category": "trafficking", "service": "shelter",
        "urgency": "urgent", "jurisdiction": "AE-RK", "summary": {}
    });
    document.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    document
}

/// A kind, what its document has beside the header, and the flaws of that.
type KindRow = (&'static str, Value, Vec<(&'static str, What)>);

#[test]
#[allow(clippy::too_many_lines, reason = "one row for each rule")]
fn every_kind_carries_what_its_shape_says() {
    use What::{IdentityNotAllowed, Missing, NotOfKind, NoticeIsCodedOnly};
    let either = || What::NeedsOneOf { fields: &["signs", "need"] };
    let coded = json!({"detailed_category": "servitude"});
    let consent = json!({
        "basis": "informed_consent_adult", "identity_allowed": true, "given_on": "2026-11-20"
    });
    let identity = json!({"persons": [{"role": "client"}]});
    let rows: Vec<KindRow> = vec![
        ("suspicion_report", json!({}), vec![("/summary", either())]),
        ("suspicion_report", json!({"summary": {"signs": []}}), vec![("/summary", either())]),
        ("suspicion_report", json!({"summary": {"signs": ["no_documents"]}}), vec![]),
        ("suspicion_report", json!({"summary": {"need": "two men hold her papers"}}), vec![]),
        (
            "suspicion_report",
            json!({"summary": {"need": "x", "identity": 1, "spl_Objectives": "x"}}),
            vec![
                ("/summary/identity", What::Unknown { nearest: None }),
                ("/summary/spl_Objectives", NotOfKind),
            ],
        ),
        (
            "suspicion_report",
            json!({"summary": {"signs": ["fear"]}, "identity": identity}),
            vec![("/identity", IdentityNotAllowed)],
        ),
        (
            "suspicion_report",
            json!({"summary": {"signs": ["fear"]}, "identity": identity, "consent": consent}),
            vec![],
        ),
        ("notice", json!({}), vec![("/summary/detailed_category", Missing)]),
        ("notice", json!({"summary": coded}), vec![]),
        (
            "notice",
            json!({"summary": {"detailed_category": "servitude", "need": "x", "risk": {"level": "high", "note": "x"}}}),
            vec![("/summary/need", NoticeIsCodedOnly), ("/summary/risk/note", NoticeIsCodedOnly)],
        ),
        (
            "notice",
            json!({"summary": {"detailed_category": "servitude", "household": [{"role": "client", "note": "x"}]}}),
            vec![
                ("/summary/household/0/note", What::Unknown { nearest: Some("role") }),
                ("/summary/household/0/note", NoticeIsCodedOnly),
            ],
        ),
        (
            "notice",
            json!({"summary": coded, "identity": identity, "consent": consent}),
            vec![("/identity", NoticeIsCodedOnly)],
        ),
        ("document", json!({"summary": {"document_type": "report"}}), vec![("/attachments", Missing)]),
        ("message", json!({}), vec![("/summary/message", Missing)]),
        ("message", json!({"summary": {"message": "The office is closed on Thursday."}}), vec![]),
        (
            "message",
            json!({"summary": {"message": "Call 0501234567"}}),
            vec![("/summary/message", What::Tells(Telling::Phone))],
        ),
        (
            "message",
            json!({"summary": {"message": "x", "document_type": "report"}, "identity": identity, "consent": consent}),
            vec![("/identity", NotOfKind), ("/summary/document_type", NotOfKind)],
        ),
    ];
    for (kind, more, expected) in rows {
        let document = of_kind(kind, &more);
        let flaws = read(document.to_string().as_bytes(), Vec::new(), NOW).err().unwrap_or_default();
        let found: Vec<_> = flaws.iter().map(|flaw| (flaw.pointer.as_str(), flaw.what.clone())).collect();
        assert_eq!(found, expected, "{kind} {more}");
    }
}

#[test]
fn files_go_with_a_document_and_with_no_notice() {
    let read = |kind: &str, more: Value, files: Vec<File>| {
        let flaws = read(of_kind(kind, &more).to_string().as_bytes(), files, NOW).err().unwrap_or_default();
        flaws.into_iter().map(|flaw| (flaw.pointer, flaw.what)).collect::<Vec<_>>()
    };
    let file = |contains_identity| vec![File { contains_identity, ..files().remove(0) }];
    let typed = || json!({"summary": {"document_type": "statistics"}});
    let at_files = |what| vec![("/attachments".to_owned(), what)];
    assert_eq!(read("document", typed(), file(false)), vec![]);
    assert_eq!(read("document", typed(), file(true)), at_files(What::IdentityNotAllowed));
    let coded = json!({"summary": {"detailed_category": "servitude"}});
    assert_eq!(read("notice", coded, file(false)), at_files(What::NoticeIsCodedOnly));
    let said = json!({"summary": {"message": "x"}});
    assert_eq!(read("message", said, file(false)), at_files(What::NotOfKind));
}

#[test]
fn the_name_of_a_file_that_is_read_at_once_tells_nobody() {
    let mut came = files();
    came[1].name = "fatima.txt".into();
    let mut document = good();
    document["attachments"][1]["file"] = json!("fatima.txt");
    let flaws = read(document.to_string().as_bytes(), came, NOW).unwrap_err();
    let found: Vec<_> = flaws.iter().map(|flaw| (flaw.pointer.as_str(), &flaw.what)).collect();
    assert_eq!(found, [("/attachments/1", &What::FileNameTells)]);
}

/// The examples that the product shows are good ones.
#[test]
fn the_examples_are_read_whole() {
    let folder = std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/demo"));
    for (name, kind) in [
        ("case.json", Kind::Referral),
        ("suspicion.json", Kind::SuspicionReport),
        ("notice.json", Kind::Notice),
        ("document.json", Kind::Document),
        ("message.json", Kind::Message),
    ] {
        let text = std::fs::read(folder.join(name)).unwrap();
        let files = files_named(&text).unwrap().into_iter().map(|name| File {
            content: Content::Here(std::fs::read(folder.join(&name)).unwrap()),
            name,
            media_type: String::new(),
            contains_identity: true,
            about: Vec::new(),
        });
        let read = read(&text, files.collect(), NOW);
        let read = read.unwrap_or_else(|flaws| {
            panic!("{name}: {:?}", flaws.iter().map(|flaw| (&flaw.pointer, &flaw.what)).collect::<Vec<_>>())
        });
        assert_eq!(read.kind, kind, "{name}");
    }
}

#[test]
fn the_documents_example_is_read_whole() {
    let readme = include_str!("../../README.md");
    let (_, example) = readme.split_once("```json").unwrap();
    let (example, _) = example.split_once("```").unwrap();
    let mut files = files();
    files[1].name = "form.pdf".into();
    let read = read(example.as_bytes(), files, NOW);
    let flaws = read.err().unwrap_or_default();
    assert!(
        flaws.is_empty(),
        "{:?}",
        flaws.iter().map(|flaw| (&flaw.pointer, &flaw.what)).collect::<Vec<_>>()
    );
}

#[test]
fn the_fields_of_an_act_tell_nobody_before_anybody_accepts() {
    let identity = json!({"identity": good()["identity"]}).to_string();
    let found = |fields: Value, identity: Option<&str>| {
        let flaws = tells_early(fields.as_object().unwrap(), identity.map(str::as_bytes));
        flaws.into_iter().map(|flaw| (flaw.pointer, flaw.what)).collect::<Vec<_>>()
    };
    let answer = json!({"answer": "Fatima can come tomorrow"});
    assert_eq!(found(answer.clone(), None), vec![], "nobody knows her name");
    assert_eq!(found(answer, Some(&identity)), vec![("/answer".to_owned(), What::RepeatsIdentity)]);
    let note = json!({"safe_contact": {"note": "050 765 43 21"}});
    assert_eq!(found(note, None), vec![("/safe_contact/note".to_owned(), What::Tells(Telling::Phone))]);
}

/// Every field of the table in every section: only where it is at home.
#[test]
fn a_field_stands_only_where_it_is_at_home() {
    let homes = [("consent", Home::Consent), ("summary", Home::Summary), ("identity", Home::Identity)];
    for field in payload::FIELDS {
        for (section, home) in homes {
            let mut document = good();
            document[section][field.name] = json!(null);
            let flaws = read_value(&document).expect_err(field.name);
            let at = format!("/{section}/{}", field.name);
            let whats: Vec<_> =
                flaws.iter().filter(|flaw| flaw.pointer == at).map(|flaw| &flaw.what).collect();
            let misplaced = [What::BelongsToIdentity, What::OtherSection, What::Barred];
            assert_eq!(
                whats.iter().any(|what| misplaced.contains(what)),
                !field.home.fits(home),
                "{at}: {whats:?}"
            );
            assert!(!whats.is_empty(), "{at}");
        }
    }
}

#[test]
fn a_change_of_contact_is_whole() {
    let read = |contact: Value| {
        let text = json!({"safe_contact": contact}).to_string();
        let flaws = read_part(text.as_bytes(), Home::Summary).err().unwrap_or_default();
        flaws.into_iter().map(|flaw| (flaw.pointer, flaw.what)).collect::<Vec<_>>()
    };
    let whole = json!({
        "who": "the case worker", "when": "never by day", "language": "ar", "never": ["sms"],
        "phone_is_shared": false
    });
    assert_eq!(read(whole.clone()), vec![]);
    let mut without = whole;
    without.as_object_mut().unwrap().remove("never");
    assert_eq!(read(without), vec![("/safe_contact/never".to_owned(), What::Missing)]);
}

#[test]
fn what_is_no_document_at_all() {
    let first = |text: &[u8]| read(text, Vec::new(), NOW).unwrap_err().remove(0).what;
    assert_eq!(first(b"{\"to\": }"), What::NotJson { line: 1, column: 8 });
    assert!(matches!(first(br#"{"to": "a", "to": "b"}"#), What::Twice { line: 1, .. }));
    assert!(matches!(first(br#"{"summary": {"need": "a", "need": "b"}}"#), What::Twice { .. }));
    assert_eq!(first(b"[]"), What::Form { expected: "an object" });
    assert_eq!(first(&vec![b' '; DOCUMENT_BYTES_MAX + 1]), What::TooLarge { limit: DOCUMENT_BYTES_MAX });
    let many = (0..=ATTACHMENTS_MAX).map(|_| files().remove(0)).collect();
    let flaws = read(good().to_string().as_bytes(), many, NOW).unwrap_err();
    assert!(flaws.iter().any(|flaw| flaw.what == What::TooMany { limit: ATTACHMENTS_MAX }));
}

#[test]
fn no_flaw_repeats_what_stood_there() {
    let flaws = read_value(&with("/summary/need", json!("for Fatima"))).unwrap_err();
    let told: String =
        flaws.iter().map(|flaw| format!("{flaw:?}{}{}", flaw.text_en(), flaw.text_ar())).collect();
    assert!(!told.contains("Fatima") && !told.contains("/summary"), "{told}");
}

#[test]
fn days() {
    for (day, ms) in [
        ("1970-01-01", 0),
        ("2000-02-29", 951_782_400_000),
        ("2024-12-31", 1_735_603_200_000),
        ("2026-09-21", 1_790_000_000_000),
    ] {
        assert_eq!(consent::today(TimeMs(ms)), day);
    }
}

#[test]
fn details_of_acts() {
    assert!(read_part(br#"{"reason": "no_capacity", "note": "full until May"}"#, Home::Detail).is_ok());
    let flaw = read_part(br#"{"reason": "full"}"#, Home::Detail).unwrap_err().remove(0);
    assert!(matches!(flaw.what, What::NotACode { .. }));
    assert_eq!(
        read_part(br#"{"prs_FirstName": "x"}"#, Home::Detail).unwrap_err()[0].what,
        What::BelongsToIdentity
    );
}
