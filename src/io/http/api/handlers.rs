//! The endpoints.

use super::desk::ApiClient;
use super::dto::{ConfigStatus, LastReload, Status, seconds};
use super::params::{Params, quoted};
use super::query::{ApiError, Code, HistoryQuery, Query};
use crate::engine::time::Timestamp;
use crate::io::Now;
use crate::io::http::Readiness;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, RawQuery, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};
use serde::Serialize;
use std::future::Future;
use std::time::Duration;
use tokio::sync::watch;
use xxhash_rust::xxh3::xxh3_128;

/// How long a handler waits for the engine.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What the endpoints need.
#[derive(Clone)]
pub struct ApiState {
    pub client: ApiClient,
    pub readiness: watch::Receiver<Readiness>,
    pub now: Now,
    pub facts: watch::Receiver<Facts>,
}

/// What is known without asking the engine.
#[derive(Clone, Debug)]
pub struct Facts {
    pub started_at: Timestamp,
    /// The configuration's file without its directory.
    pub config_file: Option<String>,
    pub config_hash: String,
    pub loaded_at: Timestamp,
    pub last_reload: Option<LastReload>,
    pub show_values: bool,
}

type Asked<T> = Result<T, ApiError>;

/// All endpoints below `/api/v1`.
pub fn router(state: ApiState) -> Router {
    let mut router = Router::new();
    for (path, endpoint) in endpoints() {
        router = router.route(path, endpoint);
    }
    router
        .route("/api", get(nothing_here))
        .route("/api/{*rest}", get(nothing_here))
        .with_state(state)
}

/// The paths, as the document names them.
fn endpoints() -> Vec<(&'static str, MethodRouter<ApiState>)> {
    vec![
        ("/api/v1/status", get(status)),
        ("/api/v1/models", get(models)),
        ("/api/v1/models/{model}", get(model)),
        ("/api/v1/models/{model}/history", get(history)),
        ("/api/v1/models/{model}/drift", get(drift)),
        ("/api/v1/models/{model}/features/{feature}", get(feature)),
        ("/api/v1/models/{model}/slices", get(slices)),
        ("/api/v1/models/{model}/labels", get(labels)),
        ("/api/v1/models/{model}/policies", get(policies)),
        ("/api/v1/requests", get(requests)),
        ("/api/v1/pipeline", get(pipeline)),
    ]
}

async fn nothing_here() -> Response {
    let paths: Vec<&str> = endpoints().into_iter().map(|(path, _)| path).collect();
    refuse(&ApiError::not_found(format!("nothing is here; there are {}", paths.join(", "))))
}

async fn status(
    State(state): State<ApiState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    if let Err(error) = Params::parse(query.as_deref(), &[]) {
        return refuse(&error);
    }
    let not_ready_reason = match &*state.readiness.borrow() {
        Readiness::Ready => None,
        Readiness::NotReady(reason) => Some(crate::engine::text::clip(reason, 500)),
    };
    let facts = state.facts.borrow().clone();
    let status = Status {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: facts.started_at.as_secs_f64(),
        ready: not_ready_reason.is_none(),
        not_ready_reason,
        config: ConfigStatus {
            file: facts.config_file,
            hash: facts.config_hash,
            loaded_at: facts.loaded_at.as_secs_f64(),
            last_reload: facts.last_reload,
        },
        show_values: facts.show_values,
    };
    respond(&state, &headers, &status)
}

async fn models(state: State<ApiState>, RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    let asked = Params::parse(query.as_deref(), &["limit", "offset"])
        .and_then(|params| Ok(Query::Models(params.page()?)));
    ask(state, headers, asked).await
}

async fn model(
    state: State<ApiState>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let asked = of_model(path, query, &[], |_, model| Ok(Query::Model { model }));
    ask(state, headers, asked).await
}

async fn history(
    state: State<ApiState>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let known = ["window", "version", "metric", "slice", "from", "to"];
    let asked = of_model(path, query, &known, |params, model| {
        Ok(Query::History(HistoryQuery {
            at: params.place(model)?,
            metrics: params.metrics()?,
            slice: params.text("slice"),
            from: params.time("from")?,
            to: params.time("to")?,
        }))
    });
    ask(state, headers, asked).await
}

async fn drift(
    state: State<ApiState>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let known = ["window", "version", "limit", "offset"];
    let asked = of_model(path, query, &known, |params, model| {
        Ok(Query::Drift { at: params.place(model)?, page: params.page()? })
    });
    ask(state, headers, asked).await
}

