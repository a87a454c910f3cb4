//! `POST /api/v1/alertmanager` and `/api/v1/alertmanager/{policy}`: alerts that ask for a
//! retraining, as Alertmanager's webhook tells them (payload version 4, see "webhook_config" in
//! Alertmanager's documentation).
//!
//! Alertmanager tells an alert at least once, again while it fires, and again after an answer of
//! 5xx or none. Each firing alert is one request by its id, and the answer is 200 only when the
//! checkpoint that holds the request is durable. So an alert asks exactly once, whatever crashes in
//! between. What repeating cannot mend gets 4xx, which Alertmanager does not repeat but shows.

use super::ALERTS_PATH;
use crate::engine::monitor::{AlertOutcome, ExternalAlert};
use crate::engine::text::clip;
use crate::engine::time::Timestamp;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};

/// Alerts in one notification; more are refused: `max_alerts` of the receiver bounds them.
pub const ALERTS_MAX: usize = 1_000;
/// A notification is not larger.
pub const NOTIFICATION_BYTES_MAX: usize = 4 << 20;
/// Notifications that wait for the engine; a further one is to be told again.
const WAITING_MAX: usize = 16;
/// How long a notification may take to become durable. Less than
/// [`super::Limits::request_timeout`].
const DURABLE_WITHIN: Duration = Duration::from_secs(15);
/// Characters of a fingerprint or a version; Alertmanager's fingerprints have 16.
const ID_CHARS_MAX: usize = 128;
const SUMMARY_CHARS_MAX: usize = 500;

/// One notification for the engine.
pub struct AlertJob {
    /// Only the policy of this name is to look at it.
    pub policy: Option<String>,
    pub alerts: Vec<ToldAlert>,
    /// One an alert, when all that was asked for is durable.
    pub answer: oneshot::Sender<Vec<AlertAnswer>>,
}

pub struct ToldAlert {
    pub model: String,
    pub firing: bool,
    pub alert: ExternalAlert,
}

/// What became of one alert: by policy, or why it is none of ours.
pub type AlertAnswer = Result<Vec<(String, AlertOutcome)>, String>;

/// The endpoint's end.
#[derive(Clone)]
pub struct AlertClient(mpsc::Sender<AlertJob>);

/// The engine's end.
pub struct AlertDesk(mpsc::Receiver<AlertJob>);

pub fn alerts() -> (AlertClient, AlertDesk) {
    let (client, desk) = mpsc::channel(WAITING_MAX);
    (AlertClient(client), AlertDesk(desk))
}

impl AlertDesk {
    pub fn take(&mut self) -> Option<AlertJob> {
        self.0.try_recv().ok()
    }
}

/// The endpoint; to be merged into the server's.
pub fn alert_routes(client: AlertClient) -> Router {
    Router::new()
        .route(ALERTS_PATH, post(all))
        .route(&format!("{ALERTS_PATH}/{{policy}}"), post(one))
        .layer(DefaultBodyLimit::max(NOTIFICATION_BYTES_MAX))
        .with_state(client)
}

async fn all(State(client): State<AlertClient>, headers: HeaderMap, body: Bytes) -> Response {
    take(&client, None, &headers, &body).await
}

async fn one(
    State(client): State<AlertClient>,
    Path(policy): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    take(&client, Some(policy), &headers, &body).await
}

/// The part of the payload that is used.
#[derive(Deserialize)]
struct Notification {
    version: String,
    alerts: Vec<Alert>,
    #[serde(rename = "truncatedAlerts", default)]
    truncated: u64,
}

#[derive(Deserialize)]
struct Alert {
    status: String,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(rename = "startsAt")]
    starts_at: String,
    fingerprint: String,
}

async fn take(
    client: &AlertClient,
    policy: Option<String>,
    headers: &HeaderMap,
    body: &[u8],
) -> Response {
    // A form of a browser cannot say this, so it cannot get here unasked.
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    if !content_type.is_some_and(|value| value.trim_start().starts_with("application/json")) {
        let message = "the content type must be application/json";
        return refuse(StatusCode::UNSUPPORTED_MEDIA_TYPE, "not_json", message);
    }
    let told = match read(body) {
        Ok(told) => told,
        Err(message) => return refuse(StatusCode::BAD_REQUEST, "bad_notification", &message),
    };
    // Alerts that can be used are carried out although others cannot.
    let alerts: Vec<ToldAlert> = told.iter().flatten().cloned().collect();
    let (answer, answers) = oneshot::channel();
    let busy = || {
        let message = "this could not be made durable in time; tell it again";
        refuse(StatusCode::SERVICE_UNAVAILABLE, "unavailable", message)
    };
    if client.0.try_send(AlertJob { policy, alerts, answer }).is_err() {
        return busy();
    }
    match tokio::time::timeout(DURABLE_WITHIN, answers).await {
        Ok(Ok(answers)) => respond(told, answers),
        _ => busy(),
    }
}

impl Clone for ToldAlert {
    fn clone(&self) -> Self {
        Self { model: self.model.clone(), firing: self.firing, alert: self.alert.clone() }
    }
}

