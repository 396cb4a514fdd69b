//! *Agencies*: how each stands, the one that was silent longest first, and whom to call.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::request::Parts;
use maud::{Markup, html};
use proto::words::Language;

use super::{
    Console, frame,
    visit::{Page, Visit},
    words::Word,
};
use crate::{
    operations::{AgencyStanding, Overview, duty, moments::lasting},
    service::answers,
};

/// Most agencies of the page.
const ROWS_MAX: usize = 1_000;
/// So long before its end a certificate is shown as ending: 14 days.
const SOON_MS: u64 = 14 * 24 * 60 * 60 * 1000;

pub(super) async fn page(State(console): State<Arc<Console>>, request: Parts) -> Response {
    let visit = match Visit::enter(&console, &request, Page::Agencies).await {
        Ok(visit) => visit,
        Err(refused) => return refused,
    };
    let overview = match console.gateway.board.overview().await {
        Ok(overview) => overview,
        Err(unavailable) => return visit.refused(&answers::unavailable_status(unavailable)),
    };
    let language = visit.language;
    let mut agencies: Vec<_> = overview.agencies.iter().collect();
    agencies.sort_by_key(|agency| (agency.connected, agency.contact.map(|contact| contact.last)));
    let heads = [Word::Agency, Word::Contact, Word::Waiting, Word::Stuck, Word::Trouble, Word::DutyPhone];
    let content = html! {
        table.cards {
            thead { tr { @for head in heads { th scope="col" { (head.text(language)) } } } }
            tbody { @for one in agencies.iter().take(ROWS_MAX) { (row(one, &overview, language)) } }
        }
        @if agencies.len() > ROWS_MAX { p { (Word::More.text(language)) } }
    };
    frame::page(&visit, Page::Agencies, Word::Agencies.text(language), &frame::live(&content))
}

fn row(one: &AgencyStanding, overview: &Overview, language: Language) -> Markup {
    let of = |word: Word| word.text(language);
    let stuck = overview.stuck().filter(|awaited| *awaited.whom() == one.agency).count();
    html! {
        tr.half[!one.connected] {
            td data-is=(of(Word::Agency)) { (frame::agency(&overview.directory, &one.agency, language)) }
            td data-is=(of(Word::Contact)) { (contact(one, overview, language)) }
            td data-is=(of(Word::Waiting)) { (one.waiting) }
            td data-is=(of(Word::Stuck)) {
                @if stuck == 0 { "0" } @else {
                    a href={ "/" (frame::code(language)) "/search?agency=" (one.agency) } { (stuck) }
                }
            }
            td data-is=(of(Word::Trouble)) { (trouble(one, overview, language)) }
            td data-is=(of(Word::DutyPhone)) {
                (frame::duty(duty(&overview.directory, &one.agency), language))
            }
        }
    }
}

fn contact(one: &AgencyStanding, overview: &Overview, language: Language) -> Markup {
    let of = |word: Word| word.text(language);
    html! {
        @if one.connected {
            span.good { (of(Word::Connected)) }
        } @else if let Some(contact) = one.contact {
            (of(Word::LastContact)) ": " (frame::time(contact.last))
            div.small { (of(Word::Since)) " " (lasting(overview.at.0.saturating_sub(contact.last.0), language)) }
        } @else {
            (of(Word::NeverConnected))
        }
    }
}

fn trouble(one: &AgencyStanding, overview: &Overview, language: Language) -> Markup {
    let soon = overview.at.plus_ms(SOON_MS);
    let ends = one.contact.map(|contact| contact.certificate_until).filter(|until| *until < soon);
    html! {
        @if one.suspended { div.bad { (Word::Suspended.text(language)) } }
        @if let Some(at) = one.dated_ahead_at {
            div.bad { (Word::DatedAhead.text(language)) ": " (frame::time(at)) }
        }
        @if one.lacks_key { div.bad { (Word::LacksKey.text(language)) } }
        @if let Some(until) = ends {
            div.bad { (Word::CertificateEnds.text(language)) ": " (frame::time(until)) }
        }
    }
}
