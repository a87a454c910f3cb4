//! `POST /-/reload`.

use crate::config::ConfigErrors;
use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

/// Begins a reload: the new plan's hash, or what is wrong.
pub type Reload = Arc<
    dyn Fn() -> Pin<Box<dyn Future<Output = Result<String, ReloadFault>> + Send>> + Send + Sync,
>;

/// Why the configuration was not changed.
#[derive(Clone, Debug)]
pub enum ReloadFault {
    /// The files have faults.
    Config(ConfigErrors),
    /// They are right, but cannot replace what is in force.
    Refused(Vec<String>),
    /// It cannot be done now.
    Unable(String),
}

impl From<ConfigErrors> for ReloadFault {
    fn from(errors: ConfigErrors) -> Self {
        Self::Config(errors)
    }
}

impl fmt::Display for ReloadFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(errors) => errors.fmt(f),
            Self::Refused(faults) => f.write_str(&faults.join("\n")),
            Self::Unable(why) => f.write_str(why),
        }
    }
}

/// A reload that takes longer is answered before it is done. Less than
/// [`super::Limits::request_timeout`].
const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// The endpoint; to be merged into the server's.
pub fn reload_routes(reload: Reload) -> Router {
    let handle = move |headers: HeaderMap| {
        let reload = Arc::clone(&reload);
        async move { answer(&reload, wants_json(&headers)).await }
    };
    Router::new().route("/-/reload", post(handle.clone()).put(handle))
}

fn wants_json(headers: &HeaderMap) -> bool {
    let accept = headers.get(header::ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|accept| accept.contains("application/json"))
}

async fn answer(reload: &Reload, json: bool) -> Response {
    // A task of its own: a client that goes away does not leave a reload half done.
    let task = tokio::spawn(reload());
    let (status, text, value) = match tokio::time::timeout(ANSWER_WITHIN, task).await {
        Err(_) => {
            let text = "the configuration is right and is being put in force; see /-/ready\n";
            (StatusCode::ACCEPTED, text.to_owned(), json!({ "status": "reloading" }))
        }
        Ok(Ok(Ok(hash))) => {
            let text = format!("reloaded, plan {hash}\n");
            (StatusCode::OK, text, json!({ "status": "reloaded", "hash": hash }))
        }
        Ok(Ok(Err(fault))) => refusal(&fault),
        Ok(Err(_)) => refusal(&ReloadFault::Unable("the reload panicked".to_owned())),
    };
    if json { (status, axum::Json(value)).into_response() } else { (status, text).into_response() }
}

fn refusal(fault: &ReloadFault) -> (StatusCode, String, Value) {
    let (status, code) = match fault {
        ReloadFault::Config(_) | ReloadFault::Refused(_) => {
            (StatusCode::UNPROCESSABLE_ENTITY, "bad_config")
        }
        ReloadFault::Unable(_) => (StatusCode::SERVICE_UNAVAILABLE, "unavailable"),
    };
    let faults: Vec<Value> = match fault {
        ReloadFault::Config(errors) => errors
            .faults
            .iter()
            .map(|fault| {
                let (line, column) = fault.mark.map(|mark| (mark.line, mark.column)).unzip();
                json!({
                    "line": line, "column": column, "path": fault.path, "message": fault.message
                })
            })
            .collect(),
        ReloadFault::Refused(faults) => {
            faults.iter().map(|message| json!({ "message": message })).collect()
        }
        ReloadFault::Unable(_) => Vec::new(),
    };
    let text = format!("{fault}\nthe configuration is not changed\n");
    let error = json!({ "code": code, "message": fault.to_string(), "faults": faults });
    (status, text, json!({ "error": error }))
}
