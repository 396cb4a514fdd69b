//! The console: pages for staff, on a listener of its own with their client certificates. Each view is
//! evidence before it is shown; what a role may not see is not in the page. Not here: what counts as stuck
//! (`proto::stuck`), collecting it (`operations`), and TLS (`peer`).

mod acting;
mod address;
mod agencies;
mod agreements;
mod audit;
mod chart;
mod frame;
mod listener;
mod mechanism;
mod now;
mod referral;
pub mod samples;
mod search;
mod visit;
mod words;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{ConnectInfo, Request, State},
    middleware::{self, Next},
    response::Response,
    routing::get,
};
use http::{HeaderName, HeaderValue, header};
use listener::{ConsoleListener, ConsolePeer};
use samples::Samples;
use tokio::{net::TcpListener, time::interval};

use crate::{peer::accept::Door, service::Gateway};

/// How long what is under way has to end after the signal to stop.
const END_TIME_MAX: Duration = Duration::from_secs(5);
/// How often figures are taken for the charts.
const SAMPLE_EVERY: Duration = Duration::from_secs(60);

/// Nothing is loaded from elsewhere, nothing inline runs, and nobody may frame it.
const POLICY: &str = "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; \
    img-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// What every page is made of.
pub(crate) struct Console {
    gateway: Arc<Gateway>,
    samples: Samples,
    reading: audit::Reading,
    /// None without randomness: then no form is taken.
    stamp: Option<acting::Stamp>,
}

/// Serves the console until the gateway ends.
pub async fn serve(listener: TcpListener, door: Door, gateway: Arc<Gateway>) {
    let stop = gateway.stop.clone();
    let console = Arc::new(Console {
        gateway,
        samples: Samples::default(),
        reading: audit::Reading::new(),
        stamp: acting::Stamp::new(),
    });
    let sampling = tokio::spawn(sample(Arc::clone(&console)));
    let pages = pages(console).into_make_service_with_connect_info::<ConsolePeer>();
    let listener = ConsoleListener::new(door.open(listener, stop.clone()));
    let serving = axum::serve(listener, pages).with_graceful_shutdown(stop.clone().cancelled_owned());
    let ended = async {
        stop.cancelled().await;
        tokio::time::sleep(END_TIME_MAX).await;
    };
    tokio::select! {
        served = IntoFuture::into_future(serving) => if let Err(error) = served {
            tracing::error!(%error, "the console is not served any more");
        },
        () = ended => {}
    }
    sampling.abort();
}

async fn sample(console: Arc<Console>) {
    let mut every = interval(SAMPLE_EVERY);
    loop {
        every.tick().await;
        let status = console.gateway.hub.status();
        let slowest_us = console.gateway.metrics.operations.take_slowest_of_minute_us();
        console.samples.take(console.gateway.hub.evidence_size(), status.waiting, slowest_us);
    }
}

fn pages(console: Arc<Console>) -> Router {
    Router::new()
        .route("/", get(visit::front))
        .route("/style.css", get(frame::style))
        .route("/favicon.ico", get(frame::icon))
        .route("/live.js", get(frame::script))
        .route("/{language}/now", get(now::page).post(acting::take))
        .route("/{language}/agencies", get(agencies::page))
        .route("/{language}/agreements", get(agreements::page))
        .route("/{language}/mechanism", get(mechanism::page))
        .route("/{language}/search", get(search::page))
        .route("/{language}/audit", get(audit::page))
        .route("/{language}/referral/{opened_by}/{id}", get(referral::page).post(acting::take))
        .route("/{language}/proof/{index}", get(referral::proof))
        .fallback(visit::unknown)
        .layer(middleware::from_fn_with_state(Arc::clone(&console), only_staff))
        .with_state(console)
}

/// Whoever is no member of staff sees nothing, not even the style. With what every answer says beside it.
async fn only_staff(State(console): State<Arc<Console>>, request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<ConnectInfo<ConsolePeer>>().cloned();
    let mut answer = match visit::turned_away(&console, peer).await {
        Some(away) => away,
        None => next.run(request).await,
    };
    let headers = answer.headers_mut();
    let said = [
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ];
    for (name, value) in said {
        headers.insert(name, HeaderValue::from_static(value));
    }
    answer
}
