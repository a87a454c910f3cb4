//! What the daemon serves over HTTP: metrics, health, and a list of what there is.
//!
//! Nothing here changes state, and nothing waits for the engine longer than [`Limits`] say. It
//! listens where the configuration says, on the loopback address unless told otherwise: there is no
//! authentication; a proxy in front adds TLS and passwords.

pub mod api;
mod page;
mod server;

pub use page::page;
pub use server::{HttpError, bind, serve};

use super::Now;
use super::telemetry::{
    CONTENT_TYPE, Counter, HTTP_REQUESTS, Histogram, SCRAPE_SECONDS, SNAPSHOT_AGE_MAX,
    SNAPSHOTS_STALE, SnapshotClient, Telemetry,
};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// Each endpoint with a word on it, for the list that `/` and a 404 show.
pub const ENDPOINTS: &[(&str, &str)] = &[
    ("/", "the page"),
    ("/metrics", "metrics in Prometheus' text format"),
    ("/-/healthy", "200 while the process runs"),
    ("/-/ready", "200 when ready, else 503 with the reason"),
];

/// Bounds of the server. What happens there: a further connection waits in the system's queue, a
/// slow request gets a 503, a large one a 413 or 431, a slow client is cut off.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub connections_max: usize,
    /// For the head of a request, and for the next request on a connection that is kept.
    pub head_timeout: Duration,
    pub head_bytes_max: usize,
    pub body_bytes_max: usize,
    /// For the answer to a request.
    pub request_timeout: Duration,
    /// A connection is closed after this, when its current request has been answered.
    pub connection_age_max: Duration,
    /// How long requests in progress may take when the server stops.
    pub stop_timeout: Duration,
    /// How long a scrape waits for a fresh snapshot before it shows the last one.
    pub snapshot_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: 128,
            head_timeout: Duration::from_secs(30),
            head_bytes_max: 16 << 10,
            body_bytes_max: 64 << 10,
            request_timeout: Duration::from_secs(20),
            connection_age_max: Duration::from_secs(600),
            stop_timeout: Duration::from_secs(5),
            snapshot_timeout: Duration::from_secs(3),
        }
    }
}

/// Whether the daemon does its work, or why not (one line, no secrets).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    NotReady(String),
}

/// What the endpoints need.
#[derive(Clone)]
pub struct HttpState {
    telemetry: Arc<Telemetry>,
    snapshots: SnapshotClient,
    readiness: watch::Receiver<Readiness>,
    now: Now,
    limits: Limits,
    counters: Arc<Counters>,
}

struct Counters {
    by_endpoint: BTreeMap<&'static str, Counter>,
    other: Counter,
    stale: Counter,
    scrape_seconds: Histogram,
}

impl HttpState {
    pub fn new(
        telemetry: Arc<Telemetry>,
        snapshots: SnapshotClient,
        readiness: watch::Receiver<Readiness>,
        now: Now,
        limits: Limits,
    ) -> Self {
        let count = |endpoint: &'static str| telemetry.counter(&HTTP_REQUESTS, &[endpoint]);
        let endpoints = ENDPOINTS.iter().map(|(path, _)| *path).chain(["/page", "/api"]);
        let counters = Counters {
            by_endpoint: endpoints.map(|path| (path, count(path))).collect(),
            other: count("other"),
            stale: telemetry.counter(&SNAPSHOTS_STALE, &[]),
            scrape_seconds: telemetry.histogram(&SCRAPE_SECONDS, &[]),
        };
        Self { telemetry, snapshots, readiness, now, limits, counters: Arc::new(counters) }
    }

    fn count(&self, path: &str) {
        let path = match path {
            path if path.starts_with("/api/") => "/api",
            path if path.starts_with("/page/") => "/page",
            path => path,
        };
        self.counters.by_endpoint.get(path).unwrap_or(&self.counters.other).add(1);
    }
}

/// The endpoints of this module and those of `more`, behind the limits and with safe headers.
pub fn router(state: HttpState, more: Router) -> Router {
    let own = Router::new()
        .route("/metrics", get(metrics))
        .route("/-/healthy", get(healthy))
        .route("/-/ready", get(ready))
        .with_state(state.clone());
    own.merge(more)
        .fallback(nothing_here)
        .layer(DefaultBodyLimit::max(state.limits.body_bytes_max))
        .layer(from_fn_with_state(state, around))
}

fn list(head: &str) -> String {
    let mut text = head.to_owned();
    for (path, what) in ENDPOINTS {
        writeln!(text, "{path:12} {what}").expect("writing to a string cannot fail");
    }
    text
}

async fn nothing_here() -> Response {
    (StatusCode::NOT_FOUND, list("nothing is here; there is:\n\n")).into_response()
}

async fn healthy() -> &'static str {
    "healthy\n"
}

async fn ready(State(state): State<HttpState>) -> Response {
    let readiness = state.readiness.borrow().clone();
    match readiness {
        Readiness::Ready => "ready\n".into_response(),
        Readiness::NotReady(reason) => {
            let line = format!("not ready: {}\n", crate::engine::text::clip(&reason, 500));
            (StatusCode::SERVICE_UNAVAILABLE, line).into_response()
        }
    }
}

async fn metrics(State(state): State<HttpState>) -> Response {
    let started_at = tokio::time::Instant::now();
    match state.snapshots.fresh(state.limits.snapshot_timeout).await {
        Some(snapshot) => state.telemetry.install(snapshot),
        None => state.counters.stale.add(1),
    }
    state.telemetry.forget_before((state.now)() - SNAPSHOT_AGE_MAX);
    let text = state.telemetry.encode();
    // The first observation is seen by the second scrape.
    state.counters.scrape_seconds.observe(started_at.elapsed().as_secs_f64());
    ([(header::CONTENT_TYPE, CONTENT_TYPE)], text).into_response()
}

/// Counts, bounds the time, and adds the headers that every answer has.
async fn around(State(state): State<HttpState>, request: Request, next: Next) -> Response {
    state.count(request.uri().path());
    let answer = tokio::time::timeout(state.limits.request_timeout, next.run(request)).await;
    let mut response = answer.unwrap_or_else(|_| {
        (StatusCode::SERVICE_UNAVAILABLE, "this takes too long; try again later\n").into_response()
    });
    let headers = response.headers_mut();
    for (name, value) in SAFE_HEADERS {
        headers
            .entry(HeaderName::from_static(name))
            .or_insert_with(|| HeaderValue::from_static(value));
    }
    response
}

/// An endpoint that sets one of these keeps its own.
const SAFE_HEADERS: [(&str, &str); 5] = [
    ("cache-control", "no-store"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
];
