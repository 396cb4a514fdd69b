//! *Agreements*: which bind whom, who has signed, and how each stands. Their texts go to their parties only,
//! and are not here.

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::request::Parts;
use maud::{Markup, html};
use proto::{
    digest::Digest,
    directory::{Directory, Memorandum},
    ids::TimeMs,
    words::Language,
};

use super::{
    Console, frame,
    visit::{Page, Visit},
    words::Word,
};
use crate::clock;

/// Most agreements of the page.
const ROWS_MAX: usize = 1_000;
/// How much of a digest names an agreement for people.
const DIGITS: usize = 16;

pub(super) async fn page(State(console): State<Arc<Console>>, request: Parts) -> Response {
    let visit = match Visit::enter(&console, &request, Page::Agreements).await {
        Ok(visit) => visit,
        Err(refused) => return refused,
    };
    let language = visit.language;
    let (directory, now) = (console.gateway.hub.directory(), clock::now());
    let rows: Vec<_> = directory.memoranda().take(ROWS_MAX.saturating_add(1)).collect();
    let heads = [Word::Agreement, Word::Revision, Word::Parties, Word::SignedBy, Word::Standing];
    let content = html! {
        @if rows.is_empty() {
            p { (Word::NoAgreements.text(language)) }
        } @else {
            table.cards {
                thead { tr { @for head in heads { th scope="col" { (head.text(language)) } } } }
                tbody {
                    @for (digest, one) in rows.iter().take(ROWS_MAX) {
                        (row(digest, one, (&directory, now), language))
                    }
                }
            }
        }
        @if rows.len() > ROWS_MAX { p { (Word::More.text(language)) } }
    };
    frame::page(&visit, Page::Agreements, Word::Agreements.text(language), &content)
}

fn row(
    digest: &Digest,
    one: &Memorandum,
    (directory, now): (&Directory, TimeMs),
    language: Language,
) -> Markup {
    let of = |word: Word| word.text(language);
    let hex: String = digest.as_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    let standing = standing(one, now);
    html! {
        tr {
            td data-is=(of(Word::Agreement)) { (frame::id(hex.get(..DIGITS).unwrap_or(&hex))) }
            td data-is=(of(Word::Revision)) { (one.agreement.revision) }
            td data-is=(of(Word::Parties)) {
                @for party in &one.agreement.parties {
                    div { (frame::agency(directory, party, language)) }
                }
            }
            td data-is=(of(Word::SignedBy)) { @for party in one.signed_by.keys() { div { (frame::id(party)) } } }
            td.good[standing == Word::InForce].bad[standing != Word::InForce] data-is=(of(Word::Standing)) {
                (of(standing))
            }
        }
    }
}

fn standing(one: &Memorandum, now: TimeMs) -> Word {
    if one.superseded {
        Word::Superseded
    } else if !one.all_signed() {
        Word::NotSigned
    } else if now < one.agreement.valid_from {
        Word::NotYet
    } else if now >= one.agreement.valid_until {
        Word::Ended
    } else if one
        .suspension
        .as_ref()
        .is_some_and(|stop| stop.lapses_at.is_none_or(|lapses_at| now < lapses_at))
    {
        Word::Suspended
    } else {
        Word::InForce
    }
}
