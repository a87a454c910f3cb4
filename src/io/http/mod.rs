//! What the daemon serves over HTTP: metrics, health, and a list of what there is.
//!
//! Nothing waits for the engine longer than [`Limits`] say. It listens where the configuration
//! says, on the loopback address unless told otherwise; [`Security`] decides who may do what.

mod alertmanager;
pub mod api;
mod page;
mod passwords;
mod reload;
mod security;
mod server;

pub use alertmanager::{
    ALERTS_MAX, AlertAnswer, AlertClient, AlertDesk, AlertJob, NOTIFICATION_BYTES_MAX, ToldAlert,
    alert_routes, alerts,
};
pub use page::page;
pub use reload::{Reload, ReloadFault, reload_routes};
pub use security::{ALERTS_PATH, Peer, Rules, Security};
pub use server::{HttpError, bind, serve, serve_secured};

use super::Now;
use super::clock;
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
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// Each endpoint with a word on it, for the list that `/` and a 404 show.
pub const ENDPOINTS: &[(&str, &str)] = &[
    ("/", "the page"),
    ("/metrics", "metrics in Prometheus' text format"),
    ("/-/healthy", "200 while the process runs"),
    ("/-/ready", "200 when ready, else 503 with the reason"),
    ("/-/reload", "POST: loads the configuration again"),
    (ALERTS_PATH, "POST: takes alerts of Alertmanager"),
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
    /// An engine that was ready and has not been heard of for this long is not. It says so ten
    /// times a second; a checkpoint that is waited for may hold it for 20 seconds.
    pub silent_max: Duration,
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
            silent_max: Duration::from_secs(30),
        }
    }
}

/// Whether the daemon does its work, or why not (one line, no secrets).
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    Ready,
    /// It does; what a person should know all the same.
    ReadyBut(String),
    NotReady(String),
}

impl Readiness {
    pub fn is_ready(&self) -> bool {
        !matches!(self, Self::NotReady(_))
    }
}

/// The engine's sign of life: what it last said of its readiness may be old.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    since: Instant,
    /// Milliseconds after `since`.
    last: Arc<AtomicU64>,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self { since: clock::monotonic(), last: Arc::default() }
    }
}

impl Heartbeat {
    pub fn beat(&self) {
        let now = clock::monotonic().duration_since(self.since).as_millis();
        self.last.store(u64::try_from(now).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// How long ago the last one was.
    pub fn age(&self) -> Duration {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed));
        clock::monotonic().duration_since(self.since).saturating_sub(last)
    }
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
    security: Arc<Security>,
    heartbeat: Option<Heartbeat>,
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
        Self {
            telemetry,
            snapshots,
            readiness,
            now,
            limits,
            counters: Arc::new(counters),
            security: Arc::default(),
            heartbeat: None,
        }
    }

    /// The same under these rules; without, those for no web configuration hold.
    pub fn secured(self, security: Arc<Security>) -> Self {
        Self { security, ..self }
    }

    /// The same; `/-/ready` asks for this sign of life.
    pub fn beating(self, heartbeat: Heartbeat) -> Self {
        Self { heartbeat: Some(heartbeat), ..self }
    }

    fn count(&self, path: &str) {
        let path = match path {
            path if security::is_alerts(path) => ALERTS_PATH,
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

/// `/metrics` alone, for a listener of its own.
pub fn metrics_router(state: HttpState) -> Router {
    Router::new()
        .route("/metrics", get(metrics))
        .with_state(state.clone())
        .layer(from_fn_with_state(state, around))
}

fn list(head: &str) -> String {
    let mut text = head.to_owned();
    for (path, what) in ENDPOINTS {
        writeln!(text, "{path:22} {what}").expect("writing to a string cannot fail");
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
    let mut readiness = state.readiness.borrow().clone();
    if state.readiness.has_changed().is_err() {
        readiness = Readiness::NotReady("the engine has ended".to_owned());
    }
    let age = state.heartbeat.as_ref().map(Heartbeat::age).unwrap_or_default();
    if readiness.is_ready() && age > state.limits.silent_max {
        let age = format!("{age:.0?}");
        readiness = Readiness::NotReady(format!("the engine has not answered for {age}"));
    }
    match readiness {
        Readiness::Ready => "ready\n".into_response(),
        Readiness::ReadyBut(note) => {
            format!("ready; but {}\n", crate::engine::text::clip(&note, 1_000)).into_response()
        }
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
    let allowed = async {
        let (parts, body) = request.into_parts();
        match state.security.admit(&parts).await {
            Ok(()) => next.run(Request::from_parts(parts, body)).await,
            Err(refusal) => refusal,
        }
    };
    let answer = tokio::time::timeout(state.limits.request_timeout, allowed).await;
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
