//! Answers the API's queries on the engine's thread: reads, and changes nothing.
//!
//! Most of it comes from the model's history; only slices of one window, counters and positions are
//! looked up in the state. Nothing here depends on who asked before.

mod distribution;
mod drift;
mod health;
mod model;
mod overview;
mod pipeline;
mod policies;
mod requests;
mod slices;
mod windows;

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests;

use super::held::{Held, HeldMonitor};
use crate::engine::estimate::Estimate;
use crate::engine::history::{History, Row, headline};
use crate::engine::metric::Metric;
use crate::engine::model_shard::{ModelContext, Partial};
use crate::engine::slice::SliceKey;
use crate::engine::spec::{ModelSpec, WindowSpec};
use crate::engine::time::Timestamp;
use crate::io::http::api::dto::{self, Answer, name, seconds};
use crate::io::http::api::query::Place;
use crate::io::http::api::{ApiError, Query};
use crate::io::kafka::KafkaSource;
use std::sync::Arc;

/// What a query is answered from.
pub struct View<'a> {
    pub held: &'a Held,
    pub source: &'a KafkaSource,
    pub now: Timestamp,
}

/// One model of it.
struct ModelView<'a> {
    held: &'a Held,
    monitor: &'a HeldMonitor,
    spec: &'a ModelSpec,
    partials: Vec<&'a Partial>,
}

/// A window of one size and a version of a model.
struct Spot {
    /// Position of the kind of window.
    index: usize,
    window: WindowSpec,
    /// `None` before there is one.
    version: Option<String>,
}

/// Names that an error lists.
const LISTED_MAX: usize = 20;

impl View<'_> {
    /// The answer to one query.
    ///
    /// # Errors
    /// What is asked for does not exist, or a parameter does not fit the model.
    pub fn answer(&self, query: &Query) -> Result<Answer, ApiError> {
        match query {
            Query::Models(page) => Ok(Answer::Models(self.models(*page))),
            Query::Model { model } => Ok(Answer::Model(Box::new(self.model(model)?.page()))),
            Query::History(query) => {
                self.model(&query.at.model)?.history(query).map(Answer::History)
            }
            Query::Drift { at, page } => self.model(&at.model)?.drift(at, *page).map(Answer::Drift),
            Query::Feature { at, feature } => {
                let answer = self.model(&at.model)?.feature(at, feature)?;
                Ok(Answer::Feature(Box::new(answer)))
            }
            Query::Slices { at, metric, page } => {
                self.model(&at.model)?.slices(at, *metric, *page).map(Answer::Slices)
            }
            Query::Labels { model } => Ok(Answer::Labels(self.model(model)?.labels())),
            Query::Policies { model } => Ok(Answer::Policies(self.model(model)?.policies())),
            Query::Requests { model, page } => {
                self.requests(model.as_deref(), *page).map(Answer::Requests)
            }
            Query::Pipeline => Ok(Answer::Pipeline(self.pipeline())),
        }
    }

    fn at(&self, index: usize) -> ModelView<'_> {
        ModelView {
            held: self.held,
            monitor: &self.held.monitors[index],
            spec: &self.held.plan.models[index],
            partials: self.held.partials(index),
        }
    }

    fn model(&self, name: &str) -> Result<ModelView<'_>, ApiError> {
        let models = &self.held.plan.models;
        let index = models.iter().position(|spec| &*spec.name == name).ok_or_else(|| {
            let known = listed(models.iter().map(|spec| spec.name.to_string()));
            let asked = quoted(name);
            ApiError::not_found(format!("model {asked} is not configured; known: {known}"))
        })?;
        Ok(self.at(index))
    }
}

