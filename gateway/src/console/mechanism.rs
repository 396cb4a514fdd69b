//! *Mechanism*: the rules in force, in their order, and where a need would go by them, as coarse as a header
//! says it. Nothing is sent. Not here: the reasons (`proto::directory::explained`), and what only the
//! sender's agent knows.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::request::Parts;
use maud::{Markup, html};
use proto::{
    directory::{
        Directory,
        explained::{Asked, Explained},
    },
    ids::{TimeMs, Urgency},
    mechanism::{Mechanism, Rule},
    wire,
    words::{self, Language},
};

use super::{
    Console, address, frame,
    visit::{Page, Visit},
    words::Word,
};
use crate::clock;

/// How much of a digest names a mechanism or an agreement for people.
const DIGITS: usize = 16;
/// Most rules of the page.
const RULES_MAX: usize = 500;
/// The kinds of what is sent, by their names in addresses, the first where none is named.
const KINDS: [(&str, wire::Kind, Word); 5] = [
    ("referral", wire::Kind::Referral, Word::Referral),
    ("suspicion_report", wire::Kind::SuspicionReport, Word::SuspicionReport),
    ("notice", wire::Kind::Notice, Word::Notice),
    ("document", wire::Kind::Document, Word::Document),
    ("message", wire::Kind::Message, Word::Message),
];
const URGENCIES: [Urgency; 3] = [Urgency::Emergency, Urgency::Urgent, Urgency::Normal];

/// A need as the form says it.
struct Wanted {
    from: String,
    to: String,
    category: String,
    service: String,
    jurisdiction: String,
    kind: &'static str,
    urgency: Urgency,
}

impl Wanted {
    fn of(query: Option<&str>) -> Self {
        let value = |name| address::value(query, name);
        let named = |name: &str| KINDS.iter().find(|(one, ..)| *one == name).map(|(one, ..)| *one);
        let urgency = value("urgency").parse().ok().and_then(|number| Urgency::parse(number, "urgency").ok());
        Self {
            from: value("from").to_ascii_lowercase(),
            to: value("to").to_ascii_lowercase(),
            category: value("category"),
            service: value("service"),
            jurisdiction: value("jurisdiction").to_ascii_uppercase(),
            kind: named(&value("kind")).unwrap_or("referral"),
            urgency: urgency.unwrap_or(Urgency::Urgent),
        }
    }

    fn is_empty(&self) -> bool {
        [&self.from, &self.to, &self.category, &self.service, &self.jurisdiction]
            .iter()
            .all(|one| one.is_empty())
    }

    /// As a header would say it; or the field that is none.
    fn asked(&self) -> Result<Asked, &'static str> {
        let kind =
            KINDS.iter().find(|(name, ..)| *name == self.kind).map_or(0, |(_, kind, _)| (*kind).into());
        let request = wire::ExplainRequest {
            from: self.from.clone(),
            to: self.to.clone(),
            kind,
            category: self.category.clone(),
            service: self.service.clone(),
            urgency: self.urgency.number(),
            jurisdiction: self.jurisdiction.clone(),
        };
        Asked::parse(&request).map_err(|malformed| malformed.field())
    }
}

pub(super) async fn page(State(console): State<Arc<Console>>, request: Parts) -> Response {
    let visit = match Visit::enter(&console, &request, Page::Mechanism).await {
        Ok(visit) => visit,
        Err(refused) => return refused,
    };
    let language = visit.language;
    let (directory, now) = (console.gateway.hub.directory(), clock::now());
    let wanted = Wanted::of(request.uri.query());
    let content = html! {
        section aria-labelledby="explain" {
            h2 id="explain" { (Word::ExplainRoute.text(language)) }
            (form(&wanted, language))
            @if !wanted.is_empty() { (answer(&wanted, (&directory, now), language)) }
        }
        section aria-labelledby="rules" {
            h2 id="rules" { (Word::Rules.text(language)) }
            @if let Some(held) = directory.mechanism() {
                p {
                    (Word::Revision.text(language)) " " (held.mechanism.revision) " - "
                    (frame::id(short(held.signed.digest().as_bytes())))
                }
                (rules(&held.mechanism, (&directory, now), language))
            } @else {
                p { (Word::NoMechanism.text(language)) }
            }
        }
    };
    frame::page(&visit, Page::Mechanism, Word::Mechanism.text(language), &content)
}

fn short(digest: &[u8]) -> String {
    let hex: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    hex.get(..DIGITS).unwrap_or(&hex).to_owned()
}

fn rules(mechanism: &Mechanism, (directory, now): (&Directory, TimeMs), language: Language) -> Markup {
    let heads = [Word::Rule, Word::From, Word::Need, Word::Recipients, Word::Conditions, Word::Standing];
    html! {
        table.cards {
            thead { tr { @for head in heads { th scope="col" { (head.text(language)) } } } }
            tbody {
                @for rule in mechanism.rules.iter().take(RULES_MAX) {
                    (row(rule, (directory, now), language))
                }
            }
        }
        @if mechanism.rules.len() > RULES_MAX { p { (Word::MoreRules.text(language)) } }
    }
}

