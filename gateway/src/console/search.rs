//! *Search*: what is awaited, by the beginning of a referral's id, by agency, by stage; and the way to any
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
    stuck::{Awaited, Stage},
    words::Language,
};

use super::{
    Console, address, frame, now,
    visit::{Page, Visit},
    words::Word,
};
use crate::service::answers;

/// What is looked for.
struct Wanted {
    id: String,
    agency: String,
    stage: Option<Stage>,
}

impl Wanted {
    fn of(query: Option<&str>) -> Self {
        let stage = address::value(query, "stage");
        Self {
            id: address::value(query, "id").to_ascii_lowercase(),
            agency: address::value(query, "agency").to_ascii_lowercase(),
            stage: Stage::ALL.iter().copied().find(|one| one.name() == stage),
        }
    }

    fn is_empty(&self) -> bool {
        self.id.is_empty() && self.agency.is_empty() && self.stage.is_none()
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
        agency
            && one.referral.id.to_string().starts_with(&self.id)
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
                    label for="id" { (of(Word::ReferralId)) }
                    input id="id" name="id" value=(wanted.id) dir="ltr" autocomplete="off" maxlength="36";
                }
                div {
                    label for="agency" { (of(Word::Agency)) }
                    input id="agency" name="agency" value=(wanted.agency) dir="ltr" autocomplete="off"
                        maxlength="64";
                }
                @if sees {
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
