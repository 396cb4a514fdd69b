//! Agreements at their boundaries: each thing that a clause allows, and its neighbour that it does not.

use prost::Message as _;
use proto::{
    agreement::{ATTACHMENT_BYTES_DEFAULT, Agreement, Need},
    digest::Digest,
    header::{Header, Part},
    ids::{Addressing, Jurisdiction, Kind, PartClass, Release, Storage, TimeMs, Urgency},
    refusal::Refusal::{self, *},
    wire::{self, Disclosure},
};

use crate::network::*;

type OfClause = fn(&mut wire::Clause);

fn permits(text: &wire::Agreement, header: &Header, now: u64) -> Result<String, Refusal> {
    let agreement = Agreement::parse(&text.encode_to_vec()).unwrap();
    agreement.permits(header, TimeMs(now)).map(|clause| clause.clause_id.to_string())
}

/// An agreement and an opening from `ae-rk.aman` to `int.iom.kw`, which its first clause allows.
fn base() -> (wire::Agreement, Header) {
    (agreement(AMAN, IOM), Network::empty().opening(AMAN, IOM))
}

fn in_clause(change: impl FnOnce(&mut wire::Clause), header: impl FnOnce(&mut Header)) -> Option<Refusal> {
    let (mut text, mut opening) = base();
    change(&mut text.clauses[0]);
    header(&mut opening);
    permits(&text, &opening, T0).err()
}

#[test]
fn the_first_and_the_last_millisecond() {
    let (mut text, header) = base();
    (text.valid_from_ms, text.valid_until_ms) = (T0, T0 + 10);
    assert_eq!(permits(&text, &header, T0 - 1), Err(AgreementNotYet));
    assert_eq!(permits(&text, &header, T0), Ok("there".into()));
    assert_eq!(permits(&text, &header, T0 + 9), Ok("there".into()));
    assert_eq!(permits(&text, &header, T0 + 10), Err(AgreementEnded));
}

#[test]
fn what_each_list_allows() {
    let jurisdiction = |text: &str| Jurisdiction::parse(text, "jurisdiction").unwrap();
    assert_eq!(in_clause(|_| {}, |_| {}), None);
    assert_eq!(
        in_clause(|_| {}, |header| std::mem::swap(&mut header.from, &mut header.to)),
        None,
        "the way back"
    );
    assert_eq!(in_clause(|_| {}, |header| header.to = agency(MOSD)), Some(DirectionNotAgreed));
    assert_eq!(in_clause(|clause| clause.kinds = vec![2], |_| {}), Some(KindNotAgreed));
    assert_eq!(
        in_clause(|clause| clause.kinds = vec![2], |header| header.kind = Kind::SuspicionReport),
        None
    );
    assert_eq!(in_clause(|clause| clause.categories = vec!["violence".into()], |_| {}), None);
    assert_eq!(in_clause(|_| {}, |header| header.category = code("violence-child")), Some(CategoryNotAgreed));
    assert_eq!(in_clause(|clause| clause.services = vec!["legal".into()], |_| {}), Some(ServiceNotAgreed));
    assert_eq!(in_clause(|clause| clause.urgencies = vec![1], |_| {}), Some(UrgencyNotAgreed));
    assert_eq!(
        in_clause(|clause| clause.urgencies = vec![1], |header| header.urgency = Urgency::Emergency),
        None
    );
    for (agreed, said, refused) in [
        ("AE", "AE", false),
        ("AE", "AE-RK", false),
        ("AE-RK", "AE-RK", false),
        ("AE-RK", "AE", true),
        ("AE-RK", "AE-DU", true),
        ("JO", "AE-RK", true),
    ] {
        let given = in_clause(
            |clause| clause.jurisdictions = vec![agreed.into()],
            |header| header.jurisdiction = jurisdiction(said),
        );
        assert_eq!(given, refused.then_some(JurisdictionNotAgreed), "{agreed} {said}");
    }
}