async fn feature(
    state: State<ApiState>,
    path: Result<Path<(String, String)>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let asked = path.map_err(unreadable).and_then(|Path((model, feature))| {
        let params = Params::parse(query.as_deref(), &["window", "version"])?;
        Ok(Query::Feature { at: params.place(model)?, feature })
    });
    ask(state, headers, asked).await
}

async fn slices(
    state: State<ApiState>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let known = ["window", "version", "metric", "limit", "offset"];
    let asked = of_model(path, query, &known, |params, model| {
        let (at, metric) = (params.place(model)?, params.metric()?);
        Ok(Query::Slices { at, metric, page: params.page()? })
    });
    ask(state, headers, asked).await
}

async fn labels(
    state: State<ApiState>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let asked = of_model(path, query, &[], |_, model| Ok(Query::Labels { model }));
    ask(state, headers, asked).await
}

async fn policies(
    state: State<ApiState>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let asked = of_model(path, query, &[], |_, model| Ok(Query::Policies { model }));
    ask(state, headers, asked).await
}

async fn requests(
    state: State<ApiState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let known = ["model", "limit", "offset"];
    let asked = Params::parse(query.as_deref(), &known).and_then(|params| {
        Ok(Query::Requests { model: params.text("model"), page: params.page()? })
    });
    ask(state, headers, asked).await
}

async fn pipeline(
    state: State<ApiState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let asked = Params::parse(query.as_deref(), &[]).map(|_| Query::Pipeline);
    ask(state, headers, asked).await
}

fn of_model(
    path: Result<Path<String>, PathRejection>,
    query: Option<String>,
    known: &[&str],
    make: impl FnOnce(&Params, String) -> Asked<Query>,
) -> Asked<Query> {
    let Path(model) = path.map_err(unreadable)?;
    make(&Params::parse(query.as_deref(), known)?, model)
}

fn unreadable(rejection: PathRejection) -> ApiError {
    let reason = quoted(&rejection.body_text());
    ApiError::bad_request(format!("the path cannot be read: {reason}"))
}

/// Not `async`: the query is checked before anything waits.
fn ask(
    State(state): State<ApiState>,
    headers: HeaderMap,
    asked: Asked<Query>,
) -> impl Future<Output = Response> {
    async move {
        let answered = match asked {
            Ok(query) => state.client.ask(query, ANSWER_WITHIN).await,
            Err(error) => Err(error),
        };
        match answered {
            Ok(answer) => respond(&state, &headers, &*answer),
            Err(error) => refuse(&error),
        }
    }
}

/// The answer as JSON, with `generated_at`, which does not count for the ETag: as long as nothing
/// else changes, whoever has the answer is told so.
fn respond<T: Serialize>(state: &ApiState, headers: &HeaderMap, answer: &T) -> Response {
    let Ok(body) = serde_json::to_string(answer) else {
        return refuse(&ApiError::unavailable("the answer cannot be written as JSON"));
    };
    let tag = format!("\"{:032x}\"", xxh3_128(body.as_bytes()));
    let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|value| {
        let listed = value.to_str().unwrap_or_default();
        listed
            .split(',')
            .map(str::trim)
            .any(|one| one == "*" || one.trim_start_matches("W/") == tag)
    });
    let common = [(header::ETAG, tag.as_str()), (header::CACHE_CONTROL, "no-cache")];
    if known {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    let now = seconds((state.now)()).unwrap_or_default();
    let rest = body.strip_prefix('{').unwrap_or("}");
    let comma = if rest == "}" { "" } else { "," };
    let body = format!("{{\"generated_at\":{now}{comma}{rest}");
    (common, [(header::CONTENT_TYPE, JSON)], body).into_response()
}

const JSON: &str = "application/json";

#[derive(Serialize)]
struct ErrorBody<'a> {
    error: ErrorDetail<'a>,
}

#[derive(Serialize)]
struct ErrorDetail<'a> {
    code: &'a str,
    message: &'a str,
}

fn refuse(error: &ApiError) -> Response {
    let (status, code) = match error.code {
        Code::BadRequest => (StatusCode::BAD_REQUEST, "bad_request"),
        Code::NotFound => (StatusCode::NOT_FOUND, "not_found"),
        Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let body = ErrorBody { error: ErrorDetail { code, message: &error.message } };
    let body = serde_json::to_string(&body).unwrap_or_default();
    let headers = [(header::CONTENT_TYPE, JSON), (header::CACHE_CONTROL, "no-cache")];
    (status, headers, body).into_response()
}
