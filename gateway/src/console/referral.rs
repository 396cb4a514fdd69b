//! One referral: where its delivery stands, for who sees deliveries; and each step with its evidence, clock
//! and proof, for who sees evidence. Who sees one of the two gets nothing of the other.

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse as _, Response},
};
use http::{header, request::Parts};
use maud::{Markup, html};
use proto::{
    clocks::ClockKind,
    evidence::Record,
    ids::{AgencyId, EnvelopeId, ReferralKey, TimeMs},
    lifecycle::Status as Stands,
    vocabulary::STATUSES,
    words::{self, Language},
};
use tonic::Status;

use super::{
    Console, acting, address, frame,
    visit::{Page, Visit},
    words::Word,
};
use crate::{
    clock,
    hub::Standing,
    operations::{
        duty,
        moments::{lasting, until},
    },
    service::answers,
};

/// Most records of one page.
pub(super) const RECORDS_MAX: usize = 500;

/// The referral that an address names.
pub(super) fn named(request: &Parts) -> Option<ReferralKey> {
    let mut segments = request.uri.path().rsplit('/');
    let id = address::id_bytes(segments.next()?)?;
    let opened_by = AgencyId::parse(segments.next()?, "opened_by").ok()?;
    Some(ReferralKey { id: EnvelopeId::parse(&id, "id").ok()?, opened_by })
}

pub(super) async fn page(State(console): State<Arc<Console>>, request: Parts) -> Response {
    let page = Page::of_referral(&request);
    let visit = match Visit::enter(&console, &request, page).await {
        Ok(visit) => visit,
        Err(refused) => return refused,
    };
    let Some(key) = named(&request) else {
        return visit.refused(&Status::invalid_argument(""));
    };
    match content(&console, &visit, &key).await {
        Ok(content) => {
            let title = Word::Referral.text(visit.language);
            frame::page(&visit, page, title, &content)
        }
        Err(status) => visit.refused(&status),
    }
}

async fn content(console: &Console, visit: &Visit, key: &ReferralKey) -> Result<Markup, Status> {
    let language = visit.language;
    let standing = if Page::Standing.is_for(visit.role) {
        let found = console.gateway.hub.standing(key.clone()).await;
        Some(found.map_err(answers::unavailable_status)?)
    } else {
        None
    };
    let records = if Page::Evidence.is_for(visit.role) {
        Some(console.gateway.records_of(&visit.caller, key, RECORDS_MAX).await?)
    } else {
        None
    };
    Ok(html! {
        p { (frame::id(key.id)) " " (Word::OpenedBy.text(language)) ": " (frame::id(&key.opened_by)) }
        @if let Some(standing) = standing {
            @if let Some(standing) = standing {
                (acting::recorded(visit.query(), language))
                (stands(console, &standing, language))
                (acting::of_referral(console, visit, key, &standing))
            } @else {
                p { (Word::ClosedOrUnknown.text(language)) }
            }
        }
        @if let Some(records) = records { (timeline(&records, language)) }
    })
}

fn status_text(status: Stands, language: Language) -> &'static str {
    let place = Stands::ALL.iter().position(|one| *one == status);
    let term = place.and_then(|place| STATUSES.terms.get(place));
    term.map_or("?", |term| language.pick(term.en, term.ar))
}

fn stands(console: &Console, standing: &Standing, language: Language) -> Markup {
    let of = |word: Word| word.text(language);
    let (now, directory) = (clock::now(), console.gateway.hub.directory());
    let awaited = standing.awaited.clone().map(|awaited| console.gateway.board.judged(awaited));
    html! {
        section aria-labelledby="standing" {
            h2 id="standing" { (of(Word::Standing)) }
            dl.facts {
                div {
                    dt { (of(Word::Status)) }
                    dd {
                        (status_text(standing.status, language)) " - "
                        (of(Word::Since)) " " (lasting(now.0.saturating_sub(standing.since.0), language))
                    }
                }
                div { dt { (of(Word::Urgency)) } dd { (words::urgency(standing.urgency, language)) } }
                div {
                    dt { (of(Word::Attempts)) }
                    dd { ol { @for one in &standing.recipients { li { (frame::agency(&directory, one, language)) } } } }
                }
                @if !standing.clocks.is_empty() {
                    div {
                        dt { (of(Word::Clock)) }
                        dd {
                            ul { @for clock in &standing.clocks {
                                li { (words::clock(clock.kind, language)) ": " (until(clock.due_at, now, language)) }
                            } }
                        }
                    }
                }
                (acting::stands(standing, language))
                @if let Some(awaited) = &awaited {
                    div.bad[awaited.is_stuck(now)] {
                        dt { (awaited.stage.text(language)) " - " (awaited.lateness(now).text(language)) }
                        dd {
                            (awaited.cause.text(language))
                            div { strong { (awaited.cause.next_act(language)) } }
                            div {
                                (of(Word::Call)) " " (frame::agency(&directory, awaited.whom(), language)) " "
                                (frame::duty(duty(&directory, awaited.whom()), language))
                            }
                        }
                    }
                }
            }
        }
    }
}

