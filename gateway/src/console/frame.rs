//! What every page has: head, way around, language, and small pieces that pages share. Not here: what is
//! on them.

use axum::response::{IntoResponse as _, Response};
use http::{StatusCode, header};
use maud::{DOCTYPE, Markup, html};
use proto::{ids::AgencyId, refusal::Refusal, words::Language};
use tonic::Status;

use super::{
    visit::{Page, Visit},
    words::{self, Word},
};
use crate::{
    operations::{Duty, moments::moment},
    service::answers::REFUSAL_HEADER,
};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("live.js");

/// The style of all pages.
pub(super) async fn style() -> Response {
    ([(header::CONTENT_TYPE, "text/css; charset=utf-8")], STYLE).into_response()
}

/// What renews a page that is open.
pub(super) async fn script() -> Response {
    ([(header::CONTENT_TYPE, "text/javascript; charset=utf-8")], SCRIPT).into_response()
}

/// None: browsers ask for one all the same.
pub(super) async fn icon() -> StatusCode {
    StatusCode::NO_CONTENT
}

/// A language in addresses, and in HTML.
pub(super) const fn code(language: Language) -> &'static str {
    language.pick("en", "ar")
}

const fn direction(language: Language) -> &'static str {
    language.pick("ltr", "rtl")
}

/// A page.
pub(super) fn page(visit: &Visit, page: Page, title: &str, content: &Markup) -> Response {
    answer(StatusCode::OK, whole(visit, Some(page), title, content))
}

fn answer(status: StatusCode, markup: Markup) -> Response {
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], markup.into_string()).into_response()
}

fn whole(visit: &Visit, here: Option<Page>, title: &str, content: &Markup) -> Markup {
    let language = visit.language;
    let other = match language {
        Language::English => Language::Arabic,
        Language::Arabic => Language::English,
    };
    html! {
        (DOCTYPE)
        html lang=(code(language)) dir=(direction(language)) {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                title { (title) " - " (Word::Console.text(language)) }
                link rel="stylesheet" href="/style.css";
                script src="/live.js" defer {}
            }
            body {
                a.skip href="#content" { (Word::Skip.text(language)) }
                header {
                    nav aria-label=(Word::Pages.text(language)) {
                        ul {
                            @for one in Page::LISTED.into_iter().filter(|one| one.is_for(visit.role)) {
                                li {
                                    a href={ "/" (code(language)) "/" (one.path()) }
                                        aria-current=[(here == Some(one)).then_some("page")] {
                                        (words::page(one).text(language))
                                    }
                                }
                            }
                        }
                    }
                    p.who {
                        bdi { (visit.caller.name()) } " - " (words::role(visit.role).text(language))
                        " - "
                        a href={ "/" (code(other)) "/" (visit.rest) } lang=(code(other)) hreflang=(code(other)) {
                            (language.pick("العربية", "English"))
                        }
                    }
                }
                main id="content" tabindex="-1" {
                    h1 { (title) }
                    (content)
                }
            }
        }
    }
}

/// A refusal, in the visitor's language first.
pub(super) fn refusal(visit: &Visit, code: StatusCode, status: &Status) -> Response {
    let refusal = status.metadata().get_bin(REFUSAL_HEADER).and_then(|value| value.to_bytes().ok());
    let refusal =
        refusal.and_then(|bytes| <proto::wire::RefusalAnswer as prost::Message>::decode(bytes).ok());
    let refusal = refusal.and_then(|answer| Refusal::from_number(answer.number));
    let language = visit.language;
    let (title, text) = match refusal {
        Some(refusal) => (refusal.name(), language.pick(refusal.text_en(), refusal.text_ar())),
        None if code == StatusCode::NOT_FOUND => ("404", Word::NotFound.text(language)),
        None if code == StatusCode::CONFLICT => ("409", Word::StaleForm.text(language)),
        None if code == StatusCode::BAD_REQUEST => ("400", Word::NotUnderstood.text(language)),
        None => ("503", Word::TryAgain.text(language)),
    };
    let content = html! { p { (text) } p { bdi { (title) } } };
    answer(code, whole(visit, None, Word::Refused.text(language), &content))
}

/// A moment, kept apart from the text around it.
pub(super) fn time(at: proto::ids::TimeMs) -> Markup {
    let text = moment(at);
    html! { time datetime=(text.replace(' ', "T")) { bdi dir="ltr" { (text) } } }
}

/// An id, a name or a code, kept apart from the text around it.
pub(super) fn id(text: impl std::fmt::Display) -> Markup {
    html! { bdi.id dir="ltr" { (text.to_string()) } }
}

/// An agency with its name in the directory.
pub(super) fn agency(directory: &proto::directory::Directory, of: &AgencyId, language: Language) -> Markup {
    let name = directory.agency(of).map(|agency| match language {
        Language::English => agency.name_en.as_str(),
        Language::Arabic => agency.name_ar.as_str(),
    });
    html! { (id(of)) @if let Some(name) = name { " " span.name { bdi { (name) } } } }
}

/// Whom to call.
pub(super) fn duty(duty: Duty<'_>, language: Language) -> Markup {
    let dials = duty.phone.strip_prefix('+').is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_digit()));
    html! {
        @if duty.phone.is_empty() {
            span.none { (Word::NoPhone.text(language)) }
        } @else if dials {
            a href={ "tel:" (duty.phone) } { bdi dir="ltr" { (duty.phone) } }
        } @else {
            bdi dir="ltr" { (duty.phone) }
        }
        @if !duty.hours.is_empty() { " (" bdi { (duty.hours) } ")" }
    }
}

/// What the script renews while the page is open.
pub(super) fn live(content: &Markup) -> Markup {
    html! { div id="live" data-every="15" { (content) } }
}
