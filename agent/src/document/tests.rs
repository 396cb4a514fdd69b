//! Documents: one that is good, and every flaw.

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
                "channels": ["phone_call"], "never": ["sms", "whatsapp"], "phone_is_shared": true
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
        (document.to.as_str(), document.kind, document.expires_days),
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
    let list = |list, nearest| What::NotInList { list, nearest };
    let rows: Vec<(&str, Value, What)> = vec![
        ("/to", Value::Null, What::Missing),
        ("/to", json!("Aman"), form("an agency id like ae.dfwac")),
        ("/to", json!(7), form("a text")),
        ("/kind", json!("referal"), list(KINDS, Some("referral"))),
        ("/category", json!("Trafficking!"), form("a code like trafficking")),
        ("/service", Value::Null, What::Missing),
        ("/urgency", json!("soon"), list(URGENCIES, None)),
        ("/urgency", json!("urgnt"), list(URGENCIES, Some("urgent"))),
        ("/jurisdiction", json!("uae"), form("a country like JO or a division like AE-RK")),
        ("/expires_days", json!(0), form("a whole number from 1 to 90")),
        ("/expires_days", json!(91), form("a whole number from 1 to 90")),
        ("/catgory", json!("x"), nearest("category")),
        ("/colour", json!("x"), What::Unknown { nearest: None }),
        ("/consent", Value::Null, What::Missing),
        ("/consent", json!([]), form("an object")),
        ("/consent/basis", Value::Null, What::Missing),
        ("/consent/basis", json!("informed"), list(lists::CONSENT_BASES, None)),
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
        ("/summary/risk/level", json!("hihg"), list(lists::RISK_LEVELS, Some("high"))),
        ("/summary/risk/levle", json!("high"), nearest("level")),
        ("/summary/risk/prs_IdentityNumber", json!("1"), What::BelongsToIdentity),
        ("/summary/household/0", json!("x"), form("an object")),
        (
            "/summary/household",
            json!(vec![json!({}); payload::VALUES_MAX + 1]),
            What::TooMany { limit: payload::VALUES_MAX },
        ),
        ("/summary/vic_MethodsOfControl/0", json!("Debt"), list(lists::CONTROL_METHODS, None)),
        ("/summary/prs_NumberOfChildren", json!(-1), form("a whole number")),
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
    for (basis, more, expected) in [
        ("guardian_consent_child_assent", json!({}), needs("child_assent")),
        ("guardian_consent_child_assent", json!({"child_assent": false}), needs("child_assent")),
        ("guardian_consent_child_assent", json!({"child_assent": true}), Ok(())),
        (
            "guardian_consent_child_assent",
            json!({"child_assent": true, "guardian_suspected": true}),
            Err(vec![What::GuardianSuspected]),
        ),
        ("best_interests_of_the_child", json!({}), needs("decided_by")),
        ("best_interests_of_the_child", json!({"decided_by": "the child panel"}), Ok(())),
        ("vital_interest_override", json!({"approved_by": "duty-2"}), needs("justification")),
        (
            "vital_interest_override",
            json!({"approved_by": "duty-2", "justification": "life at risk"}),
            Ok(()),
        ),
        ("legal_obligation", json!({}), Ok(())),
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
    assert_eq!(places(&with("/kind", json!("notice"))), ["/kind"]);
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
    assert!(matches!(flaw.what, What::NotInList { .. }));
    assert_eq!(
        read_part(br#"{"prs_FirstName": "x"}"#, Home::Detail).unwrap_err()[0].what,
        What::BelongsToIdentity
    );
}