fn row(rule: &Rule, (directory, now): (&Directory, TimeMs), language: Language) -> Markup {
    let of = |word: Word| word.text(language);
    let (standing, is_good) = match rule.valid_until {
        _ if now < rule.valid_from => (Word::NotYet, false),
        Some(until) if now >= until => (Word::Ended, false),
        Some(_) | None => (Word::InForce, true),
    };
    let urgencies = rule.urgencies.iter().map(|urgency| words::urgency(*urgency, language).to_owned());
    let need = [
        codes(rule.categories.iter()),
        codes(rule.services.iter()),
        urgencies.collect(),
        codes(rule.jurisdictions.iter()),
    ];
    html! {
        tr {
            td data-is=(of(Word::Rule)) { (frame::id(&rule.rule_id)) }
            td data-is=(of(Word::From)) {
                @if rule.from.is_empty() { (of(Word::Any)) }
                @for agency in &rule.from { div { (frame::id(agency)) } }
            }
            td data-is=(of(Word::Need)) {
                @if need.iter().all(Vec::is_empty) { (of(Word::Any)) }
                @for list in need.iter().filter(|list| !list.is_empty()) {
                    div { @for (place, one) in list.iter().enumerate() { @if place > 0 { " / " } bdi { (one) } } }
                }
            }
            td data-is=(of(Word::Recipients)) {
                ol { @for agency in &rule.recipients { li { (frame::agency(directory, agency, language)) } } }
            }
            td data-is=(of(Word::Conditions)) {
                @if rule.agent_conditions.is_empty() { "-" }
                @for one in &rule.agent_conditions { div { (frame::id(one)) } }
            }
            td.good[is_good].bad[!is_good] data-is=(of(Word::Standing)) {
                (of(standing))
                @if let Some(until) = rule.valid_until { div.small { (of(Word::Until)) " " (frame::time(until)) } }
            }
        }
    }
}

fn codes<T: std::fmt::Display>(list: impl Iterator<Item = T>) -> Vec<String> {
    list.map(|one| one.to_string()).collect()
}

fn answer(wanted: &Wanted, (directory, now): (&Directory, TimeMs), language: Language) -> Markup {
    let asked = match wanted.asked() {
        Ok(asked) => asked,
        Err(field) => {
            return html! { p.bad role="status" { (Word::FieldNotUnderstood.text(language)) " " (frame::id(field)) } };
        }
    };
    let explained = directory.explain(asked.need(), now);
    html! {
        p { (Word::ExplainedAt.text(language)) " " (frame::time(now)) }
        @if explained.is_empty() {
            p { (Word::NoRuleFits.text(language)) }
        } @else {
            ol.routes { @for one in &explained { li { (route(one, directory, language)) } } }
        }
    }
}

/// An agency that the need could go to: what counts, and what each agreement says.
fn route(one: &Explained<'_>, directory: &Directory, language: Language) -> Markup {
    let turn = match one.turn {
        Some(1) => Some(Word::WouldBeAsked),
        Some(_) => Some(Word::Fallback),
        None => None,
    };
    html! {
        div.good[one.route.is_ok()].bad[one.route.is_err()] {
            strong { (frame::agency(directory, &one.agency, language)) }
            @if let Some(turn) = turn { " - " (turn.text(language)) }
            @if let Some(rule) = one.rule { " - " (Word::Rule.text(language)) " " (frame::id(rule)) }
        }
        @match &one.route {
            Ok((agreement, clause)) => p {
                (Word::AllowedBy.text(language)) " " (frame::id(short(agreement.as_bytes())))
                " - " (Word::Clause.text(language)) " " (frame::id(&clause.clause_id))
            },
            Err(refusal) => p { (language.pick(refusal.text_en(), refusal.text_ar())) " (" (frame::id(refusal.name())) ")" },
        }
        @if !one.conditions.is_empty() {
            p {
                (Word::IfSo.text(language)) " "
                @for (place, condition) in one.conditions.iter().enumerate() {
                    @if place > 0 { " / " } (frame::id(condition))
                }
            }
        }
        @if one.route.is_err() && !one.agreements.is_empty() {
            ul {
                @for (agreement, said) in &one.agreements {
                    @if let Err(refusal) = said {
                        li {
                            (frame::id(short(agreement.as_bytes()))) ": "
                            (language.pick(refusal.text_en(), refusal.text_ar())) " (" (frame::id(refusal.name())) ")"
                        }
                    }
                }
            }
        }
    }
}

fn form(wanted: &Wanted, language: Language) -> Markup {
    let of = |word: Word| word.text(language);
    let fields = [
        ("from", Word::WhoRefers, &wanted.from, 64),
        ("to", Word::ToOrByNeed, &wanted.to, 64),
        ("category", Word::Category, &wanted.category, 64),
        ("service", Word::Service, &wanted.service, 64),
        ("jurisdiction", Word::Jurisdiction, &wanted.jurisdiction, 16),
    ];
    html! {
        form method="get" {
            p { (of(Word::ExplainHelp)) }
            div.fields {
                @for (name, word, value, most) in fields {
                    div {
                        label for=(name) { (of(word)) }
                        input id=(name) name=(name) value=(value) dir="ltr" autocomplete="off" maxlength=(most);
                    }
                }
                div {
                    label for="urgency" { (of(Word::Urgency)) }
                    select id="urgency" name="urgency" {
                        @for urgency in URGENCIES {
                            option value=(urgency.number()) selected[wanted.urgency == urgency] {
                                (words::urgency(urgency, language))
                            }
                        }
                    }
                }
                div {
                    label for="kind" { (of(Word::Kind)) }
                    select id="kind" name="kind" {
                        @for (name, _, word) in KINDS {
                            option value=(name) selected[wanted.kind == name] { (of(word)) }
                        }
                    }
                }
                button type="submit" { (of(Word::Explain)) }
            }
        }
    }
}