#[test]
fn an_empty_list_allows_nothing() {
    let rows: [(OfClause, Refusal); 5] = [
        (|clause| clause.kinds.clear(), KindNotAgreed),
        (|clause| clause.categories.clear(), CategoryNotAgreed),
        (|clause| clause.services.clear(), ServiceNotAgreed),
        (|clause| clause.urgencies.clear(), UrgencyNotAgreed),
        (|clause| clause.jurisdictions.clear(), JurisdictionNotAgreed),
    ];
    for (change, expected) in rows {
        assert_eq!(in_clause(change, |_| {}), Some(expected));
    }
}

#[test]
fn by_name_only() {
    let by_need = |header: &mut Header| {
        header.addressing = Addressing::ByNeed;
        header.mechanism = Some(Digest::of(b"mechanism"));
        header.rule = Some(code("rule"));
    };
    assert_eq!(in_clause(|clause| clause.by_name_only = true, |_| {}), None);
    assert_eq!(in_clause(|clause| clause.by_name_only = true, by_need), Some(OnlyByName));
    assert_eq!(in_clause(|_| {}, by_need), None);
}

#[test]
fn disclosure_by_release_by_consent() {
    use Release::{AtOnce, OnAcceptance};
    let (not, early) = (Some(IdentityNotAllowed), Some(IdentityTooEarly));
    let rows = [
        (Disclosure::Never, true, AtOnce, not),
        (Disclosure::Never, true, OnAcceptance, not),
        (Disclosure::OnAcceptance, true, AtOnce, early),
        (Disclosure::OnAcceptance, true, OnAcceptance, None),
        (Disclosure::AtOnce, true, AtOnce, None),
        (Disclosure::AtOnce, true, OnAcceptance, None),
        (Disclosure::Never, false, AtOnce, not),
        (Disclosure::OnAcceptance, false, OnAcceptance, not),
        (Disclosure::OnAcceptance, false, AtOnce, not),
        (Disclosure::AtOnce, false, AtOnce, not),
    ];
    for (disclosure, consent, release, expected) in rows {
        let clause = |clause: &mut wire::Clause| clause.disclosure = disclosure.into();
        let given = in_clause(clause, |header| {
            header.identity_allowed = consent;
            header.parts[1].release = release;
        });
        assert_eq!(given, expected, "{} consent {consent} {release:?}", disclosure.as_str_name());
        // Every other class travels under any disclosure and without that consent.
        for class in PartClass::ALL.iter().filter(|class| **class != PartClass::Identity) {
            let given = in_clause(clause, |header| {
                header.identity_allowed = consent;
                header.parts[1].release = release;
                header.parts[1].class = *class;
            });
            assert_eq!(given, None, "{class:?}");
        }
    }
    // Parked for a fallback it is judged by the fallback's own clause; its turn alone is no acceptance.
    for (release, expected) in [(OnAcceptance, None), (Release::OnTurn, not), (AtOnce, not)] {
        let given = in_clause(
            |clause| clause.disclosure = 3,
            |header| (header.parts[1].recipient, header.parts[1].release) = (Some(agency(MOSD)), release),
        );
        assert_eq!(given, expected, "to a fallback, {release:?}");
    }
}

#[test]
fn what_the_sender_keeps_is_neither_sent_nor_parked() {
    use Release::{AtOnce, OnAcceptance};
    for disclosure in [2, 3] {
        let keeps = |clause: &mut wire::Clause| {
            (clause.disclosure, clause.sender_keeps_identity) = (disclosure, true);
        };
        for (class, release, expected) in [
            (PartClass::Identity, AtOnce, Some(IdentityTooEarly)),
            (PartClass::Identity, OnAcceptance, Some(IdentityTooEarly)),
            (PartClass::Attachment, OnAcceptance, Some(IdentityTooEarly)),
            (PartClass::Attachment, AtOnce, None),
            (PartClass::Detail, AtOnce, None),
        ] {
            let given = in_clause(keeps, |header| {
                header.identity_allowed = true;
                (header.parts[1].class, header.parts[1].release) = (class, release);
            });
            assert_eq!(given, expected, "{class:?} {release:?}");
            let to_fallback = in_clause(keeps, |header| {
                header.identity_allowed = true;
                (header.parts[1].class, header.parts[1].release) = (class, release);
                header.parts[1].recipient = Some(agency(MOSD));
            });
            let its_own_clause = class == PartClass::Identity && release == AtOnce;
            assert_eq!(to_fallback, its_own_clause.then_some(IdentityNotAllowed), "{class:?} {release:?}");
        }
    }
}

