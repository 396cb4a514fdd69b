//! *Now*: what is stuck, the oldest first, and how the gateway is. Not here: what counts as stuck
//! (`proto::stuck`).

use std::sync::Arc;

use axum::{extract::State, response::Response};
use http::request::Parts;
use maud::{Markup, html};
use proto::{
    alert::{Alert, CERTIFICATE_LEFT_MS, CRL_LEFT_MS, Severity},
    count::Noun,
    ids::TimeMs,
    stuck::{Awaited, Cause, Lateness},
    wire,
    words::{self, Language},
};

use super::{
    Console, acting, chart, frame,
    visit::{Page, Visit},
    words::Word,
};
use crate::{
    alerts::with_measure,
    operations::{
        Overview, duty,
        moments::{counted, lasting, until},
    },
    service::{answers, operations::condition},
};

/// Most rows of the page; more are found by searching.
pub(super) const ROWS_MAX: usize = 200;
const MIB: u64 = 1024 * 1024;

pub(super) async fn page(State(console): State<Arc<Console>>, request: Parts) -> Response {
    let visit = match Visit::enter(&console, &request, Page::Now).await {
        Ok(visit) => visit,
        Err(refused) => return refused,
    };
    let overview = match console.gateway.board.overview().await {
        Ok(overview) => overview,
        Err(unavailable) => return visit.refused(&answers::unavailable_status(unavailable)),
    };
    let language = visit.language;
    let rows: Vec<_> = overview.stuck().take(ROWS_MAX.saturating_add(1)).collect();
    let content = html! {
        (acting::recorded(visit.query(), language))
        (alerts(&console.gateway.alerts.standing(), &overview, language))
        (stages(&overview, language))
        section aria-labelledby="stuck" {
            h2 id="stuck" { (Word::Stuck.text(language)) }
            @if rows.is_empty() {
                p.good { (Word::NothingStuck.text(language)) }
            } @else {
                (table(rows.iter().take(ROWS_MAX).copied(), &overview, language))
            }
            @if rows.len() > ROWS_MAX || !overview.is_whole { p { (Word::More.text(language)) } }
        }
        (gateway(&condition(&console.gateway), overview.at, language))
        (acting::of_gateway(&console, &visit))
        (traffic(&console, language))
    };
    frame::page(&visit, Page::Now, Word::Now.text(language), &frame::live(&content))
}

/// What is wrong, the gravest first.
fn alerts(standing: &[Alert], overview: &Overview, language: Language) -> Markup {
    html! {
        section aria-labelledby="alerts" {
            h2 id="alerts" { (Word::Alerts.text(language)) }
            @if standing.is_empty() {
                p.good { (Word::NoAlerts.text(language)) }
            } @else {
                ul.alerts {
                    @for alert in standing.iter().take(ROWS_MAX) { (one_alert(alert, overview, language)) }
                }
            }
        }
    }
}

fn one_alert(alert: &Alert, overview: &Overview, language: Language) -> Markup {
    let code = alert.key.code;
    html! {
        li.bad[code.severity() == Severity::Critical] {
            strong { (code.severity().text(language)) ": " (code.text(language)) }
            @if let Some(agency) = &alert.key.agency {
                " - " (frame::agency(&overview.directory, agency, language))
                " " (frame::duty(duty(&overview.directory, agency), language))
            }
            @if let Some(measure) = with_measure(alert.measure, language) { " - " (measure) }
            div { (code.first_act(language)) " " (frame::id(code.runbook())) }
            div.small {
                (Word::Since.text(language)) " "
                (lasting(overview.at.0.saturating_sub(alert.raised_at.0), language))
            }
        }
    }
}

fn stages(overview: &Overview, language: Language) -> Markup {
    html! {
        section aria-labelledby="stages" {
            h2 id="stages" { (Word::StuckByStage.text(language)) }
            ul.tiles {
                @for count in overview.counts() {
                    li.tile.bad[count.stuck > 0] {
                        span.label { (count.stage.text(language)) }
                        span.figure { (count.stuck) }
                        (chart::share(count.stuck, count.awaited))
                        span.more {
                            (Word::Awaited.text(language)) ": " (count.awaited) " - "
                            (Word::Missed.text(language)) ": " (count.missed)
                        }
                    }
                }
            }
        }
    }
}

/// What is awaited, one row each. On a narrow screen each row is a card, so cells say what they are.
pub(super) fn table<'a>(
    rows: impl Iterator<Item = &'a Awaited>,
    overview: &Overview,
    language: Language,
) -> Markup {
    let heads = [Word::Stage, Word::Referral, Word::Since, Word::Clock, Word::Cause, Word::Call];
    html! {
        table.cards {
            thead { tr { @for head in heads { th scope="col" { (head.text(language)) } } } }
            tbody { @for one in rows { (row(one, overview, language)) } }
        }
    }
}