impl<'a> ModelView<'a> {
    fn context(&self) -> &'a Arc<ModelContext> {
        &self.monitor.monitor.context
    }

    fn kept(&self) -> &'a History {
        &self.monitor.monitor.history
    }

    /// What a query is about, with what it leaves open taken from the headline.
    fn spot(&self, at: &Place) -> Result<Spot, ApiError> {
        let windows = &self.spec.windows;
        let (_, headline) = headline(self.spec);
        let index = match at.window {
            None => headline,
            Some(size) => {
                let known = windows.iter().position(|window| window.size == size);
                known.ok_or_else(|| {
                    let sizes = listed(windows.iter().map(|window| window.size.to_string()));
                    ApiError::bad_request(format!(
                        "window: model `{}` has no window of {size}; there are {sizes}",
                        self.spec.name
                    ))
                })?
            }
        };
        let known = self.known_versions();
        let version = match &at.version {
            None => self.default_version(index),
            Some(asked) => {
                let found =
                    known.iter().find(|version| *version == asked || name(version) == *asked);
                let found = found.ok_or_else(|| {
                    let known = listed(known.iter().map(|version| name(version)));
                    let asked = quoted(asked);
                    ApiError::not_found(format!(
                        "model `{}` has no version {asked}; known: {known}",
                        self.spec.name
                    ))
                })?;
                Some(found.clone())
            }
        };
        let window = windows.get(index).copied().ok_or_else(|| {
            ApiError::not_found(format!("model `{}` has no windows", self.spec.name))
        })?;
        Ok(Spot { index, window, version })
    }

    /// Versions that predicted lately or that a window shows; those seen last come first.
    fn known_versions(&self) -> Vec<String> {
        let kept = self.kept();
        let mut versions = self.live_versions();
        let live = versions.len();
        for index in 0..self.spec.windows.len() {
            for (_, rows) in kept.windows(index) {
                let new = |version: &&String| !versions.contains(version);
                let new: Vec<String> = rows.keys().filter(new).cloned().collect();
                versions.extend(new);
            }
        }
        let first = |version: &String| kept.first_seen(version).unwrap_or(Timestamp::MIN);
        versions[live..].sort_by_key(|version| std::cmp::Reverse(first(version)));
        versions
    }

    /// Versions that predict, the one seen first last comes first.
    fn live_versions(&self) -> Vec<String> {
        let mut versions = self.monitor.monitor.live_versions(&self.partials);
        let kept = self.kept();
        // One that no closed window has shown yet is the newest.
        let first = |version: &String| kept.first_seen(version).unwrap_or(Timestamp::MAX);
        versions.sort_by_key(|version| std::cmp::Reverse(first(version)));
        versions
    }

    /// The newest version with a window of this kind that has enough labels; with none, the newest
    /// one that has a window.
    fn default_version(&self, index: usize) -> Option<String> {
        let live = self.live_versions();
        let shown = live.iter().find(|version| self.shown(index, version).is_some());
        let any = || live.iter().find(|version| self.kept().rows(index, version).next().is_some());
        shown.or_else(any).or(live.first()).cloned()
    }

    /// The newest window of a version with enough labels to be shown.
    fn shown(&self, index: usize, version: &'a str) -> Option<(Timestamp, &'a Row)> {
        self.newest_where(index, version, |row| self.is_enough(row))
    }

    fn newest_where(
        &self,
        index: usize,
        version: &str,
        enough: impl Fn(&Row) -> bool,
    ) -> Option<(Timestamp, &'a Row)> {
        let windows = self.kept().windows(index).rev();
        windows
            .filter_map(|(end, rows)| Some((end, rows.get(version)?)))
            .find(|(_, row)| enough(row))
    }

    fn is_enough(&self, row: &Row) -> bool {
        let show = self.spec.show;
        row.labeled >= show.support_min
            && row.coverage().is_some_and(|coverage| coverage >= show.coverage_min)
    }

    /// A metric of a row.
    fn value(&self, row: &Row, metric: Metric) -> Option<Estimate> {
        let at = self.kept().metrics().iter().position(|known| *known == metric)?;
        row.metrics.get(at).copied().flatten()
    }

    /// The held-out value of a metric in a version's profile.
    fn baseline(&self, version: &str, metric: Metric) -> Option<f64> {
        let (layout, _) = self.context().layouts.of(version);
        Some(layout.profile.as_ref()?.baseline.get(metric.name())?.value)
    }

    fn slice_name(&self, key: SliceKey) -> dto::SliceName {
        let conditions = self.context().slicer.describe(key);
        let parts: Vec<String> =
            conditions.iter().map(|(feature, value)| format!("{feature}={value}")).collect();
        dto::SliceName {
            name: name(&parts.join(",")),
            conditions: conditions
                .into_iter()
                .map(|(feature, value)| dto::SliceCondition {
                    feature: name(&feature),
                    value: name(&value),
                })
                .collect(),
        }
    }
}

fn estimate(estimate: &Estimate) -> dto::Estimate {
    dto::Estimate {
        value: estimate.value,
        lower: estimate.interval.map(|interval| interval.lower),
        upper: estimate.interval.map(|interval| interval.upper),
        support: estimate.support,
        error_max: estimate.error_max,
    }
}

/// The end of a window, which is never one of the ends of time.
fn end_of(end: Timestamp) -> f64 {
    seconds(end).unwrap_or_default()
}

fn quoted(text: &str) -> String {
    format!("`{}`", crate::engine::text::clip(text, 60))
}

fn listed(names: impl Iterator<Item = String>) -> String {
    let names: Vec<String> = names.collect();
    let shown = names.iter().take(LISTED_MAX).map(|name| crate::engine::text::clip(name, 60));
    let mut list = shown.collect::<Vec<_>>().join(", ");
    if names.is_empty() {
        list.push_str("none yet");
    }
    if names.len() > LISTED_MAX {
        list.push_str(&format!(" and {} more", names.len() - LISTED_MAX));
    }
    list
}