#[test]
fn sizes_and_numbers_of_attachments() {
    let attachments = |count: usize, length_bytes| {
        move |header: &mut Header| {
            let attachment = part(PartClass::Attachment, Release::AtOnce, IOM, "file");
            let attachment = Part { length_bytes, storage: Storage::Uploaded, ..attachment };
            header.parts.extend(vec![attachment; count]);
        }
    };
    let limits_of = |attachment_bytes_max, attachments_max, envelope_bytes_max| {
        move |clause: &mut wire::Clause| {
            clause.limits = Some(wire::Limits { attachment_bytes_max, attachments_max, envelope_bytes_max });
        }
    };
    let limits = |bytes, count| limits_of(bytes, count, 0);
    assert_eq!(in_clause(|_| {}, attachments(16, ATTACHMENT_BYTES_DEFAULT)), None);
    assert_eq!(in_clause(|_| {}, attachments(17, 1)), Some(PartTooLarge));
    assert_eq!(in_clause(|_| {}, attachments(1, ATTACHMENT_BYTES_DEFAULT + 1)), Some(PartTooLarge));
    assert_eq!(in_clause(limits(10, 1), attachments(1, 10)), None);
    assert_eq!(in_clause(limits(10, 1), attachments(1, 11)), Some(PartTooLarge));
    assert_eq!(in_clause(limits(10, 1), attachments(2, 10)), Some(PartTooLarge));
    assert_eq!(in_clause(limits(0, 0), attachments(16, ATTACHMENT_BYTES_DEFAULT)), None, "0 is the default");
    assert_eq!(
        in_clause(limits(10, 1), |header| header.parts[0].length_bytes = 11),
        None,
        "a summary is none"
    );
    // What travels in the envelope for one recipient, all of it together; uploaded files do not.
    let (_, header) = base();
    let inline: u64 = header.parts.iter().map(|part| part.length_bytes).sum();
    assert_eq!(in_clause(limits_of(0, 0, inline), |_| {}), None);
    assert_eq!(in_clause(limits_of(0, 0, inline - 1), |_| {}), Some(PartTooLarge));
    assert_eq!(in_clause(limits_of(0, 0, inline), attachments(1, 10)), None);
    let with_inline = |header: &mut Header| {
        let file = part(PartClass::Attachment, Release::AtOnce, IOM, "file");
        header.parts.push(Part { length_bytes: 1, storage: Storage::Inline, ..file });
    };
    assert_eq!(in_clause(limits_of(0, 0, inline), with_inline), Some(PartTooLarge));
}

#[test]
fn of_several_clauses_one_must_allow_all_of_it() {
    let (mut text, header) = base();
    let services_only =
        wire::Clause { clause_id: "one".into(), categories: vec!["other".into()], ..clause("", AMAN, IOM) };
    let category_only =
        wire::Clause { clause_id: "two".into(), services: vec!["other".into()], ..clause("", AMAN, IOM) };
    text.clauses = vec![services_only, category_only];
    assert_eq!(
        permits(&text, &header, T0),
        Err(ServiceNotAgreed),
        "two halves are no whole; the closest tells"
    );
    text.clauses.push(clause("three", AMAN, IOM));
    text.clauses.push(clause("four", AMAN, IOM));
    assert_eq!(permits(&text, &header, T0), Ok("three".into()), "the first that allows it");
}

