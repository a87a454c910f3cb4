//! The endpoints.

use super::desk::ApiClient;
use super::dto::{ConfigStatus, LastReload, Status, seconds};
use super::openapi::{self, Endpoint};
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
        (openapi::STATUS.path, get(status)),
        (openapi::MODELS.path, get(models)),
        (openapi::MODEL.path, get(model)),
        (openapi::HISTORY.path, get(history)),
        (openapi::DRIFT.path, get(drift)),
        (openapi::FEATURE.path, get(feature)),
        (openapi::SLICES.path, get(slices)),
        (openapi::LABELS.path, get(labels)),
        (openapi::POLICIES.path, get(policies)),
        (openapi::REQUESTS.path, get(requests)),
        (openapi::PIPELINE.path, get(pipeline)),
        (openapi::OPENAPI.path, get(document)),
    ]
}

async fn nothing_here() -> Response {
    let paths: Vec<&str> = openapi::ALL.iter().map(|endpoint| endpoint.path).collect();
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
        Readiness::Ready | Readiness::ReadyBut(_) => None,
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
    let asked = Params::parse(query.as_deref(), openapi::MODELS.query)
        .and_then(|params| Ok(Query::Models(params.page()?)));
    ask(state, headers, asked).await
}

async fn model(
    state: State<ApiState>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let asked = of_model(path, query, &openapi::MODEL, |_, model| Ok(Query::Model { model }));
    ask(state, headers, asked).await
}

async fn history(
    state: State<ApiState>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let asked = of_model(path, query, &openapi::HISTORY, |params, model| {
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
    let asked = of_model(path, query, &openapi::DRIFT, |params, model| {
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
        let params = Params::parse(query.as_deref(), openapi::FEATURE.query)?;
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
    let asked = of_model(path, query, &openapi::SLICES, |params, model| {
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
    let asked = of_model(path, query, &openapi::LABELS, |_, model| Ok(Query::Labels { model }));
    ask(state, headers, asked).await
}

async fn policies(
    state: State<ApiState>,
    path: Result<Path<String>, PathRejection>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let asked = of_model(path, query, &openapi::POLICIES, |_, model| Ok(Query::Policies { model }));
    ask(state, headers, asked).await
}

async fn requests(
    state: State<ApiState>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let known = openapi::REQUESTS.query;
    let asked = Params::parse(query.as_deref(), known).and_then(|params| {
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
    endpoint: &Endpoint,
    make: impl FnOnce(&Params, String) -> Asked<Query>,
) -> Asked<Query> {
    let Path(model) = path.map_err(unreadable)?;
    make(&Params::parse(query.as_deref(), endpoint.query)?, model)
}

fn unreadable(rejection: PathRejection) -> ApiError {
    let reason = quoted(&rejection.body_text());
    ApiError::bad_request(format!("the path cannot be read: {reason}"))
}

/// The document never changes, and says nothing of when it was made.
async fn document(RawQuery(query): RawQuery, headers: HeaderMap) -> Response {
    match Params::parse(query.as_deref(), openapi::OPENAPI.query) {
        Ok(_) => tagged(&headers, openapi::text(), || openapi::text().to_owned()),
        Err(error) => refuse(&error),
    }
}

async fn ask(State(state): State<ApiState>, headers: HeaderMap, asked: Asked<Query>) -> Response {
    let answered = match asked {
        Ok(query) => state.client.ask(query, ANSWER_WITHIN).await,
        Err(error) => Err(error),
    };
    match answered {
        Ok(answer) => respond(&state, &headers, &*answer),
        Err(error) => refuse(&error),
    }
}

/// The answer as JSON, with `generated_at`, which does not count for the ETag: as long as nothing
/// else changes, whoever has the answer is told so.
fn respond<T: Serialize>(state: &ApiState, headers: &HeaderMap, answer: &T) -> Response {
    let Ok(body) = serde_json::to_string(answer) else {
        return refuse(&ApiError::unavailable("the answer cannot be written as JSON"));
    };
    tagged(headers, &body, || {
        let now = seconds((state.now)()).unwrap_or_default();
        let rest = body.strip_prefix('{').unwrap_or("}");
        let comma = if rest == "}" { "" } else { "," };
        format!("{{\"generated_at\":{now}{comma}{rest}")
    })
}

/// What `whole` makes, unless the request has something with the same tag already.
fn tagged(headers: &HeaderMap, what: &str, whole: impl FnOnce() -> String) -> Response {
    let tag = format!("\"{:032x}\"", xxh3_128(what.as_bytes()));
    let known = headers.get_all(header::IF_NONE_MATCH).iter().any(|value| {
        let mut listed = value.to_str().unwrap_or_default().split(',').map(str::trim);
        listed.any(|one| one == "*" || one.trim_start_matches("W/") == tag)
    });
    let common = [(header::ETAG, tag.as_str()), (header::CACHE_CONTROL, "no-cache")];
    if known {
        return (StatusCode::NOT_MODIFIED, common).into_response();
    }
    (common, [(header::CONTENT_TYPE, JSON)], whole()).into_response()
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

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn the_router_and_the_document_have_the_same_paths() {
        let served: Vec<&str> = endpoints().into_iter().map(|(path, _)| path).collect();
        let documented: Vec<&str> = openapi::ALL.iter().map(|endpoint| endpoint.path).collect();
        assert_eq!(served, documented);
        let document = openapi::document();
        let paths: Vec<&String> = document["paths"].as_object().unwrap().keys().collect();
        assert_eq!(paths, documented);
    }
}
