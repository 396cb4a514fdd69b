//! Operators' acts as forms: what is possible with a referral now, each with the reasons that fit it; and
//! taking one in. A form must come from a page that this process made for this person, so that no other site
//! can send one with the person's certificate. Not here: who may do what (`proto::decide`).

use std::sync::Arc;

use axum::{
    body::{Body, to_bytes},
    extract::State,
    response::{IntoResponse as _, Redirect, Response},
};
use http::{HeaderMap, Request, StatusCode, header, request::Parts};
use maud::{Markup, html};
use proto::{
    caller::StaffRole,
    digest::Digest,
    evidence::Happening,
    ids::{ReferralKey, TimeMs},
    lifecycle::operable,
    operation::{Operate, Operation},
    vocabulary::OPERATION_REASONS,
    wire,
    words::Language,
};
use tonic::Status;

use super::{Console, address, frame, now, referral, visit::Visit, words::Word};
use crate::{
    hub::Standing,
    service::{answers, record},
};

/// Longest form that is read, in bytes.
pub(super) const FORM_BYTES_MAX: usize = 1024;
/// What a browser says of where a form comes from, and what it must say if it says anything.
const FETCH_SITE: (&str, &str) = ("sec-fetch-site", "same-origin");

/// What makes forms known again: new with every process.
pub(super) struct Stamp([u8; 32]);

impl Stamp {
    /// Of random bytes; without randomness no form is ever taken.
    pub(super) fn new() -> Option<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).ok()?;
        Some(Self(secret))
    }

    fn of(&self, name: &str) -> String {
        Digest::of_all(&[&self.0, name.as_bytes()]).to_string()
    }
}

/// Where a form sends its act.
pub(super) fn target(key: Option<&ReferralKey>, language: Language) -> String {
    key.map_or_else(|| format!("/{}/now", frame::code(language)), |key| now::address(key, language))
}

/// A form for each act that is possible with a referral now; nothing for who may not act.
pub(super) fn of_referral(
    console: &Console,
    visit: &Visit,
    key: &ReferralKey,
    standing: &Standing,
) -> Markup {
    let held_by = standing.intervention.as_ref().map_or(&[][..], |it| &it.held_by);
    let is_mine = held_by.iter().any(|by| by.as_str() == visit.caller.name());
    let fits = |operation: &Operation| match operation {
        Operation::NotifyAgain => held_by.is_empty(),
        Operation::Hold => held_by.len() < 2 && !is_mine,
        Operation::Release => !held_by.is_empty(),
        Operation::Return => true,
        Operation::Drain | Operation::Undrain => false,
    };
    let offered = Operation::ALL.iter().copied().filter(|one| operable(standing.status, *one).is_some());
    let offered: Vec<_> = offered.filter(fits).collect();
    forms(console, visit, Some(key), &offered)
}

/// The forms for the gateway itself.
pub(super) fn of_gateway(console: &Console, visit: &Visit) -> Markup {
    let is_draining = console.gateway.hub.status().is_draining;
    let offered = if is_draining { Operation::Undrain } else { Operation::Drain };
    forms(console, visit, None, &[offered])
}

fn forms(console: &Console, visit: &Visit, key: Option<&ReferralKey>, offered: &[Operation]) -> Markup {
    let stamp = console.stamp.as_ref().filter(|_| visit.role == StaffRole::Operator);
    let Some(stamp) = stamp.map(|stamp| stamp.of(visit.caller.name())).filter(|_| !offered.is_empty()) else {
        return html! {};
    };
    let language = visit.language;
    html! {
        section.screen aria-labelledby="acts" {
            h2 id="acts" { (Word::OperatorActs.text(language)) }
            p.small { (Word::OperatorActsHelp.text(language)) }
            @for operation in offered {
                form.fields method="post" action=(target(key, language)) {
                    input type="hidden" name="stamp" value=(stamp);
                    input type="hidden" name="operation" value=(operation.name());
                    div {
                        label for={ "reason-" (operation.name()) } { (Word::Reason.text(language)) }
                        select id={ "reason-" (operation.name()) } name="reason" {
                            @for term in operation.reasons() {
                                option value=(term.code) { (language.pick(term.en, term.ar)) }
                            }
                        }
                    }
                    button { (operation.text(language)) }
                }
            }
        }
    }
}

/// What operators did with a referral that is not over.
pub(super) fn stands(standing: &Standing, language: Language) -> Markup {
    let Some(intervention) = &standing.intervention else {
        return html! {};
    };
    let asked = intervention.asked.as_ref();
    let lapses = standing.clocks.iter().find(|clock| clock.kind == proto::clocks::ClockKind::Held);
    html! {
        @if !intervention.held_by.is_empty() {
            div.bad {
                dt { (Word::HeldBy.text(language)) }
                dd {
                    @for by in &intervention.held_by { (frame::id(by)) " " }
                    (frame::time(intervention.held_since))
                    @if let Some(clock) = lapses { div { (second(clock.due_at, language)) } }
                }
            }
        }
        @if let Some(asked) = asked {
            div {
                dt { (asked.operation.text(language)) }
                dd {
                    (frame::id(&asked.by)) " " (frame::time(asked.at))
                    div { (second(asked.until(), language)) }
                }
            }
        }
        @if let Some(at) = intervention.notified_at {
            div { dt { (Word::NotifiedAgain.text(language)) } dd { (frame::time(at)) } }
        }
    }
}