/// Regression: where the first recipient was asked by name, a fallback could be one that is never
/// chosen but by name.
#[test]
fn a_fallback_is_never_one_that_is_asked_by_name_only() {
    let mut net = Network::new();
    let mut text = agreement(AMAN, IOM);
    for clause in &mut text.clauses {
        clause.by_name_only = true;
    }
    net.agree(&text);
    net.agree(&agreement(AMAN, MOSD));
    let mut header = net.opening(AMAN, MOSD);
    header.fallbacks = vec![agency(IOM)];
    assert_refused(&net.push(&header), FallbackNotAgreed, "fallbacks", true, "police as a fallback");
    let mut header = net.opening(AMAN, MOSD);
    header.fallbacks = vec![agency(DFWAC)];
    net.push(&header).accepted();
}

/// Regression: evidence names the clause; two of one name would leave open which it was.
#[test]
fn one_name_one_clause_one_rule() {
    let (mut text, _) = base();
    text.clauses[1].clause_id = text.clauses[0].clause_id.clone();
    assert!(Agreement::parse(&text.encode_to_vec()).is_err());
    let mut rules = mechanism(1);
    rules.rules.push(rules.rules[0].clone());
    assert!(proto::mechanism::Mechanism::parse(&rules.encode_to_vec()).is_err());
}

#[test]
fn by_need_goes_where_the_rule_leads() {
    let mut net = Network::new();
    let digest = object_digest(proto::dsse::PayloadType::Mechanism, &mechanism(1).encode_to_vec());
    let rows: [(&str, OfHeader, bool); 5] = [
        (AMAN, |_| {}, true),
        (MOSD, |_| {}, false),
        (AMAN, |header| header.rule = Some(code("other")), false),
        (AMAN, |header| header.service = code("legal"), false),
        (AMAN, |header| header.jurisdiction = Jurisdiction::parse("AE", "jurisdiction").unwrap(), false),
    ];
    for (to, change, leads) in rows {
        let mut header = net.opening(DFWAC, to);
        header.addressing = Addressing::ByNeed;
        header.mechanism = Some(digest);
        header.rule = Some(code("shelter-rak"));
        change(&mut header);
        let answer = net.push(&header);
        if leads {
            assert_eq!(answer.events()[1], proto::evidence::Event::Routed);
        } else {
            assert_eq!(answer.refused().map(|(refusal, _)| refusal), Some(MechanismChanged), "{to}");
        }
    }
    net.writer.check();
}

/// Whom the sender's agent may choose: every rule's recipients in order, each with what keeps it away.
#[test]
fn candidates_are_those_whom_the_rules_name_in_their_order() {
    let mut net = Network::new();
    let opening = net.opening(DFWAC, AMAN);
    let found = |net: &Network, header: &Header, holds: bool| -> Vec<(String, String, Option<Refusal>)> {
        let state = &net.writer.state;
        let candidates = state.directory().candidates(header.into(), |_| holds, state.now());
        let row = |one: proto::directory::candidates::Candidate<'_>| {
            (one.rule.to_string(), one.recipient.to_string(), one.route.err())
        };
        candidates.into_iter().map(row).collect()
    };
    let row = |recipient: &str, refusal| ("shelter-rak".to_owned(), recipient.to_owned(), refusal);
    let iom = net
        .writer
        .state
        .directory()
        .agreed(Need { to: &agency(IOM), ..(&opening).into() }, net.writer.state.now());
    let iom = iom.err();
    assert_eq!(found(&net, &opening, true), [row(AMAN, None), row(IOM, iom)]);
    // Whoever asks is not asked.
    let by_aman = net.opening(AMAN, DFWAC);
    assert_eq!(found(&net, &by_aman, true).iter().map(|row| row.1.as_str()).collect::<Vec<_>>(), [IOM]);
    // No rule is for another need.
    let others: [OfHeader; 2] = [
        |header| header.service = code("legal"),
        |header| header.jurisdiction = Jurisdiction::parse("JO", "jurisdiction").unwrap(),
    ];
    for change in others {
        let mut other = opening.clone();
        change(&mut other);
        assert!(found(&net, &other, true).is_empty());
    }
    // What only the agent knows; and a second rule, whose agencies come after those of the first.
    let mut text = mechanism(2);
    text.rules[0].agent_conditions = vec!["child".into()];
    let all = wire::Rule {
        rule_id: "anything".into(),
        recipients: vec![MOSD.into(), AMAN.into()],
        ..wire::Rule::default()
    };
    text.rules.push(all);
    net.object(&by("amal"), proto::dsse::PayloadType::Mechanism, text.encode_to_vec(), &["amal", "badr"])
        .accepted();
    let names = |rows: Vec<(String, String, Option<Refusal>)>| {
        rows.into_iter().map(|(rule, recipient, _)| format!("{rule} {recipient}")).collect::<Vec<_>>()
    };
    let (first, second) = (format!("shelter-rak {AMAN}"), format!("shelter-rak {IOM}"));
    assert_eq!(names(found(&net, &opening, true)), [first, second, format!("anything {MOSD}")]);
    assert_eq!(names(found(&net, &opening, false)), [format!("anything {MOSD}"), format!("anything {AMAN}")]);
    // Who is stopped is told of, and stays where it was.
    net.change(&by("amal"), suspension(subject(AMAN)), &["amal"]).accepted();
    let stopped = found(&net, &opening, true);
    assert_eq!(stopped[0], row(AMAN, Some(RecipientSuspended)));
}

