//! *Search*: what is awaited, by the beginning of a referral's id, by its spoken code, by agency, by stage, by
//! the day since which it stands so; and the way to any
//! referral by its whole id and the agency that opened it. Not here: the referral (`referral`).

use std::sync::Arc;

use axum::{
    extract::State,
    response::{IntoResponse as _, Redirect, Response},
};
use http::request::Parts;
use maud::{Markup, html};
use proto::{
    ids::{AgencyId, EnvelopeId, ReferralKey},
    spoken::{NotSpoken, Spoken},
    stuck::{Awaited, Stage},
    words::Language,
};

use super::{
    Console, address, frame, now,
    visit::{Page, Visit},
    words::Word,
};
use crate::{operations::moments, service::answers};

/// What is looked for.
struct Wanted {
    id: String,
    /// The same text, when it is a code that somebody spoke.
    spoken: Option<Spoken>,
    /// Digits that could be one, and were misheard.
    misheard: bool,
    agency: String,
    stage: Option<Stage>,
    /// Days, as `2026-11-22`: the first and the last.
    since: String,
    until: String,
}

impl Wanted {
    fn of(query: Option<&str>) -> Self {
        let stage = address::value(query, "stage");
        let id = address::value(query, "id").to_ascii_lowercase();
        let spoken = Spoken::parse(&id);
        Self {
            misheard: spoken == Err(NotSpoken::CheckDigit),
            spoken: spoken.ok(),
            id,
            since: address::value(query, "since"),
            until: address::value(query, "until"),
            agency: address::value(query, "agency").to_ascii_lowercase(),
            stage: Stage::ALL.iter().copied().find(|one| one.name() == stage),
        }
    }

    fn is_empty(&self) -> bool {
        self.id.is_empty()
            && self.agency.is_empty()
            && self.stage.is_none()
            && self.since.is_empty()
            && self.until.is_empty()
    }

    /// A referral that is named whole.
    fn whole(&self) -> Option<ReferralKey> {
        let opened_by = AgencyId::parse(&self.agency, "agency").ok()?;
        let id = EnvelopeId::parse(&address::id_bytes(&self.id)?, "id").ok()?;
        Some(ReferralKey { id, opened_by })
    }

    fn fits(&self, one: &Awaited) -> bool {
        let is_agency = |agency: &AgencyId| agency.as_str() == self.agency;
        let agency = self.agency.is_empty()
            || is_agency(&one.referral.opened_by)
            || one.recipient.as_ref().is_some_and(is_agency);
        let named = match self.spoken {
            Some(spoken) => Spoken::of(&one.referral) == spoken,
            None => one.referral.id.to_string().starts_with(&self.id),
        };
        // Days as they are written sort as they come.
        let day = moments::day(one.since);
        agency
            && named
            && (self.since.is_empty() || day >= self.since)
            && (self.until.is_empty() || day <= self.until)
            && self.stage.is_none_or(|stage| stage == one.stage)
    }
}

pub(super) async fn page(State(console): State<Arc<Console>>, request: Parts) -> Response {
    let visit = match Visit::enter(&console, &request, Page::Search).await {
        Ok(visit) => visit,
        Err(refused) => return refused,
    };
    let language = visit.language;
    let wanted = Wanted::of(request.uri.query());
    if let Some(key) = wanted.whole() {
        return Redirect::to(&now::address(&key, language)).into_response();
    }
    // Who may not see deliveries finds by the whole name only.
    let sees = Page::Standing.is_for(visit.role);
    let overview = if sees && !wanted.is_empty() {
        match console.gateway.board.overview().await {
            Ok(overview) => Some(overview),
            Err(unavailable) => return visit.refused(&answers::unavailable_status(unavailable)),
        }
    } else {
        None
    };
    let content = html! {
        (form(&wanted, sees, language))
        @if wanted.misheard { p.bad role="status" { (Word::Misheard.text(language)) } }
        @if let Some(overview) = overview {
            @let found: Vec<_> = overview.awaited.iter().filter(|one| wanted.fits(one)).collect();
            section aria-labelledby="found" {
                h2 id="found" { (Word::Found.text(language)) " (" (found.len()) ")" }
                @if found.is_empty() {
                    p { (Word::FoundNothing.text(language)) }
                } @else {
                    (now::table(found.iter().take(now::ROWS_MAX).copied(), &overview, language))
                }
                @if found.len() > now::ROWS_MAX { p { (Word::More.text(language)) } }
            }
        }
    };
    frame::page(&visit, Page::Search, Word::Search.text(language), &content)
}

fn form(wanted: &Wanted, sees: bool, language: Language) -> Markup {
    let of = |word: Word| word.text(language);
    html! {
        form method="get" role="search" {
            @if sees { p { (of(Word::SearchHelp)) } }
            p { (of(Word::OpenHelp)) }
            div.fields {
                div {
                    label for="id" { (of(if sees { Word::IdOrCode } else { Word::ReferralId })) }
                    input id="id" name="id" value=(wanted.id) dir="ltr" autocomplete="off" maxlength="36";
                }
                div {
                    label for="agency" { (of(Word::Agency)) }
                    input id="agency" name="agency" value=(wanted.agency) dir="ltr" autocomplete="off"
                        maxlength="64";
                }
                @if sees {
                    @for (name, word, value) in
                        [("since", Word::SinceDay, &wanted.since), ("until", Word::UntilDay, &wanted.until)]
                    {
                        div {
                            label for=(name) { (of(word)) }
                            input type="date" id=(name) name=(name) value=(value) dir="ltr";
                        }
                    }
                    div {
                        label for="stage" { (of(Word::Stage)) }
                        select id="stage" name="stage" {
                            option value="" { (of(Word::Any)) }
                            @for stage in Stage::ALL {
                                option value=(stage.name()) selected[wanted.stage == Some(*stage)] {
                                    (stage.text(language))
                                }
                            }
                        }
                    }
                }
                button type="submit" { (of(Word::Find)) }
            }
        }
    }
}
