//! A consistent set of the models' values, taken by the engine for a scrape.
//!
//! Bounded: a model has at most its `series_max` series. What goes first when there are more is
//! decided by [`Priority`], not by chance, and is counted in `tidemark_series_dropped`.

use super::telemetry_families::{
    FamilyDef, Kind, SERIES_DROPPED, SNAPSHOT_TIMESTAMP, Scope, Source, baseline_family,
    metric_families,
};
use crate::engine::estimate::Estimate;
use crate::engine::metric::Metric;
use crate::engine::text::is_hidden;
use crate::engine::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use xxhash_rust::xxh3::xxh3_64;

/// Series of one model in a scrape, unless configured.
pub const SERIES_MAX_DEFAULT: usize = 2_000;
/// Samples that a builder holds before it decides what to drop; those after that are dropped at
/// once.
pub const SAMPLES_MAX: usize = 200_000;
/// Characters of a label's value. A longer one is cut and gets a hash of the whole, so that two
/// values stay two series.
pub const LABEL_CHARS_MAX: usize = 128;

/// What is kept when a model has more series than it may; the first are kept. Ranks: 0 for the most
/// important slice (in the order of the configuration, so that the choice is stable) and for the
/// most drifted feature.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Priority {
    /// Counters, infos, watermarks, policies.
    Essential,
    /// Gauges of the whole model.
    #[default]
    Model,
    Drift {
        rank: u32,
    },
    Slice {
        rank: u32,
    },
}

/// Counts by bucket, not cumulative; the last one is of values above the last bound.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistogramSample {
    pub counts: Vec<u64>,
    pub sum: f64,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Number(f64),
    Histogram(HistogramSample),
}

#[derive(Clone, Debug)]
pub(super) struct Sample {
    pub labels: Vec<String>,
    pub value: Value,
}

/// What a scrape shows of the models. Families by name, samples by label values.
#[derive(Debug, Default)]
pub struct Snapshot {
    pub(super) taken_at: Timestamp,
    pub(super) families: Vec<(&'static FamilyDef, Vec<Sample>)>,
}

impl Snapshot {
    pub fn taken_at(&self) -> Timestamp {
        self.taken_at
    }
}

struct Candidate {
    priority: Priority,
    family: &'static FamilyDef,
    sample: Sample,
}

/// Collects samples for a [`Snapshot`].
pub struct SnapshotBuilder {
    taken_at: Timestamp,
    series_max: BTreeMap<String, usize>,
    candidates: Vec<Candidate>,
    dropped: BTreeMap<String, u64>,
}

impl SnapshotBuilder {
    /// `taken_at` is a point of the wall clock.
    pub fn new(taken_at: Timestamp) -> Self {
        Self {
            taken_at,
            series_max: BTreeMap::new(),
            candidates: Vec::new(),
            dropped: BTreeMap::new(),
        }
    }

    /// Announces a model and how many series it may have.
    pub fn model(&mut self, model: &str, series_max: usize) {
        let model = clean_label(model);
        self.dropped.entry(model.clone()).or_insert(0);
        self.series_max.insert(model, series_max);
    }

    /// Adds a value with the family's usual priority: counters, infos and what is not about a
    /// window are essential, other gauges are `Priority::Model`. A value that is not finite is no
    /// value.
    pub fn sample(&mut self, family: &'static FamilyDef, labels: &[&str], value: f64) {
        let gauge_of_window = family.kind == Kind::Gauge && family.labels.contains(&"window");
        let priority = if gauge_of_window { Priority::Model } else { Priority::Essential };
        self.sample_with(priority, family, labels, value);
    }

    /// Adds a value with a priority of its own.
    pub fn sample_with(
        &mut self,
        priority: Priority,
        family: &'static FamilyDef,
        labels: &[&str],
        value: f64,
    ) {
        debug_assert_ne!(family.kind, Kind::Histogram, "{} is a histogram", family.name);
        if value.is_finite() {
            self.push(priority, family, labels, Value::Number(value));
        }
    }

    /// Adds a histogram.
    pub fn histogram(
        &mut self,
        family: &'static FamilyDef,
        labels: &[&str],
        histogram: HistogramSample,
    ) {
        debug_assert_eq!(family.kind, Kind::Histogram, "{} is no histogram", family.name);
        debug_assert_eq!(histogram.counts.len(), family.buckets.len() + 1, "{}", family.name);
        if histogram.counts.len() == family.buckets.len() + 1 {
            self.push(Priority::Essential, family, labels, Value::Histogram(histogram));
        }
    }

    /// Adds a metric's value, interval, support and binning error, as far as it has them. Labels:
    /// model, version, window (and slice); the k of a top-k accuracy is added here.
    pub fn estimate(
        &mut self,
        priority: Priority,
        metric: Metric,
        scope: Scope,
        labels: &[&str],
        estimate: &Estimate,
    ) {
        let families = metric_families(metric, scope);
        let k = k_of(metric);
        let labels = &with_k(labels, k.as_deref());
        self.sample_with(priority, &families.value, labels, estimate.value);
        if let Some(interval) = estimate.interval {
            self.sample_with(priority, &families.lower, labels, interval.lower);
            self.sample_with(priority, &families.upper, labels, interval.upper);
        }
        self.sample_with(priority, &families.support, labels, estimate.support as f64);
        if estimate.error_max > 0.0 {
            self.sample_with(priority, &families.error_max, labels, estimate.error_max);
        }
    }