/// What staff are told of a need: the same as what the gateway would answer, and each agreement's part.
#[test]
fn a_need_is_explained_as_it_would_be_answered() {
    let mut net = Network::new();
    let opening = net.opening(DFWAC, AMAN);
    let to = agency(AMAN);
    let need = Need { to: &to, ..(&opening).into() };
    let explained = |net: &Network, need: Need<'_>| -> Vec<(String, Option<u32>, Option<Refusal>, usize)> {
        let state = &net.writer.state;
        let found = state.directory().explain(need, state.now()).into_iter();
        found.map(|one| (one.agency.to_string(), one.turn, one.route.err(), one.agreements.len())).collect()
    };
    let one = |agency: &str, turn, refusal, agreements| (agency.to_owned(), turn, refusal, agreements);
    assert_eq!(explained(&net, need), [one(AMAN, Some(1), None, 1)]);
    let by_need = Need { addressing: Addressing::ByNeed, ..need };
    assert_eq!(explained(&net, by_need), [one(AMAN, Some(1), None, 1), one(IOM, Some(2), None, 1)]);
    // A message has no fallbacks.
    let message = Need { kind: Kind::Message, ..by_need };
    assert_eq!(explained(&net, message), [one(AMAN, Some(1), None, 1), one(IOM, None, None, 1)]);
    // A second agreement of the two: each says its part, and the one that allows it counts.
    let mut other = agreement(DFWAC, AMAN);
    other.agreement_id = proto::ids::EnvelopeId::new(TimeMs(T0), [9; 10]).as_bytes().to_vec();
    for clause in &mut other.clauses {
        clause.services = vec!["legal".into()];
    }
    net.agree(&other);
    assert_eq!(explained(&net, need), [one(AMAN, Some(1), None, 2)]);
    net.change(&by("amal"), suspension(subject(AMAN)), &["amal"]).accepted();
    assert_eq!(
        explained(&net, by_need),
        [one(AMAN, None, Some(RecipientSuspended), 2), one(IOM, Some(1), None, 1)]
    );
    net.change(&by("amal"), suspension(subject(DFWAC)), &["amal"]).accepted();
    assert_eq!(explained(&net, need), [one(AMAN, None, Some(SenderSuspended), 2)]);
    let nobody = agency("xx.nobody");
    assert_eq!(explained(&net, Need { from: &nobody, ..need }), [one(AMAN, None, Some(SenderUnknown), 0)]);
    assert_eq!(explained(&net, Need { to: &nobody, ..need })[0].1, None);
}