fn read(body: &[u8]) -> Result<Vec<Result<ToldAlert, String>>, String> {
    let payload: Value = serde_json::from_slice(body)
        .map_err(|error| format!("the notification is not JSON: {error}"))?;
    match payload.get("version") {
        Some(Value::String(version)) if version == "4" => {}
        other => {
            let said = other.map_or("none".to_owned(), |version| clip(&version.to_string(), 20));
            return Err(format!("the payload's version must be \"4\", and it is {said}"));
        }
    }
    let notification: Notification = serde_json::from_value(payload)
        .map_err(|error| format!("this is no notification of Alertmanager: {error}"))?;
    debug_assert_eq!(notification.version, "4");
    if notification.alerts.len() > ALERTS_MAX {
        return Err(format!("more than {ALERTS_MAX} alerts; set max_alerts of the receiver"));
    }
    if notification.truncated > 0 {
        let truncated = notification.truncated;
        tracing::warn!(truncated, "alertmanager left out alerts; raise max_alerts of the receiver");
    }
    Ok(notification.alerts.into_iter().map(alert).collect())
}

fn alert(mut alert: Alert) -> Result<ToldAlert, String> {
    let firing = match alert.status.as_str() {
        "firing" => true,
        "resolved" => false,
        other => return Err(format!("status `{}` is not known", clip(other, 20))),
    };
    let mut label = |name: &str| {
        let value = alert.labels.remove(name).filter(|value| !value.is_empty());
        value.ok_or_else(|| format!("the alert has no label `{name}`"))
    };
    let (name, model) = (label("alertname")?, label("model")?);
    let version = label("version").unwrap_or_default();
    let starts_at: jiff::Timestamp = alert
        .starts_at
        .parse()
        .map_err(|_| format!("startsAt `{}` is not a time", clip(&alert.starts_at, 40)))?;
    for (what, text) in [("fingerprint", &alert.fingerprint), ("label `version`", &version)] {
        if text.chars().count() > ID_CHARS_MAX {
            return Err(format!("the {what} is longer than {ID_CHARS_MAX} characters"));
        }
    }
    if alert.fingerprint.is_empty() {
        return Err("the alert has no fingerprint".to_owned());
    }
    let summary = ["summary", "description", "message"];
    let summary = summary.iter().find_map(|name| alert.annotations.get(*name));
    let summary = summary.map_or(String::new(), |summary| clip(summary, SUMMARY_CHARS_MAX));
    let starts_at = Timestamp(starts_at.as_microsecond());
    let fingerprint = alert.fingerprint;
    let alert = ExternalAlert { name, fingerprint, starts_at, version, summary };
    Ok(ToldAlert { model, firing, alert })
}

/// One line an alert, in their order; 422 if one of them can never be carried out, 503 if one could
/// be when it is told again.
fn respond(told: Vec<Result<ToldAlert, String>>, answers: Vec<AlertAnswer>) -> Response {
    let mut answers = answers.into_iter();
    let (mut faulty, mut full) = (false, false);
    let mut lines = Vec::new();
    for told in told {
        let (alert, answer) = match told {
            Err(message) => (None, Err(message)),
            Ok(told) => {
                let missing = || Err("the engine did not look at this alert".to_owned());
                (Some(told), answers.next().unwrap_or_else(missing))
            }
        };
        let mut line = match &alert {
            Some(told) => json!({
                "alertname": told.alert.name,
                "fingerprint": told.alert.fingerprint,
                "model": told.model,
            }),
            None => json!({}),
        };
        match answer {
            Err(message) => {
                let alertname = alert.as_ref().map_or("", |told| &told.alert.name);
                tracing::warn!(alertname, message, "an alert cannot be carried out");
                faulty = true;
                line["error"] = json!(message);
            }
            Ok(policies) => {
                full |= policies.iter().any(|(_, outcome)| *outcome == AlertOutcome::Full);
                let policies = policies.iter().map(|(policy, outcome)| said(policy, outcome));
                line["policies"] = policies.collect();
            }
        }
        lines.push(line);
    }
    let status = match (faulty, full) {
        (_, true) => StatusCode::SERVICE_UNAVAILABLE,
        (true, _) => StatusCode::UNPROCESSABLE_ENTITY,
        _ => StatusCode::OK,
    };
    (status, axum::Json(json!({ "alerts": lines }))).into_response()
}

fn said(policy: &str, outcome: &AlertOutcome) -> Value {
    let (outcome, more) = match outcome {
        AlertOutcome::Requested { id } => ("requested", json!({ "id": id })),
        AlertOutcome::Repeated { id } => ("repeated", json!({ "id": id })),
        AlertOutcome::Held(decision) => ("held", json!({ "reason": decision.reason() })),
        AlertOutcome::Full => ("refused", json!({ "reason": "too many requests wait" })),
        AlertOutcome::Resolved => ("resolved", json!({})),
    };
    let mut line = json!({ "policy": policy, "outcome": outcome });
    if let (Value::Object(line), Value::Object(more)) = (&mut line, more) {
        line.extend(more);
    }
    line
}

fn refuse(status: StatusCode, code: &str, message: &str) -> Response {
    tracing::warn!(code, message, "a notification of alertmanager is refused");
    let error = json!({ "error": { "code": code, "message": message } });
    (status, axum::Json(error)).into_response()
}