fn timeline(records: &[Record], language: Language) -> Markup {
    let heads = [Word::Number, Word::Time, Word::Event, Word::Details, Word::Proof];
    html! {
        section aria-labelledby="timeline" {
            h2 id="timeline" { (Word::Timeline.text(language)) }
            table.cards {
                thead { tr { @for head in heads { th scope="col" { (head.text(language)) } } } }
                tbody { @for one in records { (record(one, language)) } }
            }
            @if records.len() >= RECORDS_MAX { p { (Word::More.text(language)) } }
            p.small { (Word::ProofHelp.text(language)) }
            p.small.screen { (Word::Print.text(language)) }
        }
    }
}

fn record(record: &Record, language: Language) -> Markup {
    let of = |word: Word| word.text(language);
    let (what, place) = (&record.what, &record.place);
    let kind = i32::try_from(what.clock).ok().and_then(|kind| ClockKind::parse(kind, "clock").ok());
    html! {
        tr {
            td data-is=(of(Word::Number)) { (place.index) }
            td data-is=(of(Word::Time)) { (frame::time(place.time)) }
            td data-is=(of(Word::Event)) {
                (words::event(what.event, language))
                (acting::told(what, language))
                @if let Some(status) = what.status { div.small { (status_text(status, language)) } }
            }
            td data-is=(of(Word::Details)) {
                @if let Some(sender) = &what.sender { (of(Word::From)) " " (frame::id(sender)) " " }
                @if let Some(recipient) = &what.recipient { (of(Word::To)) " " (frame::id(recipient)) " " }
                @if let Some(actor) = &what.actor { (of(Word::Actor)) " " (frame::id(actor)) " " }
                @if what.attempt > 0 { (of(Word::Attempt)) " " (what.attempt) " " }
                @if let Some((refusal, _)) = what.refusal {
                    (of(Word::Reason)) ": " (frame::id(refusal.name())) " "
                }
                @if let Some(kind) = kind { (of(Word::Clock)) ": " (words::clock(kind, language)) " " }
                @if what.due_at != TimeMs(0) { (of(Word::Due)) " " (frame::time(what.due_at)) " " }
                @for begun in &what.clocks {
                    div.small { (words::clock(begun.kind, language)) ": " (of(Word::Due)) " " (frame::time(begun.due_at)) }
                }
            }
            td data-is=(of(Word::Proof)) {
                a href={ "/" (frame::code(language)) "/proof/" (place.index) } download={ (place.index) ".tlog-proof" } {
                    (of(Word::Proof))
                }
            }
        }
    }
}

/// The proof of one record, as a file.
pub(super) async fn proof(State(console): State<Arc<Console>>, request: Parts) -> Response {
    let visit = match Visit::enter(&console, &request, Page::Evidence).await {
        Ok(visit) => visit,
        Err(refused) => return refused,
    };
    let index = request.uri.path().rsplit('/').next().and_then(|text| text.parse().ok());
    let Some(index) = index else {
        return visit.refused(&Status::invalid_argument(""));
    };
    match console.gateway.receipt_for(&visit.caller, index).await {
        Ok(receipt) => {
            let name = format!("attachment; filename=\"{index}.tlog-proof\"");
            let kind = "text/plain; charset=utf-8".to_owned();
            ([(header::CONTENT_TYPE, kind), (header::CONTENT_DISPOSITION, name)], receipt.to_file())
                .into_response()
        }
        Err(status) => visit.refused(&status),
    }
}
