//! Requests for a retraining, with every attempt to deliver them.

use super::{View, end_of};
use crate::engine::outbox::{Entry, GiveUpReason, State};
use crate::engine::time::Timestamp;
use crate::io::http::api::dto::{
    AttemptInfo, RequestInfo, RequestWindow, RequestsAnswer, name, seconds,
};
use crate::io::http::api::{ApiError, Page};
use serde_json::Value;

impl View<'_> {
    pub(super) fn requests(
        &self,
        model: Option<&str>,
        page: Page,
    ) -> Result<RequestsAnswer, ApiError> {
        if let Some(model) = model {
            self.model(model)?;
        }
        let mut entries: Vec<(&str, &Entry)> = Vec::new();
        for (index, spec) in self.held.plan.models.iter().enumerate() {
            if model.is_none_or(|model| *model == *spec.name) {
                let outbox = &self.held.monitors[index].monitor.state.outbox;
                let all = outbox.pending().into_iter().chain(outbox.finished());
                entries.extend(all.map(|entry| (&*spec.name, entry)));
            }
        }
        entries.sort_by(|(a_model, a), (b_model, b)| {
            let newest = (b.created_at, b.sequence).cmp(&(a.created_at, a.sequence));
            newest.then_with(|| a_model.cmp(b_model))
        });
        let total = entries.len();
        let requests = page.cut(entries).into_iter().map(|(model, entry)| info(model, entry));
        Ok(RequestsAnswer { total, requests: requests.collect() })
    }
}

fn info(model: &str, entry: &Entry) -> RequestInfo {
    let evidence = evidence(entry);
    let of = |key: &str| evidence.as_ref().and_then(|evidence| text(evidence, key));
    let start = evidence.as_ref().and_then(|evidence| {
        let text = evidence.get("window")?.get("start")?.as_str()?;
        let start: jiff::Timestamp = text.parse().ok()?;
        seconds(Timestamp(start.as_microsecond()))
    });
    RequestInfo {
        id: entry.request.id.to_string(),
        model: model.to_owned(),
        version: of("version"),
        policy: of("policy"),
        webhook: entry.request.webhook.to_string(),
        window: RequestWindow { start, end: end_of(entry.request.window_end) },
        created_at: end_of(entry.created_at),
        state: state_name(entry).to_owned(),
        given_up: match &entry.state {
            State::GivenUp { reason, .. } => Some(give_up_name(*reason).to_owned()),
            _ => None,
        },
        next_attempt_at: match &entry.state {
            State::Pending { next_attempt_at, .. } => seconds(*next_attempt_at),
            _ => None,
        },
        attempts: entry
            .attempts
            .iter()
            .map(|attempt| AttemptInfo {
                at: end_of(attempt.at),
                status: attempt.status,
                error: attempt.error.clone(),
            })
            .collect(),
        evidence,
    }
}

/// What the body says; it is ours, and always JSON with `data`.
pub(super) fn evidence(entry: &Entry) -> Option<Value> {
    let mut body: Value = serde_json::from_str(&entry.request.body).ok()?;
    Some(body.get_mut("data")?.take())
}

pub(super) fn text(evidence: &Value, key: &str) -> Option<String> {
    evidence.get(key)?.as_str().map(name)
}

pub(super) fn state_name(entry: &Entry) -> &'static str {
    match entry.state {
        State::Pending { .. } => "waiting",
        State::Sent { .. } => "delivered",
        State::GivenUp { .. } => "given_up",
    }
}

fn give_up_name(reason: GiveUpReason) -> &'static str {
    match reason {
        GiveUpReason::Deadline => "it could not be delivered within give_up_after",
        GiveUpReason::EndpointGone => "the endpoint answered 410: it wants nothing any more",
        GiveUpReason::NoSuchWebhook => "the configuration no longer has this webhook",
    }
}
