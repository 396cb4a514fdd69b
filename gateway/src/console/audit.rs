//! *Audit*: administrative acts, denials and reads, the newest first, as far back as a moment's reading of
//! the journal goes. Only codes, pseudonyms and agencies are shown. Not here: one referral (`referral`).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{extract::State, response::Response};
use http::request::Parts;
use maud::{Markup, html};
use proto::{
    evidence::{Event, Record},
    fact::Fact,
    ids::TimeMs,
    words::{self, Language},
};
use tokio::{
    sync::{Semaphore, TryAcquireError},
    task::spawn_blocking,
};
use tonic::Status;

use super::{
    Console, acting, address, frame,
    visit::{Page, Visit},
    words::Word,
};
use crate::history::History;

/// How long the journal is read for one page.
const READ_TIME_MAX: Duration = Duration::from_millis(75);
/// Most batches that are read for one page.
const BATCHES_MAX: u64 = 20_000;
/// Most records of the page.
const RECORDS_MAX: usize = 300;

/// Lets one page at a time read the journal.
pub(super) struct Reading(Arc<Semaphore>);

impl Reading {
    pub(super) fn new() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

/// What is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sort {
    Acts,
    Denials,
    Reads,
    Gateways,
}

impl Sort {
    const ALL: [Self; 4] = [Self::Acts, Self::Denials, Self::Reads, Self::Gateways];

    const fn name(self) -> &'static str {
        match self {
            Self::Acts => "acts",
            Self::Denials => "denials",
            Self::Reads => "reads",
            Self::Gateways => "gateway",
        }
    }

    const fn word(self) -> Word {
        match self {
            Self::Acts => Word::Acts,
            Self::Denials => Word::Denials,
            Self::Reads => Word::Reads,
            Self::Gateways => Word::Gateways,
        }
    }

    /// The sort of an event; nothing for the life of referrals.
    const fn of(event: Event) -> Option<Self> {
        match event {
            Event::DirectoryChanged
            | Event::Operated
            | Event::ClockConfirmed
            | Event::Restored
            | Event::ShardBegun => Some(Self::Acts),
            Event::SubmissionRejection | Event::DenialsCounted => Some(Self::Denials),
            Event::Queried | Event::Looked => Some(Self::Reads),
            Event::Started
            | Event::Stopped
            | Event::Outage
            | Event::ClockStepped
            | Event::HeadsCommitted
            | Event::DamageFound
            | Event::ForkAlarm => Some(Self::Gateways),
            Event::SubmissionAcceptance
            | Event::ContentConsignment
            | Event::ContentConsignmentFailure
            | Event::ContentHandover
            | Event::ContentHandoverFailure
            | Event::ConsignmentAcceptance
            | Event::ConsignmentRejection
            | Event::AcceptanceRejectionExpiry
            | Event::Routed
            | Event::Escalated
            | Event::EscalationStopped
            | Event::Seen
            | Event::Act
            | Event::ClockMissed
            | Event::Expired
            | Event::DisclosureReleased
            | Event::Recalled
            | Event::Purged
            | Event::ConsentWithdrawn
            | Event::WithdrawalConfirmed
            | Event::ReturnedForResealing
            | Event::Erased
            | Event::NoticeSent
            | Event::NoticeFailed
            | Event::Taken => None,
        }
    }
}

/// What was found, and how far back was looked.
struct Found {
    records: Vec<Record>,
    back_to: Option<TimeMs>,
}

/// Reads the journal backwards, for as long as a page may.
fn read(history: &History, wanted: Option<Sort>) -> Found {
    let begun = Instant::now();
    let mut found = Found { records: Vec::new(), back_to: None };
    let end = history.batches();
    for number in (end.saturating_sub(BATCHES_MAX)..end).rev() {
        let Ok(batch) = history.batch(number) else {
            // A damaged batch is named by `gateway verify`; what is before it can still be read.
            continue;
        };
        found.back_to = Some(batch.now);
        let records = batch.entries.iter().rev().flat_map(|entry| entry.facts.iter().rev());
        let records = records.filter_map(Fact::record).filter(|record| {
            let sort = Sort::of(record.what.event);
            sort.is_some() && (wanted.is_none() || sort == wanted)
        });
        found.records.extend(records.cloned());
        if found.records.len() >= RECORDS_MAX || begun.elapsed() > READ_TIME_MAX {
            break;
        }
    }
    found.records.truncate(RECORDS_MAX);
    found
}

pub(super) async fn page(State(console): State<Arc<Console>>, request: Parts) -> Response {
    let visit = match Visit::enter(&console, &request, Page::Audit).await {
        Ok(visit) => visit,
        Err(refused) => return refused,
    };
    let sort = address::value(request.uri.query(), "sort");
    let wanted = Sort::ALL.into_iter().find(|one| one.name() == sort);
    let permit = match Arc::clone(&console.reading.0).try_acquire_owned() {
        Ok(permit) => permit,
        Err(TryAcquireError::NoPermits | TryAcquireError::Closed) => {
            return visit.refused(&Status::unavailable(""));
        }
    };
    let history = console.gateway.hub.history().clone();
    let found = spawn_blocking(move || {
        let found = read(&history, wanted);
        drop(permit);
        found
    });
    let Ok(found) = found.await else {
        return visit.refused(&Status::internal(""));
    };
    let content = content(&found, wanted, visit.language);
    frame::page(&visit, Page::Audit, Word::Audit.text(visit.language), &content)
}

fn content(found: &Found, wanted: Option<Sort>, language: Language) -> Markup {
    let heads = [Word::Number, Word::Time, Word::Event, Word::Details];
    html! {
        nav.sorts aria-label=(Word::Audit.text(language)) {
            ul {
                li { a href="?" aria-current=[wanted.is_none().then_some("true")] { (Word::All.text(language)) } }
                @for sort in Sort::ALL {
                    li {
                        a href={ "?sort=" (sort.name()) } aria-current=[(wanted == Some(sort)).then_some("true")] {
                            (sort.word().text(language))
                        }
                    }
                }
            }
        }
        @if let Some(back_to) = found.back_to {
            p { (Word::LookedBack.text(language)) " " (frame::time(back_to)) }
        }
        @if found.records.is_empty() {
            p { (Word::NothingHere.text(language)) }
        } @else {
            table.cards {
                thead { tr { @for head in heads { th scope="col" { (head.text(language)) } } } }
                tbody { @for record in &found.records { (row(record, language)) } }
            }
        }
    }
}

fn row(record: &Record, language: Language) -> Markup {
    let of = |word: Word| word.text(language);
    let what = &record.what;
    html! {
        tr {
            td data-is=(of(Word::Number)) { (record.place.index) }
            td data-is=(of(Word::Time)) { (frame::time(record.place.time)) }
            td data-is=(of(Word::Event)) { (words::event(what.event, language)) (acting::told(what, language)) }
            td data-is=(of(Word::Details)) {
                @if let Some(actor) = &what.actor { (of(Word::Actor)) " " (frame::id(actor)) " " }
                @if let Some(sender) = &what.sender { (of(Word::From)) " " (frame::id(sender)) " " }
                @if let Some((refusal, _)) = what.refusal { (frame::id(refusal.name())) " " }
                @if let Some(key) = &what.referral { (of(Word::Referral)) " " (frame::id(key.id)) " " }
                @if what.count > 0 && !matches!(what.event, Event::Outage | Event::Operated) {
                    (of(Word::Count)) ": " (what.count)
                }
            }
        }
    }
}