fn row(one: &Awaited, overview: &Overview, language: Language) -> Markup {
    let now = overview.at;
    let late = one.lateness(now);
    let key = &one.referral;
    let since = lasting(now.0.saturating_sub(one.since.0), language);
    let of = |word: Word| word.text(language);
    html! {
        tr.missed[late == Lateness::Missed].half[late == Lateness::HalfOver] {
            td data-is=(of(Word::Stage)) {
                strong { (one.stage.text(language)) } " "
                span.urgency { (words::urgency(one.urgency, language)) }
            }
            td data-is=(of(Word::Referral)) {
                a href=(address(key, language)) { (frame::id(key.id)) }
                div {
                    (of(Word::From)) " " (frame::agency(&overview.directory, &key.opened_by, language))
                    @if let Some(recipient) = &one.recipient {
                        " " (of(Word::To)) " " (frame::agency(&overview.directory, recipient, language))
                    }
                }
            }
            td data-is=(of(Word::Since)) { (since) }
            td data-is=(of(Word::Clock)) {
                (late.text(language))
                @if let Some(due_at) = one.due_at { div.small { (until(due_at, now, language)) } }
            }
            td data-is=(of(Word::Cause)) {
                (one.cause.text(language))
                @if let Cause::NextBlocked(refusal) = one.cause {
                    " (" (frame::id(refusal.name())) ")"
                }
                div { strong { (one.cause.next_act(language)) } }
            }
            td data-is=(of(Word::Call)) {
                (frame::id(one.whom())) " "
                (frame::duty(duty(&overview.directory, one.whom()), language))
            }
        }
    }
}

/// The page of a referral.
pub(super) fn address(key: &proto::ids::ReferralKey, language: Language) -> String {
    format!("/{}/referral/{}/{}", frame::code(language), key.opened_by, key.id)
}

fn gateway(condition: &wire::GatewayCondition, now: TimeMs, language: Language) -> Markup {
    let of = |word: Word| word.text(language);
    let yes = |is: bool| if is { of(Word::Yes) } else { of(Word::No) };
    let clock = condition.is_clock_right && !condition.is_clock_doubted;
    let ends = |until_ms: u64, soon_ms: u64| until_ms < now.0.saturating_add(soon_ms);
    let witnesses = u64::from(condition.witnesses);
    html! {
        section aria-labelledby="gateway" {
            h2 id="gateway" { (of(Word::Gateway)) }
            dl.facts {
                div.bad[!condition.has_room] {
                    dt { (of(Word::Room)) }
                    dd { (yes(condition.has_room)) " (" bdi dir="ltr" { (condition.free_bytes / MIB) " MiB" } ")" }
                }
                div.bad[condition.is_draining] {
                    dt { (of(Word::TakesNew)) } dd { (yes(!condition.is_draining)) }
                }
                div.bad[!clock] { dt { (of(Word::ClockRight)) } dd { (yes(clock)) } }
                div.bad[!condition.is_indexed] { dt { (of(Word::Index)) } dd { (yes(condition.is_indexed)) } }
                div.bad[condition.witnesses == 0] {
                    dt { (of(Word::Witnessed)) }
                    dd {
                        bdi dir="ltr" {
                            (condition.evidence_size) " / " (condition.published_size) " / "
                            (condition.witnessed_size)
                        }
                        @if witnesses == 0 {
                            " " (of(Word::Unwitnessed))
                        } @else {
                            " (" (of(Word::Witnesses)) ": " (witnesses) ")"
                        }
                    }
                }
                div.bad[ends(condition.crls_until_ms, CRL_LEFT_MS)] {
                    dt { (of(Word::Crls)) } dd { (frame::time(TimeMs(condition.crls_until_ms))) }
                }
                div.bad[ends(condition.certificate_until_ms, CERTIFICATE_LEFT_MS)] {
                    dt { (of(Word::Certificate)) } dd { (frame::time(TimeMs(condition.certificate_until_ms))) }
                }
                div.bad[condition.fork_alarms > 0] {
                    dt { (of(Word::ForkAlarm)) } dd { (condition.fork_alarms) }
                }
            }
        }
    }
}

/// Of the last hour, day and week: how much was recorded, and how long the slowest step took that somebody
/// waited for.
const SPANS: [(usize, usize, Word, Word); 3] = [
    (1, 60, Word::LastHour, Word::SlowestHour),
    (60, 24, Word::LastDay, Word::SlowestDay),
    (24 * 60, 7, Word::LastWeek, Word::SlowestWeek),
];

fn traffic(console: &Console, language: Language) -> Markup {
    let sum = |values: &[u64]| {
        let sum = values.iter().fold(0_u64, |sum, value| sum.saturating_add(*value));
        counted(Noun::Entry, sum, language)
    };
    let most = |values: &[u64]| {
        let most_us = values.iter().copied().max().unwrap_or(0);
        format!("{} {}.{} ms", Word::AtMost.text(language), most_us / 1000, most_us % 1000 / 100)
    };
    html! {
        section aria-labelledby="traffic" {
            h2 id="traffic" { (Word::Traffic.text(language)) " (" (Word::SinceStart.text(language)) ")" }
            div.charts {
                @for (minutes, intervals, grown, slowest) in SPANS {
                    @let values = console.samples.growth(minutes, intervals);
                    @let slow = console.samples.slowest_us(minutes, intervals);
                    (chart::bars(&values, grown.text(language), &sum(&values)))
                    (chart::bars(&slow, slowest.text(language), &most(&slow)))
                }
            }
        }
    }
}