fn second(until: TimeMs, language: Language) -> Markup {
    html! { (Word::SecondUntil.text(language)) " " (frame::time(until)) }
}

/// An operator's act in a timeline, and its reason.
pub(super) fn told(what: &Happening, language: Language) -> Markup {
    let reason = what.operation_reason.as_ref().and_then(|code| OPERATION_REASONS.find(code.as_str()));
    html! {
        @if let Some(operation) = what.operation {
            div { (operation.told(what.count, language)) }
            @if let Some(term) = reason {
                div.small { (Word::Reason.text(language)) ": " (language.pick(term.en, term.ar)) }
            }
        }
    }
}

/// That an act was recorded, where the page was come to by one.
pub(super) fn recorded(query: Option<&str>, language: Language) -> Markup {
    let number = address::value(query, "evidence").parse::<u64>().ok();
    html! {
        @if let Some(number) = number {
            p.good role="status" { (Word::Recorded.text(language)) " " (frame::id(number)) }
        }
    }
}

/// Takes a form in: on a referral's page, or on *Now* for the gateway itself.
pub(super) async fn take(State(console): State<Arc<Console>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let Some(visit) = Visit::posting(&parts) else {
        return StatusCode::FORBIDDEN.into_response();
    };
    let form =
        to_bytes(body, FORM_BYTES_MAX).await.ok().and_then(|bytes| String::from_utf8(bytes.into()).ok());
    match act(&console, &visit, &parts, form.as_deref()).await {
        Ok((key, evidence)) => {
            let back = target(key.as_ref(), visit.language);
            Redirect::to(&format!("{back}?evidence={evidence}")).into_response()
        }
        Err(status) => visit.refused(&record(&console.gateway, &visit.caller, status).await),
    }
}

async fn act(
    console: &Console,
    visit: &Visit,
    parts: &Parts,
    form: Option<&str>,
) -> Result<(Option<ReferralKey>, u64), Status> {
    let stamp = console.stamp.as_ref().map(|stamp| stamp.of(visit.caller.name()));
    let given = address::value(form, "stamp");
    // Compared by their digests, so that no time tells how much of it was right.
    let is_ours = stamp.is_some_and(|stamp| Digest::of(stamp.as_bytes()) == Digest::of(given.as_bytes()));
    if !is_ours || !is_from_here(&parts.headers) {
        return Err(Status::aborted(""));
    }
    let name = address::value(form, "operation");
    let operation = Operation::ALL.iter().find(|one| one.name() == name);
    let operation = operation.ok_or_else(|| Status::invalid_argument(""))?;
    let key = if operation.is_of_referral() { referral::named(parts) } else { None };
    let wire = wire::Operate {
        referral: key.as_ref().map(ReferralKey::to_wire),
        operation: operation.number(),
        reason: address::value(form, "reason"),
    };
    let operate = Operate::parse(&wire).map_err(answers::malformed)?;
    let answer = console.gateway.operate(&visit.caller, operate).await?;
    Ok((key, answer.evidence))
}

/// Whether a browser that says where a form comes from says that it is from here.
fn is_from_here(headers: &HeaderMap) -> bool {
    let (name, wanted) = FETCH_SITE;
    let is_form = headers
        .get(header::CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
    is_form && headers.get(name).is_none_or(|site| site.as_bytes() == wanted.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_of_one_process_and_one_person() {
        let (one, other) = (Stamp([1; 32]), Stamp([2; 32]));
        assert_eq!(one.of("blue-7"), one.of("blue-7"));
        assert_ne!(one.of("blue-7"), one.of("blue-8"));
        assert_ne!(one.of("blue-7"), other.of("blue-7"));
        let [first, second] = [(); 2].map(|()| Stamp::new().unwrap().of("blue-7"));
        assert_ne!(first, second);
    }

    #[test]
    fn a_form_of_another_site_is_none() {
        let headers = |pairs: &[(&'static str, &'static str)]| {
            pairs.iter().map(|(name, value)| ((*name).parse().unwrap(), value.parse().unwrap())).collect()
        };
        let form = ("content-type", "application/x-www-form-urlencoded");
        let rows: [(HeaderMap, bool); 5] = [
            (headers(&[form]), true),
            (headers(&[form, ("sec-fetch-site", "same-origin")]), true),
            (headers(&[form, ("sec-fetch-site", "cross-site")]), false),
            (headers(&[form, ("sec-fetch-site", "none")]), false),
            (headers(&[("content-type", "text/plain")]), false),
        ];
        for (headers, expected) in rows {
            assert_eq!(is_from_here(&headers), expected, "{headers:?}");
        }
    }
}
