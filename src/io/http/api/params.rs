//! Parameters of a request: known ones only, each once, each read strictly.

use super::query::{ApiError, Page, Place};
use crate::engine::metric::Metric;
use crate::engine::time::{Span, Timestamp};
use std::collections::BTreeMap;

/// Longer queries are refused; the head of a request is bounded by the server too.
const VALUE_BYTES_MAX: usize = 4_096;
/// Metrics that one request may name.
const METRICS_MAX: usize = 64;

/// What stood after the `?`.
#[derive(Debug)]
pub struct Params(BTreeMap<String, String>);

impl Params {
    /// # Errors
    /// A parameter that is not among `known`, twice there, or too long.
    pub fn parse(query: Option<&str>, known: &[&str]) -> Result<Self, ApiError> {
        let mut found = BTreeMap::new();
        for (name, value) in url::form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if !known.contains(&&*name) {
                return Err(ApiError::bad_request(format!(
                    "there is no parameter {}; {}",
                    quoted(&name),
                    if known.is_empty() {
                        "this takes none".to_owned()
                    } else {
                        format!("there are {}", known.join(", "))
                    }
                )));
            }
            if value.len() > VALUE_BYTES_MAX {
                let message = format!("`{name}` is longer than {VALUE_BYTES_MAX} bytes");
                return Err(ApiError::bad_request(message));
            }
            if found.insert(name.to_string(), value.into_owned()).is_some() {
                return Err(ApiError::bad_request(format!("`{name}` is there twice")));
            }
        }
        Ok(Self(found))
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).map(str::to_owned)
    }

    fn number(&self, name: &str, least: usize, greatest: usize) -> Result<Option<usize>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let number = text.parse().ok().filter(|n| (least..=greatest).contains(n));
        number.map(Some).ok_or_else(|| {
            let text = quoted(text);
            ApiError::bad_request(format!(
                "{name}: {text} is not a number from {least} to {greatest}"
            ))
        })
    }

    /// `limit` and `offset`.
    pub fn page(&self) -> Result<Page, ApiError> {
        let limit = self.number("limit", 1, Page::MAX)?.unwrap_or(Page::DEFAULT);
        let offset = self.number("offset", 0, 1_000_000_000)?.unwrap_or(0);
        Ok(Page { limit, offset })
    }

    /// `window` and `version`.
    pub fn place(&self, model: String) -> Result<Place, ApiError> {
        let window = self.get("window").map(str::parse::<Span>).transpose();
        let window = window.map_err(|error| ApiError::bad_request(format!("window: {error}")))?;
        Ok(Place { model, window, version: self.text("version") })
    }

    /// `metric`, several separated by commas.
    pub fn metrics(&self) -> Result<Vec<Metric>, ApiError> {
        let Some(text) = self.get("metric") else { return Ok(Vec::new()) };
        let metrics: Result<Vec<Metric>, String> =
            text.split(',').take(METRICS_MAX + 1).map(|name| name.trim().parse()).collect();
        let metrics =
            metrics.map_err(|error| ApiError::bad_request(format!("metric: {}", shown(&error))))?;
        if metrics.len() > METRICS_MAX {
            let message = format!("metric: more than {METRICS_MAX} of them");
            return Err(ApiError::bad_request(message));
        }
        Ok(metrics)
    }

    /// A single metric.
    pub fn metric(&self) -> Result<Option<Metric>, ApiError> {
        let metrics = self.metrics()?;
        if metrics.len() > 1 {
            return Err(ApiError::bad_request("metric: only one can be asked for here"));
        }
        Ok(metrics.first().copied())
    }

    /// A point in time in Unix seconds.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, ApiError> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let seconds = text.parse::<f64>().ok().filter(|seconds| seconds.abs() <= 1e12);
        let seconds = seconds.ok_or_else(|| {
            let text = quoted(text);
            ApiError::bad_request(format!("{name}: {text} is not a time in Unix seconds"))
        })?;
        Ok(Some(Timestamp((seconds * 1e6).round() as i64)))
    }
}

/// What somebody wrote, short, for a message.
pub fn quoted(text: &str) -> String {
    format!("`{}`", crate::engine::text::clip(text, 60))
}

fn shown(message: &str) -> String {
    crate::engine::text::clip(message, 1_000)
}