    /// Adds what a metric was on the data of the version's reference. Labels: model, version.
    pub fn baseline(&mut self, metric: Metric, labels: &[&str], value: f64) {
        let k = k_of(metric);
        let labels = with_k(labels, k.as_deref());
        self.sample_with(Priority::Model, baseline_family(metric), &labels, value);
    }

    fn push(
        &mut self,
        priority: Priority,
        family: &'static FamilyDef,
        labels: &[&str],
        value: Value,
    ) {
        debug_assert_eq!(labels.len(), family.labels.len(), "labels of {}", family.name);
        debug_assert_eq!(family.source, Source::Snapshot, "{} is the process's", family.name);
        if labels.len() != family.labels.len() {
            return;
        }
        let labels: Vec<String> = labels.iter().map(|label| clean_label(label)).collect();
        let candidate = Candidate { priority, family, sample: Sample { labels, value } };
        if self.candidates.len() >= SAMPLES_MAX {
            self.drop_sample(&candidate);
        } else {
            self.candidates.push(candidate);
        }
    }

    fn drop_sample(&mut self, candidate: &Candidate) {
        let model = candidate.model().unwrap_or_default().to_owned();
        *self.dropped.entry(model).or_insert(0) += candidate.series() as u64;
    }

    /// Keeps what fits into each model's budget.
    pub fn finish(mut self) -> Snapshot {
        let mut candidates = std::mem::take(&mut self.candidates);
        candidates.sort_by(|a, b| {
            (a.priority, a.family.name, &a.sample.labels).cmp(&(
                b.priority,
                b.family.name,
                &b.sample.labels,
            ))
        });
        let mut used: BTreeMap<String, usize> = BTreeMap::new();
        let mut seen: BTreeSet<(&'static str, Vec<String>)> = BTreeSet::new();
        let mut families: BTreeMap<&'static str, (&'static FamilyDef, Vec<Sample>)> =
            BTreeMap::new();
        for candidate in candidates {
            if !seen.insert((candidate.family.name, candidate.sample.labels.clone())) {
                debug_assert!(false, "{} twice: {:?}", candidate.family.name, candidate.sample);
                continue;
            }
            if let Some(model) = candidate.model() {
                let max = self.series_max.get(model).copied().unwrap_or(SERIES_MAX_DEFAULT);
                let used = used.entry(model.to_owned()).or_insert(0);
                if *used + candidate.series() > max {
                    self.drop_sample(&candidate);
                    continue;
                }
                *used += candidate.series();
            }
            let Candidate { family, sample, .. } = candidate;
            families.entry(family.name).or_insert_with(|| (family, Vec::new())).1.push(sample);
        }
        self.add_own(&mut families);
        for (_, samples) in families.values_mut() {
            samples.sort_by(|a, b| a.labels.cmp(&b.labels));
        }
        Snapshot { taken_at: self.taken_at, families: families.into_values().collect() }
    }

    /// What the snapshot says of itself.
    fn add_own(&self, families: &mut BTreeMap<&'static str, (&'static FamilyDef, Vec<Sample>)>) {
        let mut dropped = Vec::new();
        for (model, count) in &self.dropped {
            dropped
                .push(Sample { labels: vec![model.clone()], value: Value::Number(*count as f64) });
        }
        if !dropped.is_empty() {
            families.insert(SERIES_DROPPED.name, (&SERIES_DROPPED, dropped));
        }
        let taken_at =
            Sample { labels: Vec::new(), value: Value::Number(self.taken_at.as_secs_f64()) };
        families.insert(SNAPSHOT_TIMESTAMP.name, (&SNAPSHOT_TIMESTAMP, vec![taken_at]));
    }
}

impl Candidate {
    fn model(&self) -> Option<&str> {
        let position = self.family.labels.iter().position(|label| *label == "model")?;
        self.sample.labels.get(position).map(String::as_str)
    }

    /// How many series Prometheus makes of it.
    fn series(&self) -> usize {
        match &self.sample.value {
            Value::Number(_) => 1,
            Value::Histogram(histogram) => histogram.counts.len() + 2,
        }
    }
}

/// The k of a top-k accuracy, which is a label.
fn k_of(metric: Metric) -> Option<String> {
    match metric {
        Metric::TopKAccuracy(k) => Some(k.get().to_string()),
        _ => None,
    }
}

fn with_k<'a>(labels: &[&'a str], k: Option<&'a str>) -> Vec<&'a str> {
    labels.iter().copied().chain(k).collect()
}

/// A label's value without hidden characters and of bounded length. A changed one ends in `~` and a
/// hash of the original, so that different values stay different.
pub fn clean_label(value: &str) -> String {
    let shown = !value.chars().any(is_hidden);
    if shown && value.chars().count() <= LABEL_CHARS_MAX {
        return value.to_owned();
    }
    let kept = value.chars().filter(|c| !is_hidden(*c)).take(LABEL_CHARS_MAX - 9);
    let mut clean: String = kept.collect();
    let hash = xxh3_64(value.as_bytes()) >> 32;
    clean.push_str(&format!("~{hash:08x}"));
    clean
}
